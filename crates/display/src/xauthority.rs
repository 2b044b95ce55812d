//! Xauthority files (libXau): which cookie belongs to which display.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::hostname;
use crate::name::DisplayName;

/// The one authorization protocol that is looked for.
pub const MAGIC_COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";
/// Bytes of a file that are read at most; the largest in the field have some hundred entries of 60 bytes.
const FILE_MAX: u64 = 1 << 20;

/// The kind of address that an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 0: IPv4.
    Internet,
    /// 6: IPv6.
    Internet6,
    /// 256: this machine, by its name.
    Local,
    /// 65535: any.
    Wild,
    /// Any other number.
    Other(u16),
}

impl Family {
    const fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Internet,
            6 => Self::Internet6,
            256 => Self::Local,
            0xffff => Self::Wild,
            other => Self::Other(other),
        }
    }

    const fn number(self) -> u16 {
        match self {
            Self::Internet => 0,
            Self::Internet6 => 6,
            Self::Local => 256,
            Self::Wild => 0xffff,
            Self::Other(other) => other,
        }
    }
}

/// One entry of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Kind of address.
    pub family: Family,
    /// The address: a host name for `Local`, 4 or 16 bytes for the Internet families.
    pub address: Vec<u8>,
    /// The display's number in decimal digits; empty for any.
    pub number: Vec<u8>,
    /// Name of the authorization protocol.
    pub name: Vec<u8>,
    /// The secret.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { family, address, number, .. } = self;
        write!(f, "Entry({family:?}, {}, {})", address.escape_ascii(), number.escape_ascii())
    }
}

impl Entry {
    /// Whether it is for a display of this number; `None` fits every entry.
    fn has_number(&self, number: Option<u32>) -> bool {
        self.number.is_empty() || number.is_none_or(|number| number.to_string().into_bytes() == self.number)
    }
}

/// Parses a file's bytes. An entry that breaks off ends the list, as in libXau.
pub fn parse(bytes: &[u8]) -> Vec<Entry> {
    let mut rest = bytes;
    std::iter::from_fn(|| take_entry(&mut rest)).collect()
}

fn take_entry(rest: &mut &[u8]) -> Option<Entry> {
    let family = Family::from_number(take_u16(rest)?);
    let mut field = || {
        let len = usize::from(take_u16(rest)?);
        let (field, after) = rest.split_at_checked(len)?;
        *rest = after;
        Some(field.to_vec())
    };
    Some(Entry { family, address: field()?, number: field()?, name: field()?, data: field()? })
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_be_bytes(*bytes))
}

/// The bytes of a file with these entries. Fields longer than 65,535 bytes are cut: no field is.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut out = vec![];
    for entry in entries {
        out.extend(entry.family.number().to_be_bytes());
        for field in [&entry.address, &entry.number, &entry.name, &entry.data] {
            let len = u16::try_from(field.len()).unwrap_or(u16::MAX);
            out.extend(len.to_be_bytes());
            out.extend(field.iter().take(usize::from(len)));
        }
    }
    out
}

/// The file that clients of the host's display use: `$XAUTHORITY`, else `~/.Xauthority`.
pub fn default_path() -> Option<PathBuf> {
    let named = std::env::var_os("XAUTHORITY").filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".Xauthority")))
}

/// The cookie for a display from a file; `None` where the file, or a fitting entry, is missing: many servers want none.
///
/// `peer` is the server's address over TCP.
pub fn cookie_for(file: &Path, display: &DisplayName, peer: Option<SocketAddr>) -> Option<Vec<u8>> {
    let hostname = hostname();
    read(file)?.into_iter().find(|entry| fits(entry, display, peer, &hostname)).map(|entry| entry.data)
}

/// The cookie for a display of another machine, whose address there is unknown here: of the entries for display
/// `number`, or of all without one, the first for any address, else the first.
pub fn cookie_of_host(file: &Path, number: Option<u32>) -> Option<Vec<u8>> {
    let mut entries = read(file)?;
    entries.retain(|entry| entry.name == MAGIC_COOKIE && entry.has_number(number));
    let wild = entries.iter().position(|entry| entry.family == Family::Wild).unwrap_or(0);
    entries.into_iter().nth(wild).map(|entry| entry.data)
}

fn read(file: &Path) -> Option<Vec<Entry>> {
    let mut bytes = vec![];
    std::fs::File::open(file).ok()?.take(FILE_MAX).read_to_end(&mut bytes).ok()?;
    Some(parse(&bytes))
}

fn fits(entry: &Entry, display: &DisplayName, peer: Option<SocketAddr>, hostname: &[u8]) -> bool {
    let ip = peer.map(|peer| peer.ip());
    // libxcb looks a loopback address up as this machine's.
    let local = ip.is_none_or(|ip| ip.is_loopback());
    let address_fits = match entry.family {
        Family::Wild => true,
        Family::Local => local && entry.address == hostname,
        Family::Internet => matches!(ip, Some(IpAddr::V4(ip)) if entry.address == ip.octets()),
        Family::Internet6 => matches!(ip, Some(IpAddr::V6(ip)) if entry.address == ip.octets()),
        Family::Other(_) => false,
    };
    entry.has_number(display.number) && address_fits && entry.name == MAGIC_COOKIE
}

/// The entries that let this machine's clients reach display `number` with `cookie`: by this machine's name, for
/// clients that look for nothing else, and by any name, for those in containers that have another.
pub fn entries_for(number: u32, cookie: &[u8]) -> Vec<Entry> {
    let entry = |family, address| Entry {
        family,
        address,
        number: number.to_string().into_bytes(),
        name: MAGIC_COOKIE.to_vec(),
        data: cookie.to_vec(),
    };
    vec![entry(Family::Local, hostname()), entry(Family::Wild, vec![])]
}

