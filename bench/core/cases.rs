//! What is counted. A case prepares what it needs and then does its work `times` times; every result is checked, so that nothing is
//! optimised away and nothing counted that does not work.

use http::{HeaderMap, HeaderValue, Method, header};
use mantou::http::framing::Framing;
use mantou::internals::{Audience, Idlers};
use mantou::websocket::deflate::{Compressor, Deflater};
use mantou::websocket::frame::{Opcode, write_frame};
use mantou::websocket::handshake::{accept, write_response};
use mantou::websocket::inflate::{Decompressor, Inflater};
use mantou::websocket::mask::unmask;
use mantou::websocket::receiver::{Event, Kind, Limits, Receiver};
use mantou::websocket::{Agreed, DeflateConfig, Level, extensions};

/// A piece of the core's work.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Done each time: messages, frames, deliveries.
    pub(crate) operations: usize,
    pub(crate) work: fn(times: usize),
}

pub(crate) const CASES: &[Case] = &[
    Case { name: "decode 20 B", operations: 64, work: |times| decode(times, 64, &text(20), 1) },
    Case { name: "decode 1 KB", operations: 16, work: |times| decode(times, 16, &text(1024), 1) },
    Case { name: "decode 1 KB of ASCII", operations: 16, work: |times| decode(times, 16, &json(1024), 1) },
    Case { name: "decode 16 KB", operations: 1, work: |times| decode(times, 1, &text(16 * 1024), 1) },
    Case {
        name: "decode 16 KB in 4 reads",
        operations: 1,
        work: |times| decode(times, 1, &text(16 * 1024), 4),
    },
    Case { name: "encode 20 B", operations: 64, work: |times| encode(times, 64, &text(20)) },
    Case { name: "encode 16 KB", operations: 1, work: |times| encode(times, 1, &text(16 * 1024)) },
    Case { name: "deflate 1 KB", operations: 1, work: |times| deflate(times, &agreed(true), &json(1024)) },
    Case {
        name: "deflate 1 KB in a context",
        operations: 1,
        work: |times| deflate(times, &agreed(false), &json(1024)),
    },
    Case {
        name: "deflate 64 KB",
        operations: 1,
        work: |times| deflate(times, &agreed(true), &json(64 * 1024)),
    },
    Case { name: "inflate 1 KB", operations: 1, work: |times| inflate(times, &json(1024)) },
    Case { name: "inflate 64 KB", operations: 1, work: |times| inflate(times, &json(64 * 1024)) },
    Case { name: "publish to 1,000", operations: 1000, work: |times| publish(times, 1, None) },
    Case { name: "publish to 1,000, 16 at once", operations: 16_000, work: |times| publish(times, 16, None) },
    Case {
        name: "publish to 1,000, compressed",
        operations: 1000,
        work: |times| publish(times, 1, Some(15)),
    },
    Case { name: "subscribe and leave, one topic", operations: 1000, work: |times| subscribe(times, 1) },
    Case {
        name: "subscribe and leave, 1,000 topics",
        operations: 1000,
        work: |times| subscribe(times, 1000),
    },
    Case { name: "watch an idle client for a second", operations: IDLERS, work: watch },
    Case { name: "hear from an idle client", operations: IDLERS, work: hear },
    Case { name: "handshake", operations: 1, work: handshake },
    Case { name: "frame a GET", operations: 1, work: |times| framing(times, GET) },
    Case {
        name: "frame a chunked POST of 4 KB",
        operations: 1,
        work: |times| framing(times, &chunked_post()),
    },
];

fn decode(times: usize, count: usize, message: &[u8], reads: usize) {
    let wire = client_frames(count, false, message);
    let (mut receiver, mut inflater) = (Receiver::new(None), Inflater::default());
    for _ in 0..times {
        // It is unmasked in place, as in the scratch buffer that a socket is read into.
        let mut bytes = wire.clone();
        let mut received = 0;
        for mut input in bytes.chunks_mut(wire.len().div_ceil(reads)) {
            while let Some(event) = receive(&mut receiver, &mut input, &mut inflater) {
                assert!(matches!(event, Event::Message(_, text) if text.len() == message.len()));
                received += 1;
            }
        }
        assert_eq!(received, count);
    }
}

fn encode(times: usize, count: usize, message: &[u8]) {
    let mut wire = Vec::new();
    for _ in 0..times {
        wire.clear();
        for _ in 0..count {
            write_frame(&mut wire, Opcode::Text, message);
        }
        assert!(wire.len() > count * message.len());
    }
}

fn deflate(times: usize, agreed: &Agreed, message: &[u8]) {
    let mut deflater = Deflater::default();
    let mut compressor = Compressor::new(agreed).expect("the server compresses");
    let mut wire = Vec::new();
    for _ in 0..times {
        wire.clear();
        compressor.write_frame(&mut deflater, &mut wire, Opcode::Text, message);
        assert!(wire.len() < message.len());
    }
}

fn inflate(times: usize, message: &[u8]) {
    let (mut deflater, mut frame) = (Deflater::default(), Vec::new());
    deflater.write_frame(&mut frame, Opcode::Text, message, 15);
    let header = if frame[1] < 126 {
        2
    } else if frame[1] == 126 {
        4
    } else {
        10
    };
    let wire = client_frames(1, true, &frame[header..]);
    let mut receiver = Receiver::new(Some(Decompressor::new(&agreed(true))));
    let mut inflater = Inflater::default();
    for _ in 0..times {
        let mut bytes = wire.clone();
        let event = receive(&mut receiver, &mut &mut bytes[..], &mut inflater);
        assert!(matches!(event, Some(Event::Message(Kind::Text, text)) if *text == *message));
    }
}

