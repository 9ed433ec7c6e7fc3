//! The FHIR R4 facade: reads and searches of Patient, ImagingStudy, Endpoint and Organization.
//!
//! In: requests with an [`Actor`]. Out: JSON bytes that `mapping` rendered, joined to Bundles;
//! an OperationOutcome for everything that goes wrong. What is searched, summed up and said of
//! it stands in `mappings/search-parameters.toml`. A search is evaluated through the index only,
//! which takes away what the actor may not see before anything is counted, sorted or included.
//! Governed by FHIR R4 4.0.1 (http.html, search.html), HL7 Europe Imaging for the names of R5.
//! Absent: writing, XML, history; the store's rows are changed by ingest alone.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{self, Bytes};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::actor::{Actor, Role, SCOPED};
use crate::auth::BadToken;
use crate::config::Config;
use crate::error::Error;
use crate::http::{http_date, takes_gzip};
use crate::imaging::{Facet, keyed};
use crate::index::disclosure::Rule;
use crate::index::{Index, Query};
use crate::mapping::Context;
use crate::mapping::fhir::{
    ENDPOINT_ID, ORGANISATION_ID, View, render_endpoint, render_organisation, render_patient,
    render_study,
};
use crate::store::read::{self, IdSpace};
use crate::store::{Db, Store};

mod bundle;
mod cache;
mod capability;
mod negotiate;
mod outcome;
mod request;
mod search;
mod subset;
pub mod table;
pub mod validate;

use bundle::{Bundle, Total};
use cache::{Cache, Key, Rendered, Shape};
use outcome::{Failure, Result};
use request::Parameters;
use search::{Control, Handling, Search, Target, documents, patients, studies};
use subset::Subset;
use table::{Resource, Table};

/// Largest form of a search by POST.
pub const FORM_LIMIT: usize = 64 * 1024;
/// Most resources that includes add to a page.
const MOST_INCLUDED: usize = 1_000;

/// What the routes share.
pub struct State {
    store: Store,
    index: Arc<Index>,
    context: Context,
    table: Table,
    /// `https://…/fhir`
    base: String,
    disclosure: Rule,
    /// Seals the place where a page begins.
    cursor_key: [u8; 32],
    /// Changes whenever the same row could be answered with other bytes.
    fingerprint: [u8; 32],
    cache: Cache,
    metadata: Prepared,
    smart: Prepared,
    made: Vec<Made>,
}

/// Bytes that are the same for everybody.
struct Prepared {
    bytes: Bytes,
    gzip: Bytes,
    etag: String,
}

impl Prepared {
    fn new(value: &Value) -> Self {
        let bytes = value.to_string().into_bytes();
        let digest = keyed(b"etag", &bytes);
        let etag: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { gzip: negotiate::gzip(&bytes).into(), bytes: bytes.into(), etag }
    }
}

/// A resource that the configuration makes.
struct Made {
    resource: Resource,
    id: &'static str,
    version: String,
    json: Value,
    bytes: Bytes,
}

impl Made {
    fn new(resource: Resource, id: &'static str, bytes: Vec<u8>) -> Self {
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let version = json["meta"]["versionId"].as_str().unwrap_or("1").to_owned();
        Self { resource, id, version, json, bytes: bytes.into() }
    }
}

/// Who asks for what rendering, and when.
struct Asking<'a> {
    state: &'a State,
    actor: &'a Actor,
    view: View,
    /// Microseconds since 1970-01-01T00:00:00Z.
    now: i64,
}

impl Asking<'_> {
    fn ids(&self) -> IdSpace {
        match self.view {
            View::Care | View::DeIdentified => IdSpace::Care,
            View::Pseudonymous => IdSpace::Research,
        }
    }

    fn visible_patients(&self) -> roaring::RoaringBitmap {
        self.state.index.read().visible_patients(self.actor)
    }

    fn terms(&self, facet: Facet) -> Vec<String> {
        self.state.index.read().terms(facet)
    }
}

/// The answer to a read or search, before it is put into HTTP.
struct Answer {
    bytes: Bytes,
    /// Tag and last change of a resource that was read.
    version: Option<(String, Option<i64>)>,
}

