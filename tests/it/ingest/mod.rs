//! Sources into the store: order, repetition, change, loss, faults.

mod identity;
mod report;

use crate::support::{
    Content, Failing, Folder, How, Random, Server, archive, assert_sound, count_only, doubtful,
    execute, findings, ingest, journal, last_change, lines, on_both, postgres, record, set, sqlite,
    truth, try_ingest, uid,
};
use vesalius::ingest::Files;
use vesalius::source::{Item, Journal, Sink, Source};

/// The records in an order of their own, handed over one after the other.
struct InOrder(Vec<vesalius::imaging::Record>);

impl Source for InOrder {
    fn kind(&self) -> &'static str {
        "folder"
    }

    fn locator(&self) -> String {
        "order".to_owned()
    }

    fn is_authoritative(&self) -> bool {
        false
    }

    fn read(&mut self, _journal: &dyn Journal, sink: &mut Sink<'_>) -> vesalius::error::Result<()> {
        for record in self.0.clone() {
            let stamp = Some(vesalius::source::Stamp { size: 1, mark: 1 });
            sink(Item::Record { record: Box::new(record), stamp })?;
        }
        Ok(())
    }
}

#[track_caller]
fn assert_same(left: &[String], right: &[String], what: &str) {
    let missing: Vec<_> = left.iter().filter(|line| !right.contains(line)).take(5).collect();
    let surplus: Vec<_> = right.iter().filter(|line| !left.contains(line)).take(5).collect();
    assert!(left == right, "{what}\nmissing {missing:#?}\nsurplus {surplus:#?}");
}

/// Any order of the same records and any cut into batches give the same rows.
fn order_does_not_matter(seed: u64, fresh: impl Fn() -> Option<crate::support::Fresh>) {
    let mut random = Random(seed);
    let mut records = doubtful(seed, 12);
    let (Some(first), Some(second)) = (fresh(), fresh()) else { return };
    ingest(&first.store, &mut InOrder(records.clone()), &How::default());
    random.shuffle(&mut records);
    let batch = 1 + random.below(40) as usize;
    ingest(&second.store, &mut InOrder(records), &How { batch, ..How::default() });
    assert_sound(&first.store);
    assert_sound(&second.store);
    assert_same(
        &truth(&first.store),
        &truth(&second.store),
        &format!("seed {seed}, batches of {batch}"),
    );
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    for seed in 1..=40 {
        order_does_not_matter(seed, || Some(sqlite()));
    }
    for seed in 100..=104 {
        order_does_not_matter(seed, postgres);
    }
}

#[test]
fn what_is_unchanged_is_not_opened_and_writes_nothing() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut folder = Folder::of(&archive(3, 10));
        folder.put("broken.dcm", 1, Content::Broken);
        folder.put("notes.txt", 1, Content::Other);
        ingest(store, &mut folder, &How::default());
        let (rows, feed, known) = (truth(store), last_change(store), journal(store));
        folder.opened = 0;
        let again = ingest(store, &mut folder, &How::default());
        assert_eq!(folder.opened, 0);
        assert_eq!(again.files.unchanged, folder.files.len() as u64);
        assert_eq!((again.studies_changed, again.findings, again.vanished), (0, 0, 0));
        assert_eq!(last_change(store), feed, "the change feed moved");
        assert_same(&rows, &truth(store), "a second run changed rows");
        assert_eq!(journal(store), known);
    });
}

#[test]
fn the_same_content_read_again_changes_nothing() {
    on_both(|fresh| {
        let store = &fresh.store;
        let records = archive(4, 8);
        let mut folder = Folder::of(&records);
        ingest(store, &mut folder, &How::default());
        let (rows, feed) = (truth(store), last_change(store));
        for (_, stamp, _) in &mut folder.files {
            stamp.mark = 2;
        }
        let again = ingest(store, &mut folder, &How { batch: 7, ..How::default() });
        assert_eq!(again.changed, folder.files.len() as u64);
        assert_eq!((again.studies_changed, again.findings), (0, 0));
        assert_eq!(last_change(store), feed);
        assert_same(&rows, &truth(store), "reading the same again changed rows");
    });
}

