//! The FHIR R4 facade: reads, searches, writing and operations.
//!
//! In: requests with an [`Actor`]. Out: JSON bytes that `mapping` rendered, joined to Bundles, or
//! the same as XML;
//! an OperationOutcome for everything that goes wrong. What is searched, summed up and said of
//! it stands in `mappings/search-parameters.toml`. A search is evaluated through the index only,
//! which takes away what the actor may not see before anything is counted, sorted or included.
//! Governed by FHIR R4 4.0.1 (http.html, search.html), HL7 Europe Imaging for the names of R5.
//! What clients write is a provider of its own (`records`); the archive's rows are changed by
//! ingest alone. Absent: XML Patch, `_filter`, `_text`, named queries.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use actix_web::web::Bytes;
use serde_json::{Value, json};

use crate::actor::{Actor, Role, SCOPED};
use crate::config::Config;
use crate::imaging::{Facet, keyed};
use crate::index::Index;
use crate::index::disclosure::Rule;
use crate::mapping::Context;
use crate::mapping::fhir::View;
use crate::source::dicomweb::Through;
use crate::store::Store;
use crate::store::read::IdSpace;

mod archive;
mod bulk;
mod bundle;
mod cache;
mod capability;
mod derived;
mod described;
mod documents;
mod fixed;
mod guide;
mod handle;
mod made;
mod negotiate;
mod operation;
mod outcome;
mod provider;
mod records;
mod report_file;
mod reports;
mod request;
mod search;
mod subscription;
mod subset;
mod system;
pub mod table;
mod terminology;
pub mod validate;
mod xml;

use archive::Archive;
pub use bulk::{Turn, disk_of_exports, forget_lines};
use cache::Cache;
use derived::Derived;
use documents::{Convert, Documents};
use guide::Guide;
pub use handle::routes;
use made::Made;
use operation::Operation;
use provider::Provider;
use records::Records;
pub use records::{Aside, Intake, IntakeSummary, LARGEST as LARGEST_DOCUMENT};
use table::{Resource, Table};
use terminology::Terminology;

/// Largest form of a search by POST.
pub const FORM_LIMIT: usize = 64 * 1024;

/// What the routes share.
pub struct State {
    store: Store,
    index: Arc<Index>,
    context: Context,
    table: Table,
    /// `https://…/fhir`
    base: String,
    disclosure: Rule,
    /// Seals the place where a page begins.
    cursor_key: [u8; 32],
    /// Changes whenever the same row could be answered with other bytes.
    fingerprint: [u8; 32],
    cache: Cache,
    metadata: Prepared,
    smart: Prepared,
    made: Arc<Made>,
    records: Arc<Records>,
    terminology: Arc<Terminology>,
    /// In the order in which their answers are joined.
    providers: Vec<Arc<dyn Provider>>,
    operations: Vec<Box<dyn Operation>>,
    /// Where notices may go.
    subscriptions: crate::config::Subscriptions,
    /// `None`: this server keeps none.
    exports: Option<bulk::Desk>,
    /// By which documents are fetched that are with a PACS; `None`: they are not.
    pacs: Option<Through>,
}

/// Bytes that are the same for everybody.
struct Prepared {
    bytes: Bytes,
    gzip: Bytes,
    etag: String,
}

impl Prepared {
    fn new(value: &Value) -> Self {
        let bytes = value.to_string().into_bytes();
        let digest = keyed(b"etag", &bytes);
        let etag: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { gzip: negotiate::gzip(&bytes).into(), bytes: bytes.into(), etag }
    }
}

/// Who asks for what rendering, and when.
struct Asking<'a> {
    state: &'a State,
    actor: &'a Actor,
    view: View,
    /// Microseconds since 1970-01-01T00:00:00Z.
    now: i64,
}

