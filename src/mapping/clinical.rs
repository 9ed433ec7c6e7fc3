//! Clinical tables: how a row becomes FHIR resources of the profiles of `ig/`.
//!
//! A mapping is a TOML file: which columns name the patient and the study, and for each resource
//! that a row may give, what is the same in every row and which column fills which element (FHIR
//! R4 json.html names, `component[0].valueString`). Pure: cells in, JSON out. A row of which one
//! cell cannot be used gives nothing, with the column and the reason.

mod element;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::tables::{Csv, Format, Issuer};

use element::{own_systems, prune, set, steps};

/// A table of clinical data, and how to read it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClinicalTable {
    /// Says that this file maps clinical data.
    pub kind: ClinicalKind,
    /// Begins the ids of what the table gives, so it stays: small letters, digits, hyphens.
    pub name: String,
    /// What the table is and where it comes from.
    pub title: String,
    /// How the file is written; without it the file's ending tells.
    pub format: Option<Format>,
    /// How a CSV file is written.
    #[serde(default)]
    pub csv: Csv,
    /// Who and what a row is about.
    pub identity: ClinicalIdentity,
    /// What a row gives.
    #[serde(rename = "resource")]
    pub resources: Vec<ResourceRow>,
}

/// The word that says what a mapping file maps.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClinicalKind {
    /// Rows are clinical data.
    Clinical,
}

/// Who and what a row is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClinicalIdentity {
    /// Column with the patient's identifier, as the images have it in PatientID.
    pub patient: String,
    /// Within which domain it is unique: a column or a constant, as when the images were ingested.
    #[serde(default)]
    pub issuer: Issuer,
    /// Column with StudyInstanceUID of the study that the row is about.
    pub study: Option<String>,
    /// Column with its accession number.
    pub accession: Option<String>,
    /// Columns that tell a row from every other one, in this table and in later versions of it.
    pub key: Vec<String>,
}

/// A resource that a row gives.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ResourceRow {
    /// Its name within the mapping: it stays, or the resource becomes another one.
    pub name: String,
    /// The resource type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Id of the profile in `ig/`; it stands in `meta.profile` and is checked.
    pub profile: String,
    /// Columns that must have a value; without one of them the row does not give this resource.
    pub needs: Vec<String>,
    /// Column and value that must be there for it.
    #[serde(default)]
    pub when: BTreeMap<String, Vec<String>>,
    /// Element that refers to the patient.
    #[serde(default = "subject")]
    pub subject: String,
    /// Element that refers to the study, as `derivedFrom[0]`.
    pub study: Option<String>,
    /// What is the same in every row, as JSON.
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    pub fixed: toml::Table,
    /// Column → element.
    #[serde(default, rename = "element")]
    pub elements: Vec<ElementRow>,
    /// References to other resources of the row: element → name; left out when the row does not
    /// give that one.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

fn subject() -> String {
    "subject".to_owned()
}

/// A column and the element that it fills.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ElementRow {
    /// The column. An empty cell leaves the element out.
    pub column: String,
    /// The element: names, dots and indexes.
    pub path: String,
    /// What the cell is.
    pub form: Form,
    /// Code system of a code: a URI, or the id of one of `ig/`.
    pub system: Option<String>,
    /// The table's words and their codes; without it the cell is the code. A word that is not
    /// here puts the row into quarantine.
    #[serde(default)]
    pub codes: BTreeMap<String, String>,
    /// UCUM code of a quantity.
    pub unit: Option<String>,
    /// How a date is written (`%d.%m.%Y`); without it as ISO 8601.
    pub date: Option<String>,
    /// Least and greatest number that is believed.
    pub between: Option<[f64; 2]>,
}

/// What a cell is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Text as it stands.
    Text,
    /// A whole number.
    Integer,
    /// `Quantity` with `unit`; `Age` is written alike.
    Quantity,
    /// `date`, or `dateTime` of a day.
    Date,
    /// `CodeableConcept` with one coding.
    Concept,
    /// `Coding`.
    Coding,
    /// `code`.
    Code,
}

/// Why a row gives nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadRow {
    /// A code, as in the journal.
    pub code: &'static str,
    /// The column.
    pub column: String,
    /// In words.
    pub detail: String,
}

