//! Who is here, and how those took leave who were asked to.
//!
//! A place for each accepted stream, from the moment in which its task is spawned until that has
//! ended: how many are here, how to reach their connections, and how to end their tasks.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lastword_kit::{Departure, Opening, Report, Shutdown};
use lastword_proto::{CloseFrame, Config, Ending, Leave};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::shared::{Shared, now};

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
    /// Set when all have to leave.
    leaving: Option<Leaving>,
}

/// What is said to those who are still to come, and how those left who were asked to.
struct Leaving {
    frame: CloseFrame,
    departures: Vec<Departure>,
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

    /// Whether all were asked to leave.
    pub(super) fn are_seen_off(&self) -> bool {
        self.list.book().leaving.is_some()
    }

    /// Asks all to leave, and those who are still to come; waits for them, aborts the connections and
    /// ends the tasks of those who stay, and tells how it went. A task that holds its thread cannot be
    /// ended: nobody waits for it longer than for a goodbye.
    pub(super) async fn clear(&self, shutdown: &Shutdown, config: &Config) -> Report {
        let begun = Instant::now();
        let present = self.list.book().ask_to_leave(&shutdown.frame);
        let plan = shutdown.schedule(present, u64::from_le_bytes(lastword_kit::fresh()));
        let goodbyes = async {
            for (moment, number) in plan {
                if !moment.is_zero() {
                    sleep_until(begun + moment).await;
                }
                self.list.say_goodbye(number, &shutdown.frame);
            }
            self.all_gone().await;
        };
        let deadline = begun + shutdown.patience(config);
        let seen_off = async {
            tokio::select! {
                () = goodbyes => {}
                // Nobody waits for the hour at which those would be told who have left already.
                () = self.all_gone() => {}
            }
        };
        if timeout_at(deadline, seen_off).await.is_err() && self.list.abort_connections() {
            let _ = timeout_at(Instant::now() + config.linger, self.all_gone()).await;
        }
        let stuck = self.count();
        self.dismiss();
        let _ = timeout_at(Instant::now() + config.linger, self.all_gone()).await;
        Report::new(self.list.book().departures(), stuck)
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
        let frame = book.leaving.as_ref().map(|leaving| leaving.frame.clone());
        drop(book);
        if let Some(frame) = frame {
            show_the_door(connection, frame);
        }
    }

    /// The connection is over.
    pub(super) fn ended(&self, opening: &Opening, ending: &Arc<Ending>) {
        let mut book = self.list.book();
        if let Some(guest) = book.present.get_mut(&self.number) {
            guest.connection = None;
        }
        if let Some(leaving) = &mut book.leaving {
            leaving.departures.push(Departure::new(opening, Arc::clone(ending)));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.list.book();
        book.present.remove(&self.number);
        if book.leaving.is_some() && book.present.is_empty() {
            self.list.empty.notify_one();
        }
    }
}

impl List {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self, number: u64) -> Option<Arc<Shared>> {
        self.book().present.get(&number)?.connection.clone()
    }

    /// Tells a guest to leave, if he is still here.
    fn say_goodbye(&self, number: u64, frame: &CloseFrame) {
        if let Some(connection) = self.connection(number) {
            show_the_door(&connection, frame.clone());
        }
    }

    /// Ends all connections that are not over; whether there were any.
    fn abort_connections(&self) -> bool {
        let numbers: Vec<_> = self.book().present.keys().copied().collect();
        let connections = numbers.into_iter().filter_map(|number| self.connection(number));
        let aborted = connections.map(|shared| {
            shared.request(|inner| inner.connection.abort(now()));
        });
        aborted.count() > 0
    }
}

impl Book {
    fn enter(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.present.insert(number, Guest::default());
        number
    }

    /// From now on it matters how guests leave; who they are.
    fn ask_to_leave(&mut self, frame: &CloseFrame) -> Vec<u64> {
        self.leaving
            .get_or_insert_with(|| Leaving { frame: frame.clone(), departures: Vec::new() });
        self.present.keys().copied().collect()
    }

    /// How those left who were asked to; told once. Of a guest who holds his thread at least the
    /// connection is over.
    fn departures(&mut self) -> Vec<Departure> {
        let connections = self.present.values_mut().filter_map(|guest| guest.connection.take());
        let stayed: Vec<_> = connections
            .filter_map(|shared| {
                let ending = shared.look().connection.ending().map(Arc::clone)?;
                Some(Departure::new(&shared.opening, ending))
            })
            .collect();
        let left = self.leaving.as_mut().map(|leaving| std::mem::take(&mut leaving.departures));
        left.unwrap_or_default().into_iter().chain(stayed).collect()
    }
}

fn show_the_door(connection: &Shared, frame: CloseFrame) {
    connection.request(|inner| inner.connection.leave(Leave::Shutdown(frame), now()));
}
