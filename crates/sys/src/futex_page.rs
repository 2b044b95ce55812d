//! A 32-bit word in a file that other processes map too, and may take away.
//!
//! A load or store of memory that its file no longer has kills the process (`SIGBUS`). So nothing here touches the word
//! directly unless the file is *sealed* against shrinking, which a memfd allows. The words of other files are only
//! reached through the kernel: `futex` compares, stores and exchanges as atomically as the processor does, and answers
//! `EFAULT` where there is no memory.
//!
//! All futex calls are the shared form, never `FUTEX_PRIVATE`: the sleepers are in other processes.

use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::thread::futex::{self, Flags, WakeOp, WakeOpCmp};

/// Bytes of the word.
pub const WORD_BYTES: usize = size_of::<u32>();

/// `FUTEX_WAKE_OP` has 12 bits for each of its values, and extends their sign.
const OPERAND_BITS: u16 = 0xfff;

/// The first word of a file, mapped shared and writable. It is unmapped when dropped.
#[derive(Debug)]
pub struct FutexPage {
    start: NonNull<u32>,
    sealed: bool,
}

// SAFETY: the mapping belongs to the value, stays where it is until the drop, and is only reached through atomics and
// the kernel, from whatever thread.
unsafe impl Send for FutexPage {}
// SAFETY: as above; no method hands out a reference into the mapping.
unsafe impl Sync for FutexPage {}

impl FutexPage {
    /// A new file of one page whose word is `value`, sealed against any change of its size, and its descriptor for
    /// others to map.
    pub fn create(value: u32) -> Result<(Self, OwnedFd), Errno> {
        let memfd =
            rustix::fs::memfd_create(c"x11bridge-fence", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&memfd, rustix::param::page_size() as u64)?;
        rustix::io::pwrite(&memfd, &value.to_ne_bytes(), 0)?;
        rustix::fs::fcntl_add_seals(&memfd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok((Self::map(memfd.as_fd())?, memfd))
    }

    /// Maps the first word of a file that is open for reading and writing. A memfd that allows it is sealed against
    /// shrinking first.
    ///
    /// `EINVAL` where the file is shorter than four bytes, `EACCES` or `EPERM` where it can't be written to.
    pub fn map(file: BorrowedFd<'_>) -> Result<Self, Errno> {
        let sealed = seal(file);
        // Only now: before the seal the file could have lost what had been seen.
        if rustix::fs::fstat(file)?.st_size < WORD_BYTES.cast_signed() as i64 {
            return Err(Errno::INVAL);
        }
        // SAFETY: a fresh mapping at an address that the kernel chooses aliases nothing.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                WORD_BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, sealed })
    }

    /// Whether the file can't shrink any more. If not, [`FutexPage::compare_exchange`] is not to be had.
    pub const fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Whether the word is `value`. `EFAULT` where the file was truncated.
    pub fn is(&self, value: u32) -> Result<bool, Errno> {
        if self.sealed {
            return Ok(self.word().load(Ordering::Acquire) == value);
        }
        // It compares, then wakes and moves nobody. A full barrier comes with the lock that it takes.
        match futex::cmp_requeue(self.word(), Flags::empty(), 0, 0, self.word(), value) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Stores `new` if the word is `current`; returns what it was. `ENOTSUP` where the file is not sealed.
    ///
    /// Acquire and release: what was written before by whoever stored the old value is seen here, and what was written
    /// here before is seen by whoever sees `new`.
    pub fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, Errno> {
        if !self.sealed {
            return Err(Errno::NOTSUP);
        }
        let result = self.word().compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
        Ok(result.unwrap_or_else(|other| other))
    }

    /// Stores `value`, -2048 to 2047, whatever the word is; all who sleep on it are woken if it was -1. One atomic step
    /// in the kernel. `EFAULT` where the file was truncated.
    pub fn store_and_wake(&self, value: i16) -> Result<(), Errno> {
        // The call wakes one sleeper of its first word without condition: that word is nobody's.
        let nobody = AtomicU32::new(0);
        let (word, all) = (self.word(), i32::MAX.unsigned_abs());
        let operand = |value: i16| value.cast_unsigned() & OPERAND_BITS;
        let (new, sleeping) = (operand(value), operand(-1));
        futex::wake_op(&nobody, Flags::empty(), 0, all, word, WakeOp::Set, WakeOpCmp::Eq, new, sleeping)
            .map(drop)
    }

    /// Wakes all who sleep on the word with a bit of `mask` among theirs; plain sleepers have all bits. Returns how
    /// many they were. `EFAULT` where the file was truncated.
    pub fn wake(&self, mask: NonZeroU32) -> Result<usize, Errno> {
        futex::wake_bitset(self.word(), Flags::empty(), i32::MAX.unsigned_abs(), mask)
    }

    /// Sleeps until somebody wakes one of the bits of `mask`, if the word is `expected`; else `EAGAIN`. `ETIMEDOUT`
    /// when the time is over (`None`: never), `EINTR` by a signal, `EFAULT` where the file was truncated before.
    pub fn wait(&self, expected: u32, mask: NonZeroU32, timeout: Option<Duration>) -> Result<(), Errno> {
        // FUTEX_WAIT_BITSET takes a point in time of the monotonic clock.
        let deadline = timeout.map(|timeout| {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            rustix::time::Timespec::try_from(timeout).ok().and_then(|timeout| now.checked_add(timeout))
        });
        futex::wait_bitset(self.word(), Flags::empty(), expected, deadline.flatten().as_ref(), mask)
    }

    pub(crate) fn as_ptr(&self) -> *mut u32 {
        self.start.as_ptr()
    }

    /// The word as the kernel's interface wants it. Only a sealed page may be loaded from or stored to by this.
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the word is mapped as long as `self`, at the start of a page; everybody reaches it atomically. That the
        // file has not been truncated is not needed for the address alone, and ensured by the seal for the rest.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr()) }
    }
}

impl Drop for FutexPage {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no reference into it exists. An error could only mean that the
        // range is none, which the constructor ruled out.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), WORD_BYTES) };
    }
}

