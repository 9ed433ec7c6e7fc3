//! A search of several types (FHIR R4 http.html 3.1.0.11, `GET [base]?_type=…`).
//!
//! Each type is searched by itself, with the parameters that all of them have, and permitted like
//! any search; their answers stand one behind the other in one Bundle. Absent: a search without
//! `_type`, includes, sorting, which mean something in one type.

use super::bundle::{Bundle, Total};
use super::operation::Reply;
use super::outcome::{Failure, Result};
use super::request::{self, Parameters};
use super::search::{self, CURSOR, Handling, Place, Search};
use super::table::Resource;
use super::{Asking, State};

/// Most types of a search.
const MOST: usize = 50;

/// The types of a search, and what is asked of each.
fn asked(parameters: Parameters, handling: Handling) -> Result<(Vec<Resource>, Parameters)> {
    let mut types = Vec::new();
    let mut rest = Parameters::new();
    for (name, value) in parameters {
        if name != "_type" {
            rest.push((name, value));
            continue;
        }
        for kind in value.split(',').map(str::trim).filter(|kind| !kind.is_empty()) {
            match Resource::parse(kind) {
                Some(resource) if types.contains(&resource) => {}
                Some(resource) => types.push(resource),
                None if handling == Handling::Lenient => {}
                None => {
                    return Err(Failure::parameter("_type", format!("`{kind}` is not served")));
                }
            }
        }
    }
    match types.len() {
        0 => Err(Failure::parameter("_type", "names the types that are searched: give some")),
        count if count > MOST => {
            Err(Failure::parameter("_type", format!("names more than {MOST} types")))
        }
        _ => Ok((types, rest)),
    }
}

impl State {
    /// Answers a search of several types.
    pub(super) fn search_system(
        &self,
        asking: &Asking<'_>,
        parameters: Parameters,
        handling: Handling,
    ) -> Result<Reply> {
        let (types, mut rest) = asked(parameters, handling)?;
        let cursor = rest.iter().find(|(name, _)| name == CURSOR).map(|(_, value)| value.clone());
        rest.retain(|(name, _)| name != CURSOR);
        let mut searches = Vec::with_capacity(types.len());
        for resource in types {
            let row = self.table.row(resource);
            if row.is_read_only_by_id && !row.is_written {
                let reason = format!("`{}` is read by id only", resource.name());
                return Err(Failure::parameter("_type", reason));
            }
            let search = Search::parse(asking, resource, rest.clone(), handling)?;
            let control = &search.control;
            if !control.include.is_empty() || !control.revinclude.is_empty() {
                return Err(Failure::parameter("_include", "has no place in a search of types"));
            }
            if control.sort.is_some() {
                return Err(Failure::parameter("_sort", "has no place in a search of types"));
            }
            search.permit(asking)?;
            searches.push(search);
        }
        let about: Vec<String> = searches.iter().map(|search| search.about(asking)).collect();
        let about = format!("system {}", about.join(" "));
        let begin = match cursor {
            None => None,
            Some(text) => {
                let mut places = search::open_cursor(&self.cursor_key, &about, &text)?.into_iter();
                let kind = places.next().flatten().and_then(|place| Resource::parse(&place.id));
                let kind = kind.ok_or_else(search::foreign_cursor)?;
                let places: Vec<Option<Place>> = places.collect();
                Some((kind, Some(places).filter(|places| !places.is_empty())))
            }
        };
        Ok(Reply::fhir(self.pages(asking, searches, &about, begin)?))
    }

    fn pages(
        &self,
        asking: &Asking<'_>,
        mut searches: Vec<Search>,
        about: &str,
        begin: Option<(Resource, Option<Vec<Option<Place>>>)>,
    ) -> Result<Vec<u8>> {
        let Some(first) = searches.first() else { return Err(search::foreign_cursor()) };
        let control = first.control.clone();
        let names: Vec<&str> = searches.iter().map(|search| search.resource.name()).collect();
        let kinds = names.join(",");
        let mut processed = vec![("_type".to_owned(), kinds)];
        processed.extend(first.processed.iter().cloned());
        let link = |more: Option<&str>| {
            let own = processed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let pairs = own.chain(more.map(|cursor| (CURSOR, cursor)));
            format!("{}{}", self.base, request::query_of(pairs))
        };
        let start = match &begin {
            None => 0,
            Some((kind, _)) => {
                let at = searches.iter().position(|search| search.resource == *kind);
                at.ok_or_else(search::foreign_cursor)?
            }
        };
        let mut total = Total::Known(0);
        let mut room = if control.is_count_only { 0 } else { control.count };
        let mut matches = Vec::new();
        let mut notes = Vec::new();
        let mut next: Option<Vec<Option<Place>>> = None;
        let kind_of = |resource: Resource| Place { id: resource.name().to_owned(), key: 0 };
        for (at, search) in searches.iter_mut().enumerate() {
            let is_read = at >= start && room > 0;
            search.control.is_count_only = !is_read;
            if is_read {
                search.control.count = room;
                if at == start {
                    search.control.after = begin.as_ref().and_then(|(_, places)| places.clone());
                }
            } else if next.is_none() && at > start && !control.is_count_only {
                // What stands behind a full page begins the next one.
                next = Some(vec![Some(kind_of(search.resource))]);
            }
            let joined = self.page(asking, search)?;
            total = total.plus(joined.total);
            if is_read {
                room = room.saturating_sub(joined.matches.len());
                matches.extend(joined.matches);
                notes.extend(joined.notes);
                if let Some(places) = joined.next {
                    let of = std::iter::once(Some(kind_of(search.resource)));
                    next = Some(of.chain(places).collect());
                    room = 0;
                }
            }
        }
        let total = if control.has_total || control.is_count_only { total } else { Total::Untold };
        let own = link(None);
        let next = next.map(|places| {
            let cursor = search::cursor(&self.cursor_key, about, &places);
            link(Some(&cursor))
        });
        let mut bundle = match &next {
            None => Bundle::new(total, &[("self", &own)]),
            Some(next) => Bundle::new(total, &[("self", &own), ("next", next)]),
        };
        for entry in &matches {
            bundle.push(&self.url(entry), &entry.bytes, "match");
        }
        for (code, text) in notes {
            bundle.push_outcome(code, text);
        }
        Ok(bundle.finish())
    }
}
