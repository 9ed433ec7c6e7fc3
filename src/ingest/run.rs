//! One run over one source: journal, batches, accounting.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::imaging::Uid;
use crate::ingest::merge::{Arrival, Batch, Earlier, Merged};
use crate::mapping::Context;
use crate::source::{Item, Journal, Quarantine, Source, Stamp};
use crate::store::findings::{list_findings, remove_findings_of_kind};
use crate::store::journal::{self, InputRow, InputState};
use crate::store::{Db, Store};

/// What a run needs besides its source.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Name of the source, for people and for selections; empty: its locator.
    pub name: String,
    /// Zone and identifier systems.
    pub context: Context,
    /// The key of logical ids.
    pub pseudonym_key: Vec<u8>,
    /// Records in one transaction.
    pub batch: usize,
    /// Remove what the source no longer has even when it may just be unreachable.
    pub prune: bool,
}

/// What became of the inputs: always `seen = ingested + unchanged + quarantined + not_dicom`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Files {
    /// Files, rows or instances that the source listed.
    pub seen: u64,
    /// Read and stored, or known already with the same content.
    pub ingested: u64,
    /// Not opened, because their stamp is the journal's.
    pub unchanged: u64,
    /// Not usable; the journal says why.
    pub quarantined: u64,
    /// No DICOM.
    pub not_dicom: u64,
}

/// The end of a run.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Summary {
    /// What became of the inputs.
    pub files: Files,
    /// Inputs that were read because they changed since an earlier run.
    pub changed: u64,
    /// Inputs of earlier runs that are no longer there.
    pub vanished: u64,
    /// Those of them whose content an authoritative source would have removed, and that are kept
    /// because they are too many for one run.
    #[serde(default)]
    pub kept_vanished: u64,
    /// Patients in the store.
    pub patients: i64,
    /// Studies in the store.
    pub studies: i64,
    /// Series in the store.
    pub series: i64,
    /// Instances in the store.
    pub images: i64,
    /// Inputs of the source that are in quarantine now, by this run or an earlier one.
    #[serde(default)]
    pub still_quarantined: i64,
    /// Findings that this run added.
    pub findings: u64,
    /// Studies that this run changed.
    pub studies_changed: u64,
    /// How long it took.
    pub seconds: f64,
    /// The store's number of the source.
    #[serde(default)]
    pub source: i64,
    /// The number of the run.
    #[serde(default)]
    pub run: i64,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// What became of the inputs so far.
    pub files: Files,
    /// Findings so far.
    pub findings: u64,
    /// How many inputs there are, once known.
    pub expected: Option<u64>,
    /// Whether what is counted so far is stored durably.
    pub is_stored: bool,
}

/// The journal of a source as one run needs it: in memory, by a hash of the origin.
struct Known {
    inputs: HashMap<u64, (Stamp, i16, u64)>,
    /// The origins themselves, for a source that asks for inputs by name.
    origins: Vec<String>,
}

fn origin_key(origin: &str) -> u64 {
    crate::imaging::uid_hash(origin).cast_unsigned()
}

impl Journal for Known {
    fn stamp(&self, origin: &str) -> Option<Stamp> {
        let (stamp, state, _) = self.inputs.get(&origin_key(origin))?;
        (*state != InputState::Retry.code() && *state != InputState::Vanished.code())
            .then_some(*stamp)
    }

    fn inputs(&self, origin: &str) -> u64 {
        self.inputs.get(&origin_key(origin)).map_or(0, |known| known.2)
    }

    fn origins(&self) -> Vec<String> {
        self.origins.clone()
    }
}

/// What an input is a part of: of `studies/1.2/series/1.3` the series' study, of `a.csv/row 7`
/// the table. Only a settled input is asked for, so a folder's subfolders do no harm.
fn ancestors(origin: &str) -> impl Iterator<Item = &str> {
    origin.match_indices('/').filter_map(|(at, _)| origin.get(..at))
}

/// How much of its known inputs an authoritative source may lose in one run: ten, or a tenth. More
/// is likelier an empty answer than a day's work, and waits for `--prune`.
const fn may_lose(known: u64) -> u64 {
    if known / 10 > 10 { known / 10 } else { 10 }
}

