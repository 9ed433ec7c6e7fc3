//! The orders that a study answers.
//!
//! One for each item of ReferencedRequestSequence (0040,A370) that carries an identifier (IHE
//! MADO's group case: the study then has no accession number of its own), and one for an
//! accession or order number of the study that no item names.

use super::Context;
use super::codes::code_of;
use super::identifier::{ACCESSION, Identifier};
use crate::imaging::Attributes;

/// Most orders of a study: a group case has a few.
const MOST: usize = 20;

/// An order.
#[derive(Clone, Debug)]
pub(super) struct Order<'a> {
    /// System and accession number.
    pub(super) accession: Option<(String, &'a str)>,
    /// Its item of ReferencedRequestSequence.
    item: Option<&'a Attributes>,
    study: &'a Attributes,
    /// Whether what the study says of orders is about this one.
    is_only: bool,
}

/// The orders, in the order of their items.
pub(super) fn orders<'a>(context: &Context, study: &'a Attributes) -> Vec<Order<'a>> {
    let has_number = |bag: &Attributes| {
        NUMBERED.iter().any(|row| bag.first(row.0).is_some_and(super::fhir::is_shown))
    };
    let of = |item, bag: &'a Attributes| Order {
        accession: bag
            .first("AccessionNumber")
            .filter(|value| super::fhir::is_shown(value))
            .map(|value| (context.accession_system(bag), value)),
        item,
        study,
        is_only: false,
    };
    let mut found: Vec<Order<'a>> = Vec::new();
    for item in study.items("ReferencedRequestSequence") {
        let order = of(Some(item), item);
        let is_known = order.accession.is_some()
            && found.iter().any(|known| known.accession == order.accession);
        if (order.accession.is_some() || has_number(item)) && !is_known {
            found.push(order);
        }
    }
    let own = of(None, study);
    match (&own.accession, found.as_mut_slice()) {
        // The one item without an accession number is about the study's.
        (Some(_), [one]) if one.accession.is_none() => one.accession = own.accession,
        (Some((_, value)), _) => {
            if !found.iter().any(|one| one.accession.as_ref().is_some_and(|of| of.1 == *value)) {
                found.insert(0, own);
            }
        }
        (None, []) if has_number(study) => found.push(own),
        (None, _) => {}
    }
    found.truncate(MOST);
    if let [one] = found.as_mut_slice() {
        one.is_only = true;
    }
    found
}

impl<'a> Order<'a> {
    fn bags(&self) -> impl Iterator<Item = &'a Attributes> {
        let study = self.study;
        let is_about_it = self.is_only || self.item.is_none();
        self.item.into_iter().chain(is_about_it.then_some(study))
    }

    /// The first value of an attribute that is about this order.
    pub(super) fn first(&self, keyword: &str) -> Option<&'a str> {
        self.bags().find_map(|bag| bag.first(keyword))
    }

    /// The number that an attribute gives, as an identifier.
    pub(super) fn number(&self, context: &Context, keyword: &str) -> Option<Identifier> {
        let (keyword, issuer, kind) = NUMBERED.into_iter().find(|(known, ..)| *known == keyword)?;
        let value = self.first(keyword).filter(|value| super::fhir::is_shown(value))?;
        let value = value.trim().to_owned();
        let system = context.issued_system(self.items(issuer), kind);
        Some(Identifier { system, value, types: &[] })
    }

    fn numbers(&self, context: &Context) -> impl Iterator<Item = Identifier> {
        NUMBERED.into_iter().filter_map(|(keyword, ..)| self.number(context, keyword))
    }

    /// The first text of an attribute that is about this order.
    pub(super) fn text(&self, keyword: &str) -> Option<&'a str> {
        self.bags().find_map(|bag| bag.text(keyword))
    }

    /// The first sequence with items that is about this order.
    pub(super) fn items(&self, keyword: &str) -> &'a [Attributes] {
        self.bags().map(|bag| bag.items(keyword)).find(|items| !items.is_empty()).unwrap_or(&[])
    }
}

/// How many orders a study answers.
#[must_use]
pub fn count_orders(context: &Context, study: &Attributes) -> usize {
    orders(context, study).len()
}

/// The identifiers of the orders that a study answers, as their resources give them.
#[must_use]
pub fn order_identifiers(context: &Context, study: &Attributes) -> Vec<Identifier> {
    let mut found: Vec<Identifier> = Vec::new();
    for order in orders(context, study) {
        if let Some((system, value)) = &order.accession {
            let (system, value) = (system.clone(), (*value).to_owned());
            found.push(Identifier { system, value, types: ACCESSION });
        }
        found.extend(order.numbers(context));
    }
    found
}

/// Keyword, issuer and naming system of the numbers of an order. They carry no type: what tells
/// the accession number apart in the slices of HL7 Europe Imaging is that it has one, so that a
/// judge takes any other typed identifier for a wrong accession number. The system tells.
const NUMBERED: [(&str, &str, &str); 3] = [
    ("PlacerOrderNumberImagingServiceRequest", "OrderPlacerIdentifierSequence", "placer-order"),
    ("FillerOrderNumberImagingServiceRequest", "OrderFillerIdentifierSequence", "filler-order"),
    ("RequestedProcedureID", "", "requested-procedure"),
];

/// `system|code` of each procedure that the orders request.
pub(super) fn requested(context: &Context, orders: &[Order<'_>]) -> Vec<String> {
    let mut terms: Vec<String> = orders
        .iter()
        .filter_map(|order| order.items("RequestedProcedureCodeSequence").first())
        .filter_map(|item| code_of(context, item))
        .map(|code| code.term())
        .collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}

#[cfg(test)]
mod tests {
    use super::orders;
    use crate::imaging::Keyword;
    use crate::mapping::{Context, bag};

    #[test]
    fn each_accession_number_is_one_order() {
        let context = Context::default();
        let case = |own: &[(&str, &str)], items: &[&[(&str, &str)]]| {
            let mut study = bag(own);
            let items = items.iter().map(|item| bag(item)).collect();
            study.set_items(Keyword::parse("ReferencedRequestSequence").unwrap(), items);
            let found = orders(&context, &study);
            let told = found.iter().map(|order| {
                let accession = order.accession.as_ref().map_or("", |of| of.1);
                (accession.to_owned(), order.first("RequestedProcedureID").unwrap_or("").to_owned())
            });
            told.collect::<Vec<_>>()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(case(&[], &[]), []);
        assert_eq!(case(&[("AccessionNumber", "A")], &[]), [pair("A", "")]);
        let rp = ("RequestedProcedureID", "R");
        assert_eq!(case(&[("AccessionNumber", "A"), rp], &[]), [pair("A", "R")]);
        assert_eq!(case(&[("AccessionNumber", "A")], &[&[rp]]), [pair("A", "R")]);
        let same: &[_] = &[("AccessionNumber", "A"), rp];
        assert_eq!(case(&[("AccessionNumber", "A")], &[same]), [pair("A", "R")]);
        assert_eq!(
            case(&[rp], &[&[("AccessionNumber", "A")], &[("AccessionNumber", "B")]]),
            [pair("A", ""), pair("B", "")]
        );
        assert_eq!(case(&[rp], &[]), [pair("", "R")]);
        assert_eq!(case(&[], &[&[("ScheduledProcedureStepID", "S")]]), []);
    }
}
