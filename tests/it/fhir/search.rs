//! Searches against a naive filter over the rendered resources: every parameter alone and in
//! pairs. The filter knows R4's rules and nothing of the product.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vesalius::actor::Role;

use super::server::{Server, archive};

pub type Judge<'a> = Box<dyn Fn(&Value) -> bool + 'a>;

/// A query and what it means.
pub struct Case<'a> {
    pub query: String,
    pub judge: Judge<'a>,
}

fn values<'v>(resource: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![resource];
    for name in path.split('.') {
        found = found
            .into_iter()
            .filter_map(|value| value.get(name))
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().collect(),
                value => vec![value],
            })
            .collect();
    }
    found
}

/// Codings, CodeableConcepts, Identifiers, codes and ids below a path as (system, code).
fn tokens(resource: &Value, path: &str) -> Vec<(Option<String>, String)> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    values(resource, path)
        .into_iter()
        .flat_map(|value| match value {
            Value::String(code) => vec![(None, Some(code.clone()))],
            _ if value.get("coding").is_some() => values(value, "coding")
                .into_iter()
                .map(|coding| (text(coding.get("system")), text(coding.get("code"))))
                .collect(),
            _ => vec![(text(value.get("system")), text(value.get("code").or(value.get("value"))))],
        })
        .filter_map(|(system, code)| Some((system, code?)))
        .collect()
}

fn has_token(resource: &Value, path: &str, asked: &str) -> bool {
    asked.split(',').any(|asked| {
        tokens(resource, path).iter().any(|(system, code)| match asked.split_once('|') {
            None => code == asked,
            Some(("", asked)) => system.is_none() && code == asked,
            Some((of, "")) => system.as_deref() == Some(of),
            Some((of, asked)) => system.as_deref() == Some(of) && code == asked,
        })
    })
}

/// Seconds of `YYYY…` as an interval, in Prague's zone where none is given.
pub fn interval(text: &str) -> (i64, i64) {
    use jiff::civil::{Date, DateTime};
    let zone = jiff::tz::TimeZone::get("Europe/Prague").unwrap();
    let at = |date: Date| date.to_zoned(zone.clone()).unwrap().timestamp().as_second();
    let number = |from: usize, to: usize| text[from..to].parse::<i16>().unwrap();
    let date = |year: i16, month: i16, day: i16| {
        Date::new(year, i8::try_from(month).unwrap(), i8::try_from(day).unwrap()).unwrap()
    };
    match text.len() {
        4 => (at(date(number(0, 4), 1, 1)), at(date(number(0, 4) + 1, 1, 1))),
        7 => {
            let (year, month) = (number(0, 4), number(5, 7));
            let next = if month == 12 { date(year + 1, 1, 1) } else { date(year, month + 1, 1) };
            (at(date(year, month, 1)), at(next))
        }
        10 => {
            let day = date(number(0, 4), number(5, 7), number(8, 10));
            (at(day), at(day.tomorrow().unwrap()))
        }
        _ => {
            let stamp = match text.parse::<jiff::Timestamp>() {
                Ok(stamp) => stamp,
                Err(_) => text.parse::<DateTime>().unwrap().to_zoned(zone).unwrap().timestamp(),
            };
            (stamp.as_second(), stamp.as_second() + 1)
        }
    }
}

fn has_date(resource: &Value, path: &str, prefix: &str, asked: &str) -> bool {
    let (from, to) = interval(asked);
    values(resource, path).into_iter().any(|value| {
        let (low, high) = interval(value.as_str().unwrap());
        match prefix {
            "" | "eq" => from <= low && high <= to,
            "ne" => from > low || high > to,
            "gt" => high > to,
            "lt" => low < from,
            "ge" => high > to || from <= low,
            "le" => low < from || high <= to,
            "sa" => low >= to,
            "eb" => high <= from,
            _ => unreachable!(),
        }
    })
}

fn fold(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .map(|letter| match letter {
            'á' => 'a',
            'ö' | 'ó' => 'o',
            'ř' => 'r',
            'ž' => 'z',
            'ü' => 'u',
            'í' => 'i',
            'ý' => 'y',
            letter => letter,
        })
        .collect()
}

