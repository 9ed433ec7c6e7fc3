// Each of our code systems as a value set, and those of others' codes.

RuleSet: OwnSet
* ^status = #draft
* ^experimental = true
* ^version = "0.1.0"

ValueSet: BiRadsSet
Id: bi-rads
Title: "BI-RADS categories"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system BiRads

ValueSet: LungRadsSet
Id: lung-rads
Title: "Lung-RADS categories"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system LungRads

ValueSet: LungRadsModifierSet
Id: lung-rads-modifier
Title: "Lung-RADS modifiers"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system LungRadsModifier

ValueSet: PiRadsSet
Id: pi-rads
Title: "PI-RADS categories"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system PiRads

ValueSet: BreastDensityCategorySet
Id: breast-density
Title: "Breast density"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system BreastDensityCategory

ValueSet: StagingEditionSet
Id: staging-edition
Title: "Editions of TNM"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system StagingEdition

ValueSet: TnmCategorySet
Id: tnm
Title: "Categories and stage groups of TNM"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system TnmCategory

ValueSet: IsupGradeSet
Id: isup-grade
Title: "ISUP grade groups"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system IsupGrade

ValueSet: MarkerResultSet
Id: marker-result
Title: "Results of markers"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system MarkerResult

ValueSet: ReaderRoleSet
Id: reader-role
Title: "Roles of readers"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system ReaderRole

ValueSet: ReadingResultSet
Id: reading-result
Title: "Results of readings"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system ReadingResult

ValueSet: RecallSet
Id: recall
Title: "Decisions to recall"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system Recall

ValueSet: DetectionModeSet
Id: detection-mode
Title: "How cancers were detected"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system DetectionMode

ValueSet: PopulationSet
Id: population
Title: "Populations"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system Population

ValueSet: TreatmentKindSet
Id: treatment-kind
Title: "Kinds of treatment"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system TreatmentKind

ValueSet: SegmentationMethodSet
Id: segmentation-method
Title: "Methods of segmentation"
Description: "All codes of the code system."
* insert OwnSet
* include codes from system SegmentationMethod

ValueSet: LateralitySet
Id: laterality
Title: "Sides"
Description: "Sides of paired organs (PS3.16 CID 244)."
* insert OwnSet
* $sct#24028007 "Right"
* $sct#7771000 "Left"
* $sct#51440002 "Right and left"

ValueSet: TCodes
Id: tnm-t-codes
Title: "Codes of T"
Description: "Clinical and pathological primary tumour."
* insert OwnSet
* $loinc#21905-5 "Primary tumor.clinical [Class] Cancer"
* $loinc#21899-0 "Primary tumor.pathology Cancer"

ValueSet: NCodes
Id: tnm-n-codes
Title: "Codes of N"
Description: "Clinical and pathological lymph nodes."
* insert OwnSet
* $loinc#21906-3 "Regional lymph nodes.clinical [Class] Cancer"
* $loinc#21900-6 "Regional lymph nodes.pathology [Class] Cancer"

ValueSet: MCodes
Id: tnm-m-codes
Title: "Codes of M"
Description: "Clinical and pathological metastases."
* insert OwnSet
* $loinc#21907-1 "Distant metastases.clinical [Class] Cancer"
* $loinc#21901-4 "Distant metastases.pathology [Class] Cancer"

ValueSet: StageCodes
Id: tnm-stage-codes
Title: "Codes of stage groups"
Description: "Clinical and pathological stage group."
* insert OwnSet
* $loinc#21908-9 "Stage group.clinical Cancer"
* $loinc#21902-2 "Stage group.pathology Cancer"

ValueSet: ReceptorCodes
Id: receptor-codes
Title: "Codes of receptors"
Description: "Oestrogen and progesterone receptor, HER2."
* insert OwnSet
* $loinc#16112-5 "Estrogen receptor [Interpretation] in Tissue"
* $loinc#16113-3 "Progesterone receptor [Interpretation] in Tissue"
* $loinc#48676-1 "HER2 [Interpretation] in Tissue"
