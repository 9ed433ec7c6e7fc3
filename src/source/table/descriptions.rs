//! Rows of a table of datasets become dataset descriptions, as a steward would write them.
//!
//! In: a Parquet file with one row per dataset and a [`DescriptionTable`]. Out: TOML documents
//! for the catalogue. Absent: the catalogue's own types; it reads and judges the documents.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;

use ::parquet::file::reader::FileReader as _;
use ::parquet::record::{Field, Row};
use toml::{Table as Toml, Value};

use crate::error::{Error, Result};
use crate::mapping::tables::{self, DescriptionTable, Licence, Mapping, line_of};

use super::parquet::{guarded, open};
use super::transform::{doi, one_line};

/// Rows that are read at most: a catalogue, not an archive.
const MOST: usize = 100_000;

/// The descriptions of a table: slug (the name of the file, without `.toml`) and TOML text.
///
/// # Errors
/// [`Error::Configuration`] when the mapping or the table's columns are wrong,
/// [`Error::Invalid`] when the file cannot be read.
pub fn descriptions_from_table(
    mapping: &str,
    overrides: Option<&Path>,
    file: &Path,
) -> Result<Vec<(String, String)>> {
    let (text, place) = tables::find(mapping, overrides)?;
    let Mapping::Descriptions(mapping) = tables::parse(&text, &place)? else {
        return Err(Error::Configuration(format!(
            "{place}: maps a table of series, not of dataset descriptions; use it with `vesalius \
             ingest table`"
        )));
    };
    let unreadable =
        |detail: String| Error::Invalid(format!("{}: cannot be read ({detail})", file.display()));
    let opened = File::open(file).map_err(|failure| unreadable(failure.to_string()))?;
    let reader = open(opened).map_err(unreadable)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let columns: Vec<_> =
        schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    if let Some((near, missing)) =
        mapping.columns().into_iter().find(|(_, column)| !columns.contains(column))
    {
        let line = line_of(&text, text.find(&near).unwrap_or(0));
        return Err(Error::Configuration(format!(
            "{place}, line {line}: {} has no column `{missing}`; its columns are {}",
            file.display(),
            columns.join(", ")
        )));
    }
    let mut descriptions = Vec::new();
    let mut slugs = HashSet::new();
    let mut rows = guarded(|| reader.get_row_iter(None)).map_err(unreadable)?;
    while let Some(row) = guarded(|| rows.next().transpose()).map_err(unreadable)? {
        if descriptions.len() >= MOST {
            return Err(unreadable(format!("it has more than {MOST} rows")));
        }
        let number = descriptions.len() + 1;
        let (slug, description) = description(&mapping, &row, &place)
            .map_err(|problem| unreadable(format!("row {number}: {problem}")))?;
        if !slugs.insert(slug.clone()) {
            return Err(unreadable(format!("row {number}: `{slug}` is there twice")));
        }
        let document = toml::to_string_pretty(&description)
            .map_err(|failure| Error::Internal(failure.to_string()))?;
        let head = format!("# {}: row `{slug}`, by the table mapping {place}.\n\n", mapping.title);
        descriptions.push((slug, head + &document));
    }
    Ok(descriptions)
}

impl DescriptionTable {
    /// The columns that the mapping names, each with a text that stands near it in the file.
    fn columns(&self) -> Vec<(String, String)> {
        let mut columns = vec![("collection".to_owned(), self.collection.get_ref().clone())];
        columns.push(("[sources]".to_owned(), self.sources.column.clone()));
        columns.extend(self.keywords.iter().map(|c| ("keywords".to_owned(), c.clone())));
        columns.extend(self.codes.iter().map(|c| (c.matches.clone(), c.column.clone())));
        for text in self.texts.values() {
            columns.extend(placeholders(text).map(|c| (text.clone(), c.to_owned())));
        }
        let own = ["licence", "citations"];
        let distribution = &self.distribution;
        for text in [&distribution.title, &distribution.description, &distribution.access_url] {
            let foreign = placeholders(text).filter(|name| !own.contains(name));
            columns.extend(foreign.map(|c| (text.clone(), c.to_owned())));
        }
        columns
    }
}

struct SourceRow {
    doi: String,
    licence: String,
    citation: String,
}

