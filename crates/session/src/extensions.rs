//! What a client knows of the server's extensions, and what it may use.
//!
//! Opcodes are learnt from the server's answers on this very connection; one that the client never asked for is
//! nothing it can rightly use. That is what keeps hidden extensions hidden from a client that guesses.

use x11_wire::extension::Extension;
use x11_wire::request::{EXTENSION_FIRST, LIST_EXTENSIONS, QUERY_EXTENSION, has_reply};

/// What the path to the server carries besides bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carries {
    /// File descriptors of memory, both ways: buffers, segments, pages with fences.
    pub descriptors: bool,
    /// Those of the client's machine too, and not only of what the server's has made. Elsewhere the client's segments are
    /// copied, and DRI3 gets the device of its own machine.
    pub files: bool,
    /// Descriptors of whatever else as well: timelines of DRI3 1.4, devices.
    pub timelines: bool,
    /// How fences get there.
    pub fences: Fences,
}

/// What becomes of DRI3's fences, on which processes of client and server sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fences {
    /// Both run on one kernel: their descriptors pass as others do.
    Passed,
    /// They run on two, and the caller links each fence: with `adopts` those that the server makes and exports, too.
    Linked {
        /// Whether the other side can be told of a page of the server's.
        adopts: bool,
    },
    /// Nothing carries them, so that DRI3 is hidden.
    Lost,
}

impl Carries {
    /// Bytes alone.
    pub const BYTES: Self = Self { descriptors: false, files: false, timelines: false, fences: Fences::Lost };
    /// Descriptors of the server's memory.
    pub const BLOBS: Self = Self { descriptors: true, files: false, timelines: false, fences: Fences::Lost };
    /// Descriptors of memory.
    pub const MEMORY: Self =
        Self { descriptors: true, files: true, timelines: false, fences: Fences::Passed };
    /// Every descriptor.
    pub const EVERYTHING: Self =
        Self { descriptors: true, files: true, timelines: true, fences: Fences::Passed };
}

/// What clients are offered of what the path carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offers {
    /// DRI3.
    pub dri3: bool,
    /// MIT-SHM.
    pub shm: Shm,
}

/// How much of MIT-SHM clients are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shm {
    /// Segments by descriptor, and System V segments as copies. Pixmaps can't lie in segments.
    Emulated,
    /// Segments by descriptor; System V segments are refused.
    Descriptors,
    /// None of it.
    Hidden,
}

impl Shm {
    /// Understands a name as users write it; `auto` is all that there is.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Emulated),
            "fd" => Some(Self::Descriptors),
            "hide" => Some(Self::Hidden),
            _ => None,
        }
    }
}

impl Default for Offers {
    /// All of it.
    fn default() -> Self {
        Self { dri3: true, shm: Shm::Emulated }
    }
}

/// How a request is treated, by its major opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Passes; no reply is expected.
    Plain,
    /// A core request with a reply.
    Replies,
    /// `QueryExtension`.
    QueryExtension,
    /// `ListExtensions`.
    ListExtensions,
    /// An extension of the table.
    Known(Extension),
    /// An extension opcode that the server never named to this client.
    Unlearnt,
}

/// The table of all 256 major opcodes.
#[derive(Debug)]
pub(crate) struct Extensions {
    classes: [Class; 256],
    /// The same without what was concealed since.
    learnt: [Class; 256],
    carries: Carries,
    offers: Offers,
}

impl Extensions {
    pub(crate) fn new(carries: Carries, offers: Offers) -> Self {
        let mut classes = [Class::Plain; 256];
        for (class, major) in classes.iter_mut().zip(0..=u8::MAX) {
            *class = match major {
                QUERY_EXTENSION => Class::QueryExtension,
                LIST_EXTENSIONS => Class::ListExtensions,
                EXTENSION_FIRST.. => Class::Unlearnt,
                _ if has_reply(major) => Class::Replies,
                _ => Class::Plain,
            };
        }
        Self { classes, learnt: classes, carries, offers }
    }

    pub(crate) const fn carries(&self) -> Carries {
        self.carries
    }

    /// Whether DRI3 1.4 works: without it 1.2 is what clients are told.
    pub(crate) fn carries_timelines(&self) -> bool {
        self.carries.timelines && !self.hides(Extension::Dri3)
    }

    /// Whether the caller links fences.
    pub(crate) fn links_fences(&self) -> bool {
        matches!(self.carries.fences, Fences::Linked { .. })
    }

    /// Whether those of the server can be.
    pub(crate) fn adopts_fences(&self) -> bool {
        self.carries.fences == Fences::Linked { adopts: true }
    }

