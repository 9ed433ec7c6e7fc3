//! Imaging values → FHIR R4 (4.0.1) resources as JSON bytes.
//!
//! The elements and the rules that fill them are rows of `mappings/dicom-*.toml`; these files know
//! the rules by name. A study is rendered once without its instances; [`RenderedStudy`] remembers
//! where they belong, so that a read with instances joins bytes and never parses JSON. What is
//! derived from a study (its order, its procedure, the persons and devices that it names) is
//! rendered when it is asked for, from the same rows of the store.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::Context;
use super::element::{Element, Elements, Member, Place, Secondary};
use crate::actor::Purpose;
use crate::config::Identity;
use crate::imaging::{Attributes, keyed};

mod agents;
mod deployment;
mod derived;
mod patient;
mod renderer;
mod series;
mod study;

pub use agents::{
    AgentOf, agents_of_study, render_device, render_practitioner, render_practitioner_role,
};
pub use deployment::{
    ENDPOINT_ID, ORGANISATION_ID, VIEWER_SUFFIX, render_endpoint, render_organisation,
    render_viewer,
};
pub use derived::{
    ORDER_SUFFIX, PROCEDURE_SUFFIX, order_id, order_place, render_orders, render_procedure,
};
pub use patient::render_patient;
pub use renderer::{RenderedStudy, Renderer, render_study};
pub(super) use study::mapped_uid;

/// Which rendering of a resource somebody gets.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum View {
    /// Care: the archive names persons, and so does the resource.
    Care,
    /// An archive that is de-identified already: its rows as they are, labelled as such.
    DeIdentified,
    /// Secondary use of an archive that names persons: no identity.
    Pseudonymous,
}

impl View {
    /// The view of a purpose of use; `None` for operations, which read no patient data.
    #[must_use]
    pub const fn of(purpose: Purpose, identity: Identity) -> Option<Self> {
        match (purpose, identity) {
            (Purpose::Operations, _) => None,
            (_, Identity::DeIdentified) => Some(Self::DeIdentified),
            (Purpose::Care, Identity::Identified) => Some(Self::Care),
            (Purpose::SecondaryUse, Identity::Identified) => Some(Self::Pseudonymous),
        }
    }
}

/// A resource without a row of its own: its version is a digest of its content.
fn versioned(mut object: Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, &object);
    let digest = keyed(b"version", &out);
    let version: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    if let Some(Value::Object(meta)) = object.get_mut("meta") {
        meta.insert("versionId".to_owned(), version.into());
    }
    out.clear();
    write(&mut out, &object);
    out
}

/// What a resource without a row of its own begins with.
fn deployed(context: &Context, kind: &str, id: &str) -> Map<String, Value> {
    let mut meta = Map::new();
    claim(context, kind, &mut meta);
    let mut object = Map::new();
    object.insert("resourceType".to_owned(), kind.into());
    object.insert("id".to_owned(), id.into());
    object.insert("meta".to_owned(), Value::Object(meta));
    object
}

/// An instant as `meta.lastUpdated` gives it.
#[must_use]
pub fn instant(micros: i64) -> String {
    let stamp = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{stamp:.6}")
}

/// What each resource of the archive begins with: id, version, last change, and the profiles that
/// its type claims.
pub(super) fn head(
    context: &Context,
    kind: &str,
    id: &str,
    (version, updated): (i32, i64),
    is_labelled: bool,
) -> Map<String, Value> {
    let mut meta = Map::new();
    meta.insert("versionId".to_owned(), version.to_string().into());
    meta.insert("lastUpdated".to_owned(), instant(updated).into());
    claim(context, kind, &mut meta);
    if is_labelled {
        // Stable identifiers remain, so the data are pseudonymised, not anonymous.
        meta.insert(
            "security".to_owned(),
            json!([{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                "code": "PSEUDED",
                "display": "pseudonymized",
            }]),
        );
    }
    let mut object = Map::new();
    object.insert("resourceType".to_owned(), kind.into());
    object.insert("id".to_owned(), id.into());
    object.insert("meta".to_owned(), Value::Object(meta));
    object
}

fn claim(context: &Context, kind: &str, meta: &mut Map<String, Value>) {
    let claimed: Vec<&str> = context.0.tables.profiles.claimed(kind).collect();
    if !claimed.is_empty() {
        meta.insert("profile".to_owned(), json!(claimed));
    }
}

pub(super) fn is_deidentified(bag: &Attributes) -> bool {
    bag.first("PatientIdentityRemoved") == Some("YES")
}

pub(super) fn absent(reason: &str) -> Value {
    json!({
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": reason,
    })
}

