//! What was counted: tiles, charts, and the note on how exact they are.
//!
//! A gap between two published cells is empty only where figures are exact; of disclosed ones
//! nobody may know whether it is.

use super::{Converter, utc};
use crate::catalogue::{Day, Disclosed, Entry};
use crate::imaging::Facet;
use crate::index::disclosure::{AGE_BAND, Shown, age_band, band_limits};
use crate::web::chart::{Bar, Chart, Count, Shape};
use crate::web::dataset::Tile;
use crate::web::tongue::Tongue;
use crate::web::words::Phrase;

impl Converter<'_> {
    pub(super) fn figures_note(&self, figures: &Disclosed, entry: &Entry) -> String {
        if figures.is_exact {
            return self.w("dataset.exact").to_owned();
        }
        let threshold = self.tongue.count(figures.threshold);
        let mut note = self.tongue.put("dataset.rounded", threshold);
        if let Some(next) = entry.next_release {
            let next = self.tongue.day(utc(next));
            note.push(' ');
            note.push_str(&self.tongue.put_two("dataset.until", &entry.version, next));
        }
        note
    }

    pub(super) fn charts(&self, figures: &Disclosed) -> Vec<Chart> {
        let threshold = if figures.is_exact { 0 } else { figures.threshold };
        let bars = |facet: Facet| -> Vec<Bar> {
            let cells = figures.facets.get(&facet).into_iter().flatten();
            cells.map(|shown| bar(shown, self.term(facet, &shown.term))).collect()
        };
        let mut years = bars(Facet::Year);
        years.sort_by(|a, b| a.label.cmp(&b.label));
        let mut ages: Vec<_> = figures.age_bands.iter().collect();
        ages.sort_by_key(|shown| band_limits(&shown.term));
        let ages = fill_ages(ages, figures.is_exact, self.tongue);
        let years = fill_years(years, figures.is_exact);
        let chart = |id, title: &str, head: &str, shape, bars| {
            Chart::new(id, self.w(title), self.w(head), shape, bars, threshold, self.tongue)
        };
        let rows =
            |id, title: &str, head: &str, facet| chart(id, title, head, Shape::Rows, bars(facet));
        [
            rows("modality", "facet.modality", "facet.modality", Facet::Modality),
            rows("site", "facet.body-site", "facet.body-site", Facet::BodySite),
            chart("age", "chart.age", "chart.age-head", Shape::Columns, ages),
            chart("year", "chart.year", "chart.year-head", Shape::Columns, years),
            rows("sex", "chart.sex", "chart.sex", Facet::Sex),
            rows("maker", "chart.maker", "chart.maker-head", Facet::Manufacturer),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

pub(super) fn tiles(figures: &Disclosed, tongue: &'static Tongue) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut put = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            tiles.push(Tile { label: tongue.word(label), value });
        }
    };
    let persons = match figures.individuals {
        Some(value) => Some(tongue.count(value)),
        None if figures.threshold > 0 => {
            Some(tongue.put("chart.fewer", tongue.count(figures.threshold)))
        }
        None => None,
    };
    put("fact.studies", figures.records.map(|n| tongue.count(n)));
    put("fact.persons", persons);
    put("fact.series-count", figures.series.map(|n| tongue.count(n)));
    put("fact.images", figures.images.map(|n| tongue.count(n)));
    put("fact.size", figures.bytes.map(|size| tongue.bytes(size)));
    let years = figures.from.zip(figures.to).map(|(Day(from), Day(to))| {
        if from.year() == to.year() {
            from.year().to_string()
        } else {
            format!("{}–{}", from.year(), to.year())
        }
    });
    put("fact.years", years);
    let ages = figures.min_age.zip(figures.max_age).map(|(min, max)| {
        if max >= 130 { tongue.put("chart.and-over", min) } else { format!("{min}–{max}") }
    });
    put("fact.ages", ages);
    tiles
}

fn bar(shown: &Shown, label: Phrase) -> Bar {
    let count = match (shown.records, shown.individuals) {
        (Some(records), Some(individuals)) => Count::Shown(records, individuals),
        _ => Count::Withheld,
    };
    Bar { label: label.text, lang: label.lang, count }
}

