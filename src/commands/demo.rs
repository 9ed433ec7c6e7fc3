//! `vesalius demo`: a synthetic archive, ingested, published and served.
//!
//! The demo's node is open row by row to whoever researches, because nobody is behind its rows. So
//! it has a data folder of its own: the store says that it is the demo's ([`claim`]), the demo does
//! not begin in the folder of an archive, and nothing else is ingested into its own ([`refuse`]).

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::serve::{Address, run};
use super::{Common, Ended, Node, event};
use crate::actor::Role;
use crate::auth::{Minted, Tokens};
use crate::catalogue::{How, Verdict};
use crate::config::{Config, Identity, Organisation};
use crate::error::{Error, Result};
use crate::mapping::tables;
use crate::store::{journal, meta};

#[derive(Args)]
pub(super) struct Demo {
    #[command(flatten)]
    address: Address,
}

/// What the demo's archive is called as a source.
const SOURCE: &str = "demo archive";
/// The name of the mark in the store.
const MARK: &str = "demo";
/// The first line of the configuration that the demo writes.
const WRITTEN: &str = "# Written by `vesalius demo`; everything here is synthetic.";

fn not_here(data: &Path, what: &str) -> Error {
    Error::Configuration(format!(
        "{}: {what}; the demo opens every row of its own archive, so give it another folder: \
         `vesalius demo --data vesalius-demo`",
        data.display()
    ))
}

/// Whether the folder's configuration, if there is one, is the demo's.
fn look_at_config(data: &Path) -> Result<()> {
    match std::fs::read_to_string(data.join("vesalius.toml")) {
        Ok(text) if !text.starts_with(WRITTEN) => {
            Err(not_here(data, "there is the configuration of a node in it"))
        }
        _ => Ok(()),
    }
}

/// Marks the store as the demo's.
///
/// # Errors
/// [`Error::Configuration`] when it holds an archive that the demo did not make.
fn claim(data: &Path, node: &Node) -> Result<()> {
    let is_free = node.store.write(|db| {
        if meta::find_meta(db, MARK)?.is_some() {
            return Ok(true);
        }
        let is_free = journal::list_sources(db)?.iter().all(|source| source.name == SOURCE);
        if is_free {
            meta::put_meta(db, MARK, "synthetic")?;
        }
        Ok(is_free)
    })?;
    if is_free { Ok(()) } else { Err(not_here(data, "there is an archive in it")) }
}

/// Refuses the demo's node.
///
/// # Errors
/// [`Error::Configuration`] when the store is the demo's.
pub(super) fn refuse(data: &Path, node: &Node) -> Result<()> {
    if node.store.read(|db| meta::find_meta(db, MARK))?.is_none() {
        return Ok(());
    }
    Err(Error::Configuration(format!(
        "{}: this is the folder of `vesalius demo`, whose rows are open to whoever researches; give \
         your archive a folder of its own with `--data DIR`",
        data.display()
    )))
}

/// Who the demo pretends to be. Nobody: the names say so.
fn demo_config(config: &mut Config) {
    let organisation = |name: &str, page: &str, email: &str| Organisation {
        name: name.to_owned(),
        page: page.to_owned(),
        email: email.to_owned(),
        country: "CZE".to_owned(),
        ..Organisation::default()
    };
    if config.organisation.name.is_empty() {
        config.organisation = organisation(
            "Vesalius Demo Hospital (synthetic)",
            "https://hospital.example/",
            "imaging@hospital.example",
        );
    }
    if config.hdab.name.is_empty() {
        config.hdab = organisation(
            "Demo Health Data Access Body (synthetic)",
            "https://access-body.example/apply",
            "applications@access-body.example",
        );
    }
    if config.archive.name.is_empty() {
        "Synthetic archive of the demo".clone_into(&mut config.archive.name);
    }
    if config.archive.time_zone.is_empty() {
        "Europe/Prague".clone_into(&mut config.archive.time_zone);
    }
    // Every file of the demo is synthetic: there is no identity in it to protect.
    config.archive.identity = Identity::DeIdentified;
    if config.catalogue.title == crate::config::Catalogue::default().title {
        "Imaging datasets of the demo (synthetic)".clone_into(&mut config.catalogue.title);
    }
}

