//! `POST /fhir/$mado-convert`: a manifest in one encoding, answered in the other.
//!
//! The body is a stranger's manifest, `application/dicom` or `application/fhir+json`; nothing of
//! it is kept. What one encoding has no place for is not in the answer (Retrieve AE Title has
//! none in FHIR, a web viewer none in DICOM).

use actix_web::http::StatusCode;

use crate::dicom::kos;
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::operation::{Body, Call, Operation, Reply};
use crate::fhir::outcome::{Failure, Result};
use crate::fhir::search::scope_needed;
use crate::fhir::table::Resource;
use crate::mapping::manifest::NotAManifest;
use crate::mapping::manifest_read::from_bundle;
use crate::mapping::manifest_write::to_bundle;

/// Most bytes of a manifest: of a study of some 20,000 instances.
const LONGEST: usize = 16 << 20;
const DICOM: &str = "application/dicom";
const JSON: &[&str] = &["application/fhir+json", "application/json"];

/// The operation.
pub(in crate::fhir) struct Convert;

impl Operation for Convert {
    fn name(&self) -> &'static str {
        "mado-convert"
    }

    fn definition(&self, _resource: Option<Resource>) -> String {
        "https://vesalius.example/fhir/OperationDefinition/mado-convert".to_owned()
    }

    fn serves(&self, resource: Option<Resource>, has_id: bool) -> bool {
        resource.is_none() && !has_id
    }

    fn takes_get(&self) -> bool {
        false
    }

    fn longest_body(&self) -> usize {
        LONGEST
    }

    fn takes(&self) -> &'static [&'static str] {
        &[DICOM, "application/fhir+json"]
    }

    fn gives(&self) -> &'static [&'static str] {
        &[DICOM]
    }

    fn run(&self, asking: &Asking<'_>, call: Call) -> Result<Reply> {
        if !asking.actor.has_read_scope("Bundle") {
            return Err(scope_needed("Bundle", 'r'));
        }
        let context = &asking.state.context;
        let refuse = |fault: NotAManifest| Error::Invalid(fault.to_string());
        match call.media.as_str() {
            DICOM => {
                let manifest = kos::read(context, &call.body).map_err(refuse)?;
                let bundle = to_bundle(context, &manifest, None);
                Ok(Reply::fhir(bundle.to_string().into_bytes()))
            }
            media if JSON.contains(&media) => {
                let bundle = serde_json::from_slice(&call.body)
                    .map_err(|fault| Error::Invalid(format!("the body is no JSON: {fault}")))?;
                let manifest = from_bundle(context, &bundle).map_err(refuse)?;
                let bytes = kos::write(context, &manifest)?;
                Ok(Reply {
                    status: StatusCode::OK,
                    headers: Vec::new(),
                    version: None,
                    body: Body::Other { media: DICOM.to_owned(), bytes: bytes.into() },
                    is_gzip: false,
                })
            }
            _ => Err(Failure::other_media_type(
                "`application/dicom` (a Key Object Selection Document) or \
                 `application/fhir+json` (a document Bundle)",
            )),
        }
    }
}
