//! The VMM's and the driver's end: vhost-user over the socket, a split virtqueue in shared memory.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use sys::SharedMap;
use vhost::vhost_user::message::{VhostUserHeaderFlag, VhostUserProtocolFeatures};
use vhost::vhost_user::{Frontend, VhostUserFrontend};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use x11bridge_testkit::HANG_GUARD;

/// Where guest memory begins, for the guest and for the VMM.
pub(crate) const RAM: u64 = 0x1_0000_0000;
const USER: u64 = 0x7000_0000_0000;
pub(crate) const RAM_BYTES: usize = 64 << 20;
pub(crate) const QUEUE_SIZE: u16 = 256;

/// Offsets in guest memory: descriptors, what is available, what was used; then room for requests.
const DESCRIPTORS: usize = 0;
const AVAILABLE: usize = 0x2000;
const USED: usize = 0x3000;
/// The cursor's queue lies behind the first.
const CURSOR: usize = 0x8000;
const HEAP: usize = 0x10_0000;

const EVENT_IDX: u64 = 1 << 29;

pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;

/// A descriptor as it lies in memory.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) len: u32,
    pub(crate) flags: u16,
    pub(crate) next: u16,
}

impl Descriptor {
    pub(crate) fn bytes(self) -> Vec<u8> {
        let Self { address, len, flags, next } = self;
        [&address.to_le_bytes()[..], &len.to_le_bytes(), &flags.to_le_bytes(), &next.to_le_bytes()].concat()
    }
}

/// A virtual machine.
pub(crate) struct Machine {
    pub(crate) front_end: Frontend,
    pub(crate) ram: SharedMap,
    file: OwnedFd,
    kick: EventFd,
    /// The number of the queue that requests come by.
    queue: usize,
    /// The cursor's queue has its own: whoever hears a kick takes it.
    cursor_kick: EventFd,
    call: EventFd,
    heap: usize,
    free: Vec<u16>,
    available: u16,
    used: u16,
    /// What was given back and nobody has asked for: bytes written, by head.
    returned: HashMap<u16, u32>,
}

impl Machine {
    pub(crate) fn connect(socket: &Path) -> Self {
        Self::connect_by(socket, 0)
    }

    /// The same for a device whose requests come by a queue of another number, 0 or 1.
    pub(crate) fn connect_by(socket: &Path, queue: usize) -> Self {
        let mut machine = Self::attach(socket);
        machine.queue = queue;
        machine.negotiate();
        machine.share_memory();
        machine.start(0);
        machine
    }

    /// Connects and does nothing else.
    pub(crate) fn attach(socket: &Path) -> Self {
        let (ram, file) = SharedMap::create(RAM_BYTES).unwrap();
        Self {
            front_end: Frontend::connect(socket, 2).unwrap(),
            ram,
            file,
            kick: EventFd::new(EFD_NONBLOCK).unwrap(),
            queue: 0,
            cursor_kick: EventFd::new(EFD_NONBLOCK).unwrap(),
            call: EventFd::new(EFD_NONBLOCK).unwrap(),
            heap: HEAP,
            free: (0..QUEUE_SIZE).rev().collect(),
            available: 0,
            used: 0,
            returned: HashMap::new(),
        }
    }

    /// Agrees upon all but the index that says when to kick, which this driver does not keep.
    pub(crate) fn negotiate(&mut self) {
        self.negotiate_without(EVENT_IDX);
    }

    pub(crate) fn negotiate_without(&mut self, refused: u64) {
        self.front_end.set_owner().unwrap();
        let features = self.front_end.get_features().unwrap();
        self.front_end.set_features(features & !refused).unwrap();
        let protocol = self.front_end.get_protocol_features().unwrap();
        assert!(protocol.contains(VhostUserProtocolFeatures::SHMEM));
        self.front_end.set_protocol_features(protocol).unwrap();
        self.front_end.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
    }