impl State {
    /// The facade of a store.
    ///
    /// # Errors
    /// When a table of `mappings/` is wrong.
    pub fn new(
        config: &Config,
        store: Store,
        index: Arc<Index>,
        context: Context,
    ) -> crate::error::Result<Self> {
        let folder = Some(config.overrides.mappings.as_str()).filter(|folder| !folder.is_empty());
        let table = Table::load(folder.map(Path::new))?;
        let base = format!("{}/fhir", context.base());
        Ok(Self {
            metadata: Prepared::new(&capability::statement(&table, &context, &base)),
            smart: Prepared::new(&smart_configuration(&base)),
            made: vec![
                Made::new(Resource::Endpoint, ENDPOINT_ID, render_endpoint(&context)),
                Made::new(Resource::Organization, ORGANISATION_ID, render_organisation(&context)),
            ],
            disclosure: Rule {
                threshold: config.disclosure.threshold,
                rounding: config.disclosure.rounding,
            },
            cursor_key: context.derived_key("cursors"),
            // Rows of resources say what a subset holds.
            fingerprint: keyed(
                &context.rendering_fingerprint(),
                format!("{:?}", table.resource).as_bytes(),
            ),
            cache: Cache::new(config.server.cache_mib),
            store,
            index,
            context,
            table,
            base,
        })
    }

    // ── read ───────────────────────────────────────────────────────────────────────────────

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Answer> {
        let not_found =
            || Failure::from(Error::NotFound { kind: resource.name(), id: id.to_owned() });
        if !asking.actor.has_read_scope(resource.name()) {
            return Err(search::scope_needed(resource.name(), 'r'));
        }
        let row = self.table.row(resource);
        let cut = |bytes: Bytes| subset.cut(row, &bytes).map_or(bytes, Bytes::from);
        if let Some(made) = self.made.iter().find(|made| made.resource == resource) {
            return if made.id == id {
                let version = Some(self.version(asking, &made.version, None));
                Ok(Answer { bytes: cut(made.bytes.clone()), version })
            } else {
                Err(not_found())
            };
        }
        let mut db = self.store.reader()?;
        let found = match resource {
            Resource::Patient => read::find_patients_by_id(&mut db, asking.ids(), &[id]),
            _ => read::find_studies_by_id(&mut db, asking.ids(), &[id]),
        }
        .map_err(Error::from)?;
        let found = *found.first().ok_or_else(not_found)?;
        if found.is_deleted {
            // Who reads the whole archive may know that it was there.
            return Err(match asking.actor.role {
                Role::Ehr | Role::ImagingIt => {
                    Error::Gone { kind: resource.name(), id: id.to_owned() }.into()
                }
                Role::Researcher | Role::Steward | Role::Admin | Role::Public => not_found(),
            });
        }
        let may_read = match resource {
            Resource::Patient => self.index.read().may_read_patient(asking.actor, found.number),
            _ => self.index.read().may_read_study(asking.actor, found.number),
        };
        if !may_read {
            return Err(not_found());
        }
        let (bytes, version, updated) = match resource {
            Resource::Patient => {
                let patients = read::load_patients(&mut db, &[found.number], asking.ids())
                    .map_err(Error::from)?;
                let patient = patients.first().ok_or_else(not_found)?;
                let bytes = render_patient(&self.context, patient, asking.view).into();
                (bytes, patient.version, patient.updated)
            }
            _ => {
                let rendered = self.rendered(&mut db, asking, &[found.number], subset.shape())?;
                let (version, updated, rendered) =
                    rendered.into_iter().next().ok_or_else(not_found)?;
                if subset.shape() == Shape::Summary {
                    let version = Some(self.version(asking, version, Some(updated)));
                    return Ok(Answer { bytes: rendered.bytes, version });
                }
                (rendered.bytes, version, updated)
            }
        };
        let version = Some(self.version(asking, version, Some(updated)));
        Ok(Answer { bytes: cut(bytes), version })
    }

    /// The tag of a version: the row's number, and what it was rendered by.
    fn version(
        &self,
        asking: &Asking<'_>,
        number: impl Display,
        updated: Option<i64>,
    ) -> (String, Option<i64>) {
        let view = format!("{:?}", asking.view);
        let [a, b, c, d, ..] = keyed(&self.fingerprint, view.as_bytes());
        (format!("{number}-{:08x}", u32::from_be_bytes([a, b, c, d])), updated)
    }

