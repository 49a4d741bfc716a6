//! What came of a load, as numbers: for people, for other programs, and for the exit code.

use std::time::Duration;

use lastword::Kind;
use serde_json::{Value, json};

use super::books::{Connections, Shard, Times, no_times};
use super::campaign::Because;
use super::machine::Worked;
use super::pacer::Paced;
use super::plan::{Plan, Until, Work};
use crate::exit::Outcome;

/// All of it.
#[derive(Debug)]
pub(super) struct LoadResult {
    pub(super) plan: Plan,
    pub(super) because: Because,
    /// Whether compression was agreed on.
    pub(super) compressed: bool,
    /// `None` if it was interrupted before the first message.
    pub(super) carried: Option<Carried>,
    pub(super) shard: Shard,
    pub(super) connections: Connections,
}

/// What it took to carry the messages.
#[derive(Debug)]
pub(super) struct Carried {
    /// How long was measured.
    pub(super) measured: Duration,
    pub(super) worked: Worked,
    pub(super) paced: Pacing,
}

/// What the threads of an open loop did.
#[derive(Debug)]
pub(super) struct Pacing {
    pub(super) sent: u64,
    pub(super) not_sent: u64,
    /// How late messages were handed over, for want of a thread of ours.
    pub(super) lateness: Times,
    /// The longest that one of them worked.
    pub(super) busy: Duration,
}

/// What a reader has to know to judge the numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Caveat {
    /// Our threads had no rest: this share of the time they had something to do.
    LoadBound { busy: f64 },
    /// Messages left late, for want of a thread of ours.
    LeftLate { p99: Duration },
    /// Fewer messages a second than were asked for.
    NotKeptUp { asked: f64, came: f64 },
}

/// From here on, more threads would have carried more.
const BUSY: f64 = 0.9;
/// Less is as good as none.
const LATE: Duration = Duration::from_millis(1);
/// What is rounding, and the ends of the time that was measured.
const NEARLY: f64 = 0.98;

/// Names and quantiles of what is shown of latencies, beside the least and the longest.
pub(super) const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

impl Carried {
    pub(super) fn new(measured: Duration, worked: Worked, paced: &[Paced]) -> Self {
        let mut lateness = no_times();
        for paced in paced {
            // All have the same bounds.
            let _ = lateness.add(&paced.lateness);
        }
        let paced = Pacing {
            sent: paced.iter().map(|paced| paced.sent).sum(),
            not_sent: paced.iter().map(|paced| paced.not_sent).sum(),
            lateness,
            busy: paced.iter().map(|paced| paced.busy).max().unwrap_or_default(),
        };
        Self { measured, worked, paced }
    }
}

impl LoadResult {
    /// How long was measured.
    pub(super) fn measured(&self) -> Duration {
        self.carried.as_ref().map_or(Duration::ZERO, |carried| carried.measured)
    }

    /// Messages that were sent, of those that count.
    pub(super) fn sent(&self) -> u64 {
        self.shard.counts.sent + self.carried.as_ref().map_or(0, |carried| carried.paced.sent)
    }

    /// Messages that were due, and not sent.
    pub(super) fn not_sent(&self) -> u64 {
        self.carried.as_ref().map_or(0, |carried| carried.paced.not_sent)
    }

    pub(super) fn unanswered(&self) -> u64 {
        if !self.plan.work.is_answered() {
            return 0;
        }
        self.sent().saturating_sub(self.shard.counts.answered)
    }

    /// What was carried in the time that was measured: messages, and their bytes.
    pub(super) fn messages(&self) -> (u64, u64) {
        match self.plan.work {
            Work::Send | Work::SendAt { .. } => {
                (self.sent(), self.sent().saturating_mul(self.plan.size as u64))
            }
            _ => (self.shard.counts.came, self.shard.counts.bytes),
        }
    }

