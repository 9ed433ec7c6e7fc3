//! The server's side: worker processes that are started, asked, timed and killed.
//!
//! In: a question, the shelf. Out: the worker's answer. A worker holds the graphs of one state of
//! the catalogue; when that changed, another one is started.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use oxrdf::NamedNode;

use super::frame::{Ask, Reply, read_frame, write_frame};
use super::worker::LOADING;
use super::{Answer, Question, scan};
use crate::catalogue::graph::Draft;
use crate::catalogue::shelf::Shelf;
use crate::catalogue::{Writer, emit};
use crate::error::{Error, Result};

/// Queries that should be evaluated at once.
pub const WORKERS: usize = 2;

/// Answers questions through worker processes. How many at once is the caller's to bound
/// ([`WORKERS`]).
#[derive(Debug)]
pub struct Endpoint {
    program: PathBuf,
    seconds: u64,
    memory_mib: u64,
    rows: usize,
    idle: Mutex<Vec<Worker>>,
}

#[derive(Debug)]
struct Worker {
    change: u64,
    child: Child,
    input: ChildStdin,
    frames: Receiver<Vec<u8>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Endpoint {
    /// An endpoint whose workers are `program sparql-worker MIB SECONDS`.
    #[must_use]
    pub fn new(program: PathBuf, limits: &crate::config::Sparql) -> Self {
        Self {
            program,
            seconds: limits.seconds.max(1),
            memory_mib: limits.memory_mib.max(64),
            rows: limits.rows.max(1),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Answers a question over the published datasets. Blocks for at most the configured time,
    /// and while a worker starts.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no query, [`Error::NotAcceptable`] where no form fits,
    /// [`Error::TooCostly`] when time, memory or size run out.
    pub fn ask(
        &self,
        writer: Writer<'_>,
        shelf: &dyn Shelf,
        question: &Question,
    ) -> Result<Answer> {
        scan(&question.text)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (worker, answer) = self.work(idle, writer, shelf, question)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < WORKERS {
            idle.push(worker);
        }
        answer
    }

    fn work(
        &self,
        idle: Option<Worker>,
        writer: Writer<'_>,
        shelf: &dyn Shelf,
        question: &Question,
    ) -> Result<(Worker, Result<Answer>)> {
        let change = shelf.state()?.change;
        let mut worker = match idle.filter(|worker| worker.change == change) {
            Some(worker) => worker,
            None => {
                let (change, text) = snapshot(writer, shelf)?;
                self.start(change, text)?
            }
        };
        let ask = Ask {
            text: question.text.clone(),
            results: question.results,
            graph: question.graph.map(|format| format.suffix().to_owned()),
            graphs: question.graphs.clone(),
            rows: self.rows,
        };
        let ask =
            serde_json::to_vec(&ask).map_err(|failure| Error::Internal(failure.to_string()))?;
        let deadline = Instant::now() + Duration::from_secs(self.seconds);
        let frame = || -> Result<Vec<u8>> {
            match worker.frames.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(frame) => Ok(frame),
                Err(RecvTimeoutError::Timeout) => Err(Error::TooCostly(format!(
                    "the query took longer than {} seconds; make it narrower",
                    self.seconds
                ))),
                // It died: the stack or the address space was too small for the query.
                Err(RecvTimeoutError::Disconnected) => Err(Error::TooCostly(
                    "the query needs more memory than it may have; make it narrower".to_owned(),
                )),
            }
        };
        // A worker that died between two questions gives a broken pipe here.
        if write_frame(&mut worker.input, &ask).is_err() {
            return Err(Error::TooCostly(
                "the query engine is being restarted; try again".to_owned(),
            ));
        }
        let (reply, body) = (frame()?, frame()?);
        let reply: Reply = serde_json::from_slice(&reply)
            .map_err(|failure| Error::Internal(failure.to_string()))?;
        let answer = match reply {
            Reply::Done { media_type, is_truncated } => {
                Ok(Answer { media_type, body, is_truncated })
            }
            Reply::Invalid(problem) => Err(Error::Invalid(problem)),
            Reply::NotAcceptable(problem) => Err(Error::NotAcceptable(problem)),
            Reply::TooCostly(problem) => Err(Error::TooCostly(problem)),
        };
        Ok((worker, answer))
    }

    fn start(&self, change: u64, text: String) -> Result<Worker> {
        let failed = |failure: std::io::Error| {
            Error::Internal(format!("the query engine does not start: {failure}"))
        };
        let mut child = Command::new(&self.program)
            .args(["sparql-worker", &self.memory_mib.to_string(), &self.seconds.to_string()])
            .env_clear()
            // mimalloc reserves a gibibyte of addresses at start, more than the limit leaves.
            .env("MIMALLOC_ARENA_RESERVE", "16MiB")
            // glibc, beside it, takes 64 MiB of addresses for every thread.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Internal("the query engine has no pipes".to_owned()));
        };
        let (sender, frames) = channel();
        std::thread::Builder::new()
            .name("sparql-answers".to_owned())
            .spawn(move || {
                while let Ok(frame) = read_frame(&mut output) {
                    if sender.send(frame).is_err() {
                        break;
                    }
                }
            })
            .map_err(failed)?;
        let mut worker = Worker { change, child, input, frames };
        let loading = write_frame(&mut worker.input, text.as_bytes());
        // Loading is ours, not the reader's: it gets a time of its own.
        match (loading, worker.frames.recv_timeout(LOADING)) {
            (Ok(()), Ok(_)) => Ok(worker),
            _ => Err(Error::TooCostly(
                "the published graphs do not fit `sparql.memory_mib`; raise it".to_owned(),
            )),
        }
    }
}

/// Of so many datasets labels are made for every state of the catalogue; where there are more, each
/// label has its own address only. A label costs about a millisecond, and half of a document's bytes.
const LABELS: usize = 1_000;

/// What is published as N-Quads, and the change that it is the state of: each document in the graph
/// of its dataset, its label, the series and the catalogue in graphs named by their IRIs.
///
/// # Errors
/// When the shelf does not answer.
pub fn snapshot(writer: Writer<'_>, shelf: &dyn Shelf) -> Result<(u64, String)> {
    let state = shelf.state()?;
    let mut text = String::new();
    let mut put = |graph: &NamedNode, document: &str| {
        let graph = graph.to_string();
        for line in document.lines() {
            let triple = line.strip_suffix(" .").unwrap_or(line);
            text.push_str(triple);
            text.push(' ');
            text.push_str(&graph);
            text.push_str(" .\n");
        }
    };
    let mut slugs = Vec::new();
    let mut series: BTreeMap<String, Draft<'_>> = BTreeMap::new();
    loop {
        let entries = shelf.published(slugs.len(), 200)?;
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            let graph = writer.dataset_iri(&entry.slug);
            put(&graph, &entry.document);
            put(&graph, &emit::canonical(&writer.record(entry)));
            if state.published <= LABELS {
                let label = writer.label(entry)?;
                put(&writer.label_iri(&entry.slug), &emit::canonical(&label));
            }
            if let Some(of) = entry.description().series {
                let draft = series.entry(of.id).or_insert_with(|| Draft::new(writer));
                writer.put_series(draft, entry);
            }
        }
        slugs.extend(entries.into_iter().map(|entry| entry.slug));
    }
    for (id, draft) in series {
        put(&writer.iri(&format!("/series/{id}")), &emit::canonical(&draft.graph));
    }
    let catalogue = writer.catalogue(slugs.iter().map(String::as_str), state.latest);
    put(&writer.iri("/catalog"), &emit::canonical(&catalogue));
    Ok((state.change, text))
}
