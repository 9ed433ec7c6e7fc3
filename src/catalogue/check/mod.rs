//! Reads a description and refuses what a steward must mend, with file, line, key and remedy.

mod addresses;
mod choices;
mod parts;
mod types;
mod words;

use std::fmt;
use std::path::Path;

use oxrdf::NamedNode;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::description::Description;
use super::release::Release;
use crate::config::Config;

/// What is wrong with a description, where, and what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key, dotted; empty when it is none's.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        // What breaks the grammar, or is wrong with the file, is no key's.
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

/// Reads a description file's text. `file` is its name for messages.
///
/// # Errors
/// Every refusal that the text gives, in the order of lines.
pub fn read(
    file: &str,
    text: &str,
    release: &Release,
    config: &Config,
) -> Result<Description, Vec<Refusal>> {
    let mut lines = Lines::new(file, text);
    let (root, failures) = DeTable::parse_recoverable(text);
    lines.root = Some(root.into_inner());
    for failure in failures.iter().take(MOST) {
        lines.broken(failure, "write TOML (toml.io)");
    }
    // What is no TOML says nothing that could be held to more.
    let Some(description) = failures.is_empty().then(|| lines.typed()).flatten() else {
        lines.refusals.sort_by_key(|refusal| refusal.line);
        return Err(lines.refusals);
    };
    let slug = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if !is_slug(slug) {
        lines.refuse(
            "",
            "the file's name becomes the dataset's address",
            "name it with a-z, 0-9, `-` and `_`, at most 100 characters, and `.toml`",
        );
    }
    lines.names(&description, slug);
    lines.words(&description);
    lines.choices(&description, release);
    lines.addresses(&description, release);
    lines.parts(&description, release);
    lines.level(&description, config);
    lines.refusals.sort_by_key(|refusal| refusal.line);
    if lines.refusals.is_empty() { Ok(description) } else { Err(lines.refusals) }
}

/// Whether it can be the last part of a dataset's address.
#[must_use]
pub fn is_slug(slug: &str) -> bool {
    (1..=100).contains(&slug.len())
        && slug
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
        && !slug.starts_with(['-', '_'])
}

/// Mistakes of one kind that are named in one text.
const MOST: usize = 200;

struct Lines<'t> {
    file: &'t str,
    text: &'t str,
    root: Option<DeTable<'t>>,
    /// Dotted keys that were left out because they cannot be read, as in the text.
    left_out: Vec<String>,
    /// Items of lists that were left out: the list's key and the place, as in the text.
    gaps: Vec<(String, usize)>,
    refusals: Vec<Refusal>,
}

impl<'t> Lines<'t> {
    const fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            root: None,
            left_out: Vec::new(),
            gaps: Vec::new(),
            refusals: Vec::new(),
        }
    }
}

