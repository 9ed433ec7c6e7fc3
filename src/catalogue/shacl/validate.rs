//! Holds nodes to shapes.

use std::collections::{BTreeSet, HashMap, HashSet};

use oxrdf::vocab::{rdf, rdfs};
use oxrdf::{Graph, NamedNode, NamedNodeRef, NamedOrBlankNodeRef, Term, TermRef};

use super::values::{compare, is_well_formed};
use super::{Bound, Constraint, Outcome, Path, SH, Shape};

pub(super) struct Check<'a> {
    pub(super) shapes: &'a [Shape],
    pub(super) data: &'a Graph,
    pub(super) background: &'a Graph,
    pub(super) depth: usize,
}

impl Check<'_> {
    pub(super) fn targets(&self, shape: &Shape) -> Vec<Term> {
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

    pub(super) fn shape(&mut self, number: usize, focus: &Term, outcomes: &mut Vec<Outcome>) {
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
pub(super) fn first_property(path: &Path) -> Option<NamedNode> {
    match path {
        Path::Predicate(predicate) => Some(predicate.clone()),
        Path::Inverse(inner)
        | Path::ZeroOrOne(inner)
        | Path::ZeroOrMore(inner)
        | Path::OneOrMore(inner) => first_property(inner),
        Path::Sequence(paths) | Path::Alternative(paths) => paths.first().and_then(first_property),
    }
}

pub(super) fn resource(value: &Term) -> Option<NamedOrBlankNodeRef<'_>> {
    match value {
        Term::NamedNode(node) => Some(node.as_ref().into()),
        Term::BlankNode(node) => Some(node.as_ref().into()),
        _ => None,
    }
}

pub(super) fn text(value: &Term) -> Option<&str> {
    match value {
        Term::NamedNode(node) => Some(node.as_str()),
        Term::Literal(literal) => Some(literal.value()),
        _ => None,
    }
}

pub(super) fn has_kind(value: &Term, kind: &NamedNode) -> bool {
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

pub(super) fn describe(constraint: &Constraint) -> String {
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
