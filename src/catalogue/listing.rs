//! The catalogue itself: pages of datasets with Hydra, catalogue records, series.
//!
//! A page holds the Catalog with its datasets inline, as harvesters want it (ckanext-dcat reads
//! only one page after another). It is judged by DCAT-AP without the axiom that a Catalog is a
//! Dataset; the documents of datasets hold no Catalog.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use oxrdf::{Graph, NamedNode};

use super::description::Series;
use super::emit::{self, Format};
use super::graph::{Draft, Writer, moment};
use super::language::language_code;
use super::log::{Log, Snapshot};
use super::parts::{Packed, Parts};
use super::release::Scheme;
use super::shelf::{Entry, Shelf, State};
use crate::error::Result;

/// Which page of the listing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Page {
    /// From 1.
    pub number: usize,
    /// Datasets on a page.
    pub size: usize,
    /// The suffix that the reader came by; links to other pages keep it, because harvesters
    /// parse every page as they parsed the first.
    pub suffix: Option<Format>,
}

/// The document of a series.
#[derive(Debug)]
pub struct SeriesDocument {
    /// What it says.
    pub graph: Graph,
    /// Whether its last dataset was withdrawn.
    pub is_withdrawn: bool,
}

impl Writer<'_> {
    /// A page of a snapshot of the catalogue; `None` when there is no such page. A dataset that
    /// was withdrawn meanwhile is on it as its tombstone and record, not as a Dataset.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn page(
        &self,
        log: &(impl Log + ?Sized),
        snapshot: &Snapshot,
        page: Page,
    ) -> Result<Option<Graph>> {
        let Some(slugs) = snapshot.slugs(page.number, page.size) else { return Ok(None) };
        let mut graph = self.page_frame(snapshot, page);
        for triple in &self.page_body(log, &slugs)? {
            graph.insert(triple);
        }
        Ok(Some(graph))
    }

    /// A page as it is sent: the same statements, those of the catalogue before those of its datasets.
    ///
    /// # Errors
    /// When the page cannot be written in that form.
    pub fn page_parts(
        &self,
        snapshot: &Snapshot,
        page: Page,
        format: Format,
        body: Arc<Packed>,
    ) -> Result<Parts> {
        let frame = self.page_frame(snapshot, page);
        let first = self.iri("/catalog");
        Parts::new(format, emit::emit(&frame, format, self.release, first.as_str())?, body)
    }

    /// What pages say of these datasets, packed, as long as none of them changes.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn page_packed(
        &self,
        log: &(impl Log + ?Sized),
        slugs: &[String],
        format: Format,
    ) -> Result<Packed> {
        if format.is_lines() {
            return Packed::of(format, &self.page_lines(log, slugs)?);
        }
        let first = self.iri("/catalog");
        let graph = self.page_body(log, slugs)?;
        Packed::of(format, &emit::emit(&graph, format, self.release, first.as_str())?)
    }

    /// What a page says of the catalogue and of the pages around it.
    fn page_frame(&self, snapshot: &Snapshot, page: Page) -> Graph {
        let mut draft = Draft::new(*self);
        let catalog = self.iri("/catalog");
        self.describe(&mut draft, &catalog, snapshot.time);
        self.hydra(&mut draft, &catalog, page, snapshot);
        draft.graph
    }

    /// What a page says of its datasets, but for what every page says.
    fn page_body(&self, log: &(impl Log + ?Sized), slugs: &[String]) -> Result<Graph> {
        let (mut graph, documents) = self.members(log, slugs)?;
        for document in &documents {
            for triple in &emit::parse(document)? {
                graph.insert(triple);
            }
        }
        for triple in &self.said_anyway() {
            graph.remove(triple);
        }
        Ok(graph)
    }

    /// The same as canonical lines, without a graph of the documents in between.
    fn page_lines(&self, log: &(impl Log + ?Sized), slugs: &[String]) -> Result<Vec<u8>> {
        let (graph, documents) = self.members(log, slugs)?;
        let (members, anyway) = (emit::canonical(&graph), emit::canonical(&self.said_anyway()));
        let anyway: HashSet<&str> = anyway.split_inclusive('\n').collect();
        let texts = documents.iter().chain([&members]);
        let mut lines: Vec<&str> = texts
            .flat_map(|text| text.split_inclusive('\n'))
            .filter(|line| !anyway.contains(line))
            .collect();
        lines.sort_unstable();
        lines.dedup();
        Ok(lines.concat().into_bytes())
    }

    /// What every page says of the catalogue.
    fn said_anyway(&self) -> Graph {
        let mut draft = Draft::new(*self);
        self.describe(&mut draft, &self.iri("/catalog"), None);
        draft.graph
    }

    /// Records and series of datasets, and their documents.
    fn members(&self, log: &(impl Log + ?Sized), slugs: &[String]) -> Result<(Graph, Vec<String>)> {
        let mut draft = Draft::new(*self);
        let catalog = self.iri("/catalog");
        let mut documents = Vec::with_capacity(slugs.len());
        for entry in log.entries(slugs)? {
            if entry.state == State::Failed {
                continue;
            }
            draft.add(&catalog, "dcat:record", self.record_iri(&entry.slug));
            let is_withdrawn = entry.state == State::Withdrawn;
            let status = if is_withdrawn { "WITHDRAWN" } else { "COMPLETED" };
            put_record(&mut draft, *self, &entry.slug, entry.issued, entry.modified, status);
            self.put_conformance(&mut draft, &entry);
            if !is_withdrawn {
                draft.add(&catalog, "dcat:dataset", self.dataset_iri(&entry.slug));
                self.put_record_about(&mut draft, &entry);
                self.put_series(&mut draft, &entry);
            }
            documents.push(entry.document);
        }
        Ok((draft.graph, documents))
    }

    /// The catalogue with the datasets that it holds, without their documents.
    #[must_use]
    pub fn catalogue<'s>(
        &self,
        slugs: impl Iterator<Item = &'s str>,
        latest: Option<Timestamp>,
    ) -> Graph {
        let mut draft = Draft::new(*self);
        let catalog = self.iri("/catalog");
        self.describe(&mut draft, &catalog, latest);
        for slug in slugs {
            draft.add(&catalog, "dcat:dataset", self.dataset_iri(slug));
            draft.add(&catalog, "dcat:record", self.record_iri(slug));
        }
        draft.graph
    }

    /// The record of a dataset: its own document.
    #[must_use]
    pub fn record(&self, entry: &Entry) -> Graph {
        let mut draft = Draft::new(*self);
        let status = if entry.state == State::Withdrawn { "WITHDRAWN" } else { "COMPLETED" };
        put_record(&mut draft, *self, &entry.slug, entry.issued, entry.modified, status);
        self.put_conformance(&mut draft, entry);
        self.put_record_about(&mut draft, entry);
        draft.graph
    }

    /// A series of datasets with its members, or what stays of it when the last was withdrawn;
    /// `None` when no dataset ever named it.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn series(&self, shelf: &dyn Shelf, id: &str) -> Result<Option<SeriesDocument>> {
        let mut draft = Draft::new(*self);
        let (mut last, mut left): (Option<(Timestamp, Series)>, Option<Timestamp>) = (None, None);
        for slugs in shelf.slugs()?.chunks(500) {
            for entry in shelf.entries(slugs)? {
                // To read every description costs far more than to look into it.
                let is_said = entry.text.contains(id) || entry.text.contains('\\');
                let may_be = entry.state != State::Failed && is_said;
                let series = may_be.then(|| entry.description().series).flatten();
                let Some(series) = series.filter(|series| series.id == id) else { continue };
                if entry.state == State::Published {
                    self.put_series(&mut draft, &entry);
                } else {
                    left = left.max(Some(entry.modified));
                    if last.as_ref().is_none_or(|(time, _)| *time < entry.modified) {
                        last = Some((entry.modified, series));
                    }
                }
            }
        }
        let node = self.iri(&format!("/series/{id}"));
        let is_withdrawn = draft.graph.is_empty();
        if is_withdrawn {
            let Some((_, series)) = last else { return Ok(None) };
            // Not typed as a series, so that nobody imports it.
            draft.text(&node, "dct:title", &series.title);
            draft.literal(&node, "dct:identifier", node.as_str());
            draft.concept(&node, "adms:status", Scheme::DatasetStatus, "WITHDRAWN");
        }
        if let Some(left) = left {
            // It changed when a member left.
            self.put_extreme(&mut draft, &node, "dct:modified", left, |new, old| new > old);
        }
        Ok(Some(SeriesDocument { graph: draft.graph, is_withdrawn }))
    }

    /// What is said of a Catalog of all datasets, but which they are.
    pub(super) fn describe(
        &self,
        draft: &mut Draft<'_>,
        catalog: &NamedNode,
        latest: Option<Timestamp>,
    ) {
        let config = self.config;
        draft.kind(catalog, "dcat:Catalog");
        draft.tagged(catalog, "dct:title", "", &config.catalogue.title);
        draft.tagged(catalog, "dct:description", "", &config.catalogue.description);
        draft.concept(
            catalog,
            "dcatap:applicableLegislation",
            Scheme::Legislation,
            &self.release.file.legislation,
        );
        if let Some(code) = language_code(&config.catalogue.language) {
            draft.concept(catalog, "dct:language", Scheme::Language, code);
        }
        if !config.organisation.country.is_empty() {
            draft.concept(catalog, "dct:spatial", Scheme::Country, &config.organisation.country);
        }
        draft.document(catalog, "foaf:homepage", self.iri("/").as_str());
        let themes =
            NamedNode::new_unchecked(self.release.scheme(Scheme::DataTheme).scheme.as_str());
        draft.add(catalog, "dcat:themeTaxonomy", themes);
        if let Some(latest) = latest {
            draft.typed(catalog, "dct:modified", &moment(latest), "xsd:dateTime");
        }
        self.put_publisher(draft, catalog);
        for triple in &self.service() {
            draft.graph.insert(triple);
        }
        draft.add(catalog, "dcat:service", self.iri("/service/fhir"));
        self.put_about(draft, catalog);
    }

    /// The data holder as publisher of a catalogue.
    pub(super) fn put_publisher(&self, draft: &mut Draft<'_>, node: &NamedNode) {
        let publisher = NamedNode::new(self.config.organisation.iri.as_str())
            .unwrap_or_else(|_| self.iri("/agent/organisation"));
        draft.add(node, "dct:publisher", publisher);
        for triple in &self.agent("organisation").unwrap_or_default() {
            draft.graph.insert(triple);
        }
    }

    pub(super) fn put_series(&self, draft: &mut Draft<'_>, entry: &Entry) {
        let Some(series) = entry.description().series else { return };
        let node = self.iri(&format!("/series/{}", series.id));
        let dataset = self.dataset_iri(&entry.slug);
        draft.kind(&node, "dcat:DatasetSeries");
        draft.text(&node, "dct:title", &series.title);
        draft.text(&node, "dct:description", &series.description);
        draft.concept(
            &node,
            "dcatap:applicableLegislation",
            Scheme::Legislation,
            &self.release.file.legislation,
        );
        self.put_series_about(draft, &node, entry);
        draft.add(&node, "dcat:seriesMember", dataset.clone());
        draft.add(&dataset, "dcat:inSeries", node);
    }

    fn hydra(&self, draft: &mut Draft<'_>, catalog: &NamedNode, page: Page, snapshot: &Snapshot) {
        let (pages, total) = (snapshot.pages(page.size), snapshot.standing().len());
        let suffix = page.suffix.map_or_else(String::new, |format| format!(".{}", format.suffix()));
        let since = snapshot.since.map_or_else(String::new, |since| {
            format!("&modified_since={}", since.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
        });
        let token = snapshot.token();
        let address = |number: usize| {
            self.iri(&format!("/catalog{suffix}?page={number}&snapshot={token}{since}"))
        };
        let view = address(page.number);
        draft.kind(catalog, "hydra:Collection");
        draft.add(catalog, "hydra:view", view.clone());
        // ckanext-dcat looks for either of the two classes.
        draft.kind(&view, "hydra:PartialCollectionView");
        draft.kind(&view, "hydra:PagedCollection");
        draft.typed(&view, "hydra:totalItems", &total.to_string(), "xsd:integer");
        draft.typed(&view, "hydra:itemsPerPage", &page.size.to_string(), "xsd:integer");
        draft.add(&view, "hydra:first", address(1));
        draft.add(&view, "hydra:last", address(pages));
        if page.number > 1 {
            draft.add(&view, "hydra:previous", address(page.number - 1));
        }
        // The last page has no `next`: a harvester would loop for ever.
        if page.number < pages {
            draft.add(&view, "hydra:next", address(page.number + 1));
        }
    }
}

pub(super) fn put_record(
    draft: &mut Draft<'_>,
    writer: Writer<'_>,
    slug: &str,
    issued: Timestamp,
    modified: Timestamp,
    status: &str,
) {
    let node = writer.record_iri(slug);
    draft.kind(&node, "dcat:CatalogRecord");
    draft.add(&node, "foaf:primaryTopic", writer.dataset_iri(slug));
    draft.typed(&node, "dct:issued", &moment(issued), "xsd:dateTime");
    draft.typed(&node, "dct:modified", &moment(modified), "xsd:dateTime");
    draft.concept(&node, "adms:status", Scheme::DatasetStatus, status);
}
