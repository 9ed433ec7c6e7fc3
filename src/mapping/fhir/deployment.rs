//! What the configuration makes: the archive's WADO-RS service, its web viewer, and the data
//! holder.

use serde_json::{Value, json};

use super::{absent, deployed, versioned};
use crate::imaging::Study;
use crate::mapping::Context;

/// The logical id of the archive's WADO-RS endpoint.
pub const ENDPOINT_ID: &str = "wado-rs";
/// The logical id of the archive's organisation.
pub const ORGANISATION_ID: &str = "data-holder";

/// `Endpoint`: the archive's WADO-RS service. Without one the address is IHE MADO's
/// `http://notspecified` with data-absent-reason.
#[must_use]
pub fn render_endpoint(context: &Context) -> Vec<u8> {
    let inner = &context.0;
    let mut object = deployed(context, "Endpoint", ENDPOINT_ID);
    object.insert(
        "identifier".to_owned(),
        json!([{ "system": context.local_system("endpoint", ""), "value": ENDPOINT_ID }]),
    );
    object.insert("status".to_owned(), "active".into());
    object.insert(
        "connectionType".to_owned(),
        json!({
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
            "display": "DICOM WADO-RS",
        }),
    );
    let name = if inner.archive.is_empty() { "Imaging archive" } else { &inner.archive };
    object.insert("name".to_owned(), format!("{name}, WADO-RS").into());
    object.insert(
        "managingOrganization".to_owned(),
        json!({ "reference": format!("Organization/{ORGANISATION_ID}") }),
    );
    object.insert(
        "payloadType".to_owned(),
        json!([{
            "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type",
                "code": "none",
                "display": "None",
            }],
            "text": "DICOM WADO-RS",
        }]),
    );
    object.insert("payloadMimeType".to_owned(), json!(["application/dicom"]));
    if inner.wado_url.is_empty() {
        object.insert("address".to_owned(), "http://notspecified".into());
        object.insert("_address".to_owned(), json!({ "extension": [absent("unknown")] }));
    } else {
        object.insert("address".to_owned(), inner.wado_url.as_str().into());
    }
    versioned(object)
}

/// `Organization`: the data holder.
#[must_use]
pub fn render_organisation(context: &Context) -> Vec<u8> {
    let holder = &context.0.organisation;
    let mut object = deployed(context, "Organization", ORGANISATION_ID);
    let iri = match holder.iri.as_str() {
        "" => context.local_system("organisation", ORGANISATION_ID),
        iri => iri.to_owned(),
    };
    object
        .insert("identifier".to_owned(), json!([{ "system": "urn:ietf:rfc:3986", "value": iri }]));
    object.insert("active".to_owned(), true.into());
    let name = [&holder.name, &context.0.archive].into_iter().find(|name| !name.is_empty());
    object.insert("name".to_owned(), name.map_or("Imaging archive", String::as_str).into());
    let telecom: Vec<Value> =
        [("phone", &holder.telephone), ("email", &holder.email), ("url", &holder.page)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(system, value)| json!({ "system": system, "value": value }))
            .collect();
    if !telecom.is_empty() {
        object.insert("telecom".to_owned(), telecom.into());
    }
    if !holder.country.is_empty() {
        object.insert("address".to_owned(), json!([{ "country": holder.country }]));
    }
    object
        .insert("endpoint".to_owned(), json!([{ "reference": format!("Endpoint/{ENDPOINT_ID}") }]));
    versioned(object)
}

/// What the logical id of a study's viewer ends with.
pub const VIEWER_SUFFIX: &str = "-viewer";

/// `Endpoint`: what opens a study in a web viewer (IHE MADO, web viewer endpoint), if a viewer is
/// configured. `id` is the study's logical id.
#[must_use]
pub fn render_viewer(context: &Context, study: &Study) -> Option<Vec<u8>> {
    let inner = &context.0;
    if inner.viewer_url.is_empty() {
        return None;
    }
    let mut object = deployed(context, "Endpoint", &format!("{}{VIEWER_SUFFIX}", study.public_id));
    object.insert("status".to_owned(), "active".into());
    // No code of endpoint-connection-type is a page for people; the binding is extensible.
    object.insert(
        "connectionType".to_owned(),
        json!({
            "system": context.local_system("endpoint-connection-type", ""),
            "code": "web-viewer",
            "display": "Web viewer",
        }),
    );
    let name = if inner.archive.is_empty() { "Imaging archive" } else { &inner.archive };
    object.insert("name".to_owned(), format!("{name}, web viewer").into());
    object.insert(
        "managingOrganization".to_owned(),
        json!({ "reference": format!("Organization/{ORGANISATION_ID}") }),
    );
    object.insert(
        "payloadType".to_owned(),
        json!([{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type",
            "code": "none",
            "display": "None",
        }] }]),
    );
    object.insert("payloadMimeType".to_owned(), json!(["text/html"]));
    let address = inner.viewer_url.replace("{StudyInstanceUID}", study.uid.as_str());
    object.insert("address".to_owned(), address.into());
    Some(versioned(object))
}
