//! `vesalius doctor`: looks the node over; each finding with a remedy.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::{Common, Ended, say};
use crate::auth::Keys;
use crate::catalogue::{Release, Scheme};
use crate::error::{Error, Result};
use crate::store::Store;

/// How a check went.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Good,
    Advice,
    Broken,
}

struct Check {
    level: Level,
    what: &'static str,
    found: String,
    remedy: &'static str,
}

/// What the checks found so far.
#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    fn put(&mut self, what: &'static str, level: Level, found: String, remedy: &'static str) {
        self.0.push(Check { level, what, found, remedy });
    }

    /// Good when `value` is set, advice otherwise.
    fn setting(&mut self, what: &'static str, value: &str, remedy: &'static str) {
        if value.is_empty() {
            self.put(what, Level::Advice, "not set".to_owned(), remedy);
        } else {
            self.put(what, Level::Good, value.to_owned(), "");
        }
    }
}

pub(super) fn run(common: &Common) -> Result<Ended> {
    let mut report = Report::default();
    match common.config() {
        Err(failure) => {
            report.put(
                "configuration",
                Level::Broken,
                failure.to_string(),
                "mend the file or the variable that the message names",
            );
        }
        Ok(config) => {
            report.put("configuration", Level::Good, "read and checked".to_owned(), "");
            let archive = &config.archive;
            report.setting("server.public_url", &config.server.public_url, "set it to the address that the world uses: every IRI begins with it, and IRIs never change");
            report.setting("archive.name", &archive.name, "name the archive, for people");
            report.setting(
                "archive.time_zone",
                &archive.time_zone,
                "set an IANA name such as `Europe/Prague`, or times are cut to dates",
            );
            let own = format!("{}/dicom-web", config.server.base());
            let images = if archive.wado_url.is_empty() { &own } else { &archive.wado_url };
            report.put("archive.wado_url", Level::Good, images.clone(), "");
            report.setting(
                "archive.identifiers.patient",
                &archive.identifiers.patient,
                "set the naming system of PatientIDs (`urn:oid:…`)",
            );
            report.setting(
                "archive.identifiers.accession",
                &archive.identifiers.accession,
                "set the naming system of accession numbers (`urn:oid:…`)",
            );
            for (what, name, contact, remedy) in [
                (
                    "organisation",
                    &config.organisation.name,
                    format!("{}{}", config.organisation.email, config.organisation.page),
                    "set `organisation.name` and `organisation.email` or `.page`: the data holder stands in every description",
                ),
                (
                    "hdab",
                    &config.hdab.name,
                    format!("{}{}", config.hdab.email, config.hdab.page),
                    "set `hdab.name` and `hdab.page`: HealthDCAT-AP demands the health data access body at every access level",
                ),
            ] {
                if name.is_empty() || contact.is_empty() {
                    report.put(
                        what,
                        Level::Advice,
                        "name or contact is not set: nothing can be published".to_owned(),
                        remedy,
                    );
                } else {
                    report.put(what, Level::Good, name.clone(), "");
                }
            }
            vocabularies(&config, &mut report);
            database(common, &config, &mut report);
            exports(common, &config.exports, &mut report);
        }
    }
    disk(common, &mut report);
    clock(&mut report);
    files(&mut report);
    for (what, version) in crate::schemas::STANDARDS {
        report.put("encoded standard", Level::Good, format!("{what} {version}"), "");
    }

    for check in &report.0 {
        let value = serde_json::json!({
            "level": check.level, "check": check.what, "found": check.found, "remedy": check.remedy,
        });
        say(common, "check", &value, || {
            let mark = match check.level {
                Level::Good => "ok    ",
                Level::Advice => "advice",
                Level::Broken => "BROKEN",
            };
            let remedy = if check.remedy.is_empty() {
                String::new()
            } else {
                format!("\n         {}", check.remedy)
            };
            format!("{mark}  {}: {}{remedy}", check.what, check.found)
        });
    }
    if report.0.iter().any(|check| check.level == Level::Broken) {
        return Err(Error::Internal("something is broken; see above".to_owned()));
    }
    let advised = report.0.iter().any(|check| check.level == Level::Advice);
    Ok(if advised { Ended::Look } else { Ended::Done })
}

