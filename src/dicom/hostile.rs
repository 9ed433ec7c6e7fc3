//! Malformed and odd files, each with what must become of it: for tests of this room, of the
//! workers and of ingest.
//!
//! Every file is made here, holds no person, and is described by its name.

use std::io::Write as _;
use std::path::Path;

use dicom_core::VR;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::error::{Error, Result};

/// What must become of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Quarantined with this code.
    Quarantined(&'static str),
    /// Quarantined, or read with a finding; never read as if nothing were wrong.
    Refused,
    /// Read, with this finding.
    Found(&'static str),
    /// Read: it looks odd but is right, or nothing that is wanted is touched.
    Read,
    /// Told to be no DICOM.
    NotDicom,
}

/// A file.
#[derive(Clone, Debug)]
pub struct Hostile {
    /// Its name, in which each character can stand in a path.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What must become of it.
    pub expected: Expected,
}

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const JPEG: &str = "1.2.840.10008.1.2.4.50";

const STUDY: u32 = 0x0020_000d;
const SERIES: u32 = 0x0020_000e;
const INSTANCE: u32 = 0x0008_0018;
const CLASS: u32 = 0x0008_0016;
const NAME: u32 = 0x0010_0010;
const PIXELS: u32 = 0x7fe0_0010;
/// Private elements before and behind the identifiers.
const BEFORE: u32 = 0x0009_1001;
const BEHIND: u32 = 0x0029_1001;

const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
const ITEM_END: [u8; 8] = [0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0];
const SEQUENCE_END: [u8; 8] = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
const OPEN: [u8; 4] = [0xff; 4];

const VRS: &[VR] = &[
    VR::AE,
    VR::AS,
    VR::AT,
    VR::CS,
    VR::DA,
    VR::DS,
    VR::DT,
    VR::FL,
    VR::FD,
    VR::IS,
    VR::LO,
    VR::LT,
    VR::OB,
    VR::OD,
    VR::OF,
    VR::OL,
    VR::OV,
    VR::OW,
    VR::PN,
    VR::SH,
    VR::SL,
    VR::SQ,
    VR::SS,
    VR::ST,
    VR::SV,
    VR::TM,
    VR::UC,
    VR::UI,
    VR::UL,
    VR::UN,
    VR::UR,
    VR::US,
    VR::UT,
    VR::UV,
];

/// Elements by tag, so that a file can be changed before it is encoded.
#[derive(Clone)]
struct Elements(Vec<(u32, Vec<u8>)>);

impl Elements {
    /// A small right data set.
    fn right() -> Self {
        let mut elements = Self(Vec::new());
        elements.set(CLASS, VR::UI, b"1.2.840.10008.5.1.4.1.1.2\0");
        elements.set(INSTANCE, VR::UI, b"2.25.3");
        elements.set(0x0008_0020, VR::DA, b"20240131");
        elements.set(0x0008_0060, VR::CS, b"CT");
        elements.set(NAME, VR::PN, b"Hostile^File");
        elements.set(0x0010_0020, VR::LO, b"H1");
        elements.set(STUDY, VR::UI, b"2.25.1");
        elements.set(SERIES, VR::UI, b"2.25.2");
        elements.set(0x0020_0013, VR::IS, b"1 ");
        elements.set(0x0028_0010, VR::US, &[1, 0]);
        elements.set(0x0028_0011, VR::US, &[2, 0]);
        elements.set(PIXELS, VR::OW, &[1, 2, 3, 4]);
        elements
    }

    fn set(&mut self, tag: u32, vr: VR, value: &[u8]) {
        let length = u32::try_from(value.len()).unwrap_or(0);
        let mut bytes = head(tag, vr, length);
        bytes.extend_from_slice(value);
        self.raw(tag, bytes);
    }

    /// Bytes that stand where an element of that tag would.
    fn raw(&mut self, tag: u32, bytes: Vec<u8>) {
        self.0.retain(|(known, _)| *known != tag);
        self.0.push((tag, bytes));
        self.0.sort_by_key(|(tag, _)| *tag);
    }

    fn without(&mut self, tag: u32) {
        self.0.retain(|(known, _)| *known != tag);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }
}

fn tag_bytes(tag: u32) -> [u8; 4] {
    let [high, low] = [(tag >> 16) as u16, (tag & 0xffff) as u16];
    let [a, b] = high.to_le_bytes();
    let [c, d] = low.to_le_bytes();
    [a, b, c, d]
}

fn head(tag: u32, vr: VR, length: u32) -> Vec<u8> {
    let mut bytes = tag_bytes(tag).to_vec();
    bytes.extend_from_slice(&vr.to_bytes());
    if super::walk::is_long(vr) {
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&length.to_le_bytes());
    } else {
        bytes.extend_from_slice(&(length.min(0xffff) as u16).to_le_bytes());
    }
    bytes
}

