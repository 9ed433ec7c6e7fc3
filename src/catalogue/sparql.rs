//! SPARQL 1.1 queries over the published graphs, evaluated outside the server process.
//!
//! A query is free text from anyone. oxigraph's parser overflows the stack on 6 kB of nested
//! parentheses, evaluation has no memory limit, and cancelling is not prompt. So the text is
//! scanned first ([`scan`]), and evaluated in a worker process of the same binary with an
//! address-space limit, which is killed when its time is over and started again. The worker keeps
//! the time too, and ends when its server is gone: a server that was killed cannot kill it.
//! Absent: `SERVICE`, updates, loading from addresses.
//!
//! The worker keeps an `oxrdf` dataset, not an oxigraph store: a store normalises literals
//! (`"7"^^xsd:nonNegativeInteger` comes back as `xsd:integer`), and what CONSTRUCT gives must
//! still hold to HealthDCAT-AP's shapes. Every document is a named graph, `<dataset IRI>`; the
//! default graph is the union of all.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oxigraph::sparql::results::{QueryResultsFormat, QueryResultsSerializer};
use oxigraph::sparql::{QueryEvaluationError, QueryResults, SparqlEvaluator};
use oxrdf::{Dataset, Graph, GraphName, NamedNode, NamedOrBlankNode};
use serde::{Deserialize, Serialize};

use super::emit::{self, Format};
use super::publish::Shelf;
use super::{Release, Writer};
use crate::error::{Error, Result};

/// Longest query, in bytes.
pub const MAX_QUERY: usize = 16 * 1024;
/// Deepest nesting of brackets.
pub const MAX_DEPTH: usize = 100;
/// Longest run of prefix operators.
const MAX_RUN: usize = 20;
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 32 << 20;
const MAX_FRAME: usize = 1 << 30;
const STACK: usize = 128 << 20;

/// How solutions (SELECT) and truth values (ASK) are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultsFormat {
    /// SPARQL 1.1 Query Results JSON.
    Json,
    /// SPARQL Query Results XML.
    Xml,
    /// CSV.
    Csv,
    /// TSV.
    Tsv,
}

impl ResultsFormat {
    /// Every form, the preferred first, with its media type.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Json, "application/sparql-results+json"),
        (Self::Xml, "application/sparql-results+xml"),
        (Self::Csv, "text/csv"),
        (Self::Tsv, "text/tab-separated-values"),
    ];

    const fn oxigraph(self) -> QueryResultsFormat {
        match self {
            Self::Json => QueryResultsFormat::Json,
            Self::Xml => QueryResultsFormat::Xml,
            Self::Csv => QueryResultsFormat::Csv,
            Self::Tsv => QueryResultsFormat::Tsv,
        }
    }
}

/// A query and what the reader can take.
#[derive(Clone, Debug)]
pub struct Question {
    /// The query.
    pub text: String,
    /// For SELECT and ASK; `None`: the reader takes none of our forms.
    pub results: Option<ResultsFormat>,
    /// For CONSTRUCT and DESCRIBE.
    pub graph: Option<Format>,
    /// The data set by parameter of the protocol, which stands above `FROM` in the query.
    pub graphs: Graphs,
}

/// A data set by name (SPARQL 1.1 Protocol section 2.1.4): IRIs of graphs. A name that no graph
/// has is an empty graph.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Graphs {
    /// `default-graph-uri`: together the default graph.
    pub default: Vec<String>,
    /// `named-graph-uri`.
    pub named: Vec<String>,
}

impl Graphs {
    /// Whether the query's own data set is meant.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.default.is_empty() && self.named.is_empty()
    }

    fn nodes(iris: &[String]) -> Result<Vec<NamedNode>, Reply> {
        let node = |iri: &String| {
            NamedNode::new(iri.as_str())
                .map_err(|failure| Reply::Invalid(format!("`{iri}` is no IRI ({failure})")))
        };
        iris.iter().map(node).collect()
    }
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Media type of the bytes.
    pub media_type: String,
    /// The bytes.
    pub body: Vec<u8>,
    /// Whether rows were left off, because the limit was reached.
    pub is_truncated: bool,
}

