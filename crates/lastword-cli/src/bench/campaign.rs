//! A load from its first connection to its last: all are opened, all begin together, all are closed when
//! it is enough or a signal says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lastword::{CloseCode, ConnectError, WebSocket};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep_until;

use super::books::Books;
use super::line::{self, Go, Line, Shared};
use super::machine::{Effort, Worked};
use super::pacer::{self, Lines, Paced};
use super::payloads::Payloads;
use super::plan::{Plan, Until};
use super::progress::Progress;
use super::result::{Carried, LoadResult};
use super::schedule::Schedule;
use crate::args::Target;
use crate::stop::Stop;

/// How many connections are opened at the same time, so that a server's backlog has room for them.
const OPENING_AT_ONCE: usize = 128;

/// How often is looked whether it is enough, and progress shown.
const LOOK: Duration = Duration::from_millis(5);

/// Why it was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// It did what was asked for.
    Done,
    /// Ctrl-C, or another signal.
    Interrupted,
    /// No connection was left.
    Deserted,
}

/// Puts the load on the server.
///
/// # Errors
/// When not even the first connection could be opened.
pub(super) async fn run(
    plan: Plan,
    target: Target,
    progress: &Progress,
    stop: &mut Stop,
) -> Result<LoadResult, Box<ConnectError>> {
    let shared = Arc::new(Shared {
        payloads: Payloads::new(plan.kind, plan.size),
        books: Books::new(plan.threads.saturating_mul(SHARDS_PER_THREAD).min(MOST_SHARDS)),
        plan: plan.clone(),
        closing: AtomicBool::new(false),
    });
    let (go, went) = watch::channel(None);
    let mut campaign =
        Campaign { shared, lines: Vec::new(), talks: JoinSet::new(), compressed: false };
    let mut because = campaign.open(target, &went, progress, stop).await?;
    let mut carried = None;
    if because == Because::Done {
        let schedule = Arc::new(Schedule::new(&plan, campaign.lines.len()));
        let _ = go.send(Some(Arc::clone(&schedule)));
        let (why, worked, paced) = campaign.carry(&schedule, progress, stop).await;
        because = why;
        carried = Some((schedule, worked, paced));
    }
    progress.closing();
    // Whoever has not begun yet need not begin any more.
    drop(go);
    campaign.close(stop).await;
    let (shard, connections) = campaign.shared.books.close();
    let carried = carried.map(|(schedule, worked, paced)| {
        Carried::new(schedule.measured(plan.until), worked, &paced)
    });
    let compressed = campaign.compressed;
    Ok(LoadResult { plan, because, compressed, carried, shard, connections })
}

/// Connections that write at the same time should seldom meet.
const SHARDS_PER_THREAD: usize = 4;
/// Each takes up a quarter of a megabyte.
const MOST_SHARDS: usize = 64;

struct Campaign {
    shared: Arc<Shared>,
    lines: Vec<Arc<Line>>,
    talks: JoinSet<()>,
    /// Whether compression was agreed on.
    compressed: bool,
}

impl Campaign {
    /// Opens all connections: the first alone, to see whether there is a server.
    async fn open(
        &mut self,
        target: Target,
        went: &Go,
        progress: &Progress,
        stop: &mut Stop,
    ) -> Result<Because, Box<ConnectError>> {
        let count = self.shared.plan.connections;
        let began = Instant::now();
        progress.opening(0, count);
        let ws = tokio::select! {
            opened = target.clone().connect() => opened?,
            () = stop.asked() => return Ok(Because::Interrupted),
        };
        self.compressed = ws.opening().deflate.is_some();
        self.begin(ws, began.elapsed(), went);

        let (sender, mut opened) = mpsc::channel(OPENING_AT_ONCE);
        let opener = tokio::spawn(open_others(target, self.shared.plan.clone(), sender));
        let mut seen = 1;
        let because = loop {
            progress.opening(seen, count);
            tokio::select! {
                next = opened.recv() => match next {
                    Some(Ok((ws, took))) => self.begin(ws, took, went),
                    Some(Err(error)) => self.shared.books.failed(&error),
                    None => break Because::Done,
                },
                () = stop.asked() => break Because::Interrupted,
            }
            seen += 1;
        };
        opener.abort();
        Ok(because)
    }

    fn begin(&mut self, ws: WebSocket, took: Duration, went: &Go) {
        self.shared.books.opened(took);
        let number = self.lines.len();
        let (sender, receiver) = ws.split();
        let line = Arc::new(Line::new(sender));
        self.lines.push(Arc::clone(&line));
        let (shared, went) = (Arc::clone(&self.shared), went.clone());
        self.talks.spawn(async move { line::run(&shared, &line, number, receiver, went).await });
    }

