//! Programs of a guest and the X server, through a real device over vhost-user.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod lab;

use std::io::Write;
use std::time::Duration;

use cross_domain::{InitForm, encode_poll};
use device::gpu::{HELD_BYTES_MAX, HELD_MAX};
use display::xauthority::{self, Entry, Family, MAGIC_COOKIE};
use host::Event;
use lab::Lab;
use lab::gpu::{Guest, Header, INVALID_CONTEXT, OK_NODATA, UNSPECIFIED, send_command, word, words};
use x11bridge_testkit::ByteOrder;
use x11bridge_testkit::setup::SetupRequest;

#[test]
fn a_program_reaches_the_x_server_and_hears_its_answers() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    channel.poll(&mut guest);
    let set_up = SetupRequest::new(ByteOrder::Little, None).encode();
    channel.send(&mut guest, &set_up);
    let (mut server, _) = lab.server().accept_client().unwrap();
    let accepted = x11bridge_testkit::setup::accepted(ByteOrder::Little);
    assert_eq!(channel.receive_bytes(&mut guest, accepted.len()), accepted);
    for round in 0..50_u8 {
        channel.poll(&mut guest);
        let ticket = channel.send(&mut guest, &[43, 0, 1, 0]);
        assert_eq!(guest.response(ticket).status, OK_NODATA);
        assert_eq!(server.request().unwrap().opcode(), 43);
        server.reply(round, &[], &[]).unwrap();
        assert_eq!(channel.receive(&mut guest).data[1], round);
    }
    assert_eq!(guest.destroy_context(1), OK_NODATA);
    let traffic = lab.event(|event| match event {
        Event::ContextClosed { context: 1, traffic, .. } => Some(*traffic),
        _ => None,
    });
    assert_eq!(traffic.bytes_to_host, set_up.len() as u64 + 200);
    assert_eq!(traffic.bytes_to_guest, accepted.len() as u64 + 1600);
}

#[test]
fn an_x_server_that_speaks_and_hangs_up_at_once_is_heard_to_its_end() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    channel.send(&mut guest, &SetupRequest::new(ByteOrder::Little, None).encode());
    let (server, _) = lab.server().accept_client().unwrap();
    let accepted = x11bridge_testkit::setup::accepted(ByteOrder::Little);
    // Before the guest asks for the first of it: the host has been told of all that there is to tell of the socket.
    drop(server);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(channel.receive_bytes(&mut guest, accepted.len()), accepted);
    channel.poll(&mut guest);
    assert!(!channel.is_silent(&mut guest), "its end is told, too");
}

#[test]
fn the_hosts_cookie_is_put_in_where_the_program_shows_none() {
    let lab = Lab::new();
    let (address, number) = (vec![], vec![]);
    let data = b"the host's own!!".to_vec();
    let entry = Entry { family: Family::Wild, address, number, name: MAGIC_COOKIE.to_vec(), data };
    xauthority::write_private(&lab.folder.0.join("xauthority"), &[entry]).unwrap();
    let mut guest = lab.guest();
    for (id, shown, expected) in
        [(1, None, &b"the host's own!!"[..]), (2, Some(&b"the guest's own!"[..]), b"the guest's own!")]
    {
        let channel = guest.channel(id);
        let set_up = SetupRequest::new(ByteOrder::Big, shown).encode();
        // In pieces: a SEND ends in the middle of it.
        let (head, rest) = set_up.split_at(7);
        channel.send(&mut guest, head);
        channel.send(&mut guest, rest);
        let (_, request) = lab.server().accept_client().unwrap();
        assert_eq!(request.auth_data, expected);
    }
}

#[test]
fn large_images_pass_both_ways_whole() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    channel.poll(&mut guest);
    let image: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut server = {
        // Four SENDs in each submission, as the guest half makes them.
        let mut tickets: Vec<_> = vec![];
        for piece in image.chunks(4 * 60_000) {
            let commands: Vec<u8> = piece.chunks(60_000).flat_map(send_command).collect();
            tickets.push(guest.submit(channel.context, &commands, None));
        }
        let mut server = lab.server().accept().unwrap();
        let mut arrived = vec![0; image.len()];
        server.stream.receive_exact(&mut arrived, &mut vec![]).unwrap();
        assert!(arrived == image);
        for ticket in tickets {
            assert_eq!(guest.response(ticket).status, OK_NODATA);
        }
        server
    };
    let echoed = image.clone();
    let writer = std::thread::spawn(move || server.stream.send(&echoed).unwrap());
    assert!(channel.receive_bytes(&mut guest, image.len()) == image);
    writer.join().unwrap();
}

