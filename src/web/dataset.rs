//! The page of one dataset.
//!
//! Every number here is a published one; this file only lays them out.

use std::sync::Arc;

use askama::Template;

use super::chart::Chart;
use super::cite::Citation;
use super::layout::{Layout, Place, Site};
use super::problem::render;
use super::reader::Reader;
use super::tongue::Tongue;
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
    pub fn label(self, tongue: &'static Tongue) -> &'static str {
        tongue.word(match self {
            Self::Open => "access.open",
            Self::Restricted => "access.restricted",
            Self::Permit => "access.permit",
        })
    }

    /// That of a code of the authority table.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        [Self::Open, Self::Restricted, Self::Permit].into_iter().find(|one| one.code() == code)
    }

    /// The label of a code of the authority table.
    #[must_use]
    pub fn label_of<'c>(code: &'c str, tongue: &'static Tongue) -> &'c str {
        Self::of_code(code).map_or(code, |access| access.label(tongue))
    }

    /// What it means for somebody who wants the data.
    #[must_use]
    pub fn explanation(self, tongue: &'static Tongue) -> &'static str {
        tongue.word(match self {
            Self::Open => "access.open-long",
            Self::Restricted => "access.restricted-long",
            Self::Permit => "access.permit-long",
        })
    }

    /// What it means, where no dataset is at hand.
    #[must_use]
    pub fn meaning(self, tongue: &'static Tongue) -> &'static str {
        tongue.word(match self {
            Self::Open => "access.open-meaning",
            Self::Restricted => "access.restricted-meaning",
            Self::Permit => "access.permit-meaning",
        })
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

impl VariableGroup {
    /// How many variables it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.len() as u64
    }
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

pub(super) struct Form {
    pub name: &'static str,
    pub media: &'static str,
    pub href: String,
}

/// The forms of a document at a path.
pub(super) fn forms(path: &str, forms: &[(&'static str, &'static str, &'static str)]) -> Vec<Form> {
    let of = |(name, media, suffix): &(&'static str, &'static str, &'static str)| Form {
        name,
        media,
        href: format!("{path}.{suffix}"),
    };
    forms.iter().map(of).collect()
}

#[derive(Template)]
#[template(path = "dataset.html")]
struct Page<'d> {
    layout: Layout,
    dataset: &'d DatasetPage,
    forms: Vec<Form>,
    is_in_cart: bool,
}

/// The page of a dataset.
///
/// # Errors
/// When the template fails, which is a fault of ours.
pub fn render_dataset(site: &Arc<Site>, reader: &Reader, dataset: &DatasetPage) -> Result<String> {
    let path = format!("/dataset/{}", dataset.slug);
    let mut layout = Layout::new(site, reader, &dataset.title.text, Place::Catalog);
    layout.summary = dataset.description.short(300);
    layout.canonical = Some(dataset.address.clone());
    layout.alternates = super::public::alternates(&path);
    let mut forms = forms(&path, super::public::FORMS);
    forms.push(Form {
        name: "Croissant",
        media: "application/ld+json",
        href: format!("{path}.croissant.json"),
    });
    let is_in_cart = reader.has(&dataset.slug);
    render(&Page { layout, dataset, forms, is_in_cart })
}

#[derive(Template)]
#[template(path = "withdrawn.html")]
struct WithdrawnPage<'d> {
    layout: Layout,
    title: &'d Phrase,
    since: &'d str,
    successor: Option<String>,
}

/// The page of a withdrawn dataset (status 410). `since` is the day, for people; `successor` the
/// slug of the dataset that took its place.
///
/// # Errors
/// When the template fails, which is a fault of ours.
pub fn render_withdrawn(
    site: &Arc<Site>,
    reader: &Reader,
    title: &Phrase,
    since: &str,
    successor: Option<String>,
) -> Result<String> {
    let mut layout =
        Layout::new(site, reader, reader.tongue.word("dataset.withdrawn"), Place::Catalog);
    layout.is_unlisted = true;
    render(&WithdrawnPage { layout, title, since, successor })
}