#[test]
fn a_study_that_is_served_again_as_it_was_is_as_it_was() {
    for seed in 1..=25 {
        for records in [archive(seed, 14), doubtful(seed, 14)] {
            let fresh = sqlite();
            let store = &fresh.store;
            let mut pacs = Server::of(&records);
            ingest(store, &mut pacs, &How::default());
            let rows = truth(store);
            for whole in &mut pacs.inputs {
                whole.mark = 2;
            }
            ingest(store, &mut pacs, &How { batch: 9, ..How::default() });
            assert_same(&rows, &truth(store), &format!("seed {seed}"));
            assert_sound(store);
        }
    }
}

#[test]
fn a_changed_file_replaces_what_it_gave() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut records: Vec<_> = (1..=3).map(|instance| record(1, 1, 1, instance)).collect();
        ingest(store, &mut Folder::of(&records), &How::default());
        // The first instance, which describes series and study, is corrected so that others
        // would rank before it.
        let first = &mut records[0];
        set(&mut first.study, "StudyDescription", "corrected");
        set(&mut first.series, "BodyPartExamined", "BREAST");
        first.instance.as_mut().unwrap().number = Some(90);
        first.instance.as_mut().unwrap().rows = Some(99);
        let mut folder = Folder::of(&records);
        folder.files[0].1.mark = 2;
        let summary = ingest(store, &mut folder, &How::default());
        assert_eq!((summary.changed, summary.images), (1, 3));
        assert_sound(store);
        let rows = truth(store).join("\n");
        assert!(rows.contains("corrected") && !rows.contains("\"synthetic\""), "{rows}");
        assert!(rows.contains("BREAST") && rows.contains("rows: Some(99)"), "{rows}");
        // And the next one, another instance: what the file held before goes.
        folder.put("1/1/2.dcm", 3, Content::Dicom(Box::new(record(1, 1, 1, 8))));
        let summary = ingest(store, &mut folder, &How::default());
        assert_eq!(summary.images, 3);
        let rows = truth(store).join("\n");
        assert!(rows.contains("1.2.1.1.8") && !rows.contains("1.2.1.1.2\""), "{rows}");
        assert_sound(store);
    });
}

#[test]
fn an_instance_can_move_to_another_series_and_another_patient() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut folder = Folder::of(&[record(1, 1, 1, 1)]);
        ingest(store, &mut folder, &How::default());
        let mut moved = record(2, 1, 1, 1);
        moved.series_uid = uid("1.2.1.7");
        folder.put("1/1/1.dcm", 2, Content::Dicom(Box::new(moved)));
        let summary = ingest(store, &mut folder, &How::default());
        assert_eq!(
            (summary.patients, summary.studies, summary.series, summary.images),
            (1, 1, 1, 1)
        );
        assert_sound(store);
        let rows = truth(store).join("\n");
        assert!(rows.contains("series 1.2.1.7") && rows.contains("patient hospital P2"), "{rows}");
        assert!(!rows.contains(" P1"), "{rows}");
        assert_eq!(findings(store), Vec::<String>::new());
    });
}

#[test]
fn what_vanished_is_reported_once_and_kept_until_it_is_pruned() {
    on_both(|fresh| {
        let store = &fresh.store;
        let records = [record(1, 1, 1, 1), record(1, 1, 1, 2), record(2, 2, 1, 1)];
        let mut folder = Folder::of(&records);
        let all = ingest(store, &mut folder, &How::default());
        assert_eq!((all.patients, all.studies, all.images), (2, 2, 3));
        folder.remove("1/1/1.dcm");
        folder.remove("2/1/1.dcm");
        let kept = ingest(store, &mut folder, &How::default());
        assert_eq!((kept.vanished, kept.studies, kept.images), (2, 2, 3));
        let again = ingest(store, &mut folder, &How::default());
        assert_eq!((again.vanished, again.images), (0, 3));
        let pruned = ingest(store, &mut folder, &How { prune: true, ..How::default() });
        assert_eq!((pruned.vanished, pruned.patients, pruned.studies), (2, 1, 1));
        assert_eq!((pruned.series, pruned.images), (1, 1));
        assert_sound(store);
        let twice = ingest(store, &mut folder, &How { prune: true, ..How::default() });
        assert_eq!((twice.vanished, twice.studies_changed), (0, 0));
    });
}

