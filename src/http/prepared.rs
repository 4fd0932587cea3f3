//! The head of an answer as bytes, made without hyper: for the most common kind, which is there as a whole and has nothing to say of the
//! connection.
#![forbid(unsafe_code)]

use http::StatusCode;

use super::phrase;

/// The head of an answer that is given again and again.
#[derive(Debug)]
pub(crate) struct Head {
    /// All of it but the date, if that is left out.
    text: Vec<u8>,
    has_date: bool,
}

impl Head {
    /// As `write_head`.
    pub(crate) fn new(status: StatusCode, fields: &[u8], length: usize) -> Option<Self> {
        let mut text = Vec::new();
        let has_date = begin(&mut text, status, fields, length)?;
        Some(Self { text, has_date })
    }

    /// Appends the head to `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, date: &[u8]) {
        out.extend_from_slice(&self.text);
        end(out, self.has_date, date);
    }
}

/// Appends the head of an answer with so much content to `out`. `fields` are `name: value CR LF …`; the length and, unless it is among them,
/// the date are added. Returns false, and leaves `out` as it may be, when this is not of the common kind: hyper takes care of it.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &[u8],
    date: &[u8],
    length: usize,
) -> bool {
    let has_date = begin(out, status, fields, length);
    if let Some(has_date) = has_date {
        end(out, has_date, date);
    }
    has_date.is_some()
}

/// Whether an answer has a Content-Length of its own accord. RFC 9110 §8.6: 1xx and 204 MUST NOT have one, and that of a 304 is for the handler to say.
pub(crate) fn has_length(status: StatusCode) -> bool {
    !status.is_informational() && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Appends a field as it goes over the wire.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Writes everything but the date. Returns whether there is one among the fields.
fn begin(out: &mut Vec<u8>, status: StatusCode, fields: &[u8], length: usize) -> Option<bool> {
    let has_date = check(fields).filter(|_| has_length(status))?;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(phrase::standard(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(fields);
    out.extend_from_slice(b"content-length: ");
    write_number(out, length);
    out.extend_from_slice(b"\r\n");
    Some(has_date)
}

fn end(out: &mut Vec<u8>, has_date: bool, date: &[u8]) {
    if !has_date {
        write_field(out, b"date", date);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether there is a Date among the fields. `None` when HTTP cannot carry one of them, or it is about the framing or the connection.
fn check(fields: &[u8]) -> Option<bool> {
    let mut has_date = false;
    let mut rest = fields;
    while !rest.is_empty() {
        let length = rest.iter().position(|&byte| !is_token(byte))?;
        let (name, value) = rest.split_at(length);
        let value = value.strip_prefix(b": ")?;
        let end = value.iter().position(|&byte| !is_value(byte))?;
        rest = value[end..].strip_prefix(b"\r\n")?;
        if name.is_empty() || OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other)) {
            return None;
        }
        has_date |= name.eq_ignore_ascii_case(b"date");
    }
    Some(has_date)
}

/// Fields that hyper has a say in.
const OTHERS: [&[u8]; 7] =
    [b"connection", b"content-length", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"];

/// RFC 9110 §5.6.2: `tchar`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// §5.5: what a field value is made of.
fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn write_number(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &[u8] = b"Tue, 14 Nov 2023 22:13:20 GMT";

    fn written(status: u16, fields: &str, length: usize) -> Option<String> {
        let mut out = Vec::new();
        let status = StatusCode::from_u16(status).unwrap();
        write_head(&mut out, status, fields.as_bytes(), DATE, length)
            .then(|| out.iter().map(|&byte| char::from(byte)).collect())
    }

    #[test]
    fn an_answer_has_its_fields_its_length_and_the_date() {
        let answer = written(200, "content-type: text/plain\r\nx-a: b\r\n", 5).unwrap();
        assert_eq!(
            answer,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-a: b\r\ncontent-length: 5\r\n\
             date: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n"
        );
    }

    #[test]
    fn a_date_of_the_handler_is_the_only_one() {
        let answer = written(404, "Date: now\r\n", 0).unwrap();
        assert_eq!(answer, "HTTP/1.1 404 Not Found\r\nDate: now\r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn a_status_without_a_phrase_goes_without() {
        assert!(written(599, "", 1).unwrap().starts_with("HTTP/1.1 599 \r\ncontent-length: 1\r\n"));
    }

    #[test]
    fn lengths_are_written_in_digits() {
        for length in [0, 1, 9, 10, 99, 100, 12345] {
            let answer = written(200, "", length).unwrap();
            assert!(answer.contains(&format!("content-length: {length}\r\n")), "{length}");
        }
    }

    #[test]
    fn values_may_have_any_byte_but_controls() {
        assert!(written(200, "x: a\tb \u{e9}\r\n", 0).is_some());
        assert!(written(200, "x: \r\n", 0).is_some());
        for bad in ["a\0", "a\x7f", "a\rb", "a\nb", "a\r\n\r\nb"] {
            assert!(written(200, &format!("x: {bad}\r\n"), 0).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_of_the_common_kind_is_left_to_hyper() {
        for status in [101, 204, 304] {
            assert!(written(status, "", 0).is_none(), "{status}");
        }
        for fields in [
            "Connection: close\r\n",
            "content-length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "upgrade: x\r\n",
            "a b: c\r\n",
            ": c\r\n",
            "a:b\r\n",
            "a\r\n",
            "a: b",
            "a: b\n",
        ] {
            assert!(written(200, fields, 0).is_none(), "{fields:?}");
        }
    }
}