#[test]
fn a_server_that_reads_nothing_stalls_its_own_context_alone() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let stuck = guest.channel(1);
    let mut silent = lab.server().accept().unwrap();
    let mut other = guest.channel(2);
    let mut server = lab.server().accept().unwrap();
    let data = vec![7; 60_000];
    let tickets: Vec<_> = (0..40).map(|_| stuck.send(&mut guest, &data)).collect();
    assert!(!guest.machine.is_returned(tickets[39].head), "2.4 MB are more than the sockets take");
    for _ in 0..20 {
        other.poll(&mut guest);
        other.send(&mut guest, b"ping");
        let mut heard = [0; 4];
        server.stream.receive_exact(&mut heard, &mut vec![]).unwrap();
        server.stream.send(b"pong").unwrap();
        assert_eq!(other.receive(&mut guest).data, b"pong");
    }
    assert!(!guest.machine.is_returned(tickets[39].head));
    // Nothing is lost, nothing comes twice, when it reads again.
    let mut heard = vec![0; 40 * 60_000];
    silent.stream.receive_exact(&mut heard, &mut vec![]).unwrap();
    assert!(heard.iter().all(|byte| *byte == 7));
    for ticket in tickets {
        assert_eq!(guest.response(ticket).status, OK_NODATA);
    }
}

#[test]
fn more_than_is_kept_of_held_requests_arrives_whole_all_the_same() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    // Sixteen SENDs each: a request of nearly 1 MiB. Together they are more than the device keeps.
    let commands = |number: u8| (0..16).flat_map(|_| send_command(&vec![number; 60_000])).collect::<Vec<_>>();
    let count = u8::try_from(HELD_BYTES_MAX / (16 * 60_000) + 3).unwrap();
    let mut tickets = vec![];
    let mut servers = vec![];
    for number in 1..=count {
        let channel = guest.channel(number.into());
        servers.push((number, lab.server().accept().unwrap()));
        // The first is what the sockets take.
        guest.submit(channel.context, &commands(number), None);
        tickets.push(guest.submit(channel.context, &commands(number), None));
    }
    assert!(tickets.iter().all(|ticket| !guest.machine.is_returned(ticket.head)));
    for (number, server) in &mut servers {
        let mut heard = vec![0; 2 * 16 * 60_000];
        server.stream.receive_exact(&mut heard, &mut vec![]).unwrap();
        assert!(heard.iter().all(|byte| byte == number), "{number}");
    }
    for ticket in tickets {
        assert_eq!(guest.response(ticket).status, OK_NODATA);
    }
}

#[test]
fn a_context_that_floods_without_waiting_is_ended_and_told_so() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut flood = guest.channel(1);
    let data = vec![7; 60_000];
    let poll = flood.poll(&mut guest);
    let tickets: Vec<_> = (0..100).map(|_| flood.send(&mut guest, &data)).collect();
    let _silent = lab.server().accept().unwrap();
    let statuses: Vec<u32> = tickets.into_iter().map(|ticket| guest.response(ticket).status).collect();
    assert!(statuses.contains(&lab::gpu::OUT_OF_MEMORY), "{statuses:?}");
    assert_eq!(guest.response(poll).status, OK_NODATA);
    let closed = flood.message(&guest);
    assert!(closed.what.contains("stage: Send"), "{closed:?}");
    assert!(String::from_utf8(closed.data).unwrap().contains("without waiting"));
}

