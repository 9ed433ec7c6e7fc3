//! Searches of DocumentReference and List: criteria about the study are a question to the
//! index; criteria about the encoding and the id choose among the documents of each study.

use std::collections::{HashMap, HashSet};

use actix_web::web::Bytes;
use roaring::RoaringBitmap;

use super::{Part, render};
use crate::actor::Role;
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::archive::{beginning, several_patients};
use crate::fhir::bundle::Total;
use crate::fhir::outcome::Result;
use crate::fhir::provider::{Entry, Page};
use crate::fhir::search::{
    Criterion, Include, Place, Search, Test, Token, constant, foreign_cursor, studies, unsupported,
};
use crate::fhir::table::{Answer, Resource};
use crate::imaging::{Facet, Study};
use crate::index::{COUNTED, Query, Sort};
use crate::mapping::fhir::render_patient;
use crate::store::Db;
use crate::store::read;

/// A page of documents.
pub(super) fn search(asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
    let state = asking.state;
    let control = &search.control;
    let mut db = state.store.reader()?;
    let mut parts: Vec<Part> = Part::all(search.resource).to_vec();
    let mut picked: Option<HashSet<(i64, Part)>> = None;
    let mut of_study: Vec<Criterion> = Vec::new();
    for criterion in &search.criteria {
        match criterion.parameter.answer {
            Answer::DocumentFormat => parts.retain(by_format(asking, criterion)?),
            Answer::DocumentId => {
                let asked = by_id(asking, &mut db, search.resource, criterion)?;
                picked = Some(match picked {
                    None => asked,
                    Some(known) => known.intersection(&asked).copied().collect(),
                });
            }
            _ => of_study.push(criterion.clone()),
        }
    }
    let sort = match &control.sort {
        None => Sort::Arrival,
        Some(sort) if sort.name == "period" => Sort::Started { descending: sort.descending },
        Some(sort) => Sort::Updated { descending: sort.descending },
    };
    let conditions = studies::conditions(&of_study);
    let mut query = studies::query(asking, &mut db, &of_study, &conditions)?;
    if let Some(picked) = &picked {
        let numbers = picked.iter().map(|(number, _)| *number).collect();
        query = Query::And(vec![query, Query::Studies(numbers)]);
    }
    let before = match after {
        None => None,
        Some(Place { id, key }) => {
            let (study, part) = Part::parse(search.resource, id).ok_or_else(foreign_cursor)?;
            let found = read::find_studies_by_id(&mut db, asking.ids(), &[study]);
            Some((beginning(found)?, *key, part))
        }
    };
    let (total, mut found, keys, counted) = {
        let index = state.index.read();
        let mut hits = index.search(asking.actor, &query);
        // Of these there is no KOS.
        let counted = Query::Has(Facet::Listing, vec![COUNTED.to_owned()]);
        let counted = index.search(asking.actor, &counted);
        let is_in = |set: &RoaringBitmap, number: i64| {
            u32::try_from(number).is_ok_and(|slot| set.contains(slot))
        };
        if parts.iter().all(|part| *part == Part::Kos) {
            hits -= &counted;
        }
        let is_asked = |number: i64, part: Part| {
            (part != Part::Kos || !is_in(&counted, number))
                && picked.as_ref().is_none_or(|picked| picked.contains(&(number, part)))
        };
        if asking.actor.role == Role::Ehr && index.patients_of(&hits).len() > 1 {
            return Err(several_patients());
        }
        let has = |number: i64| is_in(&hits, number);
        let total = match &picked {
            None => {
                let of_all = hits.len().saturating_mul(parts.len() as u64);
                let has_both = parts.contains(&Part::Kos);
                of_all - if has_both { hits.intersection_len(&counted) } else { 0 }
            }
            Some(picked) => {
                let known = picked.iter().filter(|(number, part)| {
                    has(*number) && parts.contains(part) && is_asked(*number, *part)
                });
                known.count() as u64
            }
        };
        if control.is_count_only || parts.is_empty() {
            return Ok(Page::count(Total::Known(total)));
        }
        // What is left of the study in which the page before ended.
        let mut found: Vec<(i64, Part)> = Vec::new();
        if let Some((number, _, part)) = before
            && has(number)
        {
            let rest = parts.iter().filter(|other| **other > part);
            found.extend(rest.map(|part| (number, *part)));
        }
        let want = control.count.saturating_add(1);
        let more = match &picked {
            // Each has at least one.
            None => want,
            Some(picked) => picked.len(),
        };
        let from = before.map(|(number, key, _)| (number, key));
        for number in index.page(&hits, sort, from, more) {
            found.extend(parts.iter().map(|part| (number, *part)));
        }
        found.retain(|(number, part)| is_asked(*number, *part));
        let keys: HashMap<i64, i64> =
            found.iter().map(|(number, _)| (*number, index.sort_key(sort, *number))).collect();
        (total, found, keys, counted)
    };
    let has_more = found.len() > control.count;
    found.truncate(control.count);
    let mut numbers: Vec<i64> = found.iter().map(|(number, _)| *number).collect();
    numbers.dedup();
    let studies = loaded(asking, &mut db, &numbers, &counted)?;
    let row = state.table.row(search.resource);
    let mut matches = Vec::with_capacity(found.len());
    for (number, part) in &found {
        let Some((study, sized)) = studies.get(number) else { continue };
        let bytes = rendered(asking, study, *part, sized)?;
        let cut = control.subset.cut(row, &bytes);
        matches.push(Entry {
            resource: search.resource,
            id: part.id(&study.public_id),
            bytes: cut.map_or_else(|| Bytes::from(bytes), Bytes::from),
            key: keys.get(number).copied().unwrap_or_default(),
        });
    }
    let included = included(asking, &mut db, search, &numbers, &studies)?;
    Ok(Page {
        total: Total::Known(total),
        matches,
        has_more,
        seen: None,
        included,
        notes: Vec::new(),
    })
}

