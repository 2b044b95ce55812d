//! Finding the virtio-gpu device, and what its host offers.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cross_domain::{CAPSET_EXTENDED_BYTES, CAPSET_ID, CHANNEL_RING, Dialect, QUERY_RING, encode_poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use session::{Carries, Fences};
use sys::virtgpu::{Node, Param};

use super::fence::is_signalled_within;
use super::watch::Watch;
use super::{RenderNode, Unavailable, Virtgpu, probe, window};
use crate::channel::offer::Offer;
use crate::channel::{ChannelError, FenceChoice, SharedDevShm};
use crate::error::says;
use crate::live::Dri3;

const FOLDER: &str = "/dev/dri";
const DRIVER: &str = "virtio_gpu";
/// Where libraries make files to share.
const DEV_SHM: &str = "/dev/shm";
/// Rings of a context: that of queries, and that of the channel.
const RINGS: u32 = 2;
/// The capsets that drivers of clients render with: virgl, its second version, gfxstream, Venus, and that of drivers which
/// speak to the host's own (native contexts).
const RENDERERS: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6;
/// How long the host may take to answer at all. Together with the rest, and the start of Node in an emulated guest, it stays below
/// five seconds.
const ANSWER_MAX: Duration = Duration::from_millis(2500);

/// Opens the render node anew, with a cross-domain context of its own.
pub(super) type Opener = Arc<dyn Fn() -> Result<Box<dyn RenderNode>, Errno> + Send + Sync>;

/// A virtio-gpu device whose host leads to an X server. Shown, it says so.
#[derive(Clone)]
pub struct Device {
    path: PathBuf,
    open: Opener,
    offer: Offer,
    /// Whether the host can show its memory to the guest: without that no buffer comes from it.
    shows_memory: bool,
    /// Whether it has a capset that drivers of clients render with.
    has_renderer: bool,
    /// Where memory of this machine is the host's, too.
    dev_shm: Option<SharedDevShm>,
    watch: Option<Arc<Watch>>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({self})")
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the virtio-gpu device of {} leads to {}", self.path.display(), self.offer)
    }
}

impl Device {
    /// Clients at once. What a host has not finished stays in the device's queue, and a full queue blocks everybody, the
    /// machine's other uses of its GPU too. So it holds what all of these can have in it, a POLL and what
    /// [`window`](super::window) lets them have under way, with a quarter to spare.
    pub(crate) fn clients_max(&self) -> usize {
        if self.offer.dialect == Some(Dialect::X11Bridge) {
            // QEMU's queue has 1024 entries with our host half.
            768 / (1 + window::UNDER_WAY_MAX)
        } else {
            // The others finish SENDs at once. Their queues have 256 entries, of which a POLL takes three where there are no
            // indirect descriptors, as in libkrun.
            192 / 3
        }
    }

    /// The device whose render node `open` opens, if its host leads to an X server. `path` is its name in messages.
    pub fn examine<F>(path: PathBuf, open: F) -> Result<Self, Unavailable>
    where
        F: Fn() -> Result<Box<dyn RenderNode>, Errno> + Send + Sync + 'static,
    {
        let node = open().map_err(|errno| Unavailable::Open { path: path.clone(), errno })?;
        let mut offer = check(node.as_ref(), &path)?;
        let shows_memory = node.param(Param::HostVisible) != 0;
        let has_renderer = node.param(Param::SupportedCapsetIds) & RENDERERS != 0;
        drop(node);
        let open: Opener = Arc::new(move || {
            let node = open()?;
            node.init_context(CAPSET_ID, RINGS, 1 << CHANNEL_RING)?;
            Ok(node)
        });
        offer.dialect = offer.dialect.or_else(|| probe::dialect(&open));
        let ours = offer.dialect == Some(Dialect::X11Bridge);
        let watch = ours.then(|| Watch::new(Arc::clone(&open))).transpose();
        let doing = "making an eventfd";
        let watch = watch.map_err(|errno| Unavailable::Os { path: path.clone(), doing, errno })?;
        let dev_shm = if offer.watches_futexes() { SharedDevShm::find(Path::new(DEV_SHM)) } else { None };
        Ok(Self { path, open, offer, shows_memory, has_renderer, dev_shm, watch })
    }

