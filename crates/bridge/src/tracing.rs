//! Somebody who looks at what goes through, message by message: at most one at a time.
//!
//! A client's thread takes note of it when it writes its numbers down, so that nothing has to be asked for each packet.
//! What it has to tell goes into a queue; when that is full, it is lost and counted: nobody waits for who looks.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use x11_wire::extension::QueryExtensionReply;
use x11_wire::message::HEADER;
use x11_wire::setup::encode_query_extensions;

use crate::bridge::Shared;
use crate::client::inquiry;
use crate::live::LiveOptions;

/// Bytes that wait for who looks, at most: some 100,000 small requests.
pub const TRACE_QUEUE_MAX: usize = 4 << 20;

/// The server's numbers of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionCodes {
    /// Its place among those that were asked about.
    pub place: usize,
    /// Its major opcode.
    pub major: u8,
    /// The code of its first event.
    pub first_event: u8,
    /// The code of its first error.
    pub first_error: u8,
}

/// What there is to know at the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceStart {
    /// The extensions that the server has.
    pub extensions: Vec<ExtensionCodes>,
    /// Why they are not known, in one sentence.
    pub unknown: Option<String>,
}

/// What was to tell since the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TraceBatch {
    /// Records, as [`session::Trace`] makes them.
    pub records: Vec<u8>,
    /// How many were lost for want of room.
    pub lost: u64,
}

/// Who looks, and what waits for them.
pub(crate) struct Tracing {
    state: Mutex<State>,
    notify: Arc<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// Counts those who look: what a client's thread has for one is not for the next.
    last: u64,
    looks: Option<Looks>,
    batch: TraceBatch,
}

/// Somebody who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looks {
    number: u64,
    client: Option<u64>,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracing")
    }
}

impl Tracing {
    /// `notify` is called when something begins to wait, on the thread of a client.
    pub(crate) fn new(notify: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { state: Mutex::default(), notify }
    }

    /// Begins to look at one client, or at all; `false` while somebody does.
    pub(crate) fn begin(&self, client: Option<u64>) -> bool {
        let mut state = self.lock();
        if state.looks.is_some() {
            return false;
        }
        state.last += 1;
        state.looks = Some(Looks { number: state.last, client });
        state.batch = TraceBatch::default();
        true
    }

    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.looks = None;
        state.batch = TraceBatch::default();
    }

    /// Who looks at this client.
    pub(crate) fn looks_at(&self, client: u64) -> Option<Looks> {
        self.lock().looks.filter(|looks| looks.client.is_none_or(|only| only == client))
    }

    /// Adds records for somebody who looks.
    pub(crate) fn push(&self, looks: Looks, mut records: Vec<u8>, count: u64) {
        let mut state = self.lock();
        if state.looks != Some(looks) {
            return;
        }
        let was_empty = state.batch == TraceBatch::default();
        if state.batch.records.len() + records.len() > TRACE_QUEUE_MAX {
            state.batch.lost += count;
        } else {
            state.batch.records.append(&mut records);
        }
        drop(state);
        if was_empty {
            (self.notify)();
        }
    }

    pub(crate) fn take(&self) -> TraceBatch {
        std::mem::take(&mut self.lock().batch)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time of a record.
pub(crate) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Asks the server which numbers it has given to these extensions, on a connection of the bridge's own. Those that it
/// lacks are left out.
pub(crate) fn extension_codes(
    shared: &Shared,
    live: &LiveOptions,
    names: &[String],
    deadline: Instant,
) -> Result<Vec<ExtensionCodes>, String> {
    if names.is_empty() {
        return Ok(vec![]);
    }
    let names = names.iter().map(String::as_bytes);
    let asked = encode_query_extensions(inquiry::ORDER, names.clone());
    let answered = inquiry::ask(shared, live, &asked, names.len(), deadline)?;
    let answered =
        answered.ok_or_else(|| format!("{} does not say what its extensions are", shared.route))?;
    Ok(answered.answers.iter().enumerate().filter_map(|(place, answer)| codes(place, answer)).collect())
}

fn codes(place: usize, answer: &[u8; HEADER]) -> Option<ExtensionCodes> {
    let reply = QueryExtensionReply::parse(answer).filter(|reply| reply.present && answer[0] == 1)?;
    let QueryExtensionReply { major, first_event, first_error, .. } = reply;
    Some(ExtensionCodes { place, major, first_event, first_error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    fn tracing() -> (Tracing, Arc<AtomicU32>) {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let notify = Arc::new(move || {
            counted.fetch_add(1, Relaxed);
        });
        (Tracing::new(notify), calls)
    }

    #[test]
    fn one_looks_at_a_time_and_the_next_gets_nothing_that_was_meant_for_it() {
        let (tracing, _) = tracing();
        assert!(tracing.begin(None) && !tracing.begin(None));
        let first = tracing.looks_at(7).unwrap();
        tracing.push(first, vec![1; 40], 1);
        tracing.end();
        assert_eq!(tracing.looks_at(7), None);
        assert!(tracing.begin(Some(7)));
        assert_eq!(tracing.looks_at(8), None);
        tracing.push(first, vec![1; 40], 1);
        assert_eq!(tracing.take(), TraceBatch::default());
        tracing.push(tracing.looks_at(7).unwrap(), vec![2; 40], 1);
        assert_eq!(tracing.take(), TraceBatch { records: vec![2; 40], lost: 0 });
    }

    #[test]
    fn a_full_queue_loses_what_comes_and_counts_it() {
        let (tracing, calls) = tracing();
        assert!(tracing.begin(None));
        let looks = tracing.looks_at(1).unwrap();
        tracing.push(looks, vec![0; TRACE_QUEUE_MAX], 9);
        tracing.push(looks, vec![0; 1], 3);
        tracing.push(looks, vec![0; 1], 4);
        let batch = tracing.take();
        assert_eq!((batch.records.len(), batch.lost, calls.load(Relaxed)), (TRACE_QUEUE_MAX, 7, 1));
        tracing.push(looks, vec![0; TRACE_QUEUE_MAX + 1], 5);
        assert_eq!((tracing.take().lost, calls.load(Relaxed)), (5, 2));
    }
}
