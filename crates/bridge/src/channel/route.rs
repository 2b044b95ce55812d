//! The channel that was decided on: its name, what it leads to, and opening it for a client.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use device::{OpenFailure, Opening};
use display::DisplayName;

use super::pipe::PipeAddress;
use super::virtgpu::Device;
use super::{Channel, ChannelError, CrossDomain, FenceChoice, Loopback, Socket};

/// The channel that was decided on. Shown, it is what a client's user knows the X server by.
#[derive(Debug, Clone)]
pub enum Route {
    /// The virtio-gpu device of this virtual machine.
    Virtgpu(Device),
    /// A byte pipe to a listener of the host.
    Pipe(PipeAddress),
    /// A host half in this process.
    Loopback(Arc<DisplayName>),
    /// The X server's own socket.
    Socket(Arc<DisplayName>),
}

impl Route {
    /// Whether it leads from one machine to another, as far as process ids are concerned.
    pub(crate) const fn leads_elsewhere(&self) -> bool {
        matches!(self, Self::Virtgpu(_) | Self::Pipe(_))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Virtgpu(_) => f.write_str("the X server behind virtgpu"),
            Self::Pipe(address) => write!(f, "the X server behind {address}"),
            Self::Loopback(display) | Self::Socket(display) => write!(f, "X display {display}"),
        }
    }
}

/// A client's channel, and the X server's address where it is reached over TCP.
pub(crate) type Opened = (Box<dyn Channel>, Option<SocketAddr>);

impl Route {
    /// The channel's name: `virtgpu`, `vsock`, `tcp`, `loopback` or `socket`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Virtgpu(_) => "virtgpu",
            Self::Pipe(PipeAddress::Vsock { .. }) => "vsock",
            Self::Pipe(PipeAddress::Tcp { .. }) => "tcp",
            Self::Loopback(_) => "loopback",
            Self::Socket(_) => "socket",
        }
    }

    /// The display that it leads to, where it is known here: elsewhere the host alone knows.
    pub(crate) fn display(&self) -> Option<&DisplayName> {
        match self {
            Self::Virtgpu(_) | Self::Pipe(_) => None,
            Self::Loopback(display) | Self::Socket(display) => Some(display),
        }
    }

    /// Whether it carries descriptors.
    pub(crate) fn carries_descriptors(&self) -> bool {
        match self {
            Self::Virtgpu(device) => device.carries().descriptors,
            Self::Pipe(_) => false,
            Self::Loopback(display) | Self::Socket(display) => display.is_unix(),
        }
    }

    /// Whether clients are offered DRI3 if nobody says otherwise: where they find a device to render on.
    pub(crate) fn offers_dri3(&self, fences: FenceChoice) -> bool {
        match self {
            Self::Virtgpu(device) => device.renders(fences),
            _ => self.carries_descriptors(),
        }
    }

    /// Whether fences cross it in a way that is wished for, where descriptors do.
    pub(crate) fn carries_fences(&self, choice: FenceChoice) -> bool {
        match self {
            Self::Virtgpu(device) => device.carries_fences(choice),
            _ => choice != FenceChoice::Off,
        }
    }

    /// Whether client and server can have memory of a fence in common on it.
    pub(crate) fn can_share_fences(&self) -> bool {
        match self {
            Self::Virtgpu(device) => device.dev_shm().is_some(),
            _ => self.carries_descriptors(),
        }
    }

    /// Whether fences can be relayed on it.
    pub(crate) const fn can_relay_fences(&self) -> bool {
        match self {
            Self::Virtgpu(device) => device.offer().relays_fences,
            Self::Loopback(_) => true,
            Self::Pipe(_) | Self::Socket(_) => false,
        }
    }

    /// Clients that it carries at once, at most.
    pub(crate) fn clients_max(&self) -> usize {
        match self {
            Self::Virtgpu(device) => device.clients_max(),
            _ => usize::MAX,
        }
    }

    /// Opens it for a client; gives up after `limit`.
    pub(crate) fn open(&self, limit: Duration, fences: FenceChoice) -> Result<Opened, ChannelError> {
        match self {
            Self::Virtgpu(device) => {
                Ok((Box::new(CrossDomain::open_as(device.open()?, device.offer(), fences)?), None))
            }
            Self::Pipe(address) => {
                let (socket, peer) = address.connect(limit).map_err(|error| why(&error))?;
                Ok((Box::new(Socket::new(socket, false)), peer))
            }
            Self::Loopback(display) => open_loopback(display, limit, fences),
            Self::Socket(display) => {
                let connected = display.connect(limit).map_err(|error| why(&error))?;
                Ok((Box::new(Socket::new(connected.socket, display.is_unix())), connected.peer))
            }
        }
    }
}

fn why(error: &dyn fmt::Display) -> ChannelError {
    ChannelError { why: error.to_string() }
}

/// Here the host half is in reach, so what it alone knows of a TCP server's address helps to find the cookie.
fn open_loopback(
    display: &Arc<DisplayName>,
    limit: Duration,
    fences: FenceChoice,
) -> Result<Opened, ChannelError> {
    let peer = Arc::new(Mutex::new(None));
    let (found, display, is_unix) = (Arc::clone(&peer), Arc::clone(display), display.is_unix());
    let opener = move |_| match display.connect(limit) {
        Ok(connected) => {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = connected.peer;
            // The guest half puts the cookie in itself.
            Opening::Now(Ok(device::Opened { socket: connected.socket, cookie: None }))
        }
        Err(error) => Opening::Now(Err(OpenFailure {
            errno: error.errno.map_or(0, |errno| errno.raw_os_error().unsigned_abs()),
            text: error.to_string(),
        })),
    };
    let mut driver = Loopback::new(Box::new(opener), is_unix);
    if fences == FenceChoice::Relay {
        driver.relay_fences()?;
    }
    let channel = CrossDomain::open(driver, fences)?;
    let peer = *peer.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((Box::new(channel), peer))
}
