//! Bags of DICOM attributes by keyword.

use std::fmt;

use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The keyword of a standard DICOM attribute, spelled as in PS3.6 (`StudyInstanceUID`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Keyword(&'static str);

/// The text is no keyword of PS3.6.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a DICOM keyword (PS3.6 chapter 6)")]
pub struct NotAKeyword(pub String);

impl Keyword {
    /// Looks the keyword up in the data dictionary.
    ///
    /// # Errors
    /// When PS3.6 does not list it.
    pub fn parse(text: &str) -> Result<Self, NotAKeyword> {
        StandardDataDictionary
            .by_name(text)
            .map(|entry| Self(entry.alias))
            .ok_or_else(|| NotAKeyword(text.to_owned()))
    }

    /// The keyword as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The value of one attribute: decoded text, or the items of a sequence (VR `SQ`).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Value {
    /// Decoded to Unicode, padding trimmed; several values stand between backslashes, as in
    /// PS3.5 section 6.4. Never empty: an empty attribute is left out of the bag.
    Text(Box<str>),
    /// The items of a sequence, in order; never empty.
    Items(Box<[Attributes]>),
}

/// The attributes of one level (patient, study, series) or of one sequence item, by keyword.
///
/// Kept sorted by keyword, so that equal bags have equal bytes when stored.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Attributes(Vec<(Keyword, Value)>);

impl Attributes {
    /// An empty bag.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets text; text that is empty after trimming removes the attribute.
    pub fn set(&mut self, keyword: Keyword, text: &str) {
        let text = text.trim_matches([' ', '\0']);
        if text.is_empty() {
            self.remove(keyword);
        } else {
            self.put(keyword, Value::Text(text.into()));
        }
    }

    /// Sets a sequence; one without items removes the attribute.
    pub fn set_items(&mut self, keyword: Keyword, items: Vec<Self>) {
        if items.is_empty() {
            self.remove(keyword);
        } else {
            self.put(keyword, Value::Items(items.into()));
        }
    }

    /// Forgets the attribute.
    pub fn remove(&mut self, keyword: Keyword) {
        if let Ok(at) = self.place(keyword.0) {
            self.0.remove(at);
        }
    }

    fn put(&mut self, keyword: Keyword, value: Value) {
        // Sources hand keywords over in their order.
        if self.0.last().is_none_or(|(last, _)| last.0 < keyword.0) {
            self.0.push((keyword, value));
            return;
        }
        match self.place(keyword.0) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (keyword, value)),
        }
    }

    fn place(&self, keyword: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.0.cmp(keyword))
    }

    /// The value as it is.
    #[must_use]
    pub fn value(&self, keyword: &str) -> Option<&Value> {
        self.place(keyword).ok().map(|at| &self.0[at].1)
    }

    /// The whole text, backslashes included; `None` for a sequence or an absent attribute.
    #[must_use]
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match self.value(keyword) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The first of the values between backslashes.
    #[must_use]
    pub fn first(&self, keyword: &str) -> Option<&str> {
        self.texts(keyword).next()
    }

    /// The values between backslashes that are not empty, trimmed.
    pub fn texts(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.text(keyword)
            .into_iter()
            .flat_map(|text| text.split('\\'))
            .map(|text| text.trim_matches([' ', '\0']))
            .filter(|text| !text.is_empty())
    }

    /// The items of a sequence; none for text or an absent attribute.
    #[must_use]
    pub fn items(&self, keyword: &str) -> &[Self] {
        match self.value(keyword) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// Every attribute, in the order of the keywords.
    pub fn iter(&self) -> impl Iterator<Item = (Keyword, &Value)> {
        self.0.iter().map(|(keyword, value)| (*keyword, value))
    }
}

impl FromIterator<(Keyword, Value)> for Attributes {
    fn from_iter<T: IntoIterator<Item = (Keyword, Value)>>(iter: T) -> Self {
        let mut bag = Self::new();
        for (keyword, value) in iter {
            bag.put(keyword, value);
        }
        bag
    }
}

/// `{"StudyDate":"20240131","ProcedureCodeSequence":[{"CodeValue":"…"}]}`: how a bag is stored.
impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (keyword, value) in &self.0 {
            match value {
                Value::Text(text) => map.serialize_entry(keyword.0, &**text)?,
                Value::Items(items) => map.serialize_entry(keyword.0, &**items)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Bag)
    }
}

struct Bag;

impl<'de> Visitor<'de> for Bag {
    type Value = Attributes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from DICOM keyword to text or items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
        let mut bag = Attributes::new();
        while let Some(keyword) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let keyword = Keyword::parse(&keyword).map_err(A::Error::custom)?;
            bag.put(keyword, map.next_value()?);
        }
        Ok(bag)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrItems)
    }
}

struct TextOrItems;

impl<'de> Visitor<'de> for TextOrItems {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or an array of items")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Items(items.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Keyword};

    fn keyword(text: &str) -> Keyword {
        Keyword::parse(text).unwrap()
    }

    #[test]
    fn a_bag_comes_back_from_json_as_it_went() {
        let mut code = Attributes::new();
        code.set(keyword("CodeValue"), "71651007");
        let mut bag = Attributes::new();
        bag.set_items(keyword("ProcedureCodeSequence"), vec![code]);
        bag.set(keyword("StudyDescription"), " screening ");
        bag.set(keyword("AccessionNumber"), "  ");
        let json = serde_json::to_string(&bag).unwrap();
        assert_eq!(
            json,
            r#"{"ProcedureCodeSequence":[{"CodeValue":"71651007"}],"StudyDescription":"screening"}"#
        );
        assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), bag);
    }

    #[test]
    fn several_values_stand_between_backslashes() {
        let mut bag = Attributes::new();
        bag.set(keyword("ImageType"), r"ORIGINAL\PRIMARY\\AXIAL ");
        assert_eq!(bag.texts("ImageType").collect::<Vec<_>>(), ["ORIGINAL", "PRIMARY", "AXIAL"]);
        assert_eq!(bag.first("ImageType"), Some("ORIGINAL"));
    }

    #[test]
    fn a_keyword_is_one_of_the_dictionary() {
        assert!(Keyword::parse("StudyInstanceUid").is_err());
        assert_eq!(keyword("StudyInstanceUID").as_str(), "StudyInstanceUID");
    }
}
