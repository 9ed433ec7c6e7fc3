//! The rows of `ig/rules/`: what `ig/tools/rules.py` writes, and the two files written by hand.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// `r4/types.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeFile {
    /// One data type each.
    #[serde(rename = "type")]
    pub types: Vec<TypeRow>,
}

/// A resource type (a file of its own) or a data type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeRow {
    /// The type's name.
    pub name: String,
    /// Keys of the invariants of the whole.
    pub rule: Vec<String>,
    /// Its elements in the order of the definition, parents first.
    pub element: Vec<ElementRow>,
}

/// An element of a type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ElementRow {
    /// As in the definition: `ImagingStudy.series.uid`, `Observation.value[x]`.
    pub path: String,
    /// Least occurrences in each parent.
    #[serde(default)]
    pub min: u32,
    /// Most occurrences: a number or `*`; 1 unless given.
    pub max: Option<String>,
    /// Types; more than one only of `[x]`.
    #[serde(default, rename = "type")]
    pub types: Vec<String>,
    /// Path of an element of the same type with the same content.
    pub same: Option<String>,
    /// What a reference may point to: names of resource types.
    #[serde(default)]
    pub target: Vec<String>,
    /// Required value set, if it can be listed.
    pub binding: Option<String>,
    /// Keys of invariants.
    #[serde(default)]
    pub rule: Vec<String>,
}

/// A file of `profiles/`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    /// Profiles and extensions.
    pub profile: Vec<ProfileRow>,
}

/// A profile: what differs from the type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRow {
    /// Canonical URL.
    pub url: String,
    /// The type that it constrains.
    #[serde(rename = "type")]
    pub of: String,
    /// Of an extension: the elements that it may stand in; none: any.
    #[serde(default)]
    pub context: Vec<String>,
    /// Elements that differ, parents first.
    pub element: Vec<ShapeRow>,
}

/// An element of a profile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShapeRow {
    /// Element id, with the names of slices: `ImagingStudy.identifier:studyInstanceUid`.
    pub id: String,
    /// Least occurrences in each parent.
    pub min: Option<u32>,
    /// Most occurrences in each parent.
    pub max: Option<String>,
    /// Types that remain.
    #[serde(default, rename = "type")]
    pub types: Vec<String>,
    /// Profiles of the type, one of which must hold.
    #[serde(default)]
    pub profile: Vec<String>,
    /// What a reference may point to: profiles, or names of resource types.
    #[serde(default)]
    pub target: Vec<String>,
    /// The value must be this.
    #[schemars(with = "Option<serde_json::Value>")]
    pub fixed: Option<Value>,
    /// The value must contain this.
    #[schemars(with = "Option<serde_json::Value>")]
    pub pattern: Option<Value>,
    /// How its slices are told apart.
    pub slicing: Option<Slicing>,
    /// Required value set, if it can be listed.
    pub binding: Option<String>,
    /// Keys of invariants.
    #[serde(default)]
    pub rule: Vec<String>,
}

/// How slices are told apart (FHIR R4 profiling, 5.1.0.13).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slicing {
    /// All must fit; none: each slice is known by its own profile or constraints.
    pub by: Vec<Discriminator>,
    /// Whether other items may stand beside the slices.
    pub rules: Openness,
    /// Whether the slices come in the order of the profile.
    #[serde(default)]
    pub ordered: bool,
}

/// One discriminator.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discriminator {
    /// What is compared.
    pub kind: DiscriminatorKind,
    /// The restricted FHIRPath of the element that is compared.
    pub path: String,
}

/// Value set discriminator-type.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of FHIR")]
pub enum DiscriminatorKind {
    Value,
    Pattern,
    Exists,
    Type,
    Profile,
}

/// Value set resource-slicing-rules.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[allow(missing_docs, reason = "the names are those of FHIR")]
pub enum Openness {
    #[serde(rename = "open")]
    Open,
    #[serde(rename = "closed")]
    Closed,
    #[serde(rename = "openAtEnd")]
    OpenAtEnd,
}

/// `r4/extensions.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtensionFile {
    /// Extensions of R4 itself.
    pub extension: Vec<ExtensionRow>,
}

/// An extension of R4.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtensionRow {
    /// Its URL.
    pub url: String,
    /// Elements that it may stand in; none: any.
    pub context: Vec<String>,
    /// Types of the value; none: it has parts instead.
    #[serde(default, rename = "type")]
    pub types: Vec<String>,
    /// Required value set, if it can be listed.
    pub binding: Option<String>,
}

/// `r4/value-sets.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueSetFile {
    /// Value sets.
    pub set: Vec<ValueSetRow>,
}

/// A value set, listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueSetRow {
    /// Canonical URL.
    pub url: String,
    /// Codes by code system.
    pub system: Vec<SystemRow>,
}

/// Codes of one system.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemRow {
    /// URI of the code system.
    pub uri: String,
    /// Codes.
    pub codes: Vec<String>,
}

/// `r4/resource-types.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceTypes {
    /// Every resource type of R4.
    pub name: Vec<String>,
}

/// `invariants.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvariantFile {
    /// Invariants by key.
    pub invariant: Vec<InvariantRow>,
}

/// An invariant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvariantRow {
    /// Its key in the definitions.
    pub key: String,
    /// How bad it is when it does not hold.
    #[serde(default)]
    pub severity: Strength,
    /// FHIRPath that must be true of the element.
    pub rule: String,
    /// What is wrong and how to mend it, in our words.
    pub words: String,
}

/// How bad a broken invariant is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of FHIR")]
pub enum Strength {
    #[default]
    Error,
    Warning,
}

/// `primitives.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrimitiveFile {
    /// Primitive types.
    pub primitive: Vec<PrimitiveRow>,
}

/// A primitive type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrimitiveRow {
    /// Its name.
    pub name: String,
    /// The kind of JSON value that it is.
    pub json: JsonKind,
    /// Regular expression of the whole text.
    pub pattern: Option<String>,
    /// Regular expressions of the whole text by what it begins with.
    #[serde(default)]
    pub prefixed: std::collections::BTreeMap<String, String>,
    /// Least number; given together with `max` for whole numbers.
    pub min: Option<i64>,
    /// Greatest number.
    pub max: Option<i64>,
    /// Most bytes of a text.
    pub most: Option<usize>,
    /// Whether the text is a date that must exist.
    #[serde(default)]
    pub calendar: bool,
    /// Whether the text is base64.
    #[serde(default)]
    pub base64: bool,
    /// What it looks like, in our words.
    pub words: String,
}

/// Kinds of JSON values of primitives.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are those of JSON")]
pub enum JsonKind {
    String,
    Number,
    Boolean,
}
