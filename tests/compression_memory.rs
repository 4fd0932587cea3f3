//! What compression costs: bytes per connection at every level, and no more than the limit for a bomb. Measured by the allocator.

use mantou::websocket::extensions::negotiate;
use mantou::websocket::{
    Agreed, Compressor, Decompressor, DeflateConfig, Deflater, Event, Inflater, Kind, Level, Limits, Opcode,
    ProtocolError, Receiver,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts what the thread that asks has of it.
struct Counting;

thread_local! {
    /// Less than nothing where it gave back what another thread had taken.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(taken: usize, given: usize) {
    HELD.set(HELD.get() + taken as isize - given as isize);
    PEAK.set(PEAK.get().max(HELD.get()));
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(bytes, layout) }
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(bytes, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many bytes `made` holds that were not held before.
fn held_by<T>(make: impl FnOnce() -> T) -> (isize, T) {
    let before = HELD.get();
    let made = make();
    (HELD.get() - before, made)
}

fn agree(compress: &str, decompress: &str) -> Agreed {
    let config = DeflateConfig::new(Level::parse(compress), Level::parse(decompress)).unwrap();
    negotiate([&b"permessage-deflate; client_max_window_bits"[..]], &config).unwrap()
}

/// 100 KiB of text that does not repeat itself, in messages of 1 KiB.
fn messages() -> Vec<Vec<u8>> {
    let text: String = (0..25_000_u64).map(|i| format!("{}, ", i * i * i)).collect();
    text.as_bytes().chunks(1024).take(100).map(<[u8]>::to_vec).collect()
}

/// The frame of a client, with a masking key of zeros.
fn client_frame(server_frame: &[u8]) -> Vec<u8> {
    let header = match server_frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let mut frame = server_frame[..header].to_vec();
    frame[1] |= 0x80;
    frame.extend([0; 4]);
    frame.extend(&server_frame[header..]);
    frame
}

const LIMITS: Limits = Limits { max_payload_length: 16 * 1024 * 1024 };

#[test]
fn a_compressor_costs_what_its_level_says() {
    let messages = messages();
    for (level, expected) in [
        ("shared", 0),
        ("3KB", 282),
        ("4KB", 282),
        ("8KB", 794),
        ("16KB", 1818),
        ("32KB", 3866),
        ("64KB", 178 << 10),
        ("128KB", 210 << 10),
        ("256KB", 274 << 10),
        ("dedicated", 274 << 10),
    ] {
        let agreed = agree(level, "shared");
        let (mut deflater, mut wire) = (Deflater::default(), Vec::with_capacity(64 * 1024));
        let mut first = Compressor::new(&agreed).unwrap();
        first.write_frame(&mut deflater, &mut wire, Opcode::Text, b"the engine has its part");
        let (idle, mut compressor) = held_by(|| Compressor::new(&agreed).unwrap());
        assert_eq!(idle, 0, "{level}: nothing before the first message");
        let (used, ()) = held_by(|| {
            for message in &messages {
                wire.clear();
                compressor.write_frame(&mut deflater, &mut wire, Opcode::Text, message);
            }
        });
        // A stream is zlib's, which may lay it out a little smaller.
        assert!((expected * 9 / 10..=expected).contains(&used), "{used} bytes at {level}");
    }
}

#[test]
fn a_receiver_costs_what_its_level_says() {
    let messages = messages();
    for (level, expected) in [
        ("shared", 0),
        ("3KB", (2 << 10) + 32),
        ("4KB", (4 << 10) + 32),
        ("8KB", (8 << 10) + 32),
        ("16KB", (16 << 10) + 32),
        ("32KB", (32 << 10) + 32),
        ("64KB", (32 << 10) + 32),
        ("128KB", (32 << 10) + 32),
        ("256KB", (32 << 10) + 32),
        ("dedicated", (32 << 10) + 32),
    ] {
        let agreed = agree("shared", level);
        let (mut deflater, mut inflater) = (Deflater::default(), Inflater::default());
        let mut receive = |receiver: &mut Receiver| {
            for message in &messages {
                let mut wire = Vec::new();
                deflater.write_frame(&mut wire, Opcode::Text, message, 9);
                let mut wire = client_frame(&wire);
                let event = receiver.receive(&mut &mut wire[..], &LIMITS, &mut inflater).unwrap().unwrap();
                assert!(matches!(event, Event::Message(Kind::Text, text) if *text == message[..]));
            }
        };
        receive(&mut Receiver::new(Some(Decompressor::new(&agreed)))); // the engine has its part
        let (idle, mut receiver) = held_by(|| Receiver::new(Some(Decompressor::new(&agreed))));
        assert_eq!(idle, 0, "{level}: nothing before the first message");
        let (used, ()) = held_by(|| receive(&mut receiver));
        assert_eq!(used, expected, "{level}");
    }
}

#[test]
fn a_bomb_takes_no_more_memory_than_the_limit() {
    let mut wire = Vec::new();
    Deflater::default().write_frame(&mut wire, Opcode::Binary, &vec![b'x'; 100_000_000], 15);
    assert!(wire.len() < 100_000, "it is 1000 times as large as it looks");
    for max_payload_length in [1000, 100_000, 1 << 20, 16 << 20] {
        for level in ["shared", "dedicated"] {
            let mut frame = client_frame(&wire);
            let mut receiver = Receiver::new(Some(Decompressor::new(&agree("shared", level))));
            let mut inflater = Inflater::default();
            let before = HELD.get();
            PEAK.set(before);
            let limits = Limits { max_payload_length };
            let received = receiver.receive(&mut &mut frame[..], &limits, &mut inflater);
            assert_eq!(received, Err(ProtocolError::MessageTooBig));
            let taken = PEAK.get() - before;
            let limit = max_payload_length as isize;
            assert!(taken <= limit + 1 + ENGINE, "{taken} for a limit of {limit}");
            assert!(HELD.get() - before <= ENGINE, "nothing is left but what is the engine's");
        }
    }
}

/// What the sockets of an engine share to decompress: zlib's state and a buffer.
const ENGINE: isize = 112 * 1024;
