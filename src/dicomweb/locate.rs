//! From UIDs to the instances that the actor may read, and to where their bytes are.

use std::collections::HashMap;
use std::fs::File;

use super::address::Target;
use super::problem::{Failure, Result, store};
use super::{Asking, Who};
use crate::dicom::Part10;
use crate::imaging::{Instance, Uid};
use crate::source::Stamp;
use crate::source::kept::{self, Gone};
use crate::store::files::{FileRow, list_files, list_servers_of};
use crate::store::{Db, archive};

/// An instance that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) series: Uid,
    pub(super) instance: Instance,
    /// Where its file is; `None`: no folder gave it.
    pub(super) file: Option<Kept>,
}

/// A file as the journal has it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    folder: String,
    origin: String,
    pub(super) stamp: Stamp,
}

/// The server that a study came from.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) base: String,
    /// It is the only one: the configured credentials are meant for it.
    pub(super) is_only: bool,
}

/// What a target is.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) study: Uid,
    pub(super) wanted: Vec<Wanted>,
    /// Where instances without a file are asked for.
    pub(super) server: Option<Server>,
}

impl Located {
    /// The server, when no folder gave anything of the target.
    pub(super) fn server_of_all(&self) -> Option<&Server> {
        let has_files = self.wanted.iter().any(|wanted| wanted.file.is_some());
        self.server.as_ref().filter(|_| !has_files)
    }
}

/// A target that does not exist, or that the actor may not know of: one answer for both.
fn unknown(target: &Target) -> Failure {
    let (kind, uid) = match (&target.instance, &target.series, &target.study) {
        (Some(uid), _, _) => ("instance", uid),
        (None, Some(uid), _) => ("series", uid),
        (None, None, Some(uid)) => ("study", uid),
        (None, None, None) => return Failure::not_found("nothing is named"),
    };
    Failure::not_found(format!("the {kind} `{uid}` is not known here"))
}

/// Whether the study and the series of a target are there for the actor.
pub(super) fn exists(who: &Who, target: &Target, db: &mut Db) -> Result<()> {
    let study = target.study.as_ref().ok_or_else(|| unknown(target))?;
    let number = store(crate::store::read::find_studies_by_uid(db, &[study.as_str()]))?
        .into_iter()
        .find(|number| who.state.index.read().may_read_study(&who.actor, *number))
        .ok_or_else(|| unknown(target))?;
    let Some(series) = &target.series else { return Ok(()) };
    let known = store(archive::find_series(db, &[series.as_str()]))?;
    if known.iter().any(|(_, study)| *study == number) { Ok(()) } else { Err(unknown(target)) }
}

/// Finds the instances of a target and looks at their files; no files: a server has all of them.
pub(super) async fn locate_files(
    asking: &Asking,
    target: &Target,
) -> Result<(Located, Option<Files>)> {
    let target = target.clone();
    asking
        .blocking(move |who| {
            let located = locate(who, &target)?;
            let files = match located.server_of_all() {
                Some(_) => None,
                None => Some(look(&located)?),
            };
            Ok((located, files))
        })
        .await
}

/// Finds the instances of a target.
pub(super) fn locate(who: &Who, target: &Target) -> Result<Located> {
    let mut db = who.state.store.reader()?;
    store(db.snapshot(|db| Ok(locate_in(who, target, db))))?
}

