//! Ours, as its first page shows it, with a limit that lets large messages pass.

use lastword::{Config, Server, Topic};
use lastword_peers::{LARGEST, Mode};

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
            let topic = Topic::new();
            bound
                .serve(move |mut ws| {
                    let topic = topic.clone();
                    async move {
                        let _subscription = topic.subscribe(&ws.sender());
                        while let Some(message) = ws.recv().await? {
                            topic.publish(message).await;
                        }
                        Ok(())
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
