//! `/dataset`, `/record` and their parts, `/series`, `/agent`, `/service`.

use actix_web::http::StatusCode;
use oxrdf::Graph;

use super::doors::{Ask, CROISSANT, DATACITE, DATASET, Found, Refused, SCHEMA_ORG};
use super::{Key, State};
use crate::catalogue::{self as rdf, Entry, Summary};
use crate::error::{Error, Result};

/// The profile of our documents, as a header and not as `dct:conformsTo`: Release 8 closes that
/// property on a Dataset.
pub(super) fn profile(state: &State) -> String {
    format!("<{}>; rel=\"profile\"", state.release.file.profile)
}

fn unknown(kind: &'static str, id: &str) -> Error {
    Error::NotFound { kind, id: id.chars().take(200).collect() }
}

/// The entry of a slug that may be seen: published or withdrawn.
pub(super) fn entry(state: &State, slug: &str) -> Result<Entry> {
    if !rdf::is_slug(slug) {
        return Err(unknown("dataset", slug));
    }
    let found = state.shelf.find(slug)?;
    found.filter(|entry| entry.state != rdf::State::Failed).ok_or_else(|| unknown("dataset", slug))
}

/// The entry of a slug that is published.
fn published(state: &State, slug: &str) -> Result<Entry> {
    let found = entry(state, slug)?;
    if found.state != rdf::State::Published {
        return Err(Error::Gone { kind: "dataset", id: slug.to_owned() });
    }
    Ok(found)
}

/// What changes with the bytes of an entry's document.
/// The profile of a dataset's document, but of one that is excused from a rule of it.
pub(super) fn claim(state: &State, entry: &Entry) -> Vec<String> {
    let is_whole = state.writer().waivers_of(entry).is_empty();
    is_whole.then(|| profile(state)).into_iter().collect()
}

fn stamp(entry: &Entry) -> String {
    format!("{:?} {} {}", entry.state, entry.modified, rdf::digest(&entry.document))
}

pub(super) fn dataset(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let found = entry(state, &ask.slug)?;
    let is_withdrawn = found.state == rdf::State::Withdrawn;
    let form = ask.form.filter(|form| form.rdf.is_none());
    if is_withdrawn && form.is_some() {
        return Err(Error::Gone { kind: "dataset", id: ask.slug.clone() }.into());
    }
    let (key, modified) = (format!("{} {}", ask.path, stamp(&found)), found.modified);
    let links = signposts(state, &found);
    let first = state.writer().dataset_iri(&ask.slug);
    let answer = match form {
        Some(form) => Found::bytes(key, move |state| {
            let summary = Summary::read(&found, state.writer())?;
            let value = match form {
                CROISSANT => summary.croissant(&found.figures().csv())?,
                DATACITE => summary.datacite(),
                SCHEMA_ORG => summary.schema_org(),
                other => return Err(unknown("form", other.suffix)),
            };
            serde_json::to_vec_pretty(&value)
                .map_err(|failure| Error::Internal(failure.to_string()))
        }),
        None => Found::graph(key, &first, move |_| rdf::parse(&found.document)),
    };
    let status = if is_withdrawn { StatusCode::GONE } else { StatusCode::OK };
    Ok(Found { status, ..answer.modified(Some(modified)).links(links) })
}

/// Signposting (FAIR Signposting Profile, level 1): what the dataset is, how to cite it, what
/// describes it, of what it consists, under which licence.
fn signposts(state: &State, entry: &Entry) -> Vec<String> {
    let writer = state.writer();
    let (node, record) = (writer.dataset_iri(&entry.slug), writer.record_iri(&entry.slug));
    let mut links = claim(state, entry);
    links.extend([
        format!("<{}>; rel=\"cite-as\"", node.as_str()),
        "<https://schema.org/Dataset>; rel=\"type\"".to_owned(),
        format!("<{}>; rel=\"collection\"", writer.iri("/catalog").as_str()),
        format!("<{}>; rel=\"describedby\"", record.as_str()),
    ]);
    if entry.state != rdf::State::Published {
        return links;
    }
    links.extend(DATASET.iter().map(|form| {
        let kind = form.media_type.split(';').next().unwrap_or_default();
        format!("<{}.{}>; rel=\"describedby\"; type=\"{kind}\"", node.as_str(), form.suffix)
    }));
    // The stored form is one triple on a line: no need to read the graph for three properties.
    for (predicate, relation) in [
        ("dcat:distribution", "item"),
        ("healthdcatap:analytics", "item"),
        ("dct:license", "license"),
    ] {
        let predicate = format!(" {} <", state.release.term(predicate));
        let mut objects: Vec<&str> = entry
            .document
            .lines()
            .filter_map(|line| line.split_once(&predicate)?.1.strip_suffix("> ."))
            .collect();
        objects.sort_unstable();
        objects.dedup();
        links.extend(
            objects.iter().take(100).map(|object| format!("<{object}>; rel=\"{relation}\"")),
        );
    }
    links
}

pub(super) fn record(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let found = entry(state, &ask.slug)?;
    let modified = found.modified;
    let key = format!("{} {:?} {} {modified}", ask.path, found.state, found.issued);
    let first = state.writer().record_iri(&ask.slug);
    let answer = Found::graph(key, &first, move |state| Ok(state.writer().record(&found)));
    Ok(answer.modified(Some(modified)))
}

