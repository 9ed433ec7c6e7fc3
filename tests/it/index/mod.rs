//! The index against a scan of its rows: every kind of query, count, facet and page; catching up
//! against rebuilding; the file; and what is hidden, which must influence no answer.

use std::collections::BTreeSet;

use vesalius::actor::{Actor, Role};
use vesalius::imaging::{Facet, Started};
use vesalius::index::{Counts, Criteria, FacetCount, Index, Query, Row, Sort, View};
use vesalius::mapping::Context;
use vesalius::store::Store;

use crate::support::{
    Folder, How, Random, Server, archive, execute, ingest, on_both, record, set, sqlite,
};

fn it() -> Actor {
    Actor::new("test", Role::ImagingIt)
}

fn researcher() -> Actor {
    Actor::new("test", Role::Researcher)
}

fn caught_up(store: &Store) -> Index {
    let index = Index::open(None, Context::default());
    index.catch_up(store).unwrap();
    index
}

// ── the brute force ────────────────────────────────────────────────────────────────────────────

fn has(row: &Row, facet: Facet, terms: &[String]) -> bool {
    row.terms.iter().any(|(of, text)| *of == facet && terms.contains(text))
}

fn meets(row: &Row, criteria: &Criteria) -> bool {
    criteria.any_of.iter().all(|(facet, terms)| has(row, *facet, terms))
        && !criteria.exclude.iter().any(|(facet, terms)| has(row, *facet, terms))
}

/// The rows that criteria select.
fn selected<'r>(rows: &'r [Row], criteria: &Criteria) -> Vec<&'r Row> {
    let met: Vec<&Row> = rows.iter().filter(|row| meets(row, criteria)).collect();
    let studies: BTreeSet<u32> = met.iter().map(|row| row.study).collect();
    if criteria.whole_studies {
        rows.iter().filter(|row| studies.contains(&row.study)).collect()
    } else {
        met
    }
}

/// The studies that answer, found row by row.
fn scan(rows: &[Row], updated: &dyn Fn(u32) -> i64, query: &Query<'_>) -> BTreeSet<u32> {
    let all = || rows.iter().map(|row| row.study).collect::<BTreeSet<u32>>();
    let where_ = |condition: &dyn Fn(&Row) -> bool| {
        rows.iter().filter(|row| condition(row)).map(|row| row.study).collect::<BTreeSet<u32>>()
    };
    match query {
        Query::All => all(),
        Query::Has(facet, terms) => where_(&|row| has(row, *facet, terms)),
        Query::HasAny(facet) => where_(&|row| row.terms.iter().any(|(of, _)| of == facet)),
        Query::SameSeries(criteria) => where_(&|row| meets(row, criteria)),
        Query::Studies(numbers) => where_(&|row| numbers.contains(&i64::from(row.study))),
        // The patient of a study, not of its series: rows of one study may name two.
        Query::Patients(_) => unreachable!("compared on its own"),
        Query::Started(condition) => where_(&|row| condition(row.started)),
        Query::Updated(condition) => where_(&|row| condition(updated(row.study))),
        Query::Set(studies) => where_(&|row| studies.contains(row.study)),
        Query::And(parts) => {
            parts.iter().fold(all(), |left, part| &left & &scan(rows, updated, part))
        }
        Query::Or(parts) => {
            parts.iter().fold(BTreeSet::new(), |left, part| &left | &scan(rows, updated, part))
        }
        Query::Not(part) => &all() - &scan(rows, updated, part),
    }
}

fn counts<'r>(rows: impl Iterator<Item = &'r Row>) -> Counts {
    let (mut studies, mut patients) = (BTreeSet::new(), BTreeSet::new());
    let mut counts = Counts::default();
    for row in rows {
        studies.insert(row.study);
        patients.insert(row.patient);
        counts.series += 1;
        counts.images += u64::from(row.images);
        counts.bytes += row.bytes;
    }
    counts.studies = studies.len() as u64;
    counts.patients = patients.len() as u64;
    counts
}

// ── random questions ───────────────────────────────────────────────────────────────────────────

/// Terms that occur, and one that does not.
fn terms(random: &mut Random, rows: &[Row]) -> (Facet, Vec<String>) {
    let row = &rows[random.below(u32::try_from(rows.len()).unwrap()) as usize];
    let at = random.below(u32::try_from(row.terms.len()).unwrap()) as usize;
    let (facet, text) = row.terms[at].clone();
    let mut terms = vec![text];
    if random.one_in(3) {
        let other = &rows[random.below(u32::try_from(rows.len()).unwrap()) as usize];
        terms.extend(other.terms.iter().filter(|(of, _)| *of == facet).map(|(_, t)| t.clone()));
    }
    if random.one_in(5) {
        terms.push("nothing has this".to_owned());
    }
    (facet, terms)
}

