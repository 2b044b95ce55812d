//! One client, one thread: its set-up, then both streams until they end.

pub(crate) mod atoms;
pub(crate) mod inquiry;
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
use set_up::Rejected;

/// How a client's connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It said nothing: somebody only looked whether the display is served.
    Silent,
    /// It went away during its set-up.
    Left,
    /// It never got through to the X server.
    Refused(String),
    /// It was connected.
    Closed(String, Totals),
}

/// Serves one client from its first byte to its last. A fault in here ends this client, and is counted.
pub(crate) fn serve(shared: &Arc<Shared>, client: u64, socket: OwnedFd) {
    guard(shared, client, || converse(shared, client, socket));
}

fn guard(shared: &Shared, client: u64, conversation: impl FnOnce() -> End) {
    match catch_unwind(AssertUnwindSafe(conversation)) {
        Ok(End::Silent) => {}
        Ok(End::Left) => shared.events.log(Level::Info, format!("client {client} left during its set-up")),
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
    let mut heard = vec![];
    let accepted = match set_up::accept(shared, &socket, &mut heard) {
        Ok(accepted) => accepted,
        Err(Rejected::Left) if heard.is_empty() => return End::Silent,
        Err(Rejected::Left) => return End::Left,
        Err(Rejected::Refused(reason)) => {
            say(&socket, &Handshake::refusal(&heard, &reason));
            return End::Refused(reason);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::tests::shared;

    #[test]
    fn a_fault_while_serving_a_client_ends_that_client_and_is_counted_and_named() {
        let shared = shared();
        guard(&shared, 7, || panic!("slice index out of range"));
        guard(&shared, 8, || End::Closed("it left".into(), Totals::default()));
        let events = shared.events.take();
        assert!(
            matches!(&events[0], Event::Log { level: Level::Error, message } if message.contains("slice index"))
        );
        assert!(matches!(&events[1], Event::ClientClosed { client: 7, .. }));
        assert!(matches!(&events[2], Event::ClientClosed { client: 8, .. }));
        assert_eq!(shared.meter.stats(0, crate::vitals::RoundTrips::default()).panics, 1);
    }
}
