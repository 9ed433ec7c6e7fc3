//! The store: the only truth. SQLite embedded by default, PostgreSQL by URL; the same tables, the
//! same functions, the same tests.
//!
//! In: rows from [`crate::ingest`] and the catalogue. Out: rows, and the change feed that every
//! view catches up from. Every change takes the next number of the feed in its own transaction.
//! Absent: FHIR, RDF, HTTP, pixel data.

use std::path::Path;
use std::time::Duration;

pub use diesel::QueryResult;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager as _};
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel::{PgConnection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::{Error, Result};

pub mod archive;
pub mod changes;
pub mod datasets;
pub mod findings;
pub mod journal;
pub mod read;
pub(crate) mod schema;
pub mod verify;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// A connection to either database.
#[allow(missing_docs, reason = "the variants name the database")]
pub enum Db {
    Sqlite(PooledConnection<ConnectionManager<SqliteConnection>>),
    Postgres(PooledConnection<ConnectionManager<PgConnection>>),
}

impl From<diesel::result::Error> for Error {
    fn from(failure: diesel::result::Error) -> Self {
        Self::Store(failure.to_string())
    }
}

/// The failure of a write whose values contradict each other.
pub(crate) fn conflict(what: &str) -> diesel::result::Error {
    diesel::result::Error::SerializationError(what.to_owned().into())
}

/// Runs one diesel expression on whichever database the connection speaks to: diesel types a
/// query by its backend, so what both can do is compiled twice.
macro_rules! on_backend {
    ($db:expr, |$conn:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite(pooled) => {
                let $conn: &mut ::diesel::SqliteConnection = &mut *pooled;
                $body
            }
            $crate::store::Db::Postgres(pooled) => {
                let $conn: &mut ::diesel::PgConnection = &mut *pooled;
                $body
            }
        }
    };
}
pub(crate) use on_backend;

/// How many values go into one `IN (…)`: far below the limit of both databases, and one
/// statement shape per list length keeps the statement caches small.
pub(crate) const CHUNK: usize = 500;

impl Db {
    /// Runs `work` in one transaction: all of it is stored, or nothing.
    ///
    /// # Errors
    /// What `work` returned, or the failure to commit.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> QueryResult<T>,
    ) -> QueryResult<T> {
        self.begin("BEGIN IMMEDIATE", "BEGIN")?;
        match work(self) {
            Ok(value) => {
                on_backend!(self, |c| AnsiTransactionManager::commit_transaction(c))?;
                Ok(value)
            }
            Err(failure) => {
                // The first failure is the one to report; a connection that cannot roll back
                // is discarded by the pool.
                let _ = on_backend!(self, |c| AnsiTransactionManager::rollback_transaction(c));
                Err(failure)
            }
        }
    }

    /// A transaction that sees one state of the store however many statements it reads with.
    ///
    /// # Errors
    /// What `work` returned, or the failure to begin.
    pub fn snapshot<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> QueryResult<T>,
    ) -> QueryResult<T> {
        self.begin("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let answer = work(self);
        let _ = on_backend!(self, |c| AnsiTransactionManager::commit_transaction(c));
        answer
    }

    /// Begins through diesel's own account of transactions, because diesel nests savepoints of
    /// its own around inserts of many rows.
    fn begin(&mut self, sqlite: &str, postgres: &str) -> QueryResult<()> {
        match self {
            Self::Sqlite(conn) => {
                AnsiTransactionManager::begin_transaction_sql(&mut **conn, sqlite)
            }
            Self::Postgres(conn) => {
                AnsiTransactionManager::begin_transaction_sql(&mut **conn, postgres)
            }
        }
    }

    /// Name and version of the database, for `doctor`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn version(&mut self) -> QueryResult<String> {
        use diesel::RunQueryDsl as _;
        let sql = match self {
            Self::Sqlite(_) => "SELECT 'SQLite ' || sqlite_version() AS version",
            Self::Postgres(_) => "SELECT version() AS version",
        };
        on_backend!(self, |c| diesel::sql_query(sql).get_result::<Version>(c))
            .map(|row| row.version)
    }
}

