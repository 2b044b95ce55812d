//! `rutabaga_gfx` as a virtio-gpu device runs it: one thread that carries out what is in the queue, in order, and may
//! block on an X server; and the calls of a render node, as the kernel's driver answers them in front of that.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bridge::channel::RenderNode;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rutabaga_gfx::{
    RUTABAGA_BLOB_FLAG_USE_MAPPABLE, RUTABAGA_BLOB_FLAG_USE_SHAREABLE, RUTABAGA_BLOB_MEM_GUEST,
    RUTABAGA_BLOB_MEM_HOST3D, RUTABAGA_FLAG_FENCE, RUTABAGA_FLAG_INFO_RING_IDX, ResourceCreateBlob, Rutabaga,
    RutabagaBuilder, RutabagaError, RutabagaFence, RutabagaFenceHandler, RutabagaHandle, RutabagaIovec,
    RutabagaPath, RutabagaResult,
};
use sys::SharedMap;
use sys::virtgpu::{BlobMem, Buffer, Param};

/// Id of the cross-domain capset.
const CAPSET_ID: u32 = 5;
/// Entries of the device's queue: who finds it full waits.
const QUEUE: usize = 256;

/// What is in the queue.
enum Command {
    Capset(SyncSender<Vec<u8>>),
    CreateContext(u32),
    DestroyContext(u32),
    /// The address and the length of the memory; whoever sends it keeps the mapping until the context is destroyed.
    CreateBlob {
        context: u32,
        resource: u32,
        memory: RutabagaIovec,
    },
    /// A blob of an item of the context; the answer is a descriptor of its file.
    TakeItem {
        context: u32,
        resource: u32,
        item: u64,
        bytes: u64,
        answer: SyncSender<OwnedFd>,
    },
    AttachResource {
        context: u32,
        resource: u32,
    },
    DetachResource {
        context: u32,
        resource: u32,
    },
    Submit {
        context: u32,
        commands: Vec<u8>,
        ring: u8,
        fence: Option<u64>,
    },
}

/// Descriptors to signal, by the number of the fence.
type Fences = Arc<Mutex<HashMap<u64, OwnedFd>>>;

/// A device of one virtual machine. Its thread ends with the last handle to it.
#[derive(Clone)]
pub struct Device {
    queue: SyncSender<Command>,
    fences: Fences,
    /// Resources by their file: what is one memory is one buffer.
    buffers: Arc<Mutex<HashMap<(u64, u64), u32>>>,
    last_context: Arc<AtomicU32>,
    last_resource: Arc<AtomicU32>,
    last_fence: Arc<AtomicU64>,
}

impl Device {
    /// A device whose host has sockets at these paths, by channel type.
    pub fn start(sockets: Vec<(u32, PathBuf)>) -> Self {
        let (queue, commands) = sync_channel(QUEUE);
        let fences = Fences::default();
        let signalled = Arc::clone(&fences);
        std::thread::spawn(move || {
            let handler = RutabagaFenceHandler::new(move |fence: RutabagaFence| {
                signal(&signalled, fence.fence_id);
            });
            let paths = sockets.into_iter().map(|(path_type, path)| RutabagaPath { path, path_type });
            let builder = RutabagaBuilder::new(1 << CAPSET_ID, handler);
            if let Ok(rutabaga) = builder.set_rutabaga_paths(Some(paths.collect())).build() {
                carry_out(rutabaga, &commands);
            }
        });
        Self {
            queue,
            fences,
            buffers: Arc::default(),
            last_context: Arc::default(),
            last_resource: Arc::default(),
            last_fence: Arc::default(),
        }
    }

