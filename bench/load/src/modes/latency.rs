//! Open loop: messages leave when they are due, whether or not answers came, and the time of each is
//! counted from when it was due, so that a server that stands still cannot hide it.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lastword_load::answers::Answers;
use lastword_load::frames::{self, Shape};
use serde_json::Value;

use crate::Target;
use crate::clients::Clients;
use crate::process::Meter;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 200)]
    connections: usize,
    /// Messages in a second, over all connections.
    #[arg(long)]
    rate: f64,
    #[arg(long, default_value_t = 128)]
    size: usize,
}

/// Messages that one connection may be behind before we say that the server does not keep up.
const PATIENCE: usize = 10_000;

pub fn run(target: &Target, args: &Args) -> Value {
    let shape = Shape {
        size: args.size,
        in_flight: 1,
        text: false,
        ascii: false,
        fragments: 1,
        compressed: false,
    };
    let burst = frames::bursts(&shape).remove(0);
    let wire: Rc<[u8]> = burst.wire.into();
    // A piece as long as a message may end one and begin the next.
    let messages = [burst.messages.clone(), burst.messages].concat();
    let mut clients = Clients::open(target, args.connections, false);
    let mut waiting: Vec<Waiting> = (0..args.connections).map(|_| Waiting::default()).collect();

    let (warm_up, seconds) =
        (Duration::from_secs_f64(target.warm_up), Duration::from_secs_f64(target.seconds));
    let began = Instant::now();
    let due_at = |number: u64| began + Duration::from_secs_f64(number as f64 / args.rate);
    let total = ((target.warm_up + target.seconds) * args.rate) as u64;
    let (mut said, mut late) = (0, Vec::with_capacity(total as usize));
    let mut meter = None;
    let mut answered = 0;
    while answered < total {
        let now = Instant::now();
        if meter.is_none() && now >= began + warm_up {
            meter = Some(Meter::start(target.server));
        }
        while said < total && due_at(said) <= now {
            let number = said as usize % args.connections;
            waiting[number].due.push_back(due_at(said));
            waiting[number].unsaid += 1;
            said += 1;
            if clients.all[number].is_quiet() {
                waiting[number].unsaid -= 1;
                clients.all[number].say(Rc::clone(&wire));
            }
        }
        clients.turn(Duration::ZERO, |number, bytes| {
            let waiting = &mut waiting[number];
            let now = Instant::now();
            for _ in 0..waiting.take(target, bytes, &wire, &messages) {
                let due = waiting.due.pop_front().expect("no more than was asked for");
                answered += 1;
                if due >= began + warm_up {
                    late.push((now - due).as_nanos() as u64);
                }
            }
            None
        });
        for (client, waiting) in clients.all.iter_mut().zip(&mut waiting) {
            if waiting.unsaid > 0 && client.is_quiet() {
                waiting.unsaid -= 1;
                client.say(Rc::clone(&wire));
            }
        }
        if now > began + warm_up + seconds * 2 || waiting[0].due.len() > PATIENCE {
            return serde_json::json!({ "kept_up": false, "rate": args.rate });
        }
    }
    late.sort_unstable();
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    let mut result = meter.expect("a time to measure").result();
    result["kept_up"] = true.into();
    result["rate"] = args.rate.into();
    result["messages"] = late.len().into();
    for (name, share) in PERCENTILES {
        result[name] = at(share).into();
    }
    result
}

/// In microseconds.
const PERCENTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999), ("max", 1.0)];

/// What one connection waits for.
#[derive(Default)]
struct Waiting {
    due: VecDeque<Instant>,
    /// How many of them could not be written yet.
    unsaid: usize,
    answers: Answers,
    came: usize,
}

impl Waiting {
    /// How many answers `bytes` completes.
    fn take(&mut self, target: &Target, bytes: &[u8], wire: &[u8], messages: &[Vec<u8>]) -> usize {
        if target.raw {
            self.came += bytes.len();
            let complete = self.came / wire.len();
            self.came %= wire.len();
            return complete;
        }
        // Each answer is like the first.
        let mut complete = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(messages[0].len().max(1)));
            self.answers.take(piece, messages);
            complete += self.answers.came();
            self.answers.again();
            rest = after;
        }
        complete
    }
}
