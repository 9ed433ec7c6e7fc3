//! Patches on the bytes of a resource: JSON Patch (RFC 6902), and FHIRPath Patch by way of it: what a patch does not touch stays as it was
//! sent, numbers with their digits and members in their order.
//!
//! In: a resource that [`json::read`] accepted, and operations. Out: its bytes, changed; not yet
//! known to be a resource. Absent: XML Patch.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::super::handle::JSON_PATCH;
use super::super::outcome::{Failure, Result as Answer};
use super::super::provider::not_found;
use super::super::table::Resource;
use super::super::{Asking, State};
use super::fhirpath_patch::{self, Change};
use super::json::{self, Member};
use super::write::{Conditions, Plan, Target, What, compare, several_match};
use crate::error::Error;
use crate::store::Db;
use crate::store::records::{self as rows, Method};

/// Most operations of a patch.
const MOST: usize = 200;
/// Largest resource that a patch may make.
const LARGEST: usize = super::write::BODY_LIMIT;

/// An operation (RFC 6902 section 4).
#[derive(Debug)]
pub(in crate::fhir) enum Op {
    Add { path: String, value: Box<RawValue> },
    Remove { path: String },
    Replace { path: String, value: Box<RawValue> },
    Move { path: String, from: String },
    Copy { path: String, from: String },
    Test { path: String, value: Json },
}

/// Why a patch is not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::fhir) enum Fault {
    /// It is none.
    Unreadable(String),
    /// The resource is not as it presumes.
    Unfit(String),
}

/// The operations of a patch.
#[derive(Debug)]
pub(in crate::fhir) enum Patch {
    Json(Vec<Op>),
    Fhir(Vec<Change>),
}

impl Patch {
    /// Reads a JSON Patch.
    pub(in crate::fhir) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let wrong = |what: String| Fault::Unreadable(format!("the body is no JSON Patch: {what}"));
        // Names that stand twice and depths that overflow are refused as in resources.
        json::read(bytes).map_err(|why| wrong(why.to_string()))?;
        let parts: Vec<&RawValue> =
            serde_json::from_slice(bytes).map_err(|failure| wrong(failure.to_string()))?;
        if parts.len() > MOST {
            return Err(wrong(format!("it has more than {MOST} operations")));
        }
        let read = |(at, part): (usize, &&RawValue)| op(part.get(), at);
        parts.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self::Json).map_err(wrong)
    }

    /// Reads a FHIRPath Patch, the bytes of `Parameters`.
    pub(in crate::fhir) fn read_fhir(bytes: &[u8]) -> Result<Self, Fault> {
        let wrong =
            |what: String| Fault::Unreadable(format!("the body is no FHIRPath Patch: {what}"));
        fhirpath_patch::read(bytes).map(Self::Fhir).map_err(wrong)
    }

    /// Reads the patch of an entry of a Bundle (R4 http.html 3.1.0.11.2): a JSON Patch as Binary, a
    /// FHIRPath Patch as Parameters.
    pub(in crate::fhir) fn of_entry(bytes: &[u8]) -> Result<Self, Fault> {
        let wrong = |what: &str| Fault::Unreadable(format!("the patch of an entry is {what}"));
        let (json, _) = json::read(bytes).map_err(|why| wrong(&why.to_string()))?;
        match json["resourceType"].as_str() {
            Some("Parameters") => Self::read_fhir(bytes),
            Some("Binary") => {
                let media = json["contentType"].as_str().unwrap_or_default();
                if media.split(';').next().unwrap_or_default().trim() != JSON_PATCH {
                    return Err(wrong(&format!(
                        "a Binary of `contentType` `{JSON_PATCH}`, and this one is of `{}`",
                        shown(media)
                    )));
                }
                let data = STANDARD.decode(json["data"].as_str().unwrap_or_default());
                Self::read(&data.map_err(|_| wrong("base64 in `data`"))?)
            }
            _ => Err(wrong("a Binary with a JSON Patch, or Parameters with a FHIRPath Patch")),
        }
    }

    /// The resource with everything done, or as it was with the first operation that cannot be.
    pub(in crate::fhir) fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut now = bytes.to_vec();
        match self {
            Self::Json(ops) => {
                for (at, op) in ops.iter().enumerate() {
                    now = stepped(&now, at, op)?;
                }
            }
            Self::Fhir(changes) => {
                for (at, change) in changes.iter().enumerate() {
                    let unfit = |reason| Fault::Unfit(format!("operation {at}: {reason}"));
                    // Paths are followed in what the operations before have made.
                    let json: Json = serde_json::from_slice(&now)
                        .map_err(|failure| unfit(failure.to_string()))?;
                    for op in change.on(&json).map_err(unfit)? {
                        now = stepped(&now, at, &op)?;
                    }
                }
            }
        }
        Ok(now)
    }
}

