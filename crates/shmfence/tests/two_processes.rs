//! Our fences and those of the real libxshmfence, in another process, are the same thing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::fs::File;
use std::os::fd::AsFd;

use lab::{peer, shm_file, wait, word_in};
use shmfence::word::{RESET, SLEEPING, TRIGGERED};
use shmfence::{Error, Fence, Word};
use x11bridge_testkit::XshmfencePeer;

/// A process with the library in slot 0 of which is a fence, and the same fence here, for every way to make its file.
fn pairs() -> Vec<(XshmfencePeer, Fence, File)> {
    let mut theirs = peer();
    let file = theirs.alloc(0).unwrap();
    let library_fence = Fence::open(file.as_fd()).unwrap();
    let mut guest = peer();
    let (our_fence, memfd) = Fence::create(false).unwrap();
    guest.map(0, &memfd).unwrap();
    vec![(theirs, library_fence, file), (guest, our_fence, memfd.into())]
}

/// The same for a file that can be truncated at any time.
fn guarded_pair() -> (XshmfencePeer, Fence, File) {
    let (mut peer, file) = (peer(), shm_file(4));
    peer.map(0, &file).unwrap();
    let fence = Fence::open(file.as_fd()).unwrap();
    assert!(!fence.is_sealed());
    (peer, fence, file)
}

#[test]
fn a_fence_of_the_library_can_be_sealed() {
    let file = peer().alloc(0).unwrap();
    assert!(Fence::open(file.as_fd()).unwrap().is_sealed());
    assert!(file.set_len(0).is_err());
}

#[test]
fn what_one_side_triggers_the_other_finds_triggered() {
    for (mut peer, fence, file) in pairs().into_iter().chain([guarded_pair()]) {
        assert_eq!((peer.ask("query 0").unwrap(), fence.value()), (0, Ok(RESET)));
        fence.trigger().unwrap();
        assert_eq!((peer.ask("query 0").unwrap(), word_in(&file)), (1, TRIGGERED));
        peer.ask("reset 0").unwrap();
        assert_eq!(fence.value(), Ok(RESET));
        peer.ask("trigger 0").unwrap();
        assert_eq!(fence.value(), Ok(TRIGGERED));
        peer.ask("await 0").unwrap();
    }
}

#[test]
fn what_one_side_resets_the_other_finds_reset() {
    for (mut peer, fence, _) in pairs() {
        peer.ask("trigger 0").unwrap();
        wait(&fence);
        assert_eq!((fence.reset(), fence.reset()), (Ok(true), Ok(false)));
        assert_eq!(peer.ask("query 0").unwrap(), 0);
    }
}

#[test]
fn a_sleeper_of_the_library_is_woken_from_here() {
    for (mut peer, fence, file) in pairs().into_iter().chain([guarded_pair()]) {
        peer.tell("await 0").unwrap();
        lab::until("the other process waits", || word_in(&file) == SLEEPING);
        peer.until_asleep().unwrap();
        fence.trigger().unwrap();
        assert_eq!((peer.answer().unwrap(), word_in(&file)), (0, TRIGGERED));
    }
}

#[test]
fn a_sleeper_here_is_woken_by_the_library() {
    for (mut peer, fence, file) in pairs() {
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| wait(&fence));
            lab::until("this process waits", || word_in(&file) == SLEEPING);
            peer.ask("trigger 0").unwrap();
            sleeper.join().unwrap();
        });
        assert_eq!(word_in(&file), TRIGGERED);
    }
}

#[test]
fn all_sleepers_of_both_sides_are_woken_at_once() {
    for (mut peer, fence, file) in pairs() {
        let mut second = lab::peer();
        second.map(0, &file).unwrap();
        second.tell("await 0").unwrap();
        second.until_asleep().unwrap();
        std::thread::scope(|scope| {
            let sleepers = [(); 3].map(|()| scope.spawn(|| wait(&fence)));
            lab::until("somebody waits", || word_in(&file) == SLEEPING);
            peer.ask("trigger 0").unwrap();
            for sleeper in sleepers {
                sleeper.join().unwrap();
            }
        });
        assert_eq!(second.answer().unwrap(), 0);
    }
}

#[test]
fn a_fence_that_somebody_sleeps_on_cannot_be_reset_under_them() {
    for (mut peer, fence, file) in pairs() {
        peer.tell("await 0").unwrap();
        lab::until("the other process waits", || word_in(&file) == SLEEPING);
        assert_eq!((fence.reset(), word_in(&file)), (Ok(false), SLEEPING));
        fence.trigger().unwrap();
        assert_eq!(peer.answer().unwrap(), 0);
    }
}

#[test]
fn a_wait_that_is_over_leaves_nothing_that_the_library_would_trip_over() {
    for (mut peer, fence, file) in pairs() {
        assert_eq!(fence.wait(Some(std::time::Duration::from_millis(1))), Ok(false));
        assert_eq!(word_in(&file), SLEEPING, "the word still says that somebody may sleep");
        peer.ask("trigger 0").unwrap();
        peer.ask("await 0").unwrap();
        assert_eq!(fence.wait(None), Ok(true));
    }
}

#[test]
fn a_word_that_is_no_fences_is_said_to_be_none() {
    for (_peer, fence, file) in pairs().into_iter().chain([guarded_pair()]) {
        rustix::io::pwrite(&file, &42_u32.to_ne_bytes(), 0).unwrap();
        assert_eq!(fence.value(), Err(Error::Scribbled));
    }
}

#[test]
fn a_hundred_thousand_turns_with_the_library_lose_no_wake() {
    const TURNS: u32 = 100_000;
    let mut peer = peer();
    let (there, there_file) = Fence::create(false).unwrap();
    let back_file = peer.alloc(1).unwrap();
    let back = Fence::open(back_file.as_fd()).unwrap();
    peer.map(0, &there_file).unwrap();
    peer.tell(&format!("serve 0 1 {TURNS}")).unwrap();
    for _ in 0..TURNS {
        there.trigger().unwrap();
        wait(&back);
        assert_eq!(back.reset(), Ok(true));
    }
    assert_eq!(peer.answer().unwrap(), i64::from(TURNS));
}
