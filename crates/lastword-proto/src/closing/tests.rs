//! The whole table, as text: whoever changes how a connection ends changes this, too.

use super::{State, Step};

const STATES: [State; 9] = [
    State::Open,
    State::Closing,
    State::CloseSent,
    State::Answering,
    State::Agreed,
    State::Failing,
    State::Failed,
    State::Draining,
    State::Over,
];

const STEPS: [Step; 9] = [
    Step::Close,
    Step::CloseWritten,
    Step::PeerClose,
    Step::Fail,
    Step::Eof,
    Step::Lost,
    Step::WriteLost,
    Step::Patience,
    Step::Abort,
];

fn table() -> String {
    let cell = |text: String| format!("{text:<13}");
    let mut lines = vec![cell(String::new())];
    for step in STEPS {
        lines[0] += &cell(format!("{step:?}"));
    }
    for state in STATES {
        let mut line = cell(format!("{state:?}"));
        for step in STEPS {
            line += &cell(state.after(step).map_or("-".to_owned(), |next| format!("{next:?}")));
        }
        lines.push(line);
    }
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn every_step_in_every_state_is_decided() {
    let table = table();
    println!("{table}");
    assert_eq!(table, include_str!("table.txt"));
}

#[test]
fn from_every_state_the_deadline_or_an_abort_ends_it() {
    for state in STATES {
        if state != State::Over {
            assert_eq!(state.after(Step::Abort), Some(State::Over));
        }
        // Before the closing there is no deadline of it; keepalive and write stall then fail it.
        if !matches!(state, State::Open | State::Over) {
            assert_eq!(state.after(Step::Patience), Some(State::Over));
        }
    }
}

#[test]
fn no_step_leads_back() {
    let rank = |state: State| match state {
        State::Open => 0,
        State::Closing => 1,
        State::CloseSent | State::Answering | State::Failing => 2,
        State::Agreed | State::Failed | State::Draining => 3,
        State::Over => 4,
    };
    for state in STATES {
        for step in STEPS {
            if let Some(next) = state.after(step) {
                assert!(rank(next) > rank(state), "{state:?} {step:?} {next:?}");
            }
        }
    }
}
