//! Whether to look again before sleeping.
//!
//! A wake-up by the kernel costs more than all the bridge does with a packet, so while a conversation is brisk its
//! thread looks again for some microseconds instead of sleeping. The time adapts: it is spent where the last sleeps
//! were short, halves each time that it was spent in vain, and costs nothing while nobody speaks. Never more threads
//! look at once than there are CPUs to spare, and on one CPU none does.
//!
//! Whoever looks uses his share of the CPU up, and where others want it he has to wait for the next one, for milliseconds:
//! in a guest it is the host that takes it, and what the thread looks for then lies there when it comes back. Whoever
//! sleeps is woken at once. So what was found too late to have been found by looking ends the looking for some short
//! sleeps, and for more of them each time.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Longest time that a thread looks again by default.
pub const SPIN_DEFAULT: Duration = Duration::from_micros(150);
/// Longest time that may be asked for.
pub const SPIN_MAX: Duration = Duration::from_millis(1);

/// Short sleeps until a thread looks again that has found something too late: the first time, and at most.
const TRUST_MIN: u32 = 8;
const TRUST_MAX: u32 = 1024;

/// Threads that are looking again right now, of all bridges of the process.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// One thread's decision.
#[derive(Debug)]
pub(crate) struct Spinner {
    limit: Duration,
    budget: Duration,
    since: Option<Instant>,
    threads_max: usize,
    /// Short sleeps that have to come before it looks again.
    doubts: u32,
    /// So many when it finds something too late the next time.
    doubts_next: u32,
}

impl Spinner {
    /// Looks again for at most `limit`; zero for never.
    pub(crate) fn new(limit: Duration) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { limit, budget: limit, since: None, threads_max: cpus - 1, doubts: 0, doubts_next: TRUST_MIN }
    }

    /// Nothing was ready: whether to look again (`true`) or to sleep.
    pub(crate) fn look_again(&mut self) -> bool {
        if let Some(since) = self.since {
            if since.elapsed() < self.budget {
                // Whoever has work for this CPU goes first: the client or the X server, as likely as not.
                rustix::thread::sched_yield();
                return true;
            }
            self.stop();
            self.budget /= 2;
            return false;
        }
        if self.budget < Duration::from_micros(5) || LOOKING.fetch_add(1, Relaxed) >= self.threads_max {
            if self.budget >= Duration::from_micros(5) {
                LOOKING.fetch_sub(1, Relaxed);
            }
            return false;
        }
        self.since = Some(Instant::now());
        true
    }

    /// Something was ready.
    pub(crate) fn found(&mut self) {
        let Some(since) = self.since else { return };
        self.stop();
        if since.elapsed() <= self.limit * 2 {
            self.budget = self.limit;
            self.doubts_next = (self.doubts_next - 1).max(TRUST_MIN);
        } else {
            self.budget = Duration::ZERO;
            self.doubts = self.doubts_next;
            self.doubts_next = (self.doubts_next * 2).min(TRUST_MAX);
        }
    }

    /// Sleeps by `sleep`, and learns from how long it took.
    pub(crate) fn sleep<T>(&mut self, sleep: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = sleep();
        if start.elapsed() < self.limit * 2 {
            self.doubts = self.doubts.saturating_sub(1);
            if self.doubts == 0 {
                self.budget = self.limit;
            }
        }
        result
    }

    fn stop(&mut self) {
        self.since = None;
        LOOKING.fetch_sub(1, Relaxed);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if self.since.is_some() {
            self.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any step of a test takes, so that only what a test does decides.
    const LIMIT: Duration = Duration::from_secs(60);

    fn spinner(limit: Duration) -> Spinner {
        Spinner { threads_max: usize::MAX, ..Spinner::new(limit) }
    }

    #[test]
    fn what_is_found_in_time_is_looked_for_again() {
        let mut spinner = spinner(LIMIT);
        assert!(spinner.look_again());
        spinner.budget /= 2;
        spinner.found();
        assert_eq!(spinner.budget, LIMIT);
        assert!(spinner.look_again());
    }

    #[test]
    fn what_is_found_late_ends_the_looking_for_ever_more_short_sleeps() {
        let mut spinner = spinner(LIMIT);
        for doubts in [TRUST_MIN, 2 * TRUST_MIN, 4 * TRUST_MIN] {
            find_late(&mut spinner);
            for _ in 0..doubts {
                assert!(!spinner.look_again());
                spinner.sleep(|| ());
            }
            assert!(spinner.look_again());
        }
    }

    #[test]
    fn long_sleeps_win_no_trust_back() {
        let mut spinner = spinner(LIMIT);
        find_late(&mut spinner);
        spinner.limit = Duration::from_micros(10);
        (0..2 * TRUST_MIN).for_each(|_| spinner.sleep(|| std::thread::sleep(Duration::from_micros(50))));
        assert!(!spinner.look_again());
    }

    fn find_late(spinner: &mut Spinner) {
        assert!(spinner.look_again());
        spinner.limit = Duration::ZERO;
        spinner.found();
        spinner.limit = LIMIT;
    }

    #[test]
    fn time_spent_in_vain_halves() {
        let mut spinner = spinner(Duration::from_millis(1));
        assert!(spinner.look_again());
        std::thread::sleep(Duration::from_millis(2));
        assert!(!spinner.look_again());
        assert_eq!(spinner.budget, Duration::from_micros(500));
    }

    #[test]
    fn on_one_cpu_nobody_looks() {
        assert!(!Spinner { threads_max: 0, ..spinner(LIMIT) }.look_again());
    }
}
