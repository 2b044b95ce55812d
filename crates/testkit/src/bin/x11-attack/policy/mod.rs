//! `policy --victim NAME [--victim-xauthority FILE] [--only ATTACK]`: tries everything that one client can do to another and to the whole screen.
//!
//! The attacker is a client of `--display`, its victim one of `--victim`: the same X server's, behind the bridge. The
//! result says of each attack whether it `succeeded` or was `refused`, and names answers that no server would give.

mod input;
mod isolated;
mod screen;
mod state;
pub(crate) mod tightened;
mod windows;

use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};
use x11bridge_testkit::display::Display;
use x11bridge_testkit::{ByteOrder, Packet, PacketKind, RawClient, requests};

use crate::Stage;

/// Size of the victim's window in pixels, and what it is filled with.
const SIDE: u16 = 32;
const SECRET: u32 = 0x0012_3456;

/// One attack: whether it succeeded.
type Attack = fn(&mut Scene) -> io::Result<bool>;

/// An attacker, and a victim with a window.
pub(crate) struct Scene {
    pub(crate) attacker: RawClient,
    pub(crate) victim: RawClient,
    /// The victim's window.
    pub(crate) window: u32,
    /// A window and a pixmap of the attacker's, and a GC for them.
    pub(crate) own: u32,
    pub(crate) pixmap: u32,
    pub(crate) gc: u32,
    /// Where the two connected, and victims that came later.
    displays: (Display, Display),
    others: Vec<RawClient>,
    /// What was wrong with an answer.
    complaints: Vec<String>,
}

/// What came back for some requests.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) replies: Vec<Packet>,
    pub(crate) errors: Vec<Packet>,
    pub(crate) events: Vec<Packet>,
}

impl Outcome {
    pub(crate) fn passed(&self) -> bool {
        self.errors.is_empty()
    }

    /// The `u32` at `at` of the first reply.
    pub(crate) fn value(&self, at: usize) -> Option<u32> {
        self.replies.first().map(|reply| reply.u32_at(at))
    }
}

pub(crate) fn policy(stage: &Stage) -> io::Result<Value> {
    let victim = victim_of(stage)?;
    let only = stage.options.value("only", String::new())?;
    let mut results = Map::new();
    let mut complaints = Map::new();
    let all = [screen::ATTACKS, input::ATTACKS, windows::ATTACKS, state::ATTACKS, isolated::ATTACKS];
    for (name, attack) in all.into_iter().flatten().filter(|(name, _)| only.is_empty() || only == *name) {
        let mut scene = Scene::open(stage, &victim)?;
        let outcome = attack(&mut scene)
            .and_then(|done| scene.let_go().map(|()| done))
            .map(|done| if done { "succeeded" } else { "refused" });
        let told = outcome.map_or_else(|error| format!("failed: {error}"), String::from);
        results.insert((*name).into(), json!(told));
        if !scene.complaints.is_empty() {
            complaints.insert((*name).into(), json!(scene.complaints));
        }
    }
    Ok(json!({ "attacks": results, "complaints": complaints }))
}

/// The server of the victim.
fn victim_of(stage: &Stage) -> io::Result<Display> {
    let name = stage.options.value("victim", String::new())?;
    let authority: String = stage.options.value("victim-xauthority", String::new())?;
    if authority.is_empty() {
        return Display::find(&name);
    }
    Display::find_with(&name, Some(Path::new(&authority)))
}

impl Scene {
    fn open(stage: &Stage, host: &Display) -> io::Result<Self> {
        let mut attacker = stage.client()?;
        let mut victim = host.connect(stage.order)?;
        let window = make_window(&mut victim, Some(SECRET))?;
        let own = make_window(&mut attacker, None)?;
        let (order, base) = (attacker.order, attacker.setup.resource_base);
        let (pixmap, gc, depth) = (base + 2, base + 3, attacker.setup.root_depth);
        attacker.request(&requests::create_pixmap(order, depth, pixmap, own, SIDE, SIDE))?;
        attacker.request(&requests::create_gc(order, gc, own))?;
        attacker.sync()?;
        let displays = (stage.display.clone(), host.clone());
        Ok(Self { attacker, victim, window, own, pixmap, gc, displays, others: vec![], complaints: vec![] })
    }

    /// One more client of the attacker's side.
    pub(crate) fn another_attacker(&self) -> io::Result<RawClient> {
        self.displays.0.connect(self.order())
    }

    /// A victim whose ids begin with `base`, and its window; `None` where the server gives them to nobody.
    pub(crate) fn victim_with_ids(&mut self, base: u32) -> io::Result<Option<u32>> {
        const TRIES: usize = 40;
        for _ in 0..TRIES {
            let mut victim = self.displays.1.connect(self.order())?;
            let found = victim.setup.resource_base == base;
            let window = if found { Some(make_window(&mut victim, Some(SECRET))?) } else { None };
            self.others.push(victim);
            if window.is_some() {
                return Ok(window);
            }
        }
        Ok(None)
    }

    /// Gives back what it has grabbed, so that the next attack finds the server as this one did.
    fn let_go(&mut self) -> io::Result<()> {
        const ANY_MODIFIER: u16 = 1 << 15;
        for ungrab in [32, 27] {
            self.attempt_fields(ungrab, 0, &[0])?;
        }
        for window in [self.root(), self.window] {
            let body = [words(self.order(), &[window]), self.order().u16(ANY_MODIFIER).to_vec()].concat();
            self.attempt(&requests::request(self.order(), 34, 0, &body))?;
        }
        Ok(())
    }

