//! The X server that contexts are connected to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use device::gpu::ContextKey;
use device::{OpenFailure, Opened};
use display::{DisplayName, xauthority};
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
}

impl XServer {
    /// Connects on a thread of its own: a server that has stopped, and whose queue is full, holds up whoever connects.
    /// There are no more such threads than contexts, each for the time limit at most.
    pub(crate) fn connect(&self, context: ContextKey, mailbox: &Mailbox) {
        let (server, theirs) = (self.clone(), mailbox.clone());
        let thread = std::thread::Builder::new().name("x11bridge-open".into()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || theirs.put(Mail::Opened(context, server.open())));
        if let Err(error) = spawned {
            let errno = error.raw_os_error().map_or(0, i32::unsigned_abs);
            let text = format!("no thread could be started for it: {error}");
            mailbox.put(Mail::Opened(context, Err(OpenFailure { errno, text })));
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
