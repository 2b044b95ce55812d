//! System V segments of MIT-SHM, which are the client's and not the server's.
//!
//! A segment's number means nothing to a server that may be on another machine. So the caller attaches the segment
//! itself and makes a file of the same size, which the server attaches by descriptor. Before the server reads the file
//! the caller copies from the segment, and after it has written it copies back: the server's replies, events and errors
//! stay its own. What has to be copied when is what this module knows.

use std::collections::VecDeque;
use std::ops::Range;

use x11_wire::sequence::low16;

use crate::limits::SEGMENTS_MAX;

/// Whose memory a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A System V segment with this number.
    Number(u32),
    /// The file of a descriptor that the client has sent: [`crate::Session::take_segment`].
    Descriptor,
}

/// A segment of the client's that it wants the server to attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attach {
    /// What the segment is called from now on, in [`Action`]s; never used again.
    pub key: u64,
    /// Where it is.
    pub source: Source,
    /// Whether the server will only read it.
    pub read_only: bool,
}

/// What the caller has to do before it passes on what a session has let through. Ranges are in bytes, and may end behind
/// the segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The server is about to read: copy from the segment to its file.
    ToServer {
        /// The segment.
        key: u64,
        /// Which bytes.
        range: Range<u64>,
    },
    /// The server has written: copy from the file to the segment.
    ToClient {
        /// The segment.
        key: u64,
        /// Which bytes.
        range: Range<u64>,
    },
    /// The segment is not used any more: detach it, and close its file.
    Forget {
        /// The segment.
        key: u64,
    },
}

/// What became of the segment that was asked for last.
#[derive(Debug)]
pub(crate) enum Attached<F> {
    /// Nobody has asked, or the answer has been used.
    Unknown,
    /// There is none.
    Refused,
    /// The client may not use it so.
    Denied,
    /// This file stands for it.
    File(F),
    /// The file that the client sent.
    Itself(F),
}

#[derive(Debug)]
struct Segment {
    /// The client's name for it.
    name: u32,
    key: u64,
    /// Images that the server still has to write.
    awaited: u32,
    /// The client has given it up.
    detached: bool,
}

/// A request that attached a segment.
#[derive(Debug)]
struct Try {
    sequence: u64,
    key: u64,
    /// Whether the client's was an Attach, and the server's is an AttachFd.
    was_attach: bool,
}

/// The segments of one client.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    known: Vec<Segment>,
    /// Requests that attached one, and that the server may still refuse.
    tries: VecDeque<Try>,
    last_key: u64,
    actions: Vec<Action>,
}

impl Segments {
    /// The key of the segment that is attached next; `None` if there are too many.
    pub(crate) fn next_key(&self) -> Option<u64> {
        (self.known.len() < SEGMENTS_MAX).then_some(self.last_key + 1)
    }

    /// Notes that request `sequence` attaches the next segment as `name`; the host has answered all before `answered`.
    pub(crate) fn attach(&mut self, name: u32, sequence: u64, answered: u64, was_attach: bool) {
        self.last_key += 1;
        self.known.push(Segment { name, key: self.last_key, awaited: 0, detached: false });
        while self
            .tries
            .front()
            .is_some_and(|tried| tried.sequence < answered || self.tries.len() >= SEGMENTS_MAX)
        {
            self.tries.pop_front();
        }
        self.tries.push_back(Try { sequence, key: self.last_key, was_attach });
    }

    /// Forgets the segment of the request with this sequence number, which the server refuses; whether it was an Attach.
    pub(crate) fn refused(&mut self, wire: u16) -> bool {
        let at = self.tries.iter().position(|tried| low16(tried.sequence) == wire);
        let Some(Try { key, was_attach, .. }) = at.and_then(|at| self.tries.remove(at)) else { return false };
        self.forget(key);
        was_attach
    }

    /// The client gives a segment up.
    pub(crate) fn detach(&mut self, name: u32) {
        let Some(segment) = self.find(name) else { return };
        segment.detached = true;
        let (key, awaited) = (segment.key, segment.awaited);
        if awaited == 0 {
            self.forget(key);
        }
    }

    /// Whether a segment is one of these, and not one that the server knows by a descriptor of the client's.
    pub(crate) fn has(&mut self, name: u32) -> bool {
        self.find(name).is_some()
    }

    /// The server is to read these bytes.
    pub(crate) fn read(&mut self, name: u32, range: Range<u64>) {
        if let Some(key) = self.find(name).map(|segment| segment.key) {
            self.actions.push(Action::ToServer { key, range });
        }
    }

    /// The server is to write an image; returns the key to be given to [`Segments::written`].
    pub(crate) fn write(&mut self, name: u32) -> Option<u64> {
        let segment = self.find(name)?;
        segment.awaited += 1;
        Some(segment.key)
    }

    /// The server has written these bytes, or none of them.
    pub(crate) fn written(&mut self, key: u64, range: Option<Range<u64>>) {
        if let Some(range) = range {
            self.actions.push(Action::ToClient { key, range });
        }
        let Some(segment) = self.known.iter_mut().find(|segment| segment.key == key) else { return };
        segment.awaited = segment.awaited.saturating_sub(1);
        if segment.detached && segment.awaited == 0 {
            self.forget(key);
        }
    }

    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// The one that was attached last under that name: the server has refused those before, or the client has
    /// detached them.
    fn find(&mut self, name: u32) -> Option<&mut Segment> {
        self.known.iter_mut().rev().find(|segment| segment.name == name && !segment.detached)
    }

    fn forget(&mut self, key: u64) {
        self.known.retain(|segment| segment.key != key);
        self.actions.push(Action::Forget { key });
    }
}
