//! Requests awaiting their answer, in order.
//!
//! Every core request with a reply is remembered, and those of extensions that the session has business with. Since a
//! server answers in order, an answer belongs either to the oldest remembered request or to one that is not remembered.
//! The two can only be taken for one another where 65,536 requests or more are under way, some of them not remembered;
//! [`crate::Session`] knows when that is, and then trusts no answer.

use std::collections::VecDeque;

use x11_wire::extension::Extension;
use x11_wire::request::LIST_FONTS_WITH_INFO;
use x11_wire::sequence::{distance, low16};

/// What to do with a request's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: it was remembered to keep the order.
    Pass,
    /// Learn the opcode, or hide it.
    Extension {
        /// One that a proxy has to know.
        extension: Option<Extension>,
        /// The policy's number for it, 0 for none.
        group: u8,
    },
    /// Say that there is no such extension, whatever the answer: it might be another request's.
    Absent,
    /// Take hidden names out.
    ExtensionList,
    /// It carries as many descriptors as its second byte says.
    Descriptors {
        /// The request's major opcode.
        major: u8,
        /// The request's minor opcode.
        minor: u8,
    },
    /// It stands for one with a descriptor that the caller has provided.
    Provided {
        /// The major opcode that the client used.
        major: u8,
        /// Its minor opcode.
        minor: u8,
    },
    /// It carries the page of a fence of the server's, which is linked from then on.
    Exported {
        /// The request's major opcode.
        major: u8,
        /// The client's name for the fence.
        fence: u32,
    },
    /// Say no version above 1.2.
    Dri3Version,
    /// Clear the capability bits that the path can't carry.
    PresentCapabilities,
    /// Say that no pixmap can lie in a segment.
    ShmVersion,
    /// The server has written an image to a segment.
    ShmImage {
        /// The segment.
        key: u64,
        /// Where in it, in bytes.
        offset: u32,
    },
    /// The error names the opcode that stood in for this one.
    Denied {
        /// The opcode that the client used.
        major: u8,
        /// The minor opcode; 0 for a core request.
        minor: u8,
        /// The error to name.
        code: u8,
        /// The resource or value to name.
        value: u32,
    },
    /// Say nothing: all behind the reply's first eight bytes becomes zero.
    Blank,
}

/// One remembered request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) sequence: u64,
    /// The opcode as the server saw it: errors repeat it.
    pub(crate) major: u8,
    pub(crate) answer: Answer,
}

/// Requests that await their reply: those of the core protocol, and of extensions those that a session has business with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaiting {
    /// Number of the oldest, counted from 1 at the set-up.
    pub oldest: u64,
    /// Its major opcode.
    pub major: u8,
    /// Number of the newest.
    pub newest: u64,
    /// How many they are, 1 to 65,536.
    pub count: usize,
}

/// The remembered requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct PendingQueue {
    queue: VecDeque<Pending>,
    /// `QueryExtension`s among them.
    queries: usize,
}

