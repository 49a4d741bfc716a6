//! What an application has to say about requests, asked one after the other, in the thread of the
//! opening: who somebody is, whether he is welcome. What is made of it, [`Answer`] says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lastword_kit::{Answer, Credentials, Incoming, Wants, challenge, panicked};

use super::routes::Routes;

/// The questions of one server.
#[derive(Clone, Default)]
pub(super) struct Gate {
    pub(super) basic: Option<Basic>,
    pub(super) hook: Option<Hook>,
    /// Asked instead of `hook` about requests for something else than a WebSocket.
    pub(super) http: Option<Hook>,
    /// Asked last: who may not come in is not told what there is.
    pub(super) routes: Option<Arc<Routes>>,
}

/// Decides about a request.
pub(super) type Hook = Arc<dyn Fn(Incoming) -> Answer + Send + Sync>;

/// Basic authentication.
#[derive(Clone)]
pub(super) struct Basic {
    pub(super) realm: Arc<str>,
    pub(super) check: Arc<dyn Fn(Credentials) -> bool + Send + Sync>,
}

impl Gate {
    /// Whether there is anything to ask about such a request.
    pub(super) const fn asks(&self, wants: Wants) -> bool {
        let is_hooked = self.hook(wants).is_some();
        match wants {
            Wants::WebSocket => is_hooked || self.basic.is_some() || self.routes.is_some(),
            Wants::Http => is_hooked,
        }
    }

    /// Who is asked about such a request.
    const fn hook(&self, wants: Wants) -> Option<&Hook> {
        match (wants, &self.http) {
            (Wants::Http, Some(http)) => Some(http),
            _ => self.hook.as_ref(),
        }
    }

    /// What the application answers to this request. One that panics is answered for, with 500.
    pub(super) fn ask(&self, incoming: Incoming) -> Answer {
        let peer = incoming.peer_addr;
        catch_unwind(AssertUnwindSafe(|| self.ask_each(incoming))).unwrap_or_else(|_| {
            tracing::error!(?peer, "the application panicked over a request");
            panicked()
        })
    }

    fn ask_each(&self, incoming: Incoming) -> Answer {
        if let (Some(basic), Wants::WebSocket) = (&self.basic, incoming.wants) {
            let said = Credentials::from_headers(incoming.request.headers());
            if !said.is_some_and(|credentials| (basic.check)(credentials)) {
                return challenge(&basic.realm);
            }
        }
        let routes = self.routes.as_ref().filter(|_| incoming.wants == Wants::WebSocket);
        let turned_away = routes.and_then(|routes| routes.turn_away(incoming.path()));
        let answer = match self.hook(incoming.wants) {
            Some(hook) => hook(incoming),
            None => Answer::accept(),
        };
        turned_away.filter(|_| answer.accepts()).unwrap_or(answer)
    }
}
