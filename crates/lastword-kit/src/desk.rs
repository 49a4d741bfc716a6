//! Where a server tells what it does with each stream, once; and from where those look on who want to know:
//! numbers, a hook, and whoever listens for endings. How such a one waits for them, drivers know.

use std::fmt;
use std::sync::{Arc, Weak};

use lastword_proto::Ending;
use parking_lot::Mutex;

use crate::counts::{Census, Counts, Visit};
use crate::error::AcceptError;
use crate::opening::{Addresses, Opening};
use crate::report::{Departure, Outcome};

/// Told what became of each stream.
pub type Observer = Arc<dyn Fn(Outcome) + Send + Sync>;

/// Takes an ending; whether it wants more of them.
pub type TakeDeparture = Box<dyn Fn(&Departure) -> bool + Send>;

/// The server's side of it. Clones are of one server.
#[derive(Clone, Default)]
pub struct Reporter {
    census: Census,
    desk: Arc<Desk>,
    observer: Option<Observer>,
}

/// Gone when the last of a server is.
#[derive(Default)]
struct Desk {
    listeners: Mutex<Vec<TakeDeparture>>,
}

/// The side of those who look on. It does not keep the server.
#[derive(Clone)]
pub struct Outlook {
    census: Census,
    desk: Weak<Desk>,
}

impl Reporter {
    /// Tells `observer`, too.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// For those who look on.
    pub fn outlook(&self) -> Outlook {
        Outlook { census: self.census.clone(), desk: Arc::downgrade(&self.desk) }
    }

    /// A stream has come.
    pub fn enter(&self) -> Visit {
        self.census.enter()
    }

    /// It became no connection.
    pub fn failed(&self, visit: Visit, addresses: Addresses, error: AcceptError) {
        tracing::debug!(peer = ?addresses.peer, %error, "no connection");
        visit.failed(&error);
        if let Some(observer) = &self.observer {
            observer(Outcome::failed(addresses.peer, error));
        }
    }

    /// Its connection ended.
    pub fn ended(&self, visit: Visit, opening: &Opening, ending: Arc<Ending>) {
        visit.ended(&ending);
        let departure = Departure::new(opening, ending);
        self.desk.listeners.lock().retain(|take| take(&departure));
        if let Some(observer) = &self.observer {
            observer(departure.into());
        }
    }
}

impl Outlook {
    /// What became of all streams so far, and how many are opening and open.
    pub fn counts(&self) -> Counts {
        self.census.counts()
    }

    /// From now on, `take` is told each ending until it wants no more. It must not wait. It is dropped
    /// when the server is gone, at once if it is gone already.
    pub fn listen(&self, take: TakeDeparture) {
        if let Some(desk) = self.desk.upgrade() {
            desk.listeners.lock().push(take);
        }
    }
}

impl fmt::Debug for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlook").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