fn locate_in(who: &Who, target: &Target, db: &mut Db) -> Result<Located> {
    let none = || unknown(target);
    let study = target.study.clone().ok_or_else(none)?;
    let row = store(archive::find_studies(db, &[study.as_str()]))?
        .into_iter()
        .find(|row| !row.deleted)
        .filter(|row| who.state.index.read().may_read_study(&who.actor, row.number))
        .ok_or_else(none)?;
    let mut series: HashMap<i64, Uid> = HashMap::new();
    for of_study in store(archive::list_series(db, &[row.number]))? {
        let uid =
            Uid::parse_lenient(&of_study.uid).map_err(|failure| Failure::internal(&failure))?;
        if target.series.as_ref().is_none_or(|wanted| *wanted == uid) {
            series.insert(of_study.number, uid);
        }
    }
    if series.is_empty() {
        return Err(none());
    }
    let mut numbers: Vec<i64> = series.keys().copied().collect();
    numbers.sort_unstable();
    let mut found: Vec<(i64, Instance)> = Vec::new();
    for (number, packed) in store(archive::list_packed(db, &numbers))? {
        let instances = Instance::unpack(&packed).map_err(|failure| Failure::internal(&failure))?;
        found.extend(
            instances
                .into_iter()
                .filter(|instance| target.instance.as_ref().is_none_or(|uid| *uid == instance.uid))
                .map(|instance| (number, instance)),
        );
    }
    if found.is_empty() {
        return Err(if target.instance.is_some() { none() } else { counted_only() });
    }
    let sops: Vec<&str> = found.iter().map(|(_, instance)| instance.uid.as_str()).collect();
    let (rows, folders) = store(list_files(db, &sops))?;
    let folders: HashMap<i64, &str> =
        folders.iter().map(|row| (row.number, row.locator.as_str())).collect();
    let mut files: HashMap<(i64, &str), Vec<&FileRow>> = HashMap::new();
    for row in &rows {
        files.entry((row.series, row.sop.as_str())).or_default().push(row);
    }
    let wanted: Vec<Wanted> = found
        .iter()
        .filter_map(|(number, instance)| {
            let copies = files.get(&(*number, instance.uid.as_str()));
            // Of two files of one instance the first that came was stored: its size is known.
            let is_stored = |row: &&&FileRow| u64::try_from(row.size) == Ok(instance.bytes);
            let file = copies.and_then(|copies| {
                copies.iter().find(is_stored).or_else(|| copies.first()).copied()
            });
            let file = file.and_then(|row| {
                Some(Kept {
                    folder: (*folders.get(&row.source)?).to_owned(),
                    origin: row.origin.clone(),
                    stamp: Stamp { size: u64::try_from(row.size).ok()?, mark: row.mark },
                })
            });
            let series = series.get(number)?.clone();
            Some(Wanted { series, instance: instance.clone(), file })
        })
        .collect();
    let server = if wanted.iter().all(|wanted| wanted.file.is_some()) {
        None
    } else {
        let servers = store(list_servers_of(db, study.as_str()))?;
        let all = store(crate::store::journal::list_sources(db))?;
        let is_only = all.iter().filter(|row| row.kind == "dicomweb").count() == 1;
        servers.into_iter().next().map(|row| Server { base: row.locator, is_only })
    };
    if server.is_none() && wanted.iter().all(|wanted| wanted.file.is_none()) {
        return Err(counted_only());
    }
    Ok(Located { study, wanted, server })
}

fn counted_only() -> Failure {
    Failure::not_found(
        "the archive knows this from a table and holds no files of it; they are where the table \
         came from",
    )
}

/// A file that was looked at: it is the one that was ingested, and is the instance.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) wanted: Wanted,
    pub(super) syntax: String,
    /// Bytes as PS3.10.
    pub(super) length: u64,
}

/// Why a file is not handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lost {
    Vanished,
    Changed,
    Unreadable,
}

impl Lost {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Vanished => {
                "the file is no longer where it was ingested from; ask the archive's operator"
            }
            Self::Changed => {
                "the file changed since it was ingested and is not handed out before the archive's \
                 operator ingests it again"
            }
            Self::Unreadable => "the file cannot be read; ask the archive's operator",
        }
    }
}

impl Wanted {
    /// Opens the file, if it is still the one that was ingested and is this instance.
    pub(super) fn open(&self, study: &Uid) -> std::result::Result<Part10, Lost> {
        let kept = self.file.as_ref().ok_or(Lost::Vanished)?;
        let file: File =
            kept::open(&kept.folder, &kept.origin, kept.stamp).map_err(|gone| match gone {
                Gone::Vanished => Lost::Vanished,
                Gone::Changed => Lost::Changed,
                Gone::Unreadable => Lost::Unreadable,
            })?;
        let opened = Part10::open(file, kept.stamp.size).map_err(|_| Lost::Changed)?;
        let identity = opened.identity();
        let is_it = identity.instance == self.instance.uid.as_str()
            && identity.series == self.series.as_str()
            && identity.study == study.as_str();
        if is_it { Ok(opened) } else { Err(Lost::Changed) }
    }
}

/// The files of a target that can be handed out, and how many cannot.
pub(super) struct Files {
    pub(super) ready: Vec<Ready>,
    pub(super) lost: Vec<Lost>,
}

/// Looks at every file of the target, before anything is answered.
fn look(located: &Located) -> Result<Files> {
    let mut files = Files { ready: Vec::new(), lost: Vec::new() };
    for wanted in &located.wanted {
        match wanted.open(&located.study) {
            Ok(opened) => files.ready.push(Ready {
                wanted: wanted.clone(),
                syntax: opened.syntax().to_owned(),
                length: opened.length(),
            }),
            Err(lost) => files.lost.push(lost),
        }
    }
    match (files.ready.is_empty(), files.lost.first()) {
        (true, Some(lost)) => Err(Failure::gone(lost.words())),
        _ => Ok(files),
    }
}
