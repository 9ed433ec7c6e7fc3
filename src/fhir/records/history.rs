//! Versions: vread and history (FHIR R4 http.html, 3.1.0.3 and 3.1.0.11). What the archive derives
//! keeps none: it follows its images.

use actix_web::web::Bytes;
use serde_json::{Value as Json, json};

use super::super::operation::Reply;
use super::super::outcome::{Failure, Result};
use super::super::provider::not_found;
use super::super::request::{self, Parameters};
use super::super::search::{self, CURSOR, Handling, Place, scope_needed};
use super::super::table::Resource;
use super::super::{Asking, State};
use super::gone;
use crate::actor::Role;
use crate::error::Error;
use crate::mapping::fhir::instant;
use crate::store::records::{self as rows, Method, Of, Version};

/// Entries of a page that asks for no number, and of the largest.
const PAGE: usize = 20;
const LARGEST: usize = 1_000;

impl State {
    /// One version of a resource.
    pub(in crate::fhir) fn version(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        version: &str,
    ) -> Result<Reply> {
        self.permit_history(asking, Some(resource))?;
        let mut db = self.store.reader()?;
        let head = self.records.head(asking, &mut db, resource, id)?;
        let missing = || not_found(resource, &format!("{id}/_history/{version}"));
        let number: i32 = version.parse().map_err(|_| missing())?;
        if number < 1 || number > head.version || number.to_string() != version {
            return Err(missing());
        }
        let body = rows::body(&mut db, head.number, number).map_err(Error::from)?;
        let body = body.ok_or_else(|| gone(resource, id))?;
        let updated = serde_json::from_slice::<Json>(&body).ok().and_then(|json| {
            let text = json["meta"]["lastUpdated"].as_str()?.to_owned();
            Some(text.parse::<jiff::Timestamp>().ok()?.as_microsecond())
        });
        let mut reply = Reply::fhir(body);
        reply.version = Some((number.to_string(), updated));
        Ok(reply)
    }

    /// Who reads written resources of the type reads their versions, but for secondary use.
    fn permit_history(&self, asking: &Asking<'_>, resource: Option<Resource>) -> Result<()> {
        let name = resource.map_or("*", Resource::name);
        let may = match resource {
            Some(resource) => asking.actor.has_read_scope(resource.name()),
            None => {
                Resource::ALL.iter().all(|resource| asking.actor.has_read_scope(resource.name()))
            }
        };
        if !may {
            return Err(scope_needed(name, 'r'));
        }
        if !matches!(asking.actor.role, Role::Ehr | Role::ImagingIt) {
            return Err(Error::Forbidden("histories are for care".to_owned()).into());
        }
        match resource {
            Some(resource) if !self.table.row(resource).is_written => Err(Failure::no_history()),
            _ => Ok(()),
        }
    }

