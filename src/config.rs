//! The configuration: one struct tree, one TOML file, environment variables on top; checked once.
//!
//! In: `vesalius.toml` and `VESALIUS_…` variables. Out: a [`Config`] that every room may trust.
//! A missing file means defaults; an unknown key, a bad value or an impossible combination is
//! refused with the place and the remedy.

mod archive;
mod harvest;
mod overlay;
mod rules;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

use overlay::overlay;
use rules::line_of;

pub use archive::{Archive, Identifiers, Identity, Issuer, SourceIssuer};
pub use harvest::{Harvest, HarvestFormat, HarvestKind, HarvestSource};

/// Everything that can be set. Each key has a default, so an empty file is valid.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How the server is reached.
    pub server: Server,
    /// Where the truth is kept.
    pub database: Database,
    /// The imaging archive that this node speaks for.
    pub archive: Archive,
    /// The data holder (Regulation (EU) 2025/327 Article 2(2)(t)): custodian and publisher.
    pub organisation: Organisation,
    /// The health data access body that decides on applications for these data.
    pub hdab: Organisation,
    /// The catalogue of datasets.
    pub catalogue: Catalogue,
    /// How counts leave the house for secondary use.
    pub disclosure: Disclosure,
    /// Reading of archives.
    pub ingest: Ingest,
    /// The public SPARQL endpoint.
    pub sparql: Sparql,
    /// Other catalogues that are read into this node.
    pub harvest: Harvest,
    /// Bulk export (`$export`).
    pub exports: Exports,
    /// Notification of other systems.
    pub subscriptions: Subscriptions,
    /// Folders whose files replace the built-in data files of the same name.
    pub overrides: Overrides,
}

/// How the server is reached.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: String,
    /// The address that the world uses, without a final slash: the base of every IRI and link.
    /// Empty: `http://` and the listening address.
    pub public_url: String,
    /// Threads that answer requests; 0 takes one per processor.
    pub workers: usize,
    /// Memory for rendered resources, in MiB.
    pub cache_mib: usize,
}

/// Where the truth is kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://…`, or empty for the embedded SQLite database in the data folder.
    pub url: String,
}

/// An organisation with the one contact that the catalogue needs (R8: `cv:contactPoint`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Organisation {
    /// Its name.
    pub name: String,
    /// IRI that identifies it; empty: one below `public_url`.
    pub iri: String,
    /// E-mail address of the contact.
    pub email: String,
    /// Web page of the contact, for the access body the page where one applies.
    pub page: String,
    /// Telephone of the contact.
    pub telephone: String,
    /// ISO 3166-1 alpha-3 code of its country, as in the EU authority table (`CZE`).
    pub country: String,
    /// Code of its type in HealthDCAT-AP's publisher-type table; empty: not given.
    pub publisher_type: String,
    /// Whether it is a trusted health data holder (Regulation (EU) 2025/327 Article 72).
    pub trusted_data_holder: bool,
}

/// The catalogue of datasets.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Catalogue {
    /// Title of the catalogue.
    pub title: String,
    /// Description of the catalogue.
    pub description: String,
    /// Language of titles and descriptions that name none: a two-letter code.
    pub language: String,
    /// Folder with the steward's descriptions; empty: `descriptions` in the data folder.
    pub descriptions: String,
    /// HealthDCAT-AP release that documents are written for (a file of `catalogue/releases`).
    pub release: String,
    /// Datasets on a page of `/catalog.*?page=`; at most 100.
    pub page_size: usize,
    /// FAIR Data Point indexes that are told of `/fdp`: at the start, when datasets changed, and
    /// every week.
    pub fdp_indexes: Vec<String>,
}

/// How counts leave the house for secondary use.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disclosure {
    /// Cells below this count are not shown.
    pub threshold: u64,
    /// Counts are rounded to a multiple of this.
    pub rounding: u64,
    /// Days between two versions of the figures of a dataset that is not open.
    pub release_days: u32,
}

/// Reading of archives.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Worker processes that read files; 0 takes one per processor.
    pub workers: usize,
    /// Address space of a worker, in MiB.
    pub worker_memory_mib: u64,
    /// CPU seconds that a worker may spend on one file before it is ended.
    pub worker_cpu_seconds: u64,
    /// Records in one transaction.
    pub batch: usize,
    /// Requests under way at once to a DICOMweb server.
    pub dicomweb_concurrency: usize,
    /// Attempts for a DICOMweb request that fails in passing.
    pub dicomweb_attempts: u32,
}

