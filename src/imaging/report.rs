//! Reports: structured reports with their content tree, key object selections, encapsulated
//! documents (PS3.3 A.35 and A.45).

use std::io::Read as _;

use serde::{Deserialize, Serialize};

use super::{NotPacked, Uid};

/// A coded entry (PS3.3 section 8.8).
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Code {
    /// CodeValue, LongCodeValue, or the URN of URNCodeValue.
    #[serde(rename = "v")]
    pub value: String,
    /// CodingSchemeDesignator; `None` for a URN, which needs none.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// CodeMeaning; may be empty.
    #[serde(rename = "m", default, skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

impl Code {
    /// Whether it is that code of that scheme.
    #[must_use]
    pub fn is(&self, scheme: &str, value: &str) -> bool {
        self.value == value && self.scheme.as_deref() == Some(scheme)
    }
}

/// An instance that a report refers to (PS3.3 section 10.8 and C.18.4).
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ImageReference {
    /// ReferencedSOPClassUID.
    #[serde(rename = "c")]
    pub class: Uid,
    /// ReferencedSOPInstanceUID.
    #[serde(rename = "i")]
    pub instance: Uid,
    /// ReferencedFrameNumber; none means all frames.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<u32>,
    /// ReferencedSegmentNumber.
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<u32>,
}

/// What a content item says (PS3.3 C.17.3.2.1, C.18).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "t")]
pub enum Content {
    /// `CONTAINER`: what it contains says it.
    #[serde(rename = "container")]
    Container {
        /// TemplateIdentifier, when the mapping resource is DICOM's own (`DCMR`).
        #[serde(rename = "tid", default, skip_serializing_if = "Option::is_none")]
        template: Option<String>,
    },
    /// `TEXT`
    #[serde(rename = "text")]
    Text {
        /// TextValue.
        #[serde(rename = "x")]
        text: String,
    },
    /// `CODE`
    #[serde(rename = "code")]
    Coded {
        /// ConceptCodeSequence.
        #[serde(rename = "k")]
        code: Code,
    },
    /// `NUM`
    #[serde(rename = "num")]
    Number {
        /// NumericValue as it is written, or FloatingPointValue; `None` where the number could
        /// not be given.
        #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
        number: Option<String>,
        /// MeasurementUnitsCodeSequence.
        #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
        unit: Option<Code>,
        /// NumericValueQualifierCodeSequence: why there is no number.
        #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
        qualifier: Option<Code>,
    },
    /// `UIDREF`
    #[serde(rename = "uid")]
    Uid {
        /// UID.
        #[serde(rename = "i")]
        uid: Uid,
    },
    /// `PNAME`
    #[serde(rename = "person")]
    Person {
        /// PersonName.
        #[serde(rename = "x")]
        name: String,
    },
    /// `DATE`, `TIME` or `DATETIME`
    #[serde(rename = "moment")]
    Moment {
        /// DA, when the item has one.
        #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
        date: Option<String>,
        /// TM, when the item has one.
        #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
        time: Option<String>,
    },
    /// `IMAGE`, `COMPOSITE` or `WAVEFORM`
    #[serde(rename = "object")]
    Object {
        /// ReferencedSOPSequence.
        #[serde(rename = "o")]
        reference: ImageReference,
    },
    /// `SCOORD` or `SCOORD3D`
    #[serde(rename = "region")]
    Region {
        /// GraphicType.
        #[serde(rename = "g")]
        graphic: String,
        /// GraphicData: pairs, or triples within a frame of reference. Cut where it is long.
        #[serde(rename = "p")]
        points: Vec<f64>,
        /// ReferencedFrameOfReferenceUID of `SCOORD3D`.
        #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
        frame_of_reference: Option<Uid>,
    },
    /// `TCOORD`
    #[serde(rename = "times")]
    Times {
        /// TemporalRangeType.
        #[serde(rename = "g")]
        range: String,
        /// Sample positions, offsets in seconds, or moments: whichever the item has, as written.
        #[serde(rename = "p")]
        places: Vec<String>,
    },
    /// ReferencedContentItemIdentifier instead of content: the place of another item, counted
    /// from 1 at each level. Never followed while reading: references may form circles.
    #[serde(rename = "see")]
    ByReference {
        /// The place.
        #[serde(rename = "at")]
        place: Vec<u32>,
    },
    /// A value type that PS3.3 does not have, or one without its value.
    #[serde(rename = "none")]
    Nothing,
}

/// A content item with what stands below it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Item {
    /// RelationshipType to the item above; empty at the root.
    #[serde(rename = "r", default, skip_serializing_if = "String::is_empty")]
    pub relationship: String,
    /// ConceptNameCodeSequence: what the value is of.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub concept: Option<Code>,
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
    /// ObservationDateTime (DT).
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// ObservationUID.
    #[serde(rename = "ou", default, skip_serializing_if = "Option::is_none")]
    pub observation: Option<Uid>,
    /// ContentSequence.
    #[serde(rename = "b", default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
}