impl Asking<'_> {
    fn ids(&self) -> IdSpace {
        match self.view {
            View::Care | View::DeIdentified => IdSpace::Care,
            View::Pseudonymous => IdSpace::Research,
        }
    }

    /// Whether resources of the type name more patients than the actor may read at a time.
    fn sees_none(&self, resource: Resource) -> bool {
        self.actor.role == Role::Ehr && self.state.table.row(resource).is_of_many
    }

    fn visible_patients(&self) -> roaring::RoaringBitmap {
        self.state.index.read().visible_patients(self.actor)
    }

    fn terms(&self, facet: Facet) -> Vec<String> {
        self.state.index.read().terms(facet)
    }
}

impl State {
    /// The facade of a store.
    ///
    /// # Errors
    /// When a table of `mappings/` is wrong.
    pub fn new(
        config: &Config,
        store: Store,
        index: Arc<Index>,
        context: Context,
    ) -> crate::error::Result<Self> {
        let folder = Some(config.overrides.mappings.as_str()).filter(|folder| !folder.is_empty());
        let table = Table::load(folder.map(Path::new))?;
        let base = format!("{}/fhir", context.base());
        let made = Arc::new(Made::new(&context));
        let records = Arc::new(Records::new(&table));
        let operations: Vec<Box<dyn Operation>> = vec![
            Box::new(Convert),
            Box::new(reports::FhirReport),
            Box::new(records::checked::Validate),
            Box::new(records::everything::Everything),
            Box::new(terminology::Translate),
            Box::new(terminology::Lookup),
        ];
        let guide = Guide::load()?;
        let terminology = Arc::new(Terminology::new(&context, &guide));
        let says = capability::statement(&table, &operations, &guide, &context, &base);
        Ok(Self {
            metadata: Prepared::new(&says),
            smart: Prepared::new(&smart_configuration(&base)),
            providers: vec![
                Arc::new(Archive),
                Arc::new(reports::Reports),
                Arc::new(Derived),
                Arc::clone(&made) as Arc<dyn Provider>,
                Arc::new(Documents),
                Arc::clone(&records) as Arc<dyn Provider>,
                Arc::clone(&terminology) as Arc<dyn Provider>,
                Arc::new(guide),
            ],
            operations,
            made,
            terminology,
            exports: None,
            pacs: None,
            subscriptions: config.subscriptions.clone(),
            records,
            disclosure: Rule {
                threshold: config.disclosure.threshold,
                rounding: config.disclosure.rounding,
            },
            cursor_key: context.derived_key("cursors"),
            // Rows of resources say what a subset holds.
            fingerprint: keyed(
                &context.rendering_fingerprint(),
                format!("{:?}", table.resource).as_bytes(),
            ),
            cache: Cache::new(config.server.cache_mib),
            store,
            index,
            context,
            table,
            base,
        })
    }

    /// The same with a folder for exports.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn with_exports(
        mut self,
        folder: &Path,
        config: &crate::config::Exports,
    ) -> crate::error::Result<Self> {
        if config.most_mib > 0 {
            self.exports = Some(bulk::Desk::open(folder, config)?);
        }
        Ok(self)
    }

    /// The same with a way to the PACS.
    #[must_use]
    pub fn with_pacs(mut self, pacs: Through) -> Self {
        self.pacs = Some(pacs);
        self
    }

    /// By which the values of resources are read.
    fn reader(&self) -> search::values::Reader<'_> {
        search::values::Reader { base: &self.base, zone: self.context.time_zone() }
    }

    /// The tag of a version: the row's number, and what it was rendered by.
    fn tag(&self, asking: &Asking<'_>, number: impl Display) -> String {
        let view = format!("{:?}", asking.view);
        let [a, b, c, d, ..] = keyed(&self.fingerprint, view.as_bytes());
        format!("{number}-{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}

/// What a SMART client asks first (SMART App Launch 2.2, conformance). Tokens are minted by the
/// node's operator until it has a token endpoint.
fn smart_configuration(base: &str) -> Value {
    json!({
        "issuer": base,
        "grant_types_supported": [],
        "scopes_supported": SCOPED
            .iter()
            .map(|resource| format!("system/{resource}.rs"))
            .chain(["system/*.cruds".to_owned()])
            .collect::<Vec<_>>(),
        // The words `read` and `search` are those of the EU API, where `read` is no search.
        "capabilities": ["permission-v2"],
    })
}
