//! The page of one dataset.
//!
//! Every number here is a published one; this file only lays them out.

use std::sync::Arc;

use askama::Template;

use super::chart::Chart;
use super::cite::Citation;
use super::layout::{Layout, Place, Site};
use super::problem::render;
use super::words::{Item, Phrase};
use crate::error::Result;

/// How the data can be had, by the EU authority table of access rights.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Access {
    /// Anyone may have them.
    Open,
    /// Some may, under conditions.
    Restricted,
    /// Only with a data permit.
    #[default]
    Permit,
}

impl Access {
    /// The code in the EU authority table.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "PUBLIC",
            Self::Restricted => "RESTRICTED",
            Self::Permit => "NON_PUBLIC",
        }
    }

    /// In two words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "Open access",
            Self::Restricted => "Restricted access",
            Self::Permit => "Data permit needed",
        }
    }

    /// The label of a code of the authority table.
    #[must_use]
    pub fn label_of(code: &str) -> &str {
        let all = [Self::Open, Self::Restricted, Self::Permit];
        let known = all.into_iter().find(|access| access.code() == code);
        known.map_or(code, |access| access.label())
    }

    /// What it means for somebody who wants the data.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Open => {
                "Anyone may have these data under the licence given below. No application is \
                 needed."
            }
            Self::Restricted => {
                "These data are given to those who meet the conditions stated below. Ask the \
                 health data access body or the data holder first."
            }
            Self::Permit => {
                "The data themselves are not public. They may be used for research, public \
                 health, policy or innovation with a data permit of the health data access body \
                 (Regulation (EU) 2025/327, Articles 67 and 68), in a secure processing \
                 environment (Article 73). This page, the description, is open to all."
            }
        }
    }

    /// What it means, where no dataset is at hand.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Open => "Anyone may have the data under their licence, without an application.",
            Self::Restricted => {
                "The data are given to those who meet the conditions that the dataset states."
            }
            Self::Permit => {
                "The data may be used with a data permit of the health data access body, in a \
                 secure processing environment (Regulation (EU) 2025/327, Articles 67 to 73). \
                 Their descriptions are open to all."
            }
        }
    }

    /// Whether one applies for the data.
    #[must_use]
    pub const fn needs_application(self) -> bool {
        !matches!(self, Self::Open)
    }

    /// The name of its style.
    #[must_use]
    pub const fn style(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Restricted => "restricted",
            Self::Permit => "permit",
        }
    }
}

/// A key figure.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tile {
    /// What is counted.
    pub label: &'static str,
    /// The figure.
    pub value: String,
}

/// A property with its values.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fact {
    /// Its name.
    pub label: &'static str,
    /// Its values.
    pub items: Vec<Item>,
}

/// A way to get the data.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DistributionCard {
    /// Its title.
    pub title: Phrase,
    /// Its description.
    pub description: Phrase,
    /// Where one asks for or finds the data.
    pub access: Option<Item>,
    /// Where one downloads them.
    pub download: Option<Item>,
    /// Format, licence, rights, size, availability, documentation.
    pub facts: Vec<Fact>,
}

/// An organisation with where to turn to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AgentCard {
    /// Its name.
    pub name: String,
    /// What it is, in the words of the publisher types.
    pub kind: String,
    /// A note on it.
    pub note: Phrase,
    /// Its contact page.
    pub page: Option<Item>,
    /// Its e-mail address.
    pub email: Option<Item>,
    /// Its telephone number.
    pub telephone: String,
    /// Whether it is a trusted health data holder (Article 72).
    pub is_trusted: bool,
}

/// A variable of the data.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VariableRow {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Its type.
    pub datatype: String,
    /// What it is.
    pub description: String,
    /// The DICOM keyword that it comes from.
    pub attribute: String,
}

/// The variables of one table of the data.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VariableGroup {
    /// What a row of that table is.
    pub title: &'static str,
    /// Its variables.
    pub rows: Vec<VariableRow>,
}

/// Everything on the page of a dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatasetPage {
    /// Last part of its address.
    pub slug: String,
    /// Its IRI.
    pub address: String,
    /// Its title.
    pub title: Phrase,
    /// Other names and translations of the title.
    pub alternative: Vec<Phrase>,
    /// Its description.
    pub description: Phrase,
    /// How the data can be had.
    pub access: Access,
    /// Key figures.
    pub tiles: Vec<Tile>,
    /// How the figures were made safe to show.
    pub figures_note: String,
    /// Charts with their tables.
    pub charts: Vec<Chart>,
    /// Ways to get the data.
    pub distributions: Vec<DistributionCard>,
    /// A sample.
    pub sample: Option<DistributionCard>,
    /// The health data access body.
    pub hdab: Option<AgentCard>,
    /// The coordinating access body.
    pub hdab_coordinator: Option<AgentCard>,
    /// Where one applies.
    pub application: Option<Item>,
    /// The health data holder.
    pub custodian: Option<AgentCard>,
    /// The publisher, where it is somebody else.
    pub publisher: Option<AgentCard>,
    /// Whom to ask about the dataset.
    pub contact: Option<AgentCard>,
    /// Where the data come from.
    pub provenance: Phrase,
    /// Whom they cover, why and how they were collected, and the like.
    pub about: Vec<Fact>,
    /// Themes, categories, standards.
    pub classification: Vec<Fact>,
    /// Version, release and changes.
    pub history: Vec<Fact>,
    /// What is new.
    pub version_notes: Phrase,
    /// The variables.
    pub variables: Vec<VariableGroup>,
    /// Keywords with the address of the list narrowed to them.
    pub keywords: Vec<Item>,
    /// How to cite.
    pub citation: Citation,
    /// schema.org `Dataset` as JSON-LD, made safe for a script element.
    pub json_ld: String,
}

impl DatasetPage {
    /// Whether a count of a chart is not shown.
    #[must_use]
    pub fn has_hidden(&self) -> bool {
        self.charts.iter().any(|chart| chart.has_hidden)
    }
}

struct Form {
    name: &'static str,
    media: &'static str,
    href: String,
}

#[derive(Template)]
#[template(path = "dataset.html")]
struct Page<'d> {
    layout: Layout,
    dataset: &'d DatasetPage,
    forms: Vec<Form>,
}

/// The page of a dataset.
///
/// # Errors
/// When the template fails, which is a fault of ours.
pub fn render_dataset(site: &Arc<Site>, dataset: &DatasetPage) -> Result<String> {
    let path = format!("/dataset/{}", dataset.slug);
    let mut layout = Layout::new(site, &dataset.title.text, Place::Catalog);
    layout.summary = dataset.description.short(300);
    layout.canonical = Some(dataset.address.clone());
    layout.alternates = super::public::alternates(&path);
    let forms = super::public::FORMS
        .iter()
        .map(|(name, media, suffix)| Form { name, media, href: format!("{path}.{suffix}") })
        .collect();
    render(&Page { layout, dataset, forms })
}

#[derive(Template)]
#[template(path = "withdrawn.html")]
struct WithdrawnPage<'d> {
    layout: Layout,
    title: &'d Phrase,
    since: &'d str,
}

/// The page of a withdrawn dataset (status 410). `since` is the day, for people.
///
/// # Errors
/// When the template fails, which is a fault of ours.
pub fn render_withdrawn(site: &Arc<Site>, title: &Phrase, since: &str) -> Result<String> {
    let mut layout = Layout::new(site, "Withdrawn dataset", Place::Catalog);
    layout.is_unlisted = true;
    render(&WithdrawnPage { layout, title, since })
}
