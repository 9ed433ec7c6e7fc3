//! W3C SHACL Core on `oxrdf` graphs: the components that catalogue shapes use, and a report in
//! the steward's words.
//!
//! A shape that uses a component which is not here is refused when it is read, so that no rule
//! is silently ignored. Judged against pySHACL in `conformance/catalogue/`.

use std::collections::{BTreeSet, HashMap, HashSet};

use oxrdf::vocab::{rdf, rdfs, xsd};
use oxrdf::{
    Graph, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Term, TermRef,
};
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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

/// Blank nodes of different files are different nodes, whatever their labels.
fn apart(triple: oxrdf::Triple, place: usize) -> oxrdf::Triple {
    let rename = |node: oxrdf::BlankNode| {
        oxrdf::BlankNode::new(format!("f{place}x{}", node.as_str())).unwrap_or(node)
    };
    let subject = match triple.subject {
        NamedOrBlankNode::BlankNode(node) => NamedOrBlankNode::BlankNode(rename(node)),
        other => other,
    };
    let object = match triple.object {
        Term::BlankNode(node) => Term::BlankNode(rename(node)),
        other => other,
    };
    oxrdf::Triple { subject, predicate: triple.predicate, object }
}

fn sh(name: &str) -> String {
    format!("{SH}{name}")
}

struct Reader<'g> {
    graph: &'g Graph,
    numbers: HashMap<NamedOrBlankNode, usize>,
    shapes: Vec<Option<Shape>>,
}

