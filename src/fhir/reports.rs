//! Reports of the archive: DiagnosticReport, Composition, Observation, key images and the
//! DocumentReference by which a document consumer finds them, derived from structured reports and
//! encapsulated documents when they are asked for; and the documents themselves, by id.
//!
//! The index says of which studies the actor may read; reports of others are not looked at. What a
//! search asks besides the patient is compared with the rendered resources, of at most
//! [`MOST_EXAMINED`] reports: a search that could concern more has to name a patient.

use std::collections::HashMap;

use actix_web::web::Bytes;
use roaring::RoaringBitmap;
use serde_json::Value;

use super::archive::several_patients;
use super::bundle::Total;
use super::operation::{Call, Operation, Reply};
use super::outcome::{Failure, Result};
use super::provider::{Entry, Page, Provider, Read, not_found};
use super::search::values::{Path, Value as Dated};
use super::search::{self, Criterion, Place, Search, Test, documents, studies};
use super::subset::Subset;
use super::table::{Answer, Parameter, Resource};
use super::{Asking, State, report_file};
use crate::actor::Role;
use crate::error::Error;
use crate::imaging::{StoredReport, Study};
use crate::mapping::fhir::render_patient;
use crate::mapping::report::{RenderedReport, document, render_report};
use crate::store::{Db, read, reports};

/// Reports that one search renders.
const MOST_EXAMINED: usize = 2_000;
/// Studies whose reports are asked for by study; of more the reports are scanned in their order.
const MOST_STUDIES: u64 = 5_000;
/// Reports that are read at once.
const STEP: usize = 200;

/// The provider.
pub(super) struct Reports;

/// The parts of an id: the report's own, and the place of an Observation or key image.
fn split(id: &str) -> (&str, Option<usize>) {
    match id.split_once('-') {
        Some((report, place)) => (report, place.parse().ok()),
        None => (id, None),
    }
}

/// Where to go on behind all of a report's resources.
fn behind(report: String) -> Place {
    Place { id: format!("{report}-{}", usize::MAX), key: 0 }
}

/// The resources of a type that a report became.
fn of_type(rendered: RenderedReport, resource: Resource) -> Vec<Value> {
    match resource {
        Resource::DiagnosticReport => rendered.diagnostic_report.into_iter().collect(),
        Resource::Composition => rendered.composition.into_iter().collect(),
        Resource::Observation => rendered.observations,
        Resource::Basic => rendered.key_images,
        Resource::DocumentReference => rendered.document_reference.into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A report as the actor sees it: who may not have its document gets no address of it.
fn rendered(asking: &Asking<'_>, stored: &StoredReport, study: &Study) -> RenderedReport {
    let mut rendered = render_report(&asking.state.context, stored, study, asking.view);
    let forms = rendered.diagnostic_report.as_mut().and_then(|one| one.get_mut("presentedForm"));
    if let Some(Value::Array(forms)) = forms
        && !report_file::is_shown(asking)
    {
        for form in forms.iter_mut().filter_map(Value::as_object_mut) {
            form.remove("url");
        }
    }
    rendered
}

/// The criteria that are about the study and its patient, and those that the report itself answers.
fn parted(state: &State, search: &Search) -> (Vec<Criterion>, Vec<Criterion>) {
    let is_document = search.resource == Resource::DocumentReference;
    let is_of_study = |answer: Answer| match answer {
        Answer::Patient => true,
        Answer::StudyUid | Answer::Accession | Answer::Modality | Answer::Region => is_document,
        _ => false,
    };
    let (of_studies, mut others): (Vec<Criterion>, Vec<Criterion>) = search
        .criteria
        .iter()
        .cloned()
        .partition(|criterion| is_of_study(criterion.parameter.answer));
    if is_document {
        // The rows of the archive's DocumentReference are about manifests: a reference to a report
        // is searched by what it says, as a written one is.
        for criterion in &mut others {
            let row = &mut criterion.parameter;
            if row.answer == Answer::DocumentId {
                row.answer = Answer::Id;
                row.path = "id".to_owned();
            } else if let Some(of) = by_path(state, search.resource, &row.name) {
                *row = of.clone();
            }
        }
    }
    (of_studies, others)
}

/// The row that says where in a resource the values of a parameter stand.
fn by_path<'s>(state: &'s State, resource: Resource, name: &str) -> Option<&'s Parameter> {
    let is_it = |row: &&Parameter| row.resource == resource.name() && row.is_called(name);
    state.table.written.iter().find(is_it)
}

