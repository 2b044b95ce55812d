//! The Node addon: conversions and lifetimes, nothing else.
//!
//! Errors are values, as in `{kind, message, side, retry}`; nothing throws. Every export catches panics, which would
//! end the Node process. JavaScript is called once for a batch of events, never for a packet.
#![deny(unsafe_code, reason = "all of the project's own is in crates/sys")]

mod convert;
pub mod host;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use bridge::{Bridge, LiveOptions, TraceBatch};
use napi::bindgen_prelude::{AsyncTask, Either, Env, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Status, Task};
use napi_derive::napi;

use values::{
    BindingClient, BindingError, BindingEvent, BindingLiveOptions, BindingOptions, BindingSharing,
    BindingStats, BindingTraceBatch, BindingTraceStart,
};

/// What is called when events begin to wait; gone when none will any more, so that the event loop can end.
type Listener = Arc<Mutex<Option<ThreadsafeFunction<(), (), (), Status, false>>>>;
type Notify = Box<dyn Fn() + Send + Sync>;

/// A running bridge.
#[napi]
pub struct BindingBridge {
    bridge: Arc<Bridge>,
    listener: Listener,
}

/// Starts a bridge. A handful of system calls; nothing is asked of the X server yet.
///
/// `onEvents` is called, on the thread of this call, when events begin to wait for `takeEvents`. The event loop stays
/// alive until the bridge is closed.
#[napi(catch_unwind)]
pub fn start_bridge(
    options: BindingOptions,
    on_events: Function<'_, (), ()>,
) -> Either<BindingBridge, BindingError> {
    match start(options, &on_events) {
        Ok(bridge) => Either::A(bridge),
        Err(error) => Either::B(error),
    }
}

fn start(options: BindingOptions, on_events: &Function<'_, (), ()>) -> Result<BindingBridge, BindingError> {
    silence_panics();
    let options = convert::options(options)?;
    let (listener, notify) = listen(on_events)?;
    let bridge = Bridge::start(options, notify).map_err(|error| BindingError::from(&error))?;
    Ok(BindingBridge { bridge: Arc::new(bridge), listener })
}

/// What to keep until the end, and what to call from any thread meanwhile.
fn listen(on_events: &Function<'_, (), ()>) -> Result<(Listener, Notify), BindingError> {
    let listener = on_events.build_threadsafe_function().build();
    let listener = listener.map_err(|error| BindingError::internal(&error.reason))?;
    let listener = Arc::new(Mutex::new(Some(listener)));
    let called = Arc::clone(&listener);
    let notify = Box::new(move || {
        if let Some(listener) = &*called.lock().unwrap_or_else(PoisonError::into_inner) {
            listener.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    });
    Ok((listener, notify))
}

/// The version of this addon; it must be that of the package.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Which way to an X server the virtio-gpu device offers, in one line, or why there is none. Blocks for up to 5 s.
#[napi(catch_unwind)]
pub fn virtgpu_offer(render_node: Option<String>) -> Either<String, BindingError> {
    let render_node = render_node.map(std::path::PathBuf::from);
    match bridge::virtgpu_offer(render_node.as_deref()) {
        Ok(offer) => Either::A(offer),
        Err(error) => Either::B(BindingError::from(&error)),
    }
}

/// How the thread that watches fences would sleep here: `io_uring`, `futex_waitv` or `threads`.
#[napi(catch_unwind)]
pub fn fence_watcher() -> String {
    bridge::FenceBackend::best().to_string()
}

/// What can be done with the files of a folder; absent where none can be made there.
#[napi(catch_unwind)]
#[allow(clippy::needless_pass_by_value, reason = "strings of JavaScript are copied at the border")]
pub fn examine_sharing(folder: String) -> Option<BindingSharing> {
    let sharing = sys::dev_shm::examine(std::path::Path::new(&folder)).ok()?;
    Some(BindingSharing { is_shared: sharing.is_shared, has_names: sharing.has_names })
}

/// Tells the service manager behind `$NOTIFY_SOCKET` some assignments, a line each; `false` when it can't be reached.
#[napi(catch_unwind)]
#[allow(clippy::needless_pass_by_value, reason = "strings of JavaScript are copied at the border")]
pub fn notify_service(socket: String, state: String) -> bool {
    bridge::service::notify(&socket, &state).is_ok()
}

/// The user at the other end of a Unix socket, by the number of its descriptor; absent where that is none.
#[napi(catch_unwind)]
pub fn peer_user(descriptor: i32) -> Option<u32> {
    sys::peer::peer_user(descriptor).ok()
}

#[napi]
impl BindingBridge {
    /// The display's number; absent for a socket of another path.
    #[napi(getter, catch_unwind)]
    pub fn display(&self) -> Option<u32> {
        self.bridge.number()
    }

    /// The channel that is used: `virtgpu`, `vsock`, `tcp`, `loopback` or `socket`.
    #[napi(getter, catch_unwind)]
    pub fn channel(&self) -> &'static str {
        self.bridge.channel().0.name()
    }

    /// Why that channel, in one line.
    #[napi(getter, catch_unwind)]
    pub fn channel_reason(&self) -> String {
        self.bridge.channel().1.to_owned()
    }

    /// Path of the clients' Xauthority file; absent where they need no cookie.
    #[napi(getter, catch_unwind)]
    pub fn xauthority(&self) -> Option<String> {
        self.bridge.xauthority().map(|path| path.to_string_lossy().into_owned())
    }

    /// Path of the display's socket; there is an abstract socket of the same name.
    #[napi(getter, catch_unwind)]
    pub fn socket_path(&self) -> String {
        self.bridge.socket_path().to_string_lossy().into_owned()
    }

    /// Takes the events that wait, oldest first.
    #[napi(catch_unwind)]
    pub fn take_events(&self) -> Vec<BindingEvent> {
        self.bridge.take_events().into_iter().map(BindingEvent::from).collect()
    }

    /// Changes what may change while it runs; gives the reason back when that makes no sense, or can't be, and nothing changes.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingError | null>")]
    pub fn reconfigure(&self, options: BindingLiveOptions) -> AsyncTask<Reconfigure> {
        AsyncTask::new(Reconfigure { bridge: Arc::clone(&self.bridge), options: Some(options) })
    }

    /// The numbers of this moment.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> BindingStats {
        self.bridge.stats().into()
    }

    /// Looks at every connected client, in the order of their numbers.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingClient[]>")]
    pub fn clients(&self) -> AsyncTask<Look> {
        AsyncTask::new(Look(Arc::clone(&self.bridge)))
    }

    /// Ends a client's connection; `false` when there is no client of this number.
    #[napi(catch_unwind)]
    pub fn close_client(&self, client: i64) -> bool {
        u64::try_from(client).is_ok_and(|client| self.bridge.close_client(client))
    }

    /// Begins to tell every message, of one client or of all; `onEvents` is called for it too. `names` are the extensions whose
    /// numbers are to be known.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingTraceStart>")]
    pub fn trace(&self, client: Option<i64>, names: Vec<String>) -> AsyncTask<TraceBegin> {
        let client = client.map(|client| u64::try_from(client).unwrap_or(u64::MAX));
        AsyncTask::new(TraceBegin { bridge: Arc::clone(&self.bridge), client, names })
    }

    /// Takes what was to tell since the last time.
    #[napi(catch_unwind)]
    pub fn take_trace(&self) -> BindingTraceBatch {
        let TraceBatch { records, lost } = self.bridge.take_trace();
        BindingTraceBatch { records: records.into(), lost: convert::number(lost) }
    }

    /// Tells no more.
    #[napi(catch_unwind)]
    pub fn end_trace(&self) {
        self.bridge.end_trace();
    }

    /// Stops taking clients and removes the display's files at once, on this thread; waits for nobody. For a process that
    /// is about to end: Node runs no finalizers then.
    #[napi(catch_unwind)]
    pub fn stop_taking(&self) {
        self.bridge.stop_taking();
    }

    /// Stops taking clients, lets those that are connected have what was said to them (2 seconds at most), and removes
    /// the display's files. Idempotent: every call resolves when all is done.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Close> {
        AsyncTask::new(Close { bridge: Arc::clone(&self.bridge), listener: Arc::clone(&self.listener) })
    }
}

