//! Who stands behind a dataset.

use oxrdf::NamedNode;

use super::{Draft, Subject, Writer, part};
use crate::catalogue::description::{Agent, Contact};
use crate::catalogue::release::Scheme;

impl Writer<'_> {
    pub(super) fn agents(&self, draft: &mut Draft<'_>, node: &NamedNode, subject: &Subject<'_>) {
        let description = subject.description;
        let rows = &self.release.file.waivers;
        let is_excused = description.waiver("hdab", rows, subject.modified).is_some();
        let organisation = ("organisation", &self.config.organisation);
        let rows = [
            ("dct:publisher", "publisher", description.publisher.as_ref(), Some(organisation)),
            (
                "geodcatap:custodian",
                "custodian",
                description.custodian.as_ref(),
                Some(organisation),
            ),
            (
                "healthdcatap:hdab",
                "hdab",
                description.hdab.as_ref(),
                Some(("hdab", &self.config.hdab)),
            ),
            (
                "healthdcatap:hdabCoordinator",
                "hdab-coordinator",
                description.hdab_coordinator.as_ref(),
                None,
            ),
        ];
        for (predicate, name, own, fallback) in rows {
            let is_coordinator = name == "hdab-coordinator";
            if is_coordinator && !self.release.file.form.hdab_coordinator {
                continue;
            }
            if name == "hdab" && is_excused {
                // A placeholder must not be supplied (EUCAIM DCAT-AP 2.0).
                continue;
            }
            let agent = match (own, fallback) {
                (Some(agent), _) => self.own_agent(draft, node, name, agent),
                (None, Some((name, organisation))) if !organisation.name.is_empty() => {
                    self.configured_agent(draft, name, organisation)
                }
                (None, _) => continue,
            };
            draft.add(node, predicate, agent);
        }
        if self.release.file.form.creator_is_publisher && description.creators.is_empty() {
            let publisher = draft.release.term("dct:publisher");
            let named = draft.graph.object_for_subject_predicate(node, &publisher);
            if let Some(publisher) = named.map(oxrdf::TermRef::into_owned) {
                draft.add(node, "dct:creator", publisher);
            }
        }
        for (place, creator) in description.creators.iter().enumerate() {
            let agent = self.own_agent(draft, node, &format!("creator-{}", place + 1), creator);
            draft.add(node, "dct:creator", agent);
        }
        for (place, given) in description.attributions.iter().enumerate() {
            let node_of = part(node, &format!("attribution-{}", place + 1));
            let name = format!("attributed-{}", place + 1);
            let agent = self.own_agent(draft, node, &name, &given.agent);
            draft.add(node, "prov:qualifiedAttribution", node_of.clone());
            draft.kind(&node_of, "prov:Attribution");
            draft.add(&node_of, "prov:agent", agent);
            draft.concept(&node_of, "dcat:hadRole", Scheme::Role, &given.role);
        }
        let is_trusted = description
            .custodian
            .as_ref()
            .map_or(self.config.organisation.trusted_data_holder, |agent| {
                agent.trusted_data_holder
            });
        if is_trusted {
            // Article 72: the catalogue shows it; on the dataset too, because R8's example and
            // its shape comment disagree about the place.
            draft.typed(node, "healthdcatap:trustedDataHolder", "true", "xsd:boolean");
        }
        let contact = description.contact.clone().unwrap_or_else(|| {
            let given = |text: &String| (!text.is_empty()).then(|| text.clone());
            let organisation = &self.config.organisation;
            Contact {
                name: given(&organisation.name),
                email: given(&organisation.email),
                page: given(&organisation.page),
            }
        });
        if contact.email.is_some() || contact.page.is_some() {
            let part = part(node, "contact");
            draft.add(node, "dcat:contactPoint", part.clone());
            draft.kind(&part, "vcard:Kind");
            if let Some(name) = &contact.name {
                draft.literal(&part, "vcard:fn", name);
            }
            if let Some(email) = &contact.email {
                draft.link(&part, "vcard:hasEmail", &format!("mailto:{email}"));
            }
            if let Some(page) = &contact.page {
                draft.link(&part, "vcard:hasURL", page);
            }
        }
    }

    fn own_agent(
        &self,
        draft: &mut Draft<'_>,
        node: &NamedNode,
        name: &str,
        agent: &Agent,
    ) -> NamedNode {
        let contact = part(node, &format!("{name}-contact"));
        let own = agent.iri.as_deref().and_then(|iri| NamedNode::new(iri).ok());
        let subject = own.unwrap_or_else(|| part(node, name));
        draft.agent(&subject, &contact, agent);
        subject
    }
}