    /// Opens its render node.
    pub fn open(&self) -> Result<Box<dyn RenderNode>, Errno> {
        let events = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE)?;
        let context = self.last_context.fetch_add(1, Relaxed) + 1;
        Ok(Box::new(Node { device: self.clone(), context, events }))
    }

    fn put(&self, command: Command) -> Result<(), Errno> {
        self.queue.send(command).map_err(|_| Errno::NODEV)
    }

    /// A new fence that signals `descriptor`.
    fn fence(&self, descriptor: &OwnedFd) -> Result<u64, Errno> {
        let id = self.last_fence.fetch_add(1, Relaxed) + 1;
        let descriptor = rustix::io::fcntl_dupfd_cloexec(descriptor, 0)?;
        self.fences.lock().unwrap_or_else(PoisonError::into_inner).insert(id, descriptor);
        Ok(id)
    }
}

fn signal(fences: &Fences, id: u64) {
    let descriptor = fences.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    if let Some(descriptor) = descriptor {
        let _ = rustix::io::write(descriptor, &1_u64.to_ne_bytes());
    }
}

fn carry_out(mut rutabaga: Rutabaga, commands: &Receiver<Command>) {
    for command in commands {
        // As for a kernel, an error is nothing but the answer of the device: nobody hears of it.
        let _ = match command {
            Command::Capset(answer) => rutabaga.get_capset(CAPSET_ID, 0).map(|capset| {
                let _ = answer.send(capset);
            }),
            Command::CreateContext(context) => rutabaga.create_context(context, CAPSET_ID, None),
            Command::DestroyContext(context) => rutabaga.destroy_context(context),
            Command::CreateBlob { context, resource, memory } => {
                create_blob(&mut rutabaga, context, resource, memory)
            }
            Command::TakeItem { context, resource, item, bytes, answer } => {
                take_item(&mut rutabaga, context, resource, (item, bytes)).map(|file| {
                    let _ = answer.send(file);
                })
            }
            Command::AttachResource { context, resource } => {
                rutabaga.context_attach_resource(context, resource)
            }
            Command::DetachResource { context, resource } => {
                rutabaga.context_detach_resource(context, resource)
            }
            Command::Submit { context, mut commands, ring, fence } => {
                let _ = rutabaga.submit_command(context, &mut commands, &[]);
                let flags = RUTABAGA_FLAG_FENCE | RUTABAGA_FLAG_INFO_RING_IDX;
                fence.map_or(Ok(()), |fence_id| {
                    rutabaga.create_fence(RutabagaFence { flags, fence_id, ctx_id: context, ring_idx: ring })
                })
            }
        };
    }
}

fn create_blob(
    rutabaga: &mut Rutabaga,
    context: u32,
    resource: u32,
    memory: RutabagaIovec,
) -> RutabagaResult<()> {
    let blob = ResourceCreateBlob {
        blob_mem: RUTABAGA_BLOB_MEM_GUEST,
        blob_flags: RUTABAGA_BLOB_FLAG_USE_MAPPABLE,
        blob_id: 0,
        size: memory.len as u64,
    };
    // Guest memory belongs to no context, as the kernel has it.
    rutabaga.resource_create_blob(0, resource, blob, Some(vec![memory]), None)?;
    rutabaga.context_attach_resource(context, resource)
}

/// What a monitor maps for the guest.
fn take_item(
    rutabaga: &mut Rutabaga,
    context: u32,
    resource: u32,
    (blob_id, size): (u64, u64),
) -> RutabagaResult<OwnedFd> {
    let blob = ResourceCreateBlob {
        blob_mem: RUTABAGA_BLOB_MEM_HOST3D,
        blob_flags: RUTABAGA_BLOB_FLAG_USE_MAPPABLE | RUTABAGA_BLOB_FLAG_USE_SHAREABLE,
        blob_id,
        size,
    };
    rutabaga.resource_create_blob(context, resource, blob, None, None)?;
    match rutabaga.export_blob(resource)? {
        RutabagaHandle::MagmaGpuHandle(handle) => {
            handle.os_handle.as_fd().try_clone_to_owned().map_err(|_| RutabagaError::InvalidResourceId)
        }
        RutabagaHandle::AhbInfo(_) => Err(RutabagaError::InvalidResourceId),
    }
}

