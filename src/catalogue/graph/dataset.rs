//! The dataset itself: words, choices, links.

use jiff::Timestamp;
use oxrdf::NamedNode;

use super::{Draft, Subject, Writer, moment, part};
use crate::catalogue::Day;
use crate::catalogue::description::Description;
use crate::catalogue::figures::Disclosed;
use crate::catalogue::release::Scheme;

/// A text and the sentence that follows it.
fn followed(text: &str, sentence: &str) -> String {
    let text = text.trim_end();
    // A Greek question ends with U+037E, or with what looks like it.
    let is_ended = text.ends_with(['.', '!', '?', ';', ':', '…', '\u{37e}', '。']);
    format!("{text}{} {sentence}", if is_ended || text.is_empty() { "" } else { "." })
}

impl Writer<'_> {
    pub(super) fn words(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let description = subject.description;
        draft.kind(node, "dcat:Dataset");
        draft.text(node, "dct:title", &description.title);
        for (language, text) in description.description.iter() {
            let tag = if language.is_empty() { draft.language } else { language };
            let unit = self.release.phrase("unit", tag).map(str::to_owned);
            let text = unit.map_or_else(|| text.to_owned(), |unit| followed(text, &unit));
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

    pub(super) fn legislation<'d>(&'d self, description: &'d Description) -> Vec<&'d str> {
        if description.applicable_legislation.is_empty() {
            vec![self.release.file.legislation.as_str()]
        } else {
            description.applicable_legislation.iter().map(String::as_str).collect()
        }
    }

    pub(super) fn choices(
        &self,
        draft: &mut Draft<'_>,
        node: &NamedNode,
        description: &Description,
    ) {
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
        let rows: [(&str, Scheme, &[String]); 8] = [
            ("dcat:theme", Scheme::DataTheme, &description.themes),
            ("healthdcatap:healthCategory", Scheme::HealthCategory, &description.health_categories),
            ("healthdcatap:healthTheme", Scheme::HealthTheme, &description.health_themes),
            ("dct:type", Scheme::DatasetType, &description.kind),
            ("dct:conformsTo", Scheme::Standard, standards),
            ("healthdcatap:hasCodingSystem", Scheme::CodingSystem, &description.coding_systems),
            ("dpv:hasPersonalData", Scheme::PersonalData, &description.personal_data),
            ("dct:language", Scheme::Language, &description.language),
        ];
        for (predicate, scheme, codes) in rows {
            for code in codes {
                draft.concept(node, predicate, scheme, code);
            }
        }
        for place in &description.spatial {
            draft.place(node, place);
        }
        for location in &description.locations {
            draft.location(node, location);
        }
        if self.release.file.form.dataset_status {
            draft.concept(node, "adms:status", Scheme::DatasetStatus, "COMPLETED");
        }
        if let Some(frequency) = &description.frequency {
            draft.concept(node, "dct:accrualPeriodicity", Scheme::Frequency, frequency);
        }
    }

    pub(super) fn links(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let description = subject.description;
        draft.literal(node, "dct:identifier", node.as_str());
        let former: Vec<NamedNode> =
            description.formerly.iter().map(|slug| self.dataset_iri(slug)).collect();
        let ours = std::iter::once(node.as_str()).chain(former.iter().map(NamedNode::as_str));
        let identifiers = ours.chain(description.identifiers.iter().map(String::as_str));
        for (place, identifier) in identifiers.enumerate() {
            let part = part(node, &format!("identifier-{}", place + 1));
            draft.add(node, "adms:identifier", part.clone());
            draft.kind(&part, "adms:Identifier");
            draft.typed(&part, "skos:notation", identifier, "xsd:anyURI");
            if place <= former.len() && !self.config.organisation.name.is_empty() {
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
            if let Some(previous) = &series.previous {
                draft.add(node, "dcat:prev", self.dataset_iri(previous));
            }
        }
        for version in &description.versions {
            draft.link(node, "dcat:hasVersion", version);
        }
        for (place, given) in description.qualified_relations.iter().enumerate() {
            let Ok(other) = NamedNode::new(given.relation.as_str()) else { continue };
            if given.service.is_empty() {
                draft.add(node, "dct:relation", other);
                continue;
            }
            draft.kind(&other, "dcat:DataService");
            draft.text(&other, "dct:title", &given.service);
            draft.add(&other, "dcat:endpointURL", other.clone());
            let part = part(node, &format!("relation-{}", place + 1));
            draft.add(node, "dcat:qualifiedRelation", part.clone());
            draft.kind(&part, "dcat:Relationship");
            draft.add(&part, "dct:relation", other);
            draft.link(&part, "dcat:hadRole", &given.role);
            if let Ok(role) = NamedNode::new(given.role.as_str()) {
                draft.kind(&role, "dcat:Role");
            }
        }
        let own = self.label_iri(subject.slug);
        let labels = std::iter::once(own.as_str()).chain(description.quality_label.as_deref());
        for (place, label) in labels.enumerate() {
            let name = if place == 0 { "quality".to_owned() } else { format!("quality-{place}") };
            let part = part(node, &name);
            draft.add(node, "dqv:hasQualityAnnotation", part.clone());
            draft.kind(&part, "dqv:QualityCertificate");
            // ckanext-dcat drops an annotation that names no target.
            draft.add(&part, "oa:hasTarget", node.clone());
            draft.link(&part, "oa:hasBody", label);
            let motive = self.release.term("dqv:qualityAssessment");
            draft.add(&part, "oa:motivatedBy", motive);
        }
    }

    pub(super) fn counts(&self, draft: &mut Draft<'_>, node: &NamedNode, figures: &Disclosed) {
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
        if let Some(spacing) = figures.spacing {
            draft.typed(node, "dcat:spatialResolutionInMeters", &metres(spacing), "xsd:decimal");
        }
        draft.period(node, "dct:temporal", &part(node, "temporal"), figures.from, figures.to);
    }

    /// The runs that read the data into the archive, after the activities that the steward names.
    pub(super) fn arrivals(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        for arrival in &subject.figures.arrivals {
            let part = part(node, &format!("arrival-{}", arrival.kind));
            draft.add(node, "prov:wasGeneratedBy", part.clone());
            draft.kind(&part, "prov:Activity");
            let phrase = format!("arrival-{}", arrival.kind);
            draft.phrase(&part, "rdfs:label", &phrase, &subject.description.title);
            draft.concept(&part, "dct:type", Scheme::HealthActivity, "AUTOMATIC_GENERATION");
            for (predicate, day) in
                [("prov:startedAtTime", arrival.from), ("prov:endedAtTime", arrival.to)]
            {
                if let Some(day) = day {
                    draft.typed(&part, predicate, &format!("{day}T00:00:00Z"), "xsd:dateTime");
                }
            }
        }
    }
}

/// Micrometres as metres, without a float's noise.
pub(super) fn metres(micrometres: u32) -> String {
    let text = format!("{}.{:06}", micrometres / 1_000_000, micrometres % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
