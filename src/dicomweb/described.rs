//! What OpenAPI says of `/dicom-web`: the addresses of PS3.18 sections 10.4 and 10.6, and the
//! attributes of `mappings/qido.toml` that a search matches by.

use serde_json::json;

use super::State;
use super::qido::table::Level;
use crate::openapi::{Access, Operation, Parameter, Path, Place};

/// What every request can be told.
const ALWAYS: &[u16] = &[200, 400, 401, 403, 404, 406, 503];
/// What sending bytes can be told besides: parts, ranges, what is gone, and a PACS in between.
const BYTES: &[u16] = &[206, 304, 410, 413, 416, 429, 502, 504];

const DICOM_JSON: &str = "application/dicom+json";
const RELATED: &str = "multipart/related";

/// The way to each level of objects.
const WAYS: &[&str] = &[
    "/studies/{study}",
    "/studies/{study}/series/{series}",
    "/studies/{study}/series/{series}/instances/{instance}",
];

/// What is searched, and how deep.
const SEARCHES: &[(&str, Level)] = &[
    ("/studies", Level::Study),
    ("/series", Level::Series),
    ("/instances", Level::Instance),
    ("/studies/{study}/series", Level::Series),
    ("/studies/{study}/instances", Level::Instance),
    ("/studies/{study}/series/{series}/instances", Level::Instance),
];

/// What is retrieved of each way, and in which media types.
const EVERY: &[(&str, &str, &[&str])] = &[
    ("", "retrieve objects", &[RELATED]),
    ("/metadata", "retrieve metadata", &[DICOM_JSON]),
    ("/rendered", "retrieve pictures", &["image/jpeg", "image/png", RELATED]),
];

/// What is retrieved of an instance besides.
const INSTANCE: &[(&str, &str, &[&str])] = &[
    ("/frames/{frames}", "retrieve frames", &[RELATED, "application/octet-stream"]),
    (
        "/frames/{frames}/rendered",
        "retrieve pictures of frames",
        &["image/jpeg", "image/png", RELATED],
    ),
    ("/bulkdata/{way}", "retrieve a value", &["application/octet-stream", RELATED]),
];

fn get(
    path: &str,
    summary: &str,
    media: &[&str],
    statuses: Vec<u16>,
    query: Vec<Parameter>,
) -> Path {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let of_path = names.map(|name| match name {
        "frames" => Parameter::of(
            name,
            Place::Path,
            json!({ "type": "string", "pattern": "^[1-9][0-9]*(,[1-9][0-9]*)*$" }),
            "numbers of frames, from 1",
        ),
        "way" => {
            Parameter::path(name, "tags, and item numbers between them, as `metadata` has them")
        }
        _ => Parameter::of(
            name,
            Place::Path,
            json!({ "type": "string", "pattern": "^[0-9.]{1,64}$" }),
            "an instance UID (PS3.5 section 9.1)",
        ),
    });
    let operation = Operation {
        method: "get",
        tag: "dicom-web",
        summary: summary.to_owned(),
        parameters: of_path.chain(query).collect(),
        takes: Vec::new(),
        gives: media.iter().map(|media| (*media).to_owned()).collect(),
        statuses,
        access: Access::Token,
    };
    Path { path: format!("/dicom-web{path}"), operations: vec![operation] }
}

impl State {
    /// Every address below `/dicom-web`.
    #[must_use]
    pub fn described(&self) -> Vec<Path> {
        let mut all = Vec::new();
        for (path, level) in SEARCHES {
            let matched = self.table.attribute.iter().filter(|row| row.matching.is_some());
            let matched = matched.filter(|row| row.level <= *level);
            let mut query: Vec<Parameter> =
                matched.map(|row| Parameter::query(&row.keyword, "")).collect();
            let number = json!({ "type": "integer", "minimum": 0 });
            query.extend([
                Parameter::query("includefield", "a keyword, a tag, or `all`"),
                Parameter::query("fuzzymatching", ""),
                Parameter::of("limit", Place::Query, number.clone(), ""),
                Parameter::of("offset", Place::Query, number, ""),
            ]);
            let statuses = [ALWAYS, &[204, 413]].concat();
            all.push(get(path, "search", &[DICOM_JSON], statuses, query));
        }
        let accept = || vec![Parameter::query("accept", "above the header Accept")];
        for (way, ends) in WAYS
            .iter()
            .map(|way| (way, EVERY))
            .chain(WAYS.last().into_iter().map(|way| (way, INSTANCE)))
        {
            for (end, summary, media) in ends {
                let statuses = [ALWAYS, BYTES].concat();
                all.push(get(&format!("{way}{end}"), summary, media, statuses, accept()));
            }
        }
        all
    }
}
