//! What the owner of a bridge is told: clients that come and go, and log lines. Never anything per packet.

pub use events::Level;

use crate::stats::Totals;

/// The queue between the bridge's threads and its owner.
pub(crate) type Events = events::Events<Event>;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A client has connected to the host's display.
    ClientConnected {
        /// Its number: 1, 2, 3 …
        client: u64,
        /// Process at the other end of its socket, where the system says so.
        pid: Option<i32>,
        /// That process's name.
        program: Option<String>,
    },
    /// A client that had connected is gone.
    ClientClosed {
        /// Its number.
        client: u64,
        /// One sentence.
        reason: String,
        /// What went through.
        totals: Totals,
    },
    /// A log line.
    Log {
        /// How much it matters.
        level: Level,
        /// One sentence.
        message: String,
    },
}

impl events::Event for Event {
    fn log(level: Level, message: String) -> Self {
        Self::Log { level, message }
    }

    fn is_log(&self) -> bool {
        matches!(self, Self::Log { .. })
    }
}