impl Lines<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        before.bytes().filter(|b| *b == b'\n').count() + 1
    }

    /// The line of a dotted key (`distribution.0.format`), or of what is nearest above it.
    fn place(&self, key: &str) -> usize {
        let mut line = 1;
        let Some(root) = &self.root else { return line };
        let mut table = Some(root);
        let mut array = None;
        for part in key.split('.').filter(|part| !part.is_empty()) {
            let found: Option<(usize, &Spanned<DeValue<'_>>)> = if let Some(current) = table {
                current
                    .iter()
                    .find(|(name, _)| name.get_ref() == part)
                    .map(|(name, value)| (name.span().start, value))
            } else if let Some(current) = array.take() {
                let items: &toml::de::DeArray<'_> = current;
                part.parse()
                    .ok()
                    .and_then(|place: usize| items.get(place))
                    .map(|value| (value.span().start, value))
            } else {
                None
            };
            let Some((offset, value)) = found else { return line };
            line = self.line(offset);
            table = None;
            match value.get_ref() {
                DeValue::Table(inner) => table = Some(inner),
                DeValue::Array(inner) => array = Some(inner),
                _ => {}
            }
        }
        line
    }

    /// What is said of a key that was left out, or of what lacks it now, is said already.
    fn refuse(&mut self, key: &str, problem: &str, remedy: &str) {
        let key = self.in_the_text(key);
        let is_within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if self.left_out.iter().any(|left| is_within(&key, left) || is_within(left, &key)) {
            return;
        }
        let line = self.place(&key);
        self.refusals.push(Refusal {
            file: self.file.to_owned(),
            line,
            key,
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    /// Refuses a key that cannot be read as what it is to be.
    fn unreadable(&mut self, key: &str, failure: &toml::de::Error) {
        let (problem, remedy) = said(failure, types::SCHEMA);
        let line = self.place(key);
        let file = self.file.to_owned();
        self.refusals.push(Refusal { file, line, key: key.to_owned(), problem, remedy });
    }

    fn broken(&mut self, failure: &toml::de::Error, remedy: &str) {
        let offset = failure.span().map_or(0, |span| span.start);
        let line = self.line(offset);
        let span = failure.span().and_then(|span| self.text.get(span)).unwrap_or_default();
        let key = self
            .root
            .as_ref()
            .and_then(|root| key_at(root, offset))
            .unwrap_or_else(|| span.lines().next().unwrap_or_default().trim().to_owned());
        let (problem, remedy) = said(failure, remedy);
        self.refusals.push(Refusal { file: self.file.to_owned(), line, key, problem, remedy });
    }

    /// The slugs that a description names.
    fn names(&mut self, description: &Description, own: &str) {
        for (place, slug) in description.formerly.iter().enumerate() {
            if !is_slug(slug) || slug == own {
                self.refuse(
                    &format!("formerly.{place}"),
                    "is no former slug of the dataset",
                    "write the former file's name without `.toml`, as in `formerly = [\"old-name\"]`",
                );
            }
        }
        if let Some(slug) = &description.replaced_by
            && (!description.withdrawn || !is_slug(slug) || slug == own)
        {
            self.refuse(
                "replaced_by",
                "only a withdrawn dataset is replaced, by another one",
                "write `withdrawn = true` and the other file's name without `.toml`",
            );
        }
    }
}

/// What a parser says, and a remedy.
fn said(failure: &toml::de::Error, remedy: &str) -> (String, String) {
    let problem = failure.message().split('\n').next().unwrap_or_default().to_owned();
    let remedy = nearest(&problem)
        .map_or_else(|| remedy.to_owned(), |near| format!("did you mean `{near}`? {remedy}"));
    (problem, remedy)
}

/// The dotted key of the innermost name or value at a place of the text. A table may be written in
/// pieces, so that all of them are looked through; the parser bounds how deep they nest.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(name, value)| {
        let below = within(value, offset);
        let is_here = name.span().contains(&offset) || value.span().contains(&offset);
        match below {
            Some(below) => Some(format!("{}.{below}", name.get_ref())),
            None => is_here.then(|| name.get_ref().to_string()),
        }
    })
}

fn within(value: &Spanned<DeValue<'_>>, offset: usize) -> Option<String> {
    match value.get_ref() {
        DeValue::Table(table) => key_at(table, offset),
        DeValue::Array(items) => items.iter().enumerate().find_map(|(at, item)| {
            let below = within(item, offset).map(|below| format!("{at}.{below}"));
            below.or_else(|| item.span().contains(&offset).then(|| at.to_string()))
        }),
        _ => None,
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// Embeddings, overrides and isolates of direction (Unicode UAX #9): they hide or reorder the text
/// that follows. Our own harvester refuses titles with them (`shapes/harvest.ttl`).
fn misleads(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && NamedNode::new(url).is_ok()
}

/// The key that an unknown field may have meant, from serde's own list in the message.
fn nearest(message: &str) -> Option<String> {
    let mut names = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return None;
    }
    let wrong = names.next()?;
    names
        .map(|name| (distance(name, wrong), name))
        .min()
        .filter(|(far, _)| *far <= 3)
        .map(|(_, name)| name.to_owned())
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, x) in a.chars().take(100).enumerate() {
        let mut last = line;
        row[0] = line + 1;
        for (place, y) in b.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = (last + usize::from(x != *y)).min(above + 1).min(row[place] + 1);
            last = above;
        }
    }
    row[b.len()]
}