    /// Whether System V segments are emulated.
    pub(crate) fn emulates_segments(&self) -> bool {
        self.carries.descriptors && self.offers.shm == Shm::Emulated
    }

    /// Whether some segments are files that stand for the client's memory, which is copied.
    pub(crate) fn copies_segments(&self) -> bool {
        let shm = self.offers.shm;
        self.carries.descriptors && (shm == Shm::Emulated || shm == Shm::Descriptors && !self.carries.files)
    }

    #[inline]
    pub(crate) fn class(&self, major: u8) -> Class {
        self.classes.get(usize::from(major)).copied().unwrap_or(Class::Unlearnt)
    }

    /// Notes that the server named `major`; `extension` is `None` for one that is only bytes.
    pub(crate) fn learn(&mut self, major: u8, extension: Option<Extension>) {
        if major < EXTENSION_FIRST || extension.is_some_and(|extension| self.hides(extension)) {
            return;
        }
        // Plain fences are the server's own affair.
        let extension = extension.filter(|extension| *extension != Extension::Sync || self.links_fences());
        let class = extension.map_or(Class::Plain, Class::Known);
        for classes in [&mut self.classes, &mut self.learnt] {
            if let Some(place) = classes.get_mut(usize::from(major)) {
                *place = class;
            }
        }
    }

    /// Takes back the extensions of these opcodes, and no others: whether the client has learnt them or not, it may not use them.
    pub(crate) fn conceal(&mut self, conceals: impl Fn(u8) -> bool) {
        for ((class, learnt), major) in self.classes.iter_mut().zip(self.learnt).zip(0..=u8::MAX) {
            *class = if conceals(major) { Class::Unlearnt } else { learnt };
        }
    }

    /// Whether clients are told that the server lacks `extension`.
    pub(crate) fn hides(&self, extension: Extension) -> bool {
        match extension {
            // They authenticate against, or map, a device of the server's machine.
            Extension::Dri2 | Extension::XFree86Dri | Extension::XFree86Dga => true,
            Extension::Dri3 => {
                !(self.carries.descriptors && self.offers.dri3) || self.carries.fences == Fences::Lost
            }
            Extension::MitShm => !self.carries.descriptors || self.offers.shm == Shm::Hidden,
            Extension::BigRequests | Extension::Present | Extension::Sync | Extension::RandR => false,
        }
    }

    /// The same by the name in a list.
    pub(crate) fn hides_name(&self, name: &[u8]) -> bool {
        Extension::from_name(name).is_some_and(|extension| self.hides(extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_hidden_extension_is_learnt() {
        let mut bytes_only = Extensions::new(Carries::BYTES, Offers::default());
        bytes_only.learn(140, Some(Extension::MitShm));
        bytes_only.learn(141, Some(Extension::Present));
        bytes_only.learn(142, None);
        assert_eq!(bytes_only.class(140), Class::Unlearnt);
        assert_eq!(bytes_only.class(141), Class::Known(Extension::Present));
        assert_eq!(bytes_only.class(142), Class::Plain);
    }

    #[test]
    fn dri3_can_be_kept_back_alone() {
        let extensions = Extensions::new(Carries::EVERYTHING, Offers { dri3: false, ..Offers::default() });
        assert!(extensions.hides(Extension::Dri3) && !extensions.hides(Extension::MitShm));
        assert!(!extensions.carries_timelines());
    }

    #[test]
    fn dri3_is_hidden_where_nothing_carries_fences() {
        let carries = Carries { fences: Fences::Lost, ..Carries::MEMORY };
        let extensions = Extensions::new(carries, Offers::default());
        assert!(extensions.hides(Extension::Dri3) && !extensions.hides(Extension::MitShm));
    }

    #[test]
    fn sync_is_only_looked_at_where_fences_are_linked() {
        for (fences, class) in [
            (Fences::Passed, Class::Plain),
            (Fences::Linked { adopts: false }, Class::Known(Extension::Sync)),
        ] {
            let mut extensions = Extensions::new(Carries { fences, ..Carries::MEMORY }, Offers::default());
            extensions.learn(140, Some(Extension::Sync));
            assert_eq!(extensions.class(140), class);
        }
    }

    #[test]
    fn a_server_cannot_redefine_core_opcodes() {
        let mut extensions = Extensions::new(Carries::EVERYTHING, Offers::default());
        extensions.learn(QUERY_EXTENSION, None);
        assert_eq!(extensions.class(QUERY_EXTENSION), Class::QueryExtension);
    }
}
