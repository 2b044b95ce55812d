//! Replies whose descriptor the caller provides, where the server's means nothing to the client: the device of DRI3 Open, and
//! the page of a fence of the client's own, of which the server may have another.
//!
//! The server still answers, so that the reply comes in its place and a drawable that does not exist gets its error: the
//! request becomes a `QueryBestSize` of the same length with the same drawable, and its reply that of the request.

use std::collections::VecDeque;

use x11_wire::message::rewrite_error;
use x11_wire::request::{QUERY_BEST_SIZE, RequestHead};

use crate::client::Verdict;
use crate::descriptors::{Mark, Marks};
use crate::limits::PROVIDED_MAX;
use crate::pending::Answer;
use crate::session::Session;

/// Bytes of an Open, an FDFromFence and a QueryBestSize behind the header: the drawable, and four more.
const BODY: usize = 8;
/// The class of a QueryBestSize that every drawable has: cursor.
const CURSOR: u8 = 0;
/// Where in an error its code and its value are.
const ERROR_CODE: usize = 1;
const ERROR_VALUE: usize = 4;
/// Where in a reply the number of its descriptors is, and what it says.
const REPLY_COUNT: usize = 1;
const REPLY_BODY: std::ops::Range<usize> = 8..32;

/// A descriptor that a reply needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Of the device for DRI3.
    Device,
    /// Of the file that the fence of this id was linked by.
    FenceFile(u32),
}

/// What the caller has provided for one client.
#[derive(Debug)]
pub(crate) struct Provided<F> {
    /// For the request at hand.
    answer: Provision<F>,
    /// For the requests that the server has not answered.
    under_way: VecDeque<F>,
}

#[derive(Debug)]
enum Provision<F> {
    Unasked,
    Refusal,
    Descriptor(F),
}

impl<F> Provided<F> {
    pub(crate) const fn new() -> Self {
        Self { answer: Provision::Unasked, under_way: VecDeque::new() }
    }

    /// Takes the caller's answer.
    pub(crate) fn answer(&mut self, descriptor: Option<F>) {
        self.answer = descriptor.map_or(Provision::Refusal, Provision::Descriptor);
    }
}

impl<F> Session<F> {
    /// A request for that descriptor: asks the caller first. `refusal` is the error where there is none.
    pub(crate) fn provide_for(
        &mut self,
        wanted: Wanted,
        head: RequestHead,
        rest: &mut [u8],
        refusal: (u8, u32),
    ) -> Verdict {
        if head.len != (head.header + BODY) as u64 {
            // The server refuses it.
            return Verdict::Pass(None);
        }
        if self.provided.under_way.len() >= PROVIDED_MAX {
            if self.pending.awaits_provided() {
                return Verdict::Stall;
            }
            self.provided.under_way.clear();
        }
        match std::mem::replace(&mut self.provided.answer, Provision::Unasked) {
            Provision::Unasked => Verdict::Provide(wanted),
            Provision::Refusal => self.refuse(head, rest, refusal.0, refusal.1),
            Provision::Descriptor(descriptor) => {
                self.provided.under_way.push_back(descriptor);
                if let Some(opcodes) = rest.first_chunk_mut() {
                    *opcodes = [QUERY_BEST_SIZE, CURSOR];
                }
                // A size in place of what only the request itself would name.
                self.order.put_u32(rest, head.header + 4, 0);
                Verdict::Pass(Some(Answer::Provided { major: head.major, minor: head.minor }))
            }
        }
    }

    /// The server has found the drawable.
    pub(crate) fn put_provided(&mut self, reply: &mut [u8], at: usize, marks: &mut Marks<F>) {
        let Some(descriptor) = self.provided.under_way.pop_front() else { return };
        if let Some(count) = reply.get_mut(REPLY_COUNT) {
            *count = 1;
        }
        reply.get_mut(REPLY_BODY).unwrap_or_default().fill(0);
        self.host.descriptors.claimed += 1;
        marks.push(Mark { offset: at, skip: 0, descriptors: vec![descriptor], fence: None });
    }

    /// The server has not.
    pub(crate) fn withhold_provided(&mut self, error: &mut [u8], (major, minor): (u8, u8)) {
        self.provided.under_way.pop_front();
        let code = error.get(ERROR_CODE).copied().unwrap_or(0);
        let value = self.order.u32_at(error, ERROR_VALUE).unwrap_or(0);
        rewrite_error(self.order, error, code, value, major, minor.into());
    }
}
