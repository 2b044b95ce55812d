//! Which channel it is to be, and why.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use display::DisplayName;

use super::pipe::PipeAddress;
use super::{ChannelChoice, FenceChoice, Route, virtgpu};
use crate::error::Error;
use crate::live::Dri3;

/// How long `auto` waits for the host's vsock listener: it is in the same machine.
const VSOCK_MAX: Duration = Duration::from_millis(500);
const VSOCK_DEVICE: &str = "/dev/vsock";

/// What the decision depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes<'a> {
    pub(crate) choice: &'a ChannelChoice,
    pub(crate) host_display: Option<&'a DisplayName>,
    /// Whether the user named that display for this bridge, and it is not just the environment's.
    pub(crate) host_display_named: bool,
    pub(crate) render_node: Option<&'a Path>,
    pub(crate) dri3: Dri3,
    pub(crate) fences: FenceChoice,
}

impl Wishes<'_> {
    /// The channel, and in one line why. Takes less than five seconds.
    pub(crate) fn decide(self) -> Result<(Route, String), Error> {
        match self.choice {
            ChannelChoice::Auto => self.choose(),
            ChannelChoice::Virtgpu => {
                let device = virtgpu::find(self.render_node)?;
                let why = format!("as asked; {device}; {}", device.carriage(self.dri3, self.fences));
                Ok((Route::Virtgpu(device), why))
            }
            ChannelChoice::Pipe(address) => {
                Ok((Route::Pipe(address.clone()), format!("as asked; {NO_DESCRIPTORS}")))
            }
            ChannelChoice::Loopback => {
                let display = self.host_display.ok_or_else(|| no_server(""))?;
                let note = if display.is_unix() {
                    ""
                } else {
                    "; the host's end is TCP, so MIT-SHM and DRI3 are hidden"
                };
                Ok((Route::Loopback(Arc::new(display.clone())), format!("as asked{note}")))
            }
            ChannelChoice::Socket => {
                let display = self.host_display.ok_or_else(|| no_server(""))?;
                let note = if display.is_unix() { "" } else { "; over TCP, so MIT-SHM and DRI3 are hidden" };
                Ok((Route::Socket(Arc::new(display.clone())), format!("as asked{note}")))
            }
        }
    }

    /// A display that the user named is the one to go to, and its socket the only way there; else the host's is.
    fn choose(self) -> Result<(Route, String), Error> {
        if let Some(display) = self.host_display.filter(|_| self.host_display_named) {
            return Ok((Route::Socket(Arc::new(display.clone())), reached(display).into()));
        }
        let gpu = match virtgpu::find(self.render_node) {
            Ok(device) => {
                let why = format!("{device}; {}", device.carriage(self.dri3, self.fences));
                return Ok((Route::Virtgpu(device), why));
            }
            Err(error) => error.to_string(),
        };
        let vsock = match listening(Path::new(VSOCK_DEVICE)) {
            Ok(()) => {
                let why = format!("the host listens there; {NO_DESCRIPTORS}; not virtgpu: {gpu}");
                return Ok((Route::Pipe(PipeAddress::HOST), why));
            }
            Err(why) => why,
        };
        let others = format!("not virtgpu: {gpu}; not vsock: {vsock}");
        let display = self.host_display.ok_or_else(|| no_server(&format!(" ({others})")))?;
        Ok((Route::Socket(Arc::new(display.clone())), format!("{}; {others}", reached(display))))
    }
}

const NO_DESCRIPTORS: &str = "it carries no descriptors, so MIT-SHM and DRI3 are hidden";

const fn reached(display: &DisplayName) -> &'static str {
    if display.is_unix() {
        "the X server's Unix socket is reached directly and passes descriptors"
    } else {
        "the X server is reached over TCP, so MIT-SHM and DRI3 are hidden"
    }
}

/// Whether the host has a listener on the port that `auto` tries.
fn listening(device: &Path) -> Result<(), String> {
    if !device.exists() {
        return Err(format!("there is no {}", device.display()));
    }
    PipeAddress::HOST.connect(VSOCK_MAX).map(drop).map_err(|error| error.to_string())
}

fn no_server(others: &str) -> Error {
    let why =
        format!("there is no X server to carry clients to: set DISPLAY, or name the host display{others}");
    Error::InvalidOption { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(choice: &ChannelChoice, display: Option<&str>, named: bool) -> Result<(Route, String), Error> {
        let display = display.map(|display| DisplayName::parse(display).unwrap());
        let node = Some(Path::new("/nonexistent/renderD128"));
        let (host_display, dri3, fences) = (display.as_ref(), Dri3::Auto, FenceChoice::Auto);
        Wishes { choice, host_display, host_display_named: named, render_node: node, dri3, fences }.decide()
    }

    #[test]
    fn a_display_that_the_user_named_is_reached_by_its_socket() {
        let (route, why) = decide(&ChannelChoice::Auto, Some(":7"), true).unwrap();
        assert_eq!((route.name(), route.to_string().as_str()), ("socket", "X display :7"));
        assert!(why.contains("Unix socket"), "{why}");
        let (_, why) = decide(&ChannelChoice::Auto, Some("host:7"), true).unwrap();
        assert!(why.contains("TCP"), "{why}");
    }

    #[test]
    fn channels_that_need_a_display_say_that_there_is_none() {
        for choice in [ChannelChoice::Loopback, ChannelChoice::Socket] {
            assert_eq!(decide(&choice, None, false).unwrap_err().kind(), "invalid-option");
            assert_eq!(decide(&choice, Some(":7"), false).unwrap().0.to_string(), "X display :7");
        }
    }

    #[test]
    fn channels_that_lead_to_the_host_need_none_and_are_named_in_messages() {
        let choice = ChannelChoice::parse("tcp:[::1]:6000").unwrap();
        let (route, _) = decide(&choice, None, false).unwrap();
        assert_eq!((route.name(), route.to_string().as_str()), ("tcp", "the X server behind tcp:[::1]:6000"));
        let error = decide(&ChannelChoice::Virtgpu, None, false).unwrap_err();
        assert_eq!(error.kind(), "channel-unavailable");
        assert!(error.to_string().contains("/nonexistent/renderD128"), "{error}");
    }

    #[test]
    fn without_the_device_for_vsock_nobody_is_asked() {
        assert_eq!(listening(Path::new("/nonexistent/vsock")).unwrap_err(), "there is no /nonexistent/vsock");
    }
}
