//! The API's description: what the edges say of their addresses, as values, and the OpenAPI
//! document that is made of them (OpenAPI 3.1.0).
//!
//! In: [`Path`]s, which each edge makes of the tables that it routes by. Out: one JSON document.
//! Absent: routes, and what an address does: this room imports nothing.

use serde_json::{Map, Value, json};

/// The document's address.
pub const ADDRESS: &str = "/openapi.json";

/// An address, and what may be asked of it.
#[derive(Clone, Debug)]
pub struct Path {
    /// With its parameters in braces.
    pub path: String,
    /// Its methods.
    pub operations: Vec<Operation>,
}

/// A method at an address.
#[derive(Clone, Debug)]
pub struct Operation {
    /// In small letters.
    pub method: &'static str,
    /// What it belongs to.
    pub tag: &'static str,
    /// In one line.
    pub summary: String,
    /// Those of the path, the query and the headers.
    pub parameters: Vec<Parameter>,
    /// The media types of the body that it takes; none: it takes none.
    pub takes: Vec<&'static str>,
    /// The media types of what it gives; none: it gives no body.
    pub gives: Vec<String>,
    /// Every status that it answers with, but those of a server that fails.
    pub statuses: Vec<u16>,
    /// Who may ask.
    pub access: Access,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Whoever has a bearer token, by its role and scopes.
    Token,
    /// Anybody; a token or a session shows more.
    Either,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// In the path: it must be there.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

/// A parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What a value is: a JSON Schema.
    pub schema: Value,
    /// What it is for.
    pub says: String,
}

impl Parameter {
    /// Text in the query.
    #[must_use]
    pub fn query(name: &str, says: &str) -> Self {
        Self::of(name, Place::Query, json!({ "type": "string" }), says)
    }

    /// A part of the path.
    #[must_use]
    pub fn path(name: &str, says: &str) -> Self {
        Self::of(name, Place::Path, json!({ "type": "string", "minLength": 1 }), says)
    }

    /// Text in a header.
    #[must_use]
    pub fn header(name: &str, says: &str) -> Self {
        Self::of(name, Place::Header, json!({ "type": "string" }), says)
    }

    /// Any parameter.
    #[must_use]
    pub fn of(name: &str, place: Place, schema: Value, says: &str) -> Self {
        Self { name: name.to_owned(), place, schema, says: says.to_owned() }
    }

    fn json(&self) -> Value {
        let mut parameter = json!({
            "name": self.name,
            "in": match self.place {
                Place::Path => "path",
                Place::Query => "query",
                Place::Header => "header",
            },
            "schema": self.schema,
        });
        if self.place == Place::Path {
            parameter["required"] = true.into();
        }
        if !self.says.is_empty() {
            parameter["description"] = self.says.as_str().into();
        }
        parameter
    }
}

/// The document.
#[must_use]
pub fn document(base: &str, paths: &[Path]) -> Value {
    let mut all = Map::new();
    for path in paths {
        let mut item = Map::new();
        for operation in &path.operations {
            item.insert(operation.method.to_owned(), operation.json(&path.path));
        }
        all.insert(path.path.clone(), Value::Object(item));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "vesalius",
            "summary": "A node of the European cancer imaging infrastructure and of the European Health Data Space",
            "description": "Made of the tables that route. The FHIR facade says more of itself at `/fhir/metadata`. HEAD is answered wherever GET is.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": base }],
        "tags": tags(paths),
        "paths": all,
        "components": {
            "responses": refusals(paths),
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "`vesalius token --role ROLE [--scope …]`",
            } },
            "schemas": {
                "Problem": {
                    "description": "RFC 9457",
                    "type": "object",
                    "required": ["title", "status", "detail"],
                    "properties": {
                        "type": { "type": "string" },
                        "title": { "type": "string" },
                        "status": { "type": "integer" },
                        "detail": { "type": "string" },
                    },
                },
                "OperationOutcome": {
                    "description": "FHIR R4 operationoutcome.html",
                    "type": "object",
                    "required": ["resourceType", "issue"],
                    "properties": {
                        "resourceType": { "const": "OperationOutcome" },
                        "issue": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "type": "object",
                                "required": ["severity", "code"],
                                "properties": {
                                    "severity": { "enum": ["fatal", "error", "warning", "information"] },
                                    "code": { "type": "string" },
                                    "diagnostics": { "type": "string" },
                                },
                            },
                        },
                    },
                },
            },
        },
    })
}

