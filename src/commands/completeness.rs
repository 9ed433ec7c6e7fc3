//! How complete the minimum dataset of EUCAIM is, for `vesalius doctor`: counts only.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use serde_json::Value;

use super::Node;
use crate::actor::{Actor, Role};
use crate::error::Result;
use crate::imaging::{Facet, IdSpace};
use crate::index::{Query, View};
use crate::mapping::clinical::GUIDE;
use crate::mapping::eucaim::{Eucaim, Group, Variable};
use crate::store::read::find_patients_by_id;
use crate::store::records::list_changed;

/// Records that are read at once.
const PAGE: i64 = 1_000;

/// How often a variable is there.
#[derive(Debug, Eq, PartialEq, serde::Serialize)]
pub(super) struct Share {
    pub(super) group: &'static str,
    pub(super) variable: String,
    pub(super) mandatory: bool,
    /// How many have it.
    pub(super) have: u64,
    /// Of how many.
    pub(super) of: u64,
    /// Studies, persons, annotations.
    pub(super) what: &'static str,
    pub(super) place: String,
}

/// What was written, by whom it is about.
#[derive(Default)]
struct Written {
    /// Profile and top-level element → persons.
    elements: BTreeMap<(String, String), BTreeSet<String>>,
    positive: BTreeSet<String>,
    negative: BTreeSet<String>,
    annotations: u64,
    components: BTreeMap<String, u64>,
}

/// Counts every variable.
pub(super) fn shares(node: &Node) -> Result<Vec<Share>> {
    node.catch_up()?;
    let table = Eucaim::embedded()?;
    let mut written = written(node)?;
    // Who has a cancer in one round is no negative of an earlier one.
    written.negative.retain(|person| !written.positive.contains(person));
    let positive = numbers(node, &written.positive)?;
    let negative = numbers(node, &written.negative)?;
    let view = node.index.read();
    // Counts only, for whoever may read the data folder.
    let actor = Actor::new("doctor", Role::ImagingIt);
    let all = view.search(&actor, &Query::All).len();
    let share = |variable: &Variable| {
        let (have, of) = match variable.group {
            Group::Imaging => (studies(&view, &actor, variable).len(), all),
            Group::Positive => {
                persons(&view, &actor, variable, &written, &written.positive, &positive)
            }
            Group::Negative => {
                persons(&view, &actor, variable, &written, &written.negative, &negative)
            }
            Group::Segmentation => {
                let component = variable.component.as_deref().unwrap_or_default();
                (written.components.get(component).copied().unwrap_or(0), written.annotations)
            }
        };
        let (group, what) = variable.group.words();
        Share {
            group,
            variable: variable.name.clone(),
            mandatory: variable.mandatory,
            have,
            of,
            what,
            place: variable.place.clone(),
        }
    };
    Ok(table.variables.iter().map(share).collect())
}

/// The studies that have a variable.
fn studies(view: &View, actor: &Actor, variable: &Variable) -> RoaringBitmap {
    match (variable.facet, &variable.attribute) {
        (Some(facet), _) => view.search(actor, &Query::HasAny(facet)),
        (None, Some(keyword)) => {
            view.search(actor, &Query::Has(Facet::Attribute, vec![keyword.clone()]))
        }
        (None, None) => RoaringBitmap::new(),
    }
}

/// How many of the persons have a variable.
fn persons(
    view: &View,
    actor: &Actor,
    variable: &Variable,
    written: &Written,
    of: &BTreeSet<String>,
    numbers: &RoaringBitmap,
) -> (u64, u64) {
    let have = if variable.record.is_empty() {
        view.patients_of(&studies(view, actor, variable)).intersection_len(numbers)
    } else {
        let found: BTreeSet<&String> = variable
            .record
            .iter()
            .filter_map(|row| written.elements.get(&(row.profile.clone(), row.path.clone())))
            .flatten()
            .filter(|person| of.contains(*person))
            .collect();
        found.len() as u64
    };
    (have, of.len() as u64)
}

/// The store's numbers of those persons whom the archive knows.
fn numbers(node: &Node, persons: &BTreeSet<String>) -> Result<RoaringBitmap> {
    let ids: Vec<&str> =
        persons.iter().filter_map(|person| person.strip_prefix("Patient/")).collect();
    let found = node.store.read(|db| find_patients_by_id(db, IdSpace::Care, &ids))?;
    let numbers = found.iter().filter(|found| !found.is_deleted);
    Ok(numbers.filter_map(|found| u32::try_from(found.number).ok()).collect())
}

