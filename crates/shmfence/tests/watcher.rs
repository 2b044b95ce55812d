//! Watchers, with each of the ways that this kernel has.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::channel;

use lab::{fence, memfd, next, peer, shm_file, trigger_with_sleeper, until, watch, watchers, word_in};
use shmfence::word::{ALL, ALL_BUT_WATCHERS, RESET, SLEEPING, TRIGGERED};
use shmfence::{Backend, Error, Fence, Purpose, Report, Watcher, Word};

#[test]
fn the_best_way_that_the_kernel_has_is_chosen() {
    let best = Backend::ALL.into_iter().find(|backend| backend.is_available()).unwrap();
    assert_eq!(Watcher::start().unwrap().backend(), best);
    for backend in Backend::ALL {
        let watcher = Watcher::with_backend(backend);
        assert_eq!(watcher.is_ok(), backend.is_available(), "{backend}");
    }
    assert_eq!(Backend::ALL.map(|backend| backend.to_string()), ["io_uring", "futex_waitv", "threads"]);
}

#[test]
fn a_trigger_that_saw_a_sleeper_is_reported_each_time() {
    for watcher in watchers() {
        for purpose in [Purpose::Shared, Purpose::Relay] {
            let (fence, (sender, reports)) = (fence(), channel());
            let watching = watch(&watcher, &fence, purpose, (), &sender);
            for _ in 0..100 {
                while reports.try_recv().is_ok() {}
                trigger_with_sleeper(&fence, &watching);
                assert_eq!(next(&reports), ((), Report::Woken), "{}", watcher.backend());
            }
        }
    }
}

#[test]
fn a_fence_that_is_triggered_already_is_reported_at_once() {
    for watcher in watchers() {
        let (fence, (sender, reports)) = (Arc::new(Fence::create(true).unwrap().0), channel());
        let _watch = watch(&watcher, &fence, Purpose::Relay, (), &sender);
        assert_eq!(next(&reports), ((), Report::Woken));
    }
}

#[test]
fn more_triggers_at_once_than_the_kernels_queue_has_room_for_are_all_reported() {
    // io_uring has room for 512 completions, and 256 requests go at once.
    const FENCES: usize = 1500;
    for watcher in watchers().into_iter().filter(|watcher| watcher.backend() == Backend::IoUring) {
        let ((sender, reports), (open, gate)) = (channel(), channel());
        let (first, gate) = (fence(), std::sync::Mutex::new(gate));
        let waits = move |_| _ = gate.lock().unwrap().recv().is_ok();
        let first_watch = watcher.watch(Arc::clone(&first), Purpose::Relay, waits).unwrap();
        let fences: Vec<_> = (0..FENCES).map(|_| fence()).collect();
        open.send(()).unwrap();
        let watches: Vec<_> = fences
            .iter()
            .enumerate()
            .map(|(name, fence)| watch(&watcher, fence, Purpose::Relay, name, &sender))
            .collect();
        let all = (0..FENCES).collect::<std::collections::BTreeSet<_>>();
        let mut missing = all.clone();
        until("all are watched", || missing.remove(&next(&reports).0) && missing.is_empty());
        // The watcher is held up by its first report while the others are triggered.
        trigger_with_sleeper(&first, &first_watch);
        for (fence, watching) in fences.iter().zip(&watches) {
            trigger_with_sleeper(fence, watching);
        }
        drop(open);
        missing = all;
        until("all are reported", || missing.remove(&next(&reports).0) && missing.is_empty());
    }
}

#[test]
fn a_watcher_leaves_the_word_as_it_is() {
    for watcher in watchers() {
        for value in [RESET, TRIGGERED, SLEEPING] {
            let file = memfd(4);
            rustix::io::pwrite(&file, &value.to_ne_bytes(), 0).unwrap();
            let (fence, (sender, _reports)) = (Arc::new(Fence::open(file.as_fd()).unwrap()), channel());
            let watching = watch(&watcher, &fence, Purpose::Shared, (), &sender);
            fence.wake(ALL).unwrap();
            drop(watching);
            assert_eq!(word_in(&file), value);
        }
        drop(watcher);
    }
}

