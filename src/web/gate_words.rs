//! What the gate says, and why something failed, in the reader's language.
//!
//! Rules and remedies come from shapes, tables and code, in English, and so do the reasons of failures,
//! which programs read too. A language file has its own text for each of them under `[gate]` and
//! `[failure]`, by the English one, in which `{0}`, `{1}` … stand for what is put
//! in: so a text is found from what was said, also from a report that was kept. What is put in may be
//! such a text again (`write {0}`). What a language lacks is said in English, as a whole.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::tongue::Tongue;
use super::words::{Phrase, parts};

/// How deep a text may be put into another: `line 3: did you mean …? …`.
const DEEPEST: usize = 6;
/// Texts with fewer letters of their own, that begin with what is put in, are only parts of others.
const WHOLE: usize = 20;
/// What is put into texts with fewer letters of their own is translated or no words at all.
const BRIEF: usize = 12;
/// Texts and parts of them that are looked for at most to say one: what is put in may be anybody's, and
/// made of words that many texts have.
const STEPS: u32 = 200;
/// Bytes of a text that is looked for.
const LONGEST: usize = 4_096;

/// A text with places, cut at them.
struct Pattern {
    /// What stands between the places: one more than there are places.
    pieces: Vec<&'static str>,
    /// Which number each place has.
    places: Vec<usize>,
    own: &'static str,
    /// Letters that are no place: of two that fit the longer one is meant.
    weight: usize,
}

/// The texts of a language.
#[derive(Default)]
struct Texts {
    plain: BTreeMap<&'static str, &'static str>,
    patterns: Vec<Pattern>,
}

static TEXTS: LazyLock<BTreeMap<&'static str, Texts>> = LazyLock::new(|| {
    let of = |tongue: &'static Tongue| (tongue.code.as_str(), Texts::of(tongue));
    Tongue::all().iter().map(of).collect()
});

/// The pieces between the places `{0}`, `{1}` … of a text, and the numbers of the places.
fn cut(text: &str) -> (Vec<&str>, Vec<usize>) {
    let (mut pieces, mut places) = (Vec::new(), Vec::new());
    let (mut begin, mut at) = (0, 0);
    while let Some(open) = text.get(at..).and_then(|rest| rest.find('{')).map(|found| at + found) {
        let inner = text.get(open + 1..).unwrap_or_default();
        at = open + 1;
        if let Some((number, _)) = inner.split_once('}')
            && let Ok(place) = number.parse::<usize>()
        {
            pieces.push(text.get(begin..open).unwrap_or_default());
            places.push(place);
            begin = open + number.len() + 2;
            at = begin;
        }
    }
    pieces.push(text.get(begin..).unwrap_or_default());
    (pieces, places)
}

impl Texts {
    fn of(tongue: &'static Tongue) -> Self {
        let mut texts = Self::default();
        for (english, own) in tongue.gate.iter().chain(&tongue.failure) {
            let (pieces, places) = cut(english);
            if places.is_empty() {
                texts.plain.insert(english, own);
            } else {
                let weight = pieces.iter().map(|piece| piece.len()).sum();
                texts.patterns.push(Pattern { pieces, places, own, weight });
            }
        }
        texts.patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.weight));
        texts
    }

    fn say(&self, text: &str, depth: usize, left: &mut u32) -> Option<String> {
        if let Some(own) = self.plain.get(text) {
            return Some((*own).to_owned());
        }
        *left = left.checked_sub(1)?;
        if depth > DEEPEST {
            return None;
        }
        let is_part = |pattern: &&Pattern| {
            pattern.weight < WHOLE && pattern.pieces.first().is_some_and(|first| first.is_empty())
        };
        let mut patterns = self.patterns.iter().filter(|pattern| depth > 0 || !is_part(pattern));
        patterns.find_map(|pattern| {
            let values = pattern.read(text)?;
            let (pieces, places) = cut(pattern.own);
            let mut said = String::with_capacity(text.len() * 2);
            for (at, piece) in pieces.iter().enumerate() {
                said.push_str(piece);
                let Some(place) = places.get(at) else { continue };
                let known = pattern.places.iter().position(|known| known == place)?;
                let value = values.get(known)?;
                let before = pattern.pieces.get(known)?;
                if before.ends_with('`') {
                    said.push_str(value);
                    continue;
                }
                let is_quoted = before.ends_with(['"', '(']);
                match self.say(value, depth + 1, left) {
                    Some(own) => said.push_str(&own),
                    None if pattern.weight >= BRIEF || is_quoted || is_data(value) => {
                        said.push_str(value);
                    }
                    None => return None,
                }
            }
            Some(said)
        })
    }
}

