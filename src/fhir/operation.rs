//! Operations (FHIR R4 operations.html), and what any interaction answers.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::web::Bytes;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::negotiate::{self, Format};
use super::outcome::Result;
use super::request::Parameters;
use super::search::Handling;
use super::table::Resource;
use super::{Asking, State, xml};
use crate::error::Error;

/// What is asked of an operation.
#[derive(Debug)]
pub(super) struct Call {
    /// The type that it was called on; `None`: the system.
    pub(super) resource: Option<Resource>,
    /// The resource that it was called on; not looked up yet.
    pub(super) id: Option<String>,
    /// Those of the query; `_format` and `_pretty` among them.
    pub(super) parameters: Parameters,
    /// What becomes of parameters that the operation does not know.
    pub(super) handling: Handling,
    /// The body's media type without parameters, in lower case; empty without a body.
    pub(super) media: String,
    /// The body, at most [`Operation::longest_body`] bytes.
    pub(super) body: Bytes,
}

/// An operation. Scopes and the actor's rights are its own to look at.
pub(super) trait Operation: Send + Sync {
    /// The name without `$`.
    fn name(&self) -> &'static str;

    /// The URL of its definition, for the CapabilityStatement; by default R4's own of the type,
    /// `None` of all resources.
    fn definition(&self, resource: Option<Resource>) -> String {
        let of = resource.map_or("Resource", Resource::name);
        format!("http://hl7.org/fhir/OperationDefinition/{of}-{}", self.name())
    }

    /// Whether it can be called on the system (no type), a type, or a resource of it.
    fn serves(&self, resource: Option<Resource>, has_id: bool) -> bool;

    /// Whether GET calls it: it changes nothing.
    fn takes_get(&self) -> bool {
        true
    }

    /// The names of its parameters, for the API's description.
    fn parameters(&self) -> &'static [&'static str] {
        &[]
    }

    /// The media types of bodies that it reads, for the API's description.
    fn takes(&self) -> &'static [&'static str] {
        &["application/fhir+json", "application/fhir+xml"]
    }

    /// What it gives besides resources, for the API's description.
    fn gives(&self) -> &'static [&'static str] {
        &[]
    }

    /// Most bytes of a body.
    fn longest_body(&self) -> usize {
        8 << 20
    }

    /// Does it.
    ///
    /// # Errors
    /// Whatever the client is to be told.
    fn run(&self, asking: &Asking<'_>, call: Call) -> Result<Reply>;
}

/// What an interaction answers, before it is put into HTTP.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, String)>,
    /// Tag and last change (microseconds since 1970-01-01T00:00:00Z) of what was read or written.
    pub(super) version: Option<(String, Option<i64>)>,
    pub(super) body: Body,
    pub(super) is_gzip: bool,
}

/// The body of a reply.
#[derive(Debug)]
pub(super) enum Body {
    Empty,
    /// A resource.
    Fhir(Format, Bytes),
    /// What is no resource.
    Other {
        media: String,
        bytes: Bytes,
    },
}

impl Reply {
    /// 200 with a resource as JSON.
    pub(super) fn fhir(bytes: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            version: None,
            body: Body::Fhir(Format::Json, bytes.into()),
            is_gzip: false,
        }
    }

    /// What a resource Binary holds, in place of the resource.
    ///
    /// # Errors
    /// When the body is none.
    pub(super) fn content(mut self) -> Result<Self> {
        let Body::Fhir(_, bytes) = &self.body else { return Ok(self) };
        let wrong = || Error::Internal("a Binary has no content".to_owned());
        let binary: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| wrong())?;
        let media = binary["contentType"].as_str().ok_or_else(wrong)?.to_owned();
        let data = STANDARD.decode(binary["data"].as_str().unwrap_or_default());
        self.body = Body::Other { media, bytes: data.map_err(|_| wrong())?.into() };
        Ok(self)
    }

    /// Writes the resource as XML.
    ///
    /// # Errors
    /// When it holds what the definitions do not know.
    pub(super) fn into_xml(mut self) -> Result<Self> {
        if let Body::Fhir(format @ Format::Json, bytes) = &mut self.body {
            *bytes = xml_of(bytes)?.into();
            *format = Format::Xml;
        }
        Ok(self)
    }

    /// Compresses the resource when the client takes it and it is worth it.
    pub(super) fn compress(mut self, takes_gzip: bool) -> Self {
        if let Body::Fhir(_, bytes) = &mut self.body
            && takes_gzip
            && bytes.len() >= negotiate::GZIP_FROM
        {
            *bytes = negotiate::gzip(bytes).into();
            self.is_gzip = true;
        }
        self
    }
}

/// A resource of ours as XML.
///
/// # Errors
/// When it holds what the definitions do not know, which would be lost.
pub(super) fn xml_of(json: &[u8]) -> Result<Vec<u8>> {
    xml::to_xml(json).map_err(|reason| {
        Error::NotAcceptable(format!(
            "the answer cannot be written as XML ({reason}): ask for JSON"
        ))
        .into()
    })
}

impl State {
    /// The operation of that name there.
    pub(super) fn operation(
        &self,
        resource: Option<Resource>,
        has_id: bool,
        name: &str,
    ) -> Option<&dyn Operation> {
        self.operations
            .iter()
            .find(|operation| operation.name() == name && operation.serves(resource, has_id))
            .map(|operation| &**operation)
    }
}
