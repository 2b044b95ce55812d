//! The process that triggers.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use shmfence::links::{Event, Message};
use shmfence::{Fence, Links, Purpose, Watch, Watcher, Word};

use crate::bits::{InKernel, TRIGGER_BITS};
use crate::wire::{Clock, Failure, Record};
use crate::{ID, open};

/// Until whoever waits is asleep.
const UNTIL_ASLEEP: Duration = Duration::from_micros(100);

/// Triggers at each request on standard input, until it is killed.
pub(crate) fn serve(measure: &str, clock: &str, page: &str) -> Result<(), Failure> {
    let requests = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let answers = Arc::new(UnixStream::from(std::io::stdout().as_fd().try_clone_to_owned()?));
    let (clock, page) = (Clock::open(clock)?, Fence::open(open(page)?.as_fd())?);
    let watcher = Arc::new(Watcher::start()?);
    let mut links = links(&watcher, &answers);
    let served = if measure == "relay" { Fence::open(links.add_server(ID, false)?.as_fd())? } else { page };
    let fence = Arc::new(served);
    let _watch = if measure == "shared" { Some(watch(&watcher, &fence, &answers)?) } else { None };
    let shared = InKernel { fence: Arc::clone(&fence), bits: TRIGGER_BITS };
    loop {
        if let Record::Relay(message) = Record::read(&requests)? {
            links.receive(ID, Message::Relay(message))?;
            continue;
        }
        std::thread::sleep(UNTIL_ASLEEP);
        clock.note()?;
        match measure {
            "message" => Record::Signal.write(&answers)?,
            "shared" => shared.trigger()?,
            _ => fence.trigger()?,
        }
    }
}

fn links(watcher: &Arc<Watcher>, answers: &Arc<UnixStream>) -> Links {
    let answers = Arc::clone(answers);
    Links::new(
        Arc::clone(watcher),
        Arc::new(move |_, event| {
            if let Event::Send(Message::Relay(message)) = event {
                let _ = Record::Relay(message).write(&answers);
            }
        }),
    )
}

fn watch(watcher: &Watcher, fence: &Arc<Fence>, answers: &Arc<UnixStream>) -> Result<Watch, Failure> {
    let answers = Arc::clone(answers);
    let signal = move |_| _ = Record::Signal.write(&answers);
    Ok(watcher.watch(Arc::clone(fence), Purpose::Shared, signal)?)
}