    pub(crate) fn region(&self) -> VhostUserMemoryRegionInfo {
        VhostUserMemoryRegionInfo {
            guest_phys_addr: RAM,
            memory_size: RAM_BYTES as u64,
            userspace_addr: USER,
            mmap_offset: 0,
            mmap_handle: self.file.as_raw_fd(),
        }
    }

    pub(crate) fn share_memory(&mut self) {
        self.front_end.set_mem_table(&[self.region()]).unwrap();
    }

    /// Starts both queues; the first where it was stopped.
    pub(crate) fn start(&mut self, base: u16) {
        let queues = [(self.queue, 0, base, &self.kick), (1 - self.queue, CURSOR, 0, &self.cursor_kick)];
        for (index, offset, base, kick) in queues {
            let at = |part: usize| USER + (offset + part) as u64;
            let config = VringConfigData {
                queue_max_size: QUEUE_SIZE,
                queue_size: QUEUE_SIZE,
                flags: 0,
                desc_table_addr: at(DESCRIPTORS),
                used_ring_addr: at(USED),
                avail_ring_addr: at(AVAILABLE),
                log_addr: None,
            };
            self.front_end.set_vring_num(index, QUEUE_SIZE).unwrap();
            self.front_end.set_vring_base(index, base).unwrap();
            self.front_end.set_vring_addr(index, &config).unwrap();
            self.front_end.set_vring_call(index, &self.call).unwrap();
            self.front_end.set_vring_kick(index, kick).unwrap();
            self.front_end.set_vring_enable(index, true).unwrap();
        }
    }

    /// Stops both queues, as for a paused guest; returns where the first was.
    pub(crate) fn stop(&mut self) -> u16 {
        let base = self.front_end.get_vring_base(self.queue).unwrap();
        self.front_end.get_vring_base(1 - self.queue).unwrap();
        u16::try_from(base).unwrap()
    }

    /// A driver that starts anew: its rings are empty.
    pub(crate) fn reset(&mut self) {
        self.stop();
        assert!(self.ram.write(0, &vec![0; HEAP]));
        (self.available, self.used) = (0, 0);
        self.free = (0..QUEUE_SIZE).rev().collect();
        self.returned.clear();
        self.start(0);
    }

