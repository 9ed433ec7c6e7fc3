//! Writes data sets as files of PS3.10, explicit VR little endian.
//!
//! Elements are named by keyword; the representation is the dictionary's. A keyword that PS3.6
//! does not know, or a value that its representation cannot hold, is told when the file is
//! written, so that building reads like a list.

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;
use encoding_rs::Encoding;

use super::plan::tag;
use crate::error::{Error, Result};

/// Explicit VR little endian, the only transfer syntax that is written.
pub const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

#[derive(Clone, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Items(Vec<DataSet>),
}

#[derive(Clone, Debug)]
struct Element {
    tag: u32,
    vr: VR,
    content: Content,
}

/// A data set or an item under construction. What is set twice has the later value.
#[derive(Clone, Debug)]
pub struct DataSet {
    elements: Vec<Element>,
    encoding: &'static Encoding,
    fault: Option<String>,
}

impl Default for DataSet {
    fn default() -> Self {
        Self::new()
    }
}

impl DataSet {
    /// An empty one; its text is UTF-8 as far as it goes, and says so only when told to by
    /// [`DataSet::charset`].
    #[must_use]
    pub const fn new() -> Self {
        Self { elements: Vec::new(), encoding: encoding_rs::UTF_8, fault: None }
    }

    /// Declares SpecificCharacterSet and encodes the text that follows by it.
    #[must_use]
    pub fn charset(mut self, declared: &str) -> Self {
        self.encoding = match declared {
            "ISO_IR 100" => encoding_rs::WINDOWS_1252,
            "ISO_IR 101" => encoding_rs::ISO_8859_2,
            "ISO_IR 126" => encoding_rs::ISO_8859_7,
            "ISO_IR 144" => encoding_rs::ISO_8859_5,
            "ISO_IR 192" => encoding_rs::UTF_8,
            other => return self.wrong(format!("text is not written as `{other}`")),
        };
        self.text("SpecificCharacterSet", declared)
    }

    /// Text, of several values with backslashes between them; empty text is an empty element.
    #[must_use]
    pub fn text(self, keyword: &str, text: &str) -> Self {
        if text.is_ascii() {
            return self.bytes(keyword, text.as_bytes());
        }
        match self.encoding.encode(text) {
            (bytes, _, false) => {
                let bytes = bytes.into_owned();
                self.bytes(keyword, &bytes)
            }
            _ => self.wrong(format!("`{keyword}`: the character set does not have the text")),
        }
    }

