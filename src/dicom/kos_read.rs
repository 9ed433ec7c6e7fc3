//! A manifest from its DICOM encoding.
//!
//! Read by `mappings/mado-attributes.toml` within bounds. Writers of the trial period differ, and
//! all of it is read: trial codes of concept names, underscores in relationship types, numbers
//! as text, one container more around the tree, instance numbers before an instance or within
//! it, instances at the root only. What identifies is refused when it is missing; what describes
//! may be.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::kos::UNCODED;
use super::plan::{Bounds, Plan};
use super::read::whole;
use crate::imaging::{Attributes, Uid};
use crate::mapping::attributes::AttributeTable;
use crate::mapping::mado::{ConceptName, Mado};
use crate::mapping::manifest::{
    Coded, Concept, Creator, Manifest, ManifestInstance, ManifestSeries, Named, NotAManifest,
    Request, Retrieve, Subject, When,
};
use crate::mapping::manifest_study::order_number;
use crate::mapping::{Context, DCM};

/// Items of one sequence, and so instances of one series.
const ITEMS: usize = 100_000;
/// Bytes of text: some hundred for each instance.
const TEXT: usize = 64 << 20;

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let text = include_str!("../../mappings/mado-attributes.toml");
    #[allow(clippy::expect_used, reason = "a unit test compiles the embedded table")]
    AttributeTable::parse(text, "mappings/mado-attributes.toml")
        .and_then(|table| Plan::new(&table))
        .expect("the embedded table compiles")
        .within(Bounds { items: ITEMS, text: TEXT })
});

type Read<T> = Result<T, NotAManifest>;

/// Reads a manifest.
///
/// # Errors
/// With the place, when the bytes are no data set, no key object selection, or no manifest.
pub fn read(context: &Context, bytes: &[u8]) -> Read<Manifest> {
    let set = whole(&PLAN, bytes).map_err(|reason| {
        let at = if reason.path.is_empty() { "file".to_owned() } else { reason.path };
        let place = reason.offset.map(|at| format!(" at byte {at}")).unwrap_or_default();
        NotAManifest::new(at, format!("{} ({}{place})", reason.detail, reason.code))
    })?;
    let mado = &context.tables().mado;
    if set.first("SOPClassUID") != Some(&mado.kos.sop_class) {
        let reason = "a manifest is a Key Object Selection Document";
        return Err(NotAManifest::new("SOPClassUID", reason));
    }
    let uid = required(&set, "SOPInstanceUID")?;
    let study_uid = required(&set, "StudyInstanceUID")?;
    let zone = context.time_zone();
    let own = set.first("TimezoneOffsetFromUTC");
    let when = |bag: &Attributes, date: &str, time: &str| {
        When::of_dicom(bag.first(date), bag.first(time), own, zone)
    };
    let created = when(&set, "ContentDate", "ContentTime")
        // Without a zone the time is taken for UTC: a document has an instant.
        .filter(|when| when.offset().is_some())
        .or_else(|| {
            When::of_dicom(set.first("ContentDate"), set.first("ContentTime"), Some("+0000"), None)
        })
        .filter(|when| when.offset().is_some());
    let Some(created) = created else {
        return Err(NotAManifest::new("ContentDate", "no date and time of the document"));
    };
    let reader = Reader { context, mado, schemes: schemes(&set), own: own.map(str::to_owned) };
    let mut tree = Tree::default();
    for item in set.items("ContentSequence") {
        reader.node(item, &mut tree, None, 0);
    }
    let series = reader.evidence(&set, &study_uid, tree.groups, &tree.entries)?;
    let mut procedures = tree.procedures;
    for text in tree.procedure_texts {
        match procedures.first_mut().filter(|first| first.text.is_none()) {
            Some(first) => first.text = Some(text),
            None => procedures.push(Concept { codings: Vec::new(), text: Some(text) }),
        }
    }
    for procedure in &mut procedures {
        if procedure.text.is_none() {
            procedure.text = procedure.codings.first().and_then(|code| code.display.clone());
        }
    }
    Ok(Manifest {
        uid,
        created,
        title: tree.title,
        creator: reader.creator(&set),
        subject: reader.subject(&set),
        started: when(&set, "StudyDate", "StudyTime"),
        description: set.text("StudyDescription").map(str::to_owned),
        requests: reader.requests(&set),
        procedures,
        referrer: set.first("ReferringPhysicianName").map(str::to_owned),
        regions: tree.regions,
        viewers: Vec::new(),
        series,
        study_uid,
    })
}

