//! Files that play buffers and fences.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, fstat, memfd_create};

/// Pixels along each side of the images.
pub(crate) const SIDE: u16 = 32;
/// Bytes of a row of pixels.
pub(crate) const STRIDE: u16 = SIDE * 4;
/// Bytes of an image.
pub(crate) const IMAGE_BYTES: usize = STRIDE as usize * SIDE as usize;

/// A file in memory of `bytes` bytes.
pub(crate) fn file(bytes: u64) -> io::Result<File> {
    let file = File::from(memfd_create("x11bridge-test-client", MemfdFlags::CLOEXEC)?);
    file.set_len(bytes)?;
    Ok(file)
}

/// A fence's file as libxshmfence makes it: a page that can be sealed.
pub(crate) fn fence_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("xshmfence", flags)?);
    file.set_len(4096)?;
    Ok(file)
}

/// A file with an image at `offset`.
pub(crate) fn image_file(seed: u8, offset: u64) -> io::Result<File> {
    let file = file(offset + IMAGE_BYTES as u64)?;
    file.write_all_at(&pixels(seed), offset)?;
    Ok(file)
}

/// An image: each pixel differs from its neighbours, and each seed's from the others'. The byte that has no meaning at
/// depth 24 is 0.
pub(crate) fn pixels(seed: u8) -> Vec<u8> {
    let pixel = |at: u16| {
        let [low, high] = at.to_le_bytes();
        [low ^ seed, high, seed, 0]
    };
    (0..SIDE * SIDE).flat_map(pixel).collect()
}

/// The bytes of a file from `offset` on, as many as an image has.
pub(crate) fn image_in(file: &OwnedFd, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; IMAGE_BYTES];
    File::from(file.try_clone()?).read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The first 32 bits of a file: a fence's word. That somebody sleeps on it, -1, counts as not triggered.
pub(crate) fn word(file: impl AsFd) -> io::Result<i32> {
    let mut bytes = [0; 4];
    File::from(file.as_fd().try_clone_to_owned()?).read_exact_at(&mut bytes, 0)?;
    Ok(match i32::from_ne_bytes(bytes) {
        -1 => 0,
        word => word,
    })
}

/// Whether two descriptors are of one file, wherever they have been in between.
pub(crate) fn same_file(one: impl AsFd, other: impl AsFd) -> io::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
