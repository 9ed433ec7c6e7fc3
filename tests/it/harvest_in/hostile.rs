//! Hostile documents and hostile servers: each left by name, in its time, and nothing else reached.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::web::Tongue;

use super::{PREFIXES, Site, codes, page, states, walk};
use crate::support::sqlite;

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
    for kind in ["text/html", "image/png", "application/zip", "*/*", "x"] {
        cases.push((kind, page(&["a"], ""), "media-type"));
    }
    for kind in ["", "text/plain", "application/octet-stream"] {
        cases.push((kind, "<!DOCTYPE html><html><body>Log in</body></html>".into(), "media-type"));
        cases.push((kind, "{".repeat(100), "too-deep"));
    }
    for kind in ["application/json", "text/xml"] {
        cases.push((kind, page(&["a"], ""), "syntax"));
    }
    cases.push(("application/json", "{\"status\":\"ok\"}".to_owned(), "empty"));
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
    for iri in [
        "http://other.example/d/a",
        "BASE/e/a",
        "BASE/d",
        "urn:x:a",
        "http://127.0.0.1.evil.example/d/a",
    ] {
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
        for tongue in Tongue::all() {
            let told = tongue.word(&format!("harvest-code.{code}"));
            assert!(!told.is_empty(), "{code} is not explained in {}", tongue.code);
        }
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
    cases.push((format!("{head}Content-Encoding: gzip\r\n\r\nx"), "cut-off"));
    cases.push((format!("{head}Content-Encoding: gzip\r\n\r\n{}", "x".repeat(100)), "coding"));
    cases.push((format!("{head}Content-Encoding: br\r\n\r\nx"), "coding"));
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
fn a_document_costs_no_more_than_its_bounds() {
    let (fresh, site) = (sqlite(), Site::new());
    let mut source = site.source("one", HarvestKind::Dcat);
    (source.document_mib, source.seconds, source.walk_seconds) = (16, 60, 600);
    // A regular graph with one mark: every node can be told apart, but by what stands far away. For
    // RDFC-1.0 that is a search through permutations.
    let mut regular = page(&["a"], "<BASE/d/a> dct:x _:n0 . _:n0 dct:mark \"here\" .\n");
    for from in 0..400_usize {
        for step in [1, 7, 31, 90] {
            let to = (from * 3 + step * step) % 400;
            regular.push_str(&format!("_:n{from} dct:y _:n{to} .\n"));
        }
        regular.push_str(&format!("<BASE/d/a> dct:z _:n{from} .\n"));
    }
    // A thousand datasets that lead to one list of 30,000 statements.
    let mut shared = PREFIXES.to_owned();
    for number in 0..1_000 {
        shared.push_str(&format!(
            "<BASE/d/{number}> a dcat:Dataset ; dct:title \"t\" ; dct:description \"d\" ;\n\
             dct:relation <BASE/d/list> .\n"
        ));
    }
    for number in 0..30_000 {
        shared.push_str(&format!("<BASE/d/list> dct:y {number} .\n"));
    }
    for (body, seen, most) in [(regular, 1, 1), (shared, 1_000, 100)] {
        site.say("/catalog.ttl", "text/turtle", &body);
        let began = Instant::now();
        let summary = walk(&fresh.store, &source);
        assert_eq!((summary.seen, summary.new + summary.refused), (seen, seen), "{summary:?}");
        assert!((1..=most).contains(&summary.new), "{}", summary.new);
        assert_eq!(codes(&summary).contains(&"too-costly"), seen > 1);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        println!("{seen} datasets in {:?}", began.elapsed());
    }
}

#[test]
fn what_a_source_says_never_breaks_the_store() {
    crate::support::on_both(|fresh| {
        let site = Site::new();
        let source = site.source("one", HarvestKind::Hydra);
        let long = "x".repeat(3_000);
        let more = format!(
            "<BASE/d/a> dct:identifier \"urn:x:\\u0000\", \"urn:x:{long}\", \"\\u0000\" ; \
             dct:note \"\\u0000\" .\n<BASE/c> hydra:next <BASE/{long}>, <?page=2> .\n\
             <BASE/d/{long}> a dcat:Dataset ; dct:title \"t\" ; dct:description \"d\" ."
        );
        site.say("/catalog.ttl", "text/turtle", &page(&["a", "b"], &more));
        site.say("/catalog.ttl?page=2", "text/turtle", &page(&["c"], ""));
        let summary = walk(&fresh.store, &source);
        assert_eq!((summary.new, summary.refused), (3, 1), "{summary:?}");
        assert!(codes(&summary).contains(&"long-iri"), "{summary:?}");
        let kept = states(&fresh.store, "one");
        assert_eq!(kept.iter().filter(|(_, state)| state == "current").count(), 3, "{kept:?}");
        assert!(summary.troubles.iter().all(|trouble| !trouble.about.contains('\0')));
    });
}
