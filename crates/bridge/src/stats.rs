//! Counters: each client's own, read by others while it runs, and the sums.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use session::Counters;

use crate::channel::FenceTotals;
use crate::vitals::RoundTrips;

/// What went through, of one client or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes that went to the host, without the set-up.
    pub bytes_to_host: u64,
    /// Bytes that went to the client.
    pub bytes_to_client: u64,
    /// The session's counters.
    pub session: Counters,
    /// What became of fences.
    pub fences: FenceTotals,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.bytes_to_host += other.bytes_to_host;
        self.bytes_to_client += other.bytes_to_client;
        let (sum, more) = (&mut self.session, &other.session);
        sum.requests += more.requests;
        sum.replies += more.replies;
        sum.events += more.events;
        sum.errors += more.errors;
        sum.denied += more.denied;
        sum.descriptors_to_host += more.descriptors_to_host;
        sum.descriptors_to_client += more.descriptors_to_client;
        sum.descriptors_dropped += more.descriptors_dropped;
        let (sum, more) = (&mut self.fences, &other.fences);
        sum.shared += more.shared;
        sum.relayed += more.relayed;
        sum.crowded_out += more.crowded_out;
        sum.stale += more.stale;
        sum.given_up += more.given_up;
    }
}

/// A bridge's numbers at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Clients that are connected.
    pub clients: u64,
    /// Clients that ever were.
    pub clients_total: u64,
    /// Clients that were turned away.
    pub clients_refused: u64,
    /// Clients that were lost to a fault of the bridge.
    pub panics: u64,
    /// What went through, of clients that have gone and of those that are connected as far as they have told: a
    /// client's thread tells when it comes to rest.
    pub totals: Totals,
    /// Measured round trips of all these clients.
    pub round_trips: RoundTrips,
}

/// The bridge's counters.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) clients_total: AtomicU64,
    pub(crate) clients_refused: AtomicU64,
    pub(crate) panics: AtomicU64,
    /// Whether somebody was told that fences had to be relayed for want of shared memory.
    crowd_told: AtomicBool,
    sums: Mutex<Totals>,
}

impl Meter {
    /// Replaces what a client had told before by what it tells now.
    pub(crate) fn tell(&self, before: &mut Totals, now: Totals) {
        if *before == now {
            return;
        }
        let mut sums = self.sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sums.add(&difference(&now, before));
        *before = now;
    }

    /// Whether fences had to be relayed for want of shared memory, and nobody was told yet.
    pub(crate) fn is_newly_crowded(&self, now: &Totals) -> bool {
        // Relaxed: nothing else follows from it.
        now.fences.crowded_out > 0 && !self.crowd_told.swap(true, Relaxed)
    }

    pub(crate) fn stats(&self, clients: u64, round_trips: RoundTrips) -> Stats {
        Stats {
            clients,
            clients_total: self.clients_total.load(Relaxed),
            clients_refused: self.clients_refused.load(Relaxed),
            panics: self.panics.load(Relaxed),
            totals: *self.sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            round_trips,
        }
    }
}

fn difference(now: &Totals, before: &Totals) -> Totals {
    let (n, b) = (&now.session, &before.session);
    Totals {
        bytes_to_host: now.bytes_to_host - before.bytes_to_host,
        bytes_to_client: now.bytes_to_client - before.bytes_to_client,
        session: Counters {
            requests: n.requests - b.requests,
            replies: n.replies - b.replies,
            events: n.events - b.events,
            errors: n.errors - b.errors,
            denied: n.denied - b.denied,
            descriptors_to_host: n.descriptors_to_host - b.descriptors_to_host,
            descriptors_to_client: n.descriptors_to_client - b.descriptors_to_client,
            descriptors_dropped: n.descriptors_dropped - b.descriptors_dropped,
        },
        fences: FenceTotals {
            shared: now.fences.shared - before.fences.shared,
            relayed: now.fences.relayed - before.fences.relayed,
            crowded_out: now.fences.crowded_out - before.fences.crowded_out,
            stale: now.fences.stale - before.fences.stale,
            given_up: now.fences.given_up - before.fences.given_up,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_tell_in_steps_sums_up_once() {
        let meter = Meter::default();
        let (mut one, mut other) = (Totals::default(), Totals::default());
        for bytes in [10, 10, 25] {
            meter.tell(&mut one, Totals { bytes_to_host: bytes, ..Totals::default() });
        }
        meter.tell(&mut other, Totals { bytes_to_host: 5, ..Totals::default() });
        assert_eq!(meter.stats(2, RoundTrips::default()).totals.bytes_to_host, 30);
    }

    #[test]
    fn a_crowd_is_told_of_once() {
        let meter = Meter::default();
        let crowded = |crowded_out| {
            let fences = FenceTotals { crowded_out, relayed: 7, ..FenceTotals::default() };
            meter.is_newly_crowded(&Totals { fences, ..Totals::default() })
        };
        assert_eq!([0, 1, 1, 2].map(crowded), [false, true, false, false]);
    }
}
