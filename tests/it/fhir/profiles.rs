//! What is rendered claims its profile and holds to it, by the checker of `fhir/validate`.
//!
//! The synthetic demo, an archive of dice, hostile attributes, and, where they are at hand, the
//! files of pydicom (`VESALIUS_TEST_PYDICOM`: a folder) and the index of IDC
//! (`VESALIUS_TEST_IDC_STORE`: a copy of a data folder that it was ingested into).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use actix_web::http::StatusCode;
use serde_json::Value;
use vesalius::actor::Role;
use vesalius::fhir::validate::validate;
use vesalius::imaging::Record;
use vesalius::mapping::fhir::{
    View, render_device, render_endpoint, render_orders, render_organisation, render_patient,
    render_practitioner, render_practitioner_role, render_procedure, render_study, render_viewer,
};
use vesalius::mapping::{Tables, agent::Agent};

use super::sample;
use super::server::{Dice, Server, archive};

/// The types that the facade serves of an archive.
const TYPES: &[&str] = &[
    "Patient",
    "ImagingStudy",
    "ServiceRequest",
    "Procedure",
    "Practitioner",
    "PractitionerRole",
    "Device",
    "Organization",
    "Endpoint",
];

/// The faults of a resource: what the checker finds, and that it claims what the rows say.
fn faults(resource: &Value) -> Vec<String> {
    let kind = resource["resourceType"].as_str().unwrap();
    let claimed: BTreeSet<&str> = resource["meta"]["profile"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let tables = Tables::built_in();
    let mut faults = Vec::new();
    for profile in tables.profiles.profile.iter().filter(|row| row.resource == kind) {
        let is_named = claimed.contains(profile.canonical.as_str());
        // A study with several orders cannot claim what it does not hold to.
        let holds = || validate(resource, &[&profile.canonical]).errors().count() == 0;
        if is_named != profile.is_claimed && (is_named || kind != "ImagingStudy" || holds()) {
            faults.push(format!("{} and {}", resource["id"], profile.canonical));
        }
    }
    let report = validate(resource, &[]);
    let errors = report
        .errors()
        .map(|issue| format!("{} {}: {issue:?}", resource["identifier"], resource["id"]));
    faults.extend(errors);
    // Conflict 9: a warning of HL7 Europe Imaging, an error here.
    for identifier in resource["identifier"].as_array().into_iter().flatten() {
        if identifier["system"] == "urn:dicom:uid"
            && !identifier["value"].as_str().unwrap().starts_with("urn:oid:")
        {
            faults.push(format!("{identifier}"));
        }
    }
    faults
}

async fn hold(server: &Server, types: &[&str]) -> BTreeMap<String, Vec<Value>> {
    let mut found = BTreeMap::new();
    let mut wrong = Vec::new();
    for kind in types {
        let all = server.all(&format!("/fhir/{kind}")).await;
        wrong.extend(all.iter().flat_map(faults));
        found.insert((*kind).to_owned(), all);
    }
    assert!(wrong.is_empty(), "{} faults: {:#?}", wrong.len(), &wrong[..wrong.len().min(12)]);
    found
}

/// The records of a folder, read in this process.
fn records(folder: &Path) -> Vec<Record> {
    use vesalius::source::folder::{Folder, Remembered};
    use vesalius::source::{Item, Source as _};
    let mut records = Vec::new();
    Folder::in_process(folder)
        .unwrap()
        .read(&Remembered::default(), &mut |item| {
            if let Item::Record { record, .. } = item {
                records.push(*record);
            }
            Ok(())
        })
        .unwrap();
    records
}

#[actix_web::test]
async fn the_demo_holds_to_its_profiles() {
    let folder = tempfile::tempdir().unwrap();
    vesalius::sample::write_demo(folder.path()).unwrap();
    let server = Server::new(records(folder.path()), |config| {
        config.archive.viewer_url = "https://viewer.example/?study={StudyInstanceUID}".to_owned();
    });
    let found = hold(&server, TYPES).await;
    let count = |kind: &str| found[kind].len();
    assert_eq!(
        (count("ImagingStudy"), count("ServiceRequest"), count("Procedure")),
        (136, 136, 136)
    );
    assert!(count("Practitioner") >= 10 && count("Device") == 4, "{found:#?}");

    // Every SHALL of the profile's obligations is reached by some study.
    let studies = &found["ImagingStudy"];
    let all = serde_json::to_string(studies).unwrap();
    for shall in [
        "\"started\":",
        "\"endpoint\":",
        "\"description\":",
        "\"bodySite\":",
        "\"code\":\"PRF\"",
        "\"code\":\"DEV\"",
        "\"code\":\"CST\"",
        "\"code\":\"LOC\"",
        "ImagingStudyEuImagingInstanceDescription",
        "MadoKeyObjectDocumentTitle",
        "\"encounter\":",
        "\"reasonCode\":",
        "\"referrer\":",
        "\"interpreter\":",
        "\"location\":",
        "\"procedureReference\":",
        "-viewer\"",
    ] {
        assert!(all.contains(shall), "no study has {shall}");
    }
    // What a study refers to is there.
    let mut broken = Vec::new();
    for reference in references(studies) {
        let (kind, id) = reference.split_once('/').unwrap();
        let path = format!("/fhir/{kind}/{id}");
        let is_listed = found[kind].iter().any(|resource| resource["id"] == id);
        if !is_listed && server.get(Role::ImagingIt, &path).await.status != StatusCode::OK {
            broken.push(reference);
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

fn references(of: &[Value]) -> BTreeSet<String> {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("reference") {
                    found.insert(reference.clone());
                }
                members.values().for_each(|member| walk(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    of.iter().for_each(|value| walk(value, &mut found));
    found
}

#[actix_web::test]
async fn an_archive_of_dice_holds_to_its_profiles() {
    let server = Server::new(archive(120, 31), |_| ());
    let found = hold(&server, TYPES).await;
    assert!(found.values().all(|all| !all.is_empty()));
}

#[test]
fn hostile_attributes_hold_to_the_profiles_too() {
    let context = sample::context(|config| {
        config.archive.viewer_url = "https://viewer.example/?study={StudyInstanceUID}".to_owned();
    });
    let mut dice = Dice(77);
    let mut wrong = Vec::new();
    let mut studies: Vec<_> =
        (0..150).map(|_| super::hostile::study(|| dice.roll(1 << 20))).collect();
    studies.push(sample::study());
    let mut count = 0;
    let mut judge = |bytes: &[u8]| {
        count += 1;
        wrong.extend(faults(&serde_json::from_slice(bytes).unwrap()));
    };
    judge(&render_endpoint(&context));
    judge(&render_organisation(&context));
    for study in &studies {
        for view in [View::Care, View::DeIdentified, View::Pseudonymous] {
            judge(&render_study(&context, study, view).with_instances(&context, study, view));
            judge(&render_patient(&context, &study.patient, view));
            judge(&render_procedure(&context, study, view));
            let orders = render_orders(&context, study, view);
            assert!(view != View::Pseudonymous || orders.is_empty());
            orders.iter().for_each(|order| judge(order));
            for (_, agent) in vesalius::mapping::fhir::agents_of_study(&context, study) {
                match agent {
                    Agent::Device(device) => {
                        judge(&render_device(&context, &[device], view).unwrap());
                    }
                    Agent::Person(person) => {
                        judge(
                            &render_practitioner(&context, std::slice::from_ref(&person)).unwrap(),
                        );
                        judge(&render_practitioner_role(&context, &[person]).unwrap());
                    }
                    Agent::Institution(_) => unreachable!("it is no resource"),
                }
            }
        }
        judge(&render_viewer(&context, study).unwrap());
    }
    assert!(wrong.is_empty(), "{} of {count}: {:#?}", wrong.len(), &wrong[..wrong.len().min(12)]);
}

/// A decision that can be switched is read by whatever writes.
#[actix_web::test]
async fn every_switch_of_a_conflict_changes_what_is_written() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/eu-profiles.toml");
    let text = std::fs::read_to_string(table).unwrap();
    let written = |text: String| async move {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("eu-profiles.toml"), text).unwrap();
        let server = Server::new(archive(12, 3), |config| {
            config.overrides.mappings = folder.path().to_str().unwrap().to_owned();
        });
        let mut all = String::new();
        for kind in ["ImagingStudy", "ServiceRequest", "DocumentReference"] {
            for mut one in server.all(&format!("/fhir/{kind}?_count=100")).await {
                // Which tables rendered it changes the size and digest of what it leads to.
                for name in ["size", "hash"] {
                    let attachment = one.pointer_mut("/content/0/attachment");
                    if let Some(attachment) = attachment.and_then(Value::as_object_mut) {
                        attachment.remove(name);
                    }
                }
                one["meta"] = Value::Null;
                all.push_str(&one.to_string());
            }
        }
        let found = server
            .all(
                "/fhir/DocumentReference?category=http://hl7.eu/fhir/health-data-api/CodeSystem/\
                 eehrxf-document-priority-category-cs%7CMedical-Imaging",
            )
            .await;
        assert_eq!(found.len(), 24, "who names the other system finds them all the same");
        all
    };
    let before = written(text.clone()).await;
    for (from, to, shows) in [
        (
            r#"["rfc3986"]"#,
            r#"["dicom-uids"]"#,
            "http://dicom.nema.org/resources/CodeSystem/DICOM_UIDs",
        ),
        (
            r#"["rfc3986"]"#,
            r#"["dcmuid"]"#,
            "http://dicom.nema.org/resources/ontology/DCMUID\",\"code\":\"urn",
        ),
        (
            r#"["health-data-api"]"#,
            r#"["eu-health-data-api"]"#,
            "http://hl7.eu/fhir/eu-health-data-api/CodeSystem/eehrxf-document-priority-category-cs",
        ),
    ] {
        let after =
            written(text.replace(&format!("chosen = {from}"), &format!("chosen = {to}"))).await;
        assert!(!before.contains(shows) || shows.contains("DCMUID"), "{shows}");
        assert!(after.contains(shows.split('"').next().unwrap()), "{to}");
        assert_ne!(before, after, "{to}");
    }
    for (from, to, gone) in [
        (
            r#"["hl7-europe", "ihe"]"#,
            r#"["ihe"]"#,
            "http://hl7.eu/fhir/imaging/StructureDefinition/AnatomicalRegionExtension",
        ),
        (
            r#"["hl7-europe", "ihe"]"#,
            r#"["hl7-europe"]"#,
            "StructureDefinition/MadoAnatomicalRegionExtension",
        ),
        (r#"["acsn", "dcm"]"#, r#"["dcm"]"#, "\"ACSN\""),
        (r#"["acsn", "dcm"]"#, r#"["acsn"]"#, "\"121022\""),
    ] {
        let after =
            written(text.replace(&format!("chosen = {from}"), &format!("chosen = {to}"))).await;
        assert!(before.matches(gone).count() > after.matches(gone).count(), "{to}");
    }
}

#[actix_web::test]
async fn the_files_of_pydicom_hold_to_their_profiles() {
    let Some(folder) = std::env::var_os("VESALIUS_TEST_PYDICOM") else {
        eprintln!("skipped: VESALIUS_TEST_PYDICOM names no folder with the files of pydicom");
        return;
    };
    let server = Server::new(records(Path::new(&folder)), |_| ());
    let found = hold(&server, TYPES).await;
    eprintln!("pydicom: {:?}", found.iter().map(|(k, all)| (k, all.len())).collect::<Vec<_>>());
    assert!(found["ImagingStudy"].len() > 20);
}

#[test]
fn studies_of_the_imaging_data_commons_hold_to_their_profiles() {
    use vesalius::imaging::IdSpace;
    use vesalius::store::{Store, read};
    let Some(folder) = std::env::var_os("VESALIUS_TEST_IDC_STORE") else {
        eprintln!("skipped: VESALIUS_TEST_IDC_STORE names no data folder with the index of IDC");
        return;
    };
    let store = Store::open(Path::new(&folder), "").unwrap();
    let mut db = store.reader().unwrap();
    let most = read::count_all(&mut db).unwrap().studies as usize;
    let context = sample::context(|_| ());
    let mut dice = Dice(2_000);
    let mut wrong = Vec::new();
    let mut count = 0;
    while count < 2_000 {
        let numbers: Vec<i64> = (0..200).map(|_| 1 + dice.roll(most) as i64).collect();
        for study in read::load_studies(&mut db, &numbers, IdSpace::Care, true).unwrap() {
            count += 1;
            let view = if count % 2 == 0 { View::DeIdentified } else { View::Pseudonymous };
            let mut judge = |bytes: Vec<u8>| {
                wrong.extend(faults(&serde_json::from_slice(&bytes).unwrap()));
            };
            judge(render_study(&context, &study, view).with_instances(&context, &study, view));
            judge(render_patient(&context, &study.patient, view));
            judge(render_procedure(&context, &study, view));
            for (_, agent) in vesalius::mapping::fhir::agents_of_study(&context, &study) {
                if let Agent::Device(device) = agent {
                    judge(render_device(&context, &[device], view).unwrap());
                }
            }
        }
    }
    eprintln!("IDC: {count} studies of {most}, {} faults", wrong.len());
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(12)]);
}
