//! What a handshake takes from outside and what it leaves behind, kept in a thread-local only while that
//! handshake is being polled.
//!
//! rustls calls its cryptography through `&'static` objects without a context, so the state of the one
//! handshake that is running has to be found through the thread. [`run`] puts it there before every poll and
//! takes it away afterwards: handshakes that take turns on one thread do not see one another.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

/// The randomness and the date for one handshake.
#[derive(Debug)]
pub enum Entropy {
    /// The operating system's randomness and clock.
    System,
    /// Every byte a function of the arguments: for simulations and for tests.
    Seeded {
        /// The stream for this one handshake; two handshakes with the same stream send the same bytes.
        /// Boxed, because the state of a stream is some 300 bytes.
        rng: Box<ChaCha20Rng>,
        /// The date for the certificates' validity, in seconds since 1970.
        unix_seconds: u64,
    },
}

impl Entropy {
    /// [`Entropy::Seeded`] from a stream for this one handshake and the date in seconds since 1970.
    pub fn seeded(rng: ChaCha20Rng, unix_seconds: u64) -> Self {
        Self::Seeded { rng: Box::new(rng), unix_seconds }
    }
}

/// The Finished values computed in one handshake, in order.
#[derive(Debug, Default)]
pub(super) struct Finished(Vec<Vec<u8>>);

impl Finished {
    /// The client's Finished. Both ends compute the server's first and the client's second (RFC 8446,
    /// section 4.4.4), each exactly once as there are no resumed sessions, whose binders would add to the list.
    pub(super) fn of_client(self) -> Option<Vec<u8>> {
        let [_server, client]: [Vec<u8>; 2] = self.0.try_into().ok()?;
        Some(client)
    }
}

/// The state of a running handshake.
struct Scope {
    entropy: Entropy,
    finished: Finished,
}

thread_local! {
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Gives the thread's previous state back when a poll ends, also when it ends in a panic.
struct Restore {
    previous: Option<Scope>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.replace(self.previous.take());
    }
}

/// Runs a handshake with `entropy` and returns its result together with the Finished values it computed.
pub(super) async fn run<F: Future>(entropy: Entropy, handshake: F) -> (F::Output, Finished) {
    let mut handshake = pin!(handshake);
    let mut scope = Some(Scope { entropy, finished: Finished::default() });
    let output = poll_fn(|context| {
        let restore = Restore { previous: CURRENT.replace(scope.take()) };
        let polled = handshake.as_mut().poll(context);
        scope = CURRENT.take();
        drop(restore);
        polled
    })
    .await;
    let finished = scope.map(|scope| scope.finished).unwrap_or_default();
    (output, finished)
}

/// Notes a Finished value of the running handshake.
pub(super) fn record_finished(value: &[u8]) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(scope) = current {
            scope.finished.0.push(value.to_vec());
        }
    });
}

/// Fills `buffer` from the running handshake's stream. `None`, and nothing written, outside a seeded handshake.
pub(super) fn fill(buffer: &mut [u8]) -> Option<()> {
    CURRENT.with_borrow_mut(|current| match current {
        Some(Scope { entropy: Entropy::Seeded { rng, .. }, .. }) => {
            rng.fill_bytes(buffer);
            Some(())
        }
        _ => None,
    })
}

/// The running handshake's date in seconds since 1970. `None` outside a seeded handshake.
pub(super) fn unix_seconds() -> Option<u64> {
    CURRENT.with_borrow(|current| match current {
        Some(Scope { entropy: Entropy::Seeded { unix_seconds, .. }, .. }) => Some(*unix_seconds),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use rand_core::SeedableRng;

    use super::*;

    fn seeded(seed: u64) -> Entropy {
        Entropy::seeded(ChaCha20Rng::seed_from_u64(seed), seed)
    }

    async fn two_draws() -> (u64, [u8; 4]) {
        let mut drawn = [0; 4];
        fill(&mut drawn[..2]).unwrap();
        record_finished(&drawn[..2]);
        tokio::task::yield_now().await;
        fill(&mut drawn[2..]).unwrap();
        record_finished(&drawn[2..]);
        (unix_seconds().unwrap(), drawn)
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn handshakes_that_take_turns_on_a_thread_keep_their_own_streams() {
        let alone: Vec<_> = [1, 2]
            .map(|seed| {
                let mut future = pin!(run(seeded(seed), two_draws()));
                assert!(poll(future.as_mut()).is_pending());
                match poll(future) {
                    Poll::Ready((drawn, finished)) => (drawn, finished.of_client()),
                    Poll::Pending => panic!("two polls are enough"),
                }
            })
            .into();
        assert_ne!(alone[0], alone[1]);

        let (mut one, mut two) = (pin!(run(seeded(1), two_draws())), pin!(run(seeded(2), two_draws())));
        assert!(poll(one.as_mut()).is_pending());
        assert!(poll(two.as_mut()).is_pending());
        let mut together = Vec::new();
        for future in [poll(one), poll(two)] {
            match future {
                Poll::Ready((drawn, finished)) => together.push((drawn, finished.of_client())),
                Poll::Pending => panic!("two polls are enough"),
            }
        }
        assert_eq!(alone, together);
    }

    #[test]
    fn outside_a_seeded_handshake_there_is_no_stream_and_no_date() {
        let asked = || (fill(&mut [0; 8]), unix_seconds());
        assert_eq!(asked(), (None, None));
        match poll(pin!(run(Entropy::System, async { asked() }))) {
            Poll::Ready((within, _)) => assert_eq!(within, (None, None)),
            Poll::Pending => panic!("nothing to wait for"),
        }
        assert_eq!(asked(), (None, None));
    }

    #[test]
    fn a_panic_leaves_no_state_behind() {
        let caught = std::panic::catch_unwind(|| {
            let _ = poll(pin!(run(seeded(1), async { panic!("on purpose") })));
        });
        assert!(caught.is_err());
        assert_eq!(unix_seconds(), None);
    }

    #[test]
    fn only_two_finished_values_make_a_session_id() {
        let list = |n: u8| Finished((0..n).map(|i| vec![i]).collect());
        assert_eq!(list(1).of_client(), None);
        assert_eq!(list(2).of_client(), Some(vec![1]));
        assert_eq!(list(3).of_client(), None);
    }
}