impl Reader<'_> {
    fn objects(&self, node: &NamedOrBlankNode, name: &str) -> Vec<Term> {
        let predicate = NamedNode::new_unchecked(sh(name));
        let mut objects: Vec<Term> = self
            .graph
            .objects_for_subject_predicate(node, &predicate)
            .map(TermRef::into_owned)
            .collect();
        objects.sort_by_cached_key(ToString::to_string);
        objects
    }

    fn shape(&mut self, node: NamedOrBlankNode) -> Result<usize, String> {
        if let Some(number) = self.numbers.get(&node) {
            return Ok(*number);
        }
        let number = self.shapes.len();
        self.numbers.insert(node.clone(), number);
        self.shapes.push(None);
        let shape = self.read(&node)?;
        self.shapes[number] = Some(shape);
        Ok(number)
    }

    fn read(&mut self, node: &NamedOrBlankNode) -> Result<Shape, String> {
        let mut shape = Shape {
            path: None,
            target_classes: Vec::new(),
            target_nodes: Vec::new(),
            target_subjects_of: Vec::new(),
            target_objects_of: Vec::new(),
            constraints: Vec::new(),
            severity: Severity::Violation,
            message: None,
        };
        let mut names: BTreeSet<String> = BTreeSet::new();
        for triple in self.graph.triples_for_subject(node) {
            if let Some(name) = triple.predicate.as_str().strip_prefix(SH) {
                names.insert(name.to_owned());
            }
        }
        for name in &names {
            for value in self.objects(node, name) {
                self.parameter(node, name, value, &mut shape)?;
            }
        }
        Ok(shape)
    }

    fn parameter(
        &mut self,
        node: &NamedOrBlankNode,
        name: &str,
        value: Term,
        shape: &mut Shape,
    ) -> Result<(), String> {
        let constraint = match name {
            "path" => {
                shape.path = Some(self.path(&value)?);
                return Ok(());
            }
            "targetClass" => {
                shape.target_classes.push(iri(&value)?);
                return Ok(());
            }
            "targetNode" => {
                shape.target_nodes.push(value);
                return Ok(());
            }
            "targetSubjectsOf" => {
                shape.target_subjects_of.push(iri(&value)?);
                return Ok(());
            }
            "targetObjectsOf" => {
                shape.target_objects_of.push(iri(&value)?);
                return Ok(());
            }
            "severity" => {
                shape.severity = match iri(&value)?.as_str().strip_prefix(SH) {
                    Some("Violation") => Severity::Violation,
                    Some("Warning") => Severity::Warning,
                    Some("Info") => Severity::Info,
                    _ => return Err(format!("severity {value} is not known")),
                };
                return Ok(());
            }
            "message" => {
                if let Term::Literal(text) = &value
                    && (shape.message.is_none() || text.language() == Some("en"))
                {
                    shape.message = Some(text.value().to_owned());
                }
                return Ok(());
            }
            "deactivated" if !is_true(&value) => return Ok(()),
            // Read together with their leading parameter, or words for people.
            "flags" | "ignoredProperties" | "qualifiedMinCount" | "qualifiedMaxCount" | "name"
            | "description" | "order" | "group" | "defaultValue" => return Ok(()),
            "class" => Constraint::Class(iri(&value)?),
            "datatype" => Constraint::Datatype(iri(&value)?),
            "nodeKind" => Constraint::NodeKind(iri(&value)?),
            "minCount" => Constraint::MinCount(number(&value)?),
            "maxCount" => Constraint::MaxCount(number(&value)?),
            "minLength" => Constraint::MinLength(number(&value)?),
            "maxLength" => Constraint::MaxLength(number(&value)?),
            "minInclusive" => Constraint::Range(Bound::MinInclusive, literal(value)?),
            "maxInclusive" => Constraint::Range(Bound::MaxInclusive, literal(value)?),
            "minExclusive" => Constraint::Range(Bound::MinExclusive, literal(value)?),
            "maxExclusive" => Constraint::Range(Bound::MaxExclusive, literal(value)?),
            "pattern" => {
                let flags = self.objects(node, "flags").into_iter().next();
                let flags = flags
                    .map(literal)
                    .transpose()?
                    .map_or_else(String::new, |f| f.value().to_owned());
                if flags.contains(|flag: char| !"imsx".contains(flag)) {
                    return Err(format!("flags `{flags}` are not known"));
                }
                let text = literal(value)?;
                let text = if flags.is_empty() {
                    text.value().to_owned()
                } else {
                    format!("(?{flags}){}", text.value())
                };
                Constraint::Pattern(Regex::new(&text).map_err(|failure| failure.to_string())?)
            }
            "languageIn" => {
                let tags: Result<Vec<_>, _> = self.list(&value)?.into_iter().map(literal).collect();
                Constraint::LanguageIn(tags?.iter().map(|tag| tag.value().to_lowercase()).collect())
            }
            "uniqueLang" if is_true(&value) => Constraint::UniqueLang,
            "uniqueLang" => return Ok(()),
            "equals" => Constraint::Equals(iri(&value)?),
            "disjoint" => Constraint::Disjoint(iri(&value)?),
            "lessThan" => Constraint::LessThan { other: iri(&value)?, or_equal: false },
            "lessThanOrEquals" => Constraint::LessThan { other: iri(&value)?, or_equal: true },
            "not" => Constraint::Not(self.shape(node_of(value)?)?),
            "and" => Constraint::And(self.shape_list(&value)?),
            "or" => Constraint::Or(self.shape_list(&value)?),
            "xone" => Constraint::ExactlyOne(self.shape_list(&value)?),
            "node" => Constraint::Node(self.shape(node_of(value)?)?),
            "property" => Constraint::Property(self.shape(node_of(value)?)?),
            "qualifiedValueShape" => {
                let inner = self.shape(node_of(value)?)?;
                let bound = |name: &str| -> Result<Option<usize>, String> {
                    self.objects(node, name).first().map(number).transpose()
                };
                let (min, max) = (bound("qualifiedMinCount")?, bound("qualifiedMaxCount")?);
                if let Some(max) = max {
                    shape.constraints.push(Constraint::Qualified {
                        shape: inner,
                        min: None,
                        max: Some(max),
                    });
                }
                if min.is_none() {
                    return Ok(());
                }
                Constraint::Qualified { shape: inner, min, max: None }
            }
            "closed" if is_true(&value) => {
                let mut allowed = HashSet::new();
                for ignored in self.objects(node, "ignoredProperties") {
                    for item in self.list(&ignored)? {
                        allowed.insert(iri(&item)?);
                    }
                }
                for property in self.objects(node, "property") {
                    let property = node_of(property)?;
                    for path in self.objects(&property, "path") {
                        if let Term::NamedNode(path) = path {
                            allowed.insert(path);
                        }
                    }
                }
                Constraint::Closed(allowed)
            }
            "closed" => return Ok(()),
            "hasValue" => Constraint::HasValue(value),
            "in" => Constraint::In(self.list(&value)?),
            other => return Err(format!("`sh:{other}` is not supported by this engine")),
        };
        shape.constraints.push(constraint);
        Ok(())
    }

    fn shape_list(&mut self, list: &Term) -> Result<Vec<usize>, String> {
        self.list(list)?.into_iter().map(|item| self.shape(node_of(item)?)).collect()
    }

    fn list(&self, head: &Term) -> Result<Vec<Term>, String> {
        let mut items = Vec::new();
        let mut place = head.clone();
        while place != Term::from(rdf::NIL.into_owned()) {
            let node = node_of(place)?;
            let first = self.graph.object_for_subject_predicate(&node, rdf::FIRST);
            let rest = self.graph.object_for_subject_predicate(&node, rdf::REST);
            let (Some(first), Some(rest)) = (first, rest) else {
                return Err("a list is broken".to_owned());
            };
            items.push(first.into_owned());
            if items.len() > 10_000 {
                return Err("a list is endless".to_owned());
            }
            place = rest.into_owned();
        }
        Ok(items)
    }

    fn path(&self, value: &Term) -> Result<Path, String> {
        if let Term::NamedNode(node) = value {
            return Ok(Path::Predicate(node.clone()));
        }
        let node = node_of(value.clone())?;
        let one = |name: &str| self.objects(&node, name).into_iter().next();
        if let Some(inner) = one("inversePath") {
            return Ok(Path::Inverse(Box::new(self.path(&inner)?)));
        }
        if let Some(list) = one("alternativePath") {
            let paths: Result<_, _> =
                self.list(&list)?.iter().map(|item| self.path(item)).collect();
            return Ok(Path::Alternative(paths?));
        }
        for (name, make) in [
            ("zeroOrOnePath", Path::ZeroOrOne as fn(Box<Path>) -> Path),
            ("zeroOrMorePath", Path::ZeroOrMore),
            ("oneOrMorePath", Path::OneOrMore),
        ] {
            if let Some(inner) = one(name) {
                return Ok(make(Box::new(self.path(&inner)?)));
            }
        }
        let paths: Result<_, _> = self.list(value)?.iter().map(|item| self.path(item)).collect();
        Ok(Path::Sequence(paths?))
    }
}

