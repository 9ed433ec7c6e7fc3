//! The view as rows, and how it differs from another: what `vesalius verify` compares.

use super::View;
use crate::imaging::{Facet, Started};
use crate::index::terms::Posting;

/// A series with everything that is known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "named by what they are")]
pub struct Row {
    pub series: u32,
    pub study: u32,
    pub patient: u32,
    pub images: u32,
    pub bytes: u64,
    pub started: Option<Started>,
    /// Terms of the series and of its study, sorted.
    pub terms: Vec<(Facet, String)>,
}

impl View {
    /// Every series as a row, for comparisons.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.all_series.iter().filter_map(|at| self.row(at)).collect()
    }

    fn row(&self, at: u32) -> Option<Row> {
        let series = self.series.get(at as usize)?;
        let study = self.studies.get(series.study as usize)?;
        let terms = self.sets.get(series.set).iter().chain(self.sets.get(study.set));
        let mut terms: Vec<_> = terms
            .map(|term| self.dictionary.text(*term))
            .map(|(facet, text)| (facet, text.to_owned()))
            .collect();
        terms.sort();
        Some(Row {
            series: at,
            study: series.study,
            patient: series.patient,
            images: series.images,
            bytes: series.bytes,
            started: study.started,
            terms,
        })
    }

    /// How this view differs from `truth`, in words, at most a hundred; posting lists are held
    /// against the rows too.
    pub(in crate::index) fn differences(&self, truth: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let sets = [
            ("studies", &self.all_studies, &truth.all_studies),
            ("series", &self.all_series, &truth.all_series),
            ("patients", &self.all_patients, &truth.all_patients),
        ];
        for (what, mine, theirs) in sets {
            if mine != theirs {
                let (more, less) = ((mine - theirs).len(), (theirs - mine).len());
                found.push(format!("{more} {what} too many and {less} too few"));
            }
        }
        for at in &truth.all_series {
            let (mine, theirs) = (self.row(at), truth.row(at));
            if mine != theirs {
                found.push(format!("series {at}: {mine:?} instead of {theirs:?}"));
                if found.len() >= 100 {
                    return found;
                }
            }
        }
        if self.findings != truth.findings {
            found.push("the studies with findings differ".to_owned());
        }
        for (at, posting) in truth.dictionary.postings.iter().enumerate() {
            let (facet, text) = truth.dictionary.text(u32::try_from(at).unwrap_or(u32::MAX));
            let empty = Posting::default();
            let mine = self.posting(facet, text).unwrap_or(&empty);
            if mine.series != posting.series || mine.studies != posting.studies {
                found.push(format!("the postings of {facet:?} `{text}` differ"));
            }
        }
        found.truncate(100);
        found
    }
}
