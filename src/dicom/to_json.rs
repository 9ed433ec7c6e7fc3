//! Data sets as DICOM JSON (PS3.18 annex F): what WADO-RS calls metadata.
//!
//! Text becomes UTF-8, and SpecificCharacterSet says so (section F.2). Pixel data and what is
//! larger than the bounds below are references: BulkDataURI, of which the last part says where the
//! value stands (`7FE00010`, `00880200/1/7FE00010`). Group lengths and the file meta information
//! are left out. A data set that breaks off gives what stands before the break, as in ingest.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::charset::Delimiters;
use super::part10::Part10;
use super::plan::tag;
use super::scan::{Leaf, PIXELS, Scan, Step};
use crate::imaging::{Keyword, Quarantine};

/// Bytes of text or of numbers that stand in the JSON.
const TEXT: u64 = 64 * 1024;
/// Bytes without a meaning that stand in the JSON (InlineBinary).
const BINARY: u64 = 1024;
/// Bytes of JSON that one data set may become.
const LARGEST: usize = 64 << 20;

const CHARACTER_SET: u32 = tag(0x0008, 0x0005);

impl Part10 {
    /// Appends the data set as a JSON object. `bulk` is what a BulkDataURI begins with, without a
    /// final slash.
    ///
    /// # Errors
    /// When the data set cannot be read at all, or is too large for metadata.
    pub fn to_json(&self, bulk: &str, out: &mut Vec<u8>) -> Result<(), Quarantine> {
        let begin = out.len();
        self.scanned(|scan| {
            let mut writer = Writer { out, bulk, has_elements: vec![false], has_items: Vec::new() };
            writer.out.push(b'{');
            let failure = loop {
                if writer.out.len().saturating_sub(begin) > LARGEST {
                    break Some(too_large());
                }
                match scan.next() {
                    Ok(Some(step)) => {
                        if let Err(failure) = writer.step(scan, step) {
                            break Some(failure);
                        }
                    }
                    Ok(None) => break None,
                    Err(failure) => break Some(failure),
                }
            };
            match failure {
                Some(failure) if matches!(&*failure.code, "unreadable" | "too-large") => {
                    return Err(failure);
                }
                // What stands before the break is what ingest read too.
                _ => writer.close(),
            }
            Ok(())
        })
    }
}

fn too_large() -> Quarantine {
    Quarantine {
        code: "too-large".to_owned(),
        path: String::new(),
        offset: None,
        detail: format!("the metadata of the instance are more than {} MiB", LARGEST >> 20),
    }
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    bulk: &'o str,
    /// For each open data set, whether something stands in it.
    has_elements: Vec<bool>,
    /// For each open sequence, whether an item stands in it; its key is written with the first.
    has_items: Vec<bool>,
}

