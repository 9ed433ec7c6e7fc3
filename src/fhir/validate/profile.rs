//! Profiles: what they say of an element, its children, its slices and what it refers to.

use serde_json::Value;

use super::Walk;
use super::links::Scope;
use super::path::Element;
use super::primitive::shown;
use super::report::{At, Code, Severity};
pub(super) use super::shape::Profile;
use super::shape::{Shape, has_pattern};

static NULL: Value = Value::Null;

/// An occurrence of an element, with its name and index.
pub(super) struct Occurrence<'a> {
    pub element: Element<'a>,
    pub index: Option<usize>,
}

/// The occurrences of an element in its parent; `value[x]` finds whatever type is there.
pub(super) fn occurrences<'a>(parent: Element<'a>, name: &str) -> Vec<Occurrence<'a>> {
    let mut found = Vec::new();
    let mut add = |value: Option<&'a Value>, beside: Option<&'a Value>, kind: Option<&'a str>| {
        let length = |it: Option<&'a Value>| it.and_then(Value::as_array).map(Vec::len);
        match length(value).max(length(beside)) {
            Some(length) => {
                for index in 0..length {
                    let value = value.and_then(|value| value.get(index)).unwrap_or(&NULL);
                    let beside =
                        beside.and_then(|beside| beside.get(index)).filter(|it| !it.is_null());
                    let element = Element { value, beside, kind };
                    found.push(Occurrence { element, index: Some(index) });
                }
            }
            None if value.is_some() || beside.is_some() => {
                let element = Element { value: value.unwrap_or(&NULL), beside, kind };
                found.push(Occurrence { element, index: None });
            }
            None => {}
        }
    };
    if name == "extension"
        && let Some(beside) = parent.beside
    {
        add(beside.get("extension"), None, None);
    }
    let Some(object) = parent.value.as_object() else {
        return found;
    };
    match name.strip_suffix("[x]") {
        None => add(object.get(name), object.get(&format!("_{name}")), None),
        Some(stem) => {
            for (key, value) in object {
                let bare = key.strip_prefix('_').unwrap_or(key);
                let Some(kind) = bare.strip_prefix(stem) else {
                    continue;
                };
                let is_choice = kind.starts_with(|first: char| first.is_ascii_uppercase());
                if !is_choice || (bare.len() < key.len() && object.contains_key(bare)) {
                    continue;
                }
                if bare.len() < key.len() {
                    add(None, Some(value), Some(kind));
                } else {
                    add(Some(value), object.get(&format!("_{key}")), Some(kind));
                }
            }
        }
    }
    found
}

/// Whether the name of a choice (`DateTime`) is that of a type (`dateTime`).
pub(super) fn is_type(suffix: &str, kind: &str) -> bool {
    suffix.len() == kind.len() && suffix.eq_ignore_ascii_case(kind)
}

impl<'a> Walk<'a> {
    /// Holds an element to a profile, and tells what is wrong.
    pub(super) fn hold(
        &mut self,
        profile: &'static Profile,
        element: Element<'a>,
        at: &At<'_>,
        scope: Scope<'a>,
    ) {
        self.shape(profile, &profile.root, element, at, scope);
    }

    /// The first fault of an element under a profile, without telling it.
    pub(super) fn fault(
        &mut self,
        profile: &'static Profile,
        element: Element<'a>,
        scope: Scope<'a>,
    ) -> Option<String> {
        let key = (std::ptr::from_ref(element.value), std::ptr::from_ref(profile));
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        // What refers to itself holds unless something else is wrong.
        self.known.insert(key, None);
        let told = std::mem::take(&mut self.issues);
        let name = element.value.get("resourceType").and_then(Value::as_str).unwrap_or(&profile.of);
        self.hold(profile, element, &At::root(name), scope);
        let found = std::mem::replace(&mut self.issues, told);
        let fault = found
            .iter()
            .find(|issue| issue.severity == Severity::Error)
            .map(|issue| format!("{}: {}", issue.expression, issue.diagnostics));
        self.known.insert(key, fault.clone());
        fault
    }

