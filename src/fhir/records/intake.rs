//! Resources that come from files (`vesalius ingest fhir`): Bundles, single resources and NDJSON,
//! from another server's export or a registry. Each is linked to the archive by identifiers,
//! checked, and kept as if a client had put it; what is wrong is put aside, and the others go in.
//!
//! Two passes over the files: [`Intake::note`] learns who is meant by `Patient/…` and
//! `ImagingStudy/…`, [`Intake::take`] keeps the rest. Patients and studies are the archive's own:
//! they are not kept, only linked to. A resource's id is made of the source's name and of what the
//! resource is called there, so that the same file again is the same resources, and two sources
//! cannot meet in one id. Bytes stay as they came, but for id and references.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::{Value as Json, json};

use super::super::search::Token;
use super::super::table::Resource;
use super::super::{Asking, State};
use super::json::{self, Link, Member};
use super::patients_called;
use super::write::{Incoming, shorten};
use crate::actor::{Actor, Role};
use crate::error::{Error, Result};
use crate::imaging::{IdSpace, Uid, public_id};
use crate::mapping::fhir::View;
use crate::store::archive::find_studies;
use crate::store::{Db, read};

/// Largest document that is no NDJSON, and longest line of one that is.
pub const LARGEST: usize = 256 << 20;
/// Resources that are kept in one transaction.
const BATCH: usize = 200;
/// Entries put aside that the summary lists; more are only counted.
const LISTED: usize = 1_000;

/// An entry that was put aside.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Aside {
    /// The file.
    pub file: String,
    /// The line where the resource begins.
    pub line: usize,
    /// Its place in a Bundle.
    pub entry: Option<usize>,
    /// A code.
    pub code: &'static str,
    /// In words.
    pub detail: String,
}

/// The end of an import.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct IntakeSummary {
    /// Files that were read.
    pub files: u64,
    /// Resources of the files: those taken, those that only link, and those put aside.
    pub resources: u64,
    /// Resources that are kept.
    pub taken: u64,
    /// Patients and studies: the archive has its own.
    pub links: u64,
    /// Resources put aside, and files of which nothing could be read.
    pub quarantined: u64,
    /// Resources that were not there.
    pub created: u64,
    /// Resources that became a new version.
    pub changed: u64,
    /// Resources that were there with the same content.
    pub unchanged: u64,
    /// Resources that were taken, about patients whom the archive does not know: kept by identifier.
    pub unknown_patients: u64,
    /// Resources that were taken, about studies that the archive does not have.
    pub unknown_studies: u64,
    /// Resources by type.
    pub by_type: BTreeMap<String, u64>,
    /// The first thousand put aside.
    pub aside: Vec<Aside>,
}

/// Who or what a reference means.
#[derive(Clone, Debug)]
enum Meant {
    /// The archive's own: the id, and the store's number of the patient.
    Known(String, i64),
    /// Nobody yet: the identifier to keep.
    Logical(Json),
    /// It cannot be told.
    Wrong(&'static str, String),
}

/// A resource within a document.
struct Entry<'b> {
    line: usize,
    at: Option<usize>,
    full_url: Option<String>,
    bytes: &'b [u8],
}

/// A resource that is good so far.
struct Good {
    incoming: Incoming,
    place: (String, usize, Option<usize>),
    has_unknown_patient: bool,
    has_unknown_study: bool,
}

/// An import.
pub struct Intake<'s> {
    state: &'s State,
    actor: Actor,
    now: i64,
    source: String,
    key: Vec<u8>,
    /// What each resource is called in the files → its name here.
    names: HashMap<String, (Resource, String)>,
    /// Identifiers of patients by what they are called.
    persons: HashMap<String, Vec<Token>>,
    /// Study Instance UIDs by what studies are called.
    studies: HashMap<String, Uid>,
    resolved: HashMap<String, Meant>,
    seen: HashSet<(Resource, String)>,
    good: Vec<Good>,
    summary: IntakeSummary,
}

impl std::fmt::Debug for Intake<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("source", &self.source).finish_non_exhaustive()
    }
}

impl State {
    /// An import from the source of that name; `key` makes logical ids.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the name cannot begin an id.
    pub fn intake(&self, source: &str, key: &[u8], now: i64) -> Result<Intake<'_>> {
        let is_word = (1..=30).contains(&source.len())
            && source.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_word {
            return Err(Error::Invalid(format!(
                "`{source}` is no name for a source of resources: at most 30 small letters, \
                 digits and hyphens, for it begins their ids"
            )));
        }
        let actor = Actor::new(&format!("fhir {source}"), Role::ImagingIt);
        Ok(Intake {
            state: self,
            actor: actor.with_scopes("system/*.cu"),
            now,
            source: source.to_owned(),
            key: key.to_vec(),
            names: HashMap::new(),
            persons: HashMap::new(),
            studies: HashMap::new(),
            resolved: HashMap::new(),
            seen: HashSet::new(),
            good: Vec::new(),
            summary: IntakeSummary::default(),
        })
    }
}

