//! What the index counts and the store looks up.

use super::Context;
use super::agent::{Agent, Device, Institution};
use super::body::{body_site, side, side_code};
use super::codes::{code_of, gender, manufacturer, modality, species};
use super::moment::{Day, Moment};
use super::order::{orders, requested};
use super::person::persons;
use crate::imaging::{Attributes, Facet, SeriesFacts, StudyFacts, Uid};

/// The oldest person whose age is documented was 122.
const OLDEST: u16 = 120;

/// The facts of a study and its patient. [`Facet::Source`] and [`Facet::Collection`] are not
/// among them: the index knows them from the row.
#[must_use]
pub fn study_facts(context: &Context, patient: &Attributes, study: &Attributes) -> StudyFacts {
    let mut terms = Vec::with_capacity(5);
    let started =
        study_moment(context, study).and_then(|moment| moment.started(context.time_zone()));
    if let Some(started) = started {
        terms.push((Facet::Year, format!("{:04}", started.year)));
        if started.month > 0 {
            terms.push((Facet::Month, format!("{:04}-{:02}", started.year, started.month)));
        }
    }
    if let Some(gender) = gender(context, patient) {
        terms.push((Facet::Sex, gender.unwrap_or("unknown").to_owned()));
    }
    if let Some(species) = species(context, patient) {
        terms
            .push((Facet::Species, species.map_or_else(str::to_lowercase, |row| row.term.clone())));
    }
    let age = age_in_years(patient, study);
    if let Some(age) = age {
        terms.push((Facet::Age, age.to_string()));
    }
    terms.extend(reasons(context, study).into_iter().map(|term| (Facet::Reason, term)));
    for (facet, name, sequence) in [
        (Facet::Referrer, "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence"),
        (
            Facet::Interpreter,
            "NameOfPhysiciansReadingStudy",
            "PhysiciansReadingStudyIdentificationSequence",
        ),
    ] {
        if study.value(name).is_some() || study.value(sequence).is_some() {
            let persons = persons(context, study, name, sequence).into_iter();
            terms.extend(persons.map(|person| (facet, Agent::Person(person).term())));
        }
    }
    let procedures = study.items("ProcedureCodeSequence").iter();
    let procedures = procedures.filter_map(|item| code_of(context, item)).map(|code| code.term());
    terms.extend(procedures.map(|term| (Facet::Procedure, term)));
    let orders = orders(context, study);
    if !orders.is_empty() {
        terms.push((Facet::Orders, orders.len().to_string()));
        let requested = requested(context, &orders).into_iter();
        terms.extend(requested.map(|term| (Facet::Requested, term)));
    }
    StudyFacts { started, age, terms }
}

/// The facts of a series. Licence and source DOI are not among them: the index knows them from
/// the row.
#[must_use]
pub fn series_facts(context: &Context, series: &Attributes, sop_classes: &[Uid]) -> SeriesFacts {
    let mut terms = Vec::with_capacity(6 + sop_classes.len());
    if let Some(modality) = modality(series) {
        terms.push((Facet::Modality, modality.to_owned()));
    }
    let site = body_site(context, series);
    if let Some(site) = &site {
        terms.push((Facet::BodySite, site.term()));
    }
    if let Some((code, _)) = side(series, site.as_ref()).and_then(|side| side_code(context, side)) {
        terms.push((Facet::Laterality, code.to_owned()));
    }
    if let Some(text) = series.first("Manufacturer") {
        terms.push((Facet::Manufacturer, manufacturer(context, text).to_owned()));
    }
    if let Some(text) = series.first("ManufacturerModelName") {
        terms.push((Facet::Model, text.to_owned()));
    }
    for uid in sop_classes {
        terms.push((Facet::SopClass, uid.as_str().to_owned()));
    }
    for (name, sequence) in PERFORMERS {
        if series.value(name).is_some() || series.value(sequence).is_some() {
            let persons = persons(context, series, name, sequence).into_iter();
            terms.extend(persons.map(|of| (Facet::Performer, Agent::Person(of).term())));
        }
    }
    if let Some(device) = Device::of(series) {
        terms.push((Facet::Performer, Agent::Device(device).term()));
    }
    if let Some(institution) = Institution::of(context, series) {
        terms.push((Facet::Performer, Agent::Institution(institution).term()));
    }
    SeriesFacts { terms, spacing: spacing(series) }
}

