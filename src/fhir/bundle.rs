//! Search results: a Bundle is written by joining the bytes of its resources.

use serde_json::json;

/// How many there are, as far as the client may know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Total {
    /// Exactly, or rounded by the disclosure rule.
    Known(u64),
    /// Too few to be told.
    Masked,
    /// Not asked for.
    Untold,
}

impl Total {
    /// What two kinds of resources are together.
    pub(super) const fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Known(one), Self::Known(other)) => Self::Known(one.saturating_add(other)),
            (Self::Masked, _) | (_, Self::Masked) => Self::Masked,
            (Self::Untold, _) | (_, Self::Untold) => Self::Untold,
        }
    }
}

/// A Bundle of type searchset.
pub(super) struct Bundle {
    out: Vec<u8>,
    has_entries: bool,
}

impl Bundle {
    /// Begins with total and links (relation and URL).
    pub(super) fn new(total: Total, links: &[(&str, &str)]) -> Self {
        let mut out = Vec::with_capacity(64 * 1024);
        out.extend_from_slice(br#"{"resourceType":"Bundle","type":"searchset""#);
        match total {
            Total::Known(total) => {
                out.extend_from_slice(format!(",\"total\":{total}").as_bytes());
            }
            Total::Masked => {
                let absent = json!({ "extension": [{
                    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                    "valueCode": "masked",
                }] });
                out.extend_from_slice(format!(",\"_total\":{absent}").as_bytes());
            }
            Total::Untold => {}
        }
        let links: Vec<_> = links
            .iter()
            .map(|(relation, url)| json!({ "relation": relation, "url": url }))
            .collect();
        out.extend_from_slice(format!(",\"link\":{}", json!(links)).as_bytes());
        Self { out, has_entries: false }
    }

    /// Adds a resource; `url` is its full URL, which needs no escaping.
    pub(super) fn push(&mut self, url: &str, resource: &[u8], mode: &str) {
        self.separate();
        self.out.extend_from_slice(b"{\"fullUrl\":\"");
        self.out.extend_from_slice(url.as_bytes());
        self.out.extend_from_slice(b"\",\"resource\":");
        self.out.extend_from_slice(resource);
        self.close(mode);
    }

    /// Adds something to know about the answer.
    pub(super) fn push_outcome(&mut self, code: &str, diagnostics: &str) {
        let outcome = super::outcome::outcome("information", code, diagnostics, None);
        self.separate();
        self.out.extend_from_slice(b"{\"resource\":");
        self.out.extend_from_slice(outcome.to_string().as_bytes());
        self.close("outcome");
    }

    fn separate(&mut self) {
        let before: &[u8] = if self.has_entries { b"," } else { b",\"entry\":[" };
        self.out.extend_from_slice(before);
        self.has_entries = true;
    }

    fn close(&mut self, mode: &str) {
        self.out.extend_from_slice(b",\"search\":{\"mode\":\"");
        self.out.extend_from_slice(mode.as_bytes());
        self.out.extend_from_slice(b"\"}}");
    }

    /// The bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.has_entries {
            self.out.push(b']');
        }
        self.out.push(b'}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::{Bundle, Total};

    #[test]
    fn a_bundle_is_a_join_of_bytes() {
        let mut bundle = Bundle::new(Total::Known(1), &[("self", "https://a/fhir/Patient")]);
        bundle.push("https://a/fhir/Patient/1", br#"{"resourceType":"Patient"}"#, "match");
        bundle.push_outcome("informational", "a note");
        let bytes = bundle.finish();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["entry"][0]["search"]["mode"], "match");
        assert_eq!(json["entry"][1]["resource"]["issue"][0]["diagnostics"], "a note");
        let masked = Bundle::new(Total::Masked, &[]).finish();
        let json: serde_json::Value = serde_json::from_slice(&masked).unwrap();
        assert_eq!(json["_total"]["extension"][0]["valueCode"], "masked");
        assert!(json.get("entry").is_none());
    }
}
