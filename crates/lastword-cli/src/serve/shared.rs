//! One process for all who connect: what it says, all of them hear; what any of them says, it hears. It is
//! started for the first who comes, and anew for the next who comes when it has ended; when it ends, those who
//! are here are told how.
//!
//! Who does not read is waited for, and then let go with 1013: nobody misses a line without being told, and
//! nobody holds up the others for longer than that.

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lastword::{
    CloseCode, ConnectionId, HandlerError, Message, Sender, Subscription, Topic, TopicConfig,
    WebSocket, WhenFull,
};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::process::{Farewell, GRACE, Input, Output, Process, Script, TooLong};

/// How long all wait for one who does not read, with 1024 lines or 1 MiB before him.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many messages may wait for a process that does not read; then those who speak are not read from.
const WAITING: usize = 4;

/// How often it is looked whether the last lines are on their way.
const LOOK: Duration = Duration::from_millis(5);

pub(super) struct Shared {
    script: Script,
    /// Where the process is talked to: who comes may be served in a runtime of his thread's, which ends first.
    runtime: Handle,
    stage: Arc<Mutex<Option<Stage>>>,
}

/// A process that runs, and those who are with it.
struct Stage {
    topic: Topic,
    words: mpsc::Sender<Message>,
    seats: HashMap<ConnectionId, Seat>,
    over: Arc<Notify>,
    /// `None` when somebody waits for its end already.
    living: Option<JoinHandle<()>>,
}

struct Seat {
    sender: Sender,
    subscription: Subscription,
}

impl Shared {
    /// Has to be made in the runtime that is to talk to the process.
    pub(super) fn new(script: Script) -> Self {
        Self { script, runtime: Handle::current(), stage: Arc::default() }
    }

