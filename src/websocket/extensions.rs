//! `Sec-WebSocket-Extensions` (§9.1) and what is agreed to of permessage-deflate (RFC 7692 §5, §7.1), as Bun agrees to it. No other
//! extension is known.

use std::fmt;

/// How much memory one direction of a socket may spend on compression: the names of `perMessageDeflate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// This direction is not compressed.
    Disable,
    /// No memory per socket: each message stands alone.
    Shared,
    /// The largest context (RFC 7692 §7.1: the LZ77 window) is kept from message to message.
    Dedicated,
    /// A context of the class of so many KiB is kept, and messages larger than that are compressed unasked.
    Kb3,
    /// See [`Level::Kb3`].
    Kb4,
    /// See [`Level::Kb3`].
    Kb8,
    /// See [`Level::Kb3`].
    Kb16,
    /// See [`Level::Kb3`].
    Kb32,
    /// See [`Level::Kb3`].
    Kb64,
    /// See [`Level::Kb3`].
    Kb128,
    /// See [`Level::Kb3`].
    Kb256,
}

/// What a level means.
struct Row {
    name: &'static str,
    /// Window bits of a compressor that keeps its context.
    compress: Option<u8>,
    /// Window bits of a decompressor that keeps its context.
    decompress: Option<u8>,
    /// Messages of more bytes are compressed unless the caller says otherwise.
    threshold: Option<usize>,
}

impl Level {
    /// The level of that name, `"disable"` to `"256KB"`; `true` is `"shared"` and `false` is `"disable"`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.row().name == name)
    }

    const ALL: [Self; 11] = [
        Self::Disable,
        Self::Shared,
        Self::Dedicated,
        Self::Kb3,
        Self::Kb4,
        Self::Kb8,
        Self::Kb16,
        Self::Kb32,
        Self::Kb64,
        Self::Kb128,
        Self::Kb256,
    ];

    /// The one table of levels. A class of n KiB is zlib's formula: 2^(window bits + 2) + 2^(memory level + 9) bytes to compress with
    /// memory levels 1 to 8; decompressors have the windows that Bun gives them.
    #[rustfmt::skip] // a table: one row, one line
    const fn row(self) -> Row {
        const fn row(name: &'static str, compress: Option<u8>, decompress: Option<u8>, threshold: Option<usize>) -> Row {
            Row { name, compress, decompress, threshold }
        }
        match self {
            Self::Disable   => row("disable",   None,     None,     None),
            Self::Shared    => row("shared",    None,     None,     None),
            Self::Dedicated => row("dedicated", Some(15), Some(15), None),
            Self::Kb3       => row("3KB",       Some(9),  Some(11), Some(3 * KIB)),
            Self::Kb4       => row("4KB",       Some(9),  Some(12), Some(4 * KIB)),
            Self::Kb8       => row("8KB",       Some(10), Some(13), Some(8 * KIB)),
            Self::Kb16      => row("16KB",      Some(11), Some(14), Some(16 * KIB)),
            Self::Kb32      => row("32KB",      Some(12), Some(15), Some(32 * KIB)),
            Self::Kb64      => row("64KB",      Some(13), Some(15), Some(64 * KIB)),
            Self::Kb128     => row("128KB",     Some(14), Some(15), Some(128 * KIB)),
            Self::Kb256     => row("256KB",     Some(15), Some(15), Some(256 * KIB)),
        }
    }
}

/// What a server agrees to; the option `perMessageDeflate`, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    compress: Level,
    /// Never [`Level::Disable`]: a client may compress whenever the extension is agreed to.
    decompress: Level,
}

impl DeflateConfig {
    /// The configuration that `compress` and `decompress` ask for, `None` when the extension is never agreed to: with neither of them
    /// given, or none that is not [`Level::Disable`]. One that is not given is [`Level::Shared`].
    pub fn new(compress: Option<Level>, decompress: Option<Level>) -> Option<Self> {
        let given = [compress, decompress].into_iter().flatten();
        if given.filter(|&level| level != Level::Disable).count() == 0 {
            return None;
        }
        Some(Self {
            compress: compress.unwrap_or(Level::Shared),
            decompress: decompress.filter(|&level| level != Level::Disable).unwrap_or(Level::Shared),
        })
    }

