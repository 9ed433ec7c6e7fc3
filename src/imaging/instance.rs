//! SOP instances, and how the instances of one series are packed into one value.

use super::Uid;

/// The side of the body (PS3.3 C.7.3.1: Laterality; C.8.3.1: ImageLaterality).
#[derive(
    Clone, Copy, Debug, serde::Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize,
)]
pub enum Laterality {
    /// `R`
    Right,
    /// `L`
    Left,
    /// `B`
    Both,
}

impl Laterality {
    /// The code of PS3.3: `R`, `L` or `B`; anything else (`U` too) is not known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "R" => Some(Self::Right),
            "L" => Some(Self::Left),
            "B" => Some(Self::Both),
            _ => None,
        }
    }

    /// The code of PS3.3.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Right => "R",
            Self::Left => "L",
            Self::Both => "B",
        }
    }
}

/// One SOP instance: what a reader of a study may ask of it.
#[derive(Clone, Debug, serde::Deserialize, Eq, Hash, PartialEq, serde::Serialize)]
pub struct Instance {
    /// SOPInstanceUID.
    pub uid: Uid,
    /// SOPClassUID.
    pub sop_class: Uid,
    /// InstanceNumber, when it is an integer that is not negative.
    pub number: Option<u32>,
    /// NumberOfFrames of a multi-frame instance.
    pub frames: Option<u32>,
    /// Rows.
    pub rows: Option<u32>,
    /// Columns.
    pub columns: Option<u32>,
    /// Size in the archive in bytes; 0 when not known.
    pub bytes: u64,
    /// ImageLaterality, or the laterality that all frames share.
    pub laterality: Option<Laterality>,
    /// TransferSyntaxUID, when the source knows it.
    pub transfer_syntax: Option<Uid>,
    /// What the instance is called: ImageType, ContentLabel, document title or concept name, by
    /// SOP class (dicom mapping of `ImagingStudy.series.instance.title`).
    pub title: Option<String>,
    /// What is said of the instance: ImageComments or ContentDescription, by SOP class.
    #[serde(default)]
    pub description: Option<String>,
    /// What a document of a coded concept is called (of a Key Object Selection the document
    /// title, CID 7010): designator, code and meaning.
    #[serde(default)]
    pub concept: Option<Box<Concept>>,
    /// A digest of the attributes before the pixel data and of the size, to notice that the
    /// same UID came with other content.
    pub digest: u64,
}

/// A code as the object gives it (PS3.3 section 8.8).
#[derive(Clone, Debug, serde::Deserialize, Eq, Hash, PartialEq, serde::Serialize)]
pub struct Concept {
    /// CodingSchemeDesignator.
    pub designator: String,
    /// CodeValue.
    pub code: String,
    /// CodeMeaning; may be empty.
    pub meaning: String,
}

/// The packed value is damaged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("packed instances are damaged")]
pub struct NotPacked;

/// Layout: version byte; the UID prefix that all instances share; a dictionary of texts (SOP
/// classes, transfer syntaxes, titles); then per instance a UID suffix, variable-length
/// integers and the digest. Integers are LEB128; an absent number is 0, a present one is
/// stored plus one. Version 2 gives each instance its description and concept too; it is written
/// only where an instance has one, and version 1 is read as it ever was.
const PLAIN: u8 = 1;
const DESCRIBED: u8 = 2;

