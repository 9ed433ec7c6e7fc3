//! QIDO-RS (PS3.18 section 10.6): searches for studies, series and instances.
//!
//! The index narrows the search to the studies that the actor may read; what it does not hold
//! is compared on the rows themselves. Nothing found is 200 and an empty array, as PS3.18 has it
//! since 2026a; earlier editions had 204, which many clients cannot read.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::{Map, Value as Json};

use super::address::{Level as Asked, Target};
use super::metadata::DICOM_JSON;
use super::problem::{Failure, Result, store};
use super::{Asking, Who};
use crate::actor::Role;
use crate::dicom::{element_of, keyword_of, value_to_json};
use crate::error::Error;
use crate::imaging::{Attributes, Facet, IdSpace, Lookup, Series, Started, Study, Value};
use crate::index::{Query, Sort};
use crate::store::read::{self, Compare};
use crate::store::{Db, journal};

mod criterion;
pub(super) mod table;
mod value;

use criterion::{Criterion, Test};
use table::{Attribute, Level};
use value::Subject;

/// Rows of an answer without `limit`, and the most that `limit` gives.
const PAGE: usize = 200;
const MOST: usize = 5_000;
/// Studies that one search reads to compare what the index does not hold.
const EXAMINED: usize = 50_000;
/// Studies that are read at once.
const BATCH: usize = 200;
/// How deep items of sequences nest in what the store keeps.
const DEPTH: usize = 16;

/// A search as it was asked for.
struct Search {
    level: Level,
    target: Target,
    criteria: Vec<Criterion>,
    /// Keywords that are returned besides the default; `None`: everything.
    fields: Option<BTreeSet<String>>,
    limit: usize,
    offset: usize,
    warnings: Vec<String>,
}

/// What was found.
struct Found {
    rows: Vec<Json>,
    has_more: bool,
}

pub(super) async fn search(asking: &Asking, level: Asked, target: &Target) -> Result<HttpResponse> {
    let media = super::accept::only(asking, &[DICOM_JSON, "application/json"])?;
    let level = match level {
        Asked::Study => Level::Study,
        Asked::Series => Level::Series,
        Asked::Instance => Level::Instance,
    };
    let search = Search::parse(asking, level, target)?;
    let mut warnings = search.warnings.clone();
    let found = asking.blocking(move |who| find(who, &search)).await?;
    if found.has_more {
        warnings.push("There are additional results that can be requested".to_owned());
    }
    let mut response = HttpResponse::build(StatusCode::OK);
    response.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    response.insert_header((header::VARY, "Accept, Authorization"));
    response.insert_header((header::CONTENT_TYPE, media));
    for warning in warnings {
        let base = &asking.who.state.base;
        response.append_header((header::WARNING, format!("299 {base} \"{warning}\"")));
    }
    Ok(response.body(Json::Array(found.rows).to_string()))
}

impl Search {
    fn parse(asking: &Asking, level: Level, target: &Target) -> Result<Self> {
        let mut search = Self {
            level,
            target: target.clone(),
            criteria: Vec::new(),
            fields: Some(BTreeSet::new()),
            limit: PAGE,
            offset: 0,
            warnings: Vec::new(),
        };
        for (name, value) in &asking.parameters {
            let number = || {
                let number: usize = value.trim().parse().map_err(|_| {
                    Failure::bad(format!("parameter `{name}`: write a whole number from 0"))
                })?;
                Ok::<_, Failure>(number)
            };
            match name.as_str() {
                "limit" => {
                    search.limit = number()?;
                    if search.limit > MOST {
                        search.limit = MOST;
                        search.warnings.push(format!("limit is at most {MOST}"));
                    }
                }
                "offset" => search.offset = number()?,
                "includefield" => search.include(value)?,
                "fuzzymatching" => match value.as_str() {
                    "false" | "" => {}
                    "true" => search.warnings.push(
                        "The fuzzymatching parameter is not supported. Only literal matching has \
                         been performed."
                            .to_owned(),
                    ),
                    _ => {
                        return Err(Failure::bad(
                            "parameter `fuzzymatching`: write `true` or `false`",
                        ));
                    }
                },
                "accept" => {}
                _ => search.criterion(&asking.who.state.table, name, value)?,
            }
        }
        Ok(search)
    }

