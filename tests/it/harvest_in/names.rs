//! The names that a dataset keeps across catalogues: copies are known as copies, whoever comes
//! first, and a dataset that was renamed is the same.

use vesalius::catalogue::samples;
use vesalius::config::HarvestKind;
use vesalius::store::harvested::{self, HarvestedRow};

use super::{OURS, Site, page, states, walk};
use crate::support::{Fresh, on_both, sqlite};

fn rows(fresh: &Fresh, source: &str) -> Vec<HarvestedRow> {
    fresh.store.read(|db| harvested::list_harvested(db, source, "", 100)).unwrap()
}

/// What the next catalogue makes of a dataset (HealthDCAT-AP Release 8, usage note of
/// `dct:identifier`): an IRI and an identifier of its own, the original in `adms:identifier`.
fn renamed(name: &str, original: &str) -> String {
    format!(
        "@prefix adms: <http://www.w3.org/ns/adms#> .\n\
         @prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n\
         <BASE/d/{name}> a dcat:Dataset ; dct:title \"t\"@en ; dct:description \"d\"@en ;\n\
         dct:identifier \"BASE/d/{name}\" ;\n\
         adms:identifier [ a adms:Identifier ; skos:notation \"{original}\" ] .\n"
    )
}

#[test]
fn a_copy_gives_way_to_the_original_whoever_comes_first() {
    on_both(|fresh| {
        let (origin, national) = (Site::new(), Site::new());
        let name = format!("{}/d/a", origin.base);
        origin.say("/catalog.ttl", "text/turtle", &page(&["a"], ""));
        national.say("/catalog.ttl", "text/turtle", &page(&[], &renamed("17", &name)));
        let (first, second) = (
            national.source("a-national", HarvestKind::Dcat),
            origin.source("b-origin", HarvestKind::Dcat),
        );
        assert_eq!(walk(&fresh.store, &first).new, 1);
        let copy = |fresh: &Fresh| states(&fresh.store, "a-national")[0].1.clone();
        assert_eq!(copy(fresh), "current", "nobody else has it yet");
        let summary = walk(&fresh.store, &second);
        assert_eq!((summary.new, summary.duplicates), (1, 0), "{summary:?}");
        assert_eq!(states(&fresh.store, "b-origin")[0].1, "current");
        assert_eq!(copy(fresh), "duplicate", "the original stays, not the first");
        for _ in 0..2 {
            let again = walk(&fresh.store, &first);
            assert_eq!((again.duplicates, copy(fresh).as_str()), (1, "duplicate"), "{again:?}");
            assert_eq!(walk(&fresh.store, &second).unchanged, 1);
        }
        // The original goes: the copy is what there is.
        origin.say("/catalog.ttl", "text/turtle", &page(&["b"], ""));
        walk(&fresh.store, &second);
        walk(&fresh.store, &second);
        assert_eq!(states(&fresh.store, "b-origin")[0].1, "gone");
        walk(&fresh.store, &first);
        assert_eq!(copy(fresh), "current");
    });
}

#[test]
fn nobody_takes_anothers_place_by_saying_its_name_first() {
    let fresh = sqlite();
    let (origin, thief) = (Site::new(), Site::new());
    let name = format!("{}/d/a", origin.base);
    let claim = page(&["x"], &format!("<BASE/d/x> dct:identifier \"{name}\" ."));
    thief.say("/catalog.ttl", "text/turtle", &claim);
    origin.say("/catalog.ttl", "text/turtle", &page(&["a"], ""));
    walk(&fresh.store, &thief.source("a-thief", HarvestKind::Dcat));
    for _ in 0..2 {
        walk(&fresh.store, &origin.source("origin", HarvestKind::Dcat));
        assert_eq!(states(&fresh.store, "origin")[0].1, "current");
        walk(&fresh.store, &thief.source("a-thief", HarvestKind::Dcat));
        assert_eq!(states(&fresh.store, "a-thief")[0].1, "duplicate");
    }
    // A local number is no name: two catalogues may both have a dataset 17.
    for (site, source) in [(&origin, "origin"), (&thief, "a-thief")] {
        let local = page(&[source], "").replace("urn:example:", "17-");
        site.say("/catalog.ttl", "text/turtle", &local.replace(&format!("17-{source}"), "17"));
        let summary = walk(&fresh.store, &site.source(source, HarvestKind::Dcat));
        assert_eq!((summary.new, summary.duplicates), (1, 0), "{summary:?}");
    }
}

