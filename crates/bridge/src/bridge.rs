//! A bridge: starts a display, accepts its clients, and takes everything down again.

use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use display::{DisplayName, Target, xauthority};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use session::{Cookie, Handshake, Side};
use sys::socket;

use crate::channel::{ChannelChoice, FenceChoice, Route, Wishes};
use crate::client;
use crate::error::Error;
use crate::events::{Event, Events, Level};
use crate::listen::Listener;
use crate::live::LiveOptions;
use crate::renewal::Renewal;
use crate::roster::{ClientStatus, Roster};
use crate::stats::{Meter, Stats};
use crate::tracing::{TraceBatch, TraceStart, Tracing, extension_codes};

/// Bytes of a cookie.
const COOKIE_BYTES: usize = 16;
/// A thread of a client needs some 20 KiB of stack; pages that it does not touch cost nothing.
const STACK_BYTES: usize = 256 << 10;
/// After a stop, clients have their own time to drain; this is for their threads to end.
const STOP_MAX: Duration = Duration::from_secs(4);

/// How long the accepting thread waits for a client that it has no room for: libraries speak as soon as they are
/// connected, and somebody who does not must not hold up the others.
const REFUSAL_MAX: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What a bridge is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Display number, 0 to 59,535; `None` for the first free one.
    pub display: Option<u32>,
    /// The X server to carry clients to; only needed for channels that do not lead to the host by themselves.
    pub host_display: Option<DisplayName>,
    /// Whether the user named that display for this bridge, so that no other will do.
    pub host_display_named: bool,
    /// The path of a socket to listen on in place of a display. Who may open it may connect, whatever cookie it shows.
    pub socket: Option<PathBuf>,
    /// Numbers of descriptors, listening sockets of a display, that a service manager has passed; empty for none.
    pub inherited: Vec<i32>,
    /// An existing directory, the caller's own, for the clients' Xauthority file.
    pub runtime_dir: PathBuf,
    /// The way to the host.
    pub channel: ChannelChoice,
    /// The render node of the virtio-gpu device; `None` for the first one that there is.
    pub render_node: Option<PathBuf>,
    /// How fences cross kernels; without any, clients are not offered DRI3.
    pub fences: FenceChoice,
    /// What may change later.
    pub live: LiveOptions,
}

impl Options {
    /// The defaults for a host display and a runtime directory.
    pub fn new(host_display: Option<DisplayName>, runtime_dir: PathBuf) -> Self {
        Self {
            display: None,
            socket: None,
            inherited: vec![],
            host_display_named: host_display.is_some(),
            host_display,
            runtime_dir,
            channel: ChannelChoice::Auto,
            render_node: None,
            fences: FenceChoice::Auto,
            live: LiveOptions::default(),
        }
    }

    fn wishes(&self) -> Wishes<'_> {
        Wishes {
            choice: &self.channel,
            host_display: self.host_display.as_ref(),
            host_display_named: self.host_display_named,
            render_node: self.render_node.as_deref(),
            dri3: self.live.dri3,
            fences: self.fences,
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.display.is_some_and(|number| number > display::name::NUMBER_MAX) {
            let why = format!("a display number is at most {}", display::name::NUMBER_MAX);
            return Err(Error::InvalidOption { why });
        }
        if self.socket.is_some() && self.display.is_some() {
            let why =
                "a bridge serves a display or listens on a socket of another path, and both are named; leave one out".into();
            return Err(Error::InvalidOption { why });
        }
        self.live.check()
    }
}