    /// `includefield`: keywords or tags with commas between them, or `all`.
    fn include(&mut self, value: &str) -> Result<()> {
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            if word.eq_ignore_ascii_case("all") {
                self.fields = None;
                continue;
            }
            let keyword = known(word).ok_or_else(|| no_attribute(word))?;
            if let Some(fields) = &mut self.fields {
                fields.insert(keyword);
            }
        }
        Ok(())
    }

    fn criterion(&mut self, table: &table::Table, name: &str, value: &str) -> Result<()> {
        let keyword = known(name).ok_or_else(|| no_attribute(name))?;
        let row = table.attribute.iter().find(|row| {
            row.keyword == keyword && row.matching.is_some() && row.level <= self.level
        });
        let Some((row, matching)) = row.and_then(|row| Some((row, row.matching?))) else {
            // What is not matched would find more than was asked for: the reader is told.
            self.warnings.push(format!("The attribute {keyword} is not matched here"));
            return Ok(());
        };
        if self.criteria.len() > 40 {
            return Err(Failure::bad("more than 40 attributes are matched in one search"));
        }
        self.criteria.extend(Criterion::parse(row, matching, value)?);
        Ok(())
    }

    /// Whether the attribute goes into an answer: at its own level and those above that the path
    /// does not name.
    fn shows(&self, row: &Attribute) -> bool {
        let is_level = row.level == self.level
            || match row.level {
                Level::Study => self.target.study.is_none(),
                Level::Series => self.target.series.is_none() && self.level == Level::Instance,
                Level::Instance => false,
            };
        let is_path_uid = matches!(row.value, table::Value::StudyUid | table::Value::SeriesUid)
            && row.level < self.level;
        let is_asked = match &self.fields {
            None => true,
            Some(fields) => fields.contains(&row.keyword),
        };
        let is_url = row.keyword == "RetrieveURL";
        (is_level && !is_url && (row.returned || is_asked))
            || is_path_uid
            || (is_asked && row.level < self.level && !is_url)
            || (is_url && row.level == self.level)
            || row.value == table::Value::Charset
    }
}

/// The keyword of a keyword or a tag; of an item both with a dot between them.
fn known(name: &str) -> Option<String> {
    if name.len() > 200 {
        return None;
    }
    let words: Option<Vec<String>> = name.split('.').map(keyword_of).collect();
    words.map(|words| words.join(".")).filter(|name| name.split('.').count() <= 2)
}

fn no_attribute(name: &str) -> Failure {
    let shown: String = name.chars().take(60).collect();
    Failure::bad(format!(
        "parameter `{shown}`: neither a keyword of PS3.6 nor a tag of eight hexadecimal digits"
    ))
}

fn find(who: &Who, search: &Search) -> Result<Found> {
    let mut db = who.state.store.reader()?;
    // What the path names has to be there, and to be seen.
    if search.target.study.is_some() {
        super::locate::exists(who, &search.target, &mut db)?;
    }
    let parts = narrowed(search, &mut db)?;
    let (hits, has_several) = {
        let index = who.state.index.read();
        let dates = dates(search);
        let mut parts = parts;
        if let Some(date) = &dates {
            parts.push(Query::Started(date));
        }
        let hits = index.search(&who.actor, &Query::And(parts));
        let has_several = index.patients_of(&hits).len() > 1;
        (hits, has_several)
    };
    let sources = store(journal::list_sources(&mut db))?;
    let tables: Vec<String> =
        sources.into_iter().filter(|row| row.kind == "table").map(|row| row.name).collect();
    // In care of one patient nobody is told of several.
    let is_counted = who.actor.role == Role::Ehr && has_several;
    let mut patients: BTreeSet<i64> = BTreeSet::new();
    let mut found = Found { rows: Vec::new(), has_more: false };
    let (mut skipped, mut examined, mut after) = (0, 0, None);
    let wanted = search.limit.saturating_add(1);
    loop {
        let numbers = {
            let index = who.state.index.read();
            index.page(&hits, Sort::Arrival, after, BATCH)
        };
        let Some(last) = numbers.last() else { break };
        after = Some((*last, 0));
        examined += numbers.len();
        if examined > EXAMINED {
            return Err(Error::TooCostly(format!(
                "the search would have to compare more than {EXAMINED} studies one by one; narrow \
                 it by StudyDate, PatientID, AccessionNumber, a UID or a modality"
            ))
            .into());
        }
        let has_instances = search.level == Level::Instance;
        for study in store(read::load_studies(&mut db, &numbers, IdSpace::Care, has_instances))? {
            let before = found.rows.len() + skipped;
            rows(who, search, &tables, &study, &mut skipped, &mut found.rows, wanted);
            if found.rows.len() + skipped > before {
                patients.insert(study.patient.number);
            }
            if is_counted && patients.len() > 1 {
                return Err(Error::Forbidden(
                    "the role `ehr` reads one patient at a time, and this is about several: give \
                     `PatientID` and, if need be, `IssuerOfPatientID`"
                        .to_owned(),
                )
                .into());
            }
        }
        if found.rows.len() >= wanted && !is_counted {
            break;
        }
    }
    found.has_more = found.rows.len() > search.limit;
    found.rows.truncate(search.limit);
    Ok(found)
}

