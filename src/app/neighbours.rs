//! Other catalogues: indexes that are told of this node, and sources that are read into it. One
//! thread each, until the server ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::catalogue::{Log as _, StoreShelf};
use crate::error::Result;
use crate::harvest;
use crate::node::{Node, now};

/// Tells FAIR Data Point indexes of this node until the server ends. The client is made here: it
/// blocks, which a thread that answers requests may not.
pub(super) fn ping(node: &Node, stop: &AtomicBool) {
    let mut pinger = match harvest::Pinger::new(&node.config) {
        Ok(Some(pinger)) => pinger,
        Ok(None) => return,
        Err(failure) => {
            tracing::error!(%failure, "no FAIR Data Point index is told");
            return;
        }
    };
    let shelf = StoreShelf(Arc::clone(&node.store));
    while !stop.load(Ordering::Relaxed) {
        // First a moment for the server to answer the index that comes back.
        std::thread::sleep(Duration::from_secs(1));
        match shelf.last_event() {
            Ok(last) => {
                pinger.ping(last.map_or(0, |last| last.seq), Instant::now());
            }
            Err(failure) => tracing::warn!(%failure, "the log of the catalogue cannot be read"),
        }
    }
}

/// Walks the other catalogues of the configuration when they are due, until the server ends.
pub(super) fn harvest_others(node: &Node, stop: &AtomicBool) {
    let ours = format!("{}/dataset/", node.config.server.base());
    while !stop.load(Ordering::Relaxed) {
        if let Err(failure) = harvest_due(node, &ours) {
            tracing::warn!(%failure, "nothing could be harvested");
        }
        for _ in 0..60 {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// Walks what is due.
fn harvest_due(node: &Node, ours: &str) -> Result<()> {
    use harvest::inbound;
    let harvest = &node.config.harvest;
    let mut due = Vec::new();
    for source in &harvest.source {
        if inbound::is_due(&node.store, source, now())? {
            due.push(source);
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    let harvester = inbound::Harvester::new(&node.store, ours, now);
    for (source, walked) in harvester.walk_all(&due, harvest.side_by_side)? {
        let source = &source.name;
        match walked {
            Ok(summary) => {
                let (seen, refused) = (summary.seen, summary.refused);
                tracing::info!(source, seen, refused, complete = summary.complete, "harvested");
            }
            Err(failure) => tracing::warn!(source, %failure, "could not be harvested"),
        }
    }
    Ok(())
}
