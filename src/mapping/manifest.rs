//! The manifest of an imaging study (IHE RAD MADO): what both of its encodings say.
//!
//! [`Manifest`] is the value between the encodings. It comes from a stored study
//! ([`of_study`](super::manifest_study::of_study)), from a FHIR document Bundle
//! ([`from_bundle`](super::manifest_read::from_bundle)) or from a Key Object Selection Document
//! ([`dicom::kos`](crate::dicom::kos)), and each of the last two is written from it. Codes and
//! identifiers stand in it as FHIR writes them, by URI; the DICOM encoding translates by
//! `mappings/coding-schemes.toml`. Trial codes, fixed values and decisions between sources are
//! rows of `mappings/mado.toml`.

use jiff::tz::{Offset, TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;

use super::moment::{Day, Moment, offset};
use super::{Context, codes};
use crate::imaging::{Attributes, Uid, keyed};

/// Why something is no manifest: where, and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct NotAManifest {
    /// FHIRPath of the element, or keyword path of the attribute.
    pub at: String,
    /// What is wrong, and how to mend it.
    pub reason: String,
}

impl NotAManifest {
    /// At a place, for a reason.
    #[must_use]
    pub fn new(at: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { at: at.into(), reason: reason.into() }
    }
}

/// A code of a code system.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Coded {
    /// URI of the code system.
    pub system: String,
    /// The code.
    pub code: String,
    /// What it means.
    #[serde(default)]
    pub display: Option<String>,
}

/// Codes that mean the same, and words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Concept {
    /// The codes.
    pub codings: Vec<Coded>,
    /// The words.
    pub text: Option<String>,
}

/// An identifier within a naming system.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Named {
    /// URI of the naming system.
    pub system: String,
    /// The identifier.
    pub value: String,
    /// What the issuer calls itself (IssuerOfPatientID beside the universal entity).
    pub assigner: Option<String>,
}

/// A point of time as FHIR `dateTime`: a time has an offset, a date may lack day and month.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct When(String);

impl When {
    /// Reads a FHIR `dateTime` or `instant`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid = match text.split_once('T') {
            Some(_) => text.parse::<jiff::Timestamp>().is_ok(),
            None => {
                !text.contains('.') && text.len() != 8 && {
                    let compact: String = text.split('-').collect();
                    text.len() == [0, 4, 7, 10][text.split('-').count().min(3)]
                        && Day::parse(&compact).is_some()
                }
            }
        };
        is_valid.then(|| Self(text.to_owned()))
    }

    /// From DA, TM and Timezone Offset From UTC; a time without an offset takes the archive's
    /// zone, and is left out where there is none. Fractions of a second stay.
    #[must_use]
    pub fn of_dicom(
        date: Option<&str>,
        time: Option<&str>,
        own: Option<&str>,
        zone: Option<&TimeZone>,
    ) -> Option<Self> {
        let mut text = Moment::new(Day::parse(date?)?, time, own, zone).to_text();
        let fraction: String = time
            .and_then(|time| time.split_once('.'))
            .map(|(_, digits)| digits.trim_end_matches('0').chars().take(6).collect())
            .unwrap_or_default();
        let is_plain = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
        if is_plain && text.len() > 19 {
            text.insert_str(19, &format!(".{fraction}"));
        }
        Some(Self(text))
    }

    /// Microseconds since 1970-01-01T00:00:00Z at the zone's offset (UTC without one).
    #[must_use]
    pub fn of_instant(micros: i64, zone: Option<&TimeZone>) -> Self {
        let instant =
            jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let offset = zone.map_or(Offset::UTC, |zone| zone.to_offset(instant));
        let whole = if offset.seconds() % 60 == 0 { offset } else { Offset::UTC };
        let local = whole.to_datetime(instant);
        Self(format!("{}{}", local.strftime("%Y-%m-%dT%H:%M:%S%.f"), spell(whole, ":")))
    }

    /// FHIR `dateTime`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The offset of a time.
    #[must_use]
    pub fn offset(&self) -> Option<Offset> {
        let (_, time) = self.0.split_once('T')?;
        if time.ends_with(['Z', 'z']) {
            return Some(Offset::UTC);
        }
        let from = time.rfind(['+', '-'])?;
        let digits = time.get(from..)?;
        if digits.ends_with("00:00") { Some(Offset::UTC) } else { offset(digits) }
    }

    /// DA and TM at an offset; neither where the day is not known.
    #[must_use]
    pub fn to_dicom(&self, at: Offset) -> (Option<String>, Option<String>) {
        if self.0.contains('T') {
            let Ok(instant) = self.0.parse::<jiff::Timestamp>() else { return (None, None) };
            let local = at.to_datetime(instant);
            let date = local.strftime("%Y%m%d").to_string();
            return (Some(date), Some(local.strftime("%H%M%S%.f").to_string()));
        }
        let digits: String = self.0.split('-').collect();
        ((digits.len() == 8).then_some(digits), None)
    }
}

