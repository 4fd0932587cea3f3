//! The framing of one HTTP/1.1 connection (RFC 9112), followed before hyper sees a byte: where each head, content and trailer
//! section ends. What can be read in two ways is refused here, so that no proxy in front and nobody behind can disagree about
//! where a request ends; the rest goes on as it came. It never answers, and it never looks into a content.
//!
//! Three things come of standing in front. hyper gets a head when it is complete, so it never waits in the middle of one. It gets
//! one request at a time: what stands behind a request is not looked at before the next one is wanted, and may turn out to be
//! frames. And it gets `/` for a request target, because it drops the fragment and refuses bytes that a target may have; the
//! target itself stays here.
//!
//! Bytes are looked at once, in their order, and the first one that cannot be right decides. The pieces they come in therefore
//! make no difference.
#![forbid(unsafe_code)]

use std::mem;
use std::ops::Range;

use crate::websocket::handshake::KEY_LENGTH;

/// See the module. Between two requests it owns no bytes of the peer's but the last target.
#[derive(Debug)]
pub struct Framing {
    follower: Follower,
    kept: Kept,
}

/// Why a connection ends: the answer its peer gets. §8.4 of the reference says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: no request, or one that can be read in two ways.
    BadRequest,
    /// 413: a Content-Length over `maxRequestBodySize`; the request is not handled.
    ContentTooLarge,
    /// 413: a chunked content over `maxRequestBodySize` was read, or its chunk extensions are endless.
    PayloadTooLarge,
    /// 431: a head or trailer section of more than 16 KiB, or of more than 198 fields.
    FieldsTooLarge,
    /// 505: neither HTTP/1.1 nor HTTP/1.0.
    VersionNotSupported,
}

impl Refusal {
    /// The answer as it goes out. It has no content; the connection ends behind it.
    pub const fn answer(self) -> &'static [u8] {
        match self {
            Self::BadRequest => b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            Self::ContentTooLarge => b"HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\n\r\n",
            Self::PayloadTooLarge => b"HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\n\r\n",
            Self::FieldsTooLarge => {
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n"
            }
            Self::VersionNotSupported => {
                b"HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\n\r\n"
            }
        }
    }
}

/// Bytes of a head, from the method to the empty line.
pub const MAX_HEAD: usize = 16 * 1024;
/// Fields of a head, Host among them; of a trailer section too.
pub const MAX_FIELDS: usize = 198;

impl Framing {
    /// Follows a connection from its first byte. `max_content` is the largest Content-Length that is not refused.
    pub const fn new(max_content: u64) -> Self {
        let state = State::Between { has_cr: false };
        let follower = Follower { state, max_content, target: Vec::new(), outline: None };
        Self { follower, kept: Kept::new() }
    }

    /// Takes `fresh` bytes from the peer and returns at most `room` bytes that may go on; none when more must be read first. What
    /// may not go on yet is kept: ask for it, with nothing fresh, before reading more.
    ///
    /// Never goes beyond the end of a request: the call after that begins the next one.
    ///
    /// # Errors
    ///
    /// The peer is refused, from now on. What was right before that has been returned by earlier calls.
    pub fn receive<'a>(&'a mut self, fresh: &'a mut [u8], room: usize) -> Result<&'a [u8], Refusal> {
        self.follower.pass(&mut self.kept, fresh, room)
    }

    /// As `receive`; with what there is to say of it, when the bytes are a request that need not be followed any further.
    ///
    /// # Errors
    ///
    /// As `receive`.
    pub fn receive_request<'a>(
        &'a mut self,
        fresh: &'a mut [u8],
        room: usize,
    ) -> Result<(&'a [u8], Option<Whole<'a>>), Refusal> {
        let Self { follower, kept } = self;
        let bytes = follower.pass(kept, fresh, room)?;
        let outline = follower.outline.take().filter(|outline| outline.end == bytes.len());
        let whole = outline.map(|Outline { method, head, is_bare, is_handshake, .. }| Whole {
            method: &bytes[..method],
            target: &follower.target,
            head: &bytes[..head],
            content: &bytes[head..],
            is_bare,
            is_handshake,
        });
        Ok((bytes, whole))
    }

    /// Whether bytes are here that stand behind the last request.
    pub fn has_next(&self) -> bool {
        self.kept.bytes.len() > self.kept.start + self.kept.ready
    }

    /// Whether a request has begun whose head is not complete. Empty lines begin none.
    pub fn is_in_head(&self) -> bool {
        match self.follower.state {
            State::Between { .. } => self.kept.ready == 0 && !self.kept.is_empty(),
            State::Head(_) => true,
            State::Content(_) | State::Chunked(_) | State::Refused(_) => false,
        }
    }

    /// Whether content of the last request is still to be received.
    pub fn is_in_content(&self) -> bool {
        matches!(self.follower.state, State::Content(_) | State::Chunked(_))
    }

    /// How many bytes of the last request's content have not gone on; `None` when nobody can know yet.
    pub fn content_left(&self) -> Option<u64> {
        let ready = self.kept.ready as u64;
        match self.follower.state {
            State::Content(left) => Some(ready + left),
            State::Chunked(_) => None,
            State::Between { .. } | State::Head(_) | State::Refused(_) => Some(ready),
        }
    }

    /// Whether every request that has begun to go on has gone on to its end.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn is_between_requests(&self) -> bool {
        matches!(self.follower.state, State::Between { .. }) && self.kept.ready == 0
    }

    /// The target of the last request whose head was complete, as it came: no byte of it is below `!`, and it may not be UTF-8.
    pub fn target(&self) -> &[u8] {
        &self.follower.target
    }

    /// The end of HTTP on this connection: takes out what has come and has not gone on.
    pub fn take_rest(&mut self) -> Vec<u8> {
        let mut kept = mem::replace(&mut self.kept, Kept::new());
        kept.bytes.drain(..kept.start);
        kept.bytes
    }
}

/// A request of HTTP/1.1 that is here as a whole, and has nothing to say of the connection or of what is to happen before its answer, unless it
/// is the opening handshake of a WebSocket. It is no HEAD, whose answer ends in a way of its own, nor a GET with content.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// A token, as it came.
    pub method: &'a [u8],
    /// As it came.
    pub target: &'a [u8],
    /// With `/` for a target.
    pub head: &'a [u8],
    /// What stands behind the head.
    pub content: &'a [u8],
    /// A GET without conditions: nothing but the target bears on its answer.
    pub is_bare: bool,
    /// A GET that asks for a WebSocket and for nothing else (RFC 6455 §4.1), with a key that may be one.
    pub is_handshake: bool,
}

/// The fields of a head that has gone on, in their order: names as they came, values without the whitespace around them.
pub fn fields_of(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    // Behind the line of the request. A LF that ends no line has been refused.
    let mut lines = head.split(|&byte| byte == b'\n').skip(1);
    std::iter::from_fn(move || {
        let line = lines.next()?.strip_suffix(b"\r")?;
        // The last one is empty.
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], trim(&line[colon + 1..])))
    })
}