/// Seals a file against shrinking where that is possible, and says whether it is sealed so.
fn seal(file: BorrowedFd<'_>) -> bool {
    // It fails on what is no memfd, and on one that forbids it; which may be sealed so already.
    let _ = rustix::fs::fcntl_add_seals(file, SealFlags::SHRINK);
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    const ALL: NonZeroU32 = NonZeroU32::MAX;

    /// A page of a file that can't be sealed, which has no name any more.
    fn unsealable() -> (FutexPage, File) {
        let path = format!("/dev/shm/x11bridge-sys-{}-{:?}", std::process::id(), std::thread::current().id());
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file.set_len(4).unwrap();
        (FutexPage::map(file.as_fd()).unwrap(), file)
    }

    #[test]
    fn a_sealed_page_and_one_behind_the_kernel_answer_alike() {
        let sealed = FutexPage::create(0).unwrap().0;
        let (guarded, _file) = unsealable();
        assert!(sealed.is_sealed() && !guarded.is_sealed());
        for page in [&sealed, &guarded] {
            assert_eq!((page.is(0), page.is(1), page.is(u32::MAX)), (Ok(true), Ok(false), Ok(false)));
            page.store_and_wake(1).unwrap();
            assert_eq!((page.is(0), page.is(1)), (Ok(false), Ok(true)));
            assert_eq!(page.wait(0, ALL, None), Err(Errno::AGAIN));
            assert_eq!(page.wait(1, ALL, Some(Duration::from_millis(1))), Err(Errno::TIMEDOUT));
            assert_eq!(page.wake(ALL), Ok(0));
            page.store_and_wake(-1).unwrap();
            assert_eq!((page.is(1), page.is(u32::MAX)), (Ok(false), Ok(true)));
            page.store_and_wake(1).unwrap();
        }
        assert_eq!(sealed.compare_exchange(1, 0), Ok(1));
        assert_eq!(sealed.compare_exchange(1, 7), Ok(0));
        assert_eq!(sealed.is(0), Ok(true));
        assert_eq!(guarded.compare_exchange(1, 0), Err(Errno::NOTSUP));
    }

    #[test]
    fn a_truncated_file_is_an_error_and_not_the_end_of_the_process() {
        let (page, file) = unsealable();
        file.set_len(0).unwrap();
        assert_eq!(page.is(0), Err(Errno::FAULT));
        assert_eq!(page.store_and_wake(1), Err(Errno::FAULT));
        assert_eq!(page.wait(0, ALL, Some(Duration::ZERO)), Err(Errno::FAULT));
        assert_eq!(page.wake(ALL), Err(Errno::FAULT));
    }

    #[test]
    fn a_memfd_that_allows_it_cannot_be_truncated_once_it_is_mapped() {
        let memfd = rustix::fs::memfd_create(c"", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&memfd, 3).unwrap();
        assert_eq!(FutexPage::map(memfd.as_fd()).unwrap_err(), Errno::INVAL);
        rustix::fs::ftruncate(&memfd, 4).unwrap();
        assert!(FutexPage::map(memfd.as_fd()).unwrap().is_sealed());
        assert_eq!(rustix::fs::ftruncate(&memfd, 3), Err(Errno::PERM));
    }

    #[test]
    fn a_sleeper_is_woken_by_its_bits_alone() {
        let page = FutexPage::create(0).unwrap().0;
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| page.wait(0, NonZeroU32::MIN, None));
            while page.wake(NonZeroU32::MIN).unwrap() == 0 {
                assert_eq!(page.wake(NonZeroU32::new(!1).unwrap()), Ok(0));
                std::thread::yield_now();
            }
            assert_eq!(sleeper.join().unwrap(), Ok(()));
        });
    }
}
