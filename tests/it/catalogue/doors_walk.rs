//! The listing while others publish: a walk misses nothing and meets nothing twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::ToSpan as _;
use vesalius::catalogue::{Entry, Event, Log, Selection, Shelf, ShelfState, Standing, State};
use vesalius::error::Result;

use super::{config, doors_of, knock, now, publish, put_copy, shelf_of};

/// Datasets and the next page of a page in Turtle.
fn read(body: &str) -> (Vec<String>, Option<String>) {
    let mut datasets = Vec::new();
    let mut next = None;
    for triple in oxttl::TurtleParser::new().for_slice(body.as_bytes()) {
        let triple = triple.unwrap();
        let object = triple.object.to_string().trim_matches(['<', '>']).to_owned();
        if object == "http://www.w3.org/ns/dcat#Dataset" {
            datasets.push(triple.subject.to_string());
        }
        if triple.predicate.as_str().ends_with("core#next") {
            next = object.strip_prefix("https://node.example.org").map(str::to_owned);
        }
    }
    datasets.sort();
    (datasets, next)
}

#[actix_web::test]
async fn a_walk_meets_each_dataset_once_while_others_are_published() {
    let shelf = Arc::new(shelf_of(9));
    let state = doors_of(shelf.clone());
    let sample = shelf.find("d05").unwrap().unwrap();
    let mut address = Some("/catalog.ttl".to_owned());
    let (mut seen, mut pages) = (Vec::new(), 0);
    while let Some(page) = address {
        let (status, _, body) = knock(&state, &page, &[]).await;
        assert_eq!(status, 200, "{page}: {body}");
        let (datasets, next) = read(&body);
        seen.extend(datasets);
        address = next;
        pages += 1;
        let later = now() + pages.minutes();
        // Before, behind and on the page: new ones, changed ones.
        put_copy(&shelf, &sample, &format!("c{pages}"), later);
        put_copy(&shelf, &sample, &format!("z{pages}"), later);
        put_copy(&shelf, &sample, "d00", later);
        put_copy(&shelf, &sample, "d08", later);
    }
    let expected: Vec<String> =
        (0..9).map(|n| format!("<https://node.example.org/dataset/d0{n}>")).collect();
    assert_eq!((seen, pages), (expected, 5));
    // The next walk has the new ones too.
    let (_, _, body) = knock(&state, "/catalog.ttl?page=1", &[]).await;
    assert!(read(&body).0.iter().all(|iri| iri.contains("/dataset/c")), "{body}");
}

#[actix_web::test]
async fn what_is_withdrawn_during_a_walk_is_on_it_as_a_tombstone() {
    let shelf = Arc::new(super::published(&config()));
    let state = doors_of(shelf.clone());
    let (_, _, body) = knock(&state, "/catalog.ttl", &[]).await;
    let next = read(&body).1.unwrap();
    let (slug, text) = vesalius::catalogue::samples()
        .into_iter()
        .find(|(slug, _)| *slug == "prostate-mr")
        .unwrap();
    let text = format!("withdrawn = true\n{text}");
    let outcome = publish(&config(), &shelf, &format!("{slug}.toml"), &text, now() + 1.minute());
    assert_eq!(outcome.verdict, vesalius::catalogue::Verdict::Withdrawn, "{outcome:?}");
    let (status, _, body) = knock(&state, &next, &[]).await;
    assert_eq!(status, 200);
    assert!(read(&body).0.is_empty(), "{body}");
    assert!(body.contains("dataset-status/WITHDRAWN"), "{body}");
    assert!(!body.contains("numberOfRecords"), "what was published is not handed out: {body}");
}

#[actix_web::test]
async fn a_walk_that_cannot_go_on_is_told_how_to_start_again() {
    let shelf = Arc::new(shelf_of(5));
    let state = doors_of(shelf.clone());
    let (_, _, body) = knock(&state, "/catalog.ttl", &[]).await;
    let next = read(&body).1.unwrap();
    for token in ["5-000000000000", "99-abc", "x", "-1-1", "18446744073709551616-a"] {
        let (status, headers, body) =
            knock(&state, &format!("/catalog.ttl?page=2&snapshot={token}"), &[]).await;
        assert_eq!(status, 410, "{token}");
        assert_eq!(headers.get("content-type").unwrap(), "application/problem+json");
        assert!(body.contains("start again at https://node.example.org/catalog.ttl"), "{body}");
    }
    assert_eq!(knock(&state, &next, &[]).await.0, 200);
    // The datasets are of 2026-11-21: a change of that day is more than a day ago.
    let long_ago = "2024-01-01T00:00:00Z".parse().unwrap();
    let shelf = Arc::new(shelf_of(0));
    let sample = super::published(&config()).find("lung-ldct").unwrap().unwrap();
    for slug in ["a", "b", "c"] {
        put_copy(&shelf, &sample, slug, long_ago);
    }
    let state = doors_of(shelf.clone());
    let (_, _, body) = knock(&state, "/catalog.ttl", &[]).await;
    let next = read(&body).1.unwrap();
    assert_eq!(knock(&state, &next, &[]).await.0, 200, "nothing changed: it goes on for ever");
    put_copy(&shelf, &sample, "d", long_ago);
    let (status, _, body) = knock(&state, &next, &[]).await;
    assert_eq!(status, 410, "{body}");
    assert!(body.contains("expired"), "{body}");
    // Nothing at all is a snapshot too.
    let empty = doors_of(Arc::new(shelf_of(0)));
    assert_eq!(knock(&empty, "/catalog.ttl?page=1&snapshot=0", &[]).await.0, 200);
    assert_eq!(knock(&empty, "/catalog.ttl?page=2", &[]).await.0, 404);
}

