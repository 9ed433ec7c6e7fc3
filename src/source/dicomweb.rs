//! A PACS over DICOMweb: QIDO-RS for lists, WADO-RS metadata for what is in them.
//!
//! In: a DICOMweb server (PS3.18 sections 10.4 and 10.6). Out: one [`Record`](crate::imaging::Record) for each instance
//! whose metadata the server serves, and the reason for each other one. A study that has not
//! changed by its own and its series' QIDO-RS answers is not fetched again. Absent: pixel and
//! bulk data, which are never asked for; what an attribute means (`dicom`); the store.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use reqwest::Url;
use tokio::sync::mpsc;

use crate::config;
use crate::dicom::record_from_json;
use crate::error::{Error, Result};
use crate::imaging::Uid;

use super::{Item, Journal, Quarantine, Sink, Source, Stamp};

mod client;
mod credentials;
mod parts;
mod qido;
mod split;
mod through;

use client::{Client, DataSet, Trouble};
pub use credentials::Credentials;
pub use parts::{Event, NotMultipart, Parts};
pub use through::{Answer, Asked, DataSets, NoAnswer, Through};

/// Studies that fail in passing one after the other before the server counts as gone.
const GONE_AFTER: u32 = 8;

/// How a server is asked. The defaults suit a clinical PACS in use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests under way at once.
    pub concurrency: usize,
    /// Attempts for a request that fails in passing.
    pub attempts: u32,
    /// Rows of a page of QIDO-RS.
    pub page: usize,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a server may be silent.
    pub idle_timeout: Duration,
    /// How long an answer may take as a whole.
    pub longest_answer: Duration,
    /// The wait before the second attempt; it doubles with each further one.
    pub first_wait: Duration,
    /// Bytes of JSON that one instance's metadata may have.
    pub largest_data_set: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self::from(&config::Ingest::default())
    }
}

impl From<&config::Ingest> for Settings {
    fn from(ingest: &config::Ingest) -> Self {
        Self {
            concurrency: ingest.dicomweb_concurrency.clamp(1, 64),
            attempts: ingest.dicomweb_attempts.max(1),
            page: 200,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            longest_answer: Duration::from_secs(3_600),
            first_wait: Duration::from_millis(500),
            largest_data_set: 32 << 20,
        }
    }
}

/// A DICOMweb server that can be ingested.
#[derive(Debug)]
pub struct DicomWeb {
    base: Url,
    settings: Settings,
    credentials: Credentials,
}

impl DicomWeb {
    /// The server at a base address such as `https://pacs.example/dicom-web`.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the address is none, or holds a user and password.
    pub fn new(url: &str, settings: Settings, credentials: Credentials) -> Result<Self> {
        let refused = |problem: &str, remedy: &str| {
            Err(Error::Configuration(format!("the DICOMweb address {problem}; {remedy}")))
        };
        let Ok(mut base) = Url::parse(url) else {
            return refused("is no URL", "begin with `https://`");
        };
        if !base.username().is_empty() || base.password().is_some() {
            return refused(
                "holds a user or password, which the list of processes shows",
                "set VESALIUS_DICOMWEB_USER and VESALIUS_DICOMWEB_PASSWORD instead",
            );
        }
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return refused("is no web address", "begin with `https://`");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return refused("holds a query", "give the base of the service only");
        }
        let is_local = base.host_str().is_some_and(|host| {
            host == "localhost"
                || host
                    .trim_matches(['[', ']'])
                    .parse()
                    .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        });
        if credentials != Credentials::None && base.scheme() == "http" && !is_local {
            tracing::warn!("credentials are sent to the DICOMweb server without encryption");
        }
        let path = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        Ok(Self { base, settings, credentials })
    }
}

impl Source for DicomWeb {
    fn kind(&self) -> &'static str {
        "dicomweb"
    }

    fn locator(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    fn is_authoritative(&self) -> bool {
        true
    }

    fn read(&mut self, journal: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        // The requests run on a thread of their own, so that it does not matter whether the
        // caller's has a runtime; the sink stays on the caller's thread.
        let (sender, mut receiver) = mpsc::channel::<Item>(256);
        let this = &*self;
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|failure| Error::Internal(format!("no runtime: {failure}")))?;
                let run = Run::new(this, journal, sender)?;
                runtime.block_on(run.all())
            });
            let mut said = Ok(());
            while let Some(item) = receiver.blocking_recv() {
                said = sink(item);
                if said.is_err() {
                    break;
                }
            }
            drop(receiver);
            let read = reading
                .join()
                .unwrap_or_else(|_| Err(Error::Internal("the DICOMweb reader failed".to_owned())));
            said.and(read)
        })
    }
}

