//! The journal: sources, runs, and what became of each input.

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::changes::{Kind, put_changes, take};
use super::schema::{input, run, source, study};
use super::{Db, on_backend};

/// What became of an input.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum InputState {
    /// Its content is in the store.
    Ingested,
    /// It cannot be used; the row says why.
    Quarantined,
    /// It is no DICOM.
    NotDicom,
    /// The last complete run did not find it any more; what it gave is kept.
    Vanished,
    /// To be read again whatever its stamp.
    Retry,
}

impl InputState {
    /// The code in the database.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Ingested => 0,
            Self::Quarantined => 1,
            Self::NotDicom => 2,
            Self::Vanished => 3,
            Self::Retry => 4,
        }
    }

    const fn of(code: i16) -> Self {
        match code {
            0 => Self::Ingested,
            1 => Self::Quarantined,
            2 => Self::NotDicom,
            3 => Self::Vanished,
            _ => Self::Retry,
        }
    }
}

/// A row of `source`.
#[derive(Clone, Debug, Eq, PartialEq, Queryable, serde::Serialize)]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct SourceRow {
    pub number: i64,
    pub kind: String,
    pub locator: String,
    pub name: String,
}

/// A row of `run`.
#[derive(Clone, Debug, Eq, PartialEq, Queryable)]
pub struct RunRow {
    /// The run's number.
    pub number: i64,
    /// The source that it read.
    pub source: i64,
    /// When it began, in microseconds since 1970-01-01T00:00:00Z.
    pub started: i64,
    /// When it ended; `None` while it goes on, or when it was killed.
    pub finished: Option<i64>,
    /// `running`, `done`, `stopped`, `failed`; `interrupted` when it was killed.
    pub state: String,
    /// The summary as JSON; empty while it goes on.
    pub summary: String,
}

/// A row of `input`.
#[derive(Clone, Debug, Eq, Insertable, PartialEq, Queryable, AsChangeset)]
#[diesel(table_name = input, treat_none_as_null = true)]
#[diesel(treat_none_as_default_value = false)]
pub struct InputRow {
    /// The source.
    pub source: i64,
    /// The input, relative to the source.
    pub origin: String,
    /// Size of its stamp.
    pub size: i64,
    /// Mark of its stamp.
    pub mark: i64,
    /// [`InputState::code`].
    pub state: i16,
    /// How many instances or rows it holds.
    pub inputs: i64,
    /// The series that its one instance belongs to.
    pub series: Option<i64>,
    /// The SOP instance that it is.
    pub sop: Option<String>,
    /// The run that settled it.
    pub run: i64,
    /// Why it is in quarantine: a code.
    pub code: Option<String>,
    /// Where in the data set.
    pub path: Option<String>,
    /// Where in the file: a byte offset, or a row.
    pub place: Option<i64>,
    /// In words.
    pub detail: Option<String>,
}

impl InputRow {
    /// What became of it.
    #[must_use]
    pub const fn what(&self) -> InputState {
        InputState::of(self.state)
    }
}

/// The source of that kind and locator, made if it is new. A new name is a change of each of its
/// studies: they are searched and selected by it.
///
/// # Errors
/// When the database fails.
pub fn put_source(db: &mut Db, kind: &str, locator: &str, name: &str) -> QueryResult<SourceRow> {
    let known: Option<SourceRow> = on_backend!(db, |c| source::table
        .filter(source::kind.eq(kind).and(source::locator.eq(locator)))
        .first(c)
        .optional())?;
    if let Some(mut row) = known {
        if !name.is_empty() && row.name != name {
            on_backend!(db, |c| diesel::update(source::table.find(row.number))
                .set(source::name.eq(name))
                .execute(c))?;
            let studies: Vec<i64> = on_backend!(db, |c| study::table
                .filter(study::source.eq(row.number))
                .select(study::number)
                .order(study::number)
                .load(c))?;
            let renamed: Vec<_> = studies.into_iter().map(|study| (Kind::Study, study)).collect();
            put_changes(db, &renamed)?;
            name.clone_into(&mut row.name);
        }
        return Ok(row);
    }
    let row = SourceRow {
        number: take(db, "source", 1)?,
        kind: kind.to_owned(),
        locator: locator.to_owned(),
        name: if name.is_empty() { locator.to_owned() } else { name.to_owned() },
    };
    on_backend!(db, |c| diesel::insert_into(source::table)
        .values((
            source::number.eq(row.number),
            source::kind.eq(&row.kind),
            source::locator.eq(&row.locator),
            source::name.eq(&row.name),
        ))
        .execute(c))?;
    Ok(row)
}