impl Writer<'_> {
    fn step(&mut self, scan: &mut Scan<'_>, step: Step) -> Result<(), Quarantine> {
        match step {
            Step::Leaf(leaf) => self.leaf(scan, &leaf)?,
            Step::Sequence(tag) => {
                self.key(tag, VR::SQ);
                self.has_items.push(false);
            }
            Step::Item => {
                let is_first =
                    self.has_items.last_mut().is_some_and(|has| !std::mem::replace(has, true));
                self.out.extend_from_slice(if is_first { b",\"Value\":[{" } else { b",{" });
                self.has_elements.push(false);
            }
            Step::ItemEnd => {
                self.has_elements.pop();
                self.out.push(b'}');
            }
            Step::SequenceEnd => {
                let has_items = self.has_items.pop().unwrap_or(false);
                self.out.extend_from_slice(if has_items { b"]}" } else { b"}" });
            }
        }
        Ok(())
    }

    /// Closes what is open: sequences and items alternate, a data set is outermost.
    fn close(&mut self) {
        while self.has_elements.len() > 1 || !self.has_items.is_empty() {
            if self.has_elements.len() > self.has_items.len() {
                self.has_elements.pop();
                self.out.push(b'}');
            } else {
                let has_items = self.has_items.pop().unwrap_or(false);
                self.out.extend_from_slice(if has_items { b"]}" } else { b"}" });
            }
        }
        self.out.push(b'}');
    }

    fn key(&mut self, tag: u32, vr: VR) {
        let has_more = self.has_elements.last_mut().is_some_and(|has| std::mem::replace(has, true));
        if has_more {
            self.out.push(b',');
        }
        let head = format!("\"{tag:08X}\":{{\"vr\":\"{}\"", vr.to_string());
        self.out.extend_from_slice(head.as_bytes());
    }

    fn leaf(&mut self, scan: &mut Scan<'_>, leaf: &Leaf) -> Result<(), Quarantine> {
        if leaf.tag & 0xffff == 0 {
            return Ok(());
        }
        let is_binary =
            matches!(leaf.vr, VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN);
        let most = if is_binary { BINARY } else { TEXT };
        let is_pixels = PIXELS.contains(&leaf.tag);
        let length = leaf.length.filter(|length| *length <= most && !is_pixels);
        let Some(length) = length else {
            let way: String =
                scan.way().map(|(tag, item)| format!("{tag:08X}/{}/", item + 1)).collect();
            self.key(leaf.tag, leaf.vr);
            let uri = format!(",\"BulkDataURI\":\"{}/{way}{:08X}\"}}", self.bulk, leaf.tag);
            self.out.extend_from_slice(uri.as_bytes());
            return Ok(());
        };
        let length = usize::try_from(length).unwrap_or(0);
        let bytes = scan.bytes(leaf.at, length)?;
        if bytes.len() < length {
            return Err(Quarantine {
                code: "truncated".to_owned(),
                path: String::new(),
                offset: Some(leaf.at),
                detail: "the data set ends inside a value".to_owned(),
            });
        }
        let bytes = bytes.to_vec();
        self.key(leaf.tag, leaf.vr);
        if is_binary {
            if !bytes.is_empty() {
                self.inline(leaf, bytes);
            }
        } else if leaf.tag == CHARACTER_SET {
            self.out.extend_from_slice(b",\"Value\":[\"ISO_IR 192\"]");
        } else {
            self.values(leaf, &bytes);
        }
        self.out.push(b'}');
        Ok(())
    }

    fn inline(&mut self, leaf: &Leaf, mut bytes: Vec<u8>) {
        use base64::Engine as _;
        if leaf.big {
            swap(&mut bytes, width(leaf.vr));
        }
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        self.out.extend_from_slice(b",\"InlineBinary\":\"");
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    fn values(&mut self, leaf: &Leaf, bytes: &[u8]) {
        let values = match leaf.vr {
            VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FL | VR::FD | VR::AT => {
                let size = if leaf.vr == VR::AT { 4 } else { width(leaf.vr) };
                bytes.chunks_exact(size).map(|chunk| number(leaf, chunk)).collect()
            }
            _ => texts(leaf, bytes),
        };
        if values.iter().all(serde_json::Value::is_null) {
            return;
        }
        self.out.extend_from_slice(b",\"Value\":");
        // A Vec as sink cannot fail.
        let _ = serde_json::to_writer(&mut *self.out, &values);
    }
}

/// Bytes of one number of a representation.
pub(super) const fn width(vr: VR) -> usize {
    match vr {
        VR::US | VR::SS | VR::OW | VR::AT => 2,
        VR::UL | VR::SL | VR::FL | VR::OL | VR::OF => 4,
        VR::UV | VR::SV | VR::FD | VR::OV | VR::OD => 8,
        _ => 1,
    }
}

