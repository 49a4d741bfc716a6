//! One connection through the relay: a client that came, the target, and what goes on between them until
//! both are told of the end.

use std::cell::RefCell;
use std::io::Cursor;
use std::rc::Rc;
use std::time::Duration;

use lastword::dial::WebSocketUri;
use lastword::{ConnectError, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpStream;

use super::flow::{Ends, Flow, Over};
use super::injector::Injector;
use super::tap::{Common, Tap};
use super::wire::{self, Way, Wire};
use crate::args::Fault;
use crate::{print, refused};

/// What holds for all connections.
pub(super) struct House {
    pub(super) target: WebSocketUri,
    pub(super) way: Way,
    pub(super) faults: Vec<Fault>,
    pub(super) host: Host,
    pub(super) common: Common,
}

/// What the target is told about where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// Whatever the client says.
    Untouched,
    /// Its own name.
    Rewritten,
}

/// Carries all between `client` and the target until both are done.
pub(super) async fn attend(number: u64, mut client: TcpStream, house: Rc<House>) {
    let _ = client.set_nodelay(true);
    let tap = RefCell::new(Tap::new(number, house.common.clone()));
    if let Ok(peer) = client.peer_addr() {
        tap.borrow().connected(&peer.to_string());
    }
    let mut server = match house.way.connect().await {
        Ok(server) => server,
        Err(error) => {
            refused::tell(&house.target.to_string(), &error);
            let _ = client.write_all(bad_gateway(&error).as_bytes()).await;
            return wire::cut(&mut client).await;
        }
    };
    let head = match house.host {
        Host::Untouched => Vec::new(),
        Host::Rewritten => rewritten(&mut client, &house.target).await,
    };
    let mut injectors = [Role::Client, Role::Server].map(|side| {
        let here = |fault: &&Fault| {
            fault.side == side && fault.connection.is_none_or(|only| only == number)
        };
        Injector::new(house.faults.iter().filter(here).cloned())
    });
    let over = carry(&mut client, &mut *server, head, &tap, &mut injectors).await;
    match over {
        Over::Cut => {
            tokio::join!(wire::cut(&mut client), wire::cut(&mut *server));
        }
        Over::Reset | Over::Deaf => {
            wire::reset(&mut client);
            wire::reset(&mut *server);
        }
        Over::Finished | Over::Stalled => {}
    }
    let never: Vec<&Fault> = injectors.iter().flat_map(Injector::waiting).collect();
    tap.borrow().over(&never);
}

/// What a client is told that cannot be led on (RFC 9110 section 15.6.3).
fn bad_gateway(error: &ConnectError) -> String {
    let why = format!("the relay got no connection to its target: {}\n", print::chain(error));
    format!(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{why}",
        why.len()
    )
}

/// Both directions at once; says how the connection is to be ended.
async fn carry(
    client: &mut TcpStream,
    server: &mut dyn Wire,
    head: Vec<u8>,
    tap: &RefCell<Tap>,
    [of_client, of_server]: &mut [Injector; 2],
) -> Over {
    let ends = Ends::default();
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    let up = Flow::new(Role::Client, tap, of_client, &ends, to_server);
    let down = Flow::new(Role::Server, tap, of_server, &ends, to_client);
    let up = up.run(Cursor::new(head).chain(from_client));
    let down = down.run(from_server);
    tokio::pin!(up, down);
    let (mut sent, mut answered) = (None, None);
    loop {
        let over = tokio::select! {
            over = &mut up, if sent.is_none() => {
                ends.set(Role::Client);
                *sent.insert(over)
            }
            over = &mut down, if answered.is_none() => {
                ends.set(Role::Server);
                *answered.insert(over)
            }
        };
        if let Over::Cut | Over::Reset = over {
            return over;
        }
        if let (Some(sent), Some(answered)) = (sent, answered) {
            // Whoever took no more has been reset, or gone away, and so has the other one to hear it.
            let deaf = sent == Over::Deaf || answered == Over::Deaf;
            return if deaf { Over::Deaf } else { Over::Finished };
        }
    }
}

/// The head of the client's request, with the target's own name.
async fn rewritten(client: &mut TcpStream, target: &WebSocketUri) -> Vec<u8> {
    let mut head = Vec::new();
    let reading = async {
        let mut byte = [0; 1024];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_HEAD {
            match client.read(&mut byte).await {
                Ok(size @ 1..) => head.extend_from_slice(&byte[..size]),
                // The flow meets that end again.
                _ => return,
            }
        }
    };
    // A client that is slow with its head is none to be changed.
    let _ = tokio::time::timeout(HEAD_TIME, reading).await;
    with_host(&head, target)
}

/// `Host` and nothing else is changed, if it is there.
fn with_host(head: &[u8], target: &WebSocketUri) -> Vec<u8> {
    let name = b"\r\nhost:";
    let Some(at) = head.windows(name.len()).position(|found| found.eq_ignore_ascii_case(name))
    else {
        return head.to_vec();
    };
    let value = at + name.len();
    let end =
        head[value..].iter().position(|byte| *byte == b'\r').map_or(head.len(), |end| value + end);
    [&head[..value], b" ", target.host_header().as_bytes(), &head[end..]].concat()
}

/// Longer heads are not looked through.
const MAX_HEAD: usize = 64 << 10;

/// How long a head is waited for.
const HEAD_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_rewritten() {
        let target = WebSocketUri::parse("wss://example.com/ignored").unwrap();
        let head = |host: &str| {
            format!("GET /a HTTP/1.1\r\nUpgrade: websocket\r\n{host}X: Host: y\r\n\r\n\x01")
        };
        for (before, after) in [
            ("Host: 127.0.0.1:9000\r\n", "Host: example.com\r\n"),
            ("hOST:a\r\n", "hOST: example.com\r\n"),
            ("", ""),
        ] {
            assert_eq!(with_host(head(before).as_bytes(), &target), head(after).as_bytes());
        }
    }
}