/// The smaller spacing of rows and columns in micrometres, to two significant digits: finer
/// digits would only tell one machine from another. 0 where none is given or it is no number.
fn spacing(series: &Attributes) -> u32 {
    let micrometres = |text: &str| {
        let number: f64 = text.trim().parse().ok()?;
        let number = number * 1_000.0;
        // A pixel of a microscope is a tenth of a micrometre; none is wider than a metre.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
        (1.0..=1e6).contains(&number).then_some(number.round() as u32)
    };
    let smallest = ["PixelSpacing", "ImagerPixelSpacing"]
        .iter()
        .find_map(|keyword| series.texts(keyword).filter_map(micrometres).min());
    let Some(smallest) = smallest else { return 0 };
    let unit = 10_u32.pow(smallest.ilog10().saturating_sub(1));
    (smallest + unit / 2) / unit * unit
}

/// Name and identification sequence of those who performed a series.
pub(super) const PERFORMERS: [(&str, &str); 2] = [
    ("PerformingPhysicianName", "PerformingPhysicianIdentificationSequence"),
    ("OperatorsName", "OperatorIdentificationSequence"),
];

/// `system|code` of each coded reason, and `|text` of a reason in words.
fn reasons(context: &Context, study: &Attributes) -> Vec<String> {
    let mut terms: Vec<String> = study
        .items("ReasonForRequestedProcedureCodeSequence")
        .iter()
        .filter_map(|item| code_of(context, item))
        .map(|code| code.term())
        .collect();
    terms.extend(study.text("ReasonForTheRequestedProcedure").map(|text| format!("|{text}")));
    terms
}

pub(super) fn study_moment(context: &Context, study: &Attributes) -> Option<Moment> {
    moment(context, study, study, "StudyDate", "StudyTime")
}

/// The moment that two attributes of a study or series name. The zone is that of the instance
/// that described the series or the study.
pub(super) fn moment(
    context: &Context,
    study: &Attributes,
    bag: &Attributes,
    date: &'static str,
    time: &'static str,
) -> Option<Moment> {
    let day = Day::parse(bag.first(date)?)?;
    let own = bag.first("TimezoneOffsetFromUTC").or_else(|| study.first("TimezoneOffsetFromUTC"));
    Some(Moment::new(day, bag.first(time), own, context.time_zone()))
}

/// Completed years of age at the study: PatientAge (AS, PS3.5 section 6.2), else counted from
/// the birth date to the study date. `000Y` is what de-identification leaves behind, and nobody
/// is older than 120: both are dropped.
#[must_use]
pub fn age_in_years(patient: &Attributes, study: &Attributes) -> Option<u16> {
    let stated = study.first("PatientAge").or_else(|| patient.first("PatientAge"));
    if let Some(age) = stated.and_then(stated_age) {
        return Some(age);
    }
    let birth = Day::parse(patient.first("PatientBirthDate")?)?.date()?;
    let day = Day::parse(study.first("StudyDate")?)?.date()?;
    let before_birthday = (day.month(), day.day()) < (birth.month(), birth.day());
    let years = day.year() - birth.year() - i16::from(before_birthday);
    u16::try_from(years).ok().filter(|years| day >= birth && *years <= OLDEST)
}

