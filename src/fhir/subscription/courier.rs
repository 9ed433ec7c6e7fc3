//! Follows the change feed for each subscription, and carries notices to its receiver.
//!
//! A notice that was not answered with 2xx is sent again, after a while that doubles; the feed is
//! not followed past it meanwhile. What was delivered is noted behind it, so a server that dies in
//! between delivers twice rather than never.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::web::Bytes;
use reqwest::blocking::Client;
use reqwest::header::CONTENT_TYPE;

use super::wanted::Wanted;
use super::{ACTIVE, ERROR, OFF, REQUESTED, address};
use crate::actor::{Actor, Role};
use crate::error::{Error, Result};
use crate::fhir::cache::Shape;
use crate::fhir::negotiate::Format;
use crate::fhir::operation::xml_of;
use crate::fhir::outcome::Failure;
use crate::fhir::search::{Handling, Search, patients, studies};
use crate::fhir::table::Resource;
use crate::fhir::{Asking, State};
use crate::index::{Query, Sort};
use crate::mapping::fhir::{View, render_patient};
use crate::store::changes::{Change, Kind, list_changes};
use crate::store::subscriptions::{self, SubscriptionRow};
use crate::store::{read, records, reports};

/// How often the feed is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Changes that are looked at together.
const SLICE: i64 = 500;
/// Slices that one pass takes for a subscription, so that others have their turn.
const SLICES: usize = 20;
/// Receivers that are asked at once.
const AT_ONCE: usize = 8;
/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a receiver that fails is left alone, in seconds.
const LONGEST_WAIT: i64 = 300;

