//! Sleeping on many futexes at once with one thread: `FUTEX_WAIT` of `io_uring`, since Linux 6.7.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use io_uring::types::CancelBuilder;
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use rustix::thread::futex::{self, Wait, WaitFlags, WaitvFlags};
use rustix::time::ClockId;

use crate::futex_page::FutexPage;

/// Requests that go to the kernel in one system call. More make more calls.
const ENTRIES: u32 = 256;
/// `futex2(2)`: a word of 32 bits; shared, since `FUTEX2_PRIVATE` is not set.
const FUTEX2_SIZE_U32: u32 = 0x02;
const FUTEX2_PRIVATE: u32 = 0x80;
/// Tokens that are not for callers.
const DOORBELL_TOKEN: u64 = u64::MAX;
const CANCEL_TOKEN: u64 = u64::MAX - 1;
/// Words that `futex_waitv` takes at once: the kernel's `FUTEX_WAITV_MAX`, one of which is the doorbell's.
pub const WAIT_V_MAX: usize = 127;

/// Wakes the thread that sleeps in a [`FutexRing`] or in [`Doorbell::wait_v`], from whatever other thread.
#[derive(Debug, Default)]
pub struct Doorbell {
    rings: AtomicU32,
}

impl Doorbell {
    /// Wakes the sleeper, or keeps it from falling asleep.
    pub fn ring(&self) {
        // Release: who sees the new number sees what was asked for before.
        self.rings.fetch_add(1, Ordering::Release);
        let _ = futex::wake(&self.rings, futex::Flags::PRIVATE, 1);
    }

    /// How often it was rung. Look for work after reading this, then sleep on what was read.
    pub fn rings(&self) -> u32 {
        self.rings.load(Ordering::Acquire)
    }

    /// Sleeps, by `futex_waitv` of Linux 5.16, until the doorbell is rung or somebody wakes one of the words, of which
    /// each comes with what it is expected to be; at most [`WAIT_V_MAX`]. `EAGAIN` where one is another, or the doorbell
    /// was rung since `rings` was read; `ENOSYS` or `EPERM` where the kernel, or a sandbox, has no such call.
    pub fn wait_v<'a>(
        &self,
        rings: u32,
        words: impl IntoIterator<Item = (&'a FutexPage, u32)>,
    ) -> Result<(), Errno> {
        let own = waiter(self.rings.as_ptr(), rings, WaitFlags::SIZE_U32 | WaitFlags::PRIVATE);
        let others =
            words.into_iter().map(|(page, expected)| waiter(page.as_ptr(), expected, WaitFlags::SIZE_U32));
        let waiters: Vec<Wait> = std::iter::once(own).chain(others).collect();
        futex::waitv(&waiters, WaitvFlags::empty(), None, ClockId::Monotonic).map(drop)
    }
}

/// The words outlive the call, which only compares them: `wait_v` borrows what owns them.
fn waiter(word: *mut u32, expected: u32, flags: WaitFlags) -> Wait {
    let mut waiter = Wait::new();
    waiter.uaddr = word.cast::<std::ffi::c_void>().into();
    waiter.val = expected.into();
    waiter.flags = flags;
    waiter
}

/// Why a thread of a [`FutexRing`] woke up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// The doorbell was rung.
    Doorbell,
    /// The wait with that token is over: woken (`Ok`), the word was another (`EAGAIN`), cancelled (`ECANCELED`), no
    /// memory there (`EFAULT`).
    Wait(u64, Result<(), Errno>),
}

/// An `io_uring` with waits for futexes in it.
pub struct FutexRing {
    ring: IoUring,
    doorbell: Arc<Doorbell>,
    listening: bool,
    /// What the kernel may still look at.
    pages: HashMap<u64, Arc<FutexPage>>,
}

impl std::fmt::Debug for FutexRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FutexRing {{ waits: {} }}", self.pages.len())
    }
}

