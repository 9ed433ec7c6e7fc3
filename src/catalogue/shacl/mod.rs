//! W3C SHACL Core on `oxrdf` graphs: the components that catalogue shapes use, and a report in
//! the steward's words.
//!
//! A shape that uses a component which is not here is refused when it is read, so that no rule
//! is silently ignored. Judged against pySHACL in `conformance/catalogue/`.

mod fields;
mod read;
mod validate;
mod values;

use std::collections::{BTreeSet, HashMap, HashSet};

use oxrdf::vocab::rdf;
use oxrdf::{Graph, Literal, NamedNode, NamedOrBlankNode, Term, TermRef};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use fields::{FieldsFile, Problem};
use read::{Reader, apart, sh};
use validate::Check;
pub(super) use values::is_duration;

const SH: &str = "http://www.w3.org/ns/shacl#";

/// Shapes, read from Turtle.
#[derive(Debug, Default)]
pub struct Shapes {
    shapes: Vec<Shape>,
}

/// How grave a result is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Recommended, not demanded.
    Warning,
    /// The document must not be published.
    Violation,
}

/// A result of validation (SHACL section 3.6.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The node that was checked.
    pub focus: Term,
    /// The path's first property, if the shape has one.
    pub property: Option<NamedNode>,
    /// The value that breaks the rule.
    pub value: Option<Term>,
    /// Local name of the constraint component: `MinCountConstraintComponent`.
    pub component: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The shape's message, or one of ours.
    pub message: String,
}

#[derive(Debug)]
struct Shape {
    path: Option<Path>,
    target_classes: Vec<NamedNode>,
    target_nodes: Vec<Term>,
    target_subjects_of: Vec<NamedNode>,
    target_objects_of: Vec<NamedNode>,
    constraints: Vec<Constraint>,
    severity: Severity,
    message: Option<String>,
}

#[derive(Clone, Debug)]
enum Path {
    Predicate(NamedNode),
    Inverse(Box<Self>),
    Sequence(Vec<Self>),
    Alternative(Vec<Self>),
    ZeroOrOne(Box<Self>),
    ZeroOrMore(Box<Self>),
    OneOrMore(Box<Self>),
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    MinInclusive,
    MaxInclusive,
    MinExclusive,
    MaxExclusive,
}

#[derive(Debug)]
enum Constraint {
    Class(NamedNode),
    Datatype(NamedNode),
    NodeKind(NamedNode),
    MinCount(usize),
    MaxCount(usize),
    Range(Bound, Literal),
    MinLength(usize),
    MaxLength(usize),
    Pattern(Regex),
    LanguageIn(Vec<String>),
    UniqueLang,
    Equals(NamedNode),
    Disjoint(NamedNode),
    LessThan { other: NamedNode, or_equal: bool },
    Not(usize),
    And(Vec<usize>),
    Or(Vec<usize>),
    ExactlyOne(Vec<usize>),
    Node(usize),
    Property(usize),
    Qualified { shape: usize, min: Option<usize>, max: Option<usize> },
    Closed(HashSet<NamedNode>),
    HasValue(Term),
    In(Vec<Term>),
}