/// How long a small batch waits for more before it is stored.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reads a source into the store.
///
/// `stop` ends the run after the batch under way; what is stored stays. `clock` gives
/// microseconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// When the source as a whole cannot be read or the store fails. What was stored stays.
pub fn ingest(
    store: &Store,
    source: &mut dyn Source,
    how: &Ingest,
    clock: &(dyn Fn() -> i64 + Sync),
    stop: &AtomicBool,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Summary> {
    let began = Instant::now();
    let (kind, locator) = (source.kind(), source.locator());
    let is_authoritative = source.is_authoritative();
    let row = store.write(|db| journal::put_source(db, kind, &locator, &how.name))?;
    // Two runs of one source would each take the other's work for a repetition.
    let _lease = store.lease(row.number)?;
    settle_zone(store, &how.context)?;
    let mut known = Known { inputs: HashMap::new(), origins: Vec::new() };
    let asks_by_name = kind == "dicomweb";
    store.read(|db| {
        journal::scan_inputs(db, row.number, |(origin, size, mark, state, inputs)| {
            let stamp = Stamp { size: size.cast_unsigned(), mark };
            known.inputs.insert(origin_key(&origin), (stamp, state, inputs.unsigned_abs()));
            if asks_by_name && state != InputState::Vanished.code() {
                known.origins.push(origin);
            }
        })
    })?;
    let run = store.write(|db| journal::put_run(db, row.number, clock()))?;
    let mut writer = Writer {
        store,
        how,
        called: row.name.clone(),
        source: row.number,
        run,
        clock,
        known: &known,
        seen: HashSet::new(),
        unchanged: HashSet::new(),
        unseen: HashSet::new(),
        progress: Progress::default(),
        summary: Summary::default(),
    };

    let (sender, receiver) = sync_channel::<Vec<Item>>(64);
    let outcome = std::thread::scope(|scope| {
        let known = &known;
        let reading = scope.spawn(move || {
            let mut outbox =
                Outbox { sender, items: Vec::with_capacity(OUTBOX), since: Instant::now() };
            let read = source.read(known, &mut |item| {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::Invalid("stopped".to_owned()));
                }
                outbox.put(item)
            });
            outbox.flush()?;
            read
        });
        let wrote = writer.drain(&receiver, progress);
        drop(receiver);
        let read = reading
            .join()
            .unwrap_or_else(|_| Err(Error::Internal("the source's thread panicked".to_owned())));
        wrote.and(read)
    });

    let is_stopped = stop.load(Ordering::Relaxed);
    let outcome = outcome.and_then(|()| match is_stopped {
        true => Ok(()),
        false => writer.vanished(is_authoritative),
    });
    let mut summary = writer.summary;
    summary.files = writer.progress.files;
    let totals = store.read(crate::store::read::count_all)?;
    (summary.source, summary.run) = (row.number, run);
    let inputs = store.read(|db| journal::count_inputs(db, row.number))?;
    summary.still_quarantined = inputs
        .iter()
        .filter(|(state, _)| *state == InputState::Quarantined)
        .map(|(_, count)| count)
        .sum();
    (summary.patients, summary.studies) = (totals.patients, totals.studies);
    (summary.series, summary.images) = (totals.series, totals.images);
    summary.seconds = began.elapsed().as_secs_f64();
    let state = match (&outcome, is_stopped) {
        (_, true) => "stopped",
        (Ok(()), false) => "done",
        (Err(_), false) => "failed",
    };
    let text = serde_json::to_string(&summary).unwrap_or_default();
    store.write(|db| journal::end_run(db, run, clock(), state, &text))?;
    if summary.studies_changed > 10_000 {
        store.settle()?;
    }
    match outcome {
        Err(failure) if !is_stopped => Err(failure),
        _ => Ok(summary),
    }
}

/// Items on their way to the writer, a few hundred at a time: one message per item would cost
/// more than the item.
struct Outbox {
    sender: SyncSender<Vec<Item>>,
    items: Vec<Item>,
    since: Instant,
}

const OUTBOX: usize = 256;

impl Outbox {
    fn put(&mut self, item: Item) -> Result<()> {
        self.items.push(item);
        if self.items.len() >= OUTBOX || self.since.elapsed() > PATIENCE {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.since = Instant::now();
        if self.items.is_empty() {
            return Ok(());
        }
        let items = std::mem::replace(&mut self.items, Vec::with_capacity(OUTBOX));
        self.sender.send(items).map_err(|_| Error::Internal("the writer has stopped".to_owned()))
    }
}

struct Writer<'a> {
    store: &'a Store,
    how: &'a Ingest,
    /// The name of the source.
    called: String,
    source: i64,
    run: i64,
    clock: &'a (dyn Fn() -> i64 + Sync),
    known: &'a Known,
    seen: HashSet<u64>,
    /// Those of them that the source found unchanged.
    unchanged: HashSet<u64>,
    /// What could not be looked at this time, an unreadable folder perhaps: what is below it stands.
    unseen: HashSet<u64>,
    progress: Progress,
    summary: Summary,
}