fn iri(value: &Term) -> Result<NamedNode, String> {
    match value {
        Term::NamedNode(node) => Ok(node.clone()),
        other => Err(format!("{other} should be an IRI")),
    }
}

fn literal(value: Term) -> Result<Literal, String> {
    match value {
        Term::Literal(literal) => Ok(literal),
        other => Err(format!("{other} should be a literal")),
    }
}

fn number(value: &Term) -> Result<usize, String> {
    literal(value.clone())?.value().parse().map_err(|_| format!("{value} should be a number"))
}

fn node_of(value: Term) -> Result<NamedOrBlankNode, String> {
    match value {
        Term::NamedNode(node) => Ok(node.into()),
        Term::BlankNode(node) => Ok(node.into()),
        other => Err(format!("{other} should be a shape")),
    }
}

fn is_true(value: &Term) -> bool {
    matches!(value, Term::Literal(literal) if matches!(literal.value(), "true" | "1"))
}

// ---------------------------------------------------------------- checking

struct Check<'a> {
    shapes: &'a [Shape],
    data: &'a Graph,
    background: &'a Graph,
    depth: usize,
}

impl Check<'_> {
    fn targets(&self, shape: &Shape) -> Vec<Term> {
        let mut targets: BTreeSet<(String, usize)> = BTreeSet::new();
        let mut terms: Vec<Term> = Vec::new();
        let mut add = |term: Term| {
            targets.insert((term.to_string(), terms.len()));
            terms.push(term);
        };
        for class in &shape.target_classes {
            for kind in self.subclasses(class) {
                for subject in self.data.subjects_for_predicate_object(rdf::TYPE, &kind) {
                    add(subject.into_owned().into());
                }
            }
        }
        for node in &shape.target_nodes {
            add(node.clone());
        }
        for predicate in &shape.target_subjects_of {
            for triple in self.data.triples_for_predicate(predicate) {
                add(triple.subject.into_owned().into());
            }
        }
        for predicate in &shape.target_objects_of {
            for triple in self.data.triples_for_predicate(predicate) {
                add(triple.object.into_owned());
            }
        }
        let mut last: Option<&str> = None;
        let mut unique = Vec::new();
        for (key, place) in &targets {
            if last != Some(key.as_str()) {
                unique.push(terms[*place].clone());
            }
            last = Some(key);
        }
        unique
    }

    /// The class and everything below it (`rdfs:subClassOf`, in either graph).
    fn subclasses(&self, class: &NamedNode) -> Vec<NamedNode> {
        let mut found = vec![class.clone()];
        let mut place = 0;
        while let Some(class) = found.get(place).cloned() {
            for graph in [self.data, self.background] {
                for subject in graph.subjects_for_predicate_object(rdfs::SUB_CLASS_OF, &class) {
                    if let NamedOrBlankNodeRef::NamedNode(node) = subject {
                        let node = node.into_owned();
                        if !found.contains(&node) {
                            found.push(node);
                        }
                    }
                }
            }
            place += 1;
        }
        found
    }

    fn has_class(&self, value: &Term, class: &NamedNode) -> bool {
        let Some(node) = resource(value) else { return false };
        self.subclasses(class).iter().any(|class| {
            [self.data, self.background]
                .iter()
                .any(|graph| graph.contains(oxrdf::TripleRef::new(node, rdf::TYPE, class)))
        })
    }

    fn objects(&self, value: &Term, predicate: NamedNodeRef<'_>) -> Vec<Term> {
        let Some(node) = resource(value) else { return Vec::new() };
        let mut objects: Vec<Term> = self
            .data
            .objects_for_subject_predicate(node, predicate)
            .map(TermRef::into_owned)
            .collect();
        for object in self.background.objects_for_subject_predicate(node, predicate) {
            let object = object.into_owned();
            if !objects.contains(&object) {
                objects.push(object);
            }
        }
        objects
    }

    fn follow(&self, from: &Term, path: &Path) -> Vec<Term> {
        let mut values = match path {
            Path::Predicate(predicate) => self.objects(from, predicate.as_ref()),
            Path::Inverse(inner) => self.follow_back(from, inner),
            Path::Sequence(steps) => {
                let mut values = vec![from.clone()];
                for step in steps {
                    values = values.iter().flat_map(|value| self.follow(value, step)).collect();
                }
                values
            }
            Path::Alternative(paths) => {
                paths.iter().flat_map(|path| self.follow(from, path)).collect()
            }
            Path::ZeroOrOne(inner) => {
                let mut values = vec![from.clone()];
                values.extend(self.follow(from, inner));
                values
            }
            Path::ZeroOrMore(inner) => self.closure(vec![from.clone()], inner),
            Path::OneOrMore(inner) => self.closure(self.follow(from, inner), inner),
        };
        let mut seen = HashSet::new();
        values.retain(|value| seen.insert(value.clone()));
        values
    }

    fn closure(&self, start: Vec<Term>, inner: &Path) -> Vec<Term> {
        let mut found = start;
        let mut place = 0;
        while let Some(value) = found.get(place).cloned() {
            for next in self.follow(&value, inner) {
                if !found.contains(&next) {
                    found.push(next);
                }
            }
            place += 1;
        }
        found
    }

    fn follow_back(&self, from: &Term, path: &Path) -> Vec<Term> {
        match path {
            Path::Predicate(predicate) => [self.data, self.background]
                .iter()
                .flat_map(|graph| graph.subjects_for_predicate_object(predicate, from))
                .map(|subject| subject.into_owned().into())
                .collect(),
            Path::Inverse(inner) => self.follow(from, inner),
            Path::Sequence(steps) => {
                let mut values = vec![from.clone()];
                for step in steps.iter().rev() {
                    values =
                        values.iter().flat_map(|value| self.follow_back(value, step)).collect();
                }
                values
            }
            Path::Alternative(paths) => {
                paths.iter().flat_map(|path| self.follow_back(from, path)).collect()
            }
            // The backward closure of a step is the closure of the backward step.
            Path::ZeroOrOne(inner) => {
                let mut values = vec![from.clone()];
                values.extend(self.follow_back(from, inner));
                values
            }
            Path::ZeroOrMore(inner) => {
                self.closure(vec![from.clone()], &Path::Inverse(inner.clone()))
            }
            Path::OneOrMore(inner) => {
                self.closure(self.follow_back(from, inner), &Path::Inverse(inner.clone()))
            }
        }
    }

    fn conforms(&mut self, number: usize, focus: &Term) -> bool {
        let mut outcomes = Vec::new();
        self.shape(number, focus, &mut outcomes);
        // SHACL section 3.4: conformance counts results of every severity.
        outcomes.is_empty()
    }

    fn shape(&mut self, number: usize, focus: &Term, outcomes: &mut Vec<Outcome>) {
        // SHACL leaves recursive shapes undefined; data cannot drive us deeper than shapes go.
        if self.depth > 32 {
            return;
        }
        let Some(shape) = self.shapes.get(number) else { return };
        self.depth += 1;
        let values = match &shape.path {
            Some(path) => self.follow(focus, path),
            None => vec![focus.clone()],
        };
        for constraint in &shape.constraints {
            if let Constraint::Property(inner) = constraint {
                for value in &values {
                    self.shape(*inner, value, outcomes);
                }
                continue;
            }
            if let Constraint::Closed(allowed) = constraint {
                self.closed(shape, constraint, allowed, &values, outcomes);
            }
            for value in self.broken(constraint, focus, &values) {
                outcomes.push(Outcome {
                    focus: focus.clone(),
                    property: shape.path.as_ref().and_then(first_property),
                    message: shape.message.clone().unwrap_or_else(|| describe(constraint)),
                    component: constraint.component(),
                    severity: shape.severity,
                    value,
                });
            }
        }
        self.depth -= 1;
    }

    /// SHACL section 4.8.1: the result's path is the property that is not allowed.
    fn closed(
        &self,
        shape: &Shape,
        constraint: &Constraint,
        allowed: &HashSet<NamedNode>,
        values: &[Term],
        outcomes: &mut Vec<Outcome>,
    ) {
        for value in values {
            let Some(node) = resource(value) else { continue };
            for triple in self.data.triples_for_subject(node) {
                let property = triple.predicate.into_owned();
                if !allowed.contains(&property) {
                    outcomes.push(Outcome {
                        focus: value.clone(),
                        property: Some(property),
                        message: shape.message.clone().unwrap_or_else(|| describe(constraint)),
                        component: constraint.component(),
                        severity: shape.severity,
                        value: Some(triple.object.into_owned()),
                    });
                }
            }
        }
    }

    /// The values that break the constraint; `None` where the set of values as a whole does.
    fn broken(
        &mut self,
        constraint: &Constraint,
        focus: &Term,
        values: &[Term],
    ) -> Vec<Option<Term>> {
        let each = |test: &mut dyn FnMut(&Term) -> bool| -> Vec<Option<Term>> {
            values.iter().filter(|value| !test(value)).map(|value| Some(value.clone())).collect()
        };
        let whole = |is_met: bool| if is_met { Vec::new() } else { vec![None] };
        match constraint {
            Constraint::Class(class) => each(&mut |value| self.has_class(value, class)),
            Constraint::Datatype(kind) => each(&mut |value| match value {
                Term::Literal(literal) => {
                    literal.datatype() == kind.as_ref() && is_well_formed(literal)
                }
                _ => false,
            }),
            Constraint::NodeKind(kind) => each(&mut |value| has_kind(value, kind)),
            Constraint::MinCount(count) => whole(values.len() >= *count),
            Constraint::MaxCount(count) => whole(values.len() <= *count),
            Constraint::Range(bound, limit) => each(&mut |value| {
                let Term::Literal(value) = value else { return false };
                let order = compare(value, limit);
                match bound {
                    Bound::MinInclusive => order.is_some_and(std::cmp::Ordering::is_ge),
                    Bound::MaxInclusive => order.is_some_and(std::cmp::Ordering::is_le),
                    Bound::MinExclusive => order.is_some_and(std::cmp::Ordering::is_gt),
                    Bound::MaxExclusive => order.is_some_and(std::cmp::Ordering::is_lt),
                }
            }),
            Constraint::MinLength(length) => {
                each(&mut |value| text(value).is_some_and(|text| text.chars().count() >= *length))
            }
            Constraint::MaxLength(length) => {
                each(&mut |value| text(value).is_some_and(|text| text.chars().count() <= *length))
            }
            Constraint::Pattern(pattern) => {
                each(&mut |value| text(value).is_some_and(|text| pattern.is_match(text)))
            }
            Constraint::LanguageIn(ranges) => each(&mut |value| {
                let Term::Literal(literal) = value else { return false };
                let Some(tag) = literal.language() else { return false };
                let tag = tag.to_lowercase();
                ranges.iter().any(|range| {
                    tag == *range
                        || tag
                            .strip_prefix(range.as_str())
                            .is_some_and(|rest| rest.starts_with('-'))
                })
            }),
            Constraint::UniqueLang => {
                let mut counts: HashMap<String, usize> = HashMap::new();
                for value in values {
                    if let Term::Literal(literal) = value
                        && let Some(tag) = literal.language()
                    {
                        *counts.entry(tag.to_lowercase()).or_default() += 1;
                    }
                }
                counts.values().filter(|count| **count > 1).map(|_| None).collect()
            }
            Constraint::Equals(other) => {
                let others = self.objects(focus, other.as_ref());
                let missing = others.iter().filter(|other| !values.contains(other));
                let extra = values.iter().filter(|value| !others.contains(value));
                extra.chain(missing).map(|value| Some(value.clone())).collect()
            }
            Constraint::Disjoint(other) => {
                let others = self.objects(focus, other.as_ref());
                each(&mut |value| !others.contains(value))
            }
            Constraint::LessThan { other, or_equal } => {
                let others = self.objects(focus, other.as_ref());
                let mut broken = Vec::new();
                for value in values {
                    for other in &others {
                        let order = match (value, other) {
                            (Term::Literal(a), Term::Literal(b)) => compare(a, b),
                            _ => None,
                        };
                        let is_met = order
                            .is_some_and(|order| order.is_lt() || (*or_equal && order.is_eq()));
                        if !is_met {
                            broken.push(Some(value.clone()));
                        }
                    }
                }
                broken
            }
            Constraint::Not(inner) => each(&mut |value| !self.conforms(*inner, value)),
            Constraint::And(all) => {
                each(&mut |value| all.iter().all(|inner| self.conforms(*inner, value)))
            }
            Constraint::Or(some) => {
                each(&mut |value| some.iter().any(|inner| self.conforms(*inner, value)))
            }
            Constraint::ExactlyOne(some) => each(&mut |value| {
                some.iter().filter(|inner| self.conforms(**inner, value)).count() == 1
            }),
            Constraint::Node(inner) => each(&mut |value| self.conforms(*inner, value)),
            Constraint::Property(_) => Vec::new(),
            Constraint::Qualified { shape, min, max } => {
                let count = values.iter().filter(|value| self.conforms(*shape, value)).count();
                whole(min.is_none_or(|min| count >= min) && max.is_none_or(|max| count <= max))
            }
            // Reported with the property itself as path: see `closed`.
            Constraint::Closed(_) => Vec::new(),
            Constraint::HasValue(wanted) => whole(values.contains(wanted)),
            Constraint::In(allowed) => each(&mut |value| allowed.contains(value)),
        }
    }
}

