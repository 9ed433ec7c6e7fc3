//! Why an input was quarantined, and what an operator can do: one row per reason code.

use super::tongue::Tongue;

/// A row of the table.
pub(super) struct Reason {
    pub code: &'static str,
    pub meaning: &'static str,
    pub remedy: &'static str,
}

macro_rules! reasons {
    ($($code:literal: $meaning:literal / $remedy:literal;)*) => {
        const REASONS: &[Reason] = &[
            $(Reason { code: $code, meaning: $meaning, remedy: $remedy },)*
        ];
    };
}

reasons! {
    "unreadable": "The file could not be opened or read."
        / "Check the file’s permissions and the disk, then read it again.";
    "truncated": "The file ends inside its attributes."
        / "Fetch the file again from its source: the copy is incomplete.";
    "length-beyond-end": "An attribute claims to be longer than what is left of the file."
        / "Fetch the file again; if it stays so, the sending device writes wrong lengths.";
    "length-undefined": "An attribute that cannot have an undefined length has one."
        / "Have the sending device corrected, or export the file again.";
    "item-expected": "A sequence holds something that is no item."
        / "Fetch the file again; if it stays so, the sending device writes damaged sequences.";
    "delimiter-unexpected": "An item or sequence ends where none began."
        / "Fetch the file again; if it stays so, the sending device writes damaged sequences.";
    "too-deep": "Sequences are nested deeper than any real object nests them."
        / "Treat the file as suspect; real objects stay far below the limit of 64 levels.";
    "too-many-elements": "The file has more attributes than any real object has."
        / "Treat the file as suspect.";
    "too-large": "An answer or a data set exceeds the allowed size."
        / "Look at the object in its archive; it is not what an imaging object looks like.";
    "deflate-damaged": "The compressed data set cannot be unpacked."
        / "Fetch the file again from its source.";
    "deflate-bomb": "The compressed data set unpacks to far more than its size."
        / "Treat the file as suspect.";
    "media-directory": "The file is a DICOMDIR: a table of contents, no object."
        / "None is needed.";
    "uid-missing": "It does not say which study, series or object it is."
        / "Correct the UIDs in the archive and export again.";
    "uid-invalid": "A UID is no DICOM unique identifier (PS3.5 section 9.1)."
        / "Correct the UIDs in the archive and export again.";
    "sop-class-missing": "It does not say what kind of object it is."
        / "Correct SOPClassUID in the source.";
    "row-broken": "A row of the table cannot be read."
        / "Correct the row; the offset is its number.";
    "count-broken": "The number of instances in a row is no count."
        / "Correct the row; the offset is its number.";
    "left-out-by-mapping": "A rule of the table’s mapping leaves the row out."
        / "None is needed if the rule is meant; otherwise change it in the mapping file.";
    "key-twice": "Two rows of a clinical table have the same key."
        / "Correct the key in one of them, or let `identity.key` of the mapping name more columns.";
    "row-empty": "A row of a clinical table says nothing that its mapping reads."
        / "None is needed if that is so; otherwise correct the row or the mapping.";
    "identity-missing": "A row of a clinical table does not say whom it is about."
        / "Complete the row, then import the table again.";
    "study-of-another-patient": "A row names a study that belongs to another patient than the row."
        / "Correct the patient or the study in the row, then import the table again.";
    "study-ambiguous": "A row names a study by something that several studies have."
        / "Name the study by its Study Instance UID, then import the table again.";
    "code-unknown": "A cell holds a word that the mapping has no code for."
        / "Correct the cell, or add the word to the mapping’s table of codes.";
    "date-broken": "A cell is no date as the mapping says that they are written."
        / "Correct the cell, or the format in the mapping.";
    "number-broken": "A cell is no number."
        / "Correct the cell, then import the table again.";
    "number-out-of-bounds": "A number is beyond what the mapping takes for possible."
        / "Correct the cell, or the bounds in the mapping.";
    "resource-invalid": "What a row becomes does not hold to its profile."
        / "Correct the row or the mapping; the detail says which element and rule.";
    "not-kept": "What a row becomes was refused when it was to be kept."
        / "The detail says why; correct it, then import the table again.";
    "worker-died": "Reading the file ended the process that read it; only this file is affected."
        / "Treat the file as suspect, and report it to the makers of vesalius.";
    "worker-timeout": "Reading the file took longer than allowed."
        / "Treat the file as suspect, or raise `ingest.worker_cpu_seconds`.";
    "wrong-part": "The server answered with another object than was asked for."
        / "Look at the study in the PACS; rebuild its index there.";
    "not-served": "The server lists the object but does not serve it."
        / "Look at the study in the PACS; its file may be missing or damaged there.";
    "not-dicom-json": "The server’s answer is no DICOM JSON."
        / "Check the address of the DICOMweb service and its credentials.";
    "json-broken": "The server’s answer breaks off or is no valid JSON."
        / "Read it again; if it stays so, look at the study in the PACS.";
    "no-answer": "The server did not answer."
        / "Check that the PACS is up and reachable, then run the ingest again.";
}

/// The row of a code; codes of a newer version get a general one.
fn reason(code: &str) -> &'static Reason {
    const OTHER: Reason = Reason {
        code: "",
        meaning: "The input cannot be used.",
        remedy: "Read the detail, mend the input at its source and read it again.",
    };
    REASONS.iter().find(|row| row.code == code).unwrap_or(&OTHER)
}

/// Every code.
#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    REASONS.iter().map(|row| row.code)
}

/// What a code means and what can be done, in a language.
pub(super) fn explained(code: &str, tongue: &'static Tongue) -> (&'static str, &'static str) {
    let row = reason(code);
    let key = if row.code.is_empty() { "other" } else { row.code };
    match tongue.explained("quarantine", key) {
        Some(own) => (&own.meaning, &own.remedy),
        None => (row.meaning, row.remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::{REASONS, reason};

    #[test]
    fn codes_stand_once_and_unknown_ones_get_advice() {
        let mut codes: Vec<_> = REASONS.iter().map(|row| row.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), REASONS.len());
        assert!(reason("of-tomorrow").remedy.contains("detail"));
    }
}
