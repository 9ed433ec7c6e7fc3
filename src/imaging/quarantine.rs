//! Why an input cannot be used.

/// Why an input could not be used.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Quarantine {
    /// Stable code in kebab case (`length-beyond-end`, `too-deep`, `worker-died`, …).
    pub code: String,
    /// Where in the data set: `(0040,A730)[2].(0008,0100)`, a column name, or empty.
    pub path: String,
    /// Byte offset in the file, or row number of a table, if known.
    pub offset: Option<u64>,
    /// What, in words an operator can act on; no patient data.
    pub detail: String,
}
