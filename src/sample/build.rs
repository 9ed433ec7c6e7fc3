//! The studies of the synthetic archive: each method is a module of PS3.3, named after it.

use crate::dicom::write::DataSet;
use crate::error::Result;

mod reports;

/// What a person is examined for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Mammography,
    LungScreening,
    ProstateMr,
}

impl Kind {
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Mammography => "breast",
            Self::LungScreening => "lung",
            Self::ProstateMr => "prostate",
        }
    }
}

/// One examination of one person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) person: usize,
    pub(super) kind: Kind,
    pub(super) round: usize,
    pub(super) rounds: usize,
}

/// A source of studies by a seed.
pub(super) struct Archive {
    seed: u64,
}

/// Invented names of one language: nobody's, for they mean "invented", "for example", "trial".
struct Names {
    charset: &'static str,
    /// Family and given names of women, then of men.
    women: [&'static [&'static str]; 2],
    men: [&'static [&'static str]; 2],
}

const NAMES: [Names; 4] = [
    Names {
        charset: "ISO_IR 101",
        women: [
            &["Smyšlená", "Zkušební", "Ukázková", "Vzorová", "Příkladná"],
            &["Žofie", "Anežka", "Božena", "Růžena", "Květa"],
        ],
        men: [
            &["Smyšlený", "Zkušební", "Ukázkový", "Vzorový", "Příkladný"],
            &["Řehoř", "Matouš", "Jiří", "Vavřinec", "Ondřej"],
        ],
    },
    Names {
        charset: "ISO_IR 126",
        women: [&["Δοκιμή", "Φανταστική", "Υποθετική"], &["Αθηνά", "Καλλιόπη", "Ευτέρπη"]],
        men: [&["Δοκιμαστικός", "Φανταστικός", "Υποθετικός"], &["Αχιλλέας", "Ορφέας", "Ερμής"]],
    },
    Names {
        charset: "ISO_IR 192",
        women: [&["Muster-Erfunden", "Przykładowa", "Näidis"], &["Ülle", "Łucja", "Käthe"]],
        men: [&["Muster-Erfunden", "Przykładowy", "Näidis"], &["Jürgen", "Łukasz", "Tõnu"]],
    },
    Names {
        charset: "ISO_IR 100",
        women: [&["Invenção", "Exemplæ", "Fictícia"], &["Zoé", "Inês", "Åse"]],
        men: [&["Invenção", "Exemplæ", "Fictício"], &["René", "João", "Håkon"]],
    },
];

