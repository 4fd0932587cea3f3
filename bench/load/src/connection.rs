//! One client that sends an endless, repeating stream: its script over and over, as far as it has been allowed to.

use std::io::ErrorKind;

use crate::Result;
use crate::poller::Poller;
use crate::stream::Stream;

pub(crate) struct Connection {
    stream: Stream,
    index: usize,
    script: Vec<u8>,
    sent: u64,
    allowed: u64,
}

impl Connection {
    /// Hands a connected stream to `poller` as number `index`.
    pub(crate) fn new(stream: Stream, script: Vec<u8>, poller: &Poller, index: usize) -> Result<Self> {
        stream.set_nonblocking()?;
        poller.add(&stream, index)?;
        Ok(Self { stream, index, script, sent: 0, allowed: 0 })
    }

    /// Allows `bytes` more of the script to be sent and sends what the kernel takes.
    pub(crate) fn send(&mut self, bytes: usize) -> Result<()> {
        self.allowed += bytes as u64;
        self.flush()
    }

    /// Sends what is allowed; what the kernel has no room for waits for the next event of this socket.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let flushed = self.stream.flush().and_then(|()| {
            while self.sent < self.allowed {
                let period = self.script.len();
                let start = (self.sent % period as u64) as usize;
                let length = (self.allowed - self.sent).min(period as u64) as usize;
                let first = length.min(period - start);
                let (now, around) = (&self.script[start..start + first], &self.script[..length - first]);
                match self.stream.write(now, around) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    written => self.sent += written? as u64,
                }
            }
            Ok(())
        });
        match flushed {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                Err(format!("client {} writing: {error}", self.index))
            }
            _ => Ok(()),
        }
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

/// Fits what 16 messages in flight or one chat burst bring; larger buffers only fall out of the cache.
pub(crate) const READ_BUFFER: usize = 64 * 1024;
