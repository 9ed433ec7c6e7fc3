// What is said of images: per breast or lesion, derived from the study.

RuleSet: OfImages
* insert Statement
* category 1..*
* category ^slicing.discriminator.type = #pattern
* category ^slicing.discriminator.path = "$this"
* category ^slicing.rules = #open
* category contains imaging 1..1
* category[imaging] = $category#imaging
* derivedFrom 1..*
* derivedFrom only Reference(ImagingStudy or Observation)

RuleSet: Assessed(set)
* insert OfImages
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from {set} (required)

// SNOMED CT 146611000146107: as in the Lithuanian breast guide; not verified here.
Profile: BiRadsAssessment
Parent: Observation
Id: bi-rads-assessment
Title: "BI-RADS assessment"
Description: "The category of one breast, or of one lesion in it."
* insert Assessed(BiRadsSet)
* code = $sct#146611000146107
* bodySite 1..1
* insert Sided
* insert Parts
* component contains lesion 0..1
* insert Part(lesion, lesion)
* component[lesion].value[x] only string

// SNOMED CT 1362105002: as in the Lithuanian lung guide; not verified here.
Profile: LungRadsAssessment
Parent: Observation
Id: lung-rads-assessment
Title: "Lung-RADS assessment"
Description: "The category of an examination, or of a nodule."
* insert Assessed(LungRadsSet)
* code = $sct#1362105002
* insert Parts
* component contains modifier 0..1 and lesion 0..1
* insert Part(modifier, modifier)
* component[modifier].value[x] only CodeableConcept
* component[modifier].valueCodeableConcept from LungRadsModifierSet (required)
* insert Part(lesion, lesion)
* component[lesion].value[x] only string

// SNOMED CT 1345044005: as in the Lithuanian prostate guide; not verified here.
Profile: PiRadsAssessment
Parent: Observation
Id: pi-rads-assessment
Title: "PI-RADS assessment"
Description: "The category of one lesion of the prostate."
* insert Assessed(PiRadsSet)
* code = $sct#1345044005
* insert Sided
* insert Parts
* component contains lesion 0..1
* insert Part(lesion, lesion)
* component[lesion].value[x] only string

Profile: BreastDensity
Parent: Observation
Id: breast-density
Title: "Breast density"
Description: "Composition of the breasts, or of one."
* insert Assessed(BreastDensityCategorySet)
* code = $sct#129715009
* insert Sided

Profile: NoduleSize
Parent: Observation
Id: nodule-size
Title: "Size of a nodule"
Description: "Diameter in millimetres."
* insert OfImages
* code = CancerContent#nodule-size
* value[x] 1..1
* value[x] only Quantity
* valueQuantity.value 1..1
* valueQuantity.system 1..1
* valueQuantity.system = $ucum
* valueQuantity.code 1..1
* valueQuantity.code = #mm
* insert Sided
* insert Parts
* component contains lesion 0..1 and volume 0..1
* insert Part(lesion, lesion)
* component[lesion].value[x] only string
* insert Part(volume, lung-nodule-volume)
* component[volume].value[x] only Quantity

Profile: AgeAtImaging
Parent: Observation
Id: age-at-imaging
Title: "Age when imaged"
Description: "In years, where only the age is known and not the birth date."
* insert OfImages
* code = CancerContent#age-at-imaging
* value[x] 1..1
* value[x] only Quantity
* valueQuantity.value 1..1
* valueQuantity.system 1..1
* valueQuantity.system = $ucum
* valueQuantity.code 1..1
* valueQuantity.code = #a

Profile: SegmentationAnnotation
Parent: Observation
Id: segmentation-annotation
Title: "Segmentation of images"
Description: "A segment of a DICOM Segmentation, or of another annotation: what it is, how and by whom it was made."
* insert OfImages
* code = CancerContent#segmentation
* insert Parts
* component contains number 1..1 and label 1..1 and description 0..1 and method 1..1 and algorithm 0..1 and annotators 0..1 and annotator 0..* and experience 0..1 and sequence 0..*
* insert Part(number, segment-number)
* component[number].value[x] only integer
* insert Part(label, segment-label)
* component[label].value[x] only string
* insert Part(description, segment-description)
* component[description].value[x] only string
* insert Part(method, segmentation-method)
* component[method].value[x] only CodeableConcept
* component[method].valueCodeableConcept from SegmentationMethodSet (required)
* insert Part(algorithm, algorithm-name)
* component[algorithm].value[x] only string
* insert Part(annotators, annotator-count)
* component[annotators].value[x] only integer
* insert Part(annotator, annotator-type)
* component[annotator].value[x] only string
* insert Part(experience, annotator-experience)
* component[experience].value[x] only Quantity
* insert Part(sequence, segmented-sequence)
* component[sequence].value[x] only string
