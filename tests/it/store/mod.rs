//! The store on both databases: migrations, the change feed, packed instances, and `verify`,
//! which must find every kind of damage that is planted.

use crate::support::{
    Folder, Fresh, How, archive, assert_sound, count_only, execute, ingest, last_change, lines,
    on_both, record, says,
};
use vesalius::imaging::{Finding, Lookup};
use vesalius::store::changes::{self, Kind};
use vesalius::store::journal;
use vesalius::store::read::{self, Compare, IdSpace};
use vesalius::store::{self, Store};

#[test]
fn migrations_have_the_same_names_on_both_databases_and_go_up_and_down() {
    let names = |folder: &str| {
        let path = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut names: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    assert_eq!(names("sqlite").len(), store::KNOWN_MIGRATIONS);
    on_both(|fresh| {
        store::migrate_up_and_down(fresh.dir.path(), &fresh.url).unwrap();
        // The tables are there again, and empty.
        ingest(&fresh.store, &mut Folder::of(&[record(1, 1, 1, 1)]), &How::default());
        assert_sound(&fresh.store);
    });
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    on_both(|fresh| {
        execute(
            &fresh.store,
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000000')",
        );
        let refused = Store::open(fresh.dir.path(), &fresh.url).map(drop).unwrap_err().to_string();
        assert!(refused.contains("newer version"), "{refused}");
    });
}

#[test]
fn processes_that_start_together_make_one_store() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("node");
        let ids = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..6)
                .map(|_| scope.spawn(|| Store::open(&data, "")?.read(store::meta::store_id)))
                .collect();
            starting.into_iter().map(|one| one.join().unwrap().unwrap()).collect::<Vec<_>>()
        });
        assert!(ids.iter().all(|id| *id == ids[0] && id.len() == 32), "{ids:?}");
    }
}

#[test]
fn the_data_folder_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("node");
    Store::open(&data, "").unwrap();
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn looking_for_a_store_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let typo = dir.path().join("typo");
    assert!(Store::find(&typo, "").is_err());
    assert!(!typo.exists());
    assert!(Store::find(dir.path(), "").is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn one_run_at_a_time_reads_a_source() {
    on_both(|fresh| {
        let other = Store::open(fresh.dir.path(), &fresh.url).unwrap();
        let lease = fresh.store.lease(1).unwrap();
        let refused = other.lease(1).map(drop).unwrap_err().to_string();
        assert!(refused.contains("another run reads this source"), "{refused}");
        other.lease(2).unwrap();
        drop(lease);
        other.lease(1).unwrap();
    });
}

#[test]
fn a_run_that_was_killed_is_closed_by_the_next() {
    on_both(|fresh| {
        let state = |of: i64| -> Vec<String> {
            let runs = fresh.store.read(|db| journal::list_runs(db, of, 9)).unwrap();
            runs.into_iter().map(|run| run.state).collect()
        };
        for of in [1, 1, 2] {
            fresh.store.write(|db| journal::put_run(db, of, 1)).unwrap();
        }
        assert_eq!(state(1), ["running", "interrupted"]);
        assert_eq!(state(2), ["running"]);
    });
}

#[test]
fn the_change_feed_counts_without_gaps_and_tells_what_changed() {
    on_both(|fresh| {
        let store = &fresh.store;
        ingest(store, &mut Folder::of(&archive(5, 30)), &How { batch: 9, ..How::default() });
        let last = last_change(store);
        let mut seen = 0;
        while seen < last {
            let page = store.read(|db| changes::list_changes(db, seen, 7)).unwrap();
            for change in &page {
                seen += 1;
                assert_eq!(change.seq, seen);
            }
        }
        let all = store.read(|db| changes::list_changes(db, 0, i64::MAX)).unwrap();
        let studies = lines(store, "SELECT CAST(number AS TEXT) AS line FROM study");
        for number in studies {
            let number: i64 = number.parse().unwrap();
            assert!(all.iter().any(|c| c.kind == Kind::Study && c.number == number), "{number}");
        }
    });
}

#[test]
fn what_fails_takes_its_change_numbers_back() {
    on_both(|fresh| {
        let store = &fresh.store;
        let failed = store.write(|db| {
            changes::put_changes(db, &[(Kind::Study, 1), (Kind::Study, 2)])?;
            Err::<(), _>(diesel::result::Error::RollbackTransaction)
        });
        assert!(failed.is_err());
        store.write(|db| changes::put_changes(db, &[(Kind::Patient, 7)])).unwrap();
        let all = store.read(|db| changes::list_changes(db, 0, 10)).unwrap();
        assert_eq!((all.len(), all[0].seq, all[0].number), (1, 1, 7));
    });
}

#[test]
fn writers_that_meet_take_different_numbers() {
    on_both(|fresh| {
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let store = &fresh.store;
                scope.spawn(move || {
                    for number in 0..10 {
                        store
                            .write(|db| {
                                changes::put_changes(db, &[(Kind::Study, writer * 100 + number)])
                            })
                            .unwrap();
                    }
                });
            }
        });
        let all = fresh.store.read(|db| changes::list_changes(db, 0, 100)).unwrap();
        let seqs: Vec<i64> = all.iter().map(|change| change.seq).collect();
        assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
    });
}

