//! Other catalogues walked: what is kept, what is refused, and hostile sources against a server
//! of the test's own. All data are synthetic.

mod doors;
mod hostile;
mod names;
mod names_of_hosts;
mod peers;
mod side_by_side;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::harvest::inbound::{Summary, harvest};
use vesalius::store::Store;
use vesalius::store::harvested::list_harvested;

use crate::support::{on_both, sqlite};

/// Where the datasets of the harvesting node begin.
const OURS: &str = "https://node.example.org/dataset/";

fn clock() -> i64 {
    1_800_000_000_000_000
}

/// Answers of a path: the whole response, and whether a validator is honoured.
type Answers = Arc<Mutex<Vec<(String, String)>>>;

/// A server that says what a test tells it, one connection after another.
struct Site {
    base: String,
    host: String,
    answers: Answers,
    asked: Arc<AtomicUsize>,
}

fn serve(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut head, mut piece) = (Vec::new(), [0; 1_024]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") && head.len() < 16_384 {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            break;
        }
        head.extend_from_slice(&piece[..count]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
    let found = answers.lock().unwrap().iter().find(|(known, _)| *known == path).cloned();
    let answer = found.map_or_else(
        || "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        |(_, answer)| answer,
    );
    if answer.contains("ETag: \"one\"") && head.to_lowercase().contains("if-none-match: \"one\"") {
        return stream.write_all(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
    }
    if answer == "drip" {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\n\r\n")?;
        for _ in 0..100 {
            stream.write_all(b"#")?;
            std::thread::sleep(Duration::from_millis(100));
        }
        return Ok(());
    }
    if answer == "silence" {
        std::thread::sleep(Duration::from_secs(4));
        return Ok(());
    }
    stream.write_all(answer.as_bytes())
}

impl Site {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let answers = Answers::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (Arc::clone(&answers), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let told = Arc::clone(&told);
                std::thread::spawn(move || serve(stream, &told));
            }
        });
        Self { base: format!("http://{host}"), host, answers, asked }
    }

    fn raw(&self, path: &str, answer: &str) {
        let mut answers = self.answers.lock().unwrap();
        answers.retain(|(known, _)| known != path);
        answers.push((path.to_owned(), answer.replace("BASE", &self.base)));
    }

    fn say(&self, path: &str, kind: &str, body: &str) {
        let body = body.replace("BASE", &self.base);
        let length = body.len();
        self.raw(
            path,
            &format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            ),
        );
    }

    fn source(&self, name: &str, kind: HarvestKind) -> HarvestSource {
        HarvestSource {
            name: name.to_owned(),
            url: format!("{}/catalog.ttl", self.base),
            kind,
            namespaces: vec![format!("{}/d/", self.base)],
            document_mib: 1,
            total_mib: 8,
            pages: 20,
            seconds: 1,
            walk_seconds: 10,
            gone_after: 2,
            allow_private: vec![self.host.clone()],
            ..HarvestSource::default()
        }
    }
}

const PREFIXES: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> .\n\
    @prefix dct: <http://purl.org/dc/terms/> .\n\
    @prefix hydra: <http://www.w3.org/ns/hydra/core#> .\n\
    @prefix ldp: <http://www.w3.org/ns/ldp#> .\n";

fn dataset(name: &str) -> String {
    format!(
        "<BASE/d/{name}> a dcat:Dataset ; dct:title \"{name}\"@en ; dct:description \"x\"@en ;\n\
         dct:identifier \"urn:example:{name}\" ; dcat:contactPoint [ dct:title \"c\" ] ;\n\
         dcat:distribution <BASE/d/{name}/1> .\n<BASE/d/{name}/1> dcat:accessURL <BASE/d/x> .\n"
    )
}

fn page(datasets: &[&str], more: &str) -> String {
    let datasets: String = datasets.iter().map(|name| dataset(name)).collect();
    format!("{PREFIXES}{datasets}{more}\n")
}

fn walk(store: &Store, source: &HarvestSource) -> Summary {
    harvest(store, source, OURS, clock).unwrap()
}

fn states(store: &Store, source: &str) -> Vec<(String, String)> {
    let rows = store.read(|db| list_harvested(db, source, "", 100)).unwrap();
    rows.into_iter()
        .map(|row| (row.iri.rsplit('/').next().unwrap().to_owned(), row.state))
        .collect()
}

fn codes(summary: &Summary) -> Vec<&str> {
    summary.troubles.iter().map(|trouble| trouble.code.as_str()).collect()
}

