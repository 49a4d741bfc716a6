//! A handler and its connection, run together to their ends.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use lastword_kit::{Handled, HandlerError, Handles, Opening};
use lastword_proto::{Ending, Leave};

use crate::pump::Pump;
use crate::shared::{Shared, now};

/// A handler, and the pump of its connection, in one task: an echo costs no switch between two.
pub(super) struct Served<'a, T> {
    /// `None` when it is done.
    handler: Pin<&'a mut Option<T>>,
    pump: Pump,
}

impl<'a, T: Future<Output = Result<(), HandlerError>>> Served<'a, T> {
    pub(super) const fn new(handler: Pin<&'a mut Option<T>>, shared: Arc<Shared>) -> Self {
        Self { handler, pump: Pump::new(shared) }
    }

    /// What was said in the opening.
    pub(super) fn opening(&self) -> &Opening {
        &self.pump.shared().opening
    }

    /// Runs both until the connection is over.
    pub(super) async fn over(&mut self) -> Arc<Ending> {
        poll_fn(|cx| {
            self.poll_handler(cx);
            Pin::new(&mut self.pump).poll(cx)
        })
        .await
    }

    /// Runs the handler until it is done.
    pub(super) async fn handler_done(&mut self) {
        poll_fn(|cx| {
            self.poll_handler(cx);
            if self.handler.is_none() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Turns the handler, and takes note of how it ended, or that it let go of all its handles.
    fn poll_handler(&mut self, cx: &mut Context<'_>) {
        let shared = self.pump.shared();
        let Some(handler) = self.handler.as_mut().as_pin_mut() else {
            // The handler had given its handles to others, and now they are gone, too.
            if shared.take_abandoned() {
                shared.lock().connection.leave(Leave::Dropped, now());
            }
            return;
        };
        // The pump takes its turn right behind the handler, in this same task.
        shared.attended.store(true, Ordering::Relaxed);
        let turn = AssertUnwindSafe(|| shared.in_span(|| handler.poll(cx)));
        let turned = std::panic::catch_unwind(turn);
        shared.attended.store(false, Ordering::Relaxed);
        let abandoned = shared.take_abandoned();
        match turned {
            Ok(Poll::Pending) if abandoned => {
                shared.lock().connection.leave(Leave::Dropped, now());
            }
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(result)) => {
                self.conclude(Handled::Returned(result), abandoned);
                self.handler.set(None);
            }
            Err(_) => {
                self.conclude(Handled::Panicked, abandoned);
                self.handler.set(None);
            }
        }
    }

    fn conclude(&self, handled: Handled, abandoned: bool) {
        let handles = if abandoned { Handles::LetGo } else { Handles::Held };
        let shared = self.pump.shared();
        let conclusion = shared.in_span(|| handled.concluded(handles));
        conclusion.carry_out(&mut shared.lock().connection, now());
    }
}
