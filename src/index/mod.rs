//! Bitmaps and dictionaries: the one answer to everything that searches or counts.
//!
//! In: rows behind the change feed, turned into facts by `mapping`. Out: sets of studies, pages,
//! exact counts, facet counts. A view: it can be thrown away and catches up from the feed;
//! its file in the data folder saves the work of a rebuild at start. Of selections that somebody
//! keeps asking about, counts run along with the changes ([`Census`]).
//! Every read takes an [`Actor`](crate::actor::Actor): what the actor may not see is taken away
//! before anything is counted, sorted or paged. Absent: HTTP, RDF, and the disclosure of counts
//! except the rule itself ([`disclosure`]).

mod catch_up;
mod census;
mod file;
mod query;
mod terms;
mod view;

pub mod disclosure;

pub use catch_up::{COUNTED, CaughtUp, Index};
pub use census::{Census, TermCount};
pub use query::{Counts, Criteria, FacetCount, Query, Sort};
pub use view::{Row, View};
