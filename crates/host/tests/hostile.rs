//! Guests that lie: each gets an error or an end of its own, and the device goes on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]
#![allow(clippy::print_stdout, reason = "the seed of a failure")]

mod lab;

use std::time::Duration;

use cross_domain::{CHANNEL_RING, Init, InitForm, channel, encode_poll};
use lab::Lab;
use lab::gpu::{
    Guest, INVALID_CONTEXT, INVALID_PARAMETER, INVALID_RESOURCE, OK_NODATA, OUT_OF_MEMORY, UNSPECIFIED,
    blob_fields, words,
};
use lab::machine::{Descriptor, INDIRECT, NEXT, QUEUE_SIZE, RAM, RAM_BYTES, WRITE};
use vhost::VhostBackend;

/// A guest whose other context still works is not hurt.
fn assert_alive(lab: &Lab, guest: &mut Guest, id: u32) {
    let mut channel = guest.channel(id);
    channel.poll(guest);
    channel.send(guest, b"alive?");
    // What came before may have opened connections, which have ended or are about to.
    let mut server = loop {
        let mut server = lab.server().accept().unwrap();
        let mut heard = [0; 6];
        if server.stream.receive_exact(&mut heard, &mut vec![]).is_ok() && &heard == b"alive?" {
            break server;
        }
    };
    server.stream.send(b"alive").unwrap();
    assert_eq!(channel.receive(guest).data, b"alive");
    assert_eq!(guest.destroy_context(id), OK_NODATA);
}

#[test]
fn ids_that_name_nothing_are_refused_by_the_number_that_says_so() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    assert_eq!(guest.create_context(1, ""), OK_NODATA);
    for (cmd, context, fields, status) in [
        (0x201, 9, vec![], INVALID_CONTEXT),
        (0x202, 9, words(&[1, 0]), INVALID_CONTEXT),
        (0x202, 1, words(&[77, 0]), INVALID_RESOURCE),
        (0x203, 9, words(&[1, 0]), INVALID_CONTEXT),
        (0x207, 9, words(&[0, 0]), INVALID_CONTEXT),
        (0x102, 0, words(&[77, 0]), INVALID_RESOURCE),
        (0x208, 0, words(&[77, 0, 0, 0]), INVALID_RESOURCE),
        (0x209, 0, words(&[77, 0]), INVALID_RESOURCE),
        (0x200, 1, words(&[0, 5]), INVALID_CONTEXT),
        (0x200, 0, words(&[0, 5]), INVALID_CONTEXT),
        (0x200, 2, words(&[0, 4]), INVALID_PARAMETER),
        (0x10b, 0, words(&[1, 0]), UNSPECIFIED),
        (0x204, 1, words(&[0; 12]), UNSPECIFIED),
        (0, 0, vec![], UNSPECIFIED),
        (u32::MAX, u32::MAX, vec![0xff; 500], UNSPECIFIED),
    ] {
        assert_eq!(guest.status(cmd, context, &fields), status, "{cmd:#x} {fields:?}");
    }
    assert_alive(&lab, &mut guest, 3);
}

#[test]
fn requests_that_break_off_are_refused() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    for cmd in (0x100..=0x10d).chain(0x200..=0x209).chain(0x300..=0x301) {
        for len in [0, 1, 4, 7, 12, 31] {
            guest.status(cmd, 0, &vec![0xff; len]);
        }
    }
    for len in 0..24 {
        let ticket = guest.send(&vec![2; len.max(1)]);
        assert_eq!(guest.response(ticket).status, UNSPECIFIED, "{len} bytes");
    }
    assert_alive(&lab, &mut guest, 1);
}