fn required(set: &Attributes, keyword: &str) -> Read<Uid> {
    set.first(keyword)
        .and_then(|text| Uid::parse_lenient(text).ok())
        .ok_or_else(|| NotAManifest::new(keyword, "no unique identifier"))
}

/// Designators that the object itself explains.
fn schemes(set: &Attributes) -> HashMap<String, String> {
    let items = set.items("CodingSchemeIdentificationSequence").iter();
    let uri = |item: &Attributes| {
        item.first("CodingSchemeURL")
            .map(str::to_owned)
            .or_else(|| Some(Uid::parse(item.first("CodingSchemeUID")?).ok()?.to_urn()))
    };
    items
        .filter_map(|item| Some((item.first("CodingSchemeDesignator")?.to_owned(), uri(item)?)))
        .collect()
}

/// What the content tree says.
#[derive(Default)]
struct Tree {
    title: Option<String>,
    procedures: Vec<Concept>,
    procedure_texts: Vec<String>,
    regions: Vec<Coded>,
    groups: Vec<Group>,
    entries: HashMap<String, Entry>,
    /// What is said before the instance that it is about.
    pending: Entry,
}

/// What the tree says of a series.
#[derive(Default)]
struct Group {
    uid: Option<String>,
    number: Option<u32>,
    modality: Option<Coded>,
    description: Option<String>,
    date: Option<String>,
    time: Option<String>,
    body_site: Option<Coded>,
    laterality: Option<Coded>,
}

/// What the tree says of an instance.
#[derive(Clone, Default)]
struct Entry {
    number: Option<u32>,
    frames: Option<u32>,
    title: Option<String>,
    key_title: Option<Coded>,
}

struct Reader<'a> {
    context: &'a Context,
    mado: &'a Mado,
    schemes: HashMap<String, String>,
    own: Option<String>,
}

