//! Steps through a whole data set, for what hands its content out again.
//!
//! Like the walk that ingest does ([`super::walk`]): no recursion, no allocation by a declared
//! length, nesting and the number of elements bounded. Unlike it, it knows no table: every element
//! is a step, and whoever asks reads the values that it wants.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::charset::Charset;
use super::input::{Input, Trouble};
use super::plan::{spell, tag};
use super::walk::{Encoding, head};
use crate::imaging::Quarantine;

/// Sequences inside sequences.
const DEPTH: usize = 64;
/// Elements and items of a data set, as many as the walk allows.
const ELEMENTS: u32 = 16_000_000;

const UNDEFINED: u32 = 0xffff_ffff;
const ITEM: u32 = tag(0xfffe, 0xe000);
const ITEM_END: u32 = tag(0xfffe, 0xe00d);
const SEQUENCE_END: u32 = tag(0xfffe, 0xe0dd);
const CHARACTER_SET: u32 = tag(0x0008, 0x0005);
const PIXEL_REPRESENTATION: u32 = tag(0x0028, 0x0103);
/// Pixel data of any kind, at the top of a data set.
pub(super) const PIXELS: [u32; 3] = [tag(0x7fe0, 0x0008), tag(0x7fe0, 0x0009), tag(0x7fe0, 0x0010)];

/// An element that is no sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) tag: u32,
    pub(super) vr: VR,
    /// Where its value begins; of fragments, where their first item does.
    pub(super) at: u64,
    /// `None`: fragments (PS3.5 A.4), which end at a delimiter.
    pub(super) length: Option<u64>,
    pub(super) big: bool,
    pub(super) charset: Charset,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Leaf(Leaf),
    Sequence(u32),
    Item,
    ItemEnd,
    SequenceEnd,
}

struct Frame {
    is_sequence: bool,
    /// Whether items may be encoded otherwise than they should be (UN).
    is_guessed: bool,
    is_open: bool,
    end: u64,
    tag: u32,
    items: u32,
    encoding: Encoding,
    charset: Charset,
}

/// A data set under way.
pub(super) struct Scan<'a> {
    pub(super) input: &'a mut dyn Input,
    at: u64,
    elements: u32,
    is_signed: bool,
    is_over: bool,
    frames: Vec<Frame>,
}

fn fault(code: &str, at: u64, tag: u32, detail: String) -> Quarantine {
    let path = if tag == 0 { String::new() } else { spell(tag) };
    Quarantine { code: code.to_owned(), path, offset: Some(at), detail }
}

pub(super) fn trouble(trouble: &Trouble, at: u64) -> Quarantine {
    match trouble {
        Trouble::Io(error) => fault("unreadable", at, 0, format!("reading failed: {error}")),
        Trouble::Inflate => {
            fault("deflate-damaged", at, 0, "the deflated data set is damaged".to_owned())
        }
        Trouble::Bomb => {
            fault("deflate-bomb", at, 0, "the deflated data set holds too much".to_owned())
        }
    }
}

const IMPLICIT: Encoding = Encoding { explicit: false, big: false };

impl<'a> Scan<'a> {
    pub(super) fn new(input: &'a mut dyn Input, start: u64, encoding: Encoding) -> Self {
        let top = Frame {
            is_sequence: false,
            is_guessed: false,
            is_open: false,
            end: input.end(),
            tag: 0,
            items: 0,
            encoding,
            charset: Charset::default(),
        };
        Self { input, at: start, elements: 0, is_signed: false, is_over: false, frames: vec![top] }
    }

    /// How many data sets are around the next element: 1 at the top.
    pub(super) fn depth(&self) -> usize {
        self.frames.iter().filter(|frame| !frame.is_sequence).count()
    }

    /// The sequences that are open, the outermost first: tag, and number of the open item from 0.
    pub(super) fn way(&self) -> impl Iterator<Item = (u32, u32)> {
        self.frames
            .iter()
            .filter(|frame| frame.is_sequence)
            .map(|frame| (frame.tag, frame.items.saturating_sub(1)))
    }

    /// The bytes of a value, at most so many.
    pub(super) fn bytes(&mut self, at: u64, length: usize) -> Result<&[u8], Quarantine> {
        self.input.at(at, length).map_err(|failure| trouble(&failure, at))
    }

