//! Servers that are wrong on purpose, of raw sockets, each in its own way.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

/// A server whose connections are each handled by `handle`, in a thread; it lives as long as the test.
fn server(handle: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || handle(stream));
        }
    });
    url
}

/// Accepts, and says nothing, ever.
pub(crate) fn silent() -> String {
    server(|stream| {
        let (_never, wait) = mpsc::channel::<()>();
        // The stream is kept, and nobody reads it.
        let _ = wait.recv();
        drop(stream);
    })
}

/// Resets every connection on which something comes.
pub(crate) fn resetting() -> String {
    server(|stream| {
        // What was not read makes the kernel reset, where it would otherwise end the stream.
        let _ = stream.peek(&mut [0]);
    })
}

/// Opens for everybody, promises whatever is asked for, and sends back every byte: masks, pings and
/// closes as they came. Keeps in memory what is not read, and never hangs up.
pub(crate) fn parrot() -> String {
    server(|mut stream| {
        let Some(request) = request(&mut stream) else { return };
        let mut answer = opening(&request);
        for (name, value) in ["sec-websocket-protocol", "sec-websocket-extensions"]
            .iter()
            .filter_map(|name| Some((name, request.get(*name)?)))
        {
            // An offer of the client's window is no answer.
            let value = value.strip_suffix("; client_max_window_bits").unwrap_or(value);
            answer += &format!("{name}: {value}\r\n");
        }
        answer = answer.replace("; client_max_window_bits; server_max_window_bits=9", "");
        answer += "\r\n";
        let (sender, pieces) = mpsc::channel::<Vec<u8>>();
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            for piece in pieces {
                if writer.write_all(&piece).is_err() {
                    return;
                }
            }
        });
        sender.send(answer.into_bytes()).unwrap();
        let mut block = vec![0; 64 << 10];
        while let Ok(count @ 1..) = stream.read(&mut block) {
            let _ = sender.send(block[..count].to_vec());
        }
        let (_never, wait) = mpsc::channel::<()>();
        let _ = wait.recv();
        let _ = (writing, sender);
    })
}

/// Knows one spelling of the request only, and looks at the first read only; hangs up when it is open.
pub(crate) fn picky() -> String {
    server(|mut stream| {
        let mut block = [0; 4096];
        let count = stream.read(&mut block).unwrap_or(0);
        let text = String::from_utf8_lossy(&block[..count]).into_owned();
        let is_right = ["\r\nUpgrade: websocket\r\n", "\r\nConnection: Upgrade\r\n", "\r\n\r\n"];
        let answer = if is_right.iter().all(|part| text.contains(part)) {
            opening(&headers(&text)) + "\r\n"
        } else {
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_owned()
        };
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        while let Ok(1..) = stream.read(&mut block) {}
    })
}

/// Agrees with everybody to compression with a parameter that there is not, whatever was asked for.
pub(crate) fn liar() -> String {
    server(|mut stream| {
        let Some(request) = request(&mut stream) else { return };
        let answer = opening(&request) + "Sec-WebSocket-Extensions: permessage-deflate; x\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes());
        while let Ok(1..) = stream.read(&mut [0; 4096]) {}
    })
}

/// Refuses everybody, as an ordinary web server does.
pub(crate) fn refusing() -> String {
    server(|mut stream| {
        if request(&mut stream).is_some() {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno!\n");
        }
    })
}

/// The request's headers, in lower case.
fn request(stream: &mut TcpStream) -> Option<HashMap<String, String>> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        // Nobody says more before the answer.
        let mut block = [0; 4096];
        let count = stream.read(&mut block).ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&block[..count]);
    }
    Some(headers(&String::from_utf8_lossy(&text)))
}

fn headers(text: &str) -> HashMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned())).collect()
}

/// A 101 that takes any key, but for the empty line.
fn opening(request: &HashMap<String, String>) -> String {
    let key = request.get("sec-websocket-key").map_or("", String::as_str);
    let accept = lastword::proto::handshake::accept_key(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    )
}
