//! Other catalogues walked: what is kept, what is refused, and hostile sources against a server
//! of the test's own. All data are synthetic.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::harvest::inbound::{Summary, harvest};
use vesalius::store::Store;
use vesalius::store::harvested::list_harvested;

use crate::support::{on_both, sqlite};

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
         dct:identifier \"{name}\" ; dcat:contactPoint [ dct:title \"c\" ] ;\n\
         dcat:distribution <BASE/d/{name}/1> .\n<BASE/d/{name}/1> dcat:accessURL <BASE/d/x> .\n"
    )
}

fn page(datasets: &[&str], more: &str) -> String {
    let datasets: String = datasets.iter().map(|name| dataset(name)).collect();
    format!("{PREFIXES}{datasets}{more}\n")
}

fn walk(store: &Store, source: &HarvestSource) -> Summary {
    harvest(store, source, clock).unwrap()
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

/// What hostile documents say, and the code that answers it.
fn hostile() -> Vec<(&'static str, String, &'static str)> {
    let nest = |open: &str, close: &str, count: usize| {
        format!("{}{}", open.repeat(count), close.repeat(count))
    };
    let mut cases: Vec<(&'static str, String, &'static str)> = Vec::new();
    for depth in [65, 100, 1_000, 10_000, 100_000] {
        let turtle =
            |open, close| format!("{PREFIXES}<BASE/d/a> dct:x {} .", nest(open, close, depth));
        cases.push(("text/turtle", turtle("[ dct:x ", "]"), "too-deep"));
        cases.push(("text/turtle", turtle("( ", ")"), "too-deep"));
        cases.push(("application/ld+json", nest("[", "]", depth), "too-deep"));
        cases.push(("application/ld+json", nest("{\"@graph\":", "}", depth), "too-deep"));
        cases.push(("application/rdf+xml", nest("<a>", "</a>", depth), "too-deep"));
    }
    for size in [8_193, 100_000, 900_000] {
        let long = "x".repeat(size);
        cases.push(("text/turtle", format!("<BASE/d/{long}> a <BASE/c> ."), "long-iri"));
        cases.push(("text/turtle", format!("<BASE/d/a> a <BASE/{long}> ."), "long-iri"));
        cases.push(("text/turtle", format!("@prefix p: <BASE/{long}> . p:a a p:b ."), "long-iri"));
    }
    for control in ["\\u0000", "\\u0001", "\\u0020", "\\u003C", "\\u007B", " ", "{", "|", "^", "`"]
    {
        cases.push(("text/turtle", format!("<BASE/d/a{control}b> a <BASE/c> ."), "syntax"));
    }
    for kind in ["text/html", "image/png", "application/json", "", "text/plain", "*/*", "x"] {
        cases.push((kind, page(&["a"], ""), "media-type"));
    }
    for context in ["http://127.0.0.1:1/c", "file:///etc/passwd", "http://169.254.169.254/", "c"] {
        let text = format!("{{\"@context\":\"{context}\",\"@id\":\"BASE/d/a\",\"x\":\"y\"}}");
        cases.push(("application/ld+json", text, "syntax"));
    }
    let names: Vec<String> = (1..5_000).map(|n| format!("\"t{n}\":\"t{}:x\"", n - 1)).collect();
    let context = format!("{{\"@context\":{{{}}}}}", names.join(","));
    cases.push(("application/ld+json", context, "large-context"));
    let bomb = "<!DOCTYPE a [<!ENTITY b \"c\"><!ENTITY d \"&b;&b;\">]><a>&d;</a>";
    cases.push(("application/rdf+xml", bomb.to_owned(), "entities"));
    let outside = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>";
    cases.push(("application/rdf+xml", outside.to_owned(), "entities"));
    for broken in ["<BASE/d/a> a", "@prefix", "\"", "<", "<BASE/d/a> <b> \"\"\"", "}{", "\u{feff}["]
    {
        cases.push(("text/turtle", broken.to_owned(), "syntax"));
    }
    for broken in ["{", "[1", "nothing", "{\"@id\":1}", "{\"@context\":5}"] {
        cases.push(("application/ld+json", broken.to_owned(), "syntax"));
    }
    cases.push(("text/turtle", "x".repeat(5 << 20), "too-large"));
    let of = |title: &str| page(&["a"], "").replace("\"a\"@en", title);
    for title in ["\"\\u202Ea\"", "\"\\u2066a\"", "\"\\u0007a\"", "<BASE/d/t>", "[ ]"] {
        cases.push(("text/turtle", of(title), "gate"));
    }
    for address in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x"] {
        let text = page(&["a"], "").replace("<BASE/d/x>", &format!("<{address}>"));
        cases.push(("text/turtle", text, "gate"));
    }
    for iri in
        ["http://other.example/d/a", "BASE/e/a", "BASE/d", "urn:x:a", "BASE.evil.example/d/a"]
    {
        let text = page(&["a"], "").replace("<BASE/d/a> a", &format!("<{iri}> a"));
        cases.push(("text/turtle", text, "foreign-namespace"));
    }
    cases.push(("text/turtle", page(&[], "[] a dcat:Dataset ."), "no-iri"));
    // Blank nodes that all look alike, in a circle: factorial for RDFC-1.0.
    let mut clique = page(&["a"], "<BASE/d/a> dct:x _:n0 .");
    for from in 0..40 {
        for to in 0..40 {
            if from != to {
                clique.push_str(&format!("_:n{from} dct:y _:n{to} .\n"));
            }
        }
    }
    cases.push(("text/turtle", clique, "blank-nodes"));
    cases
}

