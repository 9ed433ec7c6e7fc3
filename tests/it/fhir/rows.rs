//! The rows of `mappings/dicom-imaging-study.toml` against the `dicom` mapping that
//! StructureDefinition/ImagingStudy itself carries.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_dictionary_std::StandardDataDictionary;
use vesalius::mapping::Tables;

/// Path of an element → keywords of the attributes that the official mapping names.
fn official(reference: &Path) -> BTreeMap<String, BTreeSet<String>> {
    // The snapshot of the HL7 Europe profile carries the mappings of its base, R4's ImagingStudy.
    let path = reference
        .join("eehrxf/hl7-eu-imaging-r4/profiles/StructureDefinition-ImagingStudyEuImaging.json");
    let definition: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let tag = regex::Regex::new(r"\(([0-9A-Fa-f]{4}), ?([0-9A-Fa-f]{4})\)").unwrap();
    let mut found = BTreeMap::new();
    for element in definition["snapshot"]["element"].as_array().unwrap() {
        if element["id"].as_str().unwrap().contains(':') {
            continue;
        }
        for mapping in element["mapping"].as_array().into_iter().flatten() {
            let map = mapping["map"].as_str().unwrap();
            if mapping["identity"] != "dicom" || !map.contains('(') {
                continue;
            }
            let keywords = tag.captures_iter(map).map(|tag| {
                let number = |at: usize| u16::from_str_radix(&tag[at], 16).unwrap();
                let tag = dicom_core::Tag(number(1), number(2));
                StandardDataDictionary
                    .by_tag(tag)
                    .map_or_else(|| format!("misprint {tag}"), |entry| entry.alias().to_owned())
            });
            found.insert(element["path"].as_str().unwrap().to_owned(), keywords.collect());
        }
    }
    found
}

#[test]
fn every_row_agrees_with_the_official_mapping_or_says_why_not() {
    let Some(reference) = std::env::var_os("VESALIUS_REFERENCE") else {
        eprintln!("skipped: VESALIUS_REFERENCE names no folder with the official definitions");
        return;
    };
    let official = official(Path::new(&reference));
    assert!(official.len() >= 20, "{official:?}");
    let mut rows: BTreeMap<String, (BTreeSet<String>, bool)> = BTreeMap::new();
    for element in &Tables::built_in().elements {
        let path = element.r4.replace("[]", "");
        if path.starts_with("ImagingStudy.") {
            let row = rows.entry(path).or_default();
            row.0.extend(element.dicom.iter().cloned());
            row.1 |= element.deviation.is_some();
        }
    }
    let mut wrong = Vec::new();
    for (path, keywords) in &official {
        match rows.get(path) {
            None if path == "ImagingStudy.subject" => {}
            None => wrong.push(format!("{path}: no row")),
            // `(0010/*)`: the whole patient level.
            Some(_) if path == "ImagingStudy.subject" => {}
            Some((ours, deviates)) if !deviates => {
                // Parts of a sequence need not be named beside it.
                let missing: Vec<_> = keywords
                    .difference(ours)
                    .filter(|keyword| !["TimezoneOffsetFromUTC"].contains(&keyword.as_str()))
                    .collect();
                if !missing.is_empty() {
                    wrong.push(format!("{path}: {missing:?} are left out without a reason"));
                }
                let surplus: Vec<_> = ours.difference(keywords).collect();
                if !surplus.is_empty() {
                    wrong.push(format!("{path}: {surplus:?} are added without a reason"));
                }
            }
            Some(_) => {}
        }
    }
    for (path, (ours, deviates)) in &rows {
        if !official.contains_key(path) && !ours.is_empty() && !deviates {
            wrong.push(format!("{path}: not in the official mapping, without a reason"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
