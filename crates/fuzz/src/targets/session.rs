//! One client's session, run twice over the same conversation: record by record, and cut anywhere. Both runs have to
//! agree, and what comes out has to be what went in but for the rewrites that are documented.

use ::session::{
    CLIENT_HELD_MAX, Carries, DESCRIPTORS_QUEUED_MAX, Fences, HOST_HELD_MAX, Marks, Next, Offers, Session,
    Violation,
};
use ::x11_wire::ByteOrder;
use ::x11_wire::extension::DRI3_SET_DRM_DEVICE_IN_USE;
use ::x11_wire::fence::RESET_FENCE;
use ::x11_wire::message::{BAD_MATCH, HEADER, Kind, MessageHead};
use ::x11_wire::request::{EXTENSION_FIRST, Head, NO_OPERATION, RequestHead, UNASSIGNED};
use ::x11_wire::setup::SetupReply;

use crate::Rng;
use crate::features::{magnitude, note};
use crate::script::{Record, Script};
use crate::wire::Wire;

/// Runs the conversation that `data` is, see [`crate::script`].
pub fn session(data: &[u8]) {
    let script = Script::decode(data);
    let whole = Run::of(&script, None);
    let cut = Run::of(&script, Some(Rng::of(data)));
    whole.check_same(&cut);
    whole.client.check_requests(script.order);
    if whole.violation.is_none() {
        // Where the host ends a session, what it said in the same breath goes with it.
        whole.host.check_messages(script.order);
    }
    whole.check_descriptors(script.descriptors);
    whole.note();
}

/// One direction: what was said, what came out, and what is held back.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stream {
    said: Vec<u8>,
    out: Vec<u8>,
    held: Vec<u8>,
    /// Offsets in `out`, with the descriptors that travel there.
    marks: Vec<(usize, Vec<u32>)>,
    /// Descriptors that came so far; they are numbered in the order of their arrival.
    arrived: u32,
}

#[derive(Debug)]
struct Run {
    session: Session<u32>,
    client: Stream,
    host: Stream,
    next: Next,
    violation: Option<Violation>,
}

impl Run {
    /// Runs `script`; with `cuts`, every record in pieces.
    fn of(script: &Script, mut cuts: Option<Rng>) -> Self {
        let mut run = Self {
            session: Session::new(script.order, carries(script), Offers::default()),
            client: Stream::default(),
            host: Stream::default(),
            next: Next::Client,
            violation: None,
        };
        let reply = script.set_up.then(|| Wire(script.order).set_up_reply());
        let reply = reply.map(|bytes| Record { host: true, descriptors: 0, bytes });
        for record in reply.iter().chain(&script.records) {
            run.record(record, cuts.as_mut());
            if run.violation.is_some() {
                break;
            }
        }
        run
    }

    fn record(&mut self, record: &Record, mut cuts: Option<&mut Rng>) {
        self.descriptors(record);
        let mut rest = &record.bytes[..];
        loop {
            let (piece, later) =
                rest.split_at(cuts.as_mut().map_or(rest.len(), |rng| piece(rest.len(), rng)));
            let unseen = cuts.as_mut().is_some_and(|rng| rng.one_in(2));
            if record.host {
                self.host(piece, unseen);
            } else {
                self.client(piece);
            }
            if later.is_empty() || self.violation.is_some() {
                break;
            }
            rest = later;
        }
        if record.host && self.violation.is_none() {
            self.client(&[]); // it may have waited for this
        }
    }

    fn descriptors(&mut self, record: &Record) {
        let stream = if record.host { &mut self.host } else { &mut self.client };
        let numbers = stream.arrived..stream.arrived + u32::from(record.descriptors);
        stream.arrived = numbers.end;
        if record.host {
            self.session.host_descriptors(numbers.map(Some));
        } else {
            self.session.client_descriptors(numbers);
        }
    }

    fn client(&mut self, piece: &[u8]) {
        if matches!(self.next, Next::Nothing(_)) {
            return; // the bridge reads no more of it
        }
        self.client.hear(piece);
        loop {
            let mut marks = Marks::new();
            let progress = self.session.client_data(&mut self.client.held, &mut marks);
            self.client.pass(progress.forward, marks);
            self.next = progress.next;
            match self.next {
                // There is no segment; one that is attached changes lengths, which the session's own tests look at.
                Next::Attach(_) => self.session.attached(None),
                Next::Provide(_) => self.session.provide(None),
                Next::Link(_) => {
                    let is_fence = self.session.fence_file().is_some_and(|number| number % 2 == 0);
                    self.session.linked(if is_fence { Ok(()) } else { Err(BAD_MATCH) });
                }
                Next::ResetFence(id) => self.session.fence_reset(id % 2 == 0),
                Next::Client | Next::Host | Next::Nothing(_) => break,
            }
        }
        self.session.take_fence_actions();
        assert!(self.session.take_actions().is_empty(), "nothing is to be copied where nothing is attached");
        let held = self.client.held.len();
        assert!(self.next != Next::Client || held <= CLIENT_HELD_MAX, "{held} bytes of the client are held");
    }

