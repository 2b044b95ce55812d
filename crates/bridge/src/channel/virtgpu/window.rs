//! How much of a client may be under way in the device's queue.
//!
//! All clients of a machine share one queue of some hundred entries, and what a host has not finished stays in it: the
//! POLL of each client, and SENDs that the X server does not take. So at most [`UNDER_WAY_MAX`] submissions of a client
//! are under way. Mostly the host's messages tell what is done. Where none comes, every [`GROUP`]th submission has a
//! fence, which costs three system calls.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::fence::is_signalled;
use crate::channel::cross_domain::is_done;

/// More than a round trip leaves behind: with hosts that only tell what was done before the POLL, two.
const GROUP: usize = 3;
/// Two, so that the host finds the next one when it has finished one.
const GROUPS_MAX: usize = 2;

/// Submissions of one client that may be under way.
pub(super) const UNDER_WAY_MAX: usize = GROUP * GROUPS_MAX;

/// One client's submissions that are under way.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The number of the last SEND in each, and its fence if it has one; oldest first.
    under_way: VecDeque<(u32, Option<OwnedFd>)>,
}

impl Window {
    /// Whether another one may be submitted.
    pub(super) fn is_open(&mut self) -> Result<bool, Errno> {
        if self.under_way.len() >= GROUP {
            self.look()?;
        }
        Ok(self.waiting_for().is_none())
    }

    /// Looks which submissions are done by their fences. Returns the number of the last SEND that is.
    pub(super) fn look(&mut self) -> Result<Option<u32>, Errno> {
        let mut last = None;
        while let Some((at, fence)) = self.oldest_fence()
            && is_signalled(fence)?
        {
            last = self.under_way.drain(..=at).next_back().map(|(last, _)| last);
        }
        Ok(last)
    }

    /// Whether the next one has to have a fence.
    pub(super) fn wants_fence(&self) -> bool {
        let unfenced = self.under_way.iter().rev().take_while(|(_, fence)| fence.is_none()).count();
        unfenced + 1 >= GROUP
    }

    /// Notes a submission with SENDs up to the number `last`, and its fence.
    pub(super) fn submitted(&mut self, last: u32, fence: Option<OwnedFd>) {
        self.under_way.push_back((last, fence));
    }

    /// Notes that all SENDs up to the number `last` are done.
    pub(super) fn done(&mut self, last: u32) {
        // Numbers wrap; a host that lies in this only fills the queue that its own machine needs.
        while self.under_way.front().is_some_and(|(theirs, _)| is_done(*theirs, last)) {
            self.under_way.pop_front();
        }
    }

    /// The fence that has to be signalled before another one may be submitted.
    pub(super) fn waiting_for(&self) -> Option<BorrowedFd<'_>> {
        let (_, fence) = self.oldest_fence()?;
        (self.under_way.len() >= UNDER_WAY_MAX).then(|| fence.as_fd())
    }

    fn oldest_fence(&self) -> Option<(usize, &OwnedFd)> {
        let mut fences = self.under_way.iter().enumerate();
        fences.find_map(|(at, (_, fence))| fence.as_ref().map(|fence| (at, fence)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    /// Submits as the driver would, with eventfds in place of fences, until it must wait; numbers from `first` on.
    fn fill(window: &mut Window, first: u32) -> Vec<OwnedFd> {
        let mut fences = vec![];
        for number in first..first + 100 {
            if !window.is_open().unwrap() {
                assert!(window.waiting_for().is_some() && window.under_way.len() == UNDER_WAY_MAX);
                return fences;
            }
            let fence = window.wants_fence().then(|| eventfd(0, EventfdFlags::CLOEXEC).unwrap());
            fences.extend(fence.iter().map(|fence| fence.try_clone().unwrap()));
            window.submitted(number, fence);
        }
        panic!("it never waits");
    }

    fn signal(fence: &OwnedFd) {
        rustix::io::write(fence, &1_u64.to_ne_bytes()).unwrap();
    }

    #[test]
    fn a_host_that_finishes_nothing_gets_a_bounded_number_of_submissions() {
        let mut window = Window::default();
        assert_eq!(fill(&mut window, 1).len(), GROUPS_MAX);
        assert!(!window.is_open().unwrap());
    }

    #[test]
    fn each_group_that_is_finished_makes_room_for_another() {
        let mut window = Window::default();
        let mut fences = fill(&mut window, 1);
        for round in 1..=5 {
            signal(&fences.remove(0));
            let more = fill(&mut window, round * 100);
            assert_eq!(more.len(), 1);
            fences.extend(more);
        }
        fences.iter().for_each(signal);
        assert_eq!(fill(&mut window, 1000).len(), GROUPS_MAX);
    }

    #[test]
    fn round_trips_need_no_fence_although_the_host_tells_of_the_one_before_alone() {
        let mut window = Window::default();
        let start = u32::MAX - 5;
        for number in (0..20).map(|number| start.wrapping_add(number)) {
            assert!(window.is_open().unwrap() && !window.wants_fence(), "{number}");
            window.submitted(number, None);
            window.done(number.wrapping_sub(1));
        }
    }

    #[test]
    fn a_host_that_tells_nonsense_leaves_the_window_as_it_is() {
        let mut window = Window::default();
        fill(&mut window, 1000);
        window.done(999);
        window.done(999_u32.wrapping_sub(u32::MAX / 2));
        assert!(!window.is_open().unwrap());
        window.done(1000 + 1);
        assert_eq!(window.under_way.len(), UNDER_WAY_MAX - 2);
    }
}