/// Bytes that have come and have not gone on: an unfinished head, what there was no room for, what stands behind a request.
#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    /// Where the bytes begin that have not gone on.
    start: usize,
    /// How many of them may go on without another look.
    ready: usize,
}

impl Kept {
    const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, ready: 0 }
    }

    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Keeps `bytes` in place of what has all gone on. The memory of that is given back: an idle connection keeps none.
    fn replace(&mut self, bytes: &[u8], ready: usize) {
        *self = Self { bytes: bytes.to_vec(), start: 0, ready };
    }

    fn extend(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes.drain(..self.start);
            self.start = 0;
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn unread(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    fn take(&mut self, room: usize) -> &[u8] {
        let from = self.start;
        let count = self.ready.min(room);
        self.start += count;
        self.ready -= count;
        &self.bytes[from..self.start]
    }
}

/// Where in a request the connection is.
#[derive(Debug)]
struct Follower {
    state: State,
    max_content: u64,
    target: Vec<u8>,
    /// Of the request whose head was just completed, if it need not be followed once it is whole.
    outline: Option<Outline>,
}

/// Where the parts of a request end.
#[derive(Debug)]
struct Outline {
    method: usize,
    head: usize,
    end: usize,
    is_bare: bool,
    is_handshake: bool,
}

#[derive(Debug)]
enum State {
    /// Before a request. Empty lines are dropped (§2.2); half of one may be here.
    Between {
        has_cr: bool,
    },
    Head(Head),
    /// In a content of known length: bytes still to come.
    Content(u64),
    Chunked(Chunked),
    Refused(Refusal),
}

impl Follower {
    /// As `Framing::receive`.
    fn pass<'a>(
        &mut self,
        kept: &'a mut Kept,
        fresh: &'a mut [u8],
        room: usize,
    ) -> Result<&'a [u8], Refusal> {
        if kept.is_empty() {
            let ready = self.follow(fresh)?;
            let end = ready.start + ready.len().min(room);
            kept.replace(&fresh[end..], ready.end - end);
            return Ok(&fresh[ready.start..end]);
        }
        kept.extend(fresh);
        if kept.ready == 0 {
            let ready = self.follow(kept.unread())?;
            kept.start += ready.start;
            kept.ready = ready.len();
        }
        Ok(kept.take(room))
    }

    /// Goes through `input` up to the end of a request. Returns the part of it that may go on: what stands before it is of no use,
    /// what stands behind it must come again, with more behind it.
    fn follow(&mut self, input: &mut [u8]) -> Result<Range<usize>, Refusal> {
        let mut ready = 0..0;
        if let Err(refusal) = self.advance(input, &mut ready) {
            self.state = State::Refused(refusal);
            if ready.is_empty() {
                return Err(refusal);
            }
        }
        Ok(ready)
    }

    fn advance(&mut self, input: &mut [u8], ready: &mut Range<usize>) -> Result<(), Refusal> {
        if let State::Between { has_cr } = &mut self.state {
            let begin = skip_empty_lines(input, has_cr)?;
            *ready = begin..begin;
            if begin == input.len() {
                return Ok(());
            }
            self.state = State::Head(Head::new());
        }
        if let State::Head(head) = &mut self.state {
            let lines = &mut input[ready.end..];
            let Some(end) = head.scan(lines)? else { return Ok(()) };
            let content = head.content(lines, self.max_content)?;
            self.target.clear();
            self.target.extend_from_slice(&lines[head.line.target()]);
            let begin = head.hide_target(lines);
            self.outline = head.outline(&lines[begin..end], &content);
            *ready = ready.end + begin..ready.end + end;
            self.state = content;
        }
        let is_over = match &mut self.state {
            State::Content(left) => {
                let count = (input.len() - ready.end).min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                ready.end += count;
                *left == 0
            }
            State::Chunked(chunked) => chunked.scan(input, &mut ready.end)?,
            State::Refused(refusal) => return Err(*refusal),
            State::Between { .. } | State::Head(_) => {
                unreachable!("a head is followed by a content, if an empty one")
            }
        };
        if is_over {
            self.state = State::Between { has_cr: false };
        }
        Ok(())
    }
}

/// How many bytes at the beginning of `input` are empty lines.
fn skip_empty_lines(input: &[u8], has_cr: &mut bool) -> Result<usize, Refusal> {
    for (at, &byte) in input.iter().enumerate() {
        match (*has_cr, byte) {
            (false, b'\r') => *has_cr = true,
            (true, b'\n') => *has_cr = false,
            (true, _) => return Err(Refusal::BadRequest),
            (false, _) => return Ok(at),
        }
    }
    Ok(input.len())
}

/// A head on its way: what stands before the fields, the fields, and what they say about framing.
#[derive(Debug)]
struct Head {
    line: RequestLine,
    fields: Fields,
    has_host: bool,
    is_chunked: bool,
    length: Option<Length>,
    /// A field has been seen that bears on the connection, or on what happens before the answer.
    bears_on_connection: bool,
    /// A field has been seen as it stands in the opening handshake of a WebSocket, beside the key.
    asks_for_websocket: bool,
    has_key: bool,
    /// A field has been seen that makes the request a conditional one.
    is_conditional: bool,
}

/// A Content-Length. Two are the same only when they are written the same: `3` and `03` are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Length {
    value: u64,
    digits: usize,
}

/// Digits of a Content-Length, leading zeros among them.
const MAX_LENGTH_DIGITS: usize = 18;

impl Head {
    const fn new() -> Self {
        Self {
            line: RequestLine::new(),
            fields: Fields::new(),
            has_host: false,
            is_chunked: false,
            length: None,
            bears_on_connection: false,
            asks_for_websocket: false,
            has_key: false,
            is_conditional: false,
        }
    }

    /// Goes on through `input`, which begins with the head. Returns where the head ends, once it does.
    fn scan(&mut self, input: &[u8]) -> Result<Option<usize>, Refusal> {
        let bytes = &input[..input.len().min(MAX_HEAD)];
        if self.line.scan(bytes)? {
            let bytes = &bytes[self.line.at..];
            while let Some(field) = self.fields.next(bytes)? {
                self.take(field)?;
            }
            if self.fields.is_over() {
                return Ok(Some(self.line.at + self.fields.at));
            }
        }
        if input.len() > MAX_HEAD { Err(Refusal::FieldsTooLarge) } else { Ok(None) }
    }