#[test]
fn blobs_of_memory_that_is_none_are_refused() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let end = RAM + RAM_BYTES as u64;
    for (bytes, list) in [
        (4096, vec![]),
        (4096, vec![(0, 4096)]),
        (4096, vec![(end, 4096)]),
        (4096, vec![(end - 4095, 4096)]),
        (4096, vec![(u64::MAX - 100, 4096)]),
        (4096, vec![(RAM, 0), (RAM, 4096)]),
        (4096, vec![(RAM, 4095)]),
        (0, vec![(RAM, 4096)]),
        (u64::MAX, vec![(RAM, 4096)]),
        ((1 << 30) + 1, vec![(RAM, 4096)]),
    ] {
        let id = guest.next_resource();
        assert_eq!(guest.create_blob(id, bytes, &list), INVALID_PARAMETER, "{bytes} {list:x?}");
    }
    // A count that the list does not have, kinds of memory that there are not, items that there are not.
    for fields in [
        blob_fields(50, 1, 1, 0, 4096),
        blob_fields(50, 1, u32::MAX, 0, 4096),
        blob_fields(50, 3, 0, 0, 4096),
        blob_fields(50, 0, 0, 0, 4096),
    ] {
        assert_eq!(guest.status(0x10c, 0, &fields), INVALID_PARAMETER);
    }
    assert_eq!(guest.create_context(1, ""), OK_NODATA);
    assert_eq!(guest.status(0x10c, 1, &blob_fields(50, 2, 0, 1, 4096)), INVALID_PARAMETER, "no such item");
    assert_eq!(guest.status(0x10c, 9, &blob_fields(50, 2, 0, 1, 4096)), INVALID_CONTEXT);
    assert_eq!(guest.create_blob(60, 1, &[(end - 1, 1)]), OK_NODATA, "the last byte there is");
    assert_eq!(guest.create_blob(60, 1, &[(RAM, 1)]), INVALID_RESOURCE, "an id that is in use");
    assert_eq!(guest.create_blob(0, 1, &[(RAM, 1)]), INVALID_RESOURCE);
    assert_alive(&lab, &mut guest, 3);
}

#[test]
fn a_context_uses_no_blob_that_is_not_attached_to_it() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    assert_eq!((guest.create_context(1, ""), guest.create_context(2, "")), (OK_NODATA, OK_NODATA));
    let (mine, _) = guest.blob(1, 4096);
    let init = |id| {
        let form = InitForm::Bare;
        let init = Init { query_ring_id: id, channel_ring_id: id, channel_type: channel::X11, form };
        init.encode().unwrap()
    };
    assert_eq!(guest.execute(2, &init(mine)), UNSPECIFIED, "another's ring");
    assert_eq!(guest.status(0x203, 1, &words(&[mine, 0])), OK_NODATA);
    assert_eq!(guest.execute(1, &init(mine)), UNSPECIFIED, "a ring that was detached");
    assert_eq!(guest.status(0x202, 1, &words(&[mine, 0])), OK_NODATA);
    assert_eq!(guest.execute(1, &init(mine)), OK_NODATA);
    // A ring that is detached while it is in use stays the host's: its memory is.
    assert_eq!(guest.status(0x203, 1, &words(&[mine, 0])), OK_NODATA);
    let mut server = lab.server().accept().unwrap();
    server.stream.send(b"into the ring").unwrap();
    let poll = guest.submit(1, &encode_poll(), Some(CHANNEL_RING));
    assert_eq!(guest.response(poll).status, OK_NODATA);
}