    /// Studies by the store's numbers, rendered, in their order; with version and last change.
    fn rendered(
        &self,
        db: &mut Db,
        asking: &Asking<'_>,
        numbers: &[i64],
        shape: Shape,
    ) -> Result<Vec<(i32, i64, Rendered)>> {
        let view = asking.view;
        let key = |number, version| Key { number, version, view, shape };
        let versions = read::list_study_versions(db, numbers).map_err(Error::from)?;
        let mut found: HashMap<i64, (i32, i64, Rendered)> = HashMap::with_capacity(numbers.len());
        let mut missing = Vec::new();
        for row in versions.iter().filter(|row| !row.is_deleted) {
            match self.cache.get(&key(row.number, row.version)) {
                Some(rendered) => {
                    found.insert(row.number, (row.version, row.updated, rendered));
                }
                None => missing.push(row.number),
            }
        }
        let has_instances = shape == Shape::Whole;
        let loaded = read::load_studies(db, &missing, asking.ids(), has_instances);
        for study in loaded.map_err(Error::from)? {
            let whole = render_study(&self.context, &study, view);
            let bytes: Bytes = match shape {
                Shape::Whole => whole.with_instances(&self.context, &study, view).into(),
                Shape::Bare => Bytes::copy_from_slice(&whole.bytes),
                Shape::Summary => {
                    let row = self.table.row(Resource::ImagingStudy);
                    match Subset::Summary.cut(row, &whole.bytes) {
                        Some(cut) => cut.into(),
                        None => Bytes::copy_from_slice(&whole.bytes),
                    }
                }
            };
            let rendered = Rendered {
                id: study.public_id.as_str().into(),
                patient: study.patient.number,
                bytes,
            };
            self.cache.put(key(study.number, study.version), rendered.clone());
            found.insert(study.number, (study.version, study.updated, rendered));
        }
        Ok(numbers.iter().filter_map(|number| found.remove(number)).collect())
    }

    // ── search ─────────────────────────────────────────────────────────────────────────────

    fn search(&self, asking: &Asking<'_>, search: &Search) -> Result<Answer> {
        let bytes = match search.resource {
            Resource::ImagingStudy => self.search_studies(asking, search)?,
            Resource::Patient => self.search_patients(asking, search)?,
            Resource::Endpoint | Resource::Organization => self.search_made(asking, search)?,
        };
        Ok(Answer { bytes: bytes.into(), version: None })
    }

    fn search_studies(&self, asking: &Asking<'_>, search: &Search) -> Result<Vec<u8>> {
        let control = &search.control;
        let mut db = self.store.reader()?;
        let after = match &control.after {
            None => None,
            Some((id, key)) => {
                let found = read::find_studies_by_id(&mut db, asking.ids(), &[id]);
                Some((beginning(found)?, *key))
            }
        };
        let conditions = studies::conditions(&search.criteria);
        let query = studies::query(asking, &mut db, &search.criteria, &conditions)?;
        let (total, numbers, last_key) = {
            let index = self.index.read();
            let hits = index.search(asking.actor, &query);
            if asking.actor.role == Role::Ehr && index.patients_of(&hits).len() > 1 {
                return Err(several_patients());
            }
            if control.is_count_only {
                let everything = index.count_for_disclosure(&Query::All);
                let is_hidden = asking.actor.role == Role::Researcher
                    && !search.identifies()
                    && index.search(asking.actor, &Query::All).len() < everything;
                let total = if is_hidden {
                    search.permit_hidden_count()?;
                    // What may be read is known anyway: it must not hide how few the rest are.
                    let (studies, persons) =
                        index.hidden_counts_for_disclosure(asking.actor, &query);
                    match self.disclosure.things(studies, persons) {
                        Some(shown) => Total::Known(hits.len().saturating_add(shown)),
                        None => Total::Masked,
                    }
                } else {
                    Total::Known(hits.len())
                };
                return Ok(Bundle::new(total, &[("self", &self.self_link(search))]).finish());
            }
            let more = control.count.saturating_add(1);
            let numbers = index.page(&hits, control.sort, after, more);
            let last = numbers.get(..control.count).unwrap_or(&numbers).last();
            let key = last.map_or(0, |last| index.sort_key(control.sort, *last));
            (hits.len(), numbers, key)
        };
        let (numbers, has_more) = cut_page(numbers, control.count);
        let rendered = self.rendered(&mut db, asking, &numbers, control.subset.shape())?;
        let next = rendered.last().filter(|_| has_more).map(|(_, _, study)| (&*study.id, last_key));
        let mut bundle = self.begin(asking, search, total, next);
        let row = self.table.row(search.resource);
        for (_, _, study) in &rendered {
            let cut = match control.subset.shape() {
                Shape::Summary => None,
                Shape::Whole | Shape::Bare => control.subset.cut(row, &study.bytes),
            };
            let url = format!("{}/ImagingStudy/{}", self.base, study.id);
            bundle.push(&url, cut.as_deref().unwrap_or(&study.bytes), "match");
        }
        if control.include.contains(&Target::Patient) {
            let mut patients: Vec<i64> =
                rendered.iter().map(|(_, _, study)| study.patient).collect();
            patients.sort_unstable();
            patients.dedup();
            for patient in
                read::load_patients(&mut db, &patients, asking.ids()).map_err(Error::from)?
            {
                let bytes = render_patient(&self.context, &patient, asking.view);
                let url = format!("{}/Patient/{}", self.base, patient.public_id);
                bundle.push(&url, &bytes, "include");
            }
        }
        if !rendered.is_empty() {
            self.include_made(&mut bundle, search);
        }
        Ok(bundle.finish())
    }