#[derive(Clone, Copy)]
struct Code(&'static str, &'static str, &'static str);

impl Code {
    fn item(self) -> DataSet {
        DataSet::new()
            .text("CodeValue", self.0)
            .text("CodingSchemeDesignator", self.1)
            .text("CodeMeaning", self.2)
    }
}

/// Invented staff: their names say so.
const REFERRERS: [&str; 5] = [
    "Invented^Referrer^^Dr",
    "Synthetic^Practitioner^^Dr",
    "Fictitious^Family^^Dr",
    "Imaginary^Urologist^^Dr",
    "Exemplary^Gynaecologist^^Dr",
];
const READERS: [&str; 4] = [
    "Invented^Radiologist^^Dr",
    "Synthetic^Reader^^Dr",
    r"Invented^Radiologist^^Dr\Synthetic^Reader^^Dr",
    "Imaginary^Consultant^^Prof",
];
const OPERATORS: [&str; 3] =
    ["Invented^Radiographer", "Synthetic^Radiographer", "Fictitious^Technologist"];

const BREAST: Code = Code("76752008", "SCT", "Breast");
const CHEST: Code = Code("816094009", "SCT", "Chest");
const PROSTATE: Code = Code("41216001", "SCT", "Prostate");

/// Who gives the PatientIDs.
pub(super) const ISSUER: &str = "2.25.227412346511820367510933417203958154";

/// What is the same in all objects of a study.
struct Study {
    visit: Visit,
    number: u64,
    uid: String,
    date: String,
    time: String,
    base: DataSet,
}

impl Archive {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// How many rounds a person takes part in.
    pub(super) fn rounds(&self, kind: Kind, person: usize) -> usize {
        match kind {
            Kind::Mammography => 1 + self.dice("rounds", &[person as u64], 3),
            Kind::LungScreening => 1 + self.dice("rounds", &[person as u64], 2),
            Kind::ProstateMr => 1,
        }
    }

    /// The series of a study, each with its instances.
    pub(super) fn study(&self, visit: Visit) -> Vec<Vec<DataSet>> {
        let study = self.general_study(visit);
        match visit.kind {
            Kind::Mammography => self.mammography(&study),
            Kind::LungScreening => self.lung(&study),
            Kind::ProstateMr => self.prostate(&study),
        }
    }

    /// The date of a visit, `YYYYMMDD`.
    pub(super) fn date(&self, visit: Visit) -> String {
        self.general_study(visit).date
    }

    /// One of several words by chance, the same for the same person and round.
    pub(super) fn chance<'a>(
        &self,
        word: &str,
        person: usize,
        round: usize,
        all: &[&'a str],
    ) -> &'a str {
        self.pick(word, &[person as u64, round as u64], all)
    }

    /// A file whose PatientName claims more bytes than there are.
    pub(super) fn broken(&self) -> Result<Vec<u8>> {
        let visit = Visit { person: 900_000, kind: Kind::LungScreening, round: 0, rounds: 1 };
        let series = self.study(visit);
        let mut bytes = match series.first().and_then(|series| series.first()) {
            Some(instance) => instance.to_part_10()?,
            None => Vec::new(),
        };
        let place = bytes.windows(6).position(|six| six == b"\x10\x00\x10\x00PN");
        if let Some(length) = place.and_then(|place| bytes.get_mut(place + 6..place + 8)) {
            length.copy_from_slice(&[0xf0, 0xff]);
        }
        Ok(bytes)
    }

    // ---- chance -----------------------------------------------------------------------------

    fn hash(&self, word: &str, numbers: &[u64]) -> u64 {
        let mut state = self.seed ^ 0x6a09_e667_f3bc_c908;
        let mut mix = |value: u64| {
            state = (state ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
            state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            state ^= state >> 31;
        };
        for byte in word.bytes() {
            mix(u64::from(byte));
        }
        for number in numbers {
            mix(*number);
        }
        state
    }

    fn dice(&self, word: &str, numbers: &[u64], sides: u64) -> usize {
        usize::try_from(self.hash(word, numbers) % sides.max(1)).unwrap_or(0)
    }

    fn pick<'a>(&self, word: &str, numbers: &[u64], all: &[&'a str]) -> &'a str {
        all.get(self.dice(word, numbers, all.len() as u64)).copied().unwrap_or_default()
    }

    /// A UID derived from a UUID-sized number (PS3.5 annex B.2).
    fn uid(&self, word: &str, numbers: &[u64]) -> String {
        let high = u128::from(self.hash(word, numbers));
        let low = u128::from(self.hash("low", &[u64::try_from(high).unwrap_or(0)]));
        format!("2.25.{}", high << 64 | low)
    }

    // ---- PS3.3 C.7.1, C.7.2: Patient, General Study, Patient Study ----------------------------

    fn general_study(&self, visit: Visit) -> Study {
        let person = visit.person as u64;
        let key = [person, visit.round as u64];
        let number = person * 8 + visit.round as u64;
        let sex = match visit.kind {
            Kind::Mammography => "F",
            Kind::ProstateMr => "M",
            Kind::LungScreening => self.pick("sex", &[person], &["F", "M"]),
        };
        let names = &NAMES[self.dice("charset", &[person], 4)];
        let [families, givens] = if sex == "F" { names.women } else { names.men };
        let name = format!(
            "{}^{}",
            self.pick("family", &[person], families),
            self.pick("given", &[person], givens)
        );
        let age = match visit.kind {
            Kind::LungScreening => 55 + self.dice("age", &[person], 18),
            _ => 54 + self.dice("age", &[person], 14),
        };
        // The last round is in 2023 or 2024, two years after the one before it.
        let last = 2023 + self.dice("year", &[person], 2);
        let back = 2 * (visit.rounds.saturating_sub(visit.round + 1));
        let year = last - back;
        let month = 1 + self.dice("month", &[person], 12);
        let day = 1 + self.dice("day", &key, 28);
        let second = 8 * 3600 + self.dice("time", &key, 9 * 3600);
        let time = format!("{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60);
        let date = format!("{year:04}{month:02}{day:02}");
        // Born in a month that is over in every month of an examination.
        let birth = format!("{:04}0101", last - age);
        let age = age - back;

        let (description, procedure) = match visit.kind {
            Kind::Mammography => {
                ("Mammography screening", Code("24623002", "SCT", "Screening mammography"))
            }
            Kind::LungScreening => {
                ("Low dose CT lung screening", Code("169069000", "SCT", "CT of chest"))
            }
            Kind::ProstateMr => {
                ("Multiparametric MR of prostate", Code("719178004", "SCT", "MRI of prostate"))
            }
        };
        let reason = match visit.kind {
            Kind::Mammography => {
                Code("Z12.3", "I10", "Special screening examination for neoplasm of breast")
            }
            Kind::LungScreening => Code(
                "Z12.2",
                "I10",
                "Special screening examination for neoplasm of respiratory organs",
            ),
            Kind::ProstateMr => {
                Code("Z12.5", "I10", "Special screening examination for neoplasm of prostate")
            }
        };
        let issuer =
            DataSet::new().text("UniversalEntityID", ISSUER).text("UniversalEntityIDType", "ISO");
        let accession_issuer = DataSet::new()
            .text("UniversalEntityID", "2.25.227412346511820367510933417203958155")
            .text("UniversalEntityIDType", "ISO");
        let uid = self.uid("study", &key);
        let mut base = DataSet::new()
            .charset(names.charset)
            .text("PatientName", &name)
            .text("PatientID", &format!("SYN{person:07}"))
            .text("IssuerOfPatientID", "SYNTHETIC")
            .text("TypeOfPatientID", "TEXT")
            .item("IssuerOfPatientIDQualifiersSequence", issuer)
            .text("PatientBirthDate", &birth)
            .text("PatientSex", sex)
            .text("PatientAge", &format!("{age:03}Y"))
            .text("StudyInstanceUID", &uid)
            .text("StudyID", &format!("S{number}"))
            .text("StudyDate", &date)
            .text("StudyTime", &time)
            .text("AccessionNumber", &format!("A{number:09}"))
            .item("IssuerOfAccessionNumberSequence", accession_issuer)
            .text("ReferringPhysicianName", self.pick("referrer", &[person], &REFERRERS))
            .text("NameOfPhysiciansReadingStudy", self.pick("reader", &key, &READERS))
            .text("RequestedProcedureDescription", description)
            .item("RequestedProcedureCodeSequence", procedure.item())
            .text("ReasonForTheRequestedProcedure", "Screening (synthetic)")
            .item("ReasonForRequestedProcedureCodeSequence", reason.item())
            .text("InstitutionalDepartmentName", "Synthetic radiology")
            .text("StudyDescription", description)
            .item("ProcedureCodeSequence", procedure.item())
            .text("InstitutionName", "Synthetic Hospital of Nowhere")
            .text("Manufacturer", "Invented Imaging")
            .text("InstanceCreationDate", &date)
            .text("InstanceCreationTime", &time);
        // Who comes for screening is seldom admitted; who has a biopsy planned may be.
        if visit.kind == Kind::ProstateMr || self.dice("admission", &key, 3) == 0 {
            let admission_issuer = DataSet::new()
                .text("UniversalEntityID", "2.25.227412346511820367510933417203958156")
                .text("UniversalEntityIDType", "ISO");
            base = base
                .text("AdmissionID", &format!("V{number:08}"))
                .item("IssuerOfAdmissionIDSequence", admission_issuer);
        }
        // Some referrers are known by a number of the synthetic register.
        if self.dice("register", &[person], 2) == 0 {
            let number = 1 + self.dice("referrer", &[person], REFERRERS.len() as u64);
            let person = DataSet::new().item(
                "PersonIdentificationCodeSequence",
                DataSet::new()
                    .text("CodeValue", &format!("R{number:04}"))
                    .text("CodingSchemeDesignator", "99SYNTH")
                    .text("CodeMeaning", "Number in the synthetic register"),
            );
            base = base.item("ReferringPhysicianIdentificationSequence", person);
        }
        if self.dice("zone", &[person], 3) == 0 {
            let offset = if (4..=10).contains(&month) { "+0200" } else { "+0100" };
            base = base.text("TimezoneOffsetFromUTC", offset);
        }
        Study { visit, number, uid, date, time, base }
    }

    // ---- C.7.3, C.7.5: General Series, General Equipment, and SOP Common -----------------------

    fn series(&self, study: &Study, place: u64, modality: &str, description: &str) -> DataSet {
        let (model, station) = match modality {
            "MG" => ("Mamma-Model 1", "MG1"),
            "CT" => ("Thorax-Model 2", "CT1"),
            "MR" => ("Tesla-Model 3", "MR1"),
            _ => ("Report-Model 4", "WS1"),
        };
        let series = study.base.clone();
        // A workstation has nobody who images.
        let series = match modality {
            "MG" | "CT" | "MR" => {
                let by = self.pick("operator", &[study.number], &OPERATORS);
                let series = series.text("OperatorsName", by);
                match modality {
                    "MR" => series.text("PerformingPhysicianName", "Invented^Radiologist^^Dr"),
                    _ => series,
                }
            }
            _ => series,
        };
        series
            .text("SeriesInstanceUID", &self.uid("series", &[study.number, place]))
            .text("Modality", modality)
            .number("SeriesNumber", place as f64 + 1.0)
            .text("SeriesDescription", description)
            .text("SeriesDate", &study.date)
            .text("SeriesTime", &study.time)
            .text("ManufacturerModelName", model)
            .text("StationName", station)
            .text("DeviceSerialNumber", &format!("SN-{station}"))
            .text(
                "SoftwareVersions",
                if study.date.as_str() < "20240101" { "1.0" } else { r"1.1\B2" },
            )
    }

    fn sop_common(
        &self,
        study: &Study,
        series: &DataSet,
        place: u64,
        number: u64,
        class: &str,
    ) -> DataSet {
        series
            .clone()
            .text("SOPClassUID", class)
            .text("SOPInstanceUID", &self.sop_instance(study, place, number))
            .number("InstanceNumber", number as f64 + 1.0)
    }

    fn sop_instance(&self, study: &Study, place: u64, number: u64) -> String {
        self.uid("instance", &[study.number, place, number])
    }

    // ---- C.7.6: General Image, Image Pixel -----------------------------------------------------

    fn pixels(&self, image: DataSet, rows: u16, columns: u16, key: u64) -> DataSet {
        let count = usize::from(rows) * usize::from(columns);
        let mut bytes = Vec::with_capacity(count * 2);
        let mut noise = self.hash("pixels", &[key]);
        for _ in 0..count {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = u16::try_from(noise >> 52).unwrap_or(0);
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        image
            .number("SamplesPerPixel", 1.0)
            .text("PhotometricInterpretation", "MONOCHROME2")
            .number("Rows", f64::from(rows))
            .number("Columns", f64::from(columns))
            .number("BitsAllocated", 16.0)
            .number("BitsStored", 12.0)
            .number("HighBit", 11.0)
            .number("PixelRepresentation", 0.0)
            .text("BurnedInAnnotation", "NO")
            .text("LossyImageCompression", "00")
            .bytes("PixelData", &bytes)
    }

    /// C.7.6.2: Image Plane, axial slices.
    fn plane(image: DataSet, slice: u64, spacing: f64, thickness: f64) -> DataSet {
        let at = slice as f64 * thickness;
        image
            .numbers("PixelSpacing", &[spacing, spacing])
            .numbers("ImageOrientationPatient", &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
            .numbers("ImagePositionPatient", &[0.0, 0.0, at])
            .number("SliceThickness", thickness)
            .number("SliceLocation", at)
    }

    // ---- A.26: Digital Mammography X-Ray Image, for presentation -------------------------------

    fn mammography(&self, study: &Study) -> Vec<Vec<DataSet>> {
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

    // ---- A.3: CT Image -------------------------------------------------------------------------

    fn lung(&self, study: &Study) -> Vec<Vec<DataSet>> {
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

    // ---- A.4: MR Image -------------------------------------------------------------------------

    fn prostate(&self, study: &Study) -> Vec<Vec<DataSet>> {
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
