use super::*;
use cross_domain::dialect::x11bridge::fence::FenceCommand;
use cross_domain::{Message, SEND_HEADER_BYTES, encode_futex_destroy, encode_poll, encode_send_header};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use shmfence::Word;
use std::os::fd::AsFd;
use sys::SharedMap;

const RING: Option<u8> = Some(CHANNEL_RING);

fn context() -> (Context, OwnedFd) {
    let (here, there) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    let mut opened = Some(Opened { socket: here, cookie: None });
    (Context::new(Box::new(move |_| Opening::Now(Ok(opened.take().unwrap())))), there)
}

fn init(context: &mut Context, ring_bytes: usize) -> Arc<SharedMap> {
    let (query_ring_id, _) = context.resources().create_blob(4096).unwrap();
    let (channel_ring_id, map) = context.resources().create_blob(ring_bytes).unwrap();
    let form =
        InitForm::X11Bridge { protocol_version: 1, channel_ring_bytes: u32::try_from(ring_bytes).unwrap() };
    let init = Init { query_ring_id, channel_ring_id, channel_type: channel::X11, form };
    context.submit(&init.encode().unwrap(), None).unwrap();
    map
}

fn send(data: &[u8]) -> Vec<u8> {
    let mut header = [0; SEND_HEADER_BYTES];
    encode_send_header(&mut header, data.len(), 0, &[]).unwrap();
    [&header[..], data].concat()
}

fn message(map: &SharedMap) -> (String, Vec<u8>) {
    let mut head = [0; SEND_HEADER_BYTES];
    assert!(map.read(0, &mut head));
    let message = Message::decode(&head, map.len(), Dialect::X11Bridge).unwrap();
    let mut data = vec![0; message.data_range().len()];
    assert!(map.read(message.data_range().start, &mut data));
    (format!("{message:?}"), data)
}

#[test]
fn a_poll_on_the_query_ring_does_nothing_with_and_without_a_channel() {
    let (mut context, _there) = context();
    assert_eq!(context.submit(&encode_poll(), Some(QUERY_RING)), Ok(16));
    init(&mut context, 4096);
    assert_eq!(context.submit(&encode_poll(), Some(QUERY_RING)), Ok(16));
    assert_eq!((context.is_polled(), context.next_fence()), (false, None));
}

#[test]
fn each_message_counts_the_sends_that_are_done() {
    let (mut context, there) = context();
    let map = init(&mut context, 4096);
    for sends in [3, 5] {
        context.submit(&send(b"data").repeat(sends), None).unwrap();
        rustix::io::write(&there, b"reply").unwrap();
        context.submit(&encode_poll(), RING).unwrap();
        assert_eq!(context.next_fence(), Some(Fence));
        let mut head = [0; SEND_HEADER_BYTES];
        assert!(map.read(0, &mut head));
        let done = cross_domain::dialect::x11bridge::sends_done(&head);
        assert_eq!(done, if sends == 3 { 3 } else { 8 });
    }
}

#[test]
fn bytes_pass_both_ways_with_one_poll_for_each_message() {
    let (mut context, there) = context();
    let map = init(&mut context, 8192);
    context.submit(&[send(b"request "), send(b"and another")].concat(), None).unwrap();
    let mut bytes = [0; 64];
    assert_eq!(rustix::io::read(&there, &mut bytes), Ok(19));

    rustix::io::write(&there, b"reply").unwrap();
    assert_eq!(context.next_fence(), None, "nobody has polled");
    context.submit(&encode_poll(), RING).unwrap();
    assert_eq!(context.next_fence(), Some(Fence));
    assert_eq!(message(&map).1, b"reply");
    assert_eq!(context.next_fence(), None, "one answer for one POLL");
}

#[test]
fn a_message_never_exceeds_the_ring_that_was_agreed() {
    let (mut context, there) = context();
    let map = init(&mut context, 4096);
    rustix::io::write(&there, &[7; 5000]).unwrap();
    let mut lengths = vec![];
    while lengths.iter().sum::<usize>() < 5000 {
        context.submit(&encode_poll(), RING).unwrap();
        assert_eq!(context.next_fence(), Some(Fence));
        lengths.push(message(&map).1.len());
    }
    assert_eq!(lengths, [3744, 1256]);
}

#[test]
fn a_channel_that_cannot_open_says_why() {
    let failure = OpenFailure { errno: 111, text: "no X server at :7".into() };
    let mut context = Context::new(Box::new(move |_| Opening::Now(Err(failure.clone()))));
    let map = init(&mut context, 4096);
    context.submit(&send(b"sent before it could know"), None).unwrap();
    context.submit(&encode_poll(), RING).unwrap();
    assert_eq!(context.next_fence(), Some(Fence));
    let (closed, text) = message(&map);
    assert!(closed.contains("stage: Init, errno: 111"), "{closed}");
    assert_eq!(text, b"no X server at :7");
}

