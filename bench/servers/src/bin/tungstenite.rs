//! tungstenite, as its example server shows it: a thread for each connection.

use std::net::{TcpListener, TcpStream};
use std::thread;

use lastword_peers::LARGEST;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Result, accept_with_config};

fn main() -> std::io::Result<()> {
    let (port, _) = lastword_peers::arguments();
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        thread::spawn(move || echo(stream));
    }
    Ok(())
}

fn echo(stream: TcpStream) -> Result<()> {
    let limits =
        WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let Ok(mut ws) = accept_with_config(stream, Some(limits)) else { return Ok(()) };
    loop {
        let message = ws.read()?;
        if message.is_text() || message.is_binary() {
            ws.send(message)?;
        }
    }
}
