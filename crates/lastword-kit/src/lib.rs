//! What the drivers of `lastword-proto` share, and give out as their own: errors, what was said in the
//! opening, whom TLS trusts, randomness; all that a client of any driver was asked for, where that leads, and
//! how it comes back; and all that a server of any driver has to know: who may come in, what is answered,
//! where a path leads, what a handler's end means, what is told of it. Knows no runtime, socket or thread; of
//! clocks only the calendar that a `Retry-After` may ask for.

mod answer;
mod audience;
mod certificates;
mod client;
mod counts;
mod credentials;
mod desk;
mod error;
mod handled;
mod limits;
mod listen;
mod listening;
mod log;
mod opening;
mod outbox;
mod received;
mod reconnect;
mod report;
mod routes;
mod seed;
mod shutdown;
#[cfg(unix)]
mod socket_file;
mod tls_details;
mod trust;
mod verdict;

pub use answer::{Answer, Incoming, Wants};
pub use audience::{Audience, Counters, Reach, Receives};
pub use certificates::ServerTls;
pub use client::{Journey, TlsPeer, Via, Wishes};
pub use counts::{Census, Counts, EndedBy, Failed, Refused, TurnedAway, Visit};
pub use credentials::{Credentials, challenge};
pub use desk::{Observer, Outlook, Reporter, TakeDeparture};
pub use error::{
    AcceptError, AcceptErrorKind, Attempt, ConnectError, Ended, FlushError, Phase, PingError,
    ReceiveError, SendError, StreamError, not_sent,
};
pub use handled::{Conclusion, Handled, HandlerError, Handles};
pub use limits::{Limits, OpeningTicket, Ticket, Turnstile};
pub use listen::{Kind, Listen, ListeningSocket};
pub use listening::{ACCEPT_AGAIN, BACKLOG, REFUSED_REST, is_of_the_guest};
pub use log::{log_ending, record_frames, trace_frames};
pub use opening::{Addresses, ConnectionId, Opening};
pub use outbox::{Bell, Board, Listener, Offered, Outbox, Slot, TopicConfig, WhenFull};
pub use received::{Decision, Received, panicked, shutting_down};
pub use reconnect::{Course, Resend, State, Stopped};
pub use report::{Departure, Outcome, Report};
pub use routes::{InvalidRoute, Params, RouteTable};
/// The TLS that drivers speak.
pub use rustls;
pub use seed::fresh;
pub use shutdown::Shutdown;
#[cfg(unix)]
pub use socket_file::SocketFile;
pub use tls_details::TlsDetails;
pub use trust::{ClientTls, Identity, Trust};
pub use verdict::Because;
