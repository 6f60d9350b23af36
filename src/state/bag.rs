//! Rows that nothing but their values tells apart: each image once, with how often it is there.
//!
//! The key is a digest of the image, so that it is short and no two images share one.

use sha2::{Digest, Sha256};

use super::image::BadImage;
use crate::varint;

/// Bytes of the digest that stand in a key.
const KEY_BYTES: usize = 20;

/// Writes the key over what is in `out`.
pub fn key(image: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&Sha256::digest(image)[..KEY_BYTES]);
}

/// The value: a number, then the image. None where no row is left.
pub fn write(count: u64, image: &[u8]) -> Option<Box<[u8]>> {
    if count == 0 {
        return None;
    }
    let mut out = Vec::with_capacity(image.len() + 2);
    varint::put(count, &mut out);
    out.extend_from_slice(image);
    Some(out.into())
}

/// How often the image is there, and the image.
pub fn read(value: &[u8]) -> Result<(u64, &[u8]), BadImage> {
    let mut count = 0u64;
    for (i, &byte) in value.iter().enumerate().take(9) {
        count |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok((count, &value[i + 1..]));
        }
    }
    Err(BadImage { column: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_images_come_back() {
        for count in [1, 127, 128, 1 << 40] {
            let value = write(count, b"image").unwrap();
            assert_eq!(read(&value), Ok((count, &b"image"[..])));
        }
        assert_eq!(write(0, b"image"), None);
        assert!(read(&[0x80]).is_err());
    }
}
