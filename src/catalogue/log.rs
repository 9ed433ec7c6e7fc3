//! The log of what became of each dataset, as readers of the catalogue may know it: what a walk
//! over the listing holds on to, and what a national contact point forwards.
//!
//! Every event is one create, update or delete of a dataset's document (the messages of
//! HealthData@EU's dataset records, TEHDAS2 D7.3 section 7.2). Its payload is the document that
//! is served now; a former one is never handed out again, because it may be more open than the
//! newest description allows.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::description::AccessRights;
use super::emit;
use super::shelf::{Entry, State};
use crate::error::Result;

/// What happened to a dataset.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// It is new, or came back.
    Create,
    /// Its document changed.
    Update,
    /// It was withdrawn; the document is its tombstone.
    Delete,
}

impl Operation {
    /// The word of the messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// An entry of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its number: 1, 2, 3, …
    pub seq: u64,
    /// The dataset.
    pub slug: String,
    /// What happened.
    pub operation: Operation,
    /// Version of the dataset.
    pub version: String,
    /// Access right of the dataset, when it was known.
    pub access: Option<AccessRights>,
    /// When; never falls from event to event.
    pub time: Timestamp,
    /// Digest of the document's canonical form.
    pub hash: String,
    /// Bytes of the canonical form.
    pub bytes: u64,
    /// Datasets that are published after it.
    pub published: u64,
    /// The next event of the same dataset.
    pub successor: Option<u64>,
}

impl Event {
    /// The same for every time that the event is handed out: a receiver that knows it has the
    /// message already. A UUID (RFC 9562 version 8) of what makes the event this one.
    #[must_use]
    pub fn message_id(&self) -> String {
        let named = format!(
            "{} {} {} {} {}",
            self.seq,
            self.slug,
            self.operation.word(),
            self.time,
            self.hash
        );
        let hex = emit::digest(&named);
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!(
            "urn:uuid:{}-{}-8{}-a{}-{}",
            part(0, 8),
            part(8, 12),
            part(13, 16),
            part(17, 20),
            part(20, 32)
        )
    }

    /// By which a walk that began when this was the newest event goes on.
    #[must_use]
    pub fn token(&self) -> String {
        format!("{}-{}", self.seq, self.mark())
    }

    /// By which a snapshot knows the past that it was taken in.
    fn mark(&self) -> String {
        emit::digest(&self.message_id()).chars().take(12).collect()
    }
}

/// How a dataset stood at some event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The dataset.
    pub slug: String,
    /// Its newest event then.
    pub seq: u64,
    /// What that was.
    pub operation: Operation,
    /// When.
    pub time: Timestamp,
    /// Its access right.
    pub access: Option<AccessRights>,
}

/// Where events are read.
pub trait Log: Send + Sync {
    /// The newest event.
    ///
    /// # Errors
    /// When the store does not answer.
    fn last_event(&self) -> Result<Option<Event>>;
    /// An event.
    ///
    /// # Errors
    /// When the store does not answer.
    fn event(&self, seq: u64) -> Result<Option<Event>>;
    /// The newest event of a dataset.
    ///
    /// # Errors
    /// When the store does not answer.
    fn newest(&self, slug: &str) -> Result<Option<Event>>;
    /// Events after a number in order, at most so many.
    ///
    /// # Errors
    /// When the store does not answer.
    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>>;
    /// How every dataset stood after the event `seq`, by slug; those whose newest event then was
    /// at or after `since`.
    ///
    /// # Errors
    /// When the store does not answer.
    fn standing(&self, seq: u64, since: Option<Timestamp>) -> Result<Vec<Standing>>;
    /// The entries of slugs as they are now, by slug.
    ///
    /// # Errors
    /// When the store does not answer.
    fn entries(&self, slugs: &[String]) -> Result<Vec<Entry>>;
}

/// The catalogue as it stood after an event: which datasets a walk over the listing gives. What
/// it gives of each is what is served now.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The event; 0: nothing was ever published.
    pub seq: u64,
    /// When.
    pub time: Option<Timestamp>,
    /// Only what changed at or after this time, withdrawn datasets too.
    pub since: Option<Timestamp>,
    token: String,
    standing: Arc<Vec<Standing>>,
}

/// Why a walk cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lost {
    /// The token is none of ours.
    Unknown,
    /// The catalogue has changed too long ago since.
    Expired,
}

/// How long a walk may go on after the catalogue has changed.
pub const SNAPSHOT_LIFE: SignedDuration = SignedDuration::from_hours(24);