#[actix_web::test]
async fn only_what_changed_is_listed_on_request_with_what_was_withdrawn() {
    let shelf = Arc::new(shelf_of(9));
    let state = doors_of(shelf.clone());
    let sample = shelf.find("d05").unwrap().unwrap();
    let later = now() + 1.hour();
    put_copy(&shelf, &sample, "d03", later);
    put_copy(&shelf, &sample, "d07", later);
    put_copy(&shelf, &sample, "new", later);
    let entry = shelf.find("d01").unwrap().unwrap();
    let document = "<https://node.example.org/dataset/d01> <http://purl.org/dc/terms/title> \
                    \"Gone\" .\n";
    let document = document.to_owned();
    shelf.put(&Entry { state: State::Withdrawn, document, modified: later, ..entry }).unwrap();
    for since in ["2026-11-21T12:30:00Z", "2026-11-21T12:30:00", "2026-11-21T13:00:00Z"] {
        let (mut address, mut seen, mut withdrawn) =
            (Some(format!("/catalog.ttl?modified_since={since}")), Vec::new(), 0);
        while let Some(page) = address {
            let (status, _, body) = knock(&state, &page, &[]).await;
            assert_eq!(status, 200, "{page}: {body}");
            let (datasets, next) = read(&body);
            seen.extend(datasets);
            withdrawn += body.matches("dataset-status/WITHDRAWN>").count().min(1);
            address = next;
        }
        let slugs: Vec<&str> =
            seen.iter().filter_map(|iri| iri.trim_matches('>').rsplit('/').next()).collect();
        assert_eq!((slugs.as_slice(), withdrawn), (&["d03", "d07", "new"][..], 1), "{since}");
    }
    let (_, _, body) = knock(&state, "/catalog.ttl?modified_since=2026-11-22", &[]).await;
    assert!(read(&body).0.is_empty());
    for wrong in ["yesterday", "", "2026-13-01"] {
        let address = format!("/catalog.ttl?modified_since={wrong}");
        assert_eq!(knock(&state, &address, &[]).await.0, 400, "{wrong}");
    }
}

#[test]
fn the_log_of_the_store_is_that_of_the_shelf_in_memory() {
    use vesalius::catalogue::{Log, Shelf, Snapshot, StoreShelf};
    crate::support::on_both(|fresh| {
        let stored = StoreShelf(Arc::new(fresh.store.clone()));
        let memory = vesalius::catalogue::MemoryShelf::default();
        let sample = super::published(&config()).find("lung-ldct").unwrap().unwrap();
        let entry = |slug: &str, state: State, text: &str, minutes: i64| Entry {
            slug: slug.to_owned(),
            state,
            document: format!("<urn:{slug}> <urn:p> \"{text}\" .\n"),
            modified: now() + minutes.minutes(),
            ..sample.clone()
        };
        let failed = Entry { document: String::new(), ..entry("f", State::Failed, "", 3) };
        let report = Entry { report: "[]".to_owned(), ..entry("a", State::Published, "1", 0) };
        for entry in [
            entry("b", State::Published, "1", 0),
            entry("a", State::Published, "1", 0),
            report,
            failed,
            entry("a", State::Published, "2", 5),
            // A clock that went back.
            entry("b", State::Published, "2", 1),
            entry("a", State::Withdrawn, "gone", 6),
            entry("a", State::Withdrawn, "gone", 6),
            entry("c", State::Published, "1", 7),
            entry("a", State::Published, "3", 8),
        ] {
            stored.put(&entry).unwrap();
            memory.put(&entry).unwrap();
        }
        let events = stored.events(0, 100).unwrap();
        assert_eq!(events, memory.events(0, 100).unwrap());
        let words: String = events.iter().map(|event| &event.operation.word()[..1]).collect();
        assert_eq!(words, "ccuudcc");
        assert!(events.is_sorted_by_key(|event| event.time));
        assert_eq!(events.iter().map(|e| e.published).collect::<Vec<_>>(), [1, 2, 2, 2, 1, 2, 3]);
        for seq in 0..=8 {
            assert_eq!(stored.event(seq).unwrap(), memory.event(seq).unwrap());
            for since in [None, Some(now()), Some(now() + 6.minutes())] {
                let standing = stored.standing(seq, since).unwrap();
                assert_eq!(standing, memory.standing(seq, since).unwrap(), "{seq} {since:?}");
            }
        }
        for slug in ["a", "b", "f", "x"] {
            assert_eq!(stored.newest(slug).unwrap(), memory.newest(slug).unwrap());
        }
        let (left, right) = (stored.state().unwrap(), memory.state().unwrap());
        assert_eq!((left.published, left.latest), (right.published, right.latest));
        let slugs = ["c", "a", "x"].map(str::to_owned);
        assert_eq!(stored.entries(&slugs).unwrap(), memory.entries(&slugs).unwrap());
        assert_eq!(
            Snapshot::take(&stored, None).unwrap().token(),
            Snapshot::take(&memory, None).unwrap().token()
        );
        // What was withdrawn is kept nowhere.
        let kept = crate::support::lines(
            &fresh.store,
            "SELECT slug AS line FROM dataset_event WHERE document LIKE '%\"1\"%' OR document LIKE '%\"2\"%'",
        );
        assert_eq!(kept, ["b"]);
    });
}

