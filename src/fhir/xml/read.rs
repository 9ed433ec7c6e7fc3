//! XML → JSON.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{DEEPEST, FHIR, XHTML};
use crate::fhir::validate::{JsonKind, Kind, Node, Primitive, Rules};

/// A resource as JSON.
///
/// # Errors
/// What is wrong and where: no XML, a DTD, an element that the definitions do not know, a text
/// where an attribute stands.
pub(in crate::fhir) fn to_json(xml: &[u8]) -> Result<Vec<u8>, String> {
    let rules = Rules::shared().map_err(str::to_owned)?;
    let root = parse(xml)?;
    if root.namespace.as_deref() != Some(FHIR) {
        return Err(format!("the root element is not of the namespace `{FHIR}`"));
    }
    let mut out = String::with_capacity(xml.len());
    resource(rules, &root, &mut out)?;
    Ok(out.into_bytes())
}

/// An element as it stands.
#[derive(Debug, Default)]
struct Tag {
    name: String,
    /// As declared on it.
    namespace: Option<String>,
    attributes: Vec<(String, String)>,
    children: Vec<Tag>,
    has_text: bool,
    /// A narrative, character by character.
    xhtml: Option<String>,
}

fn parse(xml: &[u8]) -> Result<Tag, String> {
    let text = std::str::from_utf8(xml).map_err(|_| "the XML is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let text = text.trim_start_matches('\u{feff}');
    let mut open: Vec<Tag> = Vec::new();
    let mut root = None;
    loop {
        let begins = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let event = reader.read_event();
        let place = || format!("byte {}", reader.buffer_position());
        match event.map_err(|wrong| format!("the XML breaks at {}: {wrong}", place()))? {
            Event::Start(start) => {
                if open.len() >= DEEPEST {
                    return Err(format!("the XML is nested too deep at {}", place()));
                }
                if root.is_some() {
                    return Err("there is a second root element".to_owned());
                }
                let mut tag = tag(&start, &reader)?;
                if tag.namespace.as_deref() == Some(XHTML) {
                    let end = start.to_end().into_owned();
                    let span = reader.read_to_end(end.name());
                    span.map_err(|wrong| format!("the narrative has no end: {wrong}"))?;
                    let ends = usize::try_from(reader.buffer_position()).unwrap_or(0);
                    tag.xhtml = text.get(begins..ends).map(str::to_owned);
                    close(tag, &mut open, &mut root);
                } else {
                    open.push(tag);
                }
            }
            Event::Empty(start) => {
                if root.is_some() {
                    return Err("there is a second root element".to_owned());
                }
                let mut tag = tag(&start, &reader)?;
                if tag.namespace.as_deref() == Some(XHTML) {
                    let ends = usize::try_from(reader.buffer_position()).unwrap_or(0);
                    tag.xhtml = text.get(begins..ends).map(str::to_owned);
                }
                close(tag, &mut open, &mut root);
            }
            Event::End(_) => {
                // The reader has looked whether it is the one that is open.
                if let Some(tag) = open.pop() {
                    close(tag, &mut open, &mut root);
                }
            }
            Event::Text(words) => {
                let is_blank = words.iter().all(u8::is_ascii_whitespace);
                match open.last_mut() {
                    Some(tag) => tag.has_text |= !is_blank,
                    None if is_blank => {}
                    None => return Err("there is text outside the root element".to_owned()),
                }
            }
            Event::CData(_) => {
                if let Some(tag) = open.last_mut() {
                    tag.has_text = true;
                }
            }
            Event::DocType(_) => {
                return Err("there is a DOCTYPE, which FHIR does not allow".to_owned());
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if !open.is_empty() => {
                return Err("the XML has no end: an element is not closed".to_owned());
            }
            Event::Eof => return root.ok_or_else(|| "there is no element".to_owned()),
        }
    }
}

fn close(tag: Tag, open: &mut [Tag], root: &mut Option<Tag>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(tag),
        None => *root = Some(tag),
    }
}

fn tag(start: &BytesStart<'_>, reader: &Reader<&[u8]>) -> Result<Tag, String> {
    let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
    let mut tag = Tag { name, ..Tag::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|wrong| format!("`{}`: {wrong}", tag.name))?;
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        let value = attribute
            .decode_and_unescape_value(reader.decoder())
            .map_err(|wrong| format!("`{}`, attribute `{name}`: {wrong}", tag.name))?
            .into_owned();
        match name.as_str() {
            "xmlns" => tag.namespace = Some(value),
            // Where the schema lies says nothing of the resource.
            other if other.starts_with("xmlns:") || other.starts_with("xsi:") => {}
            _ => tag.attributes.push((name, value)),
        }
    }
    Ok(tag)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn resource(rules: &Rules, tag: &Tag, out: &mut String) -> Result<(), String> {
    let node = rules.named(&tag.name).filter(|_| rules.is_resource_type(&tag.name));
    let node = node.ok_or_else(|| format!("there is no resource type `{}`", tag.name))?;
    if let Some((name, _)) = tag.attributes.first() {
        return Err(format!("`{}` has an attribute `{name}`; its id is an element", tag.name));
    }
    out.push_str("{\"resourceType\":");
    out.push_str(&quoted(&tag.name));
    members(rules, node, tag, true, out)?;
    out.push('}');
    Ok(())
}

/// The children of an element as members of an object; `has_members`: some stand there already.
fn members(
    rules: &Rules,
    node: &Node,
    tag: &Tag,
    mut has_members: bool,
    out: &mut String,
) -> Result<(), String> {
    if tag.has_text {
        return Err(format!("`{}` holds text; values stand in `value` attributes", node.path));
    }
    // In the order of the definition; a choice keeps the order within.
    let mut ordered: BTreeMap<(usize, usize), Vec<&Tag>> = BTreeMap::new();
    for child in &tag.children {
        if child.namespace.as_deref().is_some_and(|of| of != FHIR && of != XHTML) {
            return Err(format!("`{}.{}` is of another namespace", node.path, child.name));
        }
        let place = node.keys.get(&child.name);
        let place = place.ok_or_else(|| format!("`{}.{}` is no element", node.path, child.name))?;
        ordered.entry(*place).or_default().push(child);
    }
    for ((number, choice), tags) in ordered {
        let Some(name) = tags.first().map(|tag| tag.name.as_str()) else { continue };
        let at = format!("{}.{name}", node.path);
        let child = node.children.get(number).ok_or("children are numbered")?;
        let is_list = child.max != Some(1);
        if !is_list && tags.len() > 1 {
            return Err(format!("`{at}` stands more than once"));
        }
        let mut member = |key: &str, value: &str| {
            if has_members {
                out.push(',');
            }
            has_members = true;
            out.push_str(&quoted(key));
            out.push(':');
            out.push_str(value);
        };
        let list = |items: &[String]| match items {
            [one] if !is_list => one.clone(),
            items => format!("[{}]", items.join(",")),
        };
        let mut items = Vec::with_capacity(tags.len());
        match child.kinds.get(choice).map(|(_, kind)| kind) {
            Some(Kind::Primitive(primitive)) if primitive.is_xhtml() => {
                let text = tags.first().and_then(|tag| tag.xhtml.as_deref());
                let text = text.ok_or_else(|| format!("`{at}` is not of the xhtml namespace"))?;
                member(name, &quoted(text));
            }
            Some(Kind::Primitive(primitive)) => {
                let mut siblings = Vec::with_capacity(tags.len());
                for tag in tags {
                    let (value, sibling) = self::primitive(rules, primitive, tag, &at)?;
                    items.push(value);
                    siblings.push(sibling);
                }
                let null =
                    |item: &Option<String>| item.clone().unwrap_or_else(|| "null".to_owned());
                for (key, found) in [(name.to_owned(), items), (format!("_{name}"), siblings)] {
                    if found.iter().any(Option::is_some) {
                        member(&key, &list(&found.iter().map(null).collect::<Vec<_>>()));
                    }
                }
            }
            Some(Kind::Resource) => {
                let mut found = Vec::with_capacity(tags.len());
                for tag in tags {
                    let [one] = tag.children.as_slice() else {
                        return Err(format!("`{at}` does not hold one resource"));
                    };
                    let mut text = String::new();
                    resource(rules, one, &mut text)?;
                    found.push(text);
                }
                member(name, &list(&found));
            }
            Some(Kind::Node(number)) => {
                let node = rules.node(*number).ok_or("nodes are numbered")?;
                let mut found = Vec::with_capacity(tags.len());
                for tag in tags {
                    found.push(object(rules, node, tag, &at)?);
                }
                member(name, &list(&found));
            }
            None => return Err(format!("`{at}` has no type")),
        }
    }
    Ok(())
}

fn object(rules: &Rules, node: &Node, tag: &Tag, at: &str) -> Result<String, String> {
    let mut out = "{".to_owned();
    for (name, value) in &tag.attributes {
        match name.as_str() {
            "id" => {}
            "url" if node.path == "Extension" => {}
            "value" => return Err(format!("`{at}` is no primitive and has no `value`")),
            _ => return Err(format!("`{at}` has no attribute `{name}`")),
        }
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&format!("{}:{}", quoted(name), quoted(value)));
    }
    let has_members = out.len() > 1;
    members(rules, node, tag, has_members, &mut out)?;
    out.push('}');
    Ok(out)
}

