//! Catalogues that others run: another vesalius by its listing and its FAIR Data Point, and CKAN's
//! pages as ckanext-dcat writes them.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;

use vesalius::app::Server;
use vesalius::auth::Keys;
use vesalius::catalogue::{Gate, Publisher, Shelf as _, StoreShelf, samples};
use vesalius::config::{HarvestKind, HarvestSource};
use vesalius::harvest::inbound::{Summary, harvest};
use vesalius::index::Index;
use vesalius::mapping::Context;
use vesalius::node::Node;
use vesalius::store::Store;
use vesalius::store::harvested::list_harvested;

use super::{OURS, Site, clock, codes, page, states, walk};
use crate::catalogue::{Played, config, now, release};
use crate::support::sqlite;

/// Another node with the three sample datasets, one on each page of its listing; its shelf.
fn peer(data: &std::path::Path, listener: TcpListener) -> (Server, StoreShelf) {
    let mut config = config();
    config.server.public_url = format!("http://{}", listener.local_addr().unwrap());
    config.server.workers = 1;
    config.catalogue.page_size = 1;
    let store = Arc::new(Store::open(data, "").unwrap());
    let keys = Keys::open(data, &store).unwrap();
    let context = Context::new(&config, &keys.pseudonym).unwrap();
    let index = Arc::new(Index::open(None, context.clone()));
    let release = release();
    let gate = Gate::load(&release).unwrap();
    let publisher = Publisher { config: &config, release: &release, gate: &gate };
    let shelf = StoreShelf(Arc::clone(&store));
    for (slug, text) in samples() {
        let file = format!("{slug}.toml");
        publisher.publish(&file, text, &Played::default(), &shelf, now()).unwrap();
    }
    let node = Node {
        config: Arc::new(config),
        keys,
        store,
        index,
        context,
        descriptions: data.join("descriptions"),
        exports: data.join("exports"),
    };
    (Server::bind(node, listener).unwrap(), shelf)
}

async fn walked(store: &Store, source: &HarvestSource) -> Summary {
    let (store, source) = (store.clone(), source.clone());
    // The walk blocks, which a thread that answers may not.
    actix_web::web::block(move || harvest(&store, &source, OURS, clock).unwrap()).await.unwrap()
}

#[actix_web::test]
async fn another_vesalius_is_harvested_whole_by_each_of_its_doors() {
    let data = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (server, shelf) = peer(data.path(), listener);
    let handle = server.handle();
    let running = actix_web::rt::spawn(server.run());
    for (name, kind, path) in [
        ("hydra", HarvestKind::Hydra, "/catalog"),
        ("hydra-jsonld", HarvestKind::Hydra, "/catalog.jsonld"),
        ("hydra-rdf", HarvestKind::Hydra, "/catalog.rdf"),
        ("fdp", HarvestKind::Fdp, "/fdp"),
        ("one", HarvestKind::Dcat, "/dataset/lung-ldct.nt"),
    ] {
        let fresh = sqlite();
        let source = HarvestSource {
            name: name.to_owned(),
            url: format!("http://{host}{path}"),
            kind,
            namespaces: vec![format!("http://{host}/")],
            allow_private: vec![host.clone()],
            ..HarvestSource::default()
        };
        let summary = walked(&fresh.store, &source).await;
        let whole = if kind == HarvestKind::Dcat { 1 } else { samples().len() };
        assert!(summary.complete && summary.troubles.is_empty(), "{name}: {summary:#?}");
        assert_eq!((summary.new, summary.seen, summary.refused), (whole, whole, 0), "{name}");
        for row in fresh.store.read(|db| list_harvested(db, name, "", 10)).unwrap() {
            let slug = row.iri.rsplit('/').next().unwrap();
            let published = shelf.find(slug).unwrap().unwrap().document;
            // A listing says more of what all datasets share; of the dataset it says the same. What
            // a document says of others' things (labels of vocabularies) is not the source's to say.
            let of = |text: &str, start: &str| -> BTreeSet<String> {
                let lines = text.lines().filter(|line| line.starts_with(start));
                lines.map(str::to_owned).collect()
            };
            let own = format!("<{}", row.iri);
            let (kept, published_own) = (of(&row.document, &own), of(&published, &own));
            // Only the listing, which describes the series, says that the dataset is in one.
            let other = kept.symmetric_difference(&published_own);
            let other: Vec<_> = other.filter(|line| !line.contains("dcat#inSeries")).collect();
            assert!(other.is_empty(), "{name}: {slug}: {other:#?}");
            let ours = format!("<http://{host}/");
            assert!(of(&row.document, &ours).is_superset(&of(&published, &ours)), "{name}: {slug}");
            assert!(of(&row.document, "<http").is_subset(&of(&row.document, &ours)));
        }
        let again = walked(&fresh.store, &source).await;
        assert_eq!((again.unchanged, again.changed, again.missing), (whole, 0, 0), "{name}");
        assert!(again.unchanged_pages > 0, "{name}: nothing was answered with 304");
    }
    // A dataset that its holder withdraws is gone at once where its address says so, else by and by.
    handle.stop(false).await;
    running.await.unwrap().unwrap();
}