impl Snapshot {
    /// The catalogue as it stands.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn take(log: &(impl Log + ?Sized), since: Option<Timestamp>) -> Result<Self> {
        let last = log.last_event()?;
        Self::at(log, last.as_ref(), since)
    }

    /// The snapshot of a token, to go on with a walk.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn resume(
        log: &(impl Log + ?Sized),
        token: &str,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<std::result::Result<Self, Lost>> {
        let (seq, mark) = token.split_once('-').unwrap_or((token, ""));
        let Ok(seq) = seq.parse::<u64>() else { return Ok(Err(Lost::Unknown)) };
        let event = if seq == 0 { None } else { log.event(seq)? };
        let is_ours = match &event {
            Some(event) => event.mark() == mark,
            None => seq == 0 && mark.is_empty(),
        };
        if !is_ours {
            return Ok(Err(Lost::Unknown));
        }
        if Self::is_expired(log, seq, now)? {
            return Ok(Err(Lost::Expired));
        }
        Self::at(log, event.as_ref(), since).map(Ok)
    }

    /// Whether the catalogue changed after that event, too long ago.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn is_expired(log: &(impl Log + ?Sized), seq: u64, now: Timestamp) -> Result<bool> {
        let next = log.events(seq, 1)?;
        Ok(next.first().is_some_and(|next| now.duration_since(next.time) > SNAPSHOT_LIFE))
    }

    fn at(
        log: &(impl Log + ?Sized),
        event: Option<&Event>,
        since: Option<Timestamp>,
    ) -> Result<Self> {
        let seq = event.map_or(0, |event| event.seq);
        let mut standing = log.standing(seq, since)?;
        if since.is_none() {
            standing.retain(|one| one.operation != Operation::Delete);
        }
        Ok(Self {
            seq,
            time: event.map(|event| event.time),
            since,
            token: event.map_or_else(|| "0".to_owned(), Event::token),
            standing: Arc::new(standing),
        })
    }

    /// By which a walk goes on.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The datasets, by slug.
    #[must_use]
    pub fn standing(&self) -> &[Standing] {
        &self.standing
    }

    /// How many pages of a size there are; at least one.
    #[must_use]
    pub fn pages(&self, size: usize) -> usize {
        self.standing.len().div_ceil(size.max(1)).max(1)
    }

    /// The slugs of the datasets of a page, from 1, in order.
    #[must_use]
    pub fn slugs(&self, number: usize, size: usize) -> Option<Vec<String>> {
        if number == 0 || number > self.pages(size) {
            return None;
        }
        let from = (number - 1).saturating_mul(size);
        Some(self.standing.iter().skip(from).take(size).map(|one| one.slug.clone()).collect())
    }
}

/// Appends to a log in memory what a change of a dataset is to readers: as the store does.
pub(super) fn append(events: &mut Vec<Event>, before: Option<&Entry>, entry: &Entry) {
    let stood = before.map(|before| before.state);
    let is_same = before.is_some_and(|before| before.document == entry.document);
    let operation = match (stood, entry.state) {
        (_, State::Failed) => return,
        (Some(stood), state) if stood == state && is_same => return,
        (Some(State::Published), State::Published) => Operation::Update,
        (_, State::Published) => Operation::Create,
        (_, State::Withdrawn) => Operation::Delete,
    };
    let last = events.last();
    let published = last.map_or(0, |last| last.published);
    let event = Event {
        seq: last.map_or(0, |last| last.seq) + 1,
        slug: entry.slug.clone(),
        operation,
        version: entry.version.clone(),
        access: entry.description().access_rights,
        time: last.map_or(entry.modified, |last| last.time.max(entry.modified)),
        hash: emit::digest(&entry.document),
        bytes: entry.document.len() as u64,
        published: match operation {
            Operation::Create => published + 1,
            Operation::Delete if stood == Some(State::Published) => published.saturating_sub(1),
            Operation::Update | Operation::Delete => published,
        },
        successor: None,
    };
    let known = events.iter_mut().rev().find(|known| known.slug == entry.slug);
    if let Some(known) = known {
        known.successor = Some(event.seq);
    }
    events.push(event);
}

/// How datasets stood after the event `seq` of a log in memory.
pub(super) fn standing_of(events: &[Event], seq: u64, since: Option<Timestamp>) -> Vec<Standing> {
    let is_newest = |event: &&Event| {
        event.seq <= seq
            && event.successor.is_none_or(|successor| successor > seq)
            && since.is_none_or(|since| event.time >= since)
    };
    let mut standing: Vec<Standing> = events
        .iter()
        .filter(is_newest)
        .map(|event| Standing {
            slug: event.slug.clone(),
            seq: event.seq,
            operation: event.operation,
            time: event.time,
            access: event.access,
        })
        .collect();
    standing.sort_by(|a, b| a.slug.cmp(&b.slug));
    standing
}
