//! The page of a dataset: puts together what the other files make.

use super::facts::contact;
use super::figures::tiles;
use super::{Converter, access};
use crate::catalogue::{Agent, Disclosed, Entry, VariableTable, configured};
use crate::imaging::Facet;
use crate::web::cite::Citation;
use crate::web::dataset::{DatasetPage, VariableGroup, VariableRow};
use crate::web::words::{self, Href, Item, Phrase};

impl Converter<'_> {
    /// The page of a published dataset.
    pub(in crate::web) fn page(&self, entry: &Entry) -> DatasetPage {
        let description = entry.description();
        let figures = entry.figures();
        let access = access(&description);
        let address = format!("{}/dataset/{}", self.config.server.base(), entry.slug);
        let title = self.best(&description.title);
        let own = |agent: &Option<Agent>, default: &crate::config::Organisation| {
            let agent = agent.clone().unwrap_or_else(|| configured(default));
            (!agent.name.is_empty()).then(|| self.agent(&agent))
        };
        let custodian = own(&description.custodian, &self.config.organisation);
        let publisher = own(&description.publisher, &self.config.organisation);
        let mut page = DatasetPage {
            slug: entry.slug.clone(),
            alternative: description
                .alternative
                .iter()
                .chain(description.title.iter())
                .map(|(language, text)| Phrase { text: text.to_owned(), lang: self.tag(language) })
                .filter(|phrase| phrase.text.trim() != title.text)
                .collect(),
            description: self.best(&description.description),
            access,
            tiles: tiles(&figures, self.tongue),
            figures_note: self.figures_note(&figures, entry),
            charts: self.charts(&figures),
            distributions: self.distributions(&description, &figures, &entry.slug),
            sample: description.sample.as_ref().map(|s| self.distribution(&description, s, None)),
            hdab: own(&description.hdab, &self.config.hdab),
            hdab_coordinator: description.hdab_coordinator.as_ref().map(|a| self.agent(a)),
            application: self.application(&description),
            contact: description.contact.as_ref().map(contact),
            provenance: self.best(&description.provenance),
            about: self.about(&description, entry),
            classification: self.classification(&description),
            history: self.history(&description, entry),
            version_notes: self.best(&description.version_notes),
            variables: self.variables(&figures),
            keywords: self
                .keywords(&description.keywords)
                .into_iter()
                .map(|word| Item {
                    href: Some(Href::ours(format!("/catalog?keyword={}", words::encode(&word)))),
                    phrase: Phrase::plain(word),
                })
                .collect(),
            publisher: publisher.clone().filter(|agent| Some(agent) != custodian.as_ref()),
            custodian,
            address,
            title,
            citation: Citation::default(),
            json_ld: String::new(),
        };
        self.cite(&mut page, &description, &figures, entry, publisher.as_ref());
        page
    }

    fn variables(&self, figures: &Disclosed) -> Vec<VariableGroup> {
        let has = |facet: Facet| match facet {
            Facet::Age => figures.min_age.is_some(),
            other => figures.terms(other).next().is_some(),
        };
        [
            (VariableTable::Study, self.w("dataset.study-rows")),
            (VariableTable::Series, self.w("dataset.series-rows")),
        ]
        .into_iter()
        .map(|(table, title)| VariableGroup {
            title,
            rows: self
                .release()
                .variables
                .iter()
                .filter(|variable| variable.table == table)
                .filter(|variable| {
                    figures.attributes.contains(&variable.attribute)
                        || variable.facet.is_some_and(has)
                })
                .map(|variable| VariableRow {
                    name: variable.name.clone(),
                    title: variable.title.clone(),
                    datatype: variable.datatype.clone(),
                    description: variable.description.clone(),
                    attribute: variable.attribute.clone(),
                })
                .collect(),
        })
        .filter(|group| !group.rows.is_empty())
        .collect()
    }
}