/// What the index can say of the search: a question whose answer holds every hit.
fn narrowed(search: &Search, db: &mut Db) -> Result<Vec<Query<'static>>> {
    let mut parts = vec![Query::All];
    if let Some(study) = &search.target.study {
        parts.push(Query::Studies(store(read::find_studies_by_uid(db, &[study.as_str()]))?));
    }
    for criterion in &search.criteria {
        let uids: Vec<&str> = match &criterion.test {
            Test::OneOf(uids) => uids.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let literal = criterion.literal();
        let compare = |is_whole| if is_whole { Compare::Equal } else { Compare::Begins };
        let part =
            match (criterion.row.keyword.as_str(), literal) {
                ("StudyInstanceUID", _) => {
                    Query::Studies(store(read::find_studies_by_uid(db, &uids))?)
                }
                ("SeriesInstanceUID", _) => {
                    Query::Studies(store(read::find_studies_by_series(db, &uids))?)
                }
                ("SOPInstanceUID", _) => {
                    Query::Studies(store(read::find_studies_by_instance(db, &uids))?)
                }
                ("PatientID", Some((text, is_whole))) => Query::Patients(store(
                    read::find_by_lookup(db, Lookup::PatientIdentifier, compare(is_whole), &text),
                )?),
                ("PatientName", Some((text, is_whole))) => {
                    let (family, is_family) =
                        text.split_once('^').map_or((text.as_str(), is_whole), |(f, _)| (f, true));
                    if family.is_empty() {
                        continue;
                    }
                    let found =
                        read::find_by_lookup(db, Lookup::Family, compare(is_family), family);
                    Query::Patients(store(found)?)
                }
                ("AccessionNumber", Some((text, is_whole))) => Query::Studies(store(
                    read::find_by_lookup(db, Lookup::Accession, compare(is_whole), &text),
                )?),
                ("StudyID", Some((text, is_whole))) => Query::Studies(store(
                    read::find_by_lookup(db, Lookup::StudyId, compare(is_whole), &text),
                )?),
                ("ModalitiesInStudy" | "Modality", _) => match &criterion.test {
                    Test::Patterns(patterns)
                        if !patterns.iter().any(|pattern| pattern.contains(['*', '?'])) =>
                    {
                        Query::Has(Facet::Modality, patterns.clone())
                    }
                    _ => continue,
                },
                _ => continue,
            };
        parts.push(part);
    }
    Ok(parts)
}

/// The days of a range of StudyDate, with two days around it: when a study began is known in the
/// archive's zone, its date as it was written.
fn dates(search: &Search) -> Option<impl Fn(Option<Started>) -> bool + use<>> {
    const AROUND: i64 = 2 * 86_400 * 1_000_000;
    let (from, to) = search.criteria.iter().find_map(|criterion| match &criterion.test {
        Test::Range(from, to) if criterion.row.keyword == "StudyDate" => Some((from, to)),
        _ => None,
    })?;
    let instant = |text: &str| {
        let date = jiff::civil::Date::strptime("%Y%m%d", text).ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond())
    };
    let from = instant(from).map_or(i64::MIN, |from| from.saturating_sub(AROUND));
    let to = instant(to).map_or(i64::MAX, |to| to.saturating_add(AROUND));
    Some(move |started: Option<Started>| {
        started.is_some_and(|started| started.to >= from && started.from <= to)
    })
}

