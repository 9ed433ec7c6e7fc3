//! The CapabilityStatement: made once from the rows of `mappings/search-parameters.toml`, so
//! that it says what is served and nothing else.

use serde_json::{Value, json};

use super::guide::Guide;
use super::operation::Operation;
use super::table::{Resource, ResourceRow, Table};
use crate::mapping::{Context, claimed_profiles};

/// When the statement last said something else.
const DATE: &str = "2026-11-22";

/// The operations that have addresses of their own: type (none: the system), name, definition.
const ROUTED: &[(Option<Resource>, &str, &str)] = &[
    (None, "export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"),
    (
        Some(Resource::Patient),
        "export",
        "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
    ),
    (
        Some(Resource::Group),
        "export",
        "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export",
    ),
];

/// Those of a type, or of the system.
fn routed(of: Option<Resource>) -> impl Iterator<Item = Value> {
    let own = ROUTED.iter().filter(move |(resource, ..)| *resource == of);
    own.map(|(_, name, definition)| json!({ "name": name, "definition": definition }))
}

/// Subscriptions have addresses of their own, too.
fn subscriptions() -> Value {
    let parameters: Vec<Value> = [
        ("_id", "token", "Resource-id"),
        ("status", "token", "Subscription-status"),
        ("url", "uri", "Subscription-url"),
    ]
    .iter()
    .map(|(name, kind, definition)| {
        let definition = format!("http://hl7.org/fhir/SearchParameter/{definition}");
        json!({ "name": name, "type": kind, "definition": definition })
    })
    .collect();
    let codes = ["read", "search-type", "create", "update", "delete"];
    let interactions: Vec<Value> = codes.iter().map(|code| json!({ "code": code })).collect();
    json!({
        "type": "Subscription",
        "profile": "http://hl7.org/fhir/StructureDefinition/Subscription",
        "documentation": "Notices of new and changed resources by `rest-hook`, with or without payload, for the role `imaging-it`: criteria are searches of ImagingStudy, Patient or DiagnosticReport. A notice is sent until it is answered with 2xx; what is the matter stands in `error`.",
        "interaction": interactions,
        "versioning": "versioned-update",
        "readHistory": false,
        "updateCreate": false,
        "conditionalCreate": false,
        "conditionalRead": "not-supported",
        "conditionalUpdate": false,
        "conditionalDelete": "not-supported",
        "searchParam": parameters,
    })
}

/// The statement.
pub(super) fn statement(
    table: &Table,
    operations: &[Box<dyn Operation>],
    guide: &Guide,
    context: &Context,
    base: &str,
) -> Value {
    let profiles = supported(guide, context);
    let mut resources: Vec<Value> = table
        .resource
        .iter()
        .map(|row| {
            let own = profiles.iter().filter(|(kind, _)| *kind == row.resource.name());
            let own: Vec<&str> = own.map(|(_, url)| url.as_str()).collect();
            let mut entry = resource(table, operations, guide, row);
            if !own.is_empty() {
                entry["supportedProfile"] = json!(own);
            }
            entry
        })
        .collect();
    resources.push(subscriptions());
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
        "patchFormat": [super::handle::JSON_PATCH, "application/fhir+json", "application/fhir+xml"],
        "implementationGuide": guide.canonical().into_iter().collect::<Vec<_>>(),
        "rest": [{
            "mode": "server",
            "documentation": "Read and search by GET and POST; write what the archive does not derive, one by one or in batches and transactions, checked against R4 and the profiles that it claims. A parameter that is not known is ignored, or refused with `Prefer: handling=strict`; the self link tells what was processed. `_has` is followed by references that the type's `searchRevInclude` or its parameters name, not for the role `ehr`. The role `ehr` names one patient, identifier or `_id` in every search, by one value. Secondary use reads rows of open datasets, and elsewhere counts (`_summary=count`) by the disclosure rule, for at most three parameters of one value each and whole years.",
            "security": {
                "cors": false,
                "service": [{ "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                    "display": "SMART-on-FHIR",
                }] }],
                "description": "A bearer token with a role is needed for everything but this statement and /.well-known/smart-configuration. Its scopes, if it has any, narrow the role: `system/ImagingStudy.rs`, `system/*.r`, or in words `.read`, `.search`, `.read|search`. Writing needs a scope that says so: `system/Condition.cud`, `system/*.cruds`.",
            },
            "resource": resources,
            "operation": operations
                .iter()
                .filter(|of| of.serves(None, false))
                .map(|of| json!({ "name": of.name(), "definition": of.definition(None) }))
                .chain(routed(None))
                .collect::<Vec<_>>(),
            "searchParam": [
                { "name": "_type", "type": "special", "documentation": "The types that are searched, separated by commas: it must be given." },
                { "name": "_id", "type": "token", "definition": "http://hl7.org/fhir/SearchParameter/Resource-id" },
                { "name": "_lastUpdated", "type": "date", "definition": "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated" },
            ],
            "interaction": [{ "code": "search-system" }, { "code": "batch" }, { "code": "transaction" }, { "code": "history-system" }],
        }],
    })
}

