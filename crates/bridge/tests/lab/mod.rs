//! A bridge in front of a scripted X server, in a folder of its own.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic here is a failed test")]

use std::path::Path;
use std::time::{Duration, Instant};

use bridge::{Bridge, ChannelChoice, Event, Options, PipeAddress};
use display::{DisplayName, xauthority};
use x11bridge_testkit::display::unused_number;
use x11bridge_testkit::{ByteOrder, FakeConnection, FakeServer, HANG_GUARD, RawClient};

pub(crate) use x11bridge_testkit::Folder;

/// Every channel that a test can have; the port of the last is chosen by the lab.
pub(crate) const CHANNELS: [ChannelChoice; 3] = [
    ChannelChoice::Loopback,
    ChannelChoice::Socket,
    ChannelChoice::Pipe(PipeAddress::Tcp { host: String::new(), port: 0 }),
];
/// Those that are told the display.
pub(crate) const BY_DISPLAY: [ChannelChoice; 2] = [ChannelChoice::Loopback, ChannelChoice::Socket];

pub(crate) struct Lab {
    // Dropped in this order: the bridge first.
    pub(crate) bridge: Bridge,
    pub(crate) cookie: Vec<u8>,
    pub(crate) server: Option<FakeServer>,
    pub(crate) folder: Folder,
}

impl Lab {
    pub(crate) fn new(channel: &ChannelChoice) -> Self {
        Self::with(channel, |_| {})
    }

    pub(crate) fn with(channel: &ChannelChoice, change: impl FnOnce(&mut Options)) -> Self {
        let folder = Folder::new().unwrap();
        let (server, mut options) = match channel {
            ChannelChoice::Pipe(_) => Self::piped(&folder.0),
            _ => Self::by_display(&folder.0, channel),
        };
        options.live.host_xauthority = Some(folder.0.join("host-xauthority"));
        // Bridges that look for a free number would connect to it, and take it as soon as it is given up.
        options.display = Some(unused_number());
        change(&mut options);
        let bridge = Bridge::start(options, Box::new(|| {})).unwrap();
        let cookie = cookie_in(bridge.xauthority().unwrap());
        Self { bridge, cookie, server: Some(server), folder }
    }

    fn by_display(folder: &Path, channel: &ChannelChoice) -> (FakeServer, Options) {
        let server = FakeServer::start(folder).unwrap();
        let host_display = DisplayName::parse(server.path().to_str().unwrap()).unwrap();
        let mut options = Options::new(Some(host_display), folder.to_owned());
        options.channel = channel.clone();
        (server, options)
    }

    fn piped(folder: &Path) -> (FakeServer, Options) {
        let (server, port) = FakeServer::start_tcp().unwrap();
        let mut options = Options::new(None, folder.to_owned());
        options.channel = ChannelChoice::Pipe(PipeAddress::Tcp { host: "127.0.0.1".into(), port });
        (server, options)
    }

    pub(crate) fn server(&self) -> &FakeServer {
        self.server.as_ref().unwrap()
    }

    /// A client without a set-up yet.
    pub(crate) fn open(&self, order: ByteOrder) -> RawClient {
        RawClient::open(self.bridge.socket_path(), order).unwrap()
    }

    pub(crate) fn connect(&self, order: ByteOrder) -> std::io::Result<RawClient> {
        RawClient::connect(self.bridge.socket_path(), order, Some(&self.cookie))
    }

    /// A client and its connection at the server, both set up.
    pub(crate) fn pair(&self, order: ByteOrder) -> (RawClient, FakeConnection) {
        std::thread::scope(|scope| {
            let server = scope.spawn(|| self.server().accept_client().unwrap().0);
            (self.connect(order).unwrap(), server.join().unwrap())
        })
    }

    /// The reason of the next client that is reported closed or refused.
    pub(crate) fn next_end(&self) -> String {
        let mut ends = self.ends(1);
        ends.remove(0)
    }

    /// The reasons of the next `count` clients that are reported closed or refused.
    pub(crate) fn ends(&self, count: usize) -> Vec<String> {
        let mut ends = vec![];
        let deadline = Instant::now() + HANG_GUARD;
        while ends.len() < count {
            assert!(Instant::now() < deadline, "only {ends:?} of {count} clients ended");
            ends.extend(self.bridge.take_events().into_iter().filter_map(|event| match event {
                Event::ClientClosed { reason, .. } => Some(reason),
                Event::Log { message, .. } if message.contains("refused") || message.contains("left") => {
                    Some(message)
                }
                _ => None,
            }));
            std::thread::sleep(Duration::from_millis(2));
        }
        ends
    }
}

pub(crate) fn cookie_in(file: &Path) -> Vec<u8> {
    let entries = xauthority::parse(&std::fs::read(file).unwrap());
    entries.first().unwrap().data.clone()
}
