//! TLS of a server that goes on for longer than its certificate.

mod support;

use lastword_blocking::{Client, ConnectError, Message, Server, ServerTls};
use support::{Running, certificates, echo};

#[test]
fn a_certificate_is_replaced_for_those_who_come_and_nobody_has_to_leave() {
    let (first, trusts_first) = certificates();
    let (renewed, trusts_renewed) = certificates();
    let tls = ServerTls::from(first);
    let server = Running::start(Server::new().tls(tls.clone()), echo);
    let url = format!("wss://localhost:{}", server.address.port());
    let mut before = Client::new(&url).tls(trusts_first.clone()).connect().unwrap();

    tls.replace(renewed);
    // Nothing trusts both, so that each answer tells which certificate was shown.
    let error = Client::new(&url).tls(trusts_first).connect().unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    let mut after = Client::new(&url).tls(trusts_renewed).connect().unwrap();
    for ws in [&mut before, &mut after] {
        ws.send("still here").unwrap();
        assert_eq!(ws.recv().unwrap(), Some(Message::text("still here")));
    }
}
