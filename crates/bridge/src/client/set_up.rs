//! A client's set-up: its request read and checked, the way to the host opened.

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use display::connect::SEND_BUFFER_BYTES;
use display::xauthority;
use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt::set_socket_send_buffer_size;
use session::{Cookie, Handshake, Step};
use sys::socket::{self, Outcome};
use x11_wire::ByteOrder;

use super::atoms;
use crate::bridge::{Live, Shared};
use crate::channel::Channel;
use crate::live::LiveOptions;

/// A client says its set-up within this time, or is taken for none. Libraries send it as soon as they are connected.
const SET_UP_MAX: Duration = Duration::from_secs(30);

/// A client that may go on.
pub(crate) struct Accepted {
    pub(crate) order: ByteOrder,
    pub(crate) channel: Box<dyn Channel>,
    /// What goes to the host in place of the client's set-up.
    pub(crate) host_setup: Vec<u8>,
    /// Descriptors that came with the set-up's bytes: they belong to requests behind it.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// Until then the host has to have answered.
    pub(crate) deadline: Instant,
    /// The atoms that the policy speaks of.
    pub(crate) atoms: Vec<u32>,
    /// The connection that asked for them, to be kept until the server has let the client in.
    pub(crate) forerunner: Option<Box<dyn Channel>>,
    /// The options of the moment it connected, and how often the policy had changed before.
    pub(crate) live: Arc<LiveOptions>,
    pub(crate) renewals: u64,
}

/// A client that may not.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// It hung up by itself.
    Left,
    /// For this reason.
    Refused(String),
}

impl From<String> for Rejected {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// What a client asks for.
struct Asked {
    order: ByteOrder,
    version: (u16, u16),
}

/// Reads the set-up into `heard` and opens the channel.
pub(crate) fn accept(shared: &Shared, client: &OwnedFd, heard: &mut Vec<u8>) -> Result<Accepted, Rejected> {
    let mut descriptors = vec![];
    let Asked { order, version } = read_set_up(shared, client, heard, &mut descriptors)?;
    let Live { options: live, renewals, .. } = shared.latest();
    let deadline = Instant::now() + live.host_timeout;
    let _ = set_socket_send_buffer_size(client, SEND_BUFFER_BYTES);
    let (channel, peer) = shared.route.open(live.host_timeout, shared.fences).map_err(|error| error.why)?;
    let cookie = host_cookie(shared, &live, peer);
    let host_setup = Handshake::host_setup(order, version, cookie.as_ref());
    let policy = live.policy.as_deref();
    let found = policy.map(|policy| atoms::look_up(shared, &live, policy, deadline)).transpose()?;
    let (atoms, forerunner) = found.flatten().map(|found| (found.atoms, found.channel)).unzip();
    let atoms = atoms.unwrap_or_default();
    Ok(Accepted { order, channel, host_setup, descriptors, deadline, atoms, forerunner, live, renewals })
}

/// Reads no byte more than the set-up has: what follows stays in the socket.
fn read_set_up(
    shared: &Shared,
    client: &OwnedFd,
    heard: &mut Vec<u8>,
    descriptors: &mut Vec<OwnedFd>,
) -> Result<Asked, Rejected> {
    let deadline = Instant::now() + SET_UP_MAX;
    loop {
        let needed = match shared.handshake.look(heard).map_err(session::HandshakeError::reason)? {
            Step::Accept { order, version, .. } => return Ok(Asked { order, version }),
            Step::Need(needed) => needed,
        };
        let start = heard.len();
        heard.resize(needed.max(start + 1), 0);
        let room = heard.get_mut(start..).unwrap_or_default();
        let outcome = socket::receive(client, &mut [IoSliceMut::new(room)], descriptors);
        let received = if let Ok(Outcome::Bytes(received)) = outcome { received } else { 0 };
        heard.truncate(start + received);
        match outcome {
            Ok(Outcome::Bytes(_)) => {}
            Ok(Outcome::WouldBlock) => wait(shared, client, deadline)?,
            Ok(Outcome::Closed) => return Err(Rejected::Left),
            Err(errno) => return Err(format!("its set-up could not be read: {errno}").into()),
        }
    }
}

fn wait(shared: &Shared, client: &OwnedFd, deadline: Instant) -> Result<(), String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(format!("it did not finish its set-up within {} s", SET_UP_MAX.as_secs()));
    }
    let mut polled = [PollFd::new(client, PollFlags::IN), PollFd::new(&shared.stop, PollFlags::IN)];
    let timeout = rustix::event::Timespec::try_from(left).ok();
    let _ = rustix::event::poll(&mut polled, timeout.as_ref());
    let [_, stop] = polled;
    if stop.revents().is_empty() { Ok(()) } else { Err("the bridge is stopping".into()) }
}

/// The host's cookie, read anew for each client: a server that was restarted has another. A display of the host is
/// known by no address here, so only a file that the user names can have its cookie.
pub(crate) fn host_cookie(shared: &Shared, live: &LiveOptions, peer: Option<SocketAddr>) -> Option<Cookie> {
    let named = live.host_xauthority.clone();
    let cookie = match shared.route.display() {
        Some(display) => xauthority::cookie_for(&named.or_else(xauthority::default_path)?, display, peer),
        None => xauthority::cookie_of_host(&named?, shared.host_number),
    };
    cookie.map(Cookie::new)
}

/// A descriptor to poll and what for; `None` leaves it out.
pub(crate) fn poll_fd(fd: &impl AsFd, flags: PollFlags) -> Option<PollFd<'_>> {
    (!flags.is_empty()).then(|| PollFd::new(fd, flags))
}