/// The profiles that resources of each type claim or are held to when they are written: those of
/// the tables that render, and those of the guide (R4 `rest.resource.supportedProfile`). Type and
/// canonical URL, each once.
fn supported(guide: &Guide, context: &Context) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (kind, url) in claimed_profiles(context).into_iter().chain(guide.profiles()) {
        if !all.iter().any(|(_, known)| known == url) {
            all.push((kind.to_owned(), url.to_owned()));
        }
    }
    all
}

fn resource(
    table: &Table,
    operations: &[Box<dyn Operation>],
    guide: &Guide,
    row: &ResourceRow,
) -> Value {
    let parameters: Vec<Value> = table
        .parameters(row.resource)
        .flat_map(|parameter| {
            std::iter::once(&parameter.name).chain(&parameter.aliases).map(move |name| {
                let own = guide.parameter(row.resource, name);
                let mut entry = json!({
                    "name": name,
                    "definition": own.unwrap_or(&parameter.definition),
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
    let mut codes = vec!["read"];
    if !row.is_read_only_by_id {
        codes.push("search-type");
    }
    if row.is_written {
        codes.extend([
            "vread",
            "create",
            "update",
            "patch",
            "delete",
            "history-instance",
            "history-type",
        ]);
    }
    let interactions: Vec<Value> = codes.iter().map(|code| json!({ "code": code })).collect();
    let parameters = if row.is_read_only_by_id { Vec::new() } else { parameters };
    let mut entry = json!({
        "type": row.resource.name(),
        "profile": format!("http://hl7.org/fhir/StructureDefinition/{}", row.resource.name()),
        "documentation": row.documentation,
        "interaction": interactions,
        "versioning": if row.is_written { "versioned-update" } else { "versioned" },
        "readHistory": row.is_written,
        "updateCreate": row.is_written,
        "conditionalCreate": row.is_written,
        "conditionalRead": "not-match",
        "conditionalUpdate": row.is_written,
        "conditionalDelete": if row.is_written { "single" } else { "not-supported" },
        "referencePolicy": ["literal", "logical"],
        "searchParam": parameters,
    });
    for (name, values) in [("searchInclude", &row.include), ("searchRevInclude", &row.revinclude)] {
        if !values.is_empty() {
            entry[name] = json!(values);
        }
    }
    let called: Vec<Value> = operations
        .iter()
        .filter(|of| [false, true].iter().any(|has_id| of.serves(Some(row.resource), *has_id)))
        .map(|of| json!({ "name": of.name(), "definition": of.definition(Some(row.resource)) }))
        .chain(routed(Some(row.resource)))
        .collect();
    if !called.is_empty() {
        entry["operation"] = called.into();
    }
    entry
}
