//! Changes an input a little: bytes, length fields, and pieces that a target knows to be whole.

use crate::{INPUT_BYTES_MAX, Rng, Target};

/// Values that lie on edges of length fields.
const EDGES: [u32; 14] = [0, 1, 2, 3, 7, 8, 28, 29, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff];

/// A changed copy of `input`; `other` is a second input to take pieces from.
pub fn mutate(target: &Target, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..=rng.small(4) {
        match rng.below(10) {
            0 => flip_bit(&mut out, rng),
            1 => set_byte(&mut out, rng),
            2 | 3 => set_edge(&mut out, rng),
            4 => insert_bytes(&mut out, rng),
            5 => remove_bytes(&mut out, rng),
            6 => remove_piece(target, &mut out, rng),
            7 => move_piece(target, &mut out, rng),
            8 => splice(target, &mut out, other, rng),
            _ => add_to_byte(&mut out, rng),
        }
    }
    out.truncate(INPUT_BYTES_MAX);
    out
}

fn flip_bit(out: &mut [u8], rng: &mut Rng) {
    let at = rng.below(out.len());
    if let Some(byte) = out.get_mut(at) {
        *byte ^= 1 << rng.below(8);
    }
}

fn set_byte(out: &mut [u8], rng: &mut Rng) {
    let at = rng.below(out.len());
    if let Some(byte) = out.get_mut(at) {
        *byte = rng.byte();
    }
}

fn add_to_byte(out: &mut [u8], rng: &mut Rng) {
    let at = rng.below(out.len());
    if let Some(byte) = out.get_mut(at) {
        *byte = byte.wrapping_add(rng.pick(&[1, 2, 4, 0xff, 0xfe, 0xfc]));
    }
}

/// Puts an edge value in a field of one, two or four bytes, in either byte order.
fn set_edge(out: &mut [u8], rng: &mut Rng) {
    let (width, shift) = rng.pick(&[(1, 24), (2, 16), (2, 16), (4, 0)]);
    let value = rng.pick(&EDGES);
    let bytes = if rng.one_in(2) { value.to_le_bytes() } else { (value << shift).to_be_bytes() };
    let at = rng.below(out.len()) & !(width - 1);
    if let Some(field) = out.get_mut(at..at + width) {
        field.copy_from_slice(&bytes[..width]);
    }
}

fn insert_bytes(out: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(out.len() + 1);
    let len = rng.small(32);
    let bytes = if rng.one_in(2) { vec![0; len] } else { rng.bytes(len) };
    out.splice(at..at, bytes);
}

fn remove_bytes(out: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(out.len());
    let end = (at + 1 + rng.small(32)).min(out.len());
    out.drain(at.min(end)..end);
}

/// One piece of `bytes`, as offsets.
fn piece(target: &Target, bytes: &[u8], rng: &mut Rng) -> Option<(usize, usize)> {
    let mut cuts = (target.cuts)(bytes);
    cuts.push(bytes.len());
    cuts.dedup();
    let at = rng.below(cuts.len().checked_sub(1)?);
    Some((*cuts.get(at)?, *cuts.get(at + 1)?))
}

fn remove_piece(target: &Target, out: &mut Vec<u8>, rng: &mut Rng) {
    if let Some((from, to)) = piece(target, out, rng) {
        out.drain(from..to);
    }
}

/// Copies a piece, or moves it, before another one.
fn move_piece(target: &Target, out: &mut Vec<u8>, rng: &mut Rng) {
    let Some((from, to)) = piece(target, out, rng) else { return };
    let bytes = out[from..to].to_vec();
    if rng.one_in(2) {
        out.drain(from..to);
    }
    let at = piece(target, out, rng).map_or(out.len(), |(at, _)| at);
    out.splice(at..at, bytes);
}

fn splice(target: &Target, out: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let Some((from, to)) = piece(target, other, rng) else { return };
    let at = piece(target, out, rng).map_or(out.len(), |(at, _)| at);
    out.splice(at..at, other[from..to].iter().copied());
}
