//! The VMM's requests (vhost-user, the back-end's side), carried out on one guest's device.

use std::fs::File;
use std::sync::mpsc::Receiver;

use rustix::io::Errno;
use vhost::vhost_user::message::{
    VhostTransferStateDirection, VhostTransferStatePhase, VhostUserConfigFlags, VhostUserInflight,
    VhostUserLog, VhostUserMemoryRegion, VhostUserProtocolFeatures, VhostUserShMemConfig, VhostUserSharedMsg,
    VhostUserSingleMemoryRegion, VhostUserVringAddrFlags, VhostUserVringState,
};
use vhost::vhost_user::{Backend, Error, GpuBackend, Result, VhostUserBackendReqHandlerMut};

use crate::event::Level;
use crate::machine::Machine;
use crate::mail::Mail;
use crate::memory::REGIONS_MAX;
use crate::virtio_device::VirtioDevice;
use crate::vring::{Addresses, Vring};
use crate::window::WindowThread;

/// What is watched besides sockets of the device, whose numbers begin at 1 << 32.
pub(crate) const TOKEN_STOP: u64 = 0;
pub(crate) const TOKEN_LISTENER: u64 = 1;
pub(crate) const TOKEN_FRONT_END: u64 = 2;
pub(crate) const TOKEN_MAIL: u64 = 3;
/// The first queue; the next ones follow.
pub(crate) const TOKEN_QUEUE: u64 = 4;

const INDIRECT_DESCRIPTORS: u64 = 1 << 28;
const EVENT_IDX: u64 = 1 << 29;
const PROTOCOL_FEATURES: u64 = 1 << 30;
const VERSION_1: u64 = 1 << 32;

const REFUSED: Error = Error::InvalidOperation("the device does not offer this");

/// One guest's device.
#[derive(Debug)]
pub(crate) struct Device<D> {
    pub(crate) virtio: D,
    pub(crate) machine: Machine,
    pub(crate) mail: Receiver<Mail>,
    protocol_features: u64,
}

impl<D: VirtioDevice> Device<D> {
    pub(crate) const fn new(virtio: D, machine: Machine, mail: Receiver<Mail>) -> Self {
        Self { virtio, machine, mail, protocol_features: 0 }
    }

    /// Whether the device does its work.
    pub(crate) fn runs(&self) -> bool {
        self.machine.runs(D::MAIN_QUEUE)
    }

    fn vring(&mut self, index: u32) -> Result<&mut Vring> {
        let vring = usize::try_from(index).ok().and_then(|index| self.machine.vrings.get_mut(index));
        vring.ok_or(Error::InvalidParam)
    }

    /// Goes on with what was left while the main queue stood still.
    fn resume(&mut self) {
        if self.runs() {
            self.machine.mailbox.ring();
            self.virtio.resume(&mut self.machine);
        }
    }
}

/// A failure of the system on a request of the VMM's.
fn os(errno: Errno) -> Error {
    Error::ReqHandlerError(errno.into())
}

impl<D: VirtioDevice> VhostUserBackendReqHandlerMut for Device<D> {
    fn set_owner(&mut self) -> Result<()> {
        Ok(())
    }

    fn reset_owner(&mut self) -> Result<()> {
        self.reset_device()
    }

    fn reset_device(&mut self) -> Result<()> {
        self.virtio.reset(&mut self.machine, "the virtual machine was reset");
        Ok(())
    }

    fn get_features(&mut self) -> Result<u64> {
        Ok(D::FEATURES | INDIRECT_DESCRIPTORS | EVENT_IDX | PROTOCOL_FEATURES | VERSION_1)
    }

    fn set_features(&mut self, features: u64) -> Result<()> {
        for vring in &mut self.machine.vrings {
            vring.set_event_idx(features & EVENT_IDX != 0);
            // Without protocol features there is no request to enable a queue.
            vring.set_enabled(features & PROTOCOL_FEATURES == 0);
        }
        Ok(())
    }

    fn set_mem_table(
        &mut self,
        regions: &[VhostUserMemoryRegion],
        files: Vec<File>,
        _postcopy: Option<bool>,
    ) -> Result<Option<Vec<u64>>> {
        self.machine.memory.replace(regions, files).map_err(os)?;
        Ok(None)
    }

    fn set_vring_num(&mut self, index: u32, num: u32) -> Result<()> {
        self.vring(index)?.set_size(num).map_err(os)
    }

    fn set_vring_addr(
        &mut self,
        index: u32,
        _flags: VhostUserVringAddrFlags,
        descriptors: u64,
        used: u64,
        available: u64,
        _log: u64,
    ) -> Result<()> {
        self.vring(index)?.set_addresses(Addresses { descriptors, available, used });
        Ok(())
    }

    fn set_vring_base(&mut self, index: u32, base: u32) -> Result<()> {
        let base = u16::try_from(base).map_err(|_| Error::InvalidParam)?;
        self.vring(index)?.set_base(base);
        Ok(())
    }

    /// Stops the queue. What is held stays held, and no memory of the guest's is written: one that was paused goes on where
    /// it was, and one that starts anew may use that memory for something else already.
    fn get_vring_base(&mut self, index: u32) -> Result<VhostUserVringState> {
        let stopped = usize::try_from(index).ok().and_then(|index| self.machine.stop_queue(index));
        let next = stopped.ok_or(Error::InvalidParam)?;
        Ok(VhostUserVringState::new(index, next.into()))
    }

