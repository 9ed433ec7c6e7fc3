//! The node's own keys, in the data folder, readable by its owner only.
//!
//! The database remembers a fingerprint of each, so that a server that was given another key, or
//! none, does not go on and hand out other ids and tokens for the same archive.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::store::{self, Store, meta};

/// The node's own keys.
#[derive(Clone)]
pub struct Keys {
    /// Signs tokens.
    pub token: Vec<u8>,
    /// Logical ids, of care and of secondary use, and mapped identities are made with it.
    pub pseudonym: Vec<u8>,
}

const TOKEN: &str = "token";
const PSEUDONYM: &str = "pseudonym";

fn file(data: &Path, name: &str) -> PathBuf {
    data.join("keys").join(name).with_extension("key")
}

impl Keys {
    /// Reads the keys of the data folder, and makes them for a store that has known none.
    ///
    /// # Errors
    /// When the folder cannot be read or written, a key is damaged, or a key is missing or is
    /// not the one that the store was made with.
    pub fn open(data: &Path, store: &Store) -> Result<Self> {
        Ok(Self { token: key(data, TOKEN, store)?, pseudonym: key(data, PSEUDONYM, store)? })
    }

    /// Reads the keys of the data folder; makes nothing.
    ///
    /// # Errors
    /// When one of them is missing or damaged.
    pub fn find(data: &Path) -> Result<Self> {
        let key = |name: &str| {
            read(&file(data, name))?.ok_or_else(|| {
                Error::Configuration(format!(
                    "no node in `{}`: it has no keys; give its folder with `--data`, or run \
                     `vesalius migrate` or `vesalius ingest` to make one",
                    data.display()
                ))
            })
        };
        Ok(Self { token: key(TOKEN)?, pseudonym: key(PSEUDONYM)? })
    }

    /// Whether they are those that the store was made with, as far as it knows any.
    ///
    /// # Errors
    /// When one of them is not, or the store does not answer.
    pub fn check(&self, data: &Path, store: &Store) -> Result<()> {
        for (name, key) in [(TOKEN, &self.token), (PSEUDONYM, &self.pseudonym)] {
            let known = store.read(|db| meta::find_meta(db, &meta_name(name)))?;
            if known.is_some_and(|known| known != fingerprint(key)) {
                return Err(refused(&file(data, name), "it is not"));
            }
        }
        Ok(())
    }

    /// Replaces the key that signs tokens: every token that was minted before ends.
    ///
    /// # Errors
    /// When the folder or the store cannot be written.
    pub fn renew_token(&mut self, data: &Path, store: &Store) -> Result<()> {
        let path = file(data, TOKEN);
        let beside = beside(&path)?;
        // The store first: between the two steps the node refuses to start, which is mended by
        // doing it again.
        let done = store
            .write(|db| meta::put_meta(db, &meta_name(TOKEN), &fingerprint(&beside.1)))
            .and_then(|()| {
                std::fs::rename(&beside.0, &path).map_err(|failure| fault(&path, &failure))
            });
        if done.is_err() {
            let _ = std::fs::remove_file(&beside.0);
        }
        done?;
        self.token = beside.1;
        Ok(())
    }
}

fn meta_name(name: &str) -> String {
    format!("key:{name}")
}