    fn search_patients(&self, asking: &Asking<'_>, search: &Search) -> Result<Vec<u8>> {
        let control = &search.control;
        let mut db = self.store.reader()?;
        let hits = patients::search(asking, &mut db, &search.criteria)?;
        if asking.actor.role == Role::Ehr && hits.len() > 1 {
            return Err(several_patients());
        }
        if control.is_count_only {
            let total = Total::Known(hits.len());
            return Ok(Bundle::new(total, &[("self", &self.self_link(search))]).finish());
        }
        let start = match &control.after {
            None => 0,
            Some((id, _)) => {
                let after = beginning(read::find_patients_by_id(&mut db, asking.ids(), &[id]))?;
                u32::try_from(after).unwrap_or(u32::MAX).saturating_add(1)
            }
        };
        let more = control.count.saturating_add(1);
        let numbers = hits.range(start..).take(more).map(i64::from).collect();
        let (numbers, has_more) = cut_page(numbers, control.count);
        let page = read::load_patients(&mut db, &numbers, asking.ids()).map_err(Error::from)?;
        let next = page.last().filter(|_| has_more).map(|patient| (patient.public_id.as_str(), 0));
        let mut bundle = self.begin(asking, search, hits.len(), next);
        let row = self.table.row(search.resource);
        for patient in page {
            let bytes = render_patient(&self.context, &patient, asking.view);
            let cut = control.subset.cut(row, &bytes);
            let url = format!("{}/Patient/{}", self.base, patient.public_id);
            bundle.push(&url, cut.as_deref().unwrap_or(&bytes), "match");
        }
        if control.revinclude.contains(&Target::Studies) && !numbers.is_empty() {
            let (of_patients, are_more) = {
                let index = self.index.read();
                let hits = index.search(asking.actor, &Query::Patients(numbers));
                let sort = crate::index::Sort::Arrival;
                (index.page(&hits, sort, None, MOST_INCLUDED), hits.len() > MOST_INCLUDED as u64)
            };
            for (_, _, study) in self.rendered(&mut db, asking, &of_patients, Shape::Whole)? {
                let url = format!("{}/ImagingStudy/{}", self.base, study.id);
                bundle.push(&url, &study.bytes, "include");
            }
            if are_more {
                bundle.push_outcome(
                    "too-costly",
                    "the patients have more studies than a page includes; search ImagingStudy",
                );
            }
        }
        Ok(bundle.finish())
    }

