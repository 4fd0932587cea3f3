//! One connection's TLS without its socket: ciphertext in, plaintext out, and the other way round. Who owns the socket passes
//! functions that read from it and write to it.
//!
//! Sending keeps the promise of a socket: bytes are reported as sent when the kernel has them. rustls cannot take back what it has
//! encrypted, so ciphertext that the kernel refuses waits here, and its plaintext counts as refused until it has left: the caller
//! comes again with the same bytes, as it would to a socket.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::Error;
use rustls::server::{Acceptor, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use tokio::io::ReadBuf;

use super::keyring::Keyring;

/// See the module. An idle one holds no buffers.
pub(crate) struct Session {
    state: State,
    /// Ciphertext that is not a whole message yet.
    partial: Vec<u8>,
    /// What the peer has said and nobody has taken yet.
    plaintext: BytesMut,
    /// What the kernel has not taken yet.
    ciphertext: BytesMut,
    /// Bytes of the caller's in `ciphertext`.
    in_flight: usize,
    is_at_end: bool,
    is_finished: bool,
}

enum State {
    /// Nothing is known of the peer. The acceptor reads its ClientHello where that decides who we are.
    Greeting(Rc<Keyring>, Option<Box<Acceptor>>),
    Running(Box<UnbufferedServerConnection>),
    Failed,
}

/// Bytes that are encrypted for one system call: four full records.
const BATCH: usize = 64 * 1024;
/// Bytes of ciphertext that one read can take, behind what was left of the last. More cannot be one message either (rustls allows
/// 64 KiB for one of a handshake, 16 KiB for others).
const INCOMING: usize = 64 * 1024;
/// A reader with little room does not make the reads of the socket small.
const MIN_READ: usize = 4 * 1024;
/// RFC 8446 §5.1: the type of a record of the handshake, the first byte of every TLS connection.
const HANDSHAKE: u8 = 22;

/// Buffers that serve every session of a thread, one at a time.
struct Scratch {
    incoming: Box<[u8]>,
    gathered: Vec<u8>,
    sealed: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        incoming: vec![0; INCOMING].into_boxed_slice(),
        gathered: Vec::new(),
        sealed: vec![0; BATCH + 512],
    });
}

impl Session {
    /// A session in which nothing was said yet.
    pub(super) fn new(keyring: Rc<Keyring>) -> Self {
        let acceptor = keyring.wants_hello().then(Box::default);
        Self {
            state: State::Greeting(keyring, acceptor),
            partial: Vec::new(),
            plaintext: BytesMut::new(),
            ciphertext: BytesMut::new(),
            in_flight: 0,
            is_at_end: false,
            is_finished: false,
        }
    }

    /// Until then nothing can be sent.
    pub(super) fn is_handshaking(&self) -> bool {
        match &self.state {
            State::Greeting(..) | State::Failed => true,
            State::Running(tls) => tls.is_handshaking(),
        }
    }