impl Writer<'_> {
    fn drain(
        &mut self,
        receiver: &Receiver<Vec<Item>>,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<()> {
        let mut items: Vec<Item> = Vec::with_capacity(self.how.batch + OUTBOX);
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(mut more) => {
                    items.append(&mut more);
                    if items.len() < self.how.batch {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.store_batch(std::mem::take(&mut items))?;
                    progress(&self.progress);
                    return Ok(());
                }
            }
            if !items.is_empty() {
                self.store_batch(std::mem::take(&mut items))?;
                progress(&self.progress);
            }
        }
    }

    /// Stores a batch in one transaction and counts it afterwards.
    fn store_batch(&mut self, items: Vec<Item>) -> Result<()> {
        let mut batch = Sorted::default();
        for item in items {
            batch.put(item, self);
        }
        if batch.is_empty() {
            self.progress.files.seen += batch.files.unchanged;
            self.progress.files.unchanged += batch.files.unchanged;
            return Ok(());
        }
        let files = batch.files;
        let changed = batch.changed;
        let (source, run, now) = (self.source, self.run, (self.clock)());
        let how = self.how;
        let merged = self.store.write(|db| batch.apply(db, how, source, run, now))?;
        self.summary.studies_changed += merged.studies as u64;
        self.summary.findings += merged.findings;
        self.summary.changed += changed;
        self.progress.findings += merged.findings;
        let total = &mut self.progress.files;
        total.ingested += files.ingested;
        total.unchanged += files.unchanged;
        total.quarantined += files.quarantined;
        total.not_dicom += files.not_dicom;
        total.seen = total.ingested + total.unchanged + total.quarantined + total.not_dicom;
        self.progress.is_stored = true;
        Ok(())
    }

    /// What earlier runs saw and this one did not.
    fn vanished(&mut self, is_authoritative: bool) -> Result<()> {
        let prune = self.how.prune;
        let mut gone: Vec<String> = Vec::new();
        let mut mended: Vec<String> = Vec::new();
        self.store.read(|db| {
            journal::scan_inputs(db, self.source, |(origin, _, _, state, _)| {
                // What vanished before and was kept goes only when it is asked for.
                let is_new = state != InputState::Vanished.code() || prune;
                if !is_new || self.seen.contains(&origin_key(&origin)) {
                    return;
                }
                // The parts of an unchanged input stand as they did. Those of an input that was
                // read again and were not reported this time are mended, not gone.
                let of = |inputs: &HashSet<u64>| {
                    ancestors(&origin).any(|origin| inputs.contains(&origin_key(origin)))
                };
                let is_unseen = of(&self.unseen) || self.unseen.contains(&origin_key(""));
                if of(&self.unchanged) || is_unseen {
                    return;
                }
                let is_part = state != InputState::Ingested.code() && of(&self.seen);
                if is_part { mended.push(origin) } else { gone.push(origin) }
            })
        })?;
        for origins in mended.chunks(500) {
            let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
            self.store.write(|db| journal::remove_inputs(db, self.source, &origins))?;
        }
        self.summary.vanished = gone.len() as u64;
        let present = |known: &&(Stamp, i16, u64)| known.1 != InputState::Vanished.code();
        let known = self.known.inputs.values().filter(present).count() as u64;
        let is_too_much = !prune && self.summary.vanished > may_lose(known);
        if is_authoritative && is_too_much {
            self.summary.kept_vanished = self.summary.vanished;
            tracing::warn!(
                vanished = self.summary.vanished,
                known,
                "the source no longer has so much of what it gave that it is kept"
            );
        }
        let remove = prune || (is_authoritative && !is_too_much);
        for origins in gone.chunks(500) {
            let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
            let (how, source, now) = (self.how, self.source, (self.clock)());
            let merged = self.store.write(|db| {
                journal::put_input_state(db, source, &origins, InputState::Vanished)?;
                if !remove {
                    return Ok(Merged::default());
                }
                let merged = remove_inputs(db, how, source, now, &origins)?;
                journal::remove_inputs(db, source, &origins)?;
                Ok(merged)
            })?;
            self.summary.studies_changed += merged.studies as u64;
        }
        Ok(())
    }
}

