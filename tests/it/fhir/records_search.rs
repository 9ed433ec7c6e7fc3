//! Searches of what was written against the plainest reading of the same resources:
//! generated queries over 20 parameters and pairs of them, with order, total and pages. The
//! resources are synthetic.

use actix_web::http::StatusCode;
use jiff::civil::Date;
use serde_json::{Value, json};
use vesalius::actor::Role;

use super::records::{Client, writer};
use super::search_generated::searches;
use super::server::{Dice, Server, archive};

type Predicate = Box<dyn Fn(&Value) -> bool>;

const SCT: &str = "http://snomed.info/sct";
const CODES: &[&str] = &["254837009", "399068003", "93880001", "371480007", "385414009"];
const TEXTS: &[&str] = &["Left breast", "Žebro pravé", "lung, upper lobe", "Größe"];
const DAYS: &[&str] = &["2023-12-31", "2024", "2024-01", "2024-02-29", "2024-07-31", "2025-06"];
const NUMBERS: &[&str] = &["1.5", "1.50", "2", "10", "12.0", "12.4", "100"];
const UNITS: &[&str] = &["mm", "cm"];

fn dice(seed: u64) -> Dice {
    let mut dice = Dice(seed.wrapping_mul(1_000_003) + 17);
    for _ in 0..8 {
        dice.roll(2);
    }
    dice
}

fn coding(code: &str) -> Value {
    json!({ "coding": [{ "system": SCT, "code": code }] })
}

struct Known {
    patients: Vec<(String, String, String)>,
    studies: Vec<String>,
}

fn subject(dice: &mut Dice, known: &Known) -> Value {
    let (id, system, value) = &known.patients[dice.roll(5)];
    match dice.roll(3) {
        0 => json!({ "identifier": { "system": system, "value": value } }),
        _ => json!({ "reference": format!("Patient/{id}") }),
    }
}

fn observation(dice: &mut Dice, known: &Known, number: usize) -> Value {
    let mut of = json!({
        "resourceType": "Observation",
        "status": dice.pick(&["final", "amended", "preliminary"]),
        "code": coding(dice.pick(CODES)),
        "subject": subject(dice, known),
    });
    if dice.roll(2) == 0 {
        of["code"]["text"] = dice.pick(TEXTS).into();
    }
    if dice.roll(2) == 0 {
        of["identifier"] =
            json!([{ "system": "http://a.example/o", "value": format!("{}", number % 50) }]);
    }
    if dice.roll(2) == 0 {
        of["category"] = json!([{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": dice.pick(&["imaging", "laboratory"]),
        }] }]);
    }
    match dice.roll(4) {
        0 => of["effectiveDateTime"] = dice.pick(DAYS).into(),
        1 => {
            of["effectivePeriod"] =
                json!({ "start": "2024-01-15", "end": dice.pick(&["2024-02-29", "2025-06"]) })
        }
        2 => of["effectivePeriod"] = json!({ "start": dice.pick(DAYS) }),
        _ => {}
    }
    match dice.roll(4) {
        0 => {
            let unit = dice.pick(UNITS);
            let number: Value = serde_json::from_str(dice.pick(NUMBERS)).unwrap();
            of["valueQuantity"] = json!({
                "value": number, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit,
            });
        }
        1 => of["valueString"] = dice.pick(TEXTS).into(),
        2 => of["valueCodeableConcept"] = coding(dice.pick(CODES)),
        _ => {}
    }
    if dice.roll(2) == 0 {
        let study = &known.studies[dice.roll(6)];
        of["derivedFrom"] = json!([{ "reference": format!("ImagingStudy/{study}") }]);
    }
    if dice.roll(3) == 0 {
        of["performer"] = json!([
            { "reference": format!("Practitioner/p{}", dice.roll(3)) },
            { "identifier": { "system": "http://a.example/staff", "value": format!("{}", dice.roll(3)) } },
        ]);
    }
    of
}