#[test]
fn hostile_documents_are_answered_by_name_and_within_their_time() {
    let (fresh, site) = (sqlite(), Site::new());
    let mut source = site.source("hostile", HarvestKind::Dcat);
    source.seconds = 20;
    // The deepest document is larger than what the other tests allow.
    source.document_mib = 4;
    let cases = hostile();
    for (number, (kind, body, code)) in cases.iter().enumerate() {
        source.name = format!("hostile-{number}");
        site.say("/catalog.ttl", kind, body);
        let began = Instant::now();
        let summary = walk(&fresh.store, &source);
        let shown: String = body.chars().take(80).collect();
        assert!(codes(&summary).contains(code), "{number} {kind} {shown}: {summary:?}");
        assert!(began.elapsed() < Duration::from_secs(25), "{number} {kind} {shown}");
        assert!(!states(&fresh.store, &source.name).iter().any(|(_, state)| state == "current"));
    }
    println!("{} hostile documents", cases.len());
}

#[test]
fn a_hostile_server_is_left_in_time_and_leads_nowhere() {
    let (fresh, site, trap) = (sqlite(), Site::new(), Site::new());
    let redirect = |to: &str| {
        format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    let port = trap.host.rsplit(':').next().unwrap().to_owned();
    let mut cases: Vec<(String, &str)> = [
        "http://127.0.0.1",
        "http://localhost",
        "http://2130706433",
        "http://0x7f000001",
        "http://0177.0.0.1",
        "http://127.1",
        "http://[::1]",
        "http://[::ffff:127.0.0.1]",
        "http://[::ffff:7f00:1]",
        "http://[64:ff9b::7f00:1]",
        "http://0.0.0.0",
        "http://[::]",
        "http://127.0.0.2",
        "http://10.0.0.1",
        "http://192.168.0.1",
        "http://172.16.0.1",
        "http://169.254.169.254",
        "http://100.64.0.1",
        "http://[fe80::1]",
        "http://[fc00::1]",
    ]
    .iter()
    .map(|host| (redirect(&format!("{host}:{port}/")), "private-address"))
    .collect();
    cases.push((redirect("file:///etc/passwd"), "scheme"));
    cases.push((redirect("gopher://127.0.0.1/"), "scheme"));
    cases.push((redirect("http://u:p@127.0.0.1/"), "credentials"));
    cases.push((redirect("BASE/catalog.ttl"), "redirects"));
    cases.push((redirect("http://"), "redirect"));
    cases.push((redirect(""), "redirect"));
    cases.push(("drip".to_owned(), "cut-off too-slow"));
    cases.push(("silence".to_owned(), "no-answer too-slow"));
    cases.push(("nonsense".to_owned(), "no-answer"));
    cases.push((String::new(), "no-answer"));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\nConnection: close\r\n";
    cases.push((format!("{head}Content-Encoding: gzip\r\n\r\nx"), "coding"));
    cases.push((format!("{head}Content-Length: 99999999999\r\n\r\nx"), "too-large"));
    cases.push((format!("{head}Content-Length: 100\r\n\r\nx"), "cut-off"));
    for status in [204, 206, 300, 304, 400, 401, 403, 404, 410, 429, 500, 503] {
        let answer =
            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        cases.push((answer, "status"));
    }
    for (number, (answer, expected)) in cases.iter().enumerate() {
        let source =
            HarvestSource { name: format!("s-{number}"), ..site.source("s", HarvestKind::Hydra) };
        site.raw("/catalog.ttl", answer);
        let began = Instant::now();
        let summary = walk(&fresh.store, &source);
        assert!(!summary.complete);
        let found = codes(&summary);
        let is_named = expected.split(' ').any(|code| found.contains(&code));
        assert!(is_named, "{number} {answer:?}: {summary:?}");
        assert!(began.elapsed() < Duration::from_secs(6), "{number} {answer:?}");
    }
    println!("{} hostile answers", cases.len());
    // Pages without end, links that lead out.
    for link in ["<BASE/c> hydra:next <?page=2> .", "<BASE/c> hydra:next <http://127.0.0.1:1/> ."] {
        site.say("/catalog.ttl", "text/turtle", &page(&["a"], link));
        for number in 2..60 {
            let more = format!("<BASE/c> hydra:next <?page={}> .", number + 1);
            site.say(&format!("/catalog.ttl?page={number}"), "text/turtle", &page(&[], &more));
        }
        let summary = walk(&fresh.store, &site.source("endless", HarvestKind::Hydra));
        assert!(!summary.complete && summary.missing == 0);
        assert!(codes(&summary).iter().any(|code| matches!(*code, "endless" | "elsewhere")));
    }
    assert_eq!(trap.asked.load(Ordering::SeqCst), 0, "another address was reached");
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
