//! Makes the files of an export. Studies and patients come from their rows (`rows`), other types
//! from their providers page by page. Memory is bounded by a page.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use serde_json::{Value, json};

use super::ahead::{Pace, Turn};
use super::desk::{Desk, End, Job, Ticket, Written};
use super::order::{TypeOrder, instant, knows_changes};
use super::rows::one_line;
use crate::actor::{Actor, Purpose, Role};
use crate::error::Error;
use crate::fhir::outcome::{Failure, outcome};
use crate::fhir::search::Search;
use crate::fhir::subset::Subset;
use crate::fhir::table::Resource;
use crate::fhir::{Asking, State};
use crate::index::Query;
use crate::mapping::fhir::View;
use crate::store::read;

/// Resources that a provider is asked for at once.
const PAGE: usize = 200;
/// A file that is larger is not continued.
const LONGEST_FILE: u64 = 512 << 20;
/// By how much the transaction time lies before the export begins, in microseconds: a row tells
/// when its batch was made, and appears when the batch was committed. Who asks with `_since`
/// gets what lies between twice rather than never.
const MARGIN: i64 = 60_000_000;
/// How often a thread without work looks for some.
const LOOK: Duration = Duration::from_millis(500);

/// Lets a thread give way to all others.
pub(super) fn lower() {
    // Of this thread alone, as Linux has it; elsewhere it does not matter that it fails.
    let _ = rustix::process::setpriority_process(None, 10);
}

/// Why an export was not finished.
pub(super) enum Halt {
    /// It was deleted.
    Cancelled,
    /// The server stops: it begins anew with the next.
    Stopped,
    /// The resources of a type could not be had: the others are.
    Type(String),
    Failed(String),
}

impl Halt {
    /// For who makes no export.
    pub(super) fn into_error(self) -> Error {
        Error::Internal(match self {
            Self::Cancelled | Self::Stopped => "it was stopped".to_owned(),
            Self::Type(reason) | Self::Failed(reason) => reason,
        })
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.told().to_owned())
    }
}

impl From<Error> for Halt {
    fn from(failure: Error) -> Self {
        Failure::from(failure).into()
    }
}

impl From<std::io::Error> for Halt {
    fn from(failure: std::io::Error) -> Self {
        tracing::error!(%failure, "a file of an export could not be written");
        Self::Failed("the server could not write the files; its log tells why".to_owned())
    }
}

impl State {
    /// Makes exports until told to stop; the thread gives way to all others.
    pub fn work_exports(&self, stop: &AtomicBool) {
        let Some(desk) = &self.exports else { return };
        lower();
        let clock = || jiff::Timestamp::now().as_microsecond();
        let mut pace = Pace::default();
        while !stop.load(Ordering::Relaxed) {
            if self.export_next(&clock, stop) {
                continue;
            }
            let seen = self.index.read().seq();
            if desk.keeps_ahead() && pace.is_due(seen, Instant::now()) {
                match self.keep_lines(clock(), stop) {
                    Ok(Turn::Interrupted) => continue,
                    Ok(Turn::Whole | Turn::Full) => {}
                    Err(failure) => tracing::warn!(%failure, "no lines are kept for exports"),
                }
                pace.done(seen, Instant::now());
            }
            desk.wait(LOOK);
        }
    }

    /// Makes the export that waits longest, and removes what has expired. Whether there was one.
    pub fn export_next(&self, clock: &dyn Fn() -> i64, stop: &AtomicBool) -> bool {
        let Some(desk) = &self.exports else { return false };
        desk.expire(clock());
        let Some(job) = desk.next() else { return false };
        let ticket = job.ticket();
        let mut writer = Writer::new(desk, &job, stop);
        let done = self.export(&ticket, clock(), &mut writer);
        let end = match done {
            Ok((transaction_time, visible)) => {
                let files = std::mem::take(&mut writer.files);
                End::Complete { transaction_time, files, visible }
            }
            Err(halt) => {
                desk.release(writer.forget());
                match halt {
                    Halt::Stopped => return true,
                    Halt::Cancelled => {
                        desk.remove(&job);
                        return true;
                    }
                    Halt::Type(reason) | Halt::Failed(reason) => End::Failed { reason },
                }
            }
        };
        drop(writer);
        desk.end(&job, clock(), end);
        // Deleted while the last file was closed.
        if job.is_cancelled.load(Ordering::Relaxed) {
            desk.remove(&job);
        }
        true
    }

