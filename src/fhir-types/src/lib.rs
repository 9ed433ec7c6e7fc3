//! FHIR's typed model (R4B) behind plain functions: the only package that compiles it, because
//! it is too large to be compiled with every change and too large to be optimised.
//!
//! R4B differs from R4 in none of the resources that pass through here. The model drops unknown
//! fields, so it checks types and required elements; what was received is kept as bytes.

use fhir_sdk::r4b::resources::Resource;

/// Reads any resource, a Bundle with its entries too, into the typed model.
///
/// # Errors
/// Where and why the bytes are no FHIR resource.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<Resource>(bytes).map(drop).map_err(|failure| failure.to_string())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_resource_is_read_and_a_wrong_one_refused() {
        let right = br#"{"resourceType":"Patient","id":"1","gender":"female","birthDate":"1960"}"#;
        assert_eq!(check(right), Ok(()));
        for wrong in [
            &br#"{"resourceType":"Patient","gender":"woman"}"#[..],
            br#"{"resourceType":"Patient","birthDate":"15.6.1960"}"#,
            br#"{"resourceType":"ImagingStudy","id":"1"}"#,
            br#"{"resourceType":"Elephant"}"#,
            b"{",
        ] {
            assert!(check(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
