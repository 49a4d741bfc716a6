//! What has to come of each fault, whoever the driver is.
//!
//! Two real peers talk through the proxy. The one under test *receives* a script in which the fault
//! strikes; the other *sends* it. Both endings are compared with what happened.

mod cuts;
mod damage;
mod openings;
mod partings;
mod records;
mod stalls;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use cuts::{an_answer_to_a_close_cut_anywhere, streams_cut_anywhere};
pub use damage::damaged_frames;
use lastword::{CloseCode, Config, Ending, Message, Role};
pub use openings::{openings_cut_anywhere, openings_that_stall};
pub use partings::peers_that_leave;
pub use records::records_of_tls;
pub use stalls::{a_peer_that_reads_no_more, drips, silences};

use crate::driver::{Driver, NoConnection, Peer, Received, Setup};
use crate::proxy::{Answers, Fault, Layer, Plan, Proxy, Traffic};
use crate::script::{Last, REASON, Script};
use crate::stream::{Buffers, Transport};
use crate::tls::Certificates;

/// What two peers are made of.
#[derive(Clone, Copy, Debug)]
struct Stage {
    transport: Transport,
    layer: Layer,
    buffers: Buffers,
    /// Which side the receiver is.
    receiver: Role,
}

impl Stage {
    /// Each transport, with the side under test as server and as client.
    fn all() -> impl Iterator<Item = Self> {
        let roles = [Role::Server, Role::Client];
        Transport::ALL.into_iter().flat_map(move |transport| {
            roles.map(|receiver| Self {
                transport,
                layer: Layer::Inside,
                buffers: Buffers::Ordinary,
                receiver,
            })
        })
    }

    /// Sockets with the proxy between them, and what both sides make of them.
    fn open(
        self,
        driver: &dyn Driver,
        tls: &Certificates,
        receiver: Config,
        sender: Config,
        before: impl FnOnce(&Proxy),
    ) -> (Proxy, Opened, Opened) {
        let (proxy, client, server) =
            Proxy::between(self.transport, self.layer, self.buffers, tls).expect("sockets");
        let tls = (self.transport == Transport::Tls).then(|| tls.clone());
        let (server_config, client_config) = match self.receiver {
            Role::Server => (receiver, sender),
            Role::Client => (sender, receiver),
        };
        let server_setup = Setup { config: server_config, tls: tls.clone() };
        let client_setup = Setup { config: client_config, tls };
        before(&proxy);
        let (accepted, connected) = std::thread::scope(|scope| {
            let accepting = scope.spawn(|| driver.accept(server, &server_setup));
            let connected = driver.connect(client, &client_setup);
            (accepting.join().expect("the driver does not panic"), connected)
        });
        match self.receiver {
            Role::Server => (proxy, accepted, connected),
            Role::Client => (proxy, connected, accepted),
        }
    }

    /// How long the request and the answer are: the same each time, whatever the key.
    fn opening(self, driver: &dyn Driver, tls: &Certificates) -> Traffic {
        let (proxy, receiver, sender) = self.play(driver, tls, plain(), plain());
        let (at, hold, fault, answers) = (0, 0, Fault::None, Answers::Pass);
        let traffic = proxy.traffic_until(Plan { sender: self.receiver, at, hold, fault, answers });
        drop((receiver, sender));
        traffic
    }

    /// The same, where both sides have to get their connection.
    fn play(
        self,
        driver: &dyn Driver,
        tls: &Certificates,
        receiver: Config,
        sender: Config,
    ) -> (Proxy, Box<dyn Peer>, Box<dyn Peer>) {
        let (proxy, receiver, sender) = self.open(driver, tls, receiver, sender, |_| {});
        let open = |opened: Opened| opened.unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        (proxy, open(receiver), open(sender))
    }
}

type Opened = Result<Box<dyn Peer>, NoConnection>;

/// Without compression and keepalive, so that the bytes of a script are known.
fn plain() -> Config {
    let mut config = Config::default();
    config.deflate = None;
    config.ping_interval = None;
    config
}

/// As a script's sender has to be.
fn sending(script: &Script) -> Config {
    let mut config = plain();
    config.fragment_size = script.fragment_size;
    config.send_buffer = 1 << 20;
    config
}

/// Says all of it.
#[track_caller]
fn say(peer: &dyn Peer, script: &Script) {
    for message in &script.messages {
        assert_eq!(peer.send(message.clone()), Ok(()));
    }
    if script.last == Last::Closes {
        peer.close(CloseCode::NORMAL, REASON);
    }
}

/// Receives to the end.
#[track_caller]
fn hear(peer: &mut dyn Peer, context: &str) -> (Vec<Message>, Arc<Ending>) {
    let mut messages = Vec::new();
    loop {
        match peer.recv(PATIENCE) {
            Received::Message(message) => messages.push(message),
            Received::End(ending) => return (messages, ending),
            Received::Nothing => panic!("{context}: no end after {PATIENCE:?}"),
        }
    }
}

#[track_caller]
fn ending(peer: &dyn Peer, context: &str) -> Arc<Ending> {
    peer.ending(PATIENCE).unwrap_or_else(|| panic!("{context}: no end after {PATIENCE:?}"))
}

/// Whatever happened, the account is whole: what was accepted is somewhere, what did not leave comes
/// back, and the end came when it began plus what the deadlines allow.
#[track_caller]
fn check_account(peer: &dyn Peer, ending: &Ending, accepted: usize, context: &str) {
    let ledger = ending.ledger;
    let sum = ledger.confirmed.messages + ledger.handed_over.messages + ledger.unsent.messages;
    assert_eq!(sum, accepted as u64, "{context}: {ledger:?}");
    assert_eq!(peer.take_unsent().len() as u64, ledger.unsent.messages, "{context}");
    assert!(ending.opened_at <= ending.began_at, "{context}");
    assert!(ending.began_at <= ending.ended_at, "{context}");
    // Asking again gives the same.
    assert_eq!(peer.ending(PATIENCE).map(|e| e.to_string()), Some(ending.to_string()), "{context}");
}

/// Does all of `cases` at once on a handful of threads: most of their time is waiting.
fn at_once<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(case);
                }
            });
        }
    });
    println!("{} conversations in {:.1} s", cases.len(), started.elapsed().as_secs_f64());
}

const THREADS: usize = 12;

/// How long something that is due at once may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(8);
