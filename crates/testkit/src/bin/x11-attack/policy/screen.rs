//! Reading what others show.

use std::io;

use x11bridge_testkit::requests;

use super::{Attack, SIDE, Scene, words};

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("screen: GetImage of the root", |scene| get_image(scene, scene.root())),
    ("screen: GetImage of a window", |scene| get_image(scene, scene.window)),
    ("screen: GetImage of a pixmap", foreign_pixmap),
    ("screen: CopyArea from a window", |scene| copy(scene, 62, scene.window)),
    ("screen: CopyArea from the root", |scene| copy(scene, 62, scene.root())),
    ("screen: CopyPlane from a window", |scene| copy(scene, 63, scene.window)),
    ("screen: a background made of a pixmap", background_pixmap),
    ("screen: a GC's tile made of a pixmap", tile),
    ("screen: MIT-SHM GetImage", shm_get_image),
    ("screen: Composite RedirectWindow", |scene| composite(scene, 1)),
    ("screen: Composite NameWindowPixmap", name_window_pixmap),
    ("screen: Composite GetOverlayWindow", |scene| {
        let root = scene.root();
        scene.extension_passes("Composite", 7, &[root])
    }),
    ("screen: RENDER CreatePicture of a window", |scene| render_picture(scene, scene.window)),
    ("screen: RENDER CreatePicture of the root", |scene| render_picture(scene, scene.root())),
    ("screen: DAMAGE Create of a window", |scene| {
        let (id, window) = (scene.id(1), scene.window);
        query_version(scene, "DAMAGE", 1, 1)?;
        scene.extension_passes("DAMAGE", 1, &[id, window, 0])
    }),
    ("screen: XFIXES GetCursorImage", |scene| xfixes(scene, 4, &[])),
    ("screen: XFIXES SelectCursorInput", |scene| {
        let root = scene.root();
        xfixes(scene, 3, &[root, 1])
    }),
    ("screen: DOUBLE-BUFFER of a window", |scene| {
        let (window, buffer) = (scene.window, scene.id(2));
        scene.extension_passes("DOUBLE-BUFFER", 1, &[window, buffer, 0])
    }),
    ("screen: Present SelectInput on a window", |scene| {
        let (window, id) = (scene.window, scene.id(3));
        scene.extension_passes("Present", 3, &[id, window, 2])
    }),
];

/// Extensions refuse clients that have not said their version.
pub(crate) fn query_version(scene: &mut Scene, name: &str, major: u32, minor: u32) -> io::Result<()> {
    if let Some(opcode) = scene.extension(name)? {
        scene.attempt_fields(opcode, 0, &[major, minor])?;
    }
    Ok(())
}

pub(crate) fn xfixes(scene: &mut Scene, minor: u8, fields: &[u32]) -> io::Result<bool> {
    query_version(scene, "XFIXES", 5, 0)?;
    scene.extension_passes("XFIXES", minor, fields)
}

fn get_image(scene: &mut Scene, drawable: u32) -> io::Result<bool> {
    scene.shows_secret(drawable)
}

/// A pixmap of the victim's, filled with the secret.
fn secret_pixmap(scene: &mut Scene) -> io::Result<u32> {
    let (order, base, window) = (scene.order(), scene.victim.setup.resource_base, scene.window);
    let (pixmap, gc, depth) = (base + 5, base + 6, scene.victim.setup.root_depth);
    scene.victim.request(&requests::create_pixmap(order, depth, pixmap, window, SIDE, SIDE))?;
    scene.victim.request(&requests::create_gc(order, gc, pixmap))?;
    scene.victim.request(&requests::change_foreground(order, gc, super::SECRET))?;
    let rectangle = [0, 0, SIDE, SIDE].map(|field| order.u16(field)).concat();
    let fill = [words(order, &[pixmap, gc]), rectangle].concat();
    scene.victim.request(&requests::request(order, 70, 0, &fill))?;
    scene.victim.sync()?;
    Ok(pixmap)
}

fn foreign_pixmap(scene: &mut Scene) -> io::Result<bool> {
    let pixmap = secret_pixmap(scene)?;
    scene.shows_secret(pixmap)
}