/// An element of file meta information, and behind it whatever its value claims.
fn meta(element: u32, vr: VR, value: &[u8]) -> Vec<u8> {
    let mut bytes = head(0x0002_0000 | element, vr, u32::try_from(value.len()).unwrap_or(0));
    bytes.extend_from_slice(value);
    bytes
}

fn even(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

fn start() -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM");
    bytes
}

fn file(syntax: &str, body: &[u8]) -> Vec<u8> {
    let mut inner = meta(0x0001, VR::OB, &[0, 1]);
    inner.extend(meta(0x0002, VR::UI, b"1.2.840.10008.5.1.4.1.1.2\0"));
    inner.extend(meta(0x0003, VR::UI, b"2.25.3"));
    inner.extend(meta(0x0010, VR::UI, &even(syntax)));
    let mut bytes = start();
    bytes.extend(meta(0, VR::UL, &u32::try_from(inner.len()).unwrap_or(0).to_le_bytes()));
    bytes.extend(inner);
    bytes.extend_from_slice(body);
    bytes
}

fn deflated(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

/// Sequences inside sequences, without lengths, and their ends.
fn nested(tag: u32, depth: usize, head_of: &dyn Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for level in 0..depth {
        bytes.extend(head_of(if level == 0 { tag } else { 0x0008_1140 }));
        bytes.extend_from_slice(&ITEM);
        bytes.extend_from_slice(&OPEN);
    }
    for _ in 0..depth {
        bytes.extend_from_slice(&ITEM_END);
        bytes.extend_from_slice(&SEQUENCE_END);
    }
    bytes
}

/// The right data set in implicit VR, by cutting the representations out.
fn implicit(elements: &Elements) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, bytes) in &elements.0 {
        let is_long = bytes.get(6..8) == Some(&[0, 0]) && *tag == PIXELS;
        let value = bytes.get(if is_long { 12 } else { 8 }..).unwrap_or_default();
        out.extend_from_slice(&tag_bytes(*tag));
        out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(value);
    }
    out
}

