//! A manifest in its DICOM encoding: the Key Object Selection Document of IHE RAD MADO.
//!
//! In and out: [`Manifest`]. The content tree is TID 2010 with an Image Library (TID 1600, 1601)
//! that describes every series and its instances; the instances are also listed at the root, as
//! TID 2010 demands, and in Current Requested Procedure Evidence Sequence (PS3.3 C.17.6.2.1),
//! which says where they are retrieved. Concept names and trial codes are rows of
//! `mappings/mado.toml`.

use jiff::tz::Offset;

use super::write::DataSet;
use crate::error::{Error, Result};
use crate::imaging::Uid;
use crate::mapping::Context;
use crate::mapping::mado::{ConceptName, Mado};
use crate::mapping::manifest::{
    Coded, Manifest, ManifestInstance, ManifestSeries, Named, Request, When, derived_uid, spell,
    universal_entity,
};

pub use super::kos_read::read;

/// Writes the manifest as a file of PS3.10.
///
/// # Errors
/// When a series lists no instances (MADO: Referenced SOP Sequence is of type 1), or a fact
/// cannot be written.
pub fn write(context: &Context, manifest: &Manifest) -> Result<Vec<u8>> {
    if !manifest.is_complete() {
        return Err(Error::Invalid(
            "the archive does not know the instances of every series: there is no DICOM encoding \
             of its manifest"
                .to_owned(),
        ));
    }
    // One offset speaks for the whole object (PS3.3 C.12.1.1.8): that of the study.
    let at = std::iter::once(&manifest.started)
        .chain(manifest.series.iter().map(|series| &series.started))
        .flatten()
        .find_map(When::offset)
        .or_else(|| manifest.created.offset())
        .unwrap_or(Offset::UTC);
    let mut writer = Writer { context, mado: &context.tables().mado, at, schemes: Vec::new() };
    writer.document(manifest)?.to_part_10()
}

struct Writer<'a> {
    context: &'a Context,
    mado: &'a Mado,
    at: Offset,
    /// Systems that no table has a designator for.
    schemes: Vec<(String, String)>,
}

/// The first characters of a text, as a representation holds them (PS3.5 table 6.2-1).
fn cut(text: &str, most: usize) -> String {
    let plain: String =
        text.chars().map(|c| if c == '\\' || c.is_control() { ' ' } else { c }).collect();
    plain.trim().chars().take(most).collect::<String>().trim_end().to_owned()
}

fn optional(set: DataSet, keyword: &str, text: Option<&str>) -> DataSet {
    match text {
        Some(text) => set.text(keyword, text),
        None => set,
    }
}

/// An item of the HL7v2 Hierarchic Designator Macro (PS3.3 section 10.14).
fn issuer(system: &str) -> DataSet {
    let (id, kind) = universal_entity(system);
    DataSet::new().text("UniversalEntityID", id).text("UniversalEntityIDType", kind)
}

