//! The `tls` option: from what `src/js/tls.js` makes of it to a keyring.

use super::call::INTERNAL;
use super::value::{Failure, Js, Result, Value};
use crate::server::keyring::{Entry, Keyring, Problem};

/// `null`, or an array of entries: `[serverName | null, keys, certificates, authorities, revocations, requestsCertificate,
/// rejectsUnauthorized, protocols]`, the lists being arrays of bytes.
pub(super) fn keyring(js: Js, value: Value) -> Result<Option<Keyring>> {
    if js.is_nullish(value)? {
        return Ok(None);
    }
    let entries =
        js.elements(value)?.into_iter().map(|value| entry(js, value)).collect::<Result<Vec<_>>>()?;
    Keyring::new(&entries).map(Some).map_err(|problem| failure(&problem))
}

fn entry(js: Js, value: Value) -> Result<Entry> {
    let [name, keys, certificates, authorities, revocations, requests, rejects, protocols] =
        js.elements(value)?[..]
    else {
        return Err(Failure::Error { code: "ERR_INTERNAL_ASSERTION", message: INTERNAL.into() });
    };
    Ok(Entry {
        server_name: if js.is_nullish(name)? { None } else { Some(js.as_text(name)?) },
        keys: list(js, keys)?,
        certificates: list(js, certificates)?,
        authorities: list(js, authorities)?,
        revocations: list(js, revocations)?,
        requests_certificate: js.as_bool(requests)?,
        rejects_unauthorized: js.as_bool(rejects)?,
        protocols: list(js, protocols)?,
    })
}

fn list(js: Js, value: Value) -> Result<Vec<Vec<u8>>> {
    js.elements(value)?.into_iter().map(|value| js.with_bytes(value, <[u8]>::to_vec)).collect()
}

/// The text for users is made in JavaScript, except what only this side knows.
fn failure(problem: &Problem) -> Failure {
    let (code, message) = match problem {
        Problem::PemNoStartLine => ("ERR_OSSL_PEM_NO_START_LINE", ""),
        Problem::PemBadEndLine => ("ERR_OSSL_PEM_BAD_END_LINE", ""),
        Problem::PemBadBase64 => ("ERR_OSSL_PEM_BAD_BASE64_DECODE", ""),
        Problem::DecodeError => ("ERR_OSSL_ASN1_DECODE_ERROR", ""),
        Problem::KeyValuesMismatch => ("ERR_OSSL_X509_KEY_VALUES_MISMATCH", ""),
        Problem::KeyTypeMismatch => ("ERR_OSSL_X509_KEY_TYPE_MISMATCH", ""),
        Problem::BadAuthority => ("ERR_MANTOU_CA", ""),
        Problem::Unsupported(what) => ("ERR_MANTOU_UNSUPPORTED", *what),
    };
    Failure::Error { code, message: message.into() }
}