/// A page of CKAN's `catalog.ttl` with ckanext-dcat 2.4: `hydra:PagedCollection` with its links as
/// literals, datasets below `/dataset/{uuid}`, agents and contact points as blank nodes.
fn ckan(number: usize, last: usize) -> String {
    let id = format!("0f5e1d6c-0000-4000-8000-{number:012}");
    let next = match number < last {
        true => format!("hydra:nextPage \"BASE/catalog.ttl?page={}\" ;", number + 1),
        false => String::new(),
    };
    page(
        &[],
        &format!(
            "@prefix foaf: <http://xmlns.com/foaf/0.1/> . @prefix vcard: <http://www.w3.org/2006/vcard/ns#> .\n\
             <BASE/catalog.ttl?page={number}> a hydra:PagedCollection ; {next}\n\
             hydra:firstPage \"BASE/catalog.ttl?page=1\" ; hydra:lastPage \"BASE/catalog.ttl?page={last}\" ;\n\
             hydra:itemsPerPage 1 ; hydra:totalItems {last} .\n\
             <BASE> a dcat:Catalog ; dcat:dataset <BASE/d/{id}> .\n\
             <BASE/d/{id}> a dcat:Dataset ; dct:title \"Set {number}\" ; dct:description \"d\" ;\n\
             dct:identifier \"{id}\" ; dcat:contactPoint [ a vcard:Kind ; vcard:fn \"Office\" ] ;\n\
             dct:publisher <BASE/organization/1> ; dcat:distribution <BASE/d/{id}/resource/1> .\n\
             <BASE/organization/1> a foaf:Agent ; foaf:name \"A hospital (synthetic)\" .\n\
             <BASE/d/{id}/resource/1> a dcat:Distribution ; dcat:accessURL <BASE/d/{id}> ."
        ),
    )
}

#[test]
fn ckans_pages_are_walked_by_their_links_to_the_end() {
    let (fresh, site) = (sqlite(), Site::new());
    for number in 1..=7 {
        let path = format!("/catalog.ttl?page={number}");
        site.say(&path, "text/turtle; charset=utf-8", &ckan(number, 7));
    }
    site.say("/catalog.ttl", "text/turtle; charset=utf-8", &ckan(1, 7));
    let source = site.source("ckan", HarvestKind::Ckan);
    let summary = walk(&fresh.store, &source);
    assert!(summary.complete && codes(&summary).is_empty(), "{summary:?}");
    assert_eq!((summary.new, summary.pages), (7, 7));
    assert!(states(&fresh.store, "ckan").iter().all(|(_, state)| state == "current"));
    let kept = fresh.store.read(|db| list_harvested(db, "ckan", "", 1)).unwrap().remove(0);
    assert!(kept.document.contains("Office") && kept.document.contains("_:b"), "{}", kept.document);
    // The publisher has an address outside the source's namespaces: named, and not described by it.
    assert!(!kept.document.contains("A hospital"), "{}", kept.document);
    assert_eq!(summary.foreign_statements, 7 * 2);
    assert_eq!(walk(&fresh.store, &source).unchanged, 7);
}
