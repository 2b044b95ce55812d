//! What a host's capset says of the way to an X server.

use std::fmt;

use cross_domain::dialect::x11bridge::FEATURE_FILES;
use cross_domain::dialect::x11bridge::fence::{FEATURE_ADOPTION, FEATURE_FENCES};
use cross_domain::{Capset, Dialect, Init, InitForm, PROTOCOL_VERSION, RING_BYTES, channel};
use session::Fences;

use super::fence_memory::FenceChoice;

/// A way to an X server, as a host offers it. Shown, it names the channel and the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    /// The channel type that leads there.
    pub(super) channel_type: u32,
    /// The host's dialect; `None` for one of libkrun and rutabaga.
    pub(super) dialect: Option<Dialect>,
    /// Bytes of the channel ring that the host uses.
    pub(super) ring_bytes: usize,
    /// Whether the host relays fences.
    pub(super) relays_fences: bool,
    /// Whether it relays those that its X server has made, too.
    pub(super) adopts_fences: bool,
    /// Whether files of a `/dev/shm` that is shared with the host can be named to it.
    pub(super) names_files: bool,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = if self.channel_type == channel::WAYLAND { "Wayland" } else { "X11" };
        let host = match self.dialect {
            Some(Dialect::X11Bridge) => "x11bridge",
            Some(Dialect::Libkrun) => "libkrun",
            Some(Dialect::Rutabaga) => "rutabaga",
            _ => "libkrun or rutabaga",
        };
        write!(f, "the {channel} channel of {host}")
    }
}

impl Offer {
    /// The offer in a capset; `None` where no channel could lead to an X server.
    ///
    /// A host that only knows of Wayland sockets can be told the path of an X server's. One that names PipeWire and
    /// nothing else may be a libkrun, whose capset has the last of its channels alone: X11 is tried.
    pub(super) fn from_capset(bytes: &[u8]) -> Result<Option<Self>, cross_domain::Error> {
        let capset = Capset::decode(bytes)?;
        let last_of_libkrun = capset.supported_channels == 1 << channel::PIPEWIRE;
        let channel_type = if capset.has_channel(channel::X11) || last_of_libkrun {
            channel::X11
        } else if capset.has_channel(channel::WAYLAND) {
            channel::WAYLAND
        } else {
            return Ok(None);
        };
        let ring_bytes =
            capset.extension.map_or(RING_BYTES, |extension| extension.channel_ring_bytes_max as usize);
        let features = capset.extension.map_or(0, |extension| extension.features);
        let relays_fences = features & FEATURE_FENCES != 0;
        let adopts_fences = relays_fences && features & FEATURE_ADOPTION != 0;
        let names_files = features & FEATURE_FILES != 0;
        let dialect = Dialect::detect(bytes);
        Ok(Some(Self { channel_type, dialect, ring_bytes, relays_fences, adopts_fences, names_files }))
    }

    /// What becomes of fences.
    /// `crosses_kernels`: whether the host has a kernel of its own; `shares`: whether some memory is of both.
    pub(super) fn fences(&self, choice: FenceChoice, crosses_kernels: bool, shares: bool) -> Fences {
        // Those are relayed.
        let adopts = self.adopts_fences && choice != FenceChoice::Shared;
        let linked = Fences::Linked { adopts };
        match choice {
            FenceChoice::Auto | FenceChoice::Shared if !crosses_kernels => Fences::Passed,
            FenceChoice::Auto | FenceChoice::Relay if self.relays_fences => linked,
            FenceChoice::Off => Fences::Lost,
            _ if shares && self.watches_futexes() => linked,
            _ => Fences::Lost,
        }
    }

    /// Whether it carries the wake-ups of fences in memory that is shared with it. What rutabaga has in the place of futexes
    /// does not.
    pub(super) fn watches_futexes(&self) -> bool {
        self.names_files || self.dialect == Some(Dialect::Libkrun)
    }

