//! HTTP below `/fhir` (FHIR R4 http.html): addresses → reads, searches and operations, and
//! answers → status, headers and body.

use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::negotiate::{self, Format};
use super::operation::xml_of;
use super::operation::{Body, Call, Reply};
use super::outcome::{Failure, Result};
use super::records::patch::{Fault, Patch};
use super::records::write::{Act, BODY_LIMIT, Conditions, Return, Target, wrap};
use super::request::{self, Parameters};
use super::search::{Control, Handling, Search};
use super::table::Resource;
use super::{Asking, FORM_LIMIT, State, xml};
use crate::actor::{Actor, Role};
use crate::auth::BadToken;
use crate::error::Error;
use crate::http::{http_date, takes_gzip};
use crate::mapping::fhir::View;

/// Adds the routes below `/fhir`; they need [`State`] as application data, and the [`Actor`] in
/// a request's extensions.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(super::bulk::routes)
        .configure(super::subscription::routes)
        .service(web::scope("/fhir").default_service(web::route().to(handle)))
        .route("/fhir", web::route().to(handle));
}

/// The media type of patches.
pub(super) const JSON_PATCH: &str = "application/json-patch+json";

async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    // What goes wrong is told in the format that was asked for, if there is one.
    let format = format_of(request.query_string());
    let format = negotiate::accept(request.headers(), format.as_deref()).unwrap_or(Format::Json);
    match answer(&request, payload, state).await {
        Ok(response) => response,
        Err(failure) => failure.to_response(format),
    }
}

/// `_format` of a query, if the query can be read.
pub(super) fn format_of(query: &str) -> Option<String> {
    let mut parameters = Parameters::new();
    request::decode(query, &mut parameters).ok()?;
    parameters.into_iter().find(|(name, _)| name == "_format").map(|(_, value)| value)
}