/// A value that is a string.
fn text_of(bytes: &[u8], members: &[Member], name: &str) -> Option<String> {
    let member = members.iter().find(|member| member.name == name)?;
    serde_json::from_slice(bytes.get(member.value.clone())?).ok()
}

/// The resources of a document: those of a Bundle, or itself. A document Bundle is one resource,
/// kept as it was signed.
fn entries(bytes: &[u8], first_line: usize) -> Result<Vec<Entry<'_>>, String> {
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|failure| failure.to_string())?;
    let members = json::members(bytes, &(0..bytes.len()));
    let kind = text_of(bytes, &members, "resourceType")
        .ok_or("it has no `resourceType`: it is no resource".to_owned())?;
    let is_collection =
        kind == "Bundle" && text_of(bytes, &members, "type").is_none_or(|kind| kind != "document");
    if !is_collection {
        return Ok(vec![Entry { line: first_line, at: None, full_url: None, bytes }]);
    }
    let mut found = Vec::new();
    let mut line = first_line;
    let mut counted = 0;
    let places = members.iter().find(|member| member.name == "entry");
    let places = places.map_or_else(Vec::new, |member| json::items(bytes, &member.value));
    for (at, place) in places.into_iter().enumerate() {
        let members = json::members(bytes, &place);
        let lines = |range: Range<usize>| {
            bytes.get(range).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
        };
        line += lines(counted..place.start);
        counted = place.start;
        let resource = members.iter().find(|member| member.name == "resource");
        let (line, bytes_of) = match resource {
            Some(resource) => (
                line + lines(place.start..resource.value.start),
                bytes.get(resource.value.clone()).unwrap_or_default(),
            ),
            None => (line, &b""[..]),
        };
        found.push(Entry {
            line,
            at: Some(at),
            full_url: text_of(bytes, &members, "fullUrl"),
            bytes: bytes_of,
        });
    }
    Ok(found)
}

/// Type and id, and what else an entry is called.
fn called(entry: &Entry<'_>) -> Option<(String, Vec<String>)> {
    let members = json::members(entry.bytes, &(0..entry.bytes.len()));
    let kind = text_of(entry.bytes, &members, "resourceType")?;
    let id = text_of(entry.bytes, &members, "id");
    let names = id.map(|id| format!("{kind}/{id}")).into_iter().chain(entry.full_url.clone());
    Some((kind, names.collect()))
}

/// What it means where `text` stands: `Observation/1/_history/2` is `Observation/1`.
fn bare(text: &str) -> &str {
    text.split("/_history/").next().unwrap_or(text)
}

/// `Type/id` at the end of an absolute or relative reference.
fn kind_of(text: &str) -> Option<&str> {
    let (rest, _) = bare(text).rsplit_once('/')?;
    let kind = rest.rsplit('/').next()?;
    kind.starts_with(|first: char| first.is_ascii_uppercase()).then_some(kind)
}

