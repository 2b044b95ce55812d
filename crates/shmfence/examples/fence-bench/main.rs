//! What it takes from the trigger of a fence in one process until its waiter in another is awake, directly and over links.
//!
//! It prints one line of JSON: microseconds, the median of as many cycles as asked for, by measure:
//! - `message`: no fence, a byte over a socket: what a channel between the two would take one way;
//! - `plain`: two processes of one kernel;
//! - `shared`: the word is shared, the wake is carried over the socket. Both processes have one kernel here, so each
//!   sleeps and wakes by bits of its own, which the other's wakes have not;
//! - `relay`: each process has a page, and a request resets the fence before each trigger.
//!
//! `fence-bench --cycles N` measures; `fence-bench --uncontended N` makes N triggers and resets of a linked, shared fence
//! that nobody sleeps on, for its system calls to be counted; `fence-bench --threads N` counts the threads of a process that watches N
//! fences.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command prints its result")]

mod bits;
mod child;
mod wire;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};

use shmfence::links::{Event, Message};
use shmfence::{Fence, Links, Watcher, Word};

use bits::{InKernel, WAITER_BITS};
use wire::{Clock, Failure, Record, path_of};

/// The one fence of each measure.
const ID: u32 = 0x4000_0000;
const MEASURES: [&str; 4] = ["message", "plain", "shared", "relay"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["--cycles", count] => count.parse().map_err(Failure::from).and_then(measure_all),
        ["--uncontended", count] => count.parse().map_err(Failure::from).and_then(uncontended),
        ["--threads", count] => count.parse().map_err(Failure::from).and_then(threads),
        ["--child", measure, clock, page] => child::serve(measure, clock, page),
        _ => Err("the options are --cycles N, --uncontended N and --threads N".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{{\"error\":\"{error}\"}}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all(cycles: usize) -> Result<(), Failure> {
    let results =
        MEASURES.map(|measure| Ok(format!("\"{measure}\":{:.2}", Lab::new(measure)?.median(cycles)?)));
    let results = results.into_iter().collect::<Result<Vec<_>, Failure>>()?;
    println!("{{{}}}", results.join(","));
    Ok(())
}

/// The waiting process's side of a measure, and the process that triggers.
struct Lab {
    measure: &'static str,
    clock: Clock,
    fence: Fence,
    /// Its file, which the child opens by this process's descriptor.
    page: OwnedFd,
    to_child: UnixStream,
    from_child: UnixStream,
    links: Arc<Mutex<Links>>,
    child: Child,
}

impl Lab {
    fn new(measure: &'static str) -> Result<Self, Failure> {
        let (clock, (fence, page)) = (Clock::create()?, Fence::create(false)?);
        let ((to_child, stdin), (from_child, stdout)) = (UnixStream::pair()?, UnixStream::pair()?);
        let child = Command::new(std::env::current_exe()?)
            .args(["--child", measure, &path_of(clock.file()), &path_of(&page)])
            .stdin(Stdio::from(OwnedFd::from(stdin)))
            .stdout(Stdio::from(OwnedFd::from(stdout)))
            .spawn()?;
        let outbox = to_child.try_clone()?;
        let watcher = Arc::new(Watcher::start()?);
        let outlet = move |_, event| {
            if let Event::Send(Message::Relay(message)) = event {
                let _ = Record::Relay(message).write(&outbox);
            }
        };
        let links = Links::new(watcher, Arc::new(outlet));
        let lab = Self {
            measure,
            clock,
            fence,
            page,
            to_child,
            from_child,
            links: Arc::new(Mutex::new(links)),
            child,
        };
        lab.link()?;
        Ok(lab)
    }

    /// Carries what the child's side says, on a thread of its own as a channel would.
    fn link(&self) -> Result<(), Failure> {
        if self.measure == "message" || self.measure == "plain" {
            return Ok(());
        }
        let fence = Fence::open(self.page.as_fd())?;
        let relays = self.measure == "relay";
        if relays {
            self.links.lock().map_err(|_| "a panic")?.add_client(ID, Fence::open(self.page.as_fd())?)?;
        }
        let (stream, links) = (self.from_child.try_clone()?, Arc::clone(&self.links));
        let woken = InKernel { fence, bits: WAITER_BITS };
        std::thread::spawn(move || -> Result<(), Failure> {
            loop {
                match Record::read(&stream)? {
                    Record::Relay(message) => {
                        links.lock().map_err(|_| "a panic")?.receive(ID, Message::Relay(message))?;
                    }
                    _ => woken.wake(shmfence::word::ALL_BUT_WATCHERS)?,
                }
            }
        });
        Ok(())
    }

    fn median(mut self, cycles: usize) -> Result<f64, Failure> {
        let mut times = (0..cycles).map(|_| self.cycle()).collect::<Result<Vec<f64>, Failure>>()?;
        times.sort_by(f64::total_cmp);
        self.child.kill()?;
        self.child.wait()?;
        times.get(cycles / 2).copied().ok_or_else(|| "there were no cycles".into())
    }

    /// Microseconds from the trigger until this thread goes on.
    fn cycle(&self) -> Result<f64, Failure> {
        self.fence.reset()?;
        let before = self.links.lock().map_err(|_| "a panic")?.before_request(ID)?;
        if let Some(Message::Relay(message)) = before {
            Record::Relay(message).write(&self.to_child)?;
        }
        Record::Request.write(&self.to_child)?;
        match self.measure {
            "message" => drop(Record::read(&self.from_child)?),
            "shared" => drop(InKernel { fence: &self.fence, bits: WAITER_BITS }.wait(None)?),
            _ => drop(self.fence.wait(None)?),
        }
        self.clock.since_noted()
    }
}

fn uncontended(count: usize) -> Result<(), Failure> {
    let mut links = Links::new(Arc::new(Watcher::start()?), Arc::new(|_, _| ()));
    let (fence, file) = Fence::create(false)?;
    links.add_shared(ID, Fence::open(file.as_fd())?)?;
    for _ in 0..count {
        fence.trigger()?;
        fence.reset()?;
    }
    println!("{{\"uncontended\":{count}}}");
    Ok(())
}

fn threads(count: u32) -> Result<(), Failure> {
    let watcher = Arc::new(Watcher::start()?);
    let mut links = Links::new(Arc::clone(&watcher), Arc::new(|_, _| ()));
    for id in 0..count {
        links.add_shared(ID + id, Fence::create(false)?.0)?;
    }
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    println!(
        "{{\"backend\":\"{}\",\"fences\":{},\"watcher_threads\":{}}}",
        watcher.backend(),
        links.len(),
        threads - 1
    );
    Ok(())
}

/// The file of a path that another process gave.
fn open(path: &str) -> Result<File, Failure> {
    Ok(File::options().read(true).write(true).open(path)?)
}
