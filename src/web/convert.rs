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
use super::tongue::Tongue;
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
    pub tongue: &'static Tongue,
}

impl Converter<'_> {
    fn release(&self) -> &Release {
        self.names.release()
    }

    /// A language tag as the page needs it: empty when it is the page's own.
    fn tag(&self, language: &str) -> String {
        let language =
            if language.is_empty() { self.config.catalogue.language.as_str() } else { language };
        if language == self.tongue.code { String::new() } else { language.to_owned() }
    }

    /// The text in the page's language, else the catalogue's, else any.
    pub(super) fn best(&self, text: &Text) -> Phrase {
        let own = self.config.catalogue.language.as_str();
        // A text without a tag is in the catalogue's language.
        let first = if own == self.tongue.code { "" } else { self.tongue.code.as_str() };
        let found = [self.tongue.code.as_str(), first, "", own, "en"]
            .iter()
            .find_map(|wanted| text.iter().find(|(language, _)| language == wanted))
            .or_else(|| text.iter().next());
        found.map_or_else(Phrase::default, |(language, text)| Phrase {
            text: text.trim().to_owned(),
            lang: self.tag(language),
        })
    }

    fn keywords(&self, words: &Words) -> Vec<String> {
        let own = |language: &str| language == self.tongue.code || self.tag(language).is_empty();
        let mut keywords: Vec<String> =
            words.iter().filter(|(l, _)| own(l)).map(|(_, word)| word.trim().to_owned()).collect();
        if keywords.is_empty() {
            keywords = words.iter().map(|(_, word)| word.trim().to_owned()).collect();
        }
        keywords
    }

    fn w(&self, key: &str) -> &'static str {
        self.tongue.word(key)
    }

    /// The label in the page's language, else in English.
    fn label(&self, scheme: Scheme, code: &str) -> Phrase {
        if let Some(label) = self.tongue.label(scheme.name(), code) {
            return Phrase::plain(capital(label));
        }
        match self.release().label(scheme, code) {
            Some(label) => Phrase::within(capital(label), "en", &self.tongue.code),
            None => Phrase::plain(capital(code)),
        }
    }

    /// A term of a facet in the page's language, else in English.
    pub(super) fn term(&self, facet: Facet, term: &str) -> Phrase {
        let (vocabulary, code) = match facet {
            Facet::Modality => ("modality", term),
            Facet::Sex => ("sex", term),
            Facet::BodySite => ("body-site", term.rsplit('|').next().unwrap_or(term)),
            _ => return Phrase::plain(self.names.term(facet, term)),
        };
        match self.tongue.label(vocabulary, code) {
            Some(label) if facet == Facet::Modality => Phrase::plain(format!("{label} ({code})")),
            Some(label) => Phrase::plain(label),
            None => Phrase::within(self.names.term(facet, term), "en", &self.tongue.code),
        }
    }

    /// A value of a dimension for people.
    pub(super) fn value(&self, dimension: Dimension, value: &str) -> Phrase {
        match dimension {
            Dimension::Access => Phrase::plain(Access::label_of(value, self.tongue)),
            Dimension::Theme => self.label(Scheme::HealthTheme, value),
            Dimension::Category => self.label(Scheme::HealthCategory, value),
            Dimension::Modality => self.term(Facet::Modality, value),
            Dimension::BodySite => self.term(Facet::BodySite, value),
            Dimension::Year | Dimension::Licence | Dimension::Keyword => Phrase::plain(value),
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
        let keywords = self.keywords(&description.keywords);
        let also = description.keywords.iter().map(|(_, word)| word.trim().to_owned());
        let also = also.filter(|word| !keywords.contains(word)).collect();
        let terms = [
            (Dimension::Access, vec![access.code().to_owned()]),
            (Dimension::Theme, description.health_themes.clone()),
            (Dimension::Category, description.health_categories.clone()),
            (Dimension::Modality, named(Facet::Modality)),
            (Dimension::BodySite, named(Facet::BodySite)),
            (Dimension::Year, named(Facet::Year)),
            (Dimension::Licence, licences),
            (Dimension::Keyword, keywords),
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
            also,
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
            return self.w("dataset.exact").to_owned();
        }
        let threshold = self.tongue.count(figures.threshold);
        let mut note = self.tongue.put("dataset.rounded", threshold);
        if let Some(next) = entry.next_release {
            let next = self.tongue.day(utc(next));
            note.push(' ');
            note.push_str(&self.tongue.put_two("dataset.until", &entry.version, next));
        }
        note
    }

    fn charts(&self, figures: &Disclosed) -> Vec<Chart> {
        let threshold = if figures.is_exact { 0 } else { figures.threshold };
        let bars = |facet: Facet| -> Vec<Bar> {
            let cells = figures.facets.get(&facet).into_iter().flatten();
            cells.map(|shown| bar(shown, self.term(facet, &shown.term))).collect()
        };
        let mut years = bars(Facet::Year);
        years.sort_by(|a, b| a.label.cmp(&b.label));
        let mut ages: Vec<_> = figures.age_bands.iter().collect();
        ages.sort_by_key(|shown| band_limits(&shown.term));
        let ages = fill_ages(ages, figures.is_exact, self.tongue);
        let years = fill_years(years, figures.is_exact);
        let chart = |id, title: &str, head: &str, shape, bars| {
            Chart::new(id, self.w(title), self.w(head), shape, bars, threshold, self.tongue)
        };
        let rows =
            |id, title: &str, head: &str, facet| chart(id, title, head, Shape::Rows, bars(facet));
        [
            rows("modality", "facet.modality", "facet.modality", Facet::Modality),
            rows("site", "facet.body-site", "facet.body-site", Facet::BodySite),
            chart("age", "chart.age", "chart.age-head", Shape::Columns, ages),
            chart("year", "chart.year", "chart.year-head", Shape::Columns, years),
            rows("sex", "chart.sex", "chart.sex", Facet::Sex),
            rows("maker", "chart.maker", "chart.maker-head", Facet::Manufacturer),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// A sentence that vesalius itself adds, in the page's language or in English.
    fn phrase(&self, name: &str) -> Phrase {
        let code = self.tongue.code.as_str();
        match self.release().phrase(name, code) {
            Some(text) => Phrase::plain(text),
            None => {
                let text = self.release().phrase(name, "en").unwrap_or_default();
                Phrase::within(text, "en", code)
            }
        }
    }

    fn agent(&self, agent: &Agent) -> AgentCard {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        AgentCard {
            name: agent.name.clone(),
            kind: agent
                .kind
                .as_deref()
                .map_or_else(String::new, |code| self.label(Scheme::PublisherType, code).text),
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
        facts.push(phrases(self.w("fact.population"), vec![&description.population_coverage]));
        facts.push(phrases(self.w("fact.purposes"), description.purposes.iter().collect()));
        facts.push(Fact {
            label: self.w("fact.activities"),
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
                        if !kind.is_foreign() {
                            phrase.text = format!("{} ({})", phrase.text, kind.text);
                        }
                    }
                    Item { phrase, href: None }
                })
                .collect(),
        });
        facts.push(Fact {
            label: self.w("fact.legal-basis"),
            items: description
                .legal_basis
                .iter()
                .map(|basis| {
                    let text = self.best(&basis.description);
                    let code = basis.code.as_deref().map(|c| self.label(Scheme::LegalBasis, c));
                    let phrase = match (text.is_empty(), code) {
                        (false, _) => text,
                        (true, Some(code)) => code,
                        (true, None) => Phrase::default(),
                    };
                    Item { phrase, href: None }
                })
                .filter(|item| !item.phrase.is_empty())
                .collect(),
        });
        facts.push(Fact {
            label: self.w("fact.personal-data"),
            items: self.labels(Scheme::PersonalData, &description.personal_data),
        });
        facts.push(Fact {
            label: self.w("fact.country"),
            items: self.labels(Scheme::Country, &description.spatial),
        });
        facts.push(Fact {
            label: self.w("fact.language"),
            items: self.labels(Scheme::Language, &description.language),
        });
        if let Some(retention) = description.retention {
            facts.push(fact(self.w("fact.retention"), &period(retention, self.tongue)));
        }
        if let Some(resolution) = &description.temporal_resolution {
            facts.push(fact(self.w("fact.resolution"), &duration(resolution, self.tongue)));
        }
        for (label, addresses) in [
            (self.w("fact.identifiers"), &description.identifiers),
            (self.w("fact.sources"), &description.sources),
            (self.w("fact.documentation"), &description.documentation),
            (self.w("fact.publications"), &description.is_referenced_by),
            (self.w("fact.related"), &description.relations),
        ] {
            facts.push(links(label, addresses));
        }
        if let Some(page) = &description.landing_page {
            facts.push(links(self.w("fact.landing"), std::slice::from_ref(page)));
        }
        if let Some(label) = &description.quality_label {
            facts.push(links(self.w("dataset.label"), std::slice::from_ref(label)));
        }
        if let Some(series) = &description.series {
            facts.push(Fact {
                label: self.w("fact.series"),
                items: vec![Item { phrase: self.best(&series.title), href: None }],
            });
        }
        if !description.creators.is_empty() {
            facts.push(Fact {
                label: self.w("fact.creators"),
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
        codes.iter().map(|code| said(self.label(scheme, code))).collect()
    }

    fn classification(&self, description: &Description) -> Vec<Fact> {
        let dicom = ["DICOM".to_owned()];
        let standards: &[String] =
            if description.conforms_to.is_empty() { &dicom } else { &description.conforms_to };
        let rows: [(&'static str, Scheme, &[String]); 5] = [
            (self.w("fact.category"), Scheme::HealthCategory, &description.health_categories),
            (self.w("fact.theme"), Scheme::HealthTheme, &description.health_themes),
            (self.w("fact.type"), Scheme::DatasetType, &description.kind),
            (self.w("fact.standard"), Scheme::Standard, standards),
            (self.w("fact.coding-system"), Scheme::CodingSystem, &description.coding_systems),
        ];
        rows.into_iter()
            .map(|(label, scheme, codes)| Fact { label, items: self.labels(scheme, codes) })
            .filter(|fact| !fact.items.is_empty())
            .collect()
    }

    fn history(&self, description: &Description, entry: &Entry) -> Vec<Fact> {
        let issued = description.issued.map_or_else(|| utc(entry.issued), |day| day.0);
        let mut facts = vec![
            fact(self.w("fact.version"), &entry.version),
            fact(self.w("fact.released"), &self.tongue.day(issued)),
            fact(self.w("fact.changed"), &self.tongue.day(utc(entry.modified))),
        ];
        if let Some(next) = entry.next_release {
            facts.push(fact(self.w("fact.next"), &self.tongue.day(utc(next))));
        }
        if let Some(code) = &description.frequency {
            let items = vec![said(self.label(Scheme::Frequency, code))];
            facts.push(Fact { label: self.w("fact.updated"), items });
        }
        facts
    }

    fn variables(&self, figures: &Disclosed) -> Vec<VariableGroup> {
        use crate::catalogue::VariableTable;
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

fn said(phrase: Phrase) -> Item {
    Item { phrase, href: None }
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

fn bar(shown: &Shown, label: Phrase) -> Bar {
    let count = match (shown.records, shown.individuals) {
        (Some(records), Some(individuals)) => Count::Shown(records, individuals),
        _ => Count::Withheld,
    };
    Bar { label: label.text, lang: label.lang, count }
}

/// `50-54` as `50–54`, the last band as `90 and over`.
fn band(term: &str, tongue: &'static Tongue) -> String {
    match band_limits(term) {
        Some((first, last)) if last >= 130 => tongue.put("chart.and-over", first),
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
fn fill_ages(bands: Vec<&Shown>, is_exact: bool, tongue: &'static Tongue) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut next: Option<u16> = None;
    for shown in bands {
        let limits = band_limits(&shown.term);
        if let (Some(from), Some((first, _))) = (next, limits) {
            for missing in (from..first).step_by(usize::from(AGE_BAND)) {
                bars.push(gap(band(&age_band(missing), tongue), is_exact));
            }
        }
        next = limits.map(|(_, last)| last.saturating_add(1));
        bars.push(bar(shown, Phrase::plain(band(&shown.term, tongue))));
    }
    bars
}

fn gap(label: String, is_exact: bool) -> Bar {
    let count = if is_exact { Count::Shown(0, 0) } else { Count::Few };
    Bar { label, count, ..Bar::default() }
}

fn tiles(figures: &Disclosed, tongue: &'static Tongue) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut put = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            tiles.push(Tile { label: tongue.word(label), value });
        }
    };
    let persons = match figures.individuals {
        Some(value) => Some(tongue.count(value)),
        None if figures.threshold > 0 => {
            Some(tongue.put("chart.fewer", tongue.count(figures.threshold)))
        }
        None => None,
    };
    put("fact.studies", figures.records.map(|n| tongue.count(n)));
    put("fact.persons", persons);
    put("fact.series-count", figures.series.map(|n| tongue.count(n)));
    put("fact.images", figures.images.map(|n| tongue.count(n)));
    put("fact.size", figures.bytes.map(|size| tongue.bytes(size)));
    let years = figures.from.zip(figures.to).map(|(Day(from), Day(to))| {
        if from.year() == to.year() {
            from.year().to_string()
        } else {
            format!("{}–{}", from.year(), to.year())
        }
    });
    put("fact.years", years);
    let ages = figures.min_age.zip(figures.max_age).map(|(min, max)| {
        if max >= 130 { tongue.put("chart.and-over", min) } else { format!("{min}–{max}") }
    });
    put("fact.ages", ages);
    tiles
}

fn period(period: Period, tongue: &'static Tongue) -> String {
    let day = |day: Day| tongue.day(day.0);
    match (period.from, period.to) {
        (Some(from), Some(to)) => tongue.put_two("fact.from-to", day(from), day(to)),
        (Some(from), None) => tongue.put("fact.from", day(from)),
        (None, Some(to)) => tongue.put("fact.until", day(to)),
        (None, None) => tongue.word("fact.unlimited").to_owned(),
    }
}

/// `P2Y` as `2 years`; what is not so simple stays as it is written.
fn duration(text: &str, tongue: &'static Tongue) -> String {
    let simple = text.strip_prefix('P').and_then(|rest| {
        let (number, unit) = rest.split_at_checked(rest.len().checked_sub(1)?)?;
        let number: u64 = number.parse().ok()?;
        let noun = match unit {
            "Y" => "year",
            "M" => "month",
            "W" => "week",
            "D" => "day",
            _ => return None,
        };
        Some(tongue.counted(noun, number))
    });
    simple.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Bar, Count, band, duration, fill_ages, fill_years};
    use crate::index::disclosure::Shown;

    fn en() -> &'static super::Tongue {
        super::Tongue::english()
    }

    #[test]
    fn codes_become_words() {
        assert_eq!(band("50-54", en()), "50–54");
        assert_eq!(band("90-130", en()), "90 and over");
        assert_eq!(band("x", en()), "x");
        assert_eq!(duration("P2Y", en()), "2 years");
        assert_eq!(duration("P1Y2M", en()), "P1Y2M");
        assert_eq!(duration("P", en()), "P");
        assert_eq!(duration("Pé", en()), "Pé");
    }

    #[test]
    fn gaps_are_empty_only_where_figures_are_exact() {
        let bar = |label: &str| Bar {
            label: label.to_owned(),
            count: Count::Shown(1, 1),
            ..Bar::default()
        };
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
        let labels: Vec<String> = fill_ages(bands.iter().collect(), false, en())
            .into_iter()
            .map(|bar| bar.label)
            .collect();
        assert_eq!(labels.len(), 11, "{labels:?}");
        assert_eq!(labels[1], "45–49");
        assert_eq!(labels[10], "90 and over");
    }
}
