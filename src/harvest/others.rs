//! `/harvested/dataset`: datasets of other catalogues, in the forms of ours.
//!
//! What their source said and nothing else; where it comes from stands in the headers, and on the page.

use super::State;
use super::doors::{Ask, Found, Refused};
use crate::catalogue::Other;
use crate::error::{Error, Result};

/// Its parameters.
pub(super) const ONE: &[&str] = &["source", "iri"];

fn parameter<'a>(ask: &'a Ask, name: &'static str) -> Result<&'a str> {
    ask.parameter(name)?.ok_or_else(|| Error::Parameter {
        name: name.to_owned(),
        reason: "give it once, with a value".to_owned(),
    })
}

pub(super) fn dataset(state: &State, ask: &Ask) -> Result<Found, Refused> {
    let (source, iri) = (parameter(ask, "source")?, parameter(ask, "iri")?);
    let unknown = || Error::NotFound { kind: "dataset", id: iri.chars().take(100).collect() };
    let store = state.store.as_ref().ok_or_else(unknown)?;
    let found = Other::find(store, &state.config.harvest.source, source, iri)?;
    let row = &found.row;
    let key = format!("{} {source} {iri} {} {}", ask.path, row.hash, row.changed);
    let modified = jiff::Timestamp::from_microsecond(row.changed).ok();
    let links = vec![
        format!("<{}>; rel=\"cite-as\"", header_iri(&row.iri)),
        format!("<{}>; rel=\"via\"", header_iri(&found.source.url)),
        "<https://schema.org/Dataset>; rel=\"type\"".to_owned(),
    ];
    let format = ask.form.and_then(|form| form.rdf);
    let answer = Found::bytes(key, move |state| {
        let format = format.ok_or_else(|| Error::Internal("a form without a writer".to_owned()))?;
        found.write(format, &state.release)
    });
    // The catalogue's log knows nothing of a walk.
    Ok(answer.modified(modified).links(links).asked_again())
}

/// An IRI as a header can hold it (RFC 3987 section 3.1): what is not ASCII, or would end the link
/// early, in per cents.
fn header_iri(iri: &str) -> String {
    iri.bytes().fold(String::with_capacity(iri.len()), |mut out, byte| {
        if byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::header_iri;

    #[test]
    fn what_a_header_cannot_hold_is_in_per_cents() {
        assert_eq!(header_iri("https://x.example/a?b=c#d,e;f"), "https://x.example/a?b=c#d,e;f");
        assert_eq!(header_iri("https://x.example/č> \r\n"), "https://x.example/%C4%8D%3E%20%0D%0A");
    }
}
