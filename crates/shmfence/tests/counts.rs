//! What many fences cost, counted over the whole process: so these tests take turns.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use lab::{fence, next, trigger_with_sleeper, until, watch, watchers};
use shmfence::{Backend, Purpose, Report};

static TURN: Mutex<()> = Mutex::new(());

/// How many threads, descriptors and mappings this process has.
fn holdings() -> [usize; 3] {
    let entries = |path| std::fs::read_dir(path).unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let fences = maps.lines().filter(|line| line.contains("/memfd:x11bridge-fence"));
    [entries("/proc/self/task"), entries("/proc/self/fd"), fences.count()]
}

#[test]
fn three_hundred_fences_are_watched_at_once_and_told_apart() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for watcher in watchers() {
        let before = holdings();
        let (sender, reports) = channel();
        let fences: Vec<_> = (0..300).map(|_| fence()).collect();
        let watches: Vec<_> = fences
            .iter()
            .enumerate()
            .map(|(name, fence)| watch(&watcher, fence, Purpose::Relay, name, &sender))
            .collect();
        for name in (0..300).rev() {
            trigger_with_sleeper(&fences[name], &watches[name]);
            until("its report", || next(&reports) == (name, Report::Woken));
        }
        let threads = holdings()[0] - before[0];
        match watcher.backend() {
            Backend::IoUring => assert_eq!(threads, 0, "beside the watcher's one"),
            Backend::FutexWaitv => assert_eq!(threads, 3),
            _ => assert_eq!(threads, 300),
        }
        drop(watches);
    }
}

#[test]
fn thousands_of_fences_leave_nothing_behind() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for watcher in watchers() {
        let (sender, _reports) = channel();
        let round = || {
            let fence = fence();
            let watching = watch(&watcher, &fence, Purpose::Shared, (), &sender);
            trigger_with_sleeper(&fence, &watching);
            drop(watching);
        };
        round();
        until("the first one is gone", || holdings()[2] == 0);
        let before = holdings();
        (0..if watcher.backend() == Backend::Threads { 300 } else { 3000 }).for_each(|_| round());
        until("all are gone", || holdings() == before);
    }
}
