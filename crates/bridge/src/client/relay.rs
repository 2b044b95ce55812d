//! Both streams of a connected client.
//!
//! One step moves what it can in each direction; when nothing moves, the thread looks again for a while, then sleeps
//! until a socket is ready. At most one buffer is under way in each direction: who does not read is not read from.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use session::{Attach, Handshake, Next, Policy, Session, Source, Trace, Traced, Violation, Wanted};
use sys::peer::Peer;
use sys::socket::{self, Outcome};
use x11_wire::message::BAD_MATCH;
use x11_wire::setup::REPLY_HEADER;

use super::End;
use super::set_up::{Accepted, poll_fd};
use crate::bridge::{Live, Shared};
use crate::channel::{Channel, ChannelError};
use crate::downlink::Downlink;
use crate::events::{Event, Level};
use crate::live::LiveOptions;
use crate::roster::{Entry, Listed, Numbers};
use crate::segments::{Denied, Place, Segments};
use crate::spin::Spinner;
use crate::stats::Totals;
use crate::tracing::{self, Looks};
use crate::uplink::Uplink;
use crate::vitals::Vitals;

/// When one side has gone, the other may take this long between two steps of taking what was said to it.
const LINGER_MAX: Duration = Duration::from_secs(10);
/// The same when the bridge stops, or is asked to close the client.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A client that has said and heard nothing for this long gives its buffers' memory back.
const REST_AFTER: Duration = Duration::from_millis(200);
/// First byte of a set-up reply that lets the client in.
const SET_UP_SUCCESS: u8 = 1;

/// How poll says that the server has closed the connection: over TCP, that it says no more.
const GONE: PollFlags = PollFlags::HUP.union(PollFlags::RDHUP).union(PollFlags::ERR);

const HUNG_UP: &str = "the client closed its connection";
const ENDED: &str = "the bridge was asked to close it";
const NO_ROOM: &str = "the bridge has too many open files to take another descriptor of the client or for it";
const SERVER_GONE: &str = "the X server closed the connection";
const STOPPED: &str = "the bridge was stopped";
const CROWDED_OUT: &str = "fences are relayed, as /dev/shm has no more memory that can be shared with the host; a larger window or fewer files in it would speed them up";