/// Writes all files into a folder, and beside it nothing: what is expected is returned.
///
/// # Errors
/// When a file cannot be written.
pub fn write(dir: &Path) -> Result<Vec<(String, Expected)>> {
    let failed = |error: std::io::Error| {
        Error::Internal(format!("`{}` cannot be written: {error}", dir.display()))
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut all = Vec::new();
    for file in files() {
        std::fs::write(dir.join(&file.name), &file.bytes).map_err(failed)?;
        all.push((file.name, file.expected));
    }
    Ok(all)
}

/// All files, in the order of their names' first words.
#[must_use]
pub fn files() -> Vec<Hostile> {
    let mut all = All(Vec::new());
    all.nesting();
    all.lengths();
    all.delimiters();
    all.deflate();
    all.file_meta();
    all.identifiers();
    all.text();
    all.truncation();
    all.preambles();
    all.sizes();
    all.values();
    all.0
}

struct All(Vec<Hostile>);

impl All {
    fn add(&mut self, name: &str, bytes: Vec<u8>, expected: Expected) {
        self.0.push(Hostile { name: format!("{name}.dcm"), bytes, expected });
    }

    /// The right file with other bytes at one place.
    fn with(&mut self, name: &str, tag: u32, bytes: Vec<u8>, expected: Expected) {
        let mut elements = Elements::right();
        elements.raw(tag, bytes);
        self.add(name, file(EXPLICIT, &elements.bytes()), expected);
    }

    /// The right file with another value of one element.
    fn value(&mut self, name: &str, tag: u32, vr: VR, value: &[u8], expected: Expected) {
        let mut elements = Elements::right();
        elements.set(tag, vr, value);
        self.add(name, file(EXPLICIT, &elements.bytes()), expected);
    }

    fn nesting(&mut self) {
        let sequence = |tag: u32| head(tag, VR::SQ, u32::MAX);
        let unknown = |tag: u32| head(tag, VR::UN, u32::MAX);
        let bare = |tag: u32| [tag_bytes(tag), OPEN].concat();
        for depth in [64, 65, 100, 1_000, 10_000, 100_000] {
            let expected =
                if depth == 64 { Expected::Read } else { Expected::Quarantined("too-deep") };
            let bytes = nested(BEFORE, depth, &sequence);
            self.with(&format!("nesting-explicit-{depth}"), BEFORE, bytes, expected);
            let wanted = nested(0x0040_a370, depth, &sequence);
            self.with(&format!("nesting-wanted-{depth}"), 0x0040_a370, wanted, expected);
            let inner = nested(BEFORE, depth, &bare);
            let mut body = unknown(BEFORE);
            body.extend_from_slice(&ITEM);
            body.extend_from_slice(&OPEN);
            body.extend(inner);
            body.extend_from_slice(&ITEM_END);
            body.extend_from_slice(&SEQUENCE_END);
            let expected =
                if depth < 64 { Expected::Read } else { Expected::Quarantined("too-deep") };
            self.with(&format!("nesting-unknown-{depth}"), BEFORE, body, expected);
            let mut elements = Elements::right();
            elements.without(PIXELS);
            let mut body = nested(0x0008_1140, depth, &bare);
            body.extend(implicit(&elements));
            let expected =
                if depth <= 64 { Expected::Read } else { Expected::Quarantined("too-deep") };
            self.add(&format!("nesting-implicit-{depth}"), file(IMPLICIT, &body), expected);
        }
        // Lengths that fit: skipped as one value, whatever is inside.
        let mut bytes = Vec::new();
        for _ in 0..200 {
            let length = u32::try_from(bytes.len()).unwrap_or(0);
            let mut outer = head(BEFORE, VR::SQ, length + 8);
            outer.extend_from_slice(&ITEM);
            outer.extend_from_slice(&length.to_le_bytes());
            outer.append(&mut bytes);
            bytes = outer;
        }
        self.with("nesting-with-lengths-unwanted", BEFORE, bytes, Expected::Read);
    }

    fn lengths(&mut self) {
        for vr in VRS {
            let spelled = vr.to_string();
            let lie = if super::walk::is_long(*vr) { 0xffff_fff0 } else { 0xfff0 };
            self.with(
                &format!("length-lie-{spelled}-before"),
                BEFORE,
                head(BEFORE, *vr, lie),
                Expected::Quarantined("length-beyond-end"),
            );
            self.with(
                &format!("length-lie-{spelled}-behind"),
                BEHIND,
                head(BEHIND, *vr, lie),
                Expected::Found("data-set-damaged"),
            );
        }
        self.with(
            "length-undefined-text",
            BEFORE,
            head(BEFORE, VR::UT, u32::MAX),
            Expected::Quarantined("length-undefined"),
        );
        let mut item = head(BEFORE, VR::SQ, u32::MAX);
        item.extend_from_slice(&ITEM);
        item.extend_from_slice(&0xffff_fff0_u32.to_le_bytes());
        self.with("length-lie-item", BEFORE, item, Expected::Quarantined("length-beyond-end"));
        let mut outer = head(0x0008_1032, VR::SQ, 12);
        outer.extend_from_slice(&ITEM);
        outer.extend_from_slice(&100_u32.to_le_bytes());
        outer.extend_from_slice(&[0; 4]);
        let expected = Expected::Quarantined("length-beyond-end");
        self.with("length-item-longer-than-sequence", 0x0008_1032, outer, expected);
        let mut inner = head(0x0008_1032, VR::SQ, 20);
        inner.extend_from_slice(&ITEM);
        inner.extend_from_slice(&12_u32.to_le_bytes());
        inner.extend(head(0x0008_0100, VR::SH, 40));
        inner.extend_from_slice(b"1234");
        let expected = Expected::Quarantined("length-beyond-end");
        self.with("length-element-longer-than-item", 0x0008_1032, inner, expected);
        self.value("length-odd", BEFORE, VR::LO, b"odd", Expected::Read);
        self.value("length-odd-name", NAME, VR::PN, b"Odd^X", Expected::Read);
        self.value("length-zero-sequence", 0x0008_1032, VR::SQ, b"", Expected::Read);
        self.value("length-zero-name", NAME, VR::PN, b"", Expected::Read);
        let mut pixels = head(PIXELS, VR::OB, u32::MAX);
        pixels.extend_from_slice(&ITEM);
        pixels.extend_from_slice(&OPEN);
        let mut elements = Elements::right();
        elements.raw(PIXELS, pixels);
        let bytes = file(JPEG, &elements.bytes());
        self.add("length-undefined-fragment", bytes, Expected::Found("file-truncated"));
        let mut icon = head(BEFORE, VR::OB, u32::MAX);
        icon.extend_from_slice(&ITEM);
        icon.extend_from_slice(&OPEN);
        let expected = Expected::Quarantined("length-undefined");
        self.with("length-undefined-fragment-inside", BEFORE, icon, expected);
    }

    fn delimiters(&mut self) {
        let unexpected = Expected::Quarantined("delimiter-unexpected");
        self.with("delimiter-item-end-at-top", BEFORE, ITEM_END.to_vec(), unexpected);
        self.with("delimiter-sequence-end-at-top", BEFORE, SEQUENCE_END.to_vec(), unexpected);
        self.with("delimiter-item-at-top", BEFORE, [ITEM, [0; 4]].concat(), unexpected);
        let mut open = head(BEFORE, VR::SQ, u32::MAX);
        let empty = [open.clone(), SEQUENCE_END.to_vec()].concat();
        self.with("delimiter-without-items", BEFORE, empty, Expected::Read);
        let expected = Expected::Quarantined("item-expected");
        self.with("delimiter-element-for-item", BEFORE, open.clone(), expected);
        open.extend_from_slice(&ITEM_END);
        self.with("delimiter-item-end-without-item", BEFORE, open, expected);
        let mut item = head(BEFORE, VR::SQ, u32::MAX);
        item.extend_from_slice(&ITEM);
        item.extend_from_slice(&OPEN);
        item.extend_from_slice(&SEQUENCE_END);
        self.with("delimiter-sequence-end-in-item", BEFORE, item, unexpected);
        let mut never = Elements::right();
        never.raw(BEHIND, [head(BEHIND, VR::SQ, u32::MAX), ITEM.to_vec(), OPEN.to_vec()].concat());
        never.without(PIXELS);
        let bytes = file(EXPLICIT, &never.bytes());
        self.add("delimiter-never", bytes, Expected::Found("data-set-damaged"));
    }

    fn deflate(&mut self) {
        let right = Elements::right().bytes();
        self.add("deflate-right", file(DEFLATED, &deflated(&right)), Expected::Read);
        let mut bomb = Elements::right();
        bomb.set(BEFORE, VR::OB, &vec![0; 24 << 20]);
        let bytes = file(DEFLATED, &deflated(&bomb.bytes()));
        self.add("deflate-bomb", bytes, Expected::Quarantined("deflate-bomb"));
        let mut body = deflated(&right);
        body.truncate(body.len() / 2);
        self.add("deflate-cut", file(DEFLATED, &body), Expected::Refused);
        let bytes = file(DEFLATED, &[0xff; 64]);
        self.add("deflate-damaged", bytes, Expected::Quarantined("deflate-damaged"));
        let bytes = file(DEFLATED, &[]);
        self.add("deflate-empty", bytes, Expected::Quarantined("uid-missing"));
        let bytes = file(DEFLATED, &right);
        self.add("deflate-not", bytes, Expected::Refused);
        let mut lie = head(BEFORE, VR::OB, 0x7fff_fff0);
        lie.extend_from_slice(&[0; 64]);
        let bytes = file(DEFLATED, &deflated(&lie));
        let expected = Expected::Quarantined("length-beyond-end");
        self.add("deflate-length-lie", bytes, expected);
    }

    fn file_meta(&mut self) {
        let right = Elements::right().bytes();
        let syntax = meta(0x0010, VR::UI, &even(EXPLICIT));
        let group = |length: u32| meta(0, VR::UL, &length.to_le_bytes());
        let build = |parts: &[&[u8]]| [&start(), parts.concat().as_slice()].concat();
        for (word, length) in [("zero", 0), ("huge", u32::MAX), ("short", 5), ("long", 5000)] {
            let bytes = build(&[&group(length), &syntax, &right]);
            self.add(&format!("meta-group-length-{word}"), bytes, Expected::Read);
        }
        self.add("meta-no-group-length", build(&[&syntax, &right]), Expected::Read);
        let missing = Expected::Found("file-meta-missing");
        self.add("meta-none", build(&[&right]), missing);
        self.add("meta-no-syntax", build(&[&group(0), &right]), missing);
        let empty = meta(0x0010, VR::UI, b"");
        self.add("meta-syntax-empty", build(&[&empty, &right]), missing);
        self.add("meta-no-preamble", right.clone(), missing);
        self.add("meta-no-preamble-implicit", implicit(&Elements::right()), missing);
        self.add("meta-without-preamble", [syntax.as_slice(), &right].concat(), missing);
        self.add("meta-magic-first", [b"DICM", syntax.as_slice(), &right].concat(), missing);
        self.add("meta-only", build(&[&syntax]), Expected::Quarantined("uid-missing"));
        self.add("meta-magic-only", start(), Expected::Quarantined("uid-missing"));
        let lie = head(0x0002_0010, VR::UI, 0xfff0);
        let beyond = Expected::Quarantined("length-beyond-end");
        self.add("meta-length-lie", build(&[&lie, &right]), beyond);
        let lie = head(0x0002_0102, VR::OB, 0xffff_fff0);
        self.add("meta-length-lie-private", build(&[&syntax, &lie, &right]), beyond);
        let many = meta(0x0013, VR::SH, b"x ").repeat(300);
        let too_many = Expected::Quarantined("too-many-elements");
        self.add("meta-many-elements", build(&[&syntax, &many, &right]), too_many);
        self.add("meta-syntax-unknown", file("1.2.3.4.5.6", &right), Expected::Read);
        self.add("meta-syntax-no-uid", file("../../etc", &right), Expected::Read);
        let odd = Expected::Found("transfer-syntax-odd");
        self.add("meta-syntax-says-implicit", file(IMPLICIT, &right), odd);
        self.add("meta-syntax-says-big-endian", file(BIG_ENDIAN, &right), odd);
        let bytes = file(EXPLICIT, &implicit(&Elements::right()));
        self.add("meta-syntax-says-explicit", bytes, odd);
        let directory = meta(0x0002, VR::UI, b"1.2.840.10008.1.3.10");
        let media = Expected::Quarantined("media-directory");
        self.add("meta-media-directory", build(&[&directory, &syntax, &right]), media);
        let records = [head(0x0004_1220, VR::SQ, u32::MAX), SEQUENCE_END.to_vec()].concat();
        self.add("meta-media-directory-unsaid", build(&[&syntax, &records]), media);
    }

    fn identifiers(&mut self) {
        for (tag, word) in
            [(STUDY, "study"), (SERIES, "series"), (INSTANCE, "instance"), (CLASS, "class")]
        {
            let mut without = Elements::right();
            without.without(tag);
            let bytes = file(EXPLICIT, &without.bytes());
            self.add(&format!("uid-missing-{word}"), bytes, Expected::Quarantined("uid-missing"));
            for (name, value) in [
                ("path", b"../../etc/passwd".as_slice()),
                ("dots", b"../.."),
                ("long", &[b'1'; 66]),
                ("space", b"1.2 3.4 5"),
                ("query", b"1.2?a=b#c"),
                ("latin", b"1.2.\xe9\xe8"),
            ] {
                let name = format!("uid-{name}-{word}");
                self.value(&name, tag, VR::UI, value, Expected::Quarantined("uid-invalid"));
            }
            let blank = format!("uid-blank-{word}");
            self.value(&blank, tag, VR::UI, b"\0\0\0\0", Expected::Quarantined("uid-missing"));
            let odd = Expected::Found("uid-not-standard");
            self.value(&format!("uid-leading-zero-{word}"), tag, VR::UI, b"1.02.3", odd);
        }
    }

    fn text(&mut self) {
        const CHARSET: u32 = 0x0008_0005;
        let mut name = |word: &str, declared: &[u8], value: &[u8], expected| {
            let mut elements = Elements::right();
            elements.set(CHARSET, VR::CS, declared);
            elements.set(NAME, VR::PN, value);
            self.add(&format!("text-{word}"), file(EXPLICIT, &elements.bytes()), expected);
        };
        let undeclared = Expected::Found("charset-undeclared");
        name("escape-at-end", br"\ISO 2022 IR 87", b"A^B\x1b", undeclared);
        name("escape-unknown", br"\ISO 2022 IR 87", b"A\x1b%G^B", undeclared);
        name("escape-half-pair", br"\ISO 2022 IR 87", b"\x1b$B;3E", Expected::Read);
        name("escape-odd-pair", br"\ISO 2022 IR 87", b"\x1b$B\x7f\x20\x1b(B", Expected::Read);
        name("escape-storm", br"\ISO 2022 IR 149", &b"\x1b$)C\x1b(B".repeat(500), Expected::Read);
        name("pair-cut", br"\ISO 2022 IR 149", b"\x1b$)C\xfb", undeclared);
        name("undeclared", b"", b"J\xe9r\xf4me", undeclared);
        name("not-utf-8", b"ISO_IR 192", b"J\xe9r\xf4me", undeclared);
        name("overlong-utf-8", b"ISO_IR 192", b"A\xc0\xafB ", undeclared);
        name("gb18030-cut", b"GB18030 ", b"A\x81", undeclared);
        name("charset-unknown", b"ISO_IR 999", b"A^B ", Expected::Found("charset-unknown"));
        name("charset-binary", b"\x00\xff\x01\xfe", b"A^B ", Expected::Found("charset-unknown"));
        name("control-characters", b"", b"A\x01\x02^B\x7f", Expected::Read);
        name("nothing-but-carets", b"", &b"^".repeat(4000), Expected::Read);
        name("five-groups", b"", b"a=b=c=d=e ", Expected::Found("name-odd"));
        name("six-components", b"", b"a^b^c^d^e^f ", Expected::Found("name-odd"));
        name("too-long", b"", &b"A".repeat(40_000), Expected::Found("value-too-long"));
    }

    fn truncation(&mut self) {
        let elements = Elements::right();
        let empty = file(EXPLICIT, &[]);
        let mut at = empty.len();
        let right = file(EXPLICIT, &elements.bytes());
        for (tag, bytes) in &elements.0 {
            let cuts = [("start", 0), ("head", 5), ("value", bytes.len().saturating_sub(2))];
            for (word, cut) in cuts {
                let is_identified = *tag > SERIES;
                let expected = match (is_identified, word, *tag) {
                    (true, "start", _) => Expected::Read,
                    (_, "value", PIXELS) => Expected::Found("file-truncated"),
                    (true, ..) => Expected::Found("data-set-damaged"),
                    (false, "start", _) => Expected::Quarantined("uid-missing"),
                    (false, "head", _) => Expected::Quarantined("truncated"),
                    (false, ..) => Expected::Quarantined("length-beyond-end"),
                };
                let name = format!("cut-{:04x}-{:04x}-{word}", tag >> 16, tag & 0xffff);
                self.add(&name, right.get(..at + cut).unwrap_or(&right).to_vec(), expected);
            }
            at += bytes.len();
        }
        for cut in (132..empty.len()).step_by(7) {
            let bytes = right.get(..cut).unwrap_or(&right).to_vec();
            self.add(&format!("cut-meta-{cut}"), bytes, Expected::Refused);
        }
    }

    fn preambles(&mut self) {
        for (word, magic) in [
            ("pe", b"MZ\x90\0\x03\0\0\0".as_slice()),
            ("elf", b"\x7fELF\x02\x01\x01\0"),
            ("mach-o", b"\xcf\xfa\xed\xfe\x07\0\0\x01"),
            ("pdf", b"%PDF-1.7\n"),
            ("html", b"<html><script>"),
            ("tiff", b"II*\0\x08\0\0\0"),
            ("zip", b"PK\x03\x04"),
            ("shell", b"#!/bin/sh\n"),
        ] {
            let mut bytes = file(EXPLICIT, &Elements::right().bytes());
            for (place, byte) in bytes.iter_mut().zip(magic) {
                *place = *byte;
            }
            self.add(&format!("preamble-{word}"), bytes, Expected::Read);
            self.add(&format!("not-dicom-{word}"), magic.repeat(40), Expected::NotDicom);
        }
        self.add("not-dicom-empty", Vec::new(), Expected::NotDicom);
        self.add("not-dicom-zeros", vec![0; 4096], Expected::NotDicom);
        self.add("not-dicom-ones", vec![0xff; 4096], Expected::NotDicom);
        self.add("not-dicom-text", b"patient,name\n1,x\n".repeat(9), Expected::NotDicom);
        self.add(
            "not-dicom-magic-late",
            [vec![1; 129], b"DICM".to_vec()].concat(),
            Expected::NotDicom,
        );
    }

    fn sizes(&mut self) {
        let private = head(BEFORE, VR::LO, 0).repeat(100_000);
        self.with("many-private-elements", BEFORE, private, Expected::Read);
        for (word, tag) in [("unwanted", BEFORE), ("wanted", 0x0008_1032)] {
            let mut open = head(tag, VR::SQ, u32::MAX);
            open.extend([ITEM, [0; 4]].concat().repeat(100_000));
            open.extend_from_slice(&SEQUENCE_END);
            self.with(&format!("many-items-{word}"), tag, open, Expected::Read);
        }
        let mut code = head(0x0008_0104, VR::LO, 64);
        code.extend_from_slice(&[b'x'; 64]);
        let item = |value: &[u8]| {
            let length = u32::try_from(value.len()).unwrap_or(0);
            [ITEM.as_slice(), &length.to_le_bytes(), value].concat()
        };
        let sequence = |tag: u32, items: Vec<u8>| {
            [head(tag, VR::SQ, u32::MAX), items, SEQUENCE_END.to_vec()].concat()
        };
        let codes = sequence(0x0008_1032, item(&code).repeat(20_000));
        self.with("many-codes", 0x0008_1032, codes, Expected::Read);
        let inner = sequence(0x0032_1064, item(&code.repeat(8)).repeat(64));
        let mut long = head(0x0008_0050, VR::SH, 16_000);
        long.extend_from_slice(&[b'x'; 16_000]);
        let outer = sequence(0x0008_1032, item(&[inner.clone(), long.clone()].concat()).repeat(64));
        self.with("many-nested-unwanted", 0x0008_1032, outer, Expected::Read);
        let outer = sequence(0x0040_a370, item(&[long, inner].concat()).repeat(80));
        self.with("many-nested", 0x0040_a370, outer, Expected::Found("value-too-long"));
        self.value("many-values", 0x0008_0008, VR::CS, &b"A\\".repeat(8000), Expected::Read);
        self.value("trailing-zeros", 0xfffc_fffc, VR::OB, &[0; 5000], Expected::Read);
    }

    fn values(&mut self) {
        let found = Expected::Found;
        self.value("value-date-dots", 0x0008_0020, VR::DA, b"2024.01.31", found("date-odd"));
        self.value("value-date-none", 0x0008_0020, VR::DA, b"20241399", found("date-odd"));
        self.value("value-time-colon", 0x0008_0030, VR::TM, b"14:04:", found("time-odd"));
        self.value("value-age", 0x0010_1010, VR::AS, b"old ", found("age-odd"));
        self.value("value-sex", 0x0010_0040, VR::CS, b"0000", found("sex-odd"));
        self.value("value-number-negative", 0x0020_0011, VR::IS, b"-1", found("number-odd"));
        self.value(
            "value-number-huge",
            0x0020_0013,
            VR::IS,
            b"99999999999999999999",
            found("number-odd"),
        );
        self.value("value-laterality", 0x0020_0060, VR::CS, b"U ", found("laterality-odd"));
        self.value("value-laterality-both", 0x0020_0060, VR::CS, b"B ", found("laterality-both"));
        self.value("value-rows-as-long", 0x0028_0010, VR::UL, &[0xff; 4], found("vr-odd"));
        self.value("value-name-as-sequence", NAME, VR::SQ, b"", Expected::Read);
        self.value("value-name-as-numbers", NAME, VR::US, &[0xff; 4], found("vr-odd"));
        self.value("value-codes-as-text", 0x0008_1032, VR::LO, b"code", found("vr-odd"));
        self.value("value-modality-missing", 0x0008_0060, VR::CS, b"  ", found("modality-missing"));
        self.value(
            "value-patient-id-missing",
            0x0010_0020,
            VR::LO,
            b"",
            found("patient-id-missing"),
        );
        let mut bad = Elements::right();
        let mut bytes = head(BEFORE, VR::LO, 4);
        bytes.extend_from_slice(b"abcd");
        for (place, byte) in bytes.iter_mut().skip(4).zip(b"ZZ") {
            *place = *byte;
        }
        bad.raw(BEFORE, bytes);
        self.add("value-vr-unknown", file(EXPLICIT, &bad.bytes()), Expected::Read);
        let mut bytes = tag_bytes(BEFORE).to_vec();
        bytes.extend_from_slice(&4_u32.to_le_bytes());
        bytes.extend_from_slice(b"abcd");
        self.with("value-vr-none", BEFORE, bytes, Expected::Read);
    }
}
