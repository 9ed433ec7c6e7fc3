//! `vesalius catalogue`: descriptions to published documents.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{Common, Ended, Node, event, say};
use crate::catalogue::{
    Desk, Entry, How, Log as _, Outcome, Pass, Severity, Shelf as _, State, Verdict, digest,
};
use crate::error::{Error, Result};

#[derive(Args)]
pub(super) struct Catalogue {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Hold every description to the rules; publish nothing.
    Check,
    /// Publish every description that holds; the others keep their last good document, unless
    /// it is more open than they ask for.
    Publish {
        /// Withdraw published datasets that have no description file any more.
        #[arg(long)]
        withdraw_missing: bool,
    },
    /// Write every published document to a folder.
    Export {
        /// The folder; made if it is missing.
        dir: PathBuf,
    },
}

impl Catalogue {
    /// Whether it writes files for others to read.
    pub(super) const fn is_export(&self) -> bool {
        matches!(self.what, What::Export { .. })
    }
}

/// The desk of a node.
pub(super) fn desk(node: &Node) -> Result<Desk> {
    let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let who =
        user.map_or_else(|| "command line".to_owned(), |user| format!("command line: {user}"));
    let desk = Desk::open(&node.config, &node.store, &node.index, node.context.time_zone())?;
    Ok(desk.in_the_name_of(&who))
}

pub(super) fn run(common: &Common, command: &Catalogue) -> Result<Ended> {
    let node = Node::open(common)?;
    node.catch_up()?;
    match &command.what {
        What::Check => all(common, &node, How::Check),
        What::Publish { withdraw_missing: false } => all(common, &node, How::Publish),
        What::Publish { withdraw_missing: true } => all(common, &node, How::WithdrawMissing),
        What::Export { dir } => {
            let desk = desk(&node)?;
            let written = desk.publisher().writer().export(&desk.shelf, dir)?;
            let value = serde_json::json!({ "documents": written, "folder": dir });
            say(common, "summary", &value, || format!("{written} documents in {}", dir.display()));
            Ok(Ended::Done)
        }
    }
}

fn all(common: &Common, node: &Node, how: How) -> Result<Ended> {
    let Pass { outcomes, missing } = publish_folder(common, node, how)?;
    let refused = outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Refused).count();
    let of = |verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
    // Who checks publishes nothing.
    let (done, names) = match how {
        How::Check => ("would be ", ["would_publish", "would_withdraw"]),
        How::Publish | How::WithdrawMissing => ("", ["published", "withdrawn"]),
    };
    let mut value = serde_json::json!({
        "datasets": outcomes.len(),
        "unchanged": of(Verdict::Unchanged),
        "refused": refused,
        "missing": missing.len(),
    });
    for (name, verdict) in names.into_iter().zip([Verdict::Published, Verdict::Withdrawn]) {
        value[name] = of(verdict).into();
    }
    say(common, "summary", &value, || {
        format!(
            "{} datasets: {} {done}published, {} unchanged, {} {done}withdrawn, {refused} refused, \
             {} without a description",
            outcomes.len() + missing.len(),
            of(Verdict::Published),
            of(Verdict::Unchanged),
            of(Verdict::Withdrawn),
            missing.len(),
        )
    });
    if refused > 0 {
        return Err(Error::Invalid(format!("{refused} descriptions were refused; see above")));
    }
    Ok(if missing.is_empty() { Ended::Done } else { Ended::Look })
}

/// Publishes (or only checks) the steward's folder, and tells what became of each description.
pub(super) fn publish_folder(common: &Common, node: &Node, how: How) -> Result<Pass> {
    let folder = &node.descriptions;
    if !folder.exists() {
        std::fs::create_dir_all(folder)
            .map_err(|failure| Error::Configuration(format!("{}: {failure}", folder.display())))?;
    }
    let pass = desk(node)?.publish_folder(folder, how, Timestamp::now())?;
    for outcome in &pass.outcomes {
        tell(common, outcome);
    }
    for slug in &pass.missing {
        say(common, "missing", &serde_json::json!({ "slug": slug }), || {
            format!(
                "{slug}: is published but has no description in {}; write one with \
                 `withdrawn = true`, or give `--withdraw-missing`",
                folder.display()
            )
        });
    }
    Ok(pass)
}

