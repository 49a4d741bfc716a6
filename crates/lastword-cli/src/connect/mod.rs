//! `lastword connect`: a conversation from a terminal, from a pipe, or for a test tool.

mod commands;
mod conversation;
mod input;
mod outgoing;
mod recorded;
mod said;
mod stage;
mod terminal;

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use lastword::{Because, ConnectError, First, Message, Reconnect, State, Stopped, WebSocket};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::conversation::{After, Conversation, Goodbye, Over, Rules, until};
use self::recorded::{Recorded, Shown};
use self::said::Said;
use self::stage::{Clock, Endings, InPipe, InReport, Line, OnTerminal, Settings, Stage, request};
use self::terminal::Terminal;
use crate::args::{ConnectArgs, RecordArgs, Talk, Target, Wrong};
use crate::exit::Outcome;
use crate::figures::many;
use crate::recording::{Recorder, is_standard_output};
use crate::show::Show;
use crate::stop::Stop;
use crate::{print, refused, report, runtime};

pub(crate) fn run(args: ConnectArgs, talk: Talk) -> Outcome {
    match args.target.target() {
        Ok(target) => begin(args, target, None, talk),
        Err(wrong) => refused::misused(&wrong.to_string()),
    }
}

/// The same, and keeps all of it; on standard output that takes the place of what else stands there.
pub(crate) fn record(args: RecordArgs, talk: Talk) -> Outcome {
    let RecordArgs { connect, file } = args;
    if connect.report.is_some() && is_standard_output(&file) {
        return refused::misused(
            "the recording and --report cannot both be on standard output\nName a file for the recording.",
        );
    }
    // A recording of old is not lost to a typing error.
    let target = match connect.target.target() {
        Ok(target) => target,
        Err(wrong) => return refused::misused(&wrong.to_string()),
    };
    match Recorder::create(&file, "record", &connect.target.url) {
        Ok(recorder) => {
            let shown = if is_standard_output(&file) { Shown::Nothing } else { Shown::All };
            begin(connect, target, Some(Recorded::new(recorder, shown)), talk)
        }
        Err(error) => refused::misused(&format!("cannot record to {}: {error}", file.display())),
    }
}

fn begin(args: ConnectArgs, target: Target, recorded: Option<Recorded>, talk: Talk) -> Outcome {
    runtime::on_one_thread(Outcome::NoConnection, converse(args, target, recorded, talk))
}

async fn converse(
    args: ConnectArgs,
    target: Target,
    recorded: Option<Recorded>,
    talk: Talk,
) -> Outcome {
    let deadline = args.timeout.map(|limit| Instant::now() + limit);
    let rules = |after| Rules {
        after,
        expect: args.expect,
        deadline,
        hello: args.hello.iter().map(|text| Message::from(text.as_str())).collect(),
        goodbye: Goodbye { code: args.close_code, reason: args.close_reason.clone() },
    };
    let settings = Settings {
        show: Show { pretty: args.pretty, hex: args.hex },
        clock: if args.timestamps { Clock::Shown } else { Clock::Hidden },
        talk,
        endings: match talk {
            Talk::Usual if !args.reconnect => Endings::Unusual,
            Talk::Quiet => Endings::Unusual,
            _ => Endings::All,
        },
    };
    let url = args.target.url.clone();
    let people = args.report.is_none()
        && args.send.is_empty()
        && args.send_file.is_empty()
        && args.send_text_file.is_empty()
        && args.expect.is_none()
        && io::stdin().is_terminal()
        && io::stdout().is_terminal();
    // There is no prompt then, and lines all the same.
    let prompts = people && terminal::obeys();
    let mut stop = Stop::listen();
    // A server that cannot be reached is told before the terminal is taken.
    let connections = tokio::select! {
        connections = Connections::first(target, &args, talk) => connections,
        () = stop.asked() => return refused::stopped(&url),
        () = until(deadline) => return late(&args),
    };
    let mut connections = match connections {
        Ok(connections) => connections,
        Err(outcome) => return outcome,
    };
    let (mut conversation, mut stage): (Conversation, Box<dyn Stage>) = if prompts {
        match Terminal::open(args.history.clone()) {
            Ok((terminal, said)) => {
                let stage = OnTerminal { terminal, url: url.clone(), settings, line: Line::New };
                (Conversation::new(said, rules(After::Close)), Box::new(stage))
            }
            Err(error) => {
                crate::print::note!("cannot use the terminal: {error}");
                return Outcome::Usage;
            }
        }
    } else {
        let said = match one_shot(&args) {
            Ok(Some(said)) => said,
            Ok(None) => input::read(args.framing(), args.content()),
            Err(wrong) => return refused::misused(&wrong.to_string()),
        };
        if people && talk != Talk::Quiet {
            crate::print::note!(
                "This terminal has no prompt: each line is a message, Ctrl-D closes."
            );
        }
        let after = if args.listen { After::Listen } else { After::Quiet(args.wait) };
        let stage: Box<dyn Stage> = if args.report.is_some() {
            Box::new(InReport { peer: None })
        } else {
            Box::new(InPipe { framing: args.framing(), settings })
        };
        (Conversation::new(said, rules(after)), stage)
    };
    if let Some(recorded) = recorded {
        stage = Box::new(recorded.over(stage));
    }
    let over = loop {
        let next = tokio::select! {
            next = connections.next() => next,
            () = stop.asked() => {
                stage.stopped();
                return refused::stopped(&url);
            }
            () = until(deadline) => return late(&args),
        };
        let Some(ws) = next else { return connections.given_up(&args) };
        stage.opened(ws.opening());
        let over = conversation.over(ws, &mut *stage, &mut stop).await;
        stage.ended(over.ending());
        match &over {
            Over::Ended(_) if connections.come_again() => {}
            _ => break over,
        }
    };
    outcome(&over, &args, conversation.came)
}

