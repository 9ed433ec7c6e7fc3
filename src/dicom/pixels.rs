//! Where the pixel data, the frames and other large values of a file stand: places, not bytes.
//!
//! Native pixel data are cut by the size of a frame; encapsulated ones (PS3.5 A.4) by fragment
//! where each frame has one, by the offset tables where there are any, and not at all otherwise:
//! nothing is decoded here.

use dicom_core::VR;

use super::part10::Part10;
use super::plan::tag;
use super::scan::{Leaf, PIXELS, Scan, Step, fragment};
use super::to_json::width;
use crate::imaging::Quarantine;

/// Fragments of one instance whose places are kept (16 bytes each).
const FRAGMENTS: usize = 1 << 20;
/// Bytes of a value of a deflated data set that are held in memory to be handed out.
const HELD: u64 = 16 << 20;

const SHARED_GROUPS: u32 = tag(0x5200, 0x9229);
const FRAME_GROUPS: u32 = tag(0x5200, 0x9230);
const FRAME_VOI_LUT: u32 = tag(0x0028, 0x9132);
const PIXEL_VALUE_TRANSFORMATION: u32 = tag(0x0028, 0x9145);
const EXTENDED_OFFSETS: u32 = tag(0x7fe0, 0x0001);

/// Bytes of a file: pieces one behind the other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Piece {
    /// Where each begins, and how many bytes it has.
    pub ranges: Vec<(u64, u64)>,
    /// Width of the numbers that are big endian in the file and are turned around; 1: none.
    pub swap: usize,
    /// The bytes themselves, where they do not stand in the file (a deflated data set).
    pub held: Option<Vec<u8>>,
}

impl Piece {
    /// How many bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match &self.held {
            Some(held) => held.len() as u64,
            None => self.ranges.iter().map(|(_, length)| length).sum(),
        }
    }
}

/// Why bytes cannot be cut out of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Uncut {
    /// The instance has nothing of that name.
    Absent(String),
    /// It has, and it cannot be had without decoding.
    Undecoded(String),
    /// The file cannot be read.
    Damaged(String),
}

impl From<Quarantine> for Uncut {
    fn from(reason: Quarantine) -> Self {
        Self::Damaged(reason.detail)
    }
}

/// What the Image Pixel module (PS3.3 C.7.6.3) and its neighbours say, and where the pixels are.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named by the attributes")]
pub struct Pixels {
    pub rows: u32,
    pub columns: u32,
    pub samples_per_pixel: u32,
    pub photometric_interpretation: String,
    pub is_planar: bool,
    pub number_of_frames: u32,
    pub bits_allocated: u32,
    pub bits_stored: u32,
    pub high_bit: u32,
    pub is_signed: bool,
    pub window: Option<(f64, f64)>,
    pub voi_function: String,
    pub rescale: (f64, f64),
    pub(super) vr: VR,
    pub(super) is_big: bool,
    pub(super) place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    None,
    Native { at: u64, length: u64 },
    Fragments { offsets: Vec<u64>, ranges: Vec<(u64, u64)> },
}

impl Default for Pixels {
    fn default() -> Self {
        Self {
            rows: 0,
            columns: 0,
            samples_per_pixel: 1,
            photometric_interpretation: String::new(),
            is_planar: false,
            number_of_frames: 1,
            bits_allocated: 0,
            bits_stored: 0,
            high_bit: 0,
            is_signed: false,
            window: None,
            voi_function: String::new(),
            rescale: (1.0, 0.0),
            vr: VR::OW,
            is_big: false,
            place: Place::None,
        }
    }
}

