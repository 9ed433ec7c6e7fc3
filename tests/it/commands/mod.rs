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
fn who_checks_a_catalogue_is_told_what_would_be_published_and_where_a_file_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("node");
    let folder = data.join("descriptions");
    assert!(vesalius(&data, &["migrate"]).status.success());
    std::fs::create_dir_all(&folder).unwrap();
    let config = "[organisation]\nname = \"Hospital (synthetic)\"\n\
                  page = \"https://hospital.example/\"\n[hdab]\nname = \"Body (synthetic)\"\n\
                  page = \"https://body.example/\"\n[archive]\nidentity = \"de-identified\"\n";
    std::fs::write(data.join("vesalius.toml"), config).unwrap();
    let archive = dir.path().join("archive").display().to_string();
    assert!(vesalius(&data, &["sample", &archive, "--studies", "12"]).status.success());
    assert!(vesalius(&data, &["ingest", "folder", &archive]).status.success());
    let samples = vesalius::catalogue::samples();
    let (_, text) = samples.iter().find(|(slug, _)| *slug == "prostate-mr").unwrap();
    // A sentence follows the steward's own, which need not end with a full stop.
    let text: String = text
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some(("description.en", _)) => "description.en = \"MR of synthetic persons\"\n".into(),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(folder.join("prostate-mr.toml"), &text).unwrap();
    std::fs::write(folder.join("broken.toml"), "title.en = \"no end\nx = 1\n").unwrap();
    let told = |words: &[&str]| String::from_utf8(vesalius(&data, words).stdout).unwrap();
    let check = told(&["catalogue", "check"]);
    assert!(check.contains("2 datasets: 1 would be published"), "{check}");
    assert!(check.contains("broken.toml:1: ") && !check.contains("``"), "{check}");
    let json = told(&["--json", "catalogue", "check"]);
    assert!(json.contains("\"would_publish\":1") && !json.contains("\"published\":"), "{json}");
    let publish = told(&["catalogue", "publish"]);
    assert!(publish.contains("1 published"), "{publish}");
    let out = dir.path().join("out");
    told(&["catalogue", "export", out.to_str().unwrap()]);
    let lines = std::fs::read_to_string(out.join("catalog.1.nt")).unwrap();
    assert!(lines.contains("\"MR of synthetic persons. Records are"), "{lines}");
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

#[test]
fn a_database_that_is_gone_or_damaged_is_not_replaced_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let (data, archive) = (dir.path().join("node"), dir.path().join("archive"));
    vesalius::sample::write(&archive, 2, 1).unwrap();
    assert!(vesalius(&data, &["ingest", "folder", archive.to_str().unwrap()]).status.success());
    let database = data.join("vesalius.db");
    for content in [b"".as_slice(), b"something else, and long enough"] {
        std::fs::write(&database, content).unwrap();
        for words in [["verify"], ["count"]] {
            let refused = vesalius(&data, &words);
            assert_eq!(refused.status.code(), Some(2));
            assert!(told(refused).contains("from a backup"), "{words:?} of {content:?}");
        }
        assert_eq!(std::fs::read(&database).unwrap(), content);
    }
    std::fs::remove_file(&database).unwrap();
    let refused = vesalius(&data, &["ingest", "folder", archive.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(!database.exists());
}

fn told(output: Output) -> String {
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Starts the demo and waits until it serves.
fn demo(data: &Path) {
    use std::io::BufRead as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_vesalius"))
        .arg("--data")
        .arg(data)
        .args(["--json", "demo", "--listen", "127.0.0.1:0"])
        .env_remove("VESALIUS_DATABASE_URL")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready = |line: &String| line.contains("\"event\":\"ready\"");
    assert!(lines.map(Result::unwrap).any(|line| is_ready(&line)), "the demo ended");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_demo_and_an_archive_never_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (node, archive) = (dir.path().join("node"), dir.path().join("archive"));
    vesalius::sample::write(&archive, 2, 1).unwrap();
    let archive = archive.to_str().unwrap();
    // An archive's folder is not the demo's: it would be open row by row.
    assert!(vesalius(&node, &["ingest", "folder", archive]).status.success());
    let before = vesalius(&node, &["count"]).stdout;
    let refused = vesalius(&node, &["demo", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(refused).contains("there is an archive in it"));
    assert!(!node.join("vesalius.toml").exists(), "a setting of the demo was left behind");
    assert_eq!(vesalius(&node, &["count"]).stdout, before);
    let configured = dir.path().join("configured");
    std::fs::create_dir(&configured).unwrap();
    std::fs::write(configured.join("vesalius.toml"), "[archive]\nname = \"ours\"\n").unwrap();
    let refused = vesalius(&configured, &["demo", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(refused).contains("the configuration of a node"));
    // And the demo's folder is no archive's.
    let shown = dir.path().join("shown");
    demo(&shown);
    let refused = vesalius(&shown, &["ingest", "folder", archive]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(refused).contains("a folder of its own with `--data DIR`"));
    // It begins again where it was.
    demo(&shown);
}

#[test]
fn a_run_tells_of_its_own_quarantine_and_of_what_is_still_there() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("node");
    let broken = |folder: &str, count: usize| {
        let path = dir.path().join(folder);
        std::fs::create_dir(&path).unwrap();
        for at in 0..count {
            let mut bytes = vec![0; 128];
            bytes.extend_from_slice(b"DICM\xff\xff\xff\xff");
            std::fs::write(path.join(format!("{folder}-{at:02}.dcm")), bytes).unwrap();
        }
        path.to_str().unwrap().to_owned()
    };
    let (many, few) = (broken("many", 25), broken("few", 3));
    let first = told(vesalius(&data, &["ingest", "folder", &many]));
    assert!(first.contains("many-00.dcm"), "{first}");
    assert!(first.contains("and 5 more"), "{first}");
    let second = told(vesalius(&data, &["ingest", "folder", &few]));
    assert!(second.contains("few-02.dcm") && !second.contains("many-00.dcm"), "{second}");
    let again = vesalius(&data, &["ingest", "--strict", "folder", &few]);
    assert_eq!(again.status.code(), Some(1), "what is in quarantine asks for a look every time");
    let again = told(again);
    assert!(again.contains("3 of earlier runs are still in quarantine"), "{again}");
    let events =
        told(vesalius(&data, &["--json", "ingest", "--retry-quarantined", "folder", &many]));
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!(of("quarantined"), 25);
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["still_quarantined"]), (&"summary".into(), &25.into()));
}

#[test]
fn the_doctor_knows_codes_of_the_configuration_that_no_description_can_say() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("node");
    let doctor = |country: &str, kind: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_vesalius"))
            .arg("--data")
            .arg(&data)
            .arg("doctor")
            .env_remove("VESALIUS_DATABASE_URL")
            .env("VESALIUS_ORGANISATION_COUNTRY", country)
            .env("VESALIUS_HDAB_PUBLISHER_TYPE", kind)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let wrong = doctor("CZ", "hospital");
    assert!(wrong.contains("advice  organisation.country: `CZ` is no code"), "{wrong}");
    assert!(wrong.contains("advice  hdab.publisher_type: `hospital` is no code"), "{wrong}");
    assert!(wrong.contains("`CZE`") && wrong.contains("`national-authority`"), "{wrong}");
    let right = doctor("CZE", "national-authority");
    assert!(right.contains("ok      organisation.country: CZE"), "{right}");
    assert!(!right.contains("is no code of the vocabulary"), "{right}");
}
