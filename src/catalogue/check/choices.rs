//! Codes of vocabularies.

use oxrdf::NamedNode;

use super::{Lines, distance};
use crate::catalogue::description::Description;
use crate::catalogue::release::{Release, Scheme};

impl Lines<'_> {
    pub(super) fn choices(&mut self, description: &Description, release: &Release) {
        let frequency: Vec<String> = description.frequency.iter().cloned().collect();
        let lists: [(&str, Scheme, &[String]); 10] = [
            ("health_categories", Scheme::HealthCategory, &description.health_categories),
            ("health_themes", Scheme::HealthTheme, &description.health_themes),
            ("themes", Scheme::DataTheme, &description.themes),
            ("type", Scheme::DatasetType, &description.kind),
            ("conforms_to", Scheme::Standard, &description.conforms_to),
            ("coding_systems", Scheme::CodingSystem, &description.coding_systems),
            ("personal_data", Scheme::PersonalData, &description.personal_data),
            ("language", Scheme::Language, &description.language),
            ("frequency", Scheme::Frequency, &frequency),
            ("applicable_legislation", Scheme::Legislation, &[]),
        ];
        for (key, scheme, codes) in lists {
            for code in codes {
                self.code(key, scheme, code, release);
            }
        }
        for law in &description.applicable_legislation {
            let full = if law.contains("://") {
                law.clone()
            } else {
                format!("{}{law}", release.scheme(Scheme::Legislation).base)
            };
            if NamedNode::new(full).is_err() {
                self.refuse(
                    "applicable_legislation",
                    &format!("`{law}` is no ELI"),
                    "write for instance `reg/2025/327/oj`",
                );
            }
        }
        for (place, basis) in description.legal_basis.iter().enumerate() {
            if let Some(code) = &basis.code {
                self.code(&format!("legal_basis.{place}.code"), Scheme::LegalBasis, code, release);
            }
        }
        for (place, activity) in description.generated_by.iter().enumerate() {
            if let Some(code) = &activity.kind {
                self.code(
                    &format!("generated_by.{place}.type"),
                    Scheme::HealthActivity,
                    code,
                    release,
                );
            }
        }
        for (key, distribution) in description.all_distributions() {
            for (name, scheme, code) in [
                ("format", Scheme::FileType, &distribution.format),
                ("availability", Scheme::PlannedAvailability, &distribution.availability),
                ("status", Scheme::DistributionStatus, &distribution.status),
            ] {
                if let Some(code) = code {
                    self.code(&format!("{key}.{name}"), scheme, code, release);
                }
            }
            let kinds = [
                ("media_type", &distribution.media_type),
                ("compress_format", &distribution.compress_format),
                ("package_format", &distribution.package_format),
            ];
            for (name, kind) in kinds {
                let Some(kind) = kind else { continue };
                let is_type = kind.split_once('/').is_some_and(|(a, b)| {
                    let plain = |part: &str| {
                        !part.is_empty()
                            && part
                                .bytes()
                                .all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
                    };
                    plain(a) && plain(b)
                });
                if !is_type {
                    self.refuse(
                        &format!("{key}.{name}"),
                        &format!("`{kind}` is no media type"),
                        "write a type of IANA: `application/dicom`",
                    );
                }
            }
        }
    }

    pub(super) fn code(&mut self, key: &str, scheme: Scheme, code: &str, release: &Release) {
        if release.concept(scheme, code).is_some() {
            return;
        }
        let name = scheme.name();
        let near = release
            .concepts(scheme)
            .iter()
            .map(|concept| {
                (distance(&concept.code.to_lowercase(), &code.to_lowercase()), &concept.code)
            })
            .min();
        let remedy = match near {
            Some((far, near)) if far <= 3 => {
                format!("did you mean `{near}`? Codes are in vocabularies/{name}.toml")
            }
            _ => format!("write a code of vocabularies/{name}.toml"),
        };
        self.refuse(key, &format!("`{code}` is no code of the vocabulary `{name}`"), &remedy);
    }
}
