//! Files of PS3.10, and data sets without preamble or file meta information, into records.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use dicom_core::VR;

use super::digest::Digest;
use super::input::{Inflating, Input, LARGEST, Slice, Trouble, Window};
use super::plan::{Plan, spell, tag};
use super::record::{Source, assemble};
use super::sr;
use super::value;
use super::walk::{Collected, Encoding, head, walk};
use crate::imaging::{Attributes, Finding, Quarantine, Record, Uid};

/// What became of a file.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is a SOP instance.
    Record(Box<Record>),
    /// It is no DICOM.
    NotDicom,
    /// It is DICOM, or says so, and cannot be used.
    Quarantined(Quarantine),
}

/// Reads files one after the other with one buffer.
#[derive(Debug)]
pub struct Reader<'a> {
    plan: &'a Plan,
    buffer: Vec<u8>,
}

impl Default for Reader<'static> {
    fn default() -> Self {
        Self::new(Plan::current())
    }
}

impl<'a> Reader<'a> {
    /// A reader by a table of attributes.
    #[must_use]
    pub const fn new(plan: &'a Plan) -> Self {
        Self { plan, buffer: Vec::new() }
    }

    /// Reads a file up to its pixel data. `origin` names it in the record.
    pub fn file(&mut self, path: &Path, origin: &str) -> Outcome {
        // A pipe that stands where a file was must not block.
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags.cast_signed())
            .open(path)
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        match opened {
            Ok((file, metadata)) if metadata.is_file() => {
                let mut input = Window::new(&file, metadata.len(), &mut self.buffer);
                examine(self.plan, &mut input, origin)
            }
            Ok(_) => Outcome::Quarantined(unreadable("it is no regular file".to_owned())),
            Err(error) => Outcome::Quarantined(unreadable(format!("opening failed: {error}"))),
        }
    }

    /// Reads a file that is in memory.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8], origin: &str) -> Outcome {
        examine(self.plan, &mut Slice(bytes), origin)
    }
}

pub(crate) fn unreadable(detail: String) -> Quarantine {
    Quarantine { code: "unreadable".to_owned(), path: String::new(), offset: None, detail }
}

const EXPLICIT: Encoding = Encoding { explicit: true, big: false };
const MEDIA_DIRECTORY: &str = "1.2.840.10008.1.3.10";
/// Where PS3.10 section 7.1 puts `DICM`.
pub(super) const PREAMBLE: usize = 128;
/// Elements of file meta information: PS3.10 table 7.1-1 has 17.
const META_ELEMENTS: usize = 256;
/// What the digest takes of a data set.
const DIGESTED: u64 = 1 << 20;

/// How a transfer syntax encodes a data set (PS3.5 annex A): what is not listed here is explicit
/// VR little endian, as every encapsulated one is.
pub(super) fn encoding_of(syntax: &str) -> (Encoding, bool) {
    match syntax {
        // The second is GE's, whose pixel data alone are big endian.
        "1.2.840.10008.1.2" | "1.2.840.113619.5.2" => {
            (Encoding { explicit: false, big: false }, false)
        }
        "1.2.840.10008.1.2.2" => (Encoding { explicit: true, big: true }, false),
        "1.2.840.10008.1.2.1.99" | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205" => {
            (EXPLICIT, true)
        }
        _ => (EXPLICIT, false),
    }
}

fn examine<I: Input>(plan: &Plan, input: &mut I, origin: &str) -> Outcome {
    match attempt(plan, input, origin) {
        Ok(Some(record)) => Outcome::Record(Box::new(record)),
        Ok(None) => Outcome::NotDicom,
        Err(reason) => Outcome::Quarantined(reason),
    }
}

