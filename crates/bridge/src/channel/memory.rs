//! Memory of the host, from hosts whose dialect is not ours: they allocate images, and an image is memory.

use std::time::Duration;

use cross_domain::{GetImageRequirements, ImageRequirements};
use rustix::param::page_size;
use sys::SharedMap;

use super::ChannelError;
use super::cross_domain::Driver;
use super::virtgpu::is_signalled_within;

/// How long a host may take to answer; what it was told before comes first. A client waits that long once for each of its
/// segments, and then does without.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Pixels of `XR24`, whose four bytes every allocator knows.
const FORMAT: u32 = u32::from_le_bytes(*b"XR24");
const PIXEL_BYTES: usize = 4;
/// Rows of an image at most; some allocators have no more.
const ROWS_MAX: usize = 8192;
/// Rows that lie behind one another, for the processor to read and write often.
const USE_LINEAR: u32 = 1 << 4 | 1 << 9 | 1 << 11;

/// Asks for an image of at least `bytes` bytes, which is whole pages; returns the number of the blob to make, and its bytes.
/// `None` where the host gives none of that shape.
pub(super) fn image_memory(
    driver: &mut impl Driver,
    query_ring: &SharedMap,
    bytes: usize,
) -> Result<Option<(u64, usize)>, ChannelError> {
    let Some((question, bytes)) = image_of(bytes, page_size()) else { return Ok(None) };
    if !query_ring.write(0, &[0; ImageRequirements::BYTES]) {
        return Ok(None);
    }
    let Some(fence) = driver.query(&question.encode())? else { return Ok(None) };
    let mut answer = [0; ImageRequirements::BYTES];
    if !is_signalled_within(&fence, ANSWER_MAX)? || !query_ring.read(0, &mut answer) {
        return Ok(None);
    }
    let answer = ImageRequirements::decode(&answer);
    // A blob of another size is refused, and nobody says so.
    Ok((answer.size == bytes as u64).then_some((answer.blob_id.into(), bytes)))
}

/// An image whose rows are whole pages, and its bytes.
fn image_of(bytes: usize, page: usize) -> Option<(GetImageRequirements, usize)> {
    let pages = Some(bytes.div_ceil(page)).filter(|pages| *pages > 0)?;
    let pages_of_row = pages.div_ceil(ROWS_MAX);
    let rows = pages.div_ceil(pages_of_row);
    let row = pages_of_row.checked_mul(page)?;
    let width = u32::try_from(row / PIXEL_BYTES).ok()?;
    let height = u32::try_from(rows).ok()?;
    Some((
        GetImageRequirements { width, height, drm_format: FORMAT, flags: USE_LINEAR },
        rows.checked_mul(row)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_as_large_as_what_is_asked_for_and_has_whole_pages() {
        for page in [4096, 65_536] {
            for bytes in [1, page - 1, page, page + 1, ROWS_MAX * page, ROWS_MAX * page + 1, 133_000_000] {
                let (image, got) = image_of(bytes, page).unwrap();
                let (width, height) = (image.width as usize, image.height as usize);
                assert_eq!(width * PIXEL_BYTES * height, got);
                assert!(
                    got >= bytes && got < bytes + bytes / 8 + 2 * page && height <= ROWS_MAX,
                    "{bytes}: {got}"
                );
                assert_eq!(width * PIXEL_BYTES % page, 0);
            }
        }
        assert_eq!(image_of(0, 4096), None);
        assert_eq!(image_of(usize::MAX, 4096), None);
    }
}
