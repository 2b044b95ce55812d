//! The virtio-fs device: whatever a guest puts in its queues, and whatever the VMM answers meanwhile.
//!
//! An input is a list of steps, `{u8 kind, u8 argument, u16 length, bytes}`: a request, an answer about the window, a new
//! start of the driver. A request's body may speak of the handles and names that the guest was told of last.

use std::collections::{HashSet, VecDeque};
use std::os::fd::AsFd;

use device::fs::{HANDLES_MAX, NODES_MAX, Reply, SLOT_BYTES};
use device::gpu::MapRequest;
use device::{Exports, FS_ID, Fs, FsLimits, FsPlatform};

use super::gpu::{push, step};
use crate::Rng;
use crate::features::note;

const LIMITS: FsLimits = FsLimits { bytes: 4 << 20, files: 4, window_bytes: 4 * SLOT_BYTES };
const HEADER_BYTES: usize = 40;
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const BATCH_FORGET: u32 = 42;
const INTERRUPT: u32 = 36;
const INIT: u32 = 26;
const CREATE: u32 = 35;
const IOCTL: u32 = 39;
const EXPORT: u32 = 0x8010_7601;

/// Numbers of the requests that there are, and of some that there are not.
const OPCODES: [u32; 36] = [
    1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 26, 27, 28, 29, 35, 35, 36, 38, 39, 42, 43,
    45, 48, 48, 49, 49, 51, 7, 99,
];

/// What the device stands on here. A request is a number: its place in the list.
#[derive(Default)]
struct Bench {
    requests: Vec<Vec<u8>>,
    /// Which requests were given back.
    completed: Vec<bool>,
    /// Requests about the window that nobody has answered: whether to map, and where.
    asked: VecDeque<(bool, u64)>,
    /// What the VMM shows.
    shown: HashSet<u64>,
    exports: Exports,
    names: Vec<u64>,
}

impl FsPlatform for Bench {
    type Chain = usize;

    fn read(&mut self, chain: &usize, max: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        let request = &self.requests[*chain];
        out.extend(request.iter().take(max));
        request.len() <= max
    }

    fn complete(&mut self, chain: usize, reply: &Reply) {
        assert!(!std::mem::replace(&mut self.completed[chain], true), "a request is given back once");
        let request = &self.requests[chain];
        let opcode = request.get(4..8).map_or(0, word);
        if request.len() < HEADER_BYTES || [FORGET, BATCH_FORGET, INTERRUPT].contains(&opcode) {
            return assert_eq!(*reply, Reply::default(), "these have no answer");
        }
        let error = reply.header.get(4..8).map_or(0, word).cast_signed();
        note((opcode, error));
        assert!(error == 0 || ((-133..0).contains(&error) && reply.body.is_empty()));
        assert_eq!(reply.header.get(..4).map(word), u32::try_from(16 + reply.body.len()).ok());
        assert_eq!(reply.header.get(8..16), request.get(8..16), "the answer is to this request");
        if opcode == IOCTL && error == 0 {
            self.names.extend(reply.body.get(24..32).map(long));
        }
    }

    fn map(&mut self, request: MapRequest) -> bool {
        match request {
            MapRequest::Map { file, from, offset, len } => {
                // What a VMM insists on: whole pages that the file has, and for ever.
                let size = rustix::fs::fstat(file.as_fd()).map(|stat| stat.st_size);
                assert!(size.is_ok_and(|size| size.cast_unsigned() >= from + len));
                assert!(offset + len <= LIMITS.window_bytes);
                assert_eq!(rustix::fs::ftruncate(&file, 0), Err(rustix::io::Errno::PERM));
                self.asked.push_back((true, offset));
            }
            MapRequest::Unmap { offset, .. } => self.asked.push_back((false, offset)),
        }
        true
    }

    fn refused(&mut self, _: String) {}
}

impl Bench {
    /// The VMM's answer to its oldest request; it never refuses to unmap what it shows.
    fn answer(&mut self, fs: &mut Fs<usize>, willing: bool) {
        let Some((maps, offset)) = self.asked.pop_front() else { return };
        if maps && willing {
            assert!(self.shown.insert(offset), "what is shown is unmapped first");
        }
        let works = if maps { willing } else { self.shown.remove(&offset) };
        fs.mapped(self, works);
    }
}

