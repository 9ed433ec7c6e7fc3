//! The published graphs as queries see them: named graphs, and as default graph an RDF merge.
//!
//! In: quads. Out: [`View`]s that `spareval` asks for patterns. The default graph is the merge of
//! all named graphs, or of those that `FROM` names (SPARQL 1.1 Query section 13.2): a triple that
//! several documents share is in it once, so that it is counted once. oxigraph's own union gives it
//! once for every graph. Each triple is held once, beside the graphs that it is in.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::ops::Range;
use std::slice::Iter;

use indexmap::IndexSet;
use oxrdf::{GraphName, Literal, Quad, Term};
use spareval::{InternalQuad, QueryableDataset};

/// Terms, triples of them in three orders, and which graphs hold each triple.
#[derive(Debug, Default)]
pub(super) struct Graphs {
    terms: IndexSet<Term>,
    /// Subject, predicate, object; ascending, each once.
    triples: Vec<[u32; 3]>,
    /// Places of `triples`, by object and predicate.
    by_object: Vec<u32>,
    /// Places of `triples`, by predicate and object.
    by_predicate: Vec<u32>,
    /// Where the graphs of each triple begin in `holders`, and the end.
    begins: Vec<u32>,
    /// Graphs, ascending for each triple.
    holders: Vec<u32>,
    /// Graph and place of a triple, ascending.
    by_graph: Vec<(u32, u32)>,
}

const SUBJECT: usize = 0;
const PREDICATE: usize = 1;
const OBJECT: usize = 2;

impl Graphs {
    /// Of quads that are all in named graphs; others are left out. `None`: there are more than
    /// 4,294,967,295 of something.
    pub(super) fn of(quads: impl Iterator<Item = Option<Quad>>) -> Option<Self> {
        let mut terms = IndexSet::new();
        let mut all: Vec<([u32; 3], u32)> = Vec::new();
        let mut place = |term: Term| u32::try_from(terms.insert_full(term).0).ok();
        for quad in quads {
            let quad = quad?;
            let graph = match quad.graph_name {
                GraphName::NamedNode(graph) => Term::from(graph),
                GraphName::BlankNode(graph) => Term::from(graph),
                GraphName::DefaultGraph => continue,
            };
            let triple =
                [place(quad.subject.into())?, place(quad.predicate.into())?, place(quad.object)?];
            all.push((triple, place(graph)?));
        }
        all.sort_unstable();
        all.dedup();
        u32::try_from(all.len()).ok()?;
        let mut graphs = Self { terms, ..Self::default() };
        for (triple, graph) in all {
            if graphs.triples.last() != Some(&triple) {
                graphs.triples.push(triple);
                graphs.begins.push(u32::try_from(graphs.holders.len()).ok()?);
            }
            graphs.holders.push(graph);
            let at = u32::try_from(graphs.triples.len() - 1).ok()?;
            graphs.by_graph.push((graph, at));
        }
        graphs.begins.push(u32::try_from(graphs.holders.len()).ok()?);
        graphs.by_graph.sort_unstable();
        let count = u32::try_from(graphs.triples.len()).ok()?;
        graphs.by_object = (0..count).collect();
        graphs.by_predicate = (0..count).collect();
        let triples = &graphs.triples;
        let key = |at: u32, order: [usize; 3]| {
            let triple = triples.get(at as usize).copied().unwrap_or_default();
            order.map(|of| triple.get(of).copied().unwrap_or_default())
        };
        graphs.by_object.sort_unstable_by_key(|at| key(*at, [OBJECT, PREDICATE, SUBJECT]));
        graphs.by_predicate.sort_unstable_by_key(|at| key(*at, [PREDICATE, OBJECT, SUBJECT]));
        Some(graphs)
    }

    /// The number of a term that some quad has.
    pub(super) fn number(&self, term: &Term) -> Option<u32> {
        u32::try_from(self.terms.get_index_of(term)?).ok()
    }

    fn triple(&self, at: u32) -> [u32; 3] {
        self.triples.get(at as usize).copied().unwrap_or_default()
    }

    /// The graphs of a triple.
    fn holders(&self, at: u32) -> &[u32] {
        let bound = |at: usize| self.begins.get(at).map_or(0, |place| *place as usize);
        self.holders.get(bound(at as usize)..bound(at as usize + 1)).unwrap_or_default()
    }