fn token_cases<'a>(name: &str, path: &'static str, asked: &[&str]) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for asked in asked {
        let (is, not) = ((*asked).to_owned(), (*asked).to_owned());
        let encoded = asked.replace('|', "%7C");
        cases.push(Case {
            query: format!("{name}={encoded}"),
            judge: Box::new(move |resource| has_token(resource, path, &is)),
        });
        cases.push(Case {
            query: format!("{name}:not={encoded}"),
            judge: Box::new(move |resource| !has_token(resource, path, &not)),
        });
    }
    cases.extend(missing_cases(name, path));
    cases
}

fn missing_cases<'a>(name: &str, path: &'static str) -> Vec<Case<'a>> {
    [true, false]
        .into_iter()
        .map(|missing| Case {
            query: format!("{name}:missing={missing}"),
            judge: Box::new(move |resource: &Value| {
                let there = values(resource, path).into_iter().any(|value| {
                    // A Coding that only says why it is absent is absent.
                    value
                        .as_object()
                        .is_none_or(|object| !object.keys().all(|key| key == "extension"))
                });
                there != missing
            }),
        })
        .collect()
}

pub fn study_cases<'a>(studies: &[Value], patients: &'a BTreeMap<String, Value>) -> Vec<Case<'a>> {
    const SCT: &str = "http://snomed.info/sct";
    const STAFF: &str = "https://imaging.example/id/coding-scheme/99STAFF";
    let mut cases = Vec::new();
    cases.extend(token_cases(
        "modality",
        "series.modality",
        &[
            "MG",
            "CT,MR",
            "http://dicom.nema.org/resources/ontology/DCM|MG",
            "other|MG",
            "|MG",
            "http://dicom.nema.org/resources/ontology/DCM|",
            "XX",
        ],
    ));
    for name in ["bodysite", "body-site"] {
        cases.extend(token_cases(
            name,
            "series.bodySite",
            &[
                "76752008",
                &format!("{SCT}|76752008"),
                &format!("{SCT}|"),
                "41216001,816094009",
                "|76752008",
                "BREAST",
            ],
        ));
    }
    cases.extend(token_cases(
        "status",
        "status",
        &["available", "cancelled", "available,cancelled"],
    ));
    cases.extend(token_cases(
        "reason",
        "reasonCode",
        &["R05", "http://hl7.org/fhir/sid/icd-10|Z12.3", "x|R05"],
    ));
    cases.extend(token_cases(
        "dicom-class",
        "series.instance.sopClass",
        &[
            "urn:oid:1.2.840.10008.5.1.4.1.1.2",
            "urn:ietf:rfc:3986|urn:oid:1.2.840.10008.5.1.4.1.1.2",
        ],
    ));
    let some = &studies[studies.len() / 2];
    let uid = some["identifier"][0]["value"].as_str().unwrap();
    cases.extend(token_cases(
        "identifier",
        "identifier",
        &[
            uid,
            &format!("urn:dicom:uid|{uid}"),
            "urn:dicom:uid|",
            "A3",
            "https://imaging.example/id/accession|A3",
            "x|A3",
            "S7",
            "https://imaging.example/study-id|S7,A3",
        ],
    ));
    let series = some["series"][0]["uid"].as_str().unwrap().to_owned();
    let instance = some["series"][0]["instance"][0]["uid"].as_str().unwrap().to_owned();
    for (name, path, uid) in
        [("series", "series.uid", series), ("instance", "series.instance.uid", instance)]
    {
        for query in [format!("{name}={uid}"), format!("{name}=%7C{uid}")] {
            let uid = uid.clone();
            cases.push(Case { query, judge: Box::new(move |r| has_token(r, path, &uid)) });
        }
    }
    let id = some["id"].as_str().unwrap().to_owned();
    cases.extend(token_cases("_id", "id", &[&id, &format!("{id},x")]));
    for date in [
        "2024",
        "2024-07",
        "2024-07-31",
        "2024-08-01",
        "2024-07-31T23:30:00%2B02:00",
        "2023-12-31",
        "2024-01-01",
    ] {
        for prefix in ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"] {
            let asked = date.replace("%2B", "+");
            cases.push(Case {
                query: format!("started={prefix}{date}"),
                judge: Box::new(move |resource| has_date(resource, "started", prefix, &asked)),
            });
        }
    }
    cases.push(Case {
        query: "started=2024-07-31,2023-12-31".to_owned(),
        judge: Box::new(|r| {
            has_date(r, "started", "", "2024-07-31") || has_date(r, "started", "", "2023-12-31")
        }),
    });
    cases.extend(missing_cases("started", "started"));
    for (name, path) in [
        ("referrer", "referrer"),
        ("interpreter", "interpreter"),
        ("performer", "series.performer.actor"),
    ] {
        let path_of_identifier: &'static str = match name {
            "referrer" => "referrer.identifier",
            "interpreter" => "interpreter.identifier",
            _ => "series.performer.actor.identifier",
        };
        cases.extend(missing_cases(name, path));
        for asked in ["11", "13", "21", &format!("{STAFF}|11"), &format!("{STAFF}|"), "x|11"] {
            let asked = asked.to_owned();
            cases.push(Case {
                query: format!("{name}:identifier={}", asked.replace('|', "%7C")),
                judge: Box::new(move |r| has_token(r, path_of_identifier, &asked)),
            });
        }
        cases.push(Case { query: format!("{name}=Practitioner/1"), judge: Box::new(|_| false) });
    }
    cases.push(Case {
        query: "performer=Organization/data-holder".to_owned(),
        judge: Box::new(|r| {
            values(r, "series.performer.actor.reference")
                .contains(&&"Organization/data-holder".into())
        }),
    });
    for name in ["basedon", "based-on"] {
        cases.extend(missing_cases(name, "basedOn"));
        for asked in ["A3", "https://imaging.example/id/accession|A3", "x|A3", "S7"] {
            cases.push(Case {
                query: format!("{name}:identifier={}", asked.replace('|', "%7C")),
                judge: Box::new(move |r| has_token(r, "basedOn.identifier", asked)),
            });
        }
    }
    cases.push(Case { query: "endpoint=Endpoint/wado-rs".to_owned(), judge: Box::new(|_| true) });
    cases.push(Case { query: "endpoint=other".to_owned(), judge: Box::new(|_| false) });
    cases.extend(missing_cases("endpoint", "endpoint"));
    cases.extend(missing_cases("encounter", "encounter"));
    let subject = some["subject"]["reference"].as_str().unwrap().to_owned();
    let bare = subject.strip_prefix("Patient/").unwrap().to_owned();
    for (name, value) in [
        ("patient", bare.clone()),
        ("subject", subject.clone()),
        ("patient:Patient", bare),
        ("subject", format!("https://imaging.example/fhir/{subject}")),
    ] {
        let subject = subject.clone();
        cases.push(Case {
            query: format!("{name}={value}"),
            judge: Box::new(move |r| r["subject"]["reference"] == subject.as_str()),
        });
    }
    cases.push(Case { query: "subject:Device=1".to_owned(), judge: Box::new(|_| false) });
    let of_patient = |judge: Judge<'a>| -> Judge<'a> {
        Box::new(move |resource: &Value| {
            let reference = resource["subject"]["reference"].as_str().unwrap();
            judge(&patients[reference.strip_prefix("Patient/").unwrap()])
        })
    };
    for (query, judge) in [
        (
            "patient.identifier=P3",
            Box::new(|p: &Value| has_token(p, "identifier", "P3")) as Judge<'a>,
        ),
        (
            "subject:Patient.identifier=urn:oid:2.999.7%7CN3",
            Box::new(|p| has_token(p, "identifier", "urn:oid:2.999.7|N3")),
        ),
        ("patient:identifier=P3", Box::new(|p| has_token(p, "identifier", "P3"))),
        ("patient.gender=female", Box::new(|p| p["gender"] == "female")),
    ] {
        cases.push(Case { query: query.to_owned(), judge: of_patient(judge) });
    }
    cases
}