/// What all threads of a bridge share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) handshake: Handshake,
    pub(crate) route: Route,
    /// The number of the host's display, where the user has named it.
    pub(crate) host_number: Option<u32>,
    pub(crate) fences: FenceChoice,
    pub(crate) events: Events,
    pub(crate) meter: Meter,
    pub(crate) roster: Roster,
    pub(crate) tracing: Tracing,
    /// Readable from the moment on that the bridge stops; never read, so that it wakes every thread.
    pub(crate) stop: OwnedFd,
    /// The same for threads that are too busy to sleep.
    pub(crate) stopped: AtomicBool,
    /// What tells this bridge from others on the same server: no secret.
    pub(crate) token: String,
    /// The clients of this bridge, as a policy sees them.
    pub(crate) side: Arc<Side>,
    live: Mutex<Live>,
    /// How often the policy has changed for clients that are connected.
    renewals: AtomicU64,
    /// Held while the options change.
    changing: Mutex<()>,
    clients: Mutex<usize>,
    client_left: Condvar,
    last_client: AtomicU64,
}

impl Shared {
    fn new(
        options: Options,
        handshake: Handshake,
        route: Route,
        token: String,
        notify: Box<dyn Fn() + Send + Sync>,
        stop: OwnedFd,
    ) -> Self {
        let notify: Arc<dyn Fn() + Send + Sync> = notify.into();
        let tracing = Tracing::new(Arc::clone(&notify));
        Self {
            handshake,
            route,
            host_number: options
                .host_display
                .filter(|_| options.host_display_named)
                .and_then(|name| name.number),
            fences: options.fences,
            events: Events::new(Box::new(move || notify())),
            meter: Meter::default(),
            roster: Roster::default(),
            tracing,
            stop,
            stopped: AtomicBool::default(),
            token,
            side: Arc::default(),
            live: Mutex::new(Live { options: Arc::new(options.live), renewals: 0, renewal: None }),
            renewals: AtomicU64::default(),
            changing: Mutex::default(),
            clients: Mutex::default(),
            client_left: Condvar::new(),
            last_client: AtomicU64::default(),
        }
    }

    /// The options of this moment.
    pub(crate) fn live(&self) -> Arc<LiveOptions> {
        self.latest().options
    }

    /// The same with what they are for those who are connected; a client asks when it connects, and when the policy has changed.
    pub(crate) fn latest(&self) -> Live {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the policy has changed for clients that are connected.
    #[inline]
    pub(crate) fn renewals(&self) -> u64 {
        // A client that speaks after it was told of a change is ruled by it.
        self.renewals.load(Acquire)
    }

    /// Changes the options, for connected clients as well where there is a renewal.
    fn change(&self, options: LiveOptions, renewal: Option<Renewal>) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.options = Arc::new(options);
        if renewal.is_some() {
            live.renewal = renewal.map(Arc::new);
            live.renewals += 1;
            self.renewals.store(live.renewals, Release);
        }
    }

    fn clients(&self) -> MutexGuard<'_, usize> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The options that may change, and the last policy that came for connected clients.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) options: Arc<LiveOptions>,
    /// How many came so far.
    pub(crate) renewals: u64,
    pub(crate) renewal: Option<Arc<Renewal>>,
}

/// A running bridge. Dropping it closes it.
#[derive(Debug)]
pub struct Bridge {
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
    number: Option<u32>,
    socket_path: PathBuf,
    xauthority: Option<PathBuf>,
    channel_reason: String,
}

impl Bridge {
    /// Starts a display. `notify` is called when events begin to wait for [`Bridge::take_events`].
    pub fn start(options: Options, notify: Box<dyn Fn() + Send + Sync>) -> Result<Self, Error> {
        options.check()?;
        let (route, why) = options.wishes().decide()?;
        Self::start_over(options, route, why, notify)
    }