#[test]
fn the_end_of_the_stream_comes_after_all_that_was_said() {
    let (mut context, there) = context();
    let map = init(&mut context, 4096);
    rustix::io::write(&there, b"last words").unwrap();
    context.submit(&send(b"never read"), None).unwrap();
    drop(there);
    context.submit(&encode_poll(), RING).unwrap();
    assert_eq!(context.next_fence(), Some(Fence));
    assert_eq!(message(&map).1, b"last words");
    context.submit(&encode_poll(), RING).unwrap();
    assert_eq!(context.next_fence(), Some(Fence));
    assert!(message(&map).0.contains("stage: Stream, errno: 0"));
}

#[test]
fn descriptors_that_do_not_all_arrive_end_the_stream() {
    let (mut context, there) = context();
    let map = init(&mut context, 4096);
    // Credentials take room that was meant for descriptors.
    rustix::net::sockopt::set_socket_passcred(context.socket().unwrap(), true).unwrap();
    let rights = [there.as_fd(); sys::socket::DESCRIPTORS_MAX];
    sys::socket::send(&there, &[std::io::IoSlice::new(b"too many")], &rights).unwrap();
    context.submit(&encode_poll(), RING).unwrap();
    assert_eq!(context.next_fence(), Some(Fence));
    let closed = message(&map).0;
    assert!(closed.contains("stage: Stream, errno: 24"), "{closed}");
}

#[test]
fn what_the_socket_does_not_take_is_submitted_again_and_arrives_once() {
    let (mut context, there) = context();
    init(&mut context, 4096);
    let data: Vec<u8> = (0..=250).cycle().take(60_000).collect();
    let submission = [send(&data), send(&data)].concat();
    let (mut submitted, mut received) = (vec![], vec![]);
    let mut buffer = vec![0; 100_000];
    for _ in 0..10 {
        let mut rest = &submission[..];
        while !rest.is_empty() {
            let done = context.submit(rest, None).unwrap();
            rest = &rest[done..];
            let waits = context.interest().is_some_and(|(_, flags)| flags == PollFlags::OUT);
            assert_eq!(waits, !rest.is_empty());
            if waits {
                let read = rustix::io::read(&there, &mut buffer).unwrap();
                received.extend_from_slice(&buffer[..read]);
            }
        }
        submitted.extend([&data[..], &data].concat());
    }
    context.submit(&send(b""), None).unwrap();
    loop {
        match rustix::io::read(&there, &mut buffer).unwrap() {
            0 => break,
            read => received.extend_from_slice(&buffer[..read]),
        }
    }
    assert!(received == submitted, "{} of {} bytes", received.len(), submitted.len());
}

#[test]
fn commands_out_of_place_are_refused() {
    let (mut context, _there) = context();
    let out_of_place = |error| matches!(error, Err(SubmitError::OutOfPlace { .. }));
    assert_eq!(context.submit(&encode_poll(), Some(QUERY_RING)), Ok(16), "a POLL for nothing");
    assert!(out_of_place(context.submit(&encode_poll(), RING)), "POLL before INIT");
    assert!(out_of_place(context.submit(&send(b"x"), None)), "SEND before INIT");
    init(&mut context, 4096);
    assert!(out_of_place(context.submit(&encode_poll(), None)), "POLL without a fence");
    context.submit(&encode_poll(), RING).unwrap();
    assert!(out_of_place(context.submit(&encode_poll(), RING)), "a second POLL");
    let again =
        Init { query_ring_id: 1, channel_ring_id: 2, channel_type: channel::X11, form: InitForm::Bare };
    assert!(out_of_place(context.submit(&again.encode().unwrap(), None)), "a second INIT");
}

#[test]
fn rings_that_are_none_and_bytes_that_are_no_commands_are_refused() {
    for (id, ring_bytes) in [(9, 4096), (1, 8192)] {
        let (mut context, _there) = context();
        context.resources().create_blob(4096).unwrap();
        let form = InitForm::X11Bridge { protocol_version: 1, channel_ring_bytes: ring_bytes };
        let init = Init { query_ring_id: id, channel_ring_id: id, channel_type: channel::X11, form };
        let refused = context.submit(&init.encode().unwrap(), None);
        assert_eq!(refused, Err(SubmitError::NoSuchRing { id }));
    }
    let (mut context, _there) = context();
    assert!(matches!(context.submit(&[0xff; 100], None), Err(SubmitError::Command(_))));
}

const FENCE: u32 = 0x4000_0007;

/// A context that relays fences.
fn relaying() -> (Context, OwnedFd, Arc<SharedMap>) {
    let (mut context, there) = context();
    let map = init(&mut context, 4096);
    context.relay_fences(Arc::new(|| ()));
    (context, there, map)
}

fn adopt(context: &mut Context, resource: u32) -> Result<usize, SubmitError> {
    context.submit(&FenceCommand::Adopt { id: FENCE, resource }.encode(), None)
}

fn next_message(context: &mut Context, map: &SharedMap) -> String {
    context.submit(&encode_poll(), RING).unwrap();
    assert_eq!(context.next_fence(), Some(Fence));
    message(map).0
}

const TRIGGERED: &str = "Fence(Trigger { id: 1073741831, epoch: 0 })";

