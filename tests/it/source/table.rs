//! Tables of series: small CSV files written here, and the IDC index where the folder named by
//! `VESALIUS_TEST_IDC` holds it.

use std::path::{Path, PathBuf};

use vesalius::source::table::Table;
use vesalius::source::table::descriptions::descriptions_from_table;
use vesalius::source::{Item, Source as _};

use super::{Memory, run};

const MAPPING: &str = r#"
kind = "series"
title = "a hospital's list of series (synthetic)"
count-only = true

[csv]
delimiter = ";"
encoding = "windows-1250"

[identity]
patient = "pacient"
issuer = { constant = "hospital-a" }
study = "studie"
series = "serie"
sop-class = "trida"

[size]
instances = "pocet"
bytes = { column = "velikost_kb", factor = 1024 }

[dataset]
collection = "soubor"

[[lookup]]
name = "sets"
file = "sets.csv"
column = "soubor"
key = "soubor"
optional = true

[[attribute]]
column = "jmeno"
keyword = "PatientName"
transforms = ["trim", "person-name"]

[[attribute]]
column = "pohlavi"
keyword = "PatientSex"
transforms = [{ map = { values = { "muž" = "M", "žena" = "F" }, otherwise = "drop", finding = "sex-odd" } }]

[[attribute]]
column = "datum"
keyword = "StudyDate"
transforms = [{ date-format = { format = "%d.%m.%Y" } }]

[[attribute]]
column = "modalita"
keyword = "Modality"
absent = "row-incomplete"

[[attribute]]
column = "popis"
keyword = "SeriesDescription"
optional = true

[[attribute]]
column = "druh"
lookup = "sets"
keyword = "PatientSpeciesDescription"

[[constant]]
keyword = "InstitutionName"
value = "Hospital A"

[[rule]]
column = "stav"
values = ["test"]
action = "skip"
reason = "test rows of the department"
"#;

const HEADER: &str =
    "pacient;jmeno;pohlavi;datum;studie;serie;trida;modalita;pocet;velikost_kb;soubor;stav;popis";

fn folder(rows: &[&str]) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("serie.csv");
    let mapping = folder.path().join("mapping.toml");
    let text = format!("{HEADER}\r\n{}\r\n", rows.join("\r\n"));
    // windows-1250: ž is 0x9E, á is 0xE1.
    let bytes: Vec<u8> = text
        .chars()
        .map(|c| match c {
            'ž' => 0x9e,
            'á' => 0xe1,
            c => u8::try_from(c).unwrap(),
        })
        .collect();
    std::fs::write(&table, bytes).unwrap();
    std::fs::write(&mapping, MAPPING).unwrap();
    (folder, table, mapping)
}

fn open(table: &Path, mapping: &Path) -> Table {
    Table::open(table, mapping.to_str().unwrap(), None).unwrap()
}

#[test]
fn a_row_becomes_a_record() {
    let (folder, table, mapping) = folder(&[
        "1;Novák, Jan;muž;17.9.1997;1.2.3;1.2.3.4;1.2.840.10008.5.1.4.1.1.2;CT;120;10;a;;\"x;y\"",
        "1;Novák, Jan;muž;17.9.1997;1.2.3;1.2.3.5;1.2.840.10008.5.1.4.1.1.2;CT;1;;b;;",
    ]);
    std::fs::write(folder.path().join("sets.csv"), "soubor;druh\na;Mouse\n").unwrap();
    let run = run(&mut open(&table, &mapping), &mut Memory::default()).unwrap();
    let [first, second] = &run.records[..] else { panic!("{run:?}") };
    assert_eq!((&*first.patient_key.issuer, &*first.patient_key.id), ("hospital-a", "1"));
    assert_eq!(first.patient.text("PatientName"), Some("Novák^Jan"));
    assert_eq!(first.patient.text("PatientSex"), Some("M"));
    assert_eq!(first.patient.text("PatientID"), Some("1"));
    assert_eq!(first.patient.text("PatientSpeciesDescription"), Some("Mouse"));
    assert_eq!(first.study.text("StudyDate"), Some("19970917"));
    assert_eq!(first.series.text("SeriesDescription"), Some("x;y"));
    assert_eq!(first.series.text("InstitutionName"), Some("Hospital A"));
    assert_eq!((first.count, first.bytes), (120, 10_240));
    assert_eq!(first.sop_classes.len(), 1);
    assert_eq!(first.collection.as_deref(), Some("a"));
    assert_eq!(first.origin, "row 1");
    assert!(first.instance.is_none() && first.findings.is_empty(), "{first:?}");
    assert_eq!(second.series.text("SeriesDescription"), None, "not carried over");
    assert_eq!(second.patient.text("PatientSpeciesDescription"), None, "not carried over");
    assert_eq!((second.count, second.bytes), (1, 0));
    let [(origin, stamp, inputs, None)] = &run.settled[..] else { panic!("{run:?}") };
    assert_eq!((&**origin, *inputs), ("serie.csv", 2));
    assert_eq!(stamp.size, std::fs::metadata(&table).unwrap().len());
}

