//! Strings (FHIR R4 search, 3.1.1.4.8): begins with, without case and accents, unless a
//! modifier says otherwise.

use crate::imaging::fold;

/// How a string is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    /// The value begins with it.
    Begins,
    /// `:contains`
    Contains,
    /// `:exact`: with case and accents.
    Exact,
}

impl How {
    /// The same where both are folded already; exactly, as they are.
    pub(crate) fn matches_folded(self, asked: &str, value: &str, folded: &str) -> bool {
        match self {
            Self::Begins => folded.starts_with(asked),
            Self::Contains => folded.contains(asked),
            Self::Exact => value == asked,
        }
    }

    /// Whether a value matches.
    pub(crate) fn matches(self, asked: &str, value: &str) -> bool {
        match self {
            Self::Begins => fold(value).starts_with(&fold(asked)),
            Self::Contains => fold(value).contains(&fold(asked)),
            Self::Exact => value == asked,
        }
    }
}

/// How a URI is compared (FHIR R4 search, 3.1.1.4.13).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UriHow {
    /// The same, letter by letter.
    Equal,
    /// `:below`: the value begins with it.
    Below,
    /// `:above`: it begins with the value.
    Above,
}

impl UriHow {
    /// Whether only the same one matches.
    pub(crate) const fn is_equal(self) -> bool {
        matches!(self, Self::Equal)
    }

    /// Whether a value matches.
    pub(crate) fn matches(self, asked: &str, value: &str) -> bool {
        match self {
            Self::Equal => value == asked,
            Self::Below => value.starts_with(asked),
            Self::Above => asked.starts_with(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::How;

    #[test]
    fn strings_compare_without_case_and_accents_unless_exact() {
        for (how, asked, value, matches) in [
            (How::Begins, "dvor", "Dvořáková", true),
            (How::Begins, "vor", "Dvořáková", false),
            (How::Contains, "RAK", "Dvořáková", true),
            (How::Exact, "Dvořáková", "Dvořáková", true),
            (How::Exact, "dvořáková", "Dvořáková", false),
            (How::Exact, "Dvořák", "Dvořáková", false),
        ] {
            assert_eq!(how.matches(asked, value), matches, "{how:?} {asked}");
        }
    }
}
