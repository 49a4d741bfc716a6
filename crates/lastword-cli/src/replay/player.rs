//! One side of a recording, said again over a connection.
//!
//! A message of ours follows when as many of the peer's have come as before it in the recording, and the
//! pause in front of it is over. What comes is counted, and compared if that is asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lastword::proto::{Elided, Kind};
use lastword::{CloseCode, Ending, Message, Role, WebSocket};
use tokio::time::{Instant, sleep_until};

use crate::args::Pace;
use crate::recording::session::{Goodbye, Said, Session};

/// How it is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Which side is ours.
    pub(super) side: Role,
    pub(super) pace: Pace,
    /// How much longer than recorded the peer is waited for; for ever without.
    pub(super) patience: Option<Duration>,
    pub(super) comparing: Comparing,
}

/// Whether what comes has to be as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparing {
    Yes,
    No,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) ending: Arc<Ending>,
    pub(super) sent: usize,
    pub(super) came: usize,
    pub(super) difference: Option<Difference>,
}

/// The first message that was not as recorded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// Of the peer's messages, from 1.
    number: usize,
    recorded: Option<Message>,
    came: Option<Message>,
}

/// Says it all; `shown` sees what comes.
pub(super) async fn play(
    ws: WebSocket,
    session: &Session,
    manner: Manner,
    shown: impl FnMut(&Message),
) -> Played {
    let expected =
        session.said.iter().filter(|said| said.from != manner.side).map(|said| &said.message);
    let mut player = Player {
        ws,
        manner,
        expected: expected.collect(),
        sent: 0,
        came: 0,
        difference: None,
        shown,
    };
    let over = player.say(session).await;
    player.leave(session, over).await
}

struct Player<'a, F> {
    ws: WebSocket,
    manner: Manner,
    /// What the peer said.
    expected: Vec<&'a Message>,
    sent: usize,
    came: usize,
    difference: Option<Difference>,
    shown: F,
}

/// Why it cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// The connection ended.
    Ended,
    /// What came is not what was recorded, or did not come.
    Differs,
}

