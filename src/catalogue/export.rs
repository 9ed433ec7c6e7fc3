//! Every published document as files: what a static web server or an archive can hold.

use std::path::Path;
use std::sync::Arc;

use super::emit::{self, Format};
use super::graph::Writer;
use super::listing::Page;
use super::log::Snapshot;
use super::shelf::Shelf;
use crate::error::{Error, Result};

impl Writer<'_> {
    /// Writes datasets, records and listing pages in every form below `folder`; returns how many
    /// datasets there were.
    ///
    /// # Errors
    /// When the shelf does not answer or a file cannot be written.
    pub fn export(&self, shelf: &dyn Shelf, folder: &Path) -> Result<usize> {
        let put = |path: String, bytes: &[u8]| -> Result<()> {
            let file = folder.join(path);
            let refused = |failure: std::io::Error| {
                Error::Configuration(format!("{}: cannot be written ({failure})", file.display()))
            };
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent).map_err(refused)?;
            }
            std::fs::write(&file, bytes).map_err(refused)
        };
        let mut count = 0;
        loop {
            let entries = shelf.published(count, 100)?;
            if entries.is_empty() {
                break;
            }
            count += entries.len();
            for entry in &entries {
                // Documents are written when they are published: with another base they would
                // not be those that the listing names.
                let iri = self.dataset_iri(&entry.slug);
                if !entry.document.contains(&format!("<{}>", iri.as_str())) {
                    return Err(Error::Configuration(format!(
                        "`{}` was published with another `server.public_url` than `{}`; run \
                         `vesalius catalogue publish` (or `vesalius rebuild catalogue`), then export",
                        entry.slug,
                        self.config.server.base()
                    )));
                }
                let dataset = (format!("dataset/{}", entry.slug), emit::parse(&entry.document)?);
                let record = (format!("record/{}", entry.slug), self.record(entry));
                for (path, graph) in [dataset, record] {
                    let first = self.iri(&format!("/{path}"));
                    for format in Format::ALL {
                        let bytes = emit::emit(&graph, *format, self.release, first.as_str())?;
                        put(format!("{path}.{}", format.suffix()), &bytes)?;
                    }
                }
                let csv = entry.figures().csv();
                put(format!("dataset/{}/analytics.csv", entry.slug), csv.as_bytes())?;
            }
        }
        let snapshot = Snapshot::take(shelf, None)?;
        for format in Format::ALL {
            let size = self.config.catalogue.page_size;
            let mut number = 1;
            while let Some(slugs) = snapshot.slugs(number, size) {
                let page = Page { number, size, suffix: Some(*format) };
                let body = Arc::new(self.page_packed(shelf, &slugs, *format)?);
                let bytes = self.page_parts(&snapshot, page, *format, body)?.plain()?;
                put(format!("catalog.{number}.{}", format.suffix()), &bytes)?;
                number += 1;
            }
        }
        Ok(count)
    }
}
