//! The plain data that goes over the border.

use napi_derive::napi;

/// What a bridge is to do.
#[napi(object)]
pub struct BindingOptions {
    /// Display number, 0 to 59535; absent for the first free one.
    pub display: Option<u32>,
    /// Path of a socket to listen on in place of a display.
    pub socket: Option<String>,
    /// Numbers of descriptors, listening sockets of a display, that a service manager has passed; absent for none.
    pub inherited: Option<Vec<i32>>,
    /// The X server's display, as a user writes it; absent where only a channel to the host will do.
    pub host_display: Option<String>,
    /// Whether the user named that display for this bridge, so that `auto` takes no other; absent for yes.
    pub host_display_named: Option<bool>,
    /// An existing directory of mode 0700 for the clients' Xauthority file.
    pub runtime_dir: String,
    /// `auto`, `virtgpu`, `vsock:CID:PORT`, `tcp:HOST:PORT`, `loopback` or `socket`.
    pub channel: String,
    /// Path of the virtio-gpu device's render node; absent for the first one that there is.
    pub render_node: Option<String>,
    /// `auto`, `relay` or `off`; absent for `auto`.
    pub fences: Option<String>,
    /// What may change later.
    pub live: BindingLiveOptions,
}

/// A compiled policy.
#[napi(object)]
pub struct BindingPolicy {
    /// The table; crates/session/src/policy/table.rs describes it.
    pub words: Vec<u32>,
    /// The extensions that it numbers.
    pub extensions: Vec<String>,
    /// What its rules do, in words, for the log.
    pub labels: Vec<String>,
    /// The atoms that it numbers.
    pub atoms: Vec<String>,
    /// What the windows of its clients are marked with.
    pub machine: String,
}

/// What may change while a bridge runs, for clients that connect from then on.
#[napi(object)]
pub struct BindingLiveOptions {
    /// File with the X server's cookie; absent for `$XAUTHORITY`, else `~/.Xauthority`, and none for channels that lead to
    /// the host.
    pub host_xauthority: Option<String>,
    /// Microseconds that a thread looks again before it sleeps: 0 for never, up to 1000; absent for the default.
    pub spin_micros: Option<u32>,
    /// Clients at once, 1 to 65536; absent for 512.
    pub clients_max: Option<u32>,
    /// Milliseconds that the X server may take to answer a set-up, 1 to 600000; absent for 4500.
    pub host_timeout_ms: Option<u32>,
    /// What clients may do; absent leaves it as it is, which is everything at first.
    pub policy: Option<BindingPolicy>,
    /// `auto`, `on` or `off`; absent leaves it as it is, at first `auto`.
    pub dri3: Option<String>,
    /// `auto`, `fd` or `hide`; absent leaves it as it is, at first `auto`.
    pub shm: Option<String>,
}

/// Why something could not be done.
#[napi(object)]
pub struct BindingError {
    /// A stable name.
    pub kind: String,
    /// One sentence with the cause and the remedy.
    pub message: String,
    /// Who can mend it: `user`, `host` or `bridge`.
    pub side: String,
    /// Whether the same call may work later.
    pub retry: bool,
}

/// What went through.
#[napi(object)]
pub struct BindingTotals {
    /// Bytes that went to the host.
    pub bytes_to_host: i64,
    /// Bytes that went to clients.
    pub bytes_to_client: i64,
    /// Requests.
    pub requests: i64,
    /// Replies.
    pub replies: i64,
    /// Events.
    pub events: i64,
    /// Errors.
    pub errors: i64,
    /// Requests that were turned into ones that the X server refuses.
    pub denied: i64,
    /// Descriptors that went to the host.
    pub fds_to_host: i64,
    /// Descriptors that went to clients.
    pub fds_to_client: i64,
    /// Descriptors that were closed because nothing claimed or carries them.
    pub fds_dropped: i64,
    /// Fences in memory that both kernels map.
    pub fences_shared: i64,
    /// Fences that were relayed.
    pub fences_relayed: i64,
    /// Those of them that were because there was no such memory left.
    pub fences_crowded_out: i64,
    /// Triggers of them that came too late to mean anything.
    pub fences_stale: i64,
    /// Fences that were triggered because nobody could say any more when to.
    pub fences_given_up: i64,
}

/// Something that happened.
#[napi(object)]
pub struct BindingEvent {
    /// `client-connected`, `client-closed` or `log`.
    pub kind: String,
    /// The client's number: 1, 2, 3 …
    pub client: Option<i64>,
    /// Process at the other end of the client's socket.
    pub pid: Option<i32>,
    /// That process's name.
    pub program: Option<String>,
    /// Why a client's connection ended.
    pub reason: Option<String>,
    /// What went through a connection that ended.
    pub totals: Option<BindingTotals>,
    /// `error`, `warn`, `info` or `debug`.
    pub level: Option<String>,
    /// A log line.
    pub message: Option<String>,
}

