//! Checks of the truth itself: rows that contradict each other.
