//! A published dataset in a few words: what other vocabularies than DCAT say of it.
//!
//! Read from the document that is served, so nothing can be said elsewhere that was not
//! published.

use std::collections::BTreeMap;

use oxrdf::{Graph, NamedNode, TermRef};
use serde_json::{Map, Value, json};

use super::emit;
use super::graph::Writer;
use super::language::language_tag;
use super::shelf::Entry;
use crate::error::{Error, Result};

/// Words by language; `""` for those without one.
type Texts = BTreeMap<String, String>;

/// A distribution in a few words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// Its IRI.
    pub iri: String,
    /// Its title.
    pub title: String,
    /// Where one gets it.
    pub access: Option<String>,
    /// Where the file is.
    pub download: Option<String>,
    /// Its media type: `text/csv`.
    pub media_type: Option<String>,
    /// Its licence.
    pub licence: Option<String>,
}

/// A dataset in a few words.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Its IRI.
    pub iri: String,
    /// The catalogue's language.
    pub language: String,
    /// Title per language.
    pub titles: Texts,
    /// Description per language.
    pub descriptions: Texts,
    /// Keywords, in any language.
    pub keywords: Vec<String>,
    /// Identifiers beside the IRI.
    pub identifiers: Vec<String>,
    /// Names of creators; where there are none, the publisher.
    pub creators: Vec<String>,
    /// Name of the publisher.
    pub publisher: String,
    /// Name of the data holder.
    pub holder: String,
    /// First publication: a day.
    pub issued: String,
    /// Last change: a time.
    pub modified: String,
    /// Version.
    pub version: String,
    /// Licences of its distributions.
    pub licences: Vec<String>,
    /// Code of the access right.
    pub access: String,
    /// Tags (BCP 47) of the languages of the data.
    pub languages: Vec<String>,
    /// Codes or IRIs of the places that it covers.
    pub places: Vec<String>,
    /// The days that it covers.
    pub period: (Option<String>, Option<String>),
    /// What it was made from, and what it is related to.
    pub relations: Vec<String>,
    /// Variables: name, and what it means.
    pub variables: Vec<(String, String)>,
    /// How one gets it, counts included.
    pub distributions: Vec<Place>,
    /// Title of the catalogue, and its address.
    pub catalogue: (String, String),
}

/// Reads a graph by prefixed names.
struct Reader<'a> {
    graph: &'a Graph,
    writer: Writer<'a>,
}

impl<'a> Reader<'a> {
    fn objects(&self, subject: &NamedNode, predicate: &str) -> Vec<TermRef<'a>> {
        let predicate = self.writer.release.term(predicate);
        let mut found: Vec<TermRef<'a>> =
            self.graph.objects_for_subject_predicate(subject, &predicate).collect();
        found.sort_by_key(ToString::to_string);
        found
    }

    fn nodes(&self, subject: &NamedNode, predicate: &str) -> Vec<NamedNode> {
        let objects = self.objects(subject, predicate).into_iter();
        objects
            .filter_map(|object| match object {
                TermRef::NamedNode(node) => Some(node.into_owned()),
                _ => None,
            })
            .collect()
    }

    fn texts(&self, subject: &NamedNode, predicate: &str) -> Texts {
        let mut texts = Texts::new();
        for object in self.objects(subject, predicate) {
            if let TermRef::Literal(literal) = object {
                let language = literal.language().unwrap_or_default().to_owned();
                texts.entry(language).or_insert_with(|| literal.value().to_owned());
            }
        }
        texts
    }

    fn values(&self, subject: &NamedNode, predicate: &str) -> Vec<String> {
        let objects = self.objects(subject, predicate).into_iter();
        let value = |object| match object {
            TermRef::NamedNode(node) => node.as_str().to_owned(),
            TermRef::Literal(literal) => literal.value().to_owned(),
            TermRef::BlankNode(node) => node.as_str().to_owned(),
            #[allow(unreachable_patterns)] // triples as terms, with a feature of oxrdf
            _ => String::new(),
        };
        objects.map(value).collect()
    }

    fn value(&self, subject: &NamedNode, predicate: &str) -> Option<String> {
        self.values(subject, predicate).into_iter().next()
    }

    /// Names of agents.
    fn names(&self, subject: &NamedNode, predicate: &str) -> Vec<String> {
        let agents = self.nodes(subject, predicate);
        agents.iter().filter_map(|agent| self.value(agent, "foaf:name")).collect()
    }

    fn place(&self, node: &NamedNode, language: &str) -> Place {
        let media_type = self.value(node, "dcat:mediaType").and_then(|iri| {
            let base = "http://www.iana.org/assignments/media-types/";
            iri.strip_prefix(base).map(str::to_owned)
        });
        Place {
            iri: node.as_str().to_owned(),
            title: best(&self.texts(node, "dct:title"), language).to_owned(),
            access: self.value(node, "dcat:accessURL"),
            download: self.value(node, "dcat:downloadURL"),
            media_type,
            licence: self.value(node, "dct:license"),
        }
    }
}

