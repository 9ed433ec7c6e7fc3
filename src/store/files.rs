//! Where the bytes of instances are: files of a folder, or the server that a study came from.
//!
//! The journal knows: each file that was ingested is a row with its stamp and its SOP instance,
//! each study that a DICOMweb server gave is a row of that server.

use diesel::prelude::*;

use super::archive::chunked;
use super::journal::{InputState, SourceRow};
use super::schema::{input, source};
use super::{Db, on_backend};

/// A file that gave an instance.
#[derive(Clone, Debug, Eq, PartialEq, Queryable)]
pub struct FileRow {
    /// SOPInstanceUID.
    pub sop: String,
    /// The series that its instance belongs to, by the store's number.
    pub series: i64,
    /// The source's number.
    pub source: i64,
    /// The file, relative to the source.
    pub origin: String,
    /// Size of its stamp.
    pub size: i64,
    /// Mark of its stamp.
    pub mark: i64,
}

/// The files that gave these instances, and the folder of each source. An instance of which
/// several files are copies has several rows, in the order of sources and names.
///
/// # Errors
/// When the database fails.
pub fn list_files(db: &mut Db, sops: &[&str]) -> QueryResult<(Vec<FileRow>, Vec<SourceRow>)> {
    let folders: Vec<SourceRow> =
        on_backend!(db, |c| source::table.filter(source::kind.eq("folder")).load(c))?;
    let numbers: Vec<i64> = folders.iter().map(|row| row.number).collect();
    let mut rows: Vec<FileRow> = chunked(sops, |sops| {
        on_backend!(db, |c| input::table
            .filter(
                input::sop
                    .eq_any(sops)
                    .and(input::source.eq_any(&numbers))
                    .and(input::series.is_not_null())
                    .and(input::state.eq_any([
                        InputState::Ingested.code(),
                        // Whether it is there is for the file system to say.
                        InputState::Vanished.code(),
                    ]))
            )
            .select((
                input::sop.assume_not_null(),
                input::series.assume_not_null(),
                input::source,
                input::origin,
                input::size,
                input::mark,
            ))
            .load(c))
    })?;
    rows.sort_by(|a, b| (&a.sop, a.source, &a.origin).cmp(&(&b.sop, b.source, &b.origin)));
    Ok((rows, folders))
}

/// The DICOMweb servers that gave a study and still serve it, in the order of their numbers.
///
/// # Errors
/// When the database fails.
pub fn list_servers_of(db: &mut Db, study: &str) -> QueryResult<Vec<SourceRow>> {
    let mut servers: Vec<SourceRow> = on_backend!(db, |c| source::table
        .filter(source::kind.eq("dicomweb"))
        .order(source::number)
        .load(c))?;
    let numbers: Vec<i64> = servers.iter().map(|row| row.number).collect();
    let origin = format!("studies/{study}");
    let serving: Vec<i64> = on_backend!(db, |c| input::table
        .filter(
            input::source
                .eq_any(&numbers)
                .and(input::origin.eq(&origin))
                .and(input::state.eq(InputState::Ingested.code()))
        )
        .select(input::source)
        .load(c))?;
    servers.retain(|row| serving.contains(&row.number));
    Ok(servers)
}
