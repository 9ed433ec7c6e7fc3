//! The rules, compiled once from the tables of `ig/rules/`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};
use regex::Regex;
use serde::de::DeserializeOwned;

use super::path::Path;
use super::primitive::Primitive;
use super::shape::{Profile, Shape};
use super::table::{
    ExtensionFile, InvariantFile, PrimitiveFile, ProfileFile, ResourceTypes, Strength, TypeFile,
    TypeRow, ValueSetFile,
};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/ig/rules");

/// Where the base definitions live.
pub(super) const BASE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Everything that is checked.
#[derive(Debug)]
pub(in crate::fhir) struct Rules {
    types: HashMap<String, usize>,
    nodes: Vec<Node>,
    profiles: HashMap<String, Profile>,
    extensions: HashMap<String, Extension>,
    resource_types: HashSet<String>,
}

/// Something with elements: a resource, a data type, or an element with elements of its own.
#[derive(Debug, Default)]
pub(in crate::fhir) struct Node {
    /// `ImagingStudy.series`
    pub path: String,
    pub children: Vec<Child>,
    /// JSON key → child and, of a choice, which type.
    pub keys: HashMap<String, (usize, usize)>,
    pub(super) rules: Vec<Arc<Invariant>>,
}

/// An element.
#[derive(Debug)]
pub(in crate::fhir) struct Child {
    pub path: String,
    /// `value[x]` without the brackets.
    pub name: String,
    pub min: u32,
    /// `None` for any number.
    pub max: Option<u32>,
    pub kinds: Vec<(String, Kind)>,
    pub targets: Vec<String>,
    pub(super) binding: Option<Arc<ValueSet>>,
    pub(super) rules: Vec<Arc<Invariant>>,
}

/// What an element holds.
#[derive(Clone, Debug)]
pub(in crate::fhir) enum Kind {
    Primitive(Arc<Primitive>),
    Node(usize),
    Resource,
}

/// An extension of R4 itself.
#[derive(Debug)]
pub(super) struct Extension {
    pub context: Vec<String>,
    pub types: Vec<String>,
    pub binding: Option<Arc<ValueSet>>,
}

/// A rule of FHIRPath.
#[derive(Debug)]
pub(super) struct Invariant {
    pub key: String,
    pub strength: Strength,
    pub path: Path,
    pub words: String,
}

/// A value set, listed.
#[derive(Debug)]
pub(super) struct ValueSet {
    pub url: String,
    codes: HashMap<String, HashSet<String>>,
}

impl ValueSet {
    /// Whether a code of the system is in it; without a system, of any.
    pub fn has(&self, system: Option<&str>, code: &str) -> bool {
        match system {
            Some(system) => self.codes.get(system).is_some_and(|codes| codes.contains(code)),
            None => self.codes.values().any(|codes| codes.contains(code)),
        }
    }

    /// Some of its codes, for a message.
    pub fn sample(&self) -> String {
        let mut codes: Vec<&str> = self.codes.values().flatten().map(String::as_str).collect();
        codes.sort_unstable();
        let more = if codes.len() > 8 { ", …" } else { "" };
        codes.truncate(8);
        format!("{}{more}", codes.join(", "))
    }
}

/// What the tables name, while they are compiled.
pub(super) struct Names {
    sets: HashMap<String, Arc<ValueSet>>,
    invariants: HashMap<String, Arc<Invariant>>,
}

impl Names {
    pub fn set(&self, url: Option<&str>, at: &str) -> Result<Option<Arc<ValueSet>>, String> {
        url.map(|url| {
            self.sets.get(url).cloned().ok_or_else(|| format!("{at}: no value set `{url}`"))
        })
        .transpose()
    }

    pub fn invariants(&self, keys: &[String], at: &str) -> Result<Vec<Arc<Invariant>>, String> {
        let find = |key: &String| {
            self.invariants
                .get(key)
                .cloned()
                .ok_or_else(|| format!("{at}: no invariant `{key}` in invariants.toml"))
        };
        keys.iter().map(find).collect()
    }
}

/// `None` for `*`.
pub(super) fn most(max: &str, at: &str) -> Result<Option<u32>, String> {
    if max == "*" {
        return Ok(None);
    }
    max.parse().map(Some).map_err(|_| format!("{at}: `max` is a number or `*`, not `{max}`"))
}

fn read<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    let text = FILES
        .get_file(name)
        .and_then(|file| file.contents_utf8())
        .ok_or_else(|| format!("ig/rules/{name} is missing"))?;
    toml::from_str(text)
        .map_err(|failure| format!("ig/rules/{name}: {}", failure.to_string().trim()))
}

