//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next().map(|text| text.parse())) {
        (Some("sparql-worker"), Some(Ok(memory_mib))) => {
            vesalius::catalogue::sparql::run_sparql_worker(memory_mib)
        }
        _ => ExitCode::from(2),
    }
}