/// The public SPARQL endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sparql {
    /// Seconds after which a query is ended.
    pub seconds: u64,
    /// Address space of the process that evaluates, in MiB.
    pub memory_mib: u64,
    /// Rows after which an answer ends.
    pub rows: usize,
}

/// Bulk export (`$export`): files in the folder `exports` of the data folder.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exports {
    /// Disk that the files of all exports may use together, in MiB; 0: there is no export.
    pub most_mib: u64,
    /// Hours after which the files of a finished export are removed.
    pub lifetime_hours: u32,
    /// Exports of one reader that may wait or be under way at once.
    pub most_jobs: usize,
    /// Whether the lines of studies are made before an export asks for them, while nothing else
    /// is to be done: an export then copies them. They take disk, among `most_mib`, about as much
    /// as an export of every study does.
    pub keep_ready: bool,
}

/// Notification of other systems (FHIR Subscription): where notices may go.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscriptions {
    /// Subscriptions that there may be; 0: there are none.
    pub most: usize,
    /// Whether notices may go by plain HTTP, which anybody on the way can read.
    pub allow_http: bool,
    /// Whether notices may go to addresses of the own network (loopback, link-local, private):
    /// whoever subscribes can then make this server ask machines that only it can reach.
    pub allow_private: bool,
}

/// Folders whose files replace the built-in data files of the same name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Replaces files of `mappings/`.
    pub mappings: String,
    /// Replaces files of `catalogue/`.
    pub catalogue: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: String::new(),
            workers: 0,
            cache_mib: 256,
        }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            title: "Imaging datasets".to_owned(),
            description: "Descriptions of the imaging datasets of this data holder.".to_owned(),
            language: "en".to_owned(),
            descriptions: String::new(),
            release: "r8".to_owned(),
            page_size: 100,
            fdp_indexes: Vec::new(),
        }
    }
}

impl Default for Disclosure {
    fn default() -> Self {
        Self { threshold: 10, rounding: 10, release_days: 90 }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            workers: 0,
            worker_memory_mib: 512,
            worker_cpu_seconds: 20,
            batch: 4_000,
            dicomweb_concurrency: 4,
            dicomweb_attempts: 4,
        }
    }
}

impl Default for Exports {
    fn default() -> Self {
        Self { most_mib: 20_480, lifetime_hours: 24, most_jobs: 4, keep_ready: true }
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { most: 100, allow_http: false, allow_private: false }
    }
}

impl Default for Sparql {
    fn default() -> Self {
        Self { seconds: 5, memory_mib: 1_024, rows: 10_000 }
    }
}

/// Languages that the catalogue's own can be: those of the Union and of the European Economic
/// Area. Each has a code in the EU authority table (`catalogue::language`).
pub const LANGUAGES: &[&str] = &[
    "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hr", "hu", "is", "it", "lt",
    "lv", "mt", "nl", "no", "pl", "pt", "ro", "sk", "sl", "sv",
];

/// The built-in releases: the files of `catalogue/releases`.
pub const RELEASES: &[&str] = &["r6", "r8"];

impl Server {
    /// The base of every IRI and link, without a final slash.
    #[must_use]
    pub fn base(&self) -> String {
        if self.public_url.is_empty() {
            format!("http://{}", self.listen)
        } else {
            self.public_url.trim_end_matches('/').to_owned()
        }
    }
}

