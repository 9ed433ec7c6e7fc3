//! Manifests of IHE MADO: both encodings say the same, our own and the official ones.

use std::collections::BTreeMap;

use serde_json::Value;
use vesalius::dicom::kos;
use vesalius::mapping::Context;
use vesalius::mapping::fhir::View;
use vesalius::mapping::manifest::{Coded, Manifest, Named};
use vesalius::mapping::manifest_read::from_bundle;
use vesalius::mapping::manifest_study::of_study;
use vesalius::mapping::manifest_write::to_bundle;

use super::sample::{bag, context, study, with_items};

type Facts = BTreeMap<String, String>;

/// Every fact of a manifest by its path.
fn facts(manifest: &Manifest) -> Facts {
    let mut all = Facts::new();
    let mut put = |path: String, text: Option<String>| {
        if let Some(text) = text {
            all.insert(path, text);
        }
    };
    let coded = |code: &Coded| {
        format!("{}|{} {}", code.system, code.code, code.display.as_deref().unwrap_or(""))
    };
    let named = |named: &Named| {
        let assigner = named.assigner.as_ref().map(|a| format!(" ({a})")).unwrap_or_default();
        format!("{}|{}{assigner}", named.system, named.value)
    };
    // The same instant at another offset is the same fact.
    let when = |when: &vesalius::mapping::manifest::When| {
        let text = when.as_str().to_owned();
        text.parse::<jiff::Timestamp>().map_or(text, |instant| instant.to_string())
    };
    put("uid".into(), Some(manifest.uid.to_string()));
    put("created".into(), Some(when(&manifest.created)));
    put("title".into(), manifest.title.clone());
    let creator = &manifest.creator;
    put("creator.organisation".into(), Some(creator.organisation.clone()));
    put("creator.identifier".into(), creator.identifier.as_ref().map(named));
    put("creator.manufacturer".into(), creator.manufacturer.clone());
    put("creator.device".into(), creator.device.clone());
    put("creator.version".into(), creator.version.clone());
    let subject = &manifest.subject;
    for (at, id) in subject.identifiers.iter().enumerate() {
        put(format!("subject.identifier[{at}]"), Some(named(id)));
    }
    put("subject.name".into(), subject.name.clone());
    put("subject.birth".into(), subject.birth.clone());
    put("subject.gender".into(), subject.gender.clone());
    put("subject.pseudonymous".into(), Some(subject.is_pseudonymous.to_string()));
    put("study".into(), Some(manifest.study_uid.to_string()));
    put("started".into(), manifest.started.as_ref().map(when));
    put("description".into(), manifest.description.clone());
    put("referrer".into(), manifest.referrer.clone());
    for (at, request) in manifest.requests.iter().enumerate() {
        put(format!("request[{at}].accession"), Some(named(&request.accession)));
        put(format!("request[{at}].placer"), request.placer.as_ref().map(named));
        put(format!("request[{at}].filler"), request.filler.as_ref().map(named));
        put(format!("request[{at}].code"), request.code.as_ref().map(|code| format!("{code:?}")));
    }
    for (at, procedure) in manifest.procedures.iter().enumerate() {
        put(format!("procedure[{at}].text"), procedure.text.clone());
        for (place, code) in procedure.codings.iter().enumerate() {
            put(format!("procedure[{at}].coding[{place}]"), Some(coded(code)));
        }
    }
    for (at, region) in manifest.regions.iter().enumerate() {
        put(format!("region[{at}]"), Some(coded(region)));
    }
    for (at, viewer) in manifest.viewers.iter().enumerate() {
        put(format!("viewer[{at}]"), Some(viewer.clone()));
    }
    put("series".into(), Some(manifest.series.len().to_string()));
    for series in &manifest.series {
        let at = format!("series[{}]", series.uid);
        put(format!("{at}.number"), series.number.map(|n| n.to_string()));
        put(format!("{at}.modality"), series.modality.as_ref().map(coded));
        put(format!("{at}.description"), series.description.clone());
        put(format!("{at}.started"), series.started.as_ref().map(when));
        put(format!("{at}.body_site"), series.body_site.as_ref().map(coded));
        put(format!("{at}.laterality"), series.laterality.as_ref().map(coded));
        put(format!("{at}.url"), series.retrieve.url.clone());
        put(format!("{at}.location"), series.retrieve.location.clone());
        put(format!("{at}.ae"), series.retrieve.ae_title.clone());
        put(format!("{at}.count"), Some(series.count.to_string()));
        for one in &series.instances {
            let at = format!("{at}.instance[{}]", one.uid);
            put(format!("{at}.class"), Some(one.sop_class.to_string()));
            put(format!("{at}.number"), one.number.map(|n| n.to_string()));
            put(format!("{at}.frames"), one.frames.map(|n| n.to_string()));
            put(format!("{at}.title"), one.title.clone());
            put(format!("{at}.key"), one.key_title.as_ref().map(coded));
        }
    }
    all
}