fn criteria(random: &mut Random, rows: &[Row]) -> Criteria {
    let mut criteria = Criteria { whole_studies: random.one_in(3), ..Criteria::default() };
    for _ in 0..random.below(4) {
        let (facet, terms) = terms(random, rows);
        criteria.any_of.insert(facet, terms);
    }
    for _ in 0..random.below(3) {
        let (facet, terms) = terms(random, rows);
        criteria.exclude.insert(facet, terms);
    }
    criteria
}

fn since_2018(started: Option<Started>) -> bool {
    started.is_some_and(|started| started.year >= 2018)
}

fn is_even(updated: i64) -> bool {
    updated / 1_000 % 2 == 0
}

fn query(random: &mut Random, rows: &[Row], depth: u32) -> Query<'static> {
    let part = |random: &mut Random| query(random, rows, depth + 1);
    match random.below(if depth > 2 { 8 } else { 11 }) {
        0 => Query::All,
        1 | 2 => {
            let (facet, terms) = terms(random, rows);
            Query::Has(facet, terms)
        }
        3 => Query::HasAny(terms(random, rows).0),
        4 => Query::SameSeries(criteria(random, rows)),
        5 => {
            Query::Studies((0..random.below(9)).map(|_| i64::from(random.below(60)) - 3).collect())
        }
        6 => Query::Started(&since_2018),
        7 => Query::Updated(&is_even),
        8 => Query::And((0..random.below(4)).map(|_| part(random)).collect()),
        9 => Query::Or((0..random.below(4)).map(|_| part(random)).collect()),
        _ => Query::Not(Box::new(part(random))),
    }
}

fn updated(store: &Store) -> impl Fn(u32) -> i64 + use<> {
    let rows = store
        .read(|db| vesalius::store::archive::scan_studies(db, 0, i64::MAX))
        .unwrap()
        .into_iter()
        .map(|row| (u32::try_from(row.number).unwrap(), row.updated))
        .collect::<std::collections::HashMap<_, _>>();
    move |study| rows.get(&study).copied().unwrap_or(0)
}

fn compare(seed: u64, view: &View, store: &Store) {
    let mut random = Random(seed ^ 0xabcd);
    let rows = view.rows();
    let updated = updated(store);
    for number in 0..150 {
        let query = query(&mut random, &rows, 0);
        let found: BTreeSet<u32> = view.search(&it(), &query).iter().collect();
        assert_eq!(found, scan(&rows, &updated, &query), "seed {seed}, query {number}");
        assert_eq!(view.count_for_disclosure(&query), found.len() as u64);
        let hidden = view.hidden_for_disclosure(&researcher(), &query).len();
        let readable = view.search(&researcher(), &Query::All);
        let expected = found.iter().filter(|study| !readable.contains(**study)).count();
        assert_eq!(hidden, expected as u64, "seed {seed}, query {number}");

        let criteria = criteria(&mut random, &rows);
        let selected = selected(&rows, &criteria);
        assert_eq!(
            view.count(&it(), &criteria),
            counts(selected.iter().copied()),
            "seed {seed}, {criteria:?}"
        );
        let facet = terms(&mut random, &rows).0;
        let texts: BTreeSet<&String> = selected
            .iter()
            .flat_map(|row| row.terms.iter().filter(|(of, _)| *of == facet).map(|(_, t)| t))
            .collect();
        let mut expected: Vec<FacetCount> = texts
            .into_iter()
            .map(|term| FacetCount {
                term: term.clone(),
                counts: counts(
                    selected
                        .iter()
                        .copied()
                        .filter(|row| has(row, facet, std::slice::from_ref(term))),
                ),
            })
            .collect();
        expected.sort_by(|a, b| {
            b.counts.studies.cmp(&a.counts.studies).then_with(|| a.term.cmp(&b.term))
        });
        assert_eq!(view.facet(&it(), &criteria, facet), expected, "seed {seed}, {facet:?}");
        let span = selected.iter().filter_map(|row| row.started).fold(None, |span, s| {
            let (from, to) = span.unwrap_or((s.from, s.to));
            Some((from.min(s.from), to.max(s.to)))
        });
        assert_eq!(view.span(&it(), &criteria), span);
    }
}

