//! Objects and frames that pass through: the parts of a multipart body.

use std::collections::{HashSet, VecDeque};

use actix_web::web::Bytes;

use super::Flow;
use crate::dicom::{Told, instance_of_head};
use crate::dicomweb::frames::OCTETS;
use crate::dicomweb::retrieve::with_syntax;
use crate::source::dicomweb::{Answer, Event, NoAnswer, Parts};

/// Bytes of a part that are held until it says which instance it is.
const HELD: usize = 64 * 1024;

/// What becomes of the part that arrives.
enum Passing {
    /// Until it says which instance it is.
    Held(Vec<u8>),
    Sent,
    Dropped,
}

/// The parts of a body on their way, those of unknown instances left out.
pub(super) struct PartsOut {
    answer: Answer,
    parts: Parts,
    /// Instances that go on; `None`: everything does.
    known: Option<HashSet<String>>,
    boundary: String,
    is_single: bool,
    events: VecDeque<Event>,
    content_type: String,
    part: Passing,
    /// Parts that went on.
    count: u64,
    is_over: bool,
}

impl Flow for PartsOut {
    async fn next(&mut self) -> Result<Option<Bytes>, NoAnswer> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            while let Some(event) = self.events.pop_front() {
                let out = self.take(event);
                if !out.is_empty() {
                    return Ok(Some(out.into()));
                }
            }
            let Some(chunk) = self.answer.chunk().await? else {
                if !self.parts.is_over() {
                    return Err(NoAnswer::Broken);
                }
                self.is_over = true;
                let end = format!("\r\n--{}--\r\n", self.boundary);
                return Ok((!self.is_single && self.count > 0).then(|| end.into()));
            };
            let mut events = Vec::new();
            self.parts.feed(&chunk, &mut events).map_err(|_| NoAnswer::Broken)?;
            self.events.extend(events);
        }
    }
}

impl PartsOut {
    /// The parts of an answer as parts between `boundary`, or as the first one alone; of known
    /// instances if there is a list of them.
    pub(super) const fn new(
        answer: Answer,
        parts: Parts,
        known: Option<HashSet<String>>,
        boundary: String,
        is_single: bool,
    ) -> Self {
        Self {
            answer,
            parts,
            known,
            boundary,
            is_single,
            events: VecDeque::new(),
            content_type: String::new(),
            part: Passing::Dropped,
            count: 0,
            is_over: false,
        }
    }

    /// Whether nothing went on so far.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The media type of the body, once it began; `media` is that of its parts.
    pub(super) fn content_type(&self, media: &str) -> String {
        if self.is_single {
            return self.content_type.clone();
        }
        format!("multipart/related; type=\"{media}\"; boundary={}", self.boundary)
    }

    /// What goes on of an event.
    fn take(&mut self, event: Event) -> Vec<u8> {
        match event {
            Event::Begin(kind) => {
                // One part is all that a single answer has.
                if self.is_single && self.count > 0 {
                    self.part = Passing::Dropped;
                    return Vec::new();
                }
                self.content_type = plain(&kind);
                if self.known.is_some() {
                    self.part = Passing::Held(Vec::new());
                    return Vec::new();
                }
                self.begin()
            }
            Event::Data(bytes) => match &mut self.part {
                Passing::Sent => bytes,
                Passing::Dropped => Vec::new(),
                Passing::Held(held) => {
                    held.extend_from_slice(&bytes);
                    let told = instance_of_head(held);
                    let is_known = match (&told, &self.known) {
                        (Told::Nothing, _) | (_, None) => false,
                        (Told::NotYet, _) if held.len() < HELD => return Vec::new(),
                        (Told::NotYet, _) => false,
                        (Told::Is(uid), Some(known)) => known.contains(uid),
                    };
                    if !is_known {
                        self.part = Passing::Dropped;
                        return Vec::new();
                    }
                    let held = std::mem::take(held);
                    let mut out = self.begin();
                    out.extend_from_slice(&held);
                    out
                }
            },
            Event::End => {
                self.part = Passing::Dropped;
                Vec::new()
            }
        }
    }

    fn begin(&mut self) -> Vec<u8> {
        self.part = Passing::Sent;
        self.count += 1;
        if self.is_single {
            return Vec::new();
        }
        let lead = if self.count == 1 { "" } else { "\r\n" };
        let head =
            format!("{lead}--{}\r\nContent-Type: {}\r\n\r\n", self.boundary, self.content_type);
        head.into_bytes()
    }
}

/// A part's media type with its transfer syntax, and nothing else of it.
fn plain(kind: &str) -> String {
    let mut parts = kind.split(';');
    let media = parts.next().unwrap_or("").trim().to_ascii_lowercase();
    let is_media = media.split_once('/').is_some()
        && media.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(&b));
    let media = if is_media { media } else { OCTETS.to_owned() };
    let syntax = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("transfer-syntax"))
        .map(|(_, value)| value.trim().trim_matches('"'));
    syntax.map_or_else(|| media.clone(), |syntax| with_syntax(&media, syntax))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn of_a_media_type_only_the_type_goes_on() {
        assert_eq!(
            plain("application/dicom; x=\"y\"; transfer-syntax=\"1.2.840.10008.1.2.1\""),
            "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
        );
        assert_eq!(plain("a\r\nb: c"), "application/octet-stream");
        assert_eq!(plain("image/jpeg; transfer-syntax=a b"), "image/jpeg");
    }
}
