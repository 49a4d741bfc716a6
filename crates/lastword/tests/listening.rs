//! Where a server listens: at several places, all or none, and at paths that it leaves as it found them.

mod support;

use std::num::NonZeroUsize;

use lastword::{Bound, Client, Listen, Message, Server};
use support::echo;

const THREADS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

#[track_caller]
fn check<T>(result: std::io::Result<T>, kind: std::io::ErrorKind, says: &str) {
    let Err(error) = result else { panic!("it listens") };
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

async fn greet(client: Client) {
    greeted(client.connect().await.unwrap()).await;
}

async fn greeted(mut ws: lastword::WebSocket) {
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("hello")));
}

/// Serves while `work` is done.
async fn serving(bound: Bound, work: impl Future<Output = ()>) -> lastword::Report {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serve = bound.serve_until(echo, async { stopped.await.unwrap_or(()) });
    let work = async {
        work.await;
        drop(stop);
    };
    tokio::join!(serve, work).0
}

#[tokio::test]
async fn all_addresses_are_listened_on_at_once() {
    for server in [Server::new(), Server::new().threads(THREADS)] {
        let listen = Listen::new().tcp("127.0.0.1:0").tcp("127.0.0.1:0").tcp("localhost:0");
        let bound = server.listen(listen).await.unwrap();
        let addresses = bound.local_addrs().to_vec();
        assert!(addresses.len() >= 3 && addresses[0] == bound.local_addr().unwrap());
        assert_ne!(addresses[0].port(), addresses[1].port());
        let of_the_name = &addresses[2..];
        assert!(of_the_name.iter().all(|address| address.port() == addresses[2].port()));
        serving(bound, async {
            for _ in 0..2 * THREADS.get() {
                for address in &addresses {
                    greet(Client::new(format!("ws://{address}"))).await;
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn one_place_that_is_taken_leaves_none_listening_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let both = Listen::new().tcp(free).tcp(taken.1);
    let says = format!("cannot listen on {}", taken.1);
    check(Server::new().listen(both).await, std::io::ErrorKind::AddrInUse, &says);
    std::net::TcpListener::bind(free).unwrap();
    let nowhere = Server::new().listen(Listen::new()).await;
    check(nowhere, std::io::ErrorKind::InvalidInput, "nowhere to listen");
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
#[tokio::test]
async fn a_port_is_shared_with_those_who_share_it_too() {
    let first = Server::new().listen(Listen::new().tcp("127.0.0.1:0").share_port()).await.unwrap();
    let address = first.local_addr().unwrap();
    let alone = Server::new().listen(Listen::new().tcp(address)).await;
    check(alone, std::io::ErrorKind::AddrInUse, "");
    let shared = || Listen::new().tcp(address).share_port();
    let second = Server::new().listen(shared()).await.unwrap();
    let _third = Server::new().threads(THREADS).listen(shared()).await.unwrap();
    assert_eq!(second.local_addr().unwrap(), address);
}

#[cfg(unix)]
mod unix {
    use std::io::ErrorKind;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A path where nothing is, and nothing will be afterwards.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("lastword-{}-{number}.sock", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    async fn greet_at(place: &Place) {
        let client = Client::new("ws://localhost/");
        greeted(client.connect_unix(&place.0).await.unwrap()).await;
    }

    #[tokio::test]
    async fn a_path_is_served_and_its_file_is_gone_afterwards() {
        for server in [Server::new(), Server::new().threads(THREADS)] {
            let place = Place::new();
            let (told, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
            let server = server.observe(move |outcome| told.send(outcome).unwrap());
            let bound = server.bind_unix(&place.0).await.unwrap();
            assert_eq!((bound.local_addrs(), bound.local_addr().is_err()), (&[][..], true));
            let stays = Client::new("ws://localhost/");
            let mut staying = None;
            let report = serving(bound, async {
                for _ in 0..2 * THREADS.get() {
                    greet_at(&place).await;
                }
                staying = Some(stays.connect_unix(&place.0).await.unwrap());
            });
            let report = report.await;
            assert!(!place.0.exists());
            // Nobody has an address there; everybody is told of all the same.
            assert!(!report.endings.is_empty());
            assert!(report.endings.iter().all(|departure| departure.peer.is_none()));
            let outcome = outcomes.recv().await.unwrap();
            assert!(outcome.peer.is_none() && outcome.id.is_some() && outcome.result.is_ok());
            assert_eq!(staying.unwrap().ended().await.code(), 1001);
        }
    }

    #[tokio::test]
    async fn tcp_and_a_path_are_served_by_one_server() {
        let place = Place::new();
        let listen = Listen::new().tcp("127.0.0.1:0").unix(&place.0);
        let bound = Server::new().listen(listen).await.unwrap();
        let url = format!("ws://{}", bound.local_addr().unwrap());
        serving(bound, async {
            greet(Client::new(url)).await;
            greet_at(&place).await;
        })
        .await;
    }

    #[tokio::test]
    async fn what_a_dead_server_has_left_is_replaced() {
        let place = Place::new();
        drop(UnixListener::bind(&place.0).unwrap());
        assert!(place.0.exists());
        let bound = Server::new().bind_unix(&place.0).await.unwrap();
        serving(bound, greet_at(&place)).await;
        assert!(!place.0.exists());
    }

    #[tokio::test]
    async fn where_somebody_listens_nobody_else_does() {
        let place = Place::new();
        let bound = Server::new().bind_unix(&place.0).await.unwrap();
        let says = format!("cannot listen on {}: somebody listens there", place.0.display());
        check(Server::new().bind_unix(&place.0).await, ErrorKind::AddrInUse, &says);
        serving(bound, greet_at(&place)).await;

        // Also if he has no place left for those who come.
        let busy = Server::new().listen(Listen::new().unix(&place.0).backlog(0)).await.unwrap();
        let _waiting = UnixStream::connect(&place.0).unwrap();
        check(Server::new().bind_unix(&place.0).await, ErrorKind::AddrInUse, &says);
        drop(busy);
        Server::new().bind_unix(&place.0).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let place = Place::new();
        std::fs::write(&place.0, "precious").unwrap();
        let says = "a file is in the way, which is no socket";
        check(Server::new().bind_unix(&place.0).await, ErrorKind::AlreadyExists, says);
        assert_eq!(std::fs::read_to_string(&place.0).unwrap(), "precious");
    }

    #[tokio::test]
    async fn the_file_of_whoever_took_the_place_is_left_alone() {
        let place = Place::new();
        let bound = Server::new().bind_unix(&place.0).await.unwrap();
        std::fs::remove_file(&place.0).unwrap();
        let _other = UnixListener::bind(&place.0).unwrap();
        drop(bound);
        UnixStream::connect(&place.0).unwrap();
    }

    #[tokio::test]
    async fn a_socket_of_the_callers_own_keeps_its_file() {
        let place = Place::new();
        let socket = UnixListener::bind(&place.0).unwrap();
        let bound = Server::new().threads(THREADS).listen_on(socket).await.unwrap();
        serving(bound, greet_at(&place)).await;
        assert!(place.0.exists());
    }

    /// The kernel of Linux says at once when nobody else may wait.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn as_many_wait_to_be_accepted_as_may() {
        for backlog in [0, 5] {
            let place = Place::new();
            let listen = Listen::new().unix(&place.0).backlog(backlog);
            let _bound = Server::new().listen(listen).await.unwrap();
            let mut waiting = Vec::new();
            let refused = loop {
                match tokio::net::UnixStream::connect(&place.0).await {
                    Ok(stream) => waiting.push(stream),
                    Err(error) => break error,
                }
            };
            assert_eq!(refused.kind(), ErrorKind::WouldBlock);
            assert_eq!(waiting.len(), backlog as usize + 1);
        }
    }
}