fn best<'t>(texts: &'t Texts, language: &str) -> &'t str {
    [language, "en", ""]
        .iter()
        .find_map(|wanted| texts.get(*wanted))
        .or_else(|| texts.values().next())
        .map_or("", String::as_str)
}

/// The last part of an IRI: the code of a concept.
fn code(iri: &str) -> String {
    iri.rsplit(['/', '#']).next().unwrap_or(iri).to_owned()
}

impl Summary {
    /// Reads the document of an entry.
    ///
    /// # Errors
    /// [`Error::Internal`] when the stored document cannot be read.
    pub fn read(entry: &Entry, writer: Writer<'_>) -> Result<Self> {
        let node = writer.dataset_iri(&entry.slug);
        Ok(Self::of(node, &emit::parse(&entry.document)?, writer))
    }

    /// Reads the document of a dataset of another catalogue, as far as it says things as ours do.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no IRI, [`Error::Internal`] when the document cannot be read.
    pub fn of_harvested(iri: &str, document: &str, writer: Writer<'_>) -> Result<Self> {
        let node = NamedNode::new(iri)
            .map_err(|failure| Error::Invalid(format!("`{iri}` is no IRI: {failure}")))?;
        Ok(Self::of(node, &emit::parse(document)?, writer))
    }

    fn of(node: NamedNode, graph: &Graph, writer: Writer<'_>) -> Self {
        let reader = Reader { graph, writer };
        let language = writer.config.catalogue.language.clone();
        let codes = |predicate: &str| -> Vec<String> {
            reader.values(&node, predicate).iter().map(|iri| code(iri)).collect()
        };
        let period = reader.nodes(&node, "dct:temporal").into_iter().next();
        let bound = |predicate| {
            period.as_ref().and_then(|period: &NamedNode| reader.value(period, predicate))
        };
        let publisher = reader.names(&node, "dct:publisher").into_iter().next().unwrap_or_default();
        let mut creators = reader.names(&node, "dct:creator");
        if creators.is_empty() && !publisher.is_empty() {
            creators.push(publisher.clone());
        }
        let mut distributions: Vec<Place> = Vec::new();
        for predicate in ["dcat:distribution", "healthdcatap:analytics", "adms:sample"] {
            let parts = reader.nodes(&node, predicate);
            distributions.extend(parts.iter().map(|part| reader.place(part, &language)));
        }
        let mut licences: Vec<String> =
            distributions.iter().filter_map(|place| place.licence.clone()).collect();
        licences.sort();
        licences.dedup();
        let identifiers = reader
            .nodes(&node, "adms:identifier")
            .iter()
            .filter_map(|part| reader.value(part, "skos:notation"))
            .filter(|identifier| identifier != node.as_str())
            .collect();
        let mut variables = Vec::new();
        for group in reader.nodes(&node, "healthdcatap:hasVariables") {
            for table in reader.nodes(&group, "csvw:table") {
                for column in reader.nodes(&table, "csvw:column") {
                    let name = reader.value(&column, "csvw:name").unwrap_or_default();
                    let texts = reader.texts(&column, "dct:description");
                    variables.push((name, best(&texts, &language).to_owned()));
                }
            }
        }
        Self {
            titles: reader.texts(&node, "dct:title"),
            descriptions: reader.texts(&node, "dct:description"),
            keywords: reader.values(&node, "dcat:keyword"),
            identifiers,
            creators,
            publisher,
            holder: reader
                .names(&node, "geodcatap:custodian")
                .into_iter()
                .next()
                .unwrap_or_default(),
            issued: reader.value(&node, "dct:issued").unwrap_or_default(),
            modified: reader.value(&node, "dct:modified").unwrap_or_default(),
            version: reader.value(&node, "dcat:version").unwrap_or_default(),
            licences,
            access: codes("dct:accessRights").into_iter().next().unwrap_or_default(),
            languages: codes("dct:language").iter().map(|code| language_tag(code)).collect(),
            places: codes("dct:spatial"),
            period: (bound("dcat:startDate"), bound("dcat:endDate")),
            relations: reader.values(&node, "dct:relation"),
            variables,
            distributions,
            catalogue: (
                writer.config.catalogue.title.clone(),
                writer.iri("/catalog").as_str().to_owned(),
            ),
            iri: node.as_str().to_owned(),
            language,
        }
    }

