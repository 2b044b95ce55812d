//! Many clients, and single ones that come, stay or are refused.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use x11bridge_testkit::RawClient;

use crate::{Stage, hold};

/// `auth [--cookie none|wrong]`: the words with which a client without the right cookie is refused.
pub(crate) fn auth(stage: &Stage) -> io::Result<Value> {
    let wrong = stage.options.value("cookie", String::new())? == "wrong";
    let cookie = wrong.then_some(b"not the cookie!!".as_slice());
    Ok(match RawClient::connect(&stage.display.socket, stage.order, cookie) {
        Ok(_) => json!({ "refused": Value::Null }),
        Err(error) => json!({ "refused": error.to_string() }),
    })
}

/// `churn [--count N]`: N connections (default 1,000), one after the other, each with a round trip.
pub(crate) fn churn(stage: &Stage) -> io::Result<Value> {
    let count = stage.options.value("count", 1000)?;
    (0..count).try_for_each(|_| stage.client()?.sync())?;
    Ok(json!({ "connections": count }))
}

/// `crowd [--count N]`: N connections at once (default 200), each with a round trip; holds; each with another one.
pub(crate) fn crowd(stage: &Stage) -> io::Result<Value> {
    let count = stage.options.value("count", 200)?;
    let mut clients = (0..count).map(|_| stage.client()).collect::<io::Result<Vec<_>>>()?;
    clients.iter_mut().try_for_each(RawClient::sync)?;
    hold(&json!({ "open": clients.len() }))?;
    clients.iter_mut().try_for_each(RawClient::sync)?;
    Ok(json!({ "connections": clients.len() }))
}

/// `watch`: a healthy client; says so after its first round trip, and makes round trips until standard input ends.
pub(crate) fn watch(stage: &Stage) -> io::Result<Value> {
    let mut client = stage.client()?;
    client.sync()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let held = hold(&json!({ "watching": 1 }));
            over.store(true, Ordering::Release);
            held
        });
        let mut round_trips = 0_u64;
        while !over.load(Ordering::Acquire) {
            client.sync()?;
            round_trips += 1;
            // Healthy clients leave room for others, on one processor too.
            thread::yield_now();
        }
        Ok(json!({ "healthy": round_trips > 0 }))
    })
}

/// `await-end`: connects, says so, and reads until the display ends the connection.
pub(crate) fn await_end(stage: &Stage) -> io::Result<Value> {
    let mut client = stage.client()?;
    client.sync()?;
    println!("{}", json!({ "connected": 1 }));
    client.stream.socket().set_read_timeout(None)?;
    let bytes = client.stream.receive_to_end()?;
    Ok(json!({ "ended": true, "bytes": bytes.len() }))
}