    fn shape(
        &mut self,
        profile: &'static Profile,
        shape: &'static Shape,
        element: Element<'a>,
        at: &At<'_>,
        scope: Scope<'a>,
    ) {
        if !self.step(at) {
            return;
        }
        let rule = || format!("{}#{}", profile.url, shape.id);
        let value = element.value;
        if let Some(fixed) = &shape.fixed
            && value != fixed
        {
            let words = format!("must be exactly `{}`", shown(fixed));
            self.error(Code::Value, at, rule(), words);
        }
        if let Some(pattern) = &shape.pattern
            && !has_pattern(value, pattern)
        {
            let words = format!("must contain `{}`", shown(pattern));
            self.error(Code::Value, at, rule(), words);
        }
        let own = element.kind.or_else(|| value.get("resourceType").and_then(Value::as_str));
        if let Some(own) = own
            && !shape.types.is_empty()
            && !shape.types.iter().any(|kind| is_type(own, kind))
        {
            let words =
                format!("is of the type `{own}`; the profile takes: {}", shape.types.join(", "));
            self.error(Code::Structure, at, rule(), words);
        }
        if let Some(set) = &shape.binding {
            let kind = match value {
                Value::Object(object)
                    if object.contains_key("coding") || object.contains_key("text") =>
                {
                    "CodeableConcept"
                }
                Value::Object(_) => "Coding",
                _ => "code",
            };
            self.bound(set, kind, value, at, &rule());
        }
        for invariant in &shape.rules {
            self.invariant(invariant, &profile.url, element, at, scope);
        }
        self.of_type(shape, element, at, scope, &rule);
        if !shape.targets.is_empty() && value.is_object() {
            self.profiled_target(shape, value, at, scope, &rule);
        }
        for child in &shape.children {
            self.group(profile, child, element, at, scope);
        }
    }

    /// The profiles of the type (`Identifier` as a Study Instance UID), one of which must hold.
    fn of_type(
        &mut self,
        shape: &'static Shape,
        element: Element<'a>,
        at: &At<'_>,
        scope: Scope<'a>,
        rule: &dyn Fn() -> String,
    ) {
        let known: Vec<_> = shape.profiles.iter().map(|url| self.rules.profile(url)).collect();
        match known.as_slice() {
            // Extensions are held to their definition wherever they stand.
            [Some(one)] if one.of != "Extension" => {
                let scope = match element.value.get("resourceType") {
                    Some(_) => Scope { resource: element.value, root: element.value, ..scope },
                    None => scope,
                };
                self.hold(one, element, at, scope);
            }
            [] | [_] => {}
            several => {
                let holds = several.iter().any(|profile| {
                    profile.is_none_or(|profile| self.fault(profile, element, scope).is_none())
                });
                if !holds {
                    let words = format!("holds to none of: {}", shape.profiles.join(", "));
                    self.error(Code::Structure, at, rule(), words);
                }
            }
        }
    }