/// Who and what a row is about, as its cells say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct About {
    /// The patient's identifier.
    pub patient: String,
    /// Its domain; empty: the archive's own.
    pub issuer: String,
    /// StudyInstanceUID.
    pub study: String,
    /// Accession number.
    pub accession: String,
    /// The row's key.
    pub key: Vec<String>,
}

/// What the archive knows of whom a row is about.
pub struct Known<'a> {
    /// The reference to the patient.
    pub patient: Value,
    /// The reference to the study.
    pub study: Option<Value>,
    /// The logical id of the resource of that name.
    pub id: &'a dyn Fn(&str) -> String,
}

/// What became of the resources of a row.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Kept {
    /// Resources that were not there.
    pub created: u64,
    /// Resources that became a new version.
    pub changed: u64,
    /// Resources that were there with the same content.
    pub unchanged: u64,
}

/// Where resources go.
pub trait Writer {
    /// What is wrong with a resource, in words: nothing when it may be kept.
    fn check(&self, resource: &Value) -> Vec<String>;

    /// Keeps the resources of each row, a row wholly or not at all.
    ///
    /// # Errors
    /// When nothing can be kept; what is wrong with one row is said of that row.
    fn put(&mut self, rows: &[Vec<Value>]) -> crate::error::Result<Vec<Result<Kept, String>>>;

    /// Ids that begin so, of what earlier imports kept.
    ///
    /// # Errors
    /// When that cannot be told.
    fn standing(&self, _prefix: &str) -> crate::error::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// The canonical base of `ig/`, by its compiled guide.
pub static GUIDE: LazyLock<String> = LazyLock::new(|| {
    let text = include_str!("../../ig/compiled/ImplementationGuide.ndjson");
    let guide: Value =
        text.lines().next().map(serde_json::from_str).and_then(Result::ok).unwrap_or_default();
    let url = guide["url"].as_str().unwrap_or_default();
    url.split("/ImplementationGuide/").next().unwrap_or_default().to_owned()
});

/// Cells of a row by column.
pub type Cells<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

impl ClinicalTable {
    /// Every column that the mapping reads, each once.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let identity = &self.identity;
        let named = [Some(&identity.patient), identity.study.as_ref(), identity.accession.as_ref()];
        let mut columns: Vec<String> = named.into_iter().flatten().cloned().collect();
        columns.extend(identity.issuer.column.as_ref().map(|column| column.get_ref().clone()));
        columns.extend(identity.key.iter().cloned());
        for row in &self.resources {
            columns.extend(row.needs.iter().cloned());
            columns.extend(row.when.keys().cloned());
            columns.extend(row.elements.iter().map(|element| element.column.clone()));
        }
        columns.sort();
        columns.dedup();
        columns
    }

    /// What is wrong with the mapping, beyond its form.
    ///
    /// # Errors
    /// With the resource, the key and the remedy.
    pub fn check(&self) -> Result<(), String> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=24).contains(&self.name.len()) || !self.name.bytes().all(is_plain) {
            return Err("`name` is 1 to 24 small letters, digits and hyphens".to_owned());
        }
        if self.identity.key.is_empty() {
            return Err("`identity.key` is empty: name the columns that tell rows apart".to_owned());
        }
        let mut names = std::collections::BTreeSet::new();
        for row in &self.resources {
            let at = format!("resource `{}`", row.name);
            if !names.insert(row.name.as_str()) {
                return Err(format!("{at}: the name stands twice"));
            }
            if row.needs.is_empty() {
                return Err(format!(
                    "{at}: `needs` is empty: name the columns that it cannot be without"
                ));
            }
            for path in row
                .elements
                .iter()
                .map(|element| &element.path)
                .chain(row.links.keys())
                .chain(&row.study)
            {
                steps(path).ok_or_else(|| format!("{at}: `{path}` is no element path"))?;
            }
            for element in &row.elements {
                let lacks = match element.form {
                    Form::Concept | Form::Coding if element.system.is_none() => "system",
                    Form::Quantity if element.unit.is_none() => "unit",
                    _ => continue,
                };
                return Err(format!("{at}: `{}` lacks `{lacks}`", element.path));
            }
            let unknown = row
                .links
                .values()
                .find(|name| !self.resources.iter().any(|row| row.name == **name));
            if let Some(name) = unknown {
                return Err(format!("{at}: there is no resource `{name}` to link to"));
            }
        }
        Ok(())
    }

    /// Who and what a row is about.
    ///
    /// # Errors
    /// When the patient or a part of the key is missing.
    pub fn about(&self, cells: Cells<'_>) -> Result<About, BadRow> {
        let of = |column: Option<&String>| {
            column.and_then(|column| cells(column)).unwrap_or("").to_owned()
        };
        let identity = &self.identity;
        let needed = |column: &String| match cells(column) {
            Some(text) => Ok(text.to_owned()),
            None => Err(BadRow {
                code: "identity-missing",
                column: column.clone(),
                detail: "the row has no value where the mapping needs one to know what it is about"
                    .to_owned(),
            }),
        };
        let issuer = match &identity.issuer.column {
            Some(column) => cells(column.get_ref()).unwrap_or("").to_owned(),
            None => identity.issuer.constant.clone().unwrap_or_default(),
        };
        Ok(About {
            patient: needed(&identity.patient)?,
            issuer,
            study: of(identity.study.as_ref()),
            accession: of(identity.accession.as_ref()),
            key: identity.key.iter().map(needed).collect::<Result<_, _>>()?,
        })
    }

    /// The resources of a row.
    ///
    /// # Errors
    /// When a cell cannot be used: then the row gives none.
    pub fn resources(&self, cells: Cells<'_>, known: &Known<'_>) -> Result<Vec<Value>, BadRow> {
        let given: Vec<&ResourceRow> =
            self.resources.iter().filter(|row| row.is_given(cells)).collect();
        given.iter().map(|row| row.resource(cells, known, &given)).collect()
    }
}

