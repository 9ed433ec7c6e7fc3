//! `vesalius serve` and `vesalius demo`.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::{Common, Ended, Node, event};
use crate::actor::Role;
use crate::app::Server;
use crate::auth::{Minted, Tokens};
use crate::catalogue::{How, Verdict};
use crate::config::{Config, Identity, Organisation};
use crate::error::{Error, Result};
use crate::mapping::tables;

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    address: Address,
}

#[derive(Args)]
pub(super) struct Demo {
    #[command(flatten)]
    address: Address,
}

#[derive(Args)]
struct Address {
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The address that the world uses.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

impl Address {
    /// Listens, and lets the configuration know the address that came of it.
    fn listen(&self, config: &mut Config) -> Result<TcpListener> {
        if let Some(listen) = &self.listen {
            config.server.listen.clone_from(listen);
        }
        if let Some(url) = &self.public_url {
            config.server.public_url.clone_from(url);
        }
        let wanted = &config.server.listen;
        let listener = TcpListener::bind(wanted.as_str()).map_err(|failure| {
            Error::Configuration(format!(
                "cannot listen on `{wanted}`: {failure}; give another address with `--listen`, \
                 or port 0 for any free one"
            ))
        })?;
        if config.server.public_url.is_empty() {
            let address =
                listener.local_addr().map_err(|failure| Error::Internal(failure.to_string()))?;
            config.server.public_url = format!("http://{address}");
        }
        config.check()?;
        Ok(listener)
    }
}

pub(super) fn serve(common: &Common, command: &Serve) -> Result<Ended> {
    let mut config = common.config()?;
    let listener = command.address.listen(&mut config)?;
    let node = Node::with(common, config)?;
    node.catch_up()?;
    run(node, listener, |url| {
        if common.json {
            event("ready", &serde_json::json!({ "url": url }));
        } else {
            out!("vesalius answers on {url}");
        }
        Ok(())
    })
}

fn run(node: Node, listener: TcpListener, ready: impl FnOnce(&str) -> Result<()>) -> Result<Ended> {
    let url = node.config.server.base();
    actix_web::rt::System::new().block_on(async move {
        let server = Server::bind(node, listener)?;
        ready(&url)?;
        server.run().await
    })?;
    Ok(Ended::Done)
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
    let mut config = common.config()?;
    demo_config(&mut config);
    let listener = command.address.listen(&mut config)?;
    keep_config(&config, &listener, &common.data)?;
    let node = Node::with(common, config)?;
    let archive = common.data.join("demo-archive");
    if !archive.exists() {
        crate::sample::write_demo(&archive)?;
    }
    let mut source = super::ingest::folder(&node, &archive)?;
    let never = AtomicBool::new(false);
    let summary = super::ingest::drive(common, &node, &mut source, "demo archive", false, &never)?;
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
    let text = format!("# Written by `vesalius demo`; everything here is synthetic.\n\n{text}");
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