    fn set_vring_kick(&mut self, index: u8, fd: Option<File>) -> Result<()> {
        let resumed = self.machine.start_queue(index.into(), fd).map_err(os)?;
        if usize::from(index) == D::MAIN_QUEUE && !resumed {
            self.virtio.reset(&mut self.machine, "the guest's driver started anew");
        }
        self.resume();
        Ok(())
    }

    fn set_vring_call(&mut self, index: u8, fd: Option<File>) -> Result<()> {
        self.vring(index.into())?.set_call(fd);
        Ok(())
    }

    fn set_vring_err(&mut self, _index: u8, _fd: Option<File>) -> Result<()> {
        Ok(())
    }

    fn get_protocol_features(&mut self) -> Result<VhostUserProtocolFeatures> {
        type F = VhostUserProtocolFeatures;
        Ok(F::MQ
            | F::REPLY_ACK
            | F::BACKEND_REQ
            | F::CONFIG
            | F::BACKEND_SEND_FD
            | F::CONFIGURE_MEM_SLOTS
            // Not for objects: see the window's thread.
            | F::SHARED_OBJECT
            | F::SHMEM)
    }

    fn set_protocol_features(&mut self, features: u64) -> Result<()> {
        self.protocol_features = features;
        if features & VhostUserProtocolFeatures::SHMEM.bits() == 0 {
            let message = "the virtual machine monitor maps no memory of the host into the guest (it takes QEMU 11.1 \
                           or newer), so buffers can't be shared";
            self.machine.shared.events.log(Level::Warn, message);
        }
        Ok(())
    }

    fn get_queue_num(&mut self) -> Result<u64> {
        Ok(self.machine.vrings.len() as u64)
    }

    fn set_vring_enable(&mut self, index: u32, enable: bool) -> Result<()> {
        let vring = self.vring(index)?;
        vring.set_enabled(enable);
        vring.kick_self();
        self.resume();
        Ok(())
    }

    fn get_config(&mut self, offset: u32, size: u32, _flags: VhostUserConfigFlags) -> Result<Vec<u8>> {
        let config = self.virtio.config();
        let offset = usize::try_from(offset).map_err(|_| Error::InvalidParam)?;
        let mut out = config.get(offset..).ok_or(Error::InvalidParam)?.to_vec();
        out.resize(usize::try_from(size).map_err(|_| Error::InvalidParam)?, 0);
        Ok(out)
    }

    /// The guest can only clear events, of which there are none.
    fn set_config(&mut self, _offset: u32, _bytes: &[u8], _flags: VhostUserConfigFlags) -> Result<()> {
        Ok(())
    }

    fn set_backend_req_fd(&mut self, backend: Backend) {
        let has = |feature: VhostUserProtocolFeatures| self.protocol_features & feature.bits() != 0;
        backend.set_reply_ack_flag(has(VhostUserProtocolFeatures::REPLY_ACK));
        backend.set_shmem_flag(has(VhostUserProtocolFeatures::SHMEM));
        backend.set_shared_object_flag(has(VhostUserProtocolFeatures::SHARED_OBJECT));
        match WindowThread::start(backend, D::SHMID, self.machine.mailbox.clone()) {
            Ok(thread) => self.machine.window = Some(thread),
            Err(error) => {
                let message = format!("no thread could be started to map memory into the guest: {error}");
                self.machine.shared.events.log(Level::Error, message);
            }
        }
    }

    fn set_gpu_socket(&mut self, _gpu: GpuBackend) -> Result<()> {
        Err(REFUSED)
    }

    fn get_shared_object(&mut self, _uuid: VhostUserSharedMsg) -> Result<File> {
        Err(REFUSED)
    }

    fn get_inflight_fd(&mut self, _inflight: &VhostUserInflight) -> Result<(VhostUserInflight, File)> {
        Err(REFUSED)
    }

    fn set_inflight_fd(&mut self, _inflight: &VhostUserInflight, _file: File) -> Result<()> {
        Err(REFUSED)
    }

    fn get_max_mem_slots(&mut self) -> Result<u64> {
        Ok(REGIONS_MAX as u64)
    }

    fn add_mem_region(
        &mut self,
        region: &VhostUserSingleMemoryRegion,
        file: File,
        _postcopy: Option<bool>,
    ) -> Result<Option<u64>> {
        self.machine.memory.add(region, file).map_err(os)?;
        Ok(None)
    }

    fn remove_mem_region(&mut self, region: &VhostUserSingleMemoryRegion) -> Result<()> {
        self.machine.memory.remove(region.guest_phys_addr, region.memory_size).map_err(os)
    }

    fn set_device_state_fd(
        &mut self,
        _direction: VhostTransferStateDirection,
        _phase: VhostTransferStatePhase,
        _file: File,
    ) -> Result<Option<File>> {
        Err(REFUSED)
    }

    fn check_device_state(&mut self) -> Result<()> {
        Err(REFUSED)
    }

    fn get_shmem_config(&mut self) -> Result<VhostUserShMemConfig> {
        let mut sizes = vec![0; usize::from(D::SHMID)];
        sizes.push(self.virtio.window_bytes());
        Ok(VhostUserShMemConfig::new(1, &sizes))
    }

    fn set_log_base(&mut self, _log: &VhostUserLog, _file: File) -> Result<()> {
        Err(REFUSED)
    }
}
