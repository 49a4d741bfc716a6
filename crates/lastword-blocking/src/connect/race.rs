//! Connections to the addresses of a name, until one stands (happy eyeballs, RFC 8305): all of them in one
//! thread. Who begins when, [`Race`] decides.

use std::io;
use std::net::{IpAddr, SocketAddr};

use lastword_dial::Race;
use lastword_kit::Attempt;

use crate::connecting::Connecting;
use crate::socket::{Until, now};

/// The first connection that stands; all attempts, in the order in which they failed, if none does.
///
/// # Errors
/// `TimedOut` or `Interrupted` when the wait is over before.
pub(super) fn race(
    addresses: impl IntoIterator<Item = SocketAddr>,
    local: Option<IpAddr>,
    until: Until<'_>,
) -> io::Result<Result<Connecting, Vec<Attempt>>> {
    let mut race = Race::among(addresses);
    let mut running: Vec<(SocketAddr, Connecting)> = Vec::new();
    let mut failed = Vec::new();
    loop {
        while let Some(address) = race.begin(now()) {
            match Connecting::to(address, local) {
                Ok(connecting) => running.push((address, connecting)),
                Err(error) => {
                    failed.push(Attempt { address, error });
                    race.failed();
                }
            }
        }
        if running.is_empty() {
            return Ok(Err(failed));
        }
        let sockets = running.iter().map(|(_, connecting)| connecting.socket());
        until.wait_to_write(sockets, race.due())?;
        let mut waiting = Vec::with_capacity(running.len());
        for (address, connecting) in running {
            match connecting.stands() {
                Ok(true) => return Ok(Ok(connecting)),
                Ok(false) => waiting.push((address, connecting)),
                Err(error) => {
                    failed.push(Attempt { address, error });
                    race.failed();
                }
            }
        }
        running = waiting;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use lastword_dial::STAGGER;
    use socket2::{Domain, Socket, Type};

    use super::*;

    fn soon() -> Until<'static> {
        Until::from(now() + Duration::from_secs(20))
    }

    /// A place where nobody listens.
    fn refusing() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// A place that neither accepts nor refuses: its queue is full.
    fn silent() -> (Socket, Vec<TcpStream>, SocketAddr) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut crowd = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, STAGGER) {
            crowd.push(stream);
        }
        (listener, crowd, address)
    }

    #[test]
    fn the_next_address_joins_when_one_is_slow_and_at_once_when_one_fails() {
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let stands = good.local_addr().unwrap();
        let (_listener, _crowd, hangs) = silent();
        let (first, second) = (refusing(), refusing());
        let cases =
            [vec![stands], vec![first, stands], vec![hangs, stands], vec![first, hangs, stands]];
        for addresses in cases {
            let slow = addresses.contains(&hangs);
            let begun = now();
            let stood = race(addresses.clone(), None, soon()).unwrap().unwrap();
            let (_, addresses) = stood.into_socket().unwrap();
            assert_eq!(addresses.peer, Some(stands));
            assert_eq!(begun.elapsed() >= STAGGER, slow, "{:?}", begun.elapsed());
        }
        // All who failed are told, in their order.
        let failed = race([first, second], None, soon()).unwrap().err().unwrap();
        let told: Vec<_> = failed.iter().map(|attempt| attempt.address).collect();
        assert_eq!(told, [first, second]);
        assert!(failed.iter().all(|one| one.error.kind() == io::ErrorKind::ConnectionRefused));
        let none = race([], None, soon()).unwrap().err().unwrap();
        assert!(none.is_empty());
        // Nobody who hangs is waited for beyond the deadline.
        let until = Until::from(now() + Duration::from_millis(300));
        let late = race([hangs], None, until).err().unwrap();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}
