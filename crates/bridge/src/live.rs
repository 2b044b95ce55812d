//! The options that may change while a bridge runs. A client keeps those of the moment it connected.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use session::{Offers, Policy, Shm};

use crate::channel::{FenceChoice, Route};
use crate::error::Error;
use crate::spin::{SPIN_DEFAULT, SPIN_MAX};

/// Clients at once by default, as many as an X server takes.
pub const CLIENTS_DEFAULT: usize = 512;
/// Clients at once that may be asked for.
pub const CLIENTS_MAX: usize = 65_536;
/// How long the X server may take to answer a set-up, by default.
pub const HOST_TIMEOUT_DEFAULT: Duration = Duration::from_millis(4500);
/// How long it may be given at most.
pub const HOST_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// What may change.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// The file with the X server's cookie; `None` for `$XAUTHORITY`, else `~/.Xauthority`, and for none at all on
    /// channels that lead to the host.
    pub host_xauthority: Option<PathBuf>,
    /// How long a thread looks again before it sleeps: zero for never, at most [`SPIN_MAX`].
    pub spin: Duration,
    /// Clients at once, 1 to [`CLIENTS_MAX`]. Those beyond a lower number stay.
    pub clients_max: usize,
    /// How long the X server may take to answer a client's set-up: above zero, at most [`HOST_TIMEOUT_MAX`].
    pub host_timeout: Duration,
    /// What clients may do; `None` allows everything.
    pub policy: Option<Arc<Policy>>,
    /// Whether clients are offered DRI3.
    pub dri3: Dri3,
    /// How much of MIT-SHM they are offered, as far as the channel carries it.
    pub shm: Shm,
}

/// Whether clients are offered DRI3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dri3 {
    /// Where clients find a device whose buffers the channel carries; else they render in software at once.
    Auto,
    /// Always; where that can't be, there is no bridge.
    On,
    /// Never.
    Off,
}

impl Dri3 {
    /// Understands a name as users write it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            host_xauthority: None,
            spin: SPIN_DEFAULT,
            clients_max: CLIENTS_DEFAULT,
            host_timeout: HOST_TIMEOUT_DEFAULT,
            policy: None,
            dri3: Dri3::Auto,
            shm: Shm::Emulated,
        }
    }
}

impl LiveOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |why: String| Err(Error::InvalidOption { why });
        if self.spin > SPIN_MAX {
            return invalid(format!("the spin time is at most {} µs", SPIN_MAX.as_micros()));
        }
        if !(1..=CLIENTS_MAX).contains(&self.clients_max) {
            return invalid(format!("the number of clients is 1 to {CLIENTS_MAX}"));
        }
        if self.host_timeout.is_zero() || self.host_timeout > HOST_TIMEOUT_MAX {
            return invalid(format!(
                "the host's time limit is above 0 and at most {} s",
                HOST_TIMEOUT_MAX.as_secs()
            ));
        }
        Ok(())
    }

    /// Makes it fit the way to the host, or says why it can't.
    pub(crate) fn over(mut self, route: &Route, fences: FenceChoice) -> Result<Self, Error> {
        self.check()?;
        if self.dri3 == Dri3::On && fences == FenceChoice::Off {
            let why = "DRI3 needs fences; leave dri3 at auto, or fences".into();
            return Err(Error::InvalidOption { why });
        }
        if self.dri3 == Dri3::On && !route.carries_descriptors() {
            let why = format!(
                "DRI3 passes file descriptors, which the way to {route} can't carry; leave dri3 at auto"
            );
            return Err(Error::InvalidOption { why });
        }
        if self.dri3 == Dri3::On && !route.carries_fences(fences) {
            let why = format!("DRI3 needs fences, and none cross to {route}; leave dri3 and fences at auto");
            return Err(Error::InvalidOption { why });
        }
        if self.dri3 == Dri3::Auto && !route.offers_dri3(fences) {
            self.dri3 = Dri3::Off;
        }
        self.policy = self.policy.filter(|policy| !policy.only_elsewhere() || route.leads_elsewhere());
        Ok(self)
    }

    pub(crate) fn offers(&self, fences: FenceChoice) -> Offers {
        Offers { dri3: self.dri3 != Dri3::Off && fences != FenceChoice::Off, shm: self.shm }
    }
}
