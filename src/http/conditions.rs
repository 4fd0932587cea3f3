//! Conditional and range requests (RFC 9110 §13, §14) for what is the same for everybody: static routes and files. Sans-IO: fields and
//! validators in, what to do out.
#![forbid(unsafe_code)]

use std::ops::Range;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, Method, header};

/// What says whether two representations are the same. A time has whole seconds, as the field has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validators<'a> {
    pub(crate) etag: Option<&'a [u8]>,
    pub(crate) modified: Option<SystemTime>,
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request is answered as if it had none.
    Proceed,
    /// 304: the client has it already.
    NotModified,
    /// 412: it is not what the client takes it for.
    Failed,
}

/// How much of a representation is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// 206: these bytes.
    Part(Range<u64>),
    /// 416: bytes that it does not have.
    Unsatisfiable,
}

/// Whether conditions and ranges mean anything: they do in requests that fetch.
pub(crate) fn apply_to(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

impl Validators<'_> {
    /// Decides in the order of §13.2.2.
    pub(crate) fn judge(&self, fields: &HeaderMap) -> Verdict {
        if let Some(list) = field(fields, header::IF_MATCH) {
            // §13.1.1: a recipient MUST use the strong comparison function.
            let is_met = is_any(list) || self.strong_etag().is_some_and(|etag| has_tag(list, etag, false));
            if !is_met {
                return Verdict::Failed;
            }
        } else if let (Some(modified), Some(limit)) =
            (self.modified, date(fields, header::IF_UNMODIFIED_SINCE))
            && modified > limit
        {
            return Verdict::Failed;
        }
        if let Some(list) = field(fields, header::IF_NONE_MATCH) {
            // §13.1.2: a recipient MUST use the weak comparison function.
            let is_known = self.etag.is_some_and(|etag| is_any(list) || has_tag(list, opaque(etag), true));
            return if is_known { Verdict::NotModified } else { Verdict::Proceed };
        }
        match (self.modified, date(fields, header::IF_MODIFIED_SINCE)) {
            (Some(modified), Some(limit)) if modified <= limit => Verdict::NotModified,
            _ => Verdict::Proceed,
        }
    }

    /// How much of `length` bytes is asked for. Several ranges, and what is none, ask for the whole.
    pub(crate) fn extent(&self, fields: &HeaderMap, length: u64) -> Extent {
        let Some(range) = field(fields, header::RANGE).filter(|_| self.meets_if_range(fields)) else {
            return Extent::Whole;
        };
        parse_range(range, length).unwrap_or(Extent::Whole)
    }

    /// §13.1.5: the range is meant for this very representation: the same strong etag, or exactly the same time.
    fn meets_if_range(&self, fields: &HeaderMap) -> bool {
        let Some(validator) = field(fields, header::IF_RANGE) else { return true };
        let is_same_tag = validator.starts_with(b"\"")
            && self.strong_etag().is_some_and(|etag| has_tag(validator, etag, false));
        is_same_tag || self.modified.is_some_and(|modified| parse_date(validator) == Some(modified))
    }

    fn strong_etag(&self) -> Option<&[u8]> {
        self.etag.filter(|etag| !etag.starts_with(b"W/")).map(opaque)
    }
}

/// An empty field is as good as none.
fn field(fields: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let value = fields.get(name)?.as_bytes().trim_ascii();
    Some(value).filter(|value| !value.is_empty())
}

/// §13.1.3: a recipient MUST ignore the field if its value is not a valid HTTP-date.
fn date(fields: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    parse_date(field(fields, name)?)
}

/// A date as HTTP writes it; `None` for anything else.
pub(crate) fn parse_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

fn is_any(list: &[u8]) -> bool {
    list == b"*"
}

/// What an entity tag says, without the weakness and the quotes.
fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    tag.strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\"")).unwrap_or(tag)
}

