//! What a server shows of itself over TLS: keys and certificates, by the names that clients ask for. It is made of PEM texts once
//! and never changes; a server that gets new ones gets another keyring.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureAlgorithm, SignatureScheme,
};

use super::certificate::{Certificate, Kind, is_sequence};
use super::tls::Session;

/// One entry of the `tls` option. Keys, certificates and lists are PEM texts.
#[derive(Default)]
pub(crate) struct Entry {
    /// The name it is for; a label `*` stands for any one label.
    pub(crate) server_name: Option<String>,
    pub(crate) keys: Vec<Vec<u8>>,
    /// Each with its chain behind it.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// Who may issue the certificates of clients, and our own.
    pub(crate) authorities: Vec<Vec<u8>>,
    pub(crate) revocations: Vec<Vec<u8>>,
    pub(crate) requests_certificate: bool,
    /// Whether a client without a good certificate is turned away, if it was asked for one.
    pub(crate) rejects_unauthorized: bool,
    /// In the order of preference.
    pub(crate) protocols: Vec<Vec<u8>>,
}

/// Why there is no keyring. The names are OpenSSL's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    PemNoStartLine,
    PemBadEndLine,
    PemBadBase64,
    DecodeError,
    KeyValuesMismatch,
    KeyTypeMismatch,
    /// Something in `authorities` is no certificate.
    BadAuthority,
    /// It may be all right and rustls cannot do it.
    Unsupported(&'static str),
}

/// See the module.
pub(crate) struct Keyring {
    default: Identity,
    by_name: HashMap<String, Identity>,
    by_pattern: HashMap<String, Identity>,
}

/// How the server answers to a name.
#[derive(Clone)]
struct Identity {
    config: Arc<ServerConfig>,
    /// The same for clients that offer one of our protocols: rustls would turn all others away.
    with_protocols: Option<Arc<ServerConfig>>,
}

impl Keyring {
    /// Of at least one entry, the first of which is for everybody whose name is not found.
    pub(crate) fn new(entries: &[Entry]) -> Result<Self, Problem> {
        let provider = Arc::new(ring::default_provider());
        let Some(first) = entries.first() else { return Err(Problem::PemNoStartLine) };
        let default = Identity::new(&provider, first, first)?;
        let (mut by_name, mut by_pattern) = (HashMap::new(), HashMap::new());
        for (index, entry) in entries.iter().enumerate() {
            let Some(name) = &entry.server_name else { continue };
            let identity = if index == 0 { default.clone() } else { Identity::new(&provider, entry, first)? };
            let name = normal(name);
            let names = if labels(&name).any(|label| label == "*") { &mut by_pattern } else { &mut by_name };
            names.insert(name, identity);
        }
        Ok(Self { default, by_name, by_pattern })
    }

    /// Begins the TLS of a new connection.
    pub(crate) fn session(self: &Rc<Self>) -> Session {
        Session::new(Rc::clone(self))
    }

    /// Whether the ClientHello has a say in who we are.
    pub(super) fn wants_hello(&self) -> bool {
        self.default.with_protocols.is_some() || !(self.by_name.is_empty() && self.by_pattern.is_empty())
    }

    pub(super) fn default_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.default.config)
    }

    /// Adds `bytes` to what `acceptor` has of a ClientHello, and chooses once that is whole.
    pub(super) fn choose(&self, acceptor: &mut Acceptor, mut bytes: &[u8]) -> Option<Arc<ServerConfig>> {
        while !bytes.is_empty() {
            let accepted = match acceptor.read_tls(&mut bytes) {
                Ok(_) => acceptor.accept(),
                // Too long for a ClientHello. Whoever reads it next will say what is wrong with it.
                Err(_) => return Some(self.default_config()),
            };
            match accepted {
                Ok(None) => {}
                Ok(Some(accepted)) => return Some(self.config_for(&accepted.client_hello())),
                Err(_) => return Some(self.default_config()),
            }
        }
        None
    }

    fn config_for(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let identity = hello.server_name().and_then(|name| self.find(name)).unwrap_or(&self.default);
        let config = match &identity.with_protocols {
            Some(config)
                if hello.alpn().is_some_and(|mut offered| offered.any(|name| speaks(config, name))) =>
            {
                config
            }
            _ => &identity.config,
        };
        Arc::clone(config)
    }

    /// A name's own identity, or that of the pattern that is exact furthest from the left.
    fn find(&self, name: &str) -> Option<&Identity> {
        let name = normal(name);
        self.by_name.get(&name).or_else(|| {
            let matching = self.by_pattern.iter().filter(|(pattern, _)| matches(pattern, &name));
            let wildness = |pattern: &str| labels(pattern).map(|label| label == "*").collect::<Vec<_>>();
            matching.min_by_key(|(pattern, _)| wildness(pattern)).map(|(_, identity)| identity)
        })
    }
}