    /// Of something that was counted in the time that was measured.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        let seconds = self.measured().as_secs_f64();
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }

    pub(super) fn caveats(&self) -> Vec<Caveat> {
        let Some(Carried { worked, paced, .. }) = &self.carried else { return Vec::new() };
        let mut caveats = Vec::new();
        let pacing = paced.busy.as_secs_f64() / worked.time.as_secs_f64().max(f64::MIN_POSITIVE);
        let busy = worked.busy.max(pacing.min(1.0));
        if busy >= BUSY {
            caveats.push(Caveat::LoadBound { busy });
        }
        let p99 = Duration::from_nanos(paced.lateness.value_at_quantile(0.99));
        if p99 >= LATE {
            caveats.push(Caveat::LeftLate { p99 });
        }
        if let (Some(asked), Until::Time(_)) = (self.plan.work.rate(), self.plan.until) {
            let came = self.per_second(self.messages().0);
            // Of few messages, one more or less is much.
            if came < asked * NEARLY
                && self.messages().0 + 1 < (asked * self.measured().as_secs_f64()) as u64
            {
                caveats.push(Caveat::NotKeptUp { asked, came });
            }
        }
        caveats
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.connections.failed > 0 {
            return Outcome::NoConnection;
        }
        match self.connections.worst {
            Outcome::Closed if self.shard.counts.differ > 0 => Outcome::Violation,
            Outcome::Closed if self.unanswered() + self.not_sent() > 0 => Outcome::TimedOut,
            worst => worst,
        }
    }

    /// As an object; times are in seconds.
    pub(super) fn json(&self, url: &str) -> Value {
        let counts = &self.shard.counts;
        let (messages, bytes) = self.messages();
        let endings: Vec<Value> = self
            .connections
            .endings
            .iter()
            .map(|((cause, code), endings)| {
                json!({
                    "cause": cause, "code": code, "count": endings.count,
                    "early": endings.early, "example": endings.example,
                })
            })
            .collect();
        let bound = self.caveats().iter().any(|caveat| matches!(caveat, Caveat::LoadBound { .. }));
        let load = self.carried.as_ref().map(|Carried { worked, paced, .. }| {
            json!({
                "processor_seconds": worked.processor.map(|time| time.as_secs_f64()),
                "elapsed_seconds": worked.time.as_secs_f64(),
                "busy": worked.busy,
                "was_the_limit": bound,
                "lateness": times(&paced.lateness),
            })
        });
        json!({
            "url": url,
            "plan": self.plan_json(),
            "because": match self.because {
                Because::Done => "done",
                Because::Interrupted => "interrupted",
                Because::Deserted => "no connection left",
            },
            "measured_seconds": self.measured().as_secs_f64(),
            "messages": messages,
            "messages_per_second": self.per_second(messages),
            "bytes": bytes,
            "bytes_per_second": self.per_second(bytes),
            "sent": self.sent(),
            "not_sent": self.not_sent(),
            "answered": counts.answered,
            "unanswered": self.unanswered(),
            "differ": counts.differ,
            "first_difference": self.shard.difference,
            "unasked": counts.unasked,
            "latency": times(&self.shard.latency),
            "connections": {
                "opened": self.connections.opened,
                "failed": self.connections.failed,
                "failures": self.connections.failures,
                "opening": times(&self.connections.opening),
            },
            "endings": endings,
            "load": load,
        })
    }

    fn plan_json(&self) -> Value {
        let plan = &self.plan;
        let (loop_, in_flight) = match plan.work {
            Work::Closed { in_flight, .. } => ("closed", Some(in_flight)),
            Work::Open { .. } => ("open", None),
            Work::Send | Work::SendAt { .. } => ("send", None),
            Work::Receive => ("receive", None),
        };
        json!({
            "loop": loop_,
            "connections": plan.connections,
            "in_flight": in_flight,
            "rate": plan.work.rate(),
            "size": plan.size,
            "kind": if plan.kind == Kind::Text { "text" } else { "binary" },
            "compressed": self.compressed,
            "warm_up_seconds": plan.warm_up.as_secs_f64(),
            "threads": plan.threads,
        })
    }
}

/// Min, percentiles and max in seconds; nothing of nothing.
fn times(times: &Times) -> Value {
    if times.is_empty() {
        return Value::Null;
    }
    let seconds = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64();
    let mut object = json!({
        "min": seconds(times.min()),
        "mean": times.mean() / 1e9,
        "max": seconds(times.max()),
    });
    for (name, quantile) in QUANTILES {
        object[name] = seconds(times.value_at_quantile(quantile)).into();
    }
    object
}