impl<F: FnMut(&Message)> Player<'_, F> {
    /// Says what is ours, and hears what is the peer's.
    async fn say(&mut self, session: &Session) -> Result<(), Over> {
        let mut before = Duration::ZERO;
        let mut needed = 0;
        for Said { at, from, message } in &session.said {
            let pause = at.saturating_sub(before);
            before = *at;
            if *from == self.manner.side {
                let due = match self.manner.pace {
                    Pace::Fast => Instant::now(),
                    Pace::Times(factor) => Instant::now() + pause.div_f64(factor),
                };
                self.meanwhile(sleep_until(due)).await?;
                let sender = self.ws.sender();
                let sent = self.meanwhile(sender.send(message.clone())).await?;
                sent.map_err(|_| Over::Ended)?;
                self.sent += 1;
            } else {
                needed += 1;
                self.hear(needed, pause).await?;
            }
        }
        Ok(())
    }

    /// Waits until so many messages have come.
    async fn hear(&mut self, needed: usize, pause: Duration) -> Result<(), Over> {
        let slower = match self.manner.pace {
            Pace::Times(factor) if factor < 1.0 => pause.div_f64(factor),
            _ => pause,
        };
        let limit = self.manner.patience.map(|patience| Instant::now() + slower + patience);
        while self.came < needed {
            let heard = self.ws.recv();
            let heard = match limit {
                Some(limit) => tokio::time::timeout_at(limit, heard).await,
                None => Ok(heard.await),
            };
            match heard {
                Ok(Ok(Some(message))) => self.take(message)?,
                Ok(Ok(None) | Err(_)) => return Err(Over::Ended),
                Err(_) if self.manner.comparing == Comparing::No => return Ok(()),
                Err(_) => return Err(self.missing()),
            }
        }
        Ok(())
    }

    /// Does something, and hears what comes until it is done.
    async fn meanwhile<T>(&mut self, doing: impl Future<Output = T>) -> Result<T, Over> {
        tokio::pin!(doing);
        loop {
            tokio::select! {
                done = &mut doing => return Ok(done),
                message = self.ws.recv() => match message {
                    Ok(Some(message)) => self.take(message)?,
                    Ok(None) | Err(_) => return Err(Over::Ended),
                },
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<(), Over> {
        let recorded = self.expected.get(self.came).copied();
        self.came += 1;
        if self.manner.comparing == Comparing::Yes && recorded != Some(&message) {
            let (number, recorded) = (self.came, recorded.cloned());
            self.difference = Some(Difference { number, recorded, came: Some(message) });
            return Err(Over::Differs);
        }
        (self.shown)(&message);
        Ok(())
    }

    /// The next message did not come.
    fn missing(&mut self) -> Over {
        let recorded = self.expected.get(self.came).map(|message| (*message).clone());
        self.difference = Some(Difference { number: self.came + 1, recorded, came: None });
        Over::Differs
    }

    /// Ends as it was recorded, where that is ours to do.
    async fn leave(mut self, session: &Session, over: Result<(), Over>) -> Played {
        let ours = self.manner.side;
        let said = match over {
            Err(Over::Differs) => {
                return self.close(CloseCode::NORMAL, "differs from the recording").await;
            }
            Err(Over::Ended) => return self.ended().await,
            Ok(()) => session.said.last().map_or(Duration::ZERO, |said| said.at),
        };
        let (Goodbye::Closed { at, .. } | Goodbye::Lost { at, .. }) = session.goodbye else {
            return self.close(CloseCode::NORMAL, "").await;
        };
        let pause = match self.manner.pace {
            Pace::Fast => Duration::ZERO,
            Pace::Times(factor) => at.saturating_sub(said).div_f64(factor),
        };
        match &session.goodbye {
            Goodbye::Closed { by, code, reason, .. } if *by == ours => {
                if let Err(over) = self.meanwhile(sleep_until(Instant::now() + pause)).await {
                    return self.interrupted(over).await;
                }
                let code = code.and_then(|code| CloseCode::try_from(code).ok());
                self.close(code.unwrap_or(CloseCode::NORMAL), reason).await
            }
            Goodbye::Lost { by, .. } if *by == ours => {
                // What was said goes in front of it.
                let sender = self.ws.sender();
                let flushed = async {
                    let _ = sender.flush().await;
                    sleep_until(Instant::now() + pause).await;
                };
                if let Err(over) = self.meanwhile(flushed).await {
                    return self.interrupted(over).await;
                }
                self.ws.sender().abort();
                self.ended().await
            }
            // The peer's end.
            _ => {
                let nothing_more = self.hear(usize::MAX, pause).await;
                match nothing_more {
                    Err(Over::Ended) => self.ended().await,
                    _ => self.close(CloseCode::NORMAL, "").await,
                }
            }
        }
    }

    async fn interrupted(self, over: Over) -> Played {
        match over {
            Over::Ended => self.ended().await,
            Over::Differs => self.close(CloseCode::NORMAL, "differs from the recording").await,
        }
    }

    async fn close(self, code: CloseCode, reason: &str) -> Played {
        let sender = self.ws.sender();
        sender.close(code, reason.to_owned());
        self.ended().await
    }

    async fn ended(mut self) -> Played {
        // What still comes comes before the end.
        while let Ok(Some(message)) = self.ws.recv().await {
            if self.difference.is_none() && self.take(message).is_err() {
                break;
            }
        }
        let ending = self.ws.ended().await;
        let whole = self.came >= self.expected.len();
        if self.manner.comparing == Comparing::Yes && !whole && self.difference.is_none() {
            self.missing();
        }
        let Self { sent, came, difference, .. } = self;
        Played { ending, sent, came, difference }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number;
        match (&self.recorded, &self.came) {
            (Some(recorded), Some(came)) => {
                let at = first_difference(recorded.payload(), came.payload());
                let (recorded, came) = (around(recorded, at), around(came, at));
                write!(
                    f,
                    "message {number} differs from the recording at byte {at}\n  recorded  {recorded}\n  came      {came}"
                )
            }
            (Some(recorded), None) => {
                write!(f, "message {number} did not come\n  recorded  {}", around(recorded, 0))
            }
            (None, Some(came)) => {
                write!(
                    f,
                    "message {number} is not in the recording\n  came      {}",
                    around(came, 0)
                )
            }
            (None, None) => write!(f, "message {number} did not come"),
        }
    }
}

/// Where two payloads are not the same any more.
fn first_difference(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// What stands around a place of a message.
fn around(message: &Message, at: usize) -> String {
    let mut from = at.saturating_sub(BEFORE);
    if let Some(text) = message.as_text() {
        from = text.floor_char_boundary(from);
    }
    let more = if from > 0 { "... " } else { "" };
    let rest = message.payload().get(from..).unwrap_or_default();
    let content = Elided::new(message.kind(), rest).content();
    match message.kind() {
        Kind::Text => format!("text {more}{content}"),
        Kind::Binary => format!("binary {more}{content}"),
    }
}

/// How much in front of a difference is shown.
const BEFORE: usize = 12;
