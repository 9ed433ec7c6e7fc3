//! The data quality and utility label, EUCAIM's view, waivers, the history of descriptions.

use jiff::ToSpan as _;
use oxrdf::{NamedNode, TermRef, vocab::rdf};
use vesalius::catalogue::{
    Facts, Figure, Figures, MemoryShelf, Publisher, Selection, Shelf as _, Verdict, Writer,
    canonical, parse,
};
use vesalius::index::disclosure::{Cell, Rule, Tail};

use super::properties::FULL;
use super::{Played, config, now, publish, published, release};

#[test]
fn the_label_measures_and_explains_itself() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let writer = Writer { config: &config, release: &release };
    let entry = shelf.find("breast-screening").unwrap().unwrap();
    let label = writer.label(&entry).unwrap();
    let all = |class: &str| -> Vec<NamedNode> {
        let kind = release.term(class);
        let nodes = label.subjects_for_predicate_object(rdf::TYPE, &kind);
        nodes
            .map(|node| NamedNode::new(node.to_string().trim_matches(['<', '>'])).unwrap())
            .collect()
    };
    let measures = release.quality.measures(writer, &entry).unwrap();
    assert!(measures.len() >= 9, "{measures:#?}");
    for metric in
        ["mandatory-attributes", "unique-instances", "newest-study", "years", "minimum-elements"]
    {
        assert!(measures.iter().any(|measure| measure.metric == metric), "{metric}: {measures:#?}");
    }
    // The played index has two of the three shown years between 2020 and 2024.
    let of = |name: &str| measures.iter().find(|measure| measure.metric == name).unwrap();
    assert_eq!((of("years").value, of("years").level), (0.4, 0));
    assert_eq!((of("newest-study").value, of("newest-study").level), (690.0, 3));
    let measurements = all("dqv:QualityMeasurement");
    assert!(measurements.len() > measures.len(), "coverage per variable too");
    for node in &measurements {
        for property in
            ["dqv:value", "dqv:isMeasurementOf", "dqv:computedOn", "prov:generatedAtTime"]
        {
            let value = label.object_for_subject_predicate(node, &release.term(property));
            assert!(value.is_some(), "{node} {property}");
        }
    }
    for metric in
        all("dqv:Metric").iter().filter(|node| node.as_str().contains("#metric-mandatory"))
    {
        let words: Vec<String> = label
            .objects_for_subject_predicate(metric, &release.term("skos:definition"))
            .map(|text| text.to_string())
            .collect();
        assert_eq!(words.len(), 3, "en, cs, el: {words:?}");
        let query = label.object_for_subject_predicate(metric, &release.term("rdfs:comment"));
        assert!(query.is_some_and(|query| query.to_string().contains("PatientSex")));
    }
    // The dataset's own document points at it.
    let document = parse(&entry.document).unwrap();
    let body = release.term("oa:hasBody");
    let bodies: Vec<String> =
        document.triples_for_predicate(&body).map(|triple| triple.object.to_string()).collect();
    assert_eq!(bodies, ["<https://node.example.org/dataset/breast-screening/label>"]);
    // A function of what is kept: made again, the same.
    assert_eq!(canonical(&writer.label(&entry).unwrap()), canonical(&label));
}

#[test]
fn what_the_rule_hides_no_label_tells() {
    let mut facts = Played::default();
    facts.0.attributes.push(Cell {
        term: "ContrastBolusAgent".to_owned(),
        records: 400,
        individuals: 3,
    });
    facts.0.attributes.push(Cell { term: "PatientSex".to_owned(), records: 540, individuals: 229 });
    let rule = Rule { threshold: 10, rounding: 10 };
    let shown = facts.0.disclose(rule, &Selection::default());
    assert!(!shown.coverage.contains_key("ContrastBolusAgent"));
    // Three studies of two persons lack it: that somebody does is not told.
    assert_eq!(shown.coverage.get("PatientSex"), Some(&100));
    // The finest spacing is of two persons; the finest that may be shown is the next.
    assert_eq!(shown.spacing, Some(70));
    assert_eq!(facts.0.exact(&Selection::default()).spacing, Some(50));
}

