//! Reads shapes: every component is one that we have, or the file is refused.

use std::collections::{BTreeSet, HashMap, HashSet};

use oxrdf::vocab::rdf;
use oxrdf::{Graph, Literal, NamedNode, NamedOrBlankNode, Term, TermRef};
use regex::Regex;

use super::{Bound, Constraint, Path, SH, Severity, Shape};

/// Blank nodes of different files are different nodes, whatever their labels.
pub(super) fn apart(triple: oxrdf::Triple, place: usize) -> oxrdf::Triple {
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
pub(super) fn sh(name: &str) -> String {
    format!("{SH}{name}")
}
pub(super) struct Reader<'g> {
    pub(super) graph: &'g Graph,
    pub(super) numbers: HashMap<NamedOrBlankNode, usize>,
    pub(super) shapes: Vec<Option<Shape>>,
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

    pub(super) fn shape(&mut self, node: NamedOrBlankNode) -> Result<usize, String> {
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

pub(super) fn iri(value: &Term) -> Result<NamedNode, String> {
    match value {
        Term::NamedNode(node) => Ok(node.clone()),
        other => Err(format!("{other} should be an IRI")),
    }
}

pub(super) fn literal(value: Term) -> Result<Literal, String> {
    match value {
        Term::Literal(literal) => Ok(literal),
        other => Err(format!("{other} should be a literal")),
    }
}

pub(super) fn number(value: &Term) -> Result<usize, String> {
    literal(value.clone())?.value().parse().map_err(|_| format!("{value} should be a number"))
}

pub(super) fn node_of(value: Term) -> Result<NamedOrBlankNode, String> {
    match value {
        Term::NamedNode(node) => Ok(node.into()),
        Term::BlankNode(node) => Ok(node.into()),
        other => Err(format!("{other} should be a shape")),
    }
}

pub(super) fn is_true(value: &Term) -> bool {
    matches!(value, Term::Literal(literal) if matches!(literal.value(), "true" | "1"))
}

// ---------------------------------------------------------------- checking
