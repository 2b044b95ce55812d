//! Whether the X server is still there, with hosts that do not say so.
//!
//! libkrun meets the end of the X server's stream with silence, and rutabaga one that was reset; neither says that an
//! INIT or a SEND failed. But both carry out a submission only up to the first command that fails, and a SEND without
//! bytes fails exactly where nobody is at the other end. So when the client has said something and nothing has come
//! back for a while, such a SEND goes out with a query behind it: an answer in the query ring is a sign of life.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use cross_domain::{Dialect, SEND_HEADER_BYTES, encode_send_header};
use sys::SharedMap;

use super::ChannelError;
use super::cross_domain::Driver;
use super::virtgpu::{ONE_PIXEL, is_signalled};

/// The host is asked after this long without a word.
const SILENCE: Duration = Duration::from_secs(2);
/// It is asked half as often each time, down to this: every answer costs it some hundred bytes, and clients that only
/// draw hear nothing for hours.
const SILENCE_MAX: Duration = Duration::from_secs(64);
/// How often the answer is looked for. A host whose X server has stopped answers nobody: that is no sign of an end.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes at the start of an answer that are not all zero.
const ANSWER_BYTES: usize = 8;

/// One channel's X server.
#[derive(Debug)]
pub(super) struct Liveness {
    /// Whether the host answers such questions, and does not tell by itself.
    needed: bool,
    /// Whether something has been sent since the last sign of life.
    sent: bool,
    silence: Duration,
    due: Option<Instant>,
    /// The fence of the question that is under way.
    asked: Option<OwnedFd>,
}

impl Liveness {
    /// Nothing is asked of a host whose dialect is not known: it may have no answer.
    pub(super) fn new(dialect: Option<Dialect>) -> Self {
        let needed = matches!(dialect, Some(Dialect::Libkrun | Dialect::Rutabaga));
        Self { needed, sent: false, silence: SILENCE, due: None, asked: None }
    }

    /// Notes that something was sent.
    pub(super) fn sent(&mut self) {
        self.sent = true;
    }

    /// Notes a message of the host.
    pub(super) fn heard(&mut self) {
        if self.needed {
            *self = Self { needed: true, sent: false, silence: SILENCE, due: None, asked: None };
        }
    }

    /// When to [`Self::look`]; `None` for never.
    pub(super) fn due(&mut self) -> Option<Instant> {
        if !self.needed || !self.sent {
            return None;
        }
        Some(*self.due.get_or_insert_with(|| Instant::now() + self.silence))
    }

    /// Asks, or looks for the answer.
    pub(super) fn look(
        &mut self,
        driver: &mut impl Driver,
        query_ring: &SharedMap,
    ) -> Result<(), ChannelError> {
        self.due = Some(Instant::now() + LOOK);
        let Some(fence) = &self.asked else {
            self.asked = driver.query(&question(query_ring)?)?;
            return Ok(());
        };
        if !is_signalled(fence)? {
            return Ok(());
        }
        let mut answer = [0; ANSWER_BYTES];
        if !query_ring.read(0, &mut answer) || answer == [0; ANSWER_BYTES] {
            return Err(ChannelError { why: "the host has no connection to its X server".into() });
        }
        let silence = (self.silence * 2).min(SILENCE_MAX);
        *self = Self { needed: true, sent: false, silence, due: None, asked: None };
        Ok(())
    }
}

fn question(query_ring: &SharedMap) -> Result<Vec<u8>, ChannelError> {
    let mut header = [0; SEND_HEADER_BYTES];
    let encoded = encode_send_header(&mut header, 0, 0, &[]);
    encoded.map_err(|error| ChannelError { why: error.to_string() })?;
    if !query_ring.write(0, &[0; ANSWER_BYTES]) {
        return Err(ChannelError { why: "the query ring is too short".into() });
    }
    Ok([&header[..], &ONE_PIXEL.encode()[..]].concat())
}
