//! Bytes of a data set by place, without ever holding more of them than a window.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use flate2::{Decompress, FlushDecompress, Status};

/// The most that is asked for at once.
pub(super) const LARGEST: usize = 64 * 1024;
/// Inflating a data set may give this many times the bytes of the file …
const RATIO: u64 = 200;
/// … but may always give this much, because small uniform images deflate better than that …
const ALWAYS: u64 = 1 << 20;
/// … and never more than this.
const INFLATED: u64 = 512 << 20;

/// Why bytes cannot be had.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The operating system says so.
    Io(io::Error),
    /// The deflated stream is damaged.
    Inflate,
    /// The deflated stream holds more than the bounds allow.
    Bomb,
}

/// A source of bytes, read forwards.
pub(super) trait Input {
    /// The place behind the last byte, or a bound for it where it is not known beforehand.
    fn end(&self) -> u64;

    /// The bytes at a place: as many as asked for, or fewer where the input ends. Places never
    /// go back by more than what was last asked for.
    fn at(&mut self, place: u64, length: usize) -> Result<&[u8], Trouble>;
}

/// All of it in memory.
pub(super) struct Slice<'a>(pub(super) &'a [u8]);

impl Input for Slice<'_> {
    fn end(&self) -> u64 {
        self.0.len() as u64
    }

    fn at(&mut self, place: u64, length: usize) -> Result<&[u8], Trouble> {
        let Some(rest) = usize::try_from(place).ok().and_then(|place| self.0.get(place..)) else {
            return Ok(&[]);
        };
        Ok(rest.get(..length).unwrap_or(rest))
    }
}

/// A file through a window.
pub(super) struct Window<'a> {
    file: &'a File,
    end: u64,
    start: u64,
    buffer: &'a mut Vec<u8>,
    step: usize,
}

/// What is read of a file at first: the attributes of most objects fit.
const FIRST: usize = 8 * 1024;

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a File, end: u64, buffer: &'a mut Vec<u8>) -> Self {
        buffer.clear();
        Self { file, end, start: 0, buffer, step: FIRST }
    }
}

impl Input for Window<'_> {
    fn end(&self) -> u64 {
        self.end
    }

    fn at(&mut self, place: u64, length: usize) -> Result<&[u8], Trouble> {
        let within = place.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let has = |from: usize| {
            from.checked_add(length).is_some_and(|to| to <= self.buffer.len())
                || (from <= self.buffer.len() && self.start + self.buffer.len() as u64 >= self.end)
        };
        let from = match within {
            Some(from) if has(from) => from,
            _ => {
                let want = length.max(self.step).min(LARGEST.max(length));
                self.step = (self.step * 2).min(LARGEST);
                self.buffer.resize(want, 0);
                let mut filled = 0;
                while filled < want {
                    let rest = self.buffer.get_mut(filled..).unwrap_or_default();
                    match self.file.read_at(rest, place + filled as u64) {
                        Ok(0) => break,
                        Ok(count) => filled += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(Trouble::Io(error)),
                    }
                }
                self.buffer.truncate(filled);
                self.start = place;
                if filled < want {
                    self.end = self.end.min(place + filled as u64).max(place);
                }
                0
            }
        };
        let rest = self.buffer.get(from..).unwrap_or_default();
        Ok(rest.get(..length).unwrap_or(rest))
    }
}

/// A deflated data set (PS3.5 A.5) behind another input, inflated as it is read.
pub(super) struct Inflating<'a, I> {
    source: &'a mut I,
    next: u64,
    stream: Decompress,
    is_done: bool,
    /// Inflated bytes from `start` on.
    buffer: Vec<u8>,
    start: u64,
    limit: u64,
}

impl<'a, I: Input> Inflating<'a, I> {
    /// `from` is where the deflated bytes begin.
    pub(super) fn new(source: &'a mut I, from: u64) -> Self {
        let deflated = source.end().saturating_sub(from);
        let limit = deflated.saturating_mul(RATIO).clamp(ALWAYS, INFLATED);
        Self {
            source,
            next: from,
            stream: Decompress::new(false),
            is_done: false,
            buffer: Vec::new(),
            start: 0,
            limit,
        }
    }
}

impl<I: Input> Input for Inflating<'_, I> {
    fn end(&self) -> u64 {
        if self.is_done { self.start + self.buffer.len() as u64 } else { u64::MAX / 2 }
    }

    fn at(&mut self, place: u64, length: usize) -> Result<&[u8], Trouble> {
        let until = place.saturating_add(length as u64);
        while !self.is_done && self.start + (self.buffer.len() as u64) < until {
            // What lies before the place will not be asked for again.
            let passed = place.saturating_sub(self.start).min(self.buffer.len() as u64);
            if passed >= LARGEST as u64 {
                self.buffer.drain(..usize::try_from(passed).unwrap_or(0));
                self.start += passed;
            }
            self.buffer.reserve(LARGEST);
            let input = self.source.at(self.next, LARGEST)?;
            let (read, made) = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress_vec(input, &mut self.buffer, FlushDecompress::None)
                .map_err(|_| Trouble::Inflate)?;
            let is_empty = input.is_empty();
            self.next += self.stream.total_in() - read;
            self.is_done =
                status == Status::StreamEnd || (is_empty && self.stream.total_out() == made);
            if self.stream.total_out() > self.limit {
                return Err(Trouble::Bomb);
            }
            let is_stuck = self.stream.total_in() == read && self.stream.total_out() == made;
            if is_stuck && !self.is_done {
                return Err(Trouble::Inflate);
            }
        }
        let Some(from) = place.checked_sub(self.start).and_then(|from| usize::try_from(from).ok())
        else {
            return Ok(&[]);
        };
        let rest = self.buffer.get(from..).unwrap_or_default();
        Ok(rest.get(..length).unwrap_or(rest))
    }
}
