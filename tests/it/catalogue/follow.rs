//! Open datasets follow the archive, and nothing else does.

use std::collections::BTreeMap;
use std::sync::Arc;

use vesalius::catalogue::{
    Desk, Entry, Format, How, Log as _, OpenDatasets, Shelf as _, State, StoreShelf, Verdict,
    canonical, emit, open_selections, parse, samples,
};
use vesalius::index::Index;
use vesalius::mapping::Context;

use super::{config, now};
use crate::support::{Content, Folder, Fresh, How as Ingesting, ingest, record, set, sqlite};

struct Archive {
    fresh: Fresh,
    index: Arc<Index>,
    desk: Desk,
    folder: tempfile::TempDir,
    open: OpenDatasets,
    files: Folder,
}

fn open_dataset(modality: &str) -> String {
    format!(
        "title.en = \"T\"\ndescription.en = \"D\"\naccess_rights = \"PUBLIC\"\n\
         figures = \"exact\"\nhealth_categories = [\"EHRS\"]\n\n[selection]\nmodality = \
         [\"{modality}\"]\n\n[[distribution]]\naccess_url = \"https://example.org/\"\n"
    )
}

/// Open: CT, MR, and MG that asks for more than it may. Not open: CT.
fn archive() -> Archive {
    let fresh = sqlite();
    let index = Arc::new(Index::open(None, Context::default()));
    let store = Arc::new(fresh.store.clone());
    let desk = Desk::open(&Arc::new(config()), &store, &index, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut archive = Archive {
        fresh,
        index,
        desk,
        folder,
        open: OpenDatasets::default(),
        files: Folder::default(),
    };
    for (study, modality) in [(1, "CT"), (2, "MR"), (3, "CT"), (4, "MG")] {
        archive.put(study, modality);
    }
    archive.take_in();
    for modality in ["CT", "MR", "MG"] {
        archive.write(&modality.to_lowercase(), &open_dataset(modality));
    }
    let samples = samples();
    let closed = samples.iter().find(|(slug, _)| slug == "lung-ldct").unwrap().1;
    archive.write("closed", &closed.replace("body-site = ", "# body-site = "));
    let pass = archive.publish();
    assert!(pass.iter().all(|(_, verdict)| *verdict == Verdict::Published), "{pass:?}");
    archive.write("mg", &open_dataset("MG").replace("\"D\"", "\"D\"\ncolour = \"red\""));
    archive.publish();
    assert!(archive.follow().is_empty(), "nothing changed");
    archive
}

impl Archive {
    /// Writes a file with the one image of a study; the mark is its modification time.
    fn put_as(&mut self, origin: &str, mark: i64, study: u32, modality: &str) {
        let mut image = record(study, study, 1, 1);
        set(&mut image.series, "Modality", modality);
        self.files.put(origin, mark, Content::Dicom(Box::new(image)));
    }

    fn put(&mut self, study: u32, modality: &str) {
        self.put_as(&format!("{study}.dcm"), 1, study, modality);
    }

    fn take_in(&mut self) {
        ingest(&self.fresh.store, &mut self.files, &Ingesting::default());
        self.index.catch_up(&self.fresh.store).unwrap();
    }

    fn write(&self, slug: &str, text: &str) {
        std::fs::write(self.folder.path().join(format!("{slug}.toml")), text).unwrap();
    }

    fn publish(&self) -> Vec<(String, Verdict)> {
        let pass = self.desk.publish_folder(self.folder.path(), How::Publish, now()).unwrap();
        pass.outcomes.into_iter().map(|outcome| (outcome.slug, outcome.verdict)).collect()
    }

    /// What followed the archive, each with what became of it.
    fn follow(&mut self) -> Vec<(String, Verdict)> {
        let outcomes = self.desk.follow(&mut self.open, now()).unwrap();
        self.open.refresh(&self.fresh.store, &config()).unwrap();
        let all = open_selections(&self.desk.shelf, &config()).unwrap();
        assert_eq!(self.open.criteria(), all, "as if everything were read again");
        outcomes.into_iter().map(|outcome| (outcome.slug, outcome.verdict)).collect()
    }

    fn records(&self, slug: &str) -> Option<u64> {
        self.desk.shelf.find(slug).unwrap().unwrap().figures().records
    }

    fn events(&self) -> u64 {
        self.desk.shelf.last_event().unwrap().unwrap().seq
    }

    /// Counting everything from nothing gives what is published.
    fn is_as_counted_from_nothing(&self) {
        let index = Arc::new(Index::open(None, Context::default()));
        index.catch_up(&self.fresh.store).unwrap();
        let store = Arc::new(self.fresh.store.clone());
        let desk = Desk::open(&Arc::new(config()), &store, &index, None).unwrap();
        let pass = desk.publish_folder(self.folder.path(), How::Check, now()).unwrap();
        for outcome in pass.outcomes.iter().filter(|outcome| outcome.slug != "mg") {
            assert_eq!(outcome.verdict, Verdict::Unchanged, "{outcome:#?}");
        }
        assert_eq!(self.index.differences(&self.fresh.store).unwrap(), [""; 0]);
    }
}

#[test]
fn a_new_study_changes_the_open_datasets_that_hold_it_and_no_others() {
    let mut archive = archive();
    let (events, closed) = (archive.events(), archive.desk.shelf.find("closed").unwrap());
    archive.put(5, "CT");
    archive.take_in();
    assert_eq!(archive.follow(), [("ct".to_owned(), Verdict::Published)]);
    assert_eq!((archive.records("ct"), archive.events()), (Some(3), events + 1));
    assert_eq!(archive.desk.shelf.find("closed").unwrap(), closed, "it waits for its release");
    assert!(archive.follow().is_empty());
    archive.is_as_counted_from_nothing();

    // A study that changes its side changes both; one that nobody describes none.
    archive.put_as("1.dcm", 2, 1, "MR");
    archive.put(6, "US");
    archive.take_in();
    let mut followed = archive.follow();
    followed.sort_by(|a, b| a.0.cmp(&b.0));
    let published = |slug: &str| (slug.to_owned(), Verdict::Published);
    assert_eq!(followed, [published("ct"), published("mr")]);
    assert_eq!((archive.records("ct"), archive.records("mr")), (Some(2), Some(2)));
    archive.is_as_counted_from_nothing();
}

#[test]
fn a_refused_description_is_not_published_by_the_way() {
    let mut archive = archive();
    let before = archive.desk.shelf.find("mg").unwrap();
    archive.put(5, "MG");
    archive.take_in();
    assert!(archive.follow().is_empty());
    assert_eq!(archive.desk.shelf.find("mg").unwrap(), before);
}

#[test]
fn what_another_process_withdrew_does_not_come_back() {
    let mut archive = archive();
    archive.write("ct", &format!("withdrawn = true\n{}", open_dataset("CT")));
    let (store, other) =
        (Arc::new(archive.fresh.store.clone()), Arc::new(Index::open(None, Context::default())));
    other.catch_up(&store).unwrap();
    let desk = Desk::open(&Arc::new(config()), &store, &other, None).unwrap();
    desk.publish_folder(archive.folder.path(), How::Publish, now()).unwrap();
    archive.put(5, "CT");
    archive.take_in();
    assert!(archive.follow().is_empty());
    assert_eq!(StoreShelf(store).find("ct").unwrap().unwrap().state, State::Withdrawn);
}

#[test]
fn what_is_said_of_a_study_that_did_not_change_is_noticed() {
    let mut archive = archive();
    let value = |archive: &Archive, slug: &str, metric: &str| {
        let measures = archive.desk.shelf.find(slug).unwrap().unwrap().figures().measures;
        measures.iter().find(|measure| measure.metric == metric).unwrap().value
    };
    let metric = {
        let is_of = |metric: &vesalius::catalogue::Metric| {
            metric.figure.query().contains("sop-instance-repeated")
        };
        archive.desk.release.quality.metrics.iter().find(|metric| is_of(metric)).unwrap().id.clone()
    };
    archive.put(5, "MR");
    archive.take_in();
    assert_eq!(archive.follow(), [("mr".to_owned(), Verdict::Published)]);
    assert_eq!(value(&archive, "mr", &metric), 1.0);
    // The image of the study of MR comes a second time, in another file.
    archive.put_as("again.dcm", 1, 2, "MR");
    archive.take_in();
    // The document says the same, the label does not.
    assert_eq!(archive.follow(), [("mr".to_owned(), Verdict::Unchanged)]);
    assert_eq!(value(&archive, "mr", &metric), 0.5);
    archive.is_as_counted_from_nothing();
}

#[test]
fn a_clinical_record_changes_the_open_datasets_that_it_speaks_of() {
    use super::clinical::{put, write};
    let mut archive = archive();
    let store = archive.fresh.store.clone();
    let rows = store.read(|db| vesalius::store::archive::list_studies(db, &[1, 2, 3, 4])).unwrap();
    // The study of MR is the second.
    let (study, closed) = (rows[1].care_id.clone(), archive.desk.shelf.find("closed").unwrap());
    assert!(!archive.desk.is_written().unwrap());
    put(&store, "a", "psa", "nobody", Some(&study));
    archive.index.catch_up(&store).unwrap();
    assert!(archive.desk.is_written().unwrap());
    assert_eq!(archive.follow(), [("mr".to_owned(), Verdict::Published)]);
    let says = |archive: &Archive| {
        let document = archive.desk.shelf.find("mr").unwrap().unwrap().document;
        document.contains("psa")
    };
    assert!(says(&archive));
    assert!(!archive.desk.is_written().unwrap() && archive.follow().is_empty());
    archive.is_as_counted_from_nothing();
    // What is deleted was about something too.
    write(&store, "a", None);
    archive.index.catch_up(&store).unwrap();
    assert_eq!(archive.follow(), [("mr".to_owned(), Verdict::Published)]);
    assert!(!says(&archive));
    assert_eq!(archive.desk.shelf.find("closed").unwrap(), closed, "it waits for its release");
    archive.is_as_counted_from_nothing();
}

/// The published documents in every form, by slug and suffix.
fn documents(desk: &Desk) -> BTreeMap<String, Vec<u8>> {
    let mut documents = BTreeMap::new();
    for entry in desk.shelf.published(0, 100).unwrap() {
        let graph = parse(&entry.document).unwrap();
        assert_eq!(canonical(&graph), entry.document, "kept as canonical N-Quads");
        for format in Format::ALL {
            let bytes = emit(&graph, *format, &desk.release, "").unwrap();
            documents.insert(format!("{}.{}", entry.slug, format.suffix()), bytes);
        }
    }
    documents
}

/// A store of its own with four studies that came in some order, in batches of some size.
fn built(is_reversed: bool, batch: usize) -> (Fresh, BTreeMap<String, Vec<u8>>, tempfile::TempDir) {
    let fresh = sqlite();
    let mut files = Folder::default();
    for (study, modality) in [(1, "CT"), (2, "MR"), (3, "CT"), (4, "MR")] {
        for instance in 1..=3 {
            let mut image = record(study, study, 1, instance);
            set(&mut image.series, "Modality", modality);
            set(&mut image.series, "Manufacturer", "Invented \"é\"\t<&> Ελλάδα");
            files.put(&format!("{study}-{instance}.dcm"), 1, Content::Dicom(Box::new(image)));
        }
    }
    if is_reversed {
        files.files.reverse();
    }
    ingest(&fresh.store, &mut files, &Ingesting { batch, ..Ingesting::default() });
    let folder = tempfile::tempdir().unwrap();
    for modality in ["CT", "MR"] {
        let place = folder.path().join(format!("{}.toml", modality.to_lowercase()));
        std::fs::write(place, open_dataset(modality)).unwrap();
    }
    let documents = published(&fresh, &folder, Verdict::Published);
    (fresh, documents, folder)
}

/// What a process that starts now publishes and serves; every description must end so.
fn published(
    fresh: &Fresh,
    folder: &tempfile::TempDir,
    verdict: Verdict,
) -> BTreeMap<String, Vec<u8>> {
    let store = Arc::new(fresh.store.clone());
    let index = Arc::new(Index::open(None, Context::default()));
    index.catch_up(&store).unwrap();
    let desk = Desk::open(&Arc::new(config()), &store, &index, None).unwrap();
    let pass = desk.publish_folder(folder.path(), How::Publish, now()).unwrap();
    assert!(pass.outcomes.iter().all(|outcome| outcome.verdict == verdict), "{pass:#?}");
    documents(&desk)
}

#[test]
fn two_builds_a_rebuild_and_a_restart_give_the_same_bytes() {
    let (fresh, first, folder) = built(false, 100);
    assert_eq!(first.len(), 2 * Format::ALL.len());
    let (_other, second, _folder) = built(true, 2);
    assert_eq!(first, second, "another store, another order, other batches");
    assert_eq!(published(&fresh, &folder, Verdict::Unchanged), first, "after a restart");
    // The views are thrown away: documents are made from what is kept, and figures from nothing.
    let store = Arc::new(fresh.store.clone());
    let index = Arc::new(Index::open(None, Context::default()));
    index.rebuild(&store).unwrap();
    let desk = Desk::open(&Arc::new(config()), &store, &index, None).unwrap();
    for entry in desk.shelf.published(0, 10).unwrap() {
        assert_eq!(desk.publisher().remake(&entry), entry.document, "{}", entry.slug);
        let emptied = Entry { document: String::new(), ..entry };
        desk.shelf.put(&emptied).unwrap();
        desk.shelf.put(&Entry { document: desk.publisher().remake(&emptied), ..emptied }).unwrap();
    }
    assert_eq!(documents(&desk), first, "after deleting and rebuilding");
}
