//! A conversation that is recorded, wherever it is seen.

use std::time::{Duration, Instant};

use lastword::{Ending, Farewell, First, Message, Opening, Role};
use serde_json::json;

use super::stage::Stage;
use crate::print::Audience;
use crate::recording::line::{self, Opened};
use crate::recording::{Place, Recorder};
use crate::report;

/// Whether it is seen as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    All,
    Nothing,
}

/// Keeps all of a conversation.
pub(super) struct Recorded {
    recorder: Recorder,
    shown: Shown,
    stage: Option<Box<dyn Stage>>,
    connection: u64,
    began: Instant,
}

impl Recorded {
    pub(super) fn new(recorder: Recorder, shown: Shown) -> Self {
        Self { recorder, shown, stage: None, connection: 0, began: Instant::now() }
    }

    /// In front of this stage.
    pub(super) fn over(mut self, stage: Box<dyn Stage>) -> Self {
        self.stage = (self.shown == Shown::All).then_some(stage);
        self
    }

    fn place(&self, at: Duration) -> Place {
        Place { connection: self.connection, at }
    }

    fn now(&self) -> Place {
        self.place(self.began.elapsed())
    }
}

impl Stage for Recorded {
    fn opened(&mut self, opening: &Opening) {
        self.connection += 1;
        self.began = Instant::now();
        let (request, response) = (opening.request(), opening.response());
        let request = line::http(&format!("GET {} HTTP/1.1", request.uri()), request.headers());
        let response = line::http(&format!("HTTP/1.1 {}", response.status()), response.headers());
        self.recorder.write(&line::opening(self.now(), Opened::Yes, &request, &response));
        if let Some(stage) = &mut self.stage {
            stage.opened(opening);
        }
    }

    fn message(&mut self, message: &Message) -> Audience {
        let kept = self.recorder.write(&line::message(self.now(), Role::Server, message));
        let seen = match &mut self.stage {
            Some(stage) => stage.message(message),
            None => kept,
        };
        // It is all for the recording.
        if self.recorder.is_over() { Audience::Gone } else { seen }
    }

    fn sent(&mut self, message: &Message) {
        self.recorder.write(&line::message(self.now(), Role::Client, message));
        if let Some(stage) = &mut self.stage {
            stage.sent(message);
        }
    }

    fn note(&mut self, note: &str) {
        if let Some(stage) = &mut self.stage {
            stage.note(note);
        }
    }

    fn stopped(&mut self) {
        if let Some(stage) = &mut self.stage {
            stage.stopped();
        }
    }

    fn ended(&mut self, ending: &Ending) {
        let mut farewells = [(Role::Client, &ending.sent), (Role::Server, &ending.received)];
        if ending.first == Some(First::Peer) {
            farewells.reverse();
        }
        let began = self.place(ending.began_at.saturating_duration_since(ending.opened_at));
        for (from, farewell) in farewells {
            let (code, reason) = match farewell {
                Farewell::Silence => continue,
                Farewell::Empty => (None, ""),
                Farewell::Said(frame) => (Some(frame.code().get()), frame.reason()),
            };
            self.recorder.write(&line::close(began, from, code, reason));
        }
        self.recorder
            .write(&line::end(self.now(), json!({ "ending": report::ended(None, ending) })));
        if let Some(stage) = &mut self.stage {
            stage.ended(ending);
        }
    }
}