#[test]
fn eucaim_demands_what_it_demands_and_names_the_waiver() {
    let (mut config, release) = (config(), release());
    let gate = super::gate();
    let shelf = MemoryShelf::default();
    let outcome = publish(&config, &shelf, "everything.toml", FULL, now());
    assert_eq!(outcome.verdict, Verdict::Published, "{outcome:#?}");
    let writer = Writer { config: &config, release: &release };
    let entry = shelf.find("everything").unwrap().unwrap();
    let view = writer.eucaim_of(&entry);
    let description = entry.description();
    let clean = gate.check_eucaim(&description, &view, &release, now());
    // The FHIR distribution that we add has no access condition of EUCAIM.
    assert!(
        clean.iter().all(|problem| problem.field == "distribution.access_conditions"
            || problem.field == "selection"),
        "{clean:#?}"
    );
    // Where Release 8 forbids what EUCAIM demands, the two documents differ.
    let node = writer.dataset_iri("everything");
    let kinds = |graph: &oxrdf::Graph| -> Vec<String> {
        let of = release.term("dct:type");
        graph.objects_for_subject_predicate(&node, &of).map(|kind| kind.to_string()).collect()
    };
    assert!(kinds(&view)[0].contains("EUCAIM#SPEC1000020"), "{:?}", kinds(&view));
    assert!(kinds(&parse(&entry.document).unwrap())[0].contains("dataset-type/STATISTICAL"));
    // Each mandatory path deleted in turn is found.
    let paths = [
        "dct:identifier",
        "dct:title",
        "dct:description",
        "dcat:version",
        "eucaim:interoperabilityLevel",
        "dcat:distribution",
        "dcat:contactPoint",
        "dcat:theme",
        "healthdcatap:healthCategory",
        "dct:type",
        "dct:accessRights",
        "dcatap:applicableLegislation",
        "dct:publisher",
        "healthdcatap:hasStructuredData",
        "healthdcatap:numberOfUniqueIndividuals",
        "healthdcatap:numberOfRecords",
        "eucaim:hasCondition",
        "eucaim:collectionMethod",
        "eucaim:hasBirthSex",
        "eucaim:hasImageModality",
        "eucaim:hasImageBodyPart",
        "dcat:keyword",
        "dct:provenance",
        "healthdcatap:hdab",
    ];
    for path in paths {
        let mut less = view.clone();
        let property = release.term(path);
        let gone: Vec<_> = less
            .triples_for_subject(&node)
            .filter(|triple| triple.predicate == property)
            .map(oxrdf::TripleRef::into_owned)
            .collect();
        assert!(!gone.is_empty(), "{path} is not there to be deleted");
        for triple in &gone {
            less.remove(triple);
        }
        let problems = gate.check_eucaim(&description, &less, &release, now());
        assert!(
            problems.iter().any(|problem| !clean.contains(problem)),
            "{path} was not missed: {problems:#?}"
        );
    }
    // Without an access body: refused, unless the waiver is named, and not after its time.
    config.hdab = vesalius::config::Organisation::default();
    let outcome = publish(&config, &shelf, "waived.toml", FULL, now());
    assert_eq!(outcome.verdict, Verdict::Refused);
    let waiver = "\n[[waiver]]\nrule = \"hdab\"\nreason.en = \"No access body is named yet.\"\n";
    let text = format!("{FULL}{waiver}");
    let outcome = publish(&config, &shelf, "waived.toml", &text, now());
    assert_eq!(outcome.verdict, Verdict::Published, "{outcome:#?}");
    let named = outcome.problems.iter().filter(|p| p.rule.contains("excused by the waiver `hdab`"));
    assert!(named.count() >= 2, "by Release 8 and by EUCAIM: {:#?}", outcome.problems);
    let document = shelf.find("waived").unwrap().unwrap().document;
    assert!(!document.contains("health#hdab>"), "no placeholder stands for it");
    // The record claims the profile for who holds to it; here it names the exception instead.
    let writer = Writer { config: &config, release: &release };
    let waived = shelf.find("waived").unwrap().unwrap();
    let said = |graph: &oxrdf::Graph, node: &NamedNode, property: &str| -> Vec<String> {
        let of = release.term(property);
        graph.objects_for_subject_predicate(node, &of).map(|value| value.to_string()).collect()
    };
    let record = writer.record(&waived);
    let node = writer.record_iri("waived");
    assert!(said(&record, &node, "dct:conformsTo").is_empty());
    let notes = said(&record, &node, "skos:note");
    assert!(notes[0].contains("waiver `hdab`") && notes[0].contains("No access body"), "{notes:?}");
    let label = writer.label(&waived).unwrap();
    assert_eq!(said(&label, &writer.label_iri("waived"), "skos:note"), notes);
    let whole = writer.record(&entry);
    assert_eq!(said(&whole, &writer.record_iri("everything"), "dct:conformsTo").len(), 1);
    let late = text.replace("[[waiver]]\n", "[[waiver]]\nuntil = 2026-01-01\n");
    let outcome = publish(&config, &shelf, "late.toml", &late, now());
    assert_eq!(outcome.verdict, Verdict::Refused);
    let words: Vec<&str> = outcome.problems.iter().map(|problem| &*problem.rule).collect();
    assert!(
        words.iter().any(|rule| rule.contains("the waiver `hdab` is over since 2026-01-01")),
        "{words:#?}"
    );
    // A body that is configured is named as soon as the waiver is over, and the report says why.
    let until = text.replace("[[waiver]]\n", "[[waiver]]\nuntil = 2026-12-01\n");
    let named = super::config();
    publish(&named, &shelf, "until.toml", &until, now());
    assert!(!shelf.find("until").unwrap().unwrap().document.contains("health#hdab>"));
    let after = now().checked_add((24 * 30).hours()).unwrap();
    let outcome = publish(&named, &shelf, "until.toml", &until, after);
    assert_eq!(outcome.verdict, Verdict::Published, "{outcome:#?}");
    assert!(outcome.problems.iter().any(|problem| problem.field == "waiver.0"), "{outcome:#?}");
    let entry = shelf.find("until").unwrap().unwrap();
    assert!(entry.document.contains("health#hdab>"));
    let publisher = Publisher { config: &named, release: &release, gate };
    assert_eq!(publisher.remake(&entry), entry.document);
    let again = publish(&named, &shelf, "until.toml", &until, after);
    assert_eq!(again.verdict, Verdict::Unchanged);
    let wrong = text.replace("rule = \"hdab\"", "rule = \"everything\"");
    let outcome = publish(&config, &shelf, "wrong.toml", &wrong, now());
    assert!(outcome.refusals[0].remedy.contains("`hdab`"), "{:#?}", outcome.refusals);
}

