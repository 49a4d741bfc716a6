//! Server and client over a Unix socket: no port, and the rights of a file say who may come:
//! `cargo run -p lastword --example unix_socket`.

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), lastword::HandlerError> {
    use std::fs::{Permissions, remove_file, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use lastword::{Client, CloseCode};

    let path = std::env::temp_dir().join(format!("lastword-{}.socket", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path)?;
    // Connecting takes the right to write: this user's programs only.
    set_permissions(&path, Permissions::from_mode(0o600))?;
    tokio::spawn(serve(listener));

    // The URL says nothing about the way: its host goes into the request, its path is asked for.
    let mut ws = Client::new("ws://localhost/feed").connect_unix(&path).await?;
    ws.send("hello over a file").await?;
    println!("client: received {:?}", ws.recv().await?);
    println!("client: {}", ws.close(CloseCode::NORMAL, "done").await);

    // The file stays when its listener goes, and keeps the next one from listening there.
    remove_file(&path)?;
    Ok(())
}

#[cfg(unix)]
async fn serve(listener: tokio::net::UnixListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // `accept` takes any stream, and has a deadline of its own.
            let mut ws = lastword::accept(stream).await?;
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
            }
            println!("server: {}", ws.ended().await);
            Ok::<_, lastword::HandlerError>(())
        });
    }
}

#[cfg(not(unix))]
fn main() {
    eprintln!("there are no Unix sockets here");
}