/// Removes from the store what vanished inputs had given: a file's instance, a served study.
fn remove_inputs(
    db: &mut Db,
    how: &Ingest,
    source: i64,
    now: i64,
    origins: &[&str],
) -> crate::store::QueryResult<Merged> {
    let rows = journal::find_inputs(db, source, origins)?;
    let mut studies: Vec<Uid> = Vec::new();
    let mut instances: Vec<Earlier> = Vec::new();
    for row in rows {
        if let (Some(series), Some(sop)) = (row.series, row.sop.clone()) {
            // Another file may still hold the same instance.
            if journal::find_inputs_of_instances(db, source, &[&sop])?.is_empty() {
                instances.push(Earlier { series, sop });
            }
        } else if let Some(uid) = row.origin.strip_prefix("studies/")
            && let Ok(uid) = Uid::parse_lenient(uid)
        {
            studies.push(uid);
        }
    }
    let of_series: Vec<i64> = instances.iter().map(|earlier| earlier.series).collect();
    let numbers = crate::store::read::studies_of_series(db, &of_series)?;
    for row in crate::store::archive::list_studies(db, &numbers)? {
        studies.extend(Uid::parse_lenient(&row.uid));
    }
    let mut batch = Batch::load(db, &how.context, &how.pseudonym_key, source, now, &[], &studies)?;
    batch.load_all_instances(db)?;
    for earlier in &instances {
        batch.remove_instance(earlier);
    }
    for row in origins.iter().filter_map(|origin| origin.strip_prefix("studies/")) {
        if let Ok(uid) = Uid::parse_lenient(row) {
            batch.retain(db, &uid, &[])?;
        }
    }
    batch.put(db)
}

/// With a configured zone no time lacks one: what earlier runs found for want of it goes.
fn settle_zone(store: &Store, context: &Context) -> Result<()> {
    const CODE: &str = "time-zone-missing";
    if context.time_zone().is_none() || store.read(|db| list_findings(db, CODE, 0, 1))?.is_empty() {
        return Ok(());
    }
    store.write(|db| remove_findings_of_kind(db, CODE)).map(drop)
}

/// A batch sorted by what is to be done with it.
#[derive(Default)]
struct Sorted {
    records: Vec<(crate::imaging::Record, Option<Stamp>)>,
    quarantined: Vec<(String, Option<Stamp>, Quarantine)>,
    settled: Vec<(String, Stamp, u64, InputState)>,
    retained: Vec<(Uid, Vec<Uid>)>,
    /// Origins of inputs that the journal holds already and that were read again.
    known: Vec<String>,
    files: Files,
    changed: u64,
}

