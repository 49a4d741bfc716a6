//! Who is here, and how those took leave who were asked to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lastword_proto::{CloseCode, CloseFrame, Ending, Leave};

use crate::shared::{Shared, Writing, now};

/// The connections of a server.
#[derive(Default)]
pub(super) struct Guests {
    inner: Mutex<GuestBook>,
    next: AtomicU64,
}

#[derive(Default)]
struct GuestBook {
    present: HashMap<u64, Arc<Shared>>,
    /// Set when all have to leave: then it matters how they do.
    farewells: Option<Vec<(SocketAddr, Arc<Ending>)>>,
}

impl Guests {
    pub(super) fn arrive(&self, shared: &Arc<Shared>) -> u64 {
        let guest = self.next.fetch_add(1, Ordering::Relaxed);
        let mut book = self.lock();
        book.present.insert(guest, Arc::clone(shared));
        if book.farewells.is_some() {
            show_the_door(shared);
        }
        guest
    }

    pub(super) fn depart(&self, guest: u64, peer: SocketAddr, ending: &Arc<Ending>) {
        let mut book = self.lock();
        book.present.remove(&guest);
        if let Some(farewells) = &mut book.farewells {
            farewells.push((peer, Arc::clone(ending)));
        }
    }

    pub(super) fn see_off(&self) {
        let mut book = self.lock();
        book.farewells = Some(Vec::new());
        book.present.values().for_each(|shared| show_the_door(shared));
    }

    pub(super) fn farewells(&self) -> Vec<(SocketAddr, Arc<Ending>)> {
        self.lock().farewells.take().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GuestBook> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show_the_door(shared: &Shared) {
    let mut inner = shared.lock();
    let frame = CloseFrame::truncated(CloseCode::GOING_AWAY, "server is shutting down");
    inner.connection.leave(Leave::Shutdown(frame), now());
    shared.after_request(&mut inner, Writing::Now);
}
