//! The ceiling: bytes come and go back. No WebSocket.

use lastword_peers::epoll::{Answer, serve};

fn main() -> std::io::Result<()> {
    serve::<Bytes>(lastword_peers::arguments().0)
}

#[derive(Default)]
struct Bytes;

impl Answer for Bytes {
    fn answer<'a>(&mut self, came: &'a mut [u8], _: &'a mut Vec<u8>) -> &'a [u8] {
        came
    }
}
