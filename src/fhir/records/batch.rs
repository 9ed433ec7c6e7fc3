//! Batches and transactions (FHIR R4 http.html, 3.1.0.11.2). A batch is a list of interactions of
//! their own; a transaction is one: its references among entries are rewritten, its conditions
//! are asked of the state before it, and it is stored whole or not at all.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use serde_json::{Value as Json, json};

use super::super::operation::{Body, Reply};
use super::super::outcome::{Failure, Result};
use super::super::request::{self, Parameters};
use super::super::search::Handling;
use super::super::table::Resource;
use super::super::{Asking, State};
use super::json;
use super::patch::{Fault, Patch};
use super::write::{Act, Conditions, Incoming, Return, Target, Written, shorten};
use crate::error::Error;
use crate::mapping::fhir::instant;
use crate::store::Db;

/// Most entries of a Bundle.
const MOST_ENTRIES: usize = 2_000;

/// An entry as it came.
struct Entry {
    full_url: Option<String>,
    method: Method,
    /// Below the base, without a slash at the front.
    path: String,
    query: String,
    conditions: Conditions,
    resource: Option<Range<usize>>,
}

/// What an entry of a transaction asks.
enum Asked {
    Write(Box<Act>),
    /// Answered after the transaction, with what it wrote.
    Read,
}

