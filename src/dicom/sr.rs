//! Reports: the attributes that a second walk of the data set kept, as a typed
//! [`Report`].
//!
//! In: what `mappings/sr-attributes.toml` lists. Out: a report whose content tree holds at most
//! [`ITEMS`] items, at most [`DEPTH`] deep. A report that is larger, or damaged, is a report
//! without content, and a finding says so: half a report would say what nobody wrote.
//! Governed by PS3.3 C.17, C.18, C.24. Absent: what a template makes of the items, which is
//! [`mapping`](crate::mapping)'s business; the bytes of encapsulated documents.

use std::sync::LazyLock;

use super::plan::Plan;
use super::walk::{Collected, Limits};
use crate::imaging::{
    Attributes, Code, Content, Document, Evidence, Finding, ImageReference, Instance, Item,
    Observer, Report, Uid, Value,
};
use crate::mapping::attributes::AttributeTable;

/// Content items of one report.
pub const ITEMS: usize = 20_000;
/// Content items inside content items.
pub const DEPTH: usize = 32;
/// Numbers of one region that are kept.
const POINTS: usize = 512;
/// Instances that a report may name as evidence.
const EVIDENCE: usize = 20_000;
/// Persons of a report.
const PERSONS: usize = 16;

/// What is kept of the data set of a report. A content item has up to five sequences of its own.
pub(super) const LIMITS: Limits = Limits {
    items: usize::MAX,
    all_items: 120_000,
    value: 64 * 1024,
    budget: 4 << 20,
    numbers: POINTS,
};

/// The attributes of reports, compiled.
pub(super) fn plan() -> &'static Plan {
    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        #[allow(clippy::expect_used, reason = "a unit test compiles the embedded table")]
        Plan::new(AttributeTable::of_reports()).expect("the embedded table compiles")
    });
    &PLAN
}

/// Whether instances of a SOP class are reports.
pub(super) fn is_report(class: &Uid) -> bool {
    plan().title(class.as_str()).is_some()
}

/// What is said of a report whose content is not kept.
pub const LEFT_OUT: &str = "report-left-out";

