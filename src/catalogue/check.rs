//! Reads a description and refuses what a steward must mend, with file, line, key and remedy.

use std::fmt;
use std::path::Path;

use oxrdf::NamedNode;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::description::{AccessRights, Agent, Description, Precision, Text};
use super::release::{Release, Scheme};
use super::{Facet, Selection};
use crate::config::{Config, Identity};

/// What is wrong with a description, where, and what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key, dotted.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}`: {}; {}", self.file, self.line, self.key, self.problem, self.remedy)
    }
}

/// Names under which people type what is computed, and what it is.
const COMPUTED: &[(&[&str], &str)] = &[
    (
        &["number_of_records", "numberOfRecords", "records", "studies", "number_of_studies"],
        "the number of records (studies)",
    ),
    (
        &[
            "number_of_individuals",
            "number_of_unique_individuals",
            "numberOfUniqueIndividuals",
            "individuals",
            "patients",
            "number_of_patients",
        ],
        "the number of individuals",
    ),
    (&["images", "instances", "number_of_images", "number_of_series"], "the number of images"),
    (&["bytes", "byte_size", "byteSize", "size"], "the size"),
    (
        &[
            "min_age",
            "max_age",
            "ages",
            "age_range",
            "min_typical_age",
            "max_typical_age",
            "minTypicalAge",
            "maxTypicalAge",
        ],
        "the range of ages",
    ),
    (&["sex", "sexes", "sex_ratio"], "the counts per sex"),
    (&["modality", "modalities"], "the modalities"),
    (&["body_site", "body_sites", "body_parts"], "the body sites"),
    (&["manufacturer", "manufacturers"], "the manufacturers"),
    (&["temporal", "temporal_coverage", "start_date", "end_date"], "the temporal coverage"),
    (&["code_values", "hasCodeValues"], "the code values"),
    (&["variables", "has_variables", "hasVariables", "columns"], "the variables"),
    (
        &["structured", "has_structured_data", "hasStructuredData"],
        "whether the data are structured",
    ),
    (&["modified"], "the modification date"),
];

/// Reads a description file's text. `file` is its name for messages.
///
/// # Errors
/// Every refusal that the text gives, in the order of lines.
pub fn read(
    file: &str,
    text: &str,
    release: &Release,
    config: &Config,
) -> Result<Description, Vec<Refusal>> {
    let mut lines = Lines { file, text, root: None, refusals: Vec::new() };
    match DeTable::parse(text) {
        Ok(root) => lines.root = Some(root.into_inner()),
        Err(failure) => {
            lines.broken(&failure, "write TOML (toml.io)");
            return Err(lines.refusals);
        }
    }
    lines.computed();
    if !lines.refusals.is_empty() {
        return Err(lines.refusals);
    }
    let description = match toml::from_str::<Description>(text) {
        Ok(description) => description,
        Err(failure) => {
            lines.broken(&failure, "see the JSON Schema of descriptions for every key");
            return Err(lines.refusals);
        }
    };
    let slug = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if !is_slug(slug) {
        lines.refuse(
            "",
            "the file's name becomes the dataset's address",
            "name it with a-z, 0-9, `-` and `_`, at most 100 characters, and `.toml`",
        );
    }
    lines.words(&description);
    lines.choices(&description, release);
    lines.addresses(&description, release);
    lines.level(&description, config);
    lines.refusals.sort_by_key(|refusal| refusal.line);
    if lines.refusals.is_empty() { Ok(description) } else { Err(lines.refusals) }
}

/// Whether it can be the last part of a dataset's address.
#[must_use]
pub fn is_slug(slug: &str) -> bool {
    (1..=100).contains(&slug.len())
        && slug
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
        && !slug.starts_with(['-', '_'])
}

struct Lines<'t> {
    file: &'t str,
    text: &'t str,
    root: Option<DeTable<'t>>,
    refusals: Vec<Refusal>,
}

