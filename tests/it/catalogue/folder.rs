//! The steward's folder over a real store and index: what is missing, unreadable, open or only
//! partly open, and what a refusal must close.

use std::path::Path;
use std::sync::Arc;

use jiff::ToSpan as _;
use vesalius::actor::{Actor, Role};
use vesalius::catalogue::{
    Desk, Facts as _, How, Pass, Selection, Shelf as _, State, Verdict, history, stamp_folder,
};
use vesalius::imaging::Facet;
use vesalius::index::{Index, Query};
use vesalius::mapping::Context;

use super::{config, now};
use crate::support::{Folder, Fresh, How as Ingesting, ingest, record, set, sqlite};

/// Three studies of three persons: MR with a report, MR with a report, MR alone.
struct House {
    _fresh: Fresh,
    index: Arc<Index>,
    desk: Desk,
    folder: tempfile::TempDir,
}

fn house() -> House {
    let fresh = sqlite();
    let mut records = Vec::new();
    for study in 1..=3 {
        let mut image = record(study, study, 1, 1);
        set(&mut image.series, "Modality", "MR");
        set(&mut image.series, "BodyPartExamined", "PROSTATE");
        records.push(image);
        if study < 3 {
            let mut report = record(study, study, 2, 1);
            set(&mut report.series, "Modality", "SR");
            set(&mut report.series, "BodyPartExamined", "NO PART OF A BODY");
            records.push(report);
        }
    }
    ingest(&fresh.store, &mut Folder::of(&records), &Ingesting::default());
    let index = Arc::new(Index::open(None, Context::default()));
    index.catch_up(&fresh.store).unwrap();
    let store = Arc::new(fresh.store.clone());
    let desk = Desk::open(&Arc::new(config()), &store, &index, None).unwrap();
    House { _fresh: fresh, index, desk, folder: tempfile::tempdir().unwrap() }
}

impl House {
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn publish(&self, how: How) -> Pass {
        self.desk.publish_folder(self.folder.path(), how, now()).unwrap()
    }

    fn state(&self, slug: &str) -> State {
        self.desk.shelf.find(slug).unwrap().unwrap().state
    }

    /// Numbers of the studies that a researcher may read.
    fn open(&self) -> Vec<u32> {
        let researcher = Actor::new("test", Role::Researcher);
        self.index.read().search(&researcher, &Query::All).iter().collect()
    }
}

fn open_dataset(selection: &str) -> String {
    format!(
        "title.en = \"T\"\ndescription.en = \"D\"\naccess_rights = \"PUBLIC\"\n\
         figures = \"exact\"\nhealth_categories = [\"EHRS\"]\n\n[selection]\n{selection}\n\n\
         [[distribution]]\naccess_url = \"https://example.org/\"\n"
    )
}

#[test]
fn a_refusal_keeps_no_more_open_than_the_newest_description_asks_for() {
    let all = open_dataset("modality = [\"MR\", \"SR\"]");
    let closing = [
        all.replace("\"PUBLIC\"", "\"RESTRICTED\""),
        all.replace("\"PUBLIC\"", "\"NONPUBLIC\""),
        all.replace("access_rights = \"PUBLIC\"\n", ""),
        format!("withdrawn = true\ncolour = \"red\"\n{all}"),
        all.replace("\"exact\"", "\"disclosed\"\ncolour = \"red\""),
        // A slip of syntax hides no line that closes.
        format!("{}bad = [\n", all.replace("\"PUBLIC\"", "\"RESTRICTED\"")),
        format!("withdrawn = true\n{all}bad = [\n"),
    ];
    for newest in closing {
        let house = house();
        house.write("x.toml", &all);
        assert_eq!(house.publish(How::Publish).outcomes[0].verdict, Verdict::Published);
        assert_eq!(house.open().len(), 3);
        house.write("x.toml", &newest);
        let checked = house.publish(How::Check).outcomes.remove(0);
        assert_eq!(checked.verdict, Verdict::Refused);
        let says = |one: &vesalius::catalogue::Problem| one.rule.contains("dataset is withdrawn");
        assert!(!checked.problems.iter().any(says), "a check withdraws nothing: {checked:#?}");
        assert_eq!(house.state("x"), State::Published, "a check keeps nothing");
        for _ in 0..2 {
            let outcome = house.publish(How::Publish).outcomes.remove(0);
            assert_eq!(outcome.verdict, Verdict::Refused, "{newest}");
            let told = |problem: &vesalius::catalogue::Problem| problem.rule.contains("withdrawn");
            assert!(outcome.problems.iter().any(told), "{newest}: {outcome:#?}");
            let entry = house.desk.shelf.find("x").unwrap().unwrap();
            assert!(entry.report().iter().any(told));
            assert_eq!((entry.state, entry.figures().is_exact), (State::Withdrawn, false));
            assert!(!entry.document.contains("numberOfRecords"));
            assert_eq!(house.desk.publisher().remake(&entry), entry.document);
        }
        assert!(house.open().is_empty(), "{newest}");
        house.write("x.toml", &all);
        assert_eq!(house.publish(How::Publish).outcomes[0].verdict, Verdict::Published);
        assert_eq!(house.open().len(), 3);
    }
}