    fn search_made(&self, asking: &Asking<'_>, search: &Search) -> Result<Vec<u8>> {
        let row = self.table.row(search.resource);
        let mut hits = Vec::new();
        for made in self.made.iter().filter(|made| made.resource == search.resource) {
            if documents::matches(&made.json, &search.criteria)? {
                hits.push(made);
            }
        }
        let total = hits.len() as u64;
        // There is one of each type: a page that begins behind another is empty.
        if search.control.after.is_some() {
            hits.clear();
        }
        let mut bundle = self.begin(asking, search, total, None);
        if !search.control.is_count_only {
            for made in &hits {
                let cut = search.control.subset.cut(row, &made.bytes);
                let url = format!("{}/{}/{}", self.base, made.resource.name(), made.id);
                bundle.push(&url, cut.as_deref().unwrap_or(&made.bytes), "match");
            }
            if !hits.is_empty() {
                self.include_made(&mut bundle, search);
            }
        }
        Ok(bundle.finish())
    }

    /// Endpoint and Organization, when they are included and not what was searched.
    fn include_made(&self, bundle: &mut Bundle, search: &Search) {
        let control = &search.control;
        for (target, resource) in
            [(Target::Endpoint, Resource::Endpoint), (Target::Organization, Resource::Organization)]
        {
            let is_asked =
                control.include.contains(&target) || control.revinclude.contains(&target);
            if is_asked && search.resource != resource {
                for made in self.made.iter().filter(|made| made.resource == resource) {
                    let url = format!("{}/{}/{}", self.base, resource.name(), made.id);
                    bundle.push(&url, &made.bytes, "include");
                }
            }
        }
    }

    fn self_link(&self, search: &Search) -> String {
        let pairs = search.processed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        format!("{}/{}{}", self.base, search.resource.name(), request::query_of(pairs))
    }

    fn begin(
        &self,
        asking: &Asking<'_>,
        search: &Search,
        total: u64,
        next: Option<(&str, i64)>,
    ) -> Bundle {
        let total = if search.control.has_total { Total::Known(total) } else { Total::Untold };
        let link = self.self_link(search);
        let next = next.map(|(after, key)| {
            let cursor = search::cursor(&self.cursor_key, &search.about(asking), after, key);
            let pairs = search
                .processed
                .iter()
                .filter(|(name, _)| name != search::CURSOR)
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .chain([(search::CURSOR, cursor.as_str())]);
            format!("{}/{}{}", self.base, search.resource.name(), request::query_of(pairs))
        });
        match &next {
            None => Bundle::new(total, &[("self", &link)]),
            Some(next) => Bundle::new(total, &[("self", &link), ("next", next)]),
        }
    }
}

/// The numbers of a page, and whether another page follows.
fn cut_page(mut numbers: Vec<i64>, count: usize) -> (Vec<i64>, bool) {
    let has_more = numbers.len() > count;
    numbers.truncate(count);
    (numbers, has_more)
}

/// The store's number of what a page begins behind; it may have been deleted since.
fn beginning(found: crate::store::QueryResult<Vec<read::Found>>) -> Result<i64> {
    let found = found.map_err(Error::from)?;
    found.first().map(|found| found.number).ok_or_else(search::foreign_cursor)
}

fn several_patients() -> Failure {
    Error::Forbidden(
        "the role `ehr` reads one patient at a time, and this is about several: give the \
         identifier's system, or `patient`"
            .to_owned(),
    )
    .into()
}

/// What a SMART client asks first (SMART App Launch 2.2, conformance). Tokens are minted by the
/// node's operator until it has a token endpoint.
fn smart_configuration(base: &str) -> Value {
    json!({
        "issuer": base,
        "grant_types_supported": [],
        "scopes_supported": SCOPED.map(|resource| format!("system/{resource}.rs")),
        // The words `read` and `search` are those of the EU API, where `read` is no search.
        "capabilities": ["permission-v2"],
    })
}

// ── HTTP ───────────────────────────────────────────────────────────────────────────────────

/// Adds the routes below `/fhir`; they need [`State`] as application data, and the [`Actor`] in
/// a request's extensions.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::scope("/fhir").default_service(web::route().to(handle)))
        .route("/fhir", web::route().to(handle));
}

async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    match answer(&request, payload, state).await {
        Ok(response) => response,
        Err(failure) => failure.to_response(),
    }
}

/// What an address below `/fhir` names.
enum Address<'a> {
    Metadata,
    Smart,
    Type(Resource),
    SearchForm(Resource),
    One(Resource, &'a str),
}

