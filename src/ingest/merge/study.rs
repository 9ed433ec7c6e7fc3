//! A patient and a study while a batch is merged.

use super::*;

impl PatientNow {
    pub(super) const fn known(row: PatientRow, attributes: Attributes) -> Self {
        Self { row, attributes, is_new: false, is_changed: false, is_moved: false }
    }
}

impl StudyNow {
    pub(super) fn find(&self, uid: &Uid) -> Option<usize> {
        self.series.iter().position(|series| series.row.uid == uid.as_str())
    }

    pub(super) fn is_there(&self) -> bool {
        self.series.iter().any(|series| series.row.images > 0)
    }

    /// Adds to the count of a finding.
    pub(super) fn say(&mut self, finding: Finding, count: i64) {
        let entry = self
            .findings
            .entry((finding.code, finding.attribute))
            .or_insert_with(|| (finding.value, 0));
        entry.1 += count;
    }

    /// Removes an instance of the series at that place; its key, if it was there.
    pub(super) fn remove(&mut self, at: usize, uid: &Uid) -> Option<(i64, i64)> {
        let series = self.series.get_mut(at)?;
        if !series.remove(uid) {
            return None;
        }
        self.is_changed = true;
        self.is_cut = true;
        Some((uid_hash(uid.as_str()), series.row.number))
    }

    /// After instances went, the study is described by what is left.
    pub(super) fn settle(&mut self) {
        let best = self
            .series
            .iter()
            .filter(|s| s.row.images > 0)
            .min_by(|a, b| a.row.rank.cmp(&b.row.rank));
        if let Some(best) = best
            && best.row.rank != self.row.rank
        {
            self.row.rank.clone_from(&best.row.rank);
            self.row.patient = best.row.patient;
            self.attributes = best.study_attributes.clone();
        }
    }

    /// The findings that describe the study as it is now instead of as it was: what is odd in
    /// the descriptions of its series, and where they disagree.
    pub(super) fn derive(
        &mut self,
        context: &Context,
        known: [i64; 5],
        is_twin: bool,
        today: jiff::civil::Date,
    ) -> QueryResult<()> {
        let nobody = Attributes::new();
        let mut news: Vec<(Finding, i64)> = Vec::new();
        let mut disagree = [0_i64; 3];
        let mut born_late = 0;
        let mut example = String::new();
        for series in &self.series {
            let is_there = series.row.images > 0;
            if let Some(stored) = &series.stored {
                let study = match &stored.study_attributes {
                    None => Cow::Borrowed(&self.before),
                    Some(text) => {
                        Cow::Owned(crate::store::read::attributes(text, "series", stored.number)?)
                    }
                };
                let is_same = is_there
                    && stored.attributes == series.row.attributes
                    && *study == series.study_attributes;
                if !is_same {
                    let was = crate::store::read::attributes(
                        &stored.attributes,
                        "series",
                        stored.number,
                    )?;
                    let old = mapping::findings(context, &nobody, &study, &was);
                    news.extend(old.into_iter().map(|finding| (finding, -1)));
                }
                if is_there && !is_same {
                    let new = mapping::findings(
                        context,
                        &nobody,
                        &series.study_attributes,
                        &series.attributes,
                    );
                    news.extend(new.into_iter().map(|finding| (finding, 1)));
                }
            } else if is_there {
                let new = mapping::findings(
                    context,
                    &nobody,
                    &series.study_attributes,
                    &series.attributes,
                );
                news.extend(new.into_iter().map(|finding| (finding, 1)));
            }
            if is_there {
                born_late += i64::from(series.is_before_birth(today)?);
                disagree[0] += i64::from(series.row.patient != self.row.patient);
                let date = date_of(&series.study_attributes);
                if date != date_of(&self.attributes) {
                    disagree[1] += 1;
                    date.unwrap_or("").clone_into(&mut example);
                }
            }
        }
        // Within a series only the presence is known, not how many: said once, until the
        // study loses an instance, which may have been the one.
        let now = |at: usize, known: i64| {
            let seen = self.mixed[at] || (known > 0 && !self.is_cut);
            disagree[at].max(i64::from(seen)) - known
        };
        news.push((Finding::new(PATIENTS, "PatientID", ""), now(0, known[0])));
        news.push((Finding::new(DATES, "StudyDate", &example), now(1, known[1])));
        news.push((Finding::new(MODALITIES, "Modality", ""), now(2, known[3])));
        // A birth date names a person.
        news.push((Finding::new(BIRTHS, "PatientBirthDate", ""), born_late - known[4]));
        if is_twin {
            news.push((Finding::new(ISSUERS, "PatientID", ""), 1 - known[2]));
        }
        for (finding, count) in news.into_iter().filter(|(_, count)| *count != 0) {
            self.say(finding, count);
        }
        Ok(())
    }
}