#[test]
fn a_copy_of_our_own_dataset_is_known_as_ours() {
    use vesalius::catalogue::{Publisher, Shelf as _, StoreShelf};
    let fresh = sqlite();
    let (config, release) = (crate::catalogue::config(), crate::catalogue::release());
    let gate = vesalius::catalogue::Gate::load(&release).unwrap();
    let publisher = Publisher { config: &config, release: &release, gate: &gate };
    let shelf = StoreShelf(std::sync::Arc::new(fresh.store.clone()));
    let samples = samples();
    let (slug, text) = samples.iter().find(|(slug, _)| *slug == "lung-ldct").unwrap();
    let file = format!("{slug}.toml");
    let played = crate::catalogue::Played::default();
    publisher.publish(&file, text, &played, &shelf, crate::catalogue::now()).unwrap();
    let document = shelf.find(slug).unwrap().unwrap().document;
    // We say our own name twice, so that it survives the next catalogue: it may overwrite the one.
    let ours = format!("{OURS}{slug}");
    assert!(document.contains(&format!("<http://purl.org/dc/terms/identifier> \"{ours}\"")));
    assert!(document.contains("<http://www.w3.org/ns/adms#identifier>"));
    assert!(
        document.contains(&format!("<http://www.w3.org/2004/02/skos/core#notation> \"{ours}\""))
    );
    let national = Site::new();
    // The copy as the next catalogue makes it: our triples under its own IRI.
    let theirs = format!("{}/d/77", national.base);
    let copy: String = document
        .lines()
        .map(|line| match line.strip_prefix(&format!("<{ours}> ")) {
            Some(rest) if rest.contains("terms/identifier>") => {
                format!("<{theirs}> <http://purl.org/dc/terms/identifier> \"{theirs}\" .\n")
            }
            Some(rest) => format!("<{theirs}> {}\n", rest.replace(&ours, &theirs)),
            None => format!("{}\n", line.replacen(&format!("<{ours}#"), &format!("<{theirs}#"), 2)),
        })
        .collect();
    national.say("/catalog.ttl", "application/n-triples", &copy);
    let mut source = national.source("national", HarvestKind::Dcat);
    source.namespaces = vec![format!("{}/d/", national.base)];
    let summary = walk(&fresh.store, &source);
    assert_eq!((summary.seen, summary.duplicates), (1, 1), "{summary:?}");
    let row = rows(&fresh, "national").remove(0);
    assert_eq!(row.state, "duplicate");
    assert!(row.report.contains("our own dataset `lung-ldct`"), "{}", row.report);
}

#[test]
fn a_copy_of_our_own_dataset_is_known_by_each_of_its_names_in_each_spelling() {
    use vesalius::catalogue::{Publisher, StoreShelf};
    let fresh = sqlite();
    let (config, release) = (crate::catalogue::config(), crate::catalogue::release());
    let gate = vesalius::catalogue::Gate::load(&release).unwrap();
    let publisher = Publisher { config: &config, release: &release, gate: &gate };
    let shelf = StoreShelf(std::sync::Arc::new(fresh.store.clone()));
    let samples = samples();
    let (slug, text) = samples.iter().find(|(slug, _)| *slug == "lung-ldct").unwrap();
    let national = Site::new();
    let handed = format!("{}/d/origin", national.base);
    let named = format!(
        "identifiers = [\"10.5281/Zenodo.77\", \"{handed}\"]\nformerly = [\"lung-old\"]\n{text}"
    );
    let played = crate::catalogue::Played::default();
    publisher
        .publish(&format!("{slug}.toml"), &named, &played, &shelf, crate::catalogue::now())
        .unwrap();
    let source = national.source("national", HarvestKind::Dcat);
    for (name, is_copy) in [
        ("10.5281/zenodo.77", true),
        ("doi:10.5281/zenodo.77", true),
        ("https://doi.org/10.5281/zenodo.77", true),
        ("http://dx.doi.org/10.5281/ZENODO.77", true),
        (&*format!("{OURS}lung-old"), true),
        ("10.5281/zenodo.78", false),
        ("zenodo.77", false),
    ] {
        let more = format!("<BASE/d/4> dct:identifier \"{name}\" .");
        site_says(&national, &page(&["4"], &more));
        let summary = walk(&fresh.store, &source);
        assert_eq!(summary.duplicates, usize::from(is_copy), "{name}: {summary:?}");
        let row = rows(&fresh, "national").remove(0);
        assert_eq!(row.report.contains("our own dataset `lung-ldct`"), is_copy, "{}", row.report);
    }
    // The one whose name we hand on is the original.
    site_says(&national, &page(&["origin"], ""));
    assert_eq!(walk(&fresh.store, &source).duplicates, 0);
    // Two sources spell a DOI of theirs each in its own way.
    let other = Site::new();
    let doi = |site: &Site, name: &str, doi: &str| {
        site_says(site, &page(&[name], &format!("<BASE/d/{name}> dct:identifier \"{doi}\" .")));
    };
    doi(&national, "n", "10.5281/zenodo.99");
    doi(&other, "o", "https://doi.org/10.5281/ZENODO.99");
    assert_eq!(walk(&fresh.store, &source).duplicates, 0);
    let second = other.source("other", HarvestKind::Dcat);
    assert_eq!(walk(&fresh.store, &second).duplicates, 1);
}

fn site_says(site: &Site, body: &str) {
    site.say("/catalog.ttl", "text/turtle", body);
}

#[test]
fn a_dataset_that_its_source_renamed_is_gone_under_the_old_name_at_once() {
    let (fresh, site) = (sqlite(), Site::new());
    let source = site.source("one", HarvestKind::Dcat);
    site.say("/catalog.ttl", "text/turtle", &page(&["a", "b"], ""));
    walk(&fresh.store, &source);
    let old = format!("{}/d/a", site.base);
    site.say("/catalog.ttl", "text/turtle", &page(&["b"], &renamed("c", &old)));
    let summary = walk(&fresh.store, &source);
    assert_eq!((summary.new, summary.missing, summary.gone), (1, 1, 1), "{summary:?}");
    let states: Vec<String> = rows(&fresh, "one").into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["gone", "current", "current"]);
    assert!(rows(&fresh, "one")[0].report.starts_with("renamed: "));
}