#[test]
fn a_row_that_cannot_be_used_is_quarantined_and_the_others_go_on() {
    let (_folder, table, mapping) = folder(&[
        "1;;;;;1.2.3.4;1.2;CT;1;;a;;",
        "1;;;;1.2.3;1_2;1.2;CT;1;;a;;",
        "1;;;;1.2.3;1.2.3.4;1.2;CT;0;;a;;",
        "1;;;;1.2.3;1.2.3.4;1.2;CT;many;;a;;",
        "1;too;few",
        "1;;;;1.2.3;1.2.3.4;1.2;CT;1;;a;test;",
        ";;jine;32.1.2001;1.02.3;1.2.3.4;1.2;;2;;a;;",
    ]);
    let run = run(&mut open(&table, &mapping), &mut Memory::default()).unwrap();
    let codes: Vec<_> = run
        .quarantined
        .iter()
        .map(|(origin, reason)| (origin.as_str(), reason.code.as_str(), reason.path.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            ("serie.csv/row 1", "uid-missing", "studie"),
            ("serie.csv/row 2", "uid-invalid", "serie"),
            ("serie.csv/row 3", "count-broken", "pocet"),
            ("serie.csv/row 4", "count-broken", "pocet"),
            ("serie.csv/row 5", "row-broken", ""),
            ("serie.csv/row 6", "left-out-by-mapping", "stav"),
        ]
    );
    assert_eq!(run.quarantined[4].1.offset, Some(5));
    let [record] = &run.records[..] else { panic!("{run:?}") };
    assert_eq!(record.patient_key.id, "study:1.02.3");
    let found: Vec<_> =
        record.findings.iter().map(|f| (&*f.code, &*f.attribute, f.value.as_str())).collect();
    assert_eq!(
        found,
        [
            ("uid-not-standard", "", "1.02.3"),
            ("sex-odd", "PatientSex", "jine"),
            ("date-odd", "StudyDate", "32.1.2001"),
            ("row-incomplete", "modalita", ""),
            ("patient-id-missing", "PatientID", ""),
        ]
    );
    assert_eq!(run.settled[0].2, 7, "every row is an input");
}

#[test]
fn an_unchanged_table_is_not_read_and_a_changed_mapping_reads_it_again() {
    let (folder, table, mapping) =
        folder(&["1;;;;1.2.3;1.2.3.4;1.2;CT;1;;a;;", "1;;;;1.2.3;1.2.3.5;1.2;CT;1;;a;;"]);
    let mut journal = Memory::default();
    assert_eq!(run(&mut open(&table, &mapping), &mut journal).unwrap().records.len(), 2);
    let second = run(&mut open(&table, &mapping), &mut journal).unwrap();
    assert_eq!(second.unchanged, [("serie.csv".to_owned(), 2)]);
    assert!(second.records.is_empty() && second.settled.is_empty());
    std::fs::write(folder.path().join("sets.csv"), "soubor;druh\na;Mouse\n").unwrap();
    assert_eq!(run(&mut open(&table, &mapping), &mut journal).unwrap().records.len(), 2);
    std::fs::write(&mapping, MAPPING.replace("Hospital A", "Hospital B")).unwrap();
    assert_eq!(run(&mut open(&table, &mapping), &mut journal).unwrap().records.len(), 2);
}