impl Intake<'_> {
    /// The first pass: learns what a document calls patients, studies and resources.
    pub fn note(&mut self, bytes: &[u8]) {
        // What cannot be read is told by the second pass.
        for entry in entries(bytes, 1).unwrap_or_default() {
            let Some((kind, names)) = called(&entry) else { continue };
            match kind.as_str() {
                "Patient" | "ImagingStudy" => {
                    let json = serde_json::from_slice::<Json>(entry.bytes).unwrap_or_default();
                    let identifiers = json["identifier"].as_array().into_iter().flatten();
                    if kind == "Patient" {
                        let token = |identifier: &Json| {
                            let code = identifier["value"].as_str()?.to_owned();
                            let system = identifier["system"].as_str().map(str::to_owned);
                            Some(Token { system, code: Some(code) })
                        };
                        let tokens: Vec<Token> = identifiers.filter_map(token).collect();
                        self.persons.extend(names.into_iter().map(|name| (name, tokens.clone())));
                    } else {
                        let uid = |identifier: &Json| {
                            let value = identifier["value"].as_str()?.strip_prefix("urn:oid:")?;
                            Uid::parse(value).ok()
                        };
                        if let Some(uid) = identifiers.filter_map(uid).next() {
                            self.studies.extend(names.into_iter().map(|name| (name, uid.clone())));
                        }
                    }
                }
                _ => {
                    let Some(resource) = Resource::parse(&kind) else { continue };
                    if !self.state.table.row(resource).is_written {
                        continue;
                    }
                    let id = self.id_of(&kind, names.first(), entry.bytes);
                    self.names.extend(names.into_iter().map(|name| (name, (resource, id.clone()))));
                }
            }
        }
    }

    /// The id here of what is called so there; what has no name is known by what it says.
    fn id_of(&self, kind: &str, name: Option<&String>, bytes: &[u8]) -> String {
        let said = String::from_utf8_lossy(bytes);
        let name = name.map_or(said.as_ref(), String::as_str);
        let parts = [self.source.as_str(), kind, name];
        let id = public_id(&self.key, IdSpace::Care, "fhir-import", &parts);
        format!("{}-{id}", self.source)
    }

    /// Says that a file was read, or could not be.
    pub fn file(&mut self, file: &str, fault: Option<String>) {
        self.summary.files += 1;
        if let Some(detail) = fault {
            self.aside((file.to_owned(), 1, None), "file-unreadable", detail);
        }
    }

    fn aside(&mut self, place: (String, usize, Option<usize>), code: &'static str, detail: String) {
        self.summary.quarantined += 1;
        if self.summary.aside.len() < LISTED {
            let (file, line, entry) = place;
            self.summary.aside.push(Aside { file, line, entry, code, detail });
        }
    }

    /// The second pass: keeps what a document holds. `line` is where it begins in the file.
    ///
    /// # Errors
    /// When the store does not answer; what is wrong with a resource is put aside.
    pub fn take(&mut self, file: &str, line: usize, bytes: &[u8]) -> Result<()> {
        let found = match entries(bytes, line) {
            Ok(found) => found,
            Err(detail) => {
                self.summary.resources += 1;
                self.aside((file.to_owned(), line, None), "json-broken", detail);
                return Ok(());
            }
        };
        for entry in found {
            self.summary.resources += 1;
            let place = (file.to_owned(), entry.line, entry.at);
            match self.read(&entry)? {
                Ok(None) => self.summary.links += 1,
                Ok(Some(good)) => self.good.push(Good { place, ..good }),
                Err((code, detail)) => self.aside(place, code, detail),
            }
            if self.good.len() >= BATCH {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// The end.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn end(mut self) -> Result<IntakeSummary> {
        self.flush()?;
        Ok(self.summary)
    }

    /// The outer error ends the import, the inner one puts the resource aside.
    fn read(&mut self, entry: &Entry<'_>) -> Result<Result<Option<Good>, (&'static str, String)>> {
        let wrong = |code, detail: &str| Ok(Err((code, detail.to_owned())));
        if entry.bytes.is_empty() {
            return wrong("no-resource", "the entry has no `resource`");
        }
        let Some((kind, names)) = called(entry) else {
            return wrong("no-resource", "it has no `resourceType`");
        };
        if ["Patient", "ImagingStudy"].contains(&kind.as_str()) {
            return Ok(Ok(None));
        }
        let resource = Resource::parse(&kind);
        let Some(resource) = resource.filter(|of| self.state.table.row(*of).is_written) else {
            let detail = format!("`{}` is no type that is kept here", shorten(&kind));
            return Ok(Err(("type-not-kept", detail)));
        };
        let id = self.id_of(&kind, names.first(), entry.bytes);
        if !self.seen.insert((resource, id.clone())) {
            return wrong("twice", "another entry is called the same; one of a name is taken");
        }
        let (json, links) = match json::read(entry.bytes) {
            Ok(read) => read,
            Err(why) => return Ok(Err(("json-broken", why.to_string()))),
        };
        let mut edits = Vec::new();
        let mut patients: Vec<i64> = Vec::new();
        let mut study_of: Option<i64> = None;
        let (mut has_unknown_patient, mut has_unknown_study) = (false, false);
        // A document's references are among its own entries.
        let links = if resource == Resource::Bundle { Vec::new() } else { links };
        for link in &links {
            let text = bare(&link.text);
            if let Some((target, id)) = self.names.get(text) {
                edits.push((
                    link.place.clone(),
                    json!(format!("{}/{id}", target.name())).to_string(),
                ));
                continue;
            }
            if !link.is_reference || text.starts_with('#') {
                continue;
            }
            let is_person = self.persons.contains_key(text) || kind_of(text) == Some("Patient");
            let is_study = self.studies.contains_key(text);
            if !is_person && !is_study {
                if text.starts_with("urn:uuid:") {
                    let detail = format!("`{}` names no entry of these files", shorten(text));
                    return Ok(Err(("reference-unknown", detail)));
                }
                continue;
            }
            let (kind, meant) = if is_person {
                ("Patient", self.person(text)?)
            } else {
                ("ImagingStudy", self.study(text)?)
            };
            match meant {
                Meant::Wrong(code, detail) => return Ok(Err((code, detail))),
                Meant::Known(id, number) => {
                    if is_person {
                        patients.push(number);
                    } else {
                        study_of = Some(number);
                    }
                    edits.push((link.place.clone(), json!(format!("{kind}/{id}")).to_string()));
                }
                Meant::Logical(identifier) => {
                    has_unknown_patient |= is_person;
                    has_unknown_study |= !is_person;
                    edits.push(logical(entry.bytes, link, kind, &identifier));
                }
            }
        }
        if study_of.is_some_and(|of| !patients.is_empty() && !patients.contains(&of)) {
            return wrong(
                "study-of-another-patient",
                "the archive has the study, but of another patient than the resource names",
            );
        }
        edits.push(own_id(entry.bytes, &id));
        let bytes = json::splice(entry.bytes, edits);
        drop(json);
        Ok(match self.state.incoming(resource, &bytes) {
            Ok(incoming) => Ok(Some(Good {
                incoming,
                place: (String::new(), 0, None),
                has_unknown_patient,
                has_unknown_study,
            })),
            Err(failure) => Err(("resource-invalid", failure.words())),
        })
    }

    fn asking(&self) -> Asking<'_> {
        Asking { state: self.state, actor: &self.actor, view: View::Care, now: self.now }
    }

    /// The archive's patient whom the files call so.
    fn person(&mut self, name: &str) -> Result<Meant> {
        if let Some(known) = self.resolved.get(name) {
            return Ok(known.clone());
        }
        let mut db = self.state.store.reader()?;
        let meant = match self.persons.get(name).cloned() {
            Some(tokens) => self.identified(&mut db, tokens)?,
            None => {
                // It may name one of the archive's own.
                let id = name.rsplit('/').next().unwrap_or_default();
                let found = read::find_patients_by_id(&mut db, IdSpace::Care, &[id])?;
                match found.iter().find(|found| !found.is_deleted) {
                    Some(found) => Meant::Known(id.to_owned(), found.number),
                    None => Meant::Wrong(
                        "patient-unknown",
                        format!(
                            "`{}` is neither a Patient of these files nor one of the archive: add \
                             the file with the patients",
                            shorten(name)
                        ),
                    ),
                }
            }
        };
        self.resolved.insert(name.to_owned(), meant.clone());
        Ok(meant)
    }

    fn identified(&self, db: &mut Db, tokens: Vec<Token>) -> Result<Meant> {
        let Some(first) = tokens.first() else {
            let detail = "the Patient has no identifier with a value";
            return Ok(Meant::Wrong("patient-unidentified", detail.to_owned()));
        };
        let mut identifier = json!({ "value": first.code });
        if let Some(system) = &first.system {
            identifier["system"] = system.as_str().into();
        }
        let found = patients_called(&self.asking(), db, tokens)
            .map_err(|failure| Error::Internal(failure.words()))?;
        let numbers: Vec<i64> = found.iter().map(i64::from).collect();
        let patients = read::load_patients(db, &numbers, IdSpace::Care)?;
        Ok(match (patients.as_slice(), numbers.as_slice()) {
            ([patient], [number]) => Meant::Known(patient.public_id.clone(), *number),
            ([], _) => Meant::Logical(identifier),
            (several, _) => Meant::Wrong(
                "patient-ambiguous",
                format!(
                    "{} patients of the archive have one of the Patient's identifiers",
                    several.len()
                ),
            ),
        })
    }

    /// The archive's study that the files call so; the number is its patient's.
    fn study(&mut self, name: &str) -> Result<Meant> {
        let Some(uid) = self.studies.get(name) else {
            return Ok(Meant::Wrong("study-unknown", "the study has no UID".to_owned()));
        };
        let mut db = self.state.store.reader()?;
        let found = find_studies(&mut db, &[uid.as_str()])?;
        Ok(match found.into_iter().find(|study| !study.deleted) {
            Some(study) => Meant::Known(study.care_id, study.patient),
            None => Meant::Logical(json!({ "system": "urn:dicom:uid", "value": uid.to_urn() })),
        })
    }

    /// Keeps what was collected, in one transaction.
    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.good);
        if batch.is_empty() {
            return Ok(());
        }
        let mut about = Vec::with_capacity(batch.len());
        let mut rows = Vec::with_capacity(batch.len());
        for Good { incoming, place, has_unknown_patient, has_unknown_study } in batch {
            about.push((incoming.resource, place, has_unknown_patient, has_unknown_study));
            rows.push(incoming);
        }
        let asking = self.asking();
        let kept = self.state.alone(|db| {
            // What is wrong with one is told before it is written, so that the others go in.
            let each = rows.into_iter().map(|incoming| {
                match self.state.keep(&asking, db, vec![incoming]) {
                    Err(failure) if failure.status().is_client_error() => Ok(Err(failure.words())),
                    done => done.map(Ok),
                }
            });
            each.collect::<super::super::outcome::Result<Vec<_>>>()
        });
        let kept = kept.map_err(|failure| Error::Internal(failure.words()))?;
        for ((resource, place, has_unknown_patient, has_unknown_study), kept) in
            about.into_iter().zip(kept)
        {
            let kept = match kept {
                Ok(kept) => kept,
                Err(detail) => {
                    self.aside(place, "not-kept", detail);
                    continue;
                }
            };
            let summary = &mut self.summary;
            summary.taken += 1;
            summary.created += kept.created;
            summary.changed += kept.changed;
            summary.unchanged += kept.unchanged;
            summary.unknown_patients += u64::from(has_unknown_patient);
            summary.unknown_studies += u64::from(has_unknown_study);
            *summary.by_type.entry(resource.name().to_owned()).or_default() += 1;
        }
        Ok(())
    }
}