fn first_property(path: &Path) -> Option<NamedNode> {
    match path {
        Path::Predicate(predicate) => Some(predicate.clone()),
        Path::Inverse(inner)
        | Path::ZeroOrOne(inner)
        | Path::ZeroOrMore(inner)
        | Path::OneOrMore(inner) => first_property(inner),
        Path::Sequence(paths) | Path::Alternative(paths) => paths.first().and_then(first_property),
    }
}

fn resource(value: &Term) -> Option<NamedOrBlankNodeRef<'_>> {
    match value {
        Term::NamedNode(node) => Some(node.as_ref().into()),
        Term::BlankNode(node) => Some(node.as_ref().into()),
        _ => None,
    }
}

fn text(value: &Term) -> Option<&str> {
    match value {
        Term::NamedNode(node) => Some(node.as_str()),
        Term::Literal(literal) => Some(literal.value()),
        _ => None,
    }
}

fn has_kind(value: &Term, kind: &NamedNode) -> bool {
    let (iri, blank, literal) = match value {
        Term::NamedNode(_) => (true, false, false),
        Term::BlankNode(_) => (false, true, false),
        Term::Literal(_) => (false, false, true),
        #[allow(unreachable_patterns)] // a quoted triple, when another crate turns RDF 1.2 on
        _ => (false, false, false),
    };
    match kind.as_str().strip_prefix(SH) {
        Some("IRI") => iri,
        Some("BlankNode") => blank,
        Some("Literal") => literal,
        Some("BlankNodeOrIRI") => iri || blank,
        Some("BlankNodeOrLiteral") => blank || literal,
        Some("IRIOrLiteral") => iri || literal,
        _ => false,
    }
}

