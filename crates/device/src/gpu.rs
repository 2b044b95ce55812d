//! A virtio-gpu device without a picture: contexts of the cross-domain kind, and blobs.
//!
//! The guest may send anything. What it says is checked, counted and refused by a number of the protocol; ids of others
//! do not exist for a context, and nothing here waits for anybody.

mod blobs;
mod entry;
mod platform;
mod protocol;
mod window;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use cross_domain::CAPSET_EXTENDED_BYTES;
use cross_domain::dialect::x11bridge::NEW_MEMORY;
use sys::Blob;

use self::blobs::{CreateBlob, Kind, Mapped, Resource, Resources};
use self::entry::{Entry, Workspace};
use self::protocol::{cmd, display_info, u32_at, u64_at};
use self::window::{Unfit, Window};
use crate::context::Context;
use crate::exports::Exports;
use crate::opening::{OpenFailure, Opened, Opening};

pub use self::blobs::{BLOB_BYTES_MAX, BLOBS_MAX, PIECES_TOTAL_MAX};
pub use self::entry::{HELD_BYTES_MAX, HELD_MAX, REQUEST_BYTES_MAX};
pub use self::platform::{ContextKey, MapRequest, Platform, Ready, Report};
pub use self::protocol::{FEATURES, HEADER_BYTES, HOST_VISIBLE, Header, Response, Status, config};
pub use self::window::MAPS_MAX;

/// Contexts at once by default: each program of the guest that draws has one.
pub const CONTEXTS_DEFAULT: usize = 512;
/// Contexts at once that may be asked for.
pub const CONTEXTS_MAX: usize = 65_536;

/// The capability set of cross-domain contexts.
const CAPSET_CROSS_DOMAIN: u32 = 5;
/// The version of it that GET_CAPSET_INFO names.
const CAPSET_VERSION: u32 = 0;
/// A mapping is cached as all memory is.
const MAP_CACHED: u32 = 1;
/// Bytes of a context's name in CTX_CREATE.
const NAME_BYTES: usize = 64;

/// What a guest may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Contexts at once.
    pub contexts: usize,
    /// Bytes of the window for blobs of the host.
    pub window_bytes: u64,
}

/// A device. `C` is what its platform calls a request.
#[derive(Debug)]
pub struct Gpu<C> {
    limits: Limits,
    /// Files of the guest that its contexts may name.
    exports: Exports,
    contexts: HashMap<u32, Entry<C>>,
    last_serial: u32,
    resources: Resources,
    window: Window,
    /// Which mapping was the last.
    last_mapping: u64,
    /// Requests that wait for the window, in the order of the calls; `None` where nobody waits.
    mapping: VecDeque<Option<Mapping<C>>>,
    workspace: Workspace,
}

/// A request about the window.
#[derive(Debug)]
struct Mapping<C> {
    chain: C,
    header: Header,
    /// The resource to map, and which mapping it is; `None` to unmap.
    maps: Option<(u32, u64)>,
}

/// What a request that is answered at once comes to.
type Answer = Result<(Status, Vec<u8>), Status>;

impl<C> Gpu<C> {
    /// A device as it is after a reset, of a guest whose files have no names.
    pub fn new(limits: Limits) -> Self {
        Self::with_exports(limits, Exports::default())
    }

    /// The same of a guest some of whose files have names.
    pub fn with_exports(limits: Limits, exports: Exports) -> Self {
        Self {
            limits,
            exports,
            contexts: HashMap::new(),
            last_serial: 0,
            resources: Resources::default(),
            window: Window::new(limits.window_bytes),
            last_mapping: 0,
            mapping: VecDeque::new(),
            workspace: Workspace::default(),
        }
    }

    /// Contexts that there are.
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Takes a request of the control queue.
    pub fn request<P: Platform<Chain = C>>(&mut self, platform: &mut P, chain: C) {
        let mut workspace = std::mem::take(&mut self.workspace);
        let whole = platform.read(&chain, REQUEST_BYTES_MAX, &mut workspace.scratch);
        match Header::decode(&workspace.scratch) {
            None => refuse(platform, chain, &Header::default(), Status::Unspecified),
            Some(header) if !whole => refuse(platform, chain, &header, Status::OutOfMemory),
            Some(header) => self.dispatch(platform, chain, header, &mut workspace),
        }
        self.workspace = workspace;
    }

