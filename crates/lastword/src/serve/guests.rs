//! Who is here, and how those took leave who were asked to.
//!
//! A place for each accepted stream, from the moment in which its task is spawned until that has
//! ended: how many are here, how to reach their connections, and how to end their tasks.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lastword_kit::{Departure, Opening};
use lastword_proto::{CloseCode, CloseFrame, Config, Ending, Leave};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::shared::{Shared, Writing, now};

/// The guests of one listener. Dropping it dismisses them all.
#[derive(Default)]
pub(super) struct Guests {
    list: Arc<List>,
}

#[derive(Default)]
struct List {
    book: Mutex<Book>,
    /// All were asked to leave, and the last has left.
    empty: Notify,
}

#[derive(Default)]
struct Book {
    present: BTreeMap<u64, Guest>,
    next: u64,
    /// Set when all have to leave: then it matters how they do.
    farewells: Option<Vec<Departure>>,
}

#[derive(Default)]
struct Guest {
    task: Option<AbortHandle>,
    /// While there is a connection that is not over.
    connection: Option<Arc<Shared>>,
}

/// A guest's own place, which is free again when this is dropped.
pub(super) struct Place {
    list: Arc<List>,
    number: u64,
}

impl Guests {
    /// Spawns the task of another guest.
    pub(super) fn spawn<T>(&self, life: impl FnOnce(Place) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let number = self.list.book().enter();
        let task = tokio::spawn(life(Place { list: Arc::clone(&self.list), number }));
        // It may have ended already, in another thread.
        if let Some(guest) = self.list.book().present.get_mut(&number) {
            guest.task = Some(task.abort_handle());
        }
    }

    /// Asks all to leave, and those who are still to come.
    fn see_off(&self) {
        let mut book = self.list.book();
        book.farewells.get_or_insert_default();
        let connections = book.present.values().filter_map(|guest| guest.connection.as_ref());
        connections.for_each(|connection| show_the_door(connection));
    }

    /// Whether all were asked to leave.
    pub(super) fn are_seen_off(&self) -> bool {
        self.list.book().farewells.is_some()
    }

    /// Asks all to leave, waits for them, and ends the tasks of those who stay; gives how many those
    /// were. A task that holds its thread cannot be ended: nobody waits for it longer than for a
    /// goodbye.
    pub(super) async fn clear(&self, config: &Config) -> usize {
        self.see_off();
        let deadline = Instant::now() + config.close_timeout + config.linger;
        let _ = timeout_at(deadline, self.all_gone()).await;
        let stuck = self.count();
        self.dismiss();
        let _ = timeout_at(Instant::now() + config.linger, self.all_gone()).await;
        stuck
    }

    /// Waits until those who were asked to leave are gone.
    async fn all_gone(&self) {
        while self.count() > 0 {
            self.list.empty.notified().await;
        }
        // Another may wait for the same.
        self.list.empty.notify_one();
    }

    pub(super) fn count(&self) -> usize {
        self.list.book().present.len()
    }

    /// Ends the tasks of all who are still here.
    fn dismiss(&self) {
        let tasks: Vec<_> =
            self.list.book().present.values_mut().filter_map(|guest| guest.task.take()).collect();
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// How those took leave who were asked to.
    pub(super) fn farewells(&self) -> Vec<Departure> {
        let mut book = self.list.book();
        book.farewells.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        self.dismiss();
    }
}

impl Place {
    /// There is a connection now.
    pub(super) fn connected(&self, connection: &Arc<Shared>) {
        let mut book = self.list.book();
        if let Some(guest) = book.present.get_mut(&self.number) {
            guest.connection = Some(Arc::clone(connection));
        }
        if book.farewells.is_some() {
            show_the_door(connection);
        }
    }

    /// The connection is over.
    pub(super) fn ended(&self, opening: &Opening, ending: &Arc<Ending>) {
        let mut book = self.list.book();
        if let Some(guest) = book.present.get_mut(&self.number) {
            guest.connection = None;
        }
        if let Some(farewells) = &mut book.farewells {
            farewells.push(Departure::new(opening, Arc::clone(ending)));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.list.book();
        book.present.remove(&self.number);
        if book.farewells.is_some() && book.present.is_empty() {
            self.list.empty.notify_one();
        }
    }
}

impl List {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn enter(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.present.insert(number, Guest::default());
        number
    }
}

fn show_the_door(connection: &Shared) {
    let mut inner = connection.lock();
    let frame = CloseFrame::truncated(CloseCode::GOING_AWAY, "server is shutting down");
    inner.connection.leave(Leave::Shutdown(frame), now());
    connection.after_request(&mut inner, Writing::Now);
}
