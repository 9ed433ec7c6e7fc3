//! Words: there, not too long, and what they need beside them; what each access level demands.

use super::{Lines, has_control, is_slug, misleads};
use crate::catalogue::Selection;
use crate::catalogue::description::{AccessRights, Description, Precision, Text};
use crate::config::{Config, Identity};
use crate::imaging::Facet;

impl Lines<'_> {
    pub(super) fn words(&mut self, description: &Description) {
        for (key, text, limit) in [
            ("title", &description.title, 500),
            ("description", &description.description, 20_000),
            ("alternative", &description.alternative, 500),
            ("provenance", &description.provenance, 20_000),
            ("population_coverage", &description.population_coverage, 20_000),
            ("version_notes", &description.version_notes, 20_000),
        ] {
            self.text(key, text, limit);
        }
        for (key, text) in
            [("title", &description.title), ("description", &description.description)]
        {
            if text.is_empty() {
                self.refuse(key, "is missing", &format!("write `{key}.en = \"…\"`"));
            }
        }
        for (_, word) in description.keywords.iter() {
            if word.trim().is_empty() || word.chars().count() > 100 || has_control(word) {
                self.refuse(
                    "keywords",
                    "a keyword is empty, longer than 100 characters or has control characters",
                    "write short words",
                );
                break;
            }
            if misleads(word) {
                self.refuse(
                    "keywords",
                    "holds characters that hide or reorder its text",
                    "remove the characters U+202A to U+202E and U+2066 to U+2069",
                );
                break;
            }
        }
        for (place, purpose) in description.purposes.iter().enumerate() {
            self.text(&format!("purposes.{place}"), purpose, 20_000);
        }
        for (place, basis) in description.legal_basis.iter().enumerate() {
            if basis.code.is_none() && basis.description.is_empty() {
                self.refuse(
                    &format!("legal_basis.{place}"),
                    "has neither code nor description",
                    "write `code = \"A9-2-i\"` or `description.en = \"…\"`",
                );
            }
        }
        for (place, activity) in description.generated_by.iter().enumerate() {
            if activity.label.is_empty() {
                self.refuse(
                    &format!("generated_by.{place}"),
                    "has no label",
                    "write `label.en = \"…\"`",
                );
            }
        }
        if let Some(version) = &description.version
            && (version.trim().is_empty() || version.len() > 50 || has_control(version))
        {
            self.refuse(
                "version",
                "is empty or longer than 50 characters",
                "write for instance `version = \"2.0\"`",
            );
        }
        if let Some(retention) = description.retention
            && let (Some(from), Some(to)) = (retention.from, retention.to)
            && from > to
        {
            self.refuse("retention", "ends before it begins", "exchange `from` and `to`");
        }
        if let Some(resolution) = &description.temporal_resolution
            && !crate::catalogue::shacl::is_duration(resolution)
        {
            self.refuse(
                "temporal_resolution",
                &format!("`{resolution}` is no xsd:duration"),
                "write for instance `P2Y` or `P1M`",
            );
        }
        if let Some(series) = &description.series {
            if !is_slug(&series.id) {
                self.refuse(
                    "series.id",
                    "becomes part of an address",
                    "write a-z, 0-9, `-` and `_`",
                );
            }
            if series.title.is_empty() || series.description.is_empty() {
                self.refuse(
                    "series",
                    "needs a title and a description",
                    "write `series.title.en` and `series.description.en`",
                );
            }
        }
    }

    pub(super) fn text(&mut self, key: &str, text: &Text, limit: usize) {
        for (_, text) in text.iter() {
            if text.trim().is_empty() {
                self.refuse(key, "is empty", "write words or remove the key");
            } else if text.chars().count() > limit {
                self.refuse(key, &format!("is longer than {limit} characters"), "shorten it");
            } else if has_control(text) {
                self.refuse(key, "has control characters", "remove them");
            } else if misleads(text) {
                self.refuse(
                    key,
                    "holds characters that hide or reorder its text",
                    "remove the characters U+202A to U+202E and U+2066 to U+2069",
                );
            }
        }
    }

    pub(super) fn level(&mut self, description: &Description, config: &Config) {
        if description.health_categories.is_empty() {
            self.refuse(
                "health_categories",
                "is missing",
                "write codes of Article 51: `health_categories = [\"EHRS\"]`",
            );
        }
        self.selection("selection", &description.selection, true);
        for (place, distribution) in description.distributions.iter().enumerate() {
            self.selection(
                &format!("distribution.{place}.selection"),
                &distribution.selection,
                false,
            );
        }
        let Some(rights) = description.access_rights else {
            self.refuse(
                "access_rights",
                "is missing",
                "write `access_rights = \"PUBLIC\"`, `\"RESTRICTED\"` or `\"NON_PUBLIC\"`",
            );
            return;
        };
        match rights {
            AccessRights::Public => {
                if description.distributions.is_empty() {
                    self.refuse(
                        "distribution",
                        "a PUBLIC dataset has no distribution",
                        "write a `[[distribution]]` with `access_url`",
                    );
                }
                for (place, distribution) in description.distributions.iter().enumerate() {
                    if distribution.access_url.is_none() {
                        self.refuse(
                            &format!("distribution.{place}"),
                            "has no access address",
                            "write `access_url = \"https://…\"`",
                        );
                    }
                }
            }
            AccessRights::Restricted => {}
            AccessRights::NonPublic => {
                for (key, is_missing, remedy) in [
                    ("keywords", description.keywords.is_empty(), "write `keywords.en = [\"…\"]`"),
                    (
                        "provenance",
                        description.provenance.is_empty(),
                        "write `provenance.en = \"…\"`",
                    ),
                    ("type", description.kind.is_empty(), "write `type = [\"STATISTICAL\"]`"),
                ] {
                    if is_missing {
                        self.refuse(key, "is missing and mandatory for NON_PUBLIC", remedy);
                    }
                }
            }
        }
        if description.figures == Some(Precision::Exact) {
            if rights != AccessRights::Public {
                self.refuse(
                    "figures",
                    &format!("exact figures of a {} dataset would name persons", rights.code()),
                    "remove the key, or make the dataset PUBLIC",
                );
            } else if config.archive.identity != Identity::DeIdentified {
                self.refuse("figures", "exact figures need an archive that is configured de-identified", "remove the key, or set `archive.identity = \"de-identified\"` in the configuration if that is true");
            }
        }
    }

    pub(super) fn selection(&mut self, key: &str, selection: &Selection, is_needed: bool) {
        if is_needed && selection.is_empty() {
            self.refuse(
                key,
                "is missing: the dataset holds nothing",
                "write `[selection]` with facets such as `modality = [\"MG\"]`",
            );
        }
        let lists = selection.any_of.iter().chain(&selection.exclude);
        let empty: Vec<Facet> = lists
            .filter(|(_, terms)| {
                terms.is_empty() || terms.iter().any(|term| term.trim().is_empty())
            })
            .map(|(facet, _)| *facet)
            .collect();
        for facet in empty {
            let name = serde_json::to_value(facet)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default();
            self.refuse(
                &format!("{key}.{name}"),
                "has no term or an empty one",
                "write terms, or remove the facet",
            );
        }
    }
}