fn attempt<I: Input>(
    plan: &Plan,
    input: &mut I,
    origin: &str,
) -> Result<Option<Record>, Quarantine> {
    let size = input.end();
    let Some((collected, meta)) = collect(plan, input)? else { return Ok(None) };
    let digest = digest(input, meta.end, collected.end.min(size), size)?;
    let transfer_syntax = meta.syntax.as_deref().and_then(|text| Uid::parse_lenient(text).ok());
    let source = Source { origin, bytes: size, digest, transfer_syntax };
    let mut record = assemble(plan, collected, source)?;
    if let Some(instance) = &record.instance {
        let is_other = |said: &Option<String>, is: &Uid| {
            said.as_ref().is_some_and(|said| said.as_str() != is.as_str())
        };
        for (keyword, said, is) in [
            ("MediaStorageSOPInstanceUID", &meta.instance, &instance.uid),
            ("MediaStorageSOPClassUID", &meta.class, &instance.sop_class),
        ] {
            if is_other(said, is) {
                let said = said.as_deref().unwrap_or_default();
                value::note(&mut record.findings, Finding::new("meta-uid-differs", keyword, said));
            }
        }
    }
    if let Some(instance) = record.instance.as_ref().filter(|i| sr::is_report(&i.sop_class)) {
        // A second walk: few files are reports, and theirs is a tree that others do not have.
        let (declared, is_deflated) = encoding_of(meta.syntax.as_deref().unwrap_or_default());
        let mut content = Collected::within(sr::plan(), sr::LIMITS);
        if is_deflated {
            let mut inflating = Inflating::new(input, meta.end);
            let encoding = detect(&mut inflating, 0, declared)?;
            walk(sr::plan(), &mut inflating, 0, encoding, &mut content);
            content.document = content.document.map(|(_, length)| (0, length));
        } else {
            let encoding = detect(input, meta.end, declared)?;
            walk(sr::plan(), input, meta.end, encoding, &mut content);
        }
        let (mut report, findings) = sr::report(instance, content);
        if let Some(document) = report.document.as_mut().filter(|_| is_deflated) {
            document.offset = None;
        }
        record.report = Some(Box::new(report));
        for finding in findings {
            value::note(&mut record.findings, finding);
        }
    }
    Ok(Some(record))
}

/// The attributes of a data set that is no image and is kept whole, at its top: everything that
/// the plan asks for, or the reason why it cannot be had. Nothing of it is left out silently.
///
/// # Errors
/// When the bytes are no data set, end too early, or hold more than the plan's bounds.
pub fn whole(plan: &Plan, bytes: &[u8]) -> Result<Attributes, Quarantine> {
    let refuse = |code: &str, detail: &str| Quarantine {
        code: code.to_owned(),
        path: String::new(),
        offset: None,
        detail: detail.to_owned(),
    };
    let (collected, _) = collect(plan, &mut Slice(bytes))?
        .ok_or_else(|| refuse("not-dicom", "the bytes are no DICOM data set"))?;
    if let Some(failure) = collected.failure {
        return Err(failure.reason);
    }
    if collected.is_cut {
        let detail = format!("a sequence has more than {} items", plan.bounds.items);
        return Err(refuse("too-many-items", &detail));
    }
    if let Some(long) = collected.findings.iter().find(|note| note.code == "value-too-long") {
        return Err(refuse("value-too-long", &format!("{} is too long", long.attribute)));
    }
    let named = plan.rows.iter().zip(collected.rows);
    Ok(named.filter_map(|(row, value)| Some((row.keyword, value?))).collect())
}

fn collect<I: Input>(plan: &Plan, input: &mut I) -> Result<Option<(Collected, Meta)>, Quarantine> {
    let size = input.end();
    let mut collected = Collected::new(plan);
    let mut first = [0; PREAMBLE + 4];
    let found = peek(input, 0, &mut first)?;
    let first = first.get(..found).unwrap_or_default();
    let is_part_10 = first.get(PREAMBLE..) == Some(b"DICM");
    let start = if is_part_10 {
        PREAMBLE as u64 + 4
    } else if first.starts_with(b"DICM") {
        4
    } else if looks_like_a_data_set(first, size) {
        0
    } else {
        return Ok(None);
    };

    let meta = Meta::read(input, start)?;
    if !is_part_10 || meta.syntax.is_none() {
        collected.note(Finding::new("file-meta-missing", "", ""));
    }
    if meta.class.as_deref() == Some(MEDIA_DIRECTORY) {
        return Err(Quarantine {
            code: "media-directory".to_owned(),
            path: String::new(),
            offset: None,
            detail: "a media directory (PS3.10 section 8.6) describes no image".to_owned(),
        });
    }
    let (declared, is_deflated) = encoding_of(meta.syntax.as_deref().unwrap_or_default());
    if is_deflated {
        let mut inflating = Inflating::new(input, meta.end);
        let encoding = detect(&mut inflating, 0, declared)?;
        walk(plan, &mut inflating, 0, encoding, &mut collected);
        // Places of a deflated data set are places of what it inflates to.
        collected.end = size;
    } else {
        let encoding = detect(input, meta.end, declared)?;
        if encoding != declared && meta.syntax.is_some() {
            let syntax = meta.syntax.as_deref().unwrap_or_default();
            collected.note(Finding::new("transfer-syntax-odd", "TransferSyntaxUID", syntax));
        }
        walk(plan, input, meta.end, encoding, &mut collected);
    }
    Ok(Some((collected, meta)))
}