impl Config {
    /// Reads the file, puts the environment on top, checks the whole.
    ///
    /// # Errors
    /// [`Error::Configuration`] with file, line, key and remedy.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let mut text = String::new();
        let mut tree = match file {
            None => toml::Table::new(),
            Some(path) => {
                text = std::fs::read_to_string(path).map_err(|failure| {
                    Error::Configuration(format!(
                        "{}: cannot be read ({failure}); give the path of a TOML file",
                        path.display()
                    ))
                })?;
                // The file alone first, so that a message carries its line.
                toml::from_str::<Self>(&text).map_err(|failure| {
                    Error::Configuration(format!(
                        "{}: {}; see vesalius.example.toml for every key",
                        path.display(),
                        failure.to_string().trim()
                    ))
                })?;
                toml::from_str(&text).unwrap_or_default()
            }
        };
        let set = overlay(&mut tree, environment)?;
        let config: Self =
            toml::Value::Table(tree).try_into().map_err(|failure: toml::de::Error| {
                Error::Configuration(format!("environment: {}", failure.to_string().trim()))
            })?;
        let Some(fault) = config.fault() else { return Ok(config) };
        let variable = set.iter().find(|(path, _)| path == fault.key);
        let place = match (variable, file) {
            (Some((_, name)), _) => format!("environment variable `{name}`: "),
            (None, Some(file)) => match line_of(&text, fault.key) {
                Some(line) => format!("{}: line {line}: ", file.display()),
                None => format!("{}: ", file.display()),
            },
            (None, None) => String::new(),
        };
        Err(Error::Configuration(format!("{place}{fault}")))
    }

    /// Every rule that the type of a key cannot tell.
    ///
    /// # Errors
    /// [`Error::Configuration`] that names the key and the remedy.
    pub fn check(&self) -> Result<()> {
        match self.fault() {
            None => Ok(()),
            Some(fault) => Err(Error::Configuration(fault.to_string())),
        }
    }

    /// The folder with the steward's descriptions.
    #[must_use]
    pub fn descriptions(&self, data: &Path) -> PathBuf {
        if self.catalogue.descriptions.is_empty() {
            data.join("descriptions")
        } else {
            PathBuf::from(&self.catalogue.descriptions)
        }
    }

    /// Every key by its path, with its default: what the example file must hold.
    #[must_use]
    pub fn keys() -> Vec<(String, toml::Value)> {
        let tree = toml::Value::try_from(Self::default()).unwrap_or(toml::Value::Boolean(false));
        let mut keys = Vec::new();
        collect("", &tree, &mut keys);
        keys
    }
}

