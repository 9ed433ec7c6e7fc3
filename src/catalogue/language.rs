//! The language of the catalogue as the EU authority table writes it (`BUL`, `CES`, …).

/// Tags and codes.
const ROWS: &[(&str, &str)] = &[
    ("bg", "BUL"),
    ("cs", "CES"),
    ("da", "DAN"),
    ("de", "DEU"),
    ("el", "ELL"),
    ("en", "ENG"),
    ("es", "SPA"),
    ("et", "EST"),
    ("fi", "FIN"),
    ("fr", "FRA"),
    ("ga", "GLE"),
    ("hr", "HRV"),
    ("hu", "HUN"),
    ("is", "ISL"),
    ("it", "ITA"),
    ("lt", "LIT"),
    ("lv", "LAV"),
    ("mt", "MLT"),
    ("nl", "NLD"),
    ("no", "NOR"),
    ("pl", "POL"),
    ("pt", "POR"),
    ("ro", "RON"),
    ("sk", "SLK"),
    ("sl", "SLV"),
    ("sv", "SWE"),
];

/// The tag (BCP 47) of a code of the authority table: of two letters where there is one, else the
/// code of ISO 639 itself in small letters, which is a tag too.
#[must_use]
pub fn language_tag(code: &str) -> String {
    let own = ROWS.iter().find(|(_, three)| *three == code);
    own.map_or_else(|| code.to_ascii_lowercase(), |(tag, _)| (*tag).to_owned())
}

/// The code of a language tag, of which only the first part (`cs` of `cs-CZ`) is looked at.
#[must_use]
pub fn language_code(tag: &str) -> Option<&'static str> {
    let tag = tag.split('-').next().unwrap_or_default();
    ROWS.iter().find(|(two, _)| *two == tag).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::{language_code, language_tag};

    #[test]
    fn every_language_of_the_configuration_has_a_code() {
        for language in crate::config::LANGUAGES {
            let code = language_code(language).unwrap_or_else(|| panic!("{language}"));
            assert_eq!(language_tag(code), *language);
        }
    }
}
