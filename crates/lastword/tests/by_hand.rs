//! A client that goes to a server and leaves it to its caller what is said there.

use lastword::proto::handshake::client::Opening;
use lastword::{Client, Config, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_stream_that_was_dialled_is_silent_until_its_caller_speaks() {
    let bound = Server::new().bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    let serving = tokio::spawn(bound.serve(async |mut ws| {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    }));
    let client = Client::new(format!("ws://user:secret@{address}/path?query"))
        .subprotocol("v1")
        .header("x-key".parse().unwrap(), "1".parse().unwrap());
    let options = client.options().unwrap();
    assert_eq!(
        (options.target.as_str(), options.headers["x-key"].to_str().unwrap()),
        ("/path?query", "1")
    );
    assert!(options.headers.contains_key("authorization"));
    let mut opening = Opening::new(options, &Config::default(), [7; 16]).unwrap();

    let mut stream = client.dial().await.unwrap();
    // Nothing was said in our name: the request that is written here is the first.
    stream.write_all(opening.request_bytes()).await.unwrap();
    let mut answer = [0; 4096];
    let agreement = loop {
        let count = stream.read(&mut answer).await.unwrap();
        if let Some(agreement) = opening.receive(&answer[..count]).unwrap() {
            break agreement;
        }
    };
    assert!(agreement.leftover.is_empty());
    serving.abort();
}

#[cfg(unix)]
#[tokio::test]
async fn the_same_over_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("lastword-by-hand-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let client = Client::new("ws://localhost/");
    let (dialled, accepted) = tokio::join!(client.dial_unix(&path), listener.accept());
    let (mut ours, (mut theirs, _)) = (dialled.unwrap(), accepted.unwrap());
    ours.write_all(b"hi").await.unwrap();
    let mut came = [0; 2];
    theirs.read_exact(&mut came).await.unwrap();
    assert_eq!(&came, b"hi");
    std::fs::remove_file(&path).unwrap();
}
