//! The one frame that is sent to and fro: 128 octets in it, masked with zeros, so that the octets stay as they are.

/// In a frame (RFC 6455, 5.2).
pub(super) const PAYLOAD: usize = 128;
/// FIN, binary; an extended length of two octets.
const BEGINS: [u8; 4] = [0x82, 126, 0, 128];
const MASKED: u8 = 0x80;
/// Of a frame of a client: what it begins with, the mask, the octets.
const FROM_CLIENT: usize = BEGINS.len() + 4 + PAYLOAD;
/// Of a frame of a server.
pub(super) const FROM_SERVER: usize = BEGINS.len() + PAYLOAD;

/// The answer to [`ASKS`] (RFC 6455, 1.3 has this pair).
pub(super) const ACCEPTED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Lines of a request for a WebSocket.
pub(super) const ASKS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client's frame.
pub(super) fn frame() -> Vec<u8> {
    let mut frame = BEGINS.to_vec();
    frame[1] |= MASKED;
    frame.extend_from_slice(&[0; 4]);
    frame.resize(FROM_CLIENT, b'w');
    frame
}

/// What a server makes of a client's octets.
#[derive(Debug, Default)]
pub(super) struct Echo {
    /// Octets of a frame that is not whole.
    begun: Vec<u8>,
}

impl Echo {
    /// The frames that are whole now, as a server sends them. Other frames than the one above are dropped.
    pub(super) fn echo(&mut self, octets: &[u8]) -> Vec<u8> {
        self.begun.extend_from_slice(octets);
        let mut answer = Vec::with_capacity(FROM_SERVER);
        let mut whole = self.begun.chunks_exact(FROM_CLIENT);
        for frame in &mut whole {
            if frame[0] == BEGINS[0] {
                answer.extend_from_slice(&BEGINS);
                answer.extend_from_slice(&frame[BEGINS.len() + 4..]);
            }
        }
        let rest = whole.remainder().len();
        let whole = self.begun.len() - rest;
        self.begun.drain(..whole);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_whole_however_they_were_cut() {
        let two = [frame(), frame()].concat();
        for cut in 0..two.len() {
            let mut echo = Echo::default();
            let mut answer = echo.echo(&two[..cut]);
            answer.extend(echo.echo(&two[cut..]));
            assert_eq!(answer.len(), 2 * FROM_SERVER);
            assert_eq!(&answer[..4], &BEGINS);
        }
    }
}
