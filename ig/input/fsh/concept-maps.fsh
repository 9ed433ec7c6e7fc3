// From the short codes that reports use to the codes of terminologies.

RuleSet: Mapped(source, target)
* status = #draft
* experimental = true
* version = "0.1.0"
* group[0].source = Canonical({source})
* group[0].target = "{target}"

RuleSet: Same(index, code, target, display)
* group[0].element[{index}].code = #{code}
* group[0].element[{index}].target.code = #{target}
* group[0].element[{index}].target.display = "{display}"
* group[0].element[{index}].target.equivalence = #equivalent

// SNOMED CT as DICOM PS3.16 CID 6026 uses it; category 6 (6111000179101) is not verified and left out.
Instance: bi-rads-to-snomed
InstanceOf: ConceptMap
Usage: #definition
Title: "BI-RADS categories in SNOMED CT"
* url = "https://vesalius.example/fhir/ConceptMap/bi-rads-to-snomed"
* name = "BiRadsToSnomed"
* title = "BI-RADS categories in SNOMED CT"
* sourceCanonical = Canonical(BiRadsSet)
* targetUri = "http://snomed.info/sct?fhir_vs"
* insert Mapped(BiRads, http://snomed.info/sct)
* insert Same(0, 0, 397138000, Category 0)
* insert Same(1, 1, 397140005, Category 1)
* insert Same(2, 2, 397141009, Category 2)
* insert Same(3, 3, 397143007, Category 3)
* insert Same(4, 4, 397144001, Category 4)
* insert Same(5, 5, 397145000, Category 5)

// SNOMED CT as DICOM PS3.16 uses it for breast composition (CID 6000 and CID 6001).
Instance: breast-density-to-snomed
InstanceOf: ConceptMap
Usage: #definition
Title: "Breast density in SNOMED CT"
* url = "https://vesalius.example/fhir/ConceptMap/breast-density-to-snomed"
* name = "BreastDensityToSnomed"
* title = "Breast density in SNOMED CT"
* sourceCanonical = Canonical(BreastDensityCategorySet)
* targetUri = "http://snomed.info/sct?fhir_vs"
* insert Mapped(BreastDensityCategory, http://snomed.info/sct)
* insert Same(0, a, 129716005, Almost entirely fat)
* insert Same(1, b, 129717001, Scattered fibroglandular densities)
* insert Same(2, c, 129718006, Heterogeneously dense)
* insert Same(3, d, 129719003, Extremely dense)

// RadLex as DICOM PS3.16 CID 6328 uses it.
Instance: pi-rads-to-radlex
InstanceOf: ConceptMap
Usage: #definition
Title: "PI-RADS categories in RadLex"
* url = "https://vesalius.example/fhir/ConceptMap/pi-rads-to-radlex"
* name = "PiRadsToRadlex"
* title = "PI-RADS categories in RadLex"
* sourceCanonical = Canonical(PiRadsSet)
* targetUri = "http://radlex.org"
* insert Mapped(PiRads, http://radlex.org)
* insert Same(0, X, RID50323, Inadequate or absent)
* insert Same(1, 1, RID50296, Very low)
* insert Same(2, 2, RID50297, Low)
* insert Same(3, 3, RID50298, Intermediate)
* insert Same(4, 4, RID50299, High)
* insert Same(5, 5, RID50300, Very high)
