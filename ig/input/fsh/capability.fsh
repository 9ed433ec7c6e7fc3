// What a server of this guide offers for its content; what a running server offers is its
// own /fhir/metadata.

RuleSet: Kept(index, type)
* rest.resource[{index}].type = #{type}
* rest.resource[{index}].interaction[0].code = #read
* rest.resource[{index}].interaction[1].code = #search-type
* rest.resource[{index}].interaction[2].code = #vread
* rest.resource[{index}].interaction[3].code = #create
* rest.resource[{index}].interaction[4].code = #update

RuleSet: Found(index, place, name, kind)
* rest.resource[{index}].searchParam[{place}].name = "{name}"
* rest.resource[{index}].searchParam[{place}].type = #{kind}

RuleSet: Supported(index, place, profile)
* rest.resource[{index}].supportedProfile[{place}] = Canonical({profile})

Instance: cancer-content
InstanceOf: CapabilityStatement
Usage: #definition
Title: "Server of cancer and screening content"
* url = "https://vesalius.example/fhir/CapabilityStatement/cancer-content"
* name = "CancerContentServer"
* title = "Server of cancer and screening content"
* status = #draft
* experimental = true
* version = "0.1.0"
* date = "2026-11-22"
* description = "Keeps and finds the resources of this guide. What a running server offers is its own statement."
* kind = #requirements
* fhirVersion = #4.0.1
* format[0] = #json
* rest.mode = #server
* insert Kept(0, Condition)
* insert Found(0, 0, patient, reference)
* insert Found(0, 1, code, token)
* insert Supported(0, 0, PrimaryCancer)
* insert Kept(1, Observation)
* insert Found(1, 0, patient, reference)
* insert Found(1, 1, code, token)
* insert Supported(1, 0, TnmT)
* insert Supported(1, 1, TnmN)
* insert Supported(1, 2, TnmM)
* insert Supported(1, 3, TnmStageGroup)
* insert Supported(1, 4, BiRadsAssessment)
* insert Supported(1, 5, LungRadsAssessment)
* insert Supported(1, 6, PiRadsAssessment)
* insert Supported(1, 7, BreastDensity)
* insert Supported(1, 8, NoduleSize)
* insert Supported(1, 9, Psa)
* insert Supported(1, 10, GleasonScore)
* insert Supported(1, 11, IsupGradeGroup)
* insert Supported(1, 12, ReceptorStatus)
* insert Supported(1, 13, Ki67)
* insert Supported(1, 14, GenomicVariant)
* insert Supported(1, 15, ScreeningReading)
* insert Supported(1, 16, RecallDecision)
* insert Supported(1, 17, CancerDetection)
* insert Supported(1, 18, StudyPopulation)
* insert Supported(1, 19, AgeAtImaging)
* insert Supported(1, 20, SegmentationAnnotation)
* insert Kept(2, Procedure)
* insert Found(2, 0, patient, reference)
* insert Supported(2, 0, TumourBiopsy)
* insert Supported(2, 1, TumourTreatment)
* insert Supported(2, 2, TumourSurgery)
* insert Kept(3, Encounter)
* insert Found(3, 0, patient, reference)
* insert Supported(3, 0, ScreeningEncounter)
* insert Kept(4, EpisodeOfCare)
* insert Found(4, 0, patient, reference)
* insert Supported(4, 0, ScreeningParticipation)
