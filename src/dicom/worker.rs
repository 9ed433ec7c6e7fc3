//! Reading in other processes: the program starting itself with an address-space and a CPU limit.
//!
//! In: paths. Out: an [`Outcome`] for each. A worker that dies, or gives no answer in time, costs
//! exactly the file that it was on: that one is quarantined (`worker-died`, `worker-timeout`),
//! the worker is started anew, and what it had not answered is read again.
//!
//! Both directions are frames: a length of four bytes (little endian), then that many bytes.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::codec;
use super::plan::Plan;
use super::read::{Outcome, Reader};
use crate::error::{Error, Result};
use crate::imaging::Quarantine;
use crate::mapping::attributes::AttributeTable;

/// The hidden subcommand that `main` answers with [`run_worker`].
pub const SUBCOMMAND: &str = "worker";

/// Paths of one request.
const BATCH: usize = 32;
/// Bytes of one request: two of them fit into a pipe, so neither side waits for the other.
const BATCH_BYTES: usize = 16 * 1024;
/// Requests under way, so that a worker never waits for the next.
const AHEAD: usize = 2;
/// The largest frame that either side believes.
const FRAME: usize = 8 << 20;

/// What a worker is told first.
#[derive(Debug, Deserialize, Serialize)]
struct Hello {
    memory_mib: u64,
    cpu_seconds: u64,
    /// The table of attributes, when it is not the embedded one.
    table: Option<AttributeTable>,
}

/// The worker's side: reads requests from `input` until it ends. The limits are set before the
/// first file is opened, and hold for the whole process.
///
/// # Errors
/// When the other side does not speak as it should, or a limit cannot be set.
pub fn run_worker(input: impl Read, output: impl Write) -> Result<()> {
    let mut input = BufReader::new(input);
    let mut output = BufWriter::with_capacity(64 * 1024, output);
    let Some(hello) = read_frame(&mut input).map_err(broken)? else { return Ok(()) };
    let hello: Hello = serde_json::from_slice(&hello)
        .map_err(|error| Error::Internal(format!("a worker was greeted wrongly: {error}")))?;
    let memory = hello.memory_mib.saturating_mul(1 << 20);
    limit(Resource::As, memory)?;
    limit(Resource::Data, memory)?;
    // A reader writes nothing but its answers, which go into a pipe.
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    let own;
    let plan = match &hello.table {
        None => Plan::current(),
        Some(table) => {
            own = Plan::new(table)?;
            &own
        }
    };
    let mut reader = Reader::new(plan);
    let mut answer = Vec::new();
    write_frame(&mut output, b"ready").and_then(|()| output.flush()).map_err(broken)?;
    while let Some(request) = read_frame(&mut input).map_err(broken)? {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let used = u64::try_from(used.tv_sec).unwrap_or(0);
        allow(Resource::Cpu, used.saturating_add(hello.cpu_seconds).saturating_add(1))?;
        for path in request.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
            let outcome = reader.file(Path::new(OsStr::from_bytes(path)), "");
            answer.clear();
            codec::encode(plan, &outcome, &mut answer);
            write_frame(&mut output, &answer).map_err(broken)?;
        }
        output.flush().map_err(broken)?;
    }
    Ok(())
}

fn broken(error: io::Error) -> Error {
    Error::Internal(format!("talking to the other process failed: {error}"))
}

fn limit(resource: Resource, most: u64) -> Result<()> {
    let maximum = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    set(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) })
}

/// A soft limit, which can be moved with the work.
fn allow(resource: Resource, most: u64) -> Result<()> {
    let maximum = getrlimit(resource).maximum;
    let current = Some(maximum.map_or(most, |maximum| maximum.min(most)));
    set(resource, Rlimit { current, maximum })
}

fn set(resource: Resource, limit: Rlimit) -> Result<()> {
    setrlimit(resource, limit)
        .map_err(|error| Error::Internal(format!("a limit of a worker cannot be set: {error}")))
}

fn read_frame(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
    }
    let mut frame = vec![0; length];
    input.read_exact(&mut frame)?;
    Ok(Some(frame))
}

fn write_frame(output: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len())
        .ok()
        .filter(|length| *length as usize <= FRAME)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"))?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(frame)
}