/// Whether a text is no words of a language: code, numbers, names of files, abbreviations.
fn is_data(text: &str) -> bool {
    parts(text).into_iter().filter(|(is_code, _)| !is_code).all(|(_, plain)| {
        plain.split_whitespace().all(|word| {
            let word = word.trim_matches(|letter: char| letter.is_ascii_punctuation());
            word.contains(['/', '.', ':']) || !word.chars().any(|c| c.is_ascii_lowercase())
        })
    })
}

impl Pattern {
    /// What stands in the places of a text, if it is this one.
    fn read<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, others) = self.pieces.split_first()?;
        let mut rest = text.strip_prefix(first)?;
        let mut values = Vec::with_capacity(self.places.len());
        for (at, piece) in others.iter().enumerate() {
            let is_last = at + 1 == others.len();
            let (value, after) = match (is_last, piece.is_empty()) {
                (true, true) => (rest, ""),
                (true, false) => (rest.strip_suffix(piece)?, ""),
                (false, _) => rest.split_once(piece)?,
            };
            values.push(value);
            rest = after;
        }
        Some(values)
    }
}

impl Tongue {
    /// What the gate said, or why something failed, in this language; in English where this language has
    /// no text for it.
    #[must_use]
    pub fn gate(&'static self, english: &str) -> Phrase {
        if self == Tongue::english() || english.is_empty() {
            return Phrase::plain(english);
        }
        let texts = TEXTS.get(self.code.as_str()).filter(|_| english.len() <= LONGEST);
        let own = texts.and_then(|texts| texts.say(english, 0, &mut { STEPS }));
        own.map_or_else(|| Phrase::within(english, "en", &self.code), Phrase::plain)
    }