    /// The transaction time, and for secondary use the studies that it was made of.
    fn export(
        &self,
        ticket: &Ticket,
        now: i64,
        writer: &mut Writer<'_>,
    ) -> Result<(i64, Vec<u8>), Halt> {
        let actor = Actor::new(&ticket.subject, ticket.role);
        let view = View::of(actor.purpose(), self.context.identity())
            .ok_or_else(|| Halt::Failed("the role reads no patient data".to_owned()))?;
        let asking = Asking { state: self, actor: &actor, view, now };
        // Everything that was committed before is in the files.
        self.index.catch_up(&self.store)?;
        let mut visible = Vec::new();
        if actor.purpose() == Purpose::SecondaryUse {
            let seen = self.index.read().search(&actor, &Query::All);
            seen.serialize_into(&mut visible)?;
        }
        let mut missing = Vec::new();
        for of in &ticket.order.types {
            let resource = Resource::parse(&of.resource)
                .ok_or_else(|| Halt::Failed(format!("`{}` is no longer served", of.resource)))?;
            let searches = ticket.order.parsed(&asking, of)?;
            writer.begin("output", resource.name());
            match resource {
                Resource::Patient | Resource::ImagingStudy
                    if !self.table.row(resource).is_written =>
                {
                    self.export_rows(&asking, of, resource, &searches, writer)?;
                }
                _ => match self.export_pages(&asking, of, searches, ticket.order.since, writer) {
                    Err(Halt::Type(reason)) => {
                        let text = format!("{} is not whole: {reason}", resource.name());
                        missing.push(outcome("error", "incomplete", &text, None));
                    }
                    done => done?,
                },
            }
            writer.close()?;
        }
        writer.begin("error", "OperationOutcome");
        for outcome in missing {
            writer.resource(outcome.to_string().as_bytes())?;
        }
        writer.close()?;
        if let Some(since) = ticket.order.since {
            // Who sees a part of the archive is not told of what left it.
            if matches!(actor.role, Role::ImagingIt) {
                self.export_deleted(&asking, ticket, since, writer)?;
            }
        }
        Ok((now.saturating_sub(MARGIN), visible))
    }

