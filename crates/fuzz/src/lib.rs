//! Fuzz smoke of the pure crates and of the device, as an ordinary test on stable Rust.
//!
//! Each [`Target`] is a function over bytes that asserts properties. [`smoke`] first replays the kept inputs of
//! `corpus/<target>/`, then mutates and generates inputs until its time is over. There is no coverage to guide it;
//! instead targets [note](features::note) what they saw, and inputs that show something new are bred from.
//!
//! | environment | meaning | default |
//! |---|---|---|
//! | `FUZZ_SECONDS` | time for each target in seconds, 0 = replay only | 5 |
//! | `FUZZ_SEED` | seed of the random numbers | from the clock; printed with a failure |
//!
//! A failing input is made smaller and written to a file; the message says where. Once the fault is mended, move that
//! file to the corpus.

#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc)] // a target's panic is its result
#![allow(clippy::panic, clippy::indexing_slicing)] // … and never reaches a client

pub mod features;
pub mod mutate;
pub mod rng;
pub mod runner;
pub mod script;
pub mod targets;
pub mod wire;

pub use rng::Rng;
pub use runner::{Failure, Options, Summary, smoke};
pub use targets::TARGETS;

/// Bytes of the longest input that is bred from.
pub const INPUT_BYTES_MAX: usize = 16 << 10;

/// Something to fuzz.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name of the target and of its directory in `corpus/`.
    pub name: &'static str,
    /// Runs one input. It panics where a property doesn't hold.
    pub run: fn(&[u8]),
    /// Makes a new input that is well formed, or nearly so.
    pub generate: fn(&mut Rng) -> Vec<u8>,
    /// Offsets at which an input falls into meaningful pieces, ascending.
    pub cuts: fn(&[u8]) -> Vec<usize>,
}
