//! `lastword serve`: a server that says how each connection ended. What it does with messages is in
//! `echo`, `exec` and `rooms`; what it shows a browser in `pages`.

mod certificate;
mod echo;
mod environment;
mod exec;
mod guard;
mod pages;
mod process;
mod rooms;

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lastword::{Answer, Bound, HandlerError, Outcome as StreamOutcome, Server, WebSocket};
use serde_json::json;
use tokio::runtime::Builder;

use self::exec::Exec;
use self::pages::Pages;
use self::process::Script;
use self::rooms::Rooms;
use crate::args::{ServeArgs, Talk, Wrong};
use crate::exit::Outcome;
use crate::stop::Stop;
use crate::{print, refused, report, runtime};

pub(crate) fn run(args: &ServeArgs, talk: Talk) -> Outcome {
    let server = match server(args) {
        Ok(server) => server,
        Err(wrong) => return refused::misused(&wrong.to_string()),
    };
    // A thread that is asked for has a runtime and a listener of its own: this one only waits then,
    // or is the one. Otherwise the connections are shared by all cores.
    let threads = match args.threads {
        Some(_) => Builder::new_current_thread(),
        None => Builder::new_multi_thread(),
    };
    runtime::on(threads, Outcome::NoConnection, async {
        match serve(args, server, talk).await {
            Ok(()) => Outcome::Closed,
            Err(error) => refused::not_listening(&place(args), &error),
        }
    })
}

/// Where it is to listen, for people.
fn place(args: &ServeArgs) -> String {
    #[cfg(unix)]
    if let Some(path) = &args.unix {
        return path.display().to_string();
    }
    SocketAddr::new(args.host, args.port).to_string()
}

/// The server, but for where it listens.
fn server(args: &ServeArgs) -> Result<Server, Wrong> {
    let mut server = args.server(args.config())?;
    if args.tls {
        server = server.tls(certificate::made_here(args.host)?);
    }
    let credentials = args.credentials()?.map(Arc::new);
    if let Some(expected) = credentials.clone() {
        server = server.basic_auth("lastword", move |given| {
            let right = given.are(&expected.0, &expected.1);
            async move { right }
        });
    }
    let pages = Arc::new(Pages::new(args.dir.as_deref(), credentials)?);
    let guarded = args.is_guarded();
    if guarded {
        server = server
            .on_request(async |incoming| guard::refuses(&incoming).unwrap_or_else(Answer::accept));
    }
    Ok(server.on_http(move |incoming| {
        let pages = Arc::clone(&pages);
        async move {
            match guard::refuses(&incoming) {
                Some(refusal) if guarded => refusal,
                _ => pages.answer(incoming).await,
            }
        }
    }))
}

async fn serve(args: &ServeArgs, server: Server, talk: Talk) -> io::Result<()> {
    let show = match (args.report, talk) {
        (Some(_), _) => Show::Report,
        (None, Talk::Quiet) => Show::Nothing,
        (None, _) => Show::Lines,
    };
    let handler = Arc::new(Handler::of(args));
    let server = server.observe(move |outcome| tell(show, outcome));
    let bound = bind(args, server).await?;
    let stop = Stop::listen();
    announce(show, &handler, args, bound.local_addr().ok());
    let handler = move |ws: WebSocket| {
        let handler = Arc::clone(&handler);
        async move { handler.handle(ws, show).await }
    };
    let report = bound.serve_until(handler, stop.once()).await;
    if show == Show::Lines && report.stuck > 0 {
        crate::print::out!("{} connections did not end in time", report.stuck);
    }
    Ok(())
}

async fn bind(args: &ServeArgs, server: Server) -> io::Result<Bound> {
    #[cfg(unix)]
    if let Some(path) = &args.unix {
        return server.bind_unix(path).await;
    }
    server.bind((args.host, args.port)).await
}

/// What is printed of what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    Nothing,
    Lines,
    Report,
}

/// What is done with messages.
enum Handler {
    Echo,
    Exec(Exec),
    Rooms(Rooms),
}