/// A folder of which a part, or all of it, cannot be looked at this time.
struct Unreadable(&'static str);

impl Source for Unreadable {
    fn kind(&self) -> &'static str {
        "folder"
    }

    fn locator(&self) -> String {
        "memory".to_owned()
    }

    fn is_authoritative(&self) -> bool {
        false
    }

    fn read(&mut self, _journal: &dyn Journal, sink: &mut Sink<'_>) -> vesalius::error::Result<()> {
        let origin = self.0.to_owned();
        sink(Item::Quarantined { origin, stamp: None, reason: crate::support::broken() })
    }
}

#[test]
fn what_could_not_be_looked_at_has_not_vanished() {
    on_both(|fresh| {
        let store = &fresh.store;
        let records = [record(1, 1, 1, 1), record(2, 2, 1, 1)];
        ingest(store, &mut Folder::of(&records), &How::default());
        let prune = || How { prune: true, ..How::default() };
        let all = ingest(store, &mut Unreadable(""), &prune());
        assert_eq!((all.vanished, all.studies, all.files.quarantined), (0, 2, 1));
        let one = ingest(store, &mut Unreadable("1"), &prune());
        assert_eq!((one.vanished, one.studies), (1, 1));
        assert_sound(store);
    });
}

#[test]
fn a_file_is_quarantined_repaired_and_no_dicom_in_turn() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut folder = Folder::of(&[record(1, 1, 1, 1), record(1, 1, 1, 2)]);
        folder.put("1/1/2.dcm", 1, Content::Broken);
        let summary = ingest(store, &mut folder, &How::default());
        assert_eq!(
            summary.files,
            Files { seen: 2, ingested: 1, quarantined: 1, ..Files::default() }
        );
        assert_eq!(journal(store)[1], "1/1/2.dcm quarantined length-beyond-end");
        let unchanged = ingest(store, &mut folder, &How::default());
        assert_eq!(unchanged.files.unchanged, 2);
        folder.put("1/1/2.dcm", 2, Content::Dicom(Box::new(record(1, 1, 1, 2))));
        let repaired = ingest(store, &mut folder, &How::default());
        assert_eq!((repaired.files.ingested, repaired.images), (1, 2));
        assert_eq!(journal(store)[1], "1/1/2.dcm ingested -");
        folder.put("1/1/2.dcm", 3, Content::Broken);
        let broken = ingest(store, &mut folder, &How::default());
        assert_eq!((broken.files.quarantined, broken.images), (1, 1));
        folder.put("1/1/1.dcm", 3, Content::Other);
        let other = ingest(store, &mut folder, &How::default());
        assert_eq!((other.files.not_dicom, other.images, other.studies), (1, 0, 0));
        assert_sound(store);
        // On demand a quarantined file is read although it did not change.
        folder.opened = 0;
        store.write(|db| vesalius::store::journal::retry_quarantined(db, 1)).unwrap();
        ingest(store, &mut folder, &How::default());
        assert_eq!(folder.opened, 1);
    });
}

