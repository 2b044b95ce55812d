//! What the two processes of a measure tell each other.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use shmfence::relay;

use crate::open;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of a record: a letter and a number.
const RECORD_BYTES: usize = 5;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Record {
    /// Trigger the fence now.
    Request,
    /// The shared word was triggered, or the request is done.
    Signal,
    Relay(relay::Message),
}

impl Record {
    pub(crate) fn write(self, mut stream: &UnixStream) -> Result<(), Failure> {
        let (letter, number) = match self {
            Self::Request => (b'q', 0),
            Self::Signal => (b's', 0),
            Self::Relay(relay::Message::Trigger { epoch }) => (b't', epoch),
            Self::Relay(relay::Message::Reset { epoch }) => (b'r', epoch),
        };
        let [a, b, c, d] = number.to_le_bytes();
        Ok(stream.write_all(&[letter, a, b, c, d])?)
    }

    pub(crate) fn read(mut stream: &UnixStream) -> Result<Self, Failure> {
        let mut bytes = [0; RECORD_BYTES];
        stream.read_exact(&mut bytes)?;
        let [letter, number @ ..] = bytes;
        let epoch = u32::from_le_bytes(number);
        match letter {
            b'q' => Ok(Self::Request),
            b's' => Ok(Self::Signal),
            b't' => Ok(Self::Relay(relay::Message::Trigger { epoch })),
            b'r' => Ok(Self::Relay(relay::Message::Reset { epoch })),
            _ => Err("an unknown record".into()),
        }
    }
}

/// A point in time that one process notes and the other reads.
pub(crate) struct Clock(File);

impl Clock {
    pub(crate) fn create() -> Result<Self, Failure> {
        Ok(Self(rustix::fs::memfd_create(c"clock", rustix::fs::MemfdFlags::CLOEXEC)?.into()))
    }

    pub(crate) fn open(path: &str) -> Result<Self, Failure> {
        Ok(Self(open(path)?))
    }

    pub(crate) const fn file(&self) -> &File {
        &self.0
    }

    pub(crate) fn note(&self) -> Result<(), Failure> {
        rustix::io::pwrite(&self.0, &nanoseconds().to_le_bytes(), 0)?;
        Ok(())
    }

    /// Microseconds since the point in time that was noted.
    pub(crate) fn since_noted(&self) -> Result<f64, Failure> {
        let (now, mut noted) = (nanoseconds(), [0; 8]);
        rustix::io::pread(&self.0, &mut noted, 0)?;
        let elapsed = u32::try_from(now.saturating_sub(u64::from_le_bytes(noted)))?;
        Ok(f64::from(elapsed) / 1000.0)
    }
}

fn nanoseconds() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Where another process finds a file of this one.
pub(crate) fn path_of(file: impl AsFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_fd().as_raw_fd())
}
