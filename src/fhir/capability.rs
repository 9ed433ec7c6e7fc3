//! The CapabilityStatement: made once from the rows of `mappings/search-parameters.toml`, so
//! that it says what is served and nothing else.

use serde_json::{Value, json};

use super::table::{ResourceRow, Table};
use crate::mapping::Context;

/// When the statement last said something else.
const DATE: &str = "2026-11-21";

/// The statement.
pub(super) fn statement(table: &Table, context: &Context, base: &str) -> Value {
    let resources: Vec<Value> = table.resource.iter().map(|row| resource(table, row)).collect();
    json!({
        "resourceType": "CapabilityStatement",
        "url": format!("{base}/metadata"),
        "version": env!("CARGO_PKG_VERSION"),
        "name": "Vesalius",
        "title": "Imaging studies of this archive",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": { "name": "vesalius", "version": env!("CARGO_PKG_VERSION") },
        "implementation": {
            "description": match context.archive_name() {
                "" => "Imaging archive",
                name => name,
            },
            "url": base,
        },
        "fhirVersion": "4.0.1",
        "format": ["json", "xml"],
        "rest": [{
            "mode": "server",
            "documentation": "Read and search by GET and POST. A parameter that is not known is ignored, or refused with `Prefer: handling=strict`; the self link tells what was processed. The role `ehr` names one patient, identifier or `_id` in every search, by one value. Secondary use reads rows of open datasets, and elsewhere counts (`_summary=count`) by the disclosure rule, for at most three parameters of one value each and whole years.",
            "security": {
                "cors": false,
                "service": [{ "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                    "display": "SMART-on-FHIR",
                }] }],
                "description": "A bearer token with a role is needed for everything but this statement and /.well-known/smart-configuration. Its scopes, if it has any, narrow the role: `system/ImagingStudy.rs`, `system/*.r`, or in words `.read`, `.search`, `.read|search`.",
            },
            "resource": resources,
        }],
    })
}

fn resource(table: &Table, row: &ResourceRow) -> Value {
    let parameters: Vec<Value> = table
        .parameters(row.resource)
        .flat_map(|parameter| {
            std::iter::once(&parameter.name).chain(&parameter.aliases).map(move |name| {
                let mut entry = json!({
                    "name": name,
                    "definition": parameter.definition,
                    "type": parameter.kind.code(),
                });
                let alias = (*name != parameter.name)
                    .then(|| format!("The name in R5 of `{}`.", parameter.name));
                if let Some(text) = alias.as_ref().or(parameter.documentation.as_ref()) {
                    entry["documentation"] = text.as_str().into();
                }
                entry
            })
        })
        .collect();
    let mut entry = json!({
        "type": row.resource.name(),
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{}", row.resource.name()),
        "documentation": row.documentation,
        "interaction": [{ "code": "read" }, { "code": "search-type" }],
        "versioning": "versioned",
        "readHistory": false,
        "updateCreate": false,
        "conditionalCreate": false,
        "conditionalRead": "not-match",
        "conditionalUpdate": false,
        "conditionalDelete": "not-supported",
        "referencePolicy": ["literal", "logical"],
        "searchParam": parameters,
    });
    for (name, values) in [("searchInclude", &row.include), ("searchRevInclude", &row.revinclude)] {
        if !values.is_empty() {
            entry[name] = json!(values);
        }
    }
    entry
}