fn describe(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Class(class) => format!("each value must be a {class}"),
        Constraint::Datatype(kind) => format!("each value must be a literal of {kind}"),
        Constraint::NodeKind(kind) => format!("each value must be of kind {kind}"),
        Constraint::MinCount(count) => format!("at least {count} value(s) needed"),
        Constraint::MaxCount(count) => format!("at most {count} value(s) allowed"),
        Constraint::Range(_, limit) => format!("outside the limit {limit}"),
        Constraint::MinLength(length) => format!("shorter than {length} characters"),
        Constraint::MaxLength(length) => format!("longer than {length} characters"),
        Constraint::Pattern(pattern) => format!("does not match `{pattern}`"),
        Constraint::LanguageIn(tags) => format!("language is none of {}", tags.join(", ")),
        Constraint::UniqueLang => "more than one value in a language".to_owned(),
        Constraint::Equals(other) => format!("differs from {other}"),
        Constraint::Disjoint(other) => format!("is a value of {other} too"),
        Constraint::LessThan { other, .. } => format!("is not before {other}"),
        Constraint::HasValue(value) => format!("the value {value} is missing"),
        Constraint::Closed(_) => "a property that is not allowed here".to_owned(),
        Constraint::In(_) => "not one of the allowed values".to_owned(),
        Constraint::Not(_)
        | Constraint::And(_)
        | Constraint::Or(_)
        | Constraint::ExactlyOne(_)
        | Constraint::Node(_)
        | Constraint::Property(_)
        | Constraint::Qualified { .. } => "does not conform to the shape".to_owned(),
    }
}

