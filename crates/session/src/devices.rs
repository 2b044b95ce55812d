//! The device of DRI3 Open, where the server's means nothing to the client: it gets one of its own machine.
//!
//! The server still answers, so that the reply comes in its place and a drawable that does not exist gets its error: the
//! request becomes a `QueryBestSize` of the same length with the same drawable, and its reply that of an Open.

use std::collections::VecDeque;

use x11_wire::message::{BAD_ALLOC, rewrite_error};
use x11_wire::request::{QUERY_BEST_SIZE, RequestHead};

use crate::client::Verdict;
use crate::descriptors::{Mark, Marks};
use crate::limits::DEVICES_MAX;
use crate::pending::Answer;
use crate::session::Session;

/// Bytes of an Open, and of a QueryBestSize, behind the header: the drawable, and four more.
const OPEN_BODY: usize = 8;
/// The class of a QueryBestSize that every drawable has: cursor.
const CURSOR: u8 = 0;
/// What DRI3 calls it.
const OPEN: u8 = 1;
/// Where in an error its code and its value are.
const ERROR_CODE: usize = 1;
const ERROR_VALUE: usize = 4;
/// Where in a reply the number of its descriptors is, and what it says.
const REPLY_COUNT: usize = 1;
const REPLY_BODY: std::ops::Range<usize> = 8..32;

/// The devices of one client.
#[derive(Debug)]
pub(crate) struct Devices<F> {
    /// What the caller has answered.
    given: Given<F>,
    /// Those of the requests that the server has not answered.
    under_way: VecDeque<F>,
}

#[derive(Debug)]
enum Given<F> {
    Nothing,
    Refusal,
    Device(F),
}

impl<F> Devices<F> {
    pub(crate) const fn new() -> Self {
        Self { given: Given::Nothing, under_way: VecDeque::new() }
    }

    /// Takes the caller's answer.
    pub(crate) fn give(&mut self, device: Option<F>) {
        self.given = device.map_or(Given::Refusal, Given::Device);
    }

    /// Whether the request at hand has been answered by the caller.
    pub(crate) const fn is_given(&self) -> bool {
        !matches!(self.given, Given::Nothing)
    }
}

impl<F> Session<F> {
    /// An Open: asks the caller for a device first.
    pub(crate) fn open_device(&mut self, head: RequestHead, rest: &mut [u8]) -> Verdict {
        if head.len != (head.header + OPEN_BODY) as u64 {
            // The server refuses it.
            return Verdict::Pass(None);
        }
        if self.devices.under_way.len() >= DEVICES_MAX {
            if self.pending.awaits_device() {
                return Verdict::Stall;
            }
            self.devices.under_way.clear();
        }
        match std::mem::replace(&mut self.devices.given, Given::Nothing) {
            Given::Nothing => Verdict::Device,
            Given::Refusal => self.refuse(head, rest, BAD_ALLOC, 0),
            Given::Device(device) => {
                self.devices.under_way.push_back(device);
                if let Some(opcodes) = rest.first_chunk_mut() {
                    *opcodes = [QUERY_BEST_SIZE, CURSOR];
                }
                // A size in place of the provider, which is one of the server's.
                self.order.put_u32(rest, head.header + 4, 0);
                Verdict::Pass(Some(Answer::Device { major: head.major }))
            }
        }
    }

    /// The server has found the drawable.
    pub(crate) fn device_opened(&mut self, reply: &mut [u8], at: usize, marks: &mut Marks<F>) {
        let Some(device) = self.devices.under_way.pop_front() else { return };
        if let Some(count) = reply.get_mut(REPLY_COUNT) {
            *count = 1;
        }
        reply.get_mut(REPLY_BODY).unwrap_or_default().fill(0);
        self.host.descriptors.claimed += 1;
        marks.push(Mark { offset: at, skip: 0, descriptors: vec![device], fence: None });
    }

    /// The server has not.
    pub(crate) fn device_refused(&mut self, error: &mut [u8], major: u8) {
        self.devices.under_way.pop_front();
        let code = error.get(ERROR_CODE).copied().unwrap_or(0);
        let value = self.order.u32_at(error, ERROR_VALUE).unwrap_or(0);
        rewrite_error(self.order, error, code, value, major, OPEN.into());
    }
}
