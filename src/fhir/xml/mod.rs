//! FHIR XML (R4 xml.html): what the facade holds as JSON, written and read as XML.
//!
//! The order of elements, what repeats and what a primitive is in JSON come from the definitions in
//! `ig/rules/`. Bytes go in and come out: a decimal keeps its digits, a narrative its characters.
//! Absent: a DTD, entities of one's own, comments and processing instructions, which are dropped.

mod read;
mod write;

pub(super) use read::to_json;
pub(super) use write::to_xml;

/// The namespace of everything but narratives.
const FHIR: &str = "http://hl7.org/fhir";
/// The namespace of narratives.
const XHTML: &str = "http://www.w3.org/1999/xhtml";
/// Deepest nesting that is read or written.
const DEEPEST: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{to_json, to_xml};

    const STUDY: &str = r#"{"resourceType":"Observation","id":"a","meta":{"versionId":"1"},
        "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">A &amp; <b>B</b></div>"},
        "contained":[{"resourceType":"Patient","id":"p","name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"http://a/b","valueCode":"x"}]}]}]}],
        "status":"final","_status":{"id":"s"},"code":{"text":"<5 \"mm\"\nnext"},
        "valueQuantity":{"value":1.50,"unit":"mm"},
        "component":[{"code":{"text":"c"},"valueBoolean":true},{"code":{"text":"d"},"valueInteger":3}]}"#;

    fn json(text: &[u8]) -> Value {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_with_every_digit() {
        let xml = to_xml(STUDY.as_bytes()).unwrap();
        let text = std::str::from_utf8(&xml).unwrap();
        assert!(
            text.starts_with("<Observation xmlns=\"http://hl7.org/fhir\"><id value=\"a\"/>"),
            "{text}"
        );
        for part in [
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">A &amp; <b>B</b></div>",
            "<contained><Patient><id value=\"p\"/>",
            "<given value=\"A\"/><given><extension url=\"http://a/b\"><valueCode value=\"x\"/></extension></given>",
            "<status id=\"s\" value=\"final\"/>",
            "<text value=\"&lt;5 &quot;mm&quot;&#10;next\"/>",
            "<value value=\"1.50\"/>",
            "<valueBoolean value=\"true\"/>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let back = to_json(&xml).unwrap();
        assert_eq!(json(&back), json(STUDY.as_bytes()));
        assert!(std::str::from_utf8(&back).unwrap().contains("\"value\":1.50"));
        assert_eq!(to_xml(&back).unwrap(), xml);
    }

    #[test]
    fn elements_stand_in_the_order_of_the_definition() {
        let mixed = br#"{"code":{"text":"c"},"status":"final","resourceType":"Observation"}"#;
        let xml = String::from_utf8(to_xml(mixed).unwrap()).unwrap();
        assert!(xml.find("<status").unwrap() < xml.find("<code").unwrap(), "{xml}");
    }

    #[test]
    fn what_is_no_resource_is_refused_with_its_place() {
        let ns = "xmlns=\"http://hl7.org/fhir\"";
        for (xml, says) in [
            (String::new(), "no element"),
            ("<Patient/>".to_owned(), "http://hl7.org/fhir"),
            (format!("<Nothing {ns}/>"), "Nothing"),
            (format!("<Patient {ns}><colour value=\"red\"/></Patient>"), "Patient.colour"),
            (format!("<Patient {ns}><active value=\"1\"/></Patient>"), "Patient.active"),
            (format!("<Patient {ns}><active>true</active></Patient>"), "Patient.active"),
            (format!("<Patient {ns}><gender wert=\"male\"/></Patient>"), "wert"),
            (format!("<Patient {ns}><id value=\"a\"/><id value=\"b\"/></Patient>"), "Patient.id"),
            (format!("<Patient {ns}>"), "end"),
            (format!("<Patient {ns}/><Patient {ns}/>"), "second"),
            (format!("<!DOCTYPE a [<!ENTITY b \"c\">]><Patient {ns}/>"), "DOCTYPE"),
            (format!("<Patient {ns}><id value=\"&b;\"/></Patient>"), "b"),
            (format!("<Patient {ns}><text><div>x</div></text></Patient>"), "xhtml"),
            (format!("<Patient {ns}>{}", "<contact>".repeat(200)), "deep"),
            ("\u{0}\u{1}<".to_owned(), ""),
        ] {
            let refused = to_json(xml.as_bytes()).unwrap_err();
            assert!(refused.contains(says), "{xml}: {refused}");
        }
    }
}
