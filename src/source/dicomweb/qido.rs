//! QIDO-RS (PS3.18 section 10.6): what a server has.
//!
//! Nothing that a server may forget is trusted: neither that it applied a filter, nor that a
//! page is as long as was asked, nor that the list stands still between two pages.

use std::collections::{BTreeMap, HashSet};

use reqwest::Url;
use serde_json::Value;

use super::client::{DataSet, Trouble};
use super::{Run, Stamp};
use crate::imaging::Uid;

pub(super) const STUDY: &str = "0020000D";
pub(super) const SERIES: &str = "0020000E";
pub(super) const SOP: &str = "00080018";
const INSTANCES_OF_STUDY: &str = "00201208";
const INSTANCES_OF_SERIES: &str = "00201209";

/// What is asked for of a study besides what every server sends (PS3.18 table 10.6.3-3): what
/// an operator may correct in place.
const STUDY_FIELDS: &[&str] = &["00081030", "00201206", INSTANCES_OF_STUDY];
const SERIES_FIELDS: &[&str] = &["0008103E", INSTANCES_OF_SERIES];

/// Attributes that say how the server is reached or stands, not what the study is: RetrieveURL,
/// RetrieveAETitle, InstanceAvailability, SpecificCharacterSet of the answer.
const NOT_CONTENT: &[&str] = &["00081190", "00080054", "00080056", "00080005"];

/// Times that a list that moves under the reader is read again.
const PASSES: usize = 4;

/// The page that is asked of a server that takes no offset.
const LONG_PAGE: usize = 100_000;

/// The series of a study and how many instances each has, where the server tells.
pub(super) type SeriesList = BTreeMap<Uid, Option<u64>>;

/// A study as the list shows it.
#[derive(Debug, Default)]
pub(super) struct Study {
    images: u64,
    /// A digest of each of its rows: Orthanc lists a study once per PatientID.
    rows: Vec<u64>,
}

/// Everything that the list shows.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) studies: BTreeMap<Uid, Study>,
    /// Rows without a usable UID, and why.
    pub(super) unusable: Vec<(String, String)>,
}

impl Listing {
    pub(super) fn images(&self) -> u64 {
        self.studies.values().map(|study| study.images).sum()
    }

    fn add(&mut self, row: &DataSet) {
        let digest = digest(row);
        let Some(uid) = uid(row, STUDY) else {
            let origin = format!("studies#{digest:016x}");
            if !self.unusable.iter().any(|(known, _)| *known == origin) {
                let detail = "a study in the server's list has no usable UID".to_owned();
                self.unusable.push((origin, detail));
            }
            return;
        };
        let study = self.studies.entry(uid).or_default();
        if let Err(at) = study.rows.binary_search(&digest) {
            study.rows.insert(at, digest);
            study.images += integer(row, INSTANCES_OF_STUDY).unwrap_or(0);
        }
    }
}

impl Study {
    /// Changes whenever the list's row changes, or a series comes, goes, or counts differently.
    pub(super) fn stamp(&self, series: Option<&SeriesList>) -> Stamp {
        let mut digest = Fnv::default();
        for row in &self.rows {
            digest.add(&row.to_le_bytes());
        }
        let mut counted = 0;
        for (uid, count) in series.into_iter().flatten() {
            digest.add(uid.as_str().as_bytes());
            digest.add(&count.unwrap_or(u64::MAX).to_le_bytes());
            counted += count.unwrap_or(0);
        }
        digest.add(&[u8::from(series.is_some())]);
        Stamp { size: self.images.max(counted), mark: digest.0.cast_signed() }
    }
}