impl State {
    /// A Bundle at the base.
    pub(in crate::fhir) fn process(
        &self,
        asking: &Asking<'_>,
        bytes: &[u8],
        handling: Handling,
        wanted: Return,
    ) -> Result<Reply> {
        let (json, _) = json::read(bytes).map_err(|why| why.told("the body is no Bundle"))?;
        if json["resourceType"] != "Bundle" {
            return Err(Failure::unreadable(
                "the base takes a Bundle of type `batch` or `transaction`; POST another resource \
                 to its type's address",
            ));
        }
        let is_transaction = match json["type"].as_str() {
            Some("transaction") => true,
            Some("batch") => false,
            other => {
                return Err(Failure::unreadable(&format!(
                    "the base takes a Bundle of type `batch` or `transaction`, and this one is \
                     `{}`; a document is POSTed to Bundle",
                    shorten(other.unwrap_or(""))
                )));
            }
        };
        let members = json::members(bytes, &(0..bytes.len()));
        let places = members.iter().find(|member| member.name == "entry");
        let places = places.map_or(Vec::new(), |member| json::items(bytes, &member.value));
        if places.len() > MOST_ENTRIES {
            return Err(Error::TooCostly(format!(
                "the Bundle has {} entries, and at most {MOST_ENTRIES} are taken; send several",
                places.len()
            ))
            .into());
        }
        let entries = places.iter().enumerate().map(|(at, place)| {
            let json = json["entry"].get(at).unwrap_or(&Json::Null);
            self.entry(bytes, place, json).map_err(|failure| failure.within(at))
        });
        let answers = if is_transaction {
            let entries: Vec<Entry> = entries.collect::<Result<_>>()?;
            self.transact(asking, bytes, &entries, handling, wanted)?
        } else {
            let entries: Vec<Result<Entry>> = entries.collect();
            entries
                .into_iter()
                .map(|entry| {
                    let done = entry
                        .and_then(|entry| self.single(asking, bytes, &entry, handling, wanted));
                    done.unwrap_or_else(|failure| failed(&failure))
                })
                .collect()
        };
        let kind = if is_transaction { "transaction-response" } else { "batch-response" };
        let mut out = format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\"").into_bytes();
        for (at, answer) in answers.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b",\"entry\":[" } else { b"," });
            out.extend_from_slice(answer);
        }
        if !answers.is_empty() {
            out.push(b']');
        }
        out.push(b'}');
        Ok(Reply::fhir(Bytes::from(out)))
    }

    fn entry(&self, bytes: &[u8], place: &Range<usize>, json: &Json) -> Result<Entry> {
        let asked = &json["request"];
        let text = |name: &str| asked.get(name).and_then(Json::as_str).map(str::to_owned);
        let wrong = |what: &str| Failure::unreadable(what);
        let method = match asked["method"].as_str() {
            Some("GET") => Method::GET,
            Some("HEAD") => Method::HEAD,
            Some("POST") => Method::POST,
            Some("PUT") => Method::PUT,
            Some("PATCH") => Method::PATCH,
            Some("DELETE") => Method::DELETE,
            Some(other) => {
                return Err(wrong(&format!(
                    "`request.method` is `{}`, and GET, POST, PUT, PATCH and DELETE are done",
                    shorten(other)
                )));
            }
            None => return Err(wrong("`request.method` is missing")),
        };
        let url = text("url").ok_or_else(|| wrong("`request.url` is missing"))?;
        let url = url.strip_prefix(&self.base).unwrap_or(&url).trim_start_matches('/');
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let members = json::members(bytes, place);
        let resource = members.iter().find(|member| member.name == "resource");
        Ok(Entry {
            full_url: json.get("fullUrl").and_then(Json::as_str).map(str::to_owned),
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            conditions: Conditions {
                if_match: text("ifMatch"),
                if_none_match: text("ifNoneMatch"),
                if_none_exist: text("ifNoneExist"),
            },
            resource: resource.map(|member| member.value.clone()),
        })
    }

    /// What an entry asks, with its resource checked.
    fn asked(&self, asking: &Asking<'_>, bytes: &[u8], entry: &Entry) -> Result<Asked> {
        let (kind, id) = match entry.path.split_once('/') {
            None => (entry.path.as_str(), None),
            Some((kind, id)) => (kind, Some(id)),
        };
        if entry.method == Method::GET || entry.method == Method::HEAD {
            return Ok(Asked::Read);
        }
        let resource = Resource::parse(kind)
            .ok_or_else(|| Failure::no_such_address(&format!("/fhir/{}", shorten(&entry.path))))?;
        let id = id.map(|id| {
            let id = request::id(id)?;
            if id.contains('/') || id.starts_with(['_', '$']) || id.is_empty() {
                return Err(Failure::no_such_address(&format!("/fhir/{}", shorten(&entry.path))));
            }
            Ok(id)
        });
        let id = id.transpose()?;
        let incoming = || {
            let place = entry.resource.clone();
            let place = place.ok_or_else(|| Failure::unreadable("`resource` is missing"))?;
            self.incoming(resource, bytes.get(place).unwrap_or_default())
        };
        let target = |id: Option<String>| match id {
            Some(id) => Ok::<_, Failure>(Target::Id(id)),
            None => Ok(Target::Where(self.condition(asking, resource, &entry.query)?)),
        };
        // Rights first: who may not write learns nothing of what is wrong with it.
        let right = match entry.method {
            Method::POST => 'c',
            Method::PUT | Method::PATCH => 'u',
            _ => 'd',
        };
        self.permit_write(asking, resource, right)?;
        let conditions = entry.conditions.clone();
        let act = match entry.method {
            Method::POST => {
                if id.is_some() || !entry.query.is_empty() {
                    return Err(Failure::unreadable(
                        "POST of an entry creates: `request.url` is the type alone",
                    ));
                }
                let unless = conditions.if_none_exist.as_deref();
                let unless = unless.map(|query| self.condition(asking, resource, query));
                Act::Create { incoming: incoming()?, unless: unless.transpose()? }
            }
            Method::PUT => Act::Update { target: target(id)?, incoming: incoming()?, conditions },
            Method::PATCH => {
                let place = entry.resource.clone();
                let place = place.ok_or_else(|| Failure::unreadable("`resource` is missing"))?;
                let patch = Patch::of_entry(bytes.get(place).unwrap_or_default());
                let patch = patch.map_err(Fault::told)?;
                Act::Patch { resource, target: target(id)?, patch, conditions }
            }
            _ => Act::Delete { resource, target: target(id)?, conditions },
        };
        Ok(Asked::Write(Box::new(act)))
    }

    /// One entry of a batch.
    fn single(
        &self,
        asking: &Asking<'_>,
        bytes: &[u8],
        entry: &Entry,
        handling: Handling,
        wanted: Return,
    ) -> Result<Vec<u8>> {
        match self.asked(asking, bytes, entry)? {
            Asked::Read => self.read_entry(asking, entry, handling),
            Asked::Write(act) => {
                let written = self.write(asking, *act)?;
                Ok(self.answer(&written, wanted))
            }
        }
    }

    fn read_entry(
        &self,
        asking: &Asking<'_>,
        entry: &Entry,
        handling: Handling,
    ) -> Result<Vec<u8>> {
        let mut parameters = Parameters::new();
        request::decode(&entry.query, &mut parameters)?;
        let reply = self.get(asking, &format!("/fhir/{}", entry.path), parameters, handling)?;
        let mut response = json!({ "status": status(reply.status) });
        if let Some((version, updated)) = &reply.version {
            response["etag"] = format!("W/\"{version}\"").into();
            if let Some(updated) = updated {
                response["lastModified"] = instant(*updated).into();
            }
        }
        let bytes = match reply.body {
            Body::Fhir(_, bytes) => Some(bytes),
            Body::Empty | Body::Other { .. } => None,
        };
        Ok(put_together(bytes.as_deref(), &response))
    }

    fn answer(&self, written: &Written, wanted: Return) -> Vec<u8> {
        let mut response = json!({ "status": status(written.status) });
        if let (true, Some(location)) = (written.bytes.is_some(), self.location(written)) {
            response["location"] = location.into();
        }
        if let Some(version) = &written.version {
            response["etag"] = format!("W/\"{version}\"").into();
        }
        if let Some(updated) = written.updated {
            response["lastModified"] = instant(updated).into();
        }
        let bytes = written.bytes.as_deref().filter(|_| wanted == Return::Representation);
        put_together(bytes, &response)
    }

    fn transact(
        &self,
        asking: &Asking<'_>,
        bytes: &[u8],
        entries: &[Entry],
        handling: Handling,
        wanted: Return,
    ) -> Result<Vec<Vec<u8>>> {
        let mut acts: Vec<Option<Act>> = Vec::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            let asked = self.asked(asking, bytes, entry);
            acts.push(match asked.map_err(|failure| failure.within(at))? {
                Asked::Write(act) => Some(*act),
                Asked::Read => None,
            });
        }
        let mut answers: Vec<Vec<u8>> = vec![Vec::new(); entries.len()];
        if acts.iter().any(Option::is_some) {
            for (at, written) in self.alone(|db| self.commit(asking, db, entries, acts))? {
                if let Some(answer) = answers.get_mut(at) {
                    *answer = self.answer(&written, wanted);
                }
            }
        }
        for (at, entry) in entries.iter().enumerate() {
            if !matches!(entry.method, Method::GET | Method::HEAD) {
                continue;
            }
            let read = self.read_entry(asking, entry, handling);
            if let Some(answer) = answers.get_mut(at) {
                *answer = read.unwrap_or_else(|failure| failed(&failure));
            }
        }
        Ok(answers)
    }

    /// Plans everything in the state before, then does it: DELETE, POST, PUT and PATCH.
    fn commit(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        entries: &[Entry],
        acts: Vec<Option<Act>>,
    ) -> Result<Vec<(usize, Written)>> {
        let mut plans = Vec::new();
        let mut touched: HashSet<(Resource, String)> = HashSet::new();
        let mut names: HashMap<&str, String> = HashMap::new();
        for (at, (act, entry)) in acts.into_iter().zip(entries).enumerate() {
            let Some(act) = act else { continue };
            let plan = self.plan(asking, db, act).map_err(|failure| failure.within(at))?;
            let is_twice = plan.is_change() && !touched.insert((plan.resource, plan.id.clone()));
            if is_twice {
                return Err(Failure::unreadable(&format!(
                    "{}/{} stands in two entries of the transaction",
                    plan.resource.name(),
                    shorten(&plan.id)
                ))
                .within(at));
            }
            if let Some(url) = &entry.full_url
                && entry.method != Method::DELETE
            {
                let name = format!("{}/{}", plan.resource.name(), plan.id);
                if names.insert(url, name).is_some() {
                    return Err(
                        Failure::unreadable("two entries have the same `fullUrl`").within(at)
                    );
                }
            }
            plans.push((at, plan));
        }
        for (at, plan) in &mut plans {
            let url = entries.get(*at).and_then(|entry| entry.full_url.as_deref());
            if let Some(incoming) = plan.incoming() {
                self.rewrite(asking, db, incoming, url, &names)
                    .map_err(|failure| failure.within(*at))?;
            }
        }
        let order = |at: usize| match entries.get(at).map(|entry| &entry.method) {
            Some(&Method::DELETE) => 0,
            Some(&Method::POST) => 1,
            _ => 2,
        };
        plans.sort_by_key(|(at, _)| (order(*at), *at));
        let mut done = Vec::with_capacity(plans.len());
        for (at, plan) in plans {
            let written = self.apply(asking, db, plan).map_err(|failure| failure.within(at))?;
            done.push((at, written));
        }
        Ok(done)
    }

    /// Writes the addresses of entries where their `fullUrl` stood, and that of what a conditional
    /// reference finds.
    fn rewrite(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        incoming: &mut Incoming,
        own: Option<&str>,
        names: &HashMap<&str, String>,
    ) -> Result<()> {
        // A document's references are among its own entries.
        if incoming.resource == Resource::Bundle {
            return Ok(());
        }
        // `https://a.example/fhir/Patient/1` → `https://a.example/fhir`
        let root = own.filter(|url| url.contains("://")).and_then(|url| {
            let (rest, _) = url.rsplit_once('/')?;
            Some(rest.rsplit_once('/')?.0)
        });
        let mut edits = Vec::new();
        for link in &mut incoming.links {
            let text = link.text.as_str();
            let absolute = root.map(|root| format!("{root}/{text}"));
            let found = names
                .get(text)
                .or_else(|| absolute.as_deref().and_then(|url| names.get(url)))
                .cloned();
            let target = match found {
                Some(target) => target,
                None if !link.is_reference => continue,
                None => match text.split_once('?') {
                    Some((kind, query)) if Resource::parse(kind).is_some() => {
                        let resource = Resource::parse(kind).unwrap_or(incoming.resource);
                        let search = self.condition(asking, resource, query)?;
                        match self.found(asking, db, &search)?.as_slice() {
                            [id] => format!("{kind}/{id}"),
                            several => {
                                return Err(Failure::precondition(&format!(
                                    "{} resources match the conditional reference `{}`, and one \
                                     was meant",
                                    several.len(),
                                    shorten(text)
                                )));
                            }
                        }
                    }
                    _ if text.starts_with("urn:uuid:") || text.starts_with("urn:oid:") => {
                        return Err(Failure::rule(&format!(
                            "the reference `{}` names no entry of the transaction",
                            shorten(text)
                        )));
                    }
                    _ => continue,
                },
            };
            edits.push((link.place.clone(), Json::from(target.as_str()).to_string()));
            link.text = target;
        }
        if !edits.is_empty() {
            incoming.bytes = json::splice(&incoming.bytes, edits);
        }
        Ok(())
    }
}

fn status(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("")).trim().to_owned()
}

fn failed(failure: &Failure) -> Vec<u8> {
    let response = json!({ "status": status(failure.status()), "outcome": failure.to_json() });
    put_together(None, &response)
}

fn put_together(resource: Option<&[u8]>, response: &Json) -> Vec<u8> {
    let mut out = b"{".to_vec();
    if let Some(resource) = resource {
        out.extend_from_slice(b"\"resource\":");
        out.extend_from_slice(resource);
        out.push(b',');
    }
    out.extend_from_slice(format!("\"response\":{response}}}").as_bytes());
    out
}
