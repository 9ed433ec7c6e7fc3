//! A table read as a description: whatever cannot be read is named, left out, and hides nothing else.

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{Lines, MOST, key_at};
use crate::catalogue::description::Description;

/// Names under which people type what is computed, and what it is.
const COMPUTED: &[(&[&str], &str)] = &[
    (
        &["number_of_records", "numberOfRecords", "records", "studies", "number_of_studies"],
        "the number of records (studies)",
    ),
    (
        &[
            "number_of_individuals",
            "number_of_unique_individuals",
            "numberOfUniqueIndividuals",
            "individuals",
            "patients",
            "number_of_patients",
        ],
        "the number of individuals",
    ),
    (&["images", "instances", "number_of_images", "number_of_series"], "the number of images"),
    (&["bytes", "byte_size", "byteSize", "size"], "the size"),
    (
        &[
            "min_age",
            "max_age",
            "ages",
            "age_range",
            "min_typical_age",
            "max_typical_age",
            "minTypicalAge",
            "maxTypicalAge",
        ],
        "the range of ages",
    ),
    (&["sex", "sexes", "sex_ratio"], "the counts per sex"),
    (&["modality", "modalities"], "the modalities"),
    (&["body_site", "body_sites", "body_parts"], "the body sites"),
    (&["manufacturer", "manufacturers"], "the manufacturers"),
    (&["temporal", "temporal_coverage", "start_date", "end_date"], "the temporal coverage"),
    (&["code_values", "hasCodeValues"], "the code values"),
    (&["variables", "has_variables", "hasVariables", "columns"], "the variables"),
    (
        &["structured", "has_structured_data", "hasStructuredData"],
        "whether the data are structured",
    ),
    (&["modified"], "the modification date"),
];

impl Lines<'_> {
    /// The description without what cannot be read of it, each with its refusal; `None`: there is
    /// nothing to go on with.
    pub(super) fn typed(&mut self) -> Option<Description> {
        let mut table: Table = toml::from_str(self.text).ok()?;
        for key in self.computed() {
            remove(&mut table, &key);
            self.left_out.push(key);
        }
        for _ in 0..MOST {
            let text = toml::to_string(&table).ok()?;
            let failure = match toml::from_str::<Description>(&text) {
                Ok(description) => return Some(description),
                Err(failure) => failure,
            };
            let root = DeTable::parse(&text).ok()?.into_inner();
            let place = failure.span().map_or(0, |span| span.start);
            let key = key_at(&root, place).filter(|key| remove(&mut table, key));
            let Some(key) = key else {
                self.broken(&failure, SCHEMA);
                return None;
            };
            let own = self.in_the_text(&key);
            self.unreadable(&own, &failure);
            if let Some((list, place)) = own.rsplit_once('.')
                && let Ok(place) = place.parse()
            {
                self.gaps.push((list.to_owned(), place));
                self.gaps.sort();
            }
            self.left_out.push(own);
        }
        None
    }

    /// The key as the text has it: items before it may have been left out.
    pub(super) fn in_the_text(&self, key: &str) -> String {
        let mut own = String::with_capacity(key.len());
        for part in key.split('.') {
            let place = part.parse::<usize>().map(|place| {
                let gaps = self.gaps.iter().filter(|(list, _)| *list == own);
                gaps.fold(place, |place, (_, gap)| place + usize::from(*gap <= place))
            });
            if !own.is_empty() {
                own.push('.');
            }
            match place {
                Ok(place) => own.push_str(&place.to_string()),
                Err(_) => own.push_str(part),
            }
        }
        own
    }

    /// Refuses what is computed and was typed; the keys.
    fn computed(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(root) = &self.root {
            for (name, value) in root {
                let name = name.get_ref().as_ref();
                found.push(name.to_owned());
                if name != "distribution" {
                    continue;
                }
                if let DeValue::Array(items) = value.get_ref() {
                    for (place, item) in items.iter().enumerate() {
                        if let DeValue::Table(inner) = item.get_ref() {
                            found.extend(
                                inner
                                    .keys()
                                    .map(|key| format!("distribution.{place}.{}", key.get_ref())),
                            );
                        }
                    }
                }
            }
        }
        let mut typed = Vec::new();
        for key in found {
            let last = key.rsplit('.').next().unwrap_or_default();
            if last == "modified" && key.starts_with("distribution.") {
                // Of the file that one downloads, which no archive knows.
                continue;
            }
            let what = COMPUTED.iter().find(|(names, _)| names.contains(&last));
            if let Some((_, what)) = what {
                self.refuse(
                    &key,
                    &format!("{what} is computed from the archive and never typed"),
                    "remove the key; `[selection]` decides what is counted",
                );
                typed.push(key);
            }
        }
        typed
    }
}

/// What helps with a key that cannot be read.
pub(super) const SCHEMA: &str = "see the JSON Schema of descriptions for every key";

/// Takes a dotted key out; whether it was there.
fn remove(table: &mut Table, key: &str) -> bool {
    let (above, last) = match key.rsplit_once('.') {
        None => return table.remove(key).is_some(),
        Some(parts) => parts,
    };
    let mut parts = above.split('.');
    let mut value = parts.next().and_then(|first| table.get_mut(first));
    for part in parts {
        value = match value {
            Some(Value::Table(table)) => table.get_mut(part),
            Some(Value::Array(items)) => {
                part.parse().ok().and_then(|place: usize| items.get_mut(place))
            }
            _ => None,
        };
    }
    match value {
        Some(Value::Table(table)) => table.remove(last).is_some(),
        Some(Value::Array(items)) => {
            let place = last.parse::<usize>().ok().filter(|place| *place < items.len());
            place.map(|place| items.remove(place)).is_some()
        }
        _ => false,
    }
}
