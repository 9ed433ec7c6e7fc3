//! A dataset's document read back into a description, by the rows of `form.toml`.
//!
//! In: a graph with one `dcat:Dataset`, ours or another publisher's. Out: what a steward would have
//! written, as a TOML table. What is computed from the archive, what the configuration gives and
//! what our writer adds is left out; what no document says (the selection, exceptions) stays as the
//! description has it that it is put over.

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
        let triple = triple.map_err(|failure| Error::Invalid(format!("no Turtle: {failure}")))?;
        graph.insert(&triple);
        if graph.len() > MOST {
            return Err(Error::Invalid(format!("more than {MOST} triples")));
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

    /// What our writer says otherwise than the description does.
    fn mend(&self, table: &mut Table, known: &Table) {
        let release = self.writer.release;
        if let Some(Value::Table(texts)) = table.get_mut("description") {
            for (language, text) in texts.iter_mut() {
                let unit = release.phrase("unit", language);
                if let (Some(unit), Some(full)) = (unit, text.as_str())
                    && let Some(own) = full.strip_suffix(unit)
                {
                    *text = Value::String(own.trim_end().to_owned());
                }
            }
        }
        // Those of modalities are computed, unless the steward wrote them too.
        let stated = strings(find(Some(known), "keywords.en"));
        self.take(table, "keywords.en", |word| {
            release.is_modality(word) && !stated.iter().any(|known| known == word)
        });
        self.take(table, "themes", |code| code == "HEAL");
        self.take(table, "coding_systems", |code| self.shown.contains(code));
        let only = |table: &Table, key: &str, one: &str| {
            let codes = find(Some(table), key).and_then(Value::as_array);
            codes.is_some_and(|codes| {
                codes.len() == 1 && codes.first().and_then(Value::as_str) == Some(one)
            })
        };
        if !known.contains_key("conforms_to") && only(table, "conforms_to", "DICOM") {
            table.remove("conforms_to");
        }
        if !known.contains_key("applicable_legislation")
            && only(table, "applicable_legislation", &release.file.legislation)
        {
            table.remove("applicable_legislation");
        }
        let own_page = match &self.dataset {
            NamedOrBlankNode::NamedNode(node) => format!("{}.html", node.as_str()),
            NamedOrBlankNode::BlankNode(_) => String::new(),
        };
        if find(Some(table), "landing_page").and_then(Value::as_str) == Some(own_page.as_str()) {
            table.remove("landing_page");
        }
        self.take(table, "documentation", |page| page == own_page);
        let own = match &self.dataset {
            NamedOrBlankNode::NamedNode(node) => node.as_str(),
            NamedOrBlankNode::BlankNode(_) => "",
        };
        let ours = format!("{own}/label");
        let labels = self.along(&self.dataset, "dqv:hasQualityAnnotation/oa:hasBody");
        let label = labels.iter().map(lexical).find(|label| *label != ours);
        put(table, "quality_label", label.map(Value::String));
        // Our former addresses are names, not identifiers of others.
        let home = self.writer.iri("/dataset/");
        let former = strings(find(Some(table), "identifiers"));
        let former = former.iter().filter(|one| *one != own);
        let former: Vec<Value> = former
            .filter_map(|one| one.strip_prefix(home.as_str()))
            .map(|slug| Value::String(slug.to_owned()))
            .collect();
        put(table, "formerly", (!former.is_empty()).then_some(Value::Array(former)));
        self.take(table, "identifiers", |one| one == own || one.starts_with(home.as_str()));
        // Sources are related too, and so is a service with its title.
        let sources = strings(find(Some(table), "sources"));
        let services: Vec<String> = find(Some(table), "qualified_relations")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|one| lexical_value(one.get("relation").unwrap_or(one)).to_owned())
            .collect();
        self.take(table, "relations", |link| {
            sources.iter().chain(&services).any(|other| other == link)
        });
        let places = find(Some(table), "locations").and_then(Value::as_array).cloned();
        let places: Vec<String> = places
            .into_iter()
            .flatten()
            .map(|one| one.get("place").map_or_else(String::new, |p| lexical_value(p).to_owned()))
            .collect();
        let stated = strings(find(Some(known), "spatial"));
        self.take(table, "spatial", |code| {
            places.iter().any(|place| place == code) && !stated.iter().any(|known| known == code)
        });
        // The office of the configuration stands where a description names no contact.
        let office = &self.writer.config.organisation;
        let contact = find(Some(table), "contact").and_then(Value::as_table);
        let is_office = contact.is_some_and(|contact| {
            contact.iter().all(|(key, value)| {
                let own = match key.as_str() {
                    "name" => &office.name,
                    "email" => &office.email,
                    _ => &office.page,
                };
                value.as_str() == Some(own)
            })
        });
        if is_office {
            table.remove("contact");
        }
        self.legal_basis(table);
        self.series(table, known);
        self.tables(table);
        self.eucaim(table, known);
        for key in KEPT {
            put(table, key, known.get(*key).cloned());
        }
        let issued = find(Some(known), "issued").is_some() || known.is_empty();
        if !issued {
            table.remove("issued");
        }
        if !known.is_empty()
            && !known.contains_key("version")
            && find(Some(table), "version").and_then(Value::as_str) == Some("1.0")
        {
            table.remove("version");
        }
        let known_ways = known.get("distribution").and_then(Value::as_array);
        if let (Some(Value::Array(ways)), Some(known)) = (table.get_mut("distribution"), known_ways)
        {
            for (way, known) in ways.iter_mut().zip(known) {
                for key in ["selection", "access_conditions"] {
                    if let (Value::Table(way), Some(value)) = (&mut *way, known.get(key)) {
                        way.insert(key.to_owned(), value.clone());
                    }
                }
                stable(way, known);
            }
        }
        for key in ["sample", "analytics"] {
            match (table.get_mut(key), known.get(key)) {
                (Some(Value::Array(ways)), Some(Value::Array(known))) => {
                    ways.iter_mut().zip(known).for_each(|(way, known)| stable(way, known));
                }
                (Some(way), Some(known)) => stable(way, known),
                _ => {}
            }
        }
    }

    /// Takes strings out of a list.
    fn take(&self, table: &mut Table, path: &str, is_computed: impl Fn(&str) -> bool) {
        let Some(Value::Array(all)) = find(Some(table), path) else { return };
        let left: Vec<Value> =
            all.iter().filter(|one| !is_computed(lexical_value(one))).cloned().collect();
        put(table, path, (!left.is_empty()).then_some(Value::Array(left)));
    }

    /// Codes and words of legal bases are values of one property: words go to their place, codes
    /// fill the places in order.
    fn legal_basis(&self, table: &mut Table) {
        let values = self.values(&self.dataset, "dpv:hasLegalBasis");
        let base = &self.writer.release.scheme(Scheme::LegalBasis).base;
        let mut bases: Vec<Table> = Vec::new();
        let mut codes = Vec::new();
        for value in &values {
            let iri = lexical(value);
            if let Some(code) = iri.strip_prefix(base.as_str()) {
                codes.push(code.to_owned());
                continue;
            }
            let Some(node) = resource(value) else { continue };
            let place = iri.rsplit_once("#legal-basis-").and_then(|(_, n)| n.parse::<usize>().ok());
            let place = place.filter(|n| (1..=200).contains(n)).map_or(bases.len(), |n| n - 1);
            if bases.len() <= place {
                bases.resize(place + 1, Table::new());
            }
            let mut part = self.part(Some("legal-basis"), &node);
            let source = part.remove("source");
            let law = source.map(|law| {
                let law = lexical_value(&law);
                let base = &self.writer.release.scheme(Scheme::Legislation).base;
                Value::String(law.strip_prefix(base.as_str()).unwrap_or(law).to_owned())
            });
            put(&mut part, "source", law);
            if let Some(slot) = bases.get_mut(place) {
                *slot = part;
            }
        }
        for (place, code) in codes.into_iter().enumerate() {
            if bases.len() <= place {
                bases.push(Table::new());
            }
            if let Some(slot) = bases.get_mut(place) {
                slot.insert("code".to_owned(), Value::String(code));
            }
        }
        bases.retain(|part| !part.is_empty());
        let bases: Vec<Value> = bases.into_iter().map(Value::Table).collect();
        put(table, "legal_basis", (!bases.is_empty()).then_some(Value::Array(bases)));
    }

    /// A document points at its series; what the series is called stays as it was.
    fn series(&self, table: &mut Table, known: &Table) {
        let home = self.writer.iri("/series/");
        let datasets = self.writer.iri("/dataset/");
        let of = self.values(&self.dataset, "dct:isPartOf");
        let id =
            of.iter().find_map(|one| lexical(one).strip_prefix(home.as_str()).map(str::to_owned));
        let Some(id) = id else { return };
        let known = known.get("series").and_then(Value::as_table);
        let mut series = known
            .filter(|known| known.get("id").and_then(Value::as_str) == Some(&id))
            .cloned()
            .unwrap_or_default();
        series.insert("id".to_owned(), Value::String(id));
        let previous = self.values(&self.dataset, "dcat:prev");
        let previous = previous
            .iter()
            .find_map(|one| lexical(one).strip_prefix(datasets.as_str()).map(str::to_owned));
        put(&mut series, "previous", previous.map(Value::String));
        table.insert("series".to_owned(), Value::Table(series));
    }

    fn tables(&self, table: &mut Table) {
        for found in self.along(&self.dataset, "healthdcatap:hasVariables/csvw:table") {
            let Some(node) = resource(&found) else { continue };
            for name in ["studies", "series"] {
                if is_part(&node, &format!("#{name}")) {
                    let part = self.part(Some("table"), &node);
                    put(
                        table,
                        &format!("tables.{name}"),
                        (!part.is_empty()).then_some(Value::Table(part)),
                    );
                }
            }
        }
    }

    /// What EUCAIM's profile adds; its type of data is in its view only.
    fn eucaim(&self, table: &mut Table, known: &Table) {
        let mut own = self.part(Some("eucaim"), &self.dataset);
        let known = known.get("eucaim").and_then(Value::as_table);
        if let Some(kind) = known.and_then(|known| known.get("type")) {
            own.insert("type".to_owned(), kind.clone());
        }
        put(table, "eucaim", (!own.is_empty()).then_some(Value::Table(own)));
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
