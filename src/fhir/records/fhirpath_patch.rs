//! FHIRPath Patch (FHIR R4 fhirpatch.html): `Parameters` with operations that name elements by
//! their FHIRPath.
//!
//! In: the bytes of the Parameters, then those of a resource. Out: operations on the bytes
//! ([`Op`]), found by what the definitions of R4 say of each element: whether it repeats, and which
//! types it may have. Paths are element names with places, `Observation.component[1].code`:
//! functions (`where`, `first`) are refused.

use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::super::validate::{Child, Kind, Node, Rules};
use super::json::{self, Member};
use super::patch::Op;

/// Most operations of a patch.
const MOST: usize = 200;

/// An operation as it was sent.
#[derive(Debug)]
pub(in crate::fhir) struct Change {
    kind: Verb,
    path: Vec<Step>,
    name: Option<String>,
    index: Option<usize>,
    from: Option<usize>,
    to: Option<usize>,
    value: Option<Sent>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verb {
    Add,
    Insert,
    Delete,
    Replace,
    Move,
}

/// `name[item]`
#[derive(Debug)]
struct Step {
    name: String,
    item: Option<usize>,
}

/// The value of an operation, with the digits that it was sent with.
#[derive(Debug)]
enum Sent {
    /// The type as it stands behind `value`, and the text.
    Typed(String, String),
    /// An element that has no type of its own, by its elements.
    Parts(Vec<(String, Sent)>),
}

/// Where a path leads in a resource.
struct Spot<'r> {
    /// As JSON Patch has it.
    pointer: String,
    /// The element, and what holds it.
    child: Option<&'r Child>,
    /// The elements below.
    node: Option<&'r Node>,
    /// How many items stand there; `None`: the element does not repeat, or one of it was named.
    items: Option<usize>,
    is_there: bool,
}

/// Reads the operations of `Parameters`.
///
/// # Errors
/// What is wrong, and with which operation.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Change>, String> {
    let (whole, _) = json::read(bytes).map_err(|why| why.to_string())?;
    if whole["resourceType"] != "Parameters" {
        return Err(
            "it is no Parameters; a JSON Patch comes as `application/json-patch+json`".into()
        );
    }
    let mut changes = Vec::new();
    for (at, parameter) in objects(bytes, "parameter", &(0..bytes.len())).into_iter().enumerate() {
        let wrong = |what: String| format!("operation {at}: {what}");
        if at == MOST {
            return Err(format!("it has more than {MOST} operations"));
        }
        changes.push(change(bytes, &parameter).map_err(wrong)?);
    }
    if changes.is_empty() {
        return Err("it has no `operation`".to_owned());
    }
    Ok(changes)
}

/// The members of each object in the array of that name.
fn objects(bytes: &[u8], name: &str, place: &std::ops::Range<usize>) -> Vec<Vec<Member>> {
    let members = json::members(bytes, place);
    let array = members.iter().find(|member| member.name == name);
    let items = array.map_or(Vec::new(), |array| json::items(bytes, &array.value));
    items.iter().map(|item| json::members(bytes, item)).collect()
}

fn text_of(bytes: &[u8], member: &Member) -> String {
    String::from_utf8_lossy(bytes.get(member.value.clone()).unwrap_or_default()).trim().to_owned()
}

fn name_of(bytes: &[u8], members: &[Member]) -> Option<String> {
    let name = members.iter().find(|member| member.name == "name")?;
    serde_json::from_str(&text_of(bytes, name)).ok()
}

/// The value of a parameter or part.
fn sent(bytes: &[u8], members: &[Member], depth: usize) -> Result<Sent, String> {
    if depth > 16 {
        return Err("the value is nested too deeply".to_owned());
    }
    for member in members {
        if let Some(kind) = member.name.strip_prefix("value").filter(|kind| !kind.is_empty()) {
            return Ok(Sent::Typed(kind.to_owned(), text_of(bytes, member)));
        }
        if member.name == "part" {
            let mut parts = Vec::new();
            for item in json::items(bytes, &member.value) {
                let below = json::members(bytes, &item);
                let name = name_of(bytes, &below).ok_or("a part of the value has no name")?;
                parts.push((name, sent(bytes, &below, depth + 1)?));
            }
            return Ok(Sent::Parts(parts));
        }
    }
    Err("it has no value".to_owned())
}

