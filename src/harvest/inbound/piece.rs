//! The dataset's own piece of a source's graph, in an order of its own: what the dataset says,
//! with its blank nodes and the things of the source's namespaces that it leads to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use oxrdf::vocab::rdf;
use oxrdf::{
    BlankNode, Graph, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, TermRef,
    Triple,
};

use crate::catalogue::digest;

/// Triples of a dataset.
const TRIPLES: usize = 50_000;
/// Blank nodes of a dataset.
const BLANKS: usize = 5_000;
/// Rounds that tell blank nodes apart: chains of them are no longer.
const ROUNDS: usize = 100;

/// How often statements of one document may be looked at to cut its datasets out. A thousand
/// datasets that all lead to the same long list would cost a thousand times its length.
pub(super) struct Effort(usize);

impl Effort {
    /// What a document of so many statements may cost.
    pub(super) const fn of(statements: usize) -> Self {
        Self(statements.saturating_mul(10).saturating_add(500_000))
    }

    fn spend(&mut self, statements: usize) -> Result<(), (&'static str, String)> {
        match self.0.checked_sub(statements) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => {
                self.0 = 0;
                Err(("too-costly", "the datasets of the document share too much".to_owned()))
            }
        }
    }
}

pub(super) const DCAT: &str = "http://www.w3.org/ns/dcat#";

/// Things with a life of their own, which a dataset does not take along.
const APART: &[&str] = &["Dataset", "DatasetSeries", "Catalog", "CatalogRecord"];

/// What services, catalogues, series and records say of the datasets that share them (DCAT 3), and
/// containers of their members (LDP 1.0, Hydra): of others, it is no part of this dataset, and would
/// change it with each of them.
const OF_MEMBERS: &[&str] = &[
    "http://www.w3.org/ns/dcat#servesDataset",
    "http://www.w3.org/ns/dcat#dataset",
    "http://www.w3.org/ns/dcat#resource",
    "http://www.w3.org/ns/dcat#record",
    "http://www.w3.org/ns/dcat#seriesMember",
    "http://www.w3.org/ns/dcat#first",
    "http://www.w3.org/ns/dcat#last",
    "http://purl.org/dc/terms/hasPart",
    "http://www.w3.org/ns/ldp#contains",
    "http://www.w3.org/ns/hydra/core#member",
    "http://xmlns.com/foaf/0.1/primaryTopic",
    "http://xmlns.com/foaf/0.1/made",
];

/// The datasets that a graph describes; blank nodes are counted.
pub(super) fn datasets(graph: &Graph) -> (Vec<NamedNode>, usize) {
    let class = NamedNode::new_unchecked(format!("{DCAT}Dataset"));
    let (mut named, mut blank) = (Vec::new(), 0);
    for subject in graph.subjects_for_predicate_object(rdf::TYPE, &class) {
        match subject {
            NamedOrBlankNodeRef::NamedNode(node) => named.push(node.into_owned()),
            NamedOrBlankNodeRef::BlankNode(_) => blank += 1,
        }
    }
    named.sort();
    (named, blank)
}

fn is_apart(graph: &Graph, node: NamedNodeRef<'_>) -> bool {
    graph.objects_for_subject_predicate(node, rdf::TYPE).any(|kind| match kind {
        TermRef::NamedNode(kind) => {
            kind.as_str().strip_prefix(DCAT).is_some_and(|name| APART.contains(&name))
        }
        _ => false,
    })
}

/// What was cut out, and how many statements about others' things were left.
pub(super) struct Piece {
    pub(super) graph: Graph,
    pub(super) foreign: usize,
}

/// Cuts a dataset out of a graph; why not, otherwise.
pub(super) fn cut(
    graph: &Graph,
    dataset: &NamedNode,
    is_own: impl Fn(&str) -> bool,
    effort: &mut Effort,
) -> Result<Piece, (&'static str, String)> {
    let mut piece = Graph::new();
    let mut foreign = 0;
    let mut seen: HashSet<NamedOrBlankNode> = HashSet::new();
    let mut open: Vec<NamedOrBlankNode> = vec![dataset.clone().into()];
    while let Some(subject) = open.pop() {
        if !seen.insert(subject.clone()) {
            continue;
        }
        let is_itself = subject == NamedOrBlankNode::NamedNode(dataset.clone());
        let (before, mut left_out) = (piece.len(), 0);
        for triple in graph.triples_for_subject(&subject) {
            if piece.len() > TRIPLES {
                break;
            }
            let is_of_members = OF_MEMBERS.contains(&triple.predicate.as_str());
            if !is_itself && is_of_members && triple.object != dataset.as_ref().into() {
                left_out += 1;
                continue;
            }
            piece.insert(triple);
            match triple.object {
                TermRef::BlankNode(node) => open.push(node.into_owned().into()),
                TermRef::NamedNode(node) => {
                    let is_own = is_own(node.as_str());
                    if is_own && !is_apart(graph, node) {
                        open.push(node.into_owned().into());
                    } else if !is_own && seen.insert(node.into_owned().into()) {
                        let statements = graph.triples_for_subject(node).take(TRIPLES).count();
                        effort.spend(statements)?;
                        foreign += statements;
                    }
                }
                _ => {}
            }
        }
        // To leave a statement out costs far less than to keep it.
        effort.spend(piece.len() - before + left_out / 16)?;
        if piece.len() > TRIPLES {
            return Err(("large-dataset", format!("more than {TRIPLES} statements")));
        }
    }
    Ok(Piece { graph: named_apart(&piece, effort)?, foreign })
}