#[test]
fn a_table_of_instances_gives_instances() {
    let folder = tempfile::tempdir().unwrap();
    let (table, mapping) = (folder.path().join("i.csv"), folder.path().join("m.toml"));
    std::fs::write(
        &mapping,
        "kind = 'series'\ntitle = 'i'\n[identity]\npatient = 'p'\nstudy = 's'\nseries = 'e'\n\
         instance = 'i'\nsop-class = 'c'\n[size]\nbytes = { column = 'b' }\n[[attribute]]\n\
         column = 'n'\nkeyword = 'InstanceNumber'\n[[attribute]]\ncolumn = 'l'\n\
         keyword = 'ImageLaterality'\n",
    )
    .unwrap();
    std::fs::write(
        &table,
        "p,s,e,i,c,n,l,b\n1,1.2,1.3,1.4,1.5,7,L,99\n1,1.2,1.3,1.6,,8,,\n1,1.2,1.3,1.7,1.5,x,,\n",
    )
    .unwrap();
    let run = run(&mut open(&table, &mapping), &mut Memory::default()).unwrap();
    let first = run.records[0].instance.as_ref().unwrap();
    assert_eq!((first.uid.as_str(), first.sop_class.as_str()), ("1.4", "1.5"));
    assert_eq!((first.number, first.bytes), (Some(7), 99));
    assert_eq!(first.laterality, Some(vesalius::imaging::Laterality::Left));
    assert_eq!(run.quarantined[0].1.code, "sop-class-missing");
    let second = run.records[1].instance.as_ref().unwrap();
    assert_eq!(second.number, None);
    assert_ne!(first.digest, second.digest);
}

#[test]
fn a_cell_that_is_no_text_is_not_made_one() {
    let folder = tempfile::tempdir().unwrap();
    let (table, mapping) = (folder.path().join("i.csv"), folder.path().join("m.toml"));
    let text = "kind = 'series'\ntitle = 'i'\ncount-only = true\n[csv]\nencoding = 'utf-8'\n\
                [identity]\npatient = 'p'\nstudy = 's'\nseries = 'e'\n[size]\n\
                instances = 'n'\n[[attribute]]\ncolumn = 'd'\nkeyword = 'StudyDescription'\n";
    std::fs::write(&mapping, text).unwrap();
    let rows =
        b"p,s,e,n,d\nP1,1.2,1.3,1,ok\nP\xe9,1.4,1.5,1,ok\nP2,1.6,1.7,1,\xe9t\xe9\nP3,1.8,1.9,1,\xc3\xa9\n";
    std::fs::write(&table, rows).unwrap();
    let run = run(&mut open(&table, &mapping), &mut Memory::default()).unwrap();
    let ids: Vec<_> = run.records.iter().map(|record| record.patient_key.id.as_str()).collect();
    assert_eq!(ids, ["P1", "P2", "P3"]);
    let (origin, reason) = &run.quarantined[0];
    assert_eq!(
        (origin.as_str(), reason.code.as_str(), reason.path.as_str()),
        ("i.csv/row 2", "row-broken", "p")
    );
    assert!(reason.detail.contains("csv.encoding"), "{}", reason.detail);
    let odd = |at: usize| run.records[at].findings.iter().any(|f| f.code == "charset-undeclared");
    assert_eq!((odd(0), odd(1), odd(2)), (false, true, false));
}

#[test]
fn a_clinical_row_that_is_no_text_is_put_aside_by_its_line() {
    use vesalius::mapping::tables::{self, Mapping};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.csv");
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/clinical/screening.toml"),
    )
    .unwrap();
    let Mapping::Clinical(mapping) = tables::parse(&text, "screening").unwrap() else { panic!() };
    let columns = mapping.columns();
    let row = |first: &[u8]| {
        let mut row = first.to_vec();
        row.extend(std::iter::repeat_n(b',', columns.len() - 1));
        row.push(b'\n');
        row
    };
    let bytes =
        [columns.join(",").into_bytes(), b"\n".to_vec(), row(b"a"), row(b"\xe9"), row(b"b")];
    std::fs::write(&file, bytes.concat()).unwrap();
    let mut read = Vec::new();
    let each = |row: vesalius::source::table::clinical::ClinicalRow| {
        read.push((row.line, row.cells.map(|cells| cells.len())));
        Ok(())
    };
    vesalius::source::table::clinical::read(&file, &mapping, "screening", each).unwrap();
    assert_eq!((read[0].clone(), read[2].clone()), ((2, Ok(1)), (4, Ok(1))));
    assert_eq!(read[1].0, 3);
    let detail = read[1].1.clone().unwrap_err();
    assert!(detail.contains(&columns[0]) && detail.contains("csv.encoding"), "{detail}");
}