#[test]
fn a_walk_keeps_what_is_new_and_writes_nothing_twice() {
    on_both(|fresh| {
        let site = Site::new();
        site.say(
            "/catalog.ttl",
            "text/turtle",
            &page(&["a", "b"], "<BASE/c> hydra:next <?page=2> ."),
        );
        site.say("/catalog.ttl?page=2", "text/turtle", &page(&["c"], ""));
        let source = site.source("one", HarvestKind::Hydra);
        let first = walk(&fresh.store, &source);
        assert!(first.complete, "{first:?}");
        assert_eq!((first.seen, first.new, first.pages), (3, 3, 2));
        let read = || fresh.store.read(|db| list_harvested(db, "one", "", 100)).unwrap();
        let kept = read();
        let second = walk(&fresh.store, &source);
        assert_eq!((second.new, second.changed, second.unchanged), (0, 0, 3));
        assert_eq!(read(), kept);
        let wrong = page(&["a"], "").replace("\"a\"@en", "<BASE/d/t>");
        site.say("/catalog.ttl", "text/turtle", &wrong);
        let third = walk(&fresh.store, &source);
        assert_eq!((third.refused, third.missing, third.gone), (1, 2, 0), "{third:?}");
        let a = read().remove(0);
        assert_eq!((a.state.as_str(), &a.document), ("current", &kept[0].document));
        assert!(a.report.contains("title"), "{}", a.report);
        let fourth = walk(&fresh.store, &source);
        assert_eq!(fourth.gone, 2);
        assert_eq!(states(&fresh.store, "one")[1], ("b".to_owned(), "gone".to_owned()));
        site.raw(
            "/catalog.ttl",
            "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        let fifth = walk(&fresh.store, &source);
        assert!(!fifth.complete && fifth.missing == 0, "{fifth:?}");
    });
}

#[test]
fn an_answer_that_is_known_is_not_sent_again() {
    let (fresh, site) = (sqlite(), Site::new());
    let body = page(&["a"], "").replace("BASE", &site.base);
    site.raw(
        "/catalog.ttl",
        &format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\nETag: \"one\"\r\nContent-Length: {}\
             \r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    let source = site.source("one", HarvestKind::Dcat);
    walk(&fresh.store, &source);
    let again = walk(&fresh.store, &source);
    assert_eq!((again.unchanged_pages, again.bytes, again.unchanged), (1, 0, 1));
    assert!(again.complete);
}

#[test]
fn every_kind_of_source_is_walked_to_its_end() {
    let (fresh, site) = (sqlite(), Site::new());
    // A FAIR Data Point whose containers lead round in a circle.
    site.say("/catalog.ttl", "text/turtle", &page(&[], "<BASE/f> ldp:contains <BASE/k> ."));
    let contains = "<BASE/k> ldp:contains <BASE/d/a>, <BASE/catalog.ttl> .";
    site.say("/k", "text/turtle", &page(&[], contains));
    site.say("/d/a", "text/turtle", &page(&["a"], ""));
    let fdp = walk(&fresh.store, &site.source("fdp", HarvestKind::Fdp));
    assert!(fdp.complete && fdp.new == 1 && fdp.pages == 3, "{fdp:?}");
    let site = Site::new();
    site.say("/catalog.ttl", "text/turtle", &page(&["a"], ""));
    site.say("/catalog.ttl?page=2", "text/turtle", &page(&["b"], ""));
    site.say("/catalog.ttl?page=3", "text/turtle", &page(&[], ""));
    let ckan = walk(&fresh.store, &site.source("ckan", HarvestKind::Ckan));
    assert!(ckan.complete && ckan.new == 1 + usize::from(ckan.duplicates == 1), "{ckan:?}");
    assert_eq!(ckan.duplicates, 1, "`a` came first from the other source");
    assert_eq!(states(&fresh.store, "ckan")[0].1, "duplicate");
}

#[test]
fn blank_nodes_in_another_order_are_no_change() {
    let (fresh, site) = (sqlite(), Site::new());
    let source = site.source("one", HarvestKind::Dcat);
    for (first, second, unchanged) in [("1", "2", 0), ("2", "1", 1), ("2", "3", 0)] {
        let more = format!("<BASE/d/a> dct:x [ dct:y {first} ], [ dct:y {second} ] .");
        site.say("/catalog.ttl", "text/turtle", &page(&["a"], &more));
        let summary = walk(&fresh.store, &source);
        assert_eq!((summary.seen, summary.unchanged), (1, unchanged), "{summary:?}");
    }
}