/// Codes of the configuration that stand in every description.
fn vocabularies(config: &crate::config::Config, report: &mut Report) {
    let folder = &config.overrides.catalogue;
    let folder = (!folder.is_empty()).then(|| std::path::Path::new(folder));
    let release = match Release::load(&config.catalogue.release, folder) {
        Ok(release) => release,
        Err(failure) => {
            let remedy = "mend the file that the message names";
            report.put("catalogue", Level::Broken, failure.to_string(), remedy);
            return;
        }
    };
    let (organisation, hdab) = (&config.organisation, &config.hdab);
    for (what, scheme, code, remedy) in [
        (
            "organisation.country",
            Scheme::Country,
            &organisation.country,
            "write a code of catalogue/vocabularies/country.toml, three capital letters: `CZE`",
        ),
        (
            "organisation.publisher_type",
            Scheme::PublisherType,
            &organisation.publisher_type,
            "write a code of catalogue/vocabularies/publisher-type.toml: `inpatient-institute`",
        ),
        (
            "hdab.country",
            Scheme::Country,
            &hdab.country,
            "write a code of catalogue/vocabularies/country.toml, three capital letters: `CZE`",
        ),
        (
            "hdab.publisher_type",
            Scheme::PublisherType,
            &hdab.publisher_type,
            "write a code of catalogue/vocabularies/publisher-type.toml: `national-authority`",
        ),
    ] {
        match (code.is_empty(), release.concept(scheme, code)) {
            (true, _) => {}
            (false, Some(_)) => report.put(what, Level::Good, code.clone(), ""),
            (false, None) => {
                let found =
                    format!("`{code}` is no code of the vocabulary: no description says it");
                report.put(what, Level::Advice, found, remedy);
            }
        }
    }
}

/// Looks at what is there; makes no folder, no key, no table.
fn database(common: &Common, config: &crate::config::Config, report: &mut Report) {
    let url = &config.database.url;
    if url.is_empty() && !common.data.join("vesalius.db").exists() {
        report.put(
            "database",
            Level::Advice,
            format!("no node in `{}`", common.data.display()),
            "give its folder with `--data`, or run `vesalius migrate` or `vesalius ingest` to make one",
        );
        return;
    }
    let opened = Store::find(&common.data, url).and_then(|store| {
        let version = store.read(crate::store::Db::version)?;
        let totals = store.read(crate::store::read::count_all)?;
        Ok((store, version, totals))
    });
    let opened = opened.map(|(store, version, totals)| {
        match Keys::find(&common.data).and_then(|keys| keys.check(&common.data, &store)) {
            Ok(()) => report.put("keys", Level::Good, "those of the database".to_owned(), ""),
            Err(failure) => report.put(
                "keys",
                Level::Broken,
                failure.to_string(),
                "copy `keys/` from the node that made the database, or from the backup",
            ),
        }
        (version, totals)
    });
    match opened {
        Ok((version, totals)) => {
            if totals.studies > 0 {
                minimum_dataset(common, report);
            }
            report.put(
                "database",
                Level::Good,
                format!(
                    "{version}; {} patients, {} studies, {} series, {} images",
                    totals.patients, totals.studies, totals.series, totals.images
                ),
                "",
            )
        }
        Err(failure) => report.put(
            "database",
            Level::Broken,
            failure.to_string(),
            "see the message; `vesalius migrate` makes the tables",
        ),
    }
}

/// How complete the minimum dataset of EUCAIM is over the archive; counts only.
fn minimum_dataset(common: &Common, report: &mut Report) {
    match super::Node::open(common).and_then(|node| super::completeness::shares(&node)) {
        Ok(shares) => {
            for share in shares {
                let word = if share.mandatory { "" } else { ", if available" };
                let found = format!(
                    "{}: {}{word}: {} of {} {}; {}",
                    share.group, share.variable, share.have, share.of, share.what, share.place
                );
                report.put("EUCAIM minimum dataset", Level::Good, found, "");
            }
        }
        Err(failure) => report.put(
            "EUCAIM minimum dataset",
            Level::Advice,
            format!("cannot be counted: {failure}"),
            "see the other checks; `vesalius rebuild` makes the index anew",
        ),
    }
}

