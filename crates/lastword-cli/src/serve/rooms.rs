//! Everybody hears everybody: in one room, or in a room for each path.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lastword::{HandlerError, Topic, WebSocket};

/// Who hears whom.
pub(super) enum Rooms {
    /// All hear all.
    One(Topic),
    /// Those who came to the same path.
    Paths(Mutex<HashMap<String, Topic>>),
}

impl Rooms {
    pub(super) fn one_for_all() -> Self {
        Self::One(Topic::new())
    }

    pub(super) fn one_for_each_path() -> Self {
        Self::Paths(Mutex::default())
    }

    pub(super) async fn talk(&self, mut ws: WebSocket) -> Result<(), HandlerError> {
        let (topic, subscription, path) = match self {
            Self::One(topic) => (topic.clone(), topic.subscribe(&ws.sender()), None),
            Self::Paths(paths) => {
                let path = ws.opening().request().uri().path().to_owned();
                // Entered under the lock: a room that somebody enters is not taken for an empty one.
                let mut rooms = locked(paths);
                let topic = rooms.entry(path.clone()).or_default().clone();
                let subscription = topic.subscribe(&ws.sender());
                drop(rooms);
                (topic, subscription, Some((paths, path)))
            }
        };
        let told = async {
            while let Some(message) = ws.recv().await? {
                topic.publish(message).await;
            }
            Ok(())
        };
        let told = told.await;
        drop(subscription);
        // A room that nobody is in takes up no memory.
        if let Some((paths, path)) = path {
            let mut paths = locked(paths);
            if paths.get(&path).is_some_and(|topic| topic.receivers() == 0) {
                paths.remove(&path);
            }
        }
        told
    }
}

fn locked(paths: &Mutex<HashMap<String, Topic>>) -> MutexGuard<'_, HashMap<String, Topic>> {
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}