#[test]
fn every_query_count_and_facet_agrees_with_a_scan_of_the_rows() {
    for seed in 1..=6 {
        let fresh = sqlite();
        ingest(&fresh.store, &mut Folder::of(&archive(seed, 40)), &How::default());
        let index = caught_up(&fresh.store);
        compare(seed, &index.read(), &fresh.store);
    }
}

#[test]
fn studies_are_found_by_the_patient_that_they_name() {
    on_both(|fresh| {
        ingest(
            &fresh.store,
            &mut Folder::of(&archive(11, 40)),
            &How { batch: 9, ..How::default() },
        );
        let index = caught_up(&fresh.store);
        let studies =
            fresh.store.read(|db| vesalius::store::archive::scan_studies(db, 0, i64::MAX)).unwrap();
        for patient in 1..40 {
            let expected: BTreeSet<i64> =
                studies.iter().filter(|row| row.patient == patient).map(|row| row.number).collect();
            let found = index.read().search(&it(), &Query::Patients(vec![patient]));
            assert_eq!(found.iter().map(i64::from).collect::<BTreeSet<_>>(), expected);
        }
    });
}

// ── the view and its feed ──────────────────────────────────────────────────────────────────────

#[test]
fn catching_up_equals_rebuilding_whatever_changed() {
    on_both(|fresh| {
        let store = &fresh.store;
        let mut random = Random(21);
        let index = caught_up(store);
        let mut pacs = Server::of(&archive(21, 25));
        for round in 2..10 {
            ingest(store, &mut pacs, &How { batch: 11, ..How::default() });
            index.catch_up(store).unwrap();
            let found = index.differences(store).unwrap();
            assert!(found.is_empty(), "round {round}: {found:#?}");
            compare(round, &index.read(), store);
            // Some studies change, one goes, one comes.
            for whole in &mut pacs.inputs {
                if random.one_in(4) {
                    whole.mark = i64::try_from(round).unwrap();
                    for record in &mut whole.records {
                        set(&mut record.series, "Manufacturer", &format!("Maker {round}"));
                        set(&mut record.patient, "PatientSex", "M");
                    }
                    if whole.records.len() > 1 {
                        whole.records.pop();
                    }
                }
            }
            pacs.inputs.remove(0);
            let number = 100 + u32::try_from(round).unwrap();
            pacs.inputs.extend(Server::of(&[record(number, number, 1, 1)]).inputs);
        }
    });
}

#[test]
fn a_source_is_found_by_its_new_name() {
    on_both(|fresh| {
        let store = &fresh.store;
        ingest(store, &mut Folder::of(&archive(4, 20)), &How::default());
        let index = caught_up(store);
        let (kind, locator, studies) = store
            .read(|db| {
                let source = vesalius::store::journal::list_sources(db)?.remove(0);
                let studies = vesalius::store::archive::scan_studies(db, 0, i64::MAX)?.len();
                Ok((source.kind, source.locator, studies as u64))
            })
            .unwrap();
        let rename = |name: &str| {
            store
                .write(|db| vesalius::store::journal::put_source(db, &kind, &locator, name))
                .unwrap();
            index.catch_up(store).unwrap()
        };
        assert_eq!(rename("mammo").studies, studies);
        assert_eq!(index.differences(store).unwrap(), Vec::<String>::new());
        let of = |name: &str| index.read().count(&it(), &Criteria::of(Facet::Source, &[name]));
        assert_eq!((of("mammo").studies, of("memory").studies), (studies, 0));
        // The same name again is no change.
        assert_eq!(rename("mammo").changes, 0);
    });
}

#[test]
fn catching_up_costs_the_change_and_not_the_store() {
    let fresh = sqlite();
    let mut folder = Folder::of(&archive(2, 60));
    ingest(&fresh.store, &mut folder, &How::default());
    let index = caught_up(&fresh.store);
    assert_eq!(index.catch_up(&fresh.store).unwrap().changes, 0);
    folder.put("new.dcm", 1, crate::support::Content::Dicom(Box::new(record(900, 900, 1, 1))));
    ingest(&fresh.store, &mut folder, &How::default());
    let done = index.catch_up(&fresh.store).unwrap();
    assert_eq!((done.changes, done.studies), (2, 1));
}

