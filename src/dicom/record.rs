//! What was collected of one SOP instance, as a [`Record`]: the rules that files and DICOM JSON
//! share.

use super::plan::Plan;
use super::walk::Collected;
use crate::imaging::{
    Attributes, Concept, Finding, Instance, Keyword, Laterality, PatientKey, Quarantine, Record,
    Uid, Value,
};
use crate::mapping::attributes::Level;

/// What the source knows besides the attributes.
pub(super) struct Source<'a> {
    pub(super) origin: &'a str,
    pub(super) bytes: u64,
    pub(super) digest: u64,
    pub(super) transfer_syntax: Option<Uid>,
}

/// Puts a record together.
pub(super) fn assemble(
    plan: &Plan,
    mut collected: Collected,
    source: Source<'_>,
) -> Result<Record, Quarantine> {
    if let Some(failure) = collected.failure.take() {
        let is_identified = UIDS.iter().all(|keyword| collected.text(plan, keyword).is_some());
        if !failure.is_bearable || !is_identified {
            return Err(failure.reason);
        }
        let reason = failure.reason;
        let value = format!("{} {}", reason.code, reason.path);
        collected.note(Finding::new("data-set-damaged", "", value.trim()));
    }
    let [study_uid, series_uid, uid, sop_class] = UIDS;
    let study_uid = identifier(plan, &mut collected, study_uid)?;
    let series_uid = identifier(plan, &mut collected, series_uid)?;
    let uid = identifier(plan, &mut collected, uid)?;
    let sop_class = identifier(plan, &mut collected, sop_class)?;

    let laterality = side(plan, &mut collected, "ImageLaterality")
        .or_else(|| side(plan, &mut collected, "FrameLaterality"));
    if side(plan, &mut collected, "Laterality").is_none()
        && let Some(place) = row(plan, &mut collected, "Laterality")
    {
        *place = None;
    }
    note_odd(plan, &mut collected);

    let count = |keyword| {
        let text = collected.text(plan, keyword)?;
        text.split('\\').next().and_then(|first| first.parse::<u32>().ok())
    };
    let instance = Instance {
        number: count("InstanceNumber"),
        frames: count("NumberOfFrames"),
        rows: count("Rows"),
        columns: count("Columns"),
        bytes: source.bytes,
        laterality,
        transfer_syntax: source.transfer_syntax,
        title: title(plan, &collected, sop_class.as_str()),
        description: description(plan, &collected, sop_class.as_str()),
        concept: concept(plan, &collected, sop_class.as_str()),
        digest: source.digest,
        uid,
        sop_class,
    };

    let mut bags: [Vec<(Keyword, Value)>; 3] = Default::default();
    let [patient, study, series] = &mut bags;
    for number in &plan.by_keyword {
        let at = usize::from(*number);
        let (Some(row), Some(value)) =
            (plan.rows.get(at), collected.rows.get_mut(at).and_then(Option::take))
        else {
            continue;
        };
        match row.level {
            Level::Patient => patient.push((row.keyword, value)),
            Level::Study => study.push((row.keyword, value)),
            Level::Series => series.push((row.keyword, value)),
            Level::Instance => {}
        }
    }
    let [patient, study, series] = bags.map(|bag| bag.into_iter().collect::<Attributes>());

    // PatientID has one value (PS3.3 C.7.1.1: LO, VM 1), so a backslash in it is damage, and part
    // of what tells persons apart: `X\1` and `X\2` are two.
    let is_id = |id: &&str| id.split('\\').any(|part| !part.trim().is_empty());
    let whole = patient.text("PatientID").map(|id| id.trim_matches([' ', '\0']));
    let id = match whole.filter(is_id) {
        Some(id) => {
            if id.contains('\\') {
                // The value identifies a person.
                collected.note(Finding::new("patient-id-odd", "PatientID", ""));
            }
            id.to_owned()
        }
        None => {
            collected.note(Finding::new("patient-id-missing", "PatientID", ""));
            format!("study:{study_uid}")
        }
    };
    let issuer = patient
        .items("IssuerOfPatientIDQualifiersSequence")
        .iter()
        .find_map(|item| item.first("UniversalEntityID"))
        .or_else(|| patient.first("IssuerOfPatientID"))
        .unwrap_or_default()
        .to_owned();
    Ok(Record {
        patient_key: PatientKey { issuer, id },
        study_uid,
        series_uid,
        patient,
        study,
        series,
        instance: Some(instance),
        report: None,
        count: 1,
        bytes: source.bytes,
        sop_classes: Vec::new(),
        collection: None,
        licence: None,
        source_doi: None,
        origin: source.origin.to_owned(),
        findings: collected.findings,
    })
}

