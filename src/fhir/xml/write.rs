//! JSON → XML.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{DEEPEST, FHIR};
use crate::fhir::validate::{Kind, Node, Rules};

/// A resource as XML.
///
/// # Errors
/// What about it cannot be written, and where.
pub(in crate::fhir) fn to_xml(json: &[u8]) -> Result<Vec<u8>, String> {
    let rules = Rules::shared().map_err(str::to_owned)?;
    let raw: &RawValue = serde_json::from_slice(json)
        .map_err(|wrong| format!("the resource is no JSON: {wrong}"))?;
    let mut writer = Writer { rules, out: String::with_capacity(json.len() * 2), depth: 0 };
    writer.resource(raw, true)?;
    Ok(writer.out.into_bytes())
}

/// Members of an object, as they stand.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// A primitive element: its value, and its `_name`.
type Primitives<'a> = (Option<&'a RawValue>, Option<&'a RawValue>);

struct Writer<'a> {
    rules: &'a Rules,
    out: String,
    depth: usize,
}

fn members<'a>(raw: &'a RawValue, at: &str) -> Result<Members<'a>, String> {
    serde_json::from_str(raw.get()).map_err(|_| format!("`{at}` is no object"))
}

/// The items of an array, or the one value.
fn items<'a>(raw: &'a RawValue, at: &str) -> Result<Vec<&'a RawValue>, String> {
    if raw.get().trim_start().starts_with('[') {
        serde_json::from_str(raw.get()).map_err(|_| format!("`{at}` is no array"))
    } else {
        Ok(vec![raw])
    }
}

/// Items, `null` as nothing.
fn optional_items<'a>(
    raw: Option<&'a RawValue>,
    at: &str,
) -> Result<Vec<Option<&'a RawValue>>, String> {
    let items = raw.map(|raw| items(raw, at)).transpose()?.unwrap_or_default();
    Ok(items.into_iter().map(|item| (item.get() != "null").then_some(item)).collect())
}

/// A text, number or boolean, as it is written in an attribute.
fn literal(raw: &RawValue) -> Result<String, String> {
    let text = raw.get();
    if text.starts_with('"') {
        return serde_json::from_str(text).map_err(|wrong| wrong.to_string());
    }
    Ok(text.to_owned())
}

impl Writer<'_> {
    fn resource(&mut self, raw: &RawValue, is_root: bool) -> Result<(), String> {
        let mut of = members(raw, "resource")?;
        let name = of.remove("resourceType").map(literal).transpose()?.unwrap_or_default();
        let node = self.rules.named(&name).filter(|_| self.rules.is_resource_type(&name));
        let node = node.ok_or_else(|| format!("there is no resource type `{name}`"))?;
        self.out.push('<');
        self.out.push_str(&name);
        if is_root {
            self.attribute("xmlns", FHIR);
        }
        self.children(&name, node, of)
    }

    /// Ends a start tag, writes what stands in the element, and ends the element.
    fn children(&mut self, name: &str, node: &Node, of: Members<'_>) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("`{}` is nested too deep", node.path));
        }
        if of.is_empty() {
            self.out.push_str("/>");
            self.depth -= 1;
            return Ok(());
        }
        self.out.push('>');
        // In the order of the definition: number of the child, key → values.
        let mut ordered: BTreeMap<usize, (String, usize, Primitives<'_>)> = BTreeMap::new();
        for (key, raw) in of {
            let plain = key.strip_prefix('_').unwrap_or(&key);
            let (child, choice) = *node
                .keys
                .get(plain)
                .ok_or_else(|| format!("`{}.{key}` is no element", node.path))?;
            let entry = ordered.entry(child).or_insert((plain.to_owned(), choice, (None, None)));
            if plain.len() < key.len() {
                entry.2.1 = Some(raw);
            } else {
                entry.2.0 = Some(raw);
            }
        }
        for (child, (key, choice, values)) in ordered {
            let at = format!("{}.{key}", node.path);
            let child = node.children.get(child).ok_or("children are numbered")?;
            match child.kinds.get(choice).map(|(_, kind)| kind) {
                Some(Kind::Primitive(primitive)) if primitive.is_xhtml() => {
                    if let Some(raw) = values.0 {
                        self.out.push_str(&literal(raw)?);
                    }
                }
                Some(Kind::Primitive(_)) => self.primitives(&key, values, &at)?,
                Some(Kind::Resource) => {
                    for raw in optional_items(values.0, &at)?.into_iter().flatten() {
                        self.out.push('<');
                        self.out.push_str(&key);
                        self.out.push('>');
                        self.depth += 1;
                        self.resource(raw, false)?;
                        self.depth -= 1;
                        self.close(&key);
                    }
                }
                Some(Kind::Node(number)) => {
                    let node = self.rules.node(*number).ok_or("nodes are numbered")?;
                    for raw in optional_items(values.0, &at)?.into_iter().flatten() {
                        self.object(&key, node, raw, &at)?;
                    }
                }
                None => return Err(format!("`{at}` has no type")),
            }
        }
        self.close(name);
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self, name: &str, node: &Node, raw: &RawValue, at: &str) -> Result<(), String> {
        let mut of = members(raw, at)?;
        self.out.push('<');
        self.out.push_str(name);
        if let Some(id) = of.remove("id") {
            self.attribute("id", &literal(id)?);
        }
        if node.path == "Extension"
            && let Some(url) = of.remove("url")
        {
            self.attribute("url", &literal(url)?);
        }
        self.children(name, node, of)
    }

    fn primitives(
        &mut self,
        name: &str,
        (values, siblings): Primitives<'_>,
        at: &str,
    ) -> Result<(), String> {
        let extension = self.rules.named("Extension").ok_or("the type Extension is defined")?;
        let values = optional_items(values, at)?;
        let siblings = optional_items(siblings, at)?;
        for number in 0..values.len().max(siblings.len()) {
            let value = values.get(number).copied().flatten();
            let sibling = siblings.get(number).copied().flatten();
            let mut more = sibling.map(|raw| members(raw, at)).transpose()?.unwrap_or_default();
            self.out.push('<');
            self.out.push_str(name);
            if let Some(id) = more.remove("id") {
                self.attribute("id", &literal(id)?);
            }
            if let Some(value) = value {
                self.attribute("value", &literal(value)?);
            }
            let extensions = optional_items(more.remove("extension"), at)?;
            if let Some((key, _)) = more.first_key_value() {
                return Err(format!("`{at}` holds `{key}` beside its value"));
            }
            if extensions.is_empty() {
                self.out.push_str("/>");
                continue;
            }
            self.out.push('>');
            for raw in extensions.into_iter().flatten() {
                self.object("extension", extension, raw, at)?;
            }
            self.close(name);
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                // Written as they are they would come back as spaces.
                '\t' => self.out.push_str("&#9;"),
                '\n' => self.out.push_str("&#10;"),
                '\r' => self.out.push_str("&#13;"),
                // XML 1.0 has no way to write them.
                letter if letter.is_control() || matches!(letter, '\u{FFFE}' | '\u{FFFF}') => {
                    self.out.push('\u{FFFD}');
                }
                letter => self.out.push(letter),
            }
        }
        self.out.push('"');
    }
}
