//! What a document says otherwise than a description: taken out, because it is computed or added by
//! our writer, or put where the steward would have written it.

use oxrdf::NamedOrBlankNode;
use toml::{Table, Value};

use super::{KEPT, Reading, is_part, lexical, lexical_value, resource, stable, strings};
use crate::catalogue::form::{find, put};
use crate::catalogue::release::Scheme;

impl Reading<'_> {
    /// What our writer says otherwise than the description does.
    pub(super) fn mend(&self, table: &mut Table, known: &Table) {
        let release = self.writer.release;
        if let Some(Value::Table(texts)) = table.get_mut("description") {
            for (language, text) in texts.iter_mut() {
                let unit = release.phrase("unit", language);
                if let (Some(unit), Some(full)) = (unit, text.as_str())
                    && let Some(own) = full.strip_suffix(unit)
                {
                    let own = own.trim_end();
                    // Our writer ends the steward's text where the sentence begins.
                    let stated = find(Some(known), &format!("description.{language}"));
                    let stated = stated.and_then(Value::as_str).map(str::trim_end);
                    let own =
                        stated.filter(|text| own.strip_suffix('.') == Some(text)).unwrap_or(own);
                    *text = Value::String(own.to_owned());
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
