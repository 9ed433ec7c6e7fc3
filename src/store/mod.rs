//! The store: the only truth. SQLite embedded by default, PostgreSQL by URL; the same tables, the
//! same functions, the same tests.
//!
//! In: rows from [`crate::ingest`] and the catalogue. Out: rows, and the change feed that every
//! view catches up from. Every change takes the next number of the feed in its own transaction.
//! Absent: FHIR, RDF, HTTP, pixel data.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use diesel::QueryResult;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager as _};
use diesel::r2d2::{ConnectionManager, CustomizeConnection, HandleError, Pool, PooledConnection};
use diesel::{PgConnection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::{Error, Result};
pub use lock::Lease;

pub mod archive;
pub mod changes;
pub mod datasets;
pub mod descriptions;
pub mod drafts;
pub mod events;
pub mod files;
pub mod findings;
pub mod harvested;
pub mod journal;
mod lock;
pub mod meta;
pub mod read;
pub mod records;
pub mod reports;
pub(crate) mod schema;
pub mod subscriptions;
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
        /// The database file; locks lie beside it.
        path: PathBuf,
    },
    Postgres {
        pool: Pool<ConnectionManager<PgConnection>>,
        url: String,
    },
}

/// The store, shared by every thread: one writer and several readers on SQLite, a pool on
/// PostgreSQL.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
    /// How often this process began or ended a write.
    writes: Arc<AtomicU64>,
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

/// What a message may show of a database's URL: no user, no password.
fn shown(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else { return url };
    // A password may hold `@` and `?`, and may stand among the parameters.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if rest.contains("password=") { "postgres://…" } else { host.split('?').next().unwrap_or("") }
}

/// The words of a failure without what stands before the last `@` of the URL: the database's
/// library repeats pieces of a URL that it cannot read.
fn without_secret(url: &str, failure: &dyn std::fmt::Display) -> String {
    let mut words = failure.to_string();
    let secret = url.rsplit_once('@').and_then(|(head, _)| Some(head.split_once("://")?.1));
    let secret = secret.and_then(|user| Some(user.split_once(':')?.1)).unwrap_or("");
    for piece in secret.split(['@', '/', ':', '?', '#', '%']).filter(|piece| piece.len() > 2) {
        words = words.replace(piece, "…");
    }
    words
}

fn unreachable(shown: &str, failure: &dyn std::fmt::Display) -> Error {
    Error::Store(format!(
        "cannot open the database `{shown}`: {failure}; check --database-url, the folder's \
         permissions and free space"
    ))
}

fn silent(got: Result<Db, impl std::fmt::Display>) -> Result<Db> {
    got.map_err(|failure| Error::Store(format!("the database does not answer: {failure}")))
}

/// Tells the log why a connection failed, without what the URL keeps secret.
#[derive(Debug)]
struct Discreet(String);

impl HandleError<diesel::r2d2::Error> for Discreet {
    fn handle_error(&self, failure: diesel::r2d2::Error) {
        let failure = without_secret(&self.0, &failure);
        tracing::warn!(%failure, "a connection to the database failed");
    }
}

/// Where the database is.
enum Place {
    Sqlite(PathBuf),
    Postgres,
}

/// Whether the file is new, empty, or begins as SQLite's do (file format, section 1.3).
fn is_database(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = [0; 16];
    let Ok(mut file) = std::fs::File::open(path) else { return true };
    let is_empty = file.metadata().is_ok_and(|stat| stat.len() == 0);
    is_empty || (file.read_exact(&mut head).is_ok() && head == *b"SQLite format 3\0")
}

fn place(data: &Path, url: &str) -> Result<Place> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Place::Postgres);
    }
    if url.is_empty() {
        return Ok(Place::Sqlite(data.join("vesalius.db")));
    }
    match url.strip_prefix("sqlite://") {
        Some(path) => Ok(Place::Sqlite(path.into())),
        None => {
            // The scheme only: what is no URL that this version reads may hold a password.
            let scheme = url.split_once("://").map_or("…", |(scheme, _)| scheme);
            Err(Error::Configuration(format!(
                "`database.url`: `{scheme}` is neither `postgres://…` nor `sqlite://…`; leave it \
                 empty for the embedded database"
            )))
        }
    }
}