#[test]
fn a_repeated_instance_is_counted_once_and_found() {
    on_both(|fresh| {
        let store = &fresh.store;
        for batch in [1_000, 1] {
            let mut folder = Folder::of(&[record(1, 1, 1, 1)]);
            folder.put("copy.dcm", 1, Content::Dicom(Box::new(record(1, 1, 1, 1))));
            let mut other = record(1, 1, 1, 1);
            other.instance.as_mut().unwrap().digest = 99;
            set(&mut other.study, "StudyDescription", "not this");
            folder.put("other.dcm", 1, Content::Dicom(Box::new(other)));
            let summary = ingest(store, &mut folder, &How { batch, ..How::default() });
            assert_eq!((summary.images, summary.files.seen), (1, 3));
            assert_eq!(
                findings(store),
                ["1.2.1 sop-instance-differs 1", "1.2.1 sop-instance-repeated 1"]
            );
            assert!(!truth(store).join("\n").contains("not this"));
            assert_sound(store);
            // One of the copies goes: the other still holds the instance.
            folder.remove("1/1/1.dcm");
            let pruned = ingest(store, &mut folder, &How { prune: true, ..How::default() });
            assert_eq!((pruned.vanished, pruned.images), (1, 1));
            folder.files.clear();
            let pruned = ingest(store, &mut folder, &How { prune: true, ..How::default() });
            assert_eq!((pruned.images, pruned.studies, pruned.patients), (0, 0, 0));
            assert_eq!(findings(store), Vec::<String>::new());
        }
    });
}

#[test]
fn one_instance_in_two_studies_stays_in_the_first() {
    on_both(|fresh| {
        let store = &fresh.store;
        for batch in [1_000, 1] {
            execute(store, "DELETE FROM input");
            let mut elsewhere = record(1, 2, 1, 1);
            elsewhere.instance = record(1, 1, 1, 1).instance;
            let mut folder = Folder::of(&[record(1, 1, 1, 1), elsewhere]);
            let summary = ingest(store, &mut folder, &How { batch, ..How::default() });
            assert_eq!((summary.studies, summary.images, summary.files.ingested), (1, 1, 2));
            assert_sound(store);
            let found = findings(store);
            assert!(
                found.iter().any(|f| f.starts_with("1.2.1 sop-instance-repeated")),
                "{found:?}"
            );
        }
    });
}

#[test]
fn disagreements_are_findings() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut stray = record(2, 1, 2, 1);
        set(&mut stray.study, "StudyDate", "20240201");
        let mut shared = record(3, 3, 1, 1);
        shared.series_uid = uid("1.2.1.1");
        let mut twin = record(3, 4, 1, 1);
        "clinic".clone_into(&mut twin.patient_key.issuer);
        let records = [record(1, 1, 1, 1), stray, shared, twin];
        for record in &records {
            // One by one, as a slow source gives them.
            ingest(store, &mut InOrder(vec![record.clone()]), &How::default());
        }
        assert_eq!(
            findings(store),
            [
                "1.2.1 patient-changed 1",
                "1.2.1 study-dates 1",
                "1.2.1 study-of-series-changed 1",
                "1.2.3 patient-issuers 1",
                "1.2.3 study-of-series-changed 1",
                "1.2.4 patient-issuers 1",
            ]
        );
        let totals = store.read(vesalius::store::read::count_all).unwrap();
        assert_eq!((totals.patients, totals.studies, totals.series), (4, 3, 4));
        let rows = truth(store).join("\n");
        assert!(rows.contains("study 1.2.1 hospital P1"), "the first image series decides: {rows}");
    });
}

#[test]
fn odd_values_are_findings_of_the_description_that_counts() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut odd = record(1, 1, 1, 2);
        set(&mut odd.series, "BodyPartExamined", "");
        let mut folder = Folder::of(&[odd]);
        ingest(store, &mut folder, &How::default());
        assert_eq!(findings(store), ["1.2.1 body-part-missing 1"]);
        // The first instance of the series arrives late and knows better.
        folder.put("1/1/1.dcm", 1, Content::Dicom(Box::new(record(1, 1, 1, 1))));
        ingest(store, &mut folder, &How::default());
        assert_eq!(findings(store), Vec::<String>::new());
    });
}

