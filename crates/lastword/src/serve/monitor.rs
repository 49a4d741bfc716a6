//! Who looks on at a server: numbers for whoever asks, and a row of endings for each who listens. What a
//! server tells, and where, `lastword-kit` knows.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use lastword_kit::{Counts, Departure, Outlook};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Looks on at a server from anywhere, while it runs and after that; [`Server::monitor`] gives it. Clones
/// are the same.
///
/// ```
/// use std::num::NonZeroUsize;
/// use lastword::{CloseCode, Server};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let server = Server::new();
/// let monitor = server.monitor();
/// let mut departures = monitor.departures(NonZeroUsize::new(100).unwrap());
/// let bound = server.bind("127.0.0.1:0").await?;
/// let url = format!("ws://{}", bound.local_addr()?);
/// let serving = tokio::spawn(bound.serve(async |ws| { ws.ended().await; Ok(()) }));
///
/// let ws = lastword::connect(&url).await.unwrap();
/// assert_eq!(monitor.counts().open(), 1);
/// ws.close(CloseCode::NORMAL, "done").await;
/// let departure = departures.next().await.unwrap();
/// println!("{:?}: {}", departure.peer, departure.ending);
/// assert_eq!(monitor.counts().ended.closed, 1);
/// # serving.abort();
/// # let _ = serving.await;
/// // The server is gone, and with it its row of endings.
/// assert!(departures.next().await.is_none());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// [`Server::monitor`]: super::Server::monitor
#[derive(Clone, Debug)]
pub struct Monitor(pub(super) Outlook);

impl Monitor {
    /// What became of all streams so far, and how many are opening and open.
    pub fn counts(&self) -> Counts {
        self.0.counts()
    }

    /// The endings of all connections, from now on. At most `waiting` of them wait to be fetched, at 40
    /// bytes each and what their ending takes up; later ones are missed then, and counted.
    pub fn departures(&self, waiting: NonZeroUsize) -> Departures {
        let limit = waiting.get().min(tokio::sync::Semaphore::MAX_PERMITS);
        let (sender, receiver) = mpsc::channel(limit);
        let missed = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&missed);
        self.0.listen(Box::new(move |departure| match sender.try_send(departure.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                counting.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }));
        Departures { receiver, missed }
    }
}

/// How connections of a server end, one after the other, in the order in which they do. Made by
/// [`Monitor::departures`]; also a [`Stream`].
#[derive(Debug)]
pub struct Departures {
    receiver: mpsc::Receiver<Departure>,
    missed: Arc<AtomicU64>,
}

impl Departures {
    /// The next connection that ended; `None` when the server is gone, and no other can come.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Departure> {
        self.receiver.recv().await
    }

    /// How many endings were missed so far, since too many waited already.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Stream for Departures {
    type Item = Departure;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Departure>> {
        self.receiver.poll_recv(cx)
    }
}
