//! Conversions between the bridge's types and plain data.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bridge::{
    ChannelChoice, ClientStatus, Dri3, Event, ExtensionCodes, FenceChoice, LiveOptions, Options, Policy, Shm,
    Side, Stats, Totals, TraceStart,
};
use display::DisplayName;

use crate::values::{
    BindingClient, BindingError, BindingEvent, BindingExtension, BindingLiveOptions, BindingOldestRequest,
    BindingOptions, BindingPolicy, BindingStats, BindingTotals, BindingTraceStart,
};

pub(crate) fn options(options: BindingOptions) -> Result<Options, BindingError> {
    let host_display = options.host_display.as_deref().map(DisplayName::parse).transpose();
    let host_display = host_display.map_err(|error| invalid(error.to_string()))?;
    let channel = ChannelChoice::parse(&options.channel).ok_or_else(|| {
        invalid(format!(
            "{:?} is no channel; choose auto, virtgpu, vsock:CID:PORT, tcp:HOST:PORT, loopback or socket",
            short(&options.channel)
        ))
    })?;
    let mut out = Options::new(host_display, PathBuf::from(options.runtime_dir));
    out.display = options.display;
    out.socket = options.socket.map(PathBuf::from);
    out.inherited = options.inherited.unwrap_or_default();
    out.host_display_named = options.host_display_named.unwrap_or(true);
    out.render_node = options.render_node.map(PathBuf::from);
    out.channel = channel;
    if let Some(name) = options.fences {
        out.fences = FenceChoice::parse(&name).ok_or_else(|| {
            invalid(format!("{:?} is no choice for fences; choose auto, shared, relay or off", short(&name)))
        })?;
    }
    out.live = live_options(options.live, LiveOptions::default())?;
    Ok(out)
}

fn policy(policy: BindingPolicy) -> Result<Policy, BindingError> {
    let BindingPolicy { words, extensions, labels, atoms, machine } = policy;
    Policy::from_table(&words, extensions, labels, atoms, machine).map_err(|error| invalid(error.to_string()))
}

/// The options as they are to be; those that have to be named to change are `before`'s else.
pub(crate) fn live_options(
    options: BindingLiveOptions,
    before: LiveOptions,
) -> Result<LiveOptions, BindingError> {
    let mut out = LiveOptions {
        host_xauthority: options.host_xauthority.map(PathBuf::from),
        policy: before.policy,
        dri3: before.dri3,
        shm: before.shm,
        ..LiveOptions::default()
    };
    if let Some(micros) = options.spin_micros {
        out.spin = Duration::from_micros(micros.into());
    }
    if let Some(clients) = options.clients_max {
        out.clients_max = clients as usize;
    }
    if let Some(millis) = options.host_timeout_ms {
        out.host_timeout = Duration::from_millis(millis.into());
    }
    if let Some(table) = options.policy {
        out.policy = Some(Arc::new(policy(table)?));
    }
    if let Some(name) = options.dri3 {
        out.dri3 = Dri3::parse(&name).ok_or_else(|| {
            invalid(format!("{:?} is no choice for DRI3; choose auto, on or off", short(&name)))
        })?;
    }
    if let Some(name) = options.shm {
        out.shm = Shm::parse(&name).ok_or_else(|| {
            invalid(format!("{:?} is no choice for MIT-SHM; choose auto, fd or hide", short(&name)))
        })?;
    }
    Ok(out)
}

/// Enough of a wrong value to know it again.
fn short(value: &str) -> String {
    value.chars().take(60).collect()
}

pub(crate) fn invalid(message: String) -> BindingError {
    BindingError { kind: "invalid-option".into(), message, side: "user".into(), retry: false }
}

impl BindingError {
    pub(crate) fn internal(what: &str) -> Self {
        let message = format!("the addon failed: {what}");
        Self { kind: "internal".into(), message, side: "bridge".into(), retry: false }
    }
}

impl From<&bridge::Error> for BindingError {
    fn from(error: &bridge::Error) -> Self {
        let side = match error.side() {
            Side::User => "user",
            Side::Host => "host",
            Side::Bridge => "bridge",
        };
        Self {
            kind: error.kind().into(),
            message: error.to_string(),
            side: side.into(),
            retry: error.retry(),
        }
    }
}