/// Looks at the text before any parser does.
///
/// # Errors
/// [`Error::Invalid`] with what is wrong and where: too long, nested too deeply, an update, a
/// call to another service.
pub fn scan(text: &str) -> Result<()> {
    if text.len() > MAX_QUERY {
        return Err(Error::Invalid(format!(
            "the query has {} bytes; at most {MAX_QUERY} are read",
            text.len()
        )));
    }
    let refused = |offset: usize, problem: &str| {
        let line = text.get(..offset).unwrap_or(text).bytes().filter(|b| *b == b'\n').count() + 1;
        Err(Error::Invalid(format!("line {line}: {problem}")))
    };
    let bytes = text.as_bytes();
    let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
    let (mut place, mut depth, mut run) = (0, 0_usize, 0_usize);
    while place < bytes.len() {
        let byte = at(place);
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                place += 1;
                continue;
            }
            b'#' => {
                while place < bytes.len() && !matches!(at(place), b'\n' | b'\r') {
                    place += 1;
                }
                continue;
            }
            b'!' | b'+' | b'-' | b'^' => {
                run += 1;
                if run > MAX_RUN {
                    return refused(place, "too many operators in a row");
                }
                place += 1;
                continue;
            }
            _ => run = 0,
        }
        match byte {
            b'"' | b'\'' => match string_end(bytes, place) {
                Some(end) => place = end,
                None => return refused(place, "a string does not end"),
            },
            b'<' => {
                let end = iri_end(bytes, place);
                if at(place + 1) == b'<' {
                    depth += 1;
                    place += 2;
                } else if let Some(end) = end {
                    place = end;
                } else {
                    place += 1;
                }
            }
            b'>' if at(place + 1) == b'>' => {
                depth = depth.saturating_sub(1);
                place += 2;
            }
            b'(' | b'{' | b'[' => {
                depth += 1;
                place += 1;
            }
            b')' | b'}' | b']' => {
                depth = depth.saturating_sub(1);
                place += 1;
            }
            _ if byte.is_ascii_alphabetic() => {
                let start = place;
                while at(place).is_ascii_alphanumeric() || matches!(at(place), b'_' | b'-' | b'.') {
                    place += 1;
                }
                let before = if start == 0 { 0 } else { at(start - 1) };
                let is_word =
                    !matches!(before, b'?' | b'$' | b':' | b'@' | b'_' | b'%' | b'\\' | 0x80..)
                        && at(place) != b':';
                let word = text.get(start..place).unwrap_or_default();
                if is_word && word.eq_ignore_ascii_case("SERVICE") {
                    return refused(
                        start,
                        "`SERVICE` is not answered here; ask the other endpoint yourself",
                    );
                }
                let is_update =
                    ["INSERT", "DELETE", "LOAD", "CLEAR", "CREATE", "DROP", "COPY", "MOVE", "ADD"]
                        .iter()
                        .any(|update| word.eq_ignore_ascii_case(update));
                if is_word && is_update {
                    return refused(
                        start,
                        &format!("`{word}` is an update; this endpoint answers queries only"),
                    );
                }
            }
            _ => place += 1,
        }
        if depth > MAX_DEPTH {
            return refused(place, &format!("nested deeper than {MAX_DEPTH}"));
        }
    }
    Ok(())
}

fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = *bytes.get(start)?;
    let is_long = bytes.get(start + 1) == Some(&quote) && bytes.get(start + 2) == Some(&quote);
    let mut place = start + if is_long { 3 } else { 1 };
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'\\' => place += 2,
            b'\n' | b'\r' if !is_long => return None,
            byte if *byte == quote => {
                if !is_long {
                    return Some(place + 1);
                }
                if bytes.get(place + 1) == Some(&quote) && bytes.get(place + 2) == Some(&quote) {
                    return Some(place + 3);
                }
                place += 1;
            }
            _ => place += 1,
        }
    }
    None
}

fn iri_end(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start + 1..)?;
    let end = rest.iter().position(|byte| {
        matches!(byte, b'<' | b'>' | b'"' | b'{' | b'}' | b'|' | b'^' | b'`' | b'\\' | 0..=0x20)
    })?;
    (rest.get(end) == Some(&b'>')).then_some(start + end + 2)
}

