//! `x11-attack SCRIPT [--display NAME] [options]`: a client that does one odd thing to a display, and prints
//! one line of JSON with what it saw, so that a run through the bridge can be compared with a direct one.
//!
//! Scripts that hold something open say so in a line of its own, and go on when standard input ends.
//! Every script is described where it is defined.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command prints its result")]

mod crowds;
mod descriptors;
mod extensions;
mod misbehaviour;
mod picture;
mod policy;
mod streams;

use std::io::{self, Read};
use std::process::ExitCode;

use serde_json::{Value, json};
use x11bridge_testkit::display::Display;
use x11bridge_testkit::options::Options;
use x11bridge_testkit::{ByteOrder, RawClient};

/// What a script is given.
struct Stage {
    display: Display,
    options: Options,
    order: ByteOrder,
}

impl Stage {
    fn client(&self) -> io::Result<RawClient> {
        self.display.connect(self.order)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<Value> {
    let options = Options::parse(std::env::args().skip(1))?;
    let big = options.value("order", String::new())? == "big";
    let order = if big { ByteOrder::Big } else { ByteOrder::Little };
    let stage = Stage { display: Display::find(&options.display()?)?, options, order };
    match stage.options.words.first().map_or("", String::as_str) {
        "extensions" => extensions::query_all(&stage),
        "list-extensions" => extensions::list_only(&stage),
        "session" => streams::session(&stage),
        "sequence" => streams::sequence(&stage),
        "setup-pieces" => streams::setup_pieces(&stage),
        "garbage" => misbehaviour::garbage(&stage),
        "unknown-requests" => misbehaviour::unknown_requests(&stage),
        "zero-length" => misbehaviour::zero_length(&stage),
        "die" => misbehaviour::die(&stage),
        "stall" => misbehaviour::stall(&stage),
        "half-setup" => misbehaviour::half_setup(&stage),
        "fds" => descriptors::unclaimed(&stage),
        "attach-number" => descriptors::attach_number(&stage),
        "attach-fd" => descriptors::attach_fd(&stage),
        "create-segment" => descriptors::create_segment(&stage),
        "policy" => policy::policy(&stage),
        "tightened" => policy::tightened::tightened(&stage),
        "picture" => picture::picture(&stage),
        "auth" => crowds::auth(&stage),
        "churn" => crowds::churn(&stage),
        "crowd" => crowds::crowd(&stage),
        "watch" => crowds::watch(&stage),
        "await-end" => crowds::await_end(&stage),
        other => Err(io::Error::other(format!("there is no script {other}"))),
    }
}

/// Says what is held open, and returns when standard input ends.
fn hold(state: &Value) -> io::Result<()> {
    println!("{state}");
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// FNV-1a: short to print, and differs where the bytes differ.
fn digest(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