    /// The same over a channel that is decided already, and in one line why; the options' own channel does not count.
    pub fn start_over(
        mut options: Options,
        route: Route,
        why: String,
        notify: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, Error> {
        options.check()?;
        let os = |doing| move |errno| Error::Os { doing, errno };
        let stop =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(os("making an eventfd"))?;
        let cookie = random_cookie().map_err(os("reading random bytes"))?;
        let token = random_cookie().map_err(os("reading random bytes"))?;
        let token = token
            .first_chunk()
            .copied()
            .map_or_else(String::new, |bytes| format!("{:08x}", u32::from_ne_bytes(bytes)));
        options.live = options.live.over(&route, options.fences)?;
        if options.fences == FenceChoice::Relay && !route.can_relay_fences() {
            let why = format!("the way to {route} relays no fences; leave fences at auto");
            return Err(Error::InvalidOption { why });
        }
        if options.fences == FenceChoice::Shared && !route.can_share_fences() {
            let why = format!(
                "this machine's /dev/shm is not shared with {route}, so no fence can be; leave fences at auto"
            );
            return Err(Error::InvalidOption { why });
        }
        let local = route.display().filter(|display| display.target == Target::Local);
        let listener = match options.socket.clone() {
            Some(path) => Listener::at(path)?,
            None if !options.inherited.is_empty() => {
                Listener::inherited(&options.inherited, options.display)?
            }
            None => Listener::bind(options.display, local.and_then(|display| display.number))?,
        };
        let number = listener.number();
        if let Some(display) = local.filter(|display| number.is_some() && display.number == number) {
            return Err(own_display(display));
        }
        let (handshake, xauthority) = match number {
            Some(number) => {
                let file = write_xauthority(&options.runtime_dir, number, &cookie)?;
                (Handshake::new(Cookie::new(cookie)), Some(file))
            }
            None => (Handshake::open(), None),
        };
        let shared = Arc::new(Shared::new(options, handshake, route, token, notify, stop));
        let socket_path = listener.path().to_owned();
        let xauthority_path = xauthority.as_ref().map(|file| file.0.clone());
        let acceptor = Acceptor {
            shared: Arc::clone(&shared),
            listener,
            reserve: open_reserve(),
            _xauthority: xauthority,
        };
        let thread =
            std::thread::Builder::new().name("x11bridge-accept".into()).spawn(move || acceptor.run());
        let thread = thread.map_err(|error| Error::Os {
            doing: "starting a thread",
            errno: Errno::from_io_error(&error).unwrap_or(Errno::AGAIN),
        })?;
        Ok(Self {
            shared,
            acceptor: Mutex::new(Some(thread)),
            number,
            socket_path,
            xauthority: xauthority_path,
            channel_reason: why,
        })
    }

    /// The display's number; none for a socket of another path.
    pub const fn number(&self) -> Option<u32> {
        self.number
    }

    /// The display's socket.
    pub fn socket_path(&self) -> &Path {
        &self.socket_path
    }

    /// The clients' Xauthority file; none where they need no cookie.
    pub fn xauthority(&self) -> Option<&Path> {
        self.xauthority.as_deref()
    }

    /// The channel that is used, and in one line why.
    pub fn channel(&self) -> (&Route, &str) {
        (&self.shared.route, &self.channel_reason)
    }

    /// Takes the events that wait, oldest first.
    pub fn take_events(&self) -> Vec<Event> {
        self.shared.events.take()
    }

    /// Changes what may change: the policy for all clients from their next request on, the rest for those that connect from now on.
    /// Options that make no sense change nothing, nor does a policy that the X server has to be asked about and that it does not
    /// answer; blocks until it has, which may take its time limit twice.
    pub fn reconfigure(&self, live: LiveOptions) -> Result<(), Error> {
        let live = live.over(&self.shared.route, self.shared.fences)?;
        let _one = self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let holding = self.shared.live().policy.as_ref().map(Arc::as_ptr);
        let same = holding == live.policy.as_ref().map(Arc::as_ptr);
        let clients = self.shared.clients();
        if same || *clients == 0 {
            // Who connects from here on has not asked for the options yet.
            self.shared.change(live, None);
            return Ok(());
        }
        drop(clients);
        let renewal = Renewal::ask(&self.shared, &live).map_err(|why| Error::PolicyUntold { why })?;
        self.shared.change(live, Some(renewal));
        Ok(())
    }

    /// The options that may change, as they are for clients that connect now.
    pub fn live(&self) -> Arc<LiveOptions> {
        self.shared.live()
    }

    /// The numbers of this moment.
    pub fn stats(&self) -> Stats {
        let clients = *self.shared.clients() as u64;
        self.shared.meter.stats(clients, self.shared.roster.round_trips())
    }

    /// The connected clients with their numbers, by number. Blocks for up to 50 ms while clients are very busy.
    pub fn clients(&self) -> Vec<ClientStatus> {
        self.shared.roster.look()
    }

    /// Ends a client's connection; `false` when there is no such client.
    pub fn close_client(&self, client: u64) -> bool {
        self.shared.roster.end(client)
    }

    /// Begins to tell what goes through, message by message: of one client or of all. `notify` is called when something
    /// waits for [`Bridge::take_trace`]. `names` are the extensions whose numbers are to be known; blocks until the X server
    /// has told them.
    pub fn trace(&self, client: Option<u64>, names: &[String]) -> Result<TraceStart, Error> {
        if !self.shared.tracing.begin(client) {
            return Err(Error::Traced);
        }
        let live = self.shared.live();
        let told = extension_codes(&self.shared, &live, names, Instant::now() + live.host_timeout);
        self.shared.roster.ask();
        Ok(match told {
            Ok(extensions) => TraceStart { extensions, unknown: None },
            Err(why) => TraceStart { extensions: vec![], unknown: Some(why) },
        })
    }

    /// What was to tell since the last time.
    pub fn take_trace(&self) -> TraceBatch {
        self.shared.tracing.take()
    }

    /// Tells no more.
    pub fn end_trace(&self) {
        self.shared.tracing.end();
        self.shared.roster.ask();
    }

    /// Stops taking clients, lets those that are connected have what was said to them, removes the display's files.
    /// Blocks until then, a few seconds at most. Idempotent.
    pub fn close(&self) {
        self.stop_taking();
        let clients = self.shared.clients();
        let waited = self.shared.client_left.wait_timeout_while(clients, STOP_MAX, |clients| *clients > 0);
        drop(waited);
    }

    /// Stops taking clients and removes the display's files; waits for nobody. For a process that is about to end.
    pub fn stop_taking(&self) {
        self.shared.stopped.store(true, Relaxed);
        let _ = rustix::io::write(&self.shared.stop, &1_u64.to_ne_bytes());
        // Held while waiting, so that every call returns only when the files are gone.
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = acceptor.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Node drops it in a finalizer, which a panic must not leave.
        let _ = catch_unwind(AssertUnwindSafe(|| self.close()));
    }
}

/// A file that goes with the value.
#[derive(Debug)]
struct RemovedFile(PathBuf);

impl Drop for RemovedFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes the file with the clients' cookie.
fn write_xauthority(folder: &Path, number: u32, cookie: &[u8]) -> Result<RemovedFile, Error> {
    let path = folder.join(format!("xauthority-{number}"));
    xauthority::write_private(&path, &xauthority::entries_for(number, cookie)).map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Error::RuntimeDir { path: path.clone(), errno }
    })?;
    Ok(RemovedFile(path))
}

