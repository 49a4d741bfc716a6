//! `lastword ping`: whether a server answers, and how long that takes.
//!
//! Pings go out at their times, whether or not answers came to those before. Messages that the server
//! sends meanwhile are received, and thrown away.

mod stage;
mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lastword::{CloseCode, ControlRefused, Ending, First, PingError, Sender};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use self::stage::Stage;
use self::tally::Tally;
use crate::args::{PingArgs, Talk, Target};
use crate::exit::Outcome;
use crate::stop::Stop;
use crate::{refused, report, runtime};

pub(crate) fn run(args: &PingArgs, talk: Talk) -> Outcome {
    let target = match args.target.target() {
        Ok(target) => target,
        Err(wrong) => return refused::misused(&wrong.to_string()),
    };
    let timeout = match args.timeout() {
        Ok(timeout) => timeout,
        Err(why) => return refused::misused(&why),
    };
    runtime::on_one_thread(Outcome::NoConnection, ask(args, timeout, target, talk))
}

/// What became of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    After(Duration),
    /// None came in time.
    Late,
    /// It was not sent: as many as are kept wait to be written already.
    Unsent,
    /// The connection ended before.
    Gone,
    /// It was not sent, since the connection is closing.
    Closing,
}

async fn ask(args: &PingArgs, timeout: Duration, target: Target, talk: Talk) -> Outcome {
    let mut stop = Stop::listen();
    let connected = tokio::select! {
        connected = target.connect() => connected,
        () = stop.asked() => return refused::stopped(&args.target.url),
    };
    let ws = match connected {
        Ok(ws) => ws,
        Err(error) => {
            if args.json {
                report::event(&report::no_connection(&error));
            }
            refused::tell(&args.target.url, &error);
            return Outcome::NoConnection;
        }
    };
    let stage = Stage::new(args, timeout, talk);
    stage.opened(ws.opening());
    let (sender, receiver) = ws.split();
    drop(receiver);

    let mut tally = Tally::default();
    let mut answers = JoinSet::new();
    let mut due = tokio::time::interval(args.interval);
    // After a machine slept, one ping says as much as all that were missed.
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = sender.ended();
    tokio::pin!(ended);
    loop {
        let asked_enough = args.count.is_some_and(|count| tally.sent() >= count.get());
        if asked_enough && answers.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = stop.asked() => break,
            Some(Ok((number, answer))) = answers.join_next() => {
                tally.count(answer);
                if answer == Answer::Closing {
                    break;
                }
                stage.answer(number, answer);
            }
            _ = &mut ended => break,
            _ = due.tick(), if !asked_enough => {
                let number = tally.next();
                let data = args.payload(number);
                answers.spawn(ping(sender.clone(), number, data, timeout));
            }
        }
    }
    // Who waits when the connection is over hears so at once; what waits when we are stopped is not lost.
    answers.abort_all();
    stage.summary(&tally);
    let ending = leave(&sender, timeout, stop).await;
    stage.ended(&ending);
    outcome(args, &tally, &ending)
}

async fn ping(sender: Sender, number: u64, data: String, limit: Duration) -> (u64, Answer) {
    let asked = Instant::now();
    let answer = match tokio::time::timeout(limit, sender.ping_with(data)).await {
        // Counted here, and not from when the ping was written: by then the answer may have come. An
        // answer to a later ping, which answers this one, too, is of another round trip as well.
        Ok(Ok(_)) => Answer::After(asked.elapsed()),
        Ok(Err(PingError::Ended(_))) => Answer::Gone,
        Ok(Err(PingError::Refused(ControlRefused::Closing))) => Answer::Closing,
        Ok(Err(_)) => Answer::Unsent,
        Err(_) => Answer::Late,
    };
    (number, answer)
}

/// Closes, unless it is over. The peer may take as long as for a ping; who asks again to stop does not wait for
/// it.
async fn leave(sender: &Sender, limit: Duration, stop: Stop) -> Arc<Ending> {
    sender.close(CloseCode::NORMAL, "");
    tokio::select! {
        ending = sender.ended() => ending,
        () = stop.once() => sender.abort(),
        () = tokio::time::sleep(limit.max(SHORTEST)) => sender.abort(),
    }
}

/// How long a close may take at least.
const SHORTEST: Duration = Duration::from_secs(1);

fn outcome(args: &PingArgs, tally: &Tally, ending: &Ending) -> Outcome {
    let unanswered = tally.lost() > 0;
    // A peer that answers no pings does not answer a close either; the pings came first.
    if unanswered && ending.first == Some(First::Us) {
        return Outcome::TimedOut;
    }
    match Outcome::from(ending) {
        Outcome::Closed => {
            let cut_short = ending.first != Some(First::Us)
                && args.count.is_some_and(|count| tally.answered() < count.get());
            if unanswered || cut_short { Outcome::TimedOut } else { Outcome::Closed }
        }
        other => other,
    }
}
