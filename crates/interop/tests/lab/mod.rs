//! A bridge over rutabaga, in front of a scripted X server or of any other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic here is a failed test")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bridge::channel::{Device, Route, Unavailable};
use bridge::{Bridge, Event, Options};
use display::xauthority;
use x11bridge_testkit::display::unused_number;
use x11bridge_testkit::{ByteOrder, FakeConnection, FakeServer, Folder, HANG_GUARD, RawClient};

/// Channel types.
pub(crate) const WAYLAND: u32 = 1;
pub(crate) const X11: u32 = 0x11;

/// The device of a host with these sockets, as the bridge sees it.
pub(crate) fn examine(sockets: &[(u32, PathBuf)]) -> Result<Device, Unavailable> {
    let device = interop::rutabaga::Device::start(sockets.to_vec());
    Device::examine("/dev/dri/renderD128".into(), move || device.open())
}

pub(crate) struct Lab {
    // Dropped in this order: the bridge first.
    pub(crate) bridge: Bridge,
    pub(crate) cookie: Vec<u8>,
    pub(crate) server: Option<FakeServer>,
    _folder: Folder,
}

impl Lab {
    /// In front of a scripted X server, which the host has under these channel types.
    pub(crate) fn new(types: &[u32]) -> Self {
        let folder = Folder::new().unwrap();
        let server = FakeServer::start(&folder.0).unwrap();
        let sockets: Vec<_> = types.iter().map(|kind| (*kind, server.path().to_owned())).collect();
        Self::over(folder, &sockets, Some(server))
    }

    /// In front of the X server of this socket.
    pub(crate) fn in_front_of(socket: &Path) -> Self {
        Self::over(Folder::new().unwrap(), &[(X11, socket.to_owned())], None)
    }

    fn over(folder: Folder, sockets: &[(u32, PathBuf)], server: Option<FakeServer>) -> Self {
        let device = examine(sockets).unwrap();
        let why = device.to_string();
        let mut options = Options::new(None, folder.0.clone());
        // Bridges that look for a free number would connect to it.
        options.display = Some(unused_number());
        let bridge = Bridge::start_over(options, Route::Virtgpu(device), why, Box::new(|| {})).unwrap();
        let entries = xauthority::parse(&std::fs::read(bridge.xauthority().unwrap()).unwrap());
        let cookie = entries.first().unwrap().data.clone();
        Self { bridge, cookie, server, _folder: folder }
    }

    pub(crate) fn connect(&self, order: ByteOrder) -> std::io::Result<RawClient> {
        RawClient::connect(self.bridge.socket_path(), order, Some(&self.cookie))
    }

    /// A client and its connection at the server, both set up.
    pub(crate) fn pair(&self, order: ByteOrder) -> (RawClient, FakeConnection) {
        std::thread::scope(|scope| {
            let server = scope.spawn(|| self.server.as_ref().unwrap().accept_client().unwrap().0);
            (self.connect(order).unwrap(), server.join().unwrap())
        })
    }

    /// Why the next client ended.
    pub(crate) fn next_end(&self) -> String {
        self.ends(1).remove(0)
    }

    /// Why the next `count` clients ended.
    pub(crate) fn ends(&self, count: usize) -> Vec<String> {
        let mut ends = vec![];
        let deadline = Instant::now() + HANG_GUARD;
        while ends.len() < count {
            assert!(Instant::now() < deadline, "only {ends:?} of {count} clients ended");
            ends.extend(self.bridge.take_events().into_iter().filter_map(|event| match event {
                Event::ClientClosed { reason, .. } => Some(reason),
                _ => None,
            }));
            std::thread::sleep(Duration::from_millis(2));
        }
        ends
    }
}

/// A real X server without a screen; it goes with the value.
pub(crate) struct Xvfb {
    child: Child,
    number: u32,
}

impl Xvfb {
    /// `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.ok()?;
        let mut number = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut number).ok()?;
        Some(Self { child, number: number.trim().parse().unwrap() })
    }

    pub(crate) fn socket(&self) -> String {
        format!("/tmp/.X11-unix/X{}", self.number)
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
