//! What is missing or odd in an input that is used nevertheless.

use std::borrow::Cow;

/// One kind of finding. The code is stored and shown; the rest explains it to an operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FindingKind {
    /// Stable code, in kebab case.
    pub code: &'static str,
    /// What was found and what vesalius did about it.
    pub meaning: &'static str,
    /// What the archive's operator can do.
    pub remedy: &'static str,
}

/// Something missing or odd about one study, said once per study and code, with a count.
#[derive(
    Clone, Debug, serde::Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize,
)]
pub struct Finding {
    /// A code of [`FINDING_KINDS`].
    pub code: Cow<'static, str>,
    /// The DICOM keyword or the table column that it is about; empty when it is about the whole.
    pub attribute: Cow<'static, str>,
    /// The value as found, cut to 64 characters; empty for values that identify a person.
    pub value: String,
}

impl Finding {
    /// A finding about an attribute. `value` is cut to 64 characters.
    #[must_use]
    pub fn new(code: &'static str, attribute: &'static str, value: &str) -> Self {
        debug_assert!(
            FINDING_KINDS.iter().any(|kind| kind.code == code),
            "`{code}` stands in no row of FINDING_KINDS"
        );
        Self {
            code: Cow::Borrowed(code),
            attribute: Cow::Borrowed(attribute),
            value: value.chars().take(64).collect(),
        }
    }

    /// The row that explains the code, if this version knows it.
    #[must_use]
    pub fn kind(&self) -> Option<&'static FindingKind> {
        FINDING_KINDS.iter().find(|kind| kind.code == self.code)
    }
}

macro_rules! kinds {
    ($($code:literal: $meaning:literal / $remedy:literal;)*) => {
        /// Every kind of finding, in the order of the operator's page.
        pub const FINDING_KINDS: &[FindingKind] = &[
            $(FindingKind { code: $code, meaning: $meaning, remedy: $remedy },)*
        ];
    };
}

