//! The catalogue in the words of others: FAIR Data Point, Croissant, schema.org, DataCite,
//! OAI-PMH, sitemap.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::ToSpan as _;
use serde_json::Value;
use vesalius::catalogue::{Shelf as _, samples};

use super::{config, doors_of, knock, now, publish, published, put_copy, shelf_of};

const BASE: &str = "https://node.example.org";

fn objects(body: &str, predicate: &str) -> BTreeSet<String> {
    oxttl::TurtleParser::new()
        .for_slice(body.as_bytes())
        .map(Result::unwrap)
        .filter(|triple| triple.predicate.as_str() == predicate)
        .map(|triple| triple.object.to_string().trim_matches(['<', '>']).to_owned())
        .collect()
}

#[actix_web::test]
async fn both_crawls_of_a_fair_data_point_find_what_is_published_and_no_draft() {
    let shelf = Arc::new(published(&config()));
    publish(&config(), &shelf, "draft.toml", "title = 1", now());
    let state = doors_of(shelf.clone());
    let expected: BTreeSet<String> = shelf
        .published(0, 10)
        .unwrap()
        .iter()
        .map(|e| format!("{BASE}/dataset/{}", e.slug))
        .collect();
    let (_, headers, root) = knock(&state, "/fdp", &[]).await;
    assert!(headers.get_all("link").any(|link| link.to_str().unwrap().contains("rel=\"profile\"")));
    assert!(root.contains("fdp-o:FAIRDataPoint"), "{root}");
    // By containers.
    let (mut todo, mut seen, mut datasets) =
        (vec!["/fdp".to_owned()], BTreeSet::new(), BTreeSet::new());
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let (status, _, body) = knock(&state, &path, &[("Accept", "text/turtle")]).await;
        assert_eq!(status, 200, "{path}");
        // A record is what it says of its own address.
        if body.contains(&format!("<{BASE}{path}>\n    a dcat:Dataset ;")) {
            datasets.insert(format!("{BASE}{path}"));
        }
        for member in objects(&body, "http://www.w3.org/ns/ldp#contains") {
            todo.push(member.strip_prefix(BASE).unwrap().to_owned());
        }
    }
    assert_eq!(datasets, expected);
    // By properties.
    let catalogs = objects(&root, "https://w3id.org/fdp/fdp-o#metadataCatalog");
    let catalog = format!("{BASE}/fdp/catalog/all");
    assert_eq!(catalogs, BTreeSet::from([catalog.clone()]));
    let (_, _, body) = knock(&state, catalog.strip_prefix(BASE).unwrap(), &[]).await;
    assert_eq!(objects(&body, "http://www.w3.org/ns/dcat#dataset"), expected);
    // What the official shapes ask of a Catalog; and its version is not the program's.
    for property in
        ["dcatap:applicableLegislation", "dct:language", "dcat:themeTaxonomy", "dct:modified"]
    {
        assert!(body.contains(property), "{property}: {body}");
    }
    assert!(objects(&body, "http://purl.org/dc/terms/isPartOf").is_empty(), "{body}");
    assert!(body.contains("dcat:version \"3\" ;"), "{body}");
    assert!(root.contains("dcat:version \"vesalius "), "{root}");
    for container in ["/fdp/catalog/", "/fdp/dataset/"] {
        let (status, headers, body) = knock(&state, container, &[]).await;
        assert_eq!(status, 200);
        assert!(
            body.contains(&format!("<{BASE}{container}>\n    a ldp:DirectContainer")),
            "{body}"
        );
        assert!(headers.get("link").unwrap().to_str().unwrap().contains("ldp#DirectContainer"));
    }
    assert_eq!(knock(&state, "/fdp/catalog/other", &[]).await.0, 404);
}