/// `+HH:MM` or `+HHMM`.
#[must_use]
pub fn spell(offset: Offset, between: &str) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{between}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// Whom the study is about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Subject {
    /// The primary identifier first.
    pub identifiers: Vec<Named>,
    /// The name as PN (PS3.5 section 6.2.1).
    pub name: Option<String>,
    /// FHIR `date`.
    pub birth: Option<String>,
    /// Administrative gender.
    pub gender: Option<String>,
    /// Whether the rendering holds no identity (v3-ObservationValue PSEUDED).
    pub is_pseudonymous: bool,
}

/// The order that the study answers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// The accession number.
    pub accession: Named,
    /// Whether the creator of the manifest made the accession number up (MADO's absent case).
    pub is_generated: bool,
    /// The placer's order number.
    pub placer: Option<Named>,
    /// The filler's order number.
    pub filler: Option<Named>,
    /// What was ordered.
    pub code: Option<Concept>,
}

/// Who made the manifest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Creator {
    /// The organisation's name.
    pub organisation: String,
    /// Its identifier.
    pub identifier: Option<Named>,
    /// Who made the device or program.
    pub manufacturer: Option<String>,
    /// What the device or program is called.
    pub device: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// Where the instances of a series are retrieved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Retrieve {
    /// Base of the WADO-RS service.
    pub url: Option<String>,
    /// Retrieve Location UID (0040,E011).
    pub location: Option<String>,
    /// Retrieve AE Title (0008,0054), which FHIR has no place for.
    pub ae_title: Option<String>,
}

/// An instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManifestInstance {
    /// SOPInstanceUID.
    pub uid: Uid,
    /// SOPClassUID.
    pub sop_class: Uid,
    /// InstanceNumber.
    pub number: Option<u32>,
    /// NumberOfFrames of a multi-frame instance.
    pub frames: Option<u32>,
    /// What it is called; of a key object selection its description.
    pub title: Option<String>,
    /// Document title of a key object selection (CID 7010).
    pub key_title: Option<Coded>,
}

/// A series.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestSeries {
    /// SeriesInstanceUID.
    pub uid: Uid,
    /// SeriesNumber.
    pub number: Option<u32>,
    /// Modality.
    pub modality: Option<Coded>,
    /// SeriesDescription.
    pub description: Option<String>,
    /// SeriesDate and SeriesTime.
    pub started: Option<When>,
    /// Where in the body.
    pub body_site: Option<Coded>,
    /// Which side.
    pub laterality: Option<Coded>,
    /// Where to retrieve it.
    pub retrieve: Retrieve,
    /// The instances.
    pub instances: Vec<ManifestInstance>,
    /// How many instances there are, where the archive knows no more than that.
    pub count: u32,
}

