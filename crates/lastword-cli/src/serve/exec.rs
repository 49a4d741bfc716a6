//! A process for each connection: messages are lines of its standard input, lines of its standard
//! output are messages. Each of them stops the other: the process gets the end of its input when the
//! connection ends, the connection is closed when the process is through.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use lastword::{CloseCode, HandlerError, Message, Receiver, Sender, WebSocket};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::environment;
use crate::args::Content;

/// How long a process may go on when the connection has ended, before it is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// How long it may take to stop when it was told to, before it is killed.
const LAST: Duration = Duration::from_secs(1);

/// How much of the output is one binary message, at most.
const CHUNK: usize = 64 << 10;

/// What is run, and how it is talked to.
pub(super) struct Exec {
    command: String,
    content: Content,
    /// Longer lines of output are not sent.
    max_line: usize,
}

impl Exec {
    pub(super) fn new(command: &str, content: Content, max_line: usize) -> Self {
        Self { command: command.to_owned(), content, max_line }
    }

    pub(super) async fn run(&self, ws: WebSocket) -> Result<(), HandlerError> {
        let mut child = match self.spawn(&ws) {
            Ok(child) => child,
            Err(error) => {
                crate::print::note!("cannot run {:?}: {error}", self.command);
                ws.close(CloseCode::INTERNAL_ERROR, "cannot run the command").await;
                return Ok(());
            }
        };
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".into());
        };
        let (sender, receiver) = ws.split();
        // Both at once: a process that waits for its output to be read does not read.
        let mut feeding = std::pin::pin!(feed(receiver, input, self.content));
        let mut telling = std::pin::pin!(self.tell(&sender, output));
        let told = tokio::select! {
            told = &mut telling => told,
            () = &mut feeding => match timeout(GRACE, &mut telling).await {
                Ok(told) => told,
                Err(_) => Ok(()),
            },
        };
        let status = stop(&mut child).await;
        let (code, reason) = farewell(&told, status.as_ref());
        sender.close(code, reason);
        sender.ended().await;
        Ok(())
    }

    fn spawn(&self, ws: &WebSocket) -> io::Result<Child> {
        let mut command = shell(&self.command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // A group of its own: Ctrl-C is for us, who ends it in order.
        #[cfg(unix)]
        command.process_group(0);
        command.envs(environment::of(ws));
        command.spawn()
    }

    /// Sends what the process says, until it says no more.
    async fn tell(&self, sender: &Sender, output: ChildStdout) -> Result<(), TooLong> {
        let mut output = BufReader::new(output);
        loop {
            let message = match self.content {
                Content::Binary => {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    match output.read_buf(&mut chunk).await {
                        Ok(0) | Err(_) => return Ok(()),
                        Ok(_) => Message::from(chunk),
                    }
                }
                Content::Text => match line(&mut output, self.max_line).await? {
                    Some(line) => String::from_utf8(line)
                        .map_or_else(|wrong| Message::from(wrong.into_bytes()), Message::from),
                    None => return Ok(()),
                },
            };
            // Why nothing can be sent any more, the other half hears.
            if sender.send(message).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn shell(command: &str) -> Command {
    if cfg!(windows) {
        let mut shell = Command::new("cmd");
        shell.args(["/C", command]);
        shell
    } else {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]);
        shell
    }
}

/// A line of the output was longer than a message may be.
#[derive(Debug)]
struct TooLong;

/// The next line without its end, if it is not longer than `limit`.
async fn line(
    output: &mut (impl AsyncBufRead + Unpin),
    limit: usize,
) -> Result<Option<Vec<u8>>, TooLong> {
    let mut line = Vec::new();
    // One more than a line may have, for its end.
    let allowed = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match output.take(allowed).read_until(b'\n', &mut line).await {
        Ok(0) | Err(_) => Ok(None),
        Ok(_) => {
            if line.last() == Some(&b'\n') {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
            } else if line.len() > limit {
                return Err(TooLong);
            }
            Ok(Some(line))
        }
    }
}

/// Hands messages to the process, until there are no more; then its input ends.
async fn feed(mut receiver: Receiver, mut input: ChildStdin, content: Content) {
    while let Ok(Some(message)) = receiver.recv().await {
        let mut written = input.write_all(message.payload()).await;
        if content == Content::Text {
            written = match written {
                Ok(()) => input.write_all(b"\n").await,
                failed => failed,
            };
        }
        if written.is_err() {
            // It reads no more, but may have more to say. What comes meanwhile is nobody's.
            drop(input);
            while let Ok(Some(_)) = receiver.recv().await {}
            return;
        }
    }
}

/// Waits for the end of a process whose pipes have ended, and helps it along.
async fn stop(child: &mut Child) -> Option<ExitStatus> {
    if let Ok(status) = timeout(GRACE, child.wait()).await {
        return status.ok();
    }
    #[cfg(unix)]
    if let Some(pid) =
        child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
        if let Ok(status) = timeout(LAST, child.wait()).await {
            return status.ok();
        }
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.kill().await;
    child.wait().await.ok()
}

fn farewell(told: &Result<(), TooLong>, status: Option<&ExitStatus>) -> (CloseCode, String) {
    match (told, status) {
        (Err(TooLong), _) => {
            (CloseCode::INTERNAL_ERROR, "the process wrote a line that is too long".to_owned())
        }
        (Ok(()), Some(status)) if status.success() => (CloseCode::NORMAL, String::new()),
        (Ok(()), Some(status)) => (CloseCode::INTERNAL_ERROR, status.to_string()),
        (Ok(()), None) => (CloseCode::INTERNAL_ERROR, "the process was lost".to_owned()),
    }
}