fn outcome(over: &Over, args: &ConnectArgs, came: u64) -> Outcome {
    if let Over::Wrong(_) = over {
        return Outcome::Usage;
    }
    if let Over::Unread(_) = over {
        return Outcome::Closed;
    }
    let (ending, ended) = (over.ending(), Outcome::from(&**over.ending()));
    if let Some(expected) = args.expect.filter(|expected| came < expected.get()) {
        let limit = args.timeout.filter(|_| matches!(over, Over::Late(_)));
        let why = match limit {
            Some(limit) if ending.first != Some(First::Peer) => {
                format!(" within {limit:?} (--timeout)")
            }
            _ => format!(": {}", print::escape(&ending.to_string())),
        };
        let expected = many(expected.get(), "message");
        crate::print::note!("expected {expected}, {came} came{why}");
        // How it ended says more, if that was not as it should be.
        return if ended == Outcome::Closed || limit.is_some() { Outcome::TimedOut } else { ended };
    }
    match over {
        Over::Late(_) if !ending.is_clean() => Outcome::TimedOut,
        _ => ended,
    }
}

/// The time was over before there was a connection.
fn late(args: &ConnectArgs) -> Outcome {
    let (url, limit) = (print::url(&args.target.url), args.timeout.unwrap_or_default());
    let why = format!("no connection to {url} within {limit:?} (--timeout)");
    if args.report.is_some() {
        report::event(&report::not_opened(None, &why));
    }
    crate::print::note!("{why}");
    Outcome::TimedOut
}

/// What the arguments say, if they say anything.
fn one_shot(args: &ConnectArgs) -> Result<Option<mpsc::Receiver<Said>>, Wrong> {
    let count = args.send.len() + args.send_file.len() + args.send_text_file.len();
    if count == 0 {
        return Ok(None);
    }
    let (sender, said) = mpsc::channel(count);
    let failed = |path: &PathBuf, source| Wrong::File { path: path.clone(), source };
    for text in &args.send {
        let _ = sender.try_send(Said::Message(text.as_str().into()));
    }
    for path in &args.send_file {
        let bytes = std::fs::read(path).map_err(|source| failed(path, source))?;
        let _ = sender.try_send(Said::Message(bytes.into()));
    }
    for path in &args.send_text_file {
        let text = std::fs::read_to_string(path).map_err(|source| failed(path, source))?;
        let _ = sender.try_send(Said::Message(text.into()));
    }
    Ok(Some(said))
}

/// The connections of a conversation: one, or one after the other.
struct Connections {
    first: Option<WebSocket>,
    again: Option<Reconnect>,
}

impl Connections {
    /// The first connection, or why there is none. Without `--reconnect` that is the end.
    async fn first(target: Target, args: &ConnectArgs, talk: Talk) -> Result<Self, Outcome> {
        if args.reconnect {
            // What did not leave is said again behind what each connection begins with.
            let again = target.reconnecting().on_state(tell(talk));
            return Ok(Self { first: None, again: Some(again) });
        }
        let asked = (talk == Talk::Verbose).then(|| target.request()).flatten();
        match target.connect().await {
            Ok(ws) => Ok(Self { first: Some(ws), again: None }),
            Err(error) => {
                // Of a connection that is there, the stage shows it.
                if let Some(asked) = asked {
                    crate::print::note!("{}", request(&asked));
                }
                tell_failed(args, &error);
                Err(Outcome::NoConnection)
            }
        }
    }

    async fn next(&mut self) -> Option<WebSocket> {
        match &mut self.again {
            Some(again) => again.next().await,
            None => self.first.take(),
        }
    }

    const fn come_again(&self) -> bool {
        self.again.is_some()
    }

    /// How it ended when there is no next one.
    fn given_up(&self, args: &ConnectArgs) -> Outcome {
        match self.again.as_ref().and_then(Reconnect::stopped) {
            Some(Stopped::GaveUp { because: Because::Ended(ending), .. }) => {
                Outcome::from(&**ending)
            }
            Some(Stopped::GaveUp { because: Because::Failed(error), .. }) => {
                tell_failed(args, error);
                Outcome::NoConnection
            }
            _ => Outcome::NoConnection,
        }
    }
}

/// There is no connection, and there will be none.
fn tell_failed(args: &ConnectArgs, error: &ConnectError) {
    if args.report.is_some() {
        report::event(&report::no_connection(error));
    }
    refused::tell(&args.target.url, error);
}

/// A line for each state of coming back.
fn tell(talk: Talk) -> impl FnMut(&State) + Send + 'static {
    move |state| {
        let line = match state {
            State::Connecting { attempt } if *attempt > 1 => {
                format!("connecting (attempt {attempt})")
            }
            State::Waiting { until, because } => {
                let pause = until.saturating_duration_since(std::time::Instant::now());
                let why = match because {
                    Because::Failed(error) => format!("{}; ", print::chain(error)),
                    // Told already.
                    Because::Ended(_) => String::new(),
                };
                format!("{why}next attempt in {:.1} s", pause.as_secs_f64())
            }
            State::Stopped(Stopped::GaveUp { limit, .. }) => {
                format!("reconnecting was given up, {limit}")
            }
            State::Stopped(stopped) => stopped.to_string(),
            _ => return,
        };
        if talk != Talk::Quiet {
            crate::print::note!("{}", print::escape(&line));
        }
    }
}
