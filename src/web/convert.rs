//! From what the catalogue published to what the pages show.
//!
//! Only an [`Entry`]'s stored figures are read: there is no way from here to a fresh count.

use serde_json::{Value, json};

use super::catalog::{Card, Dimension};
use super::chart::{Bar, Chart, Count, Shape};
use super::cite::{self, Citation, Cited, Described};
use super::dataset::{
    Access, AgentCard, DatasetPage, DistributionCard, Fact, Tile, VariableGroup, VariableRow,
};
use super::layout::LANGUAGE;
use super::words::{self, Href, Item, Phrase};
use crate::catalogue::{
    AccessRights, Agent, Contact, Day, Description, Disclosed, Distribution, Entry, Names, Period,
    Release, Scheme, Text, Words, configured,
};
use crate::config::Config;
use crate::imaging::Facet;
use crate::index::disclosure::{AGE_BAND, Shown, age_band, band_limits};

/// What conversion needs besides the entry.
pub(super) struct Converter<'c> {
    pub config: &'c Config,
    pub names: &'c Names,
}

impl Converter<'_> {
    fn release(&self) -> &Release {
        self.names.release()
    }

    /// A language tag as the page needs it: empty when it is the page's own.
    fn tag(&self, language: &str) -> String {
        let language =
            if language.is_empty() { self.config.catalogue.language.as_str() } else { language };
        if language == LANGUAGE { String::new() } else { language.to_owned() }
    }

    /// The text in the page's language, else the catalogue's, else any.
    fn best(&self, text: &Text) -> Phrase {
        let found = [LANGUAGE, "", &self.config.catalogue.language]
            .iter()
            .find_map(|wanted| text.iter().find(|(language, _)| language == wanted))
            .or_else(|| text.iter().next());
        found.map_or_else(Phrase::default, |(language, text)| Phrase {
            text: text.trim().to_owned(),
            lang: self.tag(language),
        })
    }

    fn keywords(&self, words: &Words) -> Vec<String> {
        let own = |language: &str| language == LANGUAGE || self.tag(language).is_empty();
        let mut keywords: Vec<String> =
            words.iter().filter(|(l, _)| own(l)).map(|(_, word)| word.trim().to_owned()).collect();
        if keywords.is_empty() {
            keywords = words.iter().map(|(_, word)| word.trim().to_owned()).collect();
        }
        keywords
    }

    fn label(&self, scheme: Scheme, code: &str) -> String {
        capital(self.release().label(scheme, code).unwrap_or(code))
    }

    /// A value of a dimension for people.
    pub(super) fn value(&self, dimension: Dimension, value: &str) -> String {
        match dimension {
            Dimension::Access => Access::label_of(value).to_owned(),
            Dimension::Theme => self.label(Scheme::HealthTheme, value),
            Dimension::Category => self.label(Scheme::HealthCategory, value),
            Dimension::Modality => self.names.term(Facet::Modality, value),
            Dimension::BodySite => self.names.term(Facet::BodySite, value),
            Dimension::Year | Dimension::Licence | Dimension::Keyword => value.to_owned(),
        }
    }

    fn licence(&self, licence: &str) -> (String, String) {
        let rows = &self.release().licences;
        match rows.iter().find(|row| row.name == licence || row.iri == licence) {
            Some(row) => (row.name.clone(), row.iri.clone()),
            None => (licence.to_owned(), licence.to_owned()),
        }
    }

    /// A dataset in the list.
    pub(super) fn card(&self, entry: &Entry) -> Card {
        let description = entry.description();
        let figures = entry.figures();
        let access = access(&description);
        let named = |facet: Facet| -> Vec<String> {
            figures.terms(facet).map(|shown| shown.term.clone()).collect()
        };
        let mut licences: Vec<String> = description
            .distributions
            .iter()
            .filter_map(|distribution| distribution.licence.as_deref())
            .map(|licence| self.licence(licence).0)
            .collect();
        licences.extend(named(Facet::Licence).iter().map(|licence| self.licence(licence).0));
        let terms = [
            (Dimension::Access, vec![access.code().to_owned()]),
            (Dimension::Theme, description.health_themes.clone()),
            (Dimension::Category, description.health_categories.clone()),
            (Dimension::Modality, named(Facet::Modality)),
            (Dimension::BodySite, named(Facet::BodySite)),
            (Dimension::Year, named(Facet::Year)),
            (Dimension::Licence, licences),
            (Dimension::Keyword, self.keywords(&description.keywords)),
        ];
        let mut text = String::new();
        let all = description
            .title
            .iter()
            .chain(description.description.iter())
            .chain(description.alternative.iter())
            .chain(description.keywords.iter());
        for (_, part) in all {
            text.push_str(part);
            text.push(' ');
        }
        for name in
            [&description.publisher, &description.custodian].into_iter().flatten().map(|a| &a.name)
        {
            text.push_str(name);
            text.push(' ');
        }
        text.push_str(&self.config.organisation.name);
        Card {
            slug: entry.slug.clone(),
            title: self.best(&description.title),
            description: self.best(&description.description),
            access,
            terms: terms.into_iter().filter(|(_, values)| !values.is_empty()).collect(),
            records: figures.records,
            individuals: figures.individuals,
            years: figures.from.zip(figures.to).map(|(from, to)| (from.0.year(), to.0.year())),
            modified: entry.modified.as_second(),
            text,
        }
    }

    /// The page of a published dataset.
    pub(super) fn page(&self, entry: &Entry) -> DatasetPage {
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
            tiles: tiles(&figures),
            figures_note: self.figures_note(&figures, entry),
            charts: self.charts(&figures),
            distributions: self.distributions(&description, &figures, &entry.slug),
            sample: description.sample.as_ref().map(|s| self.distribution(&description, s, None)),
            hdab: own(&description.hdab, &self.config.hdab),
            hdab_coordinator: description.hdab_coordinator.as_ref().map(|a| self.agent(a)),
            application: self.application(&description),
            contact: description.contact.as_ref().map(contact),
            provenance: self.best(&description.provenance),
            about: self.about(&description),
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

    fn figures_note(&self, figures: &Disclosed, entry: &Entry) -> String {
        if figures.is_exact {
            return "The archive is de-identified and open, so these figures are exact.".to_owned();
        }
        let mut note = format!(
            "To protect the persons behind the data, figures are rounded and counts of fewer \
             than {} persons are left out.",
            words::count(figures.threshold)
        );
        if let Some(next) = entry.next_release {
            note.push_str(&format!(
                " They belong to version {} and do not change before {}.",
                entry.version,
                words::day(utc(next))
            ));
        }
        note
    }

    fn charts(&self, figures: &Disclosed) -> Vec<Chart> {
        let threshold = if figures.is_exact { 0 } else { figures.threshold };
        let bars = |facet: Facet| -> Vec<Bar> {
            let cells = figures.facets.get(&facet).into_iter().flatten();
            cells.map(|shown| bar(shown, self.names.term(facet, &shown.term))).collect()
        };
        let mut years = bars(Facet::Year);
        years.sort_by(|a, b| a.label.cmp(&b.label));
        let mut ages: Vec<_> = figures.age_bands.iter().collect();
        ages.sort_by_key(|shown| band_limits(&shown.term));
        let ages = fill_ages(ages, figures.is_exact);
        let years = fill_years(years, figures.is_exact);
        [
            Chart::new(
                "modality",
                "Modality",
                "Modality",
                Shape::Rows,
                bars(Facet::Modality),
                threshold,
            ),
            Chart::new(
                "site",
                "Body site",
                "Body site",
                Shape::Rows,
                bars(Facet::BodySite),
                threshold,
            ),
            Chart::new("age", "Age at the study", "Age in years", Shape::Columns, ages, threshold),
            Chart::new("year", "Year of the study", "Year", Shape::Columns, years, threshold),
            Chart::new("sex", "Sex", "Sex", Shape::Rows, bars(Facet::Sex), threshold),
            Chart::new(
                "maker",
                "Manufacturer of the equipment",
                "Manufacturer",
                Shape::Rows,
                bars(Facet::Manufacturer),
                threshold,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn agent(&self, agent: &Agent) -> AgentCard {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        AgentCard {
            name: agent.name.clone(),
            kind: agent.kind.as_deref().map_or_else(String::new, |code| {
                self.release().label(Scheme::PublisherType, code).map_or_else(String::new, capital)
            }),
            note: self.best(&agent.note),
            page: agent.page.as_deref().filter(|page| !page.is_empty()).map(Item::address),
            email: agent.email.as_deref().filter(|e| !e.is_empty()).map(mail),
            telephone: text(&agent.telephone),
            is_trusted: agent.trusted_data_holder,
        }
    }

    /// Where one applies: the access body's page, else its mailbox.
    fn application(&self, description: &Description) -> Option<Item> {
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

    fn distributions(
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
        let phrase =
            |name: &str| self.release().phrase(name, LANGUAGE).unwrap_or_default().to_owned();
        cards.push(DistributionCard {
            title: Phrase::plain(phrase("counts")),
            description: Phrase::plain(phrase(if figures.is_exact {
                "exact-counts"
            } else {
                "disclosed-counts"
            })),
            download: ours(format!("/dataset/{slug}/analytics.csv")),
            facts: vec![fact("Format", "CSV")],
            access: None,
        });
        if !description.distributions.iter().any(|distribution| distribution.fhir) {
            cards.push(DistributionCard {
                title: Phrase::plain(phrase("fhir")),
                description: Phrase::plain(phrase("fhir-description")),
                access: ours("/fhir".to_owned()),
                facts: vec![fact("Format", "application/fhir+json")],
                download: None,
            });
        }
        cards
    }

    fn distribution(
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
        let default = if is_open { "Data" } else { "Access through the health data access body" };
        let mut facts = Vec::new();
        let mut put =
            |label: &'static str, item: Item| facts.push(Fact { label, items: vec![item] });
        match (&distribution.media_type, &distribution.format) {
            (Some(kind), Some(format)) => {
                let format = self.release().label(Scheme::FileType, format).unwrap_or(format);
                put("Format", Item::plain(format!("{kind} ({format})")));
            }
            (Some(one), None) => put("Format", Item::plain(one.clone())),
            (None, Some(format)) => {
                put(
                    "Format",
                    Item::plain(self.release().label(Scheme::FileType, format).unwrap_or(format)),
                );
            }
            (None, None) => {}
        }
        if let Some(licence) = &distribution.licence {
            let (name, iri) = self.licence(licence);
            put("Licence", Item::link(name, &iri));
        }
        if !distribution.rights.is_empty() {
            put("Rights", Item { phrase: self.best(&distribution.rights), href: None });
        }
        if let Some(bytes) = bytes {
            put("Size", Item::plain(words::bytes(bytes)));
        }
        if let Some(code) = &distribution.availability {
            put("Availability", Item::plain(self.label(Scheme::PlannedAvailability, code)));
        }
        if let Some(code) = &distribution.status {
            put("Status", Item::plain(self.label(Scheme::DistributionStatus, code)));
        }
        if !distribution.documentation.is_empty() {
            facts.push(links("Documentation", &distribution.documentation));
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

    fn about(&self, description: &Description) -> Vec<Fact> {
        let mut facts = Vec::new();
        let phrases = |label: &'static str, texts: Vec<&Text>| Fact {
            label,
            items: texts
                .into_iter()
                .map(|text| Item { phrase: self.best(text), href: None })
                .filter(|item| !item.phrase.is_empty())
                .collect(),
        };
        facts.push(phrases("Whom the data cover", vec![&description.population_coverage]));
        facts.push(phrases("Why they were collected", description.purposes.iter().collect()));
        facts.push(Fact {
            label: "How they came about",
            items: description
                .generated_by
                .iter()
                .map(|activity| {
                    let kind = activity.kind.as_deref();
                    let mut phrase = self.best(&activity.label);
                    if let Some(kind) = kind
                        && phrase.lang.is_empty()
                    {
                        let kind = self.label(Scheme::HealthActivity, kind);
                        phrase.text = format!("{} ({kind})", phrase.text);
                    }
                    Item { phrase, href: None }
                })
                .collect(),
        });
        facts.push(Fact {
            label: "Legal basis of the collection",
            items: description
                .legal_basis
                .iter()
                .map(|basis| {
                    let text = self.best(&basis.description);
                    let code = basis.code.as_deref().map(|c| self.label(Scheme::LegalBasis, c));
                    let phrase = match (text.is_empty(), code) {
                        (false, _) => text,
                        (true, Some(code)) => Phrase::plain(code),
                        (true, None) => Phrase::default(),
                    };
                    Item { phrase, href: None }
                })
                .filter(|item| !item.phrase.is_empty())
                .collect(),
        });
        facts.push(Fact {
            label: "Personal data",
            items: self.labels(Scheme::PersonalData, &description.personal_data),
        });
        facts.push(Fact {
            label: "Country",
            items: self.labels(Scheme::Country, &description.spatial),
        });
        facts.push(Fact {
            label: "Language of the data",
            items: self.labels(Scheme::Language, &description.language),
        });
        if let Some(retention) = description.retention {
            facts.push(fact("Available for secondary use", &period(retention)));
        }
        if let Some(resolution) = &description.temporal_resolution {
            facts.push(fact("Least time between two studies of a person", &duration(resolution)));
        }
        for (label, addresses) in [
            ("Other identifiers", &description.identifiers),
            ("Sources", &description.sources),
            ("Documentation", &description.documentation),
            ("Publications about it", &description.is_referenced_by),
            ("Related", &description.relations),
        ] {
            facts.push(links(label, addresses));
        }
        if let Some(page) = &description.landing_page {
            facts.push(links("Page at the provider", std::slice::from_ref(page)));
        }
        if let Some(label) = &description.quality_label {
            facts.push(links("Data quality and utility label", std::slice::from_ref(label)));
        }
        if let Some(series) = &description.series {
            facts.push(Fact {
                label: "Part of the series",
                items: vec![Item { phrase: self.best(&series.title), href: None }],
            });
        }
        if !description.creators.is_empty() {
            facts.push(Fact {
                label: "Made by",
                items: description
                    .creators
                    .iter()
                    .map(|agent| Item {
                        phrase: Phrase::plain(agent.name.clone()),
                        href: agent.page.as_deref().and_then(Href::parse),
                    })
                    .collect(),
            });
        }
        facts.retain(|fact| !fact.items.is_empty());
        facts
    }

    fn labels(&self, scheme: Scheme, codes: &[String]) -> Vec<Item> {
        codes.iter().map(|code| Item::plain(self.label(scheme, code))).collect()
    }

    fn classification(&self, description: &Description) -> Vec<Fact> {
        let dicom = ["DICOM".to_owned()];
        let standards: &[String] =
            if description.conforms_to.is_empty() { &dicom } else { &description.conforms_to };
        let rows: [(&'static str, Scheme, &[String]); 5] = [
            ("Data category (Article 51)", Scheme::HealthCategory, &description.health_categories),
            ("Health theme", Scheme::HealthTheme, &description.health_themes),
            ("Type", Scheme::DatasetType, &description.kind),
            ("Standard", Scheme::Standard, standards),
            ("Coding system", Scheme::CodingSystem, &description.coding_systems),
        ];
        rows.into_iter()
            .map(|(label, scheme, codes)| Fact { label, items: self.labels(scheme, codes) })
            .filter(|fact| !fact.items.is_empty())
            .collect()
    }

    fn history(&self, description: &Description, entry: &Entry) -> Vec<Fact> {
        let issued = description.issued.map_or_else(|| utc(entry.issued), |day| day.0);
        let mut facts = vec![
            fact("Version", &entry.version),
            fact("Released", &words::day(issued)),
            fact("Last changed", &words::day(utc(entry.modified))),
        ];
        if let Some(next) = entry.next_release {
            facts.push(fact("Next figures not before", &words::day(utc(next))));
        }
        if let Some(code) = &description.frequency {
            facts.push(fact("Updated", &self.label(Scheme::Frequency, code)));
        }
        facts
    }

    fn variables(&self, figures: &Disclosed) -> Vec<VariableGroup> {
        use crate::catalogue::VariableTable;
        let has = |facet: Facet| match facet {
            Facet::Age => figures.min_age.is_some(),
            other => figures.terms(other).next().is_some(),
        };
        [(VariableTable::Study, "One row per study"), (VariableTable::Series, "One row per series")]
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

    fn cite(
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
            doi,
            abstract_: &abstract_,
            keywords: page.keywords.iter().map(|item| item.phrase.text.clone()).collect(),
            creators,
        };
        page.citation = Citation::new(&cited);
        let terms = |facet: Facet| -> Vec<String> {
            figures.terms(facet).map(|shown| self.names.term(facet, &shown.term)).collect()
        };
        let language = if page.title.lang.is_empty() { LANGUAGE } else { &page.title.lang };
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
            "name": self.release().phrase("counts", LANGUAGE),
            "contentUrl": format!("{address}/analytics.csv"),
            "encodingFormat": "text/csv",
        }));
        let described = Described {
            description: &page.description,
            language,
            creators: cited.creators.iter().map(|name| organisation(name)).collect(),
            publisher: publisher.map(|agent| organisation(&agent.name)),
            licences,
            conditions: page.access.explanation(),
            is_free: is_open,
            issued: issued.to_string(),
            modified: entry.modified.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            temporal: figures.from.zip(figures.to).map(|(from, to)| format!("{from}/{to}")),
            spatial: description.spatial.iter().map(|c| self.label(Scheme::Country, c)).collect(),
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
            size: figures.bytes.map(words::bytes),
        };
        page.json_ld = cite::for_script(&cite::json_ld(&cited, &described));
    }
}

/// The title of a withdrawn dataset.
pub(super) fn withdrawn_title(converter: &Converter<'_>, entry: &Entry) -> Phrase {
    converter.best(&entry.description().title)
}

fn access(description: &Description) -> Access {
    match description.access_rights {
        Some(AccessRights::Public) => Access::Open,
        Some(AccessRights::Restricted) => Access::Restricted,
        Some(AccessRights::NonPublic) | None => Access::Permit,
    }
}

fn utc(time: jiff::Timestamp) -> jiff::civil::Date {
    time.to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn fact(label: &'static str, text: &str) -> Fact {
    Fact { label, items: vec![Item::plain(text)] }
}

fn links(label: &'static str, addresses: &[String]) -> Fact {
    Fact { label, items: addresses.iter().map(|address| Item::address(address)).collect() }
}

fn mail(address: &str) -> Item {
    Item::link(address, &format!("mailto:{address}"))
}

fn contact(contact: &Contact) -> AgentCard {
    AgentCard {
        name: contact.name.clone().unwrap_or_default(),
        page: contact.page.as_deref().filter(|page| !page.is_empty()).map(Item::address),
        email: contact.email.as_deref().filter(|email| !email.is_empty()).map(mail),
        ..AgentCard::default()
    }
}

fn bar(shown: &Shown, label: String) -> Bar {
    let count = match (shown.records, shown.individuals) {
        (Some(records), Some(individuals)) => Count::Shown(records, individuals),
        _ => Count::Withheld,
    };
    Bar { label, count }
}

/// `50-54` as `50–54`, the last band as `90 and over`.
fn band(term: &str) -> String {
    match band_limits(term) {
        Some((first, last)) if last >= 130 => format!("{first} and over"),
        Some((first, last)) => format!("{first}–{last}"),
        None => term.to_owned(),
    }
}

/// Years that were not published between the first and the last that were: of an exact table
/// they are empty, of a disclosed one nobody may know whether they are. A span that no archive
/// has is left as it is.
fn fill_years(years: Vec<Bar>, is_exact: bool) -> Vec<Bar> {
    let numbers: Option<Vec<u16>> = years.iter().map(|bar| bar.label.parse().ok()).collect();
    let Some(numbers) = numbers else { return years };
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return years };
    if last.saturating_sub(*first) > 60 {
        return years;
    }
    (*first..=*last)
        .map(|year| {
            let known = numbers.iter().position(|number| *number == year);
            let known = known.and_then(|place| years.get(place)).cloned();
            known.unwrap_or_else(|| gap(year.to_string(), is_exact))
        })
        .collect()
}

/// As [`fill_years`], for bands of ages.
fn fill_ages(bands: Vec<&Shown>, is_exact: bool) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut next: Option<u16> = None;
    for shown in bands {
        let limits = band_limits(&shown.term);
        if let (Some(from), Some((first, _))) = (next, limits) {
            for missing in (from..first).step_by(usize::from(AGE_BAND)) {
                bars.push(gap(band(&age_band(missing)), is_exact));
            }
        }
        next = limits.map(|(_, last)| last.saturating_add(1));
        bars.push(bar(shown, band(&shown.term)));
    }
    bars
}

fn gap(label: String, is_exact: bool) -> Bar {
    Bar { label, count: if is_exact { Count::Shown(0, 0) } else { Count::Few } }
}

fn tiles(figures: &Disclosed) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut put = |label: &'static str, value: Option<String>| {
        if let Some(value) = value {
            tiles.push(Tile { label, value });
        }
    };
    let persons = match figures.individuals {
        Some(value) => Some(words::count(value)),
        None if figures.threshold > 0 => {
            Some(format!("fewer than {}", words::count(figures.threshold)))
        }
        None => None,
    };
    put("Studies", figures.records.map(words::count));
    put("Persons", persons);
    put("Series", figures.series.map(words::count));
    put("Images", figures.images.map(words::count));
    put("Size", figures.bytes.map(words::bytes));
    let years = figures.from.zip(figures.to).map(|(Day(from), Day(to))| {
        if from.year() == to.year() {
            from.year().to_string()
        } else {
            format!("{}–{}", from.year(), to.year())
        }
    });
    put("Years", years);
    let ages = figures.min_age.zip(figures.max_age).map(|(min, max)| {
        if max >= 130 { format!("{min} and over") } else { format!("{min}–{max}") }
    });
    put("Ages", ages);
    tiles
}

