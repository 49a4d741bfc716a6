//! Accepts from a listener, and gives each stream a thread that leads it through its whole life; until
//! the doors close, and those who are inside have left.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use lastword_kit::{
    ACCEPT_AGAIN, AcceptError, Addresses, Handled, HandlerError, Handles, OpeningTicket, Outcome,
    PeerAddr, Report, Ticket, Turnstile,
};
use lastword_proto::Ending;

use super::Observer;
use super::admission::{Admission, Parting};
use super::guests::{Guests, Place};
use super::listener::Listener;
use crate::shared::Shared;
use crate::socket::{Socket, now};
use crate::stream::Stream;
use crate::websocket::WebSocket;

/// All that the threads of a server share.
pub(super) struct House<F> {
    pub(super) admission: Admission,
    pub(super) handler: F,
    pub(super) observer: Option<Observer>,
    pub(super) turnstile: Arc<Turnstile>,
    pub(super) guests: Arc<Guests>,
    /// One for each thread that waits for a refused stream to be read.
    pub(super) partings: Arc<()>,
}

impl<F> House<F>
where
    F: Fn(WebSocket) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    /// Serves all who come, until the doors close; then waits for those who are here.
    pub(super) fn attend(self: Arc<Self>, listener: Listener) -> io::Result<Report> {
        loop {
            self.guests.wait_for_knock(&listener)?;
            if self.guests.doors_are_closed() {
                break;
            }
            match listener.accept() {
                Ok((stream, peer)) => self.welcome(stream, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    // Out of descriptors, mostly: those who are here go on, and some will leave.
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    self.guests.wait_for_leave(ACCEPT_AGAIN);
                }
            }
        }
        drop(listener);
        let config = &self.admission.config;
        Ok(self.guests.see_off(now() + config.close_timeout + config.linger))
    }

    fn welcome(self: &Arc<Self>, stream: OwnedFd, peer: Option<SocketAddr>) {
        let lost = |error| self.observe(peer.into(), Err(AcceptError::Lost(error)));
        let mut stream = match Socket::new(stream) {
            Ok(socket) => Stream::plain(socket),
            Err(error) => return lost(error),
        };
        let tickets = match self.turnstile.enter(peer.map(|peer| peer.ip())) {
            Ok(tickets) => tickets,
            Err(refusal) => {
                if self.admission.say_no(&mut stream, &refusal) == Parting::Hears {
                    self.part_from(stream);
                }
                return self.observe(peer.into(), Err(AcceptError::Refused(refusal)));
            }
        };
        let deadline = now() + self.admission.config.open_timeout;
        let place = self.guests.enter(Arc::clone(&stream.socket), deadline);
        let house = Arc::clone(self);
        let name = format!("websocket {}", PeerAddr::from(peer));
        let host = move || house.host(stream, peer, tickets, place);
        if let Err(error) = thread::Builder::new().name(name).spawn(host) {
            lost(error);
        }
    }

    /// Lets somebody read his refusal in a thread of its own, if there are not too many already.
    fn part_from(self: &Arc<Self>, stream: Stream) {
        let house = (Arc::clone(self), Arc::clone(&self.partings));
        if Arc::strong_count(&self.partings) <= PARTINGS {
            // Without a thread he is hung up on, and most likely has the answer.
            let _ = thread::Builder::new().spawn(move || house.0.admission.part_from(stream));
        }
    }

    /// The whole life of an accepted stream.
    fn host(
        &self,
        stream: Stream,
        peer: Option<SocketAddr>,
        tickets: (Ticket, OpeningTicket),
        place: Place,
    ) {
        // The ticket is given back when all is over, the handler included.
        let (_ticket, opening) = tickets;
        let addresses = Addresses { local: stream.socket.local_addr(), peer };
        let peer = PeerAddr::from(peer);
        let admitted = self.admission.admit(stream, addresses, Some(&place));
        drop(opening);
        let result = admitted.map(|shared| {
            place.connected(peer, &shared);
            self.serve(&shared)
        });
        match &result {
            Ok(ending) => place.ended(peer, ending),
            Err(error) => {
                tracing::debug!(%peer, %error, "no connection");
                drop(place);
            }
        }
        self.observe(peer, result);
    }

    /// Runs the handler, and waits for the end.
    fn serve(&self, shared: &Arc<Shared>) -> Arc<Ending> {
        let ws = WebSocket::new(Arc::clone(shared));
        // Keeps the connection until it is known how the handler ended.
        let keep = ws.sender();
        let handling = || shared.in_span(|| (self.handler)(ws));
        let handled = match catch_unwind(AssertUnwindSafe(handling)) {
            Ok(result) => Handled::Returned(result),
            Err(_) => Handled::Panicked,
        };
        let handles = if keep.is_last() { Handles::LetGo } else { Handles::Held };
        let conclusion = shared.in_span(|| handled.concluded(handles));
        shared.request(|inner| conclusion.carry_out(&mut inner.connection, now()));
        // Whoever else holds a handle decides from here on.
        drop(keep);
        shared.ended()
    }

    fn observe(&self, peer: PeerAddr, result: Result<Arc<Ending>, AcceptError>) {
        if let Some(observer) = &self.observer {
            observer(Outcome::new(peer, result));
        }
    }
}

/// How many refused streams are waited for at once, each in a thread; others are hung up on, which may
/// take the answer with it.
const PARTINGS: usize = 32;