#[test]
fn the_file_brings_the_view_back_and_a_damaged_one_is_made_anew() {
    let fresh = sqlite();
    ingest(&fresh.store, &mut Folder::of(&archive(8, 40)), &How::default());
    let index = Index::open(Some(fresh.dir.path()), Context::default());
    index.catch_up(&fresh.store).unwrap();
    index.save().unwrap();
    let expected = index.read().rows();
    let file = fresh.dir.path().join("index.bin");
    let bytes = std::fs::read(&file).unwrap();

    let again = Index::open(Some(fresh.dir.path()), Context::default());
    assert_eq!(again.read().rows(), expected);
    assert_eq!(again.read().seq(), index.read().seq());
    assert_eq!(again.differences(&fresh.store).unwrap(), Vec::<String>::new());
    compare(8, &again.read(), &fresh.store);

    let mut random = Random(8);
    for _ in 0..40 {
        let mut broken = bytes.clone();
        if random.one_in(2) {
            broken.truncate(random.below(u32::try_from(bytes.len()).unwrap()) as usize);
        } else {
            let at = random.below(u32::try_from(bytes.len()).unwrap()) as usize;
            broken[at] ^= 1 << random.below(8);
        }
        std::fs::write(&file, broken).unwrap();
        let index = Index::open(Some(fresh.dir.path()), Context::default());
        assert!(index.read().rows().is_empty(), "a damaged file was used");
        index.catch_up(&fresh.store).unwrap();
        assert_eq!(index.read().rows(), expected);
    }
}

#[test]
fn a_file_of_another_store_is_not_trusted() {
    let fresh = sqlite();
    ingest(&fresh.store, &mut Folder::of(&archive(8, 40)), &How::default());
    let index = Index::open(Some(fresh.dir.path()), Context::default());
    index.catch_up(&fresh.store).unwrap();
    index.save().unwrap();
    // The database is replaced by an older backup: the file has seen more than there is.
    let older = sqlite();
    ingest(&older.store, &mut Folder::of(&archive(8, 3)), &How::default());
    index.catch_up(&older.store).unwrap();
    assert_eq!(index.read().rows(), caught_up(&older.store).read().rows());
}

#[test]
fn verify_sees_a_view_that_differs() {
    let fresh = sqlite();
    ingest(&fresh.store, &mut Folder::of(&archive(8, 10)), &How::default());
    let index = caught_up(&fresh.store);
    execute(&fresh.store, "UPDATE series SET images = images + 1 WHERE number = 3");
    let found = index.differences(&fresh.store).unwrap();
    assert!(found.len() == 1 && found[0].starts_with("series 3"), "{found:?}");
    execute(&fresh.store, "UPDATE study SET collection = 'other' WHERE number = 1");
    assert!(index.differences(&fresh.store).unwrap().len() > 1);
}

// ── pages ──────────────────────────────────────────────────────────────────────────────────────

const SORTS: &[Sort] = &[
    Sort::Arrival,
    Sort::Started { descending: false },
    Sort::Started { descending: true },
    Sort::Updated { descending: false },
    Sort::Updated { descending: true },
];

fn walk(view: &View, sort: Sort, size: usize) -> Vec<i64> {
    let hits = view.search(&it(), &Query::All);
    let mut all = Vec::new();
    let mut after: Option<(i64, i64)> = None;
    loop {
        let page = view.page(&hits, sort, after, size);
        let Some(last) = page.last() else { return all };
        after = Some((*last, view.sort_key(sort, *last)));
        all.extend(page);
    }
}

#[test]
fn pages_of_any_size_hold_every_hit_once_in_order() {
    let fresh = sqlite();
    ingest(&fresh.store, &mut Folder::of(&archive(13, 50)), &How { batch: 17, ..How::default() });
    let index = caught_up(&fresh.store);
    let view = index.read();
    let updated = updated(&fresh.store);
    for sort in SORTS {
        let whole = walk(&view, *sort, 1_000);
        assert_eq!(whole.len() as u64, view.search(&it(), &Query::All).len());
        let key = |number: i64| match sort {
            Sort::Arrival => number,
            Sort::Started { .. } => view.started(number).map_or(i64::MAX, |s| s.from),
            Sort::Updated { .. } => updated(u32::try_from(number).unwrap()),
        };
        let mut expected = whole.clone();
        expected.sort_by_key(|number| (key(*number), *number));
        if matches!(sort, Sort::Started { descending: true } | Sort::Updated { descending: true }) {
            expected.reverse();
        }
        // What has no date stands last, in both directions.
        if matches!(sort, Sort::Started { .. }) {
            expected.sort_by_key(|number| view.started(*number).is_none());
        }
        assert_eq!(whole, expected, "{sort:?}");
        for size in [1, 2, 7] {
            assert_eq!(walk(&view, *sort, size), whole, "{sort:?} by {size}");
        }
    }
}