    /// Whether nothing the peer says means anything any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_finished || matches!(self.state, State::Failed)
    }

    /// Whether the peer has ended its side. What it said before may still wait to be taken.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Whether our side is over: FIN follows when everything is flushed.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    pub(super) fn has_plaintext(&self) -> bool {
        !self.plaintext.is_empty()
    }

    /// Whether ciphertext waits for the kernel.
    pub(super) fn has_ciphertext(&self) -> bool {
        !self.ciphertext.is_empty()
    }

    /// Gives what was received earlier and found no room.
    pub(super) fn take_plaintext(&mut self, out: &mut ReadBuf<'_>) {
        let count = self.plaintext.len().min(out.remaining());
        out.put_slice(&self.plaintext[..count]);
        self.plaintext.advance(count);
        if self.plaintext.is_empty() {
            self.plaintext = BytesMut::new();
        }
    }

    /// Decrypts what `read` reads, into `out` as far as there is room, and what there is no room for for `take_plaintext`. Nothing comes out
    /// of it when there is no whole record yet, or only records of TLS itself. An answer that is owed waits to be flushed, also behind an error.
    pub(super) fn poll_receive(
        &mut self,
        read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|Scratch { incoming, .. }| {
            let kept = self.partial.len();
            let room = (incoming.len() - kept).min(out.remaining().max(MIN_READ));
            if room == 0 {
                return Poll::Ready(Err(self.fail(Error::General("a message is too long".into()))));
            }
            let mut buffer = ReadBuf::new(&mut incoming[kept..kept + room]);
            ready!(read(&mut buffer))?;
            let count = buffer.filled().len();
            if count == 0 {
                self.is_at_end = true;
                return Poll::Ready(Ok(()));
            }
            incoming[..kept].copy_from_slice(&self.partial);
            match self.receive(&mut incoming[..kept + count], kept, out) {
                Ok(used) if used == kept + count => self.partial = Vec::new(),
                Ok(used) => {
                    self.partial.clear();
                    self.partial.extend_from_slice(&incoming[used..kept + count]);
                }
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Processes `bytes`, of which the first `known` were here before. Returns how many are done with.
    fn receive(&mut self, bytes: &mut [u8], known: usize, out: &mut ReadBuf<'_>) -> Result<usize, Error> {
        if self.is_over() {
            return Ok(bytes.len());
        }
        if let State::Greeting(keyring, acceptor) = &mut self.state {
            // Plain HTTP, mostly: it is not answered in a language it does not speak.
            if bytes[0] != HANDSHAKE {
                return Err(Error::General("not TLS".into()));
            }
            let config = match acceptor {
                None => keyring.default_config(),
                Some(acceptor) => match keyring.choose(acceptor, &bytes[known..]) {
                    None => return Ok(0),
                    Some(config) => config,
                },
            };
            self.state = State::Running(Box::new(UnbufferedServerConnection::new(config)?));
        }
        let State::Running(tls) = &mut self.state else { unreachable!("greeted above, and not over") };
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = tls.process_tls_records(&mut bytes[used..]);
            let mut is_quiet = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        let (now, later) = record.payload.split_at(record.payload.len().min(out.remaining()));
                        out.put_slice(now);
                        self.plaintext.extend_from_slice(later);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    append(&mut self.ciphertext, |into| message.encode(into));
                }
                // It leaves in its place behind what waits already.
                Ok(ConnectionState::TransmitTlsData(transmission)) => transmission.done(),
                Ok(ConnectionState::PeerClosed) => self.is_at_end = true,
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => is_quiet = true,
                // Both sides are done. What the peer sends all the same is nobody's.
                Ok(ConnectionState::Closed) => return Ok(bytes.len()),
                Ok(_) => return Err(Error::General("early data was not offered".into())),
                Err(error) => {
                    used += discard;
                    while tls.wants_write()
                        && let Ok(ConnectionState::EncodeTlsData(mut alert)) =
                            tls.process_tls_records(&mut bytes[used..]).state
                    {
                        append(&mut self.ciphertext, |into| alert.encode(into));
                    }
                    return Err(error);
                }
            }
            used += discard;
            if is_quiet {
                return Ok(used);
            }
        }
    }

    /// Encrypts and sends the beginning of `slices`. Returns how many of its bytes the kernel has; `WouldBlock` when it has not taken all that
    /// was encrypted: then the caller comes again with the same bytes, or says `forget`.
    pub(super) fn send(
        &mut self,
        slices: &[IoSlice<'_>],
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.flush(&mut write)?;
        if self.in_flight > 0 {
            return Ok(std::mem::take(&mut self.in_flight));
        }
        if self.is_finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = SCRATCH.with_borrow_mut(|Scratch { gathered, sealed, .. }| {
            let plaintext = gather(slices, gathered);
            let length = self.seal(plaintext, sealed)?;
            let mut rest = &sealed[..length];
            let sent = write_all(&mut rest, &mut write);
            if !rest.is_empty() {
                self.ciphertext.extend_from_slice(rest);
                self.in_flight = plaintext.len();
            }
            sent.map(|()| plaintext.len())
        })?;
        Ok(count)
    }

    /// Encrypts `plaintext` into `sealed`, which grows where it must. Returns its length there.
    fn seal(&mut self, plaintext: &[u8], sealed: &mut Vec<u8>) -> io::Result<usize> {
        let State::Running(tls) = &mut self.state else { return Err(io::ErrorKind::NotConnected.into()) };
        // The pieces of a message that rustls has looked at must be there whenever it is asked for something.
        let status = tls.process_tls_records(&mut self.partial);
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        loop {
            match traffic.encrypt(plaintext, sealed) {
                Ok(length) => return Ok(length),
                Err(EncryptError::InsufficientSize(error)) => sealed.resize(error.required_size, 0),
                // RFC 8446 §5.5: so many records that the keys must not be used on.
                Err(error @ EncryptError::EncryptExhausted) => return Err(io::Error::other(error)),
            }
        }
    }

    /// The caller will not come again with what was refused.
    pub(super) fn forget(&mut self) {
        self.in_flight = 0;
    }

    /// Gives the kernel what it takes of the ciphertext that waits; `WouldBlock` when something is left.
    pub(super) fn flush(&mut self, write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut rest = &self.ciphertext[..];
        let flushed = write_all(&mut rest, write);
        if rest.is_empty() {
            self.ciphertext = BytesMut::new();
        } else {
            let sent = self.ciphertext.len() - rest.len();
            self.ciphertext.advance(sent);
        }
        flushed
    }

    /// Ends our side: `close_notify` is the last thing to be flushed (RFC 8446 §6.1).
    pub(super) fn finish(&mut self) {
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        if let State::Running(tls) = &mut self.state
            && let Ok(ConnectionState::WriteTraffic(mut traffic)) =
                tls.process_tls_records(&mut self.partial).state
        {
            append(&mut self.ciphertext, |into| traffic.queue_close_notify(into));
        }
    }

    fn fail(&mut self, error: Error) -> io::Error {
        self.state = State::Failed;
        self.partial = Vec::new();
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Appends what `encode` writes to `bytes`.
fn append<E: Into<Shortage>>(bytes: &mut BytesMut, mut encode: impl FnMut(&mut [u8]) -> Result<usize, E>) {
    let before = bytes.len();
    let mut room = 512;
    loop {
        bytes.resize(before + room, 0);
        match encode(&mut bytes[before..]).map_err(Into::into) {
            Ok(length) => return bytes.truncate(before + length),
            Err(Shortage(required)) if required > room => room = required,
            Err(_) => return bytes.truncate(before),
        }
    }
}

/// How many bytes an encoder wants; 0 when no room would help.
struct Shortage(usize);

impl From<EncodeError> for Shortage {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(error) => Self(error.required_size),
            EncodeError::AlreadyEncoded => Self(0),
        }
    }
}

