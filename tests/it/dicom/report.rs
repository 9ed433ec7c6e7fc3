//! Structured reports and encapsulated documents as files give them, and hostile ones.

use vesalius::dicom::sr;
use vesalius::dicom::worker::{Job, Pool};
use vesalius::dicom::write::DataSet;
use vesalius::dicom::{Outcome, Reader, record_from_json};
use vesalius::imaging::{Content, Record, Report};

fn code(value: &str, scheme: &str, meaning: &str) -> DataSet {
    DataSet::new()
        .text("CodeValue", value)
        .text("CodingSchemeDesignator", scheme)
        .text("CodeMeaning", meaning)
}

fn item(relationship: &str, value_type: &str) -> DataSet {
    DataSet::new().text("RelationshipType", relationship).text("ValueType", value_type)
}

fn named(relationship: &str, value_type: &str, concept: DataSet) -> DataSet {
    item(relationship, value_type).item("ConceptNameCodeSequence", concept)
}

fn header(class: &str) -> DataSet {
    DataSet::new()
        .text("SOPClassUID", class)
        .text("SOPInstanceUID", "2.25.3")
        .text("StudyInstanceUID", "2.25.1")
        .text("SeriesInstanceUID", "2.25.2")
        .text("Modality", "SR")
        .text("PatientID", "P1")
}

const TEXT_SR: &str = "1.2.840.10008.5.1.4.1.1.88.11";

fn read(set: &DataSet) -> Record {
    match Reader::default().bytes(&set.to_part_10().unwrap(), "here") {
        Outcome::Record(record) => *record,
        other => panic!("{other:?}"),
    }
}

fn report(record: &Record) -> &Report {
    record.report.as_deref().unwrap()
}

fn reference() -> DataSet {
    DataSet::new()
        .text("ReferencedSOPClassUID", "1.2.840.10008.5.1.4.1.1.2")
        .text("ReferencedSOPInstanceUID", "2.25.9")
        .text("ReferencedFrameNumber", r"2\3")
}

#[test]
fn every_value_type_is_read() {
    let measured = DataSet::new()
        .text("NumericValue", "12.50")
        .item("MeasurementUnitsCodeSequence", code("mm", "UCUM", "millimeter"));
    let points = [1.5, 2.0, 3.0, 4.25];
    let region = item("INFERRED FROM", "SCOORD")
        .text("GraphicType", "POLYLINE")
        .numbers("GraphicData", &points)
        .item(
            "ContentSequence",
            item("SELECTED FROM", "IMAGE").item("ReferencedSOPSequence", reference()),
        );
    let number = named("CONTAINS", "NUM", code("103355008", "SCT", "Width"))
        .item("MeasuredValueSequence", measured)
        .items(
            "ContentSequence",
            vec![
                region,
                item("INFERRED FROM", "").numbers("ReferencedContentItemIdentifier", &[1.0, 2.0]),
            ],
        );
    let template =
        DataSet::new().text("MappingResource", "DCMR").text("TemplateIdentifier", "1500");
    let verifier = DataSet::new()
        .text("VerifyingObserverName", "Invented^Verifier")
        .text("VerifyingOrganization", "Nowhere")
        .text("VerificationDateTime", "20240131101500+0100");
    let series = DataSet::new()
        .text("SeriesInstanceUID", "2.25.8")
        .item("ReferencedSOPSequence", reference());
    let evidence =
        DataSet::new().text("StudyInstanceUID", "2.25.7").item("ReferencedSeriesSequence", series);
    let set = header("1.2.840.10008.5.1.4.1.1.88.33")
        .text("ContentDate", "20240131")
        .text("ContentTime", "101112")
        .text("CompletionFlag", "COMPLETE")
        .text("VerificationFlag", "VERIFIED")
        .item("VerifyingObserverSequence", verifier)
        .item("CurrentRequestedProcedureEvidenceSequence", evidence)
        .text("ValueType", "CONTAINER")
        .item("ConceptNameCodeSequence", code("126000", "DCM", "Imaging Measurement Report"))
        .item("ContentTemplateSequence", template)
        .items(
            "ContentSequence",
            vec![
                named("CONTAINS", "CONTAINER", code("121070", "DCM", "Findings")),
                number,
                named("CONTAINS", "TEXT", code("121071", "DCM", "Finding")).text("TextValue", "a"),
                named("HAS CONCEPT MOD", "CODE", code("363698007", "SCT", "Finding Site"))
                    .item("ConceptCodeSequence", code("76752008", "SCT", "Breast")),
                named("HAS OBS CONTEXT", "UIDREF", code("112040", "DCM", "Tracking UID"))
                    .text("UID", "2.25.99"),
                named("HAS OBS CONTEXT", "PNAME", code("121008", "DCM", "Person Observer Name"))
                    .text("PersonName", "Invented^Reader"),
                named("CONTAINS", "DATE", code("1", "99X", "d")).text("Date", "20240102"),
                named("CONTAINS", "TIME", code("1", "99X", "t")).text("Time", "1011"),
                named("CONTAINS", "DATETIME", code("1", "99X", "dt"))
                    .text("DateTime", "20240102101112.5+0100"),
                named("CONTAINS", "TCOORD", code("1", "99X", "tc"))
                    .text("TemporalRangeType", "SEGMENT")
                    .text("ReferencedTimeOffsets", r"0.5\1.5"),
                named("CONTAINS", "COMPOSITE", code("1", "99X", "o"))
                    .item("ReferencedSOPSequence", reference()),
                named("CONTAINS", "MATRIX", code("1", "99X", "unheard of")),
            ],
        );
    let record = read(&set);
    assert_eq!(record.findings, []);
    let report = report(&record);
    assert_eq!(report.template.as_deref(), Some("1500"));
    assert!(report.title.as_ref().unwrap().is("DCM", "126000"));
    assert_eq!(report.completion.as_deref(), Some("COMPLETE"));
    assert_eq!(report.verifiers[0].name, "Invented^Verifier");
    assert_eq!(report.evidence[0].study.as_str(), "2.25.7");
    assert_eq!(report.evidence[0].reference.frames, [2, 3]);
    insta::assert_debug_snapshot!("every-value-type", report.items);
    assert_eq!(Report::unpack(&report.pack()).as_ref(), Ok(report));
}