    /// As [`gate`](Self::gate), for several things that are said with `; ` between them.
    #[must_use]
    pub fn gate_list(&'static self, english: &str) -> Phrase {
        let whole = self.gate(english);
        if !whole.is_foreign() {
            return whole;
        }
        let said: Vec<Phrase> = english.split("; ").map(|one| self.gate(one)).collect();
        if said.iter().any(Phrase::is_foreign) {
            return whole;
        }
        Phrase::plain(said.into_iter().map(|one| one.text).collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::cut;
    use crate::error::Error;
    use crate::web::Tongue;

    /// Files whose texts reach a steward: what they say is a string with a space in it.
    const SOURCES: &[&str] = &[
        include_str!("../catalogue/check/addresses.rs"),
        include_str!("../catalogue/check/choices.rs"),
        include_str!("../catalogue/check/mod.rs"),
        include_str!("../catalogue/check/parts.rs"),
        include_str!("../catalogue/check/types.rs"),
        include_str!("../catalogue/check/words.rs"),
        include_str!("../catalogue/description/text.rs"),
        include_str!("../catalogue/elements.rs"),
        include_str!("../catalogue/gate.rs"),
        include_str!("../catalogue/publish.rs"),
        include_str!("../catalogue/publish/count.rs"),
        include_str!("../catalogue/publish/refuse.rs"),
        include_str!("../catalogue/publish/withdraw.rs"),
        include_str!("../catalogue/shacl/fields.rs"),
        include_str!("../catalogue/shacl/validate.rs"),
    ];
    /// Files whose failures people read on a page: why a request, an import, a walk was refused.
    const FAILURES: &[&str] = &[
        include_str!("../auth/middleware.rs"),
        include_str!("../auth/token.rs"),
        include_str!("../catalogue/bench.rs"),
        include_str!("../catalogue/emit/rdf_xml.rs"),
        include_str!("../catalogue/eucaim_rows.rs"),
        include_str!("../catalogue/import.rs"),
        include_str!("../catalogue/others.rs"),
        include_str!("../catalogue/sparql/endpoint.rs"),
        include_str!("../catalogue/sparql/evaluate.rs"),
        include_str!("../catalogue/sparql/scan.rs"),
        include_str!("../harvest/answer.rs"),
        include_str!("../harvest/changes.rs"),
        include_str!("../harvest/documents.rs"),
        include_str!("../harvest/doors.rs"),
        include_str!("../harvest/fdp.rs"),
        include_str!("../harvest/inbound/address.rs"),
        include_str!("../harvest/inbound/fetch.rs"),
        include_str!("../harvest/inbound/keep.rs"),
        include_str!("../harvest/inbound/missing.rs"),
        include_str!("../harvest/inbound/mod.rs"),
        include_str!("../harvest/inbound/piece.rs"),
        include_str!("../harvest/inbound/read.rs"),
        include_str!("../harvest/inbound/walk.rs"),
        include_str!("../harvest/listing.rs"),
        include_str!("../harvest/others.rs"),
        include_str!("../harvest/problem.rs"),
        include_str!("../harvest/site.rs"),
        include_str!("../harvest/sparql.rs"),
        include_str!("../web/elsewhere.rs"),
        include_str!("../web/harvested.rs"),
        include_str!("../web/operator.rs"),
        include_str!("../web/operator/findings.rs"),
        include_str!("../web/operator/quarantine.rs"),
        include_str!("../web/operator/sources.rs"),
        include_str!("../web/pages.rs"),
        include_str!("../web/problem.rs"),
        include_str!("../web/quality.rs"),
        include_str!("../web/quality_label.rs"),
        include_str!("../web/session.rs"),
        include_str!("../web/steward/bulk.rs"),
        include_str!("../web/steward/edit.rs"),
        include_str!("../web/steward/mod.rs"),
        include_str!("../web/steward/review.rs"),
        include_str!("../web/steward/transfer.rs"),
    ];
    /// Of those, what no steward reads there.
    const NOT_SAID: &[&str] =
        &["unknown ", "missing ", "catalogue/shapes/fields.toml: {0}", " (`{0}`)"];
    /// Of failures, what nobody reads on a page: it is for programs, for the log, or part of a report.
    const NOT_READ: &[&str] = &[
        "DCAT, Hydra",
        "FAIR Data Point",
        "GET, HEAD, OPTIONS",
        "GET, HEAD, POST, OPTIONS",
        "RDF/XML: {0}",
        "a catalogue request failed",
        "a form without a writer",
        "a kind of finding that this version does not know",
        "a page broke off",
        "a page failed",
        "a template failed: {0}",
        "a text is a draft again: its file was changed",
        "application/sparql-results+json, application/sparql-results+xml, text/csv or text/tab-separated-values",
        "command line",
        "days, which are few and not negative",
        "no writer for `{0}`",
        "quarantine is read again",
        "renamed: it is `{0}` now",
        "seconds of a run",
        "seconds of a walk",
        "send application/sparql-query or application/x-www-form-urlencoded",
        "somebody else writes descriptions",
        "text/turtle, application/ld+json, application/rdf+xml, application/n-triples or application/n-quads",
        "the built-in release is broken",
        "the dataset",
        "the list of datasets could not be made",
        "the page",
        "the query engine does not start: {0}",
        "the query engine has no pipes",
        "the walk did not end",
        "this query answers with {0}",
        "there are no pages here; ask for text/turtle",
        "this node has no folder of descriptions to write",
        "triple terms are a feature of the crate",
        "update vesalius",
        "view of EUCAIM",
        "{0} (0x{1})",
        "{0}-said {1}",
        "{0}: `{1}` is `{2}` of `{3}`",
        "{0}: cannot be read ({1})",
    ];
    /// What stands behind the code of a report.
    const REPORTED: &[&str] = &["it is `{0}` now"];
    /// What the readers of TOML, serde and SPARQL say, and a name of one word.
    const READERS: &[&str] = &[
        "Selection",
        "invalid type: {0}, expected {1}",
        "invalid value: {0}, expected {1}",
        "invalid length {0}, expected {1}",
        "unknown field `{0}`, expected {1}",
        "unknown field `{0}`, there are no fields",
        "unknown variant `{0}`, expected {1}",
        "missing field `{0}`",
        "duplicate key",
        "string \"{0}\"",
        "integer `{0}`",
        "floating point `{0}`",
        "boolean `{0}`",
        "sequence",
        "map",
        "a string",
        "a boolean",
        "a sequence",
        "a map",
        "one of {0}",
        "error at {0}: expected {1}",
    ];

    /// The strings of a file of Rust, without its tests.
    fn strings(source: &str) -> Vec<String> {
        let source = source.split("#[cfg(test)]").next().unwrap();
        let mut found = Vec::new();
        for line in source.replace("\\\n", "\u{1}").lines() {
            let mut rest = line;
            if rest.trim_start().starts_with("//") {
                continue;
            }
            // A quote as a letter is none.
            let plain = rest.replace("'\"'", "' '");
            rest = &plain;
            while let Some((_, after)) = rest.split_once('"') {
                let mut text = String::new();
                let mut letters = after.char_indices();
                let mut end = after.len();
                while let Some((at, letter)) = letters.next() {
                    match letter {
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        '\\' => match letters.next() {
                            Some((_, 'n')) => text.push('\n'),
                            Some((_, other)) => text.push(other),
                            None => {}
                        },
                        // The line goes on below, without the space before it.
                        '\u{1}' => {
                            let rest = &after[at + 1..];
                            let skip = rest.len() - rest.trim_start().len();
                            for _ in 0..skip {
                                letters.next();
                            }
                        }
                        letter => text.push(letter),
                    }
                }
                found.push(text);
                rest = &after[end..];
            }
        }
        found
    }

    /// `{name}` as `{0}`, by place.
    fn numbered(text: &str) -> String {
        let text = text.replace("{{", "\u{2}").replace("}}", "\u{3}");
        let (mut out, mut count, mut rest) = (String::new(), 0, text.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            // A bracket of a grammar is no place.
            let Some((_, after)) = after.split_once('}') else {
                out.push_str(rest);
                rest = "";
                break;
            };
            out.push_str(&format!("{before}{{{count}}}"));
            count += 1;
            rest = after;
        }
        out.push_str(rest);
        out.replace('\u{2}', "{").replace('\u{3}', "}")
    }

    /// What the strings of files say.
    fn of_files(files: &[&str]) -> BTreeSet<String> {
        let is_text = |text: &String| {
            text.contains(' ') && text.chars().any(|letter| letter.is_ascii_alphabetic())
        };
        // Headers, addresses of ours and markup are made of other letters.
        let is_markup = |text: &String| {
            ["; ", "/", "<"].iter().any(|begin| text.starts_with(begin))
                || [
                    "Path=/",
                    "charset=",
                    "Sitemap:",
                    "Accept, ",
                    "Cookie, ",
                    "q=0.",
                    "rel=",
                    "realm=",
                    "profile=",
                    "filename=",
                    "xmlns=",
                ]
                .iter()
                .any(|part| text.contains(part))
        };
        let texts = files.iter().flat_map(|source| strings(source)).map(|text| numbered(&text));
        let is_not_said =
            |text: &String| [NOT_SAID, NOT_READ].iter().any(|of| of.contains(&text.as_str()));
        texts.filter(|text| is_text(text) && !is_markup(text) && !is_not_said(text)).collect()
    }

    /// What is not known or was withdrawn, by its kind.
    fn kinds() -> BTreeSet<String> {
        let id = || "{0}".to_owned();
        let mut all = BTreeSet::new();
        for source in FAILURES {
            let source = source.split("#[cfg(test)]").next().unwrap();
            for (before, kind) in [
                ("kind: \"", None),
                ("unknown(\"", None),
                ("make, \"", None),
                ("Gone { kind: \"", Some(())),
            ] {
                let found =
                    source.split(before).skip(1).map(|rest| rest.split('"').next().unwrap());
                for name in found.filter(|name| !name.is_empty()) {
                    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
                    all.insert(match kind {
                        None => Error::NotFound { kind: name, id: id() }.to_string(),
                        Some(()) => Error::Gone { kind: name, id: id() }.to_string(),
                    });
                }
            }
        }
        assert!(all.len() > 15, "{all:?}");
        all
    }

    fn said() -> BTreeSet<String> {
        let mut said = of_files(SOURCES);
        assert!(said.len() > 100, "{}", said.len());
        let failures = of_files(FAILURES);
        assert!(failures.len() > 80, "{}", failures.len());
        said.extend(failures);
        said.extend(kinds());
        let named = Error::Parameter { name: "{0}".to_owned(), reason: "{1}".to_owned() };
        said.insert(named.to_string());
        said.extend(REPORTED.iter().map(|text| (*text).to_owned()));
        said.extend(READERS.iter().map(|text| (*text).to_owned()));
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue/shapes");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "ttl") {
                for part in text.split("sh:message \"").skip(1) {
                    said.insert(part.split('"').next().unwrap().to_owned());
                }
            } else {
                let file: crate::catalogue::FieldsFile = toml::from_str(&text).unwrap();
                for row in file.field {
                    said.extend([row.label, row.remedy]);
                }
            }
        }
        said
    }

