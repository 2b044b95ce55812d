//! A thread for a fence.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Watched, spawn};
use crate::error::Error;
use crate::fence::Fence;
use crate::word::{TRIGGERED, WATCHER_BIT, Word};

/// How long a thread sleeps on a triggered fence: a reset and the next trigger may have come before it fell asleep.
const TRIGGERED_SLEEP_MAX: Duration = Duration::from_millis(100);
/// How long a thread sleeps on a word whose file can be truncated: nobody could wake it then.
const UNSEALED_SLEEP_MAX: Duration = Duration::from_secs(1);
/// Between two tries to wake a thread that is to stop, and may not have been asleep yet.
const STOP_INTERVAL: Duration = Duration::from_millis(1);

/// The thread, which is told to end by dropping this.
#[derive(Debug)]
pub(super) struct Thread {
    fence: Arc<Fence>,
    stop: Arc<AtomicBool>,
    handle: JoinHandle<()>,
}

impl Thread {
    pub(super) fn start(watched: Watched) -> Result<Self, Error> {
        let (fence, stop) = (Arc::clone(&watched.fence), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&stop);
        let handle = spawn(move || {
            // Acquire: pairs with the release of who stops it. There is nothing to see but the word itself.
            while !told.load(Ordering::Acquire) {
                let Some(value) = watched.look().filter(|value| watched.tell(*value)) else { return };
                let limit = (!watched.fence.is_sealed()).then_some(UNSEALED_SLEEP_MAX);
                let limit = if value == TRIGGERED { Some(TRIGGERED_SLEEP_MAX) } else { limit };
                if let Err(error) = watched.fence.sleep(value, WATCHER_BIT, limit) {
                    watched.end(error);
                    return;
                }
            }
        })?;
        Ok(Self { fence, stop, handle })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if self.handle.thread().id() == std::thread::current().id() {
            return; // It drops its own watch while it reports; it stops next.
        }
        // The word itself must not be touched, and a wake that comes before the sleep is none: so it is repeated. Other
        // sleepers that it wakes look at the word and sleep on. Where the wake fails, the sleep has a limit.
        while !self.handle.is_finished() && self.fence.wake(WATCHER_BIT).is_ok() {
            std::thread::sleep(STOP_INTERVAL);
        }
    }
}