/// Turns big-endian numbers around; a rest that is no whole number stays.
pub(super) fn swap(bytes: &mut [u8], width: usize) {
    if width > 1 {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
}

fn number(leaf: &Leaf, chunk: &[u8]) -> serde_json::Value {
    if leaf.vr == VR::AT {
        let part = |at: usize| {
            let pair =
                [chunk.get(at).copied().unwrap_or(0), chunk.get(at + 1).copied().unwrap_or(0)];
            if leaf.big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        };
        return format!("{:04X}{:04X}", part(0), part(2)).into();
    }
    let mut eight = [0; 8];
    for (place, byte) in eight.iter_mut().zip(chunk) {
        *place = *byte;
    }
    if leaf.big {
        swap(eight.get_mut(..chunk.len().min(8)).unwrap_or_default(), chunk.len());
    }
    let whole = u64::from_le_bytes(eight);
    let (low, half) = (whole as u32, whole as u16);
    match leaf.vr {
        VR::SS => half.cast_signed().into(),
        VR::SL => low.cast_signed().into(),
        VR::SV => whole.cast_signed().into(),
        VR::FL => real(f64::from(f32::from_bits(low)), f32::from_bits(low).to_string()),
        VR::FD => real(f64::from_bits(whole), f64::from_bits(whole).to_string()),
        _ => whole.into(),
    }
}

/// JSON has no number that is none: section F.2.3 leaves text.
fn real(number: f64, text: String) -> serde_json::Value {
    serde_json::Number::from_f64(number).map_or(serde_json::Value::String(text), Into::into)
}

fn texts(leaf: &Leaf, bytes: &[u8]) -> Vec<serde_json::Value> {
    let delimiters = match leaf.vr {
        VR::PN => Delimiters::Name,
        VR::ST | VR::LT | VR::UT | VR::UR => Delimiters::None,
        _ => Delimiters::Values,
    };
    let (text, _) = leaf.charset.decode(bytes, delimiters);
    let text = text.trim_end_matches([' ', '\0']);
    if delimiters == Delimiters::None {
        return vec![if text.is_empty() { serde_json::Value::Null } else { text.into() }];
    }
    text.split('\\').map(|value| one(leaf.vr, value.trim_end_matches([' ', '\0']))).collect()
}

fn one(vr: VR, text: &str) -> serde_json::Value {
    if text.is_empty() {
        return serde_json::Value::Null;
    }
    let number = text.trim().trim_start_matches('+');
    match vr {
        VR::PN => {
            let names = ["Alphabetic", "Ideographic", "Phonetic"];
            let groups: serde_json::Map<String, serde_json::Value> = names
                .iter()
                .zip(text.split('='))
                .filter(|(_, group)| !group.is_empty())
                .map(|(name, group)| ((*name).to_owned(), group.into()))
                .collect();
            if groups.is_empty() { serde_json::Value::Null } else { groups.into() }
        }
        VR::IS => number.parse::<i64>().map_or_else(|_| text.trim().into(), Into::into),
        VR::DS => match number.parse::<f64>().ok().filter(|number| number.is_finite()) {
            // Whole numbers stay whole: `1` and `1.0` are the same number, and the first is shorter.
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => {
                #[allow(clippy::cast_possible_truncation, reason = "it is below 10^15")]
                let whole = whole as i64;
                whole.into()
            }
            Some(number) => number.into(),
            None => text.trim().into(),
        },
        _ => text.into(),
    }
}

/// Tag and representation of a keyword, as DICOM JSON spells them.
#[must_use]
pub fn element_of(keyword: &str) -> Option<(String, &'static str)> {
    let entry = StandardDataDictionary.by_name(keyword)?;
    let Tag(group, element) = entry.tag();
    Some((format!("{group:04X}{element:04X}"), vr_of(entry.vr()).to_string()))
}

fn vr_of(vr: VirtualVr) -> VR {
    match vr {
        VirtualVr::Exact(vr) => vr,
        VirtualVr::Xs => VR::US,
        _ => VR::OW,
    }
}

/// The keyword of a keyword or a tag of eight hexadecimal digits; `None`: PS3.6 has none.
#[must_use]
pub fn keyword_of(name: &str) -> Option<String> {
    let is_tag = name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_tag {
        return Keyword::parse(name).ok().map(|keyword| keyword.as_str().to_owned());
    }
    let number = u32::from_str_radix(name, 16).ok()?;
    let tag = Tag((number >> 16) as u16, (number & 0xffff) as u16);
    let entry = StandardDataDictionary.by_tag(tag)?;
    Keyword::parse(entry.alias()).ok().map(|keyword| keyword.as_str().to_owned())
}

/// The values of an attribute that the store keeps as text, as DICOM JSON has them.
#[must_use]
pub fn value_to_json(keyword: &str, text: &str) -> Vec<serde_json::Value> {
    let Some(entry) = StandardDataDictionary.by_name(keyword) else { return Vec::new() };
    let vr = vr_of(entry.vr());
    if text.is_empty() {
        return Vec::new();
    }
    let parts = match vr {
        VR::ST | VR::LT | VR::UT | VR::UR => vec![text],
        _ => text.split('\\').collect(),
    };
    let number = |text: &str| {
        let whole = text.trim().parse::<i64>().map(serde_json::Value::from).ok();
        whole.or_else(|| text.trim().parse::<f64>().ok().map(Into::into))
    };
    parts
        .into_iter()
        .map(|part| match vr {
            VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FL | VR::FD => {
                number(part).unwrap_or_else(|| one(vr, part))
            }
            _ => one(vr, part),
        })
        .collect()
}