    pub(crate) fn order(&self) -> ByteOrder {
        self.attacker.order
    }

    pub(crate) fn root(&self) -> u32 {
        self.attacker.setup.root
    }

    /// An id of the attacker's that is free.
    pub(crate) fn id(&self, number: u32) -> u32 {
        self.attacker.setup.resource_base + 0x100 + number
    }

    /// Sends a request as the attacker, and looks what comes of it.
    pub(crate) fn attempt(&mut self, request: &[u8]) -> io::Result<Outcome> {
        let outcome = attempt(&mut self.attacker, request)?;
        let (major, minor) = (request.first().copied(), request.get(1).copied());
        for error in &outcome.errors {
            let minor = if major < Some(128) { 0 } else { minor.unwrap_or(0) };
            if error.bytes.get(10).copied() != major || error.u16_at(8) != u16::from(minor) {
                self.complaints.push(format!("an error about another request: {:?}", error.bytes));
            }
            if u64::from(error.sequence()) != (self.attacker.sequence - 1) & 0xffff {
                self.complaints.push(format!("an error of another sequence number: {:?}", error.bytes));
            }
        }
        Ok(outcome)
    }

    /// The same for a core request, or one of an extension, of 32-bit fields.
    pub(crate) fn attempt_fields(&mut self, opcode: u8, detail: u8, fields: &[u32]) -> io::Result<Outcome> {
        let request = requests::request(self.order(), opcode, detail, &words(self.order(), fields));
        self.attempt(&request)
    }

    /// The same, where all that matters is that it isn't refused.
    pub(crate) fn passes(&mut self, opcode: u8, detail: u8, fields: &[u32]) -> io::Result<bool> {
        Ok(self.attempt_fields(opcode, detail, fields)?.passed())
    }

    /// The attacker's opcode of an extension.
    pub(crate) fn extension(&mut self, name: &str) -> io::Result<Option<u8>> {
        self.attacker.extension(name)
    }

    /// A request of an extension that passes, if there is that extension.
    pub(crate) fn extension_passes(&mut self, name: &str, minor: u8, fields: &[u32]) -> io::Result<bool> {
        let Some(major) = self.extension(name)? else { return Ok(false) };
        self.passes(major, minor, fields)
    }

    /// Whether the victim can read the secret's pixel from one of the attacker's drawables.
    pub(crate) fn shows_secret(&mut self, drawable: u32) -> io::Result<bool> {
        let area = requests::Area { drawable, width: 1, height: 1 };
        let request = requests::get_image(self.order(), area);
        let outcome = self.attempt(&request)?;
        Ok(outcome.value(32).is_some_and(|pixel| pixel & 0x00ff_ffff == SECRET))
    }

    /// Types and releases a key, as the person at the keyboard does.
    pub(crate) fn type_key(&mut self) -> io::Result<()> {
        self.press_key(true)?;
        self.press_key(false)
    }

    /// Presses or releases the key.
    pub(crate) fn press_key(&mut self, down: bool) -> io::Result<()> {
        const KEYCODE: u8 = 38;
        let xtest = self.victim.extension("XTEST")?.ok_or_else(|| io::Error::other("no XTEST"))?;
        let (order, kind) = (self.order(), if down { 2 } else { 3 });
        let body = [&[kind, KEYCODE, 0, 0], words(order, &[0; 7]).as_slice()].concat();
        self.victim.request(&requests::request(order, xtest, 2, &body))?;
        self.victim.sync()
    }
}

/// Sends a request and gathers all that comes until the server has done it.
pub(crate) fn attempt(client: &mut RawClient, request: &[u8]) -> io::Result<Outcome> {
    client.request(request)?;
    gather(client)
}

/// Gathers all that comes until the server has done what it was asked.
pub(crate) fn gather(client: &mut RawClient) -> io::Result<Outcome> {
    let end = client.request(&requests::get_input_focus(client.order))?;
    let mut outcome = Outcome::default();
    loop {
        let packet = client.packet()?;
        match packet.kind() {
            PacketKind::Reply if u64::from(packet.sequence()) == end & 0xffff => return Ok(outcome),
            PacketKind::Reply => outcome.replies.push(packet),
            PacketKind::Error => outcome.errors.push(packet),
            PacketKind::Event => outcome.events.push(packet),
        }
    }
}

/// The bytes of 32-bit fields.
pub(crate) fn words(order: ByteOrder, fields: &[u32]) -> Vec<u8> {
    fields.iter().flat_map(|field| order.u32(*field)).collect()
}

/// Makes and maps a window of its own, above all others, filled with a colour.
fn make_window(client: &mut RawClient, pixel: Option<u32>) -> io::Result<u32> {
    const BACK_PIXEL: u32 = 1 << 1;
    const OVERRIDE_REDIRECT: u32 = 1 << 9;
    let (order, id) = (client.order, client.setup.resource_base + 1);
    let place = if pixel.is_some() { 0 } else { 200 };
    let size = [place, place, SIDE, SIDE, 0, 1].map(|field| order.u16(field)).concat();
    let ids = words(order, &[id, client.setup.root]);
    let rest = words(order, &[0, BACK_PIXEL | OVERRIDE_REDIRECT, pixel.unwrap_or(0), 1]);
    client.request(&requests::request(order, 1, 0, &[ids, size, rest].concat()))?;
    client.request(&requests::request(order, 8, 0, &words(order, &[id])))?;
    client.sync()?;
    Ok(id)
}