impl Instance {
    /// Packs the instances of one series; they are sorted by number, then UID.
    #[must_use]
    pub fn pack(instances: &[Self]) -> Vec<u8> {
        let prefix = shared_prefix(instances);
        let mut words: Vec<&str> = instances
            .iter()
            .flat_map(|instance| {
                [
                    Some(instance.sop_class.as_str()),
                    instance.transfer_syntax.as_ref().map(Uid::as_str),
                    instance.title.as_deref(),
                    instance.description.as_deref(),
                ]
            })
            .flatten()
            .chain(instances.iter().flat_map(concept_words))
            .collect();
        words.sort_unstable();
        words.dedup();
        let word = |text: &str| words.binary_search(&text).map_or(0, |at| at as u64 + 1);

        let is_described = instances
            .iter()
            .any(|instance| instance.description.is_some() || instance.concept.is_some());
        let mut out = Vec::with_capacity(32 + instances.len() * 24);
        out.push(if is_described { DESCRIBED } else { PLAIN });
        put_text(&mut out, prefix);
        put(&mut out, words.len() as u64);
        for word in &words {
            put_text(&mut out, word);
        }
        put(&mut out, instances.len() as u64);
        for instance in instances {
            put_text(&mut out, &instance.uid.as_str()[prefix.len()..]);
            put(&mut out, word(instance.sop_class.as_str()));
            put(&mut out, instance.transfer_syntax.as_ref().map_or(0, |uid| word(uid.as_str())));
            put(&mut out, instance.title.as_deref().map_or(0, word));
            for number in [instance.number, instance.frames, instance.rows, instance.columns] {
                put(&mut out, number.map_or(0, |number| u64::from(number) + 1));
            }
            put(&mut out, instance.bytes);
            out.push(instance.laterality.map_or(0, |side| side.code().as_bytes()[0]));
            if is_described {
                put(&mut out, instance.description.as_deref().map_or(0, word));
                match &instance.concept {
                    None => put(&mut out, 0),
                    Some(_) => concept_words(instance).for_each(|text| put(&mut out, word(text))),
                }
            }
            out.extend_from_slice(&instance.digest.to_le_bytes());
        }
        out
    }

    /// Unpacks what [`Instance::pack`] packed.
    ///
    /// # Errors
    /// When the bytes are not such a value.
    pub fn unpack(bytes: &[u8]) -> Result<Vec<Self>, NotPacked> {
        let mut input = Input(bytes);
        let is_described = match input.byte()? {
            PLAIN => false,
            DESCRIBED => true,
            _ => return Err(NotPacked),
        };
        let prefix = input.text()?.to_owned();
        let words = (0..input.number()?).map(|_| input.text()).collect::<Result<Vec<_>, _>>()?;
        let word = |at: u64| {
            let at = usize::try_from(at).map_err(|_| NotPacked)?;
            match at.checked_sub(1) {
                None => Ok(None),
                Some(at) => words.get(at).copied().map(Some).ok_or(NotPacked),
            }
        };
        let uid = |text: &str| Uid::parse_lenient(text).map_err(|_| NotPacked);
        let count = usize::try_from(input.number()?).map_err(|_| NotPacked)?;
        let mut instances = Vec::with_capacity(count.min(bytes.len()));
        for _ in 0..count {
            let suffix = input.text()?;
            let mut instance = Self {
                uid: uid(&format!("{prefix}{suffix}"))?,
                sop_class: uid(word(input.number()?)?.ok_or(NotPacked)?)?,
                transfer_syntax: word(input.number()?)?.map(uid).transpose()?,
                title: word(input.number()?)?.map(str::to_owned),
                number: input.optional()?,
                frames: input.optional()?,
                rows: input.optional()?,
                columns: input.optional()?,
                bytes: input.number()?,
                laterality: match input.byte()? {
                    0 => None,
                    b'R' => Some(Laterality::Right),
                    b'L' => Some(Laterality::Left),
                    b'B' => Some(Laterality::Both),
                    _ => return Err(NotPacked),
                },
                description: None,
                concept: None,
                digest: 0,
            };
            if is_described {
                instance.description = word(input.number()?)?.map(str::to_owned);
                if let Some(designator) = word(input.number()?)? {
                    let mut part = || word(input.number()?)?.ok_or(NotPacked).map(str::to_owned);
                    let (code, meaning) = (part()?, part()?);
                    let designator = designator.to_owned();
                    instance.concept = Some(Box::new(Concept { designator, code, meaning }));
                }
            }
            instance.digest = input.digest()?;
            instances.push(instance);
        }
        if input.0.is_empty() { Ok(instances) } else { Err(NotPacked) }
    }
}

