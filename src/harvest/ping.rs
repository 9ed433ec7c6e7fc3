//! Tells FAIR Data Point indexes that this one is there: at the start, when datasets changed, and
//! every week, because an index forgets who is silent.
//!
//! A ping is `POST {"clientUrl": …}` to the index, which then crawls us. One that answers 429 or a
//! failure of its own is left alone for longer and longer; what it asks for in `Retry-After`
//! counts. Redirects are not followed: the address is the operator's.

use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;

use crate::config::Config;
use crate::error::{Error, Result};

/// An index forgets who was silent for longer.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Datasets that are published in a row are told once.
const GAP: Duration = Duration::from_secs(60);
/// First wait after a failure; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// An index, and what it knows.
#[derive(Clone, Debug)]
struct Index {
    url: String,
    /// The event of the catalogue that it was told of, and when.
    told: Option<(u64, Instant)>,
    failures: u32,
    not_before: Option<Instant>,
}

/// The indexes of the configuration.
#[derive(Debug)]
pub struct Pinger {
    indexes: Vec<Index>,
    client_url: String,
    http: Client,
}

impl Pinger {
    /// Pings for a configuration; `None` when it names no index.
    ///
    /// # Errors
    /// [`Error::Internal`] when there can be no HTTP client.
    pub fn new(config: &Config) -> Result<Option<Self>> {
        let urls = &config.catalogue.fdp_indexes;
        if urls.is_empty() {
            return Ok(None);
        }
        let http = Client::builder()
            .user_agent(concat!("vesalius/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(Duration::from_secs(15))
            .build()
            .map_err(|failure| Error::Internal(format!("no HTTP client: {failure}")))?;
        let index =
            |url: &String| Index { url: url.clone(), told: None, failures: 0, not_before: None };
        Ok(Some(Self {
            indexes: urls.iter().map(index).collect(),
            client_url: format!("{}/fdp", config.server.base()),
            http,
        }))
    }

    /// Pings whom it is time to ping; `event` is the newest of the catalogue. Blocks while an
    /// index answers. Returns how many took it.
    pub fn ping(&mut self, event: u64, now: Instant) -> usize {
        let mut taken = 0;
        for index in self.indexes.iter_mut().filter(|index| index.is_due(event, now)) {
            let body = serde_json::json!({ "clientUrl": self.client_url });
            let (status, wait) = match self.http.post(&index.url).json(&body).send() {
                Ok(answer) => {
                    let wait = answer.headers().get(RETRY_AFTER);
                    let wait = wait.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                    (Some(answer.status().as_u16()), wait.map(Duration::from_secs))
                }
                Err(_) => (None, None),
            };
            let is_taken = index.note(status, wait, event, now);
            taken += usize::from(is_taken);
            let url = &index.url;
            if is_taken {
                tracing::info!(url, "the index was told of this FAIR Data Point");
            } else {
                tracing::warn!(
                    url,
                    ?status,
                    failures = index.failures,
                    "the index did not take it"
                );
            }
        }
        taken
    }
}

impl Index {
    fn is_due(&self, event: u64, now: Instant) -> bool {
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return false;
        }
        self.told.is_none_or(|(told, when)| {
            let since = now.saturating_duration_since(when);
            (told != event && since >= GAP) || since >= WEEK
        })
    }

    /// Notes what came of a ping (no status: no answer); whether the index took it.
    fn note(
        &mut self,
        status: Option<u16>,
        wait: Option<Duration>,
        event: u64,
        now: Instant,
    ) -> bool {
        if status.is_some_and(|status| (200..300).contains(&status)) {
            self.told = Some((event, now));
            (self.failures, self.not_before) = (0, None);
            return true;
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << self.failures.min(16));
        let is_passing = status.is_none_or(|status| status == 429 || status >= 500);
        // Any other refusal will not mend itself: once in a while is enough to see that it did.
        let own = if is_passing { doubled } else { LONGEST_WAIT };
        let wait = wait.unwrap_or(own).max(own).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.checked_add(wait);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{GAP, Index, LONGEST_WAIT, WEEK};

    fn index() -> Index {
        Index { url: String::new(), told: None, failures: 0, not_before: None }
    }

    #[test]
    fn an_index_is_told_at_the_start_of_changes_and_every_week() {
        let (mut index, start) = (index(), Instant::now());
        assert!(index.is_due(0, start), "at the start, also of an empty catalogue");
        assert!(index.note(Some(204), None, 3, start));
        assert!(!index.is_due(3, start + GAP));
        assert!(!index.is_due(4, start + GAP / 2), "not of each of many");
        assert!(index.is_due(4, start + GAP));
        assert!(index.is_due(3, start + WEEK));
    }

    #[test]
    fn an_index_that_is_busy_is_left_alone_for_longer_and_longer() {
        let (mut index, start) = (index(), Instant::now());
        let mut waits = Vec::new();
        for status in [Some(429), Some(500), None, Some(503)] {
            assert!(!index.note(status, None, 1, start));
            waits.push(index.not_before.unwrap() - start);
        }
        assert_eq!(waits, [30, 60, 120, 240].map(Duration::from_secs));
        assert!(!index.is_due(2, start + Duration::from_secs(239)));
        assert!(index.is_due(2, start + Duration::from_secs(240)));
        index.note(Some(429), Some(Duration::from_secs(3_600)), 1, start);
        assert_eq!(index.not_before.unwrap() - start, Duration::from_secs(3_600));
        index.note(Some(429), Some(Duration::from_secs(1 << 40)), 1, start);
        assert_eq!(index.not_before.unwrap() - start, LONGEST_WAIT);
        for _ in 0..100 {
            index.note(None, None, 1, start);
        }
        assert_eq!(index.not_before.unwrap() - start, LONGEST_WAIT);
        assert!(index.note(Some(200), None, 1, start));
        assert_eq!((index.failures, index.not_before), (0, None));
        index.note(Some(400), None, 1, start);
        assert_eq!(index.not_before.unwrap() - start, LONGEST_WAIT);
    }
}
