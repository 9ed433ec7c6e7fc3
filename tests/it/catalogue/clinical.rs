//! Clinical variables in the figures of a dataset: which studies have them, whoever wrote them.
//! All data are synthetic.

use std::sync::Arc;

use vesalius::catalogue::{Facts as _, IndexFacts, Selection};
use vesalius::imaging::Facet;
use vesalius::index::Index;
use vesalius::mapping::Context;
use vesalius::mapping::clinical::GUIDE;
use vesalius::store::records::{self, Method, Write};
use vesalius::store::{Store, archive};

use crate::support::{Folder, How, ingest, on_both, record, set};

pub(super) fn put(store: &Store, id: &str, profile: &str, subject: &str, study: Option<&str>) {
    let mut resource = serde_json::json!({
        "resourceType": "Observation",
        "id": id,
        "meta": { "profile": [format!("{}/StructureDefinition/{profile}", *GUIDE)] },
        "subject": { "reference": format!("Patient/{subject}") },
    });
    if let Some(study) = study {
        resource["derivedFrom"] =
            serde_json::json!([{ "reference": format!("ImagingStudy/{study}") }]);
    }
    let body = resource.to_string();
    write(store, id, Some(body.as_bytes()));
}

pub(super) fn write(store: &Store, id: &str, body: Option<&[u8]>) {
    store
        .write(|db| {
            let before = records::find(db, "Observation", id)?;
            let method = match (body, &before) {
                (None, _) => Method::Delete,
                (_, None) => Method::Create,
                (_, Some(_)) => Method::Update,
            };
            let write = Write {
                kind: "Observation",
                id,
                before: before.as_ref(),
                method,
                author: "test",
                now: 1,
                body,
            };
            records::put(db, &write)
        })
        .unwrap();
}

#[test]
fn clinical_variables_are_counted_by_what_they_are_about() {
    on_both(|fresh| {
        let store = Arc::new(fresh.store.clone());
        // Two persons with two studies each: 1 and 2 in mammography, 3 in mammography, 4 in CT.
        let mut records = Vec::new();
        for (patient, study, modality) in [(1, 1, "MG"), (1, 2, "MG"), (2, 3, "MG"), (2, 4, "CT")] {
            let mut image = record(patient, study, 1, 1);
            set(&mut image.series, "Modality", modality);
            records.push(image);
        }
        ingest(&store, &mut Folder::of(&records), &How::default());
        let index = Arc::new(Index::open(None, Context::default()));
        index.catch_up(&store).unwrap();
        let rows = store.read(|db| archive::list_studies(db, &[1, 2, 3, 4])).unwrap();
        let study = |at: usize| rows[at].care_id.clone();
        let patients = store.read(|db| archive::list_patients(db, &[1, 2])).unwrap();
        let patient = |at: usize| patients[at].care_id.clone();
        let of_patient =
            |at: usize| rows.iter().filter(|row| row.patient == patients[at].number).count();
        assert_eq!((of_patient(0), of_patient(1)), (2, 2));

        let facts = IndexFacts::new(Arc::clone(&index), None).with_store(Arc::clone(&store));
        let cells = |modality: &str| -> Vec<(String, u64, u64)> {
            let figures = facts.figures(&Selection::of(Facet::Modality, &[modality])).unwrap();
            let clinical =
                figures.attributes.into_iter().filter(|c| c.term.starts_with("clinical:"));
            clinical.map(|c| (c.term, c.records, c.individuals)).collect()
        };
        let cell = |name: &str, records, persons| (format!("clinical:{name}"), records, persons);
        assert_eq!(cells("MG"), []);
        // What refers to a study is about it alone; what does not, about all of the person's.
        put(&store, "a", "bi-rads-assessment", &patient(0), Some(&study(0)));
        put(&store, "b", "bi-rads-assessment", &patient(0), Some(&study(0)));
        put(&store, "c", "psa", &patient(1), None);
        put(&store, "d", "psa", "nobody", None);
        assert_eq!(cells("MG"), [cell("bi-rads-assessment", 1, 1), cell("psa", 1, 1)]);
        assert_eq!(cells("CT"), [cell("psa", 1, 1)]);
        // A new version says something else, and what is deleted says nothing.
        put(&store, "a", "breast-density", &patient(0), Some(&study(1)));
        write(&store, "c", None);
        assert_eq!(cells("MG"), [cell("bi-rads-assessment", 1, 1), cell("breast-density", 1, 1)]);
        assert_eq!(cells("CT"), []);
        // Another who reads the store from its beginning finds the same.
        let again = IndexFacts::new(index.clone(), None).with_store(Arc::clone(&store));
        let selection = Selection::of(Facet::Modality, &["MG"]);
        assert_eq!(again.figures(&selection).unwrap(), facts.figures(&selection).unwrap());
    });
}

#[test]
fn the_dictionary_has_every_profile_of_the_clinical_tables() {
    let release = super::release();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/clinical");
    let mut profiles: Vec<String> = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        for row in table["resource"].as_array().unwrap() {
            profiles.push(format!("clinical:{}", row["profile"].as_str().unwrap()));
        }
    }
    assert!(profiles.len() > 20);
    for profile in profiles {
        let is_known = release.variables.iter().any(|variable| variable.attribute == profile);
        assert!(is_known, "{profile} is in no row of vocabularies/variables.toml");
    }
}
