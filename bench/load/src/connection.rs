//! One client: its socket, the opening handshake, and the bytes it still owes the server.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::Result;
use crate::poller::Poller;

/// A connected client that sends an endless, repeating stream: `script` over and over, as far as it has been allowed to.
pub(crate) struct Connection {
    stream: TcpStream,
    index: usize,
    /// The repeating bytes, stored twice so that every stretch of up to one period is contiguous.
    script: Vec<u8>,
    period: usize,
    sent: u64,
    allowed: u64,
}

impl Connection {
    /// Opens a WebSocket at `path` (blocking) and hands it to `poller` as number `index`.
    pub(crate) fn open(port: u16, path: &str, script: &[u8], poller: &Poller, index: usize) -> Result<Self> {
        Self::with_stream(open_websocket(port, path)?, script, poller, index)
    }

    /// The same for a plain connection.
    pub(crate) fn connect(port: u16, script: &[u8], poller: &Poller, index: usize) -> Result<Self> {
        Self::with_stream(connect(port)?, script, poller, index)
    }

    fn with_stream(stream: TcpStream, script: &[u8], poller: &Poller, index: usize) -> Result<Self> {
        stream.set_nonblocking(true).map_err(|error| format!("socket: {error}"))?;
        poller.add(&stream, index)?;
        let (script, period) = (script.repeat(2), script.len());
        Ok(Self { stream, index, script, period, sent: 0, allowed: 0 })
    }

    /// Allows `bytes` more of the script to be sent and sends what the kernel takes.
    pub(crate) fn send(&mut self, bytes: usize) -> Result<()> {
        self.allowed += bytes as u64;
        self.flush()
    }

    /// Sends what is allowed; what the kernel has no room for waits for the next event of this socket.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while self.sent < self.allowed {
            let start = (self.sent % self.period as u64) as usize;
            let length = (self.allowed - self.sent).min(self.period as u64) as usize;
            match self.stream.write(&self.script[start..start + length]) {
                Ok(written) => self.sent += written as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("client {} writing: {error}", self.index)),
            }
        }
        Ok(())
    }

    /// Reads once; less than the buffer means that all was read, and that an event will tell of more. The end of the stream is an error,
    /// since no scenario ends a connection.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self.stream.read(buffer) {
            Ok(0) => Err(format!("the server closed connection {}", self.index)),
            Ok(length) => Ok(length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(format!("client {} reading: {error}", self.index)),
        }
    }
}

/// Opens a WebSocket at `path`, blocking; returns the socket when the 101 has arrived.
pub(crate) fn open_websocket(port: u16, path: &str) -> Result<TcpStream> {
    let mut stream = connect(port)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    let head = exchange(&mut stream, &request)?;
    let text = String::from_utf8_lossy(&head);
    // The key and its answer are those of RFC 6455 §1.3.
    if !text.starts_with("HTTP/1.1 101") || !text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
        return Err(format!("no upgrade at {path}: {text:?}"));
    }
    if !head.ends_with(b"\r\n\r\n") {
        return Err(format!("the server speaks first at {path}: {text:?}"));
    }
    Ok(stream)
}

/// A single GET on a connection of its own, for the servers' control paths.
pub(crate) fn get(port: u16, path: &str) -> Result<()> {
    let mut stream = connect(port)?;
    let head = exchange(
        &mut stream,
        &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"),
    )?;
    if head.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    Err(format!("GET {path}: {:?}", String::from_utf8_lossy(&head)))
}

fn connect(port: u16) -> Result<TcpStream> {
    let told = |error| format!("connecting to 127.0.0.1:{port}: {error}");
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(told)?;
    stream.set_nodelay(true).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    Ok(stream)
}

/// Sends a request and reads until the answer's head is whole; a body's first bytes may follow it.
fn exchange(stream: &mut TcpStream, request: &str) -> Result<Vec<u8>> {
    stream.write_all(request.as_bytes()).map_err(|error| format!("request: {error}"))?;
    let (mut head, mut buffer) = (Vec::new(), [0; 2048]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).map_err(|error| format!("response: {error}"))? {
            0 => return Err("the connection ended before a response".into()),
            length => head.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(head)
}

/// For a handshake: the server may be collecting garbage.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fits what 16 messages in flight or one chat burst bring; larger buffers only fall out of the cache.
pub(crate) const READ_BUFFER: usize = 64 * 1024;
