//! A prompt that incoming messages do not garble: lines are read in a thread of their own, and what comes in is printed
//! above the prompt. That is the reading thread's doing, too: what waits to be shown is drawn with the next prompt, in
//! its order, whether a key, a new line or a wake-up is what draws it.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::commands::{COMMANDS, Command};
use super::said::Said;

/// Where lines come from, and where messages go.
pub(super) struct Terminal {
    board: Arc<Board>,
    /// Has a prompt drawn that nobody would draw otherwise.
    wake: SyncSender<()>,
    _mode: Mode,
}

/// What waits to be shown above the prompt.
#[derive(Default)]
struct Board {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: String,
    count: usize,
    /// Nobody draws a prompt any more.
    over: bool,
}

/// How many texts may wait for a terminal.
const WAITING: usize = 64;

/// How long a terminal may take to show what waits for it when all is over.
const SETTLING: Duration = Duration::from_secs(1);

/// How long it takes to draw a prompt, and nobody notices.
const DRAWING: Duration = Duration::from_millis(20);

/// Moves nothing: up, and down again.
const NOTHING: &str = "\x1b[A\n";

impl Board {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts lines up; gives them back if nobody would draw them.
    fn put(&self, lines: &str) -> Result<(), ()> {
        let full = |waiting: &mut Waiting| waiting.count >= WAITING && !waiting.over;
        let mut waiting =
            self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if waiting.over {
            return Err(());
        }
        waiting.lines.push_str(lines);
        waiting.count += 1;
        Ok(())
    }

    /// Takes all that waits, to be drawn.
    fn take(&self) -> String {
        let mut waiting = self.lock();
        waiting.count = 0;
        let lines = std::mem::take(&mut waiting.lines);
        self.changed.notify_all();
        lines
    }

    /// Nobody takes anything any more: gives what is left.
    fn end(&self) -> String {
        self.lock().over = true;
        self.take()
    }

    /// Waits until all was taken, if it will be.
    fn settle(&self) {
        let waits = |waiting: &mut Waiting| waiting.count > 0 && !waiting.over;
        drop(self.changed.wait_timeout_while(self.lock(), SETTLING, waits));
    }
}

impl Terminal {
    /// Takes over the terminal; what is typed comes out of the receiver, which ends with it. With a
    /// file, lines of earlier times are there, and those of this time are kept.
    pub(super) fn open(history: Option<PathBuf>) -> io::Result<(Self, mpsc::Receiver<Said>)> {
        let mode = Mode::save();
        // What waits is drawn by the highlighter, which knows itself whether there are colours.
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .auto_add_history(false)
            .color_mode(ColorMode::Forced);
        let mut editor: Editor<Prompt, FileHistory> =
            Editor::with_config(config.build()).map_err(io::Error::other)?;
        let board = Arc::new(Board::default());
        let files = FilenameCompleter::new();
        editor.set_helper(Some(Prompt { files, board: Arc::clone(&board) }));
        if let Some(path) = &history {
            match editor.load_history(path) {
                // There is none before the first time.
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(io::Error::other)?,
            }
        }
        let mut printer = editor.create_external_printer().map_err(io::Error::other)?;
        let (wake, wakes) = sync_channel(1);
        // A thread of its own, since a prompt that was left takes no more.
        std::thread::spawn(move || {
            for () in wakes {
                let _ = printer.print(NOTHING.to_owned());
            }
        });
        // Whoever reads lines never waits for those who send them: what is printed above the prompt waits for
        // the prompt. It is as much as was typed, or pasted.
        let (typed, mut lines) = mpsc::unbounded_channel();
        let (sender, said) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if sender.send(line).await.is_err() {
                    return;
                }
            }
        });
        let last = Arc::clone(&board);
        std::thread::spawn(move || {
            // Ctrl-C and Ctrl-D end the input, and so the conversation.
            while let Ok(line) = editor.readline("> ") {
                if !line.trim().is_empty() {
                    let _ = editor.add_history_entry(line.as_str());
                    if let Some(path) = &history {
                        let _ = editor.append_history(path);
                    }
                }
                if typed.send(understood(&line)).is_err() {
                    break;
                }
            }
            put(&last.end());
        });
        Ok((Self { board, wake, _mode: mode }, said))
    }

    /// Prints lines above the prompt.
    pub(super) fn print(&mut self, lines: &str) {
        let lines = format!("{lines}\n");
        match self.board.put(&lines) {
            // Whoever was woken already draws these, too.
            Ok(()) => drop(self.wake.try_send(())),
            Err(()) => put(&lines),
        }
    }

    /// Takes away a prompt behind which nothing was typed yet.
    pub(super) fn erase_prompt(&mut self) {
        let _ = io::stderr().write_all(b"\r\x1b[K");
    }

    /// Waits until what was printed is on the screen, if it gets there at all.
    pub(super) fn settle(&mut self) {
        self.board.settle();
        // What was taken is being drawn, perhaps with a prompt behind which nothing would fit.
        std::thread::sleep(DRAWING);
    }
}