#[test]
fn as_many_submissions_are_held_as_the_limit_says_and_one_more_ends_the_context() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    // A request of the device's own is answered when all before it have been looked at.
    let synchronize =
        |guest: &mut Guest| assert_eq!(guest.call(0x108, Header::default(), &words(&[0, 0])).status, 0x1102);
    for (id, more) in [(1, HELD_MAX - 1), (2, HELD_MAX)] {
        let mut channel = guest.channel(id);
        let poll = channel.poll(&mut guest);
        let opened = channel.send(&mut guest, b"first");
        assert_eq!(guest.response(opened).status, OK_NODATA);
        let mut server = lab.server().accept().unwrap();
        let mut bytes = 5;
        let held = loop {
            let ticket = channel.send(&mut guest, &vec![7; 60_000]);
            bytes += 60_000;
            synchronize(&mut guest);
            if !guest.machine.is_returned(ticket.head) {
                break ticket;
            }
            assert_eq!(guest.response(ticket).status, OK_NODATA);
        };
        let others: Vec<_> = (0..more).map(|_| channel.send(&mut guest, b"another")).collect();
        synchronize(&mut guest);
        if more < HELD_MAX {
            assert!(others.iter().all(|ticket| !guest.machine.is_returned(ticket.head)));
            server.stream.receive_exact(&mut vec![0; bytes + more * 7], &mut vec![]).unwrap();
            for ticket in [vec![held], others].concat() {
                assert_eq!(guest.response(ticket).status, OK_NODATA);
            }
        } else {
            let last = others.last().copied().unwrap();
            assert_eq!(guest.response(last).status, lab::gpu::OUT_OF_MEMORY);
            assert_eq!(guest.response(poll).status, OK_NODATA);
            assert!(channel.message(&guest).what.contains("stage: Send"));
        }
    }
}

#[test]
fn a_server_that_accepts_nobody_holds_up_nobody_else() {
    let lab = Lab::with(|options| options.host_timeout = Duration::from_millis(300));
    let mut guest = lab.guest();
    lab.server().shorten_queue().unwrap();
    let mut waiting = vec![];
    let path = lab.server().path().to_owned();
    let full = loop {
        let name = display::DisplayName::parse(path.to_str().unwrap()).unwrap();
        match name.connect(Duration::from_millis(50)) {
            Ok(connected) => waiting.push(connected),
            Err(error) => break error,
        }
    };
    assert_eq!(full.errno, Some(rustix::io::Errno::AGAIN));
    let mut channel = guest.channel(1);
    channel.poll(&mut guest);
    let send = channel.send(&mut guest, b"waits for its channel");
    // Whoever else asks gets an answer meanwhile.
    for id in 2..10 {
        assert_eq!(guest.create_context(id, ""), OK_NODATA);
    }
    let closed = channel.receive(&mut guest);
    assert!(closed.what.contains("stage: Init"), "{closed:?}");
    assert!(String::from_utf8(closed.data).unwrap().ends_with("it did not answer in time"));
    assert_eq!(guest.response(send).status, OK_NODATA);
}

#[test]
fn without_a_server_the_program_hears_which_display_is_missing() {
    let mut lab = Lab::new();
    lab.server = None;
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    let closed = channel.receive(&mut guest);
    assert!(closed.what.contains("stage: Init, errno: 2"), "{closed:?}");
    let text = String::from_utf8(closed.data).unwrap();
    assert!(text.starts_with("can't connect to X display") && text.contains("X0: no X server"), "{text}");
}

#[test]
fn the_servers_last_words_come_before_the_end_of_the_stream() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    channel.poll(&mut guest);
    let mut server = lab.server().accept().unwrap();
    server.stream.send(b"last words").unwrap();
    assert_eq!(channel.receive(&mut guest).data, b"last words");
    channel.poll(&mut guest);
    assert!(channel.is_silent(&mut guest));
    drop(server);
    assert!(channel.receive(&mut guest).what.contains("stage: Stream, errno: 0"));
}

#[test]
fn a_program_that_has_said_all_half_closes_its_stream() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    channel.send(&mut guest, b"all there is");
    channel.send(&mut guest, b"");
    let mut server = lab.server().accept().unwrap();
    assert_eq!(server.stream.receive_to_end().unwrap(), b"all there is");
    server.stream.send(b"an answer all the same").unwrap();
    assert_eq!(channel.receive(&mut guest).data, b"an answer all the same");
    drop(server);
    assert!(channel.receive(&mut guest).what.contains("stage: Stream"));
    assert_eq!(guest.destroy_context(1), OK_NODATA);
    let reason = lab.event(|event| match event {
        Event::ContextClosed { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, "the guest closed it");
}

#[test]
fn what_a_destroyed_context_holds_is_completed() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    let poll = channel.poll(&mut guest);
    let data = vec![7; 60_000];
    let sends: Vec<_> = (0..30).map(|_| channel.send(&mut guest, &data)).collect();
    let mut server = lab.server().accept().unwrap();
    assert!(!guest.machine.is_returned(sends[29].head));
    assert_eq!(guest.destroy_context(1), OK_NODATA);
    assert_eq!(guest.response(poll).status, OK_NODATA);
    assert_eq!(guest.response(sends[29]).status, UNSPECIFIED);
    assert!(server.stream.receive_to_end().unwrap().len() < 30 * 60_000, "the stream is over");
    assert_eq!(guest.execute(1, &encode_poll()), INVALID_CONTEXT);
    // The id is free for another.
    let _again = guest.channel(1);
}

