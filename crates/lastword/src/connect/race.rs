//! Connections to the addresses of a name, until one stands (happy eyeballs, RFC 8305).

use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use lastword_dial::Race;
use lastword_kit::Attempt;
use tokio::time::{Instant, sleep_until};

/// The first connection that stands; all attempts, in the order in which they failed, if none does.
/// Who begins when, [`Race`] decides.
pub(super) async fn race<S, F>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<S, Vec<Attempt>>
where
    F: Future<Output = io::Result<S>>,
{
    let mut race = Race::among(addresses);
    let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failed = Vec::new();
    loop {
        while let Some(address) = race.begin(Instant::now().into_std()) {
            running.push((address, Box::pin(connect(address))));
        }
        if running.is_empty() {
            return Err(failed);
        }
        let due = race.due();
        let mut patience = pin!(async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => pending().await,
            }
        });
        let came = poll_fn(|cx| {
            for index in 0..running.len() {
                let (address, attempt) = &mut running[index];
                if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                    let address = *address;
                    drop(running.remove(index));
                    return Poll::Ready(match result {
                        Ok(stream) => Came::Stands(stream),
                        Err(error) => {
                            failed.push(Attempt { address, error });
                            Came::Failed
                        }
                    });
                }
            }
            patience.as_mut().poll(cx).map(|()| Came::Turn)
        });
        match came.await {
            Came::Stands(stream) => return Ok(stream),
            Came::Failed => race.failed(),
            Came::Turn => {}
        }
    }
}

/// What the race has come to.
enum Came<S> {
    Stands(S),
    Failed,
    /// It is the next one's turn.
    Turn,
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    /// What an address does, and after how many milliseconds.
    #[derive(Clone, Copy, Debug)]
    enum Does {
        Stand(u64),
        Fail(u64),
    }
    use Does::{Fail, Stand};

    /// Which attempts began when (in milliseconds), and which address stood, at what time.
    async fn run(does: &[Does]) -> (Vec<(u16, u128)>, Option<u16>, u128) {
        let start = Instant::now();
        let begun = Mutex::new(Vec::new());
        let addresses = (0..does.len())
            .map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())));
        let result = race(addresses, |address| {
            begun.lock().unwrap().push((address.port(), start.elapsed().as_millis()));
            let what = does[usize::from(address.port())];
            async move {
                match what {
                    Stand(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Ok(address.port())
                    }
                    Fail(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Err(io::ErrorKind::ConnectionRefused.into())
                    }
                }
            }
        })
        .await;
        if let Err(failed) = &result {
            assert_eq!(failed.len(), does.len());
        }
        let took = start.elapsed().as_millis();
        (begun.into_inner().unwrap(), result.ok(), took)
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_address_joins_when_one_is_slow_and_at_once_when_one_fails() {
        assert_eq!(run(&[]).await, (vec![], None, 0));
        assert_eq!(run(&[Stand(100)]).await, (vec![(0, 0)], Some(0), 100));
        assert_eq!(run(&[Stand(900)]).await, (vec![(0, 0)], Some(0), 900));
        assert_eq!(run(&[Stand(249), Stand(0)]).await, (vec![(0, 0)], Some(0), 249));
        assert_eq!(run(&[Stand(9999), Stand(10)]).await, (vec![(0, 0), (1, 250)], Some(1), 260));
        assert_eq!(run(&[Stand(300), Stand(900)]).await, (vec![(0, 0), (1, 250)], Some(0), 300));
        assert_eq!(run(&[Fail(20), Stand(30)]).await, (vec![(0, 0), (1, 20)], Some(1), 50));
        assert_eq!(run(&[Fail(20), Fail(30)]).await, (vec![(0, 0), (1, 20)], None, 50));
        assert_eq!(
            run(&[Stand(9999), Fail(50), Stand(9999), Stand(1)]).await,
            (vec![(0, 0), (1, 250), (2, 300), (3, 550)], Some(3), 551)
        );
        assert_eq!(
            run(&[Fail(600), Fail(100), Fail(100)]).await,
            (vec![(0, 0), (1, 250), (2, 350)], None, 600)
        );
    }
}