    /// A context for a client.
    pub(crate) fn open(&self) -> Result<Virtgpu, ChannelError> {
        let watched = self.watch.as_ref().map(Watch::enter).transpose();
        let watched = watched.map_err(|_| ChannelError { why: super::HOST_LOST.into() })?;
        let node = (self.open)().map_err(|errno| ChannelError {
            why: format!("can't open {}: {}", self.path.display(), says(errno)),
        })?;
        Ok(Virtgpu::new(node, self.clone(), watched))
    }

    /// The render node, for a client's DRI3.
    pub(super) fn open_for_client(&self) -> Result<OwnedFd, Errno> {
        rustix::fs::open(&self.path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
    }

    /// Whether clients are to be offered DRI3: where a driver of theirs can render on this node. All that render tell the
    /// host what to do by a capset of their own; without any, drivers that are handed the node give up, and buffers that
    /// they have drawn themselves are memory of the guest, which the host can't be told of. Fences have to pass as well.
    pub(in crate::channel) fn renders(&self, fences: FenceChoice) -> bool {
        self.shows_memory && self.has_renderer && self.carries_fences(fences)
    }

    /// Whether fences cross to its host in a way that is wished for.
    pub(in crate::channel) fn carries_fences(&self, choice: FenceChoice) -> bool {
        self.offer.fences(choice, true, self.dev_shm.is_some()) != Fences::Lost
    }

    /// What clients are offered over it, in a few words.
    pub(in crate::channel) fn carriage(&self, dri3: Dri3, fences: FenceChoice) -> &'static str {
        match (self.shows_memory, self.has_renderer, self.carries_fences(fences), dri3) {
            (false, ..) => "its host shows no memory to the guest, so MIT-SHM and DRI3 are hidden",
            (.., Dri3::Off) => "DRI3 is hidden, as asked",
            (_, _, false, _) => "fences don't cross to its host, so DRI3 is hidden",
            (_, false, _, Dri3::On) => "no driver renders on it, but DRI3 is offered as asked",
            (_, false, ..) => "no driver renders on it, so DRI3 is hidden",
            _ => "it carries buffers and fences, so DRI3 works",
        }
    }

    /// What its contexts carry.
    pub(in crate::channel) const fn carries(&self) -> Carries {
        if self.shows_memory { Carries::BLOBS } else { Carries::BYTES }
    }

    pub(in crate::channel) const fn offer(&self) -> Offer {
        self.offer
    }

    /// This machine's `/dev/shm`, where fences in it can be shared.
    pub(in crate::channel) const fn dev_shm(&self) -> Option<&SharedDevShm> {
        self.dev_shm.as_ref()
    }
}

/// The device of the render node at `named`, or the first one that could lead to an X server.
pub(crate) fn find(named: Option<&Path>) -> Result<Device, Unavailable> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => search(Path::new(FOLDER), |path| has_contexts(&open(path)?, path))?,
    };
    open(&path)?;
    let node = path.clone();
    Device::examine(path, move || Ok(Box::new(Node::open(&node)?)))
}

/// The first render node that `fits`: a machine may have another virtio-gpu device for its screen. If none does, what is told is
/// of the one that comes closest.
fn search(folder: &Path, fits: impl Fn(&Path) -> Result<(), Unavailable>) -> Result<PathBuf, Unavailable> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.filter(|name| name.as_encoded_bytes().starts_with(b"renderD")).collect();
    names.sort();
    let mut why = Unavailable::NoNode { folder: folder.to_owned() };
    for name in names {
        let path = folder.join(name);
        match fits(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.closeness() >= why.closeness() => why = error,
            Err(_) => {}
        }
    }
    Err(why)
}

/// Opens a node of the driver.
fn open(path: &Path) -> Result<Node, Unavailable> {
    let node = Node::open(path).map_err(|errno| Unavailable::Open { path: path.to_owned(), errno })?;
    let driver = node.driver().ok();
    if driver.as_deref() == Some(DRIVER) {
        return Ok(node);
    }
    Err(Unavailable::OtherDriver { path: path.to_owned(), driver })
}

