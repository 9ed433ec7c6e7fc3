//! `/catalog`, `/dataset`, `/record` and their parts: by `Accept`, by suffix, conditionally.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use oxrdf::Graph;
use serde::Deserialize;

use super::negotiate::{is_current, preferred};
use super::{Key, Rendition, State, Topic, problem};
use crate::catalogue::{self as rdf, Entry, Format, Page};
use crate::error::{Error, Result};
use crate::http::{http_date, takes_gzip};

/// What is asked for.
enum Wanted {
    Graph(Format),
    Html,
}

/// A resource that can be written.
struct Resource {
    /// Its path: the key of the cache.
    path: String,
    /// The state that the graph is of.
    state: String,
    modified: Option<Timestamp>,
    status: StatusCode,
    /// More headers: `Link`.
    links: Vec<String>,
}

type Maker = Box<dyn FnOnce(&State) -> Result<Graph> + Send>;

#[derive(Debug, Deserialize)]
pub(super) struct ListingQuery {
    page: Option<String>,
}

/// The form by suffix, else by `Accept`.
fn wanted(request: &HttpRequest, suffix: Option<&str>, has_html: bool) -> Result<Wanted> {
    if let Some(suffix) = suffix {
        if suffix == "html" && has_html {
            return Ok(Wanted::Html);
        }
        return Format::of_suffix(suffix)
            .map(Wanted::Graph)
            .ok_or_else(|| Error::NotFound { kind: "form", id: suffix.to_owned() });
    }
    let mut offers: Vec<&str> = Format::ALL.iter().map(|format| format.media_type()).collect();
    if has_html {
        offers.push("text/html");
        offers.push("application/xhtml+xml");
    }
    let offer = preferred(request, &offers).ok_or_else(|| {
        Error::NotAcceptable(format!("this resource comes as {}", offers.join(", ")))
    })?;
    Ok(Format::ALL
        .iter()
        .find(|format| format.media_type() == offer)
        .map_or(Wanted::Html, |format| Wanted::Graph(*format)))
}

/// `breast.ttl` → `breast`, `ttl`.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('.') {
        Some((slug, suffix)) => (slug, Some(suffix)),
        None => (name, None),
    }
}

async fn hand_over(state: &State, request: HttpRequest, topic: Topic) -> HttpResponse {
    match &state.page {
        Some(page) => page(request, topic).await,
        None => problem(&Error::NotAcceptable(
            "there are no pages here; ask for text/turtle".to_owned(),
        )),
    }
}

/// Answers with the resource in a form; `make` runs only when no rendition is kept.
async fn answer(
    state: web::Data<State>,
    request: &HttpRequest,
    format: Format,
    resource: Resource,
    make: Maker,
) -> HttpResponse {
    let key = Key { resource: resource.path.clone(), state: resource.state.clone(), format };
    let rendition = match state.kept(&key) {
        Some(rendition) => rendition,
        None => {
            let worker = state.clone();
            let path = resource.path.clone();
            let made = web::block(move || -> Result<Arc<Rendition>> {
                let graph = make(&worker)?;
                let first = worker.writer().iri(&path);
                let plain = rdf::emit(&graph, format, &worker.release, first.as_str())?;
                let gzip = rdf::gzip(&plain);
                let digest = rdf::digest(&rdf::canonical(&graph));
                let rendition = Arc::new(Rendition { plain, gzip, digest });
                worker.keep(key, &rendition);
                Ok(rendition)
            })
            .await;
            match made {
                Ok(Ok(rendition)) => rendition,
                Ok(Err(failure)) => return problem(&failure),
                Err(failure) => return problem(&Error::Internal(failure.to_string())),
            }
        }
    };
    send(request, &resource, &rendition, format.media_type(), format.suffix())
}

