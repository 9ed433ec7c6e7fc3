//! How a dataset is cited, and what a search engine reads of it (schema.org's `Dataset`).

use serde_json::{Value, json};

use super::{Converter, utc};
use crate::catalogue::{Description, Disclosed, Entry, Scheme};
use crate::imaging::Facet;
use crate::web::cite::{self, Citation, Cited, Described};
use crate::web::dataset::{Access, AgentCard, DatasetPage};
use crate::web::words::Href;

impl Converter<'_> {
    pub(super) fn cite(
        &self,
        page: &mut DatasetPage,
        description: &Description,
        figures: &Disclosed,
        entry: &Entry,
        publisher: Option<&AgentCard>,
    ) {
        let issued = description.issued.map_or_else(|| utc(entry.issued), |day| day.0);
        let publisher_name = publisher.map_or("", |agent| agent.name.as_str());
        let mut creators: Vec<String> =
            description.creators.iter().map(|agent| agent.name.clone()).collect();
        if creators.is_empty() {
            let holder = page.custodian.as_ref().map_or(publisher_name, |agent| &agent.name);
            creators.push(if holder.is_empty() {
                self.config.catalogue.title.clone()
            } else {
                holder.to_owned()
            });
        }
        let doi = description
            .identifiers
            .iter()
            .find(|identifier| identifier.starts_with("https://doi.org/10."))
            .cloned();
        let abstract_ = page.description.text.clone();
        let title = page.title.text.clone();
        let address = page.address.clone();
        let cited = Cited {
            slug: &entry.slug,
            title: &title,
            version: &entry.version,
            publisher: publisher_name,
            year: issued.year().to_string(),
            date: issued.to_string(),
            address: &address,
            tongue: self.tongue,
            doi,
            abstract_: &abstract_,
            keywords: page.keywords.iter().map(|item| item.phrase.text.clone()).collect(),
            creators,
        };
        page.citation = Citation::new(&cited);
        let terms = |facet: Facet| -> Vec<String> {
            figures.terms(facet).map(|shown| self.term(facet, &shown.term).text).collect()
        };
        let language =
            if page.title.lang.is_empty() { self.tongue.code.as_str() } else { &page.title.lang };
        let organisation = |name: &str| json!({ "@type": "Organization", "name": name });
        let licences = description
            .distributions
            .iter()
            .filter_map(|distribution| distribution.licence.as_deref())
            .map(|licence| self.licence(licence).1)
            .filter(|iri| Href::parse(iri).is_some());
        let mut licences: Vec<String> = licences.collect();
        licences.dedup();
        let is_open = page.access == Access::Open;
        let mut downloads: Vec<Value> = Vec::new();
        if is_open {
            for distribution in &description.distributions {
                let address =
                    distribution.download_url.as_ref().or(distribution.access_url.as_ref());
                if let Some(address) = address.filter(|address| Href::parse(address).is_some()) {
                    downloads.push(json!({
                        "@type": "DataDownload",
                        "contentUrl": address,
                        "encodingFormat": distribution.media_type,
                    }));
                }
            }
        }
        downloads.push(json!({
            "@type": "DataDownload",
            "name": self.phrase("counts").text,
            "contentUrl": format!("{address}/analytics.csv"),
            "encodingFormat": "text/csv",
        }));
        let described = Described {
            description: &page.description,
            language,
            creators: cited.creators.iter().map(|name| organisation(name)).collect(),
            publisher: publisher.map(|agent| organisation(&agent.name)),
            licences,
            conditions: page.access.explanation(self.tongue),
            is_free: is_open,
            issued: issued.to_string(),
            modified: entry.modified.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            temporal: figures.from.zip(figures.to).map(|(from, to)| format!("{from}/{to}")),
            spatial: description
                .spatial
                .iter()
                .map(|c| self.label(Scheme::Country, c).text)
                .collect(),
            techniques: terms(Facet::Modality),
            sites: terms(Facet::BodySite),
            variables: page
                .variables
                .iter()
                .flat_map(|group| &group.rows)
                .map(|row| (row.title.clone(), row.description.clone()))
                .collect(),
            distributions: downloads,
            same_as: description
                .identifiers
                .iter()
                .filter(|identifier| Href::parse(identifier).is_some_and(|href| href.is_web()))
                .cloned()
                .collect(),
            catalog: (
                self.config.catalogue.title.clone(),
                format!("{}/catalog", self.config.server.base()),
            ),
            citations: description
                .is_referenced_by
                .iter()
                .filter(|address| Href::parse(address).is_some())
                .cloned()
                .collect(),
            size: figures.bytes.map(|size| self.tongue.bytes(size)),
        };
        page.json_ld = cite::for_script(&cite::json_ld(&cited, &described));
    }
}
