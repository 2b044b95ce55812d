//! The X server that contexts are connected to.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use device::gpu::ContextKey;
use device::{OpenFailure, Opened};
use display::{DisplayName, xauthority};
use rustix::io::Errno;
use session::Cookie;

use crate::mail::{Mail, Mailbox};

/// Connecting needs some KiB; name resolution, for servers over TCP, some more.
const STACK_BYTES: usize = 256 << 10;

/// An X server by its name.
#[derive(Debug, Clone)]
pub(crate) struct XServer {
    pub(crate) display: Arc<DisplayName>,
    pub(crate) xauthority: Option<PathBuf>,
    pub(crate) timeout: Duration,
    /// Connections that are being opened at once at most: a guest may make contexts, and destroy them before they are
    /// connected, as fast as it likes.
    pub(crate) opening_max: usize,
    /// How many are being opened.
    pub(crate) opening: Arc<AtomicUsize>,
}

/// One of the connections that are being opened; no more when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl XServer {
    /// Connects on a thread of its own: a server that has stopped, and whose queue is full, holds up whoever connects,
    /// for the time limit at most.
    pub(crate) fn connect(&self, context: ContextKey, mailbox: &Mailbox) {
        let refuse = |errno: Errno, text: String| {
            let errno = errno.raw_os_error().unsigned_abs();
            mailbox.put(Mail::Opened(context, Err(OpenFailure { errno, text })));
        };
        let place = Place(Arc::clone(&self.opening));
        if self.opening.fetch_add(1, Relaxed) >= self.opening_max {
            let max = self.opening_max;
            return refuse(
                Errno::AGAIN,
                format!("{max} connections to the X server are being opened already"),
            );
        }
        let (server, theirs) = (self.clone(), mailbox.clone());
        let thread = std::thread::Builder::new().name("x11bridge-open".into()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || {
            let opened = server.open();
            drop(place);
            theirs.put(Mail::Opened(context, opened));
        });
        if let Err(error) = spawned {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::AGAIN);
            refuse(errno, format!("no thread could be started for it: {error}"));
        }
    }

    fn open(&self) -> Result<Opened, OpenFailure> {
        let connected = self.display.connect(self.timeout).map_err(|error| OpenFailure {
            errno: error.errno.map_or(0, |errno| errno.raw_os_error().unsigned_abs()),
            text: error.to_string(),
        })?;
        // Read anew for each client: a server that was restarted has another.
        let file = self.xauthority.clone().or_else(xauthority::default_path);
        let cookie = file.and_then(|file| xauthority::cookie_for(&file, &self.display, connected.peer));
        Ok(Opened { socket: connected.socket, cookie: cookie.map(Cookie::new) })
    }
}
