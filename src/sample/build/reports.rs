//! Reports of the synthetic archive, by the templates of PS3.16 that real ones follow.

use super::{Archive, Code, Study};
use crate::dicom::write::DataSet;

const MEASUREMENT_GROUP: Code = Code("125007", "DCM", "Measurement Group");
const LATERALITY: Code = Code("272741003", "SCT", "Laterality");
const FINDING_SITE: Code = Code("363698007", "SCT", "Finding Site");

impl Archive {
    // ---- A.35: structured reports ----------------------------------------------------------------

    fn document(
        &self,
        study: &Study,
        place: u64,
        class: &str,
        title: Code,
        template: &str,
    ) -> DataSet {
        let series = self
            .series(study, place, "SR", title.2)
            .items("ReferencedPerformedProcedureStepSequence", vec![]);
        let template =
            DataSet::new().text("MappingResource", "DCMR").text("TemplateIdentifier", template);
        self.sop_common(study, &series, place, 0, class)
            .text("ContentDate", &study.date)
            .text("ContentTime", &study.time)
            .text("CompletionFlag", "COMPLETE")
            .text("VerificationFlag", "UNVERIFIED")
            .items("PerformedProcedureCodeSequence", vec![])
            .text("ValueType", "CONTAINER")
            .text("ContinuityOfContent", "SEPARATE")
            .item("ConceptNameCodeSequence", title.item())
            .item("ContentTemplateSequence", template)
    }

    /// Instances of the study that a report is made from.
    fn evidence(&self, study: &Study, class: &str, chosen: &[(u64, u64)]) -> DataSet {
        let series = chosen.iter().map(|(place, number)| {
            DataSet::new()
                .text("SeriesInstanceUID", &self.uid("series", &[study.number, *place]))
                .item("ReferencedSOPSequence", self.reference(study, class, *place, *number))
        });
        DataSet::new()
            .text("StudyInstanceUID", &study.uid)
            .items("ReferencedSeriesSequence", series.collect())
    }

    fn reference(&self, study: &Study, class: &str, place: u64, number: u64) -> DataSet {
        DataSet::new()
            .text("ReferencedSOPClassUID", class)
            .text("ReferencedSOPInstanceUID", &self.sop_instance(study, place, number))
    }

    /// An imaging report (TID 2000): Basic Text SR, and Enhanced SR in every second study. Two of
    /// three are verified.
    pub(super) fn report(&self, study: &Study, place: u64, text: &str, region: Code) -> DataSet {
        let class = if study.number.is_multiple_of(2) {
            "1.2.840.10008.5.1.4.1.1.88.11"
        } else {
            "1.2.840.10008.5.1.4.1.1.88.22"
        };
        let person =
            content("HAS OBS CONTEXT", "PNAME", Code("121008", "DCM", "Person Observer Name"))
                .text("PersonName", "Invented^Radiologist^^Dr");
        let history = content("CONTAINS", "CONTAINER", Code("121060", "DCM", "History")).item(
            "ContentSequence",
            content("CONTAINS", "TEXT", Code("121060", "DCM", "History"))
                .text("TextValue", "Synthetic examination, no person was imaged."),
        );
        let site = coded("HAS CONCEPT MOD", FINDING_SITE, region);
        let finding = content("CONTAINS", "TEXT", Code("121071", "DCM", "Finding"))
            .text("TextValue", text)
            .item("ContentSequence", site);
        let findings = content("CONTAINS", "CONTAINER", Code("121070", "DCM", "Findings"))
            .item("ContentSequence", finding);
        let mut concluded = vec![
            content("CONTAINS", "TEXT", Code("121073", "DCM", "Impression"))
                .text("TextValue", text),
        ];
        if region.0 == super::BREAST.0 {
            concluded.push(coded(
                "CONTAINS",
                Code("111005", "DCM", "Assessment Category"),
                Code("397141009", "SCT", "Mammography assessment (Category 2) - Benign finding"),
            ));
        }
        let impression = content("CONTAINS", "CONTAINER", Code("121072", "DCM", "Impressions"))
            .items("ContentSequence", concluded);
        let title = Code("18748-4", "LN", "Diagnostic imaging study");
        let report = self
            .document(study, place, class, title, "2000")
            .items("ContentSequence", vec![person, history, findings, impression]);
        if study.number.is_multiple_of(3) {
            return report;
        }
        let zone = "+0000";
        let verifier = DataSet::new()
            .text("VerifyingObserverName", "Invented^Radiologist^^Dr")
            .text("VerifyingOrganization", "Synthetic Hospital of Nowhere")
            .text("VerificationDateTime", &format!("{}{}{zone}", study.date, study.time))
            .items("VerifyingObserverIdentificationCodeSequence", vec![]);
        report.text("VerificationFlag", "VERIFIED").item("VerifyingObserverSequence", verifier)
    }