/// A part with an address of its own (distribution, analytics, sample): the triples about it and
/// about what it names, from the dataset's document.
pub(super) fn part(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let found = published(state, &ask.slug)?;
    let modified = found.modified;
    let (path, node) = (ask.path.clone(), state.writer().iri(&ask.path));
    if oxrdf::NamedNode::new(node.as_str()).is_err() {
        return Err(unknown("part", &path).into());
    }
    let first = node.clone();
    let answer = Found::graph(format!("{path} {}", stamp(&found)), &first, move |state| {
        let whole = rdf::parse(&found.document)?;
        let (kind, dataset) = (state.release.term("rdf:type"), state.release.term("dcat:Dataset"));
        let mut graph = Graph::new();
        let mut next = vec![node];
        while let Some(subject) = next.pop() {
            for triple in whole.triples_for_subject(&subject) {
                if let oxrdf::TermRef::NamedNode(object) = triple.object {
                    // Its own parts and what it names, but not back up to the dataset.
                    let is_new = graph.triples_for_subject(object).next().is_none();
                    let is_dataset = whole.contains(oxrdf::TripleRef::new(object, &kind, &dataset));
                    if is_new && !is_dataset {
                        next.push(object.into_owned());
                    }
                }
                graph.insert(triple);
            }
        }
        if graph.is_empty() { Err(unknown("part", &path)) } else { Ok(graph) }
    });
    Ok(answer.modified(Some(modified)))
}

/// The table of counts that the analytics distribution points at.
pub(super) fn counts(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let found = published(state, &ask.slug)?;
    let modified = found.modified;
    let key = format!("{} {modified} {}", ask.path, rdf::digest(&found.figures));
    Ok(Found::bytes(key, move |_| Ok(found.figures().csv().into_bytes())).modified(Some(modified)))
}

/// A graph that changes with the shelf or the configuration only.
fn fixed(
    state: &State,
    ask: &Ask,
    make: impl FnOnce(&State, &str) -> Result<Option<Graph>> + Send + 'static,
    kind: &'static str,
) -> Result<Found, Refused> {
    if !rdf::is_slug(&ask.slug) {
        return Err(unknown(kind, &ask.slug).into());
    }
    let key = format!("{} {}", ask.path, state.shelf.state()?.change);
    let (first, id) = (state.writer().iri(&ask.path), ask.slug.clone());
    Ok(Found::graph(key, &first, move |state| make(state, &id)?.ok_or_else(|| unknown(kind, &id))))
}

pub(super) fn series(state: &State, ask: &Ask) -> Result<Found, Refused> {
    if !rdf::is_slug(&ask.slug) {
        return Err(unknown("series", &ask.slug).into());
    }
    let (change, form) = (state.shelf.state()?.change, ask.form);
    let key = |is_gone: bool| format!("{} {change} {is_gone}", ask.path);
    // Every dataset must be looked at to know that it is gone, so what is kept says it too.
    let is_kept = |is_gone: bool| {
        form.is_some_and(|form| {
            let of = |is_gzip| Key { resource: key(is_gone), form, is_gzip };
            [true, false].into_iter().any(|is_gzip| state.kept(&of(is_gzip)).is_some())
        })
    };
    let (id, first) = (ask.slug.clone(), state.writer().iri(&ask.path));
    let make = |state: &State, id: &str| {
        state.writer().series(&*state.shelf, id)?.ok_or_else(|| unknown("series", id))
    };
    let (is_gone, made) = match [true, false].into_iter().find(|is_gone| is_kept(*is_gone)) {
        Some(is_gone) => (is_gone, None),
        None => {
            let made = make(state, &id)?;
            (made.is_withdrawn, Some(made.graph))
        }
    };
    let answer = Found::graph(key(is_gone), &first, move |state| match made {
        Some(graph) => Ok(graph),
        None => Ok(make(state, &id)?.graph),
    });
    let status = if is_gone { StatusCode::GONE } else { StatusCode::OK };
    Ok(Found { status, ..answer })
}

pub(super) fn agent(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let make = |state: &State, id: &str| Ok(state.writer().agent(id));
    fixed(state, ask, make, "agent")
}

pub(super) fn service(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let make = |state: &State, id: &str| Ok((id == "fhir").then(|| state.writer().service()));
    fixed(state, ask, make, "service")
}

/// The quality label (Article 78), computed from what is kept.
pub(super) fn label(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let found = published(state, &ask.slug)?;
    let modified = found.modified;
    let key = format!("{} {} {}", ask.path, stamp(&found), rdf::digest(&found.figures));
    let first = state.writer().label_iri(&found.slug);
    let answer = Found::graph(key, &first, move |state| state.writer().label(&found));
    Ok(answer.modified(Some(modified)))
}

/// The document as EUCAIM reads it, if the description says what EUCAIM asks for.
pub(super) fn eucaim(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let found = published(state, &ask.slug)?;
    if found.description().eucaim.is_none() {
        return Err(unknown("view of EUCAIM", &found.slug).into());
    }
    let modified = found.modified;
    let key = format!("{} {} {}", ask.path, stamp(&found), rdf::digest(&found.figures));
    let first = state.writer().dataset_iri(&found.slug);
    let answer = Found::graph(key, &first, move |state| Ok(state.writer().eucaim_of(&found)));
    Ok(answer.modified(Some(modified)))
}