/// What a search sorts a resource by; without a date it stands last.
pub(super) fn sort_key(
    asking: &Asking<'_>,
    search: &Search,
    resource: &Value,
    updated: i64,
) -> i64 {
    let Some(sort) = &search.control.sort else { return 0 };
    if sort.name == "_lastUpdated" {
        return updated;
    }
    let row = by_path(asking.state, search.resource, &sort.name);
    let path = row.and_then(|row| Path::parse(&row.path));
    let values = match (row, &path) {
        (Some(row), Some(path)) => asking.state.reader().values(row, path, resource),
        _ => Vec::new(),
    };
    let first = values.into_iter().filter_map(|value| match value {
        Dated::Date { from, .. } => Some(from),
        _ => None,
    });
    first.min().unwrap_or(if sort.descending { i64::MIN } else { i64::MAX })
}

fn id_of(resource: &Value) -> &str {
    resource["id"].as_str().unwrap_or_default()
}

/// A report that the actor may read, with its study.
fn load(asking: &Asking<'_>, resource: Resource, id: &str) -> Result<(StoredReport, Study)> {
    let state = asking.state;
    let (report, _) = split(id);
    let mut db = state.store.reader()?;
    let found =
        reports::find_reports_by_id(&mut db, asking.ids(), &[report]).map_err(Error::from)?;
    let (study, found) = *found.first().ok_or_else(|| not_found(resource, id))?;
    if found.is_deleted {
        // Who reads the whole archive may know that it was there.
        return Err(match asking.actor.role {
            Role::Ehr | Role::ImagingIt => {
                Error::Gone { kind: resource.name(), id: id.to_owned() }.into()
            }
            Role::Researcher | Role::Steward | Role::Admin | Role::Public => {
                not_found(resource, id)
            }
        });
    }
    if !state.index.read().may_read_study(asking.actor, study) {
        return Err(not_found(resource, id));
    }
    let mut loaded = load_all(asking, &mut db, &[found.number])?;
    loaded.pop().ok_or_else(|| not_found(resource, id))
}

/// Reports by number, each with its study, in the order of their numbers.
fn load_all(
    asking: &Asking<'_>,
    db: &mut Db,
    numbers: &[i64],
) -> Result<Vec<(StoredReport, Study)>> {
    let all = reports::load_reports_by_number(db, numbers, asking.ids()).map_err(Error::from)?;
    let mut studies: Vec<i64> = all.iter().map(|report| report.study).collect();
    studies.sort_unstable();
    studies.dedup();
    let studies: HashMap<i64, Study> = read::load_studies(db, &studies, asking.ids(), false)
        .map_err(Error::from)?
        .into_iter()
        .map(|study| (study.number, study))
        .collect();
    let with_study = |report: StoredReport| Some((studies.get(&report.study)?.clone(), report));
    Ok(all.into_iter().filter_map(with_study).map(|(study, report)| (report, study)).collect())
}

fn bytes_of(resource: &Value) -> Bytes {
    serde_json::to_vec(resource).unwrap_or_default().into()
}

impl Provider for Reports {
    fn resources(&self) -> &[Resource] {
        &[
            Resource::DiagnosticReport,
            Resource::Composition,
            Resource::Observation,
            Resource::Basic,
            Resource::DocumentReference,
            Resource::Binary,
        ]
    }

