//! What the tests share.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic here is a failed test")]

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use shmfence::{Backend, Fence, Purpose, Report, Watch, Watcher, Word};
use x11bridge_testkit::XshmfencePeer;

/// No wait in these tests takes nearly as long; one that does hangs.
pub(crate) const HANG_GUARD: Duration = Duration::from_secs(60);

/// A process with the real library.
pub(crate) fn peer() -> XshmfencePeer {
    XshmfencePeer::start(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()
}

/// Waits for a fence, but not for ever.
pub(crate) fn wait(fence: &Fence) {
    assert_eq!(fence.wait(Some(HANG_GUARD)), Ok(true));
}

/// Returns once the condition holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < HANG_GUARD, "it never happened: {what}");
        std::thread::yield_now();
    }
}

/// A file in /dev/shm, of which nobody forbids that it be truncated; it has no name any more.
pub(crate) fn shm_file(bytes: u64) -> File {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = format!("/dev/shm/shmfence-test-{}-{count}", std::process::id());
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.set_len(bytes).unwrap();
    file
}

/// A memfd that allows seals, as libxshmfence makes it.
pub(crate) fn memfd(bytes: u64) -> File {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(rustix::fs::memfd_create(c"xshmfence", flags).unwrap());
    file.set_len(bytes).unwrap();
    file
}

/// What a file's first word is, read past all mappings: the eye of a third party.
pub(crate) fn word_in(file: impl AsFd) -> u32 {
    let mut bytes = [0; 4];
    assert_eq!(rustix::io::pread(file, &mut bytes, 0), Ok(4));
    u32::from_ne_bytes(bytes)
}

/// A watcher of each kind that the kernel has; the last one it has in any case.
pub(crate) fn watchers() -> Vec<Watcher> {
    let watchers: Vec<_> =
        Backend::ALL.iter().filter_map(|backend| Watcher::with_backend(*backend).ok()).collect();
    assert!(!watchers.is_empty());
    watchers
}

pub(crate) fn fence() -> Arc<Fence> {
    Arc::new(Fence::create(false).unwrap().0)
}

/// Watches, and sends each report with a name.
pub(crate) fn watch<N: Copy + Send + Sync + 'static>(
    watcher: &Watcher,
    fence: &Arc<Fence>,
    purpose: Purpose,
    name: N,
    reports: &Sender<(N, Report)>,
) -> Watch {
    let reports = reports.clone();
    // A test that has seen enough does not listen any more.
    let report = move |report| _ = reports.send((name, report)).is_ok();
    watcher.watch(Arc::clone(fence), purpose, report).unwrap()
}

pub(crate) fn next<N>(reports: &Receiver<(N, Report)>) -> (N, Report) {
    reports.recv_timeout(HANG_GUARD).unwrap()
}

/// Triggers a fence as somebody does who has seen a sleeper.
pub(crate) fn trigger_with_sleeper(fence: &Fence, watching: &Watch) {
    fence.reset().unwrap();
    assert_eq!(fence.expect_wake(), Ok(false));
    watching.look_again();
    fence.trigger().unwrap();
}

/// How many threads, descriptors and mappings this process has.
pub(crate) fn holdings() -> [usize; 3] {
    let entries = |path| std::fs::read_dir(path).unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let fences = maps.lines().filter(|line| line.contains("/memfd:x11bridge-fence"));
    [entries("/proc/self/task"), entries("/proc/self/fd"), fences.count()]
}