#[test]
fn a_slip_of_syntax_withdraws_nothing() {
    let all = open_dataset("modality = [\"MR\", \"SR\"]");
    let house = house();
    house.write("x.toml", &all);
    house.publish(How::Publish);
    let before = house.desk.shelf.find("x").unwrap().unwrap();
    for newest in [
        format!("{all}bad = [\n"),
        all.replace("[selection]", "[selection"),
        all.replace("title.en = \"T\"", "title.en = \"T"),
        // An editor that empties a file before it writes it.
        String::new(),
    ] {
        house.write("x.toml", &newest);
        let outcome = house.publish(How::Publish).outcomes.remove(0);
        assert_eq!(outcome.verdict, Verdict::Refused, "{newest}");
        assert!(outcome.problems.iter().all(|one| !one.rule.contains("withdrawn")), "{outcome:#?}");
        let entry = house.desk.shelf.find("x").unwrap().unwrap();
        assert_eq!((entry.state, &entry.document), (State::Published, &before.document));
        assert!(!entry.report().is_empty());
        assert_eq!(house.open().len(), 3, "{newest}");
    }
    // What an earlier refusal narrowed stays narrow.
    let narrow = open_dataset("modality = [\"MR\"]").replace("\"D\"", "\"D\"\ncolour = \"red\"");
    for newest in [narrow.clone(), format!("{narrow}bad = [\n")] {
        house.write("x.toml", &newest);
        house.publish(How::Publish);
        assert_eq!(house.open().len(), 1, "{newest}");
    }
}

#[test]
fn a_refusal_that_is_still_public_keeps_the_document_and_opens_only_what_both_select() {
    let house = house();
    let all = open_dataset("modality = [\"MR\", \"SR\"]");
    house.write("x.toml", &all);
    house.publish(How::Publish);
    let newest = open_dataset("modality = [\"MR\"]").replace("\"D\"", "\"D\"\ncolour = \"red\"");
    for (newest, open) in [
        (all.replace("\"D\"", "\"D\"\ncolour = \"red\""), 3),
        (newest.clone(), 1),
        (newest.replace("modality", "modalty"), 0),
    ] {
        house.write("x.toml", &newest);
        assert_eq!(house.publish(How::Publish).outcomes[0].verdict, Verdict::Refused);
        assert_eq!((house.state("x"), house.open().len()), (State::Published, open), "{newest}");
        assert_eq!(house.desk.shelf.find("x").unwrap().unwrap().figures().records, Some(3));
    }
    house.write("x.toml", &all);
    assert_eq!(house.publish(How::Publish).outcomes[0].verdict, Verdict::Unchanged);
    assert_eq!(house.open().len(), 3);
}

#[test]
fn a_dataset_without_a_file_is_named_and_withdrawn_only_on_request() {
    let house = house();
    house.write("x.toml", open_dataset("modality = [\"MR\", \"SR\"]"));
    house.publish(How::Publish);
    std::fs::remove_file(house.folder.path().join("x.toml")).unwrap();
    for how in [How::Check, How::Publish] {
        let pass = house.publish(how);
        assert_eq!((pass.outcomes.len(), pass.missing), (0, vec!["x".to_owned()]));
        assert_eq!((house.state("x"), house.open().len()), (State::Published, 3));
    }
    let pass = house.publish(How::WithdrawMissing);
    assert_eq!((pass.outcomes[0].verdict, pass.missing.len()), (Verdict::Withdrawn, 0));
    assert_eq!((house.state("x"), house.open().len()), (State::Withdrawn, 0));
    assert_eq!(house.publish(How::Publish), Pass::default());
    let nowhere = house.desk.publish_folder(Path::new("/no such folder"), How::Publish, now());
    assert_eq!(nowhere.unwrap(), Pass::default());
}

