//! How to cite a dataset: a sentence, BibTeX, RIS; and what search engines read (schema.org).

use serde_json::{Map, Value, json};

use super::tongue::Tongue;
use super::words::Phrase;

/// A citation in the forms that reference managers read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Citation {
    /// One sentence (DataCite's recommended form).
    pub text: String,
    /// BibTeX.
    pub bibtex: String,
    /// RIS.
    pub ris: String,
    /// CSL JSON (citationstyles.org, version 1.0.2): a list of one item.
    pub csl: String,
}

/// What a citation is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Cited<'c> {
    pub slug: &'c str,
    pub creators: Vec<String>,
    pub title: &'c str,
    pub version: &'c str,
    pub publisher: &'c str,
    pub year: String,
    pub date: String,
    pub address: &'c str,
    pub doi: Option<String>,
    pub abstract_: &'c str,
    pub keywords: Vec<String>,
    pub tongue: &'static Tongue,
}

impl Citation {
    pub(super) fn new(cited: &Cited<'_>) -> Self {
        Self { text: sentence(cited), bibtex: bibtex(cited), ris: ris(cited), csl: csl(cited) }
    }
}

/// Creator (year): title. Version. Publisher. Dataset. Identifier.
fn sentence(cited: &Cited<'_>) -> String {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let address = cited.doi.as_deref().unwrap_or(cited.address);
    let mut text = format!(
        "{} ({}): {}. {}.",
        line(&cited.creators.join("; ")),
        cited.year,
        line(cited.title).trim_end_matches('.'),
        cited.tongue.put("dataset.version-cited", line(cited.version)),
    );
    if !cited.publisher.is_empty() && cited.creators.iter().all(|name| name != cited.publisher) {
        text.push_str(&format!(" {}.", line(cited.publisher)));
    }
    text.push_str(&format!(" {}. {address}", cited.tongue.word("dataset.dataset-cited")));
    text
}

/// Text between braces: TeX's special characters escaped, braces balanced by being escaped.
fn tex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match letter {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => {
                out.push('\\');
                out.push(letter);
            }
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

fn bibtex(cited: &Cited<'_>) -> String {
    // The key is a slug: letters, digits, `-` and `_`.
    let key: String = cited.slug.chars().filter(char::is_ascii).collect();
    let authors: Vec<String> =
        cited.creators.iter().map(|name| format!("{{{}}}", tex(name))).collect();
    let mut out = format!("@misc{{{key}-{},\n", cited.year);
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&format!("  {name:<12} = {{{value}}},\n"));
        }
    };
    field("author", &authors.join(" and "));
    field("title", &format!("{{{}}}", tex(cited.title)));
    field("year", &cited.year);
    field("version", &tex(cited.version));
    field("publisher", &tex(cited.publisher));
    field("howpublished", "Dataset");
    if let Some(doi) = &cited.doi {
        field("doi", doi.trim_start_matches("https://doi.org/"));
    }
    field("url", &cited.address.replace(['{', '}', '\\'], ""));
    out.push_str("}\n");
    out
}

fn ris(cited: &Cited<'_>) -> String {
    let mut out = String::from("TY  - DATA\r\n");
    let mut field = |tag: &str, value: &str| {
        let value = value
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .filter(|letter| !letter.is_control())
            .collect::<String>();
        if !value.is_empty() {
            out.push_str(&format!("{tag}  - {value}\r\n"));
        }
    };
    for name in &cited.creators {
        // A comma after the name keeps organisations from being split into family and given name.
        field("AU", &format!("{name},"));
    }
    field("TI", cited.title);
    field("PY", &cited.year);
    field("DA", &cited.date.replace('-', "/"));
    field("ET", cited.version);
    field("PB", cited.publisher);
    field("AB", cited.abstract_);
    for word in &cited.keywords {
        field("KW", word);
    }
    if let Some(doi) = &cited.doi {
        field("DO", doi.trim_start_matches("https://doi.org/"));
    }
    field("UR", cited.address);
    out.push_str("ER  - \r\n");
    out
}

fn csl(cited: &Cited<'_>) -> String {
    let parts: Vec<u32> = cited.date.split('-').filter_map(|part| part.parse().ok()).collect();
    let authors: Vec<Value> =
        cited.creators.iter().map(|name| json!({ "literal": name })).collect();
    let mut item = json!({
        "id": format!("{}-{}", cited.slug, cited.year),
        "type": "dataset",
        "title": cited.title,
        "author": authors,
        "issued": { "date-parts": [parts] },
        "version": cited.version,
        "publisher": cited.publisher,
        "abstract": cited.abstract_,
        "keyword": cited.keywords.join(", "),
        "URL": cited.address,
        "DOI": cited.doi.as_deref().map(|doi| doi.trim_start_matches("https://doi.org/")),
    });
    if let Some(fields) = item.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
    }
    let mut text = serde_json::to_string_pretty(&json!([item])).unwrap_or_default();
    text.push('\n');
    text
}

