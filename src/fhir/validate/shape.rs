//! Profiles as trees: what each element and each slice must be, beside its type.

use std::sync::Arc;

use serde_json::Value;

use super::rules::{Invariant, Names, ValueSet, most};
use super::table::{ProfileRow, ShapeRow, Slicing};

/// A profile or an extension.
#[derive(Debug)]
pub(super) struct Profile {
    pub url: String,
    /// The type that it constrains.
    pub of: String,
    /// Of an extension: where it may stand; none: anywhere.
    pub context: Vec<String>,
    pub root: Shape,
}

/// What a profile says of one element or slice; nothing where it says what the type says.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Element id.
    pub id: String,
    /// The element's name, or the slice's.
    pub name: String,
    pub min: Option<u32>,
    /// `Some(None)` is `*`.
    pub max: Option<Option<u32>>,
    pub types: Vec<String>,
    pub profiles: Vec<String>,
    pub targets: Vec<String>,
    pub fixed: Option<Value>,
    pub pattern: Option<Value>,
    pub binding: Option<Arc<ValueSet>>,
    pub rules: Vec<Arc<Invariant>>,
    pub slicing: Option<Slicing>,
    pub slices: Vec<Shape>,
    pub children: Vec<Shape>,
}

impl Shape {
    pub fn new(row: &ProfileRow, names: &Names) -> Result<Self, String> {
        let mut root = Self { id: row.of.clone(), name: row.of.clone(), ..Self::default() };
        for element in &row.element {
            root.place(element, names)?;
        }
        Ok(root)
    }

    fn place(&mut self, row: &ShapeRow, names: &Names) -> Result<(), String> {
        let at = &row.id;
        let mut segments = at.split('.');
        if segments.next() != Some(self.name.as_str()) {
            return Err(format!("`{at}` does not begin with `{}`", self.name));
        }
        let mut shape = self;
        for segment in segments {
            let (name, slice) = match segment.split_once(':') {
                Some((name, slice)) => (name, Some(slice)),
                None => (segment, None),
            };
            let parent = shape.id.clone();
            shape = entry(&mut shape.children, name, || format!("{parent}.{name}"));
            if let Some(slice) = slice {
                shape = entry(&mut shape.slices, slice, || format!("{parent}.{segment}"));
            }
        }
        shape.id.clone_from(at);
        shape.min = row.min;
        shape.max = row.max.as_deref().map(|max| most(max, at)).transpose()?;
        shape.types.clone_from(&row.types);
        shape.profiles.clone_from(&row.profile);
        shape.targets.clone_from(&row.target);
        shape.fixed.clone_from(&row.fixed);
        shape.pattern.clone_from(&row.pattern);
        shape.slicing.clone_from(&row.slicing);
        shape.binding = names.set(row.binding.as_deref(), at)?;
        shape.rules = names.invariants(&row.rule, at)?;
        Ok(())
    }

    /// The shape of the child of that name; `value` finds `value[x]`.
    pub fn child(&self, name: &str) -> Option<&Shape> {
        self.children.iter().find(|child| {
            child.name == name || child.name.strip_suffix("[x]").is_some_and(|stem| stem == name)
        })
    }

    /// The slice that this one is a part of: `basedOn` of `basedOn/order`.
    pub fn resliced(&self) -> Option<&str> {
        self.name.split_once('/').map(|(slice, _)| slice)
    }

    /// Whether the value must be, or contain, something that this shape or its children name.
    pub fn names_a_value(&self) -> bool {
        self.fixed.is_some()
            || self.pattern.is_some()
            || self.binding.is_some()
            || self
                .children
                .iter()
                .any(|child| child.names_a_value() || child.slices.iter().any(Shape::names_a_value))
    }
}

fn entry<'s>(shapes: &'s mut Vec<Shape>, name: &str, id: impl Fn() -> String) -> &'s mut Shape {
    let at = shapes.iter().position(|shape| shape.name == name).unwrap_or_else(|| {
        shapes.push(Shape { id: id(), name: name.to_owned(), ..Shape::default() });
        shapes.len() - 1
    });
    #[allow(clippy::indexing_slicing, reason = "found or pushed above")]
    &mut shapes[at]
}

/// Whether `value` has everything that `pattern` has (ElementDefinition.pattern[x]).
pub(super) fn has_pattern(value: &Value, pattern: &Value) -> bool {
    match (value, pattern) {
        (Value::Object(value), Value::Object(pattern)) => pattern
            .iter()
            .all(|(key, pattern)| value.get(key).is_some_and(|value| has_pattern(value, pattern))),
        (Value::Array(values), Value::Array(patterns)) => {
            patterns.iter().all(|pattern| values.iter().any(|value| has_pattern(value, pattern)))
        }
        _ => value == pattern,
    }
}
