//! The doors out, as harvesters knock on them.

use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpResponse, web};
use jiff::ToSpan as _;
use vesalius::catalogue::{MemoryShelf, Shelf as _};
use vesalius::harvest::{State, routes};

use super::{config, now, publish, published, release};

fn state(shelf: Arc<MemoryShelf>) -> web::Data<State> {
    let mut config = config();
    config.catalogue.page_size = 2;
    config.sparql.seconds = 2;
    config.sparql.memory_mib = 512;
    config.sparql.rows = 1_000;
    let program = env!("CARGO_BIN_EXE_vesalius").into();
    let state = State::new(Arc::new(config), Arc::new(release()), shelf, program, now);
    let page = Arc::new(|_, topic| {
        Box::pin(
            async move { HttpResponse::Ok().content_type("text/html").body(format!("{topic:?}")) },
        ) as futures_util::future::LocalBoxFuture<'static, HttpResponse>
    });
    web::Data::new(state.with_page(page))
}

macro_rules! doors {
    ($shelf:expr) => {
        init_service(App::new().app_data(state($shelf)).configure(routes)).await
    };
}

macro_rules! get {
    ($app:expr, $uri:expr $(, $name:expr => $value:expr)*) => {{
        let request = TestRequest::get().uri($uri)$(.insert_header(($name, $value)))*.to_request();
        call_service(&$app, request).await
    }};
}

macro_rules! header {
    ($response:expr, $name:expr) => {
        $response
            .headers()
            .get($name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
}

#[actix_web::test]
async fn a_document_comes_in_the_form_that_is_asked_for() {
    let app = doors!(Arc::new(published(&config())));
    for path in ["/dataset/lung-ldct", "/catalog", "/record/lung-ldct"] {
        for (accept, kind) in [
            ("*/*", "text/turtle"),
            ("text/turtle", "text/turtle"),
            ("application/ld+json", "application/ld+json"),
            ("application/rdf+xml", "application/rdf+xml"),
            ("application/n-triples", "application/n-triples"),
            ("application/n-quads", "application/n-quads"),
        ] {
            let response = get!(app, path, "Accept" => accept);
            assert_eq!(response.status(), StatusCode::OK, "{path} {accept}");
            assert!(header!(response, "Content-Type").starts_with(kind), "{path} {accept}");
            assert_eq!(header!(response, "Vary"), "Accept, Accept-Encoding");
        }
        for (suffix, kind) in [
            ("ttl", "text/turtle"),
            ("jsonld", "application/ld+json"),
            ("rdf", "application/rdf+xml"),
            ("nt", "application/n-triples"),
            ("nq", "application/n-quads"),
        ] {
            // The suffix decides, whatever Accept says: harvesters send anything.
            let response = get!(app, &format!("{path}.{suffix}"), "Accept" => "image/png");
            assert_eq!(response.status(), StatusCode::OK, "{path}.{suffix}");
            assert!(header!(response, "Content-Type").starts_with(kind));
        }
        let response = get!(app, path, "Accept" => "image/png");
        assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
        assert_eq!(header!(response, "Content-Type"), "application/problem+json");
        assert_eq!(get!(app, &format!("{path}.csv")).status(), StatusCode::NOT_FOUND);
    }
    let page = get!(app, "/dataset/lung-ldct", "Accept" => "text/html,*/*;q=0.8");
    assert_eq!(read_body(page).await, "Dataset(\"lung-ldct\")");
    assert_eq!(read_body(get!(app, "/catalog.html")).await, "Catalogue");
}

#[actix_web::test]
async fn what_a_reader_has_is_not_sent_again() {
    let shelf = Arc::new(published(&config()));
    let app = doors!(shelf.clone());
    for path in [
        "/dataset/lung-ldct",
        "/catalog.ttl?page=2",
        "/dataset/lung-ldct/analytics.csv",
        "/dataset/lung-ldct.html",
        "/catalog.html",
    ] {
        let first = get!(app, path);
        let (tag, date) = (header!(first, "ETag"), header!(first, "Last-Modified"));
        assert!(tag.starts_with('"') && tag.len() > 30, "strong: {tag}");
        assert_eq!(date, "Sat, 21 Nov 2026 12:00:00 GMT");
        for (name, value, status) in [
            ("If-None-Match", tag.clone(), StatusCode::NOT_MODIFIED),
            ("If-None-Match", format!("\"x\", W/{tag}"), StatusCode::NOT_MODIFIED),
            ("If-None-Match", "*".to_owned(), StatusCode::NOT_MODIFIED),
            ("If-None-Match", "\"other\"".to_owned(), StatusCode::OK),
            ("If-Modified-Since", date.clone(), StatusCode::NOT_MODIFIED),
            ("If-Modified-Since", "Sat, 21 Nov 2026 11:59:59 GMT".to_owned(), StatusCode::OK),
            ("If-Modified-Since", "yesterday".to_owned(), StatusCode::OK),
        ] {
            let response = get!(app, path, name => value.clone());
            assert_eq!(response.status(), status, "{path} {name}: {value}");
            assert_eq!(header!(response, "ETag"), tag);
            let body = read_body(response).await;
            assert_eq!(body.is_empty(), status == StatusCode::NOT_MODIFIED);
        }
        if path.ends_with(".html") {
            continue;
        }
        let packed = get!(app, path, "Accept-Encoding" => "gzip");
        assert_eq!(header!(packed, "Content-Encoding"), "gzip");
        assert_ne!(header!(packed, "ETag"), tag, "other bytes, other tag");
        let mut plain = Vec::new();
        let packed = read_body(packed).await;
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain)
            .unwrap();
        assert_eq!(plain, read_body(get!(app, path)).await.to_vec());
    }
    // A change of words changes the tag.
    let tag = header!(get!(app, "/dataset/lung-ldct"), "ETag");
    let samples = vesalius::catalogue::samples();
    let text = samples[1].1.replace("low-dose CT\"\n", "low-dose CT (new)\"\n");
    assert_ne!(text, samples[1].1);
    let later = "2026-11-22T00:00:00Z".parse().unwrap();
    publish(&config(), &shelf, "lung-ldct.toml", &text, later);
    let response = get!(app, "/dataset/lung-ldct", "If-None-Match" => tag.clone());
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header!(response, "Last-Modified"), "Sun, 22 Nov 2026 00:00:00 GMT");
}

