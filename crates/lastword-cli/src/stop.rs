//! Asked to stop, by a person or by whoever runs services.

/// Hears Ctrl-C, and where there are such signals SIGTERM and SIGHUP: from its making on, so that it has to be
/// made before anybody is told that we are here. Whoever makes one has to ask it wherever something is waited
/// for: until then nothing else hears of those signals.
#[derive(Debug)]
pub(crate) struct Stop {
    /// Those that cannot be heard do what they do to all programs.
    #[cfg(unix)]
    signals: Vec<tokio::signal::unix::Signal>,
}

impl Stop {
    /// Listens, from now on.
    pub(crate) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
            if hangup_is_meant() {
                kinds.push(SignalKind::hangup());
            }
            Self { signals: kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Ready when somebody asks, each time anew.
    ///
    /// # Cancel safety
    /// Nothing is lost: who asks meanwhile is heard the next time.
    #[cfg(unix)]
    pub(crate) async fn asked(&mut self) {
        std::future::poll_fn(|context| {
            use std::task::Poll;
            let mut signals = self.signals.iter_mut();
            match signals.any(|signal| signal.poll_recv(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Ready when somebody asks, each time anew.
    #[cfg(not(unix))]
    pub(crate) async fn asked(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }

    /// Ready when somebody has asked once.
    pub(crate) async fn once(mut self) {
        self.asked().await;
    }
}

/// Whether the end of the terminal is to end us: not under `nohup`, which lets it be ignored. Only Linux
/// tells; elsewhere the signal does what it does to all programs.
#[cfg(unix)]
fn hangup_is_meant() -> bool {
    /// The first of the mask's bits; SIGHUP is the first of the signals.
    const HANGUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|ignored| ignored & HANGUP == 0)
}
