//! The parts of a description that few datasets have: places, relations, series, policies,
//! EUCAIM's additions, waivers.

use super::{Lines, has_control, is_slug};
use crate::catalogue::description::{Description, Distribution};
use crate::catalogue::graph::PLACES;
use crate::catalogue::release::{Release, Scheme};

impl Lines<'_> {
    pub(super) fn parts(&mut self, description: &Description, release: &Release) {
        for place in &description.spatial {
            self.place_code("spatial", place, release);
        }
        self.locations(description, release);
        for (at, given) in description.attributions.iter().enumerate() {
            self.agent(&format!("attributions.{at}.agent"), &given.agent, false, release);
            self.code(&format!("attributions.{at}.role"), Scheme::Role, &given.role, release);
        }
        for (at, given) in description.qualified_relations.iter().enumerate() {
            for (name, url) in [("relation", &given.relation), ("role", &given.role)] {
                self.address(&format!("qualified_relations.{at}.{name}"), url);
            }
        }
        if let Some(series) = &description.series {
            if let Some(previous) = &series.previous
                && !is_slug(previous)
            {
                self.refuse(
                    "series.previous",
                    &format!("`{previous}` is no slug"),
                    "write the name of the other description's file, without `.toml`",
                );
            }
            if let Some(code) = &series.frequency {
                self.code("series.frequency", Scheme::Frequency, code, release);
            }
        }
        for (name, table) in &description.tables {
            if !["studies", "series"].contains(&name.as_str()) {
                self.refuse(
                    &format!("tables.{name}"),
                    "is no table of the dictionary of variables",
                    "write `tables.studies` or `tables.series`",
                );
            }
            if let Some(url) = &table.url {
                self.address(&format!("tables.{name}.url"), url);
            }
        }
        for (key, given) in description.all_distributions() {
            self.technical(&key, given, release);
        }
        self.eucaim(description, release);
        for (at, waiver) in description.waivers.iter().enumerate() {
            let key = format!("waiver.{at}");
            if !release.file.waivers.iter().any(|row| row.rule == waiver.rule) {
                let known: Vec<_> =
                    release.file.waivers.iter().map(|row| format!("`{}`", row.rule)).collect();
                self.refuse(
                    &format!("{key}.rule"),
                    &format!("nobody can be excused from `{}`", waiver.rule),
                    &format!("write one of {}, or remove the waiver", known.join(", ")),
                );
            }
            if waiver.reason.is_empty() {
                self.refuse(&key, "gives no reason", "write `reason.en = \"…\"`");
            }
            self.text(&format!("{key}.reason"), &waiver.reason, 2_000);
        }
    }

    fn place_code(&mut self, key: &str, place: &str, release: &Release) {
        if !PLACES.iter().any(|scheme| release.concept(*scheme, place).is_some()) {
            self.code(key, Scheme::Country, place, release);
        }
    }

    fn locations(&mut self, description: &Description, release: &Release) {
        for (at, location) in description.locations.iter().enumerate() {
            let key = format!("locations.{at}");
            self.place_code(&format!("{key}.place"), &location.place, release);
            let on_earth = |longitude: f64, latitude: f64| {
                (-180.0..=180.0).contains(&longitude) && (-90.0..=90.0).contains(&latitude)
            };
            if let Some([west, south, east, north]) = location.bbox
                && !(on_earth(west, south) && on_earth(east, north) && south <= north)
            {
                self.refuse(
                    &format!("{key}.bbox"),
                    "is no box on the earth",
                    "write west, south, east, north in degrees",
                );
            }
            if let Some([longitude, latitude]) = location.centroid
                && !on_earth(longitude, latitude)
            {
                self.refuse(
                    &format!("{key}.centroid"),
                    "is no point on the earth",
                    "write longitude, latitude in degrees",
                );
            }
            if let Some(geometry) = &location.geometry {
                let kinds = ["POINT", "LINESTRING", "POLYGON", "MULTI", "GEOMETRYCOLLECTION"];
                if !kinds.iter().any(|kind| geometry.starts_with(kind))
                    || geometry.len() > 20_000
                    || has_control(geometry)
                {
                    self.refuse(
                        &format!("{key}.geometry"),
                        "is no well-known text",
                        "write for instance `POLYGON((…))`",
                    );
                }
            }
        }
    }

    fn technical(&mut self, key: &str, given: &Distribution, release: &Release) {
        for (name, scheme, codes) in [
            ("conforms_to", Scheme::Standard, &given.conforms_to),
            ("language", Scheme::Language, &given.language),
            ("access_conditions", Scheme::EucaimAccessCondition, &given.access_conditions),
        ] {
            for code in codes {
                self.code(&format!("{key}.{name}"), scheme, code, release);
            }
        }
        if let Some(resolution) = &given.temporal_resolution
            && !crate::catalogue::shacl::is_duration(resolution)
        {
            self.refuse(
                &format!("{key}.temporal_resolution"),
                &format!("`{resolution}` is no xsd:duration"),
                "write for instance `P2Y` or `P1M`",
            );
        }
        if let (Some(issued), Some(modified)) = (given.issued, given.modified)
            && issued > modified
        {
            self.refuse(
                &format!("{key}.modified"),
                "was modified before it was issued",
                "exchange `issued` and `modified`",
            );
        }
        if let Some(sum) = &given.checksum {
            let key = format!("{key}.checksum");
            self.code(
                &format!("{key}.algorithm"),
                Scheme::ChecksumAlgorithm,
                &sum.algorithm,
                release,
            );
            let digits = match sum.algorithm.as_str() {
                "md5" => 32,
                "sha1" => 40,
                "sha224" => 56,
                "sha384" => 96,
                "sha512" => 128,
                _ => 64,
            };
            if sum.value.len() != digits || !sum.value.bytes().all(|b| b.is_ascii_hexdigit()) {
                self.refuse(
                    &format!("{key}.value"),
                    &format!("is no digest of {digits} hexadecimal digits"),
                    "copy it from `sha256sum` or the like",
                );
            }
        }
        if let Some(policy) = &given.policy {
            let key = format!("{key}.policy");
            let mut actions =
                policy.permits.iter().chain(&policy.prohibits).chain(&policy.obliges).peekable();
            if actions.peek().is_none() {
                self.refuse(&key, "says nothing", "write `permits`, `prohibits` or `obliges`");
            }
            for action in actions {
                if action.is_empty() || !action.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    self.refuse(
                        &key,
                        &format!("`{action}` is no action of ODRL"),
                        "write for instance `use`, `distribute`, `commercialize`",
                    );
                }
            }
        }
    }

    fn eucaim(&mut self, description: &Description, release: &Release) {
        let Some(own) = &description.eucaim else { return };
        let one = |code: &Option<String>| code.iter().cloned().collect::<Vec<_>>();
        for (name, scheme, codes) in [
            ("interoperability_level", Scheme::EucaimTier, one(&own.interoperability_level)),
            ("condition", Scheme::EucaimCondition, one(&own.condition)),
            ("collection_methods", Scheme::EucaimCollectionMethod, own.collection_methods.clone()),
            ("type", Scheme::EucaimDataType, own.kind.clone()),
            ("annotation_labels", Scheme::EucaimLabel, own.annotation_labels.clone()),
            ("algorithm_types", Scheme::EucaimAlgorithm, own.algorithm_types.clone()),
        ] {
            for code in codes {
                self.code(&format!("eucaim.{name}"), scheme, &code, release);
            }
        }
    }
}
