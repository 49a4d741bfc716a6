//! A port where somebody is who keeps what was asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A port of its own on this machine, and what came there.
#[derive(Clone, Debug)]
pub struct Place {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Place {
    /// A place where `serve` sees to each visitor in a thread of its own, and notes what was asked.
    ///
    /// # Panics
    /// When this machine has no port left.
    pub fn new(serve: impl Fn(TcpStream, &Self) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let place = Self { address, asked: Arc::default() };
        let (here, serve) = (place.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (here, serve) = (here.clone(), Arc::clone(&serve));
                thread::spawn(move || serve(stream, &here));
            }
        });
        place
    }

    /// A server that says `answer` to the head of whatever comes, and hangs up.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::answering_in_turn([answer])
    }

    /// A server that says another of `answers` to each visitor, the last one again and again, and hangs up.
    pub fn answering_in_turn<T: Into<Vec<u8>>>(answers: impl IntoIterator<Item = T>) -> Self {
        let answers: Vec<Vec<u8>> = answers.into_iter().map(Into::into).collect();
        let come = Mutex::new(0_usize);
        Self::new(move |mut stream, here| {
            let turn = {
                let mut come = come.lock().unwrap_or_else(PoisonError::into_inner);
                *come = come.saturating_add(1);
                come.saturating_sub(1).min(answers.len().saturating_sub(1))
            };
            here.note(read_head(&mut stream));
            let answer = answers.get(turn).map(Vec::as_slice).unwrap_or_default();
            // Whoever has left does not want to know.
            let _ = stream.write_all(answer);
        })
    }

    /// A server that reads all that comes, and never says a word.
    pub fn silent() -> Self {
        Self::new(|mut stream, here| {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                here.note(buffer.get(..count).unwrap_or_default().to_vec());
            }
        })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is, as a URL of `ws`.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Keeps what somebody asked.
    pub fn note(&self, asked: Vec<u8>) {
        self.lock().push(asked);
    }

    /// What was asked so far, as text.
    pub fn asked(&self) -> Vec<String> {
        self.asked_bytes().iter().map(|one| String::from_utf8_lossy(one).into_owned()).collect()
    }

    /// What was asked so far.
    pub fn asked_bytes(&self) -> Vec<Vec<u8>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address where nobody is.
///
/// # Panics
/// When this machine has no port left.
pub fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it has an address")
}

/// A head of HTTP, or what came until the end.
pub(crate) fn read_head(stream: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.extend(byte);
    }
    head
}
