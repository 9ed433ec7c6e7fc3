//! Lines of whole studies, kept ready for exports: rendering an archive costs much more than
//! copying it. A view like any other: it knows the last change that it has seen, forgets what
//! changed since, and can be thrown away. [`super::ahead`] keeps it up with the change feed; an
//! export adds what is still missing. Every line has a checksum, which is looked at before the
//! line is handed out: what a power cut tore, or a disk damaged, is rendered again. Its bytes count
//! among those that exports may use, and give way to a job that needs the room.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use flate2::Crc;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::mapping::fhir::View;
use crate::store::changes::{self, Kind, Seen};
use crate::store::{Db, create_private, read};

/// The folder beside the jobs.
pub(super) const FOLDER: &str = "kept";

/// The name of a rendering.
pub(super) const fn name(view: View) -> &'static str {
    match view {
        View::Care => "care",
        View::DeIdentified => "de-identified",
        View::Pseudonymous => "pseudonymous",
    }
}

const MAGIC: &[u8; 8] = b"vesalixq";

/// Where the line of a study is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Line {
    at: u64,
    /// With the line's end; 0: there is none.
    length: u32,
    /// CRC-32 of the line.
    sum: u32,
}

impl Line {
    /// A line as the file of places has it.
    const BYTES: usize = 16;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let (at, rest) = out.split_at_mut(8);
        let (length, sum) = rest.split_at_mut(4);
        at.copy_from_slice(&self.at.to_le_bytes());
        length.copy_from_slice(&self.length.to_le_bytes());
        sum.copy_from_slice(&self.sum.to_le_bytes());
        out
    }

    fn of_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (at, rest) = bytes.split_at(8);
        let (length, sum) = rest.split_at(4);
        Some(Self {
            at: u64::from_le_bytes(at.try_into().ok()?),
            length: u32::from_le_bytes(length.try_into().ok()?),
            sum: u32::from_le_bytes(sum.try_into().ok()?),
        })
    }

    fn end(self) -> u64 {
        self.at.saturating_add(self.length.into())
    }

    /// Overwrites it: of what was removed from the archive nothing stays here.
    fn blank(self, file: &File) -> std::io::Result<()> {
        let blank = vec![b' '; usize::try_from(self.length).unwrap_or(0)];
        file.write_all_at(&blank, self.at)
    }

    fn holds(self, bytes: &[u8]) -> bool {
        sum(bytes) == self.sum
    }
}

fn sum(bytes: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(bytes);
    sum.sum()
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
    /// Whether the file of places says all of this.
    is_saved: bool,
    /// No other process has them open meanwhile.
    _lock: File,
}

/// So many bytes are written at once, and read at once but for a line that is longer.
const PIECE: usize = 2 << 20;

