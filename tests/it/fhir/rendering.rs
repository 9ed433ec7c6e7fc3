//! What the rows make of a study and a patient, in each view.

use serde_json::Value;
use vesalius::config::Identity;
use vesalius::mapping::fhir::{
    Renderer, View, render_endpoint, render_organisation, render_patient, render_study,
};
use vesalius::mapping::{findings, series_facts, study_facts};

use super::sample;

fn json(bytes: &[u8]) -> Value {
    fhir_types::check(bytes).unwrap_or_else(|reason| {
        panic!("{reason}: {}", String::from_utf8_lossy(bytes));
    });
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_mammogram_becomes_an_imaging_study() {
    let context = sample::context(|_| ());
    let study = sample::study();
    let rendered = render_study(&context, &study, View::Care);
    let full = json(&rendered.with_instances(&context, &study, View::Care));
    insta::assert_json_snapshot!("imaging-study-care", full);

    // The part without instances is the whole but for the instances.
    let mut without = full;
    for series in without["series"].as_array_mut().unwrap() {
        assert_eq!(series["instance"].as_array().unwrap().len(), 2);
        series.as_object_mut().unwrap().remove("instance");
    }
    assert_eq!(json(&rendered.bytes), without);
}

#[test]
fn care_sees_the_patient_and_secondary_use_nobody() {
    let context = sample::context(|_| ());
    let patient = sample::patient();
    insta::assert_json_snapshot!(
        "patient-care",
        json(&render_patient(&context, &patient, View::Care))
    );
    insta::assert_json_snapshot!(
        "patient-secondary-use",
        json(&render_patient(&context, &patient, View::Pseudonymous))
    );
    let study = sample::study();
    let rendered = render_study(&context, &study, View::Pseudonymous);
    let bytes = rendered.with_instances(&context, &study, View::Pseudonymous);
    insta::assert_json_snapshot!("imaging-study-secondary-use", json(&bytes));
    let text = String::from_utf8(bytes).unwrap();
    for hidden in [
        "7001",
        "A-1",
        "S77",
        "Screening",
        "Novák",
        "Malá",
        "4711",
        "Radiology",
        "2024-07-31",
        "R MLO",
        "SN-9",
        "Technik",
        "PRIMARY",
    ] {
        assert!(!text.contains(hidden), "`{hidden}` in {text}");
    }
}

#[test]
fn a_de_identified_archive_is_rendered_as_it_is_and_says_so() {
    let context = sample::context(|config| config.archive.identity = Identity::DeIdentified);
    let study = sample::study();
    let mut open = json(&render_study(&context, &study, View::DeIdentified).bytes);
    assert_eq!(open["meta"]["security"][0]["code"], "PSEUDED");
    open["meta"].as_object_mut().unwrap().remove("security");
    assert_eq!(open, json(&render_study(&context, &study, View::Care).bytes));
}

#[test]
fn a_study_without_anything_is_still_valid() {
    let context = sample::context(|_| ());
    let mut study = sample::study();
    study.attributes = vesalius::imaging::Attributes::new();
    study.patient.attributes = vesalius::imaging::Attributes::new();
    study.patient.key.id = "study:2.25.7001".to_owned();
    for series in &mut study.series {
        series.attributes = vesalius::imaging::Attributes::new();
        series.instances.clear();
    }
    let rendered = render_study(&context, &study, View::Care);
    insta::assert_json_snapshot!("imaging-study-bare", json(&rendered.bytes));
    assert_eq!(rendered.with_instances(&context, &study, View::Care), *rendered.bytes);
    let patient = json(&render_patient(&context, &study.patient, View::Care));
    assert_eq!(patient.get("identifier"), None);
    study.series.clear();
    assert_eq!(json(&render_study(&context, &study, View::Care).bytes).get("series"), None);
}

#[test]
fn the_deployment_is_an_endpoint_and_an_organization() {
    let context = sample::context(|_| ());
    insta::assert_json_snapshot!("endpoint-unknown", json(&render_endpoint(&context)));
    insta::assert_json_snapshot!("organization", json(&render_organisation(&context)));
    let context = sample::context(|config| {
        config.archive.wado_url = "https://pacs.example/dicom-web/".to_owned();
        config.organisation.name = "Example hospital".to_owned();
        config.organisation.email = "data@hospital.example".to_owned();
    });
    let endpoint = json(&render_endpoint(&context));
    assert_eq!(endpoint["address"], "https://pacs.example/dicom-web");
    assert_eq!(endpoint.get("_address"), None);
}

/// Not a check of speed: it prints what a million series would cost.
#[test]
fn facts_and_findings_are_cheap() {
    let context = sample::context(|_| ());
    let study = sample::study();
    let rounds = 2_000;
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        for series in &study.series {
            std::hint::black_box(series_facts(&context, &series.attributes, &series.sop_classes));
        }
    }
    let facts = begun.elapsed() / (rounds * 3);
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(study_facts(&context, &study.patient.attributes, &study.attributes));
    }
    let of_study = begun.elapsed() / rounds;
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        for series in &study.series {
            std::hint::black_box(findings(
                &context,
                &study.patient.attributes,
                &study.attributes,
                &series.attributes,
            ));
        }
    }
    let found = begun.elapsed() / (rounds * 3);
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(render_study(&context, &study, View::Care));
    }
    let rendered = begun.elapsed() / rounds;
    eprintln!(
        "series facts {facts:?}, study facts {of_study:?}, findings {found:?}, \
         study of three series rendered {rendered:?}"
    );
}

