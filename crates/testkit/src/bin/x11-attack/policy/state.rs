//! Changing what belongs to everybody.

use std::io;

use x11bridge_testkit::{HANG_GUARD, requests};

use super::screen::{query_version, xfixes};
use super::{Attack, Scene, words};

/// Who hears nothing for so long is kept out. A server that is not grabbed answers at once, however long that takes.
const GRABBED: std::time::Duration = std::time::Duration::from_secs(1);

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("state: ChangeKeyboardMapping", |scene| {
        let order = scene.order();
        let body = [vec![250, 1, 0, 0], words(order, &[0x61])].concat();
        Ok(scene.attempt(&requests::request(order, 100, 1, &body))?.passed())
    }),
    ("state: SetModifierMapping", |scene| {
        let order = scene.order();
        Ok(scene.attempt(&requests::request(order, 118, 1, &[0; 8]))?.passed())
    }),
    ("state: SetPointerMapping", set_pointer_mapping),
    ("state: ChangeHosts", |scene| {
        let order = scene.order();
        let body = [&[0, 0], order.u16(4).as_slice(), &[127, 0, 0, 9]].concat();
        Ok(scene.attempt(&requests::request(order, 109, 0, &body))?.passed())
    }),
    ("state: SetAccessControl", |scene| scene.passes(111, 0, &[])),
    ("state: SetFontPath", |scene| scene.passes(51, 0, &[0])),
    ("state: SetScreenSaver", set_screen_saver),
    ("state: ChangeKeyboardControl", change_keyboard_control),
    ("state: ChangePointerControl", change_pointer_control),
    ("state: RESOURCE_MANAGER", resource_manager),
    ("state: GrabServer", grab_server),
    ("state: RANDR SetScreenSize", set_screen_size),
    ("state: RANDR CreateMode", create_mode),
    ("state: XKB LatchLockState", latch_lock_state),
    ("state: XKB SetControls", |scene| xkb(scene, 7, 96)),
    ("state: XInput ChangeHierarchy", |scene| {
        query_version(scene, "XInputExtension", 2, 0)?;
        scene.extension_passes("XInputExtension", 43, &[0])
    }),
    ("state: XFIXES ChangeCursorByName", |scene| {
        let (order, cursor) = (scene.order(), scene.id(6));
        scene.attempt_fields(93, 0, &[cursor, scene.pixmap, 0, 0, 0, 0, 0])?;
        xfixes(scene, 4, &[]).map(drop)?;
        let name = u32::from_ne_bytes([b'l', b'e', b'f', b't']);
        let length = order.u16(4);
        let Some(major) = scene.extension("XFIXES")? else { return Ok(false) };
        let body = [&words(order, &[cursor]), length.as_slice(), &[0, 0], &name.to_ne_bytes()].concat();
        let outcome = scene.attempt(&requests::request(order, major, 27, &body))?;
        Ok(outcome.errors.iter().all(|error| error.detail() != 10))
    }),
    ("state: XFIXES HideCursor", |scene| {
        let root = scene.root();
        xfixes(scene, 29, &[root])
    }),
    ("state: the SECURITY extension", |scene| Ok(scene.extension("SECURITY")?.is_some())),
    ("state: the X-Resource extension", |scene| Ok(scene.extension("X-Resource")?.is_some())),
];

fn set_pointer_mapping(scene: &mut Scene) -> io::Result<bool> {
    let order = scene.order();
    let reply = scene.attacker.reply_to(&requests::request(order, 117, 0, &[]))?;
    let map = reply.bytes.get(32..32 + usize::from(reply.detail())).unwrap_or_default().to_vec();
    Ok(scene.attempt(&requests::request(order, 116, reply.detail(), &map))?.passed())
}

/// What the victim reads before and after the attack.
fn changes(
    scene: &mut Scene,
    read: &[u8],
    attack: impl FnOnce(&mut Scene) -> io::Result<()>,
) -> io::Result<bool> {
    let ask = |scene: &mut Scene| -> io::Result<Vec<u8>> {
        Ok(scene.victim.reply_to(read)?.bytes.get(8..).unwrap_or_default().to_vec())
    };
    let before = ask(scene)?;
    attack(scene)?;
    Ok(ask(scene)? != before)
}

fn set_screen_saver(scene: &mut Scene) -> io::Result<bool> {
    let order = scene.order();
    let read = requests::request(order, 108, 0, &[]);
    let before = scene.victim.reply_to(&read)?.u16_at(8);
    let body = [order.u16((before + 1) % 1000).as_slice(), &order.u16(7), &[1, 1, 0, 0]].concat();
    changes(scene, &read, |scene| scene.attempt(&requests::request(order, 107, 0, &body)).map(drop))
}

