//! One connection's blocks: read, written, and how the connection is ended.

use std::cell::Cell;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use crate::world::{World, within};

/// How long a connection that is being closed may take to pass on what is queued for it, and then again to see the
/// other side close, in nanoseconds. A peer that does not read is cut off after it.
pub(crate) const CLOSE_TIMEOUT: u64 = 10_000_000_000;

/// What there is to write.
pub(crate) enum Next {
    /// A block.
    Block(Vec<u8>),
    /// A block that may not be written yet; there will be a [`Link::wake`].
    Held,
    /// Nothing.
    Nothing,
}

impl From<Option<Vec<u8>>> for Next {
    fn from(block: Option<Vec<u8>>) -> Self {
        block.map_or(Next::Nothing, Next::Block)
    }
}

/// What the halves of a connection and whoever drives it tell each other. Each half waits for its own signal only, and
/// a signal that comes while nobody waits is kept for the next wait.
#[derive(Debug, Default)]
pub(crate) struct Link {
    writable: Notify,
    readable: Notify,
    closing: Cell<bool>,
    close: Notify,
}

impl Link {
    /// There may be blocks to write, and room to read.
    pub(crate) fn wake(&self) {
        self.writable.notify_one();
        self.readable.notify_one();
    }

    /// Ends the connection once what is queued for it is written.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        self.writable.notify_one();
        self.close.notify_one();
    }

    /// Whether [`Link::close`] was called.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Until the next [`Link::wake`].
    pub(crate) async fn woken(&self) {
        self.readable.notified().await;
    }

    /// Ready when the connection has been closing for too long.
    pub(crate) async fn overdue(&self, world: &impl World) {
        self.close.notified().await;
        world.sleep(CLOSE_TIMEOUT).await;
    }

    /// Writes what `next` gives, at each wake-up, until the link is closed, the connection breaks, or a block takes more
    /// than `timeout` nanoseconds.
    pub(crate) async fn write(
        &self,
        world: &impl World,
        timeout: u64,
        writer: &mut (impl AsyncWrite + Unpin),
        mut next: impl FnMut() -> Next,
    ) {
        loop {
            // Closing is looked at first: what is queued before it is written.
            let closing = self.is_closing();
            let held = loop {
                match next() {
                    Next::Block(block) => {
                        // The block is off the queue: one that was not read for lack of room may be read now.
                        self.readable.notify_one();
                        if !matches!(within(world, timeout, writer.write_all(&block)).await, Some(Ok(()))) {
                            return;
                        }
                    }
                    Next::Held => break true,
                    Next::Nothing => break false,
                }
            };
            let flushed = within(world, timeout, writer.flush()).await;
            if !matches!(flushed, Some(Ok(()))) || (closing && !held) {
                return;
            }
            self.writable.notified().await;
        }
    }
}

/// Reads the next block, of so many bytes. `None` when the peer closed between blocks. Between blocks no memory is held for one.
///
/// # Errors
/// The connection's; `UnexpectedEof` when it ended inside a block.
pub(crate) async fn read_block(
    reader: &mut (impl AsyncRead + Unpin),
    size: usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut first = [0];
    if reader.read(&mut first).await? == 0 {
        return Ok(None);
    }
    // Written as it comes, not filled with zeros first.
    let mut block = Vec::with_capacity(size);
    block.extend_from_slice(&first);
    let mut rest = reader.take(size.saturating_sub(first.len()) as u64);
    while block.len() < size {
        if rest.read_buf(&mut block).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(block))
}

/// Ends a connection: says so, and drops what still comes until the peer has ended it too. A socket that is dropped
/// with unread bytes in it resets the connection, which may cost the peer what was written last.
pub(crate) async fn part(
    world: &impl World,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) {
    let parted = async {
        let mut dropped = [0; 1024];
        if writer.shutdown().await.is_ok() {
            while matches!(reader.read(&mut dropped).await, Ok(1..)) {}
        }
    };
    within(world, CLOSE_TIMEOUT, parted).await;
}