/// Whether driver and host have cross-domain contexts. The host is not asked: the driver knows.
fn has_contexts(node: &dyn RenderNode, path: &Path) -> Result<(), Unavailable> {
    let needed = [Param::Features3d, Param::ResourceBlob, Param::ContextInit];
    if needed.iter().any(|param| node.param(*param) == 0) {
        return Err(Unavailable::NoContextInit { path: path.to_owned() });
    }
    if node.param(Param::SupportedCapsetIds) & (1 << CAPSET_ID) == 0 {
        return Err(Unavailable::NoCapset { path: path.to_owned() });
    }
    Ok(())
}

/// What the host offers, once it is clear that contexts can be made and that it answers.
fn check(node: &dyn RenderNode, path: &Path) -> Result<Offer, Unavailable> {
    has_contexts(node, path)?;
    let path = || path.to_owned();
    let os = |doing| move |errno| Unavailable::Os { path: path(), doing, errno };
    node.init_context(CAPSET_ID, RINGS, 1 << CHANNEL_RING).map_err(os("making a context"))?;
    // Before the capset is asked for: that call can't be given a time limit.
    if !answers(node).map_err(os("submitting a command"))? {
        return Err(Unavailable::Silent { path: path(), limit: ANSWER_MAX });
    }
    let mut capset = [0; CAPSET_EXTENDED_BYTES];
    node.capset(CAPSET_ID, &mut capset).map_err(os("asking for the capset"))?;
    match Offer::from_capset(&capset) {
        Ok(offer) => offer.ok_or_else(|| Unavailable::NoChannel { path: path() }),
        Err(error) => Err(Unavailable::Misbehaved { path: path(), why: error.to_string() }),
    }
}