fn tell(common: &Common, outcome: &Outcome) {
    if common.json {
        let refusals: Vec<String> = outcome.refusals.iter().map(ToString::to_string).collect();
        event(
            "dataset",
            &serde_json::json!({
                "slug": outcome.slug,
                "verdict": outcome.verdict,
                "refusals": refusals,
                "problems": outcome.problems,
            }),
        );
        return;
    }
    if outcome.verdict == Verdict::Refused {
        out!("{}: refused", outcome.slug);
        for refusal in &outcome.refusals {
            out!("  {refusal}");
        }
        // What the parser refused comes first among the problems again, for the pages; behind it
        // stands what became of the dataset.
        let (must, should): (Vec<_>, Vec<_>) = outcome
            .problems
            .iter()
            .skip(outcome.refusals.len())
            .partition(|problem| problem.severity == Severity::Violation);
        for problem in must {
            out!("  must: {problem}");
        }
        for problem in should {
            out!("  should: {problem}");
        }
    }
}

/// Writes descriptions that a table gave; one that a steward wrote or changed is left alone.
pub(super) fn put_descriptions(
    common: &Common,
    node: &Node,
    descriptions: &[(String, String)],
) -> Result<Ended> {
    let folder = &node.descriptions;
    let failed =
        |failure: std::io::Error| Error::Configuration(format!("{}: {failure}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let (mut written, mut kept) = (0, 0);
    for (slug, text) in descriptions {
        let path = folder.join(format!("{slug}.toml"));
        if path.exists() {
            kept += 1;
            continue;
        }
        let beside = path.with_extension("part");
        std::fs::write(&beside, text).map_err(failed)?;
        std::fs::rename(&beside, &path).map_err(failed)?;
        written += 1;
    }
    let value = serde_json::json!({ "descriptions": written, "kept": kept, "folder": folder });
    say(common, "summary", &value, || {
        format!(
            "{written} descriptions written to {}, {kept} that were there are kept",
            folder.display()
        )
    });
    Ok(Ended::Done)
}

/// Makes every published document anew from its description and its kept figures.
pub(super) fn rebuild(common: &Common, node: &Node) -> Result<()> {
    let began = std::time::Instant::now();
    let desk = desk(node)?;
    let publisher = desk.publisher();
    let mut changed = 0_u64;
    for slug in desk.shelf.slugs()? {
        if let Some(entry) = desk.shelf.find(&slug)? {
            let document = publisher.remake(&entry);
            if document != entry.document {
                changed += 1;
                desk.shelf.put(&Entry { document, ..entry })?;
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let value = serde_json::json!({ "view": "catalogue", "changed": changed, "seconds": seconds });
    say(common, "rebuilt", &value, || {
        format!("catalogue: {changed} documents changed, in {seconds:.1} s")
    });
    Ok(())
}

/// How published documents differ from what their descriptions and figures give.
pub(super) fn differences(node: &Node) -> Result<Vec<String>> {
    let desk = desk(node)?;
    let publisher = desk.publisher();
    let mut found = Vec::new();
    for slug in desk.shelf.slugs()? {
        let Some(entry) = desk.shelf.find(&slug)? else { continue };
        if publisher.remake(&entry) != entry.document {
            found.push(format!(
                "the document of dataset `{slug}` is not what its description gives"
            ));
        }
        let logged = desk.shelf.newest(&slug)?.map(|event| event.hash);
        let served = (entry.state != State::Failed).then(|| digest(&entry.document));
        if logged != served {
            found.push(format!(
                "the log of the catalogue does not end with the document of dataset `{slug}`"
            ));
        }
    }
    Ok(found)
}