// ---------------------------------------------------------------- literals

/// Whether the lexical form belongs to the datatype (XML Schema 1.1 part 2), for the datatypes
/// that catalogues use; others are taken as they are.
fn is_well_formed(literal: &Literal) -> bool {
    let value = literal.value();
    let Some(name) = literal.datatype().as_str().strip_prefix("http://www.w3.org/2001/XMLSchema#")
    else {
        return true;
    };
    let integer = || {
        let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let is_zero = value.bytes().all(|b| matches!(b, b'0' | b'+' | b'-'));
    match name {
        "boolean" => matches!(value, "true" | "false" | "1" | "0"),
        "integer" => integer(),
        "nonNegativeInteger" => integer() && (!value.starts_with('-') || is_zero),
        "positiveInteger" => integer() && !value.starts_with('-') && !is_zero,
        "long" => value.parse::<i64>().is_ok(),
        "int" => value.parse::<i32>().is_ok(),
        "decimal" => decimal(value),
        "double" | "float" => {
            matches!(value, "INF" | "-INF" | "+INF" | "NaN")
                || (value.parse::<f64>().is_ok()
                    && !value.to_ascii_lowercase().contains(['i', 'n']))
        }
        "date" => date(zone_cut(value)).is_some(),
        "dateTime" => date_time(value).is_some(),
        "gYear" => {
            let year = zone_cut(value);
            year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit())
        }
        "gYearMonth" => date(&format!("{}-01", zone_cut(value))).is_some(),
        "duration" => is_duration(value),
        "hexBinary" => {
            value.len().is_multiple_of(2) && value.bytes().all(|b| b.is_ascii_hexdigit())
        }
        _ => true,
    }
}