fn send(
    request: &HttpRequest,
    resource: &Resource,
    rendition: &Rendition,
    media_type: &str,
    suffix: &str,
) -> HttpResponse {
    // A strong tag names the bytes: another form or coding has another one.
    let short = rendition.digest.get(..32).unwrap_or(&rendition.digest);
    let tags = [format!("\"{short}-{suffix}\""), format!("\"{short}-{suffix}-gz\"")];
    let is_gzip = takes_gzip(request.headers());
    let tag = if is_gzip { &tags[1] } else { &tags[0] };
    let has_it = resource.status == StatusCode::OK && is_current(request, &tags, resource.modified);
    let status = if has_it { StatusCode::NOT_MODIFIED } else { resource.status };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, tag.as_str()))
        .insert_header((header::VARY, "Accept, Accept-Encoding"))
        .insert_header((header::CACHE_CONTROL, "public, no-cache"));
    if let Some(modified) = resource.modified {
        response.insert_header((header::LAST_MODIFIED, http_date(modified)));
    }
    for link in &resource.links {
        response.append_header((header::LINK, link.as_str()));
    }
    if has_it {
        return response.finish();
    }
    let charset = if media_type == "application/ld+json" { "" } else { "; charset=utf-8" };
    response.insert_header((header::CONTENT_TYPE, format!("{media_type}{charset}")));
    let bytes = if is_gzip {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        rendition.gzip.clone()
    } else {
        rendition.plain.clone()
    };
    // For HEAD the server sends the length and no body.
    response.body(bytes)
}

fn profile(state: &State) -> String {
    // As a header, not as dct:conformsTo: Release 8 closes that property on a Dataset.
    format!("<{}>; rel=\"profile\"", state.release.file.profile)
}

/// The entry of a slug that may be seen: published or withdrawn.
async fn entry(state: &web::Data<State>, slug: &str) -> Result<Entry> {
    let unknown = || Error::NotFound { kind: "dataset", id: slug.chars().take(100).collect() };
    if !rdf::is_slug(slug) {
        return Err(unknown());
    }
    let (worker, name) = (state.clone(), slug.to_owned());
    let found = web::block(move || worker.shelf.find(&name))
        .await
        .map_err(|failure| Error::Internal(failure.to_string()))??;
    found.filter(|entry| entry.state != rdf::State::Failed).ok_or_else(unknown)
}

pub(super) async fn catalog(
    state: web::Data<State>,
    request: HttpRequest,
    query: web::Query<ListingQuery>,
) -> HttpResponse {
    let suffix = request.match_info().get("suffix");
    let format = match wanted(&request, suffix, true) {
        Ok(Wanted::Graph(format)) => format,
        Ok(Wanted::Html) => return hand_over(&state, request, Topic::Catalogue).await,
        Err(failure) => return problem(&failure),
    };
    let number = match query.page.as_deref().map(str::parse::<usize>) {
        None => 1,
        Some(Ok(number)) if number > 0 => number,
        Some(_) => {
            return problem(&Error::Parameter {
                name: "page".to_owned(),
                reason: "write a number from 1".to_owned(),
            });
        }
    };
    let worker = state.clone();
    let shelf = match web::block(move || worker.shelf.state()).await {
        Ok(Ok(shelf)) => shelf,
        Ok(Err(failure)) => return problem(&failure),
        Err(failure) => return problem(&Error::Internal(failure.to_string())),
    };
    let size = state.config.catalogue.page_size;
    let by_suffix = suffix.map(|_| format);
    let page = Page { number, size, suffix: by_suffix };
    let resource = Resource {
        path: "/catalog".to_owned(),
        state: format!("{} {number} {}", shelf.change, suffix.unwrap_or_default()),
        modified: shelf.latest,
        status: StatusCode::OK,
        links: Vec::new(),
    };
    let make = Box::new(move |state: &State| {
        state
            .writer()
            .page(&*state.shelf, page)?
            .ok_or_else(|| Error::NotFound { kind: "page", id: number.to_string() })
    });
    answer(state, &request, format, resource, make).await
}

