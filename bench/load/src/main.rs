//! The load on a server, from one thread that never sleeps while there is something to do. Checks each
//! byte that comes back, and prints one line of JSON: what was carried, in how much time, and what it
//! cost the server's process and this one.

mod clients;
mod modes;
mod process;

use clap::{Parser, Subcommand};
use modes::{broadcast, echo, handshakes, latency, memory};

/// A load whose every byte is known.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    mode: Mode,
}

/// Whom it asks.
#[derive(clap::Args, Clone)]
struct Target {
    /// Where the server listens on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// The server's process.
    #[arg(long)]
    server: i32,
    /// It echoes bytes and knows no WebSocket.
    #[arg(long)]
    raw: bool,
    /// What is carried before anything is measured, in seconds.
    #[arg(long, default_value_t = 0.3)]
    warm_up: f64,
    /// What is measured, in seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

#[derive(Subcommand)]
enum Mode {
    /// Bursts of messages on each connection; each burst waits for the answers to the one before.
    Echo(echo::Args),
    /// Messages at a given rate, whatever the answers do; how late each answer is.
    Latency(latency::Args),
    /// What connections hold: idle, and after traffic.
    Memory(memory::Args),
    /// Connections opened as a browser does, and closed.
    Handshakes(handshakes::Args),
    /// One connection speaks, all of them have to hear.
    Broadcast(broadcast::Args),
}

fn main() {
    let Args { target, mode } = Args::parse();
    process::raise_limit_of_descriptors();
    process::wait_until_listening(target.port);
    let result = match mode {
        Mode::Echo(args) => echo::run(&target, &args),
        Mode::Latency(args) => latency::run(&target, &args),
        Mode::Memory(args) => memory::run(&target, &args),
        Mode::Handshakes(args) => handshakes::run(&target, &args),
        Mode::Broadcast(args) => broadcast::run(&target, &args),
    };
    println!("{result}");
}
