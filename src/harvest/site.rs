//! `/sitemap.xml` (sitemaps.org protocol 0.9) and `/robots.txt` (RFC 9309): how search engines
//! find the datasets.

use std::fmt::Write as _;

use super::State;
use super::doors::{Ask, Found, Refused};
use crate::catalogue::{Snapshot, moment};
use crate::error::Error;

/// Addresses in one sitemap: the protocol allows 50,000.
const LARGEST: usize = 40_000;
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const NAMESPACE: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";

fn standing(state: &State, ask: &Ask) -> Result<Snapshot, Refused> {
    state.snapshot(None, None, ask.now, "/catalog")
}

/// All addresses, or where they are when they are too many for one file.
pub(super) fn map(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let snapshot = standing(state, ask)?;
    let (key, modified) = (format!("/sitemap {}", snapshot.token()), snapshot.time);
    let answer = Found::bytes(key, move |state| {
        let parts = snapshot.pages(LARGEST);
        if parts == 1 {
            return Ok(urls(state, &snapshot, 0, true).into_bytes());
        }
        let mut text = format!("{HEAD}<sitemapindex xmlns=\"{NAMESPACE}\">\n");
        for part in 1..=parts {
            let place = state.writer().iri(&format!("/sitemap/{part}.xml"));
            let _ = writeln!(text, "<sitemap><loc>{}</loc></sitemap>", place.as_str());
        }
        text.push_str("</sitemapindex>\n");
        Ok(text.into_bytes())
    });
    Ok(answer.modified(modified))
}

pub(super) fn map_part(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let snapshot = standing(state, ask)?;
    let number: usize = ask.slug.parse().unwrap_or(0);
    if number == 0 || number > snapshot.pages(LARGEST) {
        let id = ask.slug.chars().take(40).collect();
        return Err(Error::NotFound { kind: "sitemap", id }.into());
    }
    let (key, modified) = (format!("/sitemap {number} {}", snapshot.token()), snapshot.time);
    let make = move |state: &State| {
        let from = (number - 1) * LARGEST;
        Ok(urls(state, &snapshot, from, number == 1).into_bytes())
    };
    Ok(Found::bytes(key, make).modified(modified))
}

fn urls(state: &State, snapshot: &Snapshot, from: usize, with_home: bool) -> String {
    let mut text = format!("{HEAD}<urlset xmlns=\"{NAMESPACE}\">\n");
    if with_home {
        for path in ["/", "/catalog"] {
            let _ = writeln!(text, "<url><loc>{}</loc></url>", state.writer().iri(path).as_str());
        }
    }
    for one in snapshot.standing().iter().skip(from).take(LARGEST) {
        // An address of ours: base and slug hold nothing that XML would read otherwise.
        let place = state.writer().dataset_iri(&one.slug);
        let _ = writeln!(
            text,
            "<url><loc>{}</loc><lastmod>{}</lastmod></url>",
            place.as_str(),
            moment(one.time)
        );
    }
    text.push_str("</urlset>\n");
    text
}

/// The catalogue is there to be crawled; care, operators' pages and free queries are not.
pub(super) fn robots(state: &State, _: &Ask) -> Result<Found, Refused> {
    let map = state.writer().iri("/sitemap.xml");
    let text = format!(
        "User-agent: *\nDisallow: /fhir\nDisallow: /operator\nDisallow: /sparql\n\nSitemap: {}\n",
        map.as_str()
    );
    Ok(Found::bytes("/robots".to_owned(), move |_| Ok(text.into_bytes())))
}