#[test]
fn a_configured_zone_settles_what_was_found_without_one() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut one = record(1, 1, 1, 1);
        set(&mut one.study, "StudyDate", "20240131");
        set(&mut one.study, "StudyTime", "101112");
        let mut folder = Folder::of(&[one]);
        ingest(store, &mut folder, &How::default());
        let zoneless = |store: &vesalius::store::Store| {
            findings(store).iter().filter(|line| line.contains("time-zone-missing")).count()
        };
        assert_eq!(zoneless(store), 1);
        let mut config = vesalius::config::Config::default();
        config.archive.time_zone = "Europe/Prague".to_owned();
        let how = vesalius::ingest::Ingest {
            name: "memory".to_owned(),
            context: vesalius::mapping::Context::new(&config, b"a key of tests").unwrap(),
            pseudonym_key: vec![7; 32],
            batch: 10,
            prune: false,
        };
        let stop = std::sync::atomic::AtomicBool::new(false);
        let again = |folder: &mut Folder| {
            let clock = || 1_800_000_000_000_000;
            vesalius::ingest::ingest(store, folder, &how, &clock, &stop, &mut |_| ()).unwrap();
        };
        let before = last_change(store);
        again(&mut folder);
        // Nothing was read again, and what depends on the findings is told.
        assert_eq!((zoneless(store), last_change(store)), (0, before + 1));
        again(&mut folder);
        assert_eq!(last_change(store), before + 1);
        assert_sound(store);
    });
}

#[test]
fn series_known_by_count_have_images_and_no_instance() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut table = Server::table(&[count_only(1, 1, 1, 40), count_only(1, 1, 2, 2)]);
        let summary = ingest(store, &mut table, &How::default());
        assert_eq!((summary.series, summary.images, summary.files.seen), (2, 42, 2));
        assert_eq!(lines(store, "SELECT CAST(hash AS TEXT) AS line FROM instance").len(), 0);
        assert_sound(store);
        // Files of a counted series name what was counted; the count does not come back.
        let files = [record(1, 1, 1, 1), record(1, 1, 1, 2)];
        let summary = ingest(store, &mut Folder::of(&files), &How::default());
        assert_eq!((summary.series, summary.images), (2, 4));
        table.inputs[0].mark = 2;
        let summary = ingest(store, &mut table, &How::default());
        assert_eq!((summary.series, summary.images), (2, 4));
        assert_sound(store);
        let bytes = lines(store, "SELECT CAST(SUM(bytes) AS TEXT) AS line FROM series");
        assert_eq!(bytes, [(1_001 + 1_002 + 1_000).to_string()]);
    });
}

#[test]
fn an_authoritative_source_adds_changes_and_deletes() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut records = Vec::new();
        for (study, instances) in [(1, 3), (2, 2), (3, 1)] {
            records.extend((1..=instances).map(|instance| record(study, study, 1, instance)));
        }
        let mut pacs = Server::of(&records);
        let summary = ingest(store, &mut pacs, &How { batch: 2, ..How::default() });
        assert_eq!((summary.studies, summary.images), (3, 6));
        let feed = last_change(store);
        let again = ingest(store, &mut pacs, &How::default());
        assert_eq!((again.studies_changed, again.files.unchanged), (0, 6));
        assert_eq!(last_change(store), feed);

        // Study 1 loses its first instance and is corrected; study 3 is deleted; study 4 is new.
        let changed = pacs.study(1);
        changed.mark = 2;
        changed.records.remove(0);
        for record in &mut changed.records {
            set(&mut record.study, "StudyDescription", "corrected");
        }
        pacs.inputs.retain(|whole| whole.origin != "studies/1.2.3");
        pacs.inputs.extend(Server::of(&[record(4, 4, 1, 1)]).inputs);
        let summary = ingest(store, &mut pacs, &How::default());
        assert_eq!((summary.vanished, summary.studies, summary.images), (1, 3, 5));
        assert_eq!(summary.patients, 3, "the patient of the deleted study is gone too");
        assert_eq!(findings(store), Vec::<String>::new(), "a second reading is no repetition");
        let rows = truth(store).join("\n");
        assert!(rows.contains("corrected"), "{rows}");
        assert_sound(store);

        // A deleted study is known as such, and comes back under its id.
        let uid = "1.2.3";
        let row =
            store.read(|db| vesalius::store::archive::find_studies(db, &[uid])).unwrap().remove(0);
        assert!(row.deleted);
        let shown = store
            .read(|db| {
                vesalius::store::read::load_studies(
                    db,
                    &[row.number],
                    vesalius::store::read::IdSpace::Care,
                    true,
                )
            })
            .unwrap();
        assert!(shown.is_empty());
        pacs.inputs.extend(Server::of(&[record(3, 3, 1, 1), record(3, 3, 1, 2)]).inputs);
        let summary = ingest(store, &mut pacs, &How::default());
        assert_eq!((summary.studies, summary.patients, summary.images), (4, 4, 7));
        let back =
            store.read(|db| vesalius::store::archive::find_studies(db, &[uid])).unwrap().remove(0);
        assert!(!back.deleted && back.version > row.version && back.care_id == row.care_id);
        assert_sound(store);
        assert_eq!(ingest(store, &mut pacs, &How::default()).vanished, 0);
    });
}

