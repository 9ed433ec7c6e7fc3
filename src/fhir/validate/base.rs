//! R4 itself: shape, cardinality, types, value sets, targets, invariants of every element.

use serde_json::{Map, Value};

use super::links::{Scope, type_and_id};
use super::path::Element;
use super::primitive::{Primitive, kind_of, shown};
use super::report::{At, Code, Severity};
use super::rules::{BASE, Child, Kind, Node, ValueSet};
use super::{Walk, base_rule, xhtml};

static NULL: Value = Value::Null;

impl<'a> Walk<'a> {
    /// A whole resource: the root, contained, or of an entry.
    pub(super) fn resource(
        &mut self,
        value: &'a Value,
        at: &At<'_>,
        scope: Scope<'a>,
        profiles: &[&str],
    ) {
        let rule = || format!("{BASE}Resource#Resource");
        let Some(object) = value.as_object() else {
            self.error(
                Code::Structure,
                at,
                rule(),
                format!("is {}: a resource is an object", kind_of(value)),
            );
            return;
        };
        let Some(name) = object.get("resourceType").and_then(Value::as_str) else {
            self.error(
                Code::Structure,
                at,
                rule(),
                "has no `resourceType`: name the type of the resource".to_owned(),
            );
            return;
        };
        if !self.rules.is_resource_type(name) {
            let words = format!("`{}` is no resource type of R4", shown(&Value::from(name)));
            self.error(Code::Structure, at, rule(), words);
            return;
        }
        let Some(node) = self.rules.named(name) else {
            let words = format!("resources of the type `{name}` are not checked by this server");
            self.issue(Severity::Warning, Code::NotSupported, at, rule(), words);
            return;
        };
        self.object(node, value, at, scope, "");
        self.contained(object, name, at);
        let claimed = object.get("meta").and_then(|meta| meta.get("profile"));
        let claimed =
            claimed.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let mut wanted: Vec<&str> = Vec::new();
        for url in profiles.iter().copied().chain(claimed) {
            let base = url.strip_prefix(BASE).map(|name| name.split('|').next().unwrap_or(name));
            if base
                .is_some_and(|base| base == name || base == "Resource" || base == "DomainResource")
                || wanted.contains(&url)
            {
                continue;
            }
            wanted.push(url);
        }
        for url in wanted {
            match self.rules.profile(url) {
                Some(profile) if profile.of == name => {
                    self.hold(profile, Element::new(value), at, scope);
                }
                Some(profile) => {
                    let words =
                        format!("the profile is of `{}`, and this is a `{name}`", profile.of);
                    self.error(
                        Code::Structure,
                        at,
                        format!("{}#{}", profile.url, profile.of),
                        words,
                    );
                }
                None => {
                    let url = shown(&Value::from(url));
                    // What was asked for must be known; what is claimed may be a stranger's.
                    let is_asked = profiles.contains(&url.as_str());
                    let severity = if is_asked { Severity::Error } else { Severity::Warning };
                    let words = "the profile is not known here, and was not checked".to_owned();
                    self.issue(severity, Code::NotSupported, at, url, words);
                }
            }
        }
    }