#[test]
fn an_encapsulated_document_stays_in_its_file() {
    let pdf = b"%PDF-1.4 a document that is synthetic";
    let set = header("1.2.840.10008.5.1.4.1.1.104.1")
        .charset("ISO_IR 101")
        .text("DocumentTitle", "N\u{e1}lez mamografie")
        .text("MIMETypeOfEncapsulatedDocument", "application/pdf")
        .item("ConceptNameCodeSequence", code("18748-4", "LN", "Diagnostic imaging study"))
        .number("EncapsulatedDocumentLength", pdf.len() as f64)
        .bytes("EncapsulatedDocument", pdf);
    let file = set.to_part_10().unwrap();
    let record = read(&set);
    let document = report(&record).document.as_ref().unwrap();
    assert_eq!(document.title, "Nález mamografie");
    assert_eq!((document.mime.as_str(), document.size), ("application/pdf", pdf.len() as u64));
    let from = usize::try_from(document.offset.unwrap()).unwrap();
    assert_eq!(&file[from..from + pdf.len()], pdf);
    let packed = report(&record).pack();
    assert!(!packed.windows(4).any(|four| four == b"%PDF"));
}

#[test]
fn text_is_read_by_its_character_set() {
    for (charset, text) in [
        ("ISO_IR 126", "Μαστογραφία: κανένα εύρημα"),
        ("ISO_IR 144", "Без патологии"),
        ("ISO_IR 192", "乳房 – ohne Befund"),
    ] {
        let finding = code("121071", "DCM", "Finding");
        let set = header(TEXT_SR).charset(charset);
        // Items inherit the character set that the data set declares.
        let inner = DataSet::new().charset(charset);
        let inner = inner
            .text("RelationshipType", "CONTAINS")
            .text("ValueType", "TEXT")
            .item("ConceptNameCodeSequence", finding)
            .text("TextValue", text);
        let record = read(&set.item("ContentSequence", inner));
        assert_eq!(
            report(&record).items[0].content,
            Content::Text { text: text.to_owned() },
            "{charset}"
        );
    }
}

fn left_out(record: &Record) -> Option<&str> {
    let finding = record.findings.iter().find(|finding| finding.code == sr::LEFT_OUT)?;
    assert!(report(record).is_left_out && report(record).items.is_empty());
    Some(&finding.value)
}

#[test]
fn a_tree_beyond_the_bounds_is_left_out_whole() {
    let leaf = || item("CONTAINS", "TEXT").text("TextValue", "x");
    let many = |count: usize| {
        read(&header(TEXT_SR).items("ContentSequence", (0..count).map(|_| leaf()).collect()))
    };
    assert_eq!(left_out(&many(sr::ITEMS)), None);
    assert_eq!(left_out(&many(sr::ITEMS + 1)), Some("too-many-items"));
    assert_eq!(left_out(&many(130_000)), Some("too-many-items"));

    let deep = |levels: usize| {
        let mut tree = leaf();
        for _ in 0..levels {
            tree = item("CONTAINS", "CONTAINER").item("ContentSequence", tree);
        }
        read(&header(TEXT_SR).item("ContentSequence", tree))
    };
    assert_eq!(left_out(&deep(sr::DEPTH - 1)), None);
    assert_eq!(left_out(&deep(sr::DEPTH + 1)), Some("too-deep"));

    let long = |bytes: usize, items: usize| {
        let text = "x".repeat(bytes);
        let items = (0..items).map(|_| item("CONTAINS", "TEXT").text("TextValue", &text));
        read(&header(TEXT_SR).items("ContentSequence", items.collect()))
    };
    assert_eq!(left_out(&long(60_000, 20)), None);
    assert_eq!(left_out(&long(70_000, 1)), Some("value-too-long"));
    assert_eq!(left_out(&long(60_000, 90)), Some("value-too-long"));
}