    /// A text with something in its places.
    fn filled(text: &str) -> String {
        let mut out = String::new();
        let (pieces, places) = cut(text);
        for (at, piece) in pieces.iter().enumerate() {
            out.push_str(piece);
            if places.get(at).is_some() {
                out.push_str(if piece.ends_with(['`', '/', '"']) { "x7" } else { "`x7`" });
            }
        }
        out
    }

    #[test]
    fn no_text_of_the_gate_is_missing_in_any_language() {
        let said = said();
        assert!(said.len() > 400, "{}", said.len());
        for tongue in Tongue::all().iter().filter(|tongue| *tongue != Tongue::english()) {
            let missing: Vec<&String> =
                said.iter().filter(|text| tongue.gate(&filled(text)).is_foreign()).collect();
            assert!(missing.is_empty(), "{}: {missing:#?}", tongue.code);
            let is_said = |text: &&String| {
                let pieces = cut(text).0;
                said.iter().any(|said| {
                    let mut rest = said.as_str();
                    pieces.iter().all(|piece| match rest.split_once(piece) {
                        Some((_, after)) => {
                            rest = after;
                            true
                        }
                        None => false,
                    })
                })
            };
            let all = || tongue.gate.iter().chain(&tongue.failure);
            let stale: Vec<&String> =
                all().map(|(english, _)| english).filter(|text| !is_said(text)).collect();
            assert!(stale.is_empty(), "{}: nobody says {stale:#?}", tongue.code);
            for (english, own) in all() {
                let places = |text: &str| {
                    let mut places = cut(text).1;
                    places.sort_unstable();
                    places
                };
                assert!(!own.trim().is_empty(), "{} {english}", tongue.code);
                assert_eq!(places(english), places(own), "{} {english}", tongue.code);
                let marks = |text: &str| text.matches('`').count();
                assert_eq!(marks(english), marks(own), "{} {english}", tongue.code);
            }
        }
    }

