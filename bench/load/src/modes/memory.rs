//! What a server's process holds for each connection: bytes of its own, less what it held before the
//! first one.

use std::thread::sleep;
use std::time::Duration;

use lastword_load::frames::Shape;
use serde_json::{Value, json};

use crate::Target;
use crate::clients::Clients;
use crate::modes::echo::Talk;
use crate::process::{most_connections, private_bytes};

#[derive(clap::Args)]
pub struct Args {
    /// How many connections, one step after the other; as many as there may be descriptors.
    #[arg(long, value_delimiter = ',', default_value = "1000")]
    connections: Vec<usize>,
    /// Then let each say its bursts so often, and look again.
    #[arg(long, default_value_t = 0)]
    rounds: usize,
    /// How long a server may take to give back what traffic needed, in seconds.
    #[arg(long, default_value_t = 2.5)]
    settle: f64,
    #[command(flatten)]
    shape: Shape,
}

/// How long a server may take to settle while nothing is said.
const SHORT: Duration = Duration::from_millis(500);

pub fn run(target: &Target, args: &Args) -> Value {
    // One that comes and goes, so that what a server sets up once does not count.
    let mut first = Clients::open(target, 1, args.shape.compressed);
    if args.rounds > 0 {
        Talk::new(target, &args.shape, 1).finish(&mut first, 1);
    }
    drop(first);
    sleep(SHORT);
    let before = private_bytes(target.server);
    let each = |count: usize, settle: Duration| {
        sleep(settle);
        private_bytes(target.server).saturating_sub(before) / count as u64
    };
    let mut clients = Clients::open(target, 0, args.shape.compressed);
    let mut idle = Vec::new();
    for &count in &args.connections {
        let count = count.min(most_connections());
        clients.grow(target, count, args.shape.compressed);
        idle.push(json!([count, each(count, SHORT)]));
    }
    let mut result = json!({ "process": before, "idle": idle });
    if args.rounds > 0 {
        let count = clients.all.len();
        Talk::new(target, &args.shape, count).finish(&mut clients, args.rounds);
        result["after"] = each(count, Duration::from_secs_f64(args.settle)).into();
    }
    result
}
