//! What came of a load, for people.

use std::fmt::Write;
use std::time::Duration;

use lastword::Kind;

use super::campaign::Because;
use super::picture::{self, Ink};
use super::plan::{Check, Plan, Until, Work};
use super::result::{Carried, Caveat, LoadResult, QUANTILES};
use crate::figures::{Bytes, Count, Rate, Share, Time, many};
use crate::print::escape;
use crate::style::Style;

/// What was asked for, in a line.
pub(super) fn plan(plan: &Plan) -> String {
    let kind = if plan.kind == Kind::Text { "text" } else { "binary" };
    let message = format!("{} of {kind} each", many(plan.size as u64, "byte"));
    let what = match plan.work {
        Work::Closed { in_flight, .. } => format!("{in_flight} in flight on each, {message}"),
        Work::Open { rate, .. } => format!("{} messages/s in all, {message}", Rate(rate)),
        Work::Send => format!("as many messages as are taken, {message}, no answers"),
        Work::SendAt { rate } => format!("{} messages/s in all, {message}, no answers", Rate(rate)),
        Work::Receive => "receiving only".to_owned(),
    };
    let until = match plan.until {
        Until::Time(time) => format!("{time:?}"),
        Until::Messages(messages) => many(messages, "message"),
    };
    let warm_up = match plan.warm_up {
        Duration::ZERO => String::new(),
        time => format!(" after {time:?} of warm-up"),
    };
    format!("{}, {what}; {until}{warm_up}", many(plan.connections as u64, "connection"))
}

/// All of the result, line by line.
pub(super) fn render(result: &LoadResult, width: usize, ink: Ink) -> String {
    let mut text = String::new();
    match result.because {
        Because::Done => {}
        Because::Interrupted => {
            line(&mut text, "", Style::Bad.of("interrupted: this is the result so far"))
        }
        Because::Deserted => {
            line(&mut text, "", Style::Bad.of("no connection was left: this is the result so far"))
        }
    }
    if let Some(carried) = &result.carried {
        messages(&mut text, result);
        latencies(&mut text, result);
        load(&mut text, carried, &result.plan);
    }
    connections(&mut text, result);
    let picture = picture::lines(&result.shard.latency, width, ink);
    if !picture.is_empty() {
        text.push('\n');
        for line in picture {
            text += &line;
            text.push('\n');
        }
    }
    for caveat in result.caveats() {
        text.push('\n');
        text += &Style::Bad.of(self::caveat(caveat)).to_string();
        text.push('\n');
    }
    text
}

fn line(text: &mut String, name: &str, rest: impl std::fmt::Display) {
    // A `String` takes all that is written to it.
    let _ = if name.is_empty() {
        writeln!(text, "{rest}")
    } else {
        writeln!(text, "{} {rest}", Style::Name.of(format!("{name:<12}")))
    };
}

fn messages(text: &mut String, result: &LoadResult) {
    let (carried, bytes) = result.messages();
    let time = Time(result.measured());
    let rate = Rate(result.per_second(carried));
    line(
        text,
        "messages",
        format!("{} in {time}: {}", Count(carried), Style::Good.of(format!("{rate}/s"))),
    );
    let each_way = if result.plan.work.is_answered() { " each way" } else { "" };
    let compressed = if result.compressed { ", before compression" } else { "" };
    let bytes_rate = Bytes(result.per_second(bytes));
    line(text, "payload", format!("{}: {bytes_rate}/s{each_way}{compressed}", Bytes(bytes as f64)));
    let counts = &result.shard.counts;
    if result.plan.work.is_answered() {
        let wrong = match (result.plan.work.check(), counts.differ) {
            (Check::Count, _) => "not compared with what was sent".to_owned(),
            (Check::Echo, 0) => Style::Good.of("all as they were sent").to_string(),
            (Check::Echo, differ) => Style::Bad.of(format!("{} differ", Count(differ))).to_string(),
        };
        let missing = match result.unanswered() {
            0 => String::new(),
            missing => Style::Bad.of(format!(", {} did not come", Count(missing))).to_string(),
        };
        line(
            text,
            "answers",
            format!(
                "{} to {} sent, {wrong}{missing}",
                Count(counts.answered),
                Count(result.sent())
            ),
        );
    }
    if let Some(difference) = &result.shard.difference {
        line(text, "", format!("{:13}{}", "", Style::Bad.of(escape(difference))));
    }
    if result.not_sent() > 0 {
        let not_sent = format!("{} were due, and could not be sent", Count(result.not_sent()));
        line(text, "not sent", Style::Bad.of(not_sent));
    }
    if counts.unasked > 0 {
        line(text, "unasked", format!("{} came that were no answers", Count(counts.unasked)));
    }
}