    /// What happened to a resource, a type, or everything: the newest first.
    pub(in crate::fhir) fn history(
        &self,
        asking: &Asking<'_>,
        resource: Option<Resource>,
        id: Option<&str>,
        parameters: &Parameters,
        handling: Handling,
    ) -> Result<Reply> {
        self.permit_history(asking, resource)?;
        if asking.actor.role == Role::Ehr && id.is_none() {
            return Err(Error::Forbidden(
                "the role `ehr` reads one patient at a time: ask the history of one resource"
                    .to_owned(),
            )
            .into());
        }
        let mut db = self.store.reader()?;
        let of = match (resource, id) {
            (Some(resource), Some(id)) => {
                let head = self.records.head(asking, &mut db, resource, id);
                let head = head.map_err(|failure| {
                    if failure.is_not_found()
                        && self.read(asking, resource, id, &Default::default()).is_ok()
                    {
                        Failure::no_history()
                    } else {
                        failure
                    }
                })?;
                Of::One(head.number)
            }
            (Some(resource), None) => Of::Type(resource.name()),
            (None, _) => Of::All,
        };
        let (mut count, mut since, mut cursor) = (PAGE, i64::MIN, None);
        for (name, value) in parameters {
            match name.as_str() {
                "_format" | "_pretty" => {}
                "_count" => {
                    let number = value.parse::<usize>().map_err(|_| {
                        Failure::parameter(name, format!("`{value}` is no number of entries"))
                    })?;
                    count = number.min(LARGEST);
                }
                "_since" => {
                    let stamp = value.parse::<jiff::Timestamp>().map_err(|_| {
                        Failure::parameter(name, format!("`{value}` is no instant with a zone"))
                    })?;
                    since = stamp.as_microsecond();
                }
                CURSOR => cursor = Some(value.as_str()),
                _ if handling == Handling::Strict => {
                    return Err(Failure::parameter(name, "has no meaning for a history"));
                }
                _ => {}
            }
        }
        let path = match (resource, id) {
            (Some(resource), Some(id)) => format!("{}/{id}/_history", resource.name()),
            (Some(resource), None) => format!("{}/_history", resource.name()),
            (None, _) => "_history".to_owned(),
        };
        let about = format!("{:?}", (&asking.actor.subject, asking.actor.role, &path, since));
        let before = match cursor {
            None => i64::MAX,
            Some(cursor) => {
                let places = search::open_cursor(&self.cursor_key, &about, cursor)?;
                let place = places.into_iter().flatten().next();
                place.map(|place| place.key).ok_or_else(search::foreign_cursor)?
            }
        };
        let total = rows::count_history(&mut db, of, since).map_err(Error::from)?;
        let limit = i64::try_from(count).unwrap_or(i64::MAX).saturating_add(1);
        let mut page = rows::history(&mut db, of, before, since, limit).map_err(Error::from)?;
        let has_more = page.len() > count && count > 0;
        page.truncate(count);
        let mut links = vec![("self".to_owned(), self.history_link(&path, parameters, None))];
        if has_more && let Some(last) = page.last() {
            let place = Place { id: last.id.clone(), key: last.change };
            let cursor = search::cursor(&self.cursor_key, &about, &[Some(place)]);
            links.push(("next".to_owned(), self.history_link(&path, parameters, Some(&cursor))));
        }
        let links: Vec<Json> = links
            .iter()
            .map(|(relation, url)| json!({ "relation": relation, "url": url }))
            .collect();
        let mut out = format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"history\",\"total\":{total},\"link\":{}",
            Json::from(links)
        )
        .into_bytes();
        for (at, version) in page.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b",\"entry\":[" } else { b"," });
            self.push(&mut out, version);
        }
        if !page.is_empty() {
            out.push(b']');
        }
        out.push(b'}');
        Ok(Reply::fhir(Bytes::from(out)))
    }

    fn push(&self, out: &mut Vec<u8>, version: &Version) {
        let Version { kind, id, .. } = version;
        let (method, url, status) = match version.method {
            Method::Create => ("POST", kind.clone(), "201"),
            Method::Update if version.version == 1 => ("PUT", format!("{kind}/{id}"), "201"),
            Method::Update => ("PUT", format!("{kind}/{id}"), "200"),
            Method::Delete => ("DELETE", format!("{kind}/{id}"), "204"),
        };
        out.extend_from_slice(format!("{{\"fullUrl\":\"{}/{kind}/{id}\"", self.base).as_bytes());
        if let Some(body) = &version.body {
            out.extend_from_slice(b",\"resource\":");
            out.extend_from_slice(body);
        }
        let request = json!({ "method": method, "url": url });
        let response = json!({
            "status": status,
            "etag": format!("W/\"{}\"", version.version),
            "lastModified": instant(version.updated),
        });
        out.extend_from_slice(
            format!(",\"request\":{request},\"response\":{response}}}").as_bytes(),
        );
    }

    fn history_link(&self, path: &str, parameters: &Parameters, cursor: Option<&str>) -> String {
        let kept =
            parameters.iter().filter(|(name, _)| ["_count", "_since"].contains(&name.as_str()));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let query = request::query_of(kept.chain(cursor.map(|cursor| (CURSOR, cursor))));
        format!("{}/{path}{query}", self.base)
    }
}
