//! Echoes, as fast as they come.

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
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[command(flatten)]
    shape: Shape,
}

pub fn run(target: &Target, args: &Args) -> Value {
    let mut clients = Clients::open(target, args.connections, args.shape.compressed);
    let mut talk = Talk::new(target, &args.shape, args.connections);
    talk.begin(&mut clients);
    talk.carry(&mut clients, Duration::from_secs_f64(target.warm_up), target.server);
    let mut result =
        talk.carry(&mut clients, Duration::from_secs_f64(target.seconds), target.server);
    result["connections"] = args.connections.into();
    result
}

/// Bursts on all connections, and what they have to answer.
pub struct Talk {
    bursts: Vec<Burst>,
    states: Vec<State>,
    echoed: u64,
}

struct Burst {
    wire: Rc<[u8]>,
    count: u64,
    messages: Vec<Vec<u8>>,
}

/// Where a connection stands.
struct State {
    round: usize,
    answers: Answers,
    /// Bytes that came, of a server that knows no messages.
    came: usize,
}

impl Talk {
    pub fn new(target: &Target, shape: &Shape, connections: usize) -> Self {
        let bursts = frames::bursts(shape).into_iter().map(|burst| Burst {
            wire: burst.wire.into(),
            count: burst.messages.len() as u64,
            // Of a server that knows no WebSocket the wire itself has to come back.
            messages: if target.raw { Vec::new() } else { burst.messages },
        });
        let answers = if shape.compressed { Answers::compressed } else { Answers::default };
        let state = || State { round: 0, answers: answers(), came: 0 };
        let states = std::iter::repeat_with(state).take(connections).collect();
        Self { bursts: bursts.collect(), states, echoed: 0 }
    }

    /// The first burst of each connection.
    pub fn begin(&mut self, clients: &mut Clients) {
        for client in &mut clients.all {
            client.say(Rc::clone(&self.bursts[0].wire));
        }
    }

    /// Goes on for so long, and says what it cost.
    pub fn carry(&mut self, clients: &mut Clients, time: Duration, server: i32) -> Value {
        let (meter, before) = (Meter::start(server), self.echoed);
        let mut silent = std::time::Instant::now();
        let mut heard = self.echoed;
        loop {
            clients.turn(Duration::from_millis(100), |number, bytes| self.answer(number, bytes));
            // A message may take longer than we wanted to look: none is no result.
            if meter.elapsed() >= time && self.echoed > before {
                break;
            }
            if self.echoed > heard {
                (heard, silent) = (self.echoed, std::time::Instant::now());
            }
            assert!(silent.elapsed().as_secs() < 20, "the server fell silent");
        }
        let mut result = meter.result();
        result["messages"] = (self.echoed - before).into();
        result
    }

    /// Each connection says its burst so often and is answered; then all are quiet.
    pub fn finish(&mut self, clients: &mut Clients, rounds: usize) {
        self.states.iter_mut().for_each(|state| state.round = 0);
        self.begin(clients);
        let mut talking = clients.all.len();
        while talking > 0 {
            clients.turn(Duration::from_secs(1), |number, bytes| {
                let next = self.answer(number, bytes)?;
                if self.states[number].round < rounds {
                    return Some(next);
                }
                talking -= 1;
                None
            });
        }
    }

    /// Compares what came; the next burst if this one is answered.
    fn answer(&mut self, number: usize, bytes: &[u8]) -> Option<Rc<[u8]>> {
        let Self { bursts, states, echoed } = self;
        let state = &mut states[number];
        let burst = &bursts[state.round % bursts.len()];
        let before = state.answers.came();
        if burst.messages.is_empty() {
            let expected = burst.wire.get(state.came..state.came + bytes.len());
            assert!(expected == Some(bytes), "an echo that is none");
            state.came += bytes.len();
            if state.came < burst.wire.len() {
                return None;
            }
            state.came = 0;
            *echoed += burst.count;
        } else {
            state.answers.take(bytes, &burst.messages);
            *echoed += (state.answers.came() - before) as u64;
            if state.answers.came() < burst.messages.len() {
                return None;
            }
            state.answers.again();
        }
        state.round += 1;
        Some(Rc::clone(&bursts[state.round % bursts.len()].wire))
    }
}