/// Writes where there is no prompt. A terminal that is gone shows nothing; the connection tells of its end
/// elsewhere.
fn put(lines: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
}

/// Whether the terminal does what it is told by escapes; others have no prompt.
pub(super) fn obeys() -> bool {
    std::env::var_os("TERM")
        .is_none_or(|name| !["dumb", "cons25", "emacs"].iter().any(|plain| name == *plain))
}

fn understood(line: &str) -> Said {
    // A line that goes on ends with a backslash; what is sent has the line's end instead.
    match Command::parse(&line.replace("\\\n", "\n")) {
        Ok(Command::Say(text)) => Said::Message(text.into()),
        Ok(command) => Said::Command(command),
        Err(why) => Said::Misspelt(why),
    }
}

/// Completes commands and their files, and hints at what follows.
struct Prompt {
    files: FilenameCompleter,
    board: Arc<Board>,
}

impl Helper for Prompt {}

impl Completer for Prompt {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        if line.starts_with("/binary ") {
            return self.files.complete(line, position, context);
        }
        let typed = line.get(..position).unwrap_or(line);
        let fitting =
            COMMANDS.iter().filter(|(name, ..)| typed.starts_with('/') && name.starts_with(typed));
        let pairs = fitting.map(|(name, arguments, what)| Pair {
            display: format!("{name} {arguments}  {what}"),
            replacement: if arguments.is_empty() { (*name).to_owned() } else { format!("{name} ") },
        });
        Ok((0, pairs.collect()))
    }
}

impl Hinter for Prompt {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<String> {
        let name =
            line.strip_suffix(' ').filter(|name| position == line.len() && name.len() > 2)?;
        let (_, arguments, _) = COMMANDS.iter().find(|(known, ..)| *known == name)?;
        Some((*arguments).to_owned())
    }
}

impl Highlighter for Prompt {
    /// Whatever draws the prompt draws what waits in front of it: what stands on the screen is moved about from its
    /// end on, which is where it was.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        match self.board.take() {
            lines if lines.is_empty() => prompt.into(),
            lines => format!("{lines}{prompt}").into(),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if crate::style::is_plain() { hint.into() } else { format!("\x1b[2m{hint}\x1b[0m").into() }
    }
}

impl Validator for Prompt {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let goes_on = context.input().ends_with('\\');
        Ok(if goes_on { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

/// The mode that the terminal was in. The thread that reads lines changes it, and cannot be asked to
/// change it back when the connection ends before the line does.
struct Mode {
    #[cfg(unix)]
    saved: Option<rustix::termios::Termios>,
}

impl Mode {
    fn save() -> Self {
        Self {
            #[cfg(unix)]
            saved: rustix::termios::tcgetattr(rustix::stdio::stdin()).ok(),
        }
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(saved) = &self.saved {
            let now = rustix::termios::OptionalActions::Now;
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), now, saved);
        }
    }
}
