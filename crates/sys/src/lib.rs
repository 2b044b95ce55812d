//! Everything of x11bridge that talks to the kernel below `rustix`: all hand-written `unsafe` code is here, behind a
//! safe interface.
//!
//! * [`socket`]: stream sockets that carry descriptors, never blocking, always close-on-exec;
//! * [`Buffer`]: private pages that go back to the kernel;
//! * [`FutexPage`]: a word that processes sleep on, in a file that others may truncate;
//! * [`FutexRing`]: one thread's sleep on many such words;
//! * [`SysvSegment`]: System V shared memory of clients;
//! * [`SharedMap`]: memory that another process or kernel maps too, which is only ever read and written as atomics or
//!   handed to the kernel;
//! * [`Blob`]: such memory in pieces that lie scattered;
//! * [`dev_shm`]: files whose memory a host has too;
//! * [`inherited`]: sockets that this process was started with;
//! * [`peer`]: who is at the other end of a socket;
//! * [`virtgpu`]: the render node of a virtual machine's GPU;
//! * [`vsock`]: sockets between a virtual machine and its host.

pub mod blob;
pub mod buffer;
mod copying;
pub mod dev_shm;
pub mod futex_page;
pub mod futex_ring;
pub mod inherited;
pub mod peer;
pub mod shared_map;
pub mod socket;
pub mod sysv_segment;
pub mod virtgpu;
pub mod vsock;

pub use blob::{Blob, Piece};
pub use buffer::Buffer;
pub use futex_page::FutexPage;
pub use futex_ring::{Doorbell, FutexRing};
pub use shared_map::SharedMap;
pub use sysv_segment::SysvSegment;

/// What the last system call of this thread says went wrong.
fn last_errno() -> rustix::io::Errno {
    let error = std::io::Error::last_os_error();
    rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO)
}