fn condition(dice: &mut Dice, known: &Known, _: usize) -> Value {
    let mut of = super::records::condition(subject(dice, known));
    of["code"] = coding(dice.pick(CODES));
    of["clinicalStatus"]["coding"][0]["code"] = dice.pick(&["active", "recurrence"]).into();
    of["recordedDate"] = dice.pick(DAYS).into();
    if dice.roll(2) == 0 {
        of["onsetDateTime"] = dice.pick(DAYS).into();
    }
    if dice.roll(2) == 0 {
        of["bodySite"] = json!([coding(dice.pick(CODES)), coding(dice.pick(CODES))]);
    }
    if dice.roll(2) == 0 {
        of["severity"] = json!({ "text": dice.pick(TEXTS) });
    }
    of
}

// ── the plainest reading ───────────────────────────────────────────────────────────────────────

/// The days of a date, the end not included.
fn days(text: &str) -> (i64, i64) {
    let part = |at: usize| text.split('-').nth(at).map(|part| part.parse::<i8>().unwrap());
    let year: i16 = text[..4].parse().unwrap();
    let day = |date: Date| i64::from((date - Date::constant(1970, 1, 1)).get_days());
    match (part(1), part(2)) {
        (Some(month), Some(of)) => {
            let date = Date::new(year, month, of).unwrap();
            (day(date), day(date.tomorrow().unwrap()))
        }
        (Some(12), None) => {
            (day(Date::new(year, 12, 1).unwrap()), day(Date::new(year + 1, 1, 1).unwrap()))
        }
        (Some(month), None) => {
            (day(Date::new(year, month, 1).unwrap()), day(Date::new(year, month + 1, 1).unwrap()))
        }
        _ => (day(Date::new(year, 1, 1).unwrap()), day(Date::new(year + 1, 1, 1).unwrap())),
    }
}

fn interval(of: &Value, name: &str) -> Option<(i64, i64)> {
    if let Some(text) = of[format!("{name}DateTime")].as_str().or_else(|| of[name].as_str()) {
        return Some(days(text));
    }
    let period = of.get(format!("{name}Period"))?;
    let from = period["start"].as_str().map_or(i64::MIN, |text| days(text).0);
    Some((from, period["end"].as_str().map_or(i64::MAX, |text| days(text).1)))
}