fn concept_words(instance: &Instance) -> impl Iterator<Item = &str> {
    let concept = instance.concept.as_deref();
    concept.into_iter().flat_map(|of| [of.designator.as_str(), &of.code, &of.meaning])
}

fn shared_prefix(instances: &[Instance]) -> &str {
    let Some((first, rest)) = instances.split_first() else { return "" };
    let first = first.uid.as_str();
    let shared = rest.iter().fold(first.len(), |shared, instance| {
        let same = first.bytes().zip(instance.uid.as_str().bytes()).take_while(|(a, b)| a == b);
        shared.min(same.count())
    });
    &first[..shared]
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], NotPacked> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(NotPacked)?;
        self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, NotPacked> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Result<u64, NotPacked> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(NotPacked)
    }

    fn optional(&mut self) -> Result<Option<u32>, NotPacked> {
        let number = self.number()?;
        number.checked_sub(1).map(u32::try_from).transpose().map_err(|_| NotPacked)
    }

    fn text(&mut self) -> Result<&'a str, NotPacked> {
        let length = usize::try_from(self.number()?).map_err(|_| NotPacked)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| NotPacked)
    }

    fn digest(&mut self) -> Result<u64, NotPacked> {
        let bytes = self.take(8)?.try_into().map_err(|_| NotPacked)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Concept, Instance, Laterality, NotPacked, PLAIN, Uid};
    use proptest::prelude::*;

    prop_compose! {
        fn instance()(
            uid in "1\\.2(\\.[1-9][0-9]{0,5}){1,6}",
            class in 1_u32..6,
            numbers in prop::array::uniform4(prop::option::of(any::<u32>())),
            bytes in any::<u64>(),
            side in 0_usize..4,
            syntax in prop::option::of(1_u32..4),
            title in prop::option::of("[A-Zé\\\\]{1,12}"),
            description in prop::option::of("[a-zé ]{1,20}"),
            concept in prop::option::of(("[A-Z]{0,4}", "[0-9]{1,6}", "[a-zé ]{0,9}")),
            digest in any::<u64>(),
        ) -> Instance {
            Instance {
                uid: Uid::parse(&uid).unwrap(),
                sop_class: Uid::parse(&format!("1.2.840.{class}")).unwrap(),
                number: numbers[0], frames: numbers[1], rows: numbers[2], columns: numbers[3],
                bytes,
                laterality: [None, Some(Laterality::Right), Some(Laterality::Left), Some(Laterality::Both)][side],
                transfer_syntax: syntax.map(|n| Uid::parse(&format!("1.2.{n}")).unwrap()),
                title, description, digest,
                concept: concept.map(|(designator, code, meaning)| {
                    Box::new(Concept { designator, code, meaning })
                }),
            }
        }
    }

    proptest! {
        #[test]
        fn instances_come_out_as_they_went_in(instances in prop::collection::vec(instance(), 0..20)) {
            prop_assert_eq!(Instance::unpack(&Instance::pack(&instances)), Ok(instances));
        }

        #[test]
        fn what_has_no_description_is_packed_as_it_ever_was(
            instances in prop::collection::vec(instance(), 1..4),
        ) {
            let plain: Vec<Instance> = instances
                .into_iter()
                .map(|instance| Instance { description: None, concept: None, ..instance })
                .collect();
            let packed = Instance::pack(&plain);
            prop_assert_eq!(packed.first(), Some(&PLAIN));
            prop_assert_eq!(Instance::unpack(&packed), Ok(plain));
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(
            instances in prop::collection::vec(instance(), 1..4), cut in any::<prop::sample::Index>(),
        ) {
            let packed = Instance::pack(&instances);
            let cut = cut.index(packed.len());
            prop_assert_eq!(Instance::unpack(&packed[..cut]), Err(NotPacked));
        }
    }
}
