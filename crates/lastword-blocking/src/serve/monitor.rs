//! Who looks on at a server: numbers for whoever asks, and a row of endings for each who listens. What a
//! server tells, and where, `lastword-kit` knows.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, TrySendError};
use std::time::Duration;

use lastword_kit::{Counts, Departure, Outlook};

/// Looks on at a server from anywhere, while it runs and after that; [`Server::monitor`] gives it. Clones
/// are the same.
///
/// ```
/// use std::num::NonZeroUsize;
/// use lastword_blocking::{CloseCode, Server};
///
/// let server = Server::new();
/// let monitor = server.monitor();
/// let mut departures = monitor.departures(NonZeroUsize::new(100).unwrap());
/// let bound = server.bind("127.0.0.1:0")?;
/// let url = format!("ws://{}", bound.local_addr()?);
/// let stop = bound.stop_handle();
/// let serving = std::thread::spawn(|| bound.serve(|ws| { ws.ended(); Ok(()) }));
///
/// let ws = lastword_blocking::connect(&url).unwrap();
/// ws.close(CloseCode::NORMAL, "done");
/// let departure = departures.next().unwrap();
/// println!("{departure}");
/// assert_eq!(monitor.counts().ended.closed, 1);
/// stop.stop();
/// serving.join().unwrap()?;
/// // The server is gone, and with it its row of endings.
/// assert!(departures.next().is_none());
/// # std::io::Result::Ok(())
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

    /// The endings of all connections, from now on. At most `waiting` of them wait to be fetched; later
    /// ones are missed then, and counted.
    pub fn departures(&self, waiting: NonZeroUsize) -> Departures {
        // Room for all of them is made at once.
        let (sender, receiver) = mpsc::sync_channel(waiting.get().min(MOST_WAITING));
        let missed = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&missed);
        self.0.listen(Box::new(move |departure| match sender.try_send(departure.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                counting.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }));
        Departures { receiver, missed }
    }
}

/// How connections of a server end, one after the other, in the order in which they do. Made by
/// [`Monitor::departures`]; an iterator that waits for the next one, and is over when the server is gone,
/// and no other can come.
#[derive(Debug)]
pub struct Departures {
    receiver: mpsc::Receiver<Departure>,
    missed: Arc<AtomicU64>,
}

impl Departures {
    /// The next connection that ends, if that is within `limit`; `None` also when the server is gone.
    pub fn next_timeout(&mut self, limit: Duration) -> Option<Departure> {
        self.receiver.recv_timeout(limit).ok()
    }

    /// How many endings were missed so far, since too many waited already.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Iterator for Departures {
    type Item = Departure;

    fn next(&mut self) -> Option<Departure> {
        self.receiver.recv().ok()
    }
}

/// How many endings wait at most, whatever is asked for.
const MOST_WAITING: usize = 1 << 20;