    fn is_searched_by_content(&self, resource: Resource) -> bool {
        resource == Resource::DocumentReference
    }

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        let state = asking.state;
        let (stored, study) = load(asking, resource, id)?;
        let all = if resource == Resource::Binary {
            let mut db = state.store.reader()?;
            vec![report_file::binary(asking, &mut db, &stored, &study)?]
        } else {
            let rendered = rendered(asking, &stored, &study);
            of_type(rendered, resource)
        };
        let one = all.iter().find(|one| id_of(one) == id).ok_or_else(|| not_found(resource, id))?;
        let bytes = bytes_of(one);
        // A document is whole or it is none.
        let is_document = resource == Resource::Binary;
        let row = state.table.row(resource);
        let cut = if is_document { None } else { subset.cut(row, &bytes) };
        let bytes = cut.map_or(bytes, Bytes::from);
        let version = one["meta"]["versionId"].as_str().unwrap_or_default();
        Ok(Read {
            bytes,
            version: state.tag(asking, version),
            updated: Some(stored.updated.max(study.updated)),
        })
    }

    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
        let state = asking.state;
        let control = &search.control;
        let (of_studies, others) = parted(state, search);
        // A document is found by its report, and its bytes are asked for one at a time. Of manifests
        // there is more to ask than of reports.
        let is_nothing =
            |criterion: &Criterion| criterion.parameter.path.is_empty() && !criterion.is_missing();
        if search.resource == Resource::Binary || others.iter().any(is_nothing) {
            return Ok(Page::count(Total::Known(0)));
        }
        let others: Vec<Criterion> =
            others.into_iter().filter(|criterion| !criterion.parameter.path.is_empty()).collect();
        let mut db = state.store.reader()?;
        let visible = {
            let conditions = studies::conditions(&of_studies);
            let query = studies::query(asking, &mut db, &of_studies, &conditions)?;
            state.index.read().search(asking.actor, &query)
        };
        let named = named(asking, &mut db, &others)?;
        let candidates = candidates(&mut db, &visible, named)?;
        let is_whole = candidates.len() <= MOST_EXAMINED;
        let is_sorted = control.sort.is_some();
        if !is_whole && (control.is_count_only || is_sorted || asking.actor.role == Role::Ehr) {
            return Err(Error::TooCostly(format!(
                "more than {MOST_EXAMINED} reports would have to be looked at; give `patient`"
            ))
            .into());
        }
        let is_descending = control.sort.as_ref().is_some_and(|sort| sort.descending);
        let rank = |key: i64| if is_descending { key.saturating_neg() } else { key };
        let start = match after {
            None => None,
            Some(Place { id, key }) => {
                let (report, place) = split(id);
                let found = reports::find_reports_by_id(&mut db, asking.ids(), &[report])
                    .map_err(Error::from)?;
                let (_, found) = found.first().ok_or_else(search::foreign_cursor)?;
                Some((rank(*key), found.number, place.unwrap_or(0)))
            }
        };
        // An exact total needs all of them; without one the page alone is looked at.
        let wanted: Vec<i64> = match start {
            Some((_, number, _)) if !is_whole => {
                candidates.iter().copied().filter(|one| *one >= number).collect()
            }
            _ => candidates,
        };
        let mut found: Vec<((i64, i64, usize), i64, Entry)> = Vec::new();
        let mut patients: Vec<i64> = Vec::new();
        let (mut total, mut examined, mut has_more) = (0_u64, 0, false);
        let (mut last, mut seen) = (None, None);
        let row = state.table.row(search.resource);
        'reports: for numbers in wanted.chunks(STEP) {
            for (stored, study) in load_all(asking, &mut db, numbers)? {
                if !is_whole && examined >= MOST_EXAMINED {
                    has_more = true;
                    seen = last.map(behind);
                    break 'reports;
                }
                examined += 1;
                last = Some(stored.public_id.clone());
                let rendered = rendered(asking, &stored, &study);
                for resource in of_type(rendered, search.resource) {
                    if !documents::matches(&asking.state.reader(), &resource, &others)? {
                        continue;
                    }
                    total += 1;
                    if !patients.contains(&study.patient.number) {
                        patients.push(study.patient.number);
                    }
                    let updated = stored.updated.max(study.updated);
                    let key = sort_key(asking, search, &resource, updated);
                    let place = split(id_of(&resource)).1.unwrap_or(0);
                    let here = (rank(key), stored.number, place);
                    if control.is_count_only || start.is_some_and(|start| here <= start) {
                        continue;
                    }
                    if !is_sorted && found.len() == control.count {
                        has_more = true;
                        if is_whole {
                            continue;
                        }
                        break 'reports;
                    }
                    let bytes = bytes_of(&resource);
                    let bytes = control.subset.cut(row, &bytes).map_or(bytes, Bytes::from);
                    let id = id_of(&resource).to_owned();
                    let entry = Entry { resource: search.resource, id, bytes, key };
                    found.push((here, study.patient.number, entry));
                }
            }
            // The first of all that were seen so far.
            if is_sorted {
                found.sort_by_key(|(here, ..)| *here);
                has_more |= found.len() > control.count;
                found.truncate(control.count);
            }
        }
        if asking.actor.role == Role::Ehr && patients.len() > 1 {
            return Err(several_patients());
        }
        let total = if is_whole { Total::Known(total) } else { Total::Untold };
        if control.is_count_only {
            return Ok(Page::count(total));
        }
        let mut included = Vec::new();
        let is_patient_asked = control.include.iter().any(|include| {
            include.brings(search.resource, &["patient", "subject"], Resource::Patient)
        });
        if is_patient_asked {
            let mut patients: Vec<i64> = found.iter().map(|(_, patient, _)| *patient).collect();
            patients.sort_unstable();
            patients.dedup();
            let loaded =
                read::load_patients(&mut db, &patients, asking.ids()).map_err(Error::from)?;
            included.extend(loaded.iter().map(|patient| Entry {
                resource: Resource::Patient,
                id: patient.public_id.clone(),
                bytes: render_patient(&state.context, patient, asking.view).into(),
                key: 0,
            }));
        }
        let matches: Vec<Entry> = found.into_iter().map(|(.., entry)| entry).collect();
        Ok(Page { total, matches, has_more, seen, included, notes: Vec::new() })
    }
}