fn tags(paths: &[Path]) -> Vec<Value> {
    let mut names: Vec<&str> =
        paths.iter().flat_map(|path| &path.operations).map(|of| of.tag).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

impl Operation {
    fn json(&self, path: &str) -> Value {
        let mut statuses = self.statuses.clone();
        statuses.sort_unstable();
        statuses.dedup();
        let answers: Map<String, Value> =
            statuses.into_iter().map(|status| (status.to_string(), self.answer(status))).collect();
        let mut operation = json!({
            "operationId": self.id(path),
            "tags": [self.tag],
            "summary": self.summary,
            "responses": answers,
        });
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.iter().map(Parameter::json).collect();
        }
        if !self.takes.is_empty() {
            let content: Map<String, Value> =
                self.takes.iter().map(|media| ((*media).to_owned(), taken(media))).collect();
            operation["requestBody"] = json!({ "content": content });
        }
        operation["security"] = match self.access {
            Access::Open => json!([]),
            Access::Token => json!([{ "token": [] }]),
            Access::Either => json!([{}, { "token": [] }]),
        };
        operation
    }

    /// The method and the address in letters that generators make names of.
    fn id(&self, path: &str) -> String {
        let mut id = self.method.to_owned();
        for part in path.split(|letter: char| !letter.is_ascii_alphanumeric()) {
            if !part.is_empty() {
                id.push('_');
                id.push_str(part);
            }
        }
        // A type and the type with a slash behind it are two addresses.
        id + if path.len() > 1 && path.ends_with('/') { "_" } else { "" }
    }

    /// What comes with a status: written here, or as a reference where it is always the same.
    fn answer(&self, status: u16) -> Value {
        if status >= 400 {
            let name = refusal(self.tag, status);
            return json!({ "$ref": format!("#/components/responses/{name}") });
        }
        let mut answer = json!({ "description": words(status) });
        if matches!(status, 200..300) && status != 204 && !self.gives.is_empty() {
            let content = self.gives.iter().map(|media| (media.clone(), json!({})));
            answer["content"] = Value::Object(content.collect());
        }
        answer
    }
}

/// FHIR says what is wrong with an OperationOutcome, everything else with a problem document.
fn refusal(tag: &str, status: u16) -> String {
    format!("{}{status}", if tag == "fhir" { "Outcome" } else { "Problem" })
}

/// Every refusal that an operation names.
fn refusals(paths: &[Path]) -> Value {
    let mut all = Map::new();
    for operation in paths.iter().flat_map(|path| &path.operations) {
        for status in operation.statuses.iter().copied().filter(|status| *status >= 400) {
            let content = if operation.tag == "fhir" {
                json!({
                    "application/fhir+json": { "schema": { "$ref": "#/components/schemas/OperationOutcome" } },
                    "application/fhir+xml": {},
                })
            } else {
                json!({
                    "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
                    "text/html": {},
                })
            };
            all.insert(
                refusal(operation.tag, status),
                json!({ "description": words(status), "content": content }),
            );
        }
    }
    Value::Object(all)
}

/// What a body of that type is, as far as a description helps whoever sends one.
fn taken(media: &str) -> Value {
    match media {
        "application/fhir+json" => json!({ "schema": {
            "type": "object",
            "required": ["resourceType"],
            "properties": { "resourceType": { "type": "string" } },
        } }),
        "application/json-patch+json" => json!({ "schema": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["op", "path"],
                "properties": {
                    "op": { "enum": ["add", "remove", "replace", "move", "copy", "test"] },
                    "path": { "type": "string" },
                },
            },
        } }),
        "application/x-www-form-urlencoded" => json!({ "schema": {
            "type": "object",
            "additionalProperties": { "type": "string" },
        } }),
        _ => json!({ "schema": { "type": "string" } }),
    }
}

fn words(status: u16) -> &'static str {
    match status {
        200 => "what was asked for",
        201 => "made",
        202 => "taken; it goes on",
        204 => "done, and nothing to say",
        206 => "a part",
        302 | 303 => "go on there",
        304 => "as it was",
        400 => "the request is wrong; the answer says where",
        401 => "a token is needed, or the one that came is not good",
        403 => "not with this role or these scopes",
        404 => "nothing of that name, or not for you",
        405 => "not with this method",
        406 => "in none of the forms that are accepted",
        409 => "it contradicts what is there",
        410 => "it was there",
        412 => "a condition of the request does not hold",
        413 => "too large",
        414 => "the address is too long",
        415 => "not in this form",
        416 => "there is no such range",
        422 => "the resource breaks a rule; the answer says which",
        429 => "too much at once",
        502 => "the PACS does not answer as it should",
        503 => "not now; try again",
        504 => "the PACS is late",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Operation, Parameter, Path, document};

    fn operation(method: &'static str) -> Operation {
        Operation {
            method,
            tag: "a",
            summary: "b".to_owned(),
            parameters: vec![Parameter::path("id", "")],
            takes: Vec::new(),
            gives: vec!["text/plain".to_owned()],
            statuses: vec![404, 200, 404],
            access: Access::Token,
        }
    }

    #[test]
    fn a_status_stands_once_and_a_part_of_the_path_is_required() {
        let paths = [Path { path: "/a/{id}".to_owned(), operations: vec![operation("get")] }];
        let document = document("https://a.example", &paths);
        let get = &document["paths"]["/a/{id}"]["get"];
        assert_eq!(get["operationId"], "get_a_id");
        assert_eq!(get["responses"].as_object().unwrap().len(), 2);
        assert_eq!(get["parameters"][0]["required"], true);
        assert_eq!(get["responses"]["404"]["$ref"], "#/components/responses/Problem404");
        let problem = &document["components"]["responses"]["Problem404"]["content"];
        assert!(problem["application/problem+json"]["schema"]["$ref"].is_string());
    }
}