#[actix_web::test]
async fn a_dataset_is_described_to_search_engines_and_libraries() {
    let shelf = Arc::new(published(&config()));
    let state = doors_of(shelf.clone());
    let path = "/dataset/breast-screening";
    let get = async |suffix: &str| -> Value {
        let (status, headers, body) = knock(&state, &format!("{path}.{suffix}"), &[]).await;
        assert_eq!(status, 200, "{suffix}: {body}");
        assert!(headers.contains_key("etag"));
        serde_json::from_str(&body).unwrap()
    };
    let croissant = get("croissant.json").await;
    assert_eq!(croissant["conformsTo"], "http://mlcommons.org/croissant/1.1");
    let (_, _, counts) = knock(&state, &format!("{path}/analytics.csv"), &[]).await;
    let file = &croissant["distribution"][0];
    assert_eq!(file["sha256"], vesalius::catalogue::digest(&counts));
    assert_eq!(file["contentUrl"], format!("{BASE}{path}/analytics.csv"));
    assert!(croissant["citeAs"].as_str().unwrap().contains("Version"));
    let schema = get("schema.jsonld").await;
    assert_eq!(
        (&schema["@type"], &schema["@id"]),
        (&"Dataset".into(), &format!("{BASE}{path}").into())
    );
    let datacite = get("datacite.json").await;
    assert_eq!(datacite["types"]["resourceTypeGeneral"], "Dataset");
    assert_eq!(datacite["version"], schema["version"]);
    let accept = [("Accept", "application/vnd.datacite.datacite+json")];
    let (_, _, by_accept) = knock(&state, path, &accept).await;
    assert_eq!(serde_json::from_str::<Value>(&by_accept).unwrap(), datacite);
    let (_, headers, _) = knock(&state, path, &[]).await;
    let links: Vec<&str> = headers.get_all("link").map(|link| link.to_str().unwrap()).collect();
    for relation in ["cite-as", "describedby", "item", "license", "type", "collection", "profile"] {
        let wanted = format!("rel=\"{relation}\"");
        assert!(
            relation == "license" || links.iter().any(|link| link.contains(&wanted)),
            "{relation}: {links:?}"
        );
    }
    // A withdrawn dataset has a tombstone and nothing else.
    let (slug, text) = samples().swap_remove(0);
    assert_eq!(slug, "breast-screening");
    publish(
        &config(),
        &shelf,
        "breast-screening.toml",
        &format!("withdrawn = true\n{text}"),
        now(),
    );
    assert_eq!(knock(&state, path, &[]).await.0, 410);
    assert_eq!(knock(&state, &format!("{path}.croissant.json"), &[]).await.0, 410);
}

#[actix_web::test]
async fn sitemap_and_robots_lead_to_the_datasets() {
    let state = doors_of(Arc::new(shelf_of(3)));
    let (_, headers, body) = knock(&state, "/sitemap.xml", &[]).await;
    assert!(headers.get("content-type").unwrap().to_str().unwrap().starts_with("application/xml"));
    assert_eq!(body.matches("<lastmod>2026-11-21T12:00:00Z</lastmod>").count(), 3, "{body}");
    let (_, _, body) = knock(&state, "/robots.txt", &[]).await;
    assert!(body.ends_with("Sitemap: https://node.example.org/sitemap.xml\n"), "{body}");
}

#[actix_web::test]
async fn oai_pmh_lists_gets_and_remembers_the_deleted() {
    let shelf = Arc::new(shelf_of(9));
    let sample = shelf.find("d00").unwrap().unwrap();
    for number in 9..250 {
        put_copy(&shelf, &sample, &format!("d{number}"), now() + 1.hour());
    }
    let entry = shelf.find("d04").unwrap().unwrap();
    let modified = now() + 2.hours();
    let gone = vesalius::catalogue::Entry {
        state: vesalius::catalogue::State::Withdrawn,
        document: "<a:b> <a:c> <a:d> .\n".to_owned(),
        modified,
        ..entry
    };
    shelf.put(&gone).unwrap();
    let state = doors_of(shelf.clone());
    let ask = async |query: &str| -> String {
        let (status, headers, body) = knock(&state, &format!("/oai?{query}"), &[]).await;
        assert_eq!(status, 200, "{query}: {body}");
        assert_eq!(headers.get("content-type").unwrap(), "text/xml; charset=utf-8");
        body
    };
    let body = ask("verb=Identify").await;
    assert!(body.contains("<deletedRecord>persistent</deletedRecord>"), "{body}");
    assert!(body.contains("<earliestDatestamp>2026-11-21T12:00:00Z</earliestDatestamp>"));
    let (mut query, mut records, mut deleted, mut answers) =
        ("verb=ListRecords&metadataPrefix=oai_dc".to_owned(), 0, 0, 0);
    loop {
        let body = ask(&query).await;
        records += body.matches("<record>").count();
        deleted += body.matches("status=\"deleted\"").count();
        answers += 1;
        // Others publish meanwhile.
        put_copy(&shelf, &sample, &format!("a{answers}"), now() + 3.hours());
        let Some((_, rest)) = body.split_once("<resumptionToken ") else { break };
        let token = rest.split_once('>').unwrap().1.split_once('<').unwrap().0.trim();
        if token.is_empty() {
            break;
        }
        query = format!("verb=ListRecords&resumptionToken={token}");
        // It goes on with its own verb, from where we said.
        let place = format!(".{}.", records);
        assert!(token.contains(&place), "{token}");
        let wrong = ["0", "1", "99", "250", "251", "9999999", "18446744073709551615"];
        let others = wrong.map(|other| {
            format!("ListRecords&resumptionToken={}", token.replace(&place, &format!(".{other}.")))
        });
        for wrong in others.iter().chain([&format!("ListIdentifiers&resumptionToken={token}")]) {
            let body = ask(&format!("verb={wrong}")).await;
            assert!(body.contains("<error code=\"badResumptionToken\">"), "{wrong}: {body}");
        }
    }
    assert_eq!((records, deleted, answers), (250, 1, 3));
    let id = "identifier=https://node.example.org/dataset/d01";
    let body = ask(&format!("verb=GetRecord&metadataPrefix=dcat&{id}")).await;
    assert!(body.contains("<rdf:RDF") && !body[10..].contains("<?xml"), "{body}");
    let body = ask("verb=ListIdentifiers&metadataPrefix=oai_dc&until=2026-11-21T12:00:00Z").await;
    assert_eq!(body.matches("<identifier>").count(), 8, "{body}");
    let body = ask("verb=ListIdentifiers&metadataPrefix=oai_dc&set=non-public").await;
    assert!(body.contains("noRecordsMatch") || body.contains("<setSpec>non-public</setSpec>"));
    for (wrong, code) in [
        ("", "badVerb"),
        ("verb=Nothing", "badVerb"),
        ("verb=Identify&verb=Identify", "badVerb"),
        ("verb=Identify&x=1", "badArgument"),
        ("verb=ListRecords", "badArgument"),
        ("verb=ListRecords&metadataPrefix=marc", "cannotDisseminateFormat"),
        ("verb=ListRecords&metadataPrefix=oai_dc&from=yesterday", "badArgument"),
        (
            "verb=ListRecords&metadataPrefix=oai_dc&from=2026-01-01&until=2026-01-01T00:00:00Z",
            "badArgument",
        ),
        ("verb=ListRecords&metadataPrefix=oai_dc&from=2099-01-01", "noRecordsMatch"),
        ("verb=ListRecords&metadataPrefix=oai_dc&set=other", "noRecordsMatch"),
        ("verb=ListRecords&resumptionToken=nonsense", "badResumptionToken"),
        ("verb=ListRecords&resumptionToken=5-abc.0.dcat...", "badResumptionToken"),
        ("verb=GetRecord&metadataPrefix=oai_dc&identifier=oai:x", "idDoesNotExist"),
        ("verb=GetRecord&metadataPrefix=oai_dc", "badArgument"),
    ] {
        let body = ask(wrong).await;
        assert!(body.contains(&format!("<error code=\"{code}\">")), "{wrong}: {body}");
    }
    let body = ask("verb=Identify&x=1").await;
    assert!(body.contains("`Identify` takes no other argument"), "{body}");
    let (_, _, body) = knock(&state, "/oai?verb=%3Cscript%3E", &[]).await;
    assert!(!body.contains("<script>"), "{body}");
}