fn period(period: Period) -> String {
    let day = |day: Day| words::day(day.0);
    match (period.from, period.to) {
        (Some(from), Some(to)) => format!("{} to {}", day(from), day(to)),
        (Some(from), None) => format!("from {}", day(from)),
        (None, Some(to)) => format!("until {}", day(to)),
        (None, None) => "without a limit".to_owned(),
    }
}

/// `P2Y` as `2 years`; what is not so simple stays as it is written.
fn duration(text: &str) -> String {
    let simple = text.strip_prefix('P').and_then(|rest| {
        let (number, unit) = rest.split_at_checked(rest.len().checked_sub(1)?)?;
        let number: u64 = number.parse().ok()?;
        let (one, many) = match unit {
            "Y" => ("year", "years"),
            "M" => ("month", "months"),
            "W" => ("week", "weeks"),
            "D" => ("day", "days"),
            _ => return None,
        };
        Some(words::counted(number, one, many))
    });
    simple.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Bar, Count, band, duration, fill_ages, fill_years};
    use crate::index::disclosure::Shown;

    #[test]
    fn codes_become_words() {
        assert_eq!(band("50-54"), "50–54");
        assert_eq!(band("90-130"), "90 and over");
        assert_eq!(band("x"), "x");
        assert_eq!(duration("P2Y"), "2 years");
        assert_eq!(duration("P1Y2M"), "P1Y2M");
        assert_eq!(duration("P"), "P");
        assert_eq!(duration("Pé"), "Pé");
    }

    #[test]
    fn gaps_are_empty_only_where_figures_are_exact() {
        let bar = |label: &str| Bar { label: label.to_owned(), count: Count::Shown(1, 1) };
        let years = |labels: &[&str], is_exact| {
            fill_years(labels.iter().map(|label| bar(label)).collect(), is_exact)
                .into_iter()
                .map(|bar| (bar.label, bar.count))
                .collect::<Vec<_>>()
        };
        let of = |label: &str, count| (label.to_owned(), count);
        let one = Count::Shown(1, 1);
        assert_eq!(
            years(&["2019", "2021"], false),
            [of("2019", one), of("2020", Count::Few), of("2021", one)]
        );
        assert_eq!(years(&["2019", "2021"], true)[1].1, Count::Shown(0, 0));
        assert_eq!(years(&["1880", "2021"], true).len(), 2);
        assert_eq!(years(&["x"], true).len(), 1);
        assert!(fill_years(Vec::new(), true).is_empty());
        let shown =
            |term: &str| Shown { term: term.to_owned(), records: Some(10), individuals: Some(10) };
        let bands = [shown("40-44"), shown("55-59"), shown("90-130")];
        let labels: Vec<String> =
            fill_ages(bands.iter().collect(), false).into_iter().map(|bar| bar.label).collect();
        assert_eq!(labels.len(), 11, "{labels:?}");
        assert_eq!(labels[1], "45–49");
        assert_eq!(labels[10], "90 and over");
    }
}