    /// Room in guest memory, at a multiple of the page size.
    pub(crate) fn allocate(&mut self, bytes: usize) -> u64 {
        let bytes = bytes.next_multiple_of(4096);
        if self.heap + bytes > RAM_BYTES {
            self.heap = HEAP;
        }
        let at = self.heap;
        self.heap += bytes;
        RAM + at as u64
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8]) {
        assert!(self.ram.write(usize::try_from(address - RAM).unwrap(), bytes));
    }

    pub(crate) fn read(&self, address: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        assert!(self.ram.read(usize::try_from(address - RAM).unwrap(), &mut out));
        out
    }

    /// Puts a descriptor into the table.
    pub(crate) fn set_descriptor(&self, index: u16, descriptor: Descriptor) {
        self.write(RAM + u64::from(index) * 16, &descriptor.bytes());
    }

    /// Takes an entry of the table that nobody uses. Answers that nobody has asked for are forgotten when it gets short.
    pub(crate) fn take_entry(&mut self) -> u16 {
        let deadline = Instant::now() + HANG_GUARD;
        while self.free.is_empty() {
            assert!(Instant::now() < deadline, "the device gives nothing back");
            self.collect();
            self.free.extend(self.returned.drain().map(|(head, _)| head));
        }
        self.free.pop().unwrap()
    }

    /// Makes a head available, and kicks.
    pub(crate) fn offer(&mut self, head: u16) {
        let slot = AVAILABLE + 4 + usize::from(self.available % QUEUE_SIZE) * 2;
        assert!(self.ram.write(slot, &head.to_le_bytes()));
        self.available = self.available.wrapping_add(1);
        fence(Ordering::SeqCst);
        assert!(self.ram.write(AVAILABLE + 2, &self.available.to_le_bytes()));
        self.kick();
    }

    /// Says that there are so many more requests, of which there is none, and kicks.
    pub(crate) fn promise(&self, count: u16) {
        assert!(self.ram.write(AVAILABLE + 2, &self.available.wrapping_add(count).to_le_bytes()));
        self.kick();
    }

    /// Puts the first request into the cursor's queue, which has had none, and kicks.
    pub(crate) fn offer_cursor(&self) {
        let descriptor = Descriptor { address: RAM + HEAP as u64, len: 24, flags: 0, next: 0 };
        assert!(self.ram.write(CURSOR + DESCRIPTORS, &descriptor.bytes()));
        assert!(self.ram.write(CURSOR + AVAILABLE + 4, &[0; 2]));
        fence(Ordering::SeqCst);
        assert!(self.ram.write(CURSOR + AVAILABLE + 2, &1_u16.to_le_bytes()));
        self.cursor_kick.write(1).unwrap();
    }

    /// How many requests of the cursor's queue were given back, and with which one the device wants the next kick.
    pub(crate) fn cursor_indices(&self) -> (u16, u16) {
        let word = |offset| {
            let mut word = [0; 2];
            assert!(self.ram.read(CURSOR + USED + offset, &mut word));
            u16::from_le_bytes(word)
        };
        (word(2), word(4 + 8 * usize::from(QUEUE_SIZE)))
    }

    pub(crate) fn kick(&self) {
        fence(Ordering::SeqCst);
        self.kick.write(1).unwrap();
    }

    /// Puts a chain of descriptors in: an indirect table, as Linux does. Returns its head.
    pub(crate) fn submit(&mut self, chain: &[(u64, u32, bool)]) -> u16 {
        let last = chain.len() - 1;
        let table: Vec<u8> = (0_u16..)
            .zip(chain)
            .flat_map(|(index, (address, len, writable))| {
                let flags = if *writable { WRITE } else { 0 };
                let flags = flags | if usize::from(index) < last { NEXT } else { 0 };
                Descriptor { address: *address, len: *len, flags, next: index + 1 }.bytes()
            })
            .collect();
        let address = self.allocate(table.len());
        self.write(address, &table);
        let head = self.take_entry();
        let len = u32::try_from(table.len()).unwrap();
        self.set_descriptor(head, Descriptor { address, len, flags: INDIRECT, next: 0 });
        self.offer(head);
        head
    }

    /// Takes what was given back.
    fn collect(&mut self) {
        fence(Ordering::SeqCst);
        let mut index = [0; 2];
        assert!(self.ram.read(USED + 2, &mut index));
        let index = u16::from_le_bytes(index);
        fence(Ordering::SeqCst);
        while self.used != index {
            let mut element = [0; 8];
            assert!(self.ram.read(USED + 4 + usize::from(self.used % QUEUE_SIZE) * 8, &mut element));
            let [a, b, _, _, rest @ ..] = element;
            let head = u16::from_le_bytes([a, b]);
            self.returned.insert(head, u32::from_le_bytes(rest));
            self.used = self.used.wrapping_add(1);
        }
    }

    /// Whether a head was given back by now.
    pub(crate) fn is_returned(&mut self, head: u16) -> bool {
        self.collect();
        self.returned.contains_key(&head)
    }

    /// Waits until a head is given back; `None` if the device goes silent. Looks only when the device has called.
    pub(crate) fn wait_for(&mut self, head: u16, limit: Duration) -> Option<u32> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(bytes) = self.returned.remove(&head) {
                self.free.push(head);
                return Some(bytes);
            }
            if self.call.read().is_ok() {
                self.collect();
            } else {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        None
    }

    /// Waits until a head is given back.
    pub(crate) fn wait(&mut self, head: u16) -> u32 {
        self.wait_for(head, HANG_GUARD).unwrap()
    }
}