#[actix_web::test]
async fn oai_pmh_is_asked_by_form_too() {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    let state = doors_of(Arc::new(shelf_of(2)));
    let app = actix_web::App::new().app_data(state).configure(vesalius::harvest::routes);
    let app = init_service(app).await;
    let form = |text: String| {
        TestRequest::post()
            .uri("/oai")
            .insert_header(("Content-Type", "application/x-www-form-urlencoded"))
            .set_payload(text)
            .to_request()
    };
    let answer = call_service(&app, form("verb=ListSets".to_owned())).await;
    let body = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
    assert!(body.contains("<setSpec>non-public</setSpec>"), "{body}");
    let answer = call_service(&app, form("x".repeat(1 << 20))).await;
    assert_eq!(answer.status().as_u16(), 413);
    // Other doors do not read forms.
    let request = TestRequest::post().uri("/catalog").to_request();
    assert_eq!(call_service(&app, request).await.status().as_u16(), 405);
}

#[test]
fn an_index_is_told_of_the_node_once_per_change() {
    let index = wiremock_index();
    let mut config = config();
    config.catalogue.fdp_indexes = vec![index.1.clone()];
    let mut pinger = vesalius::harvest::Pinger::new(&config).unwrap().unwrap();
    let start = std::time::Instant::now();
    assert_eq!(pinger.ping(0, start), 1);
    assert_eq!(pinger.ping(0, start), 0);
    assert_eq!(pinger.ping(1, start), 0, "in a row");
    assert_eq!(pinger.ping(1, start + std::time::Duration::from_secs(61)), 1);
    let seen = index.0.block_on(index.2.received_requests()).unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, br#"{"clientUrl":"https://node.example.org/fdp"}"#);
    assert!(vesalius::harvest::Pinger::new(&super::config()).unwrap().is_none());
}

/// An index that takes every ping.
fn wiremock_index() -> (tokio::runtime::Runtime, String, wiremock::MockServer) {
    use wiremock::matchers::{method, path};
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let server = wiremock::MockServer::start().await;
        let taken = wiremock::ResponseTemplate::new(204);
        wiremock::Mock::given(method("POST"))
            .and(path("/"))
            .respond_with(taken)
            .mount(&server)
            .await;
        server
    });
    let url = server.uri();
    (runtime, url, server)
}
