//! What the reader accepts (PS3.18 sections 8.3.3 and 8.7): media types with their parameters.

use actix_web::http::header;

use super::Asking;
use super::problem::{Failure, Result};
use crate::http::decoded;

/// Names and values of the query, decoded.
pub(super) type Parameters = Vec<(String, String)>;

const MOST_PARAMETERS: usize = 100;
const LONGEST: usize = 4 * 1024;
/// Media ranges that are looked at.
const MOST_RANGES: usize = 50;

/// Decodes the query.
pub(super) fn parameters(query: &str) -> Result<Parameters> {
    let mut all = Parameters::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if value.len() > LONGEST || name.len() > 256 {
            return Err(Failure::bad(format!("a parameter is longer than {LONGEST} bytes")));
        }
        if all.len() == MOST_PARAMETERS {
            return Err(Failure::bad(format!("more than {MOST_PARAMETERS} parameters")));
        }
        all.push((name, value));
    }
    Ok(all)
}

fn decode(text: &str) -> Result<String> {
    let text =
        decoded(text).ok_or_else(|| Failure::bad("the query is not percent-encoded UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(Failure::bad("the query holds a control character"));
    }
    Ok(text)
}

/// One media range.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Range {
    /// `multipart/related` around `media`.
    pub(super) is_multipart: bool,
    /// The media type in lower case; may hold `*`.
    pub(super) media: String,
    /// TransferSyntaxUID; `None` without the parameter, or with `*`.
    pub(super) syntax: Option<String>,
    pub(super) quality: u16,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (media, quality) = crate::http::weighed(&without_quotes(text))?;
        if quality == 0 {
            return None;
        }
        let parameter = |wanted: &str| {
            parts(text, ';').skip(1).find_map(|part| {
                let (name, value) = part.split_once('=')?;
                let value = value.trim().trim_matches('"').to_ascii_lowercase();
                name.trim().eq_ignore_ascii_case(wanted).then_some(value)
            })
        };
        let is_multipart = media == "multipart/related" || media == "multipart/*";
        let inner = parameter("type").unwrap_or_else(|| "*/*".to_owned());
        let media = if is_multipart { inner } else { media };
        let syntax = parameter("transfer-syntax").filter(|syntax| syntax != "*");
        Some(Self { is_multipart, media, syntax, quality })
    }

    /// Whether the range takes the type, as a single part or within a multipart.
    pub(super) fn takes(&self, media: &str) -> bool {
        self.media == "*/*"
            || self.media == media
            || self.media.strip_suffix("/*").is_some_and(|kind| {
                media.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/'))
            })
    }

    /// Whether everything is taken, in whatever form.
    pub(super) fn is_anything(&self) -> bool {
        !self.is_multipart && self.media == "*/*"
    }

    /// Whether the range takes what is in that transfer syntax.
    pub(super) fn takes_syntax(&self, syntax: &str) -> bool {
        self.syntax.as_deref().is_none_or(|wanted| wanted == syntax)
    }
}

/// The parts between separators outside of quotes.
fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |letter| {
        is_quoted ^= letter == '"';
        letter == separator && !is_quoted
    })
}

/// Quoted values may hold what separates.
fn without_quotes(text: &str) -> String {
    parts(text, ';').filter(|part| !part.contains('"')).collect::<Vec<_>>().join(";")
}

/// What the reader accepts, the best first. The parameter `accept` stands above the header
/// (PS3.18 section 8.3.3.1). Without both: anything.
pub(super) fn ranges(asking: &Asking) -> Result<Vec<Range>> {
    let parameter = asking.parameters.iter().find(|(name, _)| name == "accept");
    let texts: Vec<String> = match parameter {
        // A `+` that was not escaped arrives as a space.
        Some((_, value)) => vec![value.replace("dicom json", "dicom+json")],
        None => asking
            .request
            .headers()
            .get_all(header::ACCEPT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect(),
    };
    let ranges = of_texts(&texts);
    if ranges.is_empty() {
        let shown: String =
            texts.join(", ").chars().filter(|c| !c.is_control()).take(100).collect();
        return Err(Failure::not_acceptable(format!("`{shown}` accepts nothing")));
    }
    Ok(ranges)
}

fn of_texts(texts: &[String]) -> Vec<Range> {
    let mut ranges: Vec<Range> = texts
        .iter()
        .flat_map(|text| parts(text, ','))
        .filter(|text| !text.trim().is_empty())
        .take(MOST_RANGES)
        .filter_map(Range::parse)
        .collect();
    if texts.iter().all(|text| text.trim().is_empty()) {
        ranges.extend(Range::parse("*/*"));
    }
    ranges.sort_by_key(|range| std::cmp::Reverse(range.quality));
    ranges
}

/// Whether a single-part media type is taken, or the failure that says what there is.
pub(super) fn only(asking: &Asking, offered: &[&'static str]) -> Result<&'static str> {
    let ranges = ranges(asking)?;
    for range in ranges.iter().filter(|range| !range.is_multipart) {
        if let Some(media) = offered.iter().find(|media| range.takes(media)) {
            return Ok(media);
        }
    }
    Err(Failure::not_acceptable(format!("only `{}` is served here", offered.join("`, `"))))
}

#[cfg(test)]
mod tests {
    use super::{Range, of_texts, parameters};

    #[test]
    fn ranges_are_read_with_their_parameters() {
        let one = |text: &str| of_texts(&[text.to_owned()]).first().cloned();
        let part10 = one(
            "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.90",
        )
        .unwrap();
        assert!(part10.is_multipart && part10.takes("application/dicom"));
        assert_eq!(part10.syntax.as_deref(), Some("1.2.840.10008.1.2.4.90"));
        assert!(!part10.takes_syntax("1.2.840.10008.1.2.1"));
        let any = one("multipart/related;type=application/dicom;transfer-syntax=*").unwrap();
        assert!(any.takes_syntax("1.2.840.10008.1.2.1"));
        assert!(one("image/*").unwrap().takes("image/png"));
        assert!(!one("image/*").unwrap().takes("imagery/png"));
        assert!(one("").unwrap().is_anything());
        for nothing in ["*/*;q=0", ";", "a/b;q=x"] {
            assert_eq!(one(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_best_comes_first_and_quotes_hold_separators() {
        let ranges =
            of_texts(&["image/png;q=0.5, multipart/related; type=\"a/b,c;d\"; q=0.9, image/jpeg"
                .to_owned()]);
        let media: Vec<&str> = ranges.iter().map(|range: &Range| range.media.as_str()).collect();
        assert_eq!(media, ["image/jpeg", "a/b,c;d", "image/png"]);
    }

    #[test]
    fn a_query_that_is_none_is_refused() {
        assert_eq!(parameters("a=b+c&d=%C5%BE").unwrap()[1].1, "ž");
        for wrong in ["a=%", "a=%zz", "a=%ff", "a=%00", "%0a=1"] {
            assert!(parameters(wrong).is_err(), "{wrong}");
        }
        assert!(parameters(&"a=1&".repeat(101)).is_err());
    }
}
