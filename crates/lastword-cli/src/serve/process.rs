//! A process between pipes: its output becomes messages, messages its input, and it is stopped in order.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use lastword::{CloseCode, Message};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout_at};

use crate::args::{Content, SECRETS};

/// How long a process may go on when nobody hears or tells it anything more, before it is told to stop.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How long it may take to stop when it was told to, before it is killed.
#[cfg(unix)]
const LAST: Duration = Duration::from_secs(1);

/// How much of the output is one binary message, at most.
const CHUNK: usize = 64 << 10;

/// What is run, and how it is talked to.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) command: String,
    content: Content,
    /// Longer lines of output are not sent.
    max_line: usize,
}

/// A process that was started, with both of its pipes.
pub(super) struct Process {
    running: Running,
    input: Input,
    output: Output,
}

/// Where a process hears.
pub(super) struct Input {
    pipe: ChildStdin,
    content: Content,
}

/// What a process says.
pub(super) struct Output {
    pipe: BufReader<ChildStdout>,
    content: Content,
    max_line: usize,
}

impl Script {
    pub(super) fn new(command: &str, content: Content, max_line: usize) -> Self {
        Self { command: command.to_owned(), content, max_line }
    }

    /// Runs it in a shell that finds `variables` in its environment, and none of our secrets.
    pub(super) fn start(&self, variables: Vec<(String, String)>) -> io::Result<Process> {
        let mut command = shell(&self.command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // A group of its own: Ctrl-C is for us, who ends it in order.
        #[cfg(unix)]
        command.process_group(0);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command.envs(variables);
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (content, max_line) = (self.content, self.max_line);
        let output = Output { pipe: BufReader::new(output), content, max_line };
        Ok(Process { running: Running(child), input: Input { pipe: input, content }, output })
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

impl Process {
    /// Itself without its pipes, and these.
    pub(super) fn apart(self) -> (Running, Input, Output) {
        (self.running, self.input, self.output)
    }
}

impl Input {
    /// Hands over a message; as lines, with its end.
    pub(super) async fn hand_over(&mut self, message: &Message) -> io::Result<()> {
        self.pipe.write_all(message.payload()).await?;
        match self.content {
            Content::Text => self.pipe.write_all(b"\n").await,
            Content::Binary => Ok(()),
        }
    }
}

impl Output {
    /// What it says next; `None` when it says no more.
    pub(super) async fn message(&mut self) -> Result<Option<Message>, TooLong> {
        match self.content {
            Content::Binary => {
                let mut chunk = Vec::with_capacity(CHUNK);
                match self.pipe.read_buf(&mut chunk).await {
                    Ok(0) | Err(_) => Ok(None),
                    Ok(_) => Ok(Some(Message::from(chunk))),
                }
            }
            Content::Text => {
                let line = line(&mut self.pipe, self.max_line).await?;
                Ok(line.map(|line| match String::from_utf8(line) {
                    Ok(text) => text.into(),
                    Err(wrong) => wrong.into_bytes().into(),
                }))
            }
        }
    }
}

/// A line of the output was longer than a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

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

/// A process whose pipes are in other hands.
pub(super) struct Running(Child);

impl Running {
    /// Waits for its end when its pipes have ended, and helps it along from `deadline` on.
    pub(super) async fn stop(mut self, deadline: Instant) -> End {
        if let Ok(waited) = timeout_at(deadline, self.0.wait()).await {
            return waited.map_or(End::Unknown, End::Itself);
        }
        #[cfg(unix)]
        if let Some(pid) = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
            if timeout_at(Instant::now() + LAST, self.0.wait()).await.is_ok() {
                return End::Stopped;
            }
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _ = self.0.kill().await;
        End::Stopped
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, or by a signal of somebody else's.
    Itself(ExitStatus),
    /// It did not, and was stopped by us.
    Stopped,
    /// Nobody knows.
    Unknown,
}

/// What those are told who hear a process that said no more, and how it ended.
pub(super) struct Farewell {
    pub(super) code: CloseCode,
    pub(super) reason: String,
}

impl Farewell {
    pub(super) fn of(said: Result<(), TooLong>, end: End) -> Self {
        let reason = match (said, end) {
            (Err(TooLong), _) => "the process wrote a line that is too long".to_owned(),
            (Ok(()), End::Itself(status)) if status.success() => {
                return Self { code: CloseCode::NORMAL, reason: String::new() };
            }
            (Ok(()), End::Itself(status)) => status.to_string(),
            (Ok(()), End::Stopped) => {
                "the process ended its output, did not end itself, and was stopped".to_owned()
            }
            (Ok(()), End::Unknown) => "the process was lost".to_owned(),
        };
        Self { code: CloseCode::INTERNAL_ERROR, reason }
    }
}
