//! A guest that speaks FUSE, byte by byte.

use std::os::fd::OwnedFd;

use super::*;
use crate::exports::FS_ID;
use crate::gpu::MapRequest;

const ROOT: u64 = 1;
const LIMITS: FsLimits = FsLimits { bytes: 8 << 20, files: 64, window_bytes: 8 * SLOT_BYTES };
const PAGE: u64 = 4096;
const READ_WRITE: u32 = 2;
const EXPORT: u32 = 0x8010_7601;

/// What the file system stands on here: a request is its own bytes, and every reply is kept.
#[derive(Default)]
struct Bench {
    /// Errors are negative, as they are sent.
    replies: Vec<(i32, Vec<u8>)>,
    /// Requests without an answer that were given back.
    silent: usize,
    asked: Vec<MapRequest>,
    without_window: bool,
    refusals: Vec<String>,
}

impl FsPlatform for Bench {
    type Chain = Vec<u8>;

    fn read(&mut self, chain: &Vec<u8>, max: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        out.extend(chain.iter().take(max));
        chain.len() <= max
    }

    fn complete(&mut self, _: Vec<u8>, reply: &Reply) {
        if reply.header.is_empty() {
            self.silent += 1;
            return;
        }
        let word = |at: usize| u32::from_le_bytes(reply.header[at..at + 4].try_into().unwrap());
        assert_eq!(word(0) as usize, 16 + reply.body.len());
        self.replies.push((word(4).cast_signed(), reply.body.clone()));
    }

    fn map(&mut self, request: MapRequest) -> bool {
        if !self.without_window {
            self.asked.push(request);
        }
        !self.without_window
    }

    fn refused(&mut self, message: String) {
        self.refusals.push(message);
    }
}

