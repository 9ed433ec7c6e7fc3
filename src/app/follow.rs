//! The follower: one thread that keeps the views up to the store.
//!
//! In: the change feed, the folder of descriptions. Out: the index caught up and saved, published
//! documents, the datasets that are open. What fails is logged and tried again; it ends with the
//! server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::clock;
use super::due::{Descriptions, OpenDatasets, Records, Settling};
use super::pulse::Pulse;
use crate::catalogue::{self, Desk, How, Outcome, Verdict};
use crate::error::Result;
use crate::node::Node;

/// How often a serving process looks for changes of other processes.
const POLL: Duration = Duration::from_millis(300);

/// How often the index is written to its file while it changes.
const CHECKPOINT: Duration = Duration::from_secs(300);

/// Follows the change feed until the server ends.
pub(super) fn follow(node: &Node, pulse: &Pulse, stop: &AtomicBool) {
    let mut saved = Instant::now();
    let mut is_dirty = false;
    let mut descriptions = Descriptions::default();
    let mut open = OpenDatasets::default();
    let mut known = catalogue::OpenDatasets::default();
    let mut desk = None;
    let mut settling = Settling::default();
    let (mut records, mut is_written) = (Records::default(), false);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        match node.index.catch_up(&node.store) {
            Ok(done) => {
                if done.changes > 0 {
                    is_dirty = true;
                    metrics::histogram!("vesalius_index_catch_up_seconds").record(began.elapsed());
                }
                pulse.beat(Instant::now());
            }
            Err(failure) => tracing::warn!(%failure, "the index could not catch up"),
        }
        if descriptions.is_due(&node.descriptions, Instant::now())
            && let Err(failure) = publish(node, &mut known).map(|opened| desk = Some(opened))
        {
            tracing::warn!(%failure, "the descriptions could not be published");
            descriptions.failed(Instant::now());
        }
        let seen = node.index.read().seq();
        if records.is_due(seen)
            && let Some(desk) = &desk
        {
            match desk.is_written() {
                Ok(written) => is_written = written,
                Err(failure) => {
                    tracing::warn!(%failure, "the clinical records could not be read");
                    records.failed();
                }
            }
        }
        if settling.is_due(node.index.is_touched() || is_written, seen, Instant::now())
            && let Some(desk) = &desk
        {
            is_written = false;
            if let Err(failure) = follow_archive(desk, &mut known) {
                tracing::warn!(%failure, "the open datasets could not follow the archive");
                descriptions.failed(Instant::now());
            }
        }
        let read = || {
            known.refresh(&node.store, &node.config)?;
            Ok(known.criteria())
        };
        if let Some(open) = open.refresh(seen, Instant::now(), read) {
            node.index.set_open(open);
        }
        if is_dirty && saved.elapsed() > CHECKPOINT {
            match node.index.save() {
                Ok(()) => is_dirty = false,
                Err(failure) => tracing::warn!(%failure, "the index could not be saved"),
            }
            saved = Instant::now();
        }
        std::thread::sleep(POLL);
    }
    if is_dirty && let Err(failure) = node.index.save() {
        tracing::warn!(%failure, "the index could not be saved");
    }
}

/// Publishes the steward's descriptions and logs what came of it; one that fails stops nothing.
/// From now on what is open follows the archive.
fn publish(node: &Node, known: &mut catalogue::OpenDatasets) -> Result<Desk> {
    let desk = Desk::open(&node.config, &node.store, &node.index, node.context.time_zone())?;
    let pass = desk.publish_folder(&node.descriptions, How::Publish, clock())?;
    tell(&pass.outcomes);
    for dataset in &pass.missing {
        tracing::warn!(dataset, "a published dataset has no description");
    }
    known.refresh(&node.store, &node.config)?;
    known.keep_counts(&node.index);
    Ok(desk)
}

/// Publishes the open datasets again that hold a study that changed.
fn follow_archive(desk: &Desk, known: &mut catalogue::OpenDatasets) -> Result<()> {
    let began = Instant::now();
    let outcomes = desk.follow(known, clock())?;
    metrics::histogram!("vesalius_catalogue_follow_seconds").record(began.elapsed());
    metrics::counter!("vesalius_catalogue_followed_total").increment(outcomes.len() as u64);
    tell(&outcomes);
    Ok(())
}

fn tell(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let dataset = &outcome.slug;
        match outcome.verdict {
            Verdict::Published => tracing::info!(dataset, "published"),
            Verdict::Withdrawn => tracing::info!(dataset, "withdrawn"),
            Verdict::Unchanged => tracing::debug!(dataset, "unchanged"),
            Verdict::Refused => {
                for problem in &outcome.problems {
                    tracing::warn!(dataset, %problem, "a description was refused");
                }
            }
        }
    }
}
