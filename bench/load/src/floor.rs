//! The floor of a fan-out: a server that does nothing but the `send` system calls. Subscribers connect at `/subscribe`, then a publisher at
//! `/publish`; each of its messages goes to every subscriber with one `send`. It announces itself like the servers of the benchmark.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::Result;
use crate::frame::{Kind, write_server_frame};
use crate::handshake::{ACCEPT, is_whole};

pub(crate) fn serve() -> Result<()> {
    let told = |error| format!("floor: {error}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(told)?;
    let port = listener.local_addr().map_err(told)?.port();
    println!("{{\"ports\":{{\"plain\":{port}}},\"server\":\"bare send calls\",\"runtime\":\"Rust\"}}");
    let mut subscribers = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().map_err(told)?;
        stream.set_nodelay(true).map_err(told)?;
        // A connection that asks for nothing is one that looks whether there is a server.
        let Some(path) = shake_hands(&mut stream).map_err(told)? else { continue };
        if path == "/publish" {
            return publish(stream, &subscribers).map_err(told);
        }
        subscribers.push(stream);
    }
}

/// The path that was asked for; every request gets a 101.
fn shake_hands(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let (mut head, mut buffer) = (Vec::new(), [0; 2048]);
    while !is_whole(&head) {
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            length => head.extend_from_slice(&buffer[..length]),
        }
    }
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )?;
    let path = String::from_utf8_lossy(&head).split(' ').nth(1).map(String::from);
    Ok(path)
}

/// Until the publisher leaves. It has one message in flight, of at most 125 bytes: a read is a frame.
fn publish(mut publisher: TcpStream, subscribers: &[TcpStream]) -> std::io::Result<()> {
    let (mut buffer, mut frame) = ([0; 256], Vec::new());
    loop {
        let length = publisher.read(&mut buffer)?;
        let [0x81, _, key @ ..] = &buffer[..length] else { return Ok(()) };
        let (key, masked) = key.split_at(4);
        let payload: Vec<u8> = masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        frame.clear();
        write_server_frame(&mut frame, Kind::Text, &payload);
        for mut subscriber in subscribers {
            subscriber.write_all(&frame)?;
        }
    }
}
