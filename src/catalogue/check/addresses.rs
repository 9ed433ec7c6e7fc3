//! Addresses, mailboxes and those who have them.

use oxrdf::NamedNode;

use super::{Lines, is_address};
use crate::catalogue::description::{Agent, Description};
use crate::catalogue::release::{Release, Scheme};

impl Lines<'_> {
    pub(super) fn addresses(&mut self, description: &Description, release: &Release) {
        for (key, url) in [
            ("landing_page", &description.landing_page),
            ("quality_label", &description.quality_label),
        ] {
            if let Some(url) = url {
                self.address(key, url);
            }
        }
        for (key, urls) in [
            ("documentation", &description.documentation),
            ("is_referenced_by", &description.is_referenced_by),
            ("sources", &description.sources),
            ("relations", &description.relations),
            ("versions", &description.versions),
        ] {
            for url in urls {
                self.address(key, url);
            }
        }
        for (key, agent) in [
            ("publisher", &description.publisher),
            ("custodian", &description.custodian),
            ("hdab", &description.hdab),
            ("hdab_coordinator", &description.hdab_coordinator),
        ] {
            if let Some(agent) = agent {
                self.agent(key, agent, true, release);
            }
        }
        for (place, agent) in description.creators.iter().enumerate() {
            self.agent(&format!("creators.{place}"), agent, false, release);
        }
        if let Some(contact) = &description.contact {
            if contact.email.is_none() && contact.page.is_none() {
                self.refuse(
                    "contact",
                    "has neither e-mail address nor page",
                    "write `email` or `page`",
                );
            }
            if let Some(email) = &contact.email {
                self.email("contact.email", email);
            }
            if let Some(page) = &contact.page {
                self.address("contact.page", page);
            }
        }
        for (key, distribution) in description.all_distributions() {
            if let Some(url) = &distribution.access_url {
                self.address(&format!("{key}.access_url"), url);
            } else if !key.starts_with("distribution") {
                self.refuse(&key, "has no access address", "write `access_url = \"https://…\"`");
            }
            if let Some(url) = &distribution.download_url {
                self.address(&format!("{key}.download_url"), url);
            }
            for url in &distribution.documentation {
                self.address(&format!("{key}.documentation"), url);
            }
            if let Some(licence) = &distribution.licence
                && !is_address(licence)
                && !release.licences.iter().any(|row| row.name == *licence)
            {
                self.refuse(
                    &format!("{key}.licence"),
                    &format!("`{licence}` is neither an address nor a known licence"),
                    "write its address or a name of vocabularies/licences.toml",
                );
            }
        }
    }

    pub(super) fn agent(
        &mut self,
        key: &str,
        agent: &Agent,
        needs_contact: bool,
        release: &Release,
    ) {
        if agent.name.trim().is_empty() {
            self.refuse(key, "has no name", "write `name`");
        }
        if needs_contact && agent.email.is_none() && agent.page.is_none() {
            self.refuse(
                key,
                "has neither e-mail address nor page (R8: exactly one contact point)",
                "write `email` or `page`",
            );
        }
        if let Some(email) = &agent.email {
            self.email(&format!("{key}.email"), email);
        }
        for (name, url) in
            [("page", &agent.page), ("iri", &agent.iri), ("homepage", &agent.homepage)]
        {
            if let Some(url) = url {
                self.address(&format!("{key}.{name}"), url);
            }
        }
        for (name, hours) in
            [("opening_hours", &agent.opening_hours), ("special_hours", &agent.special_hours)]
        {
            for (place, hours) in hours.iter().enumerate() {
                let key = format!("{key}.{name}.{place}");
                if hours.description.is_empty() {
                    self.refuse(&key, "has no words", "write `description.en = \"…\"`");
                }
                self.text(&key, &hours.description, 2_000);
                if let Some(code) = &hours.frequency {
                    self.code(&format!("{key}.frequency"), Scheme::Frequency, code, release);
                }
            }
        }
        self.text(&format!("{key}.other_names"), &agent.other_names, 500);
        if let Some(kind) = &agent.kind {
            self.code(&format!("{key}.type"), Scheme::PublisherType, kind, release);
        }
    }

    pub(super) fn address(&mut self, key: &str, url: &str) {
        if !is_address(url) {
            self.refuse(
                key,
                &format!("`{url}` is no web address"),
                "begin with `https://` and leave out spaces",
            );
        }
    }

    pub(super) fn email(&mut self, key: &str, email: &str) {
        let is_email = email.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty()
                && !host.is_empty()
                && !host.contains('@')
                && NamedNode::new(format!("mailto:{email}")).is_ok()
        });
        if !is_email {
            self.refuse(key, &format!("`{email}` is no e-mail address"), "write `name@host`");
        }
    }
}
