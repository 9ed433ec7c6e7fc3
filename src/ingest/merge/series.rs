//! A series while a batch is merged.

use super::*;

/// What merging a record into its series did.
pub(super) struct Outcome {
    pub(super) is_added: bool,
    pub(super) is_changed: bool,
    /// Whether it says something else of who its patient is.
    pub(super) is_retold: bool,
}

impl SeriesNow {
    pub(super) fn of(stored: SeriesRow, study: &Attributes) -> QueryResult<Self> {
        Ok(Self {
            attributes: crate::store::read::attributes(
                &stored.attributes,
                "series",
                stored.number,
            )?,
            study_attributes: match &stored.study_attributes {
                None => study.clone(),
                Some(text) => crate::store::read::attributes(text, "series", stored.number)?,
            },
            row: stored.clone(),
            stored: Some(stored),
            instances: None,
            by_uid: HashMap::new(),
            is_repacked: false,
        })
    }

    pub(super) fn new(
        number: i64,
        study: i64,
        patient: i64,
        record: &Record,
        rank: &str,
    ) -> QueryResult<Self> {
        Ok(Self {
            row: SeriesRow {
                number,
                study,
                uid: record.series_uid.as_str().to_owned(),
                patient,
                attributes: String::new(),
                study_attributes: None,
                rank: rank.to_owned(),
                images: 0,
                bytes: 0,
                first_image: 0,
                image_block: 0,
                sop_classes: String::new(),
                licence: record.licence.clone(),
                source_doi: record.source_doi.clone(),
                person: person(record)?,
            },
            stored: None,
            study_attributes: record.study.clone(),
            attributes: record.series.clone(),
            instances: None,
            by_uid: HashMap::new(),
            is_repacked: false,
        })
    }

    pub(super) fn set_instances(&mut self, instances: Vec<Instance>) {
        self.by_uid =
            instances.iter().enumerate().map(|(at, instance)| (instance.uid.clone(), at)).collect();
        self.instances = Some(instances);
    }

    pub(super) fn merge(
        &mut self,
        record: &Record,
        rank: &str,
        patient: i64,
        is_replacement: bool,
    ) -> QueryResult<Outcome> {
        let mut outcome = Outcome { is_added: false, is_changed: false, is_retold: false };
        // A series that this record made is described by it already.
        let is_fresh = self.stored.is_none() && self.row.images == 0 && self.row.rank == rank;
        let is_better =
            rank <= self.row.rank.as_str() || (is_replacement && describes(&self.row.rank, record));
        if is_better && !is_fresh {
            let person = person(record)?;
            if self.row.person != person {
                self.row.person = person;
                outcome.is_retold = true;
            }
            let describes = self.attributes_of(record);
            if self.attributes != describes
                || self.study_attributes != record.study
                || self.row.patient != patient
                || self.row.rank != rank
                || self.row.licence != record.licence
                || self.row.source_doi != record.source_doi
            {
                self.attributes = describes;
                self.study_attributes = record.study.clone();
                self.row.patient = patient;
                rank.clone_into(&mut self.row.rank);
                self.row.licence.clone_from(&record.licence);
                self.row.source_doi.clone_from(&record.source_doi);
                outcome.is_changed = true;
            }
        }
        let Some(instance) = &record.instance else {
            return self.merge_count(record, outcome);
        };
        if self.instances.is_none() {
            // Until now only counted: what is named replaces what was counted.
            self.row.bytes = 0;
        }
        let instances = self.instances.get_or_insert_with(Vec::new);
        match self.by_uid.get(&instance.uid) {
            None => {
                self.by_uid.insert(instance.uid.clone(), instances.len());
                instances.push(instance.clone());
                self.row.images = count(instances.len())?;
                self.row.bytes = self.row.bytes.saturating_add_unsigned(instance.bytes);
                self.is_repacked = true;
                outcome.is_added = true;
                outcome.is_changed = true;
            }
            Some(at) => {
                let held = &mut instances[*at];
                if held != instance {
                    let bytes = i64::try_from(held.bytes).unwrap_or(0);
                    self.row.bytes = self
                        .row
                        .bytes
                        .saturating_sub(bytes)
                        .saturating_add_unsigned(instance.bytes);
                    *held = instance.clone();
                    self.is_repacked = true;
                    outcome.is_changed = true;
                }
            }
        }
        Ok(outcome)
    }

    pub(super) fn holds(&self, uid: &Uid) -> bool {
        self.by_uid.contains_key(uid)
    }

    pub(super) fn instance(&self, uid: &Uid) -> Option<&Instance> {
        self.instances.as_ref()?.get(*self.by_uid.get(uid)?)
    }

    /// A row that knows the series only by its count.
    pub(super) fn merge_count(
        &mut self,
        record: &Record,
        mut outcome: Outcome,
    ) -> QueryResult<Outcome> {
        let images = i32::try_from(record.count).map_err(|_| conflict("too many instances"))?;
        let bytes = i64::try_from(record.bytes).unwrap_or(i64::MAX);
        let classes = joined(record.sop_classes.iter());
        if self.instances.is_none()
            && (self.row.images != images
                || self.row.bytes != bytes
                || self.row.sop_classes != classes)
        {
            outcome.is_added = self.row.images == 0;
            outcome.is_changed = true;
            self.row.images = images;
            self.row.bytes = bytes;
            self.row.sop_classes = classes;
        }
        Ok(outcome)
    }

