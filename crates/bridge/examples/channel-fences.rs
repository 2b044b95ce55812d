//! What it takes over a real channel, in which a client's thread has to be woken, until the client is awake: by a message of the
//! server's, and by the trigger of a fence that is relayed.
//!
//! `channel-fences N` prints one line of JSON: medians of N cycles, in microseconds. Client, server and bridge are threads of one
//! process; the channel is loopback.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command prints its result")]

use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bridge::{Bridge, ChannelChoice, FenceChoice, Options};
use display::{DisplayName, xauthority};
use shmfence::{Fence, Word};
use x11bridge_testkit::{ByteOrder, FakeConnection, FakeServer, RawClient, requests};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const DRI3: u8 = 149;
const SYNC: u8 = 134;
const QUERY_FENCE: u8 = 18;
const NO_OPERATION: u8 = 127;
const FENCE: u32 = 0x0020_0001;
const ORDER: ByteOrder = ByteOrder::Little;
/// Until whoever waits is asleep.
const UNTIL_ASLEEP: Duration = Duration::from_micros(100);

fn main() -> ExitCode {
    let cycles = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1000);
    match measure(cycles) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{{\"error\":\"{error}\"}}");
            ExitCode::FAILURE
        }
    }
}

fn measure(cycles: usize) -> Result<String, Failure> {
    let folder = std::env::temp_dir().join(format!("x11bridge-channel-fences-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let result = measure_in(&folder, cycles);
    std::fs::remove_dir_all(folder)?;
    result
}

fn measure_in(folder: &Path, cycles: usize) -> Result<String, Failure> {
    let server = FakeServer::start(folder)?;
    let display = DisplayName::parse(&server.path().to_string_lossy())?;
    let mut options = Options::new(Some(display), folder.to_owned());
    options.channel = ChannelChoice::Loopback;
    options.fences = FenceChoice::Relay;
    // So that the thread sleeps in either case.
    options.live.spin = Duration::ZERO;
    let bridge = Bridge::start(options, Box::new(|| {}))?;
    let entries = xauthority::parse(&std::fs::read(bridge.xauthority().ok_or("no cookie")?)?);
    let cookie = entries.first().ok_or("no cookie")?.data.clone();
    let (client, page) = Fence::create(true)?;
    let clock = Mutex::new(Instant::now());
    std::thread::scope(|scope| {
        let answers = scope.spawn(|| serve(&server, &clock));
        let mut connection = RawClient::connect(bridge.socket_path(), ORDER, Some(&cookie))?;
        for (name, major) in [("DRI3", DRI3), ("SYNC", SYNC)] {
            if connection.extension(name)? != Some(major) {
                return Err(format!("{name} is hidden").into());
            }
        }
        let body = [&ORDER.u32(1)[..], &ORDER.u32(FENCE), &[0; 4]].concat();
        connection.request_with_fds(&requests::request(ORDER, DRI3, 4, &body), &[page.as_fd()])?;
        let message = median((0..cycles).map(|_| by_message(&mut connection, &clock)))?;
        let relay = median((0..cycles).map(|_| by_fence(&mut connection, &client, &clock)))?;
        drop(connection);
        answers.join().map_err(|_| "a panic")??;
        Ok(format!("{{\"message\":{message:.2},\"relay\":{relay:.2}}}"))
    })
}

/// Answers each request by a message, or the trigger of a fence.
fn serve(server: &FakeServer, clock: &Mutex<Instant>) -> Result<(), Failure> {
    let (mut connection, _) = server.accept_client()?;
    for major in [DRI3, SYNC] {
        connection.request()?;
        connection.reply_extension(Some(major))?;
    }
    let made = connection.request()?;
    let fence = Fence::open(made.fds.first().ok_or("the fence has no page")?.as_fd())?;
    while let Ok(request) = connection.request() {
        std::thread::sleep(UNTIL_ASLEEP);
        note(clock)?;
        if request.opcode() == NO_OPERATION { say(&mut connection)? } else { fence.trigger()? }
    }
    Ok(())
}

/// The smallest message that there is: an event.
fn say(connection: &mut FakeConnection) -> Result<(), Failure> {
    let mut event = [0; 32];
    event[0] = 12;
    Ok(connection.stream.send(&event)?)
}

fn by_message(connection: &mut RawClient, clock: &Mutex<Instant>) -> Result<f64, Failure> {
    connection.request(&requests::request(ORDER, NO_OPERATION, 0, &[0; 4]))?;
    connection.packet()?;
    since(clock)
}

fn by_fence(connection: &mut RawClient, fence: &Fence, clock: &Mutex<Instant>) -> Result<f64, Failure> {
    fence.reset()?;
    connection.request(&requests::request(ORDER, SYNC, QUERY_FENCE, &ORDER.u32(FENCE)))?;
    fence.wait(None)?;
    since(clock)
}

fn note(clock: &Mutex<Instant>) -> Result<(), Failure> {
    *clock.lock().map_err(|_| "a panic")? = Instant::now();
    Ok(())
}

/// Microseconds.
fn since(clock: &Mutex<Instant>) -> Result<f64, Failure> {
    let now = Instant::now();
    let noted = *clock.lock().map_err(|_| "a panic")?;
    Ok(now.duration_since(noted).as_secs_f64() * 1e6)
}

fn median(times: impl Iterator<Item = Result<f64, Failure>>) -> Result<f64, Failure> {
    let mut times = times.collect::<Result<Vec<f64>, Failure>>()?;
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().ok_or_else(|| "there were no cycles".into())
}
