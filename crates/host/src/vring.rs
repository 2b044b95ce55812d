//! One virtqueue of the guest's: where it lies, what wakes us, what wakes the guest.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;
use virtio_queue::{Queue, QueueT};
use vm_memory::GuestAddress;

use crate::chain::Chain;
use crate::memory::{Memory, View};

/// Entries of a queue at most, QEMU's own limit.
pub(crate) const SIZE_MAX: u16 = 1024;

/// Where a queue lies, in the VMM's address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) descriptors: u64,
    pub(crate) available: u64,
    pub(crate) used: u64,
}

/// What the guest's index has said of requests that nobody has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    None,
    Given,
    /// There was no request: nothing is taken until the queue starts anew.
    Broken,
}

/// A queue.
#[derive(Debug)]
pub(crate) struct Vring {
    queue: Queue,
    addresses: Option<Addresses>,
    kick: Option<File>,
    call: Option<File>,
    enabled: bool,
    promise: Promise,
    /// Whether requests were given back since the guest was last told.
    used: bool,
    /// Where it was stopped: a VMM that goes on there has only paused the guest.
    stopped: Option<(u16, Addresses)>,
}

impl Vring {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self {
            queue: Queue::new(SIZE_MAX).map_err(|_| Errno::INVAL)?,
            addresses: None,
            kick: None,
            call: None,
            enabled: false,
            promise: Promise::None,
            used: false,
            stopped: None,
        })
    }

    /// `EINVAL` unless a power of two up to [`SIZE_MAX`].
    pub(crate) fn set_size(&mut self, size: u32) -> Result<(), Errno> {
        let size = u16::try_from(size).map_err(|_| Errno::INVAL)?;
        self.queue.try_set_size(size).map_err(|_| Errno::INVAL)
    }

    pub(crate) const fn set_addresses(&mut self, addresses: Addresses) {
        self.addresses = Some(addresses);
    }

    pub(crate) fn set_base(&mut self, next: u16) {
        self.queue.set_next_avail(next);
    }

    pub(crate) const fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    pub(crate) fn set_event_idx(&mut self, enabled: bool) {
        self.queue.set_event_idx(enabled);
    }

    pub(crate) fn set_call(&mut self, call: Option<File>) {
        self.call = call.inspect(never_block);
        // The guest may have been told of nothing while there was no way to.
        self.used = true;
    }

    /// Starts the queue where its base says. Returns whether it goes on where it was stopped.
    pub(crate) fn start(&mut self, kick: Option<File>, memory: &Memory) -> Result<bool, Errno> {
        let addresses = self.addresses.ok_or(Errno::INVAL)?;
        let at = |user| memory.guest_address(user).map(GuestAddress).ok_or(Errno::FAULT);
        let queue = &mut self.queue;
        queue.try_set_desc_table_address(at(addresses.descriptors)?).map_err(|_| Errno::FAULT)?;
        queue.try_set_avail_ring_address(at(addresses.available)?).map_err(|_| Errno::FAULT)?;
        queue.try_set_used_ring_address(at(addresses.used)?).map_err(|_| Errno::FAULT)?;
        let view = memory.view();
        let used = queue.used_idx(&*view, Ordering::Acquire).map_err(|_| Errno::FAULT)?;
        queue.set_next_used(used.0);
        queue.set_ready(true);
        if !queue.is_valid(&*view) {
            queue.set_ready(false);
            return Err(Errno::FAULT);
        }
        self.kick = kick.inspect(never_block);
        self.promise = Promise::None;
        Ok(self.stopped.take() == Some((self.queue.next_avail(), addresses)))
    }

    /// Stops it; returns where.
    pub(crate) fn stop(&mut self) -> u16 {
        let next = self.queue.next_avail();
        if self.queue.ready() {
            self.stopped = self.addresses.map(|addresses| (next, addresses));
        }
        self.queue.set_ready(false);
        self.kick = None;
        next
    }

    /// What becomes readable when the guest has put requests in.
    pub(crate) fn kick(&self) -> Option<BorrowedFd<'_>> {
        self.kick.as_ref().map(AsFd::as_fd)
    }

    /// Takes note of the guest's kick.
    pub(crate) fn hear_kick(&self) {
        if let Some(kick) = &self.kick {
            let _ = rustix::io::read(kick, &mut [0; 8]);
        }
    }

    /// Asks to be called again at once.
    pub(crate) fn kick_self(&self) {
        if let Some(kick) = &self.kick {
            let _ = rustix::io::write(kick, &1_u64.to_ne_bytes());
        }
    }

    /// Whether requests are taken.
    pub(crate) fn runs(&self) -> bool {
        self.enabled && self.queue.ready() && !self.is_broken()
    }

    /// Whether it stands still until its driver starts anew.
    pub(crate) const fn is_broken(&self) -> bool {
        matches!(self.promise, Promise::Broken)
    }

    /// The next request, if the queue runs. A queue that promised one and has none is broken: its index is further ahead
    /// than it has entries, or went back.
    pub(crate) fn pop(&mut self, view: &Arc<View>) -> Option<Chain> {
        if !self.runs() {
            return None;
        }
        let chain = self.queue.pop_descriptor_chain(Arc::clone(view)).map(Chain::new);
        let breaks = self.promise == Promise::Given && chain.is_none();
        self.promise = if breaks { Promise::Broken } else { Promise::None };
        chain
    }

    /// Tells the guest whether to kick. Returns whether it has put in more since.
    pub(crate) fn want_kicks(&mut self, wanted: bool, view: &View) -> bool {
        if !self.runs() {
            return false;
        }
        if !wanted {
            let _ = self.queue.disable_notification(view);
            return false;
        }
        let more = self.queue.enable_notification(view).unwrap_or(false);
        self.promise = if more { Promise::Given } else { Promise::None };
        more
    }

    /// Gives a request back, with so many bytes of response.
    pub(crate) fn give_back(&mut self, view: &View, head: u16, bytes: u32) {
        if self.queue.add_used(view, head, bytes).is_ok() {
            self.used = true;
        }
    }

    /// Tells the guest, if there is something to tell and it wants to know.
    pub(crate) fn signal(&mut self, view: &View) {
        if !self.used || !self.queue.ready() {
            return;
        }
        let Some(call) = &self.call else { return };
        self.used = false;
        // A queue that can't be read is broken: the guest had better look.
        if self.queue.needs_notification(view).unwrap_or(true) {
            let _ = rustix::io::write(call, &1_u64.to_ne_bytes());
        }
    }
}

/// Whatever the VMM has handed over: an eventfd that is full or empty must not hold us up.
fn never_block(file: &File) {
    let _ = rustix::io::ioctl_fionbio(file, true);
}
