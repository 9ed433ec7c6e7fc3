//! HTTP of subscriptions: create, read, list, replace, delete.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::Value;

use super::wanted::Wanted;
use super::{OFF, REQUESTED, resource_of};
use crate::actor::{Actor, Role};
use crate::error::Error;
use crate::fhir::bundle::{Bundle, Total};
use crate::fhir::handle::{as_json, asker, format_of, handling, read_body};
use crate::fhir::negotiate::{self, Format};
use crate::fhir::operation::xml_of;
use crate::fhir::outcome::{Failure, Result};
use crate::fhir::request::{self, Parameters};
use crate::fhir::search::Handling;
use crate::fhir::{Asking, State};
use crate::http::http_date;
use crate::mapping::fhir::View;
use crate::store::changes::last_change;
use crate::store::subscriptions::{self, SubscriptionRow};

const CHANGED: &str = "the subscription has changed meanwhile: read it again";

/// Largest Subscription.
const BODY: usize = 64 * 1024;

/// Adds the addresses of subscriptions.
pub(in crate::fhir) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/fhir/Subscription")
                .route(web::get().to(list))
                .route(web::post().to(write))
                .default_service(
                    web::route()
                        .to(|| async { Failure::method("GET, POST").to_response(Format::Json) }),
                ),
        )
        .service(
            web::resource("/fhir/Subscription/{id}")
                .route(web::get().to(read))
                .route(web::put().to(write))
                .route(web::delete().to(delete))
                .default_service(web::route().to(|| async {
                    Failure::method("GET, PUT, DELETE").to_response(Format::Json)
                })),
        );
}

/// What the client takes.
fn format(request: &HttpRequest) -> Result<Format> {
    negotiate::accept(request.headers(), format_of(request.query_string()).as_deref())
}

/// Answers in the format that was asked for.
fn answered(request: &HttpRequest, answer: Result<HttpResponse>) -> HttpResponse {
    answer.unwrap_or_else(|failure| failure.to_response(format(request).unwrap_or(Format::Json)))
}

/// Subscriptions are of care, and of the whole archive.
fn subscriber(request: &HttpRequest, state: &State) -> Result<(Actor, View)> {
    let (actor, view) = asker(request, state)?;
    if actor.role != Role::ImagingIt {
        return Err(Error::Forbidden(format!(
            "subscriptions are for the role `imaging-it`, which sees the whole archive, not for \
             `{}`",
            actor.role
        ))
        .into());
    }
    if state.subscriptions.most == 0 {
        return Err(Failure::no_such_address("Subscription"));
    }
    Ok((actor, view))
}

fn unknown(id: &str) -> Failure {
    let id = id.chars().take(64).collect();
    Error::NotFound { kind: "Subscription", id }.into()
}

fn id_of(request: &HttpRequest) -> String {
    request.match_info().get("id").unwrap_or("").to_owned()
}

async fn block<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    web::block(work).await.map_err(|failure| Error::Internal(failure.to_string()))?
}

/// A response with a resource.
fn begin(format: Format, status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::VARY, "Accept, Authorization"))
        .insert_header((header::CONTENT_TYPE, format.media()));
    response
}

fn one(
    request: &HttpRequest,
    state: &State,
    row: &SubscriptionRow,
    actor: &Actor,
    status: StatusCode,
) -> Result<HttpResponse> {
    let format = format(request)?;
    let json = resource_of(row, &actor.subject).to_string().into_bytes();
    let mut response = begin(format, status);
    response.insert_header((header::ETAG, format!("W/\"{}\"", row.version)));
    if let Ok(updated) = jiff::Timestamp::from_microsecond(row.updated) {
        response.insert_header((header::LAST_MODIFIED, http_date(updated)));
    }
    if status == StatusCode::CREATED {
        let location = format!("{}/Subscription/{}", state.base, row.id);
        response.insert_header((header::LOCATION, location));
    }
    Ok(response.body(if format == Format::Xml { xml_of(&json)? } else { json }))
}

async fn read(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let answer = async {
        let (actor, _) = subscriber(&request, &state)?;
        let (id, shared) = (id_of(&request), state.clone());
        let row = block(move || {
            let found = shared.store.read(|db| subscriptions::find_subscription(db, &id))?;
            found.ok_or_else(|| unknown(&id))
        })
        .await?;
        one(&request, &state, &row, &actor, StatusCode::OK)
    };
    answered(&request, answer.await)
}

async fn list(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let answer = async {
        let (actor, _) = subscriber(&request, &state)?;
        let mut parameters = Parameters::new();
        request::decode(request.query_string(), &mut parameters)?;
        let handling = handling(&request);
        let mut asked = Vec::new();
        for (name, value) in parameters {
            match name.as_str() {
                "_format" | "_pretty" | "_count" | "_total" => {}
                "_id" | "status" | "url" => asked.push((name, value)),
                _ if handling == Handling::Lenient => {}
                _ => {
                    return Err(Failure::parameter(
                        &name,
                        "is not known; Subscription knows _id, status, url",
                    ));
                }
            }
        }
        let shared = state.clone();
        let rows = block(move || Ok(shared.store.read(subscriptions::list_subscriptions)?)).await?;
        let mut found = Vec::new();
        for row in &rows {
            let resource = resource_of(row, &actor.subject);
            let holds = |(name, value): &(String, String)| {
                let own = match name.as_str() {
                    "_id" => &resource["id"],
                    "status" => &resource["status"],
                    _ => &resource["channel"]["endpoint"],
                };
                value.split(',').any(|value| *own == value)
            };
            if asked.iter().all(holds) {
                found.push((row, resource));
            }
        }
        let pairs = asked.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let link = format!("{}/Subscription{}", state.base, request::query_of(pairs));
        let mut bundle = Bundle::new(Total::Known(found.len() as u64), &[("self", &link)]);
        for (row, resource) in found {
            let url = format!("{}/Subscription/{}", state.base, row.id);
            bundle.push(&url, resource.to_string().as_bytes(), "match");
        }
        let json = bundle.finish();
        let format = format(&request)?;
        let mut response = begin(format, StatusCode::OK);
        Ok(response.body(if format == Format::Xml { xml_of(&json)? } else { json }))
    };
    answered(&request, answer.await)
}

