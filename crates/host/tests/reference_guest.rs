//! The reference guest of libkrun (muvm), byte for byte as it forms its messages, against this host half.
//!
//! It has rings of one page, an INIT of 24 bytes, a POLL whose header names no ring, SENDs of at most 3744 bytes whose
//! `cmd_size` ends with the data, and takes a RECEIVE without data for the end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod lab;

use lab::Lab;
use lab::gpu::{Guest, OK_NODATA, Ticket, UNSPECIFIED, word};
use x11bridge_testkit::FakeConnection;

/// `{INIT, pad, cmd_size 24, pad; query ring, channel ring, X11, protocol version 1}`.
fn init(query_ring: u32, channel_ring: u32) -> Vec<u8> {
    let mut bytes = vec![1, 0, 24, 0, 0, 0, 0, 0];
    for field in [query_ring, channel_ring, 0x11, 1] {
        bytes.extend(u32::to_le_bytes(field));
    }
    bytes
}

/// `{POLL, 0, cmd_size 16, pad; pad}`.
const POLL: [u8; 16] = [3, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// `{SEND, 0, cmd_size, pad; number of identifiers, bytes of data; three tables of 28; data}`.
fn send(data: &[u8], identifiers: &[(u32, u32)]) -> Vec<u8> {
    let cmd_size = u16::try_from(352 + data.len()).unwrap();
    let mut bytes = vec![4, 0];
    bytes.extend(cmd_size.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(u32::try_from(identifiers.len()).unwrap().to_le_bytes());
    bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    for column in 0..3 {
        let mut table = [0; 28];
        for (place, (id, id_type)) in table.iter_mut().zip(identifiers) {
            *place = [*id, *id_type, 0][column];
        }
        bytes.extend(table.iter().flat_map(|word: &u32| word.to_le_bytes()));
    }
    assert_eq!(bytes.len(), 352);
    bytes.extend(data);
    bytes
}

/// FUTEX_NEW, FUTEX_SIGNAL and FUTEX_DESTROY.
fn futex_new(fs_id: u64, handle: u64, id: u32) -> Vec<u8> {
    let mut bytes = vec![8, 0, 32, 0, 0, 0, 0, 0];
    bytes.extend(fs_id.to_le_bytes());
    bytes.extend(handle.to_le_bytes());
    bytes.extend(id.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

fn futex(cmd: u8, id: u32) -> Vec<u8> {
    let mut bytes = vec![cmd, 0, 16, 0, 0, 0, 0, 0];
    bytes.extend(id.to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}

struct Reference {
    guest: Guest,
    ring: u64,
    poll: Ticket,
}

/// Opens a channel as the reference does: two rings, INIT, the first POLL.
fn open(lab: &Lab) -> (Reference, FakeConnection) {
    let mut guest = lab.guest();
    assert_eq!(guest.create_context(1, "x11bridge"), OK_NODATA);
    let (query_ring, _) = guest.blob(1, 4096);
    let (channel_ring, pages) = guest.blob(1, 4096);
    assert_eq!(guest.execute(1, &init(query_ring, channel_ring)), OK_NODATA);
    let poll = guest.submit(1, &POLL, Some(1));
    let server = lab.server().accept().unwrap();
    (Reference { guest, ring: pages[0], poll }, server)
}

impl Reference {
    /// The next message as it lies in the ring, and the POLL for the one after it.
    fn receive(&mut self) -> Vec<u8> {
        assert_eq!(self.guest.response(self.poll).status, OK_NODATA);
        let ring = self.guest.machine.read(self.ring, 4096);
        self.poll = self.guest.submit(1, &POLL, Some(1));
        ring
    }
}

#[test]
fn its_sends_arrive_and_it_receives_at_most_a_page() {
    let lab = Lab::new();
    let (mut reference, mut server) = open(&lab);
    let data: Vec<u8> = (0..3744_u32).map(|n| (n % 251) as u8).collect();
    for _ in 0..300 {
        assert_eq!(reference.guest.execute(1, &send(&data, &[])), OK_NODATA);
        let mut heard = vec![0; 3744];
        server.stream.receive_exact(&mut heard, &mut vec![]).unwrap();
        assert_eq!(heard, data);
    }
    server.stream.send(&[data.clone(), data[..1000].to_vec()].concat()).unwrap();
    let (first, second) = (reference.receive(), reference.receive());
    for (ring, len) in [(first, 3744), (second, 1000)] {
        let (received, number, bytes) = (ring[0], word(&ring, 8), word(&ring, 12));
        assert_eq!((received, number, bytes), (5, 0, len));
        assert_eq!(ring[352..352 + len as usize], data[..len as usize]);
    }
}

#[test]
fn the_end_of_the_stream_is_a_receive_without_data() {
    let lab = Lab::new();
    let (mut reference, server) = open(&lab);
    drop(server);
    for _ in 0..3 {
        let ring = reference.receive();
        assert_eq!((ring[0], word(&ring, 8), word(&ring, 12)), (5, 0, 0));
    }
}

#[test]
fn a_server_that_is_not_there_shows_as_the_end_instead_of_silence() {
    let mut lab = Lab::new();
    lab.server = None;
    let mut guest = lab.guest();
    assert_eq!(guest.create_context(1, "x11bridge"), OK_NODATA);
    let ((query_ring, _), (channel_ring, pages)) = (guest.blob(1, 4096), guest.blob(1, 4096));
    assert_eq!(guest.execute(1, &init(query_ring, channel_ring)), OK_NODATA);
    let poll = guest.submit(1, &POLL, Some(1));
    assert_eq!(guest.response(poll).status, OK_NODATA);
    let ring = guest.machine.read(pages[0], 4096);
    assert_eq!((ring[0], word(&ring, 12)), (5, 0));
}

#[test]
fn its_futexes_are_accepted_and_kept_apart() {
    let lab = Lab::new();
    let (mut reference, mut server) = open(&lab);
    let guest = &mut reference.guest;
    for id in [0x4000_0000, 0x4000_0001] {
        assert_eq!(guest.execute(1, &futex_new(1, 77, id)), OK_NODATA);
    }
    assert_eq!(guest.execute(1, &futex(9, 0x4000_0001)), OK_NODATA);
    assert_eq!(guest.execute(1, &futex(10, 0x4000_0000)), OK_NODATA);
    assert_eq!(guest.execute(1, &send(b"goes on", &[])), OK_NODATA);
    server.stream.receive_exact(&mut [0; 7], &mut vec![]).unwrap();
    // A signal may have been under way when its futex was destroyed. To destroy that again is an error.
    assert_eq!(guest.execute(1, &futex(9, 0x4000_0000)), OK_NODATA);
    assert_eq!(guest.execute(1, &futex(10, 0x4000_0000)), UNSPECIFIED);
}

#[test]
fn a_blob_that_there_is_not_is_left_out_and_the_bytes_go_on() {
    let lab = Lab::new();
    let (mut reference, mut server) = open(&lab);
    assert_eq!(reference.guest.execute(1, &send(b"with a descriptor", &[(77, 1)])), OK_NODATA);
    let mut descriptors = vec![];
    server.stream.receive_exact(&mut [0; 17], &mut descriptors).unwrap();
    assert!(descriptors.is_empty());
}

#[test]
fn identifiers_of_what_can_not_be_sent_end_the_channel_and_not_the_device() {
    let lab = Lab::new();
    // A futex's memory, an eventfd, a number of none.
    for id_type in [5, 6, 99] {
        let (mut reference, mut server) = open(&lab);
        assert_eq!(reference.guest.execute(1, &send(b"with a descriptor", &[(77, id_type)])), UNSPECIFIED);
        let ring = reference.receive();
        assert_eq!((ring[0], word(&ring, 12)), (5, 0), "it hears the end");
        assert_eq!(reference.guest.execute(1, &send(b"swallowed", &[])), OK_NODATA);
        assert_eq!(reference.guest.destroy_context(1), OK_NODATA);
        assert!(server.stream.receive_to_end().unwrap().is_empty());
        drop(reference);
        lab.event(|event| matches!(event, host::Event::GuestDisconnected { .. }).then_some(()));
    }
}
