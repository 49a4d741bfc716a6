//! Ours without async: a thread for each connection, and one more that keeps it alive.

use std::num::NonZeroUsize;

use lastword_blocking::{Config, Server};
use lastword_peers::LARGEST;

fn main() -> std::io::Result<()> {
    let (port, _) = lastword_peers::arguments();
    let mut config = Config::default();
    config.max_message_size = LARGEST;
    config.max_frame_size = LARGEST;
    config.deflate = None;
    let server = Server::new().config(config).max_connections(NonZeroUsize::MAX);
    let bound = server.bind(("127.0.0.1", port))?;
    bound.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            ws.send(message)?;
        }
        Ok(())
    })?;
    Ok(())
}
