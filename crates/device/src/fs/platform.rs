//! What the file system stands on: requests of the guest, the window.

use crate::gpu::MapRequest;

use super::wire::Reply;

/// The surroundings of a [`super::Fs`]. Nothing here blocks.
pub trait FsPlatform {
    /// A request that the guest waits for, until it is completed.
    type Chain;

    /// Copies a request out of guest memory, in place of what is in `out`. Where the request is longer than `max` bytes
    /// or can't be read to its end, `false`; its beginning is copied all the same.
    fn read(&mut self, chain: &Self::Chain, max: usize, out: &mut Vec<u8>) -> bool;

    /// Writes the reply to guest memory, and gives the request back to the guest.
    fn complete(&mut self, chain: Self::Chain, reply: &Reply);

    /// Begins to map a file into the window, or to unmap one; [`super::Fs::mapped`] takes the answers, which come in
    /// the order of the calls. `false` where there is no window.
    fn map(&mut self, request: MapRequest) -> bool;

    /// Tells the owner of something that was refused: one sentence.
    fn refused(&mut self, message: String);
}