impl PendingQueue {
    pub(crate) fn push(&mut self, pending: Pending) {
        self.queries += usize::from(matches!(pending.answer, Answer::Extension { .. }));
        self.queue.push_back(pending);
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The first and the last of them, and how many they are.
    pub(crate) fn awaiting(&self) -> Option<Awaiting> {
        let (oldest, newest) = (self.queue.front()?, self.queue.back()?);
        Some(Awaiting {
            oldest: oldest.sequence,
            major: oldest.major,
            newest: newest.sequence,
            count: self.queue.len(),
        })
    }

    /// Whether an opcode may still be learnt from an answer on its way.
    pub(crate) fn awaits_extension(&self) -> bool {
        self.queries > 0
    }

    /// Whether an answer with this sequence number would be the oldest request's, or there is none.
    pub(crate) fn is_next(&self, wire: u16) -> bool {
        self.queue.front().is_none_or(|front| low16(front.sequence) == wire)
    }

    /// Whether the server still owes an answer that stands for one with a descriptor of the caller's.
    pub(crate) fn awaits_provided(&self) -> bool {
        self.queue.iter().any(|pending| matches!(pending.answer, Answer::Provided { .. }))
    }

    /// Whether the server still owes the page of a fence.
    pub(crate) fn awaits_export(&self) -> bool {
        self.queue.iter().any(|pending| matches!(pending.answer, Answer::Exported { .. }))
    }

    /// Whether a reply with this sequence number has to be whole to be looked at: a list of extensions, one to blank, or
    /// one whose descriptors may be missing.
    pub(crate) fn awaits_whole(&self, wire: u16) -> bool {
        let whole = |front: &&Pending| {
            let looked_at = matches!(
                front.answer,
                Answer::ExtensionList | Answer::Blank | Answer::Descriptors { .. } | Answer::Exported { .. }
            );
            looked_at && low16(front.sequence) == wire
        };
        self.queue.front().as_ref().is_some_and(whole)
    }

    /// The request that a reply with this sequence number answers, if it is remembered. `last_of_several` is what
    /// tells the last reply of a `ListFontsWithInfo` from those before it.
    pub(crate) fn match_reply(&mut self, wire: u16, last_of_several: bool) -> Option<Pending> {
        let front = self.queue.front().copied().filter(|front| low16(front.sequence) == wire)?;
        if front.major != LIST_FONTS_WITH_INFO || last_of_several {
            self.pop();
        }
        Some(front)
    }

    /// The request that an error with this sequence number and opcode answers, if it is remembered.
    pub(crate) fn match_error(&mut self, wire: u16, major: u8) -> Option<Pending> {
        let front = self.queue.front().copied()?;
        if low16(front.sequence) != wire || front.major != major {
            return None;
        }
        self.pop();
        Some(front)
    }

    /// Forgets requests that the server has passed by without an answer. Only to be called while fewer than 32,768
    /// requests are under way: with more, 16 bits can't tell before from after.
    pub(crate) fn skip_before(&mut self, wire: u16) {
        while self.queue.front().is_some_and(|front| distance(front.sequence, wire) > 0) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(Pending { answer: Answer::Extension { .. }, .. }) = self.queue.pop_front() {
            self.queries -= 1;
        }
        // A burst of round trips must not pin its memory for the life of the connection.
        if self.queue.is_empty() && self.queue.capacity() > 1024 {
            self.queue = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(requests: &[(u64, u8)]) -> PendingQueue {
        let mut queue = PendingQueue::default();
        for &(sequence, major) in requests {
            let answer =
                if major == 98 { Answer::Extension { extension: None, group: 0 } } else { Answer::Pass };
            queue.push(Pending { sequence, major, answer });
        }
        queue
    }

    #[test]
    fn only_the_oldest_request_is_answered() {
        let mut queue = queue(&[(1, 43), (2, 98)]);
        assert_eq!(queue.match_reply(2, true), None);
        assert_eq!(queue.match_reply(1, true).map(|p| p.sequence), Some(1));
        assert_eq!(queue.match_reply(2, true).map(|p| p.sequence), Some(2));
        assert!(!queue.awaits_extension());
    }

    #[test]
    fn the_oldest_and_the_newest_are_told_while_any_awaits_its_answer() {
        let mut queue = queue(&[(3, 43), (4, 98), (9, 20)]);
        assert_eq!(queue.awaiting(), Some(Awaiting { oldest: 3, major: 43, newest: 9, count: 3 }));
        queue.skip_before(9);
        assert_eq!(queue.awaiting(), Some(Awaiting { oldest: 9, major: 20, newest: 9, count: 1 }));
        queue.match_reply(9, true);
        assert_eq!(queue.awaiting(), None);
    }

    #[test]
    fn an_error_of_another_request_with_the_same_16_bits_is_not_taken_for_an_answer() {
        let mut queue = queue(&[(65_536 + 7, 98)]);
        assert_eq!(queue.match_error(7, 8), None);
        assert!(queue.awaits_extension());
        assert!(queue.match_error(7, 98).is_some());
    }

    #[test]
    fn list_fonts_with_info_is_answered_by_its_last_reply() {
        let mut queue = queue(&[(5, LIST_FONTS_WITH_INFO), (6, 43)]);
        for last in [false, false, true] {
            assert_eq!(queue.match_reply(5, last).map(|p| p.sequence), Some(5));
        }
        assert_eq!(queue.match_reply(6, false).map(|p| p.sequence), Some(6));
    }

    #[test]
    fn requests_that_the_server_skipped_are_forgotten() {
        let mut queue = queue(&[(65_530, 98), (65_537, 98), (65_540, 43)]);
        queue.skip_before(low16(65_540));
        assert_eq!((queue.len(), queue.awaits_extension()), (1, false));
    }
}
