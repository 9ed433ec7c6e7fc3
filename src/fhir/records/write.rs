//! Writing (FHIR R4 http.html, 3.1.0.4 to 3.1.0.9): what is asked, what it becomes of the present
//! state, and the row. All of it happens in one transaction of the store, which keeps other
//! writers away from the beginning: what was looked for and not found is still not there.

use std::sync::PoisonError;

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use serde_json::{Value as Json, json};

use super::super::negotiate::Format;
use super::super::operation::{Body, Reply};
use super::super::outcome::{Failure, Result};
use super::super::provider::{asked_of, not_found};
use super::super::request::{self, Parameters};
use super::super::search::values::local;
use super::super::search::{Handling, Search, scope_needed};
use super::super::subset::Subset;
use super::super::table::Resource;
use super::super::{Asking, State};
use super::json::{self, Link};
use super::patch::Patch;
use crate::error::Error;
use crate::mapping::fhir::instant;
use crate::store::records::{self as rows, Head, Method, Write};
use crate::store::{Db, read};

/// Largest body of a write.
pub(in crate::fhir) const BODY_LIMIT: usize = 16 << 20;

/// What the answer to a write holds (`Prefer: return=…`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::fhir) enum Return {
    Minimal,
    #[default]
    Representation,
    Outcome,
}

/// The conditions of a write, as headers or a Bundle's entry give them.
#[derive(Clone, Debug, Default)]
pub(in crate::fhir) struct Conditions {
    pub(in crate::fhir) if_match: Option<String>,
    pub(in crate::fhir) if_none_match: Option<String>,
    pub(in crate::fhir) if_none_exist: Option<String>,
}

/// A resource that came in and was found good.
#[derive(Debug)]
pub(in crate::fhir) struct Incoming {
    pub(in crate::fhir) resource: Resource,
    pub(in crate::fhir) bytes: Vec<u8>,
    pub(in crate::fhir) json: Json,
    pub(in crate::fhir) links: Vec<Link>,
}

impl Incoming {
    pub(super) fn id(&self) -> Option<&str> {
        self.json.get("id").and_then(Json::as_str)
    }
}

/// Which resource a write is about.
#[derive(Debug)]
pub(in crate::fhir) enum Target {
    Id(String),
    /// The one that a search finds.
    Where(Box<Search>),
}

/// What is asked.
#[derive(Debug)]
pub(in crate::fhir) enum Act {
    Create { incoming: Incoming, unless: Option<Box<Search>> },
    Update { target: Target, incoming: Incoming, conditions: Conditions },
    Patch { resource: Resource, target: Target, patch: Patch, conditions: Conditions },
    Delete { resource: Resource, target: Target, conditions: Conditions },
}

/// What that comes to.
#[derive(Debug)]
pub(in crate::fhir) struct Plan {
    pub(in crate::fhir) resource: Resource,
    pub(in crate::fhir) id: String,
    pub(super) before: Option<Head>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Put(Incoming, Method),
    Delete,
    /// It is there already, or there is nothing to delete.
    Nothing,
}

impl Plan {
    /// The resource that is put, to have its references rewritten.
    pub(in crate::fhir) fn incoming(&mut self) -> Option<&mut Incoming> {
        match &mut self.what {
            What::Put(incoming, _) => Some(incoming),
            What::Delete | What::Nothing => None,
        }
    }

    /// Whether it changes anything.
    pub(in crate::fhir) const fn is_change(&self) -> bool {
        !matches!(self.what, What::Nothing)
    }
}

/// What was done.
#[derive(Debug)]
pub(in crate::fhir) struct Written {
    pub(in crate::fhir) status: StatusCode,
    pub(in crate::fhir) resource: Resource,
    pub(in crate::fhir) id: String,
    /// None where nothing was there.
    pub(in crate::fhir) version: Option<String>,
    pub(in crate::fhir) updated: Option<i64>,
    /// None when it was deleted.
    pub(in crate::fhir) bytes: Option<Bytes>,
}

/// Whether an id may be one (R4 datatypes: `[A-Za-z0-9\-\.]{1,64}`).
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// Whether it looks like an id that the archive derives: a client may not take one before.
fn is_derived(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A random id, as a UUID.
fn new_id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|failure| Error::Internal(failure.to_string()))?;
    let number = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (4 << 76) | (2 << 62);
    let text = format!("{number:032x}");
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

