//! What clients may send as the file of a fence, and do to it afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use lab::{memfd, shm_file};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::pipe::PipeFlags;
use shmfence::word::{RESET, TRIGGERED};
use shmfence::{Error, Fence, Word};

#[track_caller]
fn refused(file: impl AsFd) -> &'static str {
    match Fence::open(file.as_fd()).map(drop) {
        Err(Error::NotAFence { what }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_of_all_sizes_from_four_bytes_on_are_fences() {
    for (bytes, fits) in [(0, false), (3, false), (4, true), (5, true), (4096, true), (1 << 33, true)] {
        for file in [memfd(bytes), shm_file(bytes)] {
            assert_eq!(Fence::open(file.as_fd()).is_ok(), fits, "{bytes} bytes");
        }
    }
    assert_eq!(refused(memfd(3)), "a file that is too short");
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    assert_eq!((refused(reader), refused(writer)), ("a pipe", "a pipe"));
    assert_eq!(refused(File::open("/tmp").unwrap()), "a directory");
    assert_eq!(refused(File::options().read(true).write(true).open("/dev/zero").unwrap()), "a device");
    assert_eq!(refused(std::os::unix::net::UnixStream::pair().unwrap().0), "a socket");
    let event: OwnedFd = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
    assert_eq!(refused(event), "something that is no file");
}

#[test]
fn files_that_are_not_open_for_reading_and_writing_are_refused() {
    let file = memfd(4096);
    let again = |flags| {
        rustix::fs::open(
            format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)),
            flags,
            Mode::empty(),
        )
    };
    for flags in [OFlags::RDONLY, OFlags::WRONLY, OFlags::PATH] {
        let one = again(flags | OFlags::CLOEXEC).unwrap();
        assert_eq!(refused(one), "a file that is not open for reading and writing", "{flags:?}");
    }
    assert!(Fence::open(again(OFlags::RDWR | OFlags::CLOEXEC).unwrap().as_fd()).is_ok());
}

#[test]
fn a_file_that_is_sealed_against_writing_is_refused() {
    let file = memfd(4096);
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE).unwrap();
    assert_eq!(refused(file), "a file that can't be written to");
}

#[test]
fn a_file_on_a_file_system_that_could_hold_us_up_is_refused_unless_its_device_is_vouched_for() {
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/fence-on-disk");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    file.set_len(4096).unwrap();
    let device = rustix::fs::fstat(&file).unwrap().st_dev;
    if rustix::fs::fstat(memfd(4)).unwrap().st_dev != device && !path.starts_with("/dev/shm") {
        assert_eq!(refused(&file), "a file on a disk or a network");
    }
    Fence::open_on(file.as_fd(), device).unwrap().trigger().unwrap();
    let other = Fence::open_on(file.as_fd(), device + 1).map(drop);
    assert_eq!(other, Err(Error::NotAFence { what: "a file on another file system" }));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_fence_whose_file_forbids_seals_is_usable_as_far_as_the_kernel_helps() {
    let unsealable = File::from(rustix::fs::memfd_create(c"xshmfence", MemfdFlags::CLOEXEC).unwrap());
    unsealable.set_len(4).unwrap();
    for file in [unsealable, shm_file(4)] {
        let fence = Fence::open(file.as_fd()).unwrap();
        assert!(!fence.is_sealed());
        assert_eq!(fence.value(), Ok(RESET));
        fence.trigger().unwrap();
        assert_eq!(fence.value(), Ok(TRIGGERED));
        assert_eq!((fence.reset(), fence.wait(None)), (Err(Error::NotSealed), Err(Error::NotSealed)));
    }
}

#[test]
fn a_file_that_is_truncated_later_is_an_error_at_each_use() {
    let file = shm_file(4096);
    let fence = Fence::open(file.as_fd()).unwrap();
    file.set_len(0).unwrap();
    assert_eq!(fence.value(), Err(Error::Truncated));
    assert_eq!(fence.trigger(), Err(Error::Truncated));
    assert_eq!(fence.wake(shmfence::word::ALL), Err(Error::Truncated));
    file.set_len(4096).unwrap();
    assert_eq!(fence.value(), Ok(RESET), "what was put back is a fence again");
}

#[test]
fn a_hole_that_is_punched_into_a_sealed_file_resets_the_fence_and_no_more() {
    let file = memfd(4096);
    let fence = Fence::open(file.as_fd()).unwrap();
    fence.trigger().unwrap();
    let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, flags, 0, 4096).unwrap();
    assert_eq!(fence.value(), Ok(RESET));
}

#[test]
fn errors_say_cause_and_remedy() {
    let error = Fence::open(memfd(0).as_fd()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the client sent a file that is too short as a fence; a fence is a file of at least 4 bytes in shared memory"
    );
}