#[test]
fn series_that_are_rendered_one_after_another_are_what_each_is_alone() {
    let context = sample::context(|_| ());
    let keywords: Vec<&str> = include_str!("../../../mappings/attributes.toml")
        .split("[[attribute]]")
        .filter(|row| row.contains("level = \"series\""))
        .filter_map(|row| row.split_once("keyword = \"")?.1.split('"').next())
        .collect();
    assert!(keywords.len() > 20 && keywords.contains(&"StationName"));
    let study = sample::study();
    let series = &study.series[0];
    let texts = ["CT", "MG", "L", "R", "BREAST", "LUNG", "3", "20240131", "Novák^Jan", "SIEMENS"];
    let items = [
        sample::code("T-04000", "SRT", "Breast"),
        sample::code("39607008", "SCT", "Lung"),
        sample::bag(&[("SpecimenIdentifier", "7"), ("PersonName", "Malá^Eva")]),
        sample::person("4711"),
    ];
    let mut variants = vec![series.clone()];
    for name in &keywords {
        let keyword = sample::keyword(name);
        for text in texts {
            let mut changed = series.clone();
            changed.attributes.set(keyword, text);
            variants.push(changed);
        }
        for item in &items {
            let mut changed = series.clone();
            changed.attributes.set_items(keyword, vec![item.clone()]);
            variants.push(changed);
        }
        let mut without = series.clone();
        without.attributes.remove(keyword);
        variants.push(without);
    }
    for view in [View::Care, View::DeIdentified, View::Pseudonymous] {
        let of = |series: Vec<vesalius::imaging::Series>| {
            let mut study = study.clone();
            study.series = series;
            study
        };
        let mut renderer = Renderer::new(&context, view);
        let together = json_of_series(&renderer.render(&of(variants.clone())).bytes);
        assert_eq!(together.len(), variants.len());
        for (one, together) in variants.iter().zip(&together) {
            let alone = of(vec![one.clone()]);
            let rendered = render_study(&context, &alone, view);
            assert_eq!(&json_of_series(&rendered.bytes)[0], together, "{:?}", one.attributes);
            // And once more by who has rendered all of them.
            assert_eq!(renderer.render(&alone).bytes, rendered.bytes);
        }
    }
}

/// The series of a study, in the order of their members.
fn json_of_series(study: &[u8]) -> Vec<String> {
    let study: Value = serde_json::from_slice(study).unwrap();
    study["series"].as_array().unwrap().iter().map(Value::to_string).collect()
}
