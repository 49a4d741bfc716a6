//! The driver of `lastword-blocking`, as it is.

use std::sync::Arc;
use std::time::Duration;

use lastword_blocking::{
    Client, CloseCode, Ending, Message, ReceiveError, SendError, Server, WebSocket,
};

use crate::driver::{Driver, NoConnection, Peer, Received, Setup};
use crate::stream::Stream;
use crate::tls::Certificates;

/// `lastword-blocking`, in whichever thread calls.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing of its own")]
pub struct Blocking;

impl Driver for Blocking {
    fn accept(&self, stream: Stream, setup: &Setup) -> Result<Box<dyn Peer>, NoConnection> {
        let mut server = Server::new().config(setup.config.clone());
        if let Some(tls) = &setup.tls {
            server = server.tls(Arc::clone(&tls.server));
        }
        let accepted = match stream {
            Stream::Tcp(stream) => server.accept(stream),
            Stream::Unix(stream) => server.accept(stream),
        };
        Ok(Box::new(accepted?))
    }

    fn connect(&self, stream: Stream, setup: &Setup) -> Result<Box<dyn Peer>, NoConnection> {
        let scheme = if setup.tls.is_some() { "wss" } else { "ws" };
        let client = Client::new(format!("{scheme}://{}/", Certificates::HOST));
        let mut client = client.config(setup.config.clone());
        if let Some(tls) = &setup.tls {
            client = client.tls(Arc::clone(&tls.client));
        }
        let connected = match stream {
            Stream::Tcp(stream) => client.connect_over(stream),
            Stream::Unix(stream) => client.connect_over(stream),
        };
        Ok(Box::new(connected?))
    }
}

impl Peer for WebSocket {
    fn send(&self, message: Message) -> Result<(), Message> {
        Self::send(self, message).map_err(SendError::into_message)
    }

    fn recv(&mut self, within: Duration) -> Received {
        match self.recv_timeout(within) {
            Ok(Some(message)) => Received::Message(message),
            Ok(None) => Received::End(self.ended()),
            Err(ReceiveError::Ended(ended)) => Received::End(ended.0),
            Err(_) => Received::Nothing,
        }
    }

    fn close(&self, code: CloseCode, reason: &str) {
        self.sender().close(code, reason);
    }

    fn abort(&self) -> Arc<Ending> {
        self.sender().abort()
    }

    fn ending(&self, within: Duration) -> Option<Arc<Ending>> {
        self.ended_timeout(within)
    }

    fn take_unsent(&self) -> Vec<Message> {
        Self::take_unsent(self)
    }
}
