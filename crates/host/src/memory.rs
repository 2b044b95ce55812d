//! The guest's memory, as the VMM shares it: files, mapped here too.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::Errno;
use sys::{Piece, SharedMap};
use vhost::vhost_user::message::VhostUserMemoryRegion;
use vm_memory::{GuestAddress, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap};

/// What queues and requests are read from.
pub(crate) type View = GuestMemoryMmap<()>;

/// Regions at most: what QEMU and its peers allow.
pub(crate) const REGIONS_MAX: usize = 509;

/// All regions.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    regions: Vec<Region>,
    view: Arc<View>,
}

#[derive(Debug)]
struct Region {
    /// First guest physical address, and bytes.
    start: u64,
    bytes: u64,
    /// The same in the VMM's own address space, in which it names queues.
    user: u64,
    mapping: Arc<GuestRegionMmap<()>>,
    /// The same memory for blobs, from the first blob on that lies in it.
    shared: Option<Arc<SharedMap>>,
}

impl Memory {
    /// The memory of this moment.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// Forgets all regions and takes these.
    pub(crate) fn replace(
        &mut self,
        regions: &[VhostUserMemoryRegion],
        files: Vec<File>,
    ) -> Result<(), Errno> {
        let made = regions.iter().zip(files).map(|(region, file)| Region::map(region, file));
        self.regions = made.collect::<Result<_, _>>()?;
        self.look()
    }

    /// Adds a region. `EEXIST` where it overlaps another, `ENOSPC` beyond [`REGIONS_MAX`].
    pub(crate) fn add(&mut self, region: &VhostUserMemoryRegion, file: File) -> Result<(), Errno> {
        if self.regions.len() >= REGIONS_MAX {
            return Err(Errno::NOSPC);
        }
        self.regions.push(Region::map(region, file)?);
        self.look().inspect_err(|_| {
            self.regions.pop();
        })
    }

    /// Takes a region away. Blobs that lie in it keep what is mapped.
    pub(crate) fn remove(&mut self, start: u64, bytes: u64) -> Result<(), Errno> {
        let at = self.regions.iter().position(|region| region.start == start && region.bytes == bytes);
        self.regions.swap_remove(at.ok_or(Errno::INVAL)?);
        self.look()
    }

    /// The guest physical address of an address of the VMM's.
    pub(crate) fn guest_address(&self, user: u64) -> Option<u64> {
        let region = self
            .regions
            .iter()
            .find(|region| user.checked_sub(region.user).is_some_and(|offset| offset < region.bytes))?;
        Some(region.start + (user - region.user))
    }

    /// Appends where a range of guest physical addresses lies; `false` where that is not all memory.
    pub(crate) fn pieces(&mut self, address: u64, len: u64, pieces: &mut Vec<Piece>) -> bool {
        let (mut address, mut left) = (address, len);
        while left > 0 {
            let found = self.regions.iter_mut().find_map(|region| {
                let offset = address.checked_sub(region.start).filter(|offset| *offset < region.bytes)?;
                let len = left.min(region.bytes - offset);
                let shared = region.shared()?;
                let piece = Piece::new(shared, usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
                piece.map(|piece| (piece, len))
            });
            let Some((piece, len)) = found else { return false };
            pieces.push(piece);
            (address, left) = (address.wrapping_add(len), left - len);
        }
        true
    }

    fn look(&mut self) -> Result<(), Errno> {
        let mut mappings: Vec<_> = self.regions.iter().map(|region| Arc::clone(&region.mapping)).collect();
        mappings.sort_by_key(|mapping| mapping.start_addr());
        self.view = if mappings.is_empty() {
            Arc::default()
        } else {
            Arc::new(View::from_arc_regions(mappings).map_err(|_| Errno::EXIST)?)
        };
        Ok(())
    }
}

impl Region {
    fn map(region: &VhostUserMemoryRegion, file: File) -> Result<Self, Errno> {
        let start = region.guest_phys_addr;
        // A mapping beyond the end of its file would end this process when it is touched.
        let bytes = rustix::fs::fstat(&file)?.st_size;
        let end = region.mmap_offset.checked_add(region.memory_size).ok_or(Errno::INVAL)?;
        if u64::try_from(bytes).map_err(|_| Errno::INVAL)? < end {
            return Err(Errno::INVAL);
        }
        let mapping = region.mmap_region(file).map_err(|_| Errno::NOMEM)?;
        let mapping = GuestRegionMmap::new(mapping, GuestAddress(start)).ok_or(Errno::INVAL)?;
        Ok(Self {
            start,
            bytes: region.memory_size,
            user: region.user_addr,
            mapping: Arc::new(mapping),
            shared: None,
        })
    }

