//! Clients that show a certificate, and servers that ask for one.

mod support;

use std::sync::Arc;

use lastword::rustls::pki_types::CertificateDer;
use lastword::{Because, Client, CloseCode, ConnectError, Server, Verdict, WebSocket};
use lastword_fakes::Authority;
use support::{Running, echo};
use tokio::sync::mpsc;

/// A server that lets in whom this authority vouches for, and nobody else; and what they showed.
async fn guard(
    authority: &Authority,
) -> (Running, mpsc::UnboundedReceiver<Vec<CertificateDer<'static>>>) {
    let (showed, seen) = mpsc::unbounded_channel();
    let handler = move |ws: WebSocket| {
        showed.send(ws.tls().unwrap().peer_certificates.clone()).unwrap_or(());
        echo(ws)
    };
    (Running::start(Server::new().tls(authority.guard()), handler).await, seen)
}

fn client(server: &Running) -> Client {
    // Whom the client trusts is another question.
    let url = format!("wss://localhost:{}", server.address.port());
    Client::new(url).no_proxy().danger_accept_invalid_certs()
}

#[tokio::test]
async fn a_certificate_that_is_vouched_for_opens_and_the_server_sees_it() {
    let authority = Authority::new("ours");
    let (server, mut seen) = guard(&authority).await;
    let (chain, key) = authority.vouch_for("ada");
    let client = client(&server).tls_client_certificate(chain.clone(), key);
    let mut ws = client.connect().await.unwrap();
    assert_eq!(seen.recv().await.unwrap(), chain);
    ws.send("hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap(), "hello".into());
    assert!(ws.close(CloseCode::NORMAL, "").await.is_clean());
    server.stop().await;
}

#[tokio::test]
async fn no_certificate_and_one_of_somebody_else_are_refused_for_good() {
    let authority = Authority::new("ours");
    let (server, _) = guard(&authority).await;
    let (chain, key) = Authority::new("theirs").vouch_for("ada");
    let stranger = client(&server).tls_client_certificate(chain, key);
    for (who, client, why) in
        [("nobody", client(&server), "CertificateRequired"), ("a stranger", stranger, "UnknownCA")]
    {
        // In TLS 1.3 the server says so when our side of its handshake is over.
        let error = client.connect().await.unwrap_err();
        assert!(!error.is_transient(), "{who}: {error:?}");
        let (ConnectError::Tls { source, .. } | ConnectError::Lost(source)) = &error else {
            panic!("{who}: {error:?}")
        };
        assert!(source.to_string().contains(why), "{who}: {source}");
        assert_eq!(Because::Failed(Arc::new(error)).verdict(), Verdict::Fatal);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_told_before_anything_is_said() {
    let authority = Authority::new("ours");
    let (server, _) = guard(&authority).await;
    let ((chain, _), (_, key)) = (authority.vouch_for("ada"), authority.vouch_for("bob"));
    let error = client(&server).tls_client_certificate(chain, key).connect().await.unwrap_err();
    let ConnectError::Tls { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("keys may not be consistent"), "{source}");
    assert!(!error.is_transient());
    server.stop().await;
}