#[test]
fn a_store_that_is_older_than_the_log_is_logged_when_it_is_opened() {
    use vesalius::catalogue::{Log, Shelf, StoreShelf};
    crate::support::on_both(|fresh| {
        let stored = StoreShelf(Arc::new(fresh.store.clone()));
        for entry in super::published(&config()).published(0, 10).unwrap() {
            stored.put(&entry).unwrap();
        }
        let before = stored.events(0, 10).unwrap();
        crate::support::execute(&fresh.store, "DELETE FROM dataset_event");
        crate::support::execute(
            &fresh.store,
            "UPDATE counter SET value = 0 WHERE name = 'dataset_event'",
        );
        let again = vesalius::store::Store::open(fresh.dir.path(), &fresh.url).unwrap();
        let after = StoreShelf(Arc::new(again)).events(0, 10).unwrap();
        assert_eq!(after.len(), 3);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((&before.slug, &before.hash), (&after.slug, &after.hash));
            assert_eq!((before.seq, before.published), (after.seq, after.published));
        }
    });
}

#[actix_web::test]
async fn an_answer_is_given_again_until_somebody_changes_the_catalogue() {
    use vesalius::catalogue::StoreShelf;
    use vesalius::store::Store;
    let folder = tempfile::tempdir().unwrap();
    let open = || Arc::new(StoreShelf(Arc::new(Store::open(folder.path(), "").unwrap())));
    // A server, and a publishing command on the same database.
    let (here, elsewhere) = (open(), open());
    let state = doors_of(here.clone());
    let sample = super::published(&config()).find("lung-ldct").unwrap().unwrap();
    let entry = |state: State, text: &str| Entry {
        state,
        document: format!("<https://node.example.org/dataset/lung-ldct> <urn:p> \"{text}\" .\n"),
        ..sample.clone()
    };
    let ask = async || knock(&state, "/dataset/lung-ldct.nt", &[]).await;
    here.put(&entry(State::Published, "first")).unwrap();
    for _ in 0..3 {
        let (status, headers, body) = ask().await;
        assert!(status == 200 && body.contains("first"), "{status} {body}");
        assert!(headers.contains_key("etag"));
    }
    here.put(&entry(State::Published, "second")).unwrap();
    assert!(ask().await.2.contains("second"), "its own change shows at once");
    elsewhere.put(&entry(State::Published, "third")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(21));
    assert!(ask().await.2.contains("third"), "another's in a moment");
    elsewhere.put(&entry(State::Withdrawn, "gone")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(21));
    assert_eq!(ask().await.0, 410);
}

