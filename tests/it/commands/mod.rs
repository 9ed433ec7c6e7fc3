//! The command line from outside: what it leaves on the disk, and for whom.

mod clinical;
mod fhir;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn vesalius(data: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vesalius"))
        .arg("--data")
        .arg(data)
        .args(words)
        .env_remove("VESALIUS_DATABASE_URL")
        .output()
        .unwrap()
}

#[test]
fn looking_at_a_folder_that_is_no_node_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let typo = dir.path().join("typo");
    let token = vesalius(&typo, &["token", "--role", "imaging-it"]);
    assert_eq!(token.status.code(), Some(2));
    let told = String::from_utf8(token.stderr).unwrap();
    assert!(told.contains("no node in"), "{told}");
    assert!(!typo.exists());
    let doctor = vesalius(&typo, &["doctor"]);
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert!(told.contains("no node in"), "{told}");
    assert!(!typo.exists());
}

#[test]
fn what_a_node_keeps_is_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("node");
    assert!(vesalius(&data, &["migrate"]).status.success());
    let mut entries = vec![data.clone()];
    while let Some(entry) = entries.pop() {
        let mode = std::fs::metadata(&entry).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has {mode:o}", entry.display());
        if entry.is_dir() {
            entries.extend(std::fs::read_dir(&entry).unwrap().map(|found| found.unwrap().path()));
        }
    }
    let advice = "can be read by other users";
    let doctor = |data| String::from_utf8(vesalius(data, &["doctor"]).stdout).unwrap();
    assert!(!doctor(&data).contains(advice));
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(doctor(&data).contains(advice));
}

#[test]
fn a_node_with_a_lost_or_a_replaced_key_does_not_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("node");
    assert!(vesalius(&data, &["migrate"]).status.success());
    let renewed = vesalius(&data, &["token", "--role", "admin", "--renew-key"]);
    assert!(renewed.status.success(), "{renewed:?}");
    assert!(vesalius(&data, &["count"]).status.success());
    let key = data.join("keys/pseudonym.key");
    std::fs::write(&key, [1; 32]).unwrap();
    for words in [["count"], ["doctor"]] {
        let refused = vesalius(&data, &words);
        assert!(!refused.status.success());
        let told = [refused.stdout, refused.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains("copy `keys/`"), "{told}");
    }
    std::fs::remove_file(&key).unwrap();
    assert!(!vesalius(&data, &["count"]).status.success());
    assert!(!key.exists(), "a lost key was replaced without a word");
}

#[test]
fn an_index_that_was_made_anew_is_kept_for_the_next_command() {
    let dir = tempfile::tempdir().unwrap();
    let (data, archive) = (dir.path().join("node"), dir.path().join("archive"));
    vesalius::sample::write(&archive, 2, 1).unwrap();
    let folder = archive.to_str().unwrap();
    assert!(vesalius(&data, &["ingest", "folder", folder]).status.success());
    let index = data.join("index.bin");
    std::fs::remove_file(&index).unwrap();
    assert!(vesalius(&data, &["count"]).status.success());
    assert!(index.exists());
}
