//! Ours, as its first page shows it, with a limit that lets large messages pass.

use lastword::{Config, Server};
use lastword_peers::{LARGEST, Mode};
use tokio::sync::broadcast;

fn main() -> std::io::Result<()> {
    let (port, mode) = lastword_peers::arguments();
    let mut config = Config::default();
    config.max_message_size = LARGEST;
    config.max_frame_size = LARGEST;
    if mode != Mode::Deflate {
        config.deflate = None;
    }
    lastword_peers::run(async {
        let mut server = Server::new().config(config);
        if mode == Mode::Tls {
            server = server.tls(lastword_peers::tls());
        }
        let bound = server.bind(("127.0.0.1", port)).await?;
        if mode == Mode::Broadcast {
            let (everybody, _) = broadcast::channel(1024);
            bound
                .serve(move |mut ws| {
                    let (everybody, mut heard) = (everybody.clone(), everybody.subscribe());
                    async move {
                        loop {
                            tokio::select! {
                                said = ws.recv() => match said? {
                                    Some(message) => drop(everybody.send(message)),
                                    None => return Ok(()),
                                },
                                message = heard.recv() => ws.send(message?).await?,
                            }
                        }
                    }
                })
                .await;
        } else {
            bound
                .serve(async |mut ws| {
                    while let Some(message) = ws.recv().await? {
                        ws.send(message).await?;
                    }
                    Ok(())
                })
                .await;
        }
        Ok(())
    })
}
