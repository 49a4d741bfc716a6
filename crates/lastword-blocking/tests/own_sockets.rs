//! Servers from sockets of the caller's own, and from Unix sockets.

mod support;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use lastword_blocking::{Bound, Client, Listen, Message, Server, WebSocket};
use support::echo;

/// Guests that `connect` talk with the server, and are told to leave; as whom they were seen.
fn converse(bound: Bound, connect: impl Fn() -> WebSocket) -> Vec<Option<SocketAddr>> {
    let stop = bound.stop_handle();
    let running = thread::spawn(move || bound.serve(echo));
    let mut guests = Vec::new();
    for _ in 0..GUESTS {
        let mut ws = connect();
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::text("hello")));
        guests.push(ws);
    }
    stop.stop();
    for ws in guests {
        assert_eq!(ws.ended().code(), 1001);
    }
    let report = running.join().unwrap().unwrap();
    assert_eq!((report.endings.len(), report.stuck), (GUESTS, 0));
    report.endings.into_iter().map(|departure| departure.peer).collect()
}

/// A path for a socket, in a folder that goes with it.
struct Somewhere(PathBuf);

impl Somewhere {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("lastword-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Somewhere {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn connect_to(somewhere: &Somewhere) -> WebSocket {
    let stream = UnixStream::connect(somewhere.socket()).unwrap();
    Client::new("ws://localhost/").connect_over(stream).unwrap()
}

#[test]
fn a_socket_of_the_callers_own_is_served_from() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let bound = Server::new().listen_on(socket).unwrap();
    assert_eq!(bound.local_addr().unwrap(), address);
    let seen = converse(bound, || Client::new(format!("ws://{address}")).connect().unwrap());
    assert!(seen.iter().all(|peer| peer.is_some_and(|peer| peer.ip().is_loopback())));
}

#[test]
fn a_unix_socket_is_listened_on() {
    let somewhere = Somewhere::new("bind");
    let (sender, outcomes) = mpsc::channel();
    // Whether somebody listens there, another server finds out by knocking.
    let server = Server::new().observe(move |outcome| {
        if outcome.result.is_ok() {
            sender.send(outcome.peer).unwrap();
        }
    });
    let bound = server.clone().bind_unix(somewhere.socket()).unwrap();
    assert_eq!(bound.local_addr().unwrap_err().kind(), std::io::ErrorKind::Unsupported);
    // The path is taken, and stays with who has it.
    let taken = server.bind_unix(somewhere.socket()).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(converse(bound, || connect_to(&somewhere)), [None; GUESTS]);
    assert_eq!(outcomes.iter().collect::<Vec<_>>(), [None; GUESTS]);
}

#[test]
fn what_a_dead_server_has_left_is_replaced_and_ours_is_removed() {
    let somewhere = Somewhere::new("left");
    // A listener of the standard library leaves its file behind.
    drop(UnixListener::bind(somewhere.socket()).unwrap());
    assert!(somewhere.socket().exists());
    let bound = Server::new().bind_unix(somewhere.socket()).unwrap();
    converse(bound, || connect_to(&somewhere));
    assert!(!somewhere.socket().exists());
    // What is no socket stays.
    std::fs::write(somewhere.socket(), "precious").unwrap();
    let refused = Server::new().bind_unix(somewhere.socket()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(somewhere.socket()).unwrap(), "precious");
}

#[test]
fn all_places_are_listened_on_at_once_or_none() {
    let somewhere = Somewhere::new("all");
    let listen = || Listen::new().tcp("127.0.0.1:0").tcp("127.0.0.1:0").unix(somewhere.socket());
    let bound = Server::new().listen(listen()).unwrap();
    let [one, two] = bound.local_addrs()[..] else { panic!("two addresses") };
    let (turn, places) = (std::sync::atomic::AtomicUsize::new(0), 3);
    converse(bound, || match turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % places {
        0 => Client::new(format!("ws://{one}")).connect().unwrap(),
        1 => Client::new(format!("ws://{two}")).connect().unwrap(),
        _ => connect_to(&somewhere),
    });
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let failed = Server::new().listen(listen().tcp(address)).unwrap_err();
    assert!(failed.to_string().contains(&format!("cannot listen on {address}")), "{failed}");
    assert!(!somewhere.socket().exists());
}

#[test]
fn a_unix_socket_of_the_callers_own_is_served_from() {
    let somewhere = Somewhere::new("own");
    let socket = UnixListener::bind(somewhere.socket()).unwrap();
    let bound = Server::new().listen_on(socket).unwrap();
    converse(bound, || connect_to(&somewhere));
}

const GUESTS: usize = 8;
