//! The studies of the synthetic archive: each method is a module of PS3.3, named after it.

use crate::dicom::write::DataSet;
use crate::error::Result;

mod images;
mod names;
mod reports;

use names::{NAMES, OPERATORS, READERS, REFERRERS};

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
}