    /// Measurements of a nodule (TID 1500, TID 1410).
    pub(super) fn measurements(
        &self,
        study: &Study,
        place: u64,
        class: &str,
        slice: u64,
    ) -> DataSet {
        const COMPREHENSIVE: &str = "1.2.840.10008.5.1.4.1.1.88.33";
        let image = DataSet::new()
            .text("RelationshipType", "SELECTED FROM")
            .text("ValueType", "IMAGE")
            .item("ReferencedSOPSequence", self.reference(study, class, 0, slice));
        let outline = content("CONTAINS", "SCOORD", Code("111030", "DCM", "Image Region"))
            .text("GraphicType", "POLYLINE")
            .numbers("GraphicData", &[4.0, 4.0, 10.0, 4.0, 10.0, 9.0, 4.0, 9.0, 4.0, 4.0])
            .item("ContentSequence", image);
        let site = coded("HAS CONCEPT MOD", FINDING_SITE, Code("39607008", "SCT", "Lung")).item(
            "ContentSequence",
            coded("HAS CONCEPT MOD", LATERALITY, Code("24028007", "SCT", "Right")),
        );
        let tenths = 40 + self.dice("nodule", &[study.number], 30);
        let width = tenths as f64 / 10.0;
        let number = |name: Code, value: f64, unit: Code| {
            content("CONTAINS", "NUM", name).item("MeasuredValueSequence", measured(value, unit))
        };
        let millimetre = Code("mm", "UCUM", "millimeter");
        let tracking =
            content("HAS OBS CONTEXT", "TEXT", Code("112039", "DCM", "Tracking Identifier"))
                .text("TextValue", "Nodule 1");
        let group = content("CONTAINS", "CONTAINER", MEASUREMENT_GROUP)
            .text("ContinuityOfContent", "SEPARATE")
            .items(
                "ContentSequence",
                vec![
                    tracking,
                    content(
                        "HAS OBS CONTEXT",
                        "UIDREF",
                        Code("112040", "DCM", "Tracking Unique Identifier"),
                    )
                    .text("UID", &self.uid("nodule", &[study.visit.person as u64])),
                    coded(
                        "CONTAINS",
                        Code("121071", "DCM", "Finding"),
                        Code("27925004", "SCT", "Nodule"),
                    ),
                    site,
                    outline,
                    number(Code("103339001", "SCT", "Long axis"), width, millimetre),
                    number(
                        Code("103340004", "SCT", "Short axis"),
                        (tenths * 3 / 4) as f64 / 10.0,
                        millimetre,
                    ),
                    coded(
                        "CONTAINS",
                        Code("nodule-attenuation", "99SYNTHETIC", "Attenuation of the nodule"),
                        Code("solid", "99SYNTHETIC", "Solid"),
                    ),
                ],
            );
        let all = content("CONTAINS", "CONTAINER", Code("126010", "DCM", "Imaging Measurements"))
            .text("ContinuityOfContent", "SEPARATE")
            .item("ContentSequence", group);
        let language = coded(
            "HAS CONCEPT MOD",
            Code("121049", "DCM", "Language of Content Item and Descendants"),
            Code("en", "RFC5646", "English"),
        );
        let reported = coded(
            "HAS CONCEPT MOD",
            Code("121058", "DCM", "Procedure reported"),
            Code("169069000", "SCT", "CT of chest"),
        );
        let title = Code("126000", "DCM", "Imaging Measurement Report");
        self.document(study, place, COMPREHENSIVE, title, "1500")
            .item(
                "CurrentRequestedProcedureEvidenceSequence",
                self.evidence(study, class, &[(0, slice)]),
            )
            .items("ContentSequence", vec![language, reported, all])
    }

