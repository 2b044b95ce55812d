//! The thread of a device, from its start to its end.

use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::io::Errno;

use crate::error::Error;
use crate::host::Shared;
use crate::listen::Listener;
use crate::runner::{FrontEnd, Runner};
use crate::virtio_device::VirtioDevice;

/// A device that VMMs can connect to.
#[derive(Debug)]
pub(crate) struct Service {
    front_end: FrontEnd,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Service {
    /// Begins to serve one VMM after another, each with a device that `make` makes, until the host half stops.
    pub(crate) fn start<D: VirtioDevice>(
        name: &str,
        shared: &Arc<Shared>,
        listener: Listener,
        make: impl Fn() -> D + Send + 'static,
    ) -> Result<Self, Error> {
        let os = |doing| move |errno| Error::Os { doing, errno };
        let front_end = FrontEnd::default();
        let runner = Runner::new(Arc::clone(shared), listener, Arc::clone(&front_end), make);
        let runner = runner.map_err(os("making an epoll"))?;
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || runner.run());
        let thread = thread
            .map_err(|error| os("starting a thread")(Errno::from_io_error(&error).unwrap_or(Errno::AGAIN)))?;
        Ok(Self { front_end, thread: Mutex::new(Some(thread)) })
    }

    /// Cuts the VMM off, and returns when the thread has ended, which was told to stop before.
    pub(crate) fn end(&self) {
        let front_end = self.front_end.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(front_end) = &*front_end {
            let _ = front_end.shutdown(Shutdown::Both);
        }
        drop(front_end);
        // Held while waiting, so that every call returns only when the socket is gone.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}