    /// Whether a message of `len` bytes is to be compressed for the clients that agreed to it. `asked` is the `compress` argument; when
    /// it is omitted a level with a size decides by that size, and for the others it is `by_default`.
    pub fn should_compress(&self, asked: Option<bool>, len: usize, by_default: bool) -> bool {
        let by_size = || self.compress.row().threshold.map(|threshold| len > threshold);
        asked.or_else(by_size).unwrap_or(by_default)
    }
}

/// The agreed parameters (RFC 7692 §7.1). Displays as the value of the response's `Sec-WebSocket-Extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Every message of the client stands alone.
    pub client_no_context_takeover: bool,
    /// The client's window is of so many bits; 15 when it is `None`.
    pub client_max_window_bits: Option<u8>,
    /// Every message of the server stands alone.
    pub server_no_context_takeover: bool,
    /// The server's window is of so many bits; 15 when it is `None`.
    pub server_max_window_bits: Option<u8>,
    /// Whether the server compresses at all. Not told to the client, which must expect either.
    pub server_compresses: bool,
}

/// Agrees to the first offer that `config` can meet. `fields` are the values of the `Sec-WebSocket-Extensions` fields, in order.
///
/// What cannot be met, or is no extension at all, is passed over (RFC 7692 §5.1); `None` opens an uncompressed connection.
pub fn negotiate<'f>(fields: impl IntoIterator<Item = &'f [u8]>, config: &DeflateConfig) -> Option<Agreed> {
    let mut offers = fields.into_iter().flat_map(|field| split_unquoted(field, b','));
    offers.find_map(|offer| Offer::parse(offer)?.meet(config))
}

/// One offer of permessage-deflate.
#[derive(Debug, Default)]
struct Offer {
    client_no_context_takeover: bool,
    server_no_context_takeover: bool,
    client_max_window_bits: Option<u8>,
    server_max_window_bits: Option<u8>,
}

impl Offer {
    /// RFC 7692 §7.1: a server MUST decline an offer with a parameter that is unknown, has an invalid value or occurs twice.
    fn parse(offer: &[u8]) -> Option<Self> {
        let mut parameters = split_unquoted(offer, b';').map(trim);
        if parameters.next()? != NAME.as_bytes() {
            return None;
        }
        let mut parsed = Self::default();
        for parameter in parameters {
            let (name, value) = match parameter.iter().position(|&byte| byte == b'=') {
                Some(at) => (&parameter[..at], Some(&parameter[at + 1..])),
                None => (parameter, None),
            };
            let is_first = match (name, value) {
                (b"client_no_context_takeover", None) => {
                    !std::mem::replace(&mut parsed.client_no_context_takeover, true)
                }
                (b"server_no_context_takeover", None) => {
                    !std::mem::replace(&mut parsed.server_no_context_takeover, true)
                }
                // §7.1.2.2: without a value it says that the client takes this parameter in the response.
                (b"client_max_window_bits", value) => {
                    let bits = value.map_or(Some(MAX_WINDOW_BITS), window_bits)?;
                    parsed.client_max_window_bits.replace(bits).is_none()
                }
                (b"server_max_window_bits", Some(value)) => {
                    parsed.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                _ => false,
            };
            if !is_first {
                return None;
            }
        }
        Some(parsed)
    }

    /// What is agreed to when `config` can meet the offer.
    fn meet(self, config: &DeflateConfig) -> Option<Agreed> {
        let (client_no_context_takeover, client_max_window_bits) = self.meet_client(config.decompress);
        let (server_no_context_takeover, server_max_window_bits) = self.meet_server(config.compress)?;
        Some(Agreed {
            client_no_context_takeover,
            client_max_window_bits,
            server_no_context_takeover,
            server_max_window_bits,
            server_compresses: config.compress != Level::Disable,
        })
    }

    /// The client's two parameters. Any offer can be met: at worst the client's messages stand alone.
    fn meet_client(&self, decompress: Level) -> (bool, Option<u8>) {
        let kept = decompress.row().decompress.filter(|_| !self.client_no_context_takeover);
        match (kept, self.client_max_window_bits) {
            (None, _) => (true, None),
            (Some(own), Some(offered)) => {
                (false, Some(own.min(offered)).filter(|&bits| bits < MAX_WINDOW_BITS))
            }
            // §7.1.2.2: the server MUST NOT ask for a smaller window when the client did not say that it can have one.
            (Some(own), None) => (own < MAX_WINDOW_BITS, None),
        }
    }

    /// The server's two parameters.
    fn meet_server(&self, compress: Level) -> Option<(bool, Option<u8>)> {
        let kept = compress.row().compress.filter(|_| !self.server_no_context_takeover);
        let offered = self.server_max_window_bits;
        match (kept, offered) {
            // §7.1.2.1: a server accepts the parameter by including it, with the same or a smaller value.
            (Some(own), Some(offered)) => Some((false, Some(own.min(offered)))),
            (Some(own), None) => Some((false, Some(own).filter(|&bits| bits < MAX_WINDOW_BITS))),
            (None, None | Some(MAX_WINDOW_BITS)) => Some((true, offered)),
            // Bun declines, although a compressor of the socket's own could have met it (Autobahn 13.5).
            (None, Some(offered)) => Some((true, Some(compress.row().compress?.min(offered)))),
        }
    }
}

impl fmt::Display for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; client_max_window_bits={bits}")?;
        }
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        Ok(())
    }
}

