//! `/fdp`: FAIR Data Point 1.2. Containers answer GET as any other document.

use super::State;
use super::doors::{Ask, Found, Refused};
use crate::catalogue::{FDP_SPECIFICATION, Snapshot};
use crate::error::{Error, Result};

const CONTAINER: &str = "<http://www.w3.org/ns/ldp#DirectContainer>; rel=\"type\"";

fn profile() -> String {
    format!("<{FDP_SPECIFICATION}>; rel=\"profile\"")
}

/// The catalogue as it stands, and the key of what is made of it.
fn standing(state: &State, ask: &Ask) -> Result<(Snapshot, String), Refused> {
    let snapshot = state.snapshot(None, None, ask.now, "/fdp")?;
    let key = format!("{} {}", ask.path, snapshot.token());
    Ok((snapshot, key))
}

fn issued(state: &State) -> Result<Option<jiff::Timestamp>> {
    Ok(state.shelf.event(1)?.map(|event| event.time))
}

pub(super) fn root(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let (snapshot, key) = standing(state, ask)?;
    let modified = snapshot.time;
    let first = state.writer().iri("/fdp");
    let answer = Found::graph(key, &first, move |state| {
        Ok(state.writer().fdp_root(&snapshot, issued(state)?))
    });
    Ok(answer.modified(modified).links(vec![profile()]))
}

pub(super) fn catalog(state: &State, ask: &Ask) -> Result<Found, Refused> {
    if ask.slug != "all" {
        let id = ask.slug.chars().take(100).collect();
        return Err(Error::NotFound { kind: "catalogue", id }.into());
    }
    let (snapshot, key) = standing(state, ask)?;
    let modified = snapshot.time;
    let first = state.writer().iri("/fdp/catalog/all");
    let answer = Found::graph(key, &first, move |state| {
        Ok(state.writer().fdp_catalog_graph(&snapshot, issued(state)?))
    });
    Ok(answer.modified(modified).links(vec![profile()]))
}

pub(super) fn catalogs(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let first = state.writer().iri("/fdp/catalog/");
    let answer = Found::graph(ask.path.clone(), &first, |state| Ok(state.writer().fdp_catalogs()));
    Ok(answer.links(vec![CONTAINER.to_owned()]))
}

pub(super) fn datasets(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let (snapshot, key) = standing(state, ask)?;
    let modified = snapshot.time;
    let first = state.writer().iri("/fdp/dataset/");
    let make = move |state: &State| Ok(state.writer().fdp_datasets(&snapshot));
    Ok(Found::graph(key, &first, make).modified(modified).links(vec![CONTAINER.to_owned()]))
}
