//! Accepts from all that listen, and gives each stream a thread that leads it through its whole life; until the
//! doors close, and those who are inside have left.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use lastword_kit::{
    ACCEPT_AGAIN, AcceptError, Addresses, Handled, HandlerError, Handles, OpeningTicket, Report,
    Reporter, Ticket, Turnstile, Visit,
};

use super::admission::{Admission, Parting};
use super::guests::{Guests, Place};
use super::listener::Listeners;
use crate::pump;
use crate::shared::Shared;
use crate::socket::{Socket, now, within};
use crate::stream::Stream;
use crate::websocket::WebSocket;

/// All that the threads of a server share.
pub(super) struct House<F> {
    pub(super) admission: Admission,
    pub(super) handler: F,
    pub(super) reporter: Reporter,
    pub(super) turnstile: Arc<Turnstile>,
    pub(super) guests: Arc<Guests>,
    /// One for each thread that waits for a refused stream to be read.
    pub(super) partings: Arc<()>,
}

/// What a stream comes in with.
struct Papers {
    addresses: Addresses,
    visit: Visit,
    /// Given back when all is over, the handler included; that of the opening when there is a connection.
    tickets: (Ticket, OpeningTicket),
    place: Place,
}

impl<F> House<F>
where
    F: Fn(WebSocket) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    /// Serves all who come, until the doors close; then waits for those who are here.
    pub(super) fn attend(self: Arc<Self>, mut listeners: Listeners) -> io::Result<Report> {
        loop {
            self.guests.wait_for_knock(&listeners)?;
            if self.guests.doors_are_closed() {
                break;
            }
            match listeners.accept() {
                Ok((stream, peer)) => self.welcome(stream, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    // Out of descriptors, mostly: those who are here go on, and some will leave.
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    self.guests.wait_for_leave(ACCEPT_AGAIN);
                }
            }
        }
        drop(listeners);
        Ok(self.guests.see_off(&self.admission.config))
    }

    fn welcome(self: &Arc<Self>, stream: OwnedFd, peer: Option<SocketAddr>) {
        let visit = self.reporter.enter();
        let mut addresses = Addresses { local: None, peer };
        let mut stream = match Socket::new(stream) {
            Ok(socket) => Stream::plain(socket),
            Err(error) => {
                return self.reporter.failed(visit, addresses, AcceptError::Lost(error));
            }
        };
        let tickets = match self.turnstile.enter(peer.map(|peer| peer.ip()), now()) {
            Ok(tickets) => tickets,
            Err(refusal) => {
                if self.admission.say_no(&mut stream, &refusal) == Parting::Hears {
                    self.part_from(stream);
                }
                return self.reporter.failed(visit, addresses, AcceptError::Refused(refusal));
            }
        };
        addresses.local = stream.socket.local_addr();
        let deadline = within(self.admission.config.open_timeout);
        let place = self.guests.enter(Arc::clone(&stream.socket), deadline);
        let papers = Papers { addresses, visit, tickets, place };
        let house = Arc::clone(self);
        // Without a thread all of it is dropped, and counted as torn down.
        if let Err(error) = thread::Builder::new()
            .name("websocket handler".into())
            .spawn(move || house.host(stream, papers))
        {
            tracing::warn!(%error, "no thread for a connection");
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
    fn host(&self, stream: Stream, papers: Papers) {
        let Papers { addresses, mut visit, tickets: (_ticket, opening), place } = papers;
        let admitted = self.admission.admit(stream, addresses, Some(&place));
        drop(opening);
        let shared = match admitted {
            Ok(shared) => shared,
            Err(error) => {
                self.reporter.failed(visit, addresses, error);
                return drop(place);
            }
        };
        visit.opened();
        let farewell = place.connected(&shared);
        let reporter = self.reporter.clone();
        // Whoever keeps the connection tells its end, however long the handler stays.
        let started = pump::start(&shared, move |shared, ending| {
            farewell.ended(&shared.opening, &ending);
            reporter.ended(visit, &shared.opening, ending);
        });
        match started {
            Ok(()) => self.serve(&shared),
            Err(error) => tracing::warn!(%error, "no thread to keep a connection"),
        }
    }

    /// Runs the handler, and waits for the end.
    fn serve(&self, shared: &Arc<Shared>) {
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
        shared.ended();
    }
}

/// How many refused streams are waited for at once, each in a thread; others are hung up on, which may
/// take the answer with it.
const PARTINGS: usize = 32;
