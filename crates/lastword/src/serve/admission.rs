//! From an accepted stream to an agreement: TLS, the request, the application's word, the answer.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lastword_kit::{
    AcceptError, Addresses, Answer, Decision, Phase, REFUSED_REST, Received, ServerTls, Shutdown,
};
use lastword_proto::handshake::server::{Opening, Options, Refusal, Step};
use lastword_proto::{Agreement, Config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

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
    pub(super) shutdown: Shutdown,
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
            None => stream.boxed(),
            Some(tls) => {
                let accepting = TlsAcceptor::from(tls.current()).accept(stream);
                let mut doors = self.doors.clone();
                let accepted = tokio::select! {
                    biased;
                    // Without a word: to say one would take a handshake.
                    () = closed(&mut doors) => {
                        return Err(AcceptError::Refused(self.shutdown.refusal()));
                    }
                    accepted = timeout_at(deadline, accepting) => accepted,
                };
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
            let mut transport = stream.boxed();
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
        let received = timeout_at(deadline, self.read_request(transport)).await.map_err(late)??;
        let result = if received.wants().is_some_and(|wants| self.gate.asks(wants)) {
            let asking = Box::pin(self.ask(received, addresses));
            let late = |_| AcceptError::TimedOut { limit, phase: Phase::Application };
            timeout_at(deadline, asking).await.map_err(late)?
        } else {
            received.answered(Answer::accept())
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

    async fn read_request(
        &self,
        transport: &mut Box<dyn Transport>,
    ) -> Result<Received, AcceptError> {
        let mut opening = Opening::new(Arc::clone(&self.options), Arc::clone(&self.config));
        let mut doors = self.doors.clone();
        loop {
            let read = tokio::select! {
                biased;
                () = closed(&mut doors) => return Ok(Received::Refused(self.shutdown.refusal(), None)),
                read = poll_fn(|cx| poll_read(transport, &mut opening, cx)) => read,
            };
            let Some(step) = read.map_err(AcceptError::Lost)? else {
                return Err(AcceptError::Eof { bytes: opening.received() });
            };
            if let Some(received) = Received::of(step, &mut opening) {
                return Ok(received);
            }
        }
    }

    /// Lets the application decide, as long as the doors are open.
    async fn ask(&self, received: Received, addresses: Addresses) -> Decision {
        let Some(incoming) = received.incoming(addresses) else {
            return received.answered(Answer::accept());
        };
        let mut doors = self.doors.clone();
        let answer = tokio::select! {
            biased;
            () = closed(&mut doors) => return Err(self.shutdown.refusal()),
            answer = self.gate.ask(incoming) => answer,
        };
        received.answered(answer)
    }
}

/// Ready when the doors are closed.
async fn closed(doors: &mut watch::Receiver<Doors>) {
    // When nobody is left to close them, all are about to be dropped.
    let _ = doors.wait_for(|doors| *doors == Doors::Closed).await;
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