fn collect(path: &str, value: &toml::Value, keys: &mut Vec<(String, toml::Value)>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(&path, value, keys);
            }
        }
        other => keys.push((path.to_owned(), other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use std::io::Write as _;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::load(Some(file.path()), environment).map_err(|e| e.to_string())
    }

    #[test]
    fn the_environment_stands_above_the_file() {
        let config = load(
            "[archive]\ntime_zone = \"Europe/Athens\"\n",
            &[
                ("VESALIUS_ARCHIVE_TIME_ZONE", "Europe/Prague"),
                ("VESALIUS_DISCLOSURE_THRESHOLD", "5"),
            ],
        )
        .unwrap();
        assert_eq!(config.archive.time_zone, "Europe/Prague");
        assert_eq!(config.disclosure.threshold, 5);
    }

    #[test]
    fn wrong_settings_are_refused_with_place_and_remedy() {
        for (text, environment, expected) in [
            ("[archive]\nzone = \"x\"\n", None, "line 2"),
            ("[archive]\ntime_zone = \"Mars/Base\"\n", None, "line 2: `archive.time_zone`"),
            ("[disclosure]\nthreshold = 1\n", None, "line 2: `disclosure.threshold`"),
            ("[server]\npublic_url = \"ftp://x\"\n", None, "line 2: `server.public_url`"),
            ("\ncatalogue.page_size = 1000\n", None, "line 2: `catalogue.page_size`"),
            ("\nsparql = { seconds = 0 }\n", None, "line 2: `sparql.seconds`"),
            ("[sparql]\nrows = 0\n", None, "line 2: `sparql.rows`"),
            ("[sparql]\n\nmemory_mib = 64\n", None, "line 3: `sparql.memory_mib`"),
            ("[server]\nworkers = 1000\n", None, "line 2: `server.workers`"),
            ("[ingest]\nworkers = 257\n", None, "line 2: `ingest.workers`"),
            ("[ingest]\nworker_cpu_seconds = 0\n", None, "line 2: `ingest.worker_cpu_seconds`"),
            ("[ingest]\ndicomweb_concurrency = 0\n", None, "`ingest.dicomweb_concurrency`: 0"),
            ("[ingest]\ndicomweb_attempts = 0\n", None, "`ingest.dicomweb_attempts`: 0"),
            ("[disclosure]\nrelease_days = 0\n", None, "line 2: `disclosure.release_days`"),
            ("[catalogue]\nlanguage = \"english\"\n", None, "line 2: `catalogue.language`"),
            ("[catalogue]\nlanguage = \"xx\"\n", None, "write one of bg, cs"),
            ("[catalogue]\nrelease = \"../r8\"\n", None, "line 2: `catalogue.release`"),
            ("[catalogue]\nrelease = \"r99\"\n", None, "line 2: `catalogue.release`"),
            ("[overrides]\nmappings = \"/nowhere\"\n", None, "line 2: `overrides.mappings`"),
            ("[overrides]\ncatalogue = \"/nowhere\"\n", None, "line 2: `overrides.catalogue`"),
            (
                "[archive.identifiers]\naccession = \"not a URI\"\n",
                None,
                "line 2: `archive.identifiers.accession`",
            ),
            (
                "[[archive.identifiers.patient_issuers]]\nissuer = \"x\"\nsystem = \"a b\"\n",
                None,
                "line 1: `archive.identifiers.patient_issuers`",
            ),
            ("[server]\npublic_url = \"https://a.b/?x=1\"\n", None, "line 2: `server.public_url`"),
            ("[server]\npublic_url = \"https://a.b/#f\"\n", None, "a query or a fragment"),
            ("[server]\npublic_url = \"https://u:p@a.b/\"\n", None, "name or password in it"),
            ("[server]\npublic_url = \"https://a.b:99999/\"\n", None, "names no host"),
            ("[archive]\nviewer_url = \"https://v.b/\"\n", None, "the same for every study"),
            (
                "[archive.identifiers]\npatient = \"urn:x:1\"\naccession = \"urn:x:1\"\n",
                None,
                "line 3: `archive.identifiers.accession`",
            ),
            (
                "[[archive.identifiers.patient_issuers]]\nissuer = \"x\"\nsystem = \"urn:a:1\"\n\
                 [[archive.identifiers.patient_issuers]]\nissuer = \"x\"\nsystem = \"urn:a:2\"\n",
                None,
                "`x` has two systems",
            ),
            ("", Some(("VESALIUS_ARCHVE_NAME", "x")), "VESALIUS_ARCHVE_NAME"),
            ("", Some(("VESALIUS_INGEST_BATCH", "many")), "VESALIUS_INGEST_BATCH"),
            ("", Some(("VESALIUS_INGEST_BATCH", "-1")), "variable `VESALIUS_INGEST_BATCH`: `-1`"),
            ("", Some(("VESALIUS_ARCHIVE_IDENTITY", "x")), "variable `VESALIUS_ARCHIVE_IDENTITY`"),
            (
                "[sparql]\nseconds = 5\n",
                Some(("VESALIUS_SPARQL_SECONDS", "0")),
                "environment variable `VESALIUS_SPARQL_SECONDS`: `sparql.seconds`: 0",
            ),
        ] {
            let environment: Vec<_> = environment.into_iter().collect();
            let message = load(text, &environment).unwrap_err();
            assert!(message.contains(expected), "{text:?} {environment:?}: {message}");
        }
    }

    #[test]
    fn what_a_container_platform_sets_is_no_setting() {
        let injected = [
            ("VESALIUS_PORT", "tcp://10.0.0.1:8080"),
            ("VESALIUS_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("VESALIUS_SERVICE_HOST", "10.0.0.1"),
            ("VESALIUS_SERVICE_PORT_HTTP", "8080"),
        ];
        load("", &injected).unwrap();
    }

    #[test]
    fn releases_are_the_built_in_ones_and_those_of_the_overrides() {
        let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/catalogue/releases");
        let mut names: Vec<String> = std::fs::read_dir(built_in)
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, super::RELEASES);
        let own = tempfile::tempdir().unwrap();
        let text = format!(
            "[catalogue]\nrelease = \"r9\"\n[overrides]\ncatalogue = \"{}\"\n",
            own.path().display()
        );
        assert!(load(&text, &[]).unwrap_err().contains("`catalogue.release`"));
        std::fs::create_dir(own.path().join("releases")).unwrap();
        std::fs::write(own.path().join("releases/r9.toml"), "").unwrap();
        load(&text, &[]).unwrap();
    }
}
