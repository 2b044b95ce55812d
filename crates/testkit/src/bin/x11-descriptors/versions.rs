//! What the server says that it can.

use std::io;

use serde_json::{Value, json};

use crate::talk::Talk;

const DRI3_QUERY_VERSION: u8 = 0;
const DRI3_GET_SUPPORTED_MODIFIERS: u8 = 6;
const PRESENT_QUERY_VERSION: u8 = 0;
const PRESENT_QUERY_CAPABILITIES: u8 = 4;

/// `versions`: the versions of DRI3 and Present, the capabilities of the screen, and the modifiers of a window.
pub(crate) fn versions(talk: &mut Talk) -> io::Result<Value> {
    let (dri3, present, root) = (talk.extension("DRI3")?, talk.extension("Present")?, talk.root());
    let newest = talk.body().u32(1).u32(9);
    let dri3_version = talk.reply(&talk.request(dri3, DRI3_QUERY_VERSION, &newest))?;
    let present_version = talk.reply(&talk.request(present, PRESENT_QUERY_VERSION, &newest))?;
    let capabilities =
        talk.reply(&talk.request(present, PRESENT_QUERY_CAPABILITIES, &talk.body().u32(root)))?;
    let window = talk.body().u32(root).u8(talk.depth()).u8(32).pad(2);
    let modifiers = talk.reply(&talk.request(dri3, DRI3_GET_SUPPORTED_MODIFIERS, &window))?;
    Ok(json!({
        "dri3": [dri3_version.u32_at(8), dri3_version.u32_at(12)],
        "present": [present_version.u32_at(8), present_version.u32_at(12)],
        "capabilities": capabilities.u32_at(8),
        "modifiers": [modifiers.u32_at(8), modifiers.u32_at(12), modifiers.u32_at(32)],
    }))
}
