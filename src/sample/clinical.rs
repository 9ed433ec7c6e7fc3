//! The clinical table of the demo: readings, assessments and diagnoses of invented persons.

use super::build::{Archive, ISSUER, Kind, Visit};
use super::of_demo;

/// Columns, as the mapping `screening` reads them.
const COLUMNS: &[&str] = &[
    "person_id",
    "issuer",
    "accession",
    "round",
    "exam_date",
    "population",
    "recall",
    "detection",
    "reader1",
    "reader2",
    "consensus",
    "birads_left",
    "birads_right",
    "density",
    "lungrads",
    "nodule_mm",
    "pirads",
    "psa",
    "gleason",
    "isup",
    "biopsy_date",
    "dx_date",
    "dx_age",
    "dx_site",
    "dx_side",
    "dx_icdo",
    "dx_histology",
    "ct",
    "cn",
    "cm",
    "stage",
    "er",
    "pr",
    "her2",
    "ki67",
    "treatment",
    "treatment_date",
];

/// A row, by column.
struct Row(Vec<(&'static str, String)>);

impl Row {
    fn put(&mut self, column: &'static str, value: impl Into<String>) {
        self.0.push((column, value.into()));
    }

    fn line(&self) -> String {
        let value = |column: &&'static str| {
            let cell = self.0.iter().rev().find(|(name, _)| name == column);
            cell.map_or("", |(_, value)| value)
        };
        COLUMNS.iter().map(value).collect::<Vec<_>>().join(",")
    }
}

/// The table, with its header.
pub(super) fn table(archive: &Archive) -> String {
    let mut lines = vec![COLUMNS.join(",")];
    for person in 0..72 {
        let (kind, rounds) = of_demo(person);
        for round in 0..rounds {
            lines.push(row(archive, Visit { person, kind, round, rounds }).line());
        }
    }
    lines.join("\n") + "\n"
}

fn row(archive: &Archive, visit: Visit) -> Row {
    let Visit { person, kind, round, rounds } = visit;
    let date = archive.date(visit);
    let chance = |word: &str, all: &[&'static str]| archive.chance(word, person, round, all);
    let mut row = Row(Vec::new());
    row.put("person_id", format!("SYN{person:07}"));
    row.put("issuer", ISSUER);
    row.put("accession", format!("A{:09}", person * 8 + round));
    row.put("round", (round + 1).to_string());
    row.put("exam_date", day(&date, 0));
    // Every fourth person has a cancer, found in the last round.
    let has_cancer = person % 4 == 1 && round + 1 == rounds;
    row.put("population", if has_cancer { "cancer" } else { "negative" });
    match kind {
        Kind::Mammography => {
            let side = chance("side", &["L", "R"]);
            let (found, other) =
                (chance("birads", &["4A", "4B", "4C", "5"]), chance("other", &["1", "2"]));
            let left = if has_cancer && side == "L" { found } else { other };
            let right = if has_cancer && side == "R" { found } else { other };
            row.put("birads_left", left);
            row.put("birads_right", right);
            row.put("density", chance("density", &["A", "B", "C", "D"]));
            let second = if has_cancer { chance("second", &["S", "N"]) } else { "N" };
            row.put("reader1", if has_cancer { "S" } else { "N" });
            row.put("reader2", second);
            if has_cancer {
                row.put("consensus", "S");
            }
            row.put("recall", if has_cancer { "yes" } else { "no" });
            if has_cancer {
                diagnosis(&mut row, &date, "breast", "C50.9", "8500/3", "surgery");
                row.put("dx_side", side);
                row.put("detection", chance("detection", &["screen", "screen", "interval"]));
                row.put("er", chance("er", &["+", "+", "-"]));
                row.put("pr", chance("pr", &["+", "-"]));
                row.put("her2", chance("her2", &["-", "low", "+"]));
                row.put("ki67", chance("ki67", &["8", "14", "22", "35"]));
            }
        }
        Kind::LungScreening => {
            let category = if has_cancer { "4B" } else { chance("lungrads", &["1", "2", "3"]) };
            row.put("lungrads", category);
            if category != "1" {
                row.put("nodule_mm", chance("nodule", &["4.5", "6", "7.2", "16"]));
            }
            row.put("recall", if has_cancer { "yes" } else { "no" });
            if has_cancer {
                diagnosis(&mut row, &date, "lung", "C34.1", "8140/3", "surgery");
                row.put("dx_side", chance("side", &["L", "R"]));
                row.put("detection", "screen");
            }
        }
        Kind::ProstateMr => {
            row.put("pirads", if has_cancer { "5" } else { chance("pirads", &["1", "2", "3"]) });
            row.put("psa", chance("psa", &["2.4", "4.1", "6.8", "11.5"]));
            if has_cancer {
                diagnosis(&mut row, &date, "prostate", "C61.9", "8140/3", "radiotherapy");
                row.put("gleason", "7");
                row.put("isup", "2");
                row.put("detection", "symptoms");
            }
        }
    }
    row
}

fn diagnosis(
    row: &mut Row,
    date: &str,
    site: &str,
    topography: &str,
    histology: &str,
    treatment: &str,
) {
    row.put("biopsy_date", day(date, 1));
    row.put("dx_date", day(date, 1));
    row.put("dx_age", "63.5");
    row.put("dx_site", site);
    row.put("dx_icdo", topography);
    row.put("dx_histology", histology);
    row.put("ct", "T1c");
    row.put("cn", "N0");
    row.put("cm", "M0");
    row.put("stage", "IA");
    row.put("treatment", treatment);
    row.put("treatment_date", day(date, 2));
}

/// `YYYYMMDD` as ISO 8601, some months later.
fn day(date: &str, months: i32) -> String {
    use jiff::ToSpan as _;
    let parsed = jiff::civil::Date::strptime("%Y%m%d", date).unwrap_or_default();
    parsed.checked_add(months.months()).unwrap_or(parsed).to_string()
}