fn written(node: &Node) -> Result<Written> {
    let mut written = Written::default();
    let mut change = 0;
    loop {
        let page = node.store.read(|db| list_changed(db, change, PAGE))?;
        let Some((last, _)) = page.last() else { return Ok(written) };
        change = last.change;
        for (_, body) in page {
            // A deleted record has no body.
            if let Some(json) = body.and_then(|body| serde_json::from_slice(&body).ok()) {
                written.add(&json);
            }
        }
    }
}

impl Written {
    fn add(&mut self, resource: &Value) {
        let own = format!("{}/StructureDefinition/", *GUIDE);
        let profiles = resource["meta"]["profile"].as_array().into_iter().flatten();
        let profiles = profiles.filter_map(|url| url.as_str()?.strip_prefix(own.as_str()));
        let of = ["subject", "patient"].iter().find_map(|name| resource.get(name));
        let Some(person) = of.and_then(person) else { return };
        for profile in profiles {
            for (name, _) in resource.as_object().into_iter().flatten() {
                let key = (profile.to_owned(), name.clone());
                self.elements.entry(key).or_default().insert(person.clone());
            }
            match profile {
                "primary-cancer" => {
                    self.positive.insert(person.clone());
                }
                "study-population" => {
                    let set = match resource["valueCodeableConcept"]["coding"][0]["code"].as_str() {
                        Some("screening-negative" | "control") => &mut self.negative,
                        _ => &mut self.positive,
                    };
                    set.insert(person.clone());
                }
                "segmentation-annotation" => {
                    self.annotations += 1;
                    let components = resource["component"].as_array().into_iter().flatten();
                    let codes: BTreeSet<&str> = components
                        .filter_map(|component| component["code"]["coding"][0]["code"].as_str())
                        .collect();
                    for code in codes {
                        *self.components.entry(code.to_owned()).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
    }
}

/// Whom a reference means, in one word.
fn person(reference: &Value) -> Option<String> {
    if let Some(text) = reference["reference"].as_str() {
        let mut parts = text.rsplit('/');
        let (id, kind) = (parts.next()?, parts.next()?);
        return Some(format!("{kind}/{id}"));
    }
    let identifier = &reference["identifier"];
    Some(format!("{}|{}", identifier["system"].as_str()?, identifier["value"].as_str()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{GUIDE, Written};
    use crate::fhir::validate::type_of_profile;
    use crate::mapping::eucaim::Eucaim;

    #[test]
    fn what_is_counted_is_of_profiles_that_there_are() {
        for row in Eucaim::embedded().unwrap().variables.iter().flat_map(|row| &row.record) {
            let url = format!("{}/StructureDefinition/{}", *GUIDE, row.profile);
            assert!(type_of_profile(&url).is_some(), "{url}");
        }
    }

    #[test]
    fn records_are_counted_by_the_person_that_they_are_about() {
        let mut written = Written::default();
        let profile =
            |name: &str| json!({ "profile": [format!("{}/StructureDefinition/{name}", *GUIDE)] });
        let one = json!({ "reference": "Patient/1" });
        let other = json!({ "identifier": { "system": "urn:oid:1.2", "value": "7" } });
        for (subject, code) in [(&one, "cancer"), (&one, "screening-negative"), (&other, "control")]
        {
            written.add(&json!({
                "meta": profile("study-population"), "subject": subject,
                "valueCodeableConcept": { "coding": [{ "code": code }] },
            }));
        }
        written.add(&json!({
            "meta": profile("segmentation-annotation"), "subject": one,
            "component": [{ "code": { "coding": [{ "code": "segment-label" }] } }],
        }));
        written.add(&json!({ "meta": profile("primary-cancer"), "subject": {} }));
        assert_eq!(written.positive.iter().collect::<Vec<_>>(), ["Patient/1"]);
        assert_eq!(written.negative.iter().collect::<Vec<_>>(), ["Patient/1", "urn:oid:1.2|7"]);
        assert_eq!((written.annotations, written.components["segment-label"]), (1, 1));
        let key = ("study-population".to_owned(), "valueCodeableConcept".to_owned());
        assert_eq!(written.elements[&key].len(), 2);
    }
}
