//! fhir-sdk 0.16.0 against a running server: `fhir-sdk-client BASE TOKEN`, where the token may write.
//!
//! It parses into typed models of R4B, and asks for `fhirVersion=4.3`.

use fhir_sdk::TryStreamExt as _;
use fhir_sdk::client::{Client, Error, RequestSettings, ResourceWrite as _, SearchParameters};
use fhir_sdk::header;
use fhir_sdk::version::FhirR4B;
use fhir_sdk::r4b::codes::ObservationStatus;
use fhir_sdk::r4b::resources::{
    Bundle, DiagnosticReport, DocumentReference, ImagingStudy, Observation, ObservationValue, Patient,
};
use fhir_sdk::r4b::types::{CodeableConcept, Reference};

struct Checks(usize);

impl Checks {
    fn hold(&mut self, holds: bool, words: &str) {
        if !holds {
            println!("FAIL fhir-sdk: {words}");
            std::process::exit(1);
        }
        self.0 += 1;
    }

    fn refused<T>(&mut self, answer: Result<T, Error>, status: &str, words: &str) {
        match answer {
            Ok(_) => self.hold(false, &format!("{words}: no error")),
            Err(failure) => {
                let told = format!("{failure:?}");
                self.hold(told.contains(status), &format!("{words}: {told}"));
            }
        }
    }
}

fn connect(base: &str, token: &str) -> Client<FhirR4B> {
    let bearer = format!("Bearer {token}").parse().expect("a token is a header");
    let settings = RequestSettings::default().header(header::AUTHORIZATION, bearer);
    Client::builder()
        .base_url(format!("{base}/").parse().expect("the base is a URL"))
        .request_settings(settings)
        .build()
        .expect("a client")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let base = arguments.next().expect("BASE TOKEN");
    let token = arguments.next().expect("BASE TOKEN");
    let mut checks = Checks(0);
    let ours = connect(&base, &token);

    let statement = ours.capabilities().await?;
    checks.hold(!statement.rest.is_empty(), "discovery");
    let nobody = connect(&base, "nonsense");
    checks.refused(nobody.read::<ImagingStudy>("x").await, "401", "a wrong token");

    let asked = || SearchParameters::empty().and_raw("_count", "7");
    let page = ours.search::<ImagingStudy>(asked()).await?;
    let total = page.total();
    let studies: Vec<ImagingStudy> = page.all_matches().try_collect().await?;
    checks.hold(total == u32::try_from(studies.len()).ok(), "a search in pages finds all");
    checks.hold(studies.len() > 7, "there are several pages");
    let asked = SearchParameters::empty().and_raw("modality", "MG").and_raw("_count", "50");
    let found: Vec<ImagingStudy> =
        ours.search::<ImagingStudy>(asked).await?.all_matches().try_collect().await?;
    checks.hold(!found.is_empty() && found.len() < studies.len(), "a search by modality");
    let id = found[0].id.clone().expect("an id");
    let read = ours.read::<ImagingStudy>(&id).await?.expect("the study");
    checks.hold(read == found[0], "a read gives what the search gave");
    checks.hold(ours.read::<ImagingStudy>("there-is-none").await?.is_none(), "a read of nothing");
    let subject = read.subject.reference.clone().expect("a patient");
    let patient = subject.trim_start_matches("Patient/").to_owned();
    checks.hold(ours.read::<Patient>(&patient).await?.is_some(), "the patient");
    let all = || SearchParameters::empty().and_raw("_count", "100");
    let reports: Vec<DiagnosticReport> =
        ours.search::<DiagnosticReport>(all()).await?.all_matches().try_collect().await?;
    checks.hold(reports.len() > 10, "reports are parsed");
    let documents: Vec<DocumentReference> =
        ours.search::<DocumentReference>(all()).await?.all_matches().try_collect().await?;
    checks.hold(documents.len() > 10, "references to documents are parsed");
    let manifest = documents.iter().filter_map(|one| one.id.clone()).find(|id| id.ends_with("-mado-fhir"));
    let manifest = ours.read::<Bundle>(&manifest.expect("a manifest")).await?.expect("a manifest");
    checks.hold(manifest.entry.len() > 3, "a manifest is parsed");

    let mut kept = Observation::builder()
        .status(ObservationStatus::Final)
        .code(CodeableConcept::builder().text("written by fhir-sdk (synthetic)".to_owned()).build().expect("a code"))
        .subject(Reference::builder().reference(format!("Patient/{patient}")).build().expect("a subject"))
        .value(ObservationValue::String("one".to_owned()))
        .build()
        .expect("an observation");
    kept.create(&ours).await?;
    let mut stale = kept.clone();
    checks.hold(kept.id.is_some(), "create");
    kept.value = Some(ObservationValue::String("two".to_owned()));
    checks.hold(!kept.update(true, &ours).await?, "update of the version that is");
    stale.value = Some(ObservationValue::String("three".to_owned()));
    checks.refused(stale.update(true, &ours).await, "412", "update of a version that was");
    let id = kept.id.clone().expect("an id");
    let read = ours.read::<Observation>(&id).await?.expect("what was written");
    checks.hold(read.value == Some(ObservationValue::String("two".to_owned())), "the conflict changed nothing");
    kept.delete(&ours).await?;
    checks.hold(ours.read::<Observation>(&id).await?.is_none(), "a read of what was deleted");
    println!("fhir-sdk: {} checks hold", checks.0);
    Ok(())
}