struct Guest {
    fs: Fs<Vec<u8>>,
    bench: Bench,
    exports: Exports,
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn request(opcode: u32, node: u64, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(40 + body.len()).unwrap();
    let mut out = [len.to_le_bytes(), opcode.to_le_bytes()].concat();
    out.extend(bytes(&[7, node]));
    out.extend([1000_u32, 100, 4242, 0].iter().flat_map(|word| word.to_le_bytes()));
    out.extend(body);
    out
}

fn two(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Guest {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: FsLimits) -> Self {
        let exports = Exports::default();
        let mut guest = Self { fs: Fs::new(limits, exports.clone()), bench: Bench::default(), exports };
        let all = two(u32::MAX, u32::MAX);
        let reply = guest.call(op::INIT, 0, &bytes(&[two(7, 41), all, all])).unwrap();
        assert_eq!(reply.len(), 64);
        guest
    }

    /// Sends a request that waits for nothing.
    fn call(&mut self, opcode: u32, node: u64, body: &[u8]) -> Result<Vec<u8>, Errno> {
        let before = self.bench.replies.len();
        self.send(opcode, node, body);
        assert_eq!(self.bench.replies.len(), before + 1, "opcode {opcode} is answered");
        self.last()
    }

    fn send(&mut self, opcode: u32, node: u64, body: &[u8]) {
        self.fs.request(&mut self.bench, request(opcode, node, body));
    }

    fn last(&self) -> Result<Vec<u8>, Errno> {
        match self.bench.replies.last().unwrap() {
            (0, body) => Ok(body.clone()),
            (error, _) => Err(Errno::from_raw_os_error(-error)),
        }
    }

    fn named(&mut self, opcode: u32, folder: u64, head: &[u64], name: &str) -> Result<Vec<u8>, Errno> {
        self.call(opcode, folder, &[bytes(head), name.as_bytes().to_vec(), vec![0]].concat())
    }

    /// Makes and opens a file: its node and its handle.
    fn create(&mut self, name: &str, flags: u32) -> Result<(u64, u64), Errno> {
        let reply = self.named(op::CREATE, ROOT, &[two(flags, 0o600), 0], name)?;
        Ok((word(&reply, 0), word(&reply, 128)))
    }

    fn resize(&mut self, node: u64, size: u64) -> Result<Vec<u8>, Errno> {
        let mut body = bytes(&[1 << 3, 0, size]);
        body.resize(88, 0);
        self.call(op::SETATTR, node, &body)
    }

    fn write(&mut self, node: u64, offset: u64, data: &[u8]) -> Result<Vec<u8>, Errno> {
        let len = u64::try_from(data.len()).unwrap();
        self.call(op::WRITE, node, &[bytes(&[0, offset, len, 0, 0]), data.to_vec()].concat())
    }

    fn read(&mut self, node: u64, offset: u64, len: u64) -> Result<Vec<u8>, Errno> {
        self.call(op::READ, node, &bytes(&[0, offset, len, 0, 0]))
    }

    fn export(&mut self, node: u64, handle: u64) -> Result<(u64, u64), Errno> {
        let reply = self.call(op::IOCTL, node, &bytes(&[handle, two(0, EXPORT), 0, two(0, 16)]))?;
        assert_eq!(reply.len(), 32);
        Ok((word(&reply, 16), word(&reply, 24)))
    }

    fn set_up(&mut self, node: u64, from: u64, offset: u64) {
        self.send(op::SETUPMAPPING, node, &bytes(&[u64::MAX, from, SLOT_BYTES, 3, offset]));
    }

    /// The same, answered by the VMM; what it was asked for.
    fn map(&mut self, node: u64, from: u64, offset: u64) -> Result<OwnedFd, Errno> {
        self.bench.asked.clear();
        let before = self.bench.replies.len();
        self.set_up(node, from, offset);
        if self.bench.replies.len() > before {
            return self.last().map(|_| panic!("nothing was asked"));
        }
        while self.bench.replies.len() == before {
            self.fs.mapped(&mut self.bench, true);
        }
        self.last()?;
        match self.bench.asked.pop().unwrap() {
            MapRequest::Map { file, from: asked, offset: at, len } => {
                assert_eq!((asked, at, len), (from, offset, SLOT_BYTES));
                Ok(file)
            }
            other @ MapRequest::Unmap { .. } => panic!("{other:?}"),
        }
    }

    fn forget(&mut self, node: u64, times: u64) {
        self.send(op::FORGET, node, &bytes(&[times]));
    }

    fn close(&mut self, node: u64, handle: u64) -> Result<Vec<u8>, Errno> {
        self.call(op::RELEASE, node, &bytes(&[handle, 0, 0]))
    }

    fn names(&mut self, folder: u64, room: u32) -> Vec<String> {
        let (mut names, mut place) = (vec![], 0);
        loop {
            let list = self.call(op::READDIR, folder, &bytes(&[0, place, room.into(), 0, 0])).unwrap();
            if list.is_empty() {
                return names;
            }
            let mut at = 0;
            while at < list.len() {
                let len = usize::try_from(word(&list, at + 16) & 0xffff_ffff).unwrap();
                place = word(&list, at + 8);
                names.push(String::from_utf8_lossy(&list[at + 24..at + 24 + len]).into_owned());
                at += (24 + len).next_multiple_of(8);
            }
        }
    }
}

/// Size, mode, links and flags of `struct fuse_attr` at an offset.
fn attributes(reply: &[u8], at: usize) -> (u64, u32, u32, u32) {
    let half = |offset: usize| u32::from_le_bytes(reply[at + offset..at + offset + 4].try_into().unwrap());
    (word(reply, at + 8), half(60), half(64), half(84))
}

#[test]
fn the_guest_learns_what_it_can_map() {
    let mut guest = Guest::new();
    let reply = guest.call(op::INIT, 0, &bytes(&[two(7, 31), 0, 0])).unwrap();
    assert_eq!((word(&reply, 0), word(&reply, 8)), (two(7, 38), 0), "no flag that was not offered");
    let reply = guest.call(op::INIT, 0, &bytes(&[two(7, 41), two(0, u32::MAX), two(u32::MAX, 0)])).unwrap();
    let flags = word(&reply, 8) >> 32;
    assert_eq!(flags, 1 << 5 | 1 << 22 | 1 << 26 | 1 << 30);
    assert_eq!(u16::from_le_bytes([reply[30], reply[31]]), 12);
    assert_eq!(word(&reply, 32) & 0xffff_ffff, 2);
    assert_eq!(guest.call(op::INIT, 0, &bytes(&[two(6, 0), 0])), Err(Errno::PROTO));
    assert_eq!(word(&guest.call(op::INIT, 0, &bytes(&[two(8, 0), 0])).unwrap(), 0), two(7, 38));
    assert_eq!(guest.call(op::INIT, 0, &[]), Err(Errno::INVAL));
    let config = config();
    assert_eq!((&config[..13], config.len(), config[36]), (TAG.as_bytes(), 40, 1));
}

#[test]
fn files_are_written_read_and_listed() {
    let mut guest = Guest::new();
    let (node, handle) = guest.create("file", READ_WRITE).unwrap();
    assert_eq!(guest.create("file", 0o200), Err(Errno::EXIST));
    assert_eq!(guest.create("file", READ_WRITE).unwrap().0, node);
    assert_eq!(word(&guest.write(node, 3, b"words").unwrap(), 0), 5);
    assert_eq!(guest.read(node, 0, 100).unwrap(), b"\0\0\0words");
    assert_eq!(guest.read(node, 8, 100).unwrap(), b"");
    assert_eq!(guest.read(node, u64::MAX, 100).unwrap(), b"");
    let found = guest.named(op::LOOKUP, ROOT, &[], "file").unwrap();
    assert_eq!((word(&found, 0), attributes(&found, 40)), (node, (8, 0o100_600, 1, 2)));
    let folder = word(&guest.named(op::MKDIR, ROOT, &[0o750], "folder").unwrap(), 0);
    guest.named(op::SYMLINK, ROOT, &[], "link\0/etc/passwd").unwrap();
    let link = word(&guest.named(op::LOOKUP, ROOT, &[], "link").unwrap(), 0);
    assert_eq!(guest.call(op::READLINK, link, &[]).unwrap(), b"/etc/passwd");
    assert_eq!(guest.call(op::OPEN, link, &[0; 8]), Err(Errno::INVAL), "it is never followed here");
    for room in [64, 100, 4096] {
        assert_eq!(guest.names(ROOT, room), [".", "..", "file", "folder", "link"]);
    }
    guest.named(op::RENAME, ROOT, &[folder], "file\0moved").unwrap();
    assert_eq!(guest.names(folder, 4096), [".", "..", "moved"]);
    guest.named(op::RENAME2, folder, &[ROOT, 2], "moved\0link").unwrap();
    assert_eq!(word(&guest.named(op::LOOKUP, ROOT, &[], "link").unwrap(), 0), node);
    guest.named(op::LINK, ROOT, &[node], "again").unwrap();
    assert_eq!(attributes(&guest.call(op::GETATTR, node, &[]).unwrap(), 16).2, 2);
    guest.close(node, handle).unwrap();
    assert_eq!(guest.close(node, handle), Err(Errno::BADF));
}

#[test]
fn what_has_no_business_here_is_refused() {
    let mut guest = Guest::new();
    for kind in [0o010_000, 0o020_000, 0o060_000, 0o140_000] {
        let made = guest.named(op::MKNOD, ROOT, &[two(kind | 0o600, 0), 0], "special");
        assert_eq!(made, Err(Errno::PERM), "{kind:o}");
    }
    guest.named(op::MKNOD, ROOT, &[two(0o100_600, 0), 0], "file").unwrap();
    for name in ["..", ".", "", "a/b", "../../etc/passwd"] {
        assert_eq!(guest.create(name, READ_WRITE), Err(Errno::INVAL), "{name}");
        assert_eq!(guest.named(op::LOOKUP, ROOT, &[], name), Err(Errno::INVAL), "{name}");
    }
    assert!(guest.create(&"x".repeat(255), READ_WRITE).is_ok());
    assert_eq!(guest.create(&"x".repeat(256), READ_WRITE), Err(Errno::NAMETOOLONG));
    let mut link =
        |name: &str, bytes| guest.named(op::SYMLINK, ROOT, &[], &format!("{name}\0{}", "/".repeat(bytes)));
    assert!(link("longest", 4095).is_ok());
    assert_eq!(link("longer", 4096), Err(Errno::NAMETOOLONG));
    assert_eq!(link("nowhere", 0), Err(Errno::INVAL));
    for opcode in [op::GETATTR, op::READLINK, op::READDIR, op::OPEN, op::OPENDIR, op::LOOKUP] {
        let body = [bytes(&[0, 0, 4096]), b"x\0".to_vec()].concat();
        assert!(guest.call(opcode, 99, &body).is_err(), "opcode {opcode} of no node");
    }
    for opcode in [24, 25, 31, 40, 46, 47, 50, 52, 99, u32::MAX] {
        assert_eq!(guest.call(opcode, ROOT, &[]), Err(Errno::NOSYS));
    }
    guest.fs.request(&mut guest.bench, vec![1, 2, 3]);
    assert_eq!(guest.bench.silent, 1);
    guest.fs.request(&mut guest.bench, request(op::WRITE, ROOT, &vec![0; 2 << 20]));
    assert_eq!(guest.last(), Err(Errno::TOOBIG));
    assert_eq!(
        guest.call(op::WRITE, ROOT, &bytes(&[0, 0, 4096, 0, 0])),
        Err(Errno::INVAL),
        "no bytes are there"
    );
}

#[test]
fn a_file_without_a_name_lives_until_it_is_closed() {
    let mut guest = Guest::new();
    let reply = guest.named(op::TMPFILE, ROOT, &[two(READ_WRITE, 0o600), 0], "#1").unwrap();
    let (node, handle) = (word(&reply, 0), word(&reply, 128));
    assert_eq!(attributes(&reply, 40).2, 0, "links");
    guest.write(node, 0, b"words").unwrap();
    assert_eq!(guest.names(ROOT, 4096), [".", ".."]);
    guest.close(node, handle).unwrap();
    assert_eq!(guest.fs.nodes(), 2);
    guest.send(op::BATCH_FORGET, 0, &bytes(&[two(2, 0), node, 1, 77, 1]));
    assert_eq!((guest.fs.nodes(), guest.bench.silent), (1, 1));
    assert_eq!(guest.call(op::GETATTR, node, &[]), Err(Errno::NOENT));
}

#[test]
fn files_that_the_window_has_no_room_for_stay_in_the_guests_own_memory() {
    let mut guest = Guest::new();
    let is_mappable =
        |guest: &mut Guest, node| attributes(&guest.call(op::GETATTR, node, &[]).unwrap(), 16).3 == 2;
    // Three quarters of eight slots; one of the files takes four of them, and a closed one none.
    let (large, _) = guest.create("large", READ_WRITE).unwrap();
    guest.resize(large, 3 * SLOT_BYTES + 1).unwrap();
    let (closed, handle) = guest.create("closed", READ_WRITE).unwrap();
    guest.call(op::RELEASE, closed, &bytes(&[handle, 0, 0])).unwrap();
    let made = ["fifth", "sixth", "seventh"].map(|name| guest.create(name, READ_WRITE).unwrap());
    let found = made.map(|(node, _)| is_mappable(&mut guest, node));
    assert_eq!(found, [true, true, false]);
    // What a file was made as, it stays, and so does its content.
    let (seventh, _) = made[2];
    guest.write(seventh, 0, b"words").unwrap();
    let (sixth, handle) = made[1];
    guest.call(op::RELEASE, sixth, &bytes(&[handle, 0, 0])).unwrap();
    assert!(!is_mappable(&mut guest, seventh));
    assert_eq!(guest.read(seventh, 0, 16).unwrap(), b"words");
    let (again, _) = guest.create("again", READ_WRITE).unwrap();
    assert!(is_mappable(&mut guest, again));
}

#[test]
fn attributes_are_the_guests_own() {
    let mut guest = Guest::new();
    let (node, _) = guest.create("file", READ_WRITE).unwrap();
    let mut body = bytes(&[two(0b1_0011_0111, 0), 0, 0, 0, 5, 6, 7]);
    body.extend([8_u32, 9, 10, 0o4711, 0, 4000, 5000, 0].iter().flat_map(|word| word.to_le_bytes()));
    let reply = guest.call(op::SETATTR, node, &body).unwrap();
    assert_eq!(attributes(&reply, 16).1, 0o104_711);
    assert_eq!(word(&reply, 16 + 68), two(4000, 5000));
    assert_eq!((word(&reply, 16 + 24), word(&reply, 16 + 48) & 0xffff_ffff), (5, 8), "the time of access");
    assert!(word(&reply, 16 + 32) > 1_000_000_000, "modified now");
    assert_eq!(guest.resize(ROOT, 5), Err(Errno::ISDIR));
    let statfs = guest.call(op::STATFS, ROOT, &[]).unwrap();
    assert_eq!((statfs.len(), word(&statfs, 0)), (80, (8 << 20) / PAGE));
}

#[test]
fn a_full_file_system_says_so_and_has_room_again() {
    let mut guest = Guest::new();
    let (node, _) = guest.create("file", READ_WRITE).unwrap();
    assert_eq!(guest.resize(node, (8 << 20) + 1), Err(Errno::NOSPC));
    assert!(guest.bench.refusals.last().unwrap().contains("8 MiB"));
    guest.resize(node, 8 << 20).unwrap();
    let (other, _) = guest.create("other", READ_WRITE).unwrap();
    assert_eq!(guest.write(other, 0, b"x"), Err(Errno::NOSPC));
    assert_eq!(guest.call(op::FALLOCATE, other, &bytes(&[0, 0, 1, 0])), Err(Errno::NOSPC));
    guest.resize(node, 1).unwrap();
    guest.write(other, 0, b"x").unwrap();
    assert_eq!(guest.call(op::FALLOCATE, other, &bytes(&[0, 0, 1, 1])), Err(Errno::OPNOTSUPP));
    for number in 0..62 {
        let (node, _) = guest.create(&number.to_string(), READ_WRITE).unwrap();
        guest.resize(node, 1).unwrap();
    }
    let (last, _) = guest.create("last", READ_WRITE).unwrap();
    assert_eq!(guest.resize(last, 1), Err(Errno::NOSPC), "64 descriptors are all");
}

#[test]
fn a_part_of_a_file_is_mapped_once_however_the_file_grows_in_it() {
    let mut guest = Guest::new();
    let (node, _) = guest.create("file", READ_WRITE).unwrap();
    guest.resize(node, PAGE).unwrap();
    let file = guest.map(node, 0, 3 * SLOT_BYTES).unwrap();
    let map =
        sys::SharedMap::map(std::os::fd::AsFd::as_fd(&file), usize::try_from(SLOT_BYTES).unwrap()).unwrap();
    assert!(map.write(10, b"shared"));
    assert_eq!(guest.read(node, 10, 6).unwrap(), b"shared");
    guest.bench.asked.clear();
    guest.resize(node, 100 * PAGE).unwrap();
    guest.write(node, 50 * PAGE, b"later").unwrap();
    let mut later = [0; 5];
    assert!(map.read(50 * 4096, &mut later) && &later == b"later");
    // Asked for once more, as when the guest wants to write; nothing is to be done.
    guest.set_up(node, 0, 3 * SLOT_BYTES);
    assert_eq!((guest.last(), guest.bench.asked.len()), (Ok(vec![]), 0));
    // What is behind the end is the guest's to write to only while it is mapped.
    assert!(map.write(1 << 20, b"behind the end"));
    guest.send(op::REMOVEMAPPING, node, &[&[1, 0, 0, 0][..], &bytes(&[3 * SLOT_BYTES, SLOT_BYTES])].concat());
    guest.fs.mapped(&mut guest.bench, true);
    assert_eq!(guest.last(), Ok(vec![]));
    let mut gone = [1; 14];
    assert!(map.read(1 << 20, &mut gone) && gone == [0; 14]);
    assert!(map.read(10, &mut gone) && gone.starts_with(b"shared"));
}

#[test]
fn a_place_in_the_window_shows_another_file_after_the_first_is_unmapped() {
    let mut guest = Guest::new();
    let [(one, _), (two, _)] = ["one", "two"].map(|name| guest.create(name, READ_WRITE).unwrap());
    for node in [one, two] {
        guest.resize(node, 3 << 20).unwrap();
    }
    guest.map(one, 0, 0).unwrap();
    guest.map(one, SLOT_BYTES, SLOT_BYTES).unwrap();
    guest.set_up(two, 0, 0);
    let asked = std::mem::take(&mut guest.bench.asked);
    assert!(matches!(asked[..], [MapRequest::Unmap { offset: 0, .. }, MapRequest::Map { offset: 0, .. }]));
    let before = guest.bench.replies.len();
    guest.fs.mapped(&mut guest.bench, true);
    assert_eq!(guest.bench.replies.len(), before, "it is not mapped yet");
    guest.fs.mapped(&mut guest.bench, false);
    assert_eq!(guest.last(), Err(Errno::NOMEM));
    guest.map(two, 0, 0).unwrap();
    // A file that is gone takes its slots with it.
    guest.bench.asked.clear();
    guest.named(op::UNLINK, ROOT, &[], "one").unwrap();
    guest.close(one, 1).unwrap();
    assert!(guest.bench.asked.is_empty());
    guest.forget(one, 1);
    assert!(matches!(guest.bench.asked[..], [MapRequest::Unmap { offset: SLOT_BYTES, .. }]));
}

#[test]
fn places_that_are_none_never_reach_the_vmm() {
    let mut guest = Guest::new();
    let (node, _) = guest.create("file", READ_WRITE).unwrap();
    assert_eq!(guest.map(node, 0, 0).unwrap_err(), Errno::INVAL, "nothing is in the file");
    guest.resize(node, PAGE).unwrap();
    for (from, offset) in [
        (0, 8 * SLOT_BYTES),
        (0, PAGE),
        (0, u64::MAX),
        (0, u64::MAX - SLOT_BYTES + 1),
        (SLOT_BYTES, 0),
        (PAGE, 0),
        (u64::MAX - SLOT_BYTES + 1, 0),
    ] {
        assert_eq!(guest.map(node, from, offset).unwrap_err(), Errno::INVAL, "{from:#x} at {offset:#x}");
    }
    assert_eq!(guest.map(ROOT, 0, 0).unwrap_err(), Errno::ISDIR);
    assert_eq!(guest.map(99, 0, 0).unwrap_err(), Errno::NOENT);
    for len in [0, PAGE, u64::MAX] {
        let mapped = guest.call(op::SETUPMAPPING, node, &bytes(&[0, 0, len, 0, 0]));
        assert_eq!(mapped, Err(Errno::INVAL));
    }
    let many = [&u32::MAX.to_le_bytes()[..], &bytes(&[0, u64::MAX])].concat();
    assert_eq!(guest.call(op::REMOVEMAPPING, node, &many), Err(Errno::INVAL));
    assert!(guest.bench.asked.is_empty());
    guest.bench.without_window = true;
    assert_eq!(guest.map(node, 0, 0).unwrap_err(), Errno::NODEV);
    guest.write(node, 0, b"all else works").unwrap();
}

#[test]
fn an_open_file_has_a_name_that_is_its_own_and_ends_with_it() {
    let mut guest = Guest::new();
    let (node, handle) = guest.create("file", READ_WRITE).unwrap();
    let (fs, name) = guest.export(node, handle).unwrap();
    assert_eq!((fs, guest.export(node, handle)), (FS_ID, Ok((fs, name))));
    guest.write(node, 0, b"words").unwrap();
    let file = guest.exports.file(fs, name).unwrap();
    let mut words = [0; 5];
    assert_eq!((rustix::io::pread(&*file, &mut words, 0), &words), (Ok(5), b"words"));
    // Another open file of the same has another name.
    let other = word(&guest.call(op::OPEN, node, &bytes(&[0])).unwrap(), 0);
    let (_, other_name) = guest.export(node, other).unwrap();
    assert_ne!(name, other_name);
    let read_only = guest.exports.file(fs, other_name).unwrap();
    assert_eq!(rustix::io::pwrite(&*read_only, b"x", 0), Err(Errno::BADF));
    guest.named(op::UNLINK, ROOT, &[], "file").unwrap();
    assert!(guest.exports.file(fs, name).is_some(), "deleted, but open");
    guest.close(node, handle).unwrap();
    assert!(guest.exports.file(fs, name).is_none());
    assert_eq!(guest.exports.count(), 1);
    guest.fs.reset(&mut guest.bench);
    assert_eq!((guest.exports.count(), guest.fs.nodes()), (0, 1));
}

#[test]
fn nobody_names_a_file_that_is_not_theirs() {
    let mut guest = Guest::new();
    let (one, first) = guest.create("one", READ_WRITE).unwrap();
    let (two, second) = guest.create("two", 1).unwrap();
    assert_eq!(guest.export(two, first), Err(Errno::BADF));
    assert_eq!(guest.export(one, 99), Err(Errno::BADF));
    assert_eq!(guest.export(two, second), Err(Errno::ACCESS), "open for writing alone");
    let ioctl = |cmd, room| bytes(&[first, u64::from(cmd) << 32, 0, u64::from(room) << 32]);
    assert_eq!(guest.call(op::IOCTL, one, &ioctl(0x5401_u32, 16_u32)), Err(Errno::NOTTY));
    assert_eq!(guest.call(op::IOCTL, one, &ioctl(EXPORT, 15)), Err(Errno::INVAL));
    assert_eq!(guest.exports.count(), 0);
}

#[test]
fn a_driver_that_starts_anew_finds_nothing() {
    let mut guest = Guest::new();
    let (node, _) = guest.create("file", READ_WRITE).unwrap();
    guest.resize(node, PAGE).unwrap();
    guest.map(node, 0, 0).unwrap();
    guest.set_up(node, 0, SLOT_BYTES);
    guest.bench.asked.clear();
    guest.fs.reset(&mut guest.bench);
    assert_eq!(guest.bench.asked.len(), 2, "both are unmapped");
    let before = guest.bench.replies.len();
    for _ in 0..3 {
        guest.fs.mapped(&mut guest.bench, true);
    }
    assert_eq!(guest.bench.replies.len(), before, "nobody waits any more");
    guest.fs.mapped(&mut guest.bench, true);
    assert_eq!(guest.names(ROOT, 4096), [".", ".."]);
    let (node, _) = guest.create("file", READ_WRITE).unwrap();
    guest.resize(node, 8 << 20).unwrap();
    assert_eq!(guest.call(op::DESTROY, 0, &[]), Ok(vec![]));
    assert_eq!(guest.fs.nodes(), 1);
}
