//! What steers a search and is no criterion: `_count`, `_sort`, `_total`, `_summary`,
//! `_elements`, `_include`, `_revinclude`, and the place where a page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::outcome::{Failure, Result};
use super::super::subset::Subset;
use super::super::table::{Resource, ResourceRow};
use super::Handling;
use crate::imaging::keyed;
use crate::index::Sort;

/// Entries of a page that asks for no number.
const PAGE: usize = 20;
/// Entries of the largest page.
const LARGEST: usize = 1_000;

/// The name of the parameter of next links.
pub(crate) const CURSOR: &str = "_cursor";

/// How a search is answered.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) count: usize,
    pub(crate) is_count_only: bool,
    pub(crate) sort: Sort,
    pub(crate) has_total: bool,
    pub(crate) subset: Subset,
    pub(crate) include: Vec<Target>,
    pub(crate) revinclude: Vec<Target>,
    /// As the client sent it.
    pub(crate) cursor: Option<String>,
    /// The logical id of the last entry of the page before, and what it was sorted by.
    pub(crate) after: Option<(String, i64)>,
}

/// What an `_include` brings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Patient,
    Endpoint,
    Organization,
    /// By `_revinclude`.
    Studies,
}

impl Target {
    /// The type that it brings.
    pub(crate) const fn resource(self) -> Resource {
        match self {
            Self::Patient => Resource::Patient,
            Self::Endpoint => Resource::Endpoint,
            Self::Organization => Resource::Organization,
            Self::Studies => Resource::ImagingStudy,
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self {
            count: PAGE,
            is_count_only: false,
            sort: Sort::Arrival,
            has_total: true,
            subset: Subset::Whole,
            include: Vec::new(),
            revinclude: Vec::new(),
            cursor: None,
            after: None,
        }
    }
}

/// Whether a parameter of this name steers.
pub(crate) fn is_control(name: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    ["_count", "_sort", "_total", "_summary", "_elements", "_include", "_revinclude", CURSOR]
        .contains(&name)
}

impl Control {
    /// Takes one parameter; `Ok(false)`: it was ignored, as lenient handling allows.
    pub(crate) fn take(
        &mut self,
        row: &ResourceRow,
        name: &str,
        value: &str,
        handling: Handling,
    ) -> Result<bool> {
        let wrong = |reason: String| Err(Failure::parameter(name, reason));
        // What the server does not do is refused or ignored, as the client prefers.
        let unsupported = |reason: String| match handling {
            Handling::Strict => Err(Failure::parameter(name, reason)),
            Handling::Lenient => Ok(false),
        };
        let (plain, modifier) = match name.split_once(':') {
            None => (name, None),
            Some((plain, modifier)) => (plain, Some(modifier)),
        };
        if let Some(modifier) = modifier
            && !(["_include", "_revinclude"].contains(&plain)
                && ["iterate", "recurse"].contains(&modifier))
        {
            return wrong(format!("there is no modifier `{modifier}`"));
        }
        match plain {
            "_count" => match value.parse::<usize>() {
                Ok(0) => self.is_count_only = true,
                Ok(count) => self.count = count.min(LARGEST),
                Err(_) => return wrong(format!("`{value}` is no number of entries")),
            },
            "_total" => match value {
                "none" => self.has_total = false,
                "estimate" | "accurate" => self.has_total = true,
                _ => return wrong(format!("`{value}` is not none, estimate or accurate")),
            },
            "_summary" => match value {
                "true" => self.subset = Subset::Summary,
                "text" => self.subset = Subset::Text,
                "data" => self.subset = Subset::Data,
                "count" => self.is_count_only = true,
                "false" => {}
                _ => return wrong(format!("`{value}` is not true, text, data, count or false")),
            },
            "_elements" => {
                let names: Vec<String> =
                    value.split(',').map(|name| name.trim().to_owned()).collect();
                let is_name = |name: &String| {
                    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric())
                };
                if !names.iter().all(is_name) {
                    return wrong(format!("`{value}` is no list of elements of the resource"));
                }
                self.subset = Subset::Elements(names);
            }
            "_sort" => {
                let mut keys = value.split(',');
                let key = keys.next().unwrap_or("");
                let (descending, key) = match key.strip_prefix('-') {
                    Some(key) => (true, key),
                    None => (false, key),
                };
                if !row.sort.iter().any(|known| known == key) {
                    let known = match row.sort.join("`, `") {
                        none if none.is_empty() => "nothing".to_owned(),
                        known => format!("`{known}`"),
                    };
                    return unsupported(format!("sorts by {known}, not by `{key}`"));
                }
                if keys.next().is_some() {
                    return unsupported("sorts by one key".to_owned());
                }
                self.sort = match key {
                    "started" => Sort::Started { descending },
                    _ => Sort::Updated { descending },
                };
            }
            "_include" => match included(row.resource, value) {
                Some(targets) => self.include.extend(targets),
                None => {
                    let known = row.include.join("`, `");
                    return unsupported(format!("`{value}` is not one of `{known}`"));
                }
            },
            "_revinclude" => match reverse_included(row.resource, value) {
                Some(target) => self.revinclude.push(target),
                None => {
                    let known = row.revinclude.join("`, `");
                    return unsupported(format!("`{value}` is not one of `{known}`"));
                }
            },
            _ => self.cursor = Some(value.to_owned()),
        }
        Ok(true)
    }
}

