//! `lastword replay`: a recording once more, as the client or as the server.
//!
//! The [`player`] says one side; here it is given a connection, and what came of it is told.

mod player;

use std::sync::Arc;

use lastword::{CloseCode, HandlerError, Role, Server, Subprotocols, WebSocket};

use self::player::{Comparing, Manner, Played, play};
use crate::args::{ReplayArgs, Talk, TargetArgs};
use crate::exit::Outcome;
use crate::recording::session::Session;
use crate::show::Show;
use crate::stop::Stop;
use crate::style::Style;
use crate::{print, refused, runtime};

pub(crate) fn run(args: &ReplayArgs, talk: Talk) -> Outcome {
    let side = match (&args.serve, &args.target) {
        (Some(listen), _) => Side::Server(listen),
        (None, Some(target)) => Side::Client(target),
        (None, None) => {
            return refused::misused("expected the URL of a server, or --serve LISTEN to be one");
        }
    };
    let session = match Session::read(&args.file, args.connection) {
        Ok(session) => session,
        Err(error) => return refused::misused(&format!("{} {error}", args.file.display())),
    };
    runtime::on_one_thread(Outcome::NoConnection, async {
        match side {
            Side::Server(listen) => serve(args, listen, session, talk).await,
            Side::Client(target) => connect(args, target, &session, talk).await,
        }
    })
}

/// Which side is said once more.
enum Side<'a> {
    Client(&'a TargetArgs),
    Server(&'a str),
}

fn manner(args: &ReplayArgs, side: Role) -> Manner {
    Manner {
        side,
        pace: args.pace(),
        patience: (side == Role::Client).then_some(args.wait),
        comparing: if args.compare { Comparing::Yes } else { Comparing::No },
    }
}

async fn connect(args: &ReplayArgs, to: &TargetArgs, session: &Session, talk: Talk) -> Outcome {
    let target = match to.target() {
        Ok(target) => target,
        Err(wrong) => return refused::misused(&wrong.to_string()),
    };
    let mut stop = Stop::listen();
    let connected = tokio::select! {
        connected = target.connect() => connected,
        () = stop.asked() => return refused::stopped(&to.url),
    };
    let ws = match connected {
        Ok(ws) => ws,
        Err(error) => {
            refused::tell(&to.url, &error);
            return Outcome::NoConnection;
        }
    };
    let shown = |message: &lastword::Message| {
        if !args.compare {
            say(&Show::default().message(message));
        }
    };
    let sender = ws.sender();
    let playing = play(ws, session, manner(args, Role::Client), shown);
    tokio::pin!(playing);
    let mut stopped = false;
    let played = loop {
        tokio::select! {
            played = &mut playing => break played,
            // The first time politely.
            () = stop.asked() => match std::mem::replace(&mut stopped, true) {
                false => sender.close(CloseCode::GOING_AWAY, ""),
                true => drop(sender.abort()),
            },
        }
    };
    if stopped {
        // What had not come yet is not missing.
        let played = Played { difference: None, ..played };
        if talk != Talk::Quiet {
            crate::print::note!("{}", told(&played, session, Role::Client));
        }
        return Outcome::Aborted;
    }
    if let Some(difference) = &played.difference {
        say(&Style::Bad.of(print::escape_lines(&difference.to_string())).to_string());
        if talk != Talk::Quiet {
            let played = Played { difference: None, ..played };
            crate::print::note!("{}", told(&played, session, Role::Client));
        }
        return Outcome::Different;
    }
    if talk != Talk::Quiet {
        crate::print::note!("{}", told(&played, session, Role::Client));
    }
    Outcome::from(&*played.ending)
}

async fn serve(args: &ReplayArgs, listen: &str, session: Session, talk: Talk) -> Outcome {
    let mut server = Server::new();
    if let Some(name) = &session.subprotocol {
        server = server.subprotocols(Subprotocols::Optional(vec![name.as_str().into()]));
    }
    let bound = match server.bind(listen).await {
        Ok(bound) => bound,
        Err(error) => return refused::not_listening(listen, &error),
    };
    let address = bound.local_addr().map_or_else(|_| listen.to_owned(), |found| found.to_string());
    let stop = Stop::listen();
    say(&format!("Replaying {} on ws://{address} (Ctrl-C to stop)", args.file.display()));
    let (session, manner) = (Arc::new(session), manner(args, Role::Server));
    let handler = move |ws: WebSocket| {
        let session = Arc::clone(&session);
        async move {
            let peer = ws.opening().peer_addr;
            let played = play(ws, &session, manner, |_| ()).await;
            if talk != Talk::Quiet || played.difference.is_some() {
                let peer = peer.map(|peer| format!("{peer}  ")).unwrap_or_default();
                say(&format!("{peer}{}", told(&played, &session, Role::Server)));
            }
            Ok::<(), HandlerError>(())
        }
    };
    bound.serve_until(handler, stop.once()).await;
    Outcome::Closed
}

/// What came of it, in a line, or in some if there is a difference.
fn told(played: &Played, session: &Session, side: Role) -> String {
    let Played { ending, sent, came, difference } = played;
    let ours = session.said.iter().filter(|said| said.from == side).count();
    let theirs = session.said.len() - ours;
    let line = format!("sent {sent} of {ours} messages, {came} came of {theirs}: {ending}");
    let line = print::escape(&line);
    match difference {
        None => line.into_owned(),
        Some(difference) => format!("{line}\n{}", print::escape_lines(&difference.to_string())),
    }
}

/// A closed pipe is no failure: whoever reads has read enough.
fn say(text: &str) {
    print::put_or_leave(&format!("{text}\n"));
}
