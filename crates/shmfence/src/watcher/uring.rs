//! All fences in one `io_uring`.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::io::Errno;
use sys::FutexRing;
use sys::futex_ring::Completion;

use super::{Command, Queue, Watched, join, spawn};
use crate::error::Error;
use crate::word::WATCHER_BIT;

/// The thread, which is told to end by dropping this.
#[derive(Debug)]
pub(super) struct Thread {
    queue: Arc<Queue>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    pub(super) fn start() -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let ring = FutexRing::new(Arc::clone(&queue.doorbell))
            .map_err(|_| Error::Unsupported { what: "futexes in io_uring" })?;
        let body = Body { queue: Arc::clone(&queue), ring, watched: HashMap::new(), news: vec![] };
        Ok(Self { queue, handle: Some(spawn(move || body.run())?) })
    }

    pub(super) fn add(&self, id: u64, watched: Watched) -> Arc<Queue> {
        self.queue.push(Command::Add(id, watched));
        Arc::clone(&self.queue)
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
    ring: FutexRing,
    watched: HashMap<u64, Watched>,
    /// What to report once the ring sleeps on it, with what it was.
    news: Vec<(u64, u32)>,
}

impl Body {
    fn run(mut self) {
        if let Err(errno) = self.watch() {
            let error = Error::Os { op: "sleeping on the fences", errno };
            self.watched.values().for_each(|watched| watched.end(error));
        }
    }

    /// Until it is told to stop.
    fn watch(&mut self) -> Result<(), Errno> {
        let mut completions = vec![Completion::Doorbell];
        loop {
            for completion in completions.drain(..) {
                match completion {
                    // The number is read before the commands are taken, so none is left behind when it falls asleep.
                    Completion::Doorbell => self.ring.listen(self.queue.doorbell.rings())?,
                    Completion::Wait(id, result) => self.round(id, result)?,
                }
            }
            for command in self.queue.take() {
                match command {
                    Command::Add(id, watched) => {
                        self.watched.insert(id, watched);
                        self.round(id, Ok(()))?;
                    }
                    Command::Remove(id) if self.watched.remove(&id).is_some() => self.ring.cancel(id)?,
                    Command::Remove(_) => {}
                    Command::Stop => return Ok(()),
                }
            }
            self.report()?;
            self.ring.sleep(&mut completions)?;
        }
    }

    /// Falls asleep on the fences, then reports those that are news: never in the other order.
    fn report(&mut self) -> Result<(), Errno> {
        if self.news.is_empty() {
            return Ok(());
        }
        self.ring.submit()?;
        for (id, value) in self.news.drain(..) {
            if self.watched.get(&id).is_some_and(|watched| !watched.tell(value)) {
                self.watched.remove(&id);
                self.ring.cancel(id)?;
            }
        }
        Ok(())
    }

    /// What follows the end of a sleep.
    fn round(&mut self, id: u64, result: Result<(), Errno>) -> Result<(), Errno> {
        let Some(watched) = self.watched.get(&id) else { return Ok(()) };
        let value = match result {
            Ok(()) | Err(Errno::AGAIN) => watched.look(),
            Err(errno) => {
                watched.end(Error::of_word("sleeping on a fence")(errno));
                None
            }
        };
        let Some(value) = value else {
            self.watched.remove(&id);
            return Ok(());
        };
        if watched.is_news(value) {
            self.news.push((id, value));
        }
        self.ring.wait(id, Arc::clone(watched.fence.page()), value, WATCHER_BIT)
    }
}
