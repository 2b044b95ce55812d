//! The client's ends of fences that a cross-domain channel carries.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::dialect::x11bridge::fence::FenceCommand;
use cross_domain::{ExportedFile, FutexNew, encode_futex_destroy, encode_futex_signal};
use rustix::event::PollFlags;
use rustix::io::Errno;
use session::FenceAction;
use shmfence::links::{Event, Message};
use shmfence::{Error, Fence, Links, Outbox, Relay, RemoteFence, Watcher, relay};
use x11_wire::message::{BAD_ALLOC, BAD_MATCH};

use super::Interest;
use super::fence_memory::{FenceLink, SharedPage};
use crate::bell::Bell;

/// What became of a client's fences, or of all clients'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FenceTotals {
    /// Fences in memory that both kernels map.
    pub shared: u64,
    /// Fences that were relayed.
    pub relayed: u64,
    /// Those of them that were relayed because there was no room left in the memory that both kernels map.
    pub crowded_out: u64,
    /// Triggers that came too late to mean anything.
    pub stale: u64,
    /// Fences that were triggered because nobody could say any more when to.
    pub given_up: u64,
}

/// The fences of one client.
#[derive(Debug)]
pub(super) struct Fences {
    links: Links,
    /// The other ends of relays whose server's pages are kept here, in memory of both kernels.
    pages: HashMap<u32, Relay<RemoteFence>>,
    outbox: Arc<Outbox>,
    bell: Arc<Bell>,
    /// Commands that the host has not taken yet, in order.
    commands: Vec<u8>,
    /// Files whose names the host has not followed yet, with the number of the SEND by which it has: a name holds as long as
    /// its file is open.
    named: Vec<(OwnedFd, u32)>,
    crowded_out: u64,
}

impl Fences {
    pub(super) fn new() -> Result<Self, Error> {
        let os = |errno| Error::Os { op: "making an eventfd", errno };
        let bell = Arc::new(Bell::new().map_err(os)?);
        let rung = Arc::clone(&bell);
        let outbox = Arc::new(Outbox::new(move || rung.ring()));
        let put = Arc::clone(&outbox);
        let links = Links::new(Watcher::shared()?, move |id, event| put.put(id, event));
        let (pages, commands, named) = (HashMap::new(), vec![], vec![]);
        Ok(Self { links, pages, outbox, bell, commands, named, crowded_out: 0 })
    }

    /// Links a client's file; else the X11 error that a server would answer. `send` is the number of the next SEND.
    pub(super) fn link(
        &mut self,
        id: u32,
        file: BorrowedFd<'_>,
        link: FenceLink,
        send: u32,
    ) -> Result<(), u8> {
        let linked = match link {
            FenceLink::Shared { device, name } => self.share(id, file, device, name, send),
            FenceLink::Relayed { device, crowded_out, page } => {
                let fence = device.map_or_else(|| Fence::open(file), |device| Fence::open_on(file, device));
                let linked = fence.and_then(|fence| self.relay(id, fence, page, send));
                linked.inspect(|()| self.crowded_out += u64::from(crowded_out))
            }
        };
        linked.map_err(|error| match error {
            Error::Os { .. } => BAD_ALLOC,
            _ => BAD_MATCH,
        })
    }

    fn share(
        &mut self,
        id: u32,
        file: BorrowedFd<'_>,
        device: u64,
        name: ExportedFile,
        send: u32,
    ) -> Result<(), Error> {
        let fence = Fence::open_on(file, device)?;
        let kept = file.try_clone_to_owned();
        let kept = kept.map_err(|error| Error::Os {
            op: "keeping the file of a fence open",
            errno: Errno::from_io_error(&error).unwrap_or(Errno::MFILE),
        })?;
        self.links.add_shared(id, fence)?;
        self.tell_name(id, name, kept, send);
        Ok(())
    }

    fn relay(&mut self, id: u32, fence: Fence, page: Option<SharedPage>, send: u32) -> Result<(), Error> {
        let triggered = self.links.add_client(id, fence)?;
        let Some(SharedPage { file, device, name }) = page else {
            self.put(FenceCommand::New { id, triggered });
            return Ok(());
        };
        let remote = RemoteFence::create_in(file.as_fd(), device, triggered);
        let remote = remote.inspect_err(|_| self.links.destroy(id))?;
        self.pages.insert(id, Relay::new(remote, triggered));
        self.tell_name(id, name, file, send);
        Ok(())
    }

    /// Has the host watch the futex in a file.
    fn tell_name(&mut self, id: u32, name: ExportedFile, file: OwnedFd, send: u32) {
        self.named.push((file, send));
        self.commands.extend(FutexNew { file: name, id }.encode());
    }

    /// Notes that the host has carried out all SENDs up to this number.
    pub(super) fn sends_done(&mut self, last: u32) {
        let is_done = |send: u32| last.wrapping_sub(send) < u32::MAX / 2;
        self.named.retain(|(_, send)| !is_done(*send));
    }

    /// Does what a client's request asks for, before it passes.
    pub(super) fn act(&mut self, action: FenceAction) {
        match action {
            FenceAction::Named { id } => self.before(id, Links::before_request),
            FenceAction::AnyNamed => {
                for id in self.links.ids() {
                    self.before(id, Links::before_request);
                }
            }
            FenceAction::Destroyed { id } => self.end(id, Links::destroy),
            FenceAction::GiveUp { id } => self.end(id, Links::give_up),
        }
    }