/// `50-54` as `50–54`, the last band as `90 and over`.
pub(super) fn band(term: &str, tongue: &'static Tongue) -> String {
    match band_limits(term) {
        Some((first, last)) if last >= 130 => tongue.put("chart.and-over", first),
        Some((first, last)) => format!("{first}–{last}"),
        None => term.to_owned(),
    }
}

/// Years that were not published between the first and the last that were: of an exact table
/// they are empty, of a disclosed one nobody may know whether they are. A span that no archive
/// has is left as it is.
fn fill_years(years: Vec<Bar>, is_exact: bool) -> Vec<Bar> {
    let numbers: Option<Vec<u16>> = years.iter().map(|bar| bar.label.parse().ok()).collect();
    let Some(numbers) = numbers else { return years };
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return years };
    if last.saturating_sub(*first) > 60 {
        return years;
    }
    (*first..=*last)
        .map(|year| {
            let known = numbers.iter().position(|number| *number == year);
            let known = known.and_then(|place| years.get(place)).cloned();
            known.unwrap_or_else(|| gap(year.to_string(), is_exact))
        })
        .collect()
}

/// As [`fill_years`], for bands of ages.
fn fill_ages(bands: Vec<&Shown>, is_exact: bool, tongue: &'static Tongue) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut next: Option<u16> = None;
    for shown in bands {
        let limits = band_limits(&shown.term);
        if let (Some(from), Some((first, _))) = (next, limits) {
            for missing in (from..first).step_by(usize::from(AGE_BAND)) {
                bars.push(gap(band(&age_band(missing), tongue), is_exact));
            }
        }
        next = limits.map(|(_, last)| last.saturating_add(1));
        bars.push(bar(shown, Phrase::plain(band(&shown.term, tongue))));
    }
    bars
}

fn gap(label: String, is_exact: bool) -> Bar {
    let count = if is_exact { Count::Shown(0, 0) } else { Count::Few };
    Bar { label, count, ..Bar::default() }
}

#[cfg(test)]
mod tests {
    use super::{Bar, Count, band, fill_ages, fill_years};
    use crate::index::disclosure::Shown;

    fn en() -> &'static super::Tongue {
        super::Tongue::english()
    }

    #[test]
    fn bands_of_ages_become_words() {
        assert_eq!(band("50-54", en()), "50–54");
        assert_eq!(band("90-130", en()), "90 and over");
        assert_eq!(band("x", en()), "x");
    }

    #[test]
    fn gaps_are_empty_only_where_figures_are_exact() {
        let bar = |label: &str| Bar {
            label: label.to_owned(),
            count: Count::Shown(1, 1),
            ..Bar::default()
        };
        let years = |labels: &[&str], is_exact| {
            fill_years(labels.iter().map(|label| bar(label)).collect(), is_exact)
                .into_iter()
                .map(|bar| (bar.label, bar.count))
                .collect::<Vec<_>>()
        };
        let of = |label: &str, count| (label.to_owned(), count);
        let one = Count::Shown(1, 1);
        assert_eq!(
            years(&["2019", "2021"], false),
            [of("2019", one), of("2020", Count::Few), of("2021", one)]
        );
        assert_eq!(years(&["2019", "2021"], true)[1].1, Count::Shown(0, 0));
        assert_eq!(years(&["1880", "2021"], true).len(), 2);
        assert_eq!(years(&["x"], true).len(), 1);
        assert!(fill_years(Vec::new(), true).is_empty());
        let shown =
            |term: &str| Shown { term: term.to_owned(), records: Some(10), individuals: Some(10) };
        let bands = [shown("40-44"), shown("55-59"), shown("90-130")];
        let labels: Vec<String> = fill_ages(bands.iter().collect(), false, en())
            .into_iter()
            .map(|bar| bar.label)
            .collect();
        assert_eq!(labels.len(), 11, "{labels:?}");
        assert_eq!(labels[1], "45–49");
        assert_eq!(labels[10], "90 and over");
    }
}