/// What exports and the lines that are kept for them take of the disk.
fn exports(common: &Common, config: &crate::config::Exports, report: &mut Report) {
    if config.most_mib == 0 {
        report.put("exports", Level::Good, "none: `exports.most_mib` is 0".to_owned(), "");
        return;
    }
    let (files, lines) = crate::fhir::disk_of_exports(&common.data.join("exports"));
    let most = config.most_mib.saturating_mul(1 << 20);
    let mut found = format!(
        "{} MiB of exports and {} MiB of lines kept for them, of {} MiB",
        files >> 20,
        lines >> 20,
        config.most_mib
    );
    let mut free = u64::MAX;
    if let Ok(disk) = rustix::fs::statvfs(&common.data) {
        free = disk.f_bavail.saturating_mul(disk.f_frsize);
    }
    let (level, remedy) = if files.saturating_add(lines.saturating_mul(2)) > most {
        (
            Level::Advice,
            "lines are kept ready only while an export of them fits beside them: raise \
             `exports.most_mib`, or let clients delete exports that they have fetched",
        )
    } else if most.saturating_sub(files.saturating_add(lines)) > free {
        found.push_str("; the disk has less left than they may take");
        (Level::Advice, "free some space, or lower `exports.most_mib`")
    } else {
        (Level::Good, "")
    };
    report.put("exports", level, found, remedy);
}

fn disk(common: &Common, report: &mut Report) {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::metadata(&common.data) {
        Err(failure) => {
            report.put(
                "data folder",
                Level::Advice,
                format!("{}: {failure}", common.data.display()),
                "give the node's folder with `--data`, or run `vesalius migrate` to make one",
            );
            return;
        }
        Ok(found) if found.permissions().mode() & 0o077 != 0 => report.put(
            "data folder",
            Level::Advice,
            format!("{} can be read by other users", common.data.display()),
            "it holds identities and keys: `chmod 700` it",
        ),
        Ok(_) => {
            report.put("data folder", Level::Good, "for its owner only".to_owned(), "");
        }
    }
    match rustix::fs::statvfs(&common.data) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize) / (1 << 20);
            let level = match free {
                0..512 => Level::Broken,
                512..4_096 => Level::Advice,
                _ => Level::Good,
            };
            let remedy = if level == Level::Good {
                ""
            } else {
                "an archive of a million series needs about 2 GiB, and its lines for exports as much \
                 again (`exports.keep_ready`); free some space"
            };
            report.put("free disk", level, format!("{free} MiB"), remedy);
        }
        Err(failure) => {
            report.put("free disk", Level::Advice, failure.to_string(), "check the file system")
        }
    }
    match fsync_rate(&common.data) {
        Ok(rate) => {
            let level = if rate < 20.0 { Level::Advice } else { Level::Good };
            let remedy = if level == Level::Good {
                ""
            } else {
                "every stored batch waits for the disk: use a local disk, not a network share"
            };
            report.put("durable writes", level, format!("{rate:.0} fsync/s"), remedy);
        }
        Err(failure) => report.put(
            "durable writes",
            Level::Broken,
            failure.to_string(),
            "the data folder must be writable",
        ),
    }
}

/// Durable small writes a second, measured for a fifth of a second.
fn fsync_rate(folder: &std::path::Path) -> std::io::Result<f64> {
    let path = folder.join(format!("doctor-{}.tmp", std::process::id()));
    let measure = || {
        let mut file = std::fs::File::create(&path)?;
        let began = Instant::now();
        let mut writes = 0_u32;
        while began.elapsed() < Duration::from_millis(200) {
            file.write_all(&[0; 4_096])?;
            file.sync_data()?;
            writes += 1;
        }
        Ok(f64::from(writes) / began.elapsed().as_secs_f64())
    };
    let rate = measure();
    let _ = std::fs::remove_file(&path);
    rate
}

fn clock(report: &mut Report) {
    let now = jiff::Zoned::now();
    // A clock that was never set shows a year before this program was written.
    let level = if now.year() < 2026 { Level::Broken } else { Level::Good };
    let remedy = if level == Level::Good { "" } else { "set the clock and keep it by NTP" };
    report.put("clock", level, now.to_string(), remedy);
}

fn files(report: &mut Report) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let level = match limit.current {
        Some(0..1_024) => Level::Advice,
        _ => Level::Good,
    };
    let found = limit.current.map_or("no limit".to_owned(), |limit| limit.to_string());
    let remedy = if level == Level::Good { "" } else { "raise `ulimit -n` to 4096" };
    report.put("file descriptors", level, found, remedy);
}
