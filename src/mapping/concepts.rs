//! The tables of `mappings/` as concept maps and code systems: the same rows that render
//! resources, so that a translation and a rendered code cannot disagree.

use std::borrow::Cow;

use super::Context;

const SCT: &str = "http://snomed.info/sct";
const SRT: &str = "http://snomed.info/srt";
const GENDER: &str = "http://hl7.org/fhir/administrative-gender";

/// How a target relates to its source: a code of the R4 value set concept-map-equivalence, read
/// from the source (the target is `wider`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "the names are those of the value set")]
pub enum Equivalence {
    Equal,
    Equivalent,
    Wider,
    Subsumes,
    Narrower,
    Specializes,
    Inexact,
    RelatedTo,
    Disjoint,
    Unmatched,
}

impl Equivalence {
    /// Each of them.
    const ALL: [Self; 10] = [
        Self::Equal,
        Self::Equivalent,
        Self::Wider,
        Self::Subsumes,
        Self::Narrower,
        Self::Specializes,
        Self::Inexact,
        Self::RelatedTo,
        Self::Disjoint,
        Self::Unmatched,
    ];

    /// Reads a code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.code() == code)
    }

    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Equivalent => "equivalent",
            Self::Wider => "wider",
            Self::Subsumes => "subsumes",
            Self::Narrower => "narrower",
            Self::Specializes => "specializes",
            Self::Inexact => "inexact",
            Self::RelatedTo => "relatedto",
            Self::Disjoint => "disjoint",
            Self::Unmatched => "unmatched",
        }
    }

    /// The same, read from the target.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Wider => Self::Narrower,
            Self::Narrower => Self::Wider,
            Self::Subsumes => Self::Specializes,
            Self::Specializes => Self::Subsumes,
            same @ (Self::Equal
            | Self::Equivalent
            | Self::Inexact
            | Self::RelatedTo
            | Self::Disjoint
            | Self::Unmatched) => same,
        }
    }
}

/// A code and what it means.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Concept {
    /// The code.
    pub code: String,
    /// Its meaning.
    pub display: String,
}

impl Concept {
    fn new(code: &str, display: &str) -> Self {
        Self { code: code.to_owned(), display: display.to_owned() }
    }
}

/// A row of a map; no target: there is none (`unmatched`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// What is translated.
    pub source: Concept,
    /// To what, and how that relates.
    pub target: Option<(Concept, Equivalence)>,
}

/// A map from one code system to another.
#[derive(Clone, Debug)]
pub struct ConceptMap {
    /// The logical id.
    pub id: Cow<'static, str>,
    /// The canonical URL.
    pub url: String,
    /// What it is called.
    pub title: Cow<'static, str>,
    /// What it encodes: the clause.
    pub description: Cow<'static, str>,
    /// URI of the code system that is translated.
    pub source: String,
    /// URI of the code system that it is translated to.
    pub target: String,
    /// The rows, those of one source together.
    pub rows: Vec<Row>,
}

/// A code system of which some codes are known.
#[derive(Clone, Debug)]
pub struct CodeSystem {
    /// The logical id, if it is defined here: DICOM's coded strings have no URI of their own.
    pub id: Option<&'static str>,
    /// The URI.
    pub url: String,
    /// What it is called.
    pub title: Cow<'static, str>,
    /// Its version, where it is one of ours.
    pub version: Option<String>,
    /// The codes, each once.
    pub concepts: Vec<Concept>,
}

/// The URI of a code system that is defined here.
fn local(context: &Context, id: &str) -> String {
    format!("{}/fhir/CodeSystem/{id}", context.base())
}

