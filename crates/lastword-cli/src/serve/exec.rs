//! A process for each connection: messages are lines of its standard input, lines of its standard
//! output are messages. Each of them stops the other: the process gets the end of its input when the
//! connection ends, the connection is closed when the process is through.

use std::pin::pin;

use lastword::{CloseCode, HandlerError, Receiver, Sender, WebSocket};
use tokio::time::{Instant, timeout_at};

use super::environment;
use super::process::{Farewell, GRACE, Input, Output, Script, TooLong};

pub(super) struct Exec {
    script: Script,
    /// Who everybody is who gets here, if that is asked.
    user: Option<String>,
}

impl Exec {
    pub(super) const fn new(script: Script, user: Option<String>) -> Self {
        Self { script, user }
    }

    pub(super) async fn run(&self, ws: WebSocket) -> Result<(), HandlerError> {
        let process = match self.script.start(environment::of(&ws, self.user.as_deref())) {
            Ok(process) => process,
            Err(error) => {
                crate::print::note!("cannot run {:?}: {error}", self.script.command);
                ws.close(CloseCode::INTERNAL_ERROR, "cannot run the command").await;
                return Ok(());
            }
        };
        let (running, input, output) = process.apart();
        let (sender, receiver) = ws.split();
        let (said, deadline) = talk(&sender, receiver, input, output).await;
        let Farewell { code, reason } = Farewell::of(said, running.stop(deadline).await);
        sender.close(code, reason);
        sender.ended().await;
        Ok(())
    }
}

/// Passes on what both say, until the process says no more, or nobody is there to hear it. Both pipes
/// are closed then, and the process has until the moment that is returned.
async fn talk(
    sender: &Sender,
    receiver: Receiver,
    input: Input,
    output: Output,
) -> (Result<(), TooLong>, Instant) {
    // Both at once: a process that waits for its output to be read does not read.
    let mut telling = pin!(tell(sender, output));
    tokio::select! {
        told = &mut telling => return (told, Instant::now() + GRACE),
        () = feed(receiver, input) => {}
    }
    let deadline = Instant::now() + GRACE;
    (timeout_at(deadline, telling).await.unwrap_or(Ok(())), deadline)
}

/// Sends what the process says, until it says no more.
async fn tell(sender: &Sender, mut output: Output) -> Result<(), TooLong> {
    while let Some(message) = output.message().await? {
        // Why nothing can be sent any more, the other half hears.
        if sender.send(message).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Hands messages to the process, until there are no more; then its input ends.
async fn feed(mut receiver: Receiver, mut input: Input) {
    while let Ok(Some(message)) = receiver.recv().await {
        if input.hand_over(&message).await.is_err() {
            // It reads no more, but may have more to say. What comes meanwhile is nobody's.
            drop(input);
            while let Ok(Some(_)) = receiver.recv().await {}
            return;
        }
    }
}