pub fn patient_cases<'a>(patients: &BTreeMap<String, Value>) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    cases.extend(token_cases(
        "identifier",
        "identifier",
        &[
            "P3",
            "N3",
            "https://imaging.example/id/patient|P3",
            "https://imaging.example/id/patient/HOSP|P3",
            "urn:oid:2.999.7|N3",
            "x|P3",
            "P3,P4",
        ],
    ));
    cases.extend(token_cases("gender", "gender", &["female", "male,other", "unknown"]));
    let id = patients.keys().next().unwrap().clone();
    cases.extend(token_cases("_id", "id", &[&id]));
    for date in ["1955", "1955-05", "1955-06", "1955-05-12", "1960-12-31", "1961-01-01", "1956"] {
        for prefix in ["", "ne", "gt", "lt", "ge", "le", "sa", "eb"] {
            cases.push(Case {
                query: format!("birthdate={prefix}{date}"),
                judge: Box::new(move |resource| has_date(resource, "birthDate", prefix, date)),
            });
        }
    }
    cases.extend(missing_cases("birthdate", "birthDate"));
    for (name, paths) in [
        ("family", &["name.family"][..]),
        ("given", &["name.given"][..]),
        ("name", &["name.family", "name.given", "name.text", "name.prefix", "name.suffix"][..]),
    ] {
        for asked in ["dvor", "Dvořáková", "DVORAK", "nov", "ana m", "jan", "la", "x"] {
            let strings = move |resource: &Value| -> Vec<String> {
                paths
                    .iter()
                    .flat_map(|path| values(resource, path))
                    .map(|value| value.as_str().unwrap().to_owned())
                    .collect()
            };
            for (modifier, judge) in [
                (
                    "",
                    Box::new(move |r: &Value| {
                        strings(r).iter().any(|s| fold(s).starts_with(&fold(asked)))
                    }) as Judge<'a>,
                ),
                (
                    ":contains",
                    Box::new(move |r| strings(r).iter().any(|s| fold(s).contains(&fold(asked)))),
                ),
                (":exact", Box::new(move |r| strings(r).iter().any(|s| s == asked))),
            ] {
                let encoded =
                    asked.replace(' ', "%20").replace('ř', "%C5%99").replace('á', "%C3%A1");
                cases.push(Case { query: format!("{name}{modifier}={encoded}"), judge });
            }
        }
    }
    cases
}

