//! From what the catalogue published to what the pages show.
//!
//! In: an [`Entry`] of the shelf, the words of a [`Tongue`]. Out: a [`Card`] for the list
//! ([`card`](self::card)), a [`DatasetPage`](super::dataset::DatasetPage) ([`page`](self::page)).
//! This file says a text, a code or a term in the reader's language; the other files each fill one
//! part of the page. Absent: HTML (the templates'), and every way to a fresh count: only an entry's
//! stored figures are read.
//!
//! [`Card`]: super::catalog::Card

mod card;
mod citation;
mod distributions;
mod facts;
mod figures;
mod page;

use super::catalog::Dimension;
use super::dataset::Access;
use super::tongue::Tongue;
use super::words::Phrase;
use crate::catalogue::{AccessRights, Description, Entry, Names, Release, Scheme, Text, Words};
use crate::config::Config;
use crate::imaging::Facet;

/// What conversion needs besides the entry.
pub(super) struct Converter<'c> {
    pub config: &'c Config,
    pub names: &'c Names,
    pub tongue: &'static Tongue,
}

impl Converter<'_> {
    fn release(&self) -> &Release {
        self.names.release()
    }

    /// A language tag as the page needs it: empty when it is the page's own.
    fn tag(&self, language: &str) -> String {
        let language =
            if language.is_empty() { self.config.catalogue.language.as_str() } else { language };
        if language == self.tongue.code { String::new() } else { language.to_owned() }
    }

    /// The text in the page's language, else the catalogue's, else any.
    pub(super) fn best(&self, text: &Text) -> Phrase {
        let own = self.config.catalogue.language.as_str();
        // A text without a tag is in the catalogue's language.
        let first = if own == self.tongue.code { "" } else { self.tongue.code.as_str() };
        let found = [self.tongue.code.as_str(), first, "", own, "en"]
            .iter()
            .find_map(|wanted| text.iter().find(|(language, _)| language == wanted))
            .or_else(|| text.iter().next());
        found.map_or_else(Phrase::default, |(language, text)| Phrase {
            text: text.trim().to_owned(),
            lang: self.tag(language),
        })
    }

    fn keywords(&self, words: &Words) -> Vec<String> {
        let own = |language: &str| language == self.tongue.code || self.tag(language).is_empty();
        let mut keywords: Vec<String> =
            words.iter().filter(|(l, _)| own(l)).map(|(_, word)| word.trim().to_owned()).collect();
        if keywords.is_empty() {
            keywords = words.iter().map(|(_, word)| word.trim().to_owned()).collect();
        }
        keywords
    }

    fn w(&self, key: &str) -> &'static str {
        self.tongue.word(key)
    }

    /// The label in the page's language, else in English.
    fn label(&self, scheme: Scheme, code: &str) -> Phrase {
        if let Some(label) = self.tongue.label(scheme.name(), code) {
            return Phrase::plain(capital(label));
        }
        match self.release().label(scheme, code) {
            Some(label) => Phrase::within(capital(label), "en", &self.tongue.code),
            None => Phrase::plain(capital(code)),
        }
    }

    /// A term of a facet in the page's language, else in English.
    pub(super) fn term(&self, facet: Facet, term: &str) -> Phrase {
        let (vocabulary, code) = match facet {
            Facet::Modality => ("modality", term),
            Facet::Sex => ("sex", term),
            Facet::BodySite => ("body-site", term.rsplit('|').next().unwrap_or(term)),
            _ => return Phrase::plain(self.names.term(facet, term)),
        };
        match self.tongue.label(vocabulary, code) {
            Some(label) if facet == Facet::Modality => Phrase::plain(format!("{label} ({code})")),
            Some(label) => Phrase::plain(label),
            None => Phrase::within(self.names.term(facet, term), "en", &self.tongue.code),
        }
    }

    /// A value of a dimension for people.
    pub(super) fn value(&self, dimension: Dimension, value: &str) -> Phrase {
        match dimension {
            Dimension::Access => Phrase::plain(Access::label_of(value, self.tongue)),
            Dimension::Theme => self.label(Scheme::HealthTheme, value),
            Dimension::Category => self.label(Scheme::HealthCategory, value),
            Dimension::Modality => self.term(Facet::Modality, value),
            Dimension::BodySite => self.term(Facet::BodySite, value),
            Dimension::Sex => self.term(Facet::Sex, value),
            Dimension::Age => Phrase::plain(figures::band(value, self.tongue)),
            Dimension::Manufacturer => self.term(Facet::Manufacturer, value),
            Dimension::Condition => self.label(Scheme::EucaimCondition, value),
            Dimension::Method => self.label(Scheme::EucaimCollectionMethod, value),
            Dimension::Year | Dimension::Licence | Dimension::Keyword => Phrase::plain(value),
        }
    }

    fn licence(&self, licence: &str) -> (String, String) {
        let rows = &self.release().licences;
        match rows.iter().find(|row| row.name == licence || row.iri == licence) {
            Some(row) => (row.name.clone(), row.iri.clone()),
            None => (licence.to_owned(), licence.to_owned()),
        }
    }

    /// A sentence that vesalius itself adds, in the page's language or in English.
    fn phrase(&self, name: &str) -> Phrase {
        let code = self.tongue.code.as_str();
        match self.release().phrase(name, code) {
            Some(text) => Phrase::plain(text),
            None => {
                let text = self.release().phrase(name, "en").unwrap_or_default();
                Phrase::within(text, "en", code)
            }
        }
    }
}

/// The title of a withdrawn dataset.
pub(super) fn withdrawn_title(converter: &Converter<'_>, entry: &Entry) -> Phrase {
    converter.best(&entry.description().title)
}

fn access(description: &Description) -> Access {
    match description.access_rights {
        Some(AccessRights::Public) => Access::Open,
        Some(AccessRights::Restricted) => Access::Restricted,
        Some(AccessRights::NonPublic) | None => Access::Permit,
    }
}

fn utc(time: jiff::Timestamp) -> jiff::civil::Date {
    time.to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
