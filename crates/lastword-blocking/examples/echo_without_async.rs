//! An echo server without `async`, with routes: `cargo run -p lastword-blocking --example echo_without_async`.
//! Try it with `cargo run -- connect ws://127.0.0.1:8765/echo`, or `/upper/Ada`, or a browser for
//! `http://127.0.0.1:8765/health`; Enter says goodbye to everybody.

use http::StatusCode;
use lastword_blocking::{Answer, HandlerError, Params, Routes, Server, WebSocket};

fn main() -> Result<(), HandlerError> {
    let routes = Routes::new()
        .route("/echo", |ws, _| echo(ws))?
        .route("/upper/{name}", upper)?
        .redirect("/", "/echo")?;
    let server = Server::new()
        .on_http(|incoming| match incoming.path() {
            "/health" => Answer::text(StatusCode::OK, "fine\n"),
            _ => Answer::text(StatusCode::NOT_FOUND, "there are WebSockets at /echo\n"),
        })
        .observe(|outcome| println!("{outcome}"));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8765".to_owned());
    let bound = server.bind(address)?;
    println!("echoing on ws://{}/echo; Enter stops", bound.local_addr()?);
    let stop = bound.stop_handle();
    std::thread::spawn(move || {
        // Where there is no input, it serves for ever.
        if std::io::stdin().read_line(&mut String::new()).is_ok_and(|count| count > 0) {
            stop.stop();
        }
    });
    let report = bound.serve_routes(routes)?;
    println!("{} connections were open at the end", report.endings.len());
    Ok(())
}

fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    // `None` is a clean end; anything else is an error that tells what happened.
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

fn upper(mut ws: WebSocket, params: Params) -> Result<(), HandlerError> {
    let name = params.get("name").unwrap_or("nobody");
    ws.send(format!("hello, {name}"))?;
    while let Some(message) = ws.recv()? {
        ws.send(message.as_text().unwrap_or("(binary)").to_uppercase())?;
    }
    Ok(())
}