    /// What a computer found in a mammogram (TID 4000).
    pub(super) fn mammography_cad(&self, study: &Study, place: u64, class: &str) -> DataSet {
        const CAD: &str = "1.2.840.10008.5.1.4.1.1.88.50";
        let image = DataSet::new()
            .text("RelationshipType", "SELECTED FROM")
            .text("ValueType", "IMAGE")
            .item("ReferencedSOPSequence", self.reference(study, class, 0, 0));
        let center = content("HAS PROPERTIES", "SCOORD", Code("111010", "DCM", "Center"))
            .text("GraphicType", "POINT")
            .numbers("GraphicData", &[12.0, 20.0])
            .item("ContentSequence", image);
        let certainty =
            content("HAS PROPERTIES", "NUM", Code("111012", "DCM", "Certainty of Finding"))
                .item("MeasuredValueSequence", measured(71.0, Code("%", "UCUM", "percent")));
        let intent = || {
            coded(
                "HAS CONCEPT MOD",
                Code("111056", "DCM", "Rendering Intent"),
                Code(
                    "111150",
                    "DCM",
                    "Presentation Required: Rendering device is expected to present",
                ),
            )
        };
        let found = coded(
            "CONTAINS",
            Code("111059", "DCM", "Single Image Finding"),
            Code("F-01775", "SRT", "Calcification Cluster"),
        )
        .items("ContentSequence", vec![intent(), certainty, center]);
        let impression = content(
            "CONTAINS",
            "CONTAINER",
            Code("111034", "DCM", "Individual Impression/Recommendation"),
        )
        .items("ContentSequence", vec![intent(), found]);
        let summary = coded(
            "CONTAINS",
            Code("111017", "DCM", "CAD Processing and Findings Summary"),
            Code("111242", "DCM", "All algorithms succeeded; with findings"),
        )
        .item("ContentSequence", impression);
        let title = Code("111036", "DCM", "Mammography CAD Report");
        self.document(study, place, CAD, title, "4000")
            .item(
                "CurrentRequestedProcedureEvidenceSequence",
                self.evidence(study, class, &[(0, 0)]),
            )
            .items("ContentSequence", vec![summary])
    }

    /// A radiation dose report: CT (TID 10011) or projection X-ray (TID 10001).
    pub(super) fn dose(&self, study: &Study, place: u64, what: &'static str) -> DataSet {
        const CLASS: &str = "1.2.840.10008.5.1.4.1.1.88.67";
        let number = |name: Code, value: f64, unit: Code| {
            content("CONTAINS", "NUM", name).item("MeasuredValueSequence", measured(value, unit))
        };
        let container = |name: Code, items: Vec<DataSet>| {
            content("CONTAINS", "CONTAINER", name)
                .text("ContinuityOfContent", "SEPARATE")
                .items("ContentSequence", items)
        };
        let milligray = Code("mGy", "UCUM", "mGy");
        let (procedure, template, figures) = if what == "CT" {
            let dlp = Code("mGy.cm", "UCUM", "mGy.cm");
            let totals = container(
                Code("113811", "DCM", "CT Accumulated Dose Data"),
                vec![
                    number(
                        Code("113812", "DCM", "Total Number of Irradiation Events"),
                        1.0,
                        Code("{events}", "UCUM", "events"),
                    ),
                    number(Code("113813", "DCM", "CT Dose Length Product Total"), 45.0, dlp),
                ],
            );
            let dose = container(
                Code("113829", "DCM", "CT Dose"),
                vec![
                    number(Code("113830", "DCM", "Mean CTDIvol"), 1.3, milligray),
                    number(Code("113838", "DCM", "DLP"), 45.0, dlp),
                ],
            );
            let acquisition = container(Code("113819", "DCM", "CT Acquisition"), vec![dose]);
            (
                Code("77477000", "SCT", "Computed Tomography X-Ray"),
                "10011",
                vec![totals, acquisition],
            )
        } else {
            let side = |code: Code, value: f64| {
                number(
                    Code("111637", "DCM", "Accumulated Average Glandular Dose"),
                    value,
                    milligray,
                )
                .item("ContentSequence", coded("HAS CONCEPT MOD", LATERALITY, code))
            };
            let totals = container(
                Code("113702", "DCM", "Accumulated X-Ray Dose Data"),
                vec![
                    side(Code("7771000", "SCT", "Left"), 2.4),
                    side(Code("24028007", "SCT", "Right"), 2.6),
                    number(
                        Code("113731", "DCM", "Total Number of Radiographic Frames"),
                        4.0,
                        Code("1", "UCUM", "no units"),
                    ),
                ],
            );
            (Code("71651007", "SCT", "Mammography"), "10001", vec![totals])
        };
        let reported =
            coded("HAS CONCEPT MOD", Code("121058", "DCM", "Procedure reported"), procedure);
        let items = std::iter::once(reported).chain(figures).collect();
        let title = Code("113701", "DCM", "X-Ray Radiation Dose Report");
        self.document(study, place, CLASS, title, template).items("ContentSequence", items)
    }

