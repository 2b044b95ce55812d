//! The virtio-fs device: the guest's `/dev/shm`.

use device::fs::{FEATURES, REQUEST_QUEUE, Reply, WINDOW, config};
use device::gpu::MapRequest;
use device::{Exports, Fs, FsLimits, FsPlatform};
use rustix::event::epoll::EventFlags;

use crate::chain::Chain;
use crate::event::{Event, Level};
use crate::machine::Machine;
use crate::mail::Mail;
use crate::virtio_device::VirtioDevice;

/// One guest's virtio-fs device.
#[derive(Debug)]
pub(crate) struct FsDevice {
    fs: Fs<Request>,
    window_bytes: u64,
}

/// A request, and the queue that it came by.
type Request = (usize, Chain);

impl FsDevice {
    pub(crate) fn new(limits: FsLimits, exports: Exports) -> Self {
        Self { fs: Fs::new(limits, exports), window_bytes: limits.window_bytes }
    }
}

impl VirtioDevice for FsDevice {
    /// That of urgent requests, and that of all others.
    const QUEUES: usize = 2;
    const MAIN_QUEUE: usize = REQUEST_QUEUE;
    const FEATURES: u64 = FEATURES;
    const SHMID: u8 = WINDOW;

    fn config(&self) -> Vec<u8> {
        config()
    }

    fn window_bytes(&self) -> u64 {
        self.window_bytes
    }

    fn request(&mut self, machine: &mut Machine, queue: usize, chain: Chain) {
        self.fs.request(machine, (queue, chain));
    }

    fn letter(&mut self, machine: &mut Machine, letter: Mail) {
        match letter {
            Mail::Mapped(works) => self.fs.mapped(machine, works),
            // It has no contexts.
            Mail::Opened(..) | Mail::Fences(_) => {}
        }
    }

    fn ready(&mut self, _machine: &mut Machine, _token: u64, _flags: EventFlags) {}

    fn resume(&mut self, _machine: &mut Machine) {}

    fn reset(&mut self, machine: &mut Machine, _reason: &str) {
        self.fs.reset(machine);
    }

    fn connected(_pid: Option<i32>) -> Event {
        let message = "the virtual machine monitor connected to the guest's /dev/shm".into();
        Event::Log { level: Level::Debug, message }
    }

    fn disconnected(reason: &str) -> Event {
        Event::Log { level: Level::Debug, message: format!("the guest's /dev/shm is gone: {reason}") }
    }
}

impl FsPlatform for Machine {
    type Chain = Request;

    fn read(&mut self, (_, chain): &Request, max: usize, out: &mut Vec<u8>) -> bool {
        chain.read(max, out)
    }

    fn complete(&mut self, (queue, chain): Request, reply: &Reply) {
        let written = chain.write(&[&reply.header, &reply.body]);
        self.give_back(queue, &chain, written);
    }

    fn map(&mut self, request: MapRequest) -> bool {
        Self::map(self, request)
    }

    fn refused(&mut self, message: String) {
        Self::refused(self, message);
    }
}
