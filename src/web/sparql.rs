//! `/sparql` for people: a form, examples, and what came of a query as a table.
//!
//! In: an answer of the endpoint ([`catalogue`](crate::catalogue)) as programs get it. Out: HTML. A query that
//! was refused stays in the form, beside the reason.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde_json::Value;

use super::Pages;
use super::layout::{Layout, Place};
use super::problem::{page_or_problem, render};
use super::reader::Reader;
use super::session::sentence;
use super::words::{self, Href, Phrase};
use crate::catalogue::sparql::{Answer, Unanswered};
use crate::error::{Error, Result};

/// What came of a query, or why nothing did.
pub type Told = std::result::Result<Answer, Unanswered>;

/// Rows that a page shows; programs get all of them.
const MOST_ROWS: usize = 500;

/// Lines of a graph that a page shows.
const MOST_LINES: usize = 2_000;

/// Longest query that is put into an address.
const MOST_ADDRESS: usize = 2_000;

/// The examples: key of what each asks, file of the release.
const EXAMPLES: &[(&str, &str)] = &[
    ("sparql.example-datasets", "queries/datasets.rq"),
    ("sparql.example-codes", "queries/by-modality.rq"),
    ("sparql.example-years", "queries/years.rq"),
    ("sparql.example-files", "queries/distributions.rq"),
    ("sparql.example-bodies", "queries/access-bodies.rq"),
];

struct Example {
    label: &'static str,
    href: String,
    query: String,
}

/// A value of a row.
#[derive(Debug, Default, PartialEq)]
struct Cell {
    phrase: Phrase,
    href: Option<Href>,
    is_number: bool,
}

struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<Cell>>,
    /// How many rows came; empty: the answer is yes or no.
    count: String,
    /// That not all of them are shown, or came.
    cut: Option<String>,
    /// The answer of ASK.
    verdict: &'static str,
}

#[derive(Template)]
#[template(path = "sparql.html")]
struct SparqlPage {
    layout: Layout,
    query: String,
    programs: String,
    table: Option<Table>,
    graph: Option<String>,
    /// That not all of the rows or lines are shown, or came.
    cut: Option<String>,
    failure: Phrase,
    /// The address of this answer, for who wants to share it.
    address: Option<String>,
    examples: Vec<Example>,
}

impl Pages {
    /// Answers a reader of HTML at `/sparql`: a form; with a query, what came of it.
    pub async fn answer_sparql(
        self: Arc<Self>,
        request: HttpRequest,
        asked: Option<(String, Told)>,
    ) -> HttpResponse {
        let reader = Reader::of(&request);
        let refused = match &asked {
            Some((_, Err(Unanswered::Refused(_)))) => Some(StatusCode::BAD_REQUEST),
            Some((_, Err(Unanswered::TooCostly(_)))) => Some(StatusCode::SERVICE_UNAVAILABLE),
            Some((_, Ok(_))) | None => None,
        };
        match (self.sparql(&reader, asked), refused) {
            (Ok(html), Some(status)) => {
                let mut response = HttpResponse::build(status);
                response
                    .insert_header((header::CACHE_CONTROL, "no-store"))
                    .insert_header((header::VARY, "Accept, Accept-Language, Cookie"))
                    .insert_header((header::CONTENT_LANGUAGE, reader.tongue.code.as_str()))
                    .content_type("text/html; charset=utf-8");
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    response.insert_header((header::RETRY_AFTER, "60"));
                }
                response.body(html)
            }
            (Ok(html), None) => self.answer(&request, &reader, Ok(Ok((html, false)))),
            (Err(error), _) => page_or_problem(self.site(), &request, &error),
        }
    }

    fn sparql(&self, reader: &Reader, asked: Option<(String, Told)>) -> Result<String> {
        let tongue = reader.tongue;
        let mut layout =
            Layout::new(self.site(), reader, tongue.word("doors.sparql"), Place::Elsewhere);
        layout.summary = tongue.word("sparql.summary").to_owned();
        layout.is_unlisted = asked.is_some();
        let address = |query: &str| format!("/sparql?query={}", words::encode(query));
        let examples = EXAMPLES
            .iter()
            .map(|(key, file)| {
                let query = without_comments(&self.release().text(file)?);
                Ok(Example { label: tongue.word(key), href: address(&query), query })
            })
            .collect::<Result<Vec<Example>>>()?;
        let first = examples.first().map_or("", |example| example.query.as_str()).to_owned();
        let mut page = SparqlPage {
            programs: tongue.put("sparql.programs", format!("{}/sparql", self.site().base)),
            layout,
            query: first,
            table: None,
            graph: None,
            cut: None,
            failure: Phrase::default(),
            address: None,
            examples,
        };
        if let Some((query, told)) = asked {
            let own = address(&query);
            // A query that is too long for an address is sent again in another language.
            if own.len() <= MOST_ADDRESS {
                page.layout.here = own.clone();
            } else {
                page.layout.here = "/sparql".to_owned();
                page.layout.form = Some(("work", ""));
            }
            page.address = (own.len() <= MOST_ADDRESS).then_some(own);
            page.query = query;
            match told {
                Ok(answer) if answer.media_type.ends_with("json") => {
                    page.table = Some(table(&answer.body, answer.is_truncated, reader)?);
                }
                Ok(answer) => {
                    let turtle = String::from_utf8_lossy(&answer.body);
                    let lines: Vec<&str> = turtle.lines().take(MOST_LINES + 1).collect();
                    if lines.len() > MOST_LINES {
                        let most = tongue.count(MOST_LINES as u64);
                        page.cut = Some(tongue.put("sparql.first-rows", most));
                    }
                    page.graph = lines.get(..lines.len().min(MOST_LINES)).map(|l| l.join("\n"));
                }
                Err(Unanswered::Refused(why) | Unanswered::TooCostly(why)) => {
                    let said = tongue.gate(&why);
                    page.failure = Phrase { text: sentence(&said.text), lang: said.lang };
                }
            }
        }
        render(&page)
    }
}

