//! The language of the catalogue as the EU authority table writes it (`BUL`, `CES`, …).

/// The code of a language tag, of which only the first part (`cs` of `cs-CZ`) is looked at.
#[must_use]
pub fn language_code(tag: &str) -> Option<&'static str> {
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
    let tag = tag.split('-').next().unwrap_or_default();
    ROWS.iter().find(|(two, _)| *two == tag).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::language_code;

    #[test]
    fn every_language_of_the_configuration_has_a_code() {
        for language in crate::config::LANGUAGES {
            assert!(language_code(language).is_some(), "{language}");
        }
    }
}
