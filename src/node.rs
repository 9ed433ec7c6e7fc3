//! An open node: what every command works on, and the server too.
//!
//! In: a data folder and its configuration. Out: a [`Node`] whose store, keys and index belong
//! together, or why they do not. Absent: arguments of a command line, addresses of a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::Keys;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::mapping::Context;
use crate::store::Store;

/// Configuration, keys, store and index of one data folder.
pub struct Node {
    /// The configuration.
    pub config: Arc<Config>,
    /// The node's keys.
    pub keys: Keys,
    /// The truth.
    pub store: Arc<Store>,
    /// The index, as its file has it.
    pub index: Arc<Index>,
    /// Zone and identifier systems.
    pub context: Context,
    /// The folder with the steward's descriptions.
    pub descriptions: PathBuf,
    /// The folder for the files of exports.
    pub exports: PathBuf,
}

impl Node {
    /// Opens the data folder under a configuration.
    ///
    /// # Errors
    /// When the folder or the database is not usable.
    pub fn of(data: &Path, config: Config) -> Result<Self> {
        let index = data.join("index.bin");
        if Store::is_missing(data, &config.database.url)? && index.exists() {
            return Err(Error::Configuration(format!(
                "{}: the index of a node is there and its database is not; restore the database \
                 from a backup, or remove {} to begin anew",
                data.display(),
                index.display()
            )));
        }
        let store = Arc::new(Store::open(data, &config.database.url)?);
        let keys = Keys::open(data, &store)?;
        let context = Context::new(&config, &keys.pseudonym)?;
        let index = Arc::new(Index::open(Some(data), context.clone()));
        let descriptions = config.descriptions(data);
        let exports = data.join("exports");
        Ok(Self { config: Arc::new(config), keys, store, index, context, descriptions, exports })
    }

    /// Brings the index up to the store, and keeps what that cost in its file, so that the next
    /// command need not pay it again.
    ///
    /// # Errors
    /// When the store does not answer or the folder cannot be written.
    pub fn catch_up(&self) -> Result<()> {
        if self.index.catch_up(&self.store)?.changes > 0 {
            self.index.save()?;
        }
        Ok(())
    }
}

/// Microseconds since 1970-01-01T00:00:00Z, from the system's clock.
#[must_use]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
