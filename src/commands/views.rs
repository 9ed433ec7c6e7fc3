//! `vesalius rebuild` and `vesalius verify`.

use std::time::Instant;

use clap::{Args, ValueEnum};

use super::{Common, Ended, Node, say};
use crate::error::Result;

#[derive(Args)]
pub(super) struct Rebuild {
    /// Which view.
    #[arg(value_enum, default_value = "all")]
    view: Which,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Which {
    /// Bitmaps and dictionaries.
    Index,
    /// Published documents.
    Catalogue,
    /// Lines that are kept for exports: thrown away, and made again by the server.
    Exports,
    /// All of them.
    All,
}

pub(super) fn rebuild(common: &Common, command: &Rebuild) -> Result<Ended> {
    let node = Node::open(common)?;
    let began = Instant::now();
    if matches!(command.view, Which::Index | Which::All) {
        node.index.forget()?;
        let done = node.index.rebuild(&node.store)?;
        node.index.save()?;
        let seconds = began.elapsed().as_secs_f64();
        let value =
            serde_json::json!({ "view": "index", "studies": done.studies, "seconds": seconds });
        say(common, "rebuilt", &value, || {
            format!("index: {} studies in {seconds:.1} s", done.studies)
        });
    }
    if matches!(command.view, Which::Catalogue | Which::All) {
        super::catalogue::rebuild(common, &node)?;
    }
    if matches!(command.view, Which::Exports | Which::All) {
        let bytes = crate::fhir::forget_lines(&node.exports)?;
        let value = serde_json::json!({ "view": "exports", "bytes": bytes });
        say(common, "rebuilt", &value, || {
            format!(
                "exports: {} MiB of kept lines removed; the server makes them again",
                bytes >> 20
            )
        });
    }
    Ok(Ended::Done)
}

pub(super) fn verify(common: &Common) -> Result<Ended> {
    let node = Node::open(common)?;
    let mut found = node.store.read(crate::store::verify::contradictions)?;
    found.extend(node.index.differences(&node.store)?);
    found.extend(super::catalogue::differences(&node)?);
    let totals = node.store.read(crate::store::read::count_all)?;
    for problem in &found {
        say(common, "difference", &serde_json::json!({ "message": problem }), || problem.clone());
    }
    let value = serde_json::json!({ "differences": found.len(), "totals": totals });
    say(common, "verified", &value, || {
        format!(
            "{} patients, {} studies, {} series, {} images: {}",
            totals.patients,
            totals.studies,
            totals.series,
            totals.images,
            if found.is_empty() {
                "store, index and catalogue agree".to_owned()
            } else {
                format!("{} differences; `vesalius rebuild` makes the views anew", found.len())
            }
        )
    });
    if found.is_empty() {
        Ok(Ended::Done)
    } else {
        Err(crate::error::Error::Internal(format!("{} differences", found.len())))
    }
}