pub(super) async fn dataset(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    let (slug, suffix) = split(&name);
    let found = match entry(&state, slug).await {
        Ok(found) => found,
        Err(failure) => return problem(&failure),
    };
    let format = match wanted(&request, suffix, true) {
        Ok(Wanted::Graph(format)) => format,
        Ok(Wanted::Html) => {
            return hand_over(&state, request, Topic::Dataset(slug.to_owned())).await;
        }
        Err(failure) => return problem(&failure),
    };
    let is_withdrawn = found.state == rdf::State::Withdrawn;
    let record = state.writer().record_iri(slug);
    let resource = Resource {
        path: format!("/dataset/{slug}"),
        state: rdf::digest(&found.document),
        modified: Some(found.modified),
        status: if is_withdrawn { StatusCode::GONE } else { StatusCode::OK },
        links: vec![profile(&state), format!("<{}>; rel=\"describedby\"", record.as_str())],
    };
    answer(state, &request, format, resource, Box::new(move |_| rdf::parse(&found.document))).await
}

pub(super) async fn record(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    let (slug, suffix) = split(&name);
    let found = match entry(&state, slug).await {
        Ok(found) => found,
        Err(failure) => return problem(&failure),
    };
    let format = match wanted(&request, suffix, false) {
        Ok(Wanted::Graph(format)) => format,
        Ok(Wanted::Html) => {
            return problem(&Error::NotAcceptable("a record has no page".to_owned()));
        }
        Err(failure) => return problem(&failure),
    };
    let resource = Resource {
        path: format!("/record/{slug}"),
        state: format!("{:?} {} {}", found.state, found.issued, found.modified),
        modified: Some(found.modified),
        status: StatusCode::OK,
        links: Vec::new(),
    };
    answer(
        state,
        &request,
        format,
        resource,
        Box::new(move |state| Ok(state.writer().record(&found))),
    )
    .await
}

/// A part with an address of its own (distribution, analytics, sample): the triples about it and
/// about what it names, from the dataset's document.
pub(super) async fn part(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let slug = request.match_info().get("slug").unwrap_or_default().to_owned();
    let (path, suffix) = match request.path().rsplit_once('/') {
        Some((before, last)) => {
            let (last, suffix) = split(last);
            (format!("{before}/{last}"), suffix.map(str::to_owned))
        }
        None => (request.path().to_owned(), None),
    };
    let found = match entry(&state, &slug).await {
        Ok(found) if found.state == rdf::State::Published => found,
        Ok(_) => return problem(&Error::Gone { kind: "dataset", id: slug }),
        Err(failure) => return problem(&failure),
    };
    let format = match wanted(&request, suffix.as_deref(), false) {
        Ok(Wanted::Graph(format)) => format,
        Ok(Wanted::Html) => return problem(&Error::NotAcceptable("a part has no page".to_owned())),
        Err(failure) => return problem(&failure),
    };
    let resource = Resource {
        path: path.clone(),
        state: rdf::digest(&found.document),
        modified: Some(found.modified),
        status: StatusCode::OK,
        links: Vec::new(),
    };
    let make = Box::new(move |state: &State| {
        let whole = rdf::parse(&found.document)?;
        let node = state.writer().iri(&path);
        let mut graph = Graph::new();
        let mut next = vec![node.clone()];
        while let Some(subject) = next.pop() {
            for triple in whole.triples_for_subject(&subject) {
                if let oxrdf::TermRef::NamedNode(object) = triple.object {
                    // Its own parts and what it names, but not back up to the dataset.
                    let object = object.into_owned();
                    let is_new = graph.triples_for_subject(&object).next().is_none();
                    let is_dataset = found.document.contains(&format!("{object} <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://www.w3.org/ns/dcat#Dataset>"));
                    if is_new && !is_dataset {
                        next.push(object);
                    }
                }
                graph.insert(triple);
            }
        }
        if graph.is_empty() {
            return Err(Error::NotFound { kind: "part", id: path.chars().take(200).collect() });
        }
        Ok(graph)
    });
    answer(state, &request, format, resource, make).await
}

/// The table of counts that the analytics distribution points at.
pub(super) async fn counts(
    state: web::Data<State>,
    request: HttpRequest,
    slug: web::Path<String>,
) -> HttpResponse {
    let found = match entry(&state, &slug).await {
        Ok(found) if found.state == rdf::State::Published => found,
        Ok(_) => return problem(&Error::Gone { kind: "dataset", id: slug.into_inner() }),
        Err(failure) => return problem(&failure),
    };
    let text = found.figures().csv();
    let resource = Resource {
        path: String::new(),
        state: String::new(),
        modified: Some(found.modified),
        status: StatusCode::OK,
        links: Vec::new(),
    };
    let rendition = Rendition {
        digest: rdf::digest(&text),
        gzip: rdf::gzip(text.as_bytes()),
        plain: text.into_bytes(),
    };
    send(&request, &resource, &rendition, "text/csv", "csv")
}

