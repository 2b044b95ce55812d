//! Up to 127 fences to a thread, by `futex_waitv`.
//!
//! The call tells of one word that was woken, and of none when one is another than expected; so after each sleep the
//! thread looks at all of its words. Reports of fences that are at rest, triggered, come again and again by that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::io::Errno;
use sys::FutexPage;
use sys::futex_ring::WAIT_V_MAX;

use super::{Command, Queue, Watched, join, spawn};
use crate::error::Error;

/// The threads, which are told to end by dropping this.
#[derive(Debug, Default)]
pub(super) struct Threads {
    threads: Mutex<Vec<Thread>>,
}

#[derive(Debug)]
struct Thread {
    queue: Arc<Queue>,
    handle: Option<JoinHandle<()>>,
}

impl Threads {
    /// Gives a fence to the first thread that has room.
    pub(super) fn add(&self, id: u64, watched: Watched) -> Result<Arc<Queue>, Error> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        // Every watch holds its thread's queue once, and the thread and its owner do.
        let roomy = threads.iter().find(|thread| Arc::strong_count(&thread.queue) < WAIT_V_MAX + 2);
        let queue = roomy.map(|thread| Arc::clone(&thread.queue)).map_or_else(
            || {
                let thread = Thread::start()?;
                let queue = Arc::clone(&thread.queue);
                threads.push(thread);
                Ok(queue)
            },
            Ok,
        )?;
        queue.push(Command::Add(id, watched));
        Ok(queue)
    }
}

impl Thread {
    fn start() -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let body = Body { queue: Arc::clone(&queue), watched: HashMap::new() };
        Ok(Self { queue, handle: Some(spawn(move || body.run())?) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.queue.push(Command::Stop);
        self.handle.take().into_iter().for_each(join);
    }
}

struct Body {
    queue: Arc<Queue>,
    watched: HashMap<u64, Watched>,
}

impl Body {
    fn run(mut self) {
        loop {
            // Read before the commands are taken, so none is left behind when it falls asleep.
            let rings = self.queue.doorbell.rings();
            for command in self.queue.take() {
                match command {
                    Command::Add(id, watched) => drop(self.watched.insert(id, watched)),
                    Command::Remove(id) => drop(self.watched.remove(&id)),
                    Command::Stop => return,
                }
            }
            match self.sleep(rings) {
                // A file that was truncated meanwhile shows itself when its word is looked at.
                Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::FAULT) => {}
                Err(errno) => return self.end(errno),
            }
        }
    }

    fn sleep(&mut self, rings: u32) -> Result<(), Errno> {
        let mut words: Vec<(Arc<FutexPage>, u32)> = Vec::with_capacity(self.watched.len());
        self.watched.retain(|_, watched| {
            let Some(value) = watched.look() else { return false };
            words.push((Arc::clone(watched.fence.page()), value));
            watched.tell(value)
        });
        self.queue.doorbell.wait_v(rings, words.iter().map(|(page, expected)| (page.as_ref(), *expected)))
    }

    fn end(&self, errno: Errno) {
        let error = Error::of_word("sleeping on the fences")(errno);
        self.watched.values().for_each(|watched| watched.end(error));
    }
}
