//! Explicit synchronization: a timeline of the server's device, whose points Present waits for and signals.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use drm::buffer::{Buffer, DrmFourcc};
use drm::control::Device as _;
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::syncobj;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use x11bridge_testkit::requests::{self, Area};
use x11bridge_testkit::{Packet, PacketKind};

use crate::buffers::{OPEN, pixmap_from_buffer};
use crate::fences::{PRESENT_SELECT_INPUT, show_window};
use crate::memory::{IMAGE_BYTES, SIDE, STRIDE, pixels};
use crate::talk::Talk;

const IMPORT_SYNCOBJ: u8 = 10;
const FREE_SYNCOBJ: u8 = 11;
const PRESENT_NOTIFY_MSC: u8 = 2;
const PRESENT_PIXMAP_SYNCED: u8 = 5;
const COMPLETE: u16 = 1;
/// Complete and idle events.
const EVENTS: u32 = 6;
const FRAMES: u8 = 3;
/// A guard: the server signals a point some milliseconds after it has copied a frame.
const RELEASE_LIMIT_NS: i64 = 30_000_000_000;

/// The server's device, opened for this client.
struct Device(OwnedFd);

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Device {}
impl drm::control::Device for Device {}

impl Device {
    fn open(talk: &mut Talk, dri3: u8) -> io::Result<Self> {
        let reply = talk.reply(&talk.request(dri3, OPEN, &talk.body().u32(talk.root()).u32(0)))?;
        reply.fds.into_iter().next().map(Self).ok_or_else(|| io::Error::other("no device came"))
    }

    /// A buffer for an image.
    fn buffer(&self) -> io::Result<DumbBuffer> {
        let side = u32::from(SIDE);
        let buffer = self.create_dumb_buffer((side, side), DrmFourcc::Xrgb8888, 32)?;
        let right = buffer.pitch() == u32::from(STRIDE);
        right
            .then_some(buffer)
            .ok_or_else(|| io::Error::other("the rows of a buffer are longer than its pixels"))
    }

    fn draw(&self, buffer: &mut DumbBuffer, seed: u8) -> io::Result<()> {
        let mut map = self.map_dumb_buffer(buffer)?;
        let image = map.get_mut(..IMAGE_BYTES).ok_or_else(|| io::Error::other("the buffer is too short"))?;
        image.copy_from_slice(&pixels(seed));
        Ok(())
    }

    /// The last point of a timeline that has been signalled.
    fn signalled(&self, timeline: syncobj::Handle) -> io::Result<u64> {
        let mut points = [0];
        self.syncobj_timeline_query(&[timeline], &mut points, false)?;
        Ok(points[0])
    }

    fn wait_for(&self, timeline: syncobj::Handle, point: u64) -> io::Result<()> {
        let now = clock_gettime(ClockId::Monotonic);
        let limit = now.tv_sec * 1_000_000_000 + now.tv_nsec + RELEASE_LIMIT_NS;
        self.syncobj_timeline_wait(&[timeline], &[point], limit, true, true, false).map(drop)
    }
}

/// What a frame consists of.
struct Scene {
    present: u8,
    window: u32,
    pixmap: u32,
    /// The timeline, as the server knows it.
    id: u32,
    timeline: syncobj::Handle,
    buffer: DumbBuffer,
}

