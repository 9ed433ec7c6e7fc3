//! Images of the synthetic archive, one method for each information object definition of PS3.3
//! annex A that it holds.

use super::{Archive, BREAST, CHEST, Code, PROSTATE, Study};
use crate::dicom::write::DataSet;

impl Archive {
    /// A.26: Digital Mammography X-Ray Image, for presentation.
    pub(super) fn mammography(&self, study: &Study) -> Vec<Vec<DataSet>> {
        const CLASS: &str = "1.2.840.10008.5.1.4.1.1.1.2";
        let views = [
            ("R", "CC", Code("399162004", "SCT", "cranio-caudal")),
            ("L", "CC", Code("399162004", "SCT", "cranio-caudal")),
            ("R", "MLO", Code("399368009", "SCT", "medio-lateral oblique")),
            ("L", "MLO", Code("399368009", "SCT", "medio-lateral oblique")),
        ];
        let base = self
            .series(study, 0, "MG", "Screening four views")
            .text("BodyPartExamined", "BREAST")
            .text("PresentationIntentType", "FOR PRESENTATION")
            .item("RequestAttributesSequence", Self::request(study));
        let mut images = Vec::new();
        for (number, (side, view, code)) in (0_u64..).zip(views) {
            let orientation = match (side, view) {
                ("R", "CC") => r"P\L",
                ("L", "CC") => r"A\R",
                ("R", _) => r"P\FL",
                _ => r"A\FR",
            };
            let image = self
                .sop_common(study, &base, 0, number, CLASS)
                .text("ImageType", r"ORIGINAL\PRIMARY")
                .text("AcquisitionDate", &study.date)
                .text("AcquisitionTime", &study.time)
                .text("ContentDate", &study.date)
                .text("ContentTime", &study.time)
                .text("PatientOrientation", orientation)
                .text("ImageLaterality", side)
                .item("AnatomicRegionSequence", BREAST.item())
                .item("ViewCodeSequence", code.item().items("ViewModifierCodeSequence", vec![]))
                .text("ViewPosition", view)
                .text("OrganExposed", "BREAST")
                .text("PositionerType", "MAMMOGRAPHIC")
                .number("PositionerPrimaryAngle", if view == "CC" { 0.0 } else { 45.0 })
                .text("DetectorType", "DIRECT")
                .text("DetectorConfiguration", "AREA")
                .text("FieldOfViewOrigin", r"0\0")
                .text("FieldOfViewRotation", "0")
                .text("FieldOfViewHorizontalFlip", "NO")
                .number("DetectorActiveTime", 800.0)
                .numbers("ImagerPixelSpacing", &[0.07, 0.07])
                .number("KVP", 28.0)
                .number("BodyPartThickness", 45.0)
                .number("CompressionForce", 110.0)
                .text("PixelIntensityRelationship", "LOG")
                .number("PixelIntensityRelationshipSign", -1.0)
                .number("RescaleIntercept", 0.0)
                .number("RescaleSlope", 1.0)
                .text("RescaleType", "US")
                .text("PresentationLUTShape", "IDENTITY")
                .number("WindowCenter", 2048.0)
                .number("WindowWidth", 4096.0)
                .text("BreastImplantPresent", "NO")
                .text("PartialView", "NO")
                .text("QualityControlImage", "NO")
                .items("AcquisitionContextSequence", vec![]);
            images.push(self.pixels(image, 48, 32, study.number * 8 + number));
        }
        let report = self.report(study, 1, "Screening without suspicious finding.", BREAST);
        let mut all = vec![images, vec![report], vec![self.dose(study, 2, "Mammography")]];
        if study.visit.person.is_multiple_of(4) {
            all.push(vec![self.mammography_cad(study, 3, CLASS)]);
        }
        all
    }

    fn request(study: &Study) -> DataSet {
        DataSet::new()
            .text("RequestedProcedureID", &format!("RP{}", study.number))
            .text("ReasonForTheRequestedProcedure", "Screening (synthetic)")
            .text("ScheduledProcedureStepID", &format!("SPS{}", study.number))
    }

