//! What OpenAPI says of the catalogue's doors: the rows of the table that routes ([`DOORS`]), and
//! `/sparql`.

use serde_json::json;

use super::doors::{DOORS, Door};
use crate::openapi::{Access, Operation, Parameter, Path, Place};

/// What a door can be told.
const STATUSES: &[u16] = &[200, 304, 400, 404, 406, 410, 414, 503];

/// Media types of results (SPARQL 1.1 Query Results, and of graphs).
const RESULTS: &[&str] = &[
    "application/sparql-results+json",
    "application/sparql-results+xml",
    "text/csv",
    "text/tab-separated-values",
    "text/turtle",
    "application/ld+json",
    "application/rdf+xml",
    "application/n-triples",
    "application/n-quads",
    "text/html",
];

/// `/a/{part:(?:x|y)}` → `/a/{part}`, and the parameters with their patterns.
fn plain(path: &str) -> (String, Vec<Parameter>) {
    let mut rest = path;
    let mut plain = String::new();
    let mut parameters = Vec::new();
    while let Some((before, inside)) = rest.split_once('{') {
        plain.push_str(before);
        let mut depth = 1;
        let end = inside.find(|letter: char| {
            depth += match letter {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0
        });
        let (inside, after) = inside.split_at(end.unwrap_or(inside.len()));
        let (name, pattern) = match inside.split_once(':') {
            None => (inside, None),
            Some((name, pattern)) => (name, Some(pattern)),
        };
        plain.push_str(&format!("{{{name}}}"));
        parameters.push(match pattern {
            None => Parameter::path(name, ""),
            Some(pattern) => Parameter::of(
                name,
                Place::Path,
                json!({ "type": "string", "pattern": format!("^{pattern}$") }),
                "",
            ),
        });
        rest = after.strip_prefix('}').unwrap_or_default();
    }
    plain.push_str(rest);
    (plain, parameters)
}

fn operation(
    method: &'static str,
    summary: &str,
    parameters: Vec<Parameter>,
    gives: &[&str],
    statuses: &[u16],
) -> Operation {
    Operation {
        method,
        tag: "catalogue",
        summary: summary.to_owned(),
        parameters,
        takes: Vec::new(),
        gives: gives.iter().map(|media| (*media).to_owned()).collect(),
        statuses: statuses.to_vec(),
        access: Access::Open,
    }
}

fn of_door(door: &Door) -> (String, Vec<Operation>) {
    let (path, of_path) = plain(door.path);
    let query = door.query.iter().map(|name| Parameter::query(name, ""));
    let mut gives: Vec<&str> = door.forms.iter().map(|form| form.media_type).collect();
    if door.page.is_some() {
        gives.push("text/html");
    }
    let all = of_path.iter().cloned().chain(query).collect();
    let mut operations = vec![operation("get", door.path, all, &gives, STATUSES)];
    if door.takes_forms {
        let mut post = operation("post", door.path, of_path, &gives, STATUSES);
        post.takes = vec!["application/x-www-form-urlencoded"];
        post.statuses.push(413);
        operations.push(post);
    }
    (path, operations)
}

/// Every door.
#[must_use]
pub fn described() -> Vec<Path> {
    let mut all: Vec<Path> = Vec::new();
    for door in DOORS {
        let (path, operations) = of_door(door);
        // Several doors of one shape differ by the pattern of a part alone.
        match all.iter_mut().find(|known| known.path == path) {
            None => all.push(Path { path, operations }),
            Some(known) => widen(known, operations),
        }
    }
    let query = |name: &str| Parameter::query(name, "SPARQL 1.1 Protocol section 2.1");
    let names = ["query", "default-graph-uri", "named-graph-uri"];
    let statuses = [200, 304, 400, 406, 413, 414, 415, 503];
    let get =
        operation("get", "query, or the description", names.map(query).into(), RESULTS, &statuses);
    let mut post = operation("post", "query", Vec::new(), RESULTS, &statuses);
    post.takes = vec!["application/sparql-query", "application/x-www-form-urlencoded"];
    let options = operation("options", "whether other origins may ask", Vec::new(), &[], &[204]);
    all.push(Path { path: "/sparql".to_owned(), operations: vec![get, post, options] });
    all
}

/// Makes an address say what two doors give.
fn widen(known: &mut Path, operations: Vec<Operation>) {
    for (own, other) in known.operations.iter_mut().zip(operations) {
        for media in other.gives {
            if !own.gives.contains(&media) {
                own.gives.push(media);
            }
        }
        for parameter in &mut own.parameters {
            let same = other.parameters.iter().find(|of| of.name == parameter.name);
            if same.is_some_and(|same| same.schema != parameter.schema) {
                parameter.schema = json!({ "type": "string", "minLength": 1 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_pattern_of_the_router_is_a_parameter_with_a_pattern() {
        let (path, parameters) = plain("/dataset/{slug}/{part:eucaim(?:\\.[a-z]{2,3})?}");
        assert_eq!(path, "/dataset/{slug}/{part}");
        assert_eq!(parameters[1].schema["pattern"], "^eucaim(?:\\.[a-z]{2,3})?$");
        assert_eq!(plain("/sitemap/{slug}.xml").0, "/sitemap/{slug}.xml");
    }
}
