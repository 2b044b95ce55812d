//! Whether to look again before sleeping.
//!
//! A wake-up by the kernel costs more than all the bridge does with a packet, so while a conversation is brisk its
//! thread looks again for some microseconds instead of sleeping. The time adapts: it is spent where the last sleeps
//! were short, halves each time that it was spent in vain, and costs nothing while nobody speaks. Never more threads
//! look at once than there are CPUs to spare, and on one CPU none does.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Longest time that a thread looks again by default.
pub const SPIN_DEFAULT: Duration = Duration::from_micros(150);
/// Longest time that may be asked for.
pub const SPIN_MAX: Duration = Duration::from_millis(1);

/// Threads that are looking again right now, of all bridges of the process.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// One thread's decision.
#[derive(Debug)]
pub(crate) struct Spinner {
    limit: Duration,
    budget: Duration,
    until: Option<Instant>,
    threads_max: usize,
}

impl Spinner {
    /// Looks again for at most `limit`; zero for never.
    pub(crate) fn new(limit: Duration) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { limit, budget: limit, until: None, threads_max: cpus - 1 }
    }

    /// Nothing was ready: whether to look again (`true`) or to sleep.
    pub(crate) fn look_again(&mut self) -> bool {
        if let Some(until) = self.until {
            if Instant::now() < until {
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
        self.until = Some(Instant::now() + self.budget);
        true
    }

    /// Something was ready.
    pub(crate) fn found(&mut self) {
        if self.until.is_some() {
            self.stop();
            self.budget = self.limit;
        }
    }

    /// Sleeps by `sleep`, and learns from how long it took.
    pub(crate) fn sleep<T>(&mut self, sleep: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = sleep();
        if start.elapsed() < self.limit * 2 {
            self.budget = self.limit;
        }
        result
    }

    fn stop(&mut self) {
        self.until = None;
        LOOKING.fetch_sub(1, Relaxed);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if self.until.is_some() {
            self.stop();
        }
    }
}
