//! Walks the elements of an encoded data set up to its pixel data and keeps what the plan wants.
//!
//! No recursion, no allocation by declared length: a length is believed only within the bytes
//! that are left, nesting and the number of elements are bounded, and what is kept is too.
//!
//! In: an encoded data set, a plan. Out: a [`Collected`]. [`head`](self::head()) reads heads,
//! `text` values; the walk between them keeps its place in a list of frames.

mod collected;
mod head;
mod text;

use dicom_core::VR;

use super::charset::Charset;
use super::input::{Input, Trouble};
use super::plan::{Goal, Plan, Wanted, spell, tag};
use crate::imaging::{Attributes, Finding, Keyword, Quarantine, Value};

use head::{UNDEFINED, u32_at};
use text::{read, vr_text};

pub(super) use collected::{Collected, Failure, Limits};
pub(super) use head::{Encoding, Head, head, is_long};

/// Sequences inside sequences.
const DEPTH: usize = 64;
/// Elements and items of a data set. An enhanced multi-frame object of 100,000 frames has some
/// millions.
const ELEMENTS: u32 = 16_000_000;

const ITEM: u32 = tag(0xfffe, 0xe000);
const ITEM_END: u32 = tag(0xfffe, 0xe00d);
const SEQUENCE_END: u32 = tag(0xfffe, 0xe0dd);
const CHARACTER_SET: u32 = tag(0x0008, 0x0005);
const DIRECTORY_RECORDS: u32 = tag(0x0004, 0x1220);
const ENCAPSULATED_DOCUMENT: u32 = tag(0x0042, 0x0011);
const PIXEL_DATA: u32 = tag(0x7fe0, 0x0010);
const FIRST_PIXELS: u32 = tag(0x7fe0, 0x0000);
const IMPLICIT: Encoding = Encoding { explicit: false, big: false };

struct Frame {
    is_sequence: bool,
    /// Fragments of encapsulated pixel data: what the items hold is no data set.
    is_fragments: bool,
    /// Whether items may be encoded otherwise than they should be (UN).
    is_guessed: bool,
    /// Whether a delimiter ends it.
    is_open: bool,
    /// No byte of it lies behind this place.
    end: u64,
    place: Option<u16>,
    goal: Goal,
    keyword: Option<Keyword>,
    tag: u32,
    count: u32,
    encoding: Encoding,
    charset: Charset,
    bag: Vec<(Keyword, Value)>,
    items: Vec<Attributes>,
}

/// Walks a data set that begins at `start`.
pub(super) fn walk<I: Input>(
    plan: &Plan,
    input: &mut I,
    start: u64,
    encoding: Encoding,
    into: &mut Collected,
) {
    let limits = into.limits;
    let mut walk = Walk {
        plan,
        limits,
        at: start,
        tag: 0,
        elements: 0,
        items: 0,
        is_cut: false,
        frames: Vec::new(),
    };
    walk.frames.push(Frame {
        is_sequence: false,
        is_fragments: false,
        is_guessed: false,
        is_open: false,
        end: input.end(),
        place: Some(0),
        goal: Goal::Way,
        keyword: None,
        tag: 0,
        count: 0,
        encoding,
        charset: Charset::default(),
        bag: Vec::new(),
        items: Vec::new(),
    });
    if let Err(failure) = walk.run(input, into) {
        into.failure = Some(failure);
    }
    into.end = walk.at;
    into.is_cut = walk.is_cut;
    into.settle();
}

struct Walk<'a> {
    plan: &'a Plan,
    limits: Limits,
    at: u64,
    tag: u32,
    elements: u32,
    is_cut: bool,
    /// Items of sequences that are read.
    items: u32,
    frames: Vec<Frame>,
}

type Step<T = ()> = Result<T, Failure>;