#[derive(diesel::QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

#[derive(Clone)]
enum Pools {
    Sqlite {
        writer: Pool<ConnectionManager<SqliteConnection>>,
        readers: Pool<ConnectionManager<SqliteConnection>>,
    },
    Postgres(Pool<ConnectionManager<PgConnection>>),
}

/// The store, shared by every thread: one writer and several readers on SQLite, a pool on
/// PostgreSQL.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
}

#[derive(Debug)]
struct Tuned {
    pragmas: &'static str,
}

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Tuned {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        conn.batch_execute(self.pragmas).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// `synchronous=FULL`: a commit that was reported survives a power cut, not only a kill.
const WRITER: &str = "PRAGMA busy_timeout=30000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
    PRAGMA cache_size=-131072; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=8000;";
const READER: &str = "PRAGMA busy_timeout=30000; PRAGMA query_only=1; PRAGMA cache_size=-16384; \
    PRAGMA mmap_size=134217728; PRAGMA temp_store=MEMORY;";

fn unreachable(url: &str, failure: &dyn std::fmt::Display) -> Error {
    // The password, if the URL has one, stays out of messages and logs.
    let shown = url.split_once('@').map_or(url, |(_, rest)| rest);
    Error::Store(format!(
        "cannot open the database `{shown}`: {failure}; check --database-url, the folder's \
         permissions and free space"
    ))
}

fn silent(got: Result<Db, impl std::fmt::Display>) -> Result<Db> {
    got.map_err(|failure| Error::Store(format!("the database does not answer: {failure}")))
}

impl Store {
    /// Opens the store and brings its tables to this version's.
    ///
    /// `url` is `postgres://…`, or empty for the SQLite database in `data`.
    ///
    /// # Errors
    /// When the database cannot be opened, or belongs to a newer version.
    pub fn open(data: &Path, url: &str) -> Result<Self> {
        let pools = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pool = Pool::builder()
                .max_size(12)
                .min_idle(Some(1))
                .connection_timeout(Duration::from_secs(10))
                .build(ConnectionManager::<PgConnection>::new(url))
                .map_err(|failure| unreachable(url, &failure))?;
            Pools::Postgres(pool)
        } else if url.is_empty() || url.starts_with("sqlite://") {
            std::fs::create_dir_all(data)
                .map_err(|failure| unreachable(&data.display().to_string(), &failure))?;
            let path = match url.strip_prefix("sqlite://") {
                Some(path) => path.to_owned(),
                None => data.join("vesalius.db").display().to_string(),
            };
            let pool = |size: u32, pragmas: &'static str| {
                Pool::builder()
                    .max_size(size)
                    .min_idle(Some(1))
                    .connection_timeout(Duration::from_secs(30))
                    .connection_customizer(Box::new(Tuned { pragmas }))
                    .build(ConnectionManager::<SqliteConnection>::new(&path))
                    .map_err(|failure| unreachable(&path, &failure))
            };
            Pools::Sqlite { writer: pool(1, WRITER)?, readers: pool(8, READER)? }
        } else {
            return Err(Error::Configuration(format!(
                "`database.url`: `{url}` is neither `postgres://…` nor `sqlite://…`; leave it \
                 empty for the embedded database"
            )));
        };
        let store = Self { pools };
        store.migrate()?;
        Ok(store)
    }

    fn migrate(&self) -> Result<()> {
        let failed = |failure: Box<dyn std::error::Error + Send + Sync>| {
            Error::Store(format!("the database could not be brought to this version: {failure}"))
        };
        match self.writer()? {
            Db::Sqlite(mut conn) => {
                refuse_newer(
                    conn.applied_migrations().map_err(failed)?.len(),
                    "migrations/sqlite",
                )?;
                conn.run_pending_migrations(SQLITE).map_err(failed)?;
            }
            Db::Postgres(mut conn) => {
                // Two processes that start together must not both migrate.
                conn.batch_execute("SELECT pg_advisory_lock(8461)").map_err(Error::from)?;
                let done = conn
                    .applied_migrations()
                    .map_err(failed)
                    .and_then(|applied| refuse_newer(applied.len(), "migrations/postgres"))
                    .and_then(|()| conn.run_pending_migrations(POSTGRES).map(drop).map_err(failed));
                conn.batch_execute("SELECT pg_advisory_unlock(8461)").map_err(Error::from)?;
                done?;
            }
        }
        Ok(())
    }

    /// The connection that writes; on SQLite there is one, and this waits for it.
    ///
    /// # Errors
    /// When the database does not answer in time.
    pub fn writer(&self) -> Result<Db> {
        silent(match &self.pools {
            Pools::Sqlite { writer, .. } => writer.get().map(Db::Sqlite),
            Pools::Postgres(pool) => pool.get().map(Db::Postgres),
        })
    }

    /// A connection that reads.
    ///
    /// # Errors
    /// When the database does not answer in time.
    pub fn reader(&self) -> Result<Db> {
        silent(match &self.pools {
            Pools::Sqlite { readers, .. } => readers.get().map(Db::Sqlite),
            Pools::Postgres(pool) => pool.get().map(Db::Postgres),
        })
    }

    /// Whether the database is the embedded one.
    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }

    /// Reads with a connection of the pool.
    ///
    /// # Errors
    /// When the database does not answer, or the read fails.
    pub fn read<T>(&self, work: impl FnOnce(&mut Db) -> QueryResult<T>) -> Result<T> {
        Ok(work(&mut self.reader()?)?)
    }

    /// Writes in one transaction.
    ///
    /// # Errors
    /// When the database does not answer, or the write fails; nothing of it is stored then.
    pub fn write<T>(&self, work: impl FnOnce(&mut Db) -> QueryResult<T>) -> Result<T> {
        Ok(self.writer()?.transaction(work)?)
    }

    /// Tells the database's planner about the tables after a large change.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn settle(&self) -> Result<()> {
        match self.writer()? {
            Db::Sqlite(mut conn) => {
                conn.batch_execute("PRAGMA optimize; PRAGMA wal_checkpoint(PASSIVE);")?;
            }
            Db::Postgres(mut conn) => conn.batch_execute("ANALYZE")?,
        }
        Ok(())
    }
}

