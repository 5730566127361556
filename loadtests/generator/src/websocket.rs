//! As much of WebSocket (RFC 6455) as a tunnel's two ends need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// Appended to the key before hashing (RFC 6455, 1.3).
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What `Sec-WebSocket-Accept` must be for this key.
pub(crate) fn accept(key: &[u8]) -> String {
    let hash = Sha1::new().chain_update(key).chain_update(MAGIC);
    STANDARD.encode(hash.finalize())
}

/// A key: 16 random octets (RFC 6455, 4.1).
pub(crate) fn key(random: &mut fastrand::Rng) -> String {
    let mut octets = [0; 16];
    random.fill(&mut octets);
    STANDARD.encode(octets)
}

/// One masked binary frame, as a client sends it (RFC 6455, 5.2). Payloads up to 65,535 octets.
pub(crate) fn frame(random: &mut fastrand::Rng, len: u16) -> Vec<u8> {
    const FINAL_BINARY: u8 = 0x82;
    const MASKED: u8 = 0x80;
    const TWO_OCTETS_OF_LENGTH: u8 = 126;
    let mut frame = vec![FINAL_BINARY];
    if len < u16::from(TWO_OCTETS_OF_LENGTH) {
        frame.push(MASKED | len.to_be_bytes()[1]);
    } else {
        frame.push(MASKED | TWO_OCTETS_OF_LENGTH);
        frame.extend(len.to_be_bytes());
    }
    let head = frame.len();
    // Mask and payload are random, so whether the payload is masked with it makes no difference.
    frame.resize(head + 4 + usize::from(len), 0);
    random.fill(&mut frame[head..]);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let accepted = accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepted, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_frame_says_its_length() {
        let mut random = fastrand::Rng::with_seed(1);
        let short = frame(&mut random, 5);
        assert_eq!((short[1], short.len()), (0x85, 2 + 4 + 5));
        let long = frame(&mut random, 300);
        assert_eq!((&long[1..4], long.len()), (&[0xfe, 1, 44][..], 4 + 4 + 300));
    }
}
