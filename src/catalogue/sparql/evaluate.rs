//! One query over one dataset, in the worker process.
//!
//! The worker keeps the graphs itself ([`Graphs`]), not in an oxigraph store: a store normalises
//! literals (`"7"^^xsd:nonNegativeInteger` comes back as `xsd:integer`), and what CONSTRUCT gives
//! must still hold to HealthDCAT-AP's shapes. Every document is a named graph, `<dataset IRI>`; the
//! default graph is the RDF merge of all.

use std::io::Write;

use oxigraph::sparql::results::QueryResultsSerializer;
use oxigraph::sparql::{QueryEvaluationError, QueryResults, SparqlEvaluator};
use oxrdf::{Graph, GraphName, NamedNode, NamedOrBlankNode, Term};

use super::ResultsFormat;
use super::frame::{Ask, Reply};
use super::merged::{Graphs, View};
use crate::catalogue::Release;
use crate::catalogue::emit::{self, Format};
use crate::error::{Error, Result};

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 32 << 20;

/// A writer that stops at the largest answer.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_ANSWER {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn answer(graphs: &Graphs, ask: &Ask) -> Result<(String, bool, Vec<u8>), Reply> {
    let failed = |failure: &dyn std::fmt::Display| {
        Reply::TooCostly(format!("the query could not be evaluated: {failure}"))
    };
    let large = |failure: std::io::Error| {
        Reply::TooCostly(format!("the answer is too large ({failure}); add a LIMIT"))
    };
    let mut query = SparqlEvaluator::new()
        .parse_query(&ask.text)
        .map_err(|failure| Reply::Invalid(failure.to_string()))?;
    let mut merged = None;
    if !ask.graphs.is_empty() {
        let default = nodes(&ask.graphs.default)?;
        let named = nodes(&ask.graphs.named)?.into_iter().map(NamedOrBlankNode::from).collect();
        query.dataset_mut().set_available_named_graphs(named);
        merged = Some(default.into_iter().map(Term::from).collect());
    } else if !query.dataset().is_default_dataset() {
        let default = query.dataset().default_graph_graphs().unwrap_or_default().iter();
        let named = |graph: &GraphName| match graph {
            GraphName::NamedNode(node) => Some(Term::from(node.clone())),
            GraphName::BlankNode(_) | GraphName::DefaultGraph => None,
        };
        merged = Some(default.filter_map(named).collect::<Vec<_>>());
    }
    // One default graph for the engine, which would take several one after another.
    query.dataset_mut().set_default_graph(vec![GraphName::DefaultGraph]);
    let merged = merged.map(|names| {
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| graphs.number(name)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    });
    let view = View { graphs, merged: merged.as_deref() };
    let results = query.on_queryable_dataset(view).execute().map_err(|failure| match failure {
        // Trying again would not help.
        QueryEvaluationError::UnsupportedCustomFunction { .. }
        | QueryEvaluationError::UnsupportedCustomFunctionArity { .. } => {
            Reply::Invalid(failure.to_string())
        }
        failure => failed(&failure),
    })?;
    let no_form = |wanted: &str| Reply::NotAcceptable(format!("this query answers with {wanted}"));
    let table = || -> Result<(ResultsFormat, String), Reply> {
        let format = ask.results.ok_or_else(|| {
            no_form("application/sparql-results+json, application/sparql-results+xml, text/csv or text/tab-separated-values")
        })?;
        let row = ResultsFormat::ALL.iter().find(|(own, _)| *own == format);
        Ok((format, row.map_or("", |(_, media_type)| media_type).to_owned()))
    };
    match results {
        QueryResults::Boolean(value) => {
            let (format, media_type) = table()?;
            let writer = QueryResultsSerializer::from_format(format.oxigraph())
                .serialize_boolean_to_writer(Bounded(Vec::new()), value)
                .map_err(large)?;
            Ok((media_type, false, writer.0))
        }
        QueryResults::Solutions(solutions) => {
            let (format, media_type) = table()?;
            let mut writer = QueryResultsSerializer::from_format(format.oxigraph())
                .serialize_solutions_to_writer(Bounded(Vec::new()), solutions.variables().to_vec())
                .map_err(large)?;
            let mut is_truncated = false;
            for (place, solution) in solutions.enumerate() {
                if place >= ask.rows {
                    is_truncated = true;
                    break;
                }
                let solution = solution.map_err(|failure| failed(&failure))?;
                writer.serialize(&solution).map_err(large)?;
            }
            Ok((media_type, is_truncated, writer.finish().map_err(large)?.0))
        }
        QueryResults::Graph(triples) => {
            let format = ask
                .graph
                .as_deref()
                .and_then(Format::of_suffix)
                .ok_or_else(|| no_form("text/turtle, application/ld+json, application/rdf+xml, application/n-triples or application/n-quads"))?;
            let mut graph = Graph::new();
            let mut is_truncated = false;
            for triple in triples {
                if graph.len() >= ask.rows {
                    is_truncated = true;
                    break;
                }
                graph.insert(&triple.map_err(|failure| failed(&failure))?);
            }
            let body = names()
                .and_then(|release| emit::emit(&graph, format, release, ""))
                .map_err(|failure| failed(&failure))?;
            if body.len() > MAX_ANSWER {
                return Err(large(std::io::ErrorKind::FileTooLarge.into()));
            }
            Ok((format.media_type().to_owned(), is_truncated, body))
        }
    }
}

fn nodes(iris: &[String]) -> Result<Vec<NamedNode>, Reply> {
    let node = |iri: &String| {
        NamedNode::new(iri.as_str())
            .map_err(|failure| Reply::Invalid(format!("`{iri}` is no IRI ({failure})")))
    };
    iris.iter().map(node).collect()
}

/// Prefixes for answers: the built-in release's, read once.
fn names() -> Result<&'static Release> {
    static NAMES: std::sync::OnceLock<Option<Release>> = std::sync::OnceLock::new();
    NAMES
        .get_or_init(|| Release::load("r8", None).ok())
        .as_ref()
        .ok_or_else(|| Error::Internal("the built-in release is broken".to_owned()))
}
