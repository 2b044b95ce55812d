//! A client can only hurt itself, whatever it does, on every channel.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::io::ErrorKind;

use bridge::ChannelChoice;
use display::xauthority::{self, Entry, Family};
use lab::{CHANNELS, Lab};
use x11bridge_testkit::setup::{self, SetupReply, SetupRequest};
use x11bridge_testkit::{ByteOrder, PacketKind, requests};

#[test]
fn bytes_pass_in_both_byte_orders() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        for order in ByteOrder::BOTH {
            let (mut client, mut server) = lab.pair(order);
            let sent = requests::get_input_focus(order);
            client.request(&sent).unwrap();
            assert_eq!(server.request().unwrap().bytes, sent);
            server.reply(7, &[1, 2, 3, 4], &[9; 1000]).unwrap();
            let reply = client.packet().unwrap();
            assert_eq!((reply.kind(), reply.detail(), reply.bytes.len()), (PacketKind::Reply, 7, 1032));
            drop((client, server));
            assert_eq!(lab.next_end(), "the client closed its connection");
        }
    }
}

#[test]
fn requests_longer_than_every_buffer_pass_whole_in_one_piece_and_in_many() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        for chunk in [1 << 20, 60_000, 1000] {
            let (mut client, mut server) = lab.pair(ByteOrder::Little);
            let body: Vec<u8> = (0..=250).cycle().take(240_000).collect();
            let sent = requests::request(ByteOrder::Little, 72, 2, &body);
            let received = std::thread::scope(|scope| {
                let received = scope.spawn(|| server.request().unwrap().bytes);
                client.send_in_chunks(&sent, chunk).unwrap();
                received.join().unwrap()
            });
            assert!(received == sent, "{channel:?}, chunks of {chunk}");
        }
    }
}

#[test]
fn the_hosts_cookie_takes_the_place_of_the_clients() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let entry = Entry {
            family: Family::Wild,
            address: vec![],
            number: b"0".to_vec(),
            name: xauthority::MAGIC_COOKIE.to_vec(),
            data: b"the host's own!!".to_vec(),
        };
        xauthority::write_private(&lab.folder.0.join("host-xauthority"), &[entry]).unwrap();
        let seen = std::thread::scope(|scope| {
            let seen = scope.spawn(|| lab.server().accept_client().unwrap().1);
            lab.connect(ByteOrder::Big).unwrap();
            seen.join().unwrap()
        });
        assert_eq!(seen.auth_data, b"the host's own!!");
        assert_ne!(lab.cookie, seen.auth_data);
    }
}

#[test]
fn a_client_without_the_cookie_is_refused_and_never_reaches_the_server() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        for (cookie, why) in
            [(None, "Authorization required"), (Some(&[7; 16][..]), "Invalid MIT-MAGIC-COOKIE-1 key")]
        {
            for order in ByteOrder::BOTH {
                let mut client = lab.open(order);
                client.stream.send(&SetupRequest::new(order, cookie).encode()).unwrap();
                let Ok(SetupReply::Failed(reason)) = client.setup_reply() else { panic!("refused") };
                assert!(reason.contains(why), "{reason}");
                lab.next_end();
            }
        }
        let nobody = lab.server().accept_within(std::time::Duration::ZERO).unwrap();
        assert!(nobody.is_none());
    }
}

#[test]
fn a_set_up_may_come_byte_by_byte_with_requests_right_behind_it() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        for order in ByteOrder::BOTH {
            let mut client = lab.open(order);
            let no_op = requests::no_operation(order);
            let bytes =
                [SetupRequest::new(order, Some(&lab.cookie)).encode(), no_op.clone(), no_op.clone()].concat();
            let mut server = std::thread::scope(|scope| {
                let server = scope.spawn(|| lab.server().accept_client().unwrap().0);
                client.send_in_chunks(&bytes, 1).unwrap();
                server.join().unwrap()
            });
            assert!(matches!(client.setup_reply(), Ok(SetupReply::Accepted(_))));
            assert_eq!(server.request().unwrap().bytes, no_op);
            assert_eq!(server.request().unwrap().bytes, no_op);
        }
    }
}

#[test]
fn a_client_that_dies_at_any_byte_of_its_set_up_or_first_request_changes_nothing_for_another() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let order = ByteOrder::Little;
        let (mut healthy, mut server) = lab.pair(order);
        let setup = SetupRequest::new(order, Some(&lab.cookie)).encode();
        for end in 1..setup.len() {
            lab.open(order).stream.send(&setup[..end]).unwrap();
        }
        let request = requests::query_extension(order, "BIG-REQUESTS");
        for end in 0..=request.len() {
            let (mut client, mut at_server) = lab.pair(order);
            client.stream.send(&request[..end]).unwrap();
            drop(client);
            // All that it said comes through, and then the end.
            assert_eq!(
                at_server.stream.receive_to_end().unwrap(),
                request[..end],
                "{channel:?}, {end} bytes"
            );
        }
        lab.ends(setup.len() + request.len());
        healthy.request(&requests::get_input_focus(order)).unwrap();
        server.request().unwrap();
        server.reply(0, &[], &[]).unwrap();
        assert_eq!(healthy.packet().unwrap().kind(), PacketKind::Reply);
    }
}

