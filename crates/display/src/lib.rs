//! Display names, the connections they stand for, and Xauthority files, as libxcb and libXau understand them.
#![forbid(unsafe_code)]

pub mod connect;
pub mod name;
pub mod xauthority;

pub use connect::{ConnectError, Connected};
pub use name::{DisplayName, NameError, Target};
pub use xauthority::{Entry, Family};

/// The name of this machine, as it stands in Xauthority entries for local connections.
pub fn hostname() -> Vec<u8> {
    rustix::system::uname().nodename().to_bytes().to_vec()
}