    /// A.3: CT Image.
    pub(super) fn lung(&self, study: &Study) -> Vec<Vec<DataSet>> {
        const CLASS: &str = "1.2.840.10008.5.1.4.1.1.2";
        let slices = 16 + self.dice("slices", &[study.number], 9) as u64;
        let base = self
            .series(study, 0, "CT", "Low dose lung 1.5 mm")
            .text("BodyPartExamined", "CHEST")
            .text("PatientPosition", "HFS")
            .text("ProtocolName", "LDCT")
            .text("FrameOfReferenceUID", &self.uid("frame", &[study.number, 0]))
            .text("PositionReferenceIndicator", "");
        let images = (0..slices)
            .map(|slice| {
                let image = self
                    .sop_common(study, &base, 0, slice, CLASS)
                    .text("ImageType", r"ORIGINAL\PRIMARY\AXIAL")
                    .text("AcquisitionDate", &study.date)
                    .text("AcquisitionTime", &study.time)
                    .text("ContentDate", &study.date)
                    .text("ContentTime", &study.time)
                    .number("AcquisitionNumber", 1.0)
                    .item("AnatomicRegionSequence", CHEST.item())
                    .number("KVP", 100.0)
                    .number("XRayTubeCurrent", 30.0)
                    .text("ImageComments", "Synthetic low dose slice")
                    .text("ConvolutionKernel", "LUNG")
                    .number("RescaleIntercept", -1024.0)
                    .number("RescaleSlope", 1.0)
                    .text("RescaleType", "HU")
                    .number("WindowCenter", -600.0)
                    .number("WindowWidth", 1500.0);
                let image = Self::plane(image, slice, 0.7, 1.5);
                self.pixels(image, 16, 16, study.number * 64 + slice)
            })
            .collect();
        let report = self.report(study, 1, "No nodule that needs follow-up.", CHEST);
        let mut all = vec![images, vec![report], vec![self.dose(study, 2, "CT")]];
        if study.visit.person.is_multiple_of(8) {
            let middle = slices / 2;
            all.push(vec![self.key_objects(study, 3, CLASS, &[(0, middle)])]);
        }
        if study.visit.person.is_multiple_of(3) {
            all.push(vec![self.measurements(study, 4, CLASS, slices / 3)]);
        }
        all
    }

    /// A.4: MR Image.
    pub(super) fn prostate(&self, study: &Study) -> Vec<Vec<DataSet>> {
        const CLASS: &str = "1.2.840.10008.5.1.4.1.1.4";
        let sequences = [
            ("t2 tse axial", r"ORIGINAL\PRIMARY\M\ND", "SE", 12, 100.0, 4000.0, 3.0),
            ("dwi b1400 axial", r"ORIGINAL\PRIMARY\DIFFUSION\ND", "EP", 8, 70.0, 5000.0, 3.5),
            ("adc axial", r"DERIVED\PRIMARY\ADC\ND", "EP", 8, 70.0, 5000.0, 3.5),
        ];
        let mut all = Vec::new();
        for (place, (description, image_type, scanning, slices, echo, repetition, thickness)) in
            (0_u64..).zip(sequences)
        {
            let base = self
                .series(study, place, "MR", description)
                .text("BodyPartExamined", "PROSTATE")
                .text("PatientPosition", "HFS")
                .text("ProtocolName", description)
                .text("FrameOfReferenceUID", &self.uid("frame", &[study.number, 0]))
                .text("PositionReferenceIndicator", "");
            let images = (0..slices)
                .map(|slice| {
                    let image = self
                        .sop_common(study, &base, place, slice, CLASS)
                        .text("ImageType", image_type)
                        .text("AcquisitionDate", &study.date)
                        .text("AcquisitionTime", &study.time)
                        .text("ContentDate", &study.date)
                        .text("ContentTime", &study.time)
                        .number("AcquisitionNumber", 1.0)
                        .item("AnatomicRegionSequence", PROSTATE.item())
                        .text("ScanningSequence", scanning)
                        .text("SequenceVariant", "SK")
                        .text("ScanOptions", "")
                        .text("MRAcquisitionType", "2D")
                        .number("EchoTime", echo)
                        .number("RepetitionTime", repetition)
                        .number("EchoTrainLength", 16.0)
                        .number("MagneticFieldStrength", 3.0)
                        .number("WindowCenter", 1024.0)
                        .number("WindowWidth", 2048.0);
                    let image = Self::plane(image, slice, 0.5, thickness);
                    self.pixels(image, 16, 16, study.number * 64 + place * 16 + slice)
                })
                .collect();
            all.push(images);
        }
        all.push(vec![self.report(study, 3, "PI-RADS 2, no suspicious lesion.", PROSTATE)]);
        if study.visit.person.is_multiple_of(4) {
            all.push(vec![self.printed(study, 4)]);
        }
        all
    }
}
