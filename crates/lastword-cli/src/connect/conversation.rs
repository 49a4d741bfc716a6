//! One connection, from its opening to its end: what is said, what comes, and when it is enough.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lastword::{CloseCode, Ending, Message, PingError, SendError, Sender, WebSocket};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::commands::{self, Command};
use super::outgoing::Outgoing;
use super::said::Said;
use super::stage::{Stage, handshake};
use crate::print::{Audience, escape};
use crate::refused;
use crate::stop::Stop;

/// When it is enough, and what is said first and last.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// What follows the last word of ours.
    pub(super) after: After,
    /// So many messages are enough.
    pub(super) expect: Option<NonZeroU64>,
    /// Whatever has come.
    pub(super) deadline: Option<Instant>,
    /// What each connection begins with.
    pub(super) hello: Vec<Message>,
    /// How we close, unless something else was asked for.
    pub(super) goodbye: Goodbye,
}

/// What a close frame of ours says.
#[derive(Clone, Debug)]
pub(super) struct Goodbye {
    pub(super) code: CloseCode,
    pub(super) reason: String,
}

impl Goodbye {
    const fn going_away() -> Self {
        Self { code: CloseCode::GOING_AWAY, reason: String::new() }
    }
}

/// What follows the last word of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The end.
    Close,
    /// The end, once the peer has read all and was quiet for so long.
    Quiet(Duration),
    /// The peer's words, as long as it has any.
    Listen,
}

/// Why a conversation was over.
#[derive(Clone, Debug)]
pub(super) enum Over {
    /// We had enough.
    Enough(Arc<Ending>),
    /// The time was over.
    Late(Arc<Ending>),
    /// What we were to say made no sense, which was told.
    Wrong(Arc<Ending>),
    /// Nobody reads any more what we print.
    Unread(Arc<Ending>),
    /// The connection ended.
    Ended(Arc<Ending>),
}

impl Over {
    pub(super) const fn ending(&self) -> &Arc<Ending> {
        match self {
            Self::Enough(ending)
            | Self::Late(ending)
            | Self::Wrong(ending)
            | Self::Unread(ending)
            | Self::Ended(ending) => ending,
        }
    }
}

/// A conversation, which may take more than one connection.
pub(super) struct Conversation {
    said: mpsc::Receiver<Said>,
    rules: Rules,
    /// How many messages came.
    pub(super) came: u64,
    /// What was taken and did not get out of a connection any more.
    left_over: VecDeque<Message>,
    silent: bool,
    notes: (mpsc::Sender<String>, mpsc::Receiver<String>),
}

/// How many notes of commands may wait to be shown.
const NOTES: usize = 16;

impl Conversation {
    pub(super) fn new(said: mpsc::Receiver<Said>, rules: Rules) -> Self {
        let notes = mpsc::channel(NOTES);
        Self { said, rules, came: 0, left_over: VecDeque::new(), silent: false, notes }
    }