/// The published documents as N-Quads, each in the graph of its dataset, and the change that they
/// are the state of.
///
/// # Errors
/// When the shelf does not answer.
pub fn snapshot(writer: Writer<'_>, shelf: &dyn Shelf) -> Result<(u64, String)> {
    let state = shelf.state()?;
    let mut text = String::new();
    let mut offset = 0;
    loop {
        let entries = shelf.published(offset, 200)?;
        if entries.is_empty() {
            return Ok((state.change, text));
        }
        offset += entries.len();
        for entry in &entries {
            let graph = writer.dataset_iri(&entry.slug);
            let record = emit::canonical(&writer.record(entry));
            for line in entry.document.lines().chain(record.lines()) {
                let triple = line.strip_suffix(" .").unwrap_or(line);
                text.push_str(triple);
                text.push(' ');
                text.push_str(&graph.to_string());
                text.push_str(" .\n");
            }
        }
    }
}

// ---------------------------------------------------------------- the worker process

#[derive(Debug, Deserialize, Serialize)]
struct Ask {
    text: String,
    results: Option<ResultsFormat>,
    graph: Option<String>,
    #[serde(default)]
    graphs: Graphs,
    rows: usize,
}

#[derive(Debug, Deserialize, Serialize)]
enum Reply {
    Done { media_type: String, is_truncated: bool },
    Invalid(String),
    NotAcceptable(String),
    TooCostly(String),
}

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

/// So much longer than the server a worker waits before it ends itself.
const MARGIN: Duration = Duration::from_secs(2);
/// How long the published graphs may take to load.
const LOADING: Duration = Duration::from_secs(60);
/// The stack of the thread that only waits.
const SMALL_STACK: usize = 256 << 10;

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
    let dataset = watch.over(LOADING, || {
        let mut dataset = Dataset::new();
        for quad in oxttl::NQuadsParser::new().for_slice(&text) {
            dataset.insert(&quad.ok()?);
        }
        Some(dataset)
    })?;
    drop(text);
    write_frame(&mut output, b"ready").ok()?;
    while let Ok(frame) = frames.recv() {
        let ask: Ask = serde_json::from_slice(&frame).ok()?;
        let (reply, body) = match watch.over(allowed, || answer(&dataset, &ask)) {
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

/// A writer that stops at the largest answer.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_ANSWER {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn answer(dataset: &Dataset, ask: &Ask) -> Result<(String, bool, Vec<u8>), Reply> {
    let failed = |failure: &dyn std::fmt::Display| {
        Reply::TooCostly(format!("the query could not be evaluated: {failure}"))
    };
    let large = |failure: std::io::Error| {
        Reply::TooCostly(format!("the answer is too large ({failure}); add a LIMIT"))
    };
    let mut query = SparqlEvaluator::new()
        .parse_query(&ask.text)
        .map_err(|failure| Reply::Invalid(failure.to_string()))?;
    if !ask.graphs.is_empty() {
        let default = Graphs::nodes(&ask.graphs.default)?;
        let named = Graphs::nodes(&ask.graphs.named)?;
        let data = query.dataset_mut();
        data.set_default_graph(default.into_iter().map(GraphName::from).collect());
        let named = named.into_iter().map(NamedOrBlankNode::from).collect();
        data.set_available_named_graphs(named);
    } else if query.dataset().is_default_dataset() {
        query.dataset_mut().set_default_graph_as_union();
    }
    let results =
        query.on_queryable_dataset(dataset).execute().map_err(|failure| match failure {
            // Trying again would not help.
            QueryEvaluationError::UnsupportedCustomFunction { .. }
            | QueryEvaluationError::UnsupportedCustomFunctionArity { .. } => {
                Reply::Invalid(failure.to_string())
            }
            failure => failed(&failure),
        })?;
    let no_form = |wanted: &str| Reply::NotAcceptable(format!("this query answers with {wanted}"));
    let table = || -> Result<(ResultsFormat, String), Reply> {
        let format = ask.results.ok_or_else(|| {
            no_form("application/sparql-results+json, application/sparql-results+xml, text/csv or text/tab-separated-values")
        })?;
        let row = ResultsFormat::ALL.iter().find(|(own, _)| *own == format);
        Ok((format, row.map_or("", |(_, media_type)| media_type).to_owned()))
    };
    match results {
        QueryResults::Boolean(value) => {
            let (format, media_type) = table()?;
            let writer = QueryResultsSerializer::from_format(format.oxigraph())
                .serialize_boolean_to_writer(Bounded(Vec::new()), value)
                .map_err(large)?;
            Ok((media_type, false, writer.0))
        }
        QueryResults::Solutions(solutions) => {
            let (format, media_type) = table()?;
            let mut writer = QueryResultsSerializer::from_format(format.oxigraph())
                .serialize_solutions_to_writer(Bounded(Vec::new()), solutions.variables().to_vec())
                .map_err(large)?;
            let mut is_truncated = false;
            for (place, solution) in solutions.enumerate() {
                if place >= ask.rows {
                    is_truncated = true;
                    break;
                }
                let solution = solution.map_err(|failure| failed(&failure))?;
                writer.serialize(&solution).map_err(large)?;
            }
            Ok((media_type, is_truncated, writer.finish().map_err(large)?.0))
        }
        QueryResults::Graph(triples) => {
            let format = ask
                .graph
                .as_deref()
                .and_then(Format::of_suffix)
                .ok_or_else(|| no_form("text/turtle, application/ld+json, application/rdf+xml, application/n-triples or application/n-quads"))?;
            let mut graph = Graph::new();
            let mut is_truncated = false;
            for triple in triples {
                if graph.len() >= ask.rows {
                    is_truncated = true;
                    break;
                }
                graph.insert(&triple.map_err(|failure| failed(&failure))?);
            }
            let body = names()
                .and_then(|release| emit::emit(&graph, format, release, ""))
                .map_err(|failure| failed(&failure))?;
            if body.len() > MAX_ANSWER {
                return Err(large(std::io::ErrorKind::FileTooLarge.into()));
            }
            Ok((format.media_type().to_owned(), is_truncated, body))
        }
    }
}

/// Prefixes for answers: the built-in release's, read once.
fn names() -> Result<&'static Release> {
    static NAMES: std::sync::OnceLock<Option<Release>> = std::sync::OnceLock::new();
    NAMES
        .get_or_init(|| Release::load("r8", None).ok())
        .as_ref()
        .ok_or_else(|| Error::Internal("the built-in release is broken".to_owned()))
}

