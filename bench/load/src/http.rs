//! HTTP: keep-alive connections, one request in flight on each, every answer checked: status, length and content.

use std::rc::Rc;

use crate::Result;
use crate::connection::{Connection, READ_BUFFER};
use crate::handshake::get_request;
use crate::meter::{Meter, NAP, Watchdog};
use crate::options::Options;
use crate::poller::{Events, Poller};
use crate::process::Process;
use crate::report::Report;
use crate::stream::Connector;

/// What is asked for, and what `bench/servers` answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// `GET /hello`: a small text.
    Hello,
    /// `GET /host`: the same, as a `Response` of the host.
    Host,
    /// `POST /json`: the document that was sent, parsed and written anew.
    Json,
    /// `GET /static`: the small text, from a static route.
    Static,
    /// `GET /download`: a megabyte.
    Download,
}

impl Exchange {
    /// A request and the content of its answer.
    pub(crate) fn example(self, port: u16, client: usize) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Hello => (get_request(port, "/hello"), HELLO.into()),
            Self::Host => (get_request(port, "/host"), HELLO.into()),
            Self::Static => (get_request(port, "/static"), HELLO.into()),
            Self::Download => (get_request(port, "/download"), megabyte()),
            Self::Json => {
                let document = document(client);
                let head = format!(
                    "POST /json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    document.len()
                );
                ([head.as_bytes(), &document].concat(), document)
            }
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<Report> {
    let (poller, mut events) = (Poller::new()?, Events::new());
    let connector = Connector::new(options)?;
    let mut clients: Vec<_> = (0..options.clients)
        .map(|index| HttpClient::open(options, &connector, &poller, index))
        .collect::<Result<_>>()?;
    let (mut meter, mut watchdog) = (Meter::new(options, Process::new(options.pid)?), Watchdog::new());
    let (mut buffer, mut responses, mut reads) = (vec![0; READ_BUFFER], 0, 0);

    for client in &mut clients {
        client.request()?;
    }
    loop {
        poller.wait(&mut events, NAP)?;
        for index in events.iter() {
            let client = &mut clients[index];
            reads += 1;
            if client.receive(&mut buffer).map_err(|error| format!("client {index}: {error}"))? {
                client.request()?;
                responses += 1;
            }
        }
        if let Some(measured) = meter.advance(responses)? {
            return Ok(Report::new(options).with_throughput(&measured));
        }
        // A large answer may be long on its way.
        watchdog.check(reads)?;
    }
}

struct HttpClient {
    connection: Connection,
    request_bytes: usize,
    answer: Answer,
}

impl HttpClient {
    fn open(options: &Options, connector: &Connector, poller: &Poller, index: usize) -> Result<Self> {
        let (request, content) = options.exchange.example(options.port, index);
        let request_bytes = request.len();
        let connection = Connection::new(connector.connect()?, request, poller, index)?;
        Ok(Self { connection, request_bytes, answer: Answer::new(content) })
    }

    fn request(&mut self) -> Result<()> {
        self.connection.send(self.request_bytes)
    }

    /// Reads what is there and returns whether the answer is whole.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        self.connection.flush()?;
        loop {
            let length = self.connection.read(buffer)?;
            if self.answer.take(&buffer[..length])? {
                return Ok(true);
            }
            if length < buffer.len() {
                return Ok(false);
            }
        }
    }
}

/// Follows one answer after another, all with the same content.
struct Answer {
    content: Rc<[u8]>,
    /// The front of a head whose rest is still to come; empty nearly always.
    head: Vec<u8>,
    /// Bytes of the content that have come, once the head is whole.
    received: Option<usize>,
}

impl Answer {
    fn new(content: Vec<u8>) -> Self {
        Self { content: content.into(), head: Vec::new(), received: None }
    }

    /// Takes what came next and returns whether the answer is whole; one that is not the expected is an error.
    fn take(&mut self, bytes: &[u8]) -> Result<bool> {
        let Some(received) = self.received else {
            if self.head.is_empty()
                && let Some(end) = end_of_head(bytes)
            {
                return self.begin(&bytes[..end], &bytes[end..]);
            }
            self.head.extend_from_slice(bytes);
            let head = std::mem::take(&mut self.head);
            let Some(end) = end_of_head(&head) else {
                self.head = head;
                return Ok(false);
            };
            return self.begin(&head[..end], &head[end..]);
        };
        self.go_on(received, bytes)
    }

    fn begin(&mut self, head: &[u8], content: &[u8]) -> Result<bool> {
        let told = |problem: &str| format!("{problem}: {:?}", String::from_utf8_lossy(head));
        if !head.starts_with(b"HTTP/1.1 200") {
            return Err(told("not the expected response"));
        }
        let length = content_length(head).ok_or_else(|| told("no Content-Length"))?;
        if length != self.content.len() {
            return Err(told("not the expected length"));
        }
        self.go_on(0, content)
    }

    fn go_on(&mut self, received: usize, bytes: &[u8]) -> Result<bool> {
        let expected = self.content.get(received..received + bytes.len());
        if expected != Some(bytes) {
            return Err(format!("not the expected content behind its byte {received}"));
        }
        let received = received + bytes.len();
        self.received = (received < self.content.len()).then_some(received);
        Ok(self.received.is_none())
    }
}

/// Where the content begins.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let mut lines = head.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    })?;
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

/// As `JSON.stringify` writes it.
fn document(client: usize) -> Vec<u8> {
    format!(
        "{{\"id\":{client},\"name\":\"client {client}\",\"tags\":[\"steamed\",\"bun\",\"with nothing inside\"],\
         \"position\":{{\"x\":{}.5,\"y\":-0.25}},\"isHungry\":true,\"parent\":null}}",
        client + 1
    )
    .into()
}

/// `byte = (index * 31 + (index >> 8)) % 256`.
fn megabyte() -> Vec<u8> {
    (0..1024 * 1024_usize).map(|index| (index * 31 + (index >> 8)) as u8).collect()
}

const HELLO: &[u8] = b"Hello, world!";

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nDate: today\r\ncontent-length: 13\r\n\r\nHello, world!";

    #[test]
    fn an_answer_is_whole_with_its_last_byte_in_whatever_pieces_it_comes() {
        for size in 1..=RESPONSE.len() {
            let mut answer = Answer::new(HELLO.into());
            for _ in 0..3 {
                let pieces: Vec<_> = RESPONSE.chunks(size).map(|piece| answer.take(piece).unwrap()).collect();
                let (last, before) = pieces.split_last().unwrap();
                assert!(last & !before.contains(&true), "{size}: {pieces:?}");
            }
        }
    }

    #[test]
    fn another_status_length_or_content_is_an_error() {
        for response in [
            &b"HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nHello, world!",
            b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, moon!!",
            b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!!",
        ] {
            assert!(
                Answer::new(HELLO.into()).take(response).is_err(),
                "{:?}",
                String::from_utf8_lossy(response)
            );
        }
    }

    #[test]
    fn a_request_with_content_tells_its_length() {
        let (request, content) = Exchange::Json.example(80, 7);
        let end = end_of_head(&request).unwrap();
        assert_eq!((content_length(&request[..end]), &request[end..]), (Some(content.len()), &content[..]));
        assert_eq!(Exchange::Download.example(80, 7).1.len(), 1 << 20);
    }
}