#[test]
fn a_wrong_column_is_named_with_the_columns_that_exist() {
    let (_folder, table, mapping) = folder(&[]);
    std::fs::write(&mapping, MAPPING.replace("study = \"studie\"", "study = \"study\"")).unwrap();
    let message = Table::open(&table, mapping.to_str().unwrap(), None).unwrap_err().to_string();
    for part in ["line 13", "`identity.study`", "has no column `study`", "studie", "velikost_kb"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn an_unclosed_quotation_mark_does_not_swallow_the_memory() {
    let (_folder, table, mapping) = folder(&["1;\"never closed"]);
    let mut text = std::fs::read(&table).unwrap();
    text.resize(64 << 20, b'x');
    std::fs::write(&table, text).unwrap();
    let failure = run(&mut open(&table, &mapping), &mut Memory::default()).unwrap_err();
    assert!(failure.to_string().contains("quotation mark"), "{failure}");
}

#[test]
fn a_file_that_is_no_parquet_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in [&b""[..], b"PAR1", b"PAR1\xff\xff\xff\x7fPAR1", &[0_u8; 4096]] {
        let table = folder.path().join("idc_index.parquet");
        std::fs::write(&table, bytes).unwrap();
        let failure = Table::open(&table, "idc", None).unwrap_err().to_string();
        assert!(failure.contains("cannot be read"), "{failure}");
    }
}

/// The whole IDC index: every row, exact totals, memory far below the columns' 300 MB.
#[test]
fn the_idc_index_is_read_whole() {
    let Ok(folder) = std::env::var("VESALIUS_TEST_IDC") else {
        eprintln!("skipped: VESALIUS_TEST_IDC names no folder with idc_index.parquet");
        return;
    };
    let table = Path::new(&folder).join("idc_index.parquet");
    let started = std::time::Instant::now();
    let (mut rows, mut images, mut bytes, mut quarantined) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut patients = std::collections::HashSet::new();
    let mut studies = std::collections::HashSet::new();
    let mut findings = std::collections::BTreeMap::<String, u64>::new();
    let mut only_read = std::env::var("VESALIUS_TEST_ONLY_READ").is_ok();
    let mut source = Table::open(&table, "idc", None).unwrap();
    source
        .read(&Memory::default(), &mut |item| {
            match item {
                Item::Record { record, .. } => {
                    rows += 1;
                    images += u64::from(record.count);
                    bytes += record.bytes;
                    if !only_read {
                        patients.insert(record.patient_key.clone());
                        studies.insert(record.study_uid.clone());
                        for finding in &record.findings {
                            *findings.entry(finding.code.to_string()).or_default() += 1;
                        }
                    }
                }
                Item::Quarantined { .. } => quarantined += 1,
                _ => {}
            }
            Ok(())
        })
        .unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("").to_owned();
    println!("{rows} rows, {images} images, {bytes} bytes in {seconds:.2} s; {peak}");
    println!("{findings:?}");
    assert_eq!((rows, quarantined, images), (1_044_191, 0, 58_784_975));
    if !std::mem::take(&mut only_read) {
        assert_eq!((patients.len(), studies.len()), (86_451, 168_507));
    }
}

/// The 179 collections of IDC become descriptions.
#[test]
fn the_idc_collections_become_descriptions() {
    let Ok(folder) = std::env::var("VESALIUS_TEST_IDC") else {
        eprintln!("skipped: VESALIUS_TEST_IDC names no folder with collections_index.parquet");
        return;
    };
    let file = Path::new(&folder).join("collections_index.parquet");
    let rows = descriptions_from_table("idc-collections", None, &file).unwrap();
    assert_eq!(rows.len(), 179);
    let mut of_several_licences = 0;
    for (slug, text) in &rows {
        let table: toml::Table = text.parse().unwrap();
        let read: vesalius::catalogue::Description = toml::from_str(text).unwrap();
        assert!(vesalius::catalogue::is_slug(slug) && !read.title.is_empty(), "{slug}");
        let several = table["distribution"].as_array().unwrap().len();
        of_several_licences += u32::from(several > 1);
        assert_eq!(table["selection"]["collection"][0].as_str(), Some(slug.as_str()));
        assert!(!text.contains("<i>") && !text.contains("&amp;"), "{text}");
        if let Ok(folder) = std::env::var("VESALIUS_TEST_WRITE") {
            std::fs::write(Path::new(&folder).join(format!("{slug}.toml")), text).unwrap();
        }
    }
    assert_eq!(of_several_licences, 39);
}
