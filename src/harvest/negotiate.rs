//! Which form a reader gets (RFC 9110 section 12), and whether it has it already (section 13).

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::http::weighed;

/// What an `Accept` header prefers among media types that we have, in our order of preference;
/// `None`: none of them. A missing or empty header accepts everything.
pub(super) fn preferred<'a>(request: &HttpRequest, offers: &[&'a str]) -> Option<&'a str> {
    let text: Vec<&str> =
        request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).collect();
    let text = text.join(",");
    if text.trim().is_empty() {
        return offers.first().copied();
    }
    let ranges: Vec<(String, u16)> = text.split(',').take(100).filter_map(weighed).collect();
    let quality = |offer: &str| -> u16 {
        let kind = offer.split('/').next().unwrap_or_default();
        // The most specific range decides.
        let find = |wanted: &str| ranges.iter().find(|(range, _)| range == wanted).map(|(_, q)| *q);
        find(offer).or_else(|| find(&format!("{kind}/*"))).or_else(|| find("*/*")).unwrap_or(0)
    };
    let mut best: Option<(&str, u16)> = None;
    for offer in offers {
        let quality = quality(offer);
        if quality > 0 && best.is_none_or(|(_, found)| quality > found) {
            best = Some((offer, quality));
        }
    }
    best.map(|(offer, _)| offer)
}

/// Whether what the reader has is still current: `If-None-Match` decides, and only without it
/// `If-Modified-Since`. Tags are compared weakly (section 13.1.2).
pub(super) fn is_current(
    request: &HttpRequest,
    tags: &[String],
    modified: Option<jiff::Timestamp>,
) -> bool {
    let mut given = request.headers().get_all(header::IF_NONE_MATCH).peekable();
    if given.peek().is_some() {
        return given.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).any(
            |tag| {
                let tag = tag.trim();
                tag == "*" || tags.iter().any(|own| own == tag.strip_prefix("W/").unwrap_or(tag))
            },
        );
    }
    let since =
        request.headers().get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    let (Some(since), Some(modified)) = (since, modified) else { return false };
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(since)
        .is_ok_and(|since| modified.as_second() <= since.as_second())
}

#[cfg(test)]
mod tests {
    use super::preferred;
    use actix_web::test::TestRequest;

    const OFFERS: &[&str] =
        &["text/turtle", "application/ld+json", "application/rdf+xml", "text/html"];

    #[test]
    fn the_reader_gets_what_it_prefers() {
        for (accept, expected) in [
            ("*/*", Some("text/turtle")),
            ("", Some("text/turtle")),
            ("application/ld+json", Some("application/ld+json")),
            ("text/turtle;q=0.5, application/rdf+xml;q=0.9", Some("application/rdf+xml")),
            ("text/*;q=0.2, application/ld+json;q=0.1", Some("text/turtle")),
            ("text/turtle;q=0, */*;q=0.1", Some("application/ld+json")),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some("text/html")),
            ("TEXT/HTML", Some("text/html")),
            ("image/png", None),
            ("text/turtle;q=nonsense", None),
            (",,;;", None),
        ] {
            let request =
                TestRequest::default().insert_header(("Accept", accept)).to_http_request();
            assert_eq!(preferred(&request, OFFERS), expected, "{accept}");
        }
    }
}
