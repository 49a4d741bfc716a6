//! Clients that go where the environment sends them: in a process of their own, since the environment of
//! this one belongs to all of its tests.

mod support;

use std::process::Stdio;

use lastword::{Client, CloseCode};
use support::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

/// A name that nobody but a proxy knows.
const NOWHERE: &str = "ws://server.invalid:7/";

/// What runs in the other process: a conversation with the server that `LASTWORD_URL` names.
#[tokio::test]
#[ignore = "the other tests start it"]
async fn a_client_with_default_settings() {
    let url = std::env::var("LASTWORD_URL").unwrap();
    match Client::new(url).connect().await {
        Ok(mut ws) => {
            ws.send("hello").await.unwrap();
            println!("received {:?}", ws.recv().await.unwrap());
            ws.close(CloseCode::NORMAL, "").await;
        }
        Err(error) => {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            println!("{error}: {}; transient: {}", why.unwrap_or_default(), error.is_transient());
        }
    }
}

/// What it says with these variables and no others.
async fn said(url: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_client_with_default_settings", "--ignored", "--nocapture"]);
    for name in ["ws_proxy", "wss_proxy", "http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("LASTWORD_URL", url).envs(variables.iter().copied()).stderr(Stdio::null());
    let output = command.output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A proxy that leads everybody to one server.
async fn proxy(server: &Running) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let far = server.address;
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(near.read_u8().await.unwrap());
            }
            let knows_us = b"\r\nProxy-Authorization: Basic dTpw\r\n";
            if !head.windows(knows_us.len()).any(|some| some == knows_us) {
                near.write_all(b"HTTP/1.1 407 x\r\n\r\n").await.unwrap();
                continue;
            }
            near.write_all(b"HTTP/1.1 200 x\r\n\r\n").await.unwrap();
            let mut far = TcpStream::connect(far).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    address.to_string()
}

#[tokio::test]
async fn the_variables_send_a_client_through_a_proxy_with_their_credentials() {
    let server = Running::echo().await;
    let proxy = proxy(&server).await;
    for name in ["ws_proxy", "http_proxy", "all_proxy", "ALL_PROXY"] {
        let said = said(NOWHERE, &[(name, &format!("http://u:p@{proxy}"))]).await;
        assert!(said.contains(r#"received Some(text "hello""#), "{name}: {said}");
    }
    let said = said(NOWHERE, &[("http_proxy", &proxy)]).await;
    let refused = format!("no connection through the proxy http://{proxy}");
    assert!(said.contains(&refused) && said.contains("407"), "{said}");
    assert!(said.contains("transient: false"), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn no_proxy_and_this_machine_are_reached_directly() {
    let server = Running::echo().await;
    // Nobody listens there.
    let nobody = ("all_proxy", "http://127.0.0.1:1");
    for url in [server.url(), format!("ws://localhost:{}", server.address.port())] {
        let said = said(&url, &[nobody]).await;
        assert!(said.contains(r#"received Some(text "hello""#), "{url}: {said}");
    }
    let said_of = async |list| said(NOWHERE, &[nobody, ("no_proxy", list)]).await;
    for list in ["*", "server.invalid", ".invalid", "a.example, invalid:7"] {
        let said = said_of(list).await;
        assert!(said.contains(r#"cannot resolve "server.invalid""#), "{list}: {said}");
    }
    for list in ["", "invalid:8", "other.invalid"] {
        let said = said_of(list).await;
        assert!(said.contains("cannot connect to 127.0.0.1:1"), "{list}: {said}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_variable_that_names_no_proxy_is_told_by_whom_it_concerns() {
    let said = said(NOWHERE, &[("http_proxy", "ftp://127.0.0.1")]).await;
    assert!(said.contains("invalid proxy in the environment: expected http, https"), "{said}");
    assert!(said.contains("transient: false"), "{said}");
}
