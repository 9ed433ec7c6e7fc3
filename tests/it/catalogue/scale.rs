//! Figures of size: a large dictionary of variables, a catalogue of ten thousand datasets.

use std::time::Instant;

use vesalius::catalogue::{
    Entry, Format, MemoryShelf, Page, Shelf as _, Snapshot, State, Writer, canonical, emit, parse,
};

use super::{config, now, published, release};

#[test]
fn a_dictionary_of_six_thousand_variables_is_written_and_checked() {
    // The size of a published catalogue record with 6,154 variables.
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let entry = shelf.find("lung-ldct").unwrap().unwrap();
    let mut text = entry.document.clone();
    let column = "https://node.example.org/dataset/lung-ldct#variable-rows";
    let lines: Vec<&str> = entry.document.lines().filter(|line| line.contains(column)).collect();
    assert!(lines.len() > 5);
    for number in 0..6_154 {
        for line in &lines {
            text.push_str(&line.replace(column, &format!("{column}{number}")));
            text.push('\n');
        }
    }
    let graph = parse(&text).unwrap();
    let gate = super::gate();
    let start = Instant::now();
    let problems = gate.check(entry.description().access_rights.unwrap(), &graph, &release);
    let checked = start.elapsed();
    let start = Instant::now();
    let bytes = emit(&graph, Format::Turtle, &release, "").unwrap();
    println!(
        "{} triples, {} bytes of Turtle: checked in {checked:?}, written in {:?}",
        graph.len(),
        bytes.len(),
        start.elapsed()
    );
    assert!(problems.iter().all(|p| p.severity != vesalius::catalogue::Severity::Violation));
    assert!(checked.as_secs() < 5 && start.elapsed().as_secs() < 5);
}

#[test]
fn ten_thousand_datasets_are_listed_page_by_page() {
    let (config, release) = (config(), release());
    let sample = published(&config).find("lung-ldct").unwrap().unwrap();
    let shelf = MemoryShelf::default();
    let pages = [1, 2, 50, 100];
    for number in 0..10_000 {
        let slug = format!("d{number:05}");
        // Of what stands on no page that is asked for, no document is read.
        let is_read = pages.contains(&(number / 100 + 1));
        let document = match is_read {
            true => sample.document.replace("lung-ldct", &slug),
            false => String::new(),
        };
        shelf.put(&Entry { slug, document, state: State::Published, ..sample.clone() }).unwrap();
    }
    let writer = Writer { config: &config, release: &release };
    let snapshot = Snapshot::take(&shelf, None).unwrap();
    let mut slowest = std::time::Duration::ZERO;
    for number in pages {
        let start = Instant::now();
        let page = Page { number, size: 100, suffix: None };
        let graph = writer.page(&shelf, &snapshot, page).unwrap().unwrap();
        let bytes = emit(&graph, Format::Turtle, &release, "").unwrap();
        assert!(!bytes.is_empty() && !canonical(&graph).is_empty());
        slowest = slowest.max(start.elapsed());
    }
    println!("a page of 100 of 10,000 datasets: {slowest:?} ({})", now());
    assert!(slowest.as_secs() < 5, "{slowest:?}");
}

/// `VESALIUS_BENCH_DATASETS` says how many; `conformance/bench/shacl.sh` holds 2,000, most of them
/// faulty, beside pySHACL.
#[test]
fn datasets_are_held_to_the_shapes_one_after_another() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let gate = super::gate();
    let count = std::env::var("VESALIUS_BENCH_DATASETS").ok();
    let count: usize = count.and_then(|text| text.parse().ok()).unwrap_or(12);
    let entries = shelf.published(0, 10).unwrap();
    let mut slowest = std::time::Duration::ZERO;
    let mut violations = 0;
    let mut whole = std::time::Duration::ZERO;
    for number in 0..count {
        let entry = &entries[number % entries.len()];
        let text = entry.document.replace(&entry.slug, &format!("d{number:05}"));
        let graph = parse(&text).unwrap();
        let rights = entry.description().access_rights.unwrap();
        let start = Instant::now();
        let problems = gate.check(rights, &graph, &release);
        let took = start.elapsed();
        violations += problems
            .iter()
            .filter(|problem| problem.severity == vesalius::catalogue::Severity::Violation)
            .count();
        (slowest, whole) = (slowest.max(took), whole + took);
    }
    println!(
        "{count} datasets, {violations} violations, {:.3} ms each, slowest {:.3} ms",
        whole.as_secs_f64() * 1e3 / count.max(1) as f64,
        slowest.as_secs_f64() * 1e3
    );
    assert_eq!(violations, 0);
}