/// A bridge's numbers.
#[napi(object)]
pub struct BindingStats {
    /// Clients that are connected.
    pub clients: i64,
    /// Clients that ever were.
    pub clients_total: i64,
    /// Clients that were turned away.
    pub clients_refused: i64,
    /// Clients that were lost to a fault of the bridge.
    pub panics: i64,
    /// What went through.
    pub totals: BindingTotals,
    /// Measured round trips of all clients, in the classes of [`BindingClient::round_trips`].
    pub round_trips: Vec<u32>,
    /// The sum of their times in microseconds.
    pub round_trip_micros: i64,
    /// How the thread that watches fences sleeps; absent while there is none.
    pub fence_watcher: Option<String>,
}

/// What a host half is to do.
#[napi(object)]
pub struct BindingHostOptions {
    /// Path of the socket to listen on, at most 107 bytes.
    pub socket: String,
    /// The X server's display, as a user writes it.
    pub host_display: String,
    /// File with the X server's cookie; absent for `$XAUTHORITY`, else `~/.Xauthority`.
    pub host_xauthority: Option<String>,
    /// Milliseconds that the X server may take to accept a connection, 1 to 600000; absent for 4500.
    pub host_timeout_ms: Option<u32>,
    /// Contexts of a guest at once, 1 to 65536; absent for 512.
    pub contexts_max: Option<u32>,
    /// The guest's `/dev/shm`; absent for none that the host shares.
    pub dev_shm: Option<BindingDevShm>,
}

/// What can be done with the files of a folder.
#[napi(object)]
pub struct BindingSharing {
    /// Whether their memory is the host's.
    pub is_shared: bool,
    /// Whether they have names there.
    pub has_names: bool,
}

/// A `/dev/shm` for a guest.
#[napi(object)]
pub struct BindingDevShm {
    /// Path of the socket to listen on, at most 107 bytes.
    pub socket: String,
    /// MiB of all files in it, 1 to 1048576.
    pub mib: u32,
}

/// What went through a context.
#[napi(object)]
pub struct BindingTraffic {
    /// Bytes that the X server took.
    pub bytes_to_host: i64,
    /// Bytes that came from it.
    pub bytes_to_guest: i64,
    /// Messages in which they came.
    pub messages_to_guest: i64,
    /// Descriptors that the X server took.
    pub fds_to_host: i64,
    /// Descriptors that came from it.
    pub fds_to_guest: i64,
}

/// Something that happened to a host half.
#[napi(object)]
pub struct BindingHostEvent {
    /// `guest-connected`, `guest-disconnected`, `context-opened`, `context-closed` or `log`.
    pub kind: String,
    /// Process of the virtual machine monitor.
    pub pid: Option<i32>,
    /// The context's number: 1, 2, 3 …
    pub context: Option<i64>,
    /// The guest's name for a context.
    pub name: Option<String>,
    /// Why a context or a guest is gone.
    pub reason: Option<String>,
    /// What went through a context that is gone.
    pub traffic: Option<BindingTraffic>,
    /// `error`, `warn`, `info` or `debug`.
    pub level: Option<String>,
    /// A log line.
    pub message: Option<String>,
}

/// A connected client at one moment.
#[napi(object)]
pub struct BindingClient {
    /// Its number: 1, 2, 3 …
    pub client: i64,
    /// Process at the other end of its socket.
    pub pid: Option<i32>,
    /// That process's name.
    pub program: Option<String>,
    /// Milliseconds since it has connected.
    pub age_ms: i64,
    /// What went through.
    pub totals: BindingTotals,
    /// Requests whose reply is awaited.
    pub awaited: i64,
    /// The one of them that waits longest.
    pub oldest: Option<BindingOldestRequest>,
    /// Bytes that wait for the X server to take them.
    pub queued_to_host: i64,
    /// Bytes that wait for the client to take them.
    pub queued_to_client: i64,
    /// Measured round trips: element i counts those below 2^i microseconds and not below 2^(i-1); the last one all above.
    pub round_trips: Vec<u32>,
    /// The sum of their times in microseconds.
    pub round_trip_micros: i64,
}

/// A request that waits for its reply.
#[napi(object)]
pub struct BindingOldestRequest {
    /// Its number since the client's set-up, from 1.
    pub sequence: i64,
    /// Its major opcode.
    pub opcode: u8,
    /// Milliseconds that it is known to wait.
    pub age_ms: i64,
}

/// An extension of the X server.
#[napi(object)]
pub struct BindingExtension {
    /// Its place among the names that were asked about.
    pub place: u32,
    /// Its major opcode.
    pub major: u8,
    /// The code of its first event.
    pub first_event: u8,
    /// The code of its first error.
    pub first_error: u8,
}

/// What there is to know when a trace begins.
#[napi(object)]
pub struct BindingTraceStart {
    /// Why there is no trace; absent where there is one.
    pub error: Option<BindingError>,
    /// The extensions that the X server has.
    pub extensions: Vec<BindingExtension>,
    /// Why they are not known, in one sentence.
    pub unknown: Option<String>,
}

/// What was to tell since the last time.
#[napi(object)]
pub struct BindingTraceBatch {
    /// Records; crates/session/src/trace.rs describes them.
    pub records: napi::bindgen_prelude::Uint8Array,
    /// How many were lost for want of room.
    pub lost: i64,
}