    /// From the first message to the last answer.
    async fn carry(
        &self,
        schedule: &Arc<Schedule>,
        progress: &Progress,
        stop: &mut Stop,
    ) -> (Because, Worked, Vec<Paced>) {
        let runtime = Handle::current();
        let whole = matches!(self.shared.plan.until, Until::Messages(_));
        let pacers = self.pacers(schedule, &runtime);
        let mut before = Effort::so_far(&runtime);
        let mut warming = true;
        let because = loop {
            let now = Instant::now();
            if warming && now >= schedule.begin {
                warming = false;
                before = Effort::so_far(&runtime);
            }
            if schedule.is_over(now) || (whole && schedule.is_exhausted(now)) {
                break Because::Done;
            }
            if self.lines.iter().all(|line| line.over.load(Ordering::Relaxed)) {
                break Because::Deserted;
            }
            progress.carrying(schedule, &self.shared);
            let next = schedule.end().map_or(now + LOOK, |end| end.min(now + LOOK));
            tokio::select! {
                () = sleep_until(next.into()) => {}
                () = stop.asked() => break Because::Interrupted,
            }
        };
        // Of a number of messages, the last answers belong to what is measured.
        let whole = whole && because == Because::Done;
        if whole {
            self.wait_for_answers(&pacers, stop).await;
        }
        let after = Effort::so_far(&runtime);
        schedule.finish();
        let mut paced = Vec::new();
        for pacer in pacers {
            paced.extend(pacer.await);
        }
        if !whole {
            self.wait_for_answers(&[], stop).await;
        }
        (because, after.since(&before, self.shared.plan.threads), paced)
    }

    /// The threads of an open loop, each with some of the connections.
    fn pacers(&self, schedule: &Arc<Schedule>, runtime: &Handle) -> Vec<JoinHandle<Paced>> {
        if self.shared.plan.work.rate().is_none() {
            return Vec::new();
        }
        let threads = self.shared.plan.threads.min(self.lines.len());
        (0..threads)
            .map(|thread| {
                let lines = self.lines.iter().enumerate().skip(thread).step_by(threads);
                let lines: Lines = lines.map(|(number, line)| (number, Arc::clone(line))).collect();
                let (shared, schedule) = (Arc::clone(&self.shared), Arc::clone(schedule));
                let handle = runtime.clone();
                runtime.spawn_blocking(move || pacer::pace(&shared, &schedule, lines, &handle))
            })
            .collect()
    }

    /// Until nothing is missing, patience is over, or we are stopped.
    async fn wait_for_answers(&self, pacers: &[JoinHandle<Paced>], stop: &mut Stop) {
        let answered = self.shared.plan.work.is_answered();
        let all = async {
            loop {
                let sent = pacers.iter().all(JoinHandle::is_finished);
                let missing = answered && self.lines.iter().any(|line| line.outstanding() > 0);
                if sent && !missing {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(self.shared.plan.patience, all) => {}
            () = stop.asked() => {}
        }
    }

    /// Closes all connections; who asks again to stop does not wait for the server.
    async fn close(&mut self, stop: &mut Stop) {
        self.shared.closing.store(true, Ordering::Relaxed);
        for line in &self.lines {
            line.sender.close(CloseCode::NORMAL, "");
        }
        loop {
            tokio::select! {
                talk = self.talks.join_next() => if talk.is_none() { return },
                () = stop.asked() => {
                    for line in &self.lines {
                        line.sender.abort();
                    }
                }
            }
        }
    }
}

type Opened = Result<(WebSocket, Duration), Box<ConnectError>>;

/// Opens all connections but the first, at the rate that was asked for or as the server takes them.
async fn open_others(target: Target, plan: Plan, opened: mpsc::Sender<Opened>) {
    let began = Instant::now();
    let room = Arc::new(Semaphore::new(OPENING_AT_ONCE));
    let mut opening = JoinSet::new();
    for number in 1..plan.connections {
        if let Some(rate) = plan.connect_rate {
            let due = began + Duration::from_secs_f64(number as f64 / rate);
            sleep_until(due.into()).await;
        }
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let (target, opened) = (target.clone(), opened.clone());
        opening.spawn(async move {
            let began = Instant::now();
            let result = target.connect().await;
            drop(place);
            let _ = opened.send(result.map(|ws| (ws, began.elapsed())).map_err(Box::new)).await;
        });
        while opening.try_join_next().is_some() {}
    }
    while opening.join_next().await.is_some() {}
}
