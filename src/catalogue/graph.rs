//! A description and its figures become an RDF graph by HealthDCAT-AP.
//!
//! One document per dataset, self-contained, without blank nodes (parts are `#part` IRIs),
//! without a `dcat:Catalog` and without a second `dcat:Dataset`: the official validator holds
//! a Catalog to the Dataset's list, and harvesters import every node typed Dataset.

use jiff::Timestamp;
use oxrdf::{Graph, Literal, NamedNode, Term, Triple};

use super::description::{Agent, Contact, Description, Distribution, Text};
use super::figures::Disclosed;
use super::release::{Release, Scheme, VariableTable};
use super::{AccessRights, Day};
use crate::config::{Config, Organisation};
use crate::imaging::Facet;

/// A dataset that is ready to be written.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Last part of its IRI.
    pub slug: &'a str,
    /// What the steward wrote.
    pub description: &'a Description,
    /// What the archive says, after the disclosure rule.
    pub figures: &'a Disclosed,
    /// First publication.
    pub issued: Timestamp,
    /// Last change of content.
    pub modified: Timestamp,
}

/// Writes documents for one configuration and release.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// Names, contacts and the base of every IRI.
    pub config: &'a Config,
    /// Namespaces and vocabularies.
    pub release: &'a Release,
}

/// A graph under construction.
pub(super) struct Draft<'a> {
    pub(super) graph: Graph,
    pub(super) release: &'a Release,
    language: &'a str,
}

impl<'a> Draft<'a> {
    pub(super) fn new(writer: Writer<'a>) -> Self {
        let language = writer.config.catalogue.language.as_str();
        Self { graph: Graph::new(), release: writer.release, language }
    }

    pub(super) fn add(&mut self, subject: &NamedNode, predicate: &str, object: impl Into<Term>) {
        self.graph.insert(&Triple::new(subject.clone(), self.release.term(predicate), object));
    }

    pub(super) fn kind(&mut self, subject: &NamedNode, class: &str) {
        let class = self.release.term(class);
        self.add(subject, "rdf:type", class);
    }

    pub(super) fn literal(&mut self, subject: &NamedNode, predicate: &str, text: &str) {
        self.add(subject, predicate, Literal::new_simple_literal(text));
    }

    pub(super) fn typed(&mut self, subject: &NamedNode, predicate: &str, text: &str, kind: &str) {
        let kind = self.release.term(kind);
        self.add(subject, predicate, Literal::new_typed_literal(text, kind));
    }

    pub(super) fn tagged(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        language: &str,
        text: &str,
    ) {
        let language = if language.is_empty() { self.language } else { language };
        let literal = Literal::new_language_tagged_literal(text, language)
            .unwrap_or_else(|_| Literal::new_simple_literal(text));
        self.add(subject, predicate, literal);
    }

    pub(super) fn text(&mut self, subject: &NamedNode, predicate: &str, text: &Text) {
        for (language, text) in text.iter() {
            self.tagged(subject, predicate, language, text);
        }
    }

    /// A sentence of ours, in English and in the languages of the dataset's title.
    pub(super) fn phrase(&mut self, subject: &NamedNode, predicate: &str, name: &str, like: &Text) {
        let release = self.release;
        let mut languages: Vec<&str> = like
            .iter()
            .map(|(language, _)| if language.is_empty() { self.language } else { language })
            .collect();
        languages.push("en");
        languages.sort_unstable();
        languages.dedup();
        for language in languages {
            if let Some(text) = release.phrase(name, language) {
                self.tagged(subject, predicate, language, text);
            }
        }
    }

    /// An IRI that somebody typed; one that is none becomes a literal, which the shapes refuse.
    pub(super) fn link(&mut self, subject: &NamedNode, predicate: &str, iri: &str) {
        match NamedNode::new(iri) {
            Ok(node) => self.add(subject, predicate, node),
            Err(_) => self.literal(subject, predicate, iri),
        }
    }

