//! A display of one's own: a free number, its lock file, its two sockets.
//!
//! The rules are those of X servers: `/tmp/.X<n>-lock` with the owner's pid, `/tmp/.X11-unix/X<n>`, and the abstract
//! socket of the same name, which sandboxes such as Flatpak's look for first.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use display::name::{NUMBER_MAX, SOCKET_DIR};
use display::{DisplayName, Target};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use rustix::process::{Pid, test_kill_process};

use crate::error::Error;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// A server that is there takes a connection at once, or has a full queue.
const PROBE_MAX: Duration = Duration::from_millis(200);
/// Scratch files made so far: several bridges of one process may look for a display at once.
static SCRATCH_FILES: AtomicU32 = AtomicU32::new(0);
/// Tries at a lock file that others remove and make at the same time.
const LOCK_TRIES: usize = 5;

/// A display's sockets and files, or a socket of another path. Dropping it removes the files.
#[derive(Debug)]
pub(crate) struct Listener {
    number: Option<u32>,
    path: PathBuf,
    by_path: Arc<OwnedFd>,
    /// The same as the other for a socket that is no display's: abstract sockets are everybody's.
    by_name: Arc<OwnedFd>,
    _files: (Option<Removed>, Option<Lock>),
}

/// Why one number can't be had.
enum Taken {
    ByOther,
    Failed(Error),
}

impl Listener {
    /// Takes display `number`, or the first free one other than `host`, whose server may be yet to come.
    pub(crate) fn bind(number: Option<u32>, host: Option<u32>) -> Result<Self, Error> {
        if let Some(number) = number {
            return take(number).map_err(|taken| match taken {
                Taken::ByOther => Error::DisplayTaken { number },
                Taken::Failed(error) => error,
            });
        }
        for number in (0..=NUMBER_MAX).filter(|number| Some(*number) != host) {
            match take(number) {
                Err(Taken::ByOther) => {}
                Err(Taken::Failed(error)) => return Err(error),
                Ok(listener) => return Ok(listener),
            }
        }
        Err(Error::NoFreeDisplay)
    }

    /// Listens on a path that is no display's. Who may connect is who may open the file: its owner alone.
    pub(crate) fn at(path: PathBuf) -> Result<Self, Error> {
        let failed = |errno| Error::Socket { path: path.clone(), errno };
        match std::fs::symlink_metadata(&path).map(|found| found.file_type().is_socket()) {
            Ok(true) if answers(&path.display().to_string()) => return Err(failed(Errno::ADDRINUSE)),
            // A dead process's.
            Ok(true) => drop(std::fs::remove_file(&path)),
            Ok(false) => return Err(failed(Errno::EXIST)),
            Err(_) => {}
        }
        let address = SocketAddrUnix::new(&path).map_err(failed)?;
        let socket = unix_socket().map_err(failed)?;
        bind(&socket, &address).map_err(failed)?;
        let removed = Removed(path.clone());
        // Nobody can connect before `listen`, so nobody else ever can.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        listen(&socket, BACKLOG).map_err(failed)?;
        let by_path = Arc::new(socket);
        Ok(Self { number: None, path, by_name: Arc::clone(&by_path), by_path, _files: (Some(removed), None) })
    }

