//! Connections opened with a browser's headers and closed with 1000, few at a time.

use std::io::{Read, Write};
use std::net::Shutdown;

use lastword_load::frames;
use serde_json::Value;

use crate::Target;
use crate::clients::{read_switching, stream_to};
use crate::process::Meter;

#[derive(clap::Args)]
pub struct Args {
    /// How many are open at once.
    #[arg(long, default_value_t = 32)]
    at_once: usize,
}

pub fn run(target: &Target, args: &Args) -> Value {
    let (request, closing) = (frames::opening_of_a_browser(), frames::closing());
    let mut opened = 0;
    let mut round = || {
        let mut streams: Vec<_> = (0..args.at_once)
            .map(|number| {
                let mut stream = stream_to(target.port, opened + number);
                stream.write_all(&request).expect("a server that listens");
                stream
            })
            .collect();
        for stream in &mut streams {
            read_switching(stream, false);
            stream.write_all(&closing).expect("a connection");
        }
        for stream in &mut streams {
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).expect("an answer to the close");
            assert_eq!(answer, frames::CLOSED, "1000, as it was sent");
        }
        for stream in &mut streams {
            // A server ends first; for one that waits for us, we say that we have nothing to add.
            let _ = stream.shutdown(Shutdown::Write);
            let rest = stream.read(&mut [0]).expect("the end of the stream");
            assert_eq!(rest, 0, "nothing after the close");
        }
        opened += args.at_once;
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
    result["messages"] = (rounds * args.at_once).into();
    result
}