    /// The body of a message may go by without being shown.
    fn host(&mut self, piece: &[u8], unseen: bool) {
        let passable = usize::try_from(self.session.host_passable()).unwrap_or(usize::MAX);
        let (body, piece) = piece.split_at(if unseen { passable.min(piece.len()) } else { 0 });
        if !body.is_empty() {
            assert!(self.host.held.is_empty(), "nothing is held back within a body");
            self.host.said.extend(body);
            self.host.out.extend(body);
            self.session.host_passed(body.len() as u64);
        }
        self.host.hear(piece);
        let mut marks = Marks::new();
        match self.session.host_data(&mut self.host.held, &mut marks) {
            Ok(forward) => self.host.pass(forward, marks),
            Err(violation) => return self.violation = Some(violation),
        }
        let held = self.host.held.len();
        assert!(held <= HOST_HELD_MAX, "{held} bytes of the host are held");
    }

    /// Where writes are split must not matter.
    fn check_same(&self, cut: &Self) {
        assert_eq!(self.violation, cut.violation, "a violation is noticed at some splits and not at others");
        if self.violation.is_some() {
            return; // how far the host came before depends on the pieces
        }
        self.client.check_same(&cut.client, "to the host");
        self.host.check_same(&cut.host, "to the client");
        assert_eq!(self.next, cut.next, "what the client waits for depends on the splits");
        if !matches!(self.next, Next::Nothing(_)) {
            assert_eq!(self.client.held, cut.client.held, "what is held back depends on the splits");
        }
        assert_eq!(self.host.held, cut.host.held, "what is held back depends on the splits");
        assert_eq!(self.session.counters(), cut.session.counters());
    }

    fn check_descriptors(&self, carried: bool) {
        let counters = self.session.counters();
        let handed: Vec<_> = self.client.marks.iter().flat_map(|(_, fds)| fds).collect();
        assert!(handed.is_sorted(), "descriptors keep their order");
        assert_eq!(counters.descriptors_to_host, handed.len() as u64);
        assert!(carried || handed.is_empty(), "a path of bytes carries no descriptor");
        let arrived = u64::from(self.client.arrived) + u64::from(self.host.arrived);
        let gone =
            counters.descriptors_to_host + counters.descriptors_to_client + counters.descriptors_dropped;
        assert!(gone <= arrived, "no descriptor is handed out twice");
        assert!(arrived - gone <= 2 * DESCRIPTORS_QUEUED_MAX as u64, "waiting descriptors are bounded");
    }

    fn note(&self) {
        let counters = self.session.counters();
        let counts = [counters.requests, counters.replies, counters.events, counters.errors];
        note(counts.map(magnitude));
        note((
            counters.denied.min(3),
            counters.descriptors_to_host.min(4),
            counters.descriptors_to_client.min(4),
        ));
        note((format!("{:?}", std::mem::discriminant(&self.next)), self.violation.is_some()));
        for stream in [&self.client, &self.host] {
            note(("held", stream.held.len().min(80)));
            let changed = stream.said.iter().zip(&stream.out).filter(|(said, out)| said != out);
            note(("changed", changed.count().min(40)));
        }
    }
}

/// What the path of a conversation carries.
fn carries(script: &Script) -> Carries {
    match (script.descriptors, script.timelines) {
        (false, _) => Carries::BYTES,
        (true, false) => Carries { fences: Fences::Linked { adopts: true }, ..Carries::MEMORY },
        (true, true) => Carries::EVERYTHING,
    }
}

/// The length of the next piece of `len` bytes: often one byte, at least one if there is one.
fn piece(len: usize, rng: &mut Rng) -> usize {
    let most = rng.pick(&[1, 4, 33, 400, usize::MAX]).min(len);
    if most == 0 { 0 } else { 1 + rng.below(most) }
}

impl Stream {
    fn hear(&mut self, piece: &[u8]) {
        self.said.extend(piece);
        self.held.extend(piece);
    }