impl Part10 {
    /// What the data set says of its pixels, with what the functional groups say of a frame
    /// (from 1).
    ///
    /// # Errors
    /// When the data set cannot be read up to its pixel data.
    pub fn pixels(&self, frame: u32) -> Result<Pixels, Quarantine> {
        self.scanned(|scan| {
            let mut pixels = Pixels::default();
            let (mut center, mut width) = (None, None);
            let mut extended = None;
            while let Some(step) = scan.next()? {
                let Step::Leaf(leaf) = step else { continue };
                let mut way = scan.way();
                let is_of_frame = match way.next() {
                    None => true,
                    Some((SHARED_GROUPS, _)) => {
                        matches!(way.next(), Some((FRAME_VOI_LUT | PIXEL_VALUE_TRANSFORMATION, _)))
                    }
                    Some((FRAME_GROUPS, item)) if item.saturating_add(1) == frame => {
                        matches!(way.next(), Some((FRAME_VOI_LUT | PIXEL_VALUE_TRANSFORMATION, _)))
                    }
                    Some(_) => false,
                };
                drop(way);
                if !is_of_frame {
                    continue;
                }
                match (leaf.tag >> 16, leaf.tag & 0xffff) {
                    (0x0028, 0x0002) => pixels.samples_per_pixel = short(scan, &leaf)?,
                    (0x0028, 0x0004) => pixels.photometric_interpretation = text(scan, &leaf)?,
                    (0x0028, 0x0006) => pixels.is_planar = short(scan, &leaf)? == 1,
                    (0x0028, 0x0008) => {
                        pixels.number_of_frames = text(scan, &leaf)?.parse().unwrap_or(1).max(1);
                    }
                    (0x0028, 0x0010) => pixels.rows = short(scan, &leaf)?,
                    (0x0028, 0x0011) => pixels.columns = short(scan, &leaf)?,
                    (0x0028, 0x0100) => pixels.bits_allocated = short(scan, &leaf)?,
                    (0x0028, 0x0101) => pixels.bits_stored = short(scan, &leaf)?,
                    (0x0028, 0x0102) => pixels.high_bit = short(scan, &leaf)?,
                    (0x0028, 0x0103) => pixels.is_signed = short(scan, &leaf)? == 1,
                    (0x0028, 0x1050) => center = decimal(scan, &leaf)?,
                    (0x0028, 0x1051) => width = decimal(scan, &leaf)?,
                    (0x0028, 0x1052) => {
                        pixels.rescale.1 = decimal(scan, &leaf)?.unwrap_or(0.0);
                    }
                    (0x0028, 0x1053) => {
                        pixels.rescale.0 = decimal(scan, &leaf)?.unwrap_or(1.0);
                    }
                    (0x0028, 0x1056) => pixels.voi_function = text(scan, &leaf)?,
                    _ if leaf.tag == EXTENDED_OFFSETS => extended = Some(leaf),
                    _ if PIXELS.contains(&leaf.tag) => {
                        (pixels.vr, pixels.is_big) = (leaf.vr, leaf.big);
                        pixels.place = match leaf.length {
                            Some(length) => Place::Native { at: leaf.at, length },
                            None => fragments(scan, leaf.at, extended)?,
                        };
                        break;
                    }
                    _ => {}
                }
            }
            pixels.window = center.zip(width);
            Ok(pixels)
        })
    }

    /// Where a frame (from 1) stands.
    ///
    /// # Errors
    /// When there is no such frame, or it cannot be had by cutting.
    pub fn frame(&self, pixels: &Pixels, number: u32) -> Result<Piece, Uncut> {
        if pixels.place == Place::None {
            return Err(Uncut::Absent("the instance has no pixel data".to_owned()));
        }
        if number == 0 || number > pixels.number_of_frames {
            return Err(Uncut::Absent(format!(
                "frame {number} is not one of the instance's {}, which are counted from 1",
                pixels.number_of_frames
            )));
        }
        if self.is_deflated {
            return Err(Uncut::Undecoded(
                "frames of a deflated data set are not cut out; retrieve the instance".to_owned(),
            ));
        }
        let index = u64::from(number - 1);
        match &pixels.place {
            Place::None => Err(Uncut::Absent("the instance has no pixel data".to_owned())),
            Place::Native { at, length } => {
                let bits = [pixels.rows, pixels.columns, pixels.samples_per_pixel]
                    .iter()
                    .try_fold(u64::from(pixels.bits_allocated), |bits, factor| {
                        bits.checked_mul(u64::from(*factor))
                    })
                    .filter(|bits| *bits > 0)
                    .ok_or_else(|| {
                        Uncut::Damaged("the size of a frame cannot be told".to_owned())
                    })?;
                // YBR_FULL_422 has two samples of colour for two pixels (PS3.3 C.7.6.3.1.2).
                let bits = match &*pixels.photometric_interpretation {
                    "YBR_FULL_422" | "YBR_PARTIAL_422" => bits / 3 * 2,
                    _ => bits,
                };
                if !bits.is_multiple_of(8) && pixels.number_of_frames > 1 {
                    return Err(Uncut::Undecoded(
                        "frames do not begin at whole bytes; retrieve the instance".to_owned(),
                    ));
                }
                let size = bits.div_ceil(8);
                let start = index.checked_mul(size);
                let end = start.and_then(|start| start.checked_add(size));
                let (Some(start), Some(_)) = (start, end.filter(|end| end <= length)) else {
                    return Err(Uncut::Damaged(
                        "the pixel data end before the end of the frame".to_owned(),
                    ));
                };
                let width = match (pixels.vr, pixels.bits_allocated) {
                    // PS3.5 8.1.1: words of 16 bits, whatever they hold; OB is bytes.
                    (VR::OB, _) => 1,
                    (vr, _) => width(vr),
                };
                let swap = if pixels.is_big { width } else { 1 };
                Ok(Piece { ranges: vec![(at + start, size)], swap, held: None })
            }
            Place::Fragments { offsets, ranges } => {
                let frames = pixels.number_of_frames as usize;
                let index = number as usize - 1;
                let of_frame = if frames == 1 {
                    ranges.clone()
                } else if ranges.len() == frames {
                    ranges.get(index).into_iter().copied().collect()
                } else if offsets.len() == frames {
                    // Offsets count from the first byte of the first fragment's item.
                    let first = ranges.first().map_or(0, |(at, _)| at.saturating_sub(8));
                    let from = offsets.get(index).map_or(u64::MAX, |of| first.saturating_add(*of));
                    let to =
                        offsets.get(index + 1).map_or(u64::MAX, |of| first.saturating_add(*of));
                    let within = |(at, _): &&(u64, u64)| (from..to).contains(&at.saturating_sub(8));
                    ranges.iter().filter(within).copied().collect()
                } else {
                    return Err(Uncut::Undecoded(format!(
                        "{} fragments hold {frames} frames, and no offset table tells which; \
                         retrieve the instance",
                        ranges.len()
                    )));
                };
                if of_frame.is_empty() {
                    return Err(Uncut::Damaged("the frame has no fragment".to_owned()));
                }
                Ok(Piece { ranges: of_frame, swap: 1, held: None })
            }
        }
    }