#[test]
fn a_ring_whose_memory_is_taken_back_is_written_no_more_and_its_channel_ends() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    for (id, cmd) in [(1, 0x102), (2, 0x107)] {
        let mut channel = guest.channel(id);
        let mut server = lab.server().accept().unwrap();
        server.stream.send(b"before").unwrap();
        assert_eq!(channel.receive(&mut guest).data, b"before");
        let poll = channel.poll(&mut guest);
        let ring = guest.last_resource();
        assert_eq!(guest.status(cmd, 0, &words(&[ring, 0])), OK_NODATA, "{cmd:#x}");
        assert_eq!(guest.response(poll).status, OK_NODATA, "nobody waits for an answer for ever");
        assert!(server.stream.receive_to_end().unwrap().is_empty(), "the channel is over");
        assert_eq!(channel.message(&guest).data, b"before", "the memory is the guest's again");
        assert_eq!(guest.execute(id, &lab::gpu::send_command(b"too late")), OK_NODATA);
        let poll = guest.submit(id, &encode_poll(), Some(CHANNEL_RING));
        assert_eq!(guest.response(poll).status, UNSPECIFIED);
        let (again, _) = guest.blob(id, 4096);
        let init = Init {
            query_ring_id: again,
            channel_ring_id: again,
            channel_type: channel::X11,
            form: InitForm::Bare,
        };
        assert_eq!(guest.execute(id, &init.encode().unwrap()), UNSPECIFIED, "a second channel");
        assert_eq!(guest.destroy_context(id), OK_NODATA);
        let reason = lab.event(|event| match event {
            host::Event::ContextClosed { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        assert_eq!(reason, "the guest closed it");
    }
    assert_alive(&lab, &mut guest, 3);
}

#[test]
fn rings_that_lie_in_too_many_pieces_are_refused() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let page = guest.machine.allocate(4096);
    // 4096 bytes in 64, 65 and 66 pieces.
    for (id, pieces, status) in [(1, 64, OK_NODATA), (2, 65, OK_NODATA), (3, 66, UNSPECIFIED)] {
        assert_eq!(guest.create_context(id, ""), OK_NODATA);
        let first = 4096 - (pieces - 1);
        let mut list = vec![(page, first)];
        list.extend((first..4096).map(|at| (page + u64::from(at), 1)));
        assert_eq!(list.len(), pieces as usize);
        let ring = guest.next_resource();
        assert_eq!(guest.create_blob(ring, 4096, &list), OK_NODATA);
        assert_eq!(guest.status(0x202, id, &words(&[ring, 0])), OK_NODATA);
        let form = InitForm::Bare;
        let init = Init { query_ring_id: ring, channel_ring_id: ring, channel_type: channel::X11, form };
        assert_eq!(guest.execute(id, &init.encode().unwrap()), status, "{pieces}");
    }
}

#[test]
fn submissions_that_are_none_are_refused_and_the_guest_is_told() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    let _server = lab.server().accept().unwrap();
    // A size that is not there.
    for size in [1, 17, u32::MAX] {
        let request = [lab::gpu::Header { context: 1, fence: None }.bytes(0x207), words(&[size, 0])].concat();
        let ticket = guest.send(&request);
        assert_eq!(guest.response(ticket).status, INVALID_PARAMETER);
    }
    assert_eq!(guest.execute(1, &[]), OK_NODATA, "nothing to do is done");
    assert_eq!(guest.execute(1, &[0xff; 64]), UNSPECIFIED);
    let closed = channel.receive(&mut guest);
    assert!(closed.what.contains("stage: Send"), "{closed:?}");
    let text = String::from_utf8(closed.data).unwrap();
    assert!(!text.is_empty(), "it says why");
    assert_alive(&lab, &mut guest, 2);
}

#[test]
fn requests_are_limited_in_size() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    assert_eq!(guest.create_context(1, ""), OK_NODATA);
    let max = device::gpu::REQUEST_BYTES_MAX;
    for (bytes, status) in [(max - 1, OK_NODATA), (max, OK_NODATA), (max + 1, OUT_OF_MEMORY)] {
        // One command of no meaning in front would be refused, so it is a size of nothing and bytes that belong to none.
        let mut request = lab::gpu::Header { context: 1, fence: None }.bytes(0x207);
        request.extend(words(&[0, 0]));
        request.resize(bytes, 0);
        let ticket = guest.send(&request);
        assert_eq!(guest.response(ticket).status, status, "{bytes}");
    }
}

