//! From an accepted stream to an agreement: TLS, the request, the application's word, the answer.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, StatusCode};
use lastword_kit::{AcceptError, Addresses, Phase};
use lastword_proto::handshake::server::{Offer, Opening, Options, Refusal, Step};
use lastword_proto::{Agreement, Config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::answer::{Incoming, Wants};
use super::certificates::ServerTls;
use super::gate::Gate;
use crate::transport::{Tls, Transport};

/// Whether new connections are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doors {
    Open,
    Closed,
}

/// Leads streams to connections.
pub(super) struct Admission {
    pub(super) config: Arc<Config>,
    pub(super) options: Arc<Options>,
    pub(super) tls: Option<ServerTls>,
    pub(super) doors: watch::Receiver<Doors>,
    pub(super) gate: Gate,
}

impl Admission {
    /// Establishes TLS, if that is asked for, and answers the opening.
    pub(super) async fn admit(
        &self,
        stream: impl Transport + 'static,
        addresses: Addresses,
    ) -> Result<(Box<dyn Transport>, Agreement), AcceptError> {
        let limit = self.config.open_timeout;
        let deadline = Instant::now() + limit;
        let mut transport: Box<dyn Transport> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let accepted = timeout_at(deadline, tls.acceptor().accept(stream)).await;
                let late = |_| AcceptError::TimedOut { limit, phase: Phase::Tls };
                Box::new(Tls::new(accepted.map_err(late)?.map_err(AcceptError::Tls)?))
            }
        };
        let agreement = self.open(&mut transport, addresses, deadline).await?;
        Ok((transport, agreement))
    }

    /// Refuses a stream without reading its request; without a word where TLS would have to be
    /// established for it.
    pub(super) async fn turn_away(
        &self,
        stream: impl Transport + 'static,
        refusal: Box<Refusal>,
    ) -> AcceptError {
        if self.tls.is_none() {
            let mut transport: Box<dyn Transport> = Box::new(stream);
            let say = async {
                transport.write_all(&refusal.to_bytes()).await?;
                leave_readable(&mut transport).await
            };
            // It is refused, whether it hears of it or not.
            let _ = timeout_at(Instant::now() + self.config.linger, say).await;
        }
        AcceptError::Refused(refusal)
    }

    /// Reads the request and answers it. Nothing behind it is looked at before the answer is out.
    async fn open(
        &self,
        transport: &mut Box<dyn Transport>,
        addresses: Addresses,
        deadline: Instant,
    ) -> Result<Agreement, AcceptError> {
        let limit = self.config.open_timeout;
        let late = |_| AcceptError::TimedOut { limit, phase: Phase::Handshake };
        let request = timeout_at(deadline, self.read_request(transport)).await.map_err(late)??;
        let result = match request {
            Read::Offer(offer) if self.gate.stands_open() => offer.accept(),
            Read::Refused(refusal, None) => Err(refusal),
            Read::Refused(refusal, _) if self.gate.hook.is_none() => Err(refusal),
            request => {
                let asking = Box::pin(self.ask(request, addresses));
                let late = |_| AcceptError::TimedOut { limit, phase: Phase::Application };
                timeout_at(deadline, asking).await.map_err(late)?
            }
        };
        let (answer, result) = match result {
            Ok((answer, agreement)) => (answer, Ok(agreement)),
            Err(refusal) => (refusal.to_bytes(), Err(AcceptError::Refused(refusal))),
        };
        let write = async {
            transport.write_all(&answer).await?;
            transport.flush().await
        };
        timeout_at(deadline, write).await.map_err(late)?.map_err(AcceptError::Lost)?;
        if result.is_err() {
            let linger = Instant::now() + self.config.linger;
            // The answer is out; how the peer takes leave changes nothing.
            let _ = timeout_at(linger, Box::pin(leave_readable(transport))).await;
        }
        result
    }

    async fn read_request(&self, transport: &mut Box<dyn Transport>) -> Result<Read, AcceptError> {
        let mut opening = Opening::new(Arc::clone(&self.options), Arc::clone(&self.config));
        let mut doors = self.doors.clone();
        loop {
            let read = tokio::select! {
                biased;
                refusal = closed(&mut doors) => return Ok(Read::Refused(refusal, None)),
                read = poll_fn(|cx| poll_read(transport, &mut opening, cx)) => read,
            };
            match read.map_err(AcceptError::Lost)? {
                None => return Err(AcceptError::Eof { bytes: opening.received() }),
                Some(Step::More) => {}
                Some(Step::Offer(offer)) => return Ok(Read::Offer(offer)),
                Some(Step::Refused(refusal)) => {
                    let ordinary = opening.take_ordinary_request().map(Box::new);
                    return Ok(Read::Refused(refusal, ordinary));
                }
            }
        }
    }

    /// Lets the application decide, as long as the doors are open.
    async fn ask(&self, read: Read, addresses: Addresses) -> Judged {
        let (request, wants) = match &read {
            Read::Offer(offer) => (offer.request(), Wants::WebSocket),
            Read::Refused(_, request) => {
                let request = request.as_deref().cloned().unwrap_or_default();
                (request, Wants::Http)
            }
        };
        let method = request.method().clone();
        let Addresses { local: local_addr, peer: peer_addr } = addresses;
        let incoming = Incoming { request, wants, local_addr, peer_addr };
        let mut doors = self.doors.clone();
        let answer = tokio::select! {
            biased;
            refusal = closed(&mut doors) => return Err(refusal),
            answer = self.gate.ask(incoming) => answer,
        };
        match read {
            Read::Offer(offer) => answer.decide_offer(*offer),
            Read::Refused(refusal, _) => Err(answer.decide_ordinary(&method, refusal)),
        }
    }
}

/// A request as it was read, before the application has seen it.
enum Read {
    Offer(Box<Offer>),
    /// The request is there if it was an ordinary one.
    Refused(Box<Refusal>, Option<Box<Request<()>>>),
}

/// The response that accepts a request and the agreement; or how it is refused.
type Judged = Result<(bytes::Bytes, Agreement), Box<Refusal>>;

/// Ready when the doors are closed, with the answer to those who are still in front of them.
async fn closed(doors: &mut watch::Receiver<Doors>) -> Box<Refusal> {
    // When nobody is left to close them, all are about to be dropped.
    let _ = doors.wait_for(|doors| *doors == Doors::Closed).await;
    Refusal::application(StatusCode::SERVICE_UNAVAILABLE, "server is shutting down")
}

/// Reads once; `None` at the end of the stream.
fn poll_read(
    transport: &mut Box<dyn Transport>,
    opening: &mut Opening,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Option<Step>>> {
    let mut bytes = [MaybeUninit::uninit(); READ];
    let mut buffer = ReadBuf::uninit(&mut bytes);
    std::task::ready!(Pin::new(transport).poll_read(cx, &mut buffer))?;
    let read = buffer.filled();
    Poll::Ready(Ok((!read.is_empty()).then(|| opening.receive(read))))
}

/// Ends our half of a refused stream and reads what the peer had sent behind its request: a reset
/// for unread bytes would take our answer with it.
async fn leave_readable(transport: &mut Box<dyn Transport>) -> io::Result<()> {
    transport.shutdown().await?;
    let mut buffer = [0; 2048];
    let mut left = REFUSED_REST;
    while left > 0 {
        match transport.read(&mut buffer).await? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// How much is read at once: more than browsers send. It stands on the stack, and only while it is
/// read.
const READ: usize = 4096;

/// How much of what follows a refused request is read.
const REFUSED_REST: usize = 64 << 10;
