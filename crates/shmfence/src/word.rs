//! The fence word and what may be done to it: the algorithms of libxshmfence, over any memory.
//!
//! The word is [`RESET`], [`TRIGGERED`] or [`SLEEPING`]. *Nothing else is ever stored*, and nothing but by the
//! transitions here:
//!
//! | operation | transition | then |
//! |---|---|---|
//! | trigger | 0 → 1 | – |
//! | | -1 → 1 | wake all who sleep on the word |
//! | wait | 0 → -1 | sleep while it is -1, look again |
//! | reset | 1 → 0 | – |
//!
//! # No wake is lost between two processes of one kernel
//!
//! A sleeper sleeps only if the word is -1 at the moment when the kernel puts it to sleep: the kernel compares under
//! the lock that a wake takes as well. From -1 the word goes to 1 only, and whoever makes that step wakes all
//! afterwards. So a sleeper either is asleep before the wake, which ends its sleep, or compares after the step, and
//! does not sleep.
//!
//! # Orderings
//!
//! Trigger *releases*, and a wait that sees 1 *acquires*: what was written before the trigger, such as pixels, is seen
//! after the wait. The exchange of a waiter (0 → -1) releases nothing that anybody reads, and its order against the
//! sleep is the program's own, one thread. The order of the step to 1 against the wake is kept by the full barrier in
//! the kernel's wake. No operation here reads one word to decide about another without the kernel between, so no
//! sequentially consistent order is needed.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::error::Error;

/// Not triggered, and nobody sleeps.
pub const RESET: u32 = 0;
/// Triggered.
pub const TRIGGERED: u32 = 1;
/// Not triggered, and somebody may sleep: -1.
pub const SLEEPING: u32 = u32::MAX;

/// The bit by which watchers sleep. A wake that was carried here from another kernel leaves it out.
pub const WATCHER_BIT: NonZeroU32 = NonZeroU32::MIN;
/// All who sleep but watchers.
pub const ALL_BUT_WATCHERS: NonZeroU32 = match NonZeroU32::new(!WATCHER_BIT.get()) {
    Some(mask) => mask,
    None => unreachable!(),
};
/// All who sleep.
pub const ALL: NonZeroU32 = NonZeroU32::MAX;

/// Looks at a word that changes under one's eyes, before it counts as scribbled on.
const LOOKS_MAX: usize = 64;

/// A word that processes share, and its kernel's sleepers.
///
/// [`crate::Fence`] is the one in memory; the tests have one that lives in a model checker.
pub trait Word {
    /// Whether the word is `value`, acquiring.
    fn is(&self, value: u32) -> Result<bool, Error>;

    /// Stores `new` if the word is `current`, acquiring and releasing; returns what it was. [`Error::NotSealed`] where
    /// that is not to be had.
    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, Error>;

    /// Makes the word [`TRIGGERED`] whatever it is, releasing, and wakes all if it was [`SLEEPING`].
    fn force(&self) -> Result<(), Error>;

    /// Sleeps by the bits of `mask` if the word is `expected`. Returns early without a reason now and then, so look
    /// again. `timeout` of `None`: no limit.
    fn sleep(&self, expected: u32, mask: NonZeroU32, timeout: Option<Duration>) -> Result<(), Error>;

    /// Wakes all who sleep by a bit of `mask`.
    fn wake(&self, mask: NonZeroU32) -> Result<(), Error>;

    /// What the word is. [`Error::Scribbled`] when it is none of the three.
    fn value(&self) -> Result<u32, Error> {
        for _ in 0..LOOKS_MAX {
            for value in [TRIGGERED, SLEEPING, RESET] {
                if self.is(value)? {
                    return Ok(value);
                }
            }
        }
        Err(Error::Scribbled)
    }

    /// Triggers the fence: all who wait go on, and all who come until it is reset don't wait.
    fn trigger(&self) -> Result<(), Error> {
        match self.compare_exchange(RESET, TRIGGERED) {
            // Nobody slept, or it was triggered already.
            Ok(RESET | TRIGGERED) => Ok(()),
            Ok(_) | Err(Error::NotSealed) => self.force(),
            Err(error) => Err(error),
        }
    }

    /// The same, and those who sleep for themselves are woken before watchers, which have work for a processor that the others
    /// would have to wait for.
    fn trigger_watchers_last(&self) -> Result<(), Error> {
        match self.compare_exchange(SLEEPING, TRIGGERED) {
            Ok(SLEEPING) => self.wake(ALL_BUT_WATCHERS).and(self.wake(WATCHER_BIT)),
            Ok(TRIGGERED) => Ok(()),
            _ => self.trigger(),
        }
    }

    /// Resets the fence; returns whether it was triggered. One that somebody sleeps on is not triggered, and stays.
    fn reset(&self) -> Result<bool, Error> {
        self.compare_exchange(TRIGGERED, RESET).map(|was| was == TRIGGERED)
    }

    /// Says that somebody will sleep, so that a trigger wakes; returns whether the fence is triggered instead.
    fn expect_wake(&self) -> Result<bool, Error> {
        match self.compare_exchange(RESET, SLEEPING)? {
            RESET | SLEEPING => Ok(false),
            TRIGGERED => Ok(true),
            _ => Err(Error::Scribbled),
        }
    }

    /// Waits until the fence is triggered; `false` when `timeout` (`None`: no limit) is over before. Unlike libxshmfence's
    /// it is not ended by a signal.
    fn wait(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while !self.expect_wake()? {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            self.sleep(SLEEPING, ALL, left)?;
        }
        Ok(true)
    }
}

impl<W: Word> Word for std::sync::Arc<W> {
    fn is(&self, value: u32) -> Result<bool, Error> {
        W::is(self, value)
    }

    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, Error> {
        W::compare_exchange(self, current, new)
    }

    fn force(&self) -> Result<(), Error> {
        W::force(self)
    }

    fn sleep(&self, expected: u32, mask: NonZeroU32, timeout: Option<Duration>) -> Result<(), Error> {
        W::sleep(self, expected, mask, timeout)
    }

    fn wake(&self, mask: NonZeroU32) -> Result<(), Error> {
        W::wake(self, mask)
    }
}