#[test]
fn a_damaged_tree_is_left_out_and_its_instance_stays() {
    let items = (0..20).map(|_| item("CONTAINS", "TEXT").text("TextValue", "a sentence"));
    let mut file = header(TEXT_SR).items("ContentSequence", items.collect()).to_part_10().unwrap();
    file.truncate(file.len() - 30);
    let Outcome::Record(record) = Reader::default().bytes(&file, "here") else { panic!() };
    assert!(left_out(&record).is_some(), "{:?}", record.findings);
    assert!(record.instance.is_some());
}

#[test]
fn references_in_a_circle_and_items_without_names_are_read_as_they_are() {
    let circle = item("CONTAINS", "CONTAINER").item(
        "ContentSequence",
        item("INFERRED FROM", "").numbers("ReferencedContentItemIdentifier", &[1.0, 1.0]),
    );
    let nameless = DataSet::new().text("ValueType", "CODE");
    let empty = DataSet::new();
    let record = read(&header(TEXT_SR).items("ContentSequence", vec![circle, nameless, empty]));
    let report = report(&record);
    assert_eq!(report.items[0].items[0].content, Content::ByReference { place: vec![1, 1] });
    assert_eq!(report.item_at(&[1, 1]).unwrap().items.len(), 1);
    assert_eq!(report.items[1].content, Content::Nothing);
    assert_eq!(report.items[1].concept, None);
}

#[test]
fn a_worker_answers_with_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sr.dcm");
    let tree = named("CONTAINS", "TEXT", code("121071", "DCM", "Finding")).text("TextValue", "a");
    let set = header(TEXT_SR).item("ContentSequence", tree);
    std::fs::write(&path, set.to_part_10().unwrap()).unwrap();
    let _turn = super::alone();
    let pool = Pool::start(std::path::Path::new(super::VESALIUS), 1, 512, 10).unwrap();
    let mut found = Vec::new();
    let job = Job { number: 0, path, origin: "sr.dcm".to_owned() };
    pool.read(std::iter::once(job), &mut |_, outcome| {
        found.push(outcome);
        Ok(())
    })
    .unwrap();
    let Some(Outcome::Record(record)) = found.pop() else { panic!("{found:?}") };
    assert_eq!(record.report, read(&set).report);
}

#[test]
fn served_metadata_give_the_same_report() {
    let tree = |text: &str| {
        serde_json::json!({
            "00080016": {"vr": "UI", "Value": [TEXT_SR]},
            "00080018": {"vr": "UI", "Value": ["2.25.3"]},
            "0020000D": {"vr": "UI", "Value": ["2.25.1"]},
            "0020000E": {"vr": "UI", "Value": ["2.25.2"]},
            "00080060": {"vr": "CS", "Value": ["SR"]},
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "0040A730": {"vr": "SQ", "Value": [{
                "0040A010": {"vr": "CS", "Value": ["CONTAINS"]},
                "0040A040": {"vr": "CS", "Value": ["TEXT"]},
                "0040A160": {"vr": "UT", "Value": [text]},
            }]},
        })
    };
    let read_json =
        |text: &str| record_from_json(tree(text).as_object().unwrap(), "studies/2.25.1").unwrap();
    let (one, other) = (read_json("a sentence"), read_json("another"));
    let set = header(TEXT_SR)
        .item("ContentSequence", item("CONTAINS", "TEXT").text("TextValue", "a sentence"));
    assert_eq!(report(&one).items, report(&read(&set)).items);
    // A PACS that serves other content serves another instance.
    assert_ne!(one.instance.unwrap().digest, other.instance.unwrap().digest);
}

#[test]
fn the_bytes_of_a_hostile_report_never_break_the_reader() {
    let tree = (0..30).map(|n| {
        named("CONTAINS", "NUM", code("1", "DCM", "n"))
            .item("MeasuredValueSequence", DataSet::new().text("NumericValue", &n.to_string()))
    });
    let file = header(TEXT_SR).items("ContentSequence", tree.collect()).to_part_10().unwrap();
    let mut random = crate::support::Random(11);
    for _ in 0..2_000 {
        let mut mutant = file.clone();
        for _ in 0..1 + random.below(6) {
            let at = 132 + random.below(u32::try_from(mutant.len() - 132).unwrap()) as usize;
            mutant[at] = u8::try_from(random.below(256)).unwrap();
        }
        if let Outcome::Record(record) = Reader::default().bytes(&mutant, "here")
            && let Some(report) = record.report
        {
            assert_eq!(Report::unpack(&report.pack()).as_ref(), Ok(&*report));
        }
    }
}
