//! The form of the SPARQL endpoint: examples, a query to try, and what came of it as a table.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

use super::layout::{Layout, Place};
use super::pages::Pages;
use super::problem::render;
use super::reader::Reader;
use super::words::{self, Item};

/// Rows that are shown; programs get the others too.
const ROWS: usize = 500;
/// Letters of a graph that are shown.
const LETTERS: usize = 200_000;

/// Examples: name in addresses, key of its words, query.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("datasets", "sparql.example-datasets", include_str!("../../catalogue/queries/datasets.rq")),
    (
        "by-modality",
        "sparql.example-by-modality",
        include_str!("../../catalogue/queries/by-modality.rq"),
    ),
    (
        "access-bodies",
        "sparql.example-access-bodies",
        include_str!("../../catalogue/queries/access-bodies.rq"),
    ),
    ("variables", "sparql.example-variables", include_str!("../../catalogue/queries/variables.rq")),
    ("describe", "sparql.example-describe", include_str!("../../catalogue/queries/describe.rq")),
];

/// An answer to a query: SPARQL results in JSON, or a graph as Turtle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Results {
    /// Which of them.
    pub media_type: String,
    /// What it says.
    pub body: Vec<u8>,
    /// Whether rows were left off.
    pub is_truncated: bool,
}

/// A query that was sent, with its answer or what is wrong.
pub type Tried = (String, Result<Results, String>);

/// What a page shows of an answer.
enum Shown {
    /// Nothing was asked.
    Nothing,
    /// What is wrong.
    Failure(String),
    /// ASK.
    Truth(bool),
    /// SELECT: variables, rows, and how many rows there are.
    Table(Vec<String>, Vec<Vec<Cell>>, usize),
    /// CONSTRUCT and DESCRIBE.
    Graph(String),
}

/// A value of a variable.
struct Cell {
    item: Option<Item>,
    lang: String,
}

#[derive(Template)]
#[template(path = "sparql.html")]
struct SparqlPage {
    layout: Layout,
    /// Address, words, whether it is shown.
    examples: Vec<(String, &'static str, bool)>,
    query: String,
    programs: String,
    shown: Shown,
    is_truncated: bool,
}

fn cell(binding: Option<&Value>) -> Cell {
    let text = |key: &str| {
        let value = binding.and_then(|binding| binding.get(key)).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let value = text("value");
    let lang = text("xml:lang");
    let is_tag = lang.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let item = binding.map(|_| match text("type").as_str() {
        "uri" => {
            let mut item = Item::address(&value);
            item.href = item.href.filter(|href| !href.as_str().starts_with('/'));
            item
        }
        _ => Item::plain(value.clone()),
    });
    Cell { item, lang: if is_tag { lang } else { String::new() } }
}

fn shown(results: &Results) -> Shown {
    if !results.media_type.contains("json") {
        let text = String::from_utf8_lossy(&results.body);
        return Shown::Graph(text.chars().take(LETTERS).collect());
    }
    let value: Value = serde_json::from_slice(&results.body).unwrap_or_default();
    if let Some(truth) = value.get("boolean").and_then(Value::as_bool) {
        return Shown::Truth(truth);
    }
    let list =
        |path: &str| value.pointer(path).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names: Vec<String> =
        list("/head/vars").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let rows = list("/results/bindings");
    let cells = |row: &Value| names.iter().map(|name| cell(row.get(name))).collect();
    Shown::Table(names.clone(), rows.iter().take(ROWS).map(cells).collect(), rows.len())
}

impl Pages {
    /// Answers a reader of HTML at `/sparql`: a form, and what came of a query.
    pub async fn answer_sparql(&self, request: HttpRequest, tried: Option<Tried>) -> HttpResponse {
        let reader = Reader::of(&request);
        let tongue = reader.tongue;
        let mut layout =
            Layout::new(self.site(), &reader, tongue.word("doors.sparql"), Place::Elsewhere);
        layout.summary = tongue.word("sparql.summary").to_owned();
        let asked = words::pairs(request.query_string());
        let asked = asked.iter().find(|(name, _)| name == "example").map(|(_, name)| name.as_str());
        let chosen = EXAMPLES.iter().find(|(name, _, _)| asked == Some(*name));
        let is_failure = matches!(&tried, Some((_, Err(_))));
        let is_truncated = matches!(&tried, Some((_, Ok(results))) if results.is_truncated);
        let (query, shown) = match tried {
            None => {
                let first = EXAMPLES.first().map_or("", |(_, _, query)| query);
                (chosen.map_or(first, |(_, _, query)| query).to_owned(), Shown::Nothing)
            }
            Some((query, Err(failure))) => (query, Shown::Failure(failure)),
            Some((query, Ok(results))) => (query, shown(&results)),
        };
        let page = SparqlPage {
            programs: tongue.put("sparql.programs", format!("{}/sparql", self.site().base)),
            examples: EXAMPLES
                .iter()
                .map(|(name, key, own)| {
                    (format!("/sparql?example={name}"), tongue.word(key), *own == query)
                })
                .collect(),
            layout,
            query,
            shown,
            is_truncated,
        };
        let mut response =
            self.answer(&request, &reader, Ok(render(&page).map(|html| (html, false))));
        if is_failure && response.status().is_success() {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        response
    }
}
