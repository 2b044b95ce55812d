//! Where the watcher's thread leaves what the owner of some [`crate::Links`] has to send.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::links::{Event, Message};

/// What takes a channel's events, with their fences' ids: on the watcher's thread, so it must be brief. A plain function does.
pub trait Outlet: Send + Sync {
    /// Takes the event that `make` finds, if it finds one.
    fn put_with(&self, id: u32, make: &mut dyn FnMut() -> Option<Event>);
}

impl<F: Fn(u32, Event) + Send + Sync> Outlet for F {
    fn put_with(&self, id: u32, make: &mut dyn FnMut() -> Option<Event>) {
        if let Some(event) = make() {
            self(id, event);
        }
    }
}

/// Events with their fences' ids, in order. The owner's packets look at one flag, and take no lock while it is down.
///
/// To find an event and to put it in are one step to the owner: whoever looks at a fence and finds that its watcher has been there
/// ([`crate::Links::look`]) finds what that had to say by [`Outbox::take`] afterwards. Between the two a packet would overtake it.
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

    /// Takes all that wait, oldest first; takes no lock where nothing does.
    pub fn take(&self) -> Vec<(u32, Event)> {
        // Acquire: the events are seen under the lock anyway; what matters is that a notification that was heard, or a fence
        // where the watcher has been, leads to them.
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

impl Outlet for Outbox {
    /// A signal of a fence whose last one still waits is the same: it will be sent later than both wakes. So what waits is bounded
    /// by the number of fences, however slow its taker and however busy a client.
    fn put_with(&self, id: u32, make: &mut dyn FnMut() -> Option<Event>) {
        let mut events = self.lock();
        // First, and under the lock: whoever sees what `make` does finds the flag up, and then waits for the event.
        let waited = self.waits.swap(true, Ordering::AcqRel);
        let event =
            make().filter(|event| *event != Event::Send(Message::Signal) || !events.contains(&(id, *event)));
        events.extend(event.map(|event| (id, event)));
        let waits = !events.is_empty();
        self.waits.store(waits, Ordering::Release);
        drop(events);
        if waits && !waited {
            (self.notify)();
        }
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
            (0..5).for_each(|id| outbox.put_with(id, &mut || Some(Event::Send(Message::Signal))));
            assert_eq!(notified.load(Ordering::Relaxed), round);
            let ids: Vec<_> = outbox.take().iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn what_a_look_shows_to_have_happened_is_found_afterwards() {
        let outbox = Outbox::new(|| ());
        let state = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=10_000 {
                    let mut make = || {
                        state.store(round, Ordering::Release);
                        std::thread::yield_now();
                        Some(Event::Send(Message::Relay(crate::relay::Message::Trigger { epoch: round })))
                    };
                    outbox.put_with(0, &mut make);
                }
            });
            let (mut seen, mut taken) = (0, 0);
            while taken < 10_000 {
                seen = state.load(Ordering::Acquire).max(seen);
                taken += u32::try_from(outbox.take().len()).unwrap();
                assert!(taken >= seen, "{seen} have happened, {taken} were found");
            }
        });
    }

    #[test]
    fn who_finds_nothing_puts_nothing_in_and_notifies_nobody() {
        let outbox = Outbox::new(|| panic!("nobody is to be told"));
        outbox.put_with(0, &mut || None);
        assert!(outbox.is_empty() && outbox.take().is_empty());
    }
}