impl Lines {
    /// Opens what was kept under a name, if it was made by the same rules; else there is nothing.
    /// `None`: another process has it open.
    pub(super) fn open(
        exports: &Path,
        name: &str,
        fingerprint: [u8; 32],
    ) -> std::io::Result<Option<Self>> {
        let folder = exports.join(FOLDER);
        create_private(&folder)?;
        let lock = File::open(&folder)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(failure) => return Err(failure.into()),
        }
        let file = open(&folder.join(format!("{name}.ndjson")))?;
        let mut lines = Self {
            name: name.to_owned(),
            fingerprint,
            file,
            fresh: Vec::new(),
            end: 0,
            of: Vec::new(),
            seen: None,
            folder,
            is_saved: false,
            _lock: lock,
        };
        lines.is_saved = fs::read(lines.place()).is_ok_and(|bytes| lines.parse(&bytes).is_some());
        if !lines.is_saved || lines.file.metadata()?.len() < lines.end {
            lines.clear()?;
        }
        // What was written behind it belongs to nobody.
        lines.file.set_len(lines.end)?;
        Ok(Some(lines))
    }

    fn place(&self) -> PathBuf {
        self.folder.join(format!("{}.places", self.name))
    }

    /// Throws everything away.
    pub(super) fn clear(&mut self) -> std::io::Result<()> {
        (self.end, self.seen, self.is_saved) = (0, None, false);
        self.of.clear();
        self.fresh.clear();
        let _ = fs::remove_file(self.place());
        self.file.set_len(0)
    }

    /// Forgets the lines of what changed, and all of them when they are of another store.
    pub(super) fn refresh(&mut self, db: &mut Db) -> Result<()> {
        let failed = |failure: std::io::Error| crate::error::Error::Internal(failure.to_string());
        let last = changes::last_change(db)?;
        let now = changes::seen(db, last)?;
        let is_same = match &self.seen {
            Some((seen, was)) => *seen <= last && changes::seen(db, *seen)? == *was,
            None => false,
        };
        if !is_same {
            self.clear().map_err(failed)?;
            self.seen = Some((last, now));
            return Ok(());
        }
        if self.seen.as_ref().is_some_and(|(seen, _)| *seen == last) {
            return Ok(());
        }
        self.is_saved = false;
        if let Some((seen, _)) = self.seen {
            let mut studies = changes::list_changed(db, Kind::Study, seen)?;
            let patients = changes::list_changed(db, Kind::Patient, seen)?;
            studies.extend(read::list_studies_of_patients(db, &patients)?);
            for study in studies {
                let Some(line) = slot(study).and_then(|at| self.of.get_mut(at)) else { continue };
                std::mem::take(line).blank(&self.file).map_err(failed)?;
            }
        }
        self.seen = Some((last, now));
        if self.bytes() < self.end / 2 {
            self.compact().map_err(failed)?;
        }
        Ok(())
    }

    /// Bytes of the lines that there are.
    pub(super) fn bytes(&self) -> u64 {
        self.of.iter().map(|line| u64::from(line.length)).sum()
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> usize {
        self.of.iter().filter(|line| line.length > 0).count()
    }

    /// Writes the file anew without what was replaced. A process that is killed meanwhile leaves
    /// lines without places, which are thrown away.
    fn compact(&mut self) -> std::io::Result<()> {
        self.flush()?;
        let beside = self.folder.join(format!("{}.part", self.name));
        let mut out = std::io::BufWriter::with_capacity(PIECE, open(&beside)?);
        out.get_ref().set_len(0)?;
        let (mut end, mut piece) = (0, Vec::new());
        for line in &mut self.of {
            piece.resize(usize::try_from(line.length).unwrap_or(0), 0);
            self.file.read_exact_at(&mut piece, line.at)?;
            out.write_all(&piece)?;
            line.at = end;
            end += u64::from(line.length);
        }
        self.file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        self.end = end;
        let _ = fs::remove_file(self.place());
        fs::rename(beside, self.folder.join(format!("{}.ndjson", self.name)))
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
            self.is_saved = false;
            *known = Line { at: self.end, length, sum: sum(line) };
        }
        self.end += u64::from(length);
        self.fresh.extend_from_slice(line);
        if self.fresh.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.write_all_at(&self.fresh, self.end - self.fresh.len() as u64)?;
        self.fresh.clear();
        Ok(())
    }

    /// Makes what was put outlive this process. What a power cut takes of it is missed by its
    /// checksum; so nobody waits for the disk.
    pub(super) fn save(&mut self) -> std::io::Result<()> {
        if self.is_saved {
            return Ok(());
        }
        self.flush()?;
        let mut out = Vec::with_capacity(self.of.len() * Line::BYTES + 256);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.fingerprint);
        let seen = serde_json::to_vec(
            &self.seen.as_ref().map(|(seen, was)| (seen, &was.store, was.entry)),
        )?;
        out.extend_from_slice(&(seen.len() as u64).to_le_bytes());
        out.extend_from_slice(&seen);
        out.extend_from_slice(&self.end.to_le_bytes());
        for line in &self.of {
            out.extend_from_slice(&line.to_bytes());
        }
        let digest = Sha256::digest(&out);
        out.extend_from_slice(&digest);
        let beside = self.place().with_extension("part");
        fs::write(&beside, &out)?;
        fs::rename(beside, self.place())?;
        self.is_saved = true;
        Ok(())
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
        let (lines, rest) = rest.as_chunks::<{ Line::BYTES }>();
        for line in lines {
            let line = Line::of_bytes(line)?;
            if line.end() > self.end {
                return None;
            }
            self.of.push(line);
        }
        self.seen = seen.map(|(seen, store, entry)| (seen, Seen { store, entry }));
        rest.is_empty().then_some(())
    }

    /// Hands out the lines of studies, as many at once as stand together, and how many they are.
    /// Studies without a line are passed over; those whose line is damaged come back, and have
    /// none any more.
    pub(super) fn copy<E: From<std::io::Error>>(
        &mut self,
        numbers: &[i64],
        mut give: impl FnMut(&[u8], u64) -> Result<(), E>,
    ) -> Result<Vec<i64>, E> {
        self.flush()?;
        let mut damaged = Vec::new();
        let mut numbers = numbers.iter().copied().peekable();
        let (mut piece, mut run) = (Vec::new(), Vec::new());
        while let Some(first) = numbers.next() {
            let Some(mut last) = self.line(first) else { continue };
            let from = last.at;
            run.clear();
            run.push((first, last));
            while let Some(number) = numbers.peek().copied() {
                match self.line(number) {
                    None => {}
                    Some(line) if line.at == last.end() && line.end() - from <= PIECE as u64 => {
                        last = line;
                        run.push((number, line));
                    }
                    Some(_) => break,
                }
                numbers.next();
            }
            let length = usize::try_from(last.end() - from).unwrap_or(usize::MAX);
            piece.resize(length, 0);
            self.file.read_exact_at(&mut piece, from)?;
            let mut rest = piece.as_slice();
            let mut is_whole = true;
            let lines: Vec<(i64, &[u8], bool)> = run
                .iter()
                .map(|(number, known)| {
                    let length = usize::try_from(known.length).unwrap_or(usize::MAX);
                    let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                    rest = after;
                    let holds = known.holds(line);
                    is_whole &= holds;
                    (*number, line, holds)
                })
                .collect();
            if is_whole {
                give(&piece, lines.len() as u64)?;
                continue;
            }
            for (number, line, is_whole) in lines {
                if is_whole {
                    give(line, 1)?;
                } else {
                    damaged.push(number);
                }
            }
        }
        for number in &damaged {
            if let Some(line) = slot(*number).and_then(|at| self.of.get_mut(at)) {
                self.is_saved = false;
                std::mem::take(line).blank(&self.file)?;
            }
        }
        Ok(damaged)
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether lines of a rendering are kept.
pub(super) fn is_there(exports: &Path, view: View) -> bool {
    exports.join(FOLDER).join(format!("{}.ndjson", name(view))).exists()
}

/// Removes the lines of one rendering.
pub(super) fn remove_view(exports: &Path, view: View) {
    for extension in ["places", "ndjson"] {
        let path = exports.join(FOLDER).join(format!("{}.{extension}", name(view)));
        if let Err(failure) = fs::remove_file(&path)
            && failure.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%failure, path = %path.display(), "kept lines were not removed");
        }
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

/// Bytes of the files in the folder of exports: of exports, and of the lines that are kept for them.
#[must_use]
pub fn disk_of_exports(exports: &Path) -> (u64, u64) {
    let of_job = |job: fs::DirEntry| {
        let files = fs::read_dir(job.path()).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|known| known.len()).sum::<u64>()
    };
    let all = fs::read_dir(exports).into_iter().flatten().flatten();
    let jobs = all.filter(|job| job.file_name() != FOLDER).map(of_job).sum();
    (jobs, bytes(exports))
}

/// Removes the lines that are kept in the folder of exports, and tells how many bytes they were.
/// A server that runs finds them gone.
///
/// # Errors
/// When they cannot be removed.
pub fn forget_lines(exports: &Path) -> Result<u64> {
    let bytes = bytes(exports);
    let folder = exports.join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => {
            Err(crate::error::Error::Internal(format!("{}: {failure}", folder.display())))
        }
        _ => Ok(bytes),
    }
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
    if let Err(failure) = forget_lines(exports) {
        tracing::warn!(%failure, "kept lines were not removed");
    }
}

fn slot(number: i64) -> Option<usize> {
    // Numbers are handed out one after another; a damaged one must not take the memory.
    u32::try_from(number).ok().and_then(|number| usize::try_from(number).ok())
}
