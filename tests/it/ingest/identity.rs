//! Who is merged with whom: ids that stand for nobody, one id that stands for several persons.

use crate::support::{
    Folder, How, Server, assert_sound, findings, ingest, last_change, lines, on_both, record, set,
    sqlite, truth, uid,
};
use vesalius::config::{Config, SourceIssuer};
use vesalius::mapping::Context;

fn differs(store: &vesalius::store::Store) -> Vec<String> {
    let mut found = lines(
        store,
        "SELECT s.uid || ' ' || f.attribute || ' ' || f.count AS line FROM finding f \
         JOIN study s ON s.number = f.study WHERE f.code = 'patient-differs'",
    );
    found.sort();
    found
}

#[test]
fn ids_that_stand_for_nobody_merge_nobody() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut records: Vec<_> = (1..=4).map(|study| record(1, study, 1, 1)).collect();
        for (record, id) in records.iter_mut().zip(["0", "000", "ANONYMOUS", "0"]) {
            id.clone_into(&mut record.patient_key.id);
            set(&mut record.patient, "PatientID", id);
        }
        let mut folder = Folder::of(&records);
        let summary = ingest(store, &mut folder, &How::default());
        assert_eq!((summary.patients, summary.studies), (4, 4));
        let mut said = findings(store);
        said.retain(|line| line.contains("patient-id-placeholder"));
        assert_eq!(said.len(), 4, "{said:?}");
        // Nobody is found by such an id.
        let looked_up = lines(
            store,
            "SELECT value AS line FROM lookup WHERE kind = 1 AND value IN ('0', '000')",
        );
        assert_eq!(looked_up, [""; 0]);
        assert_sound(store);
        let (rows, feed) = (truth(store), last_change(store));
        for (_, stamp, _) in &mut folder.files {
            stamp.mark = 2;
        }
        ingest(store, &mut folder, &How { batch: 1, ..How::default() });
        assert_eq!((truth(store), last_change(store)), (rows, feed));
    });
}

#[test]
fn what_one_id_says_of_two_persons_is_said_of_each_study() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut records: Vec<_> = (1..=3).map(|study| record(1, study, 1, 1)).collect();
        for record in &mut records {
            set(&mut record.patient, "PatientBirthDate", "19600615");
        }
        let mut folder = Folder::of(&records);
        ingest(store, &mut folder, &How::default());
        assert_eq!(differs(store), [""; 0]);
        // A fourth study of the same number is of somebody else; the three that were there are told.
        let feed = last_change(store);
        let mut other = record(1, 4, 1, 1);
        set(&mut other.patient, "PatientName", "Other^Person");
        set(&mut other.patient, "PatientBirthDate", "19710203");
        records.push(other);
        ingest(store, &mut Folder::of(&records), &How::default());
        let all = |attributes: &[&str]| -> Vec<String> {
            let mut lines: Vec<String> = (1..=4)
                .flat_map(|study| attributes.iter().map(move |of| format!("1.2.{study} {of} 1")))
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(differs(store), all(&["PatientBirthDate", "PatientName"]));
        let told = lines(
            store,
            &format!(
                "SELECT CAST(number AS TEXT) AS line FROM change WHERE kind = 11 AND seq > {feed}"
            ),
        );
        assert_eq!(told.len(), 3, "{told:?}");
        // Corrected in part, then wholly.
        for (mark, birth, left) in
            [(2, "19600615", all(&["PatientName"])), (3, "19600615", Vec::new())]
        {
            let last = records.last_mut().unwrap();
            set(&mut last.patient, "PatientBirthDate", birth);
            if mark == 3 {
                let name = last.patient_key.id.clone();
                set(&mut last.patient, "PatientName", &format!("SYNTHETIC {name}"));
            }
            let mut folder = Folder::of(&records);
            folder.files[3].1.mark = mark;
            ingest(store, &mut folder, &How::default());
            assert_eq!(differs(store), left);
            assert_sound(store);
        }
    });
}

#[test]
fn a_study_that_goes_takes_its_contradiction_with_it() {
    on_both(|fresh| {
        let store = &fresh.store;
        let (one, mut other) = (record(1, 1, 1, 1), record(1, 2, 1, 1));
        set(&mut other.patient, "PatientSex", "M");
        let mut pacs = Server::of(&[one.clone(), other]);
        ingest(store, &mut pacs, &How::default());
        assert_eq!(differs(store), ["1.2.1 PatientSex 1", "1.2.2 PatientSex 1"]);
        ingest(store, &mut Server::of(&[one]), &How::default());
        assert_eq!(differs(store), [""; 0]);
        assert_sound(store);
    });
}