    fn pass(&mut self, forward: usize, marks: Marks<u32>) {
        assert!(forward <= self.held.len());
        for mark in marks {
            assert!(mark.offset < forward, "a mark lies in what is forwarded");
            assert!(!mark.descriptors.is_empty());
            let offset = self.out.len() + mark.offset;
            assert!(self.marks.last().is_none_or(|(last, _)| *last < offset), "marks ascend");
            self.marks.push((offset, mark.descriptors));
        }
        self.out.extend(self.held.drain(..forward));
    }

    fn check_same(&self, cut: &Self, direction: &str) {
        let differs = self.out.iter().zip(&cut.out).position(|(whole, cut)| whole != cut);
        assert_eq!(differs, None, "a byte {direction} depends on where writes are split");
        assert_eq!(
            self.out.len(),
            cut.out.len(),
            "how much goes {direction} depends on where writes are split"
        );
        assert_eq!(self.marks, cut.marks, "descriptors {direction} depend on where writes are split");
    }

    /// Nothing is inserted, lost or reordered, and what is held back has not been touched.
    fn check_lengths(&self) {
        assert_eq!(self.out.len() + self.held.len(), self.said.len());
        assert_eq!(self.held, self.said[self.out.len()..], "held bytes are as they were said");
    }

    /// What goes to the host is what the client said, but for the rewrites of extension requests.
    fn check_requests(&self, order: ByteOrder) {
        self.check_lengths();
        let mut at = 0;
        while at < self.out.len() {
            // A length of 0 is only passed on once BIG-REQUESTS is on.
            let Head::Complete(head) = RequestHead::parse(order, true, &self.said[at..]) else { break };
            let end = end_of(at, head.len, self.out.len());
            check_request(head, &self.said[at..end], &self.out[at..end]);
            at = end;
        }
    }

    /// What goes to the client is what the host said, but for what is hidden.
    fn check_messages(&self, order: ByteOrder) {
        self.check_lengths();
        let Some(reply) = SetupReply::parse(order, &self.out) else { return };
        let mut at = reply.len.min(self.out.len());
        assert_eq!(self.said[..at], self.out[..at], "the set-up reply passes");
        if self.out.first() != Some(&1) {
            return assert_eq!(self.said[at..self.out.len()], self.out[at..], "so does all behind a refusal");
        }
        while at < self.out.len() {
            let Some(head) = MessageHead::parse(order, &self.said[at..]) else { break };
            let end = end_of(at, head.len, self.out.len());
            check_message(head.kind, &self.said[at..end], &self.out[at..end]);
            at = end;
        }
    }
}

/// The end of the message of `len` bytes at `at`, or of the stream.
fn end_of(at: usize, len: u64, stream: usize) -> usize {
    usize::try_from(len).ok().and_then(|len| at.checked_add(len)).map_or(stream, |end| end.min(stream))
}

fn check_request(head: RequestHead, said: &[u8], out: &[u8]) {
    if said == out {
        return;
    }
    assert!(head.major >= EXTENSION_FIRST, "a core request changed: {said:?} → {out:?}");
    if said[..2] != out[..2] {
        let is_void = matches!(said[1], DRI3_SET_DRM_DEVICE_IN_USE | RESET_FENCE);
        let skipped = is_void && out[..2] == [NO_OPERATION, 0];
        assert!(skipped || out[..2] == [UNASSIGNED, 0], "a request is denied by an opcode that nobody has");
        return assert_eq!(said[2..], out[2..], "and else stays as it is");
    }
    let changed: Vec<_> = (0..said.len()).filter(|&n| said[n] != out[n]).map(|n| n - head.header).collect();
    let segment =
        changed.iter().all(|n| (4..8).contains(n)) && out[head.header + 4..head.header + 8] == [0xff; 4];
    let window = changed.iter().all(|n| (0..4).contains(n)) && out[head.header..head.header + 4] == [0; 4];
    assert!(segment || window, "a request changed at {changed:?} behind its header");
    note(("rewrite", segment));
}

fn check_message(kind: Kind, said: &[u8], out: &[u8]) {
    if said == out {
        return;
    }
    let changed: Vec<_> = (0..said.len()).filter(|&n| said[n] != out[n]).collect();
    match kind {
        Kind::Event => panic!("an event changed at {changed:?}"),
        // It answers a request that was made one that no server knows; it keeps its place.
        Kind::Error => {
            assert_eq!((said[10], &said[2..4]), (UNASSIGNED, &out[2..4]), "an error changed");
        }
        Kind::Reply => {
            let version = said[8..16] != out[8..16] && changed.iter().all(|n| (8..16).contains(n));
            let fields = version || changed.iter().all(|n| (8..12).contains(n));
            let list = changed.iter().all(|&n| n == 1 || n >= HEADER);
            assert!(fields || list, "a reply changed at {changed:?}");
            note(("reply", fields));
        }
    }
}
