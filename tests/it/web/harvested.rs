//! The pages of catalogues that are harvested.

use vesalius::actor::Role;
use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::store::Store;
use vesalius::store::harvested::{
    CURRENT, DUPLICATE, GONE, HarvestedRow, REFUSED, RunRow, Summary, Trouble, put_harvested,
    put_run,
};

use super::{Node, get, node_with};
use crate::catalogue::now;

/// A source with a dataset in every state, and one that was never walked.
fn played() -> Node {
    let node = node_with(&[], |config| {
        let source = |name: &str, every_hours| HarvestSource {
            name: name.to_owned(),
            url: format!("https://{name}.example/catalog.ttl"),
            kind: HarvestKind::Hydra,
            namespaces: vec![format!("https://{name}.example/")],
            every_hours,
            ..HarvestSource::default()
        };
        config.harvest.source =
            vec![source("regional", 24), source("waiting", 6), source("hand", 0)];
    });
    play(node.store());
    node
}

fn play(store: &Store) {
    let start = now().as_microsecond();
    let row = |name: &str, state: &str, report: &str, document: &str| HarvestedRow {
        source: "regional".to_owned(),
        iri: format!("https://regional.example/{name}"),
        state: state.to_owned(),
        document: document.to_owned(),
        hash: String::new(),
        first_seen: start,
        changed: start,
        missing: i32::from(name == "missed"),
        report: report.to_owned(),
    };
    let good = "<https://regional.example/kept> <http://purl.org/dc/terms/title> \"T\" .\n";
    let rows = [
        row("good", CURRENT, "", good),
        row("kept", CURRENT, "gate: a title is needed, as a literal", good),
        row("missed", CURRENT, "", good),
        row("never", REFUSED, "blank-nodes: <script>alert(1)</script>", ""),
        row("copy", DUPLICATE, "duplicate: `https://x.example/1` is `x` of `y`", good),
        row("gone", GONE, "", good),
    ];
    let mut summary =
        Summary { source: "regional".to_owned(), bytes: 12_345, ..Summary::default() };
    (summary.pages, summary.seen, summary.refused, summary.missing) = (3, 5, 2, 2);
    summary.trouble(Trouble::new("javascript:alert(1)", "gate", "a title is needed, as a literal"));
    for number in 0..60 {
        let about = format!("https://regional.example/{number}?<b>");
        summary.trouble(Trouble::new(&about, "private-address", "the address is inside"));
    }
    store
        .write(|db| {
            rows.iter().try_for_each(|row| put_harvested(db, row))?;
            let run = |source: &str, complete, summary: &Summary| RunRow {
                number: 0,
                source: source.to_owned(),
                started: start,
                ended: start + 2_500_000,
                complete,
                summary: serde_json::to_string(summary).unwrap(),
            };
            put_run(db, &run("forgotten", true, &Summary::default()))?;
            put_run(db, &run("hand", false, &Summary::default()))?;
            put_run(db, &run("regional", true, &Summary::default()))?;
            put_run(db, &run("regional", false, &summary)).map(drop)
        })
        .unwrap();
}

async fn page(node: &Node, path: &str, language: &str) -> String {
    let bearer = format!("Bearer {}", node.token(Role::Steward));
    let headers = [("Authorization", bearer.as_str()), ("Accept-Language", language)];
    let (status, html) = get(node, path, &headers).await;
    assert_eq!(status, 200, "{path}");
    html
}

/// What a page says of one dataset.
fn html_of<'h>(html: &'h str, name: &str) -> &'h str {
    html.split("<li class=\"case\">").find(|case| case.contains(name)).unwrap()
}

#[actix_web::test]
async fn every_source_is_listed_with_its_last_and_next_walk() {
    let node = played();
    let html = page(&node, "/operator/harvest", "en").await;
    for word in [
        "/operator/harvest/regional",
        "https://waiting.example/catalog.ttl",
        "incomplete",
        "22 November 2026, 12:00 UTC",
        "within a minute",
        "by vesalius harvest only",
        "forgotten",
        "not in the configuration any more",
    ] {
        let text = html.replace("<code>", "").replace("</code>", "").replace('`', "");
        assert!(text.contains(word), "{word}: {html}");
    }
    let none = node_with(&[], |_| {});
    let html = page(&none, "/operator/harvest", "cs").await;
    assert!(html.contains("Žádný katalog se nesklízí"), "{html}");
}

#[actix_web::test]
async fn a_source_tells_what_was_refused_why_and_what_is_kept_instead() {
    let node = played();
    let html = page(&node, "/operator/harvest/regional", "en").await;
    for word in [
        "Older version kept",
        "The dataset lacks something that it must have",
        "a title is needed, as a literal",
        "/operator/harvest/regional/document?iri=https%3A%2F%2Fregional.example%2Fkept",
        "Missed by",
        "1 walk",
        "Another source, or this node, has the same dataset.",
        "Never accepted",
        "11 more are in the summary of the walk.",
        "12 kB",
        "private-address",
    ] {
        assert!(html.contains(word), "{word}: {html}");
    }
    assert!(!html.contains("<script>") && !html.contains("href=\"javascript:"), "{html}");
    assert!(!html.contains("regional.example/good"), "nothing is to be said of what is well");
    for (language, words) in [
        ("cs", ["Poslední průchod", "Datové sadě něco povinného chybí", "neúplný"]),
        ("el", ["Τελευταία διέλευση", "λείπει κάτι υποχρεωτικό", "ελλιπής"]),
    ] {
        let html = page(&node, "/operator/harvest/regional", language).await;
        assert!(html.contains(&format!("<html lang=\"{language}\">")));
        for word in words {
            assert!(html.contains(word), "{language} {word}: {html}");
        }
    }
    // One that was never accepted never was good.
    let never = html_of(&html, "regional.example/never");
    assert!(never.contains("First refused") && !never.contains("Last good"), "{never}");
    // A source that was never reached is no source whose datasets are all well.
    let html = page(&node, "/operator/harvest/hand", "en").await;
    assert!(html.contains("state bad") && html.contains("not reached"), "{html}");
    assert!(html.contains("No dataset of this source is kept."), "{html}");
    assert!(!html.contains("newest version") && !html.contains("Everything was taken"), "{html}");
    let bearer = format!("Bearer {}", node.token(Role::Admin));
    let headers = [("Authorization", bearer.as_str())];
    let document = "/operator/harvest/regional/document?iri=https%3A%2F%2Fregional.example%2Fkept";
    let (status, text) = get(&node, document, &headers).await;
    assert!(status == 200 && text.contains("purl.org/dc/terms/title"), "{status} {text}");
    for (path, wanted) in [
        ("/operator/harvest/nobody", 404),
        ("/operator/harvest/a%00b", 404),
        ("/operator/harvest/regional?after=%00", 400),
        ("/operator/harvest/regional?after=zzz", 200),
        ("/operator/harvest/regional/document?iri=%00", 404),
        ("/operator/harvest/regional/document?iri=https%3A%2F%2Fregional.example%2Fnever", 404),
        ("/operator/harvest/regional/document", 404),
    ] {
        assert_eq!(get(&node, path, &headers).await.0, wanted, "{path}");
        assert_eq!(get(&node, path, &[]).await.0, 401, "{path} without a token");
    }
}
