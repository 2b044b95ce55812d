//! The virtio-gpu device: whatever a guest puts in its queue, and whatever the X server and the VMM do meanwhile.
//!
//! An input is a list of steps, `{u8 kind, u8 argument, u16 length, bytes}`: a request, words of the X server, room in a
//! socket, an opening that is done, an answer about the window, a new start of the driver.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ::cross_domain::{
    Init, InitForm, RING_BYTES, SEND_HEADER_BYTES, channel, encode_poll, encode_send_header,
};
use device::gpu::{ContextKey, MAPS_MAX, MapRequest, Ready, Report, Response};
use device::{FenceNotifier, Gpu, Limits, OpenFailure, Opened, Platform};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use sys::{Piece, SharedMap};

use crate::Rng;
use crate::features::note;

/// Guest memory: some pages, of which blobs are made.
const RAM_BYTES: usize = 64 << 10;
const RAM: u64 = 0x10_0000;
const CONTEXTS_MAX: usize = 4;
const STEP_BYTES: usize = 4;

/// Numbers of the requests that there are.
const COMMANDS: [u32; 20] = [
    0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108, 0x109, 0x10c, 0x200, 0x201, 0x202, 0x203,
    0x207, 0x207, 0x207, 0x208, 0x209,
];

/// What the device stands on here. A request is a number: its place in the list.
struct Bench {
    ram: Arc<SharedMap>,
    requests: Vec<Vec<u8>>,
    /// Which requests were given back.
    completed: Vec<bool>,
    opening: Vec<ContextKey>,
    /// The X server's ends of the sockets.
    servers: Vec<(ContextKey, OwnedFd)>,
    /// Requests about the window that nobody has answered.
    mapping: usize,
    mapped: i64,
    opened: i64,
}

impl Platform for Bench {
    type Chain = usize;

    fn read(&mut self, chain: &usize, max: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        let request = &self.requests[*chain];
        out.extend(request.iter().take(max));
        request.len() <= max
    }

    fn complete(&mut self, chain: usize, response: &Response) {
        assert!(!std::mem::replace(&mut self.completed[chain], true), "a request is given back once");
        let request = &self.requests[chain];
        let cmd = request.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        note((cmd, response.status()));
        assert!(matches!(response.status(), 0x1100..=0x1106 | 0x1200..=0x1205));
        // The fence of a request is that of its response, or the guest's driver would wait for ever.
        let fenced = |bytes: &[u8]| bytes.get(4).is_some_and(|flags| flags & 1 != 0);
        if request.len() >= 21 {
            assert_eq!(fenced(request), fenced(&response.header));
            assert_eq!(request[8..16], response.header[8..16]);
        }
    }

    fn pieces(&mut self, address: u64, len: u64, pieces: &mut Vec<Piece>) -> bool {
        let place = || {
            let at = usize::try_from(address.checked_sub(RAM)?).ok()?;
            Piece::new(Arc::clone(&self.ram), at, usize::try_from(len).ok()?)
        };
        let piece = place();
        let found = piece.is_some();
        pieces.extend(piece);
        found
    }

    fn open(&mut self, context: ContextKey) {
        self.opening.push(context);
    }

    fn watch(&mut self, _: ContextKey, _: BorrowedFd<'_>) -> bool {
        true
    }

    fn watch_room(&mut self, _: ContextKey, _: BorrowedFd<'_>, wanted: bool) {
        note(("room", wanted));
    }

    fn map(&mut self, request: MapRequest) -> bool {
        self.mapping += 1;
        self.mapped += if matches!(request, MapRequest::Map { .. }) { 1 } else { -1 };
        assert!(usize::try_from(self.mapped).is_ok_and(|mapped| mapped <= MAPS_MAX));
        true
    }

    fn fence_notifier(&mut self, _context: ContextKey) -> FenceNotifier {
        Arc::new(|| ())
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::ContextOpened { .. } => self.opened += 1,
            Report::ContextClosed { .. } => self.opened -= 1,
            Report::Refused(_) => {}
        }
        assert!(usize::try_from(self.opened).is_ok_and(|opened| opened <= CONTEXTS_MAX));
    }
}

