//! Reading the keyboard, and typing for others.

use std::io;

use x11bridge_testkit::requests;

use super::screen::query_version;
use super::{Attack, Scene, gather, words};

/// Core event masks.
const KEY_PRESS: u32 = 1;
const CW_EVENT_MASK: u32 = 1 << 11;
const ASYNCHRONOUS: [u8; 2] = [1, 1];

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("input: KeyPress of a window", |scene| select_keys(scene, scene.window)),
    ("input: KeyPress of the root", |scene| select_keys(scene, scene.root())),
    ("input: XI2 KeyPress of a window", |scene| xi2_keys(scene, scene.window, 1 << 2)),
    ("input: XI2 KeyPress of the root", |scene| xi2_keys(scene, scene.root(), 1 << 2)),
    ("input: XI2 RawKeyPress", |scene| xi2_keys(scene, scene.root(), 1 << 13)),
    ("input: QueryKeymap", query_keymap),
    ("input: XInput QueryDeviceState", |scene| {
        query_version(scene, "XInputExtension", 2, 0)?;
        scene.extension_passes("XInputExtension", 30, &[3])
    }),
    ("input: GrabKey on the root", |scene| grab_key(scene, scene.root())),
    ("input: GrabKey on a window", |scene| grab_key(scene, scene.window)),
    ("input: GrabKeyboard on the root", |scene| grab_keyboard(scene, scene.root())),
    ("input: GrabKeyboard on a window", |scene| grab_keyboard(scene, scene.window)),
    ("input: GrabButton on the root", grab_button),
    ("input: GrabPointer on the root", grab_pointer),
    ("input: XI2 GrabDevice on the root", xi2_grab),
    ("input: XI2 PassiveGrabDevice on the root", xi2_passive_grab),
    ("input: RECORD", |scene| Ok(scene.extension("RECORD")?.is_some())),
    ("input: XTEST FakeInput", fake_input),
    ("input: a synthetic KeyPress to a window", |scene| synthetic_key(scene, scene.window, 0)),
    ("input: a synthetic KeyPress to the focus", |scene| {
        let (window, order) = (scene.window, scene.order());
        scene.victim.request(&requests::request(order, 42, 0, &words(order, &[window, 0])))?;
        synthetic_key(scene, 1, 0)
    }),
    ("input: a synthetic KeyPress that goes up to the root", synthetic_key_to_root),
    ("input: SetInputFocus to a window", |scene| {
        let window = scene.window;
        scene.passes(42, 0, &[window, 0])
    }),
    ("input: WarpPointer into a window", |scene| {
        let window = scene.window;
        scene.passes(41, 0, &[0, window, 0, 0, 0])
    }),
];

/// Whether the attacker hears of a key that is typed, by the code of an event.
fn hears_key(scene: &mut Scene, codes: &[u8]) -> io::Result<bool> {
    scene.type_key()?;
    let heard = gather(&mut scene.attacker)?.events;
    Ok(heard.iter().any(|event| event.bytes.first().is_some_and(|code| codes.contains(code))))
}

/// Puts the pointer into the victim's window, and the focus where keys reach `listener` if it is that or the root.
fn focus(scene: &mut Scene, listener: u32) -> io::Result<()> {
    const POINTER_ROOT: u32 = 1;
    let to = if listener == scene.root() { POINTER_ROOT } else { listener };
    let (window, order) = (scene.window, scene.order());
    scene.victim.request(&requests::request(order, 41, 0, &words(order, &[0, window, 0, 0, 0x0005_0005])))?;
    scene.victim.request(&requests::request(order, 42, 0, &words(order, &[to, 0])))?;
    scene.victim.sync()
}

fn select_keys(scene: &mut Scene, window: u32) -> io::Result<bool> {
    focus(scene, window)?;
    scene.attempt_fields(2, 0, &[window, CW_EVENT_MASK, KEY_PRESS])?;
    hears_key(scene, &[2])
}

/// `XISelectEvents` for all devices.
fn xi2_keys(scene: &mut Scene, window: u32, mask: u32) -> io::Result<bool> {
    focus(scene, window)?;
    let Some(major) = scene.extension("XInputExtension")? else { return Ok(false) };
    let order = scene.order();
    let version = [order.u16(2), order.u16(2)].concat();
    scene.attempt(&requests::request(order, major, 47, &version))?;
    let head = [words(order, &[window]), order.u16(1).to_vec(), vec![0, 0]].concat();
    let masks = [order.u16(0).to_vec(), order.u16(1).to_vec(), mask.to_le_bytes().to_vec()].concat();
    scene.attempt(&requests::request(order, major, 46, &[head, masks].concat()))?;
    hears_key(scene, &[35])
}

fn query_keymap(scene: &mut Scene) -> io::Result<bool> {
    scene.press_key(true)?;
    let outcome = scene.attempt_fields(44, 0, &[])?;
    scene.press_key(false)?;
    let keys = outcome.replies.first().and_then(|reply| reply.bytes.get(8..40));
    Ok(keys.is_some_and(|keys| keys.iter().any(|byte| *byte != 0)))
}