/// The volume of key clicks.
fn change_keyboard_control(scene: &mut Scene) -> io::Result<bool> {
    let order = scene.order();
    let read = requests::request(order, 103, 0, &[]);
    let before = scene.victim.reply_to(&read)?.bytes.get(12).copied().unwrap_or(0);
    changes(scene, &read, |scene| scene.attempt_fields(102, 0, &[1, u32::from((before + 1) % 100)]).map(drop))
}

fn change_pointer_control(scene: &mut Scene) -> io::Result<bool> {
    let order = scene.order();
    let read = requests::request(order, 106, 0, &[]);
    let before = scene.victim.reply_to(&read)?.u16_at(12);
    let body = [&[0; 4], order.u16(before + 1).as_slice(), &[0, 1]].concat();
    changes(scene, &read, |scene| scene.attempt(&requests::request(order, 105, 0, &body)).map(drop))
}

/// The resources that every program reads at its start.
fn resource_manager(scene: &mut Scene) -> io::Result<bool> {
    const RESOURCE_MANAGER: u32 = 23;
    const STRING: u32 = 31;
    const APPEND: u8 = 2;
    let (order, root) = (scene.order(), scene.root());
    let read = requests::request(order, 20, 0, &words(order, &[root, RESOURCE_MANAGER, 0, 0, 1 << 20]));
    changes(scene, &read, |scene| {
        scene.attempt_fields(18, APPEND, &[root, RESOURCE_MANAGER, STRING, 8, 4, 0x0a3f_3f3f]).map(drop)
    })
}

/// While the server is grabbed, the victim gets no answer.
fn grab_server(scene: &mut Scene) -> io::Result<bool> {
    let order = scene.order();
    scene.attempt_fields(36, 0, &[])?;
    scene.victim.request(&requests::get_input_focus(order))?;
    scene.victim.stream.socket().set_read_timeout(Some(GRABBED))?;
    let answered = scene.victim.packet().is_ok();
    scene.victim.stream.socket().set_read_timeout(Some(HANG_GUARD))?;
    scene.attempt_fields(37, 0, &[])?;
    if !answered {
        scene.victim.packet()?;
    }
    Ok(!answered)
}

fn set_screen_size(scene: &mut Scene) -> io::Result<bool> {
    query_version(scene, "RANDR", 1, 4)?;
    let (order, root) = (scene.order(), scene.root());
    let Some(major) = scene.extension("RANDR")? else { return Ok(false) };
    let size = [order.u16(1280), order.u16(1024)].concat();
    let body = [words(order, &[root]), size, words(order, &[300, 200])].concat();
    Ok(scene.attempt(&requests::request(order, major, 7, &body))?.passed())
}

fn create_mode(scene: &mut Scene) -> io::Result<bool> {
    query_version(scene, "RANDR", 1, 4)?;
    let (order, root) = (scene.order(), scene.root());
    let Some(major) = scene.extension("RANDR")? else { return Ok(false) };
    let sizes = [321, 200].map(|field| order.u16(field)).concat();
    // A server keeps modes for ever, so each needs a name of its own.
    let name = format!("mode{:08x}", std::process::id());
    let timings = [330, 340, 350, 0, 210, 220, 230, 12].map(|field| order.u16(field)).concat();
    let info = [words(order, &[0]), sizes, words(order, &[1_000_000]), timings, words(order, &[0])].concat();
    let body = [words(order, &[root]), info, name.into_bytes()].concat();
    Ok(scene.attempt(&requests::request(order, major, 16, &body))?.passed())
}

/// XKB refuses clients that have not said their version.
fn use_xkb(scene: &mut Scene) -> io::Result<Option<u8>> {
    let order = scene.order();
    let major = scene.extension("XKEYBOARD")?;
    if let Some(major) = major {
        let version = [order.u16(1), order.u16(0)].concat();
        scene.attempt(&requests::request(order, major, 0, &version))?;
    }
    Ok(major)
}

/// A request about the core keyboard that changes nothing: all its masks are empty.
fn xkb(scene: &mut Scene, minor: u8, bytes: usize) -> io::Result<bool> {
    const CORE_KEYBOARD: u16 = 0x100;
    let Some(major) = use_xkb(scene)? else { return Ok(false) };
    let order = scene.order();
    let mut body = order.u16(CORE_KEYBOARD).to_vec();
    body.resize(bytes, 0);
    Ok(scene.attempt(&requests::request(order, major, minor, &body))?.passed())
}

fn latch_lock_state(scene: &mut Scene) -> io::Result<bool> {
    xkb(scene, 5, 12)
}
