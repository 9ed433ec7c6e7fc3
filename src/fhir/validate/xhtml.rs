//! Narratives: well-formed XHTML of a few elements, without script (FHIR R4 narrative.html).

use std::collections::HashSet;

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
/// The named entities of HTML 4 and XML, which a narrative may use (R4 narrative.html, txt-1).
/// Those of HTML 5 are more (`&colon;`), and spell what no filter sees.
const ENTITIES: &str = "\
     AElig Aacute Acirc Agrave Alpha Aring Atilde Auml Beta Ccedil Chi Dagger Delta ETH \
     Eacute Ecirc Egrave Epsilon Eta Euml Gamma Iacute Icirc Igrave Iota Iuml Kappa Lambda \
     Mu Ntilde Nu OElig Oacute Ocirc Ograve Omega Omicron Oslash Otilde Ouml Phi Pi Prime \
     Psi Rho Scaron Sigma THORN Tau Theta Uacute Ucirc Ugrave Upsilon Uuml Xi Yacute Yuml \
     Zeta aacute acirc acute aelig agrave alefsym alpha amp and ang aring asymp atilde auml \
     bdquo beta brvbar bull cap ccedil cedil cent chi circ clubs cong copy crarr cup curren \
     dArr dagger darr deg delta diams divide eacute ecirc egrave empty emsp ensp epsilon \
     equiv eta eth euml euro exist fnof forall frac12 frac14 frac34 frasl gamma ge gt hArr \
     harr hearts hellip iacute icirc iexcl igrave image infin int iota iquest isin iuml \
     kappa lArr lambda lang laquo larr lceil ldquo le lfloor lowast loz lrm lsaquo lsquo lt \
     macr mdash micro middot minus mu nabla nbsp ndash ne ni not notin nsub ntilde nu \
     oacute ocirc oelig ograve oline omega omicron oplus or ordf ordm oslash otilde otimes \
     ouml para part permil perp phi pi piv plusmn pound prime prod prop psi quot rArr radic \
     rang raquo rarr rceil rdquo real reg rfloor rho rlm rsaquo rsquo sbquo scaron sdot \
     sect shy sigma sigmaf sim spades sub sube sum sup sup1 sup2 sup3 supe szlig tau there4 \
     theta thetasym thinsp thorn tilde times trade uArr uacute uarr ucirc ugrave uml upsih \
     upsilon uuml weierp xi yacute yen yuml zeta zwj zwnj apos";
/// Attributes whose value leads somewhere.
const LINKS: &[&str] = &["cite", "href", "longdesc", "src"];
/// Where they may lead, besides to what is relative.
const SCHEMES: &[&str] = &["http", "https", "mailto", "tel", "ftp", "urn", "cid"];
/// Pictures that a narrative may hold itself.
const PICTURES: &[&str] =
    &["data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp"];
/// What a style must not hold: it loads, runs, or hides that it does.
const STYLES: &[&str] =
    &["expression", "behavior", "behaviour", "binding", "import", "script", "\\"];
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
            // XML ends a comment at the first `--`, and HTML at `>` behind its beginning.
            let words = comment.get(..end).unwrap_or_default();
            if words.contains("--") || words.starts_with(['>', '-']) || words.ends_with('-') {
                return Err("a comment holds `--`: remove it".to_owned());
            }
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
    let mut seen = HashSet::new();
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
        if !seen.insert(attribute) {
            return Err(format!("the attribute `{attribute}` stands twice"));
        }
        let plain: String = decoded(value)
            .chars()
            .filter(|c| !c.is_whitespace() && !c.is_control())
            .flat_map(char::to_lowercase)
            .collect();
        if LINKS.contains(&attribute) && !leads_somewhere(attribute, &plain) {
            return Err(format!(
                "`{attribute}` leads to what may run: write a relative address, or one of {}",
                SCHEMES.join(", ")
            ));
        }
        if attribute == "style" && !is_still(&plain) {
            return Err("`style` loads or runs something: remove it".to_owned());
        }
        rest = inner.get(close + 1..).unwrap_or_default();
    }
}

/// Whether an address, in small letters and without spaces, is relative or of a known scheme.
fn leads_somewhere(attribute: &str, address: &str) -> bool {
    let Some((scheme, _)) = address.split_once(':') else { return true };
    // `a/b:c` has no scheme.
    scheme.contains(['/', '?', '#'])
        || SCHEMES.contains(&scheme)
        || (attribute == "src" && PICTURES.iter().any(|known| address.starts_with(known)))
}

/// Whether a style, in small letters and without spaces, loads nothing from elsewhere.
fn is_still(style: &str) -> bool {
    let is_own = |rest: &str| {
        let address = rest.split(')').next().unwrap_or_default().trim_matches(['"', '\'']);
        !address.contains(':') && !address.starts_with("//")
    };
    STYLES.iter().all(|bad| !style.contains(bad)) && style.split("url(").skip(1).all(is_own)
}

/// A value as the reader's browser sees it.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (name, behind) = after.split_once(';').unwrap_or((after, ""));
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            // A letter beyond ASCII spells no scheme and no style.
            _ => character(name).unwrap_or('\u{fffd}'),
        });
        rest = behind;
    }
    out + rest
}

/// The character of `#106` or `#x6a`.
fn character(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let number = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    char::from_u32(number.ok()?)
}

/// `&` begins an entity of XML or HTML 4, or a character reference; and there is no character that
/// XML does not have (XML 1.0 section 2.2).
fn entities(text: &str) -> Result<(), String> {
    let is_character =
        |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{7f}'..='\u{9f}');
    if !text.chars().all(is_character) {
        return Err("it holds a control character: remove it".to_owned());
    }
    for (at, _) in text.match_indices('&') {
        let rest = text.get(at + 1..).unwrap_or_default();
        let name = rest.split_once(';').map(|(name, _)| name).unwrap_or_default();
        let is_known = match name.strip_prefix('#') {
            Some(_) => character(name).is_some_and(is_character),
            None => !name.is_empty() && ENTITIES.split(' ').any(|known| known == name),
        };
        if !is_known {
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
        for inner in [
            "a &amp; b<br/>",
            "<a href=\"a/b:c\">&nbsp;</a>",
            "<p style=\"color: red; background: url(a.png)\">&#233;</p>",
            "<img src=\"data:image/png;base64,AA==\"/>",
            "<a href=\"https://a.example/b\">x</a>",
            "<p class=\"x\">é</p><!-- c -->",
            "<img src='#a' alt=\"\"/>",
        ] {
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
            "<a href=\"&#106;avascript:x\">a</a>",
            "<a href=\"java&#x09;script:x\">a</a>",
            "<a href=\"javascript&colon;x\">a</a>",
            "<a href=\"data:image/png;base64,AA==\">a</a>",
            "<img src=\"data:image/svg+xml,x\"/>",
            "<p style=\"background:u&#114;l(//a.example)\">a</p>",
            "<!--><script>x</script>-->a",
            "<p class=\"a\" class=\"b\">a</p>",
            "<p>\u{1}</p>",
            "<p>&#1;</p>",
            "<p>&x;</p>",
        ] {
            assert!(fault(&format!("{OPEN}{inner}</div>")).is_some(), "{inner:?} was accepted");
        }
        for whole in ["text", "<p xmlns=\"http://www.w3.org/1999/xhtml\">a</p>", "<div>a</div>"] {
            assert!(fault(whole).is_some(), "{whole:?} was accepted");
        }
        assert!(fault(&format!("{OPEN}{}", "<b>".repeat(100_000))).is_some());
    }
}
