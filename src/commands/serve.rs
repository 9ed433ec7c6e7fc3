//! `vesalius serve`.

use std::net::TcpListener;

use clap::Args;

use super::{Common, Ended, Node, event};
use crate::app::Server;
use crate::config::Config;
use crate::error::{Error, Result};

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    address: Address,
}

#[derive(Args)]
pub(super) struct Address {
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The address that the world uses.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

impl Address {
    /// Listens, and lets the configuration know the address that came of it.
    pub(super) fn listen(&self, config: &mut Config) -> Result<TcpListener> {
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

/// Serves until a signal ends it; `ready` is told the address.
pub(super) fn run(
    node: Node,
    listener: TcpListener,
    ready: impl FnOnce(&str) -> Result<()>,
) -> Result<Ended> {
    let url = node.config.server.base();
    actix_web::rt::System::new().block_on(async move {
        let server = Server::bind(node, listener)?;
        ready(&url)?;
        server.run().await
    })?;
    Ok(Ended::Done)
}
