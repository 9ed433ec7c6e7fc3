//! What steers a search and is no criterion: `_count`, `_sort`, `_total`, `_summary`,
//! `_elements`, `_include`, `_revinclude`, and the place where a page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::outcome::{Failure, Result};
use super::super::subset::Subset;
use super::super::table::{Resource, ResourceRow};
use super::Handling;
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
            _ => match read_cursor(value) {
                Some(after) => self.after = Some(after),
                None => return wrong("is not one that this server gave".to_owned()),
            },
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

/// Opaque to clients. It names the last entry of a page and what it was sorted by, so that the
/// next page begins at the same place whatever was written in between; by its logical id,
/// because the store's number would tell how many rows there are that the client may not see.
pub(crate) fn cursor(after: &str, key: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("1{after}.{key}"))
}

fn read_cursor(text: &str) -> Option<(String, i64)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (id, key) = std::str::from_utf8(&bytes).ok()?.strip_prefix('1')?.split_once('.')?;
    let is_id = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    Some((is_id.then(|| id.to_owned())?, key.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Control, cursor, read_cursor};
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
            ("_cursor", "x"),
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
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(read_cursor(&cursor(id, -7)), Some((id.to_owned(), -7)));
    }
}