/// One pass over a server.
struct Run<'a> {
    base: &'a Url,
    settings: &'a Settings,
    client: Client,
    journal: &'a dyn Journal,
    sender: mpsc::Sender<Item>,
    failed_in_row: Cell<u32>,
}

/// What is known of a study after its metadata were fetched.
#[derive(Default)]
struct Fetched {
    /// Instances that were handed on, or quarantined by name.
    seen: HashSet<Uid>,
    /// Instances by series, to compare with what QIDO-RS counts.
    per_series: BTreeMap<Uid, u64>,
    records: u64,
    quarantined: u64,
    /// Parts without a name that were quarantined.
    nameless: HashSet<String>,
    /// Something failed that may not fail next time.
    is_passing: bool,
    /// Not every instance is known by name.
    is_partial: bool,
}

impl<'a> Run<'a> {
    fn new(
        source: &'a DicomWeb,
        journal: &'a dyn Journal,
        sender: mpsc::Sender<Item>,
    ) -> Result<Self> {
        let client = Client::new(&source.settings, &source.credentials)?;
        let (base, settings) = (&source.base, &source.settings);
        Ok(Self { base, settings, client, journal, sender, failed_in_row: Cell::new(0) })
    }

    async fn all(&self) -> Result<()> {
        let listed = self.studies().await.map_err(|trouble| fatal("studies", &trouble))?;
        if self.send(Item::Expected(listed.images())).await.is_err() {
            return Ok(());
        }
        for (origin, detail) in &listed.unusable {
            let reason = Quarantine {
                code: "uid-invalid".to_owned(),
                path: "StudyInstanceUID".to_owned(),
                offset: None,
                detail: detail.clone(),
            };
            let item = Item::Quarantined { origin: origin.clone(), stamp: None, reason };
            if self.send(item).await.is_err() {
                return Ok(());
            }
        }
        let mut work = stream::iter(listed.studies.iter())
            .map(|(uid, study)| self.study(uid, study))
            .buffer_unordered(self.settings.concurrency);
        while let Some(done) = work.next().await {
            match done {
                Ok(()) => {}
                Err(trouble) if trouble.is_stop() => return Ok(()),
                Err(trouble) => return Err(fatal("metadata", &trouble)),
            }
        }
        Ok(())
    }

    async fn send(&self, item: Item) -> Result<(), Trouble> {
        self.sender.send(item).await.map_err(|_| Trouble::stop())
    }

    async fn quarantine(&self, origin: String, trouble: &Trouble) -> Result<(), Trouble> {
        let reason = Quarantine {
            code: trouble.code.clone(),
            path: String::new(),
            offset: None,
            detail: trouble.detail.clone(),
        };
        self.send(Item::Quarantined { origin, stamp: None, reason }).await
    }