#[test]
fn garbage_ends_its_sender_alone() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (mut healthy, mut server) = lab.pair(ByteOrder::Big);
        let mut stranger = lab.open(ByteOrder::Little);
        stranger.stream.send(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(stranger.stream.receive_to_end().unwrap(), b"");
        assert!(lab.next_end().contains("not an X11 client"));
        healthy.request(&requests::get_input_focus(ByteOrder::Big)).unwrap();
        server.request().unwrap();
        server.reply(0, &[], &[]).unwrap();
        assert_eq!(healthy.packet().unwrap().kind(), PacketKind::Reply);
    }
}

#[test]
fn a_request_of_no_length_gets_what_was_under_way_then_its_error_then_the_end() {
    for channel in &CHANNELS {
        for order in ByteOrder::BOTH {
            let lab = Lab::new(channel);
            let (mut client, mut server) = lab.pair(order);
            client.request(&requests::get_input_focus(order)).unwrap();
            client.stream.send(&[72, 3, 0, 0, 0, 0, 0, 0]).unwrap();
            server.request().unwrap();
            assert_eq!(server.request().unwrap_err().kind(), ErrorKind::UnexpectedEof);
            server.reply(0, &[], &[]).unwrap();
            drop(server);
            assert_eq!(client.packet().unwrap().kind(), PacketKind::Reply);
            let error = client.packet().unwrap();
            assert_eq!((error.kind(), error.detail(), error.sequence()), (PacketKind::Error, 16, 2));
            assert_eq!(client.stream.receive_to_end().unwrap(), b"");
            assert!(lab.next_end().contains("impossible length"));
        }
    }
}

#[test]
fn a_client_that_does_not_read_costs_bounded_memory_and_loses_nothing() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (mut client, mut server) = lab.pair(ByteOrder::Little);
        client.request(&requests::get_input_focus(ByteOrder::Little)).unwrap();
        server.request().unwrap();
        let message = server.reply_bytes(0, &[], &vec![5; 400_000]);
        std::thread::scope(|scope| {
            // Blocks until the client reads: the bridge takes no more than its buffers hold.
            scope.spawn(|| (0..20).for_each(|_| server.stream.send(&message).unwrap()));
            while !lab.bridge.take_events().is_empty() {}
            for _ in 0..20 {
                assert_eq!(client.packet().unwrap().bytes.len(), message.len());
            }
        });
    }
}

#[test]
fn descriptors_that_no_request_owns_stay_behind_and_the_bytes_pass() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (mut client, mut server) = lab.pair(ByteOrder::Little);
        let file = std::fs::File::open("/dev/null").unwrap();
        let fds = vec![std::os::fd::AsFd::as_fd(&file); 40];
        client.request_with_fds(&requests::no_operation(ByteOrder::Little), &fds).unwrap();
        assert!(server.request().unwrap().fds.is_empty());
    }
}

#[test]
fn the_most_clients_that_may_be_are_served_and_one_more_is_told_so() {
    let lab = Lab::with(&ChannelChoice::Socket, |options| options.live.clients_max = 3);
    let mut pairs: Vec<_> = (0..3).map(|_| lab.pair(ByteOrder::Little)).collect();
    let refused = lab.connect(ByteOrder::Little).unwrap_err().to_string();
    assert!(refused.contains("more than 3 clients"), "{refused}");
    pairs.pop();
    lab.ends(2);
    while lab.bridge.stats().clients > 2 {
        std::thread::yield_now();
    }
    lab.pair(ByteOrder::Little);
}

#[test]
fn options_that_change_while_it_runs_hold_for_clients_to_come_and_end_none() {
    let lab = Lab::new(&ChannelChoice::Socket);
    let (mut client, mut server) = lab.pair(ByteOrder::Little);
    let (mut other, _other_server) = lab.pair(ByteOrder::Little);
    let mut live = bridge::LiveOptions {
        host_xauthority: Some(lab.folder.0.join("host-xauthority")),
        clients_max: 2,
        host_timeout: std::time::Duration::from_millis(100),
        ..bridge::LiveOptions::default()
    };
    lab.bridge.reconfigure(live.clone()).unwrap();
    assert!(lab.connect(ByteOrder::Little).unwrap_err().to_string().contains("more than 2 clients"));
    // Those that make no sense change nothing.
    let senseless = bridge::LiveOptions { clients_max: 0, ..live.clone() };
    assert!(lab.bridge.reconfigure(senseless).is_err());
    assert!(lab.connect(ByteOrder::Little).unwrap_err().to_string().contains("more than 2 clients"));
    live.clients_max = 3;
    lab.bridge.reconfigure(live).unwrap();
    assert!(lab.connect(ByteOrder::Little).unwrap_err().to_string().contains("within 0.1 s"));
    client.request(&requests::no_operation(ByteOrder::Little)).unwrap();
    assert_eq!(server.request().unwrap().bytes, requests::no_operation(ByteOrder::Little));
    other.request(&requests::no_operation(ByteOrder::Little)).unwrap();
}

#[test]
fn a_server_that_refuses_is_heard_by_the_client_in_its_own_words() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut connection = lab.server().accept().unwrap();
                let request = connection.setup_request().unwrap();
                connection.stream.send(&setup::failed(request.order, "Go away")).unwrap();
            });
            assert_eq!(lab.connect(ByteOrder::Big).unwrap_err().to_string(), "Go away");
        });
        assert!(lab.next_end().contains("refuses it: Go away; check XAUTHORITY"));
        assert_eq!((lab.bridge.stats().clients_total, lab.bridge.stats().clients_refused), (0, 1));
    }
}