fn peek<I: Input + ?Sized>(input: &mut I, at: u64, into: &mut [u8]) -> Result<usize, Quarantine> {
    let found = input.at(at, into.len()).map_err(|trouble| match trouble {
        Trouble::Io(error) => unreadable(format!("reading failed: {error}")),
        Trouble::Inflate | Trouble::Bomb => Quarantine {
            code: "deflate-damaged".to_owned(),
            path: String::new(),
            offset: Some(at),
            detail: "the deflated data set is damaged".to_owned(),
        },
    })?;
    let count = found.len().min(into.len());
    into[..count].copy_from_slice(&found[..count]);
    Ok(count)
}

/// Whether a file without `DICM` begins like file meta information or like a data set: with an
/// element of a low group whose representation or length makes sense.
fn looks_like_a_data_set(first: &[u8], size: u64) -> bool {
    [false, true].into_iter().any(|big| {
        let left = size.saturating_sub(8);
        let Some(explicit) = head(first, Encoding { explicit: true, big }, left) else {
            return false;
        };
        let group = explicit.tag >> 16;
        if explicit.vr.is_some() && u64::from(explicit.length) <= left {
            return matches!(group, 0x0002 | 0x0008 | 0x0010 | 0x0018 | 0x0020);
        }
        let Some(implicit) = head(first, Encoding { explicit: false, big }, left) else {
            return false;
        };
        let length = u64::from(implicit.length);
        // Elements of the identifying group that stand first are short.
        group == 0x0008
            && implicit.tag & 0xffff <= 0x0060
            && length <= left.min(1024)
            && length % 2 == 0
    })
}

/// The encoding that the first element shows, where it contradicts what was declared.
pub(super) fn detect<I: Input + ?Sized>(
    input: &mut I,
    at: u64,
    declared: Encoding,
) -> Result<Encoding, Quarantine> {
    let mut bytes = [0; 8];
    if peek(input, at, &mut bytes)? < 8 {
        return Ok(declared);
    }
    let little = u16::from_le_bytes([bytes[0], bytes[1]]);
    let turned = little.swap_bytes();
    // The first group is a small number, whichever way it is read rightly.
    let big = if declared.big { little >= turned } else { little > 0xff && turned < little };
    let explicit = VR::from_binary([bytes[4], bytes[5]]).is_some()
        || (declared.explicit && [bytes[4], bytes[5]].iter().all(u8::is_ascii_uppercase));
    Ok(Encoding { explicit, big })
}

/// What matters of the file meta information (PS3.10 section 7.1).
pub(super) struct Meta {
    pub(super) syntax: Option<String>,
    class: Option<String>,
    instance: Option<String>,
    /// Where the data set begins.
    pub(super) end: u64,
}