impl From<Event> for BindingEvent {
    fn from(event: Event) -> Self {
        let blank = Self {
            kind: String::new(),
            client: None,
            pid: None,
            program: None,
            reason: None,
            totals: None,
            level: None,
            message: None,
        };
        match event {
            Event::ClientConnected { client, pid, program } => {
                Self { kind: "client-connected".into(), client: Some(number(client)), pid, program, ..blank }
            }
            Event::ClientClosed { client, reason, totals } => Self {
                kind: "client-closed".into(),
                client: Some(number(client)),
                reason: Some(reason),
                totals: Some(totals.into()),
                ..blank
            },
            Event::Log { level, message } => {
                let level = Some(level.name().into());
                Self { kind: "log".into(), level, message: Some(message), ..blank }
            }
        }
    }
}

impl From<Totals> for BindingTotals {
    fn from(totals: Totals) -> Self {
        let session = totals.session;
        Self {
            bytes_to_host: number(totals.bytes_to_host),
            bytes_to_client: number(totals.bytes_to_client),
            requests: number(session.requests),
            replies: number(session.replies),
            events: number(session.events),
            errors: number(session.errors),
            denied: number(session.denied),
            fds_to_host: number(session.descriptors_to_host),
            fds_to_client: number(session.descriptors_to_client),
            fds_dropped: number(session.descriptors_dropped),
            fences_shared: number(totals.fences.shared),
            fences_relayed: number(totals.fences.relayed),
            fences_crowded_out: number(totals.fences.crowded_out),
            fences_stale: number(totals.fences.stale),
            fences_given_up: number(totals.fences.given_up),
        }
    }
}

impl From<Stats> for BindingStats {
    fn from(stats: Stats) -> Self {
        Self {
            clients: number(stats.clients),
            clients_total: number(stats.clients_total),
            clients_refused: number(stats.clients_refused),
            panics: number(stats.panics),
            totals: stats.totals.into(),
            round_trips: stats.round_trips.counts.to_vec(),
            round_trip_micros: number(stats.round_trips.micros),
            fence_watcher: bridge::fence_watcher_running().map(|backend| backend.to_string()),
        }
    }
}

impl From<ClientStatus> for BindingClient {
    fn from(client: ClientStatus) -> Self {
        let ClientStatus { client, pid, program, since, numbers } = client;
        Self {
            client: number(client),
            pid,
            program,
            age_ms: millis_since(since),
            totals: numbers.totals.into(),
            awaited: number(numbers.awaited),
            oldest: numbers.oldest.map(|oldest| BindingOldestRequest {
                sequence: number(oldest.sequence),
                opcode: oldest.major,
                age_ms: millis_since(oldest.since),
            }),
            queued_to_host: number(numbers.queued_to_host),
            queued_to_client: number(numbers.queued_to_client),
            round_trips: numbers.round_trips.counts.to_vec(),
            round_trip_micros: number(numbers.round_trips.micros),
        }
    }
}

impl From<Result<TraceStart, bridge::Error>> for BindingTraceStart {
    fn from(start: Result<TraceStart, bridge::Error>) -> Self {
        let blank = Self { error: None, extensions: vec![], unknown: None };
        match start {
            Ok(TraceStart { extensions, unknown }) => {
                let extensions = extensions.into_iter().map(BindingExtension::from).collect();
                Self { extensions, unknown, ..blank }
            }
            Err(error) => Self { error: Some(BindingError::from(&error)), ..blank },
        }
    }
}

impl From<ExtensionCodes> for BindingExtension {
    fn from(codes: ExtensionCodes) -> Self {
        let ExtensionCodes { place, major, first_event, first_error } = codes;
        Self { place: u32::try_from(place).unwrap_or(u32::MAX), major, first_event, first_error }
    }
}

fn millis_since(then: Instant) -> i64 {
    i64::try_from(then.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// JavaScript's numbers are exact up to 2⁵³, far above any count here.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
