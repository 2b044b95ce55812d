//! The real libxshmfence, in a process of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags};
use rustix::time::Timespec;

use crate::HANG_GUARD;

/// A process that does with fences what it is told, by the library that X clients and servers use. It ends when this is
/// dropped.
#[derive(Debug)]
pub struct XshmfencePeer {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl XshmfencePeer {
    /// Starts one. The first builds the program with the C compiler, in `dir`; a test has `CARGO_TARGET_TMPDIR` for that.
    pub fn start(dir: &Path) -> io::Result<Self> {
        let mut child = Command::new(program(dir)?).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (commands, answers) = pipes.ok_or_else(|| io::Error::other("the process has no pipes"))?;
        Ok(Self { child, commands, answers: BufReader::new(answers) })
    }

    /// A new fence of the library's own in a slot (0..512), and its file.
    pub fn alloc(&mut self, slot: usize) -> io::Result<File> {
        let number = self.ask(&format!("alloc {slot}"))?;
        File::options().read(true).write(true).open(format!("/proc/{}/fd/{number}", self.child.id()))
    }

    /// The fence in a file of this process, in a slot.
    pub fn map(&mut self, slot: usize, file: impl AsFd) -> io::Result<()> {
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_fd().as_raw_fd());
        self.ask(&format!("map {slot} {path}")).map(drop)
    }

    /// Tells it one thing, such as `trigger 0`, and returns its answer once that is done: 0 or above.
    pub fn ask(&mut self, command: &str) -> io::Result<i64> {
        self.tell(command)?;
        self.answer()
    }

    /// Tells it one thing, without waiting for the answer.
    pub fn tell(&mut self, command: &str) -> io::Result<()> {
        writeln!(self.commands, "{command}")
    }

    /// The next answer; fails when there is none for [`HANG_GUARD`].
    pub fn answer(&mut self) -> io::Result<i64> {
        let limit = Timespec::try_from(HANG_GUARD).map_err(io::Error::other)?;
        let mut polled = [PollFd::new(self.answers.get_ref(), PollFlags::IN)];
        if self.answers.buffer().is_empty() && rustix::event::poll(&mut polled, Some(&limit))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer = line.trim().parse().map_err(io::Error::other)?;
        if answer < 0 { Err(io::Error::other("libxshmfence refused")) } else { Ok(answer) }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Returns once it sleeps in the kernel.
    pub fn until_asleep(&self) -> io::Result<()> {
        let stat = format!("/proc/{}/stat", self.child.id());
        // The state follows the program's name, which is in brackets.
        while !std::fs::read_to_string(&stat)?.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for XshmfencePeer {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The program, built once by each process that needs it.
fn program(dir: &Path) -> io::Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = PROGRAM.get_or_init(|| build(dir).map_err(|error| error.to_string()));
    built.as_deref().map_err(|text| io::Error::other(text.clone()))
}

fn build(dir: &Path) -> io::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c/xshmfence-peer.c");
    // Processes that build it at the same time must not see each other's half.
    let (path, half) =
        (dir.join("xshmfence-peer"), dir.join(format!("xshmfence-peer-{}", std::process::id())));
    let output =
        Command::new("cc").args(["-O1", "-Wall", "-o"]).args([&half, &source]).arg("-lxshmfence").output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("install libxshmfence-dev; the C compiler says: {text}")));
    }
    std::fs::rename(half, &path)?;
    Ok(path)
}
