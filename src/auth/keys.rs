//! The node's own keys, in the data folder, readable by its owner only.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// The node's own keys.
#[derive(Clone)]
pub struct Keys {
    /// Signs tokens.
    pub token: Vec<u8>,
    /// Maps identities for secondary use.
    pub pseudonym: Vec<u8>,
}

impl Keys {
    /// Reads the keys of the data folder; makes those that are missing.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or a key is damaged.
    pub fn open(data: &Path) -> Result<Self> {
        let folder = data.join("keys");
        std::fs::create_dir_all(&folder).map_err(|failure| fault(&folder, &failure))?;
        Ok(Self {
            token: key(&folder.join("token.key"))?,
            pseudonym: key(&folder.join("pseudonym.key"))?,
        })
    }
}

fn fault(path: &Path, failure: &dyn std::fmt::Display) -> Error {
    Error::Configuration(format!(
        "{}: {failure}; the data folder must belong to the user who runs vesalius",
        path.display()
    ))
}

const LENGTH: usize = 32;

fn key(path: &Path) -> Result<Vec<u8>> {
    match std::fs::read(path) {
        Ok(bytes) if bytes.len() == LENGTH => return Ok(bytes),
        Ok(_) => {
            return Err(fault(path, &"the key is damaged; restore it from a backup"));
        }
        Err(failure) if failure.kind() == ErrorKind::NotFound => {}
        Err(failure) => return Err(fault(path, &failure)),
    }
    let mut bytes = vec![0_u8; LENGTH];
    getrandom::fill(&mut bytes).map_err(|failure| fault(path, &failure))?;
    // Written beside and linked, so that two processes that start together agree on one key and
    // neither ever reads half of it.
    let beside = path.with_extension(format!("{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| match std::fs::hard_link(&beside, path) {
            Err(failure) if failure.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
    let _ = std::fs::remove_file(&beside);
    written.map_err(|failure| fault(path, &failure))?;
    std::fs::read(path).map_err(|failure| fault(path, &failure))
}
