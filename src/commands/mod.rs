//! The command line: one function per subcommand. The only room that writes to the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the terminal's room")]

/// `println!` that survives a closed pipe.
macro_rules! out {
    ($($part:tt)*) => { $crate::commands::print(format_args!($($part)*)) };
}

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::actor::Role;
use crate::auth::Keys;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::node::{Node, now};
use crate::store::Store;

mod catalogue;
mod clinical;
mod completeness;
mod count;
mod demo;
mod doctor;
mod fhir;
mod harvest;
mod ingest;
mod serve;
mod views;

/// Turns a cancer imaging archive into a node of the European cancer imaging infrastructure and
/// of the European Health Data Space.
#[derive(Parser)]
#[command(name = "vesalius", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Folder with the node's data: database, keys, index, descriptions.
    #[arg(long, global = true, default_value = "vesalius-data", value_name = "DIR")]
    pub data: PathBuf,
    /// `postgres://…`; the embedded database in the data folder otherwise.
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// TOML file with the configuration; `vesalius.toml` in the data folder if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object a line, each with an `event`.
    #[arg(long, global = true)]
    pub json: bool,
    /// More messages; twice for even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    /// A synthetic archive, ingested, published and served: look around.
    Demo(demo::Demo),
    /// Serve pages, FHIR and the catalogue.
    Serve(serve::Serve),
    /// Read an archive into the store.
    Ingest(ingest::Ingest),
    /// Check, publish or export the catalogue.
    Catalogue(catalogue::Catalogue),
    /// Read other catalogues into this node, as the configuration names them.
    Harvest(harvest::Harvest),
    /// Count exactly what the archive holds, by facet: for the operator, never for release.
    Count(count::Count),
    /// Throw a view away and make it anew.
    Rebuild(views::Rebuild),
    /// Prove that the views agree with the store.
    Verify,
    /// Look over configuration, database, disk, clock and limits.
    Doctor,
    /// Bring the database to this version.
    Migrate,
    /// Mint a bearer token.
    Token(Token),
    /// Write a synthetic archive of DICOM files.
    Sample(Sample),
    /// Print the JSON Schema of a file: `config`, `description`, `table`, …
    #[command(hide = true)]
    Schema {
        /// The kind of file; without it a list of all.
        kind: Option<String>,
    },
    /// Reads files for a parent process.
    #[command(hide = true)]
    Worker,
    /// Evaluates SPARQL for a parent process.
    #[command(hide = true)]
    SparqlWorker {
        /// Address space in MiB.
        memory_mib: u64,
        /// Seconds that a question may take.
        seconds: u64,
    },
}

#[derive(Args)]
struct Token {
    /// What its bearer may do.
    #[arg(long, value_enum)]
    role: Role,
    /// Who bears it, for the log.
    #[arg(long, default_value = "operator")]
    subject: String,
    /// Narrows the role under /fhir and /dicom-web: `system/ImagingStudy.rs` (images with `r`),
    /// `system/*.r`, separated by spaces.
    #[arg(long, default_value = "")]
    scope: String,
    /// How long it is good for: `90s`, `15m`, `1h`, `30d`.
    #[arg(long, default_value = "1h", value_parser = duration)]
    ttl: u64,
    /// Sign with a new key: every token that was minted before ends when the servers restart.
    #[arg(long)]
    renew_key: bool,
}

#[derive(Args)]
struct Sample {
    /// Folder to write to; made if it is missing.
    dir: PathBuf,
    /// How many studies.
    #[arg(long, default_value_t = 10)]
    studies: usize,
    /// The same seed gives the same files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How a command ended: exit status 0 done, 1 look, 2 usage or configuration, 3 could not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Done.
    Done,
    /// Done, and something asks for a look.
    Look,
}

/// Runs the command line; the exit status.
#[must_use]
pub fn run() -> u8 {
    let cli = Cli::parse();
    // What a node writes is for its user only; samples and exported documents are for others.
    if !matches!(&cli.command, Command::Sample(_))
        && !matches!(&cli.command, Command::Catalogue(command) if command.is_export())
    {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    }
    let is_worker = matches!(cli.command, Command::Worker | Command::SparqlWorker { .. });
    if !is_worker {
        crate::telemetry::start(cli.common.verbose, cli.common.json);
    }
    let json = cli.common.json;
    match execute(cli) {
        Ok(Ended::Done) => 0,
        Ok(Ended::Look) => 1,
        Err(failure) => {
            if json {
                event("error", &serde_json::json!({ "message": failure.to_string() }));
            } else {
                // Nobody may be there to read it.
                let _ = writeln!(std::io::stderr(), "vesalius: {failure}");
            }
            match failure {
                Error::Configuration(_) | Error::Parameter { .. } | Error::Invalid(_) => 2,
                _ => 3,
            }
        }
    }
}

