//! A command that goes on beside the test, whatever it is, and what one that ended has said.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use super::lastword;

/// A command that ran to its end.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) fn run(args: &[&str], input: &str) -> Ran {
    super::run(args, input).into()
}

/// A command that goes on until it is dropped or stopped.
pub(crate) struct Running {
    child: Child,
    /// `None` when nobody reads any more.
    lines: Option<BufReader<ChildStdout>>,
    /// Where it listens.
    pub(crate) address: String,
}

impl Running {
    /// Waits until it says where it listens.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = lastword(args).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self { child, lines: Some(lines), address: String::new() };
        let first = running.line_with("127.0.0.1:");
        let start = first.find("127.0.0.1:").unwrap();
        running.address = first[start..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':'))
            .collect();
        running
    }

    /// An echo server.
    pub(crate) fn echo() -> Self {
        Self::start(&["serve", "--port", "0"])
    }

    /// A relay to this place.
    pub(crate) fn relay(target: &str, args: &[&str]) -> Self {
        Self::start(&[&["relay", "0", target], args].concat())
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The next line that has `needle`.
    pub(crate) fn line_with(&mut self, needle: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.lines.as_mut().unwrap().read_line(&mut line).unwrap() > 0,
                "no line with {needle:?}"
            );
            if line.contains(needle) {
                return line;
            }
        }
    }

    /// Waits for lines with all of these, in any order.
    pub(crate) fn lines_with(&mut self, needles: &[&str]) {
        let mut missing = needles.to_vec();
        while !missing.is_empty() {
            let line = self.line_with("");
            missing.retain(|needle| !line.contains(needle));
        }
    }

    /// Stops it with Ctrl-C; gives what it still said, and its exit code.
    #[cfg(unix)]
    pub(crate) fn stop(mut self) -> (String, Option<i32>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.lines.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }

    /// The most memory that it has had, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Reads nothing of it any more.
    pub(crate) fn close_output(&mut self) {
        self.lines = None;
    }

    /// Its exit code, when it has ended by itself.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of this test's own, gone with it.
pub(crate) struct Folder(std::path::PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lastword-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
