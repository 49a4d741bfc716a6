//! `lastword relay`: a tap between a client and a server.
//!
//! Bytes pass both ways as they are; beside them they are read, shown and recorded. What is asked to go
//! wrong goes wrong at an exact byte, frame, text or time.
//!
//! [`connection`] leads a client to the target; [`flow`] carries one direction through the [`tap`], which
//! reads its [`frames`] and tells the [`screen`], and through the [`injector`], which says what becomes of
//! the bytes.

mod connection;
mod flow;
mod frames;
mod inflate;
mod injector;
mod outlet;
mod screen;
mod tap;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use self::connection::{Host, House, attend};
use self::screen::{Heads, Screen, Shown};
use self::tap::{Common, Recording, Totals};
use self::wire::Way;
use crate::args::{RelayArgs, Talk};
use crate::exit::Outcome;
use crate::print;
use crate::recording::{Recorder, is_standard_output};
use crate::refused::{misused, not_listening};
use crate::runtime;
use crate::stop::Stop;

pub(crate) fn run(args: &RelayArgs, talk: Talk) -> Outcome {
    let house = match house(args, talk) {
        Ok(house) => house,
        Err(outcome) => return outcome,
    };
    let here = LocalSet::new();
    runtime::on_one_thread(Outcome::NoConnection, here.run_until(relay(args, house)))
}

fn house(args: &RelayArgs, talk: Talk) -> Result<House, Outcome> {
    let faults = args.faults().map_err(|wrong| misused(&wrong.to_string()))?;
    let wishes = args.wishes().map_err(|wrong| misused(&wrong.to_string()))?;
    let way = Way::new(&args.target, &wishes).map_err(|error| misused(&print::chain(&error)))?;
    let target = args.target.to_string();
    let recording = match &args.record {
        None => None,
        Some(path) => {
            let recorder = Recorder::create(path, "relay", &target).map_err(|error| {
                misused(&format!("cannot record to {}: {error}", path.display()))
            })?;
            let recorder = Rc::new(RefCell::new(recorder));
            Some(Recording { recorder, limit: args.record_limit })
        }
    };
    let to_stdout = args.record.as_deref().is_some_and(is_standard_output);
    let screen = Screen {
        shown: if talk == Talk::Quiet || to_stdout { Shown::Nothing } else { Shown::All },
        heads: if args.no_heads { Heads::FirstLine } else { Heads::Whole },
    };
    let common = Common { screen, recording, totals: Rc::default() };
    let host = if args.rewrite_host { Host::Rewritten } else { Host::Untouched };
    Ok(House { target: args.target.clone(), way, faults, host, common })
}

async fn relay(args: &RelayArgs, house: House) -> Outcome {
    let listener = match TcpListener::bind(&args.listen).await {
        Ok(listener) => listener,
        Err(error) => return not_listening(&args.listen, &error),
    };
    let address = match listener.local_addr() {
        Ok(address) => address.to_string(),
        Err(_) => args.listen.clone(),
    };
    let screen = house.common.screen;
    let mut stop = Stop::listen();
    screen.listening(&address, &args.target.to_string());
    let totals: Rc<RefCell<Totals>> = Rc::clone(&house.common.totals);
    tokio::select! {
        () = accept(listener, Rc::new(house)) => {}
        () = stop.asked() => {}
    }
    screen.summary(*totals.borrow());
    Outcome::Closed
}

async fn accept(listener: TcpListener, house: Rc<House>) {
    let mut number = 0;
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                number += 1;
                spawn_local(attend(number, client, Rc::clone(&house)));
            }
            Err(error) => {
                // Mostly there are too many open files, and soon fewer.
                crate::print::note!("cannot accept: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// How long nothing is accepted when that failed.
const PAUSE: Duration = Duration::from_millis(100);