#[test]
fn a_file_that_cannot_be_read_stops_no_other() {
    let house = house();
    house.write("a.toml", b"title.en = \"caf\xe9\"");
    house.write("b.toml", open_dataset("modality = [\"MR\", \"SR\"]"));
    std::fs::write(house.folder.path().join("notes.txt"), [0xff]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", house.folder.path().join("c.toml")).unwrap();
    let pass = house.publish(How::Publish);
    let verdict = |slug: &str| {
        pass.outcomes.iter().find(|outcome| outcome.slug == slug).map(|outcome| outcome.verdict)
    };
    assert_eq!(verdict("a"), Some(Verdict::Refused));
    assert_eq!(verdict("b"), Some(Verdict::Published));
    #[cfg(unix)]
    assert_eq!(verdict("c"), Some(Verdict::Refused));
    assert!(pass.outcomes[0].refusals[0].to_string().contains("UTF-8"), "{pass:#?}");
    assert_eq!(house.state("a"), State::Failed);
    // Nobody knows what it says now: what it said stays.
    house.write("b.toml", [0xff]);
    house.publish(How::Publish);
    assert_eq!((house.state("b"), house.open().len()), (State::Published, 3));
}

#[test]
fn an_open_dataset_of_parts_of_studies_warns_and_whole_studies_mend_it() {
    let house = house();
    let partly = |pass: &Pass| {
        let problems = &pass.outcomes[0].problems;
        problems.iter().find(|problem| problem.rule.contains("wholly open")).cloned()
    };
    house.write("x.toml", open_dataset("modality = [\"MR\"]"));
    let pass = house.publish(How::Publish);
    assert_eq!(pass.outcomes[0].verdict, Verdict::Published);
    let problem = partly(&pass).unwrap();
    assert!(problem.rule.starts_with("1 of 3 studies"), "{problem}");
    assert!(problem.remedy.contains("whole_studies = true"));
    assert_eq!(house.open().len(), 1);
    // Another open dataset may hold the rest.
    house.write("y.toml", open_dataset("modality = [\"SR\"]"));
    house.publish(How::Publish);
    assert_eq!((partly(&house.publish(How::Publish)), house.open().len()), (None, 3));
    house.write("y.toml", format!("withdrawn = true\n{}", open_dataset("modality = [\"SR\"]")));
    house.publish(How::Publish);
    assert_eq!(house.open().len(), 1);
    house.write("x.toml", open_dataset("modality = [\"MR\"]\nwhole_studies = true"));
    let pass = house.publish(How::Publish);
    assert_eq!((partly(&pass), house.open().len()), (None, 3));
    let figures = house.desk.shelf.find("x").unwrap().unwrap().figures();
    assert_eq!((figures.records, figures.series, figures.images), (Some(3), Some(5), Some(5)));
    let modalities: Vec<_> =
        figures.terms(Facet::Modality).map(|shown| (&*shown.term, shown.records)).collect();
    assert_eq!(modalities, [("MR", Some(3)), ("SR", Some(2))]);
    let mut selection = Selection::of(Facet::Modality, &["SR"]);
    assert_eq!(house.desk.facts.figures(&selection).unwrap().series, 2);
    selection.whole_studies = true;
    assert_eq!(house.desk.facts.figures(&selection).unwrap().series, 4);
}

#[test]
fn the_stamp_of_a_folder_changes_with_its_descriptions() {
    let house = house();
    let stamp = || stamp_folder(house.folder.path());
    house.write("x.toml", "1");
    let first = stamp();
    assert_eq!(stamp(), first);
    house.write("notes.txt", "1");
    assert_eq!(stamp(), first);
    house.write("x.toml", "12");
    assert_ne!(stamp(), first);
}

#[test]
fn a_release_comes_out_when_the_folder_is_published_after_it_is_due() {
    let house = house();
    let text = open_dataset("modality = [\"MR\"]")
        .replace("\"PUBLIC\"\nfigures = \"exact\"", "\"RESTRICTED\"\nversion = \"1.0\"");
    let run = |days: i64| {
        let now = now().checked_add((days * 24).hours()).unwrap();
        let pass = house.desk.publish_folder(house.folder.path(), How::Publish, now).unwrap();
        pass.outcomes[0].clone()
    };
    house.write("x.toml", &text);
    let first = run(0);
    assert_eq!(first.verdict, Verdict::Published, "{first:#?}");
    house.write("x.toml", text.replace("1.0", "2.0"));
    assert_eq!((run(1).verdict, run(89).verdict), (Verdict::Refused, Verdict::Refused));
    assert_eq!(house.desk.shelf.find("x").unwrap().unwrap().version, "1.0");
    assert_eq!((run(91).verdict, run(92).verdict), (Verdict::Published, Verdict::Unchanged));
    assert_eq!(house.desk.shelf.find("x").unwrap().unwrap().version, "2.0");
}

#[test]
fn every_version_of_a_description_is_kept_with_who_when_and_what() {
    let house = house();
    let first = open_dataset("modality = [\"MR\"]");
    house.write("a.toml", &first);
    house.publish(How::Check);
    assert!(history::revisions(&house.desk.shelf.0, "a", 10).unwrap().is_empty(), "only checked");
    house.publish(How::Publish);
    house.publish(How::Publish);
    house.write("a.toml", first.replace("\"T\"", "\"Other\"").replace("\"EHRS\"", "\"XXXX\""));
    house.publish(How::Publish);
    house.write("a.toml", "title = ");
    house.publish(How::Publish);
    let revisions = history::revisions(&house.desk.shelf.0, "a", 10).unwrap();
    let told: Vec<_> = revisions
        .iter()
        .map(|revision| {
            let keys: Vec<&str> = revision.changes.iter().map(|c| c.key.as_str()).collect();
            (revision.verdict, revision.who.as_str(), keys.len(), keys.contains(&"title.en"))
        })
        .collect();
    assert_eq!(told[0], (Verdict::Refused, "server", 1, false), "no TOML: the whole text");
    assert_eq!(told[1], (Verdict::Refused, "server", 2, true), "what changed, though refused");
    assert_eq!(told.len(), 3, "an unchanged description is no version: {told:?}");
    assert_eq!((told[2].0, revisions[2].at), (Verdict::Published, now()));
    assert_eq!(revisions[2].text, first, "nothing that was written is lost");
}

#[test]
fn the_label_of_a_real_archive_names_the_studies_that_lower_it() {
    let house = house();
    house.write("a.toml", open_dataset("modality = [\"MR\"]"));
    house.publish(How::Publish);
    let entry = house.desk.shelf.find("a").unwrap().unwrap();
    let publisher = house.desk.publisher();
    let quality = &house.desk.release.quality;
    let measures = quality.measures(publisher.writer(), &entry).unwrap();
    let metric = |id: &str| quality.metrics.iter().find(|metric| metric.id == id).unwrap();
    let of = |id: &str| measures.iter().find(|measure| measure.metric == id).unwrap().value;
    let selection = Selection::of(Facet::Modality, &["MR"]);
    let lowering =
        |id: &str| house.desk.facts.lowering(&selection, &metric(id).figure, 10).unwrap();
    for id in ["coded-body-part", "mandatory-attributes", "unique-instances"] {
        let lowering = lowering(id);
        assert_eq!(lowering.studies == 0, (of(id) - 1.0).abs() < 1e-9, "{id}: {lowering:?}");
        assert_eq!(lowering.studies as usize, lowering.numbers.len());
    }
    // Records of the test have no age and no spacing.
    assert!(of("descriptive-attributes") < 1.0);
    assert_eq!(lowering("descriptive-attributes").numbers, [1, 2, 3]);
    assert!(quality.score(&measures).is_some_and(|score| score < 100));
    // The reports have no coded body part, and are not in the dataset of the images.
    assert!((of("coded-body-part") - 1.0).abs() < 1e-9, "{measures:#?}");
    let with_reports = Selection::of(Facet::Modality, &["MR", "SR"]);
    let coded = &metric("coded-body-part").figure;
    let lowering = house.desk.facts.lowering(&with_reports, coded, 10).unwrap();
    assert_eq!(lowering.numbers, [1, 2]);
    let passing = house.desk.facts.passing(&with_reports, coded).unwrap();
    assert_eq!((passing.records, passing.individuals), (1, 1));
    // The runs that read it are activities of the dataset.
    assert_eq!(entry.figures().arrivals.len(), 1, "{:?}", entry.figures().arrivals);
}

#[test]
fn a_renamed_dataset_keeps_its_names_and_its_schedule() {
    let house = house();
    let open = open_dataset("modality = [\"MR\", \"SR\"]");
    house.write("old.toml", &open);
    house.publish(How::Publish);
    let issued = house.desk.shelf.find("old").unwrap().unwrap().issued;
    // As long as the old one is there and live, nobody else was it.
    house.write("new.toml", format!("formerly = [\"old\"]\n{open}"));
    let outcome = house.publish(How::Publish).outcomes.remove(0);
    assert_eq!(outcome.verdict, Verdict::Refused, "{outcome:#?}");
    let problem = &outcome.problems[0];
    assert_eq!(problem.field, "formerly.0");
    assert!(problem.rule.contains("`old` is published") && problem.remedy.contains("`old.toml`"));
    assert_eq!(house.state("old"), State::Published);
    std::fs::remove_file(house.folder.path().join("old.toml")).unwrap();
    for wrong in ["formerly = [\"new\"]\n", "formerly = [\"A b\"]\n", "replaced_by = \"x\"\n"] {
        house.write("new.toml", format!("{wrong}{open}"));
        assert_eq!(house.publish(How::Publish).outcomes[0].verdict, Verdict::Refused, "{wrong}");
        assert_eq!(house.state("old"), State::Published, "a refused heir takes nothing");
    }
    house.write("new.toml", format!("formerly = [\"old\"]\n{open}"));
    let pass = house.publish(How::Check);
    assert_eq!((pass.outcomes.len(), pass.missing.len()), (1, 0));
    assert_eq!(house.state("old"), State::Published, "a check keeps nothing");
    for round in 0..2 {
        let pass = house.desk.publish_folder(house.folder.path(), How::Publish, now() + 1.hour());
        let pass = pass.unwrap();
        assert_eq!((pass.outcomes.len(), pass.missing.len()), (2 - round, 0));
        let new = house.desk.shelf.find("new").unwrap().unwrap();
        assert_eq!((new.state, new.issued), (State::Published, issued), "it is the same dataset");
        let notation =
            |slug: &str| format!("core#notation> \"https://node.example.org/dataset/{slug}\"^^");
        assert!(new.document.contains(&notation("new")) && new.document.contains(&notation("old")));
        let old = house.desk.shelf.find("old").unwrap().unwrap();
        assert_eq!(old.state, State::Withdrawn);
        let leads = "<https://node.example.org/dataset/old> <http://purl.org/dc/terms/isReplacedBy> \
                     <https://node.example.org/dataset/new> .";
        assert!(old.document.contains(leads), "{}", old.document);
        assert_eq!(house.desk.publisher().remake(&old), old.document);
    }
    // Figures that are not open do not change with the name.
    let house = self::house();
    let closed = open
        .replace("\"PUBLIC\"", "\"NON_PUBLIC\"\nkeywords.en = [\"k\"]\nprovenance.en = \"p\"\ntype = [\"STATISTICAL\"]")
        .replace("figures = \"exact\"\n", "");
    house.write("old.toml", &closed);
    assert_eq!(house.publish(How::Publish).outcomes[0].verdict, Verdict::Published);
    let before = house.desk.shelf.find("old").unwrap().unwrap();
    std::fs::remove_file(house.folder.path().join("old.toml")).unwrap();
    let other = closed.replace("[\"MR\", \"SR\"]", "[\"MR\"]");
    house.write("new.toml", format!("formerly = [\"old\"]\n{other}"));
    let outcome = house.publish(How::Publish).outcomes.remove(0);
    assert_eq!(outcome.verdict, Verdict::Refused, "another selection needs another version");
    house.write("new.toml", format!("formerly = [\"old\"]\n{closed}"));
    assert_eq!(house.publish(How::Publish).outcomes[0].verdict, Verdict::Published);
    let after = house.desk.shelf.find("new").unwrap().unwrap();
    assert_eq!((after.figures, after.next_release), (before.figures, before.next_release));
}
