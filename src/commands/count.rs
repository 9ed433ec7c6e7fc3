//! `vesalius count`: exact counts from the index, for the operator of the node.

use std::collections::BTreeMap;

use clap::Args;

use super::{Common, Ended, Node, say};
use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::imaging::Facet;
use crate::index::{Counts, Criteria};

#[derive(Args)]
pub(super) struct Count {
    /// Count by this facet: `modality`, `body-site`, `sex`, `collection`, `year`, …
    #[arg(long, value_name = "FACET")]
    by: Vec<String>,
    /// Only what has this term: `FACET=TERM`; several of one facet are alternatives, and all
    /// facets hold on the same series.
    #[arg(long = "where", value_name = "FACET=TERM")]
    within: Vec<String>,
}

pub(super) fn run(common: &Common, command: &Count) -> Result<Ended> {
    let mut any_of: BTreeMap<Facet, Vec<String>> = BTreeMap::new();
    for pair in &command.within {
        let (facet, term) = pair.split_once('=').ok_or_else(|| {
            Error::Invalid(format!("`{pair}`: write `FACET=TERM`, such as `modality=MG`"))
        })?;
        any_of.entry(named(facet)?).or_default().push(term.to_owned());
    }
    let facets = command.by.iter().map(|name| named(name)).collect::<Result<Vec<_>>>()?;
    let criteria = Criteria { any_of, ..Criteria::default() };
    let node = Node::open(common)?;
    node.catch_up()?;
    let view = node.index.read();
    let actor = Actor::operator();
    tell(common, None, "", &view.count(&actor, &criteria));
    for facet in facets {
        for count in view.facet(&actor, &criteria, facet) {
            tell(common, Some(facet), &count.term, &count.counts);
        }
    }
    Ok(Ended::Done)
}

fn named(name: &str) -> Result<Facet> {
    serde_json::from_value(serde_json::Value::from(name)).map_err(|_| {
        let known: Vec<String> = Facet::ALL
            .iter()
            .filter_map(|facet| serde_json::to_value(facet).ok()?.as_str().map(str::to_owned))
            .collect();
        Error::Invalid(format!("`{name}` is no facet; one of {}", known.join(", ")))
    })
}

fn tell(common: &Common, facet: Option<Facet>, term: &str, counts: &Counts) {
    let mut value = serde_json::to_value(counts).unwrap_or_default();
    if let (Some(facet), Some(object)) = (facet, value.as_object_mut()) {
        object.insert("facet".to_owned(), serde_json::to_value(facet).unwrap_or_default());
        object.insert("term".to_owned(), term.into());
    }
    say(common, "count", &value, || {
        format!(
            "{:>9} patients {:>9} studies {:>9} series {:>11} images  {term}",
            counts.patients, counts.studies, counts.series, counts.images
        )
    });
}