/// Runs the steps, then has the driver start anew: what was held is forgotten, and every context reported closed.
pub fn gpu(data: &[u8]) {
    let Ok((ram, _)) = SharedMap::create(RAM_BYTES) else { return };
    let mut bench = Bench {
        ram: Arc::new(ram),
        requests: vec![],
        completed: vec![],
        opening: vec![],
        servers: vec![],
        mapping: 0,
        mapped: 0,
        opened: 0,
    };
    let mut gpu = Gpu::new(Limits { contexts: CONTEXTS_MAX, window_bytes: 1 << 20 });
    let mut rest = data;
    while let Some((kind, argument, bytes, behind)) = step(rest) {
        rest = behind;
        run(&mut gpu, &mut bench, kind, argument, bytes);
        assert_eq!(usize::try_from(bench.opened), Ok(gpu.contexts()));
    }
    let held = bench.completed.iter().filter(|completed| !**completed).count();
    note(("held", held.min(3)));
    gpu.reset(&mut bench, "the end");
    assert_eq!((bench.opened, gpu.contexts()), (0, 0));
    for _ in 0..bench.mapping {
        gpu.mapped(&mut bench, true);
    }
}

fn run(gpu: &mut Gpu<usize>, bench: &mut Bench, kind: u8, argument: u8, bytes: &[u8]) {
    match kind % 8 {
        0..=3 => {
            bench.requests.push(bytes.to_vec());
            bench.completed.push(false);
            gpu.request(bench, bench.requests.len() - 1);
        }
        4 => open(gpu, bench, argument),
        5 => {
            let at = usize::from(argument).checked_rem(bench.servers.len());
            let Some((key, server)) = at.and_then(|at| bench.servers.get(at)) else { return };
            // Some words come with files, which become items.
            let file = (argument & 2 != 0).then(|| SharedMap::create(8192).ok()).flatten();
            let rights: Vec<BorrowedFd<'_>> = file.iter().map(|(_, file)| file.as_fd()).collect();
            let _ = sys::socket::send(server, &[IoSlice::new(bytes)], &rights);
            let key = *key;
            gpu.socket_ready(bench, key, Ready { bytes: true, end: false, room: argument & 1 != 0 });
        }
        6 if bench.mapping > 0 => {
            bench.mapping -= 1;
            gpu.mapped(bench, argument & 1 == 0);
        }
        7 if argument == 0 => {
            gpu.reset(bench, "the driver started anew");
            bench.servers.clear();
        }
        7 => {
            // The X server hangs up.
            let at = usize::from(argument).checked_rem(bench.servers.len());
            if let Some(at) = at {
                let (key, _) = bench.servers.swap_remove(at);
                gpu.socket_ready(bench, key, Ready { bytes: true, end: true, room: true });
            }
        }
        _ => {}
    }
}

/// An opening is done, or has failed.
fn open(gpu: &mut Gpu<usize>, bench: &mut Bench, argument: u8) {
    let Some(key) = bench.opening.pop() else { return };
    let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let result = match pair {
        Ok((here, there)) if argument & 3 != 0 => {
            bench.servers.push((key, there));
            let cookie = (argument & 4 != 0).then(|| ::session::Cookie::new(vec![7; 16]));
            Ok(Opened { socket: here, cookie })
        }
        _ => Err(OpenFailure { errno: 111, text: "nobody is there".into() }),
    };
    gpu.opened(bench, key, result);
}

/// The first step, and what is behind it.
pub(super) fn step(data: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let (&[kind, argument, low, high], rest) = data.split_first_chunk::<STEP_BYTES>()?;
    let len = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
    let (bytes, rest) = rest.split_at(len);
    Some((kind, argument, bytes, rest))
}

/// Offsets of the steps.
pub(super) fn cuts(data: &[u8]) -> Vec<usize> {
    let mut rest = data;
    let mut cuts = vec![];
    while let Some((.., behind)) = step(rest) {
        cuts.push(data.len() - rest.len());
        rest = behind;
    }
    cuts
}

