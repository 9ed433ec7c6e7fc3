//! Searches: parameters → criteria, by the rows of `mappings/search-parameters.toml`. One file
//! per parameter type (FHIR R4 search), and one per kind of resource that is searched.

mod criterion;
mod date;
pub(super) mod documents;
pub(super) mod manifests;
pub(super) mod patients;
mod prefix;
mod quantity;
mod reference;
mod reverse;
mod special;
mod string;
pub(super) mod studies;
mod token;
pub(super) mod values;

use super::Asking;
use super::outcome::{Failure, Result};
use super::request::Parameters;
use super::table::{Answer, Parameter, Resource};
use crate::actor::{Actor, Role};
use crate::error::Error;
use crate::mapping::fhir::View;
use criterion::{LONGEST_CHAIN, criterion, split, unescape};
use date::DateTest;
use quantity::QuantityTest;
pub(super) use reference::Reference;
pub(super) use special::{
    CURSOR, Control, Include, Place, cursor, foreign_cursor, is_control, open_cursor,
};
use string::{How, UriHow};
pub(super) use token::{OfType, Token};

/// What becomes of parameters that the server does not know (`Prefer: handling=…`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Handling {
    /// They are refused.
    Strict,
    /// They are ignored, and absent from the self link.
    Lenient,
}

/// The values of one parameter, of which one must match, by the modifier.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// `:missing`
    Missing(bool),
    Tokens(Vec<Token>),
    /// `:not`
    NotTokens(Vec<Token>),
    /// `:text`, folded.
    Text(Vec<String>),
    /// `:of-type`
    OfType(Vec<OfType>),
    Dates(Vec<DateTest>),
    References(Vec<Reference>),
    /// `:identifier`
    Identifiers(Vec<Token>),
    /// Folded, unless they are compared exactly.
    Strings(How, Vec<String>),
    /// Numbers, too.
    Quantities(Vec<QuantityTest>),
    Uris(UriHow, Vec<String>),
    /// A parameter of the patient that is pointed at.
    Chain(Box<Criterion>),
    /// The same of each type that can be pointed at.
    Linked(Vec<(Resource, Criterion)>),
}

/// One parameter of a search; all of them must hold.
#[derive(Clone, Debug)]
pub(super) struct Criterion {
    /// As the client wrote it.
    pub(super) name: String,
    pub(super) parameter: Parameter,
    pub(super) test: Test,
    /// An identifier that names a patient in care: a StudyID, which many patients may share,
    /// is none then.
    pub(super) is_never_study_id: bool,
}

impl Criterion {
    /// Whether it asks for what has no value.
    pub(super) const fn is_missing(&self) -> bool {
        matches!(self.test, Test::Missing(true) | Test::NotTokens(_))
    }
}

/// A search as it is processed.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) resource: Resource,
    pub(super) criteria: Vec<Criterion>,
    pub(super) control: Control,
    /// What was processed, for the self link.
    pub(super) processed: Parameters,
}

/// Most parameters of a count of what may not be read.
const MOST_FOR_HIDDEN_COUNT: usize = 3;
/// More alternatives than any client needs.
const MOST_VALUES: usize = 200;

impl Search {
    /// A search that the server asks itself: its first `count` matches.
    pub(super) fn of(resource: Resource, criteria: Vec<Criterion>, count: usize) -> Self {
        let control = Control { count, has_total: false, ..Control::default() };
        Self { resource, criteria, control, processed: Vec::new() }
    }