    /// The title in the catalogue's language.
    #[must_use]
    pub fn title(&self) -> &str {
        best(&self.titles, &self.language)
    }

    /// The description in the catalogue's language.
    #[must_use]
    pub fn description(&self) -> &str {
        best(&self.descriptions, &self.language)
    }

    fn doi(&self) -> Option<&str> {
        self.identifiers.iter().find_map(|identifier| {
            let doi = identifier
                .rsplit_once("doi.org/")
                .map_or_else(|| identifier.strip_prefix("doi:"), |(_, doi)| Some(doi))?;
            doi.starts_with("10.").then_some(doi)
        })
    }

    fn year(&self) -> &str {
        self.issued.get(..4).unwrap_or_default()
    }

    /// What one may do, in words of the access right.
    fn conditions(&self) -> &'static str {
        match self.access.as_str() {
            "PUBLIC" => "Open access",
            "RESTRICTED" => "Restricted access under conditions of the data holder",
            _ => {
                "Access with a data permit of the health data access body, Regulation (EU) 2025/327"
            }
        }
    }

    /// `2019-03-04/2024-11-30` (ISO 8601-1 time interval; an open end is `..`, ISO 8601-2).
    fn interval(&self) -> Option<String> {
        let (from, to) = &self.period;
        let bound = |day: &Option<String>| day.clone().unwrap_or_else(|| "..".to_owned());
        (from.is_some() || to.is_some()).then(|| format!("{}/{}", bound(from), bound(to)))
    }

    /// How to cite it, in a sentence: creator (year): title. Version. Publisher. Identifier.
    #[must_use]
    pub fn citation(&self) -> String {
        let address =
            self.doi().map_or_else(|| self.iri.clone(), |doi| format!("https://doi.org/{doi}"));
        let mut text = format!(
            "{} ({}): {}. Version {}.",
            self.creators.join("; "),
            self.year(),
            self.title().trim_end_matches('.'),
            self.version
        );
        if !self.publisher.is_empty() && !self.creators.contains(&self.publisher) {
            text.push_str(&format!(" {}.", self.publisher));
        }
        format!("{text} Dataset. {address}")
    }

    fn members(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let organisation = |name: &str| json!({ "@type": "Organization", "name": name });
        let given = |value: Value| match &value {
            Value::Array(items) if items.is_empty() => None,
            Value::String(text) if text.is_empty() => None,
            Value::Null => None,
            _ => Some(value),
        };
        let identifiers: Vec<&String> =
            std::iter::once(&self.iri).chain(self.identifiers.iter()).collect();
        let creators: Vec<Value> = self.creators.iter().map(|name| organisation(name)).collect();
        let publisher =
            if self.publisher.is_empty() { Value::Null } else { organisation(&self.publisher) };
        let place = |code: &String| json!({ "@type": "Place", "name": code });
        let places: Vec<Value> = self.places.iter().map(place).collect();
        let rows = [
            ("@id", json!(self.iri)),
            ("url", json!(self.iri)),
            ("identifier", json!(identifiers)),
            ("keywords", json!(self.keywords)),
            ("version", json!(self.version)),
            ("datePublished", json!(self.issued)),
            ("dateModified", json!(self.modified)),
            ("license", one_or_many(&self.licences)),
            ("conditionsOfAccess", json!(self.conditions())),
            (
                "isAccessibleForFree",
                if self.access == "PUBLIC" { json!(true) } else { Value::Null },
            ),
            ("creator", json!(creators)),
            ("publisher", publisher),
            ("temporalCoverage", json!(self.interval())),
            ("spatialCoverage", json!(places)),
            ("inLanguage", json!(self.languages)),
            ("isBasedOn", json!(self.relations)),
            (
                "includedInDataCatalog",
                json!({
                    "@type": "DataCatalog", "name": self.catalogue.0, "url": self.catalogue.1,
                }),
            ),
        ];
        for (name, value) in rows {
            if let Some(value) = given(value) {
                out.insert(name.to_owned(), value);
            }
        }
        out
    }

    /// schema.org's `Dataset`, as dataset search engines read it.
    #[must_use]
    pub fn schema_org(&self) -> Value {
        let mut out = Map::new();
        out.insert("@context".to_owned(), json!("https://schema.org/"));
        out.insert("@type".to_owned(), json!("Dataset"));
        out.insert("name".to_owned(), json!(self.title()));
        // Search engines read 50 to 5,000 characters.
        let text = self.description();
        let text = if text.chars().count() < 50 {
            format!("{}: {text} (an imaging dataset described by its data holder)", self.title())
        } else {
            text.chars().take(5_000).collect()
        };
        out.insert("description".to_owned(), json!(text));
        out.extend(self.members());
        let variables: Vec<Value> = self.variables.iter().map(|(name, text)| {
            json!({ "@type": "PropertyValue", "name": name, "description": text })
        }).collect();
        if !variables.is_empty() {
            out.insert("variableMeasured".to_owned(), json!(variables));
        }
        let files: Vec<Value> = self
            .distributions
            .iter()
            .map(|place| {
                let mut file = Map::new();
                file.insert("@type".to_owned(), json!("DataDownload"));
                file.insert("@id".to_owned(), json!(place.iri));
                for (name, value) in [
                    ("name", Some(&place.title).filter(|title| !title.is_empty())),
                    ("contentUrl", place.download.as_ref()),
                    ("url", place.access.as_ref()),
                    ("encodingFormat", place.media_type.as_ref()),
                    ("license", place.licence.as_ref()),
                ] {
                    if let Some(value) = value {
                        file.insert(name.to_owned(), json!(value));
                    }
                }
                Value::Object(file)
            })
            .collect();
        out.insert("distribution".to_owned(), json!(files));
        Value::Object(out)
    }

    /// Croissant 1.1 (ML Commons): schema.org's words, and the table of counts as a record set
    /// that loads. The images themselves are not among the files: they are had by FHIR or a
    /// permit. `counts` are the bytes of the table.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the embedded context is broken.
    pub fn croissant(&self, counts: &str) -> Result<Value> {
        let context: Value = serde_json::from_str(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/catalogue/contexts/croissant.jsonld"
        )))
        .map_err(|failure| Error::Configuration(format!("croissant.jsonld: {failure}")))?;
        let mut out = Map::new();
        let context = context.get("@context").cloned().unwrap_or_default();
        out.insert("@context".to_owned(), context);
        out.insert("@type".to_owned(), json!("sc:Dataset"));
        out.insert("conformsTo".to_owned(), json!("http://mlcommons.org/croissant/1.1"));
        out.insert("name".to_owned(), self.tagged(&self.titles));
        out.insert("description".to_owned(), self.tagged(&self.descriptions));
        out.extend(self.members());
        out.insert("citeAs".to_owned(), json!(self.citation()));
        let english = |text: &str| json!({ "en": text });
        let file = "counts.csv";
        out.insert(
            "distribution".to_owned(),
            json!([{
                "@type": "cr:FileObject",
                "@id": file,
                "name": english(file),
                "description": english("Studies and persons per facet, after the disclosure rule."),
                "contentUrl": format!("{}/analytics.csv", self.iri),
                "encodingFormat": "text/csv",
                "contentSize": format!("{} B", counts.len()),
                "sha256": emit::digest(counts),
            }]),
        );
        let field = |name: &str, kind: &str, text: &str| {
            json!({
                "@type": "cr:Field",
                "@id": format!("counts/{name}"),
                "name": english(name),
                "description": english(text),
                "dataType": kind,
                "source": { "fileObject": { "@id": file }, "extract": { "column": name } },
            })
        };
        out.insert(
            "recordSet".to_owned(),
            json!([{
                "@type": "cr:RecordSet",
                "@id": "counts",
                "name": english("counts"),
                "description": english(
                    "How many studies and persons have a term of a facet. Empty: below the \
                     threshold of the disclosure rule."),
                "field": [
                    field("facet", "sc:Text", "The facet: modality, body site, year, …"),
                    field("term", "sc:Text", "The term of the facet."),
                    // Not integers: a cell may be empty.
                    field("studies", "sc:Float", "Imaging studies."),
                    field("individuals", "sc:Float", "Persons."),
                ],
            }]),
        );
        Ok(Value::Object(out))
    }

    /// Texts as a language map.
    fn tagged(&self, texts: &Texts) -> Value {
        let map: Map<String, Value> = texts
            .iter()
            .map(|(language, text)| {
                let language = if language.is_empty() { &self.language } else { language };
                (language.clone(), json!(text))
            })
            .collect();
        Value::Object(map)
    }

    /// The fields of a citation by the DataCite Metadata Schema 4.6, as DataCite's JSON.
    #[must_use]
    pub fn datacite(&self) -> Value {
        let address = [("URL", self.iri.as_str())];
        let dois = self.doi().map(|doi| ("DOI", doi));
        let identifiers: Vec<Value> = dois
            .into_iter()
            .chain(address)
            .map(|(kind, value)| json!({ "identifier": value, "identifierType": kind }))
            .collect();
        let creators: Vec<Value> = self
            .creators
            .iter()
            .map(|name| json!({ "name": name, "nameType": "Organizational" }))
            .collect();
        let titles: Vec<Value> = self
            .titles
            .iter()
            .map(|(language, title)| json!({ "title": title, "lang": language }))
            .collect();
        let descriptions: Vec<Value> = self
            .descriptions
            .iter()
            .map(|(language, text)| {
                json!({
                    "description": text, "descriptionType": "Abstract", "lang": language,
                })
            })
            .collect();
        let mut rights: Vec<Value> =
            self.licences.iter().map(|iri| json!({ "rightsUri": iri })).collect();
        rights.push(json!({ "rights": self.conditions() }));
        let subjects: Vec<Value> =
            self.keywords.iter().map(|word| json!({ "subject": word })).collect();
        let mut dates = vec![
            json!({ "date": self.issued, "dateType": "Issued" }),
            json!({ "date": self.modified, "dateType": "Updated" }),
        ];
        if let Some(interval) = self.interval() {
            dates.push(json!({ "date": interval, "dateType": "Collected" }));
        }
        let related: Vec<Value> = self
            .relations
            .iter()
            .map(|iri| json!({
                "relatedIdentifier": iri, "relatedIdentifierType": "URL", "relationType": "IsDerivedFrom",
            }))
            .collect();
        let mut value = json!({
            "id": self.iri,
            "identifiers": identifiers,
            "creators": creators,
            "titles": titles,
            "publisher": { "name": self.publisher },
            "publicationYear": self.year().parse::<u16>().ok(),
            "types": { "resourceTypeGeneral": "Dataset", "resourceType": "Medical imaging dataset" },
            "subjects": subjects,
            "contributors": [{
                "name": self.holder, "nameType": "Organizational", "contributorType": "DataCurator",
            }],
            "dates": dates,
            "version": self.version,
            "rightsList": rights,
            "descriptions": descriptions,
            "relatedIdentifiers": related,
            "url": self.iri,
            "citation": self.citation(),
            "schemaVersion": "http://datacite.org/schema/kernel-4",
        });
        if let (Some(doi), Some(object)) = (self.doi(), value.as_object_mut()) {
            object.insert("doi".to_owned(), json!(doi));
        }
        value
    }
}

fn one_or_many(values: &[String]) -> Value {
    match values {
        [one] => json!(one),
        many => json!(many),
    }
}