/// Whether a list of entity tags has one that says `wanted`; a weak one counts if `takes_weak`. One without quotes counts too.
fn has_tag(mut list: &[u8], wanted: &[u8], takes_weak: bool) -> bool {
    loop {
        list = skip(list, |byte| matches!(byte, b',' | b' ' | b'\t'));
        if list.is_empty() {
            return false;
        }
        let (is_weak, tag) = list.strip_prefix(b"W/").map_or((false, list), |tag| (true, tag));
        let end;
        let found;
        if let Some(quoted) = tag.strip_prefix(b"\"") {
            let Some(length) = quoted.iter().position(|&byte| byte == b'"') else { return false };
            found = &quoted[..length];
            end = &quoted[length + 1..];
        } else {
            let length = tag.iter().position(|&byte| byte == b',').unwrap_or(tag.len());
            found = tag[..length].trim_ascii_end();
            end = &tag[length..];
        }
        if found == wanted && (takes_weak || !is_weak) {
            return true;
        }
        list = end;
    }
}

fn skip(bytes: &[u8], is_skipped: impl Fn(u8) -> bool) -> &[u8] {
    let count = bytes.iter().take_while(|&&byte| is_skipped(byte)).count();
    &bytes[count..]
}

/// §14.1: `bytes=first-last`, `bytes=first-`, `bytes=-suffix`. `None` for what is not one range of bytes.
fn parse_range(value: &[u8], length: u64) -> Option<Extent> {
    let (unit, range) = split(value, b'=')?;
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let (first, last) = split(range, b'-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        // Of nothing, the last bytes are the whole.
        return match (suffix, length) {
            (0, _) => Some(Extent::Unsatisfiable),
            (_, 0) => None,
            _ => Some(Extent::Part(length.saturating_sub(suffix)..length)),
        };
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= length {
        return Some(Extent::Unsatisfiable);
    }
    Some(Extent::Part(first..last.saturating_add(1).min(length)))
}

/// Both sides of the first `separator`, without the white space around them.
fn split(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some((bytes[..at].trim_ascii(), bytes[at + 1..].trim_ascii()))
}

/// Digits only, unlike `str::parse`.
fn number(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const EARLIER: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const MODIFIED: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const LATER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")))
            .collect()
    }

    fn validators(etag: &str) -> Validators<'_> {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Validators { etag: Some(etag.as_bytes()), modified: Some(modified) }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for etag in ["\"q\"", "W/\"q\""] {
            for list in ["\"q\"", "W/\"q\"", "*", "q", "\"z\", \"q\"", "\"z\",W/\"q\"", "\"a,b\" , \"q\""] {
                let verdict = validators(etag).judge(&fields(&[("if-none-match", list)]));
                assert_eq!(verdict, Verdict::NotModified, "{etag} in {list}");
            }
            for list in ["\"z\"", "\"q", "\"z\", *", "\"q,\"", "", "qq", "W/", "\"a,q\""] {
                let verdict = validators(etag).judge(&fields(&[("if-none-match", list)]));
                assert_eq!(verdict, Verdict::Proceed, "{etag} not in {list}");
            }
        }
    }

    #[test]
    fn if_match_compares_strongly() {
        let strong = validators("\"q\"");
        for (list, verdict) in [
            ("\"q\"", Verdict::Proceed),
            ("\"z\", \"q\"", Verdict::Proceed),
            ("*", Verdict::Proceed),
            ("", Verdict::Proceed),
            ("W/\"q\"", Verdict::Failed),
            ("\"z\"", Verdict::Failed),
        ] {
            assert_eq!(strong.judge(&fields(&[("if-match", list)])), verdict, "{list}");
        }
        let weak = validators("W/\"q\"");
        assert_eq!(weak.judge(&fields(&[("if-match", "W/\"q\"")])), Verdict::Failed);
        assert_eq!(weak.judge(&fields(&[("if-match", "\"q\"")])), Verdict::Failed);
    }

    #[test]
    fn dates_count_where_no_tag_is_asked_for() {
        let expected: [(&[(&str, &str)], Verdict); 9] = [
            (&[("if-modified-since", EARLIER)], Verdict::Proceed),
            (&[("if-modified-since", MODIFIED)], Verdict::NotModified),
            (&[("if-modified-since", LATER)], Verdict::NotModified),
            (&[("if-modified-since", "yesterday")], Verdict::Proceed),
            (&[("if-unmodified-since", EARLIER)], Verdict::Failed),
            (&[("if-unmodified-since", MODIFIED)], Verdict::Proceed),
            (&[("if-none-match", "\"z\""), ("if-modified-since", LATER)], Verdict::Proceed),
            (&[("if-match", "\"q\""), ("if-unmodified-since", EARLIER)], Verdict::Proceed),
            (&[("if-match", "\"z\""), ("if-none-match", "\"q\"")], Verdict::Failed),
        ];
        for (pairs, verdict) in expected {
            assert_eq!(validators("\"q\"").judge(&fields(pairs)), verdict, "{pairs:?}");
        }
        let unknown = Validators { etag: None, modified: None };
        assert_eq!(unknown.judge(&fields(&[("if-none-match", "*")])), Verdict::Proceed);
        assert_eq!(unknown.judge(&fields(&[("if-modified-since", LATER)])), Verdict::Proceed);
    }

    #[test]
    fn a_range_is_one_range_of_bytes() {
        let extent = |range, length| validators("\"q\"").extent(&fields(&[("range", range)]), length);
        for (range, part) in [
            ("bytes=0-4", 0..5),
            ("bytes=6-", 6..11),
            ("bytes=-3", 8..11),
            ("bytes=-1000", 0..11),
            ("bytes=0-0", 0..1),
            ("bytes=0-1000", 0..11),
            ("bytes=0-18446744073709551615", 0..11),
            ("BYTES = 00 - 01", 0..2),
        ] {
            assert_eq!(extent(range, 11), Extent::Part(part), "{range}");
        }
        for range in ["bytes=11-", "bytes=20-30", "bytes=-0", "bytes=18446744073709551615-"] {
            assert_eq!(extent(range, 11), Extent::Unsatisfiable, "{range}");
        }
        for range in [
            "bytes=5-2",
            "bytes=0-1,3-4",
            "bytes=0-1,",
            "items=0-1",
            "bytes=a-b",
            "bytes=",
            "bytes=-",
            "bytes=1",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=--5",
            "bytes=1-1-1",
            "bytes=0-1;x",
            "bytes=0-18446744073709551616",
            "bytes=99999999999999999999-",
            "",
        ] {
            assert_eq!(extent(range, 11), Extent::Whole, "{range}");
        }
        assert_eq!(extent("bytes=0-4", 0), Extent::Unsatisfiable);
        assert_eq!(extent("bytes=-4", 0), Extent::Whole);
    }

    #[test]
    fn if_range_takes_the_same_strong_tag_or_the_same_time() {
        let extent = |etag, validator| {
            validators(etag).extent(&fields(&[("range", "bytes=0-4"), ("if-range", validator)]), 11)
        };
        for (etag, validator) in
            [("\"q\"", "\"q\""), ("\"q\"", MODIFIED), ("W/\"q\"", MODIFIED), ("\"q\"", "")]
        {
            assert_eq!(extent(etag, validator), Extent::Part(0..5), "{validator}");
        }
        for (etag, validator) in [
            ("\"q\"", "\"z\""),
            ("\"q\"", "W/\"q\""),
            ("W/\"q\"", "W/\"q\""),
            ("W/\"q\"", "\"q\""),
            ("\"q\"", EARLIER),
            ("\"q\"", LATER),
            ("\"q\"", "q"),
        ] {
            assert_eq!(extent(etag, validator), Extent::Whole, "{validator}");
        }
    }
}