/// The manifest of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Identifier of the document: SOPInstanceUID of the KOS, OID of the Bundle.
    pub uid: Uid,
    /// When it was made.
    pub created: When,
    /// What it is called.
    pub title: Option<String>,
    /// Who made it.
    pub creator: Creator,
    /// Whom the study is about.
    pub subject: Subject,
    /// StudyInstanceUID.
    pub study_uid: Uid,
    /// When the study began.
    pub started: Option<When>,
    /// StudyDescription.
    pub description: Option<String>,
    /// The orders.
    pub requests: Vec<Request>,
    /// What was done.
    pub procedures: Vec<Concept>,
    /// Who referred, as PN.
    pub referrer: Option<String>,
    /// Anatomical regions.
    pub regions: Vec<Coded>,
    /// Launch addresses of web viewers.
    pub viewers: Vec<String>,
    /// The series.
    pub series: Vec<ManifestSeries>,
}

impl Manifest {
    /// The modalities of the series, each once.
    #[must_use]
    pub fn modalities(&self) -> Vec<&Coded> {
        let mut found: Vec<&Coded> = Vec::new();
        for coded in self.series.iter().filter_map(|series| series.modality.as_ref()) {
            if !found.iter().any(|known| known.code == coded.code) {
                found.push(coded);
            }
        }
        found
    }

    /// Whether every instance is listed: without, no KOS can be written.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.series.iter().all(|series| !series.instances.is_empty())
    }

    /// What the document is called: its title, else procedure or description and modalities.
    #[must_use]
    pub fn shown_title(&self) -> String {
        if let Some(title) = &self.title {
            return title.clone();
        }
        let words = self.procedures.iter().find_map(|concept| {
            concept.text.clone().or_else(|| concept.codings.iter().find_map(|c| c.display.clone()))
        });
        let regions: Vec<&str> =
            self.regions.iter().filter_map(|region| region.display.as_deref()).collect();
        let modalities: Vec<&str> = self.modalities().iter().map(|m| m.code.as_str()).collect();
        let mut title = words.or_else(|| self.description.clone()).unwrap_or_default();
        if title.is_empty() {
            title = "Imaging study".to_owned();
        }
        if !modalities.is_empty() && !modalities.iter().any(|code| title.contains(code)) {
            title.push_str(&format!(" ({})", modalities.join(", ")));
        }
        if !regions.is_empty() {
            title.push_str(&format!(", {}", regions.join(", ")));
        }
        title
    }
}

/// A UID that stands for something else, always the same (PS3.5 annex B.2).
#[must_use]
pub fn derived_uid(key: &[u8], words: &[&str]) -> Uid {
    let mut head = [0_u8; 16];
    head.copy_from_slice(&keyed(key, words.join("\u{1f}").as_bytes())[..16]);
    // Version and variant of RFC 9562 section 5.8.
    head[6] = head[6] & 0x0f | 0x80;
    head[8] = head[8] & 0x3f | 0x80;
    let text = format!("2.25.{}", u128::from_be_bytes(head));
    match Uid::parse(&text) {
        Ok(uid) => uid,
        // 2.25. and a number of 128 bits are at most 44 characters.
        Err(failure) => unreachable!("{failure}"),
    }
}

/// Trial of an issuer: id and type of a universal entity (PS3.3 section 10.14) for a URI.
#[must_use]
pub fn universal_entity(system: &str) -> (&str, &'static str) {
    for (prefix, kind) in [("urn:oid:", "ISO"), ("urn:uuid:", "UUID"), ("urn:dns:", "DNS")] {
        if let Some(id) = system.strip_prefix(prefix) {
            return (id, kind);
        }
    }
    (system, "URI")
}

/// What the DICOM encoding asks of the tables.
impl Context {
    /// The code of an item of a code sequence.
    #[must_use]
    pub fn coded(&self, item: &Attributes) -> Option<Coded> {
        let code = codes::code_of(self, item)?;
        Some(Coded {
            system: code.system.into_owned(),
            code: code.code.into_owned(),
            display: code.display.map(std::borrow::Cow::into_owned),
        })
    }