    /// The shortest list of triples among which all are that have these terms.
    fn candidates(&self, wanted: [Option<u32>; 3], graph: Option<u32>) -> Places<'_> {
        let [subject, predicate, object] = wanted;
        let mut best = Places::Range(0..number(self.triples.len()));
        if let Some(subject) = subject {
            let compare = |triple: &[u32; 3]| {
                let then = predicate.map_or(Ordering::Equal, |is| triple[PREDICATE].cmp(&is));
                triple[SUBJECT].cmp(&subject).then(then)
            };
            let found = bounds(&self.triples, compare);
            best = best.or(Places::Range(number(found.start)..number(found.end)));
        }
        if let Some(object) = object {
            let compare = |at: &u32| {
                let triple = self.triple(*at);
                let then = predicate.map_or(Ordering::Equal, |is| triple[PREDICATE].cmp(&is));
                triple[OBJECT].cmp(&object).then(then)
            };
            best = best.or(Places::List(within(&self.by_object, compare).iter()));
        } else if let (Some(predicate), None) = (predicate, subject) {
            let compare = |at: &u32| self.triple(*at)[PREDICATE].cmp(&predicate);
            best = best.or(Places::List(within(&self.by_predicate, compare).iter()));
        }
        if let Some(graph) = graph {
            let own = within(&self.by_graph, |(own, _)| own.cmp(&graph));
            best = best.or(Places::Graph(own.iter()));
        }
        best
    }
}

fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// Where the items of a sorted list stand that compare as equal.
fn bounds<T>(list: &[T], compare: impl Fn(&T) -> Ordering) -> Range<usize> {
    let start = list.partition_point(|item| compare(item).is_lt());
    let end = list.partition_point(|item| compare(item).is_le());
    start..end
}

fn within<T>(list: &[T], compare: impl Fn(&T) -> Ordering) -> &[T] {
    list.get(bounds(list, compare)).unwrap_or_default()
}

/// Places of triples.
enum Places<'a> {
    Range(Range<u32>),
    List(Iter<'a, u32>),
    Graph(Iter<'a, (u32, u32)>),
}

impl Places<'_> {
    fn or(self, other: Self) -> Self {
        if other.length() < self.length() { other } else { self }
    }

    fn length(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::List(list) => list.len(),
            Self::Graph(list) => list.len(),
        }
    }
}

impl Iterator for Places<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Self::Range(range) => range.next(),
            Self::List(list) => list.next().copied(),
            Self::Graph(list) => list.next().map(|(_, at)| *at),
        }
    }
}

/// The graphs with the default graph of one query.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) graphs: &'a Graphs,
    /// The graphs that are merged to the default graph, ascending; `None`: all.
    pub(super) merged: Option<&'a [u32]>,
}

/// A term of a query: one that some quad has, or another.
#[derive(Clone, Eq, Hash, PartialEq)]
pub(super) enum Value {
    Held(u32),
    Other(Box<Term>),
}

/// What a pattern wants of a place: anything, or one term; `None`: one that no quad has.
fn wanted(term: Option<&Value>) -> Option<Option<u32>> {
    match term {
        None => Some(None),
        Some(Value::Held(number)) => Some(Some(*number)),
        Some(Value::Other(_)) => None,
    }
}

