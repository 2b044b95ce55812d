//! What only the preset `isolated` keeps clients from: reading what others are, and what they copy.

use std::io;

use x11bridge_testkit::{RawClient, requests};

use super::{Attack, SIDE, Scene, attempt, gather, words};

/// Predefined atoms.
const PRIMARY: u32 = 1;
const STRING: u32 = 31;
const WM_NAME: u32 = 39;
/// What is copied.
const COPIED: u32 = 0x7465_7263;
const SELECTION_REQUEST: u8 = 30;
const SELECTION_NOTIFY: u8 = 31;

pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("isolated: the title of a window", |scene| {
        let window = scene.window;
        let name = words(scene.order(), &[window, WM_NAME, STRING, 8, 4, COPIED]);
        let order = scene.order();
        scene.victim.request(&requests::request(order, 18, 0, &name))?;
        scene.victim.sync()?;
        let outcome = scene.attempt_fields(20, 0, &[window, WM_NAME, 0, 0, 100])?;
        Ok(outcome.value(8).is_some_and(|kind| kind != 0))
    }),
    ("isolated: a property of the root", |scene| {
        let (root, order) = (scene.root(), scene.order());
        let own = words(order, &[root, WM_NAME, STRING, 8, 4, COPIED]);
        scene.victim.request(&requests::request(order, 18, 0, &own))?;
        scene.victim.sync()?;
        let outcome = scene.attempt_fields(20, 0, &[root, WM_NAME, 0, 0, 100])?;
        Ok(outcome.value(8).is_some_and(|kind| kind != 0))
    }),
    ("isolated: the tree of windows", |scene| {
        let root = scene.root();
        scene.passes(15, 0, &[root])
    }),
    ("isolated: the list of properties", |scene| {
        let window = scene.window;
        scene.passes(21, 0, &[window])
    }),
    ("isolated: the size of a window", |scene| {
        let window = scene.window;
        scene.passes(14, 0, &[window])
    }),
    ("isolated: the attributes of a window", |scene| {
        let window = scene.window;
        scene.passes(3, 0, &[window])
    }),
    ("isolated: the place of a window", |scene| {
        let (window, root) = (scene.window, scene.root());
        scene.passes(40, 0, &[window, root, 0])
    }),
    ("isolated: windows that come and go", windows_that_come),
    ("isolated: the selection of a manager", |scene| {
        let (own, order) = (scene.own, scene.order());
        let atom = scene.victim.reply_to(&requests::intern_atom(order, "WM_S7"))?.u32_at(8);
        scene.attempt_fields(22, 0, &[own, atom, 0])?;
        owns(scene, atom)
    }),
    ("isolated: what another copied", steal),
    ("isolated: what another pastes", plant),
];

/// `SubstructureNotify` of the root, then the victim makes a window.
fn windows_that_come(scene: &mut Scene) -> io::Result<bool> {
    const CREATE_NOTIFY: u8 = 16;
    let (root, order) = (scene.root(), scene.order());
    scene.attempt_fields(2, 0, &[root, 1 << 11, 1 << 19])?;
    let size = [0, 0, SIDE, SIDE, 0, 1].map(|field| order.u16(field)).concat();
    let id = scene.victim.setup.resource_base + 0x50;
    let body = [words(order, &[id, root]), size, words(order, &[0, 0])].concat();
    scene.victim.request(&requests::request(order, 1, 0, &body))?;
    scene.victim.sync()?;
    let events = gather(&mut scene.attacker)?.events;
    Ok(events.iter().any(|event| event.bytes.first() == Some(&CREATE_NOTIFY)))
}

/// Whether the victim sees the attacker as the owner of a selection.
fn owns(scene: &mut Scene, selection: u32) -> io::Result<bool> {
    let (order, own) = (scene.order(), scene.own);
    let ask = requests::request(order, 23, 0, &words(order, &[selection]));
    Ok(scene.victim.reply_to(&ask)?.u32_at(8) == own)
}

/// One owns the selection, the other asks for it and gets it, whether it is told so or not.
fn transfer(
    (owner, source): (&mut RawClient, u32),
    (reader, target): (&mut RawClient, u32),
) -> io::Result<bool> {
    let order = owner.order;
    attempt(owner, &requests::request(order, 22, 0, &words(order, &[source, PRIMARY, 0])))?;
    let convert = words(order, &[target, PRIMARY, STRING, WM_NAME, 0]);
    attempt(reader, &requests::request(order, 24, 0, &convert))?;
    let asked = gather(owner)?.events;
    for request in asked.iter().filter(|event| event.bytes.first() == Some(&SELECTION_REQUEST)) {
        let (requestor, property) = (request.u32_at(12), request.u32_at(24));
        let data = words(order, &[requestor, property, STRING, 8, 4, COPIED]);
        attempt(owner, &requests::request(order, 18, 0, &data))?;
        let told =
            [vec![SELECTION_NOTIFY, 0, 0, 0], words(order, &[0, requestor, PRIMARY, STRING, property, 0, 0])];
        let told = [words(order, &[requestor, 0]), told.concat()].concat();
        attempt(owner, &requests::request(order, 25, 0, &told))?;
    }
    let read = attempt(reader, &requests::request(order, 20, 0, &words(order, &[target, WM_NAME, 0, 0, 4])))?;
    Ok(read.value(32) == Some(COPIED))
}

fn steal(scene: &mut Scene) -> io::Result<bool> {
    let (window, own) = (scene.window, scene.own);
    transfer((&mut scene.victim, window), (&mut scene.attacker, own))
}

fn plant(scene: &mut Scene) -> io::Result<bool> {
    let (window, own) = (scene.window, scene.own);
    transfer((&mut scene.attacker, own), (&mut scene.victim, window))
}
