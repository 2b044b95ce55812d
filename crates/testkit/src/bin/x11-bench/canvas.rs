//! A connection with an off-screen pixmap of 500×500 pixels of 32 bits, and an image for it.

use std::io;

use x11bridge_testkit::display::Display;
use x11bridge_testkit::requests::{self, Area};
use x11bridge_testkit::{ByteOrder, Packet, RawClient};

const ORDER: ByteOrder = ByteOrder::Little;
const SIDE: u16 = 500;
/// Bytes of one image.
pub(crate) const IMAGE_BYTES: usize = SIDE as usize * SIDE as usize * 4;
/// Past the 16 bits that a sequence number has on the wire.
const REQUESTS_PAST_WRAP: u64 = 70_000;

/// See the module.
pub(crate) struct Canvas {
    pub(crate) client: RawClient,
    pub(crate) gc: u32,
    pub(crate) area: Area,
    put: Vec<u8>,
    get: Vec<u8>,
}

impl Canvas {
    pub(crate) fn open(display: &Display) -> io::Result<Self> {
        let mut client = display.connect(ORDER)?;
        client.enable_big_requests()?;
        let (root, depth, pixmap) = (client.setup.root, client.setup.root_depth, client.setup.resource_base);
        let gc = pixmap + 1;
        let area = Area { drawable: pixmap, width: SIDE, height: SIDE };
        client.request(&requests::create_pixmap(ORDER, depth, pixmap, root, SIDE, SIDE))?;
        client.request(&requests::create_gc(ORDER, gc, pixmap))?;
        client.sync()?;
        let put = requests::put_image(ORDER, area, gc, depth, &pattern());
        Ok(Self { client, gc, area, put, get: requests::get_image(ORDER, area) })
    }

    /// Sends the image; it has arrived when a later round trip returns.
    pub(crate) fn put(&mut self) -> io::Result<()> {
        self.client.request(&self.put).map(drop)
    }

    /// Asks for the image and awaits it.
    pub(crate) fn get(&mut self) -> io::Result<Packet> {
        self.client.reply_to(&self.get)
    }

    /// That the image comes back as it was put, and that sequence numbers are right past their 16 bits.
    pub(crate) fn assert_right(&mut self) -> io::Result<()> {
        self.put()?;
        if self.get()?.bytes.get(32..) != Some(pattern().as_slice()) {
            return Err(io::Error::other("the image that came back isn't the one that was put"));
        }
        let nothing = requests::no_operation(ORDER).repeat(1000);
        while self.client.sequence < REQUESTS_PAST_WRAP {
            self.client.stream.send(&nothing)?;
            self.client.sequence += 1000;
            self.client.sync()?;
        }
        Ok(())
    }
}

/// Pixels that differ from their neighbours. The fourth byte of each has no meaning at depth 24, so it is 0.
fn pattern() -> Vec<u8> {
    let pixels = 0..u32::from(SIDE) * u32::from(SIDE);
    pixels.flat_map(|pixel| (pixel.wrapping_mul(2_654_435_761) >> 8).to_le_bytes()).collect()
}
