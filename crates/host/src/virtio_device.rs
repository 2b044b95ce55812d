//! What differs between the virtio devices of a host half.

use std::fmt::Debug;

use rustix::event::epoll::EventFlags;

use crate::chain::Chain;
use crate::event::Event;
use crate::machine::Machine;
use crate::mail::Mail;

/// One virtio device of a guest. It lives as long as the VMM is connected.
pub(crate) trait VirtioDevice: Debug + Send {
    /// How many queues it has.
    const QUEUES: usize;
    /// The queue whose requests are its work: while it stands still, so does the device, and its start is the driver's.
    const MAIN_QUEUE: usize;
    /// Its feature bits besides those that all devices have.
    const FEATURES: u64;
    /// The shared memory region of its window.
    const SHMID: u8;

    /// Its configuration space.
    fn config(&self) -> Vec<u8>;

    /// Bytes of its window.
    fn window_bytes(&self) -> u64;

    /// Takes a request of a queue.
    fn request(&mut self, machine: &mut Machine, queue: usize, chain: Chain);

    /// Takes a letter of another thread.
    fn letter(&mut self, machine: &mut Machine, letter: Mail);

    /// Takes what a socket is ready for that it watches.
    fn ready(&mut self, machine: &mut Machine, token: u64, flags: EventFlags);

    /// Goes on after a time in which the main queue stood still.
    fn resume(&mut self, machine: &mut Machine);

    /// Forgets everything, as when the guest's driver starts anew.
    fn reset(&mut self, machine: &mut Machine, reason: &str);

    /// What the owner is told when a VMM has connected.
    fn connected(pid: Option<i32>) -> Event;

    /// What the owner is told when it is gone.
    fn disconnected(reason: &str) -> Event;
}