/// Appends the rows of a study that answer the search.
fn rows(
    who: &Who,
    search: &Search,
    tables: &[String],
    study: &Study,
    skipped: &mut usize,
    rows: &mut Vec<Json>,
    wanted: usize,
) {
    let base = who.state.base.as_str();
    let table = &who.state.table;
    let top = Subject { base, tables, study, series: None, instance: None };
    let holds = |subject: &Subject<'_>, level: Level| {
        let mut of_level = search.criteria.iter().filter(|c| c.row.level == level);
        of_level.all(|criterion| criterion.holds(&subject.texts(&criterion.row)))
    };
    if !holds(&top, Level::Study) {
        return;
    }
    let mut put = |subject: &Subject<'_>| {
        if *skipped < search.offset {
            *skipped += 1;
        } else if rows.len() < wanted {
            rows.push(row(search, table, subject));
        }
    };
    if search.level == Level::Study {
        put(&top);
        return;
    }
    for series in &study.series {
        let of_series = Subject { series: Some(series), ..top };
        let is_named = search.target.series.as_ref().is_none_or(|uid| *uid == series.uid);
        if !is_named || !holds(&of_series, Level::Series) {
            continue;
        }
        if search.level == Level::Series {
            put(&of_series);
            continue;
        }
        for instance in &series.instances {
            let of_instance = Subject { instance: Some(instance), ..of_series };
            if holds(&of_instance, Level::Instance) {
                put(&of_instance);
            }
        }
    }
}

/// One row of an answer (PS3.18 section 10.6.3.3), in the order of tags.
fn row(search: &Search, table: &table::Table, subject: &Subject<'_>) -> Json {
    let mut elements: BTreeMap<String, Json> = BTreeMap::new();
    for row in table.attribute.iter().filter(|row| !row.keyword.contains('.')) {
        if search.shows(row) {
            match subject.bag(row).and_then(|bag| bag.value(&row.keyword)) {
                Some(value) => put(&mut elements, &row.keyword, value, 0),
                None => {
                    let text = subject.texts(row).join("\\");
                    put(&mut elements, &row.keyword, &Value::Text(text.into()), 0);
                }
            }
        }
    }
    // What is asked for besides, as far as the store keeps it.
    let Subject { study, series, .. } = subject;
    let bags: [Option<&Attributes>; 3] = [
        Some(&study.patient.attributes),
        Some(&study.attributes),
        series.map(|series: &Series| &series.attributes),
    ];
    for (keyword, value) in bags.into_iter().flatten().flat_map(Attributes::iter) {
        let is_asked = match &search.fields {
            None => true,
            Some(fields) => fields.contains(keyword.as_str()),
        };
        if is_asked {
            put(&mut elements, keyword.as_str(), value, 0);
        }
    }
    Json::Object(elements.into_iter().collect())
}

/// Puts one attribute, if it is not there; empty ones are named without a value.
fn put(elements: &mut BTreeMap<String, Json>, keyword: &str, value: &Value, depth: usize) {
    let Some((tag, vr)) = element_of(keyword) else { return };
    if elements.contains_key(&tag) {
        return;
    }
    let mut element = Map::new();
    element.insert("vr".to_owned(), vr.into());
    let values = match value {
        Value::Text(text) => value_to_json(keyword, text),
        Value::Items(items) if depth < DEPTH => items
            .iter()
            .map(|item| {
                let mut inner = BTreeMap::new();
                for (keyword, value) in item.iter() {
                    put(&mut inner, keyword.as_str(), value, depth + 1);
                }
                Json::Object(inner.into_iter().collect())
            })
            .collect(),
        Value::Items(_) => Vec::new(),
    };
    if !values.is_empty() {
        element.insert("Value".to_owned(), values.into());
    }
    elements.insert(tag, element.into());
}
