//! `Patient/$everything` (FHIR R4 patient-operation-everything): the patient and what any provider
//! has of it, type after type, in pages.

use serde_json::Value as Json;

use super::super::bundle::{Bundle, Total};
use super::super::operation::{Call, Operation, Reply};
use super::super::outcome::{Failure, Result};
use super::super::request::{self, Parameters};
use super::super::search::{self, CURSOR, Handling, Place, Search, scope_needed};
use super::super::subset::Subset;
use super::super::table::{Kind, Resource};
use super::super::{Asking, State};
use super::json;
use crate::actor::Role;
use crate::error::Error;

/// Entries of a page that asks for no number, and of the largest.
const PAGE: usize = 100;
const LARGEST: usize = 1_000;

/// The parameters by which a type is about a time, the first that it has.
const TIMES: &[&str] = &[
    "date",
    "started",
    "recorded-date",
    "effective",
    "onset-date",
    "authoredon",
    "authored",
    "created",
    "collected",
    "recorded",
    "effective-time",
    "whenhandedover",
];

/// The operation.
pub(in crate::fhir) struct Everything;

struct Asked {
    id: String,
    types: Vec<Resource>,
    count: usize,
    /// As they are told in the links.
    kept: Parameters,
    start: Option<String>,
    end: Option<String>,
    since: Option<String>,
    cursor: Option<String>,
}

impl Operation for Everything {
    fn name(&self) -> &'static str {
        "everything"
    }

    fn serves(&self, resource: Option<Resource>, has_id: bool) -> bool {
        resource == Some(Resource::Patient) && has_id
    }

    fn parameters(&self) -> &'static [&'static str] {
        &["_since", "_type", "_count", "start", "end"]
    }

    fn run(&self, asking: &Asking<'_>, mut call: Call) -> Result<Reply> {
        let state = asking.state;
        let id = call.id.take().ok_or_else(|| Failure::no_such_address("Patient/$everything"))?;
        if !matches!(asking.actor.role, Role::Ehr | Role::ImagingIt | Role::Researcher) {
            return Err(Error::Forbidden("this role reads no patient".to_owned()).into());
        }
        let asked = Asked::read(state, id, &call)?;
        // Who may not know of the patient is told so, and of nothing else.
        let patient = state.read(asking, Resource::Patient, &asked.id, &Subset::Whole)?;
        state.everything(asking, &asked, &patient.bytes)
    }
}

impl Asked {
    fn read(state: &State, id: String, call: &Call) -> Result<Self> {
        let mut pairs = call.parameters.clone();
        if !call.body.is_empty() {
            if !super::super::negotiate::is_fhir_json(&call.media) {
                return Err(Failure::unsupported_media(&call.media));
            }
            let (json, _) =
                json::read(&call.body).map_err(|why| why.told("the body is no Parameters"))?;
            for parameter in json["parameter"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or("").to_owned();
                let value = parameter.as_object().and_then(|object| {
                    let (_, value) = object.iter().find(|(name, _)| name.starts_with("value"))?;
                    Some(match value {
                        Json::String(text) => text.clone(),
                        other => other.to_string(),
                    })
                });
                pairs.push((name, value.unwrap_or_default()));
            }
        }
        let of_patients = |resource: &Resource| {
            *resource == Resource::Patient || state.patient_parameter(*resource).is_some()
        };
        let mut asked = Self {
            id,
            types: Resource::ALL.iter().copied().filter(of_patients).collect(),
            count: PAGE,
            kept: Parameters::new(),
            start: None,
            end: None,
            since: None,
            cursor: None,
        };
        let is_date = |text: &str| search::is_date(text);
        for (name, value) in pairs {
            let wrong = |reason: String| Err(Failure::parameter(&name, reason));
            match name.as_str() {
                "_format" | "_pretty" => continue,
                "_count" => match value.parse::<usize>() {
                    Ok(count) if count > 0 => asked.count = count.min(LARGEST),
                    _ => return wrong(format!("`{value}` is no number of entries")),
                },
                "_type" => {
                    let mut types = Vec::new();
                    for one in value.split(',') {
                        match Resource::parse(one.trim()).filter(of_patients) {
                            Some(resource) => types.push(resource),
                            None => {
                                return wrong(format!("`{one}` is no type of a patient's record"));
                            }
                        }
                    }
                    asked.types.retain(|known| types.contains(known));
                }
                "start" | "end" | "_since" => {
                    if !is_date(&value) {
                        return wrong(format!("`{value}` is no date"));
                    }
                    let place = match name.as_str() {
                        "start" => &mut asked.start,
                        "end" => &mut asked.end,
                        _ => &mut asked.since,
                    };
                    *place = Some(value.clone());
                }
                CURSOR => {
                    asked.cursor = Some(value);
                    continue;
                }
                _ if call.handling == Handling::Strict => {
                    return wrong("has no meaning for $everything".to_owned());
                }
                _ => continue,
            }
            asked.kept.push((name, value));
        }
        Ok(asked)
    }
}

