//! `lastword serve`: a server that says how each connection ended. What it does with messages is in
//! `echo`, `exec`, `shared` and `rooms`; what it shows a browser in `pages` and `files`; what it tells of all that in `log`.

mod certificate;
mod echo;
mod environment;
mod exec;
mod files;
mod guard;
mod log;
mod pages;
mod process;
mod rooms;
mod shared;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;

use lastword::{Answer, Bound, HandlerError, Listen, Server, WebSocket};
use tokio::runtime::Builder;

use self::exec::Exec;
use self::log::{Listening, Show};
use self::pages::Pages;
use self::process::Script;
use self::rooms::Rooms;
use self::shared::Shared;
use crate::args::{ServeArgs, Talk, Wrong};
use crate::exit::Outcome;
use crate::figures::many;
use crate::stop::Stop;
use crate::{print, refused, runtime};

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
    args.address()
}

/// The server, but for where it listens.
fn server(args: &ServeArgs) -> Result<Server, Wrong> {
    let mut server = args.server(args.config())?;
    if args.tls {
        server = server.tls(certificate::made_here(&args.host, args.vouching()?)?);
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
    let server = server.observe(move |outcome| log::tell(show, &outcome));
    let bound = bind(args, server).await?;
    let stop = Stop::listen();
    let place = place(args);
    Listening {
        does: handler.verb(),
        addresses: bound.local_addrs(),
        path: &place,
        speaks_tls: args.speaks_tls(),
        options: options(args),
    }
    .tell(show);
    let handles = Arc::clone(&handler);
    let handle = move |ws: WebSocket| {
        let handler = Arc::clone(&handles);
        async move { handler.handle(ws, show).await }
    };
    let report = bound.serve_until(handle, stop.once()).await;
    handler.end().await;
    if show == Show::Lines && report.stuck > 0 {
        crate::print::out!("{} did not end in time", many(report.stuck as u64, "connection"));
    }
    Ok(())
}

async fn bind(args: &ServeArgs, server: Server) -> io::Result<Bound> {
    #[cfg(unix)]
    if let Some(path) = &args.unix {
        return server.bind_unix(path).await;
    }
    server.listen(listen(&args.address())).await
}

/// All addresses of a name; or, if this machine does not have all of them, the first that it has: many know
/// `localhost` as `::1`, too, and have no IPv6.
fn listen(address: &str) -> Listen {
    let addresses: Vec<SocketAddr> =
        address.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let is_ours = |address: &&SocketAddr| TcpListener::bind((address.ip(), 0)).is_ok();
    let ours: Vec<&SocketAddr> = addresses.iter().filter(is_ours).collect();
    match ours.first() {
        Some(first) if ours.len() < addresses.len() => Listen::new().tcp(first),
        _ => Listen::new().tcp(address),
    }
}

/// What a client has to add to get in.
fn options(args: &ServeArgs) -> String {
    let insecure = if args.tls { " --insecure" } else { "" };
    let certificate = if args.asks_for_certificates() { " --cert FILE --key FILE" } else { "" };
    let user = args.user.as_ref().map(|user| format!(" --user {}", print::escape(user)));
    [insecure, certificate, &user.unwrap_or_default()].concat()
}

/// What is done with messages.
enum Handler {
    Echo,
    Exec(Exec),
    Shared(Shared),
    Rooms(Rooms),
}

impl Handler {
    fn of(args: &ServeArgs) -> Self {
        let max_line = args.config().max_message_size;
        let script = |command| Script::new(command, args.content(), max_line);
        match (&args.exec, &args.exec_shared) {
            (Some(command), _) => Self::Exec(Exec::new(script(command), args.user.clone())),
            (None, Some(command)) => Self::Shared(Shared::new(script(command))),
            _ if args.broadcast => Self::Rooms(Rooms::one_for_all()),
            _ if args.topics => Self::Rooms(Rooms::one_for_each_path()),
            _ => Self::Echo,
        }
    }

    /// What it does, for people.
    const fn verb(&self) -> &'static str {
        match self {
            Self::Echo => "Echoing",
            Self::Exec(_) => "Running a process for each connection",
            Self::Shared(_) => "Running one process for all",
            Self::Rooms(Rooms::One(_)) => "Telling everybody what anybody says",
            Self::Rooms(Rooms::Paths(_)) => "Telling everybody on a path what anybody says there",
        }
    }

    async fn handle(&self, ws: WebSocket, show: Show) -> Result<(), HandlerError> {
        log::opened(show, ws.opening());
        match (self, show) {
            (Self::Echo, Show::Report) => echo::echo_and_tell(ws).await,
            (Self::Echo, _) => echo::echo(ws).await,
            (Self::Exec(exec), _) => exec.run(ws).await,
            (Self::Shared(shared), _) => shared.join(ws).await,
            (Self::Rooms(rooms), _) => rooms.talk(ws).await,
        }
    }

    /// What is left to be done when all connections are over.
    async fn end(&self) {
        if let Self::Shared(shared) = self {
            shared.end().await;
        }
    }
}