impl Run<'_> {
    /// The server's studies, merged by UID.
    pub(super) async fn studies(&self) -> Result<Listing, Trouble> {
        let mut listing = Listing::default();
        let url = self.query("studies", STUDY_FIELDS)?;
        self.pages(&url, STUDY, &mut |row| listing.add(row)).await?;
        // What an earlier run knew and this list does not show is asked for by name before it
        // counts as deleted: lists move, and filters of access come and go.
        for origin in self.journal.origins() {
            let Some(uid) =
                origin.strip_prefix("studies/").and_then(|u| Uid::parse_lenient(u).ok())
            else {
                continue;
            };
            if !listing.studies.contains_key(&uid) {
                for row in self.named(&uid).await? {
                    listing.add(&row);
                }
            }
        }
        Ok(listing)
    }

    /// The series of a study.
    pub(super) async fn series(&self, study: &Uid) -> Result<SeriesList, Trouble> {
        let mut series = SeriesList::new();
        let url = self.query(&format!("studies/{study}/series"), SERIES_FIELDS)?;
        self.pages(&url, SERIES, &mut |row| {
            if let Some(uid) = uid(row, SERIES)
                && self::uid(row, STUDY).is_none_or(|of| of == *study)
            {
                let count = integer(row, INSTANCES_OF_SERIES);
                let known = series.entry(uid).or_insert(count);
                *known = (*known).max(count);
            }
        })
        .await?;
        Ok(series)
    }

    /// The instances of a series.
    pub(super) async fn instances(&self, study: &Uid, series: &Uid) -> Result<Vec<Uid>, Trouble> {
        let mut instances = Vec::new();
        let mut seen = HashSet::new();
        let url = self.query(&format!("studies/{study}/series/{series}/instances"), &[])?;
        self.pages(&url, SOP, &mut |row| {
            if let Some(uid) = uid(row, SOP)
                && self::uid(row, SERIES).is_none_or(|of| of == *series)
                && seen.insert(uid.clone())
            {
                instances.push(uid);
            }
        })
        .await?;
        Ok(instances)
    }

    /// Whether the server has a study. Only the list of studies tells: the series of an unknown
    /// study are an empty list, not an error.
    pub(super) async fn exists(&self, study: &Uid) -> Result<bool, Trouble> {
        match self.named(study).await {
            Ok(rows) => Ok(!rows.is_empty()),
            Err(trouble) if trouble.is_fatal => Err(trouble),
            Err(_) => Ok(true),
        }
    }

    /// The rows of one study; others that a server sends because it ignores the filter are left
    /// out.
    async fn named(&self, study: &Uid) -> Result<Vec<DataSet>, Trouble> {
        let mut url = self.query("studies", STUDY_FIELDS)?;
        url.query_pairs_mut().append_pair("StudyInstanceUID", study.as_str());
        let rows = self.client.list(&url).await?;
        Ok(rows.into_iter().filter(|row| uid(row, STUDY).as_ref() == Some(study)).collect())
    }

    fn query(&self, path: &str, fields: &[&str]) -> Result<Url, Trouble> {
        let mut url = self.url(path)?;
        for field in fields {
            url.query_pairs_mut().append_pair("includefield", field);
        }
        Ok(url)
    }

    /// Reads a list page by page. Pages overlap by one row, so that a list that moved meanwhile
    /// shows it; then it is read again and the passes are united.
    async fn pages(
        &self,
        url: &Url,
        key: &str,
        each: &mut dyn FnMut(&DataSet),
    ) -> Result<(), Trouble> {
        for pass in 1..=PASSES {
            if self.one_pass(url, key, each).await? {
                return Ok(());
            }
            tracing::debug!(pass, "the server's list moved while it was read");
        }
        tracing::warn!("the server's list never stood still; its passes are united");
        Ok(())
    }

    async fn one_long_page(
        &self,
        url: &Url,
        each: &mut dyn FnMut(&DataSet),
    ) -> Result<(), Trouble> {
        let mut page_url = url.clone();
        page_url.query_pairs_mut().append_pair("limit", &LONG_PAGE.to_string());
        let page = self.client.list(&page_url).await?;
        if page.len() >= LONG_PAGE {
            return Err(Trouble::new(
                "paging",
                "the server ignores `offset`, so its list cannot be read whole",
            ));
        }
        page.iter().for_each(each);
        Ok(())
    }

    /// Whether the list stood still.
    async fn one_pass(
        &self,
        url: &Url,
        key: &str,
        each: &mut dyn FnMut(&DataSet),
    ) -> Result<bool, Trouble> {
        let limit = self.settings.page.max(2);
        let mut seen: HashSet<u64> = HashSet::new();
        let mut first_page: Vec<u64> = Vec::new();
        let mut last: Option<u64> = None;
        let (mut rows_read, mut pages_without_news) = (0_usize, 0);
        let mut stood_still = true;
        loop {
            let offset = if last.is_some() { rows_read - 1 } else { 0 };
            let mut page_url = url.clone();
            page_url
                .query_pairs_mut()
                .append_pair("limit", &limit.to_string())
                .append_pair("offset", &offset.to_string());
            let page = self.client.list(&page_url).await?;
            let marks: Vec<u64> = page.iter().map(|row| mark(row, key)).collect();
            // The first row is the last of the page before.
            let overlap = match (last, marks.first()) {
                (None, None) => return Ok(stood_still),
                (None, Some(_)) => 0,
                (Some(last), Some(first)) if last == *first => 1,
                (Some(_), Some(_)) if marks == first_page => {
                    // The same rows again: the server takes no offset (or a row came in before
                    // them). One long page shows all.
                    self.one_long_page(url, each).await?;
                    return Ok(stood_still);
                }
                // The list moved by some rows.
                (Some(_), Some(_)) => {
                    stood_still = false;
                    0
                }
                (Some(_), None) => return Ok(false),
            };
            let known = seen.len();
            for (row, mark) in page.iter().zip(&marks).skip(overlap) {
                each(row);
                seen.insert(*mark);
            }
            // More than was asked for: the server takes no limit, and this is all of it. No
            // row behind the overlap: the end. A short page is no end, for servers cut pages.
            if page.len() > limit || page.len() <= overlap {
                return Ok(stood_still);
            }
            pages_without_news = if seen.len() == known { pages_without_news + 1 } else { 0 };
            if pages_without_news >= 3 {
                return Ok(false);
            }
            rows_read = offset + page.len();
            last = marks.last().copied();
            if first_page.is_empty() {
                first_page = marks;
            }
        }
    }
}

