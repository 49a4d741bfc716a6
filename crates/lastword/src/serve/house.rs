//! What one thread does for a server: accepts from its listeners, and leads each stream through its
//! whole life; until the doors close, and those who are inside have left.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lastword_kit::{
    ACCEPT_AGAIN, AcceptError, Addresses, HandlerError, Report, Reporter, Ticket, Turnstile, Visit,
};
use tokio::time::Instant;

use super::admission::{Admission, Doors};
use super::guests::{Guests, Place};
use super::listener::Listeners;
use super::served::Served;
use super::stream::Stream;
use crate::shared::{Keeper, Shared, now};
use crate::websocket::WebSocket;

/// All that a server's listeners share.
pub(super) struct House<F> {
    pub(super) admission: Admission,
    pub(super) handler: F,
    pub(super) reporter: Reporter,
    pub(super) turnstile: Arc<Turnstile>,
}

impl<F, T> House<F>
where
    F: Fn(WebSocket) -> T + Send + Sync + 'static,
    T: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    /// Serves all who come, until the doors close; then waits for those who are here. When nobody
    /// is left to close the doors, all is dropped at once.
    pub(super) async fn attend(self: Arc<Self>, mut listeners: Listeners) -> Report {
        let guests = Guests::default();
        let mut doors = self.admission.doors.clone();
        let mut closed =
            pin!(async { doors.wait_for(|doors| *doors == Doors::Closed).await.map(drop) });
        let (mut pace, mut paced) = (pin!(tokio::time::sleep(PACE)), false);
        loop {
            tokio::select! {
                biased;
                closed = &mut closed => match closed {
                    Ok(()) => break,
                    Err(_) => return Report::default(),
                },
                () = &mut pace, if paced => {
                    pace.as_mut().reset(Instant::now() + PACE);
                    paced = guests.count() > 0;
                }
                accepted = listeners.accept() => match accepted {
                    Ok((addresses, stream)) => {
                        paced = true;
                        let visit = self.reporter.enter();
                        match stream {
                            Ok(stream) => guests.spawn(|place| {
                                Arc::clone(&self).welcome(stream, addresses, place, visit)
                            }),
                            Err(error) => {
                                self.reporter.failed(visit, addresses, AcceptError::Lost(error));
                            }
                        }
                    }
                    Err(error) => {
                        // Out of descriptors, mostly: those who are here go on, and some will leave.
                        tracing::warn!(%error, "cannot accept a connection; trying again");
                        tokio::task::yield_now().await;
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
            }
        }
        drop(listeners);
        guests.clear(&self.admission.shutdown, &self.admission.config).await
    }

    /// The whole life of an accepted stream.
    fn welcome(
        self: Arc<Self>,
        stream: Stream,
        addresses: Addresses,
        place: Place,
        visit: Visit,
    ) -> impl Future<Output = ()> + Send + 'static {
        // In a box of its own, that goes when the opening is over: the task lives as long as the
        // connection, and would keep room for it.
        let entrance = Box::pin(Arc::clone(&self).enter(stream, addresses, visit));
        async move {
            // The ticket is given back when all is over, the handler included.
            let Some((shared, _ticket, visit)) = entrance.await else { return };
            place.connected(&shared);
            let handler = pin!(Some((self.handler)(WebSocket::new(Arc::clone(&shared)))));
            let mut served = Served::new(handler, shared);
            let ending = served.over().await;
            place.ended(served.opening(), &ending);
            self.reporter.ended(visit, served.opening(), ending);
            // A handler may have work left when its connection is over.
            served.handler_done().await;
        }
    }

    /// From a stream to a connection, if it becomes one.
    async fn enter(
        self: Arc<Self>,
        stream: Stream,
        addresses: Addresses,
        mut visit: Visit,
    ) -> Option<(Arc<Shared>, Ticket, Visit)> {
        let address = addresses.peer.map(|peer| peer.ip());
        let (ticket, admitted) = match self.turnstile.enter(address, now()) {
            Ok((ticket, _opening)) => (Some(ticket), self.admission.admit(stream, addresses).await),
            Err(refusal) => (None, Err(self.admission.turn_away(stream, refusal).await)),
        };
        match admitted {
            Ok((transport, agreement)) => {
                let config = Arc::clone(&self.admission.config);
                let shared = Shared::new(transport, agreement, addresses, config, Keeper::Server);
                visit.opened();
                Some((shared, ticket?, visit))
            }
            Err(error) => {
                self.reporter.failed(visit, addresses, error);
                None
            }
        }
    }
}

/// How often a timer of ours comes up while there are guests, for no other purpose than to be the
/// soonest: tokio wakes itself up, with a system call, for each timer that is sooner than all others,
/// as those of a new connection and of one that closes would often be.
const PACE: Duration = Duration::from_secs(5);