/// `timelines`: a timeline that the server imports, and frames that wait for one of its points and signal the next.
pub(crate) fn timelines(talk: &mut Talk) -> io::Result<Value> {
    let (dri3, present) = (talk.extension("DRI3")?, talk.extension("Present")?);
    let device = Device::open(talk, dri3)?;
    let timeline = device.create_syncobj(false)?;
    let fd = device.syncobj_to_fd(timeline, false)?;
    let id = talk.id();
    let import = talk.request(dri3, IMPORT_SYNCOBJ, &talk.body().u32(id).u32(talk.root()));
    let imported = talk.outcome(&import, &[fd.as_fd()])?;
    if imported != "ok" {
        return Ok(json!({ "imported": imported }));
    }
    let [window, pixmap, events] = [(); 3].map(|()| talk.id());
    let buffer = device.buffer()?;
    let shared = device.buffer_to_prime_fd(buffer.handle(), drm::CLOEXEC | drm::RDWR)?;
    let created = talk.outcome(&pixmap_from_buffer(talk, dri3, pixmap, 0), &[shared.as_fd()])?;
    show_window(talk, window)?;
    let select = talk.body().u32(events).u32(window).u32(EVENTS);
    talk.client.request(&talk.request(present, PRESENT_SELECT_INPUT, &select))?;
    let mut scene = Scene { present, window, pixmap, id, timeline, buffer };
    let frames: io::Result<Vec<_>> =
        (1..=FRAMES).map(|number| frame(talk, &device, &mut scene, number)).collect();
    let free = talk.request(dri3, FREE_SYNCOBJ, &talk.body().u32(id));
    Ok(json!({
        "imported": imported,
        "created": created,
        "frames": frames?,
        "freed": [talk.outcome(&free, &[])?, talk.outcome(&free, &[])?],
        "presented freed": talk.outcome(&present_synced(talk, &scene, 100), &[])?,
    }))
}

/// The request that shows the pixmap when one point is signalled, and then signals the one behind it.
fn present_synced(talk: &Talk, scene: &Scene, serial: u8) -> Vec<u8> {
    let (acquire, release) = points(serial);
    let body = talk.body().u32(scene.window).u32(scene.pixmap).u32(serial.into()).u32(0).u32(0);
    let body = body.u16(0).u16(0).u32(0).u32(scene.id).u32(scene.id).u64(acquire).u64(release);
    talk.request(scene.present, PRESENT_PIXMAP_SYNCED, &body.u32(0).pad(4).pad(24))
}

/// Those that a frame waits for and signals.
fn points(serial: u8) -> (u64, u64) {
    let last = u64::from(serial) * 2;
    (last - 1, last)
}

/// One that is only drawn after the server was asked to show it.
fn frame(talk: &mut Talk, device: &Device, scene: &mut Scene, number: u8) -> io::Result<Value> {
    let (acquire, release) = points(number);
    talk.client.request(&present_synced(talk, scene, number))?;
    let errors = talk.settle()?;
    let early = pass_time(talk, scene)?;
    let before = device.signalled(scene.timeline)?;
    device.draw(&mut scene.buffer, number)?;
    device.syncobj_timeline_signal(&[scene.timeline], &[acquire])?;
    let events = events_until(talk, (COMPLETE, number.into()))?;
    // No event says that the pixmap is free again: the point does.
    device.wait_for(scene.timeline, release)?;
    let area = Area { drawable: scene.window, width: SIDE, height: SIDE };
    let image = talk.reply(&requests::get_image(talk.order, area))?;
    Ok(json!({
        "errors": errors,
        "early": early,
        "events": events,
        "points": [before, device.signalled(scene.timeline)?],
        "right": image.bytes.get(32..) == Some(&pixels(number)[..]),
    }))
}

/// Waits for the beginning of further frames of the window; the events that came meanwhile.
fn pass_time(talk: &mut Talk, scene: &Scene) -> io::Result<Vec<Event>> {
    const EVERY: u64 = 2;
    let mut events = vec![];
    for remainder in [0, 1, 0] {
        let body = talk.body().u32(scene.window).u32(0).pad(4).u64(0).u64(EVERY).u64(remainder);
        talk.client.request(&talk.request(scene.present, PRESENT_NOTIFY_MSC, &body))?;
        events.extend(events_until(talk, (COMPLETE, 0))?);
    }
    events.retain(|&event| event != (COMPLETE, 0));
    Ok(events)
}

/// The kind of one of Present's events, and the serial number of the request that it is about.
type Event = (u16, u32);

/// Waits until this one has come; all that came.
fn events_until(talk: &mut Talk, wanted: Event) -> io::Result<Vec<Event>> {
    let event = |packet: &Packet| (packet.u16_at(8), packet.u32_at(20));
    let mut seen: Vec<Event> = talk.events.drain(..).map(|packet| event(&packet)).collect();
    while !seen.contains(&wanted) {
        let packet = talk.client.packet()?;
        if packet.kind() != PacketKind::Event {
            return Err(io::Error::other("an error or a reply that nobody asked for"));
        }
        seen.push(event(&packet));
    }
    Ok(seen)
}