#[test]
fn a_walk_through_pages_misses_nothing_while_studies_come_change_and_go() {
    for (seed, sort) in (1..).zip(SORTS) {
        let fresh = sqlite();
        let store = &fresh.store;
        let mut pacs = Server::of(&archive(31, 40));
        ingest(store, &mut pacs, &How::default());
        let index = caught_up(store);
        let before = walk(&index.read(), *sort, 1_000);
        let mut random = Random(seed);
        let mut touched: BTreeSet<i64> = BTreeSet::new();
        let mut seen = Vec::new();
        let mut after: Option<(i64, i64)> = None;
        for round in 0_u32.. {
            let page = {
                let view = index.read();
                let hits = view.search(&it(), &Query::All);
                let page = view.page(&hits, *sort, after, 4);
                after = page.last().map(|last| (*last, view.sort_key(*sort, *last)));
                page
            };
            let Some(last) = page.last().copied() else { break };
            seen.extend(page);
            // The last study of the page goes or changes, another one changes, one comes.
            let uid = |number: i64| {
                let rows =
                    store.read(|db| vesalius::store::archive::list_studies(db, &[number])).unwrap();
                format!("studies/{}", rows[0].uid)
            };
            let origin = uid(last);
            if random.one_in(2) {
                pacs.inputs.retain(|whole| whole.origin != origin);
            }
            let other = before[random.below(u32::try_from(before.len()).unwrap()) as usize];
            for (number, origin) in [(last, origin), (other, uid(other))] {
                touched.insert(number);
                if let Some(whole) = pacs.inputs.iter_mut().find(|w| w.origin == origin) {
                    whole.mark += 1;
                    for record in &mut whole.records {
                        set(&mut record.study, "StudyDescription", &format!("round {round}"));
                    }
                }
            }
            let number = 500 + round;
            if round < 10 {
                pacs.inputs.extend(Server::of(&[record(number, number, 1, 1)]).inputs);
            }
            ingest(store, &mut pacs, &How::default());
            index.catch_up(store).unwrap();
            assert!(round < 200, "{sort:?} does not end");
        }
        for number in &before {
            let times = seen.iter().filter(|known| *known == number).count();
            let is_by_change = matches!(sort, Sort::Updated { .. });
            if !touched.contains(number) {
                assert_eq!(times, 1, "{sort:?}: study {number}, which did not change");
            } else if !is_by_change {
                // What changes moves when the order is that of changes, else never.
                assert!(times <= 1, "{sort:?}: study {number} came {times} times");
            }
        }
    }
}

// ── who sees what ──────────────────────────────────────────────────────────────────────────────

/// A store with hidden studies and the same store without them answer alike.
#[test]
fn what_is_hidden_influences_no_answer() {
    let open = vec![Criteria::of(Facet::Collection, &["breast"])];
    for seed in 1..=4 {
        let mut records = archive(seed, 40);
        for record in &mut records {
            // A person is one person: the latest study of several describes the same.
            let id = record.patient_key.id.clone();
            set(&mut record.patient, "PatientSex", if id.len() % 2 == 0 { "F" } else { "M" });
        }
        let shown: Vec<_> = records
            .iter()
            .filter(|record| record.collection.as_deref() == Some("breast"))
            .cloned()
            .collect();
        let (whole, part) = (sqlite(), sqlite());
        ingest(&whole.store, &mut Folder::of(&records), &How::default());
        ingest(&part.store, &mut Folder::of(&shown), &How::default());
        let views = [&whole.store, &part.store].map(|store| {
            let index = caught_up(store);
            index.set_open(open.clone());
            index
        });
        let uids = [&whole.store, &part.store].map(|store| {
            let rows =
                store.read(|db| vesalius::store::archive::scan_studies(db, 0, i64::MAX)).unwrap();
            rows.into_iter()
                .map(|row| (row.number, row.uid))
                .collect::<std::collections::HashMap<_, _>>()
        });
        let rows = views[1].read().rows();
        if rows.is_empty() {
            continue;
        }
        let mut random = Random(seed);
        for _ in 0..100 {
            let question = query(&mut random, &rows, 0);
            let question = if asks_by_number(&question) { Query::All } else { question };
            let chosen = criteria(&mut random, &rows);
            let facet = terms(&mut random, &rows).0;
            let answers = [0, 1].map(|at| {
                let view = views[at].read();
                let hits = view.search(&researcher(), &question);
                let pages: Vec<Vec<&String>> = SORTS[..3]
                    .iter()
                    .map(|sort| {
                        let page = view.page(&hits, *sort, None, 1_000);
                        let mut page: Vec<_> = page.iter().map(|n| &uids[at][n]).collect();
                        // Ties stand in the order of arrival, which is each store's own.
                        page.sort();
                        page
                    })
                    .collect();
                (
                    format!("{pages:?}"),
                    view.count(&researcher(), &chosen),
                    view.facet(&researcher(), &chosen, facet),
                    view.span(&researcher(), &chosen),
                    view.visible_patients(&researcher()).len(),
                )
            });
            assert_eq!(answers[0], answers[1], "seed {seed}, {chosen:?}");
        }
    }
}