/// Makes a folder, and those above it, for its owner only.
///
/// # Errors
/// When it cannot be made.
pub fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl Store {
    /// Opens the store and brings its tables to this version's.
    ///
    /// `url` is `postgres://…`, or empty for the SQLite database in `data`.
    ///
    /// # Errors
    /// When the database cannot be opened, or belongs to a newer version.
    pub fn open(data: &Path, url: &str) -> Result<Self> {
        let place = place(data, url)?;
        create_private(data)
            .map_err(|failure| unreachable(&data.display().to_string(), &failure))?;
        // Two processes that start together must not both make the tables. Held from before the
        // first connection, because its change of the journal mode does not wait its turn.
        let _turn = match &place {
            Place::Sqlite(path) => Some(
                lock::wait(path)
                    .map_err(|failure| unreachable(&path.display().to_string(), &failure))?,
            ),
            Place::Postgres => None,
        };
        let store = Self::connect(place, url)?;
        store.migrate()?;
        Ok(store)
    }

    /// Opens a store that is there, as it is: makes no folder, no file, no table.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn find(data: &Path, url: &str) -> Result<Self> {
        let place = place(data, url)?;
        if let Place::Sqlite(path) = &place
            && !path.exists()
        {
            return Err(Error::Configuration(format!(
                "no database in `{}`; `vesalius migrate` makes one, and so do `ingest` and `serve`",
                path.display()
            )));
        }
        Self::connect(place, url)
    }

    /// Whether the database is embedded and its file is not there, or empty.
    ///
    /// # Errors
    /// When the URL is none of a database.
    pub fn is_missing(data: &Path, url: &str) -> Result<bool> {
        Ok(match place(data, url)? {
            Place::Postgres => false,
            Place::Sqlite(path) => std::fs::metadata(path).map_or(true, |stat| stat.len() == 0),
        })
    }

    fn connect(place: Place, url: &str) -> Result<Self> {
        let pools = match place {
            Place::Postgres => {
                let pool = Pool::builder()
                    .max_size(12)
                    .min_idle(Some(1))
                    .connection_timeout(Duration::from_secs(10))
                    .error_handler(Box::new(Discreet(url.to_owned())))
                    .build(ConnectionManager::<PgConnection>::new(url))
                    .map_err(|failure| unreachable(shown(url), &without_secret(url, &failure)))?;
                Pools::Postgres { pool, url: url.to_owned() }
            }
            Place::Sqlite(path) => {
                let name = path.display().to_string();
                if !is_database(&path) {
                    return Err(Error::Configuration(format!(
                        "{name}: is no SQLite database; restore it from a backup"
                    )));
                }
                let pool = |size: u32, pragmas: &'static str| {
                    Pool::builder()
                        .max_size(size)
                        .min_idle(Some(1))
                        .connection_timeout(Duration::from_secs(30))
                        // A file does not hang up between two uses.
                        .test_on_check_out(false)
                        .connection_customizer(Box::new(Tuned { pragmas }))
                        .build(ConnectionManager::<SqliteConnection>::new(&name))
                        .map_err(|failure| unreachable(&name, &failure))
                };
                Pools::Sqlite { writer: pool(1, WRITER)?, readers: pool(8, READER)?, path }
            }
        };
        Ok(Self { pools, writes: Arc::default() })
    }

    /// Takes the right to read a source into the store; nobody else has it until it is dropped.
    ///
    /// # Errors
    /// When another run has it.
    pub fn lease(&self, source: i64) -> Result<Lease> {
        let lease = match &self.pools {
            Pools::Sqlite { path, .. } => lock::take(path, source)
                .map_err(|failure| unreachable(&path.display().to_string(), &failure))?,
            Pools::Postgres { url, .. } => lock::take_postgres(url, source)
                .map_err(|failure| unreachable(shown(url), &without_secret(url, &failure)))?,
        };
        lease.ok_or_else(|| {
            Error::Internal(
                "another run reads this source now; wait until it ends, or stop it".to_owned(),
            )
        })
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
        // Datasets of a database that is older than the log of their events.
        if self.read(events::is_behind)? {
            self.write(events::put_missing)?;
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
            Pools::Postgres { pool, .. } => pool.get().map(Db::Postgres),
        })
    }

    /// A connection that reads.
    ///
    /// # Errors
    /// When the database does not answer in time.
    pub fn reader(&self) -> Result<Db> {
        silent(match &self.pools {
            Pools::Sqlite { readers, .. } => readers.get().map(Db::Sqlite),
            Pools::Postgres { pool, .. } => pool.get().map(Db::Postgres),
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
        let _writing = self.writing();
        Ok(self.writer()?.transaction(work)?)
    }

    /// A number that is another one once this process began to write, and again when it has: while it
    /// stays, nothing that was read since has been changed from here.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    fn writing(&self) -> Writing<'_> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Writing(&self.writes)
    }

    /// Writes in one transaction, of which nothing is stored when `work` refuses.
    ///
    /// # Errors
    /// What `work` refused with, or the database's failure.
    pub fn write_unless<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut refused = None;
        let _writing = self.writing();
        let done = self.writer()?.transaction(|db| {
            work(db).map_err(|failure| {
                refused = Some(failure);
                diesel::result::Error::RollbackTransaction
            })
        });
        match (done, refused) {
            (_, Some(failure)) => Err(failure),
            (done, None) => Ok(done.map_err(Error::from)?),
        }
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

/// Counts the end of a write, by whatever way it came.
struct Writing<'s>(&'s AtomicU64);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
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
pub const KNOWN_MIGRATIONS: usize = 12;

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Store, shown, without_secret};

    #[test]
    fn no_message_shows_a_password() {
        for url in [
            "postgres://u:secret@host/db",
            "postgres://u:se@secret@host/db",
            "postgres://u:x?secret@host/db",
            "postgres://host/db?user=u&password=secret",
            "postgres://u:other@host/db?password=a@secret",
        ] {
            assert!(!shown(url).contains("secret"), "{}", shown(url));
        }
        assert_eq!(shown("postgres://u:p@ss@host:5432/db?sslmode=disable"), "host:5432/db");
        let told = "invalid integer value \"secret\" for connection option \"port\"";
        assert!(!without_secret("postgres://u:a/b:secret@host/db", &told).contains("secret"));
        for url in ["mysql://u:secret@host/db", "u:secret@host/db"] {
            let refused = Store::open(Path::new(""), url).map(drop).unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