    pub(super) async fn join(&self, ws: WebSocket) -> Result<(), HandlerError> {
        let id = ws.opening().id;
        let (sender, mut receiver) = ws.split();
        let words = match self.sit_down(id, &sender) {
            Ok(words) => words,
            Err(error) => {
                crate::print::note!("cannot run {:?}: {error}", self.script.command);
                sender.close(CloseCode::INTERNAL_ERROR, "cannot run the command");
                sender.ended().await;
                return Ok(());
            }
        };
        let _seated = Seated { stage: &self.stage, id };
        while let Ok(Some(message)) = receiver.recv().await {
            let mut handing = pin!(words.send(message));
            tokio::select! {
                biased;
                // To a process that reads no more, nobody has to say anything.
                _ = &mut handing => {}
                // Last words are handed over like all others, but not waited for like those.
                _ = sender.ended() => {
                    if timeout(GRACE, handing).await.is_err() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the process, if one runs.
    pub(super) async fn end(&self) {
        let living = locked(&self.stage).as_mut().and_then(|stage| {
            stage.over.notify_one();
            stage.living.take()
        });
        if let Some(living) = living {
            let _ = living.await;
        }
    }

    /// Takes a seat before the process, which is started if none runs: where to speak to it.
    fn sit_down(&self, id: ConnectionId, sender: &Sender) -> io::Result<mpsc::Sender<Message>> {
        let mut stage = locked(&self.stage);
        let stage = match &mut *stage {
            Some(stage) => stage,
            none => none.insert(self.open()?),
        };
        let subscription = stage.topic.subscribe(sender);
        stage.seats.insert(id, Seat { sender: sender.clone(), subscription });
        Ok(stage.words.clone())
    }

    /// Starts the process. Nobody is there to hear it yet, and nobody has to know who was the first.
    fn open(&self) -> io::Result<Stage> {
        let _here = self.runtime.enter();
        let process = self.script.start(Vec::new())?;
        let mut config = TopicConfig::default();
        config.when_full = WhenFull::Wait { limit: PATIENCE };
        let topic = Topic::with(config);
        let (words, said) = mpsc::channel(WAITING);
        let over = Arc::new(Notify::new());
        let life = Life {
            stage: Arc::clone(&self.stage),
            topic: topic.clone(),
            said,
            over: Arc::clone(&over),
        };
        let living = Some(self.runtime.spawn(life.live(process)));
        Ok(Stage { topic, words, seats: HashMap::new(), over, living })
    }
}

/// Stands up when it is dropped.
struct Seated<'a> {
    stage: &'a Mutex<Option<Stage>>,
    id: ConnectionId,
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        let seat = locked(self.stage).as_mut().and_then(|stage| stage.seats.remove(&self.id));
        // Not under the lock: there is more to it.
        drop(seat);
    }
}

fn locked(stage: &Mutex<Option<Stage>>) -> MutexGuard<'_, Option<Stage>> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process from its start to its end.
struct Life {
    stage: Arc<Mutex<Option<Stage>>>,
    topic: Topic,
    said: mpsc::Receiver<Message>,
    over: Arc<Notify>,
}

impl Life {
    async fn live(mut self, process: Process) {
        let (running, input, output) = process.apart();
        let (told, deadline) = self.talk(input, output).await;
        let end = running.stop(deadline).await;
        let last_lines = async {
            while self.topic.counters().waiting > 0 {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(PATIENCE, last_lines).await;
        self.dismiss_all(&Farewell::of(told, end));
    }

    /// Passes on what all say, until the process says no more or is to end. Its pipes are closed then.
    async fn talk(&mut self, input: Input, output: Output) -> (Result<(), TooLong>, Instant) {
        let Self { stage, topic, said, over } = self;
        let mut telling = pin!(tell(stage, topic, output));
        tokio::select! {
            told = &mut telling => return (told, Instant::now() + GRACE),
            () = feed(said, input) => {}
            () = over.notified() => {}
        }
        let deadline = Instant::now() + GRACE;
        (timeout_at(deadline, telling).await.unwrap_or(Ok(())), deadline)
    }

    /// Tells all who are here how the process has ended; whoever comes from now on gets another one.
    fn dismiss_all(self, farewell: &Farewell) {
        let Some(stage) = locked(&self.stage).take() else { return };
        if stage.seats.is_empty() && farewell.code != CloseCode::NORMAL {
            crate::print::note!("the process ended with nobody there: {}", farewell.reason);
        }
        for Seat { sender, subscription } in stage.seats.into_values() {
            let before = stage.topic.counters().discarded;
            drop(subscription);
            if stage.topic.counters().discarded > before {
                // Lines still waited for this one.
                let_go(&sender);
            } else {
                sender.close(farewell.code, farewell.reason.clone());
            }
        }
    }
}

/// Tells all what the process says, until it says no more.
async fn tell(
    stage: &Mutex<Option<Stage>>,
    topic: &Topic,
    mut output: Output,
) -> Result<(), TooLong> {
    while let Some(message) = output.message().await? {
        if topic.publish(message).await.missed > 0 {
            dismiss_slow(stage);
        }
    }
    Ok(())
}

/// Lets go of those who have missed something.
fn dismiss_slow(stage: &Mutex<Option<Stage>>) {
    let mut stage = locked(stage);
    let Some(stage) = &mut *stage else { return };
    let slow = stage.seats.extract_if(|_, seat| seat.subscription.missed() > 0);
    slow.for_each(|(_, seat)| let_go(&seat.sender));
}

fn let_go(sender: &Sender) {
    sender.close(CloseCode::TRY_AGAIN_LATER, "too slow for what the process says");
}

/// Hands messages to the process for as long as somebody may speak. One that reads no more may have more to
/// say.
async fn feed(said: &mut mpsc::Receiver<Message>, mut input: Input) {
    while let Some(message) = said.recv().await {
        if input.hand_over(&message).await.is_err() {
            drop(input);
            while said.recv().await.is_some() {}
            return;
        }
    }
}
