//! Where the watcher's thread leaves what the owner of some [`crate::Links`] has to send.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::links::{Event, Message};

/// Events with their fences' ids, in order. The owner's packets look at one flag, and take no lock while it is down.
pub struct Outbox {
    events: Mutex<Vec<(u32, Event)>>,
    waits: AtomicBool,
    notify: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox {{ waits: {:?} }}", self.waits)
    }
}

impl Outbox {
    /// An empty one. `notify` is called on the watcher's thread when something begins to wait, and must be brief.
    pub fn new(notify: impl Fn() + Send + Sync + 'static) -> Self {
        Self { events: Mutex::default(), waits: AtomicBool::new(false), notify: Box::new(notify) }
    }

    /// Puts an event in. A signal of a fence whose last one still waits is the same: it will be sent later than both
    /// wakes. So what waits is bounded by the number of fences, however slow its taker and however busy a client.
    pub fn put(&self, id: u32, event: Event) {
        let mut events = self.lock();
        if event == Event::Send(Message::Signal) && events.contains(&(id, event)) {
            return;
        }
        events.push((id, event));
        // Under the lock, so that whoever finds the flag down afterwards finds no event either.
        let waited = self.waits.swap(true, Ordering::Release);
        drop(events);
        if !waited {
            (self.notify)();
        }
    }

    /// Takes all that wait, oldest first; takes no lock where nothing does.
    pub fn take(&self) -> Vec<(u32, Event)> {
        // Acquire: the events that were put in before the flag went up are seen under the lock anyway; what matters is that
        // a notification that was heard leads to them.
        if !self.waits.load(Ordering::Acquire) {
            return vec![];
        }
        let mut events = self.lock();
        self.waits.store(false, Ordering::Release);
        std::mem::take(&mut events)
    }

    /// Whether something waits.
    pub fn is_empty(&self) -> bool {
        !self.waits.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u32, Event)>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Message;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn who_puts_the_first_event_in_notifies_and_all_are_taken_in_order() {
        let notified = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&notified);
        let outbox = Outbox::new(move || _ = counter.fetch_add(1, Ordering::Relaxed));
        for round in 1..=3 {
            assert!(outbox.is_empty() && outbox.take().is_empty());
            (0..5).for_each(|id| outbox.put(id, Event::Send(Message::Signal)));
            assert_eq!(notified.load(Ordering::Relaxed), round);
            let ids: Vec<_> = outbox.take().iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [0, 1, 2, 3, 4]);
        }
    }
}
