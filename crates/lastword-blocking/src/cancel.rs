//! A word that ends an opening, from another thread. It is said once and stays said; whoever waits for a
//! socket waits for it as well.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::sync::Arc;

use parking_lot::Mutex;

/// Cancels openings from another thread, at once; given to a client by
/// [`Client::cancelled_by`](crate::Client::cancelled_by). Clones are the same one. Connections that are
/// open already go on.
///
/// ```
/// use lastword_blocking::{Cancel, Client, ConnectError};
///
/// let cancel = Cancel::new();
/// let opening = std::thread::spawn({
///     let client = Client::new("ws://192.0.2.1/").no_proxy().cancelled_by(&cancel);
///     move || client.connect()
/// });
/// cancel.cancel();
/// let error = opening.join().unwrap().unwrap_err();
/// assert!(matches!(error, ConnectError::Cancelled { .. } | ConnectError::Connect { .. }));
/// ```
#[derive(Clone, Default)]
pub struct Cancel {
    word: Arc<Mutex<Word>>,
}

enum Word {
    /// The pipe is there as soon as somebody waits.
    Unsaid(Option<(Arc<PipeReader>, PipeWriter)>),
    Said,
}

impl Default for Word {
    fn default() -> Self {
        Self::Unsaid(None)
    }
}

impl Cancel {
    /// Nothing is cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels all openings that it was given to, those in progress and those to come.
    pub fn cancel(&self) {
        // The pipe's far end goes with the old word, which whoever waits at the near end notices.
        *self.word.lock() = Word::Said;
    }

    /// Whether it was said.
    pub fn is_cancelled(&self) -> bool {
        matches!(*self.word.lock(), Word::Said)
    }

    /// What becomes readable when it is said; `Interrupted` if it was.
    pub(crate) fn watch(&self) -> io::Result<Arc<PipeReader>> {
        let mut word = self.word.lock();
        let pipe = match &mut *word {
            Word::Said => return Err(io::ErrorKind::Interrupted.into()),
            Word::Unsaid(pipe) => pipe,
        };
        let near = match pipe {
            Some((near, _)) => near,
            None => {
                let (near, far) = io::pipe()?;
                &mut pipe.insert((Arc::new(near), far)).0
            }
        };
        Ok(Arc::clone(near))
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}