#[test]
fn instances_come_out_of_their_pack_as_they_went_in() {
    on_both(|fresh| {
        let store = &fresh.store;
        let records: Vec<_> = (1..=30).map(|instance| record(1, 1, 1, instance)).collect();
        ingest(store, &mut Folder::of(&records), &How { batch: 4, ..How::default() });
        let study =
            store.read(|db| read::load_studies(db, &[1], IdSpace::Care, true)).unwrap().remove(0);
        let expected: Vec<_> = records.iter().filter_map(|r| r.instance.clone()).collect();
        assert_eq!(study.series[0].instances, expected);
        assert_eq!(study.images(), 30);
        let of = |uid: &str| store.read(|db| read::find_studies_by_instance(db, &[uid])).unwrap();
        assert_eq!(of("1.2.1.1.17"), [1]);
        assert!(of("1.2.1.1.31").is_empty());
    });
}

#[test]
fn values_are_looked_up_alike_on_both_databases() {
    on_both(|fresh| {
        let store = &fresh.store;
        let names = ["Dvořáková^Žofie", "Dvorak^Jan", "Zeman^Éva", "O'Neill^A%b_c", "zz^x"];
        let records: Vec<_> = (1..)
            .zip(names)
            .map(|(number, name)| {
                let mut record = record(number, number, 1, 1);
                crate::support::set(&mut record.patient, "PatientName", name);
                record
            })
            .collect();
        ingest(store, &mut Folder::of(&records), &How::default());
        let find = |compare, value: &str| {
            store.read(|db| read::find_by_lookup(db, Lookup::Family, compare, value)).unwrap().len()
        };
        assert_eq!(find(Compare::Begins, "dvor"), 2);
        assert_eq!(find(Compare::Equal, "dvorak"), 1);
        assert_eq!(find(Compare::Contains, "em"), 1);
        assert_eq!(find(Compare::Contains, "%"), 0);
        assert_eq!(find(Compare::Contains, "_"), 0);
        assert_eq!(find(Compare::Begins, ""), 5);
        assert_eq!(find(Compare::AtLeast, "z"), 2);
        assert_eq!(find(Compare::Below, "z"), 3);
    });
}