impl From<EncryptError> for Shortage {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(error) => Self(error.required_size),
            EncryptError::EncryptExhausted => Self(0),
        }
    }
}

/// The first `BATCH` bytes of `slices` in one piece.
fn gather<'a>(slices: &'a [IoSlice<'_>], gathered: &'a mut Vec<u8>) -> &'a [u8] {
    if let [slice] = slices {
        return &slice[..slice.len().min(BATCH)];
    }
    gathered.clear();
    for slice in slices {
        let room = BATCH - gathered.len();
        gathered.extend_from_slice(&slice[..slice.len().min(room)]);
    }
    gathered
}

/// Writes until all is written or `write` fails; `bytes` is then what is left.
fn write_all(bytes: &mut &[u8], mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::ring;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::version::{TLS12, TLS13};
    use rustls::{
        ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
    };

    use super::*;
    use crate::server::keyring::Entry;
    use crate::server::keyring::tests::entry;

    /// A client that believes everything, the wire in between, and our side.
    struct Pair {
        client: ClientConnection,
        session: Session,
        /// From the client.
        up: VecDeque<u8>,
        /// To the client; it takes no more than `room`.
        down: Vec<u8>,
        room: usize,
        /// How many bytes one read finds.
        piece: usize,
        /// How much plaintext one read has room for.
        reader: usize,
    }

    impl Pair {
        fn new(version: &'static SupportedProtocolVersion) -> Self {
            Self::with(version, &Rc::new(Keyring::new(&[entry(None)]).unwrap()))
        }

        fn with(version: &'static SupportedProtocolVersion, keyring: &Rc<Keyring>) -> Self {
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Trusting))
                .with_no_client_auth();
            let name = ServerName::try_from("mantou.test").unwrap();
            Self {
                client: ClientConnection::new(Arc::new(config), name).unwrap(),
                session: keyring.session(),
                up: VecDeque::new(),
                down: Vec::new(),
                room: usize::MAX,
                piece: usize::MAX,
                reader: 64 * 1024,
            }
        }

        /// Shakes hands.
        fn open(mut self) -> Self {
            while self.client.is_handshaking() || self.session.is_handshaking() {
                assert_eq!(self.receive().unwrap(), b"");
                self.deliver();
            }
            self
        }

        /// What we read of what the client has sent so far.
        fn receive(&mut self) -> io::Result<Vec<u8>> {
            while self.client.wants_write() {
                self.client.write_tls(&mut self.up).unwrap();
            }
            let mut received = Vec::new();
            loop {
                let mut buffer = vec![0; self.reader];
                let mut out = ReadBuf::new(&mut buffer);
                self.session.take_plaintext(&mut out);
                let Self { session, up, piece, .. } = self;
                if out.filled().is_empty() {
                    let read = |buffer: &mut ReadBuf<'_>| {
                        let count = buffer.remaining().min(*piece).min(up.len());
                        up.drain(..count).for_each(|byte| buffer.put_slice(&[byte]));
                        if count == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
                    };
                    match session.poll_receive(read, &mut out) {
                        Poll::Pending => return Ok(received),
                        Poll::Ready(result) => result?,
                    }
                }
                received.extend_from_slice(out.filled());
            }
        }

        fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Self { session, down, room, .. } = self;
            session.send(&[IoSlice::new(bytes)], kernel(down, room))
        }

        fn flush(&mut self) -> io::Result<()> {
            let Self { session, down, room, .. } = self;
            session.flush(kernel(down, room))
        }

        /// What the client reads of what was sent so far.
        fn deliver(&mut self) -> Vec<u8> {
            // What the kernel has no room for stays where it is.
            let _ = self.flush();
            let mut read = Vec::new();
            let mut down = &self.down[..];
            while !down.is_empty() {
                self.client.read_tls(&mut down).unwrap();
                self.client.process_new_packets().unwrap();
                let mut buffer = [0; 4096];
                while let Ok(count) = io::Read::read(&mut self.client.reader(), &mut buffer)
                    && count > 0
                {
                    read.extend_from_slice(&buffer[..count]);
                }
            }
            self.down.clear();
            read
        }

        fn say(&mut self, bytes: &[u8]) {
            io::Write::write_all(&mut self.client.writer(), bytes).unwrap();
        }
    }

    /// Takes what there is room for.
    fn kernel<'a>(down: &'a mut Vec<u8>, room: &'a mut usize) -> impl FnMut(&[u8]) -> io::Result<usize> + 'a {
        |bytes| {
            let count = bytes.len().min(*room);
            *room -= count;
            down.extend_from_slice(&bytes[..count]);
            if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        }
    }

    #[derive(Debug)]
    struct Trusting;

    impl ServerCertVerifier for Trusting {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n / 251 + n) as u8).collect()
    }

    #[test]
    fn bytes_arrive_in_whatever_pieces_they_come_and_whatever_room_there_is_for_them() {
        let message = pattern(50_000);
        for version in [&TLS12, &TLS13] {
            for (piece, reader) in
                [(1, 64 * 1024), (7, 100), (1000, 1), (usize::MAX, 10_000), (usize::MAX, 64 * 1024)]
            {
                let mut pair = Pair { piece, reader, ..Pair::new(version) }.open();
                pair.say(&message);
                assert_eq!(pair.receive().unwrap(), message, "{piece} {reader}");
                assert!(pair.session.partial.is_empty() && !pair.session.has_plaintext());
            }
        }
    }

    #[test]
    fn bytes_leave_once_and_in_order_whatever_the_kernel_takes_at_a_time() {
        let message = pattern(300_000);
        for version in [&TLS12, &TLS13] {
            for room in [1, 1000, 20_000, 70_000, 1_000_000] {
                let mut pair = Pair::new(version).open();
                let (mut sent, mut read) = (0, Vec::new());
                while sent < message.len() {
                    pair.room = room;
                    match pair.send(&message[sent..]) {
                        Ok(count) => sent += count,
                        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                    }
                    read.extend(pair.deliver());
                    assert!(read.len() >= sent, "only what the kernel has counts as sent");
                }
                assert_eq!(read, message, "{room}");
                assert!(!pair.session.has_ciphertext());
            }
        }
    }

    #[test]
    fn pieces_are_sent_together() {
        let mut pair = Pair::new(&TLS13).open();
        let slices = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
        let Pair { session, down, room, .. } = &mut pair;
        assert_eq!(session.send(&slices, kernel(down, room)).unwrap(), 7);
        // RFC 8446 §5.2: one record, with 5 bytes of header, 1 of type and 16 of tag.
        assert_eq!(pair.down.len(), 7 + 22);
        assert_eq!(pair.deliver(), b"one two");
    }

    #[test]
    fn what_is_forgotten_has_left_all_the_same_but_is_not_asked_for_again() {
        let mut pair = Pair::new(&TLS13).open();
        pair.room = 10;
        assert_eq!(pair.send(b"given up").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        pair.session.forget();
        pair.room = usize::MAX;
        assert_eq!(pair.send(b"x").unwrap(), 1);
        assert_eq!(pair.deliver(), b"given upx");
    }

    #[test]
    fn nothing_can_be_sent_before_the_handshake_or_after_the_end() {
        let mut pair = Pair::new(&TLS13);
        assert_eq!(pair.send(b"x").unwrap_err().kind(), io::ErrorKind::NotConnected);
        let mut pair = pair.open();
        pair.session.finish();
        assert_eq!(pair.send(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn each_side_says_that_it_ends() {
        for version in [&TLS12, &TLS13] {
            let mut pair = Pair::new(version).open();
            pair.say(b"last words");
            pair.client.send_close_notify();
            assert_eq!(pair.receive().unwrap(), b"last words");
            assert!(pair.session.is_at_end());

            pair.send(b"goodbye").unwrap();
            pair.session.finish();
            pair.session.finish();
            assert_eq!(pair.deliver(), b"goodbye");
            assert!(pair.client.process_new_packets().unwrap().peer_has_closed());
        }
    }

    #[test]
    fn new_keys_may_come_in_pieces_with_something_to_send_between_them() {
        let mut pair = Pair { piece: 1, ..Pair::new(&TLS13).open() };
        pair.client.refresh_traffic_keys().unwrap();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut pair.up).unwrap();
        }
        let mut rest = std::mem::take(&mut pair.up);
        while let Some(byte) = rest.pop_front() {
            pair.up.push_back(byte);
            assert_eq!(pair.receive().unwrap(), b"");
            assert_eq!(pair.send(b"x").unwrap(), 1);
            assert_eq!(pair.deliver(), b"x");
        }
        pair.say(b"under new keys");
        assert_eq!(pair.receive().unwrap(), b"under new keys");
    }

    #[test]
    fn plain_http_gets_no_answer() {
        let mut pair = Pair::new(&TLS13);
        pair.client.write_tls(&mut io::sink()).unwrap();
        pair.up.extend(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(pair.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(pair.session.is_over() && !pair.session.has_ciphertext());
    }

    #[test]
    fn a_damaged_record_ends_it_with_an_alert() {
        for version in [&TLS12, &TLS13] {
            let mut pair = Pair::new(version).open();
            pair.say(b"to be damaged");
            pair.client.write_tls(&mut pair.up).unwrap();
            *pair.up.back_mut().unwrap() ^= 1;
            assert_eq!(pair.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert!(pair.session.is_over());
            pair.flush().unwrap();
            pair.client.read_tls(&mut &pair.down[..]).unwrap();
            let error = pair.client.process_new_packets().unwrap_err();
            assert_eq!(error, Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
        }
    }

    #[test]
    fn a_peer_that_damages_repeats_or_leaves_out_what_it_says_does_no_harm() {
        let keyring = Rc::new(Keyring::new(&[entry(None), entry(Some("mantou.test"))]).unwrap());
        for seed in 1..400_u64 {
            let mut state = seed;
            let mut random = |below: usize| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as usize % below.max(1)
            };
            let version = if random(2) == 0 { &TLS12 } else { &TLS13 };
            let mut pair = Pair { piece: 1 + random(300), ..Pair::with(version, &keyring) };
            let harmless_steps = random(8);
            for step in 0..20 {
                while pair.client.wants_write() {
                    pair.client.write_tls(&mut pair.up).unwrap();
                }
                if step >= harmless_steps && !pair.up.is_empty() {
                    let at = random(pair.up.len());
                    match random(4) {
                        0 => pair.up[at] ^= 1 << random(8),
                        1 => drop(pair.up.remove(at)),
                        2 => pair.up.truncate(at),
                        _ => pair.up = pair.up.iter().chain(pair.up.iter().skip(at)).copied().collect(),
                    }
                }
                match pair.receive() {
                    Ok(_) => {}
                    Err(_) => break,
                }
                // Before the handshake, or with nothing more to say, that is refused.
                let _ = pair.send(b"something to say");
                let _ = pair.flush();
                let mut down = &pair.down[..];
                while !down.is_empty() && pair.client.read_tls(&mut down).is_ok() {
                    if pair.client.process_new_packets().is_err() {
                        break;
                    }
                }
                pair.down.clear();
                let _ = io::Write::write(&mut pair.client.writer(), &vec![7; random(3000)]);
                if random(10) == 0 {
                    pair.session.finish();
                }
            }
            pair.session.finish();
            pair.flush().unwrap();
            assert!(pair.session.partial.len() < INCOMING);
        }
    }

    #[test]
    fn the_name_is_found_in_a_client_hello_in_pieces_and_its_last_entry_counts() {
        let silent = |name| Entry { keys: Vec::new(), ..entry(name) };
        let entries = [silent(None), silent(Some("MANTOU.test.")), entry(Some("mantou.test"))];
        let keyring = Rc::new(Keyring::new(&entries).unwrap());
        for piece in [1, 100, usize::MAX] {
            let mut pair = Pair { piece, ..Pair::with(&TLS13, &keyring) }.open();
            pair.say(b"hello");
            assert_eq!(pair.receive().unwrap(), b"hello");
        }
    }

    #[test]
    fn a_client_hello_without_end_is_cut_off() {
        let keyrings = [vec![entry(None)], vec![entry(None), entry(Some("a.test"))]];
        for entries in keyrings {
            let mut pair = Pair::with(&TLS13, &Rc::new(Keyring::new(&entries).unwrap()));
            pair.client.write_tls(&mut io::sink()).unwrap();
            // A handshake message of 0xfff0 bytes in records of one byte each.
            for byte in [1, 0, 0xff, 0xf0].into_iter().chain(std::iter::repeat_n(0, 0xfff0)) {
                pair.up.extend([HANDSHAKE, 3, 1, 0, 1, byte]);
            }
            assert_eq!(pair.receive().unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert!(pair.session.partial.is_empty());
        }
    }
}
