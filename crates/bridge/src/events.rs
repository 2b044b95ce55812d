//! What the owner of a bridge is told: clients that come and go, and log lines. Never anything per packet.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::stats::Totals;

/// Events that wait for the owner at most. Beyond it the oldest log line goes, and when none is left the oldest event.
const QUEUE_MAX: usize = 4096;

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something is lost.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What the user may want to know.
    Info,
    /// What a developer may want to know.
    Debug,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client has connected to the host's display.
    ClientConnected {
        /// Its number: 1, 2, 3 …
        client: u64,
        /// Process at the other end of its socket, where the system says so.
        pid: Option<i32>,
        /// That process's name.
        program: Option<String>,
    },
    /// A client that had connected is gone.
    ClientClosed {
        /// Its number.
        client: u64,
        /// One sentence.
        reason: String,
        /// What went through.
        totals: Totals,
    },
    /// A log line.
    Log {
        /// How much it matters.
        level: Level,
        /// One sentence.
        message: String,
    },
}

/// The queue between the bridge's threads and its owner.
pub(crate) struct Events {
    queue: Mutex<Queue>,
    notify: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    dropped: u64,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// `notify` is called when the queue becomes non-empty, on the thread that made it so.
    pub(crate) fn new(notify: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { queue: Mutex::default(), notify }
    }

    pub(crate) fn push(&self, event: Event) {
        let mut queue = self.lock();
        let was_empty = queue.events.is_empty();
        if queue.events.len() >= QUEUE_MAX {
            let log = queue.events.iter().position(|event| matches!(event, Event::Log { .. }));
            queue.events.remove(log.unwrap_or(0));
            queue.dropped += 1;
        }
        queue.events.push_back(event);
        drop(queue);
        if was_empty {
            (self.notify)();
        }
    }

    pub(crate) fn log(&self, level: Level, message: impl Into<String>) {
        self.push(Event::Log { level, message: message.into() });
    }

    /// Takes all that wait, oldest first.
    pub(crate) fn take(&self) -> Vec<Event> {
        let Queue { events, dropped } = std::mem::take(&mut *self.lock());
        let mut events = Vec::from(events);
        if dropped > 0 {
            let message = format!("{dropped} events were dropped because nobody took them");
            events.push(Event::Log { level: Level::Warn, message });
        }
        events
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    fn closed(client: u64) -> Event {
        Event::ClientClosed { client, reason: "it left".into(), totals: Totals::default() }
    }

    #[test]
    fn the_owner_is_notified_once_for_a_batch() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let events = Events::new(Box::new(move || {
            counted.fetch_add(1, Relaxed);
        }));
        events.push(closed(1));
        events.push(closed(2));
        assert_eq!((events.take(), calls.load(Relaxed)), (vec![closed(1), closed(2)], 1));
        events.push(closed(3));
        assert_eq!(calls.load(Relaxed), 2);
    }

    #[test]
    fn a_full_queue_loses_log_lines_first_and_says_how_many() {
        let events = Events::new(Box::new(|| {}));
        events.push(closed(0));
        events.log(Level::Debug, "not important");
        (0..QUEUE_MAX as u64 - 1).for_each(|client| events.push(closed(client)));
        let taken = events.take();
        assert_eq!((taken.len(), &taken[0]), (QUEUE_MAX + 1, &closed(0)));
        assert!(
            matches!(taken.last(), Some(Event::Log { level: Level::Warn, message }) if message.starts_with('1'))
        );
    }
}
