//! The exports that there are: queue, limits, and the folder in which each keeps its files.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kept;
use super::order::Order;
use crate::actor::{Actor, Role};
use crate::config::Exports;
use crate::error::{Error, Result};
use crate::mapping::fhir::View;
use crate::store::create_private;

/// The file that says what a folder's job is.
const TICKET: &str = "job.json";

/// A file of an export.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Written {
    /// `output`, `deleted` or `error`: the list of the manifest that it stands in.
    pub(super) list: String,
    /// The type of its resources.
    pub(super) resource: String,
    pub(super) name: String,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// What became of a job.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum End {
    Complete {
        /// Microseconds since 1970-01-01T00:00:00Z: what changed later may be missing.
        transaction_time: i64,
        files: Vec<Written>,
        /// For secondary use: the numbers of the studies that it was made of, as a bitmap.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        visible: Vec<u8>,
    },
    Failed {
        reason: String,
    },
}

/// A job as its folder keeps it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Ticket {
    pub(super) subject: String,
    pub(super) role: Role,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(super) asked: i64,
    /// The address that was asked, for the manifest.
    pub(super) request: String,
    pub(super) order: Order,
    /// When it ended, and how.
    pub(super) end: Option<(i64, End)>,
}

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) folder: PathBuf,
    pub(super) is_cancelled: AtomicBool,
    ticket: Mutex<Ticket>,
    progress: Mutex<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    pub(super) fn ticket(&self) -> Ticket {
        lock(&self.ticket).clone()
    }

    pub(super) fn progress(&self) -> String {
        lock(&self.progress).clone()
    }

    pub(super) fn tell(&self, progress: String) {
        *lock(&self.progress) = progress;
    }

    pub(super) fn is_of(&self, actor: &Actor) -> bool {
        let ticket = lock(&self.ticket);
        ticket.subject == actor.subject && ticket.role == actor.role
    }

    fn bytes(&self) -> u64 {
        match &lock(&self.ticket).end {
            Some((_, End::Complete { files, .. })) => files.iter().map(|file| file.bytes).sum(),
            Some((_, End::Failed { .. })) | None => 0,
        }
    }

    /// Writes the ticket beside its successor, so that one of them is always whole.
    fn save(&self) -> std::io::Result<()> {
        let text = serde_json::to_vec(&*lock(&self.ticket))?;
        let beside = self.folder.join("job.new");
        let mut file = fs::File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(beside, self.folder.join(TICKET))
    }

    /// Removes its files but the ticket.
    pub(super) fn sweep(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name() != TICKET {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Why a job was not taken.
#[derive(Debug)]
pub(super) enum Busy {
    /// The actor has as many as one may have.
    TooMany(usize),
    /// The disk that exports may use is used.
    Full,
    /// The folder cannot be written.
    Broken(Error),
}

/// The exports.
#[derive(Debug)]
pub(in crate::fhir) struct Desk {
    folder: PathBuf,
    pub(super) most_bytes: u64,
    /// In microseconds.
    pub(super) lifetime: i64,
    most_jobs: usize,
    jobs: Mutex<HashMap<String, Arc<Job>>>,
    /// Told when a job is put.
    put: Condvar,
    /// Bytes of every file that is there.
    used: AtomicU64,
    /// Of those, bytes of the lines that are kept for the next export.
    kept: AtomicU64,
    /// Whether lines are kept before an export asks for them.
    keeps_ahead: bool,
    /// What lines of everything would take, as far as it is known.
    wanted: AtomicU64,
}

impl Desk {
    /// Opens the folder: what was finished is there again, what was not begins anew.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub(in crate::fhir) fn open(folder: &Path, config: &Exports) -> Result<Self> {
        let failed = |failure: std::io::Error| {
            Error::Configuration(format!(
                "the folder of exports `{}` cannot be used: {failure}",
                folder.display()
            ))
        };
        create_private(folder).map_err(failed)?;
        let mut jobs = HashMap::new();
        let mut used = 0;
        for entry in fs::read_dir(folder).map_err(failed)? {
            let folder = entry.map_err(failed)?.path();
            let id = folder.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
            if id == kept::FOLDER {
                continue;
            }
            let ticket = fs::read(folder.join(TICKET)).ok();
            let ticket = ticket.and_then(|text| serde_json::from_slice::<Ticket>(&text).ok());
            let Some(ticket) = ticket else {
                // Killed before its ticket was written, or written by another version: nobody
                // can ask for it.
                tracing::warn!(folder = %folder.display(), "removed an export without a ticket");
                let _ = fs::remove_dir_all(&folder);
                continue;
            };
            let job = Job {
                id: id.clone(),
                folder,
                is_cancelled: AtomicBool::new(false),
                ticket: Mutex::new(ticket),
                progress: Mutex::new("queued again after the server was started".to_owned()),
            };
            if lock(&job.ticket).end.is_none() {
                job.sweep();
            }
            used += job.bytes();
            jobs.insert(id, Arc::new(job));
        }
        let kept = kept::bytes(folder);
        used += kept;
        Ok(Self {
            folder: folder.to_owned(),
            put: Condvar::new(),
            kept: AtomicU64::new(kept),
            keeps_ahead: config.keep_ready,
            wanted: AtomicU64::new(0),
            most_bytes: config.most_mib.saturating_mul(1 << 20),
            lifetime: i64::from(config.lifetime_hours).saturating_mul(3_600_000_000),
            most_jobs: config.most_jobs,
            jobs: Mutex::new(jobs),
            used: AtomicU64::new(used),
        })
    }

    /// Takes a job.
    pub(super) fn put(&self, ticket: Ticket) -> std::result::Result<Arc<Job>, Busy> {
        let mut jobs = lock(&self.jobs);
        let own = jobs.values().filter(|job| {
            let known = lock(&job.ticket);
            known.end.is_none() && known.subject == ticket.subject && known.role == ticket.role
        });
        if own.count() >= self.most_jobs {
            return Err(Busy::TooMany(self.most_jobs));
        }
        if self.used.load(Ordering::Relaxed) >= self.most_bytes {
            return Err(Busy::Full);
        }
        let broken = |failure: &dyn std::fmt::Display| {
            Busy::Broken(Error::Internal(format!("an export cannot be kept: {failure}")))
        };
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|failure| broken(&failure))?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let job = Arc::new(Job {
            folder: self.folder.join(&id),
            id: id.clone(),
            is_cancelled: AtomicBool::new(false),
            ticket: Mutex::new(ticket),
            progress: Mutex::new("queued".to_owned()),
        });
        create_private(&job.folder).map_err(|failure| broken(&failure))?;
        job.save().map_err(|failure| broken(&failure))?;
        jobs.insert(id, Arc::clone(&job));
        self.put.notify_one();
        Ok(job)
    }

    /// Waits for a job, but no longer than that.
    pub(super) fn wait(&self, most: Duration) {
        let jobs = lock(&self.jobs);
        drop(self.put.wait_timeout(jobs, most));
    }

    /// Where the jobs are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The job of that id, if it is the actor's.
    pub(super) fn find(&self, id: &str, actor: &Actor) -> Option<Arc<Job>> {
        lock(&self.jobs).get(id).filter(|job| job.is_of(actor)).cloned()
    }

    /// The job that waits longest.
    pub(super) fn next(&self) -> Option<Arc<Job>> {
        let jobs = lock(&self.jobs);
        let waiting = jobs.values().filter(|job| lock(&job.ticket).end.is_none());
        waiting.min_by_key(|job| lock(&job.ticket).asked).cloned()
    }

    /// Ends a job.
    pub(super) fn end(&self, job: &Job, now: i64, end: End) {
        if matches!(end, End::Failed { .. }) {
            job.sweep();
        }
        lock(&job.ticket).end = Some((now, end));
        if let Err(failure) = job.save() {
            // It would begin anew with the next start, which is right.
            tracing::error!(%failure, "the end of an export could not be kept");
        }
    }

    /// Forgets a job and removes its files.
    pub(super) fn remove(&self, job: &Job) {
        job.is_cancelled.store(true, Ordering::Relaxed);
        if lock(&self.jobs).remove(&job.id).is_some() {
            self.release(job.bytes());
        }
        if let Err(failure) = fs::remove_dir_all(&job.folder)
            && failure.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%failure, folder = %job.folder.display(), "an export was not removed");
        }
    }

    /// Removes what is older than it may be.
    pub(super) fn expire(&self, now: i64) {
        let is_old = |job: &&Arc<Job>| match &lock(&job.ticket).end {
            Some((ended, _)) => now.saturating_sub(*ended) > self.lifetime,
            None => false,
        };
        let old: Vec<Arc<Job>> = lock(&self.jobs).values().filter(is_old).cloned().collect();
        for job in old {
            self.remove(&job);
        }
        // A nightly export finds what the one before kept.
        if !self.keeps_ahead
            && self.kept.load(Ordering::Relaxed) > 0
            && kept::used(&self.folder)
                .is_none_or(|used| now.saturating_sub(used) > 2 * self.lifetime)
        {
            self.forget_kept();
        }
    }

    /// Takes room for bytes; `false`: there is none.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.most_bytes {
            return true;
        }
        self.release(bytes);
        false
    }

    /// Gives room back.
    pub(super) fn release(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Takes room for lines that are kept; `false`: there is none.
    pub(super) fn reserve_kept(&self, bytes: u64) -> bool {
        let is_taken = self.reserve(bytes);
        if is_taken {
            self.kept.fetch_add(bytes, Ordering::Relaxed);
        }
        is_taken
    }

    /// Counts the kept lines that are on the disk: others were forgotten, or removed by
    /// `vesalius rebuild`.
    pub(super) fn count_kept(&self) {
        let there = kept::bytes(&self.folder);
        let before = self.kept.swap(there, Ordering::Relaxed);
        self.used.fetch_add(there, Ordering::Relaxed);
        self.release(before);
    }

    /// Whether lines are kept before an export asks for them.
    pub(super) fn keeps_ahead(&self) -> bool {
        self.keeps_ahead
    }

    /// Whether kept lines and so many bytes of others leave room beside them for an export of
    /// them: one that had to remove them would have to render them again.
    pub(super) fn has_room_ahead(&self, more: u64) -> bool {
        let kept = self.kept.load(Ordering::Relaxed);
        let others = self.used.load(Ordering::Relaxed).saturating_sub(kept);
        let kept = kept.saturating_add(more).max(self.wanted.load(Ordering::Relaxed));
        others.saturating_add(kept.saturating_mul(2)) <= self.most_bytes
    }

    /// Remembers what lines of everything would take.
    pub(super) fn want(&self, bytes: u64) {
        self.wanted.store(bytes, Ordering::Relaxed);
    }

    /// Tells how far lines are kept ahead.
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
    pub(super) fn tell_ahead(&self, view: View, missing: usize, is_full: bool) {
        let name = kept::name(view);
        metrics::gauge!("vesalius_export_lines_missing", "view" => name).set(missing as f64);
        metrics::gauge!("vesalius_export_lines_without_room", "view" => name).set(if is_full {
            missing as f64
        } else {
            0.0
        });
        metrics::gauge!("vesalius_export_lines_bytes")
            .set(self.kept.load(Ordering::Relaxed) as f64);
    }

    /// Whether a job waits.
    pub(super) fn is_asked(&self) -> bool {
        lock(&self.jobs).values().any(|job| lock(&job.ticket).end.is_none())
    }

    /// Removes the lines that are kept. Whether that made room.
    pub(super) fn forget_kept(&self) -> bool {
        let kept = self.kept.swap(0, Ordering::Relaxed);
        self.wanted.fetch_max(kept, Ordering::Relaxed);
        self.release(kept);
        kept::remove(&self.folder);
        kept > 0
    }
}
