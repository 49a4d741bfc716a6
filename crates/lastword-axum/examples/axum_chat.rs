//! A chat beside an ordinary page, in axum: `cargo run -p lastword-axum --example axum_chat [ADDRESS]`, then
//! `lastword connect ws://127.0.0.1:8765/chat`, several times.

use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router};
use lastword::{Server, Topic};
use lastword_axum::Upgrade;

async fn chat(upgrade: Upgrade, Extension(room): Extension<Topic>) -> Response {
    upgrade.serve(async move |mut ws| {
        let _subscribed = room.subscribe(&ws.sender());
        while let Some(message) = ws.recv().await? {
            room.publish(message).await;
        }
        Ok(())
    })
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8765".to_owned());
    let upgrades = Server::new().observe(|outcome| println!("{outcome}")).upgrades();
    let app = Router::new()
        .route("/health", get(async || "healthy\n"))
        .route("/chat", any(chat))
        .layer(Extension(Topic::new()))
        .layer(Extension(upgrades.clone()));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{0}/health and ws://{0}/chat (Ctrl-C to stop)", listener.local_addr()?);
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;

    // axum has let go of the connections; they are told to leave, and have time to say goodbye.
    let farewells = upgrades.shut_down().await;
    println!("{} connections closed, {} handlers stuck", farewells.endings.len(), farewells.stuck);
    Ok(())
}