    fn take(&mut self, Field { name, value }: Field<'_>) -> Result<(), Refusal> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        // By the first letter, in either case: most fields begin with another one.
        match name.first().map(|letter| letter | 0x20) {
            Some(b'c') if is(b"connection") => {
                let is_upgrade = [&b"upgrade"[..], b"keep-alive, upgrade"]
                    .iter()
                    .any(|options| value.eq_ignore_ascii_case(options));
                self.asks_for_websocket |= is_upgrade;
                self.bears_on_connection |= !is_upgrade && !value.eq_ignore_ascii_case(b"keep-alive");
            }
            Some(b'e') => self.bears_on_connection |= is(b"expect"),
            Some(b'i') => {
                self.is_conditional |= name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"if-"));
            }
            Some(b's') if is(b"sec-websocket-key") => {
                self.bears_on_connection |=
                    value.len() != KEY_LENGTH || mem::replace(&mut self.has_key, true);
            }
            Some(b't') => self.bears_on_connection |= is(b"transfer-encoding"),
            Some(b'u') if is(b"upgrade") => {
                let is_websocket = value.eq_ignore_ascii_case(b"websocket");
                self.asks_for_websocket |= is_websocket;
                self.bears_on_connection |= !is_websocket;
            }
            _ => {}
        }
        let is_ambiguous = match name.len() {
            // §3.2: a server MUST respond with 400 to a request with more than one Host.
            4 if is(b"host") => mem::replace(&mut self.has_host, true),
            14 if is(b"content-length") => match Length::parse(value) {
                Some(length) => self.length.replace(length).is_some_and(|other| other != length),
                None => true,
            },
            // What another coding is under, one recipient undoes and the next does not; and so with chunked twice.
            17 if is(b"transfer-encoding") => {
                !value.eq_ignore_ascii_case(b"chunked") || mem::replace(&mut self.is_chunked, true)
            }
            _ => false,
        };
        if is_ambiguous { Err(Refusal::BadRequest) } else { Ok(()) }
    }

    /// The content that follows this head, now complete, in `input`.
    fn content(&self, input: &[u8], max_content: u64) -> Result<State, Refusal> {
        // §3.2: a server MUST respond with 400 to a request of HTTP/1.1 without a Host.
        if !self.has_host && !self.line.is_1_0 {
            return Err(Refusal::BadRequest);
        }
        match (self.is_chunked, self.length) {
            (false, None) => Ok(State::Content(0)),
            (false, Some(length)) => {
                let method = &input[..self.line.method_end];
                // Nobody will see the content of these.
                let is_free = method == b"GET" || method == b"HEAD";
                if length.value > max_content && !is_free {
                    return Err(Refusal::ContentTooLarge);
                }
                Ok(State::Content(length.value))
            }
            // §6.1: no transfer coding before HTTP/1.1.
            (true, None) if !self.line.is_1_0 => Ok(State::Chunked(Chunked::new())),
            // §6.3: a request that has both ought to be handled as an error.
            (true, _) => Err(Refusal::BadRequest),
        }
    }

    /// The outline of a request with this head, which is `lines`, when it is one that need not be followed once it is whole.
    fn outline(&self, lines: &[u8], content: &State) -> Option<Outline> {
        let State::Content(length) = *content else { return None };
        if self.bears_on_connection || self.line.is_1_0 {
            return None;
        }
        let method = &lines[..self.line.method_end];
        let is_get = method == b"GET";
        if (is_get && length > 0) || method == b"HEAD" {
            return None;
        }
        let is_handshake = is_get && self.has_key && self.asks_for_websocket;
        if !is_handshake && (self.has_key || self.asks_for_websocket) {
            return None;
        }
        let end = lines.len().saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        let is_bare = is_get && !self.is_conditional && !is_handshake;
        Some(Outline { method: method.len(), head: lines.len(), end, is_bare, is_handshake })
    }

    /// Puts `/` in the place of the target. Returns where the head begins now.
    fn hide_target(&self, input: &mut [u8]) -> usize {
        let Range { start, end } = self.line.target();
        let begin = end - 1 - start;
        input.copy_within(..start, begin);
        input[end - 1] = b'/';
        begin
    }
}

impl Length {
    fn parse(value: &[u8]) -> Option<Self> {
        let digits = value.len();
        if !(1..=MAX_LENGTH_DIGITS).contains(&digits) || !value.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let value = value.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        Some(Self { value, digits })
    }
}

/// The first line of a request (§3) on its way.
#[derive(Debug)]
struct RequestLine {
    part: LinePart,
    /// Bytes looked at.
    at: usize,
    method_end: usize,
    target_end: usize,
    is_1_0: bool,
}

#[derive(Clone, Copy, Debug)]
enum LinePart {
    Method,
    Target,
    Version,
    Over,
}

/// What stands behind the target. Its 1 may be a 0.
const VERSION: &[u8; 10] = b"HTTP/1.1\r\n";
const MINOR: usize = 7;

impl RequestLine {
    const fn new() -> Self {
        Self { part: LinePart::Method, at: 0, method_end: 0, target_end: 0, is_1_0: false }
    }

    fn target(&self) -> Range<usize> {
        self.method_end + 1..self.target_end
    }

    /// Goes on through `bytes`, which begin with the line. Returns whether it is complete.
    fn scan(&mut self, bytes: &[u8]) -> Result<bool, Refusal> {
        while let Some(&byte) = bytes.get(self.at) {
            match self.part {
                LinePart::Method => {
                    self.at += token_run(&bytes[self.at..]);
                    match bytes.get(self.at) {
                        None => return Ok(false),
                        Some(b' ') if self.at > 0 => {}
                        Some(_) => return Err(Refusal::BadRequest),
                    }
                    self.method_end = self.at;
                    self.at += 1;
                    self.part = LinePart::Target;
                }
                LinePart::Target => {
                    self.at += target_run(&bytes[self.at..]);
                    let Some(&behind) = bytes.get(self.at) else { return Ok(false) };
                    self.target_end = self.at;
                    let target = &bytes[self.target()];
                    if target.is_empty() || (behind == b' ' && !is_target(&bytes[..self.method_end], target))
                    {
                        return Err(Refusal::BadRequest);
                    }
                    if behind != b' ' {
                        // `GET /` alone is HTTP/0.9.
                        return Err(wrong_version(behind));
                    }
                    self.at += 1;
                    self.part = LinePart::Version;
                }
                LinePart::Version => {
                    let index = self.at - self.target_end - 1;
                    self.is_1_0 |= index == MINOR && byte == b'0';
                    if byte != VERSION[index] && !(index == MINOR && self.is_1_0) {
                        return Err(wrong_version(byte));
                    }
                    self.at += 1;
                    if index + 1 == VERSION.len() {
                        self.part = LinePart::Over;
                    }
                }
                LinePart::Over => return Ok(true),
            }
        }
        Ok(matches!(self.part, LinePart::Over))
    }
}

/// Whether a request with this method may have this target (§3.2).
fn is_target(method: &[u8], target: &[u8]) -> bool {
    match target {
        [b'/', ..] => true,
        b"*" if method == b"OPTIONS" => true,
        _ => has_http_scheme(target) || method == b"CONNECT",
    }
}

fn has_http_scheme(target: &[u8]) -> bool {
    let begins =
        |scheme: &[u8]| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins(b"http://") || begins(b"https://")
}

/// `byte` stands where another version of HTTP begins to differ, unless it is one that no line may have.
fn wrong_version(byte: u8) -> Refusal {
    if matches!(byte, b'\0' | b'\n') { Refusal::BadRequest } else { Refusal::VersionNotSupported }
}