/// Names of the TOML files of a folder, in order.
fn names(folder: &str) -> Vec<String> {
    let files = FILES.get_dir(folder).map(|folder| folder.files()).into_iter().flatten();
    let mut names: Vec<String> =
        files.filter_map(|file| file.path().to_str().map(str::to_owned)).collect();
    names.sort();
    names
}

impl Rules {
    /// The embedded rules, compiled at the first call.
    ///
    /// # Errors
    /// With file, line and rule, when a table is wrong. A test keeps that from being shipped.
    pub fn shared() -> Result<&'static Self, &'static str> {
        static SHARED: OnceLock<Result<Rules, String>> = OnceLock::new();
        SHARED.get_or_init(Self::load).as_ref().map_err(String::as_str)
    }

    fn load() -> Result<Self, String> {
        let names_of = Names { sets: value_sets()?, invariants: invariants()? };
        let mut primitives = HashMap::new();
        for row in read::<PrimitiveFile>("primitives.toml")?.primitive {
            let name = row.name.clone();
            primitives.insert(name, Arc::new(Primitive::new(row)?));
        }
        let mut rows = read::<TypeFile>("r4/types.toml")?.types;
        let others = ["types", "extensions", "value-sets", "resource-types"];
        for name in names("r4") {
            if !others.iter().any(|other| name == format!("r4/{other}.toml")) {
                rows.push(read::<TypeRow>(&name)?);
            }
        }
        let resource_types = read::<ResourceTypes>("r4/resource-types.toml")?.name;
        let mut rules = Self {
            types: HashMap::new(),
            nodes: Vec::new(),
            profiles: HashMap::new(),
            extensions: HashMap::new(),
            resource_types: resource_types.into_iter().collect(),
        };
        // Every node has its number before any element names it.
        let mut paths = HashMap::new();
        for row in &rows {
            rules.types.insert(row.name.clone(), rules.nodes.len());
            let nested = row.element.iter().filter(|element| {
                matches!(element.types.as_slice(), [kind] if kind == "BackboneElement" || kind == "Element")
            });
            for path in std::iter::once(&row.name).chain(nested.map(|element| &element.path)) {
                paths.insert(path.clone(), rules.nodes.len());
                rules.nodes.push(Node { path: path.clone(), ..Node::default() });
            }
        }
        for row in &rows {
            rules.fill(row, &paths, &primitives, &names_of)?;
        }
        let others = names("profiles").into_iter();
        for name in others.chain(["own/profiles.toml".to_owned()]) {
            for row in read::<ProfileFile>(&name)?.profile {
                let root = Shape::new(&row, &names_of)
                    .map_err(|wrong| format!("ig/rules/{name}: {wrong}"))?;
                let profile = Profile { url: row.url, of: row.of, context: row.context, root };
                rules.profiles.insert(profile.url.clone(), profile);
            }
        }
        for row in read::<ExtensionFile>("r4/extensions.toml")?.extension {
            let binding = names_of.set(row.binding.as_deref(), &row.url)?;
            let extension = Extension { context: row.context, types: row.types, binding };
            rules.extensions.insert(row.url, extension);
        }
        Ok(rules)
    }

