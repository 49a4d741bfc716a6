//! yawc, as its documentation shows it: hyper opens. Text is validated, which has to be asked for.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use lastword_peers::{LARGEST, Mode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;
use yawc::{CompressionLevel, Frame, HttpWebSocket, OpCode, Options, WebSocket};

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

async fn welcome<S>(stream: S, mode: Mode, everybody: broadcast::Sender<Frame>)
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
    everybody: broadcast::Sender<Frame>,
) -> yawc::Result<Response<Empty<Bytes>>> {
    let options = Options::default().with_limits(LARGEST, 2 * LARGEST).with_utf8();
    let options = match mode {
        Mode::Deflate => options.with_compression_level(CompressionLevel::fast()),
        _ => options.without_compression(),
    };
    let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(async move {
        let Ok(ws) = upgraded.await else { return };
        match mode {
            Mode::Broadcast => publish(ws, everybody).await,
            _ => echo(ws).await,
        }
    });
    Ok(response)
}

async fn echo(mut ws: HttpWebSocket) {
    while let Some(frame) = ws.next().await {
        let is_data = matches!(frame.opcode(), OpCode::Text | OpCode::Binary);
        if is_data && ws.send(frame).await.is_err() {
            return;
        }
    }
}

async fn publish(mut ws: HttpWebSocket, everybody: broadcast::Sender<Frame>) {
    let mut heard = everybody.subscribe();
    loop {
        tokio::select! {
            said = ws.next() => match said {
                Some(frame) if frame.opcode() == OpCode::Binary => drop(everybody.send(frame)),
                Some(_) => {}
                None => return,
            },
            Ok(frame) = heard.recv() => if ws.send(frame).await.is_err() { return },
        }
    }
}
