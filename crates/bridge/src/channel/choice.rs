//! The channel that a user asks for.

use super::pipe::PipeAddress;

/// The channel that a user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelChoice {
    /// The best that there is.
    Auto,
    /// The virtio-gpu device of this virtual machine.
    Virtgpu,
    /// A byte pipe to a listener of the host.
    Pipe(PipeAddress),
    /// A host half in this process.
    Loopback,
    /// The X server's own socket.
    Socket,
}

impl ChannelChoice {
    /// Understands a name as users write it: `auto`, `virtgpu`, `vsock:CID:PORT`, `tcp:HOST:PORT`, `loopback` or
    /// `socket`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "virtgpu" => Some(Self::Virtgpu),
            "loopback" => Some(Self::Loopback),
            "socket" => Some(Self::Socket),
            _ => PipeAddress::parse(name).map(Self::Pipe),
        }
    }
}
