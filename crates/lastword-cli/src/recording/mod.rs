//! Recordings: what passed over connections, as lines of JSON that people, programs and `replay` read.
//!
//! [`line`] makes each kind of line, [`Recorder`] writes them, [`session`] reads them again. The form is
//! documented in docs/cli/recording.md; what proves who somebody is, is in none.

pub(crate) mod line;
pub(crate) mod session;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

pub(crate) use self::line::Place;
use crate::print::{Audience, json, put};

/// Writes a recording, a line for each event, at once.
pub(crate) struct Recorder {
    /// `None` once it could not be written any more.
    out: Option<Out>,
    name: String,
    /// Whether somebody still reads it, if it is not in a file.
    audience: Audience,
}

enum Out {
    File(File),
    Standard,
}

impl Recorder {
    /// Begins a recording in this file; `-` is standard output.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn create(path: &Path, by: &str, target: &str) -> io::Result<Self> {
        let out =
            if is_standard_output(path) { Out::Standard } else { Out::File(File::create(path)?) };
        let name = path.display().to_string();
        let mut recorder = Self { out: Some(out), name, audience: Audience::There };
        recorder.write(&line::head(by, target));
        Ok(recorder)
    }

    /// Writes one line.
    pub(crate) fn write(&mut self, line: &Value) -> Audience {
        let text = format!("{}\n", json(line));
        let written = match &mut self.out {
            Some(Out::File(file)) => file.write_all(text.as_bytes()),
            Some(Out::Standard) => {
                self.audience = put(&text);
                Ok(())
            }
            None => Ok(()),
        };
        if let Err(error) = written {
            // What was recorded stays.
            crate::print::unwritten(&format!("to {}, the recording ends here", self.name), &error);
            self.out = None;
        }
        self.audience
    }

    /// Whether the recording has ended before what it was to hold.
    pub(crate) const fn is_over(&self) -> bool {
        self.out.is_none()
    }
}

/// Whether a file's name stands for standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}
