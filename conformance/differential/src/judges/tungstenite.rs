//! tungstenite over a stream in memory.
//!
//! It leaves the close frame of a failed connection to its caller: the code is the one that its kind
//! of error stands for.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::Judge;
use crate::wire::walk;
use crate::{Case, End, Kind, Verdict};

pub struct Tungstenite;

impl Judge for Tungstenite {
    fn name(&self) -> &'static str {
        "tungstenite"
    }

    fn knows_deflate(&self) -> bool {
        false
    }

    fn judge(&mut self, case: &Case) -> Verdict {
        catch_unwind(AssertUnwindSafe(|| judge(case))).unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<&str>().map_or("?", |words| words);
            Verdict { end: End::Broke(format!("panicked: {words}")), ..Verdict::new() }
        })
    }
}

fn judge(case: &Case) -> Verdict {
    let role = match case.role() {
        lastword_proto::Role::Server => Role::Server,
        lastword_proto::Role::Client => Role::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(case.limit()))
        .max_frame_size(Some(case.limit()));
    let stream = Stream {
        chunks: case.chunks().into_iter().rev().map(<[u8]>::to_vec).collect(),
        ends: case.ends(),
        written: Vec::new(),
    };
    let mut socket = WebSocket::from_raw_socket(stream, role, Some(config));
    let mut verdict = Verdict::new();
    let mut goodbye = None;
    let error = loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                verdict.messages.push((Kind::Text, text.as_bytes().to_vec()));
            }
            Ok(Message::Binary(bytes)) => verdict.messages.push((Kind::Binary, bytes.to_vec())),
            Ok(Message::Close(frame)) => {
                goodbye = Some(frame.map_or((1005, String::new()), |frame| {
                    (frame.code.into(), frame.reason.as_str().to_owned())
                }));
            }
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let mut answer = 1006;
    for frame in walk(&socket.get_ref().written).frames {
        match frame.opcode {
            10 => verdict.pongs.push(frame.payload),
            8 => answer = frame.payload.first_chunk().map_or(1005, |&c| u16::from_be_bytes(c)),
            _ => {}
        }
    }
    verdict.end = match (goodbye, error) {
        // What comes behind a close frame changes nothing.
        (Some((code, reason)), _) => End::Closed { code, reason, answer },
        (None, Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => End::Open,
        (None, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => End::Eof,
        (None, Error::Protocol(_)) => End::Failed(1002),
        (None, Error::Utf8(_)) => End::Failed(1007),
        (None, Error::Capacity(_)) => End::Failed(1009),
        (None, error) => End::Broke(error.to_string()),
    };
    verdict
}

struct Stream {
    /// What is to be read, the next last.
    chunks: Vec<Vec<u8>>,
    ends: bool,
    written: Vec<u8>,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut chunk) = self.chunks.pop() else {
            return if self.ends { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        };
        let count = chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&chunk[..count]);
        if count < chunk.len() {
            self.chunks.push(chunk.split_off(count));
        }
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
