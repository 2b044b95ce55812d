//! The host half's exports.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use display::DisplayName;
use host::{DevShm, Event, Host, Options};
use napi::Task;
use napi::bindgen_prelude::{AsyncTask, Either, Env, Function};
use napi_derive::napi;

use crate::convert::{invalid, number};
use crate::values::{BindingDevShm, BindingError, BindingHostEvent, BindingHostOptions, BindingTraffic};
use crate::{Listener, listen, silence_panics};

/// A running host half.
#[napi]
pub struct BindingHost {
    host: Arc<Host>,
    listener: Listener,
}

/// Starts a host half. Nothing is asked of the X server yet.
///
/// `onEvents` is called, on the thread of this call, when events begin to wait for `takeEvents`. The event loop stays
/// alive until the host half is closed.
#[napi(catch_unwind)]
pub fn start_host(
    options: BindingHostOptions,
    on_events: Function<'_, (), ()>,
) -> Either<BindingHost, BindingError> {
    match start(options, &on_events) {
        Ok(host) => Either::A(host),
        Err(error) => Either::B(error),
    }
}

fn start(options: BindingHostOptions, on_events: &Function<'_, (), ()>) -> Result<BindingHost, BindingError> {
    silence_panics();
    let options = host_options(options)?;
    let (listener, notify) = listen(on_events)?;
    let host = Host::start(options, notify).map_err(|error| BindingError::from(&error))?;
    Ok(BindingHost { host: Arc::new(host), listener })
}

fn host_options(options: BindingHostOptions) -> Result<Options, BindingError> {
    let host_display =
        DisplayName::parse(&options.host_display).map_err(|error| invalid(error.to_string()))?;
    let mut out = Options::new(PathBuf::from(options.socket), host_display);
    out.host_xauthority = options.host_xauthority.map(PathBuf::from);
    if let Some(millis) = options.host_timeout_ms {
        out.host_timeout = Duration::from_millis(millis.into());
    }
    if let Some(contexts) = options.contexts_max {
        out.contexts_max = contexts as usize;
    }
    out.dev_shm = options
        .dev_shm
        .map(|BindingDevShm { socket, mib }| DevShm { socket: socket.into(), bytes: u64::from(mib) << 20 });
    Ok(out)
}

#[napi]
impl BindingHost {
    /// Path of the socket.
    #[napi(getter, catch_unwind)]
    pub fn socket(&self) -> String {
        self.host.socket().to_string_lossy().into_owned()
    }

    /// Takes the events that wait, oldest first.
    #[napi(catch_unwind)]
    pub fn take_events(&self) -> Vec<BindingHostEvent> {
        self.host.take_events().into_iter().map(BindingHostEvent::from).collect()
    }

    /// Closes it at once, on this thread. For a process that is about to end: Node runs no finalizers then.
    #[napi(catch_unwind)]
    pub fn stop(&self) {
        self.host.close();
    }

    /// Ends all contexts, cuts the virtual machine monitor off and removes the socket. Idempotent: every call resolves when
    /// all is done.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<CloseHost> {
        AsyncTask::new(CloseHost { host: Arc::clone(&self.host), listener: Arc::clone(&self.listener) })
    }
}

/// Closing waits for a thread, so it runs on one of Node's pool.
pub struct CloseHost {
    host: Arc<Host>,
    listener: Listener,
}

impl Task for CloseHost {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        self.host.close();
        Ok(())
    }

    fn resolve(&mut self, _env: Env, (): ()) -> napi::Result<()> {
        // Lets the event loop end. Calls that are queued still come.
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

impl From<&host::Error> for BindingError {
    fn from(error: &host::Error) -> Self {
        let side = if error.is_internal() { "bridge" } else { "user" };
        Self {
            kind: error.kind().into(),
            message: error.to_string(),
            side: side.into(),
            retry: error.retry(),
        }
    }
}

impl From<Event> for BindingHostEvent {
    fn from(event: Event) -> Self {
        let blank = |kind: &str| Self {
            kind: kind.into(),
            pid: None,
            context: None,
            name: None,
            reason: None,
            traffic: None,
            level: None,
            message: None,
        };
        match event {
            Event::GuestConnected { pid } => Self { pid, ..blank("guest-connected") },
            Event::GuestDisconnected { reason } => {
                Self { reason: Some(reason), ..blank("guest-disconnected") }
            }
            Event::ContextOpened { context, name } => {
                Self { context: Some(context.into()), name: Some(name), ..blank("context-opened") }
            }
            Event::ContextClosed { context, reason, traffic } => Self {
                context: Some(context.into()),
                reason: Some(reason),
                traffic: Some(BindingTraffic {
                    bytes_to_host: number(traffic.bytes_to_host),
                    bytes_to_guest: number(traffic.bytes_to_guest),
                    messages_to_guest: number(traffic.messages_to_guest),
                    fds_to_host: number(traffic.descriptors_to_host),
                    fds_to_guest: number(traffic.descriptors_to_guest),
                }),
                ..blank("context-closed")
            },
            Event::Log { level, message } => {
                Self { level: Some(level.name().into()), message: Some(message), ..blank("log") }
            }
        }
    }
}