fn refuse_newer(applied: usize, _folder: &str) -> Result<()> {
    let known = KNOWN_MIGRATIONS;
    if applied > known {
        return Err(Error::Store(format!(
            "the database was made by a newer version ({applied} migrations, this version knows \
             {known}); start that version, or restore a backup"
        )));
    }
    Ok(())
}

/// How many migrations this version has; a test counts the folders.
pub const KNOWN_MIGRATIONS: usize = 2;

/// Brings a database up, down and up again: for the test of the migrations themselves. Nothing
/// of what the tables held is left.
///
/// # Errors
/// When a migration fails.
pub fn migrate_up_and_down(data: &Path, url: &str) -> Result<()> {
    let failed =
        |failure: Box<dyn std::error::Error + Send + Sync>| Error::Store(failure.to_string());
    let store = Store::open(data, url)?;
    match store.writer()? {
        Db::Sqlite(mut conn) => {
            conn.revert_all_migrations(SQLITE).map_err(failed)?;
            conn.run_pending_migrations(SQLITE).map_err(failed)?;
        }
        Db::Postgres(mut conn) => {
            conn.revert_all_migrations(POSTGRES).map_err(failed)?;
            conn.run_pending_migrations(POSTGRES).map_err(failed)?;
        }
    }
    Ok(())
}
