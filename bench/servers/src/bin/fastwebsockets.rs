//! fastwebsockets, as its examples echo_server and echo_server_split show it: hyper opens.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use lastword_peers::{LARGEST, Mode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;

fn main() {
    let (port, mode) = lastword_peers::arguments();
    let (everybody, _) = broadcast::channel(1024);
    match mode {
        Mode::Tls => lastword_peers::run(lastword_peers::serve_tls(port, async |stream| {
            let (nobody, _) = broadcast::channel(1);
            welcome(stream, Mode::Tls, nobody).await;
        })),
        _ => lastword_peers::run(lastword_peers::serve(port, |stream| {
            welcome(stream, mode, everybody.clone())
        })),
    }
}

async fn welcome<S>(stream: S, mode: Mode, everybody: broadcast::Sender<Bytes>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let opened = service_fn(move |request| open(request, mode, everybody.clone()));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), opened);
    let _ = connection.with_upgrades().await;
}

async fn open(
    mut request: Request<Incoming>,
    mode: Mode,
    everybody: broadcast::Sender<Bytes>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade(&mut request)?;
    tokio::spawn(async move {
        let _ = match mode {
            Mode::Broadcast => publish(upgraded, everybody).await,
            _ => tokio::task::unconstrained(echo(upgraded)).await,
        };
    });
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut ws = upgraded.await?;
    ws.set_max_message_size(LARGEST);
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn publish(
    upgraded: UpgradeFut,
    everybody: broadcast::Sender<Bytes>,
) -> Result<(), WebSocketError> {
    let (read, mut write) = upgraded.await?.split(tokio::io::split);
    let mut read = FragmentCollectorRead::new(read);
    let mut heard = everybody.subscribe();
    tokio::spawn(async move {
        while let Ok(message) = heard.recv().await {
            // A payload is `BytesMut` or borrowed: what is shared has to be borrowed.
            let frame = Frame::binary(Payload::Borrowed(&message));
            if write.write_frame(frame).await.is_err() {
                return;
            }
        }
    });
    loop {
        let no_answers = &mut |_| async { Ok::<_, Infallible>(()) };
        let frame = read.read_frame(no_answers).await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Binary => {
                let _ = everybody.send(BytesMut::from(&frame.payload[..]).freeze());
            }
            _ => {}
        }
    }
}
