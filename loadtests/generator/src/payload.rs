//! Bodies that can be verified from either side: octets drawn from a seed, and their checksum.

use bytes::Bytes;

/// The field in which an answer says what its body's checksum is.
pub(crate) const BODY_CHECKSUM: &str = "x-body-crc32";
/// The field in which the app says which release it is.
pub(crate) const APP_RELEASE: &str = "x-app-release";
/// The field that carries a request's id, there and back.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// `len` octets that are the same for the same seed.
pub(crate) fn payload(seed: u64, len: usize) -> Bytes {
    let mut octets = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut octets);
    octets.into()
}

/// A checksum as it is written in fields and bodies.
pub(crate) fn spell(checksum: u32) -> String {
    format!("{checksum:08x}")
}

/// What the app answers to a body: its length and checksum.
pub(crate) fn acknowledgement(len: u64, checksum: u32) -> String {
    format!("{len} {checksum:08x}\n")
}