fn grab_key(scene: &mut Scene, window: u32) -> io::Result<bool> {
    const ANY_MODIFIER: u16 = 1 << 15;
    focus(scene, window)?;
    let order = scene.order();
    let body =
        [&words(order, &[window]), order.u16(ANY_MODIFIER).as_slice(), &[0], &ASYNCHRONOUS, &[0; 3]].concat();
    scene.attempt(&requests::request(order, 33, 0, &body))?;
    hears_key(scene, &[2])
}

fn grab_keyboard(scene: &mut Scene, window: u32) -> io::Result<bool> {
    let order = scene.order();
    let body = [&words(order, &[window, 0]), ASYNCHRONOUS.as_slice(), &[0, 0]].concat();
    scene.attempt(&requests::request(order, 31, 0, &body))?;
    hears_key(scene, &[2])
}

fn grab_button(scene: &mut Scene) -> io::Result<bool> {
    let (order, root) = (scene.order(), scene.root());
    let masks = [order.u16(4).as_slice(), &ASYNCHRONOUS].concat();
    let rest = [&[0_u8, 0][..], &order.u16(1 << 15)].concat();
    let body = [words(order, &[root]), masks, words(order, &[0, 0]), rest].concat();
    Ok(scene.attempt(&requests::request(order, 28, 0, &body))?.passed())
}

fn grab_pointer(scene: &mut Scene) -> io::Result<bool> {
    let (order, root) = (scene.order(), scene.root());
    let masks = [order.u16(4).as_slice(), &ASYNCHRONOUS].concat();
    let body = [words(order, &[root]), masks, words(order, &[0, 0, 0])].concat();
    Ok(scene.attempt(&requests::request(order, 26, 0, &body))?.passed())
}

/// The master pointer is device 2.
fn xi2_grab(scene: &mut Scene) -> io::Result<bool> {
    query_version(scene, "XInputExtension", 2, 2)?;
    let Some(major) = scene.extension("XInputExtension")? else { return Ok(false) };
    let (order, root) = (scene.order(), scene.root());
    let rest = [order.u16(2).as_slice(), &[1, 1, 0, 0], &order.u16(1), &[0; 4]].concat();
    let body = [words(order, &[root, 0, 0]), rest].concat();
    Ok(scene.attempt(&requests::request(order, major, 51, &body))?.passed())
}

/// Any key of the master keyboard, device 3, with any modifier.
fn xi2_passive_grab(scene: &mut Scene) -> io::Result<bool> {
    let Some(major) = scene.extension("XInputExtension")? else { return Ok(false) };
    let (order, root) = (scene.order(), scene.root());
    let numbers = [3, 1, 1].map(|number| order.u16(number)).concat();
    let body = [words(order, &[0, root, 0, 0]), numbers, vec![1, 1, 1, 0, 0, 0]].concat();
    let body = [body, vec![0; 4], words(order, &[1 << 31])].concat();
    Ok(scene.attempt(&requests::request(order, major, 54, &body))?.passed())
}

fn fake_input(scene: &mut Scene) -> io::Result<bool> {
    let Some(major) = scene.extension("XTEST")? else { return Ok(false) };
    let order = scene.order();
    let body = [&[2, 38, 0, 0], words(order, &[0; 7]).as_slice()].concat();
    let passed = scene.attempt(&requests::request(order, major, 2, &body))?.passed();
    scene.press_key(false)?;
    Ok(passed)
}

/// Whether an event of this code has reached the victim.
fn reaches_victim(scene: &mut Scene, code: u8) -> io::Result<bool> {
    let events = gather(&mut scene.victim)?.events;
    Ok(events.iter().any(|event| event.bytes.first().is_some_and(|first| first & 0x7f == code)))
}

fn listen(scene: &mut Scene, window: u32) -> io::Result<()> {
    let order = scene.order();
    let select = requests::request(order, 2, 0, &words(order, &[window, CW_EVENT_MASK, KEY_PRESS]));
    scene.victim.request(&select)?;
    scene.victim.sync()
}

fn synthetic_key(scene: &mut Scene, to: u32, propagate: u8) -> io::Result<bool> {
    let (window, order) = (scene.window, scene.order());
    listen(scene, window)?;
    let event = [vec![2, 38, 0, 0], words(order, &[0, scene.root(), window, 0, 0, 0, 1 << 24])].concat();
    let body = [words(order, &[to, KEY_PRESS]), event].concat();
    scene.attempt(&requests::request(order, 25, propagate, &body))?;
    reaches_victim(scene, 2)
}

fn synthetic_key_to_root(scene: &mut Scene) -> io::Result<bool> {
    let root = scene.root();
    let (own, order) = (scene.own, scene.order());
    listen(scene, root)?;
    let event = [vec![2, 38, 0, 0], words(order, &[0, root, own, 0, 0, 0, 1 << 24])].concat();
    scene.attempt(&requests::request(order, 25, 1, &[words(order, &[own, KEY_PRESS]), event].concat()))?;
    reaches_victim(scene, 2)
}
