//! Colours, where they are wanted: on a terminal that has some, unless `NO_COLOR` or `--color` says
//! otherwise.

use std::fmt;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::args::When;

/// What a piece of text is, for the eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Beside the matter: times, notes.
    Dim,
    /// What came.
    Incoming,
    /// Names in JSON.
    Name,
    /// As it should be.
    Good,
    /// Perhaps wrong.
    Doubtful,
    /// Wrong.
    Bad,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Dim => "2",
            Self::Incoming => "36",
            Self::Name => "34",
            Self::Good => "32",
            Self::Doubtful => "33",
            Self::Bad => "31",
        }
    }

    /// The text in this style.
    pub(crate) fn of<T: fmt::Display>(self, text: T) -> Styled<T> {
        Styled { style: self, text }
    }
}

static COLOURED: AtomicBool = AtomicBool::new(false);

/// Decides once, before anything is printed.
pub(crate) fn decide(when: When) {
    let coloured = match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
            wanted && able && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
        }
    };
    COLOURED.store(coloured, Ordering::Relaxed);
}

/// Whether there are no colours.
pub(crate) fn is_plain() -> bool {
    !COLOURED.load(Ordering::Relaxed)
}

/// Text in a style.
pub(crate) struct Styled<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain() {
            return self.text.fmt(f);
        }
        write!(f, "\x1b[{}m{}\x1b[0m", self.style.code(), self.text)
    }
}