fn read_frame(input: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn write_frame(output: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    output.write_all(&(bytes.len() as u64).to_le_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}

// ---------------------------------------------------------------- the server's side

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

/// Queries that should be evaluated at once.
pub const WORKERS: usize = 2;

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

/// An endpoint that several requests share.
pub type SharedEndpoint = Arc<Endpoint>;

#[cfg(test)]
mod tests {
    use super::scan;

    #[test]
    fn the_scan_lets_queries_through() {
        for query in [
            "SELECT * WHERE { ?s ?p ?o }",
            "PREFIX service: <http://x/> SELECT ?service { ?service service:delete service:b . }",
            "SELECT * { ?s ?p \"a } SERVICE { \\\" ( INSERT\" } # (((( SERVICE",
            "SELECT * { ?s ?p '''a ' } (''' FILTER(?a < ?b && ?c > 3 || !(?x)) }",
            "ASK { <http://a/(((((> ?p -1 FILTER(?d<3) }",
            "SELECT * { ?s ^<http://a>/(<http://b>|!<http://c>)* ?o }",
            "SELECT * { ?s ?p \"service\"@en, \"x\"^^<http://t> }",
        ] {
            scan(query).unwrap_or_else(|failure| panic!("{query}: {failure}"));
        }
    }

    #[test]
    fn the_scan_refuses_depth_length_services_and_updates() {
        let nested =
            |open: &str, close: &str| format!("SELECT * {}{}", open.repeat(101), close.repeat(101));
        for (query, word) in [
            (nested("{", "}"), "nested"),
            (nested("(", ")"), "nested"),
            (nested("[", "]"), "nested"),
            (nested("<<", ">>"), "nested"),
            (nested("({[", "]})"), "nested"),
            (format!("ASK {{ FILTER({}true) }}", "! ".repeat(50)), "operators"),
            (format!("ASK {{ ?s {}<a:b> ?o }}", "^".repeat(50)), "operators"),
            (format!("# {}", "x".repeat(17_000)), "bytes"),
            ("SELECT * {\nservice <http://x/> { } }".to_owned(), "line 2: `SERVICE`"),
            ("INSERT DATA { <a:b> <a:b> <a:b> }".to_owned(), "update"),
            ("delete where { ?s ?p ?o }".to_owned(), "update"),
            ("SELECT * { ?s ?p \"x".to_owned(), "does not end"),
        ] {
            let problem = scan(&query).unwrap_err().to_string();
            assert!(problem.contains(word), "{query}: {problem}");
        }
    }
}
