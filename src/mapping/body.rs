//! Body parts and sides: Body Part Examined and Anatomic Region Sequence → SNOMED CT
//! (PS3.16 Annex L), laterality → SNOMED CT (CID 244).

use std::borrow::Cow;

use super::Context;
use super::codes::{Code, code_of};
use super::data::{Part, Region, fold_term};
use crate::imaging::{Attributes, Instance, Laterality};

/// Where in the body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BodySite<'a> {
    /// System and code; `None` for text that no table knows.
    pub(super) code: Option<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) display: Cow<'a, str>,
    /// The side that the text itself tells (`Left Breast`).
    pub(super) side: Option<Laterality>,
    part: Option<&'a str>,
}

impl BodySite<'_> {
    /// `system|code`, or `|text`.
    pub(super) fn term(&self) -> String {
        match &self.code {
            Some((system, code)) => format!("{system}|{code}"),
            None => format!("|{}", self.display),
        }
    }
}

/// The body site of a series: the coded region first, then the defined term, then the text.
pub(super) fn body_site<'a>(context: &'a Context, series: &'a Attributes) -> Option<BodySite<'a>> {
    let tables = &context.0.tables;
    if let Some(Code { system, code, display }) =
        series.items("AnatomicRegionSequence").iter().find_map(|item| code_of(context, item))
    {
        let known = (*system == *tables.body.system)
            .then(|| tables.part_of_code.get(&*code))
            .flatten()
            .and_then(|at| tables.body.part.get(*at));
        let display = match (display, known) {
            (Some(display), _) => display,
            (None, Some(part)) => Cow::Borrowed(part.display.as_str()),
            (None, None) => code.clone(),
        };
        let part = known.and_then(|part| part.region.as_deref());
        return Some(BodySite { code: Some((system, code)), display, side: None, part });
    }
    let text = series.first("BodyPartExamined")?;
    Some(match part_of(context, text) {
        Some((part, side)) => BodySite {
            code: part
                .code
                .as_deref()
                .map(|code| (Cow::Borrowed(tables.body.system.as_str()), Cow::Borrowed(code))),
            display: Cow::Borrowed(&part.display),
            side,
            part: part.region.as_deref(),
        },
        None => BodySite { code: None, display: Cow::Borrowed(text), side: None, part: None },
    })
}

/// The row of a text of Body Part Examined, and the side that the text tells.
pub(super) fn part_of<'a>(
    context: &'a Context,
    text: &str,
) -> Option<(&'a Part, Option<Laterality>)> {
    let tables = &context.0.tables;
    let (at, side) = match tables.part_of_text.get(text) {
        Some(found) => *found,
        None => *tables.part_of_text.get(fold_term(text).as_str())?,
    };
    tables.body.part.get(at).map(|part| (part, side))
}

/// The anatomical region that the body site lies in, if the tables know.
pub(super) fn region<'a>(context: &'a Context, site: &BodySite<'_>) -> Option<&'a Region> {
    let name = site.part?;
    context.0.tables.body.region.iter().find(|region| region.name == name)
}

/// The anatomical region that a term of the index lies in, as [`body_site_names`] spells terms.
#[must_use]
pub fn region_of_term<'a>(context: &'a Context, term: &str) -> Option<&'a Region> {
    let tables = &context.0.tables;
    let (system, code) = term.split_once('|')?;
    let part = if system.is_empty() {
        tables.body.part.iter().find(|part| part.code.is_none() && part.display == code)
    } else if system == tables.body.system {
        tables.part_of_code.get(code).and_then(|at| tables.body.part.get(*at))
    } else {
        None
    };
    let name = part?.region.as_deref()?;
    tables.body.region.iter().find(|region| region.name == name)
}

/// The side of a series: Laterality, ImageLaterality or FrameLaterality, else the side that the
/// text of the body part tells.
pub(super) fn side(series: &Attributes, site: Option<&BodySite<'_>>) -> Option<Laterality> {
    ["Laterality", "ImageLaterality", "FrameLaterality"]
        .into_iter()
        .find_map(|keyword| series.first(keyword).and_then(Laterality::parse))
        .or_else(|| site.and_then(|site| site.side))
}

/// SNOMED CT code and display of a side.
pub(super) fn side_code(context: &Context, side: Laterality) -> Option<(&str, &str)> {
    let rows = &context.0.tables.codes.laterality;
    rows.iter()
        .find(|row| row.dicom == side.code())
        .map(|row| (row.code.as_str(), row.display.as_str()))
}

/// Images of one series disagree about the side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mixed;

/// The side that every instance of a series has (mammography gives it per image): what ingest
/// sets as the series' `Laterality` when the series has none of its own.
///
/// # Errors
/// [`Mixed`] when instances disagree; a series with both sides has none.
pub fn common_side(instances: &[Instance]) -> Result<Option<Laterality>, Mixed> {
    let mut sides = instances.iter().map(|instance| instance.laterality);
    let Some(first) = sides.next() else { return Ok(None) };
    if sides.all(|side| side == first) { Ok(first) } else { Err(Mixed) }
}

