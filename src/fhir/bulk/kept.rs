//! Lines that exports wrote, kept for the next one: rendering an archive costs much more than
//! copying it. A view like any other: it knows the last change that it has seen, forgets what
//! changed since, and can be thrown away. Its bytes count among those that exports may use, and
//! give way to a job that needs the room.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::store::changes::{self, Kind, Seen};
use crate::store::{Db, create_private, read};

/// The folder beside the jobs.
pub(super) const FOLDER: &str = "kept";

const MAGIC: &[u8; 8] = b"vesalixp";

/// Where the line of a study is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Line {
    at: u64,
    /// With the line's end; 0: there is none.
    length: u32,
}

/// Bytes that stand together in the file of lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Run {
    pub(super) at: u64,
    pub(super) length: u64,
    /// How many lines.
    pub(super) count: u64,
}

/// The lines of one rendering of the studies.
#[derive(Debug)]
pub(super) struct Lines {
    folder: PathBuf,
    name: String,
    fingerprint: [u8; 32],
    file: File,
    /// Lines that are not in the file yet.
    fresh: Vec<u8>,
    /// Where the next line will be.
    end: u64,
    /// By the store's number of the study.
    of: Vec<Line>,
    seen: Option<(i64, Seen)>,
}

/// So many bytes are written at once.
const PIECE: usize = 1 << 20;

