//! A synthetic archive of DICOM files, for the demo, for tests and for measurements.
//!
//! In: a folder, a number of studies and a seed. Out: files of PS3.10 that hold to their
//! information objects (PS3.3 annex A), with small pixel data. The same seed gives the same
//! bytes. Persons, institutions and devices are invented and their names say so.

mod build;
mod clinical;

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use build::{Archive, Kind, Visit};

/// What was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Persons.
    pub patients: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// SOP instances.
    pub instances: u64,
    /// Files that are broken on purpose; not counted above.
    pub broken: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Writes an archive of that many studies: breast screening rounds, lung screening, prostate
/// magnetic resonance, each with its reports.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path, studies: usize, seed: u64) -> Result<Summary> {
    let archive = Archive::new(seed);
    let mut writer = Writer { dir, summary: Summary::default() };
    let (mut person, mut left) = (0, studies);
    while left > 0 {
        let kind = match person % 5 {
            0 | 1 | 3 => Kind::Mammography,
            2 => Kind::LungScreening,
            _ => Kind::ProstateMr,
        };
        let rounds = archive.rounds(kind, person).min(left);
        writer.person(&archive, person, kind, rounds)?;
        left -= rounds;
        person += 1;
    }
    Ok(writer.summary)
}

/// Writes the archive of the demo: three populations, each the material of one dataset, and one
/// broken file.
///
/// # Errors
/// When a file cannot be written.
pub fn write_demo(dir: &Path) -> Result<Summary> {
    let archive = Archive::new(1543);
    let mut writer = Writer { dir, summary: Summary::default() };
    for person in 0..72 {
        let (kind, rounds) = of_demo(person);
        writer.person(&archive, person, kind, rounds)?;
    }
    let broken = archive.broken()?;
    writer.file("incoming/broken.dcm", &broken)?;
    writer.summary.broken = 1;
    Ok(writer.summary)
}

/// What a person of the demo takes part in, and how many rounds.
const fn of_demo(person: usize) -> (Kind, usize) {
    match person {
        0..32 => (Kind::Mammography, 3),
        32..52 => (Kind::LungScreening, 1),
        _ => (Kind::ProstateMr, 1),
    }
}

/// Writes the clinical table of the demo's persons, a CSV file for the mapping `screening`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_demo_clinical(path: &Path) -> Result<()> {
    fs::write(path, clinical::table(&Archive::new(1543))).map_err(|error| failed(path, &error))
}

struct Writer<'a> {
    dir: &'a Path,
    summary: Summary,
}

impl Writer<'_> {
    fn person(
        &mut self,
        archive: &Archive,
        person: usize,
        kind: Kind,
        rounds: usize,
    ) -> Result<()> {
        self.summary.patients += 1;
        for round in 0..rounds {
            let study = archive.study(Visit { person, kind, round, rounds });
            self.summary.studies += 1;
            let folder = format!("{}/{:06}/{round}", kind.folder(), person);
            self.folder(&folder)?;
            for (place, series) in study.iter().enumerate() {
                self.summary.series += 1;
                for (number, instance) in series.iter().enumerate() {
                    self.summary.instances += 1;
                    let bytes = instance.to_part_10()?;
                    self.file(&format!("{folder}/{place}-{number:03}.dcm"), &bytes)?;
                }
            }
        }
        Ok(())
    }

    fn folder(&self, name: &str) -> Result<()> {
        let path = self.dir.join(name);
        fs::create_dir_all(&path).map_err(|error| failed(&path, &error))
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        if let Some((folder, _)) = name.rsplit_once('/').filter(|_| name.starts_with("incoming")) {
            self.folder(folder)?;
        }
        self.summary.bytes += bytes.len() as u64;
        fs::write(&path, bytes).map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::Internal(format!("`{}` cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Summary, write, write_demo};
    use crate::source::folder::{Folder, Remembered};
    use crate::source::{Item, Source};

    fn read(dir: &std::path::Path) -> (u64, Vec<String>, Vec<String>) {
        let (mut records, mut refused, mut findings) = (0, Vec::new(), Vec::new());
        Folder::in_process(dir)
            .unwrap()
            .read(&Remembered::default(), &mut |item| {
                match item {
                    Item::Record { record, .. } => {
                        records += 1;
                        findings.extend(record.findings.iter().map(|f| format!("{f:?}")));
                    }
                    Item::Quarantined { reason, .. } => refused.push(reason.code),
                    Item::Expected(_) => {}
                    other => panic!("{other:?}"),
                }
                Ok(())
            })
            .unwrap();
        (records, refused, findings)
    }

    #[test]
    fn an_archive_is_the_same_for_the_same_seed_and_reads_without_findings() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = write(one.path(), 12, 7).unwrap();
        assert_eq!(first, write(two.path(), 12, 7).unwrap());
        assert_eq!(first.studies, 12);
        let (records, refused, findings) = read(one.path());
        assert_eq!((records, refused), (first.instances, vec![]));
        assert_eq!(findings, Vec::<String>::new());
        for entry in walkdir::WalkDir::new(one.path()).into_iter().flatten() {
            if entry.file_type().is_file() {
                let other = two.path().join(entry.path().strip_prefix(one.path()).unwrap());
                assert_eq!(std::fs::read(entry.path()).unwrap(), std::fs::read(other).unwrap());
            }
        }
    }

    #[test]
    fn the_demo_has_one_broken_file() {
        let dir = tempfile::tempdir().unwrap();
        let summary = write_demo(dir.path()).unwrap();
        assert_eq!(
            Summary { bytes: 0, series: 0, instances: 0, ..summary },
            Summary { patients: 72, studies: 136, broken: 1, ..Summary::default() }
        );
        let (records, refused, findings) = read(dir.path());
        assert_eq!((records, refused), (summary.instances, vec!["length-beyond-end".to_owned()]));
        assert_eq!(findings, Vec::<String>::new());
    }
}
