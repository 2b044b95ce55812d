//! One client, one thread: its set-up, then both streams until they end.

mod relay;
mod set_up;

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use session::Handshake;
use sys::socket::Outcome;

use crate::bridge::Shared;
use crate::events::{Event, Level};
use crate::stats::Totals;
use relay::Relay;

/// How a client's connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It never got through to the X server.
    Refused(String),
    /// It was connected.
    Closed(String, Totals),
}

/// Serves one client from its first byte to its last. A fault in here ends this client, and is counted.
pub(crate) fn serve(shared: &Arc<Shared>, client: u64, socket: OwnedFd) {
    let end = catch_unwind(AssertUnwindSafe(|| converse(shared, client, socket)));
    match end {
        Ok(End::Closed(reason, totals)) => shared.events.push(Event::ClientClosed { client, reason, totals }),
        Ok(End::Refused(reason)) => {
            shared.meter.clients_refused.fetch_add(1, Relaxed);
            shared.events.log(Level::Warn, format!("client {client} was refused: {reason}"));
        }
        Err(panic) => {
            shared.meter.panics.fetch_add(1, Relaxed);
            let what = panic.downcast_ref::<String>().map(String::as_str);
            let what = what.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            shared
                .events
                .log(Level::Error, format!("client {client} was lost to a fault of x11bridge: {what}"));
            let reason = "a fault of x11bridge ended it".into();
            shared.events.push(Event::ClientClosed { client, reason, totals: Totals::default() });
        }
    }
}

fn converse(shared: &Arc<Shared>, client: u64, socket: OwnedFd) -> End {
    let accepted = match set_up::accept(shared, &socket) {
        Ok(accepted) => accepted,
        Err(refusal) => {
            say(&socket, &Handshake::refusal(&refusal.heard, &refusal.reason));
            return End::Refused(refusal.reason);
        }
    };
    match Relay::new(shared, client, socket, accepted) {
        Ok(relay) => relay.run(),
        Err(errno) => End::Refused(format!("no memory for its buffers: {errno}")),
    }
}

/// Sends some last bytes, as far as the socket takes them at once.
pub(crate) fn say(socket: &OwnedFd, bytes: &[u8]) {
    if !bytes.is_empty() {
        let _: Result<Outcome, _> = sys::socket::send(socket, &[std::io::IoSlice::new(bytes)], &[]);
    }
}