#[actix_web::test]
async fn what_is_given_again_needs_no_door() {
    use actix_web::test::{TestRequest, call_service, init_service};
    let shelf = Arc::new(shelf_of(1));
    let state = doors_of(shelf.clone());
    let app = actix_web::App::new()
        .app_data(state.clone())
        .wrap(actix_web::middleware::from_fn(vesalius::harvest::repeat));
    let app = init_service(app).await;
    let ask = async |request: TestRequest| {
        let request = request.uri("/dataset/d00.nt").to_request();
        call_service(&app, request).await.status().as_u16()
    };
    assert_eq!(ask(TestRequest::get()).await, 404, "nobody was answered yet");
    // An answer stands for a moment: on a busy machine it is over before it is asked for.
    let mut given = false;
    for _ in 0..100 {
        let (status, headers, _) = knock(&state, "/dataset/d00.nt", &[]).await;
        assert_eq!(status, 200);
        assert_ne!(ask(TestRequest::post()).await, 200, "only what reads is repeated");
        let tag = headers.get("etag").unwrap().clone();
        let known = ask(TestRequest::get().insert_header(("If-None-Match", tag))).await;
        if ask(TestRequest::get()).await == 200 {
            assert_eq!(known, 304);
            given = true;
            break;
        }
    }
    assert!(given);
    let sample = super::published(&config()).find("lung-ldct").unwrap().unwrap();
    put_copy(&shelf, &sample, "d01", now());
    assert_eq!(ask(TestRequest::get()).await, 404, "the catalogue is another");
}

/// A shelf that counts how often documents are read of it.
struct Counting(vesalius::catalogue::StoreShelf, AtomicUsize);

impl Log for Counting {
    fn last_event(&self) -> Result<Option<Event>> {
        self.0.last_event()
    }

    fn event(&self, seq: u64) -> Result<Option<Event>> {
        self.0.event(seq)
    }

    fn newest(&self, slug: &str) -> Result<Option<Event>> {
        self.0.newest(slug)
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        self.0.events(after, limit)
    }

    fn standing(&self, seq: u64, since: Option<jiff::Timestamp>) -> Result<Vec<Standing>> {
        self.0.standing(seq, since)
    }

    fn entries(&self, slugs: &[String]) -> Result<Vec<Entry>> {
        self.1.fetch_add(slugs.len(), Ordering::SeqCst);
        self.0.entries(slugs)
    }
}

impl Shelf for Counting {
    fn find(&self, slug: &str) -> Result<Option<Entry>> {
        self.0.find(slug)
    }

    fn put(&self, entry: &Entry) -> Result<()> {
        self.0.put(entry)
    }

    fn published(&self, offset: usize, limit: usize) -> Result<Vec<Entry>> {
        self.0.published(offset, limit)
    }

    fn counted_by(&self, selection: &Selection) -> Result<Vec<Entry>> {
        self.0.counted_by(selection)
    }

    fn slugs(&self) -> Result<Vec<String>> {
        self.0.slugs()
    }

    fn state(&self) -> Result<ShelfState> {
        self.0.state()
    }

    fn changed_since(&self, change: u64) -> Result<Option<Vec<String>>> {
        self.0.changed_since(change)
    }
}

#[actix_web::test]
async fn pages_are_made_before_somebody_asks_and_again_when_their_datasets_change() {
    use vesalius::store::Store;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path(), "").unwrap());
    let shelf = Arc::new(Counting(vesalius::catalogue::StoreShelf(store), AtomicUsize::new(0)));
    let sample = super::published(&config()).find("lung-ldct").unwrap().unwrap();
    let put = |slug: &str, title: &str| {
        let document = format!("<https://node.example.org/dataset/{slug}> <urn:p> \"{title}\" .\n");
        shelf.put(&Entry { slug: slug.to_owned(), document, ..sample.clone() }).unwrap();
    };
    for slug in ["a", "b", "c", "d"] {
        put(slug, "first");
    }
    let state = doors_of(shelf.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let (worker, stopped) = (state.clone().into_inner(), Arc::clone(&stop));
    let worker = std::thread::spawn(move || worker.keep_pages(&stopped));
    // Two pages in four forms: each dataset is read once for each.
    for _ in 0..1_000 {
        if shelf.1.load(Ordering::SeqCst) == 16 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    stop.store(true, Ordering::SeqCst);
    worker.join().unwrap();
    for suffix in ["ttl", "jsonld", "rdf", "nt", "nq"] {
        for page in ["", "?page=2"] {
            let (status, _, body) = knock(&state, &format!("/catalog.{suffix}{page}"), &[]).await;
            assert!(status == 200 && body.contains("first"), "{suffix} {page} {body}");
        }
    }
    assert_eq!(shelf.1.load(Ordering::SeqCst), 16, "nothing was made for who asked");
    put("c", "second");
    let (_, _, first) = knock(&state, "/catalog.ttl", &[]).await;
    assert!(first.contains("first") && !first.contains("second"));
    assert_eq!(shelf.1.load(Ordering::SeqCst), 16, "the first page holds none that changed");
    let (_, _, second) = knock(&state, "/catalog.ttl?page=2", &[]).await;
    assert!(second.contains("first") && second.contains("second"));
    assert_eq!(shelf.1.load(Ordering::SeqCst), 18, "the other was made again");
}
