//! The addresses of a name, by a deadline that the system's resolver does not know.
//!
//! `getaddrinfo` cannot be called off. So threads of their own call it; whoever asked waits for the answer
//! no longer than it wants to, and a thread that nobody waits for any more ends when the resolver lets go
//! of it. They are limited in number: while all of them hang, further names wait in line, each by its own
//! deadline.

use std::collections::VecDeque;
use std::io::{self, PipeWriter};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use crate::socket::Until;

/// The addresses of a name; `TimedOut` or `Interrupted` when the wait is over before.
pub(super) fn resolve(name: &str, port: u16, until: Until<'_>) -> io::Result<Vec<SocketAddr>> {
    RESOLVER.ask(name, port, until)
}

static RESOLVER: Resolver =
    Resolver::new(|name, port| Ok((name, port).to_socket_addrs()?.collect()));

/// How many threads of a process look names up at once.
const LOOK_UPS: usize = 64;

type Answer = io::Result<Vec<SocketAddr>>;

struct Resolver {
    look_up: fn(&str, u16) -> Answer,
    desk: Mutex<Desk>,
}

struct Desk {
    /// In line. Whoever gives up leaves the line, so that it is no longer than there are threads that wait.
    waiting: VecDeque<Arc<Question>>,
    threads: usize,
}

struct Question {
    name: String,
    port: u16,
    reply: Mutex<Reply>,
}

/// An answer, and the pipe that ends when it is there.
struct Reply {
    answer: Option<Answer>,
    pipe: Option<PipeWriter>,
}

impl Resolver {
    const fn new(look_up: fn(&str, u16) -> Answer) -> Self {
        Self { look_up, desk: Mutex::new(Desk { waiting: VecDeque::new(), threads: 0 }) }
    }

    fn ask(&'static self, name: &str, port: u16, until: Until<'_>) -> Answer {
        let (near, far) = io::pipe()?;
        let reply = Mutex::new(Reply { answer: None, pipe: Some(far) });
        let question = Arc::new(Question { name: name.to_owned(), port, reply });
        self.line_up(Arc::clone(&question))?;
        if let Err(over) = until.wait_for_pipe(&near) {
            self.leave(&question);
            return Err(over);
        }
        let answer = question.reply.lock().answer.take();
        answer.unwrap_or_else(|| Err(io::Error::other("the resolver did not answer")))
    }

    fn line_up(&'static self, question: Arc<Question>) -> io::Result<()> {
        let mut desk = self.desk.lock();
        if desk.threads < LOOK_UPS {
            let thread = thread::Builder::new().name("resolver".into());
            match thread.spawn(move || self.work()) {
                Ok(_) => desk.threads = desk.threads.saturating_add(1),
                // Those who are there take one after the other.
                Err(_) if desk.threads > 0 => {}
                Err(error) => return Err(error),
            }
        }
        desk.waiting.push_back(question);
        Ok(())
    }

    fn leave(&self, question: &Arc<Question>) {
        self.desk.lock().waiting.retain(|waiting| !Arc::ptr_eq(waiting, question));
    }

    /// Answers, until nobody waits in line.
    fn work(&self) {
        while let Some(question) = self.next() {
            let answer = (self.look_up)(&question.name, question.port);
            let mut reply = question.reply.lock();
            reply.answer = Some(answer);
            drop(reply.pipe.take());
        }
    }

    fn next(&self) -> Option<Arc<Question>> {
        let mut desk = self.desk.lock();
        let next = desk.waiting.pop_front();
        if next.is_none() {
            desk.threads = desk.threads.saturating_sub(1);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cancel::Cancel;

    /// More than any wait in here takes.
    const LONG: Duration = Duration::from_secs(20);

    fn soon(span: Duration) -> Until<'static> {
        Until::from(crate::socket::now() + span)
    }

    #[test]
    fn a_resolver_that_hangs_holds_up_nobody_beyond_the_deadline_and_has_so_many_threads() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static GATE: Mutex<()> = Mutex::new(());
        static HANGING: Resolver = Resolver::new(|_, port| {
            RUNNING.fetch_add(1, Ordering::SeqCst);
            drop(GATE.lock());
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        });
        let hold = GATE.lock();
        let begun = Instant::now();
        let short = Duration::from_millis(20);
        let ask = move || HANGING.ask("a", 1, soon(short)).unwrap_err().kind();
        while RUNNING.load(Ordering::SeqCst) < LOOK_UPS {
            assert_eq!(ask(), io::ErrorKind::TimedOut);
        }
        for asking in (0..20).map(|_| thread::spawn(ask)).collect::<Vec<_>>() {
            assert_eq!(asking.join().unwrap(), io::ErrorKind::TimedOut);
        }
        assert!(begun.elapsed() < LONG);
        assert_eq!(RUNNING.load(Ordering::SeqCst), LOOK_UPS);
        assert_eq!(HANGING.desk.lock().waiting.len(), 0, "whoever gives up leaves the line");

        // Whoever waits in line is answered when the resolver lets go.
        let waiting = thread::spawn(|| HANGING.ask("a", 7, soon(LONG)));
        while HANGING.desk.lock().waiting.is_empty() {
            thread::yield_now();
        }
        drop(hold);
        assert_eq!(waiting.join().unwrap().unwrap(), [SocketAddr::from(([127, 0, 0, 1], 7))]);
        while HANGING.desk.lock().threads > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_question_is_cancelled_at_once() {
        static GATE: Mutex<()> = Mutex::new(());
        static HANGING: Resolver = Resolver::new(|_, _| {
            drop(GATE.lock());
            Ok(Vec::new())
        });
        let _hold = GATE.lock();
        let cancel = Cancel::new();
        let asking = thread::spawn({
            let cancel = cancel.clone();
            move || {
                let deadline = crate::socket::now() + LONG;
                HANGING.ask("a", 1, Until { deadline, cancel: Some(&cancel) })
            }
        });
        while HANGING.desk.lock().threads == 0 {
            thread::yield_now();
        }
        cancel.cancel();
        assert_eq!(asking.join().unwrap().unwrap_err().kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn what_the_resolver_says_is_told() {
        static FAILING: Resolver =
            Resolver::new(|name, _| Err(io::Error::other(format!("no {name} here"))));
        let error = FAILING.ask("server", 1, soon(LONG)).unwrap_err();
        assert_eq!(error.to_string(), "no server here");
    }
}
