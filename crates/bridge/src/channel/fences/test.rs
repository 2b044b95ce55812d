use super::*;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use shmfence::Word;
use shmfence::word::{RESET, SLEEPING, TRIGGERED};

const ID: u32 = 0x4000_0000;
const NAME: ExportedFile = ExportedFile { fs_id: 1, handle: 77 };
const HANG_GUARD: Duration = Duration::from_secs(60);

/// As if a memfd were memory of the host's, too.
fn shared(file: BorrowedFd<'_>) -> FenceLink {
    FenceLink::Shared { device: device_of(file), name: NAME }
}

fn device_of(file: BorrowedFd<'_>) -> u64 {
    rustix::fs::fstat(file).unwrap().st_dev
}

/// A fence whose server has a page in memory of both, as the client and the server have theirs.
fn paged(triggered: bool) -> (Fences, Fence, Fence) {
    let (mut fences, (client, file)) = (Fences::new().unwrap(), Fence::create(triggered).unwrap());
    let (server, page) = Fence::create(false).unwrap();
    let page = SharedPage { device: device_of(page.as_fd()), file: page, name: NAME };
    let link = FenceLink::Relayed { device: None, crowded_out: false, page: Some(page) };
    fences.link(ID, file.as_fd(), link, 8).unwrap();
    assert_eq!(commands(&mut fences), FutexNew { file: NAME, id: ID }.encode());
    (fences, client, server)
}

fn linked() -> (Fences, Fence, OwnedFd) {
    let (mut fences, (fence, file)) = (Fences::new().unwrap(), Fence::create(false).unwrap());
    fences.link(ID, file.as_fd(), shared(file.as_fd()), 8).unwrap();
    assert_eq!(commands(&mut fences), FutexNew { file: NAME, id: ID }.encode());
    (fences, fence, file)
}

/// Takes them as the host does.
fn commands(fences: &mut Fences) -> Vec<u8> {
    let commands = fences.commands().to_vec();
    fences.submitted(commands.len());
    commands
}

/// The next that there are.
fn awaited(fences: &mut Fences) -> Vec<u8> {
    let start = Instant::now();
    loop {
        let commands = commands(fences);
        if !commands.is_empty() {
            return commands;
        }
        assert!(start.elapsed() < HANG_GUARD);
        std::thread::yield_now();
    }
}

#[test]
fn a_client_that_triggers_a_shared_fence_has_its_sleepers_woken_on_the_host() {
    let (mut fences, client, _file) = linked();
    client.compare_exchange(RESET, SLEEPING).unwrap();
    client.trigger().unwrap();
    assert_eq!(awaited(&mut fences), encode_futex_signal(ID));
    let totals = fences.totals();
    assert_eq!((totals.shared, totals.relayed, totals.given_up), (1, 0, 0));
}

#[test]
fn who_looks_wakes_sleepers_of_what_the_server_has_triggered_before_the_host_says_so() {
    let (mut fences, client, _file) = linked();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            client.reset().unwrap();
            fences.act(FenceAction::Named { id: ID });
            assert!(!fences.look());
            let sleeper = scope.spawn(|| client.wait(Some(HANG_GUARD)));
            while client.value() != Ok(SLEEPING) {
                std::thread::yield_now();
            }
            // The step alone: it wakes nobody of this kernel.
            client.compare_exchange(SLEEPING, TRIGGERED).unwrap();
            while !sleeper.is_finished() {
                // A sleeper that was not asleep yet sees the step by itself.
                fences.look();
            }
            assert_eq!(sleeper.join().unwrap(), Ok(true));
        }
    });
}

