//! `eu-profiles.toml`: the packages, the profiles that rendered resources claim, the extensions of
//! several publishers for one thing, and what was decided where the sources disagree.

use schemars::JsonSchema;
use serde::Deserialize;

/// The file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    /// The packages that the canonical URLs are of.
    pub package: Vec<Package>,
    /// The profiles of rendered resources.
    pub profile: Vec<Profile>,
    /// The extensions that resources are written with.
    pub extension: Vec<Extension>,
    /// Where the sources disagree.
    pub conflict: Vec<Conflict>,
}

/// A package of an implementation guide.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its id.
    pub id: String,
    /// The version that the rows encode.
    pub version: String,
    /// The base of its canonical URLs.
    pub canonical: String,
}

/// A profile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The resource type.
    pub resource: String,
    /// The canonical URL.
    pub canonical: String,
    /// The id of its package.
    pub package: String,
    /// Whether `meta.profile` names it.
    pub is_claimed: bool,
    /// Why it is not claimed, or what to know.
    pub note: Option<String>,
}

/// An extension.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// What it says.
    pub name: ExtensionName,
    /// Who defines it: an option of the switch `extension-publishers`.
    pub publisher: String,
    /// Its URL.
    pub url: String,
}

/// What an extension says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum ExtensionName {
    /// The region of the body that a study covers.
    AnatomicalRegion,
    /// NumberOfFrames of an instance.
    NumberOfFrames,
    /// What is said of an instance.
    InstanceDescription,
    /// The document title of a Key Object Selection.
    KoDocumentTitle,
    /// `Device.category` of R5.
    DeviceCategory,
    /// `ServiceRequest.reason` of R5.
    ServiceRequestReason,
}

/// Something that the sources say differently.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// Counts from 1.
    pub number: u8,
    /// What it is about.
    pub about: String,
    /// Who says what.
    pub sources: Vec<String>,
    /// What this server does.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// What can be chosen instead; without it, which file holds the rows that do.
    pub switch: Option<Choice>,
    /// Where the decision is written when no switch is.
    pub rows: Option<String>,
}

/// What can be chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What is chosen.
    pub name: Switch,
    /// Whether several options may be chosen.
    #[serde(default)]
    pub is_many: bool,
    /// Names of the options that are chosen, in their order.
    pub chosen: Vec<String>,
    /// What there is to choose from.
    pub option: Vec<ChoiceOption>,
}

/// What is chosen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// `[system]` of `instance.sopClass`.
    SopClassSystem,
    /// `[system]` of the category of documents.
    DocumentCategorySystem,
    /// Whose extensions are written.
    ExtensionPublishers,
    /// `[system, code, display]` of the types of an accession number.
    AccessionTypes,
}

/// An option.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoiceOption {
    /// Its name.
    pub name: String,
    /// What it stands for.
    #[serde(default)]
    pub values: Vec<String>,
}

impl Profiles {
    /// The rules that the rows must hold to together.
    pub(super) fn check(&self) -> Result<(), String> {
        for profile in &self.profile {
            if !self.package.iter().any(|package| {
                package.id == profile.package && profile.canonical.starts_with(&package.canonical)
            }) {
                return Err(format!(
                    "`{}` is not below the canonical URL of a package `{}`",
                    profile.canonical, profile.package
                ));
            }
            if !profile.is_claimed && profile.note.is_none() {
                return Err(format!("`{}`: its `note` must say why not", profile.canonical));
            }
        }
        for (at, conflict) in (1_u8..).zip(&self.conflict) {
            if conflict.number != at {
                return Err(format!("conflict {}: they count from 1", conflict.number));
            }
            let Some(switch) = &conflict.switch else {
                if conflict.rows.is_none() {
                    return Err(format!("conflict {at}: neither `switch` nor `rows`"));
                }
                continue;
            };
            let is_option = |name: &String| switch.option.iter().any(|option| option.name == *name);
            if let Some(name) = switch.chosen.iter().find(|name| !is_option(name)) {
                return Err(format!("conflict {at}: no option `{name}`"));
            }
            if switch.chosen.is_empty() || (switch.chosen.len() > 1 && !switch.is_many) {
                return Err(format!("conflict {at}: choose one option"));
            }
            let values = match switch.name {
                Switch::SopClassSystem | Switch::DocumentCategorySystem => 1,
                Switch::ExtensionPublishers => 0,
                Switch::AccessionTypes => 3,
            };
            if let Some(option) = switch.option.iter().find(|one| one.values.len() != values) {
                return Err(format!("conflict {at}: `{}` needs {values} values", option.name));
            }
        }
        for name in [
            Switch::SopClassSystem,
            Switch::DocumentCategorySystem,
            Switch::ExtensionPublishers,
            Switch::AccessionTypes,
        ] {
            if self.choice(name).is_none() {
                return Err(format!("no conflict has the switch `{name:?}`"));
            }
        }
        Ok(())
    }

    fn choice(&self, name: Switch) -> Option<&Choice> {
        self.conflict.iter().filter_map(|row| row.switch.as_ref()).find(|of| of.name == name)
    }

    /// Every option of a switch.
    pub fn options(&self, name: Switch) -> impl Iterator<Item = &ChoiceOption> {
        self.choice(name).into_iter().flat_map(|choice| &choice.option)
    }

    /// The options that are chosen, in the order of the choice.
    pub fn chosen(&self, name: Switch) -> impl Iterator<Item = &ChoiceOption> {
        self.choice(name).into_iter().flat_map(|choice| {
            choice
                .chosen
                .iter()
                .filter_map(|name| choice.option.iter().find(|option| option.name == *name))
        })
    }

    /// The first value of the first option that is chosen.
    #[must_use]
    pub fn first(&self, name: Switch) -> &str {
        let option = self.chosen(name).next();
        option.and_then(|option| option.values.first()).map_or("", String::as_str)
    }

    /// The URLs of an extension, of each publisher that is chosen.
    pub fn urls(&self, name: ExtensionName) -> impl Iterator<Item = &str> {
        self.extension
            .iter()
            .filter(move |row| {
                row.name == name
                    && self
                        .chosen(Switch::ExtensionPublishers)
                        .any(|option| option.name == row.publisher)
            })
            .map(|row| row.url.as_str())
    }

    /// The canonical URLs that resources of a type claim.
    pub fn claimed(&self, resource: &str) -> impl Iterator<Item = &str> {
        self.profile
            .iter()
            .filter(move |row| row.is_claimed && row.resource == resource)
            .map(|row| row.canonical.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{ExtensionName, Profiles, Switch};

    const TEXT: &str = include_str!("../../mappings/eu-profiles.toml");

    #[test]
    fn the_nine_conflicts_are_decided() {
        let table: Profiles = toml::from_str(TEXT).unwrap();
        table.check().unwrap();
        assert_eq!(table.conflict.len(), 9);
        assert_eq!(table.first(Switch::SopClassSystem), "urn:ietf:rfc:3986");
        assert_eq!(table.urls(ExtensionName::AnatomicalRegion).count(), 2);
        assert_eq!(table.claimed("ImagingStudy").count(), 1);
    }

    #[test]
    fn a_choice_outside_its_options_is_refused() {
        for (from, to, says) in [
            (r#"chosen = ["rfc3986"]"#, r#"chosen = ["rfc"]"#, "no option `rfc`"),
            (r#"chosen = ["rfc3986"]"#, r#"chosen = ["rfc3986", "dcmuid"]"#, "choose one"),
            ("number = 9", "number = 8", "count from 1"),
        ] {
            let table: Profiles = toml::from_str(&TEXT.replace(from, to)).unwrap();
            let refused = table.check().unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }
}
