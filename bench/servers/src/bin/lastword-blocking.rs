//! Ours without async: a thread for each connection, and one more that keeps it alive.

use lastword_blocking::{Config, Limits, Server};
use lastword_peers::LARGEST;

fn main() -> std::io::Result<()> {
    let (port, _) = lastword_peers::arguments();
    let mut config = Config::default();
    config.max_message_size = LARGEST;
    config.max_frame_size = LARGEST;
    config.deflate = None;
    let server = Server::new().config(config).limits(Limits::default());
    let bound = server.bind(("127.0.0.1", port))?;
    bound.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            ws.send(message)?;
        }
        Ok(())
    })?;
    Ok(())
}
