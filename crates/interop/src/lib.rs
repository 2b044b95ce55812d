//! Peers of other makers, in place of a kernel's driver and its host.
//!
//! * [`rutabaga`]: upstream's host half, the crate `rutabaga_gfx`, behind the calls of a render node.
#![forbid(unsafe_code)]

pub mod rutabaga;