impl Handler {
    fn of(args: &ServeArgs) -> Self {
        match &args.exec {
            Some(command) => {
                let max_line = args.config().max_message_size;
                let script = Script::new(command, args.content(), max_line);
                Self::Exec(Exec::new(script, args.user.clone()))
            }
            None if args.broadcast => Self::Rooms(Rooms::one_for_all()),
            None if args.topics => Self::Rooms(Rooms::one_for_each_path()),
            None => Self::Echo,
        }
    }

    /// What it does, for people.
    const fn verb(&self) -> &'static str {
        match self {
            Self::Echo => "Echoing",
            Self::Exec(_) => "Running a process for each connection",
            Self::Rooms(Rooms::One(_)) => "Telling everybody what anybody says",
            Self::Rooms(Rooms::Paths(_)) => "Telling everybody on a path what anybody says there",
        }
    }

    async fn handle(&self, ws: WebSocket, show: Show) -> Result<(), HandlerError> {
        if show == Show::Report {
            let opening = ws.opening();
            let peer = opening.peer_addr.map(|peer| peer.port());
            let compression = opening.deflate.is_some();
            report::event(&json!({ "ev": "open", "peer": peer, "compression": compression }));
        }
        match (self, show) {
            (Self::Echo, Show::Report) => echo::echo_and_tell(ws).await,
            (Self::Echo, _) => echo::echo(ws).await,
            (Self::Exec(exec), _) => exec.run(ws).await,
            (Self::Rooms(rooms), _) => rooms.talk(ws).await,
        }
    }
}

/// Tells where it listens; without an address, that is a path.
fn announce(show: Show, handler: &Handler, args: &ServeArgs, address: Option<SocketAddr>) {
    match show {
        Show::Nothing => return,
        Show::Report => {
            let port = address.map(|address| address.port());
            let place = address.map_or_else(|| place(args), |address| address.to_string());
            return report::event(&json!({ "ev": "listening", "addr": place, "port": port }));
        }
        Show::Lines => {}
    }
    let user = args.user.as_ref().map(|user| format!(" --user {}", print::escape(user)));
    let user = user.unwrap_or_default();
    let Some(address) = address else {
        let path = place(args);
        crate::print::out!("{} on {path} (Ctrl-C to stop)", handler.verb());
        crate::print::out!("Try: lastword connect ws://localhost --unix {path}{user}");
        return;
    };
    let (ws, http) = if args.speaks_tls() { ("wss", "https") } else { ("ws", "http") };
    crate::print::out!("{} on {ws}://{address} (Ctrl-C to stop)", handler.verb());
    let insecure = if args.tls { " --insecure" } else { "" };
    crate::print::out!("Try: lastword connect {ws}://{address}{insecure}{user}");
    crate::print::out!("or a browser: {http}://{address}/");
}

/// One line for each connection that ended; nothing for a health check that only knocked, and nothing
/// for a page that was looked at.
fn tell(show: Show, outcome: StreamOutcome) {
    let port = outcome.peer.map(|peer| peer.port());
    let name = Name(outcome.peer);
    match (show, outcome.result) {
        (Show::Nothing, _) => {}
        (Show::Report, Ok(ending)) => report::event(&report::ended(port, &ending)),
        (Show::Report, Err(error)) => {
            report::event(&report::not_opened(port, &print::chain(&error)));
        }
        (Show::Lines, Ok(ending)) => {
            // One piece of text: what is printed in pieces is looked through piece by piece.
            let mut line = String::with_capacity(USUAL_LINE);
            let _ = write!(line, "{name}  {ending}");
            crate::print::out!("{}", print::escape(&line));
        }
        (Show::Lines, Err(lastword::AcceptError::Eof { bytes: 0 })) => {}
        (Show::Lines, Err(lastword::AcceptError::Refused(refusal)))
            if refusal.status().is_success() => {}
        (Show::Lines, Err(error)) => {
            crate::print::out!("{name}  no connection: {}", print::chain(&error))
        }
    }
}

/// Who it was, for people: over a Unix socket nobody has an address.
struct Name(Option<SocketAddr>);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(peer) => write!(f, "{peer}"),
            None => f.write_str("unix"),
        }
    }
}

/// Room for what is printed of most connections.
const USUAL_LINE: usize = 128;