fn execute(cli: Cli) -> Result<Ended> {
    let common = &cli.common;
    match cli.command {
        Command::Worker => {
            // The parent's pipes; locked handles would be buffered by lines.
            crate::dicom::worker::run_worker(std::io::stdin(), std::io::stdout())?;
            Ok(Ended::Done)
        }
        Command::SparqlWorker { memory_mib, seconds } => {
            let ended = crate::catalogue::sparql::run_sparql_worker(memory_mib, seconds);
            if ended == std::process::ExitCode::SUCCESS {
                Ok(Ended::Done)
            } else {
                Err(Error::Internal("the SPARQL worker failed".to_owned()))
            }
        }
        Command::Demo(demo) => demo::demo(common, &demo),
        Command::Serve(serve) => serve::serve(common, &serve),
        Command::Ingest(command) => ingest::run(common, &command),
        Command::Catalogue(command) => catalogue::run(common, &command),
        Command::Count(command) => count::run(common, &command),
        Command::Harvest(command) => harvest::run(common, &command),
        Command::Rebuild(command) => views::rebuild(common, &command),
        Command::Verify => views::verify(common),
        Command::Doctor => doctor::run(common),
        Command::Migrate => {
            let node = Node::open(common)?;
            let version = node.store.read(crate::store::Db::version)?;
            say(common, "migrated", &serde_json::json!({ "database": version }), || {
                format!("the database is at this version ({version})")
            });
            Ok(Ended::Done)
        }
        Command::Token(token) => mint(common, &token),
        Command::Sample(sample) => {
            let written = crate::sample::write(&sample.dir, sample.studies, sample.seed)?;
            let value = serde_json::to_value(written).unwrap_or_default();
            say(common, "summary", &value, || {
                format!(
                    "{} files of {} studies in {}",
                    written.instances + written.broken,
                    written.studies,
                    sample.dir.display()
                )
            });

            Ok(Ended::Done)
        }
        Command::Schema { kind } => schema(kind.as_deref()),
    }
}

fn mint(common: &Common, token: &Token) -> Result<Ended> {
    if token.role == Role::Public {
        return Err(Error::Invalid("role `public` needs no token".to_owned()));
    }
    let mut keys = Keys::find(&common.data)?;
    if token.renew_key {
        let config = common.config()?;
        keys.renew_token(&common.data, &Store::find(&common.data, &config.database.url)?)?;
    }
    let minted = crate::auth::Tokens::new(&keys.token).mint(
        &token.subject,
        token.role,
        &token.scope,
        token.ttl,
        now_seconds(),
    )?;
    let value = serde_json::json!({
        "role": token.role, "token": minted.token, "expires": minted.expires,
    });
    say(common, "token", &value, || minted.token.clone());
    Ok(Ended::Done)
}

fn schema(kind: Option<&str>) -> Result<Ended> {
    let schemas = crate::schemas::all();
    match kind {
        None => schemas.iter().for_each(|(kind, _)| out!("{kind}")),
        Some(kind) => {
            let found = schemas.iter().find(|(known, _)| *known == kind).ok_or_else(|| {
                let known: Vec<_> = schemas.iter().map(|(known, _)| *known).collect();
                Error::Invalid(format!("`{kind}` is no kind of file; one of {}", known.join(", ")))
            })?;
            out!("{}", serde_json::to_string_pretty(&found.1).unwrap_or_default());
        }
    }
    Ok(Ended::Done)
}

/// Ten years: what is longer is a slip, or a token that nobody will remember.
const LONGEST: u64 = 3_650 * 86_400;

/// Seconds of `90s`, `15m`, `1h`, `30d`.
fn duration(text: &str) -> Result<u64, String> {
    let help = || format!("`{text}` is no duration; write `90s`, `15m`, `1h` or `30d`");
    let split = text.len().saturating_sub(1);
    let (number, unit) = text.split_at_checked(split).ok_or_else(help)?;
    let number: u64 = number.parse().map_err(|_| help())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(help()),
    };
    let whole = number.checked_mul(seconds).filter(|seconds| *seconds > 0).ok_or_else(help)?;
    if whole > LONGEST {
        return Err(format!("`{text}` is longer than ten years; renew tokens, `3650d` at most"));
    }
    Ok(whole)
}

fn now_seconds() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

impl Common {
    /// Reads the configuration: the file, the environment, the command line.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn config(&self) -> Result<Config> {
        let beside = self.data.join("vesalius.toml");
        let file = self.config.clone().or_else(|| beside.exists().then_some(beside));
        let mut config = Config::load(file.as_deref(), std::env::vars())?;
        if let Some(url) = &self.database_url {
            config.database.url.clone_from(url);
        }
        config.check()?;
        Ok(config)
    }
}

impl Node {
    /// Opens everything of the data folder.
    ///
    /// # Errors
    /// When the configuration, the folder or the database is not usable.
    pub fn open(common: &Common) -> Result<Self> {
        Self::with(common, common.config()?)
    }

    /// Opens the data folder under a configuration.
    ///
    /// # Errors
    /// When the folder or the database is not usable.
    pub fn with(common: &Common, config: Config) -> Result<Self> {
        Self::of(&common.data, config)
    }
}

/// Writes a line to standard output. A reader that went away (`… | head`) ends the command
/// quietly; whatever was stored before stays.
fn print(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(3);
    }
}

/// One line: a JSON object with its event, or words.
fn say(common: &Common, name: &str, value: &serde_json::Value, words: impl FnOnce() -> String) {
    if common.json {
        event(name, value);
    } else {
        out!("{}", words());
    }
}

fn event(name: &str, value: &serde_json::Value) {
    let mut object = serde_json::Map::new();
    object.insert("event".to_owned(), serde_json::Value::from(name));
    if let serde_json::Value::Object(fields) = value {
        object.extend(fields.clone());
    }
    out!("{}", serde_json::Value::Object(object));
}

#[cfg(test)]
mod tests {
    use super::{Cli, duration};
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_numbers_with_a_unit() {
        assert_eq!(duration("90s"), Ok(90));
        assert_eq!(duration("2h"), Ok(7_200));
        for bad in ["", "h", "1w", "-1h", "1", "99999999999999999999d", "3651d", "0s", "é"] {
            assert!(duration(bad).is_err(), "{bad} was accepted");
        }
    }
}