/// What schema.org's `Dataset` is made of beyond the citation.
#[derive(Clone, Debug)]
pub(super) struct Described<'d> {
    pub description: &'d Phrase,
    pub language: &'d str,
    pub creators: Vec<Value>,
    pub publisher: Option<Value>,
    pub licences: Vec<String>,
    pub conditions: &'d str,
    pub is_free: bool,
    pub issued: String,
    pub modified: String,
    pub temporal: Option<String>,
    pub spatial: Vec<String>,
    pub techniques: Vec<String>,
    pub sites: Vec<String>,
    pub variables: Vec<(String, String)>,
    pub distributions: Vec<Value>,
    pub same_as: Vec<String>,
    pub catalog: (String, String),
    pub citations: Vec<String>,
    pub size: Option<String>,
}

/// schema.org `Dataset` by the rules of dataset search engines: a description of 50 to 5000
/// characters, `license`, `creator`, `distribution`, `includedInDataCatalog`.
pub(super) fn json_ld(cited: &Cited<'_>, described: &Described<'_>) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        let is_empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if !is_empty {
            out.insert(name.to_owned(), value);
        }
    };
    put("@context", json!("https://schema.org/"));
    put("@type", json!("Dataset"));
    put("@id", json!(cited.address));
    put("url", json!(cited.address));
    put("name", json!(cited.title));
    put("description", json!(description(&described.description.text, cited.title)));
    put("inLanguage", json!(described.language));
    put(
        "identifier",
        match &cited.doi {
            Some(doi) => json!([doi, cited.address]),
            None => json!(cited.address),
        },
    );
    put("sameAs", json!(described.same_as));
    put("keywords", json!(cited.keywords));
    put("version", json!(cited.version));
    put("datePublished", json!(described.issued));
    put("dateModified", json!(described.modified));
    put(
        "license",
        match described.licences.as_slice() {
            [one] => json!(one),
            many => json!(many),
        },
    );
    put("conditionsOfAccess", json!(described.conditions));
    put("isAccessibleForFree", if described.is_free { json!(true) } else { Value::Null });
    put("creator", json!(described.creators));
    put("publisher", described.publisher.clone().unwrap_or(Value::Null));
    put("temporalCoverage", json!(described.temporal));
    put("spatialCoverage", json!(described.spatial));
    put("measurementTechnique", json!(described.techniques));
    put(
        "about",
        described
            .sites
            .iter()
            .map(|site| json!({ "@type": "AnatomicalStructure", "name": site }))
            .collect(),
    );
    put("variableMeasured", described.variables.iter().map(|(name, text)| {
        json!({ "@type": "PropertyValue", "name": name, "description": text })
    }).collect());
    put("size", json!(described.size));
    put("distribution", json!(described.distributions));
    put("citation", json!(described.citations));
    put(
        "includedInDataCatalog",
        json!({
            "@type": "DataCatalog", "name": described.catalog.0, "url": described.catalog.1,
        }),
    );
    Value::Object(out)
}

/// Search engines drop a dataset whose description has fewer than 50 characters.
fn description(text: &str, title: &str) -> String {
    let text = text.trim();
    let text = if text.chars().count() < 50 {
        format!("{title}: {text} (an imaging dataset described by its data holder)")
    } else {
        text.to_owned()
    };
    text.chars().take(5_000).collect()
}

/// JSON that may stand in a script element: nothing in it can end the element or begin a
/// comment, and it is valid JavaScript too (U+2028, U+2029).
pub(super) fn for_script(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Citation, Cited, for_script};
    use serde_json::json;

    fn cited() -> Cited<'static> {
        Cited {
            slug: "lung-ldct",
            creators: vec!["Hospital {A} & B".to_owned()],
            title: "Lung\nER  - \n100 %",
            version: "1.0",
            publisher: "Publisher_1",
            year: "2026".to_owned(),
            date: "2026-11-01".to_owned(),
            address: "https://node.example.org/dataset/lung-ldct",
            doi: Some("https://doi.org/10.1/x".to_owned()),
            abstract_: "",
            keywords: vec!["a".to_owned()],
            tongue: super::Tongue::english(),
        }
    }

    #[test]
    fn citations_cannot_be_broken_out_of() {
        let Citation { text, bibtex, ris, csl } = Citation::new(&cited());
        assert_eq!(
            text,
            "Hospital {A} & B (2026): Lung ER - 100 %. Version 1.0. Publisher_1. Dataset. \
             https://doi.org/10.1/x"
        );
        assert!(bibtex.contains("{{Hospital \\{A\\} \\& B}}"), "{bibtex}");
        assert!(bibtex.contains("100 \\%"), "{bibtex}");
        let csl: serde_json::Value = serde_json::from_str(&csl).unwrap();
        assert_eq!(csl[0]["DOI"], "10.1/x");
        assert_eq!(csl[0]["issued"]["date-parts"][0], json!([2026, 11, 1]));
        assert_eq!(csl[0]["title"], "Lung\nER  - \n100 %");
        assert_eq!(ris.lines().filter(|line| line.starts_with("ER")).count(), 1, "{ris}");
    }

    #[test]
    fn json_in_a_script_cannot_end_it() {
        let value = json!({ "name": "</script><!--<script> & \u{2028}" });
        let text = for_script(&value);
        assert!(!text.contains(['<', '>', '&', '\u{2028}']), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