    /// The elements of a resource, data type or backbone element. `held_as` is the path of the
    /// element that holds it, for extensions' contexts.
    pub(super) fn object(
        &mut self,
        node: &'static Node,
        value: &'a Value,
        at: &At<'_>,
        scope: Scope<'a>,
        held_as: &str,
    ) {
        if !self.step(at) {
            return;
        }
        let Some(object) = value.as_object() else {
            let words = format!("is {} where an object is expected", kind_of(value));
            self.error(Code::Structure, at, base_rule(&node.path), words);
            return;
        };
        let is_resource = object.contains_key("resourceType") && !node.path.contains('.');
        let mut present: Vec<(usize, usize, &'a str)> = Vec::with_capacity(object.len());
        for key in object.keys() {
            let bare = key.strip_prefix('_').unwrap_or(key);
            match node.keys.get(bare) {
                Some((child, choice)) => {
                    if key.len() == bare.len() {
                        present.push((*child, *choice, bare));
                        continue;
                    }
                    let kind = node.children.get(*child).and_then(|child| child.kinds.get(*choice));
                    if !matches!(kind, Some((_, Kind::Primitive(_)))) {
                        let words = format!(
                            "`{key}`: only primitive elements have a sibling with `_`; put the extension inside `{bare}`"
                        );
                        self.error(
                            Code::Structure,
                            &at.child(key, None),
                            base_rule(&node.path),
                            words,
                        );
                    } else if !object.contains_key(bare) {
                        present.push((*child, *choice, bare));
                    }
                }
                None if key == "resourceType" && is_resource => {}
                None => self.unknown(node, key, at),
            }
        }
        if present.is_empty() && object.keys().all(|key| key == "resourceType") && !is_resource {
            let words = "is empty: give it a value or an extension, or leave it out".to_owned();
            self.error(Code::Invariant, at, format!("{BASE}Element#ele-1"), words);
            return;
        }
        present.sort_unstable();
        let mut rest = present.as_slice();
        for (number, child) in node.children.iter().enumerate() {
            let own = rest.iter().take_while(|(of, ..)| *of == number).count();
            let (own, after) = rest.split_at(own);
            rest = after;
            match own {
                [] if child.min > 0 => {
                    let (name, path) = (&child.name, &child.path);
                    let words =
                        format!("`{name}` is missing: {} needs at least {}", node.path, child.min);
                    self.error(Code::Required, &at.child(name, None), base_rule(path), words);
                }
                [] => {}
                [(_, choice, key)] => {
                    self.element(node, child, *choice, key, object, at, scope, held_as)
                }
                several => {
                    let keys: Vec<String> =
                        several.iter().map(|(_, _, key)| format!("`{key}`")).collect();
                    let words = format!("only one of {} may be given", keys.join(", "));
                    self.error(
                        Code::Structure,
                        &at.child(&child.name, None),
                        base_rule(&child.path),
                        words,
                    );
                    for (_, choice, key) in several {
                        self.element(node, child, *choice, key, object, at, scope, held_as);
                    }
                }
            }
        }
        self.prose(node, object, at);
        let definition = format_definition(&node.path);
        for invariant in &node.rules {
            self.invariant(invariant, &definition, Element::new(value), at, scope);
        }
    }

    fn unknown(&mut self, node: &'static Node, key: &'a str, at: &At<'_>) {
        let choices = || {
            let child = node.children.iter().find(|child| child.name == key)?;
            let kinds: Vec<String> = child
                .kinds
                .iter()
                .take(6)
                .map(|(kind, _)| format!("`{}`", super::rules::choice_key(key, kind)))
                .collect();
            Some(format!("; write the type into the name: {}", kinds.join(", ")))
        };
        let name = shown(&Value::from(key));
        let words =
            format!("`{name}` is no element of {}{}", node.path, choices().unwrap_or_default());
        self.error(Code::Structure, &at.child(&name, None), base_rule(&node.path), words);
    }

    /// All occurrences of one element of one parent.
    #[allow(clippy::too_many_arguments, reason = "what an element is, and where it stands")]
    fn element(
        &mut self,
        node: &'static Node,
        child: &'static Child,
        choice: usize,
        key: &'a str,
        object: &'a Map<String, Value>,
        at: &At<'_>,
        scope: Scope<'a>,
        held_as: &str,
    ) {
        let rule = || base_rule(&child.path);
        let Some((kind_name, kind)) = child.kinds.get(choice) else {
            return;
        };
        let value = object.get(key);
        let beside = match kind {
            Kind::Primitive(_) => object.get(&format!("_{key}")),
            _ => None,
        };
        // The name of a choice tells the type; FHIRPath leaves it out.
        let suffix = key.strip_prefix(child.name.as_str()).filter(|suffix| !suffix.is_empty());
        let scope = match (node.path.as_str(), key) {
            ("Bundle.entry", "resource") => {
                Scope { address: object.get("fullUrl").and_then(Value::as_str), ..scope }
            }
            _ => scope,
        };
        let is_many = child.max.is_none_or(|max| max > 1);
        let one = |walk: &mut Self, value: &'a Value, beside: Option<&'a Value>, index| {
            let at = at.child(&child.name, index);
            let item = Element { value, beside, kind: suffix };
            match kind {
                Kind::Primitive(primitive) => {
                    walk.primitive(primitive, child, item, index.is_some(), &at, scope);
                }
                Kind::Resource => walk.inner(node, value, &at, scope),
                Kind::Node(number) => {
                    let Some(inner) = walk.rules.node(*number) else {
                        return;
                    };
                    walk.object(inner, value, &at, scope, &child.path);
                    if kind_name == "Extension" {
                        walk.extension(
                            value,
                            &at,
                            scope,
                            &[&node.path, held_as],
                            child.name == "modifierExtension",
                        );
                    }
                    if kind_name == "Reference" && !child.targets.is_empty() {
                        walk.target(child, value, &at, scope);
                    }
                }
            }
            if let Some(set) = &child.binding {
                walk.bound(set, kind_name, value, &at, &rule());
            }
            if !child.rules.is_empty() {
                let definition = format_definition(&child.path);
                for invariant in &child.rules {
                    walk.invariant(invariant, &definition, item, &at, scope);
                }
            }
        };
        let at_name = at.child(&child.name, None);
        match (value, beside) {
            (Some(Value::Array(values)), beside) if is_many => {
                let besides = match beside {
                    None => None,
                    Some(Value::Array(besides)) => Some(besides),
                    Some(other) => {
                        let words = format!(
                            "`_{key}` is {}: it is an array as long as `{key}`",
                            kind_of(other)
                        );
                        self.error(Code::Structure, &at_name, rule(), words);
                        None
                    }
                };
                if values.is_empty() {
                    let words = format!("`{key}` is an empty array: leave it out");
                    self.error(Code::Structure, &at_name, rule(), words);
                }
                if besides.is_some_and(|besides| besides.len() != values.len()) {
                    let words = format!("`_{key}` is as long as `{key}`; fill up with null");
                    self.error(Code::Structure, &at_name, rule(), words);
                }
                if child.max.is_some_and(|max| values.len() > max as usize) {
                    let words = format!("`{key}` occurs {} times, more than allowed", values.len());
                    self.error(Code::Structure, &at_name, rule(), words);
                }
                for (index, value) in values.iter().enumerate() {
                    let beside =
                        besides.and_then(|besides| besides.get(index)).filter(|it| !it.is_null());
                    one(self, value, beside, Some(index));
                }
            }
            (None, Some(Value::Array(besides))) if is_many => {
                for (index, beside) in besides.iter().enumerate() {
                    one(self, &NULL, Some(beside).filter(|it| !it.is_null()), Some(index));
                }
            }
            (Some(Value::Array(_)), _) | (None, Some(Value::Array(_))) => {
                let words =
                    format!("`{key}` is an array, and occurs once only: take the brackets away");
                self.error(Code::Structure, &at_name, rule(), words);
            }
            (Some(value), _) if is_many => {
                let words = format!(
                    "`{key}` is {}, and may occur several times: put it into an array",
                    kind_of(value)
                );
                self.error(Code::Structure, &at_name, rule(), words);
            }
            (None, Some(other)) if is_many => {
                let words = format!("`_{key}` is {}: put it into an array", kind_of(other));
                self.error(Code::Structure, &at_name, rule(), words);
            }
            (value, beside) => one(self, value.unwrap_or(&NULL), beside, None),
        }
    }

    /// A contained resource, or the resource of an entry or parameter.
    fn inner(&mut self, node: &'static Node, value: &'a Value, at: &At<'_>, scope: Scope<'a>) {
        if !self.step(at) {
            return;
        }
        if node.path.contains('.') {
            let scope = Scope { resource: value, root: value, ..scope };
            if value.get("resourceType").and_then(Value::as_str) == Some("Bundle") {
                // A Bundle in a Bundle is a world of its own.
                let outer = std::mem::replace(&mut self.links, super::Links::of(value));
                self.resource(value, at, scope, &[]);
                self.links = outer;
            } else {
                self.resource(value, at, scope, &[]);
            }
        } else {
            self.resource(value, at, Scope { resource: value, ..scope }, &[]);
        }
    }

    fn primitive(
        &mut self,
        primitive: &Primitive,
        child: &'static Child,
        item: Element<'a>,
        is_in_array: bool,
        at: &At<'_>,
        scope: Scope<'a>,
    ) {
        self.steps += 1;
        let rule = || base_rule(&child.path);
        if item.value.is_null() {
            let says_something =
                item.beside.is_some_and(|beside| beside.get("extension").is_some());
            if !says_something {
                let words = if is_in_array || item.beside.is_some() {
                    "has neither a value nor an extension: remove it"
                } else {
                    "null is no value: leave the element out"
                };
                self.error(Code::Structure, at, format!("{BASE}Element#ele-1"), words.to_owned());
                return;
            }
        } else if let Some(fault) = primitive.fault(item.value) {
            self.error(Code::Value, at, rule(), fault);
        } else if primitive.is_xhtml()
            && let Some(fault) = item.value.as_str().and_then(xhtml::fault)
        {
            self.error(Code::Invariant, at, format!("{BASE}Narrative#txt-1"), fault);
        }
        let Some(beside) = item.beside else {
            return;
        };
        let Some(object) = beside.as_object() else {
            let words =
                format!("what stands beside it under `_` is {}: it is an object", kind_of(beside));
            self.error(Code::Structure, at, rule(), words);
            return;
        };
        for (key, value) in object {
            match (key.as_str(), value) {
                ("id", Value::String(_)) => {}
                ("extension", Value::Array(extensions)) if !extensions.is_empty() => {
                    let Some(node) = self.rules.named("Extension") else {
                        continue;
                    };
                    for (index, extension) in extensions.iter().enumerate() {
                        let at = at.child("extension", Some(index));
                        self.object(node, extension, &at, scope, &child.path);
                        let kind = child.kinds.first().map_or("", |(kind, _)| kind.as_str());
                        self.extension(extension, &at, scope, &[&child.path, kind], false);
                    }
                }
                (key, _) => {
                    let name = shown(&Value::from(key));
                    let words = format!(
                        "beside a primitive stand `id` (a text) and `extension` (an array), not `{name}` as {}",
                        kind_of(value)
                    );
                    self.error(Code::Structure, &at.child(&name, None), rule(), words);
                }
            }
        }
    }

    /// Whether a coded element is of a required value set.
    pub(super) fn bound(
        &mut self,
        set: &ValueSet,
        kind: &str,
        value: &Value,
        at: &At<'_>,
        rule: &str,
    ) {
        let coded = |coding: &Value| {
            let system = coding.get("system").and_then(Value::as_str);
            let code = coding.get("code").and_then(Value::as_str);
            code.is_some_and(|code| system.is_some_and(|system| set.has(Some(system), code)))
        };
        let is_in = match kind {
            "Coding" | "Quantity" => value.is_object() && coded(value),
            "CodeableConcept" => {
                let codings = value.get("coding").and_then(Value::as_array);
                codings.is_some_and(|codings| codings.iter().any(coded))
            }
            // What is not of the type was told already; no value at all says why in an extension.
            _ => value.as_str().is_none_or(|code| set.has(None, code)),
        };
        if !is_in {
            let words =
                format!("its code is not of the required value set {} ({})", set.url, set.sample());
            self.error(Code::CodeInvalid, at, rule.to_owned(), words);
        }
    }

    /// Whether a reference points to a type that may stand there.
    fn target(&mut self, child: &'static Child, value: &'a Value, at: &At<'_>, scope: Scope<'a>) {
        let Some(kind) = self.type_of_target(value, scope) else {
            return;
        };
        let is_right =
            child.targets.iter().any(|target| target == kind || target.starts_with("http"));
        if !is_right {
            let words =
                format!("refers to a `{kind}`, and may refer to: {}", child.targets.join(", "));
            self.error(Code::Structure, at, base_rule(&child.path), words);
        }
    }

    /// The type that a reference points to, as far as it can be told.
    pub(super) fn type_of_target(&self, value: &'a Value, scope: Scope<'a>) -> Option<&'a str> {
        let text = |key| value.get(key).and_then(Value::as_str);
        let found = text("reference").and_then(|reference| self.links.find(reference, scope));
        let named = |name: &&str| self.rules.is_resource_type(name);
        match found {
            Some(found) => found.resource.get("resourceType").and_then(Value::as_str),
            None => {
                let told = text("reference").and_then(type_and_id).map(|(kind, _)| kind);
                told.filter(named).or_else(|| text("type").filter(named))
            }
        }
    }
}

/// `ImagingStudy.series` → the canonical of ImagingStudy.
fn format_definition(path: &str) -> String {
    format!("{BASE}{}", path.split('.').next().unwrap_or(path))
}