/// Tells keys apart and tells nothing of them.
fn fingerprint(key: &[u8]) -> String {
    Sha256::digest(key)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(data: &Path, name: &str, store: &Store) -> Result<Vec<u8>> {
    let path = file(data, name);
    let known = store.read(|db| meta::find_meta(db, &meta_name(name)))?;
    let key = match (read(&path)?, &known) {
        (Some(key), _) => key,
        (None, None) => make(&path)?,
        (None, Some(_)) => return Err(refused(&path, "missing, and it is")),
    };
    let mine = fingerprint(&key);
    let known = match known {
        Some(known) => known,
        None => store.write(|db| meta::put_new_meta(db, &meta_name(name), &mine))?,
    };
    if known == mine { Ok(key) } else { Err(refused(&path, "it is not")) }
}

fn refused(path: &Path, what: &str) -> Error {
    Error::Configuration(format!(
        "{}: {what} the key that the database was made with; copy `keys/` from the node that made \
         it, or from the backup: all servers of one database share their keys",
        path.display()
    ))
}

fn fault(path: &Path, failure: &dyn std::fmt::Display) -> Error {
    Error::Configuration(format!(
        "{}: {failure}; the data folder must belong to the user who runs vesalius",
        path.display()
    ))
}

const LENGTH: usize = 32;

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) if bytes.len() == LENGTH => Ok(Some(bytes)),
        Ok(_) => Err(fault(path, &"the key is damaged; restore it from a backup")),
        Err(failure) if failure.kind() == ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(fault(path, &failure)),
    }
}

/// A new key, whole and durable in a file beside its place.
fn beside(path: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let failed = |failure: &dyn std::fmt::Display| fault(path, failure);
    if let Some(folder) = path.parent() {
        store::create_private(folder).map_err(|failure| failed(&failure))?;
    }
    let mut bytes = vec![0_u8; LENGTH];
    let mut name = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(|failure| failed(&failure))?;
    getrandom::fill(&mut name).map_err(|failure| failed(&failure))?;
    let beside = path.with_extension(format!("{:016x}", u64::from_be_bytes(name)));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .map_err(|failure| failed(&failure))?;
    Ok((beside, bytes))
}

fn make(path: &Path) -> Result<Vec<u8>> {
    // Written beside and linked, so that two processes that start together agree on one key and
    // neither ever reads half of it.
    let (beside, bytes) = beside(path)?;
    let linked = match std::fs::hard_link(&beside, path) {
        Err(failure) if failure.kind() == ErrorKind::AlreadyExists => read(path),
        other => other.map(|()| Some(bytes)).map_err(|failure| fault(path, &failure)),
    };
    let _ = std::fs::remove_file(&beside);
    linked?.ok_or_else(|| fault(path, &"it went away while it was read"))
}

#[cfg(test)]
mod tests {
    use super::{Keys, Store};

    #[test]
    fn a_database_stays_with_the_keys_it_was_made_with() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(first.path(), "").unwrap();
        let keys = Keys::open(first.path(), &store).unwrap();
        let again = Keys::open(first.path(), &store).unwrap();
        assert_eq!((again.token, again.pseudonym), (keys.token, keys.pseudonym.clone()));

        // A second server without keys makes none of its own, and one with others is refused.
        let refused = |data: &std::path::Path| match Keys::open(data, &store) {
            Ok(_) => panic!("other keys were taken"),
            Err(failure) => failure.to_string(),
        };
        assert!(refused(second.path()).contains("copy `keys/`"));
        assert!(!second.path().join("keys").exists());
        let other = Store::open(second.path(), "").unwrap();
        Keys::open(second.path(), &other).unwrap();
        assert!(refused(second.path()).contains("it is not the key"));

        // So is a node that lost one.
        std::fs::remove_file(first.path().join("keys/pseudonym.key")).unwrap();
        assert!(refused(first.path()).contains("missing"));
        assert!(!first.path().join("keys/pseudonym.key").exists());
    }

    #[test]
    fn the_key_of_tokens_can_be_renewed() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path(), "").unwrap();
        let mut keys = Keys::open(data.path(), &store).unwrap();
        let before = keys.clone();
        keys.renew_token(data.path(), &store).unwrap();
        let after = Keys::open(data.path(), &store).unwrap();
        assert_eq!(after.token, keys.token);
        assert_ne!(after.token, before.token);
        assert_eq!(after.pseudonym, before.pseudonym);
    }

    #[test]
    fn looking_for_keys_makes_none() {
        let data = tempfile::tempdir().unwrap();
        let typo = data.path().join("typo");
        let refused = Keys::find(&typo).map(drop).unwrap_err().to_string();
        assert!(refused.contains("no node in"), "{refused}");
        assert!(!typo.exists());
    }
}
