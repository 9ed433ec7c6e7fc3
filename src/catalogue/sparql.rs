//! SPARQL 1.1 queries over the published graphs, evaluated outside the server process.
//!
//! A query is free text from anyone. oxigraph's parser overflows the stack on 6 kB of nested
//! parentheses, evaluation has no memory limit, and cancelling is not prompt. So the text is
//! scanned first ([`scan()`]), and evaluated in a worker process of the same binary with an
//! address-space limit, which is killed when its time is over and started again ([`Endpoint`]).
//! The worker keeps the time too, and ends when its server is gone: a server that was killed
//! cannot kill it ([`run_sparql_worker`]).
//!
//! In: a [`Question`], the published documents. Out: an [`Answer`], or which bound it met.
//! Absent: `SERVICE`, updates, loading from addresses.

mod endpoint;
mod evaluate;
mod frame;
mod merged;
mod scan;
mod worker;

use oxigraph::sparql::results::QueryResultsFormat;
use serde::{Deserialize, Serialize};

use super::emit::Format;

pub use endpoint::{Endpoint, WORKERS, snapshot};
pub use scan::{MAX_DEPTH, MAX_QUERY, scan};
pub use worker::run_sparql_worker;

/// How solutions (SELECT) and truth values (ASK) are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultsFormat {
    /// SPARQL 1.1 Query Results JSON.
    Json,
    /// SPARQL Query Results XML.
    Xml,
    /// CSV.
    Csv,
    /// TSV.
    Tsv,
}

impl ResultsFormat {
    /// Every form, the preferred first, with its media type.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Json, "application/sparql-results+json"),
        (Self::Xml, "application/sparql-results+xml"),
        (Self::Csv, "text/csv"),
        (Self::Tsv, "text/tab-separated-values"),
    ];

    const fn oxigraph(self) -> QueryResultsFormat {
        match self {
            Self::Json => QueryResultsFormat::Json,
            Self::Xml => QueryResultsFormat::Xml,
            Self::Csv => QueryResultsFormat::Csv,
            Self::Tsv => QueryResultsFormat::Tsv,
        }
    }
}

/// Why a query has no answer, for whoever asked it on a page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unanswered {
    /// The query is to blame.
    Refused(String),
    /// Time, memory or turns ran out: a narrower one, or the same one later, may be answered.
    TooCostly(String),
}

/// A query and what the reader can take.
#[derive(Clone, Debug)]
pub struct Question {
    /// The query.
    pub text: String,
    /// For SELECT and ASK; `None`: the reader takes none of our forms.
    pub results: Option<ResultsFormat>,
    /// For CONSTRUCT and DESCRIBE.
    pub graph: Option<Format>,
    /// The data set by parameter of the protocol, which stands above `FROM` in the query.
    pub graphs: Graphs,
}

/// A data set by name (SPARQL 1.1 Protocol section 2.1.4): IRIs of graphs. A name that no graph
/// has is an empty graph.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Graphs {
    /// `default-graph-uri`: together the default graph.
    pub default: Vec<String>,
    /// `named-graph-uri`.
    pub named: Vec<String>,
}

impl Graphs {
    /// Whether the query's own data set is meant.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.default.is_empty() && self.named.is_empty()
    }
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Media type of the bytes.
    pub media_type: String,
    /// The bytes.
    pub body: Vec<u8>,
    /// Whether rows were left off, because the limit was reached.
    pub is_truncated: bool,
}
