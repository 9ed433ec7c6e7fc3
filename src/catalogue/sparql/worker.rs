//! The worker process: limits itself, loads the published graphs, answers one question after
//! another.
//!
//! In: frames on standard input, the first of which is the graphs as N-Quads. Out: two frames an
//! answer, what it is and its bytes. It dies by its own limits rather than live beyond them.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::evaluate::answer;
use super::frame::{Ask, Reply, read_frame, write_frame};
use super::merged::Graphs;

const STACK: usize = 128 << 20;
/// So much longer than the server a worker waits before it ends itself.
const MARGIN: Duration = Duration::from_secs(2);
/// How long the published graphs may take to load.
pub(super) const LOADING: Duration = Duration::from_secs(60);
/// The stack of the thread that only waits.
const SMALL_STACK: usize = 256 << 10;

/// The hidden subcommand `sparql-worker MIB SECONDS`: limits itself, reads a snapshot from
/// standard input, then answers one question after another. It ends when the input does, even in
/// the middle of a question, and when a question takes much longer than the seconds.
#[must_use]
pub fn run_sparql_worker(memory_mib: u64, seconds: u64) -> ExitCode {
    let limit = |resource, value| {
        let limit = rustix::process::Rlimit { current: Some(value), maximum: Some(value) };
        rustix::process::setrlimit(resource, limit)
    };
    let is_limited = limit(rustix::process::Resource::As, memory_mib << 20).is_ok()
        && limit(rustix::process::Resource::Core, 0).is_ok();
    if !is_limited {
        return ExitCode::from(3);
    }
    // Strangers' queries give way to care; where that is not allowed, they compete.
    let _ = rustix::process::nice(5);
    let allowed = Duration::from_secs(seconds) + MARGIN;
    let (sender, frames) = channel();
    let work = Watch::start().and_then(|watch| {
        std::thread::Builder::new().stack_size(STACK).spawn(move || {
            let _exit = Exit;
            serve(&frames, &watch, allowed)
        })
    });
    if work.is_err() {
        return ExitCode::from(3);
    }
    // The end of the input ends the process, whatever it is doing: nobody waits for the answer
    // any more.
    let mut input = std::io::stdin().lock();
    while let Ok(frame) = read_frame(&mut input) {
        if sender.send(frame).is_err() {
            return ExitCode::from(3);
        }
    }
    ExitCode::SUCCESS
}

/// Ends the process with the thread that answers, by whatever way that ends.
struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        std::process::exit(3);
    }
}

/// Ends the process when a piece of work takes too long.
#[derive(Default)]
struct Watch(Mutex<Option<Instant>>);

impl Watch {
    fn start() -> std::io::Result<Arc<Self>> {
        let watch = Arc::new(Self::default());
        let kept = Arc::clone(&watch);
        std::thread::Builder::new().stack_size(SMALL_STACK).spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(200));
                let deadline = *kept.0.lock().unwrap_or_else(PoisonError::into_inner);
                if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                    std::process::exit(3);
                }
            }
        })?;
        Ok(watch)
    }

    /// Does a piece of work that may take so long.
    fn over<T>(&self, allowed: Duration, work: impl FnOnce() -> T) -> T {
        // Should the watching thread not get a turn, the kernel ends the process.
        let _ = limit_cpu(allowed);
        let set = |deadline| {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        };
        set(Some(Instant::now() + allowed));
        let done = work();
        set(None);
        done
    }
}

/// Allows that much CPU time from now on.
fn limit_cpu(more: Duration) -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use rustix::time::{ClockId, clock_gettime};
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    let wanted = used.saturating_add(more.as_secs()).saturating_add(1);
    let maximum = getrlimit(Resource::Cpu).maximum;
    let current = Some(maximum.map_or(wanted, |maximum| wanted.min(maximum)));
    setrlimit(Resource::Cpu, Rlimit { current, maximum })
}

fn serve(frames: &Receiver<Vec<u8>>, watch: &Watch, allowed: Duration) -> Option<()> {
    let mut output = std::io::stdout().lock();
    let text = frames.recv().ok()?;
    let graphs = watch.over(LOADING, || {
        Graphs::of(oxttl::NQuadsParser::new().for_slice(&text).map(Result::ok))
    })?;
    drop(text);
    write_frame(&mut output, b"ready").ok()?;
    while let Ok(frame) = frames.recv() {
        let ask: Ask = serde_json::from_slice(&frame).ok()?;
        let (reply, body) = match watch.over(allowed, || answer(&graphs, &ask)) {
            Ok((media_type, is_truncated, body)) => {
                (Reply::Done { media_type, is_truncated }, body)
            }
            Err(reply) => (reply, Vec::new()),
        };
        write_frame(&mut output, &serde_json::to_vec(&reply).ok()?).ok()?;
        write_frame(&mut output, &body).ok()?;
    }
    Some(())
}
