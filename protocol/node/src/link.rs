//! Blocks on a TLS stream.

use std::io;

use sxlab_protocol::transport::BLOCK_SIZE;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Reads the next block. `None` when the peer closed between blocks.
///
/// # Errors
/// The connection's; `UnexpectedEof` when it ended inside a block.
pub(crate) async fn read_block(
    reader: &mut (impl AsyncRead + Unpin),
    block: &mut Vec<u8>,
) -> io::Result<Option<()>> {
    block.resize(BLOCK_SIZE, 0);
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(Some(()))
}

/// Writes blocks until the source has no more, then flushes.
///
/// # Errors
/// The connection's.
pub(crate) async fn write_blocks(
    writer: &mut (impl AsyncWrite + Unpin),
    mut next: impl FnMut() -> Option<Vec<u8>>,
) -> io::Result<()> {
    let mut written = false;
    while let Some(block) = next() {
        writer.write_all(&block).await?;
        written = true;
    }
    if written { writer.flush().await } else { Ok(()) }
}
