//! A certificate for the host that lean clients ask for.

use std::path::{Path, PathBuf};

use super::head::HOST;
use crate::trouble::Trouble;

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// What stands under `[[listen]]` for it.
    pub(crate) listen: String,
    /// What clients trust.
    pub(crate) authority: PathBuf,
}

/// Makes one in this directory.
pub(crate) fn write(directory: &Path) -> Result<Certificate, Trouble> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = rcgen::CertificateParams::new([HOST.to_owned()])?.self_signed(&key)?;
    let file = |name: &str, text: String| {
        let path = directory.join(name);
        let written = std::fs::write(&path, text);
        written
            .map(|()| path)
            .map_err(|why| Trouble::io("the certificate", why))
    };
    let authority = file("certificate.pem", certificate.pem())?;
    let key = file("key.pem", key.serialize_pem())?;
    Ok(Certificate {
        listen: format!("tls = {{ certificate = {authority:?}, key = {key:?} }}"),
        authority,
    })
}