    /// Takes what became of the opening of a channel.
    pub fn opened<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        key: ContextKey,
        result: Result<Opened, OpenFailure>,
    ) {
        let Some(entry) = self.contexts.get_mut(&key.id).filter(|entry| entry.key == key) else { return };
        entry.opened(platform, result, &mut self.workspace);
    }

    /// Takes what a context's socket is ready for.
    pub fn socket_ready<P: Platform<Chain = C>>(&mut self, platform: &mut P, key: ContextKey, ready: Ready) {
        let Some(entry) = self.contexts.get_mut(&key.id).filter(|entry| entry.key == key) else { return };
        entry.socket_ready(platform, ready, &mut self.workspace);
    }

    /// Takes note that a context has something to say about a fence.
    pub fn fence_news<P: Platform<Chain = C>>(&mut self, platform: &mut P, key: ContextKey) {
        if let Some(entry) = self.contexts.get_mut(&key.id).filter(|entry| entry.key == key) {
            entry.settle(platform);
        }
    }

    /// Goes on after a time in which nothing was told here: every socket may have bytes, their end, or room.
    pub fn resume<P: Platform<Chain = C>>(&mut self, platform: &mut P) {
        let ready = Ready { bytes: true, end: true, room: true };
        for entry in self.contexts.values_mut() {
            entry.socket_ready(platform, ready, &mut self.workspace);
        }
    }

    /// Takes the answer to the oldest request about the window that has none yet.
    pub fn mapped<P: Platform<Chain = C>>(&mut self, platform: &mut P, works: bool) {
        let Some(Some(Mapping { chain, header, maps })) = self.mapping.pop_front() else { return };
        // By now the resource may be another of this id, or be mapped once more.
        if let Some((id, serial)) = maps.filter(|_| !works)
            && let Some(Resource::Host { mapped, .. }) = self.resources.get(id)
            && let Some(Mapped { offset, .. }) = mapped.take_if(|mapped| mapped.serial == serial)
        {
            self.window.free(offset);
        }
        let (status, body) = match (works, maps) {
            (false, _) => (Status::Unspecified, vec![]),
            (true, None) => (Status::NoData, vec![]),
            (true, Some(_)) => (Status::MapInfo, words(&[MAP_CACHED, 0])),
        };
        platform.complete(chain, &Response::new(&header, status, body));
    }

    /// Forgets everything, as when the guest's driver starts anew: nobody waits for what was held.
    pub fn reset<P: Platform<Chain = C>>(&mut self, platform: &mut P, reason: &str) {
        for (_, entry) in std::mem::take(&mut self.contexts) {
            entry.report_closed(platform, reason);
        }
        for (offset, len) in self.window.drain() {
            if platform.map(MapRequest::Unmap { offset, len }) {
                self.mapping.push_back(None);
            }
        }
        for waiting in &mut self.mapping {
            *waiting = None;
        }
        self.resources = Resources::default();
        self.workspace = Workspace::default();
    }

    fn dispatch<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        chain: C,
        header: Header,
        workspace: &mut Workspace,
    ) {
        let answer = match header.cmd {
            cmd::SUBMIT_3D => match self.contexts.get_mut(&header.context) {
                Some(entry) => return entry.submit(platform, chain, header, workspace),
                None => Err(Status::InvalidContext),
            },
            cmd::RESOURCE_MAP_BLOB => return self.map(platform, chain, header, &workspace.scratch),
            cmd::RESOURCE_UNMAP_BLOB => return self.unmap(platform, chain, header, &workspace.scratch),
            cmd::CTX_CREATE => self.create_context(platform, &header, &workspace.scratch),
            cmd::CTX_DESTROY => self.destroy_context(platform, &header, workspace),
            cmd::RESOURCE_UNREF => self.unref(platform, workspace),
            cmd::RESOURCE_DETACH_BACKING => self.detach_backing(platform, workspace),
            cmd::RESOURCE_CREATE_BLOB => self.create_blob(platform, &header, &workspace.scratch),
            _ => self.answer(&header, &workspace.scratch),
        };
        let (status, body) = match answer {
            Ok(answer) => answer,
            Err(status) => {
                let (cmd, context) = (header.cmd, header.context);
                let why =
                    format!("the guest's request {cmd:#x} in its context {context} was refused: {status:?}");
                platform.report(Report::Refused(why));
                (status, vec![])
            }
        };
        platform.complete(chain, &Response::new(&header, status, body));
    }

    /// Requests that concern nobody but the device.
    fn answer(&mut self, header: &Header, request: &[u8]) -> Answer {
        match header.cmd {
            cmd::GET_DISPLAY_INFO => Ok((Status::DisplayInfo, display_info())),
            cmd::GET_CAPSET_INFO => capset_info(request),
            cmd::GET_CAPSET => capset(request),
            cmd::CTX_ATTACH_RESOURCE => self.attach(header, request),
            cmd::CTX_DETACH_RESOURCE => self.detach(header, request),
            cmd::RESOURCE_CREATE_2D => {
                self.resources.insert(id_of(request)?, Resource::Picture)?;
                Ok(DONE)
            }
            // A console of the guest that draws for a screen that is not there: older drivers insist on one.
            cmd::SET_SCANOUT
            | cmd::RESOURCE_FLUSH
            | cmd::TRANSFER_TO_HOST_2D
            | cmd::RESOURCE_ATTACH_BACKING => Ok(DONE),
            _ => Err(Status::Unspecified),
        }
    }

    fn create_context<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        header: &Header,
        request: &[u8],
    ) -> Answer {
        let name_bytes = u32_at(request, HEADER_BYTES).and_then(|len| usize::try_from(len).ok());
        let (Some(name_bytes), Some(kind)) = (name_bytes, u32_at(request, HEADER_BYTES + 4)) else {
            return Err(Status::InvalidParameter);
        };
        if kind & 0xff != CAPSET_CROSS_DOMAIN {
            return Err(Status::InvalidParameter);
        }
        if header.context == 0 || self.contexts.contains_key(&header.context) {
            return Err(Status::InvalidContext);
        }
        if self.contexts.len() >= self.limits.contexts {
            return Err(Status::OutOfMemory);
        }
        let name = request.get(HEADER_BYTES + 8..).unwrap_or_default();
        let name = name.get(..name_bytes.min(NAME_BYTES)).unwrap_or_default();
        let name = String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default());
        self.last_serial = self.last_serial.wrapping_add(1);
        let key = ContextKey { id: header.context, serial: self.last_serial };
        let mut context = Context::of_guest(Box::new(|_| Opening::Later), self.exports.clone());
        context.relay_fences(platform.fence_notifier(key));
        self.contexts.insert(header.context, Entry::new(key, context));
        platform.report(Report::ContextOpened { number: key.serial, name: name.into_owned() });
        Ok(DONE)
    }

    fn destroy_context<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        header: &Header,
        workspace: &mut Workspace,
    ) -> Answer {
        let entry = self.contexts.remove(&header.context).ok_or(Status::InvalidContext)?;
        entry.destroy(platform, workspace, "the guest closed it");
        Ok(DONE)
    }

    fn attach(&mut self, header: &Header, request: &[u8]) -> Answer {
        let entry = self.contexts.get_mut(&header.context).ok_or(Status::InvalidContext)?;
        let id = id_of(request)?;
        match self.resources.get(id).ok_or(Status::InvalidResource)? {
            Resource::Guest { blob, .. } => entry.context.resources().attach(id, Arc::clone(blob)),
            Resource::Host { file, .. } => entry.attach_file(id, Arc::clone(file)),
            Resource::Picture => Ok(()),
        }
        .map_err(|_| Status::OutOfMemory)?;
        Ok(DONE)
    }

    fn detach(&mut self, header: &Header, request: &[u8]) -> Answer {
        let entry = self.contexts.get_mut(&header.context).ok_or(Status::InvalidContext)?;
        entry.detach(id_of(request)?);
        Ok(DONE)
    }

    fn create_blob<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        header: &Header,
        request: &[u8],
    ) -> Answer {
        let CreateBlob { id, kind, bytes } = CreateBlob::decode(request)?;
        let resource = match kind {
            Kind::Guest { entries } => {
                let place = |address, len, pieces: &mut _| platform.pieces(address, len, pieces);
                blobs::guest_blob(request, entries, bytes, place)?
            }
            Kind::Host { item: NEW_MEMORY } => self.resources.new_memory(bytes, self.limits.window_bytes)?,
            Kind::Host { item } => self.host_blob(header, id, item, bytes)?,
        };
        self.resources.insert(id, resource)?;
        Ok(DONE)
    }

    /// A blob of an item of the context, which is used up even if it does not fit: it can fit no better later.
    fn host_blob(&mut self, header: &Header, id: u32, item: u64, bytes: u64) -> Result<Resource, Status> {
        self.resources.check_room(id)?;
        let entry = self.contexts.get_mut(&header.context).ok_or(Status::InvalidContext)?;
        let item = u32::try_from(item).ok().and_then(|item| entry.context.resources().take_item(item));
        blobs::host_blob(item.ok_or(Status::InvalidParameter)?, bytes)
    }

    fn unref<P: Platform<Chain = C>>(&mut self, platform: &mut P, workspace: &mut Workspace) -> Answer {
        let id = id_of(&workspace.scratch)?;
        let resource = self.resources.remove(id).ok_or(Status::InvalidResource)?;
        if matches!(resource, Resource::Host { .. }) {
            self.contexts.values_mut().for_each(|entry| entry.detach(id));
        }
        match resource {
            Resource::Guest { blob, .. } => self.give_back(platform, id, &blob, workspace),
            Resource::Host { mapped: Some(Mapped { offset, .. }), .. } => {
                if let Some(len) = self.window.free(offset)
                    && platform.map(MapRequest::Unmap { offset, len })
                {
                    self.mapping.push_back(None);
                }
            }
            Resource::Host { mapped: None, .. } | Resource::Picture => {}
        }
        Ok(DONE)
    }

    /// The resource stays, without its memory.
    fn detach_backing<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        workspace: &mut Workspace,
    ) -> Answer {
        let id = id_of(&workspace.scratch)?;
        if let Some(blob) = self.resources.take_memory(id) {
            self.give_back(platform, id, &blob, workspace);
        }
        Ok(DONE)
    }

    /// Leaves memory to the guest, which may use it for something else once it is told.
    fn give_back<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        id: u32,
        blob: &Arc<Blob>,
        workspace: &mut Workspace,
    ) {
        for entry in self.contexts.values_mut() {
            entry.context.resources().detach(id);
            entry.lose(platform, blob, workspace);
        }
    }

    fn map<P: Platform<Chain = C>>(&mut self, platform: &mut P, chain: C, header: Header, request: &[u8]) {
        match self.begin_map(platform, request) {
            Ok(maps) => self.mapping.push_back(Some(Mapping { chain, header, maps: Some(maps) })),
            Err(status) => refuse(platform, chain, &header, status),
        }
    }

    fn begin_map<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        request: &[u8],
    ) -> Result<(u32, u64), Status> {
        let id = id_of(request)?;
        let offset = u64_at(request, HEADER_BYTES + 8).ok_or(Status::InvalidParameter)?;
        let Some(Resource::Host { file, bytes, mapped, .. }) = self.resources.get(id) else {
            return Err(Status::InvalidResource);
        };
        if mapped.is_some() {
            return Err(Status::InvalidParameter);
        }
        let (file, len) = (file.try_clone().map_err(|_| Status::OutOfMemory)?, *bytes);
        self.window.take(offset, len).map_err(|unfit| match unfit {
            Unfit::Place => Status::InvalidParameter,
            Unfit::Full => Status::OutOfMemory,
        })?;
        if !platform.map(MapRequest::Map { file, from: 0, offset, len }) {
            self.window.free(offset);
            return Err(Status::Unspecified);
        }
        self.last_mapping += 1;
        *mapped = Some(Mapped { offset, serial: self.last_mapping });
        Ok((id, self.last_mapping))
    }

    fn unmap<P: Platform<Chain = C>>(&mut self, platform: &mut P, chain: C, header: Header, request: &[u8]) {
        match self.begin_unmap(platform, request) {
            Ok(()) => self.mapping.push_back(Some(Mapping { chain, header, maps: None })),
            Err(status) => refuse(platform, chain, &header, status),
        }
    }

    /// The place is free at once: requests about the window are carried out in order.
    fn begin_unmap<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        request: &[u8],
    ) -> Result<(), Status> {
        let Some(Resource::Host { mapped, .. }) = self.resources.get(id_of(request)?) else {
            return Err(Status::InvalidResource);
        };
        let Mapped { offset, .. } = mapped.take().ok_or(Status::InvalidParameter)?;
        let len = self.window.free(offset).ok_or(Status::InvalidParameter)?;
        if platform.map(MapRequest::Unmap { offset, len }) { Ok(()) } else { Err(Status::Unspecified) }
    }
}

const DONE: (Status, Vec<u8>) = (Status::NoData, vec![]);

fn refuse<P: Platform>(platform: &mut P, chain: P::Chain, header: &Header, status: Status) {
    platform.complete(chain, &Response::new(header, status, vec![]));
}

/// The resource that a request is about.
fn id_of(request: &[u8]) -> Result<u32, Status> {
    u32_at(request, HEADER_BYTES).ok_or(Status::InvalidParameter)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn capset_info(request: &[u8]) -> Answer {
    match u32_at(request, HEADER_BYTES) {
        Some(0) => {
            let bytes = u32::try_from(CAPSET_EXTENDED_BYTES).unwrap_or(u32::MAX);
            Ok((Status::CapsetInfo, words(&[CAPSET_CROSS_DOMAIN, CAPSET_VERSION, bytes, 0])))
        }
        _ => Err(Status::InvalidParameter),
    }
}

fn capset(request: &[u8]) -> Answer {
    match u32_at(request, HEADER_BYTES) {
        Some(CAPSET_CROSS_DOMAIN) => Ok((Status::Capset, Context::capset())),
        _ => Err(Status::InvalidParameter),
    }
}