/// Writes a file that only its owner can read, in one step: readers see the old one or the whole new one.
pub fn write_private(path: &Path, entries: &[Entry]) -> std::io::Result<()> {
    let scratch = path.with_extension("new");
    let _ = std::fs::remove_file(&scratch);
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&scratch)?;
        file.write_all(&encode(entries))?;
        std::fs::rename(&scratch, path)
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&scratch);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(family: Family, address: &[u8], number: &str, data: &str) -> Entry {
        let (address, number) = (address.to_vec(), number.as_bytes().to_vec());
        Entry { family, address, number, name: MAGIC_COOKIE.to_vec(), data: data.as_bytes().to_vec() }
    }

    fn found(entries: &[Entry], display: &str, peer: Option<&str>) -> Option<String> {
        let path = std::env::temp_dir().join(format!(
            "x11bridge-auth-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        write_private(&path, entries).unwrap();
        let display = DisplayName::parse(display).unwrap();
        let cookie = cookie_for(&path, &display, peer.map(|peer| peer.parse().unwrap()));
        std::fs::remove_file(path).unwrap();
        cookie.map(|cookie| String::from_utf8(cookie).unwrap())
    }

    #[test]
    fn entries_fit_by_address_and_number() {
        let entries = [
            entry(Family::Local, b"some other machine", "0", "other machine"),
            entry(Family::Internet, &[192, 0, 2, 7], "0", "by address"),
            entry(Family::Local, &hostname(), "1", "other number"),
            entry(Family::Local, &hostname(), "0", "this machine"),
            entry(Family::Wild, b"", "5", "wild"),
        ];
        for (display, peer, cookie) in [
            (":0", None, Some("this machine")),
            (":1.0", None, Some("other number")),
            (":5", None, Some("wild")),
            (":7", None, None),
            ("h:0", Some("192.0.2.7:6000"), Some("by address")),
            ("h:0", Some("192.0.2.8:6000"), None),
            ("localhost:0", Some("127.0.0.1:6000"), Some("this machine")),
            ("/tmp/some.socket", None, Some("other number")),
        ] {
            assert_eq!(found(&entries, display, peer).as_deref(), cookie, "{display}");
        }
    }

    #[test]
    fn an_empty_number_fits_every_display_and_other_protocols_none() {
        let mut foreign = entry(Family::Wild, b"", "", "foreign");
        foreign.name = b"XDM-AUTHORIZATION-1".to_vec();
        assert_eq!(
            found(&[foreign, entry(Family::Wild, b"", "", "any")], ":3", None).as_deref(),
            Some("any")
        );
    }

    #[test]
    fn entries_are_looked_for_in_the_first_mebibyte_of_a_file() {
        let wanted = [entry(Family::Wild, b"", "3", "wanted")];
        // What an entry has beside its data: five numbers, its own number and the name of the protocol.
        let others = |bytes: usize| -> Vec<Entry> {
            let rest = 10 + 1 + MAGIC_COOKIE.len();
            (0..16).map(|_| entry(Family::Wild, b"", "9", &"x".repeat(bytes / 16 - rest))).collect()
        };
        let room = usize::try_from(FILE_MAX).unwrap() - encode(&wanted).len();
        let filled = |bytes: usize| {
            let mut entries = others(bytes / 16 * 16);
            entries[0].data.extend(vec![b'x'; bytes % 16]);
            assert_eq!(encode(&entries).len(), bytes);
            found(&[&entries[..], &wanted].concat(), ":3", None)
        };
        assert_eq!(filled(room - 1).as_deref(), Some("wanted"));
        assert_eq!(filled(room).as_deref(), Some("wanted"), "the file is as long as can be");
        assert_eq!(filled(room + 1), None);
    }

    #[test]
    fn a_missing_file_is_no_cookie() {
        let display = DisplayName::parse(":0").unwrap();
        assert_eq!(cookie_for(Path::new("/nonexistent"), &display, None), None);
        assert_eq!(cookie_of_host(Path::new("/nonexistent"), None), None);
    }

    #[test]
    fn a_display_of_the_host_is_found_by_its_number_and_rather_by_an_entry_for_any_address() {
        let entries = [
            entry(Family::Local, b"the host", "0", "by its name"),
            entry(Family::Wild, b"", "1", "of the other display"),
            entry(Family::Wild, b"", "0", "for any address"),
            entry(Family::Local, b"the host", "2", "alone"),
        ];
        let path = std::env::temp_dir().join(format!("x11bridge-auth-of-host-{}", std::process::id()));
        write_private(&path, &entries).unwrap();
        for (number, cookie) in [
            (Some(0), Some("for any address")),
            (Some(2), Some("alone")),
            (Some(3), None),
            (None, Some("of the other display")),
        ] {
            assert_eq!(cookie_of_host(&path, number).as_deref(), cookie.map(str::as_bytes), "{number:?}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_file_is_its_owners_alone_and_debug_output_has_no_secret() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("x11bridge-private-{}", std::process::id()));
        let entries = entries_for(7, b"secret");
        write_private(&path, &entries).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(parse(&std::fs::read(&path).unwrap()), entries);
        assert!(!format!("{entries:?}").contains("secret"));
        std::fs::remove_file(path).unwrap();
    }

    proptest! {
        #[test]
        fn arbitrary_files_never_panic_and_what_parses_encodes_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let encoded = encode(&parse(&bytes));
            prop_assert!(bytes.starts_with(&encoded));
        }
    }
}