/// The document of a piece, always the same for the same statements: its lines in order. Blank
/// nodes have their labels already.
pub(super) fn lines(graph: &Graph) -> String {
    let mut lines: Vec<String> = graph.iter().map(|triple| format!("{triple} .\n")).collect();
    lines.sort_unstable();
    lines.concat()
}

/// Gives blank nodes labels that follow from what they say and who speaks of them.
///
/// RDFC-1.0 takes a time that grows with the factorial of nodes that look alike, which a hostile
/// document can bring; here nodes that look alike are one when they form a tree (then the graph
/// says the same), and refused otherwise.
fn named_apart(graph: &Graph, effort: &mut Effort) -> Result<Graph, (&'static str, String)> {
    let blanks: HashSet<BlankNode> = graph
        .iter()
        .flat_map(|triple| {
            let subject = match triple.subject {
                NamedOrBlankNodeRef::BlankNode(node) => Some(node.into_owned()),
                NamedOrBlankNodeRef::NamedNode(_) => None,
            };
            let object = match triple.object {
                TermRef::BlankNode(node) => Some(node.into_owned()),
                _ => None,
            };
            subject.into_iter().chain(object)
        })
        .collect();
    if blanks.is_empty() {
        return Ok(graph.clone());
    }
    if blanks.len() > BLANKS {
        return Err(("blank-nodes", format!("more than {BLANKS} blank nodes")));
    }
    let mut colours: HashMap<BlankNode, String> =
        blanks.iter().map(|node| (node.clone(), String::new())).collect();
    let mut distinct = 0;
    let mut rounds = 0;
    loop {
        effort.spend(graph.len())?;
        let next = refine(graph, &colours);
        let now = next.values().collect::<BTreeSet<_>>().len();
        colours = next;
        if now == distinct {
            break;
        }
        distinct = now;
        rounds += 1;
        if rounds > ROUNDS {
            return Err(("blank-nodes", "a chain of blank nodes that is too long".to_owned()));
        }
    }
    let mut sharing: BTreeMap<&str, usize> = BTreeMap::new();
    for colour in colours.values() {
        *sharing.entry(colour).or_default() += 1;
    }
    for (node, colour) in &colours {
        let is_alike = sharing.get(colour.as_str()).is_some_and(|count| *count > 1);
        if is_alike && graph.triples_for_object(node).count() != 1 {
            let detail = "blank nodes that cannot be told apart; give them IRIs";
            return Err(("blank-nodes", detail.to_owned()));
        }
    }
    let label = |node: &BlankNode| {
        let colour = colours.get(node).map_or("", String::as_str);
        BlankNode::new_unchecked(format!("b{}", colour.get(..24).unwrap_or_default()))
    };
    let mut named = Graph::new();
    for triple in graph.iter() {
        let mut triple: Triple = triple.into_owned();
        if let NamedOrBlankNode::BlankNode(node) = &triple.subject {
            triple.subject = label(node).into();
        }
        if let oxrdf::Term::BlankNode(node) = &triple.object {
            triple.object = label(node).into();
        }
        named.insert(&triple);
    }
    Ok(named)
}

/// A round: each blank node's colour is what it was, with what stands around it.
fn refine(graph: &Graph, colours: &HashMap<BlankNode, String>) -> HashMap<BlankNode, String> {
    let of = |node: &BlankNode| colours.get(node).map_or("", String::as_str).to_owned();
    let mut around: HashMap<BlankNode, Vec<String>> = HashMap::new();
    for triple in graph.iter() {
        let subject = match triple.subject {
            NamedOrBlankNodeRef::BlankNode(node) => format!("_:{}", of(&node.into_owned())),
            NamedOrBlankNodeRef::NamedNode(node) => node.to_string(),
        };
        let object = match triple.object {
            TermRef::BlankNode(node) => format!("_:{}", of(&node.into_owned())),
            other => other.to_string(),
        };
        if let NamedOrBlankNodeRef::BlankNode(node) = triple.subject {
            let words = format!("> {} {object}", triple.predicate);
            around.entry(node.into_owned()).or_default().push(words);
        }
        if let TermRef::BlankNode(node) = triple.object {
            let words = format!("< {} {subject}", triple.predicate);
            around.entry(node.into_owned()).or_default().push(words);
        }
    }
    colours
        .iter()
        .map(|(node, colour)| {
            let mut words = around.remove(node).unwrap_or_default();
            words.sort_unstable();
            (node.clone(), digest(&format!("{colour}\n{}", words.join("\n"))))
        })
        .collect()
}
