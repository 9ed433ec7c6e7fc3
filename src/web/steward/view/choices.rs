//! What a field is chosen from: codes of vocabularies in the page's language, and for a selection the
//! terms that the archive has, with how many studies have each.

use toml::{Table, Value};

use super::super::super::words::Phrase;
use super::maker::{Maker, plain};
use crate::actor::Actor;
use crate::catalogue::form::{Field, LICENCES, WAIVERS, facet_name};
use crate::catalogue::{Scheme, Selection};
use crate::imaging::Facet;
use crate::index::Criteria;

/// Terms of a facet that are shown with a box; others can be typed.
const TERMS: usize = 40;

/// Facets that a selection is made of first.
const FACETS: &[Facet] = &[
    Facet::Modality,
    Facet::BodySite,
    Facet::Collection,
    Facet::Source,
    Facet::Year,
    Facet::Sex,
    Facet::Species,
    Facet::Manufacturer,
    Facet::Licence,
    Facet::SourceDoi,
    Facet::Laterality,
    Facet::Procedure,
];

/// The key of the words of a facet.
const fn facet_key(facet: Facet) -> &'static str {
    match facet {
        Facet::Modality => "selects.modality",
        Facet::BodySite => "selects.body-site",
        Facet::Laterality => "selects.laterality",
        Facet::Manufacturer => "selects.manufacturer",
        Facet::Model => "selects.model",
        Facet::SopClass => "selects.sop-class",
        Facet::Performer => "selects.performer",
        Facet::Licence => "selects.licence",
        Facet::SourceDoi => "selects.source-doi",
        Facet::Year => "selects.year",
        Facet::Month => "selects.month",
        Facet::Age => "selects.age",
        Facet::Sex => "selects.sex",
        Facet::Species => "selects.species",
        Facet::Collection => "selects.collection",
        Facet::Source => "selects.source",
        Facet::Reason => "selects.reason",
        Facet::Referrer => "selects.referrer",
        Facet::Interpreter => "selects.interpreter",
        Facet::Attribute => "selects.attribute",
        Facet::Procedure => "selects.procedure",
        Facet::Requested => "selects.requested",
        Facet::Orders => "selects.orders",
        Facet::Listing => "selects.listing",
    }
}

pub(in crate::web::steward) struct Choice {
    pub code: String,
    pub label: Phrase,
    pub is_chosen: bool,
}

pub(in crate::web::steward) struct Term {
    pub term: String,
    pub label: Phrase,
    pub studies: String,
    pub is_in: bool,
    pub is_out: bool,
}

pub(in crate::web::steward) struct FacetView {
    pub name: String,
    pub label: String,
    pub terms: Vec<Term>,
    pub other_in: String,
    pub other_out: String,
    pub is_used: bool,
}

pub(in crate::web::steward) struct SelectionView {
    pub facets: Vec<FacetView>,
    pub whole_studies: bool,
    /// Studies, persons, series, images; `None`: it cannot be counted.
    pub counts: Option<[String; 4]>,
}

