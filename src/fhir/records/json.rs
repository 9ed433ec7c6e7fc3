//! JSON as the bytes that came: what is written is kept as it was sent, but for id and meta, so
//! that numbers keep their form (`1.50`), and members their order.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;

use super::super::outcome::Failure;
use crate::error::Error;

/// Deepest nesting of a resource.
pub(in crate::fhir) const DEEPEST: usize = 64;

/// Most entries of a Bundle or List: each is a resource to be checked.
pub(in crate::fhir) const MOST_ENTRIES: usize = 10_000;

/// Why a text is not read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::fhir) enum Unread {
    /// It is no JSON, or not as a resource has it: what, and where.
    Broken(String),
    /// It would cost too much to look at.
    Crowded(String),
}

impl Unread {
    /// As the client sees it; `what` says what should have been read.
    pub(in crate::fhir) fn told(self, what: &str) -> Failure {
        match self {
            Self::Broken(reason) => Failure::unreadable(&format!("{what}: {reason}")),
            Self::Crowded(reason) => Error::TooCostly(reason).into(),
        }
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Broken(reason) | Self::Crowded(reason)) = self;
        f.write_str(reason)
    }
}

/// A member of an object, by its place in the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::fhir) struct Member {
    pub(in crate::fhir) name: String,
    pub(in crate::fhir) value: Range<usize>,
}

/// A string that stands where a reference or a URL does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::fhir) struct Link {
    /// With the quotes.
    pub(in crate::fhir) place: Range<usize>,
    pub(in crate::fhir) text: String,
    /// Whether it is the `reference` of a Reference.
    pub(in crate::fhir) is_reference: bool,
}

/// Elements of type uri, url, uuid and oid that may name an entry of a transaction.
const URLS: &[&str] = &["url", "uri", "valueUri", "valueUrl", "valueUuid", "valueOid"];

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    links: Vec<Link>,
}

/// Reads a resource: bounded in depth and entries, without a name that stands twice in an object.
///
/// # Errors
/// What is wrong, and where.
pub(in crate::fhir) fn read(bytes: &[u8]) -> Result<(Value, Vec<Link>), Unread> {
    let mut scan = Scan { bytes, at: 0, links: Vec::new() };
    scan.value("", 0)?;
    let value =
        serde_json::from_slice(bytes).map_err(|failure| Unread::Broken(failure.to_string()))?;
    Ok((value, scan.links))
}

/// The members of the object at that place of a text that [`read`] accepted.
pub(in crate::fhir) fn members(bytes: &[u8], place: &Range<usize>) -> Vec<Member> {
    listed(bytes, place, b'{', |scan| {
        if scan.peek() != Some(b'"') {
            return None;
        }
        let name = scan.string().ok()?;
        scan.space();
        scan.at += 1;
        scan.space();
        let start = scan.at;
        scan.value("", 0).ok()?;
        Some(Member { name, value: start..scan.at })
    })
}

/// The items of the array at that place of a text that [`read`] accepted.
pub(in crate::fhir) fn items(bytes: &[u8], place: &Range<usize>) -> Vec<Range<usize>> {
    listed(bytes, place, b'[', |scan| {
        let start = scan.at;
        scan.peek().filter(|byte| *byte != b']')?;
        scan.value("", 0).ok()?;
        Some(start..scan.at)
    })
}