#[test]
fn looks_are_for_the_last_fences_that_were_named_and_end_with_their_trigger() {
    let (mut fences, client, file) = linked();
    for id in ID + 1..=ID + 6 {
        fences.link(id, file.as_fd(), shared(file.as_fd()), 8).unwrap();
        fences.act(FenceAction::Named { id });
        fences.act(FenceAction::Named { id });
    }
    assert_eq!(fences.awaited, [ID + 3, ID + 4, ID + 5, ID + 6]);
    assert!(!fences.look());
    fences.act(FenceAction::Destroyed { id: ID + 4 });
    client.trigger().unwrap();
    assert!(fences.look());
    assert!(fences.awaited.is_empty());
    fences.act(FenceAction::Named { id: ID + 7 });
    assert!(fences.awaited.is_empty(), "nobody has linked it");
}

#[test]
fn a_page_that_the_server_has_triggered_is_passed_on_by_a_look() {
    let (mut fences, client, server) = paged(false);
    for _ in 0..100 {
        fences.act(FenceAction::Named { id: ID });
        assert!(!fences.look());
        server.trigger().unwrap();
        assert!(fences.look() && !fences.look());
        assert_eq!(client.value(), Ok(TRIGGERED));
        fences.wake(ID);
        client.reset().unwrap();
    }
    assert_eq!(commands(&mut fences), []);
}

#[test]
fn what_the_watcher_says_waits_while_the_host_takes_nothing_and_is_one_for_each_fence() {
    let (mut fences, client, file) = linked();
    fences.link(ID + 1, file.as_fd(), shared(file.as_fd()), 8).unwrap();
    for _ in 0..100 {
        client.compare_exchange(RESET, SLEEPING).unwrap();
        client.trigger().unwrap();
        client.reset().unwrap();
        assert_eq!(fences.commands(), FutexNew { file: NAME, id: ID + 1 }.encode());
    }
    client.compare_exchange(RESET, SLEEPING).unwrap();
    client.trigger().unwrap();
    fences.submitted(usize::MAX);
    assert!(awaited(&mut fences).len() <= 2 * encode_futex_signal(ID).len());
}

#[test]
fn nothing_is_said_of_a_fence_that_was_destroyed() {
    let (mut fences, client, _file) = linked();
    client.compare_exchange(RESET, SLEEPING).unwrap();
    client.trigger().unwrap();
    let start = Instant::now();
    while fences.outbox.is_empty() {
        assert!(start.elapsed() < HANG_GUARD);
        std::thread::yield_now();
    }
    fences.act(FenceAction::Destroyed { id: ID });
    fences.act(FenceAction::Destroyed { id: ID });
    fences.wake(ID);
    assert_eq!(commands(&mut fences), encode_futex_destroy(ID));
    assert_eq!(commands(&mut fences), []);
}

#[test]
fn a_file_stays_open_until_the_host_has_followed_its_name() {
    let (mut fences, _client, _file) = linked();
    fences.sends_done(7);
    assert_eq!(fences.named.len(), 1);
    fences.sends_done(9);
    assert!(fences.named.is_empty());
}

#[test]
fn who_sleeps_on_a_shared_fence_of_a_lost_host_is_let_go() {
    let (mut fences, client, _file) = linked();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| client.wait(Some(HANG_GUARD)));
        fences.give_up();
        assert_eq!(sleeper.join().unwrap(), Ok(true));
    });
    assert_eq!(fences.totals().given_up, 1);
}

#[test]
fn who_must_take_nothing_from_the_host_is_woken_and_not_triggered() {
    let (mut fences, client, _file) = linked();
    client.compare_exchange(RESET, SLEEPING).unwrap();
    assert!(fences.relieve(), "somebody sleeps");
    assert_eq!(client.value(), Ok(SLEEPING));
    // The step alone, as the server makes it.
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| client.wait(Some(HANG_GUARD)));
        client.compare_exchange(SLEEPING, TRIGGERED).unwrap();
        while !sleeper.is_finished() {
            fences.relieve();
        }
        assert_eq!(sleeper.join().unwrap(), Ok(true));
    });
    assert!(!fences.relieve());
}