    // ---- A.45.1: Encapsulated PDF ----------------------------------------------------------------

    /// A report that somebody printed.
    pub(super) fn printed(&self, study: &Study, place: u64) -> DataSet {
        let series = self.series(study, place, "DOC", "Printed report");
        let bytes = pdf("Synthetic report: PI-RADS 2, no suspicious lesion.");
        self.sop_common(study, &series, place, 0, "1.2.840.10008.5.1.4.1.1.104.1")
            .text("ConversionType", "WSD")
            .text("ContentDate", &study.date)
            .text("ContentTime", &study.time)
            .text("AcquisitionDateTime", "")
            .text("BurnedInAnnotation", "YES")
            .text("VerificationFlag", "VERIFIED")
            .text("DocumentTitle", "Report of a prostate examination")
            .item(
                "ConceptNameCodeSequence",
                Code("18748-4", "LN", "Diagnostic imaging study").item(),
            )
            .text("MIMETypeOfEncapsulatedDocument", "application/pdf")
            .number("EncapsulatedDocumentLength", bytes.len() as f64)
            .bytes("EncapsulatedDocument", &bytes)
    }

    // ---- A.35.4: Key Object Selection ------------------------------------------------------------

    pub(super) fn key_objects(
        &self,
        study: &Study,
        place: u64,
        class: &str,
        chosen: &[(u64, u64)],
    ) -> DataSet {
        let series = self
            .series(study, place, "KO", "Key images")
            .items("ReferencedPerformedProcedureStepSequence", vec![]);
        let reference = |(place, number): &(u64, u64)| {
            DataSet::new()
                .text("ReferencedSOPClassUID", class)
                .text("ReferencedSOPInstanceUID", &self.sop_instance(study, *place, *number))
        };
        let evidence = DataSet::new().text("StudyInstanceUID", &study.uid).items(
            "ReferencedSeriesSequence",
            chosen
                .iter()
                .map(|(series, number)| {
                    DataSet::new()
                        .text("SeriesInstanceUID", &self.uid("series", &[study.number, *series]))
                        .item("ReferencedSOPSequence", reference(&(*series, *number)))
                })
                .collect(),
        );
        let template =
            DataSet::new().text("MappingResource", "DCMR").text("TemplateIdentifier", "2010");
        let images = chosen
            .iter()
            .map(|chosen| {
                DataSet::new()
                    .text("RelationshipType", "CONTAINS")
                    .text("ValueType", "IMAGE")
                    .item("ReferencedSOPSequence", reference(chosen))
            })
            .collect();
        self.sop_common(study, &series, place, 0, "1.2.840.10008.5.1.4.1.1.88.59")
            .text("ContentDate", &study.date)
            .text("ContentTime", &study.time)
            .text("ValueType", "CONTAINER")
            .text("ContinuityOfContent", "SEPARATE")
            .item("ConceptNameCodeSequence", Code("113000", "DCM", "Of Interest").item())
            .item("ContentTemplateSequence", template)
            .item("CurrentRequestedProcedureEvidenceSequence", evidence)
            .items("ContentSequence", images)
    }
}

fn content(relationship: &str, value_type: &str, name: Code) -> DataSet {
    DataSet::new()
        .text("RelationshipType", relationship)
        .text("ValueType", value_type)
        .item("ConceptNameCodeSequence", name.item())
}

fn coded(relationship: &str, name: Code, value: Code) -> DataSet {
    content(relationship, "CODE", name).item("ConceptCodeSequence", value.item())
}

fn measured(value: f64, unit: Code) -> DataSet {
    DataSet::new().item("MeasurementUnitsCodeSequence", unit.item()).number("NumericValue", value)
}

/// A PDF of one line (ISO 32000-1, 7.5), with its table of places.
fn pdf(line: &str) -> Vec<u8> {
    let stream = format!("BT /F1 12 Tf 72 720 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut places = String::from("0000000000 65535 f \n");
    for (number, object) in objects.iter().enumerate() {
        places.push_str(&format!("{:010} 00000 n \n", out.len()));
        out.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    let start = out.len();
    out.push_str(&format!(
        "xref\n0 {count}\n{places}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
        count = objects.len() + 1
    ));
    out.into_bytes()
}