    fn fill(
        &mut self,
        row: &TypeRow,
        paths: &HashMap<String, usize>,
        primitives: &HashMap<String, Arc<Primitive>>,
        names: &Names,
    ) -> Result<(), String> {
        let own = paths.get(&row.name).copied().unwrap_or_default();
        if let Some(node) = self.nodes.get_mut(own) {
            node.rules = names.invariants(&row.rule, &row.name)?;
        }
        for element in &row.element {
            let at = &element.path;
            let (parent, name) =
                at.rsplit_once('.').ok_or_else(|| format!("`{at}` has no parent"))?;
            let parent = *paths.get(parent).ok_or_else(|| format!("`{at}`: no `{parent}`"))?;
            let stem = name.trim_end_matches("[x]");
            let kind_of = |kind: &String| -> Result<(String, Kind), String> {
                if let Some(primitive) = primitives.get(kind) {
                    return Ok((kind.clone(), Kind::Primitive(Arc::clone(primitive))));
                }
                let node = match kind.as_str() {
                    "Resource" => return Ok((kind.clone(), Kind::Resource)),
                    "BackboneElement" | "Element" => paths.get(at),
                    name => self.types.get(name),
                };
                node.map(|node| (kind.clone(), Kind::Node(*node)))
                    .ok_or_else(|| format!("`{at}`: no type `{kind}`"))
            };
            let mut kinds = element.types.iter().map(kind_of).collect::<Result<Vec<_>, _>>()?;
            if let Some(same) = &element.same {
                let node = *paths.get(same).ok_or_else(|| format!("`{at}`: no `{same}`"))?;
                kinds.push(("BackboneElement".to_owned(), Kind::Node(node)));
            }
            let child = Child {
                path: at.clone(),
                name: stem.to_owned(),
                min: element.min,
                max: most(element.max.as_deref().unwrap_or("1"), at)?,
                targets: element.target.clone(),
                binding: names.set(element.binding.as_deref(), at)?,
                rules: names.invariants(&element.rule, at)?,
                kinds,
            };
            let node = self.nodes.get_mut(parent).ok_or("nodes are numbered")?;
            let number = node.children.len();
            for (choice, (kind, _)) in child.kinds.iter().enumerate() {
                let key = if stem == name { stem.to_owned() } else { choice_key(stem, kind) };
                node.keys.insert(key, (number, choice));
            }
            node.children.push(child);
        }
        Ok(())
    }

    /// The definition of a resource or data type.
    pub fn named(&self, name: &str) -> Option<&Node> {
        self.types.get(name).and_then(|node| self.nodes.get(*node))
    }

    pub fn node(&self, number: usize) -> Option<&Node> {
        self.nodes.get(number)
    }

    /// A profile by its canonical, with or without version.
    pub(super) fn profile(&self, url: &str) -> Option<&Profile> {
        self.profiles.get(url.split('|').next().unwrap_or(url))
    }

    pub(super) fn extension(&self, url: &str) -> Option<&Extension> {
        self.extensions.get(url)
    }

    /// Whether R4 has a resource type of this name.
    pub fn is_resource_type(&self, name: &str) -> bool {
        self.resource_types.contains(name)
    }

    /// The profiles that can be asked for, in order.
    pub fn profile_urls(&self) -> Vec<&str> {
        let mut urls: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
        urls.sort_unstable();
        urls
    }
}

/// `value` and `Quantity` make `valueQuantity`.
pub(super) fn choice_key(stem: &str, kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    stem.chars().chain(first).chain(letters).collect()
}

fn value_sets() -> Result<HashMap<String, Arc<ValueSet>>, String> {
    let rows = read::<ValueSetFile>("r4/value-sets.toml")?.set;
    let own = read::<ValueSetFile>("own/value-sets.toml")?.set;
    Ok(rows
        .into_iter()
        .chain(own)
        .map(|row| {
            let codes = row.system.into_iter();
            let codes = codes.map(|system| (system.uri, system.codes.into_iter().collect()));
            (row.url.clone(), Arc::new(ValueSet { url: row.url, codes: codes.collect() }))
        })
        .collect())
}

fn invariants() -> Result<HashMap<String, Arc<Invariant>>, String> {
    let mut invariants = HashMap::new();
    for row in read::<InvariantFile>("invariants.toml")?.invariant {
        let path = Path::parse(&row.rule)
            .map_err(|wrong| format!("ig/rules/invariants.toml: `{}`: {wrong}", row.key))?;
        let invariant =
            Invariant { key: row.key.clone(), strength: row.severity, path, words: row.words };
        if invariants.insert(row.key.clone(), Arc::new(invariant)).is_some() {
            return Err(format!("ig/rules/invariants.toml: `{}` twice", row.key));
        }
    }
    Ok(invariants)
}

/// A pattern that must match the whole text.
pub(super) fn whole(pattern: &str) -> Result<Regex, String> {
    Regex::new(&format!("^(?:{pattern})$")).map_err(|wrong| wrong.to_string())
}

#[cfg(test)]
mod tests {
    use super::Rules;

    #[test]
    fn the_shipped_rules_are_read() {
        let rules = Rules::shared().unwrap();
        assert!(rules.named("ImagingStudy").is_some());
        let study = "http://hl7.eu/fhir/imaging/StructureDefinition/ImagingStudyEuImaging|1.0.0";
        assert_eq!(rules.profile(study).unwrap().of, "ImagingStudy");
        assert!(rules.profile_urls().len() > 100);
        // What a profile names as a profile of a type is known, or an extension of a stranger.
        assert!(rules.is_resource_type("Task") && rules.named("Task").is_none());
    }
}
