//! What is said about the catalogue itself, its records, its series and its service, beyond what
//! the listing needs (DCAT-AP 3.0.1; recommended and optional properties).

use std::path::Path;

use oxrdf::NamedNode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::description::{AccessRights, Agent, Day, Text, Waiver, Words};
use super::graph::{Draft, Writer, part};
use super::language::language_code;
use super::release::{self, Release, Scheme};
use super::shelf::{Entry, State};
use crate::error::{Error, Result};

/// `catalogue.toml`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct About {
    /// Title in other languages (`dct:title`).
    pub title: Text,
    /// Description in other languages (`dct:description`).
    pub description: Text,
    /// Licence of the metadata (`dct:license`).
    pub licence: Option<String>,
    /// Statement of rights (`dct:rights`), per language.
    pub rights: Text,
    /// First publication (`dct:issued`).
    pub issued: Option<Day>,
    /// Who made the catalogue (`dct:creator`).
    pub creator: Option<Agent>,
    /// Catalogues that belong to this one (`dct:hasPart`, `dcat:catalog`).
    #[serde(rename = "part")]
    pub parts: Vec<PartCatalog>,
    /// The FHIR endpoint (`dcat:DataService`).
    pub service: Service,
}

/// A catalogue that belongs to this one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PartCatalog {
    /// Its IRI.
    pub iri: String,
    /// Title, per language.
    pub title: Text,
    /// Description, per language.
    pub description: Text,
}

/// What is said of the FHIR endpoint.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// Keywords (`dcat:keyword`), per language.
    pub keywords: Words,
    /// A page about it (`dcat:landingPage`).
    pub landing_page: Option<String>,
    /// Licence of its use (`dct:license`).
    pub licence: Option<String>,
    /// Who may use it (`dct:accessRights`).
    pub access_rights: Option<AccessRights>,
}

/// Reads `catalogue.toml`.
pub(super) fn read(folder: Option<&Path>) -> Result<About> {
    let about: About = release::read("catalogue.toml", folder)?;
    let wrong =
        |problem: String| Err(Error::Configuration(format!("catalogue/catalogue.toml: {problem}")));
    for catalog in &about.parts {
        if NamedNode::new(catalog.iri.as_str()).is_err() {
            return wrong(format!("`{}` is no address of a catalogue", catalog.iri));
        }
        if catalog.title.is_empty() || catalog.description.is_empty() {
            return wrong(format!("`{}` needs a title and a description", catalog.iri));
        }
    }
    if let Some(creator) = &about.creator
        && creator.name.trim().is_empty()
    {
        return wrong("`creator` has no name".to_owned());
    }
    Ok(about)
}