async fn delete(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let answer = async {
        subscriber(&request, &state)?;
        let id = id_of(&request);
        let removed = block(move || {
            Ok(state.store.write(|db| subscriptions::remove_subscription(db, &id))?)
        })
        .await?;
        // R4: deleting what is not there is no error.
        let _ = removed;
        Ok(HttpResponse::NoContent().finish())
    };
    answered(&request, answer.await)
}

async fn write(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let answer = async {
        let (actor, view) = subscriber(&request, &state)?;
        let id = request.match_info().get("id").map(str::to_owned);
        let media = request.content_type().to_ascii_lowercase();
        let (media, body) = as_json(media, read_body(payload, BODY).await?)?;
        if Format::of(&media) != Some(Format::Json) {
            return Err(Failure::other_media_type(
                "a resource Subscription as `application/fhir+json` or `application/fhir+xml`",
            ));
        }
        let body: Value = serde_json::from_slice(&body)
            .map_err(|failure| Error::Invalid(format!("the body is no JSON: {failure}")))?;
        let if_match = request.headers().get(header::IF_MATCH);
        let if_match = if_match.and_then(|value| value.to_str().ok());
        let if_match =
            if_match.map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned());
        let now = jiff::Timestamp::now().as_microsecond();
        let (shared, subject) = (state.clone(), actor.clone());
        let (row, status) = block(move || {
            let asking = Asking { state: &shared, actor: &subject, view, now };
            match id {
                None => create(&asking, body).map(|row| (row, StatusCode::CREATED)),
                Some(id) => {
                    let row = replace(&asking, &id, body, if_match.as_deref())?;
                    Ok((row, StatusCode::OK))
                }
            }
        })
        .await?;
        one(&request, &state, &row, &actor, status)
    };
    answered(&request, answer.await)
}

/// What is kept of a resource that a client wrote: what is not this server's to say.
fn kept(mut body: Value) -> String {
    if let Some(object) = body.as_object_mut() {
        for own in ["id", "meta", "error"] {
            object.remove(own);
        }
    }
    body.to_string()
}

/// The status that a written one begins with.
fn begun(wanted: &Wanted) -> String {
    if wanted.is_off { OFF } else { REQUESTED }.to_owned()
}

fn create(asking: &Asking<'_>, body: Value) -> Result<SubscriptionRow> {
    let wanted = Wanted::read(asking, &body)?;
    // What it holds besides (contacts, extensions, texts) is served again, so it must be right.
    asking.state.check(&body)?;
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|failure| Error::Internal(failure.to_string()))?;
    let store = &asking.state.store;
    let row = SubscriptionRow {
        id: random.iter().map(|byte| format!("{byte:02x}")).collect(),
        subject: asking.actor.subject.clone(),
        body: kept(body),
        status: begun(&wanted),
        error: None,
        version: 1,
        updated: asking.now,
        // What comes from now on.
        seq: store.read(last_change)?,
        attempts: 0,
        due: 0,
    };
    let most = asking.state.subscriptions.most;
    if !store.write(|db| subscriptions::put_subscription(db, &row, most))? {
        return Err(Failure::too_many(format!(
            "there are {most} subscriptions, which is as many as there may be: delete one"
        )));
    }
    Ok(row)
}

fn replace(
    asking: &Asking<'_>,
    id: &str,
    body: Value,
    if_match: Option<&str>,
) -> Result<SubscriptionRow> {
    if body["id"].as_str() != Some(id) {
        return Err(Error::Invalid(format!("`Subscription.id` of the body is not `{id}`")).into());
    }
    let wanted = Wanted::read(asking, &body)?;
    asking.state.check(&body)?;
    let store = &asking.state.store;
    let known = store.read(|db| subscriptions::find_subscription(db, id))?;
    let known = known.ok_or_else(|| unknown(id))?;
    if known.subject != asking.actor.subject {
        return Err(Error::Forbidden(
            "another subscriber wrote this one; it can be deleted, not changed".to_owned(),
        )
        .into());
    }
    if if_match.is_some_and(|tag| tag != known.version.to_string()) {
        return Err(Failure::precondition(CHANGED));
    }
    // One that rested begins with what comes from now on.
    let seq = if known.status == OFF { store.read(last_change)? } else { known.seq };
    let row = SubscriptionRow {
        body: kept(body),
        status: begun(&wanted),
        error: None,
        version: known.version.saturating_add(1),
        updated: asking.now,
        seq,
        attempts: 0,
        due: 0,
        ..known.clone()
    };
    let was = (known.version, known.seq);
    if !store.write(|db| subscriptions::replace_subscription(db, &row, was.0, was.1))? {
        return Err(Failure::precondition(CHANGED));
    }
    Ok(row)
}
