//! Reports follow the instances that they are: changed with them, moved with them, gone with them.

use crate::support::{
    Content, Folder, How, assert_sound, ingest, last_change, lines, on_both, record, says, truth,
    uid,
};
use vesalius::imaging::{IdSpace, Record};
use vesalius::store::Store;
use vesalius::store::reports;

fn reporting(study: u32, instance: u32, text: &str) -> Record {
    let mut record = record(1, study, 9, instance);
    if let Some(of) = &mut record.instance {
        of.sop_class = uid("1.2.840.10008.5.1.4.1.1.88.11");
        // The digest is of the file, so another text is another digest.
        of.digest ^= text.bytes().fold(7, |sum: u64, byte| sum * 31 + u64::from(byte));
        record.report = Some(Box::new(says(of, text)));
    }
    record
}

/// What is there: `sop version text`.
fn there(store: &Store) -> Vec<String> {
    let rows = store.read(|db| reports::scan_reports(db, 0, 100)).unwrap();
    let mut found: Vec<String> = rows
        .iter()
        .filter_map(|row| row.to_report(IdSpace::Care).unwrap())
        .map(|found| {
            let text = match &found.report.items[0].content {
                vesalius::imaging::Content::Text { text } => text.clone(),
                other => panic!("{other:?}"),
            };
            format!("{} {} {text}", found.report.uid, found.version)
        })
        .collect();
    found.sort();
    found
}

fn report_changes(store: &Store) -> usize {
    lines(store, "SELECT CAST(seq AS TEXT) AS line FROM change WHERE kind = 10").len()
}

#[test]
fn a_report_is_stored_once_and_read_again_without_a_write() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut folder = Folder::of(&[record(1, 1, 1, 1), reporting(1, 1, "no nodule")]);
        ingest(store, &mut folder, &How::default());
        assert_eq!(there(store), ["1.2.1.9.1 1 no nodule"]);
        assert_eq!(report_changes(store), 1);
        let feed = last_change(store);
        for (_, stamp, _) in &mut folder.files {
            stamp.mark += 1;
        }
        ingest(store, &mut folder, &How::default());
        assert_eq!(last_change(store), feed);
        assert_sound(store);
    });
}

#[test]
fn a_changed_file_changes_its_report_and_a_lost_one_takes_it_away() {
    on_both(|fresh| {
        let store = &fresh.store;
        let first = reporting(1, 1, "preliminary");
        let mut folder = Folder::of(&[record(1, 1, 1, 1), first.clone(), reporting(1, 2, "other")]);
        ingest(store, &mut folder, &How::default());
        let second = reporting(1, 1, "final");
        folder.put(&first.origin, 2, Content::Dicom(Box::new(second)));
        ingest(store, &mut folder, &How::default());
        assert_eq!(there(store), ["1.2.1.9.1 2 final", "1.2.1.9.2 1 other"]);
        assert_sound(store);

        folder.remove(&first.origin);
        ingest(store, &mut folder, &How { prune: true, ..How::default() });
        assert_eq!(there(store), ["1.2.1.9.2 1 other"]);
        assert_sound(store);
        let gone = store.read(|db| reports::find_reports(db, &["1.2.1.9.1"])).unwrap().remove(0);
        assert_eq!((gone.deleted, gone.version, gone.content), (true, 3, None));

        // The same report comes back under the same id.
        let back = reporting(1, 1, "final");
        folder.put(&first.origin, 3, Content::Dicom(Box::new(back)));
        ingest(store, &mut folder, &How::default());
        assert_eq!(there(store), ["1.2.1.9.1 4 final", "1.2.1.9.2 1 other"]);
        assert_sound(store);
    });
}

#[test]
fn of_two_files_that_are_one_instance_the_first_one_says_the_report() {
    on_both(|fresh| {
        let store = &fresh.store;
        let first = reporting(1, 1, "first");
        let mut second = reporting(1, 1, "second");
        "copy.dcm".clone_into(&mut second.origin);
        // In one batch and in two.
        ingest(store, &mut Folder::of(&[first.clone(), second.clone()]), &How::default());
        assert_eq!(there(store), ["1.2.1.9.1 1 first"]);
        // In another study: held elsewhere.
        let mut moved = reporting(2, 1, "third");
        moved.instance.as_mut().unwrap().uid = uid("1.2.1.9.1");
        moved.report.as_mut().unwrap().uid = uid("1.2.1.9.1");
        "elsewhere.dcm".clone_into(&mut moved.origin);
        ingest(store, &mut Folder::of(&[first, second, moved]), &How::default());
        assert_eq!(there(store), ["1.2.1.9.1 1 first"]);
        assert_sound(store);
    });
}

#[test]
fn a_file_that_is_no_report_any_more_takes_its_report_away() {
    on_both(|fresh| {
        let store = &fresh.store;
        let first = reporting(1, 1, "a sentence");
        let mut folder = Folder::of(std::slice::from_ref(&first));
        ingest(store, &mut folder, &How::default());
        let mut plain = first.clone();
        plain.report = None;
        plain.instance.as_mut().unwrap().digest += 1;
        folder.put(&first.origin, 2, Content::Dicom(Box::new(plain)));
        ingest(store, &mut folder, &How::default());
        assert_eq!(there(store), Vec::<String>::new());
        assert_sound(store);
    });
}

#[test]
fn a_report_that_moves_to_another_series_moves_with_its_id() {
    on_both(|fresh| {
        let store = &fresh.store;
        let first = reporting(1, 1, "a sentence");
        let mut folder = Folder::of(std::slice::from_ref(&first));
        ingest(store, &mut folder, &How::default());
        let was = truth(store);
        let mut moved = first.clone();
        moved.series_uid = uid("1.2.1.8");
        folder.put(&first.origin, 2, Content::Dicom(Box::new(moved)));
        ingest(store, &mut folder, &How::default());
        assert_eq!(there(store), ["1.2.1.9.1 2 a sentence"]);
        assert_ne!(truth(store), was);
        assert_sound(store);
    });
}

#[test]
fn verify_sees_a_report_whose_instance_is_not_there() {
    on_both(|fresh| {
        let store = &fresh.store;
        ingest(store, &mut Folder::of(&[reporting(1, 1, "a sentence")]), &How::default());
        for (sql, says) in [
            ("UPDATE report SET series = 77", "is no instance of series 77"),
            ("UPDATE report SET study = 77, series = 1", "its series is elsewhere"),
            ("UPDATE report SET study = 1, content = NULL", "is damaged"),
            ("UPDATE report SET number = 5", "the counter of report"),
        ] {
            crate::support::execute(store, sql);
            let found = store.read(vesalius::store::verify::contradictions).unwrap();
            assert!(found.iter().any(|line| line.contains(says)), "{sql}: {found:?}");
        }
    });
}
