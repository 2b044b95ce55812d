//! What a screen shows, by the server's own account: for comparing two screens without a program in between.

use std::collections::HashSet;
use std::fs;
use std::io;

use serde_json::{Value, json};
use x11bridge_testkit::requests::{self, Area};

use crate::{Stage, digest};

/// `picture [--save FILE]`: size, digest, and how much there is to see on the whole screen. `--save`: as PPM, for people.
pub(crate) fn picture(stage: &Stage) -> io::Result<Value> {
    const GET_GEOMETRY: u8 = 14;
    let mut client = stage.client()?;
    let root = client.setup.root;
    let geometry =
        client.reply_to(&requests::request(stage.order, GET_GEOMETRY, 0, &stage.order.u32(root)))?;
    let (width, height) = (geometry.u16_at(16), geometry.u16_at(18));
    let image = client.reply_to(&requests::get_image(stage.order, Area { drawable: root, width, height }))?;
    let pixels: Vec<[u8; 3]> = image
        .bytes
        .get(32..)
        .unwrap_or_default()
        .chunks_exact(4)
        .filter_map(|pixel| pixel.first_chunk().copied())
        .collect();
    let file = stage.options.value("save", String::new())?;
    if !file.is_empty() {
        fs::write(file, ppm(width, height, &pixels))?;
    }
    let colours = pixels.iter().collect::<HashSet<_>>().len();
    // Text and curves have many places where neighbours differ; an empty window has few.
    let edges = pixels.windows(2).filter(|pair| pair.first() != pair.last()).count();
    let digest = digest(pixels.as_flattened());
    Ok(json!({ "width": width, "height": height, "colours": colours, "edges": edges, "digest": digest }))
}

fn ppm(width: u16, height: u16, pixels: &[[u8; 3]]) -> Vec<u8> {
    let head = format!("P6 {width} {height} 255\n").into_bytes();
    head.into_iter().chain(pixels.iter().flat_map(|[blue, green, red]| [*red, *green, *blue])).collect()
}
