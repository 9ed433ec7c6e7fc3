//! How one gets the data.

use oxrdf::NamedNode;

use super::{Draft, Subject, Writer, part};
use crate::catalogue::AccessRights;
use crate::catalogue::about::{put_licence, put_rights};
use crate::catalogue::description::{Checksum, Description, Distribution, Policy};
use crate::catalogue::release::Scheme;

impl Writer<'_> {
    pub(super) fn distributions(
        &self,
        draft: &mut Draft<'_>,
        node: &NamedNode,
        subject: &Subject<'_>,
    ) {
        let description = subject.description;
        let title = &description.title;
        let is_open = description.access_rights == Some(AccessRights::Public);
        let mut given = description.distributions.clone();
        if given.is_empty() && !is_open {
            given.push(Distribution {
                format: Some("ZIP".to_owned()),
                media_type: Some("application/dicom".to_owned()),
                ..Distribution::default()
            });
        }
        let mut parts = subject.figures.parts.iter();
        let mut has_fhir = false;
        for (place, distribution) in given.iter().enumerate() {
            let part =
                NamedNode::new_unchecked(format!("{}/distribution/{}", node.as_str(), place + 1));
            draft.add(node, "dcat:distribution", part.clone());
            let bytes = if distribution.selection.is_empty() {
                subject.figures.bytes
            } else {
                parts.next().and_then(|part| part.bytes)
            };
            self.distribution(draft, &part, description, distribution, bytes);
            if let Some(spacing) = subject.figures.spacing {
                let metres = super::dataset::metres(spacing);
                draft.typed(&part, "dcat:spatialResolutionInMeters", &metres, "xsd:decimal");
            }
            if distribution.fhir {
                has_fhir = true;
                self.serve(draft, node, &part);
            }
        }
        if !has_fhir {
            let part = NamedNode::new_unchecked(format!(
                "{}/distribution/{}",
                node.as_str(),
                given.len() + 1
            ));
            draft.add(node, "dcat:distribution", part.clone());
            let distribution = Distribution {
                access_url: Some(self.iri("/fhir").as_str().to_owned()),
                format: Some("JSON".to_owned()),
                media_type: Some("application/fhir+json".to_owned()),
                ..Distribution::default()
            };
            self.distribution(draft, &part, description, &distribution, None);
            draft.phrase(&part, "dct:title", "fhir", title);
            draft.phrase(&part, "dct:description", "fhir-description", title);
            draft.concept(&part, "dct:conformsTo", Scheme::Standard, "FHIR");
            self.serve(draft, node, &part);
        }
        let counts = NamedNode::new_unchecked(format!("{}/analytics", node.as_str()));
        let address = format!("{}/analytics.csv", node.as_str());
        let table = Distribution {
            access_url: Some(address.clone()),
            download_url: Some(address),
            format: Some("CSV".to_owned()),
            media_type: Some("text/csv".to_owned()),
            ..Distribution::default()
        };
        draft.add(node, "healthdcatap:analytics", counts.clone());
        self.distribution(draft, &counts, description, &table, None);
        draft.phrase(&counts, "dct:title", "counts", title);
        let rule = if subject.figures.is_exact { "exact-counts" } else { "disclosed-counts" };
        draft.phrase(&counts, "dct:description", rule, title);
        for (place, report) in description.analytics.iter().enumerate() {
            let part =
                NamedNode::new_unchecked(format!("{}/analytics/{}", node.as_str(), place + 1));
            draft.add(node, "healthdcatap:analytics", part.clone());
            self.distribution(draft, &part, description, report, None);
        }
        if let Some(sample) = &description.sample {
            let part = NamedNode::new_unchecked(format!("{}/sample", node.as_str()));
            draft.add(node, "adms:sample", part.clone());
            self.distribution(draft, &part, description, sample, None);
        }
    }

    fn serve(&self, draft: &mut Draft<'_>, node: &NamedNode, part: &NamedNode) {
        let service = self.fhir_service(draft);
        draft.add(part, "dcat:accessService", service.clone());
        draft.add(&service, "dcat:servesDataset", node.clone());
    }

    fn distribution(
        &self,
        draft: &mut Draft<'_>,
        part_iri: &NamedNode,
        description: &Description,
        distribution: &Distribution,
        bytes: Option<u64>,
    ) {
        draft.kind(part_iri, "dcat:Distribution");
        for law in self.legislation(description) {
            draft.concept(part_iri, "dcatap:applicableLegislation", Scheme::Legislation, law);
        }
        draft.text(part_iri, "dct:title", &distribution.title);
        draft.text(part_iri, "dct:description", &distribution.description);
        let is_open = description.access_rights == Some(AccessRights::Public);
        match &distribution.access_url {
            Some(address) => draft.link(part_iri, "dcat:accessURL", address),
            None if !is_open => {
                if let Some(address) = self.application(description) {
                    draft.link(part_iri, "dcat:accessURL", &address);
                }
                if distribution.title.is_empty() {
                    draft.phrase(part_iri, "dct:title", "application", &description.title);
                }
            }
            None => {}
        }
        if let Some(address) = &distribution.download_url {
            draft.link(part_iri, "dcat:downloadURL", address);
        }
        if let Some(format) = &distribution.format {
            draft.concept(part_iri, "dct:format", Scheme::FileType, format);
        }
        if let Some(kind) = &distribution.media_type {
            draft.concept(part_iri, "dcat:mediaType", Scheme::MediaType, kind);
        }
        let availability = distribution.availability.as_deref().unwrap_or("STABLE");
        draft.concept(part_iri, "dcatap:availability", Scheme::PlannedAvailability, availability);
        if let Some(status) = &distribution.status {
            draft.concept(part_iri, "adms:status", Scheme::DistributionStatus, status);
        }
        if let Some(bytes) = bytes {
            draft.typed(part_iri, "dcat:byteSize", &bytes.to_string(), "xsd:nonNegativeInteger");
        }
        if let Some(licence) = &distribution.licence {
            put_licence(draft, self.release, part_iri, licence);
        }
        // A distribution has an address of its own; a part of it a fragment.
        put_rights(draft, part_iri, &distribution.rights);
        for page in &distribution.documentation {
            draft.document(part_iri, "foaf:page", page);
        }
        self.technical(draft, part_iri, distribution);
    }

    /// What a client must know to read the bytes, and what it may do with them.
    fn technical(&self, draft: &mut Draft<'_>, node: &NamedNode, distribution: &Distribution) {
        for (predicate, scheme, codes) in [
            ("dct:conformsTo", Scheme::Standard, &distribution.conforms_to),
            ("dct:language", Scheme::Language, &distribution.language),
        ] {
            for code in codes {
                draft.concept(node, predicate, scheme, code);
            }
        }
        for (predicate, kind) in [
            ("dcat:compressFormat", &distribution.compress_format),
            ("dcat:packageFormat", &distribution.package_format),
        ] {
            if let Some(kind) = kind {
                draft.concept(node, predicate, Scheme::MediaType, kind);
            }
        }
        for (predicate, day) in
            [("dct:issued", distribution.issued), ("dct:modified", distribution.modified)]
        {
            if let Some(day) = day {
                draft.typed(node, predicate, &day.to_string(), "xsd:date");
            }
        }
        if let Some(resolution) = &distribution.temporal_resolution {
            draft.typed(node, "dcat:temporalResolution", resolution, "xsd:duration");
        }
        if let Some(Checksum { algorithm, value }) = &distribution.checksum {
            let part = part(node, "checksum");
            draft.add(node, "spdx:checksum", part.clone());
            draft.kind(&part, "spdx:Checksum");
            draft.concept(&part, "spdx:algorithm", Scheme::ChecksumAlgorithm, algorithm);
            draft.typed(&part, "spdx:checksumValue", &value.to_lowercase(), "xsd:hexBinary");
        }
        if let Some(policy) = &distribution.policy {
            self.policy(draft, node, policy);
        }
    }

    fn policy(&self, draft: &mut Draft<'_>, node: &NamedNode, policy: &Policy) {
        let of = part(node, "policy");
        draft.add(node, "odrl:hasPolicy", of.clone());
        draft.kind(&of, "odrl:Policy");
        for (predicate, class, actions) in [
            ("odrl:permission", "odrl:Permission", &policy.permits),
            ("odrl:prohibition", "odrl:Prohibition", &policy.prohibits),
            ("odrl:obligation", "odrl:Duty", &policy.obliges),
        ] {
            for action in actions {
                let name = predicate.trim_start_matches("odrl:");
                let rule = part(node, &format!("{name}-{action}"));
                let action = self.release.term(&format!("odrl:{action}"));
                draft.add(&of, predicate, rule.clone());
                draft.kind(&rule, class);
                draft.add(&rule, "odrl:action", action);
            }
        }
    }
}
