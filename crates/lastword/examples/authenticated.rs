//! A chat server for those who have a password, from our own pages only, that says over HTTP how it
//! is: `cargo run -p lastword --example authenticated [ADDRESS]`, then
//! `curl -i http://127.0.0.1:8765/health`.

use std::io;

use http::StatusCode;
use lastword::{Answer, Credentials, HandlerError, Hosts, Incoming, Origins, Server, WebSocket};

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8765".to_owned());
    let server = Server::new()
        .origins(Origins::Only(vec!["https://chat.example.com".into()]))
        .hosts(Hosts::Only(vec!["chat.example.com".into(), "127.0.0.1".into()]))
        .basic_auth("chat", check)
        .on_request(decide);
    let bound = server.bind(address).await?;
    println!("listening on {}", bound.local_addr()?);
    bound.serve(greet).await;
    Ok(())
}

/// Whether somebody is who he claims to be. A real server would ask its database, and a function
/// made for hashed passwords.
async fn check(given: Credentials) -> bool {
    given.are("ada", "lovelace")
}

/// What is said to a request before there is a connection.
async fn decide(incoming: Incoming) -> Answer {
    match incoming.path() {
        "/health" => Answer::text(StatusCode::OK, "fine\n"),
        "/chat" => Answer::accept(),
        _ => Answer::text(StatusCode::NOT_FOUND, "there is only /chat\n"),
    }
}

async fn greet(mut ws: WebSocket) -> Result<(), HandlerError> {
    let who = Credentials::from_headers(ws.opening().request().headers());
    let name = who.as_ref().map_or("stranger", Credentials::username);
    ws.send(format!("hello, {name}")).await?;
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}
