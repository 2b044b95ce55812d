//! A path that carries descriptors of the server's memory alone: the client's own files and devices stay on its machine.

mod support;

use session::{Action, Attach, Next, Offers, Shm, Source, Wanted};
use support::{BLOBS, MEMORY, Run, both_orders};
use x11_wire::ByteOrder;

const DRI3: u8 = 149;
const SHM: u8 = 130;
const OPEN: u8 = 1;
const BUFFERS_FROM_PIXMAP: u8 = 8;
const QUERY_BEST_SIZE: u8 = 97;
const UNASSIGNED: u8 = 126;
const BAD_ACCESS: u8 = 10;
const BAD_ALLOC: u8 = 11;
const BAD_DRAWABLE: u8 = 9;
const PUT_IMAGE: u8 = 3;
const ATTACH_FD: u8 = 6;
const WINDOW: usize = 0x10_0001;
const NAME: usize = 0x20_0001;

fn run(order: ByteOrder) -> Run {
    offering(order, Shm::Emulated)
}

fn offering(order: ByteOrder, shm: Shm) -> Run {
    let mut run = Run::offering(order, BLOBS, Offers { shm, ..Offers::default() });
    run.learn("DRI3", DRI3);
    run.learn("MIT-SHM", SHM);
    run.client_marks.clear();
    run
}

fn open(run: &Run) -> Vec<u8> {
    run.wire.request(DRI3, OPEN, &[run.wire.u32(WINDOW), run.wire.u32(7)].concat())
}

fn attach_fd(run: &Run, read_only: u8) -> Vec<u8> {
    run.wire.request(SHM, ATTACH_FD, &[&run.wire.u32(NAME)[..], &[read_only, 0, 0, 0]].concat())
}

#[test]
fn an_open_is_answered_in_its_place_with_a_device_of_the_clients_machine() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        let focus = wire.request(43, 0, &[]);
        for byte in open(&run) {
            run.client(&[byte]);
        }
        assert_eq!(
            (run.next, run.to_host.len()),
            (Next::Provide(Wanted::Device), 0),
            "nothing passes before the answer"
        );
        run.session.provide(Some(5));
        run.client(&focus);
        let best_size = wire.request(QUERY_BEST_SIZE, 0, &[wire.u32(WINDOW), wire.u32(0)].concat());
        assert_eq!(run.to_host, [best_size, focus].concat());
        run.host(&[wire.reply(3, &[9; 24]), wire.reply(4, &[1; 24])].concat());
        let expected = [wire.message(1, 1, 3, &[0; 24]), wire.reply(4, &[1; 24])].concat();
        assert_eq!(run.to_client, expected);
        assert_eq!(run.client_marks, [(0, vec![5])]);
    });
}

#[test]
fn an_open_of_no_drawable_gets_the_servers_error_as_that_of_an_open() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        run.client(&open(&run));
        run.session.provide(Some(5));
        run.client(&[]);
        run.host(&wire.error(3, BAD_DRAWABLE, QUERY_BEST_SIZE));
        assert_eq!((run.to_client[1], run.to_client[10]), (BAD_DRAWABLE, DRI3));
        assert_eq!(run.to_client[8..10], wire.u16(OPEN.into()));
        assert!(run.client_marks.is_empty());
    });
}

#[test]
fn an_open_without_a_device_is_refused_by_the_server_as_one_that_fails() {
    both_orders(|order| {
        let mut run = run(order);
        run.client(&open(&run));
        run.session.provide(None);
        run.client(&[]);
        assert_eq!(run.to_host[0], UNASSIGNED);
        run.host(&run.wire.error(3, 1, UNASSIGNED));
        assert_eq!((run.to_client[1], run.to_client[10]), (BAD_ALLOC, DRI3));
    });
}

#[test]
fn an_open_of_another_length_is_the_servers_to_refuse() {
    let mut run = run(ByteOrder::Little);
    let request = run.wire.request(DRI3, OPEN, &[0; 4]);
    run.client(&request);
    assert_eq!((run.next, &run.to_host), (Next::Client, &request));
}

#[test]
fn a_client_that_awaits_many_devices_waits_for_some_first() {
    let mut run = run(ByteOrder::Little);
    let mut given = 0;
    run.client(&open(&run).repeat(20));
    while run.next == Next::Provide(Wanted::Device) {
        given += 1;
        run.session.provide(Some(given));
        run.client(&[]);
    }
    assert_eq!((given, run.next), (16, Next::Host));
    run.host(&run.wire.reply(3, &[0; 24]));
    run.client(&[]);
    assert_eq!(run.next, Next::Provide(Wanted::Device));
}

#[test]
fn where_files_pass_an_open_does_too() {
    let mut run = Run::new(ByteOrder::Little, MEMORY);
    run.learn("DRI3", DRI3);
    let request = open(&run);
    run.client(&request);
    assert_eq!((run.next, &run.to_host), (Next::Client, &request));
}