/// An example without the line that says what it is: the page says that in the reader's language.
fn without_comments(query: &str) -> String {
    let lines: Vec<&str> = query.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join("\n").trim().to_owned()
}

/// The results as a table (SPARQL 1.1 Query Results JSON Format section 3).
fn table(json: &[u8], is_truncated: bool, reader: &Reader) -> Result<Table> {
    let broken = || Error::Internal("the answer of a query cannot be read".to_owned());
    let tongue = reader.tongue;
    let results: Value = serde_json::from_slice(json).map_err(|_| broken())?;
    if let Some(verdict) = results["boolean"].as_bool() {
        let verdict = tongue.word(if verdict { "sparql.yes" } else { "sparql.no" });
        return Ok(Table {
            heads: Vec::new(),
            rows: Vec::new(),
            count: String::new(),
            cut: None,
            verdict,
        });
    }
    let heads: Vec<String> = results["head"]["vars"]
        .as_array()
        .ok_or_else(broken)?
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let bindings = results["results"]["bindings"].as_array().ok_or_else(broken)?;
    let row = |binding: &Value| heads.iter().map(|head| cell(&binding[head], reader)).collect();
    let cut = if bindings.len() > MOST_ROWS {
        Some(tongue.put("sparql.first-rows", tongue.count(MOST_ROWS as u64)))
    } else {
        is_truncated.then(|| tongue.word("sparql.truncated").to_owned())
    };
    Ok(Table {
        rows: bindings.iter().take(MOST_ROWS).map(row).collect(),
        count: tongue.many("row", &bindings.len()),
        cut,
        verdict: "",
        heads,
    })
}

/// One value; what the form of results does not know is shown as it came.
fn cell(value: &Value, reader: &Reader) -> Cell {
    let text = value["value"].as_str().unwrap_or_default();
    let datatype = value["datatype"].as_str().unwrap_or_default();
    let lang = value["xml:lang"].as_str().unwrap_or_default();
    match value["type"].as_str() {
        None => Cell::default(),
        Some("uri") => {
            Cell { phrase: Phrase::plain(text), href: Href::parse(text), is_number: false }
        }
        Some("bnode") => Cell { phrase: Phrase::plain(format!("_:{text}")), ..Cell::default() },
        Some("literal" | "typed-literal") => {
            let kind = datatype.rsplit('#').next().unwrap_or_default();
            let is_number =
                ["integer", "decimal", "double", "float", "nonNegativeInteger", "int", "long"]
                    .contains(&kind);
            let code = &reader.tongue.code;
            Cell { phrase: Phrase::within(text, lang, code), href: None, is_number }
        }
        Some(_) => Cell { phrase: Phrase::plain(value.to_string()), ..Cell::default() },
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde_json::json;

    use super::{MOST_ROWS, Reader, table, without_comments};

    #[test]
    fn results_become_rows_and_what_is_hostile_stays_text() {
        let reader = Reader::of(&TestRequest::get().uri("/sparql").to_http_request());
        let json = json!({
            "head": { "vars": ["a", "b", "c"] },
            "results": { "bindings": [
                { "a": { "type": "uri", "value": "javascript:alert(1)" },
                  "b": { "type": "literal", "value": "prsu", "xml:lang": "cs" } },
                { "a": { "type": "uri", "value": "https://a.example/x" },
                  "b": { "type": "literal", "value": "7", "datatype": "http://www.w3.org/2001/XMLSchema#integer" },
                  "c": { "type": "triple", "value": { "subject": {} } } },
            ] },
        });
        let made = table(json.to_string().as_bytes(), false, &reader).unwrap();
        assert_eq!(made.count, "2 rows");
        assert!(made.rows[0][0].href.is_none(), "a script became a link");
        assert_eq!(made.rows[0][1].phrase.lang, "cs");
        assert!(made.rows[0][2].phrase.is_empty(), "an unbound variable");
        assert!(made.rows[1][0].href.is_some() && made.rows[1][1].is_number);
        assert!(made.rows[1][2].phrase.text.contains("subject"));
        assert!(table(b"{}", false, &reader).is_err());
        assert!(table(b"<", false, &reader).is_err());
    }

    #[test]
    fn a_page_has_so_many_rows_and_says_when_there_are_more() {
        let reader = Reader::of(&TestRequest::get().uri("/sparql").to_http_request());
        let row = json!({ "a": { "type": "bnode", "value": "b" } });
        let of = |count: usize| json!({ "head": { "vars": ["a"] }, "results": { "bindings": vec![row.clone(); count] } });
        let made = table(of(MOST_ROWS + 1).to_string().as_bytes(), false, &reader).unwrap();
        assert_eq!((made.rows.len(), made.count.as_str()), (MOST_ROWS, "501 rows"));
        assert!(made.cut.is_some());
        assert!(table(of(3).to_string().as_bytes(), false, &reader).unwrap().cut.is_none());
        assert!(table(of(3).to_string().as_bytes(), true, &reader).unwrap().cut.is_some());
        assert_eq!(without_comments("# What.\nASK {}\n"), "ASK {}");
    }
}