/// The text with one operation done, the number `at` of its patch.
fn stepped(bytes: &[u8], at: usize, op: &Op) -> Result<Vec<u8>, Fault> {
    let done =
        op.apply(bytes).map_err(|reason| Fault::Unfit(format!("operation {at}: {reason}")))?;
    if done.len() > LARGEST {
        return Err(Fault::Unfit(format!("operation {at}: the resource is too large")));
    }
    Ok(done)
}

/// Reads one operation; the value stays as it was sent.
fn op(text: &str, at: usize) -> Result<Op, String> {
    #[derive(Deserialize)]
    struct Members<'t> {
        op: String,
        path: String,
        from: Option<String>,
        // `null` is a value that was sent, not one that is missing.
        #[serde(borrow, default, deserialize_with = "sent")]
        value: Option<&'t RawValue>,
    }
    fn sent<'t, D: Deserializer<'t>>(value: D) -> Result<Option<&'t RawValue>, D::Error> {
        Deserialize::deserialize(value).map(Some)
    }
    let wrong = |what: &str| format!("operation {at}: {what}");
    let Members { op, path, from, value } =
        serde_json::from_str(text).map_err(|failure| wrong(&failure.to_string()))?;
    let from = || from.clone().ok_or_else(|| wrong("`from` is missing"));
    let value = || value.map(ToOwned::to_owned).ok_or_else(|| wrong("`value` is missing"));
    for pointer in [Some(&path), from().ok().as_ref()].into_iter().flatten() {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(wrong("a path begins with `/` (RFC 6901)"));
        }
    }
    Ok(match op.as_str() {
        "add" => Op::Add { path, value: value()? },
        "remove" => Op::Remove { path },
        "replace" => Op::Replace { path, value: value()? },
        "move" => Op::Move { path, from: from()? },
        "copy" => Op::Copy { path, from: from()? },
        "test" => {
            let value = serde_json::from_str(value()?.get());
            Op::Test { path, value: value.map_err(|failure| wrong(&failure.to_string()))? }
        }
        _ => return Err(wrong("`op` is none of add, remove, replace, move, copy, test")),
    })
}

/// What stands at a pointer.
struct Spot {
    value: Range<usize>,
    /// The member or item with what parts it from its neighbours.
    whole: Range<usize>,
}

/// The parts of a pointer (RFC 6901), unescaped.
fn parts(path: &str) -> Vec<String> {
    path.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect()
}

/// A container: the places of what it holds.
enum Held {
    Object(Vec<Member>),
    Array(Vec<Range<usize>>),
    Neither,
}

fn held(bytes: &[u8], place: &Range<usize>) -> Held {
    let first =
        bytes.get(place.clone()).and_then(|of| of.iter().find(|b| !b.is_ascii_whitespace()));
    match first {
        Some(b'{') => Held::Object(json::members(bytes, place)),
        Some(b'[') => Held::Array(json::items(bytes, place)),
        _ => Held::Neither,
    }
}

/// The place of an item; `-` and leading zeros are none.
fn index(part: &str) -> Option<usize> {
    let is_plain = part == "0" || !part.starts_with('0');
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain && is_number { part.parse().ok() } else { None }
}

/// Where a value begins that ends at `end`, counted back over spaces.
fn trimmed(bytes: &[u8], place: &Range<usize>) -> Range<usize> {
    let of = bytes.get(place.clone()).unwrap_or_default();
    let space = of.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    place.start + space..place.end
}

/// Where a member's name begins, by its value's place: back over the colon and the string.
fn name_of(bytes: &[u8], value: usize, name: &str) -> usize {
    let before = bytes.get(..value).unwrap_or_default();
    let colon = before.iter().rposition(|byte| *byte == b':').unwrap_or(0);
    let close = before.get(..colon).and_then(|of| of.iter().rposition(|byte| *byte == b'"'));
    // A name of a resource holds no escapes; one that does is measured as it was read.
    let open = close.and_then(|close| close.checked_sub(name.len() + 1));
    open.unwrap_or(0)
}

