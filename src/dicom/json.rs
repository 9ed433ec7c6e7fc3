//! DICOM JSON (PS3.18 Annex F) into the same records that files give.

use crate::imaging::Record;
use crate::source::Quarantine;

/// One instance's metadata, as WADO-RS `/metadata` serves it, by the table and rules of files.
///
/// # Errors
/// Why the instance cannot be used.
pub fn record_from_json(
    _instance: &serde_json::Map<String, serde_json::Value>,
    _origin: &str,
) -> Result<Record, Quarantine> {
    Err(Quarantine {
        code: "not-built".to_owned(),
        path: String::new(),
        offset: None,
        detail: "DICOM JSON is read by the next commit".to_owned(),
    })
}