/// A guest that begins as one should, then says some more.
pub(super) fn generate(rng: &mut Rng) -> Vec<u8> {
    let mut out = vec![];
    for context in 1..=1 + u32::from(rng.byte() % 2) {
        begin(&mut out, context, rng);
    }
    for _ in 0..rng.small(30) {
        let argument = rng.byte();
        match rng.below(8) {
            0..=3 => {
                let body = some_request(rng);
                push(&mut out, 0, argument, &body);
            }
            kind => {
                let words = rng.small(200);
                let words = rng.bytes(words);
                push(&mut out, u8::try_from(kind).unwrap_or(5), argument, &words);
            }
        }
    }
    out
}

/// A context, its ring, its channel, a POLL and a SEND.
fn begin(out: &mut Vec<u8>, context: u32, rng: &mut Rng) {
    let id = context * 10;
    push(out, 0, 0, &request(0x200, context, None, &words(&[0, 5])));
    let mut blob = words(&[id, 1, 3, 2]);
    blob.extend(0_u64.to_le_bytes());
    blob.extend((RING_BYTES as u64).to_le_bytes());
    for page in [RAM + u64::from(context) * 4096, RAM] {
        blob.extend(page.to_le_bytes());
        blob.extend(words(&[2048, 0]));
    }
    push(out, 0, 0, &request(0x10c, 0, None, &blob));
    push(out, 0, 0, &request(0x202, context, None, &words(&[id, 0])));
    let form = rng.pick(&[
        InitForm::Bare,
        InitForm::X11Bridge { protocol_version: 1, channel_ring_bytes: 4096 },
        InitForm::Versioned { protocol_version: 1 },
    ]);
    let init = Init { query_ring_id: id, channel_ring_id: id, channel_type: channel::X11, form };
    push(out, 0, 0, &submission(context, None, &init.encode().unwrap_or_default()));
    push(out, 4, rng.byte() | 1, &[]);
    push(out, 0, 0, &submission(context, Some(1), &encode_poll()));
    push(out, 0, 0, &submission(context, None, &some_send(rng)));
}

fn some_request(rng: &mut Rng) -> Vec<u8> {
    let context = u32::from(rng.byte() % 4);
    let fence = rng.pick(&[None, None, Some(0), Some(1)]);
    match rng.pick(&COMMANDS) {
        0x207 => {
            let commands = if rng.one_in(3) { encode_poll().to_vec() } else { some_send(rng) };
            submission(context, fence, &commands)
        }
        // A blob of an item, and its place in the window.
        0x10c if rng.one_in(2) => {
            let item = rng.pick(&[1, 1, 2, 3]);
            request(0x10c, context, fence, &words(&[100 + item, 2, 3, 0, item, 0, 4096, 0]))
        }
        0x208 => {
            let offset = rng.pick(&[0, 4096, 8192, 1]);
            request(0x208, 0, fence, &words(&[100 + rng.pick(&[1, 1, 2, 3]), 0, offset, 0]))
        }
        0x209 => request(0x209, 0, fence, &words(&[100 + rng.pick(&[1, 1, 2, 3]), 0])),
        cmd => {
            let fields: Vec<u32> =
                (0..rng.small(14)).map(|_| rng.pick(&[0, 1, 2, 5, 10, 20, 4096])).collect();
            request(cmd, context, fence, &words(&fields))
        }
    }
}

fn some_send(rng: &mut Rng) -> Vec<u8> {
    let len = rng.small(500);
    let mut head = [0; SEND_HEADER_BYTES];
    assert_eq!(encode_send_header(&mut head, len, 0, &[]), Ok(()));
    [&head[..], &rng.bytes(len)].concat()
}

pub(super) fn push(out: &mut Vec<u8>, kind: u8, argument: u8, bytes: &[u8]) {
    out.extend([kind, argument]);
    out.extend(u16::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
    out.extend(bytes);
}

fn request(cmd: u32, context: u32, ring: Option<u8>, fields: &[u8]) -> Vec<u8> {
    let mut out = words(&[cmd, ring.map_or(0, |_| 3), 7, 0, context, u32::from(ring.unwrap_or(0))]);
    out.extend(fields);
    out
}

fn submission(context: u32, ring: Option<u8>, commands: &[u8]) -> Vec<u8> {
    let mut fields = words(&[u32::try_from(commands.len()).unwrap_or(0), 0]);
    fields.extend(commands);
    request(0x207, context, ring, &fields)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