kinds! {
    "time-zone-missing": "a time without a zone: no TimezoneOffsetFromUTC and no configured zone, so only the date is given"
        / "set `archive.time_zone`";
    "date-odd": "a date that PS3.5 does not allow, read or left out"
        / "correct the date at the modality or in the archive";
    "time-odd": "a time that PS3.5 does not allow, read or left out"
        / "correct the time at the modality or in the archive";
    "age-odd": "an age that PS3.5 does not allow or that no person has, left out"
        / "correct PatientAge";
    "sex-odd": "a PatientSex other than M, F and O, taken as not known"
        / "correct PatientSex";
    "body-part-missing": "no body part: the series has no bodySite"
        / "set BodyPartExamined in the modality's protocol";
    "body-part-free-text": "a body part outside PS3.16 Annex L: given as text without a code"
        / "add a row to the ConceptMap of body parts, or correct BodyPartExamined";
    "laterality-odd": "a laterality other than R, L and B, left out"
        / "correct Laterality or ImageLaterality";
    "laterality-both": "a Laterality B, which the standard knows of an image only: taken as both sides"
        / "write the side of each image in ImageLaterality";
    "laterality-mixed": "images of one series disagree about the side: the series has no laterality"
        / "none is needed when the series shows both sides";
    "number-odd": "a number that PS3.5 or FHIR does not allow (negative or no integer), left out"
        / "correct the number at the modality";
    "vr-odd": "an attribute encoded with another value representation than PS3.6 gives it"
        / "the sending device should be updated";
    "name-odd": "a person name with more than three component groups or five components: the surplus is left out"
        / "correct the name in the RIS";
    "charset-undeclared": "bytes outside the declared SpecificCharacterSet, read as ISO 8859-1"
        / "declare SpecificCharacterSet (0008,0005)";
    "charset-unknown": "a SpecificCharacterSet that PS3.3 C.12.1.1.2 does not list, read as ISO 8859-1"
        / "correct SpecificCharacterSet (0008,0005)";
    "uid-not-standard": "a UID that breaks PS3.5 section 9.1 but still identifies"
        / "the sending device should be updated";
    "modality-missing": "no Modality: given as unknown"
        / "set Modality (type 1 in every IOD)";
    "modality-odd": "a Modality that is no code string (PS3.5 section 6.2: capital letters and digits), or several: the first is given, as text"
        / "correct Modality";
    "modality-unlisted": "a Modality that is no defined term of PS3.3 C.7.3.1.1.1: given as text without a code"
        / "correct Modality, or add the term to the table of codes once DICOM has it";
    "series-modalities": "instances of one series give different modalities (PS3.3 C.7.3.1 gives a series one): it has that of its first instance"
        / "correct Modality or SeriesInstanceUID in the archive";
    "zone-odd": "a TimezoneOffsetFromUTC that is no offset (PS3.3 C.12.1.1.8), not used"
        / "correct TimezoneOffsetFromUTC, as in `+0100`";
    "file-meta-missing": "no file meta information or no preamble: transfer syntax guessed"
        / "store files as PS3.10 demands";
    "transfer-syntax-odd": "a data set encoded otherwise than its TransferSyntaxUID says: read as it is encoded"
        / "the sending device should be updated";
    "data-set-damaged": "the data set breaks off or is damaged behind its identifiers: what stands before the damage is used"
        / "fetch the file again from its source";
    "value-too-long": "a value longer than this version reads, left out"
        / "none is needed unless the value matters";
    "report-left-out": "a report whose content is damaged or larger than this version reads (20,000 items, 32 levels, 4 MiB of text): stored as an instance, its content left out"
        / "open the report in the archive's own viewer; fetch the file again if it is damaged";
    "file-truncated": "the file ends inside its pixel data: the attributes were complete"
        / "fetch the file again from its source";
    "meta-uid-differs": "the file meta information names another SOP instance or class than the data set (PS3.10 section 7.1): what the data set says is used"
        / "write the file anew from its source";
    "sop-instance-repeated": "the same SOP Instance UID twice with the same content: counted once"
        / "none is needed";
    "sop-instance-differs": "the same SOP Instance UID with different content: the first is kept"
        / "find out which copy is right and remove the other";
    "patient-id-missing": "no PatientID: the study is its own patient"
        / "set PatientID";
    "patient-id-placeholder": "a PatientID that stands for nobody (`0`, `ANONYMOUS`, `UNKNOWN`): the study is its own patient, so that nobody is merged with another person"
        / "set PatientID; if it is a person's after all, take it out of a copy of `patient-ids.toml` in `overrides.mappings`";
    "patient-differs": "one PatientID, and studies that contradict each other about name, birth date or sex: perhaps the history of two persons"
        / "look at the studies; where two sources use the same numbers, give each its issuer (`archive.identifiers.source_issuers`, or `issuer` of a table's mapping); otherwise correct the attribute in the archive";
    "birth-date-odd": "the patient was born behind the day of the study, or in the future"
        / "correct PatientBirthDate or StudyDate";
    "patient-id-odd": "a PatientID with a backslash, which separates values where one is allowed: the whole text identifies the patient"
        / "correct PatientID";
    "patient-issuers": "one patient identifier under two issuers"
        / "set `archive.identifiers.patient` so that each issuer has its system";
    "patient-changed": "instances of one study name different patients: the study keeps the patient of its first image series"
        / "correct PatientID in the archive";
    "study-dates": "series of one study give different StudyDates: the study keeps that of its first image series"
        / "none is needed for follow-up objects; otherwise correct StudyDate";
    "study-of-series-changed": "one SeriesInstanceUID in two studies: kept as two series"
        / "correct the archive";
    "not-human": "the subject is an animal or a phantom"
        / "none is needed; exclude it from a dataset by its selection";
    "transfer-syntaxes": "several transfer syntaxes in one series"
        / "none is needed";
    "count-only": "the source knows how many instances the series has, not which"
        / "ingest from files or DICOMweb to search by instance";
    "row-incomplete": "a row of a table leaves attributes empty that the mapping asks for"
        / "complete the table";
    "partial-study": "the source could not serve every instance of the study"
        / "see the run's report; ingest again when the source is mended";
}

#[cfg(test)]
mod tests {
    use super::FINDING_KINDS;

    #[test]
    fn codes_are_said_once() {
        let mut codes: Vec<_> = FINDING_KINDS.iter().map(|kind| kind.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), FINDING_KINDS.len());
    }
}
