//! A dataset's document read back into a description, by the rows of `form.toml`.
//!
//! In: a graph with one `dcat:Dataset`, ours or another publisher's. Out: what a steward would have
//! written, as a TOML table. What is computed from the archive, what the configuration gives and
//! what our writer adds is left out; what no document says (the selection, exceptions) stays as the
//! description has it that it is put over.

mod mend;

use std::collections::BTreeSet;

use oxrdf::vocab::rdf;
use oxrdf::{Graph, NamedNode, NamedOrBlankNode, NamedOrBlankNodeRef, Term, TermRef};
use toml::{Table, Value};

use super::Agent;
use super::form::{Field, Kind, LICENCES, find, put};
use super::graph::{Writer, configured};
use super::release::Scheme;
use crate::error::{Error, Result};

/// Triples of a document that is read at most.
const MOST: usize = 200_000;

/// Keys that no document holds: they stay as they were.
const KEPT: &[&str] = &["selection", "figures", "waiver", "withdrawn"];

/// Reads Turtle.
///
/// # Errors
/// [`Error::Invalid`] with the place.
pub fn turtle(text: &str) -> Result<Graph> {
    let mut graph = Graph::new();
    for triple in oxttl::TurtleParser::new().for_slice(text.as_bytes()) {
        let triple = triple.map_err(|failure| {
            let place = failure.location().start;
            let said = failure.message().replace('`', "'");
            let (line, column) = (place.line + 1, place.column + 1);
            Error::Invalid(format!(
                "line {line}, column {column} is no Turtle: `{said}`; correct it there"
            ))
        })?;
        graph.insert(&triple);
        if graph.len() > MOST {
            return Err(Error::Invalid(format!(
                "the document has more than {MOST} triples; send the dataset alone"
            )));
        }
    }
    Ok(graph)
}

struct Reading<'r> {
    graph: &'r Graph,
    writer: Writer<'r>,
    dataset: NamedOrBlankNode,
    /// Coding systems of the code values that the archive shows.
    shown: BTreeSet<String>,
}

impl Writer<'_> {
    /// The description of the one dataset of a graph, over what was known of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the graph has no dataset, or more than one.
    pub fn read_dataset(&self, graph: &Graph, known: &Table) -> Result<Table> {
        let class = self.release.term("dcat:Dataset");
        let mut datasets: Vec<NamedOrBlankNode> = graph
            .subjects_for_predicate_object(rdf::TYPE, &class)
            .map(NamedOrBlankNodeRef::into_owned)
            .collect();
        datasets.sort_by_key(ToString::to_string);
        let [dataset] = datasets.as_slice() else {
            return Err(Error::Invalid(format!(
                "the document describes {} datasets; import one at a time",
                datasets.len()
            )));
        };
        let mut reading =
            Reading { graph, writer: *self, dataset: dataset.clone(), shown: BTreeSet::new() };
        reading.shown = reading.coding_systems();
        let mut table = reading.part(None, dataset);
        reading.mend(&mut table, known);
        Ok(table)
    }
}