impl Writer<'_> {
    /// The catalogue's recommended and optional properties.
    pub(super) fn put_about(&self, draft: &mut Draft<'_>, catalog: &NamedNode) {
        let about = &self.release.about;
        draft.text(catalog, "dct:title", &about.title);
        draft.text(catalog, "dct:description", &about.description);
        if let Some(licence) = &about.licence {
            put_licence(draft, self.release, catalog, licence);
        }
        put_rights(draft, catalog, &about.rights);
        if let Some(day) = about.issued {
            draft.typed(catalog, "dct:issued", &day.to_string(), "xsd:date");
        }
        if let Some(creator) = &about.creator {
            let own = creator.iri.as_deref().and_then(|iri| NamedNode::new(iri).ok());
            let node = own.unwrap_or_else(|| part(catalog, "creator"));
            draft.agent(&node, &part(catalog, "creator-contact"), creator);
            draft.add(catalog, "dct:creator", node);
        }
        for given in &about.parts {
            let node = NamedNode::new_unchecked(given.iri.as_str());
            draft.kind(&node, "dcat:Catalog");
            draft.text(&node, "dct:title", &given.title);
            draft.text(&node, "dct:description", &given.description);
            let publisher = NamedNode::new(self.config.organisation.iri.as_str())
                .unwrap_or_else(|_| self.iri("/agent/organisation"));
            draft.add(&node, "dct:publisher", publisher);
            let law = &self.release.file.legislation;
            draft.concept(&node, "dcatap:applicableLegislation", Scheme::Legislation, law);
            draft.add(catalog, "dct:hasPart", node.clone());
            draft.add(catalog, "dcat:catalog", node);
        }
        // What `dcat:themeTaxonomy` names, and the theme that every dataset has.
        let scheme = self.release.scheme(Scheme::DataTheme).scheme.as_str();
        let scheme = NamedNode::new_unchecked(scheme);
        draft.kind(&scheme, "skos:ConceptScheme");
        draft.tagged(&scheme, "dct:title", "en", "Data theme");
        if let Some(health) = self.release.concept(Scheme::DataTheme, "HEAL") {
            draft.kind(&health, "skos:Concept");
            let label = self.release.label(Scheme::DataTheme, "HEAL").unwrap_or("Health");
            draft.tagged(&health, "skos:prefLabel", "en", label);
            draft.add(&health, "skos:inScheme", scheme);
        }
    }

    /// The record's recommended and optional properties.
    pub(super) fn put_record_about(&self, draft: &mut Draft<'_>, entry: &Entry) {
        let record = self.record_iri(&entry.slug);
        let description = entry.description();
        draft.text(&record, "dct:title", &description.title);
        draft.phrase(&record, "dct:description", "record", &description.title);
        if let Some(code) = language_code(&self.config.catalogue.language) {
            draft.concept(&record, "dct:language", Scheme::Language, code);
        }
    }

    /// That the dataset holds to the profile; of one that is excused from a rule, by which waiver
    /// and why, and no claim.
    pub(super) fn put_conformance(&self, draft: &mut Draft<'_>, entry: &Entry) {
        let record = self.record_iri(&entry.slug);
        let waivers = self.waivers_of(entry);
        if waivers.is_empty() {
            let profile = &self.release.file.profile;
            draft.link(&record, "dct:conformsTo", profile);
            if let Ok(profile) = NamedNode::new(profile.as_str()) {
                draft.kind(&profile, "dct:Standard");
            }
        }
        for waiver in &waivers {
            self.put_waiver(draft, &record, waiver);
        }
    }

    /// The exceptions by which a published dataset does not wholly hold to the profile.
    #[must_use]
    pub fn waivers_of(&self, entry: &Entry) -> Vec<Waiver> {
        let rows = &self.release.file.waivers;
        let description = entry.description();
        let holds = rows.iter().filter_map(|row| {
            let waiver = description.waiver(&row.rule, rows, entry.modified)?;
            let property = format!(" {} ", self.release.term(&row.property));
            let is_used = entry.state == State::Published && !entry.document.contains(&property);
            is_used.then(|| waiver.clone())
        });
        holds.collect()
    }

    pub(super) fn put_waiver(&self, draft: &mut Draft<'_>, node: &NamedNode, waiver: &Waiver) {
        for (language, reason) in waiver.reason.iter() {
            let own = self.config.catalogue.language.as_str();
            let tag = if language.is_empty() { own } else { language };
            let phrase =
                self.release.phrase("waived", tag).or_else(|| self.release.phrase("waived", "en"));
            let text = phrase.unwrap_or("{rule}").replace("{rule}", &waiver.rule);
            draft.tagged(node, "skos:note", language, &format!("{text} {}", reason.trim()));
        }
    }

    /// The series' recommended and optional properties, of one of its datasets: what several say
    /// is said once, and the period is that of each release.
    pub(super) fn put_series_about(&self, draft: &mut Draft<'_>, node: &NamedNode, entry: &Entry) {
        let description = entry.description();
        let publisher = NamedNode::new(self.config.organisation.iri.as_str())
            .unwrap_or_else(|_| self.iri("/agent/organisation"));
        if !self.config.organisation.name.is_empty() {
            draft.add(node, "dct:publisher", publisher);
            for triple in self.agent("organisation").iter().flatten() {
                draft.graph.insert(triple);
            }
        }
        self.put_contact(draft, node, "contact");
        for place in &description.spatial {
            draft.place(node, place);
        }
        let figures = entry.figures();
        let period = part(node, &format!("temporal-{}", entry.slug));
        draft.period(node, "dct:temporal", &period, figures.from, figures.to);
        let series = description.series.as_ref();
        if let Some(code) = series.and_then(|series| series.frequency.as_ref()) {
            let of = draft.release.term("dct:accrualPeriodicity");
            // At most one: that of the first member that says it.
            if draft.graph.object_for_subject_predicate(node, &of).is_none() {
                draft.concept(node, "dct:accrualPeriodicity", Scheme::Frequency, code);
            }
        }
        self.put_extreme(draft, node, "dct:issued", entry.issued, |new, old| new < old);
        self.put_extreme(draft, node, "dct:modified", entry.modified, |new, old| new > old);
    }

    /// The earliest or the latest time of the members.
    pub(super) fn put_extreme(
        &self,
        draft: &mut Draft<'_>,
        node: &NamedNode,
        predicate: &str,
        time: jiff::Timestamp,
        wins: impl Fn(&str, &str) -> bool,
    ) {
        let new = super::graph::moment(time);
        let term = draft.release.term(predicate);
        let old = draft.graph.triples_for_subject(node).find(|triple| triple.predicate == term);
        if let Some(old) = old.map(oxrdf::TripleRef::into_owned) {
            let oxrdf::Term::Literal(value) = &old.object else { return };
            if !wins(&new, value.value()) {
                return;
            }
            draft.graph.remove(&old);
        }
        draft.typed(node, predicate, &new, "xsd:dateTime");
    }

    /// The organisation's office as a contact.
    fn put_contact(&self, draft: &mut Draft<'_>, node: &NamedNode, name: &str) {
        let organisation = &self.config.organisation;
        if organisation.email.is_empty() && organisation.page.is_empty() {
            return;
        }
        let contact = part(node, name);
        draft.add(node, "dcat:contactPoint", contact.clone());
        draft.kind(&contact, "vcard:Kind");
        draft.literal(&contact, "vcard:fn", &organisation.name);
        if !organisation.email.is_empty() {
            draft.link(&contact, "vcard:hasEmail", &format!("mailto:{}", organisation.email));
        }
        if !organisation.page.is_empty() {
            draft.link(&contact, "vcard:hasURL", &organisation.page);
        }
    }

    /// The FHIR endpoint's recommended and optional properties.
    pub(super) fn put_service_about(&self, draft: &mut Draft<'_>, node: &NamedNode) {
        let service = &self.release.about.service;
        for (language, word) in service.keywords.iter() {
            draft.tagged(node, "dcat:keyword", language, word);
        }
        let page = self.iri("/").as_str().to_owned();
        draft.document(node, "dcat:landingPage", service.landing_page.as_ref().unwrap_or(&page));
        if let Some(licence) = &service.licence {
            put_licence(draft, self.release, node, licence);
        }
        let rights = service.access_rights.unwrap_or(AccessRights::Restricted);
        draft.concept(node, "dct:accessRights", Scheme::AccessRight, rights.code());
        draft.concept(node, "dcat:theme", Scheme::DataTheme, "HEAL");
        self.put_contact(draft, node, "contact");
        if let Some(agent) = self.agent("organisation") {
            let publisher = NamedNode::new(self.config.organisation.iri.as_str())
                .unwrap_or_else(|_| self.iri("/agent/organisation"));
            draft.add(node, "dct:publisher", publisher);
            for triple in &agent {
                draft.graph.insert(triple);
            }
        }
    }
}

/// A licence by its name or address, with its title and type where we know it.
pub(super) fn put_licence(
    draft: &mut Draft<'_>,
    release: &Release,
    node: &NamedNode,
    licence: &str,
) {
    let row = release.licences.iter().find(|row| row.name == licence || row.iri == licence);
    let iri = row.map_or(licence, |row| row.iri.as_str());
    draft.link(node, "dct:license", iri);
    let Ok(document) = NamedNode::new(iri) else { return };
    draft.kind(&document, "dct:LicenseDocument");
    let Some(row) = row else { return };
    draft.tagged(&document, "dct:title", "en", &row.title);
    if let Some(kind) = &row.kind {
        draft.concept(&document, "dct:type", Scheme::LicenceType, kind);
    }
}

/// A statement of rights in words.
pub(super) fn put_rights(draft: &mut Draft<'_>, node: &NamedNode, text: &Text) {
    if text.is_empty() {
        return;
    }
    let rights = part(node, "rights");
    draft.add(node, "dct:rights", rights.clone());
    draft.kind(&rights, "dct:RightsStatement");
    draft.text(&rights, "rdfs:label", text);
}
