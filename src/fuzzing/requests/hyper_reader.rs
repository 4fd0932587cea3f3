//! hyper behind the framing. It must not find fault with anything, read each head as it stands there, and end each request where the
//! framing does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::Outcome;
use crate::http::framing::{Framing, MAX_FIELDS};

/// What hyper made of a connection.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) requests: Vec<Request>,
    /// It read bytes that it could not make sense of.
    is_faulty: bool,
}

#[derive(Debug)]
pub(crate) struct Request {
    head: Head,
    pub(crate) content: Vec<u8>,
    is_complete: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    method: String,
    /// Names in lower case and values, sorted.
    fields: Vec<(String, Vec<u8>)>,
}

/// What hyper makes of a connection whose bytes come in these pieces, behind the framing.
pub(crate) fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, max_content: u64) -> Reading {
    let pieces: VecDeque<&[u8]> = pieces.into_iter().collect();
    let most_polls = pieces.iter().map(|piece| piece.len()).sum::<usize>() + 100;
    let reading = Rc::<RefCell<Reading>>::default();
    let service = service_fn(|request| {
        let reading = Rc::clone(&reading);
        async move {
            receive(request, &reading).await;
            // CONNECT and HTTP/1.0 would end the connection.
            Ok::<_, Infallible>(http::Response::builder().status(400).body(String::new()).expect("an answer"))
        }
    });
    let mut connection = http1::Builder::new()
        .half_close(true)
        .max_headers(MAX_FIELDS)
        .max_buf_size(64 * 1024)
        .serve_connection(Io { framing: Framing::new(max_content), pieces }, service);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..most_polls {
        if let Poll::Ready(end) = Pin::new(&mut connection).poll(&mut cx) {
            reading.borrow_mut().is_faulty |= end.is_err_and(|error| error.is_parse());
            break;
        }
    }
    drop(connection);
    Rc::into_inner(reading).expect("nobody reads on").into_inner()
}

async fn receive(request: http::Request<Incoming>, reading: &RefCell<Reading>) {
    let (head, mut body) = request.into_parts();
    let fields = head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let head = Head::new(head.method.to_string(), fields.collect());
    let index = reading.borrow().requests.len();
    reading.borrow_mut().requests.push(Request { head, content: Vec::new(), is_complete: false });
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let mut reading = reading.borrow_mut();
        match frame {
            Some(Ok(frame)) => {
                reading.requests[index].content.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
            Some(Err(error)) => {
                // A content that ends too early is no fault of its framing.
                let source =
                    std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
                reading.is_faulty |=
                    source.is_some_and(|source| source.kind() != io::ErrorKind::UnexpectedEof);
                return;
            }
            None => {
                reading.requests[index].is_complete = true;
                return;
            }
        }
    }
}

/// Compares what hyper read with what the framing let pass.
pub(crate) fn assert_reads_the_same(reading: &Reading, expected: &Outcome, what: &str) {
    assert!(!reading.is_faulty, "{what}: {reading:?} of {expected:?}");
    for (request, passed) in reading.requests.iter().zip(&expected.passed) {
        let head = Head::of(passed);
        assert_eq!(request.head, head, "{what}: {expected:?}");
        let content = head.content(passed);
        assert!(content.starts_with(&request.content), "{what}: {request:?} of {expected:?}");
        assert!(!request.is_complete || request.content == content, "{what}: {request:?} of {expected:?}");
    }
    let complete = reading.requests.iter().filter(|request| request.is_complete).count();
    let (read, passed) = ((reading.requests.len(), complete), (expected.passed.len(), expected.complete));
    // Such a request is the last one that hyper wants.
    let closes = expected.passed.iter().any(|request| {
        let head = String::from_utf8_lossy(request).to_ascii_lowercase();
        head.contains(" http/1.0\r\n") || head.contains("close")
    });
    if closes {
        assert!(read.0 <= passed.0 && read.1 <= passed.1, "{what}: {reading:?} of {expected:?}");
    } else {
        assert_eq!(read, passed, "{what}: {reading:?} of {expected:?}");
    }
}

impl Head {
    /// The head of a request that has one reading.
    fn of(request: &[u8]) -> Self {
        let mut lines = split_lines(&request[..end_of_head(request)]).into_iter();
        let line = lines.next().expect("a request line");
        let method = String::from_utf8_lossy(&line[..find(line, b" ").expect("a method")]).into_owned();
        let fields = lines.map(|line| {
            let colon = find(line, b":").expect("a name");
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            (name, trim(&line[colon + 1..]).to_vec())
        });
        Self::new(method, fields.collect())
    }

    fn new(method: String, mut fields: Vec<(String, Vec<u8>)>) -> Self {
        fields.sort();
        // hyper keeps one of two that are the same.
        fields.dedup_by(|one, other| one == other && one.0 == "content-length");
        Self { method, fields }
    }

    /// The content, as far as it goes, of a request with this head.
    fn content(&self, request: &[u8]) -> Vec<u8> {
        let content = &request[end_of_head(request) + 4..];
        match self.fields.iter().any(|(name, _)| name == "transfer-encoding") {
            true => join_chunks(content),
            false => content.to_vec(),
        }
    }
}

fn end_of_head(request: &[u8]) -> usize {
    find(request, b"\r\n\r\n").expect("a head goes on when it is complete")
}

fn join_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = find(bytes, b"\r\n") {
        let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let size = line.split(';').next().expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a hexadecimal size");
        if size == 0 {
            break;
        }
        let rest = &bytes[end + 2..];
        content.extend_from_slice(&rest[..size.min(rest.len())]);
        bytes = rest.get(size + 2..).unwrap_or_default();
    }
    content
}

fn split_lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = find(bytes, b"\r\n") {
        lines.push(&bytes[..end]);
        bytes = &bytes[end + 2..];
    }
    lines.push(bytes);
    lines
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn trim(value: &[u8]) -> &[u8] {
    let is_visible = |&byte: &u8| byte != b' ' && byte != b'\t';
    let begin = value.iter().position(is_visible).unwrap_or(value.len());
    let end = value.iter().rposition(is_visible).map_or(begin, |last| last + 1);
    &value[begin..end]
}

/// The bytes of a connection as hyper gets them. Whatever it says is taken.
struct Io<'p> {
    framing: Framing,
    pieces: VecDeque<&'p [u8]>,
}

impl Read for Io<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut fresh = Vec::new();
        loop {
            match this.framing.receive(&mut fresh, buffer.remaining()) {
                Ok([]) => match this.pieces.pop_front() {
                    Some(piece) => fresh = piece.to_vec(),
                    None => return Poll::Ready(Ok(())),
                },
                Ok(bytes) => {
                    buffer.put_slice(bytes);
                    return Poll::Ready(Ok(()));
                }
                // The connection ends without hyper.
                Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Write for Io<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
