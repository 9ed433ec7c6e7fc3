//! The data quality and utility label (Regulation (EU) 2025/327, Article 78; QUANTUM): metrics as
//! rows of `quality.toml`, measured on the archive through the disclosure rule, written as a
//! document of DQV (W3C Data Quality Vocabulary) at its own address.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use oxrdf::{Graph, NamedNode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::elements::completeness;
use super::figures::{Disclosed, Facts, Figures};
use super::graph::{Draft, Writer, moment, part};
use super::shelf::Entry;
use super::{AccessRights, Day, Selection, Text, emit, release};
use crate::error::{Error, Result};
use crate::imaging::{FINDING_KINDS, Facet};
use crate::index::disclosure::Rule;

/// `quality.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QualityFile {
    /// Version of the table: every label names it.
    pub version: String,
    /// Its dimensions.
    #[serde(rename = "dimension")]
    pub dimensions: Vec<Dimension>,
    /// Its metrics.
    #[serde(rename = "metric")]
    pub metrics: Vec<Metric>,
}

/// A dimension of quality (`dqv:Dimension`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// Its name.
    pub id: String,
    /// The point of the Regulation that asks for it.
    pub article: String,
    /// What people call it, per language.
    pub label: Text,
}

/// A metric (`dqv:Metric`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name.
    pub id: String,
    /// The dimension that it measures.
    pub dimension: String,
    /// Its weight in the score.
    pub weight: u32,
    /// What a value must reach for level 1, 2, 3, 4; for days: not exceed.
    pub levels: [f64; 4],
    /// What is computed.
    pub figure: Figure,
    /// What people call it, per language.
    pub label: Text,
    /// What it means, per language.
    pub definition: Text,
}

/// What a metric computes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum Figure {
    /// Mean share of studies that hold each of the DICOM keywords.
    Attributes {
        /// Keywords as in PS3.6.
        of: Vec<String>,
    },
    /// Share of studies that have none of the findings.
    Without {
        /// Codes of findings.
        of: Vec<String>,
    },
    /// Share of studies of which every series that the dataset holds has a code of the facet.
    Coded {
        /// A facet of series whose terms are `system|code`, and `|text` where there is no code.
        facet: Facet,
    },
    /// Days from the newest study to the day of counting.
    Days {},
    /// Share of the years between the first and the last that have studies.
    Years {},
    /// Share of the due elements of the implementing act that are given.
    Elements {},
}

impl Figure {
    /// In words for machines and stewards: what was asked of the archive.
    #[must_use]
    pub fn query(&self) -> String {
        match self {
            Self::Attributes { of } => {
                format!("mean over [{}] of studies(attribute) / studies", of.join(", "))
            }
            Self::Without { of } => {
                format!("1 - studies(finding in [{}]) / studies", of.join(", "))
            }
            Self::Coded { facet } => {
                let name = facet_name(*facet);
                format!("1 - studies(series of the dataset without a code of `{name}`) / studies")
            }
            Self::Days {} => "days(day of counting - newest study)".to_owned(),
            Self::Years {} => "years with studies / years of coverage".to_owned(),
            Self::Elements {} => "elements given / elements due".to_owned(),
        }
    }
}

/// What a metric measured on a dataset.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Measure {
    /// The metric.
    pub metric: String,
    /// The value: a share to two digits, or days.
    pub value: f64,
    /// The level that it reaches, 0 to 4.
    pub level: u8,
}

/// The highest level.
pub const LEVELS: u8 = 4;

