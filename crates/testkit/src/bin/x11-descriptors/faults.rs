//! Descriptors that are not what their request says: the X error that the server gives, and nothing worse.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use serde_json::{Map, Value, json};

use crate::buffers::{pixmap_from_buffer, pixmap_from_buffers};
use crate::fences::fence_from_fd;
use crate::memory::{IMAGE_BYTES, file, image_file, pixels};
use crate::talk::Talk;

const SHM_ATTACH_FD: u8 = 6;
const RANDR_CREATE_LEASE: u8 = 45;

/// `faults`: each request with each wrong descriptor, and then a right one, which must still work.
pub(crate) fn faults(talk: &mut Talk) -> io::Result<Value> {
    let (dri3, shm) = (talk.extension("DRI3")?, talk.extension("MIT-SHM")?);
    let (pipe, _writer) = rustix::pipe::pipe()?;
    let (folder, null, short, empty) = (File::open("/")?, File::open("/dev/null")?, file(100)?, file(0)?);
    let (read_only, sealed) = (read_only()?, sealed()?);
    let wrong = [
        ("pipe", pipe.as_fd()),
        ("directory", folder.as_fd()),
        ("device", null.as_fd()),
        ("too short", short.as_fd()),
        ("empty", empty.as_fd()),
        ("read-only", read_only.as_fd()),
        ("sealed", sealed.as_fd()),
    ];
    let mut seen = Map::new();
    for (what, fd) in wrong {
        seen.insert(what.to_owned(), each(talk, dri3, shm, &[fd])?);
    }
    seen.insert("none".into(), each(talk, dri3, shm, &[])?);
    seen.insert("planes".into(), plane_counts(talk, dri3)?);
    seen.insert("lease".into(), lease(talk)?);
    seen.insert("right".into(), right(talk, dri3)?);
    Ok(Value::Object(seen))
}

/// What becomes of each request that takes one descriptor. The sequence number shows that nothing overtakes.
fn each(talk: &mut Talk, dri3: u8, shm: u8, fds: &[BorrowedFd<'_>]) -> io::Result<Value> {
    let [pixmap, planes, fence, segment] = [(); 4].map(|()| talk.id());
    let attach = talk.request(shm, SHM_ATTACH_FD, &talk.body().u32(segment).u8(0).pad(3));
    let requests = [
        pixmap_from_buffer(talk, dri3, pixmap, 0),
        pixmap_from_buffers(talk, dri3, planes, 1, 0),
        fence_from_fd(talk, dri3, fence),
        attach,
    ];
    requests.iter().map(|request| talk.outcome(request, fds)).collect()
}

/// Numbers of planes that are none, with as many descriptors.
fn plane_counts(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let image = image_file(1, 0)?;
    let mut outcomes = vec![];
    for count in [0_u8, 5, 28] {
        let pixmap = talk.id();
        let request = pixmap_from_buffers(talk, dri3, pixmap, count, 0);
        outcomes.push(talk.outcome(&request, &vec![image.as_fd(); usize::from(count)])?);
    }
    Ok(json!(outcomes))
}

/// A lease of no output at all from a server without outputs to lease.
fn lease(talk: &mut Talk) -> io::Result<Value> {
    let randr = talk.extension("RANDR")?;
    let lease = talk.id();
    let body = talk.body().u32(talk.root()).u32(lease).u16(0).u16(0);
    talk.outcome(&talk.request(randr, RANDR_CREATE_LEASE, &body), &[])
}

fn right(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let (image, pixmap) = (image_file(9, 0)?, talk.id());
    let created = talk.outcome(&pixmap_from_buffer(talk, dri3, pixmap, 0), &[image.as_fd()])?;
    // There is no pixmap where no file of the client's can be a buffer.
    let shown = talk.pixels_of(pixmap).is_ok_and(|shown| shown == pixels(9));
    Ok(json!([created, shown]))
}

/// A file that is long enough, opened for reading only.
fn read_only() -> io::Result<File> {
    let writable = file(IMAGE_BYTES as u64)?;
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writable));
    File::open(link)
}

/// A file that is long enough and that nobody may write to.
fn sealed() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("x11bridge-test-sealed", flags)?);
    file.set_len(IMAGE_BYTES as u64)?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(file)
}
