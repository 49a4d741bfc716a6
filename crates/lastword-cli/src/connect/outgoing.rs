//! What is to be said over one connection: first what each of them begins with, then what the one before it
//! did not get rid of, and behind that what is typed or read.

use std::collections::VecDeque;

use lastword::Message;

/// Messages that wait, and how many have gone.
pub(super) struct Outgoing {
    waiting: VecDeque<Message>,
    /// How many of all begin each connection anew.
    hellos: usize,
    /// How many were taken.
    taken: usize,
}

impl Outgoing {
    pub(super) fn new(hello: &[Message], left_over: VecDeque<Message>) -> Self {
        let mut waiting: VecDeque<_> = hello.iter().cloned().collect();
        waiting.extend(left_over);
        Self { waiting, hellos: hello.len(), taken: 0 }
    }

    /// What is to be said now, if it waits already.
    pub(super) fn next(&mut self) -> Option<Message> {
        let next = self.waiting.pop_front();
        self.taken += usize::from(next.is_some());
        next
    }

    /// Another one is to be said, behind those that wait.
    pub(super) fn push(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    /// What the next connection has to say, given what was refused by this one, and what it accepted and did
    /// not send. What begins each of them is not said twice.
    pub(super) fn left_over(
        self,
        refused: Option<Message>,
        unsent: Vec<Message>,
    ) -> VecDeque<Message> {
        let gone = self.taken.saturating_sub(usize::from(refused.is_some()) + unsent.len());
        let rest = unsent.into_iter().chain(refused).chain(self.waiting);
        rest.skip(self.hellos.saturating_sub(gone)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left when so many of `hello`, `left_over` and `typed` have gone, the next `unsent` were accepted
    /// and one more was refused or not.
    fn left(
        hello: usize,
        left_over: usize,
        typed: usize,
        gone: usize,
        unsent: usize,
    ) -> Vec<String> {
        let named =
            |what: &str, count| (0..count).map(|n| format!("{what}{n}")).collect::<Vec<_>>();
        let messages = |names: &[String]| -> Vec<Message> {
            names.iter().map(|name| Message::from(name.as_str())).collect()
        };
        let all = [named("h", hello), named("l", left_over), named("t", typed)].concat();
        let mut outgoing =
            Outgoing::new(&messages(&named("h", hello)), messages(&named("l", left_over)).into());
        let mut typed = messages(&named("t", typed)).into_iter();
        for _ in 0..gone + unsent {
            if outgoing.next().is_none() {
                outgoing.push(typed.next().unwrap());
                assert!(outgoing.next().is_some());
            }
        }
        let accepted = messages(&all[gone..gone + unsent]);
        let left = outgoing.left_over(None, accepted);
        left.iter().map(|message| message.as_text().unwrap().to_owned()).collect()
    }

    #[test]
    fn nothing_is_lost_and_no_hello_is_said_twice() {
        assert_eq!(left(2, 1, 0, 0, 0), ["l0"]);
        assert_eq!(left(2, 1, 0, 1, 0), ["l0"]);
        assert_eq!(left(2, 1, 2, 1, 3), ["l0", "t0"]);
        assert_eq!(left(2, 1, 2, 3, 2), ["t0", "t1"]);
        assert_eq!(left(0, 2, 1, 1, 2), ["l1", "t0"]);
        assert_eq!(left(1, 1, 0, 2, 0), [""; 0]);
        // Refused: the hello itself, and what came behind it.
        let hello = [Message::from("h")];
        let mut outgoing = Outgoing::new(&hello, VecDeque::from([Message::from("l")]));
        let refused = outgoing.next();
        assert_eq!(outgoing.left_over(refused, Vec::new()), [Message::from("l")]);
        let mut outgoing = Outgoing::new(&hello, VecDeque::from([Message::from("l")]));
        let (accepted, refused) = (outgoing.next().unwrap(), outgoing.next());
        assert_eq!(outgoing.left_over(refused, vec![accepted]), [Message::from("l")]);
    }
}