/// Reads `quality.toml`.
pub(super) fn read(folder: Option<&Path>) -> Result<QualityFile> {
    let file: QualityFile = release::read("quality.toml", folder)?;
    let wrong = |id: &str, problem: String| {
        Err(Error::Configuration(format!("catalogue/quality.toml: metric `{id}`: {problem}")))
    };
    let mut seen = BTreeSet::new();
    for metric in &file.metrics {
        if !super::is_slug(&metric.id) || !seen.insert(&metric.id) {
            return wrong(&metric.id, "the name is no slug, or stands twice".to_owned());
        }
        if !file.dimensions.iter().any(|dimension| dimension.id == metric.dimension) {
            return wrong(&metric.id, format!("dimension `{}` is missing", metric.dimension));
        }
        if metric.weight == 0 {
            return wrong(&metric.id, "a weight of 0 measures nothing; remove the row".to_owned());
        }
        let ordered = match metric.figure {
            Figure::Days {} => metric.levels.is_sorted_by(|a, b| a > b),
            _ => metric.levels.is_sorted_by(|a, b| a < b),
        };
        if !ordered {
            return wrong(&metric.id, "the levels do not become stricter".to_owned());
        }
        if let Figure::Attributes { of } | Figure::Without { of } = &metric.figure
            && of.is_empty()
        {
            return wrong(&metric.id, "`of` is empty".to_owned());
        }
        if let Figure::Coded { facet } = metric.figure
            && facet != Facet::BodySite
        {
            let name = facet_name(facet);
            return wrong(&metric.id, format!("the terms of `{name}` are not codes of series"));
        }
        if let Figure::Without { of } = &metric.figure
            && let Some(code) =
                of.iter().find(|code| !FINDING_KINDS.iter().any(|kind| kind.code == code.as_str()))
        {
            return wrong(&metric.id, format!("`{code}` is no kind of finding"));
        }
    }
    Ok(file)
}

impl Metric {
    /// The level that a value reaches.
    #[must_use]
    pub fn level(&self, value: f64) -> u8 {
        let reached = self.levels.iter().take_while(|limit| match self.figure {
            Figure::Days {} => value <= **limit,
            _ => value >= **limit,
        });
        u8::try_from(reached.count()).unwrap_or(LEVELS)
    }

    fn measure(&self, value: f64) -> Measure {
        let value = (value * 100.0).round() / 100.0;
        Measure { metric: self.id.clone(), value, level: self.level(value) }
    }
}

impl QualityFile {
    /// Measures a selection. What the rule does not show is not measured; `None` as rule: exact.
    ///
    /// # Errors
    /// When the index or the store does not answer.
    pub fn measure(
        &self,
        counted: &Figures,
        shown: &Disclosed,
        facts: &dyn Facts,
        selection: &Selection,
        rule: Rule,
        now: Timestamp,
    ) -> Result<Vec<Measure>> {
        let mut measures = Vec::new();
        for metric in &self.metrics {
            let value = match &metric.figure {
                Figure::Attributes { of } => {
                    let shares: Vec<f64> = of
                        .iter()
                        .map(|keyword| {
                            shown.coverage.get(keyword).map_or(0.0, |share| f64::from(*share))
                        })
                        .collect();
                    #[allow(clippy::cast_precision_loss, reason = "a handful of keywords")]
                    let mean = shares.iter().sum::<f64>() / shares.len().max(1) as f64 / 100.0;
                    // Without a total nothing is shown of anything.
                    shown.records.map(|_| mean)
                }
                Figure::Without { .. } | Figure::Coded { .. } => {
                    let passing = facts.passing(selection, &metric.figure)?;
                    // Without a total nothing is shown of anything.
                    let share = shown.records.and_then(|_| counted.percent(&passing, rule));
                    share.map(|share| f64::from(share) / 100.0)
                }
                Figure::Days {} => newest(shown).and_then(|day| {
                    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
                    let days = today.since(day.0).ok()?.get_days();
                    Some(f64::from(days.max(0)))
                }),
                Figure::Years {} => years(shown),
                // Of the document, which is not written yet.
                Figure::Elements {} => None,
            };
            measures.extend(value.map(|value| metric.measure(value)));
        }
        Ok(measures)
    }

    /// The measures of a published dataset: those of its figures and that of its document.
    ///
    /// # Errors
    /// When the stored document is damaged.
    pub fn measures(&self, writer: Writer<'_>, entry: &Entry) -> Result<Vec<Measure>> {
        let mut measures = entry.figures().measures;
        let rights = entry.description().access_rights.unwrap_or(AccessRights::NonPublic);
        let document = emit::parse(&entry.document)?;
        let dataset = writer.dataset_iri(&entry.slug);
        let standings = completeness(&document, &dataset, rights, writer.release);
        let due = standings.iter().filter(|standing| standing.is_due);
        let (due, given) = due.fold((0_u32, 0_u32), |(due, given), standing| {
            (due + 1, given + u32::from(standing.is_there))
        });
        let of_document = self.metrics.iter().filter(|m| m.figure == Figure::Elements {});
        for metric in of_document {
            measures.push(metric.measure(f64::from(given) / f64::from(due.max(1))));
        }
        let place = |measure: &Measure| self.metrics.iter().position(|m| m.id == measure.metric);
        // A metric that the table no longer has is no metric of this version.
        measures.retain(|measure| place(measure).is_some());
        measures.sort_by_key(place);
        Ok(measures)
    }

