//! A part of a file as the body of an answer. Reading waits for the disk, so it happens on a thread of the runtime's, a piece at a time:
//! a slow client holds one piece in memory, whatever the size of the file.

use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::body::StreamError;

/// See the module.
pub(crate) struct FileBody {
    reading: Reading,
    /// Bytes that have not been given out.
    left: u64,
    runtime: Handle,
}

enum Reading {
    /// The piece that comes next, or nothing of it yet.
    Idle(Content),
    Busy(JoinHandle<io::Result<Content>>),
    Failed,
}

/// An open file at the place of what is left, behind a piece that has been read.
#[derive(Debug)]
pub(crate) struct Content {
    file: File,
    piece: Bytes,
}

/// Bytes read at once.
const PIECE: u64 = 64 * 1024;

impl Content {
    /// Reads a first piece of `length` bytes from where the file stands. Blocks.
    pub(crate) fn begin(file: File, length: u64) -> io::Result<Self> {
        let mut content = Self { file, piece: Bytes::new() };
        content.read(length)?;
        Ok(content)
    }

    fn read(&mut self, left: u64) -> io::Result<()> {
        let size = left.min(PIECE);
        let mut piece = Vec::with_capacity(size as usize);
        let count = (&self.file).take(size).read_to_end(&mut piece)?;
        // The length has been promised to the client.
        if (count as u64) < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.piece = piece.into();
        Ok(())
    }
}

impl FileBody {
    pub(crate) const fn new(content: Content, length: u64, runtime: Handle) -> Self {
        Self { reading: Reading::Idle(content), left: length, runtime }
    }

    pub(crate) const fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        loop {
            match std::mem::replace(&mut self.reading, Reading::Failed) {
                Reading::Idle(mut content) if !content.piece.is_empty() => {
                    let piece = std::mem::take(&mut content.piece);
                    self.left -= piece.len() as u64;
                    self.reading = Reading::Idle(content);
                    return Poll::Ready(Some(Ok(piece)));
                }
                Reading::Idle(mut content) => {
                    let left = self.left;
                    let job = move || content.read(left).map(|()| content);
                    self.reading = Reading::Busy(self.runtime.spawn_blocking(job));
                }
                Reading::Busy(mut job) => match Pin::new(&mut job).poll(cx) {
                    Poll::Pending => {
                        self.reading = Reading::Busy(job);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(Ok(content))) => self.reading = Reading::Idle(content),
                    Poll::Ready(Ok(Err(_)) | Err(_)) => {}
                },
                Reading::Failed => return Poll::Ready(Some(Err(StreamError))),
            }
        }
    }
}
