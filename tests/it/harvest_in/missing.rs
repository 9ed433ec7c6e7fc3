//! What a source no longer has: a page that says nothing is no word of it, too much at once is not
//! believed, and what the source says at the address of a dataset is.

use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::harvest::inbound::{Harvester, Summary};
use vesalius::store::Store;
use vesalius::store::harvested::list_harvested;

use super::{OURS, PREFIXES, Site, clock, codes, page, walk};
use crate::support::{on_both, sqlite};

fn listing(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|number| format!("n{number:03}")).collect();
    page(&names.iter().map(String::as_str).collect::<Vec<_>>(), "")
}

fn prune(store: &Store, source: &HarvestSource) -> Summary {
    let mut harvester = Harvester::new(store, OURS, clock);
    harvester.prune = true;
    harvester.walk_all(&[source], 1).unwrap().pop().unwrap().1.unwrap()
}

fn count(store: &Store, state: &str) -> usize {
    let rows = store.read(|db| list_harvested(db, "one", "", 1_000)).unwrap();
    rows.iter().filter(|row| row.state == state).count()
}

#[test]
fn an_answer_that_names_nothing_deletes_nothing() {
    on_both(|fresh| {
        let site = Site::new();
        let of = |kind| HarvestSource { gone_after: 1, ..site.source("one", kind) };
        site.say("/catalog.ttl", "text/turtle", &page(&["a", "b"], ""));
        assert!(walk(&fresh.store, &of(HarvestKind::Dcat)).complete);
        let nothing = format!("{PREFIXES}<BASE/c> dct:title \"Not now\" .");
        for body in ["", PREFIXES, &nothing] {
            site.say("/catalog.ttl", "text/turtle", body);
            for kind in [HarvestKind::Dcat, HarvestKind::Hydra, HarvestKind::Ckan, HarvestKind::Fdp]
            {
                let summary = walk(&fresh.store, &of(kind));
                assert_eq!(codes(&summary), ["empty"], "{kind:?} {body}");
                assert_eq!((summary.complete, summary.missing), (false, 0), "{kind:?} {body}");
            }
        }
        // Nor does one in the middle, where the links to the others were.
        site.say("/catalog.ttl", "text/turtle", &page(&["a"], "<BASE/c> hydra:next <?page=2> ."));
        site.say("/catalog.ttl?page=2", "text/turtle", "");
        let summary = walk(&fresh.store, &of(HarvestKind::Hydra));
        assert_eq!((summary.complete, summary.missing), (false, 0), "{summary:?}");
        // A catalogue that says that it is empty is one.
        site.say("/catalog.ttl", "text/turtle", &format!("{PREFIXES}<BASE/c> a dcat:Catalog ."));
        let summary = walk(&fresh.store, &of(HarvestKind::Dcat));
        assert_eq!((summary.complete, summary.gone), (true, 2), "{summary:?}");
    });
}

#[test]
fn too_much_at_once_is_kept_until_the_operator_says_that_it_is_gone() {
    on_both(|fresh| {
        let (store, site) = (&fresh.store, Site::new());
        let source = site.source("one", HarvestKind::Dcat);
        let say = |count| site.say("/catalog.ttl", "text/turtle", &listing(count));
        say(200);
        assert_eq!(walk(store, &source).new, 200);
        // A tenth may vanish, and goes after two walks.
        say(180);
        let first = walk(store, &source);
        assert_eq!((first.missing, first.gone, first.kept_vanished), (20, 0, 0), "{first:?}");
        assert_eq!(walk(store, &source).gone, 20);
        // 19 of 180 may not, however often they are missed.
        say(161);
        for _ in 0..4 {
            let much = walk(store, &source);
            assert!(much.complete && codes(&much) == ["vanished"], "{much:?}");
            assert_eq!((much.missing, much.gone, much.kept_vanished), (19, 0, 19), "{much:?}");
        }
        assert_eq!(count(store, "current"), 180);
        // The source may say how much it loses.
        let loose = HarvestSource { may_vanish_percent: 50, ..source.clone() };
        assert_eq!(walk(store, &loose).kept_vanished, 0);
        say(180);
        assert_eq!(walk(store, &source).unchanged, 180);
        // The operator says so.
        say(20);
        assert_eq!(walk(store, &source).kept_vanished, 160);
        let pruned = prune(store, &source);
        assert_eq!((pruned.missing, pruned.gone, pruned.kept_vanished), (160, 160, 0));
        assert_eq!((count(store, "current"), count(store, "gone")), (20, 180));
        // Ten may always be.
        say(10);
        assert_eq!(walk(store, &source).kept_vanished, 0);
        assert_eq!(walk(store, &source).gone, 10);
    });
}

#[test]
fn a_dataset_that_no_list_names_is_asked_for_and_gone_at_once_when_it_says_so() {
    let (fresh, site) = (sqlite(), Site::new());
    let empty = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    let source = HarvestSource { pages: 400, ..site.source("one", HarvestKind::Hydra) };
    site.say("/catalog.ttl", "text/turtle", &listing(200));
    walk(&fresh.store, &source);
    for number in 195..200 {
        site.raw(&format!("/d/n{number}"), &format!("HTTP/1.1 410 Gone\r\n{empty}"));
    }
    // A redirect is held to the rules of every address, and what still answers is missed as ever.
    let inside = format!("HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n{empty}");
    site.raw("/d/n194", &inside);
    site.say("/d/n193", "text/turtle", &page(&["n193"], ""));
    site.say("/catalog.ttl", "text/turtle", &listing(190));
    let summary = walk(&fresh.store, &source);
    assert!(summary.complete, "{summary:?}");
    assert_eq!((summary.missing, summary.gone, summary.pages), (10, 5, 11), "{summary:?}");
    assert_eq!(codes(&summary), ["status"; 5]);
    assert_eq!(count(&fresh.store, "gone"), 5);
    // However many there are, no more than a hundred are asked for; what they say is believed.
    for number in 0..195 {
        site.raw(&format!("/d/n{number:03}"), &format!("HTTP/1.1 410 Gone\r\n{empty}"));
    }
    site.say("/catalog.ttl", "text/turtle", &listing(1));
    let summary = walk(&fresh.store, &source);
    assert_eq!((summary.pages, summary.gone, summary.kept_vanished), (101, 105, 89), "{summary:?}");
}