/// What is done to the tables, and the words in which `verify` must find it.
const DAMAGE: &[(&str, &str)] = &[
    ("UPDATE series SET study = 999 WHERE number = 1", "belongs to study 999, which is not there"),
    ("UPDATE study SET deleted = (1 = 1) WHERE number = 1", "which is not there"),
    ("DELETE FROM series WHERE study = 1", "has no series and is not deleted"),
    ("UPDATE series SET image_block = 0 WHERE number = 1", "and a block of 0"),
    ("UPDATE series SET first_image = 1", "share image numbers"),
    ("UPDATE series SET images = images + 1 WHERE number = 1", "images and holds"),
    ("UPDATE series SET instances = instances || instances WHERE number = 1", "are damaged"),
    ("DELETE FROM instance WHERE series = 1", "can be found by UID"),
    ("UPDATE instance SET hash = hash + 1 WHERE series = 1", "its instance is not there"),
    ("UPDATE instance SET series = 999 WHERE series = 1", "cannot be found by its UID"),
    ("DELETE FROM change WHERE seq = 2", "the change feed counts to"),
    ("UPDATE counter SET value = value + 1 WHERE name = 'change'", "the change feed counts to"),
    ("UPDATE study SET patient = 999 WHERE number = 1", "names patient 999, who is not there"),
    ("UPDATE series SET patient = 999 WHERE number = 1", "names patient 999, who is not there"),
    ("UPDATE patient SET deleted = (1 = 1) WHERE number = 1", "names patient 1, who is not there"),
    (
        "INSERT INTO patient SELECT 999, 'nobody', 'x', 'a', 'b', '{}', '~', 1, 1, (1 = 0)",
        "patient 999 is named by no series",
    ),
    ("UPDATE counter SET value = 1 WHERE name = 'series'", "the counter of series stands at 1"),
    ("UPDATE study SET attributes = '{' WHERE number = 1", "study 1 is damaged"),
    ("UPDATE series SET attributes = '[]' WHERE number = 1", "series 1 is damaged"),
    ("UPDATE patient SET attributes = 'x' WHERE number = 1", "patient 1 is damaged"),
    ("DELETE FROM finding WHERE study = 1", "the findings count to"),
    ("DELETE FROM report WHERE number = 1", "reports have no row"),
    ("DELETE FROM meta WHERE name = 'store'", "the store has no id"),
    (
        "UPDATE run SET state = 'running'; INSERT INTO run VALUES (999, 1, 1, NULL, 'running', '')",
        "two runs of one source are said to go on at once",
    ),
    ("DELETE FROM lookup WHERE kind = 1 AND number = 1", "cannot be looked up"),
    ("INSERT INTO lookup VALUES (7, 'ghost', 999)", "looks up what is not there"),
    (
        "INSERT INTO finding VALUES (999, 'vr-odd', 'Rows', '', 1)",
        "a finding is about study 999, which is not there",
    ),
];

fn filled() -> impl Fn(&Fresh) {
    |fresh: &Fresh| {
        let mut records: Vec<_> = (1..=4).map(|instance| record(1, 1, 1, instance)).collect();
        records[0].findings.push(Finding::new("vr-odd", "Rows", ""));
        let mut report = record(1, 1, 2, 1);
        let said = says(report.instance.as_ref().unwrap(), "synthetic");
        report.report = Some(Box::new(said));
        records.push(report);
        records.push(record(2, 2, 1, 1));
        records.push(count_only(3, 3, 1, 50));
        ingest(&fresh.store, &mut Folder::of(&records), &How::default());
        assert_sound(&fresh.store);
    }
}

#[test]
fn verify_finds_every_planted_damage() {
    let fill = filled();
    for (damage, expected) in DAMAGE {
        on_both(|fresh| {
            fill(fresh);
            // One database joins bytes by another operator than text.
            let damage = if fresh.store.is_embedded() {
                damage.replace("instances || instances", "CAST(instances || x'00' AS BLOB)")
            } else {
                (*damage).to_owned()
            };
            execute(&fresh.store, &damage);
            let found = fresh.store.read(store::verify::contradictions).unwrap();
            assert!(
                found.iter().any(|line| line.contains(expected)),
                "{damage}: `{expected}` is not among {found:#?}"
            );
        });
    }
}