pub(super) fn demo(common: &Common, command: &Demo) -> Result<Ended> {
    let began = std::time::Instant::now();
    look_at_config(&common.data)?;
    let mut config = common.config()?;
    demo_config(&mut config);
    let listener = command.address.listen(&mut config)?;
    let node = Node::with(common, config)?;
    claim(&common.data, &node)?;
    keep_config(&node.config, &listener, &common.data)?;
    let archive = common.data.join("demo-archive");
    if !archive.exists() {
        crate::sample::write_demo(&archive)?;
    }
    let mut source = super::ingest::folder(&node, &archive)?;
    let never = AtomicBool::new(false);
    let summary = super::ingest::drive(common, &node, &mut source, SOURCE, false, &never)?;
    super::ingest::tell(common, &node, &summary)?;
    put_clinical(common, &node)?;
    put_samples(&node)?;
    let pass = super::catalogue::publish_folder(common, &node, How::Publish)?;
    if pass.outcomes.iter().any(|outcome| outcome.verdict == Verdict::Refused) {
        return Err(Error::Internal("a dataset of the demo was refused; see above".to_owned()));
    }
    let tokens = Tokens::new(&node.keys.token);
    let mint = |role: Role| tokens.mint("demo", role, "", 86_400, super::now_seconds());
    let minted = [Role::ImagingIt, Role::Ehr, Role::Researcher, Role::Steward]
        .into_iter()
        .map(|role| Ok((role, mint(role)?)))
        .collect::<Result<Vec<(Role, Minted)>>>()?;
    run(node, listener, |url| {
        let seconds = began.elapsed().as_secs_f64();
        if common.json {
            let tokens: serde_json::Map<String, serde_json::Value> = minted
                .iter()
                .map(|(role, minted)| (role.name().to_owned(), minted.token.clone().into()))
                .collect();
            event(
                "ready",
                &serde_json::json!({ "url": url, "tokens": tokens, "seconds": seconds }),
            );
            return Ok(());
        }
        out!("\nready after {seconds:.1} s; everything here is synthetic");
        for (what, path) in [
            ("pages", "/"),
            ("catalogue", "/catalog"),
            ("one dataset, as RDF", "/dataset/breast-screening.ttl"),
            ("FHIR", "/fhir/metadata"),
            ("DICOMweb (with a token)", "/dicom-web/studies"),
            ("SPARQL", "/sparql"),
            ("operator (sign in with a token)", "/operator"),
        ] {
            out!("  {what:<32} {url}{path}");
        }
        out!("\ntokens, good for a day:");
        for (role, minted) in &minted {
            out!("  {role}\n    {}", minted.token);
        }
        if let Some((_, minted)) = minted.first() {
            out!(
                "\ntry:\n  curl -H 'Authorization: Bearer {}' \\\n    '{url}/fhir/ImagingStudy?modality=MG&_count=2'",
                minted.token
            );
        }
        out!("\nCtrl-C ends it");
        Ok(())
    })
}

/// Writes the demo's configuration into its data folder, unless there is one, so that `verify`,
/// `serve` and every other command see what the demo saw.
fn keep_config(config: &Config, listener: &TcpListener, data: &Path) -> Result<()> {
    let path = data.join("vesalius.toml");
    if path.exists() {
        return Ok(());
    }
    let failed = |failure: &dyn std::fmt::Display| {
        Error::Configuration(format!("{}: {failure}", path.display()))
    };
    let mut kept = config.clone();
    kept.server.listen = listener.local_addr().map_err(|failure| failed(&failure))?.to_string();
    if kept.server.public_url == format!("http://{}", kept.server.listen) {
        kept.server.public_url.clear();
    }
    let text = toml::to_string(&kept).map_err(|failure| failed(&failure))?;
    crate::store::create_private(data).map_err(|failure| failed(&failure))?;
    let text = format!("{WRITTEN}\n\n{text}");
    std::fs::write(&path, text).map_err(|failure| failed(&failure))
}

/// The demo's clinical table: readings, assessments and diagnoses, as resources.
fn put_clinical(common: &Common, node: &Node) -> Result<()> {
    let path = common.data.join("demo-clinical.csv");
    if !path.exists() {
        crate::sample::write_demo_clinical(&path)?;
    }
    let (text, place) = tables::find("screening", None)?;
    if let tables::Mapping::Clinical(table) = tables::parse(&text, &place)? {
        let summary = super::clinical::import(node, &path, &table, &place, None)?;
        super::clinical::tell(common, "clinical", &summary);
    }
    Ok(())
}

/// The demo's descriptions, where the steward has none of that name.
fn put_samples(node: &Node) -> Result<()> {
    let folder = &node.descriptions;
    let failed =
        |failure: std::io::Error| Error::Configuration(format!("{}: {failure}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (name, text) in crate::catalogue::samples() {
        let path = folder.join(format!("{name}.toml"));
        if !path.exists() {
            std::fs::write(&path, text).map_err(failed)?;
        }
    }
    Ok(())
}
