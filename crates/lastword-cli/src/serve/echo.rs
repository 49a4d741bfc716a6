//! Sends back what comes.

use lastword::{HandlerError, WebSocket};

use crate::report;

pub(super) async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

pub(super) async fn echo_and_tell(mut ws: WebSocket) -> Result<(), HandlerError> {
    let peer = ws.opening().peer_addr.map(|peer| peer.port());
    while let Some(message) = ws.recv().await? {
        report::event(&report::message(peer, &message));
        ws.send(message).await?;
    }
    Ok(())
}