#[test]
fn a_wake_that_was_carried_here_wakes_sleepers_but_is_not_reported_back() {
    // The other ways look at a triggered word again and again, and may report it.
    for watcher in watchers().into_iter().filter(|watcher| watcher.backend() == Backend::IoUring) {
        let (file, (sender, reports)) = (memfd(4), channel());
        let fence = Arc::new(Fence::open(file.as_fd()).unwrap());
        let watching = watch(&watcher, &fence, Purpose::Shared, "carried", &sender);
        // It sleeps on the word before it reports.
        trigger_with_sleeper(&fence, &watching);
        assert_eq!(next(&reports), ("carried", Report::Woken));
        fence.reset().unwrap();
        let mut sleeper = peer();
        sleeper.map(0, &file).unwrap();
        sleeper.tell("await 0").unwrap();
        until("the other process waits", || word_in(&file) == SLEEPING);
        sleeper.until_asleep().unwrap();
        // The other kernel's step to 1, whose wake goes nowhere here.
        rustix::io::pwrite(&file, &TRIGGERED.to_ne_bytes(), 0).unwrap();
        fence.wake(ALL_BUT_WATCHERS).unwrap();
        assert_eq!(sleeper.answer().unwrap(), 0);
        // A report of that would come before the one of this.
        let other = lab::fence();
        let watching = watch(&watcher, &other, Purpose::Shared, "other", &sender);
        trigger_with_sleeper(&other, &watching);
        assert_eq!(next(&reports), ("other", Report::Woken));
    }
}

#[test]
fn a_fence_that_is_truncated_ends_its_own_watch_alone() {
    for watcher in watchers() {
        let (sender, reports) = channel();
        let (file, healthy) = (shm_file(4), fence());
        let lost = Arc::new(Fence::open(file.as_fd()).unwrap());
        let _lost = watch(&watcher, &lost, Purpose::Relay, "lost", &sender);
        let watching = watch(&watcher, &healthy, Purpose::Relay, "healthy", &sender);
        file.set_len(0).unwrap();
        // A truncated word can't be woken; what makes the watcher look again is its own affair.
        let (second, second_file) = (channel(), shm_file(4));
        let truncated = Arc::new(Fence::open(second_file.as_fd()).unwrap());
        second_file.set_len(0).unwrap();
        let _second = watch(&watcher, &truncated, Purpose::Relay, "second", &second.0);
        assert_eq!(next(&second.1), ("second", Report::Broken(Error::Truncated)));
        trigger_with_sleeper(&healthy, &watching);
        until("the healthy one's report", || next(&reports) == ("healthy", Report::Woken));
    }
}

#[test]
fn a_report_that_panics_ends_its_own_watch_alone() {
    std::panic::set_hook(Box::new(|_| ()));
    for watcher in watchers() {
        let ((sender, reports), bad, good) = (channel(), fence(), fence());
        let bad_watch = watcher.watch(Arc::clone(&bad), Purpose::Relay, |_| panic!()).unwrap();
        let good_watch = watch(&watcher, &good, Purpose::Relay, (), &sender);
        trigger_with_sleeper(&bad, &bad_watch);
        trigger_with_sleeper(&good, &good_watch);
        assert_eq!(next(&reports), ((), Report::Woken));
    }
}

#[test]
fn a_process_that_is_killed_in_its_sleep_disturbs_nobody() {
    for watcher in watchers() {
        let (file, (sender, reports)) = (memfd(4), channel());
        let fence = Arc::new(Fence::open(file.as_fd()).unwrap());
        let _watch = watch(&watcher, &fence, Purpose::Relay, (), &sender);
        for _ in 0..20 {
            let mut sleeper = peer();
            sleeper.map(0, &file).unwrap();
            sleeper.tell("await 0").unwrap();
            until("the other process waits", || word_in(&file) == SLEEPING);
            sleeper.kill().unwrap();
            assert_eq!(word_in(&file), SLEEPING);
        }
        fence.trigger().unwrap();
        assert_eq!(next(&reports), ((), Report::Woken));
    }
}

#[test]
fn one_watcher_is_shared_by_all_who_ask_and_ends_with_the_last() {
    let first = Watcher::shared().unwrap();
    let second = Watcher::shared().unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let gone = Arc::downgrade(&first);
    drop((first, second));
    assert!(gone.upgrade().is_none());
    assert_eq!(Watcher::shared().unwrap().backend(), Backend::best());
}
