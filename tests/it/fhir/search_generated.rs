//! Generated searches of what the archive derives (ImagingStudy and Patient) against the
//! naive filter of `search`: up to three parameters, with sort and pages. Ids, order and totals must
//! be the same. What clients wrote is searched so in `records_search`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vesalius::actor::Role;

use super::search::{Case, interval, patient_cases, study_cases};
use super::server::{Dice, Server, archive};

/// How many searches are made up: 2,000, or as many as `VESALIUS_TEST_SEARCHES` says (CI: 10,000, of
/// which these are the first).
pub(super) fn searches() -> u64 {
    let number = std::env::var("VESALIUS_TEST_SEARCHES").ok().filter(|text| !text.is_empty());
    number.map_or(2_000, |text| text.parse().unwrap())
}

/// What a resource is sorted by; without it, it stands last.
fn key(of: &Value, is_descending: bool) -> i64 {
    match of["started"].as_str().map(|text| interval(text).0) {
        None => i64::MAX,
        Some(from) if is_descending => -from,
        Some(from) => from,
    }
}

/// Of two that are sorted alike the newer one comes first when the newest is asked for first.
fn sort(wanted: &mut [&Value], is_descending: bool) {
    if is_descending {
        wanted.reverse();
    }
    wanted.sort_by_key(|of| key(of, is_descending));
}

fn ids<'v>(resources: impl IntoIterator<Item = &'v Value>) -> Vec<&'v str> {
    resources.into_iter().map(|one| one["id"].as_str().unwrap()).collect()
}

/// The parameter of a query, without modifier, chain and value.
fn name(query: &str) -> &str {
    query.split(['=', ':', '.']).next().unwrap_or(query)
}

#[actix_web::test]
async fn generated_searches_of_the_archive_find_what_a_naive_filter_finds_in_order() {
    let server = Server::new(archive(150, 11), |_| ());
    // In the order of a search that sorts nothing.
    let studies = server.all("/fhir/ImagingStudy?_count=1000").await;
    let patients = server.all("/fhir/Patient?_count=1000").await;
    let by_id: BTreeMap<String, Value> =
        patients.iter().map(|p| (p["id"].as_str().unwrap().to_owned(), p.clone())).collect();
    let of_studies = study_cases(&studies, &by_id);
    let of_patients = patient_cases(&by_id);
    let mut asked_for: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut pairs: BTreeSet<(&str, &str)> = BTreeSet::new();
    let (mut found_some, mut found) = (0, 0);
    let queries = searches();
    for number in 0..queries {
        let mut dice = Dice(number.wrapping_mul(1_000_003) + 29);
        for _ in 0..8 {
            dice.roll(2);
        }
        let (kind, all, cases): (&str, &[Value], &[Case<'_>]) = match dice.roll(4) {
            0 => ("Patient", &patients, &of_patients),
            _ => ("ImagingStudy", &studies, &of_studies),
        };
        let asked: Vec<&Case<'_>> =
            (0..=dice.roll(3)).map(|_| &cases[dice.roll(cases.len())]).collect();
        let names: Vec<&str> = asked.iter().map(|case| name(&case.query)).collect();
        asked_for.extend(names.iter().map(|name| (kind, *name)));
        if let [one, other] = names.as_slice() {
            pairs.insert((one.min(other), one.max(other)));
        }
        let mut wanted: Vec<&Value> =
            all.iter().filter(|of| asked.iter().all(|case| (case.judge)(of))).collect();
        let mut query: Vec<String> = asked.iter().map(|case| case.query.clone()).collect();
        let sort = match (kind, dice.roll(3)) {
            ("ImagingStudy", 0) => Some(("_sort=started", false)),
            ("ImagingStudy", 1) => Some(("_sort=-started", true)),
            _ => None,
        };
        if let Some((shown, is_descending)) = sort {
            query.push(shown.to_owned());
            self::sort(&mut wanted, is_descending);
        }
        query.push("_elements=id".to_owned());
        query.push(dice.pick(&["_count=7", "_count=50", "_count=1000"]).to_owned());
        let path = format!("/fhir/{kind}?{}", query.join("&"));
        let answer = server.all(&path).await;
        let (given, expected) = (ids(&answer), ids(wanted.iter().copied()));
        let differs = |one: &&Value| {
            let id = one["id"].as_str().unwrap();
            given.contains(&id) != expected.contains(&id)
        };
        let example = all.iter().find(differs);
        assert_eq!(given, expected, "{path}, for example {example:?}");
        let counted = server.get(Role::ImagingIt, &format!("{path}&_summary=count")).await;
        let counted: Value = serde_json::from_slice(&counted.bytes).unwrap();
        assert_eq!(counted["total"], wanted.len(), "{path}");
        found += wanted.len();
        found_some += u64::from(!wanted.is_empty() && wanted.len() < all.len());
    }
    eprintln!(
        "{queries} queries over {} parameters and {} pairs found {found} resources; {found_some} \
         found some but not all",
        asked_for.len(),
        pairs.len()
    );
    assert!(asked_for.len() >= 20 && pairs.len() >= 100, "{} {}", asked_for.len(), pairs.len());
    assert!(found_some * 10 > queries * 4, "the queries ask too little: {found_some}");
}