fn decimal(value: &str) -> bool {
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    !(whole.is_empty() && part.is_empty())
        && whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit())
}

/// Without its zone: `2026-01-01Z`, `2026-01-01+02:00`.
fn zone_cut(value: &str) -> &str {
    if let Some(cut) = value.strip_suffix('Z') {
        return cut;
    }
    let bytes = value.as_bytes();
    if bytes.len() > 6
        && matches!(bytes[bytes.len() - 6], b'+' | b'-')
        && bytes[bytes.len() - 3] == b':'
        && value.is_char_boundary(value.len() - 6)
    {
        return &value[..value.len() - 6];
    }
    value
}

fn date(value: &str) -> Option<jiff::civil::Date> {
    (value.len() == 10).then(|| value.parse().ok()).flatten()
}

fn date_time(value: &str) -> Option<f64> {
    let local = zone_cut(value);
    let (day, time) = local.split_once('T')?;
    let day = date(day)?;
    let mut parts = time.split(':');
    let mut part = |length: usize| -> Option<f64> {
        let text = parts.next()?;
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        if whole.len() != length || !decimal(text) || text.starts_with(['+', '-']) {
            return None;
        }
        text.parse().ok()
    };
    let (hours, minutes, seconds) = (part(2)?, part(2)?, part(2)?);
    if parts.next().is_some() || hours > 24.0 || minutes >= 60.0 || seconds >= 60.0 {
        return None;
    }
    let days = f64::from(jiff::civil::Date::constant(1970, 1, 1).until(day).ok()?.get_days());
    let zone = value.get(local.len()..).unwrap_or_default();
    let offset = if zone.len() == 6 {
        let minutes: f64 = zone.get(4..6)?.parse().ok()?;
        let hours: f64 = zone.get(1..3)?.parse().ok()?;
        let sign = if zone.starts_with('-') { -1.0 } else { 1.0 };
        sign * (hours * 60.0 + minutes) * 60.0
    } else {
        0.0
    };
    Some(days * 86_400.0 + hours * 3_600.0 + minutes * 60.0 + seconds - offset)
}

pub(super) fn is_duration(value: &str) -> bool {
    let body = value.strip_prefix('-').unwrap_or(value);
    let Some(body) = body.strip_prefix('P') else { return false };
    let (days, time) = match body.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (body, None),
    };
    let parts = |text: &str, units: &str| -> Option<usize> {
        let mut rest = text;
        let mut last = 0;
        let mut count = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
            let unit = rest[end..].chars().next()?;
            let place = units.find(unit)? + 1;
            let digits = &rest[..end];
            let is_whole = digits.bytes().all(|b| b.is_ascii_digit());
            if end == 0 || place <= last || !(is_whole || (unit == 'S' && decimal(digits))) {
                return None;
            }
            last = place;
            count += 1;
            rest = &rest[end + 1..];
        }
        Some(count)
    };
    match (parts(days, "YMD"), time.map(|time| parts(time, "HMS"))) {
        (Some(count), None) => count > 0,
        (Some(_), Some(Some(count))) => count > 0,
        _ => false,
    }
}