/// The place with the comma before it, or behind it where it is the first of several.
fn with_comma(bytes: &[u8], place: Range<usize>) -> Range<usize> {
    let before = bytes.get(..place.start).unwrap_or_default();
    let back = before.iter().rposition(|byte| !byte.is_ascii_whitespace());
    if let Some(at) = back
        && before.get(at) == Some(&b',')
    {
        return at..place.end;
    }
    let behind = bytes.get(place.end..).unwrap_or_default();
    let next = behind.iter().position(|byte| !byte.is_ascii_whitespace());
    match next {
        Some(at) if behind.get(at) == Some(&b',') => place.start..place.end + at + 1,
        _ => place,
    }
}

/// What stands at a pointer, if anything does.
fn find(bytes: &[u8], path: &[String]) -> Option<Spot> {
    let mut spot = Spot { value: trimmed(bytes, &(0..bytes.len())), whole: 0..bytes.len() };
    for part in path {
        spot = match held(bytes, &spot.value) {
            Held::Object(members) => {
                let member = members.into_iter().find(|member| member.name == *part)?;
                let value = trimmed(bytes, &member.value);
                let start = name_of(bytes, member.value.start, &member.name);
                Spot { whole: with_comma(bytes, start..member.value.end), value }
            }
            Held::Array(items) => {
                let item = items.into_iter().nth(index(part)?)?;
                Spot {
                    whole: with_comma(bytes, trimmed(bytes, &item)),
                    value: trimmed(bytes, &item),
                }
            }
            Held::Neither => return None,
        };
    }
    Some(spot)
}

fn shown(path: &str) -> String {
    super::write::shorten(path)
}

fn missing(path: &str) -> String {
    format!("nothing stands at `{}`", shown(path))
}

fn raw(bytes: &[u8], place: Range<usize>) -> String {
    String::from_utf8_lossy(bytes.get(place).unwrap_or_default()).into_owned()
}

fn remove(bytes: &[u8], path: &str) -> Result<Vec<u8>, String> {
    if path.is_empty() {
        return Err("the whole resource is removed by DELETE".to_owned());
    }
    let spot = find(bytes, &parts(path)).ok_or_else(|| missing(path))?;
    Ok(json::splice(bytes, vec![(spot.whole, String::new())]))
}

fn add(bytes: &[u8], path: &str, value: &str) -> Result<Vec<u8>, String> {
    let way = parts(path);
    let Some((last, above)) = way.split_last() else {
        return Ok(value.as_bytes().to_vec());
    };
    let parent = find(bytes, above).ok_or_else(|| missing(path))?.value;
    let open = parent.start + 1;
    let edit = match held(bytes, &parent) {
        Held::Object(members) => match members.iter().find(|member| member.name == *last) {
            Some(member) => (member.value.clone(), value.to_owned()),
            None => {
                let name = Json::from(last.as_str());
                match members.last() {
                    None => (open..open, format!("{name}:{value}")),
                    Some(before) => {
                        (before.value.end..before.value.end, format!(",{name}:{value}"))
                    }
                }
            }
        },
        Held::Array(items) => {
            let at = if last == "-" { Some(items.len()) } else { index(last) };
            let at = at.filter(|at| *at <= items.len()).ok_or_else(|| missing(path))?;
            match (items.get(at), items.last()) {
                (Some(item), _) => {
                    let start = trimmed(bytes, item).start;
                    (start..start, format!("{value},"))
                }
                (None, Some(before)) => (before.end..before.end, format!(",{value}")),
                (None, None) => (open..open, value.to_owned()),
            }
        }
        Held::Neither => return Err(missing(path)),
    };
    Ok(json::splice(bytes, vec![edit]))
}

