// Screening: the round, who read it, what was decided, what came of it.

Extension: ScreeningRound
Id: screening-round-number
Title: "Number of the round"
Description: "The first invitation is round 1."
* insert OwnProfile
* ^context[+].type = #element
* ^context[=].expression = "Encounter"
* value[x] 1..1
* value[x] only positiveInt

Profile: ScreeningEncounter
Parent: Encounter
Id: screening-round
Title: "Screening round"
Description: "The visit of one round of a screening programme."
* insert OwnProfile
* type 1..*
* type ^slicing.discriminator.type = #pattern
* type ^slicing.discriminator.path = "$this"
* type ^slicing.rules = #open
* type contains screening 1..1
* type[screening] = CancerContent#screening
* subject 1..1
* subject only Reference(Patient)
* period 1..1
* extension contains ScreeningRound named round 0..1
* episodeOfCare only Reference(EpisodeOfCare)

Profile: ScreeningParticipation
Parent: EpisodeOfCare
Id: screening-participation
Title: "Participation in a screening programme"
Description: "From the first invitation until the person leaves the programme."
* insert OwnProfile
* type 1..*
* type ^slicing.discriminator.type = #pattern
* type ^slicing.discriminator.path = "$this"
* type ^slicing.rules = #open
* type contains programme 1..1
* type[programme] = CancerContent#screening-programme

Profile: ScreeningReading
Parent: Observation
Id: screening-reading
Title: "Reading of a screening examination"
Description: "What one reader, or several in consensus, decided: with single reading one such statement, with double reading one for each reader and one for arbitration or consensus."
* insert Assessed(ReadingResultSet)
* code = CancerContent#screening-reading
* insert Parts
* component contains role 1..1
* insert Part(role, reader-role)
* component[role].value[x] only CodeableConcept
* component[role].valueCodeableConcept from ReaderRoleSet (required)
* hasMember only Reference(Observation)

Profile: RecallDecision
Parent: Observation
Id: recall-decision
Title: "Decision to recall"
Description: "What follows from a round; it is derived from the readings or the study."
* insert Assessed(RecallSet)
* code = CancerContent#recall-decision

Profile: CancerDetection
Parent: Observation
Id: cancer-detection
Title: "How a cancer was detected"
Description: "Screen-detected, interval cancer, or otherwise; its focus is the cancer."
* insert Statement
* code = CancerContent#detection-mode
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from DetectionModeSet (required)
* focus 1..1
* focus only Reference(Condition)

Profile: StudyPopulation
Parent: Observation
Id: study-population
Title: "Population"
Description: "Which population of a dataset the person belongs to."
* insert Statement
* code = CancerContent#study-population
* value[x] 1..1
* value[x] only CodeableConcept
* valueCodeableConcept from PopulationSet (required)