    /// Goes on over this connection until it ends, or it is enough.
    pub(super) async fn over(
        &mut self,
        mut ws: WebSocket,
        stage: &mut dyn Stage,
        stop: &mut Stop,
    ) -> Over {
        let sender = ws.sender();
        let mut outgoing = Outgoing::new(&self.rules.hello, std::mem::take(&mut self.left_over));
        let mut sending = None;
        // Once the connection takes no more, what still comes is shown.
        let mut refused = None;
        let mut reading = None;
        let quiet = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(quiet);
        let deadline = self.rules.deadline;
        loop {
            if sending.is_none()
                && refused.is_none()
                && let Some(message) = outgoing.next()
            {
                stage.sent(&message);
                sending = Some(send(sender.clone(), message));
            }
            if self.silent && sending.is_none() && reading.is_none() {
                match self.rules.after {
                    After::Close => {
                        let goodbye = self.rules.goodbye.clone();
                        return Over::Enough(self.hear_out(ws, goodbye, stage, stop).await);
                    }
                    // The answer to a ping shows that the peer has read all that was sent; its own
                    // answers may take a little longer.
                    After::Quiet(_) => {
                        reading = Some(Reading::Asked(Box::pin(ping(sender.clone()))))
                    }
                    After::Listen => {}
                }
            }
            tokio::select! {
                message = ws.recv() => match message {
                    Ok(Some(message)) => {
                        if stage.message(&message) == Audience::Gone {
                            return Over::Unread(self.enough(ws, stage, stop).await);
                        }
                        self.came += 1;
                        if self.rules.expect.is_some_and(|enough| self.came >= enough.get()) {
                            return Over::Enough(self.enough(ws, stage, stop).await);
                        }
                        if let (Some(Reading::Heard), After::Quiet(limit)) = (&reading, self.rules.after) {
                            quiet.as_mut().reset(Instant::now() + limit);
                        }
                    }
                    Ok(None) | Err(_) => {
                        if let Some(sending) = sending {
                            refused = sending.await;
                        }
                        let ending = ws.ended().await;
                        self.left_over = outgoing.left_over(refused, ws.take_unsent());
                        return Over::Ended(ending);
                    }
                },
                left = finished(&mut sending) => (sending, refused) = (None, left),
                said = self.said.recv(), if !self.silent && sending.is_none() && refused.is_none() => match said {
                    Some(Said::Message(message)) => outgoing.push(message),
                    Some(Said::Command(Command::Close(code, reason))) => {
                        let goodbye = Goodbye { code, reason };
                        return Over::Enough(self.hear_out(ws, goodbye, stage, stop).await);
                    }
                    Some(Said::Command(command)) => match self.obey(command, &sender, stage) {
                        Obeyed::Done => {}
                        Obeyed::Send(message) => outgoing.push(message),
                    },
                    Some(Said::Misspelt(why)) => stage.note(&why),
                    Some(Said::Wrong(why)) => {
                        // Told at once: the peer may take its time to close.
                        refused::misused(&why);
                        return Over::Wrong(leave(ws, Goodbye::going_away(), None, stage, stop).await);
                    }
                    None => self.silent = true,
                },
                Some(note) = self.notes.1.recv() => stage.note(&note),
                () = read_by_peer(&mut reading) => {
                    reading = Some(Reading::Heard);
                    if let After::Quiet(limit) = self.rules.after {
                        quiet.as_mut().reset(Instant::now() + limit);
                    }
                }
                () = &mut quiet, if matches!(reading, Some(Reading::Heard)) && self.rules.expect.is_none() => {
                    return Over::Enough(self.enough(ws, stage, stop).await);
                }
                () = until(deadline) => return Over::Late(leave(ws, self.rules.goodbye.clone(), Some(LAST), stage, stop).await),
                () = stop.asked() => {
                    stage.stopped();
                    return Over::Enough(leave(ws, Goodbye::going_away(), None, stage, stop).await);
                }
            }
        }
    }

    /// Closes, as the rules say.
    async fn enough(&self, ws: WebSocket, stage: &mut dyn Stage, stop: &mut Stop) -> Arc<Ending> {
        leave(ws, self.rules.goodbye.clone(), None, stage, stop).await
    }

    /// Closes, and shows what the peer still has to say; who asks again to stop waits for no more of it.
    async fn hear_out(
        &mut self,
        mut ws: WebSocket,
        goodbye: Goodbye,
        stage: &mut dyn Stage,
        stop: &mut Stop,
    ) -> Arc<Ending> {
        let sender = ws.sender();
        sender.close(goodbye.code, goodbye.reason.clone());
        let mut patience = pin!(tokio::time::sleep(PATIENCE));
        let mut told = false;
        loop {
            tokio::select! {
                message = ws.recv() => match message {
                    Ok(Some(message)) => {
                        self.came += 1;
                        if stage.message(&message) == Audience::Gone {
                            return leave(ws, goodbye, None, stage, stop).await;
                        }
                    }
                    Ok(None) | Err(_) => return ws.ended().await,
                },
                () = stop.asked() => return sender.abort(),
                () = &mut patience, if !told => {
                    told = true;
                    stage.note(WAITING);
                }
            }
        }
    }