    /// Where a value stands: its tag, and before it the sequences that lead to it, each a tag and
    /// the number of the item from 1.
    ///
    /// # Errors
    /// When there is no such value, or it is a sequence.
    pub fn bulk(&self, way: &[(u32, u32)], of: u32) -> Result<Piece, Uncut> {
        let absent = || Uncut::Absent("the instance has no such value".to_owned());
        let found = self.scanned(|scan| {
            while let Some(step) = scan.next()? {
                let Step::Leaf(leaf) = step else { continue };
                let is_it = leaf.tag == of
                    && scan.way().map(|(tag, item)| (tag, item + 1)).eq(way.iter().copied());
                if !is_it {
                    continue;
                }
                let ranges = match leaf.length {
                    Some(length) => vec![(leaf.at, length)],
                    None => match fragments(scan, leaf.at, None)? {
                        Place::Fragments { ranges, .. } => ranges,
                        Place::None | Place::Native { .. } => Vec::new(),
                    },
                };
                let length: u64 = ranges.iter().map(|(_, length)| length).sum();
                let held = if self.is_deflated {
                    if length > HELD {
                        return Ok(Some(None));
                    }
                    let mut held = Vec::new();
                    for (at, length) in &ranges {
                        held.extend_from_slice(
                            scan.bytes(*at, usize::try_from(*length).unwrap_or(0))?,
                        );
                    }
                    Some(held)
                } else {
                    None
                };
                let swap = if leaf.big { width(leaf.vr) } else { 1 };
                return Ok(Some(Some(Piece { ranges, swap, held })));
            }
            Ok(None)
        })?;
        match found {
            None => Err(absent()),
            Some(None) => Err(Uncut::Undecoded(
                "the value stands in a deflated data set and is too large to be cut out; retrieve \
                 the instance"
                    .to_owned(),
            )),
            Some(Some(piece)) => Ok(piece),
        }
    }
}

/// The places of the fragments behind a place, and the offsets of frames, if they are told.
fn fragments(scan: &mut Scan<'_>, begin: u64, extended: Option<Leaf>) -> Result<Place, Quarantine> {
    let end = scan.input.end();
    let mut offsets = Vec::new();
    if let Some(leaf) = extended {
        offsets = table(scan, leaf.at, leaf.length.unwrap_or(0), 8)?;
    }
    let mut ranges = Vec::new();
    let mut at = begin;
    // The first item is the basic offset table, which may be empty.
    if let Some((first, length)) = fragment(scan.input, at, end)? {
        if offsets.is_empty() {
            offsets = table(scan, first, length, 4)?;
        }
        at = first + length;
        while let Ok(Some((begin, length))) = fragment(scan.input, at, end) {
            if ranges.len() == FRAGMENTS {
                break;
            }
            ranges.push((begin, length));
            at = begin + length;
        }
    }
    Ok(Place::Fragments { offsets, ranges })
}

fn table(scan: &mut Scan<'_>, at: u64, length: u64, width: usize) -> Result<Vec<u64>, Quarantine> {
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(FRAGMENTS * width);
    let bytes = scan.bytes(at, length)?;
    let one = |chunk: &[u8]| {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(eight)
    };
    Ok(bytes.chunks_exact(width).map(one).collect())
}

fn short(scan: &mut Scan<'_>, leaf: &Leaf) -> Result<u32, Quarantine> {
    let bytes = scan.bytes(leaf.at, 2)?;
    Ok(match *bytes {
        [high, low, ..] if leaf.big => u32::from(u16::from_be_bytes([high, low])),
        [low, high, ..] => u32::from(u16::from_le_bytes([low, high])),
        _ => 0,
    })
}

/// The first of the values, without padding.
fn text(scan: &mut Scan<'_>, leaf: &Leaf) -> Result<String, Quarantine> {
    let length = usize::try_from(leaf.length.unwrap_or(0).min(256)).unwrap_or(0);
    let bytes = scan.bytes(leaf.at, length)?;
    let text = String::from_utf8_lossy(bytes);
    Ok(text.split('\\').next().unwrap_or("").trim_matches([' ', '\0']).to_owned())
}

fn decimal(scan: &mut Scan<'_>, leaf: &Leaf) -> Result<Option<f64>, Quarantine> {
    Ok(text(scan, leaf)?.parse().ok().filter(|number: &f64| number.is_finite()))
}