    /// What a reference points to: its type, and its profile when it is at hand.
    fn profiled_target(
        &mut self,
        shape: &'static Shape,
        value: &'a Value,
        at: &At<'_>,
        scope: Scope<'a>,
        rule: &dyn Fn() -> String,
    ) {
        let Some(kind) = self.type_of_target(value, scope) else {
            return;
        };
        let rules = self.rules;
        let type_of = |target: &'static String| {
            if target.starts_with("http") {
                rules.profile(target).map(|profile| profile.of.as_str())
            } else {
                Some(target.as_str())
            }
        };
        // A target that is not known here may be of any type.
        let fitting: Vec<&'static String> = shape
            .targets
            .iter()
            .filter(|target| type_of(target).is_none_or(|of| of == kind))
            .collect();
        if fitting.is_empty() {
            let words = format!(
                "refers to a `{kind}`, and the profile takes: {}",
                shape.targets.join(", ")
            );
            self.error(Code::Structure, at, rule(), words);
            return;
        }
        let reference = value.get("reference").and_then(Value::as_str);
        let Some(found) = reference.and_then(|reference| self.links.find(reference, scope)) else {
            return;
        };
        let mut first = None;
        for target in &fitting {
            let Some(profile) = rules.profile(target) else {
                return;
            };
            match self.fault(profile, Element::new(found.resource), found.scope) {
                None => return,
                Some(fault) => first = first.or(Some((profile.url.as_str(), fault))),
            }
        }
        if let Some((url, fault)) = first {
            let words = format!("what it refers to does not hold to {url}: {fault}");
            self.error(Code::Structure, at, rule(), words);
        }
    }

    /// The occurrences of one element: how many, each of them, and its slices.
    fn group(
        &mut self,
        profile: &'static Profile,
        shape: &'static Shape,
        parent: Element<'a>,
        at: &At<'_>,
        scope: Scope<'a>,
    ) {
        let stem = shape.name.trim_end_matches("[x]");
        let found = occurrences(parent, &shape.name);
        self.count(profile, shape, stem, found.len(), at);
        for occurrence in &found {
            let at = at.child(stem, occurrence.index);
            let scope = self.entered(shape, parent, scope, occurrence);
            self.shape(profile, shape, occurrence.element, &at, scope);
        }
        if shape.slices.is_empty() {
            return;
        }
        let places = self.place(shape, &found, at, scope, profile);
        for (number, slice) in shape.slices.iter().enumerate() {
            let outer = slice
                .resliced()
                .map(|name| shape.slices.iter().position(|slice| slice.name == name));
            let mut own = Vec::new();
            for (occurrence, place) in found.iter().zip(&places) {
                let is_own = match outer {
                    None => *place == Some(number),
                    // A slice of a slice is looked for in that one.
                    Some(outer) => *place == outer && self.fits(shape, slice, occurrence, scope),
                };
                if is_own {
                    own.push(occurrence);
                }
            }
            self.count(profile, slice, stem, own.len(), at);
            if slice.min.is_some_and(|min| own.len() < min as usize) {
                self.tell_nearest(slice, &found, &places, scope);
            }
            for occurrence in own {
                let at = at.child(stem, occurrence.index);
                self.shape(profile, slice, occurrence.element, &at, scope);
            }
        }
    }

    /// Says of a missing slice why what stands there is not it.
    fn tell_nearest(
        &mut self,
        slice: &'static Shape,
        found: &[Occurrence<'a>],
        places: &[Option<usize>],
        scope: Scope<'a>,
    ) {
        let inner = slice.child("resource").filter(|_| slice.profiles.is_empty());
        let [url] = inner.unwrap_or(slice).profiles.as_slice() else {
            return;
        };
        let Some(profile) = self.rules.profile(url) else {
            return;
        };
        let others = found.iter().zip(places).filter(|(_, place)| place.is_none());
        for (occurrence, _) in others {
            let mut element = occurrence.element;
            if inner.is_some() {
                let Some(resource) = element.value.get("resource") else {
                    continue;
                };
                element = Element::new(resource);
            }
            if element.value.get("resourceType").is_some_and(|kind| *kind != profile.of.as_str()) {
                continue;
            }
            let Some(fault) = self.fault(profile, element, scope) else {
                continue;
            };
            if let Some(issue) = self.issues.last_mut() {
                let index = occurrence.index.map(|index| format!("[{index}]")).unwrap_or_default();
                issue.diagnostics.push_str(&format!(" ({index} is not it: {fault})"));
            }
            return;
        }
    }

    /// The scope of what stands in an entry is that of its own resource.
    fn entered(
        &self,
        shape: &Shape,
        parent: Element<'a>,
        scope: Scope<'a>,
        occurrence: &Occurrence<'a>,
    ) -> Scope<'a> {
        let value = occurrence.element.value;
        if shape.name != "resource" || value.get("resourceType").is_none() {
            return scope;
        }
        let address = parent.value.get("fullUrl").and_then(Value::as_str);
        Scope { resource: value, root: value, address }
    }

    fn count(
        &mut self,
        profile: &'static Profile,
        shape: &'static Shape,
        stem: &str,
        count: usize,
        at: &At<'_>,
    ) {
        let rule = || format!("{}#{}", profile.url, shape.id);
        let slice =
            shape.id.rsplit_once(':').map(|(_, slice)| slice).filter(|slice| *slice == shape.name);
        let what = match slice {
            Some(slice) => format!("`{stem}` of the slice `{slice}`"),
            None => format!("`{stem}`"),
        };
        if let Some(min) = shape.min
            && count < min as usize
        {
            let hint = wanted(shape).map(|value| format!(" with `{value}`")).unwrap_or_default();
            let words =
                format!("{what} occurs {count} times, and must at least {min} times: add it{hint}");
            self.error(Code::Required, &at.child(stem, None), rule(), words);
        }
        if let Some(Some(max)) = shape.max
            && count > max as usize
        {
            let words = match max {
                0 => format!("{what} may not be given here: remove it"),
                max => format!("{what} occurs {count} times, and may at most {max} times"),
            };
            self.error(Code::Structure, &at.child(stem, None), rule(), words);
        }
    }
}

/// What a missing slice would have to contain, or hold to.
fn wanted(shape: &Shape) -> Option<String> {
    let own = shape.fixed.as_ref().or(shape.pattern.as_ref());
    let of_child =
        || shape.children.iter().find_map(|child| child.fixed.as_ref().or(child.pattern.as_ref()));
    own.or_else(of_child).map(shown).or_else(|| shape.profiles.first().cloned())
}