    pub(super) fn document(&mut self, subject: &NamedNode, predicate: &str, iri: &str) {
        self.link(subject, predicate, iri);
        if let Ok(node) = NamedNode::new(iri) {
            self.kind(&node, "foaf:Document");
        }
    }

    /// A concept of a vocabulary, typed as the range of its property asks. A code that the
    /// vocabulary does not have is written below its base and refused by the shapes.
    pub(super) fn concept(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        scheme: Scheme,
        code: &str,
    ) {
        let row = self.release.scheme(scheme);
        let node = self.release.concept(scheme, code).or_else(|| {
            let full =
                if code.contains("://") { code.to_owned() } else { format!("{}{code}", row.base) };
            NamedNode::new(full).ok()
        });
        let Some(node) = node else {
            self.literal(subject, predicate, code);
            return;
        };
        if !row.class.is_empty() {
            self.kind(&node, &row.class);
        }
        self.add(subject, predicate, node);
    }

    pub(super) fn period(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        node: &NamedNode,
        from: Option<Day>,
        to: Option<Day>,
    ) {
        if from.is_none() && to.is_none() {
            return;
        }
        self.add(subject, predicate, node.clone());
        self.kind(node, "dct:PeriodOfTime");
        if let Some(day) = from {
            self.typed(node, "dcat:startDate", &day.to_string(), "xsd:date");
        }
        if let Some(day) = to {
            self.typed(node, "dcat:endDate", &day.to_string(), "xsd:date");
        }
    }

    /// An agent with its one contact point.
    pub(super) fn agent(&mut self, node: &NamedNode, contact: &NamedNode, agent: &Agent) {
        self.kind(node, "foaf:Agent");
        self.tagged(node, "foaf:name", "", &agent.name);
        if let Some(kind) = &agent.kind {
            self.concept(node, "dct:type", Scheme::PublisherType, kind);
        }
        self.text(node, "dct:description", &agent.note);
        if agent.trusted_data_holder {
            self.typed(node, "healthdcatap:trustedDataHolder", "true", "xsd:boolean");
        }
        if agent.email.is_none() && agent.page.is_none() {
            return;
        }
        self.add(node, "cv:contactPoint", contact.clone());
        self.kind(contact, "cv:ContactPoint");
        if let Some(email) = &agent.email {
            self.literal(contact, "cv:email", email);
        }
        if let Some(page) = &agent.page {
            self.link(contact, "cv:contactPage", page);
        }
        if let Some(telephone) = &agent.telephone {
            self.literal(contact, "cv:telephone", telephone);
        }
    }
}

/// An organisation of the configuration as an agent.
#[must_use]
pub fn configured(organisation: &Organisation) -> Agent {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    Agent {
        name: organisation.name.clone(),
        iri: given(&organisation.iri),
        email: given(&organisation.email),
        page: given(&organisation.page),
        telephone: given(&organisation.telephone),
        kind: given(&organisation.publisher_type),
        note: Text::default(),
        trusted_data_holder: organisation.trusted_data_holder,
    }
}

