//! Structured reports, dose reports and key object selections.

use super::{Archive, Code, Study};
use crate::dicom::write::DataSet;

impl Archive {
    // ---- A.35: structured reports ----------------------------------------------------------------

    fn document(&self, study: &Study, place: u64, class: &str, title: Code) -> DataSet {
        let series = self
            .series(study, place, "SR", title.2)
            .items("ReferencedPerformedProcedureStepSequence", vec![]);
        self.sop_common(study, &series, place, 0, class)
            .text("ContentDate", &study.date)
            .text("ContentTime", &study.time)
            .text("CompletionFlag", "COMPLETE")
            .text("VerificationFlag", "UNVERIFIED")
            .items("PerformedProcedureCodeSequence", vec![])
            .text("ValueType", "CONTAINER")
            .text("ContinuityOfContent", "SEPARATE")
            .item("ConceptNameCodeSequence", title.item())
    }

    /// An imaging report: Basic Text SR, and Enhanced SR in every second study.
    pub(super) fn report(&self, study: &Study, place: u64, text: &str, region: Code) -> DataSet {
        let class = if study.number.is_multiple_of(2) {
            "1.2.840.10008.5.1.4.1.1.88.11"
        } else {
            "1.2.840.10008.5.1.4.1.1.88.22"
        };
        let site = content("HAS CONCEPT MOD", "CODE", Code("363698007", "SCT", "Finding Site"))
            .item("ConceptCodeSequence", region.item());
        let finding =
            content("CONTAINS", "TEXT", Code("121071", "DCM", "Finding")).text("TextValue", text);
        self.document(study, place, class, Code("18748-4", "LN", "Diagnostic imaging study"))
            .items("ContentSequence", vec![site, finding])
    }

    /// A radiation dose report (PS3.16 TID 10001 and TID 10011, their beginning).
    pub(super) fn dose(&self, study: &Study, place: u64, what: &'static str) -> DataSet {
        const CLASS: &str = "1.2.840.10008.5.1.4.1.1.88.67";
        let procedure = if what == "CT" {
            Code("77477000", "SCT", "Computed Tomography X-Ray")
        } else {
            Code("71651007", "SCT", "Mammography")
        };
        let (name, amount, unit) = if what == "CT" {
            (
                Code("113813", "DCM", "CT Dose Length Product Total"),
                45.0,
                Code("mGy.cm", "UCUM", "mGy.cm"),
            )
        } else {
            (
                Code("111637", "DCM", "Accumulated Average Glandular Dose"),
                2.5,
                Code("mGy", "UCUM", "mGy"),
            )
        };
        let reported =
            content("HAS CONCEPT MOD", "CODE", Code("121058", "DCM", "Procedure reported"))
                .item("ConceptCodeSequence", procedure.item());
        let measured = DataSet::new()
            .item("MeasurementUnitsCodeSequence", unit.item())
            .number("NumericValue", amount);
        let total = content("CONTAINS", "NUM", name).item("MeasuredValueSequence", measured);
        self.document(study, place, CLASS, Code("113701", "DCM", "X-Ray Radiation Dose Report"))
            .items("ContentSequence", vec![reported, total])
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