    /// Reads the parameters of a search.
    pub(super) fn parse(
        asking: &Asking<'_>,
        resource: Resource,
        parameters: Parameters,
        handling: Handling,
    ) -> Result<Self> {
        let mut control = Control::default();
        let mut criteria = Vec::new();
        let mut processed: Parameters = Vec::new();
        let row = asking.state.table.row(resource);
        for (name, value) in parameters {
            if ["_format", "_pretty"].contains(&name.as_str()) {
                continue;
            }
            if is_control(&name) {
                let may_repeat = ["_include", "_revinclude"].iter().any(|n| name.starts_with(n));
                if !may_repeat && processed.iter().any(|(known, _)| *known == name) {
                    return Err(Failure::parameter(&name, "stands twice"));
                }
                if control.take(row, &name, &value, handling)? {
                    processed.push((name, value));
                }
                continue;
            }
            // R4: a parameter without a value is no parameter.
            if value.is_empty() && handling == Handling::Lenient {
                continue;
            }
            let read = if name.starts_with(reverse::HAS) {
                Some(reverse::read(asking, resource, &name, &value)?)
            } else {
                criterion(asking, resource, &name, &value)?
            };
            match read {
                Some(criterion) => {
                    criteria.push(criterion);
                    processed.push((name, value));
                }
                None if handling == Handling::Lenient => {}
                None => {
                    let known: Vec<&str> = asking
                        .state
                        .table
                        .parameters(resource)
                        .map(|row| row.name.as_str())
                        .collect();
                    return Err(Failure::parameter(
                        &name,
                        format!("is not known; {} knows {}", resource.name(), known.join(", ")),
                    ));
                }
            }
        }
        let has_includes = !(control.include.is_empty() && control.revinclude.is_empty());
        if has_includes && control.subset == super::subset::Subset::Text {
            return Err(Failure::parameter("_summary", "`text` and includes exclude each other"));
        }
        let mut search = Self { resource, criteria, control, processed };
        if let Some(cursor) = &search.control.cursor {
            let about = search.about(asking);
            search.control.after = Some(open_cursor(&asking.state.cursor_key, &about, cursor)?);
        }
        if asking.actor.role == Role::Ehr {
            search.never_take_a_study_id_for_a_name(asking);
        }
        Ok(search)
    }

    /// What a cursor is good for: this search by whom it was asked, in their view.
    pub(super) fn about(&self, asking: &Asking<'_>) -> String {
        let processed: Vec<_> = self.processed.iter().filter(|(name, _)| name != CURSOR).collect();
        let Actor { subject, role, .. } = asking.actor;
        format!("{:?}", (subject, role, asking.view, self.resource, processed))
    }

    fn never_take_a_study_id_for_a_name(&mut self, asking: &Asking<'_>) {
        let is_study_identifier =
            |criterion: &Criterion| criterion.parameter.answer == Answer::StudyIdentifier;
        let is_named_otherwise = self
            .criteria
            .iter()
            .any(|criterion| !is_study_identifier(criterion) && criterion.names_one(asking));
        for criterion in &mut self.criteria {
            criterion.is_never_study_id = !is_named_otherwise
                && is_study_identifier(criterion)
                && criterion.names_one(asking);
        }
    }

    /// Whether a parameter names one patient or study.
    fn names_one(&self, asking: &Asking<'_>) -> bool {
        self.criteria.iter().any(|criterion| criterion.names_one(asking))
    }

    /// Whether counts of rows that may not be read can be told of such a search. Many counts of
    /// many small differences would tell single persons apart, whatever each is rounded to: so
    /// there are few parameters, without unions of the reader's choice, and years are whole.
    pub(super) fn permit_hidden_count(&self) -> Result<()> {
        let refused = |reason: String| {
            Err(Error::Forbidden(format!(
                "{reason}: this archive counts studies that may not be read, and only for \
                 coarse questions"
            ))
            .into())
        };
        if self.criteria.len() > MOST_FOR_HIDDEN_COUNT {
            return refused(format!(
                "a count takes at most {MOST_FOR_HIDDEN_COUNT} search parameters"
            ));
        }
        for criterion in &self.criteria {
            let name = &criterion.name;
            let values = match &criterion.test {
                Test::Missing(_) | Test::Chain(_) => 1,
                Test::Linked(of) => of.len(),
                Test::Quantities(of) => of.len(),
                Test::Uris(_, of) => of.len(),
                Test::Tokens(of) | Test::NotTokens(of) | Test::Identifiers(of) => of.len(),
                Test::OfType(of) => of.len(),
                Test::References(of) => of.len(),
                Test::Dates(dates) => {
                    if !dates.iter().all(DateTest::is_of_whole_years) {
                        return refused(format!(
                            "`{name}` of a count takes whole years (`ge2024`)"
                        ));
                    }
                    dates.len()
                }
                // Whatever holds a text is a union, too.
                Test::Text(_) | Test::Strings(..) => {
                    return refused(format!("`{name}` has no place in a count"));
                }
            };
            if values > 1 {
                return refused(format!("`{name}` of a count takes one value"));
            }
        }
        Ok(())
    }

