//! Logs. One line per event on standard error, without names, patient identifiers or tokens.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging: warnings by default, more with `-v`; `RUST_LOG` has the last word.
pub fn start(verbose: u8, json: bool) {
    let level = match verbose {
        0 => "warn",
        1 => "vesalius=info,warn",
        _ => "vesalius=debug,info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second start in the same process (tests) keeps the first.
    let _ = if json { log.json().try_init() } else { log.try_init() };
}