    #[test]
    fn a_text_made_of_the_words_of_many_costs_no_more_than_others() {
        let mut texts = vec!["x".repeat(100_000)];
        for between in
            [" or ", " and ", " with ", " in the ", ", or a ", ": ", "; ", " (`", "line "]
        {
            texts.push(format!("1{between}").repeat(200));
            texts.push(format!("the page `{}` is not known", format!("1{between}").repeat(100)));
        }
        let all = " or 1 and 1 with 1 in the 1, or a 1, once per language 1: 1; 1 is missing";
        texts.push(all.repeat(30));
        let began = std::time::Instant::now();
        for tongue in Tongue::all() {
            for text in &texts {
                let said = tongue.gate_list(text);
                assert!(!said.text.is_empty());
            }
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn every_text_is_found_with_whatever_is_put_in() {
        let hostile = ["x7", "{0}", "is missing", "7; 8, 9"];
        for tongue in Tongue::all().iter().filter(|tongue| *tongue != Tongue::english()) {
            for english in said() {
                for value in hostile {
                    let text = filled(&english).replace("x7", value);
                    assert!(!tongue.gate(&text).is_foreign(), "{} {text}", tongue.code);
                }
            }
        }
        let czech = Tongue::of("cs").unwrap();
        let nested = czech.gate("line 3: `EHR` is no code of the vocabulary `health-category`");
        assert!(nested.text.contains('3') && nested.text.contains("`EHR`"), "{}", nested.text);
        assert!(!nested.text.contains("line") && !nested.text.contains("code"), "{}", nested.text);
        for unknown in ["a text of tomorrow", "write a text of tomorrow", "line 3: of tomorrow"] {
            let other = czech.gate(unknown);
            assert_eq!((other.text.as_str(), other.lang.as_str()), (unknown, "en"));
        }
        assert!(!Tongue::english().gate("is missing").is_foreign());
    }
}