pub(super) async fn series(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    let (id, suffix) = split(&name);
    let id = id.to_owned();
    let path = format!("/series/{id}");
    let make = Box::new(move |state: &State| {
        let found = state.writer().series(&*state.shelf, &id)?;
        found.ok_or_else(|| Error::NotFound { kind: "series", id: id.chars().take(100).collect() })
    });
    fixed(state, &request, suffix, path, make).await
}

pub(super) async fn agent(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    let (id, suffix) = split(&name);
    let id = id.to_owned();
    let path = format!("/agent/{id}");
    let make = Box::new(move |state: &State| {
        state
            .writer()
            .agent(&id)
            .ok_or_else(|| Error::NotFound { kind: "agent", id: id.chars().take(100).collect() })
    });
    fixed(state, &request, suffix, path, make).await
}

pub(super) async fn service(
    state: web::Data<State>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    let (id, suffix) = split(&name);
    let id = id.to_owned();
    let path = format!("/service/{id}");
    let make = Box::new(move |state: &State| {
        if id == "fhir" {
            Ok(state.writer().service())
        } else {
            Err(Error::NotFound { kind: "service", id: id.chars().take(100).collect() })
        }
    });
    fixed(state, &request, suffix, path, make).await
}

/// A resource that changes with the shelf or the configuration only.
async fn fixed(
    state: web::Data<State>,
    request: &HttpRequest,
    suffix: Option<&str>,
    path: String,
    make: Maker,
) -> HttpResponse {
    let format = match wanted(request, suffix, false) {
        Ok(Wanted::Graph(format)) => format,
        Ok(Wanted::Html) => return problem(&Error::NotAcceptable("there is no page".to_owned())),
        Err(failure) => return problem(&failure),
    };
    let worker = state.clone();
    let change = match web::block(move || worker.shelf.state()).await {
        Ok(Ok(shelf)) => shelf.change,
        Ok(Err(failure)) => return problem(&failure),
        Err(failure) => return problem(&Error::Internal(failure.to_string())),
    };
    let resource = Resource {
        path,
        state: change.to_string(),
        modified: None,
        status: StatusCode::OK,
        links: Vec::new(),
    };
    answer(state, request, format, resource, make).await
}

/// The views of a dataset that are computed from what is kept: its quality label (Article 78), its
/// document as EUCAIM reads it.
pub(super) async fn view(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let slug = request.match_info().get("slug").unwrap_or_default().to_owned();
    let (view, suffix) = split(request.match_info().get("view").unwrap_or_default());
    let is_label = view == "label";
    let found = match entry(&state, &slug).await {
        Ok(found) if found.state == rdf::State::Published => found,
        Ok(_) => return problem(&Error::Gone { kind: "dataset", id: slug }),
        Err(failure) => return problem(&failure),
    };
    if !is_label && found.description().eucaim.is_none() {
        return problem(&Error::NotFound { kind: "view of EUCAIM", id: slug });
    }
    let format = match wanted(&request, suffix, false) {
        Ok(Wanted::Graph(format)) => format,
        Ok(Wanted::Html) => return problem(&Error::NotAcceptable("a view has no page".to_owned())),
        Err(failure) => return problem(&failure),
    };
    let resource = Resource {
        path: format!("/dataset/{slug}/{view}"),
        state: rdf::digest(&format!("{}{}", found.figures, found.document)),
        modified: Some(found.modified),
        status: StatusCode::OK,
        links: Vec::new(),
    };
    let make: Maker = if is_label {
        Box::new(move |state| state.writer().label(&found))
    } else {
        Box::new(move |state| Ok(state.writer().eucaim_of(&found)))
    };
    answer(state, &request, format, resource, make).await
}
