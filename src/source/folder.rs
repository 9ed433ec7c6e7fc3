//! A folder of DICOM files: everything below it, whatever it is called.
//!
//! In: a path. Out: one [`Item`] for each file. The folder is walked first, in the order of
//! names, so that the work is known before it begins; a file whose size and modification time
//! the journal holds is not opened. Links are followed to files inside the folder only.
//! Governed by PS3.10. Absent: reading, which [`crate::dicom`] does, in worker processes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{Item, Journal, Quarantine, Sink, Source, Stamp};
use crate::dicom::worker::{Job, Pool};
use crate::dicom::{Outcome, Reader};
use crate::error::{Error, Result};

/// A folder as a source.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    pool: Option<Pool>,
}

/// A file that the walk found.
struct Found {
    /// Relative to the root, as the operating system spells it.
    path: PathBuf,
    stamp: Stamp,
}

impl Folder {
    /// A folder that workers read.
    ///
    /// # Errors
    /// When the path is no folder that can be read.
    pub fn new(root: &Path, pool: Pool) -> Result<Self> {
        Ok(Self { root: real(root)?, pool: Some(pool) })
    }

    /// A folder that this process reads: for trusted files only.
    ///
    /// # Errors
    /// When the path is no folder that can be read.
    pub fn in_process(root: &Path) -> Result<Self> {
        Ok(Self { root: real(root)?, pool: None })
    }

    /// Every file below the root with its stamp, in the order of names, and what could not be
    /// looked at.
    fn walk(&self, sink: &mut Sink<'_>) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in WalkDir::new(&self.root).min_depth(1).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(&self.root);
                    let detail = match error.io_error() {
                        Some(error) => format!("it cannot be looked at: {error}"),
                        None => "it cannot be looked at".to_owned(),
                    };
                    let origin = origin(self.relative(path));
                    sink(Item::Quarantined { origin, stamp: None, reason: unreadable(detail) })?;
                    continue;
                }
            };
            let metadata = if entry.file_type().is_file() {
                entry.metadata().map_err(|error| error.to_string())
            } else if entry.path_is_symlink() {
                match self.through(entry.path()) {
                    Some(metadata) => metadata,
                    None => continue,
                }
            } else {
                continue;
            };
            let path = self.relative(entry.path()).to_owned();
            match metadata {
                Ok(metadata) => all.push(Found { path, stamp: stamp(&metadata) }),
                Err(detail) => sink(Item::Quarantined {
                    origin: origin(&path),
                    stamp: None,
                    reason: unreadable(detail),
                })?,
            }
        }
        Ok(all)
    }

    /// What a link leads to, when that is a file inside the folder.
    fn through(&self, link: &Path) -> Option<Result<Metadata, String>> {
        let target = match link.canonicalize() {
            Ok(target) => target,
            Err(error) => return Some(Err(format!("a link that leads nowhere: {error}"))),
        };
        if !target.starts_with(&self.root) {
            return None;
        }
        match target.metadata() {
            Ok(metadata) if metadata.is_file() => Some(Ok(metadata)),
            Ok(_) => None,
            Err(error) => Some(Err(error.to_string())),
        }
    }

    fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn real(root: &Path) -> Result<PathBuf> {
    let refuse = |why: String| Error::Invalid(format!("`{}`: {why}", root.display()));
    let real = root.canonicalize().map_err(|error| refuse(error.to_string()))?;
    if real.is_dir() { Ok(real) } else { Err(refuse("is no folder".to_owned())) }
}

fn unreadable(detail: String) -> Quarantine {
    Quarantine { code: "unreadable".to_owned(), path: String::new(), offset: None, detail }
}

pub(super) fn stamp(metadata: &Metadata) -> Stamp {
    let mark = metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec());
    Stamp { size: metadata.len(), mark }
}

/// The path as text: as it is when it is UTF-8 without backslashes or control characters; else
/// those and bytes that are no UTF-8 are written `\xHH`, so that no two names become one.
fn origin(path: &Path) -> String {
    let mut out = String::with_capacity(path.as_os_str().len());
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || character.is_control() {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    escape(byte, &mut out);
                }
            } else {
                out.push(character);
            }
        }
        for byte in chunk.invalid() {
            escape(*byte, &mut out);
        }
    }
    out
}

fn escape(byte: u8, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\x{byte:02x}");
}