#[test]
fn fences_that_are_crowded_out_are_relayed_and_counted() {
    let (mut fences, (_fence, file)) = (Fences::new().unwrap(), Fence::create(false).unwrap());
    let device = device_of(file.as_fd());
    let relayed = |device, crowded_out| FenceLink::Relayed { device: Some(device), crowded_out, page: None };
    for (id, crowded_out) in [(ID, true), (ID + 1, false)] {
        fences.link(id, file.as_fd(), relayed(device, crowded_out), 1).unwrap();
    }
    let elsewhere = relayed(device + 1, true);
    assert_eq!(fences.link(ID + 2, file.as_fd(), elsewhere, 1), Err(BAD_MATCH));
    let totals = fences.totals();
    assert_eq!((totals.shared, totals.relayed, totals.crowded_out), (0, 2, 1));
}

#[test]
fn a_page_in_memory_of_both_is_kept_like_the_clients() {
    let (mut fences, client, server) = paged(false);
    for _ in 0..100 {
        server.trigger().unwrap();
        fences.wake(ID);
        assert_eq!((client.value(), fences.commands()), (Ok(TRIGGERED), &[][..]));
        client.reset().unwrap();
        fences.act(FenceAction::Named { id: ID });
        assert_eq!((server.value(), fences.commands()), (Ok(SLEEPING), &[][..]));
    }
    client.trigger().unwrap();
    assert_eq!(awaited(&mut fences), encode_futex_signal(ID));
    assert_eq!(server.value(), Ok(TRIGGERED));
    assert!(fences.reset(ID), "in the place of the server");
    assert_eq!((client.value(), server.value()), (Ok(SLEEPING), Ok(SLEEPING)));
    let totals = fences.totals();
    assert_eq!((totals.shared, totals.relayed, totals.stale, totals.given_up), (0, 1, 0, 0));
}

#[test]
fn a_page_begins_as_the_clients() {
    for triggered in [false, true] {
        let (_fences, client, server) = paged(triggered);
        let value = if triggered { TRIGGERED } else { SLEEPING };
        assert_eq!((client.value(), server.value()), (Ok(value), Ok(value)));
    }
}

#[test]
fn what_the_server_triggered_before_it_answered_is_seen_though_its_host_has_not_said_so() {
    let (mut fences, client, server) = paged(false);
    server.trigger().unwrap();
    fences.act(FenceAction::Destroyed { id: ID });
    assert_eq!((client.value(), fences.pages.len()), (Ok(TRIGGERED), 0));
    fences.wake(ID);
    assert_eq!(commands(&mut fences), encode_futex_destroy(ID));
}

#[test]
fn a_client_that_truncates_its_file_loses_its_page() {
    let path = format!("/dev/shm/x11bridge-fences-{}", std::process::id());
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file.set_len(4).unwrap();
    let (mut fences, (server, page)) = (Fences::new().unwrap(), Fence::create(false).unwrap());
    let page = SharedPage { device: device_of(page.as_fd()), file: page, name: NAME };
    let link = FenceLink::Relayed { device: None, crowded_out: false, page: Some(page) };
    fences.link(ID, file.as_fd(), link, 8).unwrap();
    commands(&mut fences);
    file.set_len(0).unwrap();
    server.trigger().unwrap();
    fences.wake(ID);
    assert_eq!((awaited(&mut fences), fences.pages.len()), (encode_futex_destroy(ID).to_vec(), 0));
}

#[test]
fn files_are_kept_for_so_many_fences_and_their_ends_make_room() {
    let mut fences = Fences::new().unwrap();
    let ids = ID..ID + u32::try_from(FILES_MAX).unwrap() + 2;
    for id in ids.clone() {
        let (_fence, file) = Fence::create(false).unwrap();
        fences
            .link(id, file.as_fd(), FenceLink::Relayed { device: None, crowded_out: false, page: None }, 8)
            .unwrap();
        if id == ids.end - 2 {
            fences.act(FenceAction::Destroyed { id: ID });
        }
    }
    let kept: Vec<_> = ids.clone().filter(|id| fences.file(*id).is_some()).collect();
    let last_but_one = ids.end - 2;
    assert_eq!(kept, ids.filter(|id| *id != ID && *id != last_but_one).collect::<Vec<_>>());
}