#[test]
fn screening_rounds_are_a_series_with_an_order() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    publish(&config, &shelf, "everything.toml", FULL, now());
    let writer = Writer { config: &config, release: &release };
    let series = writer.series(&shelf, "rounds").unwrap().unwrap().graph;
    let node = NamedNode::new("https://node.example.org/series/rounds").unwrap();
    let has = |property: &str| {
        series.object_for_subject_predicate(&node, &release.term(property)).is_some()
    };
    for property in [
        "dct:title",
        "dct:publisher",
        "dcat:contactPoint",
        "dct:spatial",
        "dct:temporal",
        "dct:issued",
        "dct:modified",
        "dcat:seriesMember",
    ] {
        assert!(has(property), "{property}");
    }
    let document = parse(&shelf.find("everything").unwrap().unwrap().document).unwrap();
    let previous = release.term("dcat:prev");
    let before: Vec<_> =
        document.triples_for_predicate(&previous).map(|t| t.object.to_string()).collect();
    assert_eq!(before, ["<https://node.example.org/dataset/lung-ldct>"]);
}

#[test]
fn the_runs_that_read_the_data_are_activities_of_the_dataset() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let document = parse(&shelf.find("lung-ldct").unwrap().unwrap().document).unwrap();
    let node = NamedNode::new("https://node.example.org/dataset/lung-ldct#arrival-folder").unwrap();
    let ended = document.object_for_subject_predicate(&node, &release.term("prov:endedAtTime"));
    assert!(matches!(ended, Some(TermRef::Literal(day)) if day.value() == "2026-11-20T00:00:00Z"));
    let resolution = release.term("dcat:spatialResolutionInMeters");
    let values: Vec<String> =
        document.triples_for_predicate(&resolution).map(|t| t.object.to_string()).collect();
    assert!(values.iter().all(|value| value.starts_with("\"0.00007\"")), "{values:?}");
}

#[test]
fn the_schedule_holds_for_the_label_too() {
    let (config, release) = (config(), release());
    let gate = super::gate();
    let publisher = Publisher { config: &config, release: &release, gate };
    let shelf = MemoryShelf::default();
    let mut facts = Played::default();
    publisher.publish("x.toml", FULL, &facts, &shelf, now()).unwrap();
    let before = shelf.find("x").unwrap().unwrap();
    facts.0.attributes.clear();
    let later = now().checked_add(48.hours()).unwrap();
    publisher.publish("x.toml", FULL, &facts, &shelf, later).unwrap();
    let after = shelf.find("x").unwrap().unwrap();
    assert_eq!(after.figures().measures, before.figures().measures);
}

/// An archive of which no study passes what is asked of single studies.
struct Failing(Played);

impl Facts for Failing {
    fn figures(&self, selection: &Selection) -> vesalius::error::Result<Figures> {
        self.0.figures(selection)
    }

    fn passing(&self, _: &Selection, _: &Figure) -> vesalius::error::Result<Cell> {
        Ok(Cell::default())
    }