/// What tells a row from the others.
fn mark(row: &DataSet, key: &str) -> u64 {
    let mut fnv = Fnv::default();
    fnv.add(text(row, key).unwrap_or("").as_bytes());
    // Two rows of one study differ by their patient.
    fnv.add(text(row, "00100020").unwrap_or("").as_bytes());
    fnv.0
}

/// A UID in a row.
pub(super) fn uid(row: &DataSet, tag: &str) -> Option<Uid> {
    Uid::parse_lenient(text(row, tag)?).ok()
}

fn values<'a>(row: &'a DataSet, tag: &str) -> Option<&'a Vec<Value>> {
    row.get(tag)?.get("Value")?.as_array()
}

fn text<'a>(row: &'a DataSet, tag: &str) -> Option<&'a str> {
    values(row, tag)?.first()?.as_str()
}

/// An IS, which is a number, or text from servers that follow an older edition.
fn integer(row: &DataSet, tag: &str) -> Option<u64> {
    let value = values(row, tag)?.first()?;
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn digest(row: &DataSet) -> u64 {
    let mut keys: Vec<&String> =
        row.keys().filter(|key| !NOT_CONTENT.contains(&key.as_str())).collect();
    keys.sort_unstable();
    let mut fnv = Fnv::default();
    for key in keys {
        if let Some(value) = row.get(key).and_then(|element| element.get("Value")) {
            fnv.add(key.as_bytes());
            fnv.add(value.to_string().as_bytes());
        }
    }
    fnv.0
}

/// FNV-1a, 64 bits: stable between runs and releases.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.0 = (self.0 ^ 0xff).wrapping_mul(0x0100_0000_01b3);
    }
}