/// Every source.
///
/// # Errors
/// When the database fails.
pub fn list_sources(db: &mut Db) -> QueryResult<Vec<SourceRow>> {
    on_backend!(db, |c| source::table.order(source::number).load(c))
}

/// Begins a run. The caller holds the source's [`Lease`](super::Lease), so a run of it that is
/// still said to go on was killed.
///
/// # Errors
/// When the database fails.
pub fn put_run(db: &mut Db, of: i64, started: i64) -> QueryResult<i64> {
    on_backend!(db, |c| diesel::update(
        run::table.filter(run::source.eq(of).and(run::state.eq("running")))
    )
    .set(run::state.eq("interrupted"))
    .execute(c))?;
    let number = take(db, "run", 1)?;
    on_backend!(db, |c| diesel::insert_into(run::table)
        .values((
            run::number.eq(number),
            run::source.eq(of),
            run::started.eq(started),
            run::state.eq("running"),
            run::summary.eq(""),
        ))
        .execute(c))?;
    Ok(number)
}

/// Ends a run.
///
/// # Errors
/// When the database fails.
pub fn end_run(
    db: &mut Db,
    number: i64,
    finished: i64,
    state: &str,
    summary: &str,
) -> QueryResult<()> {
    on_backend!(db, |c| diesel::update(run::table.find(number))
        .set((run::finished.eq(finished), run::state.eq(state), run::summary.eq(summary)))
        .execute(c))
    .map(drop)
}

/// The latest runs of a source, the newest first.
///
/// # Errors
/// When the database fails.
pub fn list_runs(db: &mut Db, of: i64, limit: i64) -> QueryResult<Vec<RunRow>> {
    on_backend!(db, |c| run::table
        .filter(run::source.eq(of))
        .order(run::number.desc())
        .limit(limit)
        .load(c))
}

/// What the journal needs to know of each input of a source: origin, size, mark, state, inputs.
pub type Settled = (String, i64, i64, i16, i64);

/// Hands every input of a source to `each`, in chunks of the order of their origins.
///
/// # Errors
/// When the database fails.
pub fn scan_inputs(db: &mut Db, of: i64, mut each: impl FnMut(Settled)) -> QueryResult<()> {
    let mut after = String::new();
    loop {
        let rows: Vec<Settled> = on_backend!(db, |c| input::table
            .filter(input::source.eq(of).and(input::origin.gt(&after)))
            .order(input::origin)
            .limit(20_000)
            .select((input::origin, input::size, input::mark, input::state, input::inputs))
            .load(c))?;
        let Some(last) = rows.last() else { return Ok(()) };
        last.0.clone_into(&mut after);
        rows.into_iter().for_each(&mut each);
    }
}

/// Inputs by origin.
///
/// # Errors
/// When the database fails.
pub fn find_inputs(db: &mut Db, of: i64, origins: &[&str]) -> QueryResult<Vec<InputRow>> {
    super::archive::chunked(origins, |origins| {
        on_backend!(db, |c| input::table
            .filter(input::source.eq(of).and(input::origin.eq_any(origins)))
            .load(c))
    })
}

/// The inputs of a source that are one of these SOP instances and are still there.
///
/// # Errors
/// When the database fails.
pub fn find_inputs_of_instances(db: &mut Db, of: i64, uids: &[&str]) -> QueryResult<Vec<InputRow>> {
    super::archive::chunked(uids, |uids| {
        on_backend!(db, |c| input::table
            .filter(
                input::sop
                    .eq_any(uids)
                    .and(input::source.eq(of))
                    .and(input::state.eq(InputState::Ingested.code()))
            )
            .load(c))
    })
}

/// Forgets inputs.
///
/// # Errors
/// When the database fails.
pub fn remove_inputs(db: &mut Db, of: i64, origins: &[&str]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for origins in origins.chunks(super::CHUNK) {
            diesel::delete(
                input::table.filter(input::source.eq(of).and(input::origin.eq_any(origins))),
            )
            .execute(c)?;
        }
        Ok(())
    })
}