/// The pieces of `list` between the separators that are not inside a quoted string.
fn split_unquoted(list: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    list.split(move |&byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            _ => return byte == separator && !is_quoted,
        }
        false
    })
}

/// Without the white space that may surround a token (RFC 9110 §5.6.3).
fn trim(mut token: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = token {
        token = rest;
    }
    token
}

/// A number of window bits, which may be quoted (RFC 7692 §7.1.2): 8 to 15, without leading zeros.
fn window_bits(value: &[u8]) -> Option<u8> {
    match value.strip_prefix(b"\"").map_or(Some(value), |value| value.strip_suffix(b"\""))? {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// Window bits where nothing smaller is agreed to: 32 KiB (RFC 7692 §7.1.2).
pub(super) const MAX_WINDOW_BITS: u8 = 15;

const NAME: &str = "permessage-deflate";

const KIB: usize = 1024;

#[cfg(test)]
mod tests {
    use super::Level::*;
    use super::*;

    /// The response's field to an offer, `None` when it is declined.
    fn respond(compress: Option<Level>, decompress: Option<Level>, fields: &[&str]) -> Option<String> {
        let config = DeflateConfig::new(compress, decompress).expect("the extension is not disabled");
        let agreed = negotiate(fields.iter().map(|field| field.as_bytes()), &config)?;
        Some(agreed.to_string())
    }

    /// `"CN; SW=9"` with the names written out, behind the name of the extension.
    fn long(short: &str) -> String {
        let mut long = NAME.to_owned();
        for parameter in short.split("; ").filter(|&parameter| parameter != "plain") {
            long += "; ";
            long += &parameter
                .replace("CN", "client_no_context_takeover")
                .replace("CW", "client_max_window_bits")
                .replace("SN", "server_no_context_takeover")
                .replace("SW", "server_max_window_bits");
        }
        long
    }

    /// Offers, and what Bun 1.4.5 with the configuration `compress/decompress` over the column answers; `-` is declined, and with a star
    /// Bun declines.
    const ANSWERS: &str = r#"
                    | shared/shared | dedicated/      | 3KB/           | 16KB/           | /dedicated | /8KB             | dedicated/dedicated | 16KB/8KB
plain               | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | SN         | CN; SN           | plain               | CN; SW=11
CW                  | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | SN         | CW=13; SN        | plain               | CW=13; SW=11
CW=15               | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | SN         | CW=13; SN        | plain               | CW=13; SW=11
CW=12               | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | CW=12; SN  | CW=12; SN        | CW=12               | CW=12; SW=11
CW=8                | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | CW=8; SN   | CW=8; SN         | CW=8                | CW=8; SW=11
CW="10"             | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | CW=10; SN  | CW=10; SN        | CW=10               | CW=10; SW=11
SW=15               | CN; SN; SW=15 | CN; SW=15       | CN; SW=9       | CN; SW=11       | SN; SW=15  | CN; SN; SW=15    | SW=15               | CN; SW=11
SW=14               | -             | CN; SW=14       | CN; SW=9       | CN; SW=11       | -          | -                | SW=14               | CN; SW=11
SW=9                | -             | CN; SW=9        | CN; SW=9       | CN; SW=9        | -          | -                | SW=9                | CN; SW=9
SW=8                | -             | CN; SW=8        | CN; SW=8       | CN; SW=8        | -          | -                | SW=8                | CN; SW=8
SW="10"             | -             | CN; SW=10       | CN; SW=9       | CN; SW=10       | -          | -                | SW=10               | CN; SW=10
CN                  | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | CN; SN     | CN; SN           | CN                  | CN; SW=11
SN                  | CN; SN        | CN; SN          | CN; SN         | CN; SN          | SN         | CN; SN           | SN                  | CN; SN
SN; CN              | CN; SN        | CN; SN          | CN; SN         | CN; SN          | CN; SN     | CN; SN           | CN; SN              | CN; SN
CN; CW              | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | CN; SN     | CN; SN           | CN                  | CN; SW=11
CN; CW=10           | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | CN; SN     | CN; SN           | CN                  | CN; SW=11
CN; CW=15           | CN; SN        | CN              | CN; SW=9       | CN; SW=11       | CN; SN     | CN; SN           | CN                  | CN; SW=11
SN; SW=15           | CN; SN; SW=15 | CN; SN; SW=15   | CN; SN; SW=15  | CN; SN; SW=15   | SN; SW=15  | CN; SN; SW=15    | SN; SW=15           | CN; SN; SW=15
SN; SW=10           | -             | CN; SN; SW=10 * | CN; SN; SW=9 * | CN; SN; SW=10 * | -          | -                | SN; SW=10 *         | CN; SN; SW=10 *
SW=10; SN; CW=9; CN | -             | CN; SN; SW=10 * | CN; SN; SW=9 * | CN; SN; SW=10 * | -          | -                | CN; SN; SW=10 *     | CN; SN; SW=10 *
SW=15; CW=15        | CN; SN; SW=15 | CN; SW=15       | CN; SW=9       | CN; SW=11       | SN; SW=15  | CW=13; SN; SW=15 | SW=15               | CW=13; SW=11
SW=10; CW=11        | -             | CN; SW=10       | CN; SW=9       | CN; SW=10       | -          | -                | CW=11; SW=10        | CW=11; SW=10
"#;

    #[test]
    fn every_offer_is_answered_as_bun_answers_it() {
        let cells = |line: &'static str| line.split('|').map(str::trim);
        let mut rows = ANSWERS.trim_matches('\n').lines();
        let level = |name: &str| (!name.is_empty()).then(|| Level::parse(name).unwrap());
        let configs = cells(rows.next().unwrap()).skip(1).map(|pair| pair.split_once('/').unwrap());
        let configs: Vec<_> = configs.map(|(c, d)| (level(c), level(d))).collect();
        let mut seen = 0;
        for row in rows {
            let mut cells = cells(row);
            let offer = long(cells.next().unwrap());
            for (&(compress, decompress), answer) in configs.iter().zip(cells) {
                let answer = answer.trim_end_matches(" *");
                let expected = (answer != "-").then(|| long(answer));
                let answered = respond(compress, decompress, &[&offer]);
                assert_eq!(answered, expected, "{compress:?}, {decompress:?}: {offer}");
                seen += 1;
            }
        }
        assert_eq!(seen, 22 * 8);
    }

    #[test]
    fn each_level_has_the_window_that_bun_gives_it() {
        let table = [
            (Kb3, "CN; SW=9", "CW=11; SN"),
            (Kb4, "CN; SW=9", "CW=12; SN"),
            (Kb8, "CN; SW=10", "CW=13; SN"),
            (Kb16, "CN; SW=11", "CW=14; SN"),
            (Kb32, "CN; SW=12", "SN"),
            (Kb64, "CN; SW=13", "SN"),
            (Kb128, "CN; SW=14", "SN"),
            (Kb256, "CN", "SN"),
            (Dedicated, "CN", "SN"),
            (Shared, "CN; SN", "CN; SN"),
        ];
        for (level, compress, decompress) in table {
            let offer = "permessage-deflate; client_max_window_bits";
            assert_eq!(respond(Some(level), None, &[offer]), Some(long(compress)), "{level:?}");
            assert_eq!(respond(None, Some(level), &[offer]), Some(long(decompress)), "{level:?}");
            assert_eq!(respond(Some(Disable), Some(level), &[offer]), Some(long(decompress)), "{level:?}");
            let without = if decompress.starts_with("CW") { "CN; SN" } else { decompress };
            assert_eq!(respond(None, Some(level), &[NAME]), Some(long(without)), "{level:?}");
        }
        assert_eq!(respond(Some(Kb3), Some(Kb3), &[&long("CW")]), Some(long("CW=11; SW=9")));
        assert_eq!(respond(Some(Kb8), Some(Kb32), &[&long("CW")]), Some(long("SW=10")));
    }

    #[test]
    fn a_level_is_known_by_its_name() {
        for level in Level::ALL {
            assert_eq!(Level::parse(level.row().name), Some(level));
        }
        assert_eq!(Level::parse("128KB"), Some(Kb128));
        for unknown in ["", "3kb", "5KB", "512KB", "true", "Shared", " shared"] {
            assert_eq!(Level::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_configuration_without_a_side_that_is_enabled_never_agrees() {
        for never in
            [(None, None), (Some(Disable), None), (None, Some(Disable)), (Some(Disable), Some(Disable))]
        {
            assert_eq!(DeflateConfig::new(never.0, never.1), None);
        }
        let config = |compress, decompress| Some(DeflateConfig { compress, decompress });
        assert_eq!(DeflateConfig::new(Some(Kb3), None), config(Kb3, Shared));
        assert_eq!(DeflateConfig::new(None, Some(Kb3)), config(Shared, Kb3));
        assert_eq!(DeflateConfig::new(Some(Disable), Some(Kb3)), config(Disable, Kb3));
        assert_eq!(DeflateConfig::new(Some(Kb3), Some(Disable)), config(Kb3, Shared));
    }

    #[test]
    fn a_disabled_compressor_is_negotiated_like_a_shared_one_and_not_used() {
        let offer = long("CW").into_bytes();
        for (compress, compresses) in [(Disable, false), (Shared, true), (Dedicated, true)] {
            let config = DeflateConfig::new(Some(compress), Some(Dedicated)).unwrap();
            let agreed = negotiate([&offer[..]], &config).unwrap();
            assert_eq!(agreed.server_compresses, compresses);
            assert_eq!(agreed.server_no_context_takeover, compress != Dedicated);
        }
    }

    #[test]
    fn the_argument_decides_then_the_size_then_the_method() {
        let config = |compress| DeflateConfig::new(Some(compress), Some(Shared)).unwrap();
        for level in Level::ALL {
            assert!(config(level).should_compress(Some(true), 0, false), "{level:?}");
            assert!(!config(level).should_compress(Some(false), usize::MAX, true), "{level:?}");
        }
        for level in [Disable, Shared, Dedicated] {
            assert!(config(level).should_compress(None, 0, true));
            assert!(!config(level).should_compress(None, usize::MAX, false));
        }
        for (level, size) in [(Kb3, 3072), (Kb4, 4096), (Kb64, 65_536), (Kb256, 262_144)] {
            for by_default in [false, true] {
                assert!(!config(level).should_compress(None, size, by_default));
                assert!(config(level).should_compress(None, size + 1, by_default));
            }
        }
    }

    fn respond_dedicated(fields: &[&str]) -> Option<String> {
        respond(Some(Dedicated), Some(Dedicated), fields)
    }

    #[test]
    fn an_offer_that_breaks_a_rule_is_declined() {
        for offer in [
            "server_max_window_bits",
            "server_max_window_bits=16",
            "server_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=7",
            "client_max_window_bits=",
            r#"client_max_window_bits="""#,
            "client_max_window_bits=012",
            "client_max_window_bits=08",
            "client_max_window_bits=+9",
            "client_max_window_bits=9.0",
            "client_max_window_bits=1 2",
            r#"client_max_window_bits="1\2""#,
            "client_max_window_bits='10'",
            r#"client_max_window_bits="10"#,
            r#"client_max_window_bits=10""#,
            r#"client_max_window_bits="10"x"#,
            r#"client_max_window_bits=""#,
            "client_max_window_bits = 10",
            "client_max_window_bits=10; foo",
            "client_max_window_bits; client_max_window_bits",
            "client_max_window_bits; client_max_window_bits=10",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_no_context_takeover; client_no_context_takeover",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover=1",
            "client_no_context_takeover=",
            r#"server_no_context_takeover="true""#,
            "Client_max_window_bits",
            "foo",
            "foo=1",
            "=10",
            "client max",
            "",
            "; client_no_context_takeover",
        ] {
            let offer = format!("{NAME}; {offer}");
            assert_eq!(respond_dedicated(&[&offer]), None, "{offer}");
            // RFC 7692 §5.1: another offer may still be accepted.
            if offer.matches('"').count() != 1 {
                let offers = format!("{offer}, {NAME}; client_max_window_bits=10");
                assert_eq!(respond_dedicated(&[&offers]), Some(long("CW=10")), "{offers}");
            }
            assert_eq!(respond_dedicated(&[&offer, &long("CW=10")]), Some(long("CW=10")), "{offer}");
        }
    }

    #[test]
    fn other_extensions_are_passed_over() {
        for offers in [
            "",
            "foo",
            "Permessage-Deflate",
            "permessage-deflate-2",
            "permessage-deflatefoo",
            "permessage-deflate permessage-deflate",
            "permessage-deflate=1",
            r#""permessage-deflate""#,
            "permessage-deflate/; client_max_window_bits",
            "foo; permessage-deflate",
            r#"foo; x="a, permessage-deflate""#,
            r#"x=";permessage-deflate"#,
        ] {
            assert_eq!(respond_dedicated(&[offers]), None, "{offers}");
        }
        for before in [
            "foo",
            "x-webkit-deflate-frame",
            "foo@",
            r#"foo; x="a, permessage-deflate""#,
            r#"foo; x="\"""#,
            "",
            ",",
        ] {
            let offers = format!("{before}, permessage-deflate; client_max_window_bits=10,");
            assert_eq!(respond_dedicated(&[&offers]), Some(long("CW=10")), "{offers}");
        }
    }

    #[test]
    fn the_first_offer_that_can_be_met_is_accepted() {
        assert_eq!(respond_dedicated(&["foo", NAME]), Some(long("plain")));
        assert_eq!(respond_dedicated(&[&long("CW=10"), NAME]), Some(long("CW=10")));
        let offers = format!("{}, {}", long("CW=10"), long("CW=12"));
        assert_eq!(respond_dedicated(&[&offers]), Some(long("CW=10")));
        let offers = format!("{}, {NAME}", long("SW=10"));
        assert_eq!(respond_dedicated(&[&offers]), Some(long("SW=10")));
        assert_eq!(respond(Some(Shared), None, &[&offers]), Some(long("CN; SN")));
    }

    #[test]
    fn white_space_may_surround_a_parameter() {
        for offer in [
            "permessage-deflate;client_max_window_bits=10",
            "permessage-deflate ;\tclient_max_window_bits=10\t",
            "  permessage-deflate ; client_max_window_bits=\"10\" ",
        ] {
            assert_eq!(respond_dedicated(&[offer]), Some(long("CW=10")), "{offer}");
        }
    }

    #[test]
    fn any_bytes_at_all_are_declined_or_answered_with_what_can_be_met() {
        let words =
            [NAME, ";", ",", "=", "\"", "\\", " ", "client_max_window_bits", "9", "15", "\u{FF}", "foo"];
        let mut random = 1_u32;
        let config = DeflateConfig::new(Some(Kb3), Some(Kb3)).unwrap();
        let mut agreed_to = 0;
        for _ in 0..50_000 {
            let mut field = String::new();
            for _ in 0..random % 8 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                field += words[(random >> 16) as usize % words.len()];
            }
            random = random.wrapping_add(1_013_904_223);
            if let Some(agreed) = negotiate([field.as_bytes()], &config) {
                agreed_to += 1;
                assert!(field.contains(NAME));
                assert!(agreed.server_max_window_bits == Some(9) && !agreed.server_no_context_takeover);
                assert!(agreed.client_max_window_bits.is_none_or(|bits| (8..=11).contains(&bits)));
            }
        }
        assert!(agreed_to > 100, "{agreed_to}");
    }
}
