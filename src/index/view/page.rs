//! Hits in an order, a page at a time.

use roaring::RoaringBitmap;

use super::{StudySlot, View, slot};
use crate::index::query::Sort;

impl View {
    /// The numbers of the hits after `after` in the order, at most `count`. `after` is the last
    /// entry of the page before, with its [`View::sort_key`] of then: so a page continues rightly
    /// whatever was written or deleted in between.
    #[must_use]
    pub fn page(
        &self,
        hits: &RoaringBitmap,
        sort: Sort,
        after: Option<(i64, i64)>,
        count: usize,
    ) -> Vec<i64> {
        let after = after.and_then(|(number, key)| Some((key, slot(number)?)));
        let key = |at: u32| self.sort_key(sort, i64::from(at));
        match sort {
            Sort::Arrival => {
                let start = after.map_or(0, |(_, at)| at.saturating_add(1));
                hits.range(start..).take(count).map(i64::from).collect()
            }
            Sort::Started { descending } => {
                let order = self.by_started.get_or_init(|| {
                    self.ordered(|study| study.started.map_or(i64::MAX, |started| started.from))
                });
                walk(order, hits, after, count, descending, key)
            }
            Sort::Updated { descending } => {
                let order = self.by_updated.get_or_init(|| self.ordered(|study| study.updated));
                walk(order, hits, after, count, descending, key)
            }
        }
    }

    /// What a study is sorted by: 0 in the order of arrival.
    #[must_use]
    pub fn sort_key(&self, sort: Sort, number: i64) -> i64 {
        let study = usize::try_from(number).ok().and_then(|at| self.studies.get(at));
        match sort {
            Sort::Arrival => 0,
            // Without a date they stand last, whichever way the others stand.
            Sort::Started { descending } => study
                .and_then(|study| study.started)
                .map_or(if descending { i64::MIN } else { i64::MAX }, |started| started.from),
            Sort::Updated { .. } => study.map_or(0, |study| study.updated),
        }
    }

    fn ordered(&self, key: impl Fn(&StudySlot) -> i64) -> Vec<u32> {
        let mut order: Vec<u32> = self.all_studies.iter().collect();
        order.sort_by_key(|at| (self.studies.get(*at as usize).map_or(0, &key), *at));
        order
    }
}

/// Walks a sorted order from behind `after` and picks hits.
fn walk(
    order: &[u32],
    hits: &RoaringBitmap,
    after: Option<(i64, u32)>,
    count: usize,
    descending: bool,
    key: impl Fn(u32) -> i64,
) -> Vec<i64> {
    let pick = |at: &&u32| hits.contains(**at);
    if descending {
        // What has no key is at the end of the order, and stays there.
        let (with, without) = order.split_at(order.partition_point(|at| key(*at) != i64::MIN));
        let left = |part: &[u32]| match after {
            None => part.len(),
            Some(after) => part.partition_point(|at| (key(*at), *at) < after),
        };
        let with = with.iter().take(left(with)).rev();
        let all = with.chain(without.iter().take(left(without)).rev());
        all.filter(pick).take(count).map(|at| i64::from(*at)).collect()
    } else {
        let start = after.map_or(0, |after| order.partition_point(|at| (key(*at), *at) <= after));
        order.iter().skip(start).filter(pick).take(count).map(|at| i64::from(*at)).collect()
    }
}
