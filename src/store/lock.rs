//! Locks between processes: who makes the tables, and who reads a source. Files beside an embedded
//! database, advisory locks on PostgreSQL. The system drops both with the process that held them,
//! however it ended.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use rustix::fs::{FlockOperation, flock};

/// The right to read one source into the store, until it is dropped.
#[allow(dead_code, reason = "held, never read")]
pub struct Lease(Held);

#[allow(dead_code, reason = "held, never read")]
enum Held {
    File(File),
    /// A connection of its own: the lock is the session's.
    Session(Box<PgConnection>),
}

fn beside(database: &Path, what: &str) -> std::io::Result<File> {
    let mut name = database.as_os_str().to_owned();
    name.push(what);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(PathBuf::from(name))
}

/// Waits for its turn to make the tables of an embedded database.
pub(super) fn wait(database: &Path) -> std::io::Result<File> {
    let file = beside(database, "-migrate.lock")?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// `None` while another run has it.
pub(super) fn take(database: &Path, source: i64) -> std::io::Result<Option<Lease>> {
    let file = beside(database, &format!("-source-{source}.lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lease(Held::File(file)))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// How long the server may take to notice that a killed run is gone.
const NOTICED: Duration = Duration::from_secs(2);

#[derive(diesel::QueryableByName)]
struct Taken {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    taken: bool,
}

/// `None` while another run has it.
pub(super) fn take_postgres(
    url: &str,
    source: i64,
) -> Result<Option<Lease>, Box<dyn std::error::Error + Send + Sync>> {
    let began = Instant::now();
    let mut session = PgConnection::establish(url)?;
    loop {
        let taken: Taken =
            diesel::sql_query("SELECT pg_try_advisory_lock(8462, CAST($1 AS INTEGER)) AS taken")
                .bind::<diesel::sql_types::BigInt, _>(source)
                .get_result(&mut session)?;
        if taken.taken {
            return Ok(Some(Lease(Held::Session(Box::new(session)))));
        }
        if began.elapsed() > NOTICED {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