    /// Whether any parameter is about single patients or studies, in whatever form: a count of
    /// rows that may not be read is never told by such a one.
    pub(super) fn identifies(&self) -> bool {
        fn is_about_one(criterion: &Criterion) -> bool {
            match &criterion.test {
                Test::Chain(of) => is_about_one(of) || criterion.parameter.identifies,
                Test::Linked(of) => {
                    of.iter().any(|(_, of)| is_about_one(of)) || criterion.parameter.identifies
                }
                _ => criterion.parameter.identifies || criterion.parameter.singles_out(),
            }
        }
        self.criteria.iter().any(is_about_one)
    }

    /// What the token's scopes let the actor ask. What is included is read, and what a chain
    /// looks into is searched.
    fn permit_scopes(&self, asking: &Asking<'_>) -> Result<()> {
        let actor = asking.actor;
        let needs = |may: bool, letter: char, resource: &str| {
            if may { Ok(()) } else { Err(scope_needed(resource, letter)) }
        };
        let searched = self.resource.name();
        needs(actor.has_search_scope(searched), 's', searched)?;
        for criterion in &self.criteria {
            criterion.permit_scopes(actor)?;
        }
        let table = &asking.state.table;
        for include in &self.control.include {
            let followed = table.parameter(include.source, &include.name);
            let targets = followed.map_or(&[][..], |parameter| &parameter.targets);
            for target in targets {
                let is_served = Resource::parse(target).is_some();
                if is_served && include.target.is_none_or(|only| only.name() == target) {
                    needs(actor.has_read_scope(target), 'r', target)?;
                }
            }
        }
        for include in &self.control.revinclude {
            let name = include.source.name();
            needs(actor.has_read_scope(name), 'r', name)?;
        }
        Ok(())
    }

    /// What a role may ask (the operator of the archive everything, care one patient at a time).
    pub(super) fn permit(&self, asking: &Asking<'_>) -> Result<()> {
        self.permit_scopes(asking)?;
        let is_of_patients = asking.state.table.row(self.resource).is_of_patients;
        if asking.actor.role == Role::Ehr && is_of_patients && !self.names_one(asking) {
            let how = asking
                .state
                .table
                .parameters(self.resource)
                .filter(|parameter| parameter.identifies)
                .map(|parameter| format!("`{}`", parameter.name))
                .collect::<Vec<_>>()
                .join(" or ");
            return Err(Error::Forbidden(format!(
                "the role `ehr` reads one patient at a time: give {how}, with one value"
            ))
            .into());
        }
        for criterion in &self.criteria {
            criterion.permit(asking)?;
        }
        Ok(())
    }
}

impl Criterion {
    /// Whether it names one patient or study, by exactly one value.
    fn names_one(&self, asking: &Asking<'_>) -> bool {
        let is_of_study = self.parameter.answer == Answer::StudyIdentifier;
        let names = |token: &Token| {
            let is_study_id = is_of_study
                && token.system.is_some()
                && token.system.as_deref() == asking.state.context.study_id_system();
            token.code.is_some() && !is_study_id
        };
        match &self.test {
            Test::Tokens(tokens) | Test::Identifiers(tokens) => {
                self.parameter.identifies && matches!(tokens.as_slice(), [one] if names(one))
            }
            Test::References(of) => self.parameter.identifies && of.len() == 1,
            Test::OfType(of) => self.parameter.identifies && of.len() == 1,
            Test::Chain(of) => of.names_one(asking),
            Test::Linked(of) => {
                self.parameter.identifies && of.iter().any(|(_, of)| of.names_one(asking))
            }
            Test::Missing(_)
            | Test::NotTokens(_)
            | Test::Text(_)
            | Test::Dates(_)
            | Test::Quantities(_)
            | Test::Uris(..)
            | Test::Strings(..) => false,
        }
    }