/// What an address below `/fhir` names.
#[derive(Debug, PartialEq)]
enum Address<'a> {
    /// Where batches and transactions go.
    Base,
    Metadata,
    Smart,
    Type(Resource),
    SearchForm(Resource),
    One(Resource, &'a str),
    /// `_history` of everything, a type or a resource.
    History(Option<Resource>, Option<&'a str>),
    Version(Resource, &'a str, &'a str),
    /// `$name` of the system, a type or a resource.
    Operation(Option<Resource>, Option<&'a str>, &'a str),
}

fn address(path: &str) -> Result<Address<'_>> {
    let unknown = || Failure::no_such_address(path);
    let resource = |name: &str| Resource::parse(name).ok_or_else(unknown);
    let rest = path.strip_prefix("/fhir").unwrap_or(path).trim_start_matches('/');
    let parts: Vec<&str> = rest.split('/').collect();
    // An id that is empty names nothing, and above all not everything.
    let is_id = |id: &str| !id.is_empty() && !id.starts_with(['_', '$']);
    match parts.as_slice() {
        [""] => Ok(Address::Base),
        ["_history"] => Ok(Address::History(None, None)),
        [name, "_history"] => Ok(Address::History(Some(resource(name)?), None)),
        [name, id, "_history"] if is_id(id) => {
            Ok(Address::History(Some(resource(name)?), Some(id)))
        }
        [name, id, "_history", version] if is_id(id) && is_id(version) => {
            Ok(Address::Version(resource(name)?, id, version))
        }
        ["metadata"] => Ok(Address::Metadata),
        [".well-known", "smart-configuration"] => Ok(Address::Smart),
        [name] => match name.strip_prefix('$') {
            Some(name) => Ok(Address::Operation(None, None, name)),
            None => Ok(Address::Type(resource(name)?)),
        },
        [name, "_search"] => Ok(Address::SearchForm(resource(name)?)),
        [name, id] if is_id(id) => Ok(Address::One(resource(name)?, id)),
        [name, last] => match last.strip_prefix('$') {
            Some(operation) => Ok(Address::Operation(Some(resource(name)?), None, operation)),
            None => Err(unknown()),
        },
        [name, id, last] if is_id(id) => match last.strip_prefix('$') {
            Some(operation) => Ok(Address::Operation(Some(resource(name)?), Some(id), operation)),
            None => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

impl Address<'_> {
    /// The type that it is about.
    const fn resource(&self) -> Option<Resource> {
        match self {
            Self::Type(of) | Self::SearchForm(of) | Self::One(of, _) | Self::Version(of, ..) => {
                Some(*of)
            }
            Self::History(of, _) | Self::Operation(of, ..) => *of,
            Self::Base | Self::Metadata | Self::Smart => None,
        }
    }
}

/// Who asks, by their token.
fn bearer(request: &HttpRequest) -> Result<Actor> {
    request.extensions().get::<Actor>().cloned().ok_or_else(|| {
        match request.extensions().get::<BadToken>() {
            Some(BadToken(reason)) => Failure::bad_token(reason),
            None => Error::Unauthenticated(
                "a valid bearer token is needed (`Authorization: Bearer …`)".to_owned(),
            )
            .into(),
        }
    })
}

/// Who asks, and what they see.
pub(super) fn asker(request: &HttpRequest, state: &State) -> Result<(Actor, View)> {
    let actor = bearer(request)?;
    match (actor.role, View::of(actor.purpose(), state.context.identity())) {
        (Role::Ehr | Role::ImagingIt | Role::Researcher, Some(view)) => Ok((actor, view)),
        (role, _) => {
            Err(Error::Forbidden(format!("the role `{role}` reads no patient data")).into())
        }
    }
}

/// Who asks there: published texts are for every role, seen as by who sees least.
fn asker_at(request: &HttpRequest, state: &State, at: Option<Resource>) -> Result<(Actor, View)> {
    if at.is_none_or(|of| !state.table.row(of).is_public) {
        return asker(request, state);
    }
    let actor = bearer(request)?;
    match asker(request, state) {
        Ok(known) => Ok(known),
        Err(_) => Ok((actor, View::Pseudonymous)),
    }
}

async fn answer(
    request: &HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse> {
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_post = *request.method() == Method::POST;
    let is_write =
        is_post || [Method::PUT, Method::PATCH, Method::DELETE].contains(request.method());
    let path = request.path().to_owned();
    let address = address(&path);
    if let Ok(Address::Metadata | Address::Smart) = address {
        return if is_get {
            open(request, &state, matches!(address, Ok(Address::Metadata)))
        } else {
            Err(Failure::method("GET, HEAD"))
        };
    }
    let at = address.as_ref().ok().and_then(Address::resource);
    let (actor, view) = asker_at(request, &state, at)?;
    let mut parameters = Parameters::new();
    request::decode(request.query_string(), &mut parameters)?;
    let mut call = None;
    let mut body = None;
    let mut is_binary = false;
    match address? {
        Address::Base if is_post => body = Some(read_body(payload, BODY_LIMIT).await?),
        Address::Base if !is_get => return Err(Failure::method("GET, HEAD, POST")),
        Address::Type(_) if is_write => body = Some(read_body(payload, BODY_LIMIT).await?),
        Address::One(..) if is_write && !is_post => {
            body = Some(read_body(payload, BODY_LIMIT).await?);
        }
        Address::Type(_) if !is_get => {
            return Err(Failure::method("GET, HEAD, POST, PUT, PATCH, DELETE"));
        }
        Address::One(..) if !is_get => {
            return Err(Failure::method("GET, HEAD, PUT, PATCH, DELETE"));
        }
        Address::SearchForm(_) if is_post => {
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
        Address::Operation(resource, id, name) => {
            let operation = state.operation(resource, id.is_some(), name);
            let operation = operation.ok_or_else(|| Failure::no_such_address(&path))?;
            match (is_get, is_post, operation.takes_get()) {
                (true, _, true) | (_, true, _) => {}
                (_, _, true) => return Err(Failure::method("GET, HEAD, POST")),
                (_, _, false) => return Err(Failure::method("POST")),
            }
            let media = request.content_type().to_ascii_lowercase();
            let body = read_body(payload, operation.longest_body()).await?;
            call = Some(as_json(media, body)?);
        }
        _ if !is_get => return Err(Failure::method("GET, HEAD")),
        Address::One(Resource::Binary, _) => is_binary = true,
        _ => {}
    }
    let value_of = |name: &str| {
        parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    let is_content = is_binary && !negotiate::names_fhir(request.headers(), value_of("_format"));
    // An operation may answer with something that is no resource.
    let format = if is_content || (call.is_some() && takes_other(request)) {
        Format::Json
    } else {
        negotiate::accept(request.headers(), value_of("_format"))?
    };
    let is_pretty = match value_of("_pretty") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Failure::parameter("_pretty", "is neither true nor false")),
    };
    let handling = handling(request);
    // What is inside a Binary is decoded first.
    let takes_gzip = !is_content && takes_gzip(request.headers());
    let write = body.map(|body| Writing::of(request, body));
    let now = jiff::Timestamp::now().as_microsecond();
    let state = state.into_inner();
    let done = web::block(move || {
        let asking = Asking { state: &state, actor: &actor, view, now };
        let mut reply = match (self::address(&path)?, write) {
            (Address::Operation(resource, id, name), _) => {
                let operation = state.operation(resource, id.is_some(), name);
                let operation = operation.ok_or_else(|| Failure::no_such_address(&path))?;
                let id = id.map(request::id).transpose()?;
                let (media, body) = call.unwrap_or_default();
                operation.run(&asking, Call { resource, id, parameters, handling, media, body })?
            }
            (address, Some(write)) => {
                state.answer_write(&asking, address, &path, parameters, handling, write)?
            }
            (_, None) => state.get(&asking, &path, parameters, handling)?,
        };
        if format == Format::Xml {
            reply = reply.into_xml()?;
        } else if let Body::Fhir(_, bytes) = &mut reply.body
            && is_pretty
            && let Ok(value) = serde_json::from_slice::<Value>(bytes)
            && let Ok(pretty) = serde_json::to_vec_pretty(&value)
        {
            *bytes = pretty.into();
        }
        Ok::<_, Failure>(reply.compress(takes_gzip))
    })
    .await
    .map_err(|failure| Error::Internal(failure.to_string()))?;
    let mut reply = done?;
    if is_content {
        reply = reply.content()?;
    }
    if let Body::Other { media, .. } = &reply.body {
        negotiate::accept_content(request.headers(), media)?;
    }
    Ok(respond(request, reply))
}

/// Whether the client accepts something that is no type of FHIR: what an operation answers then
/// is compared with it.
fn takes_other(request: &HttpRequest) -> bool {
    let values = request.headers().get_all(header::ACCEPT);
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| !range.contains("json") && !range.contains("xml"))
}

/// A request that writes, taken out of HTTP.
struct Writing {
    method: Method,
    /// With its parameters.
    media: String,
    body: Bytes,
    conditions: Conditions,
    /// `Prefer: return=…`; `None`: it says nothing of that.
    wanted: Option<Return>,
}

impl Writing {
    fn of(request: &HttpRequest, body: Bytes) -> Self {
        let text = |name: &str| {
            let value = request.headers().get(name)?;
            // What is no text is a condition that cannot hold.
            Some(value.to_str().unwrap_or("\u{fffd}").to_owned())
        };
        let wanted = preferences(request).find_map(|one| match one {
            "return=minimal" => Some(Return::Minimal),
            "return=representation" => Some(Return::Representation),
            "return=OperationOutcome" => Some(Return::Outcome),
            _ => None,
        });
        Self {
            method: request.method().clone(),
            media: text("Content-Type").unwrap_or_default(),
            body,
            conditions: Conditions {
                if_match: text("If-Match"),
                if_none_match: text("If-None-Match"),
                if_none_exist: text("If-None-Exist"),
            },
            wanted,
        }
    }
}

/// The preferences of a request (RFC 7240).
fn preferences(request: &HttpRequest) -> impl Iterator<Item = &str> {
    request
        .headers()
        .get_all("Prefer")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .map(str::trim)
}

impl State {
    /// A read, search or history.
    pub(super) fn get(
        &self,
        asking: &Asking<'_>,
        path: &str,
        parameters: Parameters,
        handling: Handling,
    ) -> Result<Reply> {
        match address(path)? {
            Address::Type(resource) | Address::SearchForm(resource) => {
                self.answer_search(asking, resource, parameters, handling)
            }
            Address::One(resource, id) => {
                self.answer_read(asking, resource, &request::id(id)?, &parameters, handling)
            }
            Address::History(resource, id) => {
                let id = id.map(request::id).transpose()?;
                self.history(asking, resource, id.as_deref(), &parameters, handling)
            }
            Address::Version(resource, id, version) => {
                self.version(asking, resource, &request::id(id)?, version)
            }
            Address::Operation(resource, id, name) => {
                let operation = self.operation(resource, id.is_some(), name);
                let operation = operation
                    .filter(|operation| operation.takes_get())
                    .ok_or_else(|| Failure::no_such_address(path))?;
                let id = id.map(request::id).transpose()?;
                let (media, body) = (String::new(), Bytes::new());
                operation.run(asking, Call { resource, id, parameters, handling, media, body })
            }
            Address::Base => self.search_system(asking, parameters, handling),
            Address::Metadata | Address::Smart => Err(Failure::no_such_address(path)),
        }
    }

    fn answer_write(
        &self,
        asking: &Asking<'_>,
        address: Address<'_>,
        path: &str,
        parameters: Parameters,
        handling: Handling,
        write: Writing,
    ) -> Result<Reply> {
        let Writing { method, media, body, conditions, wanted } = write;
        let own = |(name, _): &(String, String)| !["_format", "_pretty"].contains(&name.as_str());
        let parameters: Parameters = parameters.into_iter().filter(own).collect();
        let is_fhir = negotiate::is_readable(&media);
        let bare = media.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if address == Address::Base {
            if !is_fhir {
                return Err(Failure::unsupported_media(&media));
            }
            let wanted = wanted.unwrap_or(Return::Minimal);
            let (_, body) = as_json(bare, body)?;
            return self.process(asking, &body, handling, wanted);
        }
        let (resource, id) = match address {
            Address::Type(resource) => (resource, None),
            Address::One(resource, id) => (resource, Some(request::id(id)?)),
            _ => return Err(Failure::no_such_address(path)),
        };
        let right = match method {
            Method::POST => 'c',
            Method::PUT | Method::PATCH => 'u',
            _ => 'd',
        };
        // Rights first: who may not write learns nothing of what is wrong with it.
        self.permit_write(asking, resource, right)?;
        let incoming = || {
            if is_fhir {
                let (_, body) = as_json(bare.clone(), body.clone())?;
                return self.incoming(resource, &body);
            }
            let is_content =
                resource == Resource::Binary && bare.contains('/') && Format::of(&bare).is_none();
            if !is_content {
                return Err(Failure::unsupported_media(&media));
            }
            self.incoming(resource, &wrap(&bare, id.as_deref(), &body))
        };
        let target = |parameters: Parameters| match &id {
            Some(id) => Ok(Target::Id(id.clone())),
            None => {
                Ok::<_, Failure>(Target::Where(self.condition_of(asking, resource, parameters)?))
            }
        };
        let act = match method {
            Method::POST => {
                let unless = conditions.if_none_exist.as_deref();
                let unless = unless.map(|query| self.condition(asking, resource, query));
                Act::Create { incoming: incoming()?, unless: unless.transpose()? }
            }
            Method::PUT => {
                Act::Update { incoming: incoming()?, target: target(parameters)?, conditions }
            }
            Method::PATCH => {
                let patch = if bare == JSON_PATCH {
                    Patch::read(&body)
                } else if is_fhir {
                    let (_, body) = as_json(bare.clone(), body.clone())?;
                    Patch::read_fhir(&body)
                } else {
                    return Err(Failure::other_media_type(
                        "a JSON Patch (RFC 6902) as `application/json-patch+json`, or a FHIRPath \
                         Patch, which is Parameters, as a type of FHIR",
                    ));
                };
                let patch = patch.map_err(Fault::told)?;
                Act::Patch { resource, target: target(parameters)?, patch, conditions }
            }
            _ => Act::Delete { resource, target: target(parameters)?, conditions },
        };
        let written = self.write(asking, act)?;
        Ok(self.written(written, wanted.unwrap_or_default()))
    }

    fn answer_search(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        parameters: Parameters,
        handling: Handling,
    ) -> Result<Reply> {
        let search = Search::parse(asking, resource, parameters, handling)?;
        search.permit(asking)?;
        Ok(Reply::fhir(self.search(asking, &search)?))
    }

    fn answer_read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        parameters: &Parameters,
        handling: Handling,
    ) -> Result<Reply> {
        let mut control = Control::default();
        let row = self.table.row(resource);
        for (name, value) in parameters {
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
        let read = self.read(asking, resource, id, &control.subset)?;
        let mut reply = Reply::fhir(read.bytes);
        reply.version = Some((read.version, read.updated));
        Ok(reply)
    }
}

/// A body of FHIR XML as JSON; any other as it is.
pub(super) fn as_json(media: String, body: Bytes) -> Result<(String, Bytes)> {
    if Format::of(&media) != Some(Format::Xml) || body.is_empty() {
        return Ok((media, body));
    }
    let json = xml::to_json(&body).map_err(|reason| {
        Failure::from(Error::Invalid(format!("the body is no resource in FHIR XML: {reason}")))
    })?;
    Ok(("application/fhir+json".to_owned(), json.into()))
}

async fn form(payload: web::Payload) -> Result<Bytes> {
    read_body(payload, FORM_LIMIT).await
}

/// The body, if it has at most `longest` bytes.
pub(super) async fn read_body(mut payload: web::Payload, longest: usize) -> Result<Bytes> {
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Error::Invalid("the body could not be read".to_owned()))?;
        if body.len() + chunk.len() > longest {
            return Err(Failure::too_large(longest));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(super) fn handling(request: &HttpRequest) -> Handling {
    let is_strict = preferences(request).any(|one| one.eq_ignore_ascii_case("handling=strict"));
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

fn respond(request: &HttpRequest, reply: Reply) -> HttpResponse {
    let mut response = HttpResponse::build(reply.status);
    let mut is_unchanged = false;
    if let Some((version, updated)) = &reply.version {
        let etag = format!("W/\"{version}\"");
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        is_unchanged = is_get && reply.status == StatusCode::OK && is_known(request, &etag);
        response.insert_header((header::ETAG, etag));
        if let Some(updated) = updated.and_then(|of| jiff::Timestamp::from_microsecond(of).ok()) {
            response.insert_header((header::LAST_MODIFIED, http_date(updated)));
        }
    }
    for (name, value) in &reply.headers {
        response.insert_header((HeaderName::clone(name), value.as_str()));
    }
    // Patient data are for the bearer of the token; a browser may keep them to revalidate.
    response.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    response.insert_header((header::VARY, "Accept, Accept-Encoding, Authorization"));
    if is_unchanged {
        response.status(StatusCode::NOT_MODIFIED);
        return response.finish();
    }
    if reply.is_gzip {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    match reply.body {
        Body::Empty => response.finish(),
        Body::Fhir(format, bytes) => {
            response.insert_header((header::CONTENT_TYPE, format.media())).body(bytes)
        }
        Body::Other { media, bytes } => {
            response.insert_header((header::CONTENT_TYPE, media)).body(bytes)
        }
    }
}

/// The addresses that need no token.
fn open(request: &HttpRequest, state: &State, is_metadata: bool) -> Result<HttpResponse> {
    let mut parameters = Parameters::new();
    request::decode(request.query_string(), &mut parameters)?;
    let prepared = if is_metadata { &state.metadata } else { &state.smart };
    let mut is_pretty = false;
    let mut format = Format::Json;
    if is_metadata {
        let asked = parameters.iter().find(|(name, _)| name == "_format");
        format = negotiate::accept(request.headers(), asked.map(|(_, value)| value.as_str()))?;
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
    let media = if is_metadata { format.media() } else { "application/json" };
    response.insert_header((header::CONTENT_TYPE, media));
    if format == Format::Xml {
        return Ok(response.body(xml_of(&prepared.bytes)?));
    }
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
