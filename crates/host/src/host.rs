//! A host half: starts to listen, tells what happens, and takes everything down again.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use device::Limits;
use device::gpu::{CONTEXTS_DEFAULT, CONTEXTS_MAX};
use display::DisplayName;
use events::Events;
use rustix::event::{EventfdFlags, eventfd};

use crate::error::Error;
use crate::event::Event;
use crate::gpu_device::GpuDevice;
use crate::listen::Listener;
use crate::service::Service;
use crate::x_server::XServer;

/// Bytes of the window in which the guest sees memory of the host.
pub const WINDOW_BYTES: u64 = 256 << 20;
/// Scanouts at most, the protocol's own limit.
pub const SCANOUTS_MAX: u32 = 16;

/// How long the X server may take to accept a connection, by default and at most.
const TIMEOUT_DEFAULT: Duration = Duration::from_millis(4500);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// What a host half is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen: at most 107 bytes.
    pub socket: PathBuf,
    /// The X server to connect contexts to.
    pub host_display: DisplayName,
    /// The file with its cookie; `None` for `$XAUTHORITY`, else `~/.Xauthority`.
    pub host_xauthority: Option<PathBuf>,
    /// How long it may take to accept a connection: above zero, at most 600 s.
    pub host_timeout: Duration,
    /// Contexts of a guest at once, 1 to 65,536.
    pub contexts_max: usize,
    /// Scanouts that the device has, none of which ever shows anything: 0 to [`SCANOUTS_MAX`]. Drivers before Linux
    /// 6.12 insist on one.
    pub scanouts: u32,
}

impl Options {
    /// The defaults for a socket and a host display.
    pub fn new(socket: PathBuf, host_display: DisplayName) -> Self {
        Self {
            socket,
            host_display,
            host_xauthority: None,
            host_timeout: TIMEOUT_DEFAULT,
            contexts_max: CONTEXTS_DEFAULT,
            scanouts: 1,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |why: String| Err(Error::InvalidOption { why });
        if !(1..=CONTEXTS_MAX).contains(&self.contexts_max) {
            return invalid(format!("the number of contexts is 1 to {CONTEXTS_MAX}"));
        }
        if self.scanouts > SCANOUTS_MAX {
            return invalid(format!("the number of scanouts is at most {SCANOUTS_MAX}"));
        }
        if self.host_timeout.is_zero() || self.host_timeout > TIMEOUT_MAX {
            let max = TIMEOUT_MAX.as_secs();
            return invalid(format!("the host's time limit is above 0 and at most {max} s"));
        }
        Ok(())
    }
}

/// What the threads of a host half share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) events: Events<Event>,
    /// Readable from the moment on that the host half closes; never read.
    pub(crate) stop: OwnedFd,
}

/// A running host half. Dropping it closes it.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    gpu: Service,
    socket: PathBuf,
}

impl Host {
    /// Begins to listen. `notify` is called when events begin to wait for [`Host::take_events`].
    pub fn start(options: Options, notify: Box<dyn Fn() + Send + Sync>) -> Result<Self, Error> {
        options.check()?;
        let os = |doing| move |errno| Error::Os { doing, errno };
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let stop = stop.map_err(os("making an eventfd"))?;
        let listener = Listener::bind(&options.socket)?;
        let shared = Arc::new(Shared { events: Events::new(notify), stop });
        let limits = Limits { contexts: options.contexts_max, window_bytes: WINDOW_BYTES };
        let x_server = XServer {
            display: Arc::new(options.host_display),
            xauthority: options.host_xauthority,
            timeout: options.host_timeout,
            opening_max: options.contexts_max,
            opening: Arc::default(),
        };
        let scanouts = options.scanouts;
        let make = move || GpuDevice::new(x_server.clone(), limits, scanouts);
        let gpu = Service::start("x11bridge-host", &shared, listener, make)?;
        Ok(Self { shared, gpu, socket: options.socket })
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Takes the events that wait, oldest first.
    pub fn take_events(&self) -> Vec<Event> {
        self.shared.events.take()
    }

    /// Ends all contexts, cuts the VMM off and removes the socket. Idempotent.
    pub fn close(&self) {
        let _ = rustix::io::write(&self.shared.stop, &1_u64.to_ne_bytes());
        self.gpu.end();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.close();
    }
}
