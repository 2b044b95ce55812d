//! How much of a client may be under way in the device's queue.
//!
//! All clients of a machine share one queue of some hundred entries, and what a host has not finished stays in it: the
//! POLL of each client, and SENDs that the X server does not take. So a client's SENDs go in groups, the last of each
//! with a fence, and at most [`GROUPS_MAX`] groups are under way.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::fence::is_signalled;

/// Submissions that share a fence: each fence costs three system calls.
const GROUP: usize = 2;
/// Two, so that the host finds the next one when it has finished one.
const GROUPS_MAX: usize = 2;

/// One client's submissions that are under way.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Those behind the last fence.
    unfenced: usize,
    /// Oldest first.
    fences: VecDeque<OwnedFd>,
}

impl Window {
    /// Whether another one may be submitted.
    pub(super) fn is_open(&mut self) -> Result<bool, Errno> {
        while let Some(fence) = self.fences.front() {
            if !is_signalled(fence)? {
                break;
            }
            self.fences.pop_front();
        }
        Ok(self.fences.len() < GROUPS_MAX)
    }

    /// Whether the next one has to have a fence.
    pub(super) const fn wants_fence(&self) -> bool {
        self.unfenced + 1 >= GROUP
    }

    /// Notes a submission, and its fence.
    pub(super) fn submitted(&mut self, fence: Option<OwnedFd>) {
        match fence {
            Some(fence) => {
                self.fences.push_back(fence);
                self.unfenced = 0;
            }
            None => self.unfenced += 1,
        }
    }

    /// The fence that has to be signalled before another one may be submitted.
    pub(super) fn waiting_for(&self) -> Option<BorrowedFd<'_>> {
        self.fences.front().filter(|_| self.fences.len() >= GROUPS_MAX).map(AsFd::as_fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    /// Submits as the driver would, with eventfds in place of fences, until it must wait.
    fn fill(window: &mut Window) -> Vec<OwnedFd> {
        let mut fences = vec![];
        for submitted in 0.. {
            if !window.is_open().unwrap() {
                assert!(window.waiting_for().is_some());
                return fences;
            }
            assert!(submitted < GROUP * GROUPS_MAX && window.waiting_for().is_none());
            let fence = window.wants_fence().then(|| eventfd(0, EventfdFlags::CLOEXEC).unwrap());
            fences.extend(fence.iter().map(|fence| fence.try_clone().unwrap()));
            window.submitted(fence);
        }
        unreachable!("it returned")
    }

    fn signal(fence: &OwnedFd) {
        rustix::io::write(fence, &1_u64.to_ne_bytes()).unwrap();
    }

    #[test]
    fn a_host_that_finishes_nothing_gets_a_bounded_number_of_submissions() {
        let mut window = Window::default();
        assert_eq!(fill(&mut window).len(), GROUPS_MAX);
        assert!(!window.is_open().unwrap());
    }

    #[test]
    fn each_group_that_is_finished_makes_room_for_another() {
        let mut window = Window::default();
        let mut fences = fill(&mut window);
        for _ in 0..5 {
            signal(&fences.remove(0));
            let more = fill(&mut window);
            assert_eq!(more.len(), 1);
            fences.extend(more);
        }
        fences.iter().for_each(signal);
        assert_eq!(fill(&mut window).len(), GROUPS_MAX);
    }
}
