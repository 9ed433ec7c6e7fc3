//! `vesalius ingest fhir`: Bundles, resources and NDJSON of another system.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Common, Node, event};
use crate::error::{Error, Result};
use crate::fhir::{IntakeSummary, LARGEST_DOCUMENT, State};

/// Endings of files of which each line is a resource.
const LINES: &[&str] = &["ndjson", "jsonl"];
/// Endings of files that are looked for in a folder.
const ENDINGS: &[&str] = &["json", "ndjson", "jsonl"];

/// Reads the files and keeps what they give.
pub(super) fn ingest(node: &Node, given: &[PathBuf], name: &str) -> Result<IntakeSummary> {
    let files = files(given)?;
    node.catch_up()?;
    let (store, index) = ((*node.store).clone(), Arc::clone(&node.index));
    let state = State::new(&node.config, store, index, node.context.clone())?;
    let name = if name.is_empty() { "fhir" } else { name };
    let mut intake = state.intake(name, &node.keys.pseudonym, super::now())?;
    for file in &files {
        // A file that cannot be read is told when it is read again.
        let _ = documents(file, |_, bytes| {
            intake.note(bytes);
            Ok(())
        })?;
    }
    for file in &files {
        let shown = file.display().to_string();
        let fault = documents(file, |line, bytes| intake.take(&shown, line, bytes))?;
        intake.file(&shown, fault);
    }
    intake.end()
}

/// The files that are meant: those that were named, and those of folders, in their order.
fn files(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in given {
        if !path.exists() {
            return Err(Error::Invalid(format!("{}: there is no such file", path.display())));
        }
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let walk = walkdir::WalkDir::new(path).follow_links(false).sort_by_file_name();
        for entry in walk {
            let entry = entry.map_err(|failure| Error::Invalid(failure.to_string()))?;
            if entry.file_type().is_file() && ends_in(entry.path(), ENDINGS) {
                found.push(entry.into_path());
            }
        }
    }
    if found.is_empty() {
        return Err(Error::Invalid(format!(
            "no file ends in {}: name the files",
            ENDINGS.join(", ")
        )));
    }
    Ok(found)
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    endings.contains(&ending.to_ascii_lowercase().as_str())
}

/// Hands on each document of a file with the line where it begins; what makes the file, or the
/// rest of it, unreadable comes back.
fn documents(
    path: &Path,
    mut each: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<Option<String>> {
    let most = LARGEST_DOCUMENT as u64;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(failure) => return Ok(Some(failure.to_string())),
    };
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    if !ends_in(path, LINES) {
        if let Err(failure) = reader.take(most + 1).read_to_end(&mut bytes) {
            return Ok(Some(failure.to_string()));
        }
        if bytes.len() as u64 > most {
            return Ok(Some(format!(
                "it is longer than {} MiB: cut it, or write a resource a line (NDJSON)",
                most >> 20
            )));
        }
        each(1, &bytes)?;
        return Ok(None);
    }
    let mut line = 0;
    loop {
        bytes.clear();
        line += 1;
        match reader.by_ref().take(most + 1).read_until(b'\n', &mut bytes) {
            Ok(0) => return Ok(None),
            Ok(_) if bytes.len() as u64 > most => {
                return Ok(Some(format!("line {line} is longer than {} MiB", most >> 20)));
            }
            Ok(_) if bytes.iter().all(u8::is_ascii_whitespace) => {}
            Ok(_) => each(line, &bytes)?,
            Err(failure) => return Ok(Some(failure.to_string())),
        }
    }
}

/// The end of an import, in words or as the `summary` event.
pub(super) fn tell(common: &Common, summary: &IntakeSummary) {
    if common.json {
        event("summary", &serde_json::to_value(summary).unwrap_or_default());
        return;
    }
    out!(
        "{} resources of {} files = {} taken + {} patients and studies to link by + {} quarantined",
        summary.resources,
        summary.files,
        summary.taken,
        summary.links,
        summary.quarantined
    );
    out!(
        "{} resources are new, {} changed, {} as before",
        summary.created,
        summary.changed,
        summary.unchanged
    );
    for (kind, count) in &summary.by_type {
        out!("  {count:>9}  {kind}");
    }
    if summary.unknown_patients + summary.unknown_studies > 0 {
        out!(
            "{} are about patients and {} about studies that the archive does not have: they are \
             kept by identifier",
            summary.unknown_patients,
            summary.unknown_studies
        );
    }
    for one in summary.aside.iter().take(20) {
        let entry = one.entry.map_or_else(String::new, |at| format!(" (entry {at})"));
        out!("  {}:{}{entry}: {} {}", one.file, one.line, one.code, one.detail);
    }
}