    /// Reads one study. An error ends the whole run.
    async fn study(&self, uid: &Uid, listed: &qido::Study) -> Result<(), Trouble> {
        let origin = format!("studies/{uid}");
        let series = match self.series(uid).await {
            Ok(series) => Some(series),
            Err(trouble) if trouble.is_fatal => return Err(trouble),
            Err(_) => None,
        };
        let stamp = listed.stamp(series.as_ref());
        if series.is_some() && self.journal.stamp(&origin) == Some(stamp) {
            let inputs = self.journal.inputs(&origin);
            return self.send(Item::Unchanged { origin, inputs }).await;
        }

        let mut fetched = Fetched::default();
        let whole = self.fetch(&origin, uid, None, &mut fetched).await;
        let whole = match whole {
            Err(trouble) if trouble.is_fatal => return Err(trouble),
            other => other,
        };
        match (&whole, &series) {
            // The server is the judge of its own count: QIDO-RS may count what is not served.
            (Ok(()), Some(series)) => self.missing(uid, series, &mut fetched).await?,
            (Ok(()), None) => {}
            (Err(trouble), Some(series)) if !series.is_empty() && !trouble.is_of_server() => {
                self.in_parts(uid, series, &mut fetched).await?;
            }
            (Err(trouble), _) => {
                // Listed, but without series: deleted since the listing, or a study that the
                // server itself cannot find (Orthanc 1.10.1: one UID under two PatientIDs).
                if !trouble.is_passing && !self.exists(uid).await? {
                    return Ok(());
                }
                if !trouble.is_passing {
                    // Settled like a file: it is asked for again when its stamp changes.
                    let reason = Quarantine {
                        code: format!("study-not-served-{}", trouble.code),
                        path: String::new(),
                        offset: None,
                        detail: format!("the study is listed but not served: {}", trouble.detail),
                    };
                    self.failed_in_row.set(0);
                    return self
                        .send(Item::Quarantined { origin, stamp: Some(stamp), reason })
                        .await;
                }
                fetched.is_passing = true;
                fetched.quarantined += 1;
                self.quarantine(origin.clone(), trouble).await?;
            }
        }

        if fetched.is_passing {
            // Not settled, so the next run asks again. What was read stays.
            if fetched.records == 0 {
                self.failed_in_row.set(self.failed_in_row.get() + 1);
            }
            if self.failed_in_row.get() >= GONE_AFTER {
                let detail = format!("{GONE_AFTER} studies in a row had no answer");
                return Err(Trouble::fatal("unreachable", detail));
            }
            return Ok(());
        }
        self.failed_in_row.set(0);
        let inputs = fetched.records + fetched.quarantined;
        let mut uids: Vec<Uid> = fetched.seen.into_iter().collect();
        uids.sort_unstable();
        // Removing what was not seen needs that everything could be seen.
        let study = (!fetched.is_partial).then(|| (uid.clone(), uids));
        self.send(Item::Settled { origin, stamp, inputs, study }).await
    }

    /// Fetches the metadata at a path and hands on what is new.
    async fn fetch(
        &self,
        path: &str,
        study: &Uid,
        series: Option<&Uid>,
        fetched: &mut Fetched,
    ) -> Result<(), Trouble> {
        let url = self.url(&format!("{path}/metadata"))?;
        self.client
            .each(&url, &mut async |number, row: Result<DataSet, Trouble>| match row {
                Ok(row) => self.instance(&row, path, study, series, number, fetched).await,
                Err(trouble) => {
                    let origin = format!("{path}/metadata#{number}");
                    fetched.is_partial = true;
                    if !fetched.nameless.insert(origin.clone()) {
                        return Ok(());
                    }
                    fetched.quarantined += 1;
                    self.quarantine(origin, &trouble).await
                }
            })
            .await
    }

    async fn instance(
        &self,
        row: &DataSet,
        path: &str,
        study: &Uid,
        series: Option<&Uid>,
        number: u64,
        fetched: &mut Fetched,
    ) -> Result<(), Trouble> {
        let (sop, of_series) = (qido::uid(row, qido::SOP), qido::uid(row, qido::SERIES));
        if sop.as_ref().is_some_and(|uid| fetched.seen.contains(uid)) {
            // Seen before the answer broke off, or served twice.
            return Ok(());
        }
        let origin = match (&of_series, &sop) {
            (Some(of_series), Some(sop)) => {
                format!("studies/{study}/series/{of_series}/instances/{sop}")
            }
            _ => format!("{path}/metadata#{number}"),
        };
        let is_of_study = qido::uid(row, qido::STUDY).is_none_or(|uid| uid == *study);
        let is_of_series = match (series, &of_series) {
            (Some(asked), Some(given)) => asked == given,
            _ => true,
        };
        let read = if is_of_study && is_of_series {
            record_from_json(row, &origin)
        } else {
            Err(Quarantine {
                code: "wrong-part".to_owned(),
                path: if is_of_study { "SeriesInstanceUID" } else { "StudyInstanceUID" }.to_owned(),
                offset: None,
                detail: "the server answered with an instance of something else".to_owned(),
            })
        };
        match read {
            Ok(record) => {
                if let Some(instance) = &record.instance {
                    fetched.seen.insert(instance.uid.clone());
                }
                *fetched.per_series.entry(record.series_uid.clone()).or_default() += 1;
                fetched.records += 1;
                self.send(Item::Record { record: Box::new(record), stamp: None }).await
            }
            Err(reason) => {
                if !fetched.nameless.insert(origin.clone()) {
                    return Ok(());
                }
                fetched.quarantined += 1;
                match sop.filter(|_| is_of_study && is_of_series) {
                    Some(sop) => {
                        if let Some(series) = of_series {
                            *fetched.per_series.entry(series).or_default() += 1;
                        }
                        fetched.seen.insert(sop);
                    }
                    None => fetched.is_partial |= is_of_study,
                }
                self.send(Item::Quarantined { origin, stamp: None, reason }).await
            }
        }
    }