fn ids<'v>(resources: impl IntoIterator<Item = &'v Value>) -> BTreeSet<&'v str> {
    resources.into_iter().map(|resource| resource["id"].as_str().unwrap()).collect()
}

async fn compare(server: &Server, kind: &str, resources: &[Value], cases: &[Case<'_>]) -> usize {
    let mut wrong = Vec::new();
    let mut hits = 0;
    let count = resources.len() + 1;
    let all: Vec<BTreeSet<&str>> =
        cases.iter().map(|case| ids(resources.iter().filter(|r| (case.judge)(r)))).collect();
    let mut asked = 0;
    for (at, case) in cases.iter().enumerate() {
        // Alone, and with some others: all pairs would only repeat themselves.
        let partners = (at + 1..cases.len()).filter(|other| (at * 7 + other * 13) % 11 == 0);
        for other in std::iter::once(None).chain(partners.map(Some)) {
            let (query, expected) = match other {
                None => (case.query.clone(), all[at].clone()),
                Some(other) => {
                    (format!("{}&{}", case.query, cases[other].query), &all[at] & &all[other])
                }
            };
            let path = format!("/fhir/{kind}?{query}&_elements=id&_count={count}");
            let reply = server.get(Role::ImagingIt, &path).await;
            let bundle: Value = serde_json::from_slice(&reply.bytes).unwrap();
            let found: BTreeSet<String> = bundle["entry"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
                .collect();
            let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
            asked += 1;
            hits += usize::from(!expected.is_empty() && expected.len() < resources.len());
            if found != expected || bundle["total"] != expected.len() {
                wrong.push(format!(
                    "{query}: {} found, {} expected, total {}",
                    found.len(),
                    expected.len(),
                    bundle["total"]
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {asked}:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
    eprintln!(
        "{kind}: {asked} searches equal to the naive filter, {hits} of them with some but not all"
    );
    hits
}

#[actix_web::test]
async fn every_search_finds_what_a_naive_filter_finds() {
    let server = Server::new(archive(150, 7), |_| ());
    let studies = server.all("/fhir/ImagingStudy?_count=17").await;
    assert_eq!(studies.len(), 150);
    let patients = server.all("/fhir/Patient?_count=10").await;
    let by_id: BTreeMap<String, Value> =
        patients.iter().map(|p| (p["id"].as_str().unwrap().to_owned(), p.clone())).collect();
    assert_eq!(by_id.len(), patients.len());
    let cases = study_cases(&studies, &by_id);
    assert!(compare(&server, "ImagingStudy", &studies, &cases).await > 300);
    let cases = patient_cases(&by_id);
    assert!(compare(&server, "Patient", &patients, &cases).await > 100);
}
