// Cancer: the condition, its stage, its biology, what was done.

RuleSet: OwnProfile
* ^status = #draft
* ^experimental = true
* ^version = "0.1.0"

Extension: Laterality
Id: laterality
Title: "Side"
Description: "On which side a body site lies."
* insert OwnProfile
* ^context[+].type = #element
* ^context[=].expression = "CodeableConcept"
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from LateralitySet (required)

Extension: Histology
Id: histology
Title: "Histology and behaviour"
Description: "Morphology of a tumour, by ICD-O-3 (morphology with behaviour) or SNOMED CT."
* insert OwnProfile
* ^context[+].type = #element
* ^context[=].expression = "Condition"
* value[x] 1..1
* value[x] only CodeableConcept

RuleSet: Sided
* bodySite.extension contains Laterality named laterality 0..1

Profile: PrimaryCancer
Parent: Condition
Id: primary-cancer
Title: "Primary cancer"
Description: "A primary malignant tumour: what it is (SNOMED CT), where (SNOMED CT and ICD-O-3 topography), on which side, of which histology, when and at which age diagnosed."
* insert OwnProfile
* code 1..1
* code.coding 1..*
* bodySite 1..1
* bodySite.coding 1..*
* bodySite.coding ^slicing.discriminator.type = #value
* bodySite.coding ^slicing.discriminator.path = "system"
* bodySite.coding ^slicing.rules = #open
* bodySite.coding contains sct 0..1 and icdo3 0..1
* bodySite.coding[sct].system 1..1
* bodySite.coding[sct].system = $sct
* bodySite.coding[icdo3].system 1..1
* bodySite.coding[icdo3].system = $icdo3
* insert Sided
* extension contains Histology named histology 0..1
* subject only Reference(Patient)
* onset[x] only Age or dateTime
* clinicalStatus 1..1
* verificationStatus 1..1

RuleSet: Statement
* insert OwnProfile
* subject 1..1
* subject only Reference(Patient)
* effective[x] 0..1
* effective[x] only dateTime

RuleSet: Stage(codes)
* insert Statement
* code from {codes} (required)
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from TnmCategorySet (required)
* focus 0..1
* focus only Reference(Condition)
* method 1..1
* method from StagingEditionSet (required)

Profile: TnmT
Parent: Observation
Id: tnm-t
Title: "TNM: primary tumour"
Description: "The T category; the code says clinical or pathological, the method the edition."
* insert Stage(TCodes)

Profile: TnmN
Parent: Observation
Id: tnm-n
Title: "TNM: lymph nodes"
Description: "The N category; the code says clinical or pathological, the method the edition."
* insert Stage(NCodes)

Profile: TnmM
Parent: Observation
Id: tnm-m
Title: "TNM: metastases"
Description: "The M category; the code says clinical or pathological, the method the edition."
* insert Stage(MCodes)

Profile: TnmStageGroup
Parent: Observation
Id: tnm-stage-group
Title: "TNM: stage group"
Description: "The stage group with the categories that it follows from."
* insert Stage(StageCodes)
* hasMember only Reference(Observation)

// LOINC 2857-1: not verified here against LOINC itself.
Profile: Psa
Parent: Observation
Id: psa
Title: "Prostate specific antigen"
Description: "Concentration in serum or plasma, in nanograms per millilitre."
* insert Statement
* code = $loinc#2857-1
* value[x] 1..1
* value[x] only Quantity
* valueQuantity.value 1..1
* valueQuantity.system 1..1
* valueQuantity.system = $ucum
* valueQuantity.code 1..1
* valueQuantity.code = #ng/mL

// LOINC 35266-6: not verified here.
Profile: GleasonScore
Parent: Observation
Id: gleason-score
Title: "Gleason score"
Description: "The sum, with both patterns."
* insert Statement
* code = $loinc#35266-6
* value[x] 1..1
* value[x] only integer
* focus only Reference(Condition)
* insert Parts
* component contains primary 0..1 and secondary 0..1
* insert Part(primary, gleason-primary)
* component[primary].value[x] only integer
* insert Part(secondary, gleason-secondary)
* component[secondary].value[x] only integer

RuleSet: Parts
* component ^slicing.discriminator.type = #pattern
* component ^slicing.discriminator.path = "code"
* component ^slicing.rules = #open

RuleSet: Part(name, code)
* component[{name}].code = CancerContent#{code}
* component[{name}].value[x] 1..1

Profile: IsupGradeGroup
Parent: Observation
Id: isup-grade-group
Title: "ISUP grade group"
Description: "Grade group of prostate cancer."
* insert Statement
* code = $loinc#94734-1
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from IsupGradeSet (required)
* focus only Reference(Condition)

// LOINC 16112-5, 16113-3, 48676-1: not verified here.
Profile: ReceptorStatus
Parent: Observation
Id: receptor-status
Title: "Receptor status"
Description: "Oestrogen receptor, progesterone receptor, HER2."
* insert Statement
* code from ReceptorCodes (required)
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from MarkerResultSet (required)
* focus only Reference(Condition)
* insert Parts
* component contains cells 0..1
* insert Part(cells, positive-cells)
* component[cells].value[x] only Quantity

// LOINC 29593-1: not verified here.
Profile: Ki67
Parent: Observation
Id: ki-67
Title: "Ki-67"
Description: "Share of cells that are positive, in percent."
* insert Statement
* code = $loinc#29593-1
* value[x] 1..1
* value[x] only Quantity
* valueQuantity.value 1..1
* valueQuantity.system 1..1
* valueQuantity.system = $ucum
* valueQuantity.code 1..1
* valueQuantity.code = #%
* focus only Reference(Condition)

// LOINC 69548-6, 48018-6, 48004-6, 48005-3: as in HL7's Genomics Reporting; not verified here.
Profile: GenomicVariant
Parent: Observation
Id: genomic-variant
Title: "Genomic variant"
Description: "A variant of a gene of the tumour or of the germ line, by HGVS."
* insert Statement
* code = $loinc#69548-6
* value[x] only CodeableConcept
* insert Parts
* component contains gene 0..1 and dna 0..1 and protein 0..1
* component[gene].code = $loinc#48018-6
* component[gene].value[x] only CodeableConcept
* component[dna].code = $loinc#48004-6
* component[dna].value[x] only CodeableConcept
* component[protein].code = $loinc#48005-3
* component[protein].value[x] only CodeableConcept

RuleSet: Done
* insert OwnProfile
* subject only Reference(Patient)
* code 1..1
* category 1..1
* category from TreatmentKindSet (required)
* performed[x] only dateTime or Period

Profile: TumourBiopsy
Parent: Procedure
Id: tumour-biopsy
Title: "Biopsy"
Description: "Tissue taken from a finding: it confirms a diagnosis by pathology."
* insert Done
* category = TreatmentKind#biopsy
* insert Sided

Profile: TumourTreatment
Parent: Procedure
Id: tumour-treatment
Title: "Treatment of a tumour"
Description: "Surgery, radiotherapy, systemic treatment or surveillance."
* insert Done
* reasonReference only Reference(Condition)
* insert Sided

Profile: TumourSurgery
Parent: TumourTreatment
Id: tumour-surgery
Title: "Surgery of a tumour"
Description: "A tumour, or a part of the organ that it is in, removed."
* insert OwnProfile
* category = TreatmentKind#surgery