fn publish(times: usize, messages: usize, window_bits: Option<u8>) {
    let (mut audience, message) = (Audience::new(1000), json(64));
    assert!((0..1000).all(|subscriber| audience.subscribe(subscriber, "news")));
    for _ in 0..times {
        for _ in 0..messages {
            assert_eq!(audience.publish("news", &message, window_bits), 1000);
        }
        assert!(audience.flush() > 0);
    }
}

fn subscribe(times: usize, topics: usize) {
    let audience = Audience::new(1000);
    let names: Vec<_> = (0..topics).map(|topic| format!("topic {topic}")).collect();
    let name = |subscriber: usize| &*names[subscriber % topics];
    for _ in 0..times {
        assert!((0..1000).all(|subscriber| audience.subscribe(subscriber, name(subscriber))));
        assert!((0..1000).all(|subscriber| audience.unsubscribe(subscriber, name(subscriber))));
    }
}

/// Of 10,000, who are pinged after 104 seconds of silence.
fn watch(times: usize) {
    let mut idlers = Idlers::new(IDLERS, 120);
    let pings: usize = (0..times).map(|_| idlers.pass(1000)).sum();
    assert!(pings.abs_diff(times * IDLERS / 104) <= times);
}

fn hear(times: usize) {
    let mut idlers = Idlers::new(IDLERS, 120);
    for _ in 0..times {
        (0..IDLERS).for_each(|client| idlers.hear(client));
        assert_eq!(idlers.pass(1), 0);
    }
}

fn handshake(times: usize) {
    let offer = HeaderValue::from_static("permessage-deflate; client_max_window_bits");
    let headers = HeaderMap::from_iter([
        (header::HOST, HeaderValue::from_static("127.0.0.1")),
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==")),
        (header::SEC_WEBSOCKET_EXTENSIONS, offer),
    ]);
    let config = DeflateConfig::new(Some(Level::Shared), Some(Level::Shared)).expect("it compresses");
    let mut response = Vec::new();
    for _ in 0..times {
        response.clear();
        let accept = accept(&Method::GET, &headers).expect("it is a handshake");
        let offers = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter().map(HeaderValue::as_bytes);
        let agreed = extensions::negotiate(offers, &config);
        write_response(&mut response, &accept, agreed.as_ref(), &[], &[], b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert!(agreed.is_some() && response.starts_with(b"HTTP/1.1 101"));
    }
}

fn framing(times: usize, request: &[u8]) {
    let mut framing = Framing::new(1 << 20);
    for _ in 0..times {
        let mut bytes = request.to_vec();
        let mut passed = framing.receive(&mut bytes, usize::MAX).expect("what is sent is right").len();
        // The target comes out as `/`, and a request goes on in two pieces where it has content.
        passed += framing.receive(&mut [], usize::MAX).expect("and what is kept of it too").len();
        assert!(
            passed > request.len() - 64 && framing.target() == b"/search?q=bun" && !framing.is_in_content()
        );
    }
}

/// As a browser sends it.
const GET: &[u8] = b"GET /search?q=bun HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nConnection: keep-alive\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n\
Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n";

fn chunked_post() -> Vec<u8> {
    let head = b"POST /search?q=bun HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"200\r\n", &json(512)[..], b"\r\n"].concat();
    [&head[..], &chunk.repeat(8), b"0\r\n\r\n"].concat()
}

/// Only one case of a lifetime: the event borrows from all three.
fn receive<'a, 'i: 'a>(
    receiver: &'a mut Receiver,
    input: &mut &'i mut [u8],
    inflater: &'a mut Inflater,
) -> Option<Event<'a>> {
    receiver.receive(input, &LIMITS, inflater).expect("what is sent is right")
}

/// So many masked text frames of a client.
fn client_frames(count: usize, is_compressed: bool, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    const MASK: u8 = 0x80;
    let mut frame = Vec::new();
    write_frame(&mut frame, Opcode::Text, payload);
    let header = frame.len() - payload.len();
    frame[0] |= if is_compressed { 0x40 } else { 0 };
    frame[1] |= MASK;
    unmask(&mut frame[header..], KEY, 0);
    frame.splice(header..header, KEY);
    frame.repeat(count)
}

/// What both sides agree to: messages that stand alone, or a context of 4 KiB for what the server says.
fn agreed(alone: bool) -> Agreed {
    Agreed {
        client_no_context_takeover: true,
        client_max_window_bits: None,
        server_no_context_takeover: alone,
        server_max_window_bits: (!alone).then_some(12),
        server_compresses: true,
    }
}

/// Text that is not all ASCII.
fn text(size: usize) -> Vec<u8> {
    const PATTERN: &str = "steamed bün ";
    let mut text = PATTERN.repeat(size / PATTERN.len()).into_bytes();
    text.resize(size, b'.');
    text
}

/// About so much JSON, compressible as JSON is.
fn json(size: usize) -> Vec<u8> {
    let mut random = 1_u32;
    let mut text = String::from("[");
    while text.len() < size {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += &format!("{{\"id\":{},\"side\":\"buy\",\"price\":{}.5}},", random >> 4, random >> 22);
    }
    text.truncate(size);
    text.into()
}

/// Clients that are idle at the same time.
const IDLERS: usize = 10_000;

const LIMITS: Limits = Limits { max_payload_length: 1 << 20 };