/// `"reference": "Patient/1"` → type and identifier, for whom the archive does not know yet.
fn logical(bytes: &[u8], link: &Link, kind: &str, identifier: &Json) -> (Range<usize>, String) {
    let before = bytes.get(..link.place.start).unwrap_or_default();
    // The member's name stands before the value: `"reference"`, a colon, spaces.
    let name = before.iter().rposition(|byte| *byte == b':').unwrap_or(0);
    let quote = |to: usize| before.get(..to).and_then(|of| of.iter().rposition(|b| *b == b'"'));
    let start = quote(name).and_then(quote).unwrap_or(link.place.start);
    (start..link.place.end, format!("\"type\":\"{kind}\",\"identifier\":{identifier}"))
}

/// The id in place of the one that it has.
fn own_id(bytes: &[u8], id: &str) -> (Range<usize>, String) {
    let members = json::members(bytes, &(0..bytes.len()));
    match members.iter().find(|member| member.name == "id") {
        Some(given) => (given.value.clone(), format!("\"{id}\"")),
        None => {
            let open = bytes.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
            (open..open, format!("\"id\":\"{id}\","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{entries, json, kind_of, logical, own_id};

    #[test]
    fn entries_are_told_by_line_and_place() {
        let text = b"{\"resourceType\":\"Bundle\",\"type\":\"collection\",\n\"entry\":[\n{\"fullUrl\":\"urn:uuid:a\",\n\"resource\":{\"resourceType\":\"Basic\"}},\n{}]}";
        let found = entries(text, 10).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].at), (13, Some(0)));
        assert_eq!(found[0].full_url.as_deref(), Some("urn:uuid:a"));
        assert_eq!(found[0].bytes, b"{\"resourceType\":\"Basic\"}");
        assert_eq!((found[1].line, found[1].bytes), (14, &b""[..]));
        assert!(entries(b"{", 1).is_err());
        assert!(entries(b"{}", 1).is_err());
        let document = b"{\"resourceType\":\"Bundle\",\"type\":\"document\",\"entry\":[{}]}";
        assert_eq!(entries(document, 1).unwrap().len(), 1);
    }

    #[test]
    fn bytes_stay_but_for_id_and_references() {
        let text = br#"{"resourceType":"Basic","id" : "a","subject": {"reference" :  "Patient/1","display":"x"},"v":1.50}"#;
        let (_, links) = json::read(text).unwrap();
        let identifier = serde_json::json!({ "value": "P1" });
        let edits = vec![logical(text, &links[0], "Patient", &identifier), own_id(text, "s-1")];
        assert_eq!(
            String::from_utf8(json::splice(text, edits)).unwrap(),
            r#"{"resourceType":"Basic","id" : "s-1","subject": {"type":"Patient","identifier":{"value":"P1"},"display":"x"},"v":1.50}"#
        );
        let bare = br#"{"resourceType":"Basic"}"#;
        let (place, text) = own_id(bare, "s-1");
        assert_eq!((place, text.as_str()), (1..1, "\"id\":\"s-1\","));
        assert_eq!(kind_of("http://a.example/fhir/Patient/1/_history/2"), Some("Patient"));
        assert_eq!(kind_of("urn:uuid:x"), None);
    }
}
