//! The command, run as a person or a script would.

#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod running;
pub(crate) mod snapshot;
#[cfg(unix)]
pub(crate) mod terminal;
#[cfg(unix)]
pub(crate) mod watched;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

pub(crate) fn lastword(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastword"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) fn run(args: &[&str], input: &str) -> Output {
    let mut child = lastword(args).spawn().unwrap();
    // A command that fails at once reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    ended(child)
}

/// Whether the end of a terminal ends what runs there: Linux tells, and only where these tests are not run under
/// `nohup`, which all that they start inherits.
pub(crate) fn hangup_is_heard() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 0)
}

/// How long a command may take that ends by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a command said that ends by itself; one that does not is killed, so that a test fails and does not hang.
pub(crate) fn ended(child: Child) -> Output {
    let pid = child.id().to_string();
    let (done, waiting) = channel::<()>();
    let watch = std::thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    watch.join().unwrap();
    output
}

/// A server on a free port.
pub(crate) struct Server {
    pub(crate) child: Child,
    lines: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(&mut lastword(&[&["serve", "--port", "0"], args].concat()))
    }

    /// The same with an environment of its own.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let start = first.find("127.0.0.1:").unwrap();
        let address: String = first[start..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':'))
            .collect();
        let scheme = if first.contains("wss://") { "wss" } else { "ws" };
        Self { child, lines, url: format!("{scheme}://{address}") }
    }

    /// The next line that has `needle`.
    pub(crate) fn line_with(&mut self, needle: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "no line with {needle:?}");
            if line.contains(needle) {
                return line;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a request, and answers it as a server that agrees to all of it.
pub(crate) fn answer_opening(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let key = request.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = lastword::proto::handshake::accept_key(key);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).unwrap();
}