#[test]
fn chains_of_descriptors_that_go_wrong_are_given_back() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let machine = &mut guest.machine;
    let page = machine.allocate(4096);
    let descriptor = |flags, next| Descriptor { address: page, len: 24, flags, next };
    // A loop of one, a loop of two, a next that is no entry, a table in a table, tables that are none.
    let table = machine.allocate(4096);
    let nested = Descriptor { address: table, len: 16, flags: INDIRECT, next: 0 };
    machine.write(table, &nested.bytes());
    let indirect = |address, len| Descriptor { address, len, flags: INDIRECT, next: 0 };
    for broken in [
        descriptor(NEXT, 0),
        descriptor(NEXT | WRITE, 0),
        descriptor(NEXT, QUEUE_SIZE),
        descriptor(NEXT, u16::MAX),
        indirect(table, 16),
        indirect(table, 0),
        indirect(table, 15),
        indirect(0, 16),
        indirect(u64::MAX - 8, 4096),
        indirect(RAM + RAM_BYTES as u64 - 8, 16),
        indirect(table, u32::MAX),
        Descriptor { address: 0, len: 24, flags: 0, next: 0 },
        Descriptor { address: u64::MAX, len: u32::MAX, flags: WRITE, next: 0 },
        Descriptor { address: RAM, len: u32::MAX, flags: 0, next: 0 },
        Descriptor { address: page, len: 0, flags: 0, next: 0 },
    ] {
        let head = machine.take_entry();
        let next = if broken.next == 0 { head } else { broken.next };
        machine.set_descriptor(head, Descriptor { next, ..broken });
        machine.offer(head);
        machine.wait(head);
    }
    let (one, two) = (machine.take_entry(), machine.take_entry());
    machine.set_descriptor(one, descriptor(NEXT, two));
    machine.set_descriptor(two, descriptor(NEXT, one));
    machine.offer(one);
    machine.wait(one);
    assert_alive(&lab, &mut guest, 1);
}

#[test]
fn a_head_that_is_no_entry_does_no_harm() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    guest.machine.offer(QUEUE_SIZE);
    guest.machine.offer(u16::MAX);
    assert_alive(&lab, &mut guest, 1);
}

#[test]
fn a_queue_that_promises_what_it_can_not_hold_is_left_alone_until_it_starts_anew() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    for count in [QUEUE_SIZE + 1, u16::MAX] {
        guest.machine.promise(count);
        guest.machine.kick();
        let features = guest.machine.front_end.get_features();
        assert!(features.is_ok(), "the monitor is served all the same");
        let told = |event: &host::Event| match event {
            host::Event::Log { message, .. } if message.contains("promises requests") => Some(()),
            _ => None,
        };
        lab.event(told);
        guest.machine.reset();
        assert_alive(&lab, &mut guest, 1);
    }
}

#[test]
fn a_response_gets_as_much_room_as_there_is() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let request = lab::gpu::Header::default().bytes(0x100);
    let address = guest.machine.allocate(4096);
    guest.machine.write(address, &request);
    let response = guest.machine.allocate(4096);
    for (room, written) in [(vec![], 0), (vec![10], 10), (vec![1, 30, 1], 32), (vec![4096], 24 + 16 * 24)] {
        let mut chain = vec![(address, 24, false)];
        let mut at = response;
        for len in room {
            chain.push((at, len, true));
            at += u64::from(len);
        }
        let head = guest.machine.submit(&chain);
        assert_eq!(guest.machine.wait(head), written);
    }
}

#[test]
fn what_was_checked_is_what_is_sent_though_the_guest_writes_to_it_meanwhile() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let channel = guest.channel(1);
    let mut server = lab.server().accept().unwrap();
    // Heard, it is no longer among what is kept until the connection is open.
    channel.send(&mut guest, b"open");
    server.stream.receive_exact(&mut [0; 4], &mut vec![]).unwrap();
    // Held half way, its memory overwritten.
    let data = vec![7; 60_000];
    let ticket = channel.send(&mut guest, &data);
    let held: Vec<_> = (0..20).map(|_| channel.send(&mut guest, &data)).collect();
    while !guest.machine.is_returned(ticket.head) {
        std::thread::sleep(Duration::from_millis(1));
    }
    guest.machine.write(RAM + (1 << 20), &vec![0xff; 8 << 20]);
    let mut heard = vec![0; 60_000];
    server.stream.receive_exact(&mut heard, &mut vec![]).unwrap();
    assert!(heard.iter().all(|byte| *byte == 7));
    // The one that was begun passes whole; those behind it are no commands any more, and are refused.
    let last = held.last().copied().unwrap();
    let rest = std::thread::spawn(move || server.stream.receive_to_end());
    let written = guest.machine.wait(last.head);
    assert_eq!(written, 0, "its room for an answer was overwritten as well");
    assert_eq!(guest.destroy_context(1), OK_NODATA);
    assert!(rest.join().unwrap().unwrap().iter().all(|byte| *byte == 7));
    assert_alive(&lab, &mut guest, 2);
}

