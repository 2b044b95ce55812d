//! A host half in front of a scripted X server, in a folder of its own.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic here is a failed test")]

pub(crate) mod dev_shm;
pub(crate) mod gpu;
pub(crate) mod machine;

use std::time::{Duration, Instant};

use display::DisplayName;
use host::{Event, Host, Options};
use x11bridge_testkit::{FakeServer, HANG_GUARD};

pub(crate) use x11bridge_testkit::Folder;

use gpu::Guest;
use machine::Machine;

pub(crate) struct Lab {
    // Dropped in this order: the host half first.
    pub(crate) host: Host,
    pub(crate) server: Option<FakeServer>,
    pub(crate) folder: Folder,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = Folder::new().unwrap();
        let server = FakeServer::start(&folder.0).unwrap();
        let display = DisplayName::parse(server.path().to_str().unwrap()).unwrap();
        let mut options = Options::new(folder.0.join("gpu.sock"), display);
        options.host_xauthority = Some(folder.0.join("xauthority"));
        change(&mut options);
        let host = Host::start(options, Box::new(|| {})).unwrap();
        Self { host, server: Some(server), folder }
    }

    pub(crate) fn server(&self) -> &FakeServer {
        self.server.as_ref().unwrap()
    }

    /// A virtual machine whose driver has started.
    pub(crate) fn machine(&self) -> Machine {
        Machine::connect(self.host.socket())
    }

    /// The same with a guest that speaks virtio-gpu.
    pub(crate) fn guest(&self) -> Guest {
        Guest::new(self.machine())
    }

    /// Waits for an event; those before it are lost.
    pub(crate) fn event<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + HANG_GUARD;
        let mut seen = vec![];
        while Instant::now() < deadline {
            for event in self.host.take_events() {
                if let Some(found) = wanted(&event) {
                    return found;
                }
                seen.push(event);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("it never happened; what did: {seen:?}");
    }
}
