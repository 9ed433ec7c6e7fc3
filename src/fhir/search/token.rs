//! Tokens: codes and identifiers (FHIR R4 search, 3.1.1.4.10).

use super::{split, unescape};

/// `system|code`, `|code`, `system|`, `code`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    /// `None`: any system; empty: no system.
    pub(crate) system: Option<String>,
    /// `None`: any code of the system.
    pub(crate) code: Option<String>,
}

impl Token {
    /// Reads one value; `Err` says what is wrong with it.
    pub(crate) fn parse(raw: &str) -> Result<Self, String> {
        let parts = split(raw, '|');
        let token = match parts.as_slice() {
            [code] => Self { system: None, code: Some(unescape(code)) },
            [system, code] => Self {
                system: Some(unescape(system)),
                code: Some(unescape(code)).filter(|code| !code.is_empty()),
            },
            _ => return Err(format!("`{raw}` has more than one `|`; escape it as `\\|`")),
        };
        if token.code.is_none() && token.system.as_deref() == Some("") {
            return Err("`|` names neither a system nor a code".to_owned());
        }
        Ok(token)
    }

    /// Whether a value with this system (if it has one) and code matches.
    pub(crate) fn matches(&self, system: Option<&str>, code: &str) -> bool {
        let system_matches = match self.system.as_deref() {
            None => true,
            Some("") => system.is_none(),
            Some(asked) => system == Some(asked),
        };
        system_matches && self.code.as_deref().is_none_or(|asked| asked == code)
    }
}

/// `system|code|value` of `:of-type`: an identifier by its type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OfType {
    pub(crate) system: String,
    pub(crate) code: String,
    pub(crate) value: String,
}

impl OfType {
    /// Reads one value; `Err` says what is wrong with it.
    pub(crate) fn parse(raw: &str) -> Result<Self, String> {
        match split(raw, '|').as_slice() {
            [system, code, value] if !code.is_empty() && !value.is_empty() => {
                Ok(Self { system: unescape(system), code: unescape(code), value: unescape(value) })
            }
            _ => Err(format!("`{raw}` is not `system|code|value`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn each_form_matches_what_r4_says() {
        for (raw, system, code, matches) in [
            ("a", Some("s"), "a", true),
            ("a", None, "a", true),
            ("s|a", Some("s"), "a", true),
            ("s|a", Some("t"), "a", false),
            ("s|a", None, "a", false),
            ("|a", None, "a", true),
            ("|a", Some("s"), "a", false),
            ("s|", Some("s"), "anything", true),
            ("s|", None, "anything", false),
            (r"s|a\|b", Some("s"), "a|b", true),
            (r"a\,b", None, "a,b", true),
        ] {
            assert_eq!(Token::parse(raw).unwrap().matches(system, code), matches, "{raw}");
        }
        assert!(Token::parse("a|b|c").is_err());
        assert!(Token::parse("|").is_err());
    }
}
