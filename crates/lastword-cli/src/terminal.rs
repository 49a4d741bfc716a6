//! A prompt that incoming messages do not garble: lines are read in a thread of their own, and what
//! comes in is printed above the prompt.

use std::io;

use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

/// Where lines come from, and where messages go.
pub(crate) struct Terminal {
    pub(crate) lines: mpsc::Receiver<String>,
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
    /// Takes over the terminal.
    pub(crate) fn open() -> io::Result<Self> {
        let mode = Mode::save();
        let mut editor = DefaultEditor::new().map_err(io::Error::other)?;
        let printer = Box::new(editor.create_external_printer().map_err(io::Error::other)?);
        let (sender, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            loop {
                match editor.readline("> ") {
                    Ok(line) => {
                        let _ = editor.add_history_entry(line.as_str());
                        if sender.blocking_send(line).is_err() {
                            return;
                        }
                    }
                    // Ctrl-C and Ctrl-D end the input, and so the conversation.
                    Err(ReadlineError::Interrupted | ReadlineError::Eof) => return,
                    Err(_) => return,
                }
            }
        });
        Ok(Self { lines, printer, _mode: mode })
    }

    /// Prints a line above the prompt.
    pub(crate) fn print(&mut self, line: &str) {
        self.printer.print(format!("{line}\n"));
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
