//! Every rule that the type of a key cannot tell.
//!
//! In: a [`Config`]. Out: the first setting that cannot be used, by its key, with what is wrong and
//! how to mend it; and where the key stands in the file.

use std::path::Path;

use super::{Config, Identifiers, LANGUAGES, RELEASES};

/// A setting that cannot be used.
pub(super) struct Fault {
    pub(super) key: &'static str,
    problem: String,
    remedy: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}; {}", self.key, self.problem, self.remedy)
    }
}

type Rule = Option<Fault>;

fn wrong(key: &'static str, problem: String, remedy: &str) -> Rule {
    Some(Fault { key, problem, remedy: remedy.to_owned() })
}

impl Config {
    /// The first setting that cannot be used.
    pub(super) fn fault(&self) -> Rule {
        self.wrong_zone()
            .or_else(|| self.wrong_address())
            .or_else(|| self.wrong_viewer())
            .or_else(|| self.wrong_identifier())
            .or_else(|| self.wrong_contact())
            .or_else(|| self.wrong_folder())
            .or_else(|| self.wrong_source())
            .or_else(|| self.wrong_choice())
            .or_else(|| self.wrong_number())
    }

    fn wrong_zone(&self) -> Rule {
        let zone = &self.archive.time_zone;
        if !zone.is_empty() && jiff::tz::TimeZone::get(zone).is_err() {
            return wrong(
                "archive.time_zone",
                format!("`{zone}` is no IANA time zone"),
                "write a name such as `Europe/Prague`",
            );
        }
        None
    }

    fn wrong_address(&self) -> Rule {
        let urls = [
            ("server.public_url", &self.server.public_url),
            ("archive.wado_url", &self.archive.wado_url),
            ("organisation.iri", &self.organisation.iri),
            ("organisation.page", &self.organisation.page),
            ("hdab.iri", &self.hdab.iri),
            ("hdab.page", &self.hdab.page),
        ];
        let indexes = self.catalogue.fdp_indexes.iter().map(|url| ("catalogue.fdp_indexes", url));
        let viewer = self.archive.viewer_url.replace("{StudyInstanceUID}", "1.2.3");
        let viewer = [("archive.viewer_url", &viewer)];
        for (key, url) in urls.into_iter().chain(indexes).chain(viewer) {
            let is_http = url.starts_with("https://") || url.starts_with("http://");
            let is_iri = oxiri::Iri::parse(url.as_str()).is_ok();
            let is_usable = url.is_empty() || (is_http && is_iri);
            if !is_usable {
                return wrong(key, format!("`{url}` is no web address"), "begin with `https://`");
            }
            let Ok(parts) = oxiri::Iri::parse(url.as_str()) else { continue };
            let authority = parts.authority().unwrap_or_default();
            if authority.contains('@') {
                let problem = "there is a name or password in it".to_owned();
                return wrong(key, problem, "write the address alone: it is published");
            }
            let port = authority.rsplit_once(':').map(|(_, port)| port).unwrap_or_default();
            let has_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            if authority.is_empty() || (has_port && port.parse::<u16>().is_err()) {
                return wrong(key, format!("`{url}` names no host"), "write `https://host`");
            }
            let is_base = ["server.public_url", "archive.wado_url"].contains(&key);
            if is_base && (parts.query().is_some() || parts.fragment().is_some()) {
                let problem = format!("`{url}` has a query or a fragment");
                return wrong(key, problem, "end with the path: other addresses begin with it");
            }
        }
        None
    }

    fn wrong_viewer(&self) -> Rule {
        let viewer = &self.archive.viewer_url;
        if !viewer.is_empty() && !viewer.contains("{StudyInstanceUID}") {
            return wrong(
                "archive.viewer_url",
                format!("`{viewer}` is the same for every study"),
                "write `{StudyInstanceUID}` where the UID goes",
            );
        }
        None
    }

    fn wrong_identifier(&self) -> Rule {
        let location = &self.archive.retrieve_location_uid;
        let is_uid = location.len() <= 64
            && location.split('.').all(|part| {
                !part.is_empty()
                    && part.bytes().all(|byte| byte.is_ascii_digit())
                    && (part == "0" || !part.starts_with('0'))
            });
        if !location.is_empty() && !is_uid {
            return wrong(
                "archive.retrieve_location_uid",
                format!("`{location}` is no unique identifier"),
                "write digits and dots, at most 64 characters",
            );
        }
        let identifiers = &self.archive.identifiers;
        let issuers = identifiers.patient_issuers.iter();
        let systems = [
            ("archive.identifiers.patient", &identifiers.patient),
            ("archive.identifiers.accession", &identifiers.accession),
            ("archive.identifiers.study_id", &identifiers.study_id),
        ]
        .into_iter()
        .chain(issuers.map(|row| ("archive.identifiers.patient_issuers", &row.system)));
        for (key, system) in systems {
            if !system.is_empty() && oxiri::Iri::parse(system.as_str()).is_err() {
                return wrong(
                    key,
                    format!("`{system}` is no URI"),
                    "write `urn:oid:…` or an `https://` address",
                );
            }
        }
        for (at, row) in identifiers.patient_issuers.iter().enumerate() {
            if identifiers.patient_issuers.iter().take(at).any(|known| known.issuer == row.issuer) {
                return wrong(
                    "archive.identifiers.patient_issuers",
                    format!("`{}` has two systems", row.issuer),
                    "keep one row of each issuer",
                );
            }
        }
        for (at, row) in identifiers.source_issuers.iter().enumerate() {
            let is_again =
                identifiers.source_issuers.iter().take(at).any(|known| known.source == row.source);
            if row.source.is_empty() || row.issuer.is_empty() || is_again {
                return wrong(
                    "archive.identifiers.source_issuers",
                    format!("`{}` has no issuer, no name, or two rows", row.source),
                    "give each source one row: { source = \"…\", issuer = \"…\" }",
                );
            }
        }
        let Identifiers { patient, accession, .. } = identifiers;
        if !patient.is_empty() && patient == accession {
            return wrong(
                "archive.identifiers.accession",
                format!("`{accession}` is the system of PatientIDs too"),
                "give accession numbers a system of their own",
            );
        }
        None
    }

