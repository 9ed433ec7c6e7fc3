// Operations and search parameters of a server of imaging studies that no other guide defines. Those
// that FHIR R4, Bulk Data 3.0.0, HL7 Europe Imaging, IHE MHD and MADO define keep their definitions.

Instance: mado-convert
InstanceOf: OperationDefinition
Usage: #definition
Title: "Convert a manifest"
* url = "https://vesalius.example/fhir/OperationDefinition/mado-convert"
* version = "0.1.0"
* name = "MadoConvert"
* title = "Convert a manifest"
* status = #draft
* experimental = true
* kind = #operation
* date = "2026-11-22"
* publisher = "The vesalius project"
* description = "Takes an imaging study manifest in one of the two encodings of IHE MADO and answers it in the other: a document Bundle becomes a DICOM Key Object Selection Document, and the other way round. The body is the document itself, `application/fhir+json` or `application/dicom`, of at most 16 MiB; nothing of it is kept. What one encoding has no place for is not in the answer."
* affectsState = false
* code = #mado-convert
* comment = "A manifest of which the instances of a series are not known has no DICOM encoding, and is refused with 400. FHIR comes as JSON or XML, by Accept. A token needs a scope to read Bundle."
* system = true
* type = false
* instance = false
* parameter[0].name = #manifest
* parameter[0].use = #in
* parameter[0].min = 1
* parameter[0].max = "1"
* parameter[0].documentation = "The manifest: the body is the document Bundle (MadoFhirBundle), or the DICOM file as it is."
* parameter[0].type = #Resource
* parameter[1].name = #return
* parameter[1].use = #out
* parameter[1].min = 1
* parameter[1].max = "1"
* parameter[1].documentation = "The same manifest in the other encoding: the document Bundle, or the DICOM file as it is, `application/dicom`."
* parameter[1].type = #Resource

RuleSet: Spelled(name, called, code, base, type, of, expression, words)
* url = "https://vesalius.example/fhir/SearchParameter/{name}"
* version = "0.1.0"
* name = "{called}"
* status = #draft
* experimental = true
* date = "2026-11-22"
* publisher = "The vesalius project"
* derivedFrom = "{of}"
* description = "{words}"
* code = #{code}
* base = #{base}
* type = #{type}
* expression = "{expression}"
* xpathUsage = #normal

Instance: ImagingStudy-body-site
InstanceOf: SearchParameter
Usage: #definition
Title: "Body site of a series, as R5 spells it"
* insert Spelled([[ImagingStudy-body-site]], [[ImagingStudyBodySite]], [[body-site]], [[ImagingStudy]], [[token]], [[http://hl7.org/fhir/SearchParameter/ImagingStudy-bodysite]], [[ImagingStudy.series.bodySite]], [[As `bodysite` of R4, by the name that the parameter has in R5.]])

Instance: ImagingStudy-based-on
InstanceOf: SearchParameter
Usage: #definition
Title: "Order of a study, as R5 spells it"
* insert Spelled([[ImagingStudy-based-on]], [[ImagingStudyBasedOn]], [[based-on]], [[ImagingStudy]], [[reference]], [[http://hl7.org/fhir/SearchParameter/ImagingStudy-basedon]], [[ImagingStudy.basedOn]], [[As `basedon` of R4, by the name that the parameter has in R5.]])
* target[0] = #CarePlan
* target[1] = #Appointment
* target[2] = #AppointmentResponse
* target[3] = #Task
* target[4] = #ServiceRequest

Instance: DocumentReference-body-site
InstanceOf: SearchParameter
Usage: #definition
Title: "Body site of a document, as R5 spells it"
* insert Spelled([[DocumentReference-body-site]], [[DocumentReferenceBodySite]], [[body-site]], [[DocumentReference]], [[token]], [[https://profiles.ihe.net/RAD/MADO/SearchParameter/SearchParameterDocumentReferenceBodySite]], [[DocumentReference.extension.where(url='http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.bodySite').extension.where(url='concept').value]], [[As `bodysite` of IHE MADO, by the spelling of R5.]])
