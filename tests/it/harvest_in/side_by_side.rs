//! Several sources at once: bounded, of one host one after another, and with the same outcome as one
//! after another.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::harvest::inbound::Harvester;

use super::{OURS, Site, clock, page, states};
use crate::support::on_both;

#[test]
fn a_slow_source_does_not_hold_up_the_others() {
    on_both(|fresh| {
        let store = &fresh.store;
        let (slow, quick) = (Site::new(), Site::new());
        slow.raw("/catalog.ttl", "silence");
        quick.say("/catalog.ttl", "text/turtle", &page(&["a", "b"], ""));
        // Two names of this machine are two hosts.
        let other = quick.host.replace("127.0.0.1", "localhost");
        let quick_source = HarvestSource {
            url: format!("http://{other}/catalog.ttl"),
            allow_private: vec![other],
            ..quick.source("quick", HarvestKind::Hydra)
        };
        let slow_source = HarvestSource { seconds: 3, ..slow.source("slow", HarvestKind::Hydra) };
        let all = [&slow_source, &quick_source];
        let harvester = Harvester::new(store, OURS, clock);
        let began = Instant::now();
        let walked = std::thread::scope(|scope| {
            let walks = scope.spawn(|| harvester.walk_all(&all, 2).unwrap());
            while states(store, "quick").is_empty() {
                assert!(
                    began.elapsed() < Duration::from_millis(2_500),
                    "it waits for the slow one"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
            walks.join().unwrap()
        });
        let names: Vec<&str> = walked.iter().map(|(source, _)| source.name.as_str()).collect();
        assert_eq!(names, ["slow", "quick"], "in the order of the configuration");
        assert!(!walked[0].1.as_ref().unwrap().complete);
        assert_eq!(walked[1].1.as_ref().unwrap().new, 2);
    });
}

#[test]
fn sources_of_one_host_are_walked_one_after_another() {
    on_both(|fresh| {
        let store = &fresh.store;
        let site = Site::new();
        site.raw("/slow.ttl", "drip");
        site.say("/catalog.ttl", "text/turtle", &page(&["a"], ""));
        let slow = HarvestSource {
            url: format!("{}/slow.ttl", site.base),
            ..site.source("slow", HarvestKind::Hydra)
        };
        let quick = site.source("quick", HarvestKind::Hydra);
        let harvester = Harvester::new(store, OURS, clock);
        std::thread::scope(|scope| {
            scope.spawn(|| harvester.walk_all(&[&slow, &quick], 4).unwrap());
            let began = Instant::now();
            while site.asked.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(5));
                assert!(began.elapsed() < Duration::from_secs(5));
            }
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(site.asked.load(Ordering::SeqCst), 1, "the second one waits");
        });
        assert_eq!(states(store, "quick").len(), 1);
    });
}

#[test]
fn copies_are_told_whoever_is_quicker() {
    on_both(|fresh| {
        let store = &fresh.store;
        // Eight sources that all have the same dataset under another IRI of their own, and say whose
        // it is: one is current, seven are copies of it.
        let sites: Vec<Site> = (0..8).map(|_| Site::new()).collect();
        let sources: Vec<HarvestSource> = sites
            .iter()
            .enumerate()
            .map(|(at, site)| {
                site.say("/catalog.ttl", "text/turtle", &page(&["x"], ""));
                // Hosts of their own, so that they are walked at once.
                let name = format!("s{at}");
                let port = site.host.rsplit(':').next().unwrap();
                let host = format!("{name}.example:{port}");
                HarvestSource {
                    url: format!("http://{host}/catalog.ttl"),
                    allow_private: vec![host],
                    ..site.source(&name, HarvestKind::Hydra)
                }
            })
            .collect();
        let all: Vec<&HarvestSource> = sources.iter().collect();
        let look_up = |_: &str, port: u16, _: Duration| {
            Some(vec![std::net::SocketAddr::from(([127, 0, 0, 1], port))])
        };
        let harvester = Harvester { look_up: &look_up, ..Harvester::new(store, OURS, clock) };
        let walked = harvester.walk_all(&all, 8).unwrap();
        assert_eq!(walked.len(), 8);
        let mut found: Vec<String> = Vec::new();
        for source in &sources {
            found.extend(states(store, &source.name).into_iter().map(|(_, state)| state));
        }
        found.sort();
        let mut expected = vec!["current"];
        expected.extend(["duplicate"; 7]);
        assert_eq!(found, expected);
    });
}