impl State {
    /// Refuses a type that clients do not write, and an actor who may not.
    pub(in crate::fhir) fn permit_write(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        right: char,
    ) -> Result<()> {
        if !self.table.row(resource).is_written {
            return Err(Failure::read_only(resource));
        }
        if asking.sees_none(resource) {
            return Err(Error::Forbidden(format!(
                "{} names several patients, and the role `ehr` reads one at a time: it needs the \
                 role `imaging-it`",
                resource.name()
            ))
            .into());
        }
        if asking.actor.may_write(resource.name(), right) {
            return Ok(());
        }
        Err(scope_needed(resource.name(), right))
    }

    /// Reads and checks a body that is to become a resource of the type.
    pub(in crate::fhir) fn incoming(&self, resource: Resource, bytes: &[u8]) -> Result<Incoming> {
        let (json, links) = json::read(bytes).map_err(|why| why.told("the body is no resource"))?;
        let kind = json.get("resourceType").and_then(Json::as_str);
        if kind != Some(resource.name()) {
            return Err(Failure::unreadable(&format!(
                "the address takes {}, and the body's `resourceType` is {}",
                resource.name(),
                kind.map_or("missing".to_owned(), |kind| format!("`{}`", shorten(kind)))
            )));
        }
        self.check(&json)?;
        Ok(Incoming { resource, bytes: bytes.to_vec(), json, links })
    }

    /// The search of a conditional interaction: it names something, and the actor may ask it.
    pub(in crate::fhir) fn condition(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        query: &str,
    ) -> Result<Box<Search>> {
        let mut parameters = Parameters::new();
        request::decode(query, &mut parameters)?;
        self.condition_of(asking, resource, parameters)
    }

    pub(in crate::fhir) fn condition_of(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        parameters: Parameters,
    ) -> Result<Box<Search>> {
        // A condition that is not understood must not be left out.
        let search = Search::parse(asking, resource, parameters, Handling::Strict)?;
        if search.criteria.is_empty() {
            let reason = "a conditional interaction needs a search parameter";
            return Err(Failure::precondition(reason));
        }
        search.permit(asking)?;
        Ok(Box::new(search))
    }

