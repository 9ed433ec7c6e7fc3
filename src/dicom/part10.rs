//! A file that is handed out again: as PS3.10, as DICOM JSON, or a value of it.
//!
//! In: an opened file. Out: its bytes by place (never all at once), its identity, its content.
//! What older devices wrote without preamble or file meta information gets both, because
//! `application/dicom` is PS3.10 (PS3.18 section 8.7.3.3); every byte behind them is the file's.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::input::{Inflating, Input, Slice, Window};
use super::plan::tag;
use super::read::{Meta, PREAMBLE, detect, encoding_of};
use super::scan::{Leaf, Scan, Step, trouble};
use super::walk::Encoding;
use super::write;
use crate::imaging::{Quarantine, Uid};

const SOP_CLASS: u32 = tag(0x0008, 0x0016);
const SOP_INSTANCE: u32 = tag(0x0008, 0x0018);
const STUDY: u32 = tag(0x0020, 0x000d);
const SERIES: u32 = tag(0x0020, 0x000e);
const DOCUMENT: u32 = tag(0x0042, 0x0011);

/// Which instance a data set says that it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    /// StudyInstanceUID.
    pub study: String,
    /// SeriesInstanceUID.
    pub series: String,
    /// SOPInstanceUID.
    pub instance: String,
    sop_class: String,
}

/// An opened file.
#[derive(Debug)]
pub struct Part10 {
    file: File,
    size: u64,
    /// What stands before the file's own bytes.
    prefix: Vec<u8>,
    /// Where the file's own bytes begin.
    from: u64,
    pub(super) data_set: u64,
    pub(super) encoding: Encoding,
    pub(super) is_deflated: bool,
    syntax: String,
    identity: Identity,
}

impl Part10 {
    /// Looks at the head of a file and at which instance it is; pixel data are not read.
    ///
    /// # Errors
    /// Why it cannot be handed out.
    pub fn open(file: File, size: u64) -> Result<Self, Quarantine> {
        let mut buffer = Vec::new();
        let mut window = Window::new(&file, size, &mut buffer);
        let start = {
            let first = window.at(0, PREAMBLE + 4).map_err(|failure| trouble(&failure, 0))?;
            if first.get(PREAMBLE..) == Some(b"DICM") {
                PREAMBLE as u64 + 4
            } else if first.starts_with(b"DICM") {
                4
            } else {
                0
            }
        };
        let meta = Meta::read(&mut window, start)?;
        let (declared, is_deflated) = encoding_of(meta.syntax.as_deref().unwrap_or_default());
        let encoding =
            if is_deflated { declared } else { detect(&mut window, meta.end, declared)? };
        let mut opened = Self {
            file,
            size,
            prefix: Vec::new(),
            from: 0,
            data_set: meta.end,
            encoding,
            is_deflated,
            syntax: meta.syntax.clone().unwrap_or_else(|| syntax_of(encoding).to_owned()),
            identity: Identity::default(),
        };
        opened.identity = opened.identify()?;
        if start != PREAMBLE as u64 + 4 || meta.syntax.is_none() {
            let identity = &opened.identity;
            let head = write::head(&identity.sop_class, &identity.instance, &opened.syntax);
            opened.prefix = head.map_err(|failure| Quarantine {
                code: "file-meta-missing".to_owned(),
                path: String::new(),
                offset: None,
                detail: failure.to_string(),
            })?;
            opened.from = meta.end;
        }
        Ok(opened)
    }

    /// Which instance the data set says that it is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// TransferSyntaxUID: as the file meta information has it, else what the encoding shows.
    #[must_use]
    pub fn syntax(&self) -> &str {
        &self.syntax
    }

    /// Bytes as PS3.10.
    #[must_use]
    pub fn length(&self) -> u64 {
        (self.prefix.len() as u64).saturating_add(self.size.saturating_sub(self.from))
    }

    /// Bytes of the file as PS3.10, from a place on: fewer than asked for only at its end.
    ///
    /// # Errors
    /// When reading fails.
    pub fn read(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let prefix = self.prefix.len() as u64;
        if at < prefix {
            let rest = self.prefix.get(usize::try_from(at).unwrap_or(0)..).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            return Ok(count);
        }
        self.read_file(self.from.saturating_add(at - prefix), into)
    }

