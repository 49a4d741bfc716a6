//! From an accepted stream to a connection: TLS, the request, the application's word, the answer. All
//! of it in the thread that is to serve the connection.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use lastword_kit::rustls::ServerConnection;
use lastword_kit::{
    AcceptError, Addresses, Answer, Decision, Phase, REFUSED_REST, Received, ServerTls,
};
use lastword_proto::Config;
use lastword_proto::handshake::server::{Opening, Options, Refusal};

use super::gate::Gate;
use super::guests::Place;
use crate::shared::Shared;
use crate::socket::{now, within};
use crate::stream::Stream;

/// Leads streams to connections.
pub(super) struct Admission {
    pub(super) config: Arc<Config>,
    pub(super) options: Arc<Options>,
    pub(super) tls: Option<ServerTls>,
    pub(super) gate: Gate,
}

impl Admission {
    /// Establishes TLS, if that is asked for, and answers the opening; the pump is still to be started. A
    /// stream of the caller's own has no place among guests.
    pub(super) fn admit(
        &self,
        mut stream: Stream,
        addresses: Addresses,
        place: Option<&Place>,
    ) -> Result<Arc<Shared>, AcceptError> {
        let limit = self.config.open_timeout;
        let deadline = place.map_or_else(|| within(limit), Place::deadline);
        if let Some(tls) = &self.tls {
            let session = ServerConnection::new(tls.current());
            let session = session.map_err(|error| AcceptError::Tls(io::Error::other(error)))?;
            stream = stream.under(session.into());
            stream.establish(deadline).map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => AcceptError::TimedOut { limit, phase: Phase::Tls },
                _ => AcceptError::Tls(error),
            })?;
        }
        let lost = |error: io::Error| match error.kind() {
            io::ErrorKind::TimedOut => AcceptError::TimedOut { limit, phase: Phase::Handshake },
            _ => AcceptError::Lost(error),
        };
        let received =
            self.read_request(&mut stream, deadline, place).map_err(|error| match error {
                Unread::Eof { bytes } => AcceptError::Eof { bytes },
                Unread::Failed(error) => lost(error),
            })?;
        let decided = self.decide(received, addresses, place);
        if now() >= deadline {
            // Only the application could have taken so long.
            return Err(AcceptError::TimedOut { limit, phase: Phase::Application });
        }
        let (answer, result) = match decided {
            Ok((answer, agreement)) => (answer, Ok(agreement)),
            Err(refusal) => (refusal.to_bytes(), Err(AcceptError::Refused(refusal))),
        };
        stream.write_all(&answer, deadline).map_err(lost)?;
        if result.is_err() {
            // The answer is out; how the peer takes leave changes nothing.
            let _ = leave_readable(&mut stream, within(self.config.linger));
        }
        let config = Arc::clone(&self.config);
        Shared::new(stream, result?, addresses, config).map_err(AcceptError::Lost)
    }

    /// Refuses a stream without reading its request; does not wait. Without a word where TLS would
    /// have to be established for it.
    pub(super) fn say_no(&self, stream: &mut Stream, refusal: &Refusal) -> Parting {
        let said = self.tls.is_none() && stream.write_all(&refusal.to_bytes(), now()).is_ok();
        if said { Parting::Hears } else { Parting::Gone }
    }

    /// Lets a stream that was refused read its answer.
    pub(super) fn part_from(&self, mut stream: Stream) {
        // It is refused, whether it hears of it or not.
        let _ = leave_readable(&mut stream, within(self.config.linger));
    }

    /// Reads the request. Nothing behind it is looked at before the answer is out.
    fn read_request(
        &self,
        stream: &mut Stream,
        deadline: Instant,
        place: Option<&Place>,
    ) -> Result<Received, Unread> {
        let mut opening = Opening::new(Arc::clone(&self.options), Arc::clone(&self.config));
        let mut buffer = [0; READ];
        loop {
            let read = stream.read_until(&mut buffer, deadline);
            if let Some(place) = place.filter(|place| place.doors_are_closed()) {
                return Ok(Received::Refused(place.refusal(), None));
            }
            let count = read.map_err(Unread::Failed)?;
            if count == 0 {
                return Err(Unread::Eof { bytes: opening.received() });
            }
            let step = opening.receive(buffer.get(..count).unwrap_or_default());
            if let Some(received) = Received::of(step, &mut opening) {
                return Ok(match place.filter(|place| !place.has_read()) {
                    Some(place) => Received::Refused(place.refusal(), None),
                    None => received,
                });
            }
        }
    }

    /// Lets the application decide, if it wants to be asked.
    fn decide(&self, received: Received, addresses: Addresses, place: Option<&Place>) -> Decision {
        // What nobody is shown is not taken apart.
        let shown = received.wants().filter(|wants| self.gate.asks(*wants));
        let Some(incoming) = shown.and_then(|_| received.incoming(addresses)) else {
            return received.answered(Answer::accept());
        };
        received.answered(match place {
            Some(place) => place.ask(|| self.gate.ask(incoming)).ok_or_else(|| place.refusal())?,
            None => self.gate.ask(incoming),
        })
    }
}

/// Why there is no request.
enum Unread {
    Eof { bytes: usize },
    Failed(io::Error),
}

/// Whether somebody who was refused is still there to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    Hears,
    Gone,
}

/// Ends our half of a refused stream and reads what the peer had sent behind its request: a reset
/// for unread bytes would take our answer with it.
fn leave_readable(stream: &mut Stream, deadline: Instant) -> io::Result<()> {
    stream.finish()?;
    let mut buffer = [0; 2048];
    let mut left = REFUSED_REST;
    while left > 0 {
        match stream.read_until(&mut buffer, deadline)? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// How much of a request is read at once: more than browsers send.
const READ: usize = 4096;
