//! What a client's thread notes about its conversation, for those who look: round trips, and the request that waits longest.
//!
//! It costs two looks at the clock for each measured round trip, and at most one is measured at a time.

use std::time::{Duration, Instant};

use session::Awaiting;

/// Classes of a histogram: class `i` holds times below 2^i µs, the last one all above.
pub const CLASSES: usize = 26;

/// How long measured round trips took, from a request's way to the host to its reply's arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundTrips {
    /// How many fell into each class.
    pub counts: [u32; CLASSES],
    /// Their sum in microseconds.
    pub micros: u64,
}

impl RoundTrips {
    /// Adds those of another client.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.micros = self.micros.saturating_add(other.micros);
    }

    fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = (u64::BITS - micros.leading_zeros()) as usize;
        if let Some(count) = self.counts.get_mut(class.min(CLASSES - 1)) {
            *count = count.saturating_add(1);
        }
        self.micros = self.micros.saturating_add(micros);
    }
}

/// The request that has waited longest for its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestRequest {
    /// Its number since the set-up, from 1.
    pub sequence: u64,
    /// Its major opcode.
    pub major: u8,
    /// Since when it is known to wait: at the latest since its client came to rest.
    pub since: Instant,
}

/// The notes of one client.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    pub(crate) round_trips: RoundTrips,
    pub(crate) oldest: Option<OldestRequest>,
    measured: Option<(u64, Instant)>,
}

impl Vitals {
    /// Requests went on their way to the host.
    pub(crate) fn asked(&mut self, awaiting: Option<Awaiting>) {
        if self.measured.is_none()
            && let Some(awaiting) = awaiting
        {
            self.measured = Some((awaiting.newest, Instant::now()));
        }
    }

    /// Messages of the host have come.
    pub(crate) fn answered(&mut self, awaiting: Option<Awaiting>) {
        if let Some((sequence, since)) = self.measured
            && awaiting.is_none_or(|awaiting| awaiting.oldest > sequence)
        {
            self.round_trips.add(since.elapsed());
            self.measured = None;
        }
    }

    /// Notes which request waits longest. The clock is asked only when it is another one than before.
    pub(crate) fn note_oldest(&mut self, awaiting: Option<Awaiting>) {
        let Some(Awaiting { oldest: sequence, major, .. }) = awaiting else {
            self.oldest = None;
            return;
        };
        if self.oldest.is_none_or(|oldest| oldest.sequence != sequence) {
            self.oldest = Some(OldestRequest { sequence, major, since: Instant::now() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn awaiting(oldest: u64, newest: u64) -> Awaiting {
        Awaiting { oldest, major: 43, newest, count: 1 }
    }

    fn measured(vitals: &Vitals) -> u32 {
        vitals.round_trips.counts.iter().sum()
    }

    #[test]
    fn one_round_trip_is_measured_at_a_time_and_ends_with_its_own_answer() {
        let mut vitals = Vitals::default();
        vitals.answered(None);
        vitals.asked(Some(awaiting(1, 3)));
        vitals.asked(Some(awaiting(1, 9)));
        vitals.answered(Some(awaiting(3, 9)));
        assert_eq!(measured(&vitals), 0);
        vitals.answered(Some(awaiting(4, 9)));
        assert_eq!(measured(&vitals), 1);
        vitals.asked(None);
        vitals.answered(None);
        assert_eq!(measured(&vitals), 1);
    }

    #[test]
    fn times_fall_into_classes_of_powers_of_two() {
        let mut trips = RoundTrips::default();
        for (micros, class) in
            [(0, 0), (1, 1), (2, 2), (3, 2), (1023, 10), (1024, 11), (u64::MAX, CLASSES - 1)]
        {
            let before = trips.counts;
            trips.add(Duration::from_micros(micros));
            assert_eq!(trips.counts[class], before[class] + 1, "{micros}");
        }
    }

    #[test]
    fn the_oldest_request_keeps_its_time_until_another_is_the_oldest() {
        let mut vitals = Vitals::default();
        vitals.note_oldest(Some(awaiting(5, 5)));
        let first = vitals.oldest;
        vitals.note_oldest(Some(awaiting(5, 8)));
        assert_eq!(vitals.oldest, first);
        vitals.note_oldest(Some(awaiting(6, 8)));
        assert_eq!(vitals.oldest.map(|oldest| oldest.sequence), Some(6));
        vitals.note_oldest(None);
        assert_eq!(vitals.oldest, None);
    }
}
