//! Worlds by the hundred in every run of the tests; and an oracle that is awake: an ending with any
//! one fact made false is caught.

use std::sync::Arc;
use std::time::Duration;

use lastword_proto::{
    Cause, CloseCode, Ending, Farewell, First, Loss, OurSide, PeerSide, TimeOut, Violation,
};
use lastword_sim::explore::{Space, explore};
use lastword_sim::oracle;
use lastword_sim::play::Rest;
use lastword_sim::script::Script;
use lastword_sim::setup::Setup;
use lastword_sim::world::World;

#[test]
fn five_hundred_random_worlds_end_as_they_should() {
    for seed in 0..500 {
        if let Err(broken) = Script::of(seed).play() {
            panic!("seed {seed}: {broken}; lastword-sim replay {seed}");
        }
    }
}

#[test]
fn every_order_of_a_few_things_ends_as_it_should() {
    for space in Space::all() {
        let found = explore(&space, 4).unwrap_or_else(|failed| panic!("{}", failed.1));
        assert!(found.states > 500, "{}: {}", space.name, found.states);
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let endings = || {
        let world = Script::of(7).play().unwrap();
        let text = world.sides.iter().map(|side| format!("{:?}", side.connection.ending()));
        text.collect::<Vec<_>>()
    };
    assert_eq!(endings(), endings());
    assert_eq!(Script::of(7).to_string().parse(), Ok(Script::of(7)));
}

/// What is made false, and how.
type Lie<T> = (&'static str, fn(&mut T));

/// A conversation with messages both ways, one of them confirmed, that the client closes.
fn conversation() -> World {
    let script = "0 send 3\n0 confirm\n1 send 4\n0 turn\n1 turn\n0 turn\n1 fetch 255\n0 close 0";
    let script: Script = script.parse().unwrap();
    let mut world = World::new(Setup::of(0));
    for action in script.actions {
        world.apply(action).unwrap();
    }
    world.come_to_rest(Rest::Calm).unwrap();
    world
}

#[test]
fn every_false_fact_is_caught() {
    let lies: Vec<Lie<Ending>> = vec![
        ("sent", |e| e.sent = Farewell::Silence),
        ("sent", |e| e.sent = Farewell::Said(CloseCode::GOING_AWAY.into())),
        ("received", |e| e.received = Farewell::Silence),
        ("received", |e| e.received = Farewell::Empty),
        ("cause", |e| e.cause = Cause::Lost(Loss::Eof)),
        ("cause", |e| e.cause = Cause::Aborted),
        ("cause", |e| e.cause = Cause::Dropped),
        ("cause", |e| e.cause = Cause::Shutdown),
        ("cause", |e| e.cause = Cause::Violation(Violation::LoneContinuation)),
        ("cause", |e| {
            let limit = Duration::from_secs(10);
            e.cause = Cause::TimedOut(TimeOut::Closing { limit });
        }),
        ("first", |e| e.first = None),
        ("transport", |e| e.transport.peer = PeerSide::Open),
        ("transport", |e| e.transport.ours = OurSide::Finished),
        ("times", |e| e.began_at = e.ended_at + Duration::from_secs(1)),
        ("ledger", |e| e.ledger.delivered.messages = 0),
        ("ledger", |e| e.ledger.discarded.messages = 1),
    ];
    let world = conversation();
    let client = world.sides[0].connection.ending().unwrap();
    oracle::is_true(&world, 0, client).unwrap();
    for (number, (fact, lie)) in lies.into_iter().enumerate() {
        let mut ending = Ending::clone(client);
        lie(&mut ending);
        assert!(oracle::is_true(&world, 0, &ending).is_err(), "lie {number}, about {fact}");
    }
    // Who was first, where that was not the one who tells it.
    let mut ending = Ending::clone(world.sides[1].connection.ending().unwrap());
    ending.first = Some(First::Us);
    assert!(oracle::is_true(&world, 1, &ending).is_err());
}

#[test]
fn every_false_memory_is_caught() {
    let lies: Vec<Lie<World>> = vec![
        ("a message that was never sent", |w| w.sides[0].written.messages += 1),
        ("a message that never came", |w| w.sides[1].given.messages = 0),
        ("a message that was forgotten", |w| w.sides[0].accepted.clear()),
        ("a frame behind the close frame", |w| w.sides[0].written.see(&[0x82, 0x80, 0, 0, 0, 0])),
        ("more was fetched than came", |w| w.sides[1].fetched += 1),
    ];
    for (what, lie) in lies {
        let mut world = conversation();
        oracle::holds(&world, 0).and_then(|()| oracle::holds(&world, 1)).unwrap();
        lie(&mut world);
        let caught = oracle::holds(&world, 0).and_then(|()| oracle::holds(&world, 1));
        assert!(caught.is_err(), "{what}");
    }
}

#[test]
fn a_world_that_was_disturbed_is_told_from_one_that_was_not() {
    let world = conversation();
    let clean = world.sides.iter().all(|side| {
        side.fetched_ending.as_ref().is_some_and(|ending: &Arc<Ending>| ending.is_clean())
    });
    assert!(clean && world.faults == 0);
    let script: Script = "0 send 3\n0 turn\n0 cut 2\ncalm".parse().unwrap();
    let world = script.play().unwrap();
    let ending = world.sides[1].fetched_ending.as_ref().unwrap();
    assert!(!ending.is_clean(), "{ending}");
}
