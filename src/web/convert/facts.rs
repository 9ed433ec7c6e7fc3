//! What a description says, as labelled facts: about, classification, history, who.

use super::{Converter, utc};
use crate::catalogue::{Agent, Contact, Day, Description, Entry, Period, Scheme, Text, Writer};
use crate::web::dataset::{AgentCard, Fact};
use crate::web::tongue::Tongue;
use crate::web::words::{Href, Item, Phrase};

impl Converter<'_> {
    pub(super) fn about(&self, description: &Description, entry: &Entry) -> Vec<Fact> {
        let mut facts = Vec::new();
        let phrases = |label: &'static str, texts: Vec<&Text>| Fact {
            label,
            items: texts
                .into_iter()
                .map(|text| Item { phrase: self.best(text), href: None })
                .filter(|item| !item.phrase.is_empty())
                .collect(),
        };
        facts.push(phrases(self.w("fact.population"), vec![&description.population_coverage]));
        facts.push(phrases(self.w("fact.purposes"), description.purposes.iter().collect()));
        facts.push(Fact {
            label: self.w("fact.activities"),
            items: description
                .generated_by
                .iter()
                .map(|activity| {
                    let kind = activity.kind.as_deref();
                    let mut phrase = self.best(&activity.label);
                    if let Some(kind) = kind
                        && phrase.lang.is_empty()
                    {
                        let kind = self.label(Scheme::HealthActivity, kind);
                        if !kind.is_foreign() {
                            phrase.text = format!("{} ({})", phrase.text, kind.text);
                        }
                    }
                    Item { phrase, href: None }
                })
                .collect(),
        });
        facts.push(Fact {
            label: self.w("fact.legal-basis"),
            items: description
                .legal_basis
                .iter()
                .map(|basis| {
                    let text = self.best(&basis.description);
                    let code = basis.code.as_deref().map(|c| self.label(Scheme::LegalBasis, c));
                    let phrase = match (text.is_empty(), code) {
                        (false, _) => text,
                        (true, Some(code)) => code,
                        (true, None) => Phrase::default(),
                    };
                    Item { phrase, href: None }
                })
                .filter(|item| !item.phrase.is_empty())
                .collect(),
        });
        facts.push(Fact {
            label: self.w("fact.personal-data"),
            items: self.labels(Scheme::PersonalData, &description.personal_data),
        });
        facts.push(Fact {
            label: self.w("fact.country"),
            items: self.labels(Scheme::Country, &description.spatial),
        });
        facts.push(Fact {
            label: self.w("fact.language"),
            items: self.labels(Scheme::Language, &description.language),
        });
        if let Some(retention) = description.retention {
            facts.push(fact(self.w("fact.retention"), &period(retention, self.tongue)));
        }
        if let Some(resolution) = &description.temporal_resolution {
            facts.push(fact(self.w("fact.resolution"), &duration(resolution, self.tongue)));
        }
        for (label, addresses) in [
            (self.w("fact.identifiers"), &description.identifiers),
            (self.w("fact.sources"), &description.sources),
            (self.w("fact.documentation"), &description.documentation),
            (self.w("fact.publications"), &description.is_referenced_by),
            (self.w("fact.related"), &description.relations),
        ] {
            facts.push(links(label, addresses));
        }
        if let Some(page) = &description.landing_page {
            facts.push(links(self.w("fact.landing"), std::slice::from_ref(page)));
        }
        facts.push(Fact {
            label: self.w("dataset.label"),
            items: self.label_of(description, entry),
        });
        if let Some(series) = &description.series {
            facts.push(Fact {
                label: self.w("fact.series"),
                items: vec![Item { phrase: self.best(&series.title), href: None }],
            });
        }
        if !description.creators.is_empty() {
            facts.push(Fact {
                label: self.w("fact.creators"),
                items: description
                    .creators
                    .iter()
                    .map(|agent| Item {
                        phrase: Phrase::plain(agent.name.clone()),
                        href: agent.page.as_deref().and_then(Href::parse),
                    })
                    .collect(),
            });
        }
        facts.retain(|fact| !fact.items.is_empty());
        facts
    }

    /// The quality label: its score, which leads to the label itself, and one that somebody else gave.
    fn label_of(&self, description: &Description, entry: &Entry) -> Vec<Item> {
        let file = &self.release().quality;
        let writer = Writer { config: self.config, release: self.release() };
        let measures = file.measures(writer, entry).unwrap_or_default();
        let score = file.score(&measures).map(|score| Item {
            phrase: Phrase::plain(format!("{score}\u{a0}%")),
            href: Some(Href::ours(format!("/dataset/{}/label", entry.slug))),
        });
        let given = description.quality_label.iter().map(|label| Item::address(label));
        score.into_iter().chain(given).collect()
    }

    fn labels(&self, scheme: Scheme, codes: &[String]) -> Vec<Item> {
        codes.iter().map(|code| said(self.label(scheme, code))).collect()
    }

    pub(super) fn classification(&self, description: &Description) -> Vec<Fact> {
        let dicom = ["DICOM".to_owned()];
        let standards: &[String] =
            if description.conforms_to.is_empty() { &dicom } else { &description.conforms_to };
        let rows: [(&'static str, Scheme, &[String]); 5] = [
            (self.w("fact.category"), Scheme::HealthCategory, &description.health_categories),
            (self.w("fact.theme"), Scheme::HealthTheme, &description.health_themes),
            (self.w("fact.type"), Scheme::DatasetType, &description.kind),
            (self.w("fact.standard"), Scheme::Standard, standards),
            (self.w("fact.coding-system"), Scheme::CodingSystem, &description.coding_systems),
        ];
        rows.into_iter()
            .map(|(label, scheme, codes)| Fact { label, items: self.labels(scheme, codes) })
            .filter(|fact| !fact.items.is_empty())
            .collect()
    }

    pub(super) fn history(&self, description: &Description, entry: &Entry) -> Vec<Fact> {
        let issued = description.issued.map_or_else(|| utc(entry.issued), |day| day.0);
        let mut facts = vec![
            fact(self.w("fact.version"), &entry.version),
            fact(self.w("fact.released"), &self.tongue.day(issued)),
            fact(self.w("fact.changed"), &self.tongue.day(utc(entry.modified))),
        ];
        if let Some(next) = entry.next_release {
            facts.push(fact(self.w("fact.next"), &self.tongue.day(utc(next))));
        }
        if let Some(code) = &description.frequency {
            let items = vec![said(self.label(Scheme::Frequency, code))];
            facts.push(Fact { label: self.w("fact.updated"), items });
        }
        facts
    }

    pub(super) fn agent(&self, agent: &Agent) -> AgentCard {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        AgentCard {
            name: agent.name.clone(),
            kind: agent
                .kind
                .as_deref()
                .map_or_else(String::new, |code| self.label(Scheme::PublisherType, code).text),
            note: self.best(&agent.note),
            page: agent.page.as_deref().filter(|page| !page.is_empty()).map(Item::address),
            email: agent.email.as_deref().filter(|e| !e.is_empty()).map(mail),
            telephone: text(&agent.telephone),
            is_trusted: agent.trusted_data_holder,
        }
    }
}

