//! `lastword connect`: a conversation from a terminal, from a pipe, or for a test tool.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use lastword::proto::handshake::client;
use lastword::{Client, CloseCode, Config, ConnectError, Ending, First, Message, WebSocket};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

use crate::args::ConnectArgs;
use crate::exit::Outcome;
use crate::terminal::Terminal;
use crate::{print, report};

pub(crate) fn run(args: ConnectArgs) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(converse(args));
            // A thread may still wait for a line of input; nobody wants it any more.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => {
            eprintln!("cannot start: {error}");
            Outcome::NoConnection
        }
    }
}

async fn converse(args: ConnectArgs) -> Outcome {
    let json = args.report.is_some();
    let ws = match client(&args).connect().await {
        Ok(ws) => ws,
        Err(error) => {
            let why = print::chain(&error);
            if json {
                report::event(&report::not_opened(None, &why));
            }
            eprintln!("no connection to {}: {why}", print::escape(&args.url));
            print_refusal(&error);
            return Outcome::NoConnection;
        }
    };
    let peer = ws.opening().peer_addr.map(|peer| peer.port());
    let people = !json && io::stdin().is_terminal() && io::stdout().is_terminal();
    let ending = if people {
        in_terminal(ws, &args.url).await
    } else {
        if json {
            let compression = ws.opening().deflate.is_some();
            report::event(&json!({ "ev": "open", "peer": peer, "compression": compression }));
        }
        let show: Show = if json {
            Box::new(move |message| report::event(&report::message(peer, message)))
        } else {
            Box::new(show_in_pipe)
        };
        in_pipe(ws, args.wait, show).await
    };
    if json {
        report::event(&report::ended(peer, &ending));
    } else if people || !ending.is_clean() {
        if people && ending.first != Some(First::Us) {
            // The prompt, and perhaps half a line, still stand there.
            eprintln!();
        }
        eprintln!("{}", print::escape(&ending.to_string()));
    }
    Outcome::from(&*ending)
}

/// The start of what a server that refused had to say.
fn print_refusal(error: &ConnectError) {
    if let ConnectError::Handshake(client::Error::Refused(response)) = error {
        let body = String::from_utf8_lossy(response.body());
        for line in body.lines().take(10) {
            eprintln!("  {}", print::escape(line));
        }
    }
}

fn client(args: &ConnectArgs) -> Client {
    let mut config = Config::default();
    if args.no_compression {
        config.deflate = None;
    }
    let mut client = Client::new(&args.url).config(config);
    for (name, value) in &args.headers {
        client = client.header(name.clone(), value.clone());
    }
    for name in &args.subprotocols {
        client = client.subprotocol(name);
    }
    client
}

async fn in_terminal(mut ws: WebSocket, url: &str) -> Arc<Ending> {
    let mut terminal = match Terminal::open() {
        Ok(terminal) => terminal,
        Err(error) => {
            eprintln!("cannot use the terminal: {error}");
            return ws.close(CloseCode::GOING_AWAY, "").await;
        }
    };
    let url = print::escape(url);
    terminal.print(&format!("Connected to {url}. Each line is a message; Ctrl-D closes."));
    loop {
        tokio::select! {
            message = ws.recv() => match message {
                Ok(Some(message)) => terminal.print(&format!("< {}", print::line(&message))),
                Ok(None) | Err(_) => return ws.ended().await,
            },
            line = terminal.lines.recv() => match line {
                Some(line) => if ws.send(line).await.is_err() {
                    return ws.ended().await;
                },
                None => return ws.close(CloseCode::NORMAL, "").await,
            },
        }
    }
}

type Show = Box<dyn Fn(&Message)>;

/// Sends each line of standard input; at its end waits until the peer has read all and is quiet.
async fn in_pipe(mut ws: WebSocket, quiet: Duration, show: Show) -> Arc<Ending> {
    let mut lines = read_lines();
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            message = ws.recv() => match message {
                Ok(Some(message)) => show(&message),
                Ok(None) | Err(_) => return ws.ended().await,
            },
            line = lines.recv() => match line {
                Some(line) => if ws.send(line).await.is_err() {
                    return ws.ended().await;
                },
                None => break,
            },
            _ = &mut interrupted => return ws.close(CloseCode::GOING_AWAY, "").await,
        }
    }
    // The answer to a ping shows that the peer has read all that was sent; its own answers to it
    // may take a little longer.
    let sender = ws.sender();
    let read_by_peer = sender.ping();
    tokio::pin!(read_by_peer);
    let mut read = false;
    loop {
        tokio::select! {
            message = ws.recv() => match message {
                Ok(Some(message)) => show(&message),
                Ok(None) | Err(_) => return ws.ended().await,
            },
            _ = &mut read_by_peer, if !read => read = true,
            () = tokio::time::sleep(quiet), if read => {
                return ws.close(CloseCode::NORMAL, "").await;
            }
            _ = &mut interrupted => return ws.close(CloseCode::GOING_AWAY, "").await,
        }
    }
}

fn read_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut input = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = input.next_line().await {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    lines
}

/// In a pipe: text as it is, for the next program; binary as it is, too.
fn show_in_pipe(message: &Message) {
    let mut out = io::stdout().lock();
    let text = io::stdout().is_terminal();
    let result = match message {
        // Standard output may be a terminal all the same.
        message if text => writeln!(out, "{}", print::line(message)),
        Message::Text(text) => out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")),
        Message::Binary(bytes) => out.write_all(bytes),
    };
    // A closed pipe is no failure: whoever reads has read enough.
    if result.and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}
