//! What is said over each connection before it rests.

use std::time::Duration;

use lastword::proto::DeflateConfig;
use lastword::{Config, Message, WebSocket};

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) tls: bool,
    pub(crate) windows: Windows,
    pub(crate) head: Head,
    /// Milliseconds between two pings of the server, if not so many that it sends none meanwhile.
    pub(crate) pings: Option<u64>,
    /// The bytes of a message that is echoed; none, no message.
    size: Option<usize>,
    pub(crate) connections: usize,
}

/// permessage-deflate, with windows of so many bits both ways.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    None,
    Small,
    Default,
}

/// Which header fields the client sends beside those that it must.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    Short,
    Browser,
}

const IDLE: Workload = Workload {
    name: "ws, idle",
    tls: false,
    windows: Windows::None,
    head: Head::Short,
    pings: None,
    size: None,
    connections: 1000,
};

pub(crate) const WORKLOADS: [Workload; 13] = [
    IDLE,
    Workload { name: "ws, idle, opened by a browser", head: Head::Browser, ..IDLE },
    Workload { name: "ws, idle, pinged", pings: Some(500), ..IDLE },
    Workload { name: "ws, 128 B", size: Some(128), ..IDLE },
    Workload { name: "ws, 16 KiB", size: Some(16 << 10), ..IDLE },
    Workload { name: "ws, 16 MiB", size: Some(16 << 20), connections: 20, ..IDLE },
    Workload { name: "ws, windows of 4 KiB, idle", windows: Windows::Small, ..IDLE },
    Workload {
        name: "ws, windows of 4 KiB, 1 KiB",
        windows: Windows::Small,
        size: Some(1 << 10),
        ..IDLE
    },
    Workload {
        name: "ws, windows of 4 KiB, 16 KiB",
        windows: Windows::Small,
        size: Some(16 << 10),
        ..IDLE
    },
    Workload {
        name: "ws, windows by default, 1 KiB",
        windows: Windows::Default,
        size: Some(1 << 10),
        ..IDLE
    },
    Workload { name: "wss, idle", tls: true, ..IDLE },
    Workload { name: "wss, 128 B", tls: true, size: Some(128), ..IDLE },
    Workload { name: "wss, 16 MiB", tls: true, size: Some(16 << 20), connections: 20, ..IDLE },
];

impl Workload {
    /// Each connection in turn has its message echoed.
    pub(crate) async fn traffic(&self, connections: &mut [WebSocket]) {
        let Some(size) = self.size else { return };
        let text: String = (0..size).map(|at| char::from(b'a' + (at * at % 26) as u8)).collect();
        let message = Message::from(text);
        for ws in connections {
            ws.send(message.clone()).await.expect("a server that takes messages");
            let echo = ws.recv().await.expect("a server that answers");
            assert!(echo == Some(message.clone()), "an echo that is none");
        }
    }
}

impl Windows {
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "small" => Self::Small,
            "default" => Self::Default,
            _ => Self::None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Small => "small",
            Self::Default => "default",
        }
    }

    pub(crate) fn config(self) -> Config {
        let mut config = Config::default();
        let mut deflate = DeflateConfig::default();
        if self == Self::Small {
            (deflate.own_window_bits, deflate.peer_window_bits) = (12, 12);
        }
        config.deflate = (self != Self::None).then_some(deflate);
        config
    }
}

/// How many connections warm the server up.
pub(crate) const WARM_UP: usize = 8;

/// How long the server takes to be done with an opening, or with a close.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);

/// By then a quiet connection has given back what traffic had needed.
pub(crate) const REST: Duration = Duration::from_millis(3500);
