//! Byte pipes to a listener of the host, over TCP on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use bridge::{ChannelChoice, PipeAddress};
use display::xauthority::{self, Entry, Family, MAGIC_COOKIE};
use lab::Lab;
use x11bridge_testkit::{ByteOrder, FakeServer, requests};

const ORDER: ByteOrder = ByteOrder::Little;

fn tcp(port: u16) -> ChannelChoice {
    ChannelChoice::Pipe(PipeAddress::Tcp { host: "127.0.0.1".into(), port })
}

#[test]
fn without_a_listener_clients_are_told_its_address_and_what_to_do() {
    let (server, port) = FakeServer::start_tcp().unwrap();
    drop(server);
    let lab = Lab::with(&tcp(0), |options| options.channel = tcp(port));
    let why = lab.connect(ORDER).unwrap_err().to_string();
    assert!(
        why.contains(&format!("can't connect to tcp:127.0.0.1:{port}: nothing listens there; ")),
        "{why}"
    );
}

#[test]
fn the_channel_is_named_where_the_display_is_not_known() {
    let lab = Lab::new(&tcp(0));
    std::thread::scope(|scope| {
        scope.spawn(|| drop(lab.server().accept().unwrap()));
        let why = lab.connect(ORDER).unwrap_err().to_string();
        assert!(why.contains("the X server behind tcp:127.0.0.1:"), "{why}");
        assert!(why.contains("closed the connection during the set-up"), "{why}");
    });
    assert_eq!(lab.bridge.channel().0.name(), "tcp");
}

#[test]
fn extensions_that_need_descriptors_are_hidden() {
    let lab = Lab::new(&tcp(0));
    let (mut client, mut server) = lab.pair(ORDER);
    for (name, present) in [("MIT-SHM", 0), ("DRI3", 0), ("RENDER", 1)] {
        client.request(&requests::query_extension(ORDER, name)).unwrap();
        server.request().unwrap();
        server.reply_extension(Some(140)).unwrap();
        assert_eq!(client.packet().unwrap().bytes[8], present, "{name}");
    }
}

#[test]
fn the_host_gets_its_cookie_from_the_file_that_the_user_names_and_else_none() {
    let entry = |number: &str, data: &str| Entry {
        family: Family::Local,
        address: b"the host".to_vec(),
        number: number.into(),
        name: MAGIC_COOKIE.to_vec(),
        data: data.into(),
    };
    let lab = Lab::new(&tcp(0));
    let file = lab.folder.0.join("host-xauthority");
    let sent = || {
        std::thread::scope(|scope| {
            let request = scope.spawn(|| lab.server().accept_client().unwrap().1);
            lab.connect(ORDER).unwrap();
            request.join().unwrap().auth_data
        })
    };
    assert_eq!(sent(), b"");
    xauthority::write_private(&file, &[entry("0", "of display 0"), entry("1", "of display 1")]).unwrap();
    assert_eq!(sent(), b"of display 0");
}
