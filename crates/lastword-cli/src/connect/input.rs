//! Messages from standard input, cut where the framing says.

use std::fmt;
use std::io;

use data_encoding::BASE64;
use lastword::Message;
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::mpsc;

use super::said::Said;
use crate::args::{Content, Framing};

/// Reads standard input in the background, no faster than it is taken.
pub(super) fn read(framing: Framing, content: Content) -> mpsc::Receiver<Said> {
    let (sender, said) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut cutter =
            Cutter { input: BufReader::new(tokio::io::stdin()), framing, content, number: 0 };
        loop {
            let (said, last) = match cutter.next().await {
                Ok(Some(message)) => (Said::Message(message), framing == Framing::Whole),
                Ok(None) => return,
                Err(wrong) => (Said::Wrong(wrong.to_string()), true),
            };
            if sender.send(said).await.is_err() || last {
                return;
            }
        }
    });
    said
}

struct Cutter<R> {
    input: R,
    framing: Framing,
    content: Content,
    number: u64,
}

impl<R: AsyncBufRead + Unpin> Cutter<R> {
    async fn next(&mut self) -> Result<Option<Message>, Wrong> {
        let mut piece = Vec::new();
        let end = match self.framing {
            Framing::Lines | Framing::Json => b'\n',
            Framing::Null => 0,
            Framing::Whole => {
                self.input.read_to_end(&mut piece).await.map_err(Wrong::Input)?;
                return self.message(piece).map(Some);
            }
        };
        loop {
            piece.clear();
            if self.input.read_until(end, &mut piece).await.map_err(Wrong::Input)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if piece.last() == Some(&end) {
                piece.pop();
                if end == b'\n' && piece.last() == Some(&b'\r') {
                    piece.pop();
                }
            }
            if self.framing != Framing::Json {
                return self.message(piece).map(Some);
            }
            if !piece.trim_ascii().is_empty() {
                return self.object(&piece).map(Some);
            }
        }
    }

    fn message(&self, piece: Vec<u8>) -> Result<Message, Wrong> {
        match self.content {
            Content::Binary => Ok(Message::from(piece)),
            Content::Text => String::from_utf8(piece)
                .map(Message::from)
                .map_err(|_| Wrong::Text { number: self.number, framing: self.framing }),
        }
    }

    fn object(&self, line: &[u8]) -> Result<Message, Wrong> {
        let wrong = || Wrong::Object { number: self.number };
        let object: Value = serde_json::from_slice(line).map_err(|_| wrong())?;
        match (&object["text"], &object["binary"]) {
            (Value::String(text), Value::Null) => Ok(Message::from(text.as_str())),
            (Value::Null, Value::String(binary)) => {
                BASE64.decode(binary.as_bytes()).map(Message::from).map_err(|_| wrong())
            }
            _ => Err(wrong()),
        }
    }
}

/// What is wrong with the input.
#[derive(Debug)]
enum Wrong {
    Input(io::Error),
    Text { number: u64, framing: Framing },
    Object { number: u64 },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => write!(f, "cannot read standard input: {error}"),
            Self::Text { number, framing } => {
                match framing {
                    Framing::Whole => f.write_str("the input")?,
                    Framing::Null => write!(f, "message {number} of the input")?,
                    Framing::Lines | Framing::Json => write!(f, "line {number} of the input")?,
                }
                f.write_str(" is not UTF-8, which text has to be\nTry --binary.")
            }
            Self::Object { number } => write!(
                f,
                "line {number} of the input is no message\nExpected {{\"text\": \"…\"}} or {{\"binary\": \"…\"}} with base64."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(input: &[u8], framing: Framing, content: Content) -> Vec<Result<Message, String>> {
        let mut cutter = Cutter { input, framing, content, number: 0 };
        let mut found = Vec::new();
        loop {
            match cutter.next().await {
                Ok(Some(message)) => found.push(Ok(message)),
                Ok(None) => return found,
                Err(wrong) => {
                    found.push(Err(wrong.to_string()));
                    return found;
                }
            }
            if framing == Framing::Whole {
                return found;
            }
        }
    }

    #[tokio::test]
    async fn messages_end_where_the_framing_says() {
        let text =
            |parts: &[&str]| parts.iter().map(|part| Ok(Message::from(*part))).collect::<Vec<_>>();
        assert_eq!(all(b"a\r\n\nb", Framing::Lines, Content::Text).await, text(&["a", "", "b"]));
        assert_eq!(all(b"a\nb\0\0c", Framing::Null, Content::Text).await, text(&["a\nb", "", "c"]));
        assert_eq!(all(b"a\nb\n", Framing::Whole, Content::Text).await, text(&["a\nb\n"]));
        assert_eq!(all(b"", Framing::Lines, Content::Text).await, text(&[]));
        let binary = vec![Ok(Message::from(vec![255, 10]))];
        assert_eq!(all(b"\xff\n", Framing::Whole, Content::Binary).await, binary);
    }

    #[tokio::test]
    async fn objects_are_messages_of_either_kind() {
        let input = b"{\"text\":\"a\\nb\"}\n\n{\"binary\":\"AP8=\"}\n{\"text\":1}\n";
        let found = all(input, Framing::Json, Content::Text).await;
        assert_eq!(found[0], Ok(Message::from("a\nb")));
        assert_eq!(found[1], Ok(Message::from(vec![0, 255])));
        assert!(found[2].as_ref().unwrap_err().starts_with("line 4 of the input"), "{found:?}");
    }

    #[tokio::test]
    async fn what_is_no_text_is_told_with_its_line() {
        let found = all(b"a\n\xff\n", Framing::Lines, Content::Text).await;
        assert!(
            found[1].as_ref().unwrap_err().starts_with("line 2 of the input is not UTF-8"),
            "{found:?}"
        );
    }
}
