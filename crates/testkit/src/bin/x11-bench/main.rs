//! `x11-bench`: what a display's transport costs, measured by a raw client that itself costs next to nothing.
//!
//! Before it measures it asserts that what it measures is right: an image comes back as it was put, and
//! sequence numbers are right past 65,536. It prints one line of JSON.
//!
//! - `--display NAME`: `:N`, a socket path or `@abstract`; default `$DISPLAY`. The cookie is `$XAUTHORITY`'s.
//! - `--measures LIST`: of `roundtrip`, `putimage`, `getimage`, `small`, `connect`; default all.
//! - `--seconds S`: how long each measure runs; default 1.
//! - `--hold N`: instead, open N connections, say `{"holding":N}`, keep them until standard input ends.
//! - `--warm yes`: … after each of them has moved some images.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command prints its result")]

mod canvas;
mod measure;

use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};
use x11bridge_testkit::ByteOrder;
use x11bridge_testkit::display::Display;
use x11bridge_testkit::options::Options;

use canvas::Canvas;

const ALL_MEASURES: &str = "roundtrip,putimage,getimage,small,connect";
/// What a warmed connection has moved, each way: enough to have grown every buffer to its full size.
const WARM_IMAGES: usize = 4;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let display = Display::find(&options.display()?)?;
    match options.value("hold", 0)? {
        0 => println!("{}", measure_all(&display, &options)?),
        connections => hold(&display, connections, options.value("warm", String::new())? == "yes")?,
    }
    Ok(())
}

fn measure_all(display: &Display, options: &Options) -> io::Result<Value> {
    let limit = Duration::from_secs_f64(options.value("seconds", 1.0)?);
    let measures = options.value("measures", ALL_MEASURES.to_owned())?;
    Canvas::open(display)?.assert_right()?;
    let mut results = Map::new();
    for name in measures.split(',') {
        results.insert(name.to_owned(), measure::by_name(name, display, limit)?);
    }
    Ok(Value::Object(results))
}

fn hold(display: &Display, connections: usize, warm: bool) -> io::Result<()> {
    let mut held = Vec::new();
    for _ in 0..connections {
        if warm {
            let mut canvas = Canvas::open(display)?;
            (0..WARM_IMAGES).try_for_each(|_| canvas.put().and_then(|()| canvas.get()).map(drop))?;
            held.push(canvas.client);
        } else {
            held.push(display.connect(ByteOrder::Little)?);
        }
    }
    println!("{}", json!({ "holding": held.len() }));
    io::stdin().read_to_end(&mut Vec::new())?;
    held.iter_mut().try_for_each(x11bridge_testkit::RawClient::sync)
}