    /// The study as a whole was not served: its series one by one, then their instances.
    async fn in_parts(
        &self,
        study: &Uid,
        series: &qido::SeriesList,
        fetched: &mut Fetched,
    ) -> Result<(), Trouble> {
        for uid in series.keys() {
            let path = format!("studies/{study}/series/{uid}");
            match self.fetch(&path, study, Some(uid), fetched).await {
                Ok(()) => {}
                Err(trouble) if trouble.is_fatal => return Err(trouble),
                Err(trouble) => {
                    tracing::debug!(code = %trouble.code, "series asked for by its instances");
                    self.by_instance(study, uid, &trouble, fetched).await?;
                }
            }
        }
        self.missing(study, series, fetched).await
    }

    /// Asks for what QIDO-RS counts and the metadata did not hold.
    async fn missing(
        &self,
        study: &Uid,
        series: &qido::SeriesList,
        fetched: &mut Fetched,
    ) -> Result<(), Trouble> {
        for (uid, count) in series {
            let served = fetched.per_series.get(uid).copied().unwrap_or(0);
            if count.is_some_and(|count| count > served) {
                let trouble =
                    Trouble::new("not-served", "the server lists the instance without serving it");
                self.by_instance(study, uid, &trouble, fetched).await?;
            }
        }
        Ok(())
    }

    /// The instances of a series one by one; those that have no answer are quarantined.
    async fn by_instance(
        &self,
        study: &Uid,
        series: &Uid,
        reason: &Trouble,
        fetched: &mut Fetched,
    ) -> Result<(), Trouble> {
        let path = format!("studies/{study}/series/{series}");
        let instances = match self.instances(study, series).await {
            Ok(instances) => instances,
            Err(trouble) if trouble.is_fatal => return Err(trouble),
            Err(trouble) => {
                fetched.is_partial = true;
                fetched.is_passing |= trouble.is_passing || reason.is_passing;
                fetched.quarantined += 1;
                return self.quarantine(path, reason).await;
            }
        };
        for uid in instances {
            if fetched.seen.contains(&uid) {
                continue;
            }
            let path = format!("{path}/instances/{uid}");
            let before = fetched.records + fetched.quarantined;
            let trouble = match self.fetch(&path, study, Some(series), fetched).await {
                Ok(()) if fetched.seen.contains(&uid) => continue,
                Ok(()) if fetched.records + fetched.quarantined > before => {
                    // Something else came, and is quarantined; this one exists all the same.
                    fetched.seen.insert(uid);
                    continue;
                }
                Ok(()) => reason.clone(),
                Err(trouble) if trouble.is_fatal => return Err(trouble),
                Err(trouble) => trouble,
            };
            // It exists: what an earlier run stored of it stays.
            fetched.seen.insert(uid.clone());
            *fetched.per_series.entry(series.clone()).or_default() += 1;
            fetched.is_passing |= trouble.is_passing;
            fetched.quarantined += 1;
            self.quarantine(path, &trouble).await?;
        }
        Ok(())
    }

    fn url(&self, path: &str) -> Result<Url, Trouble> {
        self.base.join(path).map_err(|_| Trouble::new("address", "no address can be built"))
    }
}

fn fatal(what: &str, trouble: &Trouble) -> Error {
    Error::Invalid(format!(
        "the DICOMweb server's {what} cannot be read: {} ({}); nothing was removed",
        trouble.detail, trouble.code
    ))
}
