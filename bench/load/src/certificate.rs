//! The certificate of the servers, made anew: a key for 127.0.0.1 that signs itself.

use std::path::Path;

use crate::Result;

/// Writes `cert.pem` and `key.pem` into `folder`.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
        .map_err(|error| format!("certificate: {error}"))?;
    let write = |name: &str, pem: String| {
        let path = folder.join(name);
        std::fs::write(&path, pem).map_err(|error| format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    write("cert.pem", issued.cert.pem())?;
    write("key.pem", issued.signing_key.serialize_pem())
}
