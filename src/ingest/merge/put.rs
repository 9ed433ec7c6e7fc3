//! Writes a merged batch: what is new, what changed, what went, and the change feed.

use super::series::reserve_images;
use super::*;

impl Batch<'_> {
    /// Writes what changed; everything in the caller's transaction.
    pub(in crate::ingest) fn put(mut self, db: &mut Db) -> QueryResult<Merged> {
        self.drop_repeated_elsewhere(db)?;
        self.settle_patients(db)?;
        let mut feed: Vec<(Kind, i64)> = Vec::new();
        let merged = self.put_patients_and_studies(db, &mut feed)?;
        for (hash, series) in &self.removed_keys {
            archive::remove_instance_key(db, *hash, *series)?;
        }
        let keys: Vec<(i64, i64)> = self.new_keys.iter().copied().collect();
        archive::put_instance_keys(db, &keys)?;
        archive::remove_series(db, &self.emptied)?;
        self.put_reports(db, &mut feed)?;
        changes::put_changes(db, &feed)?;
        Ok(merged)
    }

    /// An instance that another series already holds stays there: the first is kept. Only when a
    /// source served a whole study anew, the instance follows the study's new order.
    fn drop_repeated_elsewhere(&mut self, db: &mut Db) -> QueryResult<()> {
        let hashes: Vec<i64> = self.new_keys.iter().map(|(hash, _)| *hash).collect();
        let mut holders: HashMap<i64, Vec<i64>> = HashMap::new();
        for (hash, series) in archive::find_instance_keys(db, &hashes)? {
            if !self.removed_keys.contains(&(hash, series)) {
                holders.entry(hash).or_default().push(series);
            }
        }
        // Twice within the batch counts too.
        let mut first: HashMap<i64, i64> = HashMap::new();
        for (hash, series) in &self.new_keys {
            let kept = *first.entry(*hash).or_insert(*series);
            if kept != *series {
                holders.entry(*hash).or_default().push(kept);
            }
        }
        if holders.is_empty() {
            return Ok(());
        }
        let mut numbers: Vec<i64> = holders.values().flatten().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.unpack_missing(db, &numbers)?;
        let mut elsewhere: HashMap<i64, HashMap<Uid, u64>> = HashMap::new();
        for (number, packed) in archive::list_packed(db, &numbers)? {
            let instances =
                Instance::unpack(&packed).map_err(|failure| conflict(&failure.to_string()))?;
            elsewhere.insert(number, instances.into_iter().map(|i| (i.uid, i.digest)).collect());
        }
        for series in self.studies.values().flat_map(|study| &study.series) {
            if numbers.contains(&series.row.number) {
                let now = series.instances.iter().flatten().map(|i| (i.uid.clone(), i.digest));
                elsewhere.insert(series.row.number, now.collect());
            }
        }
        let mut dropped: HashSet<(i64, i64)> = HashSet::new();
        for (hash, series) in self.new_keys.clone() {
            for holder in holders.get(&hash).into_iter().flatten().filter(|n| **n != series) {
                if dropped.contains(&(hash, *holder)) {
                    continue;
                }
                let Some(known) = elsewhere.get(holder) else { continue };
                let Some((study, at)) = place(&mut self.studies, series) else { continue };
                let held = study.series.get(at).and_then(|mine| mine.instances.as_ref());
                let same_uid =
                    |i: &&Instance| uid_hash(i.uid.as_str()) == hash && known.contains_key(&i.uid);
                let Some(instance) = held.into_iter().flatten().find(same_uid).cloned() else {
                    continue;
                };
                let uid = instance.uid;
                let from = study.series.iter().position(|other| other.row.number == *holder);
                if let Some(from) = from
                    && self.moved.contains(&(hash, series))
                    && !self.arrived.contains(&(*holder, uid.clone()))
                {
                    if let Some(key) = study.remove(from, &uid) {
                        forget(&mut self.new_keys, &mut self.removed_keys, key);
                    }
                    continue;
                }
                study.remove(at, &uid);
                dropped.insert((hash, series));
                let same = known.get(&uid) == Some(&instance.digest);
                let code = if same { "sop-instance-repeated" } else { "sop-instance-differs" };
                let finding = Finding::new(code, "SOPInstanceUID", uid.as_str());
                if study.is_there() {
                    study.say(finding, 1);
                } else if let Some((study, _)) = place(&mut self.studies, *holder) {
                    // Nothing is left of the study that gave it: said of the one that holds it.
                    study.say(finding, 1);
                } else {
                    let of = crate::store::read::studies_of_series(db, &[*holder])?;
                    self.said_elsewhere.extend(of.into_iter().map(|study| row(study, &finding, 1)));
                }
            }
        }
        self.new_keys.retain(|key| !dropped.contains(key));
        Ok(())
    }

    /// Unpacks those of the series that are loaded without their instances.
    fn unpack_missing(&mut self, db: &mut Db, numbers: &[i64]) -> QueryResult<()> {
        let missing: Vec<i64> = self
            .studies
            .values()
            .flat_map(|study| &study.series)
            .filter(|series| series.instances.is_none() && numbers.contains(&series.row.number))
            .map(|series| series.row.number)
            .collect();
        self.unpack(db, &missing)
    }

    /// A patient is in the store as long as a series names it.
    fn settle_patients(&mut self, db: &mut Db) -> QueryResult<()> {
        let mut named: HashSet<i64> = HashSet::new();
        let mut loaded: HashSet<i64> = HashSet::new();
        let mut doubtful: BTreeSet<i64> = BTreeSet::new();
        for series in self.studies.values().flat_map(|study| &study.series) {
            loaded.insert(series.row.number);
            if series.row.images > 0 {
                named.insert(series.row.patient);
            }
            if let Some(stored) = &series.stored
                && (stored.patient != series.row.patient || series.row.images == 0)
            {
                doubtful.insert(stored.patient);
            }
        }
        let touched =
            self.patients.values().filter(|p| p.is_changed || p.is_moved).map(|p| p.row.number);
        doubtful.extend(touched);
        doubtful.retain(|number| !named.contains(number));
        if doubtful.is_empty() {
            return Ok(());
        }
        let asked: Vec<i64> = doubtful.iter().copied().collect();
        for (patient, series) in archive::list_series_of_patients(db, &asked)? {
            if !loaded.contains(&series) {
                doubtful.remove(&patient);
            }
        }
        let known: HashSet<i64> = self.patients.values().map(|p| p.row.number).collect();
        let missing: Vec<i64> =
            doubtful.difference(&known.into_iter().collect()).copied().collect();
        for row in archive::list_patients(db, &missing)? {
            let key = PatientKey { issuer: row.issuer.clone(), id: row.id.clone() };
            let attributes =
                crate::store::read::attributes(&row.attributes, "patient", row.number)?;
            self.patients.insert(key, PatientNow::known(row, attributes));
        }
        for patient in self.patients.values_mut() {
            if doubtful.contains(&patient.row.number) && !patient.row.deleted {
                patient.row.deleted = true;
                patient.is_changed = true;
            }
        }
        self.patients.retain(|_, patient| !(patient.is_new && patient.row.deleted));
        Ok(())
    }

    fn put_patients_and_studies(
        &mut self,
        db: &mut Db,
        feed: &mut Vec<(Kind, i64)>,
    ) -> QueryResult<Merged> {
        let mut merged = Merged::default();
        let mut new_lookups = Vec::new();
        self.put_patients(db, feed, &mut new_lookups)?;

        let mut studies: Vec<&mut StudyNow> = self.studies.values_mut().collect();
        studies.sort_by_key(|study| study.row.number);
        for study in studies.iter_mut().filter(|study| study.is_changed) {
            study.settle();
            for series in study.series.iter_mut().filter(|series| series.row.images > 0) {
                series.prepare(&study.attributes)?;
            }
        }
        reserve_images(db, &mut studies)?;
        self.derive_findings(db)?;
        self.contradicting_persons(db)?;

        let mut new_studies = Vec::new();
        let mut new_series = Vec::new();
        let mut packed = Vec::new();
        let mut new_findings = Vec::new();
        let mut more_findings = std::mem::take(&mut self.said_elsewhere);
        let mut studies: Vec<&mut StudyNow> = self.studies.values_mut().collect();
        studies.sort_by_key(|study| study.row.number);
        for study in studies {
            let number = study.row.number;
            let is_there = study.is_there();
            if study.is_new && !is_there {
                // All that it had is held by another study.
                continue;
            }
            for ((code, attribute), (value, count)) in study.findings.drain() {
                merged.findings += u64::try_from(count).unwrap_or(0);
                if count == 0 || !is_there {
                    continue;
                }
                let (code, attribute) = (code.into_owned(), attribute.into_owned());
                let row = FindingRow { study: number, code, attribute, value, count };
                if study.is_new { new_findings.push(row) } else { more_findings.push(row) }
            }
            if !study.is_changed {
                for series in &study.series {
                    if series.stored.as_ref().is_some_and(|stored| *stored != series.row) {
                        archive::put_series(db, &series.row)?;
                    }
                }
                continue;
            }
            merged.studies += 1;
            feed.push((Kind::Study, number));
            study.row.attributes = to_json(&study.attributes)?;
            study.row.version += 1;
            study.row.updated = self.now;
            for series in &mut study.series {
                if series.row.images == 0 {
                    if series.stored.is_some() {
                        self.emptied.push(series.row.number);
                    }
                    continue;
                }
                match &series.stored {
                    None => new_series.push(series.row.clone()),
                    Some(stored) if *stored != series.row => archive::put_series(db, &series.row)?,
                    Some(_) => {}
                }
                if series.is_repacked {
                    let bytes = series.instances.as_deref().map(Instance::pack);
                    packed.push(PackedRow { series: series.row.number, packed: bytes });
                }
            }
            study.row.deleted = !is_there;
            let values =
                if is_there { lookup::study_lookups(&study.attributes) } else { Vec::new() };
            if study.is_new {
                new_lookups.extend(values.into_iter().map(|(kind, value)| (kind, value, number)));
                new_studies.push(study.row.clone());
            } else {
                archive::put_study(db, &study.row)?;
                archive::put_lookups(db, crate::imaging::Lookup::OF_STUDY, number, &values)?;
                if !is_there {
                    findings::remove_findings(db, number)?;
                }
            }
        }
        archive::put_new_studies(db, &new_studies)?;
        archive::put_new_series(db, &new_series)?;
        for row in &packed {
            archive::put_packed(db, row)?;
        }
        archive::put_new_lookups(db, &new_lookups)?;
        findings::put_new_findings(db, &new_findings)?;
        findings::add_findings(db, &more_findings)?;
        // Studies that did not change, but of which more or less is said now.
        let fed: HashSet<i64> = feed
            .iter()
            .filter(|(kind, _)| *kind == Kind::Study)
            .map(|(_, number)| *number)
            .collect();
        let said: BTreeSet<i64> = more_findings
            .iter()
            .map(|row| row.study)
            .filter(|study| !fed.contains(study))
            .collect();
        feed.extend(said.into_iter().map(|study| (Kind::Finding, study)));
        Ok(merged)
    }

    fn put_patients(
        &mut self,
        db: &mut Db,
        feed: &mut Vec<(Kind, i64)>,
        new_lookups: &mut Vec<(i16, String, i64)>,
    ) -> QueryResult<()> {
        let mut new_patients = Vec::new();
        let mut patients: Vec<&mut PatientNow> =
            self.patients.values_mut().filter(|p| p.is_changed || p.is_moved).collect();
        patients.sort_by_key(|patient| patient.row.number);
        for patient in patients {
            let row = &mut patient.row;
            if !patient.is_changed {
                archive::put_patient(db, row)?;
                continue;
            }
            row.attributes = to_json(&patient.attributes)?;
            row.version += 1;
            row.updated = self.now;
            feed.push((Kind::Patient, row.number));
            let key = PatientKey { issuer: row.issuer.clone(), id: row.id.clone() };
            let values = if row.deleted {
                Vec::new()
            } else {
                lookup::patient_lookups(&key, &patient.attributes)
            };
            if patient.is_new {
                new_lookups
                    .extend(values.into_iter().map(|(kind, value)| (kind, value, row.number)));
                new_patients.push(row.clone());
            } else {
                archive::put_patient(db, row)?;
                archive::put_lookups(db, crate::imaging::Lookup::OF_PATIENT, row.number, &values)?;
            }
        }
        archive::put_new_patients(db, &new_patients)
    }

    /// What follows from the rows as they are now, whatever the order in which they came.
    fn derive_findings(&mut self, db: &mut Db) -> QueryResult<()> {
        self.same_series_elsewhere(db)?;
        let twins = self.twins(db)?;
        let numbers: Vec<i64> = self
            .studies
            .values()
            .filter(|study| (study.is_changed || study.is_retold) && !study.is_new)
            .map(|study| study.row.number)
            .collect();
        let known: HashMap<(i64, String), i64> =
            findings::list_counts(db, &numbers, &DERIVED)?.into_iter().collect();
        let today = self.context.day_at(self.now);
        for study in self.studies.values_mut().filter(|study| study.is_changed || study.is_retold) {
            let known = |code: &str| known.get(&(study.row.number, code.to_owned())).copied();
            let known = DERIVED.map(|code| known(code).unwrap_or(0));
            study.derive(self.context, known, twins.contains(&study.row.patient), today)?;
        }
        Ok(())
    }

    /// One SeriesInstanceUID in two studies: said of both, once for each pair.
    fn same_series_elsewhere(&mut self, db: &mut Db) -> QueryResult<()> {
        let mut new: Vec<(i64, String, i64)> = Vec::new();
        for study in self.studies.values() {
            let added = study.series.iter().filter(|s| s.stored.is_none() && s.row.images > 0);
            new.extend(added.map(|s| (s.row.number, s.row.uid.clone(), study.row.number)));
        }
        new.sort_unstable();
        let uids: Vec<&str> = new.iter().map(|(_, uid, _)| uid.as_str()).collect();
        let mut places: HashMap<String, Vec<i64>> = HashMap::new();
        for (uid, study) in archive::find_series(db, &uids)? {
            places.entry(uid).or_default().push(study);
        }
        let mut pairs: Vec<(i64, i64, String)> = Vec::new();
        for (_, uid, study) in new {
            let known = places.entry(uid.clone()).or_default();
            pairs.extend(known.iter().map(|other| (study, *other, uid.clone())));
            known.push(study);
        }
        for (one, other, uid) in pairs {
            let finding = Finding::new("study-of-series-changed", "SeriesInstanceUID", &uid);
            for number in [one, other] {
                match self.studies.values_mut().find(|study| study.row.number == number) {
                    Some(study) => study.say(finding.clone(), 1),
                    None => self.said_elsewhere.push(row(number, &finding, 1)),
                }
            }
        }
        Ok(())
    }

    /// Patients of this batch whose identifier is known under another issuer too. The studies of
    /// those that were alone until now are told.
    fn twins(&mut self, db: &mut Db) -> QueryResult<HashSet<i64>> {
        let mut by_id: HashMap<&str, Vec<&PatientNow>> = HashMap::new();
        for (key, patient) in self.patients.iter().filter(|(_, patient)| !patient.row.deleted) {
            by_id.entry(&key.id).or_default().push(patient);
        }
        let mut twins = HashSet::new();
        let mut told = Vec::new();
        for patients in by_id.values().filter(|patients| patients.len() > 1) {
            twins.extend(patients.iter().map(|patient| patient.row.number));
            let old: Vec<i64> =
                patients.iter().filter(|p| !p.is_new).map(|p| p.row.number).collect();
            // Two old ones told each other's studies when the second came.
            if let ([only], true) = (old.as_slice(), patients.len() > old.len()) {
                told.push(*only);
            }
        }
        let finding = Finding::new(ISSUERS, "PatientID", "");
        for number in crate::store::read::list_studies_of_patients(db, &told)? {
            if !self.studies.values().any(|s| s.row.number == number && s.is_changed) {
                self.said_elsewhere.push(row(number, &finding, 1));
            }
        }
        Ok(twins)
    }
}
