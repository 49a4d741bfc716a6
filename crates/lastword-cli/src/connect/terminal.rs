//! A prompt that incoming messages do not garble: lines are read in a thread of their own, and what comes in is printed
//! above the prompt. That is the reading thread's doing, too, which may be busy with a key; so a third thread hands it
//! over, and can be asked whether all of it is on the screen.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::commands::{COMMANDS, Command};
use super::said::Said;

/// Where lines come from, and where messages go.
pub(super) struct Terminal {
    shown: SyncSender<Shown>,
    _mode: Mode,
}

/// For the thread that prints.
enum Shown {
    Lines(String),
    /// Whoever waits for all before it to be on the screen hears of it.
    Settled(SyncSender<()>),
}

/// How many lines may wait for a terminal.
const WAITING: usize = 64;

/// How long a terminal may take to show what waits for it when all is over.
const SETTLING: Duration = Duration::from_secs(1);

/// How long it takes to draw a prompt, and nobody notices.
const DRAWING: Duration = Duration::from_millis(20);

/// Moves nothing: up, and down again.
const NOTHING: &str = "\x1b[A\n";

impl Terminal {
    /// Takes over the terminal; what is typed comes out of the receiver, which ends with it. With a
    /// file, lines of earlier times are there, and those of this time are kept.
    pub(super) fn open(history: Option<PathBuf>) -> io::Result<(Self, mpsc::Receiver<Said>)> {
        let mode = Mode::save();
        let config =
            Config::builder().completion_type(CompletionType::List).auto_add_history(false);
        let mut editor: Editor<Prompt, FileHistory> =
            Editor::with_config(config.build()).map_err(io::Error::other)?;
        editor.set_helper(Some(Prompt { files: FilenameCompleter::new() }));
        if let Some(path) = &history {
            match editor.load_history(path) {
                // There is none before the first time.
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(io::Error::other)?,
            }
        }
        let printer = editor.create_external_printer().map_err(io::Error::other)?;
        let (shown, to_show) = sync_channel(WAITING);
        std::thread::spawn(move || show(printer, &to_show));
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
                    return;
                }
            }
        });
        Ok((Self { shown, _mode: mode }, said))
    }

    /// Prints lines above the prompt.
    pub(super) fn print(&mut self, lines: &str) {
        // A terminal that is gone shows nothing; the connection tells of its end elsewhere.
        let _ = self.shown.send(Shown::Lines(format!("{lines}\n")));
    }

    /// Takes away a prompt behind which nothing was typed yet.
    pub(super) fn erase_prompt(&mut self) {
        if obeys() {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }

    /// Waits until what was printed is on the screen, if it gets there at all.
    pub(super) fn settle(&mut self) {
        if !obeys() {
            return;
        }
        let (tell, settled) = sync_channel(1);
        if self.shown.send(Shown::Settled(tell)).is_ok() {
            let _ = settled.recv_timeout(SETTLING);
        }
    }
}

/// Whether the terminal does what it is told by escapes; those that do not are written to as they are.
fn obeys() -> bool {
    std::env::var_os("TERM")
        .is_none_or(|name| !["dumb", "cons25", "emacs"].iter().any(|plain| name == *plain))
}

fn show(mut printer: impl ExternalPrinter, to_show: &Receiver<Shown>) {
    for shown in to_show {
        match shown {
            Shown::Lines(lines) => drop(printer.print(lines)),
            Shown::Settled(tell) => {
                // The printer holds one text while another is being shown, and takes no third: so with the second
                // that it takes, all before the first is on the screen.
                let _ = printer.print(NOTHING.to_owned());
                let _ = printer.print(NOTHING.to_owned());
                // The second draws the prompt once more, and would draw it behind whatever comes now.
                std::thread::sleep(DRAWING);
                let _ = tell.send(());
            }
        }
    }
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
