//! Hostile files through the reader and through workers; mutants; real files where they are.

mod odd;
mod report;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use proptest::prelude::*;
use vesalius::dicom::hostile::{self, Expected, Hostile};
use vesalius::dicom::worker::{Job, Pool};
use vesalius::dicom::{Outcome, Reader};
use vesalius::source::folder::{Folder, Remembered};
use vesalius::source::{Item, Source};

const VESALIUS: &str = env!("CARGO_BIN_EXE_vesalius");

/// One test ends workers, which it finds as children of this process: none may run beside it.
static WORKERS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is wrong with what became of a file.
fn complaint(file: &Hostile, outcome: &Outcome) -> Option<String> {
    let is_right = match (file.expected, outcome) {
        (Expected::Quarantined(code), Outcome::Quarantined(reason)) => reason.code == code,
        (Expected::Refused, Outcome::Quarantined(_)) => true,
        (Expected::Refused, Outcome::Record(record)) => !record.findings.is_empty(),
        (Expected::Found(code), Outcome::Record(record)) => {
            record.findings.iter().any(|finding| finding.code == code)
        }
        (Expected::Read, Outcome::Record(_)) | (Expected::NotDicom, Outcome::NotDicom) => true,
        _ => false,
    };
    (!is_right).then(|| {
        let became = match outcome {
            Outcome::Record(record) => format!("read, {:?}", record.findings),
            other => format!("{other:?}"),
        };
        format!("{}: expected {:?}, became {became}", file.name, file.expected)
    })
}

#[test]
fn hostile_files_become_what_they_must_in_process() {
    let files = hostile::files();
    assert!(files.len() >= 100, "{}", files.len());
    let reader = Reader::default();
    let mut complaints = Vec::new();
    for file in &files {
        let begin = Instant::now();
        complaints.extend(complaint(file, &reader.bytes(&file.bytes, "")));
        let took = begin.elapsed().as_millis();
        assert!(took < 2_000, "{} took {took} ms", file.name);
    }
    assert!(
        complaints.is_empty(),
        "{} of {}:\n{}",
        complaints.len(),
        files.len(),
        complaints.join("\n")
    );
}

#[test]
fn hostile_files_become_what_they_must_through_workers() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let files = hostile::files();
    assert_eq!(hostile::write(dir.path()).unwrap().len(), files.len());
    let pool = Pool::start(Path::new(VESALIUS), 2, 512, 20).unwrap();
    let (mut complaints, mut seen) = (Vec::new(), 0);
    let reader = Reader::default();
    let jobs = files.iter().enumerate().map(|(number, file)| Job {
        number,
        path: dir.path().join(&file.name),
        origin: file.name.clone(),
    });
    pool.read(jobs, &mut |number, outcome| {
        seen += 1;
        complaints.extend(complaint(&files[number], &outcome));
        // Between processes nothing is lost.
        if let (Outcome::Record(one), Outcome::Record(two)) =
            (&outcome, reader.bytes(&files[number].bytes, &files[number].name))
        {
            assert_eq!(format!("{one:?}"), format!("{two:?}"));
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, files.len());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The threads that feed and watch workers end with whoever takes the answers, in whatever way.
#[test]
fn a_taker_that_panics_does_not_wait_for_ever() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let files = hostile::files();
    hostile::write(dir.path()).unwrap();
    let pool = Pool::start(Path::new(VESALIUS), 2, 512, 20).unwrap();
    let job = |(number, file): (usize, &Hostile)| Job {
        number,
        path: dir.path().join(&file.name),
        origin: file.name.clone(),
    };
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pool.read(files.iter().enumerate().map(job), &mut |_, _| panic!("planted"))
    }));
    assert!(ended.is_err());
}