impl Identity {
    fn new(provider: &Arc<CryptoProvider>, entry: &Entry, first: &Entry) -> Result<Self, Problem> {
        let authorities = Authorities::parse(&entry.authorities)?;
        let revocations = parse_revocations(&entry.revocations)?;
        let identities = identities(entry, &authorities)?;
        // Nobody gets around the first entry's demands by asking for another name.
        let is_strict = [entry, first].iter().any(|e| e.requests_certificate && e.rejects_unauthorized);
        let is_asking = is_strict || [entry, first].iter().any(|e| e.requests_certificate);
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3");
        let builder = if is_asking {
            let clients = Clients::new(provider, authorities, revocations, is_strict)?;
            builder.with_client_cert_verifier(Arc::new(clients))
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_cert_resolver(Arc::new(Identities(identities)));
        let with_protocols = (!entry.protocols.is_empty()).then(|| {
            let mut config = config.clone();
            config.alpn_protocols.clone_from(&entry.protocols);
            Arc::new(config)
        });
        Ok(Self { config: Arc::new(config), with_protocols })
    }
}

/// Certificates with their keys: one for each kind of key that clients may be limited to.
#[derive(Debug)]
struct Identities(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits =
            |identity: &&Arc<CertifiedKey>| identity.key.choose_scheme(hello.signature_schemes()).is_some();
        self.0.iter().find(fits).cloned()
    }
}

/// The certificates that count: the last of each kind of key. Each needs a key; one of a kind that has no key at all is left out, unless
/// that leaves none. Without keys or without certificates there is no identity, and every handshake fails, as in Bun.
fn identities(entry: &Entry, authorities: &Authorities) -> Result<Vec<Arc<CertifiedKey>>, Problem> {
    let keys = entry.keys.iter().map(|pem| parse_key(pem)).collect::<Result<Vec<_>, _>>()?;
    let chains = entry.certificates.iter().map(|pem| parse_chain(pem)).collect::<Result<Vec<_>, _>>()?;
    let mut identities = Vec::new();
    for kind in [Kind::Ecdsa, Kind::Rsa, Kind::Ed25519] {
        let Some(chain) = chains.iter().rfind(|chain| leaf(chain).kind() == kind) else { continue };
        let mut of_kind = keys.iter().filter(|key| is_of(key, kind)).peekable();
        if of_kind.peek().is_none() {
            continue;
        }
        let belongs = |key: &&Arc<dyn SigningKey>| {
            key.public_key().is_some_and(|public| *public == *leaf(chain).public_key)
        };
        let key = of_kind.find(belongs).ok_or(Problem::KeyValuesMismatch)?;
        let chain = authorities.complete(chain.clone());
        identities.push(Arc::new(CertifiedKey::new(chain, Arc::clone(key))));
    }
    let is_mismatch = identities.is_empty() && !keys.is_empty() && !chains.is_empty();
    if is_mismatch { Err(Problem::KeyTypeMismatch) } else { Ok(identities) }
}

fn is_of(key: &Arc<dyn SigningKey>, kind: Kind) -> bool {
    match key.algorithm() {
        SignatureAlgorithm::RSA => kind == Kind::Rsa,
        SignatureAlgorithm::ECDSA => kind == Kind::Ecdsa,
        SignatureAlgorithm::ED25519 => kind == Kind::Ed25519,
        _ => false,
    }
}

fn parse_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, Problem> {
    let der = PrivateKeyDer::from_pem_slice(pem)?;
    ring::sign::any_supported_type(&der).map_err(|_| {
        if is_sequence(der.secret_der()) { Problem::Unsupported(KEYS) } else { Problem::DecodeError }
    })
}