impl Reading<'_> {
    fn part(&self, of: Option<&str>, node: &NamedOrBlankNode) -> Table {
        let form = &self.writer.release.form;
        let mut table = Table::new();
        for row in form.rows(of) {
            let Some(property) = &row.property else { continue };
            put(&mut table, &row.path, self.value(row, property, node));
        }
        table
    }

    fn values(&self, node: &NamedOrBlankNode, property: &str) -> Vec<Term> {
        let property = self.writer.release.term(property);
        let found = self.graph.objects_for_subject_predicate(node, &property);
        let mut values: Vec<Term> = found.map(TermRef::into_owned).collect();
        values.sort_by_key(natural);
        values
    }

    /// The values at the end of a path of properties.
    fn along(&self, node: &NamedOrBlankNode, path: &str) -> Vec<Term> {
        let mut nodes = vec![node.clone()];
        let mut values = Vec::new();
        for step in path.split('/') {
            values = nodes.iter().flat_map(|node| self.values(node, step)).collect();
            nodes = values.iter().filter_map(resource).collect();
        }
        values
    }

    fn value(&self, row: &Field, path: &str, node: &NamedOrBlankNode) -> Option<Value> {
        let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
        match row.kind {
            Kind::Text | Kind::LongText => self.text(&self.along(node, path)),
            Kind::Words => {
                let mut words = Table::new();
                for (language, word) in self.along(node, path).iter().filter_map(|t| self.tagged(t))
                {
                    let all = words.entry(language).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(all) = all {
                        all.push(Value::String(word));
                    }
                }
                (!words.is_empty()).then_some(Value::Table(words))
            }
            Kind::Texts => {
                let (list_of, text) = path.split_once('/')?;
                let nodes = self.values(node, list_of);
                let texts = nodes.iter().filter_map(resource);
                list(texts.filter_map(|one| self.text(&self.along(&one, text))).collect())
            }
            Kind::Flag => {
                let values = self.along(node, path);
                values.iter().any(|value| lexical(value) == "true").then_some(Value::Boolean(true))
            }
            Kind::Code => self.codes(row, &self.along(node, path)).into_iter().next(),
            Kind::Codes => list(self.codes(row, &self.along(node, path))),
            Kind::Day => self.along(node, path).first().map(|value| {
                let text = lexical(value);
                let day = text.get(..10).unwrap_or(&text);
                day.parse().map_or_else(|_| Value::String(text.clone()), Value::Datetime)
            }),
            Kind::Lines if row.property.as_deref().is_some_and(|p| p.contains("odrl:")) => {
                let actions = self.along(node, path);
                let base = self.writer.release.term("odrl:");
                let name = |value: &Term| lexical(value).replace(base.as_str(), "");
                list(actions.iter().map(|value| Value::String(name(value))).collect())
            }
            Kind::Lines | Kind::Addresses => {
                list(self.along(node, path).iter().map(|v| Value::String(lexical(v))).collect())
            }
            Kind::Numbers => {
                let text = self.along(node, path).first().map(lexical)?;
                list(numbers(&text, row.path == "bbox")?.into_iter().map(Value::Float).collect())
            }
            Kind::Line | Kind::Prose | Kind::Address | Kind::Mail | Kind::Duration => {
                let value = self.along(node, path).into_iter().next()?;
                let text = lexical(&value);
                let media = self.writer.release.scheme(Scheme::MediaType).base.as_str();
                let bare = [media, "mailto:"].iter().find_map(|prefix| text.strip_prefix(prefix));
                Some(Value::String(bare.unwrap_or(&text).to_owned()))
            }
            Kind::Part => {
                let part = self.along(node, path).iter().find_map(resource)?;
                self.one(row, &part).map(Value::Table)
            }
            Kind::Parts => {
                let parts = self.along(node, path);
                let parts = parts.iter().filter_map(resource);
                list(parts.filter_map(|part| self.one(row, &part)).map(Value::Table).collect())
            }
            Kind::Selection => None,
        }
    }

    /// A part, unless it is one that the configuration gives or our writer adds.
    fn one(&self, row: &Field, node: &NamedOrBlankNode) -> Option<Table> {
        let of = row.part.as_deref();
        let mut table = self.part(of, node);
        match of {
            Some("agent") => self.agent(node, &mut table)?,
            Some("distribution") => self.distribution(node, &mut table)?,
            Some("activity") if is_part(node, "#arrival-") => return None,
            Some("location") => {
                if table.is_empty() {
                    return None;
                }
                put(&mut table, "place", self.place(node));
            }
            _ => {}
        }
        (!table.is_empty()).then_some(table)
    }

    /// A code of a place: that of the table that has it, else its address.
    fn place(&self, node: &NamedOrBlankNode) -> Option<Value> {
        let NamedOrBlankNode::NamedNode(node) = node else { return None };
        Some(Value::String(self.code(node.as_str(), super::graph::PLACES)))
    }

    fn code(&self, iri: &str, schemes: &[Scheme]) -> String {
        let release = self.writer.release;
        // What was written as an address, and has no label of ours, is called by it.
        if let Ok(node) = NamedNode::new(iri)
            && self.values(&node.into(), "skos:prefLabel").iter().any(|label| lexical(label) == iri)
        {
            return iri.to_owned();
        }
        let codes = schemes.iter().filter_map(|scheme| {
            let code = iri.strip_prefix(release.scheme(*scheme).base.as_str())?;
            release.concept(*scheme, code).is_some().then(|| code.to_owned())
        });
        // What has no table keeps its address, or the path below the base of its scheme.
        let path = |scheme: &Scheme| {
            let base = &release.scheme(*scheme).base;
            iri.strip_prefix(base.as_str()).filter(|path| !path.is_empty()).map(str::to_owned)
        };
        codes
            .into_iter()
            .next()
            .or_else(|| schemes.iter().find_map(path))
            .unwrap_or_else(|| iri.to_owned())
    }

    fn codes(&self, row: &Field, values: &[Term]) -> Vec<Value> {
        let release = self.writer.release;
        if row.from.iter().any(|from| from == LICENCES) {
            let licence = |value: &Term| {
                let iri = lexical(value);
                let known = release.licences.iter().find(|row| row.iri == iri);
                Value::String(known.map_or(iri, |row| row.name.clone()))
            };
            return values.iter().map(licence).collect();
        }
        let named = |from: &String| Scheme::ALL.iter().find(|(_, name)| name == from);
        let mut schemes: Vec<Scheme> =
            row.from.iter().filter_map(named).map(|(scheme, _)| *scheme).collect();
        if schemes.contains(&Scheme::Country) {
            schemes = super::graph::PLACES.to_vec();
        }
        let iris = values.iter().filter(|value| matches!(value, Term::NamedNode(_)));
        iris.map(|value| Value::String(self.code(&lexical(value), &schemes))).collect()
    }

    fn tagged(&self, value: &Term) -> Option<(String, String)> {
        let Term::Literal(literal) = value else { return None };
        let language = literal
            .language()
            .map_or_else(|| self.writer.config.catalogue.language.clone(), str::to_ascii_lowercase);
        Some((language, literal.value().to_owned()))
    }

    fn text(&self, values: &[Term]) -> Option<Value> {
        let mut texts = Table::new();
        for (language, text) in values.iter().filter_map(|value| self.tagged(value)) {
            texts.entry(language).or_insert(Value::String(text));
        }
        (!texts.is_empty()).then_some(Value::Table(texts))
    }

    /// `None`: the configuration gives it.
    fn agent(&self, node: &NamedOrBlankNode, table: &mut Table) -> Option<()> {
        let config = self.writer.config;
        if let NamedOrBlankNode::NamedNode(node) = node {
            let iri = node.as_str();
            let home = self.writer.iri("/agent/");
            if iri.starts_with(home.as_str()) {
                return None;
            }
            for organisation in [&config.organisation, &config.hdab] {
                if !organisation.iri.is_empty() && organisation.iri == iri {
                    let own: Agent = configured(organisation);
                    let name = find(Some(table), "other_names");
                    let is_same = name.and_then(Value::as_table).is_some_and(|names| {
                        names.values().any(|name| name.as_str() == Some(&own.name))
                    });
                    if is_same {
                        return None;
                    }
                }
            }
            if !iri.contains('#') {
                put(table, "iri", Some(Value::String(iri.to_owned())));
            }
        }
        // `foaf:name` carries the name in the catalogue's language, and the others.
        let mut names = match table.remove("other_names") {
            Some(Value::Table(names)) => names,
            _ => Table::new(),
        };
        let own = names.remove(&config.catalogue.language).or_else(|| {
            let first = names.keys().next()?.clone();
            names.remove(&first)
        });
        put(table, "name", own);
        put(table, "other_names", (!names.is_empty()).then_some(Value::Table(names)));
        Some(())
    }

    /// `None`: our writer adds it.
    fn distribution(&self, node: &NamedOrBlankNode, table: &mut Table) -> Option<()> {
        if is_part(node, "/analytics") && !is_part(node, "/analytics/") {
            return None;
        }
        let text = |table: &Table, key: &str| {
            find(Some(table), key).and_then(Value::as_str).map(str::to_owned)
        };
        let is_phrase = |table: &Table, name: &str| {
            let title = find(Some(table), "title").and_then(Value::as_table);
            title.is_some_and(|title| {
                title.iter().all(|(language, text)| {
                    self.writer.release.phrase(name, language) == text.as_str()
                })
            })
        };
        let serves = !self.values(node, "dcat:accessService").is_empty();
        if serves && is_phrase(table, "fhir") {
            return None;
        }
        if serves {
            table.insert("fhir".to_owned(), Value::Boolean(true));
        }
        if text(table, "availability").as_deref() == Some("STABLE") {
            table.remove("availability");
        }
        let application = self.application();
        if application.is_some() && text(table, "access_url") == application {
            table.remove("access_url");
            if is_phrase(table, "application") {
                table.remove("title");
            }
            let rest: Vec<&str> = table.keys().map(String::as_str).collect();
            let is_default = rest.iter().all(|key| ["format", "media_type"].contains(key))
                && text(table, "format").as_deref() == Some("ZIP")
                && text(table, "media_type").as_deref() == Some("application/dicom");
            if is_default {
                // Of no distribution at all our writer makes this one.
                return None;
            }
        }
        Some(())
    }

    fn application(&self) -> Option<String> {
        let hdab = self.values(&self.dataset, "healthdcatap:hdab");
        let hdab = hdab.first().and_then(resource)?;
        let page = self.along(&hdab, "cv:contactPoint/cv:contactPage").first().map(lexical);
        let mail = || self.along(&hdab, "cv:contactPoint/cv:email").first().map(lexical);
        page.or_else(|| mail().map(|mail| format!("mailto:{mail}")))
    }

    /// Coding systems that the writer adds because of the codes that the archive shows.
    fn coding_systems(&self) -> BTreeSet<String> {
        let release = self.writer.release;
        let systems = &release.code_systems;
        let rows = systems.facet.iter().map(|row| (&row.prefix, &row.coding_system));
        let rows: Vec<_> = rows
            .chain(systems.system.iter().map(|row| (&row.prefix, &row.coding_system)))
            .collect();
        let values = self.along(&self.dataset, "healthdcatap:hasCodeValues");
        let shown = values.iter().filter_map(|value| {
            let text = lexical(value);
            rows.iter().find(|(prefix, _)| text.starts_with(&format!("{prefix} ")))
        });
        shown.map(|(_, system)| (*system).clone()).collect()
    }
}