/// A bridge to itself would pass its clients round and round.
fn own_display(host: &DisplayName) -> Error {
    let why = format!("the host display {host} would be the bridge's own; name the display of an X server");
    Error::InvalidOption { why }
}

fn random_cookie() -> Result<Vec<u8>, Errno> {
    let random = rustix::fs::open("/dev/urandom", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut cookie = vec![0; COOKIE_BYTES];
    let read = rustix::io::read(&random, &mut cookie)?;
    if read == COOKIE_BYTES { Ok(cookie) } else { Err(Errno::IO) }
}

/// A descriptor to give up when no other is left, so that a client can be told.
fn open_reserve() -> Option<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// The thread that accepts. When it ends, the display's files are gone.
struct Acceptor {
    shared: Arc<Shared>,
    listener: Listener,
    reserve: Option<OwnedFd>,
    _xauthority: Option<RemovedFile>,
}

impl Acceptor {
    fn run(mut self) {
        let [by_path, by_name] = self.listener.sockets();
        let (by_path, by_name) = (by_path.clone(), by_name.clone());
        loop {
            let mut polled = [
                PollFd::new(&self.shared.stop, PollFlags::IN),
                PollFd::new(&by_path, PollFlags::IN),
                PollFd::new(&by_name, PollFlags::IN),
            ];
            let _ = poll(&mut polled, None);
            let ready = polled.map(|polled| !polled.revents().is_empty());
            match ready {
                [true, ..] => break,
                [_, true, _] => self.accept(&by_path),
                [.., true] => self.accept(&by_name),
                _ => {}
            }
        }
    }

    fn accept(&mut self, listener: &OwnedFd) {
        match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(client) => self.begin(client),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => self.turn_away(listener),
            // The client has gone again, or a signal came.
            Err(_) => {}
        }
    }

    fn begin(&self, socket: OwnedFd) {
        let client = self.shared.last_client.fetch_add(1, Relaxed) + 1;
        let clients_max = self.shared.live().clients_max.min(self.shared.route.clients_max());
        let mut clients = self.shared.clients();
        if *clients >= clients_max {
            drop(clients);
            return self.refuse(&socket, &format!("more than {clients_max} clients are connected"));
        }
        *clients += 1;
        drop(clients);
        let shared = Arc::clone(&self.shared);
        let socket = Arc::new(socket);
        let theirs = Arc::clone(&socket);
        let serve = move || {
            let place = Place(&shared);
            if let Some(socket) = Arc::into_inner(theirs) {
                client::serve(place.0, client, socket);
            }
        };
        let thread = std::thread::Builder::new().name(format!("x11-client-{client}")).stack_size(STACK_BYTES);
        // The thread waits for this side to let go of the socket, which it must keep to tell a client that gets none.
        let (start, started) = std::sync::mpsc::sync_channel::<()>(0);
        let spawned = thread.spawn(move || {
            let _ = started.recv();
            serve();
        });
        if spawned.is_ok() {
            drop(socket);
            let _ = start.send(());
        } else {
            drop(Place(&self.shared));
            self.refuse(&socket, "no thread could be started for it");
        }
    }

    /// Gives up the reserve to accept one client, tells it, and takes the reserve back.
    fn turn_away(&mut self, listener: &OwnedFd) {
        drop(self.reserve.take());
        if let Ok(client) = accept_with(listener, SocketFlags::CLOEXEC) {
            self.refuse(&client, "the bridge has too many open files");
        }
        self.reserve = open_reserve();
        if self.reserve.is_none() {
            // Somebody else took it: without this pause the loop would spin.
            let mut stop = [PollFd::new(&self.shared.stop, PollFlags::IN)];
            let _ = poll(&mut stop, Some(&REFUSAL_MAX));
        }
    }

    /// Tells a client that there is no room for it, once it has begun its set-up: then it listens.
    fn refuse(&self, client: &OwnedFd, why: &str) {
        self.shared.meter.clients_refused.fetch_add(1, Relaxed);
        self.shared.events.log(Level::Warn, format!("a client was refused: {why}"));
        let _ = poll(&mut [PollFd::new(client, PollFlags::IN)], Some(&REFUSAL_MAX));
        let mut first = [0; Handshake::FIRST_READ];
        let _ = socket::receive(client, &mut [IoSliceMut::new(&mut first)], &mut vec![]);
        client::say(client, &Handshake::refusal(&first, why));
    }
}

/// A client's place among the most that may be; free again when it is dropped.
struct Place<'a>(&'a Arc<Shared>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.clients() -= 1;
        self.0.client_left.notify_all();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What the threads of a bridge share, without a bridge.
    pub(crate) fn shared() -> Shared {
        let display = DisplayName::parse("/nowhere/X0").unwrap();
        let options = Options::new(Some(display.clone()), PathBuf::new());
        let stop = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        Shared::new(
            options,
            Handshake::open(),
            Route::Socket(Arc::new(display)),
            String::new(),
            Box::new(|| {}),
            stop,
        )
    }
}