fn change(bytes: &[u8], operation: &[Member]) -> Result<Change, String> {
    if name_of(bytes, operation).as_deref() != Some("operation") {
        return Err("its name is not `operation`".to_owned());
    }
    let part = operation.iter().find(|member| member.name == "part");
    let items = part.map_or(Vec::new(), |part| json::items(bytes, &part.value));
    let (mut kind, mut path, mut name, mut value) = (None, None, None, None);
    let (mut index, mut from, mut to) = (None, None, None);
    for item in items {
        let members = json::members(bytes, &item);
        let called = name_of(bytes, &members).ok_or("a part has no name")?;
        let given = sent(bytes, &members, 0).map_err(|what| format!("`{called}`: {what}"))?;
        if called == "value" {
            value = Some(given);
            continue;
        }
        let Sent::Typed(_, raw) = given else {
            return Err(format!("`{called}` is no plain value"));
        };
        let plain: Json = serde_json::from_str(&raw).map_err(|wrong| wrong.to_string())?;
        let text = || {
            let text = plain.as_str().map(str::to_owned);
            text.ok_or_else(|| format!("`{called}` is no text"))
        };
        let number = || {
            let number = plain.as_u64().and_then(|number| usize::try_from(number).ok());
            number.ok_or_else(|| format!("`{called}` is no place in a list"))
        };
        match called.as_str() {
            "type" => {
                kind = Some(match text()?.as_str() {
                    "add" => Verb::Add,
                    "insert" => Verb::Insert,
                    "delete" => Verb::Delete,
                    "replace" => Verb::Replace,
                    "move" => Verb::Move,
                    _ => return Err("`type` is none of add, insert, delete, replace, move".into()),
                });
            }
            "path" => path = Some(steps(&text()?)?),
            "name" => name = Some(text()?),
            "index" => index = Some(number()?),
            "source" => from = Some(number()?),
            "destination" => to = Some(number()?),
            _ => return Err(format!("`{called}` is no part of an operation")),
        }
    }
    let kind = kind.ok_or("`type` is missing")?;
    let path = path.ok_or("`path` is missing")?;
    Ok(Change { kind, path, name, index, from, to, value })
}

/// Reads `Observation.component[1].code`.
fn steps(path: &str) -> Result<Vec<Step>, String> {
    let wrong = || {
        format!(
            "`{}` is not understood: a path is element names with places, as in \
             `Observation.component[1].code`",
            super::write::shorten(path)
        )
    };
    let step = |text: &str| {
        let (name, item) = match text.split_once('[') {
            None => (text, None),
            Some((name, rest)) => {
                let item = rest.strip_suffix(']').and_then(|item| item.parse().ok());
                (name, Some(item.ok_or_else(wrong)?))
            }
        };
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_name { Ok(Step { name: name.to_owned(), item }) } else { Err(wrong()) }
    };
    path.trim().split('.').map(step).collect()
}

