//! The quality label of a dataset for people: what the RDF document at the same address says.

use askama::Template;

use super::Pages;
use super::dataset::{Form, forms};
use super::layout::{Layout, Place};
use super::problem::render;
use super::reader::Reader;
use super::words::Phrase;
use crate::catalogue::{Figure, LEVELS, State, Writer};
use crate::error::{Error, Result};

struct Line {
    label: Phrase,
    dimension: String,
    definition: Phrase,
    query: String,
    value: String,
    level: String,
    weight: u32,
}

#[derive(Template)]
#[template(path = "label.html")]
struct LabelPage {
    layout: Layout,
    slug: String,
    title: Phrase,
    score: String,
    version: String,
    lines: Vec<Line>,
    /// Exceptions from the profile, each with its reason.
    waivers: Vec<(String, Phrase)>,
    forms: Vec<Form>,
}

/// The page of a label: published values only, none counted anew.
pub(super) fn page(pages: &Pages, reader: &Reader, slug: &str) -> Result<String> {
    let tongue = reader.tongue;
    let entry = pages.entry(slug)?;
    if entry.state != State::Published {
        return Err(Error::Gone { kind: "the dataset", id: slug.to_owned() });
    }
    let file = &pages.release().quality;
    let writer = Writer { config: pages.config(), release: pages.release() };
    let measures = file.measures(writer, &entry)?;
    let converter = pages.converter(tongue);
    let lines = file
        .metrics
        .iter()
        .map(|metric| {
            let measure = measures.iter().find(|measure| measure.metric == metric.id);
            let dimension = file.dimensions.iter().find(|row| row.id == metric.dimension);
            Line {
                label: converter.best(&metric.label),
                dimension: dimension.map_or_else(String::new, |row| {
                    tongue.put_two("label.article", converter.best(&row.label).text, &row.article)
                }),
                definition: converter.best(&metric.definition),
                query: metric.figure.query(),
                value: measure.map_or_else(
                    || tongue.word("operator.not-shown").to_owned(),
                    |measure| match metric.figure {
                        #[allow(
                            clippy::cast_possible_truncation,
                            clippy::cast_sign_loss,
                            reason = "days, which are few and not negative"
                        )]
                        Figure::Days {} => tongue.counted("day", measure.value.max(0.0) as u64),
                        _ => format!("{:.0}\u{a0}%", measure.value * 100.0),
                    },
                ),
                level: measure.map_or_else(
                    || "–".to_owned(),
                    |measure| tongue.put_two("label.level-of", measure.level, LEVELS),
                ),
                weight: metric.weight,
            }
        })
        .collect();
    let waivers = writer
        .waivers_of(&entry)
        .iter()
        .map(|waiver| {
            let phrase = pages.release().phrase("waived", &tongue.code);
            let phrase = phrase.or_else(|| pages.release().phrase("waived", "en"));
            let sentence = phrase.unwrap_or_default().replace("{rule}", &waiver.rule);
            (sentence, converter.best(&waiver.reason))
        })
        .collect();
    let path = format!("/dataset/{slug}/label");
    let mut layout =
        Layout::new(pages.site(), reader, tongue.word("dataset.label"), Place::Catalog);
    layout.canonical = Some(format!("{}{path}", pages.site().base));
    layout.alternates = super::public::alternates(&path);
    render(&LabelPage {
        layout,
        slug: slug.to_owned(),
        title: pages.title_in(&entry, tongue),
        score: file.score(&measures).map_or_else(String::new, |score| format!("{score}\u{a0}%")),
        version: file.version.clone(),
        lines,
        waivers,
        forms: forms(&path, super::public::FORMS),
    })
}