impl Meta {
    pub(super) fn read<I: Input>(input: &mut I, start: u64) -> Result<Self, Quarantine> {
        let size = input.end();
        let mut meta = Self { syntax: None, class: None, instance: None, end: start };
        let mut declared_end = None;
        for _ in 0..META_ELEMENTS {
            let mut bytes = [0; 12];
            let count = peek(input, meta.end, &mut bytes)?;
            let found = bytes.get(..count).unwrap_or_default();
            // Deflated bytes may look like anything; the group's length tells where they begin.
            let is_over = declared_end == Some(meta.end)
                && meta.syntax.as_deref().is_some_and(|syntax| encoding_of(syntax).1);
            let left = size.saturating_sub(meta.end);
            let Some(head) = head(found, EXPLICIT, left) else { return Ok(meta) };
            if is_over || head.tag >> 16 != 0x0002 {
                return Ok(meta);
            }
            let begin = meta.end + head.size;
            let left = size.saturating_sub(begin);
            if u64::from(head.length) > left {
                return Err(Quarantine {
                    code: "length-beyond-end".to_owned(),
                    path: spell(head.tag),
                    offset: Some(meta.end),
                    detail: format!(
                        "the length {} is more than the {left} bytes that are left",
                        head.length
                    ),
                });
            }
            const GROUP_LENGTH: u32 = tag(0x0002, 0x0000);
            const CLASS: u32 = tag(0x0002, 0x0002);
            const INSTANCE: u32 = tag(0x0002, 0x0003);
            const SYNTAX: u32 = tag(0x0002, 0x0010);
            match head.tag {
                GROUP_LENGTH if head.length == 4 => {
                    let mut four = [0; 4];
                    peek(input, begin, &mut four)?;
                    declared_end = Some(begin + 4 + u64::from(u32::from_le_bytes(four)));
                }
                CLASS | INSTANCE | SYNTAX if head.length <= 66 => {
                    let mut bytes = [0; 66];
                    let length = usize::try_from(head.length).unwrap_or(0);
                    let count = peek(input, begin, &mut bytes[..length])?;
                    let text: String = bytes[..count].iter().map(|b| char::from(*b)).collect();
                    let text = text.trim_matches(['\0', ' ']).to_owned();
                    let text = (!text.is_empty()).then_some(text);
                    match head.tag {
                        SYNTAX => meta.syntax = text,
                        CLASS => meta.class = text,
                        _ => meta.instance = text,
                    }
                }
                _ => {}
            }
            meta.end = begin + u64::from(head.length);
        }
        Err(Quarantine {
            code: "too-many-elements".to_owned(),
            path: String::new(),
            offset: Some(meta.end),
            detail: format!("more than {META_ELEMENTS} elements of file meta information"),
        })
    }
}

