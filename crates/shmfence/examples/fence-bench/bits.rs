//! One kernel as two: each side of a shared fence sleeps and wakes by bits of its own.

use std::borrow::Borrow;
use std::num::NonZeroU32;
use std::time::Duration;

use shmfence::word::{ALL, SLEEPING, TRIGGERED};
use shmfence::{Error, Fence, Word};

/// Of the side that triggers; the watcher's is among them.
pub(crate) const TRIGGER_BITS: u32 = 0x0000_ffff;
/// Of the side that waits.
pub(crate) const WAITER_BITS: u32 = 0xffff_0000;

pub(crate) struct InKernel<F> {
    pub(crate) fence: F,
    pub(crate) bits: u32,
}

impl<F> InKernel<F> {
    fn own(&self, mask: NonZeroU32) -> NonZeroU32 {
        NonZeroU32::new(mask.get() & self.bits).unwrap_or(mask)
    }
}

impl<F: Borrow<Fence>> Word for InKernel<F> {
    fn is(&self, value: u32) -> Result<bool, Error> {
        self.fence.borrow().is(value)
    }

    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, Error> {
        self.fence.borrow().compare_exchange(current, new)
    }

    fn force(&self) -> Result<(), Error> {
        if self.compare_exchange(SLEEPING, TRIGGERED)? == SLEEPING {
            self.wake(ALL)?;
        }
        Ok(())
    }

    fn sleep(&self, expected: u32, mask: NonZeroU32, timeout: Option<Duration>) -> Result<(), Error> {
        self.fence.borrow().sleep(expected, self.own(mask), timeout)
    }

    fn wake(&self, mask: NonZeroU32) -> Result<(), Error> {
        self.fence.borrow().wake(self.own(mask))
    }
}
