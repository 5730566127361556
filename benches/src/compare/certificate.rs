//! The one certificate that everybody shows: of its own making, ECDSA with P-256.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Its files, all PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Certificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Both in one, as HAProxy likes it.
    pub(super) both: PathBuf,
}

impl Certificate {
    /// Makes one for `name` in `directory`.
    pub(super) fn make(name: &str, directory: &Path) -> io::Result<Self> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
        let key = key.map_err(io::Error::other)?;
        let names = rcgen::CertificateParams::new([name.to_owned()]);
        let made = names.and_then(|it| it.self_signed(&key));
        let (certificate, key) = (made.map_err(io::Error::other)?.pem(), key.serialize_pem());
        let file = |name: &str, text: &str| -> io::Result<PathBuf> {
            let path = directory.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        Ok(Self {
            certificate: file("certificate.pem", &certificate)?,
            key: file("key.pem", &key)?,
            both: file("both.pem", &format!("{certificate}{key}"))?,
        })
    }
}