/// `path: one → other` of every fact that differs.
fn differences(one: &Manifest, other: &Manifest) -> Vec<(String, String)> {
    let (one, other) = (facts(one), facts(other));
    let none = "nothing".to_owned();
    one.keys()
        .chain(other.keys().filter(|path| !one.contains_key(*path)))
        .filter(|path| one.get(*path) != other.get(*path))
        .map(|path| {
            let (from, to) = (one.get(path).unwrap_or(&none), other.get(path).unwrap_or(&none));
            (path.clone(), format!("{from} → {to}"))
        })
        .collect()
}

/// Whether a path is of a pattern in which `*` stands for the text between brackets.
fn is_of(path: &str, pattern: &str) -> bool {
    let mut rest = path;
    let mut parts = pattern.split('*').peekable();
    let Some(first) = parts.next() else { return false };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_none() {
            return true;
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

/// Holds the differences against the table of those that are explained: each of them must be
/// explained, and each row must explain something.
fn assert_explained(what: &str, one: &Manifest, other: &Manifest, rows: &[(&str, usize, &str)]) {
    let mut left = differences(one, other);
    for (pattern, count, why) in rows {
        let before = left.len();
        left.retain(|(path, _)| !is_of(path, pattern));
        assert_eq!(before - left.len(), *count, "{what}: {pattern} ({why})\n{left:#?}");
    }
    assert_eq!(left, [], "{what}: not explained");
}

fn through_kos(context: &Context, manifest: &Manifest) -> Manifest {
    kos::read(context, &kos::write(context, manifest).unwrap()).unwrap()
}

fn through_fhir(context: &Context, manifest: &Manifest) -> Manifest {
    let bundle = to_bundle(context, manifest, Some("one"));
    from_bundle(context, &bundle).unwrap()
}

#[test]
fn a_stored_study_says_the_same_in_both_encodings() {
    let context = context(|config| {
        config.archive.wado_url = "https://pacs.example/dicom-web".to_owned();
    });
    let request = with_items(
        bag(&[("AccessionNumber", "A-1"), ("PlacerOrderNumberImagingServiceRequest", "O-7")]),
        "RequestedProcedureCodeSequence",
        vec![super::sample::code("X1", "99LOCAL", "Screening")],
    );
    let mut study = study();
    study.attributes = with_items(study.attributes, "ReferencedRequestSequence", vec![request]);
    for view in [View::Care, View::DeIdentified, View::Pseudonymous] {
        let manifest = of_study(&context, &study, view).unwrap();
        let titled = ("title", 1, "a document of FHIR always has a title; the study has none");
        let fhir = through_fhir(&context, &manifest);
        let month = ("started", 1, "DA has no months: secondary use cuts dates to them");
        let year = ("subject.birth", 1, "DA has no years: secondary use cuts birth dates to them");
        let months = ("series[*].started", 3, "as of the study");
        let titles = ("series[*].instance[*].title", 6, "the KOS has titles of key objects only");
        let lossy: &[_] = match view {
            View::Pseudonymous => &[month, months, year],
            View::Care | View::DeIdentified => &[titles],
        };
        let referrer = match view {
            View::Pseudonymous => None,
            _ => Some(("referrer", 1, "the display of a Reference is no PN")),
        };
        let rows: Vec<_> = [titled].into_iter().chain(referrer).collect();
        assert_explained("study → FHIR", &manifest, &fhir, &rows);
        assert_explained("study → KOS", &manifest, &through_kos(&context, &manifest), lossy);
        let back = through_fhir(&context, &through_kos(&context, &fhir));
        assert_explained("FHIR → KOS → FHIR", &fhir, &back, lossy);
    }
}

#[test]
fn the_same_version_gives_the_same_bytes_and_another_version_another_document() {
    let context = context(|_| {});
    let mut study = study();
    let make = |study: &_| {
        let manifest = of_study(&context, study, View::Care).unwrap();
        let bundle = to_bundle(&context, &manifest, None).to_string();
        (manifest.uid.clone(), bundle, kos::write(&context, &manifest).unwrap())
    };
    let first = make(&study);
    assert_eq!(first, make(&study));
    study.version += 1;
    assert_ne!(first.0, make(&study).0);
}

#[test]
fn secondary_use_names_nobody() {
    let context = context(|config| {
        config.archive.viewer_url = "https://viewer.example/{StudyInstanceUID}".to_owned();
    });
    let manifest = of_study(&context, &study(), View::Pseudonymous).unwrap();
    let bundle = to_bundle(&context, &manifest, None).to_string();
    let file = kos::write(&context, &manifest).unwrap();
    for word in ["Dvo", "P-1", "A-1", "6055128123", "Nov\u{e1}k", "2.25.7001", "Screening mammo"] {
        assert!(!bundle.contains(word), "{word}");
        let found = file.windows(word.len()).any(|window| window == word.as_bytes());
        assert!(!found, "{word}");
    }
    let care = to_bundle(&context, &of_study(&context, &study(), View::Care).unwrap(), None);
    assert!(care.to_string().contains("https://viewer.example/2.25.7001"));
}

#[test]
fn a_series_known_by_its_count_has_a_fhir_manifest_and_no_kos() {
    let context = context(|_| {});
    let mut study = study();
    study.series[1].instances.clear();
    let manifest = of_study(&context, &study, View::Care).unwrap();
    let bundle = to_bundle(&context, &manifest, None);
    let series = &bundle["entry"][1]["resource"]["series"][1];
    assert_eq!(series["numberOfInstances"], 2);
    assert_eq!(series["instance"][0]["_uid"]["extension"][0]["valueCode"], "unknown");
    assert!(kos::write(&context, &manifest).is_err());
    let back = from_bundle(&context, &bundle).unwrap();
    assert_eq!((back.series[1].count, back.series[1].instances.len()), (2, 0));
}

#[test]
fn a_patient_of_whom_nothing_is_known_is_a_resource_all_the_same() {
    let context = context(|_| {});
    let mut manifest = of_study(&context, &study(), View::Care).unwrap();
    let subject = &mut manifest.subject;
    (subject.name, subject.gender, subject.birth) = (None, None, None);
    subject.identifiers.clear();
    let bundle = to_bundle(&context, &manifest, None);
    let patient = &bundle["entry"][2]["resource"];
    assert_eq!(patient["name"][0]["extension"][0]["valueCode"], "unknown", "{patient}");
    assert!(!vesalius::fhir::validate::validate(&bundle, &[]).has_errors());
    let back = from_bundle(&context, &bundle).unwrap();
    assert_eq!(facts(&back).get("subject.name"), None);
}

#[test]
fn what_is_no_manifest_is_refused_with_its_place() {
    let context = context(|_| {});
    let manifest = of_study(&context, &study(), View::Care).unwrap();
    let good = to_bundle(&context, &manifest, None);
    let broken = |change: fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        from_bundle(&context, &bundle).unwrap_err().at
    };
    for (at, change) in [
        ("Bundle", (|b| b["resourceType"] = "Patient".into()) as fn(&mut Value)),
        ("Bundle.type", |b| b["type"] = "collection".into()),
        ("Bundle.entry", |b| b["entry"] = Value::Null),
        ("Bundle.entry[0]", |b| b["entry"].as_array_mut().unwrap().reverse()),
        ("Bundle.timestamp", |b| {
            b["timestamp"] = Value::Null;
            b["entry"][0]["resource"]["date"] = "2024".into();
        }),
        ("Bundle.identifier", |b| {
            b["identifier"] = Value::Null;
            b["entry"][0]["resource"]["identifier"] = Value::Null;
        }),
        ("ImagingStudy.identifier", |b| b["entry"][1]["resource"]["identifier"] = Value::Null),
        ("ImagingStudy.series[1].uid", |b| {
            b["entry"][1]["resource"]["series"][1]["uid"] = "a b".into();
        }),
        ("ImagingStudy.series[0].instance[1].sopClass", |b| {
            b["entry"][1]["resource"]["series"][0]["instance"][1]["sopClass"]["system"] =
                "http://loinc.org".into();
        }),
    ] {
        assert_eq!(broken(change), at);
    }
    let file = kos::write(&context, &manifest).unwrap();
    for end in (0..file.len()).step_by(97) {
        assert!(kos::read(&context, &file[..end]).is_err(), "cut at {end}");
    }
    for at in (132..file.len()).step_by(11) {
        let mut other = file.clone();
        other[at] ^= 0x5a;
        let _ = kos::read(&context, &other);
    }
}

fn official(name: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("VESALIUS_REFERENCE") else {
        eprintln!("skipped: VESALIUS_REFERENCE is not set, so {name} is not converted");
        return None;
    };
    let path = std::path::Path::new(&folder).join("eehrxf/ihe-rad-mado").join(name);
    Some(std::fs::read(&path).unwrap_or_else(|failure| panic!("{}: {failure}", path.display())))
}

const BUNDLE_A: &str = "examples/mado-1.2.250.1.59.40211.22756022.2.1.101-bundle.json";
const KOS_A: &str = "dicom/MADO_KOS_A.dcm";
const BINARY_A: &str = "examples/mado-kos-1.2.250.1.59.40211.22756022.2.1.101-binary.json";

#[test]
fn study_a_of_mado_goes_through_both_encodings() {
    let (Some(bundle), Some(file), Some(binary)) =
        (official(BUNDLE_A), official(KOS_A), official(BINARY_A))
    else {
        return;
    };
    let context = context(|_| {});
    let bundle: Value = serde_json::from_slice(&bundle).unwrap();
    let binary: Value = serde_json::from_slice(&binary).unwrap();
    use base64::Engine as _;
    let data = binary["data"].as_str().unwrap();
    let binary = base64::engine::general_purpose::STANDARD.decode(data).unwrap();

    let fhir = from_bundle(&context, &bundle).unwrap();
    let one = kos::read(&context, &file).unwrap();
    let two = kos::read(&context, &binary).unwrap();
    for manifest in [&fhir, &one, &two] {
        assert_eq!(manifest.study_uid.as_str(), "1.2.250.1.59.40211.22756022.2.1.101");
        let counts: Vec<usize> = manifest.series.iter().map(|s| s.instances.len()).collect();
        assert!(counts == [50, 36] || counts == [36, 50], "{counts:?}");
    }
    // What one encoding has no place for, on the way through it and back.
    assert_explained("Bundle → KOS → Bundle", &fhir, &through_kos(&context, &fhir), &[]);
    let named = [
        ("title", 1, "Composition.title is 1..1; the KOS has no Key Object Description"),
        ("procedure[0].text", 1, "mado-reqproc-1 demands words; the KOS has its description"),
    ];
    assert_explained("KOS → Bundle", &one, &through_fhir(&context, &one), &named);
    let ae = [("series[*].ae", 2, "FHIR has no place for Retrieve AE Title")];
    assert_explained("KOS of the converter → Bundle", &two, &through_fhir(&context, &two), &ae);
    // KOS → Bundle → KOS, and once more around: nothing else is lost.
    for manifest in [&one, &two] {
        let around = through_kos(&context, &through_fhir(&context, manifest));
        let again = through_kos(&context, &through_fhir(&context, &around));
        assert_explained("around again", &around, &again, &[]);
    }

    // What the official encodings of Study A say differently, each by its own mistake or choice.
    let same = [
        ("uid", 1, "the documents were made by different programs and are different documents"),
        ("title", 1, "the converter titles them differently, the other KOS has no title"),
        ("subject.identifier[0]", 1, "the system is another name space in each file"),
        ("request[0].accession", 1, "as for the patient; the converter's issuer is empty"),
        ("creator.identifier", 1, "no KOS of them identifies the organisation"),
    ];
    let converter = [
        ("created", 1, "fractions, and winter time (+0100) written beside clock times of summer"),
        ("started", 1, "as above: one hour apart"),
        ("series[*].started", 2, "as above: one hour apart"),
        ("procedure[0].text", 1, "`CT HEAD` in the KOS, `Head CT` in the Bundle"),
        ("creator.version", 1, "the Bundle's Device has no version"),
        ("series[*].ae", 2, "FHIR has no place for Retrieve AE Title"),
        ("series[*].instance[*].number", 86, "the converter writes no instance numbers in its KOS"),
    ];
    let rows: Vec<_> = same.into_iter().chain(converter).collect();
    assert_explained("Bundle and KOS of the converter", &fhir, &two, &rows);
    let hand = [
        ("created", 1, "made in February, the Bundle in June"),
        ("started", 1, "StudyDate is the day on which the KOS was made"),
        ("series[*].started", 2, "summer and winter time; two times of which the Bundle has one"),
        ("region[0]", 1, "the whole body in the KOS, head and neck in the Bundle"),
        ("series[*].body_site", 2, "as the region; the second with a SNOMED CT code under DCM"),
        ("procedure[0].text", 1, "the KOS has no procedure"),
        ("request[0].placer", 1, "the Bundle leaves the placer's order number out"),
        ("creator.*", 3, "another program and organisation"),
        ("series[*].url", 2, "another server"),
        ("series[*].location", 2, "another server; `ACME` in the Bundle is no UID"),
    ];
    let rows: Vec<_> = same.into_iter().chain(hand).collect();
    assert_explained("Bundle and KOS by hand", &fhir, &one, &rows);
}
