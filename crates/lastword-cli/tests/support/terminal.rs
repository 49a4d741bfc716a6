//! The command in a terminal of its own: keys go in, and what comes out is drawn on a screen, as far as the
//! command moves about on one.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::lastword;

/// How long anything that has to come may take.
const PATIENCE: Duration = Duration::from_secs(20);

const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

pub(crate) struct Terminal {
    child: Child,
    keys: File,
    output: Receiver<Vec<u8>>,
    /// Of a character or an escape that has come in part.
    bytes: Vec<u8>,
    /// What was not waited for yet.
    seen: String,
    /// What was waited for before.
    passed: String,
    screen: Screen,
}

impl Terminal {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// The same, with these in its environment.
    pub(crate) fn start_with(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = lastword(args);
        command.env("TERM", "xterm").env_remove("NO_COLOR").envs(environment.iter().copied());
        Self::run(command)
    }

    pub(crate) fn run(mut command: Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&theirs, size).unwrap();
        let end = || Stdio::from(OwnedFd::from(theirs.try_clone().unwrap()));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        // It holds its ends of the terminal, too, which would never hang up.
        drop(command);
        let keys = File::from(ours);
        let mut output = keys.try_clone().unwrap();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // When nobody has it open any more, reading fails.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keys,
            output: receiver,
            bytes: Vec::new(),
            seen: String::new(),
            passed: String::new(),
            screen: Screen::default(),
        }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for more; whether some came.
    fn take_more(&mut self) -> bool {
        let Ok(more) = self.output.recv_timeout(PATIENCE) else { return false };
        self.bytes.extend(more);
        let mut whole = match std::str::from_utf8(&self.bytes) {
            Ok(_) => self.bytes.len(),
            Err(error) => error.valid_up_to(),
        };
        let escape = self.bytes[..whole].iter().rposition(|byte| *byte == 0x1b);
        if let Some(at) = escape.filter(|at| !is_complete(&self.bytes[*at..whole])) {
            whole = at;
        }
        let text = String::from_utf8(self.bytes.drain(..whole).collect()).unwrap();
        self.screen.write(&text);
        self.seen += &text;
        true
    }

    /// Waits until this comes, escapes and all, behind what was waited for before.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        loop {
            if let Some(at) = self.seen.find(text) {
                self.passed.extend(self.seen.drain(..at + text.len()));
                return;
            }
            if !self.take_more() {
                panic!("{text:?} is not in {:?}, behind {:?}", self.seen, self.passed);
            }
        }
    }

    /// Waits until the last lines of the screen are these.
    #[track_caller]
    pub(crate) fn looks(&mut self, last: &[&str]) {
        loop {
            let lines = self.screen.lines();
            if lines.ends_with(&last.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()) {
                return;
            }
            assert!(self.take_more(), "{last:?} are not the last lines of {lines:#?}");
        }
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Whether keys are echoed and lines are edited by the terminal itself, as a shell wants it.
    pub(crate) fn is_as_shells_want_it(&self) -> bool {
        let modes = tcgetattr(&self.keys).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Vec<String> {
        let (came, lines, all) = self.ends();
        assert_eq!(came, Some(code), "{all:?}");
        lines
    }

    /// Its exit code, the lines on the screen, and what came that was not waited for.
    #[track_caller]
    pub(crate) fn ends(mut self) -> (Option<i32>, Vec<String>, String) {
        let code = self.child.wait().unwrap().code();
        while self.take_more() {}
        (code, self.screen.lines(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether an escape has its last character.
fn is_complete(escape: &[u8]) -> bool {
    match escape {
        [_, b'[', rest @ ..] => rest.iter().any(u8::is_ascii_alphabetic),
        [_] => false,
        _ => true,
    }
}

/// What is on a screen that never scrolls, for what a prompt and a bar need of escapes.
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Default for Screen {
    fn default() -> Self {
        Self { lines: vec![Vec::new()], row: 0, column: 0 }
    }
}

impl Screen {
    /// All lines, without what is empty at their ends.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .lines
            .iter()
            .map(|line| line.iter().collect::<String>().trim_end().to_owned())
            .collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    fn write(&mut self, text: &str) {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => self.move_down(1),
                '\u{8}' => self.column = self.column.saturating_sub(1),
                '\u{7}' => {}
                '\u{1b}' => {
                    if characters.next() != Some('[') {
                        continue;
                    }
                    let mut number = String::new();
                    let command = loop {
                        match characters.next() {
                            Some(part @ ('0'..='9' | ';' | '?')) => number.push(part),
                            other => break other,
                        }
                    };
                    self.obey(command, number.parse().ok());
                }
                character => self.put(character),
            }
        }
    }

    fn put(&mut self, character: char) {
        if self.column == usize::from(COLUMNS) {
            self.column = 0;
            self.move_down(1);
        }
        let line = &mut self.lines[self.row];
        if line.len() <= self.column {
            line.resize(self.column + 1, ' ');
        }
        line[self.column] = character;
        self.column += 1;
    }

    fn move_down(&mut self, by: usize) {
        self.row += by;
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
    }

    fn obey(&mut self, command: Option<char>, number: Option<usize>) {
        let by = number.unwrap_or(1).max(1);
        match command {
            Some('A') => self.row = self.row.saturating_sub(by),
            Some('B') => self.move_down(by),
            Some('C') => self.column += by,
            Some('D') => self.column = self.column.saturating_sub(by),
            Some('G') => self.column = by - 1,
            Some('K') if number == Some(2) => self.lines[self.row].clear(),
            Some('K') => self.lines[self.row].truncate(self.column),
            Some('J') => {
                self.lines[self.row].truncate(self.column);
                self.lines.truncate(self.row + 1);
            }
            // Colours, and modes that nobody sees.
            _ => {}
        }
    }
}
