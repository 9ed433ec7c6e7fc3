//! The feed of changes and the event stream: what a national contact point forwards.

use std::sync::Arc;

use jiff::ToSpan as _;
use serde_json::Value;
use vesalius::catalogue::{Shelf as _, parse, samples};

use super::{config, doors_of, knock, now, publish, published, put_copy, shelf_of};

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|failure| panic!("{failure}: {body}"))
}

fn strings(page: &Value, name: &str) -> Vec<String> {
    let items = page["orderedItems"].as_array().unwrap();
    items.iter().map(|item| item[name].as_str().unwrap_or_default().to_owned()).collect()
}

#[actix_web::test]
async fn a_dataset_is_created_updated_deleted_and_each_is_one_message() {
    let shelf = Arc::new(published(&config()));
    let state = doors_of(shelf.clone());
    let (_, _, body) = knock(&state, "/changes", &[]).await;
    let page = json(&body);
    assert_eq!(strings(&page, "operation"), ["create"; 3]);
    assert_eq!(page["resume"], "https://node.example.org/changes?since=3&limit=100");
    assert!(page.get("next").is_none());
    let (slug, text) = samples().swap_remove(1);
    let file = format!("{slug}.toml");
    let changed = text.replace("low-dose CT\"\n", "low-dose CT (new)\"\n");
    publish(&config(), &shelf, &file, &changed, now() + 1.minute());
    let same = publish(&config(), &shelf, &file, &changed, now() + 2.minutes());
    assert_eq!(same.verdict, vesalius::catalogue::Verdict::Unchanged);
    publish(&config(), &shelf, &file, &format!("withdrawn = true\n{text}"), now() + 3.minutes());
    let (_, _, body) = knock(&state, "/changes?since=3", &[]).await;
    let page = json(&body);
    assert_eq!(strings(&page, "operation"), ["update", "delete"]);
    assert_eq!(strings(&page, "type"), ["Update", "Delete"]);
    let iri = format!("https://node.example.org/dataset/{slug}");
    assert_eq!(strings(&page, "identifier"), [iri.clone(), iri.clone()]);
    let ids = strings(&page, "messageId");
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("urn:uuid:") && id.len() == 45));
    // Who asks again gets the same messages.
    let (_, _, again) = knock(&state, "/changes?since=3", &[]).await;
    assert_eq!(again, body);
    // The payload of the newest is the tombstone; what it replaced is not handed out any more.
    let (status, _, tombstone) = knock(&state, "/changes/5/document.nt", &[]).await;
    assert_eq!(status, 200);
    assert!(tombstone.contains("dataset-status/WITHDRAWN") && !tombstone.contains("dcat#Dataset>"));
    let (status, _, body) = knock(&state, "/changes/4/document.nt", &[]).await;
    assert_eq!(status, 410);
    assert!(body.contains("https://node.example.org/changes/5"), "{body}");
    // It comes back.
    publish(&config(), &shelf, &file, text, now() + 4.minutes());
    let (_, _, body) = knock(&state, "/changes?since=5", &[]).await;
    assert_eq!(strings(&json(&body), "operation"), ["create"]);
}

#[actix_web::test]
async fn the_payload_is_the_document_and_its_digest_holds() {
    let shelf = Arc::new(published(&config()));
    let state = doors_of(shelf.clone());
    let (_, _, body) = knock(&state, "/changes.json?include=documents", &[]).await;
    let page = json(&body);
    for item in page["orderedItems"].as_array().unwrap() {
        let seq = item["sequence"].as_u64().unwrap();
        let (_, _, document) = knock(&state, &format!("/changes/{seq}/document.nt"), &[]).await;
        assert_eq!(vesalius::catalogue::digest(&document), item["sha256"].as_str().unwrap());
        assert_eq!(document.len() as u64, item["bytes"].as_u64().unwrap());
        let slug = item["identifier"].as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(document, shelf.find(slug).unwrap().unwrap().document);
        assert!(item["payload"]["@graph"].is_array());
    }
    // The same as RDF: activities and documents in one graph.
    let (_, _, turtle) = knock(&state, "/changes.nt?include=documents", &[]).await;
    let graph = parse(&turtle).unwrap();
    for entry in shelf.published(0, 10).unwrap() {
        for triple in &parse(&entry.document).unwrap() {
            assert!(graph.contains(triple));
        }
    }
    assert_eq!(turtle.matches("<https://www.w3.org/ns/activitystreams#Create>").count(), 3);
}

#[actix_web::test]
async fn the_feed_is_read_in_pages_and_refuses_what_is_wrong() {
    let state = doors_of(Arc::new(shelf_of(7)));
    let (mut address, mut seen) = ("/changes.json?since=0&limit=3".to_owned(), Vec::new());
    loop {
        let (_, _, body) = knock(&state, &address, &[]).await;
        let page = json(&body);
        seen.extend(strings(&page, "identifier"));
        let Some(next) = page["next"].as_str() else { break };
        address = next.strip_prefix("https://node.example.org").unwrap().to_owned();
    }
    assert_eq!(seen.len(), 7);
    for (wrong, status) in [
        ("/changes?since=x", 400),
        ("/changes?since=-1", 400),
        ("/changes?limit=0", 400),
        ("/changes?include=all", 400),
        ("/changes?since=1&since=2", 400),
        ("/changes?since=8", 410),
        ("/changes/8", 404),
        ("/changes/0", 404),
        ("/changes/x", 404),
        ("/changes/18446744073709551616", 404),
        ("/changes/1/document.exe", 404),
        ("/ldes/0", 404),
        ("/ldes/2", 404),
        ("/ldes/x", 404),
    ] {
        assert_eq!(knock(&state, wrong, &[]).await.0, status, "{wrong}");
    }
}

#[actix_web::test]
async fn the_event_stream_has_fragments_that_stay() {
    let shelf = Arc::new(shelf_of(1));
    let sample = shelf.find("d00").unwrap().unwrap();
    for number in 1..260_u32 {
        put_copy(&shelf, &sample, &format!("e{number}"), now() + i64::from(number).seconds());
    }
    let state = doors_of(shelf.clone());
    let (_, _, view) = knock(&state, "/ldes", &[]).await;
    assert_eq!(view.matches("tree:GreaterThanOrEqualToRelation").count(), 2, "{view}");
    let (status, headers, full) = knock(&state, "/ldes/1.nt", &[]).await;
    assert_eq!(status, 200);
    assert!(headers.get("cache-control").unwrap().to_str().unwrap().contains("immutable"));
    assert_eq!(full.matches("<https://w3id.org/tree#member>").count(), 250);
    let (_, headers, open) = knock(&state, "/ldes/2.nt", &[]).await;
    assert!(!headers.get("cache-control").unwrap().to_str().unwrap().contains("immutable"));
    assert_eq!(open.matches("<https://w3id.org/tree#member>").count(), 10);
    // Changes of what a full fragment tells of leave it as it is.
    put_copy(&shelf, &sample, "e5", now() + 1.hour());
    assert_eq!(knock(&state, "/ldes/1.nt", &[]).await.2, full);
    assert_eq!(
        knock(&state, "/ldes/2.nt", &[]).await.2.matches("<https://w3id.org/tree#member>").count(),
        11
    );
}