#[test]
fn a_source_with_an_issuer_of_its_own_keeps_its_persons_apart() {
    let fresh = sqlite();
    let store = &fresh.store;
    let mut config = Config::default();
    config.archive.identifiers.source_issuers =
        vec![SourceIssuer { source: "memory".to_owned(), issuer: "hospital-b".to_owned() }];
    let context = Context::new(&config, b"").unwrap();
    let (mut nameless, named) = (record(1, 1, 1, 1), record(1, 2, 1, 1));
    nameless.patient_key.issuer.clear();
    let how = How { context, ..How::default() };
    let summary = ingest(store, &mut Folder::of(&[nameless, named]), &how);
    assert_eq!(summary.patients, 2);
    let mut issuers = lines(store, "SELECT issuer AS line FROM patient");
    issuers.sort();
    assert_eq!(issuers, ["hospital", "hospital-b"]);
}

#[test]
fn births_behind_the_study_and_several_modalities_of_a_series_are_said() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut late = record(1, 1, 1, 1);
        set(&mut late.patient, "PatientBirthDate", "20240201");
        let mut tomorrow = record(2, 2, 1, 1);
        set(&mut tomorrow.patient, "PatientBirthDate", "20991231");
        set(&mut tomorrow.study, "StudyDate", "");
        let mut today = record(3, 3, 1, 1);
        set(&mut today.patient, "PatientBirthDate", "20240131");
        let (one, mut two) = (record(4, 4, 1, 1), record(4, 4, 1, 2));
        set(&mut two.series, "Modality", "MR");
        let records = [late, tomorrow, today, one, two];
        ingest(store, &mut Folder::of(&records), &How { batch: 2, ..How::default() });
        let said =
            ["1.2.1 birth-date-odd 1", "1.2.2 birth-date-odd 1", "1.2.4 series-modalities 1"];
        assert_eq!(findings(store), said);
        // Corrected: the files are read again.
        let mut records = records;
        set(&mut records[0].patient, "PatientBirthDate", "19600615");
        let mut folder = Folder::of(&records);
        folder.files[0].1.mark = 2;
        ingest(store, &mut folder, &How::default());
        assert_eq!(findings(store), said[1..]);
        assert_sound(store);
    });
}

#[test]
fn a_file_that_is_corrected_does_not_disagree_with_itself() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut one = record(1, 1, 1, 1);
        ingest(store, &mut Folder::of(&[one.clone()]), &How::default());
        set(&mut one.study, "StudyDate", "20230101");
        set(&mut one.series, "Modality", "MR");
        one.patient_key.id = "P9".to_owned();
        let mut folder = Folder::of(&[one]);
        folder.files[0].1.mark = 2;
        ingest(store, &mut folder, &How::default());
        assert_eq!(findings(store), [""; 0]);
    });
}

#[test]
fn what_follows_of_the_configuration_is_settled_without_reading_again() {
    on_both(|fresh| {
        let store = &fresh.store;
        let (mut one, mut two) = (record(1, 1, 1, 1), record(2, 2, 1, 1));
        set(&mut one.study, "StudyTime", "101112");
        set(&mut two.series, "BodyPartExamined", "THORAX INJECTE");
        two.series_uid = uid("1.2.2.9");
        ingest(store, &mut Folder::of(&[one, two]), &How::default());
        let both = ["1.2.1 time-zone-missing 1", "1.2.2 body-part-free-text 1"];
        assert_eq!(findings(store), both);
        let mut config = Config::default();
        config.archive.time_zone = "Europe/Prague".to_owned();
        let zoned = Context::new(&config, b"").unwrap();
        let feed = last_change(store);
        assert_eq!(vesalius::ingest::settle(store, &zoned).unwrap(), 1);
        assert_eq!(findings(store), both[1..]);
        assert_eq!(last_change(store), feed + 1);
        assert_eq!(vesalius::ingest::settle(store, &zoned).unwrap(), 0);
        // And a zone that is taken out is missed again.
        assert_eq!(vesalius::ingest::settle(store, &Context::default()).unwrap(), 1);
        assert_eq!(findings(store), both);
        assert_sound(store);
    });
}
