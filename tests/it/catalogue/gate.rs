//! The gate: what is refused, what stays, what may be shown.

use jiff::ToSpan as _;
use vesalius::catalogue::{
    Disclosed, Gate, MemoryShelf, Publisher, Severity, Shelf as _, State, Verdict, Writer,
};
use vesalius::config::Identity;

use super::{Played, config, now, publish, published, release};

const GOOD: &str = "\
title.en = \"T\"
description.en = \"D\"
keywords.en = [\"k\"]
access_rights = \"NON_PUBLIC\"
health_categories = [\"EHRS\"]
type = [\"STATISTICAL\"]
provenance.en = \"P\"
[selection]
modality = [\"MG\"]
";

#[test]
fn twenty_wrong_descriptions_are_refused_with_place_and_remedy() {
    let with = |line: &str| GOOD.replacen("[selection]", &format!("{line}\n[selection]"), 1);
    let without = |key: &str| {
        GOOD.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n")
    };
    let below = |lines: &str| format!("{GOOD}{lines}");
    // The text, the line, the key, a word of what is wrong, a word of the remedy.
    let rows: Vec<(String, usize, &str, &str, &str)> = vec![
        (with("number_of_records = 17"), 8, "number_of_records", "computed", "remove"),
        (with("min_typical_age = 40"), 8, "min_typical_age", "computed", "remove"),
        (
            below("[[distribution]]\nbyte_size = 3\n"),
            11,
            "distribution.0.byte_size",
            "computed",
            "remove",
        ),
        (with("figures = \"exact\""), 8, "figures", "would name persons", "PUBLIC"),
        (with("healt_themes = []"), 8, "healt_themes", "unknown field", "health_themes"),
        (with("title.en = \"again\""), 8, "", "duplicate key", "TOML"),
        (with("frequency = \"ANNUAL"), 8, "", "", "TOML"),
        (without("access_rights"), 1, "access_rights", "missing", "RESTRICTED"),
        (GOOD.replace("NON_PUBLIC", "SENSITIVE"), 4, "access_rights", "unknown variant", "Schema"),
        (without("health_categories"), 1, "health_categories", "missing", "EHRS"),
        (GOOD.replace("EHRS", "EHR"), 5, "health_categories", "`EHR`", "did you mean `EHRS`"),
        (without("provenance"), 1, "provenance", "mandatory for NON_PUBLIC", "provenance.en"),
        (without("type"), 1, "type", "mandatory for NON_PUBLIC", "STATISTICAL"),
        (without("keywords"), 1, "keywords", "mandatory for NON_PUBLIC", "keywords.en"),
        (without("title"), 1, "title", "missing", "title.en"),
        (GOOD.replace("title.en", "title.english"), 1, "", "no language tag", "Schema"),
        (with("landing_page = \"www.example.org\""), 8, "landing_page", "no web address", "https"),
        (with("language = [\"English\"]"), 8, "language", "vocabulary `language`", "language.toml"),
        (with("issued = \"1st May\""), 8, "issued", "no calendar day", "Schema"),
        (
            with("retention = { from = 2030-01-01, to = 2026-01-01 }"),
            8,
            "retention",
            "ends before",
            "exchange",
        ),
        (with("temporal_resolution = \"2 years\""), 8, "temporal_resolution", "duration", "P2Y"),
        (GOOD.replace("modality = [\"MG\"]", ""), 8, "selection", "holds nothing", "modality"),
        (GOOD.replace("modality =", "colour ="), 8, "", "unknown variant", "Schema"),
        (GOOD.replace("[\"MG\"]", "[]"), 9, "selection.modality", "no term", "remove"),
        (with("hdab = { name = \"X\" }"), 8, "hdab", "contact point", "email"),
        (
            with("contact = { email = \"nobody\" }"),
            8,
            "contact.email",
            "no e-mail address",
            "name@host",
        ),
        (
            below("[[distribution]]\nformat = \"DICOM\"\n"),
            11,
            "distribution.0.format",
            "file-type",
            "file-type.toml",
        ),
        (
            below("[[distribution]]\nlicence = \"free\"\n"),
            11,
            "distribution.0.licence",
            "known licence",
            "licences.toml",
        ),
        (
            GOOD.replace("NON_PUBLIC", "PUBLIC"),
            1,
            "distribution",
            "has no distribution",
            "access_url",
        ),
        (with("personal_data = [\"age\"]"), 8, "personal_data", "`age`", "`Age`"),
    ];
    let (config, release) = (config(), release());
    assert!(vesalius::catalogue::read("good.toml", GOOD, &release, &config).is_ok());
    assert!(rows.len() >= 20);
    for (text, line, key, problem, remedy) in rows {
        let refusals =
            vesalius::catalogue::read("wrong.toml", &text, &release, &config).unwrap_err();
        let found = refusals.iter().find(|refusal| {
            refusal.line == line
                && (key.is_empty() || refusal.key == key)
                && refusal.problem.contains(problem)
                && refusal.remedy.contains(remedy)
        });
        assert!(found.is_some(), "line {line} `{key}` {problem} / {remedy}: {refusals:#?}\n{text}");
        assert!(refusals[0].to_string().starts_with("wrong.toml:"));
    }
    for name in ["Wrong Name.toml", "a.b.toml", ".toml", "-x.toml"] {
        assert!(vesalius::catalogue::read(name, GOOD, &release, &config).is_err(), "{name}");
    }
}

#[test]
fn one_wrong_type_hides_no_other_finding() {
    let text = "title = 5\n\
        description.en = \"D\"\n\
        keywords.en = [\"k\", 7, \"\"]\n\
        access_rights = [\"NON_PUBLIC\"]\n\
        health_categories = [\"EHR\"]\n\
        number_of_records = 17\n\
        healt_themes = []\n\
        landing_page = \"www.example.org\"\n\
        issued = 2026\n\
        [[attributions]]\n\
        role = \"nobody\"\n\
        [[distribution]]\n\
        fhir = \"yes\"\n\
        format = \"DICOM\"\n\
        [[distribution]]\n\
        licence = \"free\"\n\
        checksum = { algorithm = 1, value = \"x\" }\n\
        [selection]\n\
        colour = [\"red\"]\n\
        modality = \"MG\"\n";
    let refusals =
        vesalius::catalogue::read("wrong.toml", text, &release(), &config()).unwrap_err();
    let found: Vec<(usize, &str)> =
        refusals.iter().map(|refusal| (refusal.line, refusal.key.as_str())).collect();
    for expected in [
        (1, "title"),
        (3, "keywords.en.1"),
        (4, "access_rights"),
        (5, "health_categories"),
        (6, "number_of_records"),
        (7, "healt_themes"),
        (8, "landing_page"),
        (9, "issued"),
        (13, "distribution.0.fhir"),
        (14, "distribution.0.format"),
        (16, "distribution.1.licence"),
        (17, "distribution.1.checksum.algorithm"),
    ] {
        assert!(found.contains(&expected), "{expected:?}: {refusals:#?}");
    }
    assert!(found.iter().any(|(_, key)| key.starts_with("attributions")), "{refusals:#?}");
    assert!(found.iter().any(|(line, key)| *line >= 18 && key.starts_with("selection")));
    // What is wrong with a key is said once.
    let mut once = found.clone();
    once.dedup();
    assert_eq!(once, found);
    assert!(
        !refusals.iter().any(|refusal| refusal.problem.contains("is missing")),
        "{refusals:#?}"
    );
    for refusal in &refusals {
        assert!(!refusal.problem.is_empty() && !refusal.remedy.is_empty(), "{refusal:?}");
    }
}

#[test]
fn every_mistake_of_syntax_is_named() {
    let text = format!("frequency = \"ANNUAL\n{GOOD}type = [\"STATISTICAL\"\nversion = = 1\n");
    let refusals =
        vesalius::catalogue::read("wrong.toml", &text, &release(), &config()).unwrap_err();
    assert!(refusals.len() > 1, "{refusals:#?}");
    assert_eq!(refusals[0].line, 1, "{refusals:#?}");
}

#[test]
fn a_copy_under_another_name_waits_for_the_release_like_the_first() {
    let text = GOOD.replace("NON_PUBLIC", "RESTRICTED") + "body-site = [\"b\", \"a\"]\n";
    let (config, shelf) = (config(), MemoryShelf::default());
    publish(&config, &shelf, "first.toml", &text, now());
    let first = shelf.find("first").unwrap().unwrap();
    // One more person, and eleven more studies: enough for another figure.
    let mut later = Played::default();
    later.0.records += 11;
    later.0.individuals += 1;
    let soon = now() + 24.hours();
    let (release, gate) = (release(), Gate::load(&release()).unwrap());
    let publisher = Publisher { config: &config, release: &release, gate: &gate };
    let run = |file: &str, text: &str, at| {
        publisher.publish(file, text, &later, &shelf, at).unwrap();
        let slug = file.strip_suffix(".toml").unwrap();
        shelf.find(slug).unwrap().unwrap()
    };
    // The same words in another order, as RESTRICTED or NON_PUBLIC, with another title.
    let copy = text.replace("[\"b\", \"a\"]", "[\"a\", \"b\", \"a\"]");
    for (slug, text) in [
        ("copy.toml", copy.clone()),
        ("closed.toml", copy.replace("RESTRICTED", "NON_PUBLIC")),
        ("titled.toml", copy.replace("title.en = \"T\"", "title.en = \"Other\"")),
    ] {
        let entry = run(slug, &text, soon);
        assert_eq!(entry.state, State::Published);
        assert_eq!(entry.figures().records, first.figures().records, "{slug}");
        assert_eq!(entry.figures().facets, first.figures().facets, "{slug}");
        assert_eq!(entry.figures().measures, first.figures().measures, "{slug}");
        assert_eq!(entry.next_release, first.next_release, "{slug}");
    }
    // Withdrawn is no way round it.
    run("first.toml", &format!("withdrawn = true\n{text}"), soon);
    let again = run("again.toml", &copy, soon);
    assert_eq!(again.figures().records, first.figures().records);
    // When the release is due all of them may count anew, each with a version of its own.
    let due = first.next_release.unwrap() + 1.hour();
    let new = run("copy.toml", &format!("version = \"2.0\"\n{copy}"), due);
    assert_ne!(new.figures().records, first.figures().records);
    // Another selection is other data.
    let other = run("other.toml", &copy.replace("\"MG\"", "\"CT\""), soon);
    assert_ne!(other.figures().records, first.figures().records);
}

#[test]
fn an_export_does_not_mix_the_addresses_of_two_configurations() {
    let (mut config, shelf) = (config(), MemoryShelf::default());
    let text = GOOD.replace("NON_PUBLIC", "RESTRICTED");
    publish(&config, &shelf, "one.toml", &text, now());
    let (release, folder) = (release(), tempfile::tempdir().unwrap());
    config.server.public_url = "https://other.example.org".to_owned();
    let export = |config: &vesalius::config::Config| {
        Writer { config, release: &release }.export(&shelf, folder.path())
    };
    let refused = export(&config).unwrap_err().to_string();
    assert!(refused.contains("vesalius catalogue publish"), "{refused}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was written");
    publish(&config, &shelf, "one.toml", &text, now());
    assert_eq!(export(&config).unwrap(), 1);
}

#[test]
fn exact_figures_need_a_public_dataset_and_a_de_identified_archive() {
    let text = GOOD
        .replace("NON_PUBLIC", "PUBLIC")
        .replace("[selection]", "figures = \"exact\"\n[selection]")
        + "[[distribution]]\naccess_url = \"https://example.org/\"\n";
    let mut config = config();
    let shelf = MemoryShelf::default();
    let outcome = publish(&config, &shelf, "open.toml", &text, now());
    assert_eq!(outcome.verdict, Verdict::Published, "{outcome:#?}");
    let entry = shelf.find("open").unwrap().unwrap();
    assert_eq!(entry.figures().records, Some(543));
    assert_eq!(entry.next_release, None);
    // The archive turns out to be identified: refused, the exact document goes at once; when the
    // steward mends the description, the figures are counted anew.
    config.archive.identity = Identity::Identified;
    let outcome = publish(&config, &shelf, "open.toml", &text, now());
    assert_eq!(outcome.verdict, Verdict::Refused);
    assert!(outcome.refusals[0].remedy.contains("archive.identity"));
    let entry = shelf.find("open").unwrap().unwrap();
    assert_eq!((entry.state, entry.figures().records), (State::Withdrawn, None));
    let text = text.replace("figures = \"exact\"\n", "");
    let outcome = publish(&config, &shelf, "open.toml", &text, now());
    assert_eq!(outcome.verdict, Verdict::Published);
    let figures: Disclosed = shelf.find("open").unwrap().unwrap().figures();
    assert_eq!(
        (figures.is_exact, figures.records, figures.individuals),
        (false, Some(540), Some(230))
    );
}

#[test]
fn what_is_not_open_passes_the_disclosure_rule() {
    let shelf = published(&config());
    let entry = shelf.find("breast-screening").unwrap().unwrap();
    let figures = entry.figures();
    assert_eq!((figures.min_age, figures.max_age), (Some(40), Some(84)));
    assert_eq!(figures.from.unwrap().to_string(), "2019-01-01");
    assert_eq!(figures.to.unwrap().to_string(), "2025-12-31");
    for hidden in ["SR", "male", "2019", "40-44", "\"543\"", "\"231\"", "2019-03-04"] {
        let named = [&entry.document, &entry.figures, &figures.csv()]
            .iter()
            .any(|text| text.split(['"', ',', ' ']).any(|word| word == hidden.trim_matches('"')));
        assert!(!named, "{hidden}");
    }
    assert!(entry.document.contains("\"DCM MG\"") && entry.document.contains("\"Mammography\"@en"));
    assert!(figures.csv().contains("'=HYPERLINK()"), "no formula for spreadsheets");
}

#[test]
fn a_keyword_of_few_persons_is_no_variable_however_many_studies_they_bring() {
    let mut figures = Played::default().0;
    figures.attributes.push(vesalius::index::disclosure::Cell {
        term: "ContrastBolusAgent".to_owned(),
        records: 400,
        individuals: 3,
    });
    let rule = vesalius::index::disclosure::Rule { threshold: 10, rounding: 10 };
    let selection = vesalius::catalogue::Selection::default();
    let disclosed = figures.disclose(rule, &selection);
    assert!(disclosed.attributes.contains(&"KVP".to_owned()));
    assert!(!disclosed.attributes.contains(&"ContrastBolusAgent".to_owned()));
    assert!(figures.exact(&selection).attributes.contains(&"ContrastBolusAgent".to_owned()));
}

#[test]
fn figures_change_only_with_a_version_on_the_release_schedule() {
    let (config, release) = (config(), release());
    let gate = Gate::load(&release).unwrap();
    let publisher = Publisher { config: &config, release: &release, gate: &gate };
    let shelf = MemoryShelf::default();
    let day = |days: i64| now().checked_add((24 * days).hours()).unwrap();
    let mut facts = Played::default();
    let run = |facts: &Played, text: &str, days: i64| {
        let outcome = publisher.publish("x.toml", text, facts, &shelf, day(days)).unwrap();
        (outcome, shelf.find("x").unwrap().unwrap())
    };
    let (_, first) = run(&facts, GOOD, 0);
    facts.0.records = 9_000;
    let (outcome, second) = run(&facts, GOOD, 1);
    assert_eq!((outcome.verdict, &second), (Verdict::Unchanged, &first));
    // Words may change at any time; the figures stay.
    let (outcome, third) = run(&facts, &GOOD.replace("\"D\"", "\"Other words\""), 2);
    assert_eq!(outcome.verdict, Verdict::Published);
    assert_eq!(third.figures, first.figures);
    assert_eq!((third.issued, third.modified), (now(), day(2)));
    // Another selection without another version, and a version before its time, are refused.
    let (outcome, fourth) = run(&facts, &GOOD.replace("\"MG\"", "\"CT\""), 3);
    assert_eq!(
        (outcome.verdict, outcome.problems[0].field.as_str()),
        (Verdict::Refused, "version")
    );
    assert_eq!(fourth.document, third.document);
    let next = GOOD.replace("[selection]", "version = \"2.0\"\n[selection]");
    let (outcome, _) = run(&facts, &next, 4);
    assert!(outcome.problems[0].rule.contains("release schedule"), "{outcome:#?}");
    // Neither is withdrawing and coming back a way round it.
    let (outcome, _) = run(&facts, &format!("withdrawn = true\n{GOOD}"), 5);
    assert_eq!(outcome.verdict, Verdict::Withdrawn);
    let (outcome, back) = run(&facts, GOOD, 6);
    assert_eq!((outcome.verdict, &back.figures), (Verdict::Published, &first.figures));
    assert_eq!((back.state, back.issued), (State::Published, now()));
    let (outcome, last) = run(&facts, &next, 91);
    assert_eq!((outcome.verdict, last.figures().records), (Verdict::Published, Some(9_000)));
}

#[test]
fn a_dataset_that_fails_keeps_its_last_good_document() {
    let mut config = config();
    let shelf = published(&config);
    let before = shelf.find("lung-ldct").unwrap().unwrap();
    config.hdab = vesalius::config::Organisation::default();
    for (slug, text) in vesalius::catalogue::samples() {
        let outcome = publish(&config, &shelf, &format!("{slug}.toml"), text, now());
        assert_eq!(outcome.verdict, Verdict::Refused);
        let lines: Vec<String> = outcome.problems.iter().map(ToString::to_string).collect();
        assert!(lines.iter().any(|line| line.contains("set `hdab.name`")), "{lines:#?}");
    }
    let after = shelf.find("lung-ldct").unwrap().unwrap();
    assert_eq!((after.state, &after.document), (State::Published, &before.document));
    assert!(after.report().iter().any(|problem| problem.severity == Severity::Violation));
    // Never published, and wrong: failed, not listed.
    publish(&config, &shelf, "new.toml", "title = 1", now());
    assert_eq!(shelf.find("new").unwrap().unwrap().state, State::Failed);
    assert_eq!(shelf.state().unwrap().published, 3);
}

#[test]
fn a_selection_without_data_is_refused() {
    let text = GOOD.replace("\"MG\"", "\"NOTHING\"");
    let outcome = publish(&config(), &MemoryShelf::default(), "x.toml", &text, now());
    assert!(outcome.problems[0].to_string().contains("matches no series"), "{outcome:#?}");
}

#[test]
fn a_withdrawn_dataset_leaves_a_tombstone() {
    let config = config();
    let shelf = published(&config);
    let (slug, text) = vesalius::catalogue::samples().swap_remove(0);
    let text = format!("withdrawn = true\n{text}");
    let file = format!("{slug}.toml");
    assert_eq!(publish(&config, &shelf, &file, &text, now()).verdict, Verdict::Withdrawn);
    assert_eq!(publish(&config, &shelf, &file, &text, now()).verdict, Verdict::Unchanged);
    let entry = shelf.find(&slug).unwrap().unwrap();
    assert_eq!(entry.state, State::Withdrawn);
    assert!(entry.document.contains("dataset-status/WITHDRAWN"));
    assert!(!entry.document.contains("dcat#Dataset>"));
    assert_eq!(shelf.state().unwrap().published, 2);
}

#[test]
fn a_document_can_be_made_again_from_what_is_kept() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let (slug, text) = vesalius::catalogue::samples().swap_remove(2);
    publish(&config, &shelf, &format!("{slug}.toml"), &format!("withdrawn = true\n{text}"), now());
    publish(&config, &shelf, "draft.toml", "title = 1", now());
    let gate = Gate::load(&release).unwrap();
    let publisher = Publisher { config: &config, release: &release, gate: &gate };
    for slug in shelf.slugs().unwrap() {
        let entry = shelf.find(&slug).unwrap().unwrap();
        assert_eq!(publisher.remake(&entry), entry.document, "{slug}");
    }
}

#[test]
fn recommendations_do_not_stop_a_publication() {
    let shelf = MemoryShelf::default();
    let outcome = publish(&config(), &shelf, "x.toml", GOOD, now());
    assert_eq!(outcome.verdict, Verdict::Published);
    assert!(!outcome.problems.is_empty());
    for problem in &outcome.problems {
        assert_eq!(problem.severity, Severity::Warning);
        assert!(!problem.remedy.contains("maintainers"), "{problem}");
    }
}

#[test]
fn the_schemas_of_data_files_hold_for_the_files() {
    let release = release();
    for (name, schema) in vesalius::catalogue::schemas() {
        let schema = serde_json::to_value(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let files: Vec<(String, String)> = match name {
            "description" => vesalius::catalogue::samples()
                .into_iter()
                .map(|(slug, text)| (slug, text.to_owned()))
                .collect(),
            "release" => ["r6", "r8"]
                .iter()
                .map(|name| {
                    let text = release.text(&format!("releases/{name}.toml")).unwrap();
                    ((*name).to_owned(), text)
                })
                .collect(),
            "catalogue" | "minimum-elements" | "quality" | "form" | "eucaim-rows" => {
                let file = name.trim_start_matches("minimum-");
                vec![(name.to_owned(), release.text(&format!("{file}.toml")).unwrap())]
            }
            "vocabulary" => {
                vec![("frequency".to_owned(), release.text("vocabularies/frequency.toml").unwrap())]
            }
            "fields" => vec![("fields".to_owned(), release.text("shapes/fields.toml").unwrap())],
            other => {
                let path = format!("vocabularies/{other}.toml");
                vec![(other.to_owned(), release.text(&path).unwrap())]
            }
        };
        for (file, text) in files {
            // Editors see TOML dates as strings.
            let table: toml::Table = toml::from_str(&text).unwrap();
            let value = json_of(toml::Value::Table(table));
            let errors: Vec<String> =
                validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name} {file}: {errors:#?}");
        }
    }
}

fn json_of(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::Datetime(date) => serde_json::Value::String(date.to_string()),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, json_of(value))).collect()
        }
        other => serde_json::to_value(other).unwrap(),
    }
}

#[test]
fn words_that_hide_or_reorder_their_text_are_refused_as_our_own_harvester_does() {
    let config = config();
    let shelf = MemoryShelf::default();
    for character in ['\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
        for (key, line) in [
            ("title", format!("title.en = \"a{character}b\"")),
            ("keywords", format!("keywords.en = [\"a{character}b\"]")),
            ("provenance", format!("provenance.en = \"a{character}b\"")),
        ] {
            let is_other = |own: &&str| !own.starts_with(&format!("{key}."));
            let others: Vec<&str> = GOOD.lines().filter(is_other).collect();
            let text = format!("{line}\n{}\n", others.join("\n"));
            let outcome = publish(&config, &shelf, "hidden.toml", &text, now());
            let said = outcome.refusals.iter().find(|refusal| refusal.key == key);
            let said = said.unwrap_or_else(|| panic!("{key} {character:?}: {outcome:#?}"));
            assert!(said.problem.contains("hide or reorder"), "{said}");
            assert!(said.remedy.contains("U+202E"), "{said}");
        }
    }
}