/// Runs the steps, then has the driver start anew: nothing is left.
pub fn fs(data: &[u8]) {
    let mut bench = Bench::default();
    let mut fs = Fs::new(LIMITS, bench.exports.clone());
    let mut rest = data;
    while let Some((kind, argument, bytes, behind)) = step(rest) {
        rest = behind;
        match kind % 8 {
            0..=5 => {
                bench.requests.push(bytes.to_vec());
                bench.completed.push(false);
                let chain = bench.requests.len() - 1;
                fs.request(&mut bench, chain);
            }
            6 => bench.answer(&mut fs, argument % 8 != 0),
            _ if argument % 8 == 0 => fs.reset(&mut bench),
            _ => {}
        }
        assert!(fs.nodes() <= NODES_MAX && bench.exports.count() <= HANDLES_MAX);
        assert!(bench.shown.len() <= 4);
    }
    note(("exports", bench.exports.count().min(3)));
    fs.reset(&mut bench);
    while !bench.asked.is_empty() {
        bench.answer(&mut fs, true);
    }
    assert_eq!((fs.nodes(), bench.exports.count(), bench.shown.len()), (1, 0, 0));
    assert!(bench.names.iter().all(|name| bench.exports.file(FS_ID, *name).is_none()));
}

fn word(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

fn long(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Offsets of the steps.
pub(super) use super::gpu::cuts;

/// A guest that mounts, makes and maps some files as one should, then says some more.
pub(super) fn generate(rng: &mut Rng) -> Vec<u8> {
    let mut out = vec![];
    ask(&mut out, INIT, 0, &longs(&[7 | 41 << 32, u64::MAX, u64::MAX]));
    for node in 2..2 + u64::from(rng.byte() % 3) {
        begin(&mut out, node, rng);
    }
    for _ in 0..rng.small(40) {
        let argument = rng.byte();
        match rng.below(8) {
            0..=5 => some_request(&mut out, rng),
            kind => push(&mut out, u8::try_from(kind).unwrap_or(6), argument, &[]),
        }
    }
    out
}

/// A file that is made, sized, named and mapped.
fn begin(out: &mut Vec<u8>, node: u64, rng: &mut Rng) {
    let name = [b'a' + u8::try_from(node).unwrap_or(0), 0];
    ask(out, CREATE, 1, &[longs(&[2 | 0o600 << 32, 0]), name.to_vec()].concat());
    let mut size = longs(&[8, 0, rng.pick(&[1, 4096, 5000, 3 << 20])]);
    size.resize(88, 0);
    ask(out, 4, node, &size);
    ask(out, IOCTL, node, &longs(&[node - 1, u64::from(EXPORT) << 32, 0, 16 << 32]));
    ask(out, 48, node, &longs(&[u64::MAX, 0, SLOT_BYTES, 3, rng.pick(&[0, SLOT_BYTES])]));
    if rng.one_in(2) {
        push(out, 6, rng.byte(), &[]);
    }
}

fn some_request(out: &mut Vec<u8>, rng: &mut Rng) {
    let node = rng.pick(&[0, 1, 1, 2, 2, 3, 4, u64::MAX]);
    let opcode = rng.pick(&OPCODES);
    let mut body: Vec<u64> = (0..rng.small(8))
        .map(|_| rng.pick(&[0, 1, 2, 3, 4, 8, 4096, 5000, SLOT_BYTES, 2 * SLOT_BYTES, 3 << 32, u64::MAX]))
        .collect();
    // How long, and where, in the requests about the window.
    if opcode == 48 && rng.one_in(2) {
        body = vec![0, rng.pick(&[0, SLOT_BYTES]), SLOT_BYTES, 3, rng.pick(&[0, SLOT_BYTES, 3 * SLOT_BYTES])];
    }
    let mut body = longs(&body);
    if opcode == 49 && rng.one_in(2) {
        body = [
            &1_u32.to_le_bytes()[..],
            &longs(&[rng.pick(&[0, SLOT_BYTES]), rng.pick(&[SLOT_BYTES, u64::MAX])]),
        ]
        .concat();
    }
    let names: [&[u8]; 8] = [b"a\0", b"c\0d\0", b"d\0c\0", b"..\0", b"e", b"c\0", b"d\0", b"a/b\0"];
    if opcode == LOOKUP || rng.one_in(2) {
        body.extend(rng.pick(&names));
    }
    ask(out, opcode, node, &body);
}

fn ask(out: &mut Vec<u8>, opcode: u32, node: u64, body: &[u8]) {
    let len = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(0);
    let mut request = [len.to_le_bytes(), opcode.to_le_bytes()].concat();
    request.extend(longs(&[7, node, 1000, 0]));
    request.extend(body);
    push(out, 0, 0, &request);
}

fn longs(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