/// Inserts inputs that are new.
///
/// # Errors
/// When one of them exists, or the database fails.
pub fn put_new_inputs(db: &mut Db, rows: &[InputRow]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for rows in rows.chunks(1_000) {
            diesel::insert_into(input::table).values(rows).execute(c)?;
        }
        Ok(())
    })
}

/// Stores what became of inputs, replacing what an earlier run knew of each; an origin stands once
/// among the rows. Many rows are one statement: an upsert of a row alone is parsed anew each time.
///
/// # Errors
/// When the database fails.
pub fn put_inputs(db: &mut Db, rows: &[InputRow]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for rows in rows.chunks(super::CHUNK) {
            diesel::insert_into(input::table)
                .values(rows)
                .on_conflict((input::source, input::origin))
                .do_update()
                .set((
                    input::size.eq(excluded(input::size)),
                    input::mark.eq(excluded(input::mark)),
                    input::state.eq(excluded(input::state)),
                    input::inputs.eq(excluded(input::inputs)),
                    input::series.eq(excluded(input::series)),
                    input::sop.eq(excluded(input::sop)),
                    input::run.eq(excluded(input::run)),
                    input::code.eq(excluded(input::code)),
                    input::path.eq(excluded(input::path)),
                    input::place.eq(excluded(input::place)),
                    input::detail.eq(excluded(input::detail)),
                ))
                .execute(c)?;
        }
        Ok(())
    })
}

/// Sets what became of inputs.
///
/// # Errors
/// When the database fails.
pub fn put_input_state(
    db: &mut Db,
    of: i64,
    origins: &[&str],
    state: InputState,
) -> QueryResult<()> {
    on_backend!(db, |c| {
        for origins in origins.chunks(super::CHUNK) {
            diesel::update(
                input::table.filter(input::source.eq(of).and(input::origin.eq_any(origins))),
            )
            .set(input::state.eq(state.code()))
            .execute(c)?;
        }
        Ok(())
    })
}

/// Marks every quarantined input of a source to be read again, and what it is a part of
/// (`studies/1.2` of `studies/1.2/series/1.3`), for a part is read with its whole; tells how many
/// were quarantined.
///
/// # Errors
/// When the database fails.
pub fn retry_quarantined(db: &mut Db, of: i64) -> QueryResult<usize> {
    let quarantined: Vec<String> = on_backend!(db, |c| input::table
        .filter(input::source.eq(of).and(input::state.eq(InputState::Quarantined.code())))
        .select(input::origin)
        .load(c))?;
    let mut marked: Vec<&str> = quarantined.iter().map(String::as_str).collect();
    for origin in &quarantined {
        marked.extend(origin.match_indices('/').filter_map(|(at, _)| origin.get(..at)));
    }
    marked.sort_unstable();
    marked.dedup();
    put_input_state(db, of, &marked, InputState::Retry)?;
    Ok(quarantined.len())
}

/// The quarantined inputs, page by page: those after `(source, origin)`.
///
/// # Errors
/// When the database fails.
pub fn list_quarantined(db: &mut Db, after: (i64, &str), limit: i64) -> QueryResult<Vec<InputRow>> {
    on_backend!(db, |c| input::table
        .filter(input::state.eq(InputState::Quarantined.code()))
        .filter(
            input::source.gt(after.0).or(input::source.eq(after.0).and(input::origin.gt(after.1)))
        )
        .order((input::source, input::origin))
        .limit(limit)
        .load(c))
}

/// The inputs that a run put into quarantine, page by page: those after `origin`.
///
/// # Errors
/// When the database fails.
pub fn list_quarantined_by(
    db: &mut Db,
    run: i64,
    of: i64,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<InputRow>> {
    on_backend!(db, |c| input::table
        .filter(input::state.eq(InputState::Quarantined.code()))
        .filter(input::source.eq(of).and(input::run.eq(run)).and(input::origin.gt(after)))
        .order(input::origin)
        .limit(limit)
        .load(c))
}

/// How many inputs of a source are in each state: `(state, inputs)`.
///
/// # Errors
/// When the database fails.
pub fn count_inputs(db: &mut Db, of: i64) -> QueryResult<Vec<(InputState, i64)>> {
    let rows: Vec<(i16, i64)> = on_backend!(db, |c| input::table
        .filter(input::source.eq(of))
        .group_by(input::state)
        .select((input::state, diesel::dsl::count_star()))
        .order(input::state)
        .load(c))?;
    Ok(rows.into_iter().map(|(state, count)| (InputState::of(state), count)).collect())
}