/// A file to read, with the caller's number for it.
#[derive(Clone, Debug)]
pub struct Job {
    /// What the answer is delivered under.
    pub number: usize,
    /// Where the file is.
    pub path: PathBuf,
    /// How the record names it.
    pub origin: String,
}

/// The least address space that a worker starts in.
const LEAST_MEMORY_MIB: u64 = 64;

/// Worker processes, started when they are first needed and kept between reads.
#[derive(Debug)]
pub struct Pool {
    executable: PathBuf,
    count: usize,
    memory_mib: u64,
    cpu_seconds: u64,
    plan: &'static Plan,
    idle: Mutex<Vec<Worker>>,
}

impl Pool {
    /// A pool of `count` workers (0: one per processor), each the program at `executable` started
    /// with [`SUBCOMMAND`]. The first is started at once, to fail early.
    ///
    /// # Errors
    /// When a worker cannot be started.
    pub fn start(
        executable: &Path,
        count: usize,
        memory_mib: u64,
        cpu_seconds: u64,
    ) -> Result<Self> {
        // Below this the program itself does not fit, whatever the allocator had reserved.
        if memory_mib < LEAST_MEMORY_MIB {
            return Err(Error::Configuration(format!(
                "`ingest.worker_memory_mib`: {memory_mib} is too small for a worker process; \
                 take at least {LEAST_MEMORY_MIB}"
            )));
        }
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let pool = Self {
            executable: executable.to_owned(),
            count,
            memory_mib,
            cpu_seconds,
            plan: Plan::current(),
            idle: Mutex::default(),
        };
        let first = pool.worker()?;
        locked(&pool.idle).push(first);
        Ok(pool)
    }

    /// Reads files; answers come in any order. `deliver` may say stop.
    ///
    /// # Errors
    /// What `deliver` returned, or that workers cannot be started any more.
    pub fn read(
        &self,
        jobs: impl Iterator<Item = Job> + Send,
        deliver: &mut dyn FnMut(usize, Outcome) -> Result<()>,
    ) -> Result<()> {
        let jobs = Mutex::new(jobs);
        let is_over = AtomicBool::new(false);
        let is_done = AtomicBool::new(false);
        let watch = Mutex::new(Vec::<Watched>::new());
        let (sender, receiver) = sync_channel(self.count * 4);
        std::thread::scope(|scope| {
            let _ending = Ending { is_over: &is_over, is_done: &is_done };
            let managers: Vec<_> = (0..self.count)
                .map(|_| {
                    let sender = sender.clone();
                    scope.spawn(|| {
                        let manager = Manager {
                            pool: self,
                            jobs: &jobs,
                            sender,
                            is_over: &is_over,
                            watch: &watch,
                            worker: None,
                            pending: VecDeque::new(),
                            alone: VecDeque::new(),
                            done: Vec::new(),
                        };
                        manager.run()
                    })
                })
                .collect();
            drop(sender);
            let watcher = scope.spawn(|| keep_watch(&watch, &is_done));
            let mut result = receive(&receiver, deliver);
            if result.is_err() {
                is_over.store(true, Ordering::Relaxed);
            }
            drop(receiver);
            for manager in managers {
                let ended = manager
                    .join()
                    .unwrap_or_else(|_| Err(Error::Internal("a reading thread failed".to_owned())));
                result = result.and(ended);
            }
            is_done.store(true, Ordering::Relaxed);
            watcher.thread().unpark();
            result
        })
    }

    fn worker(&self) -> Result<Worker> {
        if let Some(worker) = locked(&self.idle).pop() {
            return Ok(worker);
        }
        // Whoever ends a worker while it starts (an operator, the kernel short of memory) ends
        // that one, not the run; one that cannot start at all fails every time.
        self.new_worker().or_else(|_| self.new_worker()).or_else(|_| self.new_worker())
    }

