//! Metadata that pass through: data sets that the store knows, with addresses of ours.

use std::collections::HashSet;

use actix_web::web::Bytes;
use serde_json::{Map, Value};

use super::Flow;
use crate::dicomweb::locate::Located;
use crate::source::dicomweb::{DataSets, NoAnswer};

/// Data sets on their way.
pub(super) struct DataSetsOut {
    data_sets: DataSets,
    study: String,
    /// Series and instance.
    known: HashSet<(String, String)>,
    server: String,
    base: String,
    has_begun: bool,
    is_over: bool,
}

impl DataSetsOut {
    /// Of these data sets go on those that were located; addresses of bulk data below `server`
    /// become ones below `base`.
    pub(super) fn new(
        data_sets: DataSets,
        located: &Located,
        server: String,
        base: String,
    ) -> Self {
        let known = located
            .wanted
            .iter()
            .map(|wanted| (wanted.series.to_string(), wanted.instance.uid.to_string()))
            .collect();
        let study = located.study.to_string();
        Self { data_sets, study, known, server, base, has_begun: false, is_over: false }
    }
}

impl Flow for DataSetsOut {
    async fn next(&mut self) -> Result<Option<Bytes>, NoAnswer> {
        while !self.is_over {
            let Some(mut set) = self.data_sets.next().await? else {
                self.is_over = true;
                let end: &[u8] = if self.has_begun { b"]" } else { b"[]" };
                return Ok(Some(Bytes::copy_from_slice(end)));
            };
            let value = |tag: &str| {
                let text = set.get(tag)?.get("Value")?.get(0)?.as_str()?;
                Some(text.trim_end_matches(['\0', ' ']).to_owned())
            };
            let (study, series, instance) =
                (value("0020000D"), value("0020000E"), value("00080018"));
            let (Some(series), Some(instance)) = (series, instance) else { continue };
            let place = (series, instance);
            if study.as_ref() != Some(&self.study) || !self.known.contains(&place) {
                continue;
            }
            let path = format!("studies/{}/series/{}/instances/{}", self.study, place.0, place.1);
            // RetrieveURL is where the server is.
            set.remove("00081190");
            readdress(&mut set, &format!("{}/{path}/", self.server), &path, &self.base);
            let mut out = vec![if self.has_begun { b',' } else { b'[' }];
            self.has_begun = true;
            serde_json::to_writer(&mut out, &set).map_err(|_| NoAnswer::Broken)?;
            return Ok(Some(out.into()));
        }
        Ok(None)
    }
}

/// Addresses of bulk data below the instance become ours; others go. The depth was bounded when
/// the data set was cut out.
fn readdress(set: &mut Map<String, Value>, theirs: &str, path: &str, ours: &str) {
    for element in set.values_mut() {
        let Some(element) = element.as_object_mut() else { continue };
        if let Some(uri) = element.remove("BulkDataURI") {
            let uri = uri.as_str().unwrap_or_default();
            // Some servers give the path alone.
            let rest = uri
                .strip_prefix(theirs)
                .or_else(|| uri.split_once(&format!("/{path}/")).map(|(_, rest)| rest))
                .filter(|rest| {
                    rest.split('/').all(|step| {
                        (1..=128).contains(&step.len())
                            && step
                                .bytes()
                                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                            && step.bytes().any(|b| b.is_ascii_alphanumeric())
                    })
                });
            if let Some(rest) = rest {
                let uri = format!("{ours}/{path}/bulkdata/{rest}");
                element.insert("BulkDataURI".to_owned(), uri.into());
            }
        }
        for item in element.get_mut("Value").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(item) = item.as_object_mut() {
                readdress(item, theirs, path, ours);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::readdress;

    #[test]
    fn addresses_of_the_server_become_ours_or_go() {
        let path = "studies/1/series/2/instances/3";
        let mut set = json!({
            "7FE00010": {"vr": "OW", "BulkDataURI": "http://pacs/dw/studies/1/series/2/instances/3/bulk/7fe00010"},
            "00420011": {"vr": "OB", "BulkDataURI": "/x/studies/1/series/2/instances/3/bulk/1"},
            "00281201": {"vr": "OW", "BulkDataURI": "http://other/secret"},
            "00281202": {"vr": "OW", "BulkDataURI": "http://pacs/dw/studies/1/series/2/instances/3/../../9"},
            "00081140": {"vr": "SQ", "Value": [{"00020001": {"vr": "OB", "BulkDataURI": 7}}]},
        });
        let object = set.as_object_mut().unwrap();
        readdress(object, &format!("http://pacs/dw/{path}/"), path, "https://us/dicom-web");
        assert_eq!(
            set,
            json!({
                "7FE00010": {"vr": "OW", "BulkDataURI": format!("https://us/dicom-web/{path}/bulkdata/bulk/7fe00010")},
                "00420011": {"vr": "OB", "BulkDataURI": format!("https://us/dicom-web/{path}/bulkdata/bulk/1")},
                "00281201": {"vr": "OW"},
                "00281202": {"vr": "OW"},
                "00081140": {"vr": "SQ", "Value": [{"00020001": {"vr": "OB"}}]},
            })
        );
    }
}
