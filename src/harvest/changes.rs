//! `/changes`: what became of each dataset, for those who forward it; `/ldes`: the same as an
//! event stream. Nothing is acknowledged: who asks again gets the same messages.

use super::State;
use super::doors::{Ask, Found, JSON, Refused};
use crate::catalogue::{self as rdf, Entry, Event, FRAGMENT, FeedPage};
use crate::error::{Error, Result};

/// Events on a page when the reader does not say, and at most.
const PAGE: u64 = 100;
const LARGEST: u64 = 1_000;
/// With documents, at most so many.
const LARGEST_WITH_DOCUMENTS: u64 = 100;

fn json(value: &serde_json::Value) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|failure| Error::Internal(failure.to_string()))
}

/// What changes with every event, and with every put of a document.
fn stamp(state: &State) -> Result<(Option<Event>, u64)> {
    Ok((state.shelf.last_event()?, state.shelf.state()?.change))
}

pub(super) fn feed(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let since = ask.number("since", 0)?.unwrap_or(0);
    let with_documents = match ask.parameter("include")? {
        None => false,
        Some("documents") => true,
        Some(_) => {
            return Err(Error::Parameter {
                name: "include".to_owned(),
                reason: "write `documents`, or leave it out".to_owned(),
            }
            .into());
        }
    };
    let largest = if with_documents { LARGEST_WITH_DOCUMENTS } else { LARGEST };
    let limit = ask.number("limit", 1)?.unwrap_or(PAGE).min(largest);
    let (last, change) = stamp(state)?;
    let total = last.as_ref().map_or(0, |last| last.seq);
    if since > total {
        return Err(Refused::Gone(format!(
            "the log ends at {total}: it is another one than that which {since} is of, or was \
             restored; start again at {}",
            state.writer().iri("/changes?since=0").as_str()
        )));
    }
    let (suffix, include) = (ask.suffix(), if with_documents { "&include=documents" } else { "" });
    let address =
        move |since: u64| format!("/changes{suffix}?since={since}&limit={limit}{include}");
    let form = ask.form;
    let key = format!("{} {change}", address(since));
    let first = state.writer().iri(&address(since));
    let make = move |state: &State| -> Result<FeedPage> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let events = state.shelf.events(since, most)?;
        let end = events.last().map_or(since, |event| event.seq);
        let documents = if with_documents { documents(state, &events)? } else { Vec::new() };
        Ok(FeedPage {
            address: address(since),
            next: (end < total && !events.is_empty()).then(|| address(end)),
            resume: address(end),
            events,
            total,
            documents,
        })
    };
    let answer = if form == Some(JSON) {
        Found::bytes(key, move |state| json(&state.writer().feed_json(&make(state)?)?))
    } else {
        Found::graph(key, &first, move |state| state.writer().feed(&make(state)?))
    };
    Ok(answer.modified(last.map(|last| last.time)).once())
}

/// The documents of events that are the newest of their datasets.
fn documents(state: &State, events: &[Event]) -> Result<Vec<Entry>> {
    let newest = events.iter().filter(|event| event.successor.is_none());
    let slugs: Vec<String> = newest.map(|event| event.slug.clone()).collect();
    state.shelf.entries(&slugs)
}

/// The event of the path.
fn found(state: &State, ask: &Ask) -> Result<Event> {
    let unknown = || Error::NotFound { kind: "change", id: ask.slug.chars().take(40).collect() };
    let seq = ask.slug.parse().map_err(|_| unknown())?;
    state.shelf.event(seq)?.ok_or_else(unknown)
}

pub(super) fn event(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let event = found(state, ask)?;
    let key = format!("{} {:?}", ask.path, event.successor);
    let first = state.writer().event_iri(event.seq);
    let modified = Some(event.time);
    let answer = if ask.form == Some(JSON) {
        Found::bytes(key, move |state| json(&state.writer().event_json(&event, None)?))
    } else {
        Found::graph(key, &first, move |state| Ok(state.writer().event(&event)))
    };
    Ok(answer.modified(modified))
}

/// The payload: what is forwarded with the operation and the identifier. For a delete it is the
/// tombstone.
pub(super) fn document(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let event = found(state, ask)?;
    if let Some(successor) = event.successor {
        return Err(Refused::Gone(format!(
            "a newer change of the dataset replaces this one; forward {} instead",
            state.writer().event_iri(successor).as_str()
        )));
    }
    let entry = super::documents::entry(state, &event.slug)?;
    let key = format!("{} {}", ask.path, event.hash);
    let first = state.writer().dataset_iri(&event.slug);
    let mut links = super::documents::claim(state, &entry);
    let of_event = state.writer().event_iri(event.seq);
    links.push(format!("<{}>; rel=\"describedby\"", of_event.as_str()));
    let answer = Found::graph(key, &first, move |_| rdf::parse(&entry.document));
    Ok(answer.modified(Some(event.time)).links(links))
}

pub(super) fn stream(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let last = state.shelf.last_event()?;
    let total = last.as_ref().map_or(0, |last| last.seq);
    let key = format!("{} {}", ask.path, total.div_ceil(FRAGMENT));
    let first = state.writer().iri("/ldes");
    let make = move |state: &State| {
        let mut firsts = Vec::new();
        for place in 0..total.div_ceil(FRAGMENT) {
            firsts.extend(state.shelf.event(place * FRAGMENT + 1)?);
        }
        Ok(state.writer().stream(&firsts))
    };
    Ok(Found::graph(key, &first, make))
}

pub(super) fn fragment(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let unknown = || Error::NotFound { kind: "fragment", id: ask.slug.chars().take(40).collect() };
    let number: u64 = ask.slug.parse().map_err(|_| unknown())?;
    let last = state.shelf.last_event()?.ok_or_else(unknown)?;
    if number == 0 || number > last.seq.div_ceil(FRAGMENT) {
        return Err(unknown().into());
    }
    let is_full = last.seq >= number * FRAGMENT;
    let end = if is_full { number * FRAGMENT } else { last.seq };
    let first = state.writer().iri(&ask.path);
    let answer = Found::graph(format!("{} {end}", ask.path), &first, move |state| {
        let most = usize::try_from(FRAGMENT).unwrap_or(usize::MAX);
        let mut events = state.shelf.events((number - 1) * FRAGMENT, most)?;
        events.retain(|event| event.seq <= end);
        Ok(state.writer().fragment(number, &events))
    });
    Ok(Found { is_immutable: is_full, ..answer })
}
