use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes read from a stream at a time: nearly two blocks in their records. As many may be held for a
/// connection whose blocks are not asked for.
const AHEAD: usize = 32 * 1024;

thread_local! {
    /// Where a thread's streams read to, in turn: mostly TLS takes all at once. A stream from which it does not keeps the
    /// memory until it has, and the next one gets other.
    static SPARE: RefCell<Vec<Box<[u8]>>> = RefCell::default();
}

/// How many pieces of memory a thread keeps for its streams: 256 KiB.
const SPARES: usize = 8;

fn lend() -> Box<[u8]> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; AHEAD].into())
}

fn give_back(memory: Box<[u8]>) {
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARES {
            spare.push(memory);
        }
    });
}

/// The stream below a TLS session.
///
/// It writes all the records that TLS has ready at once, also on a stream that by itself writes only the first
/// of several buffers: tokio-rustls makes a single attempt to send the alert of a failed handshake, and at a
/// client another record stands before it.
///
/// It reads ahead: rustls asks for 4 KiB at a time, which would be five calls of the system for each block.
#[derive(Debug)]
pub struct Gather<S> {
    inner: S,
    /// What was read and TLS has not asked for is the part from `taken` to `read`. It has no memory while that is empty.
    ahead: Box<[u8]>,
    taken: usize,
    read: usize,
}

impl<S> Gather<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, ahead: Box::default(), taken: 0, read: 0 }
    }

    /// The stream that was given to the handshake.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

/// Moves bytes from the front of `from` to the buffer: how many.
fn fill(buffer: &mut ReadBuf<'_>, from: &[u8]) -> usize {
    let (first, _) = from.split_at(buffer.remaining().min(from.len()));
    buffer.put_slice(first);
    first.len()
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut polled = Poll::Ready(Ok(()));
        if this.taken == this.read {
            this.ahead = lend();
            let mut arrived = ReadBuf::new(&mut this.ahead);
            polled = Pin::new(&mut this.inner).poll_read(context, &mut arrived);
            (this.taken, this.read) = (0, arrived.filled().len());
        }
        this.taken += fill(buffer, this.ahead.get(this.taken..this.read).unwrap_or_default());
        if this.taken == this.read {
            give_back(std::mem::take(&mut this.ahead));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let inner = Pin::new(&mut self.inner);
        match buffers {
            [one] => inner.poll_write(context, one),
            several if inner.is_write_vectored() => inner.poll_write_vectored(context, several),
            several => {
                let slices: Vec<&[u8]> = several.iter().map(|buffer| &**buffer).collect();
                inner.poll_write(context, &slices.concat())
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