/// A connected client.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of one of four half-streams, and they combine freely"
)]
pub(crate) struct Relay<'a> {
    shared: &'a Arc<Shared>,
    live: Arc<LiveOptions>,
    /// What it may do now, and how often that has changed in the bridge's life.
    policy: Option<Arc<Policy>>,
    renewals: u64,
    client: u64,
    socket: Arc<OwnedFd>,
    channel: Box<dyn Channel>,
    /// Keeps the server from starting anew until it has let the client in.
    forerunner: Option<Box<dyn Channel>>,
    session: Session<OwnedFd>,
    order: x11_wire::ByteOrder,
    segments: Segments,
    uplink: Uplink,
    downlink: Downlink,
    /// What the client's stream waits for.
    next: Next,
    /// No more is read from the client; the host has been told, or will be once all is sent.
    client_done: bool,
    /// The host has been told.
    finished: bool,
    /// The client takes no more bytes.
    client_gone: bool,
    /// Bytes that pass beside the downlink wait for the client.
    client_full: bool,
    /// Nothing more comes from the host.
    host_over: bool,
    /// The host has answered the set-up.
    heard: bool,
    /// The host has answered it with a refusal.
    refusal: Option<String>,
    stopping: bool,
    /// The client's ids are its own until the server closes the connection, and that is to be noticed at once.
    ids_watched: bool,
    /// Nothing has happened for a while: the next sleep has no end of its own.
    at_rest: bool,
    deadline: Option<Instant>,
    reason: Option<String>,
    totals: Totals,
    told: Totals,
    vitals: Vitals,
    /// Its place in the roster, once the host has let it in.
    listed: Option<Listed<'a>>,
    /// The last question of somebody who looks that it has answered.
    answered: u64,
    /// Who looks at every message.
    looks: Option<Looks>,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        client: u64,
        socket: OwnedFd,
        accepted: Accepted,
    ) -> Result<Self, Errno> {
        let Accepted { order, channel, host_setup, descriptors, deadline, live, renewals, atoms, forerunner } =
            accepted;
        let mut session = Session::new(order, channel.carries(), live.offers(shared.fences));
        session.stand_on(&shared.side);
        if let Some(policy) = &live.policy {
            session.obey(policy, atoms);
        }
        session.client_descriptors(descriptors);
        let mut uplink = Uplink::new()?;
        uplink.put(&host_setup);
        Ok(Self {
            shared,
            policy: live.policy.clone(),
            renewals,
            live,
            client,
            socket: Arc::new(socket),
            channel,
            forerunner,
            session,
            order,
            segments: Segments::default(),
            uplink,
            downlink: Downlink::new()?,
            next: Next::Client,
            client_done: false,
            finished: false,
            client_gone: false,
            client_full: false,
            host_over: false,
            heard: false,
            refusal: None,
            stopping: false,
            ids_watched: true,
            at_rest: false,
            deadline: Some(deadline),
            reason: None,
            totals: Totals::default(),
            told: Totals::default(),
            vitals: Vitals::default(),
            listed: None,
            answered: 0,
            looks: None,
        })
    }

    /// Relays until both streams have ended.
    pub(crate) fn run(mut self) -> End {
        let mut spinner = Spinner::new(self.live.spin);
        while !self.is_over() {
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.expire();
                continue;
            }
            // Relaxed: nothing else is read on the strength of it.
            if !self.stopping && self.shared.stopped.load(Relaxed) {
                self.stopping = true;
                self.deadline = Some(Instant::now() + DRAIN_MAX);
            }
            if self.answered != self.shared.roster.question() {
                self.tell();
                self.write_down();
            }
            // Both, whatever the first says: neither direction may starve the other.
            if self.step_up() | self.step_down() {
                self.look_for_end();
                spinner.found();
                self.linger_on();
            } else if spinner.look_again() {
                if self.channel.look_at_fences() {
                    spinner.found();
                }
            } else {
                self.tell();
                self.note_sleep(true);
                spinner.sleep(|| self.sleep());
                self.note_sleep(false);
            }
        }
        drop(spinner);
        // Before the channel is closed, so that the server has not given the client's ids to another yet.
        self.session.leave();
        // In this order: a client that is woken by a fence of which nobody knows any more must find the connection closed, or it
        // would reset the fence and sleep on it once more.
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Both);
        self.channel.give_up_fences();
        self.tell();
        let reason = self.reason.take().unwrap_or_else(|| SERVER_GONE.into());
        self.trace_end(&reason);
        match self.refusal.take() {
            Some(refusal) => End::Refused(refusal),
            None if self.heard => End::Closed(reason, self.totals),
            None if reason == HUNG_UP => End::Left,
            None => End::Refused(reason),
        }
    }

    fn is_over(&self) -> bool {
        self.host_over && (self.client_gone || !(self.downlink.is_ready() || self.client_full))
    }

    /// One side has gone, and the rest is on its way: it gets more time with every step that it makes.
    fn linger_on(&mut self) {
        if self.deadline.is_some() && self.heard && !self.is_ending() && !self.host_over {
            self.deadline = Some(Instant::now() + LINGER_MAX);
        }
    }

    /// Client → host: sends what is ready, then reads more. Whether anything moved.
    fn step_up(&mut self) -> bool {
        if self.host_over {
            return false;
        }
        if self.uplink.is_ready() {
            return self.send_up();
        }
        if self.finished {
            return self.leave();
        }
        if self.client_done && self.next != Next::Host {
            self.session.leave();
            self.finished = self.channel.finish();
            return self.finished;
        }
        match self.next {
            Next::Client => self.read_client(),
            // An answer of the host sets this back to `Client`.
            Next::Host => false,
            Next::Attach(_) | Next::Provide(_) | Next::Link(_) | Next::ResetFence(_) => {
                self.look();
                true
            }
            Next::Nothing(violation) => {
                self.end_client(&violation.to_string());
                true
            }
        }
    }

    /// Ends the channel when all is said and the client listens no more, where nothing else ends the client's stream.
    fn leave(&mut self) -> bool {
        let mut polled = [PollFd::new(&self.socket, PollFlags::empty())];
        let gone = !self.channel.half_closes()
            && rustix::event::poll(&mut polled, Some(&Timespec::default())) == Ok(1);
        if gone {
            self.host_over = true;
            self.client_gone = true;
        }
        gone
    }

    fn send_up(&mut self) -> bool {
        match self.channel.send(&mut self.uplink) {
            Ok(sent) => {
                self.totals.bytes_to_host += sent as u64;
                sent > 0 || !self.uplink.is_ready()
            }
            Err(error) => {
                self.end_host(&error);
                true
            }
        }
    }

    fn read_client(&mut self) -> bool {
        let mut descriptors = vec![];
        let socket = &self.socket;
        let mut outcome = Ok(Outcome::WouldBlock);
        self.uplink.fill(|room| {
            outcome = socket::receive(socket, room, &mut descriptors);
            if let Ok(Outcome::Bytes(bytes)) = outcome { bytes } else { 0 }
        });
        self.session.client_descriptors(descriptors);
        match outcome {
            Ok(Outcome::Bytes(_)) => self.look(),
            Ok(Outcome::WouldBlock) if self.stopping => self.end_client(STOPPED),
            Ok(Outcome::WouldBlock) => return false,
            Err(Errno::MFILE) => self.end_client(NO_ROOM),
            Ok(Outcome::Closed) | Err(_) => self.end_client(self.why_hung_up()),
        }
        true
    }

    fn why_hung_up(&self) -> &'static str {
        if self.was_ended() { ENDED } else { HUNG_UP }
    }

    /// Somebody who looks has asked for its end.
    fn was_ended(&self) -> bool {
        self.listed.as_ref().is_some_and(|listed| listed.entry.ended.load(Relaxed))
    }

    fn is_ending(&self) -> bool {
        self.stopping || self.was_ended()
    }

    /// Lets the session look at what was read, and sends what it passes.
    fn look(&mut self) {
        if self.renewals != self.shared.renewals() {
            self.renew();
        }
        self.time_trace();
        self.next = self.uplink.look(&mut self.session);
        loop {
            match self.next {
                Next::Attach(attach) => {
                    self.act();
                    self.attach(attach);
                }
                Next::Provide(Wanted::Device) => self.session.provide(self.channel.device()),
                Next::Provide(Wanted::FenceFile(id)) => self.session.provide(self.channel.fence_file(id)),
                Next::Link(id) => {
                    self.act();
                    let file = self.session.fence_file().map(AsFd::as_fd);
                    let linked = file.map_or(Err(BAD_MATCH), |file| self.channel.link_fence(id, file));
                    self.session.linked(linked);
                }
                Next::ResetFence(id) => {
                    self.act();
                    let is_done = self.channel.reset_fence(id);
                    self.session.fence_reset(is_done);
                }
                Next::Client | Next::Host | Next::Nothing(_) => break,
            }
            self.next = self.uplink.look(&mut self.session);
        }
        self.act();
        self.tell_trace();
        self.vitals.asked(self.session.awaiting());
        if self.uplink.is_ready() {
            self.send_up();
        }
    }

    /// Takes on the policy that has come since.
    fn renew(&mut self) {
        self.tell();
        let Live { renewals, renewal, .. } = self.shared.latest();
        self.renewals = renewals;
        if let Some(renewal) = renewal {
            self.policy = renewal.put(&mut self.session);
        }
    }

    fn attach(&mut self, attach: Attach) {
        let sent = match attach.source {
            Source::Number(_) => None,
            Source::Descriptor => self.session.take_segment(),
        };
        let sent = match sent {
            Some(file) if self.channel.shares(file.as_fd()) => return self.session.attached_itself(file),
            sent => sent,
        };
        let files = self.channel.carries().files;
        let memory = |bytes| {
            if files {
                return Place::Files;
            }
            self.channel.memory(bytes).map_or(Place::Nowhere, |(theirs, map)| Place::Memory(theirs, map))
        };
        let file = match (attach.source, sent) {
            (Source::Number(number), _) => self.segments.attach(&self.socket, attach, number, memory),
            (Source::Descriptor, Some(file)) => match self.segments.attach_file(file, attach, memory) {
                Ok(file) => file,
                Err(Denied) => return self.session.denied(),
            },
            (Source::Descriptor, None) => None,
        };
        self.session.attached(file);
    }

    /// Carries out what the session asks for, before anything goes on that it let through.
    fn act(&mut self) {
        for action in self.session.take_actions() {
            self.segments.carry_out(&action);
        }
        for action in self.session.take_fence_actions() {
            self.channel.fence(action);
        }
    }

    /// Host → client: sends what is ready, then receives more. Whether anything moved.
    fn step_down(&mut self) -> bool {
        if self.downlink.is_ready() && !self.client_gone {
            // The client's own triggers go on while it reads nothing.
            if !self.host_over
                && let Err(error) = self.channel.tell_of_fences()
            {
                self.end_host(&error);
            }
            return self.send_down();
        }
        if self.host_over {
            return false;
        }
        let passable = self.session.host_passable();
        if passable > 0
            && self.downlink.is_empty()
            && !self.client_gone
            && let Some(outcome) = self.channel.pass(self.socket.as_fd(), passable)
        {
            return self.passed(outcome);
        }
        let mut descriptors = vec![];
        let outcome = self.channel.receive(&mut self.downlink, &mut descriptors);
        self.session.host_descriptors(descriptors);
        match outcome {
            Ok(Outcome::Bytes(bytes)) => self.receive_down(bytes),
            Ok(Outcome::WouldBlock) => return false,
            Ok(Outcome::Closed) => self.hang_up(),
            Err(error) => self.end_host(&error),
        }
        true
    }

    fn receive_down(&mut self, bytes: usize) {
        if !self.heard {
            self.hear(bytes);
        }
        self.time_trace();
        if let Err(violation) = self.downlink.filled(bytes, &mut self.session) {
            self.end_host(&ChannelError { why: violation.to_string() });
            return;
        }
        self.tell_trace();
        self.vitals.answered(self.session.awaiting());
        self.act();
        if !self.downlink.replace_pages(|id, theirs| self.channel.adopt_fence(id, theirs)) {
            self.end_client(NO_ROOM);
        }
        if self.client_gone {
            self.downlink.discard();
        } else if self.downlink.is_ready() {
            self.send_down();
        }
        if self.next == Next::Host {
            self.look();
        }
    }

    fn send_down(&mut self) -> bool {
        let outcome = self.downlink.send(self.socket.as_fd());
        self.count_down(outcome) > 0
    }

    /// Bytes went from the channel straight to the client.
    fn passed(&mut self, outcome: Result<Outcome, Errno>) -> bool {
        self.client_full = outcome == Ok(Outcome::WouldBlock);
        let bytes = self.count_down(outcome);
        self.session.host_passed(bytes);
        self.tell_trace();
        bytes > 0
    }

    fn count_down(&mut self, outcome: Result<Outcome, Errno>) -> u64 {
        match outcome {
            Ok(Outcome::Bytes(bytes)) => {
                self.totals.bytes_to_client += bytes as u64;
                bytes as u64
            }
            Ok(Outcome::WouldBlock) => 0,
            Ok(Outcome::Closed) | Err(_) => {
                // What it had sent may still be unread: it goes to the host all the same.
                self.client_gone = true;
                self.client_full = false;
                self.downlink.discard();
                0
            }
        }
    }

    /// The first bytes of the host: the set-up is answered, one way or the other.
    fn hear(&mut self, bytes: usize) {
        self.heard = true;
        self.forerunner = None;
        // One that has gone meanwhile waits for nothing but the server's end, and a bridge that stops not even for that.
        if !self.is_ending() {
            self.deadline = self.client_done.then(|| Instant::now() + LINGER_MAX);
        }
        let answer = self.downlink.room().get(..bytes).unwrap_or_default();
        if answer.first() != Some(&SET_UP_SUCCESS) {
            let words = answer.get(REPLY_HEADER..).unwrap_or_default();
            let words = String::from_utf8_lossy(words).replace(['\0', '\n'], " ");
            let route = &self.shared.route;
            self.refusal = Some(format!("{route} refuses it: {}; check XAUTHORITY", words.trim()));
            return;
        }
        let (pid, program) = peer(&self.socket);
        let entry = Entry::new(pid, program.clone(), Arc::clone(&self.socket));
        self.listed = Some(self.shared.roster.add(self.client, Arc::new(entry)));
        self.shared.meter.clients_total.fetch_add(1, Relaxed);
        self.shared.events.push(Event::ClientConnected { client: self.client, pid, program });
    }

    /// Nothing more is read from the client. The host gets what was read, and has some time to answer it.
    fn end_client(&mut self, reason: &str) {
        self.client_done = true;
        // What waits for an answer of the host has not been looked at, and must not pass without.
        if self.next == Next::Client {
            self.uplink.give_up_holding();
        }
        self.reason.get_or_insert_with(|| reason.to_owned());
        let limit = if self.is_ending() { DRAIN_MAX } else { LINGER_MAX };
        self.deadline.get_or_insert_with(|| Instant::now() + limit);
    }

    /// The host's stream has ended in order. The client gets all that was said, and what the bridge has to add.
    fn hang_up(&mut self) {
        self.session.leave();
        if !self.heard {
            let why = format!("{} closed the connection during the set-up", self.shared.route);
            return self.end_host(&ChannelError { why });
        }
        self.host_over = true;
        self.reason.get_or_insert_with(|| SERVER_GONE.to_owned());
        self.downlink.give_up_holding();
        if let Next::Nothing(violation) = self.next {
            self.add_last_error(violation);
        }
        self.deadline.get_or_insert_with(|| Instant::now() + LINGER_MAX);
    }

    fn add_last_error(&mut self, violation: Violation) {
        if let Some(error) = self.session.last_error(violation) {
            self.downlink.append(&error);
        }
    }

    /// The way to the host broke, or never was. A client that waits for its set-up is told why.
    fn end_host(&mut self, error: &ChannelError) {
        self.host_over = true;
        self.reason.get_or_insert_with(|| error.why.clone());
        self.downlink.give_up_holding();
        if !self.heard {
            self.downlink.append(&Handshake::refusal(&[self.order.first_byte()], &error.why));
        }
        self.deadline = Some(Instant::now() + DRAIN_MAX);
    }

    /// Time is up: for the host to answer the set-up, or for the rest to be delivered.
    fn expire(&mut self) {
        if self.heard || self.host_over {
            self.host_over = true;
            self.client_gone = true;
            return;
        }
        let (route, seconds) = (&self.shared.route, self.live.host_timeout.as_secs_f32());
        let why = format!("{route} did not answer within {seconds} s");
        self.end_host(&ChannelError { why });
    }

    /// Sleeps until something is ready, a deadline has come, or the bridge stops.
    fn sleep(&mut self) {
        let reading = !self.client_done && self.next == Next::Client && !self.uplink.is_ready();
        let sending = !self.client_gone && (self.downlink.is_ready() || self.client_full);
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, reading && !self.host_over);
        flags.set(PollFlags::OUT, sending);
        let watch_at = self.channel.watch_at().filter(|_| !self.host_over);
        let host = self.channel.interest(!sending).map(|interest| interest.filter(|_| !self.host_over));
        let stop = if self.stopping { PollFlags::empty() } else { PollFlags::IN };
        // Where nothing is wanted of a side, its place is taken by one that stays silent: poll would report a hang-up
        // over and over.
        let silent = || PollFd::new(&self.shared.stop, PollFlags::empty());
        let [first, second, third, fourth] =
            host.each_ref().map(|interest| interest.as_ref().and_then(|(fd, flags)| poll_fd(fd, *flags)));
        let awaits_its_end = self.finished && !self.channel.half_closes() && !self.client_gone;
        let client = poll_fd(&self.socket, flags);
        let client = client.or_else(|| awaits_its_end.then(|| PollFd::new(&self.socket, flags)));
        let end = self.watched_end();
        let mut polled = [
            end.as_ref().map_or_else(silent, |end| PollFd::new(end, PollFlags::RDHUP)),
            PollFd::new(&self.shared.stop, stop),
            client.unwrap_or_else(silent),
            first.unwrap_or_else(silent),
            second.unwrap_or_else(silent),
            third.unwrap_or_else(silent),
            fourth.unwrap_or_else(silent),
        ];
        let until = self.deadline.into_iter().chain(watch_at).min();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let rest = (!self.at_rest && self.deadline.is_none()).then_some(REST_AFTER);
        let timeout = left.into_iter().chain(rest).min().and_then(|left| Timespec::try_from(left).ok());
        let ready = rustix::event::poll(&mut polled, timeout.as_ref());
        let [end, ..] = &polled;
        if end.revents().intersects(GONE) {
            self.give_ids_up();
        }
        self.at_rest = ready == Ok(0);
        if self.at_rest {
            if sending && self.channel.relieve_fences() {
                self.at_rest = false;
            }
            self.release();
            self.watch(watch_at);
        }
    }

    /// What tells at once that the server has closed the connection, where that matters. A client that reads nothing keeps
    /// the host's stream from its end, but not the server from giving its ids away.
    fn watched_end(&self) -> Option<BorrowedFd<'_>> {
        self.channel.end().filter(|_| self.ids_watched && !self.host_over)
    }

    /// Looks whether the server has closed the connection while the client reads too little to hear it: one that keeps
    /// sending never sleeps.
    fn look_for_end(&mut self) {
        // While there has been no policy, nobody asks whose an id is.
        let asked = self.policy.is_some() || self.renewals > 0;
        if !asked || !(self.downlink.is_ready() || self.client_full) {
            return;
        }
        let Some(end) = self.watched_end() else { return };
        let mut polled = [PollFd::new(&end, PollFlags::RDHUP)];
        let _ = rustix::event::poll(&mut polled, Some(&Timespec::default()));
        let [end] = &polled;
        if end.revents().intersects(GONE) {
            self.give_ids_up();
        }
    }

    fn give_ids_up(&mut self) {
        self.ids_watched = false;
        self.session.leave();
    }

    /// Looks after a host that may have gone without a word, when it is time to.
    fn watch(&mut self, at: Option<Instant>) {
        if at.is_some_and(|at| at <= Instant::now())
            && let Err(error) = self.channel.watch()
        {
            self.end_host(&error);
        }
    }

    /// Gives back the memory of buffers that nothing is in; the next bytes take new pages.
    fn release(&mut self) {
        self.channel.release();
        if self.uplink.is_empty() {
            self.uplink.release();
        }
        if self.downlink.is_empty() {
            self.downlink.release();
        }
    }

    fn tell(&mut self) {
        if let Some(policy) = &self.policy {
            let (events, client) = (&self.shared.events, self.client);
            self.session.take_hits(|label, times| {
                let rule = policy.label(label);
                events.log(Level::Info, format!("client {client}: policy: {rule} ({times} times)"));
            });
        }
        self.totals.session = self.session.counters();
        self.totals.fences = self.channel.fence_totals();
        if self.told != self.totals {
            if self.shared.meter.is_newly_crowded(&self.totals) {
                self.shared.events.log(Level::Warn, CROWDED_OUT.to_owned());
            }
            self.shared.meter.tell(&mut self.told, self.totals);
            self.write_down();
        }
    }

    /// Writes its numbers down for those who look.
    fn write_down(&mut self) {
        self.answered = self.shared.roster.question();
        self.see_who_looks();
        let Some(listed) = &self.listed else { return };
        let awaiting = self.session.awaiting();
        self.vitals.note_oldest(awaiting);
        let numbers = Numbers {
            totals: Totals { session: self.session.counters(), ..self.totals },
            awaited: awaiting.map_or(0, |awaiting| awaiting.count as u64),
            oldest: self.vitals.oldest,
            queued_to_host: self.uplink.ready_bytes() as u64,
            queued_to_client: self.downlink.ready_bytes() as u64,
            round_trips: self.vitals.round_trips,
        };
        listed.entry.write(self.answered, &numbers);
    }

    /// Begins to tell of every message, or ends that.
    fn see_who_looks(&mut self) {
        let looks = self.shared.tracing.looks_at(self.client);
        if looks == self.looks {
            return;
        }
        self.looks = looks;
        // One that is about to go has no name any more.
        let known = self.listed.as_ref().map(|listed| listed.entry.program.clone());
        let program = known.unwrap_or_else(|| peer(&self.socket).1).unwrap_or_default();
        let trace = looks.map(|_| Trace::new(self.client, self.order, tracing::now_micros()));
        self.session.follow(trace, program.as_bytes());
        self.tell_trace();
    }

    fn time_trace(&mut self) {
        if let Some(trace) = self.session.trace() {
            trace.set_time(tracing::now_micros());
        }
    }

    fn tell_trace(&mut self) {
        if let (Some(looks), Some(trace)) = (self.looks, self.session.trace()) {
            let (records, count) = trace.take();
            if count > 0 {
                self.shared.tracing.push(looks, records, count);
            }
        }
    }

    fn trace_end(&mut self, reason: &str) {
        self.time_trace();
        if let Some(trace) = self.session.trace() {
            trace.note(Traced::Ends, 0, reason.as_bytes());
        }
        self.tell_trace();
    }

    /// Notes whether it sleeps: then its numbers are those of now.
    fn note_sleep(&self, asleep: bool) {
        if let Some(listed) = &self.listed {
            listed.entry.sleeps(asleep);
        }
    }
}

/// The process at the other end of a socket, and its name.
fn peer(socket: &OwnedFd) -> (Option<i32>, Option<String>) {
    let Some(pid) = Peer::of(socket).ok().and_then(|peer| peer.pid) else { return (None, None) };
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    (Some(pid), name.map(|name| name.trim_end().to_owned()))
}