/// The report that a walk found, and the findings about it.
pub(super) fn report(instance: &Instance, mut collected: Collected) -> (Report, Vec<Finding>) {
    let plan = plan();
    let mut findings = std::mem::take(&mut collected.findings);
    let mut reason = collected.failure.take().map(|failure| failure.reason.code);
    if reason.is_none() && findings.iter().any(|finding| finding.code == "value-too-long") {
        reason = Some("value-too-long".to_owned());
    }
    let top: Attributes = plan
        .by_keyword
        .iter()
        .filter_map(|number| {
            let at = usize::from(*number);
            Some((plan.rows.get(at)?.keyword, collected.rows.get_mut(at)?.take()?))
        })
        .collect();
    let mut left = ITEMS;
    let mut items = Vec::new();
    if reason.is_none() {
        match content(top.items("ContentSequence"), 0, &mut left) {
            Ok(all) => items = all,
            Err(code) => reason = Some(code.to_owned()),
        }
    }
    findings.retain(|finding| finding.code != "value-too-long");
    if let Some(reason) = &reason {
        findings.push(Finding::new(LEFT_OUT, "ContentSequence", reason));
    }
    let text = |keyword: &str| top.text(keyword).map(str::to_owned);
    let (date, time) = match top.first("ContentDate") {
        Some(date) => (Some(date.to_owned()), text("ContentTime")),
        None => (text("InstanceCreationDate"), text("InstanceCreationTime")),
    };
    let mut evidence = hierarchy(top.items("CurrentRequestedProcedureEvidenceSequence"));
    evidence.extend(hierarchy(top.items("PertinentOtherEvidenceSequence")));
    evidence.truncate(EVIDENCE);
    let requests = top.items("ReferencedRequestSequence");
    let report = Report {
        uid: instance.uid.clone(),
        sop_class: instance.sop_class.clone(),
        title: code(&top, "ConceptNameCodeSequence"),
        template: template(&top),
        completion: text("CompletionFlag"),
        verification: text("VerificationFlag"),
        preliminary: text("PreliminaryFlag"),
        date,
        time,
        zone: text("TimezoneOffsetFromUTC"),
        verifiers: top
            .items("VerifyingObserverSequence")
            .iter()
            .take(PERSONS)
            .map(|item| Observer {
                name: owned(item, "VerifyingObserverName"),
                code: code(item, "VerifyingObserverIdentificationCodeSequence"),
                organisation: owned(item, "VerifyingOrganization"),
                at: item.text("VerificationDateTime").map(str::to_owned),
            })
            .collect(),
        authors: top
            .items("AuthorObserverSequence")
            .iter()
            .filter(|item| item.first("ObserverType") != Some("DEV"))
            .take(PERSONS)
            .map(|item| Observer {
                name: owned(item, "PersonName"),
                code: code(item, "PersonIdentificationCodeSequence"),
                organisation: owned(item, "InstitutionName"),
                at: None,
            })
            .filter(|author| *author != Observer::default())
            .collect(),
        predecessors: hierarchy(top.items("PredecessorDocumentsSequence")),
        evidence,
        studies: distinct(requests.iter().filter_map(|item| uid(item, "StudyInstanceUID"))),
        accessions: distinct(
            requests.iter().filter_map(|item| item.text("AccessionNumber").map(str::to_owned)),
        ),
        document: document(&top, collected.document),
        items,
        is_left_out: reason.is_some(),
    };
    (report, findings)
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all.take(64) {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

fn owned(bag: &Attributes, keyword: &str) -> String {
    bag.text(keyword).unwrap_or_default().to_owned()
}

fn uid(bag: &Attributes, keyword: &str) -> Option<Uid> {
    Uid::parse_lenient(bag.first(keyword)?).ok()
}

fn template(bag: &Attributes) -> Option<String> {
    let item = bag.items("ContentTemplateSequence").first()?;
    let is_ours = matches!(item.first("MappingResource"), None | Some("DCMR"));
    item.first("TemplateIdentifier").filter(|_| is_ours).map(str::to_owned)
}

fn document(top: &Attributes, place: Option<(u64, u64)>) -> Option<Document> {
    let mime = top.first("MIMETypeOfEncapsulatedDocument")?;
    let told: Option<u64> =
        top.first("EncapsulatedDocumentLength").and_then(|length| length.parse().ok());
    let size = match (told, place) {
        // The element is padded to an even length; the attribute tells without.
        (Some(told), Some((_, length))) if told <= length => told,
        (_, Some((_, length))) => length,
        (told, None) => told.unwrap_or(0),
    };
    Some(Document {
        title: owned(top, "DocumentTitle"),
        mime: mime.to_owned(),
        size,
        offset: place.map(|(offset, _)| offset),
        hl7: top.text("HL7InstanceIdentifier").map(str::to_owned),
    })
}

fn code(bag: &Attributes, keyword: &str) -> Option<Code> {
    bag.items(keyword).first().and_then(coded)
}

fn coded(item: &Attributes) -> Option<Code> {
    let meaning = owned(item, "CodeMeaning");
    if let Some(urn) = item.first("URNCodeValue") {
        return Some(Code { value: urn.to_owned(), scheme: None, meaning });
    }
    let value = item.first("CodeValue").or_else(|| item.first("LongCodeValue"))?;
    let scheme = item.first("CodingSchemeDesignator").unwrap_or_default().to_owned();
    Some(Code { value: value.to_owned(), scheme: Some(scheme), meaning })
}

fn numbers(bag: &Attributes, keyword: &str) -> Vec<u32> {
    bag.texts(keyword).filter_map(|text| text.trim().parse().ok()).take(POINTS).collect()
}

fn reference(item: &Attributes) -> Option<ImageReference> {
    Some(ImageReference {
        class: uid(item, "ReferencedSOPClassUID")?,
        instance: uid(item, "ReferencedSOPInstanceUID")?,
        frames: numbers(item, "ReferencedFrameNumber"),
        segments: numbers(item, "ReferencedSegmentNumber"),
    })
}

fn hierarchy(studies: &[Attributes]) -> Vec<Evidence> {
    let mut found = Vec::new();
    for study in studies {
        let Some(of) = uid(study, "StudyInstanceUID") else { continue };
        for series in study.items("ReferencedSeriesSequence") {
            let Some(within) = uid(series, "SeriesInstanceUID") else { continue };
            let all = series.items("ReferencedSOPSequence").iter().filter_map(reference);
            for reference in all.take(EVIDENCE.saturating_sub(found.len())) {
                found.push(Evidence { study: of.clone(), series: within.clone(), reference });
            }
        }
    }
    found
}

/// The items of one level. The walk bounds how deep they may nest; here it is less.
fn content(all: &[Attributes], depth: usize, left: &mut usize) -> Result<Vec<Item>, &'static str> {
    if depth > DEPTH {
        return Err("too-deep");
    }
    let mut items = Vec::with_capacity(all.len().min(*left));
    for bag in all {
        *left = left.checked_sub(1).ok_or("too-many-items")?;
        items.push(Item {
            relationship: owned(bag, "RelationshipType"),
            concept: code(bag, "ConceptNameCodeSequence"),
            content: value(bag),
            observed: bag.text("ObservationDateTime").map(str::to_owned),
            observation: uid(bag, "ObservationUID"),
            items: content(bag.items("ContentSequence"), depth + 1, left)?,
        });
    }
    Ok(items)
}

fn value(bag: &Attributes) -> Content {
    if bag.value("ReferencedContentItemIdentifier").is_some() {
        let place = numbers(bag, "ReferencedContentItemIdentifier");
        return Content::ByReference { place };
    }
    let text = |keyword: &str| bag.text(keyword).map(str::to_owned);
    let found = match bag.first("ValueType").unwrap_or_default() {
        "CONTAINER" => Some(Content::Container { template: template(bag) }),
        "TEXT" => text("TextValue").map(|text| Content::Text { text }),
        "CODE" => code(bag, "ConceptCodeSequence").map(|code| Content::Coded { code }),
        "NUM" => {
            let measured = bag.items("MeasuredValueSequence").first();
            let number = measured.and_then(|item| {
                item.first("NumericValue").or_else(|| item.first("FloatingPointValue"))
            });
            Some(Content::Number {
                number: number.map(str::to_owned),
                unit: measured.and_then(|item| code(item, "MeasurementUnitsCodeSequence")),
                qualifier: code(bag, "NumericValueQualifierCodeSequence"),
            })
        }
        "UIDREF" => uid(bag, "UID").map(|uid| Content::Uid { uid }),
        "PNAME" => text("PersonName").map(|name| Content::Person { name }),
        "DATE" => text("Date").map(|date| Content::Moment { date: Some(date), time: None }),
        "TIME" => text("Time").map(|time| Content::Moment { date: None, time: Some(time) }),
        "DATETIME" => bag.first("DateTime").map(|whole| {
            let (date, time) = split_moment(whole);
            Content::Moment { date: Some(date), time }
        }),
        "IMAGE" | "COMPOSITE" | "WAVEFORM" => bag
            .items("ReferencedSOPSequence")
            .first()
            .and_then(reference)
            .map(|reference| Content::Object { reference }),
        "SCOORD" | "SCOORD3D" => Some(Content::Region {
            graphic: owned(bag, "GraphicType"),
            points: bag
                .texts("GraphicData")
                .filter_map(|text| text.trim().parse().ok())
                .filter(|point: &f64| point.is_finite())
                .take(POINTS)
                .collect(),
            frame_of_reference: uid(bag, "ReferencedFrameOfReferenceUID"),
        }),
        "TCOORD" => {
            let places =
                ["ReferencedSamplePositions", "ReferencedTimeOffsets", "ReferencedDateTime"]
                    .into_iter()
                    .find(|keyword| matches!(bag.value(keyword), Some(Value::Text(_))));
            Some(Content::Times {
                range: owned(bag, "TemporalRangeType"),
                places: places
                    .map(|keyword| bag.texts(keyword).map(str::to_owned).take(POINTS).collect())
                    .unwrap_or_default(),
            })
        }
        _ => None,
    };
    found.unwrap_or(Content::Nothing)
}

/// The date and the time of a DT (PS3.5 section 6.2), without its offset.
fn split_moment(whole: &str) -> (String, Option<String>) {
    let plain = whole.split(['+', '-']).next().unwrap_or_default();
    match plain.split_at_checked(8) {
        Some((date, time)) if !time.is_empty() => (date.to_owned(), Some(time.to_owned())),
        _ => (plain.to_owned(), None),
    }
}