    fn new_worker(&self) -> Result<Worker> {
        let failed = |error: io::Error| {
            Error::Internal(format!("a worker process cannot be started: {error}"))
        };
        let mut child = Command::new(&self.executable)
            .arg(SUBCOMMAND)
            // No secret of the environment is where hostile files are read; Ctrl-C reaches the
            // parent alone, which lets workers finish.
            .env_clear()
            // An allocator that reserves its arenas beforehand would defeat the limit.
            .env("MIMALLOC_ARENA_RESERVE", "16384")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Internal("a worker process has no pipes".to_owned()));
        };
        let is_embedded = self.plan.table() == AttributeTable::embedded();
        let hello = Hello {
            memory_mib: self.memory_mib,
            cpu_seconds: self.cpu_seconds,
            table: (!is_embedded).then(|| self.plan.table().clone()),
        };
        let hello = serde_json::to_vec(&hello)
            .map_err(|error| Error::Internal(format!("a greeting cannot be written: {error}")))?;
        let output = BufReader::with_capacity(64 * 1024, output);
        let mut worker = Worker {
            child: Arc::new(Mutex::new(child)),
            input: Some(input),
            output,
            is_late: Arc::default(),
        };
        let ready = match worker.input.as_mut() {
            Some(input) => write_frame(input, &hello).and_then(|()| read_frame(&mut worker.output)),
            None => Ok(None),
        };
        match ready.map_err(failed)? {
            Some(word) if word == b"ready" => Ok(worker),
            _ => Err(Error::Internal(format!(
                "a worker process ended before it was ready ({}); is `ingest.worker_memory_mib` \
                 too small?",
                worker.end().detail
            ))),
        }
    }
}

fn receive(
    receiver: &Receiver<Vec<(usize, Outcome)>>,
    deliver: &mut dyn FnMut(usize, Outcome) -> Result<()>,
) -> Result<()> {
    for (number, outcome) in receiver.iter().flatten() {
        deliver(number, outcome)?;
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running worker.
#[derive(Debug)]
struct Worker {
    child: Arc<Mutex<Child>>,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    is_late: Arc<AtomicBool>,
}

struct End {
    code: &'static str,
    detail: String,
}

impl Worker {
    /// Ends the process and tells what ended it.
    fn end(&mut self) -> End {
        self.input = None;
        let mut child = locked(&self.child);
        // One that is ending keeps its own status; one that does not end is ended here.
        let patience = Instant::now() + Duration::from_secs(1);
        let ended = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
            }
        };
        let is_late = self.is_late.load(Ordering::Relaxed);
        match ended.and_then(|status| status.signal()) {
            _ if is_late => End { code: "worker-timeout", detail: "no answer in time".to_owned() },
            Some(signal) if signal == Signal::XCPU.as_raw() => {
                End { code: "worker-timeout", detail: "too much processor time".to_owned() }
            }
            Some(signal) => End {
                code: "worker-died",
                detail: format!("the reading process was ended by signal {signal}"),
            },
            None => End {
                code: "worker-died",
                detail: match ended.and_then(|status| status.code()) {
                    Some(code) => format!("the reading process ended with status {code}"),
                    None => "the reading process answered what cannot be understood".to_owned(),
                },
            },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input ends a worker; one that does not notice is ended.
        let _ = self.end();
    }
}

/// Ends the threads of a read, also where it ends by a panic of who takes the answers: the scope
/// waits for them.
struct Ending<'a> {
    is_over: &'a AtomicBool,
    is_done: &'a AtomicBool,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.is_done.store(true, Ordering::Relaxed);
    }
}

/// A worker whose answer is awaited.
struct Watched {
    child: Arc<Mutex<Child>>,
    is_late: Arc<AtomicBool>,
    deadline: Instant,
}

/// Ends workers that are late: those that wait for a device, for the processor's limit ends the
/// others.
fn keep_watch(watch: &Mutex<Vec<Watched>>, is_done: &AtomicBool) {
    while !is_done.load(Ordering::Relaxed) {
        std::thread::park_timeout(Duration::from_millis(200));
        let now = Instant::now();
        for watched in locked(watch).iter().filter(|watched| watched.deadline < now) {
            watched.is_late.store(true, Ordering::Relaxed);
            let _ = locked(&watched.child).kill();
        }
    }
}

