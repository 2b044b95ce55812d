//! The functions that are fuzzed.

mod cross_domain;
mod fs;
mod gpu;
mod policy;
mod session;
mod x11_wire;

pub use cross_domain::cross_domain_commands;
pub use fs::fs;
pub use gpu::gpu;
pub use policy::policy;
pub use session::session;
pub use x11_wire::x11_wire;

use crate::{Target, script};

/// Every target.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "cross_domain_commands",
        run: cross_domain_commands,
        generate: cross_domain::generate,
        cuts: cross_domain::cuts,
    },
    Target { name: "x11_wire", run: x11_wire, generate: x11_wire::generate, cuts: x11_wire::cuts },
    Target { name: "gpu", run: gpu, generate: gpu::generate, cuts: gpu::cuts },
    Target { name: "fs", run: fs, generate: fs::generate, cuts: fs::cuts },
    Target { name: "policy", run: policy, generate: policy::generate, cuts: policy::cuts },
    Target { name: "session", run: session, generate: script::generate, cuts: script::cuts },
];
