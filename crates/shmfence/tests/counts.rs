//! What fences leave behind, counted over the whole process: so this is the only test in it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::sync::mpsc::channel;

use lab::{fence, holdings, trigger_with_sleeper, until, watch, watchers};
use shmfence::{Backend, Purpose};

#[test]
fn thousands_of_fences_leave_nothing_behind() {
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