const KEYS: &str =
    "this private key: it takes RSA of 2048 to 8192 bits, ECDSA on P-256 and P-384, and Ed25519";

/// A certificate and what follows it in its text. Never empty.
fn parse_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() {
        return Err(Problem::PemNoStartLine);
    }
    let is_whole = chain.iter().all(|der| Certificate::parse(der).is_some());
    if is_whole { Ok(chain) } else { Err(Problem::DecodeError) }
}

fn leaf<'a>(chain: &'a [CertificateDer<'static>]) -> Certificate<'a> {
    Certificate::parse(&chain[0]).expect("parse_chain has parsed it")
}

fn parse_revocations(pems: &[Vec<u8>]) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    pems.iter().map(|pem| Ok(CertificateRevocationListDer::from_pem_slice(pem)?)).collect()
}

/// The certificates of the `ca` option.
struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
}

impl Authorities {
    fn parse(pems: &[Vec<u8>]) -> Result<Self, Problem> {
        let mut authorities = Self { certificates: Vec::new(), roots: RootCertStore::empty() };
        for pem in pems {
            let chain = parse_chain(pem).map_err(|_| Problem::BadAuthority)?;
            for certificate in chain {
                authorities.roots.add(certificate.clone()).map_err(|_| Problem::BadAuthority)?;
                authorities.certificates.push(certificate);
            }
        }
        Ok(authorities)
    }

    /// Follows a certificate that came alone with its issuers, up to the one that issued itself, as OpenSSL does.
    fn complete(&self, mut chain: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
        if chain.len() > 1 {
            return chain;
        }
        while let Some(issuer) = self.issuer_of(&chain[chain.len() - 1])
            && chain.len() < MAX_CHAIN
        {
            chain.push(issuer);
        }
        chain
    }

    fn issuer_of(&self, certificate: &CertificateDer<'_>) -> Option<CertificateDer<'static>> {
        let certificate =
            Certificate::parse(certificate).filter(|certificate| !certificate.is_self_issued())?;
        let issued = |issuer: &&CertificateDer<'_>| {
            Certificate::parse(issuer).is_some_and(|issuer| issuer.subject == certificate.issuer)
        };
        self.certificates.iter().find(issued).cloned()
    }
}

/// Two authorities may have issued each other.
const MAX_CHAIN: usize = 10;

/// Judges the certificates of clients.
#[derive(Debug)]
struct Clients {
    /// Absent without authorities: nobody's certificate is good.
    judge: Option<Arc<dyn ClientCertVerifier>>,
    /// Certificates that are good in themselves: the authorities'. webpki takes no authority for a client, but who makes a certificate
    /// for himself often makes an authority of it. With revocations there are none: they are not looked up here.
    own: Vec<CertificateDer<'static>>,
    /// Of the authorities, for the client to choose by.
    names: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
    is_strict: bool,
}

impl Clients {
    fn new(
        provider: &Arc<CryptoProvider>,
        Authorities { certificates, roots }: Authorities,
        revocations: Vec<CertificateRevocationListDer<'static>>,
        is_strict: bool,
    ) -> Result<Self, Problem> {
        let names = roots.subjects();
        let own = if revocations.is_empty() { certificates } else { Vec::new() };
        let judge = if roots.is_empty() {
            None
        } else {
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .with_crls(revocations)
                .enforce_revocation_expiration();
            Some(builder.build().map_err(|_| Problem::DecodeError)?)
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { judge, own, names, algorithms, is_strict })
    }

    fn is_own(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        self.own.iter().any(|own| own == certificate)
            && Certificate::parse(certificate)
                .is_some_and(|certificate| certificate.validity.contains(&now.as_secs()))
    }
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_strict
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.judge {
            _ if !self.is_strict || self.is_own(certificate, now) => Ok(ClientCertVerified::assertion()),
            Some(judge) => judge.verify_client_cert(certificate, chain, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl From<pem::Error> for Problem {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::MissingSectionEnd { .. } => Self::PemBadEndLine,
            pem::Error::Base64Decode(_) => Self::PemBadBase64,
            _ => Self::PemNoStartLine,
        }
    }
}

fn speaks(config: &ServerConfig, protocol: &[u8]) -> bool {
    config.alpn_protocols.iter().any(|ours| ours == protocol)
}

/// A name as it is compared: without regard to case, and without the dot of the root.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn labels(name: &str) -> impl Iterator<Item = &str> {
    name.split('.')
}

