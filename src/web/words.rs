//! Values as people read them: numbers, sizes, dates, links, text with its language.
//!
//! Everything that comes from data is hostile: text is escaped by the templates, an address
//! becomes a link only as an [`Href`].

use std::fmt;

/// An address that may stand in `href`: `http`, `https`, `mailto`, or a path of this node.
/// Anything else (`javascript:`, `data:`, `//host`) is shown as text.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Href(String);

impl Href {
    /// The address, if it is one that a reader may be sent to.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_plain = text.len() <= 2_048
            && !text.chars().any(|letter| {
                letter.is_control() || letter.is_whitespace() || "\"'<>\\`{}|^".contains(letter)
            });
        let (scheme, rest) = text.split_once(':').unwrap_or(("", ""));
        let is_web = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
            && rest
                .strip_prefix("//")
                .is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
        let is_mail = scheme.eq_ignore_ascii_case("mailto") && rest.contains('@');
        let is_ours = text.starts_with('/') && !text.starts_with("//");
        (is_plain && (is_web || is_mail || is_ours)).then(|| Self(text.to_owned()))
    }

    /// A path of this node that this room wrote itself.
    #[must_use]
    pub fn ours(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an address on the web.
    #[must_use]
    pub fn is_web(&self) -> bool {
        self.0.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http"))
    }
}

impl fmt::Display for Href {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text and the language that it is in, when that is not the page's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Phrase {
    /// The text.
    pub text: String,
    /// BCP 47 tag; empty: the page's language.
    pub lang: String,
}

impl Phrase {
    /// Text in the language of the page.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), lang: String::new() }
    }

    /// Text in a language, on a page in `page`.
    #[must_use]
    pub fn within(text: impl Into<String>, lang: &str, page: &str) -> Self {
        Self { text: text.into(), lang: if lang == page { String::new() } else { lang.to_owned() } }
    }

    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Whether the text needs its own `lang`.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        !self.lang.is_empty()
    }

    /// The paragraphs, split at empty lines.
    #[must_use]
    pub fn paragraphs(&self) -> Vec<&str> {
        self.text.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    /// At most `limit` characters, cut between two words.
    #[must_use]
    pub fn short(&self, limit: usize) -> String {
        cut(&self.text, limit)
    }
}

/// At most `limit` characters, cut between two words, with an ellipsis.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= limit {
        return text;
    }
    let head: String = text.chars().take(limit).collect();
    let head = head.rsplit_once(' ').map_or(head.as_str(), |(before, _)| before);
    format!("{} …", head.trim_end_matches([',', ';', ':', '.', ' ']))
}

/// One entry of a list: text, and where it leads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Item {
    /// What is read.
    pub phrase: Phrase,
    /// Where it leads.
    pub href: Option<Href>,
}

impl Item {
    /// Text in the language of the page.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { phrase: Phrase::plain(text), href: None }
    }

    /// An address that is its own text.
    #[must_use]
    pub fn address(text: &str) -> Self {
        let shown = text.strip_prefix("mailto:").unwrap_or(text);
        Self { phrase: Phrase::plain(shown), href: Href::parse(text) }
    }

    /// Text that leads to an address, if the address is one.
    #[must_use]
    pub fn link(text: impl Into<String>, address: &str) -> Self {
        Self { phrase: Phrase::plain(text), href: Href::parse(address) }
    }
}

/// A number with something between its thousands.
#[must_use]
pub fn grouped(number: u64, between: &str) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push_str(between);
        }
        out.push(digit);
    }
    out
}

/// A size with a decimal prefix: `7.3 GB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    const UNITS: &[&str] = &["kB", "MB", "GB", "TB", "PB"];
    if size < 1_000 {
        return format!("{size} bytes");
    }
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = size as f64 / 1_000.0;
    let mut unit = "kB";
    for next in UNITS.iter().skip(1) {
        if value < 999.95 {
            break;
        }
        value /= 1_000.0;
        unit = next;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A moment for `datetime` attributes.
#[must_use]
pub fn machine_moment(microseconds: i64) -> String {
    match jiff::Timestamp::from_microsecond(microseconds) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => String::new(),
    }
}