    /// The score in percent: levels by weight. What is withheld counts as the lowest level: nobody
    /// may look better for what is not shown.
    #[must_use]
    pub fn score(&self, measures: &[Measure]) -> Option<u8> {
        let (mut reached, mut whole) = (0_u32, 0_u32);
        for metric in &self.metrics {
            let measure = measures.iter().find(|measure| measure.metric == metric.id);
            reached += metric.weight * measure.map_or(0, |measure| u32::from(measure.level));
            whole += metric.weight * u32::from(LEVELS);
        }
        u8::try_from((reached * 100).checked_div(whole)?).ok()
    }

    /// The metrics that were not measured, as the disclosure rule shows nothing for them.
    pub fn withheld(&self, measures: &[Measure]) -> impl Iterator<Item = &Metric> {
        let is_there = |id: &str| measures.iter().any(|measure| measure.metric == id);
        self.metrics.iter().filter(move |metric| !is_there(&metric.id))
    }
}

/// The facet as selections spell it.
fn facet_name(facet: Facet) -> String {
    let name = serde_json::to_value(facet).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The day of the newest study, or the end of the newest year of which a count is shown.
fn newest(shown: &Disclosed) -> Option<Day> {
    if shown.is_exact {
        return shown.to;
    }
    let years = shown.terms(Facet::Year).filter_map(|cell| cell.term.parse().ok());
    jiff::civil::Date::new(years.max()?, 12, 31).ok().map(Day)
}

/// The share of the years of coverage that have a shown count.
fn years(shown: &Disclosed) -> Option<f64> {
    let years: BTreeSet<i32> = shown
        .terms(Facet::Year)
        .filter(|cell| cell.records.is_some_and(|records| records > 0))
        .filter_map(|cell| cell.term.parse().ok())
        .collect();
    let span = years.last()? - years.first()? + 1;
    #[allow(clippy::cast_precision_loss, reason = "years")]
    let share = years.len() as f64 / f64::from(span);
    Some(share)
}

impl Writer<'_> {
    /// The IRI of the label of a dataset.
    #[must_use]
    pub fn label_iri(&self, slug: &str) -> NamedNode {
        self.iri(&format!("/dataset/{slug}/label"))
    }

    /// The label of a published dataset as a document: every measurement, the metric with its
    /// definition and what was asked of the archive, the dimension with its article, the score.
    ///
    /// # Errors
    /// When the stored document is damaged.
    pub fn label(&self, entry: &Entry) -> Result<Graph> {
        let file = &self.release.quality;
        let measures = file.measures(*self, entry)?;
        let figures = entry.figures();
        let description = entry.description();
        let mut draft = Draft::new(*self);
        let label = self.label_iri(&entry.slug);
        let dataset = self.dataset_iri(&entry.slug);
        let time = moment(entry.modified);
        draft.kind(&label, "dqv:QualityMetadata");
        draft.kind(&label, "foaf:Document");
        draft.phrase(&label, "dct:title", "label", &description.title);
        draft.phrase(&label, "dct:description", "label-description", &description.title);
        draft.add(&label, "foaf:primaryTopic", dataset.clone());
        draft.literal(&label, "dcat:version", &file.version);
        draft.typed(&label, "dct:modified", &time, "xsd:dateTime");
        if !self.config.organisation.name.is_empty() {
            draft.literal(&label, "dct:creator", &self.config.organisation.name);
        }
        let measured = |draft: &mut Draft<'_>, node: &NamedNode, on: &NamedNode, of: &NamedNode| {
            draft.kind(node, "dqv:QualityMeasurement");
            draft.add(node, "dqv:computedOn", on.clone());
            draft.add(node, "dqv:isMeasurementOf", of.clone());
            draft.typed(node, "prov:generatedAtTime", &time, "xsd:dateTime");
            draft.add(&label, "dct:hasPart", node.clone());
        };
        for measure in &measures {
            let Some(metric) = file.metrics.iter().find(|row| row.id == measure.metric) else {
                continue;
            };
            let node = part(&label, &metric.id);
            let of = part(&label, &format!("metric-{}", metric.id));
            measured(&mut draft, &node, &dataset, &of);
            let kind = match metric.figure {
                Figure::Days {} => "xsd:integer",
                _ => "xsd:decimal",
            };
            draft.typed(&node, "dqv:value", &measure.value.to_string(), kind);
            draft.typed(&node, "rdf:value", &measure.level.to_string(), "xsd:integer");
            draft.kind(&of, "dqv:Metric");
            draft.text(&of, "skos:prefLabel", &metric.label);
            draft.text(&of, "skos:definition", &metric.definition);
            let expected = self.release.term(kind);
            draft.add(&of, "dqv:expectedDataType", expected);
            draft.literal(&of, "rdfs:comment", &metric.figure.query());
            draft.typed(&of, "skos:notation", &metric.weight.to_string(), "xsd:integer");
            let dimension = part(&label, &format!("dimension-{}", metric.dimension));
            draft.add(&of, "dqv:inDimension", dimension.clone());
            if let Some(row) = file.dimensions.iter().find(|row| row.id == metric.dimension) {
                draft.kind(&dimension, "dqv:Dimension");
                draft.text(&dimension, "skos:prefLabel", &row.label);
                draft.literal(&dimension, "skos:note", &format!("Article {}", row.article));
            }
        }
        for waiver in self.waivers_of(entry) {
            self.put_waiver(&mut draft, &label, &waiver);
        }
        for metric in file.withheld(&measures) {
            let of = part(&label, &format!("metric-{}", metric.id));
            draft.kind(&of, "dqv:Metric");
            draft.text(&of, "skos:prefLabel", &metric.label);
            draft.text(&of, "skos:definition", &metric.definition);
            draft.phrase(&of, "skos:note", "withheld", &description.title);
            draft.add(&label, "dct:hasPart", of);
        }
        if let Some(score) = file.score(&measures) {
            let node = part(&label, "score");
            let of = part(&label, "metric-score");
            measured(&mut draft, &node, &dataset, &of);
            draft.typed(&node, "dqv:value", &score.to_string(), "xsd:integer");
            draft.kind(&of, "dqv:Metric");
            draft.phrase(&of, "skos:prefLabel", "score", &description.title);
            draft.phrase(&of, "skos:definition", "score-definition", &description.title);
            let integer = self.release.term("xsd:integer");
            draft.add(&of, "dqv:expectedDataType", integer);
        }
        // How many studies hold each variable of the dictionary.
        let of = part(&label, "metric-coverage");
        for variable in &self.release.variables {
            let Some(share) = figures.coverage.get(&variable.attribute) else { continue };
            let node = part(&label, &format!("coverage-{}", variable.name));
            let column = part(&dataset, &format!("variable-{}", variable.name));
            measured(&mut draft, &node, &column, &of);
            draft.typed(&node, "dqv:value", &share.to_string(), "xsd:integer");
            draft.kind(&of, "dqv:Metric");
            draft.phrase(&of, "skos:prefLabel", "coverage-metric", &description.title);
            let integer = self.release.term("xsd:integer");
            draft.add(&of, "dqv:expectedDataType", integer);
        }
        Ok(draft.graph)
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, read};

    #[test]
    fn levels_are_reached_in_order() {
        let file = read(None).unwrap();
        for metric in &file.metrics {
            let [one, .., four] = metric.levels;
            assert_eq!((metric.level(one), metric.level(four)), (1, 4), "{}", metric.id);
            let beyond =
                if matches!(metric.figure, Figure::Days {}) { one + 1.0 } else { one - 0.01 };
            assert_eq!(metric.level(beyond), 0, "{}", metric.id);
        }
        assert_eq!(file.metrics.iter().map(|metric| metric.weight).sum::<u32>(), 100);
    }
}