impl Writer<'_> {
    fn document(&mut self, manifest: &Manifest) -> Result<DataSet> {
        let at = self.at;
        let (study_date, study_time) =
            manifest.started.as_ref().map_or((None, None), |when| when.to_dicom(at));
        let (date, time) = manifest.created.to_dicom(at);
        let (date, time) = (date.unwrap_or_default(), time.unwrap_or_default());
        let series_uid = derived_uid(b"MADO series", &[manifest.uid.as_str()]);
        let creator = &manifest.creator;
        let manufacturer = creator.manufacturer.as_deref().unwrap_or("");
        let accession = match manifest.requests.as_slice() {
            [one] => Some(&one.accession),
            // MADO's group case: each stands in its own item.
            _ => None,
        };
        let mut set = DataSet::new()
            .charset("ISO_IR 192")
            .text("SOPClassUID", &self.mado.kos.sop_class)
            .text("SOPInstanceUID", manifest.uid.as_str())
            .text("InstanceCreationDate", &date)
            .text("InstanceCreationTime", &time)
            .text("StudyDate", study_date.as_deref().unwrap_or(""))
            .text("StudyTime", study_time.as_deref().unwrap_or(""))
            .text("SeriesDate", &date)
            .text("SeriesTime", &time)
            .text("ContentDate", &date)
            .text("ContentTime", &time)
            .text("TimezoneOffsetFromUTC", &spell(at, ""))
            .text("AccessionNumber", accession.map_or("", |named| &named.value))
            .text("Modality", "KO")
            .text("Manufacturer", &cut(manufacturer, 64))
            .text("InstitutionName", &cut(&creator.organisation, 64))
            .text("ReferringPhysicianName", manifest.referrer.as_deref().unwrap_or(""))
            .text("SeriesDescription", &self.mado.kos.series_description)
            .items("ReferencedPerformedProcedureStepSequence", Vec::new())
            .text("StudyInstanceUID", manifest.study_uid.as_str())
            .text("SeriesInstanceUID", series_uid.as_str())
            .text("StudyID", "")
            .number("SeriesNumber", f64::from(self.mado.kos.series_number))
            .text("InstanceNumber", "1")
            .text("ValueType", "CONTAINER")
            .text("ContinuityOfContent", "SEPARATE")
            .item(
                "ContentTemplateSequence",
                DataSet::new()
                    .text("MappingResource", "DCMR")
                    .text("TemplateIdentifier", &self.mado.kos.template),
            );
        if let Some(named) = accession {
            set = set.item("IssuerOfAccessionNumberSequence", issuer(&named.system));
        }
        for (keyword, text) in [
            ("StudyDescription", &manifest.description),
            ("ManufacturerModelName", &creator.device),
            ("SoftwareVersions", &creator.version),
        ] {
            if let Some(text) = text {
                set = set.text(keyword, &cut(text, 64));
            }
        }
        if let Some(named) = &creator.identifier {
            // Basic code sequence: the value may be a URI (URN Code Value, PS3.3 section 8.1).
            set = set.item("InstitutionCodeSequence", institution(named, &creator.organisation));
        }
        set = self.patient(set, manifest);
        let requests: Vec<DataSet> = match manifest.requests.as_slice() {
            [] => Vec::new(),
            all => all.iter().map(|request| self.request(request, &manifest.study_uid)).collect(),
        };
        set = set.items("ReferencedRequestSequence", requests);
        set = set.item(
            "CurrentRequestedProcedureEvidenceSequence",
            DataSet::new()
                .text("StudyInstanceUID", manifest.study_uid.as_str())
                .items("ReferencedSeriesSequence", manifest.series.iter().map(evidence).collect()),
        );
        set = set.item("ConceptNameCodeSequence", self.name(ConceptName::Manifest)?);
        set = set.items("ContentSequence", self.content(manifest)?);
        if !self.schemes.is_empty() {
            let items = self.schemes.iter().map(|(designator, system)| {
                DataSet::new()
                    .text("CodingSchemeDesignator", designator)
                    .text("CodingSchemeURL", system)
            });
            set = set.items("CodingSchemeIdentificationSequence", items.collect());
        }
        Ok(set)
    }

    fn patient(&self, mut set: DataSet, manifest: &Manifest) -> DataSet {
        let subject = &manifest.subject;
        let first = subject.identifiers.first();
        let sex = subject.gender.as_deref().and_then(|gender| self.context.sex_of_gender(gender));
        let birth: String = subject.birth.as_deref().unwrap_or("").split('-').collect();
        set = set
            .text("PatientName", subject.name.as_deref().unwrap_or(""))
            .text("PatientID", first.map_or("", |named| &named.value))
            .text("PatientBirthDate", if birth.len() == 8 { &birth } else { "" })
            .text("PatientSex", sex.unwrap_or(""));
        if subject.is_pseudonymous {
            set = set
                .text("PatientIdentityRemoved", "YES")
                .text("DeidentificationMethod", "vesalius: secondary use");
        }
        let others: Vec<DataSet> = subject
            .identifiers
            .iter()
            .map(|named| {
                patient_issuer(DataSet::new(), named)
                    .text("PatientID", &named.value)
                    .text("TypeOfPatientID", "TEXT")
            })
            .collect();
        match first {
            Some(named) => patient_issuer(set.text("TypeOfPatientID", "TEXT"), named)
                .items("OtherPatientIDsSequence", others),
            None => set,
        }
    }

    fn request(&mut self, request: &Request, study_uid: &Uid) -> DataSet {
        let text = request.code.as_ref().and_then(|code| code.text.as_deref()).unwrap_or("");
        let codes = request.code.as_ref().map_or(&[][..], |code| &code.codings);
        let codes: Vec<DataSet> = codes.iter().map(|code| self.code(code)).collect();
        let mut item = DataSet::new()
            .text("AccessionNumber", &request.accession.value)
            .item("IssuerOfAccessionNumberSequence", issuer(&request.accession.system))
            .items("ReferencedStudySequence", Vec::new())
            .text("StudyInstanceUID", study_uid.as_str())
            .text("RequestedProcedureDescription", &cut(text, 64))
            .items("RequestedProcedureCodeSequence", codes)
            .text("RequestedProcedureID", "");
        for (number, sequence, named) in [
            (
                "PlacerOrderNumberImagingServiceRequest",
                "OrderPlacerIdentifierSequence",
                &request.placer,
            ),
            (
                "FillerOrderNumberImagingServiceRequest",
                "OrderFillerIdentifierSequence",
                &request.filler,
            ),
        ] {
            item = item.text(number, named.as_ref().map_or("", |named| &named.value));
            if let Some(named) = named {
                item = item.item(sequence, issuer(&named.system));
            }
        }
        item
    }

    // ── content tree ─────────────────────────────────────────────────────────────────────────

    fn content(&mut self, manifest: &Manifest) -> Result<Vec<DataSet>> {
        let mut root = Vec::new();
        for procedure in &manifest.procedures {
            for code in &procedure.codings {
                let code = self.code(code);
                root.push(self.coded("HAS CONCEPT MOD", ConceptName::Procedure, code)?);
            }
            let is_said = procedure
                .codings
                .iter()
                .any(|code| code.display.is_some() && code.display == procedure.text);
            if let Some(text) = procedure.text.as_deref().filter(|_| !is_said) {
                root.push(self.text("CONTAINS", ConceptName::ProcedureText, text)?);
            }
        }
        if let Some(title) = &manifest.title {
            root.push(self.text("CONTAINS", ConceptName::KeyDescription, title)?);
        }
        let mut library = Vec::new();
        for modality in manifest.modalities() {
            let code = self.code(modality);
            library.push(self.coded(CONTEXT, ConceptName::Modality, code)?);
        }
        for region in &manifest.regions {
            let code = self.code(region);
            library.push(self.coded(CONTEXT, ConceptName::Region, code)?);
        }
        library.push(self.number(ConceptName::StudySeries, manifest.series.len(), "{series}")?);
        for series in &manifest.series {
            let group = self.group(series)?;
            library.push(self.container(ConceptName::Group, group)?);
        }
        root.push(self.container(ConceptName::Library, library)?);
        for instance in manifest.series.iter().flat_map(|series| &series.instances) {
            root.push(self.reference(instance));
        }
        Ok(root)
    }

    /// TID 1601: what the instances of a series share, then each of them.
    fn group(&mut self, series: &ManifestSeries) -> Result<Vec<DataSet>> {
        let mut items = Vec::with_capacity(series.instances.len() + 9);
        for (name, code) in [
            (ConceptName::Modality, &series.modality),
            (ConceptName::Region, &series.body_site),
            (ConceptName::Laterality, &series.laterality),
        ] {
            if let Some(code) = code {
                let code = self.code(code);
                items.push(self.coded(CONTEXT, name, code)?);
            }
        }
        if let Some(started) = &series.started {
            let (date, time) = started.to_dicom(self.at);
            for (name, kind, keyword, value) in [
                (ConceptName::SeriesDate, "DATE", "Date", date),
                (ConceptName::SeriesTime, "TIME", "Time", time),
            ] {
                if let Some(value) = value {
                    items.push(self.item(CONTEXT, kind, name)?.text(keyword, &value));
                }
            }
        }
        if let Some(text) = &series.description {
            items.push(self.text(CONTEXT, ConceptName::SeriesDescription, text)?);
        }
        if let Some(number) = series.number {
            items.push(self.text(CONTEXT, ConceptName::SeriesNumber, &number.to_string())?);
        }
        items.push(
            self.item(CONTEXT, "UIDREF", ConceptName::SeriesUid)?.text("UID", series.uid.as_str()),
        );
        let count = series.instances.len();
        items.push(self.number(ConceptName::SeriesInstances, count, "{instances}")?);
        for instance in &series.instances {
            items.push(self.entry(instance)?);
        }
        Ok(items)
    }

    /// TID 1602: what is said of one instance.
    fn entry(&mut self, instance: &ManifestInstance) -> Result<DataSet> {
        let mut about = Vec::new();
        for (name, number) in
            [(ConceptName::InstanceNumber, instance.number), (ConceptName::Frames, instance.frames)]
        {
            if let Some(number) = number {
                about.push(self.text(CONTEXT, name, &number.to_string())?);
            }
        }
        if let Some(title) = &instance.key_title {
            let code = self.code(title);
            about.push(self.coded(CONTEXT, ConceptName::KeyTitle, code)?);
        }
        // Of other instances the title is what FHIR makes of ImageType or a document's name: MADO
        // has a place for the description of a key object only.
        let is_key = instance.sop_class.as_str() == self.mado.kos.sop_class;
        if let Some(text) = instance.title.as_ref().filter(|_| is_key) {
            about.push(self.text(CONTEXT, ConceptName::KeyDescription, text)?);
        }
        let reference = self.reference(instance);
        Ok(if about.is_empty() { reference } else { reference.items("ContentSequence", about) })
    }

    fn reference(&self, instance: &ManifestInstance) -> DataSet {
        DataSet::new()
            .text("RelationshipType", "CONTAINS")
            .text("ValueType", self.mado.value_type(instance.sop_class.as_str()).as_str())
            .item("ReferencedSOPSequence", sop(instance))
    }

    fn name(&self, name: ConceptName) -> Result<DataSet> {
        let row = self
            .mado
            .concept(name)
            .ok_or_else(|| Error::Internal(format!("mado.toml has no concept {name:?}")))?;
        Ok(DataSet::new()
            .text("CodeValue", &row.code)
            .text("CodingSchemeDesignator", &row.scheme)
            .text("CodeMeaning", &row.meaning))
    }

    fn item(&self, relation: &str, kind: &str, name: ConceptName) -> Result<DataSet> {
        Ok(DataSet::new()
            .text("RelationshipType", relation)
            .text("ValueType", kind)
            .item("ConceptNameCodeSequence", self.name(name)?))
    }

    fn container(&self, name: ConceptName, items: Vec<DataSet>) -> Result<DataSet> {
        Ok(self
            .item("CONTAINS", "CONTAINER", name)?
            .text("ContinuityOfContent", "SEPARATE")
            .items("ContentSequence", items))
    }

    fn coded(&self, relation: &str, name: ConceptName, code: DataSet) -> Result<DataSet> {
        Ok(self.item(relation, "CODE", name)?.item("ConceptCodeSequence", code))
    }

    fn text(&self, relation: &str, name: ConceptName, text: &str) -> Result<DataSet> {
        Ok(self.item(relation, "TEXT", name)?.text("TextValue", text))
    }

    fn number(&self, name: ConceptName, count: usize, unit: &str) -> Result<DataSet> {
        let unit = DataSet::new()
            .text("CodeValue", unit)
            .text("CodingSchemeDesignator", "UCUM")
            .text("CodeMeaning", unit.trim_matches(['{', '}']));
        let measured = DataSet::new()
            .item("MeasurementUnitsCodeSequence", unit)
            .text("NumericValue", &count.to_string());
        Ok(self.item(CONTEXT, "NUM", name)?.item("MeasuredValueSequence", measured))
    }

    /// A code of FHIR as an item of a code sequence (PS3.3 section 8.8).
    fn code(&mut self, code: &Coded) -> DataSet {
        let meaning = code.display.as_deref().unwrap_or(&code.code);
        let set = DataSet::new().text("CodeMeaning", &cut(meaning, 64));
        if code.system == "urn:ietf:rfc:3986" {
            return set.text("URNCodeValue", &code.code);
        }
        if code.code.is_empty() {
            // Words that no table codes: a private scheme says so, and what they are.
            return set
                .text("CodeValue", &Context::made_designator(meaning))
                .text("CodingSchemeDesignator", UNCODED);
        }
        let designator = self.context.designator(&code.system).unwrap_or_else(|| {
            let made = Context::made_designator(&code.system);
            if !self.schemes.iter().any(|(known, _)| *known == made) {
                self.schemes.push((made.clone(), code.system.clone()));
            }
            made
        });
        let keyword = if code.code.len() > 16 { "LongCodeValue" } else { "CodeValue" };
        set.text(keyword, &code.code).text("CodingSchemeDesignator", &designator)
    }
}