    /// The bytes of a value, as they are but for padding.
    #[must_use]
    pub fn bytes(mut self, keyword: &str, bytes: &[u8]) -> Self {
        let Some((tag, vr)) = look_up(keyword) else {
            return self.wrong(format!("`{keyword}` is no keyword of PS3.6"));
        };
        let mut bytes = bytes.to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(if matches!(vr, VR::UI | VR::OB | VR::UN) { 0 } else { b' ' });
        }
        self.elements.push(Element { tag, vr, content: Content::Bytes(bytes) });
        self
    }

    /// A number, in binary or as text as the representation demands.
    #[must_use]
    pub fn number(self, keyword: &str, number: f64) -> Self {
        self.numbers(keyword, &[number])
    }

    /// Several numbers.
    #[must_use]
    pub fn numbers(self, keyword: &str, numbers: &[f64]) -> Self {
        let Some((_, vr)) = look_up(keyword) else {
            return self.wrong(format!("`{keyword}` is no keyword of PS3.6"));
        };
        let fits = |low: f64, high: f64| {
            numbers.iter().all(|n| n.fract() == 0.0 && (low..=high).contains(n))
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`fits` checks")]
        let bytes: Vec<u8> = match vr {
            VR::US if fits(0.0, 65_535.0) => {
                numbers.iter().flat_map(|n| (*n as u16).to_le_bytes()).collect()
            }
            VR::SS if fits(-32_768.0, 32_767.0) => {
                numbers.iter().flat_map(|n| (*n as i16).to_le_bytes()).collect()
            }
            VR::UL if fits(0.0, f64::from(u32::MAX)) => {
                numbers.iter().flat_map(|n| (*n as u32).to_le_bytes()).collect()
            }
            VR::FL => numbers.iter().flat_map(|n| (*n as f32).to_le_bytes()).collect(),
            VR::FD => numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
            VR::IS | VR::DS => {
                let all: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                all.join("\\").into_bytes()
            }
            _ => return self.wrong(format!("`{keyword}` does not hold such a number")),
        };
        self.bytes(keyword, &bytes)
    }

    /// A sequence.
    #[must_use]
    pub fn items(mut self, keyword: &str, items: Vec<Self>) -> Self {
        match look_up(keyword) {
            Some((tag, VR::SQ)) => {
                self.elements.push(Element { tag, vr: VR::SQ, content: Content::Items(items) });
                self
            }
            _ => self.wrong(format!("`{keyword}` is no sequence")),
        }
    }

    /// Sequence with one item.
    #[must_use]
    pub fn item(self, keyword: &str, item: Self) -> Self {
        self.items(keyword, vec![item])
    }

    fn wrong(mut self, fault: String) -> Self {
        self.fault.get_or_insert(fault);
        self
    }

    fn value(&self, tag: u32) -> Option<&[u8]> {
        self.elements.iter().rev().find(|element| element.tag == tag).and_then(|element| {
            match &element.content {
                Content::Bytes(bytes) => Some(bytes.as_slice()),
                Content::Items(_) => None,
            }
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        if let Some(fault) = &self.fault {
            return Err(Error::Internal(format!("a data set cannot be written: {fault}")));
        }
        let mut order: Vec<&Element> = self.elements.iter().collect();
        order.sort_by_key(|element| element.tag);
        for (place, element) in order.iter().enumerate() {
            if order.get(place + 1).is_some_and(|next| next.tag == element.tag) {
                continue;
            }
            match &element.content {
                Content::Bytes(bytes) => put(out, element.tag, element.vr, bytes)?,
                Content::Items(items) => {
                    let mut inner = Vec::new();
                    for item in items {
                        let mut bytes = Vec::new();
                        item.encode(&mut bytes)?;
                        inner.extend_from_slice(&[0xfe, 0xff, 0x00, 0xe0]);
                        inner.extend_from_slice(&length(bytes.len())?.to_le_bytes());
                        inner.extend_from_slice(&bytes);
                    }
                    put(out, element.tag, VR::SQ, &inner)?;
                }
            }
        }
        Ok(())
    }

    /// The data set as a file of PS3.10 section 7.1, written by vesalius.
    ///
    /// # Errors
    /// When something that was set cannot be written, or there is no SOP class or instance UID.
    pub fn to_part_10(&self) -> Result<Vec<u8>> {
        let missing = || Error::Internal("a file needs SOPClassUID and SOPInstanceUID".to_owned());
        let class = self.value(tag(8, 0x16)).ok_or_else(missing)?;
        let instance = self.value(tag(8, 0x18)).ok_or_else(missing)?;
        let mut out = head_of(class, instance, b"1.2.840.10008.1.2.1\0")?;
        self.encode(&mut out)?;
        Ok(out)
    }
}

/// Preamble and file meta information (PS3.10 section 7.1) for a data set that has none.
///
/// # Errors
/// When a value is too long.
pub(super) fn head(class: &str, instance: &str, syntax: &str) -> Result<Vec<u8>> {
    let padded = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        bytes
    };
    head_of(&padded(class), &padded(instance), &padded(syntax))
}

fn head_of(class: &[u8], instance: &[u8], syntax: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(4096);
    out.resize(128, 0);
    out.extend_from_slice(b"DICM");
    let mut meta = Vec::with_capacity(192);
    put(&mut meta, tag(2, 1), VR::OB, &[0, 1])?;
    put(&mut meta, tag(2, 2), VR::UI, class)?;
    put(&mut meta, tag(2, 3), VR::UI, instance)?;
    put(&mut meta, tag(2, 0x10), VR::UI, syntax)?;
    put(&mut meta, tag(2, 0x12), VR::UI, IMPLEMENTATION)?;
    put(&mut meta, tag(2, 0x13), VR::SH, b"VESALIUS")?;
    put(&mut out, tag(2, 0), VR::UL, &length(meta.len())?.to_le_bytes())?;
    out.extend_from_slice(&meta);
    Ok(out)
}

/// ImplementationClassUID: a UUID-derived UID (PS3.5 annex B) of this program.
const IMPLEMENTATION: &[u8] = b"2.25.158416742093417283940161839550281746\0";

fn length(bytes: usize) -> Result<u32> {
    u32::try_from(bytes)
        .ok()
        .filter(|length| *length < u32::MAX)
        .ok_or_else(|| Error::Internal("a value is too long for a file".to_owned()))
}

fn put(out: &mut Vec<u8>, tag: u32, vr: VR, bytes: &[u8]) -> Result<()> {
    let [low, high] = [tag >> 16, tag & 0xffff];
    out.extend_from_slice(&(low as u16).to_le_bytes());
    out.extend_from_slice(&(high as u16).to_le_bytes());
    out.extend_from_slice(&vr.to_bytes());
    if super::walk::is_long(vr) {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&length(bytes.len())?.to_le_bytes());
    } else {
        let length = u16::try_from(bytes.len())
            .map_err(|_| Error::Internal("a value is too long for its VR".to_owned()))?;
        out.extend_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(bytes);
    Ok(())
}

fn look_up(keyword: &str) -> Option<(u32, VR)> {
    let entry = StandardDataDictionary.by_name(keyword)?;
    let tag = entry.tag();
    let vr = match entry.vr() {
        VirtualVr::Exact(vr) => vr,
        VirtualVr::Xs | VirtualVr::Lt => VR::US,
        _ => VR::OW,
    };
    Some((self::tag(tag.0, tag.1), vr))
}

#[cfg(test)]
mod tests {
    use super::DataSet;
    use crate::dicom::{Outcome, Reader};

    #[test]
    fn what_is_written_is_read() {
        let code = DataSet::new()
            .text("CodeValue", "71651007")
            .text("CodingSchemeDesignator", "SCT")
            .text("CodeMeaning", "Mammography");
        let file = DataSet::new()
            .charset("ISO_IR 101")
            .text("SOPClassUID", "1.2.840.10008.5.1.4.1.1.1.2")
            .text("SOPInstanceUID", "2.25.3")
            .text("StudyInstanceUID", "2.25.1")
            .text("SeriesInstanceUID", "2.25.2")
            .text("Modality", "MG")
            .text("PatientName", "Zkušební^Žofie")
            .text("PatientID", "P1")
            .item("ProcedureCodeSequence", code)
            .number("Rows", 7.0)
            .number("InstanceNumber", 3.0)
            .to_part_10()
            .unwrap();
        let Outcome::Record(record) = Reader::default().bytes(&file, "a") else { panic!() };
        assert_eq!(record.findings, []);
        assert_eq!(record.patient.text("PatientName"), Some("Zkušební^Žofie"));
        assert_eq!(
            record.study.items("ProcedureCodeSequence")[0].text("CodeValue"),
            Some("71651007")
        );
        let instance = record.instance.unwrap();
        assert_eq!((instance.rows, instance.number), (Some(7), Some(3)));
    }

    #[test]
    fn a_fault_is_told_when_the_file_is_written() {
        let uids = || DataSet::new().text("SOPClassUID", "1").text("SOPInstanceUID", "2");
        for wrong in [
            DataSet::new(),
            uids().text("PatientNam", "x"),
            uids().charset("ISO_IR 101").text("PatientName", "Αθηνά"),
            uids().number("Rows", 1e6),
            uids().number("PatientName", 1.0),
        ] {
            assert!(wrong.to_part_10().is_err());
        }
        assert!(uids().to_part_10().is_ok());
    }
}
