//! A value as text, by the rules of its representation (PS3.5 section 6.2).
//!
//! In: bytes, the representation that is written and the one that the attribute has. Out: text in
//! one spelling, with findings where they disagree; nothing for what is no text.

use std::borrow::Cow;

use dicom_core::VR;

use super::collected::Collected;
use super::head::{u16_at, u32_at};
use crate::dicom::charset::{Charset, Delimiters};
use crate::dicom::plan::Wanted;
use crate::dicom::value;
use crate::imaging::Finding;

/// The value as text by the rules of the attribute's own representation.
pub(super) fn read(
    wanted: &Wanted,
    found: Option<VR>,
    bytes: &[u8],
    big: bool,
    charset: &Charset,
    into: &mut Collected,
) -> Option<Box<str>> {
    let keyword = wanted.keyword.as_str();
    let most = into.limits.numbers;
    if let Some(found) = found.filter(|found| *found != wanted.vr) {
        // SH where LO should be changes nothing; it is odd nevertheless.
        into.note(Finding::new("vr-odd", keyword, vr_text(Some(found))));
    }
    // UN and nothing: by the dictionary (PS3.5 section 6.2.2).
    let vr = found.filter(|found| *found != VR::UN).unwrap_or(wanted.vr);
    let text = match vr {
        VR::US => numbers(bytes, 2, most, |four| u16_at(four, 0, big).to_string()),
        VR::SS => numbers(bytes, 2, most, |two| u16_at(two, 0, big).cast_signed().to_string()),
        VR::UL => numbers(bytes, 4, most, |four| u32_at(four, 0, big).to_string()),
        VR::SL => numbers(bytes, 4, most, |four| u32_at(four, 0, big).cast_signed().to_string()),
        VR::FL => numbers(bytes, 4, most, |four| {
            value::shortest(f64::from(f32::from_bits(u32_at(four, 0, big))))
        }),
        VR::FD => numbers(bytes, 8, most, |eight| {
            let (one, two) = (u64::from(u32_at(eight, 0, big)), u64::from(u32_at(eight, 4, big)));
            value::shortest(f64::from_bits(if big { one << 32 | two } else { two << 32 | one }))
        }),
        VR::SQ | VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::AT | VR::SV | VR::UV => {
            return None;
        }
        _ => {
            let delimiters = match vr {
                VR::PN => Delimiters::Name,
                VR::ST | VR::LT | VR::UT => Delimiters::None,
                _ => Delimiters::Values,
            };
            let is_declared =
                matches!(vr, VR::SH | VR::LO | VR::ST | VR::LT | VR::UC | VR::UT | VR::PN);
            let charset = if is_declared { *charset } else { Charset::default() };
            let (text, is_undeclared) = charset.decode(bytes, delimiters);
            if is_undeclared {
                into.note(Finding::new("charset-undeclared", keyword, ""));
            }
            text
        }
    };
    value::normalise(wanted.vr, keyword, &text, &mut into.findings).map(Into::into)
}

fn numbers(
    bytes: &[u8],
    size: usize,
    most: usize,
    spell: impl Fn(&[u8]) -> String,
) -> Cow<'static, str> {
    let all: Vec<String> = bytes.chunks_exact(size).take(most).map(spell).collect();
    Cow::Owned(all.join("\\"))
}

pub(super) fn vr_text(vr: Option<VR>) -> &'static str {
    vr.map_or("", VR::to_string)
}