/// Order of two literals, where the datatypes can be compared.
fn compare(a: &Literal, b: &Literal) -> Option<std::cmp::Ordering> {
    let numeric = |literal: &Literal| -> Option<f64> {
        let name = literal.datatype().as_str().strip_prefix("http://www.w3.org/2001/XMLSchema#")?;
        let is_number = name.contains("nteger")
            || matches!(name, "decimal" | "double" | "float" | "int" | "long" | "short" | "byte");
        is_number.then(|| literal.value().parse().ok()).flatten()
    };
    if let (Some(a), Some(b)) = (numeric(a), numeric(b)) {
        return a.partial_cmp(&b);
    }
    if a.datatype() != b.datatype() {
        return None;
    }
    match a.datatype() {
        kind if kind == xsd::DATE => {
            Some(date(zone_cut(a.value()))?.cmp(&date(zone_cut(b.value()))?))
        }
        kind if kind == xsd::DATE_TIME => date_time(a.value())?.partial_cmp(&date_time(b.value())?),
        kind if kind == xsd::STRING || kind == xsd::G_YEAR || kind == xsd::G_YEAR_MONTH => {
            Some(a.value().cmp(b.value()))
        }
        _ => None,
    }
}

// ---------------------------------------------------------------- the steward's words

/// `shapes/fields.toml`: what a steward calls a property, and how to mend it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldsFile {
    /// Its rows.
    pub field: Vec<Field>,
}

/// A property in the steward's words.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The property, prefixed: `dct:title`.
    pub property: String,
    /// Class of the node that has it, where the same property means different fields.
    pub class: Option<String>,
    /// The key in the description or the configuration.
    pub key: String,
    /// What people call it.
    pub label: String,
    /// What to do.
    pub remedy: String,
}

/// A line of the report.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// How grave it is.
    pub severity: Severity,
    /// The key in the description or the configuration.
    pub field: String,
    /// What people call the field.
    pub label: String,
    /// The rule that is broken.
    pub rule: String,
    /// What to do.
    pub remedy: String,
    /// The value, if one breaks the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (`{}`): {}", self.label, self.field, self.rule)?;
        if let Some(value) = &self.value {
            write!(f, " (`{value}`)")?;
        }
        write!(f, "; {}", self.remedy)
    }
}

impl FieldsFile {
    /// The key of a property of the dataset.
    #[must_use]
    pub fn key(&self, property: &str) -> Option<&str> {
        let mut rows = self.field.iter().filter(|row| row.property == property);
        rows.find(|row| row.class.is_none()).map(|row| row.key.as_str())
    }

    /// An outcome in the steward's words.
    #[must_use]
    pub fn problem(&self, outcome: &Outcome, data: &Graph, release: &super::Release) -> Problem {
        let classes: Vec<NamedNode> = resource(&outcome.focus)
            .into_iter()
            .flat_map(|node| data.objects_for_subject_predicate(node, rdf::TYPE))
            .filter_map(|kind| match kind {
                TermRef::NamedNode(kind) => Some(kind.into_owned()),
                _ => None,
            })
            .collect();
        let row = outcome.property.as_ref().and_then(|property| {
            let rows = || self.field.iter().filter(|row| release.term(&row.property) == *property);
            rows()
                .find(|row| {
                    row.class.as_ref().is_some_and(|class| classes.contains(&release.term(class)))
                })
                .or_else(|| rows().find(|row| row.class.is_none()))
        });
        let value = outcome.value.as_ref().map(|value| match value {
            Term::NamedNode(node) => node.as_str().to_owned(),
            Term::Literal(literal) => literal.value().to_owned(),
            other => other.to_string(),
        });
        let property = outcome.property.as_ref().map_or("", |property| property.as_str());
        Problem {
            severity: outcome.severity,
            field: row.map_or_else(|| property.to_owned(), |row| row.key.clone()),
            label: row.map_or_else(
                || property.rsplit(['#', '/']).next().unwrap_or_default().to_owned(),
                |row| row.label.clone(),
            ),
            rule: outcome.message.clone(),
            remedy: row.map_or_else(
                || "tell the maintainers: a property without a field broke a rule".to_owned(),
                |row| row.remedy.clone(),
            ),
            value,
        }
    }
}