fn address(path: &str) -> Result<Address<'_>> {
    let unknown = || Failure::no_such_address(path);
    let resource = |name: &str| Resource::parse(name).ok_or_else(unknown);
    let rest = path.strip_prefix("/fhir").unwrap_or(path).trim_start_matches('/');
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        ["metadata"] => Ok(Address::Metadata),
        [".well-known", "smart-configuration"] => Ok(Address::Smart),
        [name] => Ok(Address::Type(resource(name)?)),
        [name, "_search"] => Ok(Address::SearchForm(resource(name)?)),
        // An id that is empty names nothing, and above all not everything.
        [name, id] if !id.is_empty() && !id.starts_with(['_', '$']) => {
            Ok(Address::One(resource(name)?, id))
        }
        _ => Err(unknown()),
    }
}

async fn answer(
    request: &HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse> {
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.path().to_owned();
    let address = address(&path);
    if let Ok(Address::Metadata | Address::Smart) = address {
        return if is_get {
            open(request, &state, matches!(address, Ok(Address::Metadata)))
        } else {
            Err(Failure::method("GET, HEAD"))
        };
    }
    let actor = request.extensions().get::<Actor>().cloned().ok_or_else(|| {
        match request.extensions().get::<BadToken>() {
            Some(BadToken(reason)) => Failure::bad_token(reason),
            None => Error::Unauthenticated(
                "a valid bearer token is needed (`Authorization: Bearer …`)".to_owned(),
            )
            .into(),
        }
    })?;
    let view = View::of(actor.purpose(), state.context.identity());
    let view = match (actor.role, view) {
        (Role::Ehr | Role::ImagingIt | Role::Researcher, Some(view)) => view,
        (role, _) => {
            return Err(Error::Forbidden(format!("the role `{role}` reads no patient data")).into());
        }
    };
    let mut parameters = Parameters::new();
    request::decode(request.query_string(), &mut parameters)?;
    let address = address?;
    match address {
        Address::SearchForm(_) if *request.method() == Method::POST => {
            let media = request.content_type().to_ascii_lowercase();
            let body = form(payload).await?;
            if !(media == "application/x-www-form-urlencoded"
                || (media.is_empty() && body.is_empty()))
            {
                return Err(Failure::media_type());
            }
            let body = std::str::from_utf8(&body)
                .map_err(|_| Error::Invalid("the form is not UTF-8".to_owned()))?;
            request::decode(body, &mut parameters)?;
        }
        Address::SearchForm(_) => return Err(Failure::method("POST")),
        _ if !is_get => return Err(Failure::method("GET, HEAD")),
        _ => {}
    }
    let value_of = |name: &str| {
        parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    negotiate::accept(request.headers(), value_of("_format"))?;
    let is_pretty = match value_of("_pretty") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Failure::parameter("_pretty", "is neither true nor false")),
    };
    let handling = handling(request);
    let takes_gzip = takes_gzip(request.headers());
    let task = match address {
        Address::Type(resource) | Address::SearchForm(resource) => Task::Search(resource),
        Address::One(resource, id) => Task::Read(resource, request::id(id)?),
        // They were answered above.
        Address::Metadata | Address::Smart => return Err(Failure::no_such_address(&path)),
    };
    let now = jiff::Timestamp::now().as_microsecond();
    let state = state.into_inner();
    let done = web::block(move || {
        let asking = Asking { state: &state, actor: &actor, view, now };
        let mut answer = state.work(&asking, task, parameters, handling)?;
        if is_pretty
            && let Ok(value) = serde_json::from_slice::<Value>(&answer.bytes)
            && let Ok(pretty) = serde_json::to_vec_pretty(&value)
        {
            answer.bytes = pretty.into();
        }
        let gzip = takes_gzip && answer.bytes.len() >= negotiate::GZIP_FROM;
        if gzip {
            answer.bytes = negotiate::gzip(&answer.bytes).into();
        }
        Ok::<_, Failure>((answer, gzip))
    })
    .await
    .map_err(|failure| Error::Internal(failure.to_string()))?;
    let (answer, is_gzip) = done?;
    Ok(respond(request, answer, is_gzip))
}

enum Task {
    Read(Resource, String),
    Search(Resource),
}

