//! References (FHIR R4 search, 3.1.1.4.11): `id`, `Type/id`, an absolute URL.

use super::unescape;

/// What a value points at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reference {
    /// Something of this server: the type, if it is told, and the id.
    Local(Option<String>, String),
    /// Something elsewhere: only what clients wrote points there.
    Foreign(String),
}

impl Reference {
    /// Reads one value. `kind` is the type that a modifier names.
    pub(crate) fn parse(raw: &str, base: &str, kind: Option<&str>) -> Result<Self, String> {
        let text = unescape(raw);
        let relative = match text.strip_prefix(base) {
            Some(rest) if rest.starts_with('/') => &rest[1..],
            _ if text.contains("://") || text.starts_with("urn:") => {
                return Ok(Self::Foreign(text));
            }
            _ => text.as_str(),
        };
        // A version does not narrow what is pointed at: references here carry none.
        let relative = relative.split("/_history/").next().unwrap_or(relative);
        let (found, id) = match relative.split_once('/') {
            None => (None, relative),
            Some((found, id)) => (Some(found), id),
        };
        let is_id = !id.is_empty()
            && id.len() <= 64
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        let is_type = found.is_none_or(|found| {
            found.starts_with(|first: char| first.is_ascii_uppercase())
                && found.bytes().all(|b| b.is_ascii_alphanumeric())
        });
        if !is_id || !is_type {
            return Err(format!("`{text}` is neither an id nor `Type/id` nor a URL"));
        }
        match (found, kind) {
            (Some(found), Some(kind)) if found != kind => {
                Err(format!("`{text}` is no {kind}, which the modifier asks for"))
            }
            _ => Ok(Self::Local(found.or(kind).map(str::to_owned), id.to_owned())),
        }
    }

    /// The id, if the reference can point at this type here.
    pub(crate) fn id_of(&self, kind: &str) -> Option<&str> {
        match self {
            Self::Local(None, id) => Some(id),
            Self::Local(Some(found), id) if found == kind => Some(id),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn the_forms_of_a_reference_point_at_the_same_thing() {
        let base = "https://a.example/fhir";
        for raw in ["1", "Patient/1", "https://a.example/fhir/Patient/1", "Patient/1/_history/2"] {
            let found = Reference::parse(raw, base, None).unwrap();
            assert_eq!(found.id_of("Patient"), Some("1"), "{raw}");
        }
        for raw in ["https://b.example/fhir/Patient/1", "urn:uuid:1", "Device/1"] {
            let found = Reference::parse(raw, base, None).unwrap();
            assert_eq!(found.id_of("Patient"), None, "{raw}");
        }
        assert_eq!(Reference::parse("1", base, Some("Device")).unwrap().id_of("Patient"), None);
        for wrong in ["", "Patient/", "patient/1", "a b", "Patient/1/2"] {
            assert!(Reference::parse(wrong, base, None).is_err(), "{wrong}");
        }
        assert!(Reference::parse("Device/1", base, Some("Patient")).is_err());
    }
}
