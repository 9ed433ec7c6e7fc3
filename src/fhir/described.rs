//! What OpenAPI says of the facade: made of the rows that the router reads, so that it says what
//! is answered and nothing else.

use serde_json::json;

use super::State;
use super::bulk::NDJSON;
use super::handle::JSON_PATCH;
use super::operation::Operation as Called;
use super::table::{Kind, Parameter as Row, Resource, ResourceRow, Table};
use crate::openapi::{Access, Operation, Parameter, Path, Place};

const JSON: &str = "application/fhir+json";
const XML: &str = "application/fhir+xml";
/// Of patches: JSON Patch, and FHIRPath Patch as Parameters.
const PATCHES: &[&str] = &[JSON_PATCH, JSON, XML];
const FORM: &str = "application/x-www-form-urlencoded";

/// What every request can be told.
const ALWAYS: &[u16] = &[400, 401, 403, 404, 406, 503];
/// What a read can be told besides.
const READ: &[u16] = &[200, 304, 410];
/// What writing can be told besides. Of a resource that the archive derives, 405.
const WRITE: &[u16] = &[405, 409, 410, 412, 413, 415, 422];

/// A method of an address, still without parameters.
fn of(method: &'static str, summary: &str, statuses: &[&[u16]]) -> Operation {
    Operation {
        method,
        tag: "fhir",
        summary: summary.to_owned(),
        parameters: Vec::new(),
        takes: Vec::new(),
        gives: vec![JSON.to_owned(), XML.to_owned()],
        statuses: statuses.concat(),
        access: Access::Token,
    }
}

