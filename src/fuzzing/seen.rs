//! What a receiver sees, with bytes of its own, to be compared.

use crate::websocket::{Decompressor, Event, Inflater, Kind, Limits, ProtocolError, Receiver};

/// An event, or the end by an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Failed(ProtocolError),
}

impl Seen {
    pub(super) fn new(received: Result<Event<'_>, ProtocolError>) -> Self {
        match received {
            Ok(Event::Message(kind, payload)) => Self::message(kind, &payload),
            Ok(Event::Ping(payload)) => Self::Ping(payload.to_vec()),
            Ok(Event::Pong(payload)) => Self::Pong(payload.to_vec()),
            Ok(Event::Close { code, reason }) => Self::Close(code, reason.to_owned()),
            Err(error) => Self::Failed(error),
        }
    }

    pub(super) fn message(kind: Kind, payload: &[u8]) -> Self {
        if let Kind::Binary = kind {
            return Self::Binary(payload.to_vec());
        }
        assert!(kind == Kind::Text || payload.is_ascii(), "text is ASCII where it is called so");
        Self::Text(str::from_utf8(payload).expect("text is UTF-8").to_owned())
    }
}

/// What a receiver sees of a client whose bytes come in these pieces.
pub(super) fn receive<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    max_payload_length: usize,
    decompressor: Option<Decompressor>,
) -> Vec<Seen> {
    let limits = Limits { max_payload_length };
    let (mut receiver, mut inflater) = (Receiver::new(decompressor), Inflater::default());
    let mut seen = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            seen.push(match receiver.receive(&mut input, &limits, &mut inflater).transpose() {
                Some(received) => Seen::new(received),
                None => break,
            });
        }
        assert!(input.is_empty(), "all of the input is consumed");
    }
    seen
}