#[test]
fn refused_requests_do_not_fill_the_log() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    for _ in 0..300 {
        assert_eq!(guest.destroy_context(9), INVALID_CONTEXT);
    }
    let logged: Vec<String> = lab.host.take_events().into_iter().filter_map(log_line).collect();
    assert_eq!(logged.len(), 100);
    assert!(logged[0].ends_with("was refused: InvalidContext"), "{}", logged[0]);
    assert!(logged[99].ends_with("; more of this guest are not logged"), "{}", logged[99]);
}

fn log_line(event: host::Event) -> Option<String> {
    if let host::Event::Log { message, .. } = event { Some(message) } else { None }
}

#[test]
fn contexts_that_come_and_go_faster_than_they_connect_take_no_more_threads_than_there_may_be_contexts() {
    let lab = Lab::with(|options| {
        options.contexts_max = 4;
        options.host_timeout = Duration::from_secs(600);
    });
    // A server whose queue is full: whoever connects waits.
    lab.server().shorten_queue().unwrap();
    let name = display::DisplayName::parse(lab.server().path().to_str().unwrap()).unwrap();
    let mut waiting = vec![];
    while let Ok(connected) = name.connect(Duration::from_millis(20)) {
        waiting.push(connected);
    }
    let mut guest = lab.guest();
    let mut texts = vec![];
    for id in 1..=8 {
        let mut channel = guest.channel(id);
        channel.poll(&mut guest);
        if id <= 4 {
            assert!(channel.is_silent(&mut guest));
        } else {
            texts.push(String::from_utf8(channel.receive(&mut guest).data).unwrap());
        }
        assert_eq!(guest.destroy_context(id), OK_NODATA);
    }
    assert_eq!(texts, vec!["4 connections to the X server are being opened already"; 4]);
}

#[test]
fn random_descriptors_and_requests_leave_the_device_alive() {
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        u64::from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos())
    });
    println!("FUZZ_SEED={seed}");
    let mut rng = Rng(seed);
    for _ in 0..4 {
        // Some of its contexts may connect: each guest has a server of its own.
        let lab = Lab::new();
        let mut guest = lab.guest();
        for round in 0..500 {
            let page = guest.machine.allocate(4096);
            let request: Vec<u8> = (0..rng.below(200)).map(|_| rng.byte()).collect();
            guest.machine.write(page, &request);
            // Half of them are requests that there are, in a context that there is.
            if rng.below(2) == 0 {
                let known = [0x102, 0x108, 0x109, 0x10c, 0x200, 0x201, 0x202, 0x203, 0x207, 0x208, 0x209];
                let cmd = known[rng.below(known.len())];
                guest.machine.write(page, &u32::to_le_bytes(cmd));
                guest.machine.write(page + 16, &u32::to_le_bytes(1 + (round & 3)));
                guest.machine.write(page + 24, &u32::to_le_bytes(rng.pick(&[0, 1, 2, 5, 16, 100, u32::MAX])));
                guest.machine.write(page + 28, &u32::to_le_bytes(rng.pick(&[0, 1, 2, 5, u32::MAX])));
            }
            let head = guest.machine.take_entry();
            let descriptor = Descriptor {
                address: rng.pick(&[page, page, page, RAM, 0, u64::MAX, RAM + RAM_BYTES as u64 - 4]),
                len: rng.pick(&[24, 32, 56, 200, 4096, 0, 16, u32::MAX]),
                flags: rng.pick(&[0, 0, 0, NEXT, WRITE, NEXT | WRITE, INDIRECT, 0xffff]),
                next: rng.pick(&[head, head.wrapping_add(1), 0, 255, 256, 0xffff]),
            };
            guest.machine.set_descriptor(head, descriptor);
            guest.machine.offer(head);
        }
        guest.machine.reset();
        assert_alive(&lab, &mut guest, 99);
        drop(guest);
        lab.event(|event| matches!(event, host::Event::GuestDisconnected { .. }).then_some(()));
    }
}

/// Seeded random numbers (splitmix64).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}