/// Looking waits a moment for clients that are busy, so it runs on a thread of Node's pool.
pub struct Look(Arc<Bridge>);

impl Task for Look {
    type Output = Vec<BindingClient>;
    type JsValue = Vec<BindingClient>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        Ok(self.0.clients().into_iter().map(BindingClient::from).collect())
    }

    fn resolve(&mut self, _env: Env, clients: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(clients)
    }
}

/// Another policy may begin with questions to the X server, so that runs on a thread of Node's pool.
pub struct Reconfigure {
    bridge: Arc<Bridge>,
    options: Option<BindingLiveOptions>,
}

impl Reconfigure {
    fn change(&mut self) -> Option<BindingError> {
        let live = LiveOptions::clone(&self.bridge.live());
        let changed = convert::live_options(self.options.take()?, live)
            .and_then(|live| self.bridge.reconfigure(live).map_err(|error| BindingError::from(&error)));
        changed.err()
    }
}

impl Task for Reconfigure {
    type Output = Option<BindingError>;
    type JsValue = Option<BindingError>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        catch_unwind(AssertUnwindSafe(|| self.change()))
            .map_err(|_| napi::Error::from_reason("the addon failed: changing the options panicked"))
    }

    fn resolve(&mut self, _env: Env, error: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(error)
    }
}

/// A trace begins with questions to the X server, so that runs on a thread of Node's pool.
pub struct TraceBegin {
    bridge: Arc<Bridge>,
    client: Option<u64>,
    names: Vec<String>,
}

impl Task for TraceBegin {
    type Output = BindingTraceStart;
    type JsValue = BindingTraceStart;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        catch_unwind(AssertUnwindSafe(|| self.bridge.trace(self.client, &self.names).into()))
            .map_err(|_| napi::Error::from_reason("the addon failed: beginning a trace panicked"))
    }

    fn resolve(&mut self, _env: Env, start: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(start)
    }
}

/// Closing blocks, so it runs on a thread of Node's pool.
pub struct Close {
    bridge: Arc<Bridge>,
    listener: Listener,
}

impl Task for Close {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        // napi catches nothing here, and a panic would end the process.
        catch_unwind(AssertUnwindSafe(|| self.bridge.close()))
            .map_err(|_| napi::Error::from_reason("the addon failed: closing the bridge panicked"))
    }

    fn resolve(&mut self, _env: Env, (): ()) -> napi::Result<()> {
        // Lets the event loop end. Calls that are queued still come.
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

/// A panic is caught, counted and logged by the bridge; Rust's own report on standard error would come on top.
fn silence_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}