/// Every body site that the tables can code, as a term of the index (`system|code`) with what it
/// is called; of several names for one code the first.
#[must_use]
pub fn body_site_names(context: &Context) -> Vec<(String, String)> {
    let table = &context.0.tables.body;
    let parts = table.part.iter().filter_map(|part| Some((part.code.as_ref()?, &part.display)));
    let regions = table.region.iter().map(|region| (&region.code, &region.display));
    let mut names: Vec<(String, String)> = Vec::new();
    for (code, display) in regions.chain(parts) {
        let term = format!("{}|{code}", table.system);
        if !names.iter().any(|(known, _)| *known == term) {
            names.push((term, display.clone()));
        }
    }
    names
}

/// Codes under which a search may name what the index holds under the terms returned: the code
/// itself, and for a code that PS3.16 has replaced (chest: 43799004) the one that is written.
#[must_use]
pub fn body_site_codes(context: &Context, code: &str) -> Vec<String> {
    let mut codes = vec![code.to_owned()];
    for part in &context.0.tables.body.part {
        if let Some(now) = &part.code
            && part.also.iter().any(|also| also == code)
            && !codes.contains(now)
        {
            codes.push(now.clone());
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::{body_site, body_site_codes, region, side};
    use crate::imaging::{Attributes, Keyword, Laterality};
    use crate::mapping::Context;

    fn with(pairs: &[(&str, &str)]) -> Attributes {
        let mut bag = Attributes::new();
        for (keyword, text) in pairs {
            bag.set(Keyword::parse(keyword).unwrap(), text);
        }
        bag
    }

    fn coded(code: &str, designator: &str, meaning: &str) -> Attributes {
        let mut bag = with(&[("BodyPartExamined", "CHEST")]);
        let item = with(&[
            ("CodeValue", code),
            ("CodingSchemeDesignator", designator),
            ("CodeMeaning", meaning),
        ]);
        bag.set_items(Keyword::parse("AnatomicRegionSequence").unwrap(), vec![item]);
        bag
    }

    #[test]
    fn the_coded_region_wins_and_old_codes_become_snomed_ct() {
        let context = Context::default();
        for (code, designator, term) in [
            ("76752008", "SCT", "http://snomed.info/sct|76752008"),
            ("T-04000", "SRT", "http://snomed.info/sct|76752008"),
            ("T-04000", "SNM3", "http://snomed.info/sct|76752008"),
            ("T-04000", "99SDM", "http://snomed.info/sct|76752008"),
            ("T-99999", "SRT", "http://snomed.info/srt|T-99999"),
            ("X1", "99ACME", "http://127.0.0.1:8080/id/coding-scheme/99ACME|X1"),
        ] {
            let bag = coded(code, designator, "Breast");
            assert_eq!(body_site(&context, &bag).unwrap().term(), term, "{code} {designator}");
        }
    }

    #[test]
    fn terms_are_coded_and_free_text_is_kept_as_text() {
        let context = Context::default();
        for (text, term) in [
            ("BREAST", "http://snomed.info/sct|76752008"),
            ("Breast ", "http://snomed.info/sct|76752008"),
            ("CHEST", "http://snomed.info/sct|816094009"),
            ("THORAX", "http://snomed.info/sct|816094009"),
            ("LOWER_LEG", "http://snomed.info/sct|30021000"),
            ("FETALARM", "|Fetal arm"),
            ("THORAX INJECTE", "|THORAX INJECTE"),
            ("TETE", "|TETE"),
        ] {
            let bag = with(&[("BodyPartExamined", text)]);
            assert_eq!(body_site(&context, &bag).unwrap().term(), term, "{text}");
        }
        let bag = with(&[("BodyPartExamined", "CHEST")]);
        let site = body_site(&context, &bag).unwrap();
        assert_eq!(region(&context, &site).unwrap().code, "67734004");
        assert_eq!(body_site_codes(&context, "43799004"), ["43799004", "816094009"]);
    }

    #[test]
    fn the_side_comes_from_the_series_or_the_text() {
        let context = Context::default();
        let bag = with(&[("BodyPartExamined", "Left Breast")]);
        let site = body_site(&context, &bag);
        assert_eq!(site.as_ref().unwrap().term(), "http://snomed.info/sct|76752008");
        assert_eq!(side(&bag, site.as_ref()), Some(Laterality::Left));
        for (keyword, text, expected) in [
            ("Laterality", "R", Some(Laterality::Right)),
            ("Laterality", "U", None),
            ("ImageLaterality", "B", Some(Laterality::Both)),
        ] {
            assert_eq!(side(&with(&[(keyword, text)]), None), expected, "{keyword} {text}");
        }
    }
}
