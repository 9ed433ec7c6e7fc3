//! The languages of the pages: one file each, with every word, plural, month and label.
//!
//! A language is added as one file in `catalogue/languages/` and its line in [`FILES`].

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;

/// The files; the first is the one that others fall back to.
const FILES: &[(&str, &str)] = &[
    ("en.toml", include_str!("../../catalogue/languages/en.toml")),
    ("cs.toml", include_str!("../../catalogue/languages/cs.toml")),
    ("el.toml", include_str!("../../catalogue/languages/el.toml")),
];

static TONGUES: LazyLock<Vec<Tongue>> = LazyLock::new(|| {
    #[allow(clippy::expect_used, reason = "a unit test parses the embedded files")]
    let parse = |(name, text): &(&str, &str)| {
        toml::from_str(text).map_err(|fault| format!("{name}: {fault}")).expect("it parses")
    };
    FILES.iter().map(parse).collect()
});

/// How a language chooses the form of a counted word (Unicode CLDR's cardinal rules, of whole
/// numbers).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Plural {
    /// 1; everything else: English, Greek, German.
    One,
    /// 0 and 1; everything else: French.
    ZeroOne,
    /// 1; 2 to 4; everything else: Czech, Slovak.
    OneFew,
}

/// The forms of a counted word; `{0}` is the number.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Forms {
    /// For one.
    pub one: String,
    /// For few, where the language has it.
    #[serde(default)]
    pub few: Option<String>,
    /// For all others.
    pub other: String,
}

/// A language of the pages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tongue {
    /// BCP 47 tag.
    pub code: String,
    /// Its name in itself.
    pub name: String,
    /// How it counts.
    pub plural: Plural,
    /// Between thousands.
    pub thousands: String,
    /// Between whole and tenths.
    pub decimal: String,
    /// A day: `{day}`, `{month}` and `{year}`.
    pub date: String,
    /// The months as they stand in a date.
    pub months: [String; 12],
    /// Words and sentences per part of the pages; `{0}` and `{1}` are put in.
    pub words: BTreeMap<String, BTreeMap<String, String>>,
    /// Counted words.
    pub plurals: BTreeMap<String, Forms>,
    /// Labels per vocabulary and code; English stands in the vocabularies themselves.
    #[serde(default)]
    pub labels: BTreeMap<String, BTreeMap<String, String>>,
    /// What reasons of the quarantine and kinds of findings mean, and what can be done; English
    /// stands beside the codes themselves.
    #[serde(default)]
    pub explained: BTreeMap<String, BTreeMap<String, Explained>>,
    /// What the gate says to descriptions, by the English text; `{0}`, `{1}` … are put in.
    #[serde(default)]
    pub gate: BTreeMap<String, String>,
    /// Why something was not done, by the English text: failures of a request, of an import, of a walk
    /// through another catalogue.
    #[serde(default)]
    pub failure: BTreeMap<String, String>,
}

/// What a code means, and what can be done.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Explained {
    /// What it means.
    pub meaning: String,
    /// What can be done.
    pub remedy: String,
}

impl Default for &'static Tongue {
    fn default() -> Self {
        Tongue::english()
    }
}

impl PartialEq for Tongue {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Tongue {
    /// Every language, English first.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &TONGUES
    }

