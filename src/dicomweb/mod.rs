//! DICOMweb below `/dicom-web`: WADO-RS (IHE RAD-107) and QIDO-RS, read only.
//!
//! In: requests with an [`Actor`]. Out: the archive's own files, byte for byte as they were
//! ingested, or what the PACS answers that a study came from; metadata, frames and rendered
//! pictures of files; searches answered by index and store. Bytes are read as the reader takes
//! them and never held whole; a reader who goes away ends the reading.
//! Governed by DICOM PS3.18 sections 8, 10.4, 10.6 and annex F, IHE RAD-107, RFC 9110 (ranges,
//! conditions), RFC 9457 (problems). Who may read is what FHIR says: a study that the actor may
//! not see answers exactly like one that does not exist.
//! Absent: STOW-RS and UPS-RS (nothing is written), decoding and encoding of transfer syntaxes.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use tokio::sync::Semaphore;

use crate::actor::{Actor, Role};
use crate::auth::BadToken;
use crate::config::{Config, Identity, Ingest};
use crate::error::Error;
use crate::index::Index;
use crate::mapping::Context;
use crate::source::dicomweb::{Credentials, Settings, Through};
use crate::store::Store;

mod accept;
mod address;
mod body;
mod described;
mod frames;
mod locate;
mod metadata;
mod pacs;
mod problem;
mod qido;
mod rendered;
mod retrieve;

use address::{Address, What};
use problem::{Failure, Result};
pub use qido::table::Table;

/// Pictures that are made at once: each may hold a frame in memory.
const RENDERED_AT_ONCE: usize = 2;

/// What the routes share.
pub struct State {
    store: Store,
    index: Arc<Index>,
    identity: Identity,
    /// `https://…/dicom-web`
    base: String,
    table: Table,
    through: Through,
    renders: Semaphore,
    /// Makes boundaries that no file can know.
    key: [u8; 32],
}

impl State {
    /// The doors to the images of a store. `credentials` are those for the PACS.
    ///
    /// # Errors
    /// When a table of `mappings/` is wrong, or the credentials cannot be sent.
    pub fn new(
        config: &Config,
        store: Store,
        index: Arc<Index>,
        context: &Context,
        credentials: &Credentials,
    ) -> crate::error::Result<Self> {
        let folder = Some(config.overrides.mappings.as_str()).filter(|folder| !folder.is_empty());
        Ok(Self {
            store,
            index,
            identity: context.identity(),
            base: format!("{}/dicom-web", context.base()),
            table: Table::load(folder.map(std::path::Path::new))?,
            through: Through::new(&settings(&config.ingest), credentials)?,
            renders: Semaphore::new(RENDERED_AT_ONCE),
            key: context.derived_key("dicomweb boundaries"),
        })
    }
}

fn settings(ingest: &Ingest) -> Settings {
    Settings::from(ingest)
}

/// Adds the routes below `/dicom-web`; they need [`State`] as application data, and the [`Actor`]
/// in a request's extensions.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::scope("/dicom-web").default_service(web::route().to(handle)))
        .route("/dicom-web", web::route().to(handle));
}

async fn handle(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match answer(&request, state.into_inner()).await {
        Ok(response) => response,
        Err(failure) => failure.to_response(),
    }
}

async fn answer(request: &HttpRequest, state: Arc<State>) -> Result<HttpResponse> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Failure::method());
    }
    let actor = authorise(request, state.identity)?;
    let address = Address::parse(request.path())?;
    let parameters = accept::parameters(request.query_string())?;
    let may = match address.what {
        What::Search(_) => actor.has_search_scope("ImagingStudy"),
        _ => actor.has_read_scope("ImagingStudy"),
    };
    if !may {
        let right = if matches!(address.what, What::Search(_)) { 's' } else { 'r' };
        return Err(Error::Forbidden(format!(
            "the token's scopes do not grant this: `system/ImagingStudy.{right}` is needed"
        ))
        .into());
    }
    let who = Who { state, actor };
    let asking = Asking { who, request: request.clone(), parameters };
    match address.what {
        What::Search(level) => qido::search(&asking, level, &address.target).await,
        What::Objects => retrieve::objects(&asking, &address.target).await,
        What::Metadata => metadata::answer(&asking, &address.target).await,
        What::Frames(ref numbers) => frames::frames(&asking, &address.target, numbers).await,
        What::Bulk(ref way) => frames::bulk(&asking, &address.target, way).await,
        What::Rendered(ref frames) => rendered::answer(&asking, &address.target, frames).await,
    }
}

/// Who asks whom: what goes to the threads that may block.
#[derive(Clone)]
struct Who {
    state: Arc<State>,
    actor: Actor,
}

/// One request.
struct Asking {
    who: Who,
    request: HttpRequest,
    parameters: accept::Parameters,
}

impl Asking {
    fn is_head(&self) -> bool {
        *self.request.method() == Method::HEAD
    }

    /// Runs what blocks where it may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Who) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let who = self.who.clone();
        web::block(move || work(&who)).await.map_err(|failure| Failure::internal(&failure))?
    }
}

/// Who may ask at all: care, and researchers where files name nobody.
fn authorise(request: &HttpRequest, identity: Identity) -> Result<Actor> {
    let actor = request.extensions().get::<Actor>().cloned().ok_or_else(|| {
        let bad = request.extensions().get::<BadToken>().map(|bad| bad.0.clone());
        Failure::from(Error::Unauthenticated(bad.unwrap_or_else(|| {
            "a valid bearer token is needed (`Authorization: Bearer …`)".to_owned()
        })))
    })?;
    match (actor.role, identity) {
        (Role::Ehr | Role::ImagingIt, _) | (Role::Researcher, Identity::DeIdentified) => Ok(actor),
        (Role::Researcher, Identity::Identified) => Err(Error::Forbidden(
            "the files of this archive name persons, so the role `researcher` may not read them; \
             FHIR serves their metadata without identities"
                .to_owned(),
        )
        .into()),
        (role @ (Role::Steward | Role::Admin | Role::Public), _) => {
            Err(Error::Forbidden(format!("the role `{role}` reads no images")).into())
        }
    }
}