    pub(super) fn attributes_of(&self, record: &Record) -> Attributes {
        let mut attributes = record.series.clone();
        // Kept from earlier instances; `prepare` decides it anew when instances change.
        if let (Some(side), Ok(keyword)) =
            (self.attributes.first("ImageLaterality"), Keyword::parse("ImageLaterality"))
        {
            attributes.set(keyword, side);
        }
        attributes
    }

    pub(super) fn remove(&mut self, uid: &Uid) -> bool {
        let Some(at) = self.by_uid.remove(uid) else { return false };
        let Some(instances) = &mut self.instances else { return false };
        let gone = instances.swap_remove(at);
        if let Some(moved) = instances.get(at) {
            self.by_uid.insert(moved.uid.clone(), at);
        }
        self.row.images = i32::try_from(instances.len()).unwrap_or(i32::MAX);
        self.row.bytes =
            self.row.bytes.saturating_sub(i64::try_from(gone.bytes).unwrap_or(0)).max(0);
        if is_describer(&self.row.rank, uid) {
            // Its description stands until another instance of the series is read.
            NOBODY.clone_into(&mut self.row.rank);
        }
        self.is_repacked = true;
        true
    }

    /// Derives what the row holds from the instances.
    pub(super) fn prepare(&mut self, study: &Attributes) -> QueryResult<()> {
        if self.is_repacked
            && let Some(instances) = &mut self.instances
        {
            instances.sort_by(|a, b| {
                let number = |i: &Instance| i.number.unwrap_or(u32::MAX);
                number(a).cmp(&number(b)).then_with(|| a.uid.cmp(&b.uid))
            });
            let mut classes: Vec<&Uid> = instances.iter().map(|i| &i.sop_class).collect();
            classes.sort_unstable();
            classes.dedup();
            self.row.sop_classes = joined(classes.into_iter());
            let sides: HashSet<Laterality> =
                instances.iter().filter_map(|i| i.laterality).collect();
            if let Ok(keyword) = Keyword::parse("ImageLaterality") {
                // Laterality of a series only where all its images agree (PS3.3 C.7.3.1, C.8.3.1).
                match (sides.len(), sides.iter().next()) {
                    (1, Some(side)) => self.attributes.set(keyword, side.code()),
                    _ => self.attributes.remove(keyword),
                }
            }
            let instances = std::mem::take(instances);
            self.set_instances(instances);
        }
        self.row.attributes = to_json(&self.attributes)?;
        self.row.study_attributes = if self.study_attributes == *study {
            None
        } else {
            Some(to_json(&self.study_attributes)?)
        };
        Ok(())
    }

    /// Whether its patient was born behind the day of the study; where it has none, behind today.
    pub(super) fn is_before_birth(&self, today: jiff::civil::Date) -> QueryResult<bool> {
        let Some(text) = &self.row.person else { return Ok(false) };
        if !text.contains("PatientBirthDate") {
            return Ok(false);
        }
        let person = crate::store::read::attributes(text, "series", self.row.number)?;
        let day = mapping::day_of(&self.study_attributes, "StudyDate").unwrap_or(today);
        Ok(mapping::birth_of(&person).is_some_and(|birth| birth > day))
    }

    /// The block of image numbers that the series needs, if the one it has is too small. A
    /// block that grows doubles, so that a series moves a logarithmic number of times.
    pub(super) fn wanted_block(&self) -> Option<i32> {
        (self.row.image_block < self.row.images)
            .then(|| self.row.images.max(self.row.image_block.saturating_mul(2)))
    }
}

/// Hands out contiguous image numbers to the series that need them, in one step for the batch.
pub(super) fn reserve_images(db: &mut Db, studies: &mut [&mut StudyNow]) -> QueryResult<()> {
    let mut total = 0_usize;
    for study in studies.iter().filter(|study| study.is_changed) {
        for block in study.series.iter().filter_map(SeriesNow::wanted_block) {
            total += usize::try_from(block).map_err(|_| conflict("negative count"))?;
        }
    }
    if total == 0 {
        return Ok(());
    }
    let mut next = changes::take(db, "image", total)?;
    for study in studies.iter_mut().filter(|study| study.is_changed) {
        for series in &mut study.series {
            if let Some(block) = series.wanted_block() {
                series.row.first_image = next;
                series.row.image_block = block;
                next += i64::from(block);
            }
        }
    }
    Ok(())
}

/// What the record says of who its patient is.
fn person(record: &Record) -> QueryResult<Option<String>> {
    let person = mapping::person_of(&record.patient);
    if person.is_empty() { Ok(None) } else { to_json(&person).map(Some) }
}

fn joined<'u>(uids: impl Iterator<Item = &'u Uid>) -> String {
    uids.map(Uid::as_str).collect::<Vec<_>>().join(",")
}

fn count(length: usize) -> QueryResult<i32> {
    i32::try_from(length).map_err(|_| conflict("too many instances"))
}
