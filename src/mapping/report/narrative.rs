//! What a report says in words, as XHTML (FHIR R4, Narrative) and as plain text.

use super::Source;
use super::table::Role;
use crate::imaging::{Content, Item};
use crate::mapping::fhir::clean;

/// Characters of one section: a narrative is for reading, the whole is in the report itself.
const LETTERS: usize = 200_000;

/// One statement: its heading and its words.
pub(super) struct Line {
    pub(super) depth: usize,
    pub(super) label: String,
    pub(super) words: String,
}

/// The lines of the report by section of the table; the last entry is what has no heading that
/// is known.
pub(super) fn lines(source: &Source<'_>) -> Vec<Vec<Line>> {
    let count = source.tables().section.len();
    let mut all: Vec<Vec<Line>> = Vec::new();
    all.resize_with(count, Vec::new);
    if !source.is_secondary() {
        let rest = source.tables().section("report").unwrap_or(0);
        collect(source, &source.stored.report.items, rest, 0, &mut all);
    }
    all
}

fn collect(
    source: &Source<'_>,
    items: &[Item],
    outer: usize,
    depth: usize,
    into: &mut [Vec<Line>],
) {
    for item in items {
        let tables = source.tables();
        let own = item.concept.as_ref().and_then(|concept| tables.section_of(concept));
        let role = tables.role(item.concept.as_ref());
        if role == Some(Role::Observer) || (role == Some(Role::About) && own.is_none()) {
            // Language, rendering intent: what is below them is about them, too.
            continue;
        }
        let section = own.unwrap_or(outer);
        let label = item.concept.as_ref().and_then(|concept| clean(&concept.meaning));
        let label = label.map(std::borrow::Cow::into_owned).unwrap_or_default();
        let is_heading = own.is_some() && matches!(item.content, Content::Container { .. });
        let words = words(source, item);
        let depth = if own.is_some() { 0 } else { depth };
        if !is_heading
            && (words.is_some() || (!label.is_empty() && !item.items.is_empty()))
            && let Some(lines) = into.get_mut(section)
        {
            lines.push(Line { depth, label, words: words.unwrap_or_default() });
        }
        let below = if is_heading { depth } else { depth + 1 };
        collect(source, &item.items, section, below, into);
    }
}

/// What an item says, in words; `None` for what is no text.
fn words(source: &Source<'_>, item: &Item) -> Option<String> {
    let text = match &item.content {
        Content::Text { text } => text.clone(),
        Content::Coded { code } if code.meaning.is_empty() => code.value.clone(),
        Content::Coded { code } => code.meaning.clone(),
        Content::Number { number: Some(number), unit, .. } => {
            let unit = unit.as_ref().map(|unit| unit.value.as_str()).unwrap_or_default();
            if matches!(unit, "" | "1") { number.clone() } else { format!("{number} {unit}") }
        }
        Content::Number { qualifier: Some(code), .. } => code.meaning.clone(),
        Content::Person { name } => {
            let (_, name) = crate::mapping::person::names(name).next()?;
            name.to_text()
        }
        Content::Moment { date: Some(date), time } => {
            source.moment(Some(date), time.as_deref(), None)?
        }
        Content::Moment { date: None, time: Some(time) } => {
            // HHMM of TM, which is enough to read.
            let (hour, minute) = (time.get(..2)?, time.get(2..4).unwrap_or("00"));
            format!("{hour}:{minute}")
        }
        _ => return None,
    };
    clean(&text).map(std::borrow::Cow::into_owned)
}

/// Plain text of lines.
pub(super) fn plain(lines: &[Line]) -> String {
    let all: Vec<&str> =
        lines.iter().filter(|line| !line.words.is_empty()).map(|line| &*line.words).collect();
    cut(&all.join("\n"))
}

/// XHTML of lines: a paragraph each, and line breaks where the text has them.
pub(super) fn xhtml(lines: &[Line]) -> String {
    let mut out = String::from("<div xmlns=\"http://www.w3.org/1999/xhtml\">");
    let mut length = 0;
    for line in lines {
        length += line.words.len() + line.label.len();
        if length > LETTERS {
            out.push_str("<p>The report is longer than is shown here.</p>");
            break;
        }
        out.push_str("<p>");
        for _ in 0..line.depth.min(8) {
            out.push('\u{2003}');
        }
        if !line.label.is_empty() {
            out.push_str("<b>");
            escape(&line.label, &mut out);
            out.push_str(if line.words.is_empty() { "</b>" } else { ":</b> " });
        }
        escape(&line.words, &mut out);
        out.push_str("</p>");
    }
    out.push_str("</div>");
    out
}

/// A narrative of one sentence of ours.
pub(super) fn sentence(text: &str) -> String {
    let mut out = String::from("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>");
    escape(text, &mut out);
    out.push_str("</p></div>");
    out
}

fn cut(text: &str) -> String {
    text.chars().take(LETTERS).collect()
}

/// Text as XHTML: no markup of the report's, no character that XML forbids (XML 1.0, section 2.2).
fn escape(text: &str, out: &mut String) {
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\n' => out.push_str("<br/>"),
            '\t' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, plain, sentence, xhtml};

    #[test]
    fn markup_of_a_report_is_text() {
        let line = |label: &str, words: &str| Line {
            depth: 0,
            label: label.to_owned(),
            words: words.to_owned(),
        };
        assert_eq!(
            xhtml(&[line("<b>", "<script>alert('&')</script>\r\nsecond\u{7}\u{ffff} \"line\"")]),
            "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p><b>&lt;b&gt;:</b> \
             &lt;script&gt;alert('&amp;')&lt;/script&gt;<br/>second &quot;line&quot;</p></div>"
        );
        assert_eq!(plain(&[line("Finding", "a"), line("", ""), line("", "b")]), "a\nb");
        assert!(sentence("1 < 2").contains("1 &lt; 2"));
        assert!(xhtml(&[line("", &"x".repeat(300_000))]).len() < 300);
    }
}
