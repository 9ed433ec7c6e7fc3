//! `/catalog`: pages of datasets. A walk holds on to a snapshot, so that it meets each dataset of
//! it once while others are published; what it gets of each is what is served then.

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::State;
use super::doors::{Ask, Found, Refused};
use crate::catalogue::{Format, Lost, Page, Snapshot};
use crate::error::{Error, Result};

/// Snapshots that are kept: walks under way at once that need not read the log anew.
pub(super) const KEPT: usize = 4;

impl State {
    /// The catalogue as it stands, or as it stood at a token.
    pub(super) fn snapshot(
        &self,
        token: Option<&str>,
        since: Option<Timestamp>,
        now: Timestamp,
        start: &str,
    ) -> Result<Snapshot, Refused> {
        let wanted = match token {
            Some(token) => token.to_owned(),
            None => match self.shelf.last_event()? {
                // The name of the snapshot that would be taken.
                Some(last) => last.token(),
                None => "0".to_owned(),
            },
        };
        let mut kept = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|one| one.since == since && one.token() == wanted);
        if let Some(place) = place
            && (token.is_none() || !Snapshot::is_expired(&*self.shelf, kept[place].seq, now)?)
        {
            let found = kept.remove(place);
            kept.push(found.clone());
            return Ok(found);
        }
        drop(kept);
        let taken = match Snapshot::resume(&*self.shelf, &wanted, since, now)? {
            Ok(snapshot) => snapshot,
            Err(lost) => {
                let why = match lost {
                    Lost::Unknown => "is not known here",
                    Lost::Expired => "has expired: the catalogue changed more than a day ago",
                };
                return Err(Refused::Gone(format!(
                    "the snapshot `{}` {why}; start again at {start}",
                    wanted.chars().take(40).collect::<String>()
                )));
            }
        };
        kept = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(taken.clone());
        Ok(taken)
    }
}

/// A time as clients write it: with an offset, without one (then UTC), or only a day.
pub(super) fn time(name: &'static str, text: &str) -> Result<Timestamp> {
    let utc = |civil: DateTime| civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| {
            text.parse::<Date>()
                .ok()
                .and_then(|day| utc(day.to_datetime(jiff::civil::Time::midnight())))
        })
        .ok_or_else(|| Error::Parameter {
            name: name.to_owned(),
            reason: "write a time like `2026-11-21T12:00:00Z` or a day like `2026-11-21`"
                .to_owned(),
        })
}

pub(super) fn catalog(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let number = ask.number("page", 1)?.unwrap_or(1);
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let since = ask.parameter("modified_since")?;
    let since = since.map(|text| time("modified_since", text)).transpose()?;
    let start = state.writer().iri(&format!("/catalog{}", ask.suffix()));
    let token = ask.parameter("snapshot")?;
    let snapshot = state.snapshot(token, since, ask.now, start.as_str())?;
    let size = state.config.catalogue.page_size;
    if number > snapshot.pages(size) {
        return Err(Error::NotFound { kind: "page", id: number.to_string() }.into());
    }
    let shelf = state.shelf.state()?;
    // What a page holds may be newer than the snapshot.
    let key = format!(
        "/catalog {number} {} {} {} {}",
        shelf.change,
        snapshot.token(),
        since.map(|since| since.to_string()).unwrap_or_default(),
        ask.suffix()
    );
    let suffix = ask.form.filter(|_| ask.has_suffix).and_then(|form| form.rdf);
    let page = Page { number, size, suffix };
    // A page for people asks for no bytes.
    let format = ask.form.and_then(|form| form.rdf).unwrap_or(Format::Turtle);
    let slugs: Arc<[String]> = snapshot.slugs(number, size).unwrap_or_default().into();
    let answer = Found::parts(key, move |state| {
        let body = state.page_body(format, &slugs, since.is_none())?;
        state.writer().page_parts(&snapshot, page, format, body)
    });
    let answer = answer.modified(shelf.latest);
    Ok(if since.is_some() { answer.once() } else { answer })
}