/// Whether the host carries out commands: a POLL on the ring of queries is one that has nothing to wait for.
fn answers(node: &dyn RenderNode) -> Result<bool, Errno> {
    let fence = node.execbuffer(&encode_poll(), Some(QUERY_RING), true)?;
    fence.map_or(Ok(false), |fence| is_signalled_within(&fence, ANSWER_MAX))
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use cross_domain::dialect::x11bridge::fence::FEATURE_FENCES;
    use cross_domain::{Capset, Extension, channel};

    fn sentence(error: &Unavailable) -> String {
        error.to_string()
    }

    #[test]
    fn without_a_render_node_the_device_is_asked_for() {
        let folder = std::env::temp_dir().join(format!("x11bridge-dri-{}", std::process::id()));
        let search = || search(&folder, |path| open(path).map(drop));
        let error = search().unwrap_err();
        assert_eq!(error, Unavailable::NoNode { folder: folder.clone() });
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("card0"), "").unwrap();
        assert!(sentence(&search().unwrap_err()).contains("there is no render node in"));
        std::fs::write(folder.join("renderD128"), "").unwrap();
        let error = search().unwrap_err();
        assert!(sentence(&error).contains("renderD128 is no render node"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn of_several_nodes_the_first_with_contexts_is_taken_and_else_the_closest_told_of() {
        let folder = std::env::temp_dir().join(format!("x11bridge-dri-several-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let fit = |nodes: &[(&str, Option<Unavailable>)]| {
            for (name, _) in nodes {
                std::fs::write(folder.join(name), "").unwrap();
            }
            let fits = |path: &Path| {
                let (_, why) = nodes.iter().find(|(name, _)| path.ends_with(name)).unwrap();
                why.clone().map_or(Ok(()), Err)
            };
            search(&folder, fits)
        };
        let path = || PathBuf::from("/dev/dri/renderD128");
        let other = Some(Unavailable::OtherDriver { path: path(), driver: Some("vgem".into()) });
        let screen = Some(Unavailable::NoContextInit { path: path() });
        let refused = Some(Unavailable::Open { path: path(), errno: Errno::ACCESS });
        let (first, second) = ("renderD128", "renderD129");
        for (why, expected) in [
            ([screen.clone(), None], None),
            ([screen.clone(), other.clone()], screen.clone()),
            ([other.clone(), screen.clone()], screen.clone()),
            ([refused.clone(), screen], refused.clone()),
            ([other, refused.clone()], refused),
        ] {
            let [one, two] = why;
            let found = fit(&[(first, one), (second, two)]);
            assert_eq!(found, expected.map_or_else(|| Ok(folder.join(second)), Err));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_node_that_was_named_is_the_one_that_the_error_is_about() {
        let error = find(Some(Path::new("/nonexistent/renderD128"))).unwrap_err();
        assert!(
            sentence(&error).starts_with("can't open /nonexistent/renderD128: no such file or directory"),
            "{error}"
        );
        let error = find(Some(Path::new("/dev/null"))).unwrap_err();
        assert_eq!(error, Unavailable::OtherDriver { path: "/dev/null".into(), driver: None });
    }

    #[test]
    fn whatever_a_device_lacks_is_a_sentence_of_its_own() {
        let x11 = 1 << cross_domain::channel::X11;
        for (fault, expected) in [
            (Fake { context_init: 0, ..Fake::default() }, "takes no capset for a context"),
            (Fake { capsets: 0b1_1110, ..Fake::default() }, "offers no cross-domain contexts"),
            (Fake { makes_contexts: Err(Errno::INVAL), ..Fake::default() }, "making a context on"),
            (Fake { answers: None, ..Fake::default() }, "did not answer within 2.5 s"),
            (Fake { takes_commands: Err(Errno::NODEV), ..Fake::default() }, "submitting a command on"),
            (
                Fake { capset: [1, 0, 0, 0].map(u32::to_le_bytes).concat(), ..Fake::default() },
                "neither an X11",
            ),
            (
                Fake {
                    capset: [1, x11, 0, 0, 0x4231_3158, 1, 5000].map(u32::to_le_bytes).concat(),
                    ..Fake::default()
                },
                "can't be used",
            ),
        ] {
            let error = Device::examine("/dev/dri/renderD128".into(), move || Ok(Box::new(fault.clone())));
            let sentence = error.unwrap_err().to_string();
            assert!(sentence.contains(expected) && sentence.contains("/dev/dri/renderD128"), "{sentence}");
            assert!(!sentence.contains('\n') && sentence.contains(';'), "{sentence}");
        }
    }

    #[test]
    fn a_device_that_lacks_nothing_is_taken() {
        let device = Device::examine("/dev/dri/renderD128".into(), || Ok(Box::new(Fake::default()))).unwrap();
        assert!(device.to_string().ends_with("the X11 channel of x11bridge"), "{device}");
        assert!(device.clients_max() >= 100);
    }

    #[test]
    fn what_clients_are_offered_is_said_as_it_is() {
        let fake = |extension, capsets| Fake {
            capsets,
            capset: Capset { supported_channels: 1 << channel::X11, extension, ..Capset::default() }.encode(),
            ..Fake::default()
        };
        let device = |fake: Fake| {
            Device::examine("/dev/dri/renderD128".into(), move || Ok(Box::new(fake.clone()))).unwrap()
        };
        let relays = Some(Extension { features: FEATURE_FENCES, ..Extension::new(1 << 16) });
        let (none, venus) = (1 << CAPSET_ID, 1 << CAPSET_ID | 1 << 4);
        for (extension, capsets, dri3, fences, expected) in [
            (relays, venus, Dri3::Auto, FenceChoice::Auto, "so DRI3 works"),
            (relays, none, Dri3::Auto, FenceChoice::Auto, "so DRI3 is hidden"),
            (relays, none, Dri3::On, FenceChoice::Auto, "DRI3 is offered as asked"),
            (relays, none, Dri3::On, FenceChoice::Shared, "fences don't cross"),
            (relays, venus, Dri3::Off, FenceChoice::Auto, "hidden, as asked"),
            (Some(Extension::new(1 << 16)), venus, Dri3::On, FenceChoice::Auto, "fences don't cross"),
        ] {
            let device = device(fake(extension, capsets));
            let words = device.carriage(dri3, fences);
            assert!(words.contains(expected), "{words}");
            assert!(dri3 != Dri3::Auto || device.renders(fences) == words.ends_with("works"));
        }
    }
}