impl Op {
    fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Add { path, value } => add(bytes, path, value.get()),
            Self::Remove { path } => remove(bytes, path),
            Self::Replace { path, value } => {
                let spot = find(bytes, &parts(path)).ok_or_else(|| missing(path))?;
                Ok(json::splice(bytes, vec![(spot.value, value.get().to_owned())]))
            }
            Self::Copy { path, from } => {
                let spot = find(bytes, &parts(from)).ok_or_else(|| missing(from))?;
                add(bytes, path, &raw(bytes, spot.value))
            }
            Self::Move { path, from } => {
                if path.starts_with(&format!("{from}/")) {
                    return Err(format!("`{}` cannot be moved into itself", shown(from)));
                }
                let spot = find(bytes, &parts(from)).ok_or_else(|| missing(from))?;
                let value = raw(bytes, spot.value);
                add(&remove(bytes, from)?, path, &value)
            }
            Self::Test { path, value } => {
                let spot = find(bytes, &parts(path)).ok_or_else(|| missing(path))?;
                let present: Option<Json> =
                    bytes.get(spot.value).and_then(|of| serde_json::from_slice(of).ok());
                if present.as_ref() == Some(value) {
                    Ok(bytes.to_vec())
                } else {
                    Err(format!("what stands at `{}` is not what it is tested for", shown(path)))
                }
            }
        }
    }
}

impl Fault {
    /// As the client is told of a body that is no patch.
    pub(in crate::fhir) fn told(self) -> Failure {
        match self {
            Self::Unreadable(reason) => Failure::unreadable(&reason),
            Self::Unfit(reason) => Failure::rule(&reason),
        }
    }
}

