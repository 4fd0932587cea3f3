//! The few fields of an X.509 certificate (RFC 5280 §4.1) by which certificates, keys and issuers are brought together. A certificate of
//! version 1 has them too. What a certificate is worth is for others to judge.

use std::ops::RangeInclusive;

/// See the module. Names and key are whole DER elements.
pub(super) struct Certificate<'a> {
    pub(super) issuer: &'a [u8],
    /// In seconds since 1970.
    pub(super) validity: RangeInclusive<u64>,
    pub(super) subject: &'a [u8],
    /// SubjectPublicKeyInfo.
    pub(super) public_key: &'a [u8],
}

/// What a public key is for, as far as it matters which private key could belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    /// Of any curve.
    Ecdsa,
    Ed25519,
    Other,
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version's tag, `[0]`; a certificate of version 1 has none.
const VERSION: u8 = 0xa0;

impl<'a> Certificate<'a> {
    /// `None` when `der` is no certificate.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut certificate = only(der, SEQUENCE)?;
        let mut fields = next(&mut certificate)?.content_of(SEQUENCE)?;
        if fields.first() == Some(&VERSION) {
            next(&mut fields)?;
        }
        let _serial_number = next(&mut fields)?;
        let _signature = next(&mut fields)?;
        let issuer = next(&mut fields)?.whole;
        let mut validity = next(&mut fields)?.content_of(SEQUENCE)?;
        let validity = time(&next(&mut validity)?)?..=time(&next(&mut validity)?)?;
        let subject = next(&mut fields)?.whole;
        let public_key = next(&mut fields)?;
        public_key.content_of(SEQUENCE)?;
        Some(Self { issuer, validity, subject, public_key: public_key.whole })
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    pub(super) fn kind(&self) -> Kind {
        self.algorithm().map_or(Kind::Other, |identifier| match identifier {
            // 1.2.840.113549.1.1.1
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => Kind::Rsa,
            // 1.2.840.10045.2.1
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => Kind::Ecdsa,
            // 1.3.101.112
            [0x2b, 0x65, 0x70] => Kind::Ed25519,
            _ => Kind::Other,
        })
    }

    fn algorithm(&self) -> Option<&'a [u8]> {
        let mut public_key = only(self.public_key, SEQUENCE)?;
        let mut algorithm = next(&mut public_key)?.content_of(SEQUENCE)?;
        next(&mut algorithm)?.content_of(OBJECT_IDENTIFIER)
    }
}

/// Whether `der` is one whole SEQUENCE: if it is not understood, then not because it is damaged.
pub(super) fn is_sequence(der: &[u8]) -> bool {
    only(der, SEQUENCE).is_some()
}

/// One DER element: tag, length, content.
struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    content: &'a [u8],
}

impl<'a> Element<'a> {
    fn content_of(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// The content of the element that is all of `der`.
fn only(mut der: &[u8], tag: u8) -> Option<&[u8]> {
    let element = next(&mut der)?;
    if der.is_empty() { element.content_of(tag) } else { None }
}

/// Takes an element off the front of `der`.
fn next<'a>(der: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // The long form: so many bytes of length. Four are 4 GiB.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = &der[..der.len() - after.len()];
    *der = after;
    Some(Element { tag, whole, content })
}

/// A time of a certificate in seconds since 1970 (RFC 5280 §4.1.2.5): `YYMMDDHHMMSSZ` from 1950 to 2049, else `YYYYMMDDHHMMSSZ`. What was before
/// 1970 is 0.
fn time(element: &Element<'_>) -> Option<u64> {
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = element.content.split_at_checked(2)?;
            let year = digits(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = element.content.split_at_checked(4)?;
            (digits(year)?, rest)
        }
        _ => return None,
    };
    let (rest, zone) = rest.split_at_checked(10)?;
    let mut parts = rest.chunks_exact(2).map(digits);
    let mut part = || parts.next().flatten();
    let (month, day, hour, minute, second) = (part()?, part()?, part()?, part()?, part()?);
    if zone != b"Z" || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some(days.saturating_sub(DAYS_TO_1970) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// From the first of March of the year 0.
const DAYS_TO_1970: u64 = 719_468;

fn digits(bytes: &[u8]) -> Option<u64> {
    bytes
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_of(tag: u8, text: &str) -> Option<u64> {
        time(&Element { tag, whole: &[], content: text.as_bytes() })
    }

    #[test]
    fn times_are_counted_from_1970() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", 0),
            (UTC_TIME, "000229120000Z", 951_825_600),
            (UTC_TIME, "260731235959Z", 1_785_542_399),
            (UTC_TIME, "491231235959Z", 2_524_607_999),
            (UTC_TIME, "500101000000Z", 0),
            (GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
            (GENERALIZED_TIME, "21000301000000Z", 4_107_542_400),
            (GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(time_of(tag, text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "7001010000Z",
            "700101000000",
            "700101000000+",
            "70010100000xZ",
            "701301000000Z",
            "700100000000Z",
        ] {
            assert_eq!(time_of(UTC_TIME, text), None, "{text}");
        }
        assert_eq!(time_of(SEQUENCE, "700101000000Z"), None);
    }

    #[test]
    fn an_element_ends_where_its_length_says_or_is_none() {
        let mut der: &[u8] = &[0x04, 0x02, 1, 2, 0x05, 0x00];
        assert_eq!(next(&mut der).unwrap().content, [1, 2]);
        assert_eq!(next(&mut der).unwrap().whole, [0x05, 0x00]);
        assert!(next(&mut der).is_none());
        let long = [[0x04, 0x82, 0x01, 0x00].as_slice(), &[7; 256]].concat();
        assert_eq!(next(&mut &long[..]).unwrap().content, [7; 256]);
        for broken in [
            &[0x04][..],
            &[0x04, 0x02, 1],
            &[0x04, 0x80],
            &[0x04, 0x82, 1],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x04, 0x85, 0, 0, 0, 0, 1],
        ] {
            assert!(next(&mut &broken[..]).is_none(), "{broken:x?}");
        }
    }

    #[test]
    fn no_beginning_of_a_certificate_is_one() {
        let der = crate::server::keyring::tests::certificate();
        let certificate = Certificate::parse(&der).unwrap();
        assert!(certificate.is_self_issued());
        assert_eq!(certificate.kind(), Kind::Ecdsa);
        assert!(certificate.validity.contains(&1_785_542_399));
        for length in 0..der.len() {
            assert!(Certificate::parse(&der[..length]).is_none(), "{length}");
        }
    }
}
