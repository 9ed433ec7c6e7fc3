//! A dataset in the list: what one reads of it, and what it is found by.

use super::{Converter, access};
use crate::catalogue::Entry;
use crate::imaging::Facet;
use crate::web::catalog::{Card, Dimension};

impl Converter<'_> {
    /// A dataset in the list.
    pub(in crate::web) fn card(&self, entry: &Entry) -> Card {
        let description = entry.description();
        let figures = entry.figures();
        let access = access(&description);
        let named = |facet: Facet| -> Vec<String> {
            figures.terms(facet).map(|shown| shown.term.clone()).collect()
        };
        let mut licences: Vec<String> = description
            .distributions
            .iter()
            .filter_map(|distribution| distribution.licence.as_deref())
            .map(|licence| self.licence(licence).0)
            .collect();
        licences.extend(named(Facet::Licence).iter().map(|licence| self.licence(licence).0));
        let keywords = self.keywords(&description.keywords);
        let also = description.keywords.iter().map(|(_, word)| word.trim().to_owned());
        let also = also.filter(|word| !keywords.contains(word)).collect();
        // Only what may be told of each.
        let bands = figures.age_bands.iter().filter(|shown| shown.records.is_some());
        let ages = bands.map(|shown| shown.term.clone()).collect();
        let eucaim = description.eucaim.clone().unwrap_or_default();
        let terms = [
            (Dimension::Access, vec![access.code().to_owned()]),
            (Dimension::Theme, description.health_themes.clone()),
            (Dimension::Category, description.health_categories.clone()),
            (Dimension::Modality, named(Facet::Modality)),
            (Dimension::BodySite, named(Facet::BodySite)),
            (Dimension::Manufacturer, named(Facet::Manufacturer)),
            (Dimension::Condition, eucaim.condition.iter().cloned().collect()),
            (Dimension::Sex, named(Facet::Sex)),
            (Dimension::Age, ages),
            (Dimension::Year, named(Facet::Year)),
            (Dimension::Method, eucaim.collection_methods.clone()),
            (Dimension::Licence, licences),
            (Dimension::Keyword, keywords),
        ];
        let mut text = String::new();
        let all = description
            .title
            .iter()
            .chain(description.description.iter())
            .chain(description.alternative.iter())
            .chain(description.keywords.iter());
        for (_, part) in all {
            text.push_str(part);
            text.push(' ');
        }
        for name in
            [&description.publisher, &description.custodian].into_iter().flatten().map(|a| &a.name)
        {
            text.push_str(name);
            text.push(' ');
        }
        text.push_str(&self.config.organisation.name);
        Card {
            slug: entry.slug.clone(),
            title: self.best(&description.title),
            description: self.best(&description.description),
            access,
            terms: terms.into_iter().filter(|(_, values)| !values.is_empty()).collect(),
            also,
            records: figures.records,
            individuals: figures.individuals,
            years: figures.from.zip(figures.to).map(|(from, to)| (from.0.year(), to.0.year())),
            modified: entry.modified.as_second(),
            text,
        }
    }
}