impl Sorted {
    fn put(&mut self, item: Item, writer: &mut Writer<'_>) {
        let mut note = |origin: &str| {
            let key = origin_key(origin);
            writer.seen.insert(key);
            writer.known.inputs.contains_key(&key)
        };
        match item {
            Item::Expected(count) => {
                writer.progress.expected = Some(writer.progress.expected.unwrap_or(0) + count);
            }
            Item::Unchanged { origin, inputs } => {
                note(&origin);
                writer.unchanged.insert(origin_key(&origin));
                self.files.unchanged += inputs;
            }
            Item::NotDicom { origin, stamp } => {
                if note(&origin) {
                    self.known.push(origin.clone());
                }
                self.files.not_dicom += 1;
                self.settled.push((origin, stamp, 1, InputState::NotDicom));
            }
            Item::Quarantined { origin, stamp, reason } => {
                if note(&origin) {
                    self.known.push(origin.clone());
                }
                if stamp.is_none() {
                    writer.unseen.insert(origin_key(&origin));
                }
                self.files.quarantined += 1;
                self.quarantined.push((origin, stamp, reason));
            }
            Item::Record { mut record, stamp } => {
                writer.how.context.identify(&writer.called, &mut record);
                if stamp.is_some() && note(&record.origin) {
                    self.changed += 1;
                    self.known.push(record.origin.clone());
                }
                self.files.ingested += 1;
                self.records.push((*record, stamp));
            }
            Item::Settled { origin, stamp, inputs, study } => {
                note(&origin);
                self.settled.push((origin, stamp, inputs, InputState::Ingested));
                self.retained.extend(study);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.quarantined.is_empty() && self.settled.is_empty()
    }

    fn apply(
        self,
        db: &mut Db,
        how: &Ingest,
        source: i64,
        run: i64,
        now: i64,
    ) -> crate::store::QueryResult<Merged> {
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let mut earlier: HashMap<String, InputRow> = journal::find_inputs(db, source, &known)?
            .into_iter()
            .map(|row| (row.origin.clone(), row))
            .collect();
        let mut inputs: Vec<InputRow> = Vec::new();
        let mut stamps: Vec<Option<InputRow>> = Vec::new();
        let mut arrivals: Vec<Arrival> = Vec::new();
        let shared = shared_instances(db, source, &earlier)?;
        let is_sole = |row: &InputRow| row.sop.as_ref().is_none_or(|sop| !shared.contains(sop));
        for (record, stamp) in self.records {
            let before = earlier.remove(&record.origin);
            let mut row =
                stamp.map(|stamp| input(source, run, &record.origin, stamp, InputState::Ingested));
            if let Some(row) = &mut row {
                row.sop = record.instance.as_ref().map(|instance| instance.uid.to_string());
            }
            arrivals.push(Arrival {
                record,
                earlier: before.as_ref().and_then(was),
                is_sole: before.as_ref().is_some_and(is_sole),
                is_part: row.is_none(),
            });
            stamps.push(row);
        }
        let mut gone: Vec<Earlier> = Vec::new();
        for (origin, stamp, reason) in self.quarantined {
            gone.extend(earlier.remove(&origin).filter(|row| is_sole(row)).as_ref().and_then(was));
            let stamp = stamp.unwrap_or(Stamp { size: 0, mark: 0 });
            let mut row = input(source, run, &origin, stamp, InputState::Quarantined);
            row.code = Some(reason.code);
            row.path = Some(reason.path);
            row.place = reason.offset.and_then(|offset| i64::try_from(offset).ok());
            row.detail = Some(reason.detail);
            inputs.push(row);
        }
        for (origin, stamp, count, state) in self.settled {
            if state == InputState::NotDicom {
                gone.extend(
                    earlier.remove(&origin).filter(|row| is_sole(row)).as_ref().and_then(was),
                );
            }
            let mut row = input(source, run, &origin, stamp, state);
            row.inputs = i64::try_from(count).unwrap_or(i64::MAX);
            inputs.push(row);
        }
        let mut also: Vec<Uid> = self.retained.iter().map(|(uid, _)| uid.clone()).collect();
        let of_series: Vec<i64> = gone.iter().map(|earlier| earlier.series).collect();
        let numbers = crate::store::read::studies_of_series(db, &of_series)?;
        for row in crate::store::archive::list_studies(db, &numbers)? {
            also.extend(Uid::parse_lenient(&row.uid));
        }
        let mut batch =
            Batch::load(db, &how.context, &how.pseudonym_key, source, now, &arrivals, &also)?;
        if !gone.is_empty() {
            batch.load_all_instances(db)?;
        }
        // What a served study no longer holds goes first, so that it describes nothing any more
        // when the study's records are merged.
        for (uid, now) in &self.retained {
            batch.retain(db, uid, now)?;
        }
        for (arrival, row) in arrivals.into_iter().zip(stamps) {
            let placed = batch.merge(arrival)?;
            if let Some(mut row) = row {
                row.series = Some(placed.series);
                inputs.push(row);
            }
        }
        for earlier in &gone {
            batch.remove_instance(earlier);
        }
        for (uid, now) in &self.retained {
            batch.retain(db, uid, now)?;
        }
        let merged = batch.put(db)?;
        journal::put_inputs(db, &last_of_each(inputs))?;
        Ok(merged)
    }
}

/// The last row of each origin: what a source names twice in a batch is as it was named last.
fn last_of_each(rows: Vec<InputRow>) -> Vec<InputRow> {
    let last: HashMap<String, usize> =
        rows.iter().enumerate().map(|(at, row)| (row.origin.clone(), at)).collect();
    if last.len() == rows.len() {
        return rows;
    }
    let is_last = |at: usize, row: &InputRow| last.get(&row.origin) == Some(&at);
    rows.into_iter().enumerate().filter(|(at, row)| is_last(*at, row)).map(|(_, row)| row).collect()
}

/// Which of the instances that changed inputs gave before are given by other inputs too.
fn shared_instances(
    db: &mut Db,
    source: i64,
    earlier: &HashMap<String, InputRow>,
) -> crate::store::QueryResult<HashSet<String>> {
    let mut shared = HashSet::new();
    let mut sops: Vec<&str> = earlier.values().filter_map(|row| row.sop.as_deref()).collect();
    sops.sort_unstable();
    sops.dedup();
    for row in journal::find_inputs_of_instances(db, source, &sops)? {
        if !earlier.contains_key(&row.origin) {
            shared.extend(row.sop);
        }
    }
    Ok(shared)
}

fn was(row: &InputRow) -> Option<Earlier> {
    Some(Earlier { series: row.series?, sop: row.sop.clone()? })
}

fn input(source: i64, run: i64, origin: &str, stamp: Stamp, state: InputState) -> InputRow {
    InputRow {
        source,
        origin: origin.to_owned(),
        size: i64::try_from(stamp.size).unwrap_or(i64::MAX),
        mark: stamp.mark,
        state: state.code(),
        inputs: 1,
        series: None,
        sop: None,
        run,
        code: None,
        path: None,
        place: None,
        detail: None,
    }
}
