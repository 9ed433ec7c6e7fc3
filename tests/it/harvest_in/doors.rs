//! What was harvested, at the doors out: every form, what a form cannot say, and what is not shown.

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::web::Data;
use vesalius::catalogue::{Format, MemoryShelf, canonical, parse};
use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::harvest::State;
use vesalius::harvest::inbound::Summary;
use vesalius::store::Store;
use vesalius::store::harvested::{GONE, HarvestedRow, find_harvested, put_harvested};

use super::{Site, page};
use crate::catalogue::graphs::read;
use crate::catalogue::{config, knock, now, release};
use crate::support::{Fresh, sqlite};

fn doors(fresh: &Fresh, sources: &[HarvestSource]) -> Data<State> {
    let mut config = config();
    config.harvest.source = sources.to_vec();
    let program = env!("CARGO_BIN_EXE_vesalius").into();
    let shelf = Arc::new(MemoryShelf::default());
    let state = State::new(config.into(), release().into(), shelf, program, now);
    Data::new(state.with_store(Arc::new(fresh.store.clone())))
}

/// A walk waits for its answers, which a thread that serves may not.
fn walk(store: &Store, source: &HarvestSource) -> Summary {
    std::thread::scope(|scope| scope.spawn(|| super::walk(store, source)).join().unwrap())
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn address(suffix: &str, source: &str, iri: &str) -> String {
    format!("/harvested/dataset{suffix}?source={source}&iri={}", encoded(iri))
}

fn row(fresh: &Fresh, source: &str, iri: &str) -> HarvestedRow {
    fresh.store.read(|db| find_harvested(db, source, iri)).unwrap().unwrap()
}

#[actix_web::test]
async fn a_harvested_dataset_comes_in_the_form_that_is_asked_for() {
    let (fresh, site) = (sqlite(), Site::new());
    site.say("/catalog.ttl", "text/turtle", &page(&["a"], ""));
    let source = site.source("north", HarvestKind::Dcat);
    walk(&fresh.store, &source);
    let state = doors(&fresh, std::slice::from_ref(&source));
    let iri = format!("{}/d/a", site.base);
    let kept = row(&fresh, "north", &iri);
    let graph = canonical(&parse(&kept.document).unwrap());
    let plain = address("", "north", &iri);
    for format in Format::ALL {
        let suffixed = address(&format!(".{}", format.suffix()), "north", &iri);
        let (status, headers, body) =
            knock(&state, &plain, &[("Accept", format.media_type())]).await;
        assert_eq!(status, 200, "{format:?}: {body}");
        let kind = headers.get("content-type").unwrap().to_str().unwrap();
        assert!(kind.starts_with(format.media_type()), "{kind}");
        assert_eq!(canonical(&read(body.as_bytes(), *format)), graph, "{format:?}: {body}");
        // The suffix decides, whatever `Accept` says.
        let (_, of_suffix, same) = knock(&state, &suffixed, &[("Accept", "image/png")]).await;
        assert_eq!((same, of_suffix.get("etag")), (body.clone(), headers.get("etag")));
        // Where it comes from, and since when it is so.
        let links: Vec<&str> = headers.get_all("link").map(|link| link.to_str().unwrap()).collect();
        assert!(links.contains(&format!("<{iri}>; rel=\"cite-as\"").as_str()), "{links:?}");
        let via = format!("<{}/catalog.ttl>; rel=\"via\"", site.base);
        assert!(links.contains(&via.as_str()), "{links:?}");
        assert_eq!(headers.get("last-modified").unwrap(), "Fri, 15 Jan 2027 08:00:00 GMT");
        let tag = headers.get("etag").unwrap().to_str().unwrap();
        for (name, value) in
            [("If-None-Match", tag), ("If-Modified-Since", "Fri, 15 Jan 2027 08:00:00 GMT")]
        {
            let (status, headers, body) = knock(&state, &suffixed, &[(name, value)]).await;
            assert_eq!((status, body.as_str()), (304, ""), "{format:?} {name}");
            assert_eq!(headers.get("etag").unwrap(), tag);
        }
    }
    let (_, _, turtle) = knock(&state, &plain, &[("Accept", "*/*")]).await;
    let prefix = format!("@prefix north: <{}/d/> .", site.base);
    assert!(
        turtle.contains(&prefix) && turtle.contains("\nnorth:a\n    a dcat:Dataset"),
        "{turtle}"
    );
    assert_eq!(knock(&state, &plain, &[("Accept", "image/png")]).await.0, 406);
    assert_eq!(knock(&state, &address(".csv", "north", &iri), &[]).await.0, 404);
}

#[actix_web::test]
async fn a_harvested_document_is_packed_and_asked_for_by_head() {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    let (fresh, site) = (sqlite(), Site::new());
    site.say("/catalog.ttl", "text/turtle", &page(&["a"], ""));
    let source = site.source("north", HarvestKind::Dcat);
    walk(&fresh.store, &source);
    let state = doors(&fresh, std::slice::from_ref(&source));
    let app = actix_web::App::new().app_data(state).configure(vesalius::harvest::routes);
    let app = init_service(app).await;
    let uri = address(".ttl", "north", &format!("{}/d/a", site.base));
    let plain = call_service(&app, TestRequest::get().uri(&uri).to_request()).await;
    let head = TestRequest::with_uri(&uri).method(Method::HEAD).to_request();
    let head = call_service(&app, head).await;
    assert_eq!(head.status(), 200);
    for name in [header::ETAG, header::LAST_MODIFIED, header::CONTENT_TYPE, header::VARY] {
        assert_eq!(head.headers().get(&name), plain.headers().get(&name), "{name}");
        assert!(head.headers().contains_key(&name), "{name}");
    }
    let packed = TestRequest::get().uri(&uri).insert_header(("Accept-Encoding", "gzip"));
    let packed = call_service(&app, packed.to_request()).await;
    assert_eq!(packed.headers().get("content-encoding").unwrap(), "gzip");
    assert_ne!(packed.headers().get("etag"), plain.headers().get("etag"));
    let (packed, plain) = (read_body(packed).await, read_body(plain).await);
    let mut unpacked = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(&packed[..]);
    std::io::Read::read_to_end(&mut reader, &mut unpacked).unwrap();
    assert_eq!(unpacked, plain.to_vec());
    let delete = TestRequest::with_uri(&uri).method(Method::DELETE).to_request();
    assert_eq!(call_service(&app, delete).await.status(), 405);
}

#[actix_web::test]
async fn what_is_walked_anew_is_shown_at_once_and_what_went_is_gone() {
    let (fresh, site) = (sqlite(), Site::new());
    site.say("/catalog.ttl", "text/turtle", &page(&["a", "b"], ""));
    let source = site.source("north", HarvestKind::Dcat);
    let hidden = HarvestSource { public: false, ..site.source("hidden", HarvestKind::Dcat) };
    walk(&fresh.store, &source);
    let (a, b) = (format!("{}/d/a", site.base), format!("{}/d/b", site.base));
    let copy = HarvestedRow { source: "hidden".to_owned(), ..row(&fresh, "north", &a) };
    fresh.store.write(|db| put_harvested(db, &copy)).unwrap();
    let state = doors(&fresh, &[source.clone(), hidden]);
    let (_, before, _) = knock(&state, &address("", "north", &a), &[]).await;
    let more = "<BASE/d/a> dct:x \"changed\" .";
    site.say("/catalog.ttl", "text/turtle", &page(&["a"], more));
    walk(&fresh.store, &source);
    let (_, after, body) = knock(&state, &address("", "north", &a), &[]).await;
    assert!(body.contains("\"changed\""), "{body}");
    assert_ne!(before.get("etag"), after.get("etag"));
    // Missed once it is there, missed twice it is gone.
    assert_eq!(knock(&state, &address("", "north", &b), &[]).await.0, 200);
    walk(&fresh.store, &source);
    assert_eq!(row(&fresh, "north", &b).state, GONE);
    for suffix in ["", ".ttl", ".jsonld"] {
        let (status, headers, body) = knock(&state, &address(suffix, "north", &b), &[]).await;
        assert_eq!(
            (status, headers.get("content-type").unwrap()),
            (410, &header::HeaderValue::from_static("application/problem+json")),
            "{body}"
        );
    }
    for (path, expected) in [
        (address("", "hidden", &a), 404),
        (address("", "nobody", &a), 404),
        (address("", "north", "urn:none"), 404),
        (address("", "north", "\0"), 404),
        ("/harvested/dataset?source=north".to_owned(), 400),
        ("/harvested/dataset.nt".to_owned(), 400),
        (format!("{}&source=south", address("", "north", &a)), 400),
        (address("", "north", &format!("{}/{}", site.base, "x".repeat(5_000))), 414),
    ] {
        assert_eq!(knock(&state, &path, &[]).await.0, expected, "{path}");
    }
}

/// Statements that a writer of one form or another may stumble over.
const AWKWARD: &[&str] = &[
    // IRIs that look like prefixed names of ours, and a source's.
    "<BASE/d/a> dct:relation <dcat:Dataset>, <north:a>, <rdf:nil>, <urn:x:y> ; a <dct:title> .",
    "<BASE/d/a> <dct:title> <skos:x> ; <north:x> \"1\"^^<xsd:integer> .",
    // Letters of every kind.
    "<BASE/d/a> dct:source <BASE/d/%C4%8D?x=1&y='2'#(z)>, <BASE/d/ž/𐍈>, <BASE/d/&amp;> .",
    "<BASE/d/a> <BASE/p/τίτλος> \"Ελληνικά\"@el, \"x\"@x-private, \"y\"@de-Latn-CH-1996 .",
    "<BASE/d/a> <BASE/p/a-1.b_2> \"<&>]]>\\\"'\", \"a\\r\\nb\\tc\\r\", \"\\u202E\\uFEFF\\U0001F9EA\" .",
    "<BASE/d/a> dct:title \"  \"@cs, \"\"@de, \"same\"@fr, \"same\"@fr-BE, \"same\" .",
    // Values that do not fit their type, and types of others.
    "<BASE/d/a> dcat:byteSize \"NaN\"^^<http://www.w3.org/2001/XMLSchema#decimal>, true, 1e400, 007 .",
    "<BASE/d/a> dct:issued \"yesterday\"^^<http://www.w3.org/2001/XMLSchema#dateTime>, <BASE/d/t> .",
    "<BASE/d/a> dct:y \"{}\"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>, \"<b>\"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#XMLLiteral>, \"<b>\"^^<BASE/type> .",
    // Blank nodes: alike, in a list, in one another, as a class.
    "<BASE/d/a> dct:x [ dct:y 1 ], [ dct:y 1 ], [ dct:y [ dct:y [ a [ dct:y 2 ] ] ] ], (1 (2 <BASE/d/a>) ()) .",
    // Classes and predicates of names that are no names of XML, or of its own.
    "<BASE/d/a> a <BASE/c/>, <BASE/c/1>, <http://www.w3.org/1999/02/22-rdf-syntax-ns#li>, <http://www.w3.org/1999/02/22-rdf-syntax-ns#bagID> .",
    "<BASE/d/a> <http://www.w3.org/XML/1998/namespacelang> \"en\" ; <http://www.w3.org/1999/02/22-rdf-syntax-ns#_1> 2 .",
];

/// Statements that RDF/XML cannot say.
const NOT_IN_XML: &[&str] = &[
    "<BASE/d/a> <BASE/p/1> 2 .",
    "<BASE/d/a> <BASE/p/> 2 .",
    "<BASE/d/a> <http://www.w3.org/1999/02/22-rdf-syntax-ns#li> 2 .",
    "<BASE/d/a> <http://www.w3.org/1999/02/22-rdf-syntax-ns#bagID> 2 .",
    "<BASE/d/a> <http://www.w3.org/2000/xmlns/x> 2 .",
    "<BASE/d/a> dct:y \"\\u0001\" .",
    "<BASE/d/a> dct:y \"\\u0000\\uFFFE\" .",
    "<BASE/d/a> dct:y [ a <BASE/c/> ] .",
];

#[actix_web::test]
async fn no_content_of_others_breaks_a_writer() {
    let (fresh, site) = (sqlite(), Site::new());
    let source = site.source("north", HarvestKind::Dcat);
    let huge = format!("<BASE/d/a> dct:y \"{}\" .", "ž\\\"".repeat(150_000));
    let awkward = AWKWARD.iter().map(|more| ((*more).to_owned(), true));
    let not_in_xml = NOT_IN_XML.iter().map(|more| ((*more).to_owned(), false));
    let all = AWKWARD.join("\n");
    let mut count = 0;
    for (more, is_xml) in awkward.chain(not_in_xml).chain([(all, true), (huge, true)]) {
        count += 1;
        let text = page(&["a"], &more);
        site.say("/catalog.ttl", "text/turtle", &text);
        let summary = walk(&fresh.store, &source);
        assert_eq!((summary.seen, summary.refused), (1, 0), "{more}: {summary:?}");
        assert!(count == 1 || summary.changed == 1, "{more}");
        let state = doors(&fresh, std::slice::from_ref(&source));
        let iri = format!("{}/d/a", site.base);
        let kept = row(&fresh, "north", &iri);
        let graph = parse(&kept.document).unwrap();
        let lines = canonical(&graph);
        for format in Format::ALL {
            let uri = address(&format!(".{}", format.suffix()), "north", &iri);
            let (status, _, body) = knock(&state, &uri, &[]).await;
            let short: String = more.chars().take(200).collect();
            if *format == Format::RdfXml && !is_xml {
                assert_eq!(status, 406, "{short}: {body}");
                assert!(body.contains("cannot be written as RDF/XML"), "{body}");
                continue;
            }
            assert_eq!(status, 200, "{format:?} {short}: {body}");
            assert!(
                canonical(&read(body.as_bytes(), *format)) == lines,
                "{format:?} {short}: {}",
                body.chars().take(3_000).collect::<String>()
            );
            let is_bare = *format != Format::RdfXml || !body.contains('\r');
            assert!(is_bare, "a reader of XML would lose it");
        }
    }
    assert_eq!(count, AWKWARD.len() + NOT_IN_XML.len() + 2);
}

#[actix_web::test]
async fn names_of_sources_are_never_mistaken() {
    let (fresh, site) = (sqlite(), Site::new());
    let iri = format!("{}/d/a", site.base);
    for name in ["dcat", "title", "urn", "http", "xmlns", "7-lakes", "rdf", "a-1", "its", "id"] {
        site.say("/catalog.ttl", "text/turtle", &page(&["a"], "<BASE/d/a> <BASE/d/p> <urn:x:y> ."));
        let source = site.source(name, HarvestKind::Dcat);
        walk(&fresh.store, &source);
        let state = doors(&fresh, std::slice::from_ref(&source));
        let mut kept = row(&fresh, name, &iri);
        // All of them have the same dataset.
        kept.state = "current".to_owned();
        fresh.store.write(|db| put_harvested(db, &kept)).unwrap();
        let lines = canonical(&parse(&kept.document).unwrap());
        for format in Format::ALL {
            let uri = address(&format!(".{}", format.suffix()), name, &iri);
            let (status, _, body) = knock(&state, &uri, &[]).await;
            assert_eq!(status, 200, "{name} {format:?}: {body}");
            assert_eq!(canonical(&read(body.as_bytes(), *format)), lines, "{name}: {body}");
        }
    }
}