trait With {
    fn parameters(self, parameters: impl IntoIterator<Item = Parameter>) -> Self;
    fn takes(self, media: &[&'static str]) -> Self;
    fn gives(self, media: &[&str]) -> Self;
}

impl With for Operation {
    fn parameters(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    fn takes(mut self, media: &[&'static str]) -> Self {
        self.takes.extend(media);
        self
    }

    fn gives(mut self, media: &[&str]) -> Self {
        self.gives = media.iter().map(|media| (*media).to_owned()).collect();
        self
    }
}

fn id() -> Parameter {
    Parameter::path("id", "the logical id")
}

fn format() -> Parameter {
    Parameter::query("_format", "`json` or `xml`, above the header Accept")
}

fn subset() -> [Parameter; 2] {
    [
        Parameter::of(
            "_summary",
            Place::Query,
            json!({ "enum": ["true", "false", "text", "data", "count"] }),
            "which part of each resource",
        ),
        Parameter::query("_elements", "names of elements, separated by commas"),
    ]
}

/// What steers a search (R4 search.html 3.1.1.5).
fn controls(row: &ResourceRow) -> Vec<Parameter> {
    let number = json!({ "type": "integer", "minimum": 0 });
    let mut all = vec![
        format(),
        Parameter::of("_count", Place::Query, number, "entries of a page, at most 1,000"),
        Parameter::of(
            "_total",
            Place::Query,
            json!({ "enum": ["none", "estimate", "accurate"] }),
            "",
        ),
        Parameter::query("_cursor", "of a next link: where the page begins"),
    ];
    all.extend(subset());
    let list = |values: &[String]| json!({ "enum": values });
    if !row.sort.is_empty() {
        let names = row.sort.iter().flat_map(|name| [name.clone(), format!("-{name}")]);
        let names: Vec<String> = names.collect();
        all.push(Parameter::of("_sort", Place::Query, list(&names), ""));
    }
    for (name, values) in [("_include", &row.include), ("_revinclude", &row.revinclude)] {
        if !values.is_empty() {
            all.push(Parameter::of(name, Place::Query, list(values), ""));
        }
    }
    all
}

fn searched(row: &Row) -> impl Iterator<Item = Parameter> {
    let says = match row.kind {
        Kind::Token => "token",
        Kind::Date => "date",
        Kind::Reference => "reference",
        Kind::String => "string",
        Kind::Quantity => "quantity",
        Kind::Number => "number",
        Kind::Uri => "uri",
    };
    let names = std::iter::once(&row.name).chain(&row.aliases);
    names.map(move |name| Parameter::query(name, says))
}

/// Every parameter of a search of the type.
fn search(table: &Table, row: &ResourceRow) -> Vec<Parameter> {
    let mut all = controls(row);
    all.extend(table.parameters(row.resource).flat_map(searched));
    all
}

fn if_match() -> Parameter {
    Parameter::header("If-Match", "the version that is meant: `W/\"3\"`")
}

/// The addresses of a type.
fn of_type(table: &Table, row: &ResourceRow, operations: &[Box<dyn Called>]) -> Vec<Path> {
    let name = row.resource.name();
    let own = |rest: &str| format!("/fhir/{name}{rest}");
    let criteria = || table.parameters(row.resource).flat_map(searched);
    let mut paths = Vec::new();
    let mut whole = Vec::new();
    if !row.is_read_only_by_id || row.is_written {
        whole.push(
            of("get", &format!("search {name}"), &[&[200], ALWAYS]).parameters(search(table, row)),
        );
        paths.push(Path {
            path: own("/_search"),
            operations: vec![
                of("post", &format!("search {name} by a form"), &[&[200, 413, 415], ALWAYS])
                    .takes(&[FORM])
                    .parameters([format()]),
            ],
        });
    }
    let takes: &[&str] = match row.resource {
        Resource::Binary => &[JSON, XML, "application/octet-stream"],
        _ => &[JSON, XML],
    };
    let mut one = vec![
        of("get", &format!("read a {name}"), &[READ, ALWAYS])
            .parameters([id(), format()])
            .parameters(subset())
            .parameters([Parameter::header("If-None-Match", "the version that the client has")]),
    ];
    if row.resource == Resource::Binary {
        // It is its content, of whatever type.
        one[0].gives.push("*/*".to_owned());
    }
    if row.is_written {
        whole.extend([
            of("post", &format!("create a {name}"), &[&[200, 201], WRITE, ALWAYS])
                .takes(takes)
                .parameters([Parameter::header("If-None-Exist", "a search that finds none")]),
            of(
                "put",
                &format!("update the {name} that a search finds"),
                &[&[200, 201], WRITE, ALWAYS],
            )
            .takes(takes)
            .parameters(criteria()),
            of(
                "patch",
                &format!("change parts of the {name} that a search finds"),
                &[&[200], WRITE, ALWAYS],
            )
            .takes(PATCHES)
            .parameters(criteria()),
            of(
                "delete",
                &format!("delete the {name} that a search finds"),
                &[&[200, 204], WRITE, ALWAYS],
            )
            .parameters(criteria()),
        ]);
        one.extend([
            of(
                "put",
                &format!("update a {name}, or create it under this id"),
                &[&[200, 201], WRITE, ALWAYS],
            )
            .takes(takes)
            .parameters([id(), if_match()]),
            of("patch", &format!("change parts of a {name}"), &[&[200], WRITE, ALWAYS])
                .takes(PATCHES)
                .parameters([id(), if_match()]),
            of("delete", &format!("delete a {name}"), &[&[200, 204], WRITE, ALWAYS])
                .parameters([id(), if_match()]),
        ]);
        let history = |what: &str| {
            of("get", &format!("versions of {what}"), &[&[200, 410], ALWAYS]).parameters([
                format(),
                Parameter::query("_count", ""),
                Parameter::query("_since", ""),
            ])
        };
        let of_one = history(&format!("a {name}")).parameters([id()]);
        paths.push(Path { path: own("/_history"), operations: vec![history(name)] });
        paths.push(Path { path: own("/{id}/_history"), operations: vec![of_one] });
        paths.push(Path {
            path: own("/{id}/_history/{version}"),
            operations: vec![
                of("get", &format!("a version of a {name}"), &[READ, ALWAYS]).parameters([
                    id(),
                    Parameter::path("version", ""),
                    format(),
                ]),
            ],
        });
    }
    paths.push(Path { path: own(""), operations: whole });
    paths.push(Path { path: own("/{id}"), operations: one });
    for operation in operations {
        for has_id in [false, true] {
            if operation.serves(Some(row.resource), has_id) {
                let place = if has_id { "/{id}" } else { "" };
                let path = own(&format!("{place}/${}", operation.name()));
                paths.push(called(&**operation, path, has_id));
            }
        }
    }
    paths.retain(|path| !path.operations.is_empty());
    paths
}

/// The address of an operation.
fn called(operation: &dyn Called, path: String, has_id: bool) -> Path {
    let summary = format!("${}", operation.name());
    let own = |method| {
        let asked = operation.parameters().iter().map(|name| Parameter::query(name, ""));
        of(method, &summary, &[&[200, 410, 422], ALWAYS])
            .parameters(has_id.then(id))
            .parameters(asked)
            .parameters([format()])
    };
    let mut post = own("post").takes(operation.takes());
    post.statuses.extend([413, 415]);
    for other in operation.gives() {
        post.gives.push((*other).to_owned());
    }
    let get = operation.takes_get().then(|| own("get"));
    Path { path, operations: get.into_iter().chain([post]).collect() }
}

/// Exports, subscriptions, and what is of the whole server.
fn fixed() -> Vec<Path> {
    let path = |path: &str, operations: Vec<Operation>| Path { path: path.to_owned(), operations };
    let open = |summary: &str, gives: &[&str]| Operation {
        access: Access::Open,
        ..of("get", summary, &[&[200, 304, 400, 406]]).gives(gives)
    };
    let history = [Parameter::query("_count", ""), Parameter::query("_since", ""), format()];
    let mut all = vec![
        path(
            "/fhir",
            vec![
                of("get", "search several types", &[&[200], ALWAYS]).parameters([
                    Parameter::query("_type", "names of types, separated by commas"),
                    Parameter::query("_id", ""),
                    Parameter::query("_lastUpdated", ""),
                    Parameter::query("_count", ""),
                    Parameter::query("_cursor", ""),
                    format(),
                ]),
                of("post", "a batch or transaction", &[&[200], WRITE, ALWAYS]).takes(&[JSON, XML]),
            ],
        ),
        path(
            "/fhir/_history",
            vec![of("get", "versions of everything", &[&[200], ALWAYS]).parameters(history)],
        ),
        path(
            "/fhir/metadata",
            vec![open("the CapabilityStatement", &[JSON, XML]).parameters([format()])],
        ),
        path(
            "/fhir/.well-known/smart-configuration",
            vec![open("SMART App Launch 2.2, conformance", &["application/json"])],
        ),
    ];
    for (name, id) in
        [("$export", false), ("Patient/$export", false), ("Group/{group}/$export", true)]
    {
        let kick_off = |method| {
            of(method, "order an export (Bulk Data Access 3.0.0)", &[&[202, 413, 415, 429], ALWAYS])
                .parameters(id.then(|| Parameter::path("group", "")))
                .parameters([
                    Parameter::header("Prefer", "`respond-async`"),
                    Parameter::query("_type", ""),
                    Parameter::query("_typeFilter", ""),
                    Parameter::query("_since", ""),
                    Parameter::query("_elements", ""),
                    Parameter::query("_outputFormat", ""),
                    Parameter::query("patient", ""),
                ])
                .gives(&[JSON])
        };
        all.push(path(
            &format!("/fhir/{name}"),
            vec![kick_off("get"), kick_off("post").takes(&[JSON])],
        ));
    }
    let job = || Parameter::path("job", "");
    all.extend([
        path(
            "/fhir/$export-status/{job}",
            vec![
                of(
                    "get",
                    "how far an export is, or its manifest",
                    &[&[200, 202, 410, 500], ALWAYS],
                )
                .gives(&["application/json"])
                .parameters([job()]),
                of("delete", "remove an export", &[&[202], ALWAYS]).parameters([job()]),
            ],
        ),
        path(
            "/fhir/$export-status/{job}/{file}",
            vec![
                of("get", "a file of an export", &[&[200, 206, 304, 410, 416], ALWAYS])
                    .gives(&[NDJSON])
                    .parameters([job(), Parameter::path("file", "")]),
            ],
        ),
        path(
            "/fhir/Subscription",
            vec![
                of("get", "list subscriptions", &[&[200], ALWAYS]).parameters([
                    Parameter::query("_id", ""),
                    Parameter::query("status", ""),
                    Parameter::query("url", ""),
                    format(),
                ]),
                of("post", "subscribe", &[&[201, 409, 413, 415, 422, 429], ALWAYS])
                    .takes(&[JSON, XML]),
            ],
        ),
        path(
            "/fhir/Subscription/{id}",
            vec![
                of("get", "read a subscription", &[READ, ALWAYS]).parameters([id(), format()]),
                of("put", "replace a subscription", &[&[200], WRITE, ALWAYS])
                    .takes(&[JSON, XML])
                    .parameters([id(), if_match()]),
                of("delete", "end a subscription", &[&[200, 204], WRITE, ALWAYS])
                    .parameters([id()]),
            ],
        ),
    ]);
    all
}

impl State {
    /// Every address below `/fhir`.
    #[must_use]
    pub fn described(&self) -> Vec<Path> {
        let mut all = fixed();
        for row in &self.table.resource {
            all.extend(of_type(&self.table, row, &self.operations));
        }
        for operation in self.operations.iter().filter(|of| of.serves(None, false)) {
            let path = format!("/fhir/${}", operation.name());
            all.push(called(&**operation, path, false));
        }
        all
    }
}