/// Feeds one worker.
struct Manager<'a, I> {
    pool: &'a Pool,
    jobs: &'a Mutex<I>,
    sender: SyncSender<Vec<(usize, Outcome)>>,
    is_over: &'a AtomicBool,
    watch: &'a Mutex<Vec<Watched>>,
    worker: Option<Worker>,
    /// Requests that were sent, with what is not answered of them.
    pending: VecDeque<VecDeque<Job>>,
    /// What a worker that died had not answered: each is sent alone, so that the next death
    /// tells which one it was.
    alone: VecDeque<Job>,
    /// Answers of the request at the front that are not handed on.
    done: Vec<(usize, Outcome)>,
}

impl<I: Iterator<Item = Job>> Manager<'_, I> {
    fn run(mut self) -> Result<()> {
        loop {
            if self.is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            let is_sent = self.send()?;
            if is_sent && self.pending.is_empty() {
                if let Some(worker) = self.worker.take() {
                    locked(&self.pool.idle).push(worker);
                }
                return Ok(());
            }
            let answer = if is_sent { self.answer() } else { None };
            let Some(outcome) = answer else {
                if !self.bury() {
                    return Ok(());
                }
                continue;
            };
            let Some(batch) = self.pending.front_mut() else { continue };
            if let Some(job) = batch.pop_front() {
                self.done.push((job.number, outcome));
            }
            if batch.is_empty() {
                self.pending.pop_front();
                if !self.hand_on() {
                    return Ok(());
                }
            }
        }
    }

    /// `false` when nobody listens any more.
    fn hand_on(&mut self) -> bool {
        self.done.is_empty() || self.sender.send(std::mem::take(&mut self.done)).is_ok()
    }

    /// Sends requests ahead; `false` when the worker does not take them.
    fn send(&mut self) -> Result<bool> {
        while self.pending.len() < AHEAD {
            let mut batch = VecDeque::new();
            let is_alone = !self.alone.is_empty();
            if is_alone {
                if !self.pending.is_empty() {
                    break;
                }
                batch.extend(self.alone.pop_front());
            } else {
                let mut jobs = locked(self.jobs);
                let mut bytes = 0;
                while batch.len() < BATCH && bytes < BATCH_BYTES {
                    let Some(job) = jobs.next() else { break };
                    bytes += job.path.as_os_str().len() + 1;
                    batch.push_back(job);
                }
            }
            if batch.is_empty() {
                break;
            }
            let request = batch
                .iter()
                .map(|job| job.path.as_os_str().as_bytes())
                .collect::<Vec<_>>()
                .join(&0);
            self.pending.push_back(batch);
            if self.worker.is_none() {
                self.worker = Some(self.pool.worker()?);
            }
            let sent = self.worker.as_mut().and_then(|worker| worker.input.as_mut());
            if sent.is_none_or(|input| write_frame(input, &request).is_err()) {
                return Ok(false);
            }
            if is_alone {
                break;
            }
        }
        Ok(true)
    }

    /// Waits for the next answer.
    fn answer(&mut self) -> Option<Outcome> {
        let worker = self.worker.as_mut()?;
        let origin = &self.pending.front()?.front()?.origin;
        // Twice the processor's time and some more, for slow devices.
        let wait = Duration::from_secs(self.pool.cpu_seconds.saturating_mul(2) + 10);
        locked(self.watch).push(Watched {
            child: Arc::clone(&worker.child),
            is_late: Arc::clone(&worker.is_late),
            deadline: Instant::now() + wait,
        });
        let frame = read_frame(&mut worker.output);
        locked(self.watch).retain(|watched| !Arc::ptr_eq(&watched.child, &worker.child));
        codec::decode(self.pool.plan, &frame.ok()??, origin)
    }

    /// The worker is gone: the one file that it was alone with is quarantined, others are tried
    /// again, each alone. `false` when nobody listens any more.
    fn bury(&mut self) -> bool {
        let Some(mut worker) = self.worker.take() else { return true };
        let end = worker.end();
        let mut jobs: VecDeque<Job> = self.pending.drain(..).flatten().collect();
        if jobs.len() > 1 {
            // They come before what waits already.
            jobs.append(&mut self.alone);
            self.alone = jobs;
            return self.hand_on();
        }
        let Some(job) = jobs.pop_front() else { return self.hand_on() };
        let reason = Quarantine {
            code: end.code.to_owned(),
            path: String::new(),
            offset: None,
            detail: end.detail,
        };
        self.done.push((job.number, Outcome::Quarantined(reason)));
        self.hand_on()
    }
}