    fn shared(&mut self) -> Option<Arc<SharedMap>> {
        if self.shared.is_none() {
            let file = self.mapping.file_offset()?;
            let bytes = usize::try_from(self.bytes).ok()?;
            self.shared = SharedMap::map_at(file.file().as_fd(), file.start(), bytes).ok().map(Arc::new);
        }
        self.shared.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::Blob;

    const PAGE: u64 = 4096;

    fn file(bytes: u64) -> File {
        SharedMap::create(usize::try_from(bytes).unwrap()).unwrap().1.into()
    }

    /// Two regions that meet, and one apart.
    fn memory() -> Memory {
        let mut memory = Memory::default();
        let region = |start, bytes, user| VhostUserMemoryRegion::new(start, bytes, user, 0);
        let regions = [region(PAGE, PAGE, 0x7000_0000), region(2 * PAGE, PAGE, 0x9000_0000)];
        memory.replace(&regions, vec![file(PAGE), file(PAGE)]).unwrap();
        memory.add(&region(8 * PAGE, PAGE, 0x8000_0000), file(PAGE)).unwrap();
        memory
    }

    #[test]
    fn addresses_of_the_vmm_are_found_in_the_guests_memory() {
        let memory = memory();
        for (user, guest) in [
            (0x7000_0000, Some(PAGE)),
            (0x7000_0fff, Some(2 * PAGE - 1)),
            (0x7000_1000, None),
            (0x9000_0010, Some(2 * PAGE + 16)),
            (0, None),
            (u64::MAX, None),
        ] {
            assert_eq!(memory.guest_address(user), guest, "{user:#x}");
        }
    }

    #[test]
    fn a_range_may_cross_regions_that_meet_and_nothing_else() {
        let mut memory = memory();
        let mut pieces = vec![];
        assert!(memory.pieces(2 * PAGE - 8, 16, &mut pieces));
        assert_eq!(pieces.len(), 2);
        assert!(Blob::new(pieces, 16).unwrap().write(0, b"across the border"[..16].as_ref()));
        for (address, len) in
            [(0, 1), (3 * PAGE - 1, 2), (8 * PAGE, PAGE + 1), (u64::MAX, 2), (PAGE, u64::MAX)]
        {
            assert!(!memory.pieces(address, len, &mut vec![]), "{len} at {address}");
        }
    }

    #[test]
    fn the_number_of_regions_is_limited() {
        let mut memory = Memory::default();
        let region = |number| VhostUserMemoryRegion::new(number * PAGE, PAGE, 0, 0);
        let numbers = (0_u64..).take(REGIONS_MAX);
        numbers.for_each(|number| memory.add(&region(number), file(PAGE)).unwrap());
        assert_eq!(memory.add(&region(REGIONS_MAX as u64), file(PAGE)), Err(Errno::NOSPC));
        memory.remove(0, PAGE).unwrap();
        assert_eq!(memory.add(&region(REGIONS_MAX as u64), file(PAGE)), Ok(()));
    }

    #[test]
    fn regions_come_and_go_but_never_overlap() {
        let mut memory = memory();
        let overlapping = VhostUserMemoryRegion::new(PAGE, PAGE, 0, 0);
        assert_eq!(memory.add(&overlapping, file(PAGE)), Err(Errno::EXIST));
        assert!(memory.remove(PAGE, 2 * PAGE).is_err());
        memory.remove(PAGE, PAGE).unwrap();
        assert!(!memory.pieces(PAGE, 1, &mut vec![]));
        assert_eq!(memory.add(&overlapping, file(PAGE)), Ok(()));
        let beyond_its_file = VhostUserMemoryRegion::new(64 * PAGE, 2 * PAGE, 0, 0);
        assert!(memory.add(&beyond_its_file, file(PAGE)).is_err());
    }
}
