//! Keeps a connection alive while the application is elsewhere: pings are answered, deadlines kept, a
//! close completed, whether or not anybody calls `recv`.
//!
//! One thread for each connection. It only turns the crank of [`Shared`]; what a turn does, the core
//! decides.

use std::io;
use std::sync::Arc;
use std::thread;

use lastword_proto::Ending;

use crate::shared::Shared;

/// Starts the pump; it ends with the connection, whose end it tells.
pub(crate) fn start(
    shared: &Arc<Shared>,
    tell: impl FnOnce(&Shared, Arc<Ending>) + Send + 'static,
) -> io::Result<()> {
    let pumped = Arc::clone(shared);
    let pump = thread::Builder::new().name("websocket".into()).stack_size(STACK);
    if let Err(error) = pump.spawn(move || tell(&pumped, run(&pumped))) {
        shared.give_up();
        return Err(error);
    }
    Ok(())
}

fn run(shared: &Shared) -> Arc<Ending> {
    loop {
        if let Some(ending) = shared.turn() {
            return ending;
        }
    }
}

/// What its deepest call takes, TLS included, many times over; and enough for who is told of the end.
const STACK: usize = 512 << 10;
