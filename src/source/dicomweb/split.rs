//! Cuts a JSON array into its elements while it arrives.
//!
//! The answer to `/metadata` may be gigabytes long and is one array (PS3.18 section F.2): it is
//! never held whole, each element is bounded in size and depth before it is parsed.

/// Nesting beyond this is not read; sequences of real objects stay below a dozen.
const DEEPEST: usize = 128;

/// What is wrong with an answer that should be a JSON array.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotAnArray {
    /// It begins as HTML or XML does.
    Markup,
    /// It is JSON, but no array of objects.
    Other,
    /// An element is larger than allowed.
    TooLarge,
    /// An element is nested deeper than allowed.
    TooDeep,
    /// It ended before the array did.
    Truncated,
    /// Something stands behind the array.
    Surplus,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Before,
    /// Behind `[` or `,`.
    Between {
        may_end: bool,
    },
    Inside,
    /// Behind an element.
    Behind,
    After,
}

/// The cutter: bytes in, elements out.
#[derive(Debug)]
pub(super) struct Splitter {
    state: State,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    element: Vec<u8>,
    largest: usize,
}

impl Splitter {
    /// A cutter of elements up to that many bytes.
    pub(super) fn new(largest: usize) -> Self {
        Self {
            state: State::Before,
            depth: 0,
            in_text: false,
            is_escaped: false,
            element: Vec::new(),
            largest,
        }
    }

    /// Takes bytes and adds the elements that they complete.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        elements: &mut Vec<Vec<u8>>,
    ) -> Result<(), NotAnArray> {
        for byte in bytes {
            match self.state {
                State::Before => match byte {
                    b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => {}
                    b'[' => self.state = State::Between { may_end: true },
                    b'<' => return Err(NotAnArray::Markup),
                    _ => return Err(NotAnArray::Other),
                },
                State::Between { may_end } => match byte {
                    b' ' | b'\t' | b'\r' | b'\n' => {}
                    b'{' => {
                        self.state = State::Inside;
                        self.depth = 1;
                        self.element.push(b'{');
                    }
                    b']' if may_end => self.state = State::After,
                    _ => return Err(NotAnArray::Other),
                },
                State::Inside => {
                    if self.element.len() >= self.largest {
                        return Err(NotAnArray::TooLarge);
                    }
                    self.element.push(*byte);
                    self.inside(*byte)?;
                    if self.depth == 0 {
                        self.state = State::Behind;
                        elements.push(std::mem::take(&mut self.element));
                    }
                }
                State::Behind => match byte {
                    b' ' | b'\t' | b'\r' | b'\n' => {}
                    b',' => self.state = State::Between { may_end: false },
                    b']' => self.state = State::After,
                    _ => return Err(NotAnArray::Other),
                },
                State::After => match byte {
                    b' ' | b'\t' | b'\r' | b'\n' => {}
                    _ => return Err(NotAnArray::Surplus),
                },
            }
        }
        Ok(())
    }

    fn inside(&mut self, byte: u8) -> Result<(), NotAnArray> {
        if self.in_text {
            match (self.is_escaped, byte) {
                (true, _) => self.is_escaped = false,
                (false, b'\\') => self.is_escaped = true,
                (false, b'"') => self.in_text = false,
                (false, _) => {}
            }
            return Ok(());
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(NotAnArray::TooDeep);
                }
            }
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok(())
    }

    /// Whether the array is complete. Nothing at all is an answer without elements.
    pub(super) fn end(&self) -> Result<(), NotAnArray> {
        match self.state {
            State::Before | State::After => Ok(()),
            State::Between { .. } | State::Inside | State::Behind => Err(NotAnArray::Truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NotAnArray, Splitter};
    use proptest::prelude::*;

    fn split(parts: &[&[u8]]) -> Result<Vec<String>, NotAnArray> {
        let mut splitter = Splitter::new(64);
        let mut elements = Vec::new();
        for part in parts {
            splitter.feed(part, &mut elements)?;
        }
        splitter.end()?;
        Ok(elements.into_iter().map(|e| String::from_utf8(e).unwrap()).collect())
    }

    #[test]
    fn an_array_is_cut_into_its_elements_however_it_arrives() {
        let text = br#" [ {"a":"}]\"{"} , {"b":[{"c":[]}]} ] "#;
        for at in 0..text.len() {
            let (head, tail) = text.split_at(at);
            let elements = split(&[head, tail]).unwrap();
            assert_eq!(elements, [r#"{"a":"}]\"{"}"#, r#"{"b":[{"c":[]}]}"#]);
        }
        assert_eq!(split(&[b"[]"]), Ok(vec![]));
        assert_eq!(split(&[b""]), Ok(vec![]));
    }

    #[test]
    fn what_is_no_array_of_objects_is_told_apart() {
        for (text, expected) in [
            ("<!DOCTYPE html>", NotAnArray::Markup),
            ("{\"Message\":\"Unknown\"}", NotAnArray::Other),
            ("[1]", NotAnArray::Other),
            ("[{},]", NotAnArray::Other),
            ("[{}", NotAnArray::Truncated),
            ("[{\"a\":", NotAnArray::Truncated),
            ("[{}] x", NotAnArray::Surplus),
            (&format!("[{{\"a\":\"{}\"}}]", "x".repeat(80)), NotAnArray::TooLarge),
        ] {
            assert_eq!(split(&[text.as_bytes()]), Err(expected), "{text}");
        }
        let mut splitter = Splitter::new(1 << 20);
        let deep = format!("[{{\"a\":{}", "[".repeat(1_000));
        assert_eq!(splitter.feed(deep.as_bytes(), &mut Vec::new()), Err(NotAnArray::TooDeep));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut splitter = Splitter::new(50);
            let _ = splitter.feed(&bytes, &mut Vec::new());
            let mut array = b"[{".to_vec();
            array.extend(bytes);
            let _ = Splitter::new(50).feed(&array, &mut Vec::new());
        }
    }
}
