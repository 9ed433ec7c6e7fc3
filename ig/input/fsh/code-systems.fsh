// Codes of our own: where no international code was found or could be verified.

RuleSet: OwnCodes
* ^status = #draft
* ^experimental = true
* ^caseSensitive = true
* ^content = #complete
* ^version = "0.1.0"

CodeSystem: CancerContent
Id: cancer-content
Title: "What is said of a screening or a cancer"
Description: "Kinds of statements and of their parts."
* insert OwnCodes
* #screening-reading "Reading of a screening examination"
* #reader-role "Role of the reader"
* #recall-decision "Decision to recall"
* #detection-mode "How a cancer was detected"
* #study-population "Population that a person belongs to"
* #age-at-imaging "Age when imaged"
* #lesion "Lesion of the examination, by its label"
* #modifier "Modifier of the category"
* #positive-cells "Share of positive cells"
* #nodule-size "Diameter of a nodule"
* #lung-nodule-volume "Volume of a nodule"
* #gleason-primary "Primary Gleason pattern"
* #gleason-secondary "Secondary Gleason pattern"
* #segmentation "Segmentation made of images"
* #segment-number "Number of the segment"
* #segment-label "Label of the segment"
* #segment-description "Description of the segment"
* #segmentation-method "Method of segmentation"
* #algorithm-name "Name and version of the algorithm"
* #annotator-count "Number of annotators"
* #annotator-type "Type of annotator"
* #annotator-experience "Experience of the annotators"
* #segmented-sequence "Sequence that was segmented"
* #screening "Screening examination"
* #screening-programme "Participation in a screening programme"

CodeSystem: BiRads
Id: bi-rads
Title: "BI-RADS assessment categories"
Description: "Categories of the ACR's Breast Imaging Reporting and Data System, 5th edition, by their numbers."
* insert OwnCodes
* #0 "Incomplete"
* #1 "Negative"
* #2 "Benign"
* #3 "Probably benign"
* #4 "Suspicious"
* #4A "Suspicious, low"
* #4B "Suspicious, moderate"
* #4C "Suspicious, high"
* #5 "Highly suggestive of malignancy"
* #6 "Known malignancy"

CodeSystem: LungRads
Id: lung-rads
Title: "Lung-RADS categories"
Description: "Categories of the ACR's Lung CT Screening Reporting and Data System, v2022, by their numbers."
* insert OwnCodes
* #0 "Incomplete"
* #1 "Negative"
* #2 "Benign"
* #3 "Probably benign"
* #4A "Suspicious"
* #4B "Very suspicious"
* #4X "Very suspicious, additional findings"

CodeSystem: LungRadsModifier
Id: lung-rads-modifier
Title: "Lung-RADS modifiers"
Description: "What may be added to a Lung-RADS category."
* insert OwnCodes
* #S "Other significant finding"

CodeSystem: PiRads
Id: pi-rads
Title: "PI-RADS assessment categories"
Description: "Overall categories of a lesion, PI-RADS v2.1, by their numbers."
* insert OwnCodes
* #X "Inadequate or absent"
* #1 "Very low"
* #2 "Low"
* #3 "Intermediate"
* #4 "High"
* #5 "Very high"

CodeSystem: BreastDensityCategory
Id: breast-density
Title: "Breast density"
Description: "Composition of the breast, a to d, BI-RADS 5th edition."
* insert OwnCodes
* #a "Almost entirely fat"
* #b "Scattered fibroglandular densities"
* #c "Heterogeneously dense"
* #d "Extremely dense"

CodeSystem: StagingEdition
Id: staging-edition
Title: "Editions of TNM"
Description: "By which book a tumour was classified."
* insert OwnCodes
* #uicc-7 "UICC TNM, 7th edition"
* #uicc-8 "UICC TNM, 8th edition"
* #uicc-9 "UICC TNM, 9th edition"
* #ajcc-7 "AJCC, 7th edition"
* #ajcc-8 "AJCC, 8th edition"
* #ajcc-9 "AJCC, version 9"