/// Includes by the rows' names; a third part may name the target's type. `*`: all of them.
fn included(resource: Resource, value: &str) -> Option<Vec<Target>> {
    let mut parts = value.split(':');
    let (source, name, target) = (parts.next()?, parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    let targets = match (source, name) {
        ("*", None) => match resource {
            Resource::ImagingStudy => vec![Target::Patient, Target::Endpoint],
            Resource::Endpoint => vec![Target::Organization],
            Resource::Organization => vec![Target::Endpoint],
            Resource::Patient => Vec::new(),
        },
        ("ImagingStudy", Some("patient" | "subject")) => vec![Target::Patient],
        ("ImagingStudy", Some("endpoint")) => vec![Target::Endpoint],
        ("Endpoint", Some("organization")) => vec![Target::Organization],
        ("Organization", Some("endpoint")) => vec![Target::Endpoint],
        _ => return None,
    };
    let name_of = |of: &Target| match of {
        Target::Patient => "Patient",
        Target::Endpoint => "Endpoint",
        Target::Organization => "Organization",
        Target::Studies => "ImagingStudy",
    };
    let keeps = |of: &Target| target.is_none_or(|target| target == name_of(of));
    let kept: Vec<Target> = targets.into_iter().filter(keeps).collect();
    // What does not start from this resource, or from one that it includes, brings nothing.
    let starts = match (resource, source) {
        (_, "*") => true,
        (Resource::ImagingStudy, "Endpoint") => true,
        (resource, source) => resource.name() == source,
    };
    starts.then_some(kept)
}

fn reverse_included(resource: Resource, value: &str) -> Option<Target> {
    match (resource, value) {
        (
            Resource::Patient,
            "ImagingStudy:patient"
            | "ImagingStudy:subject"
            | "ImagingStudy:subject:Patient"
            | "ImagingStudy:patient:Patient",
        ) => Some(Target::Studies),
        (Resource::Organization, "Endpoint:organization") => Some(Target::Endpoint),
        _ => None,
    }
}

/// How much of the seal a cursor carries.
const SEAL: usize = 16;

/// Opaque to clients. It names the last entry of a page and what it was sorted by, so that the
/// next page begins at the same place whatever was written in between; by its logical id,
/// because the store's number would tell how many rows there are that the client may not see.
/// The seal ties it to the search and to who asks (`about`): a made-up cursor would ask whether
/// a hidden row exists.
pub(crate) fn cursor(key: &[u8], about: &str, after: &str, sorted_by: i64) -> String {
    let place = format!("{after}.{sorted_by}");
    let mut bytes = seal(key, about, &place).to_vec();
    bytes.extend_from_slice(place.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a cursor names, if this server gave it for this search to who asks.
pub(crate) fn open_cursor(key: &[u8], about: &str, text: &str) -> Result<(String, i64)> {
    let open = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (given, place) = bytes.split_at_checked(SEAL)?;
        let place = std::str::from_utf8(place).ok()?;
        let known = seal(key, about, place);
        // Every byte is looked at, so that time tells nothing of the first that differs.
        let difference = known.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        let (id, sorted_by) = place.split_once('.').filter(|_| difference == 0)?;
        Some((id.to_owned(), sorted_by.parse().ok()?))
    };
    open().ok_or_else(foreign_cursor)
}

/// The one answer to every cursor that cannot be used.
pub(crate) fn foreign_cursor() -> Failure {
    Failure::parameter(CURSOR, "is not one that this server gave for this search; search again")
}

fn seal(key: &[u8], about: &str, place: &str) -> [u8; SEAL] {
    let whole = keyed(key, format!("{}\n{about}\n{place}", about.len()).as_bytes());
    let mut seal = [0; SEAL];
    seal.copy_from_slice(&whole[..SEAL]);
    seal
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::{Control, cursor, open_cursor};
    use crate::fhir::search::Handling;
    use crate::fhir::subset::Subset;
    use crate::fhir::table::{Resource, Table};

    fn take(name: &str, value: &str, handling: Handling) -> Result<(bool, Control), ()> {
        let table = Table::load(None).unwrap();
        let mut control = Control::default();
        let row = table.row(Resource::ImagingStudy);
        let taken = control.take(row, name, value, handling).map_err(|_| ())?;
        Ok((taken, control))
    }

    #[test]
    fn what_is_wrong_is_refused_and_what_is_not_done_is_left_to_the_client() {
        for (name, value) in [
            ("_count", "many"),
            ("_count", "-1"),
            ("_total", "yes"),
            ("_summary", "all"),
            ("_elements", "a b"),
            ("_elements", ""),
            ("_count:exact", "1"),
        ] {
            assert!(take(name, value, Handling::Lenient).is_err(), "{name}={value}");
        }
        for (name, value) in [
            ("_sort", "description"),
            ("_sort", "started,_id"),
            ("_include", "ImagingStudy:referrer"),
            ("_revinclude", "DiagnosticReport:imaging-study"),
        ] {
            assert!(take(name, value, Handling::Strict).is_err(), "{name}={value}");
            assert!(!take(name, value, Handling::Lenient).unwrap().0, "{name}={value}");
        }
        let (_, control) = take("_count", "100000", Handling::Strict).unwrap();
        assert_eq!(control.count, 1_000);
        let (_, control) = take("_elements", "id,identifier", Handling::Strict).unwrap();
        assert_eq!(
            control.subset,
            Subset::Elements(vec!["id".to_owned(), "identifier".to_owned()])
        );
    }

    #[test]
    fn a_cursor_opens_only_for_the_search_and_the_reader_it_was_given_to() {
        let id = "0123456789abcdef0123456789abcdef";
        let given = cursor(b"key", "about", id, -7);
        assert_eq!(open_cursor(b"key", "about", &given).unwrap(), (id.to_owned(), -7));
        let mut forged = URL_SAFE_NO_PAD.decode(&given).unwrap();
        forged[20] ^= 1;
        let forged = URL_SAFE_NO_PAD.encode(forged);
        for (key, about, text) in [
            (b"KEY", "about", given.as_str()),
            (b"key", "another", &given),
            (b"key", "about", &forged),
            (b"key", "about", &URL_SAFE_NO_PAD.encode(format!("1{id}.0"))),
            (b"key", "about", ""),
            (b"key", "about", "x"),
            (b"key", "about", "4711"),
        ] {
            assert!(open_cursor(key, about, text).is_err(), "{about} {text}");
        }
    }
}