impl Lines<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        before.bytes().filter(|b| *b == b'\n').count() + 1
    }

    /// The line of a dotted key (`distribution.0.format`), or of what is nearest above it.
    fn place(&self, key: &str) -> usize {
        let mut line = 1;
        let Some(root) = &self.root else { return line };
        let mut table = Some(root);
        let mut array = None;
        for part in key.split('.').filter(|part| !part.is_empty()) {
            let found: Option<(usize, &Spanned<DeValue<'_>>)> = if let Some(current) = table {
                current
                    .iter()
                    .find(|(name, _)| name.get_ref() == part)
                    .map(|(name, value)| (name.span().start, value))
            } else if let Some(current) = array.take() {
                let items: &toml::de::DeArray<'_> = current;
                part.parse()
                    .ok()
                    .and_then(|place: usize| items.get(place))
                    .map(|value| (value.span().start, value))
            } else {
                None
            };
            let Some((offset, value)) = found else { return line };
            line = self.line(offset);
            table = None;
            match value.get_ref() {
                DeValue::Table(inner) => table = Some(inner),
                DeValue::Array(inner) => array = Some(inner),
                _ => {}
            }
        }
        line
    }

    fn refuse(&mut self, key: &str, problem: &str, remedy: &str) {
        let line = self.place(key);
        self.refusals.push(Refusal {
            file: self.file.to_owned(),
            line,
            key: key.to_owned(),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    fn broken(&mut self, failure: &toml::de::Error, remedy: &str) {
        let offset = failure.span().map_or(0, |span| span.start);
        let line = self.line(offset);
        let span = failure.span().and_then(|span| self.text.get(span)).unwrap_or_default();
        let key = span.lines().next().unwrap_or_default().trim().to_owned();
        let problem = failure.message().split('\n').next().unwrap_or_default().to_owned();
        let remedy = nearest(&problem)
            .map_or_else(|| remedy.to_owned(), |near| format!("did you mean `{near}`? {remedy}"));
        self.refusals.push(Refusal { file: self.file.to_owned(), line, key, problem, remedy });
    }

    fn computed(&mut self) {
        let mut found = Vec::new();
        if let Some(root) = &self.root {
            for (name, value) in root {
                let name = name.get_ref().as_ref();
                found.push(name.to_owned());
                if name != "distribution" {
                    continue;
                }
                if let DeValue::Array(items) = value.get_ref() {
                    for (place, item) in items.iter().enumerate() {
                        if let DeValue::Table(inner) = item.get_ref() {
                            found.extend(
                                inner
                                    .keys()
                                    .map(|key| format!("distribution.{place}.{}", key.get_ref())),
                            );
                        }
                    }
                }
            }
        }
        for key in found {
            let last = key.rsplit('.').next().unwrap_or_default();
            let what = COMPUTED.iter().find(|(names, _)| names.contains(&last));
            if let Some((_, what)) = what {
                self.refuse(
                    &key,
                    &format!("{what} is computed from the archive and never typed"),
                    "remove the key; `[selection]` decides what is counted",
                );
            }
        }
    }

    fn words(&mut self, description: &Description) {
        for (key, text, limit) in [
            ("title", &description.title, 500),
            ("description", &description.description, 20_000),
            ("alternative", &description.alternative, 500),
            ("provenance", &description.provenance, 20_000),
            ("population_coverage", &description.population_coverage, 20_000),
            ("version_notes", &description.version_notes, 20_000),
        ] {
            self.text(key, text, limit);
        }
        for (key, text) in
            [("title", &description.title), ("description", &description.description)]
        {
            if text.is_empty() {
                self.refuse(key, "is missing", &format!("write `{key}.en = \"…\"`"));
            }
        }
        for (_, word) in description.keywords.iter() {
            if word.trim().is_empty() || word.chars().count() > 100 || has_control(word) {
                self.refuse(
                    "keywords",
                    "a keyword is empty, longer than 100 characters or has control characters",
                    "write short words",
                );
                break;
            }
        }
        for (place, purpose) in description.purposes.iter().enumerate() {
            self.text(&format!("purposes.{place}"), purpose, 20_000);
        }
        for (place, basis) in description.legal_basis.iter().enumerate() {
            if basis.code.is_none() && basis.description.is_empty() {
                self.refuse(
                    &format!("legal_basis.{place}"),
                    "has neither code nor description",
                    "write `code = \"A9-2-i\"` or `description.en = \"…\"`",
                );
            }
        }
        for (place, activity) in description.generated_by.iter().enumerate() {
            if activity.label.is_empty() {
                self.refuse(
                    &format!("generated_by.{place}"),
                    "has no label",
                    "write `label.en = \"…\"`",
                );
            }
        }
        if let Some(version) = &description.version
            && (version.trim().is_empty() || version.len() > 50 || has_control(version))
        {
            self.refuse(
                "version",
                "is empty or longer than 50 characters",
                "write for instance `version = \"2.0\"`",
            );
        }
        if let Some(retention) = description.retention
            && let (Some(from), Some(to)) = (retention.from, retention.to)
            && from > to
        {
            self.refuse("retention", "ends before it begins", "exchange `from` and `to`");
        }
        if let Some(resolution) = &description.temporal_resolution
            && !super::shacl::is_duration(resolution)
        {
            self.refuse(
                "temporal_resolution",
                &format!("`{resolution}` is no xsd:duration"),
                "write for instance `P2Y` or `P1M`",
            );
        }
        if let Some(series) = &description.series {
            if !is_slug(&series.id) {
                self.refuse(
                    "series.id",
                    "becomes part of an address",
                    "write a-z, 0-9, `-` and `_`",
                );
            }
            if series.title.is_empty() || series.description.is_empty() {
                self.refuse(
                    "series",
                    "needs a title and a description",
                    "write `series.title.en` and `series.description.en`",
                );
            }
        }
    }

    fn text(&mut self, key: &str, text: &Text, limit: usize) {
        for (_, text) in text.iter() {
            if text.trim().is_empty() {
                self.refuse(key, "is empty", "write words or remove the key");
            } else if text.chars().count() > limit {
                self.refuse(key, &format!("is longer than {limit} characters"), "shorten it");
            } else if has_control(text) {
                self.refuse(key, "has control characters", "remove them");
            }
        }
    }

    fn choices(&mut self, description: &Description, release: &Release) {
        let frequency: Vec<String> = description.frequency.iter().cloned().collect();
        let lists: [(&str, Scheme, &[String]); 11] = [
            ("health_categories", Scheme::HealthCategory, &description.health_categories),
            ("health_themes", Scheme::HealthTheme, &description.health_themes),
            ("themes", Scheme::DataTheme, &description.themes),
            ("type", Scheme::DatasetType, &description.kind),
            ("conforms_to", Scheme::Standard, &description.conforms_to),
            ("coding_systems", Scheme::CodingSystem, &description.coding_systems),
            ("personal_data", Scheme::PersonalData, &description.personal_data),
            ("language", Scheme::Language, &description.language),
            ("spatial", Scheme::Country, &description.spatial),
            ("frequency", Scheme::Frequency, &frequency),
            ("applicable_legislation", Scheme::Legislation, &[]),
        ];
        for (key, scheme, codes) in lists {
            for code in codes {
                self.code(key, scheme, code, release);
            }
        }
        for law in &description.applicable_legislation {
            let full = if law.contains("://") {
                law.clone()
            } else {
                format!("{}{law}", release.scheme(Scheme::Legislation).base)
            };
            if NamedNode::new(full).is_err() {
                self.refuse(
                    "applicable_legislation",
                    &format!("`{law}` is no ELI"),
                    "write for instance `reg/2025/327/oj`",
                );
            }
        }
        for (place, basis) in description.legal_basis.iter().enumerate() {
            if let Some(code) = &basis.code {
                self.code(&format!("legal_basis.{place}.code"), Scheme::LegalBasis, code, release);
            }
        }
        for (place, activity) in description.generated_by.iter().enumerate() {
            if let Some(code) = &activity.kind {
                self.code(
                    &format!("generated_by.{place}.type"),
                    Scheme::HealthActivity,
                    code,
                    release,
                );
            }
        }
        let distributions = description
            .distributions
            .iter()
            .enumerate()
            .map(|(place, distribution)| (format!("distribution.{place}"), distribution))
            .chain(
                description
                    .analytics
                    .iter()
                    .enumerate()
                    .map(|(place, distribution)| (format!("analytics.{place}"), distribution)),
            )
            .chain(
                description.sample.iter().map(|distribution| ("sample".to_owned(), distribution)),
            );
        for (key, distribution) in distributions {
            for (name, scheme, code) in [
                ("format", Scheme::FileType, &distribution.format),
                ("availability", Scheme::PlannedAvailability, &distribution.availability),
                ("status", Scheme::DistributionStatus, &distribution.status),
            ] {
                if let Some(code) = code {
                    self.code(&format!("{key}.{name}"), scheme, code, release);
                }
            }
            if let Some(kind) = &distribution.media_type {
                let is_type = kind.split_once('/').is_some_and(|(a, b)| {
                    let plain = |part: &str| {
                        !part.is_empty()
                            && part
                                .bytes()
                                .all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
                    };
                    plain(a) && plain(b)
                });
                if !is_type {
                    self.refuse(
                        &format!("{key}.media_type"),
                        &format!("`{kind}` is no media type"),
                        "write a type of IANA: `application/dicom`",
                    );
                }
            }
        }
    }

    fn code(&mut self, key: &str, scheme: Scheme, code: &str, release: &Release) {
        if release.concept(scheme, code).is_some() {
            return;
        }
        let name = scheme.name();
        let near = release
            .concepts(scheme)
            .iter()
            .map(|concept| {
                (distance(&concept.code.to_lowercase(), &code.to_lowercase()), &concept.code)
            })
            .min();
        let remedy = match near {
            Some((far, near)) if far <= 3 => {
                format!("did you mean `{near}`? Codes are in vocabularies/{name}.toml")
            }
            _ => format!("write a code of vocabularies/{name}.toml"),
        };
        self.refuse(key, &format!("`{code}` is no code of the vocabulary `{name}`"), &remedy);
    }

    fn addresses(&mut self, description: &Description, release: &Release) {
        for (key, url) in [
            ("landing_page", &description.landing_page),
            ("quality_label", &description.quality_label),
        ] {
            if let Some(url) = url {
                self.address(key, url);
            }
        }
        for (key, urls) in [
            ("documentation", &description.documentation),
            ("is_referenced_by", &description.is_referenced_by),
            ("sources", &description.sources),
            ("relations", &description.relations),
        ] {
            for url in urls {
                self.address(key, url);
            }
        }
        for (key, agent) in [
            ("publisher", &description.publisher),
            ("custodian", &description.custodian),
            ("hdab", &description.hdab),
            ("hdab_coordinator", &description.hdab_coordinator),
        ] {
            if let Some(agent) = agent {
                self.agent(key, agent, true, release);
            }
        }
        for (place, agent) in description.creators.iter().enumerate() {
            self.agent(&format!("creators.{place}"), agent, false, release);
        }
        if let Some(contact) = &description.contact {
            if contact.email.is_none() && contact.page.is_none() {
                self.refuse(
                    "contact",
                    "has neither e-mail address nor page",
                    "write `email` or `page`",
                );
            }
            if let Some(email) = &contact.email {
                self.email("contact.email", email);
            }
            if let Some(page) = &contact.page {
                self.address("contact.page", page);
            }
        }
        let all = description
            .distributions
            .iter()
            .enumerate()
            .map(|(place, distribution)| (format!("distribution.{place}"), distribution))
            .chain(
                description
                    .analytics
                    .iter()
                    .enumerate()
                    .map(|(place, distribution)| (format!("analytics.{place}"), distribution)),
            )
            .chain(
                description.sample.iter().map(|distribution| ("sample".to_owned(), distribution)),
            );
        for (key, distribution) in all {
            if let Some(url) = &distribution.access_url {
                self.address(&format!("{key}.access_url"), url);
            } else if !key.starts_with("distribution") {
                self.refuse(&key, "has no access address", "write `access_url = \"https://…\"`");
            }
            if let Some(url) = &distribution.download_url {
                self.address(&format!("{key}.download_url"), url);
            }
            for url in &distribution.documentation {
                self.address(&format!("{key}.documentation"), url);
            }
            if let Some(licence) = &distribution.licence
                && !is_address(licence)
                && !release.licences.iter().any(|row| row.name == *licence)
            {
                self.refuse(
                    &format!("{key}.licence"),
                    &format!("`{licence}` is neither an address nor a known licence"),
                    "write its address or a name of vocabularies/licences.toml",
                );
            }
        }
    }

    fn agent(&mut self, key: &str, agent: &Agent, needs_contact: bool, release: &Release) {
        if agent.name.trim().is_empty() {
            self.refuse(key, "has no name", "write `name`");
        }
        if needs_contact && agent.email.is_none() && agent.page.is_none() {
            self.refuse(
                key,
                "has neither e-mail address nor page (R8: exactly one contact point)",
                "write `email` or `page`",
            );
        }
        if let Some(email) = &agent.email {
            self.email(&format!("{key}.email"), email);
        }
        for (name, url) in [("page", &agent.page), ("iri", &agent.iri)] {
            if let Some(url) = url {
                self.address(&format!("{key}.{name}"), url);
            }
        }
        if let Some(kind) = &agent.kind {
            self.code(&format!("{key}.type"), Scheme::PublisherType, kind, release);
        }
    }

    fn address(&mut self, key: &str, url: &str) {
        if !is_address(url) {
            self.refuse(
                key,
                &format!("`{url}` is no web address"),
                "begin with `https://` and leave out spaces",
            );
        }
    }

    fn email(&mut self, key: &str, email: &str) {
        let is_email = email.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty()
                && !host.is_empty()
                && !host.contains('@')
                && NamedNode::new(format!("mailto:{email}")).is_ok()
        });
        if !is_email {
            self.refuse(key, &format!("`{email}` is no e-mail address"), "write `name@host`");
        }
    }

    fn level(&mut self, description: &Description, config: &Config) {
        if description.health_categories.is_empty() {
            self.refuse(
                "health_categories",
                "is missing",
                "write codes of Article 51: `health_categories = [\"EHRS\"]`",
            );
        }
        self.selection("selection", &description.selection, true);
        for (place, distribution) in description.distributions.iter().enumerate() {
            self.selection(
                &format!("distribution.{place}.selection"),
                &distribution.selection,
                false,
            );
        }
        let Some(rights) = description.access_rights else {
            self.refuse(
                "access_rights",
                "is missing",
                "write `access_rights = \"PUBLIC\"`, `\"RESTRICTED\"` or `\"NON_PUBLIC\"`",
            );
            return;
        };
        match rights {
            AccessRights::Public => {
                if description.distributions.is_empty() {
                    self.refuse(
                        "distribution",
                        "a PUBLIC dataset has no distribution",
                        "write a `[[distribution]]` with `access_url`",
                    );
                }
                for (place, distribution) in description.distributions.iter().enumerate() {
                    if distribution.access_url.is_none() {
                        self.refuse(
                            &format!("distribution.{place}"),
                            "has no access address",
                            "write `access_url = \"https://…\"`",
                        );
                    }
                }
            }
            AccessRights::Restricted => {}
            AccessRights::NonPublic => {
                for (key, is_missing, remedy) in [
                    ("keywords", description.keywords.is_empty(), "write `keywords.en = [\"…\"]`"),
                    (
                        "provenance",
                        description.provenance.is_empty(),
                        "write `provenance.en = \"…\"`",
                    ),
                    ("type", description.kind.is_empty(), "write `type = [\"STATISTICAL\"]`"),
                ] {
                    if is_missing {
                        self.refuse(key, "is missing and mandatory for NON_PUBLIC", remedy);
                    }
                }
            }
        }
        if description.figures == Some(Precision::Exact) {
            if rights != AccessRights::Public {
                self.refuse(
                    "figures",
                    &format!("exact figures of a {} dataset would name persons", rights.code()),
                    "remove the key, or make the dataset PUBLIC",
                );
            } else if config.archive.identity != Identity::DeIdentified {
                self.refuse("figures", "exact figures need an archive that is configured de-identified", "remove the key, or set `archive.identity = \"de-identified\"` in the configuration if that is true");
            }
        }
    }

    fn selection(&mut self, key: &str, selection: &Selection, is_needed: bool) {
        if is_needed && selection.is_empty() {
            self.refuse(
                key,
                "is missing: the dataset holds nothing",
                "write `[selection]` with facets such as `modality = [\"MG\"]`",
            );
        }
        let lists = selection.any_of.iter().chain(&selection.exclude);
        let empty: Vec<Facet> = lists
            .filter(|(_, terms)| {
                terms.is_empty() || terms.iter().any(|term| term.trim().is_empty())
            })
            .map(|(facet, _)| *facet)
            .collect();
        for facet in empty {
            let name = serde_json::to_value(facet)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default();
            self.refuse(
                &format!("{key}.{name}"),
                "has no term or an empty one",
                "write terms, or remove the facet",
            );
        }
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && NamedNode::new(url).is_ok()
}

/// The key that an unknown field may have meant, from serde's own list in the message.
fn nearest(message: &str) -> Option<String> {
    let mut names = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return None;
    }
    let wrong = names.next()?;
    names
        .map(|name| (distance(name, wrong), name))
        .min()
        .filter(|(far, _)| *far <= 3)
        .map(|(_, name)| name.to_owned())
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, x) in a.chars().take(100).enumerate() {
        let mut last = line;
        row[0] = line + 1;
        for (place, y) in b.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = (last + usize::from(x != *y)).min(above + 1).min(row[place] + 1);
            last = above;
        }
    }
    row[b.len()]
}
