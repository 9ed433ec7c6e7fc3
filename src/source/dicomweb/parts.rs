//! Cuts `multipart/related` (RFC 2387, RFC 2046 section 5.1) into its parts while it arrives.

/// Bytes that the headers of one part may have.
const HEADERS: usize = 16 * 1024;

/// The body is no such multipart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotMultipart;

/// What arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A part begins; its `Content-Type`, which may be empty.
    Begin(String),
    /// Bytes of it.
    Data(Vec<u8>),
    /// It is complete.
    End,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// Right behind a delimiter: the end of its line, or the end of all.
    Delimited,
    Headers,
    Data,
    /// Behind the last delimiter.
    Over,
}

/// The cutter: bytes in, events out.
#[derive(Debug)]
pub struct Parts {
    /// `CR LF -- boundary`
    delimiter: Vec<u8>,
    state: State,
    buffer: Vec<u8>,
}

impl Parts {
    /// The cutter for a `Content-Type`; `None` when that is no multipart with a boundary.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/related") {
            return None;
        }
        let boundary = parameters
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.trim().trim_matches('"'))
            .filter(|boundary| (1..=70).contains(&boundary.len()))?;
        Some(Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            state: State::Preamble,
            // The first delimiter may stand at the very beginning.
            buffer: b"\r\n".to_vec(),
        })
    }

    /// Takes the next bytes; what they complete is appended.
    ///
    /// # Errors
    /// When they cannot be parts.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), NotMultipart> {
        self.buffer.extend_from_slice(bytes);
        loop {
            match self.state {
                State::Over => {
                    self.buffer.clear();
                    return Ok(());
                }
                State::Preamble | State::Data => {
                    let found = find(&self.buffer, &self.delimiter);
                    // What may be the beginning of a delimiter waits.
                    let safe = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                    let length = found.unwrap_or(safe);
                    let data: Vec<u8> = self.buffer.drain(..length).collect();
                    let is_part = self.state == State::Data;
                    if is_part && !data.is_empty() {
                        events.push(Event::Data(data));
                    }
                    if found.is_none() {
                        return Ok(());
                    }
                    if is_part {
                        events.push(Event::End);
                    }
                    self.buffer.drain(..self.delimiter.len());
                    self.state = State::Delimited;
                }
                State::Delimited => {
                    if self.buffer.len() < 2 {
                        return Ok(());
                    }
                    if self.buffer.starts_with(b"--") {
                        self.state = State::Over;
                        continue;
                    }
                    let Some(end) = find(&self.buffer, b"\r\n") else {
                        return if self.buffer.len() > HEADERS {
                            Err(NotMultipart)
                        } else {
                            Ok(())
                        };
                    };
                    if !self.buffer.iter().take(end).all(|byte| matches!(byte, b' ' | b'\t')) {
                        return Err(NotMultipart);
                    }
                    // The end of the line stays: it may be the first of the two that end headers.
                    self.buffer.drain(..end);
                    self.state = State::Headers;
                }
                State::Headers => {
                    let Some(end) = find(&self.buffer, b"\r\n\r\n") else {
                        return if self.buffer.len() > HEADERS {
                            Err(NotMultipart)
                        } else {
                            Ok(())
                        };
                    };
                    let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                    let head = String::from_utf8_lossy(&head);
                    let kind = head
                        .lines()
                        .filter_map(|line| line.split_once(':'))
                        .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-type"))
                        .map_or("", |(_, value)| value.trim());
                    events.push(Event::Begin(kind.to_owned()));
                    self.state = State::Data;
                }
            }
        }
    }

    /// Whether the last delimiter was seen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        if bytes.get(from + at..)?.starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Event, Parts};

    fn all(body: &[u8], step: usize) -> Option<Vec<(String, Vec<u8>)>> {
        let mut parts = Parts::of("multipart/related; type=\"a/b\"; boundary=\"x\"").unwrap();
        let mut events = Vec::new();
        for chunk in body.chunks(step) {
            parts.feed(chunk, &mut events).ok()?;
        }
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        for event in events {
            match event {
                Event::Begin(kind) => found.push((kind, Vec::new())),
                Event::Data(data) => found.last_mut().unwrap().1.extend(data),
                Event::End => {}
            }
        }
        parts.is_over().then_some(found)
    }

    #[test]
    fn parts_come_out_however_the_bytes_arrive() {
        let body =
            b"pre\r\n--x\r\nContent-Type: a/b\r\nContent-Location: /1\r\n\r\n\r\n--\r\n--y\r\n\
                     --x \r\n\r\nsecond\r\n--x--\r\nepilogue";
        for step in 1..body.len() {
            let parts = all(body, step).unwrap();
            assert_eq!(parts[0], ("a/b".to_owned(), b"\r\n--\r\n--y".to_vec()), "{step}");
            assert_eq!(parts[1], (String::new(), b"second".to_vec()), "{step}");
        }
        assert_eq!(all(b"--x\r\n\r\na\r\n--x--", 3).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_multipart_is_told() {
        for kind in ["", "application/dicom", "multipart/related", "multipart/related; boundary="] {
            assert!(Parts::of(kind).is_none(), "{kind}");
        }
        assert!(all(b"--x\r\n\r\ncut", 5).is_none());
        assert!(all(b"--xy\r\n\r\na\r\n--x--", 5).is_none());
        let mut endless = b"--x\r\n".to_vec();
        endless.resize(40_000, b'a');
        assert!(all(&endless, 1_000).is_none());
    }
}
