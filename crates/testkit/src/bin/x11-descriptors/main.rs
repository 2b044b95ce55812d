//! `x11-descriptors SCRIPT [--display NAME] [--order big] [--form big]`: a client that uses the messages with
//! descriptors of DRI3, SYNC, Present, MIT-SHM and RANDR, and prints one line of JSON with all that it saw: every
//! descriptor, pixel, fence and error, so that a run through the bridge can be compared with a direct one.
//!
//! `--form big` sends every request in the BIG-REQUESTS form. Every script is described where it is defined.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command prints its result")]

mod buffers;
mod faults;
mod fences;
mod memory;
mod servers;
mod shapes;
mod talk;
mod timelines;
mod versions;

use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};
use x11bridge_testkit::ByteOrder;
use x11bridge_testkit::display::Display;
use x11bridge_testkit::options::Options;

use talk::Talk;

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
    let form = options.value("form", String::new())? == "big";
    let client = Display::find(&options.display()?)?.connect(order)?;
    let mut talk = Talk::new(client, form)?;
    match options.words.first().map_or("", String::as_str) {
        "versions" => versions::versions(&mut talk),
        "buffers" => buffers::buffers(&mut talk),
        "exports" => fences::exports(&mut talk),
        "fences" => fences::fences(&mut talk),
        "shapes" => shapes::shapes(&mut talk),
        "faults" => faults::faults(&mut talk),
        "servers" => servers::servers(&mut talk),
        "frames" => servers::frames(&mut talk, options.value("count", 1000)?, options.value("sizes", 1)?),
        "opens" => servers::opens(&mut talk),
        "timelines" => timelines::timelines(&mut talk),
        "cycles" => buffers::cycles(&mut talk, options.value("count", 1000)?),
        other => Err(io::Error::other(format!("there is no script {other}"))),
    }
}