impl State {
    /// What a patch makes of the present version (R4 http.html 3.1.0.6): held to the rules like
    /// every other version.
    pub(super) fn patched(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        resource: Resource,
        target: Target,
        patch: &Patch,
        conditions: &Conditions,
    ) -> Answer<Plan> {
        self.permit_write(asking, resource, 'u')?;
        let id = match target {
            Target::Id(id) => id,
            Target::Where(search) => match self.found(asking, db, &search)?.as_slice() {
                [] => return Err(not_found(resource, "that the condition describes")),
                [id] => id.clone(),
                several => return Err(several_match(several.len())),
            },
        };
        let before = rows::find(db, resource.name(), &id).map_err(Error::from)?;
        let Some(head) = &before else {
            return Err(if self.is_derived(asking, resource, &id) {
                Failure::read_only(resource)
            } else {
                not_found(resource, &id)
            });
        };
        if head.is_deleted {
            return Err(Error::Gone { kind: resource.name(), id }.into());
        }
        compare(conditions, Some(head))?;
        let body = rows::body(db, head.number, head.version).map_err(Error::from)?;
        let body = body.ok_or_else(|| not_found(resource, &id))?;
        let bytes = patch.apply(&body).map_err(Fault::told)?;
        let incoming = self.incoming(resource, &bytes)?;
        if incoming.id() != Some(&id) {
            return Err(Failure::rule("a patch does not change the id"));
        }
        Ok(Plan { resource, id, before, what: What::Put(incoming, Method::Update) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::{Fault, Patch};

    const TEXT: &str = r#"{ "a" : 1.50 , "b":[ 1, {"c" : "x"} ,3 ], "d~/":{}, "e":[] }"#;

    fn patched(text: &str, patch: &Json) -> Result<String, Fault> {
        let patch = Patch::read(patch.to_string().as_bytes())?;
        Ok(String::from_utf8(patch.apply(text.as_bytes())?).unwrap())
    }

    #[test]
    fn operations_change_what_they_name_and_nothing_else() {
        for (patch, expected) in [
            (
                json!([{ "op": "remove", "path": "/a" }]),
                r#"{  "b":[ 1, {"c" : "x"} ,3 ], "d~/":{}, "e":[] }"#,
            ),
            (
                json!([{ "op": "remove", "path": "/b/1" }]),
                r#"{ "a" : 1.50 , "b":[ 1 ,3 ], "d~/":{}, "e":[] }"#,
            ),
            (
                json!([{ "op": "remove", "path": "/b/1/c" }]),
                r#"{ "a" : 1.50 , "b":[ 1, {} ,3 ], "d~/":{}, "e":[] }"#,
            ),
            (
                json!([{ "op": "replace", "path": "/b/1/c", "value": "y" }]),
                r#"{ "a" : 1.50 , "b":[ 1, {"c" : "y"} ,3 ], "d~/":{}, "e":[] }"#,
            ),
            (
                json!([{ "op": "add", "path": "/d~0~1/n", "value": 1 }]),
                r#"{ "a" : 1.50 , "b":[ 1, {"c" : "x"} ,3 ], "d~/":{"n":1}, "e":[] }"#,
            ),
            (
                json!([{ "op": "add", "path": "/e/-", "value": 1 }, { "op": "add", "path": "/e/0", "value": 0 }]),
                r#"{ "a" : 1.50 , "b":[ 1, {"c" : "x"} ,3 ], "d~/":{}, "e":[0,1] }"#,
            ),
            (
                json!([{ "op": "move", "from": "/b/0", "path": "/e/0" }]),
                r#"{ "a" : 1.50 , "b":[  {"c" : "x"} ,3 ], "d~/":{}, "e":[1] }"#,
            ),
            (
                json!([{ "op": "copy", "from": "/a", "path": "/f" }]),
                r#"{ "a" : 1.50 , "b":[ 1, {"c" : "x"} ,3 ], "d~/":{}, "e":[],"f":1.50 }"#,
            ),
            (
                json!([{ "op": "replace", "path": "/b", "value": null }, { "op": "test", "path": "/b", "value": null }]),
                r#"{ "a" : 1.50 , "b":null, "d~/":{}, "e":[] }"#,
            ),
            (json!([{ "op": "test", "path": "/a", "value": 1.5 }]), TEXT),
        ] {
            assert_eq!(patched(TEXT, &patch).unwrap(), expected, "{patch}");
        }
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        for patch in [
            json!([{ "op": "remove", "path": "/x" }]),
            json!([{ "op": "remove", "path": "" }]),
            json!([{ "op": "replace", "path": "/b/9", "value": 1 }]),
            json!([{ "op": "replace", "path": "/b/01", "value": 1 }]),
            json!([{ "op": "replace", "path": "/b/-", "value": 1 }]),
            json!([{ "op": "add", "path": "/b/4", "value": 1 }]),
            json!([{ "op": "add", "path": "/a/b", "value": 1 }]),
            json!([{ "op": "test", "path": "/a", "value": 1 }]),
            json!([{ "op": "test", "path": "/a", "value": "1.5" }]),
            json!([{ "op": "move", "from": "/b", "path": "/b/0" }]),
            json!([{ "op": "copy", "from": "/x", "path": "/y" }]),
        ] {
            assert!(matches!(patched(TEXT, &patch), Err(Fault::Unfit(_))), "{patch}");
        }
        for patch in [
            json!({}),
            json!([{ "op": "add", "path": "/a" }]),
            json!([{ "op": "add", "path": "a", "value": 1 }]),
            json!([{ "op": "spin", "path": "/a" }]),
            json!([{ "op": "move", "path": "/a" }]),
            json!([7]),
            json!(vec![json!({ "op": "test", "path": "/a", "value": 1.5 }); 201]),
        ] {
            assert!(matches!(patched(TEXT, &patch), Err(Fault::Unreadable(_))), "{patch}");
        }
        assert!(Patch::read("[".repeat(100_000).as_bytes()).is_err());
        assert!(Patch::read(br#"[{"op":"test","op":"add","path":"","value":1}]"#).is_err());
    }

    /// Some JSON, and pointers that may lead into it.
    fn some_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i32>().prop_map(Json::from),
            "[a-c~/\"\\\\ é]{0,4}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever stands there, adding and removing leave JSON of the right form.
        #[test]
        fn the_result_is_what_a_tree_would_be(
            before in some_json(), value in some_json(),
            path in prop::collection::vec(prop_oneof!["[a-c]", "[0-3]", Just("-".to_owned())], 1..4),
            is_pretty in any::<bool>(),
        ) {
            let before = json!({ "a": before, "b": [1, 2, 3] });
            let text = if is_pretty { format!("{before:#}") } else { before.to_string() };
            let path = format!("/{}", path.join("/"));
            if let Ok(after) = patched(&text, &json!([{ "op": "add", "path": path, "value": value }])) {
                let tree: Json = serde_json::from_str(&after).unwrap();
                if !path.ends_with('-') {
                    prop_assert_eq!(tree.pointer(&path), Some(&value));
                    let is_new = before.pointer(&path).is_none();
                    let back = patched(&after, &json!([{ "op": "remove", "path": path }])).unwrap();
                    let back: Json = serde_json::from_str(&back).unwrap();
                    if is_new {
                        prop_assert_eq!(back, before.clone());
                    }
                }
            }
            if before.pointer(&path).is_some() {
                let after = patched(&text, &json!([{ "op": "replace", "path": path, "value": value }]));
                let tree: Json = serde_json::from_str(&after.unwrap()).unwrap();
                prop_assert_eq!(tree.pointer(&path), Some(&value));
            }
        }
    }
}
