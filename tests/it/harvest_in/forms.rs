//! The forms that documents come in: media types that say too little, and packed answers.

use std::io::Write as _;

use vesalius::config::{HarvestFormat, HarvestKind, HarvestSource};

use super::{BYTES, Site, codes, page, walk};
use crate::support::sqlite;

const XML: &str = "<?xml version=\"1.0\"?>\n\
    <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" \
    xmlns:dcat=\"http://www.w3.org/ns/dcat#\" xmlns:dct=\"http://purl.org/dc/terms/\">\
    <dcat:Dataset rdf:about=\"BASE/d/a\"><dct:title>t</dct:title>\
    <dct:description>d</dct:description></dcat:Dataset></rdf:RDF>";

const JSON: &str = "{\"@context\":{\"dct\":\"http://purl.org/dc/terms/\"},\"@id\":\"BASE/d/a\",\
    \"@type\":\"http://www.w3.org/ns/dcat#Dataset\",\"dct:title\":\"t\",\"dct:description\":\"d\"}";

const LINES: &str = "<BASE/d/a> a <http://www.w3.org/ns/dcat#Dataset> .\n\
    <BASE/d/a> <http://purl.org/dc/terms/title> \"t\" .\n\
    <BASE/d/a> <http://purl.org/dc/terms/description> \"d\" .\n";

#[test]
fn a_form_is_read_by_what_the_document_shows_when_its_type_says_nothing() {
    let (turtle, site) = (page(&["a"], ""), Site::new());
    for (number, (kind, body)) in [
        ("text/plain", &*turtle),
        ("text/plain; charset=utf-8", LINES),
        ("application/octet-stream", &turtle),
        ("", &turtle),
        ("text/plain", XML),
        ("text/plain", JSON),
        ("application/xml", XML),
        ("text/xml; charset=utf-8", XML),
        ("application/json", JSON),
    ]
    .iter()
    .enumerate()
    {
        let fresh = sqlite();
        site.say("/catalog.ttl", kind, body);
        let summary = walk(&fresh.store, &site.source("one", HarvestKind::Dcat));
        assert_eq!((summary.complete, summary.new), (true, 1), "{number} {kind}: {summary:?}");
    }
    // What the source's row says is believed before what the server says.
    for (format, kind, body) in [
        (HarvestFormat::Ttl, "text/html", &*turtle),
        (HarvestFormat::Nt, "application/ld+json", LINES),
        (HarvestFormat::Rdf, "image/png", XML),
        (HarvestFormat::Jsonld, "text/html", JSON),
    ] {
        let fresh = sqlite();
        site.say("/catalog.ttl", kind, body);
        let source = site.source("one", HarvestKind::Dcat);
        assert_eq!(walk(&fresh.store, &source).new, 0, "{kind}");
        let source = HarvestSource { format: Some(format), ..source };
        assert_eq!(walk(&fresh.store, &source).new, 1, "{format:?}");
    }
}

fn packed(site: &Site, coding: &str, body: &[u8], cut: usize) {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(body).unwrap();
    let mut bytes = packer.finish().unwrap();
    bytes.truncate(bytes.len() - cut);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\nContent-Encoding: {coding}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{BYTES}",
        bytes.len()
    );
    let digits: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    site.raw("/catalog.ttl", &format!("{head}{digits}"));
}

#[test]
fn a_packed_answer_is_read_within_its_size_unpacked() {
    let (fresh, site) = (sqlite(), Site::new());
    let source = site.source("one", HarvestKind::Dcat);
    let body = page(&["a"], "").replace("BASE", &site.base);
    for coding in ["gzip", "x-gzip", "GZIP"] {
        packed(&site, coding, body.as_bytes(), 0);
        let summary = walk(&fresh.store, &source);
        assert_eq!((summary.complete, summary.seen), (true, 1), "{summary:?}");
        assert_eq!(summary.bytes, body.len() as u64);
    }
    // A hundred mebibytes of spaces in a hundred kilobytes.
    packed(&site, "gzip", &vec![b' '; 100 << 20], 0);
    assert_eq!(codes(&walk(&fresh.store, &source)), ["too-large"]);
    packed(&site, "gzip", body.as_bytes(), 12);
    let summary = walk(&fresh.store, &source);
    assert_eq!((summary.complete, codes(&summary)), (false, vec!["cut-off"]), "{summary:?}");
    packed(&site, "br", body.as_bytes(), 0);
    assert_eq!(codes(&walk(&fresh.store, &source)), ["coding"]);
}
