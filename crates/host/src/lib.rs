//! The host half as a process of its own: a vhost-user device that a stock VMM connects to.
//!
//! QEMU (11.1 or newer) gives its guest a virtio-gpu device that is carried out here: [`Host`] listens on a Unix socket,
//! speaks vhost-user with the VMM and virtio with the guest, and connects each context of the guest to the X server. A
//! second device, on a socket of its own, is the guest's `/dev/shm`, whose files the host can map too.
//!
//! Each device has one thread that does all that moves bytes, and never waits for anything but events. What can take long
//! has a thread for as long as it takes: connecting to the X server, and asking the VMM to map memory.
#![forbid(unsafe_code)]

mod chain;
mod error;
mod event;
mod front_end;
mod fs_device;
mod gpu_device;
mod host;
mod listen;
mod machine;
mod mail;
mod memory;
mod runner;
mod service;
mod virtio_device;
mod vring;
mod window;
mod x_server;

pub use error::Error;
pub use event::{Event, Level};
pub use host::{DevShm, Host, Options, SCANOUTS_MAX, SHM_WINDOW_BYTES, WINDOW_BYTES};