#[actix_web::test]
async fn strangers_and_the_withdrawn_are_told_so() {
    let shelf = Arc::new(published(&config()));
    publish(&config(), &shelf, "draft.toml", "title = 1", now());
    let (slug, text) = vesalius::catalogue::samples().swap_remove(0);
    publish(
        &config(),
        &shelf,
        &format!("{slug}.toml"),
        &format!("withdrawn = true\n{text}"),
        now(),
    );
    let app = doors!(shelf);
    for path in [
        "/dataset/unknown",
        "/dataset/draft",
        "/dataset/..%2f..%2fetc",
        "/dataset/%00",
        "/record/draft",
        "/dataset/lung-ldct/distribution/99",
        "/dataset/lung-ldct/distribution/x%22%3E",
        "/agent/nobody",
        "/series/none",
        "/service/none",
        "/catalog.exe",
        "/catalog.ttl?page=99",
    ] {
        let response = get!(app, path);
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header!(response, "Content-Type"), "application/problem+json", "{path}");
    }
    for path in ["/catalog.ttl?page=0", "/catalog.ttl?page=-1", "/catalog.ttl?page=x"] {
        assert_eq!(get!(app, path).status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let gone = get!(app, "/dataset/breast-screening", "If-None-Match" => "*");
    assert_eq!(gone.status(), StatusCode::GONE);
    assert!(header!(gone, "Content-Type").starts_with("text/turtle"));
    let body = String::from_utf8(read_body(gone).await.to_vec()).unwrap();
    assert!(
        body.contains("dataset-status/WITHDRAWN") && body.contains("Breast screening"),
        "{body}"
    );
    assert_eq!(get!(app, "/record/breast-screening").status(), StatusCode::OK);
    let listing = read_body(get!(app, "/catalog")).await;
    assert!(!String::from_utf8_lossy(&listing).contains("breast-screening"));
    let request = TestRequest::with_uri("/dataset/lung-ldct").method(Method::DELETE).to_request();
    assert_eq!(call_service(&app, request).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[actix_web::test]
async fn a_page_of_another_origin_may_read_what_is_wrong_and_ask_what_it_may() {
    let app = doors!(Arc::new(published(&config())));
    for (path, accept, status) in [
        ("/dataset/lung-ldct", "text/turtle", 200),
        ("/dataset/unknown", "text/turtle", 404),
        ("/dataset/lung-ldct", "image/png", 406),
        ("/catalog?page=x", "text/turtle", 400),
        ("/catalog?snapshot=none", "text/turtle", 410),
        ("/changes?since=x", "text/turtle", 400),
        ("/oai?verb=x", "text/xml", 200),
        ("/sparql?query=nonsense", "*/*", 400),
        ("/sparql?query=ASK%7B%7D", "image/png", 406),
    ] {
        let response = get!(app, path, "Accept" => accept);
        assert_eq!(response.status().as_u16(), status, "{path} {accept}");
        let origins: Vec<_> = response.headers().get_all("Access-Control-Allow-Origin").collect();
        assert_eq!(origins, ["*"], "{path} {accept}");
        if status == 406 {
            assert!(header!(response, "Vary").contains("Accept"), "{path}");
        }
    }
    for (path, allowed) in [
        ("/dataset/lung-ldct", "GET, HEAD, OPTIONS"),
        ("/fdp/dataset/", "GET, HEAD, OPTIONS"),
        ("/fdp/catalog/", "GET, HEAD, OPTIONS"),
        ("/oai", "GET, HEAD, POST, OPTIONS"),
        ("/sparql", "GET, HEAD, POST, OPTIONS"),
    ] {
        let request = TestRequest::with_uri(path).method(Method::OPTIONS).to_request();
        let response = call_service(&app, request).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
        assert_eq!(header!(response, "Allow"), allowed, "{path}");
        assert_eq!(header!(response, "Access-Control-Allow-Methods"), allowed, "{path}");
        let request = TestRequest::with_uri(path).method(Method::DELETE).to_request();
        let response = call_service(&app, request).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(header!(response, "Allow"), allowed, "{path}");
    }
}

#[actix_web::test]
async fn a_series_that_lost_its_last_dataset_is_gone_and_was_not_unknown() {
    let shelf = Arc::new(published(&config()));
    let samples = vesalius::catalogue::samples();
    let (_, text) = samples.iter().find(|(slug, _)| *slug == "lung-ldct").unwrap();
    let series = "[series]\nid = \"rounds\"\ntitle.en = \"Rounds\"\ndescription.en = \"Rounds (synthetic).\"\n";
    let of = |slug: &str, text: &str, hours: i64| {
        publish(&config(), &shelf, &format!("{slug}.toml"), text, now() + hours.hours());
    };
    let member = format!("{text}\n{series}");
    of("round-1", &member, 0);
    of("round-2", &member, 0);
    let app = doors!(shelf.clone());
    let read = async || {
        let response = get!(app, "/series/rounds", "Accept" => "text/turtle");
        let status = response.status().as_u16();
        (status, String::from_utf8(read_body(response).await.to_vec()).unwrap())
    };
    let (status, body) = read().await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("round-1>") && body.contains("2026-11-21T12:00:00Z"), "{body}");
    // It changed when a member went.
    of("round-1", &format!("withdrawn = true\n{member}"), 1);
    for _ in 0..2 {
        let (status, body) = read().await;
        assert_eq!(status, 200, "{body}");
        assert!(!body.contains("round-1>") && body.contains("round-2>"), "{body}");
        assert!(body.contains("dct:modified \"2026-11-21T13:00:00Z\""), "{body}");
    }
    // The withdrawn description need not name it.
    of("round-2", &format!("withdrawn = true\n{text}"), 2);
    for _ in 0..2 {
        let (status, body) = read().await;
        assert_eq!(status, 410, "{body}");
        assert!(body.contains("Rounds") && body.contains("WITHDRAWN"), "{body}");
        assert!(!body.contains("a dcat:DatasetSeries"), "nobody imports it: {body}");
        assert!(body.contains("2026-11-21T14:00:00Z"), "{body}");
    }
    of("round-3", &member, 3);
    assert_eq!(read().await.0, 200);
    assert_eq!(get!(app, "/series/other").status(), StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn every_iri_of_ours_in_a_document_answers() {
    let shelf = Arc::new(published(&config()));
    let app = doors!(shelf.clone());
    let mut seen = std::collections::BTreeSet::new();
    for entry in shelf.published(0, 10).unwrap() {
        for triple in &vesalius::catalogue::parse(&entry.document).unwrap() {
            for term in [triple.subject.to_string(), triple.object.to_string()] {
                let iri = term.trim_matches(['<', '>']);
                if let Some(path) = iri.strip_prefix("https://node.example.org") {
                    seen.insert(path.split('#').next().unwrap().to_owned());
                }
            }
        }
    }
    // The facade is not part of these doors.
    seen.retain(|path| !path.starts_with("/fhir"));
    assert!(seen.len() > 12, "{seen:?}");
    for path in seen {
        let response = get!(app, &path);
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let is_rdf = header!(response, "Content-Type").starts_with("text/turtle");
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        if is_rdf {
            // GDI's crawler merges triples whose subject is exactly the address.
            assert!(
                body.contains(&format!("<https://node.example.org{path}>\n    a ")),
                "{path}: {body}"
            );
        }
    }
}

#[actix_web::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let data = state(Arc::new(published(&config())));
    let server =
        actix_web::HttpServer::new(move || App::new().app_data(data.clone()).configure(routes))
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);
    let client = reqwest::Client::new();
    for path in ["/dataset/lung-ldct", "/catalog.ttl", "/dataset/lung-ldct/analytics.csv"] {
        let url = format!("http://{address}{path}");
        let get = client.get(&url).send().await.unwrap();
        let head = client.head(&url).send().await.unwrap();
        assert_eq!(head.status(), 200);
        for name in ["content-length", "content-type", "etag", "last-modified", "vary"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{path} {name}");
            assert!(head.headers().contains_key(name), "{path} {name}");
        }
        assert!(head.bytes().await.unwrap().is_empty());
        assert!(!get.bytes().await.unwrap().is_empty());
    }
    handle.stop(false).await;
}

#[actix_web::test]
async fn queries_are_answered_in_every_form() {
    let app = doors!(Arc::new(published(&config())));
    let ask = |query: &str| format!("/sparql?query={}", encode(query));
    let select = "PREFIX dcat: <http://www.w3.org/ns/dcat#> PREFIX h: <http://healthdataportal.eu/ns/health#> \
                  SELECT ?d ?n { ?d a dcat:Dataset ; h:numberOfRecords ?n } ORDER BY ?d";
    for (accept, kind) in [
        ("*/*", "application/sparql-results+json"),
        ("application/sparql-results+xml", "application/sparql-results+xml"),
        ("text/csv", "text/csv"),
        ("text/tab-separated-values", "text/tab-separated-values"),
    ] {
        let response = get!(app, &ask(select), "Accept" => accept);
        assert_eq!(response.status(), StatusCode::OK, "{accept}");
        assert!(header!(response, "Content-Type").starts_with(kind), "{accept}");
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        assert_eq!(body.matches("https://node.example.org/dataset/").count(), 3, "{body}");
    }
    for (accept, kind) in [
        ("*/*", "text/turtle"),
        ("application/ld+json", "application/ld+json"),
        ("application/rdf+xml", "application/rdf+xml"),
        ("application/n-triples", "application/n-triples"),
        ("application/n-quads", "application/n-quads"),
    ] {
        let response = get!(app, &ask("DESCRIBE <https://node.example.org/dataset/lung-ldct>"), "Accept" => accept);
        assert_eq!(response.status(), StatusCode::OK, "{accept}");
        assert!(header!(response, "Content-Type").starts_with(kind), "{accept}");
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        // A store would have made an xsd:integer of it.
        assert!(body.contains("nonNegativeInteger") || accept.contains("ld+json"), "{body}");
    }
    for (kind, body) in [
        ("application/sparql-query", "ASK { ?s ?p ?o }".to_owned()),
        ("application/x-www-form-urlencoded", format!("query={}", encode("ASK { ?s ?p ?o }"))),
    ] {
        let request = TestRequest::post()
            .uri("/sparql")
            .insert_header(("Content-Type", kind))
            .set_payload(body);
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(read_body(response).await, "{\"head\":{},\"boolean\":true}");
    }
    let graph = "SELECT (COUNT(DISTINCT ?g) AS ?n) { GRAPH ?g { ?s ?p ?o } }";
    let body = read_body(get!(app, &ask(graph), "Accept" => "text/csv")).await;
    // Three datasets with their labels, a series, the catalogue.
    assert_eq!(body, "n\r\n8\r\n");
    let labels = "PREFIX dqv: <http://www.w3.org/ns/dqv#> PREFIX dcat: <http://www.w3.org/ns/dcat#> \
                  SELECT (COUNT(DISTINCT ?d) AS ?n) { ?c a dcat:Catalog ; dcat:dataset ?d . \
                  ?s a dcat:DatasetSeries . ?m dqv:computedOn ?d ; dqv:value ?v }";
    let body = read_body(get!(app, &ask(labels), "Accept" => "text/csv")).await;
    assert_eq!(body, "n\r\n3\r\n");
    let many = get!(app, &ask("SELECT * { ?a ?b ?c . ?d ?e ?f }"));
    assert_eq!(header!(many, "X-Result-Truncated"), "true");
    for file in ["datasets.rq", "by-modality.rq", "access-bodies.rq"] {
        let query = release().text(&format!("queries/{file}")).unwrap();
        let response = get!(app, &ask(&query), "Accept" => "text/csv");
        assert_eq!(response.status(), StatusCode::OK, "{file}");
        let rows = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        assert!(rows.lines().count() > 1, "{file}: {rows}");
    }
    for wrong in [
        "/sparql?q=x",
        "/sparql?query=%FF",
        "/sparql?query=ASK%7B%7D&query=ASK%7B%7D",
        "/sparql?query=ASK%7B%7D&default-graph-uri=x",
        "/sparql?update=x",
    ] {
        assert_eq!(get!(app, wrong).status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    let response = get!(app, &ask("ASK {}"), "Accept" => "text/turtle");
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
}

/// As browsers ask.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[actix_web::test]
async fn people_get_the_answer_of_a_query_as_a_page() {
    let app = doors!(Arc::new(published(&config())));
    for (query, expected) in [
        ("ASK {}", "Ok(Answer { media_type: \"application/sparql-results+json\""),
        (
            "SELECT * { ?s a ?o } LIMIT 1",
            "Ok(Answer { media_type: \"application/sparql-results+json\"",
        ),
        ("CONSTRUCT WHERE { ?s a ?o }", "Ok(Answer { media_type: \"text/turtle\""),
        ("SELECT nothing", "Err(Refused(\""),
        (" # nothing\n", "Err(Refused(\"the query is empty"),
    ] {
        let response = get!(app, &format!("/sparql?query={}", encode(query)), "Accept" => BROWSER);
        assert_eq!(response.status(), StatusCode::OK, "{query}");
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        assert!(body.starts_with(&format!("Sparql(Some(({query:?}, {expected}")), "{body}");
    }
    // Programs that also take pages get what they can read.
    let response = get!(app, "/sparql?query=ASK%7B%7D", "Accept" => "text/html, application/sparql-results+json");
    assert_eq!(header!(response, "Content-Type"), "application/sparql-results+json; charset=utf-8");
}

#[actix_web::test]
async fn a_data_set_by_parameter_stands_above_that_of_the_query() {
    let app = doors!(Arc::new(published(&config())));
    let lung = "https://node.example.org/dataset/lung-ldct";
    let breast = "https://node.example.org/dataset/breast-screening";
    let count = "SELECT (COUNT(DISTINCT ?d) AS ?n) { ?d a <http://www.w3.org/ns/dcat#Dataset> }";
    let named = "SELECT (COUNT(DISTINCT ?g) AS ?n) { GRAPH ?g { ?s ?p ?o } }";
    let from = format!(
        "{} FROM <{breast}> {{ ?d a <http://www.w3.org/ns/dcat#Dataset> }}",
        count.split('{').next().unwrap()
    );
    let agents = "SELECT (COUNT(*) AS ?n) { ?a a <http://xmlns.com/foaf/0.1/Agent> ; \
                  <http://xmlns.com/foaf/0.1/name> ?name }";
    let merged = agents.replace(" {", &format!(" FROM <{lung}> FROM <{breast}> {{"));
    // As many rows as there are different triples.
    let whole = "SELECT ((COUNT(*) - ?m) AS ?n) { { SELECT (COUNT(*) AS ?m) { SELECT DISTINCT * { ?s ?p ?o } } } \
                 ?s ?p ?o } GROUP BY ?m".to_owned();
    for (query, graphs, expected) in [
        (count, vec![], 3),
        (count, vec![("default-graph-uri", lung)], 1),
        (count, vec![("default-graph-uri", lung), ("default-graph-uri", breast)], 2),
        (count, vec![("default-graph-uri", "https://example.org/unknown")], 0),
        (count, vec![("named-graph-uri", lung)], 0),
        (named, vec![("named-graph-uri", lung)], 1),
        (named, vec![("default-graph-uri", lung)], 0),
        (&from, vec![], 1),
        (&from, vec![("default-graph-uri", "https://example.org/unknown")], 0),
        // What documents share is said once (SPARQL 1.1 Query section 13.2): an RDF merge.
        (agents, vec![], 2),
        (agents, vec![("default-graph-uri", lung), ("default-graph-uri", breast)], 2),
        (&merged, vec![], 2),
        (&whole, vec![], 0),
    ] {
        let graphs: String =
            graphs.iter().map(|(name, iri)| format!("&{name}={}", encode(iri))).collect();
        let expected = format!("n\r\n{expected}\r\n");
        let address = format!("/sparql?query={}{graphs}", encode(query));
        let body = read_body(get!(app, &address, "Accept" => "text/csv")).await;
        assert_eq!(body, expected, "{query} {graphs}");
        for (kind, address, body) in [
            ("application/sparql-query", format!("/sparql?{graphs}"), query.to_owned()),
            (
                "application/x-www-form-urlencoded",
                "/sparql".to_owned(),
                format!("query={}{graphs}", encode(query)),
            ),
        ] {
            let request = TestRequest::post()
                .uri(&address)
                .insert_header(("Content-Type", kind))
                .insert_header(("Accept", "text/csv"))
                .set_payload(body);
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(read_body(response).await, expected, "{kind} {query} {graphs}");
        }
    }
}

#[actix_web::test]
async fn who_asks_nothing_is_told_what_the_endpoint_is() {
    let app = doors!(Arc::new(published(&config())));
    let response = get!(app, "/sparql");
    assert_eq!(response.status(), StatusCode::OK);
    assert!(header!(response, "Content-Type").starts_with("text/turtle"));
    let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
    for part in ["a sd:Service", "sd:SPARQL11Query", "formats:SPARQL_Results_TSV", "sd:endpoint"] {
        assert!(body.contains(part), "{part}: {body}");
    }
    let page = get!(app, "/sparql", "Accept" => "text/html,*/*;q=0.8");
    assert_eq!(read_body(page).await, "Sparql(None)");
    let request = TestRequest::with_uri("/sparql").method(Method::OPTIONS).to_request();
    let response = call_service(&app, request).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(header!(response, "Access-Control-Allow-Origin"), "*");
}

#[actix_web::test]
async fn thirty_hostile_queries_leave_the_server_alive() {
    let app = doors!(Arc::new(published(&config())));
    let ask = |query: &str| format!("/sparql?query={}", encode(query));
    let deep = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let cross = "?a0 ?b0 ?c0 . ?a1 ?b1 ?c1 . ?a2 ?b2 ?c2 . ?a3 ?b3 ?c3 . ?a4 ?b4 ?c4 .";
    let hostile: Vec<String> = vec![
        format!("SELECT * {{ FILTER({}) }}", deep("(", "1", ")", 3_000)),
        format!("SELECT * {}", deep("{", "", "}", 4_000)),
        format!("SELECT * {{ ?s ?p {} }}", deep("[ ?p ", "1", "]", 1_500)),
        format!("SELECT * {{ ?s {} ?o }}", deep("(", "<a:b>", ")", 3_000)),
        format!("SELECT * {{ ?s {} ?o }}", deep("(", "<a:b>", ")*", 3_000)),
        format!("SELECT * {{ {} ?p ?o }}", deep("<< ", "?s ?p ?o", " >>", 1_000)),
        format!("ASK {{ FILTER({}true) }}", "!".repeat(15_000)),
        format!("ASK {{ FILTER({}1 > 0) }}", "-".repeat(15_000)),
        format!("ASK {{ FILTER({}1 > 0) }}", "- ".repeat(7_000)),
        format!("ASK {{ ?s {}<a:b> ?o }}", "^".repeat(9_000)),
        format!("SELECT * {{ {cross} }} ORDER BY ?c4 ?c3"),
        format!("SELECT (COUNT(*) AS ?n) {{ {cross} }}"),
        format!("SELECT DISTINCT ?a0 ?a4 {{ {cross} }}"),
        format!("SELECT (GROUP_CONCAT(?c0) AS ?n) {{ {cross} }}"),
        format!("SELECT * {{ {cross} FILTER(CONCAT(STR(?a0),STR(?a1)) = \"x\") }}"),
        format!("ASK {{ FILTER(1{} > 0) }}", "+1".repeat(7_000)),
        format!("ASK {{ FILTER(true{}) }}", "||true".repeat(2_000)),
        format!("ASK {{ ?s <a:b>{} ?o }}", "/<a:b>".repeat(2_000)),
        format!("ASK {{ ?s <a:b>{} ?o }}", "|<a:b>".repeat(2_000)),
        format!("ASK {{ {{}} {} }}", "UNION {}".repeat(1_500)),
        format!("ASK {{ {} }}", "OPTIONAL{}".repeat(1_500)),
        format!("ASK {{ {} }}", "MINUS{}".repeat(2_000)),
        format!(
            "SELECT * {{ {} }}",
            (0..900).map(|n| format!("BIND({n} AS ?v{n})")).collect::<String>()
        ),
        "SELECT * { ?s (<a:b>|!<a:b>)* ?o . ?o (<a:b>|!<a:b>)* ?z . ?z (<a:b>|!<a:b>)* ?y }"
            .to_owned(),
        "SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }".to_owned(),
        "SELECT * FROM <http://127.0.0.1:1/> { ?s ?p ?o }".to_owned(),
        "LOAD <http://127.0.0.1:1/>".to_owned(),
        "DROP ALL".to_owned(),
        "INSERT DATA { <a:b> <a:b> <a:b> }".to_owned(),
        "SELECT (REPLACE(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"(a*)*b\", \"x\") AS ?x) {}"
            .to_owned(),
        format!("SELECT (REGEX(\"a\", \"{}\") AS ?x) {{}}", "(a{1000}){1000}".repeat(3)),
        "SELECT * { VALUES ?x { \"".to_owned(),
        "\u{0}\u{1}\u{feff}SELECT".to_owned(),
        String::new(),
        "x".repeat(20_000),
        format!(
            "SELECT ?x {{ {} }}",
            "BIND(STRDT(\"1\", <http://www.w3.org/2001/XMLSchema#integer>) + 1 AS ?y) ".repeat(50)
        ),
        "CONSTRUCT { ?a ?b ?c . ?d ?e ?f } { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
            .to_owned(),
    ];
    assert!(hostile.len() >= 30);
    let mut statuses = std::collections::BTreeMap::new();
    for query in &hostile {
        let start = std::time::Instant::now();
        let response = get!(app, &ask(query));
        let status = response.status().as_u16();
        *statuses.entry(status).or_insert(0) += 1;
        let shown: String = query.chars().take(60).collect();
        assert!([200, 400, 503].contains(&status), "{status}: {shown}");
        if status != 200 {
            assert_eq!(header!(response, "Content-Type"), "application/problem+json", "{shown}");
        }
        // A hang, not a slow machine.
        assert!(start.elapsed().as_secs() < 60, "{:?}: {shown}", start.elapsed());
        // The next reader is served; on a slow machine after the time of a query or two, because
        // a worker that was ended is started anew.
        let mut alive = get!(app, &ask("ASK { ?s ?p ?o }")).status();
        for _ in 0..20 {
            if alive == StatusCode::OK {
                break;
            }
            assert_eq!(alive, StatusCode::SERVICE_UNAVAILABLE, "after {shown}");
            alive = get!(app, &ask("ASK { ?s ?p ?o }")).status();
        }
        assert_eq!(alive, StatusCode::OK, "after {shown}");
    }
    println!("{} hostile queries: {statuses:?}", hostile.len());
    let large = TestRequest::post()
        .uri("/sparql")
        .insert_header(("Content-Type", "application/sparql-query"))
        .set_payload(vec![b' '; 1 << 20]);
    assert_eq!(
        call_service(&app, large.to_request()).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[actix_web::test]
async fn a_crowd_of_queries_waits_in_line_and_the_rest_is_turned_away_at_once() {
    let app = doors!(Arc::new(published(&config())));
    let slow = format!("/sparql?query={}", encode(SLOW));
    let start = std::time::Instant::now();
    let crowd = (0..40).map(|_| async {
        let response = call_service(&app, TestRequest::get().uri(&slow).to_request()).await;
        (response.status(), header!(response, "Retry-After"), start.elapsed())
    });
    let answers = futures_util::future::join_all(crowd).await;
    assert!(answers.iter().all(|(status, retry, _)| *status == 503 && !retry.is_empty()));
    let at_once = answers.iter().filter(|(_, _, after)| after.as_millis() < 1_900).count();
    assert_eq!(at_once, 40 - 18, "{answers:?}");
    // The line is free again, also of those whose reader went away.
    let alive = get!(app, &format!("/sparql?query={}", encode("ASK { ?s ?p ?o }")));
    assert_eq!(alive.status(), StatusCode::OK);
}

/// A query that does not end in a lifetime.
const SLOW: &str =
    "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n2 ?o }";

/// A worker that is at work on [`SLOW`], over a hundred triples.
fn busy_worker(seconds: &str) -> std::process::Child {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};
    let mut worker = Command::new(env!("CARGO_BIN_EXE_vesalius"))
        .args(["sparql-worker", "512", seconds])
        .env("MIMALLOC_ARENA_RESERVE", "16MiB")
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let quads: String =
        (0..100).map(|n| format!("<urn:s{n}> <urn:p> \"{n}\" <urn:g> .\n")).collect();
    let ask = serde_json::json!({ "text": SLOW, "results": "json", "graph": null, "rows": 10 });
    let mut send = |bytes: &[u8]| {
        let input = worker.stdin.as_mut().unwrap();
        input.write_all(&(bytes.len() as u64).to_le_bytes()).unwrap();
        input.write_all(bytes).unwrap();
    };
    send(quads.as_bytes());
    send(ask.to_string().as_bytes());
    let mut ready = [0; 13];
    worker.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready[8..], b"ready");
    worker
}

/// Seconds until the worker ends; ends it after a minute.
fn seconds_of(mut worker: std::process::Child) -> u64 {
    let start = std::time::Instant::now();
    while start.elapsed().as_secs() < 60 && worker.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let _ = worker.kill();
    let _ = worker.wait();
    start.elapsed().as_secs()
}

#[test]
fn a_query_worker_ends_with_its_server() {
    let mut worker = busy_worker("60");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(worker.try_wait().unwrap().is_none(), "it is not at work");
    // What the kernel does with the server's end when the server is killed.
    drop(worker.stdin.take());
    // Its query would take a minute: a slow machine ends it later, but long before that.
    assert!(seconds_of(worker) < 40, "it outlives its server");
}

#[test]
fn a_query_worker_ends_when_nobody_ends_it() {
    let seconds = seconds_of(busy_worker("1"));
    // Without a watch it would go on for hours; a slow machine is a little late.
    assert!((1..50).contains(&seconds), "after {seconds} seconds");
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        use std::fmt::Write as _;
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        encoded
    })
}
