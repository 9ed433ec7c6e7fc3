//! Narratives: well-formed XHTML of a few elements, without script (FHIR R4 narrative.html).

/// Elements of XHTML that a narrative may have.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
];
/// Attributes that they may have.
const ATTRIBUTES: &[&str] = &[
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellhalign",
    "cellpadding",
    "cellspacing",
    "cellvalign",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "colspan",
    "compact",
    "coords",
    "dir",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "longdesc",
    "name",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:lang",
    "xmlns",
];
const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
const DEEPEST: usize = 64;

/// What is wrong with a narrative's `div`, if anything.
pub(super) fn fault(text: &str) -> Option<String> {
    check(text.trim()).err()
}

fn check(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    let (mut has_root, mut says_something) = (false, false);
    while !rest.is_empty() {
        if has_root && open.is_empty() {
            return Err("nothing may follow the `div`".to_owned());
        }
        let Some(after) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let words = rest.get(..end).unwrap_or_default();
            if open.is_empty() {
                return Err(
                    "it begins with `<div xmlns=\"http://www.w3.org/1999/xhtml\">`".to_owned()
                );
            }
            entities(words)?;
            says_something |= !words.trim().is_empty();
            rest = rest.get(end..).unwrap_or_default();
            continue;
        };
        if let Some(comment) = after.strip_prefix("!--") {
            let end = comment.find("-->").ok_or("a comment does not end")?;
            rest = comment.get(end + 3..).unwrap_or_default();
            continue;
        }
        if after.starts_with(['!', '?']) {
            return Err(
                "declarations and instructions are not allowed: remove `<!` and `<?`".to_owned()
            );
        }
        if let Some(closing) = after.strip_prefix('/') {
            let end = closing.find('>').ok_or("a tag does not end")?;
            let name = closing.get(..end).unwrap_or_default().trim_end();
            if open.pop() != Some(name) {
                return Err(format!("`</{name}>` closes what is not open"));
            }
            rest = closing.get(end + 1..).unwrap_or_default();
            continue;
        }
        let (name, is_empty, after) = tag(after, open.is_empty())?;
        if !has_root && name != "div" {
            return Err(format!("its root is `{name}`, not `div`"));
        }
        has_root = true;
        says_something |= name == "img";
        if !is_empty {
            open.push(name);
        }
        if open.len() > DEEPEST {
            return Err(format!("it nests deeper than {DEEPEST} elements"));
        }
        rest = after;
    }
    match open.last() {
        Some(name) => Err(format!("`<{name}>` is not closed")),
        None if !says_something => {
            Err("it says nothing: write the text of the resource".to_owned())
        }
        None => Ok(()),
    }
}

/// Reads a tag behind its `<`: name, whether it closes itself, what follows.
fn tag(text: &str, is_root: bool) -> Result<(&str, bool, &str), String> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .filter(|end| *end > 0)
        .ok_or("`<` begins no tag: write `&lt;`")?;
    let name = text.get(..end).unwrap_or_default();
    if !ELEMENTS.contains(&name) {
        return Err(format!("`<{name}>` is not allowed: remove it"));
    }
    let mut rest = text.get(end..).unwrap_or_default();
    let mut has_namespace = false;
    loop {
        rest = rest.trim_start();
        let is_closed = match (rest.strip_prefix("/>"), rest.strip_prefix('>')) {
            (Some(after), _) => Some((true, after)),
            (_, Some(after)) => Some((false, after)),
            _ => None,
        };
        if let Some((is_empty, after)) = is_closed {
            if is_root && !has_namespace {
                return Err(format!("its root needs `xmlns=\"{NAMESPACE}\"`"));
            }
            return Ok((name, is_empty, after));
        }
        let (attribute, after) = rest.split_once('=').ok_or("a tag does not end")?;
        let attribute = attribute.trim_end();
        if !ATTRIBUTES.contains(&attribute) {
            let shown: String = attribute.chars().take(40).collect();
            return Err(format!("the attribute `{shown}` is not allowed: remove it"));
        }
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or("an attribute's value stands in quotes")?;
        let inner = after.get(1..).unwrap_or_default();
        let close = inner.find(quote).ok_or("an attribute does not end")?;
        let value = inner.get(..close).unwrap_or_default();
        entities(value)?;
        has_namespace |= attribute == "xmlns" && value == NAMESPACE;
        if value.contains('<') {
            return Err("`<` in an attribute: write `&lt;`".to_owned());
        }
        let scheme: String =
            value.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        let scheme = scheme.to_ascii_lowercase();
        if ["javascript:", "vbscript:", "data:text"].iter().any(|bad| scheme.starts_with(bad)) {
            return Err(format!("`{attribute}` runs a script: remove it"));
        }
        rest = inner.get(close + 1..).unwrap_or_default();
    }
}

/// `&` begins an entity of XML or a character reference.
fn entities(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('&') {
        let rest = text.get(at + 1..).unwrap_or_default();
        let name = rest.split_once(';').map(|(name, _)| name).unwrap_or_default();
        let is_name = !name.is_empty()
            && name.len() <= 10
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#');
        if !is_name {
            return Err("`&` begins no entity: write `&amp;`".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::fault;

    const OPEN: &str = "<div xmlns=\"http://www.w3.org/1999/xhtml\">";

    #[test]
    fn plain_narratives_hold() {
        for inner in
            ["a &amp; b<br/>", "<p class=\"x\">é</p><!-- c -->", "<img src='#a' alt=\"\"/>"]
        {
            assert_eq!(fault(&format!("{OPEN}{inner}</div>")), None, "{inner}");
        }
    }

    #[test]
    fn what_a_narrative_must_not_be_is_refused() {
        for inner in [
            "<script>x</script>",
            "<p onclick=\"x\">a</p>",
            "<a href=\" java\tscript:x\">a</a>",
            "<p>a</div>",
            "<p>a",
            "  ",
            "a & b",
            "<iframe/>",
            "<!DOCTYPE x>a",
            "<p class=x>a</p>",
        ] {
            assert!(fault(&format!("{OPEN}{inner}</div>")).is_some(), "{inner:?} was accepted");
        }
        for whole in ["text", "<p xmlns=\"http://www.w3.org/1999/xhtml\">a</p>", "<div>a</div>"] {
            assert!(fault(whole).is_some(), "{whole:?} was accepted");
        }
        assert!(fault(&format!("{OPEN}{}", "<b>".repeat(100_000))).is_some());
    }
}