impl State {
    fn work(
        &self,
        asking: &Asking<'_>,
        task: Task,
        parameters: Parameters,
        handling: Handling,
    ) -> Result<Answer> {
        match task {
            Task::Search(resource) => {
                let search = Search::parse(asking, resource, parameters, handling)?;
                search.permit(asking)?;
                self.search(asking, &search)
            }
            Task::Read(resource, id) => {
                let mut control = Control::default();
                let row = self.table.row(resource);
                for (name, value) in &parameters {
                    match name.as_str() {
                        "_format" | "_pretty" => {}
                        "_summary" | "_elements" => {
                            control.take(row, name, value, handling)?;
                        }
                        _ if handling == Handling::Strict => {
                            return Err(Failure::parameter(name, "has no meaning for a read"));
                        }
                        _ => {}
                    }
                }
                if control.is_count_only {
                    return Err(Failure::parameter("_summary", "`count` is for searches"));
                }
                self.read(asking, resource, &id, &control.subset)
            }
        }
    }
}

async fn form(mut payload: web::Payload) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Error::Invalid("the body could not be read".to_owned()))?;
        if body.len() + chunk.len() > FORM_LIMIT {
            return Err(Failure::too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn handling(request: &HttpRequest) -> Handling {
    let is_strict = request
        .headers()
        .get_all("Prefer")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|preference| preference.trim().eq_ignore_ascii_case("handling=strict"));
    if is_strict { Handling::Strict } else { Handling::Lenient }
}

/// Whether the client has this version already (RFC 9110 section 13.1). `If-Modified-Since` is
/// not looked at: a date says when the row changed, not by which tables and systems it was
/// rendered when the client got it, which the tag does.
fn is_known(request: &HttpRequest, etag: &str) -> bool {
    request.headers().get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(
        |value| {
            value.split(',').map(str::trim).any(|known| {
                let bare = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_owned();
                known == "*" || bare(known) == bare(etag)
            })
        },
    )
}

fn respond(request: &HttpRequest, answer: Answer, is_gzip: bool) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    let mut is_unchanged = false;
    if let Some((version, updated)) = &answer.version {
        let etag = format!("W/\"{version}\"");
        is_unchanged = is_known(request, &etag);
        response.insert_header((header::ETAG, etag));
        if let Some(updated) = updated.and_then(|of| jiff::Timestamp::from_microsecond(of).ok()) {
            response.insert_header((header::LAST_MODIFIED, http_date(updated)));
        }
    }
    // Patient data are for the bearer of the token; a browser may keep them to revalidate.
    response.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    response.insert_header((header::VARY, "Accept, Accept-Encoding, Authorization"));
    if is_unchanged {
        response.status(StatusCode::NOT_MODIFIED);
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, negotiate::FHIR_JSON));
    if is_gzip {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    response.body(answer.bytes)
}

/// The addresses that need no token.
fn open(request: &HttpRequest, state: &State, is_metadata: bool) -> Result<HttpResponse> {
    let mut parameters = Parameters::new();
    request::decode(request.query_string(), &mut parameters)?;
    let prepared = if is_metadata { &state.metadata } else { &state.smart };
    let mut is_pretty = false;
    if is_metadata {
        let format = parameters.iter().find(|(name, _)| name == "_format");
        negotiate::accept(request.headers(), format.map(|(_, value)| value.as_str()))?;
        is_pretty = parameters.iter().any(|(name, value)| name == "_pretty" && value == "true");
    }
    let mut response = HttpResponse::Ok();
    let etag = format!("W/\"{}\"", prepared.etag);
    let is_unchanged = is_known(request, &etag);
    response.insert_header((header::ETAG, etag));
    response.insert_header((header::CACHE_CONTROL, "public, no-cache"));
    response.insert_header((header::VARY, "Accept, Accept-Encoding"));
    if is_unchanged {
        response.status(StatusCode::NOT_MODIFIED);
        return Ok(response.finish());
    }
    let media = if is_metadata { negotiate::FHIR_JSON } else { "application/json" };
    response.insert_header((header::CONTENT_TYPE, media));
    if is_pretty && let Ok(value) = serde_json::from_slice::<Value>(&prepared.bytes) {
        return Ok(response.body(format!("{value:#}")));
    }
    Ok(if takes_gzip(request.headers()) {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        response.body(prepared.gzip.clone())
    } else {
        response.body(prepared.bytes.clone())
    })
}