#[test]
fn many_programs_at_once_each_have_their_own_stream() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channels: Vec<_> = (1..=50).map(|id| guest.channel(id)).collect();
    for (number, channel) in (0_u8..).zip(&mut channels) {
        channel.poll(&mut guest);
        channel.send(&mut guest, &[number; 8]);
    }
    // They come in whatever order.
    let mut servers = vec![];
    for _ in &channels {
        let mut server = lab.server().accept().unwrap();
        let mut heard = [0; 8];
        server.stream.receive_exact(&mut heard, &mut vec![]).unwrap();
        servers.push((heard[0], server));
    }
    for (number, server) in &mut servers {
        server.stream.send(&[*number; 3]).unwrap();
    }
    for (number, channel) in (0_u8..).zip(&mut channels) {
        assert_eq!(channel.receive(&mut guest).data, [number; 3]);
    }
}

#[test]
fn contexts_are_limited_and_a_refused_one_disturbs_none() {
    let lab = Lab::with(|options| options.contexts_max = 3);
    let mut guest = lab.guest();
    for (id, status) in [(1, OK_NODATA), (2, OK_NODATA), (3, OK_NODATA), (4, lab::gpu::OUT_OF_MEMORY)] {
        assert_eq!(guest.create_context(id, "program"), status, "{id}");
    }
    assert_eq!(guest.destroy_context(2), OK_NODATA);
    assert_eq!(guest.create_context(4, "program"), OK_NODATA);
}

#[test]
fn the_device_says_what_it_is() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let info = guest.call(0x108, Header::default(), &words(&[0, 0]));
    let bytes = u32::try_from(device::Context::capset().len()).unwrap();
    assert_eq!((info.status, word(&info.body, 0), word(&info.body, 8)), (0x1102, 5, bytes));
    assert_ne!(guest.status(0x108, 0, &words(&[1, 0])), 0x1102, "there is one");
    let capset = guest.call(0x109, Header::default(), &words(&[5, 0]));
    assert_eq!((capset.status, capset.body), (0x1103, device::Context::capset()));
    assert_ne!(guest.status(0x109, 0, &words(&[4, 0])), 0x1103);
    let display = guest.call(0x100, Header::default(), &[]);
    assert_eq!((display.status, display.body.len()), (0x1101, 16 * 24));
    assert!(display.body.iter().all(|byte| *byte == 0), "nothing is to be seen");
}

#[test]
fn a_console_of_an_older_driver_is_borne_with() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    assert_eq!(guest.status(0x101, 0, &words(&[1, 1, 640, 480])), OK_NODATA);
    for cmd in [0x103, 0x104, 0x105, 0x106, 0x107] {
        assert_eq!(guest.status(cmd, 0, &words(&[1, 0, 0, 0, 0, 0])), OK_NODATA, "{cmd:#x}");
    }
    assert_eq!(guest.status(0x102, 0, &words(&[1, 0])), OK_NODATA);
}

#[test]
fn guests_of_libkrun_and_rutabaga_are_served_in_their_way() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let uuid = InitForm::SocketUuid([1; 16]);
    let versioned = InitForm::Versioned { protocol_version: 1 };
    for (id, form) in [(1, InitForm::Bare), (2, versioned), (3, uuid), (4, InitForm::OneRing)] {
        assert_eq!(guest.create_context(id, ""), OK_NODATA);
        let mut channel = guest.init(id, form, 8192);
        channel.poll(&mut guest);
        let mut server = lab.server().accept().unwrap();
        channel.send(&mut guest, &[1; 3744]);
        // A SEND without data means nothing to them.
        channel.send(&mut guest, b"");
        server.stream.receive_exact(&mut [0; 3744], &mut vec![]).unwrap();
        server.stream.socket().write_all(&[2; 5000]).unwrap();
        assert_eq!(
            channel.receive(&mut guest).data.len(),
            3744,
            "no more than 4096 bytes of the ring are used"
        );
        assert_eq!(channel.receive(&mut guest).data, [2; 1256]);
        drop(server);
        let end = channel.receive(&mut guest);
        assert!(end.what.starts_with("Receive") && end.data.is_empty(), "{end:?}");
    }
}