    /// Any type, from its providers.
    fn export_pages(
        &self,
        asking: &Asking<'_>,
        of: &TypeOrder,
        searches: Vec<Search>,
        since: Option<i64>,
        writer: &mut Writer<'_>,
    ) -> Result<(), Halt> {
        // Of several filters a resource may answer more than one.
        let mut given = (searches.len() > 1).then(HashSet::new);
        for mut search in searches {
            search.control.count = PAGE;
            if !of.elements.is_empty() {
                search.control.subset = Subset::Elements(of.elements.clone());
            }
            let post = since.filter(|_| !knows_changes(asking, search.resource));
            let mut done = 0;
            loop {
                writer.look(search.resource, done, 0)?;
                let page = self.page(asking, &search);
                let page = page.map_err(|failure| Halt::Type(failure.told().to_owned()))?;
                for entry in &page.matches {
                    let is_new = given.as_mut().is_none_or(|given| given.insert(entry.id.clone()));
                    if is_new && post.is_none_or(|since| changed_after(&entry.bytes, since)) {
                        writer.resource(&entry.bytes)?;
                    }
                }
                done += page.matches.len();
                match page.next {
                    // A provider that looked as far as it may and found nothing begins there anew.
                    Some(next) if page.matches.is_empty() => {
                        let is_same = search.control.after.as_ref().is_none_or(|at| *at == next);
                        if is_same {
                            let reason = "more would have to be looked at than one search may";
                            return Err(Halt::Type(reason.to_owned()));
                        }
                        search.control.after = Some(next);
                    }
                    Some(next) => search.control.after = Some(next),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// What was deleted since: Bundles of deletions (the manifest's list `deleted`).
    fn export_deleted(
        &self,
        asking: &Asking<'_>,
        ticket: &Ticket,
        since: i64,
        writer: &mut Writer<'_>,
    ) -> Result<(), Halt> {
        writer.begin("deleted", "Bundle");
        for of in &ticket.order.types {
            let deleted = match Resource::parse(&of.resource) {
                Some(Resource::Patient) => {
                    self.store.read(|db| read::list_deleted_patients(db, since, asking.ids()))?
                }
                Some(Resource::ImagingStudy) => {
                    self.store.read(|db| read::list_deleted_studies(db, since, asking.ids()))?
                }
                _ => Vec::new(),
            };
            for ids in deleted.chunks(PAGE) {
                let entries: Vec<Value> = ids
                    .iter()
                    .map(|id| {
                        let url = format!("{}/{id}", of.resource);
                        json!({ "request": { "method": "DELETE", "url": url } })
                    })
                    .collect();
                let bundle = json!({
                    "resourceType": "Bundle", "type": "transaction", "entry": entries,
                });
                writer.resource(bundle.to_string().as_bytes())?;
            }
        }
        writer.close()
    }
}

/// Whether a resource says that it changed later, or does not say when it did.
fn changed_after(bytes: &Bytes, since: i64) -> bool {
    let resource: Value = serde_json::from_slice(bytes).unwrap_or_default();
    match resource["meta"]["lastUpdated"].as_str().map(str::parse::<jiff::Timestamp>) {
        Some(Ok(updated)) => updated.as_microsecond() > since,
        Some(Err(_)) | None => true,
    }
}

/// Writes lines into files of a type, within the bytes that exports may use.
pub(super) struct Writer<'a> {
    pub(super) desk: &'a Desk,
    job: &'a Job,
    stop: &'a AtomicBool,
    list: &'static str,
    resource: &'static str,
    part: u32,
    open: Option<(BufWriter<File>, Written)>,
    files: Vec<Written>,
    /// Of all files, as the desk knows of them.
    bytes: u64,
    /// Of those, reserved and not yet written.
    spare: u64,
}

/// Bytes that are reserved at once.
const RESERVED: u64 = 64 << 10;

impl<'a> Writer<'a> {
    fn new(desk: &'a Desk, job: &'a Job, stop: &'a AtomicBool) -> Self {
        Self {
            desk,
            job,
            stop,
            list: "output",
            resource: "",
            part: 0,
            open: None,
            files: Vec::new(),
            bytes: 0,
            spare: 0,
        }
    }

    /// What it reserved, which is not its own any more.
    fn forget(&mut self) -> u64 {
        self.spare = 0;
        std::mem::take(&mut self.bytes)
    }

    fn begin(&mut self, list: &'static str, resource: &'static str) {
        self.list = list;
        self.resource = resource;
        self.part = 0;
    }

    /// Whether to go on; says how far it is.
    pub(super) fn look(&self, resource: Resource, done: usize, of: u64) -> Result<(), Halt> {
        if self.job.is_cancelled.load(Ordering::Relaxed) {
            return Err(Halt::Cancelled);
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(Halt::Stopped);
        }
        let name = resource.name();
        self.job.tell(match of {
            0 => format!("{name}: {done} written"),
            of => format!("{name}: {done} of {of} written"),
        });
        Ok(())
    }

    /// Writes a resource as a line.
    fn resource(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        let line = one_line(bytes)?;
        self.room(line.len() as u64 + 1, 1)?.write_all(&line)?;
        if let Some((out, _)) = &mut self.open {
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Writes lines that have their ends.
    pub(super) fn lines(&mut self, lines: &[u8], count: u64) -> Result<(), Halt> {
        Ok(self.room(lines.len() as u64, count)?.write_all(lines)?)
    }

    /// Room for lines of a length, and the file that they go to.
    fn room(&mut self, length: u64, count: u64) -> Result<&mut BufWriter<File>, Halt> {
        while self.spare < length {
            let more = RESERVED.max(length);
            // What is kept for later exports gives way to this one.
            let has_room =
                self.desk.reserve(more) || (self.desk.forget_kept() && self.desk.reserve(more));
            if !has_room {
                return Err(Halt::Failed(format!(
                    "the exports of this server may hold {} MiB together, and this one does not \
                     fit: narrow it with `_type`, `_typeFilter`, `_since` or `_elements`, or \
                     delete others",
                    self.desk.most_bytes >> 20
                )));
            }
            self.bytes += more;
            self.spare += more;
        }
        let is_full = |(_, file): &(BufWriter<File>, Written)| file.bytes + length > LONGEST_FILE;
        if self.open.as_ref().is_some_and(is_full) {
            self.close()?;
        }
        let (out, file) = match &mut self.open {
            Some(open) => open,
            closed => {
                self.part += 1;
                let name = match self.list {
                    "output" => format!("{}.{}.ndjson", self.resource, self.part),
                    list => format!("{list}.{}.{}.ndjson", self.resource, self.part),
                };
                let file = File::create(self.job.folder.join(&name))?;
                closed.insert((
                    BufWriter::with_capacity(1 << 20, file),
                    Written {
                        list: self.list.to_owned(),
                        resource: self.resource.to_owned(),
                        name,
                        count: 0,
                        bytes: 0,
                    },
                ))
            }
        };
        file.count += count;
        file.bytes += length;
        self.spare -= length;
        Ok(out)
    }

    /// Ends the file: what the manifest names survives a power cut.
    fn close(&mut self) -> Result<(), Halt> {
        if let Some((out, file)) = self.open.take() {
            let out = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            out.sync_all()?;
            self.files.push(file);
        }
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // What was reserved and not used.
        self.desk.release(self.spare);
    }
}

/// For the manifest.
pub(super) fn transaction_time(micros: i64) -> String {
    instant(micros)
}