    /// The language that others fall back to.
    #[must_use]
    pub fn english() -> &'static Self {
        #[allow(clippy::expect_used, reason = "the list of files is not empty")]
        Self::all().first().expect("there is a language")
    }

    /// The language of a tag: its primary subtag decides (`cs-CZ` is `cs`).
    #[must_use]
    pub fn of(tag: &str) -> Option<&'static Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default().trim();
        Self::all().iter().find(|tongue| tongue.code.eq_ignore_ascii_case(primary))
    }

    /// The best language of an `Accept-Language` (RFC 9110 section 12.5.4).
    #[must_use]
    pub fn preferred(accept: &str) -> Option<&'static Self> {
        let mut best: Option<(f32, &'static Self)> = None;
        for range in accept.split(',').take(50) {
            let mut parts = range.split(';').map(str::trim);
            let weight = |q: &str| q.parse().ok().filter(|q: &f32| (0.0..=1.0).contains(q));
            let Some(tongue) = parts.next().and_then(Self::of) else { continue };
            let weight = match parts.find_map(|part| part.strip_prefix("q=")) {
                Some(q) => weight(q).unwrap_or(0.0),
                None => 1.0,
            };
            if weight > best.map_or(0.0, |(best, _)| best) {
                best = Some((weight, tongue));
            }
        }
        best.map(|(_, tongue)| tongue)
    }

    /// The words of a key, `part.name`. A test holds every key to be in every file; should one
    /// be missing all the same, English is shown.
    #[must_use]
    pub fn word(&'static self, key: &str) -> &'static str {
        let (part, name) = key.split_once('.').unwrap_or(("", key));
        let find = |tongue: &'static Self| tongue.words.get(part)?.get(name).map(String::as_str);
        find(self).or_else(|| find(Self::english())).unwrap_or_default()
    }

    /// The words of a key with something put in at `{0}`.
    #[must_use]
    pub fn put(&'static self, key: &str, value: impl Display) -> String {
        self.word(key).replacen("{0}", &value.to_string(), 1)
    }

    /// The words of a key with something put in at `{0}` and `{1}`. What is put in is data and
    /// is not read for places again.
    #[must_use]
    pub fn put_two(&'static self, key: &str, first: impl Display, second: impl Display) -> String {
        let text = self.word(key);
        let mut out = String::with_capacity(text.len() + 32);
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (value, after) = match (after.strip_prefix("0}"), after.strip_prefix("1}")) {
                (Some(after), _) => (first.to_string(), after),
                (_, Some(after)) => (second.to_string(), after),
                _ => ("{".to_owned(), after),
            };
            out.push_str(&value);
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn form(&'static self, key: &str, number: u64) -> &'static str {
        let own = self.plurals.get(key);
        let Some(forms) = own.or_else(|| Self::english().plurals.get(key)) else { return "" };
        let form = match (self.plural, number) {
            (_, 1) | (Plural::ZeroOne, 0) => &forms.one,
            (Plural::OneFew, 2..=4) => forms.few.as_ref().unwrap_or(&forms.other),
            _ => &forms.other,
        };
        form.as_str()
    }

    /// A counted word with its number: `3 datasets`.
    #[must_use]
    pub fn counted(&'static self, key: &str, number: u64) -> String {
        self.form(key, number).replacen("{0}", &self.count(number), 1)
    }

    /// As [`counted`](Self::counted), for the lengths that templates have.
    #[must_use]
    pub fn many(&'static self, key: &str, number: &usize) -> String {
        self.counted(key, *number as u64)
    }

    /// How many datasets a search found.
    #[must_use]
    pub fn found(&'static self, number: usize) -> String {
        self.put("catalog.found", self.many("dataset", &number))
    }

    /// The form of a counted word without its number: `datasets`.
    #[must_use]
    pub fn noun(&'static self, key: &str, number: &usize) -> String {
        self.form(key, *number as u64).replacen("{0}", "", 1).trim().to_owned()
    }

    /// A number with its thousands apart.
    #[must_use]
    pub fn count(&self, number: u64) -> String {
        super::words::grouped(number, &self.thousands)
    }

    /// A size with a decimal prefix: `7.3 GB`.
    #[must_use]
    pub fn bytes(&'static self, size: u64) -> String {
        if size < 1_000 {
            return self.counted("byte", size);
        }
        super::words::bytes(size).replace('.', &self.decimal)
    }

    /// A day.
    #[must_use]
    pub fn day(&self, date: jiff::civil::Date) -> String {
        let month = usize::try_from(date.month()).unwrap_or(1).saturating_sub(1);
        self.date
            .replace("{day}", &date.day().to_string())
            .replace("{month}", self.months.get(month).map_or("", String::as_str))
            .replace("{year}", &date.year().to_string())
    }

    /// A number that may be below zero.
    #[must_use]
    pub fn signed(&self, number: i64) -> String {
        let sign = if number < 0 { "−" } else { "" };
        format!("{sign}{}", self.count(number.unsigned_abs()))
    }

    /// A length of time: `0.4 s`, `3 min 12 s`, `2 h 5 min`.
    #[must_use]
    pub fn seconds(&self, length: f64) -> String {
        super::words::seconds(length).replace('.', &self.decimal)
    }

    /// A moment in UTC as the language writes it: `21 November 2026, 14:03 UTC`.
    #[must_use]
    pub fn moment(&self, microseconds: i64) -> String {
        let Ok(time) = jiff::Timestamp::from_microsecond(microseconds) else {
            return "–".to_owned();
        };
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        format!("{}, {} UTC", self.day(time.date()), time.strftime("%H:%M"))
    }

    /// What texts are sorted by: letters without case and accents, but Czech letters that have a
    /// place of their own (č, ch, ř, š, ž: ČSN 97 6030) behind those that they are like.
    #[must_use]
    pub fn sorted_by(&self, text: &str) -> (String, String) {
        let mut key = text.to_lowercase();
        if self.code == "cs" {
            for (letter, place) in [
                ("ch", "h\u{7f}"),
                ("č", "c\u{7f}"),
                ("ř", "r\u{7f}"),
                ("š", "s\u{7f}"),
                ("ž", "z\u{7f}"),
            ] {
                key = key.replace(letter, place);
            }
        }
        (crate::imaging::fold(&key), text.to_owned())
    }

    /// What a code means, where this language says it.
    #[must_use]
    pub fn explained(&'static self, part: &str, code: &str) -> Option<&'static Explained> {
        self.explained.get(part)?.get(code)
    }

    /// The label of a code of a vocabulary, where this language has it.
    #[must_use]
    pub fn label(&'static self, vocabulary: &str, code: &str) -> Option<&'static str> {
        self.labels.get(vocabulary)?.get(code).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::Tongue;
    use std::collections::{BTreeMap, BTreeSet};

    fn tongue(code: &str) -> &'static Tongue {
        Tongue::of(code).unwrap()
    }

    #[test]
    fn every_language_says_everything() {
        let keys = |tongue: &'static Tongue| -> BTreeSet<String> {
            let words = tongue.words.iter();
            words.flat_map(|(part, of)| of.keys().map(move |k| format!("{part}.{k}"))).collect()
        };
        let english = keys(Tongue::english());
        for tongue in Tongue::all() {
            assert_eq!(keys(tongue), english, "{}", tongue.code);
            assert_eq!(
                tongue.plurals.keys().collect::<Vec<_>>(),
                Tongue::english().plurals.keys().collect::<Vec<_>>()
            );
            for key in &english {
                let places = |t: &'static Tongue| {
                    let text = t.word(key);
                    (text.matches("{0}").count(), text.matches("{1}").count())
                };
                assert!(!tongue.word(key).trim().is_empty(), "{} {key} is empty", tongue.code);
                assert_eq!(places(tongue), places(Tongue::english()), "{} {key}", tongue.code);
                let marks = tongue.word(key).matches('`').count();
                assert_eq!(marks, Tongue::english().word(key).matches('`').count(), "{key}");
            }
            let needs_few = tongue.plural == super::Plural::OneFew;
            for (key, forms) in &tongue.plurals {
                assert_eq!(forms.few.is_some(), needs_few, "{} {key}", tongue.code);
            }
        }
        // What is not English has labels of its own: for the same codes in each.
        let labels = |code: &str| {
            let of = tongue(code).labels.iter();
            of.flat_map(|(v, codes)| codes.keys().map(move |c| format!("{v} {c}")))
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(labels("cs"), labels("el"));
        for tongue in ["cs", "el"].map(tongue) {
            for kind in crate::imaging::FINDING_KINDS {
                assert!(tongue.explained("finding", kind.code).is_some(), "{}", kind.code);
            }
            for code in super::super::reasons::codes() {
                assert!(tongue.explained("quarantine", code).is_some(), "{code}");
            }
            for explained in tongue.explained.values().flat_map(BTreeMap::values) {
                for text in [&explained.meaning, &explained.remedy] {
                    assert!(text.ends_with('.'), "{text}");
                }
            }
        }
        assert!(labels("cs").len() > 100);
    }

    #[test]
    fn lists_are_sorted_as_the_language_sorts() {
        let sorted = |code: &str, list: &[&str]| {
            let mut list = list.to_vec();
            list.sort_by_cached_key(|text| tongue(code).sorted_by(text));
            list.join(" ")
        };
        let czech = ["Žena", "zub", "Chirurgie", "hlava", "čas", "Cukr", "Ústa", "ucho", "iris"];
        assert_eq!(sorted("cs", &czech), "Cukr čas hlava Chirurgie iris ucho Ústa zub Žena");
        assert_eq!(sorted("el", &["Ώμος", "άλλο", "Ήπαρ", "Βάση"]), "άλλο Βάση Ήπαρ Ώμος");
        assert_eq!(sorted("en", &["head", "Chest", "arm"]), "arm Chest head");
    }

    #[test]
    fn numbers_days_and_plurals_follow_the_language() {
        let date = jiff::civil::date(2026, 11, 1);
        let all = |code: &str| {
            let t = tongue(code);
            (t.count(58_784_975), t.bytes(7_345_678_901), t.day(date))
        };
        let of = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(all("en"), of("58,784,975", "7.3 GB", "1 November 2026"));
        assert_eq!(all("cs"), of("58\u{a0}784\u{a0}975", "7,3 GB", "1. listopadu 2026"));
        assert_eq!(all("el"), of("58.784.975", "7,3 GB", "1 Νοεμβρίου 2026"));
        let counted = |code: &str| [0, 1, 2, 5].map(|n| tongue(code).counted("dataset", n));
        assert_eq!(counted("en"), ["0 datasets", "1 dataset", "2 datasets", "5 datasets"]);
        assert_eq!(
            counted("cs"),
            ["0 datových sad", "1 datová sada", "2 datové sady", "5 datových sad"]
        );
        assert_eq!(
            counted("el"),
            [
                "0 σύνολα δεδομένων",
                "1 σύνολο δεδομένων",
                "2 σύνολα δεδομένων",
                "5 σύνολα δεδομένων"
            ]
        );
    }

    #[test]
    fn the_language_is_the_best_of_those_that_are_accepted() {
        let code = |accept: &str| Tongue::preferred(accept).map(|tongue| tongue.code.as_str());
        assert_eq!(code("cs-CZ,cs;q=0.9,en;q=0.8"), Some("cs"));
        assert_eq!(code("de, en;q=0.3, el;q=0.7"), Some("el"));
        assert_eq!(code("de"), None);
        assert_eq!(code("cs;q=0, el;q=x"), None);
        assert_eq!(code("en, cs"), Some("en"));
    }

    #[test]
    fn what_is_put_in_is_not_read_for_places() {
        let text = tongue("en").put_two("paging.page", "{1}", "{0}");
        assert_eq!(text, "Page {1} of {0}");
    }
}
