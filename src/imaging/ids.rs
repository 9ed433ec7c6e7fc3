//! Identifiers that vesalius derives.

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// A value by which a patient or a study is looked up in the store: nearly unique, so a row of
/// an indexed table and not a bitmap. Values are raw (no naming system), so that a change of the
/// configuration needs no rebuild; an edge compares the system on what was found.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Lookup {
    /// PatientID, and every other identifier of the patient.
    PatientIdentifier,
    /// A family name, folded by [`fold`].
    Family,
    /// A given name, folded by [`fold`].
    Given,
    /// Any part of a name, folded by [`fold`].
    Name,
    /// Birth date: `YYYYMMDD`.
    BirthDate,
    /// FHIR administrative gender.
    Gender,
    /// Accession number of a study.
    Accession,
    /// StudyID.
    StudyId,
    /// AdmissionID of the visit that a study was made in.
    Admission,
    /// Number of an order that a study answers, of who placed it and of who filled it.
    Order,
}

impl Lookup {
    /// The code in the store.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::PatientIdentifier => 1,
            Self::Family => 2,
            Self::Given => 3,
            Self::Name => 4,
            Self::BirthDate => 5,
            Self::Gender => 6,
            Self::Accession => 7,
            Self::StudyId => 8,
            Self::Admission => 9,
            Self::Order => 10,
        }
    }

    /// The codes of what patients are looked up by.
    pub const OF_PATIENT: &[i16] = &[1, 2, 3, 4, 5, 6];
    /// The codes of what studies are looked up by.
    pub const OF_STUDY: &[i16] = &[7, 8, 9, 10];
}

/// Text as strings are compared by (FHIR R4 search, string): without case, accents and other
/// marks, and with single spaces. `ß` becomes `ss`, final sigma becomes sigma.
#[must_use]
pub fn fold(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    use unicode_normalization::char::is_combining_mark;
    let folded: String = text
        .nfkd()
        .filter(|letter| !is_combining_mark(*letter))
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == 'ς' { 'σ' } else { letter })
        .collect();
    let folded = folded.replace('ß', "ss");
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of a text as they are looked for: folded, without punctuation, one space apart.
#[must_use]
pub fn fold_words(text: &str) -> String {
    let plain: String =
        fold(text).chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Under which logical ids somebody sees patients and studies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IdSpace {
    /// Care, and archives that are de-identified already.
    Care,
    /// Secondary use of an archive that names persons.
    Research,
}

impl IdSpace {
    /// What its key is derived from the node's key by.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Care => b"care",
            Self::Research => b"research",
        }
    }
}

/// The logical id of something known by `name`: 32 hexadecimal characters, a valid FHIR id.
///
/// The same for nodes that share `key`. Without the key nobody can compute it from the name, nor
/// find the name by trying all of them (a hospital's patient numbers are few), nor the id of one
/// space from that of the other.
#[must_use]
pub fn public_id(key: &[u8], space: IdSpace, kind: &str, name: &[&str]) -> String {
    let mut bytes = kind.as_bytes().to_vec();
    for part in name {
        // Lengths keep ("a", "bc") and ("ab", "c") apart.
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    let digest = keyed(&keyed(key, space.label()), &bytes);
    digest[..16].iter().fold(String::with_capacity(32), |mut id, byte| {
        for nibble in [byte >> 4, byte & 15] {
            id.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        id
    })
}

/// HMAC-SHA-256 (RFC 2104).
#[must_use]
pub fn keyed(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(bytes);
            mac.finalize().into_bytes().into()
        }
        // HMAC takes keys of any length; the error type exists for other constructions.
        Err(_) => Sha256::digest(bytes).into(),
    }
}

/// A hash of a SOPInstanceUID by which its series is found; a hit is compared by the UID.
#[must_use]
pub fn uid_hash(uid: &str) -> i64 {
    let digest = Sha256::digest(uid.as_bytes());
    let mut head = [0_u8; 8];
    head.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::{IdSpace, fold, fold_words, public_id};

    #[test]
    fn folding_drops_case_and_accents() {
        assert_eq!(fold("  Dvořáková  ŽOFIE "), "dvorakova zofie");
        assert_eq!(fold("Μαστός"), fold("ΜΑΣΤΟΣ"));
        assert_eq!(fold("Straße"), "strasse");
        assert_eq!(
            fold_words(" \"Lung  cancer\", (T1/T2) – low-dose"),
            "lung cancer t1 t2 low dose"
        );
        assert_eq!(fold_words("«Θώρακας»· ***"), "θωρακασ");
    }

    #[test]
    fn ids_tell_names_and_keys_apart() {
        let id = |key: &[u8], space, name: &[&str]| public_id(key, space, "Patient", name);
        let care = id(b"key", IdSpace::Care, &["a", "bc"]);
        assert_eq!(care.len(), 32);
        assert_ne!(care, id(b"key", IdSpace::Research, &["a", "bc"]));
        assert_ne!(care, id(b"other", IdSpace::Care, &["a", "bc"]));
        assert_ne!(care, id(b"key", IdSpace::Care, &["ab", "c"]));
        // Nobody who has the name only can make it.
        let unkeyed = b"Patient\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\x02bc";
        let digest: String = Sha256::digest(unkeyed).iter().map(|b| format!("{b:02x}")).collect();
        assert!(!digest.starts_with(&care));
    }
}