/// What makes an instance one (PS3.3 C.7.2.1, C.7.3.1, C.12.1: all of type 1).
const UIDS: [&str; 4] = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"];

fn identifier(
    plan: &Plan,
    collected: &mut Collected,
    keyword: &'static str,
) -> Result<Uid, Quarantine> {
    let refuse = |code: &str, detail: String| Quarantine {
        code: code.to_owned(),
        path: keyword.to_owned(),
        offset: None,
        detail,
    };
    let text = collected
        .text(plan, keyword)
        .ok_or_else(|| refuse("uid-missing", format!("the data set has no {keyword}")))?;
    let uid = Uid::parse_lenient(text)
        .map_err(|_| refuse("uid-invalid", format!("{keyword} is no unique identifier")))?;
    if !uid.is_standard() {
        collected.note(Finding::new("uid-not-standard", keyword, uid.as_str()));
    }
    Ok(uid)
}

fn row<'a>(
    plan: &Plan,
    collected: &'a mut Collected,
    keyword: &str,
) -> Option<&'a mut Option<Value>> {
    collected.rows.get_mut(usize::from(plan.row(keyword)?))
}

/// The side, or `None` with a finding when there is a value that is none.
fn side(plan: &Plan, collected: &mut Collected, keyword: &'static str) -> Option<Laterality> {
    let text = collected.text(plan, keyword)?;
    let side = Laterality::parse(text);
    // Of an image or frame, `U` says that the body part is not paired (PS3.3 10.5).
    let is_unpaired = text == "U" && keyword != "Laterality";
    let code = match side {
        None if !is_unpaired => "laterality-odd",
        // Of a series it is R or L (PS3.3 C.7.3.1); of an image it may be both (C.8.3.1).
        Some(Laterality::Both) if keyword == "Laterality" => "laterality-both",
        _ => return side,
    };
    let finding = Finding::new(code, keyword, text);
    collected.note(finding);
    side
}

fn note_odd(plan: &Plan, collected: &mut Collected) {
    if let Some(sex) =
        collected.text(plan, "PatientSex").filter(|sex| !matches!(*sex, "M" | "F" | "O"))
    {
        let finding = Finding::new("sex-odd", "PatientSex", sex);
        collected.note(finding);
    }
    if collected.text(plan, "Modality").is_none() {
        collected.note(Finding::new("modality-missing", "Modality", ""));
    }
    let species = collected.text(plan, "PatientSpeciesDescription").map(str::to_ascii_lowercase);
    if let Some(species) = species.filter(|s| !s.contains("homo sapiens") && !s.contains("human")) {
        collected.note(Finding::new("not-human", "PatientSpeciesDescription", &species));
    }
}

fn description(plan: &Plan, collected: &Collected, sop_class: &str) -> Option<String> {
    let value = collected.rows.get(usize::from(plan.description(sop_class)?))?.as_ref()?;
    match value {
        Value::Text(text) => Some(text.to_string()).filter(|text| !text.trim().is_empty()),
        Value::Items(_) => None,
    }
}

/// The code of what names the instance, where that is a coded concept.
fn concept(plan: &Plan, collected: &Collected, sop_class: &str) -> Option<Box<Concept>> {
    let value = collected.rows.get(usize::from(plan.title(sop_class)?))?.as_ref()?;
    let Value::Items(items) = value else { return None };
    let item = items.first()?;
    let part = |keyword| item.first(keyword).unwrap_or_default().to_owned();
    let code = item.first("CodeValue").or_else(|| item.first("LongCodeValue"))?.to_owned();
    let (designator, meaning) = (part("CodingSchemeDesignator"), part("CodeMeaning"));
    Some(Box::new(Concept { designator, code, meaning }))
}

fn title(plan: &Plan, collected: &Collected, sop_class: &str) -> Option<String> {
    let value = collected.rows.get(usize::from(plan.title(sop_class)?))?.as_ref()?;
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Items(items) => items.first()?.first("CodeMeaning").map(str::to_owned),
    }
}
