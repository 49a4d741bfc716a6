//! The load: 64 connections, 16 messages of 128 bytes in flight on each, for so many rounds. Checks
//! each byte that comes back. `load PORT ROUNDS`

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const CONNECTIONS: usize = 64;
const IN_FLIGHT: usize = 16;
const SIZE: usize = 128;

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>().expect("a number"));
    let (port, rounds) = (args.next().expect("a port") as u16, args.next().expect("rounds"));
    let payload: Vec<u8> = (0..SIZE).map(|i| i as u8).collect();
    let key = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![0x82, 0x80 | 126, 0, SIZE as u8];
    frame.extend(key);
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
    let burst = frame.repeat(IN_FLIGHT);
    let mut echo = vec![0x82, 126, 0, SIZE as u8];
    echo.extend(&payload);
    let expected = echo.repeat(IN_FLIGHT);

    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.push(open(port)?);
    }
    let mut answer = vec![0; expected.len()];
    for _ in 0..rounds {
        for stream in &mut streams {
            stream.write_all(&burst)?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut answer)?;
            assert!(answer == expected, "an echo that is not one");
        }
    }
    for stream in &mut streams {
        stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 232])?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest)?;
    }
    println!("{}", rounds * CONNECTIONS * IN_FLIGHT);
    Ok(())
}

fn open(port: u16) -> std::io::Result<TcpStream> {
    let mut stream = connect(port)?;
    stream.set_nodelay(true)?;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    Ok(stream)
}

/// A server under valgrind takes its time to start.
fn connect(port: u16) -> std::io::Result<TcpStream> {
    for _ in 0..600 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return Ok(stream);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    TcpStream::connect(("127.0.0.1", port))
}