/// Field lines up to the empty line (§5) on their way: of a head, or of a trailer section.
#[derive(Debug)]
struct Fields {
    part: FieldPart,
    /// Bytes looked at.
    at: usize,
    /// Where the line at hand begins, and where its name ends.
    begin: usize,
    colon: usize,
    count: usize,
}

/// One of them.
struct Field<'a> {
    name: &'a [u8],
    /// Without the whitespace around it.
    value: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum FieldPart {
    Name,
    Value,
    LineFeed,
    LastLineFeed,
    Over,
}

impl Fields {
    const fn new() -> Self {
        Self { part: FieldPart::Name, at: 0, begin: 0, colon: 0, count: 0 }
    }

    fn is_over(&self) -> bool {
        matches!(self.part, FieldPart::Over)
    }

    /// Goes on through `bytes`, which begin with the first line, to the end of a field. `None` when there is no other, or not yet.
    fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Field<'a>>, Refusal> {
        while let Some(&byte) = bytes.get(self.at) {
            match self.part {
                FieldPart::Name if byte == b'\r' && self.at == self.begin => {
                    self.at += 1;
                    self.part = FieldPart::LastLineFeed;
                }
                FieldPart::Name => {
                    self.at += token_run(&bytes[self.at..]);
                    match bytes.get(self.at) {
                        None => return Ok(None),
                        Some(b':') if self.at > self.begin => {}
                        // Among others: obsolete line folding (§5.2), and a space before the colon (§5.1).
                        Some(_) => return Err(Refusal::BadRequest),
                    }
                    self.count += 1;
                    if self.count > MAX_FIELDS {
                        return Err(Refusal::FieldsTooLarge);
                    }
                    self.colon = self.at;
                    self.at += 1;
                    self.part = FieldPart::Value;
                }
                FieldPart::Value => {
                    self.at += value_run(&bytes[self.at..]);
                    match bytes.get(self.at) {
                        None => return Ok(None),
                        Some(b'\r') => {}
                        Some(_) => return Err(Refusal::BadRequest),
                    }
                    self.at += 1;
                    self.part = FieldPart::LineFeed;
                }
                FieldPart::LineFeed if byte == b'\n' => {
                    let field = Field {
                        name: &bytes[self.begin..self.colon],
                        value: trim(&bytes[self.colon + 1..self.at - 1]),
                    };
                    self.at += 1;
                    self.begin = self.at;
                    self.part = FieldPart::Name;
                    return Ok(Some(field));
                }
                FieldPart::LastLineFeed if byte == b'\n' => {
                    self.at += 1;
                    self.part = FieldPart::Over;
                }
                FieldPart::LineFeed | FieldPart::LastLineFeed => return Err(Refusal::BadRequest),
                FieldPart::Over => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// `value` without the whitespace around it (§5.5).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A chunked content (§7.1) on its way.
#[derive(Debug)]
struct Chunked {
    part: ChunkPart,
    /// Of the chunk at hand: its size, and the digits that said so.
    size: u64,
    digits: usize,
    /// Bytes of this content that say nothing: chunk extensions, and zeros before a size.
    idle: usize,
    trailers: Fields,
}

#[derive(Clone, Copy, Debug)]
enum ChunkPart {
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    Trailers,
}

/// A chunk may be as large as its size can be said in so many digits, leading zeros aside.
const MAX_SIZE: u64 = (1 << 56) - 1;
/// Digits of a chunk size that are not held against the peer, zeros or not.
const FREE_DIGITS: usize = 16;
/// What a peer may send in one content without saying anything: as much as hyper takes.
const MAX_IDLE: usize = 16 * 1024 - 1;
/// Bytes of a trailer section, the empty line among them: hyper takes less than 16 KiB.
const MAX_TRAILERS: usize = 16 * 1024 - 1;

impl Chunked {
    const fn new() -> Self {
        Self { part: ChunkPart::Size, size: 0, digits: 0, idle: 0, trailers: Fields::new() }
    }

    /// Goes on through `input` from `at`, and leaves `at` behind the last byte that may go on. Returns whether the content is over.
    fn scan(&mut self, input: &[u8], at: &mut usize) -> Result<bool, Refusal> {
        while let Some(&byte) = input.get(*at) {
            match (self.part, byte) {
                (ChunkPart::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                    let digit = (byte as char).to_digit(16).expect("a hexadecimal digit");
                    self.size = self.size * 16 + u64::from(digit);
                    self.digits += 1;
                    if self.size > MAX_SIZE {
                        return Err(Refusal::BadRequest);
                    }
                    if self.digits > FREE_DIGITS {
                        self.idle()?;
                    }
                }
                (ChunkPart::Size, b'\r') if self.digits > 0 => self.part = ChunkPart::SizeLineFeed,
                (ChunkPart::Size, b';') if self.digits > 0 => {
                    self.part = ChunkPart::Extension;
                    self.idle()?;
                }
                (ChunkPart::Extension, b'\r') => self.part = ChunkPart::SizeLineFeed,
                (ChunkPart::Extension, b'!'..) => self.idle()?,
                (ChunkPart::SizeLineFeed, b'\n') if self.size == 0 => self.part = ChunkPart::Trailers,
                (ChunkPart::SizeLineFeed, b'\n') => self.part = ChunkPart::Data,
                (ChunkPart::Data, _) => {
                    let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                    let count = (input.len() - *at).min(left);
                    *at += count;
                    self.size -= count as u64;
                    if self.size == 0 {
                        self.part = ChunkPart::DataReturn;
                    }
                    continue;
                }
                (ChunkPart::DataReturn, b'\r') => self.part = ChunkPart::DataLineFeed,
                (ChunkPart::DataLineFeed, b'\n') => {
                    self.part = ChunkPart::Size;
                    self.digits = 0;
                }
                (ChunkPart::Trailers, _) => return self.scan_trailers(&input[*at..], at),
                _ => return Err(Refusal::BadRequest),
            }
            *at += 1;
        }
        Ok(false)
    }

    fn idle(&mut self) -> Result<(), Refusal> {
        self.idle += 1;
        if self.idle > MAX_IDLE { Err(Refusal::PayloadTooLarge) } else { Ok(()) }
    }

    /// Trailer fields go on together, or not at all. They say nothing about framing.
    fn scan_trailers(&mut self, input: &[u8], at: &mut usize) -> Result<bool, Refusal> {
        let bytes = &input[..input.len().min(MAX_TRAILERS)];
        while self.trailers.next(bytes)?.is_some() {}
        if self.trailers.is_over() {
            *at += self.trailers.at;
            return Ok(true);
        }
        if input.len() > MAX_TRAILERS { Err(Refusal::FieldsTooLarge) } else { Ok(false) }
    }
}

/// How many of the first bytes are those of a field value or of the whitespace around it (RFC 9110 §5.5): no controls but tabs.
fn value_run(bytes: &[u8]) -> usize {
    let mut run = visible_run(bytes, b' ');
    while bytes.get(run) == Some(&b'\t') {
        run += 1 + visible_run(&bytes[run + 1..], b' ');
    }
    run
}

/// How many of the first bytes are those of a target. Bun takes DEL too.
fn target_run(bytes: &[u8]) -> usize {
    let mut run = visible_run(bytes, b'!');
    while bytes.get(run) == Some(&0x7f) {
        run += 1 + visible_run(&bytes[run + 1..], b'!');
    }
    run
}

/// How many of the first bytes are neither DEL nor below `least`. Eight at a time: one by one cost half of what following a
/// request did.
fn visible_run(bytes: &[u8], least: u8) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is below `limit`, for limits up to 0x80; bytes behind the first one may be wrong.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH;
    let mut run = 0;
    while let Some(block) = bytes[run..].first_chunk() {
        let word = u64::from_le_bytes(*block);
        let stops = below(word, least) | below(word ^ (ONES * 0x7f), 1);
        if stops != 0 {
            return run + stops.trailing_zeros() as usize / 8;
        }
        run += size_of::<u64>();
    }
    run + bytes[run..].iter().take_while(|&&byte| byte >= least && byte != 0x7f).count()
}

/// How many of the first bytes are those of a token (RFC 9110 §5.6.2).
fn token_run(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| TOKEN[usize::from(byte)]).count()
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let symbol = byte as u8;
        table[byte] = symbol.is_ascii_alphanumeric()
            || matches!(
                symbol,
                b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::requests::{self, Outcome};

    const MAX_CONTENT: u64 = 1000;

    /// Follows a connection whose bytes come in these pieces, with so much room for what goes on.
    fn follow<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, room: usize) -> Outcome {
        requests::follow(pieces, room, MAX_CONTENT)
    }

    fn whole(bytes: &[u8]) -> Outcome {
        follow([bytes], usize::MAX)
    }

    /// A request with these lines behind the request line, then `content`.
    fn post(lines: &str, content: &str) -> Vec<u8> {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{content}").into_bytes()
    }

    fn chunked(content: &str) -> Vec<u8> {
        post("Transfer-Encoding: chunked\r\n", content)
    }

    fn get(target: &str) -> Vec<u8> {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
    }

    fn field(line: &str) -> Vec<u8> {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n").into_bytes()
    }

    /// Connections that are no fault of the peer's: their bytes, how many requests they hold, and what is left unfinished.
    fn accepted() -> Vec<(&'static str, Vec<u8>, usize)> {
        vec![
            ("nothing", Vec::new(), 0),
            ("an empty line", b"\r\n".to_vec(), 0),
            ("the least", get("/"), 1),
            ("a long target", get(&format!("/{}", "a".repeat(1000))), 1),
            ("a fragment", get("/a?b#c"), 1),
            ("bytes that URLs encode", get("/<\"`{|}\u{7f}\u{e9}>?<>"), 1),
            ("bytes that are no UTF-8", b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 1),
            ("an absolute target", get("http://b/c?d"), 1),
            ("an absolute target of another scheme", get("HTTPS://b"), 1),
            ("an asterisk", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 1),
            ("an authority", b"CONNECT b:80 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 1),
            ("any token for a method", b"!#$%&'*+-.^_`|~aZ9 / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 1),
            ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n".to_vec(), 1),
            ("empty lines before it", [b"\r\n\r\n".to_vec(), get("/")].concat(), 1),
            ("every byte of a name and of a value", field("!#$%&'*+-.^_`|~aZ9:\t \u{e9}a\t b~ \t"), 1),
            ("an empty value", field("X:"), 1),
            ("an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n".to_vec(), 1),
            ("a content", post("Content-Length: 3\r\n", "abc"), 1),
            (
                "a content that looks like a request",
                post("Content-Length: 22\r\n", "GET / HTTP/1.1\r\n\r\nabcd"),
                1,
            ),
            ("a content of nothing", post("content-length:0\r\n", ""), 1),
            ("a length with zeros", post("Content-Length: 000000000000000003\r\n", "abc"), 1),
            ("the same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 1),
            ("the largest content", post("Content-Length: 1000\r\n", &"a".repeat(1000)), 1),
            (
                "a larger content nobody will see",
                b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n".to_vec(),
                0,
            ),
            ("half a content", post("Content-Length: 6\r\n", "abc"), 0),
            ("chunks", chunked("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"), 1),
            ("chunked in any case", post("transfer-encoding:ChUnKeD\r\n", "0\r\n\r\n"), 1),
            ("a chunk that looks like the last", chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), 1),
            (
                "sizes with zeros, in any case",
                chunked("00a\r\nabcdefghij\r\n00A\r\nabcdefghij\r\n000\r\n\r\n"),
                1,
            ),
            ("a size of many zeros", chunked(&format!("{}3\r\nabc\r\n0\r\n\r\n", "0".repeat(16_000))), 1),
            ("the largest size", chunked("ffffffffffffff\r\nabc"), 0),
            ("chunk extensions", chunked("3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n"), 1),
            (
                "chunk extensions up to the limit",
                chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(MAX_IDLE - 1))),
                1,
            ),
            ("trailers", chunked("0\r\nX: 1\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n"), 1),
            ("half a trailer section", chunked("0\r\nX: 1\r\n"), 0),
            (
                "requests behind each other",
                [get("/1"), post("Content-Length: 3\r\n", "abc"), chunked("0\r\n\r\n"), get("/2")].concat(),
                4,
            ),
            (
                "an empty line behind a content",
                [post("Content-Length: 3\r\n", "abc\r\n"), get("/")].concat(),
                2,
            ),
            ("the largest head", field(&format!("X: {}", "a".repeat(MAX_HEAD - 32))), 1),
            ("the most fields", field(&vec!["X: 1"; MAX_FIELDS - 1].join("\r\n")), 1),
        ]
    }

    /// Connections that end with a refusal.
    fn refused() -> Vec<(&'static str, Vec<u8>, Refusal)> {
        use Refusal::{BadRequest, ContentTooLarge, FieldsTooLarge, PayloadTooLarge, VersionNotSupported};
        let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n").into_bytes();
        vec![
            ("no method", line(" / HTTP/1.1"), BadRequest),
            ("a byte in the method that is none of a token", line("GE(T / HTTP/1.1"), BadRequest),
            ("NUL in the method", line("G\0T / HTTP/1.1"), BadRequest),
            ("garbage", b"hello\r\n\r\n".to_vec(), BadRequest),
            ("TLS", b"\x16\x03\x01".to_vec(), BadRequest),
            ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), BadRequest),
            ("half an empty line", [b"\r".to_vec(), get("/")].concat(), BadRequest),
            ("a bare LF before the request", [b"\n".to_vec(), get("/")].concat(), BadRequest),
            ("two spaces before the target", line("GET  / HTTP/1.1"), BadRequest),
            ("a relative target", line("GET foo HTTP/1.1"), BadRequest),
            ("a query alone", line("GET ?foo HTTP/1.1"), BadRequest),
            ("a scheme that is not ours", line("GET ftp://b/ HTTP/1.1"), BadRequest),
            ("an authority without CONNECT", line("GET b:80 HTTP/1.1"), BadRequest),
            ("an asterisk without OPTIONS", line("GET * HTTP/1.1"), BadRequest),
            ("NUL in the target", line("GET /\0 HTTP/1.1"), BadRequest),
            ("a control in the target", line("GET /\x01 HTTP/1.1"), VersionNotSupported),
            ("a space in the target", line("GET /a b HTTP/1.1"), VersionNotSupported),
            ("two spaces behind the target", line("GET /  HTTP/1.1"), VersionNotSupported),
            ("no version", line("GET /"), VersionNotSupported),
            ("HTTP/0.9", line("GET / HTTP/0.9"), VersionNotSupported),
            ("HTTP/1.2", line("GET / HTTP/1.2"), VersionNotSupported),
            ("HTTP/2.0", line("GET / HTTP/2.0"), VersionNotSupported),
            ("a version of more digits", line("GET / HTTP/1.10"), VersionNotSupported),
            ("a version in lower case", line("GET / http/1.1"), VersionNotSupported),
            ("a space behind the version", line("GET / HTTP/1.1 "), VersionNotSupported),
            ("a bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n".to_vec(), BadRequest),
            ("bare LFs", b"GET / HTTP/1.1\r\nHost: a\n\n".to_vec(), BadRequest),
            ("a bare LF behind the fields", b"GET / HTTP/1.1\r\nHost: a\r\n\n".to_vec(), BadRequest),
            ("a bare CR in a value", field("X: a\rb"), BadRequest),
            ("CR CR LF", field("X: a\r"), BadRequest),
            ("a bare CR before a field", field("\rX: a"), BadRequest),
            ("NUL in a value", field("X: a\0b"), BadRequest),
            ("a control in a value", field("X: a\x1bb"), BadRequest),
            ("DEL in a value", field("X: a\x7fb"), BadRequest),
            ("NUL in a name", field("X\0: a"), BadRequest),
            ("a space before the colon", field("X : a"), BadRequest),
            ("a tab before the colon", field("X\t: a"), BadRequest),
            ("a space in a name", field("X Y: a"), BadRequest),
            ("no colon", field("X"), BadRequest),
            ("no name", field(": a"), BadRequest),
            ("a line folded with a space", field("X: a\r\n b"), BadRequest),
            ("a line folded with a tab", field("X: a\r\n\tb"), BadRequest),
            ("a space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_vec(), BadRequest),
            ("no Host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), BadRequest),
            ("two Hosts", field("Host: b"), BadRequest),
            ("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n".to_vec(), BadRequest),
            ("a length with a sign", post("Content-Length: +3\r\n", "abc"), BadRequest),
            ("a negative length", post("Content-Length: -3\r\n", "abc"), BadRequest),
            ("a hexadecimal length", post("Content-Length: 0x3\r\n", "abc"), BadRequest),
            ("an empty length", post("Content-Length:\r\n", "abc"), BadRequest),
            ("a list of lengths", post("Content-Length: 3, 3\r\n", "abc"), BadRequest),
            ("two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), BadRequest),
            (
                "one length written in two ways",
                post("Content-Length: 3\r\nContent-Length: 03\r\n", "abc"),
                BadRequest,
            ),
            ("a length of many digits", post("Content-Length: 0000000000000000003\r\n", "abc"), BadRequest),
            ("a length beyond 64 bits", post("Content-Length: 18446744073709551619\r\n", "abc"), BadRequest),
            ("a length over the limit", post("Content-Length: 1001\r\n", ""), ContentTooLarge),
            (
                "both framings",
                post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
                BadRequest,
            ),
            (
                "both framings, the other way round",
                post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"),
                BadRequest,
            ),
            ("another coding", post("Transfer-Encoding: gzip\r\n", ""), BadRequest),
            (
                "another coding under chunked",
                post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
                BadRequest,
            ),
            (
                "another coding over chunked",
                post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
                BadRequest,
            ),
            (
                "chunked twice",
                post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
                BadRequest,
            ),
            ("chunked with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), BadRequest),
            ("chunked in a list", post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"), BadRequest),
            ("something like chunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), BadRequest),
            (
                "chunked behind a vertical tab",
                post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
                BadRequest,
            ),
            (
                "chunked in HTTP/1.0",
                b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
                BadRequest,
            ),
            ("no size", chunked("\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("an extension without a size", chunked(";a\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a size that is none", chunked("g\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a size with a prefix", chunked("0x3\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a negative size", chunked("-3\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a space before the size", chunked(" 3\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a space behind the size", chunked("3 \r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a size too large", chunked("100000000000000\r\nabc"), BadRequest),
            ("a size beyond 64 bits", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a bare LF behind a size", chunked("3\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a bare CR behind a size", chunked("3\rabc\r\n0\r\n\r\n"), BadRequest),
            ("a space in an extension", chunked("3;a b\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a bare LF in an extension", chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("NUL in an extension", chunked("3;\0\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), BadRequest),
            ("a chunk shorter than its size", chunked("5\r\nabc\r\n0\r\n\r\n"), BadRequest),
            ("a bare LF behind a chunk", chunked("3\r\nabc\n0\r\n\r\n"), BadRequest),
            ("a bare LF at the end", chunked("0\r\n\n"), BadRequest),
            ("a trailer without a colon", chunked("0\r\nX\r\n\r\n"), BadRequest),
            ("a folded trailer", chunked("0\r\nX: 1\r\n 2\r\n\r\n"), BadRequest),
            (
                "too much of chunk extensions",
                chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(MAX_IDLE))),
                PayloadTooLarge,
            ),
            (
                "too much of chunk extensions in all",
                chunked(&"1;abc\r\nd\r\n".repeat(MAX_IDLE / 4 + 1)),
                PayloadTooLarge,
            ),
            ("too many zeros", chunked(&"0".repeat(20_000)), PayloadTooLarge),
            (
                "trailers too long",
                chunked(&format!("0\r\nX: {}\r\n\r\n", "a".repeat(MAX_TRAILERS - 6))),
                FieldsTooLarge,
            ),
            (
                "too many trailers",
                chunked(&format!("0\r\n{}\r\n", "X: 1\r\n".repeat(MAX_FIELDS + 1))),
                FieldsTooLarge,
            ),
            ("a head too long", field(&format!("X: {}", "a".repeat(MAX_HEAD - 31))), FieldsTooLarge),
            ("a target too long", get(&format!("/{}", "a".repeat(MAX_HEAD))), FieldsTooLarge),
            ("a method too long", vec![b'A'; MAX_HEAD + 1], FieldsTooLarge),
            ("too many fields", field(&vec!["X: 1"; MAX_FIELDS].join("\r\n")), FieldsTooLarge),
            ("a bad request behind a good one", [get("/"), field("X : a")].concat(), BadRequest),
        ]
    }

    /// Method, target, head and content, and whether nothing but the target bears on the answer.
    type Told = (String, String, String, String, bool);

    fn told(request: &str, room: usize) -> Option<Told> {
        let mut framing = Framing::new(MAX_CONTENT);
        let mut bytes = request.as_bytes().to_vec();
        let (_, whole) = framing.receive_request(&mut bytes, room).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        whole.map(|Whole { method, target, head, content, is_bare, .. }| {
            (text(method), text(target), text(head), text(content), is_bare)
        })
    }

    #[test]
    fn a_whole_request_is_told_of() {
        for (fields, is_bare) in [
            ("", true),
            ("Accept: */*\r\n", true),
            ("connection: Keep-Alive\r\n", true),
            ("Range: bytes=0-1\r\nIfx: 1\r\n", true),
            ("Content-Length: 0\r\n", true),
            ("If-None-Match: *\r\n", false),
            ("if-modified-since: x\r\n", false),
        ] {
            let request = format!("\r\nGET /a?b HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let expected = ("GET".into(), "/a?b".into(), head, String::new(), is_bare);
            assert_eq!(told(&request, usize::MAX).as_ref(), Some(&expected), "{fields:?}");
            assert_eq!(told(&format!("{request}GET"), usize::MAX), Some(expected), "{fields:?}");
            assert_eq!(told(&request, 20), None, "not the whole of it");
        }
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        let expected = ("POST".into(), "/".into(), head.into(), "abc".into(), false);
        assert_eq!(told(&format!("{head}abcGET"), usize::MAX), Some(expected));
        assert_eq!(told(&format!("{head}ab"), usize::MAX), None, "not all of its content");
    }

    #[test]
    fn one_that_has_more_to_say_is_not_told_of() {
        for fields in [
            "Connection: close\r\n",
            "Connection: keep-alive, upgrade\r\n",
            "Expect: 100-continue\r\n",
            "Upgrade: x\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Sec-WebSocket-Key: x\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        ] {
            let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            assert_eq!(told(&request, usize::MAX), None, "{fields:?}");
        }
        for line in ["HEAD / HTTP/1.1", "GET / HTTP/1.0", "POST / HTTP/1.0"] {
            assert_eq!(told(&format!("{line}\r\nHost: a\r\n\r\n"), usize::MAX), None, "{line}");
        }
        assert_eq!(told("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na", usize::MAX), None);
    }

    #[test]
    fn a_handshake_is_told_of_when_it_asks_for_nothing_else() {
        const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let told = |fields: &str| {
            let mut framing = Framing::new(MAX_CONTENT);
            let mut bytes = format!("GET /chat HTTP/1.1\r\nHost: a\r\n{fields}\r\nframes").into_bytes();
            let whole = framing.receive_request(&mut bytes, usize::MAX).unwrap().1;
            let told = whole.map(|whole| (whole.is_handshake, whole.is_bare));
            assert!(framing.has_next(), "what stands behind it waits");
            told
        };
        for connection in ["Upgrade", "keep-alive, Upgrade"] {
            let fields = format!(
                "Connection: {connection}\r\nUpgrade: WebSocket\r\n{KEY}Sec-WebSocket-Version: 13\r\n"
            );
            assert_eq!(told(&fields), Some((true, false)), "{connection}");
        }
        for fields in [
            format!("Connection: close, Upgrade\r\nUpgrade: websocket\r\n{KEY}"),
            format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n{KEY}"),
            format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}{KEY}"),
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: short\r\n".to_owned(),
            "Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned(),
            KEY.to_owned(),
        ] {
            assert_eq!(told(&fields), None, "{fields:?}");
        }
    }

    #[test]
    fn what_is_left_of_a_request_is_none_of_its_own() {
        let mut framing = Framing::new(MAX_CONTENT);
        let mut bytes = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        let length = bytes.len() - 1;
        assert!(framing.receive_request(&mut bytes, 10).unwrap().1.is_none());
        let (rest, whole) = framing.receive_request(&mut [], usize::MAX).unwrap();
        assert_eq!((rest.len(), whole.is_none()), (length - 10, true));
    }

    #[test]
    fn fields_are_told_one_by_one() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Y:\t b c \r\nx-y:\r\n\r\n";
        let fields: Vec<_> = fields_of(head).collect();
        assert_eq!(fields, [(&b"Host"[..], &b"a"[..]), (b"X-Y", b"b c"), (b"x-y", b"")]);
    }

    #[test]
    fn what_is_right_goes_on() {
        for (what, bytes, complete) in accepted() {
            let outcome = whole(&bytes);
            assert_eq!((outcome.refusal, outcome.complete), (None, complete), "{what}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (what, bytes, refusal) in refused() {
            assert_eq!(whole(&bytes).refusal, Some(refusal), "{what}");
        }
    }

    #[test]
    fn a_request_goes_on_as_it_came_but_for_its_target() {
        let bytes = [
            post("X: \u{e9}\r\nContent-Length: 3\r\n", "abc"),
            get("http://b/c?d#e"),
            chunked("1\r\na\r\n0\r\nT: 1\r\n\r\n"),
        ];

        let outcome = whole(&bytes.concat());

        assert_eq!(outcome.passed, [bytes[0].clone(), get("/"), bytes[2].clone()]);
        assert_eq!(outcome.targets, [&b"/"[..], b"http://b/c?d#e", b"/"]);
    }

    #[test]
    fn pieces_and_room_make_no_difference() {
        let connections = accepted().into_iter().map(|(what, bytes, _)| (what, bytes));
        for (what, bytes) in connections.chain(refused().into_iter().map(|(what, bytes, _)| (what, bytes))) {
            let expected = whole(&bytes);
            assert_eq!(follow(bytes.chunks(1), usize::MAX), expected, "{what}, byte by byte");
            assert_eq!(follow([&bytes[..]], 1), expected, "{what}, passed byte by byte");
            assert_eq!(follow(bytes.chunks(7), 3), expected, "{what}, seven bytes with room for three");
            if bytes.len() < 1000 {
                for at in 0..bytes.len() {
                    let (front, back) = bytes.split_at(at);
                    assert_eq!(follow([front, back], usize::MAX), expected, "{what}, in two pieces at {at}");
                }
            }
        }
    }

    #[test]
    fn what_stands_behind_a_request_is_not_looked_at() {
        let mut framing = Framing::new(MAX_CONTENT);
        let mut bytes = [&get("/chat")[..], b"\x81\x80frame"].concat();

        assert_eq!(framing.receive(&mut bytes, usize::MAX), Ok(&get("/")[..]));

        assert_eq!(framing.content_left(), Some(0));
        assert_eq!(framing.take_rest(), b"\x81\x80frame");
    }

    #[test]
    fn content_that_has_not_gone_on_is_no_next_request() {
        let mut framing = Framing::new(MAX_CONTENT);
        let mut bytes = post("Content-Length: 3\r\n", "abc");
        let room = bytes.len() - 2;

        assert_eq!(framing.receive(&mut bytes, room).unwrap().len(), room);
        assert!(!framing.has_next());

        assert_eq!(framing.receive(&mut get("/"), 1), Ok(&b"b"[..]));
        assert!(framing.has_next());
    }

    #[test]
    fn the_rest_begins_with_content_that_has_not_gone_on() {
        let mut framing = Framing::new(MAX_CONTENT);
        let mut bytes = post("Content-Length: 5\r\n", "abc");
        let head = bytes.len() - 3;

        assert_eq!(framing.receive(&mut bytes, head + 1).unwrap().len(), head + 1);

        assert_eq!(framing.content_left(), Some(4));
        assert_eq!(framing.take_rest(), b"bc");
    }

    #[test]
    fn nobody_knows_how_much_is_left_of_chunks() {
        let mut framing = Framing::new(MAX_CONTENT);

        framing.receive(&mut chunked("3\r\nabc\r\n"), usize::MAX).unwrap();

        assert_eq!(framing.content_left(), None);
    }

    #[test]
    fn a_head_has_begun_with_its_first_byte_and_not_with_an_empty_line() {
        let mut framing = Framing::new(MAX_CONTENT);
        for (piece, is_in_head) in [
            ("", false),
            ("\r", false),
            ("\n", false),
            ("G", true),
            ("ET / HTTP/1.0\r\n", true),
            ("\r\n", false),
        ] {
            framing.receive(&mut piece.as_bytes().to_vec(), usize::MAX).unwrap();
            assert_eq!(framing.is_in_head(), is_in_head, "{piece:?}");
        }

        framing.receive(&mut [get("/"), get("/")].concat(), usize::MAX).unwrap();

        assert!(framing.is_in_head(), "a request waits behind the first");
    }

    #[test]
    fn nothing_is_kept_between_requests() {
        let mut framing = Framing::new(MAX_CONTENT);
        framing.receive(&mut get("/")[..10].to_vec(), usize::MAX).unwrap();
        framing.receive(&mut get("/")[10..].to_vec(), usize::MAX).unwrap();
        framing.receive(&mut [], usize::MAX).unwrap();

        assert_eq!(framing.kept.bytes.capacity(), 0);
    }

    #[test]
    fn a_run_ends_where_one_counted_byte_by_byte_ends() {
        let mut random = Random(1);
        for _ in 0..20_000 {
            let rare = b"\0\t\t\t\r\x1f !\"~\x7f\x7f\x80\x9f\xa1\xff";
            let mut byte = || if random.below(8) == 0 { rare[random.below(rare.len())] } else { b'a' };
            let bytes: Vec<u8> = (0..40).map(|_| byte()).collect();
            let plain = |allowed: fn(u8) -> bool| bytes.iter().take_while(|&&byte| allowed(byte)).count();

            assert_eq!(
                value_run(&bytes),
                plain(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)),
                "{bytes:?}"
            );
            assert_eq!(target_run(&bytes), plain(|byte| byte > b' '), "{bytes:?}");
        }
    }

    /// A generator of numbers that is the same each time.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }
    }

    /// hyper behind the framing: it must not find fault with anything, and end each request where the framing does.
    #[cfg(feature = "addon")]
    mod with_hyper {
        use super::*;
        use crate::fuzzing::requests::hyper_reader::{assert_reads_the_same, read};

        fn assert_all_read_the_same(what: &str, bytes: &[u8]) {
            let expected = whole(bytes);
            for piece in [usize::MAX, 1, 100] {
                assert_reads_the_same(&read(bytes.chunks(piece), MAX_CONTENT), &expected, what);
            }
        }

        #[test]
        fn reads_what_goes_on_in_the_same_way() {
            for (what, bytes, _) in accepted() {
                assert_all_read_the_same(what, &bytes);
            }
            for (what, bytes, _) in refused() {
                assert_all_read_the_same(what, &bytes);
            }
        }

        #[test]
        fn reads_the_contents_that_were_sent() {
            let bytes = [
                post("Content-Length: 3\r\n", "abc"),
                chunked("2;x\r\nde\r\n0001\r\nf\r\n0\r\nT: 1\r\n\r\n"),
                get("/"),
            ]
            .concat();
            let contents: Vec<_> =
                read([&bytes[..]], MAX_CONTENT).requests.into_iter().map(|request| request.content).collect();
            assert_eq!(contents, [&b"abc"[..], b"def", b""]);
        }

        /// Requests with some bytes changed, most of them at a place that matters.
        #[test]
        fn reads_what_goes_on_of_broken_requests_in_the_same_way() {
            let mut random = Random(7);
            let seeds: Vec<Vec<u8>> = accepted()
                .into_iter()
                .map(|(_, bytes, _)| bytes)
                .filter(|bytes| (1..1000).contains(&bytes.len()))
                .collect();
            let bytes = b"\0\t\n\r !\"#(),/0139:;<=>@AZ[\\]^_`az{|}~\x7f\x80\xff";
            let pieces: [&[u8]; 8] = [
                b"\r\n",
                b"\r\n\r\n",
                b"Content-Length: 3\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Host: b\r\n",
                b"0\r\n",
                b" HTTP/1.1",
                b"3\r\nabc\r\n",
            ];
            for _ in 0..20_000 {
                let mut broken = seeds[random.below(seeds.len())].clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(broken.len().max(1));
                    match random.below(4) {
                        0 if at < broken.len() => drop(broken.remove(at)),
                        1 => broken.insert(at, bytes[random.below(bytes.len())]),
                        2 => drop(broken.splice(at..at, pieces[random.below(pieces.len())].iter().copied())),
                        _ if at < broken.len() => broken[at] = bytes[random.below(bytes.len())],
                        _ => {}
                    }
                }
                if random.below(2) == 0 {
                    broken.extend_from_slice(&get("/behind"));
                }
                assert_all_read_the_same("broken", &broken);
                assert_eq!(follow(broken.chunks(1 + random.below(20)), usize::MAX), whole(&broken));
            }
        }
    }

    /// What following a request costs: `cargo test --release --no-default-features cost -- --ignored --nocapture`.
    #[test]
    #[ignore = "it measures"]
    #[expect(clippy::print_stderr, reason = "the measurement is its result")]
    fn cost() {
        let browser = field(
            "Connection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n\
             sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
             image/webp,image/apng,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n\
             Sec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef",
        );
        for (what, request) in [
            ("GET of wrk", field("User-Agent: wrk/4.2.0")),
            ("GET of a browser", browser),
            ("POST of 1 KB", post("Content-Length: 1000\r\n", &"a".repeat(1000))),
            (
                "POST of 64 chunks of 1 KB",
                chunked(&format!("{}0\r\n\r\n", format!("400\r\n{}\r\n", "a".repeat(1024)).repeat(64))),
            ),
        ] {
            const ROUNDS: u32 = 200_000;
            let mut framing = Framing::new(MAX_CONTENT);
            let mut buffer = request.clone();
            let began = std::time::Instant::now();
            for _ in 0..ROUNDS {
                buffer.copy_from_slice(&request);
                let passed = framing.receive(std::hint::black_box(&mut buffer), usize::MAX).unwrap();
                assert_eq!(passed.len(), request.len());
            }
            let nanoseconds = began.elapsed().as_nanos() / u128::from(ROUNDS);
            eprintln!("{what}, {} bytes: {nanoseconds} ns", request.len());
        }
    }
}