impl Writer<'_> {
    /// An IRI below our base. The base was checked to be one.
    #[must_use]
    pub fn iri(&self, path: &str) -> NamedNode {
        NamedNode::new_unchecked(format!("{}{path}", self.config.server.base()))
    }

    /// The IRI of a dataset.
    #[must_use]
    pub fn dataset_iri(&self, slug: &str) -> NamedNode {
        self.iri(&format!("/dataset/{slug}"))
    }

    /// The IRI of its catalogue record.
    #[must_use]
    pub fn record_iri(&self, slug: &str) -> NamedNode {
        self.iri(&format!("/record/{slug}"))
    }

    /// Where one applies for data: the access body's page, else its mailbox.
    #[must_use]
    pub fn application(&self, description: &Description) -> Option<String> {
        let own = description.hdab.as_ref();
        let page = own.and_then(|agent| agent.page.clone()).or_else(|| {
            (own.is_none() && !self.config.hdab.page.is_empty())
                .then(|| self.config.hdab.page.clone())
        });
        let email = own.and_then(|agent| agent.email.clone()).or_else(|| {
            (own.is_none() && !self.config.hdab.email.is_empty())
                .then(|| self.config.hdab.email.clone())
        });
        page.or_else(|| email.map(|email| format!("mailto:{email}")))
    }

    /// The agent and the contact of an organisation of the configuration.
    fn configured_agent(
        &self,
        draft: &mut Draft<'_>,
        name: &str,
        organisation: &Organisation,
    ) -> NamedNode {
        let home = self.iri(&format!("/agent/{name}"));
        let node = NamedNode::new(organisation.iri.as_str()).unwrap_or_else(|_| home.clone());
        let contact = NamedNode::new_unchecked(format!("{}#contact", home.as_str()));
        draft.agent(&node, &contact, &configured(organisation));
        node
    }

    /// An organisation of the configuration as a document of its own: `organisation`, `hdab`.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<Graph> {
        let organisation = match name {
            "organisation" => &self.config.organisation,
            "hdab" => &self.config.hdab,
            _ => return None,
        };
        if organisation.name.is_empty() {
            return None;
        }
        let mut draft = Draft::new(*self);
        self.configured_agent(&mut draft, name, organisation);
        Some(draft.graph)
    }

    /// Our FHIR endpoint as a document of its own.
    #[must_use]
    pub fn service(&self) -> Graph {
        let mut draft = Draft::new(*self);
        self.fhir_service(&mut draft);
        draft.graph
    }

    fn fhir_service(&self, draft: &mut Draft<'_>) -> NamedNode {
        let node = self.iri("/service/fhir");
        let endpoint = self.iri("/fhir");
        let english = Text::new("en", "");
        draft.kind(&node, "dcat:DataService");
        draft.phrase(&node, "dct:title", "fhir", &english);
        draft.phrase(&node, "dct:description", "fhir-description", &english);
        draft.add(&node, "dcat:endpointURL", endpoint);
        draft.add(&node, "dcat:endpointDescription", self.iri("/fhir/metadata"));
        draft.concept(&node, "dct:conformsTo", Scheme::Standard, "FHIR");
        draft.concept(&node, "dct:format", Scheme::FileType, "JSON");
        draft.concept(
            &node,
            "dcatap:applicableLegislation",
            Scheme::Legislation,
            &self.release.file.legislation,
        );
        node
    }

    /// The document of a dataset.
    #[must_use]
    pub fn dataset(&self, subject: &Subject<'_>) -> Graph {
        let mut draft = Draft::new(*self);
        let node = self.dataset_iri(subject.slug);
        self.words(&mut draft, &node, subject);
        self.choices(&mut draft, &node, subject.description);
        self.agents(&mut draft, &node, subject.description);
        self.links(&mut draft, &node, subject);
        self.counts(&mut draft, &node, subject.figures);
        self.codes(&mut draft, &node, subject);
        self.variables(&mut draft, &node, subject.figures);
        self.distributions(&mut draft, &node, subject);
        draft.graph
    }

    fn words(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let description = subject.description;
        draft.kind(node, "dcat:Dataset");
        draft.text(node, "dct:title", &description.title);
        for (language, text) in description.description.iter() {
            let tag = if language.is_empty() { draft.language } else { language };
            let unit = self.release.phrase("unit", tag).map(str::to_owned);
            let text =
                unit.map_or_else(|| text.to_owned(), |unit| format!("{} {unit}", text.trim_end()));
            draft.tagged(node, "dct:description", language, &text);
        }
        draft.text(node, "dct:alternative", &description.alternative);
        for (language, word) in description.keywords.iter() {
            draft.tagged(node, "dcat:keyword", language, word);
        }
        draft.text(node, "healthdcatap:populationCoverage", &description.population_coverage);
        draft.text(node, "adms:versionNotes", &description.version_notes);
        draft.literal(node, "dcat:version", description.version.as_deref().unwrap_or("1.0"));
        let day = |time: Timestamp| time.to_zoned(jiff::tz::TimeZone::UTC).date();
        let issued = description.issued.unwrap_or_else(|| Day(day(subject.issued)));
        draft.typed(node, "dct:issued", &issued.to_string(), "xsd:date");
        draft.typed(node, "dct:modified", &moment(subject.modified), "xsd:dateTime");
        if let Some(resolution) = &description.temporal_resolution {
            draft.typed(node, "dcat:temporalResolution", resolution, "xsd:duration");
        }
        if !description.provenance.is_empty() {
            let part = part(node, "provenance");
            draft.add(node, "dct:provenance", part.clone());
            draft.kind(&part, "dct:ProvenanceStatement");
            draft.text(&part, "rdfs:label", &description.provenance);
        }
        for (place, purpose) in description.purposes.iter().enumerate() {
            let part = part(node, &format!("purpose-{}", place + 1));
            draft.add(node, "dpv:hasPurpose", part.clone());
            draft.kind(&part, "dpv:Purpose");
            draft.text(&part, "dct:description", purpose);
        }
        for (place, basis) in description.legal_basis.iter().enumerate() {
            if let Some(code) = &basis.code {
                draft.concept(node, "dpv:hasLegalBasis", Scheme::LegalBasis, code);
            }
            if !basis.description.is_empty() || basis.source.is_some() {
                let part = part(node, &format!("legal-basis-{}", place + 1));
                draft.add(node, "dpv:hasLegalBasis", part.clone());
                draft.kind(&part, "dpv:LegalBasis");
                draft.text(&part, "dct:description", &basis.description);
                if let Some(source) = &basis.source {
                    draft.concept(&part, "dct:source", Scheme::Legislation, source);
                }
            }
        }
        for (place, activity) in description.generated_by.iter().enumerate() {
            let part = part(node, &format!("activity-{}", place + 1));
            draft.add(node, "prov:wasGeneratedBy", part.clone());
            draft.kind(&part, "prov:Activity");
            draft.text(&part, "rdfs:label", &activity.label);
            if let Some(kind) = &activity.kind {
                draft.concept(&part, "dct:type", Scheme::HealthActivity, kind);
            }
        }
        if let Some(retention) = description.retention {
            let part = part(node, "retention");
            draft.period(node, "healthdcatap:retentionPeriod", &part, retention.from, retention.to);
        }
    }

    fn legislation<'d>(&'d self, description: &'d Description) -> Vec<&'d str> {
        if description.applicable_legislation.is_empty() {
            vec![self.release.file.legislation.as_str()]
        } else {
            description.applicable_legislation.iter().map(String::as_str).collect()
        }
    }

    fn choices(&self, draft: &mut Draft<'_>, node: &NamedNode, description: &Description) {
        if let Some(rights) = description.access_rights {
            draft.concept(node, "dct:accessRights", Scheme::AccessRight, rights.code());
        }
        for law in self.legislation(description) {
            draft.concept(node, "dcatap:applicableLegislation", Scheme::Legislation, law);
        }
        draft.concept(node, "dcat:theme", Scheme::DataTheme, "HEAL");
        let dicom = ["DICOM".to_owned()];
        let standards: &[String] =
            if description.conforms_to.is_empty() { &dicom } else { &description.conforms_to };
        let rows: [(&str, Scheme, &[String]); 9] = [
            ("dcat:theme", Scheme::DataTheme, &description.themes),
            ("healthdcatap:healthCategory", Scheme::HealthCategory, &description.health_categories),
            ("healthdcatap:healthTheme", Scheme::HealthTheme, &description.health_themes),
            ("dct:type", Scheme::DatasetType, &description.kind),
            ("dct:conformsTo", Scheme::Standard, standards),
            ("healthdcatap:hasCodingSystem", Scheme::CodingSystem, &description.coding_systems),
            ("dpv:hasPersonalData", Scheme::PersonalData, &description.personal_data),
            ("dct:language", Scheme::Language, &description.language),
            ("dct:spatial", Scheme::Country, &description.spatial),
        ];
        for (predicate, scheme, codes) in rows {
            for code in codes {
                draft.concept(node, predicate, scheme, code);
            }
        }
        if let Some(frequency) = &description.frequency {
            draft.concept(node, "dct:accrualPeriodicity", Scheme::Frequency, frequency);
        }
    }

    fn agents(&self, draft: &mut Draft<'_>, node: &NamedNode, description: &Description) {
        let organisation = ("organisation", &self.config.organisation);
        let rows = [
            ("dct:publisher", "publisher", description.publisher.as_ref(), Some(organisation)),
            (
                "geodcatap:custodian",
                "custodian",
                description.custodian.as_ref(),
                Some(organisation),
            ),
            (
                "healthdcatap:hdab",
                "hdab",
                description.hdab.as_ref(),
                Some(("hdab", &self.config.hdab)),
            ),
            (
                "healthdcatap:hdabCoordinator",
                "hdab-coordinator",
                description.hdab_coordinator.as_ref(),
                None,
            ),
        ];
        for (predicate, name, own, fallback) in rows {
            let agent = match (own, fallback) {
                (Some(agent), _) => self.own_agent(draft, node, name, agent),
                (None, Some((name, organisation))) if !organisation.name.is_empty() => {
                    self.configured_agent(draft, name, organisation)
                }
                (None, _) => continue,
            };
            draft.add(node, predicate, agent);
        }
        for (place, creator) in description.creators.iter().enumerate() {
            let agent = self.own_agent(draft, node, &format!("creator-{}", place + 1), creator);
            draft.add(node, "dct:creator", agent);
        }
        let is_trusted = description
            .custodian
            .as_ref()
            .map_or(self.config.organisation.trusted_data_holder, |agent| {
                agent.trusted_data_holder
            });
        if is_trusted {
            // Article 72: the catalogue shows it; on the dataset too, because R8's example and
            // its shape comment disagree about the place.
            draft.typed(node, "healthdcatap:trustedDataHolder", "true", "xsd:boolean");
        }
        let contact = description.contact.clone().unwrap_or_else(|| {
            let given = |text: &String| (!text.is_empty()).then(|| text.clone());
            let organisation = &self.config.organisation;
            Contact {
                name: given(&organisation.name),
                email: given(&organisation.email),
                page: given(&organisation.page),
            }
        });
        if contact.email.is_some() || contact.page.is_some() {
            let part = part(node, "contact");
            draft.add(node, "dcat:contactPoint", part.clone());
            draft.kind(&part, "vcard:Kind");
            if let Some(name) = &contact.name {
                draft.literal(&part, "vcard:fn", name);
            }
            if let Some(email) = &contact.email {
                draft.link(&part, "vcard:hasEmail", &format!("mailto:{email}"));
            }
            if let Some(page) = &contact.page {
                draft.link(&part, "vcard:hasURL", page);
            }
        }
    }

    fn own_agent(
        &self,
        draft: &mut Draft<'_>,
        node: &NamedNode,
        name: &str,
        agent: &Agent,
    ) -> NamedNode {
        let contact = part(node, &format!("{name}-contact"));
        let own = agent.iri.as_deref().and_then(|iri| NamedNode::new(iri).ok());
        let subject = own.unwrap_or_else(|| part(node, name));
        draft.agent(&subject, &contact, agent);
        subject
    }

    fn links(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let description = subject.description;
        draft.literal(node, "dct:identifier", node.as_str());
        let identifiers = std::iter::once(node.as_str())
            .chain(description.identifiers.iter().map(String::as_str));
        for (place, identifier) in identifiers.enumerate() {
            let part = part(node, &format!("identifier-{}", place + 1));
            draft.add(node, "adms:identifier", part.clone());
            draft.kind(&part, "adms:Identifier");
            draft.typed(&part, "skos:notation", identifier, "xsd:anyURI");
            if place == 0 && !self.config.organisation.name.is_empty() {
                draft.literal(&part, "adms:schemaAgency", &self.config.organisation.name);
            }
        }
        let own_page = format!("{}.html", node.as_str());
        draft.document(
            node,
            "dcat:landingPage",
            description.landing_page.as_deref().unwrap_or(&own_page),
        );
        for page in &description.documentation {
            draft.document(node, "foaf:page", page);
        }
        if description.documentation.is_empty() && description.landing_page.is_some() {
            draft.document(node, "foaf:page", &own_page);
        }
        for link in &description.is_referenced_by {
            draft.link(node, "dct:isReferencedBy", link);
        }
        for link in &description.sources {
            draft.link(node, "dct:relation", link);
            draft.link(node, "prov:wasDerivedFrom", link);
        }
        for link in &description.relations {
            draft.link(node, "dct:relation", link);
        }
        if let Some(series) = &description.series {
            // A DatasetSeries is a Dataset in DCAT's own ontology and would be held to its
            // list: the document only points at it, the listing describes it.
            draft.add(node, "dct:isPartOf", self.iri(&format!("/series/{}", series.id)));
        }
        if let Some(label) = &description.quality_label {
            let part = part(node, "quality");
            draft.add(node, "dqv:hasQualityAnnotation", part.clone());
            draft.kind(&part, "dqv:QualityCertificate");
            // ckanext-dcat drops an annotation that names no target.
            draft.add(&part, "oa:hasTarget", node.clone());
            draft.link(&part, "oa:hasBody", label);
            let motive = self.release.term("dqv:qualityAssessment");
            draft.add(&part, "oa:motivatedBy", motive);
        }
    }

    fn counts(&self, draft: &mut Draft<'_>, node: &NamedNode, figures: &Disclosed) {
        let rows = [
            ("healthdcatap:numberOfRecords", figures.records),
            ("healthdcatap:numberOfUniqueIndividuals", figures.individuals),
            ("healthdcatap:minTypicalAge", figures.min_age.map(u64::from)),
            ("healthdcatap:maxTypicalAge", figures.max_age.map(u64::from)),
        ];
        for (predicate, count) in rows {
            if let Some(count) = count {
                draft.typed(node, predicate, &count.to_string(), "xsd:nonNegativeInteger");
            }
        }
        draft.period(node, "dct:temporal", &part(node, "temporal"), figures.from, figures.to);
    }

    /// Codes, coding systems and keywords that the data themselves show.
    fn codes(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let figures = subject.figures;
        let release = self.release;
        for row in &release.code_systems.facet {
            for shown in figures.terms(row.facet) {
                draft.literal(
                    node,
                    "healthdcatap:hasCodeValues",
                    &format!("{} {}", row.prefix, shown.term),
                );
                draft.concept(
                    node,
                    "healthdcatap:hasCodingSystem",
                    Scheme::CodingSystem,
                    &row.coding_system,
                );
            }
        }
        let facets = [Facet::BodySite, Facet::Laterality, Facet::Reason];
        for shown in facets.iter().flat_map(|facet| figures.terms(*facet)) {
            // Terms are `system|code`; Laterality is a bare SNOMED CT code.
            let (system, code) =
                shown.term.split_once('|').unwrap_or(("http://snomed.info/sct", &shown.term));
            let row = release.code_systems.system.iter().find(|row| row.uri == system);
            if let Some(row) = row {
                draft.literal(
                    node,
                    "healthdcatap:hasCodeValues",
                    &format!("{} {code}", row.prefix),
                );
                draft.concept(
                    node,
                    "healthdcatap:hasCodingSystem",
                    Scheme::CodingSystem,
                    &row.coding_system,
                );
            }
        }
        for shown in figures.terms(Facet::Modality) {
            if let Some(label) = release.modality(&shown.term) {
                draft.tagged(node, "dcat:keyword", "en", label);
            }
        }
    }

    fn variables(&self, draft: &mut Draft<'_>, node: &NamedNode, figures: &Disclosed) {
        let present: Vec<_> = self
            .release
            .variables
            .iter()
            .filter(|variable| {
                figures.attributes.binary_search(&variable.attribute).is_ok()
                    || variable.facet.is_some_and(|facet| facet_has_terms(figures, facet))
            })
            .collect();
        let is_structured = !present.is_empty();
        draft.typed(
            node,
            "healthdcatap:hasStructuredData",
            if is_structured { "true" } else { "false" },
            "xsd:boolean",
        );
        if !is_structured {
            return;
        }
        let english = Text::new("en", "");
        let group = part(node, "variables");
        draft.add(node, "healthdcatap:hasVariables", group.clone());
        draft.kind(&group, "csvw:TableGroup");
        draft.phrase(&group, "dct:title", "variables", &english);
        for (kind, name, phrase) in [
            (VariableTable::Study, "studies", "study-table"),
            (VariableTable::Series, "series", "series-table"),
        ] {
            let columns: Vec<_> =
                present.iter().filter(|variable| variable.table == kind).collect();
            if columns.is_empty() {
                continue;
            }
            let table = part(node, name);
            draft.add(&group, "csvw:table", table.clone());
            draft.kind(&table, "csvw:Table");
            draft.phrase(&table, "dct:title", phrase, &english);
            for variable in columns {
                let column = part(node, &format!("variable-{}", variable.name));
                draft.add(&table, "csvw:column", column.clone());
                draft.kind(&column, "csvw:Column");
                draft.literal(&column, "csvw:name", &variable.name);
                draft.tagged(&column, "csvw:title", "en", &variable.title);
                draft.literal(&column, "csvw:datatype", &variable.datatype);
                draft.tagged(&column, "dct:description", "en", &variable.description);
                if let Some(property) = &variable.property {
                    draft.link(&column, "csvw:propertyUrl", property);
                }
            }
        }
    }

    fn distributions(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let description = subject.description;
        let title = &description.title;
        let is_open = description.access_rights == Some(AccessRights::Public);
        let mut given = description.distributions.clone();
        if given.is_empty() && !is_open {
            given.push(Distribution {
                format: Some("ZIP".to_owned()),
                media_type: Some("application/dicom".to_owned()),
                ..Distribution::default()
            });
        }
        let mut parts = subject.figures.parts.iter();
        let mut has_fhir = false;
        for (place, distribution) in given.iter().enumerate() {
            let part =
                NamedNode::new_unchecked(format!("{}/distribution/{}", node.as_str(), place + 1));
            draft.add(node, "dcat:distribution", part.clone());
            let bytes = if distribution.selection.is_empty() {
                subject.figures.bytes
            } else {
                parts.next().and_then(|part| part.bytes)
            };
            self.distribution(draft, &part, description, distribution, bytes);
            if distribution.fhir {
                has_fhir = true;
                self.serve(draft, node, &part);
            }
        }
        if !has_fhir {
            let part = NamedNode::new_unchecked(format!(
                "{}/distribution/{}",
                node.as_str(),
                given.len() + 1
            ));
            draft.add(node, "dcat:distribution", part.clone());
            let distribution = Distribution {
                access_url: Some(self.iri("/fhir").as_str().to_owned()),
                format: Some("JSON".to_owned()),
                media_type: Some("application/fhir+json".to_owned()),
                ..Distribution::default()
            };
            self.distribution(draft, &part, description, &distribution, None);
            draft.phrase(&part, "dct:title", "fhir", title);
            draft.phrase(&part, "dct:description", "fhir-description", title);
            draft.concept(&part, "dct:conformsTo", Scheme::Standard, "FHIR");
            self.serve(draft, node, &part);
        }
        let counts = NamedNode::new_unchecked(format!("{}/analytics", node.as_str()));
        let address = format!("{}/analytics.csv", node.as_str());
        let table = Distribution {
            access_url: Some(address.clone()),
            download_url: Some(address),
            format: Some("CSV".to_owned()),
            media_type: Some("text/csv".to_owned()),
            ..Distribution::default()
        };
        draft.add(node, "healthdcatap:analytics", counts.clone());
        self.distribution(draft, &counts, description, &table, None);
        draft.phrase(&counts, "dct:title", "counts", title);
        let rule = if subject.figures.is_exact { "exact-counts" } else { "disclosed-counts" };
        draft.phrase(&counts, "dct:description", rule, title);
        for (place, report) in description.analytics.iter().enumerate() {
            let part =
                NamedNode::new_unchecked(format!("{}/analytics/{}", node.as_str(), place + 1));
            draft.add(node, "healthdcatap:analytics", part.clone());
            self.distribution(draft, &part, description, report, None);
        }
        if let Some(sample) = &description.sample {
            let part = NamedNode::new_unchecked(format!("{}/sample", node.as_str()));
            draft.add(node, "adms:sample", part.clone());
            self.distribution(draft, &part, description, sample, None);
        }
    }

    fn serve(&self, draft: &mut Draft<'_>, node: &NamedNode, part: &NamedNode) {
        let service = self.fhir_service(draft);
        draft.add(part, "dcat:accessService", service.clone());
        draft.add(&service, "dcat:servesDataset", node.clone());
    }

    fn distribution(
        &self,
        draft: &mut Draft<'_>,
        part_iri: &NamedNode,
        description: &Description,
        distribution: &Distribution,
        bytes: Option<u64>,
    ) {
        draft.kind(part_iri, "dcat:Distribution");
        for law in self.legislation(description) {
            draft.concept(part_iri, "dcatap:applicableLegislation", Scheme::Legislation, law);
        }
        draft.text(part_iri, "dct:title", &distribution.title);
        draft.text(part_iri, "dct:description", &distribution.description);
        let is_open = description.access_rights == Some(AccessRights::Public);
        match &distribution.access_url {
            Some(address) => draft.link(part_iri, "dcat:accessURL", address),
            None if !is_open => {
                if let Some(address) = self.application(description) {
                    draft.link(part_iri, "dcat:accessURL", &address);
                }
                if distribution.title.is_empty() {
                    draft.phrase(part_iri, "dct:title", "application", &description.title);
                }
            }
            None => {}
        }
        if let Some(address) = &distribution.download_url {
            draft.link(part_iri, "dcat:downloadURL", address);
        }
        if let Some(format) = &distribution.format {
            draft.concept(part_iri, "dct:format", Scheme::FileType, format);
        }
        if let Some(kind) = &distribution.media_type {
            draft.concept(part_iri, "dcat:mediaType", Scheme::MediaType, kind);
        }
        let availability = distribution.availability.as_deref().unwrap_or("STABLE");
        draft.concept(part_iri, "dcatap:availability", Scheme::PlannedAvailability, availability);
        if let Some(status) = &distribution.status {
            draft.concept(part_iri, "adms:status", Scheme::DistributionStatus, status);
        }
        if let Some(bytes) = bytes {
            draft.typed(part_iri, "dcat:byteSize", &bytes.to_string(), "xsd:nonNegativeInteger");
        }
        if let Some(licence) = &distribution.licence {
            let row = self
                .release
                .licences
                .iter()
                .find(|row| row.name == *licence || row.iri == *licence);
            let iri = row.map_or(licence.as_str(), |row| row.iri.as_str());
            draft.link(part_iri, "dct:license", iri);
            if let Ok(node) = NamedNode::new(iri) {
                draft.kind(&node, "dct:LicenseDocument");
                if let Some(row) = row {
                    draft.tagged(&node, "dct:title", "en", &row.title);
                }
            }
        }
        if !distribution.rights.is_empty() {
            // A distribution has an address of its own; a part of it a fragment.
            let rights = part(part_iri, "rights");
            draft.add(part_iri, "dct:rights", rights.clone());
            draft.kind(&rights, "dct:RightsStatement");
            draft.text(&rights, "rdfs:label", &distribution.rights);
        }
        for page in &distribution.documentation {
            draft.document(part_iri, "foaf:page", page);
        }
    }
}

fn facet_has_terms(figures: &Disclosed, facet: Facet) -> bool {
    match facet {
        Facet::Age => figures.min_age.is_some(),
        other => figures.terms(other).next().is_some(),
    }
}

fn part(node: &NamedNode, name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{}#{name}", node.as_str()))
}

/// An `xsd:dateTime` in UTC, to the second: finer would only make documents differ.
#[must_use]
pub fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
