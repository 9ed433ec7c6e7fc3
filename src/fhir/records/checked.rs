//! `$validate` (FHIR R4 resource-operation-validate), and the same check on every write.

use actix_web::http::StatusCode;
use serde_json::Value as Json;

use super::super::operation::{Call, Operation, Reply};
use super::super::outcome::{Failure, Result};
use super::super::search::Handling;
use super::super::subset::Subset;
use super::super::table::Resource;
use super::super::validate::{outcome, profiles, validate};
use super::super::{Asking, State};
use super::json;
use super::write::{BODY_LIMIT, shorten};

impl State {
    /// Refuses what is no valid resource, with every issue and its place.
    pub(in crate::fhir) fn check(&self, resource: &Json) -> Result<()> {
        let report = validate(resource, &[]);
        if report.has_errors() { Err(Failure::invalid_resource(outcome(&report))) } else { Ok(()) }
    }
}

/// The operation.
pub(in crate::fhir) struct Validate;

/// What the caller wants to do with the resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Create,
    Update,
    Delete,
    Profile,
}

#[derive(Default)]
struct Asked {
    mode: Option<String>,
    profiles: Vec<String>,
    resource: Option<Json>,
}

impl Asked {
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            "mode" => self.mode = Some(value.to_owned()),
            "profile" => self.profiles.push(value.to_owned()),
            _ => return false,
        }
        true
    }

    /// A body is the resource, or Parameters with it.
    fn read(bytes: &[u8]) -> Result<Self> {
        let (json, _) = json::read(bytes).map_err(|why| why.told("the body is no resource"))?;
        let mut asked = Self::default();
        if json["resourceType"] != "Parameters" {
            asked.resource = Some(json);
            return Ok(asked);
        }
        for parameter in json["parameter"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or("");
            if name == "resource" {
                asked.resource = parameter.get("resource").cloned();
                continue;
            }
            let value = ["valueCode", "valueUri", "valueCanonical", "valueString"]
                .iter()
                .find_map(|name| parameter.get(*name)?.as_str());
            asked.take(name, value.unwrap_or(""));
        }
        Ok(asked)
    }
}

impl Operation for Validate {
    fn name(&self) -> &'static str {
        "validate"
    }

    fn definition(&self, _resource: Option<Resource>) -> String {
        "http://hl7.org/fhir/OperationDefinition/Resource-validate".to_owned()
    }

    fn serves(&self, resource: Option<Resource>, _has_id: bool) -> bool {
        resource.is_some()
    }

    fn parameters(&self) -> &'static [&'static str] {
        &["mode", "profile"]
    }

    fn longest_body(&self) -> usize {
        BODY_LIMIT
    }

    fn run(&self, asking: &Asking<'_>, call: Call) -> Result<Reply> {
        let mut asked = if call.body.is_empty() {
            Asked::default()
        } else {
            if !super::super::negotiate::is_fhir_json(&call.media) {
                return Err(Failure::unsupported_media(&call.media));
            }
            Asked::read(&call.body)?
        };
        for (name, value) in &call.parameters {
            let is_known =
                asked.take(name, value) || ["_format", "_pretty"].contains(&name.as_str());
            if !is_known && call.handling == Handling::Strict {
                return Err(Failure::parameter(name, "has no meaning for $validate"));
            }
        }
        let mode = match asked.mode.as_deref() {
            None => Mode::Profile,
            Some("create") => Mode::Create,
            Some("update") => Mode::Update,
            Some("delete") => Mode::Delete,
            Some("profile") => Mode::Profile,
            Some(other) => {
                return Err(Failure::parameter(
                    "mode",
                    format!("`{}` is not create, update, delete or profile", shorten(other)),
                ));
            }
        };
        let known = profiles();
        for profile in &asked.profiles {
            let bare = profile.split('|').next().unwrap_or(profile);
            if !known.contains(&bare) && !known.contains(&profile.as_str()) {
                return Err(Failure::parameter(
                    "profile",
                    format!("`{}` is not known here; see ig/rules", shorten(profile)),
                ));
            }
        }
        let Some(resource) = call.resource else {
            return Err(Failure::no_such_address("/fhir/$validate"));
        };
        let state = asking.state;
        let mut issues = Vec::new();
        let mut refuse = |code: &str, text: &str| {
            issues.push(serde_json::json!({
                "severity": "error", "code": code, "diagnostics": text,
            }));
        };
        let row = state.table.row(resource);
        if mode != Mode::Profile && !row.is_written {
            refuse("not-supported", "the type is derived from the archive and read-only");
        }
        if mode == Mode::Delete {
            match &call.id {
                None => refuse("required", "`mode=delete` is asked of a resource that is there"),
                Some(id) => {
                    state.read(asking, resource, id, &Subset::Whole)?;
                    if !asking.actor.may_write(resource.name(), 'd') {
                        refuse("forbidden", "the token's scopes do not allow it");
                    }
                }
            }
            return Ok(answer(outcome(&Default::default()), issues));
        }
        let json = match (asked.resource, &call.id) {
            (Some(json), _) => json,
            (None, Some(id)) => {
                let read = state.read(asking, resource, id, &Subset::Whole)?;
                serde_json::from_slice(&read.bytes)
                    .map_err(|_| Failure::unreadable("the stored resource cannot be read"))?
            }
            (None, None) => {
                return Err(Failure::unreadable(
                    "$validate takes a resource, or Parameters with a `resource`",
                ));
            }
        };
        if json["resourceType"] != resource.name() {
            refuse("structure", "the resource is of another type than the address");
        }
        if mode == Mode::Update && call.id.is_some() && json["id"].as_str() != call.id.as_deref() {
            refuse("value", "the resource has another id than the address");
        }
        // Who may not write must not learn from it who is a patient.
        let right = if mode == Mode::Create { 'c' } else { 'u' };
        if matches!(mode, Mode::Create | Mode::Update)
            && row.is_written
            && asking.actor.may_write(resource.name(), right)
        {
            let text = json.to_string();
            let (_, links) = json::read(text.as_bytes())
                .map_err(|why| why.told("the resource cannot be read"))?;
            let mut db = state.store.reader()?;
            match state.check_patients(asking, &mut db, resource, &links) {
                Err(refused) if refused.status() == StatusCode::UNPROCESSABLE_ENTITY => {
                    refuse("business-rule", refused.told());
                }
                done => done?,
            }
        }
        let asked: Vec<&str> = asked.profiles.iter().map(String::as_str).collect();
        Ok(answer(outcome(&validate(&json, &asked)), issues))
    }
}

/// The outcome with more issues in front.
fn answer(mut outcome: Json, issues: Vec<Json>) -> Reply {
    if !issues.is_empty()
        && let Some(known) = outcome["issue"].as_array_mut()
    {
        known.retain(|issue| issue["code"] != "informational");
        known.splice(0..0, issues);
    }
    Reply::fhir(outcome.to_string())
}
