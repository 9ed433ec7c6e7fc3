//! What steers a search and is no criterion: `_count`, `_sort`, `_total`, `_summary`,
//! `_elements`, `_include`, `_revinclude`, and the place where a page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::outcome::{Failure, Result};
use super::super::subset::Subset;
use super::super::table::{Resource, ResourceRow};
use super::Handling;
use crate::imaging::keyed;

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
    /// `None`: the order of the type's provider, which is stable while writes go on.
    pub(crate) sort: Option<SortKey>,
    pub(crate) has_total: bool,
    pub(crate) subset: Subset,
    pub(crate) include: Vec<Include>,
    pub(crate) revinclude: Vec<Include>,
    /// As the client sent it.
    pub(crate) cursor: Option<String>,
    /// Where the page begins: one place per provider of the type, in their order; a provider that
    /// has given nothing yet has `None`.
    pub(crate) after: Option<Vec<Option<Place>>>,
}

/// What an `_include` or `_revinclude` follows: a reference parameter of a resource type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Include {
    /// The type whose references are followed.
    pub(crate) source: Resource,
    /// The name of the parameter.
    pub(crate) name: String,
    /// The one type of target that is wanted.
    pub(crate) target: Option<Resource>,
}

impl Include {
    /// Whether it follows a parameter of one of these names to that type.
    pub(crate) fn brings(&self, source: Resource, names: &[&str], target: Resource) -> bool {
        self.source == source
            && names.contains(&self.name.as_str())
            && self.target.is_none_or(|wanted| wanted == target)
    }

    /// Reads a value; `known` is what the row of the type that is searched lists, as
    /// `Source:parameter`. Nothing: none of them is of that name.
    fn parse(row: &ResourceRow, known: &[String], value: &str) -> Vec<Self> {
        let read = |value: &str| {
            let mut parts = value.split(':');
            let (source, name, target) = (parts.next()?, parts.next()?, parts.next());
            let is_known = known.iter().any(|one| *one == format!("{source}:{name}"));
            if !is_known || parts.next().is_some() {
                return None;
            }
            let target = match target {
                None => None,
                Some(target) => Some(Resource::parse(target)?),
            };
            Some(Self { source: Resource::parse(source)?, name: name.to_owned(), target })
        };
        if value == "*" {
            // What starts at the type that is searched.
            return known
                .iter()
                .filter_map(|known| read(known))
                .filter(|include| include.source == row.resource)
                .collect();
        }
        read(value).into_iter().collect()
    }
}

/// `_sort`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SortKey {
    /// One that the type's row lists.
    pub(crate) name: String,
    pub(crate) descending: bool,
}

/// The place where a page begins: behind this entry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    /// The logical id of the last entry of the page before.
    pub(crate) id: String,
    /// What it was sorted by.
    pub(crate) key: i64,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            count: PAGE,
            is_count_only: false,
            sort: None,
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
                self.sort = Some(SortKey { name: key.to_owned(), descending });
            }
            "_include" | "_revinclude" => {
                let is_reverse = plain == "_revinclude";
                let known = if is_reverse { &row.revinclude } else { &row.include };
                let found = Include::parse(row, known, value);
                // Nothing may start from a type of which nothing is listed.
                if found.is_empty() && (is_reverse || value != "*") {
                    let known = known.join("`, `");
                    return unsupported(format!("`{value}` is not one of `{known}`"));
                }
                (if is_reverse { &mut self.revinclude } else { &mut self.include }).extend(found);
            }
            _ => self.cursor = Some(value.to_owned()),
        }
        Ok(true)
    }
}

/// How much of the seal a cursor carries.
const SEAL: usize = 16;

/// Opaque to clients. It names the last entry of a page and what it was sorted by, so that the
/// next page begins at the same place whatever was written in between; by its logical id,
/// because the store's number would tell how many rows there are that the client may not see.
/// The seal ties it to the search and to who asks (`about`): a made-up cursor would ask whether
/// a hidden row exists.
pub(crate) fn cursor(key: &[u8], about: &str, places: &[Option<Place>]) -> String {
    let one = |place: &Option<Place>| match place {
        None => String::new(),
        Some(Place { id, key }) => format!("{id},{key}"),
    };
    let place = places.iter().map(one).collect::<Vec<_>>().join(";");
    let mut bytes = seal(key, about, &place).to_vec();
    bytes.extend_from_slice(place.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a cursor names, if this server gave it for this search to who asks.
pub(crate) fn open_cursor(key: &[u8], about: &str, text: &str) -> Result<Vec<Option<Place>>> {
    let open = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (given, place) = bytes.split_at_checked(SEAL)?;
        let place = std::str::from_utf8(place).ok()?;
        let known = seal(key, about, place);
        // Every byte is looked at, so that time tells nothing of the first that differs.
        let difference = known.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        if difference != 0 {
            return None;
        }
        let one = |text: &str| match text.split_once(',') {
            None => text.is_empty().then_some(None),
            Some((id, key)) => Some(Some(Place { id: id.to_owned(), key: key.parse().ok()? })),
        };
        place.split(';').map(one).collect()
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

    use super::{Control, Place, cursor, open_cursor};
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
            ("_include", "ImagingStudy:encounter"),
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
        let places = [Some(Place { id: id.to_owned(), key: -7 }), None];
        let given = cursor(b"key", "about", &places);
        assert_eq!(open_cursor(b"key", "about", &given).unwrap(), places);
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
