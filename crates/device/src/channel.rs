//! The host's socket of one channel, and what is being sent to it.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cross_domain::{Command, Commands, Send};
use rustix::io::Errno;
use sys::socket::{self, Outcome};

use crate::opening::Opened;
use crate::set_up::SetUp;

/// SENDs that go in one system call at most.
const BATCH_MAX: usize = 4;

/// An open channel.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    /// The set-up request at the head of the stream, until it has gone.
    set_up: Option<SetUp>,
    /// Whether a SEND without data is the guest's way to say that nothing follows, as in our own dialect.
    half_closes: bool,
    /// Whether the guest has said so.
    pub(crate) is_half_closed: bool,
    /// Bytes of the batch under way that the socket has taken; `None` while none is.
    sent: Option<usize>,
    /// Bytes that the socket has taken ever.
    pub(crate) bytes: u64,
    /// Descriptors that it has taken ever.
    pub(crate) descriptors: u64,
}

impl Channel {
    pub(crate) fn new(opened: Opened, half_closes: bool) -> Self {
        let Opened { socket, cookie } = opened;
        Self {
            socket,
            set_up: cookie.map(SetUp::new),
            half_closes,
            is_half_closed: false,
            sent: None,
            bytes: 0,
            descriptors: 0,
        }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether the socket was full: what it did not take is to be sent again when it is writable.
    pub(crate) const fn is_full(&self) -> bool {
        self.sent.is_some()
    }

    /// Sends what the socket has not taken of a batch, and returns how many of its SENDs are done. `descriptors` go with
    /// the first byte.
    pub(crate) fn send(&mut self, batch: &Batch<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
        let mut sent = self.sent.take().unwrap_or(0);
        let ends = self.half_closes && batch.data.iter().all(|data| data.is_empty());
        if self.set_up.is_some() {
            self.send_set_up(batch, &mut sent, ends)?;
        }
        if ends {
            self.is_half_closed = true;
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        }
        loop {
            let mut skip = sent;
            let slices = batch.data.map(|data| {
                let skipped = skip.min(data.len());
                skip -= skipped;
                IoSlice::new(data.get(skipped..).unwrap_or_default())
            });
            if slices.iter().all(|slice| slice.is_empty()) {
                return Ok(batch.len);
            }
            let descriptors = if sent == 0 { descriptors } else { &[] };
            match socket::send(&self.socket, &slices, descriptors)? {
                Outcome::Bytes(bytes) => {
                    sent += bytes;
                    self.bytes += bytes as u64;
                    self.descriptors += descriptors.len() as u64;
                }
                Outcome::WouldBlock => {
                    let mut done = 0;
                    while let Some(data) = batch.data.get(done).filter(|data| data.len() <= sent) {
                        sent -= data.len();
                        done += 1;
                    }
                    self.sent = Some(sent);
                    return Ok(done);
                }
                // The X server has gone; what it had said is still to be read, and tells the guest.
                Outcome::Closed => return Ok(batch.len),
            }
        }
    }

    /// Takes the set-up's bytes off the batch, and sends it once it is complete, or once the stream `ends`.
    fn send_set_up(&mut self, batch: &Batch<'_>, sent: &mut usize, ends: bool) -> Result<(), Errno> {
        let Some(set_up) = self.set_up.as_mut() else { return Ok(()) };
        for data in batch.data {
            *sent += set_up.take(data);
        }
        let Some(bytes) = set_up.complete(ends) else { return Ok(()) };
        self.set_up = None;
        if bytes.is_empty() {
            return Ok(());
        }
        match socket::send(&self.socket, &[IoSlice::new(&bytes)], &[])? {
            Outcome::Bytes(taken) if taken == bytes.len() => {
                self.bytes += taken as u64;
                Ok(())
            }
            Outcome::Closed => Ok(()),
            // Nothing was sent before, and every socket has room for some KiB.
            Outcome::Bytes(_) | Outcome::WouldBlock => Err(Errno::NOBUFS),
        }
    }
}

/// SENDs that follow one another: their data goes in one system call.
pub(crate) struct Batch<'a> {
    data: [&'a [u8]; BATCH_MAX],
    /// Bytes of the submission behind each.
    rests: [usize; BATCH_MAX],
    len: usize,
}

impl<'a> Batch<'a> {
    /// `first`, which was just taken from `commands`, and those behind it that are nothing but data.
    pub(crate) fn gather(first: Send<'a>, commands: &mut Commands<'a>) -> Self {
        let mut batch = Self { data: [&[]; BATCH_MAX], rests: [0; BATCH_MAX], len: 0 };
        let mut next = first.data;
        for (data, rest) in batch.data.iter_mut().zip(&mut batch.rests) {
            (*data, *rest) = (next, commands.rest().len());
            batch.len += 1;
            let mut ahead = commands.clone();
            match ahead.next() {
                Some(Ok(Command::Send(send)))
                    if batch.len < BATCH_MAX && send.identifiers.is_empty() && !send.data.is_empty() =>
                {
                    next = send.data;
                }
                _ => break,
            }
            *commands = ahead;
        }
        batch
    }

    /// How many SENDs there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the submission that follow the first `done` SENDs; `None` where that is none of them.
    pub(crate) fn rest_behind(&self, done: usize) -> Option<usize> {
        self.rests.get(done.checked_sub(1)?).copied()
    }
}