CodeSystem: TnmCategory
Id: tnm
Title: "Categories and stage groups of TNM"
Description: "Categories by their letters, without prefix; subdivisions are further codes."
* insert OwnCodes
* #TX "TX"
* #T0 "T0"
* #Tis "Tis"
* #T1 "T1"
* #T1mi "T1mi"
* #T1a "T1a"
* #T1b "T1b"
* #T1c "T1c"
* #T2 "T2"
* #T2a "T2a"
* #T2b "T2b"
* #T2c "T2c"
* #T3 "T3"
* #T3a "T3a"
* #T3b "T3b"
* #T4 "T4"
* #T4a "T4a"
* #T4b "T4b"
* #T4c "T4c"
* #T4d "T4d"
* #NX "NX"
* #N0 "N0"
* #N1 "N1"
* #N1mi "N1mi"
* #N1a "N1a"
* #N1b "N1b"
* #N1c "N1c"
* #N2 "N2"
* #N2a "N2a"
* #N2b "N2b"
* #N2c "N2c"
* #N3 "N3"
* #N3a "N3a"
* #N3b "N3b"
* #N3c "N3c"
* #MX "MX"
* #M0 "M0"
* #M1 "M1"
* #M1a "M1a"
* #M1b "M1b"
* #M1c "M1c"
* #0 "Stage 0"
* #I "Stage I"
* #IA "Stage IA"
* #IA1 "Stage IA1"
* #IA2 "Stage IA2"
* #IA3 "Stage IA3"
* #IB "Stage IB"
* #IC "Stage IC"
* #II "Stage II"
* #IIA "Stage IIA"
* #IIB "Stage IIB"
* #IIC "Stage IIC"
* #III "Stage III"
* #IIIA "Stage IIIA"
* #IIIB "Stage IIIB"
* #IIIC "Stage IIIC"
* #IV "Stage IV"
* #IVA "Stage IVA"
* #IVB "Stage IVB"
* #IVC "Stage IVC"

CodeSystem: IsupGrade
Id: isup-grade
Title: "ISUP grade groups"
Description: "Grade groups of prostate cancer, ISUP 2014."
* insert OwnCodes
* #1 "Grade group 1"
* #2 "Grade group 2"
* #3 "Grade group 3"
* #4 "Grade group 4"
* #5 "Grade group 5"

CodeSystem: MarkerResult
Id: marker-result
Title: "Result of a tumour marker"
Description: "Whether a receptor or marker is there."
* insert OwnCodes
* #positive "Positive"
* #negative "Negative"
* #low "Low"
* #equivocal "Equivocal"

CodeSystem: ReaderRole
Id: reader-role
Title: "Role of a reader"
Description: "Which part of a screening reading it is."
* insert OwnCodes
* #single "Only reader"
* #first "First reader"
* #second "Second reader"
* #arbitration "Arbitrating reader"
* #consensus "Consensus of readers"
* #computer "Software"

CodeSystem: ReadingResult
Id: reading-result
Title: "Result of a screening reading"
Description: "What a reader of a screening examination decides."
* insert OwnCodes
* #normal "Normal"
* #suspicious "Suspicious"
* #technical "Cannot be read for technical reasons"

CodeSystem: Recall
Id: recall
Title: "Recall after screening"
Description: "Whether a person is asked to come again before the next round, and what for."
* insert OwnCodes
* #none "No recall"
* #assessment "Recall for assessment"
* #technical "Recall for technical reasons"
* #early "Early recall"

CodeSystem: DetectionMode
Id: detection-mode
Title: "How a cancer was detected"
Description: "In relation to screening."
* insert OwnCodes
* #screen-detected "Detected by screening"
* #interval "Interval cancer: after a negative screening, before the next round"
* #lapsed "After the next round was due and not attended"
* #symptomatic "By symptoms, outside screening"
* #incidental "By chance"

CodeSystem: Population
Id: population
Title: "Populations of a study"
Description: "As the minimum dataset of EUCAIM tells them apart."
* insert OwnCodes
* #cancer "Person with cancer"
* #benign "Person with a finding that is benign"
* #screening-negative "Screened and negative"
* #control "Control"

CodeSystem: TreatmentKind
Id: treatment-kind
Title: "Kinds of treatment and sampling"
Description: "What was done."
* insert OwnCodes
* #surgery "Surgery"
* #radiotherapy "Radiotherapy"
* #chemotherapy "Chemotherapy"
* #hormone-therapy "Hormone therapy"
* #targeted-therapy "Targeted therapy"
* #immunotherapy "Immunotherapy"
* #active-surveillance "Active surveillance"
* #biopsy "Biopsy"

CodeSystem: SegmentationMethod
Id: segmentation-method
Title: "Methods of segmentation"
Description: "SegmentAlgorithmType (0062,0008), PS3.3 C.8.20.2."
* insert OwnCodes
* #MANUAL "Manual"
* #SEMIAUTOMATIC "Semi-automatic"
* #AUTOMATIC "Automatic"