impl Constraint {
    const fn component(&self) -> &'static str {
        match self {
            Self::Class(_) => "ClassConstraintComponent",
            Self::Datatype(_) => "DatatypeConstraintComponent",
            Self::NodeKind(_) => "NodeKindConstraintComponent",
            Self::MinCount(_) => "MinCountConstraintComponent",
            Self::MaxCount(_) => "MaxCountConstraintComponent",
            Self::Range(Bound::MinInclusive, _) => "MinInclusiveConstraintComponent",
            Self::Range(Bound::MaxInclusive, _) => "MaxInclusiveConstraintComponent",
            Self::Range(Bound::MinExclusive, _) => "MinExclusiveConstraintComponent",
            Self::Range(Bound::MaxExclusive, _) => "MaxExclusiveConstraintComponent",
            Self::MinLength(_) => "MinLengthConstraintComponent",
            Self::MaxLength(_) => "MaxLengthConstraintComponent",
            Self::Pattern(_) => "PatternConstraintComponent",
            Self::LanguageIn(_) => "LanguageInConstraintComponent",
            Self::UniqueLang => "UniqueLangConstraintComponent",
            Self::Equals(_) => "EqualsConstraintComponent",
            Self::Disjoint(_) => "DisjointConstraintComponent",
            Self::LessThan { or_equal: false, .. } => "LessThanConstraintComponent",
            Self::LessThan { or_equal: true, .. } => "LessThanOrEqualsConstraintComponent",
            Self::Not(_) => "NotConstraintComponent",
            Self::And(_) => "AndConstraintComponent",
            Self::Or(_) => "OrConstraintComponent",
            Self::ExactlyOne(_) => "XoneConstraintComponent",
            Self::Node(_) => "NodeConstraintComponent",
            Self::Property(_) => "PropertyConstraintComponent",
            Self::Qualified { min: Some(_), .. } => "QualifiedMinCountConstraintComponent",
            Self::Qualified { min: None, .. } => "QualifiedMaxCountConstraintComponent",
            Self::Closed(_) => "ClosedConstraintComponent",
            Self::HasValue(_) => "HasValueConstraintComponent",
            Self::In(_) => "InConstraintComponent",
        }
    }
}

// ---------------------------------------------------------------- reading shapes

impl Shapes {
    /// Reads shapes from one or more Turtle texts, each with its name for messages.
    ///
    /// # Errors
    /// [`Error::Configuration`] for broken Turtle or a component that this engine does not know.
    pub fn read(files: &[(&str, &str)]) -> Result<Self> {
        let mut graph = Graph::new();
        for (place, (name, text)) in files.iter().enumerate() {
            for triple in oxttl::TurtleParser::new().for_slice(text) {
                let triple = triple.map_err(|failure| {
                    Error::Configuration(format!("catalogue/shapes/{name}: {failure}"))
                })?;
                graph.insert(&apart(triple, place));
            }
        }
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let mut reader = Reader { graph: &graph, numbers: HashMap::new(), shapes: Vec::new() };
        let mut roots: BTreeSet<String> = BTreeSet::new();
        let mut nodes: HashMap<String, NamedOrBlankNode> = HashMap::new();
        for triple in &graph {
            let is_root = triple.predicate == rdf::TYPE
                && matches!(triple.object, TermRef::NamedNode(node)
                    if node.as_str() == sh("NodeShape") || node.as_str() == sh("PropertyShape"))
                || [
                    sh("targetClass"),
                    sh("targetNode"),
                    sh("targetSubjectsOf"),
                    sh("targetObjectsOf"),
                ]
                .iter()
                .any(|target| triple.predicate.as_str() == target);
            if is_root {
                let key = triple.subject.to_string();
                nodes.insert(key.clone(), triple.subject.into_owned());
                roots.insert(key);
            }
        }
        for root in roots {
            if let Some(node) = nodes.get(&root) {
                reader.shape(node.clone()).map_err(|problem| {
                    Error::Configuration(format!(
                        "catalogue/shapes ({}): {problem}",
                        names.join(", ")
                    ))
                })?;
            }
        }
        let shapes = reader.shapes.into_iter().flatten().collect();
        Ok(Self { shapes })
    }

    /// Checks `data`. Membership and classes are looked up in `background` too, but only nodes
    /// of `data` are targets.
    #[must_use]
    pub fn validate(&self, data: &Graph, background: &Graph) -> Vec<Outcome> {
        let mut check = Check { shapes: &self.shapes, data, background, depth: 0 };
        let mut outcomes = Vec::new();
        for (number, shape) in self.shapes.iter().enumerate() {
            for focus in check.targets(shape) {
                check.shape(number, &focus, &mut outcomes);
            }
        }
        outcomes.sort_by_cached_key(|outcome| {
            (
                std::cmp::Reverse(outcome.severity),
                outcome.focus.to_string(),
                outcome.property.as_ref().map(ToString::to_string),
                outcome.component,
                outcome.value.as_ref().map(ToString::to_string),
                outcome.message.clone(),
            )
        });
        outcomes.dedup();
        outcomes
    }
}
