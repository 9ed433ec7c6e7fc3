//! What an address below `/dicom-web` names (PS3.18 sections 10.4.1 and 10.6.1).

use super::problem::{Failure, Result};
use crate::imaging::Uid;

/// Frames that one request may ask for.
const MOST_FRAMES: usize = 10_000;
/// Parts of the way to a value: sequences nest at most 64 deep.
const MOST_STEPS: usize = 130;

/// The level of a search.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    Study,
    Series,
    Instance,
}

/// Which objects.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Target {
    pub(super) study: Option<Uid>,
    pub(super) series: Option<Uid>,
    pub(super) instance: Option<Uid>,
}

impl Target {
    /// The path below a base.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        let parts =
            [("studies", &self.study), ("series", &self.series), ("instances", &self.instance)];
        for (word, uid) in parts {
            if let Some(uid) = uid {
                path.push_str(if path.is_empty() { "" } else { "/" });
                path.push_str(&format!("{word}/{uid}"));
            }
        }
        path
    }
}

/// What of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum What {
    Search(Level),
    Objects,
    Metadata,
    /// Frames, counted from 1.
    Frames(Vec<u32>),
    /// The parts of the path behind `bulkdata`.
    Bulk(Vec<String>),
    /// With the frames, if they are named.
    Rendered(Option<Vec<u32>>),
}

/// An address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address {
    pub(super) target: Target,
    pub(super) what: What,
}

impl Address {
    pub(super) fn parse(path: &str) -> Result<Self> {
        let rest = path.strip_prefix("/dicom-web/").unwrap_or_default();
        let parts: Vec<&str> = rest.strip_suffix('/').unwrap_or(rest).split('/').collect();
        let mut target = Target::default();
        let what = match parts.as_slice() {
            ["studies"] => What::Search(Level::Study),
            ["series"] => What::Search(Level::Series),
            ["instances"] => What::Search(Level::Instance),
            ["studies", study, rest @ ..] => {
                target.study = Some(uid("Study", study)?);
                match rest {
                    ["series"] => What::Search(Level::Series),
                    ["instances"] => What::Search(Level::Instance),
                    ["series", series, rest @ ..] => {
                        target.series = Some(uid("Series", series)?);
                        match rest {
                            ["instances"] => What::Search(Level::Instance),
                            ["instances", instance, rest @ ..] => {
                                target.instance = Some(uid("SOP", instance)?);
                                of_instance(rest)?
                            }
                            _ => of_any(rest)?,
                        }
                    }
                    _ => of_any(rest)?,
                }
            }
            _ => return Err(unknown()),
        };
        Ok(Self { target, what })
    }
}

fn unknown() -> Failure {
    Failure::not_found(
        "there is no such address: `studies`, `series` and `instances` are searched; \
         `studies/UID[/series/UID[/instances/UID]]` is retrieved, with `metadata`, and of an \
         instance with `frames/N`, `bulkdata/TAG` and `rendered`",
    )
}

fn uid(kind: &str, text: &str) -> Result<Uid> {
    // Not trimmed: what a path holds is what is meant.
    Uid::parse_lenient(text).ok().filter(|uid| uid.as_str() == text).ok_or_else(|| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(70).collect();
        Failure::bad(format!(
            "`{shown}` is no {kind} Instance UID: digits and dots, at most 64 (PS3.5 section 9.1)"
        ))
    })
}

fn of_any(rest: &[&str]) -> Result<What> {
    match rest {
        [] => Ok(What::Objects),
        ["metadata"] => Ok(What::Metadata),
        ["rendered"] => Ok(What::Rendered(None)),
        _ => Err(unknown()),
    }
}

fn of_instance(rest: &[&str]) -> Result<What> {
    match rest {
        ["frames", list] => Ok(What::Frames(frames(list)?)),
        ["frames", list, "rendered"] => Ok(What::Rendered(Some(frames(list)?))),
        ["bulkdata", way @ ..] if !way.is_empty() && way.len() <= MOST_STEPS => {
            let is_step = |step: &&str| {
                (1..=128).contains(&step.len())
                    && step.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                    && step.bytes().any(|b| b.is_ascii_alphanumeric())
            };
            if way.iter().all(is_step) {
                Ok(What::Bulk(way.iter().map(|step| (*step).to_owned()).collect()))
            } else {
                Err(Failure::bad(
                    "the way to a value is written as `metadata` gives it: tags, and item numbers \
                     between them",
                ))
            }
        }
        _ => of_any(rest),
    }
}

fn frames(list: &str) -> Result<Vec<u32>> {
    let wrong = || {
        Failure::bad("a list of frames is numbers from 1 with commas between them, such as `1,2,5`")
    };
    // A comma may be escaped.
    let list = list.replace("%2C", ",").replace("%2c", ",");
    let mut numbers = Vec::new();
    for number in list.split(',') {
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: u32 = number.parse().map_err(|_| wrong())?;
        if number == 0 {
            return Err(wrong());
        }
        if numbers.len() == MOST_FRAMES {
            return Err(Failure::bad(format!("more than {MOST_FRAMES} frames in one request")));
        }
        numbers.push(number);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::{Address, Level, What};

    fn what(path: &str) -> Option<What> {
        Address::parse(path).ok().map(|address| address.what)
    }

    #[test]
    fn addresses_are_those_of_the_standard() {
        for (path, expected) in [
            ("/dicom-web/studies", What::Search(Level::Study)),
            ("/dicom-web/studies/", What::Search(Level::Study)),
            ("/dicom-web/series", What::Search(Level::Series)),
            ("/dicom-web/studies/1.2/instances", What::Search(Level::Instance)),
            ("/dicom-web/studies/1.2", What::Objects),
            ("/dicom-web/studies/1.2/metadata", What::Metadata),
            ("/dicom-web/studies/1.2/series/1.3/rendered", What::Rendered(None)),
            ("/dicom-web/studies/1.2/series/1.3/instances/1.4", What::Objects),
            (
                "/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/1,7",
                What::Frames(vec![1, 7]),
            ),
            (
                "/dicom-web/studies/1.2/series/1.3/instances/1.4/bulkdata/00880200/1/7FE00010",
                What::Bulk(["00880200", "1", "7FE00010"].map(str::to_owned).to_vec()),
            ),
        ] {
            assert_eq!(what(path), Some(expected), "{path}");
        }
        let path = "studies/1.2/series/1.3/instances/1.4";
        let address = Address::parse(&format!("/dicom-web/{path}/metadata")).unwrap();
        assert_eq!(address.target.path(), path);
    }

    #[test]
    fn nothing_else_is_an_address() {
        for path in [
            "/dicom-web",
            "/dicom-web/",
            "/dicom-webstudies",
            "/dicom-web/patients",
            "/dicom-web//studies",
            "/dicom-web/studies/..",
            "/dicom-web/studies/%2e%2e",
            "/dicom-web/studies/1.2%00",
            "/dicom-web/studies/1.2 ",
            "/dicom-web/studies/1.2/frames/1",
            "/dicom-web/studies/1.2/bulkdata/7FE00010",
            "/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/0",
            "/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/1,,2",
            "/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/99999999999",
            "/dicom-web/studies/1.2/series/1.3/instances/1.4/bulkdata",
            "/dicom-web/studies/1.2/series/1.3/instances/1.4/bulkdata/..",
            "/dicom-web/studies/1.2/series/1.3/instances/1.4/bulkdata/%2e%2e",
            "/dicom-web/studies/1.2/series/1.3/instances/1.4/bulkdata/a//b",
        ] {
            assert_eq!(what(path), None, "{path}");
        }
    }
}
