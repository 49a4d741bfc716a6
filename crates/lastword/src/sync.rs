//! Locks and atomics of the handles: those of parking_lot and std; or, with `--cfg lastword_model`,
//! those of shuttle, which tries the orders in which threads may come to them (`tests/model.rs`).
//!
//! A panic poisons no lock: the calls of the core are total, and none is half made.

#[cfg(not(lastword_model))]
pub(crate) use {
    parking_lot::{Mutex, MutexGuard},
    std::{sync::atomic, thread_local},
};

#[cfg(lastword_model)]
pub(crate) use shuttle::{
    sync::{MutexGuard, atomic},
    thread_local,
};

/// Shuttle's lock, in the form of parking_lot's.
#[cfg(lastword_model)]
#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

#[cfg(lastword_model)]
impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