/// A worker that is killed again and again loses no file and quarantines at most those that it
/// was alone with.
#[test]
fn a_worker_that_dies_costs_one_file() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    vesalius::sample::write(dir.path(), 40, 3).unwrap();
    let paths: Vec<_> = walkdir::WalkDir::new(dir.path())
        .sort_by_file_name()
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    let pool = Pool::start(Path::new(VESALIUS), 2, 512, 20).unwrap();
    let mut seen = HashMap::new();
    let jobs = paths.iter().enumerate().map(|(number, path)| Job {
        number,
        path: path.clone(),
        origin: String::new(),
    });
    let mut kills = 0;
    pool.read(jobs, &mut |number, outcome| {
        if seen.len() % 100 == 50 {
            kills += kill_children();
        }
        let is_read = matches!(outcome, Outcome::Record(_));
        assert!(seen.insert(number, is_read).is_none(), "{number} was answered twice");
        Ok(())
    })
    .unwrap();
    assert_eq!(seen.len(), paths.len());
    let lost = seen.values().filter(|is_read| !**is_read).count();
    assert!(kills > 0 && lost <= kills, "{lost} files lost by {kills} kills");
}

/// 16 million empty elements in a file without a block on the disk cost more than a second.
#[test]
fn a_file_that_costs_too_much_time_is_quarantined_alone() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    vesalius::sample::write(dir.path(), 2, 9).unwrap();
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM\x02\0\x10\0UI\x12\x001.2.840.10008.1.2\0");
    bytes.extend_from_slice(&[0x09, 0, 0x01, 0x10, 0xff, 0xff, 0xff, 0xff]);
    bytes.extend_from_slice(&[0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]);
    let path = dir.path().join("breast/slow.dcm");
    std::fs::write(&path, bytes).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(400 << 20).unwrap();

    let pool = Pool::start(Path::new(VESALIUS), 1, 512, 0).unwrap();
    let (mut records, mut refused) = (0, Vec::new());
    Folder::new(dir.path(), pool)
        .unwrap()
        .read(&Remembered::default(), &mut |item| {
            match item {
                Item::Record { .. } => records += 1,
                Item::Quarantined { origin, reason, .. } => refused.push((origin, reason.code)),
                _ => {}
            }
            Ok(())
        })
        .unwrap();
    assert!(records > 5, "{records}");
    // A fast machine may come to the end of the bound on elements first.
    let codes = ["worker-timeout", "too-many-elements"];
    assert!(
        matches!(refused.as_slice(), [(origin, code)] if origin == "breast/slow.dcm" && codes.contains(&code.as_str())),
        "{refused:?}"
    );
}

/// Ends this process's DICOM workers, found by their parent and their command: the query workers
/// of tests that run beside are not meant.
fn kill_children() -> usize {
    let own = std::process::id().to_string();
    let mut kills = 0;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if fields.get(2) == Some(&own.as_str())
            && command.ends_with("\0worker\0")
            && let Some(child) = rustix::process::Pid::from_raw(id)
            && rustix::process::kill_process(child, rustix::process::Signal::KILL).is_ok()
        {
            kills += 1;
        }
    }
    kills
}

#[test]
fn a_worker_without_memory_is_told_when_it_starts() {
    let _alone = alone();
    let error = Pool::start(Path::new(VESALIUS), 1, 1, 20).unwrap_err().to_string();
    assert!(error.contains("worker"), "{error}");
    assert!(Pool::start(Path::new("/nowhere"), 1, 512, 20).is_err());
}

#[test]
fn a_folder_through_workers_equals_a_folder_in_process() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    vesalius::sample::write(dir.path(), 10, 5).unwrap();
    let read = |mut folder: Folder| {
        let mut all = Vec::new();
        folder
            .read(&Remembered::default(), &mut |item| {
                if let Item::Record { record, stamp } = item {
                    all.push(format!("{record:?} {stamp:?}"));
                }
                Ok(())
            })
            .unwrap();
        all.sort();
        all
    };
    let pool = Pool::start(Path::new(VESALIUS), 2, 512, 20).unwrap();
    let one = read(Folder::new(dir.path(), pool).unwrap());
    assert_eq!(one, read(Folder::in_process(dir.path()).unwrap()));
    assert!(!one.is_empty());
}