/// The digest of what stands before the pixel data, at most its first MiB, and of the size.
fn digest<I: Input>(input: &mut I, from: u64, to: u64, size: u64) -> Result<u64, Quarantine> {
    let mut digest = Digest::new(size);
    let mut at = from;
    let to = to.min(from.saturating_add(DIGESTED));
    while at < to {
        let want = usize::try_from(to - at).unwrap_or(LARGEST).min(LARGEST);
        let found = input
            .at(at, want)
            .map_err(|_| unreadable("reading a second time failed".to_owned()))?;
        if found.is_empty() {
            break;
        }
        digest.add(found);
        at += found.len() as u64;
    }
    Ok(digest.finish())
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Reader};
    use crate::dicom::write::DataSet;
    use crate::imaging::{Laterality, Record};

    fn image() -> DataSet {
        DataSet::new()
            .text("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2")
            .text("SOPInstanceUID", "2.25.3")
            .text("StudyInstanceUID", "2.25.1")
            .text("SeriesInstanceUID", "2.25.2")
            .text("Modality", "CT")
            .text("PatientID", "P1")
    }

    fn record(file: &[u8]) -> Record {
        match Reader::default().bytes(file, "here") {
            Outcome::Record(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    fn read(set: &DataSet) -> Record {
        record(&set.to_part_10().unwrap())
    }

    #[test]
    fn file_meta_information_that_names_another_instance_is_said() {
        let mut file = image().to_part_10().unwrap();
        assert_eq!(record(&file).findings.len(), read(&image()).findings.len());
        let at = file.windows(6).position(|bytes| bytes == b"2.25.3").unwrap();
        file[at + 5] = b'9';
        let read = record(&file);
        assert_eq!(read.instance.unwrap().uid.as_str(), "2.25.3");
        let said = read.findings.iter().find(|finding| finding.code == "meta-uid-differs");
        let said = said.unwrap();
        assert_eq!((&*said.attribute, &*said.value), ("MediaStorageSOPInstanceUID", "2.25.9"));
    }

    #[test]
    fn a_patient_is_known_within_the_issuer() {
        let qualifier = DataSet::new()
            .text("UniversalEntityID", "1.2.203.24341")
            .text("UniversalEntityIDType", "ISO");
        let key = |set: DataSet| {
            let key = read(&set).patient_key;
            (key.issuer, key.id)
        };
        let both = image()
            .text("IssuerOfPatientID", "HOSPITAL")
            .item("IssuerOfPatientIDQualifiersSequence", qualifier);
        assert_eq!(key(both), ("1.2.203.24341".into(), "P1".into()));
        assert_eq!(
            key(image().text("IssuerOfPatientID", "HOSPITAL")),
            ("HOSPITAL".into(), "P1".into())
        );
        assert_eq!(key(image().text("PatientID", "")), (String::new(), "study:2.25.1".into()));
    }

    #[test]
    fn an_instance_is_called_by_what_names_its_class() {
        let concept = DataSet::new().text("CodeMeaning", "Of Interest");
        let all = image()
            .text("ImageType", r"ORIGINAL\PRIMARY")
            .text("ContentLabel", "LABEL")
            .text("DocumentTitle", "Report")
            .item("ConceptNameCodeSequence", concept);
        for (class, title) in [
            ("1.2.840.10008.5.1.4.1.1.2", r"ORIGINAL\PRIMARY"),
            ("1.2.840.10008.5.1.4.1.1.11.1", "LABEL"),
            ("1.2.840.10008.5.1.4.1.1.88.59", "Of Interest"),
            ("1.2.840.10008.5.1.4.1.1.104.1", "Report"),
        ] {
            let instance = read(&all.clone().text("SOPClassUID", class)).instance.unwrap();
            assert_eq!(instance.title.as_deref(), Some(title), "{class}");
        }
    }

    /// PS3.3 C.7.6.16: what functional groups say counts where the top says nothing.
    #[test]
    fn functional_groups_speak_for_the_image() {
        let anatomy = |side: &str| {
            let region = DataSet::new().text("CodeValue", "76752008").text("CodeMeaning", "Breast");
            let anatomy =
                DataSet::new().text("FrameLaterality", side).item("AnatomicRegionSequence", region);
            DataSet::new().item("FrameAnatomySequence", anatomy)
        };
        let measures = DataSet::new().number("SliceThickness", 1.5);
        let shared = image().item(
            "SharedFunctionalGroupsSequence",
            anatomy("L").item("PixelMeasuresSequence", measures),
        );
        let one = read(&shared);
        assert_eq!(one.instance.unwrap().laterality, Some(Laterality::Left));
        assert_eq!(one.series.text("SliceThickness"), Some("1.5"));
        let region = &one.series.items("AnatomicRegionSequence")[0];
        assert_eq!(region.text("CodeMeaning"), Some("Breast"));

        let frames = |sides: &[&str]| {
            let items = sides.iter().map(|side| anatomy(side)).collect();
            let set = image().items("PerFrameFunctionalGroupsSequence", items);
            read(&set).instance.unwrap().laterality
        };
        assert_eq!(frames(&["R"; 100]), Some(Laterality::Right));
        assert_eq!(frames(&["R", "L"]), None);
    }

    #[test]
    fn equal_content_has_an_equal_digest_wherever_it_stands() {
        let file = image().text("PatientName", "A^B").to_part_10().unwrap();
        let mut preamble = file.clone();
        preamble[..4].copy_from_slice(b"%PDF");
        let other = image().text("PatientName", "A^C").to_part_10().unwrap();
        let digest = |file: &[u8]| record(file).instance.unwrap().digest;
        assert_eq!(digest(&file), digest(&preamble));
        assert_ne!(digest(&file), digest(&other));
        // Digests are stored: another value means that every archive seems to have changed.
        assert_eq!(format!("{:016x}", digest(&file)), PINNED);
    }

    const PINNED: &str = "bb822b7a24745b5e";

    #[test]
    fn a_big_endian_data_set_is_read() {
        let mut file = image().to_part_10().unwrap();
        file.truncate(132);
        let mut put = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
            file.extend_from_slice(&group.to_be_bytes());
            file.extend_from_slice(&element.to_be_bytes());
            file.extend_from_slice(vr);
            file.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            file.extend_from_slice(value);
        };
        put(0x0008, 0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0");
        put(0x0008, 0x0018, b"UI", b"2.25.3");
        put(0x0008, 0x0060, b"CS", b"CT");
        put(0x0010, 0x0020, b"LO", b"P1");
        put(0x0020, 0x000d, b"UI", b"2.25.1");
        put(0x0020, 0x000e, b"UI", b"2.25.2");
        put(0x0028, 0x0010, b"US", &[2, 1]);
        let mut with_meta = file[..132].to_vec();
        with_meta.extend_from_slice(b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.2\0");
        with_meta.extend_from_slice(&file[132..]);
        let record = record(&with_meta);
        assert_eq!(record.findings, []);
        assert_eq!(record.instance.unwrap().rows, Some(513));
    }
}
