//! Descriptors on their way: queued by arrival, handed to messages in order.
//!
//! A descriptor arrives with the first byte of the `write` that carried it, maybe long before the message that owns
//! it. So neither its position nor the boundaries of writes say whose it is: only the order does, and the table of
//! messages that own some.

use std::collections::VecDeque;

use crate::limits::{DESCRIPTOR_DISTANCE_MAX, DESCRIPTORS_QUEUED_MAX};

/// Descriptors that travel with the byte at `offset` of a chunk: the first byte of the message that owns them.
#[derive(Debug, PartialEq, Eq)]
pub struct Mark<F> {
    /// Offset in the chunk that was looked at.
    pub offset: usize,
    /// Bytes in front of `offset` that are left out: they were the request's, and are none any more.
    pub skip: usize,
    /// The descriptors, in order; empty where there is only something left out.
    pub descriptors: Vec<F>,
    /// The id of the fence whose page the descriptor is, where it has been linked.
    pub fence: Option<u32>,
}

/// The marks of one chunk, in ascending order of their offsets.
pub type Marks<F> = Vec<Mark<F>>;

/// One direction's descriptors. `F` is an owned descriptor in the bridge and a number in tests; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Queue<F> {
    waiting: VecDeque<(u64, F)>,
    /// Descriptors closed because nothing claimed them, or because there were too many.
    pub(crate) dropped: u64,
    /// Descriptors handed to a message.
    pub(crate) claimed: u64,
}

impl<F> Queue<F> {
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new(), dropped: 0, claimed: 0 }
    }

    /// Takes descriptors that arrived when the stream stood at `position`.
    pub(crate) fn arrive(&mut self, position: u64, descriptors: impl IntoIterator<Item = F>) {
        for descriptor in descriptors {
            if self.waiting.len() < DESCRIPTORS_QUEUED_MAX {
                self.waiting.push_back((position, descriptor));
            } else {
                self.dropped += 1;
            }
        }
    }

    /// The one that the next message owns.
    pub(crate) fn oldest(&self) -> Option<&F> {
        self.waiting.front().map(|(_, descriptor)| descriptor)
    }

    /// Hands the oldest `count` to the message at `offset`, as far as there are any.
    pub(crate) fn claim(&mut self, count: usize, offset: usize, marks: &mut Marks<F>) {
        let descriptors = self.take(count);
        if !descriptors.is_empty() {
            marks.push(Mark { offset, skip: 0, descriptors, fence: None });
        }
    }

    /// Whether there is one.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the oldest `count`, as far as there are any.
    pub(crate) fn take(&mut self, count: usize) -> Vec<F> {
        let count = count.min(self.waiting.len());
        self.claimed += count as u64;
        self.waiting.drain(..count).map(|(_, descriptor)| descriptor).collect()
    }

    /// Closes the oldest `count`: their message does not reach the other side.
    pub(crate) fn discard(&mut self, count: usize) {
        let count = count.min(self.waiting.len());
        self.waiting.drain(..count);
        self.dropped += count as u64;
    }

    /// Closes those that nothing claimed before the stream reached `position`.
    pub(crate) fn expire(&mut self, position: u64) {
        let stale = |arrived: u64| position.saturating_sub(arrived) > DESCRIPTOR_DISTANCE_MAX;
        while self.waiting.front().is_some_and(|(arrived, _)| stale(*arrived)) {
            self.discard(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_handed_out_in_the_order_of_their_arrival() {
        let (mut queue, mut marks) = (Queue::new(), Marks::new());
        queue.arrive(0, [1, 2]);
        queue.arrive(9, [3]);
        queue.claim(1, 4, &mut marks);
        queue.claim(0, 5, &mut marks);
        queue.claim(4, 8, &mut marks);
        assert_eq!(
            marks,
            [
                Mark { offset: 4, skip: 0, descriptors: vec![1], fence: None },
                Mark { offset: 8, skip: 0, descriptors: vec![2, 3], fence: None }
            ]
        );
        assert_eq!((queue.claimed, queue.dropped), (3, 0));
    }

    #[test]
    fn the_queue_holds_its_limit_and_drops_what_is_above() {
        for (count, dropped) in
            [(DESCRIPTORS_QUEUED_MAX - 1, 0), (DESCRIPTORS_QUEUED_MAX, 0), (DESCRIPTORS_QUEUED_MAX + 1, 1)]
        {
            let mut queue = Queue::new();
            queue.arrive(0, 0..count);
            assert_eq!(queue.dropped, dropped, "{count}");
        }
    }

    #[test]
    fn what_nobody_claims_is_dropped_after_the_distance_limit() {
        let mut queue = Queue::new();
        queue.arrive(100, ["stale"]);
        queue.expire(100 + DESCRIPTOR_DISTANCE_MAX);
        assert_eq!(queue.dropped, 0);
        queue.expire(101 + DESCRIPTOR_DISTANCE_MAX);
        assert_eq!(queue.dropped, 1);
    }
}
