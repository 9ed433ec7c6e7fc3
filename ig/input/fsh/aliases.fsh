// Code systems of others. Displays are ours unless quoted from the system's own designation.
Alias: $sct = http://snomed.info/sct
Alias: $loinc = http://loinc.org
Alias: $ucum = http://unitsofmeasure.org
Alias: $icdo3 = http://terminology.hl7.org/CodeSystem/icd-o-3
Alias: $radlex = http://radlex.org
Alias: $category = http://terminology.hl7.org/CodeSystem/observation-category
Alias: $act = http://terminology.hl7.org/CodeSystem/v3-ActCode
Alias: $hgvs = http://varnomen.hgvs.org
Alias: $hgnc = http://www.genenames.org/geneId
