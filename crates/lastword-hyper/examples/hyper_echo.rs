//! An echo beside an ordinary page, in hyper and tower: `cargo run -p lastword-hyper --example hyper_echo [ADDRESS]`,
//! then `lastword connect ws://127.0.0.1:8765`.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use lastword::{HandlerError, Server, WebSocket};
use lastword_hyper::UpgradeLayer;
use tower::ServiceBuilder;

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("healthy\n")))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8765".to_owned());
    let upgrades = Server::new().upgrades();
    let layer = UpgradeLayer::new(&upgrades, echo);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{0} and ws://{0} (Ctrl-C to stop)", listener.local_addr()?);
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            let service = ServiceBuilder::new().layer(layer.clone()).service_fn(page);
            let service = TowerToHyperService::new(service);
            let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(http.with_upgrades());
        }
    };
    tokio::select! {
        stopped = accept => return stopped,
        _ = tokio::signal::ctrl_c() => {}
    }
    for ending in upgrades.shut_down().await.endings {
        println!("{ending}");
    }
    Ok(())
}
