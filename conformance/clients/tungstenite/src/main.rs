//! tokio-tungstenite as the other side: `peer serve` echoes one connection, `peer connect URL` talks
//! and closes. Prints what it saw.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("serve") => serve().await,
        _ => connect(&args.next().ok_or("peer serve, or peer connect URL")?).await,
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{{\"port\": {}}}", listener.local_addr()?.port());
    let (stream, _) = listener.accept().await?;
    let mut ws = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = ws.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => ws.send(message).await?,
            Message::Close(frame) => println!("{{\"close\": {:?}}}", describe(frame)),
            _ => {}
        }
    }
    Ok(())
}

async fn connect(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (mut ws, _) = tokio_tungstenite::connect_async(url).await?;
    let messages = [Message::text("grüezi"), Message::binary(vec![7; 1 << 20]), Message::text("")];
    for message in &messages {
        ws.send(message.clone()).await?;
    }
    let mut same = 0;
    let mut close = String::new();
    while let Some(message) = ws.next().await {
        match message? {
            Message::Close(frame) => close = describe(frame),
            message => {
                same += usize::from(message == messages[same]);
                if same == messages.len() {
                    ws.close(Some(CloseFrame { code: 4003.into(), reason: "rust".into() })).await?;
                }
            }
        }
    }
    println!("{{\"same\": {same}, \"close\": {close:?}}}");
    Ok(())
}

fn describe(frame: Option<CloseFrame>) -> String {
    frame.map_or("empty".to_owned(), |frame| format!("{} {}", u16::from(frame.code), frame.reason))
}
