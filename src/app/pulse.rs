//! Whether the views still follow the change feed: the follower writes it, `/readyz` reads it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Behind the feed for longer than this, the server says that it is not ready.
const STALE: Duration = Duration::from_secs(60);

/// When the views last held everything, and whether anybody still looks.
pub(super) struct Pulse {
    caught_up: Mutex<Instant>,
    has_ended: AtomicBool,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { caught_up: Mutex::new(now), has_ended: AtomicBool::new(false) }
    }

    pub(super) fn beat(&self, now: Instant) {
        *self.caught_up.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// How long ago the views last held everything that the store did.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let caught_up = *self.caught_up.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(caught_up)
    }

    /// Why the answers may be old.
    pub(super) fn fault(&self, now: Instant) -> Option<&'static str> {
        if self.has_ended.load(Ordering::Relaxed) {
            Some("the change feed is no longer followed; restart the server")
        } else if self.age(now) > STALE {
            Some("the views are behind the store; the log tells why")
        } else {
            None
        }
    }
}

/// Says that the follower ended, by whatever way it did.
pub(super) struct Ending(pub(super) Arc<Pulse>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Ending, Pulse, STALE};

    #[test]
    fn a_server_that_no_longer_follows_is_not_ready() {
        let start = Instant::now();
        let pulse = Arc::new(Pulse::new(start));
        let late = start + STALE + Duration::from_secs(1);
        assert!(pulse.fault(start + STALE).is_none());
        assert!(pulse.fault(late).unwrap().contains("behind"));
        pulse.beat(late);
        assert!(pulse.fault(late).is_none());
        let ending = Ending(Arc::clone(&pulse));
        let follower = std::thread::spawn(move || {
            let _ending = ending;
            panic!("the follower dies");
        });
        assert!(follower.join().is_err());
        assert!(pulse.fault(late).unwrap().contains("no longer followed"));
    }
}