impl ResourceRow {
    fn is_given(&self, cells: Cells<'_>) -> bool {
        self.needs.iter().all(|column| cells(column).is_some())
            && self.when.iter().all(|(column, values)| {
                values.iter().any(|value| cells(column) == Some(value.as_str()))
            })
    }

    fn resource(
        &self,
        cells: Cells<'_>,
        known: &Known<'_>,
        given: &[&Self],
    ) -> Result<Value, BadRow> {
        let mut made = json!({
            "resourceType": self.kind,
            "id": (known.id)(&self.name),
            "meta": { "profile": [format!("{}/StructureDefinition/{}", *GUIDE, self.profile)] },
        });
        if let (Some(made), Ok(Value::Object(fixed))) =
            (made.as_object_mut(), serde_json::to_value(&self.fixed))
        {
            made.extend(fixed);
        }
        own_systems(&mut made);
        set(&mut made, &self.subject, known.patient.clone());
        if let (Some(path), Some(study)) = (&self.study, &known.study) {
            set(&mut made, path, study.clone());
        }
        for (path, name) in &self.links {
            if let Some(row) = given.iter().find(|row| row.name == *name) {
                let reference = format!("{}/{}", row.kind, (known.id)(name));
                set(&mut made, path, json!({ "reference": reference }));
            }
        }
        for element in &self.elements {
            if let Some(text) = cells(&element.column) {
                let value = element.value(text).map_err(|(code, detail)| BadRow {
                    code,
                    column: element.column.clone(),
                    detail,
                })?;
                set(&mut made, &element.path, value);
            }
        }
        prune(&mut made);
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::{About, ClinicalTable, GUIDE, Known};
    use crate::mapping::tables::{self, Mapping};

    fn table(text: &str) -> ClinicalTable {
        toml::from_str(text).unwrap()
    }

    const TABLE: &str = r#"
kind = "clinical"
name = "test"
title = "A test"
identity = { patient = "pid", issuer = { constant = "north" }, accession = "acc", key = ["pid", "round"] }

[[resource]]
name = "left"
type = "Observation"
profile = "bi-rads-assessment"
needs = ["birads"]
study = "derivedFrom[0]"
fixed = { status = "final", code = { coding = [{ system = "http://snomed.info/sct", code = "146611000146107" }] } }
element = [
    { column = "birads", path = "valueCodeableConcept", form = "concept", system = "bi-rads", codes = { "4 A" = "4A", "1" = "1" } },
    { column = "read", path = "effectiveDateTime", form = "date", date = "%d.%m.%Y" },
    { column = "size", path = "component[0].valueQuantity", form = "quantity", unit = "mm", between = [0.5, 300] },
]

[[resource]]
name = "cancer"
type = "Condition"
profile = "primary-cancer"
needs = ["dx"]
links = { "evidence[0].detail[0]" = "left" }
element = [{ column = "dx", path = "recordedDate", form = "date" }]
"#;

    fn resources(row: &[(&str, &str)]) -> Result<Vec<serde_json::Value>, super::BadRow> {
        let row: HashMap<&str, &str> = row.iter().copied().collect();
        let known = Known {
            patient: json!({ "reference": "Patient/1" }),
            study: Some(json!({ "reference": "ImagingStudy/2" })),
            id: &|name| format!("x-{name}"),
        };
        table(TABLE).resources(&|column| row.get(column).copied(), &known)
    }

    #[test]
    fn a_row_becomes_the_resources_that_it_has_values_for() {
        let made =
            resources(&[("birads", "4 A"), ("read", "03.02.2024"), ("size", "7,5")]).unwrap();
        assert_eq!(
            made,
            [json!({
                "resourceType": "Observation",
                "id": "x-left",
                "meta": { "profile": [format!("{}/StructureDefinition/bi-rads-assessment", *GUIDE)] },
                "status": "final",
                "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "146611000146107" }] },
                "subject": { "reference": "Patient/1" },
                "derivedFrom": [{ "reference": "ImagingStudy/2" }],
                "valueCodeableConcept": { "coding": [{
                    "system": format!("{}/CodeSystem/bi-rads", *GUIDE), "code": "4A",
                }] },
                "effectiveDateTime": "2024-02-03",
                "component": [{ "valueQuantity": {
                    "value": 7.5, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm",
                } }],
            })]
        );
        let both = resources(&[("birads", "1"), ("dx", "2024-03-01")]).unwrap();
        assert_eq!(
            both[1]["evidence"],
            json!([{ "detail": [{ "reference": "Observation/x-left" }] }])
        );
        let alone = resources(&[("dx", "2024-03-01T10:00:00")]).unwrap();
        assert_eq!(
            (alone.len(), &alone[0]["evidence"], &alone[0]["recordedDate"]),
            (1, &json!(null), &json!("2024-03-01"))
        );
        assert_eq!(resources(&[]).unwrap().len(), 0);
    }

    #[test]
    fn a_cell_that_cannot_be_used_names_its_column() {
        for (row, code, column) in [
            (("birads", "7"), "code-unknown", "birads"),
            (("read", "2024-02-03"), "date-broken", "read"),
            (("read", "31.02.2024"), "date-broken", "read"),
            (("size", "big"), "number-broken", "size"),
            (("size", "NaN"), "number-out-of-bounds", "size"),
            (("size", "900"), "number-out-of-bounds", "size"),
            (("dx", "yesterday ž"), "date-broken", "dx"),
        ] {
            let bad = resources(&[("birads", "1"), row]).unwrap_err();
            assert_eq!((bad.code, bad.column.as_str()), (code, column), "{row:?}");
        }
    }

    #[test]
    fn a_row_says_whom_it_is_about() {
        let row = HashMap::from([("pid", "7"), ("round", "2"), ("acc", "A1")]);
        let about = table(TABLE).about(&|column| row.get(column).copied()).unwrap();
        let expected = About {
            patient: "7".to_owned(),
            issuer: "north".to_owned(),
            study: String::new(),
            accession: "A1".to_owned(),
            key: vec!["7".to_owned(), "2".to_owned()],
        };
        assert_eq!(about, expected);
        assert_eq!(table(TABLE).about(&|_| None).unwrap_err().column, "pid");
    }

    #[test]
    fn a_mapping_that_contradicts_itself_is_refused() {
        for (from, to, reason) in [
            ("name = \"test\"", "name = \"Test 1\"", "`name`"),
            ("key = [\"pid\", \"round\"]", "key = []", "identity.key"),
            ("name = \"cancer\"", "name = \"left\"", "twice"),
            ("needs = [\"dx\"]", "needs = []", "needs"),
            ("evidence[0].detail[0]", "evidence[900].detail", "element path"),
            ("= \"left\" }", "= \"right\" }", "no resource `right`"),
            ("system = \"bi-rads\", ", "", "lacks `system`"),
        ] {
            let text = TABLE.replace(from, to);
            assert_ne!(text, TABLE, "{from}");
            let refused = tables::parse(&text, "t.toml").unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn the_shipped_mappings_are_read() {
        let (text, place) = tables::find("screening", None).unwrap();
        let Mapping::Clinical(table) = tables::parse(&text, &place).unwrap() else { panic!() };
        assert!(table.columns().contains(&"person_id".to_owned()));
    }
}
