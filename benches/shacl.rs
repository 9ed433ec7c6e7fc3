//! Holds documents to the shapes of the gate: `shacl LIST OUT`.
//!
//! LIST names N-Triples files, one a line, behind the level whose shapes hold (`public`,
//! `restricted`, `non-public`). OUT gets the verdicts as the judges of `conformance/catalogue`
//! compare them: place in the list, focus, path, component, severity, value. Timed is what the
//! gate does with a document before it is published: validation, and the findings in the
//! steward's words. Prints one JSON object. `conformance/bench/shacl.sh` runs it beside pySHACL.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::fmt::Write as _;
use std::time::Instant;

use vesalius::catalogue::{AccessRights, Gate, Release, parse};
use vesalius::error::{Error, Result};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [list, out] = words.as_slice() else {
        return Err(Error::Configuration("two words are needed: LIST OUT".to_owned()));
    };
    let failed = |error: std::io::Error| Error::Internal(error.to_string());
    let release = Release::load("r8", None)?;
    let gate = Gate::load(&release)?;
    let (mut verdicts, mut times) = (String::new(), Vec::new());
    for (place, line) in std::fs::read_to_string(list).map_err(failed)?.lines().enumerate() {
        let (level, path) = line.split_once(' ').unwrap_or(("", line));
        let rights = [AccessRights::Public, AccessRights::Restricted, AccessRights::NonPublic];
        let Some(rights) = rights.into_iter().find(|rights| rights.level() == level) else {
            return Err(Error::Configuration(format!("`{level}` is no level")));
        };
        let graph = parse(&std::fs::read_to_string(path).map_err(failed)?)?;
        let began = Instant::now();
        std::hint::black_box(gate.check(rights, &graph, &release));
        times.push(began.elapsed().as_secs_f64() * 1e3);
        let outcomes = gate.shapes(rights).map(|shapes| shapes.validate(&graph, gate.background()));
        for outcome in outcomes.unwrap_or_default() {
            let path = outcome.property.as_ref().map_or("-", |path| path.as_str());
            let value = outcome.value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            let (focus, component, severity) =
                (&outcome.focus, outcome.component, outcome.severity);
            let _ =
                writeln!(verdicts, "{place}\t{focus}\t{path}\t{component}\t{severity:?}\t{value}");
        }
    }
    std::fs::write(out, verdicts).map_err(failed)?;
    let sum: f64 = times.iter().sum();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    println!(
        "{{\"documents\":{},\"seconds\":{:.3},\"p50_ms\":{:.3},\"p99_ms\":{:.3},\"worst_ms\":{:.3}}}",
        times.len(),
        sum / 1e3,
        at(50),
        at(99),
        times.last().copied().unwrap_or_default()
    );
    Ok(())
}
