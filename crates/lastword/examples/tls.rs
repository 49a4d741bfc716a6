//! `wss://` both ways, with a certificate made on the spot: `cargo run -p lastword --example tls`.

use std::sync::Arc;

use lastword::rustls::crypto::aws_lc_rs::default_provider;
use lastword::rustls::pki_types::PrivatePkcs8KeyDer;
use lastword::rustls::{ClientConfig, RootCertStore, ServerConfig};
use lastword::{Client, CloseCode, HandlerError, Server};

#[tokio::main]
async fn main() -> Result<(), HandlerError> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let certificate = made.cert.der().clone();

    // The configuration is rustls's own: whatever rustls can do, a server and a client can.
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    let bound = Server::new().tls(Arc::new(server)).bind("127.0.0.1:0").await?;
    let url = format!("wss://localhost:{}", bound.local_addr()?.port());
    tokio::spawn(bound.serve(async |mut ws| {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    }));

    // Without this, the platform decides whom to trust.
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut ws = Client::new(url).tls(Arc::new(client)).connect().await?;
    ws.send("hello over TLS").await?;
    println!("received {:?}", ws.recv().await?);
    println!("{}", ws.close(CloseCode::NORMAL, "").await);
    Ok(())
}
