//! Clients that go where the environment sends them: in a process of their own, since the environment of
//! this one belongs to all of its tests.

mod support;

use std::process::{Command, Stdio};

use lastword_blocking::{Client, CloseCode, Server};
use lastword_fakes::http_proxy;
use support::echo_server;

/// What runs in the other process: a conversation with the server that `LASTWORD_URL` names.
#[test]
#[ignore = "the other tests start it"]
fn a_client_with_default_settings() {
    match Client::new(std::env::var("LASTWORD_URL").unwrap()).connect() {
        Ok(mut ws) => {
            ws.send("hello").unwrap();
            println!("received {:?}", ws.recv().unwrap());
            ws.close(CloseCode::NORMAL, "");
        }
        Err(error) => println!("{error}"),
    }
}

/// What it says with these variables and no others.
fn said(url: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_client_with_default_settings", "--ignored", "--nocapture"]);
    for name in ["ws_proxy", "wss_proxy", "http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("LASTWORD_URL", url).envs(variables.iter().copied()).stderr(Stdio::null());
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn the_variables_send_a_client_through_a_proxy_and_no_proxy_past_it() {
    let server = echo_server(Server::new());
    let place = http_proxy(server);
    let proxy = format!("http://u:p@{}", place.address());
    let nowhere = "ws://server.invalid:7/";
    let talked = |said: &str| said.contains(r#"received Some(text "hello""#);
    let through = said(nowhere, &[("http_proxy", &proxy)]);
    assert!(talked(&through), "{through}");
    let asked = place.asked().concat();
    assert!(asked.contains("\r\nProxy-Authorization: Basic dTpw\r\n"), "{asked}");

    let past = said(nowhere, &[("http_proxy", &proxy), ("no_proxy", ".invalid")]);
    assert!(past.contains(r#"cannot resolve "server.invalid""#), "{past}");
    let here = said(&format!("ws://{server}"), &[("http_proxy", "http://127.0.0.1:1")]);
    assert!(talked(&here), "{here}");
    let none = said(nowhere, &[("http_proxy", "ftp://127.0.0.1")]);
    assert!(none.contains("invalid proxy in the environment"), "{none}");
}