    /// Listens on sockets that a service manager has made and passed: that of a display by path, and perhaps the abstract
    /// one too. They are its own to remove.
    pub(crate) fn inherited(descriptors: &[i32], number: Option<u32>) -> Result<Self, Error> {
        let mut by_path = None;
        let mut by_name = None;
        for descriptor in descriptors {
            let (socket, address) = sys::inherited::listening_socket(*descriptor).map_err(|errno| {
                invalid(format!(
                    "descriptor {descriptor} that was passed is no listening Unix socket: {errno}"
                ))
            })?;
            match (address.path_bytes(), address.abstract_name()) {
                (Some(path), _) => by_path = Some((PathBuf::from(OsStr::from_bytes(path)), Arc::new(socket))),
                _ => by_name = Some(Arc::new(socket)),
            }
        }
        let (path, by_path) = by_path.ok_or_else(|| invalid("no socket with a path was passed".into()))?;
        let name = path.to_str().and_then(|path| path.strip_prefix(SOCKET_DIR)?.strip_prefix("/X"));
        let passed = name.and_then(|name| name.parse().ok()).filter(|number| *number <= NUMBER_MAX);
        let passed = passed
            .ok_or_else(|| invalid(format!("{} that was passed is no display's socket", path.display())))?;
        if number.is_some_and(|number| number != passed) {
            return Err(invalid(format!("the socket of display :{passed} was passed; ask for that display")));
        }
        let lock = Lock::take(passed).map_err(|taken| match taken {
            Taken::ByOther => Error::DisplayTaken { number: passed },
            Taken::Failed(error) => error,
        })?;
        let by_name = by_name.unwrap_or_else(|| Arc::clone(&by_path));
        Ok(Self { number: Some(passed), path, by_path, by_name, _files: (None, Some(lock)) })
    }

    /// The display's number; none for a socket of another path.
    pub(crate) const fn number(&self) -> Option<u32> {
        self.number
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The listening sockets: by path, and abstract.
    pub(crate) fn sockets(&self) -> [&Arc<OwnedFd>; 2] {
        [&self.by_path, &self.by_name]
    }
}

const fn invalid(why: String) -> Error {
    Error::InvalidOption { why }
}

fn take(number: u32) -> Result<Listener, Taken> {
    let path = PathBuf::from(format!("{SOCKET_DIR}/X{number}"));
    if is_served(number, &path) {
        return Err(Taken::ByOther);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |errno| Taken::Failed(Error::Display { path, errno })
    };
    let lock = Lock::take(number)?;
    make_socket_dir().map_err(failed(Path::new(SOCKET_DIR)))?;
    let name =
        SocketAddrUnix::new_abstract_name(path.as_os_str().as_encoded_bytes()).map_err(failed(&path))?;
    let by_name = match listening(&name) {
        Err(Errno::ADDRINUSE) => return Err(Taken::ByOther),
        other => other.map_err(failed(&path))?,
    };
    // The lock is ours and nobody answers: a socket that is still there is a dead server's.
    let _ = std::fs::remove_file(&path);
    let address = SocketAddrUnix::new(&path).map_err(failed(&path))?;
    let by_path = listening(&address).map_err(failed(&path))?;
    let removed = Removed(path.clone());
    // As with any X server, whoever has the cookie may connect.
    let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777));
    Ok(Listener {
        number: Some(number),
        path,
        by_path: Arc::new(by_path),
        by_name: Arc::new(by_name),
        _files: (Some(removed), Some(lock)),
    })
}

/// Whether somebody answers on one of the display's sockets: a server in a container may have no lock file here.
fn is_served(number: u32, path: &Path) -> bool {
    debug_assert!(DisplayName::parse(&format!(":{number}")).is_ok_and(|name| name.target == Target::Local));
    answers(&path.display().to_string()) || answers(&format!("@{}", path.display()))
}

/// Whether somebody answers on a socket, or may.
fn answers(name: &str) -> bool {
    DisplayName::parse(name).is_ok_and(|name| match name.connect(PROBE_MAX) {
        Ok(_) => true,
        Err(error) => matches!(error.errno, Some(Errno::AGAIN | Errno::ACCESS | Errno::PERM)),
    })
}