/// Files seen = ingested + unchanged + quarantined + not DICOM, always.
#[test]
fn every_file_of_a_folder_is_accounted_for() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let count = hostile::write(dir.path()).unwrap().len() as u64;
    let pool = Pool::start(Path::new(VESALIUS), 2, 512, 20).unwrap();
    let mut folder = Folder::new(dir.path(), pool).unwrap();
    let mut journal = Remembered::default();
    for run in 0..2 {
        let (mut expected, mut seen, mut unchanged) = (0, 0, 0);
        let mut settled = Vec::new();
        folder
            .read(&journal, &mut |item| {
                seen += u64::from(!matches!(item, Item::Expected(_)));
                match item {
                    Item::Expected(files) => expected = files,
                    Item::Record { record, stamp } => settled.push((record.origin, stamp.unwrap())),
                    Item::NotDicom { origin, stamp } => settled.push((origin, stamp)),
                    Item::Quarantined { origin, stamp, .. } => {
                        settled.push((origin, stamp.unwrap()))
                    }
                    Item::Unchanged { .. } => unchanged += 1,
                    Item::Settled { .. } => panic!("a file is settled by its record"),
                }
                Ok(())
            })
            .unwrap();
        assert_eq!((expected, seen), (count, count));
        assert_eq!(unchanged, run * count);
        journal.0.extend(settled);
    }
}

proptest! {
    /// Bytes changed, cut out and doubled: always an answer, never a panic.
    #[test]
    fn mutants_are_answered(
        base in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::of((any::<prop::sample::Index>(), 0_usize..40)),
    ) {
        static BASES: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(|| {
            let dir = tempfile::tempdir().unwrap();
            vesalius::sample::write(dir.path(), 5, 11).unwrap();
            let mut all: Vec<Vec<u8>> = walkdir::WalkDir::new(dir.path())
                .sort_by_file_name().into_iter().flatten()
                .filter(|entry| entry.file_type().is_file())
                .step_by(5)
                .map(|entry| std::fs::read(entry.path()).unwrap())
                .collect();
            all.extend(hostile::files().into_iter().filter(|f| f.bytes.len() < 4096).map(|f| f.bytes));
            all
        });
        let mut bytes = BASES[base.index(BASES.len())].clone();
        if !bytes.is_empty() {
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if let Some((place, length)) = cut {
                let place = place.index(bytes.len());
                let end = (place + length).min(bytes.len());
                bytes.drain(place..end);
            }
        }
        let reader = Reader::default();
        if let Outcome::Record(record) = reader.bytes(&bytes, "") {
            prop_assert!(serde_json::to_string(&record).unwrap().len() < 4 << 20);
        }
    }
}

/// Every source that the map of DICOM to FHIR names is read, or it is known why not.
#[test]
fn the_table_of_attributes_covers_the_map_to_fhir() {
    let Ok(reference) = std::env::var("VESALIUS_REFERENCE") else {
        #[allow(clippy::print_stderr, reason = "a skipped check says so")]
        {
            eprintln!("skipped: VESALIUS_REFERENCE is not set");
        }
        return;
    };
    const NOT_READ: &[(&str, &str)] = &[
        ("ModalitiesInStudy", "computed: only in answers to queries"),
        ("NumberOfStudyRelatedSeries", "computed"),
        ("NumberOfStudyRelatedInstances", "computed"),
        ("NumberOfSeriesRelatedInstances", "computed"),
        ("StudyComments", "retired; the map says to avoid it"),
        ("AccessoryCode", "retired with the specimen modules that had it"),
        ("RetrieveURL", "of a manifest, not of an instance"),
        ("RetrieveLocationUID", "of a manifest, not of an instance"),
        ("ImageComments", "free text that may name the person"),
        ("ContentDescription", "free text that may name the person"),
        ("SpecificCharacterSet", "used up by decoding"),
        ("CurrentRequestedProcedureEvidenceSequence", "of the content of a key object selection"),
        ("CodeMeaning", "inside every sequence of codes"),
        ("UniqueDeviceIdentifier", "inside UDISequence"),
        ("SpecimenIdentifier", "inside SpecimenDescriptionSequence"),
    ];
    let map = Path::new(&reference).join("reference/data/dicom-fhir-map.tsv");
    let map = std::fs::read_to_string(map).unwrap();
    let table = vesalius::mapping::attributes::AttributeTable::embedded();
    let mut missing = Vec::new();
    for line in map.lines().skip(1) {
        let keywords = line.split('\t').nth(4).unwrap_or_default();
        for word in keywords.split(|c: char| !c.is_ascii_alphanumeric()) {
            let is_keyword = vesalius::imaging::Keyword::parse(word).is_ok();
            let is_known = table.level(word).is_some() || NOT_READ.iter().any(|(w, _)| *w == word);
            if is_keyword && !is_known {
                missing.push(word.to_owned());
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