fn copy(scene: &mut Scene, opcode: u8, from: u32) -> io::Result<bool> {
    let (pixmap, gc, order) = (scene.pixmap, scene.gc, scene.order());
    let place = [0, 0, 0, 0, SIDE, SIDE].map(|field| order.u16(field)).concat();
    // IncludeInferiors: with the windows inside it.
    scene.attempt_fields(56, 0, &[gc, 1 << 15, 1])?;
    let last = if opcode == 63 { words(order, &[1 << 2]) } else { vec![] };
    let body = [words(order, &[from, pixmap, gc]), place, last].concat();
    let passed = scene.attempt(&requests::request(order, opcode, 0, &body))?.passed();
    Ok(if opcode == 63 { passed } else { scene.shows_secret(pixmap)? })
}

/// `ChangeWindowAttributes` of one's own window, then `ClearArea`.
fn background_pixmap(scene: &mut Scene) -> io::Result<bool> {
    let (own, pixmap) = (scene.own, secret_pixmap(scene)?);
    scene.attempt_fields(2, 0, &[own, 1, pixmap])?;
    scene.attempt_fields(61, 0, &[own, 0, 0])?;
    scene.shows_secret(own)
}

/// `ChangeGC` with fill style and tile, then `PolyFillRectangle`.
fn tile(scene: &mut Scene) -> io::Result<bool> {
    let (own, gc, order, pixmap) = (scene.pixmap, scene.gc, scene.order(), secret_pixmap(scene)?);
    scene.attempt_fields(56, 0, &[gc, 1 << 8 | 1 << 10, 1, pixmap])?;
    let rectangle = [0, 0, SIDE, SIDE].map(|field| order.u16(field)).concat();
    scene.attempt(&requests::request(order, 70, 0, &[words(order, &[own, gc]), rectangle].concat()))?;
    scene.shows_secret(own)
}

fn shm_get_image(scene: &mut Scene) -> io::Result<bool> {
    let (order, window, segment) = (scene.order(), scene.window, scene.id(4));
    let Some(major) = scene.extension("MIT-SHM")? else { return Ok(false) };
    if !scene.attempt_fields(major, 7, &[segment, 1 << 16, 0])?.passed() {
        return Err(io::Error::other("no segment"));
    }
    let size = [0, 0, SIDE, SIDE].map(|field| order.u16(field)).concat();
    let rest = words(order, &[u32::MAX]);
    let body = [words(order, &[window]), size, rest, vec![2, 0, 0, 0], words(order, &[segment, 0])].concat();
    Ok(scene.attempt(&requests::request(order, major, 4, &body))?.passed())
}

fn composite(scene: &mut Scene, minor: u8) -> io::Result<bool> {
    query_version(scene, "Composite", 0, 4)?;
    let window = scene.window;
    scene.extension_passes("Composite", minor, &[window, 0])
}

/// The victim's window is redirected already, as all are under a compositing manager.
fn name_window_pixmap(scene: &mut Scene) -> io::Result<bool> {
    let (window, order, name) = (scene.window, scene.order(), scene.id(5));
    let composite = scene.victim.extension("Composite")?.unwrap_or(0);
    scene.victim.reply_to(&requests::request(order, composite, 0, &words(order, &[0, 4])))?;
    scene.victim.request(&requests::request(order, composite, 1, &words(order, &[window, 0])))?;
    scene.victim.sync()?;
    query_version(scene, "Composite", 0, 4)?;
    scene.extension_passes("Composite", 6, &[window, name])?;
    scene.shows_secret(name)
}

/// Any picture format will do: a wrong one is an error of its own kind, so the right one is asked for.
fn render_picture(scene: &mut Scene, drawable: u32) -> io::Result<bool> {
    let Some(major) = scene.extension("RENDER")? else { return Ok(false) };
    scene.attempt_fields(major, 0, &[0, 11])?;
    let formats = scene.attempt_fields(major, 1, &[])?;
    let reply = formats.replies.first().ok_or_else(|| io::Error::other("no formats"))?;
    let count = usize::try_from(reply.u32_at(8)).unwrap_or(0);
    for format in (0..count).map(|at| reply.u32_at(32 + 28 * at)) {
        let picture = scene.id(10 + format);
        if scene.passes(major, 4, &[picture, drawable, format, 0])? {
            return Ok(true);
        }
    }
    Ok(false)
}