    /// The designator of a code system, where a table or its URI tells it.
    #[must_use]
    pub fn designator(&self, system: &str) -> Option<String> {
        let schemes = &self.0.tables.schemes;
        let known = schemes
            .values()
            .filter(|scheme| scheme.system == system)
            .map(|scheme| scheme.designator.as_str())
            .min_by_key(|designator| (designator.len(), *designator));
        if let Some(designator) = known {
            return Some(designator.to_owned());
        }
        let local = self.local_system("coding-scheme", "");
        let name = system.strip_prefix(&local)?.strip_prefix('/')?;
        let is_plain = name.len() <= 16
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        is_plain.then(|| name.to_owned())
    }

    /// The designator of a code system that no table knows.
    #[must_use]
    pub fn made_designator(system: &str) -> String {
        let [a, b, c, d, ..] = keyed(b"coding scheme", system.as_bytes());
        format!("99{:08X}", u32::from_be_bytes([a, b, c, d]))
    }

    /// The system of a patient's identifier, from a bag with PatientID and its issuer.
    #[must_use]
    pub fn system_of_patient(&self, bag: &Attributes) -> String {
        self.patient_system(bag, "")
    }

    /// The system of an accession number, from a bag with the number and its issuer.
    #[must_use]
    pub fn system_of_accession(&self, bag: &Attributes) -> String {
        self.accession_system(bag)
    }

    /// A system below the public URL, for what has no URI of its own.
    #[must_use]
    pub fn system_below(&self, kind: &str, name: &str) -> String {
        self.local_system(kind, name)
    }

    /// The code system of body sites and regions.
    #[must_use]
    pub fn body_system(&self) -> &str {
        &self.0.tables.body.system
    }

    /// What a modality is called.
    #[must_use]
    pub fn modality_display(&self, code: &str) -> Option<&str> {
        self.0.tables.modality.get(code).map(|text| &**text)
    }

    /// Administrative gender of PatientSex, and PatientSex of administrative gender.
    #[must_use]
    pub fn sex_of_gender(&self, gender: &str) -> Option<&str> {
        let rows = &self.0.tables.codes.sex;
        rows.iter().find(|row| row.fhir == gender && row.dicom != "U").map(|row| row.dicom.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{When, derived_uid};
    use jiff::tz::{Offset, TimeZone};

    #[test]
    fn times_keep_their_instant_in_both_encodings() {
        let zone = TimeZone::get("Europe/Prague").unwrap();
        let when = When::of_dicom(Some("20220822"), Some("083117.658"), None, Some(&zone)).unwrap();
        assert_eq!(when.as_str(), "2022-08-22T08:31:17.658+02:00");
        let at = when.offset().unwrap();
        let back = when.to_dicom(at);
        assert_eq!(back, (Some("20220822".to_owned()), Some("083117.658".to_owned())));
        let winter = when.to_dicom(Offset::constant(1));
        assert_eq!(winter.1.as_deref(), Some("073117.658"));
        let day = When::of_dicom(Some("20220822"), Some("083117"), None, None).unwrap();
        assert_eq!(day.to_dicom(at), (Some("20220822".to_owned()), None));
        assert_eq!(When::of_instant(0, None).as_str(), "1970-01-01T00:00:00+00:00");
    }

    #[test]
    fn what_is_no_date_time_of_fhir_is_refused() {
        for good in ["2022", "2022-08", "2022-08-22", "2022-08-22T08:31:17Z"] {
            assert!(When::parse(good).is_some(), "{good}");
        }
        for bad in ["", "20220822", "2022-8", "2022-08-22T08:31:17", "2022-13", "22", "é"] {
            assert_eq!(When::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_derived_uid_is_always_the_same_and_a_uuid() {
        let uid = derived_uid(b"", &["a", "b"]);
        assert_eq!(uid, derived_uid(b"", &["a", "b"]));
        assert_ne!(uid, derived_uid(b"", &["ab", ""]));
        assert!(uid.is_standard());
    }
}
