//! A prompt that incoming messages do not garble: lines are read in a thread of their own, and what
//! comes in is printed above the prompt.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

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
    printer: Box<dyn Print + Send>,
    _mode: Mode,
}

trait Print {
    fn print(&mut self, text: String);
}

impl<P: ExternalPrinter> Print for P {
    fn print(&mut self, text: String) {
        // A terminal that is gone shows nothing; the connection tells of its end elsewhere.
        let _ = ExternalPrinter::print(self, text);
    }
}

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
        let printer = Box::new(editor.create_external_printer().map_err(io::Error::other)?);
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
        Ok((Self { printer, _mode: mode }, said))
    }

    /// Prints lines above the prompt.
    pub(super) fn print(&mut self, lines: &str) {
        self.printer.print(format!("{lines}\n"));
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