impl Walk<'_> {
    fn fail(&self, code: &str, is_bearable: bool, detail: String) -> Failure {
        let mut path = String::new();
        for frame in self.frames.iter().skip(1) {
            if frame.is_sequence {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&spell(frame.tag));
                if frame.count > 0 {
                    path.push_str(&format!("[{}]", frame.count - 1));
                }
                // The path of something deep says enough by its beginning.
                if path.len() > 200 {
                    path.push('…');
                    break;
                }
            }
        }
        let is_item = self.frames.last().is_some_and(|frame| !frame.is_sequence);
        if is_item && self.tag != 0 && !path.ends_with('…') {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&spell(self.tag));
        }
        Failure {
            reason: Quarantine { code: code.to_owned(), path, offset: Some(self.at), detail },
            is_bearable,
        }
    }

    fn trouble(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Io(error) => {
                self.fail("unreadable", false, format!("reading failed: {error}"))
            }
            Trouble::Inflate => {
                self.fail("deflate-damaged", true, "the deflated data set is damaged".to_owned())
            }
            Trouble::Bomb => self.fail(
                "deflate-bomb",
                false,
                "the deflated data set holds more than 200 times its size or 512 MiB".to_owned(),
            ),
        }
    }

    fn beyond(&self, length: u64, left: u64) -> Failure {
        let detail = format!("the length {length} is more than the {left} bytes that are left");
        self.fail("length-beyond-end", true, detail)
    }

    fn run<I: Input>(&mut self, input: &mut I, into: &mut Collected) -> Step {
        loop {
            let Some(frame) = self.frames.last() else { return Ok(()) };
            let end = if self.frames.len() == 1 { input.end() } else { frame.end };
            let left = end.saturating_sub(self.at);
            let (is_sequence, encoding, is_open) =
                (frame.is_sequence, frame.encoding, frame.is_open);
            if left == 0 && !is_open {
                if self.frames.len() == 1 {
                    return Ok(());
                }
                self.close(into);
                continue;
            }
            let mut bytes = [0; 12];
            let want = usize::try_from(left.min(12)).unwrap_or(12);
            let count = {
                let found = input.at(self.at, want).map_err(|trouble| self.trouble(trouble))?;
                let count = found.len().min(12);
                bytes[..count].copy_from_slice(&found[..count]);
                count
            };
            let found = bytes.get(..count).unwrap_or_default();
            if count < 8 {
                if self.frames.len() == 1 && found.iter().all(|byte| *byte == 0) {
                    // A pad byte behind the last element, or the end of an inflated stream.
                    let is_past = self.at > input.end();
                    if !is_past {
                        return Ok(());
                    }
                }
                self.tag = 0;
                let detail = "the file ends where an element or item should begin".to_owned();
                return Err(self.fail("truncated", true, detail));
            }
            let Some(head) = head(found, encoding, left) else {
                let detail = "the file ends inside the head of an element".to_owned();
                return Err(self.fail("truncated", true, detail));
            };
            self.elements += 1;
            if self.elements > ELEMENTS {
                let detail = format!("more than {ELEMENTS} elements and items");
                return Err(self.fail("too-many-elements", false, detail));
            }
            if is_sequence {
                self.item(head, end, input)?;
            } else if self.element(head, end, input, into)? {
                return Ok(());
            }
        }
    }

    /// In a sequence: an item or the end.
    fn item<I: Input>(&mut self, head: Head, end: u64, input: &mut I) -> Step {
        self.tag = 0;
        match head.tag {
            SEQUENCE_END => {
                self.end_here(head);
                Ok(())
            }
            ITEM => {
                let Some(frame) = self.frames.last_mut() else { return Ok(()) };
                frame.count += 1;
                let is_read = frame.place.is_some();
                let is_full = frame.goal != Goal::Way && frame.items.len() >= self.limits.items;
                self.is_cut |= is_full && is_read;
                let (place, mut encoding, charset, is_guessed, is_fragments) = (
                    // What would not be kept is not read; on a way to something all items count.
                    frame.place.filter(|_| !is_full),
                    frame.encoding,
                    frame.charset,
                    frame.is_guessed,
                    frame.is_fragments,
                );
                self.items += u32::from(is_read);
                if self.items > self.limits.all_items {
                    let detail = format!("more than {} items", self.limits.all_items);
                    return Err(self.fail("too-many-items", true, detail));
                }
                let begin = self.at + head.size;
                let is_open = head.length == UNDEFINED;
                if !is_open && u64::from(head.length) > end.saturating_sub(begin) {
                    return Err(self.beyond(u64::from(head.length), end.saturating_sub(begin)));
                }
                if is_fragments {
                    if is_open {
                        let detail = "a fragment of pixel data without a length".to_owned();
                        return Err(self.fail("length-undefined", true, detail));
                    }
                    self.at = begin + u64::from(head.length);
                    return Ok(());
                }
                self.at = begin;
                if is_guessed {
                    let found = input.at(begin, 8).map_err(|trouble| self.trouble(trouble))?;
                    encoding.explicit = found
                        .get(4..6)
                        .and_then(|letters| VR::from_binary([letters[0], letters[1]]))
                        .is_some();
                }
                self.frames.push(Frame {
                    is_sequence: false,
                    is_fragments: false,
                    is_guessed: false,
                    is_open,
                    end: if is_open { end } else { begin + u64::from(head.length) },
                    place,
                    goal: Goal::Way,
                    keyword: None,
                    tag: 0,
                    count: 0,
                    encoding,
                    charset,
                    bag: Vec::new(),
                    items: Vec::new(),
                });
                Ok(())
            }
            other => {
                let detail = format!("{} stands where an item should begin", spell(other));
                Err(self.fail("item-expected", true, detail))
            }
        }
    }

    /// In a data set or item: an element, or the end. `true` when the walk is over.
    fn element<I: Input>(
        &mut self,
        head: Head,
        end: u64,
        input: &mut I,
        into: &mut Collected,
    ) -> Step<bool> {
        let depth = self.frames.len();
        self.tag = head.tag;
        if head.tag >> 16 == 0xfffe {
            if head.tag == ITEM_END && depth > 1 {
                self.end_here(head);
                return Ok(false);
            }
            let detail = format!("the delimiter {} ends nothing", spell(head.tag));
            return Err(self.fail("delimiter-unexpected", true, detail));
        }
        let Some(frame) = self.frames.last() else { return Ok(true) };
        let (encoding, charset, place) = (frame.encoding, frame.charset, frame.place);
        let begin = self.at + head.size;
        let left = end.saturating_sub(begin);
        if depth == 1 {
            if head.tag >= FIRST_PIXELS {
                if head.tag == PIXEL_DATA || head.tag >> 16 == 0x7fe0 {
                    self.pixels(head, begin, end, input, into);
                }
                return Ok(true);
            }
            if head.tag == 0 && head.length == 0 && self.elements > 1 {
                // Zeros behind the data set.
                return Ok(true);
            }
            if head.tag == DIRECTORY_RECORDS {
                let detail = "a media directory (PS3.3 annex F) describes no image".to_owned();
                return Err(self.fail("media-directory", false, detail));
            }
        }
        let wanted = place.and_then(|place| self.plan.find(place, head.tag));
        let wants_items = wanted.is_some_and(|wanted| wanted.vr == VR::SQ);

        if head.length == UNDEFINED {
            let is_fragments = matches!(head.vr, Some(VR::OB | VR::OW));
            let is_sequence = matches!(head.vr, None | Some(VR::SQ | VR::UN)) || is_fragments;
            if !is_sequence {
                let detail = "only sequences may have an undefined length".to_owned();
                return Err(self.fail("length-undefined", true, detail));
            }
            let is_unknown = head.vr == Some(VR::UN);
            let inner = if is_unknown { IMPLICIT } else { encoding };
            self.at = begin;
            let wanted = wanted.filter(|_| wants_items && !is_fragments);
            return self.open(
                head.tag,
                wanted,
                inner,
                charset,
                end,
                true,
                is_fragments,
                is_unknown,
            );
        }
        let length = u64::from(head.length);
        if length > left {
            return Err(self.beyond(length, left));
        }
        if depth == 1 && head.tag == ENCAPSULATED_DOCUMENT {
            into.document = Some((begin, length));
        } else if head.tag == CHARACTER_SET {
            let found = input.at(begin, 256.min(head.length as usize));
            let found = found.map_err(|trouble| self.trouble(trouble))?;
            let text = String::from_utf8_lossy(found).into_owned();
            let (charset, is_known) = Charset::parse(&text);
            if !is_known {
                into.note(Finding::new("charset-unknown", "SpecificCharacterSet", text.trim()));
            }
            if let Some(frame) = self.frames.last_mut() {
                frame.charset = charset;
            }
        } else if let Some(wanted) = wanted {
            if wants_items {
                let is_unknown = head.vr == Some(VR::UN);
                if is_unknown || matches!(head.vr, None | Some(VR::SQ)) {
                    let inner = if is_unknown { IMPLICIT } else { encoding };
                    self.at = begin;
                    let end = begin + length;
                    return self.open(
                        head.tag,
                        Some(wanted),
                        inner,
                        charset,
                        end,
                        false,
                        false,
                        is_unknown,
                    );
                }
                into.note(Finding::new("vr-odd", wanted.keyword.as_str(), vr_text(head.vr)));
            } else if head.length > self.limits.value {
                into.note(Finding::new("value-too-long", wanted.keyword.as_str(), ""));
            } else if head.length > 0 {
                let found = input.at(begin, head.length as usize);
                let found = found.map_err(|trouble| self.trouble(trouble))?;
                if found.len() < head.length as usize {
                    let left = found.len() as u64;
                    return Err(self.beyond(length, left));
                }
                let big = encoding.big;
                let text = read(wanted, head.vr, found, big, &charset, into).filter(|text| {
                    // Attributes of the top are few; those of items share a budget.
                    wanted.goal != Goal::Item || into.affords(wanted.keyword, text.len())
                });
                if let Some(text) = text {
                    let value = Value::Text(text);
                    match (wanted.goal, self.frames.last_mut()) {
                        (Goal::Item, Some(frame)) => frame.bag.push((wanted.keyword, value)),
                        (goal, _) => into.put(goal, value),
                    }
                }
            }
        }
        self.at = begin + length;
        Ok(false)
    }

    #[allow(clippy::too_many_arguments, reason = "one caller's facts, each used once")]
    fn open(
        &mut self,
        tag: u32,
        wanted: Option<&Wanted>,
        encoding: Encoding,
        charset: Charset,
        end: u64,
        is_open: bool,
        is_fragments: bool,
        is_guessed: bool,
    ) -> Step<bool> {
        // Each sequence but the innermost has an item open.
        if self.frames.len() > 2 * DEPTH {
            let detail = format!("sequences nest deeper than {DEPTH}");
            return Err(self.fail("too-deep", false, detail));
        }
        self.frames.push(Frame {
            is_sequence: true,
            is_fragments,
            is_guessed,
            is_open,
            end,
            place: wanted.and_then(|wanted| wanted.items),
            goal: wanted.map_or(Goal::Way, |wanted| wanted.goal),
            keyword: wanted.map(|wanted| wanted.keyword),
            tag,
            count: 0,
            encoding,
            charset,
            bag: Vec::new(),
            items: Vec::new(),
        });
        Ok(false)
    }

    /// A delimiter: nothing of the innermost frame lies behind it.
    fn end_here(&mut self, head: Head) {
        self.at += head.size;
        if let Some(frame) = self.frames.last_mut() {
            frame.end = self.at;
            frame.is_open = false;
        }
    }

    /// Ends the innermost frame and hands what it holds to the one around it.
    fn close(&mut self, into: &mut Collected) {
        let Some(frame) = self.frames.pop() else { return };
        let Some(outer) = self.frames.last_mut() else { return };
        if !frame.is_sequence {
            if !frame.bag.is_empty() && outer.items.len() < self.limits.items {
                outer.items.push(frame.bag.into_iter().collect());
            }
        } else if !frame.items.is_empty() {
            let value = Value::Items(frame.items.into());
            match (frame.goal, frame.keyword) {
                (Goal::Item, Some(keyword)) => outer.bag.push((keyword, value)),
                (goal, _) => into.put(goal, value),
            }
        }
    }

    /// Whether the pixel data are all there. They are not read: only the heads of fragments.
    fn pixels<I: Input>(
        &self,
        head: Head,
        begin: u64,
        end: u64,
        input: &mut I,
        into: &mut Collected,
    ) {
        let is_complete = if head.length == UNDEFINED {
            is_closed(begin, end, input)
        } else {
            u64::from(head.length) <= end.saturating_sub(begin)
        };
        if !is_complete {
            into.note(Finding::new("file-truncated", "PixelData", ""));
        }
    }
}

/// Whether a delimiter ends the fragments: at the very end of the file, as nearly always, or
/// found by stepping over the fragments.
fn is_closed<I: Input>(begin: u64, end: u64, input: &mut I) -> bool {
    const DELIMITER: [u8; 8] = [0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
    const FRAGMENTS: usize = 4096;
    let mut at = begin;
    for _ in 0..FRAGMENTS {
        let Ok(found) = input.at(at, 8) else { return false };
        if found.len() < 8 || found == DELIMITER {
            return found.len() == 8;
        }
        if u32_at(found, 0, false) != 0xe000_fffe {
            return false;
        }
        at = at.saturating_add(8).saturating_add(u64::from(u32_at(found, 4, false)));
        if at > end {
            return false;
        }
    }
    input.at(end.saturating_sub(8), 8).is_ok_and(|found| found == DELIMITER)
}