fn write(out: &mut Vec<u8>, object: &Map<String, Value>) {
    // Strings as keys and a Vec as sink: neither can fail.
    let _ = serde_json::to_writer(out, object);
}

/// Fills in the elements of one level by their rows.
fn fill(
    object: &mut Map<String, Value>,
    elements: &Elements,
    view: View,
    mut value: impl FnMut(&Element) -> Vec<Value>,
) {
    for place in &elements.places {
        let mut values = values_of(place, view, &mut value);
        if place.is_list {
            if values.is_empty() {
                continue;
            }
            match object.get_mut(&*place.name) {
                Some(Value::Array(list)) => list.append(&mut values),
                _ => {
                    object.insert(place.name.to_string(), values.into());
                }
            }
        } else if let Some(value) = values.into_iter().next() {
            object.insert(place.name.to_string(), value);
        }
    }
}

/// The values of one row, tidy.
fn values_of(
    place: &Place,
    view: View,
    value: &mut impl FnMut(&Element) -> Vec<Value>,
) -> Vec<Value> {
    let mut values = match (view, place.element.secondary) {
        (View::Pseudonymous, Secondary::Drop) => return Vec::new(),
        (View::Pseudonymous, Secondary::Mask) => {
            vec![json!({ "extension": [absent("masked")] })]
        }
        _ => value(&place.element),
    };
    values.retain_mut(tidy);
    if place.is_extension && !values.is_empty() {
        values = vec![json!({ "extension": values })];
    }
    values
}

/// Writes a member of an object that is open, as [`fill`] would put it; nothing when it has no
/// value.
fn write_member(
    out: &mut Vec<u8>,
    elements: &Elements,
    member: &Member,
    view: View,
    value: &mut impl FnMut(&Element) -> Vec<Value>,
) {
    let begin = out.len();
    let places = member.places.iter().filter_map(|at| elements.places.get(*at));
    for place in places {
        for one in values_of(place, view, value) {
            if out.len() > begin && member.is_list {
                out.push(b',');
            } else {
                // Of several rows for one value the last that has one counts.
                out.truncate(begin);
                out.push(b'"');
                out.extend_from_slice(place.name.as_bytes());
                out.extend_from_slice(if member.is_list { b"\":[" } else { b"\":" });
            }
            // A Vec as sink: it cannot fail.
            let _ = serde_json::to_writer(&mut *out, &one);
            if !member.is_list {
                break;
            }
        }
    }
    if out.len() > begin && member.is_list {
        out.push(b']');
    }
}

/// A comma where an object goes on.
fn go_on(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{')) {
        out.push(b',');
    }
}

/// Writes the members of an object that is open.
fn write_members(
    out: &mut Vec<u8>,
    elements: &Elements,
    view: View,
    mut value: impl FnMut(&Element) -> Vec<Value>,
) {
    for member in &elements.members {
        let before = out.len();
        go_on(out);
        let begin = out.len();
        write_member(out, elements, member, view, &mut value);
        if out.len() == begin {
            out.truncate(before);
        }
    }
}

/// Whatever the attributes held: no string of a resource has control characters, and nothing is
/// empty (R4, invariant ele-1). `false`: nothing is left.
pub(super) fn tidy(value: &mut Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => match clean(text) {
            None => false,
            Some(Cow::Borrowed(same)) if same.len() == text.len() => true,
            Some(other) => {
                *text = other.into_owned();
                true
            }
        },
        Value::Array(items) => {
            items.retain_mut(tidy);
            !items.is_empty()
        }
        Value::Object(members) => {
            members.retain(|_, member| tidy(member));
            !members.is_empty()
        }
    }
}

/// Text as FHIR `string` takes it: no control characters but line breaks and tabs, not empty.
pub(super) fn clean(text: &str) -> Option<Cow<'_, str>> {
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r');
    let text = text.trim();
    if text.is_empty() {
        None
    } else if text.contains(is_control) {
        Some(text.replace(is_control, " ").trim().to_owned().into())
            .filter(|t: &Cow<'_, str>| !t.is_empty())
    } else {
        Some(text.into())
    }
}

/// Whether anything of a text is left when it is tidied.
pub(super) fn is_shown(text: &str) -> bool {
    clean(text).is_some()
}

fn text_of(bag: &Attributes, keyword: &str) -> Vec<Value> {
    bag.text(keyword).and_then(clean).map(|text| text.into_owned().into()).into_iter().collect()
}

/// A number that FHIR's `unsignedInt` holds (IS is no larger, but texts are).
fn unsigned(text: &str) -> Option<i32> {
    text.trim_start_matches('+').parse::<i32>().ok().filter(|number| *number >= 0)
}
