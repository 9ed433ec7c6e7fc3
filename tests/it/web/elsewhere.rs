//! Datasets of other catalogues, as everybody sees them. All of it may be hostile.

use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::store::Store;
use vesalius::store::harvested::{
    CURRENT, DUPLICATE, GONE, HarvestedRow, REFUSED, RunRow, put_harvested, put_run,
};

use super::{Node, get, node_with};

fn node() -> Node {
    node_with(&[], |config| {
        let source = |name: &str| HarvestSource {
            name: name.to_owned(),
            url: format!("https://{name}.example/catalog.ttl"),
            kind: HarvestKind::Hydra,
            namespaces: vec![format!("https://{name}.example/")],
            ..HarvestSource::default()
        };
        let hidden = HarvestSource { public: false, ..source("hidden") };
        config.harvest.source = vec![source("north"), source("south"), hidden];
    })
}

fn row(source: &str, name: &str, state: &str, title: &str) -> HarvestedRow {
    let iri = format!("https://{source}.example/{name}");
    let document = format!(
        "<{iri}> <http://purl.org/dc/terms/title> \"{title}\"@en .\n\
         <{iri}> <http://purl.org/dc/terms/title> \"Česky {name}\"@cs .\n\
         <{iri}> <http://purl.org/dc/terms/description> \"About {name}.\" .\n\
         <{iri}> <http://purl.org/dc/terms/accessRights> \
         <http://publications.europa.eu/resource/authority/access-right/RESTRICTED> .\n\
         <{iri}> <http://purl.org/dc/terms/publisher> <{iri}#p> .\n\
         <{iri}#p> <http://xmlns.com/foaf/0.1/name> \"Office of {source}\" .\n\
         <{iri}> <http://www.w3.org/ns/dcat#distribution> <{iri}/d> .\n\
         <{iri}/d> <http://www.w3.org/ns/dcat#accessURL> <javascript:alert(1)> .\n\
         <{iri}/d> <http://www.w3.org/ns/dcat#downloadURL> <https://{source}.example/file> .\n"
    );
    HarvestedRow {
        source: source.to_owned(),
        hash: vesalius::catalogue::digest(&document),
        iri,
        state: state.to_owned(),
        document,
        first_seen: 1,
        changed: 1,
        missing: 0,
        report: String::new(),
    }
}

fn keep(store: &Store, source: &str, rows: &[HarvestedRow]) {
    store
        .write(|db| {
            rows.iter().try_for_each(|row| put_harvested(db, row))?;
            let run = RunRow {
                number: 0,
                source: source.to_owned(),
                started: 1,
                ended: 2,
                complete: true,
                summary: "{}".to_owned(),
            };
            put_run(db, &run).map(drop)
        })
        .unwrap();
}

async fn page(node: &Node, path: &str, language: &str) -> (u16, String) {
    get(node, path, &[("Accept-Language", language), ("Accept", "text/html")]).await
}

#[actix_web::test]
async fn everybody_sees_what_is_current_and_where_it_comes_from() {
    let node = node();
    let (_, home) = page(&node, "/", "en").await;
    assert!(!home.contains("/harvested"), "there is none yet");
    let mut north = vec![
        row("north", "gone", GONE, "Gone"),
        row("north", "never", REFUSED, "Never"),
        row("north", "copy", DUPLICATE, "Copy"),
    ];
    north.extend(
        (0..45).map(|at| row("north", &format!("n{at}"), CURRENT, &format!("Lung {at:02}"))),
    );
    keep(node.store(), "north", &north);
    keep(node.store(), "south", &[row("south", "s", CURRENT, "<script>alert(1)</script>")]);
    keep(node.store(), "hidden", &[row("hidden", "h", CURRENT, "Hidden")]);
    let (_, home) = page(&node, "/", "en").await;
    assert!(home.contains("href=\"/harvested\"") && home.contains("46 datasets"), "{home}");
    let lines = |html: &str| html.matches("<li class=\"case\">").count();
    let (status, html) = page(&node, "/harvested", "en").await;
    assert_eq!((status, lines(&html)), (200, 20));
    for never in ["Gone", "Never", "Copy", "Hidden", "<script"] {
        assert!(!html.contains(never), "{never}: {html}");
    }
    assert!(html.contains("from north") && html.contains("Office of north"), "{html}");
    for (query, found) in [
        ("page=3", 6),
        ("q=lung+07", 1),
        ("q=ceskY+n1", 11),
        ("q=office+south", 1),
        ("source=south", 1),
        ("source=hidden", 0),
        ("q=lung&source=south", 0),
    ] {
        let (_, html) = page(&node, &format!("/harvested?{query}"), "en").await;
        assert_eq!(lines(&html), found, "{query}: {html}");
    }
    // In the reader's language where the dataset has it; what changes is seen after the walk.
    let (_, czech) = page(&node, "/harvested?q=lung+07", "cs").await;
    assert!(czech.contains("Česky n7") && czech.contains("Datové sady jiných katalogů"), "{czech}");
    keep(node.store(), "north", &[row("north", "n7", CURRENT, "Renamed")]);
    let (_, html) = page(&node, "/harvested?q=renamed", "en").await;
    assert_eq!(lines(&html), 1);
}

#[actix_web::test]
async fn a_dataset_of_another_catalogue_has_a_page_and_its_document() {
    let node = node();
    let (good, bad) =
        (row("north", "a", CURRENT, "Lung & <b>CT</b>"), row("north", "b", GONE, "B"));
    keep(node.store(), "north", &[good.clone(), bad]);
    keep(node.store(), "hidden", &[row("hidden", "h", CURRENT, "Hidden")]);
    let of = |page: &str, source: &str, name: &str| {
        format!("/harvested/{page}?source={source}&iri=https%3A%2F%2F{source}.example%2F{name}")
    };
    let (status, html) = page(&node, &of("dataset", "north", "a"), "en").await;
    assert_eq!(status, 200);
    for word in ["About a.", "Office of north", "https://north.example/catalog.ttl", "Restricted"] {
        assert!(html.contains(word), "{word}: {html}");
    }
    assert!(
        html.contains("href=\"https://north.example/a\"") && html.contains("/file\""),
        "{html}"
    );
    assert!(!html.contains("href=\"javascript") && !html.contains("<b>CT"), "{html}");
    for suffix in ["ttl", "jsonld", "rdf", "nt", "nq"] {
        let href = of(&format!("dataset.{suffix}"), "north", "a").replace('&', "&#38;");
        assert_eq!(html.matches(&href).count(), 2, "{href} among the alternates and links: {html}");
    }
    for (source, name, status) in
        [("north", "b", 410), ("hidden", "h", 404), ("nowhere", "x", 404), ("north", "%00", 404)]
    {
        let answer = page(&node, &of("dataset", source, name), "en").await;
        assert_eq!(answer.0, status, "{source} {name}");
    }
}