    fn wholly_open(
        &self,
        selection: &Selection,
        others: &[Selection],
    ) -> vesalius::error::Result<u64> {
        self.0.wholly_open(selection, others)
    }
}

#[test]
fn what_nobody_passes_is_a_zero_in_the_label_and_lowers_the_score() {
    let (config, release) = (config(), release());
    let publisher = Publisher { config: &config, release: &release, gate: super::gate() };
    let writer = Writer { config: &config, release: &release };
    let (_, closed) =
        vesalius::catalogue::samples().into_iter().find(|(slug, _)| slug == "lung-ldct").unwrap();
    for text in [FULL, closed] {
        let score = |facts: &dyn Facts| {
            let shelf = MemoryShelf::default();
            publisher.publish("x.toml", text, facts, &shelf, now()).unwrap();
            let entry = shelf.find("x").unwrap().unwrap();
            let measures = release.quality.measures(writer, &entry).unwrap();
            (release.quality.score(&measures).unwrap(), measures, writer.label(&entry).unwrap())
        };
        let (clean, ..) = score(&Played::default());
        let (failing, measures, label) = score(&Failing(Played::default()));
        let of = |id: &str| measures.iter().find(|measure| measure.metric == id).unwrap();
        for id in ["coded-body-part", "valid-values", "unique-instances"] {
            assert_eq!((of(id).value, of(id).level), (0.0, 0), "{id}");
            let node =
                NamedNode::new(format!("https://node.example.org/dataset/x/label#{id}")).unwrap();
            let value = label.object_for_subject_predicate(&node, &release.term("dqv:value"));
            assert!(value.is_some_and(|value| value.to_string().starts_with("\"0\"")), "{value:?}");
        }
        assert!(failing + 40 < clean, "{failing} of {clean}");
        // A metric that is not shown is named, and does not make the score better.
        let shown: Vec<_> =
            measures.iter().filter(|measure| measure.metric != "years").cloned().collect();
        assert!(release.quality.score(&shown).unwrap() <= failing);
        let withheld: Vec<&str> =
            release.quality.withheld(&shown).map(|metric| metric.id.as_str()).collect();
        assert_eq!(withheld, ["years"]);
    }
    // Too few persons to say anything: every metric is named as withheld, with a reason.
    let mut few = Played::default();
    (few.0.records, few.0.individuals) = (5, 5);
    let shelf = MemoryShelf::default();
    publisher.publish("x.toml", closed, &few, &shelf, now()).unwrap();
    let label = writer.label(&shelf.find("x").unwrap().unwrap()).unwrap();
    let node = "https://node.example.org/dataset/x/label#metric-coded-body-part";
    let node = NamedNode::new(node).unwrap();
    let notes = label.objects_for_subject_predicate(&node, &release.term("skos:note")).count();
    assert!(notes > 0, "{label:?}");
}

#[test]
fn a_range_that_is_not_exact_is_wider_than_what_is_shown() {
    let tail = |at, up_to, from| Tail { at, up_to, from };
    let rule = Rule { threshold: 10, rounding: 10 };
    // Ages 56 to 72 and the years 2023 and 2024 of 24 persons, of which only one band and one
    // year have ten.
    let figures = Figures {
        records: 24,
        individuals: 24,
        age_bands: super::cells(&[
            ("55-59", 6, 6),
            ("60-64", 11, 11),
            ("65-69", 5, 5),
            ("70-74", 2, 2),
        ]),
        ages: vec![
            tail(56, 3, 24),
            tail(59, 6, 21),
            tail(60, 12, 18),
            tail(64, 17, 12),
            tail(68, 22, 7),
            tail(72, 24, 2),
        ],
        years: vec![tail(2023, 8, 24), tail(2024, 24, 18)],
        ..Figures::default()
    };
    let day = |year, month, day| vesalius::catalogue::Day(jiff::civil::date(year, month, day));
    let shown = figures.disclose(rule, &Selection::default()).until(day(2025, 3, 1));
    assert_eq!((shown.min_age, shown.max_age), (Some(50), Some(74)));
    assert_eq!((shown.from, shown.to), (Some(day(2023, 1, 1)), Some(day(2025, 3, 1))));
    // Whether the few are there and where they lie changes nothing.
    let mut others = figures.clone();
    others.ages[0].at = 20;
    others.ages.remove(5);
    let others = others.disclose(rule, &Selection::default());
    assert_eq!((others.min_age, others.max_age), (shown.min_age, shown.max_age));
    // Very old persons are one band.
    let old = Figures { ages: vec![tail(85, 12, 12)], ..figures };
    let old = old.disclose(rule, &Selection::default());
    assert_eq!((old.min_age, old.max_age), (Some(75), Some(130)));
}