/// One open file of the render node.
struct Node {
    device: Device,
    context: u32,
    events: OwnedFd,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.device.put(Command::DestroyContext(self.context));
    }
}

impl RenderNode for Node {
    fn param(&self, param: Param) -> u32 {
        if param == Param::SupportedCapsetIds { 1 << CAPSET_ID } else { 1 }
    }

    fn init_context(&self, capset_id: u32, _rings: u32, _poll_mask: u64) -> Result<(), Errno> {
        if capset_id != CAPSET_ID {
            return Err(Errno::INVAL);
        }
        self.device.put(Command::CreateContext(self.context))
    }

    fn capset(&self, _capset_id: u32, out: &mut [u8]) -> Result<(), Errno> {
        let (answer, answered) = sync_channel(1);
        self.device.put(Command::Capset(answer))?;
        let capset = answered.recv().map_err(|_| Errno::BUSY)?;
        for (out, byte) in out.iter_mut().zip(capset) {
            *out = byte;
        }
        Ok(())
    }

    fn create_guest_blob(&self, bytes: usize) -> Result<(u32, SharedMap), Errno> {
        let resource = self.device.last_resource.fetch_add(1, Relaxed) + 1;
        let (guests, memfd) = SharedMap::create(bytes)?;
        // Rutabaga's own mapping, which stays as long as the process: it may write when the guest has gone.
        let hosts = Box::leak(Box::new(SharedMap::map(memfd.as_fd(), bytes)?));
        let memory = RutabagaIovec { base: hosts.as_ptr().cast(), len: bytes };
        self.device.put(Command::CreateBlob { context: self.context, resource, memory })?;
        Ok((resource, guests))
    }

    fn import(&self, descriptor: BorrowedFd<'_>) -> Result<Buffer, Errno> {
        let status = rustix::fs::fstat(descriptor)?;
        let buffers = self.device.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let resource = *buffers.get(&(status.st_dev, status.st_ino)).ok_or(Errno::INVAL)?;
        self.device.put(Command::AttachResource { context: self.context, resource })?;
        let size = u32::try_from(status.st_size).map_err(|_| Errno::OVERFLOW)?;
        Ok(Buffer { handle: resource, resource_id: resource, size, mem: BlobMem::Host })
    }

    fn close(&self, handle: u32) {
        let _ = self.device.put(Command::DetachResource { context: self.context, resource: handle });
    }

    fn take(&self, item: u64, bytes: u64) -> Result<OwnedFd, Errno> {
        let resource = self.device.last_resource.fetch_add(1, Relaxed) + 1;
        let (answer, answered) = sync_channel(1);
        let context = self.context;
        self.device.put(Command::TakeItem { context, resource, item, bytes, answer })?;
        let file = answered.recv().map_err(|_| Errno::INVAL)?;
        let status = rustix::fs::fstat(&file)?;
        let mut buffers = self.device.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.insert((status.st_dev, status.st_ino), resource);
        Ok(file)
    }

    fn execbuffer(&self, commands: &[u8], ring: Option<u8>, fence: bool) -> Result<Option<OwnedFd>, Errno> {
        let ring = ring.unwrap_or(0);
        let out = fence.then(|| eventfd(0, EventfdFlags::CLOEXEC)).transpose()?;
        let fence = match &out {
            Some(out) => Some(self.device.fence(out)?),
            // The ring that is polled.
            None if ring == 1 => Some(self.device.fence(&self.events)?),
            None => None,
        };
        let (context, commands) = (self.context, commands.to_vec());
        self.device.put(Command::Submit { context, commands, ring, fence })?;
        Ok(out)
    }

    fn read_event(&self) -> Result<bool, Errno> {
        match rustix::io::read(&self.events, &mut [0; 8]) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}
