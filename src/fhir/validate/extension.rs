//! Extensions: a value or parts (ext-1), what their definition says, and where they may stand.

use serde_json::Value;

use super::Walk;
use super::links::Scope;
use super::path::Element;
use super::report::{At, Code, Severity};
use super::rules::{BASE, choice_key};

impl<'a> Walk<'a> {
    /// What is said of extensions beside the shape that they share. `holder` is the path of the
    /// element or type that it stands in, and the path or type by which that is held.
    pub(super) fn extension(
        &mut self,
        value: &'a Value,
        at: &At<'_>,
        scope: Scope<'a>,
        holder: &[&str; 2],
        is_modifier: bool,
    ) {
        let Some(object) = value.as_object() else {
            return;
        };
        let answer = object.keys().find(|key| {
            key.trim_start_matches('_')
                .strip_prefix("value")
                .is_some_and(|kind| kind.starts_with(|first: char| first.is_ascii_uppercase()))
        });
        if answer.is_some() == object.contains_key("extension") {
            let words = "an extension has either a value or extensions of its own";
            self.error(Code::Invariant, at, format!("{BASE}Extension#ext-1"), words.to_owned());
        }
        let Some(url) = object.get("url").and_then(Value::as_str) else {
            return;
        };
        // Parts of an extension have names, not URLs; their own extension speaks of them.
        if !url.contains(':') {
            if holder.first() != Some(&"Extension") {
                let rule = format!("{BASE}Extension#Extension.url");
                let words = "the URL of an extension is absolute; only parts of an extension have mere names";
                self.error(Code::Value, &at.child("url", None), rule, words.to_owned());
            }
            return;
        }
        let context = if let Some(profile) = self.rules.profile(url) {
            if profile.of == "Extension" {
                self.hold(profile, Element::new(value), at, scope);
            }
            &profile.context
        } else if let Some(extension) = self.rules.extension(url) {
            let rule = || format!("{url}#Extension.value[x]");
            if let Some(key) = answer {
                let key = key.trim_start_matches('_');
                let kind = extension.types.iter().find(|kind| choice_key("value", kind) == key);
                match (kind, object.get(key)) {
                    (None, _) => {
                        let words = format!(
                            "the extension has no `{key}`; it takes: {}",
                            extension.types.join(", ")
                        );
                        self.error(Code::Structure, at, rule(), words);
                    }
                    (Some(kind), Some(value)) => {
                        if let Some(set) = &extension.binding {
                            self.bound(set, kind, value, &at.child("value", None), &rule());
                        }
                    }
                    _ => {}
                }
            }
            &extension.context
        } else {
            if is_modifier {
                let words = "changes the meaning of its element in a way that is not known here: leave it out, or send what needs no modifier";
                self.error(Code::Extension, at, url.to_owned(), words.to_owned());
            } else {
                let words = "the extension is not known here, and was not checked";
                self.issue(
                    Severity::Information,
                    Code::NotSupported,
                    at,
                    url.to_owned(),
                    words.to_owned(),
                );
            }
            return;
        };
        if !may_stand(context, holder, scope) {
            let words = format!(
                "the extension may not stand here; it may stand in: {}",
                context.join(", ")
            );
            self.error(Code::Structure, at, format!("{url}#context"), words);
        }
    }
}

/// Whether one of the contexts (StructureDefinition.context, element) is where it stands.
fn may_stand(context: &[String], holder: &[&str; 2], scope: Scope<'_>) -> bool {
    let is_whole = !holder.iter().any(|path| path.contains('.'));
    let own = scope.resource.get("resourceType").and_then(Value::as_str);
    context.is_empty()
        || context.iter().any(|context| {
            let bare = context.trim_end_matches("[x]");
            match bare {
                "Element" | "*" => true,
                "BackboneElement" => holder.iter().any(|path| path.contains('.')),
                "Resource" | "DomainResource" => is_whole && holder.first() == own.as_ref(),
                _ => holder.iter().any(|path| path.trim_end_matches("[x]") == bare),
            }
        })
}
