//! Server and client over a Unix socket: no port, and the rights of a directory say who may come:
//! `cargo run -p lastword --example unix_socket`.

#[cfg(unix)]
#[tokio::main]
async fn main() -> Result<(), lastword::HandlerError> {
    use std::fs::{Permissions, create_dir, remove_dir, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use lastword::{Client, CloseCode, Listen, Server};

    // Whoever may enter the directory, and write to the socket, may connect: this user's programs only.
    // The socket itself gets what the umask leaves, so that a proxy with a user of its own may need more.
    let folder = std::env::temp_dir().join(format!("lastword-{}", std::process::id()));
    create_dir(&folder)?;
    set_permissions(&folder, Permissions::from_mode(0o700))?;
    let path = folder.join("socket");

    // `Listen` takes more places, of TCP too, and serves at all of them alike.
    let bound = Server::new().listen(Listen::new().unix(&path)).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let serving =
        tokio::spawn(bound.serve_until(echo, async { stopped.await.unwrap_or_default() }));

    // The URL says nothing about the way: its host goes into the request, its path is asked for.
    let mut ws = Client::new("ws://localhost/feed").connect_unix(&path).await?;
    ws.send("hello over a file").await?;
    println!("client: received {:?}", ws.recv().await?);
    println!("client: {}", ws.close(CloseCode::NORMAL, "done").await);

    // The server takes its socket away when it stops; one of a server that died it would replace.
    drop(stop);
    let report = serving.await?;
    println!("server: {} connections were open at the end", report.endings.len());
    remove_dir(&folder)?;
    Ok(())
}

#[cfg(unix)]
async fn echo(mut ws: lastword::WebSocket) -> Result<(), lastword::HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    println!("server: {}", ws.ended().await);
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    eprintln!("there are no Unix sockets here");
}