#[test]
fn a_segment_of_the_clients_is_attached_as_memory_that_stands_for_it_and_copied() {
    both_orders(|order| {
        for shm in [Shm::Emulated, Shm::Descriptors] {
            let mut run = offering(order, shm);
            let wire = run.wire;
            run.client_with(&attach_fd(&run, 1), &[7, 8]);
            let attach = Attach { key: 1, source: Source::Descriptor, read_only: true };
            assert_eq!((run.next, run.to_host.len()), (Next::Attach(attach), 0));
            assert_eq!(
                (run.session.take_segment(), run.session.counters().descriptors_to_host),
                (Some(7), 1)
            );
            run.session.attached(Some(5));
            run.client(&[]);
            assert_eq!((&run.to_host, &run.host_marks), (&attach_fd(&run, 1), &vec![(0, vec![5])]));

            let sizes: Vec<u8> = [100, 50, 0, 10, 20, 5, 0, 0].iter().flat_map(|n| wire.u16(*n)).collect();
            let put = [&[7; 8], &sizes[..], &[24, 2, 1, 0], &wire.u32(NAME), &wire.u32(64)].concat();
            run.client(&wire.request(SHM, PUT_IMAGE, &put));
            assert_eq!(run.actions, [Action::ToServer { key: 1, range: 64 + 4000..64 + 6000 }]);
            run.actions.clear();
            run.client(&wire.request(SHM, 2, &wire.u32(NAME)));
            assert_eq!(run.actions, [Action::Forget { key: 1 }]);
        }
    });
}

#[test]
fn a_file_that_the_server_can_be_sent_itself_is_never_copied() {
    both_orders(|order| {
        let mut run = offering(order, Shm::Emulated);
        let wire = run.wire;
        run.client_with(&attach_fd(&run, 1), &[7, 8]);
        let file = run.session.take_segment().unwrap();
        run.session.attached_itself(file);
        run.client(&[]);
        assert_eq!((&run.to_host, &run.host_marks), (&attach_fd(&run, 1), &vec![(0, vec![7])]));
        let sizes: Vec<u8> = [100, 50, 0, 10, 20, 5, 0, 0].iter().flat_map(|n| wire.u16(*n)).collect();
        let put = [&[7; 8], &sizes[..], &[24, 2, 1, 0], &wire.u32(NAME), &wire.u32(64)].concat();
        run.client(&wire.request(SHM, PUT_IMAGE, &put));
        run.client(&wire.request(SHM, 2, &wire.u32(NAME)));
        assert!(run.actions.is_empty());
    });
}

#[test]
fn a_segment_that_the_server_refuses_is_forgotten_and_its_error_is_that_of_an_attach_fd() {
    let mut run = run(ByteOrder::Little);
    run.client_with(&attach_fd(&run, 0), &[7]);
    run.session.take_segment();
    run.session.attached(Some(5));
    run.client(&[]);
    let mut error = run.wire.error(3, 14, SHM);
    error[8] = ATTACH_FD;
    run.host(&error);
    assert_eq!((&run.to_client, &run.actions), (&error, &vec![Action::Forget { key: 1 }]));
}

#[test]
fn a_segment_that_cannot_be_attached_gets_the_error_that_a_server_gives() {
    both_orders(|order| {
        // Without a descriptor the server does not have to be asked, nor the caller.
        let mut none = run(order);
        none.client(&attach_fd(&none, 0));
        assert_eq!((none.next, &none.to_host), (Next::Client, &attach_fd(&none, 0)));
        assert!(none.host_marks.is_empty());

        let mut unfit = run(order);
        unfit.client_with(&attach_fd(&unfit, 0), &[7]);
        unfit.session.take_segment();
        unfit.session.attached(None);
        unfit.client(&[]);
        assert_eq!((&unfit.to_host, unfit.host_marks.len()), (&attach_fd(&unfit, 0), 0));

        let mut denied = run(order);
        denied.client_with(&attach_fd(&denied, 0), &[7]);
        denied.session.take_segment();
        denied.session.denied();
        denied.client(&[]);
        denied.host(&denied.wire.error(3, 1, UNASSIGNED));
        assert_eq!((denied.to_client[1], denied.to_client[10]), (BAD_ACCESS, SHM));
    });
}

#[test]
fn a_reply_that_lacks_a_descriptor_becomes_an_error_of_its_request() {
    both_orders(|order| {
        for (lost, planes) in [(0, 1), (1, 2), (3, 4)] {
            let mut run = run(order);
            let wire = run.wire;
            run.client(&wire.request(DRI3, BUFFERS_FROM_PIXMAP, &wire.u32(WINDOW)));
            run.client(&wire.request(DRI3, BUFFERS_FROM_PIXMAP, &wire.u32(WINDOW)));
            let reply =
                |sequence, nfd: u8| wire.message(1, nfd, sequence, &vec![9; 24 + 8 * usize::from(nfd)]);
            let arrived = (0..planes).map(|at| (at != lost).then_some(u32::from(at)));
            run.session.host_descriptors(arrived.chain([Some(77)]));
            [reply(3, planes), reply(4, 1)].concat().iter().for_each(|byte| run.host(&[*byte]));
            let mut error = wire.error(3, BAD_ALLOC, DRI3);
            error[8..10].copy_from_slice(&wire.u16(BUFFERS_FROM_PIXMAP.into()));
            assert_eq!(run.to_client, [error, reply(4, 1)].concat(), "plane {lost} of {planes}");
            let marks: Vec<_> = run.client_marks.iter().filter(|(_, fds)| !fds.is_empty()).cloned().collect();
            assert_eq!(marks, [(32, vec![77])]);
        }
    });
}