    /// The next step; `None` behind the pixel data or the last element.
    pub(super) fn next(&mut self) -> Result<Option<Step>, Quarantine> {
        while let Some(frame) = self.frames.last() {
            if self.is_over {
                return Ok(None);
            }
            let is_top = self.frames.len() == 1;
            let end = if is_top { self.input.end() } else { frame.end };
            let left = end.saturating_sub(self.at);
            let (is_sequence, encoding) = (frame.is_sequence, frame.encoding);
            if left == 0 && !frame.is_open {
                self.frames.pop();
                return Ok((!is_top).then_some(if is_sequence {
                    Step::SequenceEnd
                } else {
                    Step::ItemEnd
                }));
            }
            let mut bytes = [0; 12];
            let want = usize::try_from(left.min(12)).unwrap_or(12);
            let at = self.at;
            let found = self.bytes(at, want)?;
            let count = found.len().min(12);
            bytes[..count].copy_from_slice(&found[..count]);
            let found = bytes.get(..count).unwrap_or_default();
            if count < 8 {
                if is_top && found.iter().all(|byte| *byte == 0) {
                    return Ok(None);
                }
                let detail = "the data set ends where an element or item should begin";
                return Err(fault("truncated", self.at, 0, detail.to_owned()));
            }
            let Some(head) = head(found, encoding, left) else {
                let detail = "the data set ends inside the head of an element";
                return Err(fault("truncated", self.at, 0, detail.to_owned()));
            };
            self.elements += 1;
            if self.elements > ELEMENTS {
                let detail = format!("more than {ELEMENTS} elements and items");
                return Err(fault("too-many-elements", self.at, 0, detail));
            }
            let step = if is_sequence { self.item(head, end)? } else { self.element(head, end)? };
            if step.is_some() {
                return Ok(step);
            }
        }
        Ok(None)
    }

    fn beyond(&self, tag: u32, length: u64, left: u64) -> Quarantine {
        let detail = format!("the length {length} is more than the {left} bytes that are left");
        fault("length-beyond-end", self.at, tag, detail)
    }

    fn end_here(&mut self, size: u64) {
        self.at += size;
        if let Some(frame) = self.frames.last_mut() {
            frame.end = self.at;
            frame.is_open = false;
        }
    }

    fn item(&mut self, head: super::walk::Head, end: u64) -> Result<Option<Step>, Quarantine> {
        match head.tag {
            SEQUENCE_END => {
                self.end_here(head.size);
                Ok(None)
            }
            ITEM => {
                let begin = self.at + head.size;
                let is_open = head.length == UNDEFINED;
                let left = end.saturating_sub(begin);
                if !is_open && u64::from(head.length) > left {
                    return Err(self.beyond(ITEM, u64::from(head.length), left));
                }
                let Some(frame) = self.frames.last_mut() else { return Ok(None) };
                frame.items = frame.items.saturating_add(1);
                let (mut encoding, charset, is_guessed) =
                    (frame.encoding, frame.charset, frame.is_guessed);
                if is_guessed {
                    let found = self.bytes(begin, 8)?;
                    encoding.explicit = found
                        .get(4..6)
                        .and_then(|letters| VR::from_binary([letters[0], letters[1]]))
                        .is_some();
                }
                self.at = begin;
                self.frames.push(Frame {
                    is_sequence: false,
                    is_guessed: false,
                    is_open,
                    end: if is_open { end } else { begin + u64::from(head.length) },
                    tag: 0,
                    items: 0,
                    encoding,
                    charset,
                });
                Ok(Some(Step::Item))
            }
            other => {
                let detail = format!("{} stands where an item should begin", spell(other));
                Err(fault("item-expected", self.at, other, detail))
            }
        }
    }

    fn element(&mut self, head: super::walk::Head, end: u64) -> Result<Option<Step>, Quarantine> {
        let is_top = self.frames.len() == 1;
        if head.tag >> 16 == 0xfffe {
            if head.tag == ITEM_END && !is_top {
                self.end_here(head.size);
                return Ok(None);
            }
            let detail = format!("the delimiter {} ends nothing", spell(head.tag));
            return Err(fault("delimiter-unexpected", self.at, head.tag, detail));
        }
        let Some(frame) = self.frames.last() else { return Ok(None) };
        let (encoding, charset) = (frame.encoding, frame.charset);
        let begin = self.at + head.size;
        let left = end.saturating_sub(begin);
        if is_top && head.tag == 0 && head.length == 0 && self.elements > 1 {
            // Zeros behind the data set.
            self.is_over = true;
            return Ok(None);
        }
        let vr = match head.vr {
            Some(vr) => vr,
            None => self.vr_of(head.tag),
        };
        let is_pixels = is_top && PIXELS.contains(&head.tag);
        if head.length == UNDEFINED {
            if matches!(vr, VR::OB | VR::OW) {
                let leaf = Leaf { tag: head.tag, vr, at: begin, length: None, big: false, charset };
                if is_pixels {
                    self.is_over = true;
                } else {
                    self.at = self.behind_fragments(begin, end)?;
                }
                return Ok(Some(Step::Leaf(leaf)));
            }
            if !matches!(head.vr, None | Some(VR::SQ | VR::UN)) {
                let detail = "only sequences may have an undefined length".to_owned();
                return Err(fault("length-undefined", self.at, head.tag, detail));
            }
            let is_unknown = head.vr == Some(VR::UN);
            return self.open(head.tag, begin, end, true, encoding, charset, is_unknown);
        }
        let length = u64::from(head.length);
        if is_pixels {
            self.is_over = true;
            let length = Some(length.min(left));
            let leaf = Leaf { tag: head.tag, vr, at: begin, length, big: encoding.big, charset };
            return Ok(Some(Step::Leaf(leaf)));
        }
        if length > left {
            return Err(self.beyond(head.tag, length, left));
        }
        if vr == VR::SQ {
            return self.open(head.tag, begin, begin + length, false, encoding, charset, false);
        }
        match head.tag {
            CHARACTER_SET => {
                let found = self.bytes(begin, 256.min(head.length as usize))?;
                let text = String::from_utf8_lossy(found).into_owned();
                if let Some(frame) = self.frames.last_mut() {
                    frame.charset = Charset::parse(&text).0;
                }
            }
            PIXEL_REPRESENTATION if length == 2 => {
                let found = self.bytes(begin, 2)?;
                self.is_signed = found.contains(&1);
            }
            _ => {}
        }
        self.at = begin + length;
        let leaf =
            Leaf { tag: head.tag, vr, at: begin, length: Some(length), big: encoding.big, charset };
        Ok(Some(Step::Leaf(leaf)))
    }

