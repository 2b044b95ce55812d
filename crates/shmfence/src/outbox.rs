//! Where the watcher's thread leaves what the owner of some [`crate::Links`] has to send.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::links::Event;

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

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().len()
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
    /// An event of a fence whose last one still waits takes its place: it will be sent later than both wakes. So what waits is
    /// bounded by the number of fences, however slow its taker and however busy a client.
    fn put_with(&self, id: u32, make: &mut dyn FnMut() -> Option<Event>) {
        let mut events = self.lock();
        // First, and under the lock: whoever sees what `make` does finds the flag up, and then waits for the event.
        let waited = self.waits.swap(true, Ordering::AcqRel);
        if let Some(event) = make() {
            match events.iter_mut().find(|(of, waiting)| *of == id && waiting.is_superseded_by(event)) {
                Some((_, waiting)) => *waiting = event,
                None => events.push((id, event)),
            }
        }
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
    use crate::error::Error;
    use crate::links::Message;
    use crate::relay;
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
                        Some(Event::Send(Message::Relay(relay::Message::Trigger { epoch: round })))
                    };
                    outbox.put_with(0, &mut make);
                }
            });
            let (mut seen, mut taken) = (0, 0);
            while taken < 10_000 {
                seen = state.load(Ordering::Acquire).max(seen);
                for (_, event) in outbox.take() {
                    let Event::Send(Message::Relay(relay::Message::Trigger { epoch })) = event else {
                        continue;
                    };
                    taken = epoch;
                }
                assert!(taken >= seen, "{seen} have happened, {taken} were found");
            }
        });
    }

    #[test]
    fn what_nobody_takes_is_bounded_by_the_number_of_fences() {
        let outbox = Outbox::new(|| ());
        let trigger = |epoch| Event::Send(Message::Relay(relay::Message::Trigger { epoch }));
        for round in 1..=1_000 {
            for id in 0..3 {
                for event in [Event::Send(Message::Signal), trigger(round), Event::Broken(Error::NotSealed)] {
                    outbox.put_with(id, &mut || Some(event));
                }
            }
        }
        let events = outbox.take();
        assert_eq!(events.len(), 9);
        assert!(
            (0..3).all(|id| events.contains(&(id, trigger(1_000)))),
            "the last one stands for all: {events:?}"
        );
    }

    #[test]
    fn who_finds_nothing_puts_nothing_in_and_notifies_nobody() {
        let outbox = Outbox::new(|| panic!("nobody is to be told"));
        outbox.put_with(0, &mut || None);
        assert!(outbox.is_empty() && outbox.take().is_empty());
    }
}