#[test]
fn one_empty_answer_of_a_pacs_removes_nothing() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut pacs =
            Server::of(&(1..=30).map(|study| record(study, study, 1, 1)).collect::<Vec<_>>());
        let all = std::mem::take(&mut pacs.inputs);
        pacs.inputs.clone_from(&all);
        ingest(store, &mut pacs, &How::default());
        pacs.inputs.clear();
        let empty = ingest(store, &mut pacs, &How::default());
        assert_eq!((empty.vanished, empty.kept_vanished, empty.studies), (30, 30, 30));
        let again = ingest(store, &mut pacs, &How::default());
        assert_eq!((again.vanished, again.kept_vanished, again.studies), (0, 0, 30));
        assert_sound(store);

        // It answers again, and a day's deletions are followed as before.
        pacs.inputs.clone_from(&all);
        let back = ingest(store, &mut pacs, &How::default());
        assert_eq!((back.vanished, back.studies, back.studies_changed), (0, 30, 0));
        pacs.inputs.truncate(20);
        let fewer = ingest(store, &mut pacs, &How::default());
        assert_eq!((fewer.vanished, fewer.kept_vanished, fewer.studies), (10, 0, 20));

        // Removed when it is said to be meant, in the same run or in a later one.
        pacs.inputs.truncate(5);
        let kept = ingest(store, &mut pacs, &How::default());
        assert_eq!((kept.vanished, kept.kept_vanished, kept.studies), (15, 15, 20));
        pacs.inputs.truncate(4);
        let pruned = ingest(store, &mut pacs, &How { prune: true, ..How::default() });
        assert_eq!((pruned.vanished, pruned.kept_vanished, pruned.studies), (16, 0, 4));
        assert_sound(store);
    });
}

/// A source that starts another run of itself while it is read.
struct Twice<'a>(&'a vesalius::store::Store, Folder, Option<String>);

impl Source for Twice<'_> {
    fn kind(&self) -> &'static str {
        self.1.kind()
    }

    fn locator(&self) -> String {
        self.1.locator()
    }

    fn is_authoritative(&self) -> bool {
        false
    }

    fn read(&mut self, journal: &dyn Journal, sink: &mut Sink<'_>) -> vesalius::error::Result<()> {
        let second = try_ingest(self.0, &mut self.1.clone(), &How::default());
        self.2 = second.err().map(|failure| failure.to_string());
        self.1.read(journal, sink)
    }
}

#[test]
fn a_second_run_of_a_source_that_is_read_is_refused() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut twice = Twice(store, Folder::of(&[record(1, 1, 1, 1), record(1, 1, 1, 2)]), None);
        let summary = ingest(store, &mut twice, &How::default());
        assert_eq!((summary.images, summary.findings), (2, 0));
        let refused = twice.2.unwrap();
        assert!(refused.contains("another run reads this source"), "{refused}");
        assert_eq!(ingest(store, &mut twice.1, &How::default()).files.unchanged, 2);
    });
}

