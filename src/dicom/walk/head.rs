//! Heads of elements and items (PS3.5 section 7.1): tag, value representation, length.
//!
//! In: eight or twelve bytes. Out: a [`Head`], by what the bytes say and by what broken writers
//! write. Whether its length is to be believed is the walk's to say.

use dicom_core::VR;

use crate::dicom::plan::tag;

pub(super) const UNDEFINED: u32 = 0xffff_ffff;

/// How elements are encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::dicom) struct Encoding {
    pub(in crate::dicom) explicit: bool,
    pub(in crate::dicom) big: bool,
}

/// The head of an element or item.
#[derive(Clone, Copy, Debug)]
pub(in crate::dicom) struct Head {
    pub(in crate::dicom) tag: u32,
    /// As encoded, if it is one that PS3.5 knows.
    pub(in crate::dicom) vr: Option<VR>,
    /// Bytes of the head.
    pub(in crate::dicom) size: u64,
    pub(in crate::dicom) length: u32,
}

pub(in crate::dicom) const fn is_long(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    )
}

/// Reads a head of 8 or 12 bytes; `None` when there are fewer. `left` is how many bytes the
/// value may have at most.
pub(in crate::dicom) fn head(bytes: &[u8], encoding: Encoding, left: u64) -> Option<Head> {
    if bytes.len() < 8 {
        return None;
    }
    let big = encoding.big;
    let tag = tag(u16_at(bytes, 0, big), u16_at(bytes, 2, big));
    let implicit = Head { tag, vr: None, size: 8, length: u32_at(bytes, 4, big) };
    if tag >> 16 == 0xfffe || !encoding.explicit {
        return Some(implicit);
    }
    let letters = [bytes[4], bytes[5]];
    let short = Head { tag, vr: None, size: 8, length: u32::from(u16_at(bytes, 6, big)) };
    let long = Head { tag, vr: None, size: 12, length: u32_at(bytes, 8, big) };
    match VR::from_binary(letters) {
        Some(vr) if is_long(vr) => (bytes.len() >= 12).then_some(Head { vr: Some(vr), ..long }),
        Some(vr) => Some(Head { vr: Some(vr), ..short }),
        // PS3.5 7.1.2: representations of the future have the long form; broken writers the
        // short one.
        None if letters.iter().all(u8::is_ascii_uppercase) => {
            let fits = bytes.len() >= 12
                && u16_at(bytes, 6, big) == 0
                && (u64::from(long.length) <= left || long.length == UNDEFINED);
            Some(if fits { long } else { short })
        }
        // Some writers slip into implicit VR.
        None => Some(implicit),
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize, big: bool) -> u16 {
    let pair = [bytes.get(at).copied().unwrap_or(0), bytes.get(at + 1).copied().unwrap_or(0)];
    if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
}

pub(super) fn u32_at(bytes: &[u8], at: usize, big: bool) -> u32 {
    let mut four = [0; 4];
    if let Some(found) = bytes.get(at..at + 4) {
        four.copy_from_slice(found);
    }
    if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
}
