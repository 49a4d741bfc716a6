//! Keeps a connection alive while the application is elsewhere: pings are answered, deadlines kept,
//! a close completed, whether or not anybody calls `recv`.
//!
//! One future for each connection, spawned or polled beside a handler. It only turns the crank of
//! [`Shared`]; what a turn does, the core decides.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use lastword_proto::{Ending, Leave};
use tokio::time::Sleep;

use crate::shared::{Keeper, Shared, Turn, now};

/// Ends with the connection.
pub(crate) struct Pump {
    shared: Arc<Shared>,
    /// Made for the first deadline, moved only when a sooner one comes up or this one passes.
    sleep: Option<Pin<Box<Sleep>>>,
    until: Option<Instant>,
}

impl Pump {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, sleep: None, until: None }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Sleeps until `deadline`; `Ready` when that has come. Deadlines mostly move later, so the
    /// timer is left where it is until it fires.
    fn poll_sleep(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let sleep = match (&mut self.sleep, self.until) {
            (Some(sleep), Some(until)) if until <= deadline => sleep,
            (Some(sleep), _) => {
                sleep.as_mut().reset(deadline.into());
                self.until = Some(deadline);
                sleep
            }
            (none, _) => {
                self.until = Some(deadline);
                none.insert(Box::pin(tokio::time::sleep_until(deadline.into())))
            }
        };
        std::task::ready!(sleep.as_mut().poll(cx));
        self.until = None;
        Poll::Ready(())
    }
}

impl Future for Pump {
    type Output = Arc<Ending>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arc<Ending>> {
        self.shared.wakes.register_pump(cx.waker());
        loop {
            if self.shared.keeper == Keeper::Pump && self.shared.take_abandoned() {
                self.shared.lock().connection.leave(Leave::Dropped, now());
            }
            match self.shared.turn() {
                Turn::Over(ending) => return Poll::Ready(ending),
                Turn::Wait(deadline) => std::task::ready!(self.poll_sleep(deadline, cx)),
            }
        }
    }
}
