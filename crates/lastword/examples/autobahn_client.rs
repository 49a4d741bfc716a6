//! The client that Autobahn|Testsuite drives: asks how many cases there are, echoes through each of
//! them, and asks for the report. `conformance/autobahn/run client` starts both sides.

use lastword::{Client, Config, WebSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let server = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:9001".to_owned());
    let mut control = connect(&format!("{server}/getCaseCount")).await?;
    let count: usize = match control.recv().await? {
        Some(message) => message.as_text().unwrap_or_default().parse()?,
        None => return Err("the suite did not say how many cases there are".into()),
    };
    for case in 1..=count {
        let mut ws = connect(&format!("{server}/runCase?case={case}&agent=lastword")).await?;
        // Each case ends in its own way; the suite judges, not we.
        while let Ok(Some(message)) = ws.recv().await {
            if ws.send(message).await.is_err() {
                break;
            }
        }
        let ending = ws.ended().await;
        println!("{case}/{count}: {ending}");
    }
    connect(&format!("{server}/updateReports?agent=lastword")).await?.ended().await;
    Ok(())
}

async fn connect(url: &str) -> Result<WebSocket, lastword::ConnectError> {
    Client::new(url).config(Config::default()).connect().await
}