pub(super) fn fact(label: &'static str, text: &str) -> Fact {
    Fact { label, items: vec![Item::plain(text)] }
}

pub(super) fn said(phrase: Phrase) -> Item {
    Item { phrase, href: None }
}

pub(super) fn links(label: &'static str, addresses: &[String]) -> Fact {
    Fact { label, items: addresses.iter().map(|address| Item::address(address)).collect() }
}

pub(super) fn mail(address: &str) -> Item {
    Item::link(address, &format!("mailto:{address}"))
}

pub(super) fn contact(contact: &Contact) -> AgentCard {
    AgentCard {
        name: contact.name.clone().unwrap_or_default(),
        page: contact.page.as_deref().filter(|page| !page.is_empty()).map(Item::address),
        email: contact.email.as_deref().filter(|email| !email.is_empty()).map(mail),
        ..AgentCard::default()
    }
}

fn period(period: Period, tongue: &'static Tongue) -> String {
    let day = |day: Day| tongue.day(day.0);
    match (period.from, period.to) {
        (Some(from), Some(to)) => tongue.put_two("fact.from-to", day(from), day(to)),
        (Some(from), None) => tongue.put("fact.from", day(from)),
        (None, Some(to)) => tongue.put("fact.until", day(to)),
        (None, None) => tongue.word("fact.unlimited").to_owned(),
    }
}

/// `P2Y` as `2 years`; what is not so simple stays as it is written.
fn duration(text: &str, tongue: &'static Tongue) -> String {
    let simple = text.strip_prefix('P').and_then(|rest| {
        let (number, unit) = rest.split_at_checked(rest.len().checked_sub(1)?)?;
        let number: u64 = number.parse().ok()?;
        let noun = match unit {
            "Y" => "year",
            "M" => "month",
            "W" => "week",
            "D" => "day",
            _ => return None,
        };
        Some(tongue.counted(noun, number))
    });
    simple.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Tongue, duration};

    #[test]
    fn a_simple_duration_becomes_words() {
        let en = Tongue::english();
        assert_eq!(duration("P2Y", en), "2 years");
        assert_eq!(duration("P1Y2M", en), "P1Y2M");
        assert_eq!(duration("P", en), "P");
        assert_eq!(duration("Pé", en), "Pé");
    }
}