    /// Bytes of the file as it is.
    ///
    /// # Errors
    /// When reading fails.
    pub fn read_file(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            let rest = into.get_mut(filled..).unwrap_or_default();
            match self.file.read_at(rest, at.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Hands the data set's steps to `work`.
    pub(super) fn scanned<T>(
        &self,
        work: impl FnOnce(&mut Scan<'_>) -> Result<T, Quarantine>,
    ) -> Result<T, Quarantine> {
        let mut buffer = Vec::new();
        let mut window = Window::new(&self.file, self.size, &mut buffer);
        if self.is_deflated {
            let mut inflating = Inflating::new(&mut window, self.data_set);
            work(&mut Scan::new(&mut inflating, 0, self.encoding))
        } else {
            work(&mut Scan::new(&mut window, self.data_set, self.encoding))
        }
    }

    fn identify(&self) -> Result<Identity, Quarantine> {
        self.scanned(|scan| {
            let mut identity = Identity::default();
            while let Some(step) = scan.next()? {
                let Step::Leaf(leaf) = step else { continue };
                if scan.depth() > 1 {
                    continue;
                }
                let place = match leaf.tag {
                    SOP_CLASS => &mut identity.sop_class,
                    SOP_INSTANCE => &mut identity.instance,
                    STUDY => &mut identity.study,
                    SERIES => &mut identity.series,
                    later if later > SERIES => break,
                    _ => continue,
                };
                *place = uid(scan, &leaf)?;
            }
            Ok(identity)
        })
    }
}

/// A UID as ingest reads it; empty where there is none.
fn uid(scan: &mut Scan<'_>, leaf: &Leaf) -> Result<String, Quarantine> {
    let length = leaf.length.unwrap_or(0).min(66);
    let bytes = scan.bytes(leaf.at, usize::try_from(length).unwrap_or(0))?;
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    Ok(Uid::parse_lenient(&text).map_or_else(|_| String::new(), |uid| uid.to_string()))
}

/// The transfer syntax of an uncompressed data set that does not name it.
const fn syntax_of(encoding: Encoding) -> &'static str {
    match (encoding.explicit, encoding.big) {
        (true, true) => "1.2.840.10008.1.2.2",
        (true, false) => "1.2.840.10008.1.2.1",
        (false, _) => "1.2.840.10008.1.2",
    }
}

/// Which instance a file is that is held whole, and the document that it encapsulates (PS3.3
/// C.24.2), with the padding to an even length.
///
/// # Errors
/// Why it cannot be read.
pub fn encapsulated_document(bytes: &[u8]) -> Result<(Identity, Option<Vec<u8>>), Quarantine> {
    let mut input = Slice(bytes);
    let meta = Meta::read(&mut input, start_of(bytes))?;
    let (declared, is_deflated) = encoding_of(meta.syntax.as_deref().unwrap_or_default());
    if is_deflated {
        let mut inflating = Inflating::new(&mut input, meta.end);
        return document_in(&mut Scan::new(&mut inflating, 0, declared));
    }
    let encoding = detect(&mut input, meta.end, declared)?;
    document_in(&mut Scan::new(&mut input, meta.end, encoding))
}

fn document_in(scan: &mut Scan<'_>) -> Result<(Identity, Option<Vec<u8>>), Quarantine> {
    let (mut identity, mut document) = (Identity::default(), None);
    while let Some(step) = scan.next()? {
        let Step::Leaf(leaf) = step else { continue };
        if scan.depth() > 1 {
            continue;
        }
        match leaf.tag {
            SOP_CLASS => identity.sop_class = uid(scan, &leaf)?,
            SOP_INSTANCE => identity.instance = uid(scan, &leaf)?,
            STUDY => identity.study = uid(scan, &leaf)?,
            SERIES => identity.series = uid(scan, &leaf)?,
            DOCUMENT => {
                let length = usize::try_from(leaf.length.unwrap_or(0)).unwrap_or(usize::MAX);
                document = Some(scan.bytes(leaf.at, length)?.to_vec());
            }
            later if later > DOCUMENT => break,
            _ => {}
        }
    }
    Ok((identity, document))
}

/// Where the file meta information of a file begins: a server may hand on what an old device
/// wrote, without a preamble.
fn start_of(bytes: &[u8]) -> u64 {
    match (bytes.get(PREAMBLE..PREAMBLE + 4), bytes.starts_with(b"DICM")) {
        (Some(b"DICM"), _) => PREAMBLE as u64 + 4,
        (_, true) => 4,
        (_, false) => 0,
    }
}

/// What the first bytes of a file tell of the instance that it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// SOPInstanceUID of the data set.
    Is(String),
    /// More bytes are needed.
    NotYet,
    /// The data set names no instance.
    Nothing,
}

/// Which instance a file is, by its first bytes.
#[must_use]
pub fn instance_of_head(bytes: &[u8]) -> Told {
    if bytes.len() < PREAMBLE + 4 {
        return Told::NotYet;
    }
    let start = start_of(bytes);
    // What is cut off looks like what is damaged: with more bytes it may be whole.
    let mut input = Slice(bytes);
    let Ok(meta) = Meta::read(&mut input, start) else { return Told::NotYet };
    let (declared, is_deflated) = encoding_of(meta.syntax.as_deref().unwrap_or_default());
    let found = if is_deflated {
        let mut inflating = Inflating::new(&mut input, meta.end);
        instance_in(&mut Scan::new(&mut inflating, 0, declared))
    } else {
        let encoding = detect(&mut input, meta.end, declared).unwrap_or(declared);
        instance_in(&mut Scan::new(&mut input, meta.end, encoding))
    };
    match found {
        Ok(Some(uid)) if uid.is_empty() => Told::Nothing,
        Ok(Some(uid)) => Told::Is(uid),
        Ok(None) | Err(_) => Told::NotYet,
    }
}

/// SOPInstanceUID; empty where the data set has none.
fn instance_in(scan: &mut Scan<'_>) -> Result<Option<String>, Quarantine> {
    while let Some(step) = scan.next()? {
        match step {
            Step::Leaf(leaf) if scan.depth() == 1 && leaf.tag == SOP_INSTANCE => {
                return uid(scan, &leaf).map(Some);
            }
            Step::Leaf(leaf) if scan.depth() == 1 && leaf.tag > SOP_INSTANCE => {
                return Ok(Some(String::new()));
            }
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::{Told, encapsulated_document, instance_of_head};
    use crate::dicom::write::DataSet;

    #[test]
    fn a_document_is_taken_out_of_what_encapsulates_it() {
        let file = DataSet::new()
            .text("SOPClassUID", "1.2.840.10008.5.1.4.1.1.104.1")
            .text("SOPInstanceUID", "2.25.3")
            .text("StudyInstanceUID", "2.25.1")
            .text("SeriesInstanceUID", "2.25.2")
            .bytes("EncapsulatedDocument", b"%PDF-1.4")
            .to_part_10()
            .unwrap();
        let (identity, document) = encapsulated_document(&file).unwrap();
        assert_eq!((&*identity.study, &*identity.instance), ("2.25.1", "2.25.3"));
        assert_eq!(document.as_deref(), Some(&b"%PDF-1.4"[..]));
        for length in 0..file.len() {
            // Cut off or damaged: an error or no document, never half of one.
            let found = encapsulated_document(&file[..length]);
            assert!(found.is_err() || found.unwrap().1.is_none(), "{length}");
        }
    }

    #[test]
    fn a_file_tells_its_instance_as_soon_as_it_can() {
        let file = DataSet::new()
            .text("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2")
            .text("SOPInstanceUID", "2.25.3")
            .text("Modality", "CT")
            .to_part_10()
            .unwrap();
        assert_eq!(instance_of_head(&file), Told::Is("2.25.3".to_owned()));
        for length in 0..file.len() {
            let told = instance_of_head(&file[..length]);
            assert!(matches!(told, Told::NotYet | Told::Is(_)), "{length}");
            assert!(told == Told::NotYet || told == Told::Is("2.25.3".to_owned()), "{length}");
        }
        assert_eq!(instance_of_head(&[0; 200]), Told::NotYet);
        let bare = [&file[132..], &[0; 132]].concat();
        assert_eq!(instance_of_head(&bare), Told::Is("2.25.3".to_owned()));
    }
}
