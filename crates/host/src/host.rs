//! A host half: starts to listen, tells what happens, and takes everything down again.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use device::gpu::{CONTEXTS_DEFAULT, CONTEXTS_MAX};
use device::{Exports, FsLimits, Limits};
use display::DisplayName;
use events::Events;
use rustix::event::{EventfdFlags, eventfd};

use crate::error::Error;
use crate::event::Event;
use crate::fs_device::FsDevice;
use crate::gpu_device::GpuDevice;
use crate::listen::Listener;
use crate::service::Service;
use crate::x_server::XServer;

/// Bytes of the window in which the guest sees memory of the host.
pub const WINDOW_BYTES: u64 = 256 << 20;
/// Bytes of the window in which the guest maps files of its `/dev/shm`: 128 of 2 MiB each, however small they are. When
/// all are in use, the guest's kernel takes away the one that was not used for longest.
pub const SHM_WINDOW_BYTES: u64 = 256 << 20;
/// Files with bytes in them at most, each of which is a descriptor; as long as there are twice as many.
const SHM_FILES_MAX: u64 = 4096;
/// Bytes that may be asked for at most.
const SHM_BYTES_MAX: u64 = 1 << 40;
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
    /// The guest's `/dev/shm`; `None` for none that the host shares.
    pub dev_shm: Option<DevShm>,
}

/// A `/dev/shm` for the guest.
#[derive(Debug, Clone)]
pub struct DevShm {
    /// Where to listen: at most 107 bytes.
    pub socket: PathBuf,
    /// Bytes of all files in it: above zero, at most 1 TiB.
    pub bytes: u64,
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
            dev_shm: None,
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
        let bytes = self.dev_shm.as_ref().map_or(1, |shm| shm.bytes);
        if !(1..=SHM_BYTES_MAX).contains(&bytes) {
            return invalid("the guest's /dev/shm has 1 byte to 1 TiB".into());
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
    dev_shm: Option<Service>,
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
        let dev_shm = options.dev_shm.map(|shm| Ok((Listener::bind(&shm.socket)?, shm.bytes))).transpose()?;
        let shared = Arc::new(Shared { events: Events::new(notify), stop });
        let limits = Limits { contexts: options.contexts_max, window_bytes: WINDOW_BYTES };
        let x_server = XServer {
            display: Arc::new(options.host_display),
            xauthority: options.host_xauthority,
            timeout: options.host_timeout,
            opening_max: options.contexts_max,
            opening: Arc::default(),
        };
        let exports = Exports::default();
        let scanouts = options.scanouts;
        let named = exports.clone();
        let make = move || GpuDevice::new(x_server.clone(), limits, scanouts, named.clone());
        let mut host = Self {
            gpu: Service::start("x11bridge-host", &shared, listener, make)?,
            shared,
            dev_shm: None,
            socket: options.socket,
        };
        if let Some((listener, bytes)) = dev_shm {
            let limits = FsLimits { bytes, files: files_max(), window_bytes: SHM_WINDOW_BYTES };
            let make = move || FsDevice::new(limits, exports.clone());
            host.dev_shm = Some(Service::start("x11bridge-shm", &host.shared, listener, make)?);
        }
        Ok(host)
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
        if let Some(dev_shm) = &self.dev_shm {
            dev_shm.end();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.close();
    }
}

/// Half of the descriptors that this process may have: the rest is for what else it does.
fn files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    usize::try_from(limit.unwrap_or(u64::MAX).saturating_div(2).min(SHM_FILES_MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Options)) -> Option<String> {
        let mut options = Options::new("/nowhere".into(), DisplayName::parse(":0").unwrap());
        change(&mut options);
        options.check().err().map(|error| error.to_string())
    }

    #[test]
    fn limits_are_taken_up_to_their_edges() {
        let shm =
            |bytes| refused(|options| options.dev_shm = Some(DevShm { socket: "/nowhere".into(), bytes }));
        let contexts = |max| refused(|options| options.contexts_max = max);
        let scanouts = |number| refused(|options| options.scanouts = number);
        let timeout = |after| refused(|options| options.host_timeout = after);
        assert_eq!([shm(1), shm(SHM_BYTES_MAX - 1), shm(SHM_BYTES_MAX)], [None, None, None]);
        assert_eq!([contexts(1), contexts(CONTEXTS_MAX)], [None, None]);
        assert_eq!([scanouts(0), scanouts(SCANOUTS_MAX)], [None, None]);
        assert_eq!([timeout(Duration::from_nanos(1)), timeout(TIMEOUT_MAX)], [None, None]);
        for refusal in [shm(0), shm(SHM_BYTES_MAX + 1)] {
            assert!(refusal.unwrap().contains("1 byte to 1 TiB"));
        }
        for refusal in [contexts(0), contexts(CONTEXTS_MAX + 1)] {
            assert!(refusal.unwrap().contains("the number of contexts is 1 to 65536"));
        }
        assert!(scanouts(SCANOUTS_MAX + 1).unwrap().contains("at most 16"));
        for refusal in [timeout(Duration::ZERO), timeout(TIMEOUT_MAX + Duration::from_nanos(1))] {
            assert!(refusal.unwrap().contains("above 0 and at most 600 s"));
        }
    }
}