impl Change {
    /// What it comes to on a resource, as operations on its bytes.
    ///
    /// # Errors
    /// Why it cannot be done there.
    pub(super) fn on(&self, resource: &Json) -> Result<Vec<Op>, String> {
        let rules = Rules::shared()?;
        let kind = resource["resourceType"].as_str().unwrap_or_default();
        let node = rules.named(kind).ok_or_else(|| format!("no patch is known for `{kind}`"))?;
        let is_root = self.path.first().is_some_and(|step| step.name == kind);
        let steps = if is_root { self.path.get(1..).unwrap_or_default() } else { &self.path };
        let spot = find(rules, node, resource, steps)?;
        let there = || {
            if spot.is_there {
                Ok(())
            } else {
                Err(format!("nothing stands at `{}`", spot.pointer))
            }
        };
        let one = || match spot.items {
            Some(0 | 1) | None => Ok(()),
            Some(items) => Err(format!("`{}` has {items} items: name one", spot.pointer)),
        };
        // The one item of a list that was not named.
        let item = if spot.items == Some(1) { "/0" } else { "" };
        match self.kind {
            Verb::Delete => {
                one()?;
                if !spot.is_there || spot.items == Some(0) {
                    return Ok(Vec::new());
                }
                if spot.child.is_none() {
                    return Err("the whole resource is removed by DELETE".to_owned());
                }
                // An empty list is none.
                let alone = spot.pointer.rsplit_once('/').filter(|(above, last)| {
                    last.parse::<usize>().is_ok()
                        && resource
                            .pointer(above)
                            .and_then(Json::as_array)
                            .is_some_and(|of| of.len() == 1)
                });
                let path = alone.map_or(spot.pointer.as_str(), |(above, _)| above);
                Ok(vec![Op::Remove { path: path.to_owned() }])
            }
            Verb::Replace => {
                one()?;
                there()?;
                let child = spot.child.ok_or("the whole resource is replaced by PUT")?;
                let (key, value) = self.written(rules, child)?;
                let path = format!("{}{item}", spot.pointer);
                let is_item =
                    path.rsplit('/').next().is_some_and(|last| last.parse::<usize>().is_ok());
                match path.rsplit_once('/') {
                    // A choice that becomes of another type is another member.
                    Some((above, last)) if !is_item && last != key => Ok(vec![
                        Op::Remove { path: path.clone() },
                        Op::Add { path: format!("{above}/{key}"), value },
                    ]),
                    _ => Ok(vec![Op::Replace { path, value }]),
                }
            }
            Verb::Add => {
                one()?;
                there()?;
                let name = self.name.as_deref().ok_or("`name` is missing")?;
                let node =
                    spot.node.ok_or_else(|| format!("`{}` has no elements", spot.pointer))?;
                let child = element(node, name)?;
                let (key, value) = self.written(rules, child)?;
                let above = format!("{}{item}", spot.pointer);
                let path = format!("{above}/{key}");
                let before = resource.pointer(&above).and_then(|of| present(node, child, of));
                match before {
                    None if child.max == Some(1) => Ok(vec![Op::Add { path, value }]),
                    None => Ok(vec![Op::Add { path, value: raw(format!("[{}]", value.get()))? }]),
                    Some(_) if child.max == Some(1) => {
                        Err(format!("`{path}` is there already: replace it"))
                    }
                    Some(_) => Ok(vec![Op::Add { path: format!("{path}/-"), value }]),
                }
            }
            Verb::Insert => {
                let child = spot.child.ok_or("`path` names no list")?;
                let items = spot.items.ok_or_else(|| format!("`{}` is no list", spot.pointer))?;
                let at = self.index.ok_or("`index` is missing")?;
                if at > items {
                    return Err(format!("`{}` has {items} items", spot.pointer));
                }
                let (_, value) = self.written(rules, child)?;
                Ok(vec![if spot.is_there {
                    Op::Add { path: format!("{}/{at}", spot.pointer), value }
                } else {
                    let value = raw(format!("[{}]", value.get()))?;
                    Op::Add { path: spot.pointer.clone(), value }
                }])
            }
            Verb::Move => {
                let items = spot.items.ok_or_else(|| format!("`{}` is no list", spot.pointer))?;
                let from = self.from.ok_or("`source` is missing")?;
                let to = self.to.ok_or("`destination` is missing")?;
                if from >= items || to >= items {
                    return Err(format!("`{}` has {items} items", spot.pointer));
                }
                let of = |place: usize| format!("{}/{place}", spot.pointer);
                Ok(vec![Op::Move { path: of(to), from: of(from) }])
            }
        }
    }

    /// The value as a member or item of an element, and the member's name.
    fn written(&self, rules: &Rules, child: &Child) -> Result<(String, Box<RawValue>), String> {
        let value = self.value.as_ref().ok_or("`value` is missing")?;
        let (key, text) = written(rules, child, value)?;
        Ok((key, raw(text)?))
    }
}

fn raw(text: String) -> Result<Box<RawValue>, String> {
    RawValue::from_string(text).map_err(|wrong| wrong.to_string())
}

/// The element of that name; a choice is called without its type, or with it.
fn element<'r>(node: &'r Node, name: &str) -> Result<&'r Child, String> {
    let by_name = node.children.iter().find(|child| child.name == name);
    let by_key = || node.keys.get(name).and_then(|(number, _)| node.children.get(*number));
    by_name
        .or_else(by_key)
        .ok_or_else(|| format!("`{}.{}` is no element", node.path, super::write::shorten(name)))
}

/// The keys under which an element stands in JSON, with the type of each.
fn keys<'r>(node: &'r Node, child: &'r Child) -> impl Iterator<Item = (&'r str, &'r Kind)> {
    node.keys.iter().filter_map(move |(key, (number, choice))| {
        let of = node.children.get(*number)?;
        let (_, kind) = child.kinds.get(*choice)?;
        (of.path == child.path).then_some((key.as_str(), kind))
    })
}

/// The key under which an element stands in an object, with its type.
fn present<'r>(node: &'r Node, child: &'r Child, object: &Json) -> Option<(&'r str, &'r Kind)> {
    keys(node, child).find(|(key, _)| object.get(*key).is_some())
}