#[test]
fn a_page_that_the_server_has_made_is_relayed_once_it_is_adopted() {
    for triggered in [false, true] {
        let (mut context, there, map) = relaying();
        let (server, file) = shmfence::Fence::create(triggered).unwrap();
        let resource = context.resources().import(file).unwrap();
        adopt(&mut context, resource).unwrap();
        context.resources().release(resource);
        server.trigger().unwrap();
        // What the server says afterwards comes afterwards.
        rustix::io::write(&there, b"reply").unwrap();
        assert_eq!(next_message(&mut context, &map), TRIGGERED);
        assert!(next_message(&mut context, &map).starts_with("Receive"));
        context.submit(&FenceCommand::Reset { id: FENCE, epoch: 1 }.encode(), None).unwrap();
        assert_eq!(server.is(shmfence::word::TRIGGERED), Ok(false));
        assert!(matches!(adopt(&mut context, resource), Err(SubmitError::NoSuchItem { id: FENCE })));
    }
}

#[test]
fn what_holds_no_fence_that_could_be_watched_is_said_to_be_triggered() {
    let path = std::env::temp_dir().join(format!("x11bridge-adopted-{}", std::process::id()));
    std::fs::write(&path, [0; 4096]).unwrap();
    let on_disk = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let (pipe, _other) = rustix::pipe::pipe().unwrap();
    for file in [None, Some(on_disk.into()), Some(pipe)] {
        let (mut context, _there, map) = relaying();
        let resource = file.map_or(77, |file| context.resources().import(file).unwrap());
        adopt(&mut context, resource).unwrap();
        assert_eq!(next_message(&mut context, &map), TRIGGERED);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_fence_that_could_not_be_watched_is_triggered_again_after_each_reset_and_can_be_destroyed() {
    let (mut context, _there, map) = relaying();
    adopt(&mut context, 77).unwrap();
    assert_eq!(next_message(&mut context, &map), TRIGGERED);
    for epoch in 1..=3 {
        context.submit(&FenceCommand::Reset { id: FENCE, epoch }.encode(), None).unwrap();
        assert_eq!(
            next_message(&mut context, &map),
            TRIGGERED.replace("epoch: 0", &format!("epoch: {epoch}"))
        );
    }
    context.submit(&encode_futex_destroy(FENCE), None).unwrap();
    assert_eq!(context.end(), None, "the channel goes on");
    let again = context.submit(&encode_futex_destroy(FENCE), None);
    assert_eq!(again, Err(SubmitError::NoSuchItem { id: FENCE }));
}

#[test]
fn a_page_that_the_server_spoils_is_triggered_for_the_guest_from_then_on() {
    let (mut context, _there, map) = relaying();
    let (server, file) = shmfence::Fence::create(false).unwrap();
    let page = SharedMap::map(file.as_fd(), 4096).unwrap();
    let resource = context.resources().import(file).unwrap();
    adopt(&mut context, resource).unwrap();
    context.submit(&FenceCommand::Reset { id: FENCE, epoch: 1 }.encode(), None).unwrap();
    assert!(page.write(0, &77_u32.to_ne_bytes()));
    // What sleeps on it, which is its watcher, has to wake up to see that.
    server.wake(shmfence::word::ALL).unwrap();
    while !context.has_news() {
        std::thread::yield_now();
    }
    assert_eq!(next_message(&mut context, &map), TRIGGERED.replace("epoch: 0", "epoch: 1"));
    context.submit(&FenceCommand::Reset { id: FENCE, epoch: 2 }.encode(), None).unwrap();
    assert_eq!(next_message(&mut context, &map), TRIGGERED.replace("epoch: 0", "epoch: 2"));
    context.submit(&encode_futex_destroy(FENCE), None).unwrap();
}

/// Makes and ends fences, each of which has something to say, and takes none of that between; how many until it is stopped.
fn churn(context: &mut Context, ids: std::ops::Range<u32>) -> usize {
    let steps = |id| {
        let new = FenceCommand::Adopt { id, resource: 77 }.encode();
        let resets = (1..=3).flat_map(move |epoch| FenceCommand::Reset { id, epoch }.encode());
        [new.into_iter().chain(resets).collect(), encode_futex_destroy(id).to_vec()]
    };
    ids.flat_map(steps).take_while(|step| context.submit(step, None).is_ok()).count() / 2
}

#[test]
fn a_guest_that_makes_fences_without_end_and_takes_nothing_is_stopped() {
    let most = u32::try_from(4 * crate::resources::FUTEXES_MAX).unwrap();
    let (mut context, _there, _map) = relaying();
    assert_eq!(churn(&mut context, FENCE..FENCE + 2 * most), most as usize);
    let (mut context, _there, _map) = relaying();
    for from in [FENCE, FENCE + most] {
        assert_eq!(churn(&mut context, from..from + most), most as usize);
        if !context.is_polled() {
            context.submit(&encode_poll(), RING).unwrap();
        }
        assert_eq!(context.next_fence(), None, "what has ended has nothing to say");
    }
}
