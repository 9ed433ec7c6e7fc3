//! The index as a file: saves the rebuild at start.
//!
//! Layout: magic, format, a fingerprint of the rules that made the facts, the store's
//! id, the change number with its entry, the dictionary with its bitmaps (Roaring's own format), the sets, the findings, the slots; a SHA-256 over
//! all of it at the end. Little endian. Written beside, synced, then renamed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use roaring::RoaringBitmap;
use sha2::{Digest as _, Sha256};

use super::terms::{Dictionary, Sets};
use super::view::{SeriesSlot, StudySlot, View};
use crate::imaging::{Facet, Started};
use crate::mapping::Context;

const MAGIC: &[u8; 8] = b"vesalidx";
const FORMAT: u32 = 7;

pub(super) fn save(path: &Path, view: &View, context: &Context) -> std::io::Result<()> {
    let mut out = Out(Vec::with_capacity(1 << 20));
    out.0.extend_from_slice(MAGIC);
    out.u32(FORMAT);
    out.bytes(&context.fingerprint());
    out.bytes(view.seen.store.as_bytes());
    out.i64(view.seq);
    out.0.push(u8::from(view.seen.entry.is_some()));
    if let Some((kind, number, mark)) = view.seen.entry {
        out.u32(u32::from(kind.cast_unsigned()));
        out.i64(number);
        out.i64(mark);
    }
    out.u32(view.dictionary.len() as u32);
    for (at, posting) in view.dictionary.postings.iter().enumerate() {
        let (facet, text) = view.dictionary.text(at as u32);
        let facet = Facet::ALL.iter().position(|known| *known == facet).unwrap_or(0);
        out.u32(facet as u32);
        out.bytes(text.as_bytes());
        out.bitmap(&posting.series)?;
        out.bitmap(&posting.studies)?;
    }
    out.u32(view.sets.len() as u32);
    for terms in view.sets.iter() {
        out.u32(terms.len() as u32);
        terms.iter().for_each(|term| out.u32(*term));
    }
    for bitmap in [&view.all_studies, &view.all_series, &view.all_patients] {
        out.bitmap(bitmap)?;
    }
    out.u32(view.findings.len() as u32);
    for (kind, studies) in &view.findings {
        out.bytes(kind.as_bytes());
        out.bitmap(studies)?;
    }
    for at in &view.all_studies {
        let Some(study) = view.studies.get(at as usize) else { continue };
        out.u32(study.set);
        out.u32(study.patient);
        out.i64(study.updated);
        match study.started {
            None => out.0.push(0),
            Some(started) => {
                out.0.push(1);
                out.i64(started.from);
                out.i64(started.to);
                out.u32(u32::from(started.year.cast_unsigned()));
                out.u32(u32::from(started.month.cast_unsigned()));
            }
        }
        out.u32(study.series.len() as u32);
        study.series.iter().for_each(|series| out.u32(*series));
    }
    for at in &view.all_series {
        let Some(series) = view.series.get(at as usize) else { continue };
        for number in [series.study, series.patient, series.set, series.images, series.spacing] {
            out.u32(number);
        }
        out.i64(series.bytes.cast_signed());
    }
    let digest = Sha256::digest(&out.0);
    out.0.extend_from_slice(&digest);

    let beside = path.with_extension("part");
    let mut file = File::create(&beside)?;
    file.write_all(&out.0)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    // The folder too, or the rename may not survive a power cut.
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// `Ok(None)` when there is no file.
pub(super) fn load(path: &Path, context: &Context) -> Result<Option<View>, String> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(failure) => return Err(failure.to_string()),
        Ok(mut file) => file.read_to_end(&mut bytes).map_err(|failure| failure.to_string())?,
    };
    let body = bytes.len().checked_sub(32).ok_or("it is too short")?;
    let (body, digest) = bytes.split_at(body);
    if Sha256::digest(body).as_slice() != digest {
        return Err("its checksum is wrong".to_owned());
    }
    parse(body, context)
        .ok_or_else(|| "it was made by another version or by other rules".to_owned())
        .map(Some)
}

fn parse(bytes: &[u8], context: &Context) -> Option<View> {
    let mut input = In(bytes);
    if input.take(8)? != MAGIC || input.u32()? != FORMAT || input.bytes()? != context.fingerprint()
    {
        return None;
    }
    let mut view = View::default();
    view.seen.store = std::str::from_utf8(input.bytes()?).ok()?.to_owned();
    view.seq = input.i64()?;
    if input.take(1)? == [1] {
        let kind = u16::try_from(input.u32()?).ok()?.cast_signed();
        view.seen.entry = Some((kind, input.i64()?, input.i64()?));
    }
    let mut dictionary = Dictionary::default();
    for _ in 0..input.u32()? {
        let facet = *Facet::ALL.get(input.u32()? as usize)?;
        let term = dictionary.intern(facet, std::str::from_utf8(input.bytes()?).ok()?);
        let posting = dictionary.postings.get_mut(term as usize)?;
        posting.series = input.bitmap()?;
        posting.studies = input.bitmap()?;
    }
    let mut sets = Sets::default();
    for _ in 0..input.u32()? {
        let terms = (0..input.u32()?).map(|_| input.u32()).collect::<Option<Vec<_>>>()?;
        sets.intern(terms);
    }
    view.dictionary = dictionary;
    view.sets = sets;
    view.all_studies = input.bitmap()?;
    view.all_series = input.bitmap()?;
    view.all_patients = input.bitmap()?;
    for _ in 0..input.u32()? {
        let kind = std::str::from_utf8(input.bytes()?).ok()?.into();
        view.findings.insert(kind, input.bitmap()?);
    }
    let size = |bitmap: &RoaringBitmap| bitmap.max().map_or(0, |last| last as usize + 1);
    view.studies = vec![StudySlot::default(); size(&view.all_studies)];
    view.series = vec![SeriesSlot::default(); size(&view.all_series)];
    for at in view.all_studies.clone() {
        let slot = view.studies.get_mut(at as usize)?;
        slot.is_there = true;
        slot.set = input.u32()?;
        slot.patient = input.u32()?;
        slot.updated = input.i64()?;
        if input.take(1)? == [1] {
            slot.started = Some(Started {
                from: input.i64()?,
                to: input.i64()?,
                year: u16::try_from(input.u32()?).ok()?.cast_signed(),
                month: u8::try_from(input.u32()?).ok()?.cast_signed(),
            });
        }
        let count = input.u32()?;
        slot.series = (0..count).map(|_| input.u32()).collect::<Option<Vec<_>>>()?.into();
    }
    for at in view.all_series.clone() {
        let slot = view.series.get_mut(at as usize)?;
        slot.study = input.u32()?;
        slot.patient = input.u32()?;
        slot.set = input.u32()?;
        slot.images = input.u32()?;
        slot.spacing = input.u32()?;
        slot.bytes = input.i64()?.cast_unsigned();
    }
    input.0.is_empty().then_some(view)
}

struct Out(Vec<u8>);

impl Out {
    fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn i64(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
    }

    fn bitmap(&mut self, bitmap: &RoaringBitmap) -> std::io::Result<()> {
        self.u32(bitmap.serialized_size() as u32);
        bitmap.serialize_into(&mut self.0)
    }
}

struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn bitmap(&mut self) -> Option<RoaringBitmap> {
        RoaringBitmap::deserialize_from(self.bytes()?).ok()
    }
}
