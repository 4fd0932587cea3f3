//! What is agreed to answers what was offered (RFC 7692 §5, §7.1). The rules stand here once more, each by itself.

use super::Target;
use crate::websocket::extensions::{Agreed, DeflateConfig, Level, negotiate};
use arbitrary::Arbitrary;

/// The `Sec-WebSocket-Extensions` of a request, and what the server is ready to do.
#[derive(Arbitrary, Debug)]
pub struct Extensions<'a> {
    /// Which of [`LEVELS`].
    compress: u8,
    /// Which of [`LEVELS`].
    decompress: u8,
    /// The values of the fields, a line each.
    fields: &'a [u8],
}

impl<'a> Target<'a> for Extensions<'a> {
    fn play(self) {
        let [compress, decompress] =
            [self.compress, self.decompress].map(|index| &LEVELS[usize::from(index) % LEVELS.len()]);
        let level = |row: &Row| row.name.map(|name| Level::parse(name).expect("a name of the table"));
        let Some(config) = DeflateConfig::new(level(compress), level(decompress)) else {
            let is_off = |row: &Row| matches!(row.name, None | Some("disable"));
            return assert!(is_off(compress) && is_off(decompress));
        };
        let fields: Vec<&[u8]> = self.fields.split(|&byte| byte == b'\n').collect();
        let mut offers = fields.iter().flat_map(|field| elements(field)).filter_map(Parameters::of_an_offer);
        let offer =
            offers.find(|offer| compress.window.is_some() || offer.server_bits.is_none_or(|bits| bits == 15));
        let agreed = negotiate(fields.iter().copied(), &config);
        assert_eq!(agreed.is_some(), offer.is_some(), "{offer:?} gets {agreed:?}");
        if let (Some(offer), Some(agreed)) = (offer, agreed) {
            check(&offer, &agreed, compress, decompress);
        }
    }
}

/// Whether `agreed` answers `offer` as the server has to and can (RFC 7692 §7.1).
fn check(offer: &Parameters, agreed: &Agreed, compress: &Row, decompress: &Row) {
    let answer = agreed.to_string();
    let elements = elements(answer.as_bytes());
    let [element] = elements[..] else { panic!("an answer is one element: {answer}") };
    let answer = Parameters::of_an_answer(element).expect("an answer obeys the grammar");
    assert_eq!(
        answer,
        Parameters {
            client_alone: agreed.client_no_context_takeover,
            server_alone: agreed.server_no_context_takeover,
            client_bits: agreed.client_max_window_bits.map(Some),
            server_bits: agreed.server_max_window_bits,
        },
        "an answer says what is agreed"
    );
    // §7.1.1.1: a server accepts an offer with server_no_context_takeover by including it in the response.
    assert!(answer.server_alone || !offer.server_alone);
    assert!(answer.client_alone || !offer.client_alone);
    // §7.1.2.1: with the same or a smaller value.
    assert!(offer.server_bits.is_none_or(|offered| answer.server_bits.is_some_and(|bits| bits <= offered)));
    // §7.1.2.2: only if the client says that it can, and no more than it says.
    if let Some(bits) = agreed.client_max_window_bits {
        assert!(offer.client_bits.expect("a client that can").is_none_or(|offered| bits <= offered));
    }
    // What is agreed to costs no more than the levels allow.
    assert!(answer.client_alone || decompress.receives(agreed.client_max_window_bits.unwrap_or(15)));
    assert!(
        answer.server_alone
            || compress.window.is_some_and(|own| agreed.server_max_window_bits.unwrap_or(15) <= own)
    );
    assert_eq!(agreed.server_compresses, compress.name != Some("disable"));
}

/// The elements of a list, which are separated by commas outside of quoted strings.
fn elements(field: &[u8]) -> Vec<&[u8]> {
    let (mut elements, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < field.len() {
        match field[at] {
            b',' => {
                elements.push(&field[begin..at]);
                begin = at + 1;
            }
            b'"' => {
                at += 1;
                while at < field.len() && field[at] != b'"' {
                    at += if field[at] == b'\\' { 2 } else { 1 };
                }
            }
            _ => {}
        }
        at += 1;
    }
    elements.push(&field[begin..]);
    elements
}

/// The parameters of permessage-deflate.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parameters {
    client_alone: bool,
    server_alone: bool,
    /// In an offer it may be without a value.
    client_bits: Option<Option<u8>>,
    server_bits: Option<u8>,
}

impl Parameters {
    fn of_an_offer(element: &[u8]) -> Option<Self> {
        Self::parse(element, true)
    }

    fn of_an_answer(element: &[u8]) -> Option<Self> {
        Self::parse(element, false)
    }

    /// `None` where it is another extension, or a parameter is none of the few there are or comes twice.
    fn parse(element: &[u8], is_offer: bool) -> Option<Self> {
        let text = str::from_utf8(element).ok()?;
        let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
        if parts.next() != Some("permessage-deflate") {
            return None;
        }
        let mut parameters = Self::default();
        for part in parts {
            let is_new = match part {
                "client_no_context_takeover" => !std::mem::replace(&mut parameters.client_alone, true),
                "server_no_context_takeover" => !std::mem::replace(&mut parameters.server_alone, true),
                "client_max_window_bits" if is_offer => parameters.client_bits.replace(None).is_none(),
                _ => {
                    let bits = |name: &str| {
                        (8..=15).find(|bits| {
                            part == format!("{name}={bits}") || part == format!("{name}=\"{bits}\"")
                        })
                    };
                    match (bits("client_max_window_bits"), bits("server_max_window_bits")) {
                        (Some(bits), _) => parameters.client_bits.replace(Some(bits)).is_none(),
                        (_, Some(bits)) => parameters.server_bits.replace(bits).is_none(),
                        _ => false,
                    }
                }
            };
            if !is_new {
                return None;
            }
        }
        Some(parameters)
    }
}

/// What `perMessageDeflate` may say of one direction.
struct Row {
    name: Option<&'static str>,
    /// The window bits of a server that keeps its context; `None` where it does not.
    window: Option<u8>,
    /// The window bits up to which a client may keep its context.
    client_window: Option<u8>,
}

impl Row {
    fn receives(&self, window_bits: u8) -> bool {
        self.client_window.is_some_and(|own| window_bits <= own)
    }
}

const fn row(name: &'static str, window: Option<u8>, client_window: Option<u8>) -> Row {
    Row { name: Some(name), window, client_window }
}

const LEVELS: [Row; 12] = [
    Row { name: None, window: None, client_window: None },
    row("disable", None, None),
    row("shared", None, None),
    row("dedicated", Some(15), Some(15)),
    row("3KB", Some(9), Some(11)),
    row("4KB", Some(9), Some(12)),
    row("8KB", Some(10), Some(13)),
    row("16KB", Some(11), Some(14)),
    row("32KB", Some(12), Some(15)),
    row("64KB", Some(13), Some(15)),
    row("128KB", Some(14), Some(15)),
    row("256KB", Some(15), Some(15)),
];
