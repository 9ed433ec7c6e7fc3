//! Slices: which occurrence belongs to which (FHIR R4 profiling.html#discriminator).

use serde_json::Value;

use super::Walk;
use super::links::Scope;
use super::path::Element;
use super::profile::{Occurrence, Profile, is_type, occurrences};
use super::report::{At, Code};
use super::rules::BASE;
use super::shape::{Shape, has_pattern};
use super::table::{Discriminator, DiscriminatorKind, Openness};

/// Where a discriminator's path leads: in the data and in the profile.
struct Reached<'a> {
    elements: Vec<(Element<'a>, Scope<'a>)>,
    shapes: Vec<&'static Shape>,
    /// Profiles and types of what was referred to, once the path has gone through `resolve()`.
    targets: Option<Vec<&'static str>>,
    /// The types of what is referred to and not at hand.
    unresolved: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    /// The slice of each occurrence, if any; tells what may not stand beside the slices.
    pub(super) fn place(
        &mut self,
        shape: &'static Shape,
        found: &[Occurrence<'a>],
        at: &At<'_>,
        scope: Scope<'a>,
        profile: &'static Profile,
    ) -> Vec<Option<usize>> {
        let places: Vec<Option<usize>> = found
            .iter()
            .map(|occurrence| {
                (0..shape.slices.len()).find(|number| {
                    shape.slices.get(*number).is_some_and(|slice| {
                        slice.resliced().is_none() && self.fits(shape, slice, occurrence, scope)
                    })
                })
            })
            .collect();
        let Some(slicing) = &shape.slicing else {
            return places;
        };
        let stem = shape.name.trim_end_matches("[x]");
        let rule = || format!("{}#{}", profile.url, shape.id);
        let (mut last, mut has_other) = (0, false);
        for (occurrence, place) in found.iter().zip(&places) {
            let at = at.child(stem, occurrence.index);
            let wrong = match (place, slicing.rules) {
                (None, Openness::Closed) => {
                    Some("is of no slice of the profile, which takes no others")
                }
                (Some(_), Openness::OpenAtEnd) if has_other => {
                    Some("comes after one that is of no slice: put that one at the end")
                }
                (Some(place), _) if slicing.ordered && *place < last => {
                    Some("is out of the order of the profile's slices")
                }
                _ => None,
            };
            has_other |= place.is_none();
            last = place.unwrap_or(last).max(last);
            if let Some(words) = wrong {
                let names: Vec<&str> =
                    shape.slices.iter().map(|slice| slice.name.as_str()).collect();
                let words = format!("{words} (slices: {})", names.join(", "));
                self.error(Code::Structure, &at, rule(), words);
            }
        }
        places
    }

    pub(super) fn fits(
        &mut self,
        shape: &'static Shape,
        slice: &'static Shape,
        occurrence: &Occurrence<'a>,
        scope: Scope<'a>,
    ) -> bool {
        let element = occurrence.element;
        // A choice is sliced by the type in its name.
        if shape.name.ends_with("[x]")
            && let Some(kind) = element.kind
            && !slice.types.is_empty()
        {
            return slice.types.iter().any(|name| is_type(kind, name));
        }
        let Some(slicing) = &shape.slicing else {
            return self.is_of(slice, element, scope);
        };
        if slicing.by.is_empty() {
            return self.is_of(slice, element, scope);
        }
        // A discriminator that the slice says nothing of does not tell it apart; one must.
        let mut is_told = false;
        for by in &slicing.by {
            match self.fits_by(by, slice, element, scope) {
                Some(true) => is_told = true,
                Some(false) => return false,
                None if slice.resliced().is_some() => return false,
                None => {}
            }
        }
        is_told
    }

    /// Without discriminator: by what the slice names, or by its profile.
    fn is_of(&mut self, slice: &'static Shape, element: Element<'a>, scope: Scope<'a>) -> bool {
        if slice.names_a_value() {
            return has_named(slice, element);
        }
        self.holds_to_one(&slice.profiles, element, scope)
    }

    fn holds_to_one(
        &mut self,
        profiles: &'static [String],
        element: Element<'a>,
        scope: Scope<'a>,
    ) -> bool {
        profiles.iter().any(|url| self.holds_to(url, element, scope))
    }

    /// By content, or by claim: one that claims the profile and breaks it is told of its faults.
    fn holds_to(&mut self, url: &str, element: Element<'a>, scope: Scope<'a>) -> bool {
        let claims = element.value.get("meta").and_then(|meta| meta.get("profile"));
        let is_claimed = claims.and_then(Value::as_array).is_some_and(|claims| {
            claims.iter().any(|claim| {
                claim.as_str().is_some_and(|claim| claim.split('|').next() == Some(url))
            })
        });
        if let Some(name) = url.strip_prefix(BASE)
            && self.rules.named(name).is_some()
        {
            // A type of R4 itself; that it is one is checked everywhere.
            return element.value.get("resourceType").is_none_or(|kind| kind == name);
        }
        let Some(profile) = self.rules.profile(url) else {
            return is_claimed;
        };
        if element.value.get("resourceType").is_some_and(|kind| *kind != profile.of.as_str()) {
            return false;
        }
        is_claimed || self.fault(profile, element, scope).is_none()
    }

    /// Whether a discriminator takes the element for the slice; `None` when the slice names
    /// nothing that it could compare.
    fn fits_by(
        &mut self,
        by: &Discriminator,
        slice: &'static Shape,
        element: Element<'a>,
        scope: Scope<'a>,
    ) -> Option<bool> {
        // By far the most frequent: an extension by its URL.
        if by.path == "url"
            && let [url] = slice.profiles.as_slice()
        {
            return Some(element.value.get("url").and_then(Value::as_str) == Some(url));
        }
        let reached = self.reach(&by.path, slice, element, scope);
        match by.kind {
            DiscriminatorKind::Value | DiscriminatorKind::Pattern => {
                let naming: Vec<_> =
                    reached.shapes.iter().filter(|shape| shape.names_a_value()).collect();
                let is_it = |(element, _): &(Element<'a>, Scope<'a>)| {
                    naming.iter().all(|shape| has_named(shape, *element))
                };
                (!naming.is_empty()).then(|| reached.elements.iter().any(is_it))
            }
            DiscriminatorKind::Exists => {
                let is_wanted =
                    reached.shapes.iter().any(|shape| shape.min.is_some_and(|min| min > 0));
                let is_barred = reached.shapes.iter().any(|shape| shape.max == Some(Some(0)));
                let is_there = !reached.elements.is_empty();
                (is_wanted || is_barred).then_some(is_there == is_wanted)
            }
            DiscriminatorKind::Type => Some(self.fits_type(&reached)),
            DiscriminatorKind::Profile => Some(self.fits_profile(&reached, slice, element, scope)),
        }
    }

    fn fits_type(&self, reached: &Reached<'a>) -> bool {
        let own = |(element, scope): &(Element<'a>, Scope<'a>)| {
            let named = element.value.get("resourceType").and_then(Value::as_str).or(element.kind);
            // `Reference(Patient)` is told apart by what is referred to.
            named.or_else(|| self.type_of_target(element.value, *scope))
        };
        let targets = |shape: &&'static Shape| shape.targets.iter().map(String::as_str);
        let mut names: Vec<&'static str> = match &reached.targets {
            Some(targets) => targets.clone(),
            None => reached.shapes.iter().flat_map(targets).collect(),
        };
        if names.is_empty() {
            names = reached
                .shapes
                .iter()
                .flat_map(|shape| shape.types.iter().map(String::as_str))
                .collect();
        }
        let rules = self.rules;
        let unresolved = reached.unresolved.iter().copied();
        reached.elements.iter().filter_map(own).chain(unresolved).any(|kind| {
            names.iter().any(|name| match rules.profile(name) {
                Some(profile) => profile.of == kind,
                None => is_type(kind, name),
            })
        })
    }

    fn fits_profile(
        &mut self,
        reached: &Reached<'a>,
        slice: &'static Shape,
        element: Element<'a>,
        scope: Scope<'a>,
    ) -> bool {
        if let Some(targets) = &reached.targets {
            if let [unresolved] = reached.unresolved.as_slice() {
                return targets.iter().any(|target| {
                    let profile = self.rules.profile(target);
                    profile.map_or(*target, |profile| &profile.of) == *unresolved
                });
            }
            return reached.elements.iter().any(|(element, scope)| {
                targets.iter().any(|target| {
                    let kind = element.value.get("resourceType").and_then(Value::as_str);
                    kind == Some(*target) || self.holds_to(target, *element, *scope)
                })
            });
        }
        let mut has_profile = false;
        for shape in &reached.shapes {
            for profile in &shape.profiles {
                has_profile = true;
                if reached
                    .elements
                    .iter()
                    .any(|(element, scope)| self.holds_to(profile, *element, *scope))
                {
                    return true;
                }
            }
        }
        if has_profile {
            return false;
        }
        // HL7 Europe Imaging writes the path `system` where the profile is that of the item itself.
        if !slice.profiles.is_empty() {
            return self.holds_to_one(&slice.profiles, element, scope);
        }
        if slice.targets.is_empty() {
            return slice.names_a_value() && has_named(slice, element);
        }
        // A reference by the profile of what it refers to; by its type when that is elsewhere.
        let reference = element.value.get("reference").and_then(Value::as_str);
        let found = reference.and_then(|reference| self.links.find(reference, scope));
        let kind = self.type_of_target(element.value, scope);
        slice.targets.iter().any(|target| match &found {
            Some(found) => {
                kind == Some(target)
                    || self.holds_to(target, Element::new(found.resource), found.scope)
            }
            None => {
                // By identifier alone nothing tells what it refers to.
                if kind.is_none()
                    && reference.is_none()
                    && element.value.get("identifier").is_some()
                {
                    return true;
                }
                let profile = self.rules.profile(target);
                kind.is_some() && kind == Some(profile.map_or(target, |profile| &profile.of))
            }
        })
    }

    fn reach(
        &self,
        path: &str,
        slice: &'static Shape,
        element: Element<'a>,
        scope: Scope<'a>,
    ) -> Reached<'a> {
        let mut reached = Reached {
            elements: vec![(element, scope)],
            shapes: self.with_profiles(vec![slice]),
            targets: None,
            unresolved: Vec::new(),
        };
        for step in steps(path) {
            if step == "$this" {
                continue;
            }
            if step == "resolve()" {
                let targets: Vec<&'static str> = reached
                    .shapes
                    .iter()
                    .flat_map(|shape| shape.targets.iter().map(String::as_str))
                    .collect();
                let found = |(element, scope): &(Element<'a>, Scope<'a>)| {
                    let reference = element.value.get("reference").and_then(Value::as_str)?;
                    let found = self.links.find(reference, *scope)?;
                    Some((Element::new(found.resource), found.scope))
                };
                reached.unresolved = reached
                    .elements
                    .iter()
                    .filter(|reference| found(reference).is_none())
                    .filter_map(|(element, scope)| self.type_of_target(element.value, *scope))
                    .collect();
                reached.elements = reached.elements.iter().filter_map(found).collect();
                let roots = targets.iter().filter_map(|target| self.rules.profile(target));
                reached.shapes = roots.map(|profile| &profile.root).collect();
                reached.targets = Some(targets);
                continue;
            }
            let url = step.strip_prefix("extension(").map(|url| url.trim_matches(['\'', '"', ')']));
            let name = if url.is_some() { "extension" } else { step };
            let of_url = |element: &Element<'a>| {
                url.is_none_or(|url| element.value.get("url").and_then(Value::as_str) == Some(url))
            };
            reached.elements = reached
                .elements
                .iter()
                .flat_map(|(element, scope)| {
                    let choice = format!("{name}[x]");
                    let mut found = occurrences(*element, name);
                    if found.is_empty() {
                        found = occurrences(*element, &choice);
                    }
                    found.into_iter().map(|occurrence| (occurrence.element, *scope))
                })
                .filter(|(element, _)| of_url(element))
                .collect();
            let children = reached.shapes.iter().filter_map(|shape| shape.child(name));
            let shapes = children.flat_map(|child| {
                let slices = child.slices.iter().filter(|slice| {
                    url.is_none_or(|url| {
                        slice.profiles.iter().any(|profile| profile == url)
                            || slice
                                .child("url")
                                .and_then(|it| it.fixed.as_ref())
                                .and_then(Value::as_str)
                                == Some(url)
                    })
                });
                std::iter::once(child).filter(|_| url.is_none()).chain(slices)
            });
            reached.shapes = self.with_profiles(shapes.collect());
        }
        reached
    }

    /// The shapes, and the roots of the profiles of their type.
    fn with_profiles(&self, mut shapes: Vec<&'static Shape>) -> Vec<&'static Shape> {
        let roots: Vec<&'static Shape> = shapes
            .iter()
            .filter(|shape| shape.profiles.len() == 1)
            .flat_map(|shape| &shape.profiles)
            .filter_map(|url| self.rules.profile(url))
            .map(|profile| &profile.root)
            .collect();
        shapes.extend(roots);
        shapes
    }
}

