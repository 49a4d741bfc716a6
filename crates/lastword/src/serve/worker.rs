//! Threads that serve, each with a runtime and listeners of its own: a connection stays on the
//! thread that accepted it, and what belongs to it is never handed from one core to another.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::thread;

use lastword_kit::ListeningSocket;
use tokio::runtime;
use tokio::sync::oneshot;

use super::listener::Listeners;

/// What a thread does with its listeners. The future never leaves the thread.
type Work = Box<dyn FnOnce(Listeners) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// A thread that is ready to serve, and waits to be told how. Dropping this ends it.
pub(super) struct Worker {
    start: oneshot::Sender<Work>,
}

impl Worker {
    /// Starts a thread that listens on these.
    ///
    /// # Errors
    /// When the operating system has no thread for it, or none of what a runtime needs.
    pub(super) async fn start(sockets: Vec<ListeningSocket>) -> io::Result<Self> {
        let (start, started) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        thread::Builder::new()
            .name("lastword-serve".to_owned())
            .spawn(move || run(sockets, ready, started))?;
        // A thread that does not answer has panicked before it could.
        is_ready.await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        Ok(Self { start })
    }

    /// Lets it work; what comes of that is received when it is done.
    pub(super) fn work<T, R>(
        self,
        work: impl FnOnce(Listeners) -> T + Send + 'static,
    ) -> oneshot::Receiver<R>
    where
        T: Future<Output = R> + 'static,
        R: Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let work: Work = Box::new(|listeners| {
            Box::pin(async {
                // Whoever has stopped waiting does not want to know.
                let _ = done.send(work(listeners).await);
            })
        });
        // A thread that is ready waits for this.
        let _ = self.start.send(work);
        result
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

fn run(
    sockets: Vec<ListeningSocket>,
    ready: oneshot::Sender<io::Result<()>>,
    started: oneshot::Receiver<Work>,
) {
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let listeners = match Listeners::new(sockets) {
            Ok(listeners) => listeners,
            Err(error) => return drop(ready.send(Err(error))),
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        if let Ok(work) = started.await {
            work(listeners).await;
        }
    });
}