impl<'a> QueryableDataset<'a> for View<'a> {
    type InternalTerm = Value;
    type Error = Infallible;

    fn internal_quads_for_pattern(
        &self,
        subject: Option<&Value>,
        predicate: Option<&Value>,
        object: Option<&Value>,
        graph_name: Option<Option<&Value>>,
    ) -> impl Iterator<Item = Result<InternalQuad<Value>, Infallible>> + use<'a> {
        let Self { graphs, merged } = *self;
        let terms = || Some([wanted(subject)?, wanted(predicate)?, wanted(object)?]);
        // Of the default graph, of one named graph, of any.
        let graph = match graph_name {
            None | Some(None) => Some(None),
            Some(Some(Value::Held(number))) => Some(Some(*number)),
            Some(Some(Value::Other(_))) => None,
        };
        let is_default = graph_name == Some(None);
        let places = terms().zip(graph).map(|(terms, graph)| {
            // A merge of one graph is that graph.
            let alone = match merged {
                Some([one]) if is_default => Some(*one),
                _ => None,
            };
            let fits = move |at: &u32| {
                let triple = graphs.triple(*at);
                terms.iter().zip(triple).all(|(wanted, is)| wanted.is_none_or(|one| one == is))
            };
            (graphs.candidates(terms, graph.or(alone)).filter(fits), graph)
        });
        places.into_iter().flat_map(move |(places, graph)| {
            places.flat_map(move |at| {
                let holders = graphs.holders(at);
                let quad = move |graph: Option<u32>| {
                    let [subject, predicate, object] = graphs.triple(at).map(Value::Held);
                    Ok(InternalQuad {
                        subject,
                        predicate,
                        object,
                        graph_name: graph.map(Value::Held),
                    })
                };
                let is_in = |graph: &u32| holders.binary_search(graph).is_ok();
                let is_merged = || merged.is_none_or(|merged| merged.iter().any(is_in));
                let (once, each): (_, &[u32]) = match graph {
                    _ if is_default => (is_merged().then_some(None), &[]),
                    Some(graph) => (is_in(&graph).then_some(Some(graph)), &[]),
                    None => (None, holders),
                };
                once.into_iter().chain(each.iter().map(|graph| Some(*graph))).map(quad)
            })
        })
    }

    fn internal_named_graphs(&self) -> impl Iterator<Item = Result<Value, Infallible>> + use<'a> {
        let by_graph = &self.graphs.by_graph;
        by_graph.chunk_by(|a, b| a.0 == b.0).filter_map(|own| Some(Ok(Value::Held(own.first()?.0))))
    }

    fn contains_internal_graph_name(&self, graph: &Value) -> Result<bool, Infallible> {
        let Value::Held(graph) = graph else { return Ok(false) };
        Ok(!within(&self.graphs.by_graph, |(own, _)| own.cmp(graph)).is_empty())
    }

    fn internalize_term(&self, term: Term) -> Result<Value, Infallible> {
        let held = self.graphs.number(&term);
        Ok(held.map_or_else(|| Value::Other(Box::new(term)), Value::Held))
    }

    fn externalize_term(&self, value: Value) -> Result<Term, Infallible> {
        Ok(match value {
            Value::Other(term) => *term,
            // Numbers are only those of `internalize_term` and of the triples.
            Value::Held(number) => self
                .graphs
                .terms
                .get_index(number as usize)
                .cloned()
                .unwrap_or_else(|| Literal::new_simple_literal("").into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use oxigraph::sparql::{QueryResults, SparqlEvaluator};
    use oxrdf::{Dataset, NamedNode};
    use proptest::prelude::*;

    use super::{Graphs, View};

    fn graphs(quads: &str) -> Graphs {
        Graphs::of(oxttl::NQuadsParser::new().for_slice(quads.as_bytes()).map(Result::ok)).unwrap()
    }

    fn rows(results: QueryResults<'_>) -> Vec<String> {
        let QueryResults::Solutions(solutions) = results else { panic!("no rows") };
        let mut rows: Vec<String> = solutions
            .map(|solution| {
                let solution = solution.unwrap();
                solution.iter().map(|(name, term)| format!("{name}={term} ")).collect()
            })
            .collect();
        rows.sort();
        rows
    }

    const SHARED: &str = "<a:p> <a:name> \"P\" <g:1> .\n<a:p> <a:name> \"P\" <g:2> .\n\
                          <a:1> <a:of> <a:p> <g:1> .\n<a:1> <a:n> \"10\"^^<http://www.w3.org/2001/XMLSchema#integer> <g:1> .\n\
                          <a:2> <a:of> <a:p> <g:2> .\n<a:2> <a:n> \"4\"^^<http://www.w3.org/2001/XMLSchema#integer> <g:2> .\n";

    fn ask(merged: Option<&[&str]>, query: &str) -> Vec<String> {
        let graphs = graphs(SHARED);
        let merged: Option<Vec<u32>> = merged.map(|names| {
            let number = |name: &&str| graphs.number(&NamedNode::new(*name).unwrap().into());
            let mut numbers: Vec<u32> = names.iter().filter_map(number).collect();
            numbers.sort_unstable();
            numbers
        });
        let view = View { graphs: &graphs, merged: merged.as_deref() };
        let query = SparqlEvaluator::new().parse_query(query).unwrap();
        rows(query.on_queryable_dataset(view).execute().unwrap())
    }

    #[test]
    fn what_documents_share_is_in_the_default_graph_once() {
        let all = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }";
        let five = ["?n=\"5\"^^<http://www.w3.org/2001/XMLSchema#integer> "];
        for merged in [None, Some(&["g:1", "g:2"][..])] {
            assert_eq!(ask(merged, all), five, "{merged:?}");
            let names = ask(merged, "SELECT ?a ?n { ?a <a:name> ?n }");
            assert_eq!(names.len(), 1, "{merged:?}: {names:?}");
            let sum = "SELECT (SUM(?n) AS ?all) { ?d <a:n> ?n; <a:of>/<a:name> ?name }";
            assert_eq!(
                ask(merged, sum),
                ["?all=\"14\"^^<http://www.w3.org/2001/XMLSchema#integer> "]
            );
        }
        assert_eq!(ask(Some(&["g:1"]), "SELECT * { ?s ?p ?o }").len(), 3);
        assert_eq!(ask(Some(&[]), "SELECT * { ?s ?p ?o }").len(), 0);
        assert_eq!(
            ask(None, "SELECT * { GRAPH ?g { ?s ?p ?o } }").len(),
            6,
            "graphs stay as they are"
        );
        assert_eq!(ask(None, "SELECT ?g { GRAPH ?g { } }").len(), 2);
        assert_eq!(ask(None, "SELECT * { GRAPH <g:2> { ?s ?p ?o } }").len(), 3);
        assert_eq!(ask(None, "SELECT * { GRAPH <g:3> { ?s ?p ?o } }").len(), 0);
    }

    proptest! {
        /// Every pattern has the same answer as over a dataset of the engine's own, of which the
        /// default graph holds each triple once.
        #[test]
        fn patterns_find_what_the_engines_own_dataset_finds(
            quads in prop::collection::btree_set((0_u8..4, 0_u8..4, 0_u8..4, 0_u8..3), 0..40),
            subject in prop::option::of(0_u8..5),
            predicate in prop::option::of(0_u8..5),
            object in prop::option::of(0_u8..5),
            place in 0_u8..6,
        ) {
            let (mut text, mut own) = (String::new(), Dataset::new());
            for (s, p, o, g) in &quads {
                text.push_str(&format!("<t:{s}> <t:{p}> <t:{o}> <g:{g}> .\n"));
                let node = |n: &u8| NamedNode::new(format!("t:{n}")).unwrap();
                let graph = NamedNode::new(format!("g:{g}")).unwrap();
                own.insert(&oxrdf::Quad::new(node(s), node(p), node(o), graph));
                let default = oxrdf::GraphName::DefaultGraph;
                own.insert(&oxrdf::Quad::new(node(s), node(p), node(o), default));
            }
            let term = |of: Option<u8>, name: &str| of.map_or(format!("?{name}"), |n| format!("<t:{n}>"));
            let pattern = format!("{} {} {}", term(subject, "s"), term(predicate, "p"), term(object, "o"));
            let query = match place {
                0 => format!("SELECT * {{ {pattern} }}"),
                1 => format!("SELECT * {{ GRAPH ?g {{ {pattern} }} }}"),
                2 => format!("SELECT * {{ {pattern} . ?o ?q ?x }}"),
                3 => "SELECT * { GRAPH ?g { } }".to_owned(),
                graph => format!("SELECT * {{ GRAPH <g:{}> {{ {pattern} }} }}", graph - 3),
            };
            let graphs = graphs(&text);
            let evaluated = SparqlEvaluator::new().parse_query(&query).unwrap();
            let view = View { graphs: &graphs, merged: None };
            let ours = rows(evaluated.clone().on_queryable_dataset(view).execute().unwrap());
            let theirs = rows(evaluated.on_queryable_dataset(&own).execute().unwrap());
            prop_assert_eq!(ours, theirs, "{}", query);
        }
    }
}