impl Source for Folder {
    fn kind(&self) -> &'static str {
        "folder"
    }

    fn locator(&self) -> String {
        origin(&self.root)
    }

    /// A file that is gone may be on a disk that is not mounted.
    fn is_authoritative(&self) -> bool {
        false
    }

    fn read(&mut self, journal: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        let found = self.walk(sink)?;
        sink(Item::Expected(found.len() as u64))?;
        let mut new = Vec::new();
        for (number, file) in found.iter().enumerate() {
            let origin = origin(&file.path);
            if journal.stamp(&origin) == Some(file.stamp) {
                let inputs = journal.inputs(&origin);
                sink(Item::Unchanged { origin, inputs })?;
            } else {
                new.push(number);
            }
        }
        let mut deliver = |number: usize, outcome: Outcome| {
            let Some(file) = found.get(number) else { return Ok(()) };
            let stamp = file.stamp;
            sink(match outcome {
                Outcome::Record(mut record) => {
                    record.origin = origin(&file.path);
                    Item::Record { record, stamp: Some(stamp) }
                }
                Outcome::NotDicom => Item::NotDicom { origin: origin(&file.path), stamp },
                Outcome::Quarantined(reason) => Item::Quarantined {
                    origin: origin(&file.path),
                    // What could not be opened is tried again, even if nothing changed.
                    stamp: (reason.code != "unreadable").then_some(stamp),
                    reason,
                },
            })
        };
        match &self.pool {
            Some(pool) => {
                let jobs = new.iter().map(|number| Job {
                    number: *number,
                    path: found
                        .get(*number)
                        .map_or_else(PathBuf::new, |file| self.root.join(&file.path)),
                    origin: String::new(),
                });
                pool.read(jobs, &mut deliver)
            }
            None => {
                let mut reader = Reader::default();
                for number in new {
                    let Some(file) = found.get(number) else { continue };
                    deliver(number, reader.file(&self.root.join(&file.path), ""))?;
                }
                Ok(())
            }
        }
    }
}

/// A journal in memory: for tests and for a run that keeps none.
#[derive(Clone, Debug, Default)]
pub struct Remembered(pub HashMap<String, Stamp>);

impl Journal for Remembered {
    fn stamp(&self, origin: &str) -> Option<Stamp> {
        self.0.get(origin).copied()
    }

    fn inputs(&self, origin: &str) -> u64 {
        u64::from(self.0.contains_key(origin))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::{Folder, Remembered, origin};
    use crate::source::{Item, Source, Stamp};

    fn items(folder: &mut Folder, journal: &Remembered) -> Vec<Item> {
        let mut items = Vec::new();
        folder
            .read(journal, &mut |item| {
                items.push(item);
                Ok(())
            })
            .unwrap();
        items
    }

    #[test]
    fn no_two_names_become_one() {
        let names: [&[u8]; 5] = [b"a\xffb", br"a\xffb", b"a/b", b"a\nb", "a\u{e9}".as_bytes()];
        let origins = names.map(|name| origin(Path::new(OsStr::from_bytes(name))));
        assert_eq!(origins, [r"a\xffb", r"a\x5cxffb", "a/b", r"a\x0ab", "aé"]);
    }

    #[test]
    fn files_are_seen_in_order_and_links_stay_inside() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        for name in ["b/2", "a", "b/1"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let link = |to: &Path, name| std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
        link(Path::new("b/1"), "inside");
        link(&outside.path().join("secret"), "outside");
        link(outside.path(), "outside-folder");
        link(Path::new("b"), "folder");
        link(Path::new("nowhere"), "broken");
        let mut folder = Folder::in_process(dir.path()).unwrap();
        let mut seen = Vec::new();
        let mut journal = Remembered::default();
        for item in items(&mut folder, &journal) {
            match item {
                Item::NotDicom { origin, stamp } => {
                    seen.push(origin.clone());
                    journal.0.insert(origin, stamp);
                }
                Item::Expected(count) => assert_eq!(count, 4),
                Item::Quarantined { origin, stamp, reason } => {
                    assert_eq!((origin.as_str(), stamp), ("broken", None));
                    assert_eq!(reason.code, "unreadable");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, ["a", "b/1", "b/2", "inside"]);

        journal.0.insert("b/2".to_owned(), Stamp { size: 3, mark: 0 });
        let again = items(&mut folder, &journal);
        let unchanged =
            again.iter().filter(|item| matches!(item, Item::Unchanged { inputs: 1, .. }));
        assert_eq!(unchanged.count(), 3);
        let is_read =
            |item: &Item| matches!(item, Item::NotDicom { origin, .. } if origin == "b/2");
        assert_eq!(again.iter().filter(|item| is_read(item)).count(), 1);
    }

    #[test]
    fn a_sink_that_says_stop_stops() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        let stop = || crate::error::Error::Internal("stop".to_owned());
        let ended = Folder::in_process(dir.path())
            .unwrap()
            .read(&Remembered::default(), &mut |_| Err(stop()));
        assert!(ended.is_err());
        assert!(Folder::in_process(&dir.path().join("a")).is_err());
    }
}