    /// The ids of everything that a condition describes, whoever has it.
    pub(in crate::fhir) fn found(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        search: &Search,
    ) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for provider in self.providers(search.resource) {
            let Some(asked) = asked_of(provider, search) else { continue };
            match provider.ids(asking, db, &asked)? {
                Some(found) => ids.extend(found),
                None => {
                    let page = provider.search(asking, &asked, None)?;
                    ids.extend(page.matches.into_iter().map(|entry| entry.id));
                }
            }
        }
        Ok(ids)
    }

    /// Whether something of that id comes from elsewhere than clients.
    pub(super) fn is_derived(&self, asking: &Asking<'_>, resource: Resource, id: &str) -> bool {
        self.providers(resource)
            .filter(|provider| !provider.is_written())
            .any(|provider| provider.read(asking, resource, id, &Subset::Whole).is_ok())
    }

    /// What an interaction comes to in the present state.
    pub(in crate::fhir) fn plan(&self, asking: &Asking<'_>, db: &mut Db, act: Act) -> Result<Plan> {
        match act {
            Act::Create { incoming, unless } => {
                let resource = incoming.resource;
                self.permit_write(asking, resource, 'c')?;
                if let Some(search) = unless {
                    let found = self.found(asking, db, &search)?;
                    match found.as_slice() {
                        [] => {}
                        [id] => {
                            let before =
                                rows::find(db, resource.name(), id).map_err(Error::from)?;
                            let id = id.clone();
                            return Ok(Plan { resource, id, before, what: What::Nothing });
                        }
                        several => return Err(several_match(several.len())),
                    }
                }
                let what = What::Put(incoming, Method::Create);
                Ok(Plan { resource, id: new_id()?, before: None, what })
            }
            Act::Update { target, incoming, conditions } => {
                let resource = incoming.resource;
                self.permit_write(asking, resource, 'u')?;
                let id = match target {
                    Target::Id(id) => match incoming.id() {
                        Some(own) if own == id => id,
                        own => {
                            return Err(Failure::unreadable(&format!(
                                "the address names the id `{}`, and the body {}",
                                shorten(&id),
                                own.map_or("none".to_owned(), |own| format!("`{}`", shorten(own)))
                            )));
                        }
                    },
                    Target::Where(search) => {
                        let found = self.found(asking, db, &search)?;
                        match (found.as_slice(), incoming.id()) {
                            ([], Some(own)) => {
                                let known = rows::find(db, resource.name(), own);
                                if known.map_err(Error::from)?.is_some_and(|of| !of.is_deleted) {
                                    return Err(Failure::conflict(
                                        "nothing matches the condition, and the body's id is \
                                         taken",
                                    ));
                                }
                                own.to_owned()
                            }
                            ([], None) => {
                                self.permit_write(asking, resource, 'c')?;
                                let what = What::Put(incoming, Method::Create);
                                return Ok(Plan { resource, id: new_id()?, before: None, what });
                            }
                            ([one], own) if own.is_none_or(|own| own == one) => one.clone(),
                            ([_], _) => {
                                return Err(Failure::unreadable(
                                    "what matches the condition has another id than the body",
                                ));
                            }
                            (several, _) => return Err(several_match(several.len())),
                        }
                    }
                };
                if !is_id(&id) {
                    return Err(Failure::unreadable(&format!(
                        "`{}` is no id: letters, digits, `-` and `.`, at most 64",
                        shorten(&id)
                    )));
                }
                let before = rows::find(db, resource.name(), &id).map_err(Error::from)?;
                if before.is_none() {
                    if self.is_derived(asking, resource, &id) {
                        return Err(Failure::read_only(resource));
                    }
                    if is_derived(&id) {
                        return Err(Failure::rule(
                            "ids of 32 hexadecimal digits are those that the archive derives; \
                             choose another one, or POST",
                        ));
                    }
                }
                let present = before.as_ref().filter(|before| !before.is_deleted);
                compare(&conditions, present)?;
                if conditions.if_none_match.is_some() && present.is_some() {
                    return Err(Failure::precondition("there is one already (`If-None-Match`)"));
                }
                Ok(Plan { resource, id, before, what: What::Put(incoming, Method::Update) })
            }
            Act::Patch { resource, target, patch, conditions } => {
                self.patched(asking, db, resource, target, &patch, &conditions)
            }
            Act::Delete { resource, target, conditions } => {
                self.permit_write(asking, resource, 'd')?;
                let id = match target {
                    Target::Id(id) => id,
                    Target::Where(search) => {
                        let found = self.found(asking, db, &search)?;
                        match found.as_slice() {
                            [] => {
                                let (id, what) = (String::new(), What::Nothing);
                                return Ok(Plan { resource, id, before: None, what });
                            }
                            [id] => id.clone(),
                            several => return Err(several_match(several.len())),
                        }
                    }
                };
                let before = rows::find(db, resource.name(), &id).map_err(Error::from)?;
                let Some(head) = &before else {
                    return Err(if self.is_derived(asking, resource, &id) {
                        Failure::read_only(resource)
                    } else {
                        not_found(resource, &id)
                    });
                };
                let what = if head.is_deleted { What::Nothing } else { What::Delete };
                if !head.is_deleted {
                    compare(&conditions, Some(head))?;
                }
                Ok(Plan { resource, id, before, what })
            }
        }
    }

    /// Stores what was planned.
    pub(in crate::fhir) fn apply(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        plan: Plan,
    ) -> Result<Written> {
        let Plan { resource, id, before, what } = plan;
        let (incoming, method) = match what {
            What::Put(incoming, method) => (Some(incoming), method),
            What::Delete => (None, Method::Delete),
            What::Nothing => return self.unchanged(asking, db, resource, id, before),
        };
        if let Some(incoming) = &incoming {
            self.check_patients(asking, db, incoming.resource, &incoming.links)?;
        }
        let is_new = before.as_ref().is_none_or(|before| before.is_deleted);
        let mut write = Write {
            kind: resource.name(),
            id: &id,
            before: before.as_ref(),
            method,
            author: &asking.actor.subject,
            now: asking.now,
            body: None,
        };
        let body = incoming.map(|incoming| {
            json::with_head(&incoming.bytes, &id, write.version(), &instant(asking.now))
        });
        write.body = body.as_deref();
        let head = rows::put(db, &write).map_err(Error::from)?;
        let status = match (method, is_new) {
            (Method::Delete, _) => StatusCode::NO_CONTENT,
            (_, true) => StatusCode::CREATED,
            (_, false) => StatusCode::OK,
        };
        Ok(Written {
            status,
            resource,
            id,
            version: Some(head.version.to_string()),
            updated: Some(head.updated),
            bytes: body.map(Bytes::from),
        })
    }

    /// The answer where nothing had to be done: it is there, or it is deleted already.
    fn unchanged(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        resource: Resource,
        id: String,
        before: Option<Head>,
    ) -> Result<Written> {
        let (mut version, mut updated, mut bytes) = (None, None, None);
        match before {
            Some(head) => {
                version = Some(head.version.to_string());
                updated = Some(head.updated);
                let body = rows::body(db, head.number, head.version).map_err(Error::from)?;
                bytes = body.map(Bytes::from);
            }
            // It comes from elsewhere, or nothing matched a conditional delete.
            None if id.is_empty() => {}
            None => {
                let read = self.read(asking, resource, &id, &Subset::Whole)?;
                (version, updated, bytes) = (Some(read.version), read.updated, Some(read.bytes));
            }
        }
        let status = if bytes.is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT };
        Ok(Written { status, resource, id, version, updated, bytes })
    }

    /// A reference to a patient of the archive must name one that is there: what belongs to
    /// nobody would be found by nobody.
    pub(super) fn check_patients(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        resource: Resource,
        links: &[Link],
    ) -> Result<()> {
        // A document is kept as it was signed.
        if resource == Resource::Bundle {
            return Ok(());
        }
        for link in links.iter().filter(|link| link.is_reference) {
            let Some(("Patient", id)) = local(&link.text, &self.base) else { continue };
            let found = read::find_patients_by_id(db, asking.ids(), &[id]).map_err(Error::from)?;
            if !found.iter().any(|found| !found.is_deleted) {
                return Err(Failure::rule(&format!(
                    "`{}` is no patient of this archive: refer to one by id, or by identifier \
                     (`subject.identifier`) if the patient's images are yet to come",
                    shorten(&link.text)
                )));
            }
        }
        Ok(())
    }

    /// Runs `work` alone: in one transaction, with everything before it seen.
    pub(in crate::fhir) fn alone<T>(&self, work: impl FnOnce(&mut Db) -> Result<T>) -> Result<T> {
        // One writer of the process at a time takes a connection: those who wait hold none, so
        // that one is left to read with.
        let _turn = self.records.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.write_unless(|db| {
            rows::lock(db).map_err(Error::from)?;
            self.records.catch_up(self, db)?;
            work(db)
        })
    }

    /// One interaction.
    pub(in crate::fhir) fn write(&self, asking: &Asking<'_>, act: Act) -> Result<Written> {
        self.alone(|db| {
            let plan = self.plan(asking, db, act)?;
            self.apply(asking, db, plan)
        })
    }

    /// The answer to a write.
    pub(in crate::fhir) fn written(&self, written: Written, wanted: Return) -> Reply {
        let mut reply = Reply::fhir(Bytes::new());
        reply.status = written.status;
        let location = self.location(&written);
        reply.version = written.version.map(|version| (version, written.updated));
        if let (StatusCode::CREATED | StatusCode::OK, Some(location)) = (written.status, location) {
            reply.headers.push((header::LOCATION, location));
        }
        let stored =
            || super::super::outcome::outcome("information", "informational", "stored", None);
        reply.body = match (written.bytes, wanted) {
            (Some(bytes), Return::Representation) => Body::Fhir(Format::Json, bytes),
            (Some(_), Return::Outcome) => Body::Fhir(Format::Json, stored().to_string().into()),
            _ => Body::Empty,
        };
        reply
    }

    /// The address of the version that was written.
    pub(in crate::fhir) fn location(&self, written: &Written) -> Option<String> {
        let version = written.version.as_ref()?;
        let Written { resource, id, .. } = written;
        Some(format!("{}/{}/{id}/_history/{version}", self.base, resource.name()))
    }
}

pub(super) fn several_match(count: usize) -> Failure {
    Failure::precondition(&format!("{count} resources match the condition, and one was meant"))
}

/// `If-Match` against the present version.
pub(super) fn compare(conditions: &Conditions, present: Option<&Head>) -> Result<()> {
    let Some(wanted) = &conditions.if_match else { return Ok(()) };
    let bare = wanted.trim().trim_start_matches("W/").trim_matches('"');
    match present {
        Some(head) if head.version.to_string() == bare || bare == "*" => Ok(()),
        Some(head) => Err(Failure::precondition(&format!(
            "`If-Match` names version `{}`, and the present one is {}: read it again and decide",
            shorten(bare),
            head.version
        ))),
        None => Err(Failure::precondition("`If-Match` names a version, and there is none")),
    }
}

pub(in crate::fhir) fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Content that is no FHIR, as the Binary that it is kept as (R4 binary.html).
pub(in crate::fhir) fn wrap(media: &str, id: Option<&str>, content: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(content);
    let mut binary = json!({ "resourceType": "Binary" });
    if let Some(id) = id {
        binary["id"] = id.into();
    }
    binary["contentType"] = media.into();
    binary["data"] = data.into();
    binary.to_string().into_bytes()
}
