//! A policy for clients that are connected: what it needs to know of the X server is asked for once, for all of them, and before it holds
//! for anybody. Each client's thread takes it on between two requests; until one comes it costs a thread one comparison for each look.

use std::sync::Arc;
use std::time::Instant;

use session::{ExtensionNumbers, Policy, Session};

use crate::bridge::Shared;
use crate::client::atoms;
use crate::live::LiveOptions;
use crate::tracing::{ExtensionCodes, extension_codes};

/// A policy with what the server calls what it speaks of.
#[derive(Debug)]
pub(crate) struct Renewal {
    /// `None` allows everything.
    policy: Option<Arc<Policy>>,
    atoms: Vec<u32>,
    extensions: Vec<ExtensionNumbers>,
}

impl Renewal {
    /// Asks the server. An error is why that is not known, in words.
    pub(crate) fn ask(shared: &Shared, live: &LiveOptions) -> Result<Self, String> {
        let Some(policy) = live.policy.clone() else {
            return Ok(Self { policy: None, atoms: vec![], extensions: vec![] });
        };
        let deadline = Instant::now() + live.host_timeout;
        let found = atoms::look_up(shared, live, &policy, deadline)?;
        let names: Vec<String> = policy.extensions().map(str::to_owned).collect();
        let codes = extension_codes(shared, live, &names, deadline)?;
        let numbers =
            |ExtensionCodes { place, major, first_event, .. }| ExtensionNumbers { place, major, first_event };
        let extensions = codes.into_iter().map(numbers).collect();
        Ok(Self {
            policy: Some(policy),
            atoms: found.map(|found| found.atoms).unwrap_or_default(),
            extensions,
        })
    }

    /// Puts a client under it; returns the policy.
    pub(crate) fn put<F>(&self, session: &mut Session<F>) -> Option<Arc<Policy>> {
        let policy = self.policy.as_ref().map(|policy| (policy, self.atoms.clone()));
        session.obey_anew(policy, &self.extensions);
        self.policy.clone()
    }
}
