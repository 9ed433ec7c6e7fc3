//! Text per language, words per language, calendar days: the values that a description is made of.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text per language. A plain string is in the catalogue's language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Text(BTreeMap<String, String>);

impl Text {
    /// A text in one language (BCP 47); the empty tag means the catalogue's language.
    #[must_use]
    pub fn new(language: &str, text: &str) -> Self {
        Self(BTreeMap::from([(language.to_owned(), text.to_owned())]))
    }

    /// Puts a translation.
    pub fn put(&mut self, language: &str, text: &str) {
        self.0.insert(language.to_owned(), text.to_owned());
    }

    /// Language tags and texts, by tag; the empty tag means the catalogue's language.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(language, text)| (language.as_str(), text.as_str()))
    }

    /// Whether there is nothing in any language.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text in that language, else in the catalogue's, else in English, else the first.
    #[must_use]
    pub fn best(&self, language: &str) -> &str {
        [language, "", "en"]
            .iter()
            .find_map(|wanted| self.0.get(*wanted))
            .or_else(|| self.0.values().next())
            .map_or("", String::as_str)
    }
}

/// Words per language. A plain list is in the catalogue's language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Words(BTreeMap<String, Vec<String>>);

impl Words {
    /// Words in one language.
    #[must_use]
    pub fn new(language: &str, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self(BTreeMap::from([(language.to_owned(), words)]))
    }

    /// Language tags and words, by tag.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(language, words)| {
            words.iter().map(|word| (language.as_str(), word.as_str()))
        })
    }

    /// Whether there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }
}

/// A calendar day; in TOML a date or a string.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Day(pub jiff::civil::Date);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

// A map or a plain value: written by hand, because serde's untagged enums lose the line and
// column of what is wrong.
macro_rules! per_language {
    ($name:ident, $value:ty, $expecting:literal, $visit:item) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct PerLanguage;
                impl<'de> Visitor<'de> for PerLanguage {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    $visit
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut texts = BTreeMap::new();
                        while let Some((language, text)) = map.next_entry::<String, $value>()? {
                            if !is_language(&language) {
                                return Err(serde::de::Error::custom(format!(
                                    "`{language}` is no language tag; write a tag of BCP 47 such as `en`"
                                )));
                            }
                            texts.insert(language, text);
                        }
                        Ok($name(texts))
                    }
                }
                deserializer.deserialize_any(PerLanguage)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match (self.0.len(), self.0.get("")) {
                    (1, Some(text)) => text.serialize(serializer),
                    _ => self.0.serialize(serializer),
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let one = generator.subschema_for::<$value>();
                schemars::json_schema!({
                    "anyOf": [one.clone(), { "type": "object", "additionalProperties": one }]
                })
            }
        }
    };
}

per_language!(
    Text,
    String,
    "a string, or a table of language tags and strings (`title.en = \"…\"`)",
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::new("", text))
    }
);

per_language!(
    Words,
    Vec<String>,
    "a list of strings, or a table of language tags and lists (`keywords.en = [\"…\"]`)",
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(Words(BTreeMap::from([(String::new(), words)])))
    }
);

/// A language tag as BCP 47 shapes it: `en`, `pt-BR`.
pub(in crate::catalogue) fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Civil;
        fn read<E: serde::de::Error>(text: &str) -> Result<Day, E> {
            text.parse().map(Day).map_err(|_| {
                E::custom(format!("`{text}` is no calendar day; write it as 2026-11-01"))
            })
        }
        impl<'de> Visitor<'de> for Civil {
            type Value = Day;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a day such as 2026-11-01")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Day, E> {
                read(text)
            }
            // TOML's own dates come as a map of one private key.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Day, A::Error> {
                let entry = map.next_entry::<String, toml_date::Text>()?;
                let (_, text) = entry.ok_or_else(|| serde::de::Error::custom("a day is empty"))?;
                read(&text.0)
            }
        }
        deserializer.deserialize_any(Civil)
    }
}

mod toml_date {
    /// The text of a TOML date, whatever the deserialiser hands over.
    #[derive(serde::Deserialize)]
    #[serde(transparent)]
    pub(super) struct Text(pub(super) String);
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date" })
    }
}
