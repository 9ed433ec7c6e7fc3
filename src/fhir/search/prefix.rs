//! What stands before an ordered value (FHIR R4 search, 3.1.1.4.5).

/// How a value of a resource is compared with the one that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    /// Starts after.
    Sa,
    /// Ends before.
    Eb,
    /// Approximately.
    Ap,
}

impl Prefix {
    /// The prefix of a value and what follows it; without one it is `eq`.
    pub(super) fn of(raw: &str) -> (Self, &str) {
        let prefix = match raw.get(..2) {
            Some("eq") => Self::Eq,
            Some("ne") => Self::Ne,
            Some("gt") => Self::Gt,
            Some("lt") => Self::Lt,
            Some("ge") => Self::Ge,
            Some("le") => Self::Le,
            Some("sa") => Self::Sa,
            Some("eb") => Self::Eb,
            Some("ap") => Self::Ap,
            _ => return (Self::Eq, raw),
        };
        (prefix, raw.get(2..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn two_letters_stand_before_a_value_or_none() {
        assert_eq!(Prefix::of("ge2024-05"), (Prefix::Ge, "2024-05"));
        assert_eq!(Prefix::of("2024"), (Prefix::Eq, "2024"));
        assert_eq!(Prefix::of("xx5"), (Prefix::Eq, "xx5"));
        assert_eq!(Prefix::of("ap"), (Prefix::Ap, ""));
        assert_eq!(Prefix::of("é5"), (Prefix::Eq, "é5"));
    }
}