/// Somebody who verified or wrote a report (PS3.3 C.17.2).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Observer {
    /// VerifyingObserverName, or PersonName of an author.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// VerifyingObserverIdentificationCodeSequence, PersonIdentificationCodeSequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// VerifyingOrganization, InstitutionName.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub organisation: String,
    /// VerificationDateTime (DT).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// An instance with where it belongs (PS3.3 section 10.3).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Evidence {
    /// StudyInstanceUID.
    pub study: Uid,
    /// SeriesInstanceUID.
    pub series: Uid,
    /// The instance.
    pub reference: ImageReference,
}

/// A document inside a DICOM object (PS3.3 C.24.2). Its bytes stay in the file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Document {
    /// DocumentTitle; may be empty.
    pub title: String,
    /// MIMETypeOfEncapsulatedDocument.
    pub mime: String,
    /// Its bytes; 0 when the source does not tell.
    pub size: u64,
    /// Where they begin in the file; `None` when they are not there as they are (a deflated data
    /// set), or the source is no file.
    pub offset: Option<u64>,
    /// HL7InstanceIdentifier of a CDA: root, or root and extension with `^` between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hl7: Option<String>,
}

/// A report as its file has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// SOPInstanceUID.
    pub uid: Uid,
    /// SOPClassUID.
    pub sop_class: Uid,
    /// The title of a structured report: the concept name of its root.
    pub title: Option<Code>,
    /// The template that the root follows (`1500`), of DICOM's mapping resource.
    pub template: Option<String>,
    /// CompletionFlag.
    pub completion: Option<String>,
    /// VerificationFlag.
    pub verification: Option<String>,
    /// PreliminaryFlag.
    pub preliminary: Option<String>,
    /// ContentDate, else InstanceCreationDate (DA), and the time that belongs to it (TM).
    pub date: Option<String>,
    /// The time that belongs to the date.
    pub time: Option<String>,
    /// TimezoneOffsetFromUTC.
    pub zone: Option<String>,
    /// VerifyingObserverSequence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verifiers: Vec<Observer>,
    /// Persons of AuthorObserverSequence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<Observer>,
    /// PredecessorDocumentsSequence: the reports that this one replaces or adds to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<Evidence>,
    /// CurrentRequestedProcedureEvidenceSequence and PertinentOtherEvidenceSequence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Studies of ReferencedRequestSequence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub studies: Vec<Uid>,
    /// Accession numbers of ReferencedRequestSequence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accessions: Vec<String>,
    /// The encapsulated document, if that is what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// The items of the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    /// Whether the content was left out because it is damaged or larger than is read.
    #[serde(default)]
    pub is_left_out: bool,
}

/// A report as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReport {
    /// The store's number.
    pub number: i64,
    /// The number of its study.
    pub study: i64,
    /// The number of its series.
    pub series: i64,
    /// Its logical id in the space that was asked for.
    pub public_id: String,
    /// Its version, which counts only changes of its own; its study has another.
    pub version: i32,
    /// When it last changed, in microseconds since 1970-01-01T00:00:00Z.
    pub updated: i64,
    /// What it says.
    pub report: Report,
}