impl FutexRing {
    /// A ring that `doorbell` wakes. `ENOSYS` or `EPERM` where the kernel, or a sandbox, has no such thing.
    pub fn new(doorbell: Arc<Doorbell>) -> Result<Self, Errno> {
        let ring = IoUring::new(ENTRIES).map_err(|error| errno(&error))?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe).map_err(|error| errno(&error))?;
        if !probe.is_supported(opcode::FutexWait::CODE) {
            return Err(Errno::NOSYS);
        }
        Ok(Self { ring, doorbell, listening: false, pages: HashMap::new() })
    }

    /// Begins to sleep on a word with the bits of `mask`, if it is `expected`. The token, below `u64::MAX - 1`, comes back
    /// once in a [`Completion::Wait`]; until then it must not be used for another wait.
    pub fn wait(
        &mut self,
        token: u64,
        page: Arc<FutexPage>,
        expected: u32,
        mask: NonZeroU32,
    ) -> Result<(), Errno> {
        let word = page.as_ptr();
        let wait = opcode::FutexWait::new(word, expected.into(), mask.get().into(), FUTEX2_SIZE_U32).build();
        self.pages.insert(token, page);
        self.push(&wait.user_data(token))
    }

    /// Ends a wait early; its completion still comes.
    pub fn cancel(&mut self, token: u64) -> Result<(), Errno> {
        self.push(&opcode::AsyncCancel::new(token).build().user_data(CANCEL_TOKEN))
    }

    /// Lets the doorbell wake this ring, if it was not rung since `rings` was read from it. Once for each
    /// [`Completion::Doorbell`].
    pub fn listen(&mut self, rings: u32) -> Result<(), Errno> {
        let word = self.doorbell.rings.as_ptr();
        let flags = FUTEX2_SIZE_U32 | FUTEX2_PRIVATE;
        let wait = opcode::FutexWait::new(word, rings.into(), u64::from(u32::MAX), flags).build();
        self.listening = true;
        self.push(&wait.user_data(DOORBELL_TOKEN))
    }

    /// Hands the new waits to the kernel: afterwards each of them either sleeps or is complete.
    pub fn submit(&mut self) -> Result<(), Errno> {
        match self.ring.submit().map_err(|error| errno(&error)) {
            Ok(_) | Err(Errno::INTR | Errno::BUSY) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Sleeps until something is complete, and appends it to `completions`. One system call.
    pub fn sleep(&mut self, completions: &mut Vec<Completion>) -> Result<(), Errno> {
        match self.ring.submit_and_wait(1).map_err(|error| errno(&error)) {
            Ok(_) | Err(Errno::INTR | Errno::BUSY) => {}
            Err(errno) => return Err(errno),
        }
        for entry in self.ring.completion() {
            match entry.user_data() {
                CANCEL_TOKEN => {}
                DOORBELL_TOKEN => {
                    self.listening = false;
                    completions.push(Completion::Doorbell);
                }
                token => {
                    self.pages.remove(&token);
                    completions.push(Completion::Wait(token, outcome(entry.result())));
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, entry: &io_uring::squeue::Entry) -> Result<(), Errno> {
        loop {
            // SAFETY: the kernel reads the words of waits when they are submitted, and they stay mapped until the
            // completion: `pages` and `doorbell` hold them. A cancellation has no memory.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.submit()?;
        }
    }
}

impl Drop for FutexRing {
    /// Waits for the end of all waits: one that is left behind would take the wake-up of whoever has a futex at the same
    /// address next.
    fn drop(&mut self) {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(CANCEL_TOKEN);
        let mut completions = vec![];
        while (self.listening || !self.pages.is_empty())
            && self.push(&cancel).is_ok()
            && self.sleep(&mut completions).is_ok()
        {}
    }
}

fn outcome(result: i32) -> Result<(), Errno> {
    if result >= 0 { Ok(()) } else { Err(Errno::from_raw_os_error(result.saturating_neg())) }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Option<(FutexRing, Arc<Doorbell>)> {
        let doorbell = Arc::new(Doorbell::default());
        match FutexRing::new(Arc::clone(&doorbell)) {
            Ok(ring) => Some((ring, doorbell)),
            Err(Errno::NOSYS | Errno::PERM) => None,
            Err(errno) => panic!("{errno}"),
        }
    }

    fn next(ring: &mut FutexRing) -> Vec<Completion> {
        let mut completions = vec![];
        while completions.is_empty() {
            ring.sleep(&mut completions).unwrap();
        }
        completions
    }

    #[test]
    fn one_thread_sleeps_on_many_words_and_hears_which_was_woken() {
        let Some((mut ring, _)) = ring() else { return };
        let pages: Vec<_> = (0..600).map(|_| Arc::new(FutexPage::create(0).unwrap().0)).collect();
        for (token, page) in pages.iter().enumerate() {
            ring.wait(token as u64, Arc::clone(page), 0, NonZeroU32::MIN).unwrap();
        }
        std::thread::scope(|scope| {
            scope.spawn(|| while pages[431].wake(NonZeroU32::MAX).unwrap() == 0 {});
            assert_eq!(next(&mut ring), [Completion::Wait(431, Ok(()))]);
        });
    }

    #[test]
    fn a_word_that_is_another_and_a_wait_that_is_cancelled_complete_too() {
        let Some((mut ring, _)) = ring() else { return };
        let page = Arc::new(FutexPage::create(0).unwrap().0);
        ring.wait(1, Arc::clone(&page), 7, NonZeroU32::MIN).unwrap();
        assert_eq!(next(&mut ring), [Completion::Wait(1, Err(Errno::AGAIN))]);
        ring.wait(2, Arc::clone(&page), 0, NonZeroU32::MIN).unwrap();
        ring.cancel(2).unwrap();
        assert_eq!(next(&mut ring), [Completion::Wait(2, Err(Errno::CANCELED))]);
        assert_eq!(Arc::strong_count(&page), 1);
    }

    #[test]
    fn a_doorbell_wakes_its_ring_also_when_it_rang_before() {
        let Some((mut ring, doorbell)) = ring() else { return };
        let before = doorbell.rings();
        doorbell.ring();
        ring.listen(before).unwrap();
        assert_eq!(next(&mut ring), [Completion::Doorbell]);
        ring.listen(doorbell.rings()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| doorbell.ring());
            assert_eq!(next(&mut ring), [Completion::Doorbell]);
        });
        drop(ring);
        assert_eq!(Arc::strong_count(&doorbell), 1);
    }

    #[test]
    fn a_ring_with_waits_in_it_can_be_dropped() {
        let Some((mut ring, doorbell)) = ring() else { return };
        let page = Arc::new(FutexPage::create(0).unwrap().0);
        ring.wait(1, Arc::clone(&page), 0, NonZeroU32::MIN).unwrap();
        ring.listen(doorbell.rings()).unwrap();
        drop(ring);
        assert_eq!((page.wake(NonZeroU32::MAX), Arc::strong_count(&page)), (Ok(0), 1));
    }

    #[test]
    fn a_vector_of_words_wakes_by_each_of_them_and_by_the_doorbell() {
        let (doorbell, pages) =
            (Doorbell::default(), [0, 1].map(|value| FutexPage::create(value).unwrap().0));
        let words = || pages.iter().zip([0, 1]);
        match doorbell.wait_v(1, words()) {
            Err(Errno::NOSYS | Errno::PERM) => return,
            result => assert_eq!(result, Err(Errno::AGAIN)),
        }
        assert_eq!(doorbell.wait_v(0, pages.iter().zip([0, 0])), Err(Errno::AGAIN));
        std::thread::scope(|scope| {
            scope.spawn(|| while pages[1].wake(NonZeroU32::MAX).unwrap() == 0 {});
            assert_eq!(doorbell.wait_v(0, words()), Ok(()));
            scope.spawn(|| doorbell.ring());
            assert!(matches!(doorbell.wait_v(0, words()), Ok(()) | Err(Errno::AGAIN)));
        });
    }
}
