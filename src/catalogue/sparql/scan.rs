//! Looks at the text of a query before any parser does.
//!
//! In: text from anyone. Out: nothing, or what is wrong and where. It knows strings, IRIs,
//! comments, brackets and words, and does not recurse; the grammar is the parser's.

use crate::error::{Error, Result};

/// Longest query, in bytes.
pub const MAX_QUERY: usize = 16 * 1024;
/// Deepest nesting of brackets.
pub const MAX_DEPTH: usize = 100;
/// Longest run of prefix operators.
const MAX_RUN: usize = 20;

/// Looks at the text before any parser does.
///
/// # Errors
/// [`Error::Invalid`] with what is wrong and where: too long, nested too deeply, an update, a
/// call to another service.
pub fn scan(text: &str) -> Result<()> {
    if text.len() > MAX_QUERY {
        return Err(Error::Invalid(format!(
            "the query has {} bytes; at most {MAX_QUERY} are read",
            text.len()
        )));
    }
    let refused = |offset: usize, problem: &str| {
        let line = text.get(..offset).unwrap_or(text).bytes().filter(|b| *b == b'\n').count() + 1;
        Err(Error::Invalid(format!("line {line}: {problem}")))
    };
    let bytes = text.as_bytes();
    let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
    let (mut place, mut depth, mut run, mut is_empty) = (0, 0_usize, 0_usize, true);
    while place < bytes.len() {
        let byte = at(place);
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                place += 1;
                continue;
            }
            b'#' => {
                while place < bytes.len() && !matches!(at(place), b'\n' | b'\r') {
                    place += 1;
                }
                continue;
            }
            b'!' | b'+' | b'-' | b'^' => {
                is_empty = false;
                run += 1;
                if run > MAX_RUN {
                    return refused(place, "too many operators in a row");
                }
                place += 1;
                continue;
            }
            _ => run = 0,
        }
        is_empty = false;
        match byte {
            b'"' | b'\'' => match string_end(bytes, place) {
                Some(end) => place = end,
                None => return refused(place, "a string does not end"),
            },
            b'<' => {
                let end = iri_end(bytes, place);
                if at(place + 1) == b'<' {
                    depth += 1;
                    place += 2;
                } else if let Some(end) = end {
                    place = end;
                } else {
                    place += 1;
                }
            }
            b'>' if at(place + 1) == b'>' => {
                depth = depth.saturating_sub(1);
                place += 2;
            }
            b'(' | b'{' | b'[' => {
                depth += 1;
                place += 1;
            }
            b')' | b'}' | b']' => {
                depth = depth.saturating_sub(1);
                place += 1;
            }
            _ if byte.is_ascii_alphabetic() => {
                let start = place;
                while at(place).is_ascii_alphanumeric() || matches!(at(place), b'_' | b'-' | b'.') {
                    place += 1;
                }
                let before = if start == 0 { 0 } else { at(start - 1) };
                let is_word =
                    !matches!(before, b'?' | b'$' | b':' | b'@' | b'_' | b'%' | b'\\' | 0x80..)
                        && at(place) != b':';
                let word = text.get(start..place).unwrap_or_default();
                if is_word && word.eq_ignore_ascii_case("SERVICE") {
                    return refused(
                        start,
                        "`SERVICE` is not answered here; ask the other endpoint yourself",
                    );
                }
                let is_update =
                    ["INSERT", "DELETE", "LOAD", "CLEAR", "CREATE", "DROP", "COPY", "MOVE", "ADD"]
                        .iter()
                        .any(|update| word.eq_ignore_ascii_case(update));
                if is_word && is_update {
                    return refused(
                        start,
                        &format!("`{word}` is an update; this endpoint answers queries only"),
                    );
                }
            }
            _ => place += 1,
        }
        if depth > MAX_DEPTH {
            return refused(place, &format!("nested deeper than {MAX_DEPTH}"));
        }
    }
    if is_empty {
        let reason = "the query is empty; write one, or begin with an example";
        return Err(Error::Invalid(reason.to_owned()));
    }
    Ok(())
}

fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = *bytes.get(start)?;
    let is_long = bytes.get(start + 1) == Some(&quote) && bytes.get(start + 2) == Some(&quote);
    let mut place = start + if is_long { 3 } else { 1 };
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'\\' => place += 2,
            b'\n' | b'\r' if !is_long => return None,
            byte if *byte == quote => {
                if !is_long {
                    return Some(place + 1);
                }
                if bytes.get(place + 1) == Some(&quote) && bytes.get(place + 2) == Some(&quote) {
                    return Some(place + 3);
                }
                place += 1;
            }
            _ => place += 1,
        }
    }
    None
}

fn iri_end(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start + 1..)?;
    let end = rest.iter().position(|byte| {
        matches!(byte, b'<' | b'>' | b'"' | b'{' | b'}' | b'|' | b'^' | b'`' | b'\\' | 0..=0x20)
    })?;
    (rest.get(end) == Some(&b'>')).then_some(start + end + 2)
}

#[cfg(test)]
mod tests {
    use super::scan;

    #[test]
    fn the_scan_lets_queries_through() {
        for query in [
            "SELECT * WHERE { ?s ?p ?o }",
            "PREFIX service: <http://x/> SELECT ?service { ?service service:delete service:b . }",
            "SELECT * { ?s ?p \"a } SERVICE { \\\" ( INSERT\" } # (((( SERVICE",
            "SELECT * { ?s ?p '''a ' } (''' FILTER(?a < ?b && ?c > 3 || !(?x)) }",
            "ASK { <http://a/(((((> ?p -1 FILTER(?d<3) }",
            "SELECT * { ?s ^<http://a>/(<http://b>|!<http://c>)* ?o }",
            "SELECT * { ?s ?p \"service\"@en, \"x\"^^<http://t> }",
        ] {
            scan(query).unwrap_or_else(|failure| panic!("{query}: {failure}"));
        }
    }

    #[test]
    fn the_scan_refuses_depth_length_services_and_updates() {
        let nested =
            |open: &str, close: &str| format!("SELECT * {}{}", open.repeat(101), close.repeat(101));
        for (query, word) in [
            (nested("{", "}"), "nested"),
            (nested("(", ")"), "nested"),
            (nested("[", "]"), "nested"),
            (nested("<<", ">>"), "nested"),
            (nested("({[", "]})"), "nested"),
            (format!("ASK {{ FILTER({}true) }}", "! ".repeat(50)), "operators"),
            (format!("ASK {{ ?s {}<a:b> ?o }}", "^".repeat(50)), "operators"),
            (format!("# {}", "x".repeat(17_000)), "bytes"),
            ("SELECT * {\nservice <http://x/> { } }".to_owned(), "line 2: `SERVICE`"),
            ("INSERT DATA { <a:b> <a:b> <a:b> }".to_owned(), "update"),
            ("delete where { ?s ?p ?o }".to_owned(), "update"),
            ("SELECT * { ?s ?p \"x".to_owned(), "does not end"),
        ] {
            let problem = scan(&query).unwrap_err().to_string();
            assert!(problem.contains(word), "{query}: {problem}");
        }
    }
}