/// `nnnD`, `nnnW`, `nnnM`, `nnnY` as completed years.
pub(super) fn stated_age(text: &str) -> Option<u16> {
    let (digits, unit) = text.split_at_checked(3)?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u16 = digits.parse().ok()?;
    let years = match unit {
        "Y" if number > 0 => number,
        "M" if number > 0 => number / 12,
        // 52 weeks are a day short of a year.
        "W" if number > 0 => u16::try_from(u32::from(number) * 7 * 100 / 36_525).ok()?,
        "D" => u16::try_from(u32::from(number) * 100 / 36_525).ok()?,
        _ => return None,
    };
    (years <= OLDEST).then_some(years)
}

#[cfg(test)]
mod tests {
    use super::{age_in_years, series_facts, study_facts};
    use crate::config::Config;
    use crate::imaging::{Facet, Uid};
    use crate::mapping::{Context, bag};

    #[test]
    fn an_age_is_stated_or_counted_or_not_known() {
        for (stated, birth, day, age) in [
            ("063Y", "", "", Some(63)),
            ("018M", "", "", Some(1)),
            ("006M", "", "", Some(0)),
            ("150M", "", "", Some(12)),
            ("060W", "", "", Some(1)),
            ("001D", "", "", Some(0)),
            ("400D", "", "", Some(1)),
            ("000Y", "", "", None),
            ("000M", "", "", None),
            ("155Y", "", "", None),
            ("90", "", "", None),
            ("063y", "", "", None),
            ("０６３Y", "", "", None),
            ("000Y", "19600615", "20240614", Some(63)),
            ("", "19600615", "20240615", Some(64)),
            ("", "20240616", "20240615", None),
            ("", "1960", "20240615", None),
        ] {
            let patient = bag(&[("PatientBirthDate", birth)]);
            let study = bag(&[("PatientAge", stated), ("StudyDate", day)]);
            assert_eq!(age_in_years(&patient, &study), age, "{stated} {birth} {day}");
        }
    }

    #[test]
    fn facts_are_the_terms_of_the_index() {
        let mut config = Config::default();
        config.archive.time_zone = "Europe/Prague".to_owned();
        let context = Context::new(&config, b"").unwrap();
        let facts = study_facts(
            &context,
            &bag(&[("PatientSex", "F"), ("PatientSpeciesDescription", "Mouse")]),
            &bag(&[
                ("StudyDate", "20240131"),
                ("StudyTime", "101112"),
                ("PatientAge", "063Y"),
                ("ReasonForTheRequestedProcedure", "screening"),
            ]),
        );
        assert_eq!(facts.age, Some(63));
        assert_eq!(facts.started.unwrap().from, 1_706_692_272_000_000);
        let terms: Vec<(Facet, &str)> = facts.terms.iter().map(|(f, t)| (*f, t.as_str())).collect();
        assert_eq!(
            terms,
            [
                (Facet::Year, "2024"),
                (Facet::Month, "2024-01"),
                (Facet::Sex, "female"),
                (Facet::Species, "mouse"),
                (Facet::Age, "63"),
                (Facet::Reason, "|screening"),
            ]
        );
        let facts = series_facts(
            &context,
            &bag(&[
                ("Modality", "MG"),
                ("BodyPartExamined", "BREAST"),
                ("Laterality", "R"),
                ("Manufacturer", "LORAD"),
                ("ManufacturerModelName", "Selenia"),
            ]),
            &[Uid::parse("1.2.840.10008.5.1.4.1.1.1.2").unwrap()],
        );
        let terms: Vec<(Facet, &str)> = facts.terms.iter().map(|(f, t)| (*f, t.as_str())).collect();
        assert_eq!(
            terms,
            [
                (Facet::Modality, "MG"),
                (Facet::BodySite, "http://snomed.info/sct|76752008"),
                (Facet::Laterality, "24028007"),
                (Facet::Manufacturer, "Hologic"),
                (Facet::Model, "Selenia"),
                (Facet::SopClass, "1.2.840.10008.5.1.4.1.1.1.2"),
                (Facet::Performer, r#"{"device":{"maker":"LORAD","model":"Selenia"}}"#,),
            ]
        );
    }
}
