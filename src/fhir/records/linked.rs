//! `_include` and `_revinclude` of what clients write: references are followed by the rows of
//! their types, to whatever provider has the target.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::super::outcome::Result;
use super::super::provider::Entry;
use super::super::search::{Criterion, Reference, Search, Test};
use super::super::subset::Subset;
use super::super::table::Resource;
use super::super::{Asking, State};

/// Most resources that includes add to a page, and that a chain goes through where they are not
/// indexed.
pub(in crate::fhir) const MOST: usize = 1_000;
/// How often what was included is looked at for more.
const ROUNDS: usize = 3;

impl State {
    /// What the includes of a search bring besides what the providers brought.
    pub(in crate::fhir) fn linked(
        &self,
        asking: &Asking<'_>,
        search: &Search,
        matches: &[Entry],
        included: &[Entry],
        notes: &mut Vec<(&'static str, &'static str)>,
    ) -> Result<Vec<Entry>> {
        let control = &search.control;
        let is_written = |resource: Resource| self.table.row(resource).is_written;
        let forward: Vec<_> =
            control.include.iter().filter(|include| is_written(include.source)).collect();
        let reverse: Vec<_> =
            control.revinclude.iter().filter(|include| is_written(include.source)).collect();
        if matches.is_empty() || (forward.is_empty() && reverse.is_empty()) {
            return Ok(Vec::new());
        }
        let mut known: HashSet<(Resource, String)> = matches
            .iter()
            .chain(included)
            .map(|entry| (entry.resource, entry.id.clone()))
            .collect();
        let mut found: Vec<Entry> = Vec::new();
        let mut is_cut = false;
        let ids: Vec<&str> = matches.iter().map(|entry| entry.id.as_str()).collect();
        for include in reverse {
            let Some(parameter) = self.table.parameter(include.source, &include.name) else {
                continue;
            };
            let kind = search.resource.name();
            let references = ids
                .iter()
                .map(|id| Reference::Local(Some(kind.to_owned()), (*id).to_owned()))
                .collect();
            let criterion = Criterion {
                name: include.name.clone(),
                parameter: parameter.clone(),
                test: Test::References(references),
                is_never_study_id: false,
            };
            let page = self.page(asking, &Search::of(include.source, vec![criterion], MOST))?;
            is_cut |= page.next.is_some();
            for entry in page.matches {
                if known.insert((entry.resource, entry.id.clone())) {
                    found.push(entry);
                }
            }
        }
        let mut seen = 0;
        for round in 0..ROUNDS {
            let sources: Vec<(Resource, String, Option<actix_web::web::Bytes>)> = if round == 0 {
                // A part of a resource may lack the reference.
                let is_whole = control.subset == Subset::Whole;
                let of = |entry: &Entry| {
                    (entry.resource, entry.id.clone(), is_whole.then(|| entry.bytes.clone()))
                };
                matches.iter().map(of).collect()
            } else {
                let new = found.get(seen..).unwrap_or_default();
                let of =
                    |entry: &Entry| (entry.resource, entry.id.clone(), Some(entry.bytes.clone()));
                let all = new.iter().map(of).collect();
                seen = found.len();
                all
            };
            let before = found.len();
            for (resource, id, bytes) in sources {
                let own: Vec<_> = forward.iter().filter(|of| of.source == resource).collect();
                if own.is_empty() {
                    continue;
                }
                let bytes = match bytes {
                    Some(bytes) => bytes,
                    None => self.read(asking, resource, &id, &Subset::Whole)?.bytes,
                };
                let Ok(json) = serde_json::from_slice::<Json>(&bytes) else { continue };
                for include in own {
                    let targets = self.records.index.references(
                        resource,
                        &include.name,
                        &json,
                        &self.reader(),
                    );
                    for (target, id) in targets {
                        let is_wanted = include.target.is_none_or(|wanted| wanted == target);
                        if !is_wanted || known.contains(&(target, id.clone())) {
                            continue;
                        }
                        if found.len() >= MOST {
                            is_cut = true;
                            break;
                        }
                        // What is not here, or not for the actor, is not included.
                        if let Ok(read) = self.read(asking, target, &id, &Subset::Whole) {
                            known.insert((target, id.clone()));
                            found.push(Entry { resource: target, id, bytes: read.bytes, key: 0 });
                        }
                    }
                }
            }
            if round > 0 && found.len() == before {
                break;
            }
        }
        if is_cut {
            notes.push((
                "too-costly",
                "more is linked than a page includes; search for it by its own type",
            ));
        }
        Ok(found)
    }
}