    /// Resets a fence on both sides; whether the server has nothing left to do.
    pub(super) fn reset(&mut self, id: u32) -> bool {
        let (is_done, answer) = match self.links.reset(id) {
            Ok((is_done, message)) => (is_done, Ok(message)),
            Err(error) => (false, Err(error)),
        };
        self.tell(id, answer);
        is_done
    }

    /// The host says that a futex was woken there: of a fence that is shared, or of the server's page of one.
    pub(super) fn wake(&mut self, id: u32) {
        if self.pages.contains_key(&id) {
            return self.look_at_page(id);
        }
        let answer = self.links.receive(id, Message::Signal);
        self.tell(id, answer);
    }

    /// Passes on to the client that the server has triggered a page.
    fn look_at_page(&mut self, id: u32) {
        let answer = match self.pages.get(&id).map(Relay::look) {
            Some(Ok(Some(message))) => self.links.receive(id, Message::Relay(message)),
            Some(Err(error)) => Err(error),
            _ => Ok(None),
        };
        self.tell(id, answer);
    }

    /// Takes what the host says of a fence that is relayed.
    pub(super) fn receive(&mut self, command: FenceCommand) {
        if let FenceCommand::Trigger { id, epoch } = command {
            let message = Message::Relay(relay::Message::Trigger { epoch });
            let answer = self.links.receive(id, message);
            self.tell(id, answer);
        }
    }

    /// The commands that the host has to take next, with what the watcher has seen; that waits while there are others, so that
    /// it is never more than one event for each fence.
    pub(super) fn commands(&mut self) -> &[u8] {
        self.bell.hear();
        if !self.commands.is_empty() {
            return &self.commands;
        }
        for (id, event) in self.outbox.take() {
            // The watcher may have spoken of a fence whose link has ended since.
            if !self.links.has(id) {
                continue;
            }
            match event {
                Event::Send(message) => self.tell(id, Ok(Some(message))),
                Event::Broken(error) => self.tell(id, Err(error)),
            }
        }
        &self.commands
    }

    /// The host has taken the first `bytes` of them.
    pub(super) fn submitted(&mut self, bytes: usize) {
        self.commands.drain(..bytes.min(self.commands.len()));
    }

    /// What to poll for until there are more commands.
    pub(super) fn interest(&self) -> Interest<'_> {
        (self.bell.descriptor(), PollFlags::IN)
    }

    /// The host is lost: nobody who sleeps on a fence must do so for ever.
    pub(super) fn give_up(&mut self) {
        self.links.give_up_all();
    }

    /// The client takes no bytes, and what the host says of fences waits behind them. Whether to call it again soon.
    pub(super) fn relieve(&mut self) -> bool {
        self.links.relieve()
    }

    pub(super) fn totals(&self) -> FenceTotals {
        let stats = self.links.stats();
        FenceTotals {
            shared: stats.shared,
            relayed: stats.relayed,
            crowded_out: self.crowded_out,
            stale: stats.stale,
            given_up: stats.given_up,
        }
    }

    fn before(&mut self, id: u32, look: impl FnOnce(&mut Links, u32) -> Result<Option<Message>, Error>) {
        let answer = look(&mut self.links, id);
        self.tell(id, answer);
    }

    fn end(&mut self, id: u32, end: impl FnOnce(&mut Links, u32)) {
        if !self.links.has(id) {
            return;
        }
        // What the server has triggered before it answered, its host may say later.
        if let Some(Ok(Some(message))) = self.pages.remove(&id).map(|page| page.look()) {
            // A client's page that is gone has nobody who waits.
            let _ = self.links.receive(id, Message::Relay(message));
        }
        end(&mut self.links, id);
        self.commands.extend(encode_futex_destroy(id));
    }

    fn tell(&mut self, id: u32, answer: Result<Option<Message>, Error>) {
        match answer {
            Ok(Some(Message::Relay(message))) if self.pages.contains_key(&id) => self.tell_page(id, message),
            Ok(Some(Message::Relay(relay::Message::Trigger { epoch }))) => {
                self.put(FenceCommand::Trigger { id, epoch });
            }
            Ok(Some(Message::Relay(relay::Message::Reset { epoch }))) => {
                self.put(FenceCommand::Reset { id, epoch });
            }
            Ok(Some(Message::Signal)) => self.commands.extend(encode_futex_signal(id)),
            Ok(None) => {}
            // The client has truncated its file, or writes what no fence holds.
            Err(_) => self.end(id, Links::give_up),
        }
    }

    /// The client's end has something to tell the server's, which is here. Who sleeps on the page is the host's to wake.
    fn tell_page(&mut self, id: u32, message: relay::Message) {
        let Some(answer) = self.pages.get_mut(&id).map(|page| page.receive(message)) else { return };
        if matches!(message, relay::Message::Trigger { .. }) {
            self.commands.extend(encode_futex_signal(id));
        }
        let answer = match answer {
            Ok(Some(answer)) => self.links.receive(id, Message::Relay(answer)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.tell(id, answer);
    }

    fn put(&mut self, command: FenceCommand) {
        self.commands.extend(command.encode());
    }
}

impl Drop for Fences {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
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
        let relayed =
            |device, crowded_out| FenceLink::Relayed { device: Some(device), crowded_out, page: None };
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
}
