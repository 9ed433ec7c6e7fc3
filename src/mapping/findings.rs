//! What is missing or odd in a series and its study, and what the rules did about it.

use super::Context;
use super::body::{body_site, part_of};
use super::codes::{gender, modality, species};
use super::facts::stated_age;
use super::moment::{Day, offset, time_of_day};
use super::person;
use crate::imaging::{Attributes, Finding, Laterality};

/// The findings of a series with its study and patient; ingest stores each once per study with
/// a count. Values that identify a person are left empty.
#[must_use]
pub fn findings(
    context: &Context,
    patient: &Attributes,
    study: &Attributes,
    series: &Attributes,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |code, attribute, value: &str| found.push(Finding::new(code, attribute, value));

    for (bag, date) in [(study, "StudyDate"), (series, "SeriesDate"), (patient, "PatientBirthDate")]
    {
        if let Some(text) = bag.first(date)
            && !Day::parse(text).is_some_and(|day| day.is_standard)
        {
            // A birth date names a person.
            say("date-odd", date, if date == "PatientBirthDate" { "" } else { text });
        }
    }
    for (bag, date, time) in
        [(study, "StudyDate", "StudyTime"), (series, "SeriesDate", "SeriesTime")]
    {
        let Some(text) = bag.first(time) else { continue };
        if time_of_day(text).is_err() || text.contains(':') {
            say("time-odd", time, text);
        } else if bag.first(date).and_then(Day::parse).and_then(Day::date).is_some()
            && context.time_zone().is_none()
            && ![bag, study]
                .iter()
                .any(|bag| bag.first("TimezoneOffsetFromUTC").and_then(offset).is_some())
        {
            say("time-zone-missing", time, "");
        }
    }
    for bag in [study, series] {
        if let Some(text) = bag.first("TimezoneOffsetFromUTC")
            && offset(text).is_none()
        {
            say("zone-odd", "TimezoneOffsetFromUTC", text);
        }
    }
    if let Some(age) = study.first("PatientAge").or_else(|| patient.first("PatientAge"))
        && stated_age(age).is_none()
    {
        say("age-odd", "PatientAge", age);
    }
    if let Some(Err(())) = gender(context, patient) {
        say("sex-odd", "PatientSex", patient.first("PatientSex").unwrap_or(""));
    }
    if let Some(species) = species(context, patient) {
        let value = species.map_or_else(str::to_owned, |row| row.term.clone());
        say("not-human", "PatientSpeciesDescription", &value);
    }
    if let Some(name) = patient.text("PatientName")
        && person::is_odd(name)
    {
        say("name-odd", "PatientName", "");
    }
    if modality(series).is_none() {
        say("modality-missing", "Modality", series.first("Modality").unwrap_or(""));
    } else if let Some(text) = series.text("Modality")
        && !text
            .trim_matches([' ', '\0'])
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    {
        say("modality-odd", "Modality", text);
    }
    match body_site(context, series) {
        None => say("body-part-missing", "BodyPartExamined", ""),
        Some(site) if site.code.is_none() => {
            let text = series.first("BodyPartExamined").unwrap_or("");
            if part_of(context, text).is_none() {
                say("body-part-free-text", "BodyPartExamined", text);
            }
        }
        Some(_) => {}
    }
    for keyword in ["Laterality", "ImageLaterality", "FrameLaterality"] {
        // `U` is an unpaired body part: it has no side, and there is nothing odd about it.
        if let Some(text) = series.first(keyword)
            && text != "U"
            && Laterality::parse(text).is_none()
        {
            say("laterality-odd", keyword, text);
        }
    }
    // Of an image it may be both, of a series not (PS3.3 C.7.3.1).
    if series.first("Laterality").and_then(Laterality::parse) == Some(Laterality::Both) {
        say("laterality-both", "Laterality", "");
    }
    if let Some(text) = series.first("SeriesNumber")
        && text.trim_start_matches('+').parse::<u32>().is_err()
    {
        say("number-odd", "SeriesNumber", text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::findings;
    use crate::mapping::{Context, bag};

    #[test]
    fn a_clean_series_has_no_finding() {
        let found = findings(
            &Context::default(),
            &bag(&[("PatientSex", "F"), ("PatientBirthDate", "19600615"), ("PatientName", "A^B")]),
            &bag(&[
                ("StudyDate", "20240131"),
                ("StudyTime", "101112"),
                ("TimezoneOffsetFromUTC", "+0100"),
                ("PatientAge", "063Y"),
            ]),
            &bag(&[
                ("Modality", "MG"),
                ("BodyPartExamined", "BREAST"),
                ("Laterality", "R"),
                ("SeriesNumber", "1"),
            ]),
        );
        assert_eq!(found, []);
    }

    #[test]
    fn everything_odd_is_said_with_its_code() {
        let found = findings(
            &Context::default(),
            &bag(&[
                ("PatientSex", "0000"),
                ("PatientBirthDate", "19.6.1960"),
                ("PatientName", "a=b=c=d"),
                ("PatientSpeciesDescription", "Mouse"),
            ]),
            &bag(&[("StudyDate", "2024.01.02"), ("StudyTime", "10:11:12"), ("PatientAge", "000Y")]),
            &bag(&[
                ("SeriesDate", "20240102"),
                ("SeriesTime", "101112"),
                ("BodyPartExamined", "THORAX INJECTE"),
                ("Laterality", "X"),
                ("SeriesNumber", "-3"),
            ]),
        );
        let codes: Vec<(&str, &str, &str)> =
            found.iter().map(|f| (&*f.code, &*f.attribute, f.value.as_str())).collect();
        assert_eq!(
            codes,
            [
                ("date-odd", "StudyDate", "2024.01.02"),
                ("date-odd", "PatientBirthDate", ""),
                ("time-odd", "StudyTime", "10:11:12"),
                ("time-zone-missing", "SeriesTime", ""),
                ("age-odd", "PatientAge", "000Y"),
                ("sex-odd", "PatientSex", "0000"),
                ("not-human", "PatientSpeciesDescription", "mouse"),
                ("name-odd", "PatientName", ""),
                ("modality-missing", "Modality", ""),
                ("body-part-free-text", "BodyPartExamined", "THORAX INJECTE"),
                ("laterality-odd", "Laterality", "X"),
                ("number-odd", "SeriesNumber", "-3"),
            ]
        );
    }
}