/// Every map.
#[must_use]
pub fn concept_maps(context: &Context) -> Vec<ConceptMap> {
    let tables = context.tables();
    let parts = &tables.body.part;
    let to = |code: &str, display: &str, how| Some((Concept::new(code, display), how));
    let matched = |source: Concept, target: Option<(Concept, Equivalence)>| Row { source, target };
    let terms = parts
        .iter()
        .map(|part| {
            let code = part.code.as_deref();
            matched(
                Concept::new(&part.term, &part.display),
                code.and_then(|code| to(code, &part.display, Equivalence::Equivalent)),
            )
        })
        .collect();
    let mut former: Vec<Row> = parts
        .iter()
        .flat_map(|part| part.srt.iter().map(move |srt| (part, srt)))
        .filter_map(|(part, srt)| {
            let target = to(part.code.as_deref()?, &part.display, Equivalence::Equivalent);
            Some(matched(Concept::new(srt, &part.display), target))
        })
        .collect();
    let mut regions: Vec<Row> = parts
        .iter()
        .filter_map(|part| {
            let region =
                tables.body.region.iter().find(|row| Some(&row.name) == part.region.as_ref())?;
            let code = part.code.as_deref()?;
            let how =
                if code == region.code { Equivalence::Equivalent } else { Equivalence::Wider };
            Some(matched(Concept::new(code, &part.display), to(&region.code, &region.display, how)))
        })
        .collect();
    for rows in [&mut former, &mut regions] {
        rows.sort_by(|one, other| one.source.cmp(&other.source));
        // Several terms may mean the same code.
        rows.dedup_by(|one, other| {
            one.source.code == other.source.code && one.target == other.target
        });
    }
    let sides = tables
        .codes
        .laterality
        .iter()
        .map(|side| {
            matched(
                Concept::new(&side.dicom, &side.display),
                to(&side.code, &side.display, Equivalence::Equivalent),
            )
        })
        .chain([matched(Concept::new("U", "Unpaired"), None)])
        .collect();
    let sexes = tables
        .codes
        .sex
        .iter()
        .map(|sex| {
            let display = capitalised(&sex.fhir);
            matched(
                Concept::new(&sex.dicom, &display),
                to(&sex.fhir, &display, Equivalence::Equivalent),
            )
        })
        .collect();
    let species = tables
        .codes
        .species
        .iter()
        .map(|row| {
            let target = row.code.as_deref().and_then(|code| {
                to(code, row.display.as_deref().unwrap_or(code), Equivalence::Equivalent)
            });
            matched(Concept::new(&row.term, &capitalised(&row.term)), target)
        })
        .collect();
    let mut schemes: Vec<Row> = tables
        .schemes
        .values()
        .map(|scheme| {
            matched(
                Concept::new(&scheme.designator, &scheme.designator),
                to(&scheme.system, &scheme.system, Equivalence::Equivalent),
            )
        })
        .collect();
    schemes.sort_by(|one, other| one.source.cmp(&other.source));
    let of = |id: &str| format!("{}/fhir/ConceptMap/{id}", context.base());
    vec![
        ConceptMap {
            id: "body-part-examined-to-snomed-ct".into(),
            url: of("body-part-examined-to-snomed-ct"),
            title: "Body Part Examined to SNOMED CT".into(),
            description: "DICOM PS3.16 Annex L, Table L-1.".into(),
            source: local(context, "body-part-examined"),
            target: SCT.to_owned(),
            rows: terms,
        },
        ConceptMap {
            id: "snomed-rt-to-snomed-ct".into(),
            url: of("snomed-rt-to-snomed-ct"),
            title: "SNOMED-RT style codes of body parts to SNOMED CT".into(),
            description:
                "DICOM PS3.16 Annex L and Annex O: codes of older objects (SRT, SNM3, 99SDM)."
                    .into(),
            source: SRT.to_owned(),
            target: SCT.to_owned(),
            rows: former,
        },
        ConceptMap {
            id: "body-part-to-region".into(),
            url: of("body-part-to-region"),
            title: "Body parts to anatomical regions".into(),
            description: "The anatomical regions that HL7 Europe Imaging and IHE MADO share."
                .into(),
            source: SCT.to_owned(),
            target: SCT.to_owned(),
            rows: regions,
        },
        ConceptMap {
            id: "laterality-to-snomed-ct".into(),
            url: of("laterality-to-snomed-ct"),
            title: "Laterality to SNOMED CT".into(),
            description: "DICOM PS3.3 C.7.3.1 and PS3.16 CID 244.".into(),
            source: local(context, "laterality"),
            target: SCT.to_owned(),
            rows: sides,
        },
        ConceptMap {
            id: "patient-sex-to-administrative-gender".into(),
            url: of("patient-sex-to-administrative-gender"),
            title: "Patient's Sex to administrative gender".into(),
            description: "DICOM PS3.3 C.7.1.1 and the FHIR R4 value set administrative-gender."
                .into(),
            source: local(context, "patient-sex"),
            target: GENDER.to_owned(),
            rows: sexes,
        },
        ConceptMap {
            id: "species-to-snomed-ct".into(),
            url: of("species-to-snomed-ct"),
            title: "Patient's species to SNOMED CT".into(),
            description: "DICOM PS3.16 CID 7454.".into(),
            source: local(context, "species"),
            target: SCT.to_owned(),
            rows: species,
        },
        ConceptMap {
            id: "coding-scheme-designator-to-uri".into(),
            url: of("coding-scheme-designator-to-uri"),
            title: "Coding scheme designators to URIs".into(),
            description: "DICOM PS3.16 chapter 8, Table 8-1, and the HL7 terminology registry."
                .into(),
            source: local(context, "coding-scheme-designator"),
            target: "urn:ietf:rfc:3986".to_owned(),
            rows: schemes,
        },
    ]
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Every code system of which codes are known, from the maps and the meanings of modalities.
#[must_use]
pub fn code_systems(context: &Context, maps: &[ConceptMap]) -> Vec<CodeSystem> {
    let known: &[(Option<&'static str>, String, &'static str)] = &[
        (Some("body-part-examined"), local(context, "body-part-examined"), "Body Part Examined"),
        (Some("laterality"), local(context, "laterality"), "Laterality"),
        (Some("patient-sex"), local(context, "patient-sex"), "Patient's Sex"),
        (Some("species"), local(context, "species"), "Species"),
        (
            Some("coding-scheme-designator"),
            local(context, "coding-scheme-designator"),
            "Coding scheme designators",
        ),
        (None, SCT.to_owned(), "SNOMED CT"),
        (None, SRT.to_owned(), "SNOMED-RT style codes of DICOM"),
        (None, GENDER.to_owned(), "AdministrativeGender"),
        (None, super::DCM.to_owned(), "DICOM Controlled Terminology Definitions"),
    ];
    let tables = context.tables();
    known
        .iter()
        .map(|(id, url, title)| {
            let mut concepts: Vec<Concept> = Vec::new();
            for map in maps {
                if map.source == *url {
                    concepts.extend(map.rows.iter().map(|row| row.source.clone()));
                }
                if map.target == *url {
                    let targets = map.rows.iter().filter_map(|row| row.target.as_ref());
                    concepts.extend(targets.map(|(target, _)| target.clone()));
                }
            }
            if url == super::DCM {
                let modalities = tables.codes.modality.iter();
                concepts.extend(modalities.map(|row| Concept::new(&row.code, &row.display)));
            }
            concepts.sort();
            concepts.dedup_by(|one, other| one.code == other.code);
            CodeSystem {
                id: *id,
                url: url.clone(),
                title: (*title).into(),
                version: id.map(|_| env!("CARGO_PKG_VERSION").to_owned()),
                concepts,
            }
        })
        .collect()
}