impl Lines {
    /// Opens what was kept under a name, if it was made by the same rules; else there is nothing.
    pub(super) fn open(exports: &Path, name: &str, fingerprint: [u8; 32]) -> std::io::Result<Self> {
        let folder = exports.join(FOLDER);
        create_private(&folder)?;
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(format!("{name}.ndjson")))?;
        let mut lines = Self {
            name: name.to_owned(),
            fingerprint,
            file,
            fresh: Vec::new(),
            end: 0,
            of: Vec::new(),
            seen: None,
            folder,
        };
        let is_whole = fs::read(lines.place()).is_ok_and(|bytes| lines.parse(&bytes).is_some());
        if !is_whole || lines.file.metadata()?.len() < lines.end {
            lines.clear()?;
        }
        // What was written behind it belongs to nobody.
        lines.file.set_len(lines.end)?;
        Ok(lines)
    }

    fn place(&self) -> PathBuf {
        self.folder.join(format!("{}.places", self.name))
    }

    /// Throws everything away.
    pub(super) fn clear(&mut self) -> std::io::Result<()> {
        (self.end, self.seen) = (0, None);
        self.of.clear();
        self.fresh.clear();
        let _ = fs::remove_file(self.place());
        self.file.set_len(0)
    }

    /// Forgets the lines of what changed, and all of them when they are of another store, or when
    /// more than half of the file is of lines that were replaced.
    pub(super) fn refresh(&mut self, db: &mut Db) -> Result<()> {
        let failed = |failure: std::io::Error| crate::error::Error::Internal(failure.to_string());
        let last = changes::last_change(db)?;
        let now = changes::seen(db, last)?;
        let is_same = match &self.seen {
            Some((seen, was)) => *seen <= last && changes::seen(db, *seen)? == *was,
            None => false,
        };
        let used: u64 = self.of.iter().map(|line| u64::from(line.length)).sum();
        if !is_same || used < self.end / 2 {
            self.clear().map_err(failed)?;
            self.seen = Some((last, now));
            return Ok(());
        }
        if let Some((seen, _)) = self.seen {
            let mut studies = changes::list_changed(db, Kind::Study, seen)?;
            let patients = changes::list_changed(db, Kind::Patient, seen)?;
            studies.extend(read::list_studies_of_patients(db, &patients)?);
            for study in studies {
                let Some(line) = slot(study).and_then(|at| self.of.get_mut(at)) else { continue };
                let Line { at, length } = std::mem::take(line);
                // Of what was removed from the archive nothing stays here.
                let blank = vec![b' '; usize::try_from(length).unwrap_or(0)];
                let write =
                    self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.write_all(&blank));
                write.map_err(failed)?;
            }
        }
        self.seen = Some((last, now));
        Ok(())
    }

    fn line(&self, number: i64) -> Option<Line> {
        slot(number).and_then(|at| self.of.get(at)).copied().filter(|line| line.length > 0)
    }

    /// Those of the studies that have no line.
    pub(super) fn missing(&self, numbers: &[i64]) -> Vec<i64> {
        numbers.iter().copied().filter(|number| self.line(*number).is_none()).collect()
    }

    /// Puts the line of a study, with its end.
    pub(super) fn put(&mut self, number: i64, line: &[u8]) -> std::io::Result<()> {
        let (Some(at), Ok(length)) = (slot(number), u32::try_from(line.len())) else {
            return Ok(());
        };
        if self.of.len() <= at {
            self.of.resize(at + 1, Line::default());
        }
        if let Some(known) = self.of.get_mut(at) {
            *known = Line { at: self.end, length };
        }
        self.end += u64::from(length);
        self.fresh.extend_from_slice(line);
        if self.fresh.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end - self.fresh.len() as u64))?;
        self.file.write_all(&self.fresh)?;
        self.fresh.clear();
        Ok(())
    }

    /// Makes what was put outlive this process and a power cut.
    pub(super) fn save(&mut self) -> std::io::Result<()> {
        self.flush()?;
        self.file.sync_all()?;
        let mut out = Vec::with_capacity(self.of.len() * 12 + 256);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.fingerprint);
        let seen = serde_json::to_vec(
            &self.seen.as_ref().map(|(seen, was)| (seen, &was.store, was.entry)),
        )?;
        out.extend_from_slice(&(seen.len() as u64).to_le_bytes());
        out.extend_from_slice(&seen);
        out.extend_from_slice(&self.end.to_le_bytes());
        for line in &self.of {
            out.extend_from_slice(&line.at.to_le_bytes());
            out.extend_from_slice(&line.length.to_le_bytes());
        }
        let digest = Sha256::digest(&out);
        out.extend_from_slice(&digest);
        let beside = self.place().with_extension("part");
        let mut file = File::create(&beside)?;
        file.write_all(&out)?;
        file.sync_all()?;
        fs::rename(beside, self.place())
    }

    fn parse(&mut self, bytes: &[u8]) -> Option<()> {
        let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        if Sha256::digest(body).as_slice() != digest {
            return None;
        }
        let rest = body.strip_prefix(MAGIC)?.strip_prefix(&self.fingerprint)?;
        let (length, rest) = rest.split_at_checked(8)?;
        let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
        let (seen, rest) = rest.split_at_checked(length)?;
        type Kept = Option<(i64, String, Option<(i16, i64, i64)>)>;
        let seen: Kept = serde_json::from_slice(seen).ok()?;
        let (end, rest) = rest.split_at_checked(8)?;
        self.end = u64::from_le_bytes(end.try_into().ok()?);
        let (lines, rest) = rest.as_chunks::<12>();
        for line in lines {
            let (at, length) = line.split_at(8);
            let at = u64::from_le_bytes(at.try_into().ok()?);
            let length = u32::from_le_bytes(length.try_into().ok()?);
            if at.checked_add(u64::from(length))? > self.end {
                return None;
            }
            self.of.push(Line { at, length });
        }
        self.seen = seen.map(|(seen, store, entry)| (seen, Seen { store, entry }));
        rest.is_empty().then_some(())
    }

    /// The lines of studies in their order, as few runs as they stand in; none is longer than
    /// `longest`, unless a line is. Studies without a line have none.
    pub(super) fn runs(&self, numbers: &[i64], longest: u64) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for line in numbers.iter().filter_map(|number| self.line(*number)) {
            let length = u64::from(line.length);
            match runs.last_mut() {
                Some(run) if run.at + run.length == line.at && run.length + length <= longest => {
                    run.length += length;
                    run.count += 1;
                }
                _ => runs.push(Run { at: line.at, length, count: 1 }),
            }
        }
        runs
    }

    /// Copies a run.
    pub(super) fn copy(
        &mut self,
        run: Run,
        mut put: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(run.at))?;
        let mut piece = vec![0_u8; PIECE];
        let mut left = run.length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = piece.get_mut(..most).unwrap_or_default();
            self.file.read_exact(piece)?;
            put(piece)?;
            left -= piece.len() as u64;
        }
        Ok(())
    }
}

/// The bytes of all lines that are kept beside the exports.
pub(super) fn bytes(exports: &Path) -> u64 {
    let files = fs::read_dir(exports.join(FOLDER)).into_iter().flatten().flatten();
    let is_lines = |file: &fs::DirEntry| {
        file.path().extension().is_some_and(|extension| extension == "ndjson")
    };
    files.filter(is_lines).filter_map(|file| file.metadata().ok()).map(|known| known.len()).sum()
}

/// When they were last used, in microseconds since 1970-01-01T00:00:00Z.
pub(super) fn used(exports: &Path) -> Option<i64> {
    let files = fs::read_dir(exports.join(FOLDER)).ok()?.flatten();
    let times = files.filter_map(|file| file.metadata().ok()?.modified().ok());
    let last = times.max()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(last.as_micros()).ok()
}

/// Removes them. Who copies from them meanwhile goes on.
pub(super) fn remove(exports: &Path) {
    let folder = exports.join(FOLDER);
    if let Err(failure) = fs::remove_dir_all(&folder)
        && failure.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%failure, folder = %folder.display(), "kept lines were not removed");
    }
}

fn slot(number: i64) -> Option<usize> {
    // Numbers are handed out one after another; a damaged one must not take the memory.
    u32::try_from(number).ok().and_then(|number| usize::try_from(number).ok())
}
