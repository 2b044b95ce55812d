//! The measures. Each runs for a given time, ends with a round trip so that the server has really done all
//! of it, and counts what was done until that round trip returned.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use x11bridge_testkit::display::Display;
use x11bridge_testkit::{ByteOrder, requests};

use crate::canvas::{Canvas, IMAGE_BYTES};

/// What libxcb gathers before it writes.
const WRITE_BYTES: usize = 16 << 10;
/// Round trips before the measured ones, so that both schedulers know the connection.
const WARM_UP: usize = 500;

/// Runs the measure of that name.
pub(crate) fn by_name(name: &str, display: &Display, limit: Duration) -> io::Result<Value> {
    match name {
        "roundtrip" => round_trips(display, limit),
        "putimage" => put_images(display, limit),
        "getimage" => get_images(display, limit),
        "small" => small_requests(display, limit),
        "connect" => connections(display, limit),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no measure {name}"))),
    }
}

fn round_trips(display: &Display, limit: Duration) -> io::Result<Value> {
    let mut client = display.connect(ByteOrder::Little)?;
    (0..WARM_UP).try_for_each(|_| client.sync())?;
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < limit {
        let before = Instant::now();
        client.sync()?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    Ok(json!({ "count": times.len(), "p50_us": percentile(&times, 50), "p99_us": percentile(&times, 99) }))
}

fn put_images(display: &Display, limit: Duration) -> io::Result<Value> {
    let mut canvas = Canvas::open(display)?;
    canvas.put()?;
    canvas.client.sync()?;
    images(limit, &mut canvas, Canvas::put)
}

fn get_images(display: &Display, limit: Duration) -> io::Result<Value> {
    let mut canvas = Canvas::open(display)?;
    canvas.get()?;
    images(limit, &mut canvas, |canvas| canvas.get().map(drop))
}

fn images(
    limit: Duration,
    canvas: &mut Canvas,
    once: impl Fn(&mut Canvas) -> io::Result<()>,
) -> io::Result<Value> {
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < limit {
        once(canvas)?;
        count += 1;
    }
    canvas.client.sync()?;
    let per_second = f64::from(count) / start.elapsed().as_secs_f64();
    let bytes = f64::from(u32::try_from(IMAGE_BYTES).unwrap_or(u32::MAX));
    Ok(json!({ "count": count, "per_s": per_second, "mb_per_s": per_second * bytes / 1e6 }))
}

/// What programs send between two replies: `ChangeGC`, `PolyPoint` and `NoOperation`, 4 to 16 bytes each.
fn small_requests(display: &Display, limit: Duration) -> io::Result<Value> {
    let mut canvas = Canvas::open(display)?;
    let (order, gc, drawable) = (canvas.client.order, canvas.gc, canvas.area.drawable);
    let trio = [
        requests::change_foreground(order, gc, 0x00ab_cdef),
        requests::poly_point(order, drawable, gc, 7, 7),
        requests::no_operation(order),
    ]
    .concat();
    let trios = WRITE_BYTES / trio.len();
    let (bytes, requests_per_write) = (trio.repeat(trios), 3 * trios as u64);
    let sequence_before = canvas.client.sequence;
    let start = Instant::now();
    while start.elapsed() < limit {
        canvas.client.stream.send(&bytes)?;
        canvas.client.sequence += requests_per_write;
    }
    canvas.client.sync()?;
    let elapsed = start.elapsed().as_secs_f64();
    let count = u32::try_from(canvas.client.sequence - sequence_before).unwrap_or(u32::MAX);
    Ok(json!({ "count": count, "per_s": f64::from(count) / elapsed }))
}

fn connections(display: &Display, limit: Duration) -> io::Result<Value> {
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < limit {
        display.connect(ByteOrder::Little)?.sync()?;
        count += 1;
    }
    Ok(json!({ "count": count, "per_s": f64::from(count) / start.elapsed().as_secs_f64() }))
}

/// In microseconds; `sorted` has its smallest first.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}
