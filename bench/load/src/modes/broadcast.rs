//! The first connection speaks; each, the first too, has to hear it.

use std::rc::Rc;
use std::time::Duration;

use lastword_load::answers::Answers;
use lastword_load::frames::{self, Shape};
use serde_json::Value;

use crate::Target;
use crate::clients::Clients;
use crate::process::Meter;

#[derive(clap::Args)]
pub struct Args {
    /// How many have to hear it.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    #[command(flatten)]
    shape: Shape,
}

pub fn run(target: &Target, args: &Args) -> Value {
    let burst = frames::bursts(&args.shape).remove(0);
    let wire: Rc<[u8]> = burst.wire.into();
    let mut clients = Clients::open(target, args.connections, false);
    let mut answers: Vec<Answers> = (0..args.connections).map(|_| Answers::default()).collect();
    let mut round = || {
        clients.all[0].say(Rc::clone(&wire));
        let mut missing = args.connections;
        while missing > 0 {
            clients.turn(Duration::from_secs(10), |number, bytes| {
                answers[number].take(bytes, &burst.messages);
                if answers[number].came() == burst.messages.len() {
                    answers[number].again();
                    missing -= 1;
                }
                None
            });
        }
    };
    let warm = Meter::start(target.server);
    while warm.elapsed().as_secs_f64() < target.warm_up {
        round();
    }
    let meter = Meter::start(target.server);
    let mut rounds = 0;
    while meter.elapsed().as_secs_f64() < target.seconds {
        round();
        rounds += 1;
    }
    let mut result = meter.result();
    result["messages"] = (rounds * args.connections * args.shape.in_flight).into();
    result
}