/// Whether an element has what a shape and its children name as fixed, pattern or value set.
fn has_named(shape: &Shape, element: Element<'_>) -> bool {
    let value = element.value;
    shape.fixed.as_ref().is_none_or(|fixed| value == fixed)
        && shape.pattern.as_ref().is_none_or(|pattern| has_pattern(value, pattern))
        && shape.binding.as_ref().is_none_or(|set| {
            let code = |coding: &Value| {
                let text = |key| coding.get(key).and_then(Value::as_str);
                text("code").is_some_and(|code| {
                    text("system").is_some_and(|system| set.has(Some(system), code))
                })
            };
            let codings = value.get("coding").and_then(Value::as_array);
            value.as_str().is_some_and(|code| set.has(None, code))
                || code(value)
                || codings.is_some_and(|codings| codings.iter().any(code))
        })
        && shape.children.iter().filter(|child| child.names_a_value()).all(|child| {
            let found = occurrences(element, &child.name);
            if found.is_empty() {
                return child.min.is_none_or(|min| min == 0)
                    && child.fixed.is_none()
                    && child.pattern.is_none();
            }
            found.iter().any(|one| has_named(child, one.element))
                && child
                    .slices
                    .iter()
                    .filter(|slice| slice.min.is_some_and(|min| min > 0) && slice.names_a_value())
                    .all(|slice| found.iter().any(|one| has_named(slice, one.element)))
        })
}

/// `extension('http://a.b').value` → its two steps.
fn steps(path: &str) -> Vec<&str> {
    let (mut steps, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, letter) in path.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                steps.push(path.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    steps.push(path.get(from..).unwrap_or_default());
    steps
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn a_path_is_cut_at_dots_outside_brackets() {
        assert_eq!(steps("extension('http://a.b').value"), ["extension('http://a.b')", "value"]);
        assert_eq!(steps("$this.resolve()"), ["$this", "resolve()"]);
    }
}