/// A name above each time.
fn latencies(text: &mut String, result: &LoadResult) {
    let times = &result.shard.latency;
    if times.is_empty() {
        return;
    }
    let mut all = vec![("min", times.min())];
    all.extend(QUANTILES.map(|(name, quantile)| (name, times.value_at_quantile(quantile))));
    all.push(("max", times.max()));
    let (mut names, mut values) = (String::new(), String::new());
    for (name, nanos) in all {
        let _ = write!(names, "{name:>10}");
        let _ = write!(values, "{:>10}", Time(Duration::from_nanos(nanos)));
    }
    line(text, "latency", Style::Dim.of(names));
    line(text, " ", values);
}

fn load(text: &mut String, carried: &Carried, plan: &Plan) {
    let worked = &carried.worked;
    let threads = plan.threads;
    let busy = Share { of: (worked.busy * 1e3) as u64, all: 1000 };
    let processors = worked.processor.filter(|_| !worked.time.is_zero()).map(|time| {
        let cores = time.as_secs_f64() / worked.time.as_secs_f64();
        format!("{cores:.2} processors of ours, ")
    });
    let threads = match threads {
        1 => "its thread".to_owned(),
        threads => format!("its {threads} threads"),
    };
    line(
        text,
        "load",
        format!("{}{threads} busy {busy} of the time", processors.unwrap_or_default()),
    );
}

fn connections(text: &mut String, result: &LoadResult) {
    let connections = &result.connections;
    let failed = match connections.failed {
        0 => String::new(),
        failed => Style::Bad.of(format!(", {} failed", Count(failed))).to_string(),
    };
    let opening = match connections.opening.is_empty() {
        true => String::new(),
        false => {
            let at = |quantile| {
                Time(Duration::from_nanos(connections.opening.value_at_quantile(quantile)))
            };
            let longest = Time(Duration::from_nanos(connections.opening.max()));
            format!("; opening took {} (p50), {longest} (max)", at(0.5))
        }
    };
    line(text, "connections", format!("{} opened{failed}{opening}", Count(connections.opened)));
    for (why, count) in &connections.failures {
        line(text, " ", format!("{:>10}  {}", Count(*count).to_string(), Style::Bad.of(why)));
    }
    let mut name = "endings";
    for ((cause, code), endings) in &connections.endings {
        let early = match endings.early {
            0 => String::new(),
            early => format!(" ({} before we closed)", Count(early)),
        };
        let what = format!("{cause} {code}");
        let style = if *cause == "closed" && endings.early == 0 { Style::Good } else { Style::Bad };
        let count = Count(endings.count).to_string();
        line(text, name, format!("{count:>10}  {}{early}: {}", style.of(what), endings.example));
        name = " ";
    }
}

fn caveat(caveat: Caveat) -> String {
    match caveat {
        Caveat::LoadBound { busy } => {
            let busy = Share { of: (busy * 1e3) as u64, all: 1000 };
            format!(
                "The load itself was the limit: its threads were busy {busy} of the time. The server may do\n\
                 better than these numbers. Give it more processors (--threads), or another machine."
            )
        }
        Caveat::LeftLate { p99 } => format!(
            "Messages left late, for want of processors here: 1 in 100 by {} or more (latencies count\n\
             from when they were due). Try a lower --rate, or another machine.",
            Time(p99)
        ),
        Caveat::NotKeptUp { asked, came } => {
            format!("Not as many as were asked for: {}/s of {}/s.", Rate(came), Rate(asked))
        }
    }
}