    fn obey(&self, command: Command, sender: &Sender, stage: &mut dyn Stage) -> Obeyed {
        match command {
            Command::Say(text) => return Obeyed::Send(text.into()),
            Command::Hex(bytes) => return Obeyed::Send(bytes.into()),
            Command::Binary(path) => match std::fs::read(&path) {
                Ok(bytes) => {
                    stage.note(&format!("{} bytes of {}", bytes.len(), path.display()));
                    return Obeyed::Send(bytes.into());
                }
                Err(error) => stage.note(&format!("cannot read {}: {error}", path.display())),
            },
            Command::Ping(data) => {
                let (sender, notes) = (sender.clone(), self.notes.0.clone());
                tokio::spawn(async move {
                    // Without data of our own, its answer proves that all before it was read, too.
                    let answered = match data.is_empty() {
                        true => sender.ping().await.map_err(PingError::Ended),
                        false => sender.ping_with(&data).await,
                    };
                    let note = match answered {
                        Ok(latency) => {
                            format!("answered after {:.2} ms", latency.as_secs_f64() * 1e3)
                        }
                        Err(error) => escape(&error.to_string()).into_owned(),
                    };
                    let _ = notes.send(note).await;
                });
            }
            Command::Pong(data) => {
                if let Err(error) = sender.pong(&data) {
                    stage.note(&error.to_string());
                }
            }
            Command::Headers => stage.note(&handshake(sender.opening())),
            Command::Stats => stage.note(&statistics(sender)),
            Command::Help => stage.note(&commands::help()),
            // Leads out of the conversation, and never comes here.
            Command::Close(..) => {}
        }
        Obeyed::Done
    }
}

enum Obeyed {
    Done,
    Send(Message),
}

/// What became of our last word.
enum Reading {
    /// A ping asks whether the peer has read it.
    Asked(Pending<()>),
    /// It has.
    Heard,
}

type Pending<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// Sends a message, while others come; gives it back if the connection takes no more.
fn send(sender: Sender, message: Message) -> Pending<Option<Message>> {
    Box::pin(async move { sender.send(message).await.err().map(SendError::into_message) })
}

async fn ping(sender: Sender) {
    // An end comes out of `recv`.
    let _ = sender.ping().await;
}

async fn finished(sending: &mut Option<Pending<Option<Message>>>) -> Option<Message> {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

async fn read_by_peer(reading: &mut Option<Reading>) {
    match reading {
        Some(Reading::Asked(asked)) => asked.await,
        _ => std::future::pending().await,
    }
}

/// Closes. Who asks again to stop does not wait for the peer, and nobody waits longer than `limit`.
async fn leave(
    ws: WebSocket,
    goodbye: Goodbye,
    limit: Option<Duration>,
    stage: &mut dyn Stage,
    stop: &mut Stop,
) -> Arc<Ending> {
    let sender = ws.sender();
    let mut closing = pin!(ws.close(goodbye.code, goodbye.reason));
    let mut patience = pin!(tokio::time::sleep(PATIENCE));
    let deadline = limit.map(|limit| Instant::now() + limit);
    let mut told = false;
    loop {
        tokio::select! {
            ending = &mut closing => return ending,
            () = stop.asked() => return sender.abort(),
            () = until(deadline) => return sender.abort(),
            () = &mut patience, if !told => {
                told = true;
                stage.note(WAITING);
            }
        }
    }
}

/// What is told to whoever may think that nothing happens.
const WAITING: &str = "waiting for the peer to close; Ctrl-C leaves without its answer";

/// How long a close may take before it is told that we wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a close may take when the time for all is over.
const LAST: Duration = Duration::from_secs(1);

pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn statistics(sender: &Sender) -> String {
    let ledger = sender.ledger();
    let sent = ledger.confirmed.plus(ledger.handed_over);
    let latency = match sender.latency() {
        Some(latency) => format!("{:.2} ms", latency.as_secs_f64() * 1e3),
        None => "not measured yet".to_owned(),
    };
    let compression = match &sender.opening().deflate {
        Some(_) => "permessage-deflate",
        None => "none",
    };
    format!(
        "sent      {} messages, {} bytes; {} certainly read by the peer\n\
         waiting   {} messages, {} bytes\n\
         received  {} messages, {} bytes\n\
         latency   {latency}\n\
         compression  {compression}",
        sent.messages,
        sent.bytes,
        ledger.confirmed.messages,
        ledger.unsent.messages,
        ledger.unsent.bytes,
        ledger.delivered.messages,
        ledger.delivered.bytes,
    )
}
