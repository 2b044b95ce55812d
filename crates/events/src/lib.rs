//! The queue between threads and their owner: things that happen, and log lines. Never anything per packet.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Events that wait for the owner at most. Beyond it the oldest log line goes, and when none is left the oldest event.
pub const QUEUE_MAX: usize = 4096;

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

impl Level {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// What a queue holds.
pub trait Event {
    /// A log line: how much it matters, and one sentence.
    fn log(level: Level, message: String) -> Self;

    /// Whether it is a log line.
    fn is_log(&self) -> bool;
}

/// The queue.
pub struct Events<E> {
    queue: Mutex<Queue<E>>,
    notify: Box<dyn Fn() + Send + Sync>,
}

struct Queue<E> {
    events: VecDeque<E>,
    dropped: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { events: VecDeque::new(), dropped: 0 }
    }
}

impl<E> std::fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl<E: Event> Events<E> {
    /// `notify` is called when the queue becomes non-empty, on the thread that made it so.
    pub fn new(notify: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { queue: Mutex::default(), notify }
    }

    /// Adds an event.
    pub fn push(&self, event: E) {
        let mut queue = self.lock();
        let was_empty = queue.events.is_empty();
        if queue.events.len() >= QUEUE_MAX {
            let log = queue.events.iter().position(E::is_log);
            queue.events.remove(log.unwrap_or(0));
            queue.dropped += 1;
        }
        queue.events.push_back(event);
        drop(queue);
        if was_empty {
            (self.notify)();
        }
    }

    /// Adds a log line.
    pub fn log(&self, level: Level, message: impl Into<String>) {
        self.push(E::log(level, message.into()));
    }

    /// Takes all that wait, oldest first.
    pub fn take(&self) -> Vec<E> {
        let Queue { events, dropped } = std::mem::take(&mut *self.lock());
        let mut events = Vec::from(events);
        if dropped > 0 {
            let message = format!("{dropped} events were dropped because nobody took them");
            events.push(E::log(Level::Warn, message));
        }
        events
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue<E>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[derive(Debug, PartialEq, Eq)]
    enum Happening {
        Closed(u64),
        Log(Level, String),
    }
    use Happening::{Closed, Log};

    impl Event for Happening {
        fn log(level: Level, message: String) -> Self {
            Log(level, message)
        }

        fn is_log(&self) -> bool {
            matches!(self, Log(..))
        }
    }

    #[test]
    fn the_owner_is_notified_once_for_a_batch() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let events = Events::new(Box::new(move || {
            counted.fetch_add(1, Relaxed);
        }));
        events.push(Closed(1));
        events.push(Closed(2));
        assert_eq!((events.take(), calls.load(Relaxed)), (vec![Closed(1), Closed(2)], 1));
        events.push(Closed(3));
        assert_eq!(calls.load(Relaxed), 2);
    }

    #[test]
    fn a_full_queue_loses_log_lines_first_and_says_how_many() {
        let events = Events::new(Box::new(|| {}));
        events.push(Closed(0));
        events.log(Level::Debug, "not important");
        (0..QUEUE_MAX as u64 - 1).for_each(|client| events.push(Closed(client)));
        let taken = events.take();
        assert_eq!((taken.len(), &taken[0]), (QUEUE_MAX + 1, &Closed(0)));
        assert!(matches!(taken.last(), Some(Log(Level::Warn, message)) if message.starts_with('1')));
    }
}
