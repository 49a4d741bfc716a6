//! Peers that leave in every way that an application has: what the other side is told.

use lastword::{Cause, CloseCode, First, Loss};

use super::{Stage, at_once, ending, hear, plain};
use crate::driver::Driver;
use crate::stream::Transport;
use crate::tls::Certificates;

#[derive(Clone, Copy, Debug)]
enum Parting {
    Close,
    CloseByBoth,
    Drop,
    Abort,
}

/// Closed, closed by both at once, dropped, aborted.
///
/// # Panics
/// When an ending does not tell what happened.
pub fn peers_that_leave(driver: &dyn Driver) {
    let tls = Certificates::new();
    let partings = [Parting::Close, Parting::CloseByBoth, Parting::Drop, Parting::Abort];
    let cases: Vec<_> =
        Stage::all().flat_map(|stage| partings.map(|parting| (stage, parting))).collect();
    at_once(&cases, |&(stage, parting)| {
        let context = format!("{stage:?} {parting:?}");
        let (_proxy, mut receiver, sender) = stage.play(driver, &tls, plain(), plain());
        assert_eq!(sender.send("last".into()), Ok(()), "{context}");
        match parting {
            Parting::Abort => {
                // It has to have come: a reset may overtake it.
                match receiver.recv(super::PATIENCE) {
                    crate::Received::Message(message) => assert_eq!(message, "last".into()),
                    other => panic!("{context}: {other:?}"),
                }
                let ours = sender.abort();
                assert_eq!((&ours.cause, ours.first), (&Cause::Aborted, Some(First::Us)));
                let theirs = ending(&*receiver, &context);
                let context = format!("{context}: {theirs}");
                assert_eq!(theirs.first, Some(First::Peer), "{context}");
                match (&theirs.cause, stage.transport) {
                    (Cause::Lost(Loss::Reset(_)), Transport::Tcp | Transport::Tls) => {}
                    // The Unix domain has no reset where nothing is left unread.
                    (Cause::Lost(Loss::Eof), Transport::Unix) => {}
                    _ => panic!("{context}"),
                }
                return;
            }
            Parting::Close => sender.close(CloseCode::NORMAL, "bye"),
            Parting::CloseByBoth => {
                std::thread::scope(|scope| {
                    scope.spawn(|| sender.close(CloseCode::NORMAL, "bye"));
                    receiver.close(CloseCode::NORMAL, "bye");
                });
            }
            Parting::Drop => {
                drop(sender);
                let (messages, theirs) = hear(&mut *receiver, &context);
                assert_eq!(messages, ["last".into()], "{context}: {theirs}");
                assert_eq!(theirs.received.code(), 1001, "{context}: {theirs}");
                assert!(theirs.is_clean(), "{context}: {theirs}");
                return;
            }
        }
        let (messages, theirs) = hear(&mut *receiver, &context);
        let ours = ending(&*sender, &context);
        let context = format!("{context}: {theirs} / {ours}");
        assert_eq!(messages, ["last".into()], "{context}");
        assert!(theirs.is_clean() && ours.is_clean(), "{context}");
        assert_eq!((&ours.received, &theirs.received), (&theirs.sent, &ours.sent), "{context}");
        if matches!(parting, Parting::Close) {
            assert_eq!((ours.first, theirs.first), (Some(First::Us), Some(First::Peer)));
        }
    });
}
