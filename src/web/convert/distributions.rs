//! Where the data are had: distributions, and where one applies for them.

use super::facts::{fact, links, mail, said};
use super::{Converter, access};
use crate::catalogue::{Description, Disclosed, Distribution, Scheme};
use crate::web::dataset::{Access, DistributionCard, Fact};
use crate::web::words::{Href, Item, Phrase};

impl Converter<'_> {
    /// Where one applies: the access body's page, else its mailbox.
    pub(super) fn application(&self, description: &Description) -> Option<Item> {
        let (page, email) = match &description.hdab {
            Some(agent) => {
                (agent.page.clone().unwrap_or_default(), agent.email.clone().unwrap_or_default())
            }
            None => (self.config.hdab.page.clone(), self.config.hdab.email.clone()),
        };
        if !page.is_empty() {
            Some(Item::address(&page))
        } else if !email.is_empty() {
            Some(mail(&email))
        } else {
            None
        }
    }

    pub(super) fn distributions(
        &self,
        description: &Description,
        figures: &Disclosed,
        slug: &str,
    ) -> Vec<DistributionCard> {
        let mut parts = figures.parts.iter();
        let mut cards: Vec<DistributionCard> = description
            .distributions
            .iter()
            .map(|distribution| {
                let bytes = if distribution.selection.is_empty() {
                    figures.bytes
                } else {
                    parts.next().and_then(|part| part.bytes)
                };
                self.distribution(description, distribution, bytes)
            })
            .collect();
        if cards.is_empty() && access(description) != Access::Open {
            let application = Distribution::default();
            cards.push(self.distribution(description, &application, figures.bytes));
        }
        let ours = |path: String| {
            Some(Item { phrase: Phrase::plain(path.clone()), href: Some(Href::ours(path)) })
        };
        let phrase = |name: &str| self.phrase(name);
        cards.push(DistributionCard {
            title: (phrase("counts")),
            description: (phrase(if figures.is_exact {
                "exact-counts"
            } else {
                "disclosed-counts"
            })),
            download: ours(format!("/dataset/{slug}/analytics.csv")),
            facts: vec![fact(self.w("fact.format"), "CSV")],
            access: None,
        });
        if !description.distributions.iter().any(|distribution| distribution.fhir) {
            cards.push(DistributionCard {
                title: (phrase("fhir")),
                description: (phrase("fhir-description")),
                access: ours("/fhir".to_owned()),
                facts: vec![fact(self.w("fact.format"), "application/fhir+json")],
                download: None,
            });
        }
        cards
    }

    pub(super) fn distribution(
        &self,
        description: &Description,
        distribution: &Distribution,
        bytes: Option<u64>,
    ) -> DistributionCard {
        let title = self.best(&distribution.title);
        let is_open = access(description) == Access::Open;
        let access = match &distribution.access_url {
            Some(address) => Some(Item::address(address)),
            None if !is_open => self.application(description),
            None => None,
        };
        let default = self.w(if is_open { "dataset.data" } else { "dataset.application" });
        let mut facts = Vec::new();
        let mut put =
            |label: &'static str, item: Item| facts.push(Fact { label, items: vec![item] });
        match (&distribution.media_type, &distribution.format) {
            (Some(kind), Some(format)) => {
                let format = self.release().label(Scheme::FileType, format).unwrap_or(format);
                put(self.w("fact.format"), Item::plain(format!("{kind} ({format})")));
            }
            (Some(one), None) => put(self.w("fact.format"), Item::plain(one.clone())),
            (None, Some(format)) => {
                put(
                    self.w("fact.format"),
                    Item::plain(self.release().label(Scheme::FileType, format).unwrap_or(format)),
                );
            }
            (None, None) => {}
        }
        if let Some(licence) = &distribution.licence {
            let (name, iri) = self.licence(licence);
            put(self.w("fact.licence"), Item::link(name, &iri));
        }
        if !distribution.rights.is_empty() {
            put(
                self.w("fact.rights"),
                Item { phrase: self.best(&distribution.rights), href: None },
            );
        }
        if let Some(bytes) = bytes {
            put(self.w("fact.size"), Item::plain(self.tongue.bytes(bytes)));
        }
        if let Some(code) = &distribution.availability {
            put(self.w("fact.availability"), said(self.label(Scheme::PlannedAvailability, code)));
        }
        if let Some(code) = &distribution.status {
            put(self.w("fact.status"), said(self.label(Scheme::DistributionStatus, code)));
        }
        if !distribution.documentation.is_empty() {
            facts.push(links(self.w("fact.documentation"), &distribution.documentation));
        }
        DistributionCard {
            title: if title.is_empty() { Phrase::plain(default) } else { title },
            description: self.best(&distribution.description),
            // An address that is both is shown once, as the download.
            access: access.filter(|_| {
                distribution.download_url.is_none()
                    || distribution.download_url != distribution.access_url
            }),
            download: distribution.download_url.as_deref().map(Item::address),
            facts,
        }
    }
}