fn matches(pattern: &str, name: &str) -> bool {
    labels(pattern).count() == labels(name).count()
        && labels(pattern).zip(labels(name)).all(|(pattern, label)| pattern == "*" || pattern == label)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// For nothing but these tests. The certificate issued itself, for mantou.test, until 2120.
    const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggyEd2i9YGw8YfNhf
ELedArky3E6AHWo4qoHEIrArhPqhRANCAARibumr9RJtsHwE1FbpSK09WQDJ4vfp
YA6hLLO6ZDIQiJiIUvq+M+O0i0DxrKzMDXxgD2cQe6Ye6GyT5nsKYzgP
-----END PRIVATE KEY-----
";
    const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBejCCASCgAwIBAgIUSV2QlUmHCkMn2xqx+am2qd4SJtwwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLbWFudG91LnRlc3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAx
MDEwMDAwMDBaMBYxFDASBgNVBAMMC21hbnRvdS50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEYm7pq/USbbB8BNRW6UitPVkAyeL36WAOoSyzumQyEIiYiFL6
vjPjtItA8ayszA18YA9nEHumHuhsk+Z7CmM4D6NKMEgwDwYDVR0TAQH/BAUwAwEB
/zAWBgNVHREEDzANggttYW50b3UudGVzdDAdBgNVHQ4EFgQUdezA4N5ObXttzswu
N4JC6j99wrEwCgYIKoZIzj0EAwIDSAAwRQIgTbC630rlJIDQyna0ObRFaTBnHXPg
BdytfJhNtQhHmHECIQCw3GikTbO7c6Bo1hCFvuYt9dxtWJp61t1ULf0iMRyFrQ==
-----END CERTIFICATE-----
";
    const OTHER_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguBfgmlkr5gp3gYGC
lnebk4DdvdPgyeAUj06MUOD4Yx2hRANCAASBFxsQC1zQm+n527POOoTwBDMG4sSK
1JDeloPAsNKdfracNMgO30a9neLQupH1tnGXqjLsz05mOyc+jC844x6z
-----END PRIVATE KEY-----
";

    pub(in crate::server) fn certificate() -> Vec<u8> {
        CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap().to_vec()
    }

    pub(in crate::server) fn entry(server_name: Option<&str>) -> Entry {
        Entry {
            server_name: server_name.map(str::to_owned),
            keys: vec![KEY.into()],
            certificates: vec![CERTIFICATE.into()],
            ..Entry::default()
        }
    }

    fn problem(change: impl FnOnce(&mut Entry)) -> Option<Problem> {
        let mut entry = entry(None);
        change(&mut entry);
        Keyring::new(&[entry]).err()
    }

    #[test]
    fn a_name_finds_its_own_entry_before_a_pattern_and_a_pattern_that_is_exact_further_left_before_others() {
        let names = ["b.test", "*.test", "*.b.test", "a.*.test", "*", "Upper.TEST."];
        let entries: Vec<_> = std::iter::once(None).chain(names.map(Some)).map(entry).collect();
        let keyring = Keyring::new(&entries).unwrap();
        let found = |name: &str| {
            let identity = keyring.find(name)?;
            let is_it = |(_, other): &(&String, &Identity)| Arc::ptr_eq(&other.config, &identity.config);
            let (name, _) = keyring.by_name.iter().chain(&keyring.by_pattern).find(is_it)?;
            Some(name.as_str())
        };
        for (name, entry) in [
            ("b.test", Some("b.test")),
            ("B.Test.", Some("b.test")),
            ("c.test", Some("*.test")),
            ("x.b.test", Some("*.b.test")),
            ("a.b.test", Some("a.*.test")),
            ("a.c.test", Some("a.*.test")),
            ("c.c.test", None),
            ("test", Some("*")),
            ("upper.test", Some("upper.test")),
            ("a.b.c.test", None),
        ] {
            assert_eq!(found(name), entry, "{name}");
        }
    }

    #[test]
    fn keys_and_certificates_that_do_not_belong_together_are_refused() {
        assert_eq!(problem(|_| {}), None);
        assert_eq!(problem(|entry| entry.keys = vec![OTHER_KEY.into()]), Some(Problem::KeyValuesMismatch));
        // Whichever of them it is, a certificate has its key.
        assert_eq!(problem(|entry| entry.keys.push(OTHER_KEY.into())), None);
        assert_eq!(problem(|entry| entry.keys.insert(0, OTHER_KEY.into())), None);
        // One without the other makes a server that nobody can shake hands with.
        assert_eq!(problem(|entry| entry.keys.clear()), None);
        assert_eq!(problem(|entry| entry.certificates.clear()), None);
    }

    #[test]
    fn what_is_no_pem_says_what_is_wrong_with_it() {
        let half = &CERTIFICATE[..300];
        let damaged = CERTIFICATE.replace("MIIB", "AAAA");
        let no_base64 = CERTIFICATE.replace("MIIB", "!!!!");
        for (pem, expected) in [
            ("", Problem::PemNoStartLine),
            ("nothing", Problem::PemNoStartLine),
            (KEY, Problem::PemNoStartLine),
            (half, Problem::PemBadEndLine),
            (&no_base64, Problem::PemBadBase64),
            (&damaged, Problem::DecodeError),
        ] {
            assert_eq!(problem(|entry| entry.certificates = vec![pem.into()]), Some(expected), "{pem}");
            let is_authority = problem(|entry| entry.authorities = vec![pem.into()]);
            assert_eq!(is_authority, Some(Problem::BadAuthority), "{pem}");
        }
        let damaged = KEY.replace("MIGH", "AAAA");
        for (pem, expected) in [
            (CERTIFICATE, Problem::PemNoStartLine),
            (&KEY[..100], Problem::PemBadEndLine),
            (&damaged, Problem::DecodeError),
        ] {
            assert_eq!(problem(|entry| entry.keys = vec![pem.into()]), Some(expected), "{pem}");
        }
    }

    #[test]
    fn a_well_formed_key_that_rustls_does_not_know_is_unsupported_and_not_broken() {
        // PKCS #8 with the algorithm 1.3.101.113, Ed448.
        let unknown = "-----BEGIN PRIVATE KEY-----\nMEcCAQAwBQYDK2VxBDsEOQ==\n-----END PRIVATE KEY-----\n";
        let whole = unknown.replace("MEcCAQAwBQYDK2VxBDsEOQ==", "MAwCAQAwBQYDK2VxBAA=");
        assert_eq!(problem(|entry| entry.keys = vec![unknown.into()]), Some(Problem::DecodeError));
        assert_eq!(problem(|entry| entry.keys = vec![whole.into()]), Some(Problem::Unsupported(KEYS)));
    }

    #[test]
    fn a_certificate_that_comes_alone_is_followed_by_its_issuers_but_not_by_itself() {
        let authorities = Authorities::parse(&[CERTIFICATE.into()]).unwrap();
        let certificate = CertificateDer::from(certificate());
        assert_eq!(authorities.complete(vec![certificate.clone()]), [certificate]);
    }

    #[test]
    fn an_authority_is_good_as_a_client_while_it_is_valid_and_nobody_else_is() {
        let provider = Arc::new(ring::default_provider());
        let at = |seconds: u64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let (in_2019, in_2030) = (at(1_560_000_000), at(1_900_000_000));
        let own = CertificateDer::from(certificate());
        let clients = |authorities: &[Vec<u8>], is_strict| {
            Clients::new(&provider, Authorities::parse(authorities).unwrap(), Vec::new(), is_strict).unwrap()
        };

        let strict = clients(&[CERTIFICATE.into()], true);
        assert!(strict.verify_client_cert(&own, &[], in_2030).is_ok());
        assert!(strict.verify_client_cert(&own, &[], in_2019).is_err());
        assert!(clients(&[], true).verify_client_cert(&own, &[], in_2030).is_err());
        assert!(clients(&[], false).verify_client_cert(&own, &[], in_2019).is_ok());
    }
}
