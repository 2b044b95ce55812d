//! What the owner of a host half is told.

use device::Traffic;

pub use events::Level;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A virtual machine monitor has connected.
    GuestConnected {
        /// Its process, where the system says so.
        pid: Option<i32>,
    },
    /// It is gone, and all its contexts are.
    GuestDisconnected {
        /// One sentence.
        reason: String,
    },
    /// A program of the guest has made a context.
    ContextOpened {
        /// Its number since the guest connected: 1, 2, 3 …
        context: u32,
        /// The guest's name for it.
        name: String,
    },
    /// A context is gone.
    ContextClosed {
        /// Its number.
        context: u32,
        /// One sentence.
        reason: String,
        /// What went through.
        traffic: Traffic,
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
