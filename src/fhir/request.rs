//! Parameters of a request: the query, and the form of a search by POST.

use super::outcome::{Failure, Result};
use crate::error::Error;
use crate::http::decoded;

/// Names and values in the order given, decoded.
pub(super) type Parameters = Vec<(String, String)>;

/// More parameters than any client needs.
const MOST: usize = 100;
/// Longer than any value that a search compares.
const LONGEST: usize = 8 * 1024;

/// Decodes `application/x-www-form-urlencoded`.
pub(super) fn decode(text: &str, into: &mut Parameters) -> Result<()> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent(name)?;
        let value = percent(value)?;
        if let Some(place) = [&name, &value].iter().find(|text| has_control(text)) {
            let shown = place.escape_default().take(60).collect::<String>();
            return Err(Error::Invalid(format!("`{shown}` holds a control character")).into());
        }
        if value.len() > LONGEST {
            return Err(Failure::parameter(&name, format!("is longer than {LONGEST} bytes")));
        }
        if into.len() == MOST {
            return Err(Error::TooCostly(format!("more than {MOST} parameters")).into());
        }
        into.push((name, value));
    }
    Ok(())
}

/// An id as the path spells it. One that no id can be is simply not known, but for control
/// characters, which databases choke on.
pub(super) fn id(text: &str) -> Result<String> {
    let id = percent(&text.replace('+', "%2B"))?;
    if has_control(&id) {
        return Err(Error::Invalid("the id holds a control character".to_owned()).into());
    }
    Ok(id)
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn percent(text: &str) -> Result<String> {
    decoded(text).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        Failure::from(Error::Invalid(format!("`{shown}` is not percent-encoded UTF-8")))
    })
}

/// Encodes one name or value of a link.
pub(super) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        // The characters that R4's own examples leave as they are stay readable.
        if byte.is_ascii_alphanumeric() || b"-._~:,/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// A query of a link.
pub(super) fn query_of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        query.push(if query.is_empty() { '?' } else { '&' });
        encode(name, &mut query);
        query.push('=');
        encode(value, &mut query);
    }
    query
}

#[cfg(test)]
mod tests {
    use super::{decode, query_of};

    #[test]
    fn parameters_come_back_from_a_link_as_they_went() {
        let mut pairs = Vec::new();
        decode("identifier=a%7Cb%2Bc+d&_count=20&&name=Dvo%C5%99%C3%A1k", &mut pairs).unwrap();
        assert_eq!(pairs[0], ("identifier".to_owned(), "a|b+c d".to_owned()));
        let link = query_of(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        let mut again = Vec::new();
        decode(&link[1..], &mut again).unwrap();
        assert_eq!(again, pairs);
        for broken in ["a=%", "a=%2", "a=%zz", "a=%ff", "%80=1", "a=%00", "a=b%00c", "%00", "a=%0A"]
        {
            assert!(decode(broken, &mut Vec::new()).is_err(), "{broken}");
        }
    }
}
