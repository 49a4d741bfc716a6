//! Locks and atomics of the handles: those of std; or, with `--cfg lastword_model`, those of shuttle,
//! which tries the orders in which threads may come to them (`tests/model.rs`).

#[cfg(not(lastword_model))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard, atomic},
    thread_local,
};

#[cfg(lastword_model)]
pub(crate) use shuttle::{
    sync::{Mutex, MutexGuard, atomic},
    thread_local,
};
