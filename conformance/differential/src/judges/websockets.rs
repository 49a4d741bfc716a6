//! Python `websockets`, its sans-I/O `Protocol`, in one process that lives as long as this judge.
//!
//! `judge.py` is the other end of the pipe; what goes over it is described there.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use lastword_proto::Role;

use super::Judge;
use crate::{Case, End, Kind, Takeover, Verdict};

pub struct Websockets {
    process: Child,
    to: Option<BufWriter<ChildStdin>>,
    from: BufReader<ChildStdout>,
}

impl Websockets {
    /// Starts `python`, which has websockets 17.4.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(python: &Path) -> io::Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/judge.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (to, from) = (process.stdin.take(), process.stdout.take());
        let (Some(to), Some(from)) = (to, from) else { return Err(io::ErrorKind::Other.into()) };
        Ok(Self { process, to: Some(BufWriter::new(to)), from: BufReader::new(from) })
    }

    fn ask(&mut self, case: &Case) -> io::Result<Verdict> {
        let to = self.to.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let deflate = match case.deflate() {
            None => 0,
            Some(Takeover::Kept) => 1,
            Some(Takeover::None) => 2,
        };
        to.write_all(&[u8::from(case.role() == Role::Client), u8::from(case.ends()), deflate])?;
        write_number(to, case.limit())?;
        let chunks = case.chunks();
        write_number(to, chunks.len())?;
        for chunk in chunks {
            write_number(to, chunk.len())?;
            to.write_all(chunk)?;
        }
        to.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Verdict> {
        let mut verdict = Verdict::new();
        for _ in 0..self.number()? {
            let kind = if self.number()? == 1 { Kind::Text } else { Kind::Binary };
            verdict.messages.push((kind, self.bytes()?));
        }
        for _ in 0..self.number()? {
            let pong = self.bytes()?;
            verdict.pongs.push(pong);
        }
        let final_block = self.number()?;
        verdict.note.final_block = final_block.checked_sub(1);
        let (end, code, answer) = (self.number()?, self.code()?, self.code()?);
        let words = String::from_utf8_lossy(&self.bytes()?).into_owned();
        verdict.end = match end {
            0 => End::Open,
            1 => End::Closed { code, reason: words, answer },
            2 => End::Failed(code),
            3 => End::Eof,
            _ => End::Broke(words),
        };
        Ok(verdict)
    }

    fn number(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4];
        self.from.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes) as usize)
    }

    fn code(&mut self) -> io::Result<u16> {
        Ok(u16::try_from(self.number()?).unwrap_or(u16::MAX))
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.number()?];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn write_number(to: &mut impl Write, number: usize) -> io::Result<()> {
    to.write_all(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes())
}

impl Judge for Websockets {
    fn name(&self) -> &'static str {
        "websockets"
    }

    fn knows_deflate(&self) -> bool {
        true
    }

    fn judge(&mut self, case: &Case) -> Verdict {
        self.ask(case).unwrap_or_else(|error| Verdict {
            end: End::Broke(format!("the process is gone: {error}")),
            ..Verdict::new()
        })
    }
}

impl Drop for Websockets {
    fn drop(&mut self) {
        // The end of its input is the end of its loop.
        self.to = None;
        let _ = self.process.wait();
    }
}