/// The availability that is meant where none is written stays where it was written.
fn stable(way: &mut Value, known: &Value) {
    if let (Value::Table(way), Some(Value::String(code))) = (way, known.get("availability"))
        && code == "STABLE"
        && !way.contains_key("availability")
    {
        way.insert("availability".to_owned(), Value::String(code.clone()));
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let all = value.and_then(Value::as_array).into_iter().flatten();
    all.map(|one| lexical_value(one).to_owned()).collect()
}

fn lexical_value(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn lexical(term: &Term) -> String {
    match term {
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::Literal(literal) => literal.value().to_owned(),
        Term::BlankNode(node) => node.to_string(),
    }
}

fn resource(term: &Term) -> Option<NamedOrBlankNode> {
    match term {
        Term::NamedNode(node) => Some(NamedOrBlankNode::NamedNode(node.clone())),
        Term::BlankNode(node) => Some(NamedOrBlankNode::BlankNode(node.clone())),
        Term::Literal(_) => None,
    }
}

fn is_part(node: &NamedOrBlankNode, part: &str) -> bool {
    matches!(node, NamedOrBlankNode::NamedNode(node) if contains(node, part))
}

fn contains(node: &NamedNode, part: &str) -> bool {
    let text = node.as_str();
    if part.ends_with(['-', '/']) { text.contains(part) } else { text.ends_with(part) }
}

/// `…/distribution/2` before `…/distribution/10`.
fn natural(term: &Term) -> (String, u64, String) {
    let text = term.to_string();
    let bare = text.trim_end_matches('>');
    let head = bare.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let number = bare.get(head.len()..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (head.to_owned(), number, text)
}

/// The numbers of a WKT point, or of the box of a polygon.
fn numbers(text: &str, is_box: bool) -> Option<Vec<f64>> {
    let inner = text.split(['(', ')']).find(|part| part.contains(|c: char| c.is_ascii_digit()))?;
    let points: Option<Vec<(f64, f64)>> = inner
        .split(',')
        .map(|point| {
            let mut parts = point.split_whitespace().map(str::parse);
            Some((parts.next()?.ok()?, parts.next()?.ok()?))
        })
        .collect();
    let points = points?;
    if !is_box {
        return points.first().map(|(x, y)| vec![*x, *y]);
    }
    match points.as_slice() {
        [(west, south), (east, _), (_, north), _, _] => Some(vec![*west, *south, *east, *north]),
        _ => None,
    }
}