impl State {
    /// Serves subscriptions until told to stop.
    pub fn serve_subscriptions(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let now = jiff::Timestamp::now().as_microsecond();
            if let Err(failure) = self.deliver(now, stop) {
                tracing::warn!(%failure, "the subscriptions could not be served");
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Serves each subscription that is due, once. It asks receivers, and waits for them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn deliver(&self, now: i64, stop: &AtomicBool) -> Result<()> {
        let rows = self.store.read(subscriptions::list_subscriptions)?;
        let due: Vec<SubscriptionRow> =
            rows.into_iter().filter(|row| row.status != OFF && row.due <= now).collect();
        for some in due.chunks(AT_ONCE) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            std::thread::scope(|scope| {
                for row in some {
                    scope.spawn(move || {
                        if let Err(failure) = self.deliver_one(row, now, stop) {
                            let id = &row.id;
                            tracing::warn!(%failure, id, "a subscription could not be served");
                        }
                    });
                }
            });
        }
        Ok(())
    }

    fn deliver_one(&self, row: &SubscriptionRow, now: i64, stop: &AtomicBool) -> Result<()> {
        let mut served = Served { state: self, row: row.clone(), now };
        let actor = Actor::new(&row.subject, Role::ImagingIt);
        let Some(view) = View::of(actor.purpose(), self.context.identity()) else { return Ok(()) };
        let asking = Asking { state: self, actor: &actor, view, now };
        let body = serde_json::from_str(&row.body)
            .map_err(|_| Error::Internal("a subscription is no JSON".to_owned()))?;
        let wanted = match Wanted::read(&asking, &body) {
            Ok(wanted) => wanted,
            // The configuration has changed since; the operator may change it back.
            Err(failure) => return served.failed(failure.told()),
        };
        if wanted.end.is_some_and(|end| end <= now) {
            return served.put(OFF, Some("its end has come".to_owned())).map(drop);
        }
        let receiver = match Receiver::new(&wanted, self) {
            Ok(receiver) => receiver,
            Err(reason) => return served.failed(&reason),
        };
        if served.row.status == REQUESTED {
            if let Err(reason) = receiver.notify(None) {
                return served.failed(&reason);
            }
            if !served.put(ACTIVE, None)? {
                return Ok(());
            }
        }
        for _ in 0..SLICES {
            let seen = self.index.read().seq();
            let from = served.row.seq;
            // Only what the index knows, which is what the criteria are asked of.
            let changes: Vec<Change> = self
                .store
                .read(|db| list_changes(db, from, SLICE))?
                .into_iter()
                .filter(|change| change.seq <= seen)
                .collect();
            let Some(last) = changes.last().map(|change| change.seq) else { return Ok(()) };
            match self.notify(&asking, &wanted, &receiver, &changes, stop) {
                Ok(()) => served.row.seq = last,
                Err(Missed { before, reason }) => {
                    served.row.seq = before.max(from);
                    return match reason {
                        Some(reason) => served.failed(&reason),
                        None => {
                            let status = served.row.status.clone();
                            let error = served.row.error.clone();
                            served.put_from(from, &status, error).map(drop)
                        }
                    };
                }
            }
            if !served.put_from(from, ACTIVE, None)? {
                // The client changed it, or deleted it.
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a notice for each resource that changed and answers the criteria, in the order of
    /// the feed; one that changed several times is told of at the last.
    fn notify(
        &self,
        asking: &Asking<'_>,
        wanted: &Wanted,
        receiver: &Receiver<'_>,
        changes: &[Change],
        stop: &AtomicBool,
    ) -> std::result::Result<(), Missed> {
        let begun = changes.first().map_or(0, |change| change.seq - 1);
        let missed = |before: i64| {
            move |failure: Failure| Missed { before, reason: Some(failure.told().to_owned()) }
        };
        let found = self.changed(asking, wanted, changes).map_err(missed(begun))?;
        for (seq, changed) in found {
            if stop.load(Ordering::Relaxed) {
                return Err(Missed { before: seq - 1, reason: None });
            }
            let found = match changed {
                Changed::Row(number) => self.resource(asking, wanted.search.resource, number),
                Changed::Id(id) => self.answering(asking, wanted, id),
            };
            let Some((id, bytes)) = found.map_err(missed(seq - 1))? else { continue };
            let sent = receiver.notify(Some((wanted.search.resource, &id, &bytes)));
            sent.map_err(|reason| Missed { before: seq - 1, reason: Some(reason) })?;
        }
        Ok(())
    }

    /// What changed last at which place of the feed, of the types that the subscription is about.
    /// Rows of the archive answer the criteria; of the rest this is looked at one by one.
    fn changed(
        &self,
        asking: &Asking<'_>,
        wanted: &Wanted,
        changes: &[Change],
    ) -> Result<BTreeMap<i64, Changed>, Failure> {
        let mut found = BTreeMap::new();
        for kind in wanted.kinds {
            let of_kind = changes.iter().filter(|change| change.kind == *kind);
            let last: HashMap<i64, i64> =
                of_kind.map(|change| (change.number, change.seq)).collect();
            if last.is_empty() {
                continue;
            }
            let numbers: Vec<i64> = last.keys().copied().collect();
            let some: Vec<(i64, Changed)> = match kind {
                Kind::Report => self
                    .store
                    .read(|db| reports::load_reports_by_number(db, &numbers, asking.ids()))?
                    .into_iter()
                    .map(|report| (report.number, Changed::Id(report.public_id.to_string())))
                    .collect(),
                Kind::Record => self
                    .store
                    .read(|db| records::bodies(db, &numbers))?
                    .into_iter()
                    .filter(|(head, _)| head.kind == wanted.search.resource.name())
                    .map(|(head, _)| (head.number, Changed::Id(head.id)))
                    .collect(),
                Kind::Patient | Kind::Study => self
                    .matching(asking, wanted, numbers)?
                    .into_iter()
                    .map(|number| (number, Changed::Row(number)))
                    .collect(),
                Kind::Dataset | Kind::Finding => Vec::new(),
            };
            let place = |(number, changed)| Some((*last.get(&number)?, changed));
            found.extend(some.into_iter().filter_map(place));
        }
        Ok(found)
    }

    /// The resource of an id, if it answers the criteria.
    fn answering(
        &self,
        asking: &Asking<'_>,
        wanted: &Wanted,
        id: String,
    ) -> Result<Option<(String, Bytes)>, Failure> {
        let mut parameters = wanted.parameters.clone();
        parameters.push(("_id".to_owned(), id.clone()));
        let search = Search::parse(asking, wanted.search.resource, parameters, Handling::Strict)?;
        let page = self.page(asking, &search)?;
        Ok(page.matches.into_iter().next().map(|entry| (id, entry.bytes)))
    }

    /// Those of the numbers that answer the criteria.
    fn matching(
        &self,
        asking: &Asking<'_>,
        wanted: &Wanted,
        numbers: Vec<i64>,
    ) -> Result<Vec<i64>, Failure> {
        let mut db = self.store.reader()?;
        let criteria = &wanted.search.criteria;
        if wanted.search.resource == Resource::Patient {
            let hits = patients::search(asking, &mut db, criteria)?;
            let is_hit =
                |number: &i64| u32::try_from(*number).is_ok_and(|number| hits.contains(number));
            return Ok(numbers.into_iter().filter(is_hit).collect());
        }
        let conditions = studies::conditions(criteria);
        let query = studies::query(asking, &mut db, criteria, &conditions)?;
        let query = Query::And(vec![query, Query::Studies(numbers)]);
        let index = self.index.read();
        let hits = index.search(asking.actor, &query);
        Ok(index.page(&hits, Sort::Arrival, None, usize::MAX))
    }

    /// A resource by the store's number: its id, and its bytes.
    fn resource(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        number: i64,
    ) -> Result<Option<(String, Bytes)>, Failure> {
        let mut db = self.store.reader()?;
        if resource == Resource::Patient {
            let found = read::load_patients(&mut db, &[number], asking.ids());
            let found = found.map_err(Error::from)?.into_iter().next();
            return Ok(found.map(|patient| {
                let bytes = render_patient(&self.context, &patient, asking.view).into();
                (patient.public_id.to_string(), bytes)
            }));
        }
        let found = self.rendered(&mut db, asking, &[number], Shape::Whole)?;
        let found = found.into_iter().next();
        Ok(found.map(|study| (study.rendered.id.to_string(), study.rendered.bytes)))
    }
}

/// What changed.
enum Changed {
    /// A row of the archive, by the store's number, that answers the criteria.
    Row(i64),
    /// A resource, by its logical id, of which that is not known yet.
    Id(String),
}

/// A notice that was not taken.
struct Missed {
    /// The last change that was dealt with.
    before: i64,
    /// `None`: the server stops.
    reason: Option<String>,
}

/// A subscription while it is served.
struct Served<'a> {
    state: &'a State,
    row: SubscriptionRow,
    now: i64,
}

impl Served<'_> {
    /// Notes a failure, and when to try again.
    fn failed(&mut self, reason: &str) -> Result<()> {
        let seq = self.state.store.read(|db| subscriptions::find_subscription(db, &self.row.id))?;
        let Some(known) = seq else { return Ok(()) };
        self.row.attempts = self.row.attempts.saturating_add(1);
        let seconds = 1_i64 << self.row.attempts.clamp(0, 9);
        self.row.due = self.now.saturating_add(seconds.min(LONGEST_WAIT) * 1_000_000);
        // One that was never reached is still to be greeted.
        let status = if self.row.status == REQUESTED { REQUESTED } else { ERROR };
        self.put_from(known.seq, status, Some(reason.to_owned())).map(drop)
    }

    fn put(&mut self, status: &str, error: Option<String>) -> Result<bool> {
        self.put_from(self.row.seq, status, error)
    }

    /// Notes what has become of it; `false`: the client has changed it meanwhile.
    fn put_from(&mut self, from: i64, status: &str, error: Option<String>) -> Result<bool> {
        let was = self.row.version;
        if self.row.status != status || self.row.error != error {
            status.clone_into(&mut self.row.status);
            self.row.error = error;
            self.row.version = was.saturating_add(1);
            self.row.updated = self.now;
        }
        if self.row.error.is_none() {
            self.row.attempts = 0;
            self.row.due = 0;
        }
        let row = &self.row;
        self.state.store.write(|db| subscriptions::replace_subscription(db, row, was, from))
    }
}

/// Where notices go.
struct Receiver<'a> {
    wanted: &'a Wanted,
    client: Client,
}

impl<'a> Receiver<'a> {
    fn new(wanted: &'a Wanted, state: &State) -> std::result::Result<Self, String> {
        let sockets = address::resolve(&wanted.endpoint, &state.subscriptions)?;
        let host = wanted.endpoint.host_str().unwrap_or("");
        let client = Client::builder()
            .user_agent(concat!("vesalius/", env!("CARGO_PKG_VERSION")))
            // The sockets that were looked at, and no others: neither by name, redirect nor proxy.
            .resolve_to_addrs(host, &sockets)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(PATIENCE)
            .build()
            .map_err(|_| "there is no HTTP client".to_owned())?;
        Ok(Self { wanted, client })
    }

    /// Sends a notice: POST without a body, or with a payload the resource by PUT below the
    /// endpoint (code system subscription-channel-type, `rest-hook`). `None`: a greeting, to
    /// learn whether there is anybody.
    fn notify(&self, about: Option<(Resource, &str, &Bytes)>) -> std::result::Result<(), String> {
        let request = match (about, self.wanted.payload) {
            (Some((resource, id, bytes)), Some(format)) => {
                let mut url = self.wanted.endpoint.clone();
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().push(resource.name()).push(id);
                }
                let body = match format {
                    Format::Json => bytes.to_vec(),
                    Format::Xml => xml_of(bytes).map_err(|failure| failure.told().to_owned())?,
                };
                self.client.put(url).header(CONTENT_TYPE, format.media()).body(body)
            }
            _ => self.client.post(self.wanted.endpoint.clone()),
        };
        let answer = request.headers(self.wanted.headers.clone()).send();
        let answer = answer.map_err(|failure| {
            let how = if failure.is_timeout() {
                "did not answer in time"
            } else if failure.is_connect() {
                "could not be reached"
            } else {
                "did not answer as HTTP has it"
            };
            format!("the endpoint {how}")
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("the endpoint answered with status {}", status.as_u16()))
    }
}