fn description(
    mapping: &DescriptionTable,
    row: &Row,
    place: &str,
) -> Result<(String, Toml), String> {
    let mut values = BTreeMap::new();
    let mut sources = Vec::new();
    for (name, field) in row.get_column_iter() {
        if *name == mapping.sources.column {
            sources = source_rows(mapping, field);
        } else if let Some(text) = text_of(field) {
            values.insert(name.clone(), plain_text(&text));
        }
    }
    let value = |name: &str| values.get(name).map_or("", String::as_str);
    let collection = value(mapping.collection.get_ref()).to_owned();
    let is_slug = !collection.is_empty()
        && collection.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !is_slug {
        return Err(format!(
            "`{collection}` in `{}` cannot be part of an address",
            mapping.collection.get_ref()
        ));
    }

    let mut out = mapping.defaults.clone();
    let text = |text: &str| Value::String(text.to_owned());
    let in_language = |value: Value| {
        let mut table = Toml::new();
        table.insert(mapping.language.clone(), value);
        Value::Table(table)
    };
    for (key, template) in &mapping.texts {
        let Some(filled) = fill(template, &values) else { continue };
        let filled = text(&filled);
        let is_per_language = mapping.languages.contains(key);
        out.insert(key.clone(), if is_per_language { in_language(filled) } else { filled });
    }
    let keywords = keywords(mapping, &values);
    if !keywords.is_empty() {
        out.insert("keywords".to_owned(), in_language(Value::Array(keywords)));
    }
    for rule in &mapping.codes {
        let matches = regex::Regex::new(&rule.matches).map_err(|failure| failure.to_string())?;
        if matches.is_match(value(&rule.column)) {
            let list = out.entry(rule.key.clone()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(text(&rule.code));
            }
        }
    }
    let mut dois = Vec::new();
    for source in sources.iter().filter(|source| !source.doi.is_empty()) {
        let address = text(&format!("https://doi.org/{}", doi(&source.doi)));
        if !dois.contains(&address) {
            dois.push(address);
        }
    }
    if !dois.is_empty() {
        out.insert("sources".to_owned(), Value::Array(dois));
    }

    let terms = |term: &str| Value::Array(vec![text(term)]);
    let mut selection = Toml::new();
    selection.insert("collection".to_owned(), terms(&collection));
    out.insert("selection".to_owned(), Value::Table(selection));

    let mut names: Vec<&str> = Vec::new();
    for source in &sources {
        if !names.contains(&source.licence.as_str()) {
            names.push(&source.licence);
        }
    }
    names.sort_unstable();
    let mut distributions = Vec::new();
    for name in names {
        let licence = mapping.licences.iter().find(|licence| licence.name == name);
        let licence = licence.ok_or_else(|| {
            format!("the licence `{name}` stands in no `[[licence]]` of {place}; add it")
        })?;
        let citations = sources.iter().filter(|source| source.licence == name);
        let citations = citations.map(|source| source.citation.as_str());
        distributions.push(Value::Table(distribution(mapping, licence, citations, &values)));
    }
    if !distributions.is_empty() {
        out.insert("distribution".to_owned(), Value::Array(distributions));
    }
    Ok((collection, out))
}

/// The part of the data that is under one licence.
fn distribution<'a>(
    mapping: &DescriptionTable,
    licence: &Licence,
    citations: impl Iterator<Item = &'a str>,
    values: &BTreeMap<String, String>,
) -> Toml {
    let mut values = values.clone();
    values.insert("licence".to_owned(), licence.label.clone());
    let mut said: Vec<&str> = Vec::new();
    for citation in citations {
        if !citation.is_empty() && !said.contains(&citation) {
            said.push(citation);
        }
    }
    values.insert("citations".to_owned(), said.join("\n\n"));
    let texts = &mapping.distribution;
    let mut out = texts.defaults.clone();
    for (key, template) in [("title", &texts.title), ("description", &texts.description)] {
        if let Some(filled) = fill(template, &values) {
            let mut table = Toml::new();
            table.insert(mapping.language.clone(), Value::String(filled));
            out.insert(key.to_owned(), Value::Table(table));
        }
    }
    if let Some(address) = fill(&texts.access_url, &values) {
        out.insert("access_url".to_owned(), Value::String(address));
    }
    out.insert("licence".to_owned(), Value::String(licence.iri.clone()));
    let mut selection = Toml::new();
    let terms = Value::Array(vec![Value::String(licence.name.clone())]);
    selection.insert("licence".to_owned(), terms);
    out.insert("selection".to_owned(), Value::Table(selection));
    out
}

fn keywords(mapping: &DescriptionTable, values: &BTreeMap<String, String>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let of_columns = mapping
        .keywords
        .iter()
        .filter_map(|column| values.get(column))
        .flat_map(|text| text.split([',', ';']));
    of_columns
        .chain(mapping.constant_keywords.iter().map(String::as_str))
        .map(one_line)
        .filter(|word| !word.is_empty() && seen.insert(word.to_lowercase()))
        .map(Value::String)
        .collect()
}

fn source_rows(mapping: &DescriptionTable, field: &Field) -> Vec<SourceRow> {
    let Field::ListInternal(list) = field else { return Vec::new() };
    let columns = &mapping.sources;
    list.elements()
        .iter()
        .filter_map(|element| match element {
            Field::Group(row) => Some(SourceRow {
                doi: inner(row, &columns.doi),
                licence: inner(row, &columns.licence),
                citation: one_line(&plain_text(&inner(row, &columns.citation))),
            }),
            _ => None,
        })
        .collect()
}

