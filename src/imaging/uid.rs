//! DICOM unique identifiers.

use std::fmt;

/// A DICOM unique identifier (PS3.5 section 9.1): digits and dots, at most 64 characters.
#[derive(
    Clone, Debug, serde::Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize,
)]
#[serde(try_from = "Box<str>", into = "Box<str>")]
pub struct Uid(Box<str>);

/// The text is not a DICOM unique identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a DICOM unique identifier (PS3.5 section 9.1)")]
pub struct NotAUid(pub String);

impl Uid {
    /// DICOM pads odd-length UIDs with NUL, and real archives with spaces; both are dropped.
    ///
    /// # Errors
    /// When the text breaks PS3.5 section 9.1: an empty component, a leading zero, another
    /// character than a digit or a dot, or more than 64 characters.
    pub fn parse(text: &str) -> Result<Self, NotAUid> {
        let uid = text.trim_matches(['\0', ' ']);
        let component = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'))
        };
        if uid.len() <= 64 && uid.split('.').all(component) {
            Ok(Self(uid.into()))
        } else {
            Err(NotAUid(text.to_owned()))
        }
    }

    /// A UID that identifies although it breaks the letter of PS3.5 (a leading zero in a
    /// component is common in old archives, a hexadecimal hash in de-identified ones). It still
    /// fits FHIR's type `id` (`[A-Za-z0-9\-\.]{1,64}`), so nothing that is built from it is
    /// invalid, and it holds no character that a path or a URL gives a meaning to.
    ///
    /// # Errors
    /// When the text does not fit that type, or is of dots and hyphens alone.
    pub fn parse_lenient(text: &str) -> Result<Self, NotAUid> {
        let uid = text.trim_matches(['\0', ' ']);
        let usable = !uid.is_empty()
            && uid.len() <= 64
            && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
            && uid.bytes().any(|b| b.is_ascii_alphanumeric());
        if usable { Ok(Self(uid.into())) } else { Err(NotAUid(text.to_owned())) }
    }

    /// Whether the UID holds to the letter of PS3.5 section 9.1, and so is a valid OID.
    #[must_use]
    pub fn is_standard(&self) -> bool {
        Self::parse(&self.0).is_ok()
    }

    /// The UID as text, without padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The UID as a URI (RFC 3061): `urn:oid:1.2.840…`.
    #[must_use]
    pub fn to_urn(&self) -> String {
        format!("urn:oid:{}", self.0)
    }
}

impl TryFrom<Box<str>> for Uid {
    type Error = NotAUid;

    fn try_from(text: Box<str>) -> Result<Self, NotAUid> {
        Self::parse_lenient(&text)
    }
}

impl From<Uid> for Box<str> {
    fn from(uid: Uid) -> Self {
        uid.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Uid;

    #[test]
    fn uid_refuses_what_the_standard_refuses() {
        for broken in ["", "1..2", "1.02", "1.2.x", &"1".repeat(65)] {
            assert!(Uid::parse(broken).is_err(), "{broken:?} was accepted");
        }
    }

    #[test]
    fn padding_is_dropped() {
        assert_eq!(Uid::parse("1.2.3\0").unwrap().as_str(), "1.2.3");
        assert_eq!(Uid::parse("1.2.3 ").unwrap().as_str(), "1.2.3");
    }

    #[test]
    fn a_leading_zero_is_usable_but_not_standard() {
        let uid = Uid::parse_lenient("1.02.3").unwrap();
        assert!(!uid.is_standard());
        assert!(!Uid::parse_lenient("dbf60361338b6cb0").unwrap().is_standard());
        assert!(Uid::parse_lenient("../1.2").is_err());
        assert!(Uid::parse_lenient("...").is_err());
    }
}
