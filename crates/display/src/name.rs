//! Display names: `:0`, `:0.0`, `unix:0`, `host:0.0`, `tcp/host:0`, `[::1]:0`, a socket's path, an abstract socket.

use std::fmt;
use std::path::PathBuf;

/// The highest display number: its TCP port is 65,535.
pub const NUMBER_MAX: u32 = 65_535 - TCP_PORT_BASE;
/// The TCP port of display 0.
pub const TCP_PORT_BASE: u32 = 6000;
/// Where local servers have their sockets.
pub const SOCKET_DIR: &str = "/tmp/.X11-unix";
/// Longest display name that is accepted, in bytes: a path fits in a socket address, a host name in DNS.
const NAME_MAX: usize = 300;

/// What a display name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server of this machine by its number: the socket in [`SOCKET_DIR`], or the abstract one of the same name.
    Local,
    /// A socket by its path.
    Path(PathBuf),
    /// An abstract socket by its name, without the leading `@`.
    Abstract(String),
    /// A server over TCP, by host name or address.
    Tcp(String),
}

/// A display name that has been understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName {
    text: String,
    /// What it stands for.
    pub target: Target,
    /// The display's number, 0 to [`NUMBER_MAX`]; `None` for a path that does not end in one.
    pub number: Option<u32>,
}

/// Why a display name can't be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    text: String,
    why: &'static str,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.text.chars().take(60).collect();
        write!(
            f,
            "{shown:?} is no display name: {}; give one like :0, unix:0, host:0.0 or the path of a socket",
            self.why
        )
    }
}

impl std::error::Error for NameError {}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl DisplayName {
    /// Understands a name as a user or `$DISPLAY` gives it. The screen number behind the display's is ignored: it is
    /// a matter between clients and the server.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        parse(text).map_err(|why| NameError { text: text.to_owned(), why })
    }

    /// Whether the server is reached over a Unix socket, which can pass descriptors.
    pub const fn is_unix(&self) -> bool {
        !matches!(self.target, Target::Tcp(_))
    }
}

fn parse(text: &str) -> Result<DisplayName, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > NAME_MAX {
        return Err("it is too long");
    }
    if text.contains(char::is_control) {
        return Err("it has control characters");
    }
    let path = text.strip_prefix("unix:").filter(|rest| rest.starts_with(['/', '@'])).unwrap_or(text);
    let named = |target, number| DisplayName { text: text.to_owned(), target, number };
    if let Some(name) = path.strip_prefix('@') {
        return Ok(named(Target::Abstract(name.to_owned()), number_of_path(name)));
    }
    if path.starts_with('/') {
        return Ok(named(Target::Path(path_without_screen(path)), number_of_path(path)));
    }
    let (host, number) = text.rsplit_once(':').ok_or("a colon and the display's number are missing")?;
    let number = Some(display_number(number)?);
    match host {
        "" | "unix" | "unix/" => Ok(named(Target::Local, number)),
        _ => Ok(named(Target::Tcp(tcp_host(host)?), number)),
    }
}

/// `10` or `10.0`.
fn display_number(text: &str) -> Result<u32, &'static str> {
    let (number, screen) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(number) {
        return Err("what follows the colon is no number");
    }
    if !digits(screen) {
        return Err("what follows the dot is no screen number");
    }
    number.parse().ok().filter(|number| *number <= NUMBER_MAX).ok_or("the display's number is above 59535")
}

fn tcp_host(host: &str) -> Result<String, &'static str> {
    let host = host.strip_prefix("tcp/").or_else(|| host.strip_prefix("inet/")).unwrap_or(host);
    let host = host.strip_prefix("inet6/").unwrap_or(host);
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(['/', ' ']) {
        return Err("the host's name is none");
    }
    Ok(host.to_owned())
}

/// A path may have a screen number behind it, `/tmp/launch/org.xquartz:0.1`: the socket is the one without it, unless
/// a file of the whole name exists.
fn path_without_screen(path: &str) -> PathBuf {
    let stem = path.rsplit_once('.').filter(|(stem, screen)| {
        let is_number = !screen.is_empty() && screen.bytes().all(|byte| byte.is_ascii_digit());
        is_number && stem.rsplit('/').next().is_some_and(|file| file.contains(':'))
    });
    match stem {
        Some((stem, _)) if !std::path::Path::new(path).exists() => PathBuf::from(stem),
        _ => PathBuf::from(path),
    }
}

/// The number that a socket's name ends in: `X7`, `org.xquartz:0`, `org.xquartz:0.1`.
fn number_of_path(path: &str) -> Option<u32> {
    let file = path.rsplit('/').next()?;
    if let Some((_, number)) = file.rsplit_once(':') {
        return display_number(number).ok();
    }
    display_number(file.strip_prefix('X')?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> (Target, Option<u32>) {
        let name = DisplayName::parse(text).unwrap();
        assert_eq!(name.to_string(), text);
        (name.target, name.number)
    }

    #[test]
    fn every_form_in_use_is_understood() {
        use Target::{Abstract, Local, Path, Tcp};
        for (text, target, number) in [
            (":0", Local, Some(0)),
            (":0.0", Local, Some(0)),
            (":12.3", Local, Some(12)),
            ("unix:0", Local, Some(0)),
            ("unix/:7", Local, Some(7)),
            ("localhost:10.0", Tcp("localhost".into()), Some(10)),
            ("tcp/host:1", Tcp("host".into()), Some(1)),
            ("192.0.2.7:0", Tcp("192.0.2.7".into()), Some(0)),
            ("[::1]:2.0", Tcp("::1".into()), Some(2)),
            ("::1:2", Tcp("::1".into()), Some(2)),
            ("/tmp/.X11-unix/X5", Path("/tmp/.X11-unix/X5".into()), Some(5)),
            ("unix:/tmp/some.socket", Path("/tmp/some.socket".into()), None),
            (
                "/private/tmp/launch-x/org.xquartz:0",
                Path("/private/tmp/launch-x/org.xquartz:0".into()),
                Some(0),
            ),
            (
                "/private/tmp/launch-x/org.xquartz:0.1",
                Path("/private/tmp/launch-x/org.xquartz:0".into()),
                Some(0),
            ),
            ("@/tmp/.X11-unix/X5", Abstract("/tmp/.X11-unix/X5".into()), Some(5)),
        ] {
            assert_eq!(parsed(text), (target, number), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "empty"),
            ("0", "colon"),
            (":", "no number"),
            (":x", "no number"),
            (":-1", "no number"),
            (":+1", "no number"),
            (":0.", "screen"),
            (":0.x", "screen"),
            (":59536", "59535"),
            (":99999999999999999999", "59535"),
            ("tcp/:0", "host"),
            ("a b:0", "host"),
            (":0\n", "control"),
            (&"x".repeat(301), "too long"),
        ] {
            let error = DisplayName::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        assert!(DisplayName::parse(":59535").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = DisplayName::parse(&text);
        }
    }
}