/// The value, and what else stands in a primitive.
fn primitive(
    rules: &Rules,
    of: &Primitive,
    tag: &Tag,
    at: &str,
) -> Result<(Option<String>, Option<String>), String> {
    let mut value = None;
    let mut id = None;
    for (name, text) in &tag.attributes {
        match name.as_str() {
            "id" => id = Some(format!("\"id\":{}", quoted(text))),
            "value" => {
                let is_literal = match of.json() {
                    JsonKind::String => {
                        value = Some(quoted(text));
                        continue;
                    }
                    JsonKind::Boolean => matches!(text.as_str(), "true" | "false"),
                    JsonKind::Number => serde_json::from_str::<serde_json::Number>(text).is_ok(),
                };
                if !is_literal {
                    let shown: String = text.chars().take(60).collect();
                    return Err(format!("`{at}`: `{shown}` is no value of its type"));
                }
                value = Some(text.clone());
            }
            _ => return Err(format!("`{at}` has no attribute `{name}`")),
        }
    }
    if tag.has_text {
        return Err(format!("`{at}` holds text; its value stands in the attribute `value`"));
    }
    let mut more = id.unwrap_or_default();
    if !tag.children.is_empty() {
        let node = rules.named("Extension").ok_or("the type Extension is defined")?;
        let mut extensions = Vec::with_capacity(tag.children.len());
        for child in &tag.children {
            if child.name != "extension" {
                return Err(format!("`{at}.{}` is no element", child.name));
            }
            extensions.push(object(rules, node, child, &format!("{at}.extension"))?);
        }
        if !more.is_empty() {
            more.push(',');
        }
        more.push_str(&format!("\"extension\":[{}]", extensions.join(",")));
    }
    Ok((value, (!more.is_empty()).then(|| format!("{{{more}}}"))))
}
