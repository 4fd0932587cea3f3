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
    serve_on(&listener).map_err(told)
}

/// Until the publisher leaves.
fn serve_on(listener: &TcpListener) -> std::io::Result<()> {
    let mut subscribers = Vec::new();
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        match shake_hands(&mut stream)?.as_deref() {
            Some("/publish") => return publish(stream, &subscribers),
            Some(_) => subscribers.push(stream),
            // Someone who left again.
            None => {}
        }
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

/// The publisher has one message in flight, of at most 125 bytes: a read is a frame.
fn publish(mut publisher: TcpStream, subscribers: &[TcpStream]) -> std::io::Result<()> {
    let (mut buffer, mut frame) = ([0; 256], Vec::new());
    loop {
        let length = publisher.read(&mut buffer)?;
        let [0x81, _, rest @ ..] = &buffer[..length] else { return Ok(()) };
        let (key, masked) = rest.split_at(4);
        let payload: Vec<u8> = masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        frame.clear();
        write_server_frame(&mut frame, Kind::Text, &payload);
        for mut subscriber in subscribers {
            subscriber.write_all(&frame)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::write_client_frame;
    use crate::handshake::{Offer, open_websocket};
    use crate::stream::Connector;

    #[test]
    fn what_the_publisher_says_goes_to_every_subscriber() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let connector = Connector::plain(listener.local_addr().unwrap().port());
        let server = std::thread::spawn(move || serve_on(&listener));
        let mut subscribers: Vec<_> =
            (0..3).map(|_| open_websocket(&connector, "/subscribe", Offer::Nothing).unwrap()).collect();
        let mut publisher = open_websocket(&connector, "/publish", Offer::Nothing).unwrap();
        for message in ["one", "two"] {
            let (mut said, mut heard) = (Vec::new(), Vec::new());
            write_client_frame(&mut said, Kind::Text, message.as_bytes(), [1, 2, 3, 4]);
            write_server_frame(&mut heard, Kind::Text, message.as_bytes());
            publisher.write_all(&said).unwrap();
            for subscriber in &mut subscribers {
                let mut buffer = [0; 100];
                let length = subscriber.read(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], heard);
            }
        }
        drop(publisher);
        server.join().unwrap().unwrap();
    }
}
