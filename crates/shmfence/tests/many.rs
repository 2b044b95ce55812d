//! What many fences cost at once, counted over the whole process: so this is the only test in it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::sync::mpsc::channel;

use lab::{fence, holdings, next, trigger_with_sleeper, until, watch, watchers};
use shmfence::{Backend, Purpose, Report};

#[test]
fn three_hundred_fences_are_watched_at_once_and_told_apart() {
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