fn date(dice: &mut Dice, element: &'static str) -> (String, Predicate) {
    let prefix = dice.pick(&["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]).to_owned();
    let text = dice.pick(DAYS);
    let (low, high) = days(text);
    let value = format!("{prefix}{text}");
    let holds = move |of: &Value| {
        let Some((from, to)) = interval(of, element) else { return false };
        let inside = low <= from && to <= high;
        match prefix.as_str() {
            "" | "eq" => inside,
            "ne" => !inside,
            "gt" => to > high,
            "lt" => from < low,
            "ge" => to > high || inside,
            "le" => from < low || inside,
            "sa" => from >= high,
            _ => to <= low,
        }
    };
    (format!("={value}"), Box::new(holds))
}

/// System and code of all codings below an element.
fn codings(of: &Value) -> Vec<(String, String)> {
    let all: Vec<&Value> = match of {
        Value::Array(all) => all.iter().collect(),
        Value::Null => vec![],
        one => vec![one],
    };
    all.into_iter()
        .flat_map(|one| one["coding"].as_array().cloned().unwrap_or_default())
        .map(|one| {
            (one["system"].as_str().unwrap().to_owned(), one["code"].as_str().unwrap().to_owned())
        })
        .collect()
}

fn token(
    dice: &mut Dice,
    codes: &[&str],
    system: &'static str,
    get: fn(&Value) -> Vec<(String, String)>,
) -> (String, Predicate) {
    let asked: Vec<String> = (0..=dice.roll(2)).map(|_| dice.pick(codes).to_owned()).collect();
    let form = dice.roll(4);
    let shown: Vec<String> = asked
        .iter()
        .map(|code| match form {
            0 => format!("{system}%7C{code}"),
            1 => format!("http://other%7C{code}"),
            _ => code.clone(),
        })
        .collect();
    let has = move |of: &Value| {
        get(of)
            .iter()
            .any(|(known, code)| asked.contains(code) && (form != 1 || known == "http://other"))
    };
    match dice.roll(5) {
        0 => (format!(":not={}", shown.join(",")), Box::new(move |of| !has(of))),
        1 => {
            let missing = dice.roll(2) == 0;
            (format!(":missing={missing}"), Box::new(move |of| get(of).is_empty() == missing))
        }
        _ => (format!("={}", shown.join(",")), Box::new(has)),
    }
}

fn fold(text: &str) -> String {
    text.to_lowercase().replace('ž', "z").replace('é', "e").replace('ö', "o").replace('ß', "ss")
}

fn string(dice: &mut Dice, get: fn(&Value) -> Option<&str>) -> (String, Predicate) {
    let asked =
        dice.pick(&["left", "Left breast", "zebro", "BREAST", "lung\\, upper", "grosse", "x"]);
    let shown = asked.replace(' ', "%20").replace('\\', "%5C").to_owned();
    let asked = asked.replace('\\', "");
    match dice.roll(3) {
        0 => (
            format!(":exact={shown}"),
            Box::new(move |of| get(of).is_some_and(|text| text == asked)),
        ),
        1 => (
            format!(":contains={shown}"),
            Box::new(move |of| get(of).is_some_and(|text| fold(text).contains(&fold(&asked)))),
        ),
        _ => (
            format!("={shown}"),
            Box::new(move |of| get(of).is_some_and(|text| fold(text).starts_with(&fold(&asked)))),
        ),
    }
}

fn quantity(dice: &mut Dice) -> (String, Predicate) {
    let prefix = dice.pick(&["", "ne", "gt", "lt", "ge", "le"]).to_owned();
    let text = dice.pick(NUMBERS);
    let unit = (dice.roll(2) == 0).then(|| dice.pick(UNITS).to_owned());
    let asked: f64 = text.parse().unwrap();
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len() as i32);
    let reach = 0.5 * 10_f64.powi(-digits);
    let shown = match &unit {
        None => format!("={prefix}{text}"),
        Some(unit) => format!("={prefix}{text}%7Chttp://unitsofmeasure.org%7C{unit}"),
    };
    let holds = move |of: &Value| {
        let of = &of["valueQuantity"];
        let Some(value) = of["value"].as_f64() else { return false };
        let equal = asked - reach <= value && value < asked + reach;
        unit.as_deref().is_none_or(|unit| of["code"] == unit)
            && match prefix.as_str() {
                "" => equal,
                "ne" => !equal,
                "gt" => value > asked,
                "lt" => value < asked,
                "ge" => value >= asked,
                _ => value <= asked,
            }
    };
    (shown, Box::new(holds))
}

fn names(of: &Value, (id, system, value): &(String, String, String)) -> bool {
    of["subject"]["reference"] == format!("Patient/{id}")
        || (of["subject"]["identifier"]["system"] == system.as_str()
            && of["subject"]["identifier"]["value"] == value.as_str())
}

fn patient(dice: &mut Dice, known: &Known) -> (String, Predicate) {
    let one = known.patients[dice.roll(6)].clone();
    let (id, system, value) = &one;
    let shown = match dice.roll(4) {
        0 => format!("={id}"),
        1 => format!("=Patient/{id}"),
        2 => format!(".identifier={system}%7C{value}"),
        _ => format!(":identifier={system}%7C{value}"),
    };
    (shown, Box::new(move |of| names(of, &one)))
}

/// A parameter with its value, and what it means.
fn ask(dice: &mut Dice, kind: &str, known: &Known) -> (String, Predicate) {
    let with = |name: &str, (shown, holds): (String, Predicate)| (format!("{name}{shown}"), holds);
    let status = |of: &Value| {
        vec![(
            "http://hl7.org/fhir/observation-status".to_owned(),
            of["status"].as_str().unwrap().to_owned(),
        )]
    };
    let common = dice.roll(4) == 0;
    if common {
        let name = dice.pick(&["patient", "subject"]);
        return with(name, patient(dice, known));
    }
    if kind == "Condition" {
        return match dice.roll(7) {
            0 => with("code", token(dice, CODES, SCT, |of| codings(&of["code"]))),
            1 => with("body-site", token(dice, CODES, SCT, |of| codings(&of["bodySite"]))),
            2 => with(
                "clinical-status",
                token(
                    dice,
                    &["active", "recurrence", "resolved"],
                    "http://terminology.hl7.org/CodeSystem/condition-clinical",
                    |of| codings(&of["clinicalStatus"]),
                ),
            ),
            3 => with("onset-date", date(dice, "onset")),
            4 => with("recorded-date", date(dice, "recordedDate")),
            5 => {
                let text = dice.pick(&["left", "upper", "x"]);
                let holds: Predicate = {
                    let text = text.to_owned();
                    Box::new(move |of| {
                        of["severity"]["text"].as_str().is_some_and(|of| fold(of).contains(&text))
                    })
                };
                (format!("severity:text={text}"), holds)
            }
            _ => {
                let missing = dice.roll(2) == 0;
                (
                    format!("onset-date:missing={missing}"),
                    Box::new(move |of| of.get("onsetDateTime").is_none() == missing),
                )
            }
        };
    }
    match dice.roll(13) {
        0 => with("code", token(dice, CODES, SCT, |of| codings(&of["code"]))),
        1 => with(
            "status",
            token(
                dice,
                &["final", "amended", "cancelled"],
                "http://hl7.org/fhir/observation-status",
                status,
            ),
        ),
        2 => with(
            "category",
            token(
                dice,
                &["imaging", "laboratory", "exam"],
                "http://terminology.hl7.org/CodeSystem/observation-category",
                |of| codings(&of["category"]),
            ),
        ),
        3 => with(
            "value-concept",
            token(dice, CODES, SCT, |of| codings(&of["valueCodeableConcept"])),
        ),
        4 => with(
            "identifier",
            token(dice, &["1", "7", "49", "x"], "http://a.example/o", |of| {
                let one = &of["identifier"][0];
                match one["value"].as_str() {
                    None => vec![],
                    Some(value) => {
                        vec![(one["system"].as_str().unwrap().to_owned(), value.to_owned())]
                    }
                }
            }),
        ),
        5 | 6 => with("date", date(dice, "effective")),
        7 => with("value-quantity", quantity(dice)),
        8 => with("value-string", string(dice, |of| of["valueString"].as_str())),
        9 => {
            let study = known.studies[dice.roll(7)].clone();
            let shown = dice.pick(&[
                "=ImagingStudy/",
                "=",
                "=https://imaging.example/fhir/ImagingStudy/",
                ":ImagingStudy=",
            ]);
            (
                format!("derived-from{shown}{study}"),
                Box::new(move |of| {
                    of["derivedFrom"][0]["reference"] == format!("ImagingStudy/{study}")
                }),
            )
        }
        10 => {
            let id = format!("p{}", dice.roll(4));
            (
                format!("performer=Practitioner/{id}"),
                Box::new(move |of| of["performer"][0]["reference"] == format!("Practitioner/{id}")),
            )
        }
        11 => {
            let value = dice.roll(4).to_string();
            (
                format!("performer:identifier=http://a.example/staff%7C{value}"),
                Box::new(move |of| of["performer"][1]["identifier"]["value"] == value.as_str()),
            )
        }
        _ => {
            let text = dice.pick(&["left", "rib", "lobe"]).to_owned();
            (
                format!("code:text={text}"),
                Box::new(move |of| {
                    of["code"]["text"].as_str().is_some_and(|of| fold(of).contains(&text))
                }),
            )
        }
    }
}

/// What a sort looks at; nothing stands last.
fn key(of: &Value, element: &str, descending: bool) -> i64 {
    match interval(of, element) {
        None => i64::MAX,
        Some((from, _)) if descending => from.saturating_neg(),
        Some((from, _)) => from,
    }
}

#[actix_web::test]
async fn searches_of_what_was_written_are_those_of_the_plainest_reading() {
    let server = Server::new(archive(40, 5), |_| ());
    let all = server.all("/fhir/Patient?_count=1000").await;
    let patients = all
        .iter()
        .filter_map(|of| {
            let one = &of["identifier"][0];
            Some((
                of["id"].as_str()?.to_owned(),
                one["system"].as_str()?.to_owned(),
                one["value"].as_str()?.to_owned(),
            ))
        })
        .collect();
    let studies = server.all("/fhir/ImagingStudy?_count=1000").await;
    let studies = studies.iter().map(|of| of["id"].as_str().unwrap().to_owned()).collect();
    let known = Known { patients, studies };
    let client = Client(&server, writer(Role::ImagingIt));
    let mut random = dice(1);
    let mut kept: Vec<(String, Vec<Value>)> = Vec::new();
    for (kind, count) in [("Observation", 300), ("Condition", 150)] {
        let mut of_kind = Vec::new();
        let mut entries = Vec::new();
        for number in 0..count {
            let mut of = match kind {
                "Observation" => observation(&mut random, &known, number),
                _ => condition(&mut random, &known, number),
            };
            let id = format!("{}-{number}", kind.to_lowercase());
            of["id"] = id.clone().into();
            entries.push(json!({
                "resource": of, "request": { "method": "PUT", "url": format!("{kind}/{id}") },
            }));
            of_kind.push(of);
        }
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        let reply = client.post("", &bundle).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", String::from_utf8_lossy(&reply.bytes));
        // Some are deleted, and one that was changed keeps its place.
        for number in (0..count).step_by(17) {
            let id = format!("/{kind}/{}-{number}", kind.to_lowercase());
            client.delete(&id).await;
            of_kind[number]["deleted"] = true.into();
        }
        of_kind.retain(|of| of.get("deleted").is_none());
        kept.push((kind.to_owned(), of_kind));
    }
    let queries = searches();
    let mut sizes = 0;
    let mut nothing = 0;
    for number in 0..queries {
        let mut random = dice(1_000 + number);
        let (kind, resources) = &kept[usize::from(random.roll(3) == 0)];
        let mut asked: Vec<(String, Predicate)> = Vec::new();
        for _ in 0..=random.roll(3) {
            let (shown, holds) = ask(&mut random, kind, &known);
            // `subject` twice is two criteria; the same name twice is what R4 calls "and".
            asked.push((shown, holds));
        }
        let mut wanted: Vec<&Value> =
            resources.iter().filter(|of| asked.iter().all(|(_, holds)| holds(of))).collect();
        let mut query: Vec<&str> = asked.iter().map(|(shown, _)| shown.as_str()).collect();
        let (name, element) = if kind == "Condition" {
            ("recorded-date", "recordedDate")
        } else {
            ("date", "effective")
        };
        let sort = match random.roll(3) {
            0 => Some((format!("_sort={name}"), false)),
            1 => Some((format!("_sort=-{name}"), true)),
            _ => None,
        };
        if let Some((shown, descending)) = &sort {
            query.push(shown);
            wanted.sort_by_key(|of| key(of, element, *descending));
        }
        let count = random.pick(&["_count=7", "_count=50", "_count=1000"]);
        query.push(count);
        let path = format!("/fhir/{kind}?{}", query.join("&"));
        let found = server.all(&path).await;
        let ids = |of: &Value| of["id"].as_str().unwrap().to_owned();
        let found: Vec<String> = found.iter().map(ids).collect();
        let wanted: Vec<String> = wanted.into_iter().map(ids).collect();
        assert_eq!(found, wanted, "{path}");
        if number % 10 == 0 {
            let counted = client.get(&format!("{}&_summary=count", &path[5..])).await;
            let counted: Value = serde_json::from_slice(&counted.bytes).unwrap();
            assert_eq!(counted["total"], wanted.len(), "{path}");
        }
        sizes += wanted.len() as u64;
        nothing += u64::from(wanted.is_empty());
    }
    eprintln!("{queries} queries found {sizes} resources; {nothing} found nothing");
    let is_enough = nothing * 10 < queries * 7 && sizes > queries * 5;
    assert!(is_enough, "the queries ask too little: {nothing} {sizes}");
}