impl Maker<'_> {
    /// The choices of a field, and what was chosen beyond them.
    pub(super) fn choices(&self, row: &Field, chosen: &[String]) -> (Vec<Choice>, Vec<String>) {
        let mut choices: Vec<Choice> = Vec::new();
        let mut add = |code: &str, label: Phrase| {
            let is_chosen = chosen.iter().any(|one| one == code);
            choices.push(Choice { code: code.to_owned(), label, is_chosen });
        };
        for choice in &row.choices {
            add(&choice.code, Phrase::plain(choice.label.best(&self.tongue.code)));
        }
        for from in &row.from {
            if from == LICENCES {
                for licence in &self.release.licences {
                    let label = Phrase::within(&licence.title, "en", &self.tongue.code);
                    add(&licence.name, label);
                }
            } else if from == WAIVERS {
                for waiver in &self.release.file.waivers {
                    add(&waiver.rule, Phrase::plain(&waiver.rule));
                }
            } else if let Some((scheme, _)) = Scheme::ALL.iter().find(|(_, name)| name == from) {
                for concept in self.release.concepts(*scheme) {
                    add(&concept.code, self.label(from, &concept.code, &concept.label));
                }
            }
        }
        // By name, as the language sorts; what the table itself orders has own choices.
        if row.choices.is_empty() {
            choices.sort_by_cached_key(|choice| self.tongue.sorted_by(&choice.label.text));
        }
        let known = |code: &String| choices.iter().any(|choice| choice.code == *code);
        let other: Vec<String> = chosen.iter().filter(|code| !known(code)).cloned().collect();
        if row.other {
            return (choices, other);
        }
        // A code of no vocabulary is refused by the gate; until then it is not lost.
        let lost = other.into_iter().map(|code| Choice {
            label: Phrase::plain(format!("{code} ({})", self.tongue.word("steward.unknown-code"))),
            code,
            is_chosen: true,
        });
        choices.extend(lost);
        (choices, Vec::new())
    }

    fn label(&self, vocabulary: &str, code: &str, english: &str) -> Phrase {
        match self.tongue.label(vocabulary, code) {
            Some(label) => Phrase::plain(label),
            None => Phrase::within(english, "en", &self.tongue.code),
        }
    }

    pub(super) fn selection(&self, value: Option<&Value>, path: &str) -> SelectionView {
        let table = value.and_then(Value::as_table);
        let listed = |table: Option<&Table>, name: &str| -> Vec<String> {
            match table.and_then(|table| table.get(name)) {
                Some(Value::Array(terms)) => terms.iter().map(|t| plain(Some(t))).collect(),
                Some(term) => vec![plain(Some(term))],
                None => Vec::new(),
            }
        };
        let exclude = table.and_then(|table| table.get("exclude")).and_then(Value::as_table);
        let view = self.index.read();
        let actor = Actor::operator();
        let is_whole = path == "selection";
        let wanted: Vec<Facet> = Facet::ALL
            .iter()
            .copied()
            .filter(|facet| {
                let name = facet_name(*facet);
                let is_named =
                    [table, exclude].iter().any(|t| t.is_some_and(|t| t.contains_key(&name)));
                is_named || (is_whole && FACETS.contains(facet)) || *facet == Facet::Modality
            })
            .collect();
        let mut found = view.facets(&actor, &Criteria::default(), &wanted);
        let facets = wanted
            .iter()
            .map(|facet| {
                let name = facet_name(*facet);
                let (included, excluded) = (listed(table, &name), listed(exclude, &name));
                let mut counts = found.remove(facet).unwrap_or_default();
                counts
                    .sort_by(|a, b| (b.counts.studies, &a.term).cmp(&(a.counts.studies, &b.term)));
                counts.retain(|count| !count.term.is_empty());
                // What is chosen is shown, however rare.
                let is_chosen = |term: &String| included.contains(term) || excluded.contains(term);
                let (chosen, rest): (Vec<_>, Vec<_>) =
                    counts.into_iter().partition(|count| is_chosen(&count.term));
                let terms: Vec<Term> = chosen
                    .into_iter()
                    .chain(rest)
                    .take(TERMS)
                    .map(|count| Term {
                        label: self.converter.term(*facet, &count.term),
                        studies: self.tongue.count(count.counts.studies),
                        is_in: included.contains(&count.term),
                        is_out: excluded.contains(&count.term),
                        term: count.term,
                    })
                    .collect();
                let beyond = |all: &[String]| {
                    let unknown = all.iter().filter(|t| !terms.iter().any(|one| one.term == **t));
                    unknown.cloned().collect::<Vec<_>>().join("\n")
                };
                FacetView {
                    label: self.tongue.word(facet_key(*facet)).to_owned(),
                    other_in: beyond(&included),
                    other_out: beyond(&excluded),
                    is_used: !included.is_empty() || !excluded.is_empty(),
                    name,
                    terms,
                }
            })
            .filter(|facet| facet.is_used || !facet.terms.is_empty())
            .collect();
        let selection: Option<Selection> = value.and_then(|value| value.clone().try_into().ok());
        let counts = selection.filter(|selection| !selection.is_empty()).map(|selection| {
            let counts = view.count(&actor, &Criteria::from(&selection));
            [counts.studies, counts.patients, counts.series, counts.images]
                .map(|count| self.tongue.count(count))
        });
        let whole_studies =
            table.and_then(|table| table.get("whole_studies")).and_then(Value::as_bool)
                == Some(true);
        SelectionView { facets, whole_studies, counts }
    }
}