/// Designator of what has words and no code.
pub(super) const UNCODED: &str = "99UNCODED";
const CONTEXT: &str = "HAS ACQ CONTEXT";

fn patient_issuer(set: DataSet, named: &Named) -> DataSet {
    let set = optional(
        set,
        "IssuerOfPatientID",
        named.assigner.as_deref().map(|a| cut(a, 64)).as_deref(),
    );
    set.item("IssuerOfPatientIDQualifiersSequence", issuer(&named.system))
}

/// The organisation's identifier as a code: of a system that is none of coding schemes, so its
/// value is the URN where it is one.
fn institution(named: &Named, name: &str) -> DataSet {
    let is_uri = named.system == "urn:ietf:rfc:3986";
    let urn =
        if is_uri { named.value.clone() } else { format!("{}|{}", named.system, named.value) };
    DataSet::new().text("URNCodeValue", &urn).text("CodeMeaning", &cut(name, 64))
}

/// One series of the evidence.
fn evidence(series: &ManifestSeries) -> DataSet {
    let retrieve = &series.retrieve;
    let mut item = DataSet::new()
        .text("SeriesInstanceUID", series.uid.as_str())
        .items("ReferencedSOPSequence", series.instances.iter().map(sop).collect());
    for (keyword, text) in [
        ("RetrieveAETitle", &retrieve.ae_title),
        ("RetrieveLocationUID", &retrieve.location),
        ("RetrieveURL", &retrieve.url),
    ] {
        item = optional(item, keyword, text.as_deref());
    }
    item
}

fn sop(instance: &ManifestInstance) -> DataSet {
    DataSet::new()
        .text("ReferencedSOPClassUID", instance.sop_class.as_str())
        .text("ReferencedSOPInstanceUID", instance.uid.as_str())
}