/// Seconds as people read them: `0.4 s`, `3 min 12 s`, `2 h 5 min`.
#[must_use]
pub fn seconds(length: f64) -> String {
    if !length.is_finite() || length < 0.0 {
        return "–".to_owned();
    }
    if length < 10.0 {
        return format!("{length:.1} s");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = length.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// A message of the house in parts: what stands between backticks is code (`true`).
#[must_use]
pub fn parts(text: &str) -> Vec<(bool, &str)> {
    // An odd backtick is a letter like others.
    if !text.matches('`').count().is_multiple_of(2) {
        return vec![(false, text)];
    }
    let parts = text.split('`').enumerate().map(|(place, part)| (place % 2 == 1, part));
    parts.filter(|(_, part)| !part.is_empty()).collect()
}

/// Percent-encodes what may not stand in a query component (RFC 3986 section 2.3).
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The pairs of a query string or a posted form (application/x-www-form-urlencoded), at most
/// 200 of them; bytes that are no UTF-8 become U+FFFD.
#[must_use]
pub fn pairs(query: &str) -> Vec<(String, String)> {
    pairs_up_to(query, 200)
}

/// As [`pairs`], with another limit: the steward's form has many fields.
#[must_use]
pub fn pairs_up_to(query: &str, most: usize) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .take(most)
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let rest = bytes.clone();
                let digits: Vec<u8> = rest.take(2).collect();
                let value = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|hex| hex.len() == 2 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match value {
                    Some(value) => {
                        out.push(value);
                        bytes.next();
                        bytes.next();
                    }
                    None => out.push(b'%'),
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Href, Phrase, bytes, cut, encode, grouped, pairs, parts, seconds};

    #[test]
    fn only_harmless_addresses_become_links() {
        for good in ["https://example.org/a?b=c#d", "HTTP://x.eu", "mailto:a@b.eu", "/catalog"] {
            assert!(Href::parse(good).is_some(), "{good} was refused");
        }
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "//evil.example",
            "https:///x",
            "https:x",
            "http://a b",
            "https://x\"onmouseover=1",
            "java\nscript:x",
            "mailto:nobody",
            "",
            "file:///etc/passwd",
        ] {
            assert!(Href::parse(bad).is_none(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(0, ","), "0");
        assert_eq!(grouped(999, ","), "999");
        assert_eq!(grouped(58_784_975, ","), "58,784,975");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(7_345_678_901), "7.3 GB");
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!(bytes(u64::MAX), "18447 PB");
        assert_eq!(seconds(0.42), "0.4 s");
        assert_eq!(seconds(192.0), "3 min 12 s");
        assert_eq!(seconds(f64::NAN), "–");
    }

    #[test]
    fn query_strings_survive_the_way_there_and_back() {
        let value = "Škoda & Söhne + 1/2 = ½ μαστός";
        assert_eq!(pairs(&format!("q={}", encode(value))), [("q".to_owned(), value.to_owned())]);
        assert_eq!(
            pairs("a=%zz%4&b=%FF"),
            [("a".to_owned(), "%zz%4".to_owned()), ("b".to_owned(), "\u{FFFD}".to_owned())]
        );
        assert_eq!(pairs("a+b=c%20d"), [("a b".to_owned(), "c d".to_owned())]);
    }

    #[test]
    fn code_in_messages_is_told_apart() {
        assert_eq!(
            parts("write `a` or `b`"),
            [(false, "write "), (true, "a"), (false, " or "), (true, "b")]
        );
        assert_eq!(parts("it`s"), [(false, "it`s")]);
    }

    #[test]
    fn long_text_is_cut_between_words() {
        assert_eq!(cut("one two three", 9), "one two …");
        assert_eq!(cut("one", 9), "one");
        assert_eq!(Phrase::plain("a\n\n\n\nb").paragraphs(), ["a", "b"]);
    }
}
