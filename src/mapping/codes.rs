//! Coded values: coding scheme designators → systems, sex, species, modality, manufacturer.

use std::borrow::Cow;

use super::Context;
use super::data::{Species, fold_maker};
use crate::imaging::{Attributes, Facet};

/// URI of DICOM's own code system.
pub const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";

/// A code of a Code Sequence Macro (PS3.3 Table 8.8-1).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Code<'a> {
    pub(super) system: Cow<'a, str>,
    pub(super) code: Cow<'a, str>,
    pub(super) display: Option<Cow<'a, str>>,
}

impl Code<'_> {
    /// `system|code`.
    pub(super) fn term(&self) -> String {
        format!("{}|{}", self.system, self.code)
    }
}

/// What a FHIR `code` cannot hold: white space, controls, and the byte order mark, which some
/// readers take for white space.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || letter == '\u{feff}'
}

/// Reads one item; `None` without a code value. SNOMED-RT style codes that the table of body
/// parts knows become SNOMED CT.
pub(super) fn code_of<'a>(context: &'a Context, item: &'a Attributes) -> Option<Code<'a>> {
    let display = item.first("CodeMeaning");
    if let Some(urn) = item.first("URNCodeValue") {
        return resolve(context, urn, None, display);
    }
    let value = item.first("CodeValue").or_else(|| item.first("LongCodeValue"))?;
    let designator = item.first("CodingSchemeDesignator").unwrap_or("");
    resolve(context, value, Some(designator), display)
}

/// The same of a code of a report.
pub(super) fn code_in<'a>(
    context: &'a Context,
    code: &'a crate::imaging::Code,
) -> Option<Code<'a>> {
    let display = Some(code.meaning.as_str()).filter(|text| !text.is_empty());
    resolve(context, &code.value, code.scheme.as_deref(), display)
}

fn resolve<'a>(
    context: &'a Context,
    value: &'a str,
    designator: Option<&str>,
    display: Option<&'a str>,
) -> Option<Code<'a>> {
    let display = display.map(Cow::Borrowed);
    // FHIR `code`: no white space but single spaces inside.
    let is_plain = !value.split(' ').any(str::is_empty)
        && !value.contains(|letter| letter != ' ' && is_blank(letter));
    let value: Cow<'a, str> = if is_plain {
        value.into()
    } else {
        let words: Vec<&str> = value.split(is_blank).filter(|word| !word.is_empty()).collect();
        words.join(" ").into()
    };
    if value.is_empty() {
        return None;
    }
    let Some(designator) = designator else {
        return Some(Code { system: "urn:ietf:rfc:3986".into(), code: value, display });
    };
    let tables = &context.0.tables;
    match tables.schemes.get(designator) {
        Some(scheme) if scheme.is_srt => {
            let part = tables.part_of_srt.get(&*value).and_then(|at| tables.body.part.get(*at));
            match part.and_then(|part| part.code.as_deref()) {
                Some(code) => Some(Code {
                    system: tables.body.system.as_str().into(),
                    code: code.into(),
                    display,
                }),
                None => Some(Code { system: scheme.system.as_str().into(), code: value, display }),
            }
        }
        Some(scheme) => Some(Code { system: scheme.system.as_str().into(), code: value, display }),
        None => Some(Code {
            system: context.local_system("coding-scheme", designator).into(),
            code: value,
            display,
        }),
    }
}

/// Administrative gender; `None` when PatientSex is absent, `Err` when no row knows it.
pub(super) fn gender<'a>(
    context: &'a Context,
    patient: &Attributes,
) -> Option<Result<&'a str, ()>> {
    Some(context.0.tables.gender(patient.first("PatientSex")?).ok_or(()))
}

/// The species of a subject that is no human, or its text when no row knows it.
pub(super) fn species<'a>(
    context: &'a Context,
    patient: &'a Attributes,
) -> Option<Result<&'a Species, &'a str>> {
    let codes = patient.items("PatientSpeciesCodeSequence").iter();
    let texts = codes
        .flat_map(|item| [item.first("CodeValue"), item.first("CodeMeaning")])
        .flatten()
        .chain(patient.text("PatientSpeciesDescription"));
    let tables = &context.0.tables;
    let mut unknown = None;
    for text in texts {
        if let Some(row) = tables
            .species
            .get(text.trim().to_lowercase().as_str())
            .and_then(|at| tables.codes.species.get(*at))
        {
            return (row.term != "human").then_some(Ok(row));
        }
        unknown = Some(text);
    }
    unknown.map(Err)
}

/// Modality as the data give it, if it is one word. Whether DICOM lists it: [`is_listed`].
pub(super) fn modality(series: &Attributes) -> Option<&str> {
    // CS is upper case; a code with white space inside cannot be a FHIR `code`.
    series.first("Modality").filter(|code| !code.contains(is_blank))
}

/// Whether DICOM has the modality as a code: only then it is one of [`DCM`].
pub(super) fn is_listed(context: &Context, modality: &str) -> bool {
    context.0.tables.modality.contains_key(modality)
}

/// The maker that a spelling of Manufacturer stands for; the text itself if no row knows it.
pub(super) fn manufacturer<'a>(context: &'a Context, text: &'a str) -> &'a str {
    context.0.tables.maker.get(fold_maker(text).as_str()).map_or(text, |name| name)
}

/// The text that a resource shows beside a term of the index, where the tables know it: what a
/// search with `:text` compares.
#[must_use]
pub fn display_of<'a>(context: &'a Context, facet: Facet, term: &'a str) -> Option<&'a str> {
    let tables = &context.0.tables;
    match facet {
        // A text of the archive's own is shown as it is.
        Facet::Modality => Some(tables.modality.get(term).map_or(term, |text| &**text)),
        _ => match term.split_once('|')? {
            ("", text) => Some(text),
            (system, code) if *system == *tables.body.system => {
                let part = tables.part_of_code.get(code).and_then(|at| tables.body.part.get(*at));
                part.map(|part| part.display.as_str())
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{manufacturer, species};
    use crate::imaging::{Attributes, Keyword};
    use crate::mapping::Context;

    #[test]
    fn spellings_of_a_maker_are_one_maker() {
        let context = Context::default();
        for text in ["SIEMENS", "Siemens Healthineers", "Siemens HealthCare GmbH"] {
            assert_eq!(manufacturer(&context, text), "Siemens Healthineers");
        }
        assert_eq!(manufacturer(&context, "\"GE Healthcare\""), "GE HealthCare");
        assert_eq!(manufacturer(&context, "QIICR"), "QIICR");
    }

    #[test]
    fn humans_have_no_species() {
        let context = Context::default();
        for (text, expected) in [
            ("Human", None),
            ("Mouse", Some("mouse")),
            ("CANINE", Some("dog")),
            ("newt", Some("newt")),
        ] {
            let mut bag = Attributes::new();
            bag.set(Keyword::parse("PatientSpeciesDescription").unwrap(), text);
            let found = species(&context, &bag).map(|found| match found {
                Ok(row) => row.term.as_str(),
                Err(text) => text,
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
