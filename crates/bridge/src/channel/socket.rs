//! A stream socket that leads to the X server: bytes, and descriptors too where it is a Unix socket.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use session::Carries;
use sys::socket::{self, Outcome};

use super::{Channel, ChannelError, Interests};
use crate::downlink::Downlink;
use crate::uplink::{SLOTS, Uplink};

/// A connection to the X server.
#[derive(Debug)]
pub struct Socket {
    server: OwnedFd,
    carries: Carries,
    congested: bool,
    finished: bool,
}

impl Socket {
    /// Uses a connected stream socket; `descriptors` tells whether it is a Unix socket.
    pub fn new(server: OwnedFd, descriptors: bool) -> Self {
        let carries = if descriptors { Carries::EVERYTHING } else { Carries::BYTES };
        Self { server, carries, congested: false, finished: false }
    }

    /// Sends all that needs no message of its own: up to the next piece with descriptors.
    fn send_some(&self, uplink: &Uplink) -> Result<Outcome, ChannelError> {
        let mut gathered = [IoSlice::new(&[]); SLOTS];
        let mut descriptors = &[][..];
        for (at, (piece, slice)) in uplink.pieces().zip(&mut gathered).enumerate() {
            match at {
                0 => descriptors = piece.descriptors,
                _ if !piece.descriptors.is_empty() => break,
                _ => {}
            }
            *slice = IoSlice::new(uplink.bytes(piece.range).unwrap_or_default());
        }
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        Ok(socket::send(&self.server, &gathered, &descriptors)?)
    }
}

impl Channel for Socket {
    fn carries(&self) -> Carries {
        self.carries
    }

    fn send(&mut self, uplink: &mut Uplink) -> Result<usize, ChannelError> {
        self.congested = false;
        let mut sent = 0;
        while uplink.is_ready() {
            match self.send_some(uplink)? {
                Outcome::Bytes(bytes) => {
                    uplink.sent(bytes);
                    sent += bytes;
                }
                Outcome::WouldBlock => {
                    self.congested = true;
                    break;
                }
                // The X server has gone; what it had said is still to be received, and ends the client.
                Outcome::Closed => uplink.sent(usize::MAX),
            }
        }
        Ok(sent)
    }

    fn finish(&mut self) -> bool {
        if !std::mem::replace(&mut self.finished, true) {
            let _ = rustix::net::shutdown(&self.server, rustix::net::Shutdown::Write);
        }
        true
    }

    fn receive(
        &mut self,
        downlink: &mut Downlink,
        descriptors: &mut Vec<Option<OwnedFd>>,
    ) -> Result<Outcome, ChannelError> {
        let mut arrived = vec![];
        let outcome = socket::receive(&self.server, &mut [IoSliceMut::new(downlink.room())], &mut arrived);
        descriptors.extend(arrived.into_iter().map(Some));
        Ok(outcome?)
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        Some(self.server.as_fd())
    }

    fn interest(&self, receiving: bool) -> Interests<'_> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, receiving);
        flags.set(PollFlags::OUT, self.congested);
        [(!flags.is_empty()).then(|| (self.server.as_fd(), flags)), None, None, None]
    }
}
