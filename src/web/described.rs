//! What OpenAPI says of the pages: HTML for people, the same routes as in `routes`.

use crate::openapi::{Access, Operation, Parameter, Path};

/// An address: its methods, what it is, the parameters of its query, what it gives.
type Row =
    (&'static str, &'static [&'static str], &'static str, &'static [&'static str], &'static str);

const HTML: &str = "text/html";
const FORM: &str = "application/x-www-form-urlencoded";

/// Every page. A slash at the end is not part of any.
const PAGES: &[Row] = &[
    ("/", &["get"], "what this node is", &[], HTML),
    ("/assets/{file}", &["get"], "style, fonts and pictures", &[], "*/*"),
    ("/dataset/{slug}/citation.{form}", &["get"], "a dataset's citation", &[], "*/*"),
    ("/cart", &["get", "post"], "datasets that were put aside", &["dataset"], HTML),
    ("/cart/citations.{form}", &["get"], "their citations", &["dataset"], "*/*"),
    ("/compare", &["get"], "datasets side by side", &["dataset"], HTML),
    ("/harvested", &["get"], "datasets of other catalogues", &["q", "source", "page"], HTML),
    ("/operator", &["get"], "the operator's overview", &[], HTML),
    ("/operator/sign-in", &["get", "post"], "signs in with a token", &["next"], HTML),
    ("/operator/sign-out", &["post"], "signs out", &[], HTML),
    ("/operator/sources", &["get"], "where studies come from", &[], HTML),
    ("/operator/runs", &["get"], "runs of ingest", &[], HTML),
    ("/operator/quarantine", &["get"], "what could not be read", &[], HTML),
    ("/operator/quarantine/retry", &["post"], "has it read again", &[], HTML),
    ("/operator/findings", &["get"], "what is missing or odd", &[], HTML),
    ("/operator/findings/{code}", &["get"], "the same of one kind", &[], HTML),
    (
        "/operator/catalogue",
        &["get"],
        "descriptions and their quality",
        &["q", "show", "page"],
        HTML,
    ),
    ("/operator/catalogue/{slug}", &["get"], "the same of one dataset", &[], HTML),
    ("/operator/catalogue/{slug}/edit", &["get", "post"], "edits a description", &[], HTML),
    ("/operator/catalogue/{slug}/toml", &["get", "post"], "the same as text", &[], HTML),
    ("/operator/catalogue/{slug}/review", &["get", "post"], "what a change does", &[], HTML),
    ("/operator/catalogue/{slug}/preview", &["get"], "the page that it will be", &[], HTML),
    (
        "/operator/catalogue/{slug}/preview-rdf",
        &["get"],
        "the document that it will be",
        &[],
        "*/*",
    ),
    ("/operator/catalogue/{slug}/versions", &["get", "post"], "versions of it", &[], HTML),
    ("/operator/catalogue/{slug}/withdraw", &["get", "post"], "withdraws a dataset", &[], HTML),
    ("/operator/catalogue/{slug}/export/{form}", &["get"], "a description as a file", &[], "*/*"),
    ("/operator/new-description", &["get", "post"], "begins a description", &[], HTML),
    ("/operator/import-description", &["get", "post"], "takes a description", &[], HTML),
    ("/operator/bulk-edit", &["get", "post"], "edits several descriptions", &[], HTML),
    (
        "/operator/harvest",
        &["get"],
        "catalogues that are harvested, and what each brought",
        &["lang"],
        HTML,
    ),
    (
        "/operator/harvest/{source}",
        &["get"],
        "what one of them brought, refused and why",
        &["after", "lang"],
        HTML,
    ),
    (
        "/operator/harvest/{source}/document",
        &["get"],
        "the last good version of a dataset, as it is kept",
        &["iri"],
        "application/n-triples",
    ),
];

/// The pages.
#[must_use]
pub fn described() -> Vec<Path> {
    let of = |row: &Row, method: &'static str| {
        let (path, _, summary, query, gives) = *row;
        let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let mut parameters: Vec<Parameter> = names.map(|name| Parameter::path(name, "")).collect();
        let is_post = method == "post";
        if !is_post {
            parameters.extend(query.iter().map(|name| Parameter::query(name, "")));
        }
        let is_operators = path.starts_with("/operator") && !path.starts_with("/operator/sign");
        let mut statuses = vec![200, 400, 404, 406, 410, 503];
        if path.starts_with("/operator") {
            statuses.extend([401, 403]);
        }
        if is_post {
            statuses.extend([303, 403, 413]);
        }
        if path.starts_with("/assets") {
            statuses.push(304);
        }
        Operation {
            method,
            tag: "pages",
            summary: summary.to_owned(),
            parameters,
            takes: if is_post { vec![FORM] } else { Vec::new() },
            gives: vec![gives.to_owned()],
            statuses,
            access: if is_operators { Access::Token } else { Access::Either },
        }
    };
    let pages = PAGES.iter().map(|row| Path {
        path: row.0.to_owned(),
        operations: row.1.iter().map(|method| of(row, method)).collect(),
    });
    pages.collect()
}