impl State {
    /// The parameter by which a type names its patient.
    fn patient_parameter(&self, resource: Resource) -> Option<&str> {
        let of = |name: &str| {
            let parameter = self.table.parameter(resource, name)?;
            (parameter.kind == Kind::Reference).then_some(parameter.name.as_str())
        };
        of("patient").or_else(|| of("subject"))
    }

    fn everything(&self, asking: &Asking<'_>, asked: &Asked, patient: &[u8]) -> Result<Reply> {
        let about = format!(
            "{:?}",
            (&asking.actor.subject, asking.actor.role, asking.view, &asked.id, &asked.kept)
        );
        // Where the page begins: a type, and the places of its providers.
        let (mut at, mut places) = match &asked.cursor {
            None => (0, None),
            Some(cursor) => {
                let mut all = search::open_cursor(&self.cursor_key, &about, cursor)?.into_iter();
                let first = all.next().flatten().ok_or_else(search::foreign_cursor)?;
                let at = asked.types.iter().position(|of| of.name() == first.id);
                (at.ok_or_else(search::foreign_cursor)?, Some(all.collect::<Vec<_>>()))
            }
        };
        let mut left = asked.count;
        let mut entries = Vec::new();
        let mut next = None;
        while let Some(resource) = asked.types.get(at).copied() {
            if left == 0 {
                next = Some((resource, places.take()));
                break;
            }
            if resource == Resource::Patient {
                let url = format!("{}/Patient/{}", self.base, asked.id);
                entries.push((url, patient.to_vec().into()));
                left -= 1;
                at += 1;
                continue;
            }
            let Some(mut search) = self.search_of(asking, asked, resource)? else {
                at += 1;
                continue;
            };
            search.control.count = left;
            search.control.after = places.take().filter(|places| !places.is_empty());
            let joined = self.page(asking, &search)?;
            left = left.saturating_sub(joined.matches.len());
            entries
                .extend(joined.matches.iter().map(|entry| (self.url(entry), entry.bytes.clone())));
            match joined.next {
                Some(more) => {
                    next = Some((resource, Some(more)));
                    break;
                }
                None => at += 1,
            }
        }
        let path = format!("{}/Patient/{}/$everything", self.base, asked.id);
        let kept = || asked.kept.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let link = format!("{path}{}", request::query_of(kept()));
        let next = next.map(|(resource, places)| {
            let mut all = vec![Some(Place { id: resource.name().to_owned(), key: 0 })];
            all.extend(places.into_iter().flatten());
            let cursor = search::cursor(&self.cursor_key, &about, &all);
            let mut pairs: Vec<(&str, &str)> = kept().collect();
            pairs.push((CURSOR, &cursor));
            format!("{path}{}", request::query_of(pairs))
        });
        let mut links = vec![("self", link.as_str())];
        links.extend(next.as_deref().map(|next| ("next", next)));
        let mut bundle = Bundle::new(Total::Untold, &links);
        for (url, bytes) in &entries {
            let bytes: &actix_web::web::Bytes = bytes;
            bundle.push(url, bytes, "match");
        }
        Ok(Reply::fhir(bundle.finish()))
    }

    /// The search for a type; `None`: nothing of it can be in the answer.
    fn search_of(
        &self,
        asking: &Asking<'_>,
        asked: &Asked,
        resource: Resource,
    ) -> Result<Option<Search>> {
        let Some(patient) = self.patient_parameter(resource) else { return Ok(None) };
        let actor = asking.actor;
        if !(actor.has_search_scope(resource.name()) && actor.has_read_scope(resource.name())) {
            // A token for some types gets those; one that asked for the type is told.
            let is_asked = asked.kept.iter().any(|(name, _)| name == "_type");
            return if is_asked { Err(scope_needed(resource.name(), 's')) } else { Ok(None) };
        }
        let mut parameters: Parameters =
            vec![(patient.to_owned(), format!("Patient/{}", asked.id))];
        let time = TIMES.iter().find(|name| {
            self.table.parameter(resource, name).is_some_and(|row| row.kind == Kind::Date)
        });
        if let Some(time) = time {
            let bounds = [("ge", &asked.start), ("le", &asked.end)];
            for (prefix, bound) in bounds {
                let bound = bound.as_ref().map(|bound| format!("{prefix}{bound}"));
                parameters.extend(bound.map(|bound| ((*time).to_owned(), bound)));
            }
        }
        if let Some(since) = &asked.since {
            parameters.push(("_lastUpdated".to_owned(), format!("ge{since}")));
        }
        Search::parse(asking, resource, parameters, Handling::Strict).map(Some)
    }
}