/// What a value becomes as an element: its key and text.
fn written(rules: &Rules, child: &Child, value: &Sent) -> Result<(String, String), String> {
    let is_choice = child.path.ends_with("[x]");
    match value {
        Sent::Typed(kind, text) => {
            let fits = |(of, _): &&(String, Kind)| of.eq_ignore_ascii_case(kind);
            let is_one = child.kinds.iter().find(fits);
            match (is_choice, is_one) {
                (true, Some(_)) => Ok((format!("{}{kind}", child.name), text.clone())),
                (true, None) => Err(format!("`{}` cannot be of type `{kind}`", child.path)),
                // Whether it is one is seen when the whole resource is checked.
                (false, _) => Ok((child.name.clone(), text.clone())),
            }
        }
        Sent::Parts(parts) => {
            let node = child.kinds.iter().find_map(|(_, kind)| match kind {
                Kind::Node(number) => rules.node(*number),
                _ => None,
            });
            let node = node.ok_or_else(|| format!("`{}` has no elements", child.path))?;
            let mut members: Vec<(String, bool, Vec<String>)> = Vec::new();
            for (name, value) in parts {
                let of = element(node, name)?;
                let (key, text) = written(rules, of, value)?;
                match members.iter_mut().find(|(known, ..)| *known == key) {
                    Some((_, true, items)) => items.push(text),
                    Some(_) => return Err(format!("`{}.{key}` does not repeat", node.path)),
                    None => members.push((key, of.max != Some(1), vec![text])),
                }
            }
            let members: Vec<String> = members
                .iter()
                .map(|(key, repeats, items)| {
                    let items = items.join(",");
                    let items = if *repeats { format!("[{items}]") } else { items };
                    format!("{}:{items}", Json::from(key.as_str()))
                })
                .collect();
            Ok((child.name.clone(), format!("{{{}}}", members.join(","))))
        }
    }
}