/// Numbers and times of change are the store's own: two stores cannot be asked alike.
fn asks_by_number(query: &Query<'_>) -> bool {
    match query {
        Query::Studies(_) | Query::Updated(_) => true,
        Query::And(parts) | Query::Or(parts) => parts.iter().any(asks_by_number),
        Query::Not(part) => asks_by_number(part),
        _ => false,
    }
}

#[test]
fn operators_read_no_patient_and_count_what_they_describe() {
    let fresh = sqlite();
    ingest(&fresh.store, &mut Folder::of(&archive(1, 20)), &How::default());
    let index = caught_up(&fresh.store);
    let view = index.read();
    let all = view.count(&it(), &Criteria::default());
    for role in [Role::Steward, Role::Admin] {
        let actor = Actor::new("test", role);
        assert!(view.search(&actor, &Query::All).is_empty());
        assert!(!view.may_read_study(&actor, 1) && !view.may_read_patient(&actor, 1));
        assert_eq!(view.count(&actor, &Criteria::default()), all);
    }
    for role in [Role::Researcher, Role::Public] {
        let actor = Actor::new("test", role);
        assert!(view.search(&actor, &Query::All).is_empty());
        assert_eq!(view.count(&actor, &Criteria::default()), Counts::default());
        assert!(view.facet(&actor, &Criteria::default(), Facet::Modality).is_empty());
        assert!(!view.may_read_study(&actor, 1) && !view.may_read_patient(&actor, 1));
    }
}

#[test]
fn the_file_of_another_store_or_of_another_past_is_not_believed() {
    let saved = |data: &std::path::Path, store: &Store| {
        let index = Index::open(Some(data), Context::default());
        index.catch_up(store).unwrap();
        index.save().unwrap();
        index
    };
    let seen = |index: &Index| index.read().rows().len();
    let (one, two) = (sqlite(), sqlite());
    ingest(&one.store, &mut Folder::of(&[record(1, 1, 1, 1)]), &How::default());
    // As many changes, with the same numbers, of other content.
    let other = [record(9, 9, 1, 1), record(9, 9, 2, 1)];
    ingest(&two.store, &mut Folder::of(&other), &How::default());
    assert_eq!(seen(&saved(one.dir.path(), &one.store)), 1);
    assert_eq!(seen(&saved(one.dir.path(), &two.store)), 2, "the index of another database");

    // A backup is restored, and goes on until it has as many changes as were seen.
    let backup = one.dir.path().join("backup.db").display().to_string();
    execute(&one.store, &format!("VACUUM INTO '{backup}'"));
    let more = [record(1, 1, 1, 1), record(2, 2, 1, 1)];
    ingest(&one.store, &mut Folder::of(&more), &How::default());
    assert_eq!(seen(&saved(one.dir.path(), &one.store)), 2);
    let restored = Store::open(one.dir.path(), &format!("sqlite://{backup}")).unwrap();
    let other = [record(1, 1, 1, 1), record(3, 3, 1, 1), record(3, 3, 2, 1)];
    ingest(&restored, &mut Folder::of(&other), &How::default());
    let index = Index::open(Some(one.dir.path()), Context::default());
    index.catch_up(&restored).unwrap();
    assert_eq!(seen(&index), 3, "the index of another past");
    assert!(index.differences(&restored).unwrap().is_empty());
}