    /// What a chain looks into is searched.
    fn permit_scopes(&self, actor: &Actor) -> Result<()> {
        let needs = |resource: &str| {
            if actor.has_search_scope(resource) { Ok(()) } else { Err(scope_needed(resource, 's')) }
        };
        let of_patients = self.parameter.answer == Answer::Patient
            || self.parameter.targets.iter().any(|target| target == "Patient");
        match &self.test {
            Test::Chain(_) => needs("Patient"),
            Test::Identifiers(_) if of_patients => needs("Patient"),
            Test::Linked(of) => of.iter().try_for_each(|(resource, of)| {
                needs(resource.name())?;
                of.permit_scopes(actor)
            }),
            _ => Ok(()),
        }
    }

    /// Secondary use of an archive that names persons cannot ask for what it cannot see.
    fn permit(&self, asking: &Asking<'_>) -> Result<()> {
        match &self.test {
            Test::Chain(of) => of.permit(asking)?,
            Test::Linked(of) => of.iter().try_for_each(|(_, of)| of.permit(asking))?,
            _ => {}
        }
        let names_persons = match self.parameter.answer {
            Answer::PatientIdentifier
            | Answer::Family
            | Answer::Given
            | Answer::Name
            | Answer::BirthDate
            | Answer::StudyIdentifier
            | Answer::BasedOn
            | Answer::Series
            | Answer::Instance
            | Answer::Performer
            | Answer::Interpreter
            | Answer::Referrer
            | Answer::Encounter
            | Answer::OrderIdentifier
            | Answer::StudyUid
            | Answer::Accession
            | Answer::Related => true,
            Answer::Id
            | Answer::LastUpdated
            | Answer::Gender
            | Answer::Patient
            | Answer::Started
            | Answer::Modality
            | Answer::BodySite
            | Answer::SopClass
            | Answer::Endpoint
            | Answer::Reason
            | Answer::Nothing
            | Answer::Status
            | Answer::ProcedureCode
            | Answer::RequestedCode
            | Answer::Document
            | Answer::DocumentId
            | Answer::DocumentFormat
            | Answer::DocumentIdentifier
            | Answer::DocumentConstant
            | Answer::Region => false,
        };
        if names_persons && asking.view == View::Pseudonymous {
            return Err(Error::Forbidden(format!(
                "`{}` names persons, and secondary use of this archive sees none",
                self.name
            ))
            .into());
        }
        Ok(())
    }
}

/// Whether a text is a date, a time or an instant.
pub(super) fn is_date(text: &str) -> bool {
    date::interval(text, None).is_some()
}

/// A token whose scopes do not reach.
pub(super) fn scope_needed(resource: &str, letter: char) -> Failure {
    Error::Forbidden(format!(
        "the token's scopes do not allow this: it needs `system/{resource}.{letter}`"
    ))
    .into()
}

/// The answer to a criterion that is the same for every resource of the type.
pub(super) fn constant(test: &Test, matches: impl Fn(&Token) -> bool) -> Option<bool> {
    Some(match test {
        Test::Missing(missing) => !missing,
        Test::Tokens(tokens) => tokens.iter().any(matches),
        Test::NotTokens(tokens) => !tokens.iter().any(matches),
        _ => return None,
    })
}

pub(super) fn unsupported(criterion: &Criterion, what: &str) -> Failure {
    Failure::parameter(&criterion.name, format!("{what} is not supported for this parameter"))
}