impl Reader<'_> {
    fn coded(&self, item: &Attributes) -> Option<Coded> {
        let designator = item.first("CodingSchemeDesignator").unwrap_or("");
        if designator == UNCODED {
            let display = item.text("CodeMeaning").map(str::to_owned);
            return display.is_some().then_some(Coded { display, ..Coded::default() });
        }
        let mut code = self.context.coded(item)?;
        // CodeMeaning is of type 1: a code without words is called by itself.
        if code.display.as_deref() == Some(code.code.as_str()) {
            code.display = None;
        }
        if let Some(system) = self.schemes.get(designator)
            && self.context.designator(&code.system).as_deref() == Some(designator)
            && code.system.contains("/id/coding-scheme/")
        {
            code.system.clone_from(system);
        }
        Some(code)
    }

    /// One content item and what is below it. `within` is the group that it stands in.
    fn node(&self, item: &Attributes, tree: &mut Tree, within: Option<usize>, depth: usize) {
        // The table of attributes unrolls the tree five deep.
        if depth > 8 {
            return;
        }
        let name = item.items("ConceptNameCodeSequence").first().and_then(|name| {
            let scheme = name.first("CodingSchemeDesignator").unwrap_or("");
            self.mado.concept_of(scheme, name.first("CodeValue")?)
        });
        let below = item.items("ContentSequence");
        if let Some(sop) = item.items("ReferencedSOPSequence").first() {
            let before = std::mem::take(&mut tree.pending);
            let Some(uid) = sop.first("ReferencedSOPInstanceUID") else { return };
            for child in below {
                self.leaf(child, tree, None);
            }
            let own = std::mem::take(&mut tree.pending);
            let known = tree.entries.entry(uid.to_owned()).or_default();
            known.number = own.number.or(before.number).or(known.number);
            known.frames = own.frames.or(before.frames).or(known.frames);
            known.title = own.title.or(before.title).or_else(|| known.title.take());
            known.key_title = own.key_title.or(before.key_title).or_else(|| known.key_title.take());
            return;
        }
        match name {
            Some(ConceptName::Group) => {
                let at = tree.groups.len();
                tree.groups.push(Group::default());
                tree.pending = Entry::default();
                for child in below {
                    self.node(child, tree, Some(at), depth + 1);
                }
            }
            Some(ConceptName::Library | ConceptName::Manifest) => {
                for child in below {
                    self.node(child, tree, within, depth + 1);
                }
            }
            _ => self.leaf_of(name, item, tree, within),
        }
    }

    fn leaf(&self, item: &Attributes, tree: &mut Tree, within: Option<usize>) {
        let name = item.items("ConceptNameCodeSequence").first().and_then(|name| {
            let scheme = name.first("CodingSchemeDesignator").unwrap_or("");
            self.mado.concept_of(scheme, name.first("CodeValue")?)
        });
        if name == Some(ConceptName::KeyDescription) {
            tree.pending.title = text_value(item);
        } else {
            self.leaf_of(name, item, tree, within);
        }
    }

    fn leaf_of(
        &self,
        name: Option<ConceptName>,
        item: &Attributes,
        tree: &mut Tree,
        within: Option<usize>,
    ) {
        let Some(name) = name else { return };
        let code = || item.items("ConceptCodeSequence").first().and_then(|code| self.coded(code));
        let group = within.and_then(|at| tree.groups.get_mut(at));
        match (name, group) {
            (ConceptName::InstanceNumber, _) => tree.pending.number = number(item),
            (ConceptName::Frames, _) => tree.pending.frames = number(item),
            (ConceptName::KeyTitle, _) => tree.pending.key_title = code(),
            (ConceptName::KeyDescription, Some(_)) => tree.pending.title = text_value(item),
            (ConceptName::KeyDescription, None) => tree.title = text_value(item),
            (ConceptName::Procedure, None) => {
                let words = item
                    .items("ConceptCodeSequence")
                    .first()
                    .and_then(|code| code.text("CodeMeaning"));
                match (code(), words) {
                    (Some(code), _) => {
                        tree.procedures.push(Concept { codings: vec![code], text: None });
                    }
                    // Some writers give a meaning without a code.
                    (None, Some(words)) => tree.procedure_texts.push(words.to_owned()),
                    (None, None) => {}
                }
            }
            (ConceptName::ProcedureText, None) => tree.procedure_texts.extend(text_value(item)),
            (ConceptName::Region, None) => {
                let region = code().filter(|region| !tree.regions.contains(region));
                tree.regions.extend(region);
            }
            (ConceptName::Modality, Some(group)) => group.modality = self.modality(item),
            (ConceptName::Region, Some(group)) => group.body_site = code(),
            (ConceptName::Laterality, Some(group)) => group.laterality = code(),
            (ConceptName::SeriesDate, Some(group)) => {
                group.date = item.first("Date").map(str::to_owned);
            }
            (ConceptName::SeriesTime, Some(group)) => {
                group.time = item.first("Time").map(str::to_owned);
            }
            (ConceptName::SeriesDescription, Some(group)) => group.description = text_value(item),
            (ConceptName::SeriesNumber, Some(group)) => group.number = number(item),
            (ConceptName::SeriesUid, Some(group)) => {
                group.uid = item.first("UID").map(str::to_owned);
            }
            _ => {}
        }
    }

    /// Modality is always a code of DICOM, whether the writer says so or not.
    fn modality(&self, item: &Attributes) -> Option<Coded> {
        let code = item.items("ConceptCodeSequence").first()?.first("CodeValue")?;
        let display = self.context.modality_display(code).map(str::to_owned);
        Some(Coded { system: DCM.to_owned(), code: code.to_owned(), display })
    }

    /// The series of the evidence, described by the tree.
    fn evidence(
        &self,
        set: &Attributes,
        study_uid: &Uid,
        groups: Vec<Group>,
        entries: &HashMap<String, Entry>,
    ) -> Read<Vec<ManifestSeries>> {
        const AT: &str = "CurrentRequestedProcedureEvidenceSequence";
        let studies = set.items(AT);
        if studies.is_empty() {
            return Err(NotAManifest::new(AT, "the manifest lists no study"));
        }
        let mut found = Vec::new();
        for study in studies {
            let named = study.first("StudyInstanceUID");
            if named.is_some_and(|uid| uid != study_uid.as_str()) {
                let reason = "a MADO manifest lists the series of one study";
                return Err(NotAManifest::new(AT, reason));
            }
            for (at, item) in study.items("ReferencedSeriesSequence").iter().enumerate() {
                let at = format!("{AT}.ReferencedSeriesSequence[{at}]");
                let uid = required(item, "SeriesInstanceUID").map_err(|fault| {
                    NotAManifest::new(format!("{at}.{}", fault.at), fault.reason)
                })?;
                let mut instances = Vec::new();
                for (place, sop) in item.items("ReferencedSOPSequence").iter().enumerate() {
                    let at =
                        |keyword: &str| format!("{at}.ReferencedSOPSequence[{place}].{keyword}");
                    let read = |keyword: &str| {
                        required(sop, keyword)
                            .map_err(|fault| NotAManifest::new(at(keyword), fault.reason))
                    };
                    let uid = read("ReferencedSOPInstanceUID")?;
                    let entry = entries.get(uid.as_str()).cloned().unwrap_or_default();
                    instances.push(ManifestInstance {
                        uid,
                        sop_class: read("ReferencedSOPClassUID")?,
                        number: entry.number,
                        frames: entry.frames,
                        title: entry.title,
                        key_title: entry.key_title,
                    });
                }
                if instances.is_empty() {
                    let reason = "the series lists no instance (type 1)";
                    return Err(NotAManifest::new(format!("{at}.ReferencedSOPSequence"), reason));
                }
                let text = |keyword: &str| item.first(keyword).map(str::to_owned);
                found.push(ManifestSeries {
                    uid,
                    number: None,
                    modality: None,
                    description: None,
                    started: None,
                    body_site: None,
                    laterality: None,
                    retrieve: Retrieve {
                        url: text("RetrieveURL"),
                        location: text("RetrieveLocationUID"),
                        ae_title: text("RetrieveAETitle"),
                    },
                    count: u32::try_from(instances.len()).unwrap_or(u32::MAX),
                    instances,
                });
            }
        }
        for group in groups {
            let Some(series) =
                found.iter_mut().find(|one| Some(one.uid.as_str()) == group.uid.as_deref())
            else {
                continue;
            };
            series.number = group.number;
            series.modality = group.modality;
            series.description = group.description;
            series.body_site = group.body_site;
            series.laterality = group.laterality;
            series.started = When::of_dicom(
                group.date.as_deref(),
                group.time.as_deref(),
                self.own.as_deref(),
                self.context.time_zone(),
            );
        }
        Ok(found)
    }

    fn creator(&self, set: &Attributes) -> Creator {
        let text = |keyword: &str| set.first(keyword).map(str::to_owned);
        let urn = set.items("InstitutionCodeSequence").first().and_then(|code| {
            let urn = code.first("URNCodeValue")?;
            let (system, value) = urn.split_once('|').unwrap_or(("urn:ietf:rfc:3986", urn));
            Some(Named { system: system.to_owned(), value: value.to_owned(), assigner: None })
        });
        Creator {
            organisation: text("InstitutionName").unwrap_or_default(),
            identifier: urn,
            manufacturer: text("Manufacturer"),
            device: text("ManufacturerModelName"),
            version: text("SoftwareVersions"),
        }
    }

    fn subject(&self, set: &Attributes) -> Subject {
        let mut identifiers: Vec<Named> = Vec::new();
        for bag in std::iter::once(set).chain(set.items("OtherPatientIDsSequence")) {
            let Some(value) = bag.first("PatientID") else { continue };
            let system = self.context.system_of_patient(bag);
            let assigner = bag
                .first("IssuerOfPatientID")
                .filter(|name| *name != system && !system.ends_with(&format!("/{name}")))
                .map(str::to_owned);
            let named = Named { system, value: value.to_owned(), assigner };
            if !identifiers
                .iter()
                .any(|known| known.system == named.system && known.value == named.value)
            {
                identifiers.push(named);
            }
        }
        let gender = set.first("PatientSex").and_then(|sex| self.context.tables().gender(sex));
        Subject {
            identifiers,
            name: set.text("PatientName").map(str::to_owned),
            birth: When::of_dicom(set.first("PatientBirthDate"), None, None, None)
                .map(|when| when.as_str().to_owned()),
            gender: gender.map(str::to_owned),
            is_pseudonymous: set.first("PatientIdentityRemoved") == Some("YES"),
        }
    }

    fn requests(&self, set: &Attributes) -> Vec<Request> {
        let generated = self.context.system_below("accession", "generated");
        let mut found: Vec<Request> = Vec::new();
        let mut add = |bag: &Attributes, issuer: &Attributes, item: Option<&Attributes>| {
            let Some(value) = bag.first("AccessionNumber") else { return };
            let system = self.context.system_of_accession(issuer);
            if found.iter().any(|known| known.accession.value == value) {
                return;
            }
            let accession = Named { system, value: value.to_owned(), assigner: None };
            let mut request = Request {
                is_generated: accession.system == generated,
                accession,
                ..Request::default()
            };
            if let Some(item) = item {
                for (kind, number, issuer, into) in [
                    (
                        "placer",
                        "PlacerOrderNumberImagingServiceRequest",
                        "OrderPlacerIdentifierSequence",
                        &mut request.placer,
                    ),
                    (
                        "filler",
                        "FillerOrderNumberImagingServiceRequest",
                        "OrderFillerIdentifierSequence",
                        &mut request.filler,
                    ),
                ] {
                    *into = order_number(self.context, item, kind, number, issuer);
                }
                let codings: Vec<Coded> = item
                    .items("RequestedProcedureCodeSequence")
                    .iter()
                    .filter_map(|code| self.coded(code))
                    .collect();
                let text = item.text("RequestedProcedureDescription").map(str::to_owned);
                request.code =
                    (!codings.is_empty() || text.is_some()).then_some(Concept { codings, text });
            }
            found.push(request);
        };
        for item in set.items("ReferencedRequestSequence") {
            // Some writers leave the issuer out of the item and give it at the top.
            let has_issuer = !item.items("IssuerOfAccessionNumberSequence").is_empty();
            add(item, if has_issuer { item } else { set }, Some(item));
        }
        add(set, set, None);
        found
    }
}

fn text_value(item: &Attributes) -> Option<String> {
    item.text("TextValue").map(str::to_owned)
}

/// A number as NUM or, as some write it, as text; `(50, UCUM, "instances")` too.
fn number(item: &Attributes) -> Option<u32> {
    let measured = item.items("MeasuredValueSequence").first();
    let text = measured
        .and_then(|value| value.first("NumericValue"))
        .or_else(|| item.text("TextValue"))?
        .trim();
    text.parse().ok().or_else(|| {
        let digits: String =
            text.trim_start_matches('(').chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::PLAN;

    #[test]
    fn the_table_of_the_manifest_compiles() {
        assert!(PLAN.row("ContentSequence").is_some());
    }
}