    /// The INIT that takes the offer.
    pub(super) fn init(&self, query_ring_id: u32, channel_ring_id: u32) -> Init {
        let Self { channel_type, .. } = *self;
        match self.dialect {
            Some(Dialect::X11Bridge) => {
                let channel_ring_bytes = u32::try_from(self.ring_bytes).unwrap_or(u32::MAX);
                let form = InitForm::X11Bridge { protocol_version: PROTOCOL_VERSION, channel_ring_bytes };
                Init { query_ring_id, channel_ring_id, channel_type, form }
            }
            _ => Init::for_any_host(query_ring_id, channel_ring_id, channel_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cross_domain::Extension;

    fn offered(channels: &[u32], extension: Option<Extension>) -> Option<Offer> {
        let supported_channels = channels.iter().map(|channel| 1 << channel).sum();
        let capset = Capset { version: 1, supported_channels, extension, ..Capset::default() };
        Offer::from_capset(&capset.encode()).unwrap()
    }

    #[test]
    fn the_x11_channel_is_taken_before_wayland_and_no_other_leads_to_an_x_server() {
        let channel = |channels: &[u32]| offered(channels, None).map(|offer| offer.channel_type);
        assert_eq!(channel(&[channel::WAYLAND, channel::X11]), Some(channel::X11));
        assert_eq!(channel(&[channel::WAYLAND]), Some(channel::WAYLAND));
        assert_eq!(channel(&[channel::PIPEWIRE]), Some(channel::X11));
        assert_eq!(channel(&[channel::CAMERA, channel::PIPEWIRE]), None);
        assert_eq!(channel(&[]), None);
    }

    #[test]
    fn fences_pass_where_there_is_one_kernel_and_are_linked_where_the_host_relays_them() {
        const LINKED: Fences = Fences::Linked { adopts: false };
        const ADOPTED: Fences = Fences::Linked { adopts: true };
        let ours = Extension { features: FEATURE_FENCES, ..Extension::new(1 << 16) };
        let ours = offered(&[channel::X11], Some(ours)).unwrap();
        let other = offered(&[channel::X11], None).unwrap();
        let libkrun = Offer { dialect: Some(Dialect::Libkrun), ..other };
        let names = Offer { names_files: true, relays_fences: false, ..ours };
        for (offer, choice, crosses, shares, fences) in [
            (ours, FenceChoice::Auto, false, false, Fences::Passed),
            (ours, FenceChoice::Auto, true, false, LINKED),
            (ours, FenceChoice::Shared, false, false, Fences::Passed),
            (ours, FenceChoice::Shared, true, true, Fences::Lost),
            (names, FenceChoice::Shared, true, true, LINKED),
            (names, FenceChoice::Shared, true, false, Fences::Lost),
            (names, FenceChoice::Relay, true, true, LINKED),
            (names, FenceChoice::Relay, true, false, Fences::Lost),
            (names, FenceChoice::Off, true, true, Fences::Lost),
            (ours, FenceChoice::Relay, false, false, LINKED),
            (Offer { adopts_fences: true, ..names }, FenceChoice::Relay, true, true, ADOPTED),
            (Offer { adopts_fences: true, ..names }, FenceChoice::Shared, true, true, LINKED),
            (Offer { adopts_fences: true, ..ours }, FenceChoice::Auto, true, true, ADOPTED),
            (ours, FenceChoice::Off, false, true, Fences::Lost),
            (other, FenceChoice::Auto, false, false, Fences::Passed),
            (other, FenceChoice::Auto, true, true, Fences::Lost),
            (libkrun, FenceChoice::Auto, true, true, LINKED),
            (libkrun, FenceChoice::Auto, true, false, Fences::Lost),
            (other, FenceChoice::Relay, false, false, Fences::Lost),
        ] {
            assert_eq!(offer.fences(choice, crosses, shares), fences, "{choice:?} {crosses} {shares}");
        }
    }

    #[test]
    fn the_host_is_named_and_its_larger_ring_taken() {
        let ours = offered(&[channel::X11], Some(Extension::new(1 << 16))).unwrap();
        assert_eq!((ours.to_string().as_str(), ours.ring_bytes), ("the X11 channel of x11bridge", 1 << 16));
        assert!(matches!(ours.init(1, 2).form, InitForm::X11Bridge { channel_ring_bytes: 65_536, .. }));
        assert!(!ours.names_files);
        let features = Extension { features: FEATURE_FILES, ..Extension::new(1 << 16) };
        assert!(offered(&[channel::X11], Some(features)).unwrap().names_files);
        let other = offered(&[channel::WAYLAND], None).unwrap();
        assert_eq!(
            (other.to_string().as_str(), other.ring_bytes),
            ("the Wayland channel of libkrun or rutabaga", RING_BYTES)
        );
    }
}
