//! Name servers that lie: a name that leads to the world first and inside afterwards must never
//! reach what is inside. The resolver is the test's own; nothing asks the system's.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::harvest::inbound::{Harvester, Summary};
use vesalius::store::Store;

use super::{OURS, Site, clock, codes, page, states};
use crate::support::sqlite;

/// An address of the world at which nobody answers this test: the port of the test's own server
/// is closed or filtered there, and only that port is ever asked for.
const WORLD: &str = "93.184.215.14";

/// Answers in turn, the last one for ever; counts how often it is asked.
struct Liar {
    answers: Mutex<Vec<Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl Liar {
    fn new(answers: &[&[&str]], port: u16) -> Self {
        let at = |address: &&str| SocketAddr::new(address.parse().unwrap(), port);
        let answers = answers.iter().rev().map(|answer| answer.iter().map(at).collect()).collect();
        Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) }
    }

    fn answer(&self) -> Option<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop() } else { answers.last().cloned() }
    }
}

fn walk(store: &Store, source: &HarvestSource, liar: &Liar) -> Summary {
    let look_up = |_: &str, _: u16, _: Duration| liar.answer();
    let harvester = Harvester { look_up: &look_up, ..Harvester::new(store, OURS, clock) };
    harvester.walk_all(&[source], 1).unwrap().pop().unwrap().1.unwrap()
}

/// A source by a name, at the port of a server on this machine.
fn source(site: &Site, host: &str) -> (HarvestSource, u16) {
    let port: u16 = site.host.rsplit(':').next().unwrap().parse().unwrap();
    let source = HarvestSource {
        url: format!("http://{host}:{port}/catalog.ttl"),
        allow_private: Vec::new(),
        ..site.source("liar", HarvestKind::Hydra)
    };
    (source, port)
}

#[test]
fn a_name_that_turns_inside_never_reaches_what_is_inside() {
    for inside in ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"] {
        for host in ["liar.example", "LIAR.example", "liar.example."] {
            let site = Site::new();
            site.say("/catalog.ttl", "text/turtle", &page(&["a"], ""));
            let fresh = sqlite();
            let (source, port) = source(&site, host);
            // First the world, then inside: the connection goes to the address that was looked at.
            let liar = Liar::new(&[&[WORLD], &[inside]], port);
            let summary = walk(&fresh.store, &source, &liar);
            assert_eq!(liar.asked.load(Ordering::SeqCst), 1, "a name is looked up once");
            assert_eq!(site.asked.load(Ordering::SeqCst), 0, "{host} reached {inside}");
            assert!(!summary.complete, "{summary:?}");
            assert!(states(&fresh.store, "liar").is_empty());
            // The next walk asks anew, and refuses what it is told.
            let summary = walk(&fresh.store, &source, &liar);
            assert_eq!(codes(&summary), ["private-address"], "{summary:?}");
            assert_eq!(site.asked.load(Ordering::SeqCst), 0);
        }
    }
}

#[test]
fn a_name_with_one_address_inside_is_refused_whole() {
    let site = Site::new();
    let (source, port) = source(&site, "liar.example");
    for answer in [[WORLD, "127.0.0.1"], ["127.0.0.1", WORLD]] {
        let fresh = sqlite();
        let summary = walk(&fresh.store, &source, &Liar::new(&[&answer], port));
        assert_eq!(codes(&summary), ["private-address"], "{summary:?}");
    }
    assert_eq!(site.asked.load(Ordering::SeqCst), 0);
}

#[test]
fn a_redirect_is_looked_up_and_looked_at_like_every_address() {
    let site = Site::new();
    let (source, port) = source(&site, "honest.example");
    // `honest.example` may be reached here; the name that it leads to turns inside.
    let source = HarvestSource { allow_private: vec![format!("honest.example:{port}")], ..source };
    let to = format!("http://liar.example:{port}/catalog.ttl");
    site.raw(
        "/catalog.ttl",
        &format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    );
    let fresh = sqlite();
    let liar = Liar::new(&[&["127.0.0.1"], &["127.0.0.1"]], port);
    let summary = walk(&fresh.store, &source, &liar);
    assert_eq!(codes(&summary), ["private-address"], "{summary:?}");
    assert_eq!(site.asked.load(Ordering::SeqCst), 1, "only what was allowed by name was reached");
    assert_eq!(liar.asked.load(Ordering::SeqCst), 2);
}

#[test]
fn what_the_resolver_says_is_where_the_connection_goes() {
    // The name exists in no name server: it is reached by the address that was looked at, or not.
    let site = Site::new();
    site.say("/catalog.ttl", "text/turtle", &page(&["a"], ""));
    let (source, port) = source(&site, "nowhere.invalid");
    let source = HarvestSource { allow_private: vec![format!("nowhere.invalid:{port}")], ..source };
    let fresh = sqlite();
    let summary = walk(&fresh.store, &source, &Liar::new(&[&["127.0.0.1"], &[WORLD]], port));
    assert_eq!((summary.complete, summary.seen), (true, 1), "{summary:?}");
}
