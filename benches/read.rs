//! How fast a folder is read, beside a loop in one thread that only opens the same cached files
//! with dicom-object up to PixelData.
//!
//! `cargo bench --bench read -- [STUDIES]`: writes a synthetic archive of that many studies (1800
//! give some 20,000 files), then lets both run in turn (A-B-B-A) five times and prints the
//! medians, their ratio and the load of the machine. Walking, worker processes and everything
//! but the store is inside the figure.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use vesalius::dicom::worker::{Pool, SUBCOMMAND, run_worker};
use vesalius::error::{Error, Result};
use vesalius::source::folder::{Folder, Remembered};
use vesalius::source::{Item, Source};

const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.first().is_some_and(|word| word == SUBCOMMAND) {
        return run_worker(std::io::stdin(), std::io::stdout());
    }
    let studies = words.first().and_then(|word| word.parse().ok()).unwrap_or(1800);
    let failed = |error: std::io::Error| Error::Internal(error.to_string());
    let dir = tempfile::tempdir().map_err(failed)?;
    let begin = Instant::now();
    let summary = vesalius::sample::write(dir.path(), studies, 1)?;
    let count = summary.instances as f64;
    println!("{} files written at {:.0}/s", count, count / begin.elapsed().as_secs_f64());

    let paths: Vec<PathBuf> = walkdir::WalkDir::new(dir.path())
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    let own = std::env::current_exe().map_err(failed)?;
    let (mut bare, mut folder) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(count / open(&paths)?);
        folder.push(count / read(dir.path(), &own, summary.instances)?);
        folder.push(count / read(dir.path(), &own, summary.instances)?);
        bare.push(count / open(&paths)?);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let (bare, folder) = (spread(&mut bare), spread(&mut folder));
    println!(
        "dicom-object up to PixelData, one thread: {} files/s ({} to {})",
        bare.0, bare.1, bare.2
    );
    println!("folder through workers: {} files/s ({} to {})", folder.0, folder.1, folder.2);
    println!("ratio {:.2}; load {}", folder.0 as f64 / bare.0 as f64, load.trim());
    Ok(())
}

fn open(paths: &[PathBuf]) -> Result<f64> {
    let begin = Instant::now();
    for path in paths {
        dicom_object::OpenFileOptions::new()
            .read_until(dicom_dictionary_std::tags::PIXEL_DATA)
            .open_file(path)
            .map_err(|error| Error::Internal(error.to_string()))?;
    }
    Ok(begin.elapsed().as_secs_f64())
}

fn read(dir: &Path, own: &Path, expected: u64) -> Result<f64> {
    let begin = Instant::now();
    let mut folder = Folder::new(dir, Pool::start(own, 0, 512, 20)?)?;
    let mut records = 0;
    folder.read(&Remembered::default(), &mut |item| {
        records += u64::from(matches!(item, Item::Record { .. }));
        Ok(())
    })?;
    if records != expected {
        return Err(Error::Internal(format!("{records} of {expected} files were read")));
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// Median, least and most, whole.
fn spread(rates: &mut [f64]) -> (u64, u64, u64) {
    rates.sort_by(f64::total_cmp);
    let at = |place: usize| rates.get(place).map_or(0, |rate| rate.round() as u64);
    (at(rates.len() / 2), at(0), at(rates.len().saturating_sub(1)))
}
