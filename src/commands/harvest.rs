//! `vesalius harvest`: other catalogues into this node.

use clap::Args;

use super::{Common, Ended, Node, now, say};
use crate::error::{Error, Result};
use crate::harvest::inbound;

#[derive(Args)]
pub(super) struct Harvest {
    /// The source's name in the configuration; all of them without it.
    source: Option<String>,
    /// Datasets that a complete walk misses are gone at once, even if they are more than the source
    /// may lose (otherwise they are reported and kept).
    #[arg(long)]
    prune: bool,
}

pub(super) fn run(common: &Common, command: &Harvest) -> Result<Ended> {
    let node = Node::open(common)?;
    let all = &node.config.harvest.source;
    let wanted = command.source.as_deref();
    let sources: Vec<_> =
        all.iter().filter(|source| wanted.is_none_or(|name| source.name == name)).collect();
    if sources.is_empty() {
        let known: Vec<&str> = all.iter().map(|source| source.name.as_str()).collect();
        return Err(Error::Configuration(match wanted {
            Some(name) => format!(
                "`{name}` is no source; `harvest.source` has {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ),
            None => "no source; write a `[[harvest.source]]` table".to_owned(),
        }));
    }
    let ours = format!("{}/dataset/", node.config.server.base());
    let mut ended = Ended::Done;
    let mut harvester = inbound::Harvester::new(&node.store, &ours, now);
    harvester.prune = command.prune;
    for (_, walked) in harvester.walk_all(&sources, node.config.harvest.side_by_side)? {
        let summary = walked?;
        if !summary.complete || summary.refused > 0 || summary.kept_vanished > 0 {
            ended = Ended::Look;
        }
        let value = serde_json::to_value(&summary).unwrap_or_default();
        say(common, "harvest", &value, || words(&summary));
    }
    Ok(ended)
}

fn words(summary: &inbound::Summary) -> String {
    let mut text = format!(
        "{}: {} datasets in {} documents ({} new, {} changed, {} unchanged, {} refused, {} \
         duplicates, {} missing, {} gone){}",
        summary.source,
        summary.seen,
        summary.pages,
        summary.new,
        summary.changed,
        summary.unchanged,
        summary.refused,
        summary.duplicates,
        summary.missing,
        summary.gone,
        if summary.complete { "" } else { "; the walk is incomplete" },
    );
    if summary.kept_vanished > 0 {
        text.push_str(&format!(
            "\n  {} vanished at once and are kept; if they were deleted, run again with `--prune`",
            summary.kept_vanished
        ));
    }
    for trouble in &summary.troubles {
        text.push_str(&format!("\n  {}: {}: {}", trouble.about, trouble.code, trouble.detail));
    }
    text
}
