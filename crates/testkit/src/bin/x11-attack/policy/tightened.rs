//! `tightened --victim NAME [--victim-xauthority FILE]`: attacks twice on one connection, and lets the policy change in between.

use std::io;

use serde_json::{Map, Value, json};
use x11bridge_testkit::{Packet, requests};

use super::{Scene, attempt, victim_of, words};
use crate::{Stage, hold};

/// What succeeds is told as 0, what is refused as the error's code.
pub(crate) fn tightened(stage: &Stage) -> io::Result<Value> {
    let mut scene = Scene::open(stage, &victim_of(stage)?)?;
    let missing = || io::Error::other("the server has no XTEST or no RECORD");
    let xtest = scene.extension("XTEST")?.ok_or_else(missing)?;
    let record = scene.extension("RECORD")?.ok_or_else(missing)?;
    hold(&attempts(&mut scene, xtest, record)?)?;
    attempts(&mut scene, xtest, record)
}

fn attempts(scene: &mut Scene, xtest: u8, record: u8) -> io::Result<Value> {
    let (order, root, window, own) = (scene.order(), scene.root(), scene.window, scene.own);
    let image = |drawable| requests::get_image(order, requests::Area { drawable, width: 1, height: 1 });
    let key = [&[2, 38, 0, 0], words(order, &[0; 7]).as_slice()].concat();
    let raise =
        [words(order, &[window]), order.u16(1 << 6).to_vec(), vec![0, 0], words(order, &[0])].concat();
    let all = [
        ("XTEST FakeInput", requests::request(order, xtest, 2, &key)),
        ("RECORD QueryVersion", requests::request(order, record, 0, &words(order, &[0x000d_0001]))),
        ("GetImage of the root", image(root)),
        ("GetImage of a window", image(window)),
        ("ConfigureWindow of a window", requests::request(order, 12, 0, &raise)),
        ("GetImage of its own", image(own)),
    ];
    let mut codes = Map::new();
    for (name, request) in all {
        let errors = attempt(&mut scene.attacker, &request)?.errors;
        let about = |error: &Packet| error.bytes.get(10) == request.first();
        codes.insert(
            name.into(),
            json!(
                errors
                    .first()
                    .filter(|error| about(error))
                    .and_then(|error| error.bytes.get(1))
                    .copied()
                    .unwrap_or(0)
            ),
        );
    }
    scene.press_key(false)?;
    Ok(json!(codes))
}
