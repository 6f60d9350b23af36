//! Payloads one after the other, each after its length in four bytes.

/// A payload comes from a message below 1 GiB: its length fits.
#[inline]
pub fn push_frame(buffer: &mut Vec<u8>, payload: &[u8]) {
    buffer.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    buffer.extend_from_slice(payload);
}

/// The first payload and what follows it; None while it is not there whole.
#[inline]
pub fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*len) as usize)
}