    fn wrong_contact(&self) -> Rule {
        for (key, email) in
            [("organisation.email", &self.organisation.email), ("hdab.email", &self.hdab.email)]
        {
            if !email.is_empty() && !email.contains('@') {
                return wrong(key, format!("`{email}` is no e-mail address"), "write `name@host`");
            }
        }
        None
    }

    fn wrong_folder(&self) -> Rule {
        for (key, folder) in [
            ("overrides.mappings", &self.overrides.mappings),
            ("overrides.catalogue", &self.overrides.catalogue),
        ] {
            if !folder.is_empty() && !Path::new(folder).is_dir() {
                return wrong(
                    key,
                    format!("there is no folder `{folder}`"),
                    "make it, or leave the key empty for the built-in files",
                );
            }
        }
        None
    }

    fn wrong_source(&self) -> Rule {
        if !(1..=16).contains(&self.harvest.side_by_side) {
            let problem = format!("`{}` is no number from 1 to 16", self.harvest.side_by_side);
            return wrong("harvest.side_by_side", problem, "take 4, or leave the key out");
        }
        let mut names = std::collections::BTreeSet::new();
        for source in &self.harvest.source {
            if let Some((problem, remedy)) = source.wrong() {
                return wrong("harvest.source", problem, remedy);
            }
            if !names.insert(&source.name) {
                let problem = format!("`{}` is there twice", source.name);
                return wrong("harvest.source", problem, "give each source a name of its own");
            }
        }
        None
    }

    fn wrong_choice(&self) -> Rule {
        let language = &self.catalogue.language;
        if !LANGUAGES.contains(&language.as_str()) {
            return wrong(
                "catalogue.language",
                format!("`{language}` is no language of the catalogue"),
                &format!("write one of {}", LANGUAGES.join(", ")),
            );
        }
        let release = &self.catalogue.release;
        // The name becomes part of a path.
        let is_plain =
            !release.is_empty() && release.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let own = Path::new(&self.overrides.catalogue).join(format!("releases/{release}.toml"));
        let is_own = is_plain && !self.overrides.catalogue.is_empty() && own.is_file();
        if !is_own && !RELEASES.contains(&release.as_str()) {
            return wrong(
                "catalogue.release",
                format!("`{release}` is no known release"),
                &format!(
                    "write {}, or put `releases/NAME.toml` into the folder of \
                     `overrides.catalogue`, the name of letters and digits",
                    RELEASES.join(", ")
                ),
            );
        }
        None
    }

    fn wrong_number(&self) -> Rule {
        let threshold = self.disclosure.threshold;
        if threshold < 2 {
            return wrong(
                "disclosure.threshold",
                format!("{threshold} would show single persons"),
                "take 10, or set `archive.identity = \"de-identified\"` and make the dataset PUBLIC",
            );
        }
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (ingest, sparql) = (&self.ingest, &self.sparql);
        let numbers = [
            ("server.workers", count(self.server.workers), 0, 256, "0, one per processor"),
            ("catalogue.page_size", count(self.catalogue.page_size), 1, 100, "100"),
            ("disclosure.rounding", self.disclosure.rounding, 1, u64::MAX, "1 for no rounding"),
            ("disclosure.release_days", self.disclosure.release_days.into(), 1, 36_500, "90"),
            ("ingest.workers", count(ingest.workers), 0, 256, "0, one per processor"),
            // Less is too little to start a process.
            ("ingest.worker_memory_mib", ingest.worker_memory_mib, 64, 1 << 20, "512"),
            ("ingest.worker_cpu_seconds", ingest.worker_cpu_seconds, 1, 86_400, "20"),
            ("ingest.batch", count(ingest.batch), 1, 1_000_000, "4000"),
            ("ingest.dicomweb_concurrency", count(ingest.dicomweb_concurrency), 1, 256, "4"),
            ("ingest.dicomweb_attempts", ingest.dicomweb_attempts.into(), 1, 100, "4"),
            ("sparql.seconds", sparql.seconds, 1, 3_600, "5"),
            // The stack of the process that evaluates takes half of the least.
            ("sparql.memory_mib", sparql.memory_mib, 256, 1 << 20, "1024"),
            ("sparql.rows", count(sparql.rows), 1, u64::MAX, "10000"),
        ];
        numbers.into_iter().find_map(|(key, number, least, most, remedy)| {
            let problem = if number < least {
                format!("{number} is less than {least}")
            } else if number > most {
                format!("{number} is more than {most}")
            } else {
                return None;
            };
            wrong(key, problem, &format!("take {remedy}"))
        })
    }
}

/// The line of the file on which the key of that path stands, in whichever of TOML's spellings.
pub(super) fn line_of(text: &str, path: &str) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut start = None;
    for part in path.split('.') {
        let (key, value) = table.iter().find(|(key, _)| key.get_ref() == part)?;
        start = Some(key.span().start);
        if let toml::de::DeValue::Table(inner) = value.get_ref() {
            table = inner;
        }
    }
    Some(text.get(..start?)?.matches('\n').count() + 1)
}