/// The reports that the criteria name one by one, by id or SOP Instance UID; `None`: by none.
fn named(asking: &Asking<'_>, db: &mut Db, criteria: &[Criterion]) -> Result<Option<Vec<i64>>> {
    for criterion in criteria {
        let Test::Tokens(tokens) = &criterion.test else { continue };
        let values: Option<Vec<&str>> = tokens.iter().map(|token| token.code.as_deref()).collect();
        let Some(values) = values else { continue };
        if criterion.parameter.answer == Answer::Id {
            let ids: Vec<&str> = values.iter().map(|id| split(id).0).collect();
            let found = reports::find_reports_by_id(db, asking.ids(), &ids).map_err(Error::from)?;
            return Ok(Some(found.iter().map(|(_, found)| found.number).collect()));
        }
        let is_of_report = criterion.parameter.name == "identifier"
            && [Resource::DiagnosticReport, Resource::Composition, Resource::Basic]
                .iter()
                .any(|resource| criterion.parameter.resource == resource.name())
            && asking.ids() == read::IdSpace::Care;
        let uids: Option<Vec<&str>> = values
            .iter()
            .map(|value| {
                let uid = value.strip_prefix("urn:oid:")?;
                crate::imaging::Uid::parse(uid).is_ok().then_some(uid)
            })
            .collect();
        if let Some(uids) = uids.filter(|_| is_of_report) {
            let found = reports::find_reports(db, &uids).map_err(Error::from)?;
            return Ok(Some(found.iter().map(|row| row.number).collect()));
        }
    }
    Ok(None)
}

/// The numbers of the reports of studies, sorted; one more than is examined shows that there are
/// too many.
fn candidates(db: &mut Db, visible: &RoaringBitmap, named: Option<Vec<i64>>) -> Result<Vec<i64>> {
    let is_visible = |study: i64| u32::try_from(study).is_ok_and(|study| visible.contains(study));
    if let Some(named) = named {
        let places = reports::places_of(db, &named).map_err(Error::from)?;
        let seen = places.into_iter().filter(|(_, study)| is_visible(*study));
        let mut found: Vec<i64> = seen.map(|(number, _)| number).collect();
        found.sort_unstable();
        return Ok(found);
    }
    if visible.len() <= MOST_STUDIES {
        let studies: Vec<i64> = visible.iter().map(i64::from).collect();
        return reports::numbers_of_studies(db, &studies).map_err(|e| Error::from(e).into());
    }
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let places = reports::scan_places(db, after, 10_000).map_err(Error::from)?;
        let Some((last, _)) = places.last() else { return Ok(found) };
        after = *last;
        let seen = places.into_iter().filter(|(_, study)| is_visible(*study));
        found.extend(seen.map(|(number, _)| number));
    }
}

/// `DiagnosticReport/{id}/$fhir-report` (HL7 Europe Imaging): the report as one Bundle, with the
/// dose and the key images of its study.
pub(super) struct FhirReport;

impl Operation for FhirReport {
    fn name(&self) -> &'static str {
        "fhir-report"
    }

    fn definition(&self, _resource: Option<Resource>) -> String {
        "http://hl7.eu/fhir/imaging/OperationDefinition/DiagnosticReport-fhir-report".to_owned()
    }

    fn serves(&self, resource: Option<Resource>, has_id: bool) -> bool {
        resource == Some(Resource::DiagnosticReport) && has_id
    }

    fn run(&self, asking: &Asking<'_>, call: Call) -> Result<Reply> {
        let id = call.id.unwrap_or_default();
        // The Bundle holds more than the report.
        for resource in [
            Resource::DiagnosticReport,
            Resource::Composition,
            Resource::Observation,
            Resource::Basic,
            Resource::Patient,
            Resource::ImagingStudy,
            Resource::Organization,
        ] {
            if !asking.actor.has_read_scope(resource.name()) {
                return Err(search::scope_needed(resource.name(), 'r'));
            }
        }
        let bundle = asking.state.report_document(asking, &id)?;
        Ok(Reply::fhir(bytes_of(&bundle)))
    }
}

impl State {
    /// The Bundle of a report that the actor may read.
    pub(super) fn report_document(&self, asking: &Asking<'_>, id: &str) -> Result<Value> {
        let kind = Resource::DiagnosticReport;
        let (stored, study) = load(asking, kind, id)?;
        let render = |stored: &StoredReport| rendered(asking, stored, &study);
        let mut db = self.store.reader()?;
        let others =
            reports::load_reports(&mut db, &[study.number], asking.ids()).map_err(Error::from)?;
        let companions: Vec<RenderedReport> = others
            .iter()
            .filter(|other| other.number != stored.number)
            .take(STEP)
            .map(render)
            .collect();
        let rendered = render(&stored);
        document(&self.context, &stored, &rendered, &companions, &study, asking.view)
            .filter(|_| split(id).1.is_none() && stored.public_id == id)
            .ok_or_else(|| -> Failure { not_found(kind, id) })
    }
}