    #[allow(clippy::too_many_arguments, reason = "one caller's facts, each used once")]
    fn open(
        &mut self,
        tag: u32,
        begin: u64,
        end: u64,
        is_open: bool,
        encoding: Encoding,
        charset: Charset,
        is_unknown: bool,
    ) -> Result<Option<Step>, Quarantine> {
        if self.frames.len() > 2 * DEPTH {
            let detail = format!("sequences nest deeper than {DEPTH}");
            return Err(fault("too-deep", self.at, tag, detail));
        }
        self.at = begin;
        self.frames.push(Frame {
            is_sequence: true,
            is_guessed: is_unknown,
            is_open,
            end,
            tag,
            items: 0,
            // PS3.5 section 6.2.2: what is in UN of undefined length is implicit little endian.
            encoding: if is_unknown { IMPLICIT } else { encoding },
            charset,
        });
        Ok(Some(Step::Sequence(tag)))
    }

    /// The place behind the fragments of an element inside an item (an icon).
    fn behind_fragments(&mut self, begin: u64, end: u64) -> Result<u64, Quarantine> {
        let mut at = begin;
        loop {
            let Some(fragment) = fragment(self.input, at, end)? else { return Ok(at + 8) };
            self.elements += 1;
            if self.elements > ELEMENTS {
                let detail = format!("more than {ELEMENTS} elements and items");
                return Err(fault("too-many-elements", at, 0, detail));
            }
            at = fragment.0 + fragment.1;
        }
    }

    /// The representation that the dictionary gives, for data sets that do not say it.
    fn vr_of(&self, of: u32) -> VR {
        let (group, element) = ((of >> 16) as u16, (of & 0xffff) as u16);
        if element == 0 {
            return VR::UL;
        }
        if group % 2 == 1 {
            return if (0x10..=0xff).contains(&element) { VR::LO } else { VR::UN };
        }
        match StandardDataDictionary.by_tag(Tag(group, element)).map(DataDictionaryEntry::vr) {
            Some(VirtualVr::Exact(vr)) => vr,
            Some(VirtualVr::Xs) if self.is_signed => VR::SS,
            Some(VirtualVr::Xs) => VR::US,
            Some(VirtualVr::Lt | VirtualVr::Ox | VirtualVr::Px) => VR::OW,
            Some(_) | None => VR::UN,
        }
    }
}

/// The fragment whose item stands at a place: where its bytes begin, and how many they are;
/// `None`: the delimiter stands there.
pub(super) fn fragment(
    input: &mut dyn Input,
    at: u64,
    end: u64,
) -> Result<Option<(u64, u64)>, Quarantine> {
    let found = input.at(at, 8).map_err(|failure| trouble(&failure, at))?;
    let Some(head) = head(found, IMPLICIT, end.saturating_sub(at)) else {
        return Err(fault("truncated", at, 0, "the fragments have no end".to_owned()));
    };
    match head.tag {
        SEQUENCE_END => Ok(None),
        ITEM => {
            let (begin, length) = (at + 8, u64::from(head.length));
            if head.length == UNDEFINED || length > end.saturating_sub(begin) {
                let detail = "a fragment of pixel data has no length that fits".to_owned();
                return Err(fault("length-beyond-end", at, ITEM, detail));
            }
            Ok(Some((begin, length)))
        }
        other => {
            let detail = format!("{} stands where a fragment should begin", spell(other));
            Err(fault("item-expected", at, other, detail))
        }
    }
}