/// Layout: a version byte, then JSON, deflated.
const VERSION: u8 = 1;
/// What a packed report may unpack to: the reader's budget with room for JSON's own signs.
const UNPACKED: u64 = 48 << 20;

impl Report {
    /// A report that says nothing yet.
    #[must_use]
    pub const fn new(uid: Uid, sop_class: Uid) -> Self {
        Self {
            uid,
            sop_class,
            title: None,
            template: None,
            completion: None,
            verification: None,
            preliminary: None,
            date: None,
            time: None,
            zone: None,
            verifiers: Vec::new(),
            authors: Vec::new(),
            predecessors: Vec::new(),
            evidence: Vec::new(),
            studies: Vec::new(),
            accessions: Vec::new(),
            document: None,
            items: Vec::new(),
            is_left_out: false,
        }
    }

    /// Packs it for the store.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut out = vec![VERSION];
        let mut encoder = flate2::read::ZlibEncoder::new(&*json, flate2::Compression::fast());
        // Reading from memory into memory cannot fail.
        let _ = encoder.read_to_end(&mut out);
        out
    }

    /// Unpacks what [`Report::pack`] packed.
    ///
    /// # Errors
    /// When the bytes are not such a value.
    pub fn unpack(bytes: &[u8]) -> Result<Self, NotPacked> {
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(NotPacked) };
        let mut json = Vec::new();
        flate2::read::ZlibDecoder::new(rest)
            .take(UNPACKED)
            .read_to_end(&mut json)
            .map_err(|_| NotPacked)?;
        serde_json::from_slice(&json).map_err(|_| NotPacked)
    }

    /// The item at a place, counted from 1 at each level, the root being `[1]` (PS3.3 C.17.3.2.5).
    #[must_use]
    pub fn item_at(&self, place: &[u32]) -> Option<&Item> {
        let (1, rest) = (*place.first()?, place.get(1..)?) else { return None };
        let mut items = &self.items;
        let mut found = None;
        for step in rest {
            let at = usize::try_from(*step).ok()?.checked_sub(1)?;
            let item = items.get(at)?;
            items = &item.items;
            found = Some(item);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Content, Item, NotPacked, Report, Uid};

    fn item(content: Content) -> Item {
        let concept = Some(Code {
            value: "121071".to_owned(),
            scheme: Some("DCM".to_owned()),
            meaning: "Finding".to_owned(),
        });
        let relationship = "CONTAINS".to_owned();
        Item { relationship, concept, content, observed: None, observation: None, items: vec![] }
    }

    fn report(items: Vec<Item>) -> Report {
        let class = Uid::parse("1.2.840.10008.5.1.4.1.1.88.11").unwrap();
        Report { items, ..Report::new(Uid::parse("2.25.1").unwrap(), class) }
    }

    #[test]
    fn a_report_comes_out_as_it_went_in_also_a_deep_one() {
        let mut deep = item(Content::Text { text: "Δ".to_owned() });
        for _ in 0..40 {
            let mut outer = item(Content::Container { template: Some("1500".to_owned()) });
            outer.items.push(deep);
            deep = outer;
        }
        let whole = report(vec![item(Content::Nothing), deep]);
        let packed = whole.pack();
        assert_eq!(Report::unpack(&packed), Ok(whole.clone()));
        assert_eq!(Report::unpack(&packed[..packed.len() / 2]), Err(NotPacked));
        assert_eq!(Report::unpack(b""), Err(NotPacked));
        let second = whole.item_at(&[1, 2, 1]).unwrap();
        assert_eq!(second.content, Content::Container { template: Some("1500".to_owned()) });
        for nowhere in [&[][..], &[1], &[2, 1], &[1, 0], &[1, 3], &[1, 1, 1]] {
            assert_eq!(whole.item_at(nowhere), None, "{nowhere:?}");
        }
    }
}