fn unix_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn listening(address: &SocketAddrUnix) -> Result<OwnedFd, Errno> {
    let socket = unix_socket()?;
    bind(&socket, address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Makes the sockets' directory as X servers do: everybody's, and nobody may remove another's socket.
fn make_socket_dir() -> Result<(), Errno> {
    match std::fs::DirBuilder::new().mode(0o1777).create(SOCKET_DIR) {
        // The mode was cut by the umask.
        Ok(()) => std::fs::set_permissions(SOCKET_DIR, std::fs::Permissions::from_mode(0o1777)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// A file that goes with the value.
#[derive(Debug)]
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A display's lock file.
#[derive(Debug)]
struct Lock(#[expect(dead_code, reason = "held for its drop")] Removed);

impl Lock {
    fn take(number: u32) -> Result<Self, Taken> {
        let path = PathBuf::from(format!("/tmp/.X{number}-lock"));
        let serial = SCRATCH_FILES.fetch_add(1, Relaxed);
        let scratch = PathBuf::from(format!("/tmp/.tX{number}-lock-{}-{serial}", std::process::id()));
        let failed = |error: &std::io::Error| {
            let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
            Taken::Failed(Error::Display { path: path.clone(), errno })
        };
        // Written whole under another name, then linked: nobody ever reads half a pid.
        let _ = std::fs::remove_file(&scratch);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(&scratch)
            .map_err(|error| failed(&error))?;
        let scratch = Removed(scratch);
        writeln!(file, "{:>10}", std::process::id()).map_err(|error| failed(&error))?;
        for _ in 0..LOCK_TRIES {
            match std::fs::hard_link(&scratch.0, &path) {
                Ok(()) => return Ok(Self(Removed(path))),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&error)),
            }
            if !is_stale(&path) || std::fs::remove_file(&path).is_err() {
                return Err(Taken::ByOther);
            }
        }
        Err(Taken::ByOther)
    }
}

/// Whether a lock file's owner has ended. One that can't be read, or holds no pid, is somebody's.
fn is_stale(path: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use x11bridge_testkit::display::unused_number;

    #[test]
    fn a_free_display_is_found_other_than_the_hosts() {
        let first = Listener::bind(None, None).unwrap().number();
        let listener = Listener::bind(None, first).unwrap();
        assert_ne!(listener.number(), first);
        assert!(
            DisplayName::parse(&listener.path().display().to_string()).unwrap().connect(PROBE_MAX).is_ok()
        );
    }

    #[test]
    fn a_display_has_a_lock_and_two_sockets_and_leaves_nothing() {
        let listener = Listener::bind(Some(unused_number()), None).unwrap();
        let (number, path) = (listener.number().unwrap(), listener.path().to_owned());
        let lock = PathBuf::from(format!("/tmp/.X{number}-lock"));
        let text = std::fs::read_to_string(&lock).unwrap();
        assert_eq!((text.len(), text.trim().parse()), (11, Ok(std::process::id())));
        for name in [format!(":{number}"), path.display().to_string(), format!("@{}", path.display())] {
            assert!(DisplayName::parse(&name).unwrap().connect(PROBE_MAX).is_ok(), "{name}");
        }
        assert!(
            matches!(Listener::bind(Some(number), None), Err(Error::DisplayTaken { number: n }) if n == number)
        );
        drop(listener);
        assert!(!lock.exists() && !path.exists());
    }

    #[test]
    fn what_a_dead_server_left_is_taken_over() {
        let number = unused_number();
        let (lock, path) = (format!("/tmp/.X{number}-lock"), format!("{SOCKET_DIR}/X{number}"));
        make_socket_dir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        std::fs::write(&lock, format!("{:>10}\n", child.id())).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(Listener::bind(Some(number), None).unwrap().number(), Some(number));
    }

    #[test]
    fn a_socket_of_another_path_is_its_owners_alone_and_taken_over_only_from_the_dead() {
        let path = std::env::temp_dir().join(format!("x11bridge-listen-{}", unused_number()));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::at(path.clone()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let errno = |taken| match taken {
            Err(Error::Socket { errno, .. }) => errno,
            _ => panic!("it is refused"),
        };
        assert_eq!(errno(Listener::at(path.clone())), Errno::ADDRINUSE);
        drop(listener);
        assert!(!path.exists());
        std::fs::write(&path, "a file").unwrap();
        assert_eq!(errno(Listener::at(path.clone())), Errno::EXIST);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_lock_that_holds_no_pid_is_respected() {
        let number = unused_number();
        let lock = PathBuf::from(format!("/tmp/.X{number}-lock"));
        std::fs::write(&lock, "not a pid\n").unwrap();
        let taken = Listener::bind(Some(number), None);
        std::fs::remove_file(lock).unwrap();
        assert!(matches!(taken, Err(Error::DisplayTaken { .. })));
    }
}
