//! Where a display's socket is and which cookie opens it, for the commands.

use std::env;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use crate::setup::COOKIE_PROTOCOL;
use crate::{ByteOrder, RawClient};

/// Socket and cookie of one display.
#[derive(Clone, Debug)]
pub struct Display {
    /// A path, or `@name` for an abstract socket.
    pub socket: PathBuf,
    /// `None` where the authority file has no entry for it.
    pub cookie: Option<Vec<u8>>,
}

impl Display {
    /// Of `name` (`:N`, `:N.S`, a path, `@abstract`), with the cookie from `$XAUTHORITY`.
    pub fn find(name: &str) -> io::Result<Self> {
        Self::find_with(name, env::var_os("XAUTHORITY").map(PathBuf::from).as_deref())
    }

    /// The same with the cookie from that file.
    pub fn find_with(name: &str, xauthority: Option<&Path>) -> io::Result<Self> {
        let number = name.strip_prefix(':').map(|rest| rest.split('.').next().unwrap_or_default());
        let cookie = match xauthority {
            Some(path) => cookie_for(&fs::read(path)?, number),
            None => None,
        };
        let socket = number.map_or_else(|| name.into(), |number| format!("/tmp/.X11-unix/X{number}").into());
        Ok(Self { socket, cookie })
    }

    /// A connection, set up with the display's cookie.
    pub fn connect(&self, order: ByteOrder) -> io::Result<RawClient> {
        RawClient::connect(&self.socket, order, self.cookie.as_deref())
    }
}

/// A display number that nobody has: far from those that bridges, X servers and people take, and other than that of whoever
/// asks at the same time.
pub fn unused_number() -> u32 {
    loop {
        let random = u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or_default();
        let number = 20_000 + random % 39_000;
        let taken = [format!("/tmp/.X{number}-lock"), format!("/tmp/.X11-unix/X{number}")];
        if taken.iter().all(|path| fs::symlink_metadata(path).is_err()) {
            return number;
        }
    }
}

/// The first cookie for that display, or the first of all where the display has no number.
///
/// Entries are family (2 bytes) and four counted strings: address, number, name, data; all big-endian.
fn cookie_for(file: &[u8], display: Option<&str>) -> Option<Vec<u8>> {
    let mut rest = file;
    loop {
        rest = rest.get(2..)?;
        let _address = take_counted(&mut rest)?;
        let number = take_counted(&mut rest)?;
        let protocol = take_counted(&mut rest)?;
        let data = take_counted(&mut rest)?;
        let fits = number.is_empty() || display.is_none_or(|display| number == display.as_bytes());
        if fits && protocol == COOKIE_PROTOCOL.as_bytes() {
            return Some(data.to_vec());
        }
    }
}

fn take_counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<2>()?;
    let (taken, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = behind;
    Some(taken)
}