fn rendered(
    asking: &Asking<'_>,
    study: &Study,
    part: Part,
    sized: &render::Sized,
) -> Result<Vec<u8>> {
    match part {
        Part::Set => render::list(asking, study, sized.has_kos),
        Part::Fhir | Part::Kos => render::reference(asking, study, part, sized),
    }
}

/// Studies by number. Those that are small come with their instances, so that their documents'
/// sizes can be told.
fn loaded(
    asking: &Asking<'_>,
    db: &mut Db,
    numbers: &[i64],
    counted: &RoaringBitmap,
) -> Result<HashMap<i64, (Study, render::Sized)>> {
    let bare = read::load_studies(db, numbers, asking.ids(), false).map_err(Error::from)?;
    let small: Vec<i64> = bare
        .iter()
        .filter(|study| study.images() <= render::SIZED)
        .map(|study| study.number)
        .collect();
    let whole = read::load_studies(db, &small, asking.ids(), true).map_err(Error::from)?;
    let has_kos = |number: i64| !u32::try_from(number).is_ok_and(|slot| counted.contains(slot));
    let mut all: HashMap<i64, (Study, render::Sized)> = bare
        .into_iter()
        .map(|study| (study.number, (render::Sized::bare(has_kos(study.number)), study)))
        .map(|(number, (sized, study))| (number, (study, sized)))
        .collect();
    for study in whole {
        let sized = render::Sized::of(asking, &study);
        all.insert(study.number, (study, sized));
    }
    Ok(all)
}

/// What `_include` brings: subjects, and of a List its documents.
fn included(
    asking: &Asking<'_>,
    db: &mut Db,
    search: &Search,
    numbers: &[i64],
    studies: &HashMap<i64, (Study, render::Sized)>,
) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let asks = |names: &[&str], target| {
        search.control.include.iter().any(|one| one.brings(search.resource, names, target))
    };
    if asks(&["patient", "subject"], Resource::Patient) {
        let mut patients: Vec<i64> =
            studies.values().map(|(study, _)| study.patient.number).collect();
        patients.sort_unstable();
        patients.dedup();
        let patients = read::load_patients(db, &patients, asking.ids()).map_err(Error::from)?;
        found.extend(patients.iter().map(|patient| Entry {
            resource: Resource::Patient,
            id: patient.public_id.clone(),
            bytes: render_patient(&asking.state.context, patient, asking.view).into(),
            key: 0,
        }));
    }
    let is_item = |asked: &Include| asked.source == Resource::List && asked.name == "item";
    if search.resource == Resource::DocumentReference
        && search.control.revinclude.iter().any(is_item)
    {
        for (study, sized) in numbers.iter().filter_map(|number| studies.get(number)) {
            found.push(Entry {
                resource: Resource::List,
                id: Part::Set.id(&study.public_id),
                bytes: render::list(asking, study, sized.has_kos)?.into(),
                key: 0,
            });
        }
    }
    if asks(&["item"], Resource::DocumentReference) {
        for (study, sized) in numbers.iter().filter_map(|number| studies.get(number)) {
            let parts = Part::all(Resource::DocumentReference).iter();
            for part in parts.filter(|part| sized.has_kos || **part != Part::Kos) {
                found.push(Entry {
                    resource: Resource::DocumentReference,
                    id: part.id(&study.public_id),
                    bytes: render::reference(asking, study, *part, sized)?.into(),
                    key: 0,
                });
            }
        }
    }
    Ok(found)
}

/// Which encodings a criterion about the format leaves.
fn by_format(asking: &Asking<'_>, criterion: &Criterion) -> Result<impl FnMut(&Part) -> bool> {
    let document = &asking.state.context.tables().mado.document;
    let also = &asking.state.context.tables().mado.sop_class.also;
    let holds = |part: Part| {
        let row = match part {
            Part::Kos => &document.kos,
            Part::Fhir | Part::Set => &document.fhir,
        };
        // The format of a KOS is its SOP class, which the sources spell with three systems.
        let is_one = |token: &Token| {
            token.matches(Some(&row.format.system), &row.format.code)
                || (part == Part::Kos
                    && also.iter().any(|of| token.matches(Some(of), &row.format.code)))
        };
        constant(&criterion.test, is_one).ok_or_else(|| unsupported(criterion, "the modifier"))
    };
    let (fhir, kos) = (holds(Part::Fhir)?, holds(Part::Kos)?);
    Ok(move |part: &Part| if *part == Part::Kos { kos } else { fhir })
}

/// The documents that ids name.
fn by_id(
    asking: &Asking<'_>,
    db: &mut Db,
    resource: Resource,
    criterion: &Criterion,
) -> Result<HashSet<(i64, Part)>> {
    let Test::Tokens(tokens) = &criterion.test else {
        return Err(unsupported(criterion, "the modifier"));
    };
    let mut found = HashSet::new();
    for token in tokens.iter().filter(|token| token.system.as_deref().is_none_or(str::is_empty)) {
        let Some((study, part)) = token.code.as_deref().and_then(|id| Part::parse(resource, id))
        else {
            continue;
        };
        let known = read::find_studies_by_id(db, asking.ids(), &[study]).map_err(Error::from)?;
        let known = known.iter().filter(|known| !known.is_deleted);
        found.extend(known.map(|known| (known.number, part)));
    }
    Ok(found)
}