#[test]
fn an_instance_that_a_pacs_moves_between_series_follows() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut pacs = Server::of(&[record(1, 1, 1, 1), record(1, 1, 1, 2)]);
        ingest(store, &mut pacs, &How::default());
        let study = pacs.study(1);
        study.mark = 2;
        study.records[1].series_uid = uid("1.2.1.2");
        let summary = ingest(store, &mut pacs, &How::default());
        assert_eq!((summary.series, summary.images, summary.findings), (2, 2, 0));
        assert_sound(store);
    });
}

#[test]
fn broken_parts_stand_with_their_whole_and_go_when_it_is_mended() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut table = Server::table(&[count_only(1, 1, 1, 5)]);
        table.inputs[0].broken = vec!["series.csv/row 2".to_owned(), "series.csv/row 9".to_owned()];
        let first = ingest(store, &mut table, &How::default());
        assert_eq!((first.files.seen, first.files.quarantined), (3, 2));
        let again = ingest(store, &mut table, &How::default());
        assert_eq!((again.vanished, again.files.unchanged), (0, 3));
        assert_eq!(journal(store).len(), 3);
        table.inputs[0].mark = 2;
        table.inputs[0].broken.pop();
        let mended = ingest(store, &mut table, &How::default());
        assert_eq!((mended.vanished, mended.files.quarantined), (0, 1));
        assert_eq!(
            journal(store),
            ["series.csv ingested -", "series.csv/row 2 quarantined length-beyond-end"]
        );
        table.inputs.clear();
        assert_eq!(ingest(store, &mut table, &How::default()).vanished, 2);
    });
}

#[test]
fn a_source_that_breaks_off_loses_nothing_that_was_stored() {
    on_both(|fresh| {
        let store = &fresh.store;
        let records = archive(9, 10);
        let whole = Folder::of(&records);
        for after in [0, 1, 7, 23, 40] {
            let how = How { batch: 5, ..How::default() };
            assert!(try_ingest(store, &mut Failing(whole.clone(), after), &how).is_err());
            assert_sound(store);
        }
        let states = lines(store, "SELECT state AS line FROM run ORDER BY number");
        assert_eq!(states, ["failed"; 5]);
        let summary = ingest(store, &mut whole.clone(), &How::default());
        assert_eq!(summary.files.seen, records.len() as u64);
        assert!(summary.files.unchanged > 0, "the next run begins anew");
        let other = sqlite();
        ingest(&other.store, &mut whole.clone(), &How::default());
        assert_same(&truth(&other.store), &truth(store), "after five broken runs");
    });
}

#[test]
fn a_batch_that_fails_leaves_nothing_half_written() {
    on_both(|fresh| {
        let store = &fresh.store;
        ingest(store, &mut Folder::of(&[record(1, 1, 1, 1)]), &How::default());
        let (rows, feed) = (truth(store), last_change(store));
        // The journal is written last: here it refuses one file of the batch.
        let trap = if store.is_embedded() {
            "CREATE TRIGGER trap BEFORE INSERT ON input WHEN NEW.origin = '3/1/1.dcm' \
             BEGIN SELECT RAISE(ABORT, 'trap'); END"
        } else {
            "ALTER TABLE input ADD CONSTRAINT trap CHECK (origin <> '3/1/1.dcm')"
        };
        execute(store, trap);
        let records = [record(1, 1, 1, 2), record(2, 2, 1, 1), record(3, 3, 1, 1)];
        let mut folder = Folder::of(&records);
        assert!(try_ingest(store, &mut folder, &How::default()).is_err());
        assert_same(&rows, &truth(store), "a failed batch left rows");
        assert_eq!(last_change(store), feed);
        assert_eq!(journal(store).len(), 1);
        assert_sound(store);
        let undo = if store.is_embedded() {
            "DROP TRIGGER trap"
        } else {
            "ALTER TABLE input DROP CONSTRAINT trap"
        };
        execute(store, undo);
        let summary = ingest(store, &mut folder, &How::default());
        assert_eq!((summary.studies, summary.images), (3, 4));
    });
}
