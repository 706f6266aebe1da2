//! Padding to a fixed size (ENC-8, ENC-9).

use super::{Reader, WireError};

/// The byte that fills up to the size. Receivers trust the length and never look at it.
pub const PADDING: u8 = b'#';

/// The content's length in two bytes, the content, and `#` up to `size` bytes.
///
/// # Errors
/// [`WireError::TooLong`] if the content exceeds `size` − 2 or 65,533 bytes.
pub fn pad(content: &[u8], size: usize) -> Result<Vec<u8>, WireError> {
    let len = u16::try_from(content.len()).map_err(|_| WireError::TooLong)?;
    if len > 65533 || content.len() + 2 > size {
        return Err(WireError::TooLong);
    }
    let mut block = Vec::with_capacity(size);
    block.extend_from_slice(&len.to_be_bytes());
    block.extend_from_slice(content);
    block.resize(size, PADDING);
    Ok(block)
}

/// The content of a padded block, in the block's own memory.
///
/// # Errors
/// As [`unpad`].
pub(crate) fn unpad_in_place(mut block: Vec<u8>) -> Result<Vec<u8>, WireError> {
    let len = unpad(&block)?.len();
    block.copy_within(2..2 + len, 0);
    block.truncate(len);
    Ok(block)
}

/// The content of a padded block.
///
/// # Errors
/// [`WireError::UnexpectedEnd`] if the block has no length, or one that exceeds it.
pub fn unpad(block: &[u8]) -> Result<&[u8], WireError> {
    Reader::new(block).large()
}
