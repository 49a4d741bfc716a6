//! The driver of `lastword`, behind calls that return.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lastword::{AcceptError, Client, CloseCode, ConnectError, Ending, Message, Server, WebSocket};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;

use crate::driver::{Driver, NoConnection, Peer, Received, Setup};
use crate::stream::Stream;
use crate::tls::Certificates;

/// `lastword` on a runtime of its own.
#[derive(Debug)]
pub struct Tokio(Runtime);

impl Tokio {
    /// With two threads.
    ///
    /// # Panics
    /// When the machine has no threads left.
    pub fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self(runtime.expect("the machine has two threads for us"))
    }
}

impl Default for Tokio {
    fn default() -> Self {
        Self::new()
    }
}

impl Driver for Tokio {
    fn accept(&self, stream: Stream, setup: &Setup) -> Result<Box<dyn Peer>, NoConnection> {
        let mut server = Server::new().config(setup.config.clone());
        if let Some(tls) = &setup.tls {
            server = server.tls(Arc::clone(&tls.server));
        }
        let opening = async {
            match adopt(stream) {
                Ok(Adopted::Tcp(stream)) => server.accept(stream).await,
                Ok(Adopted::Unix(stream)) => server.accept(stream).await,
                Err(error) => Err(AcceptError::Lost(error)),
            }
        };
        let websocket = self.0.block_on(opening)?;
        Ok(Box::new(OnTokio { websocket, runtime: self.0.handle().clone() }))
    }

    fn connect(&self, stream: Stream, setup: &Setup) -> Result<Box<dyn Peer>, NoConnection> {
        let scheme = if setup.tls.is_some() { "wss" } else { "ws" };
        let client = Client::new(format!("{scheme}://{}/", Certificates::HOST));
        let mut client = client.config(setup.config.clone());
        if let Some(tls) = &setup.tls {
            client = client.tls(Arc::clone(&tls.client));
        }
        let opening = async {
            match adopt(stream) {
                Ok(Adopted::Tcp(stream)) => client.connect_over(stream).await,
                Ok(Adopted::Unix(stream)) => client.connect_over(stream).await,
                Err(error) => Err(ConnectError::Lost(error)),
            }
        };
        let websocket = self.0.block_on(opening)?;
        Ok(Box::new(OnTokio { websocket, runtime: self.0.handle().clone() }))
    }
}

struct OnTokio {
    websocket: WebSocket,
    runtime: Handle,
}

impl Peer for OnTokio {
    fn send(&self, message: Message) -> Result<(), Message> {
        let sent = self.runtime.block_on(self.websocket.send(message));
        sent.map_err(lastword::SendError::into_message)
    }

    fn recv(&mut self, within: Duration) -> Received {
        let Self { websocket, runtime } = self;
        match runtime.block_on(async { timeout(within, websocket.recv()).await }) {
            Ok(Ok(Some(message))) => Received::Message(message),
            Ok(Ok(None)) => Received::End(runtime.block_on(websocket.ended())),
            Ok(Err(ended)) => Received::End(ended.0),
            Err(_) => Received::Nothing,
        }
    }

    fn close(&self, code: CloseCode, reason: &str) {
        let _entered = self.runtime.enter();
        self.websocket.sender().close(code, reason);
    }

    fn abort(&self) -> Arc<Ending> {
        self.websocket.sender().abort()
    }

    fn ending(&self, within: Duration) -> Option<Arc<Ending>> {
        self.runtime.block_on(async { timeout(within, self.websocket.ended()).await.ok() })
    }

    fn take_unsent(&self) -> Vec<Message> {
        self.websocket.take_unsent()
    }
}

enum Adopted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

fn adopt(stream: Stream) -> io::Result<Adopted> {
    stream.set_nonblocking(true)?;
    Ok(match stream {
        Stream::Tcp(stream) => Adopted::Tcp(TcpStream::from_std(stream)?),
        Stream::Unix(stream) => Adopted::Unix(UnixStream::from_std(stream)?),
    })
}
