//! Doing things to other clients and their windows.

use std::io;

use x11bridge_testkit::requests;

use super::screen::xfixes;
use super::{Attack, Scene, words};

/// Predefined atoms.
const STRING: u32 = 31;
const WM_NAME: u32 = 39;

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("windows: KillClient", |scene| on_window(scene, 113)),
    ("windows: KillClient of all temporary", |scene| scene.passes(113, 0, &[0])),
    ("windows: DestroyWindow", |scene| on_window(scene, 4)),
    ("windows: DestroySubwindows of the root", |scene| {
        let root = scene.root();
        scene.passes(5, 0, &[root])
    }),
    ("windows: UnmapWindow", |scene| on_window(scene, 10)),
    ("windows: ChangeSaveSet", |scene| on_window(scene, 6)),
    ("windows: ConfigureWindow", |scene| {
        let (window, order) = (scene.window, scene.order());
        let mask = [order.u16(1).as_slice(), &[0, 0]].concat();
        let body = [words(order, &[window]), mask, words(order, &[300])].concat();
        Ok(scene.attempt(&requests::request(order, 12, 0, &body))?.passed())
    }),
    ("windows: ReparentWindow of another's", |scene| {
        let (window, own) = (scene.window, scene.own);
        scene.passes(7, 0, &[window, own, 0])
    }),
    ("windows: ReparentWindow into another's", |scene| {
        let (window, own) = (scene.window, scene.own);
        scene.passes(7, 0, &[own, window, 0])
    }),
    ("windows: CreateWindow in another's", |scene| {
        let (window, id, order) = (scene.window, scene.id(1), scene.order());
        let size = [0, 0, 8, 8, 0, 1].map(|field| order.u16(field)).concat();
        let body = [words(order, &[id, window]), size, words(order, &[0, 0])].concat();
        Ok(scene.attempt(&requests::request(order, 1, 0, &body))?.passed())
    }),
    ("windows: the ids of a client that was killed", killed_ids),
    ("windows: ChangeProperty by way of a selection", by_selection),
    ("windows: ChangeProperty", |scene| {
        let window = scene.window;
        change_property(scene, window)
    }),
    ("windows: DeleteProperty", |scene| {
        let window = scene.window;
        scene.passes(19, 0, &[window, WM_NAME])
    }),
    ("windows: GetProperty that deletes", delete_by_reading),
    ("windows: ChangeWindowAttributes", |scene| {
        let window = scene.window;
        scene.passes(2, 0, &[window, 1 << 9, 0])
    }),
    ("windows: SubstructureRedirect", |scene| {
        let root = scene.root();
        scene.passes(2, 0, &[root, 1 << 11, 1 << 20])
    }),
    ("windows: drawing into another's", |scene| {
        let (window, gc) = (scene.window, scene.gc);
        scene.passes(64, 0, &[window, gc, 0])
    }),
    ("windows: drawing onto the root", |scene| {
        let (root, gc) = (scene.root(), scene.gc);
        scene.passes(64, 0, &[root, gc, 0])
    }),
    ("windows: SHAPE of another's", |scene| {
        let window = scene.window;
        scene.extension_passes("SHAPE", 4, &[0, window, 0])
    }),
    ("windows: XFIXES SetWindowShapeRegion", |scene| {
        let window = scene.window;
        xfixes(scene, 21, &[window, 0, 0, 0])
    }),
    ("windows: a WM_DELETE_WINDOW message", |scene| {
        let window = scene.window;
        message(scene, window, window)
    }),
    ("windows: a message about it to the window manager", |scene| {
        let (root, window) = (scene.root(), scene.window);
        message(scene, root, window)
    }),
];

fn on_window(scene: &mut Scene, opcode: u8) -> io::Result<bool> {
    let window = scene.window;
    scene.passes(opcode, 0, &[window])
}

/// A second attacker asks for images and reads none, so that the bridge can't see its end; the first one kills it. The server
/// gives its ids to the next client, a victim.
fn killed_ids(scene: &mut Scene) -> io::Result<bool> {
    const IMAGES: usize = 40;
    const TRIES: usize = 50;
    let order = scene.order();
    let mut stalled = scene.another_attacker()?;
    let area = requests::Area { drawable: stalled.setup.root, width: 500, height: 500 };
    let base = stalled.setup.resource_base;
    stalled.request(&requests::create_gc(order, base, stalled.setup.root))?;
    stalled.sync()?;
    stalled.stream.send(&requests::get_image(order, area).repeat(IMAGES))?;
    scene.attempt_fields(113, 0, &[base])?;
    let Some(window) = scene.victim_with_ids(base)? else {
        return Err(io::Error::other("the server gives the ids to nobody else"));
    };
    for _ in 0..TRIES {
        if !scene.shows_secret(window)? {
            return Ok(false);
        }
        // The bridge has to hear of it first.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(true)
}

/// The attacker asks itself for a selection, in the name of the victim's window.
fn by_selection(scene: &mut Scene) -> io::Result<bool> {
    const PRIMARY: u32 = 1;
    let (window, own) = (scene.window, scene.own);
    scene.attempt_fields(22, 0, &[own, PRIMARY, 0])?;
    scene.attempt_fields(24, 0, &[window, PRIMARY, STRING, WM_NAME, 0])?;
    change_property(scene, window)
}

fn change_property(scene: &mut Scene, window: u32) -> io::Result<bool> {
    scene.passes(18, 0, &[window, WM_NAME, STRING, 8, 4, 0x3f3f_3f3f])
}

/// The victim gives its window a name; the attacker reads and deletes it; whether it is gone.
fn delete_by_reading(scene: &mut Scene) -> io::Result<bool> {
    let (window, order) = (scene.window, scene.order());
    let name = words(order, &[window, WM_NAME, STRING, 8, 4, 0x3f3f_3f3f]);
    scene.victim.request(&requests::request(order, 18, 0, &name))?;
    scene.victim.sync()?;
    scene.attempt_fields(20, 1, &[window, WM_NAME, 0, 0, 100])?;
    let read = requests::request(order, 20, 0, &words(order, &[window, WM_NAME, 0, 0, 100]));
    Ok(scene.victim.reply_to(&read)?.u32_at(8) == 0)
}

/// `SendEvent` of a `ClientMessage` about a window, with every mask.
fn message(scene: &mut Scene, to: u32, about: u32) -> io::Result<bool> {
    let order = scene.order();
    let event = [vec![33, 32, 0, 0], words(order, &[about, WM_NAME, 1, 0, 0, 0, 0])].concat();
    let body = [words(order, &[to, 0x18_0000]), event].concat();
    Ok(scene.attempt(&requests::request(order, 25, 0, &body))?.passed())
}