/// What stands between an opening bracket and its end, one by one; nothing where there is none.
fn listed<T>(
    bytes: &[u8],
    place: &Range<usize>,
    bracket: u8,
    mut one: impl FnMut(&mut Scan<'_>) -> Option<T>,
) -> Vec<T> {
    let mut scan = Scan { bytes, at: place.start, links: Vec::new() };
    let mut found = Vec::new();
    scan.space();
    if scan.peek() != Some(bracket) {
        return found;
    }
    scan.at += 1;
    loop {
        scan.space();
        if scan.peek() == Some(b',') {
            scan.at += 1;
            scan.space();
        }
        match one(&mut scan) {
            Some(one) => found.push(one),
            None => return found,
        }
    }
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn wrong<T>(&self, what: &str) -> Result<T, Unread> {
        let line = self.bytes.iter().take(self.at).filter(|byte| **byte == b'\n').count() + 1;
        Err(Unread::Broken(format!("{what} at byte {} (line {line})", self.at)))
    }

    /// Reads past a value; grammar is looked at as far as the places need it.
    fn value(&mut self, name: &str, depth: usize) -> Result<(), Unread> {
        if depth > DEEPEST {
            return self.wrong(&format!("the nesting is deeper than {DEEPEST}"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => {
                self.at += 1;
                self.space();
                if self.peek() == Some(b']') {
                    self.at += 1;
                    return Ok(());
                }
                let mut items = 0;
                loop {
                    self.value(name, depth + 1)?;
                    items += 1;
                    self.space();
                    match self.peek() {
                        Some(b',') if name == "entry" && items >= MOST_ENTRIES => {
                            return Err(Unread::Crowded(format!(
                                "there are more than {MOST_ENTRIES} entries, which are not taken \
                                 at once; send several"
                            )));
                        }
                        Some(b',') => self.at += 1,
                        Some(b']') => {
                            self.at += 1;
                            return Ok(());
                        }
                        _ => return self.wrong("an array needs `,` or `]`"),
                    }
                }
            }
            Some(b'"') => {
                let start = self.at;
                let is_link = name == "reference" || URLS.contains(&name);
                if is_link {
                    let text = self.string()?;
                    let is_reference = name == "reference";
                    self.links.push(Link { place: start..self.at, text, is_reference });
                    Ok(())
                } else {
                    self.skip_string()
                }
            }
            Some(_) => {
                let start = self.at;
                while self.peek().is_some_and(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
                }) {
                    self.at += 1;
                }
                if self.at == start { self.wrong("no value of JSON") } else { Ok(()) }
            }
            None => self.wrong("the text ends"),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Unread> {
        self.at += 1;
        let mut names = HashSet::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return self.wrong("an object needs a name in quotes");
            }
            let name = self.string()?;
            if names.contains(&name) {
                let shown: String = name.chars().take(60).collect();
                return self.wrong(&format!("the name `{shown}` stands twice"));
            }
            self.space();
            if self.peek() != Some(b':') {
                return self.wrong("a name needs `:`");
            }
            self.at += 1;
            self.value(&name, depth + 1)?;
            names.insert(name);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.wrong("an object needs `,` or `}`"),
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Unread> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return self.wrong("the text ends in a string"),
            }
        }
    }

    fn string(&mut self) -> Result<String, Unread> {
        let start = self.at;
        self.skip_string()?;
        let text = self.bytes.get(start..self.at).unwrap_or_default();
        match serde_json::from_slice(text) {
            Ok(text) => Ok(text),
            Err(failure) => self.wrong(&format!("a string that cannot be read ({failure})")),
        }
    }
}

/// Replaces places of a text; they must not overlap.
pub(in crate::fhir) fn splice(bytes: &[u8], mut edits: Vec<(Range<usize>, String)>) -> Vec<u8> {
    edits.sort_by_key(|(place, _)| (place.start, place.end));
    let mut out = Vec::with_capacity(bytes.len() + 256);
    let mut done = 0;
    for (place, text) in edits {
        out.extend_from_slice(bytes.get(done..place.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        done = place.end;
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    out
}

/// The resource with id, version and time of the server's choice; all else as it came.
pub(in crate::fhir) fn with_head(bytes: &[u8], id: &str, version: i32, updated: &str) -> Vec<u8> {
    let whole = 0..bytes.len();
    let all = members(bytes, &whole);
    let find = |name: &str| all.iter().find(|member| member.name == name);
    let mut meta = format!("{{\"versionId\":\"{version}\",\"lastUpdated\":\"{updated}\"");
    if let Some(given) = find("meta") {
        for Member { name, value } in members(bytes, &given.value) {
            let own = name.strip_prefix('_').unwrap_or(&name);
            if ["versionId", "lastUpdated"].contains(&own) {
                continue;
            }
            let raw = String::from_utf8_lossy(bytes.get(value).unwrap_or_default());
            meta.push_str(&format!(",{}:{raw}", Value::from(name)));
        }
    }
    meta.push('}');
    let mut edits = Vec::new();
    let mut added = String::new();
    match find("id") {
        Some(given) => edits.push((given.value.clone(), format!("\"{id}\""))),
        None => added.push_str(&format!(",\"id\":\"{id}\"")),
    }
    match find("meta") {
        Some(given) => edits.push((given.value.clone(), meta)),
        None => added.push_str(&format!(",\"meta\":{meta}")),
    }
    // Behind `resourceType`, which every resource has.
    let end = find("resourceType").map_or(bytes.len(), |kind| kind.value.end);
    edits.push((end..end, added));
    splice(bytes, edits)
}

#[cfg(test)]
mod tests {
    use super::{MOST_ENTRIES, Unread, read, with_head};

    #[test]
    fn a_resource_keeps_its_bytes_but_for_id_and_meta() {
        let came =
            br#"{ "resourceType":"Observation","valueQuantity" : {"value":1.50, "unit":"m\u006d"},
 "meta":{"versionId":"9","profile":["http://a/b"]} , "id" : "x" }"#;
        let kept = with_head(came, "y", 2, "2026-01-01T00:00:00Z");
        assert_eq!(
            String::from_utf8(kept).unwrap(),
            r#"{ "resourceType":"Observation","valueQuantity" : {"value":1.50, "unit":"m\u006d"},
 "meta":{"versionId":"2","lastUpdated":"2026-01-01T00:00:00Z","profile":["http://a/b"]} , "id" : "y" }"#
        );
        let kept = with_head(br#"{"status":"final","resourceType":"Basic"}"#, "y", 1, "t");
        assert_eq!(
            String::from_utf8(kept).unwrap(),
            r#"{"status":"final","resourceType":"Basic","id":"y","meta":{"versionId":"1","lastUpdated":"t"}}"#
        );
    }

    #[test]
    fn what_is_no_resource_is_refused_with_the_place() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        for (text, reason) in [
            (r#"{"a":1,"a":2}"#, "`a` stands twice"),
            (r#"{"x":{"a":1,"\u0061":2}}"#, "`a` stands twice"),
            (deep.as_str(), "deeper than 64"),
            (r#"{"a":1"#, "`,` or `}`"),
            (r#"{"a":1e999}"#, "number out of range"),
            (r#"{"a":nul}"#, "expected"),
            (r#"{"a":"\ud800"}"#, ""),
            (r#"{"a":1} x"#, "trailing"),
            ("{\"a\":\"\n\"}", "control character"),
            ("", "the text ends"),
        ] {
            let refused = read(text.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(reason), "{text:.40}: {refused}");
        }
        for (entries, is_taken) in [(MOST_ENTRIES, true), (MOST_ENTRIES + 1, false)] {
            let text = format!(r#"{{"entry":[{}]}}"#, vec!["{}"; entries].join(","));
            let read = read(text.as_bytes());
            assert_eq!(read.is_ok(), is_taken);
            assert!(is_taken || matches!(read, Err(Unread::Crowded(_))));
        }
        let (_, links) =
            read(br#"{"subject":{"reference":"Patient/1"},"url":"urn:uuid:1","x":"y"}"#).unwrap();
        assert_eq!(links.len(), 2);
        assert!(links[0].is_reference && links[0].text == "Patient/1");
    }
}