/// The text at a dotted path of a nested value.
fn inner(row: &Row, path: &str) -> String {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let field = row.get_column_iter().find(|(known, _)| *known == name).map(|(_, field)| field);
    match (field, rest) {
        (Some(Field::Group(row)), Some(rest)) => inner(row, rest),
        (Some(field), None) => text_of(field).unwrap_or_default(),
        _ => String::new(),
    }
}

fn text_of(field: &Field) -> Option<String> {
    let text = match field {
        Field::Str(text) => text.trim().to_owned(),
        Field::Null | Field::ListInternal(_) | Field::Group(_) | Field::MapInternal(_) => {
            return None;
        }
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name))
}

/// The template with its columns; nothing when one of them is empty.
fn fill(template: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let mut parts = template.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        let value = values.get(name).filter(|value| !value.is_empty())?;
        out.push_str(value);
        out.push_str(rest);
    }
    (!out.is_empty()).then_some(out)
}

/// Markup removed, character references resolved, lines that were only wrapped joined,
/// paragraphs kept.
pub(super) fn plain_text(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, tail) = rest.split_at(at);
        bare.push_str(before);
        let (put, used) = match tail.as_bytes().first() {
            Some(b'<') => tag(tail),
            _ => reference(tail),
        };
        bare.push_str(&put);
        rest = tail.get(used..).unwrap_or("");
    }
    bare.push_str(rest);

    let mut out = String::with_capacity(bare.len());
    for paragraph in bare.replace("\r\n", "\n").split("\n\n") {
        let paragraph = one_line(paragraph);
        if !paragraph.is_empty() {
            if !out.is_empty() {
                out.push_str("\n\n");
            }
            out.push_str(&paragraph);
        }
    }
    out
}

/// What stands for a tag, and how many bytes it has. `< 18 years` is no tag.
fn tag(text: &str) -> (String, usize) {
    let inner = text.get(1..).unwrap_or("");
    let is_tag = inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
    let Some(end) = inner.find('>').filter(|end| is_tag && *end <= 2_000) else {
        return ("<".to_owned(), 1);
    };
    let name: String = inner
        .trim_start_matches('/')
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    let is_block =
        matches!(name.as_str(), "p" | "div" | "ul" | "ol" | "table" | "h1" | "h2" | "h3");
    let put = match name.as_str() {
        _ if is_block => "\n\n",
        "br" | "li" | "tr" | "td" => " ",
        _ => "",
    };
    (put.to_owned(), end + 2)
}

/// What a character reference stands for, and how many bytes it has.
fn reference(text: &str) -> (String, usize) {
    let plain = ("&".to_owned(), 1);
    let Some((name, _)) = text.get(1..).and_then(|rest| rest.split_once(';')) else { return plain };
    if name.is_empty() || name.len() > 10 {
        return plain;
    }
    let number = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        },
        None => None,
    };
    let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
    let found = number.and_then(char::from_u32).filter(|c| !c.is_control()).or(named);
    found.map_or(plain, |c| (c.to_string(), name.len() + 2))
}

/// Character references of HTML 4 that prose uses (HTML 4.01 section 24).
const NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("hellip", '…'),
    ("bull", '•'),
    ("middot", '·'),
    ("deg", '°'),
    ("plusmn", '±'),
    ("times", '×'),
    ("micro", 'µ'),
    ("sup2", '²'),
    ("sup3", '³'),
    ("frac12", '½'),
    ("le", '≤'),
    ("ge", '≥'),
    ("alpha", 'α'),
    ("beta", 'β'),
    ("gamma", 'γ'),
    ("mu", 'μ'),
    ("reg", '®'),
    ("trade", '™'),
    ("copy", '©'),
    ("sect", '§'),
    ("euro", '€'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("ccedil", 'ç'),
    ("ntilde", 'ñ'),
    ("oacute", 'ó'),
    ("iacute", 'í'),
    ("uacute", 'ú'),
    ("oslash", 'ø'),
    ("aring", 'å'),
];

#[cfg(test)]
mod tests {
    use super::{fill, plain_text};

    #[test]
    fn markup_goes_and_the_text_stays() {
        for (text, expected) in [
            ("pediatric (< 18 years) &amp; adults", "pediatric (< 18 years) & adults"),
            ("a <i>Data</i>\nset", "a Data set"),
            ("<p>one</p><p>two<br>three</p>", "one\n\ntwo three"),
            ("one\n\n two", "one\n\ntwo"),
            ("H&E-stained; R&D", "H&E-stained; R&D"),
            ("&#956;m &#x3bc;m &beta; &unknown; &", "μm μm β &unknown; &"),
            ("<a href=\"x\">link</a> &lt;b&gt;", "link <b>"),
            ("p<0.05 and x<y", "p<0.05 and x<y"),
        ] {
            assert_eq!(plain_text(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_with_an_empty_column_is_left_out() {
        let values = [("a".to_owned(), "x".to_owned()), ("b".to_owned(), String::new())].into();
        assert_eq!(fill("{a}-{a}.", &values).as_deref(), Some("x-x."));
        assert_eq!(fill("{a}{b}", &values), None);
        assert_eq!(fill("{c}", &values), None);
    }
}