/// Where a path leads.
fn find<'r>(
    rules: &'r Rules,
    root: &'r Node,
    resource: &Json,
    steps: &[Step],
) -> Result<Spot<'r>, String> {
    let mut spot =
        Spot { pointer: String::new(), child: None, node: Some(root), items: None, is_there: true };
    for step in steps {
        if let Some(items) = spot.items.take() {
            if items > 1 {
                return Err(format!("`{}` has {items} items: name one", spot.pointer));
            }
            spot.pointer.push_str("/0");
        }
        let node = spot.node.ok_or_else(|| format!("`{}` has no elements", spot.pointer))?;
        let child = element(node, &step.name)?;
        let object = resource.pointer(&spot.pointer).unwrap_or(&Json::Null);
        let found = present(node, child, object);
        let (key, kind) = match found {
            Some((key, kind)) => (key.to_owned(), Some(kind)),
            None => (step.name.clone(), child.kinds.first().map(|(_, kind)| kind)),
        };
        spot.pointer = format!("{}/{key}", spot.pointer);
        spot.is_there = found.is_some();
        spot.node = match kind {
            Some(Kind::Node(number)) => rules.node(*number),
            _ => None,
        };
        spot.child = Some(child);
        let items = resource.pointer(&spot.pointer).and_then(Json::as_array).map(Vec::len);
        spot.items = match (items, step.item) {
            (_, None) if child.max == Some(1) => None,
            (items, None) => Some(items.unwrap_or(0)),
            (Some(items), Some(at)) => {
                spot.pointer = format!("{}/{at}", spot.pointer);
                spot.is_there = at < items;
                None
            }
            (None, Some(0)) if child.max == Some(1) => None,
            (None, Some(_)) => {
                spot.is_there = false;
                None
            }
        };
    }
    Ok(spot)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::patch::{Fault, Patch};

    fn patched(resource: &str, operations: &[Json]) -> Result<String, Fault> {
        let parameters: Vec<Json> =
            operations.iter().map(|parts| json!({ "name": "operation", "part": parts })).collect();
        let body = json!({ "resourceType": "Parameters", "parameter": parameters });
        let patch = Patch::read_fhir(body.to_string().as_bytes())?;
        Ok(String::from_utf8(patch.apply(resource.as_bytes())?).unwrap())
    }

    fn of(kind: &str, path: &str, more: &[Json]) -> Json {
        let mut parts = vec![
            json!({ "name": "type", "valueCode": kind }),
            json!({ "name": "path", "valueString": path }),
        ];
        parts.extend_from_slice(more);
        Json::Array(parts)
    }

    fn part(name: &str, key: &str, value: Json) -> Json {
        json!({ "name": name, key: value })
    }

    const TEXT: &str = r#"{ "resourceType":"Observation", "status":"final", "valueQuantity":{"value":1.50},
 "category":[{"text":"a"},{"text":"b"}], "note":[{"text":"x"}] }"#;

    #[test]
    fn operations_change_what_they_name_and_nothing_else() {
        for (operation, from, to) in [
            (
                of(
                    "replace",
                    "Observation.status",
                    &[part("value", "valueCode", json!("amended"))],
                ),
                r#""final""#,
                r#""amended""#,
            ),
            (
                of(
                    "replace",
                    "Observation.value.value",
                    &[part("value", "valueDecimal", json!(2))],
                ),
                "1.50",
                "2",
            ),
            (
                of("replace", "Observation.value", &[part("value", "valueString", json!("y"))]),
                r#", "valueQuantity":{"value":1.50},
 "category":[{"text":"a"},{"text":"b"}], "note":[{"text":"x"}]"#,
                r#",
 "category":[{"text":"a"},{"text":"b"}], "note":[{"text":"x"}],"valueString":"y""#,
            ),
            (of("delete", "Observation.category[0]", &[]), r#"{"text":"a"},"#, ""),
            (of("delete", "Observation.note", &[]), r#", "note":[{"text":"x"}]"#, ""),
            (of("delete", "Observation.issued", &[]), "", ""),
            (
                of(
                    "insert",
                    "Observation.category",
                    &[
                        part("index", "valueInteger", json!(1)),
                        part("value", "valueCodeableConcept", json!({ "text": "c" })),
                    ],
                ),
                r#"{"text":"a"},"#,
                r#"{"text":"a"},{"text":"c"},"#,
            ),
            (
                of(
                    "move",
                    "Observation.category",
                    &[
                        part("source", "valueInteger", json!(1)),
                        part("destination", "valueInteger", json!(0)),
                    ],
                ),
                r#"[{"text":"a"},{"text":"b"}]"#,
                r#"[{"text":"b"},{"text":"a"}]"#,
            ),
            (
                of(
                    "add",
                    "Observation",
                    &[
                        part("name", "valueString", json!("note")),
                        part("value", "valueAnnotation", json!({ "text": "z" })),
                    ],
                ),
                r#"[{"text":"x"}]"#,
                r#"[{"text":"x"},{"text":"z"}]"#,
            ),
            (
                of(
                    "add",
                    "Observation",
                    &[
                        part("name", "valueString", json!("component")),
                        json!({ "name": "value", "part": [
                            { "name": "code", "valueCodeableConcept": { "text": "k" } },
                            { "name": "value", "valueInteger": 3 },
                            { "name": "interpretation", "valueCodeableConcept": { "text": "i" } },
                        ] }),
                    ],
                ),
                r#"[{"text":"x"}]"#,
                r#"[{"text":"x"}],"component":[{"code":{"text":"k"},"valueInteger":3,"interpretation":[{"text":"i"}]}]"#,
            ),
        ] {
            let done = patched(TEXT, std::slice::from_ref(&operation));
            assert_eq!(done.as_deref(), Ok(TEXT.replacen(from, to, 1).as_str()), "{operation}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_operation() {
        let status = part("value", "valueCode", json!("x"));
        for (operation, reason) in [
            (of("replace", "Observation.colour", &[status.clone()]), "`Observation.colour` is no"),
            (of("replace", "Observation.issued", &[status.clone()]), "nothing stands"),
            (of("replace", "Observation.status", &[]), "`value` is missing"),
            (of("replace", "Observation.category", &[status.clone()]), "2 items: name one"),
            (
                of("replace", "Observation.value", &[part("value", "valueMoney", json!({}))]),
                "type `Money`",
            ),
            (of("delete", "Observation", &[]), "by DELETE"),
            (of("delete", "Observation.category", &[]), "2 items"),
            (of("insert", "Observation.status", &[status.clone()]), "no list"),
            (
                of(
                    "add",
                    "Observation",
                    &[part("name", "valueString", json!("status")), status.clone()],
                ),
                "already",
            ),
        ] {
            match patched(TEXT, &[operation.clone()]) {
                Err(Fault::Unfit(told)) => {
                    assert!(told.contains(reason) && told.starts_with("operation 0"), "{told}");
                }
                other => panic!("{operation}: {other:?}"),
            }
        }
        for operation in [
            of("replace", "Observation.category.where(text='a')", &[status.clone()]),
            of("paint", "Observation.status", &[status.clone()]),
            of("move", "Observation.category", &[part("source", "valueInteger", json!(-1))]),
            json!([{ "name": "type", "valueCode": "delete" }]),
            json!([{ "valueCode": "delete" }]),
        ] {
            assert!(
                matches!(patched(TEXT, &[operation.clone()]), Err(Fault::Unreadable(_))),
                "{operation}"
            );
        }
        assert!(matches!(patched(TEXT, &[]), Err(Fault::Unreadable(_))));
    }
}
