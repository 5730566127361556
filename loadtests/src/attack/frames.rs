//! HTTP/2 frames as no sound client would send them (RFC 9113, 4 and 6).

/// What a client says first, with settings that change nothing.
pub(super) fn greeting() -> Vec<u8> {
    let mut octets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    octets.extend(frame(SETTINGS, 0, 0, &[]));
    octets
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut octets = vec![len[1], len[2], len[3], kind, flags];
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

/// `GET /` or `POST /` at `x.test`, without the dynamic table (RFC 7541, appendix A).
pub(super) fn request(method: u8) -> Vec<u8> {
    let mut block = vec![method, 0x86, 0x84, 0x41, 6];
    block.extend(b"x.test");
    block
}

pub(super) const GET: u8 = 0x82;
pub(super) const POST: u8 = 0x83;

/// A field of 4,000 octets that the table keeps, and so many mentions of it: 63 octets of head for each on the wire.
pub(super) fn bomb(mentions: usize) -> Vec<u8> {
    let mut block = request(GET);
    block.extend([0x40, 1, b'a']);
    // 4,000 as a prefixed integer of 7 bits (RFC 7541, 5.1).
    block.extend([0x7f, 0xa1, 0x1e]);
    block.extend(std::iter::repeat_n(b'x', 4_000));
    block.extend(std::iter::repeat_n(0xbe, mentions));
    block
}
