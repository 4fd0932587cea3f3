//! tokio-tungstenite's client as a program: a command per line of stdin ("echo text 16 1"), and a line of stdout in answer to each.
//! The commands are those of `session.mjs`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::pin::pin;

use futures_util::future::{Either, select};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::{Bytes, Message, http::Uri};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(obey())
}

async fn obey() -> Result<(), Box<dyn Error>> {
    let mut session = Session::default();
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        // The server's pings are answered while there is nothing to do.
        let line = match select(pin!(lines.next_line()), pin!(session.listen())).await {
            Either::Left((line, _)) => line?,
            Either::Right((never, _)) => match never {},
        };
        let Some(line) = line else { return Ok(()) };
        match session.answer(&line).await {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("error {error}"),
        }
    }
}

/// A connection, and what has come over it that nobody has asked for yet.
#[derive(Default)]
struct Session {
    socket: Option<WebSocketStream<TcpStream>>,
    messages: VecDeque<Message>,
    /// The server's close frame, as the answer to a command.
    close: Option<String>,
    /// How it ended: with that, or without one.
    ending: Option<String>,
}

impl Session {
    async fn answer(&mut self, line: &str) -> Result<String, Box<dyn Error>> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["open", url] => self.open(url).await,
            ["echo", kind, size, parts] => self.echo(kind, size.parse()?, parts.parse()?).await,
            ["ping", data] => self.ping(data).await,
            ["close"] => self.close(None).await,
            ["close", code, ref reason @ ..] => {
                let frame = CloseFrame { code: code.parse::<u16>()?.into(), reason: reason.join(" ").into() };
                self.close(Some(frame)).await
            }
            ["wait"] => Ok(self.ended().await),
            _ => Err(format!("no such command: {line}").into()),
        }
    }

    async fn open(&mut self, url: &str) -> Result<String, Box<dyn Error>> {
        *self = Self::default();
        let address = url.parse::<Uri>()?.authority().ok_or("a URL without a host")?.to_string();
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let stream = TcpStream::connect(address).await?;
        let (socket, response) = client_async_with_config(url, stream, Some(config)).await?;
        self.socket = Some(socket);
        let extensions = response.headers().get("sec-websocket-extensions");
        Ok(format!("open {}", extensions.map_or(Ok("-"), |value| value.to_str())?))
    }

    async fn echo(&mut self, kind: &str, size: usize, parts: usize) -> Result<String, Box<dyn Error>> {
        let piece = payload(kind, size / parts);
        for n in 0..parts {
            let opcode = match (n, kind) {
                (0, "text") => Data::Text,
                (0, _) => Data::Binary,
                _ => Data::Continue,
            };
            let frame = Frame::message(piece.clone(), OpCode::Data(opcode), n == parts - 1);
            self.socket()?.send(Message::Frame(frame)).await?;
        }
        let Some(answer) = self.message().await else { return Ok(self.ended().await) };
        let is_same =
            answer.is_text() == (kind == "text") && answer.clone().into_data() == piece.repeat(parts);
        Ok(if is_same { "same".to_owned() } else { format!("{} bytes", answer.len()) })
    }

    async fn ping(&mut self, data: &str) -> Result<String, Box<dyn Error>> {
        self.socket()?.send(Message::Ping(Bytes::copy_from_slice(data.as_bytes()))).await?;
        match self.message().await {
            Some(Message::Pong(data)) => Ok(format!("pong {}", String::from_utf8_lossy(&data))),
            other => Err(format!("{other:?} instead of a pong").into()),
        }
    }

    async fn close(&mut self, frame: Option<CloseFrame>) -> Result<String, Box<dyn Error>> {
        self.socket()?.close(frame).await?;
        Ok(self.ended().await)
    }

    /// How the connection ended, once it has.
    async fn ended(&mut self) -> String {
        while self.ending.is_none() {
            self.receive().await;
        }
        self.ending.clone().expect("the loop ends with an ending")
    }

    /// The next message or pong; none when the connection has ended.
    async fn message(&mut self) -> Option<Message> {
        while self.messages.is_empty() && self.ending.is_none() {
            self.receive().await;
        }
        self.messages.pop_front()
    }

    /// Takes what comes in, for as long as nobody else asks.
    async fn listen(&mut self) -> Infallible {
        while self.socket.is_some() && self.ending.is_none() {
            self.receive().await;
        }
        pending().await
    }

    /// Takes one thing that comes in.
    async fn receive(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        match socket.next().await {
            // The end of the stream follows, when the answer to this has gone out.
            Some(Ok(Message::Close(frame))) => self.close = Some(closed(frame)),
            Some(Ok(Message::Ping(_))) => {}
            Some(Ok(message)) => self.messages.push_back(message),
            Some(Err(_)) | None => {
                self.ending = Some(self.close.take().unwrap_or_else(|| "closed 1006".to_owned()))
            }
        }
    }

    fn socket(&mut self) -> Result<&mut WebSocketStream<TcpStream>, &'static str> {
        self.socket.as_mut().ok_or("not open")
    }
}

fn closed(frame: Option<CloseFrame>) -> String {
    match frame {
        Some(CloseFrame { code, reason }) => format!("closed {code} {reason}").trim_end().to_owned(),
        None => "closed 1005".to_owned(),
    }
}

/// The same in every client.
fn payload(kind: &str, size: usize) -> Bytes {
    match kind {
        "text" => "a\u{E9}\u{20AC}\u{1F600} bcd\u{E9}".repeat(size / 16).into_bytes().into(),
        _ => (0..251).cycle().take(size).collect(),
    }
}
