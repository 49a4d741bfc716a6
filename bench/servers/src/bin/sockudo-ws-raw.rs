//! sockudo-ws without its streams: its codec over a socket, in the manner of its example
//! wtx_bench_echo, but with all answers to one read in one write. Not an API that one programs against
//! every day; here because it is the fastest thing that a Rust peer publishes.

use bytes::BytesMut;
use lastword_peers::LARGEST;
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::protocol::Protocol;
use sockudo_ws::{Error, Message, RECV_BUFFER_SIZE, Result, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn main() {
    let (port, _) = lastword_peers::arguments();
    lastword_peers::run(lastword_peers::serve(port, async |stream| {
        let _ = welcome(stream).await;
    }));
}

async fn welcome(mut stream: TcpStream) -> Result<()> {
    let mut came = BytesMut::with_capacity(RECV_BUFFER_SIZE);
    loop {
        if stream.read_buf(&mut came).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, consumed)) = parse_request(&came)? {
            let response = build_response(&generate_accept_key(request.key), None, None);
            stream.write_all(&response).await?;
            drop(came.split_to(consumed));
            break;
        }
    }
    let mut protocol = Protocol::new(Role::Server, LARGEST, LARGEST);
    let (mut messages, mut due) = (Vec::new(), BytesMut::new());
    loop {
        protocol.process_into(&mut came, &mut messages)?;
        for message in messages.drain(..) {
            match message {
                Message::Text(_) | Message::Binary(_) => {
                    protocol.encode_message(&message, &mut due)?
                }
                Message::Ping(body) => protocol.encode_pong(&body, &mut due),
                Message::Pong(_) => {}
                Message::Close(_) => {
                    protocol.encode_close_response(&mut due);
                    stream.write_all(&due).await?;
                    return Ok(());
                }
            }
        }
        stream.write_all(&due).await?;
        due.clear();
        came.reserve(RECV_BUFFER_SIZE);
        if stream.read_buf(&mut came).await? == 0 {
            return Ok(());
        }
    }
}
